// SPDX-License-Identifier: Apache-2.0
//
// One grammar for every number a person writes: flags, deployment file, JSON. What could mean two
// things is refused with what was probably meant ("64m of memory: did you mean 64Mi?").
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace caxton {

// "250ms", "1.5s", "5m", "1h30m" -> nanoseconds, >= 0. A number without unit is refused ("0" too:
// write 0s).
absl::StatusOr<int64_t> ParseDurationNs(std::string_view text);
// "64Ki", "64Mi", "1Gi", or plain bytes. "64m", "64M", "64MB" are refused with the form that was
// meant.
absl::StatusOr<int64_t> ParseSizeBytes(std::string_view text);
// "500m" or "0.5" or "2" -> millicores, > 0.
absl::StatusOr<int64_t> ParseCpuMillis(std::string_view text);
// "5%", "33.3%" -> parts per million, 0..1'000'000. A share without % is refused.
absl::StatusOr<uint32_t> ParseSharePpm(std::string_view text);

// The shortest text the parsers above read back as the same value.
std::string FormatDuration(int64_t nanoseconds);
std::string FormatSize(int64_t bytes);
std::string FormatCpu(int64_t millis);
std::string FormatShare(uint32_t ppm);

}  // namespace caxton
