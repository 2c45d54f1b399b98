// SPDX-License-Identifier: Apache-2.0
#include "caxton/supervisor/artifact_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include "caxton/base/clock.h"
#include "caxton/base/strings.h"
#include "caxton/model/limits.h"
#include "caxton/platform/fd.h"
#include "caxton/platform/memfd.h"
#include "caxton/supervisor/limits.h"

namespace caxton::supervisor {
namespace {

namespace fs = std::filesystem;
using std::chrono_literals::operator""h;

class ArtifactStoreTest : public ::testing::Test {
 protected:
  ArtifactStoreTest() {
    std::string pattern = ::testing::TempDir() + "/artifacts-XXXXXX";
    root_ = mkdtemp(pattern.data());
    store_ = *OpenArtifactStore(root_);
  }
  ~ArtifactStoreTest() override { fs::remove_all(root_); }
  std::string Native(const Digest& module, std::string_view key) {
    platform::UniqueFd fd(store_->OpenNative(module, key));
    if (!fd.valid()) return "(miss)";
    EXPECT_TRUE(platform::CheckSealed(fd.get(), platform::Seal::kContent).ok());
    return *platform::ReadFd(fd.get(), 1 << 20);
  }
  // Flips one byte of every file whose name ends in `suffix`.
  void Damage(const std::string& suffix) {
    for (const auto& entry : fs::recursive_directory_iterator(root_)) {
      if (!entry.path().string().ends_with(suffix)) continue;
      std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
      char c = 0;
      file.seekg(-1, std::ios::end);
      file.get(c);
      file.seekp(-1, std::ios::end);
      file.put(static_cast<char>(c ^ 1));
    }
  }

  std::string root_;
  std::unique_ptr<ArtifactStore> store_;
};

TEST_F(ArtifactStoreTest, ModulesByDigest) {
  const Digest digest = *store_->PutModule("module");
  EXPECT_EQ(digest, Sha256("module"));
  EXPECT_EQ(*store_->PutModule("module"), digest);
  EXPECT_TRUE(store_->HasModule(digest));
  store_ = *OpenArtifactStore(root_);
  EXPECT_EQ(*store_->GetModule(digest), "module");
  EXPECT_TRUE(absl::IsNotFound(store_->GetModule(Sha256("other")).status()));
}

TEST_F(ArtifactStoreTest, DamagedModuleIsSaidAndMendedByTheSameBytes) {
  const Digest digest = *store_->PutModule("module");
  Damage(".wasm");
  EXPECT_TRUE(absl::IsDataLoss(store_->GetModule(digest).status()));
  EXPECT_TRUE(store_->PutModule("module").ok());
  EXPECT_EQ(*store_->GetModule(digest), "module");
}

TEST_F(ArtifactStoreTest, NativeCodeIsACache) {
  const Digest digest = *store_->PutModule("module");
  EXPECT_EQ(Native(digest, "engine 1"), "(miss)");
  EXPECT_TRUE(store_->PutNative(digest, "engine 1", "code").ok());
  EXPECT_EQ(Native(digest, "engine 1"), "code");
  EXPECT_EQ(Native(digest, "engine 2"), "(miss)");
  Damage(".code");
  EXPECT_EQ(Native(digest, "engine 1"), "(miss)");
  EXPECT_TRUE(store_->PutNative(digest, "engine 1", "code").ok());
  Damage(".sum");
  EXPECT_EQ(Native(digest, "engine 1"), "(miss)");
}

TEST_F(ArtifactStoreTest, ReportsAreACache) {
  const Digest digest = *store_->PutModule("module");
  EXPECT_EQ(store_->GetReport(digest, "k"), std::nullopt);
  EXPECT_TRUE(store_->PutReport(digest, "k", "report").ok());
  EXPECT_EQ(store_->GetReport(digest, "k"), "report");
  Damage(".report");
  EXPECT_EQ(store_->GetReport(digest, "k"), std::nullopt);
}

TEST_F(ArtifactStoreTest, TheNewestReportsOfAModuleAreKept) {
  const Digest digest = *store_->PutModule("module"), other = *store_->PutModule("other");
  EXPECT_TRUE(store_->PutReport(other, "k", "of the other").ok());
  std::set<std::string> known;
  const auto put = [&](int number) {
    EXPECT_TRUE(store_->PutReport(digest, StrCat("k", number), StrCat("report ", number)).ok());
    // A file's time may be as coarse as some milliseconds: each is an hour newer than the last.
    for (const auto& entry : fs::recursive_directory_iterator(root_)) {
      if (entry.is_regular_file() && known.insert(entry.path().string()).second) {
        fs::last_write_time(entry.path(), fs::file_time_type::clock::now() + number * 1h - 1000h);
      }
    }
  };
  const int limit = kMaxReportsPerModule;
  for (int i = 0; i < limit; ++i) put(i);
  for (int i = 0; i < limit; ++i) {
    EXPECT_EQ(store_->GetReport(digest, StrCat("k", i)), StrCat("report ", i));
  }
  put(limit);
  EXPECT_EQ(store_->GetReport(digest, "k0"), std::nullopt);
  for (int i = 1; i <= limit; ++i) {
    EXPECT_EQ(store_->GetReport(digest, StrCat("k", i)), StrCat("report ", i));
  }
  put(1);  // one that is there drops none
  EXPECT_EQ(store_->GetReport(digest, "k2"), "report 2");
  EXPECT_EQ(store_->GetReport(other, "k"), "of the other");
}

TEST_F(ArtifactStoreTest, SweepKeepsWhatIsNamed) {
  const Digest a = *store_->PutModule("a"), b = *store_->PutModule("b");
  for (const Digest& digest : {a, b}) {
    EXPECT_TRUE(store_->PutNative(digest, "e", "code").ok());
    EXPECT_TRUE(store_->PutReport(digest, "e", "report").ok());
  }
  EXPECT_TRUE(store_->Sweep({b}).ok());
  EXPECT_FALSE(store_->HasModule(a));
  EXPECT_EQ(Native(a, "e"), "(miss)");
  EXPECT_EQ(store_->GetReport(a, "e"), std::nullopt);
  EXPECT_TRUE(store_->HasModule(b));
  EXPECT_EQ(Native(b, "e"), "code");
  EXPECT_EQ(store_->GetReport(b, "e"), "report");
}

TEST_F(ArtifactStoreTest, SweepByAgeLeavesWhatIsNewAndWhatBelongsToIt) {
  const Digest named = *store_->PutModule("named"), old = *store_->PutModule("old"),
               fresh = *store_->PutModule("fresh"), again = *store_->PutModule("again"),
               wanted = *store_->PutModule("wanted");
  const std::vector<Digest> all = {named, old, fresh, again, wanted};
  for (const Digest& digest : all) {
    EXPECT_TRUE(store_->PutNative(digest, "e", "code").ok());
    EXPECT_TRUE(store_->PutReport(digest, "e", "report").ok());
  }
  constexpr int64_t kHourNs = 3'600'000'000'000;
  const int64_t now_ns = SystemClock().WallNanos();
  EXPECT_TRUE(store_->Sweep({named}, now_ns - kHourNs).ok());
  for (const Digest& digest : all) EXPECT_TRUE(store_->HasModule(digest)) << "all are new";

  for (const auto& entry : fs::recursive_directory_iterator(root_)) {
    if (!entry.is_regular_file()) continue;
    const bool is_fresh = entry.path().string().ends_with(fresh.ToHex() + ".wasm");
    if (!is_fresh) fs::last_write_time(entry.path(), fs::file_time_type::clock::now() - 2h);
  }
  EXPECT_EQ(*store_->PutModule("again"), again);
  EXPECT_TRUE(store_->KeepModule(wanted));
  EXPECT_FALSE(store_->KeepModule(Sha256("other")));
  EXPECT_TRUE(store_->Sweep({named}, now_ns - kHourNs).ok());
  EXPECT_FALSE(store_->HasModule(old));
  EXPECT_EQ(Native(old, "e"), "(miss)");
  EXPECT_EQ(store_->GetReport(old, "e"), std::nullopt);
  for (const Digest& digest : {named, fresh, again, wanted}) {
    EXPECT_TRUE(store_->HasModule(digest));
    EXPECT_EQ(Native(digest, "e"), "code");
  }
}

TEST_F(ArtifactStoreTest, ModulesAreBounded) {
  EXPECT_TRUE(
      absl::IsResourceExhausted(store_->PutModule(std::string(kMaxModuleBytes + 1, 'x')).status()));
}

}  // namespace
}  // namespace caxton::supervisor
