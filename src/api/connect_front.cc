// SPDX-License-Identifier: Apache-2.0
#include "connect_front.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/util/json_util.h>
#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/byte_buffer.h>

#include <algorithm>
#include <chrono>

#include "absl/container/flat_hash_set.h"
#include "caxton/api/limits.h"
#include "caxton/base/mutex.h"
#include "caxton/base/notification.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "connect_errors.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "trace_context.h"

namespace caxton::api {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::Message;
using google::protobuf::MethodDescriptor;

constexpr char kJson[] = "application/json";
constexpr char kProto[] = "application/proto";

// The methods of these services and no others: what else is linked (reflection, health) is not
// HTTP's.
constexpr char kPackage[] = "caxton.v1";

const MethodDescriptor* FindMethod(std::string_view path) {
  const size_t slash = path.rfind('/');
  if (path.empty() || path[0] != '/' || slash == 0) return nullptr;
  const std::string name = StrCat(path.substr(1, slash - 1), ".", path.substr(slash + 1));
  const MethodDescriptor* method =
      google::protobuf::DescriptorPool::generated_pool()->FindMethodByName(name);
  return method != nullptr && method->file()->package() == kPackage ? method : nullptr;
}

bool Streams(const MethodDescriptor& method) {
  return method.client_streaming() || method.server_streaming();
}

// "Application/JSON; charset=utf-8" -> "application/json"; empty where the charset is another.
std::string MediaType(std::string_view content_type) {
  const size_t semicolon = content_type.find(';');
  if (semicolon != std::string_view::npos) {
    const std::string rest = AsciiToLower(StripWhitespace(content_type.substr(semicolon + 1)));
    if (rest != "charset=utf-8" && rest != "charset=\"utf-8\"") return "";
  }
  return AsciiToLower(StripWhitespace(content_type.substr(0, semicolon)));
}

// Milliseconds; 0 where the header is no such number.
int64_t TimeoutMs(const std::string& header) {
  if (header.empty()) return kDefaultConnectTimeoutMs;
  int64_t ms = 0;
  if (header.size() > 10 || header.find_first_not_of("0123456789") != std::string::npos ||
      !ParseInt(header, &ms)) {
    return 0;
  }
  return std::min(ms, kMaxConnectTimeoutMs);
}

bool PrintableAscii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c <= 0x7e; });
}

std::unique_ptr<Message> New(const Descriptor* type) {
  return std::unique_ptr<Message>(
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(type)->New());
}

// For a message: what came in may hold anything, and protobuf's strings are UTF-8.
std::string Printable(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c != '\n' && (c < 0x20 || c > 0x7e)) c = '?';
  }
  return out;
}

absl::Status Invalid(std::string message, std::string_view reason, std::string_view fix) {
  return WithFix(WithReason(absl::InvalidArgumentError(message), reason), fix);
}

// protobuf says "(path.of.message) name: Cannot find field." of a field that it does not know.
grpc::Status BadJson(const Descriptor& type, std::string_view raw) {
  const std::string why = Printable(raw);
  constexpr std::string_view kUnknown = ": Cannot find field.";
  google::rpc::Status wire;
  google::rpc::ErrorInfo info;
  info.set_domain("caxton");
  (*info.mutable_metadata())["fix"] =
      StrCat("see message ", std::string_view(type.name()), " in proto/caxton/v1");
  std::string message;
  if (const size_t end = why.find(kUnknown); end != std::string::npos) {
    std::string field = why.substr(0, end);
    if (const size_t close = field.find(") "); field[0] == '(' && close != std::string::npos)
      field = StrCat(field.substr(1, close - 1), ".", field.substr(close + 2));
    message = StrCat("unknown field '", field, "' of ", type.full_name());
    info.set_reason("UNKNOWN_FIELD");
    wire.add_details()->PackFrom(info);
    google::rpc::BadRequest bad;
    bad.add_field_violations()->set_field(field);
    bad.mutable_field_violations(0)->set_description("there is no such field");
    wire.add_details()->PackFrom(bad);
  } else {
    message = StrCat("the body is no JSON of ", type.full_name(), ": ", why);
    info.set_reason("BAD_JSON");
    wire.add_details()->PackFrom(info);
  }
  wire.set_code(grpc::INVALID_ARGUMENT);
  wire.set_message(message);
  return grpc::Status(grpc::INVALID_ARGUMENT, message, wire.SerializeAsString());
}

grpc::Status Decode(const std::string& media_type, const std::string& body, Message* request) {
  if (media_type == kProto) {
    if (request->ParseFromString(body)) return grpc::Status::OK;
    return grpc::Status(grpc::INVALID_ARGUMENT, StrCat("the body is no protobuf message ",
                                                       request->GetDescriptor()->full_name()));
  }
  google::protobuf::util::JsonParseOptions strict;
  strict.ignore_unknown_fields = false;
  const auto parsed = google::protobuf::util::JsonStringToMessage(body, request, strict);
  if (parsed.ok()) return grpc::Status::OK;
  return BadJson(*request->GetDescriptor(),
                 std::string_view(parsed.message().data(), parsed.message().size()));
}

grpc::ByteBuffer ToBuffer(const Message& message) {
  const grpc::Slice slice(message.SerializeAsString());
  return grpc::ByteBuffer(&slice, 1);
}

std::string ToString(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string bytes;
  if (!buffer.Dump(&slices).ok()) return bytes;
  for (const grpc::Slice& slice : slices)
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return bytes;
}

// As the command line's --output json: fields that are zero are written too.
grpc::Status EncodeJson(const std::string& bytes, const Descriptor* type, std::string* out) {
  const std::unique_ptr<Message> response = New(type);
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  if (response->ParseFromString(bytes) &&
      google::protobuf::util::MessageToJsonString(*response, out, options).ok()) {
    return grpc::Status::OK;
  }
  return grpc::Status(grpc::INTERNAL, "the answer has no form in JSON; use application/proto");
}

class ConnectFrontImpl final : public ConnectFront {
 public:
  ConnectFrontImpl(std::shared_ptr<grpc::Channel> channel, RandomSource* random)
      : stub_(std::move(channel)), random_(random) {}

  bool IsProcedure(const std::string& path) const override { return FindMethod(path) != nullptr; }
  std::optional<ConnectAnswer> Refuse(const ConnectHead& head) const override;
  ConnectAnswer Call(const ConnectHead& head, const std::string& body) override;
  void Stop(int64_t grace_ns) override;

 private:
  grpc::Status Forward(const MethodDescriptor& method, const ConnectHead& head,
                       const Message& request, std::string* response);
  bool Begin(grpc::ClientContext* call);
  void End(grpc::ClientContext* call);

  grpc::GenericStub stub_;
  RandomSource* const random_;
  Mutex mutex_;
  CondVar ended_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  absl::flat_hash_set<grpc::ClientContext*> calls_ ABSL_GUARDED_BY(mutex_);
};

// gRPC's channel inside the process must not be used any more once its server has stopped: a call
// then would read freed memory (seen with gRPC 1.51). So calls are counted here.
bool ConnectFrontImpl::Begin(grpc::ClientContext* call) {
  MutexLock lock(&mutex_);
  if (!stopped_) calls_.insert(call);
  return !stopped_;
}

void ConnectFrontImpl::End(grpc::ClientContext* call) {
  MutexLock lock(&mutex_);
  calls_.erase(call);
  ended_.SignalAll();
}

void ConnectFrontImpl::Stop(int64_t grace_ns) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::nanoseconds(grace_ns);
  MutexLock lock(&mutex_);
  stopped_ = true;
  for (int64_t left = grace_ns; !calls_.empty() && left > 0;
       left = (end - std::chrono::steady_clock::now()).count()) {
    ended_.WaitFor(&mutex_, left);
  }
  for (grpc::ClientContext* call : calls_) call->TryCancel();
  while (!calls_.empty()) ended_.Wait(&mutex_);
}

std::optional<ConnectAnswer> ConnectFrontImpl::Refuse(const ConnectHead& head) const {
  const MethodDescriptor* method = FindMethod(head.path);
  if (method == nullptr) {
    ConnectAnswer answer = ConnectError(WithFix(
        WithReason(absl::UnimplementedError(StrCat("there is no procedure ", Printable(head.path))),
                   "NO_SUCH_PROCEDURE"),
        "POST /caxton.v1.SERVICE/METHOD, as proto/caxton/v1 names them"));
    answer.http_status = 404;
    return answer;
  }
  const std::string media_type = MediaType(head.content_type);
  if (media_type != kJson && media_type != kProto) {
    ConnectAnswer answer = ConnectError(
        Invalid(StrCat("a body of type '", Printable(head.content_type), "' is not understood"),
                "WRONG_CONTENT_TYPE", "send Content-Type: application/json"));
    answer.http_status = 415;
    answer.headers.emplace_back("Accept-Post", StrCat(kJson, ", ", kProto));
    return answer;
  }
  if (Streams(*method)) {
    return ConnectError(WithFix(
        WithReason(absl::UnimplementedError(
                       StrCat(method->full_name(), " is a stream; HTTP carries single calls only")),
                   "STREAM"),
        "call it by gRPC"));
  }
  if (!head.content_encoding.empty() && head.content_encoding != "identity") {
    return ConnectError(WithFix(
        WithReason(
            absl::UnimplementedError(StrCat(
                "the body's encoding '", Printable(head.content_encoding), "' is not understood")),
            "WRONG_ENCODING"),
        "send the body as it is"));
  }
  if (!head.protocol_version.empty() && head.protocol_version != "1") {
    return ConnectError(Invalid(StrCat("Connect-Protocol-Version is '",
                                       Printable(head.protocol_version), "', this server speaks 1"),
                                "WRONG_VERSION", "send 1, or leave it out"));
  }
  if (TimeoutMs(head.timeout_ms) <= 0) {
    return ConnectError(Invalid(StrCat("Connect-Timeout-Ms is '", Printable(head.timeout_ms), "'"),
                                "WRONG_TIMEOUT",
                                "send a number of milliseconds above 0, of at most 10 digits"));
  }
  for (const std::string* value :
       {&head.authorization, &head.traceparent, &head.tracestate, &head.preview}) {
    if (PrintableAscii(*value)) continue;
    return ConnectError(Invalid("a header holds characters that are not printable ASCII",
                                "WRONG_HEADER", "leave them out"));
  }
  return std::nullopt;
}

ConnectAnswer ConnectFrontImpl::Call(const ConnectHead& given, const std::string& body) {
  if (std::optional<ConnectAnswer> refused = Refuse(given)) return *std::move(refused);
  const MethodDescriptor& method = *FindMethod(given.path);
  const std::string media_type = MediaType(given.content_type);
  ConnectHead head = given;
  if (TraceIdIn(head.traceparent).empty()) {
    head.tracestate.clear();  // says something about a trace that there is not
    head.traceparent = StrCat("00-", RandomHex(random_, 16), "-", RandomHex(random_, 8), "-01");
  }
  const std::unique_ptr<Message> request = New(method.input_type());
  grpc::Status status = Decode(media_type, body, request.get());
  ConnectAnswer answer{.content_type = media_type};
  std::string response;
  if (status.ok()) status = Forward(method, head, *request, &response);
  if (!status.ok()) {
    answer = ConnectErrorOf(status);
  } else if (media_type == kProto) {
    answer.body = std::move(response);
  } else if (grpc::Status encoded = EncodeJson(response, method.output_type(), &answer.body);
             !encoded.ok()) {
    answer = ConnectErrorOf(encoded);
  }
  answer.headers.emplace_back("traceparent", head.traceparent);
  return answer;
}

grpc::Status ConnectFrontImpl::Forward(const MethodDescriptor& method, const ConnectHead& head,
                                       const Message& request, std::string* response) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::milliseconds(TimeoutMs(head.timeout_ms)));
  context.AddMetadata("traceparent", head.traceparent);
  if (!head.tracestate.empty()) context.AddMetadata("tracestate", head.tracestate);
  if (!head.authorization.empty()) context.AddMetadata("authorization", head.authorization);
  if (!head.preview.empty()) context.AddMetadata("caxton-preview", head.preview);
  const grpc::ByteBuffer sent = ToBuffer(request);
  grpc::ByteBuffer received;
  grpc::Status status;
  if (!Begin(&context)) return grpc::Status(grpc::UNAVAILABLE, "the server is stopping");
  Notification done;
  stub_.UnaryCall(&context, StrCat("/", method.service()->full_name(), "/", method.name()),
                  grpc::StubOptions(), &sent, &received, [&](grpc::Status ended) {
                    status = std::move(ended);
                    done.Notify();
                  });
  done.WaitForNotification();
  End(&context);
  if (status.ok()) *response = ToString(received);
  return status;
}

}  // namespace

std::unique_ptr<ConnectFront> MakeConnectFront(std::shared_ptr<grpc::Channel> channel,
                                               RandomSource* random) {
  return std::make_unique<ConnectFrontImpl>(std::move(channel), random);
}

}  // namespace caxton::api
