// SPDX-License-Identifier: Apache-2.0
#include "evidence_log.h"

#include "caxton/base/assert.h"
#include "caxton/base/status.h"

namespace caxton::journal {

absl::Status EvidenceLog::Append(const Observation& observation, RowBatch* rows) {
  CAXTON_ASSERT(observation.deployment.valid(), "evidence belongs to a deployment");
  auto it = last_.find(observation.deployment);
  if (it == last_.end()) {
    ASSIGN_OR_RETURN(const uint64_t last, FindLast(observation.deployment));
    it = last_.emplace(observation.deployment, last).first;
  }
  if (it->second >= max_rows_) return absl::OkStatus();
  std::string value;
  EncodeObservation(observation, &value);
  rows->Put(Table::kEvidence, EvidenceKey(observation.deployment, ++it->second), std::move(value));
  return absl::OkStatus();
}

absl::StatusOr<bool> EvidenceLog::HasRowFrom(DeploymentId deployment, uint64_t n) const {
  bool found = false;
  RETURN_IF_ERROR(store_->Scan(Table::kEvidence, EvidenceKey(deployment, n),
                               PrefixEnd(DeploymentKey(deployment)),
                               [&](std::string_view, std::string_view) {
                                 found = true;
                                 return false;
                               }));
  return found;
}

// The store only scans forward; the rows have no gaps, so the last is found by doubling and
// halving: about 50 seeks for 20 million rows, once per deployment and start, and no row of its own
// in every round.
absl::StatusOr<uint64_t> EvidenceLog::FindLast(DeploymentId deployment) const {
  uint64_t above = 1;  // the smallest power of two with no row from it on
  while (true) {
    ASSIGN_OR_RETURN(const bool found, HasRowFrom(deployment, above));
    if (!found) break;
    above *= 2;
  }
  uint64_t last = above / 2;  // 0, or it has a row from it on
  while (above - last > 1) {
    const uint64_t middle = last + (above - last) / 2;
    ASSIGN_OR_RETURN(const bool found, HasRowFrom(deployment, middle));
    (found ? last : above) = middle;
  }
  return last;
}

}  // namespace caxton::journal
