// SPDX-License-Identifier: Apache-2.0
//
// A YAML document as a plain tree with places, read within limits. yaml-cpp is named in
// yaml_tree.cc only. No aliases, anchors or tags: no file of ours needs any, and without them a
// small file stays a small tree. Pure; any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "caxton/deployment/limits.h"

namespace caxton::deployment {

struct YamlEntry;

struct YamlNode {
  enum class Kind { kNull, kScalar, kList, kMap };
  Kind kind = Kind::kNull;
  int line = 0;  // from 1
  int column = 0;
  bool plain = false;              // scalar: without quotes, so that it may be a number
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

// Beyond any of these a document is refused.
struct YamlLimits {
  size_t bytes = kMaxFileBytes;
  size_t depth = kMaxFileDepth;  // nested maps and lists
  size_t nodes = kMaxFileNodes;  // every key, value, map and list
};

// False: `*faults` says why. The document's root is `*root`.
bool ParseYaml(std::string_view text, const YamlLimits& limits, YamlNode* root,
               std::vector<YamlFault>* faults);

}  // namespace caxton::deployment
