// SPDX-License-Identifier: Apache-2.0
//
// Findings: collects faults up to kMaxFindings, errors first in the end. Private to src/examine.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "caxton/model/examine_report.h"

namespace caxton::examine {

class Findings final {
 public:
  // What is added from now on is of this stage.
  void set_stage(ExamineStage stage) { stage_ = stage; }
  void Error(std::string code, std::string place, std::string message, std::string fix) {
    Add({FindingSeverity::kError, std::move(code), std::move(message), std::move(place),
         std::move(fix), stage_});
  }
  void Warning(std::string code, std::string place, std::string message, std::string fix) {
    Add({FindingSeverity::kWarning, std::move(code), std::move(message), std::move(place),
         std::move(fix), stage_});
  }
  void Note(std::string code, std::string place, std::string message) {
    Add({FindingSeverity::kNote, std::move(code), std::move(message), std::move(place), "",
         stage_});
  }

  // Each keeps its stage.
  void Append(std::vector<Finding> more);

  bool has_error() const { return errors_ > 0; }
  // Errors first; with a last one that counts what was left out.
  std::vector<Finding> Take();

 private:
  void Add(Finding finding);

  std::vector<Finding> all_;
  ExamineStage stage_ = ExamineStage::kStatic;
  size_t errors_ = 0;
  size_t left_out_ = 0;
};

// A name out of a module, fit to be shown: UTF-8, shortened.
std::string Shown(std::string_view name);

}  // namespace caxton::examine
