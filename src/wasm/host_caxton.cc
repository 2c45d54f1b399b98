// SPDX-License-Identifier: Apache-2.0
//
// Module `caxton`: sdk/abi/abi.md, section I.
#include <algorithm>
#include <array>
#include <cstring>

#include "caxton/model/envelope.h"
#include "caxton/wasm/limits.h"
#include "host_functions.h"

namespace caxton::wasm {
namespace {

bool InStart(const HostState& state) { return state.phase() == Phase::kStart; }
bool InHandler(const HostState& state) { return state.phase() == Phase::kHandler; }

// Copies at most `cap` bytes of `value` to the guest; the full length, or an error.
int32_t CopyOut(const HostState& state, std::string_view value, uint32_t dst, uint32_t cap) {
  uint8_t* to = state.Bytes(dst, cap);
  if (to == nullptr) return kBadPointer;
  std::memcpy(to, value.data(), std::min<size_t>(cap, value.size()));
  return static_cast<int32_t>(value.size());
}

int32_t MessageField(const HostState& state, uint32_t field, uint32_t dst, uint32_t cap) {
  const Envelope& m = state.message();
  std::string_view text;
  switch (field) {
    case 0:
      text = m.id;
      break;
    case 1:
      text = m.sender;
      break;
    case 2:
      text = m.receiver;
      break;
    case 3: {
      const char performative = static_cast<char>(m.performative);
      return CopyOut(state, std::string_view(&performative, 1), dst, cap);
    }
    case 4:
      text = m.conversation_id;
      break;
    case 5:
      text = m.reply_with;
      break;
    case 6:
      text = m.in_reply_to;
      break;
    case 7:
      text = m.EffectiveKey();
      break;
    case 8:
      text = m.content_type;
      break;
    case 9:
      return CopyOut(state, m.content, dst, cap);
    case 10:
      text = m.idempotency_key;
      break;
    case 11: {
      if (m.deadline_ns == 0) return kAbsent;
      char bytes[sizeof m.deadline_ns];
      std::memcpy(bytes, &m.deadline_ns, sizeof bytes);
      return CopyOut(state, std::string_view(bytes, sizeof bytes), dst, cap);
    }
    default:
      return kUnknown;
  }
  return text.empty() ? kAbsent : CopyOut(state, text, dst, cap);
}

void MessageGet(HostState& state, Slots s) {
  s[0].i32 = InHandler(state) ? MessageField(state, U32(s[0]), U32(s[1]), U32(s[2])) : kNotAllowed;
}

int32_t HeaderGet(const HostState& state, Slots s) {
  std::string_view name;
  if (!state.ReadText(U32(s[0]), U32(s[1]), &name)) return kBadPointer;
  for (const auto& [known, value] : state.message().headers) {
    if (known == name) return CopyOut(state, value, U32(s[2]), U32(s[3]));
  }
  return kAbsent;
}

void MessageHeaderGet(HostState& state, Slots s) {
  s[0].i32 = InHandler(state) ? HeaderGet(state, s) : kNotAllowed;
}

void ReplyTo(HostState& state, Slots s) {
  std::string_view content;
  if (!InHandler(state)) {
    s[0].i32 = kNotAllowed;
  } else if (U32(s[0]) >= kPerformativeCount) {
    s[0].i32 = kUnknown;
  } else if (!state.ReadText(U32(s[1]), U32(s[2]), &content)) {
    s[0].i32 = kBadPointer;
  } else {
    s[0].i32 = state.SetReply(static_cast<uint8_t>(s[0].i32), content);
  }
}

void MessageNew(HostState& state, Slots s) {
  std::string_view to;
  if (!InHandler(state)) {
    s[0].i32 = kNotAllowed;
  } else if (!state.ReadText(U32(s[0]), U32(s[1]), &to)) {
    s[0].i32 = kBadPointer;
  } else if (U32(s[2]) >= kPerformativeCount) {
    s[0].i32 = kUnknown;
  } else {
    s[0].i32 = state.NewMessage(to, static_cast<uint8_t>(s[2].i32));
  }
}

void MessageSet(HostState& state, Slots s) {
  std::string_view value;
  if (!InHandler(state)) {
    s[0].i32 = kNotAllowed;
  } else if (!state.ReadText(U32(s[2]), U32(s[3]), &value)) {
    s[0].i32 = kBadPointer;
  } else {
    s[0].i32 = state.SetField(U32(s[0]), U32(s[1]), value);
  }
}

void MessageHeaderSet(HostState& state, Slots s) {
  std::string_view name;
  std::string_view value;
  if (!InHandler(state)) {
    s[0].i32 = kNotAllowed;
  } else if (!state.ReadText(U32(s[1]), U32(s[2]), &name) ||
             !state.ReadText(U32(s[3]), U32(s[4]), &value)) {
    s[0].i32 = kBadPointer;
  } else {
    s[0].i32 = state.SetHeader(U32(s[0]), name, value);
  }
}

void MessageSend(HostState& state, Slots s) {
  s[0].i32 = InHandler(state) ? state.Send(U32(s[0])) : kNotAllowed;
}

void ConfigGet(HostState& state, Slots s) {
  std::string_view name;
  if (InStart(state)) {
    s[0].i32 = kNotAllowed;
    return;
  }
  if (!state.ReadText(U32(s[0]), U32(s[1]), &name)) {
    s[0].i32 = kBadPointer;
    return;
  }
  const auto& settings = state.config().settings;
  const auto it = settings.find(std::string(name));
  s[0].i32 = it == settings.end() ? kAbsent : CopyOut(state, it->second, U32(s[2]), U32(s[3]));
}

void Now(HostState& state, Slots s) {
  s[0].i64 = InStart(state) ? int64_t{kNotAllowed} : state.now();
}

void Random(HostState& state, Slots s) {
  const uint32_t len = U32(s[1]);
  if (InStart(state)) {
    s[0].i32 = kNotAllowed;
    return;
  }
  uint8_t* to = state.Bytes(U32(s[0]), len);
  if (to == nullptr) {
    s[0].i32 = kBadPointer;
  } else if (len > kMaxRandomBytesPerCall) {
    s[0].i32 = kLimit;
  } else {
    state.random().Fill({to, len});
    s[0].i32 = 0;
  }
}

void LogLineOf(HostState& state, Slots s) {
  std::string_view text;
  if (!state.ReadText(U32(s[1]), U32(s[2]), &text)) {
    state.CountDroppedLog();
  } else {
    state.Log(static_cast<uint8_t>(std::min<uint32_t>(U32(s[0]), 3)), text);
  }
}

constexpr std::array kCaxtonFunctions = {
    HostFunction{{kAbiModule, "message_get", "iii:i"}, &Entry<&MessageGet>},
    HostFunction{{kAbiModule, "message_header_get", "iiii:i"}, &Entry<&MessageHeaderGet>},
    HostFunction{{kAbiModule, "reply", "iii:i"}, &Entry<&ReplyTo>},
    HostFunction{{kAbiModule, "message_new", "iii:i"}, &Entry<&MessageNew>},
    HostFunction{{kAbiModule, "message_set", "iiii:i"}, &Entry<&MessageSet>},
    HostFunction{{kAbiModule, "message_header_set", "iiiii:i"}, &Entry<&MessageHeaderSet>},
    HostFunction{{kAbiModule, "message_send", "i:i"}, &Entry<&MessageSend>},
    HostFunction{{kAbiModule, "config_get", "iiii:i"}, &Entry<&ConfigGet>},
    HostFunction{{kAbiModule, "now", ":I"}, &Entry<&Now>},
    HostFunction{{kAbiModule, "random", "ii:i"}, &Entry<&Random>},
    HostFunction{{kAbiModule, "log", "iii:"}, &Entry<&LogLineOf>},
};

}  // namespace

std::span<const HostFunction> CaxtonFunctions() { return kCaxtonFunctions; }

}  // namespace caxton::wasm
