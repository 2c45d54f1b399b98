// SPDX-License-Identifier: Apache-2.0
#include "caxton/ipc/recent_messages.h"

#include <utility>

#include "caxton/base/codec.h"
#include "caxton/base/status.h"
#include "caxton/model/limits.h"

namespace caxton::ipc {
namespace {

constexpr size_t kLengthBytes = 4;

}  // namespace

std::string EncodeRecentMessages(const std::vector<std::string>& envelopes) {
  size_t first = envelopes.size();
  size_t bytes = 0;
  while (first > 0 && envelopes.size() - first < kMaxRecentMessages &&
         bytes + envelopes[first - 1].size() <= kMaxRecentBytes) {
    bytes += envelopes[--first].size();
  }
  std::string out;
  ByteWriter w(&out);
  w.U32(static_cast<uint32_t>(envelopes.size() - first));
  for (size_t i = first; i < envelopes.size(); ++i) w.Bytes(envelopes[i]);
  return out;
}

absl::StatusOr<std::vector<Envelope>> DecodeRecentMessages(std::string_view bytes) {
  ByteReader in(bytes);
  std::vector<Envelope> messages;
  const uint32_t count = ReadCount(in, kLengthBytes);
  if (count > kMaxRecentMessages) in.Fail();
  for (uint32_t i = 0; i < count && in.ok(); ++i) {
    absl::StatusOr<Envelope> envelope = DecodeEnvelope(in.Bytes());
    if (!in.ok()) break;
    if (!envelope.ok()) return envelope.status();
    messages.push_back(*std::move(envelope));
  }
  RETURN_IF_ERROR(in.Finish("recent messages"));
  return messages;
}

}  // namespace caxton::ipc
