// SPDX-License-Identifier: Apache-2.0
//
// CommandBook: which commands were carried out under which idempotency keys, and what they were
// answered: a repeat has no second effect and gets the first one's answer, also after a crash.
//
//   Begin(key) --> the first: a claim, which the controller journals in one batch with the effect
//                  (PutClaim), and Settle, which journals the answer before anybody is told it
//              --> a repeat: told the answer, now or when there is one; another request under the
//                  key: refused
//
// What if the process dies? Before the batch: nothing is done and nothing claimed. Between it and
// the answer: Begin gives the claim out again with `earlier` set, and the controller answers from
// what it says instead of acting. After the answer: it is told again. A command that failed is
// forgotten: it may be tried again under its key.
//
// Kept for kCommandsKeptNs. When there are too many the oldest is forgotten before its time: no
// rollback is ever refused because others used up the keys.
//
// Lifecycle: make, Recover (before the first Begin), use; destroyed after the committer's strand
// has stopped, before the journal. Thread rule: any thread; callbacks run on the thread of Begin,
// the one that settles (a failure), or the committer's strand (an answer). They must not block.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "caxton/base/clock.h"
#include "caxton/base/mutex.h"
#include "caxton/journal/journal.h"

namespace caxton::controller {

// What goes into the batch of a command's effect. A value; number 0: the call has no key.
struct CommandClaim {
  uint64_t number = 0;  // of its row
  journal::CommandRecord record;
  bool earlier = false;  // the row is on the disk: an earlier start carried the command out
};

// Puts the row of `claim`, if it has one, into `rows`.
void PutClaim(const CommandClaim& claim, journal::RowBatch* rows);

// What a command was asked for: each field that was set, with a digest of its value. A repeat has
// the same.
using RequestDigests = std::vector<std::pair<std::string, std::string>>;

class CommandBook final {
 public:
  // The answer, in the caller's form, or why there is none.
  using Told = std::function<void(const absl::StatusOr<std::string>&)>;

  // Both outlive the book.
  CommandBook(const Clock* clock, journal::Journal* journal) : clock_(clock), journal_(journal) {}

  absl::Status Recover();

  // `call` separates the keys of different calls. A claim: the caller carries the command out and
  // settles it. nullopt: `told` gets the answer to the first one, or why there is none for this.
  std::optional<CommandClaim> Begin(std::string_view call, std::string_view key,
                                    const RequestDigests& request, Told told);
  // `told` and whoever repeated the command meanwhile get the answer once it is on the disk.
  void Settle(uint64_t number, absl::StatusOr<std::string> answer, Told told);

 private:
  enum class State : uint8_t {
    kRunning,  // somebody carries it out, or its answer is on the way to the disk
    kClaimed,  // by an earlier start, not answered
    kDone,
  };
  struct Entry {
    State state = State::kRunning;
    int64_t since_ns = 0;  // kept since; monotonic
    journal::CommandRecord record;
    std::vector<Told> waiting;
  };
  static size_t BytesOf(const Entry& entry);
  void Keep(uint64_t number, Entry* entry, State state, int64_t since_ns)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Erase(uint64_t number, journal::RowBatch* rows) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Forget(journal::RowBatch* rows) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::optional<CommandClaim> BeginLocked(std::string name, std::string request, Told* told,
                                          absl::StatusOr<std::string>* answer)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Submit(journal::RowBatch rows);
  void OnDurable(uint64_t number, const Told& told);

  const Clock* const clock_;
  journal::Journal* const journal_;
  Mutex mutex_;
  uint64_t next_ ABSL_GUARDED_BY(mutex_) = 1;
  absl::flat_hash_map<uint64_t, Entry> entries_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, uint64_t> numbers_ ABSL_GUARDED_BY(mutex_);  // by key
  // Those that are not running, the oldest first, with the monotonic time since when they are kept.
  // May name some that are running again or gone.
  std::deque<std::pair<int64_t, uint64_t>> kept_ ABSL_GUARDED_BY(mutex_);
  size_t running_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;  // of those that are not running
};

}  // namespace caxton::controller
