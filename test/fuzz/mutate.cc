// SPDX-License-Identifier: Apache-2.0
#include "mutate.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

namespace caxton::fuzz {
namespace {

constexpr uint64_t kMaxChanges = 8;
constexpr size_t kMaxPieceBytes = 64;
constexpr std::array<uint64_t, 12> kEdges = {0,          1,         0x7f,       0x80,
                                             0xff,       0xffff,    0x7fffffff, 0x80000000,
                                             0xffffffff, INT64_MAX, 1ull << 63, UINT64_MAX};

size_t Place(const std::string& text, RandomSource& random) {
  return static_cast<size_t>(random.Below(text.size() + 1));
}

// [begin, begin + length) within `text`.
struct Range {
  size_t begin;
  size_t length;
};
Range Piece(const std::string& text, RandomSource& random) {
  const size_t begin = Place(text, random);
  const size_t longest = std::min(text.size() - begin, kMaxPieceBytes);
  return {begin, static_cast<size_t>(random.Below(longest + 1))};
}

void Overwrite(const std::string& with, size_t at, std::string* text) {
  text->replace(at, std::min(with.size(), text->size() - at), with);
}

void Change(const Material& material, RandomSource& random, std::string* text) {
  const std::string& other = material.inputs[random.Below(material.inputs.size())];
  const size_t at = Place(*text, random);
  switch (random.Below(9)) {
    case 0:  // a bit
      if (at < text->size()) (*text)[at] = static_cast<char>((*text)[at] ^ (1 << random.Below(8)));
      break;
    case 1:  // a byte
      if (at < text->size()) (*text)[at] = static_cast<char>(random.Below(256));
      break;
    case 2:  // a byte more
      text->insert(at, 1, static_cast<char>(random.Below(256)));
      break;
    case 3: {  // a piece less
      const Range piece = Piece(*text, random);
      text->erase(piece.begin, piece.length);
      break;
    }
    case 4: {  // a piece twice
      const Range piece = Piece(*text, random);
      text->insert(at, text->substr(piece.begin, piece.length));
      break;
    }
    case 5: {  // a piece of another input
      const Range piece = Piece(other, random);
      text->insert(at, other.substr(piece.begin, piece.length));
      break;
    }
    case 6:  // the end of another input
      *text = text->substr(0, at) + other.substr(Place(other, random));
      break;
    case 7: {  // a number at its edge
      const uint64_t edge = kEdges[random.Below(kEdges.size())];
      std::string bytes(size_t{1} << random.Below(4), '\0');
      std::memcpy(bytes.data(), &edge, bytes.size());
      Overwrite(bytes, at, text);
      break;
    }
    default:
      if (material.words.empty()) break;
      const std::string& word = material.words[random.Below(material.words.size())];
      if (random.Below(2) == 0) {
        text->insert(at, word);
      } else {
        Overwrite(word, at, text);
      }
  }
}

}  // namespace

std::string Mutant(const Material& material, RandomSource& random) {
  std::string text = material.inputs[random.Below(material.inputs.size())];
  for (uint64_t left = 1 + random.Below(kMaxChanges); left > 0; --left) {
    Change(material, random, &text);
    if (text.size() > kMaxMutatedBytes) text.resize(kMaxMutatedBytes);
  }
  return text;
}

}  // namespace caxton::fuzz
