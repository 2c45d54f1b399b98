// SPDX-License-Identifier: Apache-2.0
//
// A worker program without an engine, for the supervisor's tests: speaks the channel's protocol,
// and breaks it where the message's content or the agent's settings say so.
//   settings: "start" = "fail" (Ready says no) | "die" (ends before it) | "never" (says nothing)
//             "stop" = "ignore"; "health" = "ill"
//   content:  "hang" | "crash" | "garbage" | "unknown" | "twice" | "type" | "badring" | "close" |
//   "until-interrupted" |
//             "log"; anything else is replied as it is
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "caxton/ipc/channel.h"
#include "caxton/ipc/frames.h"
#include "caxton/ipc/worker_command.h"
#include "caxton/model/envelope.h"

namespace caxton {
namespace {

using ipc::FrameType;

[[noreturn]] void Forever() {
  while (true) pause();
}

class ScriptedWorker {
 public:
  explicit ScriptedWorker(std::unique_ptr<ipc::WorkerChannel> channel)
      : channel_(std::move(channel)) {}

  int Run() {
    ipc::Frame frame;
    while (true) {
      const auto got = channel_->from_server().TryRead(&frame);
      if (!got.ok()) return static_cast<int>(ipc::WorkerExit::kPeerGone);
      if (!*got) {
        channel_->to_server().Flush();
        if (!channel_->from_server().WaitReadable(ipc::kNoDeadline).ok()) return 4;
        continue;
      }
      switch (static_cast<FrameType>(frame.type)) {
        case FrameType::kConfigure:
          Start(*ipc::DecodeConfigure(frame.bytes));
          break;
        case FrameType::kDispatch:
          Step(frame.bytes);
          break;
        case FrameType::kHealthRequest:
          Health(ipc::DecodeHealthRequest(frame.bytes)->nonce);
          break;
        case FrameType::kStop:
          if (!ignore_stop_) return 0;
          Forever();
        default:
          return 1;
      }
    }
  }

 private:
  void Send(FrameType type, std::string_view bytes) {
    if (!channel_->to_server().Write(static_cast<uint32_t>(type), bytes, ipc::kNoDeadline).ok()) {
      _exit(4);
    }
  }

  void Start(const ipc::Configure& configure) {
    const auto setting = [&](const char* name) {
      auto it = configure.settings.find(name);
      return it == configure.settings.end() ? std::string() : it->second;
    };
    ignore_stop_ = setting("stop") == "ignore";
    ill_ = setting("health") == "ill";
    const std::string start = setting("start");
    if (start == "die") _exit(1);
    if (start == "never") Forever();
    ipc::Ready ready{.ok = start != "fail", .detail = "trap in agent_init", .engine = "scripted"};
    std::string bytes;
    ipc::EncodeReady(ready, &bytes);
    Send(FrameType::kReady, bytes);
  }

  void Health(uint64_t nonce) {
    std::string bytes;
    ipc::EncodeHealthAnswer({.nonce = nonce, .ok = !ill_, .code = ill_ ? 3 : 0}, &bytes);
    Send(FrameType::kHealthAnswer, bytes);
  }

  void Answer(const StepResult& result) {
    std::string bytes;
    EncodeStepResult(result, &bytes);
    Send(FrameType::kResult, bytes);
  }

  void Step(std::string_view frame) {
    const auto dispatch = ipc::DecodeDispatch(frame);
    const auto envelope = DecodeEnvelope(dispatch->envelope);
    const StepInput& input = dispatch->head.input;
    const std::string& what = envelope->content;
    StepResult result{.ticket = input.ticket};
    if (channel_->Interrupted(input.ticket)) {
      result.outcome = StepOutcome::kInterrupted;
      return Answer(result);
    }
    channel_->MarkExecuting(input.seq);
    if (what == "hang") Forever();
    if (what == "crash") raise(SIGKILL);
    if (what == "garbage") return Send(FrameType::kResult, "no result at all");
    if (what == "unknown") result.ticket = Ticket(input.ticket.value() + 1000);
    if (what == "twice") Answer(result);
    if (what == "type") return Send(static_cast<FrameType>(99), "?");
    if (what == "badring") {
      ipc::RingHeader* header = channel_->to_server().view().header();
      header->tail.store(uint64_t{1} << 60);
      header->data_futex.fetch_add(1);
      platform::FutexWake(&header->data_futex, 1);
      Forever();
    }
    if (what == "close") {
      channel_->Close();
      Forever();
    }
    if (what == "until-interrupted") {
      while (!channel_->Interrupted(input.ticket)) usleep(100);
      result.outcome = StepOutcome::kInterrupted;
    }
    if (what == "log") {
      std::string line;
      ipc::EncodeLogLine({.level = 2, .text = "outside of steps"}, &line);
      Send(FrameType::kLogLine, line);
    }
    result.reply = Reply{Performative::kInform, what};
    channel_->MarkIdle();
    Answer(result);
  }

  std::unique_ptr<ipc::WorkerChannel> channel_;
  bool ignore_stop_ = false;
  bool ill_ = false;
};

int Main(int argc, char** argv) {
  constexpr std::string_view kMaxMessage = "--max-message=";
  size_t max_message = kDefaultMaxMessageBytes;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument.starts_with(kMaxMessage)) {
      max_message = std::strtoull(argument.data() + kMaxMessage.size(), nullptr, 10);
    }
  }
  auto channel = ipc::WorkerChannel::Attach(max_message);
  if (!channel.ok()) return 1;
  return ScriptedWorker(*std::move(channel)).Run();
}

}  // namespace
}  // namespace caxton

int main(int argc, char** argv) { return caxton::Main(argc, argv); }
