// SPDX-License-Identifier: Apache-2.0
#include "caxton/journal/rocks_store.h"

#include <algorithm>

#include "absl/cleanup/cleanup.h"
#include "caxton/base/assert.h"
#include "caxton/base/status.h"
#include "caxton/journal/limits.h"
#include "caxton/platform/file.h"
#include "rocks_impl.h"
#include "rocksdb/convenience.h"

namespace caxton::journal {
namespace {

constexpr const char* kSideFile = "/last-synced";

rocksdb::Slice ToSlice(std::string_view text) { return {text.data(), text.size()}; }
std::string_view ToView(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

// A family of ours that we do not know was made by a later Caxton.
absl::Status CheckFamilies(const rocksdb::DBOptions& options, const std::string& directory) {
  std::vector<std::string> found;
  const rocksdb::Status listed = rocksdb::DB::ListColumnFamilies(options, directory, &found);
  if (!listed.ok()) return FromRocks(listed, directory);
  for (const std::string& name : found) {
    bool known = false;
    for (int i = 0; i < kTableCount; ++i) known |= name == FamilyName(static_cast<Table>(i));
    if (known) continue;
    return WithReason(
        WithFix(absl::FailedPreconditionError(StrCat(
                    "the journal in ", directory, " was written by a newer Caxton (table '", name,
                    "', this one reads format ", kFormatVersion, "); nothing was changed")),
                "start the Caxton that wrote it, or a newer one"),
        "JOURNAL_TOO_NEW");
  }
  return absl::OkStatus();
}

// Whether all that was synced can be read, found out without changing a byte: opening for writing
// would throw away what lies behind a damaged record, and with it the last chance to repair it by
// hand.
absl::Status CheckTail(const rocksdb::DBOptions& db_options,
                       const std::vector<rocksdb::ColumnFamilyDescriptor>& families,
                       const std::string& directory, uint64_t synced) {
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* raw = nullptr;
  rocksdb::DBOptions options = db_options;
  options.listeners.clear();
  options.create_if_missing = false;
  options.create_missing_column_families = false;
  const rocksdb::Status opened =
      rocksdb::DB::OpenForReadOnly(options, directory, families, &handles, &raw);
  std::unique_ptr<rocksdb::DB> db(raw);
  // Families that are missing are made by the real opening.
  if (opened.IsInvalidArgument()) return absl::OkStatus();
  if (!opened.ok()) return FromRocks(opened, directory);
  const uint64_t found = db->GetLatestSequenceNumber();
  for (rocksdb::ColumnFamilyHandle* handle : handles) {
    db->DestroyColumnFamilyHandle(handle).PermitUncheckedError();
  }
  if (found >= synced) return absl::OkStatus();
  return TailLostError(directory, synced - found);
}

absl::Status CheckExisting(const rocksdb::DBOptions& options,
                           const std::vector<rocksdb::ColumnFamilyDescriptor>& families,
                           const std::string& directory, uint64_t synced) {
  // Held while looking, so that a running server is reported as that and not as damage.
  rocksdb::FileLock* lock = nullptr;
  const rocksdb::Status locked = options.env->LockFile(directory + "/LOCK", &lock);
  if (!locked.ok()) return FromRocks(locked, directory);
  absl::Cleanup unlock = [&] { options.env->UnlockFile(lock).PermitUncheckedError(); };
  RETURN_IF_ERROR(CheckFamilies(options, directory));
  if (synced == 0) return absl::OkStatus();
  return CheckTail(options, families, directory, synced);
}

}  // namespace

RocksStore::Impl::~Impl() {
  if (db == nullptr) return;
  // Best effort: whatever was promised was synced when it was promised.
  db->FlushWAL(/*sync=*/true).PermitUncheckedError();
  rocksdb::CancelAllBackgroundWork(db.get(), /*wait=*/true);
  for (rocksdb::ColumnFamilyHandle* family : families) {
    if (family != nullptr) db->DestroyColumnFamilyHandle(family).PermitUncheckedError();
  }
  db->Close().PermitUncheckedError();
}

RocksStore::RocksStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
RocksStore::~RocksStore() = default;

absl::StatusOr<std::unique_ptr<RocksStore>> RocksStore::Open(const std::string& directory,
                                                             const RocksStoreOptions& options) {
  return RocksStoreAccess::Open(directory, options, rocksdb::Env::Default());
}

absl::StatusOr<std::unique_ptr<RocksStore>> RocksStoreAccess::Open(const std::string& directory,
                                                                   const RocksStoreOptions& options,
                                                                   rocksdb::Env* env) {
  auto impl = std::make_unique<RocksStore::Impl>();
  impl->directory = directory;
  impl->stalls = std::make_shared<StallListener>();
  impl->cache = rocksdb::NewLRUCache(options.block_cache_bytes);
  rocksdb::DBOptions db_options = MakeDbOptions(options, env);
  db_options.listeners.push_back(impl->stalls);
  const auto families = MakeFamilies(options, impl->cache);
  RETURN_IF_ERROR(platform::MkdirAll(directory));

  absl::StatusOr<uint64_t> synced = LastSynced::Read(directory + kSideFile);
  if (!synced.ok()) {
    if (!options.accept_loss) {
      return WithFix(Annotate(synced.status(), "the journal's note of what was synced is damaged"),
                     "restore the data directory from a copy; or start once with --accept-loss");
    }
    synced = 0;
  }
  if (platform::PathExists(directory + "/CURRENT")) {
    RETURN_IF_ERROR(
        CheckExisting(db_options, families, directory, options.accept_loss ? 0 : *synced));
  } else if (*synced > 0 && !options.accept_loss) {
    return TailLostError(directory, *synced);
  }

  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  const rocksdb::Status opened = rocksdb::DB::Open(db_options, directory, families, &handles, &db);
  if (!opened.ok()) return FromRocks(opened, directory);
  impl->db.reset(db);
  CAXTON_ASSERT(handles.size() == impl->families.size(), "one handle per table");
  std::copy(handles.begin(), handles.end(), impl->families.begin());

  const uint64_t recovered = db->GetLatestSequenceNumber();
  if (recovered < *synced) {
    if (!options.accept_loss) return TailLostError(directory, *synced - recovered);
    impl->lost = *synced - recovered;
  }
  ASSIGN_OR_RETURN(impl->last_synced, LastSynced::Open(directory + kSideFile));
  if (recovered < *synced || options.accept_loss) {
    RETURN_IF_ERROR(impl->last_synced->Record(recovered));
  }
  return std::unique_ptr<RocksStore>(new RocksStore(std::move(impl)));
}

absl::Status RocksStore::Write(const RowBatch& rows, Sync sync) {
  rocksdb::WriteBatch& batch = impl_->batch;
  batch.Clear();
  rocksdb::Status status;
  for (const RowBatch::Row& row : rows.rows()) {
    rocksdb::ColumnFamilyHandle* family = impl_->families[static_cast<size_t>(row.table)];
    switch (row.kind) {
      case RowBatch::Kind::kPut:
        status = batch.Put(family, row.key, row.value);
        break;
      case RowBatch::Kind::kDelete:
        status = batch.Delete(family, row.key);
        break;
      case RowBatch::Kind::kDeleteRange:
        if (row.key < row.value) status = batch.DeleteRange(family, row.key, row.value);
        break;
    }
    if (!status.ok()) return FromRocks(status, impl_->directory);
  }
  if (rows.empty()) {
    if (sync == Sync::kNo) return absl::OkStatus();
    status = impl_->db->SyncWAL();
  } else {
    rocksdb::WriteOptions options;
    options.sync = sync == Sync::kYes;
    status = impl_->db->Write(options, &batch);
  }
  if (!status.ok()) return FromRocks(status, impl_->directory);
  if (sync == Sync::kNo) return absl::OkStatus();
  // One writer: the latest sequence number is that of this write, which is on the disk.
  return impl_->last_synced->Record(impl_->db->GetLatestSequenceNumber());
}

absl::StatusOr<std::optional<std::string>> RocksStore::Get(Table table,
                                                           std::string_view key) const {
  rocksdb::PinnableSlice value;
  const rocksdb::Status status = impl_->db->Get(
      rocksdb::ReadOptions(), impl_->families[static_cast<size_t>(table)], ToSlice(key), &value);
  if (status.IsNotFound()) return std::optional<std::string>();
  if (!status.ok()) return FromRocks(status, impl_->directory);
  return std::optional<std::string>(value.ToString());
}

absl::Status RocksStore::Scan(Table table, std::string_view from, std::string_view to,
                              const Each& each) const {
  if (from >= to) return absl::OkStatus();
  const rocksdb::Slice end = ToSlice(to);
  rocksdb::ReadOptions options;
  // Without a bound a scan that finds nothing walks over every deletion behind it.
  options.iterate_upper_bound = &end;
  options.fill_cache = false;
  std::unique_ptr<rocksdb::Iterator> rows(
      impl_->db->NewIterator(options, impl_->families[static_cast<size_t>(table)]));
  for (rows->Seek(ToSlice(from)); rows->Valid(); rows->Next()) {
    if (!each(ToView(rows->key()), ToView(rows->value()))) return absl::OkStatus();
  }
  return FromRocks(rows->status(), impl_->directory);
}

absl::StatusOr<uint64_t> RocksStore::FreeBytes() const {
  ASSIGN_OR_RETURN(const int64_t free, platform::FreeBytes(impl_->directory));
  return static_cast<uint64_t>(free);
}

bool RocksStore::Stalled() const { return impl_->stalls->stopped(); }
uint64_t RocksStore::lost_writes() const { return impl_->lost; }

uint64_t RocksStore::memory_bytes() const {
  uint64_t total = impl_->cache->GetUsage();
  for (const char* property :
       {"rocksdb.cur-size-all-mem-tables", "rocksdb.estimate-table-readers-mem"}) {
    uint64_t bytes = 0;
    if (impl_->db->GetAggregatedIntProperty(property, &bytes)) total += bytes;
  }
  return total;
}

}  // namespace caxton::journal
