/*
 * relay.c - a circuit that passes through us or ends here.
 *
 *   ACCEPT ─CREATE─▶ END ─EXTEND─▶ DIAL_NEXT ─stream─▶ WAIT_NEXT ─CREATED─▶ RELAY     (ONION_PH_)
 *                     └─BEGIN─▶ streams; EXTEND is refused from then on
 *
 * A circuit is extended once.  What is known of it are its two neighbours, the keys of this hop and
 * counters: nothing here names the client to the end or the end to the client.
 */
#include "core/onion/circuit.h"

#include "core/onion/emit.h"
#include "core/onion/rules.h"

#include <string.h>

static qudag_err on_extend(struct onion_circuit *c, const struct onion_relay_msg *msg,
                           struct acts *out)
{
    bool done;

    if (c->mux != NULL) {
        c->o->stats.wrong_state++;
        return QUDAG_EPROTO; /* it carries streams: it ends here */
    }
    qudag_err err = onion_assembly_add(&c->from_prev, msg->data, ONION_EXTEND_LEN, false, &done);
    if (err == QUDAG_OK && done) {
        onion_extend_start(c, out);
    }
    return err;
}

/* From the first stream message on, the circuit ends here for good. */
static qudag_err become_end(struct onion_circuit *c, struct acts *out)
{
    struct onion *o = c->o;

    if (c->from_prev.p != NULL) {
        return QUDAG_EPROTO; /* in the middle of an EXTEND */
    }
    qudag_err err = onion_mux_new(&c->mux, o->cfg.mem, c->ref, false, o->cfg.streams_max);
    if (err == QUDAG_OK) {
        c->reported = true;
        struct act *a = acts_up(out, ONION_UP_INBOUND);
        a->obj = c->ref;
        a->cookie = c->tag;
    }
    return err;
}

qudag_err onion_relay_messages(struct onion_circuit *c, uint8_t class, struct slice payload,
                               const uint8_t ack[CGO_TAG_LEN], struct acts *out)
{
    struct rd r = rd_init(payload);
    struct onion_relay_msg msg = {0}, none;

    int more = onion_relay_msg_next(&r, &msg);
    if (more == 0 && class == ONION_CELL_RELAY) {
        return onion_circuit_says_nothing(c, 0);
    }
    if (more <= 0 || c->phase != ONION_PH_END || class != onion_rule_class(msg.type)) {
        c->o->stats.wrong_state += more > 0;
        return QUDAG_EPROTO;
    }
    if (msg.type == ONION_RELAY_EXTEND) {
        return onion_relay_msg_next(&r, &none) == 0 ? on_extend(c, &msg, out) : QUDAG_EPROTO;
    }
    if (c->mux == NULL) {
        qudag_err err = msg.type == ONION_RELAY_BEGIN ? become_end(c, out) : QUDAG_EPROTO;
        if (err != QUDAG_OK) {
            c->o->stats.wrong_state++;
            return err;
        }
    }
    return onion_circuit_stream_messages(c, 0, payload, ack, out);
}

/* A cell that was not for us: whether it is passed on. */
static bool pass_on(struct onion_circuit *c, uint8_t *cell, struct acts *out)
{
    if (c->joined != NULL) {
        return onion_joined_pass(c, cell, out);
    }
    if (c->phase != ONION_PH_RELAY) {
        return false;
    }
    if (cell[0] == ONION_CELL_EARLY) {
        if (!onion_rule_early(c->early)) {
            return false;
        }
        c->early++;
    }
    onion_leg_put(&c->next, cell, out);
    c->o->stats.cells_relayed++;
    return true;
}

static void on_relay_forward(struct onion_circuit *c, const uint8_t *cell, struct acts *out)
{
    uint8_t ack[CGO_TAG_LEN];
    uint8_t *copy = onion_cell_take(out);

    if (copy == NULL) {
        return;
    }
    memcpy(copy, cell, ONION_CELL_LEN);
    onion_circuit_touch(c);
    c->cells_fwd++;
    c->used = c->used || cell[0] == ONION_CELL_RELAY;
    if (!cgo_relay_forward(c->hops.fwd, copy[0], copy + 1, ack)) {
        if (!pass_on(c, copy, out)) {
            c->o->stats.destroyed_bad_cell++;
            onion_circuit_fail(c, QUDAG_EPROTO, NULL, 0, out);
        }
        return;
    }
    c->o->stats.cells_recognised++;
    struct slice payload = {copy + 1 + CGO_TAG_LEN, ONION_RELAY_PAYLOAD};
    qudag_err err = onion_relay_messages(c, copy[0], payload, ack, out);
    if (err != QUDAG_OK) {
        onion_circuit_fail(c, err, NULL, 0, out);
    }
}

void onion_relay_cell_from_prev(struct onion_circuit *c, const uint8_t *cell, struct acts *out)
{
    switch (cell[0]) {
    case ONION_CELL_RELAY:
    case ONION_CELL_EARLY:
        if (c->hops.n > 0) {
            on_relay_forward(c, cell, out);
            return;
        }
        break;
    case ONION_CELL_CREATE:
        if (c->phase == ONION_PH_ACCEPT) {
            qudag_err err = onion_create_add(c, (struct slice){cell + 1, ONION_BODY_LEN}, out);
            if (err != QUDAG_OK) {
                onion_circuit_fail(c, err, NULL, 0, out);
            }
            return;
        }
        break;
    case ONION_CELL_DESTROY:
        c->prev.destroyed = true;
        onion_circuit_fail(c, onion_reason_heard(cell[1]), &c->prev, 0, out);
        return;
    default:
        break;
    }
    c->o->stats.wrong_state++;
    onion_circuit_fail(c, QUDAG_EPROTO, NULL, 0, out);
}

static void on_relay_backward(struct onion_circuit *c, const uint8_t *cell, struct acts *out)
{
    uint8_t *copy = onion_cell_take(out);

    if (copy != NULL) {
        memcpy(copy, cell, ONION_CELL_LEN);
        cgo_relay_backward(c->hops.back, ONION_CELL_RELAY, copy + 1);
        onion_leg_put(&c->prev, copy, out);
        onion_circuit_touch(c);
        c->cells_back++;
        c->o->stats.cells_relayed++;
    }
}

/* CREATED is not ours to read: the client checks it. */
static qudag_err on_created(struct onion_circuit *c, struct slice frag, struct acts *out)
{
    bool done;

    qudag_err err = onion_assembly_add(&c->from_next, frag, ONION_HS_CREATED_MAX, true, &done);
    if (err == QUDAG_OK && done) {
        onion_circuit_send_fragments(c, ONION_RELAY_EXTENDED,
                                     (struct slice){c->from_next.p, c->from_next.total}, out);
        onion_assembly_fini(&c->from_next);
        c->role = ONION_RELAY;
        c->o->stats.extended++;
        onion_circuit_enter(c, ONION_PH_RELAY);
        onion_onward_answered(c);
    }
    return err;
}

void onion_relay_cell_from_next(struct onion_circuit *c, const uint8_t *cell, struct acts *out)
{
    qudag_err err = QUDAG_EPROTO;

    if (cell[0] == ONION_CELL_RELAY && c->phase == ONION_PH_RELAY) {
        on_relay_backward(c, cell, out);
        return;
    }
    if (cell[0] == ONION_CELL_DESTROY) {
        c->next.destroyed = true;
        onion_circuit_fail(c, onion_reason_heard(cell[1]), &c->next, 0, out);
        return;
    }
    if (cell[0] == ONION_CELL_CREATED && c->phase == ONION_PH_WAIT_NEXT) {
        err = on_created(c, (struct slice){cell + 1, ONION_BODY_LEN}, out);
    } else {
        c->o->stats.wrong_state++;
    }
    if (err != QUDAG_OK) {
        onion_circuit_fail(c, err, &c->next, 0, out);
    }
}
