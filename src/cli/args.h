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

// From now on the options that `app` has so far refuse an empty value (a shell variable that is not
// set), which would be taken for "not given".
void RefuseEmptyValues(CLI::App* app);

// Why `args` do not fit `app`: the first unknown command or option with what was probably meant;
// empty if every word is known.
std::string ExplainUnknownWord(const CLI::App& app, const std::vector<std::string>& args);

// The completion script of a shell ("bash", "zsh", "fish").
absl::StatusOr<std::string> CompletionScript(const CLI::App& app, const std::string& shell);

}  // namespace caxton::cli
