// SPDX-License-Identifier: Apache-2.0
#include "caxton/journal/rocks_store.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "caxton/base/status.h"
#include "caxton/base/wire.h"
#include "caxton/journal/limits.h"
#include "caxton/platform/file.h"
#include "journal_fixture.h"
#include "power_cut_fs.h"
#include "rocks_impl.h"

namespace caxton::journal {
namespace {

namespace fs = std::filesystem;

class RocksTest : public ::testing::Test {
 protected:
  RocksTest() {
    std::string pattern = ::testing::TempDir() + "caxton-rocks-XXXXXX";
    CAXTON_ASSERT(::mkdtemp(pattern.data()) != nullptr, "a temporary directory");
    root_ = pattern;
    directory_ = root_ + "/journal";
  }
  ~RocksTest() override {
    store_.reset();
    fs::remove_all(root_);
  }

  absl::Status TryOpen(bool accept_loss = false) {
    store_.reset();
    RocksStoreOptions options;
    options.accept_loss = accept_loss;
    absl::StatusOr<std::unique_ptr<RocksStore>> opened = RocksStore::Open(directory_, options);
    if (!opened.ok()) return opened.status();
    store_ = *std::move(opened);
    return absl::OkStatus();
  }
  void Open() {
    const absl::Status status = TryOpen();
    ASSERT_TRUE(status.ok()) << status;
  }
  static std::string Key(uint64_t n) { return MessageKey(kAgent, Seq(n)); }
  void Put(uint64_t n, Sync sync = Sync::kYes) {
    RowBatch rows;
    rows.Put(Table::kInbox, Key(n), StrCat("value ", n));
    const absl::Status status = store_->Write(rows, sync);
    ASSERT_TRUE(status.ok()) << status;
  }
  bool Has(uint64_t n) {
    absl::StatusOr<std::optional<std::string>> row = store_->Get(Table::kInbox, Key(n));
    return row.ok() && row->has_value();
  }
  std::vector<std::string> FilesEnding(const std::string& suffix) {
    std::vector<std::string> files;
    for (const auto& entry : fs::directory_iterator(directory_)) {
      if (entry.path().string().ends_with(suffix)) files.push_back(entry.path());
    }
    return files;
  }
  std::string BiggestLog() {
    std::string biggest;
    for (const std::string& log : FilesEnding(".log")) {
      if (biggest.empty() || fs::file_size(log) > fs::file_size(biggest)) biggest = log;
    }
    return biggest;
  }
  static void FlipByte(const std::string& path, uint64_t at) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(int64_t(at));
    const char byte = char(file.get() ^ 0x40);
    file.seekp(int64_t(at));
    file.put(byte);
  }
  void WriteSideFile(uint64_t sequence) {
    std::string bytes;
    ByteWriter w(&bytes);
    w.U64(sequence);
    w.U64(~sequence);
    std::ofstream(directory_ + "/last-synced", std::ios::binary) << bytes;
  }
  uint64_t SideFile() { return *LastSynced::Read(directory_ + "/last-synced"); }

  std::string root_, directory_;
  std::unique_ptr<RocksStore> store_;
};

TEST_F(RocksTest, RowsAreThereAfterReopening) {
  Open();
  RowBatch rows;
  for (int table = 0; table < kTableCount; ++table) {
    rows.Put(static_cast<Table>(table), "key", StrCat("in ", table));
  }
  rows.Put(Table::kInbox, "gone", "x");
  rows.Delete(Table::kInbox, "gone");
  ASSERT_TRUE(store_->Write(rows, Sync::kYes).ok());
  for (int reopened = 0; reopened < 2; ++reopened) {
    for (int table = 0; table < kTableCount; ++table) {
      EXPECT_EQ(**store_->Get(static_cast<Table>(table), "key"), StrCat("in ", table));
    }
    EXPECT_FALSE(store_->Get(Table::kInbox, "gone")->has_value());
    Open();
  }
  EXPECT_EQ(store_->lost_writes(), 0u);
}

TEST_F(RocksTest, ScansStayWithinTheirBounds) {
  Open();
  for (uint64_t n : {1, 2, 3, 4}) Put(n);
  RowBatch rows;
  rows.Put(Table::kInbox, MessageKey(kOther, Seq(1)), "other agent");
  ASSERT_TRUE(store_->Write(rows, Sync::kNo).ok());
  const auto scan = [&](const std::string& from, const std::string& to, size_t limit) {
    std::vector<std::string> keys;
    EXPECT_TRUE(store_
                    ->Scan(Table::kInbox, from, to,
                           [&](std::string_view key, std::string_view) {
                             keys.emplace_back(key);
                             return keys.size() < limit;
                           })
                    .ok());
    return keys;
  };
  EXPECT_EQ(scan(Key(2), Key(4), 99), (std::vector<std::string>{Key(2), Key(3)}));
  EXPECT_EQ(scan(Key(2), PrefixEnd(AgentKey(kAgent)), 99).size(), 3u);
  EXPECT_EQ(scan("", EndOfTable(), 99).size(), 5u);
  EXPECT_EQ(scan("", EndOfTable(), 2).size(), 2u);
  EXPECT_TRUE(scan(Key(3), Key(3), 99).empty());
  EXPECT_TRUE(scan(Key(4), Key(1), 99).empty());
}

TEST_F(RocksTest, RangesAreDeletedInTheOrderOfTheBatch) {
  Open();
  for (uint64_t n : {1, 2, 3}) Put(n);
  RowBatch rows;
  rows.Put(Table::kInbox, Key(2), "before the range");
  rows.DeleteRange(Table::kInbox, Key(1), Key(3));
  rows.Put(Table::kInbox, Key(1), "behind it");
  rows.DeleteRange(Table::kInbox, Key(9), Key(9));
  ASSERT_TRUE(store_->Write(rows, Sync::kYes).ok());
  EXPECT_EQ(**store_->Get(Table::kInbox, Key(1)), "behind it");
  EXPECT_FALSE(Has(2));
  EXPECT_TRUE(Has(3));
}

TEST_F(RocksTest, TheSideFileFollowsSyncsOnly) {
  Open();
  Put(1);
  const uint64_t synced = SideFile();
  EXPECT_EQ(synced, RocksStoreAccess::Db(*store_)->GetLatestSequenceNumber());
  Put(2, Sync::kNo);
  EXPECT_EQ(SideFile(), synced);
  ASSERT_TRUE(store_->Write(RowBatch(), Sync::kNo).ok());
  EXPECT_EQ(SideFile(), synced);
  ASSERT_TRUE(store_->Write(RowBatch(), Sync::kYes).ok());
  EXPECT_EQ(SideFile(), synced + 1);
}

TEST_F(RocksTest, ASideFileThatLagsIsFine) {
  Open();
  for (uint64_t n = 1; n <= 10; ++n) Put(n);
  store_.reset();
  WriteSideFile(3);
  Open();
  store_.reset();
  fs::resize_file(directory_ + "/last-synced", 0);
  Open();
  store_.reset();
  fs::remove(directory_ + "/last-synced");
  Open();
  EXPECT_TRUE(Has(10));
}

TEST_F(RocksTest, ASideFileThatLeadsIsRefusedWithoutAcceptLoss) {
  Open();
  for (uint64_t n = 1; n <= 10; ++n) Put(n);
  const uint64_t synced = SideFile();
  store_.reset();
  WriteSideFile(synced + 7);
  const absl::Status status = TryOpen();
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_EQ(ReasonOf(status), "JOURNAL_TAIL_LOST");
  EXPECT_NE(status.message().find("7 rows"), absl::string_view::npos) << status;
  EXPECT_NE(FixOf(status).find("--accept-loss"), std::string::npos);
  EXPECT_FALSE(TryOpen().ok()) << "and again";
  ASSERT_TRUE(TryOpen(/*accept_loss=*/true).ok());
  EXPECT_EQ(store_->lost_writes(), 7u);
  Open();
  EXPECT_EQ(store_->lost_writes(), 0u);
}

TEST_F(RocksTest, ADamagedSideFileIsRefusedWithoutAcceptLoss) {
  Open();
  Put(1);
  store_.reset();
  FlipByte(directory_ + "/last-synced", 0);
  EXPECT_TRUE(absl::IsDataLoss(TryOpen()));
  EXPECT_TRUE(TryOpen(true).ok());
  Open();
}

TEST_F(RocksTest, ADamagedLogIsNoticedAndLeftAsItWas) {
  Open();
  for (uint64_t n = 1; n <= 100; ++n) Put(n);
  store_.reset();
  const std::string log = BiggestLog();
  FlipByte(log, fs::file_size(log) / 2);
  const std::string before = *platform::ReadFile(log, 1 << 20);
  const absl::Status status = TryOpen();
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_EQ(ReasonOf(status), "JOURNAL_TAIL_LOST");
  EXPECT_EQ(*platform::ReadFile(log, 1 << 20), before);

  ASSERT_TRUE(TryOpen(/*accept_loss=*/true).ok());
  EXPECT_GT(store_->lost_writes(), 10u);
  EXPECT_TRUE(Has(1));
  EXPECT_FALSE(Has(100));
  Put(101);
  Open();
  EXPECT_TRUE(Has(101));
}

TEST_F(RocksTest, AMissingLogIsNoticed) {
  Open();
  Put(1);
  store_.reset();
  fs::remove(BiggestLog());
  EXPECT_TRUE(absl::IsDataLoss(TryOpen()));
}

TEST_F(RocksTest, AnEmptiedDirectoryIsNoticed) {
  Open();
  Put(1);
  store_.reset();
  for (const auto& entry : fs::directory_iterator(directory_)) {
    if (entry.path().filename() != "last-synced") fs::remove_all(entry.path());
  }
  EXPECT_EQ(ReasonOf(TryOpen()), "JOURNAL_TAIL_LOST");
}

TEST_F(RocksTest, ADamagedTableIsReportedAsThat) {
  Open();
  for (uint64_t n = 1; n <= 2000; ++n) Put(n, Sync::kNo);
  rocksdb::DB* db = RocksStoreAccess::Db(*store_);
  ASSERT_TRUE(
      db->Flush(rocksdb::FlushOptions(), RocksStoreAccess::Family(*store_, Table::kInbox)).ok());
  store_.reset();
  const auto tables = FilesEnding(".sst");
  ASSERT_FALSE(tables.empty());
  for (const std::string& table : tables) FlipByte(table, 100);
  absl::Status status = TryOpen();
  if (status.ok()) {
    status = store_->Scan(Table::kInbox, "", EndOfTable(),
                          [](std::string_view, std::string_view) { return true; });
  }
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_EQ(ReasonOf(status), "JOURNAL_DAMAGED");
}

TEST_F(RocksTest, AStoreInUseIsReportedAsThat) {
  Open();
  Put(1);
  const absl::Status status = RocksStore::Open(directory_, {}).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_EQ(ReasonOf(status), "DATA_DIR_IN_USE");
  EXPECT_NE(status.message().find(directory_), absl::string_view::npos);
  Put(2);
}

TEST_F(RocksTest, TablesOfANewerCaxtonAreRefused) {
  Open();
  rocksdb::ColumnFamilyHandle* streams = nullptr;
  ASSERT_TRUE(RocksStoreAccess::Db(*store_)->CreateColumnFamily({}, "streams", &streams).ok());
  RocksStoreAccess::Db(*store_)->DestroyColumnFamilyHandle(streams);
  const absl::Status status = TryOpen();
  EXPECT_EQ(ReasonOf(status), "JOURNAL_TOO_NEW") << status;
  EXPECT_NE(status.message().find("newer Caxton"), absl::string_view::npos);
}

TEST_F(RocksTest, ANewerFormatIsRefusedByTheJournal) {
  caxton::testing::SimWorld world;
  Open();
  RowBatch rows;
  std::string newer;
  ByteWriter(&newer).U32(kFormatVersion + 1);
  rows.Put(Table::kMeta, "format", newer);
  ASSERT_TRUE(store_->Write(rows, Sync::kYes).ok());
  const auto journal = Journal::Open(store_.get(), world.NewExecutor(), &world, {}, nullptr);
  EXPECT_EQ(ReasonOf(journal.status()), "JOURNAL_TOO_NEW");
}

TEST_F(RocksTest, SaysHowFullTheDiskIsAndWhatItHoldsInMemory) {
  Open();
  EXPECT_GT(*store_->FreeBytes(), 0u);
  EXPECT_GT(store_->memory_bytes(), 0u);
  EXPECT_LT(store_->memory_bytes(), uint64_t{100} << 20);
  EXPECT_FALSE(store_->Stalled());
}

TEST_F(RocksTest, AStallIsFollowedPerTable) {
  StallListener listener;
  rocksdb::WriteStallInfo info;
  info.cf_name = "inbox";
  info.condition.cur = rocksdb::WriteStallCondition::kStopped;
  listener.OnStallConditionsChanged(info);
  EXPECT_TRUE(listener.stopped());
  info.cf_name = "idem";
  listener.OnStallConditionsChanged(info);
  info.condition.cur = rocksdb::WriteStallCondition::kDelayed;
  listener.OnStallConditionsChanged(info);
  EXPECT_TRUE(listener.stopped());
  info.cf_name = "inbox";
  listener.OnStallConditionsChanged(info);
  EXPECT_FALSE(listener.stopped());
}

// Power cuts on RocksDB itself. Returns what is wrong.
std::string RunPowerCuts(const std::string& directory, Sync sync) {
  auto fs = std::make_shared<PowerCutFs>();
  std::unique_ptr<rocksdb::Env> env = rocksdb::NewCompositeEnv(fs);
  uint64_t acked = 0;
  for (int cut = 0; cut < 8; ++cut) {
    auto store = RocksStoreAccess::Open(directory, {}, env.get());
    if (!store.ok()) return StrCat("not opened: ", StdView(store.status().message()));
    for (uint64_t n = 1; n <= acked; ++n) {
      if (!(*store)->Get(Table::kInbox, MessageKey(kAgent, Seq(n)))->has_value()) {
        return StrCat("lost ", n);
      }
    }
    for (int i = 0; i < 50; ++i) {
      RowBatch rows;
      rows.Put(Table::kInbox, MessageKey(kAgent, Seq(acked + 1)), std::string(200, 'x'));
      if (!(*store)->Write(rows, sync).ok()) return "not written";
      ++acked;
    }
    RowBatch unsynced;
    unsynced.Put(Table::kHeld, "never promised", std::string(1000 + size_t(cut), 'x'));
    if (!(*store)->Write(unsynced, Sync::kNo).ok()) return "not written";
    if (cut % 3 == 2) RocksStoreAccess::Db(**store)->SyncWAL();
    fs->Cut();
    store->reset();
    if (fs->Restore() == 0 && cut % 3 != 2) return "the file system lost nothing: no test";
  }
  return "";
}

TEST_F(RocksTest, APowerCutLosesNothingAcknowledged) {
  EXPECT_EQ(RunPowerCuts(directory_, Sync::kYes), "");
}

TEST_F(RocksTest, ThePowerCutTestNoticesWritesWithoutSync) {
  EXPECT_TRUE(StartsWith(RunPowerCuts(directory_, Sync::kNo), "lost "));
}

// Starts the writer, reads `lines` acknowledgements, kills it; returns all it acknowledged.
std::vector<uint64_t> KillWriter(const std::string& directory, uint64_t first, int lines) {
  int out[2];
  CAXTON_ASSERT(::pipe(out) == 0, "a pipe");
  const std::string program =
      fs::path(*platform::SelfExecutable()).parent_path() / "rocks_kill_writer";
  const std::string from = StrCat(first);
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(out[1], STDOUT_FILENO);
    ::close(out[0]);
    ::execl(program.c_str(), program.c_str(), directory.c_str(), from.c_str(), nullptr);
    ::_exit(127);
  }
  ::close(out[1]);
  FILE* in = ::fdopen(out[0], "r");
  std::vector<uint64_t> acked;
  unsigned long long n = 0;
  while (std::fscanf(in, "%llu", &n) == 1) {
    acked.push_back(n);
    if (int(acked.size()) == lines) ::kill(child, SIGKILL);
  }
  std::fclose(in);
  ::waitpid(child, nullptr, 0);
  return acked;
}

TEST_F(RocksTest, KillNineLosesNothingAcknowledged) {
  std::set<uint64_t> acked;
  uint64_t next = 1;
  for (int round = 0; round < 4; ++round) {
    const std::vector<uint64_t> more = KillWriter(directory_, next, 300 + 170 * round);
    ASSERT_GE(more.size(), 300u);
    acked.insert(more.begin(), more.end());
    next = *acked.rbegin() + 100;
    Open();
    for (uint64_t n : acked) ASSERT_TRUE(Has(n)) << n;
    caxton::testing::SimWorld world;
    auto journal = Journal::Open(store_.get(), world.NewExecutor(), &world, {}, nullptr);
    ASSERT_TRUE(journal.ok()) << journal.status();
    uint64_t rows = 0;
    ASSERT_TRUE((*journal)->RecoverInbox([&](AgentId, Seq, Envelope) { ++rows; }).ok());
    EXPECT_GE(rows, acked.size());
    EXPECT_EQ((*journal)->Counters(kAgent).waiting, rows);
    journal->reset();
    store_.reset();
  }
}

}  // namespace
}  // namespace caxton::journal
