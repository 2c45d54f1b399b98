// SPDX-License-Identifier: Apache-2.0
//
// Doctor: checks what a server needs from its machine, and says what to do about what is missing.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "caxton/api/api_server.h"
#include "caxton/platform/cgroup.h"
#include "caxton/supervisor/worker_setup.h"

namespace caxton::server {

// What there is to look at beside the machine itself.
struct DoctorFacts {
  std::string data_dir;
  platform::CgroupReport cgroups;
  supervisor::WorkerIdentity worker;
  // Parts of the jail that the last worker could not put in force; none: no worker has said yet.
  std::optional<std::vector<std::string>> not_enforced;
};

std::vector<api::DoctorCheck> RunDoctor(const DoctorFacts& facts);

}  // namespace caxton::server
