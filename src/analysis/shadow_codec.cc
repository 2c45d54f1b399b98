// SPDX-License-Identifier: Apache-2.0
//
// ShadowComparison on the disk.
#include "caxton/analysis/limits.h"
#include "caxton/base/codec.h"
#include "caxton/base/status.h"
#include "caxton/model/text.h"
#include "shadow_state.h"

namespace caxton::analysis {
namespace {

constexpr size_t kMaxVerdictBytes = 4096;
constexpr size_t kMinPlaceBytes = 4 + 4 * 8 + 1 + 4;
constexpr size_t kMinSampleBytes = 3 * 4;

std::string ReadText(ByteReader& in, size_t max_bytes) {
  const std::string_view text = in.Bytes();
  if (text.size() <= max_bytes && IsUtf8(text)) return std::string(text);
  in.Fail();
  return {};
}

int64_t ReadCountOf(ByteReader& in, int64_t most) {
  const int64_t count = in.I64();
  if (count >= 0 && count <= most) return count;
  in.Fail();
  return 0;
}

void WriteRatios(const RatioSums& sums, ByteWriter& out) {
  for (const RatioSum* sum : {&sums.latency, &sums.cpu, &sums.memory}) sum->Write(out);
  sums.fuel.Write(out);
}
void ReadRatios(ByteReader& in, RatioSums* sums) {
  for (RatioSum* sum : {&sums->latency, &sums->cpu, &sums->memory}) sum->Read(in);
  sums->fuel.Read(in);
}

void WritePlace(const ShadowPlace& place, ByteWriter& out) {
  out.Bytes(place.path);
  for (int64_t count :
       {place.count, place.secondary_count, place.shadow_only, place.secondary_only}) {
    out.I64(count);
  }
  out.Bool(place.significant);
  out.U32(static_cast<uint32_t>(place.samples.size()));
  for (const ShadowSample& sample : place.samples) {
    out.Bytes(sample.message_id);
    out.Bytes(sample.live);
    out.Bytes(sample.shadow);
  }
}

ShadowPlace ReadPlace(ByteReader& in, int64_t compared) {
  ShadowPlace place;
  place.path = ReadText(in, kMaxShadowPathBytes);
  place.count = ReadCountOf(in, compared);
  place.secondary_count = ReadCountOf(in, compared);
  place.shadow_only = ReadCountOf(in, place.count);
  place.secondary_only = ReadCountOf(in, place.secondary_count);
  place.significant = in.Bool();
  const uint32_t samples = ReadCount(in, kMinSampleBytes);
  if (samples > kShadowSamples) in.Fail();
  for (uint32_t i = 0; i < samples && in.ok(); ++i) {
    ShadowSample sample;
    sample.message_id = ReadText(in, kShadowIdBytes);
    sample.live = ReadText(in, kShadowValueBytes);
    sample.shadow = ReadText(in, kShadowValueBytes);
    place.samples.push_back(std::move(sample));
  }
  return place;
}

}  // namespace

void ShadowComparison::Encode(std::string* out) const {
  const State& s = *state_;
  ByteWriter writer(out);
  writer.U8(kRecordFormat);
  writer.Bool(s.has_secondary);
  for (int64_t count : {s.equal, s.noisy, s.differing, s.secondary_differing, s.dropped, s.lost}) {
    writer.I64(count);
  }
  WriteRatios(s.to_live, writer);
  WriteRatios(s.secondary_to_live, writer);
  writer.U32(static_cast<uint32_t>(s.places.size()));
  for (const auto& [path, place] : s.places) WritePlace(place, writer);
  writer.U32(static_cast<uint32_t>(s.tests.size()));
  for (const ShadowTest& test : s.tests) {
    writer.Bool(test.share.has_value());
    if (test.share.has_value()) test.share->Write(writer);
  }
  writer.Bool(s.fired.has_value());
  if (s.fired.has_value()) writer.Bytes(TruncateUtf8(s.fired->text, kMaxVerdictBytes));
}

absl::StatusOr<ShadowComparison> ShadowComparison::Decode(const deployment::DeploymentPlan& plan,
                                                          std::string_view bytes) {
  // No sum of two of them overflows.
  constexpr int64_t kMost = int64_t{1} << 60;
  ShadowComparison comparison(plan);
  State& s = *comparison.state_;
  ByteReader in(bytes);
  ReadFormat(in);
  if (in.Bool() != s.has_secondary) in.Fail();
  for (int64_t* count :
       {&s.equal, &s.noisy, &s.differing, &s.secondary_differing, &s.dropped, &s.lost}) {
    *count = ReadCountOf(in, kMost);
  }
  ReadRatios(in, &s.to_live);
  ReadRatios(in, &s.secondary_to_live);
  const uint32_t places = ReadCount(in, kMinPlaceBytes);
  if (places > kMaxShadowPlaces + 1) in.Fail();
  for (uint32_t i = 0; i < places && in.ok(); ++i) {
    ShadowPlace place = ReadPlace(in, s.compared());
    std::string path = place.path;
    if (!s.places.emplace(std::move(path), std::move(place)).second) in.Fail();
  }
  if (in.U32() != s.tests.size()) in.Fail();
  for (ShadowTest& test : s.tests) {
    if (in.Bool() != test.share.has_value()) in.Fail();
    if (in.ok() && test.share.has_value()) test.share->Read(in);
  }
  if (in.Bool()) {
    s.fired = deployment::Verdict{deployment::VerdictKind::kFailed, ReadText(in, kMaxVerdictBytes)};
  }
  RETURN_IF_ERROR(in.Finish("a shadow's comparison"));
  return comparison;
}

}  // namespace caxton::analysis
