/*
 * autorelay.h - which circuit relays keep places for this node: two or three, on different networks, chosen at random
 * among the best by round trip and load, kept as long as they are not clearly worse (hysteresis).
 *
 *   peers that serve the hop protocol, their network and round trip ─▶ autorelay_heard()
 *   autorelay_want(n) ─▶ AUTORELAY_UP_TAKE, _DROP (the node reserves: core/relay_v2)    held, refused, lost ─▶ back here
 */
#ifndef QUDAG_SRC_CORE_AUTORELAY_AUTORELAY_H
#define QUDAG_SRC_CORE_AUTORELAY_AUTORELAY_H

#include "core/core.h"

#define AUTORELAY_PLACES 3
#define AUTORELAY_CANDIDATES_MAX 64

struct autorelay;

#endif
