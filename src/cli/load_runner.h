// SPDX-License-Identifier: Apache-2.0
//
// Runs a load over one Exchange stream at a time. Blocks.
// Thread rule: main thread; the runner has one more for reading.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "context.h"
#include "load_core.h"
#include "load_ledger.h"
#include "load_summary.h"

namespace caxton::cli {

struct LoadParts {
  LoadOptions options;
  bool ride_over = false;               // reconnect, and send what is unanswered again
  Ledger* ledger = nullptr;             // what is known, kept up to date
  LedgerWriter* ledger_file = nullptr;  // may be null
};

struct LoadOutcome {
  LoadSummary summary;
  absl::Status status;  // why it ended early
};
LoadOutcome RunLoad(Context* context, const LoadParts& parts);

}  // namespace caxton::cli
