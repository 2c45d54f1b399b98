// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <string>

#include "caxton/api/limits.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/v1/agents.grpc.pb.h"
#include "convert.h"
#include "services.h"
#include "unary.h"

namespace caxton::api {
namespace {

using grpc::CallbackServerContext;
using grpc::ServerUnaryReactor;

class AgentsService final : public v1::Agents::CallbackService {
 public:
  explicit AgentsService(ServiceContext* context) : c_(context) {}

  ServerUnaryReactor* ListAgents(CallbackServerContext* call, const v1::ListAgentsRequest* request,
                                 v1::ListAgentsResponse* response) override {
    auto pending = UnaryCall<v1::ListAgentsResponse>::Begin(response, c_->TraceId(*call));
    const int32_t size =
        request->page_size() <= 0 ? kDefaultPageSize : std::min(request->page_size(), kMaxPageSize);
    c_->deps.controller->ListAgents([pending, size, token = request->page_token()](
                                        absl::StatusOr<std::vector<controller::AgentView>> all) {
      pending->Finish(all.status(), [&](v1::ListAgentsResponse* r) {
        // By name; the token is the last one of the page before.
        for (const controller::AgentView& view : *all) {
          if (view.record.name <= token) continue;
          if (r->agents_size() == size) {
            r->set_next_page_token(r->agents(size - 1).name());
            return;
          }
          ToWire(view, r->add_agents());
        }
      });
    });
    return pending->reactor();
  }

  ServerUnaryReactor* GetAgent(CallbackServerContext* call, const v1::GetAgentRequest* request,
                               v1::GetAgentResponse* response) override {
    auto pending = UnaryCall<v1::GetAgentResponse>::Begin(response, c_->TraceId(*call));
    c_->deps.controller->GetAgent(request->name(),
                                  [pending](absl::StatusOr<controller::AgentView> view) {
                                    pending->Finish(view.status(), [&](v1::GetAgentResponse* r) {
                                      ToWire(*view, r->mutable_agent());
                                      r->set_deployment_id(r->agent().deployment_id());
                                    });
                                  });
    return pending->reactor();
  }

  ServerUnaryReactor* RemoveAgent(CallbackServerContext* call,
                                  const v1::RemoveAgentRequest* request,
                                  v1::RemoveAgentResponse* response) override {
    auto pending = UnaryCall<v1::RemoveAgentResponse>::Begin(response, c_->TraceId(*call));
    router::RemoveMode mode = router::RemoveMode::kRefuseIfWaiting;
    if (request->waiting() == v1::RemoveAgentRequest::DRAIN) mode = router::RemoveMode::kDrain;
    if (request->waiting() == v1::RemoveAgentRequest::DEAD_LETTER)
      mode = router::RemoveMode::kDeadLetter;
    if (request->waiting() == v1::RemoveAgentRequest::PURGE) mode = router::RemoveMode::kPurge;
    if (!pending->Once(c_->answers, *request)) return pending->reactor();
    IfMatch(pending, request->name(), request->etag(),
            [this, pending, mode, name = request->name()] { Remove(pending, name, mode); });
    return pending->reactor();
  }

  void Remove(const std::shared_ptr<UnaryCall<v1::RemoveAgentResponse>>& pending,
              const std::string& name, router::RemoveMode mode) {
    c_->deps.controller->RemoveAgent(
        name, mode, [pending](absl::StatusOr<controller::RemoveOutcome> done) {
          pending->Finish(done.status(), [&](v1::RemoveAgentResponse* r) {
            r->set_drained(done->drained);
            r->set_dead_lettered(done->dead_lettered);
            r->set_dropped(done->dropped);
          });
        });
  }

  ServerUnaryReactor* AgentHistory(CallbackServerContext* call,
                                   const v1::AgentHistoryRequest* request,
                                   v1::AgentHistoryResponse* response) override {
    auto pending = UnaryCall<v1::AgentHistoryResponse>::Begin(response, c_->TraceId(*call));
    const int32_t size =
        request->page_size() <= 0 ? kDefaultPageSize : std::min(request->page_size(), kMaxPageSize);
    c_->deps.controller->History(
        request->name(), [pending, size, token = request->page_token()](
                             absl::StatusOr<std::vector<controller::HistoryEntry>> all) {
          pending->Finish(all.status(), [&](v1::AgentHistoryResponse* r) {
            bool begun = token.empty();
            for (const controller::HistoryEntry& entry : *all) {
              if (!begun) {
                begun = entry.revision.Name() == token;
                continue;
              }
              if (r->entries_size() == size) {
                r->set_next_page_token(r->entries(size - 1).revision().name());
                return;
              }
              v1::AgentHistoryResponse::Entry* made = r->add_entries();
              ToWire(entry.revision, made->mutable_revision());
              made->mutable_revision()->set_withdrawn(entry.withdrawn);
              made->mutable_revision()->set_artifact_kept(entry.restorable);
              made->mutable_revision()->set_weight_percent(entry.weight_ppm / 10'000.0);
              if (entry.deployment) {
                ToWire(controller::DeploymentView{.status = *entry.deployment},
                       made->mutable_deployment());
              }
            }
          });
        });
    return pending->reactor();
  }

  ServerUnaryReactor* SetAgent(CallbackServerContext* call, const v1::SetAgentRequest* request,
                               v1::SetAgentResponse* response) override {
    auto pending = UnaryCall<v1::SetAgentResponse>::Begin(response, c_->TraceId(*call));
    controller::DeployRequest deploy;
    deploy.agent = request->name();
    deploy.label = request->version();
    deploy.validate_only = request->validate_only();
    deploy.idempotency_key = request->idempotency_key();
    absl::StatusOr<DeploymentSpec> spec = FromWire(request->spec());
    absl::StatusOr<RevisionOverrides> overrides = FromWire(request->overrides());
    if (!spec.ok() || !overrides.ok()) {
      pending->Fail(spec.ok() ? overrides.status() : spec.status());
      return pending->reactor();
    }
    deploy.spec = *std::move(spec);
    deploy.overrides = *std::move(overrides);
    if (!pending->Once(c_->answers, *request)) return pending->reactor();
    IfMatch(pending, request->name(), request->etag(),
            [this, pending, deploy = std::move(deploy)] { Set(pending, deploy); });
    return pending->reactor();
  }

  void Set(const std::shared_ptr<UnaryCall<v1::SetAgentResponse>>& pending,
           const controller::DeployRequest& deploy) {
    c_->deps.controller->Deploy(deploy, [pending](absl::StatusOr<controller::DeployOutcome> made) {
      pending->Finish(made.status(), [&](v1::SetAgentResponse* r) {
        r->set_already_running(made->already_running);
        if (made->view.status.id.valid()) {
          ToWire(made->view, r->mutable_deployment());
          r->set_deployment_id(r->deployment().deployment_id());
        }
        for (const controller::FieldChange& change : made->changes)
          ToWire(change, r->add_changes());
      });
    });
  }

  ServerUnaryReactor* SetSecret(CallbackServerContext* call, const v1::SetSecretRequest*,
                                v1::SetSecretResponse* response) override {
    auto pending = UnaryCall<v1::SetSecretResponse>::Begin(response, c_->TraceId(*call));
    pending->Fail(NotCarriedOut("keeping secrets"));
    return pending->reactor();
  }

  grpc::ServerWriteReactor<v1::TailLogsResponse>* TailLogs(
      CallbackServerContext* call, const v1::TailLogsRequest* request) override {
    return NewLogStream(c_, call, *request);
  }

 private:
  // `act`, if the agent is as its etag says; the controller may change it in between.
  template <typename Response>
  void IfMatch(const std::shared_ptr<UnaryCall<Response>>& pending, const std::string& name,
               const std::string& etag, std::function<void()> act) {
    if (etag.empty()) return act();
    c_->deps.controller->GetAgent(
        name, [pending, etag, act = std::move(act)](absl::StatusOr<controller::AgentView> view) {
          if (!view.ok()) return pending->Fail(view.status());
          v1::Agent now;
          ToWire(*view, &now);
          if (now.etag() != etag) return pending->Fail(EtagMismatch(now.name()));
          act();
        });
  }

  ServiceContext* c_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeAgentsService(ServiceContext* context) {
  return std::make_unique<AgentsService>(context);
}

}  // namespace caxton::api
