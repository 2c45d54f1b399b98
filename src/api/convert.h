// SPDX-License-Identifier: Apache-2.0
//
// Between caxton.v1's messages and the model's values. Everything that comes in is checked here for
// form; what it means is checked by the parts that carry it out.
#pragma once

#include "absl/status/statusor.h"
#include "caxton/controller/controller.h"
#include "caxton/journal/records.h"
#include "caxton/router/router.h"
#include "caxton/v1/agents.pb.h"
#include "caxton/v1/deployment.pb.h"
#include "caxton/v1/messaging.pb.h"

namespace caxton::api {

void SetTime(int64_t wall_ns, google::protobuf::Timestamp* out);
void SetDuration(int64_t ns, google::protobuf::Duration* out);

// ---- in
// Nanoseconds, 0 to a year; the message names `field`.
absl::StatusOr<int64_t> FromWire(const google::protobuf::Duration& duration,
                                 std::string_view field);
absl::StatusOr<Envelope> FromWire(const v1::Envelope& envelope, bool want_reply);
absl::StatusOr<DeploymentSpec> FromWire(const v1::DeploymentSpec& spec);
absl::StatusOr<RevisionOverrides> FromWire(const v1::RevisionOverrides& overrides);
// All but the module.
absl::StatusOr<controller::DeployRequest> FromWire(const v1::DeployRequest& request);

// ---- out
void ToWire(const Envelope& envelope, v1::Envelope* out);
void ToWire(const Reply& reply, v1::Reply* out);
void ToWire(const Revision& revision, v1::Revision* out);
void ToWire(const validation::ValidationReport& report, v1::ValidationReport* out);
void ToWire(const controller::DeploymentView& view, v1::Deployment* out);
void ToWire(const controller::AgentView& view, v1::Agent* out);
void ToWire(const controller::FieldChange& change, v1::FieldChange* out);
void ToWire(const journal::CounterRow& counters, int64_t refused, v1::MessageCounts* out);
void ToWire(const deployment::Verdict& verdict, v1::Verdict* out);
void AddTests(const analysis::JudgeNumbers& numbers, v1::Verdict* out);
v1::DeploymentState StateToWire(deployment::DeploymentState state);
// detail: attempts and content too.
void ToWire(const std::string& agent, const journal::DeadLetterRecord& dead, bool detail,
            v1::DeadLetter* out);

}  // namespace caxton::api
