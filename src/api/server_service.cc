// SPDX-License-Identifier: Apache-2.0
#include "caxton/base/strings.h"
#include "caxton/deployment/status.h"
#include "caxton/router/limits.h"
#include "caxton/v1/server.grpc.pb.h"
#include "convert.h"
#include "services.h"
#include "unary.h"

namespace caxton::api {
namespace {

class ServerService final : public v1::Server::CallbackService {
 public:
  explicit ServerService(ServiceContext* context) : c_(context) {}

  grpc::ServerUnaryReactor* GetServerStatus(grpc::CallbackServerContext* call,
                                            const v1::GetServerStatusRequest*,
                                            v1::GetServerStatusResponse* response) override {
    auto pending = UnaryCall<v1::GetServerStatusResponse>::Begin(response, c_->TraceId(*call));
    c_->deps.controller->ListAgents([this, pending](
                                        absl::StatusOr<std::vector<controller::AgentView>> agents) {
      pending->Finish(agents.status(), [&](v1::GetServerStatusResponse* r) { Fill(*agents, r); });
    });
    return pending->reactor();
  }

  grpc::ServerUnaryReactor* RunDoctor(grpc::CallbackServerContext* call,
                                      const v1::RunDoctorRequest*,
                                      v1::RunDoctorResponse* response) override {
    auto pending = UnaryCall<v1::RunDoctorResponse>::Begin(response, c_->TraceId(*call));
    c_->reader->Post([this, pending] {
      const std::vector<DoctorCheck> checks = c_->deps.doctor();
      pending->Finish(absl::OkStatus(), [&](v1::RunDoctorResponse* r) {
        for (const DoctorCheck& check : checks) {
          v1::RunDoctorResponse::Check* made = r->add_checks();
          made->set_name(check.name);
          made->set_status(static_cast<v1::RunDoctorResponse::Check::Status>(
              static_cast<int>(check.status) + 1));
          made->set_detail(check.detail);
          made->set_fix(check.fix);
        }
      });
    });
    return pending->reactor();
  }

 private:
  void Fill(const std::vector<controller::AgentView>& agents, v1::GetServerStatusResponse* r) {
    const ServerFacts& facts = c_->deps.facts;
    r->set_version(facts.version);
    SetTime(c_->start_wall_ns, r->mutable_start_time());
    SetDuration(c_->deps.clock->WallNanos() - c_->start_wall_ns, r->mutable_uptime());
    r->set_serving(c_->serving);
    r->set_data_dir(facts.data_dir);
    r->set_grpc_address(c_->grpc_address);
    r->set_http_address(facts.http_address);
    r->set_dev(facts.dev);
    r->set_time_scale(facts.time_scale);
    const journal::CounterRow sum = c_->deps.journal->TotalCounters();
    int64_t refused = 0;
    int active = 0;
    for (const controller::AgentView& agent : agents) {
      refused += agent.refused;
      const bool deploying = agent.deployment &&
                             (agent.deployment->state == deployment::DeploymentState::kValidating ||
                              agent.deployment->state == deployment::DeploymentState::kDeploying);
      if (deploying) ++active;
    }
    ToWire(sum, refused, r->mutable_messages());
    r->set_messages_add_up(sum.accepted == sum.completed + sum.dead + sum.dropped + sum.waiting);
    r->set_agents(static_cast<int32_t>(agents.size()));
    r->set_active_deployments(active);
    r->set_dead_letters_kept(static_cast<int64_t>(sum.dead));
    v1::GetServerStatusResponse::Journal* journal = r->mutable_journal();
    journal->set_queue_bytes(static_cast<int64_t>(c_->deps.journal->committer().queued_bytes()));
    journal->set_queue_limit_bytes(static_cast<int64_t>(router::kMaxJournalQueueBytes));
    if (const CommitTimes times = c_->deps.commit_times(); times.count > 0) {
      SetDuration(times.p50_ns, journal->mutable_commit_p50());
      SetDuration(times.p99_ns, journal->mutable_commit_p99());
    }
    journal->set_stalled(!c_->deps.journal->IngressAllowed().ok());
    r->set_start_count(static_cast<int64_t>(c_->deps.journal->start_count()));
    for (const auto& [ref, status] : c_->deps.supervisor->Status()) {
      std::string revision;
      for (const controller::AgentView& agent : agents) {
        if (agent.record.id == ref.agent)
          revision = StrCat(agent.record.name, "@", ref.number.value());
      }
      int index = 0;
      for (const supervisor::WorkerProcess& process : status.processes) {
        v1::GetServerStatusResponse::Worker* worker = r->add_workers();
        worker->set_revision(revision);
        worker->set_index(index++);
        worker->set_pid(process.pid);
        worker->set_state(!process.ready            ? "starting"
                          : process.outstanding > 0 ? "running"
                                                    : "ready");
        // Counted and measured for the revision as a whole: shown with its first worker.
        if (index > 1) continue;
        worker->set_restarts(status.restarts);
        worker->set_memory_bytes(static_cast<int64_t>(status.memory_bytes));
      }
    }
    r->set_cgroup_mode(facts.cgroup_mode);
    for (const std::string& warning : facts.warnings) r->add_warnings(warning);
  }

  ServiceContext* c_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeServerService(ServiceContext* context) {
  return std::make_unique<ServerService>(context);
}

}  // namespace caxton::api
