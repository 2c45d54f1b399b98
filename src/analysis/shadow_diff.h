// SPDX-License-Identifier: Apache-2.0
//
// Where two runs of one message differ, by the places of caxton/analysis/shadow.h. What is compared
// comes from guests: contents are read as JSON within limits.h and as bytes beyond. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "caxton/model/mirrored.h"

namespace caxton::analysis {

inline constexpr std::string_view kOtherPlaces = "(other)";

// Path and values are UTF-8 without control characters, and cut.
struct Difference {
  std::string path;
  std::string live, other;
};

struct DiffOptions {
  bool outputs = true;            // false: the outcome alone
  std::string_view content_type;  // of the message: what its reply is taken for
};

// Each path once; beyond kMaxPlacesPerMessage the last is kOtherPlaces.
std::vector<Difference> DiffSides(const MirrorSide& live, const MirrorSide& other,
                                  const DiffOptions& options);

// `text` as a report shows it, in at most `max_bytes`.
std::string ShownText(std::string_view text, size_t max_bytes);

}  // namespace caxton::analysis
