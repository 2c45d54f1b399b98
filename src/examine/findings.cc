// SPDX-License-Identifier: Apache-2.0
#include "findings.h"

#include <algorithm>

#include "caxton/base/strings.h"
#include "caxton/examine/limits.h"
#include "caxton/model/text.h"

namespace caxton::examine {

void Findings::Append(std::vector<Finding> more) {
  for (Finding& finding : more) Add(std::move(finding));
}

void Findings::Add(Finding finding) {
  const bool error = finding.severity == FindingSeverity::kError;
  if (error) ++errors_;
  // One place stays free, for the line that counts; and warnings may not crowd out the first error.
  const size_t room = kMaxFindings - (error ? 1 : 2);
  if (all_.size() >= room && !(error && errors_ == 1)) {
    ++left_out_;
    return;
  }
  for (std::string* text : {&finding.message, &finding.place, &finding.fix}) {
    *text = TruncateUtf8(SanitizeUtf8(*text), kMaxFindingTextBytes);
  }
  all_.push_back(std::move(finding));
}

std::vector<Finding> Findings::Take() {
  std::stable_sort(all_.begin(), all_.end(),
                   [](const Finding& a, const Finding& b) { return a.severity < b.severity; });
  if (left_out_ > 0) {
    all_.push_back({FindingSeverity::kNote, "MORE_FINDINGS",
                    StrCat("and ", left_out_, " more, not listed"), "", "", stage_});
  }
  return std::move(all_);
}

std::string Shown(std::string_view name) {
  if (name.size() <= kMaxShownNameBytes) return SanitizeUtf8(name);
  return SanitizeUtf8(name.substr(0, kMaxShownNameBytes)) + "...";
}

}  // namespace caxton::examine
