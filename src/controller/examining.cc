// SPDX-License-Identifier: Apache-2.0
//
// Examining a revision among what it has to get along with: the revision that is live, the agents
// it sends to and those that send to it. Whom it sends to may be known only once its sandbox ran;
// then it is examined a second time, with them, unless it is refused already. What if another agent
// changes meanwhile? It was compared with what served when its examination began; the other's own
// examination sees this one. Of a group, whoever is examined last is compared with those before it.
#include <algorithm>
#include <set>

#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/deployment/limits.h"
#include "caxton/model/text.h"
#include "caxton/validation/limits.h"
#include "controller_impl.h"

namespace caxton::controller {
namespace {

bool SendsTo(const std::vector<SentMessage>& sends, std::string_view agent) {
  return std::any_of(sends.begin(), sends.end(),
                     [agent](const SentMessage& sent) { return sent.to == agent; });
}

bool Contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

// A first one that was answered from what is kept took nothing.
int64_t ControllerImpl::SecondLimit(int64_t limit_ns, int64_t took_ns) {
  return std::max(limit_ns - took_ns,
                  std::min(limit_ns, validation::kSecondExaminationFactor * took_ns));
}

std::shared_ptr<const Revision> ControllerImpl::ServingOf(const std::string& agent) {
  const AgentEntry* entry = book_.Find(std::string_view(agent));
  return entry == nullptr || entry->closed ? nullptr : entry->Find(entry->Serving().number);
}

bool ControllerImpl::IsExamined(const Run& run) {
  return run.status.state != deployment::DeploymentState::kValidating ||
         (run.validation.has_value() && run.validation->ok());
}

std::shared_ptr<const Revision> ControllerImpl::CandidateOf(const Run& run) {
  return book_.Find(run.status.candidate.agent)->Find(run.status.candidate.number);
}

std::vector<DeploymentId> ControllerImpl::ExaminedMembers(const Run& run) {
  std::vector<DeploymentId> examined;
  for (DeploymentId id : run.status.group) {
    const Run* member = FindRun(id);  // none: its agent was removed
    if (member != nullptr && member != &run && IsExamined(*member)) examined.push_back(id);
  }
  return examined;
}

bool ControllerImpl::HasUnmetMember(const Run& run) {
  const std::vector<SentMessage>& sends = CandidateOf(run)->traits.sends;
  for (DeploymentId id : ExaminedMembers(run)) {
    if (std::find(run.met.begin(), run.met.end(), id) != run.met.end()) continue;
    const Run& member = *FindRun(id);
    if (SendsTo(sends, member.status.agent) ||
        SendsTo(CandidateOf(member)->traits.sends, run.status.agent)) {
      return true;
    }
  }
  return false;
}

Surroundings ControllerImpl::SurroundingsOf(const Examined& what) {
  Surroundings around{.on_server = true, .allow_breaking = what.allow_breaking};
  std::vector<SentMessage> sends = what.sends;
  if (auto live = ServingOf(what.revision.agent); live && live->ref != what.revision.ref) {
    around.live = KnownRevision{live->agent, live->Name(), live->traits};
    sends.insert(sends.end(), live->traits.sends.begin(), live->traits.sends.end());
  }
  // Those it sends to first: any number of agents may say that they send to it.
  std::vector<KnownRevision> senders;
  const auto add = [&around](std::vector<KnownRevision>* list, KnownRevision other) {
    if (list->size() < kMaxOtherAgents) {
      list->push_back(std::move(other));
    } else {
      ++around.left_out;
    }
  };
  std::set<std::string, std::less<>> members;
  for (DeploymentId id : what.together) {
    const Run* member = FindRun(id);
    if (member == nullptr) continue;
    const std::string& name = member->status.agent;
    members.insert(name);
    if (!IsExamined(*member)) {
      around.together.push_back(name);
      continue;
    }
    const auto candidate = CandidateOf(*member);
    if (SendsTo(sends, name) || SendsTo(candidate->traits.sends, what.revision.agent)) {
      KnownRevision known{name, candidate->Name(), candidate->traits, /*together=*/true};
      if (const auto serving = ServingOf(name)) known.replaced = serving->traits;
      add(&around.others, std::move(known));
    }
  }
  for (const AgentEntry* entry : book_.All()) {
    const std::string& name = entry->record.name;
    const auto serving = entry->Find(entry->Serving().number);
    if (serving == nullptr || entry->closed || name == what.revision.agent ||
        members.contains(name)) {
      continue;
    }
    if (SendsTo(sends, name)) {
      add(&around.others, {name, serving->Name(), serving->traits});
    } else if (SendsTo(serving->traits.sends, what.revision.agent)) {
      add(&senders, {name, serving->Name(), serving->traits});
    }
  }
  for (KnownRevision& sender : senders) add(&around.others, std::move(sender));
  return around;
}

bool ControllerImpl::IsMember(const std::vector<DeploymentId>& group, std::string_view agent) {
  return std::any_of(group.begin(), group.end(), [&](DeploymentId id) {
    const Run* member = FindRun(id);
    return member != nullptr && member->status.agent == agent;
  });
}

bool ControllerImpl::MeetsMore(const Examined& what, const Surroundings& around,
                               const std::vector<SentMessage>& sends) {
  // Where each place is a receiver's there is none for another.
  if (around.others.size() == kMaxOtherAgents && SendsTo(sends, around.others.back().agent)) {
    return false;
  }
  return std::any_of(sends.begin(), sends.end(), [&](const SentMessage& sent) {
    if (sent.to == what.revision.agent || Contains(around.together, sent.to)) return false;
    const bool known =
        std::any_of(around.others.begin(), around.others.end(),
                    [&sent](const KnownRevision& other) { return other.agent == sent.to; });
    return !known && (ServingOf(sent.to) != nullptr || IsMember(what.together, sent.to));
  });
}

void ControllerImpl::Examine(Examined what, Done<validation::ValidationReport> done) {
  Surroundings around = SurroundingsOf(what);
  ValidateOnRecent(what.revision, {.limit_ns = what.limit_ns, .surroundings = around},
                   [this, what, around, done = std::move(done)](
                       absl::StatusOr<validation::ValidationReport> report) mutable {
                     if (!report.ok() || !report->ok() || what.again || stopped_ ||
                         !MeetsMore(what, around, report->traits.sends)) {
                       return done(std::move(report));
                     }
                     what.again = true;
                     what.sends = report->traits.sends;
                     what.limit_ns = SecondLimit(what.limit_ns, report->took_ns);
                     Examine(std::move(what), std::move(done));
                   });
}

std::vector<std::string> ControllerImpl::LetThrough(const validation::ValidationReport& report) {
  std::vector<std::string> through;
  for (const validation::StageReport& stage : report.stages) {
    for (const Finding& finding : stage.findings) {
      const bool broken = finding.code == kContractBroken || finding.code == kContractUndecided;
      if (!broken || finding.severity != FindingSeverity::kWarning) continue;
      if (through.size() == deployment::kMaxLetThrough) {
        through.back() = "and more";
        return through;
      }
      const std::string text = StrCat(finding.place, ": ", finding.message);
      through.emplace_back(TruncateUtf8(text, deployment::kMaxLetThroughBytes));
    }
  }
  return through;
}

}  // namespace caxton::controller
