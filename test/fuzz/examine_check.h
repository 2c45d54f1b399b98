// SPDX-License-Identifier: Apache-2.0
//
// Examines modules one after another in this process and holds each report against what must be
// true of every report, whatever the module. A property that does not hold ends the process.
//
// Lifecycle: one per process (it makes an engine). Thread rule: one thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "caxton/base/clock.h"
#include "caxton/examine/examiner.h"
#include "caxton/wasm/engine.h"

namespace caxton::fuzz {

class ExamineCheck final {
 public:
  ExamineCheck();

  // Properties: the engine's validator and its compiler agree; of a valid module everything was
  // read; a report that is not ok has an error with a next step; every stage ran or says why not;
  // the report survives its encoding; all of it within the limits of time.
  ExamineReport Examine(std::string_view wasm);

  // How many reports had each code; "ok" counts those without an error.
  const std::map<std::string, uint64_t>& codes() const { return codes_; }
  int64_t longest_ns() const { return longest_ns_; }

 private:
  void CheckEngine(std::string_view wasm, const ExamineReport& report) const;
  void Count(const ExamineReport& report);

  SystemClock clock_;
  std::unique_ptr<wasm::Engine> engine_;
  std::map<std::string, uint64_t> codes_;
  int64_t longest_ns_ = 0;
};

}  // namespace caxton::fuzz
