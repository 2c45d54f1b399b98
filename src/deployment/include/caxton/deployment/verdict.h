// SPDX-License-Identifier: Apache-2.0
//
// What a judge says about a candidate (judgement.md). Values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace caxton::deployment {

enum class VerdictKind : uint8_t {
  kNone = 0,  // not judged, or not yet
  kSuccessful = 1,
  kFailed = 2,
  kInconclusive = 3,
  kError = 4,  // the judge itself could not judge
};
inline constexpr uint8_t kVerdictKindCount = 5;
std::string_view VerdictKindName(VerdictKind kind);  // "none", "successful", ...

struct Verdict {
  VerdictKind kind = VerdictKind::kNone;
  std::string text;  // for people, with the numbers that made it
  friend bool operator==(const Verdict&, const Verdict&) = default;
};

// What the judge knows at the end of a stage. It passes when there are enough samples and every
// plain estimate is within its limit.
struct StageReport {
  bool enough_samples = false;
  bool within_limits = false;
  std::string text;
  bool passed() const { return enough_samples && within_limits; }
  friend bool operator==(const StageReport&, const StageReport&) = default;
};

}  // namespace caxton::deployment
