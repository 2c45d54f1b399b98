// SPDX-License-Identifier: Apache-2.0
//
// The corpus of test/data/modules: index.txt says what must be found in each module. Those that the
// process of a test survives (column 2: l) are examined here; test/integration/corpus_test.py gets
// all of them through the real child.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "caxton/base/clock.h"
#include "caxton/base/strings.h"
#include "caxton/examine/examiner.h"

namespace caxton::examine {
namespace {

struct Row {
  std::string module, shown_by, stage, severity, codes, says;
};

std::vector<std::string> Words(const std::string& line, char separator) {
  std::vector<std::string> words;
  size_t begin = 0;
  while (begin <= line.size()) {
    const size_t end = std::min(line.find(separator, begin), line.size());
    std::string word = line.substr(begin, end - begin);
    word.erase(0, std::min(word.find_first_not_of(' '), word.size()));
    word.erase(word.find_last_not_of(' ') + 1);
    words.push_back(std::move(word));
    begin = end + 1;
  }
  return words;
}

std::vector<Row> ReadIndex() {
  std::vector<Row> rows;
  std::ifstream index(CAXTON_CORPUS_INDEX);
  for (std::string line; std::getline(index, line);) {
    if (line.empty() || line[0] == '#') continue;
    const std::vector<std::string> cells = Words(line, '|');
    if (cells.size() != 6) {
      ADD_FAILURE() << "not a row of six cells: " << line;
      continue;
    }
    rows.push_back({cells[0], cells[1], cells[2], cells[3], cells[4], cells[5]});
  }
  return rows;
}

std::vector<Row> ExaminedHere() {
  std::vector<Row> rows = ReadIndex();
  std::erase_if(rows, [](const Row& row) { return row.shown_by.find('l') == std::string::npos; });
  return rows;
}

std::string ReadModuleFile(const std::string& name) {
  std::ifstream in(StrCat(CAXTON_CORPUS, "/", name, ".wasm"), std::ios::binary);
  EXPECT_TRUE(in.good()) << name;
  return std::string(std::istreambuf_iterator<char>(in), {});
}

std::string AllOf(const ExamineReport& report) {
  std::string text;
  for (const Finding& finding : report.findings) {
    text += StrCat("  ", FindingSeverityName(finding.severity), " ",
                   ExamineStageName(finding.stage), " ", finding.code, ": ", finding.message, "\n");
  }
  return text;
}

std::set<std::string> Codes(const ExamineReport& report, FindingSeverity severity) {
  std::set<std::string> codes;
  for (const Finding& finding : report.findings) {
    if (finding.severity == severity) codes.insert(finding.code);
  }
  return codes;
}

class CorpusTest : public ::testing::TestWithParam<Row> {};

TEST_P(CorpusTest, IsToldAsTheIndexSays) {
  const Row& row = GetParam();
  const SystemClock clock;
  const auto engine = *wasm::Engine::Create({});
  ExamineOptions options;
  options.clock = &clock;
  options.config.agent = "corpus";
  const ExamineReport report = ExamineModule(*engine, ReadModuleFile(row.module), options,
                                             [](ExaminePhase, const ExamineReport&) {})
                                   .report;
  SCOPED_TRACE(AllOf(report));
  std::set<std::string> errors, warnings, expected;
  for (const std::string& code : Words(row.codes, ' ')) expected.insert(code);
  if (row.severity == "error") errors = expected;
  if (row.severity == "warning") warnings = expected;
  EXPECT_EQ(Codes(report, FindingSeverity::kError), errors);
  // What is refused may warn as well: an agent that traps on its own sample does on others.
  if (errors.empty()) {
    EXPECT_EQ(Codes(report, FindingSeverity::kWarning), warnings);
  }
  EXPECT_EQ(report.ok(), row.severity != "error");
  for (const Finding& finding : report.findings) {
    EXPECT_EQ(finding.fix.empty(), finding.severity == FindingSeverity::kNote) << finding.code;
  }
  if (row.severity == "good") {
    EXPECT_TRUE(std::all_of(report.stages.begin(), report.stages.end(),
                            [](const StageRun& run) { return run.ran; }));
    return;
  }
  EXPECT_TRUE(std::any_of(report.findings.begin(), report.findings.end(),
                          [&](const Finding& f) {
                            return expected.contains(f.code) &&
                                   ExamineStageName(f.stage) == row.stage &&
                                   StrContains(f.message, row.says);
                          }))
      << "nothing says: " << row.says;
}

INSTANTIATE_TEST_SUITE_P(Index, CorpusTest, ::testing::ValuesIn(ExaminedHere()),
                         [](const auto& info) {
                           std::string name = info.param.module;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

// At least sixty modules with a fault each, of all stages.
TEST(CorpusIndexTest, IsWhatItIsMeantToBe) {
  std::set<std::string> modules, stages;
  size_t faulty = 0;
  for (const Row& row : ReadIndex()) {
    EXPECT_TRUE(modules.insert(row.module).second) << row.module << " is there twice";
    EXPECT_THAT(row.severity, ::testing::AnyOf("good", "warning", "error", "ends")) << row.module;
    if (row.severity == "good") continue;
    EXPECT_FALSE(row.says.empty()) << row.module;
    if (row.severity == "ends") {
      // One would take this process with it.
      EXPECT_FALSE(StrContains(row.shown_by, "l")) << row.module;
      continue;
    }
    ++faulty;
    stages.insert(row.stage);
  }
  EXPECT_GE(faulty, 60u);
  EXPECT_EQ(stages, (std::set<std::string>{"static", "sandbox", "contracts", "resources"}));
}

}  // namespace
}  // namespace caxton::examine
