// SPDX-License-Identifier: Apache-2.0
#include "crash_life.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "caxton/base/strings.h"
#include "caxton/journal/records.h"

namespace caxton::controller::testing {

using deployment::DeploymentState;
using deployment::DeploymentStatus;
using deployment::PauseReason;
using supervisor::testing::EchoScript;

namespace {

constexpr int64_t kSecond = kNanosPerSecond;
constexpr std::array<const char*, 3> kModules = {"one", "two", "three"};
constexpr int64_t kBetweenMessages = 50 * kNanosPerMilli;
constexpr int64_t kStep = 25 * kNanosPerMilli;  // every second instant one runs

}  // namespace

bool ClockRuns(const DeploymentStatus& s) {
  const bool in_stage =
      s.state == DeploymentState::kDeploying && s.prepared && s.paused == PauseReason::kNone;
  const bool in_window = s.state == DeploymentState::kRunning && !s.finalized;
  return (in_stage || in_window) && !s.rolling_back;
}

Life::Life(const Scenario& scenario) : scenario_(scenario), clients_(server.world.NewExecutor()) {
  const auto script = [this](const auto& made) { return made ? made(*this) : EchoScript(kStep); };
  modules_ = {server.AddModule(kModules[0], script(scenario.stable)),
              server.AddModule(kModules[1], script(scenario.candidate)),
              server.AddModule(kModules[2], EchoScript(kStep))};
  for (const std::string& agent : scenario.agents) Serve(agent);
  server.transitions.clear();
  server.observations.clear();
  server.on_transition = [this](const DeploymentView& view) { OnTransition(view); };
  if (scenario.faults) scenario.faults(*this);
  told_.resize(scenario.asked.size());
  begun_ns_ = server.world.MonoNanos();
  loaded_ = true;
  Tell();
  for (size_t i = 1; i < scenario.asked.size(); ++i) {
    clients_->PostAfter(scenario.asked[i].at_ns, [this, i] { Ask(i); });
  }
}

void Life::Serve(const std::string& agent) {
  DeployRequest first = SimServer::Direct(agent, modules_[0]);
  first.spec.cleanup_ns = 0;
  EXPECT_TRUE(server.Deploy(first).ok());
  EXPECT_TRUE(server.Await(agent, DeploymentState::kRunning));
  server.world.RunFor(100 * kNanosPerMilli);
  ids_[agent] = server.IdOf(agent);
}

void Life::Ask(size_t i) { told_[i] = scenario_.asked[i].call(*this, StrCat("command ", i)); }

void Life::Tell() {
  const std::string& agent = scenario_.agents[static_cast<size_t>(number_) % ids_.size()];
  const std::string content = StrCat(++number_);
  Envelope envelope = SimServer::To(agent, content, StrCat("key ", number_ % scenario_.keys));
  sent_.emplace_back(content, server.Send(std::move(envelope)));
  clients_->PostAfter(kBetweenMessages, [this] {
    if (loaded_) Tell();
  });
}

// ---- before the crash

void Life::OnTransition(const DeploymentView& view) {
  Seen seen{server.transitions.back().second, view.status, Age()};
  const Seen* before = nullptr;
  for (const Seen& earlier : seen_) {
    if (earlier.status.id == view.status.id) before = &earlier;
  }
  const bool same_clock = before != nullptr && before->status.state == view.status.state &&
                          before->status.prepared == view.status.prepared &&
                          before->status.stage == view.status.stage;
  if (same_clock) seen.elapsed_ns = ElapsedNs(*before);
  seen_.push_back(std::move(seen));
}

int64_t Life::ElapsedNs(const Seen& seen) const {
  return seen.elapsed_ns + (ClockRuns(seen.status) ? Age() - seen.at_ns : 0);
}

void Life::RunTask() {
  ASSERT_TRUE(server.world.RunNext()) << "the load never ends";
  // A round of the journal is one task: what it has decided is on the disk with its sync.
  if (const uint64_t syncs = server.store.syncs(); syncs != syncs_) {
    syncs_ = syncs;
    synced_observations_ = server.observations.size();
  }
  mirrored_at_.resize(server.mirrored.size(), Age());
}

bool Life::ReachTransition(size_t n) {
  Ask(0);
  constexpr int64_t kLongest = 45 * kSecond;
  while (seen_.size() < n && Age() < kLongest) RunTask();
  return seen_.size() >= n;
}

void Life::ReachTime(int64_t at_ns) {
  while (Age() < at_ns) RunTask();
}

int64_t Life::Progress(DeploymentId id) const {
  auto row = server.store.Get(journal::Table::kDeployments, journal::DeploymentKey(id));
  if (!row.ok() || !row->has_value()) return 0;
  const DeploymentStatus status = *deployment::DecodeStatus(**row);
  return status.stage_elapsed_ns + status.cleanup_elapsed_ns;
}

bool Life::IsOver(size_t n) {
  if (n == 0) return told_[0]->has_value();
  const Seen& seen = seen_[n - 1];
  if (Age() == seen.at_ns) return false;
  auto row = server.store.Get(journal::Table::kDeployments, journal::DeploymentKey(seen.status.id));
  return deployment::DecodeStatus(**row)->generation >= seen.status.generation;
}

// ---- the crash

// The share of new messages that the current route gives to the candidate of `status`.
uint32_t Life::LiveShare(const DeploymentStatus& status) const {
  auto route = server.router->Routes()->Find(status.candidate.agent);
  if (route == nullptr) return 0;
  const auto is = [&status](const router::RevisionRoute& there) {
    return there.revision != nullptr && there.revision->ref == status.candidate;
  };
  if (is(route->candidate)) return route->weight_ppm;
  return is(route->stable) ? kFullWeightPpm : 0;
}

std::map<DeploymentId, uint32_t> Life::LiveShares() const {
  std::map<DeploymentId, uint32_t> shares;
  for (const Seen& seen : seen_) shares[seen.status.id] = LiveShare(seen.status);
  return shares;
}

void Life::ReadDisk() {
  absl::Status read = server.store.Scan(journal::Table::kDeployments, "", "\xff",
                                        [&](std::string_view, std::string_view row) {
                                          auto status = deployment::DecodeStatus(row);
                                          EXPECT_TRUE(status.ok()) << status.status();
                                          if (status.ok()) disk_[status->id] = *std::move(status);
                                          return true;
                                        });
  EXPECT_TRUE(read.ok()) << read;
}

const Seen* Life::LastOnDisk(DeploymentId id) const {
  auto disk = disk_.find(id);
  const Seen* last = nullptr;
  for (const Seen& seen : seen_) {
    const bool there = disk != disk_.end() && seen.status.id == id &&
                       seen.status.generation <= disk->second.generation;
    if (there) last = &seen;
  }
  return last;
}

void Life::NoteCuts() {
  for (size_t i = 0; i < seen_.size(); ++i) {
    auto disk = disk_.find(seen_[i].status.id);
    const bool there = disk != disk_.end() && disk->second.generation >= seen_[i].status.generation;
    if (!there) cut_before_.push_back(i + 1);
    if (there && seen_[i].at_ns == Age()) cut_after_.push_back(i + 1);
  }
}

void Life::Crash(CrashKind kind) {
  const std::map<DeploymentId, uint32_t> shares = LiveShares();
  server.Crash(kind);
  ReadDisk();
  NoteCuts();
  CheckRecords(shares);
  const bool cut = kind == CrashKind::kPowerCut;
  if (cut) server.observations.resize(synced_observations_);
  const std::vector<Seen> before = seen_;
  server.Start();
  // The start has swept those that nobody names; whoever repeats its command sends its module
  // again.
  for (const char* name : kModules) EXPECT_TRUE(server.artifacts.PutModule(name).ok());
  if (scenario_.faults) scenario_.faults(*this);
  CheckResumed();
  std::vector<Seen> later(seen_.begin() + static_cast<std::ptrdiff_t>(before.size()), seen_.end());
  seen_.clear();
  for (const Seen& seen : before) {
    auto disk = disk_.find(seen.status.id);
    if (disk == disk_.end() || disk->second.generation < seen.status.generation) continue;
    drained_by_crash_ |= disk->second.rolling_back;
    seen_.push_back(seen);
  }
  seen_.insert(seen_.end(), later.begin(), later.end());
  for (size_t i = 0; i < told_.size(); ++i) {
    if (told_[i] != nullptr && !told_[i]->has_value()) Ask(i);
  }
}

// ---- the end

void Life::RunOut(int64_t length_ns) {
  server.world.RunFor(std::max<int64_t>(length_ns - Age(), 0));
  loaded_ = false;
  server.world.RunFor(3 * kSecond);
}

std::vector<std::string> Life::EndOf() {
  std::vector<std::string> end;
  auto views = server.Ask<std::vector<DeploymentView>>([&](Done<std::vector<DeploymentView>> done) {
    server.controller->ListDeployments("", std::move(done));
  });
  EXPECT_TRUE(views.ok()) << views.status();
  for (const DeploymentView& view : *views) {
    const DeploymentStatus& s = view.status;
    if (s.state == DeploymentState::kRunning && s.id.value() <= ids_.size()) continue;
    end.push_back(StrCat(s.id.value(), " ", deployment::DeploymentStateName(s.state), ", ",
                         deployment::EndCauseName(s.cause), ", ",
                         deployment::VerdictKindName(s.verdict.kind),
                         s.state == DeploymentState::kRunning && s.finalized ? ", final" : "",
                         s.drained ? ", drained" : "", s.withdrawn ? ", withdrawn" : ""));
  }
  std::sort(end.begin(), end.end());
  return end;
}

Whole Life::Take() && {
  Whole whole{.seen = seen_, .end = EndOf()};
  whole.length_ns = seen_.back().at_ns + kLag + kStartAgain + kSecond;
  return whole;
}

}  // namespace caxton::controller::testing
