// SPDX-License-Identifier: Apache-2.0
//
// Debian's Abseil keeps a string_view type of its own, which std::string_view does not convert to.
// Caxton's interfaces use std::string_view; these take either and hand Abseil what it wants. Use
// StrCat and its kin from here (they are found unqualified anywhere in namespace caxton), and
// AbslView() for the rest of Abseil.
#pragma once

#include <concepts>
#include <string>
#include <string_view>
#include <type_traits>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace caxton {

inline absl::string_view AbslView(std::string_view text) { return {text.data(), text.size()}; }
inline std::string_view StdView(absl::string_view text) { return {text.data(), text.size()}; }

namespace strings_internal {
template <typename T>
decltype(auto) ForAbsl(const T& value) {
  if constexpr (std::is_same_v<T, std::string_view>) {
    return AbslView(value);
  } else {
    return (value);
  }
}
}  // namespace strings_internal

// As absl::StrCat.
template <typename... Args>
std::string StrCat(const Args&... args) {
  return absl::StrCat(strings_internal::ForAbsl(args)...);
}
// As absl::StrAppend.
template <typename... Args>
void StrAppend(std::string* to, const Args&... args) {
  absl::StrAppend(to, strings_internal::ForAbsl(args)...);
}

inline bool StartsWith(std::string_view text, std::string_view prefix) {
  return text.starts_with(prefix);
}
inline bool EndsWith(std::string_view text, std::string_view suffix) {
  return text.ends_with(suffix);
}
inline bool StrContains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}
// ASCII case only.
inline bool EqualsIgnoreCase(std::string_view a, std::string_view b) {
  return absl::EqualsIgnoreCase(AbslView(a), AbslView(b));
}
inline std::string_view StripWhitespace(std::string_view text) {
  return StdView(absl::StripAsciiWhitespace(AbslView(text)));
}
inline std::string AsciiToLower(std::string_view text) {
  return absl::AsciiStrToLower(AbslView(text));
}
// Whether all of `text` is a decimal number that fits `*out`.
template <std::integral Int>
bool ParseInt(std::string_view text, Int* out) {
  return absl::SimpleAtoi(AbslView(text), out);
}

}  // namespace caxton
