// SPDX-License-Identifier: Apache-2.0
//
// Small grammars of single arguments, and did-you-mean for a mistyped command line. Pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace CLI {
class App;
}

namespace caxton::cli {

// "7" and "greeter@7" -> 7
// `agent`: whose revision it has to be; empty: not known here.
absl::StatusOr<uint32_t> ParseRevisionArg(const std::string& flag, const std::string& text,
                                          std::string_view agent);
// A duration given as a flag; the error names it.
absl::StatusOr<int64_t> ParseDurationArg(const std::string& flag, const std::string& text);

// "--name=" as two words, "--name" and "": CLI11 would take the next word for the value.
std::vector<std::string> SplitEmptyValues(const CLI::App& app,
                                          const std::vector<std::string>& args);

// Every value that was given, once they are parsed: an empty one (a shell variable that is not set)
// would be taken for "not given", and what is not UTF-8 fits no field of the API. Contents and
// names of files may be any bytes.
absl::Status CheckValues(const CLI::App& app);

// HOST:PORT, or another form of gRPC's that names no port (unix:PATH).
absl::Status CheckServerAddress(const std::string& address);

// Why `args` do not fit `app`: the first unknown command or option with what was probably meant;
// empty if every word is known.
std::string ExplainUnknownWord(const CLI::App& app, const std::vector<std::string>& args);

// The completion script of a shell ("bash", "zsh", "fish").
absl::StatusOr<std::string> CompletionScript(const CLI::App& app, const std::string& shell);

}  // namespace caxton::cli
