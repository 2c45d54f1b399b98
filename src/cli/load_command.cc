// SPDX-License-Identifier: Apache-2.0
//
// caxton load
#include <array>
#include <cmath>
#include <filesystem>
#include <memory>
#include <optional>
#include <ostream>

#include <CLI/CLI.hpp>

#include "args.h"
#include "caxton/base/hash.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/cli/limits.h"
#include "caxton/model/limits.h"
#include "caxton/model/units.h"
#include "context.h"
#include "files.h"
#include "load_runner.h"
#include "load_tail.h"

namespace caxton::cli {
namespace {

constexpr size_t kMaxLedgerBytes = size_t{4} << 30;

struct LoadFlags {
  std::string agent, duration, size, ledger, verify_tail;
  bool request = false, send = false, retry = false, no_idempotency = false;
  bool expect_from_ledger = false;
  std::optional<int64_t> count;
  std::optional<double> rate;
  int keys = kDefaultLoadKeys;
  int outstanding = kDefaultOutstanding;
};

absl::StatusOr<LoadOptions> ToOptions(const Context& context, const LoadFlags& flags) {
  LoadOptions options;
  options.agent = flags.agent;
  options.request = !flags.send;
  options.count = static_cast<uint64_t>(flags.count.value_or(0));
  options.rate = flags.rate.value_or(0);
  options.keys = flags.keys;
  options.outstanding = flags.outstanding;
  options.size = kDefaultLoadBytes;
  if (!flags.duration.empty()) {
    ASSIGN_OR_RETURN(options.duration_ns, ParseDurationArg("--duration", flags.duration));
    if (options.duration_ns == 0) return UsageError("--duration must be more than 0");
  }
  if (!flags.size.empty()) {
    auto size = ParseSizeBytes(flags.size);
    if (!size.ok()) return UsageError(StrCat("--size: ", size.status().message()));
    if (*size < 1 || *size > kHardMaxMessageBytes) {
      return UsageError(StrCat("--size is 1 to ", FormatSize(kHardMaxMessageBytes)));
    }
    options.size = static_cast<size_t>(*size);
  }
  options.idempotent = (!flags.ledger.empty() || flags.retry) && !flags.no_idempotency;
  std::array<uint8_t, 4> run;
  context.environment.random->Fill(run);
  options.run = HexEncode({reinterpret_cast<const char*>(run.data()), run.size()});
  return options;
}

// The ledger of an earlier run in the same file, if there is one; else a new one.
absl::StatusOr<Ledger> LoadLedger(const LoadFlags& flags, LoadOptions* options) {
  Ledger ledger;
  ledger.header = LedgerHeader{.run = options->run,
                               .agent = options->agent,
                               .request = options->request,
                               .keys = options->keys};
  std::error_code error;
  const bool there = !flags.ledger.empty() && std::filesystem::exists(flags.ledger, error) &&
                     std::filesystem::file_size(flags.ledger, error) > 0;
  if (!there) {
    if (flags.expect_from_ledger) {
      return UsageError("--expect-from-ledger needs the ledger of an earlier run",
                        "name it with --ledger FILE");
    }
    return ledger;
  }
  ASSIGN_OR_RETURN(const std::string text, ReadFileUpTo(flags.ledger, kMaxLedgerBytes));
  auto parsed = ParseLedger(text);
  if (!parsed.ok()) return Annotate(parsed.status(), flags.ledger);
  LedgerHeader same = parsed->header;
  same.run = ledger.header.run;
  if (!flags.expect_from_ledger && same != ledger.header) {
    return UsageError(
        StrCat(flags.ledger, " is the ledger of another load: ", FormatHeader(parsed->header)),
        "name another file, or give the same agent, mode and --keys");
  }
  options->run = parsed->header.run;
  options->first_number = parsed->last_number() + 1;
  return parsed;
}

absl::Status CheckFlags(const LoadFlags& flags) {
  if (flags.outstanding < 1 || flags.outstanding > kMaxOutstanding) {
    return UsageError(StrCat("--outstanding is 1 to ", kMaxOutstanding));
  }
  if (flags.keys < 0 || flags.keys > kMaxLoadKeys) {
    return UsageError(StrCat("--keys is 0 (no order) to ", kMaxLoadKeys));
  }
  if (flags.count && (*flags.count < 1 || *flags.count > kMaxLoadCount)) {
    return UsageError(StrCat("--count is 1 to ", kMaxLoadCount), "leave it out for no end");
  }
  if (flags.rate && !(*flags.rate > 0 && std::isfinite(*flags.rate))) {
    return UsageError("--rate is messages per second, more than 0", "leave it out for no limit");
  }
  if (flags.no_idempotency && (flags.retry || !flags.ledger.empty())) {
    return UsageError(
        "--no-idempotency excludes --retry and --ledger: a message sent again could "
        "then have two effects");
  }
  if (flags.expect_from_ledger && flags.verify_tail.empty()) {
    return UsageError("--expect-from-ledger says what --verify-tail AGENT compares with");
  }
  return absl::OkStatus();
}

absl::StatusOr<ExitCode> Load(Context* context, const LoadFlags& flags) {
  RETURN_IF_ERROR(CheckFlags(flags));
  ASSIGN_OR_RETURN(LoadOptions options, ToOptions(*context, flags));
  ASSIGN_OR_RETURN(Ledger ledger, LoadLedger(flags, &options));
  LoadOutcome load;
  const bool runs = !flags.expect_from_ledger;
  std::optional<TailWatch> watch;
  if (!flags.verify_tail.empty()) {
    watch.emplace(context, flags.verify_tail, ledger.header.run);
    const absl::Status started = watch->Start();
    if (!started.ok()) return SuggestAgent(context, flags.verify_tail, started);
  }
  if (runs) {
    std::unique_ptr<LedgerWriter> file;
    if (!flags.ledger.empty()) {
      ASSIGN_OR_RETURN(LedgerWriter writer, LedgerWriter::Open(flags.ledger, ledger.header));
      file = std::make_unique<LedgerWriter>(std::move(writer));
    }
    load = RunLoad(context, LoadParts{.options = options,
                                      .ride_over = flags.retry || !flags.ledger.empty(),
                                      .ledger = &ledger,
                                      .ledger_file = file.get()});
  }
  std::optional<TailSummary> tail;
  if (watch.has_value() && load.status.ok()) {
    ASSIGN_OR_RETURN(tail, watch->Finish(ledger, runs ? options.first_number : UINT64_MAX));
  }
  const Printer printer = context->printer();
  if (printer.structured()) {
    printer.JsonDocument(SummaryJson(runs ? &load.summary : nullptr, tail ? &*tail : nullptr));
  } else {
    if (runs) printer.Text(SummaryText(load.summary));
    if (tail) printer.Text(TailText(*tail));
  }
  if (!load.status.ok()) return SuggestAgent(context, flags.agent, load.status);
  if (runs && OutcomeOf(load.summary) != ExitCode::kDone) return OutcomeOf(load.summary);
  return tail ? OutcomeOf(*tail) : ExitCode::kDone;
}

}  // namespace

void AddLoadCommand(CLI::App* app, Context* context) {
  auto flags = std::make_shared<LoadFlags>();
  CLI::App* load = app->add_subcommand(
      "load", "Send numbered messages to an agent and account for every one of them");
  load->add_option("agent", flags->agent, "Agent")->required();
  auto* request = load->add_flag("--request", flags->request, "Wait for replies (default)");
  load->add_flag("--send", flags->send, "Send only; acknowledged when durable")->excludes(request);
  load->add_option("--count", flags->count, "How many (default: until Ctrl-C)");
  load->add_option("--duration", flags->duration, "For how long, e.g. 30s");
  load->add_option("--rate", flags->rate, "Messages per second (default: no limit)");
  load->add_option("--keys", flags->keys, "Spread over that many keys; 0: no keys, no order")
      ->capture_default_str();
  load->add_option("--outstanding", flags->outstanding, "At most that many unanswered")
      ->capture_default_str();
  load->add_option("--size", flags->size, "Bytes of content, e.g. 1Ki (default 256)");
  load->add_option("--ledger", flags->ledger,
                   "Keep account in this file; goes on with what an earlier run left in it");
  load->add_flag("--retry", flags->retry, "Ride over a restart of the server");
  load->add_flag("--no-idempotency", flags->no_idempotency, "No idempotency keys: raw speed");
  load->add_option("--verify-tail", flags->verify_tail,
                   "Then compare with what this agent handled (the end of a pipeline)");
  load->add_flag("--expect-from-ledger", flags->expect_from_ledger,
                 "Send nothing; verify what --ledger says was acknowledged");
  load->callback(
      [context, flags] { context->action = [context, flags] { return Load(context, *flags); }; });
}

}  // namespace caxton::cli
