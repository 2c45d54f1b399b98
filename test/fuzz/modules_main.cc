// SPDX-License-Identifier: Apache-2.0
//
//   fuzz_modules [--keep DIR --every N] < MODULES
//
// Examines every module of a stream (each a length of four bytes, little-endian, and that many
// bytes: what test/fuzz/smith writes), and says how many reports had which code. Every Nth module
// is kept in DIR with the report of this process beside it, so that the jailed child's can be
// compared; the module under way is kept as DIR/last.wasm, so that it is there after a crash.
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>
#include <string_view>

#include "caxton/base/assert.h"
#include "caxton/base/strings.h"
#include "caxton/model/limits.h"
#include "examine_check.h"

namespace caxton::fuzz {
namespace {

struct Arguments {
  std::string keep;
  uint64_t every = 0;
};

void Write(const std::string& path, std::string_view bytes) {
  std::ofstream out(path, std::ios::binary);
  out << bytes;
  CAXTON_ASSERT(out.good(), "a module can be kept");
}

// False at the end of the stream.
bool ReadModule(std::string* module) {
  std::array<uint8_t, 4> head;
  if (std::fread(head.data(), 1, head.size(), stdin) != head.size()) return false;
  const size_t size = head[0] | head[1] << 8 | head[2] << 16 | static_cast<size_t>(head[3]) << 24;
  CAXTON_ASSERT(size <= kMaxModuleBytes, "the stream is one of modules");
  module->resize(size);
  return std::fread(module->data(), 1, size, stdin) == size;
}

int Run(const Arguments& arguments) {
  ExamineCheck check;
  std::string module;
  uint64_t count = 0, kept = 0;
  while (ReadModule(&module)) {
    if (!arguments.keep.empty()) Write(arguments.keep + "/last.wasm", module);
    const ExamineReport report = check.Examine(module);
    if (arguments.every > 0 && count % arguments.every == 0) {
      const std::string path = StrCat(arguments.keep, "/", kept++);
      Write(path + ".wasm", module);
      Write(path + ".json", examine::ReportToJson(report, path + ".wasm"));
    }
    ++count;
  }
  std::printf("%llu modules, the longest took %lld ms\n", static_cast<unsigned long long>(count),
              static_cast<long long>(check.longest_ns() / kNanosPerMilli));
  for (const auto& [code, reports] : check.codes()) {
    std::printf("%8llu %s\n", static_cast<unsigned long long>(reports), code.c_str());
  }
  return count > 0 ? 0 : 1;
}

}  // namespace
}  // namespace caxton::fuzz

int main(int argc, char** argv) {
  caxton::fuzz::Arguments arguments;
  bool good = argc % 2 == 1;
  for (int i = 1; good && i < argc; i += 2) {
    if (std::strcmp(argv[i], "--keep") == 0) {
      arguments.keep = argv[i + 1];
    } else if (std::strcmp(argv[i], "--every") == 0) {
      good = caxton::ParseInt(argv[i + 1], &arguments.every);
    } else {
      good = false;
    }
  }
  if (!good || (arguments.every > 0 && arguments.keep.empty())) {
    std::fprintf(stderr, "usage: %s [--keep DIR [--every N]] < MODULES\n", argv[0]);
    return 2;
  }
  return caxton::fuzz::Run(arguments);
}
