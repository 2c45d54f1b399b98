// SPDX-License-Identifier: Apache-2.0
//
// bench_client: the load of tools/bench, for Caxton and for bench_grpc_echo alike, so that both
// sides of a ratio are measured by the same code. One Exchange stream on the callback API, or
// unary Requests one after the other; every latency is kept. Unlike `caxton load` it keeps no
// account of its messages, holds no lock while it sleeps and starts the next message in the very
// reaction to an answer.
//
//   bench_client ADDRESS NAME=VALUE...
//     agent=echo  mode=stream|unary  kind=request|send  outstanding=1  keys=0  size=256
//     prefix=     (content starts with it)      ms=1000    warm=100     count=0 (0: no limit)
//     rate=0      (per second; 0: closed loop)  items=1    (most in one frame)
//     idem=0|1    delivery=durable|volatile|default
//
// With a rate, a latency counts from when the message was due, not from when it could be sent.
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <unordered_map>

#include "caxton/base/clock.h"
#include "caxton/v1/messaging.grpc.pb.h"
#include "samples.h"

namespace caxton::bench {
namespace {

struct Options {
  std::string address, agent = "echo", mode = "stream", kind = "request", prefix, delivery;
  uint64_t outstanding = 1, keys = 0, size = 256, count = 0, items = 1;
  int64_t limit_ns = kNanosPerSecond, warm_ns = 100 * kNanosPerMilli;
  double rate = 0;
  bool idem = false;
};

bool Set(const std::string& name, const std::string& value, Options* o) {
  const uint64_t number = std::strtoull(value.c_str(), nullptr, 10);
  if (name == "agent")
    o->agent = value;
  else if (name == "mode")
    o->mode = value;
  else if (name == "kind")
    o->kind = value;
  else if (name == "prefix")
    o->prefix = value;
  else if (name == "delivery")
    o->delivery = value;
  else if (name == "outstanding")
    o->outstanding = number;
  else if (name == "keys")
    o->keys = number;
  else if (name == "size")
    o->size = number;
  else if (name == "count")
    o->count = number;
  else if (name == "items")
    o->items = number;
  else if (name == "ms")
    o->limit_ns = static_cast<int64_t>(number) * kNanosPerMilli;
  else if (name == "warm")
    o->warm_ns = static_cast<int64_t>(number) * kNanosPerMilli;
  else if (name == "rate")
    o->rate = std::atof(value.c_str());
  else if (name == "idem")
    o->idem = number != 0;
  else
    return false;
  return true;
}

// Makes message number n; the same content for all, keys in turn.
class Maker {
 public:
  explicit Maker(const Options& o) : options_(o), run_(std::random_device{}()) {
    content_ = o.prefix;
    if (content_.size() < o.size) content_.resize(o.size, 'x');
  }
  void Fill(uint64_t number, v1::Envelope* envelope) const {
    envelope->set_receiver(options_.agent);
    envelope->set_content(content_);
    if (options_.keys > 0) envelope->set_key("k" + std::to_string(number % options_.keys));
    if (options_.idem) {
      envelope->set_idempotency_key("bench-" + std::to_string(run_) + "-" + std::to_string(number));
    }
    if (options_.delivery == "volatile") envelope->set_delivery(v1::VOLATILE);
    if (options_.delivery == "durable") envelope->set_delivery(v1::DURABLE);
  }

 private:
  const Options& options_;
  const uint32_t run_;
  std::string content_;
};

// What has been measured: what was due after the warm-up, until the limit.
struct Totals {
  Samples samples;
  uint64_t count = 0, errors = 0;
  int64_t start_ns = 0, last_ns = 0;
  std::string first_error;
};

class StreamClient final
    : public grpc::ClientBidiReactor<v1::ExchangeRequest, v1::ExchangeResponse> {
 public:
  StreamClient(const Options& options, v1::Messaging::Stub* stub)
      : options_(options), maker_(options) {
    begin_ns_ = clock_.MonoNanos();
    totals_.start_ns = totals_.last_ns = begin_ns_ + options.warm_ns;
    stub->async()->Exchange(&call_, this);
    StartCall();
    StartRead(&in_);
  }

  Totals Run() {
    std::unique_lock lock(mutex_);
    Pump();
    while (!over_) {
      // A closed loop goes on by itself in the reactions; a rate needs somebody to look at the
      // time.
      const int64_t wait = options_.rate > 0 && issuing_
                               ? std::max<int64_t>(1, Due(next_) - clock_.MonoNanos())
                               : 20 * kNanosPerMilli;
      wake_.wait_for(lock, std::chrono::nanoseconds(wait));
      Pump();
    }
    return std::move(totals_);
  }

  void OnReadDone(bool ok) override {
    if (!ok) return;
    std::lock_guard lock(mutex_);
    const int64_t now = clock_.MonoNanos();
    for (const v1::ExchangeResult& result : in_.results()) OnResult(now, result);
    StartRead(&in_);
    Pump();
  }

  void OnWriteDone(bool) override {
    std::lock_guard lock(mutex_);
    writing_ = false;
    Pump();
  }

  void OnDone(const grpc::Status& status) override {
    std::lock_guard lock(mutex_);
    if (!status.ok() || !due_.empty()) {
      totals_.errors += due_.empty() ? 1 : due_.size();
      if (totals_.first_error.empty()) totals_.first_error = status.error_message();
    }
    over_ = true;
    wake_.notify_all();
  }

 private:
  int64_t Due(uint64_t number) const {
    return begin_ns_ + static_cast<int64_t>(static_cast<double>(number) * 1e9 / options_.rate);
  }

  void OnResult(int64_t now, const v1::ExchangeResult& result) {
    const auto it = due_.find(result.client_ref());
    if (it == due_.end()) return;
    const int64_t due = it->second;
    due_.erase(it);
    if (result.has_error()) {
      ++totals_.errors;
      if (totals_.first_error.empty()) totals_.first_error = result.error().message();
      return;
    }
    if (due < totals_.start_ns) return;
    totals_.samples.Add(now - due);
    ++totals_.count;
    totals_.last_ns = now;
  }

  void Pump() {
    if (writing_ || over_) return;
    const int64_t now = clock_.MonoNanos();
    if (now - begin_ns_ >= options_.warm_ns + options_.limit_ns) issuing_ = false;
    out_.Clear();
    while (issuing_ && due_.size() < options_.outstanding &&
           static_cast<uint64_t>(out_.items_size()) < options_.items) {
      int64_t due = now;
      if (options_.rate > 0 && (due = Due(next_)) > now) break;
      v1::ExchangeItem* item = out_.add_items();
      item->set_client_ref(next_ + 1);
      item->set_want_reply(options_.kind == "request");
      maker_.Fill(next_, item->mutable_envelope());
      due_.emplace(++next_, due);
      if (options_.count > 0 && next_ >= options_.count) issuing_ = false;
    }
    if (out_.items_size() > 0) {
      writing_ = true;
      StartWrite(&out_);
    } else if (!issuing_ && due_.empty() && !ended_) {
      ended_ = true;
      StartWritesDone();
    }
  }

  const Options& options_;
  const Maker maker_;
  const SystemClock clock_;
  grpc::ClientContext call_;
  int64_t begin_ns_ = 0;
  v1::ExchangeRequest out_;
  v1::ExchangeResponse in_;

  std::mutex mutex_;  // of all below
  std::condition_variable wake_;
  std::unordered_map<uint64_t, int64_t> due_;  // unanswered, by client_ref
  uint64_t next_ = 0;
  bool issuing_ = true, writing_ = false, ended_ = false, over_ = false;
  Totals totals_;
};

Totals RunUnary(const Options& options, v1::Messaging::Stub* stub) {
  const SystemClock clock;
  const Maker maker(options);
  Totals totals;
  const int64_t begin = clock.MonoNanos();
  totals.start_ns = totals.last_ns = begin + options.warm_ns;
  for (uint64_t n = 0; options.count == 0 || n < options.count; ++n) {
    v1::RequestRequest request;
    v1::RequestResponse response;
    maker.Fill(n, request.mutable_envelope());
    const int64_t before = clock.MonoNanos();
    if (before - begin >= options.warm_ns + options.limit_ns) break;
    grpc::ClientContext call;
    const grpc::Status status = stub->Request(&call, request, &response);
    const int64_t now = clock.MonoNanos();
    if (!status.ok()) {
      ++totals.errors;
      totals.first_error = status.error_message();
      break;
    }
    if (before < totals.start_ns) continue;
    totals.samples.Add(now - before);
    ++totals.count;
    totals.last_ns = now;
  }
  return totals;
}

int Main(const Options& options) {
  auto channel = grpc::CreateChannel(options.address, grpc::InsecureChannelCredentials());
  if (!channel->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(10))) {
    std::fprintf(stderr, "bench_client: no server answers at %s\n", options.address.c_str());
    return 1;
  }
  const auto stub = v1::Messaging::NewStub(channel);
  Totals totals;
  if (options.mode == "unary") {
    totals = RunUnary(options, stub.get());
  } else {
    StreamClient client(options, stub.get());
    totals = client.Run();
  }
  const std::string extra = ", \"errors\": " + std::to_string(totals.errors);
  PrintResult(totals.samples, totals.count, totals.last_ns - totals.start_ns, extra.c_str());
  if (totals.errors > 0) {
    std::fprintf(stderr, "bench_client: %llu errors, the first: %s\n",
                 static_cast<unsigned long long>(totals.errors), totals.first_error.c_str());
  }
  return 0;
}

}  // namespace
}  // namespace caxton::bench

int main(int argc, char** argv) {
  caxton::bench::Options options;
  bool good = argc >= 2;
  if (good) options.address = argv[1];
  for (int i = 2; i < argc && good; ++i) {
    const std::string arg = argv[i];
    const size_t equals = arg.find('=');
    good = equals != std::string::npos &&
           caxton::bench::Set(arg.substr(0, equals), arg.substr(equals + 1), &options);
  }
  if (good) return caxton::bench::Main(options);
  std::fprintf(stderr, "usage: bench_client ADDRESS NAME=VALUE...\n");
  return 2;
}
