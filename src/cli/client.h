// SPDX-License-Identifier: Apache-2.0
//
// Client: the connection to one server, with the deadlines and keys of every call.
// Lifecycle: connects lazily, at its first call. Thread rule: any thread.
// Use: `ASSIGN_OR_RETURN(auto answer, Call(client, &v1::Agents::Stub::GetAgent, request));`
// (call.h).
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "environment.h"

namespace grpc {
class ClientContext;
}

namespace caxton::cli {

class Client final {
 public:
  Client(const Environment& environment, const GlobalOptions& globals);

  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }
  const std::string& server() const { return server_; }
  int64_t timeout_ns() const { return timeout_ns_; }

  // A fresh key: one effect however often the call is made.
  std::string NewIdempotencyKey() const;
  // Sets the call's deadline. Streams that last have none.
  void SetDeadline(grpc::ClientContext* context) const;
  // After a lost connection: returns once there is one again, at the latest after that long.
  // Blocks.
  void AwaitConnection(int64_t nanoseconds) const;

 private:
  const Environment& environment_;
  const std::string server_;
  const int64_t timeout_ns_;
  const std::shared_ptr<grpc::Channel> channel_;
};

// A plain-text channel with this program's limits; what Environment::connect is in production.
std::shared_ptr<grpc::Channel> ConnectTo(const std::string& address);

}  // namespace caxton::cli
