// SPDX-License-Identifier: Apache-2.0
#include "json_compare.h"

#include <algorithm>
#include <cmath>

#include "absl/numeric/int128.h"
#include "caxton/base/assert.h"
#include "caxton/examine/limits.h"

namespace caxton::examine {
namespace {

using nlohmann::json;

// Every whole number of the library is between these.
constexpr double kBelowAll = -9223372036854775808.0 * 2;
constexpr double kAboveAll = 18446744073709551616.0;

template <typename T>
int Order(const T& a, const T& b) {
  return a < b ? -1 : b < a ? 1 : 0;
}

absl::int128 Whole(const json& number) {
  if (number.is_number_unsigned()) return absl::int128(number.get<uint64_t>());
  return absl::int128(number.get<int64_t>());
}

int CompareWholeWithFloat(absl::int128 whole, double number) {
  if (number >= kAboveAll) return -1;
  if (number <= kBelowAll) return 1;
  const double truncated = std::trunc(number);
  const int order = Order(whole, static_cast<absl::int128>(truncated));
  return order != 0 ? order : Order(truncated, number);
}

int TextSteps(const json& text) {
  return static_cast<int>(text.get_ref<const std::string&>().size() / kTextBytesPerStep);
}

}  // namespace

int CompareNumbers(const json& a, const json& b) {
  CAXTON_ASSERT(a.is_number() && b.is_number(), "only numbers have an order");
  if (a.is_number_float() && b.is_number_float()) return Order(a.get<double>(), b.get<double>());
  if (b.is_number_float()) return CompareWholeWithFloat(Whole(a), b.get<double>());
  if (a.is_number_float()) return -CompareWholeWithFloat(Whole(b), a.get<double>());
  return Order(Whole(a), Whole(b));
}

bool SameJson(const json& a, const json& b) {
  int steps = 0;
  return SameJson(a, b, &steps);
}

bool SameJson(const json& a, const json& b, int* steps) {
  ++*steps;
  if (a.is_number() && b.is_number()) return CompareNumbers(a, b) == 0;
  if (a.type() != b.type()) return false;
  if (a.is_array()) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [steps](const json& x, const json& y) { return SameJson(x, y, steps); });
  }
  if (a.is_string()) *steps += TextSteps(a);
  if (!a.is_object()) return a == b;
  if (a.size() != b.size()) return false;
  for (const auto& [name, value] : a.items()) {
    const auto other = b.find(name);
    if (other == b.end() || !SameJson(value, *other, steps)) return false;
  }
  return true;
}

int StepsOf(const json& value) {
  int steps = 1 + (value.is_string() ? TextSteps(value) : 0);
  if (!value.is_structured()) return steps;
  for (const json& part : value) steps += StepsOf(part);
  return steps;
}

}  // namespace caxton::examine
