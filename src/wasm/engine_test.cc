// SPDX-License-Identifier: Apache-2.0
#include "caxton/wasm/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "caxton/wasm/abi.h"
#include "test_guests.h"

namespace caxton::wasm {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(EngineTest, RunsTheLongTermRelease) { EXPECT_THAT(Engine::Version(), StartsWith("48.0.")); }

TEST(EngineTest, ConfigHashIsStable) {
  EXPECT_EQ(Engine::ConfigHash(), Engine::ConfigHash());
  EXPECT_FALSE(Engine::ConfigHash().empty());
}

struct Proposal {
  const char* name;
  const char* wat;
  bool accepted;
};

class ProposalTest : public ::testing::TestWithParam<Proposal> {};

TEST_P(ProposalTest, IsAcceptedOrRefused) {
  const auto engine = *Engine::Create({});
  const absl::StatusOr<std::string> wasm = Engine::WatToWasm(GetParam().wat);
  ASSERT_TRUE(wasm.ok()) << wasm.status();
  EXPECT_EQ(engine->Validate(*wasm).ok(), GetParam().accepted) << engine->Validate(*wasm);
  EXPECT_EQ(engine->Compile(*wasm).ok(), GetParam().accepted);
}

INSTANTIATE_TEST_SUITE_P(
    All, ProposalTest,
    ::testing::Values(
        Proposal{"mvp", "(module (memory 1))", true},
        Proposal{"multi_value", "(module (func (result i32 i32) i32.const 1 i32.const 2))", true},
        Proposal{"bulk_memory",
                 "(module (memory 1) (func (memory.fill (i32.const 0) (i32.const 0) "
                 "(i32.const 1))))",
                 true},
        Proposal{"simd", "(module (func (result v128) (v128.const i64x2 1 2)))", true},
        Proposal{"reference_types", "(module (table 1 funcref) (func (drop (table.size 0))))",
                 true},
        Proposal{"sign_extension", "(module (func (result i32) (i32.extend8_s (i32.const 1))))",
                 true},
        Proposal{"memory64", "(module (memory i64 1))", false},
        Proposal{"multi_memory", "(module (memory 1) (memory 1))", false},
        Proposal{"shared_memory", "(module (memory 1 1 shared))", false},
        Proposal{"atomics",
                 "(module (memory 1 1 shared) (func (drop (i32.atomic.load (i32.const 0)))))",
                 false},
        Proposal{"tail_call", "(module (func $f (return_call $f)))", false},
        Proposal{"exceptions", "(module (tag $e) (func (throw $e)))", false},
        Proposal{"gc", "(module (type (struct (field i32))))", false},
        Proposal{"function_references",
                 "(module (type $t (func)) (func (param (ref $t)) (call_ref $t (local.get 0))))",
                 false},
        Proposal{"relaxed_simd",
                 "(module (func (param v128) (result v128) (i8x16.relaxed_swizzle (local.get 0) "
                 "(local.get 0))))",
                 false},
        Proposal{"custom_page_sizes", "(module (memory 1 (pagesize 1)))", false},
        Proposal{"wide_arithmetic",
                 "(module (func (result i64 i64) (i64.mul_wide_u (i64.const 1) (i64.const 1))))",
                 false}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(EngineTest, GarbageIsRefusedWithAMessage) {
  const auto engine = *Engine::Create({});
  const absl::Status status = engine->Validate("this is no module");
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("magic"));
}

TEST(EngineTest, NativeCodeIsTheSameWithAndWithoutAPool) {
  const std::string wasm = *Engine::WatToWasm(GuestWat(kEchoBody));
  const auto compiler = *Engine::Create({});
  EngineOptions pooled;
  pooled.max_instances = 2;
  const auto runner = *Engine::Create(pooled);
  const std::string native = *compiler->Compile(wasm);
  EXPECT_TRUE(Module::LoadBytes(*runner, native).ok());
}

TEST(EngineTest, LoadRefusesWhatIsNoNativeCode) {
  const auto engine = *Engine::Create({});
  EXPECT_EQ(Module::LoadBytes(*engine, "junk").status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(AbiTest, SignaturesAreReadable) {
  EXPECT_EQ(SignatureText("iiI:i"), "(i32, i32, i64) -> i32");
  EXPECT_EQ(SignatureText(":"), "() -> ()");
  EXPECT_EQ(SignatureText("F:fF"), "(f64) -> (f32, f64)");
  EXPECT_NE(FindImportRule("caxton", "reply"), nullptr);
  EXPECT_TRUE(FindImportRule("caxton", "emit")->later);
  EXPECT_EQ(FindImportRule("caxton", "replies"), nullptr);
  EXPECT_EQ(FindExportRule("handle_timer")->need, ExportNeed::kLater);
}

}  // namespace
}  // namespace caxton::wasm
