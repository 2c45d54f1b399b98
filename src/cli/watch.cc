// SPDX-License-Identifier: Apache-2.0
#include "watch.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <algorithm>
#include <ostream>

#include "absl/strings/str_join.h"
#include "caxton/base/mutex.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/cli/limits.h"
#include "caxton/v1/deployment.grpc.pb.h"
#include "interrupt.h"
#include "progress.h"
#include "report_text.h"
#include "rpc_status.h"

namespace caxton::cli {
namespace {

// Writes snapshots to one stream, in the form that it wants.
class Display final {
 public:
  Display(const Context& context, bool on_stdout)
      : printer_(context.printer()),
        clock_(*context.environment.clock),
        out_(on_stdout ? *context.environment.out : *context.environment.err),
        redraw_(MayRedraw(context.environment,
                          on_stdout ? context.environment.out_tty : context.environment.err_tty)),
        columns_(context.environment.columns),
        style_(StyleFor(context.environment, context.globals, redraw_)) {}

  void Show(const v1::WatchDeploymentResponse& event) {
    if (printer_.structured()) {
      printer_.Event(event);
    } else if (redraw_) {
      Redraw(event.deployment());
    } else {
      Plain(event.deployment());
    }
  }

  void Note(const std::string& text) {
    if (printer_.structured()) return;
    out_ << text << "\n";
    out_.flush();
    drawn_lines_ = 0;  // the view starts again below
  }

 private:
  void Redraw(const v1::Deployment& deployment) {
    if (drawn_lines_ > 0) out_ << "\x1b[" << drawn_lines_ << "A\x1b[J";
    drawn_lines_ = 0;
    for (const std::string& line : ProgressView(deployment, style_)) {
      // A line that wraps would break the count of lines to go up.
      const bool fits = VisibleWidth(line) < static_cast<size_t>(columns_);
      out_ << (fits ? line : OneLine(Plainly(line), static_cast<size_t>(columns_) - 4)) << "\n";
      ++drawn_lines_;
    }
    out_.flush();
  }

  static std::string Plainly(const std::string& line) {
    std::string out;
    for (size_t i = 0; i < line.size(); ++i) {
      if (line[i] == '\x1b') {
        i = std::min(line.find('m', i), line.size());
      } else {
        out += line[i];
      }
    }
    return out;
  }

  void Plain(const v1::Deployment& deployment) {
    const std::string key = TransitionKey(deployment);
    const std::string line = ProgressLine(deployment);
    const int64_t now = clock_.MonoNanos();
    const bool numbers_due = line != last_line_ && now - last_ns_ >= kPlainProgressEveryNs;
    if (key == last_key_ && !numbers_due) return;
    out_ << UtcClock(clock_.WallNanos()) << " " << line << "\n";
    out_.flush();
    last_key_ = key;
    last_line_ = line;
    last_ns_ = now;
  }

  const Printer printer_;
  const Clock& clock_;
  std::ostream& out_;
  const bool redraw_;
  const int columns_;
  const Style style_;
  int drawn_lines_ = 0;
  std::string last_key_, last_line_;
  int64_t last_ns_ = 0;
};

class Watcher final {
 public:
  Watcher(Context* context, const WatchOptions& options)
      : context_(*context),
        options_(options),
        display_(*context, options.on_stdout),
        connected_(options.was_connected),
        last_heard_ns_(context->environment.clock->MonoNanos()) {}

  // What `interrupt` calls has Cancel() called.
  absl::StatusOr<ExitCode> Run(const InterruptScope& interrupt) {
    int backoff_ms = kReconnectFirstMs;
    for (;;) {
      const absl::Status status = Follow();
      if (settled_) return Finish();
      if (interrupt.interrupted()) return static_cast<ExitCode>(kExitInterrupted);
      const bool may_come_back = status.ok() || IsUnreachable(status) ||
                                 absl::IsCancelled(status) || absl::IsUnknown(status) ||
                                 absl::IsInternal(status);
      if (!may_come_back || !connected_) return status;
      const int64_t silent_ns = context_.environment.clock->MonoNanos() - last_heard_ns_;
      if (silent_ns > context_.globals.timeout_ns) return GaveUp(status);
      if (!lost_) {
        display_.Note("Connection to the server lost; reconnecting. The deployment goes on.");
        backoff_ms = kReconnectFirstMs;
      }
      lost_ = true;
      context_.client().AwaitConnection(int64_t{backoff_ms} * kNanosPerMilli);
      backoff_ms = std::min(backoff_ms * 2, kReconnectMaxMs);
    }
  }

  // Ends Run early, on any thread.
  void Cancel() {
    MutexLock lock(&mutex_);
    cancelled_ = true;
    if (call_ != nullptr) call_->TryCancel();
  }

  bool settled() const { return settled_; }
  std::string WatchHint() const {
    return StrCat("`caxton deployment watch ",
                  last_.deployment_id().empty() ? options_.deployment : last_.deployment_id(), "`");
  }

 private:
  // One stream, until it ends or the deployment is settled.
  absl::Status Follow() {
    v1::WatchDeploymentRequest request;
    request.set_deployment_id(last_.deployment_id().empty() ? options_.deployment
                                                            : last_.deployment_id());
    request.set_until(options_.finalized ? v1::WatchDeploymentRequest::FINALIZED
                                         : v1::WatchDeploymentRequest::SETTLED);
    grpc::ClientContext call;
    {
      MutexLock lock(&mutex_);
      if (cancelled_) return absl::CancelledError("interrupted");
      call_ = &call;
    }
    v1::AgentDeployment::Stub stub(context_.client().channel());
    auto reader = stub.WatchDeployment(&call, request);
    v1::WatchDeploymentResponse event;
    while (!settled_ && reader->Read(&event)) {
      if (lost_) display_.Note("Connected again.");
      lost_ = false;
      connected_ = true;
      last_heard_ns_ = context_.environment.clock->MonoNanos();
      last_ = event.deployment();
      settled_ = Settled(last_, options_.finalized) || event.last();
      display_.Show(event);
    }
    if (settled_) call.TryCancel();
    const grpc::Status status = reader->Finish();
    MutexLock lock(&mutex_);
    call_ = nullptr;
    return FromGrpc(status, context_.client().server());
  }

  absl::StatusOr<ExitCode> Finish() {
    if (!context_.printer().structured()) {
      context_.printer().Text(StrCat(OutcomeLine(last_), "\n"));
      if (last_.validation().passed()) context_.err() << WarningsText(last_.validation());
      context_.err() << WhyNot(last_);
    }
    return OutcomeOf(last_);
  }

  absl::Status GaveUp(const absl::Status& status) const {
    return WithFix(
        WithReason(absl::UnavailableError(StrCat("The server has not been back for ",
                                                 ShortDuration(context_.globals.timeout_ns), ": ",
                                                 status.message())),
                   kReasonUnreachable),
        StrCat("start the server again; the deployment resumes where it was. Then ", WatchHint()));
  }

  Context& context_;
  const WatchOptions options_;
  Display display_;
  v1::Deployment last_;
  bool settled_ = false;
  bool lost_ = false;
  bool connected_;
  int64_t last_heard_ns_;

  Mutex mutex_;
  grpc::ClientContext* call_ ABSL_GUARDED_BY(mutex_) = nullptr;  // of the stream that is open
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
};

// The watcher that runs, for the thread of an interrupt.
class Current final {
 public:
  void Set(Watcher* watcher) {
    MutexLock lock(&mutex_);
    watcher_ = watcher;
    if (watcher_ != nullptr && cancelled_) watcher_->Cancel();
  }
  void Cancel() {
    MutexLock lock(&mutex_);
    cancelled_ = true;
    if (watcher_ != nullptr) watcher_->Cancel();
  }

 private:
  Mutex mutex_;
  Watcher* watcher_ ABSL_GUARDED_BY(mutex_) = nullptr;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace

absl::StatusOr<ExitCode> WatchUntilSettled(Context* context, const WatchOptions& options) {
  return WatchAllUntilSettled(context, {options});
}

absl::StatusOr<ExitCode> WatchAllUntilSettled(Context* context,
                                              const std::vector<WatchOptions>& all) {
  Current current;
  InterruptScope interrupt([&current] { current.Cancel(); });  // one for the whole wait
  ExitCode outcome = ExitCode::kDone;
  std::vector<std::string> left;  // how to watch what goes on
  for (const WatchOptions& options : all) {
    Watcher watcher(context, options);
    if (interrupt.interrupted()) {
      left.push_back(watcher.WatchHint());
      continue;
    }
    current.Set(&watcher);
    const absl::StatusOr<ExitCode> one = watcher.Run(interrupt);
    current.Set(nullptr);
    if (!one.ok()) return one;
    if (!watcher.settled()) left.push_back(watcher.WatchHint());
    if (outcome == ExitCode::kDone) outcome = *one;
  }
  if (left.empty()) return outcome;
  context->err() << (left.size() == 1 ? "\nThe deployment goes on. Watch it with "
                                      : "\nThe deployments go on. Watch them with ")
                 << absl::StrJoin(left, ", ") << ".\n";
  return static_cast<ExitCode>(kExitInterrupted);
}

}  // namespace caxton::cli
