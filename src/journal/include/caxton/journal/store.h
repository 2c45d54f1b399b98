// SPDX-License-Identifier: Apache-2.0
//
// Store: the little Caxton asks of a storage engine: an atomic write with optional sync, point
// reads, ordered scans. RocksDB implements it (rocks_store.h, the only place that names it),
// MemStore does for tests and simulation (testing/mem_store.h), where it can also drop what was not
// synced, as a power cut would.
//
// Thread rule: Write is called by the committer only; Get and Scan from any thread, and see whole
// writes.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace caxton::journal {

// One column family each. The numbers are never reused; the names are the store's own.
enum class Table : uint8_t {
  kMeta = 0,         // format version, start count, sizes of buckets, state of retention
  kAgents = 1,       // agent -> AgentRecord
  kCounters = 2,     // agent -> CounterRow
  kRevisions = 3,    // (agent, number) -> Revision
  kRoutes = 4,       // agent -> RouteRecord
  kDeployments = 5,  // deployment -> bytes (caxton/deployment)
  kInbox = 6,        // (agent, seq) -> Envelope
  kHeld = 7,         // (agent, seq) -> HeldRecord
  kDead = 8,         // (agent, seq) -> DeadLetterRecord
  kIdem = 9,         // (hour bucket, agent, key) -> IdemRecord
  kEvidence = 10,    // (deployment, n) -> Observation
  kRetained = 11,    // (agent, n) -> RetainedRecord
  // deployment -> bytes (caxton/analysis): what a shadow's comparison has seen; with a suffix
  // (HistoryKey): what the replay before traffic has shown
  kComparisons = 12,
  kCommands = 13,  // number -> CommandRecord: what was asked for under which idempotency key
};
inline constexpr int kTableCount = 14;

// Row writes that become visible together or not at all; applied in order.
class RowBatch {
 public:
  enum class Kind : uint8_t { kPut, kDelete, kDeleteRange };
  struct Row {
    Kind kind;
    Table table;
    std::string key;
    std::string value;  // kDeleteRange: the end of the range, exclusive
  };
  void Put(Table table, std::string key, std::string value) {
    bytes_ += key.size() + value.size();
    rows_.push_back({Kind::kPut, table, std::move(key), std::move(value)});
  }
  void Delete(Table table, std::string key) {
    bytes_ += key.size();
    rows_.push_back({Kind::kDelete, table, std::move(key), {}});
  }
  void DeleteRange(Table table, std::string from, std::string to) {
    bytes_ += from.size() + to.size();
    rows_.push_back({Kind::kDeleteRange, table, std::move(from), std::move(to)});
  }
  // Moves the rows of `other` behind these.
  void Append(RowBatch other);
  void Clear() {
    rows_.clear();
    bytes_ = 0;
  }
  const std::vector<Row>& rows() const { return rows_; }
  bool empty() const { return rows_.empty(); }
  size_t bytes() const { return bytes_; }

 private:
  std::vector<Row> rows_;
  size_t bytes_ = 0;
};

enum class Sync : uint8_t { kNo, kYes };

class Store {
 public:
  virtual ~Store() = default;
  // Atomic. With Sync::kYes it and all before it are on the disk when this returns; an empty batch
  // with Sync::kYes is a sync of what was written before.
  virtual absl::Status Write(const RowBatch& batch, Sync sync) = 0;
  virtual absl::StatusOr<std::optional<std::string>> Get(Table table,
                                                         std::string_view key) const = 0;
  // Rows with from <= key < to, in key order, until `each` returns false.
  using Each = std::function<bool(std::string_view key, std::string_view value)>;
  virtual absl::Status Scan(Table table, std::string_view from, std::string_view to,
                            const Each& each) const = 0;
  // Bytes left on the store's disk, for the reserve. Any thread.
  virtual absl::StatusOr<uint64_t> FreeBytes() const = 0;
  // Whether writes are held up until the store has caught up with itself. Any thread.
  virtual bool Stalled() const { return false; }
};

}  // namespace caxton::journal
