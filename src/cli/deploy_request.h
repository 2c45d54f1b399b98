// SPDX-License-Identifier: Apache-2.0
//
// From flags and a deployment file to a DeployRequest: flags win over the file. Pure but for
// reading the file's text, which the caller hands in.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "caxton/model/deployment_spec.h"

namespace caxton::v1 {
class DeploymentSpec;
class DeployRequest;
class RevisionOverrides;
}  // namespace caxton::v1

namespace caxton::cli {

// Limits and settings as flags give them; empty: not given.
struct OverrideFlags {
  std::string memory, cpu;
  std::vector<std::string> set;    // NAME=VALUE
  std::vector<std::string> unset;  // NAME
};

struct DeployFlags {
  std::string module;           // FILE.wasm
  std::string deployment_file;  // -f
  std::string name, version, strategy, stages, rollback_on, fail_on, queue, wait;
  std::optional<int32_t> history;
  OverrideFlags overrides;
  bool detach = false, dry_run = false, preview = false, allow_breaking = false, force = false;
  std::string idempotency_key;
};

struct DeployPlan {
  std::string agent;
  std::string module_path;
};

// What the text of flags.deployment_file says: one agent, or a list that is switched together.
absl::StatusOr<std::vector<DeploymentFile>> ReadDeploymentFiles(const DeployFlags& flags,
                                                                const std::string& text);
// Fills all of `request` but module and idempotency key; flags win over `file`.
absl::StatusOr<DeployPlan> PlanDeploy(const DeployFlags& flags, DeploymentFile file,
                                      v1::DeployRequest* request);
// A flag that concerns one agent makes no sense for a list.
absl::Status CheckGroupFlags(const DeployFlags& flags);

absl::StatusOr<RevisionOverrides> ParseOverrides(const OverrideFlags& flags);
// What flags give over what the file says.
void MergeOverrides(const RevisionOverrides& flags, RevisionOverrides* base);
// The module that the command line names, or the file, relative to itself; empty: neither.
std::string ModulePath(const std::string& named, const std::string& deployment_file,
                       const DeploymentFile& file);

void ToProto(const DeploymentSpec& spec, v1::DeploymentSpec* out);
void ToProto(const RevisionOverrides& overrides, v1::RevisionOverrides* out);

}  // namespace caxton::cli
