// SPDX-License-Identifier: Apache-2.0
//
// caxton dlq list | show | retry | drop
#include <algorithm>
#include <memory>
#include <ostream>
#include <set>

#include <CLI/CLI.hpp>

#include "absl/strings/str_split.h"
#include "absl/types/span.h"
#include "args.h"
#include "call.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/cli/limits.h"
#include "caxton/v1/messaging.grpc.pb.h"
#include "context.h"

namespace caxton::cli {
namespace {

using MessagingStub = v1::Messaging::Stub;

// Of a dead letter, by a server (journal::kMaxAttemptsKept).
constexpr int kAttemptsKept = 16;

absl::StatusOr<ExitCode> ListLetters(Context* context, const std::string& agent) {
  v1::ListDeadLettersRequest request;
  request.set_agent(agent);
  ASSIGN_OR_RETURN(const v1::ListDeadLettersResponse merged,
                   CallAllPages(context->client(), &MessagingStub::ListDeadLetters, request));
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

absl::StatusOr<ExitCode> ShowLetter(Context* context, const std::string& id) {
  v1::GetDeadLetterRequest request;
  request.set_message_id(id);
  ASSIGN_OR_RETURN(const v1::GetDeadLetterResponse response,
                   Call(context->client(), &MessagingStub::GetDeadLetter, request));
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
  if (letter.attempts_size() >= kAttemptsKept) {
    StrAppend(&text, "  (the newest ", kAttemptsKept,
              " attempts; a server keeps no more, so there may have been others before)\n");
  }
  for (const auto& attempt : letter.attempts()) {
    StrAppend(&text, "  attempt  ", UtcTime(Nanos(attempt.time())), " on ", attempt.revision(),
              ": ", attempt.outcome(), "\n");
    for (absl::string_view line : absl::StrSplit(attempt.detail(), '\n')) {
      if (!line.empty()) StrAppend(&text, "    ", OneLine(StdView(line)), "\n");
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

// What retry and drop differ in.
struct RetryCall {
  using Request = v1::RetryDeadLettersRequest;
  using Response = v1::RetryDeadLettersResponse;
  static constexpr auto kMethod = &MessagingStub::RetryDeadLetters;
  static constexpr std::string_view kDone = "put back into the queue";
  static int64_t Count(const Response& response) { return response.retried(); }
  static void SetCount(int64_t count, Response* response) { response->set_retried(count); }
};
struct DropCall {
  using Request = v1::DropDeadLettersRequest;
  using Response = v1::DropDeadLettersResponse;
  static constexpr auto kMethod = &MessagingStub::DropDeadLetters;
  static constexpr std::string_view kDone = "dropped";
  static int64_t Count(const Response& response) { return response.dropped(); }
  static void SetCount(int64_t count, Response* response) { response->set_dropped(count); }
};

absl::StatusOr<std::vector<std::string>> IdsOf(const Client& client, const std::string& agent) {
  v1::ListDeadLettersRequest request;
  request.set_agent(agent);
  request.set_page_size(kDeadLetterPageSize);
  std::vector<std::string> ids;
  do {
    ASSIGN_OR_RETURN(const v1::ListDeadLettersResponse page,
                     Call(client, &MessagingStub::ListDeadLetters, request));
    for (const v1::DeadLetter& letter : page.dead_letters()) ids.push_back(letter.message_id());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return ids;
}

// One call for `ids`. The server goes on with a call that ran out of time: the error says so.
template <typename Kind>
absl::StatusOr<typename Kind::Response> CallFor(const Client& client, const std::string& agent,
                                                absl::Span<const std::string> ids) {
  typename Kind::Request request;
  request.mutable_selection()->set_agent(agent);
  for (const std::string& id : ids) request.mutable_selection()->add_message_ids(id);
  request.set_idempotency_key(client.NewIdempotencyKey());
  auto response = Call(client, Kind::kMethod, request);
  if (!absl::IsDeadlineExceeded(response.status())) return response;
  return WithFix(
      absl::DeadlineExceededError(
          StrCat(StdView(response.status().message()), "; it goes on with what it was asked for")),
      StrCat("see with `caxton dlq list", agent.empty() ? "" : StrCat(" --agent ", agent),
             "` what is left; wait longer with --timeout, e.g. --timeout 2m"));
}

// All that an agent has now, some at a time, oldest first, so that no call takes long however many
// there are. What others take away meanwhile is passed over.
template <typename Kind>
absl::StatusOr<typename Kind::Response> CallForAgent(const Client& client,
                                                     const std::string& agent) {
  ASSIGN_OR_RETURN(std::vector<std::string> ids, IdsOf(client, agent));
  const size_t all = ids.size();
  typename Kind::Response last;
  int64_t count = 0;
  bool looked_again = false;
  for (size_t at = 0; at < ids.size();) {
    const size_t size = std::min(kDeadLetterBatch, ids.size() - at);
    auto response = CallFor<Kind>(client, agent, absl::MakeConstSpan(ids).subspan(at, size));
    if (response.ok()) {
      last = *std::move(response);
      count += Kind::Count(last);
      at += size;
      looked_again = false;
      continue;
    }
    if (ReasonOf(response.status()) == "NO_SUCH_DEAD_LETTER" && !looked_again) {
      looked_again = true;
      ASSIGN_OR_RETURN(const std::vector<std::string> there, IdsOf(client, agent));
      const std::set<std::string> known(there.begin(), there.end());
      ids.erase(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(at));
      std::erase_if(ids, [&known](const std::string& id) { return !known.contains(id); });
      at = 0;
      continue;
    }
    return count == 0 ? response.status()
                      : Annotate(response.status(),
                                 StrCat(count, " of ", all, " ", Kind::kDone, ", then"));
  }
  Kind::SetCount(count, &last);
  return last;
}

template <typename Kind>
absl::StatusOr<ExitCode> Settle(Context* context, const SelectionFlags& flags) {
  if (flags.ids.empty() == flags.agent.empty()) {
    return UsageError("Which dead letters?", "name message ids, or --agent NAME for all of it");
  }
  ASSIGN_OR_RETURN(const typename Kind::Response response,
                   flags.ids.empty() ? CallForAgent<Kind>(context->client(), flags.agent)
                                     : CallFor<Kind>(context->client(), "", flags.ids));
  if (context->printer().structured()) {
    context->printer().Document(response);
  } else {
    context->printer().Text(StrCat(Kind::Count(response), " ", Kind::kDone, "\n"));
  }
  return ExitCode::kDone;
}

}  // namespace

void AddDeadLetterCommands(CLI::App* app, Context* context) {
  CLI::App* group = app->add_subcommand("dlq", "Dead letters: messages that could not be handled");
  group->require_subcommand(1);
  auto word = std::make_shared<std::string>();
  CLI::App* list = group->add_subcommand("list", "Dead letters, oldest first");
  auto* positional = list->add_option("agent", *word, "Only this agent's");
  list->add_option("--agent", *word, "Only this agent's, as retry and drop say it")
      ->excludes(positional);
  list->callback([=] { context->action = [=] { return ListLetters(context, *word); }; });
  CLI::App* show = group->add_subcommand(
      "show", StrCat("One dead letter with its attempts (the newest ", kAttemptsKept, ")"));
  show->add_option("id", *word, "Message id")->required();
  show->callback([=] { context->action = [=] { return ShowLetter(context, *word); }; });

  auto flags = std::make_shared<SelectionFlags>();
  CLI::App* retry = group->add_subcommand("retry", "Put them back into the queue");
  CLI::App* drop = group->add_subcommand("drop", "Drop them for good, on record");
  for (CLI::App* command : {retry, drop}) {
    command->add_option("ids", flags->ids, "Message ids");
    command->add_option("--agent", flags->agent, "All dead letters of this agent");
  }
  retry->callback([=] { context->action = [=] { return Settle<RetryCall>(context, *flags); }; });
  drop->callback([=] { context->action = [=] { return Settle<DropCall>(context, *flags); }; });
}

}  // namespace caxton::cli
