// SPDX-License-Identifier: Apache-2.0
//
// UnaryCall: one unary call that is answered later, from any thread, or never because the caller
// left. The answer and the cancellation race; whichever is first wins and the other does nothing.
//
// How to use: `auto call = UnaryCall<Resp>::Begin(context, response);` return call->reactor();
// later call->Finish(status, [&](Resp* r) {...}). Thread rule: Finish from any thread, any number
// of times; the first counts.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <memory>
#include <string>

#include "caxton/base/mutex.h"
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

  template <typename Fill>
  void Finish(const absl::Status& status, Fill&& fill) {
    MutexLock lock(&mutex_);
    if (finished_) return;
    finished_ = true;
    response_->set_trace_id(trace_id_);
    if (status.ok()) fill(response_);
    reactor_->Finish(ToGrpc(status));
  }
  void Fail(const absl::Status& status) {
    Finish(status, [](Response*) {});
  }

 private:
  class Reactor final : public grpc::ServerUnaryReactor {
   public:
    explicit Reactor(std::shared_ptr<UnaryCall> call) : call_(std::move(call)) {}
    void OnCancel() override { call_->Fail(absl::CancelledError("the caller left")); }
    void OnDone() override { delete this; }

   private:
    std::shared_ptr<UnaryCall> call_;
  };

  UnaryCall(Response* response, std::string trace_id)
      : response_(response), trace_id_(std::move(trace_id)) {}

  Mutex mutex_;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  Response* const response_;  // gRPC's; valid until Finish
  const std::string trace_id_;
  Reactor* reactor_ = nullptr;  // deletes itself after Finish
};

}  // namespace caxton::api
