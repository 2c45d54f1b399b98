// SPDX-License-Identifier: Apache-2.0
//
// caxton dlq list | show | retry | drop
#include <memory>
#include <ostream>

#include <CLI/CLI.hpp>

#include "absl/strings/str_split.h"
#include "call.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/cli/limits.h"
#include "caxton/v1/messaging.grpc.pb.h"
#include "context.h"

namespace caxton::cli {
namespace {

using Stub = v1::Messaging::Stub;

absl::StatusOr<ExitCode> List(Context* context, const std::string& agent) {
  v1::ListDeadLettersRequest request;
  request.set_agent(agent);
  ASSIGN_OR_RETURN(const v1::ListDeadLettersResponse merged,
                   CallAllPages(context->client(), &Stub::ListDeadLetters, request));
  const Printer printer = context->printer();
  if (printer.structured()) {
    printer.Document(merged);
    return ExitCode::kDone;
  }
  Table table({"MESSAGE", "AGENT", "REVISION", "TIME", "CAUSE", ""});
  for (const v1::DeadLetter& letter : merged.dead_letters()) {
    table.Row({letter.message_id(), letter.agent(), letter.revision(),
               UtcTime(Nanos(letter.time())), letter.cause(), OneLine(letter.detail(), 60)});
  }
  if (table.empty()) {
    context->err() << "No dead letters.\n";
  } else {
    printer.Text(table.ToString());
  }
  return ExitCode::kDone;
}

absl::StatusOr<ExitCode> Show(Context* context, const std::string& id) {
  v1::GetDeadLetterRequest request;
  request.set_message_id(id);
  ASSIGN_OR_RETURN(const v1::GetDeadLetterResponse response,
                   Call(context->client(), &Stub::GetDeadLetter, request));
  const Printer printer = context->printer();
  if (printer.structured()) {
    printer.Document(response);
    return ExitCode::kDone;
  }
  const v1::DeadLetter& letter = response.dead_letter();
  const v1::Envelope& envelope = letter.envelope();
  std::string text = StrCat(
      letter.message_id(), " to ", letter.agent(), " from ", envelope.sender(), "\n  cause    ",
      letter.cause(), " on ", letter.revision(), " at ", UtcTime(Nanos(letter.time())),
      "\n  key      ", OneLine(envelope.key(), 200), "\n  content  ", envelope.content().size(),
      " bytes: ", OneLine(envelope.content(), kShownContentBytes), "\n");
  for (const auto& attempt : letter.attempts()) {
    StrAppend(&text, "  attempt  ", UtcTime(Nanos(attempt.time())), " on ", attempt.revision(),
              ": ", attempt.outcome(), "\n");
    for (absl::string_view line : absl::StrSplit(attempt.detail(), '\n')) {
      if (!line.empty()) StrAppend(&text, "    ", OneLine(StdView(line), line.size() + 1), "\n");
    }
  }
  if (letter.attempts().empty() && !letter.detail().empty()) {
    StrAppend(&text, letter.detail(), "\n");
  }
  printer.Text(text);
  return ExitCode::kDone;
}

struct SelectionFlags {
  std::vector<std::string> ids;
  std::string agent;
};

absl::Status FillSelection(const SelectionFlags& flags, v1::DeadLetterSelection* selection) {
  if (flags.ids.empty() == flags.agent.empty()) {
    return UsageError("Which dead letters?", "name message ids, or --agent NAME for all of it");
  }
  selection->set_agent(flags.agent);
  for (const std::string& id : flags.ids) selection->add_message_ids(id);
  return absl::OkStatus();
}

absl::StatusOr<ExitCode> Retry(Context* context, const SelectionFlags& flags) {
  v1::RetryDeadLettersRequest request;
  RETURN_IF_ERROR(FillSelection(flags, request.mutable_selection()));
  request.set_idempotency_key(context->client().NewIdempotencyKey());
  ASSIGN_OR_RETURN(const v1::RetryDeadLettersResponse response,
                   Call(context->client(), &Stub::RetryDeadLetters, request));
  if (context->printer().structured()) {
    context->printer().Document(response);
  } else {
    context->printer().Text(StrCat(response.retried(), " put back into the queue\n"));
  }
  return ExitCode::kDone;
}

absl::StatusOr<ExitCode> Drop(Context* context, const SelectionFlags& flags) {
  v1::DropDeadLettersRequest request;
  RETURN_IF_ERROR(FillSelection(flags, request.mutable_selection()));
  request.set_idempotency_key(context->client().NewIdempotencyKey());
  ASSIGN_OR_RETURN(const v1::DropDeadLettersResponse response,
                   Call(context->client(), &Stub::DropDeadLetters, request));
  if (context->printer().structured()) {
    context->printer().Document(response);
  } else {
    context->printer().Text(StrCat(response.dropped(), " dropped\n"));
  }
  return ExitCode::kDone;
}

}  // namespace

void AddDeadLetterCommands(CLI::App* app, Context* context) {
  CLI::App* group = app->add_subcommand("dlq", "Dead letters: messages that could not be handled");
  group->require_subcommand(1);
  auto word = std::make_shared<std::string>();
  CLI::App* list = group->add_subcommand("list", "Dead letters, oldest first");
  list->add_option("agent", *word, "Only this agent's");
  list->callback([=] { context->action = [=] { return List(context, *word); }; });
  CLI::App* show = group->add_subcommand("show", "One dead letter with all its attempts");
  show->add_option("id", *word, "Message id")->required();
  show->callback([=] { context->action = [=] { return Show(context, *word); }; });

  auto flags = std::make_shared<SelectionFlags>();
  CLI::App* retry = group->add_subcommand("retry", "Put them back into the queue");
  CLI::App* drop = group->add_subcommand("drop", "Drop them for good, on record");
  for (CLI::App* command : {retry, drop}) {
    command->add_option("ids", flags->ids, "Message ids");
    command->add_option("--agent", flags->agent, "All dead letters of this agent");
  }
  retry->callback([=] { context->action = [=] { return Retry(context, *flags); }; });
  drop->callback([=] { context->action = [=] { return Drop(context, *flags); }; });
}

}  // namespace caxton::cli
