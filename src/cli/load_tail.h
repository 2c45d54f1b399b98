// SPDX-License-Identifier: Apache-2.0
//
// TailWatch: reads the end agent's tail while a load runs, so that what the server keeps of it need
// not last to the load's end, and compares it with the ledger afterwards. Rides over restarts of
// the server.
//
// Lifecycle: Start (from then on the agent keeps what it handles) -> the load runs -> Finish.
// Thread rule: main thread; it has one of its own for reading between Start and Finish.
#pragma once

#include <atomic>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "context.h"
#include "load_verify.h"

namespace caxton::cli {

class TailWatch final {
 public:
  TailWatch(Context* context, const std::string& agent, const std::string& run);
  ~TailWatch();

  // Reads what is there; then goes on in the background.
  absl::Status Start();
  // Waits until all that `ledger` expects is there, or nothing has come for the time of --timeout.
  // Messages from `sent_since_start` on were sent after Start: they cannot be older than the tail.
  absl::StatusOr<TailSummary> Finish(const Ledger& ledger, uint64_t sent_since_start);

 private:
  // Tells verifier_ whether the tail's beginning is late, where something seems lost.
  absl::Status JudgeBeginning(uint64_t sent_since_start);
  // Reads from the cursor to the end of what is kept.
  absl::Status Pass();
  void Join();

  Context& context_;
  const std::string agent_;
  std::string cursor_ = "0";  // the reading thread's, as is verifier_; ours once it is joined
  TailVerifier verifier_;
  uint64_t first_row_ = 0, last_row_ = 0;  // the tail's own numbers; 0: none seen
  bool first_row_at_start_ = false;
  std::atomic<bool> stop_{false};
  std::thread reader_;
};

}  // namespace caxton::cli
