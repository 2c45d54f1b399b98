// SPDX-License-Identifier: Apache-2.0
//
// Caxton agents in C++17 and later, on top of sdk/c/caxton.h. No exceptions, no RTTI.
//
//   #include "caxton.hpp"
//
//   caxton::Outcome Handle(const caxton::Message& message) {
//     message.Reply(caxton::Performative::kInform, message.content());
//     return caxton::Outcome::kHandled;
//   }
//   CAXTON_AGENT(Handle)
//
// Message is the one being handled; Outgoing is one to be sent. What leaves, leaves when the step
// commits, and only if the handler returns kHandled. By default each message gets a fresh instance:
// statics hold nothing between messages. Threads: there is one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "caxton.h"

namespace caxton {

enum class Outcome : int32_t {
  kHandled = CAXTON_HANDLED,
  kRetry = CAXTON_RETRY,    // failed, try again
  kReject = CAXTON_REJECT,  // failed for good: a dead letter
};

enum class Performative : int32_t {
  kRequest = CAXTON_REQUEST,
  kInform = CAXTON_INFORM,
  kQuery = CAXTON_QUERY,
  kPropose = CAXTON_PROPOSE,
  kAcceptProposal = CAXTON_ACCEPT_PROPOSAL,
  kRejectProposal = CAXTON_REJECT_PROPOSAL,
  kAgree = CAXTON_AGREE,
  kRefuse = CAXTON_REFUSE,
  kFailure = CAXTON_FAILURE,
  kNotUnderstood = CAXTON_NOT_UNDERSTOOD,
};

enum class Level : int32_t {
  kError = CAXTON_ERROR,
  kWarn = CAXTON_WARN,
  kInfo = CAXTON_INFO,
  kDebug = CAXTON_DEBUG,
};

namespace internal {

inline uint32_t Size(std::string_view text) { return static_cast<uint32_t>(text.size()); }

// Calls read(dst, cap) -> full length, at most twice; nothing where it answers an error.
template <typename Read>
std::optional<std::string> ReadAll(Read read) {
  std::string value(128, '\0');
  int32_t size = read(value.data(), Size(value));
  if (size > static_cast<int32_t>(value.size())) {
    value.resize(static_cast<size_t>(size));
    size = read(value.data(), Size(value));
  }
  if (size < 0) return std::nullopt;
  value.resize(static_cast<size_t>(size));
  return value;
}

}  // namespace internal

// The message being handled. Made by CAXTON_AGENT; valid while the handler runs.
class Message {
 public:
  explicit Message(std::string_view content) : content_(content) {}
  Message(const Message&) = delete;
  Message& operator=(const Message&) = delete;

  std::string_view content() const { return content_; }
  // Each of these asks the host anew; empty where the message has none.
  std::string id() const { return Field(CAXTON_FIELD_ID); }
  std::string sender() const { return Field(CAXTON_FIELD_SENDER); }
  std::string receiver() const { return Field(CAXTON_FIELD_RECEIVER); }
  std::string conversation_id() const { return Field(CAXTON_FIELD_CONVERSATION_ID); }
  std::string reply_with() const { return Field(CAXTON_FIELD_REPLY_WITH); }
  std::string in_reply_to() const { return Field(CAXTON_FIELD_IN_REPLY_TO); }
  std::string key() const { return Field(CAXTON_FIELD_KEY); }
  std::string content_type() const { return Field(CAXTON_FIELD_CONTENT_TYPE); }
  std::string idempotency_key() const { return Field(CAXTON_FIELD_IDEMPOTENCY_KEY); }
  Performative performative() const { return static_cast<Performative>(caxton_performative()); }
  // Nanoseconds since the Unix epoch; 0: none.
  int64_t deadline_ns() const {
    int64_t deadline = 0;
    caxton_message_get(CAXTON_FIELD_DEADLINE, &deadline, sizeof(deadline));
    return deadline;
  }
  std::optional<std::string> header(std::string_view name) const {
    return internal::ReadAll([name](char* dst, uint32_t cap) {
      return caxton_message_header_get(name.data(), internal::Size(name), dst, cap);
    });
  }

  // At most once. False: answered already, or longer than the agent's max_message.
  bool Reply(Performative performative, std::string_view content) const {
    return caxton_reply(static_cast<int32_t>(performative), content.data(),
                        internal::Size(content)) == 0;
  }

 private:
  static std::string Field(int32_t field) {
    return internal::ReadAll(
               [field](char* dst, uint32_t cap) { return caxton_message_get(field, dst, cap); })
        .value_or(std::string());
  }

  std::string_view content_;
};

// A message to be sent: Outgoing("ledger").Key(k).Content(c).Send(). One that is not sent is
// forgotten with the step.
class Outgoing {
 public:
  explicit Outgoing(std::string_view to, Performative performative = Performative::kInform)
      : handle_(
            caxton_message_new(to.data(), internal::Size(to), static_cast<int32_t>(performative))),
        ok_(handle_ >= 0) {}
  Outgoing(const Outgoing&) = delete;
  Outgoing& operator=(const Outgoing&) = delete;

  Outgoing& ConversationId(std::string_view v) { return Set(CAXTON_FIELD_CONVERSATION_ID, v); }
  Outgoing& ReplyWith(std::string_view v) { return Set(CAXTON_FIELD_REPLY_WITH, v); }
  Outgoing& InReplyTo(std::string_view v) { return Set(CAXTON_FIELD_IN_REPLY_TO, v); }
  Outgoing& Key(std::string_view v) { return Set(CAXTON_FIELD_KEY, v); }
  Outgoing& ContentType(std::string_view v) { return Set(CAXTON_FIELD_CONTENT_TYPE, v); }
  Outgoing& Content(std::string_view v) { return Set(CAXTON_FIELD_CONTENT, v); }
  Outgoing& DeadlineNs(int64_t v) {
    return Set(CAXTON_FIELD_DEADLINE, {reinterpret_cast<const char*>(&v), sizeof(v)});
  }
  Outgoing& Header(std::string_view name, std::string_view value) {
    ok_ = ok_ && caxton_message_header_set(handle_, name.data(), internal::Size(name), value.data(),
                                           internal::Size(value)) == 0;
    return *this;
  }

  // False where the host refused any part of it (a limit, a bad receiver): then nothing leaves.
  [[nodiscard]] bool Send() {
    ok_ = ok_ && caxton_message_send(handle_) == 0;
    return ok_;
  }

 private:
  Outgoing& Set(int32_t field, std::string_view value) {
    // An empty value is the default of every field.
    if (!value.empty()) {
      ok_ = ok_ && caxton_message_set(handle_, field, value.data(), internal::Size(value)) == 0;
    }
    return *this;
  }

  int32_t handle_;
  bool ok_;
};

// A setting or secret of the agent.
inline std::optional<std::string> Setting(std::string_view name) {
  return internal::ReadAll([name](char* dst, uint32_t cap) {
    return caxton_config_get(name.data(), internal::Size(name), dst, cap);
  });
}

inline std::string SettingOr(std::string_view name, std::string_view fallback) {
  return Setting(name).value_or(std::string(fallback));
}

inline void Log(Level level, std::string_view text) {
  caxton_log(static_cast<int32_t>(level), text.data(), internal::Size(text));
}

// The step's time, nanoseconds since the Unix epoch: the same in every run of the step.
inline int64_t NowNs() { return caxton_now(); }

}  // namespace caxton

// Makes `handler`, Outcome(const Message&), the module's. Once per module, at namespace scope.
#define CAXTON_AGENT(handler)                                                        \
  CAXTON_HANDLE_MESSAGE(content) {                                                   \
    const ::caxton::Message message(::std::string_view(content.data, content.size)); \
    return static_cast<int32_t>(handler(message));                                   \
  }
