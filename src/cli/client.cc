// SPDX-License-Identifier: Apache-2.0
#include "client.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <array>
#include <chrono>

#include "caxton/base/hash.h"
#include "caxton/base/strings.h"
#include "caxton/cli/limits.h"

namespace caxton::cli {

Client::Client(const Environment& environment, const GlobalOptions& globals)
    : environment_(environment),
      server_(globals.server),
      timeout_ns_(globals.timeout_ns),
      channel_(environment.connect(globals.server)) {}

std::string Client::NewIdempotencyKey() const {
  std::array<uint8_t, 16> bytes;
  environment_.random->Fill(bytes);
  return StrCat("cli-", HexEncode({reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
}

void Client::SetDeadline(grpc::ClientContext* context) const {
  context->set_deadline(std::chrono::system_clock::now() + std::chrono::nanoseconds(timeout_ns_));
}

void Client::AwaitConnection(int64_t nanoseconds) const {
  const grpc_connectivity_state state = channel_->GetState(/*try_to_connect=*/true);
  if (state == GRPC_CHANNEL_READY || state == GRPC_CHANNEL_SHUTDOWN) {
    environment_.sleep(nanoseconds);  // connected, and refused at once: no hurry
    return;
  }
  // Waiting drives the attempt; with no thread in a call gRPC would look at it rarely.
  channel_->WaitForConnected(std::chrono::system_clock::now() +
                             std::chrono::nanoseconds(nanoseconds));
}

std::shared_ptr<grpc::Channel> ConnectTo(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxReceiveBytes);
  arguments.SetMaxSendMessageSize(-1);  // the server says what it takes
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kReconnectFirstMs);
  // What gRPC calls the minimal backoff is an attempt's time limit: a busy machine takes its time.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kConnectTimeoutMs);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kReconnectMaxMs);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);  // a proxy in the environment is not for us
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

}  // namespace caxton::cli
