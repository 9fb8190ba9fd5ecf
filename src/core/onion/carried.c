/*
 * carried.c - two circuits that meet at a relay, and the circuit that they carry (spec/rendezvous.md 4).
 *
 *   caller ═ own hops ═ R ─┐ joined      what R does not recognise on one of the two goes into the other;
 *   service ═ own hops ═ R ┘             what no own hop recognises belongs to the carried circuit
 *
 *   caller ────────────────── carried: one hop ────────────────── service
 *   client: ONION_PH_READY                                        end: ONION_PH_END
 *
 * A carried circuit has keys, windows and streams of its own and no legs: its cells leave through its carrier.
 */
#include "core/onion/circuit.h"

/* ---- at the relay ---- */

static bool may_join(const struct onion_circuit *c)
{
    return c->phase == ONION_PH_END && c->mux != NULL && c->joined == NULL && c->carrier == NULL;
}

qudag_err onion_join(struct onion *o, struct ref a, struct ref b)
{
    struct onion_circuit *one = slots_get(&o->circuits, a), *other = slots_get(&o->circuits, b);

    if (one == NULL || other == NULL) {
        return QUDAG_ESTALE;
    }
    if (one == other) {
        return QUDAG_EINVAL;
    }
    if (!may_join(one) || !may_join(other)) {
        return QUDAG_ESTATE;
    }
    one->joined = other;
    other->joined = one;
    one->mux->closed = true;
    other->mux->closed = true;
    return QUDAG_OK;
}

/* ---- at the two ends ---- */

/* What a client's circuit has that was built; there is no plan, and nobody to name: the other end is not known. */
static qudag_err client_setup(struct onion_circuit *c)
{
    c->client = mem_alloc(c->o->cfg.mem, sizeof *c->client);
    if (c->client == NULL) {
        return QUDAG_ENOMEM;
    }
    c->client->n_wanted = 1;
    return onion_mux_new(&c->mux, c->o->cfg.mem, c->ref, true, c->o->cfg.streams_max);
}

qudag_err onion_carry(struct onion *o, const struct onion_carry *want, tstamp now,
                      struct ref *circuit)
{
    struct onion_circuit *by = slots_get(&o->circuits, want->carrier), *c;

    if (by == NULL) {
        return QUDAG_ESTALE;
    }
    if (by->phase != ONION_PH_READY || by->carried != NULL || by->carrier != NULL) {
        return QUDAG_ESTATE;
    }
    o->now = now;
    qudag_err err = onion_circuit_new(o, want->end ? ONION_END : ONION_CLIENT, now, &c);
    if (err != QUDAG_OK) {
        return err;
    }
    err = onion_hops_init(&c->hops, o->cfg.mem, 1);
    if (err == QUDAG_OK && !want->end) {
        err = client_setup(c);
    }
    if (err != QUDAG_OK) {
        onion_circuit_free(c);
        return err;
    }
    onion_hops_add(&c->hops, want->keys);
    c->tag = want->tag;
    c->reported = true;
    c->carrier = by;
    by->carried = c;
    onion_circuit_enter(c, want->end ? ONION_PH_END : ONION_PH_READY);
    *circuit = c->ref;
    return QUDAG_OK;
}

/* SPEC: rendezvous R-22; whether the body is one of |c|, which opens it. */
static bool open_body(struct onion_circuit *c, uint8_t *body, uint8_t ack[CGO_TAG_LEN])
{
    if (c->role == ONION_CLIENT) {
        c->cells_back++;
        return cgo_client_backward(c->hops.back, 1, ONION_CELL_RELAY, body, ack) == 0;
    }
    c->cells_fwd++;
    return cgo_relay_forward(c->hops.fwd, ONION_CELL_RELAY, body, ack);
}

void onion_carried_cell(struct onion_circuit *c, uint8_t *cell, struct acts *out)
{
    struct slice payload = {cell + 1 + CGO_TAG_LEN, ONION_RELAY_PAYLOAD};
    uint8_t ack[CGO_TAG_LEN];
    unsigned broken = 0;

    if (!open_body(c, cell + 1, ack)) {
        c->o->stats.destroyed_bad_cell++;
        onion_circuit_fail(c, QUDAG_EPROTO, NULL, 0, out);
        return;
    }
    c->o->stats.cells_recognised++;
    onion_circuit_touch(c);
    qudag_err err = c->role == ONION_CLIENT
                        ? onion_client_messages(c, 0, payload, ack, &broken, out)
                        : onion_relay_messages(c, ONION_CELL_RELAY, payload, ack, out);
    if (err != QUDAG_OK) {
        onion_circuit_fail(c, err, NULL, 0, out); /* its one hop is none that was chosen */
    }
}
