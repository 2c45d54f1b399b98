// SPDX-License-Identifier: Apache-2.0
#include "comparison_text.h"

#include "absl/strings/str_format.h"
#include "caxton/base/strings.h"
#include "caxton/v1/types.pb.h"
#include "progress.h"
#include "render.h"

namespace caxton::cli {
namespace {

// `candidate`: what runs beside stable.
std::string ComparisonTables(const v1::ShadowReport& report, const std::string& stable,
                             const std::string& candidate) {
  std::string out;
  if (!report.ratios().empty()) {
    Table table({StrCat("  ", candidate, " / ", stable), "RATIO", "95 % INTERVAL"});
    for (const auto& ratio : report.ratios()) {
      table.Row({StrCat("  ", ratio.metric()), absl::StrFormat("%.3f", ratio.ratio()),
                 absl::StrFormat("%.3f - %.3f", ratio.low(), ratio.high())});
    }
    StrAppend(&out, table.ToString());
  }
  if (report.differences().empty()) return out;
  Table table({"  WHERE", "MESSAGES", "STABLE ITSELF", "", stable, candidate});
  for (const auto& difference : report.differences()) {
    const bool sampled = !difference.samples().empty();
    table.Row({StrCat("  ", OneLine(difference.path(), 60)), StrCat(difference.count()),
               StrCat(difference.secondary_count()), difference.significant() ? "" : "(noise?)",
               sampled ? OneLine(difference.samples(0).live(), 40) : "",
               sampled ? OneLine(difference.samples(0).shadow(), 40) : ""});
  }
  return StrCat(out, table.ToString());
}

}  // namespace

std::string ShadowText(const v1::ShadowReport& report) {
  return StrCat("Compared with stable: ", report.compared(), " messages, ",
                Percent(report.equivalence_rate() * 100), " equivalent (", report.equal(),
                " equal, ", report.noisy(), " different only where stable differs from itself, ",
                report.differing(), " different; ", report.dropped(), " dropped, ", report.lost(),
                " lost)\n", ComparisonTables(report, "LIVE", "SHADOW"));
}

std::string HistoryText(const v1::HistoryReport& report) {
  std::string out =
      StrCat("Replayed before any traffic: ", report.comparison().compared(), " of ", report.kept(),
             " messages (", report.asked(), " asked), ", report.failed(),
             " fail on the candidate alone, ", report.comparison().differing(), " differ");
  if (report.stable_failed() > 0) {
    StrAppend(&out, ", ", report.stable_failed(), " that stable does not handle");
  }
  if (report.comparison().lost() > 0) StrAppend(&out, ", ", report.comparison().lost(), " lost");
  if (report.unrun() > 0) StrAppend(&out, ", ", report.unrun(), " not run in time");
  StrAppend(&out, "\n", VerdictText(report.verdict()));
  if (!report.failures().empty()) {
    Table table({"  FAILED MESSAGE", "OUTCOME", ""});
    for (const auto& failure : report.failures()) {
      table.Row({StrCat("  ", OneLine(failure.message_id(), 40)), failure.outcome(),
                 OneLine(failure.detail(), 60)});
    }
    StrAppend(&out, table.ToString());
  }
  return StrCat(out, ComparisonTables(report.comparison(), "STABLE", "CANDIDATE"));
}

}  // namespace caxton::cli
