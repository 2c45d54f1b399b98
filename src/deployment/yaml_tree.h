// SPDX-License-Identifier: Apache-2.0
//
// A YAML document as a plain tree with places, read within limits.h. yaml-cpp is named in
// yaml_tree.cc only. No aliases, anchors or tags: a deployment file needs none, and without them a
// small file stays a small tree.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace caxton::deployment {

struct YamlEntry;

struct YamlNode {
  enum class Kind { kNull, kScalar, kList, kMap };
  Kind kind = Kind::kNull;
  int line = 0;  // from 1
  int column = 0;
  std::string text;                // scalar, as written
  std::vector<YamlNode> items;     // list
  std::vector<YamlEntry> entries;  // map, in order; keys are scalars, unique
};

struct YamlEntry {
  YamlNode key;
  YamlNode value;
};

struct YamlFault {
  int line = 0;
  int column = 0;
  std::string text;
};

// False: `*faults` says why. The document's root is `*root`.
bool ParseYaml(std::string_view text, YamlNode* root, std::vector<YamlFault>* faults);

}  // namespace caxton::deployment
