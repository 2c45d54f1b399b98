// SPDX-License-Identifier: Apache-2.0
#include "render.h"

#include <google/protobuf/duration.pb.h>
#include <google/protobuf/timestamp.pb.h>
#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <ostream>

#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "caxton/base/strings.h"

namespace caxton::cli {

std::string Style::Wrap(std::string_view code, std::string_view text) const {
  if (!enabled_ || text.empty()) return std::string(text);
  return StrCat("\x1b[", code, "m", text, "\x1b[0m");
}

Style StyleFor(const Environment& environment, const GlobalOptions& globals, bool tty) {
  switch (globals.color) {
    case ColorWhen::kAlways:
      return Style(true);
    case ColorWhen::kNever:
      return Style(false);
    case ColorWhen::kAuto:
      break;
  }
  return Style(MayRedraw(environment, tty));
}

bool MayRedraw(const Environment& environment, bool tty) {
  return tty && environment.getenv("NO_COLOR").empty() && environment.getenv("TERM") != "dumb";
}

size_t VisibleWidth(std::string_view text) {
  size_t width = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\x1b') {
      while (i < text.size() && text[i] != 'm') ++i;
    } else if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) {
      ++width;
    }
  }
  return width;
}

std::string Table::ToString() const {
  std::vector<size_t> widths;
  for (const auto& row : rows_) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], VisibleWidth(row[i]));
  }
  std::string out;
  for (const auto& row : rows_) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      StrAppend(&line, row[i]);
      if (i + 1 < row.size()) line.append(widths[i] - VisibleWidth(row[i]) + 2, ' ');
    }
    absl::StripTrailingAsciiWhitespace(&line);
    StrAppend(&out, line, "\n");
  }
  return out;
}

std::string ShortDuration(int64_t nanoseconds) {
  const double ns = static_cast<double>(nanoseconds);
  if (nanoseconds < 0) return "-";
  if (nanoseconds < 1'000'000) return absl::StrFormat("%.0fus", ns / 1e3);
  if (nanoseconds < 100'000'000) return absl::StrFormat("%.3gms", ns / 1e6);
  if (nanoseconds < 1'000'000'000) return absl::StrFormat("%.0fms", ns / 1e6);
  if (nanoseconds < 60'000'000'000) return absl::StrFormat("%.3gs", ns / 1e9);
  const int64_t seconds = nanoseconds / 1'000'000'000;
  if (seconds < 3600) return absl::StrFormat("%dm%02ds", seconds / 60, seconds % 60);
  return absl::StrFormat("%dh%02dm", seconds / 3600, seconds / 60 % 60);
}

std::string Percent(double percent) {
  if (!std::isfinite(percent)) return "-";
  return absl::StrFormat("%.4g%%", std::round(percent * 100) / 100);
}

std::string UtcTime(int64_t nanoseconds_since_epoch) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::FromUnixNanos(nanoseconds_since_epoch),
                          absl::UTCTimeZone());
}

std::string UtcClock(int64_t nanoseconds_since_epoch) {
  return absl::FormatTime("%H:%M:%S", absl::FromUnixNanos(nanoseconds_since_epoch),
                          absl::UTCTimeZone());
}

namespace {

// Length of the UTF-8 sequence that starts `bytes`, 0 if there is none of two bytes or more.
size_t Utf8Length(std::string_view bytes) {
  const auto lead = static_cast<unsigned char>(bytes[0]);
  const size_t length = lead >= 0xF0 && lead < 0xF5 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC2 ? 2 : 0;
  if (length == 0 || lead >= 0xF5 || bytes.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((static_cast<unsigned char>(bytes[i]) & 0xC0) != 0x80) return 0;
  }
  // U+0080..U+009F are control characters.
  if (lead == 0xC2 && static_cast<unsigned char>(bytes[1]) < 0xA0) return 0;
  return length;
}

}  // namespace

std::string OneLine(std::string_view bytes, size_t limit) {
  std::string out;
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (out.size() >= limit) {
      out += "...";
      break;
    }
    const auto c = static_cast<unsigned char>(bytes[i]);
    if (const size_t length = c >= 0x80 ? Utf8Length(bytes.substr(i)) : 0; length > 0) {
      out += bytes.substr(i, length);
      i += length - 1;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c < 0x20 || c >= 0x7f) {
      absl::StrAppendFormat(&out, "\\x%02x", c);
    } else {
      out += static_cast<char>(c);
    }
  }
  return out;
}

std::string Indented(std::string_view text, std::string_view indent) {
  std::string out;
  for (absl::string_view line : absl::StrSplit(AbslView(text), '\n', absl::SkipWhitespace())) {
    StrAppend(&out, out.empty() ? "" : StrCat("\n", indent), OneLine(StdView(line)));
  }
  return out;
}

int64_t Nanos(const google::protobuf::Duration& duration) {
  return duration.seconds() * 1'000'000'000 + duration.nanos();
}

int64_t Nanos(const google::protobuf::Timestamp& timestamp) {
  return timestamp.seconds() * 1'000'000'000 + timestamp.nanos();
}

void SetDuration(int64_t nanoseconds, google::protobuf::Duration* out) {
  out->set_seconds(nanoseconds / 1'000'000'000);
  out->set_nanos(static_cast<int32_t>(nanoseconds % 1'000'000'000));
}

std::string ToJson(const google::protobuf::Message& message, bool pretty) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = pretty;
  options.always_print_primitive_fields = true;
  std::string json;
  auto status = google::protobuf::util::MessageToJsonString(message, &json, options);
  if (!status.ok()) return StrCat("{\"error\": \"not printable as JSON\"}");
  return json;
}

namespace {

bool PlainInYaml(std::string_view text) {
  static constexpr std::string_view kSafe = " _./@%+-";
  static constexpr std::string_view kWords[] = {"true", "false", "null", "yes",
                                                "no",   "on",    "off",  "~"};
  if (text.empty() || !absl::ascii_isalpha(static_cast<unsigned char>(text[0]))) return false;
  if (text.back() == ' ') return false;
  for (char c : text) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) &&
        kSafe.find(c) == std::string_view::npos) {
      return false;
    }
  }
  const std::string lower = AsciiToLower(text);
  return std::find(std::begin(kWords), std::end(kWords), lower) == std::end(kWords);
}

void AppendYaml(const nlohmann::ordered_json& value, int indent, std::string* out);

void AppendYamlChild(const nlohmann::ordered_json& value, int indent, std::string* out) {
  if (value.is_structured() && !value.empty()) {
    *out += "\n";
    AppendYaml(value, indent, out);
  } else {
    *out += " ";
    AppendYaml(value, indent, out);
  }
}

void AppendYaml(const nlohmann::ordered_json& value, int indent, std::string* out) {
  const std::string pad(static_cast<size_t>(indent), ' ');
  if (value.is_object() && !value.empty()) {
    for (const auto& [name, child] : value.items()) {
      StrAppend(out, pad, PlainInYaml(name) ? name : nlohmann::json(name).dump(), ":");
      AppendYamlChild(child, indent + 2, out);
    }
  } else if (value.is_array() && !value.empty()) {
    for (const auto& child : value) {
      StrAppend(out, pad, "-");
      AppendYamlChild(child, indent + 2, out);
    }
  } else if (value.is_string() && PlainInYaml(value.get_ref<const std::string&>())) {
    StrAppend(out, value.get_ref<const std::string&>(), "\n");
  } else {
    StrAppend(out, value.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace),
              "\n");
  }
}

}  // namespace

std::string JsonToYaml(std::string_view json) {
  auto value = nlohmann::ordered_json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (value.is_discarded()) return std::string(json);
  std::string out;
  AppendYaml(value, 0, &out);
  return out;
}

Printer::Printer(const Environment& environment, const GlobalOptions& globals)
    : out_(*environment.out),
      format_(globals.output),
      style_(StyleFor(environment, globals, environment.out_tty)) {}

void Printer::Document(const google::protobuf::Message& message) const {
  JsonDocument(ToJson(message, /*pretty=*/true));
}

void Printer::JsonDocument(std::string_view json) const {
  if (format_ == OutputFormat::kYaml) {
    out_ << JsonToYaml(json);
  } else {
    out_ << StripWhitespace(json) << "\n";
  }
  out_.flush();
}

void Printer::Event(const google::protobuf::Message& message) const {
  if (format_ == OutputFormat::kYaml) {
    out_ << "---\n" << JsonToYaml(ToJson(message, /*pretty=*/false));
  } else {
    out_ << ToJson(message, /*pretty=*/false) << "\n";
  }
  out_.flush();
}

void Printer::Text(std::string_view text) const {
  out_ << text;
  out_.flush();
}

}  // namespace caxton::cli
