// SPDX-License-Identifier: Apache-2.0
#include "caxton/journal/journal.h"

#include <algorithm>

#include "caxton/base/assert.h"
#include "caxton/base/status.h"
#include "caxton/base/wire.h"
#include "caxton/journal/limits.h"
#include "group_committer.h"
#include "meta_rows.h"

namespace caxton::journal {
namespace {

// Scans the whole of `table`; `each` returns a status, the first bad one ends the scan and is
// returned.
template <typename EachRow>
absl::Status ScanTable(const Store& store, Table table, EachRow each) {
  absl::Status bad;
  RETURN_IF_ERROR(
      store.Scan(table, "", EndOfTable(), [&](std::string_view key, std::string_view value) {
        bad = each(key, value);
        return bad.ok();
      }));
  return bad;
}

std::string MessageName(AgentId agent, Seq seq) {
  return StrCat("agent ", agent.value(), ", message ", seq.value());
}

absl::Status DamagedError(const absl::Status& status) {
  return WithFix(Annotate(status, "a row of the journal is damaged"),
                 "restore the data directory from a copy; nothing was changed");
}

// The format of the store, written on its first use.
absl::Status CheckFormat(Store* store, RowBatch* rows) {
  ASSIGN_OR_RETURN(const std::optional<std::string> row, store->Get(Table::kMeta, kFormatRow));
  if (!row.has_value()) {
    bool used = false;
    RETURN_IF_ERROR(ScanTable(*store, Table::kAgents, [&](std::string_view, std::string_view) {
      used = true;
      return absl::OkStatus();
    }));
    if (used) return DamagedError(absl::DataLossError("the format version is missing"));
    rows->Put(Table::kMeta, std::string(kFormatRow), EncodeU32(kFormatVersion));
    return absl::OkStatus();
  }
  absl::StatusOr<uint32_t> format = DecodeU32(*row);
  if (!format.ok()) return DamagedError(format.status());
  if (*format == 0) return DamagedError(absl::DataLossError("the format version is 0"));
  if (*format > kFormatVersion) {
    return WithReason(
        WithFix(absl::FailedPreconditionError(
                    StrCat("the journal was written by a newer Caxton (format ", *format,
                           ", this one reads up to ", kFormatVersion, "); nothing was changed")),
                "start the Caxton that wrote it, or a newer one"),
        "JOURNAL_TOO_NEW");
  }
  if (*format < kOldestFormatVersion) {
    return WithReason(
        WithFix(absl::FailedPreconditionError(StrCat(
                    "the journal was written by a Caxton from before its first release (format ",
                    *format, ", this one reads ", kOldestFormatVersion, " to ", kFormatVersion,
                    "); nothing was changed")),
                "start the Caxton that wrote it, or choose another --data-dir"),
        "JOURNAL_TOO_OLD");
  }
  return absl::OkStatus();
}

class StoreJournal final : public Journal {
 public:
  StoreJournal(GroupCommitter::Parts parts)
      : store_(parts.store), committer_(std::make_shared<GroupCommitter>(std::move(parts))) {}

  absl::Status Init();

  Committer& committer() override { return *committer_; }
  uint64_t start_count() const override { return start_count_; }
  absl::StatusOr<JournalImage> RecoverImage() const override;
  absl::Status RecoverHeld(
      const std::function<void(AgentId, Seq, HeldRecord)>& each) const override;
  absl::Status RecoverInbox(const std::function<void(AgentId, Seq, Envelope)>& each) const override;
  absl::Status ScanEvidence(DeploymentId deployment,
                            const std::function<void(const Observation&)>& each) const override;
  absl::Status ScanDeadLetters(
      AgentId agent, Seq from,
      const std::function<bool(Seq, const DeadLetterRecord&)>& each) const override;
  absl::StatusOr<DeadLetterRecord> GetDeadLetter(AgentId agent, Seq seq) const override;
  absl::Status RecoverCommands(
      const std::function<void(uint64_t, CommandRecord)>& each) const override;
  absl::StatusOr<std::optional<std::string>> GetComparison(DeploymentId deployment) const override {
    return store_->Get(Table::kComparisons, DeploymentKey(deployment));
  }
  absl::StatusOr<std::optional<std::string>> GetHistory(DeploymentId deployment) const override {
    return store_->Get(Table::kComparisons, HistoryKey(deployment));
  }

  void SetRetention(AgentId agent, bool on) override { committer_->SwitchRetention(agent, on); }
  absl::StatusOr<uint64_t> ScanRetained(
      AgentId agent, uint64_t cursor,
      const std::function<bool(uint64_t, const RetainedRecord&)>& each) const override {
    return committer_->retention().Scan(agent, cursor, each);
  }
  uint64_t WatchRetained(AgentId agent, std::function<void()> changed) override {
    return committer_->retention().Watch(agent, std::move(changed));
  }
  void UnwatchRetained(uint64_t id) override { committer_->retention().Unwatch(id); }
  CounterRow Counters(AgentId agent) const override { return committer_->counters().Get(agent); }
  CounterRow TotalCounters() const override { return committer_->counters().Total(); }
  absl::Status IngressAllowed() const override { return committer_->reserve().IngressAllowed(); }

 private:
  absl::Status Recount();

  Store* const store_;
  const std::shared_ptr<GroupCommitter> committer_;
  uint64_t start_count_ = 0;
};

absl::Status StoreJournal::Init() {
  RowBatch rows;
  RETURN_IF_ERROR(CheckFormat(store_, &rows));
  ASSIGN_OR_RETURN(const std::optional<std::string> row, store_->Get(Table::kMeta, kStartCountRow));
  if (row.has_value()) {
    absl::StatusOr<uint64_t> count = DecodeU64(*row);
    if (!count.ok()) return DamagedError(count.status());
    start_count_ = *count;
  }
  if (++start_count_ >= kMaxStarts) {
    return absl::FailedPreconditionError(
        StrCat("the journal was opened ", kMaxStarts, " times: message numbers are used up"));
  }
  rows.Put(Table::kMeta, std::string(kStartCountRow), EncodeU64(start_count_));
  if (absl::Status loaded = committer_->Load(); !loaded.ok()) {
    return absl::IsDataLoss(loaded) ? DamagedError(loaded) : loaded;
  }
  RETURN_IF_ERROR(Recount());
  committer_->counters().EndRound(&rows);
  // Synced, and with it all that a killed process left in the log: what is read from here on is on
  // the disk.
  return store_->Write(rows, Sync::kYes);
}

// Counts the waiting rows. They were written with their counters, so this only ever finds a fault
// of ours; a wrong sum must not outlive it.
absl::Status StoreJournal::Recount() {
  std::map<AgentId, uint64_t> waiting;
  for (AgentId agent : committer_->counters().agents()) waiting[agent] = 0;
  for (Table table : {Table::kInbox, Table::kHeld}) {
    auto last = waiting.end();
    absl::Status counted = ScanTable(*store_, table, [&](std::string_view key, std::string_view) {
      ByteReader r(key);
      const AgentId agent(r.U32BigEndian());
      if (last == waiting.end() || last->first != agent) last = waiting.try_emplace(agent, 0).first;
      ++last->second;
      return absl::OkStatus();
    });
    RETURN_IF_ERROR(counted);
  }
  for (const auto& [agent, count] : waiting) committer_->counters().Reconcile(agent, count);
  return absl::OkStatus();
}

absl::StatusOr<JournalImage> StoreJournal::RecoverImage() const {
  JournalImage image;
  absl::Status read = ScanTable(*store_, Table::kAgents, [&](std::string_view, std::string_view v) {
    ASSIGN_OR_RETURN(AgentRecord agent, DecodeAgent(v));
    agent.retain = committer_->retention().on(agent.id);
    image.agents.push_back(std::move(agent));
    return absl::OkStatus();
  });
  if (!read.ok()) return DamagedError(read);
  for (AgentId agent : committer_->counters().agents()) {
    image.counters[agent] = committer_->counters().Get(agent);
  }
  read = ScanTable(*store_, Table::kRevisions, [&](std::string_view, std::string_view v) {
    ASSIGN_OR_RETURN(Revision revision, DecodeRevision(v));
    image.revisions.push_back(std::move(revision));
    return absl::OkStatus();
  });
  if (!read.ok()) return DamagedError(read);
  read = ScanTable(*store_, Table::kRoutes, [&](std::string_view, std::string_view v) {
    ASSIGN_OR_RETURN(RouteRecord route, DecodeRoute(v));
    image.routes.push_back(std::move(route));
    return absl::OkStatus();
  });
  if (!read.ok()) return DamagedError(read);
  read = ScanTable(*store_, Table::kDeployments, [&](std::string_view key, std::string_view v) {
    ByteReader r(key);
    const DeploymentId id(r.U64BigEndian());
    RETURN_IF_ERROR(r.Finish("deployment key"));
    image.deployments.emplace_back(id, v);
    return absl::OkStatus();
  });
  if (!read.ok()) return DamagedError(read);
  ASSIGN_OR_RETURN(const std::optional<std::string> last,
                   store_->Get(Table::kMeta, kLastDeploymentRow));
  if (last.has_value()) {
    const absl::StatusOr<uint64_t> id = DecodeU64(*last);
    if (!id.ok()) return DamagedError(id.status());
    image.last_deployment = DeploymentId(*id);
  }
  return image;
}

absl::Status StoreJournal::RecoverCommands(
    const std::function<void(uint64_t, CommandRecord)>& each) const {
  absl::Status read =
      ScanTable(*store_, Table::kCommands, [&](std::string_view key, std::string_view value) {
        ByteReader r(key);
        const uint64_t number = r.U64BigEndian();
        RETURN_IF_ERROR(r.Finish("command key"));
        ASSIGN_OR_RETURN(CommandRecord record, DecodeCommand(value));
        each(number, std::move(record));
        return absl::OkStatus();
      });
  return read.ok() ? read : DamagedError(read);
}

absl::Status StoreJournal::RecoverHeld(
    const std::function<void(AgentId, Seq, HeldRecord)>& each) const {
  absl::Status read =
      ScanTable(*store_, Table::kHeld, [&](std::string_view key, std::string_view value) {
        absl::StatusOr<std::pair<AgentId, Seq>> id = ParseMessageKey(key);
        if (!id.ok()) return id.status();
        absl::StatusOr<HeldRecord> held = DecodeHeld(value);
        if (!held.ok()) return Annotate(held.status(), MessageName(id->first, id->second));
        each(id->first, id->second, *std::move(held));
        return absl::OkStatus();
      });
  return absl::IsDataLoss(read) ? DamagedError(read) : read;
}

absl::Status StoreJournal::RecoverInbox(
    const std::function<void(AgentId, Seq, Envelope)>& each) const {
  absl::Status read =
      ScanTable(*store_, Table::kInbox, [&](std::string_view key, std::string_view value) {
        absl::StatusOr<std::pair<AgentId, Seq>> id = ParseMessageKey(key);
        if (!id.ok()) return id.status();
        absl::StatusOr<Envelope> envelope = DecodeEnvelope(value);
        if (!envelope.ok()) return Annotate(envelope.status(), MessageName(id->first, id->second));
        each(id->first, id->second, *std::move(envelope));
        return absl::OkStatus();
      });
  return absl::IsDataLoss(read) ? DamagedError(read) : read;
}

absl::Status StoreJournal::ScanEvidence(DeploymentId deployment,
                                        const std::function<void(const Observation&)>& each) const {
  absl::Status bad;
  RETURN_IF_ERROR(store_->Scan(Table::kEvidence, DeploymentKey(deployment),
                               PrefixEnd(DeploymentKey(deployment)),
                               [&](std::string_view, std::string_view value) {
                                 absl::StatusOr<Observation> row = DecodeObservation(value);
                                 if (!row.ok()) {
                                   bad = row.status();
                                   return false;
                                 }
                                 each(*row);
                                 return true;
                               }));
  return bad.ok() ? bad : DamagedError(bad);
}

absl::Status StoreJournal::ScanDeadLetters(
    AgentId agent, Seq from, const std::function<bool(Seq, const DeadLetterRecord&)>& each) const {
  absl::Status bad;
  RETURN_IF_ERROR(store_->Scan(Table::kDead, MessageKey(agent, from), PrefixEnd(AgentKey(agent)),
                               [&](std::string_view key, std::string_view value) {
                                 absl::StatusOr<std::pair<AgentId, Seq>> id = ParseMessageKey(key);
                                 absl::StatusOr<DeadLetterRecord> row = DecodeDeadLetter(value);
                                 if (!id.ok()) bad = id.status();
                                 if (!row.ok()) bad = row.status();
                                 return bad.ok() && each(id->second, *row);
                               }));
  return bad.ok() ? bad : DamagedError(bad);
}

absl::StatusOr<DeadLetterRecord> StoreJournal::GetDeadLetter(AgentId agent, Seq seq) const {
  ASSIGN_OR_RETURN(const std::optional<std::string> row,
                   store_->Get(Table::kDead, MessageKey(agent, seq)));
  if (!row.has_value()) {
    return absl::NotFoundError(StrCat("no dead letter ", seq.value(), " of this agent"));
  }
  absl::StatusOr<DeadLetterRecord> record = DecodeDeadLetter(*row);
  if (!record.ok()) return DamagedError(record.status());
  return record;
}

}  // namespace

JournalOptions::JournalOptions()
    : disk_reserve_bytes(kDefaultDiskReserveBytes),
      max_idem_bytes(kDefaultMaxIdemBytes),
      max_retained_bytes(kDefaultMaxRetainedBytes) {}

absl::StatusOr<std::unique_ptr<Journal>> Journal::Open(
    Store* store, Executor* executor, const Clock* clock, JournalOptions options,
    std::function<void(const absl::Status&)> fatal) {
  auto journal = std::make_unique<StoreJournal>(
      GroupCommitter::Parts{store, executor, clock, options, std::move(fatal)});
  RETURN_IF_ERROR(journal->Init());
  return journal;
}

void PutLastDeployment(DeploymentId deployment, RowBatch* rows) {
  rows->Put(Table::kMeta, std::string(kLastDeploymentRow), EncodeU64(deployment.value()));
}

}  // namespace caxton::journal
