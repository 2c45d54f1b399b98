// SPDX-License-Identifier: Apache-2.0
//
// Two schemas, made of the input: an old one, and mostly an edited copy of it. Properties: nothing
// made here is malformed; a schema contains itself; a list fits where its items do; where the
// comparison says "accepted", no value that fits the old one is refused by the new one; where the
// old one lists its values and the comparison says "narrowed" for certain, one of them is refused.
#include "containment.h"

#include <cstdio>

#include "byte_source.h"
#include "caxton/base/assert.h"
#include "caxton/base/hash.h"
#include "caxton/examine/limits.h"
#include "fuzz_target.h"
#include "schema.h"
#include "schema_values.h"

namespace caxton::fuzz {
namespace {

using examine::SchemaFault;
using examine::Verdict;
using nlohmann::json;

constexpr int kValues = 24;

Verdict Fits(const json& schema, const json& value) {
  examine::SchemaBudget budget(examine::kMaxSchemaSteps);
  SchemaFault fault;
  return examine::ValueFits(schema, value, &budget, &fault);
}

// Says what did not hold, before the assertion ends the process.
void Require(bool held, const char* what, const json& before, const json& after,
             const json& value) {
  if (held) return;
  std::fprintf(stderr, "%s\n  old   %s\n  new   %s\n  value %s\n", what, before.dump().c_str(),
               after.dump().c_str(), value.dump().c_str());
  CAXTON_ASSERT(held, what);
}

// Random values of `before`, and both schemas' own.
void CheckAccepted(const json& before, const json& after, uint64_t seed) {
  SeededRandom random(seed);
  for (int i = 0; i < kValues; ++i) {
    const json value = MakeValue(random.Below(4) == 0 ? after : before, random, 0);
    if (Fits(before, value) != Verdict::kYes) continue;
    Require(Fits(after, value) != Verdict::kNo, "accepted, and a value is refused", before, after,
            value);
  }
}

// A list fits where each of its items does, whatever their order.
void CheckItems(const json& schema, uint64_t seed) {
  SeededRandom random(seed);
  const json one = MakeValue(schema, random, 0);
  const json two = MakeValue(schema, random, 0);
  const Verdict each[] = {Fits(schema, one), Fits(schema, two)};
  const bool no = each[0] == Verdict::kNo || each[1] == Verdict::kNo;
  const bool yes = each[0] == Verdict::kYes && each[1] == Verdict::kYes;
  const Verdict both = no ? Verdict::kNo : yes ? Verdict::kYes : Verdict::kUndecided;
  const json list_schema = {{"items", schema}};
  for (const json& list : {json::array({one, two}), json::array({two, one})}) {
    Require(Fits(list_schema, list) == both, "a list is not what its items are", schema, schema,
            list);
  }
}

void CheckCertain(const json& before, const json& after) {
  if (!before.is_object() || !before.contains("enum") || before.contains("const")) return;
  bool open = false, refused = false;
  for (const json& value : before["enum"]) {
    const Verdict old = Fits(before, value);
    const Verdict now = Fits(after, value);
    open = open || old == Verdict::kUndecided || now == Verdict::kUndecided;
    refused = refused || (old == Verdict::kYes && now == Verdict::kNo);
  }
  Require(open || refused, "narrowed for certain, and every value is accepted", before, after,
          before["enum"]);
}

}  // namespace

void OneInput(std::string_view input) {
  ByteSource in(input);
  const bool edited = !in.Chance(4);
  const json before = MakeSchema(in, 0);
  const json after = edited ? EditSchema(before, in) : MakeSchema(in, 0);
  for (const json* schema : {&before, &after}) {
    Require(examine::CheckSchema(*schema).empty(), "malformed", *schema, json(), json());
    Require(examine::FindNarrowing(*schema, *schema).empty(), "does not contain itself", *schema,
            *schema, json());
  }
  const std::vector<SchemaFault> faults = examine::FindNarrowing(before, after);
  CAXTON_ASSERT(faults.size() <= examine::kMaxSchemaFaults, "faults are bounded");
  bool certain = false;
  for (const SchemaFault& fault : faults) certain = certain || !fault.undecided;
  const Digest digest = Sha256(input);
  uint64_t seed = 0;
  for (size_t i = 0; i < sizeof seed; ++i) seed = seed << 8 | digest.bytes[i];
  CheckItems(before, seed);
  if (faults.empty()) CheckAccepted(before, after, seed);
  if (certain) CheckCertain(before, after);
}

// Every keyword is reached from any bytes: a few of different lengths will do.
std::vector<std::string> Seeds() {
  std::vector<std::string> seeds;
  SeededRandom random(7);
  for (size_t size = 8; size <= 128; size += 8) {
    std::string seed(size, '\0');
    for (char& byte : seed) byte = static_cast<char>(random.Below(256));
    seeds.push_back(std::move(seed));
  }
  return seeds;
}

std::vector<std::string> Words() { return {}; }

}  // namespace caxton::fuzz
