/* gate.c - see gate.h. */
#include "quic/gate.h"

#include "base/map.h"

#include <string.h>

void quic_gate_init(struct quic_gate *g, const uint64_t key[2])
{
    memset(g, 0, sizeof *g);
    memcpy(g->key, key, sizeof g->key);
}

static uint8_t *cell_of(struct quic_gate *g, uint64_t net)
{
    const uint64_t what[2] = {net, g->window};
    struct slice bytes = {(const uint8_t *)what, sizeof what};

    return &g->cell[siphash24(g->key[0], g->key[1], bytes) % QUIC_GATE_CELLS];
}

enum quic_gate_way quic_gate_take(struct quic_gate *g, uint64_t net, tstamp now)
{
    uint8_t *cell;

    if (now - g->window >= QUIC_GATE_WINDOW) {
        g->window = now;
        g->came = g->answered = 0;
        memset(g->cell, 0, sizeof g->cell);
    }
    g->came += g->came < UINT32_MAX ? 1 : 0;
    if (g->came > QUIC_GATE_BEGIN) {
        g->busy = tstamp_after(now, QUIC_GATE_CALM);
    }
    if (now >= g->busy) {
        return QUIC_GATE_PASS;
    }
    cell = cell_of(g, net);
    if (g->answered >= QUIC_GATE_MOST ||
        (*cell >= QUIC_GATE_FAIR && g->answered >= QUIC_GATE_RETRY)) {
        return QUIC_GATE_DROP;
    }
    g->answered++;
    *cell = *cell < QUIC_GATE_FAIR ? (uint8_t)(*cell + 1) : *cell;
    return QUIC_GATE_PROVE;
}

bool quic_gate_tell(struct quic_gate *g, tstamp now)
{
    if (g->told != 0 && now - g->told < QUIC_GATE_TELL) {
        return false;
    }
    g->told = now;
    return true;
}
