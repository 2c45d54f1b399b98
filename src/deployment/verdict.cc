// SPDX-License-Identifier: Apache-2.0
#include "caxton/deployment/verdict.h"

#include <array>

namespace caxton::deployment {

std::string_view VerdictKindName(VerdictKind kind) {
  constexpr std::array<std::string_view, kVerdictKindCount> kNames = {
      "none", "successful", "failed", "inconclusive", "error"};
  const auto index = static_cast<size_t>(kind);
  return index < kNames.size() ? kNames[index] : "unknown";
}

}  // namespace caxton::deployment
