// SPDX-License-Identifier: Apache-2.0
#include "load_runner.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <algorithm>
#include <atomic>
#include <ostream>
#include <thread>

#include "caxton/base/mutex.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/cli/limits.h"
#include "caxton/v1/messaging.grpc.pb.h"
#include "interrupt.h"
#include "rpc_status.h"

namespace caxton::cli {
namespace {

constexpr int64_t kLongestWaitNs = 100'000'000;  // the loop looks at its limits at least so often
constexpr int64_t kShowEveryNs = 500'000'000;    // numbers on a terminal

using Stream = grpc::ClientReaderWriter<v1::ExchangeRequest, v1::ExchangeResponse>;

// Errors that every further message would meet as well.
bool EndsTheLoad(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kUnimplemented:
      return true;
    default:
      return false;
  }
}

bool IsRefusal(const absl::Status& status) {
  return absl::IsResourceExhausted(status) || absl::IsUnavailable(status) ||
         ReasonOf(status) == kReasonAfterRefusal;
}

class LoadRunner final {
 public:
  LoadRunner(Context* context, const LoadParts& parts)
      : context_(*context),
        parts_(parts),
        clock_(*context->environment.clock),
        redraw_(MayRedraw(context->environment, context->environment.err_tty)),
        max_items_(std::clamp<size_t>(kMaxFrameBytes / std::max<size_t>(parts.options.size, 1), 1,
                                      kMaxFrameItems)),
        core_(parts.options) {}

  LoadOutcome Run() {
    InterruptScope interrupt([this] {
      MutexLock lock(&mutex_);
      core_.StopIssuing();
      interrupted_ns_ = clock_.MonoNanos();
      wake_.SignalAll();
    });
    {
      MutexLock lock(&mutex_);
      for (uint64_t number : parts_.ledger->Unfinished()) core_.Restore(number);
      last_heard_ns_ = clock_.MonoNanos();
      core_.Start(last_heard_ns_);
    }
    absl::Status status = Streams();
    if (shown_) context_.err() << "\r\x1b[K";
    MutexLock lock(&mutex_);
    LoadOutcome outcome{.summary = core_.Summary(clock_.MonoNanos()), .status = fatal_};
    outcome.summary.first_error = first_error_;
    if (outcome.status.ok() && outcome.summary.lost > 0 && interrupted_ns_ == 0) {
      outcome.status = status;
    }
    return outcome;
  }

 private:
  // Stream after stream, until the load is over or the server does not come back.
  absl::Status Streams() {
    int backoff_ms = kReconnectFirstMs;
    bool told = false;
    for (;;) {
      heard_on_this_stream_ = false;
      const absl::Status status = OneStream();
      {
        MutexLock lock(&mutex_);
        if (core_.Done() || !fatal_.ok()) return absl::OkStatus();
        const int64_t now = clock_.MonoNanos();
        if (InterruptOver(now)) return absl::OkStatus();
        if (!parts_.ride_over) {
          fatal_ =
              WithFix(status.ok() ? absl::UnavailableError("The server ended the stream") : status,
                      "--ledger FILE or --retry rides over a restart of the server");
          return status;
        }
        if (!status.ok() && !IsUnreachable(status) && EndsTheLoad(status)) fatal_ = status;
        if (!fatal_.ok()) return status;
        if (now - last_heard_ns_ > context_.globals.timeout_ns) {
          fatal_ =
              status.ok() ? absl::UnavailableError("The server does not answer any more") : status;
          return status;
        }
        core_.OnDisconnected();
        if (heard_on_this_stream_) {
          backoff_ms = kReconnectFirstMs;
          told = false;
        }
      }
      if (!told) context_.err() << "connection lost, reconnecting\n";
      told = true;
      context_.client().AwaitConnection(int64_t{backoff_ms} * kNanosPerMilli);
      backoff_ms = std::min(backoff_ms * 2, kReconnectMaxMs);
    }
  }

  absl::Status OneStream() {
    v1::Messaging::Stub stub(context_.client().channel());
    grpc::ClientContext call;
    auto stream = stub.Exchange(&call);
    {
      MutexLock lock(&mutex_);
      stream_over_ = false;
    }
    std::thread reader([this, &stream] {
      v1::ExchangeResponse frame;
      while (stream->Read(&frame)) OnFrame(frame);
      MutexLock lock(&mutex_);
      stream_over_ = true;
      wake_.SignalAll();
    });
    switch (WriteLoop(stream.get())) {
      case End::kComplete:
        stream->WritesDone();
        break;
      case End::kBroken:
        break;  // the reader sees it too; its status is the server's
      case End::kGivenUp:
        call.TryCancel();
        break;
    }
    reader.join();
    return FromGrpc(stream->Finish(), context_.client().server());
  }

  enum class End { kComplete, kBroken, kGivenUp };

  // kComplete once every message has its final answer.
  End WriteLoop(Stream* stream) {
    v1::ExchangeRequest frame;
    std::vector<LoadMessage> batch;
    for (;;) {
      batch.clear();
      {
        MutexLock lock(&mutex_);
        if (!NextBatch(&batch)) {
          if (core_.Done() && fatal_.ok()) return End::kComplete;
          return stream_over_ ? End::kBroken : End::kGivenUp;
        }
        if (!Record(batch)) return End::kGivenUp;
      }
      frame.Clear();
      for (const LoadMessage& message : batch) Fill(message, frame.add_items());
      if (!stream->Write(frame)) return End::kBroken;
    }
  }

  // Waits for something to send; false: this stream is over, or the load is.
  bool NextBatch(std::vector<LoadMessage>* batch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    for (;;) {
      if (stream_over_) return false;
      // What is under way is answered too: it is no loss.
      if (!fatal_.ok() && !(awaits_answers_ && core_.unanswered() > 0)) return false;
      const int64_t now = clock_.MonoNanos();
      if (InterruptOver(now)) return false;
      core_.Take(now, max_items_, batch);
      ShowNumbers(now);
      if (!batch->empty()) return true;
      if (core_.Done()) return false;
      if (core_.unanswered() == 0) {
        last_heard_ns_ = now;  // silence is ours
      } else if (now - last_heard_ns_ > context_.globals.timeout_ns) {
        return false;
      }
      const int64_t wait = std::clamp<int64_t>(core_.NextWake(now) - now, 1, kLongestWaitNs);
      wake_.WaitFor(&mutex_, wait);
    }
  }

  bool InterruptOver(int64_t now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return interrupted_ns_ > 0 &&
           (core_.unanswered() == 0 || now - interrupted_ns_ > kInterruptedDrainNs);
  }

  // Into the ledger before it goes out: the client must know all that the server may know.
  bool Record(const std::vector<LoadMessage>& batch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    for (const LoadMessage& message : batch) {
      parts_.ledger->Set(message.number, LedgerStatus::kSent);
      Line(message.again ? 'R' : 'S', message.number, "");
    }
    return FlushLedger();
  }

  void Line(char kind, uint64_t number, std::string_view detail) {
    if (parts_.ledger_file == nullptr) return;
    parts_.ledger_file->Append(
        FormatEntry(kind, number, clock_.WallNanos() / kNanosPerMicro, detail));
  }

  bool FlushLedger() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (parts_.ledger_file == nullptr) return true;
    absl::Status status = parts_.ledger_file->Flush();
    if (!status.ok()) fatal_ = std::move(status);
    return fatal_.ok();
  }

  void Fill(const LoadMessage& message, v1::ExchangeItem* item) const {
    item->set_client_ref(message.number);
    item->set_want_reply(parts_.options.request);
    v1::Envelope* envelope = item->mutable_envelope();
    envelope->set_receiver(parts_.options.agent);
    if (message.key >= 0) envelope->set_key(StrCat("k", message.key));
    envelope->set_content(LoadContent(parts_.options, message.number, message.key));
    if (parts_.options.idempotent) {
      envelope->set_idempotency_key(LoadIdempotencyKey(parts_.options, message.number));
    }
  }

  void OnFrame(const v1::ExchangeResponse& frame) {
    MutexLock lock(&mutex_);
    const int64_t now = clock_.MonoNanos();
    last_heard_ns_ = now;
    heard_on_this_stream_ = true;
    for (const v1::ExchangeResult& result : frame.results()) OnResult(now, result);
    FlushLedger();
    wake_.Signal();
  }

  void OnResult(int64_t now, const v1::ExchangeResult& result)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    using Outcome = LoadResult::Outcome;
    LoadResult out{.number = result.client_ref()};
    if (result.has_ack()) {
      out.outcome = Outcome::kAcked;
      parts_.ledger->Set(out.number, LedgerStatus::kAcked);
      Line('A', out.number, result.ack().message_id());
    } else if (result.has_reply()) {
      const v1::Reply& reply = result.reply().reply();
      LoadMark mark;
      out.outcome = Outcome::kAnswered;
      out.failure_reply = reply.performative() == v1::FAILURE;
      out.mismatched = FindLoadMark(reply.content(), &mark) &&
                       (mark.number != out.number || mark.run != parts_.options.run);
      parts_.ledger->Set(out.number, LedgerStatus::kAnswered);
      Line('Y', out.number,
           StrCat(v1::Performative_Name(reply.performative()), " ", result.reply().message_id(),
                  out.mismatched ? " mismatched" : ""));
    } else {
      OnError(result.error(), &out);
    }
    core_.OnResult(now, out);
  }

  void OnError(const v1::ItemError& error, LoadResult* out) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const absl::Status status = FromItemError(error);
    const std::string what =
        StrCat(absl::StatusCodeToString(status.code()), " ", OneLine(error.reason(), 64));
    if (IsRefusal(status)) {
      out->outcome = LoadResult::Outcome::kRefused;
      out->retry_after_ns = std::max<int64_t>(RetryAfterMsOf(status), 0) * kNanosPerMilli;
      parts_.ledger->Set(out->number, LedgerStatus::kRefused);
      Line('X', out->number, what);
      return;
    }
    out->outcome = LoadResult::Outcome::kFailed;
    parts_.ledger->Set(out->number, LedgerStatus::kFailed);
    Line('E', out->number, what);
    if (first_error_.empty()) {
      first_error_ = StrCat(what, ": ", OneLine(StdView(status.message()), 200));
    }
    if (EndsTheLoad(status) && fatal_.ok()) {
      fatal_ = status;
      core_.StopIssuing();
      awaits_answers_ = true;
    }
  }

  void ShowNumbers(int64_t now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (!redraw_ || now - shown_ns_ < kShowEveryNs) return;
    const LoadSummary summary = core_.Summary(now);
    context_.err() << "\r\x1b[K"
                   << "sent " << summary.sent << "  answered "
                   << summary.acknowledged + summary.answered << "  unanswered "
                   << core_.unanswered() << "  refused " << summary.refused << "  errors "
                   << summary.errors << std::flush;
    shown_ns_ = now;
    shown_ = true;
  }

  Context& context_;
  const LoadParts parts_;
  const Clock& clock_;
  const bool redraw_;
  const size_t max_items_;
  std::atomic<bool> heard_on_this_stream_{false};
  bool shown_ = false;  // main thread

  Mutex mutex_;
  CondVar wake_;
  LoadCore core_ ABSL_GUARDED_BY(mutex_);
  bool awaits_answers_ ABSL_GUARDED_BY(mutex_) = false;  // although `fatal_` ends the load
  bool stream_over_ ABSL_GUARDED_BY(mutex_) = false;
  int64_t last_heard_ns_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t interrupted_ns_ ABSL_GUARDED_BY(mutex_) = 0;  // 0: not
  int64_t shown_ns_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status fatal_ ABSL_GUARDED_BY(mutex_);
  std::string first_error_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

LoadOutcome RunLoad(Context* context, const LoadParts& parts) {
  return LoadRunner(context, parts).Run();
}

}  // namespace caxton::cli
