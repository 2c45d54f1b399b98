// SPDX-License-Identifier: Apache-2.0
//
// HttpThreads: the threads of the HTTP server and what waits for them. Unlike the library's own
// pool its queue is bounded: where it is full, no connection is accepted until a thread is free,
// and the kernel's backlog holds the rest.
//
// Lifecycle: the library shuts it down when it stops listening: what is queued still runs.
// Thread rule: enqueue and shutdown from the library's listening thread.
#pragma once

#include <httplib.h>

#include <deque>
#include <thread>
#include <vector>

#include "caxton/base/mutex.h"

namespace caxton::server {

class HttpThreads final : public httplib::TaskQueue {
 public:
  HttpThreads(size_t threads, size_t most_queued) : most_queued_(most_queued) {
    for (size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { Work(); });
  }

  void enqueue(std::function<void()> task) override {
    MutexLock lock(&mutex_);
    while (queue_.size() >= most_queued_) changed_.Wait(&mutex_);
    queue_.push_back(std::move(task));
    changed_.SignalAll();
  }

  void shutdown() override {
    {
      MutexLock lock(&mutex_);
      stopping_ = true;
      changed_.SignalAll();
    }
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  void Work() {
    for (;;) {
      std::function<void()> task;
      {
        MutexLock lock(&mutex_);
        while (queue_.empty() && !stopping_) changed_.Wait(&mutex_);
        if (queue_.empty()) return;
        task = std::move(queue_.front());
        queue_.pop_front();
        changed_.SignalAll();
      }
      task();
    }
  }

  const size_t most_queued_;
  Mutex mutex_;
  CondVar changed_;
  std::deque<std::function<void()>> queue_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace caxton::server
