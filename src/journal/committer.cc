// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <iterator>

#include "caxton/base/assert.h"
#include "caxton/base/status.h"
#include "caxton/journal/limits.h"
#include "group_committer.h"

namespace caxton::journal {
namespace {

constexpr size_t kOpOverheadBytes = 256;     // the CommitOp itself and its callbacks
constexpr size_t kObservationRowBytes = 80;  // key and value
constexpr size_t kCompactQueueAt = 1024;     // taken ops before the queue's vector is compacted

const CommitVerdict& Accepted() {
  static const CommitVerdict* const verdict = new CommitVerdict();
  return *verdict;
}

}  // namespace

GroupCommitter::GroupCommitter(Parts parts)
    : parts_(std::move(parts)),
      reserve_(parts_.store, parts_.clock, parts_.options.disk_reserve_bytes),
      idem_(parts_.store, parts_.options.max_idem_bytes),
      evidence_(parts_.store, kMaxEvidencePerDeployment),
      retention_(parts_.store, parts_.options.max_retained_bytes) {}

absl::Status GroupCommitter::Load() {
  RETURN_IF_ERROR(counters_.Load(*parts_.store));
  RETURN_IF_ERROR(idem_.Load());
  return retention_.Load();
}

size_t GroupCommitter::BytesOf(const CommitOp& op) {
  size_t bytes = kOpOverheadBytes + op.rows.bytes() + op.evidence.size() * kObservationRowBytes;
  if (op.claim.has_value()) bytes += op.claim->key.size() + op.claim->digest.size();
  if (op.settle.has_value()) {
    bytes += op.settle->key.size();
    if (op.settle->record.reply.has_value()) bytes += op.settle->record.reply->content.size();
  }
  for (const auto& [agent, record] : op.retain) {
    bytes += record.envelope.ByteSize();
    if (record.reply.has_value()) bytes += record.reply->content.size();
  }
  return bytes;
}

void GroupCommitter::Enqueue(Queued queued, bool urgent) {
  queued_bytes_.fetch_add(queued.bytes, std::memory_order_relaxed);
  bool post = false;
  {
    std::lock_guard lock(mutex_);
    (urgent ? urgent_ : queue_).push_back(std::move(queued));
    post = !std::exchange(posted_, true);
    if (gather_until_ > 0 && (urgent || Waiting() >= gather_until_)) {
      gather_until_ = 0;
      ++gathering_;
      post = true;
    }
  }
  if (post) PostRound();
}

void GroupCommitter::PostRound() {
  parts_.executor->Post([weak = weak_from_this()] {
    if (std::shared_ptr<GroupCommitter> self = weak.lock()) self->Round();
  });
}

void GroupCommitter::Submit(CommitOp op) {
  const size_t bytes = BytesOf(op);
  Enqueue(Queued{std::move(op), bytes}, /*urgent=*/false);
}

void GroupCommitter::Withdraw(RevisionRef revision, CommitOp record) {
  {
    std::lock_guard lock(mutex_);
    fences_.insert(revision);
    // A read-modify-write: whatever the strand decides after this returns has seen it.
    fence_version_.fetch_add(1);
  }
  const size_t bytes = BytesOf(record);
  Enqueue(Queued{std::move(record), bytes}, /*urgent=*/true);
}

void GroupCommitter::Barrier(absl::AnyInvocable<void()> done) {
  CommitOp op;
  op.durable = std::move(done);
  Submit(std::move(op));
}

void GroupCommitter::SwitchRetention(AgentId agent, bool on) {
  Queued queued;
  queued.bytes = kOpOverheadBytes;
  queued.switches_retention = true;
  queued.agent = agent;
  queued.on = on;
  Enqueue(std::move(queued), /*urgent=*/false);
}

void GroupCommitter::Round() {
  if (failed_) return;
  Take();
  ++round_;
  sync_ = false;
  batch_.Clear();
  if (absl::Status decided = DecideAll(); !decided.ok()) return Fail(decided);
  if (absl::Status written = WriteRound(); !written.ok()) return Fail(written);
  const size_t answered = sync_ ? taken_.size() : 0;
  Report();
  if (round_ >= next_disk_check_) {
    next_disk_check_ = round_ + kDiskCheckRounds;
    reserve_.Check();
  }
  ScheduleNext(answered);
}

// A sync answers its ops all at once, and the first of the clients that comes back would start a
// round with itself alone while the others wait for one more: two groups take turns, each sync
// carries half of what it could. On a fast disk that costs little and keeps the processors busy; on
// a slow one it halves the throughput. So where a sync took long, the next round waits for the
// answered to come back, a fraction of that sync at most.
void GroupCommitter::ScheduleNext(size_t answered) {
  const int64_t gather_ns = std::min((sync_ns_ - kGatherFromNanos) / 4, kMaxGatherNanos);
  uint64_t gathering = 0;
  {
    std::lock_guard lock(mutex_);
    const size_t waiting = Waiting();
    const size_t all = std::min(waiting + answered, kMaxRoundOps);
    if (gather_ns > 0 && urgent_.empty() && all >= kMinGatherOps && waiting < all) {
      posted_ = true;
      gather_until_ = all;
      gathering = ++gathering_;
    } else {
      posted_ = waiting > 0;
      if (!posted_) return;
    }
  }
  // A task of its own, so that what others posted to the strand gets its turn.
  if (gathering == 0) return PostRound();
  parts_.executor->PostAfter(gather_ns, [weak = weak_from_this(), gathering] {
    if (std::shared_ptr<GroupCommitter> self = weak.lock()) self->EndGathering(gathering);
  });
}

void GroupCommitter::EndGathering(uint64_t gathering) {
  {
    std::lock_guard lock(mutex_);
    if (gathering_ != gathering || gather_until_ == 0) return;
    gather_until_ = 0;
    posted_ = Waiting() > 0;
    if (!posted_) return;
  }
  Round();
}

// Moves the ops of this round to taken_: all withdrawals, then the queue up to the limits, at least
// one.
void GroupCommitter::Take() {
  CAXTON_ASSERT(taken_.empty(), "a round reports all it took");
  std::lock_guard lock(mutex_);
  taken_.swap(urgent_);
  size_t bytes = 0;
  for (const Queued& q : taken_) bytes += q.bytes;
  size_t end = queue_head_;
  size_t count = taken_.size();
  while (end < queue_.size() && count < kMaxRoundOps &&
         (count == 0 || bytes + queue_[end].bytes <= kMaxRoundBytes)) {
    bytes += queue_[end].bytes;
    ++end;
    ++count;
  }
  if (taken_.empty() && queue_head_ == 0 && end == queue_.size()) {
    taken_.swap(queue_);
    return;
  }
  taken_.insert(taken_.end(), std::make_move_iterator(queue_.begin() + queue_head_),
                std::make_move_iterator(queue_.begin() + end));
  queue_head_ = end;
  if (queue_head_ == queue_.size() || queue_head_ >= kCompactQueueAt) {
    queue_.erase(queue_.begin(), queue_.begin() + queue_head_);
    queue_head_ = 0;
  }
}

absl::Status GroupCommitter::DecideAll() {
  idem_.BeginRound(parts_.clock->WallNanos(), &batch_);
  for (Queued& queued : taken_) RETURN_IF_ERROR(Decide(&queued));
  counters_.EndRound(&batch_);
  idem_.EndRound(&batch_);
  return retention_.EndRound(&batch_);
}

CommitVerdict::Kind GroupCommitter::CheckGuard(const StepGuard& guard) {
  if (const uint64_t version = fence_version_.load(); version != seen_version_) {
    std::lock_guard lock(mutex_);
    seen_version_ = fence_version_.load();
    seen_fences_ = fences_;
  }
  if (seen_fences_.contains(guard.revision)) return CommitVerdict::Kind::kWithdrawn;
  // Taking the ticket out of its cell is what makes it single-use: nothing else commits this
  // message.
  uint64_t ticket = guard.ticket.value();
  if (ticket == 0 || !guard.current->compare_exchange_strong(ticket, 0)) {
    return CommitVerdict::Kind::kStaleTicket;
  }
  return CommitVerdict::Kind::kAccepted;
}

absl::Status GroupCommitter::Decide(Queued* queued) {
  CommitOp& op = queued->op;
  if (queued->switches_retention) {
    retention_.Switch(queued->agent, queued->on, &batch_);
    sync_ = true;
    return absl::OkStatus();
  }
  IdemTable::Answer answer;
  if (op.claim.has_value()) {
    ASSIGN_OR_RETURN(answer, idem_.Check(*op.claim));
  }
  // Last, because it takes the ticket.
  if (answer.verdict.kind == CommitVerdict::Kind::kAccepted && op.guard.has_value()) {
    answer.verdict.kind = CheckGuard(*op.guard);
  }
  if (answer.verdict.kind != CommitVerdict::Kind::kAccepted) {
    Answer(&op, std::move(answer));
    return absl::OkStatus();
  }
  queued->accepted = true;
  if (op.durable) sync_ = true;
  RETURN_IF_ERROR(Merge(&op));
  if (op.decided) op.decided(Accepted());
  return absl::OkStatus();
}

void GroupCommitter::Answer(CommitOp* op, IdemTable::Answer answer) {
  if (!op->decided) return;
  if (answer.durable) {
    op->decided(answer.verdict);
    return;
  }
  sync_ = true;
  postponed_.emplace_back(std::move(op->decided), std::move(answer.verdict));
}

absl::Status GroupCommitter::Merge(CommitOp* op) {
  batch_.Append(std::move(op->rows));
  if (op->claim.has_value()) idem_.Claim(*op->claim, &batch_);
  if (op->settle.has_value()) RETURN_IF_ERROR(idem_.Settle(*std::move(op->settle), &batch_));
  for (const CounterDelta& delta : op->counters) counters_.Apply(delta);
  for (const Observation& observation : op->evidence) {
    RETURN_IF_ERROR(evidence_.Append(observation, &batch_));
  }
  for (const auto& [agent, record] : op->retain) retention_.Append(agent, record, &batch_);
  return absl::OkStatus();
}

absl::Status GroupCommitter::WriteRound() {
  sync_ns_ = 0;
  if (!batch_.empty()) written_round_ = round_;
  const uint64_t durable = durable_round();
  if (retention_.Watched() || round_ - durable >= kMaxUnsyncedRounds) sync_ = true;
  // Nothing written since the last sync: whoever waits has what it waits for.
  if (written_round_ > durable) {
    if (!batch_.empty() || sync_) {
      const int64_t start_ns = parts_.clock->MonoNanos();
      RETURN_IF_ERROR(parts_.store->Write(batch_, sync_ ? Sync::kYes : Sync::kNo));
      if (sync_) {
        sync_ns_ = parts_.clock->MonoNanos() - start_ns;
        if (parts_.options.observer != nullptr) parts_.options.observer->OnSync(sync_ns_);
      }
    }
    if (!sync_) return absl::OkStatus();
  }
  sync_ = true;
  durable_round_.store(round_, std::memory_order_release);
  return absl::OkStatus();
}

void GroupCommitter::Report() {
  if (sync_) {
    idem_.Durable();
    for (Queued& queued : taken_) {
      if (queued.accepted && queued.op.durable) queued.op.durable();
    }
    for (auto& [decided, verdict] : postponed_) decided(verdict);
    postponed_.clear();
    retention_.Durable();
  }
  size_t bytes = 0;
  for (const Queued& queued : taken_) bytes += queued.bytes;
  taken_.clear();
  queued_bytes_.fetch_sub(bytes, std::memory_order_relaxed);
}

// What is queued stays unanswered: after a failed write nobody knows what the disk has.
void GroupCommitter::Fail(const absl::Status& status) {
  failed_ = true;
  if (parts_.fatal) parts_.fatal(status);
}

}  // namespace caxton::journal
