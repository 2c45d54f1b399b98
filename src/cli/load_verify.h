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
  // `ledger` outlives it and holds what is expected.
  TailVerifier(std::string agent, const Ledger& ledger);

  void OnEvent(std::string_view content, std::string_view outcome);
  void OnGap() { gap_ = true; }
  // Messages that are expected and not seen yet.
  uint64_t missing() const;
  TailSummary Result() const;

 private:
  const std::string agent_;
  const Ledger& ledger_;
  std::vector<uint8_t> handled_;     // by number: how often, up to 255
  std::vector<bool> dead_lettered_;  // by number
  std::unordered_map<int, uint64_t> last_of_key_;
  uint64_t doubled_ = 0, out_of_order_ = 0;
  bool gap_ = false;
};

}  // namespace caxton::cli
