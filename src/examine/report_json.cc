// SPDX-License-Identifier: Apache-2.0
#include "report_json.h"

#include "caxton/examine/examiner.h"

namespace caxton::examine {
namespace {

using nlohmann::ordered_json;

ordered_json FindingsToJson(const ExamineReport& report) {
  ordered_json out = ordered_json::array();
  for (const Finding& finding : report.findings) {
    ordered_json item;
    item["severity"] = std::string(FindingSeverityName(finding.severity));
    item["stage"] = std::string(ExamineStageName(finding.stage));
    item["code"] = finding.code;
    item["message"] = finding.message;
    if (!finding.place.empty()) item["place"] = finding.place;
    if (!finding.fix.empty()) item["fix"] = finding.fix;
    out.push_back(std::move(item));
  }
  return out;
}

ordered_json StagesToJson(const ExamineReport& report) {
  ordered_json out;
  for (size_t i = 0; i < kExamineStages; ++i) {
    const StageRun& run = report.stages[i];
    const auto stage = static_cast<ExamineStage>(i);
    ordered_json item;
    item["result"] = !run.ran ? "not run" : report.ok(stage) ? "passed" : "failed";
    if (run.ran) item["duration_ns"] = run.duration_ns;
    if (!run.note.empty()) item["note"] = run.note;
    out[std::string(ExamineStageName(stage))] = std::move(item);
  }
  return out;
}

ordered_json TraitsToJson(const ModuleTraits& traits) {
  ordered_json out;
  out["name"] = traits.manifest_name;
  out["version"] = traits.manifest_version;
  out["instance"] = traits.reused_instances ? "reused" : "fresh";
  out["health_check"] = traits.has_health_check;
  out["determinism"] = std::string(DeterminismName(traits.determinism));
  if (!traits.sends.empty()) {
    ordered_json sends;
    for (const SentMessage& sent : traits.sends) {
      sends[sent.to].push_back(std::string(PerformativeName(sent.performative)));
    }
    out["sends_to"] = std::move(sends);
  }
  ordered_json capabilities = ordered_json::parse(traits.capabilities_json, nullptr, false);
  if (capabilities.is_array()) out["capabilities"] = std::move(capabilities);
  return out;
}

ordered_json StatsToJson(const ModuleStats& stats) {
  ordered_json out;
  out["module_bytes"] = stats.module_bytes;
  out["imports"] = stats.imports;
  out["exports"] = stats.exports;
  out["memory_min_bytes"] = stats.memory_min_bytes;
  if (stats.memory_max_bytes > 0) out["memory_max_bytes"] = stats.memory_max_bytes;
  out["check_ns"] = stats.check_ns;
  if (stats.code_bytes > 0) {
    out["code_bytes"] = stats.code_bytes;
    out["compile_ns"] = stats.compile_ns;
  }
  out["initialized"] = stats.initialized;
  if (stats.initialized) {
    out["memory_after_init_bytes"] = stats.memory_after_init;
    out["init_fuel"] = stats.init_fuel;
    out["init_ns"] = stats.init_ns;
  }
  if (stats.samples > 0) {
    out["samples"] = stats.samples;
    out["samples_handled"] = stats.samples_handled;
    out["peak_memory_bytes"] = stats.peak_memory;
    out["max_fuel"] = stats.max_fuel;
    out["max_step_ns"] = stats.max_step_ns;
    out["sends"] = stats.sends;
  }
  return out;
}

}  // namespace

ordered_json ReportObject(const ExamineReport& report, std::string_view file) {
  ordered_json out;
  out["file"] = std::string(file);
  out["ok"] = report.ok();
  out["stages"] = StagesToJson(report);
  out["findings"] = FindingsToJson(report);
  out["manifest"] = TraitsToJson(report.traits);
  out["stats"] = StatsToJson(report.stats);
  out["engine"] = report.engine;
  out["engine_config"] = report.engine_config;
  if (!report.log.empty()) out["log"] = report.log;
  return out;
}

std::string ToText(const ordered_json& value) {
  return value.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

std::string ReportToJson(const ExamineReport& report, std::string_view file) {
  return ToText(ReportObject(report, file));
}

}  // namespace caxton::examine
