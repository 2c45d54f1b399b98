// SPDX-License-Identifier: Apache-2.0
//
// HTTP/JSON over a gRPC server that answers what the tests ask for.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "caxton/api/limits.h"
#include "caxton/base/notification.h"
#include "caxton/base/random.h"
#include "caxton/base/status.h"
#include "caxton/v1/audit.grpc.pb.h"
#include "caxton/v1/messaging.grpc.pb.h"
#include "connect_errors.h"
#include "connect_front.h"
#include "status.h"

namespace caxton::api {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class Audit final : public v1::Audit::Service {
 public:
  grpc::Status ListAudit(grpc::ServerContext* context, const v1::ListAuditRequest* request,
                         v1::ListAuditResponse* response) override {
    for (const auto& [name, value] : context->client_metadata()) {
      metadata[std::string(name.data(), name.size())] = std::string(value.data(), value.size());
    }
    left_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                  context->deadline() - std::chrono::system_clock::now())
                  .count();
    asked = *request;
    if (!error.ok()) return ToGrpc(error);
    response->set_trace_id("t");
    v1::AuditRecord* record = response->add_records();
    record->set_number(7);
    (*record->mutable_details())["who"] = "\xc3\xa9";
    return grpc::Status::OK;
  }
  grpc::Status VerifyAudit(grpc::ServerContext* context, const v1::VerifyAuditRequest*,
                           v1::VerifyAuditResponse*) override {
    if (on_verify) on_verify();
    while (!context->IsCancelled()) std::this_thread::yield();
    return grpc::Status::CANCELLED;
  }

  std::function<void()> on_verify;
  absl::Status error;
  v1::ListAuditRequest asked;
  std::map<std::string, std::string> metadata;
  int64_t left_ms = 0;
};

class Connect : public testing::Test {
 protected:
  Connect() {
    grpc::ServerBuilder builder;
    builder.RegisterService(&audit_);
    server_ = builder.BuildAndStart();
    front_ = MakeConnectFront(server_->InProcessChannel(grpc::ChannelArguments()), &random_);
  }
  ~Connect() override { server_->Shutdown(std::chrono::system_clock::now()); }

  static ConnectHead Head(const std::string& path = "/caxton.v1.Audit/ListAudit") {
    return {.path = path, .content_type = "application/json"};
  }
  static json Body(const ConnectAnswer& answer) { return json::parse(answer.body); }
  // What the one error of `answer` says, its HTTP status checked.
  static json Error(const ConnectAnswer& answer, int http_status, const std::string& code) {
    EXPECT_EQ(answer.http_status, http_status) << answer.body;
    EXPECT_EQ(answer.content_type, "application/json");
    json body = Body(answer);
    EXPECT_EQ(body["code"], code) << answer.body;
    return body;
  }
  static std::string HeaderOf(const ConnectAnswer& answer, const std::string& name) {
    for (const auto& [key, value] : answer.headers) {
      if (key == name) return value;
    }
    return "";
  }

  OsRandom random_;
  Audit audit_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<ConnectFront> front_;
};

TEST_F(Connect, JsonInAndOut) {
  const ConnectAnswer answer = front_->Call(Head(), R"({"agent":"greeter","pageSize":3})");
  EXPECT_EQ(answer.http_status, 200) << answer.body;
  EXPECT_EQ(answer.content_type, "application/json");
  EXPECT_EQ(audit_.asked.agent(), "greeter");
  EXPECT_EQ(audit_.asked.page_size(), 3);
  const json body = Body(answer);
  EXPECT_EQ(body["traceId"], "t");
  EXPECT_EQ(body["records"][0]["number"], "7");
  EXPECT_EQ(body["records"][0]["details"]["who"], "\xc3\xa9");
  EXPECT_EQ(body["nextPageToken"], "") << "zero fields are written, as by --output json";
  // Names as in the .proto file are understood too.
  EXPECT_EQ(front_->Call(Head(), R"({"page_size":4})").http_status, 200);
  EXPECT_EQ(audit_.asked.page_size(), 4);
}

TEST_F(Connect, BinaryInAndOut) {
  v1::ListAuditRequest request;
  request.set_agent("greeter");
  ConnectHead head = Head();
  head.content_type = "application/proto";
  const ConnectAnswer answer = front_->Call(head, request.SerializeAsString());
  EXPECT_EQ(answer.content_type, "application/proto");
  v1::ListAuditResponse response;
  ASSERT_TRUE(response.ParseFromString(answer.body));
  EXPECT_EQ(response.records(0).number(), 7);
  Error(front_->Call(head, "\xff\xff"), 400, "invalid_argument");
}

TEST_F(Connect, HeadersGoOnAndTheTraceComesBack) {
  ConnectHead head = Head();
  head.authorization = "Bearer secret";
  head.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  head.tracestate = "a=b";
  head.timeout_ms = "5000";
  head.protocol_version = "1";
  const ConnectAnswer answer = front_->Call(head, "{}");
  EXPECT_EQ(answer.http_status, 200);
  EXPECT_EQ(audit_.metadata["authorization"], "Bearer secret");
  EXPECT_EQ(audit_.metadata["traceparent"], head.traceparent);
  EXPECT_EQ(audit_.metadata["tracestate"], "a=b");
  EXPECT_GT(audit_.left_ms, 0);
  EXPECT_LE(audit_.left_ms, 5000);
  EXPECT_EQ(HeaderOf(answer, "traceparent"), head.traceparent);
  // None, or none that is well formed: a new one.
  head.traceparent = "00-XYZ";
  const ConnectAnswer fresh = front_->Call(head, "{}");
  EXPECT_EQ(HeaderOf(fresh, "traceparent").size(), 55U);
  EXPECT_EQ(audit_.metadata["traceparent"], HeaderOf(fresh, "traceparent"));
}

TEST_F(Connect, ErrorsCarryTheirDetails) {
  audit_.error = WithRetryAfterMs(
      WithFix(WithReason(absl::FailedPreconditionError("no \"way\""), "NO_WAY"), "turn back"),
      1500);
  const ConnectAnswer answer = front_->Call(Head(), "{}");
  const json error = Error(answer, 400, "failed_precondition");
  EXPECT_EQ(error["message"], "no \"way\"");
  ASSERT_EQ(error["details"].size(), 2U);
  EXPECT_EQ(error["details"][0]["type"], "google.rpc.ErrorInfo");
  EXPECT_EQ(error["details"][0]["debug"]["reason"], "NO_WAY");
  EXPECT_EQ(error["details"][0]["debug"]["metadata"]["fix"], "turn back");
  EXPECT_EQ(error["details"][1]["type"], "google.rpc.RetryInfo");
  EXPECT_EQ(error["details"][1]["debug"]["retryDelay"], "1.500s");
  // Without padding, as Connect wants it: 1.5 s is {1: {1: 1, 2: 500000000}}.
  EXPECT_EQ(error["details"][1]["value"], "CggIARCAyrXuAQ");
  EXPECT_EQ(HeaderOf(answer, "traceparent").size(), 55U);
}

TEST_F(Connect, EveryCodeHasItsStatus) {
  const std::tuple<grpc::StatusCode, int, std::string> table[] = {
      {grpc::CANCELLED, 499, "canceled"},
      {grpc::UNKNOWN, 500, "unknown"},
      {grpc::INVALID_ARGUMENT, 400, "invalid_argument"},
      {grpc::DEADLINE_EXCEEDED, 504, "deadline_exceeded"},
      {grpc::NOT_FOUND, 404, "not_found"},
      {grpc::ALREADY_EXISTS, 409, "already_exists"},
      {grpc::PERMISSION_DENIED, 403, "permission_denied"},
      {grpc::RESOURCE_EXHAUSTED, 429, "resource_exhausted"},
      {grpc::FAILED_PRECONDITION, 400, "failed_precondition"},
      {grpc::ABORTED, 409, "aborted"},
      {grpc::OUT_OF_RANGE, 400, "out_of_range"},
      {grpc::UNIMPLEMENTED, 501, "unimplemented"},
      {grpc::INTERNAL, 500, "internal"},
      {grpc::UNAVAILABLE, 503, "unavailable"},
      {grpc::DATA_LOSS, 500, "data_loss"},
      {grpc::UNAUTHENTICATED, 401, "unauthenticated"},
      {static_cast<grpc::StatusCode>(99), 500, "unknown"}};
  for (const auto& [code, http_status, name] : table) {
    Error(ConnectErrorOf(grpc::Status(code, "m")), http_status, name);
  }
}

TEST_F(Connect, BadBodiesSayWhatAndWhere) {
  json error = Error(front_->Call(Head(), R"({"agnet":"x"})"), 400, "invalid_argument");
  EXPECT_THAT(error["message"].get<std::string>(), HasSubstr("'agnet'"));
  EXPECT_EQ(error["details"][0]["debug"]["reason"], "UNKNOWN_FIELD");
  EXPECT_EQ(error["details"][1]["type"], "google.rpc.BadRequest");
  EXPECT_EQ(error["details"][1]["debug"]["fieldViolations"][0]["field"], "agnet");
  // Inside another message: with its path.
  ConnectHead deploy = Head("/caxton.v1.AgentDeployment/DeployAgent");
  error = Error(front_->Call(deploy, R"({"spec":{"stages":[{"kind":"FULL","wait":"1s"}]}})"), 400,
                "invalid_argument");
  EXPECT_EQ(error["details"][1]["debug"]["fieldViolations"][0]["field"], "spec.stages[0].wait");
  for (const char* body : {"", "{", "[]", "null", "7", "\"x\"", "{\"agent\" \"x\"}", "{\"agent\":}",
                           "{\"agent\":\"\xff\"}", "{\"pageSize\":\"many\"}",
                           "{\"since\":\"yesterday\"}", "{\"agent\":{}}", "{} x"}) {
    error = Error(front_->Call(Head(), body), 400, "invalid_argument");
    EXPECT_EQ(error["details"][0]["debug"]["reason"], "BAD_JSON") << body;
    EXPECT_THAT(error["message"].get<std::string>(), HasSubstr("caxton.v1.ListAuditRequest"));
  }
  const std::string deep(100'000, '[');
  Error(front_->Call(Head(), "{\"agent\":" + deep), 400, "invalid_argument");
}

TEST_F(Connect, HeadsAreRefusedByName) {
  EXPECT_TRUE(front_->IsProcedure("/caxton.v1.Audit/ListAudit"));
  EXPECT_TRUE(front_->IsProcedure("/caxton.v1.Messaging/Tail"));
  for (const char* path :
       {"", "/", "/metrics", "caxton.v1.Audit/ListAudit", "//", "/caxton.v1.Audit",
        "/caxton.v1.Audit/", "/caxton.v1.Audit/Nothing", "/caxton.v1/Audit/ListAudit",
        "/caxton.v1.Audit/ListAudit/", "/grpc.health.v1.Health/Check", "/\xff.A/b"}) {
    EXPECT_FALSE(front_->IsProcedure(path)) << path;
    Error(front_->Call(Head(path), "{}"), 404, "unimplemented");
  }
  for (const char* type :
       {"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
        "application/grpc", "application/connect+json", "application/json; charset=latin1"}) {
    ConnectHead head = Head();
    head.content_type = type;
    const ConnectAnswer answer = front_->Call(head, "{}");
    Error(answer, 415, "invalid_argument");
    EXPECT_EQ(HeaderOf(answer, "Accept-Post"), "application/json, application/proto");
  }
  for (const char* type : {"Application/JSON", "application/json; charset=UTF-8",
                           "application/json;charset=\"utf-8\""}) {
    ConnectHead head = Head();
    head.content_type = type;
    EXPECT_FALSE(front_->Refuse(head).has_value()) << type;
  }
  const json stream =
      Error(front_->Call(Head("/caxton.v1.Messaging/Exchange"), "{}"), 501, "unimplemented");
  EXPECT_THAT(stream["message"].get<std::string>(), HasSubstr("caxton.v1.Messaging.Exchange"));
  EXPECT_EQ(stream["details"][0]["debug"]["metadata"]["fix"], "call it by gRPC");
  ConnectHead head = Head();
  head.content_encoding = "gzip";
  Error(front_->Call(head, "{}"), 501, "unimplemented");
  head = Head();
  head.protocol_version = "2";
  Error(front_->Call(head, "{}"), 400, "invalid_argument");
  head = Head();
  head.authorization = "Bearer \x01";
  Error(front_->Call(head, "{}"), 400, "invalid_argument");
}

TEST_F(Connect, TimeoutsAreKeptAndLimited) {
  for (const char* wrong : {"0", "-1", "x", "1.5", "12345678901", " 5"}) {
    ConnectHead head = Head();
    head.timeout_ms = wrong;
    Error(front_->Call(head, "{}"), 400, "invalid_argument");
  }
  front_->Call(Head(), "{}");
  EXPECT_LE(audit_.left_ms, kDefaultConnectTimeoutMs);
  EXPECT_GT(audit_.left_ms, kDefaultConnectTimeoutMs / 2);
  ConnectHead head = Head();
  head.timeout_ms = "9999999999";
  front_->Call(head, "{}");
  EXPECT_LE(audit_.left_ms, kMaxConnectTimeoutMs);
  // A call that takes longer than it may.
  head = Head("/caxton.v1.Audit/VerifyAudit");
  head.timeout_ms = "20";
  Error(front_->Call(head, "{}"), 504, "deadline_exceeded");
}

TEST_F(Connect, StopEndsCallsThatWaitAndRefusesNewOnes) {
  Notification begun;
  audit_.on_verify = [&] { begun.Notify(); };
  ConnectAnswer waiting;
  std::thread caller([&] { waiting = front_->Call(Head("/caxton.v1.Audit/VerifyAudit"), "{}"); });
  begun.WaitForNotification();
  front_->Stop(/*grace_ns=*/0);
  caller.join();
  Error(waiting, 499, "canceled");
  server_->Shutdown(std::chrono::system_clock::now());
  server_->Wait();
  Error(front_->Call(Head(), "{}"), 503, "unavailable");
}

}  // namespace
}  // namespace caxton::api
