// SPDX-License-Identifier: Apache-2.0
//
// The agent's manifest: JSON in the custom section `caxton.manifest`, or what get_capabilities
// returned. Private to src/examine.
#pragma once

#include <string>
#include <string_view>

#include "caxton/model/revision.h"
#include "findings.h"

namespace caxton::examine {

// How deep brackets nest in `text`, strings left out: asked before any text is parsed.
int JsonDepth(std::string_view text);

// Reads `json` into the manifest's part of `*traits`; faults, with `place`, into `*findings`.
// `agent`: the name it is deployed under, which a manifest may not contradict; empty: not known.
// True: it is a JSON object within the limits, so that ReadContracts can tell its faults, too.
bool ReadManifest(std::string_view json, std::string_view place, std::string_view agent,
                  ModuleTraits* traits, Findings* findings);

}  // namespace caxton::examine
