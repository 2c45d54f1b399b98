// SPDX-License-Identifier: Apache-2.0
//
// Volatile messages beside durable ones, by a whole router.
#include <gtest/gtest.h>

#include <optional>

#include "router_fixture.h"

namespace caxton::router {
namespace {

class VolatileTest : public RouterFixture {
 protected:
  VolatileTest() : RouterFixture(Echo) {
    route_.stable = Prepare(kLive);
    Publish();
  }
  static ScriptedStep Echo(const Envelope& envelope) {
    ScriptedStep step;
    step.result.reply = Reply{Performative::kInform, envelope.content};
    return step;
  }
  static Envelope To(const std::string& key, Delivery delivery) {
    Envelope envelope;
    envelope.sender = "client:test";
    envelope.receiver = "agent";
    envelope.key = key;
    envelope.content = "x";
    envelope.delivery = delivery;
    return envelope;
  }
  // How many syncs the store had done when the reply came.
  std::optional<uint64_t> SyncsAtReply(const std::string& key) {
    std::optional<uint64_t> syncs;
    router_->Request(To(key, Delivery::kVolatile), [this, &syncs](const Answer& answer) {
      EXPECT_TRUE(answer.status.ok()) << answer.status;
      syncs = store_.syncs();
    });
    world_.RunFor(10 * kMilli);
    return syncs;
  }
};

TEST_F(VolatileTest, AReplyWaitsUntilItsKeysLastCommitIsDurable) {
  // Nobody waits for this one's step: it is committed, and not synced.
  router_->Send(To("k", Delivery::kDurable), [](const Answer&) {});
  world_.RunFor(10 * kMilli);
  ASSERT_EQ(store_.rows(journal::Table::kInbox), 0U) << "the step is committed";
  const uint64_t syncs = store_.syncs();

  EXPECT_EQ(SyncsAtReply("other"), syncs) << "what shows nothing of it waits for nothing";
  EXPECT_EQ(SyncsAtReply("k"), syncs + 1) << "its reply may show what that step did";
  EXPECT_EQ(SyncsAtReply("k"), syncs + 1) << "durable by now";
  store_.PowerCut();
  EXPECT_EQ(store_.rows(journal::Table::kInbox), 0U) << "the step survives";
}

}  // namespace
}  // namespace caxton::router
