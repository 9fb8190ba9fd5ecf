/*
 * extend.c - how a relay's circuit gets its next hop, or does not.
 *
 *   EXTEND ─ ONION_UP_EXTEND ─▶ owner: who is that? ─ onion_extend_go() ─▶ stream ─▶ CREATE ─▶ CREATED
 *                                  └ onion_extend_refuse(), no stream, DESTROY, bad answer ─▶ ONION_PH_REFUSING
 *
 * All that can go wrong looks the same to the client: one reason, between one and three seconds after the EXTEND.
 * Otherwise whoever may extend from here could ask whom we have links with.
 */
#include "core/onion/circuit.h"

#include "core/onion/rules.h"

#include <string.h>

static tstamp fails_at(struct onion *o)
{
    uint32_t random;

    rng_fill(&o->cfg.rng, &random, sizeof random);
    return onion_rule_extend_fails_at(o->now, random);
}

/* EXTEND, whole: its CREATE stays in from_prev until the stream to the next hop is open. */
void onion_extend_start(struct onion_circuit *c, struct acts *out)
{
    struct onion *o = c->o;
    struct onion_extend e;

    qudag_err err = onion_extend_get((struct slice){c->from_prev.p, c->from_prev.total}, &e);
    bool create_ok = err == QUDAG_OK && e.create.len >= ONION_HS_CREATE_MIN &&
                     e.create.len <= ONION_HS_CREATE_MAX;
    if (!create_ok) {
        onion_circuit_fail(c, QUDAG_EPROTO, NULL, 0, out);
        return;
    }
    c->fails_at = fails_at(o);
    onion_circuit_enter(c, ONION_PH_DIAL_NEXT);
    if (!o->cfg.relay || peer_id_eq(&e.to.peer, &o->cfg.self) ||
        peer_id_eq(&e.to.peer, &c->prev.peer)) {
        onion_circuit_fail(c, QUDAG_EREFUSED, &c->next, 0, out);
        return;
    }
    c->next.peer = e.to.peer;
    struct onion_ask ask = {
        .to = e.to, .ends = e.ends, .prev = c->prev.peer, .net = c->net, .via = c->via};
    struct act *a = acts_up_copy(out, ONION_UP_EXTEND, &ask, sizeof ask);
    if (a != NULL) {
        a->obj = c->ref;
    }
}

/* The circuit, if it waits for its owner's word. */
static struct onion_circuit *asked(const struct onion *o, struct ref circuit)
{
    struct onion_circuit *c = slots_get(&o->circuits, circuit);
    bool waits = c != NULL && c->phase == ONION_PH_DIAL_NEXT && c->to == NULL;

    return waits ? c : NULL;
}

void onion_extend_go(struct onion *o, struct ref circuit, tstamp now, struct acts *out)
{
    struct onion_circuit *c = asked(o, circuit);

    onion_turn_begin(o, now, out);
    if (c != NULL) {
        qudag_err err = onion_onward_start(c, out);
        if (err != QUDAG_OK) {
            onion_circuit_fail(c, err, &c->next, 0, out);
        }
    }
    onion_turn_end(o);
}

void onion_extend_refuse(struct onion *o, struct ref circuit, tstamp now, struct acts *out)
{
    struct onion_circuit *c = asked(o, circuit);

    onion_turn_begin(o, now, out);
    if (c != NULL) {
        onion_circuit_fail(c, QUDAG_EREFUSED, &c->next, 0, out);
    }
    onion_turn_end(o);
}

void onion_extend_dial(struct onion_circuit *c, struct acts *out)
{
    onion_leg_dial(&c->next, NULL, 0, out)->no_dial = true;
}

void onion_extend_connected(struct onion_circuit *c, struct acts *out)
{
    struct onion_extend e;

    /* It was accepted by onion_extend_start() and has not changed. */
    qudag_err err = onion_extend_get((struct slice){c->from_prev.p, c->from_prev.total}, &e);
    if (err != QUDAG_OK) {
        onion_circuit_fail(c, QUDAG_EINTERNAL, &c->next, 0, out);
        return;
    }
    onion_leg_send_message(&c->next, ONION_CELL_CREATE, e.create, out);
    onion_assembly_fini(&c->from_prev);
    onion_circuit_enter(c, ONION_PH_WAIT_NEXT);
}
