// SPDX-License-Identifier: Apache-2.0
//
// EvidenceLog: numbers a deployment's observations 1, 2, ... in commit order, without a gap, across
// restarts.
//
// Thread rule: the committer's strand.
#pragma once

#include "absl/container/flat_hash_map.h"
#include "caxton/journal/records.h"
#include "caxton/journal/store.h"

namespace caxton::journal {

class EvidenceLog final {
 public:
  // `max_rows` per deployment; what comes after them is not kept.
  EvidenceLog(const Store* store, uint64_t max_rows) : store_(store), max_rows_(max_rows) {}

  // Fails only where the store cannot be read.
  absl::Status Append(const Observation& observation, RowBatch* rows);

 private:
  absl::StatusOr<bool> HasRowFrom(DeploymentId deployment, uint64_t n) const;
  absl::StatusOr<uint64_t> FindLast(DeploymentId deployment) const;

  const Store* store_;
  const uint64_t max_rows_;
  absl::flat_hash_map<DeploymentId, uint64_t> last_;
};

}  // namespace caxton::journal
