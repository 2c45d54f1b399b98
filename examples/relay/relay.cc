// SPDX-License-Identifier: Apache-2.0
//
// Asks another agent and gives its answer to whoever asked. The two steps share no memory: what the
// second one must know travels in `reply_with`, which an answer brings back as `in_reply_to`.
#include <string>
#include <string_view>

#include "caxton.hpp"

namespace {

using caxton::Message;
using caxton::Outcome;
using caxton::Outgoing;
using caxton::Performative;

// "SENDER REPLY_WITH"; no sender has a space in its name.
std::string Token(const Message& request) { return request.sender() + " " + request.reply_with(); }

Outcome Ask(const Message& request) {
  Outgoing question(caxton::SettingOr("to", "echo"), Performative::kRequest);
  question.Key(request.key()).ContentType(request.content_type()).Content(request.content());
  if (!request.reply_with().empty()) question.ReplyWith(Token(request));
  return question.Send() ? Outcome::kHandled : Outcome::kRetry;
}

Outcome PassOn(const Message& answer, std::string_view token) {
  const size_t space = token.find(' ');
  if (space == std::string_view::npos) return Outcome::kReject;
  Outgoing reply(token.substr(0, space), answer.performative());
  reply.InReplyTo(token.substr(space + 1)).Content(answer.content());
  return reply.Send() ? Outcome::kHandled : Outcome::kRetry;
}

Outcome Handle(const Message& message) {
  const std::string token = message.in_reply_to();
  return token.empty() ? Ask(message) : PassOn(message, token);
}

}  // namespace

CAXTON_AGENT(Handle)
