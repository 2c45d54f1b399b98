// SPDX-License-Identifier: Apache-2.0
#include "doctor.h"

#include <sys/resource.h>
#include <unistd.h>

#include "caxton/base/strings.h"
#include "caxton/journal/limits.h"
#include "caxton/model/units.h"
#include "caxton/platform/file.h"

namespace caxton::server {

using api::DoctorCheck;
using Status = DoctorCheck::Status;

namespace {

DoctorCheck Cgroups(const platform::CgroupReport& report) {
  DoctorCheck check{.name = "cgroups", .detail = report.detail, .fix = report.fix};
  if (report.version == 0 || !report.memory) check.status = Status::kWarning;
  return check;
}

DoctorCheck Disk(const std::string& data_dir) {
  DoctorCheck check{.name = "disk"};
  absl::StatusOr<int64_t> free = platform::FreeBytes(data_dir);
  if (!free.ok()) {
    check.status = Status::kProblem;
    check.detail = std::string(StdView(free.status().message()));
    return check;
  }
  constexpr auto kReserve = static_cast<int64_t>(journal::kDefaultDiskReserveBytes);
  check.detail =
      StrCat(*free >> 20, " MiB free; messages are refused below ", kReserve >> 20, " MiB");
  if (*free < 2 * kReserve) {
    check.status = *free < kReserve ? Status::kProblem : Status::kWarning;
    check.fix = StrCat("free some space on the disk of ", data_dir);
  }
  return check;
}

DoctorCheck Files() {
  DoctorCheck check{.name = "open files"};
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  check.detail = StrCat("limit ", limit.rlim_cur);
  if (limit.rlim_cur < 4096) {
    check.status = Status::kWarning;
    check.fix = "raise it with `ulimit -n 65536`, or LimitNOFILE= of the service";
  }
  return check;
}

DoctorCheck Jail(const std::optional<std::vector<std::string>>& not_enforced) {
  DoctorCheck check{.name = "jail"};
  if (!not_enforced.has_value()) {
    check.detail = "not known: no worker has been started yet";
    check.fix = "deploy an agent, and ask again";
  } else if (not_enforced->empty()) {
    check.detail = "a worker says that every part of its jail is in force";
  } else {
    check.status = Status::kWarning;
    check.detail = "a worker says that this machine does not enforce: ";
    for (const std::string& part : *not_enforced) {
      StrAppend(&check.detail, &part == &not_enforced->front() ? "" : "; ", part);
    }
    check.fix = geteuid() == 0 ? "permit it to the server (a container may lack CAP_SYS_ADMIN)"
                               : "permit user namespaces (sysctl kernel.unprivileged_userns_clone, "
                                 "user.max_user_namespaces), or run the server as root";
  }
  return check;
}

}  // namespace

std::vector<DoctorCheck> RunDoctor(const DoctorFacts& facts) {
  return {DoctorCheck{.name = "worker",
                      .detail = StrCat(facts.worker.version, ", ", facts.worker.engine)},
          Cgroups(facts.cgroups), Disk(facts.data_dir), Files(), Jail(facts.not_enforced)};
}

}  // namespace caxton::server
