// SPDX-License-Identifier: Apache-2.0
//
// An Exchange stream between a call that is read and written when the test says so, and a router
// that answers when the test says so.
#include <grpcpp/server_context.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "caxton/api/limits.h"
#include "caxton/base/random.h"
#include "caxton/base/status.h"
#include "caxton/base/testing/sim_world.h"
#include "services.h"

namespace caxton::api {
namespace {

// Keeps the answers' functions until they are wanted. Messages are all that a stream has for it.
class HeldRouter final : public router::Router {
 public:
  void Send(Envelope, router::AnswerFn acked) override { waiting.push_back(std::move(acked)); }
  void Request(Envelope, router::AnswerFn replied) override {
    waiting.push_back(std::move(replied));
  }

  void Publish(std::shared_ptr<const router::AgentRoute>) override { Unexpected(); }
  void PublishAll(std::vector<std::shared_ptr<const router::AgentRoute>>) override { Unexpected(); }
  std::shared_ptr<const router::RouteTable> Routes() const override {
    Unexpected();
    return nullptr;
  }
  void Withdraw(RevisionRef, std::shared_ptr<const router::AgentRoute>, journal::CommitOp,
                absl::AnyInvocable<void(router::WithdrawReport)>) override {
    Unexpected();
  }
  void DiscardWaiting(AgentId, router::RemoveMode, absl::AnyInvocable<void()>) override {
    Unexpected();
  }
  void Forget(AgentId) override { Unexpected(); }
  void RecentMessages(AgentId, size_t,
                      absl::AnyInvocable<void(std::vector<router::KeptMessage>)>) override {
    Unexpected();
  }
  void Replay(router::ReplayOrder) override { Unexpected(); }
  void StopReplay(DeploymentId) override { Unexpected(); }
  void RetryDeadLetter(AgentId, Seq, absl::AnyInvocable<void(absl::Status)>) override {
    Unexpected();
  }
  void DropDeadLetter(AgentId, Seq, absl::AnyInvocable<void(absl::Status)>) override {
    Unexpected();
  }
  absl::Status Recover(const std::vector<Seq>&) override {
    Unexpected();
    return absl::OkStatus();
  }
  void StopAccepting() override { Unexpected(); }
  int64_t Running() const override { return 0; }
  int64_t UnwrittenRequests() const override { return 0; }
  void OldestWaiting(absl::AnyInvocable<void(router::WaitingAges)>) override { Unexpected(); }
  void OnResult(RevisionRef, StepResult) override { Unexpected(); }
  void OnLost(RevisionRef, std::vector<supervisor::LostStep>, std::string) override {
    Unexpected();
  }
  void OnRoom(RevisionRef) override { Unexpected(); }
  void OnLog(RevisionRef, std::vector<LogLine>) override { Unexpected(); }

  std::vector<router::AnswerFn> waiting;

 private:
  static void Unexpected() { ADD_FAILURE() << "a stream only sends and requests"; }
};

// gRPC's side of the stream: nothing is read or written by itself.
class HeldCall final
    : public grpc::ServerCallbackReaderWriter<v1::ExchangeRequest, v1::ExchangeResponse> {
 public:
  using Reactor = grpc::ServerBidiReactor<v1::ExchangeRequest, v1::ExchangeResponse>;
  explicit HeldCall(Reactor* reactor) : reactor_(reactor) { BindReactor(reactor); }
  ~HeldCall() override { reactor_->OnDone(); }

  bool reading() const { return in_ != nullptr; }
  const v1::ExchangeResponse* writing() const { return out_; }
  const std::optional<grpc::Status>& end() const { return end_; }

  void Arrive(v1::ExchangeRequest frame) {
    ASSERT_TRUE(reading()) << "the stream is not read";
    std::exchange(in_, nullptr)->Swap(&frame);
    reactor_->OnReadDone(true);
  }
  void FinishWrite() {
    ASSERT_NE(out_, nullptr) << "nothing is written";
    out_ = nullptr;
    reactor_->OnWriteDone(true);
  }

 private:
  void Finish(grpc::Status status) override { end_ = std::move(status); }
  void SendInitialMetadata() override {}
  void Read(v1::ExchangeRequest* message) override { in_ = message; }
  void Write(const v1::ExchangeResponse* message, grpc::WriteOptions) override {
    EXPECT_EQ(out_, nullptr) << "one write at a time";
    out_ = message;
  }
  void WriteAndFinish(const v1::ExchangeResponse*, grpc::WriteOptions, grpc::Status) override {
    ADD_FAILURE() << "not used";
  }
  grpc::internal::ServerReactor* reactor() override { return reactor_; }
  void CallOnDone() override {}

  Reactor* reactor_;
  v1::ExchangeRequest* in_ = nullptr;
  const v1::ExchangeResponse* out_ = nullptr;
  std::optional<grpc::Status> end_;
};

constexpr size_t kMiB = size_t{1} << 20;

class Exchange : public ::testing::Test {
 protected:
  Exchange() {
    context_.deps.router = &router_;
    context_.deps.random = &random_;
    context_.writer = world_.NewExecutor();
    call_ = std::make_unique<HeldCall>(NewExchangeStream(&context_, &server_context_));
  }

  // A frame of `count` requests, each of a key of its own.
  void Arrive(size_t count) {
    v1::ExchangeRequest frame;
    for (size_t i = 0; i < count; ++i) {
      v1::ExchangeItem* item = frame.add_items();
      item->set_client_ref(++last_ref_);
      item->set_want_reply(true);
      item->mutable_envelope()->set_receiver("agent");
      item->mutable_envelope()->set_key(std::to_string(last_ref_));
    }
    call_->Arrive(std::move(frame));
  }
  // What the router has is answered, with replies of so many bytes.
  void AnswerAll(size_t bytes) {
    for (router::AnswerFn& answer : std::exchange(router_.waiting, {})) {
      answer({absl::OkStatus(), "m", Reply{Performative::kInform, std::string(bytes, 'r')}, {}});
    }
    world_.RunReady();
  }
  void Exchanged(size_t count, size_t bytes) {
    Arrive(count);
    AnswerAll(bytes);
  }

  caxton::testing::SimWorld world_;
  SeededRandom random_{1};
  HeldRouter router_;
  ServiceContext context_;
  grpc::CallbackServerContext server_context_;
  std::unique_ptr<HeldCall> call_;
  uint64_t last_ref_ = 0;
};

TEST_F(Exchange, IsReadNoFurtherWhileTooManyResultsAreUnwritten) {
  constexpr size_t kFrame = kMaxExchangeResultsPerFrame;
  for (size_t sent = kFrame; sent < kMaxExchangeUnanswered; sent += kFrame) Exchanged(kFrame, 1);
  Exchanged(kFrame - 1, 1);
  EXPECT_TRUE(call_->reading()) << "one below the limit; the client has read nothing";
  Exchanged(1, 1);
  EXPECT_FALSE(call_->reading()) << "all are answered, none is written";
  call_->FinishWrite();
  EXPECT_TRUE(call_->reading());
}

TEST_F(Exchange, IsReadNoFurtherWhileTooManyAreUnanswered) {
  Arrive(kMaxExchangeUnanswered - 1);
  EXPECT_TRUE(call_->reading());
  Arrive(1);
  EXPECT_FALSE(call_->reading());
  AnswerAll(1);
  EXPECT_FALSE(call_->reading()) << "answered is not written";
  call_->FinishWrite();
  EXPECT_TRUE(call_->reading());
}

TEST_F(Exchange, IsReadNoFurtherWhileTooManyBytesAreUnwritten) {
  for (size_t i = 0; i < kMaxExchangeUnansweredBytes / kMiB; ++i) Exchanged(1, kMiB);
  EXPECT_TRUE(call_->reading()) << "the read began when there was room for it";
  Exchanged(1, 1);
  EXPECT_FALSE(call_->reading());
  call_->FinishWrite();
  EXPECT_TRUE(call_->reading());
}

TEST_F(Exchange, EveryResultLeavesOnceInFramesThatAreCut) {
  Exchanged(1, 1);  // is being written while the others gather
  Exchanged(kMaxExchangeResultsPerFrame + 1, 1);
  EXPECT_EQ(call_->writing()->results_size(), 1);
  std::vector<int> sizes;
  std::vector<uint64_t> refs;
  while (call_->writing() != nullptr) {
    sizes.push_back(call_->writing()->results_size());
    for (const auto& result : call_->writing()->results()) refs.push_back(result.client_ref());
    call_->FinishWrite();
  }
  EXPECT_EQ(sizes, (std::vector<int>{1, kMaxExchangeResultsPerFrame, 1}));
  ASSERT_EQ(refs.size(), last_ref_);
  for (size_t i = 0; i < refs.size(); ++i) EXPECT_EQ(refs[i], i + 1);
}

TEST_F(Exchange, FramesAreCutBelowWhatClientsTake) {
  Exchanged(1, 1);
  Exchanged(3, kMaxExchangeFrameBytes / 3);  // with their envelopes: a little more than one frame
  Exchanged(1, kMaxExchangeFrameBytes + 1);  // alone
  Exchanged(1, 1);
  std::vector<int> sizes;
  while (call_->writing() != nullptr) {
    sizes.push_back(call_->writing()->results_size());
    if (sizes.back() > 1) {
      EXPECT_LE(call_->writing()->ByteSizeLong(), kMaxExchangeFrameBytes + 1024);
    }
    call_->FinishWrite();
  }
  EXPECT_EQ(sizes, (std::vector<int>{1, 2, 1, 1, 1}));
}

TEST_F(Exchange, AFrameOfTooManyItemsEndsTheStream) {
  Arrive(kMaxExchangeItemsPerFrame);
  EXPECT_FALSE(call_->end().has_value());
  EXPECT_EQ(router_.waiting.size(), kMaxExchangeItemsPerFrame);
  AnswerAll(1);
  while (call_->writing() != nullptr) call_->FinishWrite();
  Arrive(kMaxExchangeItemsPerFrame + 1);
  ASSERT_TRUE(call_->end().has_value());
  EXPECT_EQ(call_->end()->error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_NE(call_->end()->error_message().find("at most 4096"), std::string::npos)
      << call_->end()->error_message();
  EXPECT_TRUE(router_.waiting.empty()) << "none of it was taken";
}

TEST_F(Exchange, AClientThatLeavesTooMuchUnreadIsToldSo) {
  constexpr size_t kReplies = kMaxExchangeUnreadBytes / kMiB;
  Arrive(kReplies);  // small requests, all taken before the first reply
  std::vector<router::AnswerFn> answers = std::exchange(router_.waiting, {});
  for (size_t i = 0; i + 1 < kReplies; ++i) {
    answers[i]({absl::OkStatus(), "m", Reply{Performative::kInform, std::string(kMiB, 'r')}, {}});
    world_.RunReady();
  }
  EXPECT_FALSE(call_->end().has_value());
  answers.back()({absl::OkStatus(), "m", Reply{Performative::kInform, std::string(kMiB, 'r')}, {}});
  ASSERT_TRUE(call_->end().has_value());
  EXPECT_EQ(call_->end()->error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_NE(call_->end()->error_message().find("unread"), std::string::npos);
  EXPECT_NE(call_->end()->error_details().find("RESULTS_UNREAD"), std::string::npos);
}

TEST_F(Exchange, TooManyKeysThatAreRefusedEndTheStream) {
  Arrive(kMaxRefusedKeysPerStream + 1);
  std::vector<router::AnswerFn> answers = std::exchange(router_.waiting, {});
  for (size_t i = 0; i < kMaxRefusedKeysPerStream; ++i) {
    answers[i]({WithReason(absl::ResourceExhaustedError("full"), "INBOX_FULL"), "", {}, {}});
  }
  EXPECT_FALSE(call_->end().has_value());
  answers.back()({WithReason(absl::ResourceExhaustedError("full"), "INBOX_FULL"), "", {}, {}});
  ASSERT_TRUE(call_->end().has_value());
  EXPECT_EQ(call_->end()->error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

}  // namespace
}  // namespace caxton::api
