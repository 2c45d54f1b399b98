// SPDX-License-Identifier: Apache-2.0
#include "validate_subject.h"

#include <filesystem>
#include <utility>
#include <vector>

#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/cli/limits.h"
#include "exit_code.h"
#include "files.h"

namespace caxton::cli {

absl::StatusOr<ValidateSubject> SubjectOf(const ValidateFlags& flags) {
  std::vector<DeploymentFile> files(1);
  if (!flags.deployment_file.empty()) {
    ASSIGN_OR_RETURN(const std::string text,
                     ReadFileUpTo(flags.deployment_file, kMaxDeploymentFileBytes));
    const DeployFlags deploy{.deployment_file = flags.deployment_file};
    ASSIGN_OR_RETURN(files, ReadDeploymentFiles(deploy, text));
  }
  if (files.size() != 1) {
    return UsageError(StrCat(flags.deployment_file, " has several agents, validate looks at one"),
                      "try each agent's module alone, with a file of its own or with flags");
  }
  DeploymentFile& file = files[0];
  ValidateSubject subject{.module_path = ModulePath(flags.module, flags.deployment_file, file),
                          .agent = std::move(file.agent)};
  if (subject.module_path.empty()) {
    return UsageError("No module to validate", "name a .wasm file, or `module:` in the file of -f");
  }
  ASSIGN_OR_RETURN(const RevisionOverrides overrides, ParseOverrides(flags.overrides));
  MergeOverrides(overrides, &file.overrides);
  subject.overrides = std::move(file.overrides);
  return subject;
}

absl::StatusOr<Revision> RevisionOf(const ValidateSubject& subject) {
  Revision revision;
  revision.agent = subject.agent;
  ApplyOverrides(subject.overrides, &revision);
  for (const absl::Status& status :
       {ValidateLimits(revision.limits), ValidateSettings(revision.settings)}) {
    if (!status.ok()) return UsageError(StrCat(status.message()), FixOf(status));
  }
  return revision;
}

}  // namespace caxton::cli
