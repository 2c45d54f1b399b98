// SPDX-License-Identifier: Apache-2.0
//
// G: bench_grpc_echo
//
// A gRPC server on the callback API that answers caxton.v1's Request and Exchange with what it was
// sent, and does nothing else: what gRPC itself costs on this machine. Prints "ready ADDRESS" and
// serves until its standard input ends. bench_client drives it exactly as it drives Caxton.
#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <cstdio>
#include <deque>
#include <memory>
#include <mutex>
#include <string>

#include "caxton/v1/messaging.grpc.pb.h"

namespace caxton::bench {
namespace {

// A frame for a frame, in order.
class EchoStream final : public grpc::ServerBidiReactor<v1::ExchangeRequest, v1::ExchangeResponse> {
 public:
  EchoStream() { StartRead(&in_); }

  void OnReadDone(bool ok) override {
    std::lock_guard lock(mutex_);
    if (!ok) {
      reads_done_ = true;
      FinishIfDone();
      return;
    }
    v1::ExchangeResponse out;
    for (v1::ExchangeItem& item : *in_.mutable_items()) {
      v1::ExchangeResult* result = out.add_results();
      result->set_client_ref(item.client_ref());
      if (item.want_reply()) {
        result->mutable_reply()->mutable_reply()->set_content(
            std::move(*item.mutable_envelope()->mutable_content()));
      } else {
        result->mutable_ack()->set_message_id("m");
      }
    }
    queue_.push_back(std::move(out));
    Write();
    StartRead(&in_);
  }

  void OnWriteDone(bool ok) override {
    std::lock_guard lock(mutex_);
    writing_ = false;
    queue_.pop_front();
    if (!ok) queue_.clear();
    Write();
    FinishIfDone();
  }

  void OnDone() override { delete this; }

 private:
  void Write() {
    if (writing_ || queue_.empty()) return;
    writing_ = true;
    StartWrite(&queue_.front());
  }
  void FinishIfDone() {
    if (!reads_done_ || writing_ || finished_) return;
    finished_ = true;
    Finish(grpc::Status::OK);
  }

  v1::ExchangeRequest in_;
  std::mutex mutex_;
  std::deque<v1::ExchangeResponse> queue_;
  bool writing_ = false;
  bool reads_done_ = false;
  bool finished_ = false;
};

class EchoService final : public v1::Messaging::CallbackService {
 public:
  grpc::ServerUnaryReactor* Request(grpc::CallbackServerContext* call,
                                    const v1::RequestRequest* request,
                                    v1::RequestResponse* response) override {
    response->mutable_reply()->set_content(request->envelope().content());
    grpc::ServerUnaryReactor* reactor = call->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
  grpc::ServerBidiReactor<v1::ExchangeRequest, v1::ExchangeResponse>* Exchange(
      grpc::CallbackServerContext*) override {
    return new EchoStream();
  }
};

int Serve() {
  EchoService service;
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr || port == 0) {
    std::fprintf(stderr, "bench_grpc_echo: cannot listen on 127.0.0.1\n");
    return 1;
  }
  std::printf("ready 127.0.0.1:%d\n", port);
  std::fflush(stdout);
  char byte;
  while (read(STDIN_FILENO, &byte, 1) > 0) {
  }
  server->Shutdown(std::chrono::system_clock::now());
  return 0;
}

}  // namespace
}  // namespace caxton::bench

int main() { return caxton::bench::Serve(); }
