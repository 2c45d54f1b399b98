// SPDX-License-Identifier: Apache-2.0
#include "load_verify.h"

#include <algorithm>
#include <utility>

#include "caxton/base/strings.h"
#include "load_core.h"

namespace caxton::cli {

TailVerifier::TailVerifier(std::string agent, const Ledger& ledger)
    : agent_(std::move(agent)),
      ledger_(ledger),
      handled_(ledger.last_number() + 1),
      dead_lettered_(ledger.last_number() + 1) {}

void TailVerifier::OnEvent(std::string_view content, std::string_view outcome) {
  LoadMark mark;
  if (!FindLoadMark(content, &mark) || mark.run != ledger_.header.run) return;
  if (mark.number == 0 || mark.number >= handled_.size()) return;  // not this ledger's
  if (StrContains(outcome, "dead")) {
    dead_lettered_[mark.number] = true;
    return;
  }
  uint8_t& times = handled_[mark.number];
  if (times > 0) ++doubled_;
  times = static_cast<uint8_t>(std::min(times + 1, 255));
  if (times > 1 || mark.key < 0) return;
  uint64_t& last = last_of_key_[mark.key];
  if (mark.number < last) ++out_of_order_;
  last = std::max(last, mark.number);
}

uint64_t TailVerifier::missing() const { return Result().lost; }

TailSummary TailVerifier::Result() const {
  TailSummary result;
  result.agent = agent_;
  result.doubled = doubled_;
  result.out_of_order = out_of_order_;
  result.gap = gap_;
  for (uint64_t number = 1; number < handled_.size(); ++number) {
    const LedgerStatus status = ledger_.Get(number);
    const bool expected = status == LedgerStatus::kAcked || status == LedgerStatus::kAnswered;
    if (expected) ++result.expected;
    if (handled_[number] > 0) ++result.handled;
    if (dead_lettered_[number]) ++result.dead_lettered;
    if (expected && handled_[number] == 0 && !dead_lettered_[number]) ++result.lost;
  }
  return result;
}

}  // namespace caxton::cli
