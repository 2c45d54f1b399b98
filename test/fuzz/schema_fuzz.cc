// SPDX-License-Identifier: Apache-2.0
//
// Schemas as their author wrote them: a JSON list of an old schema, a new one, and a value. Nothing
// may crash or take long, whatever they say; and what is accepted of the old one is not refused by
// the new one where the comparison found nothing.
#include "schema.h"

#include "caxton/base/assert.h"
#include "caxton/examine/limits.h"
#include "caxton/model/text.h"
#include "containment.h"
#include "fuzz_target.h"
#include "manifest.h"

namespace caxton::fuzz {
namespace {

using examine::SchemaFault;
using examine::Verdict;
using nlohmann::json;

void CheckFaults(const std::vector<SchemaFault>& faults) {
  CAXTON_ASSERT(faults.size() <= examine::kMaxSchemaFaults, "faults are bounded");
  for (const SchemaFault& fault : faults) {
    CAXTON_ASSERT(IsUtf8(fault.path) && IsUtf8(fault.reason), "faults are fit to be shown");
  }
}

Verdict Fits(const json& schema, const json& value) {
  examine::SchemaBudget budget(examine::kMaxSchemaSteps);
  SchemaFault fault;
  const Verdict verdict = examine::ValueFits(schema, value, &budget, &fault);
  if (verdict != Verdict::kYes) CheckFaults({fault});
  return verdict;
}

}  // namespace

void OneInput(std::string_view input) {
  // As the callers do.
  if (input.size() > examine::kMaxManifestBytes || !IsUtf8(input)) return;
  if (examine::JsonDepth(input) > examine::kMaxManifestDepth) return;
  const json parts = json::parse(input, nullptr, false);
  if (!parts.is_array() || parts.size() != 3) return;
  const json &before = parts[0], &after = parts[1], &value = parts[2];
  const std::vector<SchemaFault> malformed = examine::CheckSchema(before);
  const std::vector<SchemaFault> malformed_too = examine::CheckSchema(after);
  CheckFaults(malformed);
  CheckFaults(malformed_too);
  if (!malformed.empty() || !malformed_too.empty()) return;
  const std::vector<SchemaFault> faults = examine::FindNarrowing(before, after);
  CheckFaults(faults);
  const Verdict old = Fits(before, value);
  const Verdict now = Fits(after, value);
  CAXTON_ASSERT(!faults.empty() || old != Verdict::kYes || now != Verdict::kNo,
                "what the old schema accepts is accepted by the new one");
}

std::vector<std::string> Seeds() {
  return {
      R"([{"type":"object","required":["a"],"properties":{"a":{"type":"string"}}},
          {"type":"object","properties":{"a":{"type":"string"}}},{"a":"x"}])",
      R"([{"enum":[1,2,"x"]},{"anyOf":[{"type":"integer"},{"const":"x"}]},2])",
      R"([{"type":"integer","minimum":1,"maximum":9},{"type":"number","minimum":0.5},3])",
      R"([{"type":"array","items":{"type":"string","minLength":1},"maxItems":3},
          {"type":"array","items":{"type":"string"}},["a","b"]])",
      R"([{"oneOf":[{"type":"null"},{"type":"string"}]},{"type":["string","null"]},null])",
      R"([{"pattern":"^a+$","type":"string"},{"pattern":"^a+$"},"aa"])",
      R"([true,{},[]])",
      R"([{"properties":{"a":false,"b":{"not":{}}},"additionalProperties":false},
          {"additionalProperties":{"type":"boolean"}},{"c":true}])",
  };
}

std::vector<std::string> Words() {
  return {"\"type\":",
          "\"object\"",
          "\"array\"",
          "\"string\"",
          "\"number\"",
          "\"integer\"",
          "\"boolean\"",
          "\"null\"",
          "\"properties\":",
          "\"required\":[",
          "\"additionalProperties\":",
          "\"enum\":[",
          "\"const\":",
          "\"items\":",
          "\"minimum\":",
          "\"maximum\":",
          "\"minLength\":",
          "\"maxLength\":",
          "\"minItems\":",
          "\"maxItems\":",
          "\"anyOf\":[",
          "\"oneOf\":[",
          "\"pattern\":",
          "\"title\":",
          "18446744073709551615",
          "-1",
          "0.5",
          "1e300",
          "9007199254740993",
          "true",
          "false",
          "null",
          "{}",
          "[]",
          "\"a\""};
}

}  // namespace caxton::fuzz
