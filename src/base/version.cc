// SPDX-License-Identifier: Apache-2.0
#include "caxton/base/version.h"

namespace caxton {

std::string_view Version() { return CAXTON_VERSION; }

}  // namespace caxton
