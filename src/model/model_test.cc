// SPDX-License-Identifier: Apache-2.0
//
// Limits at their edges, digests, conditions, overrides.
#include <gtest/gtest.h>

#include "caxton/base/status.h"
#include "caxton/model/deployment_spec.h"
#include "caxton/model/envelope.h"
#include "caxton/model/limits.h"
#include "caxton/model/revision.h"
#include "caxton/model/step.h"

namespace caxton {
namespace {

Envelope Message() {
  Envelope e;
  e.receiver = "greeter";
  return e;
}

TEST(Envelope, FieldsAtTheirLimits) {
  for (std::string Envelope::*field :
       {&Envelope::id, &Envelope::sender, &Envelope::conversation_id, &Envelope::reply_with,
        &Envelope::in_reply_to, &Envelope::key, &Envelope::content_type, &Envelope::idempotency_key,
        &Envelope::traceparent}) {
    Envelope e = Message();
    e.*field = std::string(kMaxEnvelopeFieldBytes, 'x');
    EXPECT_TRUE(ValidateEnvelope(e, 10).ok());
    (e.*field).push_back('x');
    EXPECT_FALSE(ValidateEnvelope(e, 10).ok());
    e.*field = "\xff";
    EXPECT_FALSE(ValidateEnvelope(e, 10).ok());
  }
}

TEST(Envelope, ContentAtItsLimit) {
  Envelope e = Message();
  e.content = std::string(10, '\xff');  // bytes, not text
  EXPECT_TRUE(ValidateEnvelope(e, 10).ok());
  e.content.push_back('x');
  const absl::Status status = ValidateEnvelope(e, 10);
  EXPECT_EQ(status.message(), "the message's content has 11 bytes, the agent takes at most 10");
  EXPECT_FALSE(FixOf(status).empty());
}

TEST(Envelope, HeadersAtTheirLimits) {
  Envelope e = Message();
  e.headers.assign(kMaxEnvelopeHeaders, {"n", "v"});
  EXPECT_TRUE(ValidateEnvelope(e, 0).ok());
  e.headers.emplace_back("n", "v");
  EXPECT_FALSE(ValidateEnvelope(e, 0).ok());
  e.headers = {{std::string(kMaxEnvelopeHeaderNameBytes, 'n'),
                std::string(kMaxEnvelopeHeaderValueBytes, 'v')}};
  EXPECT_TRUE(ValidateEnvelope(e, 0).ok());
  e.headers[0].first += 'n';
  EXPECT_FALSE(ValidateEnvelope(e, 0).ok());
  e.headers = {{"n", std::string(kMaxEnvelopeHeaderValueBytes + 1, 'v')}};
  EXPECT_FALSE(ValidateEnvelope(e, 0).ok());
  for (const char* name : {"", "a b", "a\n", "\xc3\xa4"}) {
    e.headers = {{name, "v"}};
    EXPECT_FALSE(ValidateEnvelope(e, 0).ok()) << name;
  }
}

TEST(Envelope, ReceiverEnumsAndDeadline) {
  Envelope e = Message();
  for (const char* receiver : {"", "No", "-x"}) {
    e.receiver = receiver;
    EXPECT_FALSE(ValidateEnvelope(e, 0).ok()) << receiver;
  }
  e.receiver = "client:42";
  EXPECT_TRUE(ValidateEnvelope(e, 0).ok());
  e.deadline_ns = -1;
  EXPECT_FALSE(ValidateEnvelope(e, 0).ok());
  e = Message();
  e.performative = static_cast<Performative>(10);
  EXPECT_FALSE(ValidateEnvelope(e, 0).ok());
  e = Message();
  e.delivery = static_cast<Delivery>(3);
  EXPECT_FALSE(ValidateEnvelope(e, 0).ok());
}

TEST(Envelope, KeyDefaultsAndSize) {
  Envelope e = Message();
  EXPECT_EQ(e.EffectiveKey(), "");
  EXPECT_EQ(e.ByteSize(), kEnvelopeOverheadBytes + 7);
  e.conversation_id = "c";
  EXPECT_EQ(e.EffectiveKey(), "c");
  e.key = "k";
  e.headers = {{"ab", "c"}};
  EXPECT_EQ(e.EffectiveKey(), "k");
  EXPECT_EQ(e.ByteSize(), kEnvelopeOverheadBytes + 7 + 1 + 1 + 3);
}

TEST(Envelope, DigestTellsWhatMakesARepeat) {
  const Envelope a = Message();
  EXPECT_EQ(EnvelopeDigest(a).size(), 16u);
  Envelope same = a;
  same.id = "other";
  same.traceparent = "other";
  same.deadline_ns = 5;
  EXPECT_EQ(EnvelopeDigest(a), EnvelopeDigest(same));
  for (std::string Envelope::*field :
       {&Envelope::receiver, &Envelope::key, &Envelope::content, &Envelope::content_type}) {
    Envelope other = a;
    (other.*field) += "x";
    EXPECT_NE(EnvelopeDigest(a), EnvelopeDigest(other));
  }
  Envelope moved = a;  // a byte may not wander from one field to the next
  moved.key = "xy";
  Envelope split = a;
  split.key = "x";
  split.content_type = "y";
  EXPECT_NE(EnvelopeDigest(moved), EnvelopeDigest(split));
}

TEST(Performative, NamesBothWays) {
  for (uint8_t i = 0; i < kPerformativeCount; ++i) {
    const auto value = static_cast<Performative>(i);
    EXPECT_EQ(*ParsePerformative(PerformativeName(value)), value);
  }
  EXPECT_EQ(*ParsePerformative("request"), Performative::kRequest);
  EXPECT_FALSE(ParsePerformative("SHOUT").ok());
  EXPECT_EQ(PerformativeName(static_cast<Performative>(77)), "UNKNOWN");
}

TEST(Revision, LimitsAtTheirEdges) {
  const auto check = [](auto ResourceLimits::*field, int64_t low, int64_t high) {
    const std::pair<int64_t, bool> cases[] = {
        {low, true}, {low - 1, false}, {high, true}, {high + 1, false}};
    for (const auto& [value, ok] : cases) {
      ResourceLimits limits;
      limits.*field = static_cast<std::decay_t<decltype(limits.*field)>>(value);
      EXPECT_EQ(ValidateLimits(limits).ok(), ok) << value;
    }
  };
  check(&ResourceLimits::memory_bytes, kMinAgentMemoryBytes, kMaxAgentMemoryBytes);
  check(&ResourceLimits::cpu_millis, 1, kMaxCpuMillis);
  check(&ResourceLimits::cpu_max_millis, 0, kMaxCpuMillis);
  check(&ResourceLimits::deadline_ns, kMinStepDeadlineNs, kMaxStepDeadlineNs);
  check(&ResourceLimits::max_message_bytes, 1, kHardMaxMessageBytes);
  check(&ResourceLimits::instances, 1, kMaxInstances);
  EXPECT_EQ(FixOf(ValidateLimits({.instances = 65})), "set instances to 1 to 64");
}

TEST(Revision, DeliveryAndSettings) {
  EXPECT_TRUE(ValidateDelivery({}).ok());
  EXPECT_FALSE(ValidateDelivery({.mode = Delivery::kAgentDefault}).ok());
  EXPECT_FALSE(ValidateDelivery({.max_attempts = 0}).ok());
  EXPECT_TRUE(ValidateDelivery({.max_attempts = kMaxMaxAttempts}).ok());
  EXPECT_FALSE(ValidateDelivery({.max_attempts = kMaxMaxAttempts + 1}).ok());
  std::map<std::string, std::string> settings;
  for (size_t i = 0; i < kMaxSettings; ++i) settings[StrCat("s", i)] = "v";
  EXPECT_TRUE(ValidateSettings(settings).ok());
  settings["one-more"] = "v";
  EXPECT_FALSE(ValidateSettings(settings).ok());
  EXPECT_TRUE(ValidateSettings({{std::string(kMaxSettingNameBytes, 'n'),
                                 std::string(kMaxSettingValueBytes, 'v')}})
                  .ok());
  EXPECT_FALSE(ValidateSettings({{std::string(kMaxSettingNameBytes + 1, 'n'), ""}}).ok());
  EXPECT_FALSE(ValidateSettings({{"n", std::string(kMaxSettingValueBytes + 1, 'v')}}).ok());
  for (const char* name : {"", "a b", "a=b"}) EXPECT_FALSE(ValidateSettings({{name, ""}}).ok());
  EXPECT_FALSE(ValidateSettings({{"n", "\xff"}}).ok());
}

TEST(Revision, SameContentIgnoresLabelsAndTimes) {
  Revision a;
  Revision b;
  b.version = "2";
  b.created_ns = 5;
  b.ref.number = RevisionNumber(9);
  EXPECT_TRUE(a.SameContent(b));
  b.settings["x"] = "y";
  EXPECT_FALSE(a.SameContent(b));
}

TEST(Overrides, LieOverTheBase) {
  Revision base;
  base.settings = {{"a", "1"}, {"b", "2"}};
  RevisionOverrides o;
  o.memory_bytes = 1 << 20;
  o.instances = 3;
  o.delivery = Delivery::kVolatile;
  o.settings = {{"b", "3"}};
  ApplyOverrides(o, &base);
  EXPECT_EQ(base.limits.memory_bytes, 1 << 20);
  EXPECT_EQ(base.limits.cpu_millis, 1000) << "not named: carried over";
  EXPECT_EQ(base.limits.instances, 3);
  EXPECT_EQ(base.delivery.mode, Delivery::kVolatile);
  EXPECT_EQ(base.settings, (std::map<std::string, std::string>{{"a", "1"}, {"b", "3"}}));
}

TEST(Condition, ParsesAndFormats) {
  EXPECT_EQ(*ParseCondition("error_rate > 1%"), (Condition{MetricKind::kErrorRate, 0.01}));
  EXPECT_EQ(*ParseCondition("p99_latency>100ms"), (Condition{MetricKind::kP99Latency, 1e8}));
  EXPECT_EQ(*ParseCondition(" error_rate >0% "), (Condition{MetricKind::kErrorRate, 0}));
  EXPECT_EQ(ParseConditions("error_rate>1%, p99_latency>100ms")->size(), 2u);
  for (const char* text : {"error_rate > 1%", "error_rate > 33.3%", "p99_latency > 1.5s",
                           "error_ratio > 2.5", "memory > 64Mi", "cpu > 500m", "fuel_ratio > 2"}) {
    ASSERT_TRUE(ParseCondition(text).ok()) << text;
    EXPECT_EQ(FormatCondition(*ParseCondition(text)), text);
  }
}

TEST(Condition, Refuses) {
  for (const char* text :
       {"", "error_rate", "error_rate >", "error_rate > 1", "error_rate >= 1%", "error_rate < 1%",
        "error_rate > 100%", "p99_latency > 100", "p99_latency > 0s", "error_ratio > 0",
        "error_ratio > nan", "error_ratio > 1e3x", "latency > 5ms", "error_rate > 1% extra"}) {
    EXPECT_FALSE(ParseCondition(text).ok()) << text;
  }
  EXPECT_NE(ParseCondition("eror_rate > 1%").status().message().find("did you mean error_rate?"),
            absl::string_view::npos);
}

TEST(Stages, FlagForm) {
  const auto stages = *ParseStages("5:5m, 25:10m,50%");
  ASSERT_EQ(stages.size(), 4u);
  EXPECT_EQ(stages[0].weight_ppm, 50'000u);
  EXPECT_EQ(*stages[0].duration_ns, int64_t{300} * 1'000'000'000);
  EXPECT_FALSE(stages[2].duration_ns.has_value());
  EXPECT_EQ(stages[3].kind, StageKind::kFull);
  EXPECT_EQ(ParseStages("5,100")->size(), 2u) << "100 is full";
  for (const char* text : {"", "x", "5:", "5:5", "101", "5,,6"})
    EXPECT_FALSE(ParseStages(text).ok()) << text;
}

TEST(Names, EnumsBothWays) {
  EXPECT_EQ(*ParseStrategy("blue-green"), Strategy::kBlueGreen);
  EXPECT_EQ(StrategyName(Strategy::kShadow), "shadow");
  EXPECT_EQ(*ParseQueuePolicy("replace"), QueuePolicy::kReplace);
  EXPECT_EQ(*ParseOnInconclusive("rollback"), OnInconclusive::kRollback);
  EXPECT_EQ(*ParseDelivery("volatile"), Delivery::kVolatile);
  const absl::Status status = ParseStrategy("canery").status();
  EXPECT_EQ(status.message(), "'canery' is no strategy: did you mean canary?");
  EXPECT_EQ(FixOf(status), "use one of: direct, blue-green, canary, shadow");
}

std::string Encoded(const StepResult& result) {
  std::string bytes;
  EncodeStepResult(result, &bytes);
  return bytes;
}

TEST(StepResult, LimitsAtTheirEdges) {
  StepResult r;
  r.sends.resize(kMaxSendsPerStep);
  EXPECT_TRUE(DecodeStepResult(Encoded(r), 0).ok());
  r.sends.emplace_back();
  EXPECT_FALSE(DecodeStepResult(Encoded(r), 0).ok());

  r = {};
  r.reply = Reply{Performative::kInform, std::string(60, 'r')};
  r.sends.resize(1);
  r.sends[0].content = std::string(40, 'c');
  EXPECT_TRUE(DecodeStepResult(Encoded(r), 100).ok());
  EXPECT_FALSE(DecodeStepResult(Encoded(r), 99).ok());

  r = {};
  r.detail = std::string(kMaxStepDetailBytes, 'd');
  r.logs = {{0, std::string(kMaxLogBytesPerStep, 'l')}};
  EXPECT_TRUE(DecodeStepResult(Encoded(r), 0).ok());
  r.detail += 'd';
  EXPECT_FALSE(DecodeStepResult(Encoded(r), 0).ok());
  r.detail.clear();
  r.logs.push_back({0, "l"});
  EXPECT_FALSE(DecodeStepResult(Encoded(r), 0).ok());

  r = {};
  r.sends.resize(1);
  r.sends[0].key = std::string(kMaxEnvelopeFieldBytes + 1, 'k');
  EXPECT_FALSE(DecodeStepResult(Encoded(r), 1 << 20).ok());
  r.sends[0].key.clear();
  r.sends[0].headers.assign(kMaxEnvelopeHeaders + 1, {"h", ""});
  EXPECT_FALSE(DecodeStepResult(Encoded(r), 1 << 20).ok());
}

TEST(StepResult, TextOfMessagesIsUtf8) {
  StepResult r;
  r.sends.resize(1);
  for (std::string* field : {&r.sends[0].to, &r.sends[0].key, &r.sends[0].content_type}) {
    *field = "\xff";
    EXPECT_FALSE(DecodeStepResult(Encoded(r), 1 << 20).ok());
    field->clear();
  }
  r.sends[0].content = "\xff";  // bytes
  EXPECT_TRUE(DecodeStepResult(Encoded(r), 1 << 20).ok());
  r.sends[0].headers = {{"h", "\xff"}};
  EXPECT_FALSE(DecodeStepResult(Encoded(r), 1 << 20).ok());
}

TEST(StepResult, ManyLogLinesAreCountedNotKept) {
  StepResult r;
  r.logs.assign(kMaxLogLinesPerStep + 5, {2, ""});
  r.logs_dropped = 1;
  const StepResult back = *DecodeStepResult(Encoded(r), 0);
  EXPECT_EQ(back.logs.size(), kMaxLogLinesPerStep);
  EXPECT_EQ(back.logs_dropped, 6u);
}

TEST(StepResult, WhatWasNotHandledHasNoEffects) {
  StepResult r;
  r.outcome = StepOutcome::kTrapped;
  r.reply = Reply{};
  r.sends.resize(1);
  r.detail = "bad \xff byte";
  const StepResult back = *DecodeStepResult(Encoded(r), 1 << 20);
  EXPECT_FALSE(back.reply.has_value());
  EXPECT_TRUE(back.sends.empty());
  EXPECT_EQ(back.detail, "bad ? byte");
  EXPECT_EQ(StepOutcomeName(back.outcome), "trapped");
}

}  // namespace
}  // namespace caxton
