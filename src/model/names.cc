// SPDX-License-Identifier: Apache-2.0
#include "caxton/model/names.h"

#include <algorithm>
#include <vector>

#include "caxton/base/status.h"
#include "caxton/model/limits.h"
#include "caxton/model/text.h"

namespace caxton {
namespace {

constexpr size_t kMaxComparedBytes = 128;  // edit distance costs the product of two lengths

bool IsNameCharacter(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

// Lower-cases, turns what is not allowed into single dashes, trims and shortens.
std::string MakeName(std::string_view text) {
  std::string name;
  for (char c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (IsNameCharacter(c)) {
      name.push_back(c);
    } else if (!name.empty() && name.back() != '-') {
      name.push_back('-');
    }
    if (name.size() == kMaxAgentNameBytes) break;
  }
  while (!name.empty() && name.back() == '-') name.pop_back();
  return name;
}

absl::Status BadName(std::string_view name, std::string_view why) {
  absl::Status status =
      absl::InvalidArgumentError(StrCat("the agent name ", Quoted(name), " ", why));
  const std::string suggestion = MakeName(name);
  return WithFix(std::move(status), suggestion.empty()
                                        ? "use 1-63 of a-z, 0-9 and -, with no dash at either end"
                                        : StrCat("use ", Quoted(suggestion)));
}

// Edits that turn `a` into `b`; a swap of neighbours counts as one (optimal string alignment).
size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t change = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
    before.swap(last);
    last.swap(row);
  }
  return last[b.size()];
}

}  // namespace

absl::Status ValidateAgentName(std::string_view name) {
  if (name.empty()) return BadName(name, "is empty");
  if (name.size() > kMaxAgentNameBytes) {
    return BadName(name,
                   StrCat("has ", name.size(), " characters, the limit is ", kMaxAgentNameBytes));
  }
  for (char c : name) {
    if (!IsNameCharacter(c) && c != '-') {
      return BadName(name, "has a character other than a-z, 0-9 and -");
    }
  }
  if (name.front() == '-') return BadName(name, "starts with a dash");
  if (name.back() == '-') return BadName(name, "ends with a dash");
  return absl::OkStatus();
}

std::string AgentNameFromFile(std::string_view path) {
  if (const size_t slash = path.rfind('/'); slash != std::string_view::npos) {
    path.remove_prefix(slash + 1);
  }
  if (const size_t dot = path.rfind('.'); dot != std::string_view::npos) path = path.substr(0, dot);
  return MakeName(path);
}

std::string NearestName(std::string_view name, std::span<const std::string> candidates) {
  if (name.size() > kMaxComparedBytes) return {};
  std::string nearest;
  size_t least = SIZE_MAX;
  for (const std::string& candidate : candidates) {
    if (candidate.size() > kMaxComparedBytes) continue;
    const size_t allowed = std::max(name.size(), candidate.size()) / 3;
    const size_t distance = EditDistance(name, candidate);
    if (distance <= allowed && distance < least) {
      least = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

absl::Status ValidateVersionLabel(std::string_view label) {
  if (label.size() > kMaxVersionLabelBytes) {
    return absl::InvalidArgumentError(StrCat("the version label ", Quoted(label), " has ",
                                             label.size(), " characters, the limit is ",
                                             kMaxVersionLabelBytes));
  }
  for (char c : label) {
    if (c < ' ' || c > '~') {
      return absl::InvalidArgumentError(
          StrCat("the version label ", Quoted(label), " has other than printable ASCII"));
    }
  }
  return absl::OkStatus();
}

}  // namespace caxton
