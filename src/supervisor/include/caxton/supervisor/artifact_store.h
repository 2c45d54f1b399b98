// SPDX-License-Identifier: Apache-2.0
//
// ArtifactStore: modules by their SHA-256, and native code by what it was made from. Files under
// the data directory, written to a temporary name, synced and renamed; native code is only ever
// what our own jailed compiler wrote, is named by {module digest, engine, engine config, CPU},
// carries its own digest and is a mere cache: a damaged or missing file is a miss.
//
// Thread rule: any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "caxton/base/hash.h"

namespace caxton::supervisor {

class ArtifactStore {
 public:
  virtual ~ArtifactStore() = default;

  // Durable once it returns. The same bytes again are a no-op.
  virtual absl::StatusOr<Digest> PutModule(std::string_view wasm) = 0;
  virtual absl::StatusOr<std::string> GetModule(const Digest& module) const = 0;  // NOT_FOUND
  virtual bool HasModule(const Digest& module) const = 0;
  // The same; and to a sweep it is as new as if it had been put now.
  virtual bool KeepModule(const Digest& module) = 0;

  // `engine_key`: engine version, configuration hash and CPU, as the worker binary reports them.
  virtual absl::Status PutNative(const Digest& module, std::string_view engine_key,
                                 std::string_view code) = 0;
  // A memfd with the code, sealed against any change, checked against its digest; -1: a miss. The
  // caller owns it.
  virtual int OpenNative(const Digest& module, std::string_view engine_key) const = 0;

  // What validation found out, beside the native code: bytes under a name of the caller's that
  // covers all they depend on. As much a cache as native code is; nullopt: a miss. Of one module
  // the newest kMaxReportsPerModule are kept.
  virtual absl::Status PutReport(const Digest& module, std::string_view name,
                                 std::string_view report) = 0;
  virtual std::optional<std::string> GetReport(const Digest& module,
                                               std::string_view name) const = 0;

  // Drops everything of modules that are not in `kept`; with `before_ns` (wall clock) only what was
  // put before, so that a module that nobody names yet has its time. Without it, whoever puts a
  // module must be kept out meanwhile. Cut short, it leaves files for the next one. Reads and
  // writes directories.
  virtual absl::Status Sweep(const std::vector<Digest>& kept,
                             std::optional<int64_t> before_ns = std::nullopt) = 0;
};

// Files under `directory` (made if missing).
absl::StatusOr<std::unique_ptr<ArtifactStore>> OpenArtifactStore(const std::string& directory);

}  // namespace caxton::supervisor
