/* yamux_rules.h - decisions of a session, as functions of what is known. */
#ifndef QUDAG_SRC_CORE_YAMUX_YAMUX_RULES_H
#define QUDAG_SRC_CORE_YAMUX_YAMUX_RULES_H

#include "base/types.h"

/*
 * The window of a stream whose reader has consumed half of it: twice what it was when that took less than four round
 * trips, since the sender then waits for us, as far as |most| and |room| (bytes by which all windows may still grow)
 * allow.  |rtt_ns| 0: not known, no growth.
 */
uint32_t yamux_window_next(uint32_t window, uint64_t took_ns, uint64_t rtt_ns, uint32_t most,
                           size_t room);

/* What |frames| frames cost that brought |bytes| of streams together, in ns; never negative (core/load). */
uint64_t yamux_cost(uint64_t frames, uint64_t bytes);

/* Whether a name may be that of a stream which the other side opens: its own parity, and not the session's 0. */
bool yamux_id_is_theirs(uint32_t id, bool we_dialed);

#endif
