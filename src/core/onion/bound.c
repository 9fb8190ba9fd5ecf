/*
 * bound.c - circuits that are bound to each other, as carried.c says: where their cells go, and that each ends with
 * the other one.
 */
#include "core/onion/circuit.h"

/* SPEC: rendezvous; EARLY cells build circuits, and these two are built. */
bool onion_joined_pass(struct onion_circuit *c, uint8_t *cell, struct acts *out)
{
    struct onion_circuit *to = c->joined;

    if (cell[0] != ONION_CELL_RELAY) {
        return false;
    }
    cgo_relay_backward(to->hops.back, ONION_CELL_RELAY, cell + 1);
    onion_leg_put(&to->prev, cell, out);
    onion_circuit_touch(to);
    to->used = true;
    to->cells_back++;
    to->o->stats.cells_relayed++;
    return true;
}

void onion_carried_put(struct onion_circuit *c, uint8_t *cell, struct acts *out)
{
    struct onion_circuit *by = c->carrier;

    cgo_client_wrap(by->hops.fwd, by->hops.n, cell[0], cell + 1);
    by->cells_fwd++;
    onion_circuit_touch(by);
    onion_leg_put(&by->next, cell, out);
}

void onion_bound_forget(struct onion_circuit *c)
{
    if (c->joined != NULL) {
        c->joined->joined = NULL;
    }
    if (c->carried != NULL) {
        c->carried->carrier = NULL;
    }
    if (c->carrier != NULL) {
        c->carrier->carried = NULL;
    }
    c->joined = NULL;
    c->carried = NULL;
    c->carrier = NULL;
}

/* SPEC: rendezvous; a relay tells nothing of why, and the carrier of a circuit did nothing wrong. */
void onion_bound_end(struct onion_circuit *c, qudag_err err, struct acts *out)
{
    struct onion_circuit *joined = c->joined, *carried = c->carried, *carrier = c->carrier;

    onion_bound_forget(c);
    if (joined != NULL) {
        onion_circuit_fail(joined, QUDAG_ECLOSED, NULL, 0, out);
    }
    if (carried != NULL) {
        onion_circuit_fail(carried, err, NULL, 0, out);
    }
    if (carrier != NULL) {
        onion_circuit_fail(carrier, QUDAG_ECANCELED, NULL, 0, out);
    }
}
