// SPDX-License-Identifier: Apache-2.0
//
// Every record of this module: what is written reads back the same, every truncation and every
// appended byte is refused, and random bytes are either refused or read back as themselves.
#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "caxton/base/random.h"
#include "caxton/model/deployment_spec.h"
#include "caxton/model/envelope.h"
#include "caxton/model/evidence.h"
#include "caxton/model/revision.h"
#include "caxton/model/step.h"
#include "caxton/model/surroundings.h"

namespace caxton {
namespace {

// Encoded form -> encoded form of what it decodes to, or an error.
using Recode = std::function<absl::StatusOr<std::string>(std::string_view)>;

template <typename T, typename Decode, typename Encode>
Recode Recoder(Decode decode, Encode encode) {
  return [decode, encode](std::string_view bytes) -> absl::StatusOr<std::string> {
    absl::StatusOr<T> value = decode(bytes);
    if (!value.ok()) return value.status();
    std::string out;
    encode(*value, &out);
    return out;
  };
}

void CheckRecord(const std::string& bytes, const Recode& recode) {
  ASSERT_TRUE(recode(bytes).ok()) << recode(bytes).status();
  EXPECT_EQ(*recode(bytes), bytes);
  for (size_t n = 0; n < bytes.size(); ++n) {
    EXPECT_FALSE(recode(std::string_view(bytes).substr(0, n)).ok()) << "cut at " << n;
  }
  EXPECT_FALSE(recode(bytes + '\0').ok());
  std::string other = bytes;
  other[0] = 99;
  EXPECT_FALSE(recode(other).ok()) << "a format of the future";

  SeededRandom random(7);
  for (int round = 0; round < 3000; ++round) {
    std::string garbage = bytes;
    const uint64_t flips = 1 + random.Below(4);
    for (uint64_t i = 0; i < flips; ++i) {
      garbage[random.Below(garbage.size())] = static_cast<char>(random.Below(256));
    }
    (void)recode(garbage);  // no crash, no huge allocation: the sanitizers watch
    garbage.resize(random.Below(200));
    for (char& c : garbage) c = static_cast<char>(random.Below(256));
    if (!garbage.empty()) garbage[0] = 1;
    (void)recode(garbage);
  }
}

Envelope FullEnvelope() {
  Envelope e;
  e.id = "m1";
  e.sender = "client:7";
  e.receiver = "greeter";
  e.performative = Performative::kNotUnderstood;
  e.delivery = Delivery::kVolatile;
  e.conversation_id = "c";
  e.reply_with = "r";
  e.in_reply_to = "i";
  e.key = "k";
  e.content = std::string("\0\xff", 2);
  e.content_type = "text/plain";
  e.idempotency_key = "once";
  e.traceparent = "00-1-2-01";
  e.deadline_ns = 123;
  e.headers = {{"a", "1"}, {"b", ""}};
  return e;
}

TEST(Codec, Envelope) {
  std::string bytes;
  EncodeEnvelope(FullEnvelope(), &bytes);
  CheckRecord(bytes, Recoder<Envelope>(DecodeEnvelope, EncodeEnvelope));
  std::string empty;
  EncodeEnvelope({}, &empty);
  CheckRecord(empty, Recoder<Envelope>(DecodeEnvelope, EncodeEnvelope));
}

ModuleTraits SomeTraits() {
  ModuleTraits traits;
  traits.reused_instances = true;
  traits.has_health_check = true;
  traits.manifest_name = "greeter";
  traits.manifest_version = "2";
  traits.capabilities_json = "[]";
  traits.manifest = R"({"name":"greeter"})";
  traits.sends = {{"audit", Performative::kInform}, {"billing", Performative::kRequest}};
  traits.figures = {4, 3, 1 << 20, 1000, 50, 8192, 6, 2, 99, 1'000'000};
  traits.determinism = Determinism::kNo;
  return traits;
}

TEST(Codec, Revision) {
  Revision v;
  v.agent = "greeter";
  v.ref = {AgentId(3), RevisionNumber(7)};
  v.version = "2.0";
  v.module = Sha256("module");
  v.limits = {.memory_bytes = 1 << 20,
              .cpu_millis = 500,
              .cpu_max_millis = 2000,
              .deadline_ns = 5'000'000,
              .max_message_bytes = 10,
              .instances = 4};
  v.delivery = {Delivery::kVolatile, 3, OnPoison::kSkip};
  v.settings = {{"a", "b"}, {"c", ""}};
  v.traits = SomeTraits();
  v.created_ns = 99;
  v.deployment = DeploymentId(12);
  std::string bytes;
  EncodeRevision(v, &bytes);
  CheckRecord(bytes, Recoder<Revision>(DecodeRevision, EncodeRevision));
  const Revision back = *DecodeRevision(bytes);
  EXPECT_EQ(back.Name(), "greeter@7");
  EXPECT_TRUE(back.SameContent(v));
  EXPECT_EQ(back.traits, v.traits);
  EXPECT_EQ(back.deployment, v.deployment);
}

TEST(Codec, TraitsOfAHostileModuleAreBounded) {
  const auto read = [](const ModuleTraits& traits) {
    std::string bytes;
    ByteWriter out(&bytes);
    WriteTraits(traits, out);
    ByteReader in(bytes);
    (void)ReadTraits(in);
    return in.ok();
  };
  ModuleTraits traits = SomeTraits();
  EXPECT_TRUE(read(traits));
  traits.manifest = std::string(kMaxManifestBytes, 'x');
  EXPECT_TRUE(read(traits));
  traits.manifest.push_back('x');
  EXPECT_FALSE(read(traits));
  traits.manifest = "\xff";
  EXPECT_FALSE(read(traits));
  traits = SomeTraits();
  traits.sends = {{"b", Performative::kRequest}, {"a", Performative::kRequest}};
  EXPECT_FALSE(read(traits)) << "not sorted";
  traits.sends.clear();
  for (size_t i = 0; i < kMaxSentMessages; ++i) {
    traits.sends.push_back({std::string(i + 1, 'a'), Performative::kRequest});
  }
  EXPECT_TRUE(read(traits));
  traits.sends.push_back({"b", Performative::kRequest});
  EXPECT_FALSE(read(traits));
}

TEST(Codec, Surroundings) {
  Surroundings v;
  v.on_server = true;
  v.live = KnownRevision{"greeter", "greeter@6", SomeTraits()};
  v.others = {{"billing", "billing@4294967295", SomeTraits(), true, SomeTraits()},
              {"audit", "audit@1", {}, true}};
  v.together = {"billing"};
  v.allow_breaking = true;
  v.left_out = 3;
  std::string bytes;
  EncodeSurroundings(v, &bytes);
  CheckRecord(bytes, Recoder<Surroundings>(DecodeSurroundings, EncodeSurroundings));
  EXPECT_EQ(*DecodeSurroundings(bytes), v);
  v.others.assign(kMaxOtherAgents, {"a", "a@1", {}});
  bytes.clear();
  EncodeSurroundings(v, &bytes);
  EXPECT_TRUE(DecodeSurroundings(bytes).ok());
  v.others.push_back({"a", "a@1", {}});
  bytes.clear();
  EncodeSurroundings(v, &bytes);
  EXPECT_FALSE(DecodeSurroundings(bytes).ok());
}

TEST(Codec, StepResult) {
  StepResult v;
  v.ticket = Ticket(5);
  v.agent_code = -1;
  v.fuel = 1000;
  v.memory_bytes = 1 << 16;
  v.run_ns = 77;
  v.reply = Reply{Performative::kInform, "hello"};
  v.sends.resize(2);
  v.sends[0].to = "next";
  v.sends[0].headers = {{"h", "v"}};
  v.logs = {{1, "warn"}, {2, ""}};
  v.logs_dropped = 3;
  v.detail = "fine";
  std::string bytes;
  EncodeStepResult(v, &bytes);
  const auto decode = [](std::string_view in) { return DecodeStepResult(in, kMaxStepOutputBytes); };
  CheckRecord(bytes, Recoder<StepResult>(decode, EncodeStepResult));
}

TEST(Codec, Observation) {
  Observation v{DeploymentId(1), Arm::kCandidate, RunVerdict::kShared, 50'000, 77, 1000, 5, 9};
  std::string bytes;
  EncodeObservation(v, &bytes);
  CheckRecord(bytes, Recoder<Observation>(DecodeObservation, EncodeObservation));
  EXPECT_EQ(*DecodeObservation(bytes), v);
  v.weight_ppm = 1'000'001;
  bytes.clear();
  EncodeObservation(v, &bytes);
  EXPECT_FALSE(DecodeObservation(bytes).ok());
}

TEST(Codec, Spec) {
  DeploymentSpec v;
  v.strategy = Strategy::kCanary;
  v.stages.resize(2);
  v.stages[0] = {StageKind::kCanary, 5, 50'000, 10, true, false};
  v.stages[1].kind = StageKind::kFull;
  v.rollback_on = {{MetricKind::kErrorRate, 0.01}, {MetricKind::kP99Latency, 1e8}};
  v.stick = Stick::kMessage;
  v.on_inconclusive = OnInconclusive::kPromote;
  v.promote = PromoteWhen::kEarly;
  v.queue = QueuePolicy::kRefuse;
  v.cleanup_ns = 7;
  v.shadow_duration_ns = 8;
  v.shadow_compare = {"x", ""};
  std::string bytes;
  EncodeSpec(v, &bytes);
  CheckRecord(bytes, Recoder<DeploymentSpec>(DecodeSpec, EncodeSpec));
  EXPECT_EQ(*DecodeSpec(bytes), v);
  v.rollback_on[0].limit = std::numeric_limits<double>::quiet_NaN();
  bytes.clear();
  EncodeSpec(v, &bytes);
  EXPECT_FALSE(DecodeSpec(bytes).ok()) << "NaN is no limit";
}

}  // namespace
}  // namespace caxton
