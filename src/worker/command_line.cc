// SPDX-License-Identifier: Apache-2.0
#include "caxton/worker/command_line.h"

#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

#include "caxton/base/status.h"
#include "caxton/base/strings.h"

namespace caxton::worker {
namespace {

// Takes arguments off a list; what nobody took is an error.
class Arguments {
 public:
  explicit Arguments(std::vector<std::string> all) : left_(std::move(all)) {}

  bool TakeFlag(std::string_view name) {
    for (auto it = left_.begin(); it != left_.end(); ++it) {
      if (*it != name) continue;
      left_.erase(it);
      return true;
    }
    return false;
  }

  // "--name=VALUE"
  absl::Status TakeNumber(std::string_view name, int64_t* value) {
    const std::string prefix = StrCat(name, "=");
    for (auto it = left_.begin(); it != left_.end(); ++it) {
      if (!StartsWith(*it, prefix)) continue;
      if (!ParseInt(std::string_view(*it).substr(prefix.size()), value) || *value <= 0) {
        return absl::InvalidArgumentError(StrCat(*it, ": not a number above 0"));
      }
      left_.erase(it);
      return absl::OkStatus();
    }
    return absl::OkStatus();
  }

  // "--name VALUE"
  std::optional<std::string> TakeValue(std::string_view name) {
    for (auto it = left_.begin(); it != left_.end(); ++it) {
      if (*it != name || it + 1 == left_.end()) continue;
      std::string value = *(it + 1);
      left_.erase(it, it + 2);
      return value;
    }
    return std::nullopt;
  }

  std::optional<std::string> TakeFirst() {
    if (left_.empty() || left_.front().empty() || left_.front()[0] == '-') return std::nullopt;
    std::string value = left_.front();
    left_.erase(left_.begin());
    return value;
  }

  absl::Status Finish() const {
    if (left_.empty()) return absl::OkStatus();
    return absl::InvalidArgumentError(StrCat("unexpected argument ", left_.front()));
  }

 private:
  std::vector<std::string> left_;
};

absl::StatusOr<Command> ParseRun(Arguments arguments) {
  ipc::RunCommand command;
  command.jail = !arguments.TakeFlag("--no-jail");
  RETURN_IF_ERROR(arguments.TakeNumber("--max-message", &command.max_message_bytes));
  RETURN_IF_ERROR(arguments.Finish());
  if (command.max_message_bytes > kHardMaxMessageBytes) {
    return absl::InvalidArgumentError(
        StrCat("--max-message: at most ", kHardMaxMessageBytes, " bytes"));
  }
  return Command(command);
}

absl::StatusOr<Command> ParseCompile(Arguments arguments) {
  ipc::CompileCommand command;
  command.jail = !arguments.TakeFlag("--no-jail");
  RETURN_IF_ERROR(arguments.TakeNumber("--data-limit", &command.data_limit_bytes));
  RETURN_IF_ERROR(arguments.TakeNumber("--cpu-limit", &command.cpu_limit_seconds));
  RETURN_IF_ERROR(arguments.Finish());
  return Command(command);
}

// --inspect and --validate
template <typename FileCommand>
absl::StatusOr<Command> ParseFileMode(Arguments arguments) {
  FileCommand command;
  command.jail = !arguments.TakeFlag("--no-jail");
  if constexpr (std::is_same_v<FileCommand, ValidateCommand>) {
    command.revision_path = arguments.TakeValue("--revision").value_or("");
  }
  const auto path = arguments.TakeFirst();
  if (!path.has_value()) return absl::InvalidArgumentError("which FILE.wasm?");
  command.path = *path;
  RETURN_IF_ERROR(arguments.Finish());
  return Command(command);
}

absl::StatusOr<Command> ParsePackage(Arguments arguments) {
  const auto manifest = arguments.TakeValue("--manifest");
  const auto out = arguments.TakeValue("-o");
  const auto module = arguments.TakeFirst();
  if (!manifest.has_value() || !out.has_value() || !module.has_value()) {
    return absl::InvalidArgumentError("--package needs FILE.wasm, --manifest M and -o OUT");
  }
  RETURN_IF_ERROR(arguments.Finish());
  return Command(PackageCommand{*module, *manifest, *out});
}

}  // namespace

absl::StatusOr<Command> ParseCommandLine(const std::vector<std::string>& arguments) {
  if (arguments.empty()) return absl::InvalidArgumentError("which mode?");
  const std::string& mode = arguments.front();
  Arguments rest({arguments.begin() + 1, arguments.end()});
  if (mode == "--run") return ParseRun(std::move(rest));
  if (mode == "--compile") return ParseCompile(std::move(rest));
  if (mode == "--inspect") return ParseFileMode<InspectCommand>(std::move(rest));
  if (mode == "--validate") return ParseFileMode<ValidateCommand>(std::move(rest));
  if (mode == "--package") return ParsePackage(std::move(rest));
  if (mode == "--version" || mode == "--help") {
    RETURN_IF_ERROR(rest.Finish());
    if (mode == "--version") return Command(VersionCommand{});
    return Command(HelpCommand{});
  }
  return absl::InvalidArgumentError(StrCat("unknown mode ", mode));
}

std::string UsageText() {
  return R"(caxton-worker runs and examines agents for the Caxton server.

  --inspect FILE.wasm       static checks, as JSON
  --validate FILE.wasm [--revision R]
                            all four stages, in a child with limits; as JSON. R is an
                            encoded revision: its agent, limits and settings
  --package FILE.wasm --manifest M -o OUT.wasm
                            puts the manifest into the module; M.yaml and M.yml are
                            YAML, everything else JSON
  --version                 versions of the worker and its engine
  --run, --compile          started by the server, with descriptors
)";
}

}  // namespace caxton::worker
