// SPDX-License-Identifier: Apache-2.0
//
// How results look: tables and short forms for people, JSON and YAML for programs. Values and pure
// functions but for Printer, which writes to the environment's stdout.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "environment.h"

namespace google::protobuf {
class Duration;
class Message;
class Timestamp;
}  // namespace google::protobuf

namespace caxton::cli {

// Colours, or nothing at all.
class Style final {
 public:
  explicit Style(bool enabled) : enabled_(enabled) {}
  std::string Good(std::string_view text) const { return Wrap("32", text); }
  std::string Bad(std::string_view text) const { return Wrap("31", text); }
  std::string Warn(std::string_view text) const { return Wrap("33", text); }
  std::string Bold(std::string_view text) const { return Wrap("1", text); }
  std::string Dim(std::string_view text) const { return Wrap("2", text); }

 private:
  std::string Wrap(std::string_view code, std::string_view text) const;
  bool enabled_;
};
// For a stream that is, or is not, a terminal; NO_COLOR and TERM=dumb count.
Style StyleFor(const Environment& environment, const GlobalOptions& globals, bool tty);
// Whether a view may be drawn over itself there, by the same rule.
bool MayRedraw(const Environment& environment, bool tty);

// Columns two blanks apart, as wide as their widest cell; colour codes have no width.
class Table final {
 public:
  explicit Table(std::vector<std::string> header) { rows_.push_back(std::move(header)); }
  void Row(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  bool empty() const { return rows_.size() == 1; }
  std::string ToString() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};
size_t VisibleWidth(std::string_view text);

std::string ShortDuration(int64_t nanoseconds);         // "850us" "12.3ms" "4.2s" "1m10s" "2h05m"
std::string Percent(double percent);                    // "5%" "4.83%"
std::string UtcTime(int64_t nanoseconds_since_epoch);   // "2026-11-25T03:10:32Z"
std::string UtcClock(int64_t nanoseconds_since_epoch);  // "03:10:32"
// Printable, on one line; bytes that are not text are shown as \xNN. Cut with "..." once `limit`
// bytes are shown: what is escaped is longer than it was.
std::string OneLine(std::string_view bytes, size_t limit = std::string_view::npos);
// The same line by line: all but the first moved in by `indent`, blank ones left out.
std::string Indented(std::string_view text, std::string_view indent);

int64_t Nanos(const google::protobuf::Duration& duration);
int64_t Nanos(const google::protobuf::Timestamp& timestamp);
void SetDuration(int64_t nanoseconds, google::protobuf::Duration* out);

std::string ToJson(const google::protobuf::Message& message, bool pretty);
// One YAML document of a JSON one, same fields in the same order.
std::string JsonToYaml(std::string_view json);

// Writes a command's result.
class Printer final {
 public:
  Printer(const Environment& environment, const GlobalOptions& globals);

  // JSON or YAML was asked for.
  bool structured() const { return format_ != OutputFormat::kTable; }
  // Whether all of it could be written so far. What follows a stream stops when it cannot.
  bool written() const { return !out_.fail(); }
  const Style& style() const { return style_; }
  void Document(const google::protobuf::Message& message) const;  // the only one
  void Event(const google::protobuf::Message& message) const;     // one of many, flushed
  void JsonDocument(std::string_view json) const;                 // what is not protobuf
  void Text(std::string_view text) const;                         // for people, flushed

 private:
  std::ostream& out_;
  OutputFormat format_;
  Style style_;
};

}  // namespace caxton::cli
