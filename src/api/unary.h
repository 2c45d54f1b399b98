// SPDX-License-Identifier: Apache-2.0
//
// UnaryCall: one unary call that is answered later, from any thread, or never because the caller
// left. The answer and the cancellation race; whichever is first wins and the other does nothing.
//
// A call that changes something is carried out once per idempotency key: Once() is false for a
// repeat, which gets the first one's answer; else claim() goes to the controller with the command.
// The work goes on when its caller has left, and its answer is kept for the repeat that will come.
//
// How to use: `auto call = UnaryCall<Resp>::Begin(context, response);` return call->reactor();
// later call->Finish(status, [&](Resp* r) {...}). Thread rule: Finish from any thread, any number
// of times; the first counts.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "caxton/base/mutex.h"
#include "caxton/controller/command_book.h"
#include "request_digests.h"
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
  bool Once(controller::CommandBook* book, const Request& request) {
    return Once(book, request.GetDescriptor()->name(), request.idempotency_key(), request);
  }
  // Keys of different calls have nothing to do with each other.
  bool Once(controller::CommandBook* book, const std::string& name, const std::string& key,
            const google::protobuf::Message& request) {
    if (key.empty()) return true;
    std::optional<controller::CommandClaim> claim =
        book->Begin(name, key, DigestsOf(request),
                    [self = this->shared_from_this()](const absl::StatusOr<std::string>& answer) {
                      self->Tell(answer);
                    });
    if (!claim.has_value()) return false;
    MutexLock lock(&mutex_);
    book_ = book;
    claim_ = *std::move(claim);
    return true;
  }
  // After Once.
  controller::CommandClaim claim() {
    MutexLock lock(&mutex_);
    return claim_;
  }

  template <typename Fill>
  void Finish(const absl::Status& status, Fill&& fill) {
    controller::CommandBook* book = nullptr;
    uint64_t number = 0;
    {
      MutexLock lock(&mutex_);
      book = std::exchange(book_, nullptr);
      number = claim_.number;
    }
    if (book == nullptr) return End(status, fill);
    Response made;
    if (status.ok()) fill(&made);
    book->Settle(number,
                 status.ok() ? absl::StatusOr<std::string>(made.SerializeAsString()) : status,
                 [self = this->shared_from_this()](const absl::StatusOr<std::string>& answer) {
                   self->Tell(answer);
                 });
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

  void Tell(const absl::StatusOr<std::string>& answer) {
    End(answer.status(), [&](Response* r) { (void)r->ParseFromString(*answer); });
  }

  UnaryCall(Response* response, std::string trace_id)
      : response_(response), trace_id_(std::move(trace_id)) {}

  Mutex mutex_;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  controller::CommandBook* book_ ABSL_GUARDED_BY(mutex_) = nullptr;  // set: to be settled
  controller::CommandClaim claim_ ABSL_GUARDED_BY(mutex_);
  Response* const response_;  // gRPC's; valid until Finish
  const std::string trace_id_;
  Reactor* reactor_ = nullptr;  // deletes itself after Finish
};

}  // namespace caxton::api
