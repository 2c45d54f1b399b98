// SPDX-License-Identifier: Apache-2.0
#include "caxton/model/surroundings.h"

#include <utility>

#include "caxton/base/codec.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/model/limits.h"

namespace caxton {
namespace {

constexpr size_t kMaxRevisionNameBytes = kMaxAgentNameBytes + 11;  // "@4294967295"
constexpr size_t kMinRevisionBytes = 8;                            // two length prefixes

std::string ReadName(ByteReader& in, size_t limit) {
  const std::string_view name = in.Bytes();
  if (name.size() > limit) in.Fail();
  return in.ok() ? std::string(name) : std::string();
}

void WriteRevision(const KnownRevision& revision, ByteWriter& out) {
  out.Bytes(revision.agent);
  out.Bytes(revision.name);
  WriteTraits(revision.traits, out);
  out.Bool(revision.together);
  out.Bool(revision.replaced.has_value());
  if (revision.replaced.has_value()) WriteTraits(*revision.replaced, out);
}

KnownRevision ReadRevision(ByteReader& in) {
  KnownRevision revision;
  revision.agent = ReadName(in, kMaxAgentNameBytes);
  revision.name = ReadName(in, kMaxRevisionNameBytes);
  revision.traits = ReadTraits(in);
  revision.together = in.Bool();
  if (in.Bool()) revision.replaced = ReadTraits(in);
  return revision;
}

}  // namespace

void EncodeSurroundings(const Surroundings& surroundings, std::string* out) {
  ByteWriter w(out);
  w.U8(kRecordFormat);
  w.Bool(surroundings.on_server);
  w.Bool(surroundings.live.has_value());
  if (surroundings.live.has_value()) WriteRevision(*surroundings.live, w);
  w.U32(static_cast<uint32_t>(surroundings.others.size()));
  for (const KnownRevision& other : surroundings.others) WriteRevision(other, w);
  w.U32(static_cast<uint32_t>(surroundings.together.size()));
  for (const std::string& name : surroundings.together) w.Bytes(name);
  w.Bool(surroundings.allow_breaking);
  w.U32(surroundings.left_out);
}

absl::StatusOr<Surroundings> DecodeSurroundings(std::string_view bytes) {
  ByteReader r(bytes);
  Surroundings out;
  ReadFormat(r);
  out.on_server = r.Bool();
  if (r.Bool()) out.live = ReadRevision(r);
  const uint32_t others = ReadCount(r, kMinRevisionBytes);
  if (others > kMaxOtherAgents) r.Fail();
  for (uint32_t i = 0; i < others && r.ok(); ++i) out.others.push_back(ReadRevision(r));
  const uint32_t together = ReadCount(r, sizeof(uint32_t));
  for (uint32_t i = 0; i < together && r.ok(); ++i) {
    out.together.push_back(ReadName(r, kMaxAgentNameBytes));
  }
  out.allow_breaking = r.Bool();
  out.left_out = r.U32();
  RETURN_IF_ERROR(r.Finish("surroundings"));
  return out;
}

std::string ComparedWith(const Surroundings& around) {
  std::string with;
  const auto add = [&with](std::string_view what) {
    StrAppend(&with, with.empty() ? "" : ", ", what);
  };
  if (around.live.has_value()) add(StrCat("the live revision ", around.live->name));
  for (const KnownRevision& other : around.others) {
    add(StrCat(other.name, other.together ? " (switched together with it)" : ""));
  }
  std::string text =
      with.empty() ? "there was no live revision to compare with" : StrCat("compared with ", with);
  if (around.left_out > 0) StrAppend(&text, ", not with ", around.left_out, " agents more");
  if (!around.together.empty()) {
    std::string names;
    for (const std::string& name : around.together)
      StrAppend(&names, names.empty() ? "" : ", ", name);
    StrAppend(&text, "; not compared with ", names, ", switched together with it");
  }
  return text;
}

}  // namespace caxton
