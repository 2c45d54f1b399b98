// SPDX-License-Identifier: Apache-2.0
#include <string>

#include "caxton/api/limits.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/v1/agents.grpc.pb.h"
#include "convert.h"
#include "page.h"
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
    absl::StatusOr<Page> page = Page::Of(*request, "agents");
    if (!page.ok()) {
      pending->Fail(page.status());
      return pending->reactor();
    }
    c_->deps.controller->ListAgents(
        [pending, page = *std::move(page)](absl::StatusOr<std::vector<controller::AgentView>> all) {
          pending->Finish(all.status(), [&](v1::ListAgentsResponse* r) {
            for (const controller::AgentView& view : *all) {  // by name
              if (view.record.name <= page.after()) continue;
              if (r->agents_size() == page.size()) {
                r->set_next_page_token(page.TokenAt(r->agents(page.size() - 1).name()));
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
    if (!pending->Once(c_->deps.commands, *request)) return pending->reactor();
    c_->deps.controller->RemoveAgent(request->name(), mode, {request->etag(), pending->claim()},
                                     [pending](absl::StatusOr<controller::RemoveOutcome> done) {
                                       pending->Finish(done.status(),
                                                       [&](v1::RemoveAgentResponse* r) {
                                                         r->set_drained(done->drained);
                                                         r->set_dead_lettered(done->dead_lettered);
                                                         r->set_dropped(done->dropped);
                                                       });
                                     });
    return pending->reactor();
  }

  ServerUnaryReactor* AgentHistory(CallbackServerContext* call,
                                   const v1::AgentHistoryRequest* request,
                                   v1::AgentHistoryResponse* response) override {
    auto pending = UnaryCall<v1::AgentHistoryResponse>::Begin(response, c_->TraceId(*call));
    absl::StatusOr<Page> page = Page::Of(*request, StrCat("history of ", request->name()));
    if (!page.ok()) {
      pending->Fail(page.status());
      return pending->reactor();
    }
    c_->deps.controller->History(
        request->name(), [pending, page = *std::move(page)](
                             absl::StatusOr<std::vector<controller::HistoryEntry>> all) {
          pending->Finish(all.status(), [&](v1::AgentHistoryResponse* r) {
            const uint64_t after = page.after_number();
            for (const controller::HistoryEntry& entry : *all) {  // newest first
              if (after != 0 && entry.revision.ref.number.value() >= after) continue;
              if (r->entries_size() == page.size()) {
                r->set_next_page_token(
                    page.TokenAt(StrCat(r->entries(page.size() - 1).revision().number())));
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
    absl::StatusOr<DeploymentSpec> spec = FromWire(request->spec());
    absl::StatusOr<RevisionOverrides> overrides = FromWire(request->overrides());
    if (!spec.ok() || !overrides.ok()) {
      pending->Fail(spec.ok() ? overrides.status() : spec.status());
      return pending->reactor();
    }
    deploy.spec = *std::move(spec);
    deploy.overrides = *std::move(overrides);
    // A dry run changes nothing, however often it is made.
    if (!deploy.validate_only && !pending->Once(c_->deps.commands, *request)) {
      return pending->reactor();
    }
    deploy.terms = {request->etag(), pending->claim()};
    c_->deps.controller->Deploy(std::move(deploy),
                                [pending](absl::StatusOr<controller::DeployOutcome> made) {
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
    return pending->reactor();
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
  ServiceContext* c_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeAgentsService(ServiceContext* context) {
  return std::make_unique<AgentsService>(context);
}

}  // namespace caxton::api
