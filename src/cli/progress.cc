// SPDX-License-Identifier: Apache-2.0
#include "progress.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "caxton/base/strings.h"
#include "caxton/model/units.h"
#include "caxton/v1/types.pb.h"
#include "comparison_text.h"
#include "report_text.h"

namespace caxton::cli {
namespace {

constexpr int kBarCells = 24;
constexpr size_t kShownMessageBytes = 200;

std::string StrategyText(const v1::Deployment& deployment) {
  std::string name = absl::AsciiStrToLower(v1::Strategy_Name(deployment.strategy()));
  std::replace(name.begin(), name.end(), '_', '-');
  return deployment.strategy() == v1::STRATEGY_UNSPECIFIED ? "direct" : name;
}

// "greeter@2 (2.0.0)"
std::string RevisionText(const std::string& revision, const std::string& version) {
  return version.empty() ? revision : StrCat(revision, " (", version, ")");
}

std::string StatsText(const v1::RevisionStats& stats) {
  return StrCat(
      "n=", stats.count(), " errors=", stats.errors(), " (", Percent(stats.error_rate() * 100),
      ") p99=", stats.has_p99_latency() ? ShortDuration(Nanos(stats.p99_latency())) : "-");
}

// The message's first line; the rest is told once, at the end.
std::string FirstLine(const std::string& message) {
  return OneLine(std::string_view(message).substr(0, message.find('\n')), kShownMessageBytes);
}

bool Final(const v1::Deployment& deployment) {
  return deployment.state() == v1::FAILED || deployment.state() == v1::ROLLED_BACK;
}

std::string Bar(const v1::Deployment& deployment) {
  const double elapsed = static_cast<double>(Nanos(deployment.stage_elapsed()));
  const double total = elapsed + static_cast<double>(Nanos(deployment.stage_remaining()));
  const int filled =
      total <= 0 ? 0 : std::clamp(static_cast<int>(elapsed / total * kBarCells), 0, kBarCells);
  return StrCat("[", std::string(static_cast<size_t>(filled), '#'),
                std::string(static_cast<size_t>(kBarCells - filled), '-'), "]");
}

std::string ColoredState(const v1::Deployment& deployment, const Style& style) {
  const std::string name = StateName(deployment);
  if (Final(deployment)) return style.Bad(name);
  if (deployment.state() == v1::RUNNING) return style.Good(name);
  return style.Warn(name);
}

std::vector<std::string> StatsRow(std::string_view who, const v1::RevisionStats& stats) {
  return {StrCat("  ", who),
          RevisionText(stats.revision(), stats.version()),
          StrCat(stats.count()),
          StrCat(stats.errors()),
          Percent(stats.error_rate() * 100),
          stats.has_p99_latency() ? ShortDuration(Nanos(stats.p99_latency())) : "-"};
}

// ", about 400 messages, 2m to decide"; empty where nothing can be said.
std::string ForecastText(const v1::Deployment& deployment) {
  if (deployment.messages_to_decide() <= 0) return "";
  return StrCat(", about ", deployment.messages_to_decide(), " messages, ",
                ShortDuration(Nanos(deployment.time_to_decide())), " to decide");
}

}  // namespace

bool WaitsInPreview(const v1::Deployment& deployment) {
  return deployment.preview_ready() && deployment.paused() && !deployment.inconclusive();
}

bool Settled(const v1::Deployment& deployment, bool finalized) {
  if (Final(deployment) || deployment.state() == v1::DRAINING || deployment.inconclusive()) {
    return true;
  }
  if (WaitsInPreview(deployment)) return true;
  return deployment.state() == v1::RUNNING && (!finalized || deployment.finalized());
}

ExitCode OutcomeOf(const v1::Deployment& deployment) {
  switch (deployment.state()) {
    case v1::RUNNING:
    case v1::DRAINING:
      if (deployment.strategy() == v1::SHADOW && deployment.state() == v1::DRAINING &&
          deployment.verdict().kind() == v1::Verdict::INCONCLUSIVE) {
        return ExitCode::kInconclusive;
      }
      return deployment.inconclusive() ? ExitCode::kInconclusive : ExitCode::kDone;
    case v1::ROLLED_BACK:
      return ExitCode::kRolledBack;
    case v1::FAILED:
      if (deployment.aborted()) return ExitCode::kRolledBack;
      return StartsWith(deployment.reason(), "VALIDATION") ||
                     (deployment.has_validation() && !deployment.validation().passed())
                 ? ExitCode::kRejected
                 : ExitCode::kFailed;
    default:
      if (WaitsInPreview(deployment)) return ExitCode::kDone;
      return deployment.inconclusive() ? ExitCode::kInconclusive : ExitCode::kFailed;
  }
}

std::string StateName(const v1::Deployment& deployment) {
  std::vector<std::string> flags;
  if (deployment.queued()) flags.push_back("queued");
  if (deployment.inconclusive()) {
    flags.push_back("inconclusive");
  } else if (deployment.paused()) {
    flags.push_back("paused");
  }
  if (deployment.aborted()) flags.push_back("aborted");
  if (deployment.superseded()) flags.push_back("superseded");
  std::string name = deployment.state() == v1::DEPLOYMENT_STATE_UNSPECIFIED
                         ? "UNKNOWN"
                         : v1::DeploymentState_Name(deployment.state());
  if (!flags.empty()) StrAppend(&name, " (", absl::StrJoin(flags, ", "), ")");
  return name;
}

std::string TransitionKey(const v1::Deployment& deployment) {
  return StrCat(StateName(deployment), "|", deployment.stage_index(), "|", deployment.stage_name(),
                "|", deployment.finalized(), "|", deployment.message());
}

std::string ProgressLine(const v1::Deployment& deployment) {
  std::string line =
      StrCat(deployment.deployment_id(), " ", deployment.revision(), ": ", StateName(deployment));
  if (deployment.queued()) {
    if (!deployment.queued_behind().empty()) {
      StrAppend(&line, ", waits for ", deployment.queued_behind());
    }
  } else if (!Final(deployment) && !deployment.stage_name().empty()) {
    StrAppend(&line, ", ", deployment.stage_name());
    if (deployment.weight_percent() > 0 && deployment.weight_percent() < 100) {
      StrAppend(&line, ", weight ", Percent(deployment.weight_percent()), " (observed ",
                Percent(deployment.observed_percent()), ")");
    }
    if (deployment.has_shadow()) {
      StrAppend(&line, ", compared ", deployment.shadow().compared(), ", differing ",
                deployment.shadow().differing());
    }
    if (deployment.has_history() && deployment.state() == v1::VALIDATING) {
      StrAppend(&line, ", replayed ", deployment.history().comparison().compared(), " of ",
                deployment.history().kept(), ", failed ", deployment.history().failed());
    }
    if (deployment.candidate().count() > 0) {
      StrAppend(&line, ", candidate ", StatsText(deployment.candidate()));
    }
    if (deployment.stable().count() > 0) {
      StrAppend(&line, ", stable ", StatsText(deployment.stable()));
    }
    StrAppend(&line, ForecastText(deployment));
    if (deployment.has_stage_remaining()) {
      StrAppend(&line, ", ", ShortDuration(Nanos(deployment.stage_remaining())), " left");
    }
  }
  if (!deployment.message().empty()) StrAppend(&line, " - ", FirstLine(deployment.message()));
  return line;
}

std::vector<std::string> ProgressView(const v1::Deployment& deployment, const Style& style) {
  std::vector<std::string> lines;
  std::string head = StrCat(style.Bold(RevisionText(deployment.revision(), deployment.version())),
                            "  ", StrategyText(deployment), "  ", ColoredState(deployment, style),
                            "  ", style.Dim(deployment.deployment_id()));
  if (!deployment.stable_revision().empty()) {
    StrAppend(&head, "  over ",
              RevisionText(deployment.stable_revision(), deployment.stable_version()));
  }
  lines.push_back(std::move(head));
  if (deployment.queued()) {
    lines.push_back(StrCat("  ", deployment.queued_behind().empty()
                                     ? deployment.message()
                                     : StrCat("waits for ", deployment.queued_behind())));
    return lines;
  }
  if (!deployment.stage_name().empty()) {
    std::string stage = StrCat("  ", Bar(deployment), " ", deployment.stage_name());
    if (deployment.stage_index() < deployment.spec().stages_size()) {  // else behind the last
      StrAppend(&stage, " (", deployment.stage_index() + 1, "/", deployment.spec().stages_size(),
                ")");
    }
    StrAppend(&stage, "  ", ShortDuration(Nanos(deployment.stage_elapsed())), " elapsed");
    if (deployment.has_stage_remaining()) {
      StrAppend(&stage, ", ", ShortDuration(Nanos(deployment.stage_remaining())), " left");
    }
    lines.push_back(std::move(stage));
  }
  if (deployment.candidate().count() > 0 || deployment.stable().count() > 0) {
    lines.push_back(StrCat("  weight ", Percent(deployment.weight_percent()), "  observed ",
                           Percent(deployment.observed_percent()), ForecastText(deployment)));
    Table table({"", "revision", "messages", "errors", "error rate", "p99"});
    table.Row(StatsRow("candidate", deployment.candidate()));
    if (!deployment.stable_revision().empty()) table.Row(StatsRow("stable", deployment.stable()));
    const std::string rows = table.ToString();
    for (absl::string_view line : absl::StrSplit(rows, '\n', absl::SkipEmpty())) {
      lines.emplace_back(line);
    }
  }
  if (deployment.has_shadow()) {
    const v1::ShadowReport& shadow = deployment.shadow();
    lines.push_back(StrCat("  compared ", shadow.compared(), "  equal ", shadow.equal(),
                           "  differing ", shadow.differing(), "  dropped ", shadow.dropped()));
  }
  if (!deployment.message().empty()) {
    lines.push_back(StrCat("  ", FirstLine(deployment.message())));
  }
  return lines;
}

std::string OutcomeLine(const v1::Deployment& deployment) {
  const std::string what = RevisionText(deployment.revision(), deployment.version());
  const std::string id = deployment.deployment_id();
  if (deployment.inconclusive()) {
    return StrCat(what, " is paused, the evidence is inconclusive (", id, ")");
  }
  switch (deployment.state()) {
    case v1::RUNNING:
      return StrCat(what, " is running (", id, deployment.finalized() ? ", finalized)" : ")");
    case v1::DRAINING:
      if (deployment.strategy() == v1::SHADOW &&
          deployment.verdict().kind() != v1::Verdict::KIND_UNSPECIFIED) {
        return StrCat(what, " was a shadow for its full time: ",
                      absl::AsciiStrToLower(v1::Verdict::Kind_Name(deployment.verdict().kind())),
                      " (", id, ")");
      }
      return StrCat(what, " was superseded or removed (", id, ")");
    case v1::ROLLED_BACK:
      return StrCat(
          what, deployment.aborted() ? " was aborted" : " was rolled back",
          deployment.stable_revision().empty()
              ? ""
              : StrCat(", ",
                       RevisionText(deployment.stable_revision(), deployment.stable_version()),
                       " serves on"),
          " (", id, ")");
    case v1::FAILED:
      return StrCat(what, deployment.aborted() ? " was aborted (" : " failed (", id, ")");
    default:
      return StrCat(what, ": ", StateName(deployment), " (", id, ")");
  }
}

namespace {

bool Rejected(const v1::Deployment& deployment) {
  return deployment.has_validation() && !deployment.validation().passed();
}

// Beside the report, where there is one.
std::string WhyNotBeside(const v1::Deployment& deployment, std::string_view report) {
  if (!Final(deployment) && !deployment.inconclusive()) return "";
  std::string text;
  if (!Rejected(deployment) &&
      !deployment.message().empty()) {  // else the report says it, with the fixes
    StrAppend(&text, "Why: ", Indented(deployment.message(), "  "), "\n");
  }
  if (!deployment.verdict().reason().empty() &&
      !StrContains(deployment.message(), deployment.verdict().reason())) {
    StrAppend(&text, "Verdict: ", deployment.verdict().reason(), "\n");
  }
  StrAppend(&text, report);
  std::string fix = deployment.fix();
  if (fix.empty() && deployment.inconclusive()) {
    fix = StrCat("look at `caxton deployment explain ", deployment.deployment_id(),
                 "`, then `promote`, `resume` or `abort` it");
  }
  if (!fix.empty()) StrAppend(&text, "To fix: ", fix, "\n");
  return text;
}

}  // namespace

std::string WhyNot(const v1::Deployment& deployment) {
  return WhyNotBeside(deployment, Rejected(deployment)
                                      ? ReportText(deployment.validation(), Style(false))
                                      : std::string());
}

std::string AllowedText(const v1::Deployment& deployment) {
  if (deployment.allowed_by().empty()) return "";
  std::string out =
      StrCat("Breaking contracts allowed by ", OneLine(deployment.allowed_by(), kShownMessageBytes),
             deployment.let_through().empty() ? "; none was let through\n" : "; let through:\n");
  for (const std::string& text : deployment.let_through()) {
    StrAppend(&out, "  ", OneLine(text), "\n");
  }
  return out;
}

std::string VerdictText(const v1::Verdict& verdict) {
  std::string out = StrCat("Verdict: ",
                           verdict.kind() == v1::Verdict::KIND_UNSPECIFIED
                               ? "not decided"
                               : v1::Verdict::Kind_Name(verdict.kind()),
                           verdict.reason().empty() ? "" : StrCat(" - ", verdict.reason()), "\n");
  if (verdict.tests().empty()) return out;
  Table table({"  TEST", "ESTIMATE", "MESSAGES", "LOWER BOUND", "EVIDENCE", "FIRES AT", "FIRED"});
  for (const auto& test : verdict.tests()) {
    auto show = [&test](double value) {
      const std::string& condition = test.condition();
      if (StrContains(condition, "latency")) return ShortDuration(static_cast<int64_t>(value));
      if (StrContains(condition, "ratio")) return absl::StrFormat("%.3g x", value);
      if (StartsWith(condition, "memory")) return FormatSize(static_cast<int64_t>(value));
      if (StartsWith(condition, "cpu")) return absl::StrFormat("%.0fm", value);
      return Percent(value * 100);
    };
    table.Row({StrCat("  ", test.condition()), show(test.estimate()), StrCat(test.count()),
               test.lower_bound() > 0 ? show(test.lower_bound()) : std::string("-"),
               absl::StrFormat("%.3g", test.evidence()), absl::StrFormat("%.3g", test.fires_at()),
               test.fired() ? "yes" : "no"});
  }
  return StrCat(out, table.ToString());
}

std::string ChangesText(const std::string& before, const std::string& after,
                        const std::vector<v1::FieldChange>& changes) {
  if (changes.empty()) return "No differences\n";
  Table table({"FIELD", before.empty() ? "BEFORE" : before, after.empty() ? "AFTER" : after});
  for (const auto& change : changes) {
    table.Row({change.field(), change.before().empty() ? "-" : OneLine(change.before(), 60),
               change.after().empty() ? "-" : OneLine(change.after(), 60)});
  }
  return table.ToString();
}

std::string DeploymentText(const v1::Deployment& deployment, const Style& style) {
  std::string out;
  for (const std::string& line : ProgressView(deployment, style)) StrAppend(&out, line, "\n");
  StrAppend(&out, "  created ", UtcTime(Nanos(deployment.create_time())), "\n");
  if (deployment.has_end_time()) {
    StrAppend(&out, "  ended ", UtcTime(Nanos(deployment.end_time())), "\n");
  }
  if (deployment.has_rollback_possible_until()) {
    StrAppend(&out, "  rollback within the cleanup window possible until ",
              UtcTime(Nanos(deployment.rollback_possible_until())), "\n");
  }
  if (!deployment.reason().empty()) StrAppend(&out, "  reason ", deployment.reason(), "\n");
  StrAppend(&out, AllowedText(deployment));
  if (!deployment.phases().empty()) {
    Table table({"  PHASE", "START", "TOOK", ""});
    for (const auto& phase : deployment.phases()) {
      table.Row({StrCat("  ", phase.name()),
                 phase.has_start_time() ? UtcTime(Nanos(phase.start_time())) : "-",
                 phase.has_elapsed() ? ShortDuration(Nanos(phase.elapsed())) : "-",
                 phase.detail()});
    }
    StrAppend(&out, table.ToString());
  }
  if (deployment.verdict().kind() != v1::Verdict::KIND_UNSPECIFIED ||
      !deployment.verdict().tests().empty()) {
    StrAppend(&out, VerdictText(deployment.verdict()));
  }
  if (deployment.has_history()) StrAppend(&out, HistoryText(deployment.history()));
  if (deployment.has_shadow()) StrAppend(&out, ShadowText(deployment.shadow()));
  if (deployment.has_validation()) {
    StrAppend(&out, ReportText(deployment.validation(), style));
  }
  return StrCat(out, WhyNotBeside(deployment, ""));  // the report stands above
}

}  // namespace caxton::cli
