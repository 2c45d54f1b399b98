// SPDX-License-Identifier: Apache-2.0
//
// Greets whom the message names. One source, four versions: two good ones, and two that a canary
// must catch. GREETER_VERSION is the text in the answer; GREETER_TRAPS and GREETER_SPINS add the
// faults.
#include "caxton.h"

enum { kMaxGreeting = 256, kMaxName = 1024 };

#if defined(GREETER_TRAPS) || defined(GREETER_SPINS)
// True for `percent` of all messages. Drawn from the step's seed, so the same message always meets
// the same fate on this version, and none on another.
static int Drawn(uint64_t percent) {
  uint32_t draw = 0;
  caxton_random(&draw, sizeof(draw));
  return draw % 10000 < percent * 100;
}
#endif

#ifdef GREETER_SPINS
// A guest cannot sleep: arithmetic that no compiler shortens. About 3 ns a round.
static uint64_t Spin(uint64_t rounds) {
  uint64_t x = 88172645463325252u;
  for (uint64_t i = 0; i < rounds; ++i) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
  }
  return x;
}
#endif

// An empty message, the simplest that validation tries, is handled by every version.
CAXTON_HANDLE_MESSAGE(content) {
#ifdef GREETER_TRAPS
  if (content.size > 0 && Drawn(caxton_setting_number("trap_percent", 5))) __builtin_trap();
#endif
#ifdef GREETER_SPINS
  if (content.size > 0 && Drawn(caxton_setting_number("slow_percent", 5)) &&
      Spin(caxton_setting_number("spin", 80000000)) == 0) {
    return CAXTON_RETRY;  // never: xorshift does not reach 0
  }
#endif
  char setting[kMaxGreeting];
  const caxton_bytes parts[] = {
      caxton_setting("greeting", setting, sizeof(setting), "Hello"),
      caxton_text(", "),
      content.size == 0 ? caxton_text("world") : content,
      caxton_text("! (greeter " GREETER_VERSION ")"),
  };
  if (content.size > kMaxName) return CAXTON_REJECT;

  char answer[kMaxGreeting + kMaxName + 64];
  uint32_t size = 0;
  for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); ++i) {
    memcpy(answer + size, parts[i].data, parts[i].size);
    size += parts[i].size;
  }
  caxton_reply(CAXTON_INFORM, answer, size);
  return CAXTON_HANDLED;
}
