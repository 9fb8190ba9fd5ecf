/*
 * client.c - the side that builds a circuit.
 *
 *   PH_DIAL ─stream─▶ PH_CREATE ─CREATED─▶ PH_EXTEND ─EXTENDED─▶ ... ─▶ PH_READY
 *                          └──────────────── one hop ────────────────────▲
 */
#include "core/onion/circuit.h"

#include "base/assert.h"
#include "base/wipe.h"
#include "core/onion/emit.h"

#include <string.h>

/* Makes CREATE for the next hop in |buf|. */
static qudag_err next_create(struct circuit *c, uint8_t buf[HS_CREATE_MAX], struct slice *create)
{
    const struct onion_hop *to = &c->client->plan[c->hops.n];
    enum hs_kind kind = to->service ? HS_SERVICE : c->hops.n == 0 ? HS_FIRST : HS_EXTEND;
    struct wr w = wr_init(buf, HS_CREATE_MAX);

    qudag_err err =
        hs_client_create(&c->client->hs, kind, to, &c->o->cfg.rng, (struct slice){NULL, 0}, &w);
    *create = wr_done(&w);
    return err;
}

void client_connected(struct circuit *c, struct acts *out)
{
    uint8_t buf[HS_CREATE_MAX];
    struct slice create;

    qudag_err err = next_create(c, buf, &create);
    if (err != QUDAG_OK) {
        circuit_fail(c, err, NULL, 1, out);
        return;
    }
    leg_send_message(&c->next, CELL_CREATE, create, out);
    circuit_enter(c, PH_CREATE);
}

static void client_extend(struct circuit *c, struct acts *out)
{
    const struct onion_hop *to = &c->client->plan[c->hops.n];
    struct extend e = {.peer = to->peer, .n_addrs = to->n_addrs};
    uint8_t buf[HS_CREATE_MAX], msg[RELAY_MSG_MAX];
    struct wr w = wr_init(msg, sizeof msg);

    memcpy(e.addr, to->addr, sizeof e.addr);
    qudag_err err = next_create(c, buf, &e.create);
    if (err != QUDAG_OK) {
        circuit_fail(c, err, NULL, (unsigned)c->hops.n + 1, out);
        return;
    }
    extend_put(&w, &e);
    ASSERT(wr_ok(&w));
    circuit_send_fragments(c, RELAY_EXTEND, wr_done(&w), out);
    circuit_enter(c, PH_EXTEND);
}

static qudag_err client_built(struct circuit *c, struct acts *out)
{
    struct onion *o = c->o;

    qudag_err err = mux_new(&c->mux, o->cfg.mem, c->ref, true, o->cfg.streams_max);
    if (err != QUDAG_OK) {
        return err;
    }
    mem_free(o->cfg.mem, c->client->plan);
    c->client->plan = NULL;
    c->build_ns = o->now - c->since;
    circuit_enter(c, PH_READY);
    struct act *a = acts_up(out, ONION_UP_BUILT);
    a->obj = c->ref;
    a->n = c->build_ns;
    return QUDAG_OK;
}

/* CREATED of the hop being added, whole. */
static qudag_err client_hop(struct circuit *c, struct acts *out)
{
    uint8_t plain[HS_EXT_MAX];
    struct wr ext = wr_init(plain, sizeof plain);
    struct hs_keys keys;

    qudag_err err = hs_client_finish(
        &c->client->hs, (struct slice){c->from_next.p, c->from_next.total}, &keys, &ext);
    assembly_fini(&c->from_next);
    if (err != QUDAG_OK) {
        c->o->stats.bad_handshake += err == QUDAG_EAUTH;
        return err;
    }
    hops_add(&c->hops, &keys);
    wipe(&keys, sizeof keys);
    if (c->hops.n == c->client->n_wanted) {
        return client_built(c, out);
    }
    struct act *a = acts_up(out, ONION_UP_HOP);
    a->obj = c->ref;
    a->n = c->hops.n;
    client_extend(c, out);
    return QUDAG_OK;
}

/* A fragment of what answers our CREATE or EXTEND. */
static qudag_err client_fragment(struct circuit *c, struct slice frag, bool clear, struct acts *out)
{
    bool done;

    qudag_err err = assembly_add(&c->from_next, frag, HS_CREATED_MAX, clear, &done);
    return err == QUDAG_OK && done ? client_hop(c, out) : err;
}

/* A cell of hop |hop|, open.  |*broken| is the hop to blame when the circuit ends. */
static qudag_err client_relay_cell(struct circuit *c, size_t hop, struct slice payload,
                                   const uint8_t ack[CGO_TAG_LEN], unsigned *broken,
                                   struct acts *out)
{
    struct rd r = rd_init(payload);
    struct relay_msg msg = {0};
    bool last = hop + 1 == c->hops.n;

    *broken = (unsigned)hop + 1;
    int more = relay_msg_next(&r, &msg);
    if (more == 0) {
        return QUDAG_OK;
    }
    if (more > 0 && msg.type == RELAY_TRUNCATED) {
        *broken = (unsigned)hop + 2;
        return reason_err(msg.data.base[0]);
    }
    if (more > 0 && last && c->phase == PH_EXTEND && msg.type == RELAY_EXTENDED) {
        *broken = (unsigned)hop + 2;
        struct relay_msg none;
        if (relay_msg_next(&r, &none) != 0) {
            return QUDAG_EPROTO;
        }
        return client_fragment(c, msg.data, false, out);
    }
    if (last && c->phase == PH_READY) {
        return circuit_stream_messages(c, payload, ack, out);
    }
    c->o->stats.wrong_state++;
    return QUDAG_EPROTO;
}

static void on_relay_cell(struct circuit *c, const uint8_t *cell, struct acts *out)
{
    uint8_t ack[CGO_TAG_LEN];
    uint8_t *copy = cell_take(out); /* data events point into it */
    unsigned broken = 0;

    if (copy == NULL) {
        return;
    }
    memcpy(copy, cell, ONION_CELL_LEN);
    int hop = cgo_client_backward(c->hops.back, c->hops.n, CELL_RELAY, copy + 1, ack);
    c->cells_back++;
    if (hop < 0) {
        c->o->stats.destroyed_bad_cell++;
        circuit_fail(c, QUDAG_EPROTO, NULL, 0, out);
        return;
    }
    c->o->stats.cells_recognised++;
    circuit_touch(c);
    struct slice payload = {copy + 1 + CGO_TAG_LEN, RELAY_PAYLOAD};
    qudag_err err = client_relay_cell(c, (size_t)hop, payload, ack, &broken, out);
    if (err != QUDAG_OK) {
        circuit_fail(c, err, NULL, broken, out);
    }
}

void client_cell(struct circuit *c, const uint8_t *cell, struct acts *out)
{
    qudag_err err = QUDAG_OK;

    if (cell[0] == CELL_PADDING) {
        return;
    }
    if (cell[0] == CELL_RELAY && c->hops.n > 0) {
        on_relay_cell(c, cell, out);
        return;
    }
    if (cell[0] == CELL_DESTROY) {
        c->next.destroyed = true;
        circuit_fail(c, reason_err(cell[1]), &c->next, 1, out);
        return;
    }
    if (cell[0] == CELL_CREATED && c->phase == PH_CREATE) {
        err = client_fragment(c, (struct slice){cell + 1, ONION_BODY_LEN}, true, out);
    } else {
        c->o->stats.wrong_state++;
        err = QUDAG_EPROTO;
    }
    if (err != QUDAG_OK) {
        circuit_fail(c, err, NULL, 1, out);
    }
}
