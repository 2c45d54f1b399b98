// SPDX-License-Identifier: Apache-2.0
#include "load_summary.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <nlohmann/json.hpp>

#include "absl/strings/str_format.h"
#include "caxton/base/strings.h"
#include "render.h"

namespace caxton::cli {

size_t Histogram::BucketOf(uint64_t value) {
  const int width = std::bit_width(value);
  if (width <= kSubBits) return static_cast<size_t>(value);
  const int shift = width - kSubBits - 1;  // leaves kSubBits + 1 bits, the first of them 1
  const size_t bucket = (static_cast<size_t>(shift + 1) << kSubBits) +
                        static_cast<size_t>((value >> shift) - (uint64_t{1} << kSubBits));
  return std::min(bucket, kBuckets - 1);
}

int64_t Histogram::UpperEnd(size_t bucket) {
  const size_t group = bucket >> kSubBits;
  const uint64_t sub = bucket & ((size_t{1} << kSubBits) - 1);
  if (group == 0) return static_cast<int64_t>(sub);
  return static_cast<int64_t>(((sub + (uint64_t{1} << kSubBits) + 1) << (group - 1)) - 1);
}

void Histogram::Add(int64_t nanoseconds) {
  const int64_t value = std::max<int64_t>(nanoseconds, 0);
  ++buckets_[BucketOf(static_cast<uint64_t>(value))];
  ++count_;
  max_ = std::max(max_, value);
}

int64_t Histogram::Quantile(double quantile) const {
  if (count_ == 0) return 0;
  const auto rank = static_cast<uint64_t>(std::ceil(quantile * static_cast<double>(count_)));
  uint64_t seen = 0;
  for (size_t i = 0; i < kBuckets; ++i) {
    seen += buckets_[i];
    if (seen >= std::max<uint64_t>(rank, 1)) return std::min(UpperEnd(i), max_);
  }
  return max_;
}

double Throughput(const LoadSummary& summary) {
  if (summary.elapsed_ns <= 0) return 0;
  return static_cast<double>(summary.acknowledged + summary.answered) * 1e9 /
         static_cast<double>(summary.elapsed_ns);
}

std::string SummaryText(const LoadSummary& summary) {
  std::string out = absl::StrFormat("sent          %d", summary.sent);
  if (summary.resent > 0) StrAppend(&out, " (and ", summary.resent, " again)");
  absl::StrAppendFormat(&out, "\nacknowledged  %d\nanswered      %d", summary.acknowledged,
                        summary.answered);
  if (summary.failure_replies > 0) {
    StrAppend(&out, " (", summary.failure_replies, " with FAILURE)");
  }
  if (summary.mismatched > 0) {
    StrAppend(&out, " (", summary.mismatched, " with another message's reply)");
  }
  absl::StrAppendFormat(&out, "\nrefused       %d\nerrors        %d", summary.refused,
                        summary.errors);
  if (!summary.first_error.empty()) StrAppend(&out, " (first: ", summary.first_error, ")");
  absl::StrAppendFormat(&out, "\nlost          %d\ndoubled       %d\nout of order  %d\n",
                        summary.lost, summary.doubled, summary.out_of_order);
  if (summary.reconnects > 0) {
    absl::StrAppendFormat(&out, "reconnected   %d\n", summary.reconnects);
  }
  absl::StrAppendFormat(
      &out, "latency       p50 %s  p99 %s  p99.9 %s  max %s\n",
      ShortDuration(summary.latency.Quantile(0.5)), ShortDuration(summary.latency.Quantile(0.99)),
      ShortDuration(summary.latency.Quantile(0.999)), ShortDuration(summary.latency.max()));
  absl::StrAppendFormat(&out, "throughput    %.1f/s over %s\n", Throughput(summary),
                        ShortDuration(summary.elapsed_ns));
  return out;
}

std::string TailText(const TailSummary& tail) {
  std::string out = absl::StrFormat(
      "tail of %s: expected %d, handled %d, dead-lettered %d, lost %d, doubled %d, out of order "
      "%d\n",
      tail.agent, tail.expected, tail.handled, tail.dead_lettered, tail.lost, tail.doubled,
      tail.out_of_order);
  if (tail.gap) {
    StrAppend(&out, "  the tail does not hold everything: ",
              tail.forgotten == tail.lost ? std::string("what counts as lost")
                                          : StrCat(tail.forgotten, " of what counts as lost"),
              " may only be older than what is kept\n");
  }
  return out;
}

std::string SummaryJson(const LoadSummary* load, const TailSummary* tail) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  if (load != nullptr) {
    json["sent"] = load->sent;
    json["resent"] = load->resent;
    json["acknowledged"] = load->acknowledged;
    json["answered"] = load->answered;
    json["failureReplies"] = load->failure_replies;
    json["mismatched"] = load->mismatched;
    json["refused"] = load->refused;
    json["errors"] = load->errors;
    json["firstError"] = load->first_error;
    json["lost"] = load->lost;
    json["doubled"] = load->doubled;
    json["outOfOrder"] = load->out_of_order;
    json["reconnects"] = load->reconnects;
    json["latencyNs"] = {{"p50", load->latency.Quantile(0.5)},
                         {"p99", load->latency.Quantile(0.99)},
                         {"p999", load->latency.Quantile(0.999)},
                         {"max", load->latency.max()}};
    json["elapsedNs"] = load->elapsed_ns;
    json["perSecond"] = Throughput(*load);
  }
  if (tail != nullptr) {
    json["tail"] = {{"agent", tail->agent},     {"expected", tail->expected},
                    {"handled", tail->handled}, {"deadLettered", tail->dead_lettered},
                    {"lost", tail->lost},       {"forgotten", tail->forgotten},
                    {"doubled", tail->doubled}, {"outOfOrder", tail->out_of_order},
                    {"gap", tail->gap}};
  }
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

ExitCode OutcomeOf(const LoadSummary& summary) {
  const bool good = summary.errors == 0 && summary.failure_replies == 0 &&
                    summary.mismatched == 0 && summary.lost == 0 && summary.doubled == 0 &&
                    summary.out_of_order == 0;
  return good ? ExitCode::kDone : ExitCode::kFailed;
}

ExitCode OutcomeOf(const TailSummary& tail) {
  if (tail.doubled > 0 || tail.out_of_order > 0) return ExitCode::kFailed;
  if (tail.lost > tail.forgotten) return ExitCode::kFailed;
  if (tail.lost > 0) return ExitCode::kInconclusive;
  return ExitCode::kDone;
}

}  // namespace caxton::cli
