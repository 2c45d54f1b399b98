// SPDX-License-Identifier: Apache-2.0
#include "caxton/deployment/yaml_tree.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <optional>
#include <set>
#include <sstream>

#include "caxton/base/strings.h"
#include "caxton/model/text.h"

namespace caxton::deployment {
namespace {

YamlFault FaultAt(const YAML::Mark& mark, std::string text) {
  return {mark.line + 1, mark.column + 1, std::move(text)};
}

// What the builder throws through yaml-cpp, which has no other way to stop; caught in ParseYaml.
struct Stop {
  YamlFault fault;
};

[[noreturn]] void Fail(const YAML::Mark& mark, std::string text) {
  throw Stop{FaultAt(mark, std::move(text))};
}

// Builds the tree from the parser's events, stopping at the first limit that is passed.
class Builder final : public YAML::EventHandler {
 public:
  Builder(const YamlLimits& limits, YamlNode* root, std::vector<YamlFault>* faults)
      : limits_(limits), root_(root), faults_(faults) {}

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (documents_++ > 0) Fail(mark, "a second document starts here; a file is one");
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Place(mark, anchor, {.kind = YamlNode::Kind::kNull});
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    Fail(mark, "aliases (*name) are not taken here: write the value out");
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    CheckTag(mark, tag);
    // The parser's tag of what has none: "!" for text in quotes or in a block, "?" for the others.
    Place(mark, anchor, {.kind = YamlNode::Kind::kScalar, .plain = tag != "!", .text = value});
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(mark, tag, anchor, YamlNode::Kind::kList);
  }
  void OnSequenceEnd() override { open_.pop_back(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(mark, tag, anchor, YamlNode::Kind::kMap);
  }
  void OnMapEnd() override { open_.pop_back(); }

 private:
  // A list or map whose children are arriving. `node` stays where it is: its siblings come later.
  struct Frame {
    YamlNode* node;
    std::optional<YamlNode> key;  // map: the key whose value comes next
    std::set<std::string> keys;
  };

  static void CheckTag(const YAML::Mark& mark, const std::string& tag) {
    if (!tag.empty() && tag != "?" && tag != "!") {
      Fail(mark, StrCat("the tag ", Quoted(tag), " is not taken here"));
    }
  }

  void Open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
            YamlNode::Kind kind) {
    CheckTag(mark, tag);
    if (open_.size() == limits_.depth) {
      Fail(mark, StrCat("nested deeper than ", limits_.depth, " levels"));
    }
    open_.push_back({.node = Place(mark, anchor, {.kind = kind})});
  }

  YamlNode* Place(const YAML::Mark& mark, YAML::anchor_t anchor, YamlNode node) {
    if (anchor != 0) Fail(mark, "anchors (&name) are not taken here");
    if (++nodes_ > limits_.nodes) Fail(mark, StrCat("more than ", limits_.nodes, " values"));
    node.line = mark.line + 1;
    node.column = mark.column + 1;
    if (open_.empty()) {
      *root_ = std::move(node);
      return root_;
    }
    Frame& frame = open_.back();
    if (frame.node->kind == YamlNode::Kind::kList) {
      return &frame.node->items.emplace_back(std::move(node));
    }
    if (frame.key.has_value()) {
      frame.node->entries.push_back({std::move(*frame.key), std::move(node)});
      frame.key.reset();
      return &frame.node->entries.back().value;
    }
    if (node.kind != YamlNode::Kind::kScalar) Fail(mark, "the name of a field must be plain text");
    if (!frame.keys.insert(node.text).second) {
      faults_->push_back(FaultAt(mark, StrCat("the field ", Quoted(node.text), " is there twice")));
    }
    return &frame.key.emplace(std::move(node));
  }

  const YamlLimits& limits_;
  YamlNode* root_;
  std::vector<YamlFault>* faults_;
  std::vector<Frame> open_;
  size_t nodes_ = 0;
  int documents_ = 0;
};

// yaml-cpp reports no exact place for bytes it cannot read; these are found beforehand.
bool CheckText(std::string_view text, size_t limit, std::vector<YamlFault>* faults) {
  if (text.size() > limit) {
    faults->push_back({1, 1, StrCat("the file has ", text.size(), " bytes, the limit is ", limit)});
    return false;
  }
  int line = 1;
  while (true) {
    const size_t end = text.find('\n');
    const std::string_view row = text.substr(0, end);
    if (!IsUtf8(row) || row.find('\0') != std::string_view::npos) {
      faults->push_back({line, 1, "this line is not UTF-8 text"});
      return false;
    }
    if (end == std::string_view::npos) return true;
    text.remove_prefix(end + 1);
    ++line;
  }
}

}  // namespace

bool ParseYaml(std::string_view text, const YamlLimits& limits, YamlNode* root,
               std::vector<YamlFault>* faults) {
  if (!CheckText(text, limits.bytes, faults)) return false;
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    Builder builder(limits, root, faults);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const Stop& stop) {
    faults->push_back(stop.fault);
  } catch (const YAML::Exception& e) {
    faults->push_back(FaultAt(e.mark, StrCat("not YAML: ", e.msg)));
  }
  return faults->empty();
}

}  // namespace caxton::deployment
