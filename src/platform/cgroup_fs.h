// SPDX-License-Identifier: Apache-2.0
//
// CgroupFs: the few file operations cgroups are made of, so that tests can stand for the kernel.
// Thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace caxton::platform {

class CgroupFs {
 public:
  virtual ~CgroupFs() = default;
  virtual absl::StatusOr<std::string> Read(const std::string& path) const = 0;
  virtual absl::Status Write(const std::string& path, std::string_view value) = 0;
  virtual absl::Status Mkdir(const std::string& path) = 0;  // ALREADY_EXISTS if it is there
  virtual absl::Status Rmdir(const std::string& path) = 0;  // a missing one is fine
  virtual std::vector<std::string> Subgroups(const std::string& path) const = 0;
  virtual bool Exists(const std::string& path) const = 0;
  // Whether this process may create groups in `path`.
  virtual bool Writable(const std::string& path) const = 0;
  virtual void KillProcess(int pid) = 0;
  // Lets dying processes leave their group.
  virtual void Pause() = 0;
};

class KernelCgroupFs final : public CgroupFs {
 public:
  absl::StatusOr<std::string> Read(const std::string& path) const override;
  absl::Status Write(const std::string& path, std::string_view value) override;
  absl::Status Mkdir(const std::string& path) override;
  absl::Status Rmdir(const std::string& path) override;
  std::vector<std::string> Subgroups(const std::string& path) const override;
  bool Exists(const std::string& path) const override;
  bool Writable(const std::string& path) const override;
  void KillProcess(int pid) override;
  void Pause() override;
};

}  // namespace caxton::platform
