// SPDX-License-Identifier: Apache-2.0
//
// The server's end of a worker's channel, for tests: sends frames, waits for answers.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "caxton/ipc/channel.h"
#include "caxton/platform/futex.h"
#include "test_module.h"

namespace caxton::worker {

class TestServer final {
 public:
  // No answer takes this long, unless the test fails anyway.
  static constexpr int64_t kPatienceNs = 30'000'000'000;

  TestServer() : channel_(*ipc::ServerChannel::Create({})) {}

  ipc::ServerChannel& channel() { return *channel_; }

  void Configure(const ipc::Configure& configure) {
    std::string bytes;
    ipc::EncodeConfigure(configure, &bytes);
    Send(ipc::FrameType::kConfigure, bytes);
  }

  void Send(ipc::FrameType type, std::string_view bytes) {
    ASSERT_TRUE(channel_->to_worker().Write(static_cast<uint32_t>(type), bytes, Deadline()).ok());
  }

  void Dispatch(uint64_t ticket, std::string_view content, int64_t deadline_ns = 0) {
    ipc::DispatchHead head;
    head.input.ticket = Ticket(ticket);
    head.input.seq = Seq(ticket + 1000);
    head.input.time_ns = 1;
    head.deadline_ns = deadline_ns == 0 ? kPatienceNs : deadline_ns;
    std::string scratch;
    const auto written =
        ipc::TryWriteDispatch(channel_->to_worker(), head, EnvelopeBytes(content), &scratch);
    ASSERT_TRUE(written.ok() && *written);
    channel_->to_worker().Flush();
  }

  // The next frame of `type`; log lines on the way are kept. An empty frame where the channel
  // ended.
  ipc::Frame Await(ipc::FrameType type) {
    ipc::Frame frame;
    while (true) {
      const auto readable = channel_->from_worker().WaitReadable(Deadline());
      EXPECT_TRUE(readable.ok() && *readable) << "no answer";
      if (!readable.ok() || !*readable) return {};
      const auto read = channel_->from_worker().TryRead(&frame);
      if (!read.ok()) {
        ADD_FAILURE() << read.status();
        return {};
      }
      if (!*read) continue;
      if (frame.type == static_cast<uint32_t>(ipc::FrameType::kLogLine)) {
        logs_.push_back(ipc::DecodeLogLine(frame.bytes)->text);
        continue;
      }
      EXPECT_EQ(frame.type, static_cast<uint32_t>(type));
      return frame;
    }
  }

  ipc::Ready AwaitReady() { return *ipc::DecodeReady(Await(ipc::FrameType::kReady).bytes); }
  StepResult AwaitResult() {
    return *DecodeStepResult(Await(ipc::FrameType::kResult).bytes, kMaxStepOutputBytes);
  }
  StepResult Run(uint64_t ticket, std::string_view content, int64_t deadline_ns = 0) {
    Dispatch(ticket, content, deadline_ns);
    return AwaitResult();
  }
  // The worker marks the message before its code runs.
  void AwaitExecuting(Seq seq) {
    while (channel_->Executing() != seq) {
    }
  }

  const std::vector<std::string>& logs() const { return logs_; }

 private:
  static int64_t Deadline() { return platform::MonotonicNanos() + kPatienceNs; }

  std::unique_ptr<ipc::ServerChannel> channel_;
  std::vector<std::string> logs_;
};

}  // namespace caxton::worker
