// SPDX-License-Identifier: Apache-2.0
//
// What server and worker say to each other: frame types and their bytes (caxton/base/wire.h).
// Values.
//
// The worker's life: Configure -> Ready -> (Dispatch -> Result)*, with HealthRequest ->
// HealthAnswer and LogLine between, until Stop. Results come in the order of the dispatches.
// Encoders replace `*out` and keep its room; decoders refuse what is malformed, too long or left
// over.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "caxton/ipc/ring.h"
#include "caxton/model/revision.h"
#include "caxton/model/step.h"

namespace caxton::ipc {

enum class FrameType : uint32_t {
  // to the worker
  kConfigure = 1,
  kDispatch = 2,
  kHealthRequest = 3,
  kStop = 4,  // no bytes; finish what came before, then exit
  // from the worker
  kReady = 17,
  kResult = 18,  // EncodeStepResult / DecodeStepResult of caxton/model/step.h
  kHealthAnswer = 19,
  kLogLine = 20,  // outside of steps: initialization, health checks
};

// First frame to a worker: all it needs to run the native code on kCodeFd.
struct Configure {
  std::string agent;
  std::string revision;  // "greeter@7", for its log
  ResourceLimits limits;
  std::map<std::string, std::string> settings;
  bool reused_instances = false;
  uint32_t pool_size = 1;  // instances prepared ahead
  std::array<uint8_t, 32> init_seed{};
  int64_t init_time_ns = 0;      // the clock an instance sees during its initialization
  int64_t init_deadline_ns = 0;  // duration
  uint64_t fuel_per_step = 0;    // 0: counted, not limited
};
void EncodeConfigure(const Configure& configure, std::string* out);
absl::StatusOr<Configure> DecodeConfigure(std::string_view bytes);

// A dispatch is its head and the envelope's bytes (EncodeEnvelope), written as two parts so that
// they are copied once.
struct DispatchHead {
  StepInput input;
  int64_t deadline_ns = 0;  // duration this step may run
};
void EncodeDispatchHead(const DispatchHead& head, std::string* out);
struct DispatchView {
  DispatchHead head;
  std::string_view envelope;  // into the frame
};
absl::StatusOr<DispatchView> DecodeDispatch(std::string_view bytes);
// TryWrite of the two parts; `*scratch` is reused. Not flushed.
absl::StatusOr<bool> TryWriteDispatch(RingWriter& writer, const DispatchHead& head,
                                      std::string_view envelope, std::string* scratch);

// The worker's answer to Configure: its first instance is initialized, or why not.
struct Ready {
  bool ok = false;
  std::string detail;  // why not: trap and backtrace, missing import, ...
  std::string engine;  // "wasmtime 48.0.8"
  std::string config_hash;
  uint64_t memory_bytes = 0;              // of one initialized instance
  std::vector<std::string> not_enforced;  // platform::JailReport
};
void EncodeReady(const Ready& ready, std::string* out);
absl::StatusOr<Ready> DecodeReady(std::string_view bytes);

struct HealthRequest {
  uint64_t nonce = 0;
};
void EncodeHealthRequest(const HealthRequest& request, std::string* out);
absl::StatusOr<HealthRequest> DecodeHealthRequest(std::string_view bytes);

struct HealthAnswer {
  uint64_t nonce = 0;
  bool ok = false;  // alive, and health_check() returned 0 or is not there
  int32_t code = 0;
  std::string detail;
};
void EncodeHealthAnswer(const HealthAnswer& answer, std::string* out);
absl::StatusOr<HealthAnswer> DecodeHealthAnswer(std::string_view bytes);

void EncodeLogLine(const LogLine& line, std::string* out);
absl::StatusOr<LogLine> DecodeLogLine(std::string_view bytes);

}  // namespace caxton::ipc
