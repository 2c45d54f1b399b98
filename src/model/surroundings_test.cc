// SPDX-License-Identifier: Apache-2.0
#include "caxton/model/surroundings.h"

#include <gtest/gtest.h>

namespace caxton {
namespace {

TEST(ComparedWithTest, SaysWithWhat) {
  Surroundings around;
  EXPECT_EQ(ComparedWith(around), "there was no live revision to compare with");
  around.live = KnownRevision{"shop", "shop@1", {}};
  around.others = {KnownRevision{"billing", "billing@3", {}}};
  EXPECT_EQ(ComparedWith(around), "compared with the live revision shop@1, billing@3");
  around.others[0].together = true;
  EXPECT_EQ(ComparedWith(around),
            "compared with the live revision shop@1, billing@3 (switched together with it)");
  around.others[0].together = false;
  around.together = {"audit"};
  EXPECT_EQ(ComparedWith(around),
            "compared with the live revision shop@1, billing@3; not compared with audit, switched "
            "together with it");
}

}  // namespace
}  // namespace caxton
