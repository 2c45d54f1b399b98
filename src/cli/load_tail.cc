// SPDX-License-Identifier: Apache-2.0
#include "load_tail.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include "caxton/cli/limits.h"
#include "caxton/v1/messaging.grpc.pb.h"
#include "rpc_status.h"

namespace caxton::cli {

TailWatch::TailWatch(Context* context, const std::string& agent, const std::string& run)
    : context_(*context), agent_(agent), verifier_(agent, run) {}

TailWatch::~TailWatch() { Join(); }

void TailWatch::Join() {
  stop_ = true;
  if (reader_.joinable()) reader_.join();
}

absl::Status TailWatch::Pass() {
  v1::TailRequest request;
  request.set_agent(agent_);
  request.set_cursor(cursor_);
  v1::Messaging::Stub stub(context_.client().channel());
  grpc::ClientContext call;
  auto reader = stub.Tail(&call, request);
  v1::TailResponse event;
  while (reader->Read(&event)) {
    if (event.gap()) verifier_.OnGap();
    if (event.has_envelope()) verifier_.OnEvent(event.envelope().content(), event.outcome());
    if (!event.cursor().empty()) cursor_ = event.cursor();
  }
  return FromGrpc(reader->Finish(), context_.client().server());
}

absl::Status TailWatch::Start() {
  const absl::Status first = Pass();
  if (!first.ok()) return first;
  reader_ = std::thread([this] {
    while (!stop_) {
      (void)Pass();  // what fails here is made up for by the next; Finish says why
      context_.environment.sleep(kTailPollNs);
    }
  });
  return absl::OkStatus();
}

absl::StatusOr<TailSummary> TailWatch::Finish(const Ledger& ledger) {
  Join();
  const Clock& clock = *context_.environment.clock;
  int64_t last_progress = clock.MonoNanos();
  for (bool once_more = true;;) {
    const std::string before = cursor_;
    const absl::Status status = Pass();
    if (!status.ok() && !IsUnreachable(status)) return status;
    const int64_t now = clock.MonoNanos();
    if (cursor_ != before) last_progress = now;
    const TailSummary result = verifier_.Result(ledger);
    if (status.ok() && result.lost == 0) {
      // A doubled message may come after the last expected one.
      if (!once_more) return result;
      once_more = false;
    }
    if (now - last_progress > context_.globals.timeout_ns) {
      if (!status.ok()) return status;
      return result;
    }
    context_.environment.sleep(kTailPollNs);
  }
}

}  // namespace caxton::cli
