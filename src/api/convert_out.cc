// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "absl/strings/str_format.h"
#include "caxton/base/strings.h"
#include "caxton/controller/controller.h"
#include "caxton/model/units.h"
#include "convert.h"

namespace caxton::api {

using deployment::DeploymentState;
using deployment::EndCause;
using deployment::PauseReason;

void SetTime(int64_t wall_ns, google::protobuf::Timestamp* out) {
  out->set_seconds(wall_ns / kNanosPerSecond);
  out->set_nanos(static_cast<int32_t>(wall_ns % kNanosPerSecond));
}

void SetDuration(int64_t ns, google::protobuf::Duration* out) {
  out->set_seconds(ns / kNanosPerSecond);
  out->set_nanos(static_cast<int32_t>(ns % kNanosPerSecond));
}

void ToWire(const Envelope& in, v1::Envelope* out) {
  out->set_id(in.id);
  out->set_sender(in.sender);
  out->set_receiver(in.receiver);
  out->set_performative(static_cast<v1::Performative>(static_cast<int>(in.performative) + 1));
  out->set_conversation_id(in.conversation_id);
  out->set_reply_with(in.reply_with);
  out->set_in_reply_to(in.in_reply_to);
  out->set_key(in.key);
  out->set_content(in.content);
  out->set_content_type(in.content_type);
  if (in.deadline_ns != 0) SetTime(in.deadline_ns, out->mutable_deadline());
  for (const auto& [name, value] : in.headers) (*out->mutable_headers())[name] = value;
  out->set_traceparent(in.traceparent);
  out->set_idempotency_key(in.idempotency_key);
  out->set_delivery(static_cast<v1::Delivery>(in.delivery));
}

void ToWire(const Reply& in, v1::Reply* out) {
  out->set_performative(static_cast<v1::Performative>(static_cast<int>(in.performative) + 1));
  out->set_content(in.content);
}

namespace {

void LimitsToWire(const ResourceLimits& in, v1::ResourceLimits* out) {
  out->set_memory(FormatSize(in.memory_bytes));
  out->set_cpu(FormatCpu(in.cpu_millis));
  if (in.cpu_max_millis > 0) out->set_cpu_max(FormatCpu(in.cpu_max_millis));
  SetDuration(in.deadline_ns, out->mutable_deadline());
  out->set_max_message(FormatSize(in.max_message_bytes));
  out->set_instances(in.instances);
  out->set_isolation("dedicated");
}

std::string RevisionName(const std::string& agent, RevisionNumber number) {
  return number.valid() ? StrCat(agent, "@", number.value()) : std::string();
}

void StatsToWire(const analysis::ArmNumbers& in, const Revision* revision, v1::RevisionStats* out) {
  if (revision) {
    out->set_revision(revision->Name());
    out->set_version(revision->version);
  }
  out->set_count(in.runs);
  out->set_errors(in.bad);
  out->set_shared(in.shared);
  out->set_error_rate(in.error_rate);
  if (in.runs > 0) {
    SetDuration(in.p50_ns, out->mutable_p50_latency());
    SetDuration(in.p95_ns, out->mutable_p95_latency());
    SetDuration(in.p99_ns, out->mutable_p99_latency());
  }
  out->set_memory_bytes(static_cast<int64_t>(in.memory_bytes));
  out->set_cpu_millis(in.cpu_millis);
  out->set_mean_fuel(in.fuel_mean);
}

v1::Strategy StrategyToWire(Strategy strategy) {
  return static_cast<v1::Strategy>(static_cast<int>(strategy) + 1);
}

v1::Stage::Kind KindToWire(deployment::StageRole role) {
  switch (role) {
    case deployment::StageRole::kCanary:
      return v1::Stage::CANARY;
    case deployment::StageRole::kPreview:
      return v1::Stage::PREVIEW;
    case deployment::StageRole::kShadow:
      return v1::Stage::SHADOW_RUN;
  }
  return v1::Stage::KIND_UNSPECIFIED;
}

void ShadowToWire(const deployment::DeploymentPlan& plan, v1::DeploymentSpec* out) {
  if (plan.compare.outputs) out->add_shadow_compare("output_equivalence");
  if (plan.compare.performance) out->add_shadow_compare("performance_metrics");
  if (plan.compare.resources) out->add_shadow_compare("resource_usage");
  out->set_shadow_sample(FormatShare(plan.sample_ppm));
  out->set_shadow_secondary(plan.secondary);
  if (!plan.stages.empty()) {
    SetDuration(plan.stages.back().duration_ns, out->mutable_shadow_duration());
  }
}

void SpecToWire(const deployment::DeploymentPlan& plan, v1::DeploymentSpec* out) {
  out->set_strategy(StrategyToWire(plan.strategy));
  for (const deployment::StagePlan& stage : plan.stages) {
    v1::Stage* wire = out->add_stages();
    wire->set_kind(KindToWire(stage.role));
    if (stage.role == deployment::StageRole::kCanary) {
      wire->set_weight(FormatShare(stage.weight_ppm));
    }
    SetDuration(stage.duration_ns, wire->mutable_duration());
    wire->set_min_samples(stage.min_samples);
    wire->set_pause(stage.pause);
  }
  const bool shadow = plan.strategy == Strategy::kShadow;
  for (const Condition& condition : plan.conditions) {
    (shadow ? out->add_shadow_fail_on() : out->add_rollback_on())
        ->assign(FormatCondition(condition));
  }
  if (shadow) ShadowToWire(plan, out);
  for (const Condition& condition : plan.history_fail_on) {
    if (shadow && condition.metric != MetricKind::kErrorRate) continue;  // said above
    out->add_shadow_fail_on(FormatCondition(condition));
  }
  out->set_history(plan.history);
  out->set_promote(plan.promote == PromoteWhen::kEarly ? v1::DeploymentSpec::EARLY
                                                       : v1::DeploymentSpec::ON_TIME);
  SetDuration(plan.cleanup_ns, out->mutable_cleanup());
  out->set_stick(plan.stick == Stick::kMessage ? v1::DeploymentSpec::MESSAGE
                                               : v1::DeploymentSpec::KEY);
}

void RatioToWire(std::string_view metric, const analysis::ShadowRatio& in, v1::ShadowReport* out) {
  if (in.pairs == 0) return;
  v1::ShadowReport::Ratio* ratio = out->add_ratios();
  ratio->set_metric(std::string(metric));
  ratio->set_ratio(in.mean);
  ratio->set_low(in.low);
  ratio->set_high(in.high);
}

void ShadowReportToWire(const analysis::ShadowReport& in, v1::ShadowReport* out) {
  out->set_compared(in.compared);
  out->set_equal(in.equal);
  out->set_noisy(in.noisy);
  out->set_differing(in.differing);
  out->set_dropped(in.dropped);
  out->set_lost(in.lost);
  out->set_equivalence_rate(in.equivalence_rate);
  for (const analysis::ShadowPlace& place : in.places) {
    v1::ShadowReport::Difference* made = out->add_differences();
    made->set_path(place.path);
    made->set_count(place.count);
    made->set_secondary_count(place.secondary_count);
    made->set_significant(place.significant);
    for (const analysis::ShadowSample& sample : place.samples) {
      v1::ShadowReport::Sample* shown = made->add_samples();
      shown->set_message_id(sample.message_id);
      shown->set_live(sample.live);
      shown->set_shadow(sample.shadow);
    }
  }
  RatioToWire("latency", in.shadow_to_live.latency, out);
  RatioToWire("cpu", in.shadow_to_live.cpu, out);
  RatioToWire("fuel", in.shadow_to_live.fuel, out);
  RatioToWire("memory", in.shadow_to_live.memory, out);
}

void HistoryReportToWire(const analysis::HistoryReport& in, v1::HistoryReport* out) {
  out->set_asked(in.asked);
  out->set_kept(in.kept);
  out->set_failed(in.failed);
  out->set_stable_failed(in.stable_failed);
  out->set_unrun(in.unrun);
  for (const analysis::HistoryFailure& failure : in.failures) {
    v1::HistoryReport::Failure* made = out->add_failures();
    made->set_message_id(failure.message_id);
    made->set_outcome(std::string(StepOutcomeName(failure.outcome)));
    made->set_detail(failure.detail);
  }
  ShadowReportToWire(in.comparison, out->mutable_comparison());
}

void AddPhase(std::string_view name, int64_t elapsed_ns, v1::Deployment* out) {
  if (elapsed_ns <= 0) return;
  v1::Phase* phase = out->add_phases();
  phase->set_name(std::string(name));
  SetDuration(elapsed_ns, phase->mutable_elapsed());
}

// One line about the last thing that happened.
std::string MessageOf(const controller::DeploymentView& view) {
  const deployment::DeploymentStatus& s = view.status;
  if (!s.error.empty()) return s.error;
  if (view.place_in_queue > 0) {
    return StrCat("waits until the server has a place for another deployment; ",
                  view.place_in_queue - 1, " wait before it");
  }
  if (s.state == DeploymentState::kRolledBack) {
    switch (s.cause) {
      case EndCause::kJudge:
        return StrCat("rolled back by the judge: ", s.verdict.text);
      case EndCause::kInconclusive:
        return StrCat("rolled back, inconclusive: ", s.verdict.text);
      case EndCause::kRollback:
        return "rolled back by command";
      case EndCause::kAbort:
        return "aborted";
      default:
        return std::string(deployment::EndCauseName(s.cause));
    }
  }
  if (s.paused == PauseReason::kStageEnd) return "the stage has passed and waits for `promote`";
  if (s.paused == PauseReason::kCommand) return "paused by command";
  if (!s.verdict.text.empty()) return s.verdict.text;
  if (s.state == DeploymentState::kValidating || s.state == DeploymentState::kDeploying) {
    std::string notes;
    for (const std::string& note : s.plan.notes) StrAppend(&notes, notes.empty() ? "" : "; ", note);
    if (!s.history.text.empty()) StrAppend(&notes, notes.empty() ? "" : "; ", s.history.text);
    return notes;
  }
  return "";
}

std::string ReasonOfEnd(const deployment::DeploymentStatus& s) {
  switch (s.cause) {
    case EndCause::kNone:
      return "";
    case EndCause::kValidation:
      return "VALIDATION_FAILED";
    case EndCause::kPrepare:
      return "PREPARE_FAILED";
    case EndCause::kJudge:
      return "JUDGE";
    case EndCause::kInconclusive:
      return "INCONCLUSIVE";
    case EndCause::kRollback:
      return "ROLLED_BACK_BY_COMMAND";
    case EndCause::kAbort:
      return "ABORTED";
    case EndCause::kSuperseded:
      return "SUPERSEDED";
    case EndCause::kRemoved:
      return "REMOVED";
    case EndCause::kShadowOver:
      return "SHADOW_OVER";
    case EndCause::kGroup:
      return "GROUP";
    case EndCause::kHistory:
      return "VALIDATION_HISTORY";
  }
  return "";
}

void TimesToWire(const controller::DeploymentView& view, v1::Deployment* out) {
  const deployment::DeploymentStatus& s = view.status;
  SetTime(s.created_ns, out->mutable_create_time());
  SetTime(s.updated_ns, out->mutable_update_time());
  if (s.ended_ns != 0) SetTime(s.ended_ns, out->mutable_end_time());
  if (view.elapsed_ns > 0) SetDuration(view.elapsed_ns, out->mutable_stage_elapsed());
  if (view.remaining_ns > 0) SetDuration(view.remaining_ns, out->mutable_stage_remaining());
  if (s.state == DeploymentState::kRunning && !s.finalized && s.has_stable()) {
    SetTime(s.updated_ns + view.remaining_ns, out->mutable_rollback_possible_until());
  }
  AddPhase("diverted", s.rollback.diverted_ns, out);
  AddPhase(s.drain_ns > 0 ? "drained" : "interrupted", s.rollback.interrupted_ns, out);
  AddPhase("restored", s.rollback.restored_ns, out);
  AddPhase("redelivered", s.rollback.redelivered_ns, out);
  AddPhase("cleaned", s.rollback.cleaned_ns, out);
}

}  // namespace

void ToWire(const Revision& in, v1::Revision* out) {
  out->set_name(in.Name());
  out->set_agent(in.agent);
  out->set_number(in.ref.number.value());
  out->set_version(in.version);
  out->set_module_digest(in.module.ToHex());
  LimitsToWire(in.limits, out->mutable_limits());
  v1::DeliveryPolicy* delivery = out->mutable_delivery();
  delivery->set_mode(in.delivery.mode == Delivery::kVolatile ? v1::VOLATILE : v1::DURABLE);
  delivery->set_max_attempts(in.delivery.max_attempts);
  delivery->set_on_poison(in.delivery.on_poison == OnPoison::kSkip ? v1::SKIP : v1::HOLD);
  for (const auto& [name, value] : in.settings) (*out->mutable_settings())[name] = value;
  SetTime(in.created_ns, out->mutable_create_time());
  if (in.deployment.valid()) out->set_deployment_id(deployment::DeploymentName(in.deployment));
}

v1::DeploymentState StateToWire(DeploymentState state) {
  return static_cast<v1::DeploymentState>(static_cast<int>(state) + 1);
}

void ToWire(const deployment::Verdict& in, v1::Verdict* out) {
  out->set_kind(static_cast<v1::Verdict::Kind>(static_cast<int>(in.kind)));
  out->set_reason(in.text);
}

void AddTests(const analysis::JudgeNumbers& numbers, v1::Verdict* out) {
  for (const analysis::TestNumbers& test : numbers.tests) {
    v1::Verdict::Test* wire = out->add_tests();
    wire->set_condition(FormatCondition(test.condition));
    wire->set_estimate(test.estimate);
    wire->set_count(numbers.candidate.runs);
    if (test.condition.metric == MetricKind::kErrorRate)
      wire->set_lower_bound(numbers.error_rate_lower_bound);
    wire->set_evidence(std::exp(std::min(test.log_evidence, 700.0)));
    wire->set_fires_at(std::exp(std::min(test.log_threshold, 700.0)));
    wire->set_fired(test.fired);
  }
}

void ToWire(const controller::FieldChange& in, v1::FieldChange* out) {
  out->set_field(in.field);
  out->set_before(in.before);
  out->set_after(in.after);
}

namespace {

// The candidate's share of what was routed at the weight that it has now.
double ObservedPercent(uint32_t weight_ppm, const analysis::JudgeNumbers& numbers) {
  for (const analysis::WeightNumbers& stage : numbers.by_weight) {
    if (stage.weight_ppm == weight_ppm && stage.all > 0) {
      return 100.0 * static_cast<double>(stage.candidate) / static_cast<double>(stage.all);
    }
  }
  return 0;
}

}  // namespace

void ToWire(const controller::DeploymentView& view, v1::Deployment* out) {
  const deployment::DeploymentStatus& s = view.status;
  out->set_deployment_id(deployment::DeploymentName(s.id));
  out->set_agent(s.agent);
  out->set_state(StateToWire(s.state));
  out->set_strategy(StrategyToWire(s.plan.strategy));
  out->set_revision(RevisionName(s.agent, s.candidate.number));
  out->set_version(s.label);
  out->set_module_digest(s.module.ToHex());
  out->set_stable_revision(RevisionName(s.agent, s.stable.number));
  if (view.stable) out->set_stable_version(view.stable->version);
  out->set_stage_index(static_cast<int32_t>(s.stage));
  out->set_stage_name(controller::StageName(s));
  out->set_weight_percent(s.WeightPpm() / 10'000.0);
  if (view.numbers) {
    StatsToWire(view.numbers->candidate, view.candidate.get(), out->mutable_candidate());
    StatsToWire(view.numbers->stable, view.stable.get(), out->mutable_stable());
    out->set_observed_percent(ObservedPercent(s.WeightPpm(), *view.numbers));
    AddTests(*view.numbers, out->mutable_verdict());
    out->set_messages_to_decide(view.numbers->early.messages);
    if (view.numbers->early.ns > 0) {
      SetDuration(view.numbers->early.ns, out->mutable_time_to_decide());
    }
  }
  if (view.shadow) ShadowReportToWire(*view.shadow, out->mutable_shadow());
  if (view.history) {
    HistoryReportToWire(*view.history, out->mutable_history());
    ToWire(s.history, out->mutable_history()->mutable_verdict());
  }
  ToWire(s.verdict, out->mutable_verdict());
  out->set_queued(s.queued);
  if (view.queued_behind.valid()) {
    out->set_queued_behind(deployment::DeploymentName(view.queued_behind));
  }
  for (DeploymentId member : s.group) out->add_group(deployment::DeploymentName(member));
  out->set_paused(s.paused != PauseReason::kNone);
  out->set_inconclusive(s.paused == PauseReason::kInconclusive ||
                        s.paused == PauseReason::kJudgeError);
  out->set_aborted(s.aborted());
  out->set_preview_ready(s.prepared && s.Role() == deployment::StageRole::kPreview);
  out->set_superseded(s.cause == EndCause::kSuperseded);
  out->set_finalized(s.finalized);
  out->set_message(MessageOf(view));
  out->set_reason(ReasonOfEnd(s));
  TimesToWire(view, out);
  if (view.validation) {
    ToWire(*view.validation, out->mutable_validation());
    out->mutable_validation()->clear_log();  // a watch tells it all again with each change
  }
  SpecToWire(s.plan, out->mutable_spec());
  out->set_allowed_by(s.allowed_by);
  for (const std::string& text : s.let_through) out->add_let_through(text);
  out->set_etag(controller::EtagOf(s));
}

void ToWire(const journal::CounterRow& in, int64_t refused, v1::MessageCounts* out) {
  out->set_accepted(static_cast<int64_t>(in.accepted));
  out->set_completed(static_cast<int64_t>(in.completed));
  out->set_dead_lettered(static_cast<int64_t>(in.dead));
  out->set_dropped(static_cast<int64_t>(in.dropped));
  out->set_waiting(static_cast<int64_t>(in.waiting));
  out->set_retries(static_cast<int64_t>(in.retries));
  out->set_refused(refused);
}

namespace {

// An agent whose oldest message has waited longer does not keep up.
constexpr int64_t kLongWaitNs = 60 * kNanosPerSecond;
// More failing steps than this are shown as a fault of the agent.
constexpr double kDegradedErrorRate = 0.05;

// What of an agent's health is derived from: workers, health_check, error rate, what waits.
struct HealthSource {
  const Revision* revision = nullptr;  // null: there is none
  const std::optional<supervisor::WorkersStatus>& workers;
  double error_rate = 0;
  int64_t oldest_waiting_ns = 0;
};

void HealthToWire(const HealthSource& in, v1::AgentHealth* out) {
  out->set_error_rate(in.error_rate);
  if (in.oldest_waiting_ns > 0) SetDuration(in.oldest_waiting_ns, out->mutable_oldest_waiting());
  if (in.revision == nullptr) return;
  if (!in.workers) {
    out->set_status(v1::AgentHealth::DOWN);
    out->set_detail("its workers are starting");
    return;
  }
  const supervisor::WorkersStatus& workers = *in.workers;
  const int wanted = in.revision->limits.instances;
  out->set_workers_up(workers.running);
  out->set_workers_wanted(wanted);
  std::string why = workers.healthy ? std::string() : workers.note;
  const auto add = [&why](const std::string& fault) {
    StrAppend(&why, why.empty() ? "" : "; ", fault);
  };
  if (workers.running < wanted) add(StrCat(workers.running, " of ", wanted, " workers are up"));
  if (in.error_rate > kDegradedErrorRate) {
    add(StrCat(absl::StrFormat("%.3g%%", in.error_rate * 100), " of its steps failed"));
  }
  if (in.oldest_waiting_ns > kLongWaitNs) {
    add(StrCat("a message has waited for ", FormatDuration(kLongWaitNs), " and more"));
  }
  out->set_status(workers.running == 0 ? v1::AgentHealth::DOWN
                  : why.empty()        ? v1::AgentHealth::WELL
                                       : v1::AgentHealth::DEGRADED);
  out->set_detail(why);
}

}  // namespace

void ToWire(const controller::AgentView& in, v1::Agent* out) {
  out->set_name(in.record.name);
  if (in.stable) {
    ToWire(*in.stable, out->mutable_stable());
    out->mutable_stable()->set_weight_percent(in.candidate ? 100 - in.weight_ppm / 10'000.0 : 100);
  }
  if (in.candidate) {
    ToWire(*in.candidate, out->mutable_candidate());
    out->mutable_candidate()->set_weight_percent(in.weight_ppm / 10'000.0);
  }
  if (in.deployment) {
    out->set_deployment_id(deployment::DeploymentName(in.deployment->id));
    out->set_state(StateToWire(in.deployment->state));
  }
  HealthToWire({in.stable.get(), in.stable_workers, in.error_rate, in.oldest_waiting_ns},
               out->mutable_health());
  if (in.candidate) {
    HealthToWire({in.candidate.get(), in.candidate_workers, in.candidate_error_rate, 0},
                 out->mutable_candidate_health());
  }
  ToWire(in.counters, in.refused, out->mutable_messages());
  out->set_etag(in.etag);
  SetTime(in.record.created_ns, out->mutable_create_time());
  if (in.deployment) SetTime(in.deployment->updated_ns, out->mutable_update_time());
}

void ToWire(const std::string& agent, const journal::DeadLetterRecord& in, bool detail,
            v1::DeadLetter* out) {
  out->set_message_id(in.envelope.id);
  out->set_agent(agent);
  ToWire(in.envelope, out->mutable_envelope());
  if (!detail) out->mutable_envelope()->clear_content();
  out->set_cause(in.cause);
  if (!in.attempts.empty()) out->set_detail(in.attempts.back().detail);
  out->set_revision(RevisionName(agent, in.revision));
  SetTime(in.at_ns, out->mutable_time());
  if (!detail) return;
  for (const journal::Attempt& attempt : in.attempts) {
    v1::DeadLetter::Attempt* made = out->add_attempts();
    SetTime(attempt.at_ns, made->mutable_time());
    made->set_revision(RevisionName(agent, attempt.revision));
    made->set_outcome(std::string(StepOutcomeName(attempt.outcome)));
    made->set_detail(attempt.agent_code != 0 && attempt.detail.empty()
                         ? StrCat("handle_message returned ", attempt.agent_code)
                         : attempt.detail);
  }
}

}  // namespace caxton::api
