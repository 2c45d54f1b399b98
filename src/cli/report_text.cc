// SPDX-License-Identifier: Apache-2.0
#include "report_text.h"

#include "caxton/base/strings.h"
#include "caxton/v1/types.pb.h"

namespace caxton::cli {
namespace {

using Stage = v1::ValidationReport::StageReport;

std::string StageLine(const Stage& stage, const Style& style) {
  // A server that knows no notes yet has all of it in the detail.
  const std::string note =
      OneLine(stage.note().empty() && stage.notes().empty() ? stage.detail() : stage.note());
  std::string out = StrCat("  ", stage.stage(), ": ");
  if (!stage.ran()) {
    const std::string why = note.starts_with("not run")
                                ? note  // "not run: the stage static failed"
                            : note.empty() ? std::string("not run")
                                           : StrCat("not run: ", note);
    return StrCat(out, style.Dim(why), "\n");
  }
  StrAppend(&out, stage.passed() ? style.Good("passed") : style.Bad("failed"));
  if (stage.has_elapsed()) StrAppend(&out, " in ", ShortDuration(Nanos(stage.elapsed())));
  if (!note.empty()) StrAppend(&out, " - ", note);
  return StrCat(out, "\n");
}

std::string FixLine(const std::string& fix, std::string_view indent) {
  return fix.empty() ? "" : StrCat(indent, "To fix: ", Indented(fix, StrCat(indent, "  ")), "\n");
}

// "wasmtime 48.0.8; module 812 bytes, native code 9216 bytes; 5 of 6 samples handled,
// deterministic: yes"
std::string StatsLine(const v1::ValidationReport& report) {
  if (!report.has_stats() || report.stats().module_bytes() == 0) return "";
  const v1::ValidationReport::Stats& stats = report.stats();
  std::string out = StrCat("  ", report.engine(), "; module ", stats.module_bytes(), " bytes");
  if (stats.code_bytes() > 0) StrAppend(&out, ", native code ", stats.code_bytes(), " bytes");
  if (stats.samples() > 0) {
    StrAppend(&out, "; ", stats.samples_handled(), " of ", stats.samples(),
              " samples handled, deterministic: ", report.manifest().determinism());
  }
  return StrCat(out, "\n");
}

}  // namespace

std::string ReportText(const v1::ValidationReport& report, const Style& style) {
  std::string out =
      StrCat("Validation ", report.passed() ? style.Good("passed") : style.Bad("failed"), "\n");
  for (const Stage& stage : report.stages()) {
    StrAppend(&out, StageLine(stage, style));
    for (const auto& finding : stage.findings()) {
      StrAppend(&out, "    ", finding.error() ? style.Bad("error") : style.Warn("warning"), ": ",
                Indented(finding.message(), "      "), "\n", FixLine(finding.fix(), "      "));
    }
    for (const auto& note : stage.notes()) {
      const bool elsewhere = !note.place().empty() && note.place() != stage.stage();
      StrAppend(&out, "    note: ", elsewhere ? OneLine(note.place()) : "", elsewhere ? ": " : "",
                Indented(note.message(), "      "), "\n");
    }
  }
  return StrCat(out, StatsLine(report));
}

std::string WarningsText(const v1::ValidationReport& report) {
  std::string out;
  for (const Stage& stage : report.stages()) {
    for (const auto& finding : stage.findings()) {
      if (finding.error()) continue;
      StrAppend(&out, "Warning: ", Indented(finding.message(), "  "), "\n",
                FixLine(finding.fix(), "  "));
    }
  }
  return out;
}

}  // namespace caxton::cli
