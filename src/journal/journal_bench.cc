// SPDX-License-Identifier: Apache-2.0
//
// journal_bench DIRECTORY [STEPS]: steps per second of a five-row step of 512 B, synced, through
// RocksStore alone (FeedStore) and through the Journal, in turn, at 1 and 64 outstanding.
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <semaphore>
#include <string>
#include <thread>
#include <vector>

#include "caxton/base/clock.h"
#include "caxton/base/thread_executor.h"
#include "caxton/journal/feed.h"
#include "caxton/journal/journal.h"
#include "caxton/journal/rocks_store.h"

namespace caxton::journal {
namespace {

constexpr int kRounds = 5;
constexpr AgentId kFrom{1};
constexpr AgentId kTo{2};

// {message consumed, message to another agent, two rows of answers, evidence}: 512 B of values.
void AppendStep(uint64_t i, RowBatch* rows) {
  static const std::string big(256, 'x');
  static const std::string small(96, 'y');
  static const std::string tiny(64, 'z');
  rows->Delete(Table::kInbox, MessageKey(kFrom, Seq(i + 1)));
  rows->Put(Table::kInbox, MessageKey(kTo, Seq(i + 1)), big);
  rows->Put(Table::kIdem, IdemKey(1, kFrom, MessageKey(kFrom, Seq(i + 1))), small);
  rows->Put(Table::kRetained, RetainedKey(kFrom, i + 1), small);
  rows->Put(Table::kEvidence, EvidenceKey(DeploymentId(1), i + 1), tiny);
}

double RawStepsPerSecond(RocksStore* store, uint64_t steps, uint64_t outstanding) {
  const SystemClock clock;
  auto result = FeedStore(store, clock, {steps, outstanding, AppendStep});
  if (!result.ok()) std::abort();
  return 1e9 * double(result->steps) / double(result->elapsed_ns);
}

// Ops are made on a thread of their own, as router shards do.
double JournalStepsPerSecond(RocksStore* store, uint64_t steps, uint64_t outstanding) {
  const SystemClock clock;
  ThreadExecutor executor("committer", clock);
  auto journal =
      Journal::Open(store, &executor, &clock, {}, [](const absl::Status&) { std::abort(); });
  if (!journal.ok()) std::abort();
  std::counting_semaphore<> room(static_cast<std::ptrdiff_t>(outstanding));
  const RevisionRef revision{kFrom, RevisionNumber(1)};
  const int64_t start = clock.MonoNanos();
  for (uint64_t i = 0; i < steps; ++i) {
    room.acquire();
    CommitOp op;
    op.guard = StepGuard{revision, Ticket(i + 1), std::make_shared<std::atomic<uint64_t>>(i + 1)};
    AppendStep(i, &op.rows);
    op.counters.push_back({.agent = kFrom, .accepted = 1, .completed = 1});
    op.counters.push_back({.agent = kTo, .accepted = 1, .completed = 1});
    op.decided = [](const CommitVerdict& v) {
      if (v.kind != CommitVerdict::Kind::kAccepted) std::abort();
    };
    op.durable = [&room] { room.release(); };
    (*journal)->committer().Submit(std::move(op));
  }
  for (uint64_t i = 0; i < outstanding; ++i) room.acquire();
  const int64_t elapsed = clock.MonoNanos() - start;
  executor.Stop();
  return 1e9 * double(steps) / double(elapsed);
}

// A clock some hours behind, to fill buckets of earlier hours.
class ShiftedClock final : public Clock {
 public:
  explicit ShiftedClock(int64_t hours) : shift_ns_(hours * 3600 * kNanosPerSecond) {}
  int64_t WallNanos() const override { return real_.WallNanos() + shift_ns_; }
  int64_t MonoNanos() const override { return real_.MonoNanos(); }

 private:
  SystemClock real_;
  int64_t shift_ns_;
};

double ClaimsPerSecond(RocksStore* store, uint64_t claims, int64_t hours, uint64_t first) {
  const ShiftedClock clock(hours);
  ThreadExecutor executor("committer", clock);
  auto journal =
      Journal::Open(store, &executor, &clock, {}, [](const absl::Status&) { std::abort(); });
  if (!journal.ok()) std::abort();
  std::counting_semaphore<> room(64);
  const int64_t start = clock.MonoNanos();
  for (uint64_t i = first; i < first + claims; ++i) {
    room.acquire();
    CommitOp op;
    op.claim = IdemClaim{kFrom, "client-request-" + std::to_string(i), "0123456789abcdef", Seq(i)};
    op.rows.Put(Table::kInbox, MessageKey(kFrom, Seq(i)), std::string(256, 'x'));
    op.counters.push_back({.agent = kFrom, .accepted = 1, .waiting = 1});
    op.durable = [&room] { room.release(); };
    (*journal)->committer().Submit(std::move(op));
  }
  for (uint64_t i = 0; i < 64; ++i) room.acquire();
  const int64_t elapsed = clock.MonoNanos() - start;
  executor.Stop();
  return 1e9 * double(claims) / double(elapsed);
}

void MeasureClaims(const std::string& directory) {
  std::filesystem::remove_all(directory);
  auto store = RocksStore::Open(directory, {});
  if (!store.ok()) std::abort();
  constexpr uint64_t kClaims = 20'000;
  uint64_t first = 1;
  for (int64_t hours : {-24, -23, -22, -21, -20, -19, -18, -17, -16, -15, -14, -13, -12,
                        -11, -10, -9,  -8,  -7,  -6,  -5,  -4,  -3,  -2,  -1,  0}) {
    const double rate = ClaimsPerSecond(store->get(), kClaims, hours, first);
    first += kClaims;
    if (hours == -24 || hours == -12 || hours == 0) {
      std::printf("keyed accepts, %2lld earlier buckets: %8.0f/s\n",
                  static_cast<long long>(hours + 24), rate);
    }
  }
}

double Seconds(int64_t from, int64_t to) { return double(to - from) / 1e9; }

void MeasureRecovery(const std::string& directory) {
  std::filesystem::remove_all(directory);
  constexpr uint64_t kWaiting = 1'000'000;
  {
    auto store = RocksStore::Open(directory, {});
    if (!store.ok()) std::abort();
    Envelope envelope;
    envelope.id = "0123456789abcdef";
    envelope.sender = "client:bench";
    envelope.receiver = "echo";
    envelope.key = "key";
    envelope.content.assign(256, 'x');
    std::string bytes;
    EncodeEnvelope(envelope, &bytes);
    RowBatch rows;
    for (uint64_t i = 1; i <= kWaiting; ++i) {
      rows.Put(Table::kInbox, MessageKey(kFrom, Seq(i)), bytes);
      if (i % 1000 != 0) continue;
      if (!(*store)->Write(rows, Sync::kNo).ok()) std::abort();
      rows.Clear();
    }
  }
  const SystemClock clock;
  ThreadExecutor executor("committer", clock);
  const int64_t start = clock.MonoNanos();
  auto store = RocksStore::Open(directory, {});
  if (!store.ok()) std::abort();
  const int64_t opened = clock.MonoNanos();
  auto journal = Journal::Open(store->get(), &executor, &clock, {}, nullptr);
  if (!journal.ok()) std::abort();
  const int64_t recounted = clock.MonoNanos();
  uint64_t rows = 0;
  if (!(*journal)->RecoverInbox([&](AgentId, Seq, Envelope) { ++rows; }).ok()) std::abort();
  const int64_t recovered = clock.MonoNanos();
  std::printf("%llu messages waiting: store %.2f s, journal %.2f s, inbox %.2f s\n",
              static_cast<unsigned long long>(rows), Seconds(start, opened),
              Seconds(opened, recounted), Seconds(recounted, recovered));
  executor.Stop();
}

void PrintMemory() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM") || line.starts_with("VmRSS")) std::printf("%s\n", line.c_str());
  }
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void Compare(const std::string& directory, uint64_t steps, uint64_t outstanding) {
  std::vector<double> raw, journal;
  for (int round = 0; round < kRounds; ++round) {
    for (int which = 0; which < 2; ++which) {
      std::filesystem::remove_all(directory);
      auto store = RocksStore::Open(directory, {});
      if (!store.ok()) std::abort();
      if (which == 0) {
        raw.push_back(RawStepsPerSecond(store->get(), steps, outstanding));
      } else {
        journal.push_back(JournalStepsPerSecond(store->get(), steps, outstanding));
      }
    }
  }
  std::printf("outstanding %3llu: RocksDB alone %8.0f steps/s, Journal %8.0f steps/s, ratio %.2f\n",
              static_cast<unsigned long long>(outstanding), Median(raw), Median(journal),
              Median(journal) / Median(raw));
}

}  // namespace
}  // namespace caxton::journal

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: journal_bench DIRECTORY [STEPS]\n");
    return 2;
  }
  const uint64_t steps = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 100'000;
  const std::string directory = std::string(argv[1]) + "/journal-bench";
  caxton::journal::Compare(directory, steps / 50, 1);
  caxton::journal::Compare(directory, steps, 64);
  caxton::journal::PrintMemory();
  if (argc > 3) return 0;
  caxton::journal::MeasureClaims(directory);
  caxton::journal::MeasureRecovery(directory);
  std::filesystem::remove_all(directory);
  return 0;
}
