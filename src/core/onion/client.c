/*
 * client.c - the side that builds a circuit.
 *
 *   ONION_PH_DIAL ─stream─▶ ONION_PH_CREATE ─CREATED─▶ ONION_PH_EXTEND ─EXTENDED─▶ ... ─▶ ONION_PH_READY
 *                          └──────────────── one hop ────────────────────▲
 *
 * A stem waits in ONION_PH_STEM for its last hop, and goes on from there with ONION_PH_EXTEND.
 */
#include "core/onion/circuit.h"

#include "base/assert.h"
#include "base/wipe.h"
#include "core/onion/emit.h"

#include <string.h>

/* Makes CREATE for the next hop in |buf|. */
static qudag_err next_create(struct onion_circuit *c, uint8_t buf[ONION_HS_CREATE_MAX],
                             struct slice *create)
{
    const struct onion_hop *to = &c->client->plan[c->hops.n];
    struct wr w = wr_init(buf, ONION_HS_CREATE_MAX);

    qudag_err err =
        onion_hs_client_create(&c->client->hs, to, &c->o->cfg.rng, (struct slice){NULL, 0}, &w);
    *create = wr_done(&w);
    return err;
}

void onion_client_connected(struct onion_circuit *c, struct acts *out)
{
    uint8_t buf[ONION_HS_CREATE_MAX];
    struct slice create;

    qudag_err err = next_create(c, buf, &create);
    if (err != QUDAG_OK) {
        onion_circuit_fail(c, err, NULL, 1, out);
        return;
    }
    onion_leg_send_message(&c->next, ONION_CELL_CREATE, create, out);
    onion_circuit_enter(c, ONION_PH_CREATE);
}

static void client_extend(struct onion_circuit *c, struct acts *out)
{
    const struct onion_hop *to = &c->client->plan[c->hops.n];
    struct onion_extend e = {.to = *to, .ends = to->service};
    uint8_t buf[ONION_HS_CREATE_MAX], msg[ONION_EXTEND_LEN];
    struct wr w = wr_init(msg, sizeof msg);

    qudag_err err = next_create(c, buf, &e.create);
    if (err != QUDAG_OK) {
        onion_circuit_fail(c, err, NULL, (unsigned)c->hops.n + 1, out);
        return;
    }
    onion_extend_put(&w, &e);
    ASSERT(wr_ok(&w));
    onion_circuit_send_fragments(c, ONION_RELAY_EXTEND, wr_done(&w), out);
    onion_circuit_enter(c, ONION_PH_EXTEND);
}

static qudag_err client_built(struct onion_circuit *c, struct acts *out)
{
    struct onion *o = c->o;
    bool stem = c->hops.n < c->hops.max;

    qudag_err err =
        stem ? QUDAG_OK : onion_mux_new(&c->mux, o->cfg.mem, c->ref, true, o->cfg.streams_max);
    if (err != QUDAG_OK) {
        return err;
    }
    mem_free_wiped(o->cfg.mem, c->client->plan);
    c->client->plan = NULL;
    c->build_ns += o->now - c->build_at;
    onion_circuit_enter(c, stem ? ONION_PH_STEM : ONION_PH_READY);
    struct act *a = acts_up(out, ONION_UP_BUILT);
    a->obj = c->ref;
    a->n = c->build_ns;
    return QUDAG_OK;
}

/* CREATED of the hop being added, whole. */
static qudag_err client_hop(struct onion_circuit *c, struct acts *out)
{
    uint8_t plain[ONION_HS_EXT_MAX];
    struct wr ext = wr_init(plain, sizeof plain);
    struct onion_hs_keys keys;

    qudag_err err = onion_hs_client_finish(
        &c->client->hs, (struct slice){c->from_next.p, c->from_next.total}, &keys, &ext);
    onion_assembly_fini(&c->from_next);
    if (err != QUDAG_OK) {
        c->o->stats.bad_handshake += err == QUDAG_EAUTH;
        return err;
    }
    onion_hops_add(&c->hops, &keys);
    wipe(&keys, sizeof keys);
    onion_pace_add(&c->o->pace, c->o->now - c->phase_at);
    if (c->hops.n == c->client->n_wanted) {
        return client_built(c, out);
    }
    struct act *a = acts_up(out, ONION_UP_HOP);
    a->obj = c->ref;
    a->n = c->hops.n;
    client_extend(c, out);
    return QUDAG_OK;
}

qudag_err onion_client_complete(struct onion_circuit *c, const struct onion_hop *last,
                                struct acts *out)
{
    size_t n = c->hops.n;

    c->client->plan = mem_alloc_n(c->o->cfg.mem, n + 1, sizeof *last);
    if (c->client->plan == NULL) {
        return QUDAG_ENOMEM;
    }
    c->client->plan[n] = *last; /* of the others nothing is asked any more */
    c->client->path[n] = last->peer;
    c->client->n_wanted = (uint8_t)(n + 1);
    c->build_at = c->o->now;
    client_extend(c, out);
    return QUDAG_OK;
}

/* A fragment of what answers our CREATE or EXTEND. */
static qudag_err client_fragment(struct onion_circuit *c, struct slice frag, bool clear,
                                 struct acts *out)
{
    bool done;

    qudag_err err = onion_assembly_add(&c->from_next, frag, ONION_HS_CREATED_MAX, clear, &done);
    return err == QUDAG_OK && done ? client_hop(c, out) : err;
}

qudag_err onion_client_messages(struct onion_circuit *c, size_t hop, struct slice payload,
                                const uint8_t ack[CGO_TAG_LEN], unsigned *broken, struct acts *out)
{
    struct rd r = rd_init(payload);
    struct onion_relay_msg msg = {0};
    bool last = hop + 1 == c->hops.n;

    *broken = (unsigned)hop + 1;
    int more = onion_relay_msg_next(&r, &msg);
    if (more == 0) {
        return onion_circuit_says_nothing(c, hop);
    }
    if (more > 0 && msg.type == ONION_RELAY_TRUNCATED) {
        *broken = (unsigned)hop + 2;
        return onion_reason_heard(msg.data.base[0]);
    }
    if (more > 0 && last && c->phase == ONION_PH_EXTEND && msg.type == ONION_RELAY_EXTENDED) {
        *broken = (unsigned)hop + 2;
        struct onion_relay_msg none;
        if (onion_relay_msg_next(&r, &none) != 0) {
            return QUDAG_EPROTO;
        }
        return client_fragment(c, msg.data, false, out);
    }
    if (last && c->phase == ONION_PH_READY) {
        return onion_circuit_stream_messages(c, hop, payload, ack, out);
    }
    c->o->stats.wrong_state++;
    return QUDAG_EPROTO;
}

static void on_relay_cell(struct onion_circuit *c, const uint8_t *cell, struct acts *out)
{
    uint8_t ack[CGO_TAG_LEN];
    uint8_t *copy = onion_cell_take(out); /* data events point into it */
    unsigned broken = 0;

    if (copy == NULL) {
        return;
    }
    memcpy(copy, cell, ONION_CELL_LEN);
    int hop = c->carried != NULL
                  ? cgo_client_unwrap(c->hops.back, c->hops.n, ONION_CELL_RELAY, copy + 1, ack)
                  : cgo_client_backward(c->hops.back, c->hops.n, ONION_CELL_RELAY, copy + 1, ack);
    c->cells_back++;
    if (hop < 0 && c->carried != NULL) {
        onion_circuit_touch(c);
        onion_carried_cell(c->carried, copy, out);
        return;
    }
    if (hop < 0) {
        c->o->stats.destroyed_bad_cell++;
        onion_circuit_fail(c, QUDAG_EPROTO, NULL, 0, out);
        return;
    }
    c->o->stats.cells_recognised++;
    onion_circuit_touch(c);
    struct slice payload = {copy + 1 + CGO_TAG_LEN, ONION_RELAY_PAYLOAD};
    qudag_err err = onion_client_messages(c, (size_t)hop, payload, ack, &broken, out);
    if (err != QUDAG_OK) {
        onion_circuit_fail(c, err, NULL, broken, out);
    }
}

void onion_client_cell(struct onion_circuit *c, const uint8_t *cell, struct acts *out)
{
    qudag_err err = QUDAG_OK;

    if (cell[0] == ONION_CELL_RELAY && c->hops.n > 0) {
        on_relay_cell(c, cell, out);
        return;
    }
    if (cell[0] == ONION_CELL_DESTROY) {
        c->next.destroyed = true;
        onion_circuit_fail(c, onion_reason_heard(cell[1]), &c->next, 1, out);
        return;
    }
    if (cell[0] == ONION_CELL_CREATED && c->phase == ONION_PH_CREATE) {
        err = client_fragment(c, (struct slice){cell + 1, ONION_BODY_LEN}, true, out);
    } else {
        c->o->stats.wrong_state++;
        err = QUDAG_EPROTO;
    }
    if (err != QUDAG_OK) {
        onion_circuit_fail(c, err, NULL, 1, out);
    }
}
