// SPDX-License-Identifier: Apache-2.0
#include "caxton/journal/feed.h"

#include <algorithm>

#include "caxton/base/assert.h"
#include "caxton/base/status.h"

namespace caxton::journal {

absl::StatusOr<FeedResult> FeedStore(Store* store, const Clock& clock, const FeedOptions& options) {
  CAXTON_ASSERT(options.outstanding > 0 && options.make, "a feed has steps to make");
  FeedResult result;
  result.write_ns.reserve(options.steps / options.outstanding + 1);
  RowBatch rows;
  const int64_t start = clock.MonoNanos();
  int64_t before = start;
  while (result.steps < options.steps) {
    const uint64_t count = std::min(options.outstanding, options.steps - result.steps);
    rows.Clear();
    for (uint64_t i = 0; i < count; ++i) options.make(result.steps + i, &rows);
    RETURN_IF_ERROR(store->Write(rows, Sync::kYes));
    result.steps += count;
    const int64_t now = clock.MonoNanos();
    result.write_ns.push_back(now - before);
    before = now;
  }
  result.elapsed_ns = before - start;
  return result;
}

}  // namespace caxton::journal
