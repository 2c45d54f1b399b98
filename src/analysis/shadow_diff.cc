// SPDX-License-Identifier: Apache-2.0
#include "shadow_diff.h"

#include <algorithm>
#include <exception>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "caxton/analysis/limits.h"
#include "caxton/base/strings.h"
#include "caxton/model/text.h"

namespace caxton::analysis {
namespace {

using nlohmann::json;

constexpr std::string_view kNothing = "(none)";

// Two long values that differ late are shown from shortly before that place on.
size_t ShownFrom(std::string_view live, std::string_view other) {
  constexpr size_t kBefore = 32;
  const size_t most = std::min(live.size(), other.size());
  size_t same = 0;
  while (same < most && live[same] == other[same]) ++same;
  if (same + kBefore <= kShadowValueBytes) return 0;
  size_t from = same - kBefore;
  while (from > 0 && (static_cast<unsigned char>(live[from]) & 0xC0) == 0x80) --from;
  return from;
}

std::string ShownPart(std::string_view value, size_t from) {
  constexpr std::string_view kCut = "...";
  if (from == 0) return ShownText(value, kShadowValueBytes);
  return StrCat(kCut, ShownText(value.substr(from), kShadowValueBytes - kCut.size()));
}

// Collects differences until there are too many.
class Differences {
 public:
  bool full() const { return found_.size() > kMaxPlacesPerMessage; }
  void Add(std::string_view path, std::string_view live, std::string_view other) {
    if (full()) return;
    std::string shown = ShownText(path, kMaxShadowPathBytes);
    // Two long paths may have been cut to the same.
    if (!paths_.insert(shown).second) return;
    if (found_.size() == kMaxPlacesPerMessage) {
      found_.push_back({std::string(kOtherPlaces), "(further differences)", ""});
      return;
    }
    const size_t from = ShownFrom(live, other);
    found_.push_back({std::move(shown), ShownPart(live, from), ShownPart(other, from)});
  }
  std::vector<Difference> Take() && { return std::move(found_); }

 private:
  std::vector<Difference> found_;
  absl::flat_hash_set<std::string> paths_;
};

// Nesting, without a parser that recurses.
bool WithinDepth(std::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > kMaxComparedJsonDepth) return false;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return true;
}

// `any_value`: a lone number, string or literal counts as JSON too.
std::optional<json> ReadJson(std::string_view text, bool any_value) {
  if (text.empty() || text.size() > kMaxComparedJsonBytes) return std::nullopt;
  const std::string_view trimmed = StripWhitespace(text);
  if (!any_value && !trimmed.starts_with('{') && !trimmed.starts_with('[')) return std::nullopt;
  if (!WithinDepth(text)) return std::nullopt;
  try {
    json value = json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
    if (value.is_discarded()) return std::nullopt;
    return value;
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

// Mathematically; the library takes 18446744073709551615 for -1.
bool SameNumber(const json& a, const json& b) {
  if (a.is_number_float() || b.is_number_float()) return a.get<double>() == b.get<double>();
  if (a.is_number_unsigned() && b.is_number_unsigned()) {
    return a.get<uint64_t>() == b.get<uint64_t>();
  }
  const bool a_negative = !a.is_number_unsigned() && a.get<int64_t>() < 0;
  const bool b_negative = !b.is_number_unsigned() && b.get<int64_t>() < 0;
  if (a_negative != b_negative) return false;
  return a_negative ? a.get<int64_t>() == b.get<int64_t>() : a.get<uint64_t>() == b.get<uint64_t>();
}

std::string Shown(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

// RFC 6901.
std::string Escaped(const std::string& key) {
  std::string out;
  for (const char c : key) {
    if (c == '~') {
      out += "~0";
    } else if (c == '/') {
      out += "~1";
    } else {
      out += c;
    }
  }
  return out;
}

void DiffJson(const std::string& path, const json& live, const json& other, Differences* out);

void DiffObjects(const std::string& path, const json& live, const json& other, Differences* out) {
  for (auto it = live.begin(); it != live.end() && !out->full(); ++it) {
    const std::string at = StrCat(path, "/", Escaped(it.key()));
    if (auto found = other.find(it.key()); found != other.end()) {
      DiffJson(at, *it, *found, out);
    } else {
      out->Add(at, Shown(*it), kNothing);
    }
  }
  for (auto it = other.begin(); it != other.end() && !out->full(); ++it) {
    if (!live.contains(it.key())) {
      out->Add(StrCat(path, "/", Escaped(it.key())), kNothing, Shown(*it));
    }
  }
}

void DiffArrays(const std::string& path, const json& live, const json& other, Differences* out) {
  const size_t size = std::max(live.size(), other.size());
  for (size_t i = 0; i < size && !out->full(); ++i) {
    const std::string at = StrCat(path, "/", i);
    if (i >= live.size()) {
      out->Add(at, kNothing, Shown(other[i]));
    } else if (i >= other.size()) {
      out->Add(at, Shown(live[i]), kNothing);
    } else {
      DiffJson(at, live[i], other[i], out);
    }
  }
}

// At most kMaxComparedJsonDepth deep.
void DiffJson(const std::string& path, const json& live, const json& other, Differences* out) {
  if (out->full()) return;
  if (live.is_object() && other.is_object()) return DiffObjects(path, live, other, out);
  if (live.is_array() && other.is_array()) return DiffArrays(path, live, other, out);
  const bool same = live.is_number() && other.is_number()
                        ? SameNumber(live, other)
                        : live.type() == other.type() && live == other;
  if (!same) out->Add(path, Shown(live), Shown(other));
}

void DiffContent(const std::string& path, std::string_view live, std::string_view other,
                 bool any_value, Differences* out) {
  if (live == other) return;
  const std::optional<json> a = ReadJson(live, any_value);
  const std::optional<json> b = a.has_value() ? ReadJson(other, any_value) : std::nullopt;
  if (b.has_value()) {
    DiffJson(StrCat(path, "#"), *a, *b, out);
  } else {
    out->Add(path, live, other);
  }
}

bool SaysJson(std::string_view content_type) {
  return StrContains(AsciiToLower(content_type), "json");
}

std::string HeadersText(const OutgoingMessage& sent) {
  std::string text;
  for (const auto& [name, value] : sent.headers) {
    if (text.size() > kShadowValueBytes) break;
    StrAppend(&text, text.empty() ? "" : ", ", ShownText(name, kShadowValueBytes), ": ",
              ShownText(value, kShadowValueBytes));
  }
  return text;
}

void DiffSend(const std::string& at, const OutgoingMessage& live, const OutgoingMessage& other,
              Differences* out) {
  const auto field = [&](std::string_view name, std::string_view a, std::string_view b) {
    if (a != b) out->Add(StrCat(at, "/", name), a, b);
  };
  field("to", live.to, other.to);
  field("performative", PerformativeName(live.performative), PerformativeName(other.performative));
  field("conversation_id", live.conversation_id, other.conversation_id);
  field("reply_with", live.reply_with, other.reply_with);
  field("in_reply_to", live.in_reply_to, other.in_reply_to);
  field("key", live.key, other.key);
  field("content_type", live.content_type, other.content_type);
  field("deadline", StrCat(live.deadline_ns), StrCat(other.deadline_ns));
  if (live.headers != other.headers) {
    out->Add(StrCat(at, "/headers"), HeadersText(live), HeadersText(other));
  }
  DiffContent(StrCat(at, "/content"), live.content, other.content,
              SaysJson(live.content_type) && SaysJson(other.content_type), out);
}

std::string ReplyText(const Reply& reply) {
  return StrCat(PerformativeName(reply.performative), " ",
                ShownText(reply.content, kShadowValueBytes));
}

void DiffReplies(const MirrorSide& live, const MirrorSide& other, bool any_value,
                 Differences* out) {
  if (live.reply.has_value() != other.reply.has_value()) {
    out->Add("reply", live.reply ? ReplyText(*live.reply) : std::string(kNothing),
             other.reply ? ReplyText(*other.reply) : std::string(kNothing));
    return;
  }
  if (!live.reply.has_value()) return;
  if (live.reply->performative != other.reply->performative) {
    out->Add("reply/performative", PerformativeName(live.reply->performative),
             PerformativeName(other.reply->performative));
  }
  DiffContent("reply/content", live.reply->content, other.reply->content, any_value, out);
}

std::string SendText(const MirrorSide& side, size_t i) {
  if (i >= side.sends.size()) return std::string(kNothing);
  return StrCat("to ", ShownText(side.sends[i].to, kShadowValueBytes), ": ",
                ShownText(side.sends[i].content, kShadowValueBytes));
}

std::string OutcomeText(const MirrorSide& side) {
  std::string text(StepOutcomeName(side.outcome));
  if (side.agent_code != 0) StrAppend(&text, " (", side.agent_code, ")");
  if (!side.detail.empty()) StrAppend(&text, ": ", ShownText(side.detail, kShadowValueBytes));
  return text;
}

}  // namespace

std::string ShownText(std::string_view text, size_t max_bytes) {
  constexpr size_t kLongestCharacter = 4;
  // Cut before it is looked at: it may be megabytes.
  std::string shown = SanitizeUtf8(text.substr(0, max_bytes + kLongestCharacter));
  for (char& c : shown) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  shown.resize(TruncateUtf8(shown, max_bytes).size());
  return shown;
}

std::vector<Difference> DiffSides(const MirrorSide& live, const MirrorSide& other,
                                  const DiffOptions& options) {
  Differences out;
  if (live.outcome != other.outcome || live.agent_code != other.agent_code) {
    // What only one side could do follows from this.
    out.Add("outcome", OutcomeText(live), OutcomeText(other));
    return std::move(out).Take();
  }
  if (!options.outputs || live.outcome != StepOutcome::kHandled) return {};
  DiffReplies(live, other, SaysJson(options.content_type), &out);
  const size_t sends = std::max(live.sends.size(), other.sends.size());
  for (size_t i = 0; i < sends && !out.full(); ++i) {
    const std::string at = StrCat("send[", i, "]");
    if (i < live.sends.size() && i < other.sends.size()) {
      DiffSend(at, live.sends[i], other.sends[i], &out);
    } else {
      out.Add(at, SendText(live, i), SendText(other, i));
    }
  }
  return std::move(out).Take();
}

}  // namespace caxton::analysis
