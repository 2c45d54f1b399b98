// SPDX-License-Identifier: Apache-2.0
#include "load_verify.h"

#include <algorithm>
#include <utility>

#include "caxton/base/strings.h"
#include "caxton/cli/limits.h"
#include "load_core.h"

namespace caxton::cli {

TailVerifier::TailVerifier(std::string agent, std::string run)
    : agent_(std::move(agent)), run_(std::move(run)) {}

void TailVerifier::OnEvent(std::string_view content, std::string_view outcome) {
  LoadMark mark;
  if (!FindLoadMark(content, &mark) || mark.run != run_) return;
  if (mark.number > kMaxVerifiedNumber) return;  // no message of ours
  if (mark.number >= seen_.size()) seen_.resize(mark.number + 1);
  Seen& seen = seen_[mark.number];
  if (StrContains(outcome, "dead")) {
    seen.dead_lettered = true;
    return;
  }
  if (seen.handled > 0) ++doubled_;
  seen.handled = static_cast<uint8_t>(std::min(seen.handled + 1, 255));
  if (seen.handled > 1 || mark.key < 0) return;
  uint64_t& last = last_of_key_[mark.key];
  if (mark.number < last) ++out_of_order_;
  last = std::max(last, mark.number);
}

TailSummary TailVerifier::Result(const Ledger& ledger) const {
  TailSummary result;
  result.agent = agent_;
  result.doubled = doubled_;
  result.out_of_order = out_of_order_;
  result.gap = gap_;
  for (const Seen& seen : seen_) {
    if (seen.handled > 0) ++result.handled;
    if (seen.dead_lettered) ++result.dead_lettered;
  }
  for (uint64_t number = 1; number <= ledger.last_number(); ++number) {
    const LedgerStatus status = ledger.Get(number);
    if (status != LedgerStatus::kAcked && status != LedgerStatus::kAnswered) continue;
    ++result.expected;
    const Seen seen = number < seen_.size() ? seen_[number] : Seen();
    if (seen.handled == 0 && !seen.dead_lettered) ++result.lost;
  }
  return result;
}

}  // namespace caxton::cli
