// SPDX-License-Identifier: Apache-2.0
#include "load_core.h"

#include <algorithm>
#include <limits>

#include "caxton/base/strings.h"
#include "caxton/cli/limits.h"

namespace caxton::cli {
namespace {

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

int64_t RefusedDelay(int64_t retry_after_ns, int refusals) {
  const int64_t own = kMinRefusedDelayNs << std::min(refusals, 8);
  return std::min(std::max(retry_after_ns, own), kMaxRefusedDelayNs);
}

}  // namespace

LoadCore::LoadCore(const LoadOptions& options)
    : options_(options), keys_(static_cast<size_t>(std::max(options.keys, 0))) {}

int LoadCore::KeyOf(uint64_t number) const {
  return keys_.empty() ? -1 : static_cast<int>(number % keys_.size());
}

void LoadCore::Restore(uint64_t number) {
  pending_[number] = Pending{.due_ns = 0, .in_flight = false, .sent = true, .again = true};
  ready_.insert(number);
}

void LoadCore::Start(int64_t now) {
  started_ns_ = now;
  last_result_ns_ = now;
  for (auto& [number, pending] : pending_) pending.due_ns = now;
}

int64_t LoadCore::NextDue(int64_t now) const {
  if (options_.rate <= 0) return now;
  return started_ns_ + static_cast<int64_t>(static_cast<double>(issued_) * 1e9 / options_.rate);
}

// Makes the messages that rate and window allow; those of a held key wait with it.
void LoadCore::IssueDue(int64_t now) {
  while (!stopped_) {
    if (options_.count > 0 && issued_ >= options_.count) stopped_ = true;
    const int64_t due = NextDue(now);
    if (options_.duration_ns > 0 && std::max(due, now) - started_ns_ >= options_.duration_ns) {
      stopped_ = true;
    }
    if (stopped_ || due > now || pending_.size() >= static_cast<size_t>(options_.outstanding)) {
      return;
    }
    const uint64_t number = options_.first_number + issued_++;
    pending_[number] = Pending{.due_ns = due};
    const int key = KeyOf(number);
    if (key >= 0 && keys_[static_cast<size_t>(key)].held) {
      keys_[static_cast<size_t>(key)].waiting.insert(number);
    } else {
      ready_.insert(number);
    }
  }
}

void LoadCore::ReleaseKeys(int64_t now) {
  for (auto it = held_keys_.begin(); it != held_keys_.end();) {
    Key& key = keys_[static_cast<size_t>(*it)];
    if (key.in_flight > 0 || key.ready_ns > now) {
      ++it;
      continue;
    }
    ready_.insert(key.waiting.begin(), key.waiting.end());
    key.waiting.clear();
    key.held = false;
    it = held_keys_.erase(it);
  }
  while (!delayed_.empty() && delayed_.begin()->first <= now) {
    ready_.insert(delayed_.begin()->second);
    delayed_.erase(delayed_.begin());
  }
}

void LoadCore::Take(int64_t now, size_t max, std::vector<LoadMessage>* out) {
  ReleaseKeys(now);
  IssueDue(now);
  for (size_t taken = 0; taken < max && !ready_.empty(); ++taken) {
    const uint64_t number = *ready_.begin();
    ready_.erase(ready_.begin());
    Pending& pending = pending_[number];
    const int key = KeyOf(number);
    if (key >= 0) ++keys_[static_cast<size_t>(key)].in_flight;
    if (pending.sent) {
      ++summary_.resent;
      pending.again = true;
    } else {
      ++summary_.sent;
    }
    out->push_back({.number = number, .key = key, .again = pending.sent});
    pending.in_flight = true;
    pending.sent = true;
  }
}

int64_t LoadCore::NextWake(int64_t now) const {
  if (!ready_.empty()) return now;
  int64_t wake = kNever;
  for (int index : held_keys_) {
    const Key& key = keys_[static_cast<size_t>(index)];
    if (key.in_flight == 0) wake = std::min(wake, key.ready_ns);
  }
  if (!delayed_.empty()) wake = std::min(wake, delayed_.begin()->first);
  if (!stopped_) {
    if (pending_.size() < static_cast<size_t>(options_.outstanding)) {
      wake = std::min(wake, NextDue(now));
    }
    if (options_.duration_ns > 0) wake = std::min(wake, started_ns_ + options_.duration_ns);
  }
  return wake;
}

void LoadCore::OnResult(int64_t now, const LoadResult& result) {
  last_result_ns_ = now;
  const auto it = pending_.find(result.number);
  if (it == pending_.end() || !it->second.in_flight) {
    ++summary_.doubled;  // answered once already
    return;
  }
  it->second.in_flight = false;
  const int index = KeyOf(result.number);
  if (index >= 0) --keys_[static_cast<size_t>(index)].in_flight;
  if (result.outcome == LoadResult::Outcome::kRefused) {
    OnRefused(now, result.number, result.retry_after_ns);
    return;
  }
  Finish(now, result, it->second);
  pending_.erase(it);
}

void LoadCore::OnRefused(int64_t now, uint64_t number, int64_t retry_after_ns) {
  ++summary_.refused;
  const int index = KeyOf(number);
  if (index < 0) {
    delayed_.emplace(now + RefusedDelay(retry_after_ns, 0), number);
    return;
  }
  Key& key = keys_[static_cast<size_t>(index)];
  if (!key.held) {
    key.held = true;
    held_keys_.insert(index);
    key.ready_ns = now + RefusedDelay(retry_after_ns, key.refusals++);
    // What was about to follow on this key waits behind it.
    for (auto it = ready_.begin(); it != ready_.end();) {
      if (KeyOf(*it) == index) {
        key.waiting.insert(*it);
        it = ready_.erase(it);
      } else {
        ++it;
      }
    }
  }
  key.waiting.insert(number);
}

void LoadCore::Finish(int64_t now, const LoadResult& result, const Pending& pending) {
  const int index = KeyOf(result.number);
  Key* key = index >= 0 ? &keys_[static_cast<size_t>(index)] : nullptr;
  if (key != nullptr) key->refusals = 0;
  switch (result.outcome) {
    case LoadResult::Outcome::kAcked:
      ++summary_.acknowledged;
      break;
    case LoadResult::Outcome::kAnswered:
      ++summary_.answered;
      if (result.failure_reply) ++summary_.failure_replies;
      if (result.mismatched) ++summary_.mismatched;
      if (key != nullptr) {
        // A message sent again may have been answered, unheard, before the stream broke.
        if (!pending.again && result.number < key->last_answered) ++summary_.out_of_order;
        key->last_answered = std::max(key->last_answered, result.number);
      }
      break;
    case LoadResult::Outcome::kRefused:
      return;
    case LoadResult::Outcome::kFailed:
      ++summary_.errors;
      return;  // its time says nothing
  }
  summary_.latency.Add(now - pending.due_ns);
}

void LoadCore::OnDisconnected() {
  for (auto& [number, pending] : pending_) {
    pending.in_flight = false;
    ready_.insert(number);
  }
  for (Key& key : keys_) {
    key.in_flight = 0;
    key.refusals = 0;
    key.held = false;
    key.waiting.clear();
  }
  held_keys_.clear();
  delayed_.clear();
  ++summary_.reconnects;
}

LoadSummary LoadCore::Summary(int64_t now) const {
  LoadSummary summary = summary_;
  // What was only planned, never sent, is no loss.
  summary.lost = static_cast<uint64_t>(std::count_if(
      pending_.begin(), pending_.end(), [](const auto& entry) { return entry.second.sent; }));
  summary.elapsed_ns = (pending_.empty() ? last_result_ns_ : now) - started_ns_;
  return summary;
}

std::string LoadContent(const LoadOptions& options, uint64_t number, int key) {
  std::string content = StrCat("n=", number, " key=", key, " run=", options.run, " ");
  if (content.size() < options.size) content.append(options.size - content.size(), '.');
  return content;
}

bool FindLoadMark(std::string_view content, LoadMark* mark) {
  // Digits behind `name`, which must come next; -1 (no key) counts.
  auto number_after = [](std::string_view name, std::string_view* rest, int64_t* out) {
    if (!StartsWith(*rest, name)) return false;
    rest->remove_prefix(name.size());
    const size_t end = rest->find_first_not_of("0123456789-");
    const std::string_view digits = rest->substr(0, end);
    rest->remove_prefix(digits.size());
    return ParseInt(digits, out);
  };
  for (size_t at = content.find("n="); at != std::string_view::npos;
       at = content.find("n=", at + 1)) {
    std::string_view rest = content.substr(at);
    int64_t number = 0, key = 0;
    if (!number_after("n=", &rest, &number) || !number_after(" key=", &rest, &key) ||
        !StartsWith(rest, " run=") || number <= 0) {
      continue;
    }
    rest.remove_prefix(5);
    mark->number = static_cast<uint64_t>(number);
    mark->key = static_cast<int>(key);
    mark->run = std::string(rest.substr(0, rest.find_first_not_of("0123456789abcdef")));
    return true;
  }
  return false;
}

std::string LoadIdempotencyKey(const LoadOptions& options, uint64_t number) {
  return StrCat("load-", options.run, "-", number);
}

}  // namespace caxton::cli
