// SPDX-License-Identifier: Apache-2.0
//
// caxton audit list | verify
#include <memory>
#include <ostream>

#include <CLI/CLI.hpp>

#include "call.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/cli/limits.h"
#include "caxton/v1/audit.grpc.pb.h"
#include "context.h"

namespace caxton::cli {
namespace {

using AuditStub = v1::Audit::Stub;

absl::StatusOr<ExitCode> ListAudit(Context* context, const std::string& agent) {
  v1::ListAuditRequest request;
  request.set_agent(agent);
  ASSIGN_OR_RETURN(const v1::ListAuditResponse merged,
                   CallAllPages(context->client(), &AuditStub::ListAudit, request));
  const Printer printer = context->printer();
  if (printer.structured()) {
    printer.Document(merged);
    return ExitCode::kDone;
  }
  Table table({"#", "TIME", "EVENT", "AGENT", "DEPLOYMENT", "IDENTITY", "OUTCOME"});
  for (const v1::AuditRecord& record : merged.records()) {
    table.Row({StrCat(record.number()), UtcTime(Nanos(record.timestamp())), record.event_type(),
               record.agent(), record.deployment_id(), record.identity(), record.outcome()});
  }
  printer.Text(table.ToString());
  return ExitCode::kDone;
}

absl::StatusOr<ExitCode> Verify(Context* context) {
  ASSIGN_OR_RETURN(const v1::VerifyAuditResponse response,
                   Call(context->client(), &AuditStub::VerifyAudit, v1::VerifyAuditRequest()));
  if (context->printer().structured()) {
    context->printer().Document(response);
  } else if (response.intact()) {
    context->printer().Text(
        StrCat("intact: ", response.records(), " records, head ", response.head_hash(), "\n"));
  } else {
    context->printer().Text(
        StrCat("BROKEN at record ", response.first_broken(), ": ", response.detail(), "\n"));
  }
  return response.intact() ? ExitCode::kDone : ExitCode::kFailed;
}

}  // namespace

void AddAuditCommands(CLI::App* app, Context* context) {
  CLI::App* group = app->add_subcommand("audit", "The record of every action");
  group->require_subcommand(1);
  auto agent = std::make_shared<std::string>();
  CLI::App* list = group->add_subcommand("list", "Records, oldest first");
  list->add_option("--agent", *agent, "Only this agent's");
  list->callback([=] { context->action = [=] { return ListAudit(context, *agent); }; });
  group->add_subcommand("verify", "Check that nothing was changed or taken away")
      ->callback([context] { context->action = [context] { return Verify(context); }; });
}

}  // namespace caxton::cli
