// SPDX-License-Identifier: Apache-2.0
#include "connect_errors.h"

#include <google/protobuf/any.pb.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/util/json_util.h>

#include <memory>

#include "absl/strings/escaping.h"
#include "caxton/base/strings.h"
#include "caxton/telemetry/log.h"
#include "google/rpc/status.pb.h"
#include "status.h"

namespace caxton::api {
namespace {

using google::protobuf::Any;
using google::protobuf::Message;

// The message inside, or null where its type is not linked or its bytes are not of that type.
std::unique_ptr<Message> Unpack(const Any& any, const std::string& type) {
  const auto* descriptor =
      google::protobuf::DescriptorPool::generated_pool()->FindMessageTypeByName(type);
  if (descriptor == nullptr) return nullptr;
  std::unique_ptr<Message> message(
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(descriptor)->New());
  return message->ParseFromString(any.value()) ? std::move(message) : nullptr;
}

void AppendDetail(const Any& any, std::string* out) {
  const std::string type = any.type_url().substr(any.type_url().rfind('/') + 1);
  std::string value = absl::Base64Escape(any.value());
  value.resize(value.find_last_not_of('=') + 1);  // Connect leaves the padding out
  StrAppend(out, "{\"type\":");
  telemetry::AppendJsonString(type, out);
  StrAppend(out, ",\"value\":\"", value, "\"");
  std::string readable;
  const std::unique_ptr<Message> message = Unpack(any, type);
  if (message != nullptr && google::protobuf::util::MessageToJsonString(*message, &readable).ok()) {
    StrAppend(out, ",\"debug\":", readable);
  }
  StrAppend(out, "}");
}

}  // namespace

ConnectCode ConnectCodeOf(grpc::StatusCode code) {
  switch (code) {
    case grpc::CANCELLED:
      return {"canceled", 499};
    case grpc::INVALID_ARGUMENT:
      return {"invalid_argument", 400};
    case grpc::DEADLINE_EXCEEDED:
      return {"deadline_exceeded", 504};
    case grpc::NOT_FOUND:
      return {"not_found", 404};
    case grpc::ALREADY_EXISTS:
      return {"already_exists", 409};
    case grpc::PERMISSION_DENIED:
      return {"permission_denied", 403};
    case grpc::RESOURCE_EXHAUSTED:
      return {"resource_exhausted", 429};
    case grpc::FAILED_PRECONDITION:
      return {"failed_precondition", 400};
    case grpc::ABORTED:
      return {"aborted", 409};
    case grpc::OUT_OF_RANGE:
      return {"out_of_range", 400};
    case grpc::UNIMPLEMENTED:
      return {"unimplemented", 501};
    case grpc::INTERNAL:
      return {"internal", 500};
    case grpc::UNAVAILABLE:
      return {"unavailable", 503};
    case grpc::DATA_LOSS:
      return {"data_loss", 500};
    case grpc::UNAUTHENTICATED:
      return {"unauthenticated", 401};
    default:
      return {"unknown", 500};
  }
}

ConnectAnswer ConnectErrorOf(const grpc::Status& error) {
  const ConnectCode code = ConnectCodeOf(error.error_code());
  ConnectAnswer answer{.http_status = code.http_status};
  answer.body = StrCat("{\"code\":\"", code.name, "\"");
  if (!error.error_message().empty()) {
    answer.body += ",\"message\":";
    telemetry::AppendJsonString(error.error_message(), &answer.body);
  }
  google::rpc::Status wire;
  if (wire.ParseFromString(error.error_details()) && wire.details_size() > 0) {
    answer.body += ",\"details\":[";
    for (int i = 0; i < wire.details_size(); ++i) {
      if (i > 0) answer.body += ",";
      AppendDetail(wire.details(i), &answer.body);
    }
    answer.body += "]";
  }
  answer.body += "}";
  return answer;
}

ConnectAnswer ConnectError(const absl::Status& error) { return ConnectErrorOf(ToGrpc(error)); }

}  // namespace caxton::api
