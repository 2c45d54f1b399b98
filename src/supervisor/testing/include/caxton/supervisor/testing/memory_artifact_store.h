// SPDX-License-Identifier: Apache-2.0
//
// MemoryArtifactStore: modules and reports in memory, for simulation; keeps no native code
// (OpenNative is always a miss, and PutNative is counted). Thread rule: one thread.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>

#include "caxton/base/clock.h"
#include "caxton/supervisor/artifact_store.h"

namespace caxton::supervisor::testing {

class MemoryArtifactStore final : public ArtifactStore {
 public:
  absl::StatusOr<Digest> PutModule(std::string_view wasm) override {
    const Digest digest = Sha256(wasm);
    modules_[digest] = std::string(wasm);
    put_ns_[digest] = Now();
    return digest;
  }
  absl::StatusOr<std::string> GetModule(const Digest& module) const override {
    auto it = modules_.find(module);
    if (it == modules_.end()) return absl::NotFoundError("no such module");
    return it->second;
  }
  bool HasModule(const Digest& module) const override { return modules_.contains(module); }
  absl::Status PutNative(const Digest&, std::string_view, std::string_view) override {
    ++natives_;
    return absl::OkStatus();
  }
  int OpenNative(const Digest&, std::string_view) const override { return -1; }
  absl::Status PutReport(const Digest& module, std::string_view name,
                         std::string_view report) override {
    reports_[{module, std::string(name)}] = std::string(report);
    return absl::OkStatus();
  }
  std::optional<std::string> GetReport(const Digest& module, std::string_view name) const override {
    auto it = reports_.find({module, std::string(name)});
    if (it == reports_.end()) return std::nullopt;
    return it->second;
  }
  bool KeepModule(const Digest& module) override {
    if (!modules_.contains(module)) return false;
    put_ns_[module] = Now();
    return true;
  }
  absl::Status Sweep(const std::vector<Digest>& kept,
                     std::optional<int64_t> before_ns = std::nullopt) override {
    std::set<Digest> keep(kept.begin(), kept.end());
    for (const auto& [digest, at_ns] : put_ns_) {
      if (before_ns.has_value() && at_ns >= *before_ns) keep.insert(digest);
    }
    std::erase_if(modules_, [&](const auto& entry) { return !keep.contains(entry.first); });
    std::erase_if(reports_, [&](const auto& entry) { return !keep.contains(entry.first.first); });
    std::erase_if(put_ns_, [&](const auto& entry) { return !keep.contains(entry.first); });
    return absl::OkStatus();
  }
  // Without one, everything is as old as can be.
  void SetClock(const Clock* clock) { clock_ = clock; }
  int natives() const { return natives_; }

 private:
  int64_t Now() const { return clock_ == nullptr ? 0 : clock_->WallNanos(); }

  const Clock* clock_ = nullptr;
  std::map<Digest, std::string> modules_;
  std::map<Digest, int64_t> put_ns_;
  std::map<std::pair<Digest, std::string>, std::string> reports_;
  int natives_ = 0;
};

}  // namespace caxton::supervisor::testing
