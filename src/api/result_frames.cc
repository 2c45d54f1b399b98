// SPDX-License-Identifier: Apache-2.0
#include "result_frames.h"

#include <utility>

#include "caxton/api/limits.h"
#include "caxton/base/assert.h"

namespace caxton::api {

v1::ExchangeResult* ResultFrames::Room() {
  if (static_cast<size_t>(frames_.back().response.results_size()) == kMaxExchangeResultsPerFrame) {
    frames_.emplace_back();
  }
  return frames_.back().response.add_results();
}

void ResultFrames::Added() {
  Frame* frame = &frames_.back();
  const size_t bytes = frame->response.results().rbegin()->ByteSizeLong();
  if (frame->bytes > 0 && frame->bytes + bytes > kMaxExchangeFrameBytes) {
    // It is the next frame's, as it lies.
    v1::ExchangeResult* result = frame->response.mutable_results()->ReleaseLast();
    frame = &frames_.emplace_back();
    frame->response.mutable_results()->AddAllocated(result);
  }
  frame->bytes += bytes;
  ++results_;
  bytes_ += bytes;
}

void ResultFrames::Take(v1::ExchangeResponse* out) {
  CAXTON_ASSERT(!nothing_to_take() && taken_results_ == 0, "one frame is written at a time");
  Frame& frame = frames_.front();
  taken_results_ = static_cast<size_t>(frame.response.results_size());
  taken_bytes_ = std::exchange(frame.bytes, 0);
  out->Swap(&frame.response);
  if (frames_.size() > 1) frames_.pop_front();
}

void ResultFrames::Written() {
  results_ -= std::exchange(taken_results_, 0);
  bytes_ -= std::exchange(taken_bytes_, 0);
}

}  // namespace caxton::api
