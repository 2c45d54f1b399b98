// SPDX-License-Identifier: Apache-2.0
//
// caxton message send | request | tail | trace
#include <memory>
#include <ostream>

#include <CLI/CLI.hpp>

#include "absl/strings/str_replace.h"
#include "args.h"
#include "call.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/cli/limits.h"
#include "caxton/model/envelope.h"
#include "caxton/model/limits.h"
#include "caxton/v1/messaging.grpc.pb.h"
#include "context.h"
#include "files.h"
#include "interrupt.h"

namespace caxton::cli {
namespace {

using MessagingStub = v1::Messaging::Stub;

struct MessageFlags {
  std::string agent, key, performative, data, file, revision, conversation, content_type;
  std::string idempotency_key, delivery, deadline;
  std::vector<std::string> headers;  // NAME=VALUE
  bool preview = false;
};

absl::Status SetContent(const Context& context, const MessageFlags& flags, v1::Envelope* envelope) {
  if (flags.file.empty()) {
    envelope->set_content(flags.data);
    return absl::OkStatus();
  }
  auto content = flags.file == "-" ? ReadStreamUpTo(*context.environment.in, kHardMaxMessageBytes)
                                   : ReadFileUpTo(flags.file, kHardMaxMessageBytes);
  if (!content.ok()) return content.status();
  envelope->set_content(*std::move(content));
  return absl::OkStatus();
}

absl::Status SetDelivery(const MessageFlags& flags, v1::Envelope* envelope) {
  if (flags.delivery == "durable") {
    envelope->set_delivery(v1::DURABLE);
  } else if (flags.delivery == "volatile") {
    envelope->set_delivery(v1::VOLATILE);
  } else if (!flags.delivery.empty()) {
    return UsageError(StrCat("--delivery is durable or volatile, not '", flags.delivery, "'"));
  }
  return absl::OkStatus();
}

// Fills envelope and revision of a SendRequest or RequestRequest.
template <typename Request>
absl::Status FillMessage(const Context& context, const MessageFlags& flags, Request* request) {
  request->set_preview(flags.preview);
  v1::Envelope* envelope = request->mutable_envelope();
  envelope->set_receiver(flags.agent);
  envelope->set_key(flags.key);
  envelope->set_conversation_id(flags.conversation);
  envelope->set_content_type(flags.content_type);
  envelope->set_idempotency_key(flags.idempotency_key);
  if (!flags.performative.empty()) {
    const std::string name =
        absl::StrReplaceAll(absl::AsciiStrToUpper(flags.performative), {{"-", "_"}});
    auto performative = ParsePerformative(name);
    if (!performative.ok()) {
      return UsageError(StrCat("--performative: ", performative.status().message()));
    }
    // The contract's numbers are the ABI's and one more (0 is "not said").
    envelope->set_performative(static_cast<v1::Performative>(static_cast<int>(*performative) + 1));
  }
  for (const std::string& header : flags.headers) {
    const size_t equals = header.find('=');
    if (equals == std::string::npos || equals == 0) {
      return UsageError(StrCat("--header takes NAME=VALUE, not '", header, "'"));
    }
    (*envelope->mutable_headers())[header.substr(0, equals)] = header.substr(equals + 1);
  }
  if (!flags.deadline.empty()) {
    ASSIGN_OR_RETURN(const int64_t in, ParseDurationArg("--deadline", flags.deadline));
    const int64_t at = context.environment.clock->WallNanos() + in;
    envelope->mutable_deadline()->set_seconds(at / kNanosPerSecond);
    envelope->mutable_deadline()->set_nanos(static_cast<int32_t>(at % kNanosPerSecond));
  }
  if (!flags.revision.empty()) {
    ASSIGN_OR_RETURN(const uint32_t revision,
                     ParseRevisionArg("--revision", flags.revision, envelope->receiver()));
    request->set_revision(revision);
  }
  RETURN_IF_ERROR(SetDelivery(flags, envelope));
  return SetContent(context, flags, envelope);
}

absl::StatusOr<ExitCode> Send(Context* context, const MessageFlags& flags) {
  v1::SendRequest request;
  RETURN_IF_ERROR(FillMessage(*context, flags, &request));
  auto response = Call(context->client(), &MessagingStub::Send, request);
  if (!response.ok()) return SuggestAgent(context, flags.agent, response.status());
  if (context->printer().structured()) {
    context->printer().Document(*response);
  } else {
    context->printer().Text(StrCat(response->message_id(), "\n"));
  }
  return ExitCode::kDone;
}

absl::StatusOr<ExitCode> RequestReply(Context* context, const MessageFlags& flags) {
  v1::RequestRequest request;
  RETURN_IF_ERROR(FillMessage(*context, flags, &request));
  auto response = Call(context->client(), &MessagingStub::Request, request);
  if (!response.ok()) return SuggestAgent(context, flags.agent, response.status());
  if (context->printer().structured()) {
    context->printer().Document(*response);
  } else {
    context->printer().Text(response->reply().content());  // as it is
  }
  if (response->reply().performative() != v1::FAILURE) return ExitCode::kDone;
  context->err() << "The agent replied FAILURE.\n";
  return ExitCode::kFailed;
}

struct TailFlags {
  std::string agent, from;
  bool follow = false;
};

std::string TailLine(const v1::TailResponse& event) {
  const v1::Envelope& envelope = event.envelope();
  std::string line = StrCat(UtcTime(Nanos(event.time())), " ", event.cursor(), " ",
                            event.revision(), " ", event.outcome());
  if (!envelope.key().empty()) StrAppend(&line, " key=", OneLine(envelope.key(), 40));
  StrAppend(&line, " from=", OneLine(envelope.sender(), 80), " ",
            OneLine(envelope.content(), kShownContentBytes));
  if (event.has_reply()) {
    StrAppend(&line, " -> ", OneLine(event.reply().content(), kShownContentBytes));
  }
  return line;
}

absl::StatusOr<ExitCode> Tail(Context* context, const TailFlags& flags) {
  const Printer printer = context->printer();
  std::string cursor = flags.from == "start" ? "0" : flags.from;
  grpc::ClientContext call;
  InterruptScope interrupt([&call] { call.TryCancel(); });
  v1::TailRequest request;
  request.set_agent(flags.agent);
  request.set_cursor(cursor);
  request.set_follow(flags.follow);
  MessagingStub stub(context->client().channel());
  if (flags.follow && cursor.empty()) {
    context->err() << "Waiting for new messages; `--from start` shows the earlier ones too.\n";
  }
  auto reader = stub.Tail(&call, request);
  v1::TailResponse event;
  while (reader->Read(&event)) {
    if (!printer.written()) {
      call.TryCancel();
      continue;
    }
    cursor = event.cursor();
    if (printer.structured()) {
      printer.Event(event);
      continue;
    }
    if (event.gap()) context->err() << "(older messages are not kept any more)\n";
    if (event.has_envelope()) printer.Text(StrCat(TailLine(event), "\n"));
  }
  const grpc::Status status = reader->Finish();
  if (status.ok() && !flags.follow && cursor.empty()) {
    context->err() << "Nothing was handled meanwhile: `--from start` shows the earlier messages, "
                      "`--follow` waits for new ones.\n";
  }
  if (interrupt.interrupted() || !printer.written() || status.ok()) return ExitCode::kDone;
  absl::Status error = FromGrpc(status, context->client().server());
  if (IsUnreachable(error) && !cursor.empty()) {
    error = WithFix(std::move(error), StrCat("go on with `caxton message tail ", flags.agent,
                                             " --from ", cursor, "`"));
  }
  return SuggestAgent(context, flags.agent, error);
}

absl::StatusOr<ExitCode> Trace(Context* context, const std::string& id) {
  v1::TraceMessageRequest request;
  request.set_message_id(id);
  ASSIGN_OR_RETURN(const v1::TraceMessageResponse response,
                   Call(context->client(), &MessagingStub::TraceMessage, request));
  const Printer printer = context->printer();
  if (printer.structured()) {
    printer.Document(response);
    return ExitCode::kDone;
  }
  Table table({"TIME", "WHAT", "REVISION", ""});
  for (const auto& event : response.events()) {
    table.Row({UtcTime(Nanos(event.time())), event.what(), event.revision(), event.detail()});
  }
  printer.Text(table.ToString());
  return ExitCode::kDone;
}

CLI::App* AddMessage(CLI::App* group, const char* name, const char* help,
                     const std::shared_ptr<MessageFlags>& flags) {
  CLI::App* command = group->add_subcommand(name, help);
  command->add_option("agent", flags->agent, "Agent")->required();
  command->add_option("--key", flags->key, "Messages of one key are handled in order");
  command->add_option("--performative", flags->performative, "REQUEST, INFORM, QUERY, ...");
  auto* data = command->add_option("--data", flags->data, "The content");
  command->add_option("--file", flags->file, "The content is in this file; - for stdin")
      ->excludes(data);
  command->add_option("--content-type", flags->content_type, "E.g. application/json");
  command->add_option("--conversation", flags->conversation, "Conversation id");
  command->add_option("--header", flags->headers, "NAME=VALUE; repeat for more")
      ->allow_extra_args(false);
  command->add_option("--idempotency-key", flags->idempotency_key,
                      "One effect and one answer however often it is sent");
  command->add_option("--delivery", flags->delivery, "durable or volatile");
  command->add_option("--deadline", flags->deadline, "The message expires after that long");
  auto* revision = command->add_option("--revision", flags->revision, "Handled by this revision");
  command->add_flag("--preview", flags->preview, "Handled by the preview revision")
      ->excludes(revision);
  return command;
}

}  // namespace

void AddMessageCommands(CLI::App* app, Context* context) {
  CLI::App* group = app->add_subcommand("message", "Send messages and see what became of them");
  group->require_subcommand(1);
  auto flags = std::make_shared<MessageFlags>();
  AddMessage(group, "send", "Send a message; returns once it is durable", flags)->callback([=] {
    context->action = [=] { return Send(context, *flags); };
  });
  AddMessage(group, "request", "Send a message and print the reply's content", flags)
      ->callback([=] { context->action = [=] { return RequestReply(context, *flags); }; });

  auto tail_flags = std::make_shared<TailFlags>();
  CLI::App* tail = group->add_subcommand("tail", "What an agent handled");
  tail->add_option("agent", tail_flags->agent, "Agent")->required();
  tail->add_option("--from", tail_flags->from, "Cursor to resume behind, or start");
  tail->add_flag("-f,--follow", tail_flags->follow, "Go on with new messages");
  tail->callback([=] { context->action = [=] { return Tail(context, *tail_flags); }; });

  auto id = std::make_shared<std::string>();
  CLI::App* trace = group->add_subcommand("trace", "Where a message is and what happened to it");
  trace->add_option("id", *id, "Message id")->required();
  trace->callback([=] { context->action = [=] { return Trace(context, *id); }; });
}

}  // namespace caxton::cli
