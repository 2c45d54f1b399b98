// SPDX-License-Identifier: Apache-2.0
//
// What RocksStore hides from its header; tests of power cuts open it on a file system of their own.
#pragma once

#include <array>
#include <memory>
#include <string>

#include "caxton/journal/rocks_store.h"
#include "last_synced.h"
#include "rocks_options.h"
#include "rocksdb/write_batch.h"

namespace caxton::journal {

struct RocksStore::Impl {
  ~Impl();

  std::string directory;
  std::shared_ptr<StallListener> stalls;
  std::shared_ptr<rocksdb::Cache> cache;
  std::unique_ptr<rocksdb::DB> db;
  std::array<rocksdb::ColumnFamilyHandle*, kTableCount> families{};
  std::unique_ptr<LastSynced> last_synced;
  rocksdb::WriteBatch batch;  // reused by Write: keeps its capacity
  uint64_t lost = 0;
};

// The way to what RocksStore hides, for its own files and tests.
struct RocksStoreAccess {
  // `env` outlives the store.
  static absl::StatusOr<std::unique_ptr<RocksStore>> Open(const std::string& directory,
                                                          const RocksStoreOptions& options,
                                                          rocksdb::Env* env);
  static rocksdb::DB* Db(RocksStore& store) { return store.impl_->db.get(); }
  static rocksdb::ColumnFamilyHandle* Family(RocksStore& store, Table table) {
    return store.impl_->families[static_cast<size_t>(table)];
  }
};

}  // namespace caxton::journal
