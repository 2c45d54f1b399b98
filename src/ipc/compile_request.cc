// SPDX-License-Identifier: Apache-2.0
#include "caxton/ipc/compile_request.h"

#include "caxton/base/status.h"
#include "caxton/base/wire.h"

namespace caxton::ipc {

std::string EncodeCompileRequest(const Configure& configure, std::string_view surroundings) {
  std::string part, out;
  EncodeConfigure(configure, &part);
  ByteWriter w(&out);
  w.Bytes(part);
  w.Bytes(surroundings);
  return out;
}

absl::StatusOr<CompileRequest> DecodeCompileRequest(std::string_view bytes) {
  ByteReader in(bytes);
  const std::string_view configure = in.Bytes();
  const std::string_view surroundings = in.Bytes();
  RETURN_IF_ERROR(in.Finish("compile request"));
  CompileRequest request;
  ASSIGN_OR_RETURN(request.configure, DecodeConfigure(configure));
  ASSIGN_OR_RETURN(request.surroundings, DecodeSurroundings(surroundings));
  return request;
}

}  // namespace caxton::ipc
