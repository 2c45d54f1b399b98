// SPDX-License-Identifier: Apache-2.0
//
// TailVerifier: compares what a load was promised with what the end agent handled, as its tail
// shows it: nothing acknowledged is lost, nothing is handled twice, the messages of a key are in
// order. Pure. Thread rule: one thread. Use: OnEvent for each event of the tail, from its
// beginning; then Result.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "load_ledger.h"
#include "load_summary.h"

namespace caxton::cli {

class TailVerifier final {
 public:
  // `run` names the load whose messages count.
  TailVerifier(std::string agent, std::string run);

  void OnEvent(std::string_view content, std::string_view outcome);
  void OnGap() { gap_ = true; }
  // The tail's beginning is not the agent's: rows were trimmed, or keeping began late. Then missing
  // messages below `below` that precede what was seen may only be forgotten. (Messages that were
  // sent while the tail was read along cannot be: they are `below` and above.)
  void OnLateBeginning(uint64_t below) { forgotten_below_ = below; }
  // Compared with what `ledger` expects; its `lost` are those not seen yet.
  TailSummary Result(const Ledger& ledger) const;

 private:
  const std::string agent_;
  struct Seen {
    uint8_t handled = 0;  // how often, up to 255
    bool dead_lettered = false;
  };

  // Whether the missing message may have been handled before the first one that was seen.
  bool MayPrecede(uint64_t number, int keys) const;

  const std::string run_;
  std::vector<Seen> seen_;  // by number
  std::unordered_map<int, uint64_t> last_of_key_;
  std::unordered_map<int, uint64_t> first_of_key_;
  uint64_t first_ = 0, highest_ = 0;  // 0: none seen
  uint64_t skew_ = 0;                 // how far a message came behind a higher one, at most
  uint64_t forgotten_below_ = 0;
  uint64_t doubled_ = 0, out_of_order_ = 0;
  bool gap_ = false;
};

}  // namespace caxton::cli
