// SPDX-License-Identifier: Apache-2.0
#include "caxton/ipc/channel.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "caxton/base/strings.h"
#include "caxton/platform/process.h"

namespace caxton::ipc {
namespace {

// A worker that answers every frame with the same bytes and type + 1, until its channel is closed.
int EchoWorker(WorkerChannel& worker) {
  Frame frame;
  while (true) {
    absl::StatusOr<bool> read = worker.from_server().TryRead(&frame);
    if (!read.ok()) return read.status().code() == absl::StatusCode::kUnavailable ? 0 : 1;
    if (!*read) {
      worker.to_server().Flush();
      if (!worker.from_server().WaitReadable(kNoDeadline).ok()) return 2;
      continue;
    }
    worker.Beat();
    if (!worker.to_server().Write(frame.type + 1, frame.bytes, kNoDeadline).ok()) return 3;
  }
}

std::unique_ptr<ServerChannel> MakeServer() {
  auto server = ServerChannel::Create({});
  EXPECT_TRUE(server.ok()) << server.status();
  return *std::move(server);
}

std::unique_ptr<WorkerChannel> MakeWorker(const ServerChannel& server) {
  auto worker = WorkerChannel::AttachTo(server, kDefaultMaxMessageBytes);
  EXPECT_TRUE(worker.ok()) << worker.status();
  return *std::move(worker);
}

// The channel in a process of its own, by the descriptor numbers that Spawn gives a worker.
pid_t ForkWorker(const ServerChannel& server, int (*body)(WorkerChannel&)) {
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  std::vector<platform::UniqueFd> high;
  for (const platform::PassedFd& fd : server.ChildFds()) {
    high.emplace_back(::fcntl(fd.fd, F_DUPFD, 100));
  }
  for (size_t i = 0; i < high.size(); ++i) ::dup2(high[i].get(), server.ChildFds()[i].child_fd);
  auto worker = WorkerChannel::Attach(kDefaultMaxMessageBytes);
  ::_exit(worker.ok() ? body(**worker) : 99);
}

int WaitFor(pid_t pid) {
  int status = 0;
  ::waitpid(pid, &status, 0);
  return status;
}

TEST(Channel, PingPongBetweenTwoProcesses) {
  auto server = MakeServer();
  const pid_t pid = ForkWorker(*server, EchoWorker);
  Frame frame;
  for (uint32_t i = 0; i < 2000; ++i) {
    const std::string bytes(i % 700, static_cast<char>(i));
    ASSERT_TRUE(server->to_worker().Write(i, bytes, kNoDeadline).ok());
    ASSERT_TRUE(*server->from_worker().WaitReadable(kNoDeadline));
    ASSERT_TRUE(*server->from_worker().TryRead(&frame));
    ASSERT_EQ(frame.type, i + 1);
    ASSERT_EQ(frame.bytes, bytes);
  }
  EXPECT_EQ(server->heartbeat(), 2000u);
  server->Close();
  EXPECT_EQ(WaitFor(pid), 0);
}

TEST(Channel, ALargeMessagePassesBothWays) {
  auto server = MakeServer();
  const pid_t pid = ForkWorker(*server, EchoWorker);
  const std::string bytes(MaxFrameBytes(kDefaultMaxMessageBytes), 'm');
  Frame frame;
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(server->to_worker().Write(1, bytes, kNoDeadline).ok());
    ASSERT_TRUE(*server->from_worker().WaitReadable(kNoDeadline));
    ASSERT_TRUE(*server->from_worker().TryRead(&frame));
    ASSERT_EQ(frame.bytes, bytes);
  }
  server->Close();
  EXPECT_EQ(WaitFor(pid), 0);
}

TEST(Channel, AKilledWorkerIsDetectedAndItsLastWordsAreRead) {
  auto server = MakeServer();
  const pid_t pid = ForkWorker(*server, [](WorkerChannel& worker) {
    worker.MarkExecuting(Seq(5));
    std::ignore = worker.to_server().Write(9, "last words", kNoDeadline);
    ::kill(::getpid(), SIGKILL);
    return 0;
  });
  // As the supervisor does: one thread waits for the end, the reader sleeps in its ring.
  std::thread watcher([&server, pid] {
    EXPECT_TRUE(WIFSIGNALED(WaitFor(pid)));
    server->Close();
  });
  Frame frame;
  std::string words;
  absl::Status end;
  while (end.ok()) {
    ASSERT_TRUE(*server->from_worker().WaitReadable(kNoDeadline));
    absl::StatusOr<bool> read = server->from_worker().TryRead(&frame);
    end = read.status();
    if (read.ok() && *read) words = frame.bytes;
  }
  watcher.join();
  EXPECT_EQ(words, "last words");
  EXPECT_EQ(end.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(server->to_worker().TryWrite(1, "").status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(server->Executing(), Seq(5));
}

TEST(Channel, InterruptsAreByTicket) {
  auto server = MakeServer();
  auto worker = MakeWorker(*server);
  EXPECT_FALSE(worker->Interrupted(Ticket(7)));
  server->Interrupt(Ticket(7));
  EXPECT_TRUE(worker->Interrupted(Ticket(7)));
  EXPECT_FALSE(worker->Interrupted(Ticket(6)));
  EXPECT_FALSE(worker->Interrupted(Ticket(8)));
  server->InterruptThrough(Ticket(100));
  server->InterruptThrough(Ticket(50));
  EXPECT_TRUE(worker->Interrupted(Ticket(100)));
  EXPECT_FALSE(worker->Interrupted(Ticket(101)));
}

TEST(Channel, AsManyInterruptsPendAsTheLimitSays) {
  auto server = MakeServer();
  auto worker = MakeWorker(*server);
  for (uint64_t t = 1; t <= kMaxPendingInterrupts; ++t) server->Interrupt(Ticket(t));
  for (uint64_t t = 1; t <= kMaxPendingInterrupts; ++t) {
    EXPECT_TRUE(worker->Interrupted(Ticket(t)));
  }
  server->Interrupt(Ticket(1000));
  EXPECT_FALSE(worker->Interrupted(Ticket(1))) << "the oldest is forgotten";
  EXPECT_TRUE(worker->Interrupted(Ticket(1000)));
}

TEST(Channel, SignalsWakeTheTicker) {
  auto server = MakeServer();
  auto worker = MakeWorker(*server);
  uint32_t seen = 0;
  EXPECT_FALSE(worker->WaitSignal(&seen, 0));
  std::thread ticker([&worker, &seen] { EXPECT_TRUE(worker->WaitSignal(&seen, kNoDeadline)); });
  server->Interrupt(Ticket(1));
  ticker.join();
  EXPECT_FALSE(worker->WaitSignal(&seen, 0));
}

TEST(Channel, AStopRequestWakesAWaitingWorkerWhoseResultsStillCome) {
  auto server = MakeServer();
  auto worker = MakeWorker(*server);
  EXPECT_FALSE(worker->stop_requested());
  std::thread waiting([&worker] {
    EXPECT_TRUE(*worker->from_server().WaitReadable(kNoDeadline));
    EXPECT_TRUE(worker->stop_requested());
    EXPECT_TRUE(worker->to_server().Write(1, "result", kNoDeadline).ok());
  });
  server->RequestStop();
  waiting.join();
  Frame frame;
  ASSERT_TRUE(*server->from_worker().TryRead(&frame));
  EXPECT_EQ(frame.bytes, "result");
  EXPECT_FALSE(server->closed());
}

TEST(Channel, AWorkerRefusesWhatIsNoChannel) {
  auto server = MakeServer();
  const platform::PassedFd control = server->ChildFds()[0];
  auto map =
      platform::Mapping::Map(control.fd, kControlBytes, platform::Mapping::Access::kReadWrite);
  reinterpret_cast<ControlBlock*>(map->data())->magic.store(1);
  EXPECT_FALSE(WorkerChannel::AttachTo(*server, kDefaultMaxMessageBytes).ok());
}

}  // namespace
}  // namespace caxton::ipc
