// SPDX-License-Identifier: Apache-2.0
//
// UnaryCall: one unary call that is answered later, from any thread, or never because the caller
// left. The answer and the cancellation race; whichever is first wins and the other does nothing.
//
// A call that changes something is carried out once per idempotency key: Once() is false for a
// repeat, which gets the first one's answer. The work goes on when its caller has left, and its
// answer is kept for the repeat that will come.
//
// How to use: `auto call = UnaryCall<Resp>::Begin(context, response);` return call->reactor();
// later call->Finish(status, [&](Resp* r) {...}). Thread rule: Finish from any thread, any number
// of times; the first counts.
#pragma once

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "answer_book.h"
#include "caxton/base/mutex.h"
#include "caxton/base/strings.h"
#include "caxton/model/limits.h"
#include "status.h"

namespace caxton::api {

template <typename Response>
class UnaryCall : public std::enable_shared_from_this<UnaryCall<Response>> {
 public:
  static std::shared_ptr<UnaryCall> Begin(Response* response, std::string trace_id) {
    auto call = std::shared_ptr<UnaryCall>(new UnaryCall(response, std::move(trace_id)));
    call->reactor_ = new Reactor(call);
    return call;
  }
  grpc::ServerUnaryReactor* reactor() { return reactor_; }

  // Whether the caller is to carry `request` out. Without a key it always is.
  template <typename Request>
  bool Once(AnswerBook* book, const Request& request) {
    if (request.idempotency_key().empty()) return true;
    if (request.idempotency_key().size() > kMaxEnvelopeFieldBytes) {
      Fail(absl::InvalidArgumentError(
          StrCat("idempotency_key: at most ", kMaxEnvelopeFieldBytes, " bytes")));
      return false;
    }
    // Keys of different calls have nothing to do with each other.
    std::string key = StrCat(Request::descriptor()->full_name(), " ", request.idempotency_key());
    const bool first = book->Begin(
        key, Canonical(request),
        [self = this->shared_from_this()](const absl::StatusOr<std::string>& answer) {
          self->End(answer.status(), [&](Response* r) { (void)r->ParseFromString(*answer); });
        });
    if (!first) return false;
    MutexLock lock(&mutex_);
    settle_ = [book, key = std::move(key)](const absl::StatusOr<std::string>& answer) {
      book->Settle(key, answer);
    };
    return true;
  }

  template <typename Fill>
  void Finish(const absl::Status& status, Fill&& fill) {
    std::function<void(const absl::StatusOr<std::string>&)> settle;
    {
      MutexLock lock(&mutex_);
      settle = std::exchange(settle_, nullptr);
    }
    if (settle == nullptr) return End(status, fill);
    Response made;
    if (status.ok()) fill(&made);
    settle(status.ok() ? absl::StatusOr<std::string>(made.SerializeAsString()) : status);
    End(status, [&](Response* r) { r->Swap(&made); });
  }
  void Fail(const absl::Status& status) {
    Finish(status, [](Response*) {});
  }

 private:
  class Reactor final : public grpc::ServerUnaryReactor {
   public:
    explicit Reactor(std::shared_ptr<UnaryCall> call) : call_(std::move(call)) {}
    void OnCancel() override {
      call_->End(absl::CancelledError("the caller left"), [](Response*) {});
    }
    void OnDone() override { delete this; }

   private:
    std::shared_ptr<UnaryCall> call_;
  };

  // Answers the caller, if it is still there.
  template <typename Fill>
  void End(const absl::Status& status, Fill&& fill) {
    MutexLock lock(&mutex_);
    if (finished_) return;
    finished_ = true;
    if (status.ok()) fill(response_);
    response_->set_trace_id(trace_id_);  // a repeat has its own
    reactor_->Finish(ToGrpc(status));
  }

  // Equal messages, equal bytes.
  template <typename Request>
  static std::string Canonical(const Request& request) {
    std::string bytes;
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    (void)request.SerializeToCodedStream(&coded);
    coded.Trim();
    return bytes;
  }

  UnaryCall(Response* response, std::string trace_id)
      : response_(response), trace_id_(std::move(trace_id)) {}

  Mutex mutex_;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  std::function<void(const absl::StatusOr<std::string>&)> settle_ ABSL_GUARDED_BY(mutex_);
  Response* const response_;  // gRPC's; valid until Finish
  const std::string trace_id_;
  Reactor* reactor_ = nullptr;  // deletes itself after Finish
};

}  // namespace caxton::api
