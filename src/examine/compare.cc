// SPDX-License-Identifier: Apache-2.0
#include "compare.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "caxton/base/strings.h"
#include "caxton/examine/limits.h"
#include "caxton/model/text.h"
#include "containment.h"
#include "manifest.h"
#include "schema.h"

namespace caxton::examine {
namespace {

using nlohmann::json;

// Something that would not be accepted.
struct Break {
  std::string place;  // "consumes/REQUEST/order/n"
  std::string text;
  bool undecided = false;
  std::string_view seen = "";  // performative of what the sandbox saw, where nothing declares it

  friend bool operator<(const Break& a, const Break& b) {
    return std::tie(a.place, a.text) < std::tie(b.place, b.text);
  }
};

constexpr std::string_view kAllowed = ", and let through by --allow-breaking";
constexpr std::string_view kAllowedFix =
    "see that whoever relies on the old contract is changed as well; who allowed it is on the "
    "deployment's record";

// How breaks with one other side are told.
struct Telling {
  std::string with;  // "with the live revision"
  std::string fix;
  const Surroundings& around;
  Findings* findings;

  void Tell(const Break& found) const {
    const bool allowed = around.allow_breaking;
    const std::string message =
        found.undecided
            ? StrCat("whether it is compatible ", with, " cannot be decided",
                     allowed ? kAllowed : ", so it is refused", ": ", found.text)
            : StrCat("not compatible ", with, allowed ? kAllowed : "", ": ", found.text);
    const std::string code(found.undecided ? kContractUndecided : kContractBroken);
    if (allowed) {
      findings->Warning(code, found.place, message, std::string(kAllowedFix));
    } else {
      findings->Error(code, found.place, message, fix);
    }
  }
};

const json* SchemaOf(const json& all, const std::string& name) {
  const auto found = all.find(name);
  return found == all.end() ? nullptr : &*found;
}

void AddFaults(const std::string& place, std::string_view prefix,
               const std::vector<SchemaFault>& faults, std::vector<Break>* out) {
  for (const SchemaFault& fault : faults) {
    const std::string_view path = fault.path == "/" ? std::string_view() : fault.path;
    out->push_back({StrCat(place, path), StrCat(prefix, fault.reason), fault.undecided});
  }
}

// Every type that `before` allows has to fit `after`; both name something.
std::vector<Break> LostConsumes(const json& before, const json& after) {
  std::vector<Break> lost;
  for (const auto& [name, schema] : before.items()) {
    const std::string place = StrCat("consumes/", name);
    const json* now = SchemaOf(after, name);
    if (now == nullptr) {
      lost.push_back(
          {place, StrCat("removed: messages of type ", name, " are not accepted any more")});
    } else {
      AddFaults(place, "", FindNarrowing(schema, *now), &lost);
    }
  }
  return lost;
}

std::vector<Break> NewProduces(const json& before, const json& after) {
  std::vector<Break> added;
  for (const auto& [name, schema] : after.items()) {
    const std::string place = StrCat("produces/", name);
    const json* old = SchemaOf(before, name);
    if (old == nullptr) {
      added.push_back({place, StrCat("messages of type ", name, " were not sent before")});
    } else {
      AddFaults(place, "receivers of the old messages do not accept all new ones: ",
                FindNarrowing(schema, *old), &added);
    }
  }
  return added;
}

Contracts ContractsOf(const ModuleTraits& traits) {
  if (JsonDepth(traits.manifest) > kMaxManifestDepth) return {};
  Findings unused;  // it was accepted once: its own faults are not this revision's
  return ReadContracts(traits.manifest, "", &unused);
}

// What `from` declares about its messages of type `name`; null: nothing.
const json* Declared(const Contracts& from, const std::string& name) {
  return from.produces.is_object() ? SchemaOf(from.produces, name) : nullptr;
}

// Of the messages that were really sent.
void CheckSent(const Party& from, const SentMessage& sent, const json& accepted, SchemaBudget& work,
               std::vector<Break>* out) {
  const std::string_view name = PerformativeName(sent.performative);
  const size_t first = out->size();
  for (const SampleRun& run : from.runs) {
    if (run.hostile) continue;  // who passes nonsense on did not make it
    for (const OutgoingMessage& message : run.result.sends) {
      if (message.to != sent.to || message.performative != sent.performative) continue;
      const std::string place = StrCat("sample ", run.name, ", ", name);
      const bool deep = JsonDepth(message.content) > kMaxContentDepth;
      const json value =
          deep ? json(json::value_t::discarded) : json::parse(message.content, nullptr, false);
      if (value.is_discarded()) {
        if (!IsAnything(accepted)) out->push_back({place, "what it sent is not JSON"});
        continue;
      }
      SchemaFault fault;
      const Verdict fits = ValueFits(accepted, value, &work, &fault);
      if (fits == Verdict::kYes) continue;
      AddFaults(place, "what it sent ", {std::move(fault)}, out);
    }
  }
  for (size_t i = first; i < out->size(); ++i) (*out)[i].seen = name;
}

// Sends something and takes something; `side` is the contract of the new revision that is broken
// where it does not fit: "produces" or "consumes".
struct Direction {
  const Party& from;
  const Party& to;
  std::string_view side;
};
std::vector<Break> Unaccepted(const Direction& way, SchemaBudget& work) {
  std::vector<Break> out;
  const Party& from = way.from;
  const json& consumes = way.to.contracts.consumes;
  if (!consumes.is_object()) return out;
  for (const SentMessage& sent : from.sends) {
    if (sent.to != way.to.agent) continue;
    const std::string name(PerformativeName(sent.performative));
    const std::string place = StrCat(way.side, "/", name);
    const json* accepted = SchemaOf(consumes, name);
    if (accepted == nullptr) {
      out.push_back({place, StrCat("messages of type ", name, " are sent, and not accepted")});
    } else if (const json* declared = Declared(from.contracts, name); declared != nullptr) {
      AddFaults(place, "", FindNarrowing(*declared, *accepted, &work), &out);
    } else {
      CheckSent(from, sent, *accepted, work, &out);
    }
  }
  return out;
}

// Both directions between `party` and one other agent.
struct Exchange {
  std::vector<Break> to_it, from_it;
};
Exchange Between(const Party& party, const Party& other, SchemaBudget& work) {
  Exchange exchange;
  exchange.to_it = Unaccepted({party, other, "produces"}, work);
  exchange.from_it = Unaccepted({other, party, "consumes"}, work);
  return exchange;
}

// Bounded together: others' manifests must not make this revision's validation time out. Each has
// its share: one must not leave nothing decided of those after it.
class SharedWork final {
 public:
  explicit SharedWork(size_t parties) : waiting_(parties) {}
  Exchange Between(const Party& party, const Party& other) {
    const int share = work_.left() / static_cast<int>(waiting_--);
    SchemaBudget own(share);
    Exchange exchange = examine::Between(party, other, own);
    work_.Charge(static_cast<size_t>(share - own.left()));
    return exchange;
  }

 private:
  SchemaBudget work_{kMaxOthersSteps};
  size_t waiting_;  // for their share
};

// What of it the live revision has too: the same breaks, and messages that it does not declare
// either (what it sent is not known, and need not have been better). Where the other agent is
// switched together with it: with what serves of that one now.
struct Before {
  std::vector<Break> breaks;
  std::set<std::string_view> undeclared;  // performatives
};
std::set<std::string_view> UndeclaredTo(const std::string& agent, const Party& from) {
  std::set<std::string_view> undeclared;
  for (const SentMessage& sent : from.sends) {
    const std::string_view name = PerformativeName(sent.performative);
    if (sent.to == agent && Declared(from.contracts, std::string(name)) == nullptr) {
      undeclared.insert(name);
    }
  }
  return undeclared;
}

void TellOther(const std::vector<Break>& found, const Before& before, const Telling& telling) {
  const std::set<Break> known(before.breaks.begin(), before.breaks.end());
  const auto warn = [&telling](const Break& one, std::string_view live, std::string fix) {
    telling.findings->Warning(
        "CONTRACT_BROKEN_BEFORE", one.place,
        StrCat("not compatible ", telling.with, ", and ", live, ": ", one.text), std::move(fix));
  };
  for (const Break& one : found) {
    if (known.contains(one)) {
      warn(one, "neither is the live revision", "correct one of the two");
    } else if (before.undeclared.contains(one.seen)) {
      warn(one, "the live revision sends it such messages undeclared too",
           StrCat("correct one of the two, and declare ", one.seen, " in \"produces\""));
    } else {
      telling.Tell(one);
    }
  }
}

bool Known(const Surroundings& around, const std::string& agent) {
  return std::any_of(around.others.begin(), around.others.end(),
                     [&](const KnownRevision& other) { return other.agent == agent; }) ||
         std::find(around.together.begin(), around.together.end(), agent) != around.together.end();
}

bool SendsTo(const Party& party, const std::string& agent) {
  return std::any_of(party.sends.begin(), party.sends.end(),
                     [&agent](const SentMessage& sent) { return sent.to == agent; });
}

void NameUnknownReceivers(const Party& party, const Surroundings& around, Findings* findings) {
  // Receivers come first: where a mere sender has a place, none of them was left out.
  const bool all_known =
      around.left_out == 0 || around.others.empty() || !SendsTo(party, around.others.back().agent);
  if (!around.on_server || !all_known) return;
  std::string last;
  for (const SentMessage& sent : party.sends) {
    if (sent.to == std::exchange(last, sent.to) || sent.to == party.agent) continue;
    if (Known(around, sent.to)) continue;
    findings->Warning("UNKNOWN_RECEIVER", StrCat("sends_to/", Shown(sent.to)),
                      StrCat("it sends to ", Quoted(Shown(sent.to)),
                             ", and no such agent serves on this server: such messages become dead "
                             "letters"),
                      StrCat("deploy ", Shown(sent.to), " first, or correct the name"));
  }
}

}  // namespace

void CompareWithLive(const Contracts& contracts, const Surroundings& around, Findings* findings) {
  if (!around.live.has_value()) return;
  const Contracts live = ContractsOf(around.live->traits);
  const Telling telling{"with the live revision",
                        "keep accepting what was accepted and sending what was sent, or deploy "
                        "with --allow-breaking",
                        around, findings};
  const auto first = [&](const char* field) {
    findings->Warning("CONTRACT_NEW", field,
                      StrCat("the live revision declares no \"", field,
                             "\", so there is nothing to compare this one's with: senders and "
                             "receivers may rely on more than it says"),
                      "see that it names all that they rely on; there is nothing else to do");
  };
  std::vector<Break> breaks;
  if (live.consumes.is_object() && contracts.consumes.is_object()) {
    breaks = LostConsumes(live.consumes, contracts.consumes);
  } else if (contracts.consumes.is_object()) {
    first("consumes");
  }
  if (live.produces.is_object() && contracts.produces.is_object()) {
    for (Break& one : NewProduces(live.produces, contracts.produces)) {
      breaks.push_back(std::move(one));
    }
  } else if (live.produces.is_object()) {
    breaks.push_back({"produces", "it named what it sends until now, and may send anything now"});
  } else if (contracts.produces.is_object()) {
    first("produces");
  }
  for (const Break& one : breaks) telling.Tell(one);
}

void CompareWithOthers(const Party& party, const Surroundings& around, Findings* findings) {
  const Contracts live = around.live.has_value() ? ContractsOf(around.live->traits) : Contracts();
  SharedWork work(around.others.size()), live_work(around.others.size());
  for (const KnownRevision& other : around.others) {
    const Contracts theirs = ContractsOf(other.traits);
    const Party they{other.agent, theirs, other.traits.sends, {}};
    const Exchange now = work.Between(party, they);
    Before to_it, from_it;
    if (around.live.has_value() && (!other.together || other.replaced.has_value())) {
      const ModuleTraits& serves = other.together ? *other.replaced : other.traits;
      const Contracts served = ContractsOf(serves);
      const Party as_live{party.agent, live, around.live->traits.sends, {}};
      Exchange before = live_work.Between(as_live, {other.agent, served, serves.sends, {}});
      to_it = {std::move(before.to_it), UndeclaredTo(other.agent, as_live)};
      from_it.breaks = std::move(before.from_it);
    }
    constexpr std::string_view kFix =
        "correct one of the two, switch both with one `caxton deploy -f` of a list, or deploy with "
        "--allow-breaking";
    TellOther(
        now.to_it, to_it,
        {StrCat("with ", other.agent, ", which it sends to"), std::string(kFix), around, findings});
    TellOther(
        now.from_it, from_it,
        {StrCat("with ", other.agent, ", which sends to it"), std::string(kFix), around, findings});
  }
  if (around.left_out > 0) {
    findings->Warning("AGENTS_NOT_COMPARED", "",
                      StrCat(around.left_out,
                             " agents that exchange messages with it were not compared with it: at "
                             "most ",
                             kMaxOtherAgents, " are, those it sends to first"),
                      "once it serves, validate their modules: `caxton agent validate FILE "
                      "--against AGENT` compares each with it");
  }
  NameUnknownReceivers(party, around, findings);
}

}  // namespace caxton::examine
