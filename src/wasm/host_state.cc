// SPDX-License-Identifier: Apache-2.0
#include "host_state.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "caxton/base/assert.h"
#include "caxton/model/limits.h"
#include "caxton/model/names.h"
#include "caxton/model/text.h"
#include "caxton/wasm/limits.h"

namespace caxton::wasm {
namespace {

constexpr std::string_view kClientPrefix = "client:";
constexpr uint8_t kStreamLevel[] = {2, 0};  // standard output: info; standard error: error

// An agent's name, or the sender of a request (whom a late reply goes to).
bool IsReceiver(std::string_view to) {
  if (to.starts_with(kClientPrefix)) return to.size() > kClientPrefix.size();
  return ValidateAgentName(to).ok();
}

}  // namespace

void HostState::BeginPhase(Phase phase, int64_t time_ns, const std::array<uint8_t, 32>& seed) {
  phase_ = phase;
  stop_ = StopReason::kNone;
  stop_text_.clear();
  time_ns_ = time_ns;
  random_.Reset(seed);
}

void HostState::BeginStep(const Envelope* message, StepResult* result) {
  message_ = message;
  result_ = result;
  log_bytes_ = 0;
  handles_.clear();
  open_ = 0;
  output_bytes_ = 0;
}

void HostState::EndStep() {
  for (int i = 0; i < 2; ++i) {
    if (stream_[i].empty()) continue;
    Log(kStreamLevel[i], stream_[i]);
    stream_[i].clear();
  }
  handles_.clear();
  message_ = nullptr;
  result_ = nullptr;
  phase_ = Phase::kIdle;
}

uint64_t HostState::MemorySize() const {
  return has_memory_ ? wasmtime_memory_data_size(context_, &memory_) : 0;
}

uint8_t* HostState::Bytes(uint32_t ptr, uint32_t len) const {
  if (!has_memory_) return nullptr;
  uint8_t* base = wasmtime_memory_data(context_, &memory_);
  const uint64_t size = wasmtime_memory_data_size(context_, &memory_);
  if (uint64_t{ptr} + len > size) return nullptr;
  return base + ptr;
}

bool HostState::ReadText(uint32_t ptr, uint32_t len, std::string_view* out) const {
  const uint8_t* bytes = Bytes(ptr, len);
  if (bytes == nullptr) return false;
  *out = std::string_view(reinterpret_cast<const char*>(bytes), len);
  return true;
}

bool HostState::WriteU32(uint32_t ptr, uint32_t value) const {
  uint8_t* to = Bytes(ptr, sizeof value);
  if (to == nullptr) return false;
  std::memcpy(to, &value, sizeof value);
  return true;
}

bool HostState::WriteU64(uint32_t ptr, uint64_t value) const {
  uint8_t* to = Bytes(ptr, sizeof value);
  if (to == nullptr) return false;
  std::memcpy(to, &value, sizeof value);
  return true;
}

void HostState::AdvanceTo(int64_t time_ns) { time_ns_ = std::max(time_ns_, time_ns); }

void HostState::CountDroppedLog() {
  if (result_ != nullptr && result_->logs_dropped < UINT32_MAX) ++result_->logs_dropped;
}

void HostState::Log(uint8_t level, std::string_view text) {
  if (result_ == nullptr) return;
  const std::string_view kept = text.substr(0, kMaxLogLineBytes);
  const size_t cost = kept.size() + kLogLineOverheadBytes;
  if (log_bytes_ + cost > kMaxLogBytesPerStep) {
    CountDroppedLog();
    return;
  }
  log_bytes_ += cost;
  result_->logs.push_back({std::min<uint8_t>(level, 3), SanitizeUtf8(kept)});
}

void HostState::LogStream(int fd, std::string_view bytes) {
  std::string& pending = stream_[fd - 1];
  const uint8_t level = kStreamLevel[fd - 1];
  while (!bytes.empty()) {
    const size_t newline = bytes.find('\n');
    const std::string_view part = bytes.substr(0, newline);
    // What exceeds a line's bound would be cut by Log: it need not be kept.
    pending.append(part.substr(0, kMaxLogLineBytes - std::min(pending.size(), kMaxLogLineBytes)));
    if (newline == std::string_view::npos) return;
    Log(level, pending);
    pending.clear();
    bytes.remove_prefix(newline + 1);
  }
}

bool HostState::Charge(size_t before, size_t bytes) {
  const size_t limit =
      std::max(kMaxStepOutputBytes, static_cast<size_t>(config_.max_message_bytes));
  const size_t rest = output_bytes_ - before;
  if (bytes > limit || rest > limit - bytes) return false;
  output_bytes_ = rest + bytes;
  return true;
}

int32_t HostState::SetReply(uint8_t performative, std::string_view content) {
  if (result_->reply.has_value()) return kAlreadyReplied;
  if (performative >= kPerformativeCount) return kUnknown;
  if (content.size() > static_cast<size_t>(config_.max_message_bytes)) return kLimit;
  if (!Charge(0, content.size())) return kLimit;
  result_->reply = Reply{static_cast<Performative>(performative), std::string(content)};
  return 0;
}

int32_t HostState::NewMessage(std::string_view to, uint8_t performative) {
  if (performative >= kPerformativeCount) return kUnknown;
  if (to.size() > kMaxEnvelopeFieldBytes) return kLimit;
  if (!IsUtf8(to)) return kBadPointer;
  if (!IsReceiver(to)) return kUnknown;
  // Every handle ever made in a step counts for the second bound, so that handles_ cannot grow
  // without end.
  if (open_ >= kMaxOpenHandles || handles_.size() >= kMaxOpenHandles + kMaxSendsPerStep) {
    return kLimit;
  }
  if (!Charge(0, to.size())) return kLimit;
  OutgoingMessage message;
  message.to = std::string(to);
  message.performative = static_cast<Performative>(performative);
  handles_.push_back(std::move(message));
  ++open_;
  return static_cast<int32_t>(handles_.size());
}

OutgoingMessage* HostState::Open(uint32_t handle) {
  if (handle == 0 || handle > handles_.size()) return nullptr;
  std::optional<OutgoingMessage>& message = handles_[handle - 1];
  return message.has_value() ? &*message : nullptr;
}

int32_t HostState::SetField(uint32_t handle, uint32_t field, std::string_view value) {
  OutgoingMessage* message = Open(handle);
  if (message == nullptr) return kUnknown;
  std::string* text = nullptr;
  switch (field) {
    case 4:
      text = &message->conversation_id;
      break;
    case 5:
      text = &message->reply_with;
      break;
    case 6:
      text = &message->in_reply_to;
      break;
    case 7:
      text = &message->key;
      break;
    case 8:
      text = &message->content_type;
      break;
    case 9:
      if (value.size() > static_cast<size_t>(config_.max_message_bytes)) return kLimit;
      if (!Charge(message->content.size(), value.size())) return kLimit;
      message->content = std::string(value);
      return 0;
    case 11: {
      int64_t deadline = 0;
      if (value.size() != sizeof deadline) return kBadPointer;
      std::memcpy(&deadline, value.data(), sizeof deadline);
      if (deadline < 0) return kBadPointer;
      message->deadline_ns = deadline;
      return 0;
    }
    default:
      return kUnknown;
  }
  if (value.size() > kMaxEnvelopeFieldBytes) return kLimit;
  if (!IsUtf8(value)) return kBadPointer;
  if (!Charge(text->size(), value.size())) return kLimit;
  *text = std::string(value);
  return 0;
}

int32_t HostState::SetHeader(uint32_t handle, std::string_view name, std::string_view value) {
  OutgoingMessage* message = Open(handle);
  if (message == nullptr) return kUnknown;
  if (name.size() > kMaxEnvelopeHeaderNameBytes || value.size() > kMaxEnvelopeHeaderValueBytes) {
    return kLimit;
  }
  if (name.empty() || !IsUtf8(name) || !IsUtf8(value)) return kBadPointer;
  for (auto& [known, old] : message->headers) {
    if (known != name) continue;
    if (!Charge(old.size(), value.size())) return kLimit;
    old = std::string(value);
    return 0;
  }
  if (message->headers.size() >= kMaxEnvelopeHeaders) return kLimit;
  if (!Charge(0, name.size() + value.size())) return kLimit;
  message->headers.emplace_back(name, value);
  return 0;
}

int32_t HostState::Send(uint32_t handle) {
  OutgoingMessage* message = Open(handle);
  if (message == nullptr) return kUnknown;
  if (result_->sends.size() >= kMaxSendsPerStep) return kLimit;
  result_->sends.push_back(std::move(*message));
  handles_[handle - 1].reset();
  CAXTON_ASSERT(open_ > 0, "an open handle was not counted");
  --open_;
  return 0;
}

}  // namespace caxton::wasm
