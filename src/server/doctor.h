// SPDX-License-Identifier: Apache-2.0
//
// Doctor: checks what a server needs from its machine, and says what to do about what is missing.
#pragma once

#include <string>
#include <vector>

#include "caxton/api/api_server.h"
#include "caxton/platform/cgroup.h"
#include "caxton/supervisor/worker_setup.h"

namespace caxton::server {

std::vector<api::DoctorCheck> RunDoctor(const std::string& data_dir,
                                        const platform::CgroupReport& cgroups,
                                        const supervisor::WorkerIdentity& worker);

}  // namespace caxton::server
