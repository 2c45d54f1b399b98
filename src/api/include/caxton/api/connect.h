// SPDX-License-Identifier: Apache-2.0
//
// ConnectFront: the unary calls of caxton.v1 as HTTP/JSON, in the unary form of the Connect
// protocol: POST /package.Service/Method, the request as protobuf's JSON (or binary), the answer
// likewise, errors with Connect's HTTP statuses and a JSON body. It finds a method and its messages
// in the descriptors and hands the call to the gRPC server of this process, so every call is there
// without code of its own, and means the same.
//
// Lifecycle: made by ApiServer, lives as long; once that has stopped, calls are answered
// UNAVAILABLE. Thread rule: any thread. Call waits for the answer, at most kMaxConnectTimeoutMs.
// How to use: read the head; if Refuse() has an answer, send it; else read the body and Call().
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"

namespace caxton::api {

// What is known of a request before its body; a header that was not sent is empty.
struct ConnectHead {
  std::string path;              // "/caxton.v1.Agents/GetAgent"
  std::string content_type;      // "application/json; charset=utf-8"
  std::string content_encoding;  // "identity"
  std::string protocol_version;  // Connect-Protocol-Version
  std::string timeout_ms;        // Connect-Timeout-Ms
  // Handed on as gRPC metadata.
  std::string authorization, traceparent, tracestate, preview;  // preview: Caxton-Preview
};

struct ConnectAnswer {
  int http_status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
};

class ConnectFront {
 public:
  virtual ~ConnectFront() = default;
  // Whether `path` names a method, a streaming one included.
  virtual bool IsProcedure(const std::string& path) const = 0;
  // The answer to a request that needs no look at its body.
  virtual std::optional<ConnectAnswer> Refuse(const ConnectHead& head) const = 0;
  virtual ConnectAnswer Call(const ConnectHead& head, const std::string& body) = 0;
  // From now on calls are answered UNAVAILABLE; those that wait are cancelled after `grace_ns`.
  // Returns once none is left. Called by ApiServer before it stops the gRPC server.
  virtual void Stop(int64_t grace_ns) = 0;
};

// `error`, which is not OK, with its reason, fix and retry delay as Connect's details.
ConnectAnswer ConnectError(const absl::Status& error);

}  // namespace caxton::api
