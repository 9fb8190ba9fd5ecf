/* yamux_rules.c - decisions of a session. */
#include "core/yamux/yamux_rules.h"

#include "core/load/load.h"
#include "core/yamux/yamux.h"

uint32_t yamux_window_next(uint32_t window, uint64_t took_ns, uint64_t rtt_ns, uint32_t most,
                           size_t room)
{
    if (rtt_ns == 0 || took_ns / 4 >= rtt_ns || window > most / 2 || window > room) {
        return window;
    }
    return window * 2;
}

bool yamux_id_is_theirs(uint32_t id, bool we_dialed)
{
    return id != 0 && (id % 2 == 0) == we_dialed;
}

uint64_t yamux_cost(uint64_t frames, uint64_t bytes)
{
    uint64_t cost = frames * YAMUX_FRAME_COST, paid = bytes * LOAD_BYTE;

    return cost > paid ? cost - paid : 0;
}
