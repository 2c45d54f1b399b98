// SPDX-License-Identifier: Apache-2.0
#include "module_file.h"

#include "call.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/cli/limits.h"
#include "caxton/model/limits.h"
#include "caxton/model/units.h"
#include "caxton/v1/deployment.grpc.pb.h"
#include "files.h"

namespace caxton::cli {
namespace {

absl::StatusOr<std::string> ReadModule(const std::string& path) {
  auto module = ReadFileUpTo(path, kMaxModuleBytes);
  if (absl::IsOutOfRange(module.status())) {
    return WithFix(WithReason(absl::InvalidArgumentError(StrCat(module.status().message(),
                                                                "; a module has at most ",
                                                                FormatSize(kMaxModuleBytes))),
                              "MODULE_TOO_LARGE"),
                   "strip debug information (-Wl,--strip-all, wasm-strip), or check that it is the "
                   "right file");
  }
  if (module.ok() && module->empty()) {
    return WithFix(
        WithReason(absl::InvalidArgumentError(StrCat(path, " is empty")), "MODULE_EMPTY"),
        "check that the build that should have written it worked");
  }
  return module;
}

// Returns the digest.
absl::StatusOr<std::string> Upload(const Client& client, const std::string& module) {
  v1::AgentDeployment::Stub stub(client.channel());
  grpc::ClientContext call;
  client.SetDeadline(&call);
  v1::UploadModuleResponse response;
  auto writer = stub.UploadModule(&call, &response);
  for (size_t at = 0; at < module.size(); at += kUploadChunkBytes) {
    v1::UploadModuleRequest frame;
    frame.set_chunk(module.substr(at, kUploadChunkBytes));
    if (!writer->Write(frame)) break;  // Finish says why
  }
  writer->WritesDone();
  const grpc::Status status = writer->Finish();
  if (!status.ok()) return FromGrpc(status, client.server());
  return response.module_digest();
}

}  // namespace

absl::StatusOr<ModuleToSend> PrepareModule(const Client& client, const std::string& path) {
  ModuleToSend out;
  ASSIGN_OR_RETURN(out.bytes, ReadModule(path));
  if (out.bytes.size() > kInlineModuleBytes) {
    ASSIGN_OR_RETURN(out.digest, Upload(client, out.bytes));
    out.bytes.clear();
  }
  return out;
}

}  // namespace caxton::cli
