// SPDX-License-Identifier: Apache-2.0
#include "request_digests.h"

#include <gtest/gtest.h>

#include "caxton/v1/deployment.pb.h"

namespace caxton::api {
namespace {

v1::DeployRequest Deploy() {
  v1::DeployRequest request;
  request.set_name("greeter");
  request.set_module_digest("abc");
  request.mutable_spec()->set_strategy(v1::CANARY);
  for (const char* name : {"a", "b", "c", "d"}) {
    (*request.mutable_overrides()->mutable_settings())[name] = name;
  }
  request.set_idempotency_key("k");
  return request;
}

std::vector<std::string> FieldsOf(const controller::RequestDigests& digests) {
  std::vector<std::string> fields;
  for (const auto& [field, digest] : digests) fields.push_back(field);
  return fields;
}

TEST(RequestDigests, NameWhatIsSetButForTheKey) {
  EXPECT_EQ(FieldsOf(DigestsOf(Deploy())),
            (std::vector<std::string>{"name", "module_digest", "spec", "overrides"}));
  EXPECT_TRUE(DigestsOf(v1::DeployRequest()).empty());
}

TEST(RequestDigests, AreThoseOfTheContent) {
  v1::DeployRequest other = Deploy();
  other.set_idempotency_key("another");
  EXPECT_EQ(DigestsOf(Deploy()), DigestsOf(other));
  other.mutable_spec()->mutable_cleanup()->set_seconds(1);
  const controller::RequestDigests before = DigestsOf(Deploy());
  const controller::RequestDigests after = DigestsOf(other);
  ASSERT_EQ(FieldsOf(before), FieldsOf(after));
  for (size_t i = 0; i < before.size(); ++i) {
    EXPECT_EQ(before[i] == after[i], before[i].first != "spec") << before[i].first;
  }
}

}  // namespace
}  // namespace caxton::api
