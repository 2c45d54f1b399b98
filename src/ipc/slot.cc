// SPDX-License-Identifier: Apache-2.0
#include "caxton/ipc/slot.h"

#include <fcntl.h>

#include <atomic>
#include <cstring>

#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/ipc/limits.h"
#include "caxton/platform/file.h"

namespace caxton::ipc {
namespace {

constexpr std::string_view kSuffix = ".slot";
constexpr uint64_t kSlotMagic = 0x31544f4c53584143;  // "CAXSLOT1"

struct SlotPage {
  std::atomic<uint64_t> magic;
  std::atomic<uint64_t> seq;
};
static_assert(sizeof(SlotPage) <= kSlotBytes && std::atomic<uint64_t>::is_always_lock_free);

SlotPage* PageOf(const platform::Mapping& mapping) {
  return reinterpret_cast<SlotPage*>(mapping.data());
}

std::string PathOf(const std::string& directory, const std::string& name) {
  return StrCat(directory, "/", name, kSuffix);
}

absl::StatusOr<platform::Mapping> MapSlot(int fd) {
  ASSIGN_OR_RETURN(const size_t size, platform::FdSize(fd));
  if (size != kSlotBytes) {
    return absl::InvalidArgumentError(StrCat("slot file: ", size, " bytes, not ", kSlotBytes));
  }
  return platform::Mapping::Map(fd, kSlotBytes, platform::Mapping::Access::kReadWrite);
}

}  // namespace

absl::StatusOr<SlotFile> SlotFile::Create(const std::string& directory, const std::string& name) {
  const std::string path = PathOf(directory, name);
  // A new file, not the old one emptied: a worker of before may still hold that.
  RETURN_IF_ERROR(platform::RemoveFile(path));
  ASSIGN_OR_RETURN(platform::UniqueFd fd, platform::OpenFile(path, O_RDWR | O_CREAT | O_EXCL));
  // Written, not only sized: on a full disk this fails here, and not as a SIGBUS at the first mark.
  const std::string zeros(kSlotBytes, '\0');
  if (absl::Status s = platform::PwriteAll(fd.get(), 0, zeros); !s.ok()) return Annotate(s, path);
  ASSIGN_OR_RETURN(platform::Mapping mapping, MapSlot(fd.get()));
  PageOf(mapping)->magic.store(kSlotMagic);
  return SlotFile(std::move(fd), std::move(mapping));
}

absl::StatusOr<SlotFile> SlotFile::CreateAnonymous() {
  ASSIGN_OR_RETURN(platform::UniqueFd fd, platform::CreateMemfd("caxton-slot", kSlotBytes));
  ASSIGN_OR_RETURN(platform::Mapping mapping, MapSlot(fd.get()));
  PageOf(mapping)->magic.store(kSlotMagic);
  return SlotFile(std::move(fd), std::move(mapping));
}

absl::StatusOr<SlotFile> SlotFile::Attach(platform::UniqueFd fd) {
  ASSIGN_OR_RETURN(platform::Mapping mapping, MapSlot(fd.get()));
  if (PageOf(mapping)->magic.load() != kSlotMagic) {
    return absl::InvalidArgumentError("slot file: not one");
  }
  return SlotFile(std::move(fd), std::move(mapping));
}

void SlotFile::Mark(Seq seq) {
  PageOf(mapping_)->seq.store(seq.value(), std::memory_order_release);
}

Seq SlotFile::Executing() const {
  return Seq(PageOf(mapping_)->seq.load(std::memory_order_acquire));
}

absl::StatusOr<std::vector<ExecutingMark>> ReadSlots(const std::string& directory) {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, platform::ListDirectory(directory));
  std::vector<ExecutingMark> marks;
  size_t slots = 0;
  for (const std::string& name : names) {
    if (!EndsWith(name, kSuffix)) continue;
    if (++slots > kMaxSlotFiles) {
      return absl::ResourceExhaustedError(
          StrCat(directory, " holds more than ", kMaxSlotFiles, " slot files"));
    }
    absl::StatusOr<std::string> page = platform::ReadFile(StrCat(directory, "/", name), kSlotBytes);
    if (!page.ok() || page->size() != kSlotBytes) continue;
    uint64_t fields[2];
    std::memcpy(fields, page->data(), sizeof fields);
    if (fields[0] != kSlotMagic || fields[1] == 0) continue;
    marks.push_back({name.substr(0, name.size() - kSuffix.size()), Seq(fields[1])});
  }
  return marks;
}

absl::Status RemoveSlot(const std::string& directory, const std::string& name) {
  return platform::RemoveFile(PathOf(directory, name));
}

absl::Status RemoveAllSlots(const std::string& directory) {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, platform::ListDirectory(directory));
  for (const std::string& name : names) {
    if (EndsWith(name, kSuffix)) {
      RETURN_IF_ERROR(platform::RemoveFile(StrCat(directory, "/", name)));
    }
  }
  return absl::OkStatus();
}

}  // namespace caxton::ipc
