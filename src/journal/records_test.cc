// SPDX-License-Identifier: Apache-2.0
#include "caxton/journal/records.h"

#include <gtest/gtest.h>

#include "caxton/base/random.h"
#include "caxton/journal/command_record.h"
#include "caxton/journal/limits.h"
#include "journal_fixture.h"

namespace caxton::journal {
namespace {

Attempt MakeAttempt(int n) {
  return {RevisionNumber(3), StepOutcome::kTrapped, n, 100 + n, "trap: unreachable"};
}

HeldRecord MakeHeld() {
  HeldRecord held;
  held.envelope = MakeEnvelope("payload");
  held.first_dispatch_ns = 5;
  held.next_try_ns = 6;
  held.charged = 2;
  held.attempts = {MakeAttempt(1), MakeAttempt(2)};
  held.stable_only = true;
  return held;
}

RouteRecord MakeRoute() {
  RouteRecord route;
  route.agent = kAgent;
  route.stable = RevisionNumber(1);
  route.candidate = RevisionNumber(2);
  route.weight_ppm = 1'000'000;
  route.salt.fill(9);
  route.deployment = DeploymentId(4);
  route.withdrawn = {RevisionNumber(5), RevisionNumber(6)};
  return route;
}

CommandRecord MakeCommand() {
  CommandRecord command;
  command.key = "RemoveAgentRequest k";
  command.request = "name 0123\n";
  command.claimed_ns = 5;
  command.deployment = DeploymentId(6);
  command.made = true;
  command.agent = kAgent;
  command.waiting = 7;
  command.dead = 8;
  command.dropped = 9;
  command.done = true;
  command.answer = "done";
  return command;
}

// One encoded example of each record, with its decoder.
struct Form {
  std::string name;
  std::string bytes;
  std::function<absl::Status(std::string_view)> decode;
};

template <typename Record>
Form MakeForm(const char* name, const Record& record,
              absl::StatusOr<Record> (*decode)(std::string_view)) {
  Form form{name, {}, [decode](std::string_view bytes) { return decode(bytes).status(); }};
  Encode(record, &form.bytes);
  return form;
}

std::vector<Form> AllForms() {
  const AgentRecord agent{kAgent, "greeter", 3, false, true, 77};
  const CounterRow counters{10, 4, 3, 2, 1, 5};
  DeadLetterRecord dead;
  dead.envelope = MakeEnvelope("payload");
  dead.cause = "max_attempts";
  dead.attempts = {MakeAttempt(1)};
  IdemRecord idem;
  idem.done = true;
  idem.seq = Seq(3);
  idem.digest = "0123456789abcdef";
  idem.reply = Reply{Performative::kFailure, "no"};
  RetainedRecord retained;
  retained.seq = Seq(9);
  retained.envelope = MakeEnvelope("payload");
  retained.reply = Reply{Performative::kInform, "yes"};
  return {MakeForm("agent", agent, &DecodeAgent),
          MakeForm("command", MakeCommand(), &DecodeCommand),
          MakeForm("counters", counters, &DecodeCounters),
          MakeForm("route", MakeRoute(), &DecodeRoute),
          MakeForm("held", MakeHeld(), &DecodeHeld),
          MakeForm("dead", dead, &DecodeDeadLetter),
          MakeForm("idem", idem, &DecodeIdem),
          MakeForm("retained", retained, &DecodeRetained)};
}

TEST(Records, EveryFormReadsBack) {
  for (const Form& form : AllForms()) EXPECT_TRUE(form.decode(form.bytes).ok()) << form.name;
}

TEST(Records, EveryTruncationIsDataLoss) {
  for (const Form& form : AllForms()) {
    for (size_t size = 0; size < form.bytes.size(); ++size) {
      EXPECT_TRUE(absl::IsDataLoss(form.decode(form.bytes.substr(0, size))))
          << form.name << " cut to " << size;
    }
    EXPECT_TRUE(absl::IsDataLoss(form.decode(form.bytes + "x"))) << form.name;
  }
}

TEST(Records, AnotherFormatByteIsDataLoss) {
  for (Form& form : AllForms()) {
    form.bytes[0] = 2;
    EXPECT_TRUE(absl::IsDataLoss(form.decode(form.bytes))) << form.name;
  }
}

TEST(Records, GarbageNeverCrashesAndFailsOnlyAsDataLoss) {
  SeededRandom random(1);
  for (const Form& form : AllForms()) {
    for (int i = 0; i < 2000; ++i) {
      std::string bytes = form.bytes;
      for (uint64_t flips = 1 + random.Below(4); flips > 0; --flips) {
        bytes[random.Below(bytes.size())] = static_cast<char>(random.Next64());
      }
      const absl::Status status = form.decode(bytes);
      EXPECT_TRUE(status.ok() || absl::IsDataLoss(status)) << form.name << ": " << status;
    }
  }
}

TEST(Records, CommandKeepsItsFields) {
  std::string bytes;
  Encode(MakeCommand(), &bytes);
  EXPECT_EQ(*DecodeCommand(bytes), MakeCommand());
  CommandRecord claim = MakeCommand();
  claim.done = false;
  bytes.clear();
  Encode(claim, &bytes);
  EXPECT_TRUE(absl::IsDataLoss(DecodeCommand(bytes).status())) << "a claim has no answer";
}

TEST(Records, HeldKeepsItsFields) {
  std::string bytes;
  Encode(MakeHeld(), &bytes);
  const HeldRecord held = *DecodeHeld(bytes);
  EXPECT_EQ(held.envelope.content, "payload");
  EXPECT_EQ(held.first_dispatch_ns, 5);
  EXPECT_EQ(held.next_try_ns, 6);
  EXPECT_EQ(held.charged, 2u);
  EXPECT_TRUE(held.stable_only);
  ASSERT_EQ(held.attempts.size(), 2u);
  EXPECT_EQ(held.attempts[1].agent_code, 2);
  EXPECT_EQ(held.attempts[1].outcome, StepOutcome::kTrapped);
  EXPECT_EQ(held.attempts[1].detail, "trap: unreachable");
}

TEST(Records, TheNewestAttemptsAreKept) {
  HeldRecord held = MakeHeld();
  held.attempts.clear();
  for (size_t i = 0; i < kMaxAttemptsKept; ++i) held.attempts.push_back(MakeAttempt(int(i)));
  std::string bytes;
  Encode(held, &bytes);
  EXPECT_EQ(DecodeHeld(bytes)->attempts.size(), kMaxAttemptsKept);
  held.attempts.push_back(MakeAttempt(99));
  bytes.clear();
  Encode(held, &bytes);
  const HeldRecord read = *DecodeHeld(bytes);
  ASSERT_EQ(read.attempts.size(), kMaxAttemptsKept);
  EXPECT_EQ(read.attempts.front().agent_code, 1);
  EXPECT_EQ(read.attempts.back().agent_code, 99);
}

TEST(Records, TheNewestWithdrawnAreKept) {
  RouteRecord route = MakeRoute();
  route.withdrawn.clear();
  for (uint32_t i = 1; i <= kMaxWithdrawnKept + 1; ++i) {
    route.withdrawn.push_back(RevisionNumber(i));
  }
  std::string bytes;
  Encode(route, &bytes);
  const RouteRecord read = *DecodeRoute(bytes);
  ASSERT_EQ(read.withdrawn.size(), kMaxWithdrawnKept);
  EXPECT_EQ(read.withdrawn.front(), RevisionNumber(2));
  EXPECT_EQ(read.salt, route.salt);
}

TEST(Records, ValuesOutOfRangeAreDataLoss) {
  RouteRecord route = MakeRoute();
  route.weight_ppm = 1'000'001;
  std::string bytes;
  Encode(route, &bytes);
  EXPECT_TRUE(absl::IsDataLoss(DecodeRoute(bytes).status()));

  bytes.clear();
  Encode(CounterRow{.accepted = 2, .completed = 1}, &bytes);
  EXPECT_TRUE(absl::IsDataLoss(DecodeCounters(bytes).status()));

  IdemRecord idem;
  idem.reply = Reply{};  // an answer, but not done
  bytes.clear();
  Encode(idem, &bytes);
  EXPECT_TRUE(absl::IsDataLoss(DecodeIdem(bytes).status()));
}

TEST(Keys, ByteOrderIsNumberOrder) {
  EXPECT_LT(MessageKey(AgentId(1), Seq(255)), MessageKey(AgentId(1), Seq(256)));
  EXPECT_LT(MessageKey(AgentId(1), Seq(~uint64_t{0})), MessageKey(AgentId(2), Seq(1)));
  EXPECT_LT(EvidenceKey(DeploymentId(255), 9), EvidenceKey(DeploymentId(256), 1));
  EXPECT_LT(IdemKey(1, AgentId(9), "z"), IdemKey(2, AgentId(1), "a"));
  EXPECT_LT(MessageKey(AgentId(~uint32_t{0}), Seq(~uint64_t{0})), EndOfTable());
}

TEST(Keys, PrefixEndIsTheFirstKeyBehind) {
  EXPECT_EQ(PrefixEnd("ab"), "ac");
  EXPECT_EQ(PrefixEnd(std::string("a\xff", 2)), "b");
  EXPECT_EQ(PrefixEnd(std::string("\xff\xff", 2)), EndOfTable());
  EXPECT_GE(PrefixEnd(AgentKey(AgentId(5))), MessageKey(AgentId(5), Seq(~uint64_t{0})));
  EXPECT_LE(PrefixEnd(AgentKey(AgentId(5))), MessageKey(AgentId(6), Seq(0)));
}

TEST(Keys, MessageKeyParses) {
  const auto id = ParseMessageKey(MessageKey(kAgent, Seq(12)));
  ASSERT_TRUE(id.ok());
  EXPECT_EQ(id->first, kAgent);
  EXPECT_EQ(id->second, Seq(12));
  EXPECT_TRUE(absl::IsDataLoss(ParseMessageKey("short").status()));
  EXPECT_TRUE(absl::IsDataLoss(ParseMessageKey(MessageKey(kAgent, Seq(12)) + "x").status()));
  EXPECT_TRUE(absl::IsDataLoss(ParseMessageKey(MessageKey(AgentId(0), Seq(1))).status()));
}

}  // namespace
}  // namespace caxton::journal
