// SPDX-License-Identifier: Apache-2.0
#include "caxton/deployment/status.h"

#include <algorithm>
#include <array>

#include "caxton/base/codec.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/deployment/limits.h"
#include "caxton/model/text.h"

namespace caxton::deployment {
namespace {

constexpr std::string_view kNamePrefix = "dep-";

template <size_t n, typename Enum>
std::string_view NameIn(const std::array<std::string_view, n>& names, Enum value) {
  const auto index = static_cast<size_t>(value);
  return index < n ? names[index] : "unknown";
}

void WriteRef(const RevisionRef& ref, ByteWriter& w) {
  w.U32(ref.agent.value());
  w.U32(ref.number.value());
}

void WriteVerdict(const Verdict& verdict, ByteWriter& w) {
  w.U8(static_cast<uint8_t>(verdict.kind));
  w.Bytes(verdict.text);
  w.I64(verdict.basis.observations);
  w.I64(verdict.basis.at_ms);
  w.U8(static_cast<uint8_t>(verdict.basis.moment));
  w.U32(verdict.basis.stage);
}

Verdict ReadVerdict(ByteReader& r) {
  Verdict verdict;
  verdict.kind = ReadEnum<VerdictKind>(r, kVerdictKindCount);
  verdict.text = r.BytesCopy();
  verdict.basis.observations = r.I64();
  verdict.basis.at_ms = r.I64();
  verdict.basis.moment = ReadEnum<VerdictMoment>(r, kVerdictMomentCount);
  verdict.basis.stage = r.U32();
  if (verdict.basis.observations < 0 || verdict.basis.at_ms < 0) r.Fail();
  return verdict;
}

RevisionRef ReadRef(ByteReader& r) {
  RevisionRef ref;
  ref.agent = AgentId(r.U32());
  ref.number = RevisionNumber(r.U32());
  return ref;
}

}  // namespace

std::string_view DeploymentStateName(DeploymentState state) {
  constexpr std::array<std::string_view, kDeploymentStateCount> kNames = {
      "VALIDATING", "DEPLOYING", "RUNNING", "DRAINING", "FAILED", "ROLLED_BACK"};
  return NameIn(kNames, state);
}

std::string_view PauseReasonName(PauseReason reason) {
  constexpr std::array<std::string_view, kPauseReasonCount> kNames = {
      "not paused", "by command", "at the stage's end", "inconclusive", "the judge failed"};
  return NameIn(kNames, reason);
}

std::string_view EndCauseName(EndCause cause) {
  constexpr std::array<std::string_view, kEndCauseCount> kNames = {
      "none",  "validation", "preparation", "judge",       "inconclusive", "rollback",
      "abort", "superseded", "removed",     "shadow over", "group",        "history"};
  return NameIn(kNames, cause);
}

bool DeploymentStatus::final() const {
  return state == DeploymentState::kFailed || state == DeploymentState::kRolledBack ||
         (state == DeploymentState::kDraining && drained);
}

StageRole DeploymentStatus::Role() const {
  const bool in_stage = state == DeploymentState::kDeploying && stage < plan.stages.size();
  return in_stage ? plan.stages[stage].role : StageRole::kCanary;
}

uint32_t DeploymentStatus::WeightPpm() const {
  if (rolling_back) return 0;
  if (state == DeploymentState::kRunning) return kFullWeightPpm;
  if (state == DeploymentState::kDeploying && prepared && stage < plan.stages.size()) {
    return plan.stages[stage].weight_ppm;
  }
  return 0;
}

int64_t DeploymentStatus::RemainingNs() const {
  if (rolling_back) return 0;
  if (state == DeploymentState::kRunning && !finalized) {
    return std::max<int64_t>(plan.cleanup_ns - cleanup_elapsed_ns, 0);
  }
  if (state != DeploymentState::kDeploying || !prepared || stage >= plan.stages.size()) return 0;
  const int64_t duration = plan.stages[stage].duration_ns;
  if (stage_elapsed_ns < duration) return duration - stage_elapsed_ns;
  const int64_t end = duration * kStageExtensionLimit;
  const int64_t part = std::max<int64_t>(duration / kStageExtensionPart, 1);
  return std::clamp<int64_t>(end - stage_elapsed_ns, 0, part);
}

std::string DeploymentName(DeploymentId id) { return StrCat(kNamePrefix, id.value()); }

absl::StatusOr<DeploymentId> ParseDeploymentName(std::string_view name) {
  uint64_t number = 0;
  const bool prefixed = StartsWith(name, kNamePrefix);
  if (prefixed) name.remove_prefix(kNamePrefix.size());
  // One spelling per deployment: digits only, no sign or leading zero.
  if (!prefixed || name.empty() || name.find_first_not_of("0123456789") != std::string_view::npos ||
      name[0] == '0' || !ParseInt(name, &number)) {
    return absl::InvalidArgumentError(
        StrCat(Quoted(name), " is no deployment: they look like ", kNamePrefix, "17"));
  }
  return DeploymentId(number);
}

void EncodeStatus(const DeploymentStatus& status, std::string* out) {
  ByteWriter w(out);
  w.U8(kRecordFormat);
  w.U64(status.id.value());
  w.Bytes(status.agent);
  w.Bytes(status.label);
  for (uint8_t byte : status.module.bytes) w.U8(byte);
  WriteRef(status.candidate, w);
  WriteRef(status.stable, w);
  WritePlan(status.plan, w);
  std::string spec;
  EncodeSpec(status.spec, &spec);
  w.Bytes(spec);
  for (uint8_t byte : status.salt) w.U8(byte);
  w.U32(static_cast<uint32_t>(status.group.size()));
  for (DeploymentId id : status.group) w.U64(id.value());
  w.Bytes(status.allowed_by);
  w.U8(static_cast<uint8_t>(status.state));
  w.Bool(status.queued);
  w.Bool(status.prepared);
  w.U32(status.stage);
  w.I64(status.stage_elapsed_ns);
  w.U8(static_cast<uint8_t>(status.paused));
  w.Bool(status.judge_skipped);
  w.Bool(status.rolling_back);
  w.I64(status.drain_ns);
  w.Bool(status.withdrawn);
  w.Bool(status.restores);
  w.Bool(status.drained);
  w.Bool(status.finalized);
  w.I64(status.cleanup_elapsed_ns);
  WriteVerdict(status.verdict, w);
  WriteVerdict(status.history, w);
  w.U8(static_cast<uint8_t>(status.cause));
  w.Bytes(status.error);
  w.U64(status.generation);
  for (int64_t time :
       {status.created_ns, status.updated_ns, status.running_ns, status.ended_ns,
        status.rollback.diverted_ns, status.rollback.interrupted_ns, status.rollback.restored_ns,
        status.rollback.redelivered_ns, status.rollback.cleaned_ns}) {
    w.I64(time);
  }
  w.U32(static_cast<uint32_t>(status.let_through.size()));
  for (const std::string& text : status.let_through) w.Bytes(text);
}

absl::StatusOr<DeploymentStatus> DecodeStatus(std::string_view bytes) {
  ByteReader r(bytes);
  DeploymentStatus v;
  ReadFormat(r);
  v.id = DeploymentId(r.U64());
  v.agent = r.BytesCopy();
  v.label = r.BytesCopy();
  for (uint8_t& byte : v.module.bytes) byte = r.U8();
  v.candidate = ReadRef(r);
  v.stable = ReadRef(r);
  v.plan = ReadPlan(r);
  absl::StatusOr<DeploymentSpec> spec = DecodeSpec(r.Bytes());
  if (spec.ok()) {
    v.spec = *std::move(spec);
  } else {
    r.Fail();
  }
  for (uint8_t& byte : v.salt) byte = r.U8();
  const uint32_t members = ReadCount(r, sizeof(uint64_t));
  for (uint32_t i = 0; i < members && r.ok(); ++i) v.group.push_back(DeploymentId(r.U64()));
  v.allowed_by = r.BytesCopy();
  v.state = ReadEnum<DeploymentState>(r, kDeploymentStateCount);
  v.queued = r.Bool();
  v.prepared = r.Bool();
  v.stage = r.U32();
  v.stage_elapsed_ns = r.I64();
  v.paused = ReadEnum<PauseReason>(r, kPauseReasonCount);
  v.judge_skipped = r.Bool();
  v.rolling_back = r.Bool();
  v.drain_ns = r.I64();
  v.withdrawn = r.Bool();
  v.restores = r.Bool();
  v.drained = r.Bool();
  v.finalized = r.Bool();
  v.cleanup_elapsed_ns = r.I64();
  v.verdict = ReadVerdict(r);
  v.history = ReadVerdict(r);
  v.cause = ReadEnum<EndCause>(r, kEndCauseCount);
  v.error = r.BytesCopy();
  v.generation = r.U64();
  for (int64_t* time :
       {&v.created_ns, &v.updated_ns, &v.running_ns, &v.ended_ns, &v.rollback.diverted_ns,
        &v.rollback.interrupted_ns, &v.rollback.restored_ns, &v.rollback.redelivered_ns,
        &v.rollback.cleaned_ns}) {
    *time = r.I64();
  }
  const uint32_t let_through = ReadCount(r, sizeof(uint32_t));
  for (uint32_t i = 0; i < let_through && r.ok(); ++i) v.let_through.push_back(r.BytesCopy());
  if (v.stage > v.plan.stages.size() || v.stage_elapsed_ns < 0 || v.drain_ns < 0 ||
      v.cleanup_elapsed_ns < 0 || v.verdict.basis.stage > v.plan.stages.size()) {
    r.Fail();
  }
  RETURN_IF_ERROR(r.Finish("deployment record"));
  return v;
}

}  // namespace caxton::deployment
