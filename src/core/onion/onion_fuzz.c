/*
 * onion_fuzz.c - bytes become events for a network of client, two relays and an end.
 *
 * Each step moves the network, changes a cell under way, injects one, lets time pass, or uses a
 * stream.  Whatever happens: no crash, no broken promise about the action list (testnet.h), and
 * in the end every circuit and all memory is gone.
 */
#include "base/rd.h"
#include "core/onion/testnet_run.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct change {
    struct rd *r;
    bool armed; /* the next bytes that pass are changed */
};

static void change_bytes(struct testnet *n, struct pipe *p, size_t side, uint8_t *bytes, size_t len)
{
    struct change *c = n->tap_ctx;

    (void)p;
    (void)side;
    if (c->armed && len > 0) {
        c->armed = false;
        bytes[rd_u16(c->r) % len] ^= (uint8_t)(rd_u8(c->r) | 1);
    }
}

/* A cell to any side of any pipe, its head from the input. */
static void inject(struct testnet *n, struct rd *r)
{
    struct pipe *p = &n->pipes[rd_u8(r) % 8];
    uint8_t cell[ONION_CELL_LEN] = {0};
    size_t side = rd_u8(r) % 2, len = rd_u8(r) % 32;

    if (!p->used || p->cut[0] || p->cut[1] || p->way[side].credit < sizeof cell ||
        p->way[side].fin_done) {
        return;
    }
    for (size_t i = 0; i < len; i++) {
        cell[i] = rd_u8(r);
    }
    p->way[side].credit -= sizeof cell;
    net_event(n, p->node[1 - side],
              &(struct ev){.type = EV_DATA, .strm = p->ref[1 - side], .data = {cell, sizeof cell}});
}

/* A message of the client's own making, sealed for any hop it has keys for. */
static void forge(struct testnet *n, struct rd *r, struct ref circuit)
{
    struct onion_circuit *c = slots_get(&n->nodes[0].o->circuits, circuit);
    uint8_t ack[CGO_TAG_LEN];
    struct wr w;

    if (c == NULL || c->hops.n == 0 || c->phase == ONION_PH_CLOSING) {
        return;
    }
    size_t all = c->hops.n, len = rd_u8(r) % 48;
    c->o->mine = 0;
    uint8_t *cell = onion_circuit_cell_open(&w, &n->out);
    ASSERT(cell != NULL);
    if (rd_u8(r) & 1) {
        cell[0] = ONION_CELL_EARLY;
    }
    for (size_t i = 0; i < len; i++) {
        wr_u8(&w, rd_u8(r));
    }
    c->hops.n = 1 + (size_t)rd_u8(r) % all;
    onion_circuit_cell_seal(c, cell, &w, ack, &n->out);
    c->hops.n = all;
    net_drain(n, 0);
}

static struct testnet_flow *any_flow(struct testnet *n, size_t node, uint8_t pick)
{
    for (size_t i = 0; i < 8; i++) {
        struct testnet_flow *f = &n->nodes[node].flows[(pick + i) % 8];
        if (f->used && !f->reset) {
            return f;
        }
    }
    return NULL;
}

static void use_stream(struct testnet *n, struct rd *r, struct ref circuit)
{
    uint8_t what = rd_u8(r), pick = rd_u8(r);
    size_t node = what & 1 ? 3 : 0;
    struct onion *o = n->nodes[node].o;
    struct testnet_flow *f = any_flow(n, node, pick);

    switch (what >> 1 & 3) {
    case 0:
        (void)net_open(n, circuit, pick);
        return;
    case 1:
        if (f != NULL && node == 0) {
            (void)net_write(n, f, 0, (size_t)rd_u16(r) % 5000);
        }
        return;
    case 2:
        if (f != NULL) {
            onion_stream_fin(o, f->circuit, f->sid, n->now, &n->out);
        }
        break;
    default:
        if (f != NULL) {
            onion_stream_reset(o, f->circuit, f->sid, QUDAG_ECANCELED, n->now, &n->out);
            f->reset = true;
        }
        break;
    }
    net_drain(n, node);
}

static void step(struct testnet *n, struct rd *r, struct change *change, struct ref *circuit)
{
    uint8_t op = rd_u8(r);
    size_t ix;

    switch (op % 12) {
    case 11:
        (void)!onion_complete(n->nodes[0].o, *circuit, &n->nodes[3 - (op >> 6 & 1)].hop, n->now,
                              &n->out);
        net_drain(n, 0);
        break;
    case 10:
        ix = rd_u8(r) % 4;
        n->nodes[ix].knows_nobody = op & 0x20;
        n->nodes[ix].says_nothing = op & 0x40;
        break;
    case 0:
        inject(n, r);
        break;
    case 1:
        change->armed = true;
        break;
    case 2:
        n->now += (uint64_t)rd_u8(r) * NS_PER_S / 4;
        break;
    case 3:
        n->chunk = 100 + (size_t)rd_u16(r) % 4000;
        break;
    case 4:
        forge(n, r, *circuit);
        break;
    case 5:
        ix = rd_u8(r) % 4;
        onion_close(n->nodes[ix].o, *circuit, n->now, &n->out);
        net_drain(n, ix);
        break;
    case 6:
    case 7:
        use_stream(n, r, *circuit);
        break;
    default:
        for (unsigned i = 0; i <= (unsigned)op >> 4; i++) {
            (void)net_round(n);
        }
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rd r = rd_init((struct slice){data, size});
    struct testnet *n = malloc(sizeof *n);
    struct change change = {.r = &r};
    struct ref circuit;

    ASSERT(n != NULL);
    net_init(n, 4);
    n->tap = change_bytes;
    n->tap_ctx = &change;
    n->nodes[3].app = APP_ECHO;
    qudag_err err = size > 0 && data[0] & 0x40 ? net_build_stem(n, 1, 2, &circuit)
                                               : net_build(n, 1, 3, &circuit);
    ASSERT(err == QUDAG_OK);
    if (size > 0 && data[0] & 0x80) {
        net_run(n);
    }
    for (int i = 0; i < 200 && r.left > 0; i++) {
        step(n, &r, &change, &circuit);
    }
    net_run(n);
    net_sleep(n, ONION_IDLE_LIFE);
    net_sleep(n, ONION_CLOSE_TIMEOUT);
    for (size_t i = 0; i < n->nodes_n; i++) {
        ASSERT(n->nodes[i].o->circuits.n == 0);
    }
    net_fini(n);
    free(n);
    return 0;
}
