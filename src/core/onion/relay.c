/*
 * relay.c - a circuit that passes through us or ends here.
 *
 *   PH_ACCEPT ─CREATE─▶ PH_END ─EXTEND─▶ PH_DIAL_NEXT ─stream─▶ PH_WAIT_NEXT ─CREATED─▶ PH_RELAY
 *                          └─BEGIN─▶ streams; EXTEND is refused from then on
 *
 * A circuit is extended once.  What is known of it are its two neighbours, the keys of this hop and
 * counters: nothing here names the client to the end or the end to the client.
 */
#include "core/onion/circuit.h"

#include "base/wipe.h"
#include "core/onion/emit.h"

#include <string.h>

void relay_finished_create(struct circuit *c)
{
    if (c->unfinished) {
        c->unfinished = false;
        c->nb->unfinished--;
    }
}

static const struct keyring *find_key(const struct onion *o, const uint8_t key_id[8])
{
    for (size_t i = 0; i < o->keys_n; i++) {
        if (memcmp(o->keys[i].key.key_id, key_id, 8) == 0) {
            return &o->keys[i];
        }
    }
    return NULL;
}

/* The cheap checks come first: shape, key id, rates; then the handshake. */
static qudag_err answer(struct circuit *c, struct slice create, struct wr *created,
                        struct hs_keys *keys)
{
    struct onion *o = c->o;
    uint8_t kind, key_id[8], plain[HS_EXT_MAX];
    struct wr ext = wr_init(plain, sizeof plain);

    qudag_err err = hs_create_peek(create, &kind, key_id);
    const struct keyring *k = err == QUDAG_OK ? find_key(o, key_id) : NULL;
    if (k == NULL) {
        o->stats.bad_handshake++;
        return QUDAG_EAUTH;
    }
    if (!limiter_take(&c->nb->creates, 1, o->now) || !limiter_take(&o->creates, 1, o->now)) {
        o->stats.refused_rate++;
        return QUDAG_ELIMIT;
    }
    const struct hs_server s = {&o->cfg.self, o->cfg.self_pq_hash, &k->key, k->dk, &o->cfg.rng};
    err = hs_server_answer(&s, create, created, keys, &ext);
    o->stats.bad_handshake += err == QUDAG_EAUTH;
    c->tag = k->key.tag;
    return err;
}

static qudag_err on_create(struct circuit *c, struct slice frag, struct acts *out)
{
    uint8_t buf[HS_CREATED_MAX];
    struct wr created = wr_init(buf, sizeof buf);
    struct hs_keys keys;
    bool done;

    qudag_err err = assembly_add(&c->from_prev, frag, HS_CREATE_MAX, true, &done);
    if (err != QUDAG_OK || !done) {
        return err;
    }
    relay_finished_create(c);
    err = answer(c, (struct slice){c->from_prev.p, c->from_prev.total}, &created, &keys);
    assembly_fini(&c->from_prev);
    if (err != QUDAG_OK) {
        return err;
    }
    err = hops_init(&c->hops, c->o->cfg.mem, 1);
    if (err == QUDAG_OK) {
        hops_add(&c->hops, &keys);
        leg_send_message(&c->prev, CELL_CREATED, wr_done(&created), out);
        c->o->stats.created++;
        circuit_enter(c, PH_END);
    }
    wipe(&keys, sizeof keys);
    return err;
}

/* EXTEND, whole: its CREATE stays in from_prev until the stream to the next hop is open. */
static void extend(struct circuit *c, struct acts *out)
{
    struct onion *o = c->o;
    struct extend e;

    qudag_err err = extend_get((struct slice){c->from_prev.p, c->from_prev.total}, &e);
    bool kind_ok = err == QUDAG_OK && e.create.len >= HS_CREATE_MIN &&
                   e.create.len <= HS_CREATE_MAX && e.create.base[0] != HS_FIRST;
    if (!kind_ok) {
        circuit_fail(c, QUDAG_EPROTO, NULL, 0, out);
        return;
    }
    circuit_enter(c, PH_DIAL_NEXT);
    if (!o->cfg.relay || peer_id_eq(&e.peer, &o->cfg.self) || peer_id_eq(&e.peer, &c->prev.peer)) {
        circuit_fail(c, QUDAG_EREFUSED, &c->next, 0, out);
        return;
    }
    c->next.peer = e.peer;
    leg_dial(&c->next, e.addr, e.n_addrs, out);
}

void relay_next_connected(struct circuit *c, struct acts *out)
{
    struct extend e;

    /* It was accepted by extend() and has not changed. */
    qudag_err err = extend_get((struct slice){c->from_prev.p, c->from_prev.total}, &e);
    if (err != QUDAG_OK) {
        circuit_fail(c, QUDAG_EINTERNAL, &c->next, 0, out);
        return;
    }
    leg_send_message(&c->next, CELL_CREATE, e.create, out);
    assembly_fini(&c->from_prev);
    circuit_enter(c, PH_WAIT_NEXT);
}

static qudag_err on_extend(struct circuit *c, const struct relay_msg *msg, struct acts *out)
{
    bool done;

    if (c->mux != NULL) {
        c->o->stats.wrong_state++;
        return QUDAG_EPROTO; /* it carries streams: it ends here */
    }
    qudag_err err = assembly_add(&c->from_prev, msg->data, RELAY_MSG_MAX, false, &done);
    if (err == QUDAG_OK && done) {
        extend(c, out);
    }
    return err;
}

/* From the first stream message on, the circuit ends here for good. */
static qudag_err become_end(struct circuit *c, struct acts *out)
{
    struct onion *o = c->o;

    if (c->from_prev.p != NULL) {
        return QUDAG_EPROTO; /* in the middle of an EXTEND */
    }
    qudag_err err = mux_new(&c->mux, o->cfg.mem, c->ref, false, o->cfg.streams_max);
    if (err == QUDAG_OK) {
        c->told = true;
        struct act *a = acts_up(out, ONION_UP_INBOUND);
        a->obj = c->ref;
        a->cookie = c->tag;
    }
    return err;
}

/* A cell that was for us, open. */
static qudag_err relay_messages(struct circuit *c, struct slice payload,
                                const uint8_t ack[CGO_TAG_LEN], struct acts *out)
{
    struct rd r = rd_init(payload);
    struct relay_msg msg = {0}, none;

    int more = relay_msg_next(&r, &msg);
    if (more == 0) {
        return QUDAG_OK;
    }
    if (more < 0 || c->phase != PH_END) {
        c->o->stats.wrong_state += more > 0;
        return QUDAG_EPROTO;
    }
    if (msg.type == RELAY_EXTEND) {
        return relay_msg_next(&r, &none) == 0 ? on_extend(c, &msg, out) : QUDAG_EPROTO;
    }
    if (c->mux == NULL) {
        qudag_err err = msg.type == RELAY_BEGIN ? become_end(c, out) : QUDAG_EPROTO;
        if (err != QUDAG_OK) {
            c->o->stats.wrong_state++;
            return err;
        }
    }
    return circuit_stream_messages(c, payload, ack, out);
}

static void on_relay_forward(struct circuit *c, const uint8_t *cell, struct acts *out)
{
    uint8_t ack[CGO_TAG_LEN];
    uint8_t *copy = cell_take(out);

    if (copy == NULL) {
        return;
    }
    memcpy(copy, cell, ONION_CELL_LEN);
    circuit_touch(c);
    c->cells_fwd++;
    if (!cgo_relay_forward(c->hops.fwd, CELL_RELAY, copy + 1, ack)) {
        if (c->phase == PH_RELAY) {
            leg_put(&c->next, copy, out);
            c->o->stats.cells_relayed++;
            return;
        }
        c->o->stats.destroyed_bad_cell++;
        circuit_fail(c, QUDAG_EPROTO, NULL, 0, out);
        return;
    }
    c->o->stats.cells_recognised++;
    qudag_err err =
        relay_messages(c, (struct slice){copy + 1 + CGO_TAG_LEN, RELAY_PAYLOAD}, ack, out);
    if (err != QUDAG_OK) {
        circuit_fail(c, err, NULL, 0, out);
    }
}

void relay_cell_from_prev(struct circuit *c, const uint8_t *cell, struct acts *out)
{
    switch (cell[0]) {
    case CELL_PADDING:
        return;
    case CELL_RELAY:
        if (c->hops.n > 0) {
            on_relay_forward(c, cell, out);
            return;
        }
        break;
    case CELL_CREATE:
        if (c->phase == PH_ACCEPT) {
            qudag_err err = on_create(c, (struct slice){cell + 1, ONION_BODY_LEN}, out);
            if (err != QUDAG_OK) {
                circuit_fail(c, err, NULL, 0, out);
            }
            return;
        }
        break;
    case CELL_DESTROY:
        c->prev.destroyed = true;
        circuit_fail(c, reason_err(cell[1]), &c->prev, 0, out);
        return;
    default:
        break;
    }
    c->o->stats.wrong_state++;
    circuit_fail(c, QUDAG_EPROTO, NULL, 0, out);
}

static void on_relay_backward(struct circuit *c, const uint8_t *cell, struct acts *out)
{
    uint8_t *copy = cell_take(out);

    if (copy != NULL) {
        memcpy(copy, cell, ONION_CELL_LEN);
        cgo_relay_backward(c->hops.back, CELL_RELAY, copy + 1);
        leg_put(&c->prev, copy, out);
        circuit_touch(c);
        c->cells_back++;
        c->o->stats.cells_relayed++;
    }
}

/* CREATED is not ours to read: the client checks it. */
static qudag_err on_created(struct circuit *c, struct slice frag, struct acts *out)
{
    bool done;

    qudag_err err = assembly_add(&c->from_next, frag, HS_CREATED_MAX, true, &done);
    if (err == QUDAG_OK && done) {
        circuit_send_fragments(c, RELAY_EXTENDED,
                               (struct slice){c->from_next.p, c->from_next.total}, out);
        assembly_fini(&c->from_next);
        c->role = ONION_RELAY;
        c->o->stats.extended++;
        circuit_enter(c, PH_RELAY);
    }
    return err;
}

void relay_cell_from_next(struct circuit *c, const uint8_t *cell, struct acts *out)
{
    qudag_err err = QUDAG_EPROTO;

    if (cell[0] == CELL_PADDING) {
        return;
    }
    if (cell[0] == CELL_RELAY && c->phase == PH_RELAY) {
        on_relay_backward(c, cell, out);
        return;
    }
    if (cell[0] == CELL_DESTROY) {
        c->next.destroyed = true;
        circuit_fail(c, reason_err(cell[1]), &c->next, 0, out);
        return;
    }
    if (cell[0] == CELL_CREATED && c->phase == PH_WAIT_NEXT) {
        err = on_created(c, (struct slice){cell + 1, ONION_BODY_LEN}, out);
    } else {
        c->o->stats.wrong_state++;
    }
    if (err != QUDAG_OK) {
        circuit_fail(c, err, &c->next, 0, out);
    }
}
