// SPDX-License-Identifier: Apache-2.0
//
// Decisions out of an input's bytes, for targets that build something structured: each byte one
// decision, zeros at the end. Thread rule: one thread.
#pragma once

#include <cstdint>
#include <iterator>
#include <string_view>

namespace caxton::fuzz {

class ByteSource final {
 public:
  explicit ByteSource(std::string_view in) : in_(in) {}

  bool empty() const { return in_.empty(); }
  uint8_t Byte() {
    if (in_.empty()) return 0;
    const auto byte = static_cast<uint8_t>(in_.front());
    in_.remove_prefix(1);
    return byte;
  }
  // In [0, bound); bound is 1 to 256.
  unsigned Below(unsigned bound) { return Byte() % bound; }
  bool Chance(unsigned of) { return Below(of) == of - 1; }
  template <typename List>
  const auto& Pick(const List& list) {
    return list[Below(static_cast<unsigned>(std::size(list)))];
  }
  std::string_view Rest() { return in_; }

 private:
  std::string_view in_;
};

}  // namespace caxton::fuzz
