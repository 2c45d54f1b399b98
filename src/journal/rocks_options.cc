// SPDX-License-Identifier: Apache-2.0
#include "rocks_options.h"

#include "caxton/base/assert.h"
#include "caxton/base/status.h"
#include "rocksdb/convenience.h"
#include "rocksdb/filter_policy.h"
#include "rocksdb/table.h"
#include "rocksdb/utilities/table_properties_collectors.h"

namespace caxton::journal {
namespace {

constexpr uint64_t kMaxWalBytes = uint64_t{64} << 20;
constexpr int kBackgroundJobs = 2;  // one flush, one compaction: two cores are a usual machine
constexpr int kMaxOpenFiles = 256;
constexpr size_t kInfoLogBytes = size_t{1} << 20;
constexpr uint64_t kTableFileBytes = uint64_t{16} << 20;
constexpr double kBloomBitsPerKey = 10;
constexpr double kMemtableBloomShare = 0.05;
// A table file with 4,096 deletions among any 8,192 rows, or half of all, is compacted at once.
constexpr size_t kDeletionWindow = 8192;
constexpr size_t kDeletionTrigger = 4096;
constexpr double kDeletionRatio = 0.5;

struct Shape {
  const char* name;
  size_t memtable_divisor;  // of RocksStoreOptions::memtable_bytes
  bool queue;               // rows come and go: deletions are compacted away soon
  bool point_reads;         // a Get that finds nothing is the rule
  bool compressed;          // kept long and read seldom
};

const Shape& ShapeOf(Table table) {
  // clang-format off
  static constexpr Shape kShapes[kTableCount] = {
      {"default",      8, false, false, false},  // kMeta: RocksDB insists on a family of this name
      {"agents",      16, false, false, false},
      {"counters",     8, false, false, false},
      {"revisions",   16, false, false, false},
      {"routes",      16, false, false, false},
      {"deployments", 16, false, false, false},
      {"inbox",        1, true,  false, false},
      {"held",         2, true,  false, false},
      {"dead",         4, false, false, true},
      {"idem",         2, false, true,  true},
      {"evidence",     4, false, false, true},
      {"retained",     1, false, false, true},
      {"comparisons", 16, false, false, true},
      {"commands",    16, false, false, true},
  };
  // clang-format on
  return kShapes[static_cast<size_t>(table)];
}

rocksdb::CompressionType Compression(const Shape& shape) {
  if (!shape.compressed) return rocksdb::kNoCompression;
  for (rocksdb::CompressionType type : rocksdb::GetSupportedCompressions()) {
    if (type == rocksdb::kLZ4Compression) return type;
  }
  return rocksdb::kNoCompression;
}

rocksdb::ColumnFamilyOptions FamilyOptions(const Shape& shape, const RocksStoreOptions& options,
                                           const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::ColumnFamilyOptions family;
  // Small: a flush of a big memtable stalls every table, since they are flushed together.
  family.write_buffer_size = options.memtable_bytes / shape.memtable_divisor;
  family.max_write_buffer_number = 3;
  family.target_file_size_base = kTableFileBytes;
  family.max_bytes_for_level_base = 4 * kTableFileBytes;
  family.compression = Compression(shape);
  if (shape.queue) {
    family.table_properties_collector_factories = {rocksdb::NewCompactOnDeletionCollectorFactory(
        kDeletionWindow, kDeletionTrigger, kDeletionRatio)};
  }
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.format_version = 5;
  table.cache_index_and_filter_blocks = true;  // bounded by the cache, however many files there are
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  if (shape.point_reads) {
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(kBloomBitsPerKey));
    table.whole_key_filtering = true;
    family.memtable_whole_key_filtering = true;
    family.memtable_prefix_bloom_size_ratio = kMemtableBloomShare;
  }
  // No memtable_insert_with_hint_prefix_extractor, though it takes 11 % more steps per second: 7.8
  // mixes up the hints of rows and of range deletions, and asserts.
  family.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return family;
}

}  // namespace

const char* FamilyName(Table table) { return ShapeOf(table).name; }

void StallListener::OnStallConditionsChanged(const rocksdb::WriteStallInfo& info) {
  std::lock_guard lock(mutex_);
  if (info.condition.cur == rocksdb::WriteStallCondition::kStopped) {
    families_.insert(info.cf_name);
  } else {
    families_.erase(info.cf_name);
  }
  stopped_.store(!families_.empty(), std::memory_order_relaxed);
}

rocksdb::DBOptions MakeDbOptions(const RocksStoreOptions&, rocksdb::Env* env) {
  rocksdb::DBOptions db;
  db.env = env;
  db.create_if_missing = true;
  db.create_missing_column_families = true;
  db.paranoid_checks = true;
  // An acknowledged write is in the log file when Write returns, so that it survives kill -9.
  db.manual_wal_flush = false;
  // 7.8 raises false alarms about logs that SyncWAL synced (fixed in 7.10).
  db.track_and_verify_wals_in_manifest = false;
  // All tables are flushed together; otherwise a seldom written one pins gigabytes of log, and a
  // damaged byte in the log makes the store impossible to open ("SST file is ahead of WALs").
  db.atomic_flush = true;
  db.max_total_wal_size = kMaxWalBytes;
  // A crash leaves a torn last record: recover up to it. What else this drops, `last-synced`
  // notices.
  db.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  // There is one writer: a memtable that takes many at once costs more per row.
  db.allow_concurrent_memtable_write = false;
  db.enable_write_thread_adaptive_yield = false;
  db.max_background_jobs = kBackgroundJobs;
  db.max_open_files = kMaxOpenFiles;
  db.max_file_opening_threads = kBackgroundJobs;
  db.skip_stats_update_on_db_open = true;
  db.skip_checking_sst_file_sizes_on_db_open = true;
  db.stats_dump_period_sec = 0;
  db.stats_persist_period_sec = 0;
  db.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
  db.max_log_file_size = kInfoLogBytes;
  db.keep_log_file_num = 2;
  return db;
}

std::vector<rocksdb::ColumnFamilyDescriptor> MakeFamilies(
    const RocksStoreOptions& options, const std::shared_ptr<rocksdb::Cache>& cache) {
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  for (int i = 0; i < kTableCount; ++i) {
    const Shape& shape = ShapeOf(static_cast<Table>(i));
    families.emplace_back(shape.name, FamilyOptions(shape, options, cache));
  }
  return families;
}

absl::Status InUseError(const std::string& directory) {
  return WithReason(WithFix(absl::FailedPreconditionError(StrCat("the journal in ", directory,
                                                                 " is in use by another process")),
                            "stop the server that runs on it, or choose another --data-dir"),
                    "DATA_DIR_IN_USE");
}

absl::Status TailLostError(const std::string& directory, uint64_t missing) {
  return WithReason(
      WithFix(
          absl::DataLossError(StrCat(
              "the journal in ", directory, " lost its end: ", missing,
              " rows that were safely on the disk cannot be read any more, because a file "
              "of the journal is damaged, missing or older than the rest; nothing was changed")),
          "restore the data directory from a copy; or start once with --accept-loss to go "
          "on without those rows"),
      "JOURNAL_TAIL_LOST");
}

absl::Status FromRocks(const rocksdb::Status& status, const std::string& directory) {
  if (status.ok()) return absl::OkStatus();
  const std::string text = status.ToString();
  if (status.IsIOError() && (StrContains(text, "/LOCK") || StrContains(text, "lock "))) {
    return InUseError(directory);
  }
  if (status.IsCorruption()) {
    return WithReason(WithFix(absl::DataLossError(
                                  StrCat("the journal in ", directory, " is damaged (", text, ")")),
                              "check the disk, then restore the data directory from a copy"),
                      "JOURNAL_DAMAGED");
  }
  if (status.IsNoSpace()) {
    return WithReason(
        WithFix(absl::ResourceExhaustedError(
                    StrCat("the disk of the journal in ", directory, " is full (", text, ")")),
                "free space on that disk and start again; nothing acknowledged is lost"),
        "DISK_FULL");
  }
  if (status.IsIOError()) {
    return WithFix(absl::UnavailableError(StrCat("the journal in ", directory,
                                                 " cannot be read or written (", text, ")")),
                   "check that the disk works and that the directory belongs to the user who runs "
                   "the server");
  }
  return absl::InternalError(StrCat("the journal in ", directory, ": ", text));
}

}  // namespace caxton::journal
