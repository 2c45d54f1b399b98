// SPDX-License-Identifier: Apache-2.0
//
// Supervisor: starts, watches, replaces and stops the worker processes of revisions.
//
// Lifecycle: Prepare makes a revision's workers and reports them once the first has its instances
// warm; a worker that dies is replaced (backoff kRestartBackoff*, without end: the controller
// decides when a revision is hopeless); Stop ends them. The destructor kills and reaps every
// process it started. Thread rule: all methods from any thread; `done` callbacks run on the
// supervisor's own thread and must not block.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "caxton/model/revision.h"
#include "caxton/supervisor/revision_workers.h"

namespace caxton::supervisor {

class Supervisor {
 public:
  using Prepared = absl::StatusOr<std::shared_ptr<RevisionWorkers>>;
  virtual ~Supervisor() = default;

  // Starts `revision`'s workers from its native code in the artifact store (compiled by validation;
  // NOT_FOUND where the cache lost it: the caller validates again). DEADLINE_EXCEEDED after
  // `limit_ns`. A revision that is prepared already is answered with the same workers.
  virtual void Prepare(const Revision& revision, int64_t limit_ns,
                       absl::AnyInvocable<void(Prepared)> done) = 0;
  // Stops the revision's workers: asks, then kills after kStopGraceNs. Outstanding steps end in
  // OnLost. `done` runs once no process of it is left. Unknown revisions are done at once.
  virtual void Stop(RevisionRef revision, absl::AnyInvocable<void()> done) = 0;
  // For status pages: every revision with workers.
  virtual std::vector<std::pair<RevisionRef, WorkersStatus>> Status() const = 0;
  // The messages that were executing when an earlier server died, by the slot files it left
  // (agent's name is not trusted from there, only seq): the router runs them alone. Clears them.
  virtual std::vector<Seq> TakeSuspects() = 0;
};

}  // namespace caxton::supervisor
