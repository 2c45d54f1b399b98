// SPDX-License-Identifier: Apache-2.0
//
// A validation's report as the API has it: all that `caxton agent validate` says of a file
// (src/examine/report_json.cc), under the same names.
#include <algorithm>
#include <limits>

#include "caxton/base/strings.h"
#include "caxton/validation/validator.h"
#include "convert.h"

namespace caxton::api {
namespace {

using validation::StageOutcome;

// Numbers of the report came from the jailed child: whatever they are, none becomes negative.
int64_t Signed(uint64_t value) {
  return static_cast<int64_t>(
      std::min<uint64_t>(value, static_cast<uint64_t>(std::numeric_limits<int64_t>::max())));
}

int32_t Count(uint32_t value) {
  return static_cast<int32_t>(
      std::min<uint32_t>(value, static_cast<uint32_t>(std::numeric_limits<int32_t>::max())));
}

void SetTook(int64_t ns, google::protobuf::Duration* out) {
  SetDuration(std::max<int64_t>(ns, 0), out);
}

void NoteToWire(const Finding& in, v1::ValidationReport::StageReport* stage) {
  v1::ValidationReport::Note* made = stage->add_notes();
  made->set_reason(in.code);
  made->set_message(in.message);
  made->set_place(in.place);
  const bool first = stage->detail().empty();
  StrAppend(stage->mutable_detail(), first ? "" : "; ", in.message);
}

void FindingToWire(const Finding& in, v1::ValidationReport::Finding* made) {
  made->set_error(in.severity == FindingSeverity::kError);
  made->set_reason(in.code);
  made->set_message(in.place.empty() ? in.message : StrCat(in.place, ": ", in.message));
  made->set_fix(in.fix);
  made->set_place(in.place);
}

void StageToWire(const validation::StageReport& in, v1::ValidationReport::StageReport* out) {
  out->set_stage(in.stage);
  out->set_ran(in.outcome != StageOutcome::kNotRun);
  out->set_passed(in.outcome == StageOutcome::kPassed);
  SetDuration(in.duration_ns, out->mutable_elapsed());
  out->set_note(in.note);
  out->set_detail(in.note);
  for (const Finding& finding : in.findings) {
    if (finding.severity == FindingSeverity::kNote) {
      NoteToWire(finding, out);
    } else {
      FindingToWire(finding, out->add_findings());
    }
  }
}

void ManifestToWire(const ModuleTraits& in, v1::ValidationReport::Manifest* out) {
  out->set_name(in.manifest_name);
  out->set_version(in.manifest_version);
  out->set_instance(in.reused_instances ? "reused" : "fresh");
  out->set_health_check(in.has_health_check);
  v1::ValidationReport::Manifest::Sends* sends = nullptr;
  for (const SentMessage& sent : in.sends) {  // sorted by receiver
    if (sends == nullptr || sends->to() != sent.to) {
      sends = out->add_sends_to();
      sends->set_to(sent.to);
    }
    sends->add_performatives(
        static_cast<v1::Performative>(static_cast<int>(sent.performative) + 1));
  }
  out->set_capabilities(in.capabilities_json);
  out->set_determinism(std::string(DeterminismName(in.determinism)));
}

void StatsToWire(const ModuleStats& in, v1::ValidationReport::Stats* out) {
  out->set_module_bytes(Signed(in.module_bytes));
  out->set_imports(Count(in.imports));
  out->set_exports(Count(in.exports));
  out->set_memory_min_bytes(Signed(in.memory_min_bytes));
  out->set_memory_max_bytes(Signed(in.memory_max_bytes));
  SetTook(in.check_ns, out->mutable_check());
  if (in.code_bytes > 0) {
    out->set_code_bytes(Signed(in.code_bytes));
    SetTook(in.compile_ns, out->mutable_compile());
  }
  out->set_initialized(in.initialized);
  if (in.initialized) {
    out->set_memory_after_init_bytes(Signed(in.memory_after_init));
    out->set_init_fuel(Signed(in.init_fuel));
    SetTook(in.init_ns, out->mutable_init());
  }
  if (in.samples == 0) return;
  out->set_samples(Count(in.samples));
  out->set_samples_handled(Count(in.samples_handled));
  out->set_peak_memory_bytes(Signed(in.peak_memory));
  out->set_max_fuel(Signed(in.max_fuel));
  SetTook(in.max_step_ns, out->mutable_max_step());
  out->set_sends(Signed(in.sends));
}

}  // namespace

void ToWire(const validation::ValidationReport& in, v1::ValidationReport* out) {
  out->set_passed(in.ok());
  out->set_module_digest(in.module.ToHex());
  for (const validation::StageReport& stage : in.stages) StageToWire(stage, out->add_stages());
  ManifestToWire(in.traits, out->mutable_manifest());
  StatsToWire(in.stats, out->mutable_stats());
  out->set_engine(in.engine);
  out->set_engine_config(in.engine_config);
  for (const std::string& line : in.log) out->add_log(line);
  out->set_cached(in.cached);
}

}  // namespace caxton::api
