// SPDX-License-Identifier: Apache-2.0
#include "caxton/examine/examiner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "caxton/base/strings.h"
#include "caxton/examine/limits.h"
#include "examine_test_util.h"
#include "module_reader.h"

namespace caxton::examine {
namespace {

using ::testing::Contains;
using ::testing::Field;
using ::testing::HasSubstr;

constexpr std::string_view kGood = R"((module
  (memory (export "memory") 2)
  (func (export "agent_alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "handle_message") (param i32 i32) (result i32) (i32.const 0))))";

class ExaminerTest : public ::testing::Test {
 protected:
  ExaminerTest() {
    options_.clock = &clock_;
    options_.config.memory_bytes = 1 << 20;
  }
  ExamineReport Check(std::string_view wasm) { return CheckModule(*engine_, wasm, options_); }
  ExamineReport CheckWat(std::string_view wat) { return Check(*wasm::Engine::WatToWasm(wat)); }
  static std::vector<std::string> Codes(const ExamineReport& report) {
    std::vector<std::string> codes;
    for (const Finding& finding : report.findings) codes.push_back(finding.code);
    return codes;
  }

  SystemClock clock_;
  ExamineOptions options_;
  std::unique_ptr<wasm::Engine> engine_ = *wasm::Engine::Create({});
};

TEST_F(ExaminerTest, GoodModulePassesEveryPart) {
  std::vector<ExaminePhase> phases;
  const std::string wasm = *wasm::Engine::WatToWasm(kGood);
  std::vector<size_t> stages;  // how many had begun
  const Examination examination =
      ExamineModule(*engine_, wasm, options_, [&](ExaminePhase phase, const ExamineReport& so_far) {
        phases.push_back(phase);
        stages.push_back(std::count_if(so_far.stages.begin(), so_far.stages.end(),
                                       [](const StageRun& run) { return run.ran; }));
      });
  EXPECT_TRUE(examination.report.ok());
  EXPECT_FALSE(examination.native.empty());
  EXPECT_TRUE(examination.report.stats.initialized);
  EXPECT_EQ(examination.report.stats.memory_min_bytes, 2u << 16);
  EXPECT_EQ(examination.report.engine, StrCat("wasmtime ", wasm::Engine::Version()));
  EXPECT_EQ(phases, (std::vector{ExaminePhase::kChecking, ExaminePhase::kCompiling,
                                 ExaminePhase::kInitializing, ExaminePhase::kSampling,
                                 ExaminePhase::kComparing, ExaminePhase::kWeighing}));
  EXPECT_EQ(stages, (std::vector<size_t>{1, 1, 1, 2, 3, 4}));
}

TEST_F(ExaminerTest, ReportSurvivesItsEncoding) {
  const ExamineReport report = CheckWat(R"((module (import "caxton" "rplay" (func))))");
  std::string bytes;
  EncodeExamineReport(report, &bytes);
  const auto decoded = DecodeExamineReport(bytes);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(*decoded, report);
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(DecodeExamineReport(std::string_view(bytes).substr(0, size)).ok());
  }
}

TEST_F(ExaminerTest, WhatIsNoModuleIsToldFromItsBytes) {
  const struct {
    std::string_view bytes;
    std::string_view says;
  } cases[] = {{"", "empty"},
               {"(module)", "text form"},
               {"\x7f"
                "ELF....",
                "native"},
               {"hello, world", "no WebAssembly module"},
               {std::string_view("\0asm", 4), "middle of its header"},
               {std::string_view("\0asm\xd\0\1\0", 8), "component"},
               {std::string_view("\0asm\7\0\0\0", 8), "unknown version"}};
  for (const auto& [bytes, says] : cases) {
    const ExamineReport report = Check(bytes);
    ASSERT_EQ(report.findings.size(), 1u) << says;
    EXPECT_THAT(report.findings[0].message, HasSubstr(std::string(says)));
    EXPECT_FALSE(report.findings[0].fix.empty());
  }
}

TEST_F(ExaminerTest, TruncatedModuleIsInvalidAtEveryLength) {
  const std::string wasm = *wasm::Engine::WatToWasm(kGood);
  for (size_t size = 0; size < wasm.size(); ++size) {
    EXPECT_FALSE(Check(std::string_view(wasm).substr(0, size)).ok()) << size;
  }
}

TEST_F(ExaminerTest, EveryFlippedByteIsSurvived) {
  const std::string wasm = *wasm::Engine::WatToWasm(kGood);
  for (size_t i = 0; i < wasm.size(); ++i) {
    for (const uint8_t bits : {0x01, 0x80, 0xff}) {
      std::string damaged = wasm;
      damaged[i] = static_cast<char>(damaged[i] ^ bits);
      ReadModule(damaged);
      Check(damaged);
    }
  }
}

TEST_F(ExaminerTest, AllFaultsAtOnceWithSuggestions) {
  const ExamineReport report = CheckWat(R"((module
    (import "caxton" "replay" (func (param i32 i32 i32) (result i32)))
    (import "caxton" "now" (func (result i32)))
    (import "caxton" "emit" (func (param i32 i32 i32) (result i32)))
    (func (export "_start"))
    (func (export "handle_message") (param i32) (result i32) (i32.const 0))
    (func (export "agent_apply"))))");
  EXPECT_THAT(Codes(report),
              ::testing::UnorderedElementsAre(
                  "UNKNOWN_IMPORT", "IMPORT_TYPE", "NOT_IN_THIS_RELEASE", "NOT_IN_THIS_RELEASE",
                  "COMMAND_MODULE", "EXPORT_TYPE", "MISSING_EXPORT", "MISSING_EXPORT"));
  EXPECT_THAT(report.findings, Contains(Field(&Finding::fix, "did you mean caxton.reply?")));
  EXPECT_THAT(report.findings, Contains(Field(&Finding::fix, HasSubstr("-mexec-model=reactor"))));
}

TEST_F(ExaminerTest, ExportsWrappedByTheLinkerAreACommandModule) {
  EXPECT_THAT(Codes(CheckWat(R"((module
    (memory (export "memory") 2)
    (func (export "agent_alloc") (param i32) (result i32) (i32.const 1024))
    (func $handle_message.command_export (export "handle_message") (param i32 i32) (result i32)
      (i32.const 0))))")),
              ::testing::ElementsAre("COMMAND_MODULE"));
}

TEST_F(ExaminerTest, MemoryBeyondTheLimit) {
  const ExamineReport report = CheckWat(R"((module
    (memory (export "memory") 1000)
    (func (export "agent_alloc") (param i32) (result i32) (i32.const 1024))
    (func (export "handle_message") (param i32 i32) (result i32) (i32.const 0))))");
  ASSERT_EQ(Codes(report), std::vector<std::string>{"MEMORY_TOO_LARGE"});
  EXPECT_THAT(report.findings[0].fix, HasSubstr("--memory 63Mi"));
}

TEST_F(ExaminerTest, ManyUnknownImportsAreSummedUpByModule) {
  std::string wat = "(module ";
  for (int i = 0; i < 300; ++i) wat += StrCat("(import \"env\" \"invoke_", i, "\" (func))");
  for (int i = 0; i < 20; ++i) wat += StrCat("(import \"m", i, "\" \"f\" (func))");
  const ExamineReport report = CheckWat(wat + ")");
  // Of env, ten and a sum; of the others, nine and a sum; what is missing is told as well.
  EXPECT_EQ(std::count_if(report.findings.begin(), report.findings.end(),
                          [](const Finding& f) { return f.code == "UNKNOWN_IMPORT"; }),
            kMaxListedImports + 1 + kMaxListedImports - 1 + 1);
  EXPECT_THAT(Codes(report), Contains("MISSING_EXPORT"));
  EXPECT_THAT(
      report.findings,
      Contains(::testing::AllOf(Field(&Finding::place, "import env.*"),
                                Field(&Finding::message, HasSubstr("290 more of the module env")),
                                Field(&Finding::fix, HasSubstr("Emscripten")))));
  EXPECT_THAT(report.findings,
              Contains(Field(&Finding::message, HasSubstr("11 more of other modules"))));
}

TEST_F(ExaminerTest, ImportsOfOtherHostsAreToldWithTheirToolchain) {
  const struct {
    const char* module;
    const char* name;
    const char* fix;
  } cases[] = {
      {"wbg", "__wbindgen_throw", "wasm-bindgen"},
      {"./x_bg.js", "__wbg_new_1", "wasm-bindgen"},
      {"gojs", "runtime.wasmExit", "GOOS=wasip1"},
      {"env", "__syscall_openat", "Emscripten"},
      {"env", "_emscripten_thread_init", "without threads"},
      {"a", "b", "emcc"},
      {"GOT.mem", "stderr", "into one module"},
      {"env", "napi_throw", "Node"},
      {"wasi:io/streams@0.2.0", "drop", "wasm32-wasip1"},
      {"wasi_snapshot_preview1", "fd_filestat_get", "no files"},
      {"wasi_snapshot_preview1", "random_gat", "did you mean wasi_snapshot_preview1.random_get?"},
      {"x", "y", "sdk/abi/abi.md"},
      {"", "0", "wasm32-wasip1"},
  };
  for (const auto& c : cases) {
    const ExamineReport report = CheckWat(
        StrCat("(module (import \"", c.module, "\" \"", c.name, "\" (func (param f32))))"));
    EXPECT_THAT(report.findings, Contains(::testing::AllOf(Field(&Finding::code, "UNKNOWN_IMPORT"),
                                                           Field(&Finding::fix, HasSubstr(c.fix)))))
        << c.module << "." << c.name;
  }
}

TEST_F(ExaminerTest, RefusedProposalsAreToldWithTheFlag) {
  const struct {
    const char* wat;
    const char* fix;
  } cases[] = {
      {"(module (import \"x\" \"y\" (func (param externref))))", "externref"},
      {"(module (memory 1 1 shared))", "without threads"},
      {"(module (tag))", "without exceptions"},
      {"(module (func (drop (i8x16.relaxed_swizzle (v128.const i64x2 0 0) (v128.const i64x2 0 "
       "0)))))",
       "relaxed-simd"},
      {"(module (func return_call 0))", "tail"},
      {"(module (memory i64 1))", "wasm32"},
      {"(module (memory 1) (memory 1))", "one memory"},
  };
  for (const auto& c : cases) {
    const ExamineReport report = CheckWat(c.wat);
    EXPECT_THAT(report.findings, Contains(::testing::AllOf(Field(&Finding::code, "INVALID_MODULE"),
                                                           Field(&Finding::fix, HasSubstr(c.fix)))))
        << c.wat << ": " << report.findings[0].message;
  }
}

TEST_F(ExaminerTest, AModuleThatIsCutShortIsCalledThat) {
  const std::string whole = *wasm::Engine::WatToWasm(
      "(module (memory (export \"memory\") 1) (func (export \"f\") (result i32) (i32.const 7)))");
  int cut = 0;
  for (size_t bytes = 9; bytes < whole.size(); ++bytes) {
    const ExamineReport report = Check(whole.substr(0, bytes));
    const auto invalid = std::find_if(report.findings.begin(), report.findings.end(),
                                      [](const Finding& f) { return f.code == "INVALID_MODULE"; });
    // Between two sections nothing shows that something is missing.
    if (invalid == report.findings.end() || invalid->message.find("cut short") == std::string::npos)
      continue;
    EXPECT_THAT(invalid->fix, HasSubstr("whole")) << bytes;
    ++cut;
  }
  constexpr int kSections = 5;  // type, function, memory, export, code
  EXPECT_GE(cut, static_cast<int>(whole.size()) - 9 - kSections);
  for (const Finding& finding : Check(whole).findings) EXPECT_NE(finding.code, "INVALID_MODULE");
  // What is there, but wrong, is something else.
  std::string wrong = whole;
  wrong[wrong.size() - 3] = '\xff';  // no such instruction
  const ExamineReport report = Check(wrong);
  EXPECT_THAT(Codes(report), Contains("INVALID_MODULE"));
  for (const Finding& finding : report.findings) {
    EXPECT_THAT(finding.message, ::testing::Not(HasSubstr("cut short")));
  }
}

// Found by wasm-smith: an import section in the encoding of the proposal compact-import-section,
// which Wasmtime's validator takes and its compiler does not.
TEST_F(ExaminerTest, NewEncodingsAreRefused) {
  const std::string_view wasm(
      "\0asm\1\0\0\0\1\1\0\2\x13\1\0\0\x7e\3}\1\4\2\x35\r\1H\3\n:\"\1j\4\4\1p\0\1", 38);
  const ExamineReport report = Check(wasm);
  EXPECT_THAT(Codes(report), Contains("INVALID_MODULE"));
}

TEST_F(ExaminerTest, EveryImportAndExportOfAValidModuleIsRead) {
  constexpr int kMany = 20'000;
  std::string wat = "(module ";
  for (int i = 0; i < kMany; ++i) wat += "(import \"caxton\" \"now\" (func (result i64)))";
  wat += "(memory (export \"memory\") 1)";
  for (int i = 0; i < kMany; ++i) wat += StrCat("(export \"e", i, "\" (func 0))");
  wat += R"((func (export "agent_alloc") (param i32) (result i32) (i32.const 1024))
    (func (export "handle_message") (param i32 i32) (result i32) (i32.const 0)))";
  const std::string wasm = *wasm::Engine::WatToWasm(wat + ")");
  EXPECT_TRUE(ReadModule(wasm).complete);
  EXPECT_THAT(Codes(Check(wasm)), ::testing::ElementsAre("NO_NAMES"));
}

TEST_F(ExaminerTest, AStartFunctionIsNoted) {
  const auto notes = [this](std::string_view start) {
    std::string wat(kGood);
    wat.insert(wat.size() - 1, start);
    const ExamineReport report = CheckWat(wat);
    EXPECT_TRUE(report.ok());
    const Finding* note = Find(report, "START_FUNCTION");
    return note != nullptr && note->severity == FindingSeverity::kNote;
  };
  EXPECT_TRUE(notes("(func $f) (start $f)"));
  EXPECT_FALSE(notes("(func $f)"));
}

TEST_F(ExaminerTest, WithoutNamesTheFlagThatKeepsThemIsNoted) {
  const ExamineReport without = CheckWat(kGood);
  EXPECT_TRUE(without.ok());
  ASSERT_NE(Find(without, "NO_NAMES"), nullptr);
  EXPECT_EQ(Find(without, "NO_NAMES")->severity, FindingSeverity::kNote);
  EXPECT_THAT(Find(without, "NO_NAMES")->message, HasSubstr("--strip-all"));
  std::string wat(kGood);
  wat.insert(wat.size() - 1, "(func $named)");
  EXPECT_EQ(Find(CheckWat(wat), "NO_NAMES"), nullptr);
}

// An engine whose instances have less room than the module wants: a machine's reason to refuse what
// is valid.
TEST_F(ExaminerTest, WhatTheEngineCannotCompileIsTold) {
  const auto small =
      *wasm::Engine::Create({.max_instances = 1, .max_memory_bytes = kMinAgentMemoryBytes});
  const std::string wasm = *wasm::Engine::WatToWasm(R"((module
    (memory (export "memory") 1000)
    (func (export "agent_alloc") (param i32) (result i32) (i32.const 1024))
    (func (export "handle_message") (param i32 i32) (result i32) (i32.const 0))))");
  options_.config.memory_bytes = 64 << 20;
  const Examination examination =
      ExamineModule(*small, wasm, options_, [](ExaminePhase, const ExamineReport&) {});
  const Finding* finding = Find(examination.report, "COMPILE_FAILED");
  ASSERT_NE(finding, nullptr);
  EXPECT_EQ(finding->severity, FindingSeverity::kError);
  EXPECT_THAT(finding->message, HasSubstr("memory"));
  EXPECT_FALSE(finding->fix.empty());
  EXPECT_TRUE(examination.native.empty());
}

TEST_F(ExaminerTest, TooManyFaultsAreCounted) {
  std::string wat = "(module ";
  for (int i = 0; i < 300; ++i) {
    wat += StrCat("(import \"caxton\" \"now\" (func $f", i, " (param f32)))");
  }
  const ExamineReport report = CheckWat(wat + ")");
  EXPECT_LE(report.findings.size(), kMaxFindings);
  EXPECT_EQ(report.findings.back().code, "MORE_FINDINGS");
}

TEST_F(ExaminerTest, TooLargeAFileIsNotRead) {
  const std::string garbage(kMaxModuleBytes + 1, 'x');
  EXPECT_EQ(Codes(Check(garbage)), std::vector<std::string>{"TOO_LARGE"});
}

TEST_F(ExaminerTest, GetCapabilitiesStandsInForTheSection) {
  const std::string wasm = *wasm::Engine::WatToWasm(R"((module
    (memory (export "memory") 2)
    (data (i32.const 8) "{\"name\":\"asked\"}")
    (func (export "get_capabilities") (result i64)
      (i64.or (i64.shl (i64.const 8) (i64.const 32)) (i64.const 16)))
    (func (export "agent_alloc") (param i32) (result i32) (i32.const 1024))
    (func (export "handle_message") (param i32 i32) (result i32) (i32.const 0))))");
  const Examination examination =
      ExamineModule(*engine_, wasm, options_, [](ExaminePhase, const ExamineReport&) {});
  EXPECT_TRUE(examination.report.ok());
  EXPECT_EQ(examination.report.traits.manifest_name, "asked");
}

TEST_F(ExaminerTest, PackagingPutsTheManifestInAndReplacesIt) {
  const std::string wasm = *wasm::Engine::WatToWasm(kGood);
  const auto once = WithManifest(wasm, R"({"name":"first"})");
  ASSERT_TRUE(once.ok()) << once.status();
  EXPECT_EQ(Check(*once).traits.manifest_name, "first");
  const auto twice = WithManifest(*once, R"({"name":"second"})");
  ASSERT_TRUE(twice.ok());
  EXPECT_TRUE(Check(*twice).ok());
  EXPECT_EQ(Check(*twice).traits.manifest_name, "second");
  EXPECT_EQ(twice->size(), once->size() + 1);
  EXPECT_FALSE(WithManifest(wasm, "[]").ok());
  EXPECT_FALSE(WithManifest("junk", "{}").ok());
}

TEST_F(ExaminerTest, JsonNamesWhatAToolNeeds) {
  const std::string json = ReportToJson(CheckWat(kGood), "a.wasm");
  EXPECT_THAT(json, HasSubstr("\"ok\": true"));
  EXPECT_THAT(json, HasSubstr("\"instance\": \"fresh\""));
  EXPECT_THAT(json, HasSubstr("\"file\": \"a.wasm\""));
}

TEST_F(ExaminerTest, InspectionShowsWhatIsInTheModule) {
  const std::string wasm = *WithManifest(*wasm::Engine::WatToWasm(R"((module
    (import "caxton" "reply" (func (param i32 i32 i32) (result i32)))
    (memory (export "memory") 2)
    (func (export "agent_alloc") (param i32) (result i32) (i32.const 1024))
    (func (export "handle_message") (param i32 i32) (result i32) (i32.const 0))))"),
                                         R"({"name":"a","samples":[{"content":"hi"}]})");
  const std::string json = InspectionToJson(Check(wasm), wasm, "a.wasm");
  for (const char* part : {"\"caxton.reply(i32, i32, i32) -> i32\"", "\"memory: memory\"",
                           "\"handle_message(i32, i32) -> i32\"",
                           "\"code: ", "\"custom caxton.manifest: ", "\"samples\": [",
                           "\"content\": \"hi\"", "\"module_bytes\": "}) {
    EXPECT_THAT(json, HasSubstr(part));
  }
}

TEST_F(ExaminerTest, InspectionOfAHostileModuleIsBounded) {
  std::string wat = "(module ";
  for (int i = 0; i < 300; ++i) wat += StrCat("(import \"x\" \"f", i, "\" (func))");
  const std::string many = *wasm::Engine::WatToWasm(wat + ")");
  EXPECT_THAT(InspectionToJson(Check(many), many, "a.wasm"), HasSubstr("\"and 100 more\""));
  for (const std::string& bytes : {std::string(), std::string("\0asm\1\0\0\0\xff\xff", 10)}) {
    EXPECT_THAT(InspectionToJson(Check(bytes), bytes, "a.wasm"), HasSubstr("\"sections\": []"));
  }
}

}  // namespace
}  // namespace caxton::examine
