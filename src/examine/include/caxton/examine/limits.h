// SPDX-License-Identifier: Apache-2.0
//
// Limits of examining a module; those on the report are in caxton/model/examine_report.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "caxton/model/module_traits.h"

namespace caxton::examine {

using caxton::kMaxManifestBytes;
inline constexpr int kMaxManifestDepth = 32;
inline constexpr size_t kMaxManifestItems = 256;  // capabilities, performatives
inline constexpr size_t kMaxCapabilityBytes = 128;

// Of the sandbox: each sample gets a fresh instance, and all of them together kSandboxLimitNs. All
// times are processor time: how busy the machine is makes no difference. Samples that are not the
// manifest's own end after kSandboxLimitNs of wall time, too.
inline constexpr size_t kMaxManifestSamples = 32;
inline constexpr size_t kMaxSampleNameBytes = 64;
inline constexpr uint64_t kSampleFuel = 2'000'000'000;    // at least
inline constexpr int64_t kSampleLimitNs = 2'000'000'000;  // at least
// Where the request gives a step more, a sample gets as many times its deadline, and more fuel than
// can be used in that: so that it is seen how far above it is.
inline constexpr int64_t kSampleDeadlineFactor = 2;
inline constexpr uint64_t kFuelPerNano = 10;  // a fast machine does half of that
// A sample of the manifest's own that takes more than this share of the deadline is an error; above
// the whole of it, a warning: two runs of the same take up to half as long again beside other load.
inline constexpr int64_t kOverDeadlinePercent = 150;
// Of health_check and agent_shutdown: what a worker gives them.
inline constexpr int64_t kSandboxHealthLimitNs = 1'000'000'000;
inline constexpr int64_t kSandboxShutdownLimitNs = 100'000'000;
inline constexpr int64_t kSandboxLimitNs = 10'000'000'000;
inline constexpr int64_t kRecentLimitNs = 3'000'000'000;  // of the agent's recent messages
inline constexpr size_t kLargeSampleBytes = 1 << 20;  // or the agent's own limit, if that is less
inline constexpr int kDeepSampleDepth = 10'000;
// Of a sample made from a schema: values and characters of its texts.
inline constexpr size_t kMaxGeneratedValues = 64 << 10;

// Of comparing schemas. A step is a look at a schema or at one entry of its lists, or a comparison
// of two values; of texts, one for each kTextBytesPerStep.
inline constexpr int kMaxSchemaSteps = 50'000;  // more: undecided
inline constexpr int kTextBytesPerStep = 256;
// Of comparing with all other agents together, once for the new revision and once for the live one.
// Each has its share: an equal one of what those before it left.
inline constexpr int kMaxOthersSteps = 400'000;
inline constexpr size_t kMaxSchemaFaults = 20;
inline constexpr int kMaxContentDepth = 64;  // of JSON that an agent sent
// A peak above this share of the limit is a warning.
inline constexpr uint64_t kTightMemoryPercent = 80;
inline constexpr uint64_t kTightDeadlinePercent = 50;  // times vary more than bytes do
inline constexpr uint64_t kTightPercent = 80;          // of other limits
// More than this many times the live revision's figure is a warning, unless the difference is
// noise.
inline constexpr uint64_t kFarAboveFactor = 2;
inline constexpr uint64_t kFuelNoise = 10'000;  // instructions
inline constexpr uint64_t kCodeNoiseBytes = 64 << 10;
inline constexpr int64_t kRecommendedDeadlineFactor = 20;
inline constexpr int64_t kLeastDeadlineNs = 100'000'000;  // that is recommended

// Of a module's tables: the engine's own limits, so that whatever it calls valid is read to its
// end.
inline constexpr uint32_t kMaxTypes = 1'000'000;
inline constexpr uint32_t kMaxFunctions = 1'000'000;
inline constexpr uint32_t kMaxImports = 1'000'000;
inline constexpr uint32_t kMaxExports = 1'000'000;
inline constexpr uint32_t kMaxValuesPerType = 1'000;
inline constexpr size_t kMaxNamesRead = 1'000'000;  // of the name section
inline constexpr size_t kMaxShownNameBytes = 100;   // of an import or export, in a message

// Imports that the host does not offer: each has a finding of its own up to this many of one
// module, and up to as many modules; the others are summed up, with some of their names.
inline constexpr size_t kMaxListedImports = 10;
inline constexpr size_t kMaxSummedImportNames = 20;
inline constexpr size_t kMaxShownItems = 200;  // of each list of an inspection

}  // namespace caxton::examine
