// SPDX-License-Identifier: Apache-2.0
//
// PowerCutFs: RocksDB's file system with a plug to pull. It remembers how much of each file was
// synced; after Cut() nothing can be written any more, and Restore() cuts every file back to what
// was synced. For tests.
//
// Lifecycle: open a store on it, Cut(), destroy the store, Restore(), open again.
#pragma once

#include <unistd.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "rocksdb/file_system.h"

namespace caxton::journal {

class PowerCutFs final : public rocksdb::FileSystemWrapper {
 public:
  using Status = rocksdb::IOStatus;
  using Options = rocksdb::IOOptions;
  using Debug = rocksdb::IODebugContext;

  PowerCutFs() : FileSystemWrapper(rocksdb::FileSystem::Default()) {}
  const char* Name() const override { return "PowerCutFs"; }

  void Cut() {
    std::lock_guard lock(mutex_);
    cut_ = true;
  }
  // Returns how many bytes were lost.
  uint64_t Restore() {
    std::lock_guard lock(mutex_);
    uint64_t lost = 0;
    for (auto& [path, extent] : files_) {
      if (extent.synced < extent.size && ::truncate(path.c_str(), off_t(extent.synced)) == 0) {
        lost += extent.size - extent.synced;
      }
    }
    files_.clear();
    cut_ = false;
    return lost;
  }

  Status NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                         std::unique_ptr<rocksdb::FSWritableFile>* file, Debug* debug) override {
    if (dead()) return Gone();
    std::unique_ptr<rocksdb::FSWritableFile> real;
    Status status = target()->NewWritableFile(path, options, &real, debug);
    if (!status.ok()) return status;
    {
      std::lock_guard lock(mutex_);
      files_[path] = {};
    }
    *file = std::make_unique<File>(this, path, std::move(real));
    return status;
  }
  Status RenameFile(const std::string& from, const std::string& to, const Options& options,
                    Debug* debug) override {
    if (dead()) return Gone();
    Status status = target()->RenameFile(from, to, options, debug);
    std::lock_guard lock(mutex_);
    if (auto it = files_.find(from); status.ok() && it != files_.end()) {
      files_[to] = it->second;
      files_.erase(it);
    }
    return status;
  }
  Status DeleteFile(const std::string& path, const Options& options, Debug* debug) override {
    if (dead()) return Gone();
    Status status = target()->DeleteFile(path, options, debug);
    std::lock_guard lock(mutex_);
    files_.erase(path);
    return status;
  }

 private:
  struct Extent {
    uint64_t size = 0;
    uint64_t synced = 0;
  };

  class File final : public rocksdb::FSWritableFileOwnerWrapper {
   public:
    File(PowerCutFs* fs, std::string path, std::unique_ptr<rocksdb::FSWritableFile> real)
        : FSWritableFileOwnerWrapper(std::move(real)), fs_(fs), path_(std::move(path)) {}

    Status Append(const rocksdb::Slice& data, const Options& options, Debug* debug) override {
      if (fs_->dead()) return Gone();
      Status status = target()->Append(data, options, debug);
      if (status.ok()) fs_->Grow(path_, data.size());
      return status;
    }
    Status Append(const rocksdb::Slice& data, const Options& options,
                  const rocksdb::DataVerificationInfo&, Debug* debug) override {
      return Append(data, options, debug);
    }
    Status Truncate(uint64_t size, const Options& options, Debug* debug) override {
      if (fs_->dead()) return Gone();
      return target()->Truncate(size, options, debug);
    }
    Status Sync(const Options& options, Debug* debug) override {
      if (fs_->dead()) return Gone();
      Status status = target()->Sync(options, debug);
      if (status.ok()) fs_->Synced(path_);
      return status;
    }
    Status Fsync(const Options& options, Debug* debug) override { return Sync(options, debug); }

   private:
    PowerCutFs* fs_;
    std::string path_;
  };

  static Status Gone() { return Status::IOError("the power is off"); }
  bool dead() {
    std::lock_guard lock(mutex_);
    return cut_;
  }
  void Grow(const std::string& path, size_t bytes) {
    std::lock_guard lock(mutex_);
    files_[path].size += bytes;
  }
  void Synced(const std::string& path) {
    std::lock_guard lock(mutex_);
    files_[path].synced = files_[path].size;
  }

  std::mutex mutex_;
  bool cut_ = false;                     // guarded by mutex_
  std::map<std::string, Extent> files_;  // guarded by mutex_
};

}  // namespace caxton::journal
