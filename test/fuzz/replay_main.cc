// SPDX-License-Identifier: Apache-2.0
//
// A fuzz target as a test:
//
//   NAME_fuzz_test [--mutations N] [--seed S] [--last FILE] [CASE...]
//       the target's seeds, each CASE (a file, or a folder of files), then N mutations of these.
//       The input under way is kept in FILE, so that it is there after a crash.
//   NAME_fuzz_test --write-corpus DIR
//       writes seeds to DIR, and the words, as a libFuzzer dictionary, to DIR.dict.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include <fcntl.h>

#include "caxton/base/assert.h"
#include "caxton/base/random.h"
#include "caxton/base/strings.h"
#include "fuzz_target.h"
#include "mutate.h"

namespace caxton::fuzz {
namespace {

struct Arguments {
  uint64_t mutations = 0;
  uint64_t seed = 1;
  std::string last, corpus;
  std::vector<std::string> cases;
};

// The input under way, in a file that outlives the process.
class LastInput final {
 public:
  explicit LastInput(const std::string& path) {
    if (path.empty()) return;
    fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    CAXTON_ASSERT(fd_ >= 0, "the file of the last input can be written");
  }
  ~LastInput() {
    if (fd_ >= 0) ::close(fd_);
  }
  void Keep(std::string_view input) {
    if (fd_ < 0) return;
    const bool kept =
        ::ftruncate(fd_, static_cast<off_t>(input.size())) == 0 &&
        ::pwrite(fd_, input.data(), input.size(), 0) == static_cast<ssize_t>(input.size());
    CAXTON_ASSERT(kept, "the last input can be kept");
  }

 private:
  int fd_ = -1;
};

std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  CAXTON_ASSERT(in.good(), "a case can be read");
  return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<std::string> ReadCases(const std::vector<std::string>& paths) {
  std::vector<std::filesystem::path> files;
  for (const std::string& name : paths) {
    const std::filesystem::path path(name);
    if (!std::filesystem::is_directory(path)) {
      files.push_back(path);
      continue;
    }
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
      if (entry.is_regular_file()) files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  std::vector<std::string> cases;
  for (const auto& file : files) cases.push_back(ReadFile(file));
  return cases;
}

std::string DictionaryLine(std::string_view word) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string line = "\"";
  for (const char c : word) {
    const auto byte = static_cast<uint8_t>(c);
    line += "\\x";
    line += kHex[byte >> 4];
    line += kHex[byte & 15];
  }
  return line + "\"\n";
}

int WriteCorpus(const std::string& folder) {
  std::filesystem::create_directories(folder);
  int number = 0;
  for (const std::string& seed : Seeds()) {
    std::ofstream(StrCat(folder, "/seed-", number++), std::ios::binary) << seed;
  }
  std::ofstream words(folder + ".dict");
  for (const std::string& word : Words()) words << DictionaryLine(word);
  return words.good() ? 0 : 1;
}

int Replay(const Arguments& arguments) {
  Material material{.inputs = Seeds(), .words = Words()};
  for (std::string& input : ReadCases(arguments.cases)) {
    material.inputs.push_back(std::move(input));
  }
  CAXTON_ASSERT(!material.inputs.empty(), "a target has something to start from");
  LastInput last(arguments.last);
  for (const std::string& input : material.inputs) {
    last.Keep(input);
    OneInput(input);
  }
  SeededRandom random(arguments.seed);
  for (uint64_t i = 0; i < arguments.mutations; ++i) {
    const std::string input = Mutant(material, random);
    last.Keep(input);
    OneInput(input);
  }
  std::printf("%zu inputs and %llu mutations held\n", material.inputs.size(),
              static_cast<unsigned long long>(arguments.mutations));
  return 0;
}

bool Parse(const std::vector<std::string>& words, Arguments* out) {
  for (size_t i = 0; i < words.size(); ++i) {
    if (!words[i].starts_with("--")) {
      out->cases.push_back(words[i]);
      continue;
    }
    if (i + 1 == words.size()) return false;
    const std::string& value = words[++i];
    bool good = true;
    if (words[i - 1] == "--mutations") {
      good = ParseInt(value, &out->mutations);
    } else if (words[i - 1] == "--seed") {
      good = ParseInt(value, &out->seed);
    } else if (words[i - 1] == "--last") {
      out->last = value;
    } else if (words[i - 1] == "--write-corpus") {
      out->corpus = value;
    } else {
      good = false;
    }
    if (!good) return false;
  }
  return true;
}

}  // namespace
}  // namespace caxton::fuzz

int main(int argc, char** argv) {
  caxton::fuzz::Arguments arguments;
  if (!caxton::fuzz::Parse({argv + 1, argv + argc}, &arguments)) {
    std::fprintf(stderr, "usage: %s [--mutations N] [--seed S] [--last FILE] [CASE...]\n", argv[0]);
    return 2;
  }
  if (!arguments.corpus.empty()) return caxton::fuzz::WriteCorpus(arguments.corpus);
  return caxton::fuzz::Replay(arguments);
}
