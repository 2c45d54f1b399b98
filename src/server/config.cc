// SPDX-License-Identifier: Apache-2.0
#include "caxton/server/config.h"

#include <yaml-cpp/yaml.h>

#include <CLI/CLI.hpp>

#include "caxton/api/listen_address.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/model/units.h"
#include "caxton/platform/file.h"
#include "caxton/server/limits.h"

namespace caxton::server {
namespace {

absl::Status At(const std::string& path, const YAML::Mark& mark, const std::string& what) {
  return WithReason(absl::InvalidArgumentError(
                        StrCat(path, ":", mark.line + 1, ":", mark.column + 1, ": ", what)),
                    "BAD_CONFIG");
}

absl::Status ReadAge(const std::string& name, const std::string& text, int64_t* ns) {
  auto age = ParseDurationNs(text);
  if (!age.ok()) {
    return absl::InvalidArgumentError(StrCat(name, ": ", StdView(age.status().message())));
  }
  *ns = *age;
  return absl::OkStatus();
}

absl::Status ReadEntry(const std::string& path, const YAML::Node& key, const YAML::Node& value,
                       ServerConfig* config) {
  const std::string name = key.as<std::string>();
  if (!value.IsScalar()) return At(path, value.Mark(), StrCat("'", name, "' takes one value"));
  if (name == "data_dir") {
    config->data_dir = value.as<std::string>();
  } else if (name == "listen") {
    config->listen = value.as<std::string>();
  } else if (name == "http") {
    config->http = value.as<std::string>();
  } else if (name == "dev") {
    config->dev = value.as<bool>();
  } else if (name == "time_scale") {
    config->time_scale = value.as<int64_t>();
  } else if (name == "max_deployments") {
    config->max_deployments = value.as<int64_t>();
  } else if (name == "keep_evidence" || name == "keep_ended") {
    int64_t* ns = name == "keep_ended" ? &config->keep_ended_ns : &config->keep_evidence_ns;
    const absl::Status read = ReadAge(name, value.as<std::string>(), ns);
    if (!read.ok()) return At(path, value.Mark(), std::string(StdView(read.message())));
  } else if (name == "log_level") {
    config->log_level = value.as<std::string>();
  } else {
    return At(
        path, key.Mark(),
        StrCat(
            "unknown field '", name,
            "'; known are data_dir, listen, http, dev, time_scale, max_deployments, keep_evidence, "
            "keep_ended, log_level"));
  }
  return absl::OkStatus();
}

absl::Status ReadConfigFile(const std::string& path, ServerConfig* config) {
  ASSIGN_OR_RETURN(const std::string text, platform::ReadFile(path, kMaxConfigBytes));
  try {
    const YAML::Node root = YAML::Load(text);
    if (root.IsNull()) return absl::OkStatus();
    if (!root.IsMap()) return At(path, root.Mark(), "a configuration is a map of names and values");
    for (const auto& entry : root)
      RETURN_IF_ERROR(ReadEntry(path, entry.first, entry.second, config));
  } catch (const YAML::Exception& error) {
    return At(path, error.mark, error.msg);
  }
  return absl::OkStatus();
}

// Where it cannot listen at all is said before anything is opened.
absl::Status CheckAddresses(const ServerConfig& config) {
  for (const auto& [flag, address] :
       {std::pair("--listen", &config.listen), std::pair("--http", &config.http)}) {
    const absl::Status loopback = api::CheckLoopback(*address);
    if (!loopback.ok()) return Annotate(loopback, flag);
  }
  return absl::OkStatus();
}

absl::Status Check(const ServerConfig& config) {
  RETURN_IF_ERROR(CheckAddresses(config));
  if (config.time_scale < 1 || config.time_scale > kMaxTimeScale) {
    return absl::InvalidArgumentError(StrCat("--time-scale lies between 1 and ", kMaxTimeScale));
  }
  if (config.time_scale != 1 && !config.dev) {
    return WithFix(WithReason(absl::InvalidArgumentError(
                                  "--time-scale makes a canary's minutes seconds: it is for "
                                  "development and needs --dev"),
                              "NEEDS_DEV"),
                   "add --dev, or leave --time-scale out");
  }
  if (config.max_deployments < 1 || config.max_deployments > kMostDeployments) {
    return absl::InvalidArgumentError(
        StrCat("--max-deployments lies between 1 and ", kMostDeployments));
  }
  for (const int64_t age_ns : {config.keep_evidence_ns, config.keep_ended_ns}) {
    if (age_ns < controller::kMinKeepNs) {
      return absl::InvalidArgumentError(StrCat("--keep-evidence and --keep-ended are at least ",
                                               FormatDuration(controller::kMinKeepNs)));
    }
  }
  if (config.data_dir.empty()) return absl::InvalidArgumentError("--data-dir is empty");
  const std::string& level = config.log_level;
  if (level != "debug" && level != "info" && level != "warn" && level != "error") {
    return absl::InvalidArgumentError(
        StrCat("--log-level is debug, info, warn or error, not '", level, "'"));
  }
  return absl::OkStatus();
}

// "--config ''" and "--config=" would be taken for "not given", or for the next word.
absl::Status CheckNoEmptyValues(const std::vector<std::string>& args) {
  for (size_t i = 0; i < args.size(); ++i) {
    const std::string& word = args[i];
    const bool equals = StartsWith(word, "--") && EndsWith(word, "=");
    if (!equals && !word.empty()) continue;
    const std::string name = equals   ? word.substr(0, word.size() - 1)
                             : i == 0 ? std::string("an argument")
                                      : args[i - 1];
    return WithFix(
        WithReason(absl::InvalidArgumentError(StrCat(name, " takes a value, not ''")), "USAGE"),
        StrCat("give ", name, " a value, or leave it out"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ServerConfig> ParseServerConfig(const std::vector<std::string>& args) {
  ServerConfig config;
  std::string file;
  CLI::App app(
      "Serves until SIGTERM. Prints `caxton ready: grpc ADDR http ADDR` once it does; logs go to "
      "stderr.",
      "caxton server start");
  app.add_option("--config", file, "YAML file with these options; flags win");
  auto* data_dir =
      app.add_option("--data-dir", "Where the journal and the modules are")->type_name("DIR");
  auto* listen = app.add_option("--listen", "gRPC address, loopback only; port 0 picks one")
                     ->type_name("ADDR");
  auto* http =
      app.add_option("--http", "HTTP address (metrics, health), loopback only")->type_name("ADDR");
  bool dev = false;
  app.add_flag("--dev", dev, "Development: allows --time-scale");
  auto* scale = app.add_option("--time-scale", "Divides the durations of stages by N; needs --dev")
                    ->type_name("N");
  auto* most = app.add_option("--max-deployments",
                              "Deployments under way at once (32); the rest waits its turn")
                   ->type_name("N");
  auto* evidence = app.add_option("--keep-evidence",
                                  "How long the evidence of an ended deployment is kept (168h)")
                       ->type_name("DURATION");
  auto* ended = app.add_option("--keep-ended",
                               "How long an ended deployment is kept, and its revision where no "
                               "rollback can return to it (720h)")
                    ->type_name("DURATION");
  app.add_flag("--accept-loss", config.accept_loss,
               "Open a journal whose end is damaged, losing what is missing");
  auto* level = app.add_option("--log-level", "debug, info, warn or error")->type_name("LEVEL");
  std::vector<std::string> reversed(args.rbegin(), args.rend());
  try {
    RETURN_IF_ERROR(CheckNoEmptyValues(args));
    app.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    config.help = true;
    config.help_text = app.help();
    return config;
  } catch (const CLI::ParseError& error) {
    return WithFix(WithReason(absl::InvalidArgumentError(error.what()), "USAGE"),
                   "`caxton server start --help` shows the options");
  }
  if (!file.empty()) RETURN_IF_ERROR(ReadConfigFile(file, &config));
  try {
    if (*data_dir) config.data_dir = data_dir->as<std::string>();
    if (*listen) config.listen = listen->as<std::string>();
    if (*http) config.http = http->as<std::string>();
    if (dev) config.dev = true;
    if (*scale) config.time_scale = scale->as<int64_t>();
    if (*most) config.max_deployments = most->as<int64_t>();
    if (*evidence) {
      RETURN_IF_ERROR(
          ReadAge("--keep-evidence", evidence->as<std::string>(), &config.keep_evidence_ns));
    }
    if (*ended) {
      RETURN_IF_ERROR(ReadAge("--keep-ended", ended->as<std::string>(), &config.keep_ended_ns));
    }
    if (*level) config.log_level = level->as<std::string>();
  } catch (const CLI::ParseError& error) {
    return WithReason(absl::InvalidArgumentError(error.what()), "USAGE");
  }
  RETURN_IF_ERROR(Check(config));
  return config;
}

}  // namespace caxton::server
