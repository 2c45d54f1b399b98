// SPDX-License-Identifier: Apache-2.0
#include "caxton/deployment/spec_yaml.h"

#include <functional>
#include <initializer_list>
#include <utility>

#include "absl/strings/str_join.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/deployment/limits.h"
#include "caxton/deployment/yaml_tree.h"
#include "caxton/model/names.h"
#include "caxton/model/text.h"
#include "caxton/model/units.h"

namespace caxton::deployment {
namespace {

using Kind = YamlNode::Kind;
using Field = std::pair<std::string_view, std::function<void(const YamlNode&)>>;

// Walks the tree into a DeploymentFile, noting every fault with its place.
class FileReader final {
 public:
  DeploymentFile Read(const YamlNode& root);
  std::vector<YamlFault> TakeFaults() { return std::move(faults_); }
  // The next step of the first fault that has one.
  const std::string& fix() const { return fix_; }

 private:
  void Fault(const YamlNode& node, std::string text) {
    faults_.push_back({node.line, node.column, std::move(text)});
  }
  void Fault(const YamlNode& node, std::string_view what, const absl::Status& status) {
    if (fix_.empty()) fix_ = FixOf(status);
    Fault(node, StrCat(what, ": ", status.message()));
  }

  void Fields(const YamlNode& node, std::string_view what, std::initializer_list<Field> fields);
  void Unknown(const YamlNode& key, std::string_view what, std::initializer_list<Field> fields);
  const std::string* Scalar(const YamlNode& node, std::string_view what);
  bool IsList(const YamlNode& node, std::string_view what);
  // `*to` = parse(the scalar), or a fault.
  template <typename Parse, typename T>
  void Take(const YamlNode& node, std::string_view what, Parse parse, T* to);
  template <typename T>
  void TakeCount(const YamlNode& node, std::string_view what, std::optional<T>* to);
  void TakeFlag(const YamlNode& node, std::string_view what, bool* to);

  void Deployment(const YamlNode& node);
  void KeepPlaces(const YamlNode& deployment);
  void Stages(const YamlNode& node);
  void Stage(const YamlNode& node);
  void Canary(const YamlNode& node, StageSpec* stage);
  void WarmUp(const YamlNode& node, StageSpec* stage);
  void Conditions(const YamlNode& node, std::string_view what, std::vector<Condition>* to);
  void Compare(const YamlNode& node);
  void Resources(const YamlNode& node);
  void Delivery(const YamlNode& node);
  void State(const YamlNode& node);
  void Settings(const YamlNode& node);
  void CheckRanges(const YamlNode& node);

  DeploymentFile file_;
  std::vector<YamlFault> faults_;
  std::string fix_;
};

void FileReader::Unknown(const YamlNode& key, std::string_view what,
                         std::initializer_list<Field> fields) {
  std::vector<std::string> known;
  for (const Field& field : fields) known.emplace_back(field.first);
  const std::string nearest = NearestName(key.text, known);
  if (!nearest.empty()) {
    Fault(key, StrCat("unknown field ", Quoted(key.text), " in ", what, ": did you mean ", nearest,
                      "?"));
    return;
  }
  Fault(key, StrCat("unknown field ", Quoted(key.text), " in ", what, ", which has ",
                    absl::StrJoin(known, ", ")));
}

void FileReader::Fields(const YamlNode& node, std::string_view what,
                        std::initializer_list<Field> fields) {
  if (node.kind != Kind::kMap) {
    Fault(node, StrCat(what, " must be a map of fields"));
    return;
  }
  for (const auto& [key, value] : node.entries) {
    const Field* match = nullptr;
    for (const Field& field : fields) {
      if (field.first == key.text) match = &field;
    }
    if (match == nullptr) {
      Unknown(key, what, fields);
    } else if (value.kind == Kind::kNull) {
      Fault(key, StrCat(Quoted(key.text), " has no value"));
    } else {
      match->second(value);
    }
  }
}

const std::string* FileReader::Scalar(const YamlNode& node, std::string_view what) {
  if (node.kind == Kind::kScalar) return &node.text;
  Fault(node, StrCat(what, " must be a single value, not a ",
                     node.kind == Kind::kList  ? "list"
                     : node.kind == Kind::kMap ? "map"
                                               : "blank"));
  return nullptr;
}

bool FileReader::IsList(const YamlNode& node, std::string_view what) {
  if (node.kind == Kind::kList) return true;
  Fault(node, StrCat(what, " must be a list"));
  return false;
}

template <typename Parse, typename T>
void FileReader::Take(const YamlNode& node, std::string_view what, Parse parse, T* to) {
  const std::string* text = Scalar(node, what);
  if (text == nullptr) return;
  auto value = parse(*text);
  if (value.ok()) {
    *to = *std::move(value);
  } else {
    Fault(node, what, value.status());
  }
}

template <typename T>
void FileReader::TakeCount(const YamlNode& node, std::string_view what, std::optional<T>* to) {
  const std::string* text = Scalar(node, what);
  if (text == nullptr) return;
  T value = 0;
  if (text->find_first_not_of("0123456789") != std::string::npos || !ParseInt(*text, &value)) {
    Fault(node, StrCat(what, ": ", Quoted(*text), " is not a whole number in range"));
    return;
  }
  *to = value;
}

void FileReader::TakeFlag(const YamlNode& node, std::string_view what, bool* to) {
  const std::string* text = Scalar(node, what);
  if (text == nullptr) return;
  if (*text != "true" && *text != "false") {
    Fault(node, StrCat(what, ": ", Quoted(*text), " is neither true nor false"));
    return;
  }
  *to = *text == "true";
}

absl::StatusOr<std::string> CheckedName(std::string_view text) {
  RETURN_IF_ERROR(ValidateAgentName(text));
  return std::string(text);
}
absl::StatusOr<std::string> CheckedVersion(std::string_view text) {
  RETURN_IF_ERROR(ValidateVersionLabel(text));
  return std::string(text);
}
absl::StatusOr<std::string> AnyText(std::string_view text) { return std::string(text); }

// A parser that takes nothing but one word.
auto Only(std::string_view word, std::string_view instead) {
  return [word, instead](std::string_view text) -> absl::StatusOr<std::string> {
    if (text == word) return std::string(text);
    return absl::InvalidArgumentError(StrCat(Quoted(text), " is not taken: ", instead));
  };
}

// A parser of two words; true: the second.
auto Either(std::string_view first, std::string_view second) {
  return [first, second](std::string_view text) -> absl::StatusOr<bool> {
    if (text == first || text == second) return text == second;
    return absl::InvalidArgumentError(StrCat(Quoted(text), " is neither ", first, " nor ", second));
  };
}

// True: it waits for `promote`.
absl::StatusOr<bool> ParseSwitch(std::string_view text) {
  if (text == "instant" || text == "manual") return text == "manual";
  return absl::InvalidArgumentError(StrCat(Quoted(text), " is not taken: switch is instant, or ",
                                           "manual to wait for `caxton deployment promote`"));
}

DeploymentFile FileReader::Read(const YamlNode& root) {
  if (root.kind == Kind::kNull) {
    faults_.push_back({1, 1, "the deployment file is empty"});
    return std::move(file_);
  }
  Fields(root, "the deployment file",
         {{"agent", [this](const YamlNode& n) { Take(n, "agent", CheckedName, &file_.agent); }},
          {"module", [this](const YamlNode& n) { Take(n, "module", AnyText, &file_.module); }},
          {"version",
           [this](const YamlNode& n) { Take(n, "version", CheckedVersion, &file_.version); }},
          {"deployment", [this](const YamlNode& n) { Deployment(n); }},
          {"resources", [this](const YamlNode& n) { Resources(n); }},
          {"delivery", [this](const YamlNode& n) { Delivery(n); }},
          {"state", [this](const YamlNode& n) { State(n); }},
          {"settings", [this](const YamlNode& n) { Settings(n); }}});
  return std::move(file_);
}

void FileReader::Deployment(const YamlNode& node) {
  DeploymentSpec& spec = file_.spec;
  KeepPlaces(node);
  Fields(
      node, "deployment",
      {{"strategy", [&](const YamlNode& n) { Take(n, "strategy", ParseStrategy, &spec.strategy); }},
       {"stages", [&](const YamlNode& n) { Stages(n); }},
       {"rollback_on", [&](const YamlNode& n) { Conditions(n, "rollback_on", &spec.rollback_on); }},
       {"stick", [&](const YamlNode& n) { Take(n, "stick", ParseStick, &spec.stick); }},
       {"on_inconclusive",
        [&](const YamlNode& n) {
          Take(n, "on_inconclusive", ParseOnInconclusive, &spec.on_inconclusive);
        }},
       {"promote", [&](const YamlNode& n) { Take(n, "promote", ParsePromoteWhen, &spec.promote); }},
       {"queue", [&](const YamlNode& n) { Take(n, "queue", ParseQueuePolicy, &spec.queue); }},
       {"cleanup",
        [&](const YamlNode& n) { Take(n, "cleanup", ParseDurationNs, &spec.cleanup_ns); }},
       {"duration",
        [&](const YamlNode& n) { Take(n, "duration", ParseDurationNs, &spec.shadow_duration_ns); }},
       {"compare", [&](const YamlNode& n) { Compare(n); }},
       {"sample",
        [&](const YamlNode& n) { Take(n, "sample", ParseSharePpm, &spec.shadow_sample_ppm); }},
       {"secondary", [&](const YamlNode& n) { TakeFlag(n, "secondary", &spec.shadow_secondary); }},
       {"fail_on", [&](const YamlNode& n) { Conditions(n, "fail_on", &spec.shadow_fail_on); }},
       {"preview", [&](const YamlNode& n) { TakeFlag(n, "preview", &spec.preview); }},
       {"history", [&](const YamlNode& n) { TakeCount(n, "history", &spec.history); }},
       {"baseline", [&](const YamlNode& n) {
          Take(n, "baseline", Either("stable", "fresh"), &file_.fresh_baseline);
        }}});
}

void FileReader::KeepPlaces(const YamlNode& deployment) {
  for (const auto& [key, value] : deployment.entries) {
    file_.places[key.text] = {value.line, value.column};
    for (size_t i = 0; i < value.items.size(); ++i) {
      file_.places[StrCat(key.text, "[", i, "]")] = {value.items[i].line, value.items[i].column};
    }
  }
}

void FileReader::Stages(const YamlNode& node) {
  if (!IsList(node, "stages")) return;
  if (node.items.size() > kMaxStages) {
    Fault(node, StrCat("stages has ", node.items.size(), " entries, the limit is ", kMaxStages));
    return;
  }
  for (const YamlNode& item : node.items) Stage(item);
}

void FileReader::Stage(const YamlNode& node) {
  if (node.kind != Kind::kMap || node.entries.size() != 1) {
    Fault(node, "a stage is one field, such as canary: 5%");
    return;
  }
  StageSpec stage;
  std::string word;
  const auto duration = [&](const YamlNode& n, StageKind kind) {
    stage.kind = kind;
    Take(n, StageKindName(kind), ParseDurationNs, &stage.duration_ns);
  };
  const size_t before = faults_.size();
  Fields(node, "a stage",
         {{"validate", [&](const YamlNode& n) { duration(n, StageKind::kValidate); }},
          {"warm_up", [&](const YamlNode& n) { WarmUp(n, &stage); }},
          {"canary", [&](const YamlNode& n) { Canary(n, &stage); }},
          {"full",
           [&](const YamlNode& n) {
             stage.kind = StageKind::kFull;
             Take(n, "full", Only("100%", "full is 100%"), &word);
           }},
          {"switch",
           [&](const YamlNode& n) {
             stage.kind = StageKind::kSwitch;
             Take(n, "switch", ParseSwitch, &stage.pause);
           }},
          {"cleanup", [&](const YamlNode& n) { duration(n, StageKind::kCleanup); }}});
  if (faults_.size() == before) file_.spec.stages.push_back(stage);
}

void FileReader::WarmUp(const YamlNode& node, StageSpec* stage) {
  stage->kind = StageKind::kWarmUp;
  if (node.kind != Kind::kMap) {
    Take(node, "warm_up", ParseDurationNs, &stage->duration_ns);
    return;
  }
  stage->hold = true;
  Fields(node, "warm_up", {{"hold", [&](const YamlNode& n) {
                              Take(n, "hold", ParseDurationNs, &stage->duration_ns);
                            }}});
  if (node.entries.empty()) Fault(node, "warm_up is a duration, or { hold: 60s }");
}

void FileReader::Canary(const YamlNode& node, StageSpec* stage) {
  stage->kind = StageKind::kCanary;
  if (node.kind != Kind::kMap) {
    Take(node, "canary", ParseSharePpm, &stage->weight_ppm);
    return;
  }
  bool weight = false;
  Fields(node, "canary",
         {{"weight",
           [&](const YamlNode& n) {
             weight = true;
             Take(n, "weight", ParseSharePpm, &stage->weight_ppm);
           }},
          {"for", [&](const YamlNode& n) { Take(n, "for", ParseDurationNs, &stage->duration_ns); }},
          {"min_samples",
           [&](const YamlNode& n) { TakeCount(n, "min_samples", &stage->min_samples); }},
          {"pause", [&](const YamlNode& n) { TakeFlag(n, "pause", &stage->pause); }}});
  if (!weight) Fault(node, "this canary stage has no weight");
}

void FileReader::Conditions(const YamlNode& node, std::string_view what,
                            std::vector<Condition>* to) {
  if (!IsList(node, what)) return;
  if (node.items.size() > kMaxRollbackConditions) {
    Fault(node, StrCat(what, " has ", node.items.size(), " entries, the limit is ",
                       kMaxRollbackConditions));
    return;
  }
  for (const YamlNode& item : node.items) {
    Condition condition;
    const size_t before = faults_.size();
    Take(item, what, ParseCondition, &condition);
    if (faults_.size() == before) to->push_back(condition);
  }
}

void FileReader::Compare(const YamlNode& node) {
  if (!IsList(node, "compare")) return;
  if (node.items.size() > kMaxShadowCompare) {
    Fault(node,
          StrCat("compare has ", node.items.size(), " entries, the limit is ", kMaxShadowCompare));
    return;
  }
  for (const YamlNode& item : node.items) {
    if (const std::string* text = Scalar(item, "compare")) {
      file_.spec.shadow_compare.push_back(*text);
    }
  }
}

void FileReader::CheckRanges(const YamlNode& node) {
  // Each value is checked as soon as it is read, so that the fault has its place; the others are
  // defaults then.
  Revision revision;
  ApplyOverrides(file_.overrides, &revision);
  for (const absl::Status& status :
       {ValidateLimits(revision.limits), ValidateDelivery(revision.delivery)}) {
    if (status.ok()) continue;
    Fault(node, "out of range", status);
    RevisionOverrides& o = file_.overrides;  // named once, not again with the next field
    o.memory_bytes = o.cpu_millis = o.cpu_max_millis = o.deadline_ns = o.max_message_bytes = {};
    o.instances = o.max_attempts = {};
  }
}

void FileReader::Resources(const YamlNode& node) {
  RevisionOverrides& o = file_.overrides;
  const auto take = [this](const YamlNode& n, std::string_view what, auto parse, auto* to) {
    Take(n, what, parse, to);
    CheckRanges(n);
  };
  Fields(
      node, "resources",
      {{"memory", [&](const YamlNode& n) { take(n, "memory", ParseSizeBytes, &o.memory_bytes); }},
       {"cpu", [&](const YamlNode& n) { take(n, "cpu", ParseCpuMillis, &o.cpu_millis); }},
       {"cpu_max",
        [&](const YamlNode& n) { take(n, "cpu_max", ParseCpuMillis, &o.cpu_max_millis); }},
       {"deadline",
        [&](const YamlNode& n) { take(n, "deadline", ParseDurationNs, &o.deadline_ns); }},
       {"max_message",
        [&](const YamlNode& n) { take(n, "max_message", ParseSizeBytes, &o.max_message_bytes); }},
       {"instances",
        [&](const YamlNode& n) {
          TakeCount(n, "instances", &o.instances);
          CheckRanges(n);
        }},
       {"isolation", [&](const YamlNode& n) {
          Take(n, "isolation", Either("dedicated", "shared"), &file_.shared_workers);
        }}});
}

void FileReader::Delivery(const YamlNode& node) {
  RevisionOverrides& o = file_.overrides;
  Fields(node, "delivery",
         {{"mode",
           [&](const YamlNode& n) {
             Take(n, "mode", ParseDelivery, &o.delivery);
             if (o.delivery == caxton::Delivery::kAgentDefault) {
               Fault(n, "mode is durable or volatile");
             }
           }},
          {"max_attempts",
           [&](const YamlNode& n) {
             TakeCount(n, "max_attempts", &o.max_attempts);
             CheckRanges(n);
           }},
          {"on_poison",
           [&](const YamlNode& n) { Take(n, "on_poison", ParseOnPoison, &o.on_poison); }}});
}

void FileReader::State(const YamlNode& node) {
  Fields(node, "state", {{"on_rollback", [&](const YamlNode& n) {
                            const std::string* text = Scalar(n, "on_rollback");
                            if (text == nullptr) return;
                            if (*text != "keep" && *text != "downcast" && *text != "rewind") {
                              Fault(n, StrCat("on_rollback: ", Quoted(*text),
                                              " is none of keep, downcast, rewind"));
                              return;
                            }
                            file_.state_on_rollback = *text;
                          }}});
}

void FileReader::Settings(const YamlNode& node) {
  if (node.kind != Kind::kMap) {
    Fault(node, "settings must be a map of names and values");
    return;
  }
  for (const auto& [key, value] : node.entries) {
    if (value.kind == Kind::kNull) {
      Fault(key, StrCat("the setting ", Quoted(key.text), " has no value: write \"\" for none"));
      continue;
    }
    const std::string* text = Scalar(value, "a setting");
    if (text == nullptr) continue;
    if (absl::Status status = ValidateSettings({{key.text, *text}}); !status.ok()) {
      Fault(key, "settings", status);
      continue;
    }
    file_.overrides.settings[key.text] = *text;
  }
  if (file_.overrides.settings.size() > kMaxSettings) {
    Fault(node, StrCat("more than ", kMaxSettings, " settings"));
  }
}

absl::Status ToStatus(const std::vector<YamlFault>& faults, std::string_view filename,
                      std::string_view fix) {
  std::vector<std::string> lines;
  for (const YamlFault& fault : faults) {
    if (lines.size() == kMaxFileFaults) {
      lines.push_back(StrCat("and ", faults.size() - kMaxFileFaults, " more"));
      break;
    }
    lines.push_back(StrCat(filename, ":", fault.line, ":", fault.column, ": ", fault.text));
  }
  absl::Status status =
      WithReason(absl::InvalidArgumentError(absl::StrJoin(lines, "\n")), "BAD_DEPLOYMENT_FILE");
  return fix.empty() || faults.size() > 1 ? status : WithFix(std::move(status), fix);
}

}  // namespace

absl::StatusOr<std::vector<DeploymentFile>> ParseDeploymentFiles(std::string_view text,
                                                                 std::string_view filename) {
  YamlNode root;
  std::vector<YamlFault> faults;
  std::vector<DeploymentFile> files;
  std::string fix;
  if (ParseYaml(text, {}, &root, &faults)) {
    const bool list = root.kind == Kind::kList;
    if (list && root.items.empty()) faults.push_back({root.line, root.column, "the list is empty"});
    for (const YamlNode& node : list ? root.items : std::vector<YamlNode>{root}) {
      FileReader reader;
      files.push_back(reader.Read(node));
      for (YamlFault& fault : reader.TakeFaults()) faults.push_back(std::move(fault));
      fix = reader.fix();
    }
  }
  if (!faults.empty()) return ToStatus(faults, filename, fix);
  return files;
}

absl::StatusOr<DeploymentFile> ParseDeploymentFile(std::string_view text,
                                                   std::string_view filename) {
  ASSIGN_OR_RETURN(std::vector<DeploymentFile> files, ParseDeploymentFiles(text, filename));
  if (files.size() == 1) return std::move(files[0]);
  return WithReason(absl::InvalidArgumentError(
                        StrCat(filename, ": a list of ", files.size(), " agents, expected one")),
                    "BAD_DEPLOYMENT_FILE");
}

}  // namespace caxton::deployment
