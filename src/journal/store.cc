// SPDX-License-Identifier: Apache-2.0
#include "caxton/journal/store.h"

#include <iterator>
#include <utility>

namespace caxton::journal {

void RowBatch::Append(RowBatch other) {
  bytes_ += other.bytes_;
  if (rows_.empty() && rows_.capacity() < other.rows_.size()) {
    rows_ = std::move(other.rows_);
    return;
  }
  rows_.insert(rows_.end(), std::make_move_iterator(other.rows_.begin()),
               std::make_move_iterator(other.rows_.end()));
}

}  // namespace caxton::journal
