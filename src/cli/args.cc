// SPDX-License-Identifier: Apache-2.0
#include "args.h"

#include <CLI/CLI.hpp>

#include <algorithm>

#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/cli/limits.h"
#include "caxton/model/names.h"
#include "caxton/model/text.h"
#include "caxton/model/units.h"
#include "exit_code.h"
#include "render.h"

namespace caxton::cli {
namespace {

constexpr size_t kShownBytes = 100;  // of a word in an error
constexpr int kMaxPort = 65535;

std::vector<const CLI::App*> Commands(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App* sub) { return !sub->get_name().empty(); });
}

// "--name" and "-n" forms of an app's options.
std::vector<std::string> OptionNames(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back(StrCat("--", name));
    for (const std::string& name : option->get_snames()) names.push_back(StrCat("-", name));
  }
  return names;
}

std::string DidYouMean(const std::string& word, const std::vector<std::string>& candidates) {
  const std::string nearest = NearestName(word, candidates);
  return nearest.empty() ? "" : StrCat("did you mean '", nearest, "'?");
}

const CLI::Option* FindOption(const CLI::App* app, const std::string& name) {
  for (; app != nullptr; app = app->get_parent()) {
    const CLI::Option* option = app->get_option_no_throw(name);
    if (option != nullptr) return option;
  }
  return nullptr;
}

std::string UnknownOption(const CLI::App* app, const std::string& name) {
  std::vector<std::string> known;
  const std::string path = app->get_display_name();
  for (; app != nullptr; app = app->get_parent()) {
    for (std::string& option : OptionNames(*app)) known.push_back(std::move(option));
  }
  return StrCat("Unknown option '", name, "'\nTo fix: ",
                StrCat(DidYouMean(name, known), DidYouMean(name, known).empty() ? "" : " ", "see `",
                       path, " --help`"));
}

// "caxton agent" -> every command path under it.
void CollectPaths(const CLI::App& app, const std::string& path,
                  std::vector<std::pair<std::string, std::vector<std::string>>>* out) {
  std::vector<std::string> words;
  for (const CLI::App* sub : Commands(app)) words.push_back(sub->get_name());
  for (const std::string& option : OptionNames(app)) {
    if (StartsWith(option, "--")) words.push_back(option);
  }
  out->emplace_back(path, words);
  for (const CLI::App* sub : Commands(app)) {
    CollectPaths(*sub, StrCat(path, " ", sub->get_name()), out);
  }
}

constexpr char kBashCompletion[] = R"(# bash completion of caxton: source this file
_caxton() {
  local path="caxton" word i
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="${COMP_WORDS[i]}"
    [[ "$word" == -* ]] && continue
    case "$path $word" in
      PATHS) path="$path $word" ;;
    esac
  done
  local words=""
  case "$path" in
CASES
  esac
  COMPREPLY=($(compgen -W "$words" -- "${COMP_WORDS[COMP_CWORD]}"))
  if [[ ${#COMPREPLY[@]} -eq 0 ]]; then
    COMPREPLY=($(compgen -f -- "${COMP_WORDS[COMP_CWORD]}"))
  fi
}
complete -o filenames -F _caxton caxton
)";

}  // namespace

absl::StatusOr<uint32_t> ParseRevisionArg(const std::string& flag, const std::string& text,
                                          std::string_view agent) {
  const size_t at = text.rfind('@');
  uint32_t number = 0;
  if (!ParseInt(at == std::string::npos ? text : text.substr(at + 1), &number) || number == 0) {
    return UsageError(StrCat(flag, " takes a revision like 7 or greeter@7, not '", text, "'"),
                      "see `caxton agent history AGENT`");
  }
  if (at != std::string::npos && !agent.empty() && text.compare(0, at, agent) != 0) {
    return UsageError(StrCat(flag, ": ", text, " is no revision of ", agent),
                      StrCat("see `caxton agent history ", agent, "`"));
  }
  return number;
}

absl::StatusOr<int64_t> ParseDurationArg(const std::string& flag, const std::string& text) {
  auto duration = ParseDurationNs(text);
  if (!duration.ok()) return UsageError(StrCat(flag, ": ", duration.status().message()));
  return duration;
}

std::vector<std::string> SplitEmptyValues(const CLI::App& root,
                                          const std::vector<std::string>& args) {
  const CLI::App* app = &root;
  std::vector<std::string> out;
  for (size_t i = 0; i < args.size(); ++i) {
    const std::string& word = args[i];
    if (word == "--" || app->get_prefix_command()) {  // the rest is no option of ours
      out.insert(out.end(), args.begin() + static_cast<ptrdiff_t>(i), args.end());
      return out;
    }
    const size_t equals = word.find('=');
    const CLI::Option* option =
        StartsWith(word, "-") ? FindOption(app, word.substr(0, equals)) : nullptr;
    const bool takes_value = option != nullptr && option->get_items_expected_min() > 0;
    if (takes_value && equals + 1 == word.size()) {
      out.push_back(word.substr(0, equals));
      out.emplace_back();
      continue;
    }
    out.push_back(word);
    if (takes_value && equals == std::string::npos && i + 1 < args.size()) out.push_back(args[++i]);
    if (option == nullptr) {
      for (const CLI::App* sub : Commands(*app)) {
        if (sub->check_name(word)) {
          app = sub;
          break;
        }
      }
    }
  }
  return out;
}

absl::Status CheckValues(const CLI::App& app) {
  static constexpr std::string_view kContents = "--data";
  static constexpr std::string_view kAnyBytes[] = {kContents,    "--file", "--ledger",
                                                   "--manifest", "--out",  "module"};
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_items_expected_min() == 0) continue;  // a flag
    const std::string name = option->get_name();
    for (const std::string& value : option->results()) {
      if (value.empty() && name != kContents) {
        return UsageError(
            StrCat(name, " takes a value, not ''"),
            StrCat("give ", name, " a value (", option->get_description(), "), or leave it out"));
      }
      if (std::ranges::find(kAnyBytes, name) == std::end(kAnyBytes) && !IsUtf8(value)) {
        return UsageError(
            StrCat(name, " takes text, and '", OneLine(value, kShownBytes), "' is not UTF-8"),
            "write it in UTF-8; only the contents of messages may be any bytes");
      }
    }
  }
  for (const CLI::App* sub : app.get_subcommands()) RETURN_IF_ERROR(CheckValues(*sub));
  return absl::OkStatus();
}

absl::Status CheckServerAddress(const std::string& address) {
  if (StartsWith(address, "unix:") || StartsWith(address, "unix-abstract:")) {
    return absl::OkStatus();
  }
  const size_t colon = address.rfind(':');
  const std::string port = colon == std::string::npos ? "" : address.substr(colon + 1);
  int number = 0;
  const bool digits = !port.empty() && port.find_first_not_of("0123456789") == std::string::npos;
  if (colon != std::string::npos && colon > 0 && digits && ParseInt(port, &number) && number >= 1 &&
      number <= kMaxPort) {
    return absl::OkStatus();
  }
  return UsageError(StrCat("'", OneLine(address, kShownBytes), "' is no address of a server",
                           digits ? StrCat(": ports are 1 to ", kMaxPort) : std::string()),
                    StrCat("write HOST:PORT, for example ", kDefaultServer));
}

std::string ExplainUnknownWord(const CLI::App& root, const std::vector<std::string>& args) {
  const CLI::App* app = &root;
  for (size_t i = 0; i < args.size(); ++i) {
    const std::string& word = args[i];
    if (word == "--") return "";
    if (StartsWith(word, "--") || (word.size() > 1 && word[0] == '-')) {
      const size_t equals = word.find('=');
      // A short option may hold its value: -fFILE.
      const std::string name = StartsWith(word, "--") ? word.substr(0, equals) : word.substr(0, 2);
      const CLI::Option* option = FindOption(app, name);
      if (option == nullptr) return UnknownOption(app, name);
      const bool value_inside =
          StartsWith(word, "--") ? equals != std::string::npos : word.size() > 2;
      if (option->get_items_expected_min() > 0 && !value_inside) ++i;
      continue;
    }
    const auto commands = Commands(*app);
    if (commands.empty()) continue;  // an argument
    const CLI::App* next = nullptr;
    std::vector<std::string> names;
    for (const CLI::App* sub : commands) {
      names.push_back(sub->get_name());
      if (sub->check_name(word)) next = sub;
    }
    if (next == nullptr) {
      const std::string hint = DidYouMean(word, names);
      return StrCat("Unknown command '", word, "'\nTo fix: ",
                    hint.empty() ? StrCat("one of: ", absl::StrJoin(names, ", ")) : hint);
    }
    app = next;
  }
  return "";
}

absl::StatusOr<std::string> CompletionScript(const CLI::App& app, const std::string& shell) {
  std::vector<std::pair<std::string, std::vector<std::string>>> paths;
  CollectPaths(app, "caxton", &paths);
  if (shell == "fish") {
    std::string out = "# fish completion of caxton: source this file\n";
    for (const auto& [path, words] : paths) {
      std::vector<std::string> chain;
      for (absl::string_view word : absl::StrSplit(path, ' ')) {
        if (word != "caxton") {
          chain.push_back(StrCat("__fish_seen_subcommand_from ", word));
        }
      }
      const std::string condition =
          chain.empty() ? "__fish_use_subcommand" : absl::StrJoin(chain, "; and ");
      for (const std::string& word : words) {
        StrAppend(&out, "complete -c caxton -n '", condition, "' ",
                  StartsWith(word, "--") ? StrCat("-l ", word.substr(2)) : StrCat("-f -a ", word),
                  "\n");
      }
    }
    return out;
  }
  if (shell != "bash" && shell != "zsh") {
    return UsageError(StrCat("No completion for '", shell, "'"), "bash, zsh or fish");
  }
  std::string cases;
  std::vector<std::string> names;
  for (const auto& [path, words] : paths) {
    names.push_back(StrCat("\"", path, "\""));
    StrAppend(&cases, "    \"", path, "\") words=\"", absl::StrJoin(words, " "), "\" ;;\n");
  }
  if (!cases.empty()) cases.pop_back();
  const std::string script = absl::StrReplaceAll(
      kBashCompletion, {{"PATHS", absl::StrJoin(names, "|")}, {"CASES", cases}});
  return shell == "bash" ? script
                         : StrCat(
                               "# zsh: through bash's completion\n"
                               "autoload -U +X bashcompinit && bashcompinit\n",
                               script);
}

}  // namespace caxton::cli
