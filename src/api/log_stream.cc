// SPDX-License-Identifier: Apache-2.0
//
// TailLogs: what an agent logged, from the lines that are kept, then live. Log lines are not
// durable.
#include <deque>
#include <memory>
#include <string>

#include "caxton/api/limits.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "convert.h"
#include "services.h"
#include "status.h"

namespace caxton::api {
namespace {

class LogStream final : public grpc::ServerWriteReactor<v1::TailLogsResponse> {
 public:
  LogStream(ServiceContext* context, grpc::CallbackServerContext* call,
            const v1::TailLogsRequest& request)
      : context_(context),
        agent_(request.name()),
        follow_(request.follow()),
        backlog_(request.backlog()),
        trace_id_(context->TraceId(*call)) {
    shared_->stream = this;
  }

  void Begin() {
    if (context_->deps.router->Routes()->Find(std::string_view(agent_)) == nullptr) {
      MutexLock lock(&shared_->mutex);
      return End(ToGrpc(WithReason(absl::NotFoundError(StrCat("there is no agent '", agent_, "'")),
                                   "NO_SUCH_AGENT")));
    }
    Poll(shared_, context_->reader, 0);
  }

  void OnWriteDone(bool ok) override {
    MutexLock lock(&shared_->mutex);
    writing_ = false;
    if (!ok) return End(grpc::Status::CANCELLED);
    Pump();
  }
  void OnCancel() override {
    MutexLock lock(&shared_->mutex);
    End(grpc::Status::CANCELLED);
  }
  void OnDone() override {
    {
      MutexLock lock(&shared_->mutex);
      shared_->stream = nullptr;
    }
    delete this;
  }

 private:
  struct Shared {
    Mutex mutex;
    LogStream* stream = nullptr;
  };

  static void Poll(const std::shared_ptr<Shared>& shared, Executor* reader, int64_t delay_ns) {
    reader->PostAfter(delay_ns, [shared, reader] {
      MutexLock lock(&shared->mutex);
      if (shared->stream == nullptr || shared->stream->ended_) return;
      shared->stream->Read();
      Poll(shared, reader, kLogPollNs);
    });
  }

  void Read() {
    if (lines_.size() >= kMaxLogLinesPerRead) return;
    std::vector<LogEntry> read = context_->deps.logs->Read(agent_, last_, kMaxLogLinesPerRead);
    if (last_ == 0 && backlog_ > 0 && read.size() > static_cast<size_t>(backlog_)) {
      read.erase(read.begin(), read.end() - backlog_);
    }
    for (LogEntry& line : read) {
      v1::TailLogsResponse out;
      SetTime(line.at_ns, out.mutable_time());
      out.set_level(static_cast<v1::TailLogsResponse::Level>(line.level + 1));
      out.set_revision(line.revision);
      out.set_text(line.text);
      if (last_ != 0 && line.number != last_ + 1)
        out.set_dropped(static_cast<int64_t>(line.number - last_ - 1));
      out.set_trace_id(trace_id_);
      last_ = line.number;
      lines_.push_back(std::move(out));
    }
    all_read_ = read.size() < kMaxLogLinesPerRead;
    Pump();
  }
  void Pump() {
    if (ended_ || writing_) return;
    if (lines_.empty()) {
      if (!follow_ && all_read_) End(grpc::Status::OK);
      return;
    }
    out_ = std::move(lines_.front());
    lines_.pop_front();
    writing_ = true;
    StartWrite(&out_);
  }
  void End(const grpc::Status& status) {
    if (ended_) return;
    ended_ = true;
    Finish(status);
  }

  ServiceContext* context_;
  const std::string agent_;
  const bool follow_;
  const int32_t backlog_;
  const std::string trace_id_;
  const std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
  // Under shared_->mutex.
  uint64_t last_ = 0;
  bool all_read_ = false;
  std::deque<v1::TailLogsResponse> lines_;
  v1::TailLogsResponse out_;
  bool writing_ = false;
  bool ended_ = false;
};

}  // namespace

grpc::ServerWriteReactor<v1::TailLogsResponse>* NewLogStream(ServiceContext* context,
                                                             grpc::CallbackServerContext* call,
                                                             const v1::TailLogsRequest& request) {
  auto* stream = new LogStream(context, call, request);
  stream->Begin();
  return stream;
}

}  // namespace caxton::api
