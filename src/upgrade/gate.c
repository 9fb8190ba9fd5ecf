/* gate.c - see gate.h. */
#include "upgrade/gate.h"

#include "base/map.h"

#include <string.h>

void tcp_gate_init(struct tcp_gate *g, const uint64_t key[2])
{
    memset(g, 0, sizeof(*g));
    memcpy(g->key, key, sizeof(g->key));
}

bool tcp_gate_take(struct tcp_gate *g, uint64_t net, tstamp now)
{
    if (now - g->window >= TCP_GATE_WINDOW) {
        g->window = now;
        g->taken = 0;
        memset(g->cell, 0, sizeof(g->cell));
    }
    const uint64_t what[2] = {net, g->window};
    struct slice bytes = {(const uint8_t *)what, sizeof(what)};
    uint8_t *cell = &g->cell[siphash24(g->key[0], g->key[1], bytes) % TCP_GATE_CELLS];
    if (g->taken >= TCP_GATE_MOST || (g->taken >= TCP_GATE_FREE && *cell >= TCP_GATE_FAIR)) {
        return false;
    }
    g->taken++;
    *cell = *cell < TCP_GATE_FAIR ? (uint8_t)(*cell + 1) : *cell;
    return true;
}
