// SPDX-License-Identifier: Apache-2.0
#include "contracts.h"

#include <algorithm>
#include <set>
#include <utility>

#include "caxton/base/strings.h"
#include "caxton/examine/limits.h"
#include "caxton/model/names.h"
#include "caxton/model/text.h"
#include "manifest.h"
#include "schema.h"

namespace caxton::examine {
namespace {

using nlohmann::json;

constexpr std::string_view kJsonType = "application/json";

void ReadSchemas(const json& manifest, const char* field, const std::string& place, json* out,
                 Findings* findings) {
  const auto found = manifest.find(field);
  if (found == manifest.end()) return;
  if (!found->is_object()) {
    findings->Error("BAD_SCHEMA", place,
                    StrCat("the manifest's \"", field, "\" is no object of schemas"),
                    StrCat("write {\"", field, "\": {\"REQUEST\": {\"type\": \"object\"}}}"));
    return;
  }
  *out = json::object();
  for (const auto& [name, schema] : found->items()) {
    const std::string path = StrCat(field, "/", Shown(name));
    const auto performative = ParsePerformative(name);
    if (!performative.ok()) {
      findings->Error("BAD_SCHEMA", path, StrCat("there is no performative ", Quoted(name)),
                      "name each schema by the performative of its messages: REQUEST, INFORM, ...");
      continue;
    }
    const std::vector<SchemaFault> faults = CheckSchema(schema);
    for (const SchemaFault& fault : faults) {
      findings->Error("BAD_SCHEMA", StrCat(path, fault.path),
                      StrCat("the schema is malformed: ", fault.reason),
                      "correct it as JSON Schema says");
    }
    // Kept under the performative's own name, however the author wrote it: that is looked up.
    const std::string known(PerformativeName(*performative));
    if (out->contains(known)) {
      findings->Error("BAD_SCHEMA", path, StrCat("there is another schema of ", known),
                      "keep one of them; the case of the letters makes no difference");
    } else if (faults.empty()) {
      (*out)[known] = schema;
    }
  }
}

// All that is wrong with it.
std::vector<std::string> ReadSample(const json& item, Sample* sample) {
  if (!item.is_object()) return {"is no object"};
  std::vector<std::string> faults;
  Envelope& message = sample->message;
  for (const auto& [name, value] : item.items()) {
    if (name == "json") {
      message.content = value.dump(-1, ' ', false, json::error_handler_t::replace);
      if (message.content_type.empty()) message.content_type = std::string(kJsonType);
      continue;
    }
    if (!value.is_string()) {
      faults.push_back(StrCat("has \"", Shown(name), "\" that is no text"));
      continue;
    }
    const auto& text = value.get_ref<const std::string&>();
    if (name == "name") {
      if (text.size() > kMaxSampleNameBytes) faults.emplace_back("has a name that is too long");
      sample->name = text;
    } else if (name == "performative") {
      const auto performative = ParsePerformative(text);
      if (performative.ok()) {
        message.performative = *performative;
      } else {
        faults.push_back(StrCat("has an unknown performative ", Quoted(text)));
      }
    } else if (name == "content") {
      message.content = text;
    } else if (name == "content_type") {
      message.content_type = text;
    } else {
      faults.push_back(StrCat("has a field \"", Shown(name), "\" that means nothing"));
    }
  }
  if (item.contains("json") && item.contains("content")) {
    faults.emplace_back("has both \"json\" and \"content\"");
  }
  return faults;
}

void ReadSamples(const json& manifest, const std::string& place, Contracts* out,
                 Findings* findings) {
  const auto found = manifest.find("samples");
  if (found == manifest.end()) return;
  const std::string fix =
      "write {\"name\": \"greeting\", \"performative\": \"REQUEST\", \"json\": {...}}, or "
      "\"content\" with a text";
  if (!found->is_array() || found->size() > kMaxManifestSamples) {
    findings->Error("BAD_SAMPLE", place,
                    StrCat("the manifest's \"samples\" is no list of at most ", kMaxManifestSamples,
                           " messages"),
                    fix);
    return;
  }
  for (size_t i = 0; i < found->size(); ++i) {
    Sample sample{.name = StrCat("samples/", i), .own = true};
    const std::vector<std::string> faults = ReadSample((*found)[i], &sample);
    for (const std::string& fault : faults) {
      findings->Error("BAD_SAMPLE", StrCat("samples/", i), StrCat("the sample ", fault), fix);
    }
    if (faults.empty()) out->samples.push_back(std::move(sample));
  }
}

void ReadReceivers(const json& manifest, const std::string& place, Contracts* out,
                   Findings* findings) {
  const auto found = manifest.find("sends_to");
  if (found == manifest.end()) return;
  const auto fault = [&](std::string_view message) {
    findings->Error("BAD_MANIFEST", place, StrCat("the manifest's \"sends_to\" ", message),
                    "write {\"sends_to\": {\"billing\": [\"REQUEST\"]}}: agents, and what they are "
                    "sent");
  };
  if (!found->is_object()) return fault("is no object of agents");
  std::set<SentMessage> sends;
  for (const auto& [to, list] : found->items()) {
    const std::string shown = Quoted(Shown(to));
    if (!ValidateAgentName(to).ok()) fault(StrCat("names ", shown, ", no agent"));
    if (!list.is_array()) {
      fault(StrCat("has no list of performatives for ", shown));
      continue;
    }
    for (const json& name : list) {
      const auto performative = name.is_string()
                                    ? ParsePerformative(name.get_ref<const std::string&>())
                                    : absl::InvalidArgumentError("no text");
      if (performative.ok()) {
        sends.insert({to, *performative});
      } else {
        fault(StrCat("has ", Shown(name.dump(-1, ' ', false, json::error_handler_t::replace)),
                     " among the performatives of ", shown, ", which is none"));
      }
    }
  }
  if (sends.size() > kMaxSentMessages) {
    return fault(StrCat("has more than ", kMaxSentMessages, " entries"));
  }
  out->sends.assign(sends.begin(), sends.end());
}

// Values and characters in `value`.
size_t SizeOf(const json& value) {
  size_t size = 1 + (value.is_string() ? value.get_ref<const std::string&>().size() : 0);
  if (value.is_array()) {
    for (const json& item : value) size += SizeOf(item);
  } else if (value.is_object()) {
    for (const auto& [name, item] : value.items()) size += name.size() + SizeOf(item);
  }
  return size;
}

// A copy of `value`, if there is room for it.
json Copied(const json& value, size_t* room) {
  const size_t size = SizeOf(value);
  if (size > *room) {
    *room = 0;  // looking at large ones costs as well
    return nullptr;
  }
  *room -= size;
  return value;
}

// A small value that may fit `schema`; whether it does is checked by the caller. `*room`: how much
// may still be made, in values and characters (lists of lists multiply).
json Example(const json& schema, size_t* room) {
  if (*room == 0) return nullptr;
  --*room;
  if (!schema.is_object()) return json::object();
  const auto member = [&schema](const char* name) {
    const auto found = schema.find(name);
    return found == schema.end() ? nullptr : &*found;
  };
  for (const char* name : {"enum", "examples"}) {
    const json* listed = member(name);
    if (listed != nullptr && listed->is_array() && !listed->empty()) {
      return Copied((*listed)[0], room);
    }
  }
  if (const json* value = member("const")) return Copied(*value, room);
  for (const char* name : {"anyOf", "oneOf"}) {
    if (const json* branches = member(name)) return Example((*branches)[0], room);
  }
  const json* named = member("type");
  if (named != nullptr && named->is_array()) named = &(*named)[0];
  const std::string type = named == nullptr ? "object" : named->get<std::string>();
  if (type == "string") {
    const size_t length = std::min(schema.value("minLength", size_t{1}), *room);
    *room -= length;
    return std::string(length, 'a');
  }
  if (type == "integer" || type == "number") {
    if (const json* lowest = member("minimum")) return *lowest;
    const json* highest = member("maximum");
    return highest == nullptr ? json(1) : *highest;
  }
  if (type == "boolean") return true;
  if (type == "null") return nullptr;
  if (type == "array") {
    json list = json::array();
    const size_t count = std::min<size_t>(schema.value("minItems", size_t{0}), 16);
    const json* items = member("items");
    const json anything = true;
    for (size_t i = 0; i < count; ++i) {
      list.push_back(Example(items == nullptr ? anything : *items, room));
    }
    return list;
  }
  json object = json::object();
  if (const json* properties = member("properties")) {
    for (const auto& [name, part] : properties->items()) {
      const size_t size = std::min(name.size(), *room);
      *room -= size;
      object[name] = Example(part, room);
    }
  }
  return object;
}

void CheckOutput(const Contracts& contracts, Performative performative, std::string_view content,
                 const std::string& place, Findings* findings) {
  const std::string name(PerformativeName(performative));
  const auto schema = contracts.produces.find(name);
  if (schema == contracts.produces.end()) {
    findings->Warning("UNDECLARED_OUTPUT", place,
                      StrCat("the agent sent a ", name, ", which its \"produces\" does not name"),
                      StrCat("add \"", name, "\" to \"produces\""));
    return;
  }
  const std::string fix = "correct the agent, or the schema in \"produces\"";
  if (JsonDepth(content) > kMaxContentDepth) {
    findings->Error("OUTPUT_MISMATCH", place,
                    StrCat("the ", name, " nests deeper than ", kMaxContentDepth), fix);
    return;
  }
  const json value = json::parse(content, nullptr, false);
  if (value.is_discarded()) {
    if (IsAnything(*schema)) return;
    findings->Error("OUTPUT_MISMATCH", place,
                    StrCat("the ", name, " is not JSON, but \"produces\" has a schema for it"),
                    fix);
    return;
  }
  SchemaBudget budget(kMaxSchemaSteps);
  SchemaFault fault;
  switch (ValueFits(*schema, value, &budget, &fault)) {
    case Verdict::kYes:
      return;
    case Verdict::kNo:
      findings->Error(
          "OUTPUT_MISMATCH", StrCat(place, ", ", name, " ", fault.path),
          StrCat("what the agent sent does not fit its \"produces\": it ", fault.reason), fix);
      return;
    case Verdict::kUndecided:
      findings->Warning("OUTPUT_UNDECIDED", StrCat(place, ", ", name, " ", fault.path),
                        StrCat("whether what it sent fits cannot be decided: ", fault.reason),
                        "use the keywords that docs name, or check it yourself");
      return;
  }
}

// What came of input that no sender would send: of what would be an error one warning.
void TellOfHostile(const std::vector<Finding>& found, Findings* findings) {
  const Finding* first = nullptr;
  size_t more = 0;
  for (const Finding& one : found) {
    if (one.severity == FindingSeverity::kWarning) {
      findings->Warning(one.code, one.place, one.message, one.fix);
    } else if (one.severity == FindingSeverity::kError) {
      more += first == nullptr ? 0 : 1;
      if (first == nullptr) first = &one;
    }
  }
  if (first == nullptr) return;
  const std::string others = more == 0 ? "" : StrCat(", as do ", more, " other answers to such");
  findings->Warning(
      first->code, first->place,
      StrCat("answering hostile input it breaks its own contract", others, ": ", first->message),
      "reject input that does not fit \"consumes\" with 2");
}

}  // namespace

bool IsAnything(const json& schema) {
  return schema.is_boolean() ? schema.get<bool>() : schema.empty();
}

Contracts ReadContracts(std::string_view text, std::string_view place, Findings* findings) {
  Contracts out;
  const json manifest = json::parse(text, nullptr, false);
  if (!manifest.is_object()) return out;  // told by ReadManifest
  const std::string where(place);
  ReadSchemas(manifest, "consumes", where, &out.consumes, findings);
  ReadSchemas(manifest, "produces", where, &out.produces, findings);
  ReadSamples(manifest, where, &out, findings);
  ReadReceivers(manifest, where, &out, findings);
  return out;
}

std::vector<Sample> GenerateSamples(const Contracts& contracts, Findings* findings) {
  std::vector<Sample> out;
  if (!contracts.consumes.is_object()) return out;
  for (const auto& [name, schema] : contracts.consumes.items()) {
    size_t room = kMaxGeneratedValues;
    const json value = Example(schema, &room);
    SchemaBudget budget(kMaxSchemaSteps);
    SchemaFault fault;
    if (ValueFits(schema, value, &budget, &fault) != Verdict::kYes) {
      findings->Note("NO_GENERATED_SAMPLE", StrCat("consumes/", name),
                     StrCat("no sample message was made from this schema: of ",
                            Shown(ShownJson(value)), ", the value tried, ", fault.path, " ",
                            fault.reason, "; give the manifest a sample of it"));
      continue;
    }
    Sample sample{.name = StrCat("generated/", name)};
    sample.message.performative = *ParsePerformative(name);
    sample.message.content = value.dump(-1, ' ', false, json::error_handler_t::replace);
    sample.message.content_type = std::string(kJsonType);
    out.push_back(std::move(sample));
  }
  return out;
}

void CheckOwnSamples(const Contracts& contracts, Findings* findings) {
  if (!contracts.consumes.is_object()) return;
  for (const Sample& sample : contracts.samples) {
    const auto told = [&](std::string_view message) {
      findings->Warning("SAMPLE_NOT_CONSUMED", StrCat("sample ", Shown(sample.name)),
                        StrCat("the manifest's own sample contradicts its \"consumes\": ", message),
                        "correct one of the two");
    };
    const std::string name(PerformativeName(sample.message.performative));
    const auto schema = contracts.consumes.find(name);
    if (schema == contracts.consumes.end()) {
      told(StrCat("it is a ", name, ", which is not named there"));
      continue;
    }
    if (IsAnything(*schema)) continue;
    const std::string& content = sample.message.content;
    const json value = JsonDepth(content) > kMaxContentDepth ? json(json::value_t::discarded)
                                                             : json::parse(content, nullptr, false);
    if (value.is_discarded()) {
      told(StrCat("the ", name, " is no JSON, or nests deeper than ", kMaxContentDepth));
      continue;
    }
    SchemaBudget budget(kMaxSchemaSteps);
    SchemaFault fault;
    if (ValueFits(*schema, value, &budget, &fault) == Verdict::kNo) {
      told(StrCat(fault.path, " ", fault.reason));
    }
  }
}

void CheckOutputs(const Contracts& contracts, const std::vector<SampleRun>& runs,
                  Findings* findings) {
  if (!contracts.produces.is_object()) return;
  Findings hostile;
  for (const SampleRun& run : runs) {
    const std::string place = StrCat("sample ", run.name);
    Findings* into = run.hostile ? &hostile : findings;
    if (run.result.reply.has_value()) {
      CheckOutput(contracts, run.result.reply->performative, run.result.reply->content, place,
                  into);
    }
    for (const OutgoingMessage& sent : run.result.sends) {
      CheckOutput(contracts, sent.performative, sent.content, place, into);
    }
  }
  TellOfHostile(hostile.Take(), findings);
}

}  // namespace caxton::examine
