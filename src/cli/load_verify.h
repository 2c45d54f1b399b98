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
  // Compared with what `ledger` expects; its `lost` are those not seen yet.
  TailSummary Result(const Ledger& ledger) const;

 private:
  const std::string agent_;
  struct Seen {
    uint8_t handled = 0;  // how often, up to 255
    bool dead_lettered = false;
  };

  const std::string run_;
  std::vector<Seen> seen_;  // by number
  std::unordered_map<int, uint64_t> last_of_key_;
  uint64_t doubled_ = 0, out_of_order_ = 0;
  bool gap_ = false;
};

}  // namespace caxton::cli
