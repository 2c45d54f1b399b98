// SPDX-License-Identifier: Apache-2.0
//
// What `agent validate` is to look at: a module, and how it is to be run, as the flags and the
// deployment file of a deploy say it. Reads the file; flags win over it.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "caxton/model/deployment_spec.h"
#include "deploy_request.h"

namespace caxton::cli {

struct ValidateFlags {
  std::string module;           // FILE.wasm
  std::string deployment_file;  // -f
  OverrideFlags overrides;
  std::string against;  // an agent: the server compares
};

struct ValidateSubject {
  std::string module_path;
  std::string agent;  // the file's; may be empty
  RevisionOverrides overrides;
};

absl::StatusOr<ValidateSubject> SubjectOf(const ValidateFlags& flags);
// The revision that it would be without anything that is live, its limits and settings checked.
absl::StatusOr<Revision> RevisionOf(const ValidateSubject& subject);

}  // namespace caxton::cli
