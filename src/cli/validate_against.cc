// SPDX-License-Identifier: Apache-2.0
//
// caxton agent validate FILE --against AGENT: the server validates the module as that agent's next
// revision, compared with what is live there, and changes nothing.
#include "call.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/v1/agents.grpc.pb.h"
#include "caxton/v1/deployment.grpc.pb.h"
#include "context.h"
#include "module_file.h"
#include "report_text.h"
#include "validate_subject.h"

namespace caxton::cli {

absl::StatusOr<ExitCode> ValidateAgainst(Context* context, const ValidateSubject& subject,
                                         const std::string& agent) {
  // An agent that is not there has no live revision, and everything would pass.
  v1::GetAgentRequest get;
  get.set_name(agent);
  const auto known = Call(context->client(), &v1::Agents::Stub::GetAgent, get);
  if (!known.ok()) return SuggestAgent(context, agent, known.status());
  v1::ValidateAgentRequest request;
  request.set_name(agent);
  ToProto(subject.overrides, request.mutable_overrides());
  ASSIGN_OR_RETURN(ModuleToSend module, PrepareModule(context->client(), subject.module_path));
  if (module.digest.empty()) {
    request.set_wasm_module(std::move(module.bytes));
  } else {
    request.set_module_digest(std::move(module.digest));
  }
  ASSIGN_OR_RETURN(const v1::ValidateAgentResponse response,
                   (Call(context->client(), &v1::AgentDeployment::Stub::ValidateAgent, request)));
  const Printer printer = context->printer();
  if (printer.structured()) {
    printer.Document(response);
  } else {
    printer.Text(ReportText(response.report(), printer.style()));
  }
  return response.report().passed() ? ExitCode::kDone : ExitCode::kRejected;
}

}  // namespace caxton::cli
