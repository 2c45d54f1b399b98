// SPDX-License-Identifier: Apache-2.0
//
// The entry that libFuzzer calls; its main is in the compiler's library.
#include <cstddef>
#include <cstdint>

#include "fuzz_target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  caxton::fuzz::OneInput({reinterpret_cast<const char*>(data), size});
  return 0;
}
