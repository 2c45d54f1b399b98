// SPDX-License-Identifier: Apache-2.0
//
// caxton agent validate | package | inspect FILE: what reads a module is done by caxton-worker, in
// its jail.
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include <memory>
#include <ostream>
#include <utility>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/model/limits.h"
#include "context.h"
#include "files.h"
#include "validate_subject.h"

namespace caxton::cli {
namespace {

// caxton-worker's exit statuses (src/worker/README.md).
constexpr int kWorkerUsage = 2;
constexpr int kWorkerRejected = 3;

constexpr size_t kShownTextBytes = 400;

// "a", "3", "name echo, version 1.0.0"; strings came from the module's author.
std::string Text(const nlohmann::ordered_json& value) {
  if (value.is_string()) return OneLine(value.get_ref<const std::string&>(), kShownTextBytes);
  if (!value.is_structured()) return value.dump();
  std::string out;
  for (const auto& [name, child] : value.items()) {
    if (child.is_string() && child.get_ref<const std::string&>().empty()) continue;
    StrAppend(&out, out.empty() ? "" : ", ", value.is_object() ? StrCat(name, " ") : "",
              Text(child));
  }
  return out;
}

std::string Field(const nlohmann::ordered_json& object, const char* name) {
  const auto found = object.find(name);
  return found == object.end() ? std::string() : Text(*found);
}

// All of a text with its line ends, the lines after the first moved in: a backtrace has some.
std::string Lines(const nlohmann::ordered_json& object, const char* name, std::string_view indent) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_string()) return "";
  return Indented(found->get_ref<const std::string&>(), indent);
}

// A line for each stage: "  static    failed  12.3ms", or why it did not run; what it has to say.
std::string StagesAsText(const nlohmann::ordered_json& stages, const Style& style) {
  std::string out = "stages:\n";
  for (const auto& [name, stage] : stages.items()) {
    if (!stage.is_object()) continue;
    const std::string result = Field(stage, "result");
    const std::string note = Field(stage, "note");
    const auto took = stage.find("duration_ns");
    const bool ran = result != "not run";
    StrAppend(&out, "  ", name, std::string(name.size() < 10 ? 10 - name.size() : 1, ' '),
              !ran && !note.empty() ? note
              : result == "failed"  ? style.Bad(result)
                                    : result);
    if (took != stage.end() && took->is_number_integer()) {
      StrAppend(&out, "  ", ShortDuration(took->get<int64_t>()));
    }
    if (ran && !note.empty()) StrAppend(&out, "  ", note);
    out += "\n";
  }
  return out;
}

// The report as people read it: each field on a line, findings with their fix.
std::string ReportAsText(const nlohmann::ordered_json& report, const Style& style) {
  std::string out;
  for (const auto& [name, value] : report.items()) {
    if (name == "findings" && value.is_array()) continue;
    if (name == "engine_config") continue;  // for machines
    if (name == "stages" && value.is_object()) {
      out += StagesAsText(value, style);
      continue;
    }
    StrAppend(&out, name, ": ", Text(value), "\n");
  }
  const auto findings = report.find("findings");
  if (findings == report.end() || !findings->is_array()) return out;
  for (const auto& finding : *findings) {
    if (!finding.is_object()) {
      StrAppend(&out, style.Bad("error"), ": ", Text(finding), "\n");
      continue;
    }
    const std::string severity = Field(finding, "severity");
    const std::string place = Field(finding, "place");
    StrAppend(&out,
              severity == "error"  ? style.Bad(severity)
              : severity == "note" ? severity
                                   : style.Warn(severity),
              ": ", place, place.empty() ? "" : ": ", Lines(finding, "message", "  "), "\n");
    const std::string fix = Lines(finding, "fix", "    ");
    if (!fix.empty()) StrAppend(&out, "  To fix: ", fix, "\n");
  }
  return out;
}

// What caxton-worker says on stderr, "caxton-worker: WHAT\nTo fix: HOW\n", in our form.
absl::Status Complaint(const ToolResult& result) {
  constexpr std::string_view kWho = "caxton-worker: ", kFix = "\nTo fix: ";
  std::string what(StripWhitespace(result.errors));
  if (StartsWith(what, kWho)) what.erase(0, kWho.size());
  std::string fix = "check that it is the file that was meant: `caxton agent inspect FILE.wasm`";
  if (const size_t at = what.find(kFix); at != std::string::npos) {
    fix = what.substr(at + kFix.size());
    what.erase(at);
  }
  absl::Status status = WithFix(absl::UnknownError(what), fix);
  if (result.exit_status == kWorkerUsage) return WithReason(std::move(status), kReasonUsage);
  if (result.exit_status != kWorkerRejected) return status;
  return WithReason(std::move(status), "VALIDATION_FAILED");
}

// A file that cannot be read is said as everywhere else. One that is too large is the worker's to
// refuse.
absl::Status CheckReadable(const std::string& path) {
  const absl::Status read = ReadFileUpTo(path, kMaxModuleBytes).status();
  return absl::IsOutOfRange(read) ? absl::OkStatus() : read;
}

absl::StatusOr<ExitCode> RunReport(Context* context, const std::string& mode,
                                   const std::string& path, const std::string& revision_file) {
  RETURN_IF_ERROR(CheckReadable(path));
  std::vector<std::string> args = {mode, path};
  if (!revision_file.empty()) args.insert(args.end(), {"--revision", revision_file});
  ASSIGN_OR_RETURN(const ToolResult result, context->environment.run_worker(args));
  const Printer printer = context->printer();
  const auto report = nlohmann::ordered_json::parse(result.output, nullptr, false);
  if (report.is_object()) {
    if (printer.structured()) {
      printer.JsonDocument(result.output);
    } else {
      printer.Text(ReportAsText(report, printer.style()));
    }
  }
  const bool failed = result.exit_status != 0 && result.exit_status < 128;
  if (failed && !report.is_object() && !result.errors.empty()) {
    return Complaint(result);
  }
  context->err() << result.errors;
  switch (result.exit_status) {
    case 0:
      if (!printer.structured()) context->err() << path << ": no faults\n";
      return ExitCode::kDone;
    case kWorkerUsage:
      return ExitCode::kUsage;
    case kWorkerRejected:
      return ExitCode::kRejected;
    default:
      if (result.exit_status < 128) return ExitCode::kFailed;
      return WithReason(absl::InvalidArgumentError(StrCat(
                            path, ": examining it ended with signal ", result.exit_status - 128,
                            "; it needs more memory or time than a module may take")),
                        "VALIDATION_CRASHED");
  }
}

// A file in memory that caxton-worker inherits and opens by its name: settings may be secret, and
// an argument is for everybody to see.
class InheritedFile final {
 public:
  static absl::StatusOr<InheritedFile> Make(std::string_view content) {
    InheritedFile file(memfd_create("caxton-revision", 0));
    if (file.fd_ < 0) return ErrnoStatus(errno, "Cannot make a memory file");
    while (!content.empty()) {
      const ssize_t count = write(file.fd_, content.data(), content.size());
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return ErrnoStatus(errno, "Cannot write a memory file");
      content.remove_prefix(static_cast<size_t>(count));
    }
    return file;
  }
  InheritedFile(InheritedFile&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  InheritedFile& operator=(InheritedFile&&) = delete;
  ~InheritedFile() {
    if (fd_ >= 0) close(fd_);
  }
  std::string path() const { return StrCat("/proc/self/fd/", fd_); }

 private:
  explicit InheritedFile(int fd) : fd_(fd) {}
  int fd_;
};

absl::StatusOr<ExitCode> Validate(Context* context, const ValidateFlags& flags) {
  ASSIGN_OR_RETURN(const ValidateSubject subject, SubjectOf(flags));
  if (!flags.against.empty()) return ValidateAgainst(context, subject, flags.against);
  if (subject.agent.empty() && subject.overrides == RevisionOverrides()) {
    return RunReport(context, "--validate", subject.module_path, "");
  }
  ASSIGN_OR_RETURN(const Revision revision, RevisionOf(subject));
  std::string bytes;
  EncodeRevision(revision, &bytes);
  ASSIGN_OR_RETURN(const InheritedFile file, InheritedFile::Make(bytes));
  return RunReport(context, "--validate", subject.module_path, file.path());
}

struct PackageFlags {
  std::string module, manifest, output;
};

absl::StatusOr<ExitCode> Package(Context* context, const PackageFlags& flags) {
  if (flags.output == "-") {
    return UsageError(
        "--out - would be a file of that name: a module goes to a file, not to stdout",
        "name the file, for example --out packaged.wasm");
  }
  RETURN_IF_ERROR(CheckReadable(flags.module));
  RETURN_IF_ERROR(CheckReadable(flags.manifest));
  ASSIGN_OR_RETURN(const ToolResult result,
                   context->environment.run_worker({"--package", flags.module, "--manifest",
                                                    flags.manifest, "-o", flags.output}));
  context->printer().Text(result.output);
  if (result.exit_status == 0) {
    context->err() << result.errors << "Wrote " << flags.output << "\n";
    return ExitCode::kDone;
  }
  return Complaint(result);
}

}  // namespace

absl::StatusOr<ExitCode> InspectFile(Context* context, const std::string& path) {
  return RunReport(context, "--inspect", path, "");
}

void AddModuleCommands(CLI::App* agent, Context* context) {
  auto what = std::make_shared<ValidateFlags>();
  CLI::App* validate = agent->add_subcommand(
      "validate",
      "Run a module through all that a deployment validates: static checks, sample messages, "
      "contracts, resources; no server needed");
  validate->add_option("module", what->module, "FILE.wasm");
  validate->add_option("-f,--file", what->deployment_file,
                       "Deployment file (YAML): its module, agent, limits and settings");
  validate->add_option("--memory", what->overrides.memory, "Memory of an instance, e.g. 64Mi");
  validate->add_option("--cpu", what->overrides.cpu, "Weight against other agents, e.g. 500m");
  validate->add_option("--set", what->overrides.set, "A setting, NAME=VALUE; repeat for more")
      ->allow_extra_args(false);
  validate->add_option("--against", what->against,
                       "Agent: let the server compare it with what is live there");
  validate->callback([=] {
    context->offline = what->against.empty();
    context->action = [=] { return Validate(context, *what); };
  });

  auto flags = std::make_shared<PackageFlags>();
  CLI::App* package = agent->add_subcommand("package", "Write a manifest into a module");
  package->add_option("module", flags->module, "FILE.wasm")->required();
  package
      ->add_option("--manifest", flags->manifest,
                   "The manifest: YAML where its name ends so, else JSON")
      ->required();
  package->add_option("-o,--out", flags->output, "Where the result goes")->required();
  package->callback([=] {
    context->offline = true;
    context->action = [=] { return Package(context, *flags); };
  });
}

}  // namespace caxton::cli
