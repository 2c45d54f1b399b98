// SPDX-License-Identifier: Apache-2.0
#include "caxton/model/module_traits.h"

#include "caxton/base/codec.h"
#include "caxton/model/text.h"

namespace caxton {
namespace {

constexpr size_t kMinSentBytes = 5;  // a length prefix and a performative
constexpr uint8_t kDeterminisms = static_cast<uint8_t>(Determinism::kNo) + 1;
constexpr uint8_t kPerformatives = static_cast<uint8_t>(Performative::kNotUnderstood) + 1;

std::string ReadText(ByteReader& in, size_t limit) {
  const std::string_view text = in.Bytes();
  if (text.size() > limit || !IsUtf8(text)) {
    in.Fail();
    return "";
  }
  return std::string(text);
}

void WriteFigures(const MeasuredFigures& figures, ByteWriter& out) {
  out.U32(figures.samples);
  out.U32(figures.handled);
  for (uint64_t value :
       {figures.peak_memory, figures.max_fuel, figures.init_fuel, figures.code_bytes, figures.sends,
        figures.max_sends, figures.max_output_bytes}) {
    out.U64(value);
  }
  out.I64(figures.max_step_ns);
}

MeasuredFigures ReadFigures(ByteReader& in) {
  MeasuredFigures figures;
  figures.samples = in.U32();
  figures.handled = in.U32();
  for (uint64_t* value :
       {&figures.peak_memory, &figures.max_fuel, &figures.init_fuel, &figures.code_bytes,
        &figures.sends, &figures.max_sends, &figures.max_output_bytes}) {
    *value = in.U64();
  }
  figures.max_step_ns = in.I64();
  if (figures.max_step_ns < 0) in.Fail();
  return figures;
}

}  // namespace

std::string_view DeterminismName(Determinism determinism) {
  switch (determinism) {
    case Determinism::kNotTried:
      return "not tried";
    case Determinism::kYes:
      return "yes";
    case Determinism::kNo:
      return "no";
  }
  return "unknown";
}

void WriteTraits(const ModuleTraits& traits, ByteWriter& out) {
  out.Bool(traits.reused_instances);
  out.Bool(traits.has_health_check);
  out.Bytes(traits.manifest_name);
  out.Bytes(traits.manifest_version);
  out.Bytes(traits.capabilities_json);
  out.Bytes(traits.manifest);
  out.U32(static_cast<uint32_t>(traits.sends.size()));
  for (const SentMessage& sent : traits.sends) {
    out.Bytes(sent.to);
    out.U8(static_cast<uint8_t>(sent.performative));
  }
  WriteFigures(traits.figures, out);
  out.U8(static_cast<uint8_t>(traits.determinism));
}

ModuleTraits ReadTraits(ByteReader& in) {
  ModuleTraits traits;
  traits.reused_instances = in.Bool();
  traits.has_health_check = in.Bool();
  traits.manifest_name = ReadText(in, kMaxTraitTextBytes);
  traits.manifest_version = ReadText(in, kMaxTraitTextBytes);
  traits.capabilities_json = ReadText(in, kMaxTraitTextBytes);
  traits.manifest = ReadText(in, kMaxManifestBytes);
  const uint32_t sends = ReadCount(in, kMinSentBytes);
  if (sends > kMaxSentMessages) in.Fail();
  for (uint32_t i = 0; i < sends && in.ok(); ++i) {
    SentMessage sent{.to = ReadText(in, kMaxTraitTextBytes)};
    sent.performative = ReadEnum<Performative>(in, kPerformatives);
    if (!traits.sends.empty() && !(traits.sends.back() < sent)) in.Fail();
    traits.sends.push_back(std::move(sent));
  }
  traits.figures = ReadFigures(in);
  traits.determinism = ReadEnum<Determinism>(in, kDeterminisms);
  return traits;
}

}  // namespace caxton
