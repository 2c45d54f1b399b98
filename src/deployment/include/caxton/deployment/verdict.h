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

// Which question a verdict answers.
enum class VerdictMoment : uint8_t {
  kWatching = 0,  // a test fired
  kStageEnd = 1,  // the time of a stage, or of the cleanup window, was up
  kEarly = 2,     // `promote: early`
};
inline constexpr uint8_t kVerdictMomentCount = 3;

// What a judge had seen when it spoke: enough to make the verdict again from the evidence, whatever
// came after it.
struct VerdictBasis {
  int64_t observations = 0;  // the first so many rows of the deployment's evidence
  int64_t at_ms = 0;         // where its traffic clock stood
  VerdictMoment moment = VerdictMoment::kWatching;
  uint32_t stage = 0;  // kStageEnd, kEarly: of the plan; behind the last: the cleanup window
  friend bool operator==(const VerdictBasis&, const VerdictBasis&) = default;
};

struct Verdict {
  VerdictKind kind = VerdictKind::kNone;
  std::string text;    // for people, with the numbers that made it
  VerdictBasis basis;  // of a judge's
  friend bool operator==(const Verdict&, const Verdict&) = default;
};

// Kind and text, this as a record keeps it (kMaxRecordTextBytes).
bool SaysTheSame(const Verdict& recorded, const Verdict& again);

// What the judge knows at the end of a stage. It passes when there are enough samples and every
// plain estimate is within its limit.
struct StageReport {
  bool enough_samples = false;
  bool within_limits = false;
  std::string text;
  int64_t observations = 0;  // seen by then
  int64_t at_ms = 0;         // VerdictBasis
  bool passed() const { return enough_samples && within_limits; }
  // Of a shadow's end: no messages decide nothing.
  VerdictKind Kind() const {
    if (!enough_samples) return VerdictKind::kInconclusive;
    return within_limits ? VerdictKind::kSuccessful : VerdictKind::kFailed;
  }
  friend bool operator==(const StageReport&, const StageReport&) = default;
};

}  // namespace caxton::deployment
