// SPDX-License-Identifier: Apache-2.0
//
// rocks_kill_writer DIRECTORY FIRST: the victim of the kill -9 test. Writes rows FIRST, FIRST + 1,
// ... through a Journal on RocksStore and prints each number, a line each, once it is durable. Runs
// until it is killed.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>

#include "caxton/base/clock.h"
#include "caxton/base/thread_executor.h"
#include "caxton/journal/journal.h"
#include "caxton/journal/rocks_store.h"
#include "journal_fixture.h"

namespace caxton::journal {
namespace {

constexpr int kOutstanding = 16;

void SubmitNext(Journal* journal, std::atomic<uint64_t>* next) {
  const uint64_t seq = next->fetch_add(1);
  CommitOp op = AcceptOp(Seq(seq));
  op.durable = [journal, next, seq] {
    std::printf("%llu\n", static_cast<unsigned long long>(seq));
    std::fflush(stdout);
    SubmitNext(journal, next);
  };
  journal->committer().Submit(std::move(op));
}

int Run(const std::string& directory, uint64_t first) {
  auto store = RocksStore::Open(directory, {});
  if (!store.ok()) {
    std::fprintf(stderr, "%s\n", std::string(store.status().message()).c_str());
    return 1;
  }
  SystemClock clock;
  ThreadExecutor executor("committer", clock);
  auto journal =
      Journal::Open(store->get(), &executor, &clock, {}, [](const absl::Status&) { std::abort(); });
  if (!journal.ok()) return 1;
  std::atomic<uint64_t> next = first;
  for (int i = 0; i < kOutstanding; ++i) SubmitNext(journal->get(), &next);
  while (true) ::pause();
}

}  // namespace
}  // namespace caxton::journal

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  return caxton::journal::Run(argv[1], std::strtoull(argv[2], nullptr, 10));
}
