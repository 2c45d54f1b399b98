// SPDX-License-Identifier: Apache-2.0
//
// Numbers that name things, kept apart by the type system: StrongId<struct AgentIdTag, uint32_t>.
#pragma once

#include <compare>
#include <cstdint>
#include <utility>

namespace caxton {

template <typename Tag, typename Rep>
class StrongId {
 public:
  constexpr StrongId() = default;
  constexpr explicit StrongId(Rep value) : value_(value) {}

  constexpr Rep value() const { return value_; }
  // 0 is "none" everywhere; the first id given out is 1.
  constexpr bool valid() const { return value_ != 0; }

  friend constexpr auto operator<=>(const StrongId&, const StrongId&) = default;

  template <typename H>
  friend H AbslHashValue(H h, const StrongId& id) {
    return H::combine(std::move(h), id.value_);
  }

 private:
  Rep value_ = 0;
};

}  // namespace caxton
