// SPDX-License-Identifier: Apache-2.0
#include "caxton/v1/audit.grpc.pb.h"
#include "services.h"
#include "unary.h"

namespace caxton::api {
namespace {

// The record of actions is a later release's; until then both calls say so.
class AuditService final : public v1::Audit::CallbackService {
 public:
  explicit AuditService(ServiceContext* context) : c_(context) {}

  grpc::ServerUnaryReactor* ListAudit(grpc::CallbackServerContext* call,
                                      const v1::ListAuditRequest*,
                                      v1::ListAuditResponse* response) override {
    auto pending = UnaryCall<v1::ListAuditResponse>::Begin(response, c_->TraceId(*call));
    pending->Fail(NotCarriedOut("the audit record"));
    return pending->reactor();
  }
  grpc::ServerUnaryReactor* VerifyAudit(grpc::CallbackServerContext* call,
                                        const v1::VerifyAuditRequest*,
                                        v1::VerifyAuditResponse* response) override {
    auto pending = UnaryCall<v1::VerifyAuditResponse>::Begin(response, c_->TraceId(*call));
    pending->Fail(NotCarriedOut("the audit record"));
    return pending->reactor();
  }

 private:
  ServiceContext* c_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeAuditService(ServiceContext* context) {
  return std::make_unique<AuditService>(context);
}

}  // namespace caxton::api
