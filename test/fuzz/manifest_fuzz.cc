// SPDX-License-Identifier: Apache-2.0
//
// A manifest, from a module's custom section or get_capabilities: read, its schemas and samples
// taken, samples made. Properties: every text told is fit to be shown and within its limit; each
// generated sample is JSON that fits its schema; the report of it survives its encoding.
#include "manifest.h"

#include <nlohmann/json.hpp>

#include "caxton/base/assert.h"
#include "caxton/examine/limits.h"
#include "caxton/model/examine_report.h"
#include "caxton/model/text.h"
#include "contracts.h"
#include "files.h"
#include "findings.h"
#include "fuzz_target.h"
#include "schema.h"

namespace caxton::fuzz {
namespace {

using examine::Contracts;
using examine::Findings;

// A number is one value, and has this many characters; a character has up to six, escaped.
constexpr size_t kMaxGeneratedBytes = 32 * examine::kMaxGeneratedValues;

void CheckSamples(const Contracts& contracts) {
  CAXTON_ASSERT(contracts.samples.size() <= examine::kMaxManifestSamples, "samples are bounded");
  for (const examine::Sample& sample : examine::GenerateSamples(contracts)) {
    const auto value = nlohmann::json::parse(sample.message.content, nullptr, false);
    CAXTON_ASSERT(!value.is_discarded(), "a generated sample is JSON");
    CAXTON_ASSERT(sample.message.content.size() <= kMaxGeneratedBytes, "samples are bounded");
    const std::string name(PerformativeName(sample.message.performative));
    examine::SchemaBudget budget(examine::kMaxSchemaSteps);
    examine::SchemaFault fault;
    CAXTON_ASSERT(examine::ValueFits(contracts.consumes.at(name), value, &budget, &fault) !=
                      examine::Verdict::kNo,
                  "a generated sample fits its schema");
  }
}

}  // namespace

void OneInput(std::string_view input) {
  Findings findings;
  ExamineReport report;
  examine::ReadManifest(input, "section caxton.manifest", "greeter", &report.traits, &findings);
  if (!findings.has_error()) {
    CheckSamples(examine::ReadContracts(input, "section caxton.manifest", &findings));
  }
  report.findings = findings.Take();
  CAXTON_ASSERT(report.findings.size() <= kMaxFindings, "findings are bounded");
  std::string bytes;
  EncodeExamineReport(report, &bytes);
  const auto decoded = DecodeExamineReport(bytes);
  CAXTON_ASSERT(decoded.ok(), "what the child reports can be read by the server");
  CAXTON_ASSERT(*decoded == report, "a report survives its encoding");
}

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds = ProjectFiles("examples", ".json");
  seeds.insert(seeds.end(),
               {R"({"name":"greeter","version":"1.0","abi":1,"instance":"reused",
                    "capabilities":["a","b"],"performatives":["REQUEST","INFORM"]})",
                R"({"consumes":{"REQUEST":{"type":"object","required":["n"],"properties":{
                    "n":{"type":"integer","minimum":1,"maximum":5},"s":{"type":"string",
                    "minLength":2,"maxLength":9},"l":{"type":"array","minItems":2,"items":
                    {"enum":["x",2,null]}}},"additionalProperties":false},"QUERY":{"anyOf":[
                    {"const":1},{"type":"boolean"}]}},"produces":{"INFORM":true}})",
                R"({"samples":[{"name":"one","performative":"REQUEST","json":{"n":1}},
                    {"name":"two","content":"text","content_type":"text/plain"}],
                    "state":{"writes":1},"resources":{}})",
                R"({"consumes":{"Request":{"type":"array","minItems":9,"items":{"type":"array",
                    "minItems":9,"items":{"const":[1,2,3,4,5,6,7,8,9]}}}},"sends_to":{"billing":[
                    "REQUEST","INFORM"]}})"});
  return seeds;
}

std::vector<std::string> Words() {
  return {"\"name\"",
          "\"version\"",
          "\"abi\"",
          "\"instance\"",
          "\"capabilities\"",
          "\"consumes\"",
          "\"produces\"",
          "\"samples\"",
          "\"performatives\"",
          "\"REQUEST\"",
          "\"json\"",
          "\"content\"",
          "\"type\"",
          "\"object\"",
          "\"array\"",
          "\"items\"",
          "\"minItems\":16",
          "\"minLength\":",
          "\"enum\"",
          "\"const\":",
          "\"minItems\":9,\"items\":",
          "\"sends_to\"",
          "\"state\"",
          "\"anyOf\"",
          "\"properties\"",
          "\"required\"",
          "\\ud800",
          "\\u0000",
          "1e999",
          "[[[[[[[[",
          "{\"a\":",
          "18446744073709551615",
          "null",
          "true",
          "-1",
          "\xc3\x28"};
}

}  // namespace caxton::fuzz
