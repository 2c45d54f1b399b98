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

DoctorCheck Privileges() {
  DoctorCheck check{.name = "jail"};
  check.detail = geteuid() == 0 ? "workers run as an unprivileged user, without network and files"
                                : "workers run in user namespaces where the kernel permits them";
  return check;
}

}  // namespace

std::vector<DoctorCheck> RunDoctor(const std::string& data_dir,
                                   const platform::CgroupReport& cgroups,
                                   const supervisor::WorkerIdentity& worker) {
  return {DoctorCheck{.name = "worker", .detail = StrCat(worker.version, ", ", worker.engine)},
          Cgroups(cgroups), Disk(data_dir), Files(), Privileges()};
}

}  // namespace caxton::server
