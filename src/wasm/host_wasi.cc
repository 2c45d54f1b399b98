// SPDX-License-Identifier: Apache-2.0
//
// The part of WASI preview1 that ordinary toolchains need: sdk/abi/abi.md, section W.
// Deterministic, no files.
#include <algorithm>
#include <array>
#include <cstring>

#include "caxton/base/strings.h"
#include "caxton/wasm/limits.h"
#include "host_functions.h"

namespace caxton::wasm {
namespace {

// WASI's error numbers.
constexpr int32_t kSuccess = 0;
constexpr int32_t kBadFd = 8;
constexpr int32_t kFault = 21;
constexpr int32_t kInvalid = 28;
constexpr int32_t kSeekOnPipe = 70;
constexpr int32_t kNotCapable = 76;

constexpr uint32_t kLastStdio = 2;
constexpr uint8_t kCharacterDevice = 2;
constexpr uint64_t kRightFdWrite = 1 << 6;

constexpr uint32_t kSubscriptionBytes = 48;
constexpr uint32_t kEventBytes = 32;
constexpr uint8_t kClockEvent = 0;
constexpr uint16_t kAbsoluteTime = 1;

template <typename T>
T Load(const uint8_t* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

// args_sizes_get and environ_sizes_get: none, of no bytes.
void NoSizes(HostState& state, Slots s) {
  const bool ok = state.WriteU32(U32(s[0]), 0) && state.WriteU32(U32(s[1]), 0);
  s[0].i32 = ok ? kSuccess : kFault;
}

void NothingToGet(HostState&, Slots s) { s[0].i32 = kSuccess; }

void ClockTimeGet(HostState& state, Slots s) {
  if (state.phase() == Phase::kStart) {
    s[0].i32 = kNotCapable;
    return;
  }
  const uint32_t clock = U32(s[0]);
  if (clock > 3) {
    s[0].i32 = kInvalid;
    return;
  }
  s[0].i32 = state.WriteU64(U32(s[2]), static_cast<uint64_t>(state.now())) ? kSuccess : kFault;
}

void RandomGet(HostState& state, Slots s) {
  const uint32_t len = U32(s[1]);
  if (state.phase() == Phase::kStart) {
    s[0].i32 = kNotCapable;
    return;
  }
  uint8_t* to = state.Bytes(U32(s[0]), len);
  if (to == nullptr) {
    s[0].i32 = kFault;
  } else if (len > kMaxRandomBytesPerCall) {
    s[0].i32 = kInvalid;
  } else {
    state.random().Fill({to, len});
    s[0].i32 = kSuccess;
  }
}

int32_t WriteVectors(HostState& state, int fd, Slots s) {
  const uint32_t count = U32(s[2]);
  if (count > kMaxIoVectors) return kInvalid;
  const uint8_t* vectors = state.Bytes(U32(s[1]), count * 8);
  if (vectors == nullptr) return kFault;
  uint64_t total = 0;
  for (uint32_t i = 0; i < count; ++i) {
    std::string_view text;
    if (!state.ReadText(Load<uint32_t>(vectors + i * 8), Load<uint32_t>(vectors + i * 8 + 4),
                        &text)) {
      return kFault;
    }
    total += text.size();
    if (total > UINT32_MAX) return kInvalid;
    state.LogStream(fd, text);
  }
  return state.WriteU32(U32(s[3]), static_cast<uint32_t>(total)) ? kSuccess : kFault;
}

void FdWrite(HostState& state, Slots s) {
  const uint32_t fd = U32(s[0]);
  s[0].i32 = fd == 1 || fd == 2 ? WriteVectors(state, static_cast<int>(fd), s) : kBadFd;
}

// fd_fdstat_get: standard streams are terminals of which 1 and 2 can be written.
void FdStat(HostState& state, Slots s) {
  const uint32_t fd = U32(s[0]);
  if (fd > kLastStdio) {
    s[0].i32 = kBadFd;
    return;
  }
  uint8_t* to = state.Bytes(U32(s[1]), 24);
  if (to == nullptr) {
    s[0].i32 = kFault;
    return;
  }
  std::memset(to, 0, 24);
  to[0] = kCharacterDevice;
  const uint64_t rights = fd == 0 ? 0 : kRightFdWrite;
  std::memcpy(to + 8, &rights, sizeof rights);
  s[0].i32 = kSuccess;
}

// fd_close and fd_fdstat_set_flags: accepted on standard streams, without effect.
void StdioOnly(HostState&, Slots s) { s[0].i32 = U32(s[0]) <= kLastStdio ? kSuccess : kBadFd; }
void FdSeek(HostState&, Slots s) { s[0].i32 = U32(s[0]) <= kLastStdio ? kSeekOnPipe : kBadFd; }
void NoSuchFd(HostState&, Slots s) { s[0].i32 = kBadFd; }
void SchedYield(HostState&, Slots s) { s[0].i32 = kSuccess; }

// When subscription `in` (a clock's) is due; false: it does not wait for a clock.
bool DueAt(const HostState& state, const uint8_t* in, int64_t* due) {
  if (in[8] != kClockEvent) return false;
  const uint64_t timeout = std::min<uint64_t>(Load<uint64_t>(in + 24), INT64_MAX);
  const bool absolute = (Load<uint16_t>(in + 40) & kAbsoluteTime) != 0;
  const uint64_t base = absolute ? 0 : static_cast<uint64_t>(std::max<int64_t>(state.now(), 0));
  *due = static_cast<int64_t>(std::min<uint64_t>(base + timeout, INT64_MAX));
  return true;
}

// Nobody waits: the step's clock moves on to the earliest timeout, and every event that is due by
// then is told. Descriptors are never ready: each is an event with EBADF, and then no clock moves.
int32_t Poll(HostState& state, Slots s) {
  const uint32_t count = U32(s[2]);
  if (count == 0 || count > kMaxPollSubscriptions) return kInvalid;
  const uint8_t* in = state.Bytes(U32(s[0]), count * kSubscriptionBytes);
  uint8_t* out = state.Bytes(U32(s[1]), count * kEventBytes);
  if (in == nullptr || out == nullptr) return kFault;
  int64_t earliest = INT64_MAX;
  bool only_clocks = true;
  for (uint32_t i = 0; i < count; ++i) {
    int64_t due = 0;
    if (DueAt(state, in + i * kSubscriptionBytes, &due)) {
      earliest = std::min(earliest, due);
    } else {
      only_clocks = false;
    }
  }
  // Relative timeouts count from before the clock moves.
  std::array<uint8_t, kMaxPollSubscriptions> told{};
  const int64_t reached = only_clocks ? std::max(earliest, state.now()) : state.now();
  for (uint32_t i = 0; i < count; ++i) {
    int64_t due = 0;
    told[i] = !DueAt(state, in + i * kSubscriptionBytes, &due) || due <= reached;
  }
  uint32_t events = 0;
  for (uint32_t i = 0; i < count; ++i) {
    if (told[i] == 0) continue;
    // The ranges may overlap, as the guest likes: read before writing.
    const uint64_t user_data = Load<uint64_t>(in + i * kSubscriptionBytes);
    const uint8_t kind = in[i * kSubscriptionBytes + 8];
    uint8_t event[kEventBytes] = {};
    const uint16_t error = kind == kClockEvent ? kSuccess : kBadFd;
    std::memcpy(event, &user_data, sizeof user_data);
    std::memcpy(event + 8, &error, sizeof error);
    event[10] = kind;
    std::memcpy(out + events * kEventBytes, event, sizeof event);
    ++events;
  }
  state.AdvanceTo(reached);
  return state.WriteU32(U32(s[3]), events) ? kSuccess : kFault;
}

void PollOneoff(HostState& state, Slots s) {
  s[0].i32 = state.phase() == Phase::kStart ? kNotCapable : Poll(state, s);
}

wasm_trap_t* ProcExit(HostState& state, Slots s) {
  return StopGuest(state, StopReason::kExit,
                   StrCat("the module ended its program (proc_exit ", U32(s[0]), ")"));
}

constexpr std::array kWasiFunctions = {
    HostFunction{{kWasiModule, "args_get", "ii:i"}, &Entry<&NothingToGet>},
    HostFunction{{kWasiModule, "args_sizes_get", "ii:i"}, &Entry<&NoSizes>},
    HostFunction{{kWasiModule, "environ_get", "ii:i"}, &Entry<&NothingToGet>},
    HostFunction{{kWasiModule, "environ_sizes_get", "ii:i"}, &Entry<&NoSizes>},
    HostFunction{{kWasiModule, "clock_time_get", "iIi:i"}, &Entry<&ClockTimeGet>},
    HostFunction{{kWasiModule, "random_get", "ii:i"}, &Entry<&RandomGet>},
    HostFunction{{kWasiModule, "fd_write", "iiii:i"}, &Entry<&FdWrite>},
    HostFunction{{kWasiModule, "fd_read", "iiii:i"}, &Entry<&NoSuchFd>},
    HostFunction{{kWasiModule, "fd_close", "i:i"}, &Entry<&StdioOnly>},
    HostFunction{{kWasiModule, "fd_seek", "iIii:i"}, &Entry<&FdSeek>},
    HostFunction{{kWasiModule, "fd_fdstat_get", "ii:i"}, &Entry<&FdStat>},
    HostFunction{{kWasiModule, "fd_fdstat_set_flags", "ii:i"}, &Entry<&StdioOnly>},
    HostFunction{{kWasiModule, "fd_prestat_get", "ii:i"}, &Entry<&NoSuchFd>},
    HostFunction{{kWasiModule, "fd_prestat_dir_name", "iii:i"}, &Entry<&NoSuchFd>},
    HostFunction{{kWasiModule, "path_open", "iiiiiIIii:i"}, &Entry<&NoSuchFd>},
    HostFunction{{kWasiModule, "poll_oneoff", "iiii:i"}, &Entry<&PollOneoff>},
    HostFunction{{kWasiModule, "sched_yield", ":i"}, &Entry<&SchedYield>},
    HostFunction{{kWasiModule, "proc_exit", "i:"}, &Entry<&ProcExit>},
};

}  // namespace

std::span<const HostFunction> WasiFunctions() { return kWasiFunctions; }

}  // namespace caxton::wasm
