// SPDX-License-Identifier: Apache-2.0
//
// What a life is held against: at the crash, before anything runs after it, and at the end.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>

#include "caxton/base/strings.h"
#include "crash_life.h"

namespace caxton::controller::testing {

using deployment::DeploymentName;
using deployment::DeploymentState;
using deployment::DeploymentStatus;

namespace {

bool InStage(const DeploymentStatus& s) {
  return s.state == DeploymentState::kDeploying && s.prepared && !s.rolling_back;
}
bool InWindow(const DeploymentStatus& s) {
  return s.state == DeploymentState::kRunning && !s.finalized && !s.rolling_back;
}

std::string Describe(const DeploymentStatus& s) {
  return StrCat(s.id.value(), " ", deployment::DeploymentStateName(s.state), ", stage ", s.stage,
                s.prepared ? ", prepared" : "", s.finalized ? ", finalized" : "",
                s.drained ? ", drained" : "", s.withdrawn ? ", withdrawn" : "", ", ",
                deployment::PauseReasonName(s.paused), ", elapsed ", s.stage_elapsed_ns, " ",
                s.cleanup_elapsed_ns, ", generation ", s.generation);
}

}  // namespace

// ---- at the crash

// Each record is one of the two around the crash, and no route gave traffic that no record gives.
void Life::CheckRecords(const std::map<DeploymentId, uint32_t>& shares) {
  if (told_[0]->has_value()) {
    EXPECT_GT(disk_.size(), ids_.size()) << "it was acknowledged";
  }
  for (const auto& [id, disk] : disk_) {
    const Seen* last = LastOnDisk(id);
    if (last == nullptr) {
      const bool first = id.value() <= ids_.size() || disk.state == DeploymentState::kValidating;
      EXPECT_TRUE(first) << "a record that nobody has made: " << Describe(disk);
      continue;
    }
    const DeploymentStatus& seen = last->status;
    EXPECT_EQ(seen.generation, disk.generation);
    EXPECT_EQ(seen.state, disk.state);
    EXPECT_EQ(seen.stage, disk.stage);
    EXPECT_EQ(seen.WeightPpm(), disk.WeightPpm());
    EXPECT_EQ(seen.paused, disk.paused);
    EXPECT_EQ(seen.withdrawn, disk.withdrawn);
    EXPECT_EQ(seen.verdict, disk.verdict);
    const bool taken = disk.rolling_back || disk.final();  // the record is ahead of the route
    auto share = shares.find(id);
    if (share != shares.end() && !taken && id.value() > ids_.size()) {
      EXPECT_LE(share->second, disk.WeightPpm()) << "ahead of the record: " << Describe(disk);
    }
  }
  for (const auto& [id, disk] : disk_) {
    for (DeploymentId other : disk.group) {
      EXPECT_TRUE(disk_.contains(other)) << "a group is made in one write";
      if (disk.cause != deployment::EndCause::kNone) continue;
      EXPECT_EQ(disk.running_ns != 0, disk_[other].running_ns != 0) << "and switched in one";
    }
  }
}

// ---- after the crash, before anything else runs

void Life::CheckResumed() {
  const size_t begun_before = seen_.size();
  // At once: not when they are settled, as Get does.
  auto views = server.Ask<std::vector<DeploymentView>>([&](Done<std::vector<DeploymentView>> done) {
    server.controller->ListDeployments("", std::move(done));
  });
  ASSERT_TRUE(views.ok()) << views.status();
  EXPECT_EQ(views->size(), disk_.size());
  const std::vector<Seen> begun(seen_.begin() + static_cast<std::ptrdiff_t>(begun_before),
                                seen_.end());
  auto agents = server.Ask<std::vector<AgentView>>(
      [&](Done<std::vector<AgentView>> done) { server.controller->ListAgents(std::move(done)); });
  ASSERT_TRUE(agents.ok()) << agents.status();
  if (seen_.size() == begun_before) CheckShares(*agents);  // else somebody gives or takes already
  for (const DeploymentView& now : *views) {
    const DeploymentStatus& disk = disk_[now.status.id];
    SCOPED_TRACE(DeploymentName(now.status.id));
    const bool goes_on = std::any_of(begun.begin(), begun.end(), [&now](const Seen& seen) {
      return seen.status.id == now.status.id;
    });
    if (goes_on) continue;  // what the crash had left half done: CheckPath sees which
    CheckStatus(disk, now);
    if (InStage(disk) || InWindow(disk)) CheckElapsed(now);
    if ((InStage(disk) || InWindow(disk)) && disk.judged()) {
      if (disk.plan.strategy == Strategy::kShadow) {
        CheckComparison(now);
      } else {
        CheckNumbers(now);
      }
    }
  }
}

void Life::CheckStatus(const DeploymentStatus& disk, const DeploymentView& now) {
  EXPECT_TRUE(now.status == disk) << Describe(now.status) << "\n on the disk " << Describe(disk);
}

// What the route's record gives to each: workers are not there yet.
void Life::CheckShares(const std::vector<AgentView>& agents) {
  for (const auto& entry : disk_) {
    const deployment::DeploymentStatus& disk = entry.second;
    uint32_t share = 0;
    for (const AgentView& agent : agents) {
      const auto is = [&disk](const std::shared_ptr<const Revision>& revision) {
        return revision != nullptr && revision->ref == disk.candidate;
      };
      if (is(agent.candidate)) {
        share = agent.weight_ppm;
      } else if (is(agent.stable)) {
        share = kFullWeightPpm;
      }
    }
    // One that has served stays RUNNING while the next one takes over.
    const bool overtaken = std::any_of(disk_.begin(), disk_.end(), [&disk](const auto& other) {
      return other.second.candidate.agent == disk.candidate.agent && other.first > disk.id &&
             other.second.WeightPpm() > 0;
    });
    if (overtaken || disk.rolling_back) continue;
    EXPECT_EQ(share, disk.WeightPpm()) << Describe(disk);
  }
}

// It may lag by a tick and never leads.
void Life::CheckElapsed(const DeploymentView& now) {
  const Seen* last = LastOnDisk(now.status.id);
  if (last == nullptr) return;  // one that served before the scenario began
  const int64_t before_ns = ElapsedNs(*last);
  EXPECT_LE(now.elapsed_ns, before_ns);
  EXPECT_GE(now.elapsed_ns, before_ns - kLag);
  if (ClockRuns(now.status)) return;
  EXPECT_EQ(now.elapsed_ns, before_ns) << "a pause knows it exactly";
}

// As the router has told its observer, as far as it was on the disk.
void Life::CheckNumbers(const DeploymentView& now) {
  std::unique_ptr<analysis::Judge> judge = analysis::MakeJudge(now.status.plan);
  for (const Observation& seen : server.observations) {
    if (seen.deployment == now.status.id) judge->Observe(seen);
  }
  const analysis::JudgeNumbers before = judge->Numbers();
  ASSERT_TRUE(now.numbers.has_value());
  const auto is = [](const analysis::ArmNumbers& arm, const analysis::ArmNumbers& expected) {
    EXPECT_EQ(arm.runs, expected.runs);
    EXPECT_EQ(arm.bad, expected.bad);
    EXPECT_EQ(arm.shared, expected.shared);
    EXPECT_EQ(arm.p99_ns, expected.p99_ns);
  };
  is(now.numbers->stable, before.stable);
  is(now.numbers->candidate, before.candidate);
  ASSERT_EQ(now.numbers->tests.size(), before.tests.size());
  for (size_t i = 0; i < before.tests.size(); ++i) {
    EXPECT_DOUBLE_EQ(now.numbers->tests[i].log_evidence, before.tests[i].log_evidence);
  }
  EXPECT_DOUBLE_EQ(now.numbers->early_log_evidence, before.early_log_evidence);
}

// Journaled once a second: the first so many of the compared messages, to the last digit.
void Life::CheckComparison(const DeploymentView& now) {
  ASSERT_TRUE(now.shadow.has_value());
  int64_t most = 0, least = 0;
  analysis::ShadowComparison first(now.status.plan);
  for (size_t i = 0; i < server.mirrored.size(); ++i) {
    ++most;
    least += mirrored_at_[i] < Age() - kLag ? 1 : 0;
    if (most <= now.shadow->compared) first.Observe(server.mirrored[i]);
  }
  EXPECT_LE(now.shadow->compared, most);
  EXPECT_GE(now.shadow->compared, least);
  EXPECT_EQ(*now.shadow, first.Report());
}

// ---- the end

void Life::CheckEnd(const Whole& whole) {
  EXPECT_EQ(EndOf(), whole.end);
  CheckPath(whole);
  for (const std::string& agent : scenario_.agents) CheckMessages(agent);
  for (const auto& [id, share] : LiveShares()) {
    if (id.value() > ids_.size()) CheckEvidence(server.Get(DeploymentName(id))->status);
  }
  EXPECT_EQ(server.CheckCounters(), "");
  for (size_t i = 0; i < told_.size(); ++i) {
    ASSERT_TRUE(told_[i] != nullptr && told_[i]->has_value()) << "command " << i;
    EXPECT_TRUE((*told_[i])->ok()) << "command " << i << ": " << (*told_[i])->status();
  }
}

// The same transitions, each at its time: none is gone through twice, none left out.
void Life::CheckPath(const Whole& whole) {
  std::map<DeploymentId, std::vector<const Seen*>> now, then;
  for (const Seen& seen : seen_) now[seen.status.id].push_back(&seen);
  for (const Seen& seen : whole.seen) then[seen.status.id].push_back(&seen);
  for (const auto& [id, expected] : then) {
    SCOPED_TRACE(DeploymentName(id));
    ASSERT_EQ(now[id].size(), expected.size());
    for (size_t i = 0; i < expected.size(); ++i) {
      const Seen& seen = *now[id][i];
      const bool drained = drained_by_crash_ && expected[i]->event == "Drained";
      EXPECT_EQ(seen.event, drained ? "Recovered" : expected[i]->event);
      EXPECT_EQ(seen.status.state, expected[i]->status.state);
      EXPECT_EQ(seen.status.stage, expected[i]->status.stage);
      EXPECT_GE(seen.at_ns, expected[i]->at_ns - kStartAgain) << seen.event << " came too early";
      EXPECT_LE(seen.at_ns, expected[i]->at_ns + kLag + kStartAgain) << seen.event << " is late";
    }
  }
}

// Nothing acknowledged is lost, nothing handled twice, and the order of each key kept.
void Life::CheckMessages(const std::string& agent) {
  std::map<std::string, int> handled, last;
  for (const journal::RetainedRecord& record : server.Handled(ids_[agent])) {
    const Envelope& envelope = record.envelope;
    EXPECT_EQ(++handled[envelope.content], 1) << envelope.content;
    int number = 0;
    EXPECT_TRUE(ParseInt(envelope.content, &number));
    EXPECT_GT(number, last[envelope.key]) << envelope.key;
    last[envelope.key] = number;
  }
  size_t sent = 0;
  for (size_t i = 0; i < sent_.size(); ++i) {
    if (scenario_.agents[i % ids_.size()] != agent) continue;
    ++sent;
    const auto& [content, caller] = sent_[i];
    EXPECT_LE(caller->answers, 1);
    if (!caller->ok()) continue;
    EXPECT_EQ(handled[content], 1) << content << " was acknowledged";
  }
  EXPECT_TRUE(server.DeadLetters(ids_[agent]).empty());
  EXPECT_GE(handled.size() + 2, sent) << "a crash may take what was not acknowledged yet";
}

// The evidence on the disk is what was seen, once each, and the verdict comes of it.
void Life::CheckEvidence(const DeploymentStatus& status) {
  if (!status.judged() || status.running_ns + status.ended_ns == 0) return;
  std::vector<Observation> rows, seen;
  const absl::Status read = server.journal->ScanEvidence(
      status.id, [&rows](const Observation& one) { rows.push_back(one); });
  EXPECT_TRUE(read.ok()) << read;
  std::copy_if(server.observations.begin(), server.observations.end(), std::back_inserter(seen),
               [&status](const Observation& one) { return one.deployment == status.id; });
  EXPECT_TRUE(rows == seen) << rows.size() << " on the disk, " << seen.size() << " were seen";
  auto why = server.Ask<Explanation>([&](Done<Explanation> done) {
    server.controller->Explain(DeploymentName(status.id), std::move(done));
  });
  ASSERT_TRUE(why.ok()) << why.status();
  EXPECT_TRUE(why->matches) << why->recomputed.text << " / " << status.verdict.text;
}

}  // namespace caxton::controller::testing
