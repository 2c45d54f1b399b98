// SPDX-License-Identifier: Apache-2.0
//
// A manifest, from a module's custom section or get_capabilities, or, after the byte kYaml, as its
// author writes it in YAML: read, its schemas and samples taken, samples made. Properties: every
// text told is fit to be shown and within its limit; each generated sample is JSON that fits its
// schema; the report of it survives its encoding; YAML becomes JSON, or errors that say where.
#include "manifest.h"

#include <nlohmann/json.hpp>

#include "caxton/base/assert.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/examine/examiner.h"
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

void CheckSamples(const Contracts& contracts, Findings* findings) {
  CAXTON_ASSERT(contracts.samples.size() <= examine::kMaxManifestSamples, "samples are bounded");
  for (const examine::Sample& sample : examine::GenerateSamples(contracts, findings)) {
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

constexpr char kYaml = 'Y';  // no manifest in JSON begins with it
constexpr std::string_view kFile = "manifest.yaml";

// The manifest that `yaml` is; empty where it is none.
std::string FromYaml(std::string_view yaml) {
  const auto manifest = examine::ManifestFromYaml(yaml, kFile);
  if (!manifest.ok()) {
    const std::string_view message = StdView(manifest.status().message());
    CAXTON_ASSERT(message.starts_with(std::string(kFile) + ":"), "an error says where");
    CAXTON_ASSERT(!FixOf(manifest.status()).empty(), "an error says what to do");
    return "";
  }
  CAXTON_ASSERT(nlohmann::json::accept(*manifest), "YAML becomes JSON");
  CAXTON_ASSERT(IsUtf8(*manifest), "of texts that are UTF-8");
  return *manifest;
}

void OneManifest(std::string_view input) {
  Findings findings;
  ExamineReport report;
  if (examine::ReadManifest(input, "section caxton.manifest", "greeter", &report.traits,
                            &findings)) {
    const Contracts contracts = examine::ReadContracts(input, "section caxton.manifest", &findings);
    examine::CheckOwnSamples(contracts, &findings);
    CheckSamples(contracts, &findings);
  }
  report.findings = findings.Take();
  CAXTON_ASSERT(report.findings.size() <= kMaxFindings, "findings are bounded");
  std::string bytes;
  EncodeExamineReport(report, &bytes);
  const auto decoded = DecodeExamineReport(bytes);
  CAXTON_ASSERT(decoded.ok(), "what the child reports can be read by the server");
  CAXTON_ASSERT(*decoded == report, "a report survives its encoding");
}

}  // namespace

void OneInput(std::string_view input) {
  if (!input.starts_with(kYaml)) return OneManifest(input);
  OneManifest(FromYaml(input.substr(1)));
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
                R"(Y# in YAML
name: greeter
version: "2.0.0"
abi: 0x1
instance: reused
capabilities: [greet, 'say "hi"', ~]
consumes:
  REQUEST: {type: object, properties: {n: {minimum: -1.5e3, maximum: 0o17}}}
samples:
  - name: one
    json: {n: 1, s: "a\u00e9", t: yes}
  - content: |
      two
      lines
)",
                "Ya: &x [1, 2]\nb: *x\n<<: {c: .inf}\n", "Y{\"name\": \"greeter\", \"abi\": 1}",
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
          "\n- ",
          "\n  ",
          ": ",
          "&a ",
          "*a",
          "!!str ",
          "|\n",
          "---\n",
          "-1",
          "\xc3\x28"};
}

}  // namespace caxton::fuzz
