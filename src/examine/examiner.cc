// SPDX-License-Identifier: Apache-2.0
#include "caxton/examine/examiner.h"

#include <algorithm>
#include <set>
#include <utility>

#include "caxton/base/assert.h"
#include "caxton/base/strings.h"
#include "caxton/model/limits.h"
#include "caxton/model/names.h"
#include "caxton/model/text.h"
#include "caxton/wasm/abi.h"
#include "caxton/wasm/epoch_ticker.h"
#include "caxton/wasm/module.h"
#include "checks.h"
#include "compare.h"
#include "contracts.h"
#include "cpu_clock.h"
#include "findings.h"
#include "manifest.h"
#include "module_reader.h"
#include "resources.h"
#include "sandbox.h"

namespace caxton::examine {
namespace {

struct Work {
  const wasm::Engine& engine;
  std::string_view wasm;
  const ExamineOptions& options;
  OnPhase on_phase;
  Findings findings;
  ExamineReport report;
  bool has_manifest = false;
  bool nameless = false;  // no name section
  Contracts contracts;

  void Tell(ExaminePhase phase) const {
    ExamineReport so_far = report;
    so_far.findings = Findings(findings).Take();
    on_phase(phase, so_far);
  }
};

void TakeManifest(std::string_view text, std::string_view place, Work& work) {
  Findings own;
  const bool readable =
      ReadManifest(text, place, work.options.config.agent, &work.report.traits, &own);
  // Whatever else is wrong with it: all of it is told at once.
  if (readable) {
    work.contracts = ReadContracts(text, place, &own);
    CheckOwnSamples(work.contracts, &own);
  }
  if (!own.has_error()) work.report.traits.manifest = std::string(text);
  work.findings.Append(own.Take());
}

void ReadManifestSection(const ModuleShape& shape, Work& work) {
  const std::string place = StrCat("section ", wasm::kManifestSection);
  for (const CustomSection& section : shape.customs) {
    if (section.name != wasm::kManifestSection) continue;
    if (work.has_manifest) {
      work.findings.Error("BAD_MANIFEST", place, "the module has more than one manifest section",
                          "keep one");
      return;
    }
    work.has_manifest = true;
    TakeManifest(section.bytes, place, work);
  }
}

void NoteStats(const ModuleShape& shape, Work& work) {
  ModuleStats& stats = work.report.stats;
  stats.imports = static_cast<uint32_t>(shape.imports.size());
  stats.exports = static_cast<uint32_t>(shape.exports.size());
  if (!shape.memories.empty()) {
    const MemoryShape& memory = shape.memories.front();
    // Pages of a hostile 64-bit memory may overflow; that one is refused anyway.
    stats.memory_min_bytes = memory.min_pages * kPageBytes;
    stats.memory_max_bytes = memory.max_pages.value_or(0) * kPageBytes;
  }
  for (const Export& item : shape.exports) {
    if (item.name == "health_check") work.report.traits.has_health_check = true;
  }
}

void RefuseSize(uint64_t bytes, Findings* findings) {
  findings->Error("TOO_LARGE", "",
                  StrCat("the file has ", bytes, " bytes, the limit is ", kMaxModuleBytes),
                  "strip debug information (wasm-strip, or -s), or optimize for size");
}

void CheckStatically(Work& work) {
  if (work.wasm.size() > kMaxModuleBytes) return RefuseSize(work.wasm.size(), &work.findings);
  if (!CheckHeader(work.wasm, &work.findings)) return;
  const absl::Status valid = work.engine.Validate(work.wasm);
  if (!valid.ok()) ReportInvalid(work.wasm, StdView(valid.message()), &work.findings);
  const ModuleShape shape = ReadModule(work.wasm);
  if (valid.ok() && !shape.complete) {
    // The validator knows encodings that the compiler refuses, and has no switch for them.
    work.findings.Error("INVALID_MODULE", "",
                        "the module uses a proposal that is not accepted: its sections are encoded "
                        "in a way that is newer than WebAssembly 2.0",
                        "build without compact imports and other new encodings");
  }
  NoteStats(shape, work);
  // Of what was not read to its end nothing may be called missing.
  if (shape.complete) {
    CheckExports(shape, &work.findings);
    CheckMemory(shape, work.options.config.memory_bytes, &work.findings);
    CheckTables(shape, &work.findings);
    CheckImports(shape, &work.findings);  // last: these can be many
  }
  ReadManifestSection(shape, work);
  work.nameless = std::none_of(shape.customs.begin(), shape.customs.end(),
                               [](const CustomSection& s) { return s.name == "name"; });
  if (shape.has_start) {
    work.findings.Note("START_FUNCTION", "start section",
                       "the module has a start function: it may call log only, other imports "
                       "answer that they are not allowed");
  }
}

// Told of what may be kept: whoever is refused has more to read already.
void NoteNames(Work& work) {
  if (!work.nameless) return;
  work.findings.Note("NO_NAMES", "section name",
                     "the module has no name section: backtraces show its functions by number "
                     "only. To keep it, link without -s (--strip-all), run wasm-opt with -g, set "
                     "strip = \"debuginfo\" (Rust), or build without -no-debug (TinyGo)");
}

void Describe(uint64_t module_bytes, ExamineReport* report) {
  report->engine = StrCat("wasmtime ", wasm::Engine::Version());
  report->engine_config = wasm::Engine::ConfigHash().ToHex();
  report->stats.module_bytes = module_bytes;
}

void NoteLog(const std::vector<LogLine>& logs, Work& work) {
  for (const LogLine& line : logs) {
    if (work.report.log.size() >= kMaxReportLogLines) return;
    work.report.log.push_back(line.text);
  }
}

// Whom it sends what: as its manifest says, and as the sandbox saw it. Answers to the sender of a
// sample concern no agent.
std::vector<SentMessage> SendsOf(const Contracts& contracts, const std::vector<SampleRun>& runs) {
  std::set<SentMessage> sends(contracts.sends.begin(), contracts.sends.end());
  for (const SampleRun& run : runs) {
    for (const OutgoingMessage& sent : run.result.sends) {
      if (sends.size() < kMaxSentMessages && ValidateAgentName(sent.to).ok()) {
        sends.insert({sent.to, sent.performative});
      }
    }
  }
  return {sends.begin(), sends.end()};
}

MeasuredFigures FiguresOf(const ModuleStats& stats, const std::vector<SampleRun>& runs) {
  MeasuredFigures figures{.samples = stats.samples,
                          .handled = stats.samples_handled,
                          .peak_memory = std::max(stats.peak_memory, stats.memory_after_init),
                          .max_fuel = stats.max_fuel,
                          .init_fuel = stats.init_fuel,
                          .code_bytes = stats.code_bytes,
                          .sends = stats.sends,
                          .max_step_ns = stats.max_step_ns};
  for (const SampleRun& run : runs) {
    if (run.hostile) continue;  // one of them is as large as a message may be
    figures.max_sends = std::max<uint64_t>(figures.max_sends, run.result.sends.size());
    const auto output = [&figures](size_t bytes) {
      figures.max_output_bytes = std::max<uint64_t>(figures.max_output_bytes, bytes);
    };
    if (run.result.reply.has_value()) output(run.result.reply->content.size());
    for (const OutgoingMessage& sent : run.result.sends) output(sent.content.size());
  }
  return figures;
}

void CheckContracts(const std::vector<SampleRun>& runs, Work& work) {
  const Surroundings& around = work.options.surroundings;
  CheckOutputs(work.contracts, runs, &work.findings);
  CompareWithLive(work.contracts, around, &work.findings);
  CompareWithOthers({work.options.config.agent, work.contracts, work.report.traits.sends, runs},
                    around, &work.findings);
  work.report.stages[static_cast<size_t>(ExamineStage::kContracts)].note =
      TruncateUtf8(ComparedWith(around), kMaxFindingTextBytes);
}

// The stages after the first, as far as each lets the next one run.
void RunStages(const wasm::Module& module, Work& work) {
  const ExamineOptions& options = work.options;
  int64_t mark = options.clock->MonoNanos();
  const auto begin = [&work](ExamineStage stage, ExaminePhase phase) {
    work.findings.set_stage(stage);
    work.report.stages[static_cast<size_t>(stage)].ran = true;
    work.Tell(phase);
  };
  const auto end = [&](ExamineStage stage) {
    const int64_t now = options.clock->MonoNanos();
    work.report.stages[static_cast<size_t>(stage)].duration_ns = now - std::exchange(mark, now);
    return !work.findings.has_error();
  };
  begin(ExamineStage::kSandbox, ExaminePhase::kSampling);
  std::vector<Sample> samples = work.contracts.samples;
  for (Sample& sample : GenerateSamples(work.contracts, &work.findings)) {
    samples.push_back(std::move(sample));
  }
  for (Sample& sample : HostileSamples(options.config)) samples.push_back(std::move(sample));
  const CpuClock cpu;
  const SandboxResult tried = RunSandbox({.module = module,
                                          .config = options.config,
                                          .clock = *options.clock,
                                          .cpu = &cpu,
                                          .deadline_ns = options.deadline_ns,
                                          .reused = work.report.traits.reused_instances},
                                         samples, &work.findings, &work.report.stats);
  const std::vector<SampleRun>& runs = tried.runs;
  work.report.traits.determinism = tried.determinism;
  work.report.traits.sends = SendsOf(work.contracts, runs);
  work.report.traits.figures = FiguresOf(work.report.stats, runs);
  if (!end(ExamineStage::kSandbox)) return;
  begin(ExamineStage::kContracts, ExaminePhase::kComparing);
  CheckContracts(runs, work);
  if (!end(ExamineStage::kContracts)) return;
  begin(ExamineStage::kResources, ExaminePhase::kWeighing);
  JudgeResources(work.report.traits.figures,
                 {.memory_bytes = options.config.memory_bytes,
                  // What is over it is told: that it is close to it as well says nothing.
                  .deadline_ns = tried.over_deadline ? 0 : options.deadline_ns,
                  .max_message_bytes = options.config.max_message_bytes},
                 options.surroundings.live, &work.findings);
  end(ExamineStage::kResources);
}

// Says of each stage that did not run why.
void NoteStages(const ExamineOptions& options, ExamineReport* report) {
  std::string_view failed;
  for (size_t i = 0; i < kExamineStages; ++i) {
    const auto stage = static_cast<ExamineStage>(i);
    StageRun& run = report->stages[i];
    if (!run.ran) {
      run.note = !failed.empty()   ? StrCat("not run: the stage ", failed, " failed")
                 : options.sandbox ? "not run: only static checks were asked for"
                                   : "not run: it was not asked for";
    } else if (failed.empty() && !report->ok(stage)) {
      failed = ExamineStageName(stage);
    }
  }
}

// What get_capabilities answers, where no section has the manifest.
void ReadCapabilities(wasm::Instance& instance, const wasm::StepControl& control, Work& work) {
  const absl::StatusOr<std::string> manifest = instance.Capabilities(control);
  if (!manifest.ok()) {
    work.findings.Error("BAD_MANIFEST", "export get_capabilities",
                        std::string(manifest.status().message()),
                        "return the manifest as JSON, or export no get_capabilities");
  } else if (!manifest->empty()) {
    TakeManifest(*manifest, "export get_capabilities", work);
  }
}

void Initialize(const std::string& native, Work& work) {
  const ExamineOptions& options = work.options;
  const int64_t start = options.clock->MonoNanos();
  const auto module = wasm::Module::LoadBytes(work.engine, native);
  if (!module.ok()) {
    work.findings.Error("LOAD_FAILED", "", std::string(module.status().message()),
                        "report this: the module passed every check and could not be loaded");
    return;
  }
  wasm::EpochTicker ticker(work.engine);
  const wasm::EpochTicker::Scope scope(ticker);
  wasm::StepControl control;
  control.clock = options.clock;
  control.deadline_mono_ns = options.clock->MonoNanos() + options.init_limit_ns;
  const auto instance = (*module)->NewInstance(options.config, control);
  if (!instance.ok()) {
    work.findings.Error("INIT_FAILED", "initialization",
                        StrCat("the module cannot be initialized: ", instance.status().message()),
                        "correct what _initialize and agent_init do; they may call log, now, "
                        "random and config_get only, and must be quick");
    return;
  }
  const wasm::InitStats& stats = (*instance)->init_stats();
  work.report.stats.init_fuel = stats.fuel;
  work.report.stats.memory_after_init = stats.memory_bytes;
  work.report.stats.initialized = true;
  NoteLog(stats.logs, work);
  if (!work.has_manifest) ReadCapabilities(**instance, control, work);
  work.report.stats.init_ns = options.clock->MonoNanos() - start;
  // Static includes the initialization.
  work.report.stages[0].duration_ns =
      work.report.stats.check_ns + work.report.stats.compile_ns + work.report.stats.init_ns;
  if (!work.findings.has_error() && options.sandbox) RunStages(**module, work);
}

}  // namespace

ExamineReport TooLarge(uint64_t bytes) {
  ExamineReport report;
  Findings findings;
  RefuseSize(bytes, &findings);
  Describe(bytes, &report);
  report.findings = findings.Take();
  report.stages[0].ran = true;
  NoteStages({}, &report);
  return report;
}

ExamineReport CheckModule(const wasm::Engine& engine, std::string_view wasm,
                          const ExamineOptions& options) {
  CAXTON_ASSERT(options.clock != nullptr, "examining takes time, and says how much");
  const auto tell_nobody = [](ExaminePhase, const ExamineReport&) {};
  Work work{engine, wasm, options, tell_nobody, {}, {}};
  Describe(wasm.size(), &work.report);
  const int64_t start = options.clock->MonoNanos();
  CheckStatically(work);
  if (!work.findings.has_error()) NoteNames(work);
  work.report.stats.check_ns = options.clock->MonoNanos() - start;
  work.report.stages[0] = {.ran = true, .duration_ns = work.report.stats.check_ns};
  work.report.findings = work.findings.Take();
  NoteStages(options, &work.report);
  return std::move(work.report);
}

Examination ExamineModule(const wasm::Engine& engine, std::string_view wasm,
                          const ExamineOptions& options, OnPhase on_phase) {
  CAXTON_ASSERT(options.clock != nullptr, "examining takes time, and says how much");
  Work work{engine, wasm, options, on_phase, {}, {}};
  Describe(wasm.size(), &work.report);
  ModuleStats& stats = work.report.stats;
  std::string native;
  int64_t mark = options.clock->MonoNanos();
  const auto lap = [&mark, &options] {
    const int64_t now = options.clock->MonoNanos();
    return now - std::exchange(mark, now);
  };
  work.report.stages[0].ran = true;
  work.Tell(ExaminePhase::kChecking);
  CheckStatically(work);
  stats.check_ns = lap();
  work.report.stages[0].duration_ns = stats.check_ns;
  if (!work.findings.has_error()) {
    work.Tell(ExaminePhase::kCompiling);
    absl::StatusOr<std::string> compiled = engine.Compile(wasm);
    stats.compile_ns = lap();
    if (compiled.ok()) {
      NoteNames(work);
      native = *std::move(compiled);
      stats.code_bytes = native.size();
      work.Tell(ExaminePhase::kInitializing);
      Initialize(native, work);
    } else {
      work.findings.Error("COMPILE_FAILED", "", std::string(compiled.status().message()),
                          "make the module's functions smaller, or report this");
    }
  }
  work.report.findings = work.findings.Take();
  NoteStages(options, &work.report);
  if (!work.report.ok()) native.clear();
  return {std::move(work.report), std::move(native)};
}

}  // namespace caxton::examine
