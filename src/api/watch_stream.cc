// SPDX-License-Identifier: Apache-2.0
//
// WatchDeployment: the current snapshot, then each change. A slow reader gets each transition, up
// to kMaxWatchBacklog of them, and of the live numbers the newest. When the deployment's agent is
// removed the stream ends with NOT_FOUND.
#include <deque>
#include <memory>
#include <optional>

#include "caxton/api/limits.h"
#include "caxton/base/status.h"
#include "convert.h"
#include "services.h"
#include "status.h"

namespace caxton::api {
namespace {

using deployment::DeploymentState;

bool Reached(const deployment::DeploymentStatus& s, v1::WatchDeploymentRequest::Until until) {
  if (until == v1::WatchDeploymentRequest::FOREVER) return false;
  if (s.final() || s.state == DeploymentState::kDraining) return true;
  const bool inconclusive = s.paused == deployment::PauseReason::kInconclusive ||
                            s.paused == deployment::PauseReason::kJudgeError;
  if (until == v1::WatchDeploymentRequest::FINALIZED)
    return s.state == DeploymentState::kRunning && s.finalized;
  // Nothing happens by itself while it waits for `promote`.
  const bool waits =
      s.paused == deployment::PauseReason::kStageEnd && s.Role() == deployment::StageRole::kPreview;
  return s.state == DeploymentState::kRunning || inconclusive || waits;
}

class WatchStream final : public grpc::ServerWriteReactor<v1::WatchDeploymentResponse> {
 public:
  WatchStream(ServiceContext* context, grpc::CallbackServerContext* call,
              const v1::WatchDeploymentRequest& request)
      : context_(context), until_(request.until()), trace_id_(context->TraceId(*call)) {}

  // The controller's callbacks may outlive the call: they hold the shared state, not the reactor.
  void Begin(const std::string& target) {
    auto shared = shared_;
    context_->deps.controller->Watch(
        target,
        [shared](const controller::DeploymentView& view, bool transition) {
          MutexLock lock(&shared->mutex);
          if (shared->stream) shared->stream->Show(view, transition);
        },
        [shared](const absl::Status& why) {
          MutexLock lock(&shared->mutex);
          if (shared->stream) shared->stream->Gone(why);
        },
        [shared, controller = context_->deps.controller](absl::StatusOr<uint64_t> id) {
          MutexLock lock(&shared->mutex);
          if (!id.ok()) {
            if (shared->stream) shared->stream->End(ToGrpc(id.status()));
          } else if (shared->stream) {
            shared->watch = *id;
          } else {
            controller->Unwatch(*id);
          }
        });
  }

  void OnWriteDone(bool ok) override {
    MutexLock lock(&shared_->mutex);
    writing_ = false;
    if (!ok) return End(grpc::Status::CANCELLED);
    if (out_.last()) return End(grpc::Status::OK);
    Pump();
  }
  void OnCancel() override {
    MutexLock lock(&shared_->mutex);
    End(context_->stopping ? grpc::Status(grpc::StatusCode::UNAVAILABLE, "the server is stopping")
                           : grpc::Status::CANCELLED);
  }
  void OnDone() override {
    uint64_t watch = 0;
    {
      MutexLock lock(&shared_->mutex);
      shared_->stream = nullptr;
      watch = shared_->watch;
    }
    if (watch != 0) context_->deps.controller->Unwatch(watch);
    delete this;
  }

 private:
  struct Shared {
    Mutex mutex;
    WatchStream* stream = nullptr;
    uint64_t watch = 0;
  };

  void Show(const controller::DeploymentView& view, bool transition) {
    if (ended_) return;
    v1::WatchDeploymentResponse next;
    ToWire(view, next.mutable_deployment());
    next.set_deployment_id(next.deployment().deployment_id());
    next.set_trace_id(trace_id_);
    next.set_transition(transition);
    next.set_last(Reached(view.status, until_));
    if (!next_.empty()) {
      v1::WatchDeploymentResponse& newest = next_.back();
      if (newest.last()) return;
      if (!newest.transition() || next_.size() >= kMaxWatchBacklog) {
        next.set_transition(transition || newest.transition());
        next_.pop_back();
      }
    }
    next_.push_back(std::move(next));
    Pump();
  }
  // Nothing comes any more; what is there is still shown.
  void Gone(const absl::Status& why) {
    gone_ = ToGrpc(why);
    Pump();
  }
  void Pump() {
    if (ended_ || writing_) return;
    if (next_.empty()) {
      if (gone_) End(*gone_);
      return;
    }
    out_ = std::move(next_.front());
    next_.pop_front();
    writing_ = true;
    StartWrite(&out_);
  }
  void End(const grpc::Status& status) {
    if (ended_) return;
    ended_ = true;
    Finish(status);
  }

  ServiceContext* context_;
  const v1::WatchDeploymentRequest::Until until_;
  const std::string trace_id_;
  // Guarded by shared_->mutex.
  std::deque<v1::WatchDeploymentResponse> next_;
  std::optional<grpc::Status> gone_;
  v1::WatchDeploymentResponse out_;
  bool writing_ = false;
  bool ended_ = false;
  std::shared_ptr<Shared> shared_ = [this] {
    auto shared = std::make_shared<Shared>();
    shared->stream = this;
    return shared;
  }();
};

}  // namespace

grpc::ServerWriteReactor<v1::WatchDeploymentResponse>* NewWatchStream(
    ServiceContext* context, grpc::CallbackServerContext* call,
    const v1::WatchDeploymentRequest& request) {
  auto* stream = new WatchStream(context, call, request);
  stream->Begin(request.deployment_id());
  return stream;
}

}  // namespace caxton::api
