// SPDX-License-Identifier: Apache-2.0
//
// Exchange: many messages on one stream. Flow control is gRPC's own: the stream is read no further
// while too many items are unanswered or too many results are not written, which is where a client
// that does not read is felt. Results are gathered while a frame is being written and leave
// together in the next ones.
//
// Thread rule: gRPC's reactions, and answers from any thread; all state is under one mutex.
#include <memory>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "caxton/api/limits.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "convert.h"
#include "result_frames.h"
#include "services.h"
#include "status.h"

namespace caxton::api {
namespace {

class ExchangeStream final
    : public grpc::ServerBidiReactor<v1::ExchangeRequest, v1::ExchangeResponse> {
 public:
  ExchangeStream(ServiceContext* context, grpc::CallbackServerContext* call)
      : context_(context), state_(std::make_shared<State>()), sender_(context->NewSender()) {
    state_->stream = this;
    first_trace_ = context->TraceId(*call);
    StartRead(&in_);
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      MutexLock lock(&state_->mutex);
      reads_done_ = true;
      EndIfDone();
      return;
    }
    if (static_cast<size_t>(in_.items_size()) > kMaxExchangeItemsPerFrame) {
      MutexLock lock(&state_->mutex);
      return End(TooManyItems(in_.items_size()));
    }
    size_t bytes = 0;
    for (const v1::ExchangeItem& item : in_.items()) bytes += Take(item);
    if (bytes <= kMaxExchangeFrameBytes) {
      in_.Clear();  // its memory is used again
    } else {
      v1::ExchangeRequest().Swap(&in_);
    }
    MutexLock lock(&state_->mutex);
    read_paused_ = true;
    ReadOn();
  }

  void OnWriteDone(bool ok) override {
    MutexLock lock(&state_->mutex);
    writing_ = false;
    if (!ok) return End(grpc::Status::CANCELLED);
    out_.Clear();
    frames_.Written();
    Pump();
    ReadOn();
    EndIfDone();
  }

  void OnCancel() override {
    MutexLock lock(&state_->mutex);
    End(context_->stopping ? grpc::Status(grpc::StatusCode::UNAVAILABLE, "the server is stopping")
                           : grpc::Status::CANCELLED);
  }

  void OnDone() override {
    {
      MutexLock lock(&state_->mutex);
      state_->stream = nullptr;
    }
    delete this;
  }

 private:
  // Answers may come after the stream is gone: they hold this, not the stream.
  struct State {
    Mutex mutex;
    ExchangeStream* stream = nullptr;
  };

  static grpc::Status TooManyItems(int items) {
    return ToGrpc(WithFix(
        WithReason(absl::InvalidArgumentError(StrCat("a frame of ", items, " items: at most ",
                                                     kMaxExchangeItemsPerFrame,
                                                     " are taken; none of these was")),
                   "TOO_MANY_ITEMS"),
        "send them in several frames"));
  }

  // Returns the item's bytes.
  size_t Take(const v1::ExchangeItem& item) {
    const uint64_t ref = item.client_ref();
    absl::StatusOr<Envelope> envelope = FromWire(item.envelope(), item.want_reply());
    if (!envelope.ok()) {
      Answered(ref, 0, "", {envelope.status(), {}, {}, {}}, item.want_reply());
      return item.envelope().content().size();
    }
    envelope->sender = sender_;
    const size_t bytes = envelope->ByteSize();
    std::string order = OrderKey(*envelope);
    {
      MutexLock lock(&state_->mutex);
      ++unanswered_;
      unanswered_bytes_ += bytes;
      if (auto it = refused_.find(order); !order.empty() && it != refused_.end()) {
        if (it->second != ref) {
          Refuse(ref, bytes, it->second);
          return bytes;
        }
        refused_.erase(it);  // the refused one, sent again
      }
    }
    auto answer = [state = state_, ref, bytes, order, want = item.want_reply(),
                   agent = envelope->receiver](router::Answer answer) {
      MutexLock lock(&state->mutex);
      if (state->stream) state->stream->AnsweredLocked(ref, bytes, order, std::move(answer), want);
    };
    if (item.want_reply()) {
      context_->deps.router->Request(*std::move(envelope), std::move(answer));
    } else {
      context_->deps.router->Send(*std::move(envelope), std::move(answer));
    }
    return bytes;
  }

  // Messages of one key stay in order even where one of them is refused.
  static std::string OrderKey(const Envelope& envelope) {
    const std::string_view key = envelope.EffectiveKey();
    return key.empty() ? std::string() : StrCat(envelope.receiver, "/", key);
  }

  void Refuse(uint64_t ref, size_t bytes, uint64_t first) {
    router::Answer answer;
    answer.status =
        WithRetryAfterMs(WithReason(absl::ResourceExhaustedError(StrCat(
                                        "item ", first, " of the same key was refused before it")),
                                    "AFTER_REFUSAL"),
                         100);
    AnsweredLocked(ref, bytes, "", std::move(answer), false);
  }

  void Answered(uint64_t ref, size_t bytes, const std::string& order, router::Answer answer,
                bool want_reply) {
    MutexLock lock(&state_->mutex);
    ++unanswered_;
    AnsweredLocked(ref, bytes, order, std::move(answer), want_reply);
  }

  void AnsweredLocked(uint64_t ref, size_t bytes, const std::string& order, router::Answer answer,
                      bool want_reply) {
    --unanswered_;
    unanswered_bytes_ -= bytes;
    if (ended_) return;
    if (absl::IsResourceExhausted(answer.status) && !order.empty()) {
      if (refused_.size() >= kMaxRefusedKeysPerStream && !refused_.contains(order)) {
        return End(ToGrpc(
            absl::ResourceExhaustedError("too many keys of this stream are refused; slow down")));
      }
      refused_.emplace(order, ref);
    }
    frames_.Add([&](v1::ExchangeResult* result) {
      result->set_client_ref(ref);
      if (!answer.status.ok()) {
        ToItemError(answer.status, result->mutable_error());
      } else if (want_reply) {
        v1::ExchangeReply* reply = result->mutable_reply();
        reply->set_message_id(answer.message_id);
        if (answer.reply) ToWire(*answer.reply, reply->mutable_reply());
        reply->set_duplicate(answer.duplicate);
        if (answer.revision.valid()) reply->set_revision(StrCat("@", answer.revision.value()));
      } else {
        result->mutable_ack()->set_message_id(answer.message_id);
        result->mutable_ack()->set_duplicate(answer.duplicate);
      }
    });
    if (frames_.bytes() > kMaxExchangeUnreadBytes) return End(NotRead());
    PumpSoon();
    ReadOn();
  }

  static grpc::Status NotRead() {
    return ToGrpc(WithFix(
        WithReason(absl::ResourceExhaustedError(
                       StrCat("the client leaves results unread: more than ",
                              kMaxExchangeUnreadBytes >> 20, " MiB of them wait to be written")),
                   "RESULTS_UNREAD"),
        "read the stream's results, or have fewer requests unanswered; what was not answered may "
        "have been done: repeat it with its idempotency key"));
  }

  bool HasRoom() const {
    return unanswered_ + frames_.results() < kMaxExchangeUnanswered &&
           unanswered_bytes_ + frames_.bytes() < kMaxExchangeUnansweredBytes;
  }
  void ReadOn() {
    if (!read_paused_ || ended_ || !HasRoom()) return;
    read_paused_ = false;
    StartRead(&in_);
  }

  // The only answer that was awaited leaves at once. While more are, the frame is written on a
  // strand of its own, with all that has been answered by then: the shard or committer that answers
  // does not pay for the socket, and a burst needs few frames.
  void PumpSoon() {
    if (unanswered_ == 0) return Pump();
    if (ended_ || writing_ || pump_posted_) return;
    pump_posted_ = true;
    context_->writer->Post([state = state_] {
      MutexLock lock(&state->mutex);
      if (state->stream == nullptr) return;
      state->stream->pump_posted_ = false;
      state->stream->Pump();
    });
  }

  void Pump() {
    if (ended_ || writing_ || frames_.nothing_to_take()) return;
    frames_.Take(&out_);
    if (!first_trace_.empty()) out_.set_trace_id(std::exchange(first_trace_, {}));
    writing_ = true;
    StartWrite(&out_);
  }

  void EndIfDone() {
    if (reads_done_ && unanswered_ == 0 && !writing_ && frames_.nothing_to_take())
      End(grpc::Status::OK);
  }
  void End(const grpc::Status& status) {
    if (ended_) return;
    ended_ = true;
    frames_ = {};
    Finish(status);
  }

  ServiceContext* context_;
  const std::shared_ptr<State> state_;
  const std::string sender_;
  v1::ExchangeRequest in_;  // gRPC's between StartRead and OnReadDone
  // Under state_->mutex.
  v1::ExchangeResponse out_;  // gRPC's while writing_
  ResultFrames frames_;       // what is to be written after it
  std::string first_trace_;
  size_t unanswered_ = 0;
  size_t unanswered_bytes_ = 0;
  absl::flat_hash_map<std::string, uint64_t>
      refused_;  // order key -> client_ref of the first one refused
  bool writing_ = false;
  bool pump_posted_ = false;
  bool read_paused_ = false;
  bool reads_done_ = false;
  bool ended_ = false;
};

}  // namespace

grpc::ServerBidiReactor<v1::ExchangeRequest, v1::ExchangeResponse>* NewExchangeStream(
    ServiceContext* context, grpc::CallbackServerContext* call) {
  return new ExchangeStream(context, call);
}

}  // namespace caxton::api
