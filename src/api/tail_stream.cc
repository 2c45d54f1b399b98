// SPDX-License-Identifier: Apache-2.0
//
// Tail: what an agent handled, from a cursor on. Rows are read on the API's reader strand, a batch
// at a time; only durable rows are shown. A cursor is "<agent number>.<row number>" of the last row
// seen, so that a re-created agent's rows are not taken for the old one's.
#include <atomic>
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

class TailStream final : public grpc::ServerWriteReactor<v1::TailResponse> {
 public:
  TailStream(ServiceContext* context, grpc::CallbackServerContext* call,
             const v1::TailRequest& request)
      : context_(context),
        agent_(request.agent()),
        follow_(request.follow()),
        trace_id_(context->TraceId(*call)) {
    shared_->stream = this;
  }

  void Begin(const std::string& cursor) {
    auto route = context_->deps.router->Routes()->Find(std::string_view(agent_));
    if (route == nullptr) {
      return End(ToGrpc(WithReason(absl::NotFoundError(StrCat("there is no agent '", agent_, "'")),
                                   "NO_SUCH_AGENT")));
    }
    id_ = route->id;
    if (absl::Status read = ReadCursor(cursor); !read.ok()) return End(ToGrpc(read));
    // The first tail of an agent makes it keep what it handles, from now on.
    if (!route->load->retain.exchange(true)) context_->deps.journal->SetRetention(id_, true);
    auto shared = shared_;
    shared->watch = context_->deps.journal->WatchRetained(
        id_, [shared, reader = context_->reader] { Wake(shared, reader); });
    Wake(shared_, context_->reader);
  }

  void OnWriteDone(bool ok) override {
    MutexLock lock(&shared_->mutex);
    writing_ = false;
    if (!ok) return EndLocked(grpc::Status::CANCELLED);
    Pump();
  }
  void OnCancel() override {
    MutexLock lock(&shared_->mutex);
    EndLocked(context_->stopping
                  ? grpc::Status(grpc::StatusCode::UNAVAILABLE, "the server is stopping")
                  : grpc::Status::CANCELLED);
  }
  void OnDone() override {
    uint64_t watch = 0;
    {
      MutexLock lock(&shared_->mutex);
      shared_->stream = nullptr;
      watch = shared_->watch;
    }
    if (watch != 0) context_->deps.journal->UnwatchRetained(watch);
    delete this;
  }

 private:
  struct Shared {
    Mutex mutex;
    TailStream* stream = nullptr;
    uint64_t watch = 0;
    std::atomic<bool> posted{false};  // a Read is on its way to the reader strand
  };

  absl::Status ReadCursor(const std::string& cursor) {
    const absl::Status bad = WithFix(
        WithReason(absl::InvalidArgumentError(StrCat("'", cursor, "' is no cursor")), "BAD_CURSOR"),
        "use one that an earlier tail printed, or 0 for the oldest message kept");
    if (cursor.empty()) {
      from_now_ = true;
      return absl::OkStatus();
    }
    if (cursor == "0") return absl::OkStatus();
    const size_t dot = cursor.find('.');
    uint32_t agent = 0;
    if (dot == std::string::npos || !absl::SimpleAtoi(cursor.substr(0, dot), &agent) ||
        !absl::SimpleAtoi(cursor.substr(dot + 1), &last_)) {
      return bad;
    }
    resumed_ = true;
    if (agent != id_.value())
      last_ = 0;  // another life of this name: from its beginning, with a gap shown
    return absl::OkStatus();
  }

  // Also called on the committer's strand: takes no lock.
  static void Wake(const std::shared_ptr<Shared>& shared, Executor* reader) {
    if (shared->posted.exchange(true)) return;
    reader->Post([shared] {
      shared->posted.store(false);
      MutexLock lock(&shared->mutex);
      if (shared->stream != nullptr) shared->stream->ReadLocked();
    });
  }

  void ReadLocked() {
    if (ended_ || rows_.size() >= kTailBatch) return;
    size_t read = 0;
    absl::StatusOr<uint64_t> first =
        context_->deps.journal->ScanRetained(id_, from_now_ ? UINT64_MAX : last_ + 1,
                                             [&](uint64_t n, const journal::RetainedRecord& row) {
                                               rows_.push_back(ToResponse(n, row));
                                               last_ = n;
                                               return ++read < kTailBatch;
                                             });
    if (!first.ok()) return EndLocked(ToGrpc(first.status()));
    if (std::exchange(from_now_, false)) last_ = EndOfKept();
    exhausted_ = read < kTailBatch;
    Pump();
  }

  uint64_t EndOfKept() const {
    uint64_t end = 0;
    (void)context_->deps.journal->ScanRetained(id_, 0,
                                               [&end](uint64_t n, const journal::RetainedRecord&) {
                                                 end = n;
                                                 return true;
                                               });
    return end;
  }

  v1::TailResponse ToResponse(uint64_t n, const journal::RetainedRecord& row) const {
    v1::TailResponse out;
    out.set_cursor(StrCat(id_.value(), ".", n));
    ToWire(row.envelope, out.mutable_envelope());
    out.set_revision(StrCat(agent_, "@", row.revision.value()));
    out.set_outcome("handled");
    if (row.reply) ToWire(*row.reply, out.mutable_reply());
    // Rows are numbered without holes: a jump means that older ones were trimmed. Who starts with
    // the oldest kept
    // ("0") has no row before it to miss.
    out.set_gap(n != last_ + 1 && (last_ != 0 || resumed_));
    SetTime(row.at_ns, out.mutable_time());
    return out;
  }

  void Pump() {
    if (ended_ || writing_) return;
    if (rows_.empty()) {
      if (!exhausted_) {
        Wake(shared_, context_->reader);
      } else if (!follow_) {
        EndLocked(grpc::Status::OK);
      }
      return;
    }
    out_ = std::move(rows_.front());
    rows_.pop_front();
    out_.set_trace_id(trace_id_);
    writing_ = true;
    StartWrite(&out_);
    if (rows_.size() < kTailBatch / 2 && !exhausted_) Wake(shared_, context_->reader);
  }

  void End(const grpc::Status& status) {
    MutexLock lock(&shared_->mutex);
    EndLocked(status);
  }
  void EndLocked(const grpc::Status& status) {
    if (ended_) return;
    ended_ = true;
    Finish(status);
  }

  ServiceContext* context_;
  const std::string agent_;
  const bool follow_;
  const std::string trace_id_;
  AgentId id_;
  const std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
  // Under shared_->mutex.
  uint64_t last_ = 0;  // number of the last row read
  bool from_now_ = false, resumed_ = false;
  bool exhausted_ = false;  // nothing is kept behind what has been read
  std::deque<v1::TailResponse> rows_;
  v1::TailResponse out_;
  bool writing_ = false;
  bool ended_ = false;
};

}  // namespace

grpc::ServerWriteReactor<v1::TailResponse>* NewTailStream(ServiceContext* context,
                                                          grpc::CallbackServerContext* call,
                                                          const v1::TailRequest& request) {
  auto* stream = new TailStream(context, call, request);
  stream->Begin(request.cursor());
  return stream;
}

}  // namespace caxton::api
