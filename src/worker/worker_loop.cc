// SPDX-License-Identifier: Apache-2.0
#include "caxton/worker/worker_loop.h"

#include <algorithm>
#include <utility>

#include "agent_config.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/model/text.h"
#include "caxton/worker/limits.h"

namespace caxton::worker {

using ipc::FrameType;
using ipc::WorkerExit;

class WorkerLoop::Interrupts final : public wasm::InterruptSource {
 public:
  explicit Interrupts(const ipc::WorkerChannel& channel) : channel_(channel) {}
  bool IsKilled(Ticket ticket) const override { return channel_.Interrupted(ticket); }

 private:
  const ipc::WorkerChannel& channel_;
};

// An interrupt cuts the ticker's sleep short.
class WorkerLoop::Ticks final : public wasm::TickSource {
 public:
  explicit Ticks(const ipc::WorkerChannel& channel) : channel_(channel) {}
  void SleepUntil(int64_t deadline_ns) override { channel_.WaitSignal(&seen_, deadline_ns); }

 private:
  const ipc::WorkerChannel& channel_;
  uint32_t seen_ = 0;
};

WorkerLoop::WorkerLoop(ipc::WorkerChannel& channel, const Clock& clock,
                       WorkerEnvironment& environment)
    : channel_(channel),
      clock_(clock),
      environment_(environment),
      interrupts_(std::make_unique<Interrupts>(channel)),
      ticks_(std::make_unique<Ticks>(channel)) {}

WorkerLoop::~WorkerLoop() = default;

WorkerExit WorkerLoop::Run() {
  const auto ended = [this](absl::Status status) {
    // A closed channel is how the server says stop, and what its death looks like.
    const bool closed = absl::IsUnavailable(status);
    why_ = std::move(status);
    if (closed && channel_.stop_requested()) return WorkerExit::kDone;
    return closed ? WorkerExit::kPeerGone : WorkerExit::kFailed;
  };
  if (absl::Status status = AwaitConfigure(); !status.ok()) return ended(std::move(status));
  const absl::Status prepared = Prepare();
  prepared_ = prepared.ok();
  if (!prepared_) init_detail_ = std::string(prepared.message());
  if (absl::Status status = SendReady(prepared); !status.ok()) return ended(std::move(status));
  while (true) {
    const absl::StatusOr<Next> next = Turn();
    if (!next.ok()) return ended(next.status());
    if (*next == Next::kStop) {
      ShutDown();
      return WorkerExit::kDone;
    }
  }
}

absl::Status WorkerLoop::AwaitConfigure() {
  const int64_t deadline = clock_.MonoNanos() + kConfigureLimitNs;
  while (true) {
    ASSIGN_OR_RETURN(const bool readable, channel_.from_server().WaitReadable(deadline));
    if (!readable) return absl::DeadlineExceededError("the server sent no configuration");
    ASSIGN_OR_RETURN(const bool read, channel_.from_server().TryRead(&frame_));
    if (read) break;
  }
  if (frame_.type != static_cast<uint32_t>(FrameType::kConfigure)) {
    return absl::DataLossError(StrCat("the first frame has type ", frame_.type, ", not Configure"));
  }
  ASSIGN_OR_RETURN(configure_, ipc::DecodeConfigure(frame_.bytes));
  config_ = AgentConfigOf(configure_);
  return absl::OkStatus();
}

absl::Status WorkerLoop::Prepare() {
  wasm::InstancePoolOptions pool_options;
  pool_options.prepared =
      std::clamp<uint32_t>(configure_.pool_size, 1, wasm::kMaxPreparedInstances);
  pool_options.reused = configure_.reused_instances;
  pool_options.init_limit_ns = InitLimitOf(configure_);
  wasm::EngineOptions engine_options;
  engine_options.max_instances = pool_options.prepared + kExtraSlots;
  engine_options.max_memory_bytes = std::max(config_.memory_bytes, kMinAgentMemoryBytes);
  engine_options.parallel_compilation = false;
  ASSIGN_OR_RETURN(engine_, wasm::Engine::Create(engine_options));
  ASSIGN_OR_RETURN(module_, environment_.Load(*engine_));
  ticker_ = std::make_unique<wasm::EpochTicker>(*engine_, ticks_.get());
  RETURN_IF_ERROR(environment_.LockDown());
  pool_ = std::make_unique<wasm::InstancePool>(*module_, config_, Control(0), pool_options);
  const wasm::EpochTicker::Scope scope(*ticker_);
  bool made = true;
  while (made) {
    ASSIGN_OR_RETURN(made, pool_->RefillOne());
  }
  // Told of one instance only: all start the same.
  for (const LogLine& line : pool_->next().init_stats().logs) {
    ipc::EncodeLogLine(line, &scratch_);
    RETURN_IF_ERROR(Send(FrameType::kLogLine, scratch_));
  }
  return absl::OkStatus();
}

absl::Status WorkerLoop::SendReady(const absl::Status& prepared) {
  ipc::Ready ready;
  ready.ok = prepared.ok();
  ready.detail =
      std::string(TruncateUtf8(SanitizeUtf8(StdView(prepared.message())), kMaxStepDetailBytes));
  ready.engine = StrCat("wasmtime ", wasm::Engine::Version());
  ready.config_hash = wasm::Engine::ConfigHash().ToHex();
  ready.not_enforced = environment_.NotEnforced();
  if (prepared.ok()) ready.memory_bytes = pool_->next().init_stats().memory_bytes;
  ipc::EncodeReady(ready, &scratch_);
  RETURN_IF_ERROR(Send(FrameType::kReady, scratch_));
  channel_.to_server().Flush();
  return absl::OkStatus();
}

absl::StatusOr<WorkerLoop::Next> WorkerLoop::Turn() {
  channel_.Beat();
  ASSIGN_OR_RETURN(const bool read, channel_.from_server().TryRead(&frame_));
  if (read) return HandleFrame();
  if (IdleWork()) return Next::kGoOn;
  if (channel_.stop_requested()) return Next::kStop;
  // Until there is a frame, or to beat again.
  RETURN_IF_ERROR(channel_.from_server().WaitReadable(clock_.MonoNanos() + kIdleWaitNs).status());
  return Next::kGoOn;
}

bool WorkerLoop::IdleWork() {
  channel_.to_server().Flush();
  unflushed_ns_ = 0;
  spent_.reset();
  if (!prepared_ || refill_failed_) return false;
  const wasm::EpochTicker::Scope scope(*ticker_);
  const absl::StatusOr<bool> made = pool_->RefillOne();
  refill_failed_ = !made.ok();  // the next step that needs one says why
  return made.ok() && *made;
}

absl::StatusOr<WorkerLoop::Next> WorkerLoop::HandleFrame() {
  switch (static_cast<FrameType>(frame_.type)) {
    case FrameType::kDispatch:
      RETURN_IF_ERROR(HandleDispatch());
      return Next::kGoOn;
    case FrameType::kHealthRequest:
      RETURN_IF_ERROR(HandleHealth());
      return Next::kGoOn;
    case FrameType::kStop:
      return Next::kStop;
    default:
      return absl::DataLossError(StrCat("the server sent a frame of type ", frame_.type));
  }
}

absl::Status WorkerLoop::HandleDispatch() {
  ASSIGN_OR_RETURN(const ipc::DispatchView dispatch, ipc::DecodeDispatch(frame_.bytes));
  ASSIGN_OR_RETURN(const Envelope message, DecodeEnvelope(dispatch.envelope));
  const StepInput& input = dispatch.head.input;
  StepResult result;
  if (channel_.Interrupted(input.ticket)) {
    result.outcome = StepOutcome::kInterrupted;
  } else {
    channel_.MarkExecuting(input.seq);
    result = RunStep(input, message, dispatch.head.deadline_ns);
  }
  result.ticket = input.ticket;
  const absl::Status sent = SendResult(result);
  channel_.MarkIdle();
  return sent;
}

StepResult WorkerLoop::RunStep(const StepInput& input, const Envelope& message, int64_t limit_ns) {
  StepResult failed;
  failed.outcome = StepOutcome::kInitFailed;
  if (!prepared_) {
    failed.detail = init_detail_;
    return failed;
  }
  const wasm::EpochTicker::Scope scope(*ticker_);
  absl::StatusOr<std::unique_ptr<wasm::Instance>> instance = pool_->Take();
  if (!instance.ok()) {
    failed.detail =
        std::string(TruncateUtf8(StdView(instance.status().message()), kMaxStepDetailBytes));
    return failed;
  }
  refill_failed_ = false;
  wasm::StepControl control = Control(limit_ns);
  control.interrupts = interrupts_.get();
  StepResult result = (*instance)->HandleMessage(input, message, control);
  spent_ = pool_->Keep(*std::move(instance));
  unflushed_ns_ += result.run_ns;
  return result;
}

absl::Status WorkerLoop::HandleHealth() {
  ASSIGN_OR_RETURN(const ipc::HealthRequest request, ipc::DecodeHealthRequest(frame_.bytes));
  ipc::HealthAnswer answer;
  answer.nonce = request.nonce;
  answer.ok = prepared_;
  answer.detail = init_detail_;
  if (prepared_ && module_->has_health_check()) {
    const wasm::EpochTicker::Scope scope(*ticker_);
    absl::StatusOr<std::unique_ptr<wasm::Instance>> instance = pool_->Take();
    absl::StatusOr<int32_t> code = instance.ok() ? (*instance)->HealthCheck(Control(kHealthLimitNs))
                                                 : absl::StatusOr<int32_t>(instance.status());
    if (instance.ok()) spent_ = pool_->Keep(*std::move(instance));
    answer.ok = code.ok() && *code == 0;
    answer.code = code.ok() ? *code : -1;
    if (!code.ok()) {
      answer.detail =
          std::string(TruncateUtf8(StdView(code.status().message()), kMaxStepDetailBytes));
    }
  }
  ipc::EncodeHealthAnswer(answer, &scratch_);
  RETURN_IF_ERROR(Send(FrameType::kHealthAnswer, scratch_));
  channel_.to_server().Flush();
  return absl::OkStatus();
}

absl::Status WorkerLoop::SendResult(const StepResult& result) {
  scratch_.clear();
  EncodeStepResult(result, &scratch_);
  absl::Status sent = Send(FrameType::kResult, scratch_);
  if (absl::IsResourceExhausted(sent)) {
    StepResult over;
    over.ticket = result.ticket;
    over.outcome = StepOutcome::kOverLimit;
    over.fuel = result.fuel;
    over.run_ns = result.run_ns;
    over.detail = StrCat("the step's output of ", scratch_.size(),
                         " bytes does not fit the worker's channel");
    scratch_.clear();
    EncodeStepResult(over, &scratch_);
    sent = Send(FrameType::kResult, scratch_);
  }
  if (sent.ok() && unflushed_ns_ >= kFlushAfterNs) {
    channel_.to_server().Flush();
    unflushed_ns_ = 0;
  }
  return sent;
}

absl::Status WorkerLoop::Send(FrameType type, const std::string& bytes) {
  ASSIGN_OR_RETURN(const bool written,
                   channel_.to_server().TryWrite(static_cast<uint32_t>(type), bytes));
  if (written) return absl::OkStatus();
  unflushed_ns_ = 0;
  const absl::Status sent = channel_.to_server().Write(static_cast<uint32_t>(type), bytes,
                                                       clock_.MonoNanos() + kPeerPatienceNs);
  if (!absl::IsDeadlineExceeded(sent)) return sent;
  return absl::UnavailableError("the server has stopped reading results");
}

void WorkerLoop::ShutDown() {
  channel_.to_server().Flush();
  spent_.reset();
  if (!prepared_) return;
  const wasm::EpochTicker::Scope scope(*ticker_);
  shutdown_ = pool_->Shutdown(Control(kShutdownLimitNs));
}

wasm::StepControl WorkerLoop::Control(int64_t limit_ns) const {
  wasm::StepControl control;
  control.clock = &clock_;
  const int64_t limit = limit_ns > 0 ? limit_ns : configure_.limits.deadline_ns;
  control.deadline_mono_ns = clock_.MonoNanos() + limit;
  if (configure_.fuel_per_step > 0) {
    control.fuel = std::min(configure_.fuel_per_step, wasm::kFuelPerStep);
  }
  return control;
}

}  // namespace caxton::worker
