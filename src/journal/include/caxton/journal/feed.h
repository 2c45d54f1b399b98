// SPDX-License-Identifier: Apache-2.0
//
// FeedStore: the baseline J(n) of tools/bench. Feeds given batches through a Store with one writer
// that always has `outstanding` steps waiting, merges them and syncs each write: what the store
// alone can do, without a Journal.
//
// Thread rule: runs on the caller's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "caxton/base/clock.h"
#include "caxton/journal/store.h"

namespace caxton::journal {

struct FeedOptions {
  uint64_t steps = 0;        // in all
  uint64_t outstanding = 1;  // per write: of one writer with n outstanding, all n are in each
  // Appends the rows of step `i` (0, 1, ...) to `rows`; its time is part of the measurement.
  std::function<void(uint64_t i, RowBatch* rows)> make;
};

struct FeedResult {
  uint64_t steps = 0;
  int64_t elapsed_ns = 0;
  std::vector<int64_t> write_ns;  // of each write, in order: what its steps waited
};

absl::StatusOr<FeedResult> FeedStore(Store* store, const Clock& clock, const FeedOptions& options);

}  // namespace caxton::journal
