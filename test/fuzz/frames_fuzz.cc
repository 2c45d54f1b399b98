// SPDX-License-Identifier: Apache-2.0
//
// What a worker or the server reads from the channel, and what the server reads back from its disk
// in the same form. The first byte chooses the decoder. Properties: what decodes is within its
// limits and fit to be shown, and survives being encoded again.
#include <algorithm>
#include <array>

#include "caxton/base/assert.h"
#include "caxton/ipc/frames.h"
#include "caxton/ipc/limits.h"
#include "caxton/model/deployment_spec.h"
#include "caxton/model/envelope.h"
#include "caxton/model/evidence.h"
#include "caxton/model/revision.h"
#include "caxton/model/step.h"
#include "caxton/model/text.h"
#include "fuzz_target.h"

namespace caxton::fuzz {
namespace {

constexpr size_t kMaxOutputBytes = 4096;

// Encoded, decoded and encoded again, it is the same bytes.
template <typename Decode, typename Encode>
auto Settled(std::string_view bytes, Decode decode, Encode encode) {
  auto value = decode(bytes);
  if (!value.ok()) return value;
  std::string once, twice;
  encode(*value, &once);
  const auto again = decode(once);
  CAXTON_ASSERT(again.ok(), "what was decoded can be encoded and decoded");
  encode(*again, &twice);
  CAXTON_ASSERT(once == twice, "what was decoded survives its encoding");
  return value;
}

void CheckText(std::string_view text, size_t limit) {
  CAXTON_ASSERT(text.size() <= limit, "a text is within its limit");
  CAXTON_ASSERT(IsUtf8(text), "a text is fit to be shown");
}

void CheckStep(std::string_view bytes) {
  const auto result = DecodeStepResult(bytes, kMaxOutputBytes);
  if (!result.ok()) return;
  CAXTON_ASSERT(result->sends.size() <= kMaxSendsPerStep, "messages are bounded");
  size_t output = result->reply.has_value() ? result->reply->content.size() : 0;
  for (const OutgoingMessage& sent : result->sends) {
    output += sent.content.size();
    for (const std::string* text : {&sent.to, &sent.conversation_id, &sent.reply_with,
                                    &sent.in_reply_to, &sent.key, &sent.content_type}) {
      CheckText(*text, kMaxEnvelopeFieldBytes);
    }
    for (const auto& [name, value] : sent.headers) {
      CheckText(name, kMaxEnvelopeHeaderNameBytes);
      CheckText(value, kMaxEnvelopeHeaderValueBytes);
    }
  }
  CAXTON_ASSERT(output <= kMaxOutputBytes, "output is bounded");
  CAXTON_ASSERT(result->logs.size() <= kMaxLogLinesPerStep, "log lines are bounded");
  for (const LogLine& line : result->logs) CheckText(line.text, kMaxLogBytesPerStep);
  CheckText(result->detail, kMaxStepDetailBytes);
  CAXTON_ASSERT(result->outcome == StepOutcome::kHandled ||
                    (!result->reply.has_value() && result->sends.empty()),
                "a step that was not handled has no effects");
}

void CheckReady(std::string_view bytes) {
  const auto ready = Settled(bytes, ipc::DecodeReady, ipc::EncodeReady);
  if (!ready.ok()) return;
  CheckText(ready->detail, ipc::kMaxTextBytes);
  CheckText(ready->engine, ipc::kMaxTextBytes);
  CheckText(ready->config_hash, ipc::kMaxTextBytes);
  for (const std::string& note : ready->not_enforced) CheckText(note, ipc::kMaxTextBytes);
}

void CheckHealth(std::string_view bytes) {
  const auto answer = Settled(bytes, ipc::DecodeHealthAnswer, ipc::EncodeHealthAnswer);
  if (answer.ok()) CheckText(answer->detail, ipc::kMaxTextBytes);
}

void CheckLog(std::string_view bytes) {
  const auto line = Settled(bytes, ipc::DecodeLogLine, ipc::EncodeLogLine);
  if (line.ok()) CheckText(line->text, ipc::kMaxTextBytes);
}

void CheckDispatch(std::string_view bytes) {
  const auto dispatch = ipc::DecodeDispatch(bytes);
  if (!dispatch.ok()) return;
  std::string head;
  ipc::EncodeDispatchHead(dispatch->head, &head);
  CAXTON_ASSERT(head + std::string(dispatch->envelope) == bytes, "a dispatch is its two parts");
}

template <typename Encode>
std::string Encoded(char kind, Encode encode) {
  std::string bytes;
  encode(&bytes);
  return kind + bytes;
}

StepResult SomeStep() {
  StepResult result;
  result.ticket = Ticket(3);
  result.reply = Reply{Performative::kInform, "yes"};
  OutgoingMessage sent;
  sent.to = "other";
  sent.key = "k";
  sent.content = "hello";
  sent.headers = {{"a", "b"}};
  result.sends = {sent, sent};
  result.logs = {{1, "careful"}};
  result.detail = "wasm trap";
  return result;
}

DeploymentSpec SomeSpec() {
  DeploymentSpec spec;
  spec.strategy = Strategy::kCanary;
  spec.stages = *ParseStages("5:5m,25:10m");
  spec.rollback_on = *ParseConditions("error_rate>1%,p99_latency>100ms");
  spec.cleanup_ns = 5;
  spec.shadow_compare = {"output_equivalence"};
  return spec;
}

}  // namespace

void OneInput(std::string_view input) {
  if (input.empty()) return;
  const std::string_view bytes = input.substr(1);
  switch (static_cast<uint8_t>(input[0]) % 10) {
    case 0:
      return CheckStep(bytes);
    case 1:
      return CheckReady(bytes);
    case 2:
      return CheckHealth(bytes);
    case 3:
      return CheckLog(bytes);
    case 4:
      return CheckDispatch(bytes);
    case 5:
      return (void)Settled(bytes, ipc::DecodeConfigure, ipc::EncodeConfigure);
    case 6:
      return (void)Settled(bytes, ipc::DecodeHealthRequest, ipc::EncodeHealthRequest);
    case 7:
      return (void)Settled(bytes, DecodeEnvelope, EncodeEnvelope);
    case 8:
      return (void)Settled(bytes, DecodeRevision, EncodeRevision);
    default:
      return (void)Settled(bytes, DecodeSpec, EncodeSpec);
  }
}

std::vector<std::string> Seeds() {
  ipc::Ready ready{.ok = true, .detail = "d", .engine = "wasmtime 48.0.8", .config_hash = "ab"};
  ready.not_enforced = {"network namespace: no"};
  ipc::Configure configure;
  configure.agent = "greeter";
  configure.settings = {{"a", "1"}, {"b", "2"}};
  ipc::DispatchHead head;
  head.input.ticket = Ticket(11);
  head.deadline_ns = 15;
  Envelope envelope;
  envelope.receiver = "greeter";
  envelope.content = "hello";
  envelope.headers = {{"h", "v"}};
  Revision revision;
  revision.agent = "greeter";
  revision.settings = {{"a", "1"}};
  return {
      Encoded(0, [](std::string* out) { EncodeStepResult(SomeStep(), out); }),
      Encoded(1, [&](std::string* out) { ipc::EncodeReady(ready, out); }),
      Encoded(2,
              [](std::string* out) {
                ipc::EncodeHealthAnswer({7, true, 0, "well"}, out);
              }),
      Encoded(3,
              [](std::string* out) {
                ipc::EncodeLogLine({2, "line"}, out);
              }),
      Encoded(4, [&](std::string* out) { ipc::EncodeDispatchHead(head, out); }) + "envelope",
      Encoded(5, [&](std::string* out) { ipc::EncodeConfigure(configure, out); }),
      Encoded(6, [](std::string* out) { ipc::EncodeHealthRequest({9}, out); }),
      Encoded(7, [&](std::string* out) { EncodeEnvelope(envelope, out); }),
      Encoded(8, [&](std::string* out) { EncodeRevision(revision, out); }),
      Encoded(9, [](std::string* out) { EncodeSpec(SomeSpec(), out); }),
  };
}

std::vector<std::string> Words() {
  return {std::string("\0\0\0\0", 4), "\xff\xff\xff\xff", std::string("\x40\0\0\0", 4),
          std::string("\1\0\0\0", 4), "\xc3\x28",         "\x80"};
}

}  // namespace caxton::fuzz
