// SPDX-License-Identifier: Apache-2.0
//
// Who gave a ticket, so that what a worker answers finds its way back: a shard, the mirror, or the
// replays.
#pragma once

#include <cstdint>

#include "caxton/model/ids.h"
#include "caxton/router/limits.h"

namespace caxton::router {

// No shard has these indices.
inline constexpr uint64_t kMirrorPlace = kMaxShards;
inline constexpr uint64_t kReplayPlace = kMaxShards + 1;

// `place`: a shard's index, or one of the above.
inline Ticket MakeTicket(uint64_t counter, uint64_t place) {
  return Ticket((counter << kTicketShardBits) | place);
}
inline uint64_t PlaceOf(Ticket ticket) {
  return ticket.value() & ((uint64_t{1} << kTicketShardBits) - 1);
}

}  // namespace caxton::router
