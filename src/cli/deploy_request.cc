// SPDX-License-Identifier: Apache-2.0
#include "deploy_request.h"

#include <filesystem>

#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/deployment/plan.h"
#include "caxton/deployment/spec_yaml.h"
#include "caxton/model/limits.h"
#include "caxton/model/names.h"
#include "caxton/model/units.h"
#include "caxton/v1/deployment.pb.h"
#include "exit_code.h"
#include "render.h"

namespace caxton::cli {
namespace {

// A faulty flag is a usage error that names it.
absl::Status FlagError(std::string_view flag, const absl::Status& status) {
  return UsageError(StrCat(flag, ": ", status.message()), FixOf(status));
}

absl::StatusOr<QueuePolicy> ParseQueue(std::string_view text) {
  if (text == "wait") return QueuePolicy::kWait;
  if (text == "replace") return QueuePolicy::kReplace;
  if (text == "refuse") return QueuePolicy::kRefuse;
  return UsageError(StrCat("--queue is wait, replace or refuse, not '", text, "'"));
}

// A list that a flag has replaced is not the file's any more.
void Forget(std::string_view list, DeploymentFile* file) {
  std::erase_if(file->places, [list](const auto& entry) {
    const std::string& name = entry.first;
    return name == list || StartsWith(name, StrCat(list, "["));
  });
}

absl::Status ApplyFlags(const DeployFlags& flags, DeploymentFile* file) {
  DeploymentSpec* spec = &file->spec;
  if (!flags.strategy.empty()) {
    auto strategy = ParseStrategy(flags.strategy);
    if (!strategy.ok()) return FlagError("--strategy", strategy.status());
    if (*strategy != spec->strategy) {  // they were another strategy's
      spec->stages.clear();
      Forget("stages", file);
    }
    spec->strategy = *strategy;
  }
  if (!flags.stages.empty()) {
    auto stages = ParseStages(flags.stages);
    if (!stages.ok()) return FlagError("--stages", stages.status());
    if (flags.strategy.empty() && flags.deployment_file.empty()) spec->strategy = Strategy::kCanary;
    if (spec->strategy != Strategy::kCanary) {
      return UsageError("--stages are those of a canary deployment", "add --strategy canary");
    }
    spec->stages = *std::move(stages);
    Forget("stages", file);
  }
  if (!flags.rollback_on.empty()) {
    auto conditions = ParseConditions(flags.rollback_on);
    if (!conditions.ok()) return FlagError("--rollback-on", conditions.status());
    spec->rollback_on = *std::move(conditions);
    Forget("rollback_on", file);
  }
  if (!flags.fail_on.empty()) {
    auto conditions = ParseConditions(flags.fail_on);
    if (!conditions.ok()) return FlagError("--fail-on", conditions.status());
    spec->shadow_fail_on = *std::move(conditions);
    Forget("fail_on", file);
  }
  if (flags.history.has_value()) {
    if (*flags.history < 0 || *flags.history > kMaxHistory) {
      return UsageError(
          StrCat("--history is 0 to ", kMaxHistory, " messages, not ", *flags.history));
    }
    spec->history = flags.history;
    Forget("history", file);
  }
  if (!flags.queue.empty()) {
    ASSIGN_OR_RETURN(spec->queue, ParseQueue(flags.queue));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> AgentName(const DeployFlags& flags, const DeploymentFile& file,
                                      const std::string& module) {
  std::string name = flags.name;
  if (name.empty()) name = file.agent;
  if (name.empty()) name = AgentNameFromFile(module);
  if (name.empty()) {
    return UsageError(StrCat("No agent name can be made of the file name '", module, "'"),
                      "give one with --name");
  }
  const absl::Status valid = ValidateAgentName(name);
  if (!valid.ok()) return FlagError(flags.name.empty() ? "agent name" : "--name", valid);
  return name;
}

v1::Stage::Kind ProtoKind(StageKind kind) {
  switch (kind) {
    case StageKind::kValidate:
      return v1::Stage::VALIDATE;
    case StageKind::kWarmUp:
      return v1::Stage::WARM_UP;
    case StageKind::kCanary:
      return v1::Stage::CANARY;
    case StageKind::kFull:
      return v1::Stage::FULL;
    case StageKind::kSwitch:
      return v1::Stage::SWITCH;
    case StageKind::kCleanup:
      return v1::Stage::CLEANUP;
  }
  return v1::Stage::KIND_UNSPECIFIED;
}

v1::Strategy ProtoStrategy(Strategy strategy) {
  switch (strategy) {
    case Strategy::kDirect:
      return v1::DIRECT;
    case Strategy::kBlueGreen:
      return v1::BLUE_GREEN;
    case Strategy::kCanary:
      return v1::CANARY;
    case Strategy::kShadow:
      return v1::SHADOW;
  }
  return v1::STRATEGY_UNSPECIFIED;
}

}  // namespace

absl::StatusOr<RevisionOverrides> ParseOverrides(const OverrideFlags& flags) {
  RevisionOverrides overrides;
  if (!flags.memory.empty()) {
    auto bytes = ParseSizeBytes(flags.memory);
    if (!bytes.ok()) return FlagError("--memory", bytes.status());
    overrides.memory_bytes = *bytes;
  }
  if (!flags.cpu.empty()) {
    auto millis = ParseCpuMillis(flags.cpu);
    if (!millis.ok()) return FlagError("--cpu", millis.status());
    overrides.cpu_millis = *millis;
  }
  for (const std::string& setting : flags.set) {
    const size_t equals = setting.find('=');
    if (equals == std::string::npos || equals == 0) {
      return UsageError(StrCat("--set takes NAME=VALUE, not '", setting, "'"));
    }
    overrides.settings[setting.substr(0, equals)] = setting.substr(equals + 1);
  }
  return overrides;
}

void MergeOverrides(const RevisionOverrides& flags, RevisionOverrides* base) {
  if (flags.memory_bytes) base->memory_bytes = flags.memory_bytes;
  if (flags.cpu_millis) base->cpu_millis = flags.cpu_millis;
  for (const auto& [name, value] : flags.settings) base->settings[name] = value;
}

std::string ModulePath(const std::string& named, const std::string& deployment_file,
                       const DeploymentFile& file) {
  if (!named.empty() || file.module.empty()) return named;
  return (std::filesystem::path(deployment_file).parent_path() / file.module).string();
}

absl::StatusOr<std::vector<DeploymentFile>> ReadDeploymentFiles(const DeployFlags& flags,
                                                                const std::string& text) {
  auto parsed = deployment::ParseDeploymentFiles(text, flags.deployment_file);
  if (absl::IsInvalidArgument(parsed.status())) {
    return UsageError(StrCat(parsed.status().message()), FixOf(parsed.status()));
  }
  RETURN_IF_ERROR(parsed.status());
  for (const DeploymentFile& file : *parsed) {
    RETURN_IF_ERROR(deployment::CheckCarriedOut(file));
  }
  return parsed;
}

absl::StatusOr<DeployPlan> PlanDeploy(const DeployFlags& flags, DeploymentFile file,
                                      v1::DeployRequest* request) {
  DeployPlan plan;
  plan.module_path = ModulePath(flags.module, flags.deployment_file, file);
  if (plan.module_path.empty()) {
    return UsageError("No module to deploy", "name a .wasm file, or `module:` in the file of -f");
  }
  RETURN_IF_ERROR(ApplyFlags(flags, &file));
  if (!flags.deployment_file.empty()) {
    const absl::Status possible = deployment::CheckPlan(file, flags.deployment_file);
    if (!possible.ok()) return UsageError(StrCat(possible.message()));
  }
  ASSIGN_OR_RETURN(const RevisionOverrides overrides, ParseOverrides(flags.overrides));
  MergeOverrides(overrides, &file.overrides);
  ASSIGN_OR_RETURN(plan.agent, AgentName(flags, file, plan.module_path));
  const std::string& version = flags.version.empty() ? file.version : flags.version;
  const absl::Status valid = ValidateVersionLabel(version);
  if (!version.empty() && !valid.ok()) return FlagError("--version", valid);

  request->set_name(plan.agent);
  request->set_version(version);
  request->set_force(flags.force);
  request->set_validate_only(flags.dry_run);
  request->set_allow_breaking(flags.allow_breaking);
  request->set_preview(flags.preview);
  ToProto(file.spec, request->mutable_spec());
  ToProto(file.overrides, request->mutable_overrides());
  return plan;
}

absl::Status CheckGroupFlags(const DeployFlags& flags) {
  const std::pair<bool, std::string_view> single[] = {
      {!flags.module.empty(), "a module"},           {!flags.name.empty(), "--name"},
      {!flags.version.empty(), "--version"},         {!flags.stages.empty(), "--stages"},
      {flags.history.has_value(), "--history"},      {!flags.fail_on.empty(), "--fail-on"},
      {!flags.overrides.memory.empty(), "--memory"}, {!flags.overrides.cpu.empty(), "--cpu"},
      {!flags.overrides.set.empty(), "--set"},       {flags.preview, "--preview"}};
  if (flags.dry_run) {
    return UsageError(
        StrCat("--dry-run concerns one agent, ", flags.deployment_file, " has several"),
        "try each agent's module alone: `caxton deploy FILE.wasm --name AGENT --dry-run`");
  }
  for (const auto& [given, name] : single) {
    if (!given) continue;
    return UsageError(StrCat(name, " concerns one agent, ", flags.deployment_file, " has several"),
                      "say it in the file");
  }
  return absl::OkStatus();
}

void ToProto(const DeploymentSpec& spec, v1::DeploymentSpec* out) {
  out->set_strategy(ProtoStrategy(spec.strategy));
  for (const StageSpec& stage : spec.stages) {
    v1::Stage* to = out->add_stages();
    to->set_kind(ProtoKind(stage.kind));
    if (stage.duration_ns) SetDuration(*stage.duration_ns, to->mutable_duration());
    if (stage.kind == StageKind::kCanary) to->set_weight(FormatShare(stage.weight_ppm));
    if (stage.min_samples) to->set_min_samples(*stage.min_samples);
    to->set_pause(stage.pause);
    to->set_hold(stage.hold);
  }
  for (const Condition& condition : spec.shadow_fail_on) {
    out->add_shadow_fail_on(FormatCondition(condition));
  }
  if (spec.shadow_sample_ppm) out->set_shadow_sample(FormatShare(*spec.shadow_sample_ppm));
  out->set_shadow_secondary(spec.shadow_secondary);
  out->set_history(spec.history.value_or(0));
  out->set_preview(spec.preview);
  for (const Condition& condition : spec.rollback_on) {
    out->add_rollback_on(FormatCondition(condition));
  }
  out->set_stick(spec.stick == Stick::kKey ? v1::DeploymentSpec::KEY : v1::DeploymentSpec::MESSAGE);
  switch (spec.on_inconclusive) {
    case OnInconclusive::kPause:
      out->set_on_inconclusive(v1::DeploymentSpec::PAUSE);
      break;
    case OnInconclusive::kRollback:
      out->set_on_inconclusive(v1::DeploymentSpec::ROLLBACK);
      break;
    case OnInconclusive::kPromote:
      out->set_on_inconclusive(v1::DeploymentSpec::PROMOTE);
      break;
  }
  out->set_promote(spec.promote == PromoteWhen::kOnTime ? v1::DeploymentSpec::ON_TIME
                                                        : v1::DeploymentSpec::EARLY);
  switch (spec.queue) {
    case QueuePolicy::kWait:
      out->set_queue(v1::DeploymentSpec::WAIT);
      break;
    case QueuePolicy::kReplace:
      out->set_queue(v1::DeploymentSpec::REPLACE);
      break;
    case QueuePolicy::kRefuse:
      out->set_queue(v1::DeploymentSpec::REFUSE);
      break;
  }
  if (spec.cleanup_ns) SetDuration(*spec.cleanup_ns, out->mutable_cleanup());
  if (spec.shadow_duration_ns)
    SetDuration(*spec.shadow_duration_ns, out->mutable_shadow_duration());
  for (const std::string& compare : spec.shadow_compare) out->add_shadow_compare(compare);
}

void ToProto(const RevisionOverrides& overrides, v1::RevisionOverrides* out) {
  v1::ResourceLimits* limits = out->mutable_limits();
  if (overrides.memory_bytes) limits->set_memory(FormatSize(*overrides.memory_bytes));
  if (overrides.cpu_millis) limits->set_cpu(FormatCpu(*overrides.cpu_millis));
  if (overrides.cpu_max_millis) limits->set_cpu_max(FormatCpu(*overrides.cpu_max_millis));
  if (overrides.deadline_ns) SetDuration(*overrides.deadline_ns, limits->mutable_deadline());
  if (overrides.max_message_bytes) {
    limits->set_max_message(FormatSize(*overrides.max_message_bytes));
  }
  if (overrides.instances) limits->set_instances(*overrides.instances);
  v1::DeliveryPolicy* delivery = out->mutable_delivery();
  if (overrides.delivery) {
    delivery->set_mode(*overrides.delivery == Delivery::kVolatile  ? v1::VOLATILE
                       : *overrides.delivery == Delivery::kDurable ? v1::DURABLE
                                                                   : v1::DELIVERY_UNSPECIFIED);
  }
  if (overrides.max_attempts) delivery->set_max_attempts(*overrides.max_attempts);
  if (overrides.on_poison) {
    delivery->set_on_poison(*overrides.on_poison == OnPoison::kHold ? v1::HOLD : v1::SKIP);
  }
  out->mutable_settings()->insert(overrides.settings.begin(), overrides.settings.end());
}

}  // namespace caxton::cli
