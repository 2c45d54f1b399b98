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
  if (first_ == 0) first_ = mark.number;
  highest_ = std::max(highest_, mark.number);
  Seen& seen = seen_[mark.number];
  if (StrContains(outcome, "dead")) {
    seen.dead_lettered = true;
    return;
  }
  if (seen.handled > 0) ++doubled_;
  seen.handled = static_cast<uint8_t>(std::min(seen.handled + 1, 255));
  if (seen.handled > 1) return;
  skew_ = std::max(skew_, highest_ - mark.number);
  if (mark.key < 0) return;
  first_of_key_.emplace(mark.key, mark.number);
  uint64_t& last = last_of_key_[mark.key];
  if (mark.number < last) ++out_of_order_;
  last = std::max(last, mark.number);
}

// The messages of a key are handled in order. Between keys order is loose: as loose as it was seen
// to be, twice that for what was not seen. One that is further behind is lost, not forgotten.
bool TailVerifier::MayPrecede(uint64_t number, int keys) const {
  if (first_ == 0) return true;
  if (keys > 0) {
    const auto first = first_of_key_.find(static_cast<int>(number % static_cast<uint64_t>(keys)));
    if (first != first_of_key_.end() && number > first->second) return false;
  }
  return number < first_ + 2 * skew_ + static_cast<uint64_t>(std::max(keys, 0));
}

TailSummary TailVerifier::Result(const Ledger& ledger) const {
  TailSummary result;
  result.agent = agent_;
  result.doubled = doubled_;
  result.out_of_order = out_of_order_;
  for (const Seen& seen : seen_) {
    if (seen.handled > 0) ++result.handled;
    if (seen.dead_lettered) ++result.dead_lettered;
  }
  for (uint64_t number = 1; number <= ledger.last_number(); ++number) {
    const LedgerStatus status = ledger.Get(number);
    if (status != LedgerStatus::kAcked && status != LedgerStatus::kAnswered) continue;
    ++result.expected;
    const Seen seen = number < seen_.size() ? seen_[number] : Seen();
    if (seen.handled > 0 || seen.dead_lettered) continue;
    ++result.lost;
    if (gap_ || (number < forgotten_below_ && MayPrecede(number, ledger.header.keys))) {
      ++result.forgotten;
    }
  }
  result.gap = gap_ || result.forgotten > 0;
  return result;
}

}  // namespace caxton::cli
