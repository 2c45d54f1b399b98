// SPDX-License-Identifier: Apache-2.0
//
// The real validator with children that are shell scripts: what it does when they end badly, or not
// at all.
#include "caxton/validation/process_validator.h"
#include "caxton/base/notification.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "caxton/base/mutex.h"
#include "caxton/base/strings.h"
#include "caxton/ipc/compile_end.h"
#include "caxton/platform/file.h"
#include "caxton/platform/memfd.h"
#include "caxton/telemetry/metric_names.h"

namespace caxton::validation {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class TestClock final : public Clock {
 public:
  int64_t WallNanos() const override { return MonoNanos(); }
  int64_t MonoNanos() const override { return now_.load(); }
  void Advance(int64_t ns) { now_.fetch_add(ns); }

 private:
  std::atomic<int64_t> now_{kNanosPerSecond};
};

// The last line, with its stage.
class StageLogger final : public telemetry::Logger {
 public:
  bool Enabled(telemetry::LogLevel) const override { return true; }
  void Log(telemetry::LogLevel, std::string_view message,
           std::span<const telemetry::LogField> fields) override {
    MutexLock lock(&mutex_);
    last_ = std::string(message);
    for (const telemetry::LogField& field : fields) {
      if (field.name == "stage") StrAppend(&last_, ": ", std::get<std::string_view>(field.value));
    }
  }
  std::string Last() {
    MutexLock lock(&mutex_);
    return last_;
  }

 private:
  Mutex mutex_;
  std::string last_ ABSL_GUARDED_BY(mutex_);
};

// The store with a report and native code of one module.
class KeptStore final : public supervisor::ArtifactStore {
 public:
  KeptStore(supervisor::ArtifactStore& store, const Digest& module)
      : store_(store), module_(module) {
    ExamineReport report;
    for (StageRun& stage : report.stages) stage.ran = true;
    EncodeExamineReport(report, &report_);
  }

  absl::StatusOr<Digest> PutModule(std::string_view wasm) override {
    return store_.PutModule(wasm);
  }
  absl::StatusOr<std::string> GetModule(const Digest& module) const override {
    return store_.GetModule(module);
  }
  bool HasModule(const Digest& module) const override { return store_.HasModule(module); }
  bool KeepModule(const Digest& module) override { return store_.KeepModule(module); }
  absl::Status PutNative(const Digest& module, std::string_view key,
                         std::string_view code) override {
    return store_.PutNative(module, key, code);
  }
  int OpenNative(const Digest& module, std::string_view key) const override {
    if (module != module_) return store_.OpenNative(module, key);
    auto code = platform::MemfdWithContent("code", "native code");
    return code.ok() ? code->release() : -1;
  }
  absl::Status PutReport(const Digest& module, std::string_view name,
                         std::string_view report) override {
    return store_.PutReport(module, name, report);
  }
  std::optional<std::string> GetReport(const Digest& module, std::string_view name) const override {
    return module == module_ ? report_ : store_.GetReport(module, name);
  }
  absl::Status Sweep(const std::vector<Digest>& kept, std::optional<int64_t> before) override {
    return store_.Sweep(kept, before);
  }

 private:
  supervisor::ArtifactStore& store_;
  const Digest module_;
  std::string report_;
};

class ProcessValidatorTest : public ::testing::Test {
 protected:
  ProcessValidatorTest() : cgroups_(platform::NullCgroups("a test")) {
    std::string pattern = ::testing::TempDir() + "/validator-XXXXXX";
    root_ = mkdtemp(pattern.data());
    artifacts_ = *supervisor::OpenArtifactStore(root_ + "/artifacts");
    revision_.agent = "greeter";
    revision_.ref = {AgentId(1), RevisionNumber(7)};
    revision_.module = *artifacts_->PutModule("module");
  }
  ~ProcessValidatorTest() override {
    validator_.reset();
    fs::remove_all(root_);
  }
  // Children run `script`; each notes its start first.
  void Open(const std::string& script) {
    std::ofstream(root_ + "/child") << "#!/bin/sh\necho x >> " << root_ << "/starts\n" << script;
    fs::permissions(root_ + "/child", fs::perms::owner_all);
    auto validator = StartValidator({.worker_path = root_ + "/child", .engine_key = "engine"},
                                    {.clock = &clock_,
                                     .artifacts = kept_ ? kept_.get() : artifacts_.get(),
                                     .cgroups = cgroups_.get(),
                                     .log = &log_,
                                     .metrics = &metrics_});
    ASSERT_TRUE(validator.ok());
    validator_ = *std::move(validator);
  }
  struct Answer {
    Notification done;
    absl::StatusOr<ValidationReport> report = absl::UnknownError("not called");
  };
  void Ask(Answer* answer, int64_t limit_ns = 30 * kNanosPerSecond) {
    validator_->Validate(revision_, {.limit_ns = limit_ns},
                         [answer](absl::StatusOr<ValidationReport> report) {
                           answer->report = std::move(report);
                           answer->done.Notify();
                         });
  }
  size_t Starts() {
    std::error_code error;
    const auto size = fs::file_size(root_ + "/starts", error);
    return error ? 0 : size / 2;
  }

  std::string root_;
  TestClock clock_;
  StageLogger log_;
  telemetry::PrometheusMetrics metrics_;
  std::unique_ptr<platform::CgroupManager> cgroups_;
  std::unique_ptr<supervisor::ArtifactStore> artifacts_;
  std::unique_ptr<supervisor::ArtifactStore> kept_;  // instead of it
  std::unique_ptr<Validator> validator_;
  Revision revision_;
};

TEST_F(ProcessValidatorTest, HangingChildIsKilledAtTheLimit) {
  Open("exec sleep 1000\n");
  Answer answer;
  Ask(&answer);
  while (!answer.done.WaitFor(20 * kNanosPerMilli)) {
    clock_.Advance(kNanosPerSecond);
  }
  ASSERT_TRUE(answer.report.ok());
  EXPECT_FALSE(answer.report->ok());
  EXPECT_THAT(answer.report->Summary(), HasSubstr("VALIDATION_TIMEOUT"));
}

TEST_F(ProcessValidatorTest, ChildKilledByOthersIsTriedAgain) {
  Open("kill -9 $$\n");
  Answer answer;
  Ask(&answer);
  answer.done.WaitForNotification();
  ASSERT_TRUE(answer.report.ok());
  EXPECT_THAT(answer.report->Summary(), HasSubstr("VALIDATION_CRASHED"));
  EXPECT_EQ(Starts(), static_cast<size_t>(kMaxAttempts));
}

TEST_F(ProcessValidatorTest, ChildThatCannotWorkIsNotTheModulesFault) {
  Open("exit 1\n");
  Answer answer;
  Ask(&answer);
  answer.done.WaitForNotification();
  EXPECT_TRUE(absl::IsInternal(answer.report.status()));
}

TEST_F(ProcessValidatorTest, EachStageIsMeasuredAndTheFailedOneLogged) {
  ExamineReport report;
  report.stages[0] = {.ran = true, .duration_ns = 5};
  report.stages[1] = {.ran = true, .duration_ns = 7};
  report.findings.push_back(
      {.code = "SAMPLE_FAILED", .message = "trapped", .stage = ExamineStage::kSandbox});
  const platform::UniqueFd file =
      *platform::OpenFile(root_ + "/report", O_WRONLY | O_CREAT | O_CLOEXEC);
  ASSERT_TRUE(ipc::WriteCompileReport(file.get(), ipc::CompilePhase::kDone, report).ok());
  Open(StrCat("cat ", root_, "/report >&", ipc::kCompileReportFd, "\nexit 3\n"));
  Answer answer;
  Ask(&answer);
  answer.done.WaitForNotification();
  ASSERT_TRUE(answer.report.ok()) << answer.report.status();
  EXPECT_EQ(answer.report->stages[1].outcome, StageOutcome::kFailed);
  const std::string text = metrics_.RenderText();
  const auto count = [](std::string_view stage, int number) {
    return StrCat(telemetry::names::kValidationTime.name, "_count{stage=\"", stage, "\"} ", number);
  };
  EXPECT_THAT(text, HasSubstr(count("static", 1)));
  EXPECT_THAT(text, HasSubstr(count("sandbox", 1)));
  EXPECT_THAT(text, HasSubstr(count("contracts", 0)));
  EXPECT_THAT(text, HasSubstr(count("resources", 0)));
  EXPECT_EQ(log_.Last(), "module rejected: sandbox");
}

TEST_F(ProcessValidatorTest, ProgramThatIsNotThere) {
  Open("");
  fs::remove(root_ + "/child");
  Answer answer;
  Ask(&answer);
  answer.done.WaitForNotification();
  EXPECT_FALSE(answer.report.ok());
}

TEST_F(ProcessValidatorTest, UnknownModule) {
  Open("");
  revision_.module = Sha256("other");
  Answer answer;
  Ask(&answer);
  answer.done.WaitForNotification();
  EXPECT_TRUE(absl::IsNotFound(answer.report.status()));
}

TEST_F(ProcessValidatorTest, SettingsBeyondTheLimitAreAFinding) {
  Open("");
  for (int i = 0; i < 20; ++i) revision_.settings[StrCat("s", i)] = std::string(64 << 10, 'x');
  Answer answer;
  Ask(&answer);
  answer.done.WaitForNotification();
  ASSERT_TRUE(answer.report.ok());
  EXPECT_THAT(answer.report->Summary(), HasSubstr("SETTINGS_TOO_LARGE"));
  EXPECT_EQ(Starts(), 0u);
}

TEST_F(ProcessValidatorTest, CancelEndsRunningAndWaiting) {
  Open("exec sleep 1000\n");
  std::vector<Answer> answers(5);
  for (Answer& answer : answers) Ask(&answer);
  validator_->Cancel(revision_.ref);
  for (Answer& answer : answers) {
    answer.done.WaitForNotification();
    EXPECT_TRUE(absl::IsCancelled(answer.report.status()));
  }
}

TEST_F(ProcessValidatorTest, QueueIsBounded) {
  Open("exit 1\n");
  Notification busy, go_on;
  validator_->Validate(revision_, {.limit_ns = kNanosPerSecond},
                       [&](absl::StatusOr<ValidationReport>) {
                         busy.Notify();
                         go_on.WaitForNotification();  // holds the validator's thread
                       });
  busy.WaitForNotification();
  std::vector<Answer> answers(kMaxQueuedValidations + 1);
  for (Answer& answer : answers) Ask(&answer);
  go_on.Notify();
  for (Answer& answer : answers) answer.done.WaitForNotification();
  EXPECT_TRUE(absl::IsResourceExhausted(answers.back().report.status()));
  EXPECT_FALSE(absl::IsResourceExhausted(answers.front().report.status()));
}

TEST_F(ProcessValidatorTest, ArrivalsAreBounded) {
  Open("exit 1\n");
  Notification busy, go_on;
  validator_->Validate(revision_, {.limit_ns = kNanosPerSecond},
                       [&](absl::StatusOr<ValidationReport>) {
                         busy.Notify();
                         go_on.WaitForNotification();
                       });
  busy.WaitForNotification();
  std::vector<Answer> answers(kMaxArrivedValidations + 1);
  for (Answer& answer : answers) Ask(&answer);
  go_on.Notify();
  for (Answer& answer : answers) answer.done.WaitForNotification();
  EXPECT_THAT(answers.back().report.status().ToString(),
              HasSubstr(StrCat(kMaxArrivedValidations, " validations wait")));
  EXPECT_THAT(answers[kMaxArrivedValidations - 1].report.status().ToString(),
              HasSubstr(StrCat(kMaxQueuedValidations, " validations wait")));
}

// Every child is busy and as many wait as may: what is kept needs neither.
TEST_F(ProcessValidatorTest, AKeptReportWaitsForNobodysChild) {
  const Digest module = *artifacts_->PutModule("kept");
  kept_ = std::make_unique<KeptStore>(*artifacts_, module);
  Open("exec sleep 1000\n");
  std::vector<Answer> busy(kMaxValidations), waiting(kMaxQueuedValidations);
  for (Answer& answer : busy) Ask(&answer);
  while (Starts() < kMaxValidations) std::this_thread::yield();
  for (Answer& answer : waiting) Ask(&answer);
  Answer refused, answer;
  Ask(&refused);
  revision_.module = module;
  Ask(&answer);
  answer.done.WaitForNotification();
  ASSERT_TRUE(answer.report.ok()) << answer.report.status();
  EXPECT_TRUE(answer.report->cached);
  EXPECT_EQ(answer.report->took_ns, 0);
  EXPECT_TRUE(absl::IsResourceExhausted(refused.report.status()));
  EXPECT_EQ(Starts(), kMaxValidations);
}

TEST_F(ProcessValidatorTest, DestroyedWithWorkInFlight) {
  Open("exec sleep 1000\n");
  validator_->Validate(revision_, {.limit_ns = kNanosPerSecond},
                       [](absl::StatusOr<ValidationReport>) { FAIL() << "called"; });
  while (Starts() == 0) std::this_thread::yield();
  validator_.reset();
}

}  // namespace
}  // namespace caxton::validation
