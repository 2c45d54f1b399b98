// SPDX-License-Identifier: Apache-2.0
#include "manifest.h"

#include <algorithm>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "caxton/base/strings.h"
#include "caxton/examine/limits.h"
#include "caxton/model/envelope.h"
#include "caxton/model/names.h"
#include "caxton/model/text.h"
#include "schema.h"

namespace caxton::examine {
namespace {

using nlohmann::json;

constexpr int kAbiVersion = 1;
// Part of the manifest, and not looked at by this release.
constexpr std::array kNotRead = {"resources"};

}  // namespace

int JsonDepth(std::string_view text) {
  int depth = 0;
  int deepest = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      deepest = std::max(deepest, ++depth);
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return deepest;
}

namespace {

class ManifestReader final {
 public:
  ManifestReader(std::string_view place, std::string_view agent, ModuleTraits* traits,
                 Findings* findings)
      : place_(place), agent_(agent), traits_(traits), findings_(findings) {}

  void Read(const json& manifest) {
    for (const auto& [name, value] : manifest.items()) Field(name, value);
  }

  void Fault(std::string_view message, std::string_view fix) {
    findings_->Error("BAD_MANIFEST", place_, StrCat("the manifest ", message), std::string(fix));
  }

 private:
  void Field(const std::string& name, const json& value) {
    if (name == "name") return Name(value);
    if (name == "version") return Version(value);
    if (name == "abi") return Abi(value);
    if (name == "instance") return InstanceMode(value);
    if (name == "capabilities") return Capabilities(value);
    if (name == "performatives") return Performatives(value);
    if (name == "state") return State(value);
    // Read by ReadContracts.
    if (name == "consumes" || name == "produces" || name == "samples" || name == "sends_to") {
      return;
    }
    for (const char* known : kNotRead) {
      if (name != known) continue;
      findings_->Warning("MANIFEST_FIELD_NOT_USED", place_,
                         StrCat("the manifest's \"", name, "\" is not used by this release"),
                         StrCat("give \"", name, "\" with the deployment, and remove it here"));
      return;
    }
    Unknown(name);
  }

  // Checked as a declaration; no stateful agent is run, so there is never one to compare it with.
  void State(const json& value) {
    findings_->Error("NOT_IN_THIS_RELEASE", place_,
                     "the manifest has \"state\": this release runs no stateful agents; it is "
                     "checked as a declaration only",
                     "remove \"state\", or keep the state outside of the agent for now");
    const std::string fix =
        "write {\"writes\": 2, \"reads\": [1, 2], \"schema\": {...}}: numbers of state schemas "
        "from 1, and the JSON Schema of what it writes";
    const auto is_number = [](const json& n) {
      if (!n.is_number_unsigned()) return false;
      const auto number = n.get<uint64_t>();
      return number > 0 && number <= std::numeric_limits<uint32_t>::max();
    };
    if (!value.is_object()) return Fault("has \"state\" that is no object", fix);
    const bool writes = value.contains("writes") && is_number(value["writes"]);
    if (!writes) Fault("has \"state\" without the number of the schema it \"writes\"", fix);
    const json reads = value.value("reads", json::array());
    const bool list = reads.is_array() && reads.size() <= kMaxManifestItems &&
                      std::all_of(reads.begin(), reads.end(), is_number);
    if (!list) Fault("has \"state\" with \"reads\" that is no list of schema numbers", fix);
    if (writes && list && value.contains("reads") &&
        std::find(reads.begin(), reads.end(), value["writes"]) == reads.end()) {
      Fault(StrCat("has \"state\" that writes schema ", value["writes"].dump(),
                   ", which its \"reads\" does not name: it could not read its own state"),
            fix);
    }
    if (!value.contains("schema")) return;
    for (const SchemaFault& fault : CheckSchema(value["schema"])) {
      findings_->Error("BAD_SCHEMA", StrCat("state/schema", fault.path),
                       StrCat("the schema of the state is malformed: ", fault.reason),
                       "correct it as JSON Schema says");
    }
  }

  void Unknown(const std::string& name) {
    static const std::vector<std::string>& known = *new std::vector<std::string>{
        "name",     "version",  "abi",     "instance", "capabilities", "performatives",
        "consumes", "produces", "samples", "sends_to", "resources",    "state"};
    const std::string nearest = NearestName(name, known);
    findings_->Warning("UNKNOWN_MANIFEST_FIELD", place_,
                       StrCat("the manifest has a field \"", Shown(name), "\" that means nothing"),
                       nearest.empty() ? "remove it" : StrCat("did you mean \"", nearest, "\"?"));
  }

  void Name(const json& value) {
    if (!value.is_string()) return Fault("has a \"name\" that is no text", "give a text");
    const std::string name = value.get<std::string>();
    const absl::Status valid = ValidateAgentName(name);
    if (!valid.ok()) {
      return Fault(StrCat("has a \"name\" that is no agent's name: ", valid.message()),
                   "use a-z, 0-9 and dashes");
    }
    traits_->manifest_name = name;
    if (!agent_.empty() && name != agent_) {
      findings_->Error("NAME_MISMATCH", place_,
                       StrCat("the manifest says the agent is \"", name,
                              "\", but it is deployed as \"", agent_, "\""),
                       StrCat("deploy it with --name ", name, ", or change the manifest"));
    }
  }

  void Version(const json& value) {
    if (!value.is_string()) return Fault("has a \"version\" that is no text", "give a text");
    const std::string version = value.get<std::string>();
    const absl::Status valid = ValidateVersionLabel(version);
    if (!valid.ok()) {
      return Fault(StrCat("has a bad \"version\": ", valid.message()), "shorten it");
    }
    traits_->manifest_version = version;
  }

  void Abi(const json& value) {
    if (value.is_number_integer() && value == kAbiVersion) return;
    Fault(StrCat("asks for \"abi\" ", Shown(value.dump()), ", this host has version 1"),
          "build for version 1 of the agent ABI and say \"abi\": 1");
  }

  void InstanceMode(const json& value) {
    if (value == "fresh") return;
    if (value == "reused") {
      traits_->reused_instances = true;
      return;
    }
    Fault(StrCat("has \"instance\" ", Shown(value.dump()),
                 ", which is neither \"fresh\" nor \"reused\""),
          "say \"fresh\" (the default) or \"reused\"");
  }

  // An array of texts, or a fault.
  bool Texts(std::string_view field, const json& value) {
    const bool good = value.is_array() && value.size() <= kMaxManifestItems &&
                      std::all_of(value.begin(), value.end(), [](const json& item) {
                        return item.is_string() &&
                               item.get_ref<const std::string&>().size() <= kMaxCapabilityBytes;
                      });
    if (!good) {
      Fault(StrCat("has \"", field, "\" that is no list of short texts"),
            StrCat("give at most ", kMaxManifestItems, " texts of at most ", kMaxCapabilityBytes,
                   " bytes"));
    }
    return good;
  }

  void Capabilities(const json& value) {
    if (!Texts("capabilities", value)) return;
    const std::string text = value.dump(-1, ' ', false, json::error_handler_t::replace);
    if (text.size() > kMaxFindingTextBytes) {
      return Fault("has too many capabilities",
                   StrCat("keep them under ", kMaxFindingTextBytes, " bytes"));
    }
    traits_->capabilities_json = text;
  }

  void Performatives(const json& value) {
    if (!Texts("performatives", value)) return;
    for (const json& item : value) {
      const auto& name = item.get_ref<const std::string&>();
      if (ParsePerformative(name).ok()) continue;
      Fault(StrCat("names the performative ", Quoted(name), ", which does not exist"),
            "use REQUEST, INFORM, QUERY, PROPOSE, ACCEPT_PROPOSAL, REJECT_PROPOSAL, AGREE, "
            "REFUSE, FAILURE or NOT_UNDERSTOOD");
    }
  }

  const std::string place_;
  const std::string agent_;
  ModuleTraits* const traits_;
  Findings* const findings_;
};

// The JSON value of `text`; into `*twice` the first name that one object holds twice: a reader
// keeps the last, another the first. Throws json::exception.
json ParseNotingTwice(std::string_view text, std::string* twice) {
  std::vector<std::set<std::string>> open;
  return json::parse(text, [&](int, json::parse_event_t event, json& value) {
    if (event == json::parse_event_t::object_start) open.emplace_back();
    if (event == json::parse_event_t::object_end) open.pop_back();
    if (event == json::parse_event_t::key) {
      const auto& name = value.get_ref<const std::string&>();
      if (!open.back().insert(name).second && twice->empty()) *twice = name;
    }
    return true;
  });
}

}  // namespace

bool ReadManifest(std::string_view text, std::string_view place, std::string_view agent,
                  ModuleTraits* traits, Findings* findings) {
  ManifestReader reader(place, agent, traits, findings);
  const auto unreadable = [&reader](std::string_view message, std::string_view fix) {
    reader.Fault(message, fix);
    return false;
  };
  if (text.size() > kMaxManifestBytes) {
    return unreadable(StrCat("has ", text.size(), " bytes, the limit is ", kMaxManifestBytes),
                      "shorten it");
  }
  if (JsonDepth(text) > kMaxManifestDepth) {
    return unreadable(StrCat("nests deeper than ", kMaxManifestDepth), "flatten it");
  }
  if (!IsUtf8(text)) return unreadable("is not UTF-8", "write it as UTF-8");
  try {
    std::string twice;
    const json manifest = ParseNotingTwice(text, &twice);
    if (!manifest.is_object()) {
      return unreadable("is not a JSON object", "write an object: {\"name\": ...}");
    }
    if (!twice.empty()) {
      reader.Fault(StrCat("names ", Quoted(twice), " twice in one object"), "keep one of the two");
    }
    reader.Read(manifest);
    return true;
  } catch (const json::exception& e) {
    return unreadable(StrCat("is not JSON: ", SanitizeUtf8(e.what())),
                      "correct it, and check it with any JSON tool");
  }
}

}  // namespace caxton::examine
