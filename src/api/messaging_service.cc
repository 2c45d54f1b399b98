// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_format.h"
#include "caxton/api/limits.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/model/text.h"
#include "caxton/v1/messaging.grpc.pb.h"
#include "convert.h"
#include "page.h"
#include "services.h"
#include "unary.h"

namespace caxton::api {
namespace {

using grpc::CallbackServerContext;
using grpc::ServerUnaryReactor;

struct FoundDeadLetter {
  std::string agent;
  AgentId id;
  Seq seq;
  journal::DeadLetterRecord record;
};

// Ordered as their rows are.
std::string PositionOf(const FoundDeadLetter& dead) {
  return absl::StrFormat("%08x%016x", dead.id.value(), dead.seq.value());
}

class MessagingService final : public v1::Messaging::CallbackService {
 public:
  explicit MessagingService(ServiceContext* context) : c_(context) {}

  ServerUnaryReactor* Send(CallbackServerContext* call, const v1::SendRequest* request,
                           v1::SendResponse* response) override {
    auto pending = UnaryCall<v1::SendResponse>::Begin(response, c_->TraceId(*call));
    absl::StatusOr<Envelope> envelope = Prepare(*call, *request, false);
    if (!envelope.ok()) {
      pending->Fail(envelope.status());
    } else {
      c_->deps.router->Send(*std::move(envelope), [pending](router::Answer answer) {
        pending->Finish(answer.status, [&](v1::SendResponse* r) {
          r->set_message_id(answer.message_id);
          r->set_duplicate(answer.duplicate);
        });
      });
    }
    return pending->reactor();
  }

  ServerUnaryReactor* Request(CallbackServerContext* call, const v1::RequestRequest* request,
                              v1::RequestResponse* response) override {
    auto pending = UnaryCall<v1::RequestResponse>::Begin(response, c_->TraceId(*call));
    absl::StatusOr<Envelope> envelope = Prepare(*call, *request, true);
    if (!envelope.ok()) {
      pending->Fail(envelope.status());
    } else {
      const std::string agent = envelope->receiver;
      c_->deps.router->Request(*std::move(envelope), [pending, agent](router::Answer answer) {
        pending->Finish(answer.status, [&](v1::RequestResponse* r) {
          r->set_message_id(answer.message_id);
          if (answer.reply) ToWire(*answer.reply, r->mutable_reply());
          r->set_duplicate(answer.duplicate);
          if (answer.revision.valid()) r->set_revision(StrCat(agent, "@", answer.revision.value()));
        });
      });
    }
    return pending->reactor();
  }

  grpc::ServerBidiReactor<v1::ExchangeRequest, v1::ExchangeResponse>* Exchange(
      CallbackServerContext* call) override {
    return NewExchangeStream(c_, call);
  }
  grpc::ServerWriteReactor<v1::TailResponse>* Tail(CallbackServerContext* call,
                                                   const v1::TailRequest* request) override {
    return NewTailStream(c_, call, *request);
  }
  ServerUnaryReactor* TraceMessage(CallbackServerContext* call, const v1::TraceMessageRequest*,
                                   v1::TraceMessageResponse* response) override {
    auto pending = UnaryCall<v1::TraceMessageResponse>::Begin(response, c_->TraceId(*call));
    pending->Fail(NotCarriedOut("tracing one message"));
    return pending->reactor();
  }

  ServerUnaryReactor* ListDeadLetters(CallbackServerContext* call,
                                      const v1::ListDeadLettersRequest* request,
                                      v1::ListDeadLettersResponse* response) override;
  ServerUnaryReactor* GetDeadLetter(CallbackServerContext* call,
                                    const v1::GetDeadLetterRequest* request,
                                    v1::GetDeadLetterResponse* response) override;
  ServerUnaryReactor* RetryDeadLetters(CallbackServerContext* call,
                                       const v1::RetryDeadLettersRequest* request,
                                       v1::RetryDeadLettersResponse* response) override {
    auto pending = UnaryCall<v1::RetryDeadLettersResponse>::Begin(response, c_->TraceId(*call));
    if (!pending->Once(c_->deps.commands, *request)) return pending->reactor();
    WithEach(request->selection(), /*retry=*/true, [pending](absl::Status status, int64_t count) {
      pending->Finish(status, [&](v1::RetryDeadLettersResponse* r) { r->set_retried(count); });
    });
    return pending->reactor();
  }
  ServerUnaryReactor* DropDeadLetters(CallbackServerContext* call,
                                      const v1::DropDeadLettersRequest* request,
                                      v1::DropDeadLettersResponse* response) override {
    auto pending = UnaryCall<v1::DropDeadLettersResponse>::Begin(response, c_->TraceId(*call));
    if (!pending->Once(c_->deps.commands, *request)) return pending->reactor();
    WithEach(request->selection(), /*retry=*/false, [pending](absl::Status status, int64_t count) {
      pending->Finish(status, [&](v1::DropDeadLettersResponse* r) { r->set_dropped(count); });
    });
    return pending->reactor();
  }

 private:
  // The header `caxton-preview: true`, for who cannot or will not change the message.
  static absl::StatusOr<bool> PreviewHeader(const CallbackServerContext& call) {
    const auto found = call.client_metadata().find("caxton-preview");
    if (found == call.client_metadata().end()) return false;
    const std::string_view value(found->second.data(), found->second.size());
    if (value == "true" || value == "false") return value == "true";
    return WithReason(absl::InvalidArgumentError(StrCat("the header caxton-preview is true or ",
                                                        "false, not ", Quoted(value))),
                      "WRONG_HEADER");
  }

  template <typename Request>
  absl::StatusOr<Envelope> Prepare(const CallbackServerContext& call, const Request& request,
                                   bool want_reply) {
    ASSIGN_OR_RETURN(Envelope envelope, FromWire(request.envelope(), want_reply));
    ASSIGN_OR_RETURN(bool preview, PreviewHeader(call));
    preview |= request.preview();
    if (preview && request.revision() != 0) {
      return WithReason(absl::InvalidArgumentError("preview and revision exclude each other"),
                        "PREVIEW_AND_REVISION");
    }
    if (preview || request.revision() != 0) {
      ASSIGN_OR_RETURN(envelope.pinned,
                       Pinned(envelope.receiver, RevisionNumber(request.revision())));
    }
    envelope.sender = c_->NewSender();
    return envelope;
  }

  // The revision that a message is to be handled by; `asked` 0: the one that is not stable yet. It
  // must have workers now; if it has none any more when the message's turn comes, the message is
  // routed like any other.
  absl::StatusOr<RevisionNumber> Pinned(const std::string& agent, RevisionNumber asked) {
    auto route = c_->deps.router->Routes()->Find(std::string_view(agent));
    if (route == nullptr) return asked;  // the router says what is wrong
    const auto is = [asked](const router::RevisionRoute& r) {
      return r && r.revision->ref.number == asked;
    };
    if (!asked.valid() && route->candidate) return route->candidate.revision->ref.number;
    if (asked.valid() && (is(route->stable) || is(route->candidate))) return asked;
    const std::string what =
        asked.valid() ? StrCat(agent, "@", asked.value(), " neither serves nor waits in preview")
                      : StrCat("agent '", agent, "' has no revision that waits or is judged");
    return WithFix(WithReason(absl::FailedPreconditionError(what),
                              asked.valid() ? "NOT_SERVING" : "NO_PREVIEW"),
                   StrCat("`caxton agent inspect ", agent, "` shows what serves; `caxton deploy ",
                          "FILE.wasm --preview` makes a revision wait"));
  }

  // On the reader strand. `each` returns false to stop. Removed agents' dead letters are still
  // there.
  absl::Status Scan(const std::string& agent, const std::function<bool(FoundDeadLetter)>& each) {
    ASSIGN_OR_RETURN(const journal::JournalImage image, c_->deps.journal->RecoverImage());
    bool known = agent.empty();
    bool more = true;
    for (const journal::AgentRecord& record : image.agents) {
      if (!agent.empty() && record.name != agent) continue;
      known = true;
      RETURN_IF_ERROR(c_->deps.journal->ScanDeadLetters(
          record.id, Seq(), [&](Seq seq, const journal::DeadLetterRecord& dead) {
            more = each(FoundDeadLetter{record.name, record.id, seq, dead});
            return more;
          }));
      if (!more) break;
    }
    if (known) return absl::OkStatus();
    return WithReason(absl::NotFoundError(StrCat("there is no agent '", agent, "'")),
                      "NO_SUCH_AGENT");
  }

  using Counted = std::function<void(absl::Status, int64_t)>;
  void WithEach(const v1::DeadLetterSelection& selection, bool retry, Counted done) {
    c_->reader->Post([this, selection, retry, done = std::move(done)] {
      const absl::flat_hash_set<std::string> ids(selection.message_ids().begin(),
                                                 selection.message_ids().end());
      if (ids.empty() && selection.agent().empty()) {
        return done(absl::InvalidArgumentError("select dead letters by message ids or by agent"),
                    0);
      }
      auto work = std::make_shared<Work>();
      std::vector<FoundDeadLetter>* found = &work->found;
      absl::Status read = Scan(selection.agent(), [&](FoundDeadLetter dead) {
        if (ids.empty() || ids.contains(dead.record.envelope.id)) found->push_back(std::move(dead));
        return ids.empty() || found->size() < ids.size();
      });
      if (read.ok() && found->size() < ids.size()) {
        read = WithFix(WithReason(absl::NotFoundError("some of these are no dead letters"),
                                  "NO_SUCH_DEAD_LETTER"),
                       "`caxton dlq list` shows what there is");
      }
      if (!read.ok()) return done(read, 0);
      work->retry = retry;
      work->done = done;
      Next(work, 0);
    });
  }

  // One after the other, so that they keep their order. One that cannot be retried does not keep
  // the others from it: they are told of at the end.
  struct Work {
    std::vector<FoundDeadLetter> found;
    bool retry = false;
    int64_t count = 0;
    absl::Status first_fault;
    int64_t faults = 0;
    Counted done;
  };
  void Next(const std::shared_ptr<Work>& work, size_t at) {
    if (at == work->found.size()) return work->done(Outcome(*work), work->count);
    const FoundDeadLetter& dead = work->found[at];
    auto then = [this, work, at](absl::Status status) {
      if (status.ok()) {
        ++work->count;
      } else if (work->faults++ == 0) {
        work->first_fault = Annotate(status, work->found[at].record.envelope.id);
      }
      c_->reader->Post([this, work, at] { Next(work, at + 1); });
    };
    if (work->retry) {
      c_->deps.router->RetryDeadLetter(dead.id, dead.seq, then);
    } else {
      c_->deps.router->DropDeadLetter(dead.id, dead.seq, then);
    }
  }
  static absl::Status Outcome(const Work& work) {
    if (work.faults == 0) return absl::OkStatus();
    if (work.count == 0 && work.faults == 1) return work.first_fault;
    const char* verb = work.retry ? " retried" : " dropped";
    absl::Status status(work.first_fault.code(),
                        AbslView(StrCat(work.count, verb, ", ", work.faults,
                                        " not; the first: ", StdView(work.first_fault.message()))));
    return WithFix(WithReason(std::move(status), ReasonOf(work.first_fault)),
                   "the others are still there: `caxton dlq list` shows them");
  }

  ServiceContext* c_;
};

ServerUnaryReactor* MessagingService::ListDeadLetters(CallbackServerContext* call,
                                                      const v1::ListDeadLettersRequest* request,
                                                      v1::ListDeadLettersResponse* response) {
  auto pending = UnaryCall<v1::ListDeadLettersResponse>::Begin(response, c_->TraceId(*call));
  absl::StatusOr<Page> page = Page::Of(*request, StrCat("dead letters of ", request->agent()));
  if (!page.ok()) {
    pending->Fail(page.status());
    return pending->reactor();
  }
  c_->reader->Post([this, pending, page = *std::move(page), agent = request->agent()] {
    std::vector<FoundDeadLetter> found;
    bool more = false;
    // In the order of their rows; what is gone since the page before is skipped over.
    absl::Status read = Scan(agent, [&](FoundDeadLetter dead) {
      if (PositionOf(dead) <= page.after()) return true;
      if (found.size() == static_cast<size_t>(page.size())) {
        more = true;
        return false;
      }
      found.push_back(std::move(dead));
      return true;
    });
    pending->Finish(read, [&](v1::ListDeadLettersResponse* r) {
      for (const FoundDeadLetter& dead : found)
        ToWire(dead.agent, dead.record, false, r->add_dead_letters());
      if (more) r->set_next_page_token(page.TokenAt(PositionOf(found.back())));
    });
  });
  return pending->reactor();
}

ServerUnaryReactor* MessagingService::GetDeadLetter(CallbackServerContext* call,
                                                    const v1::GetDeadLetterRequest* request,
                                                    v1::GetDeadLetterResponse* response) {
  auto pending = UnaryCall<v1::GetDeadLetterResponse>::Begin(response, c_->TraceId(*call));
  c_->reader->Post([this, pending, id = request->message_id()] {
    std::optional<FoundDeadLetter> found;
    absl::Status read = Scan("", [&](FoundDeadLetter dead) {
      if (dead.record.envelope.id == id) found = std::move(dead);
      return !found.has_value();
    });
    if (read.ok() && !found) {
      read = WithFix(WithReason(absl::NotFoundError(StrCat("there is no dead letter '", id, "'")),
                                "NO_SUCH_DEAD_LETTER"),
                     "`caxton dlq list` shows what there is");
    }
    pending->Finish(read, [&](v1::GetDeadLetterResponse* r) {
      ToWire(found->agent, found->record, true, r->mutable_dead_letter());
    });
  });
  return pending->reactor();
}

}  // namespace

std::unique_ptr<grpc::Service> MakeMessagingService(ServiceContext* context) {
  return std::make_unique<MessagingService>(context);
}

}  // namespace caxton::api
