// SPDX-License-Identifier: Apache-2.0
//
// J(n): bench_journal DIRECTORY ROW OUTSTANDING MILLISECONDS
//
// RocksDB alone, opened as the server opens it and fed by one writer with the batches that the
// server writes in ROW, synced, OUTSTANDING steps in each write:
//   request   a request with an idempotency key: inbox put and delete, the claim, the record with
//             the reply, counters and the size of the hour's records
//   plain     a request without one: accepted and ended by one write, so counters only
//   send      the accept that an ack waits for: inbox put, counters
//   hop       agent to agent: inbox delete, inbox put for the other agent, counters of both
//
// DIRECTORY is removed first and afterwards.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>

#include "caxton/base/clock.h"
#include "caxton/journal/feed.h"
#include "caxton/journal/records.h"
#include "caxton/journal/rocks_store.h"
#include "samples.h"

namespace caxton::bench {
namespace {

using journal::RowBatch;
using journal::Table;

constexpr AgentId kFrom{1};
constexpr AgentId kTo{2};
constexpr uint32_t kHour = 1;
constexpr size_t kPayloadBytes = 256;
constexpr uint64_t kWritesPerFeed = 20;  // the clock is looked at after that many

std::string EncodedEnvelope(uint64_t i) {
  Envelope envelope;
  envelope.id = "0123456789abcdef0123456789abcdef";
  envelope.sender = "client:127.0.0.1";
  envelope.receiver = "echo";
  envelope.key = "k" + std::to_string(i % 64);
  envelope.idempotency_key = "load-ab12cd34-" + std::to_string(i);
  envelope.content.assign(kPayloadBytes, 'x');
  std::string bytes;
  EncodeEnvelope(envelope, &bytes);
  return bytes;
}

void PutCounters(AgentId agent, uint64_t i, RowBatch* rows) {
  journal::CounterRow row;
  row.accepted = row.completed = i;
  std::string value;
  journal::Encode(row, &value);
  rows->Put(Table::kCounters, journal::AgentKey(agent), std::move(value));
}

void PutIdem(uint64_t i, bool done, RowBatch* rows) {
  journal::IdemRecord record;
  record.done = done;
  record.seq = Seq(i + 1);
  record.digest.assign(16, 'd');
  if (done) record.reply = Reply{Performative::kInform, std::string(kPayloadBytes, 'y')};
  std::string value;
  journal::Encode(record, &value);
  rows->Put(Table::kIdem, journal::IdemKey(kHour, kFrom, "load-ab12cd34-" + std::to_string(i)),
            std::move(value));
}

void MakeRequest(uint64_t i, bool last, RowBatch* rows) {
  rows->Put(Table::kInbox, journal::MessageKey(kFrom, Seq(i + 1)), EncodedEnvelope(i));
  PutIdem(i, /*done=*/false, rows);
  rows->Delete(Table::kInbox, journal::MessageKey(kFrom, Seq(i + 1)));
  PutIdem(i, /*done=*/true, rows);
  if (!last) return;
  PutCounters(kFrom, i, rows);
  rows->Put(Table::kMeta, "idem-size", std::string(8, '0'));
}

void MakePlain(uint64_t i, bool last, RowBatch* rows) {
  if (last) PutCounters(kFrom, i, rows);
}

void MakeSend(uint64_t i, bool last, RowBatch* rows) {
  rows->Put(Table::kInbox, journal::MessageKey(kFrom, Seq(i + 1)), EncodedEnvelope(i));
  if (last) PutCounters(kFrom, i, rows);
}

void MakeHop(uint64_t i, bool last, RowBatch* rows) {
  rows->Delete(Table::kInbox, journal::MessageKey(kFrom, Seq(i + 1)));
  rows->Put(Table::kInbox, journal::MessageKey(kTo, Seq(i + 1)), EncodedEnvelope(i));
  if (!last) return;
  PutCounters(kFrom, i, rows);
  PutCounters(kTo, i, rows);
}

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "bench_journal: %s\n", status.ToString().c_str());
  return 1;
}

int Run(const std::string& directory, void (*make)(uint64_t, bool, RowBatch*), uint64_t n,
        int64_t limit_ns) {
  std::filesystem::remove_all(directory);
  {
    auto store = journal::RocksStore::Open(directory, {});
    if (!store.ok()) return Fail(store.status());
    const SystemClock clock;
    Samples samples;
    uint64_t steps = 0;
    int64_t elapsed = 0;
    while (elapsed < limit_ns) {
      auto fed = journal::FeedStore(
          store->get(), clock,
          {.steps = kWritesPerFeed * n, .outstanding = n, .make = [&](uint64_t i, RowBatch* rows) {
             make(steps + i, i % n == n - 1, rows);
           }});
      if (!fed.ok()) return Fail(fed.status());
      for (int64_t ns : fed->write_ns) samples.Add(ns);
      steps += fed->steps;
      elapsed += fed->elapsed_ns;
    }
    PrintResult(samples, steps, elapsed);
  }
  std::filesystem::remove_all(directory);
  return 0;
}

}  // namespace
}  // namespace caxton::bench

int main(int argc, char** argv) {
  using caxton::bench::Run;
  static const std::map<std::string, void (*)(uint64_t, bool, caxton::journal::RowBatch*)> kRows = {
      {"request", caxton::bench::MakeRequest},
      {"plain", caxton::bench::MakePlain},
      {"send", caxton::bench::MakeSend},
      {"hop", caxton::bench::MakeHop}};
  const auto row = argc == 5 ? kRows.find(argv[2]) : kRows.end();
  const uint64_t outstanding = argc == 5 ? std::strtoull(argv[3], nullptr, 10) : 0;
  if (row == kRows.end() || outstanding == 0) {
    std::fprintf(
        stderr, "usage: bench_journal DIRECTORY request|plain|send|hop OUTSTANDING MILLISECONDS\n");
    return 2;
  }
  return Run(argv[1], row->second, outstanding, std::atoll(argv[4]) * caxton::kNanosPerMilli);
}
