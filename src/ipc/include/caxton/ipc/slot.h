// SPDX-License-Identifier: Apache-2.0
//
// Slot file: which message a worker is executing, kept where neither a crash of the worker nor of
// the server loses it.
//
// The server makes one file per worker in one directory and passes it on; both map it shared. The
// worker stores the message's Seq before it runs it and 0 after. The page cache outlives every
// process, so after kill -9 the next server reads what was executing (an OS crash empties it: then
// nothing is charged). A worker can write anything here; the worst it can do is to charge an
// attempt to a message, which the reader checks against its own table. Thread rule: Mark from the
// one thread that runs steps; Executing from any.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "caxton/model/ids.h"
#include "caxton/platform/fd.h"
#include "caxton/platform/memfd.h"

namespace caxton::ipc {

class SlotFile {
 public:
  // Server: creates <directory>/<name>.slot, empty, replacing an older one; the directory exists.
  static absl::StatusOr<SlotFile> Create(const std::string& directory, const std::string& name);
  // Without a file (tests, benchmarks): a memfd.
  static absl::StatusOr<SlotFile> CreateAnonymous();
  // Worker: maps the descriptor it was given.
  static absl::StatusOr<SlotFile> Attach(platform::UniqueFd fd);

  void Mark(Seq seq);  // Seq() when done
  Seq Executing() const;
  int fd() const { return fd_.get(); }

 private:
  SlotFile(platform::UniqueFd fd, platform::Mapping mapping)
      : fd_(std::move(fd)), mapping_(std::move(mapping)) {}
  platform::UniqueFd fd_;
  platform::Mapping mapping_;
};

struct ExecutingMark {
  std::string worker;  // the name given to Create
  Seq seq;
};
// Recovery: every worker's mark that is not 0. Files that are not slots are ignored.
absl::StatusOr<std::vector<ExecutingMark>> ReadSlots(const std::string& directory);
// Removes the slot file of `name`, or all of them.
absl::Status RemoveSlot(const std::string& directory, const std::string& name);
absl::Status RemoveAllSlots(const std::string& directory);

}  // namespace caxton::ipc
