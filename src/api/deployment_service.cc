// SPDX-License-Identifier: Apache-2.0
#include <string>

#include "caxton/api/limits.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/model/text.h"
#include "caxton/v1/deployment.grpc.pb.h"
#include "convert.h"
#include "page.h"
#include "services.h"
#include "unary.h"

namespace caxton::api {
namespace {

using grpc::CallbackServerContext;
using grpc::ServerUnaryReactor;

// "ada@desk (ipv4:127.0.0.1:40112)": what the caller says, and where it called from. Nobody is
// authenticated in this release.
std::string Requester(const CallbackServerContext& call, const std::string& says) {
  // The HTTP port hands its calls on within the process.
  const std::string peer = call.peer();
  const bool network = StartsWith(peer, "ipv4:") || StartsWith(peer, "ipv6:");
  const std::string from = network ? peer : "the HTTP port";
  return says.empty() ? StrCat("somebody (", from, ")")
                      : StrCat(SanitizeUtf8(says), " (", from, ")");
}

// Collects an upload and keeps the module.
class UploadStream final : public grpc::ServerReadReactor<v1::UploadModuleRequest> {
 public:
  UploadStream(ServiceContext* context, CallbackServerContext* call,
               v1::UploadModuleResponse* response)
      : context_(context), response_(response) {
    response->set_trace_id(context->TraceId(*call));
    StartRead(&frame_);
  }

  void OnReadDone(bool ok) override {
    if (!ok) return Keep();
    if (frame_.chunk().size() > kMaxUploadFrameBytes) {
      return Finish(ToGrpc(absl::InvalidArgumentError(
          StrCat("a frame holds at most ", kMaxUploadFrameBytes, " bytes"))));
    }
    if (module_.size() + frame_.chunk().size() > kMaxModuleBytes) {
      return Finish(ToGrpc(WithReason(
          absl::InvalidArgumentError(StrCat("a module has at most ", kMaxModuleBytes, " bytes")),
          "MODULE_TOO_LARGE")));
    }
    module_.append(frame_.chunk());
    StartRead(&frame_);
  }
  void OnDone() override { delete this; }

 private:
  void Keep() {
    if (module_.empty()) return Finish(ToGrpc(absl::InvalidArgumentError("the upload is empty")));
    // Written and synced on the reader strand: gRPC's threads do not wait for disks.
    context_->reader->Post(
        [this] { context_->deps.artifacts->PutModule(module_).ok() ? Done() : Failed(); });
  }
  void Done() {
    response_->set_module_digest(Sha256(module_).ToHex());
    response_->set_size_bytes(static_cast<int64_t>(module_.size()));
    Finish(grpc::Status::OK);
  }
  void Failed() {
    Finish(ToGrpc(absl::InternalError("the module could not be kept; see the server's log")));
  }

  ServiceContext* context_;
  v1::UploadModuleResponse* response_;
  v1::UploadModuleRequest frame_;
  std::string module_;
};

class DeploymentService final : public v1::AgentDeployment::CallbackService {
 public:
  explicit DeploymentService(ServiceContext* context) : c_(context) {}

  ServerUnaryReactor* DeployAgent(CallbackServerContext* call, const v1::DeployRequest* request,
                                  v1::DeployResponse* response) override {
    return Deploy(call, request->GetDescriptor()->name(), *request, response);
  }
  ServerUnaryReactor* DeployAgents(CallbackServerContext* call,
                                   const v1::DeployAgentsRequest* request,
                                   v1::DeployAgentsResponse* response) override;
  ServerUnaryReactor* CreateCanaryDeployment(CallbackServerContext* call,
                                             const v1::CanaryRequest* request,
                                             v1::CanaryResponse* response) override {
    return DeployAs(call, *request, v1::CANARY, response);
  }
  ServerUnaryReactor* CreateBlueGreenDeployment(CallbackServerContext* call,
                                                const v1::BlueGreenRequest* request,
                                                v1::BlueGreenResponse* response) override {
    return DeployAs(call, *request, v1::BLUE_GREEN, response);
  }
  ServerUnaryReactor* CreateShadowDeployment(CallbackServerContext* call,
                                             const v1::ShadowRequest* request,
                                             v1::ShadowResponse* response) override {
    return DeployAs(call, *request, v1::SHADOW, response);
  }

  ServerUnaryReactor* PromoteCanary(CallbackServerContext* call, const v1::PromoteRequest* request,
                                    v1::PromoteResponse* response) override {
    auto pending = Begin(call, response);
    if (!pending->Once(c_->deps.commands, *request)) return pending->reactor();
    controller::PromoteRequest promote;
    promote.target = request->deployment_id();
    promote.from_stage = request->from_stage();
    promote.full = request->full();
    promote.terms = {request->etag(), pending->claim()};
    c_->deps.controller->Promote(std::move(promote), Answer(pending));
    return pending->reactor();
  }
  ServerUnaryReactor* PauseDeployment(CallbackServerContext* call, const v1::PauseRequest* request,
                                      v1::PauseResponse* response) override {
    return Steer(call, *request, response, &controller::Controller::Pause);
  }
  ServerUnaryReactor* ResumeDeployment(CallbackServerContext* call,
                                       const v1::ResumeRequest* request,
                                       v1::ResumeResponse* response) override {
    return Steer(call, *request, response, &controller::Controller::Resume);
  }
  ServerUnaryReactor* AbortDeployment(CallbackServerContext* call, const v1::AbortRequest* request,
                                      v1::AbortResponse* response) override {
    return Steer(call, *request, response, &controller::Controller::Abort);
  }
  ServerUnaryReactor* RetryDeployment(CallbackServerContext* call, const v1::RetryRequest* request,
                                      v1::RetryResponse* response) override {
    auto pending = Begin(call, response);
    if (!pending->Once(c_->deps.commands, *request)) return pending->reactor();
    c_->deps.controller->Retry(request->deployment_id(), pending->claim(),
                               [pending](absl::StatusOr<controller::DeployOutcome> made) {
                                 pending->Finish(made.status(),
                                                 [&](auto* r) { Fill(made->view, r); });
                               });
    return pending->reactor();
  }
  ServerUnaryReactor* RollbackDeployment(CallbackServerContext* call,
                                         const v1::RollbackRequest* request,
                                         v1::RollbackResponse* response) override;
  ServerUnaryReactor* GetDeployment(CallbackServerContext* call,
                                    const v1::GetDeploymentRequest* request,
                                    v1::GetDeploymentResponse* response) override {
    auto pending = Begin(call, response);
    c_->deps.controller->GetDeployment(request->deployment_id(), Answer(pending));
    return pending->reactor();
  }
  ServerUnaryReactor* ListDeployments(CallbackServerContext* call,
                                      const v1::ListDeploymentsRequest* request,
                                      v1::ListDeploymentsResponse* response) override;
  ServerUnaryReactor* ExplainDeployment(CallbackServerContext* call,
                                        const v1::ExplainDeploymentRequest* request,
                                        v1::ExplainDeploymentResponse* response) override;
  ServerUnaryReactor* ValidateAgent(CallbackServerContext* call,
                                    const v1::ValidateAgentRequest* request,
                                    v1::ValidateAgentResponse* response) override;
  grpc::ServerWriteReactor<v1::WatchDeploymentResponse>* WatchDeployment(
      CallbackServerContext* call, const v1::WatchDeploymentRequest* request) override {
    return NewWatchStream(c_, call, *request);
  }
  grpc::ServerReadReactor<v1::UploadModuleRequest>* UploadModule(
      CallbackServerContext* call, v1::UploadModuleResponse* response) override {
    return new UploadStream(c_, call, response);
  }

 private:
  template <typename Response>
  std::shared_ptr<UnaryCall<Response>> Begin(CallbackServerContext* call, Response* response) {
    return UnaryCall<Response>::Begin(response, c_->TraceId(*call));
  }
  template <typename Response>
  static void Fill(const controller::DeploymentView& view, Response* response) {
    ToWire(view, response->mutable_deployment());
    response->set_deployment_id(response->deployment().deployment_id());
  }
  template <typename Response>
  static controller::Done<controller::DeploymentView> Answer(
      std::shared_ptr<UnaryCall<Response>> pending) {
    return [pending](absl::StatusOr<controller::DeploymentView> view) {
      pending->Finish(view.status(), [&](Response* r) { Fill(*view, r); });
    };
  }

  using Steering = void (controller::Controller::*)(std::string, controller::CommandTerms,
                                                    controller::Done<controller::DeploymentView>);
  template <typename Request, typename Response>
  ServerUnaryReactor* Steer(CallbackServerContext* call, const Request& request, Response* response,
                            Steering steer) {
    auto pending = Begin(call, response);
    if (!pending->Once(c_->deps.commands, request)) return pending->reactor();
    controller::CommandTerms terms{request.etag(), pending->claim()};
    if constexpr (requires { request.reason(); }) terms.reason = request.reason();
    (c_->deps.controller->*steer)(request.deployment_id(), std::move(terms), Answer(pending));
    return pending->reactor();
  }

  // The module of a request: kept, and its digest.
  absl::StatusOr<Digest> Module(const std::string& bytes, const std::string& digest) {
    if (!digest.empty()) return Digest::FromHex(digest);
    if (bytes.empty()) {
      return WithFix(absl::InvalidArgumentError("the request holds no module"),
                     "send wasm_module or module_digest");
    }
    if (bytes.size() > kMaxModuleBytes) {
      return WithReason(absl::InvalidArgumentError(StrCat("a module has at most ", kMaxModuleBytes,
                                                          " bytes, this has ", bytes.size())),
                        "MODULE_TOO_LARGE");
    }
    return c_->deps.artifacts->PutModule(bytes);
  }
  // Keeps it, and leaves its digest in its place: a repeat is one whichever way the module came.
  absl::StatusOr<Digest> Keep(v1::DeployRequest* request) {
    ASSIGN_OR_RETURN(const Digest module, Module(request->wasm_module(), request->module_digest()));
    request->set_module_digest(module.ToHex());
    return module;
  }

  // `name`: of the call, whose idempotency keys are its own.
  template <typename Response>
  ServerUnaryReactor* Deploy(CallbackServerContext* call, const std::string& name,
                             v1::DeployRequest request, Response* response) {
    auto pending = Begin(call, response);
    absl::StatusOr<controller::DeployRequest> deploy = FromWire(request);
    if (!deploy.ok()) {
      pending->Fail(deploy.status());
      return pending->reactor();
    }
    deploy->requested_by = Requester(*call, deploy->requested_by);
    // The module is written and synced on the reader strand.
    c_->reader->Post(
        [this, pending, name, deploy = *std::move(deploy), request = std::move(request)]() mutable {
          absl::StatusOr<Digest> module = Keep(&request);
          if (!module.ok()) return pending->Fail(module.status());
          deploy.module = *module;
          // A dry run changes nothing, however often it is made.
          if (!deploy.validate_only &&
              !pending->Once(c_->deps.commands, name, request.idempotency_key(), request)) {
            return;
          }
          deploy.terms.claim = pending->claim();
          c_->deps.controller->Deploy(
              std::move(deploy), [pending](absl::StatusOr<controller::DeployOutcome> made) {
                pending->Finish(made.status(), [&](Response* r) { FillOutcome(*made, r); });
              });
        });
    return pending->reactor();
  }

  template <typename Request, typename Response>
  ServerUnaryReactor* DeployAs(CallbackServerContext* call, const Request& request,
                               v1::Strategy strategy, Response* response) {
    v1::DeployRequest deploy = request.deploy();
    const v1::Strategy asked = deploy.spec().strategy();
    if (asked != v1::STRATEGY_UNSPECIFIED && asked != strategy) {
      auto pending = Begin(call, response);
      pending->Fail(
          absl::InvalidArgumentError(StrCat("spec.strategy is ", v1::Strategy_Name(asked),
                                            ", this call makes ", v1::Strategy_Name(strategy))));
      return pending->reactor();
    }
    deploy.mutable_spec()->set_strategy(strategy);
    return Deploy(call, request.GetDescriptor()->name(), std::move(deploy), response);
  }

  static void FillOutcome(const controller::DeployOutcome& made, v1::DeployResponse* r) {
    r->set_already_running(made.already_running);
    if (made.view.status.id.valid()) Fill(made.view, r);
    if (made.validation) ToWire(*made.validation, r->mutable_validation());
    for (const controller::FieldChange& change : made.changes) ToWire(change, r->add_changes());
  }
  template <typename Response>
  static void FillOutcome(const controller::DeployOutcome& made, Response* r) {
    if constexpr (requires { r->set_already_running(true); })
      r->set_already_running(made.already_running);
    if (made.view.status.id.valid()) Fill(made.view, r);
  }

  ServiceContext* c_;
};

ServerUnaryReactor* DeploymentService::RollbackDeployment(CallbackServerContext* call,
                                                          const v1::RollbackRequest* request,
                                                          v1::RollbackResponse* response) {
  auto pending = Begin(call, response);
  controller::RollbackRequest rollback;
  rollback.target = request->agent();
  rollback.to = RevisionNumber(request->to_revision());
  absl::StatusOr<int64_t> drain_ns = FromWire(request->drain(), "drain");
  if (!drain_ns.ok()) {
    pending->Fail(drain_ns.status());
    return pending->reactor();
  }
  rollback.drain_ns = *drain_ns;
  if (!pending->Once(c_->deps.commands, *request)) return pending->reactor();
  rollback.terms = {request->etag(), pending->claim(), request->reason()};
  c_->deps.controller->Rollback(
      std::move(rollback), [pending](absl::StatusOr<controller::RollbackOutcome> done) {
        pending->Finish(done.status(), [&](v1::RollbackResponse* r) {
          Fill(done->view, r);
          *r->mutable_phases() = r->deployment().phases();
          r->set_from_revision(done->from);
          r->set_to_revision(done->to);
          r->set_redelivered(static_cast<int64_t>(done->view.redelivered));
        });
      });
  return pending->reactor();
}

ServerUnaryReactor* DeploymentService::DeployAgents(CallbackServerContext* call,
                                                    const v1::DeployAgentsRequest* request,
                                                    v1::DeployAgentsResponse* response) {
  auto pending = Begin(call, response);
  std::vector<controller::DeployRequest> group;
  for (const v1::DeployRequest& one : request->deploy()) {
    absl::StatusOr<controller::DeployRequest> deploy = FromWire(one);
    if (!deploy.ok()) {
      pending->Fail(Annotate(deploy.status(), StrCat("deploy[", group.size(), "]")));
      return pending->reactor();
    }
    deploy->requested_by = Requester(*call, deploy->requested_by);
    group.push_back(*std::move(deploy));
  }
  c_->reader->Post([this, pending, group = std::move(group), request = *request]() mutable {
    for (size_t i = 0; i < group.size(); ++i) {
      v1::DeployRequest* one = request.mutable_deploy(static_cast<int>(i));
      // One key for the whole: a member's own would make half a repeat.
      one->clear_idempotency_key();
      absl::StatusOr<Digest> module = Keep(one);
      if (!module.ok()) {
        return pending->Fail(Annotate(module.status(), StrCat("deploy[", i, "]")));
      }
      group[i].module = *module;
    }
    if (!pending->Once(c_->deps.commands, request)) return;
    c_->deps.controller->DeployGroup(
        std::move(group), pending->claim(),
        [pending](absl::StatusOr<controller::GroupOutcome> group) {
          pending->Finish(group.status(), [&](v1::DeployAgentsResponse* r) {
            for (const controller::DeploymentView& view : group->made) {
              ToWire(view, r->add_deployments());
            }
            if (!group->made.empty()) r->set_deployment_id(r->deployments(0).deployment_id());
            for (const std::string& agent : group->already_running) r->add_already_running(agent);
          });
        });
  });
  return pending->reactor();
}

ServerUnaryReactor* DeploymentService::ListDeployments(CallbackServerContext* call,
                                                       const v1::ListDeploymentsRequest* request,
                                                       v1::ListDeploymentsResponse* response) {
  auto pending = Begin(call, response);
  const bool active_only = request->active_only();
  absl::StatusOr<Page> page = Page::Of(
      *request,
      StrCat(active_only ? "active deployments of " : "deployments of ", request->agent()));
  if (!page.ok()) {
    pending->Fail(page.status());
    return pending->reactor();
  }
  c_->deps.controller->ListDeployments(
      request->agent(), [pending, active_only, page = *std::move(page)](
                            absl::StatusOr<std::vector<controller::DeploymentView>> all) {
        pending->Finish(all.status(), [&](v1::ListDeploymentsResponse* r) {
          const uint64_t after = page.after_number();
          uint64_t last = 0;
          for (const controller::DeploymentView& view : *all) {  // newest first
            if (after != 0 && view.status.id.value() >= after) continue;
            const auto state = view.status.state;
            if (active_only && state != deployment::DeploymentState::kValidating &&
                state != deployment::DeploymentState::kDeploying) {
              continue;
            }
            if (r->deployments_size() == page.size()) {
              r->set_next_page_token(page.TokenAt(StrCat(last)));
              return;
            }
            ToWire(view, r->add_deployments());
            last = view.status.id.value();
          }
        });
      });
  return pending->reactor();
}

ServerUnaryReactor* DeploymentService::ExplainDeployment(
    CallbackServerContext* call, const v1::ExplainDeploymentRequest* request,
    v1::ExplainDeploymentResponse* response) {
  auto pending = Begin(call, response);
  c_->deps.controller->Explain(
      request->deployment_id(), [pending](absl::StatusOr<controller::Explanation> done) {
        pending->Finish(done.status(), [&](v1::ExplainDeploymentResponse* r) {
          Fill(done->view, r);
          ToWire(done->recomputed, r->mutable_verdict());
          AddTests(done->numbers, r->mutable_verdict());
          r->set_evidence_count(done->evidence);
          r->set_matches_recorded(done->matches);
        });
      });
  return pending->reactor();
}

ServerUnaryReactor* DeploymentService::ValidateAgent(CallbackServerContext* call,
                                                     const v1::ValidateAgentRequest* request,
                                                     v1::ValidateAgentResponse* response) {
  auto pending = Begin(call, response);
  controller::DeployRequest deploy;
  deploy.agent = request->name();
  absl::StatusOr<RevisionOverrides> overrides = FromWire(request->overrides());
  if (!overrides.ok()) {
    pending->Fail(overrides.status());
    return pending->reactor();
  }
  deploy.overrides = *std::move(overrides);
  c_->reader->Post([this, pending, deploy = std::move(deploy), bytes = request->wasm_module(),
                    digest = request->module_digest()]() mutable {
    absl::StatusOr<Digest> module = Module(bytes, digest);
    if (!module.ok()) return pending->Fail(module.status());
    deploy.module = *module;
    c_->deps.controller->Validate(
        std::move(deploy), [pending](absl::StatusOr<validation::ValidationReport> report) {
          pending->Finish(report.status(), [&](v1::ValidateAgentResponse* r) {
            ToWire(*report, r->mutable_report());
          });
        });
  });
  return pending->reactor();
}

}  // namespace

std::unique_ptr<grpc::Service> MakeDeploymentService(ServiceContext* context) {
  return std::make_unique<DeploymentService>(context);
}

}  // namespace caxton::api
