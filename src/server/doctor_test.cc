// SPDX-License-Identifier: Apache-2.0
#include "doctor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace caxton::server {
namespace {

using api::DoctorCheck;
using ::testing::HasSubstr;
using Status = DoctorCheck::Status;

DoctorFacts GoodFacts() {
  DoctorFacts facts{.data_dir = "/"};
  facts.cgroups.version = 2;
  facts.cgroups.memory = true;
  facts.worker.version = "caxton-worker 7";
  facts.not_enforced.emplace();
  return facts;
}

DoctorCheck Named(const DoctorFacts& facts, const std::string& name) {
  for (DoctorCheck& check : RunDoctor(facts)) {
    if (check.name == name) return check;
  }
  ADD_FAILURE() << "no check " << name;
  return {};
}

TEST(Doctor, TheJailIsWhatWorkersSay) {
  DoctorFacts facts = GoodFacts();
  EXPECT_EQ(Named(facts, "jail").status, Status::kOk);
  facts.not_enforced = std::vector<std::string>{"network namespace: no", "empty root: no"};
  const DoctorCheck bad = Named(facts, "jail");
  EXPECT_EQ(bad.status, Status::kWarning);
  EXPECT_THAT(bad.detail, HasSubstr("network namespace: no; empty root: no"));
  EXPECT_FALSE(bad.fix.empty());
  facts.not_enforced.reset();
  EXPECT_THAT(Named(facts, "jail").detail, HasSubstr("not known"));
}

TEST(Doctor, CgroupsThatCannotBeWrittenAreAWarning) {
  DoctorFacts facts = GoodFacts();
  EXPECT_EQ(Named(facts, "cgroups").status, Status::kOk);
  facts.cgroups.memory = false;
  EXPECT_EQ(Named(facts, "cgroups").status, Status::kWarning);
  facts.cgroups.version = 0;
  facts.cgroups.fix = "mount them";
  EXPECT_EQ(Named(facts, "cgroups").status, Status::kWarning);
  EXPECT_EQ(Named(facts, "cgroups").fix, "mount them");
}

TEST(Doctor, ADirectoryThatCannotBeLookedAtIsAProblem) {
  DoctorFacts facts = GoodFacts();
  facts.data_dir = "/no/such/place";
  EXPECT_EQ(Named(facts, "disk").status, Status::kProblem);
  EXPECT_THAT(Named(GoodFacts(), "worker").detail, HasSubstr("caxton-worker 7"));
}

}  // namespace
}  // namespace caxton::server
