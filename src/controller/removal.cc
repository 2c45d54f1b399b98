// SPDX-License-Identifier: Apache-2.0
//
// Removal of an agent: closed on record, its messages drained or discarded, its rows erased, a
// tombstone left. What if the process dies here? From the record on a restart goes on with it, and
// the claim of the caller's idempotency key, which is in that record, says what it was about: a
// repeat is told the outcome, not that there is no such agent.
#include <algorithm>

#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/controller/limits.h"
#include "controller_impl.h"

namespace caxton::controller {

using router::RemoveMode;

namespace {

absl::Status MessagesWaiting(std::string_view agent, uint64_t count) {
  return WithFix(WithReason(absl::FailedPreconditionError(
                                StrCat("agent '", agent, "' has ", count, " messages waiting")),
                            "MESSAGES_WAITING"),
                 "say what happens to them: --drain, --dead-letter or --purge");
}

}  // namespace

void ControllerImpl::RemoveAgent(std::string name, RemoveMode mode, CommandTerms terms,
                                 Done<RemoveOutcome> done) {
  OnStrand([this, name = std::move(name), mode, terms = std::move(terms),
            done = std::move(done)]() mutable {
    OnRemove(name, mode, std::move(terms), std::move(done));
  });
}

void ControllerImpl::OnRemove(const std::string& name, RemoveMode mode, CommandTerms terms,
                              Done<RemoveOutcome> done) {
  if (terms.claim.earlier && TellRemoved(terms.claim, &done)) return;
  AgentEntry* agent = book_.Find(std::string_view(name));
  if (agent == nullptr) return done(NoSuchAgent(name));
  const AgentId id = agent->record.id;
  if (absl::Status changed = CheckEtag(*agent, terms.etag); !changed.ok()) {
    return done(std::move(changed));
  }
  if (agent->closed) return JoinRemoval(agent, mode, std::move(terms.claim), std::move(done));
  const journal::CounterRow counters = d_.journal->Counters(id);
  if (mode == RemoveMode::kRefuseIfWaiting && counters.waiting > 0) {
    return done(MessagesWaiting(name, counters.waiting));
  }
  agent->closed = true;
  PublishAgent(agent);
  const RemovalStart start{counters.waiting, counters.dead, counters.dropped};
  Removal& removal = removals_[id];
  removal.mode = mode;
  removal.askers.emplace_back(start, std::move(done));
  CommandClaim& claim = terms.claim;
  claim.record.agent = id;
  claim.record.waiting = start.waiting;
  claim.record.dead = start.dead;
  claim.record.dropped = start.dropped;
  RecordRemoval(agent, mode, claim, [this, id] { BeginRemoval(id); });
}

// Whether the claim's removal is over, or under way and joined. False: it was given up, and may be
// begun again.
bool ControllerImpl::TellRemoved(const CommandClaim& claim, Done<RemoveOutcome>* done) {
  const AgentId id = claim.record.agent;
  const RemovalStart start{claim.record.waiting, claim.record.dead, claim.record.dropped};
  if (book_.Find(id) == nullptr) {
    (*done)(OutcomeOf(id, start));
    return true;
  }
  auto removal = removals_.find(id);
  if (removal == removals_.end()) return false;
  removal->second.askers.emplace_back(start, std::move(*done));
  return true;
}

// Its claim is on record before the agent is gone, so that it is told the outcome whatever happens.
// One that drains may be told to wait no longer; nothing else changes the mode of one under way.
void ControllerImpl::JoinRemoval(AgentEntry* agent, RemoveMode mode, CommandClaim claim,
                                 Done<RemoveOutcome> done) {
  const AgentId id = agent->record.id;
  auto removal = removals_.find(id);
  const bool drains = removal != removals_.end() && removal->second.mode == RemoveMode::kDrain &&
                      !removal->second.discarding;
  const bool gives_up = mode == RemoveMode::kDeadLetter || mode == RemoveMode::kPurge;
  if (removal == removals_.end() || (removal->second.mode != mode && !(drains && gives_up))) {
    return done(WithFix(Removing(agent->record.name),
                        drains ? "wait for it, or give up what waits: --dead-letter or --purge"
                               : "wait for it, or ask for it in the way it was begun"));
  }
  // Nobody waits for one that a restart went on with: what was before that is not known here.
  const journal::CounterRow now = d_.journal->Counters(id);
  RemovalStart start{now.waiting, now.dead, now.dropped};
  if (!removal->second.askers.empty()) start = removal->second.askers.front().first;
  removal->second.askers.emplace_back(start, std::move(done));
  claim.record.agent = id;
  claim.record.waiting = start.waiting;
  claim.record.dead = start.dead;
  claim.record.dropped = start.dropped;
  // Ahead of what the new mode discards. The next look at what waits sees it.
  removal->second.mode = mode;
  RecordRemoval(agent, mode, claim, [] {});
}

void ControllerImpl::RecordRemoval(AgentEntry* agent, std::optional<RemoveMode> mode,
                                   const CommandClaim& claim, absl::AnyInvocable<void()> then) {
  agent->record.removing = mode.has_value() ? static_cast<uint8_t>(*mode) + 1 : 0;
  journal::CommitOp op;
  std::string bytes;
  journal::Encode(agent->record, &bytes);
  op.rows.Put(journal::Table::kAgents, journal::AgentKey(agent->record.id), std::move(bytes));
  PutClaim(claim, &op.rows);
  op.durable = [this, then = std::move(then)]() mutable { OnStrand(std::move(then)); };
  d_.journal->committer().Submit(std::move(op));
}

void ControllerImpl::BeginRemoval(AgentId id) {
  Removal& removal = removals_[id];
  AgentEntry* agent = book_.Find(id);
  // The counters know what the journal has decided; a message that was let in before the agent
  // closed may have been on its way there, and is acknowledged by now.
  const int64_t waiting = agent->load->waiting_messages.load();
  if (removal.mode == RemoveMode::kRefuseIfWaiting && waiting > 0) {
    return GiveUpRemoval(agent,
                         MessagesWaiting(agent->record.name, static_cast<uint64_t>(waiting)));
  }
  if (removal.mode != RemoveMode::kDrain) return Discard(id);
  removal.deadline_ns = d_.clock->MonoNanos() + kMaxDrainNs;
  AwaitDrained(id);
}

void ControllerImpl::AwaitDrained(AgentId id) {
  AgentEntry* agent = book_.Find(id);
  const bool given_up = removals_[id].mode != RemoveMode::kDrain;
  if (given_up || agent->load->waiting_messages.load() <= 0) return Discard(id);
  if (d_.clock->MonoNanos() >= removals_[id].deadline_ns) {
    return GiveUpRemoval(
        agent, WithFix(WithReason(absl::DeadlineExceededError(
                                      "its messages were not handled within 10m; it stays"),
                                  "DRAIN_TIMEOUT"),
                       "remove it with --dead-letter or --purge"));
  }
  d_.executor->PostAfter(kDrainPollNs, [this, id] { AwaitDrained(id); });
}

// The callers are told once a restart would not go on with it.
void ControllerImpl::GiveUpRemoval(AgentEntry* agent, absl::Status why) {
  agent->closed = false;
  PublishAgent(agent);
  auto askers = std::move(removals_[agent->record.id].askers);
  removals_.erase(agent->record.id);
  RecordRemoval(agent, std::nullopt, {}, [askers = std::move(askers), why]() mutable {
    for (auto& [start, done] : askers) done(why);
  });
  RunNextQueued(agent, DeploymentId());  // what came to its turn meanwhile stood
}

// Nothing waits where the mode is to refuse then. What slips in all the same (its sender had read
// the route before it was closed) may be acknowledged, so it is kept as a dead letter.
void ControllerImpl::Discard(AgentId id) {
  const RemoveMode mode = removals_[id].mode;
  removals_[id].discarding = true;
  d_.router->DiscardWaiting(id,
                            mode == RemoveMode::kRefuseIfWaiting ? RemoveMode::kDeadLetter : mode,
                            [this, id] { OnStrand([this, id] { EraseAgent(id); }); });
}

// Drained is what has neither become a dead letter nor was dropped, whatever the mode: who gives up
// waiting for the rest is told of those that were handled until then.
RemoveOutcome ControllerImpl::OutcomeOf(AgentId id, const RemovalStart& start) const {
  const journal::CounterRow now = d_.journal->Counters(id);
  const auto since = [](uint64_t later, uint64_t earlier) {
    return static_cast<int64_t>(later > earlier ? later - earlier : 0);
  };
  RemoveOutcome outcome;
  outcome.dead_lettered = since(now.dead, start.dead);
  outcome.dropped = since(now.dropped, start.dropped);
  outcome.drained = std::max<int64_t>(
      static_cast<int64_t>(start.waiting) - outcome.dead_lettered - outcome.dropped, 0);
  return outcome;
}

void ControllerImpl::EraseRows(AgentId id, journal::RowBatch* rows) {
  const std::string prefix = journal::AgentKey(id);
  const std::string end = journal::PrefixEnd(prefix);
  for (journal::Table table :
       {journal::Table::kInbox, journal::Table::kHeld, journal::Table::kRetained,
        journal::Table::kRevisions, journal::Table::kRoutes}) {
    rows->DeleteRange(table, prefix, end);
  }
}

// Its dead letters and counters stay: they are the record of what became of its messages.
void ControllerImpl::EraseAgent(AgentId id) {
  AgentEntry* agent = book_.Find(id);
  journal::CommitOp op;
  journal::AgentRecord tombstone = agent->record;
  tombstone.removed = true;
  std::string bytes;
  journal::Encode(tombstone, &bytes);
  op.rows.Put(journal::Table::kAgents, journal::AgentKey(id), std::move(bytes));
  EraseRows(id, &op.rows);
  for (DeploymentId deployment : agent->history) {
    EraseDeployment(deployment, &op.rows);
    DropRun(deployment,
            WithFix(WithReason(absl::NotFoundError(StrCat(deployment::DeploymentName(deployment),
                                                          " is gone: its agent '",
                                                          agent->record.name, "' was removed")),
                               "NO_SUCH_DEPLOYMENT"),
                    "`caxton agent list` shows what runs"));
  }
  for (const auto& [number, revision] : agent->revisions) {
    d_.validator->Cancel(revision->ref);
    d_.supervisor->Stop(revision->ref, [] {});
  }
  Removal removal = std::move(removals_[id]);
  removals_.erase(id);
  std::vector<RemoveOutcome> outcomes;
  for (const auto& [start, done] : removal.askers) {
    outcomes.push_back(OutcomeOf(id, start));
  }
  d_.router->Forget(id);
  book_.Remove(id);
  op.durable = [this, removal = std::move(removal), outcomes = std::move(outcomes)]() mutable {
    OnStrand([removal = std::move(removal), outcomes = std::move(outcomes)]() mutable {
      for (size_t i = 0; i < outcomes.size(); ++i) removal.askers[i].second(outcomes[i]);
    });
  };
  d_.journal->committer().Submit(std::move(op));
  FillPlaces();  // those of its deployments are free
}

}  // namespace caxton::controller
