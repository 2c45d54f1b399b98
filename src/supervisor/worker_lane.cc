// SPDX-License-Identifier: Apache-2.0
#include "worker_lane.h"

#include <signal.h>
#include <sys/resource.h>

#include <algorithm>
#include <utility>

#include "caxton/base/assert.h"
#include "caxton/base/status.h"
#include "caxton/ipc/worker_command.h"
#include "caxton/platform/futex.h"
#include "caxton/supervisor/worker_setup.h"

namespace caxton::supervisor {
namespace {

constexpr size_t kLogBatch = 64;

absl::Status Breach(std::string_view what) { return absl::DataLossError(AbslView(what)); }

}  // namespace

Lane::~Lane() { CAXTON_ASSERT(process_ == nullptr, "a lane is retired before it goes"); }

// Any thread.

Lane::Taken Lane::TryDispatch(const DispatchOrder& order) {
  MutexLock lock(&mutex_);
  if (!accepting_) return Taken::kNotNow;
  const int64_t now = clock_.MonoNanos();
  if (!window_.Admits(order.alone, now)) return Taken::kNotNow;
  ipc::RingWriter& writer = process_->channel->to_worker();
  const ipc::DispatchHead head{order.input, order.deadline_ns};
  const auto written = ipc::TryWriteDispatch(writer, head, order.envelope, &scratch_);
  if (!written.ok()) {
    if (absl::IsResourceExhausted(written.status())) return Taken::kNever;
    if (!absl::IsUnavailable(written.status())) {
      KillLocked(StrCat("broke the protocol: ", written.status().message()), false);
    }
    return Taken::kNotNow;
  }
  if (!*written) {
    writer.Flush();  // room comes only from frames that the worker can see
    return Taken::kNotNow;
  }
  window_.Push({order.input.ticket, order.input.seq, order.deadline_ns}, order.alone, now);
  dirty_.store(true, std::memory_order_relaxed);
  UpdateLoadLocked();
  return Taken::kYes;
}

void Lane::Reserve() {
  MutexLock lock(&mutex_);
  window_.Reserve(clock_.MonoNanos());
}

bool Lane::reserved() const {
  MutexLock lock(&mutex_);
  return window_.reserved();
}

bool Lane::HasRoom() {
  MutexLock lock(&mutex_);
  return accepting_ && window_.Admits(false, clock_.MonoNanos());
}

void Lane::Flush() {
  if (!dirty_.load(std::memory_order_relaxed)) return;
  MutexLock lock(&mutex_);
  dirty_.store(false, std::memory_order_relaxed);
  if (process_ != nullptr) process_->channel->to_worker().Flush();
}

void Lane::Interrupt(Ticket ticket) {
  MutexLock lock(&mutex_);
  if (process_ != nullptr && window_.Contains(ticket)) process_->channel->Interrupt(ticket);
}

void Lane::InterruptAll() {
  MutexLock lock(&mutex_);
  const auto newest = window_.Newest();
  if (process_ != nullptr && newest.has_value()) process_->channel->InterruptThrough(*newest);
}

int Lane::pid() const {
  MutexLock lock(&mutex_);
  return process_ == nullptr ? 0 : static_cast<int>(process_->child.pid);
}

bool Lane::Healthy(std::string* note) const {
  MutexLock lock(&mutex_);
  if (!health_.well) *note = health_.note;
  return health_.well;
}

bool Lane::HealthPending() const {
  MutexLock lock(&mutex_);
  return health_.asked > 0 && health_.answered == 0;
}

std::string Lane::cause() const {
  MutexLock lock(&mutex_);
  return cause_;
}

void Lane::Kill(std::string cause, bool hung) {
  MutexLock lock(&mutex_);
  KillLocked(std::move(cause), hung);
}

void Lane::KillLocked(std::string cause, bool hung) {
  if (process_ == nullptr) return;
  accepting_ = false;
  UpdateLoadLocked();
  if (cause_.empty()) {
    cause_ = StrCat("worker ", process_->child.pid, " ", cause);
    hung_ = hung;
    has_cause_.SignalAll();
  }
  (void)platform::KillChild(process_->child, SIGKILL);
}

void Lane::UpdateLoadLocked() {
  load_.store(accepting_ ? static_cast<uint32_t>(window_.size()) : kDownLoad,
              std::memory_order_relaxed);
}

// The supervisor's thread.

absl::Status Lane::Start(const LaneStart& start) {
  CAXTON_ASSERT(process_ == nullptr, "one process at a time");
  const Revision& revision = *start.revision;
  const auto max_message = static_cast<size_t>(revision.limits.max_message_bytes);
  auto process = std::make_unique<Process>();
  ASSIGN_OR_RETURN(process->channel,
                   ipc::ServerChannel::Create({.name = start.name,
                                               .slot_directory = start.slot_directory,
                                               .max_message_bytes = max_message}));
  ASSIGN_OR_RETURN(
      process->cgroup,
      start.cgroups->Create(start.name, {.memory_bytes = WorkerMemoryBytes(revision),
                                         .cpu_millis = revision.limits.cpu_millis,
                                         .cpu_max_millis = revision.limits.cpu_max_millis,
                                         .pids_max = kWorkerThreadsMax}));
  std::string configure;
  ipc::EncodeConfigure(MakeConfigure(revision), &configure);
  ipc::RingWriter& writer = process->channel->to_worker();
  ASSIGN_OR_RETURN(const bool written,
                   writer.TryWrite(static_cast<uint32_t>(ipc::FrameType::kConfigure), configure));
  CAXTON_ASSERT(written, "a fresh ring has room for the settings that CheckSettings lets through");
  writer.Flush();

  platform::SpawnOptions options;
  options.path = start.worker_path;
  options.argv = ipc::CommandLine(
      start.worker_path,
      ipc::RunCommand{.max_message_bytes = revision.limits.max_message_bytes, .jail = start.jail});
  options.fds = process->channel->ChildFds();
  options.fds.push_back({start.code_fd, ipc::kCodeFd});
  options.rlimits = {{RLIMIT_CORE, 0, 0}};  // its memory holds messages
  process->cgroup->Join(&options);
  ASSIGN_OR_RETURN(process->child, platform::Spawn(options));

  max_output_bytes_ = std::max(kMaxStepOutputBytes, max_message);
  cpu_millis_ = revision.limits.cpu_millis;
  ready_seen_ = false;
  last_result_ns_ = 0;
  RefillLogBudget();
  ipc::ServerChannel* const channel = process->channel.get();
  MutexLock lock(&mutex_);
  cause_.clear();
  stopping_ = hung_ = yielding_ = false;
  health_ = Health();
  process_ = std::move(process);
  if (background_) ApplyShareLocked();
  process_->reader = std::thread([this, channel] { Read(channel); });
  return absl::OkStatus();
}

void Lane::RequestStop() {
  MutexLock lock(&mutex_);
  if (process_ == nullptr) return;
  accepting_ = false;
  stopping_ = true;
  UpdateLoadLocked();
  // Without room for the frame the control block alone has to do.
  (void)process_->channel->to_worker().TryWrite(static_cast<uint32_t>(ipc::FrameType::kStop),
                                                std::string_view());
  process_->channel->to_worker().Flush();
  process_->channel->RequestStop();
}

void Lane::NoteExit(const platform::ExitStatus& exit) {
  const platform::CgroupUsage usage = Usage();
  MutexLock lock(&mutex_);
  accepting_ = false;
  UpdateLoadLocked();
  if (cause_.empty()) {
    cause_ = usage.oom_kills > 0 && !exit.exited
                 ? StrCat("worker ", process_->child.pid, " went beyond its memory limit")
                 : StrCat("worker ", process_->child.pid, " ", exit.ToString());
    has_cause_.SignalAll();
  }
  process_->channel->Close();
}

void Lane::Retire() {
  process_->reader.join();
  std::unique_ptr<Process> gone;
  MutexLock lock(&mutex_);
  gone = std::move(process_);
}

bool Lane::Hung() const {
  MutexLock lock(&mutex_);
  return accepting_ && window_.Hung(clock_.MonoNanos());
}

void Lane::YieldIfLong() {
  MutexLock lock(&mutex_);
  if (yielding_ || !window_.RunsLong(clock_.MonoNanos())) return;
  yielding_ = true;
  ApplyShareLocked();
}

void Lane::SetBackground(bool background) {
  MutexLock lock(&mutex_);
  if (std::exchange(background_, background) != background) ApplyShareLocked();
}

void Lane::ApplyShareLocked() {
  if (process_ == nullptr) return;
  int64_t share = cpu_millis_;
  if (background_) share /= kBackgroundShare;
  if (yielding_) share /= kLongStepShare;
  // Where the machine does not let us, the worker keeps the share it has.
  process_->cgroup->SetCpuShare(share).IgnoreError();
}

void Lane::AskHealth() {
  MutexLock lock(&mutex_);
  if (!accepting_) return;
  if (health_.asked != health_.answered) {
    // Health checks wait behind the steps before them: a busy worker is not ill.
    const bool moved = steps_answered_ != health_.steps_when_asked;
    health_.steps_when_asked = steps_answered_;
    if (moved) return;
    health_.well = false;
    health_.note = "it did not answer its last health check";
    return;
  }
  std::string request;
  ipc::EncodeHealthRequest({.nonce = health_.asked + 1}, &request);
  ipc::RingWriter& writer = process_->channel->to_worker();
  const auto written =
      writer.TryWrite(static_cast<uint32_t>(ipc::FrameType::kHealthRequest), request);
  if (!written.ok() || !*written) return;  // a full channel is looked after by the hung check
  ++health_.asked;
  health_.steps_when_asked = steps_answered_;
  writer.Flush();
}

platform::CgroupUsage Lane::Usage() const {
  if (process_ == nullptr) return {};
  return process_->cgroup->Usage().value_or(platform::CgroupUsage{});
}

// The reader's thread.

void Lane::Read(ipc::ServerChannel* channel) {
  pthread_setname_np(pthread_self(), "cx-worker-read");
  ipc::RingReader& reader = channel->from_worker();
  ipc::Frame frame;
  absl::Status status;
  while (status.ok()) {
    const auto got = reader.TryRead(&frame);
    if (!got.ok()) {
      status = got.status();
    } else if (*got) {
      status = Handle(frame);
    } else {
      FlushLogs();
      status = Await(reader);
    }
  }
  if (!absl::IsUnavailable(status)) Kill(StrCat("broke the protocol: ", status.message()));
  FlushLogs();
  EndReading(channel);
}

absl::Status Lane::Await(ipc::RingReader& reader) {
  const bool watches = clock_.MonoNanos() - last_result_ns_ < kLongStepWatchNs;
  // The kernel waits by its own clock.
  const int64_t until = watches ? platform::MonotonicNanos() + kLongStepNs : ipc::kNoDeadline;
  ASSIGN_OR_RETURN(const bool readable, reader.WaitReadable(until));
  if (!readable) YieldIfLong();
  return absl::OkStatus();
}

absl::Status Lane::Handle(const ipc::Frame& frame) {
  switch (static_cast<ipc::FrameType>(frame.type)) {
    case ipc::FrameType::kResult:
      return HandleResult(frame.bytes);
    case ipc::FrameType::kReady:
      return HandleReady(frame.bytes);
    case ipc::FrameType::kHealthAnswer:
      return HandleHealth(frame.bytes);
    case ipc::FrameType::kLogLine:
      return HandleLog(frame.bytes);
    default:
      return Breach(StrCat("a frame of type ", frame.type));
  }
}

absl::Status Lane::HandleResult(std::string_view bytes) {
  auto result = DecodeStepResult(bytes, max_output_bytes_);
  if (!result.ok()) return Breach(StrCat("a bad result: ", StdView(result.status().message())));
  last_result_ns_ = clock_.MonoNanos();
  bool room;
  {
    MutexLock lock(&mutex_);
    if (!window_.Pop(result->ticket, last_result_ns_).has_value()) {
      return Breach("a result for a step that is not the next to be answered");
    }
    if (std::exchange(yielding_, false)) ApplyShareLocked();
    ++steps_answered_;
    room = accepting_ && window_.WorthTrying();
    UpdateLoadLocked();
  }
  owner_.OnResult(*std::move(result));
  if (room) owner_.OnRoom();
  return absl::OkStatus();
}

absl::Status Lane::HandleReady(std::string_view bytes) {
  auto ready = ipc::DecodeReady(bytes);
  if (!ready.ok()) return Breach(StrCat("a bad Ready: ", StdView(ready.status().message())));
  if (std::exchange(ready_seen_, true)) return Breach("a second Ready");
  const bool ok = ready->ok;
  if (ok) {
    MutexLock lock(&mutex_);
    accepting_ = !stopping_ && cause_.empty();
    UpdateLoadLocked();
  }
  if (ok) owner_.OnRoom();  // first: whoever learns of the worker by OnReady was never refused
  owner_.OnReady(this, *std::move(ready));
  return absl::OkStatus();
}

absl::Status Lane::HandleHealth(std::string_view bytes) {
  const auto answer = ipc::DecodeHealthAnswer(bytes);
  if (!answer.ok()) return Breach(StrCat("a bad answer: ", StdView(answer.status().message())));
  MutexLock lock(&mutex_);
  if (answer->nonce == 0 || answer->nonce > health_.asked) return Breach("an answer nobody asked");
  health_.answered = answer->nonce;
  health_.well = answer->ok;
  health_.note = answer->ok ? "" : StrCat("health_check returned ", answer->code);
  if (!answer->ok && !answer->detail.empty()) StrAppend(&health_.note, ": ", answer->detail);
  return absl::OkStatus();
}

absl::Status Lane::HandleLog(std::string_view bytes) {
  auto line = ipc::DecodeLogLine(bytes);
  if (!line.ok()) return Breach(StrCat("a bad log line: ", StdView(line.status().message())));
  if (log_budget_.fetch_sub(1, std::memory_order_relaxed) <= 0) return absl::OkStatus();
  logs_.push_back(*std::move(line));
  if (logs_.size() >= kLogBatch) FlushLogs();
  return absl::OkStatus();
}

void Lane::FlushLogs() {
  if (!logs_.empty()) owner_.OnLog(std::exchange(logs_, {}));
}

void Lane::EndReading(ipc::ServerChannel* channel) {
  std::vector<LostStep> lost;
  std::string cause;
  {
    MutexLock lock(&mutex_);
    accepting_ = false;
    UpdateLoadLocked();
    // It closed its end itself: what became of it is known once it has ended. A worker that was not
    // told to stop has nothing left to do.
    if (!HasCause() && !stopping_) (void)platform::KillChild(process_->child, SIGKILL);
    while (!HasCause()) has_cause_.Wait(&mutex_);
    cause = cause_;
    const Seq mark = channel->Executing();
    const std::vector<Outstanding> steps = window_.TakeAll();
    bool marked = false;
    for (const Outstanding& step : steps) {
      const bool executing = !stopping_ && mark.valid() && step.seq == mark && !marked;
      marked |= executing;
      lost.push_back({step.ticket, executing});
    }
    if (hung_ && !marked && !lost.empty() && !stopping_) lost.front().executing = true;
  }
  if (!lost.empty()) owner_.OnLost(std::move(lost), std::move(cause));
  owner_.OnReaderEnded(this);
}

}  // namespace caxton::supervisor
