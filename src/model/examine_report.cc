// SPDX-License-Identifier: Apache-2.0
#include "caxton/model/examine_report.h"

#include <algorithm>
#include <utility>

#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/base/wire.h"
#include "caxton/model/text.h"

namespace caxton {
namespace {

constexpr uint8_t kReportFormat = 4;
constexpr uint8_t kSeverityCount = 3;

// A text of the report; empty and a failed reader where it is too long or not UTF-8.
std::string ReadText(ByteReader& r) {
  const std::string_view text = r.Bytes();
  if (text.size() > kMaxFindingTextBytes || !IsUtf8(text)) {
    r.Fail();
    return "";
  }
  return std::string(text);
}

void WriteStats(const ModuleStats& stats, ByteWriter& w) {
  w.U64(stats.module_bytes);
  w.U64(stats.code_bytes);
  w.U32(stats.imports);
  w.U32(stats.exports);
  w.U64(stats.memory_min_bytes);
  w.U64(stats.memory_max_bytes);
  w.U64(stats.memory_after_init);
  w.U64(stats.init_fuel);
  w.I64(stats.check_ns);
  w.I64(stats.compile_ns);
  w.I64(stats.init_ns);
  w.Bool(stats.initialized);
  w.U32(stats.samples);
  w.U32(stats.samples_handled);
  w.U64(stats.peak_memory);
  w.U64(stats.max_fuel);
  w.I64(stats.max_step_ns);
  w.U64(stats.sends);
}

ModuleStats ReadStats(ByteReader& r) {
  ModuleStats stats;
  stats.module_bytes = r.U64();
  stats.code_bytes = r.U64();
  stats.imports = r.U32();
  stats.exports = r.U32();
  stats.memory_min_bytes = r.U64();
  stats.memory_max_bytes = r.U64();
  stats.memory_after_init = r.U64();
  stats.init_fuel = r.U64();
  stats.check_ns = r.I64();
  stats.compile_ns = r.I64();
  stats.init_ns = r.I64();
  stats.initialized = r.Bool();
  stats.samples = r.U32();
  stats.samples_handled = r.U32();
  stats.peak_memory = r.U64();
  stats.max_fuel = r.U64();
  stats.max_step_ns = r.I64();
  stats.sends = r.U64();
  return stats;
}

Finding ReadFinding(ByteReader& r) {
  Finding finding;
  const uint8_t severity = r.U8();
  if (severity >= kSeverityCount) r.Fail();
  finding.severity = static_cast<FindingSeverity>(severity);
  finding.code = ReadText(r);
  finding.message = ReadText(r);
  finding.place = ReadText(r);
  finding.fix = ReadText(r);
  const uint8_t stage = r.U8();
  if (stage >= kExamineStages) r.Fail();
  finding.stage = static_cast<ExamineStage>(stage);
  return finding;
}

}  // namespace

std::string_view FindingSeverityName(FindingSeverity severity) {
  switch (severity) {
    case FindingSeverity::kError:
      return "error";
    case FindingSeverity::kWarning:
      return "warning";
    case FindingSeverity::kNote:
      return "note";
  }
  return "unknown";
}

std::string_view ExamineStageName(ExamineStage stage) {
  switch (stage) {
    case ExamineStage::kStatic:
      return "static";
    case ExamineStage::kSandbox:
      return "sandbox";
    case ExamineStage::kContracts:
      return "contracts";
    case ExamineStage::kResources:
      return "resources";
  }
  return "unknown";
}

bool ExamineReport::ok() const {
  return std::none_of(findings.begin(), findings.end(), [](const Finding& finding) {
    return finding.severity == FindingSeverity::kError;
  });
}

bool ExamineReport::ok(ExamineStage stage) const {
  return std::none_of(findings.begin(), findings.end(), [stage](const Finding& finding) {
    return finding.severity == FindingSeverity::kError && finding.stage == stage;
  });
}

void EncodeExamineReport(const ExamineReport& report, std::string* out) {
  ByteWriter w(out);
  w.U8(kReportFormat);
  w.U32(static_cast<uint32_t>(report.findings.size()));
  for (const Finding& finding : report.findings) {
    w.U8(static_cast<uint8_t>(finding.severity));
    w.Bytes(finding.code);
    w.Bytes(finding.message);
    w.Bytes(finding.place);
    w.Bytes(finding.fix);
    w.U8(static_cast<uint8_t>(finding.stage));
  }
  for (const StageRun& stage : report.stages) {
    w.Bool(stage.ran);
    w.I64(stage.duration_ns);
    w.Bytes(stage.note);
  }
  WriteTraits(report.traits, w);
  WriteStats(report.stats, w);
  w.Bytes(report.engine);
  w.Bytes(report.engine_config);
  w.U32(static_cast<uint32_t>(report.log.size()));
  for (const std::string& line : report.log) w.Bytes(line);
}

absl::StatusOr<ExamineReport> DecodeExamineReport(std::string_view bytes) {
  if (bytes.size() > kMaxExamineReportBytes) {
    return absl::InvalidArgumentError(StrCat("examination report: ", bytes.size(),
                                             " bytes, the limit is ", kMaxExamineReportBytes));
  }
  ByteReader r(bytes);
  ExamineReport report;
  if (r.U8() != kReportFormat) r.Fail();
  const uint32_t findings = r.U32();
  if (findings > kMaxFindings) r.Fail();
  for (uint32_t i = 0; i < findings && r.ok(); ++i) report.findings.push_back(ReadFinding(r));
  for (StageRun& stage : report.stages) {
    stage.ran = r.Bool();
    stage.duration_ns = r.I64();
    stage.note = ReadText(r);
  }
  report.traits = ReadTraits(r);
  report.stats = ReadStats(r);
  report.engine = ReadText(r);
  report.engine_config = ReadText(r);
  const uint32_t lines = r.U32();
  if (lines > kMaxReportLogLines) r.Fail();
  for (uint32_t i = 0; i < lines && r.ok(); ++i) report.log.push_back(ReadText(r));
  RETURN_IF_ERROR(r.Finish("examination report"));
  return report;
}

}  // namespace caxton
