// SPDX-License-Identifier: Apache-2.0
#include "caxton/model/units.h"

#include <array>
#include <span>

#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/model/limits.h"
#include "caxton/model/text.h"

namespace caxton {
namespace {

constexpr size_t kMaxIntegerDigits = 15;
constexpr size_t kMaxFractionDigits = 9;

struct Unit {
  std::string_view name;
  int64_t factor;
};
constexpr int64_t kSecond = 1'000'000'000;
// Longest first; the order in which a duration such as 1h30m names them.
constexpr std::array<Unit, 6> kDurationUnits = {{{"h", 3600 * kSecond},
                                                 {"m", 60 * kSecond},
                                                 {"s", kSecond},
                                                 {"ms", 1'000'000},
                                                 {"us", 1'000},
                                                 {"ns", 1}}};
constexpr std::array<Unit, 4> kSizeUnits = {{{"Ti", int64_t{1} << 40},
                                             {"Gi", int64_t{1} << 30},
                                             {"Mi", int64_t{1} << 20},
                                             {"Ki", 1 << 10}}};

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLetter(char c) { return !IsDigit(c) && c != '.' && c != ' '; }

// A decimal number, kept exactly.
struct Decimal {
  std::string_view text;  // as written
  int64_t whole = 0;
  int64_t fraction = 0;
  int64_t scale = 1;  // fraction / scale

  // value * factor where that is a whole number that fits, else -1.
  int64_t Times(int64_t factor) const {
    const __int128 part = static_cast<__int128>(fraction) * factor;
    if (part % scale != 0) return -1;
    const __int128 all = static_cast<__int128>(whole) * factor + part / scale;
    return all > INT64_MAX ? -1 : static_cast<int64_t>(all);
  }
};

// Takes the number at the start of `*text`; false if there is none that can be kept exactly.
bool TakeDecimal(std::string_view* text, Decimal* number) {
  const std::string_view all = *text;
  size_t at = 0;
  while (at < all.size() && IsDigit(all[at])) {
    if (at == kMaxIntegerDigits) return false;
    number->whole = number->whole * 10 + (all[at++] - '0');
  }
  if (at == 0) return false;
  if (at < all.size() && all[at] == '.') {
    const size_t first = ++at;
    while (at < all.size() && IsDigit(all[at])) {
      if (at - first == kMaxFractionDigits) return false;
      number->fraction = number->fraction * 10 + (all[at++] - '0');
      number->scale *= 10;
    }
    if (at == first) return false;
  }
  number->text = all.substr(0, at);
  text->remove_prefix(at);
  return true;
}

std::string_view TakeUnit(std::string_view* text) {
  size_t at = 0;
  while (at < text->size() && IsLetter((*text)[at])) ++at;
  const std::string_view unit = text->substr(0, at);
  text->remove_prefix(at);
  return unit;
}

absl::Status Wrong(std::string_view text, std::string_view why, std::string_view fix) {
  return WithFix(absl::InvalidArgumentError(StrCat(Quoted(text), " ", why)), fix);
}
absl::Status Meant(std::string_view text, std::string_view why, std::string_view meant) {
  return Wrong(text, StrCat(why, ": did you mean ", meant, "?"), StrCat("write ", meant));
}

constexpr std::string_view kDurationForms = "write it as 250ms, 1.5s, 5m or 1h30m";
constexpr std::string_view kSizeForms = "write it as 64Ki, 64Mi, 1Gi or a number of bytes";
constexpr std::string_view kCpuForms = "write it as 500m (half a core), 0.5 or 2";
constexpr std::string_view kShareForms = "write it as 5% or 33.3%";

// The duration unit that a common other spelling means, else empty.
std::string_view DurationUnitMeant(std::string_view unit) {
  const std::string lower = AsciiToLower(unit);
  constexpr std::pair<std::string_view, std::string_view> kMeant[] = {
      {"h", "h"},          {"hr", "h"},         {"hrs", "h"},     {"hour", "h"},   {"hours", "h"},
      {"m", "m"},          {"min", "m"},        {"mins", "m"},    {"minute", "m"}, {"minutes", "m"},
      {"s", "s"},          {"sec", "s"},        {"secs", "s"},    {"second", "s"}, {"seconds", "s"},
      {"ms", "ms"},        {"msec", "ms"},      {"millis", "ms"}, {"us", "us"},    {"usec", "us"},
      {"\xc2\xb5s", "us"}, {"\xce\xbcs", "us"}, {"ns", "ns"}};
  for (const auto& [written, meant] : kMeant) {
    if (lower == written) return meant;
  }
  return {};
}

absl::Status BadDurationUnit(std::string_view text, const Decimal& number, std::string_view unit) {
  if (unit.empty()) {
    return Wrong(text, "is a duration without a unit",
                 StrCat("write ", number.text, "ms, ", number.text, "s or ", number.text, "m"));
  }
  if (const std::string_view meant = DurationUnitMeant(unit); !meant.empty()) {
    return Meant(text, StrCat("has the unit ", Quoted(unit)), StrCat(number.text, meant));
  }
  const std::string lower = AsciiToLower(unit);
  if ((lower == "d" || lower == "day" || lower == "days") && number.scale == 1 &&
      number.whole < 36'500) {
    return Meant(text, "has days, which are not a unit here", StrCat(number.whole * 24, "h"));
  }
  return Wrong(text, StrCat("has the unknown unit ", Quoted(unit)), kDurationForms);
}

std::string FormatFraction(int64_t value, int64_t unit, std::string_view name) {
  std::string text = StrCat(value / unit);
  if (int64_t rest = value % unit; rest != 0) {
    std::string digits;
    for (int64_t scale = unit / 10; rest != 0; scale /= 10) {
      digits.push_back(static_cast<char>('0' + rest / scale));
      rest %= scale;
    }
    StrAppend(&text, ".", digits);
  }
  return StrCat(text, name);
}

}  // namespace

absl::StatusOr<int64_t> ParseDurationNs(std::string_view text) {
  if (text.empty()) return Wrong(text, "is not a duration", kDurationForms);
  std::string_view rest = text;
  int64_t total = 0;
  size_t next_unit = 0;  // units grow smaller, each at most once
  bool fraction = false;
  while (!rest.empty()) {
    Decimal number;
    if (fraction || !TakeDecimal(&rest, &number)) {
      return Wrong(text, "is not a duration", kDurationForms);
    }
    fraction = number.scale != 1;
    const std::string_view unit = TakeUnit(&rest);
    size_t at = 0;
    while (at < kDurationUnits.size() && kDurationUnits[at].name != unit) ++at;
    if (at == kDurationUnits.size()) return BadDurationUnit(text, number, unit);
    if (at < next_unit) return Wrong(text, "names its units out of order", kDurationForms);
    next_unit = at + 1;
    const int64_t part = number.Times(kDurationUnits[at].factor);
    if (part < 0 || part > kMaxDurationNs - total) {
      return Wrong(text, "is longer than 100 years or finer than a nanosecond", kDurationForms);
    }
    total += part;
  }
  return total;
}

absl::StatusOr<int64_t> ParseSizeBytes(std::string_view text) {
  std::string_view rest = text;
  Decimal number;
  if (!TakeDecimal(&rest, &number)) return Wrong(text, "is not a size", kSizeForms);
  const std::string_view unit = TakeUnit(&rest);
  if (!rest.empty()) return Wrong(text, "is not a size", kSizeForms);
  int64_t factor = unit.empty() ? 1 : 0;
  for (const Unit& known : kSizeUnits) {
    if (known.name == unit) factor = known.factor;
  }
  if (factor == 0) {
    const std::string lower = AsciiToLower(unit);
    if (lower == "b" || lower == "bytes") {
      return Meant(text, "has a unit that bytes do not need", number.text);
    }
    for (const Unit& known : kSizeUnits) {
      const std::string first = AsciiToLower(known.name.substr(0, 1));
      if (lower == first || lower == StrCat(first, "b") || lower == StrCat(first, "i") ||
          lower == StrCat(first, "ib")) {
        return Meant(text, "could mean two things", StrCat(number.text, known.name));
      }
    }
    return Wrong(text, StrCat("has the unknown unit ", Quoted(unit)), kSizeForms);
  }
  const int64_t bytes = number.Times(factor);
  if (bytes < 0) return Wrong(text, "is too large or not a whole number of bytes", kSizeForms);
  return bytes;
}

absl::StatusOr<int64_t> ParseCpuMillis(std::string_view text) {
  std::string_view rest = text;
  Decimal number;
  if (!TakeDecimal(&rest, &number)) return Wrong(text, "is not an amount of cpu", kCpuForms);
  if (rest == "M") return Meant(text, "has the unit 'M'", StrCat(number.text, "m"));
  if (rest == "%" && number.Times(10) > 0) {
    return Meant(text, "is a share, cpu is given in cores", StrCat(number.Times(10), "m"));
  }
  if (!rest.empty() && rest != "m") {
    return Wrong(text, StrCat("has the unknown unit ", Quoted(rest)), kCpuForms);
  }
  const int64_t millis = number.Times(rest.empty() ? 1000 : 1);
  if (millis < 0) return Wrong(text, "is finer than a thousandth of a core", kCpuForms);
  if (millis == 0) return Wrong(text, "is no cpu at all", kCpuForms);
  if (millis > kMaxCpuMillis) {
    return Wrong(text, "is more than a thousand cores", kCpuForms);
  }
  return millis;
}

absl::StatusOr<uint32_t> ParseSharePpm(std::string_view text) {
  std::string_view rest = text;
  Decimal number;
  if (!TakeDecimal(&rest, &number)) return Wrong(text, "is not a share", kShareForms);
  if (rest.empty()) {
    // 0.05 and 5 are both written for 5%.
    const bool below_one = number.whole == 0 && number.fraction != 0;
    const int64_t ppm = number.Times(below_one ? kFullWeightPpm : kFullWeightPpm / 100);
    if (ppm < 0 || ppm > kFullWeightPpm) return Wrong(text, "is a share without %", kShareForms);
    return Meant(text, "is a share without %", FormatShare(static_cast<uint32_t>(ppm)));
  }
  if (rest != "%") return Wrong(text, "is not a share", kShareForms);
  const int64_t ppm = number.Times(kFullWeightPpm / 100);
  if (ppm < 0) return Wrong(text, "is finer than 0.0001%", kShareForms);
  if (ppm > kFullWeightPpm) return Wrong(text, "is more than 100%", kShareForms);
  return static_cast<uint32_t>(ppm);
}

std::string FormatDuration(int64_t nanoseconds) {
  if (nanoseconds < 0) return StrCat("-", FormatDuration(-(nanoseconds + 1) + 1));
  if (nanoseconds == 0) return "0s";
  if (nanoseconds < 1'000) return StrCat(nanoseconds, "ns");
  if (nanoseconds < 1'000'000) return FormatFraction(nanoseconds, 1'000, "us");
  if (nanoseconds < kSecond) return FormatFraction(nanoseconds, 1'000'000, "ms");
  std::string text;
  const int64_t hours = nanoseconds / (3600 * kSecond);
  const int64_t minutes = nanoseconds / (60 * kSecond) % 60;
  const int64_t rest = nanoseconds % (60 * kSecond);
  if (hours > 0) StrAppend(&text, hours, "h");
  if (minutes > 0) StrAppend(&text, minutes, "m");
  if (rest > 0) StrAppend(&text, FormatFraction(rest, kSecond, "s"));
  return text;
}

std::string FormatSize(int64_t bytes) {
  for (const Unit& unit : kSizeUnits) {
    if (bytes > 0 && bytes % unit.factor == 0) return StrCat(bytes / unit.factor, unit.name);
  }
  return StrCat(bytes);
}

std::string FormatCpu(int64_t millis) {
  return millis % 1000 == 0 ? StrCat(millis / 1000) : StrCat(millis, "m");
}

std::string FormatShare(uint32_t ppm) { return FormatFraction(ppm, kFullWeightPpm / 100, "%"); }

}  // namespace caxton
