// SPDX-License-Identifier: Apache-2.0
//
// ResultFrames: the results of an Exchange stream that are not written yet, in frames that are cut
// at kMaxExchangeResultsPerFrame and kMaxExchangeFrameBytes. A result counts until the frame that
// holds it is written, not only until it is handed to gRPC: a reader that stalls is seen here.
//
// How to use: Add results; Take the oldest frame while none is being written; Written when gRPC
// says so. Thread rule: one thread at a time (the stream's mutex).
#pragma once

#include <cstddef>
#include <deque>

#include "caxton/v1/messaging.pb.h"

namespace caxton::api {

class ResultFrames {
 public:
  // `fill` gets the new result, empty.
  template <typename Fill>
  void Add(Fill fill) {
    fill(Room());
    Added();
  }
  bool nothing_to_take() const { return frames_.front().response.results().empty(); }
  // Precondition: something to take, and what was taken before is written. `out` is empty.
  void Take(v1::ExchangeResponse* out);
  void Written();

  // Of the results added and not written.
  size_t results() const { return results_; }
  size_t bytes() const { return bytes_; }  // as they are on the wire

 private:
  struct Frame {
    v1::ExchangeResponse response;
    size_t bytes = 0;
  };
  v1::ExchangeResult* Room();
  void Added();

  // Never empty. The last one is being filled; while the writer keeps up it is the only one, and
  // its memory is used again.
  std::deque<Frame> frames_ = std::deque<Frame>(1);
  size_t results_ = 0, bytes_ = 0;
  size_t taken_results_ = 0, taken_bytes_ = 0;  // of the frame that is being written
};

}  // namespace caxton::api
