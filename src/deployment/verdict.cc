// SPDX-License-Identifier: Apache-2.0
#include "caxton/deployment/verdict.h"

#include <array>

#include "caxton/deployment/limits.h"
#include "caxton/model/text.h"

namespace caxton::deployment {

std::string_view VerdictKindName(VerdictKind kind) {
  constexpr std::array<std::string_view, kVerdictKindCount> kNames = {
      "none", "successful", "failed", "inconclusive", "error"};
  const auto index = static_cast<size_t>(kind);
  return index < kNames.size() ? kNames[index] : "unknown";
}

bool SaysTheSame(const Verdict& recorded, const Verdict& again) {
  return recorded.kind == again.kind &&
         recorded.text == TruncateUtf8(again.text, kMaxRecordTextBytes);
}

}  // namespace caxton::deployment
