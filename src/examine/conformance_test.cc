// SPDX-License-Identifier: Apache-2.0
//
// Every module of sdk/abi/conformance against what its manifest.json says of it: static checks,
// initialization, steps. A new line of the ABI needs a module and an entry there, no code here.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "caxton/base/clock.h"
#include "caxton/base/strings.h"
#include "caxton/examine/examiner.h"
#include "caxton/wasm/epoch_ticker.h"
#include "caxton/wasm/instance_pool.h"
#include "caxton/wasm/module.h"

namespace caxton::examine {
namespace {

using nlohmann::json;

std::string ReadFile(const std::string& name) {
  std::ifstream in(StrCat(CAXTON_CONFORMANCE_DIR, "/", name), std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

const json& Manifest() {
  static const json& manifest = *new json(json::parse(ReadFile("manifest.json")));
  return manifest;
}

// A case-insensitive "contains": the texts are for people.
bool Mentions(const ExamineReport& report, const std::string& text) {
  const std::string wanted = AsciiToLower(text);
  return std::any_of(report.findings.begin(), report.findings.end(), [&](const Finding& f) {
    return StrContains(AsciiToLower(StrCat(f.code, " ", f.message, " ", f.place, " ", f.fix)),
                       wanted);
  });
}

Envelope MessageOf(const json& fixture, const json& step) {
  json fields = fixture["message"];
  if (step.contains("message")) fields.update(step["message"]);
  Envelope m;
  m.id = fields.value("id", "");
  m.sender = fields.value("sender", "");
  m.receiver = fields.value("receiver", "");
  m.performative = *ParsePerformative(fields.value("performative", "REQUEST"));
  m.conversation_id = fields.value("conversation_id", "");
  m.reply_with = fields.value("reply_with", "");
  m.in_reply_to = fields.value("in_reply_to", "");
  m.key = fields.value("key", "");
  m.content_type = fields.value("content_type", "");
  m.idempotency_key = fields.value("idempotency_key", "");
  m.deadline_ns = fields.value("deadline_ns", int64_t{0});
  for (const auto& [name, value] : fields["headers"].items()) {
    m.headers.emplace_back(name, value.get<std::string>());
  }
  m.content = step.value("content", "");
  return m;
}

// Compares the keys that `want` has.
void CheckSend(const OutgoingMessage& got, const json& want) {
  json headers = json::object();
  for (const auto& [name, text] : got.headers) headers[name] = text;
  const json all = {{"to", got.to},
                    {"performative", std::string(PerformativeName(got.performative))},
                    {"content", got.content},
                    {"conversation_id", got.conversation_id},
                    {"reply_with", got.reply_with},
                    {"in_reply_to", got.in_reply_to},
                    {"key", got.key},
                    {"content_type", got.content_type},
                    {"deadline_ns", got.deadline_ns},
                    {"headers", headers}};
  for (const auto& [key, value] : want.items()) {
    EXPECT_EQ(all.value(key, json()), value) << key;
  }
}

void CheckLogs(const std::vector<std::string>& lines, const json& want) {
  size_t at = 0;
  for (const json& text : want) {
    while (at < lines.size() && !StrContains(lines[at], text.get<std::string>())) ++at;
    EXPECT_LT(at, lines.size()) << "no log line with " << text;
    ++at;
  }
}

// The manifest's own names of outcomes.
std::string_view OutcomeName(StepOutcome outcome) {
  switch (outcome) {
    case StepOutcome::kHandled:
      return "handled";
    case StepOutcome::kAgentFailed:
      return "agent_failed";
    case StepOutcome::kAgentRejected:
      return "agent_rejected";
    case StepOutcome::kTrapped:
      return "trapped";
    case StepOutcome::kDeadline:
      return "deadline";
    case StepOutcome::kMemoryLimit:
      return "memory_limit";
    default:
      return StepOutcomeName(outcome);
  }
}

// The fields of `step` that look at this result alone.
void CheckResult(const StepResult& result, const json& step) {
  const std::string outcomes = step.value("outcome", "handled");
  bool as_wanted = false;
  std::stringstream list(outcomes);
  for (std::string name; std::getline(list, name, '|');) {
    as_wanted = as_wanted || name == OutcomeName(result.outcome);
  }
  EXPECT_TRUE(as_wanted) << OutcomeName(result.outcome) << " " << result.agent_code << ", not "
                         << outcomes << ": " << result.detail;
  if (step.contains("agent_code")) {
    EXPECT_EQ(result.agent_code, step["agent_code"]);
  }
  if (step.contains("reply")) {
    ASSERT_EQ(result.reply.has_value(), !step["reply"].is_null());
    if (result.reply.has_value()) {
      EXPECT_EQ(result.reply->content, step["reply"]);
    }
  }
  if (step.contains("reply_performative")) {
    ASSERT_TRUE(result.reply.has_value());
    EXPECT_EQ(PerformativeName(result.reply->performative), step["reply_performative"]);
  }
  if (step.contains("sends")) {
    ASSERT_EQ(result.sends.size(), step["sends"].size());
    for (size_t i = 0; i < result.sends.size(); ++i) CheckSend(result.sends[i], step["sends"][i]);
  }
  if (step.contains("sends_count")) {
    EXPECT_EQ(result.sends.size(), step["sends_count"]);
  }
  if (step.contains("logs")) {
    std::vector<std::string> lines;
    for (const LogLine& line : result.logs) lines.push_back(line.text);
    CheckLogs(lines, step["logs"]);
  }
  if (step.value("logs_dropped", false)) {
    EXPECT_GT(result.logs_dropped, 0u);
  }
  if (step.contains("detail")) {
    EXPECT_THAT(result.detail, ::testing::HasSubstr(step["detail"].get<std::string>()));
  }
}

class ConformanceTest : public ::testing::TestWithParam<size_t> {
 protected:
  const json& entry() const { return Manifest()["entries"][GetParam()]; }
  const json& fixture() const { return Manifest()["fixture"]; }

  void SetUp() override {
    const json& limits = fixture()["limits"];
    options_.config.agent = "conformance";
    options_.config.settings = fixture()["settings"].get<std::map<std::string, std::string>>();
    options_.config.memory_bytes = limits["memory_bytes"];
    options_.config.max_message_bytes = limits["max_message_bytes"];
    options_.config.init_time_ns = 1'600'000'000'000'000'000;
    options_.init_limit_ns = limits["deadline_ns"];
    options_.clock = &clock_;
    options_.sandbox = false;  // most of these are made to fail steps
    engine_ = *wasm::Engine::Create({});
  }

  void RunSteps(const Examination& examination, const json& steps) {
    const auto module = wasm::Module::LoadBytes(*engine_, examination.native);
    ASSERT_TRUE(module.ok()) << module.status();
    wasm::EpochTicker ticker(*engine_);
    const wasm::EpochTicker::Scope scope(ticker);
    wasm::StepControl control;
    control.clock = &clock_;
    wasm::InstancePool pool(**module, options_.config, control,
                            {.reused = examination.report.traits.reused_instances});
    std::vector<StepResult> results;
    for (const json& step : steps) {
      SCOPED_TRACE(StrCat("step ", results.size(), ": ", step.dump().substr(0, 300)));
      auto instance = pool.Take();
      ASSERT_TRUE(instance.ok()) << instance.status();
      StepInput input;
      input.ticket = Ticket(results.size() + 1);
      input.time_ns = step.value("time_ns", fixture()["time_ns"].get<int64_t>());
      input.seed.fill(step.value("seed_byte", fixture()["seed_byte"].get<uint8_t>()));
      control.deadline_mono_ns =
          clock_.MonoNanos() + fixture()["limits"]["deadline_ns"].get<int64_t>();
      StepResult result = (*instance)->HandleMessage(input, MessageOf(fixture(), step), control);
      pool.Keep(*std::move(instance));
      CheckResult(result, step);
      for (const auto& [key, same] :
           {std::pair<const char*, bool>{"reply_same_as", true}, {"reply_differs_from", false}}) {
        if (!step.contains(key)) continue;
        const StepResult& other = results[step[key].get<size_t>()];
        ASSERT_TRUE(result.reply.has_value() && other.reply.has_value());
        EXPECT_EQ(result.reply->content == other.reply->content, same);
      }
      results.push_back(std::move(result));
    }
  }

  SystemClock clock_;
  ExamineOptions options_;
  std::unique_ptr<wasm::Engine> engine_;
};

TEST_P(ConformanceTest, Holds) {
  const std::string file = entry()["file"];
  const absl::StatusOr<std::string> wasm = wasm::Engine::WatToWasm(ReadFile(file));
  ASSERT_TRUE(wasm.ok()) << file << ": " << wasm.status();
  const json& expect = entry()["expect"];
  const Examination examination =
      ExamineModule(*engine_, *wasm, options_, [](ExaminePhase, const ExamineReport&) {});
  const ExamineReport& report = examination.report;
  std::string told;
  for (const Finding& finding : report.findings) told += StrCat("  ", finding.message, "\n");
  SCOPED_TRACE(StrCat(file, "\n", told));
  const bool refused =
      std::any_of(report.findings.begin(), report.findings.end(), [](const Finding& finding) {
        return finding.severity == FindingSeverity::kError && finding.code != "INIT_FAILED";
      });
  ASSERT_EQ(refused, expect["static"] == "refused");
  if (refused) {
    const json& reason = expect["reason"];
    for (const json& text : reason.is_array() ? reason : json::array({reason})) {
      EXPECT_TRUE(Mentions(report, text)) << "nothing about " << text;
    }
    EXPECT_TRUE(examination.native.empty());
    return;
  }
  ASSERT_EQ(report.stats.initialized, expect["init"] == "ok");
  if (expect.contains("init_logs")) CheckLogs(report.log, expect["init_logs"]);
  if (expect.contains("steps")) RunSteps(examination, expect["steps"]);
}

INSTANTIATE_TEST_SUITE_P(Abi, ConformanceTest,
                         ::testing::Range<size_t>(0, Manifest()["entries"].size()),
                         [](const auto& info) {
                           std::string name = Manifest()["entries"][info.param]["file"];
                           name.resize(name.find('.'));
                           return name;
                         });

}  // namespace
}  // namespace caxton::examine
