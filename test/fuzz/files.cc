// SPDX-License-Identifier: Apache-2.0
#include "files.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "caxton/base/assert.h"

namespace caxton::fuzz {

std::vector<std::string> ProjectFiles(std::string_view folder, std::string_view suffix) {
  std::vector<std::filesystem::path> paths;
  const auto root = std::filesystem::path(CAXTON_PROJECT_DIR) / folder;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    if (entry.is_regular_file() && entry.path().string().ends_with(suffix)) {
      paths.push_back(entry.path());
    }
  }
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> out;
  for (const auto& path : paths) {
    std::ifstream in(path, std::ios::binary);
    out.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  CAXTON_ASSERT(!out.empty(), "the project has such files");
  return out;
}

}  // namespace caxton::fuzz
