// SPDX-License-Identifier: Apache-2.0
#include "request_digests.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <memory>

#include "caxton/base/hash.h"

namespace caxton::api {
namespace {

constexpr size_t kDigestDigits = 32;  // 128 bits: whoever looks for a collision cheats itself

// Equal messages, equal bytes: maps are in order.
std::string Canonical(const google::protobuf::Message& message) {
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  (void)message.SerializeToCodedStream(&coded);
  coded.Trim();
  return bytes;
}

}  // namespace

controller::RequestDigests DigestsOf(const google::protobuf::Message& request) {
  const google::protobuf::Reflection* reflection = request.GetReflection();
  std::unique_ptr<google::protobuf::Message> rest(request.New());
  rest->CopyFrom(request);
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  reflection->ListFields(request, &fields);
  controller::RequestDigests digests;
  for (const google::protobuf::FieldDescriptor* field : fields) {
    if (field->name() == "idempotency_key") continue;
    std::unique_ptr<google::protobuf::Message> one(request.New());
    reflection->SwapFields(rest.get(), one.get(), {field});
    digests.emplace_back(field->name(), Sha256(Canonical(*one)).ToHex().substr(0, kDigestDigits));
  }
  return digests;
}

}  // namespace caxton::api
