// SPDX-License-Identifier: Apache-2.0
#include "load_tail.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include "call.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/cli/limits.h"
#include "caxton/v1/agents.grpc.pb.h"
#include "caxton/v1/messaging.grpc.pb.h"
#include "rpc_status.h"

namespace caxton::cli {
namespace {

// Of a cursor, "<agent number>.<row number>"; 0 where it is none.
uint64_t RowOf(const std::string& cursor) {
  uint64_t row = 0;
  const size_t dot = cursor.rfind('.');
  return ParseInt(cursor.substr(dot == std::string::npos ? 0 : dot + 1), &row) ? row : 0;
}

}  // namespace

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
    if (event.cursor().empty()) continue;
    cursor_ = event.cursor();
    last_row_ = RowOf(cursor_);
    if (first_row_ == 0) first_row_ = last_row_;
  }
  return FromGrpc(reader->Finish(), context_.client().server());
}

absl::Status TailWatch::Start() {
  const absl::Status first = Pass();
  if (!first.ok()) return first;
  first_row_at_start_ = first_row_ > 0;
  reader_ = std::thread([this] {
    while (!stop_) {
      (void)Pass();  // what fails here is made up for by the next; Finish says why
      context_.environment.sleep(kTailPollNs);
    }
  });
  return absl::OkStatus();
}

// Rows are numbered from 1 on: a first one with another number was preceded by rows that were
// trimmed. And an agent that completed more messages than the tail ever had rows handled some
// before it kept them.
absl::Status TailWatch::JudgeBeginning(uint64_t sent_since_start) {
  if (first_row_ > 1) {
    // Trimmed before the load, or only while it ran, before a row was read.
    verifier_.OnLateBeginning(first_row_at_start_ ? sent_since_start : UINT64_MAX);
    return absl::OkStatus();
  }
  v1::GetAgentRequest request;
  request.set_name(agent_);
  const auto response = Call(context_.client(), &v1::Agents::Stub::GetAgent, request);
  if (!response.ok()) {
    // What cannot be asked leaves the loss a loss.
    return IsUnreachable(response.status()) ? response.status() : absl::OkStatus();
  }
  RETURN_IF_ERROR(Pass());  // all that was completed by then
  const int64_t completed = response->agent().messages().completed();
  if (completed > 0 && static_cast<uint64_t>(completed) > last_row_) {
    verifier_.OnLateBeginning(sent_since_start);
  }
  return absl::OkStatus();
}

absl::StatusOr<TailSummary> TailWatch::Finish(const Ledger& ledger, uint64_t sent_since_start) {
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
      RETURN_IF_ERROR(JudgeBeginning(sent_since_start));
      return verifier_.Result(ledger);
    }
    context_.environment.sleep(kTailPollNs);
  }
}

}  // namespace caxton::cli
