// SPDX-License-Identifier: Apache-2.0
//
// Layout: modules/<digest>.wasm, written durably; native/<digest>.<digest of engine key>.code with
// .sum (the code's digest) beside it; native/<digest>.<digest of name>.report, which starts with
// its own digest. Caches are written without fsync: what a power cut leaves of them fails its
// digest and is a miss.
#include "caxton/supervisor/artifact_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <set>
#include <utility>

#include "caxton/base/mutex.h"
#include "caxton/base/status.h"
#include "caxton/model/limits.h"
#include "caxton/platform/file.h"
#include "caxton/platform/memfd.h"
#include "caxton/supervisor/limits.h"

namespace caxton::supervisor {
namespace {

constexpr size_t kDigestBytes = 32;
constexpr size_t kDigestHexBytes = 2 * kDigestBytes;
constexpr size_t kMaxReportBytes = 4 << 20;
constexpr std::string_view kTemporary = ".part";
constexpr std::string_view kReport = ".report";

std::string_view Bytes(const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.bytes.data()), digest.bytes.size()};
}

class FileArtifactStore final : public ArtifactStore {
 public:
  explicit FileArtifactStore(const std::string& directory)
      : modules_(directory + "/modules"), native_(directory + "/native") {}

  absl::Status Open() {
    for (const std::string& directory : {modules_, native_}) {
      RETURN_IF_ERROR(platform::MkdirAll(directory));
      ASSIGN_OR_RETURN(const auto names, platform::ListDirectory(directory));
      for (const std::string& name : names) {  // what a crash left half-written
        if (StrContains(name, kTemporary)) (void)platform::RemoveFile(directory + "/" + name);
      }
    }
    return absl::OkStatus();
  }

  absl::StatusOr<Digest> PutModule(std::string_view wasm) override {
    if (wasm.size() > kMaxModuleBytes) {
      return absl::ResourceExhaustedError(
          StrCat("the module has ", wasm.size(), " bytes, the limit is ", kMaxModuleBytes));
    }
    const Digest digest = Sha256(wasm);
    // A damaged file is written anew; reading it costs less than compiling does.
    if (KeepModule(digest) && GetModule(digest).ok()) return digest;
    RETURN_IF_ERROR(platform::WriteFileAtomic(ModulePath(digest), wasm));
    return digest;
  }

  absl::StatusOr<std::string> GetModule(const Digest& module) const override {
    auto wasm = platform::ReadFile(ModulePath(module), kMaxModuleBytes);
    if (!wasm.ok()) return Annotate(wasm.status(), "reading a module");
    if (Sha256(*wasm) != module) {
      return absl::DataLossError(StrCat("the file of module ", module.ToHex(),
                                        " does not have that digest: the disk "
                                        "or somebody changed it. To fix: deploy the module again"));
    }
    return wasm;
  }

  bool HasModule(const Digest& module) const override {
    return platform::PathExists(ModulePath(module));
  }

  absl::Status PutNative(const Digest& module, std::string_view engine_key,
                         std::string_view code) override {
    const std::string path = NativePath(module, engine_key);
    RETURN_IF_ERROR(WriteCache(path + ".code", code));
    return WriteCache(path + ".sum", Bytes(Sha256(code)));
  }

  int OpenNative(const Digest& module, std::string_view engine_key) const override {
    const std::string path = NativePath(module, engine_key);
    const auto sum = platform::ReadFile(path + ".sum", kDigestBytes);
    if (!sum.ok()) return -1;
    const auto code = platform::ReadFile(path + ".code", kMaxNativeBytes);
    if (!code.ok() || Bytes(Sha256(*code)) != *sum) return -1;
    auto memfd = platform::MemfdWithContent("caxton-code", *code);
    return memfd.ok() ? memfd->release() : -1;
  }

  absl::Status PutReport(const Digest& module, std::string_view name,
                         std::string_view report) override {
    const std::string path = StrCat(NativePath(module, name), kReport);
    RETURN_IF_ERROR(WriteCache(path, StrCat(Bytes(Sha256(report)), report)));
    return DropOldReports(module, path);
  }

  std::optional<std::string> GetReport(const Digest& module, std::string_view name) const override {
    auto file = platform::ReadFile(StrCat(NativePath(module, name), kReport), kMaxReportBytes);
    if (!file.ok() || file->size() < kDigestBytes) return std::nullopt;
    std::string report = file->substr(kDigestBytes);
    if (Bytes(Sha256(report)) != std::string_view(*file).substr(0, kDigestBytes)) {
      return std::nullopt;
    }
    return report;
  }

  bool KeepModule(const Digest& module) override {
    MutexLock lock(&sweep_mutex_);
    const std::string path = ModulePath(module);
    return utimensat(AT_FDCWD, path.c_str(), nullptr, 0) == 0 || platform::PathExists(path);
  }

  absl::Status Sweep(const std::vector<Digest>& kept, std::optional<int64_t> before_ns) override {
    std::set<std::string> names;
    for (const Digest& digest : kept) names.insert(digest.ToHex());
    // Modules first: what belongs to one that is new stays with it.
    for (const std::string& directory : {modules_, native_}) {
      ASSIGN_OR_RETURN(const auto files, platform::ListDirectory(directory));
      for (const std::string& file : files) {
        if (StrContains(file, kTemporary)) continue;  // somebody is writing it
        const std::string digest = file.substr(0, kDigestHexBytes);
        if (names.contains(digest)) continue;
        MutexLock lock(&sweep_mutex_);  // nobody says in between that it is to be kept
        if (before_ns.has_value() && !PutBefore(directory + "/" + file, *before_ns)) {
          if (directory == modules_) names.insert(digest);
          continue;
        }
        RETURN_IF_ERROR(platform::RemoveFile(directory + "/" + file));
      }
    }
    return absl::OkStatus();
  }

 private:
  std::string ModulePath(const Digest& module) const {
    return StrCat(modules_, "/", module.ToHex(), ".wasm");
  }
  std::string NativePath(const Digest& module, std::string_view key) const {
    return StrCat(native_, "/", module.ToHex(), ".", Sha256(key).ToHex().substr(0, 32));
  }

  // When it was put, wall clock; nothing where it cannot be looked at.
  static std::optional<int64_t> PutAt(const std::string& path) {
    struct stat file = {};
    if (stat(path.c_str(), &file) != 0) return std::nullopt;
    constexpr int64_t kSecondNs = 1'000'000'000;
    return file.st_mtim.tv_sec * kSecondNs + file.st_mtim.tv_nsec;
  }

  // What cannot be looked at is left alone.
  static bool PutBefore(const std::string& path, int64_t before_ns) {
    const std::optional<int64_t> put = PutAt(path);
    return put.has_value() && *put < before_ns;
  }

  // All of a module's reports but the newest; `newest` was written just now and stays. Two at once
  // may find the same file: it is gone then, which is as well.
  absl::Status DropOldReports(const Digest& module, const std::string& newest) {
    ASSIGN_OR_RETURN(const auto files, platform::ListDirectory(native_));
    std::vector<std::pair<int64_t, std::string>> reports;  // oldest first
    for (const std::string& file : files) {
      if (!StartsWith(file, module.ToHex()) || !file.ends_with(kReport)) continue;
      std::string path = StrCat(native_, "/", file);
      const std::optional<int64_t> put = PutAt(path);
      if (path != newest && put.has_value()) reports.emplace_back(*put, std::move(path));
    }
    if (reports.size() < kMaxReportsPerModule) return absl::OkStatus();
    std::sort(reports.begin(), reports.end());
    reports.resize(reports.size() - (kMaxReportsPerModule - 1));
    for (const auto& [put, path] : reports) (void)platform::RemoveFile(path);
    return absl::OkStatus();
  }

  // Replaces `path` in one rename, not durably.
  absl::Status WriteCache(const std::string& path, std::string_view content) {
    const std::string temporary = StrCat(path, kTemporary, next_temporary_.fetch_add(1));
    ASSIGN_OR_RETURN(const platform::UniqueFd fd,
                     platform::OpenFile(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC));
    absl::Status written = platform::PwriteAll(fd.get(), 0, content);
    if (written.ok() && rename(temporary.c_str(), path.c_str()) != 0) {
      written = ErrnoStatus(errno, StrCat("renaming ", temporary));
    }
    if (!written.ok()) (void)platform::RemoveFile(temporary);
    return written;
  }

  const std::string modules_, native_;
  std::atomic<uint64_t> next_temporary_{0};
  Mutex sweep_mutex_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ArtifactStore>> OpenArtifactStore(const std::string& directory) {
  auto store = std::make_unique<FileArtifactStore>(directory);
  RETURN_IF_ERROR(store->Open());
  return store;
}

}  // namespace caxton::supervisor
