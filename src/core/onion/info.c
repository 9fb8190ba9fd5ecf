/* info.c - what is to be seen of circuits: a relay shows its two neighbours and nothing more. */
#include "core/onion/circuit.h"

#include <string.h>

static enum onion_state state_of(const struct onion_circuit *c)
{
    switch (c->phase) {
    case ONION_PH_READY:
    case ONION_PH_END:
    case ONION_PH_RELAY:
        return ONION_OPEN;
    case ONION_PH_CLOSING:
        return list_linked(&c->dead) ? ONION_CLOSED : ONION_CLOSING;
    case ONION_PH_DIAL:
    case ONION_PH_CREATE:
    case ONION_PH_EXTEND:
    case ONION_PH_STEM:
    case ONION_PH_ACCEPT:
    case ONION_PH_DIAL_NEXT:
    case ONION_PH_WAIT_NEXT:
    case ONION_PH_REFUSING:
        break;
    }
    return ONION_BUILDING;
}

static void info_of(const struct onion_circuit *c, struct onion_info *out)
{
    *out = (struct onion_info){
        .circuit = c->ref,
        .role = c->role,
        .state = state_of(c),
        .since = c->since,
        .active_at = c->active_at,
        .build_ns = c->build_ns,
        .round_trip_ns = c->mux == NULL ? 0 : c->mux->round_trip,
        .cells_fwd = c->cells_fwd,
        .cells_back = c->cells_back,
        .streams = c->mux == NULL ? 0 : c->mux->n,
        .joined = c->joined != NULL,
        .carrier = c->carrier == NULL ? (struct ref){0, 0} : c->carrier->ref,
    };
    if (c->role == ONION_CLIENT) {
        out->hops = (uint8_t)c->hops.n;
        out->hops_wanted = c->client->n_wanted;
        memcpy(out->path, c->client->path, sizeof out->path);
        out->next = c->next.peer;
    } else {
        out->prev = c->prev.peer;
        out->net = c->net;
        out->via = c->via;
        out->next = c->next.peer;
        out->tag = c->role == ONION_END ? c->tag : 0;
    }
}

bool onion_next(const struct onion *o, size_t *it, struct onion_info *out)
{
    while (*it < o->circuits.high) {
        const struct onion_circuit *c = slots_at(&o->circuits, (uint32_t)*it);
        (*it)++;
        if (c != NULL) {
            info_of(c, out);
            return true;
        }
    }
    return false;
}

qudag_err onion_info_get(const struct onion *o, struct ref circuit, struct onion_info *out)
{
    const struct onion_circuit *c = slots_get(&o->circuits, circuit);

    if (c == NULL) {
        return QUDAG_ESTALE;
    }
    info_of(c, out);
    return QUDAG_OK;
}

void onion_stats_get(const struct onion *o, struct onion_stats *out)
{
    *out = o->stats;
    out->circuits_max = o->cfg.circuits_max;
    for (uint32_t i = 0; i < o->circuits.high; i++) {
        const struct onion_circuit *c = slots_at(&o->circuits, i);
        if (c == NULL) {
            continue;
        }
        out->circuits_client += c->role == ONION_CLIENT;
        out->circuits_relay += c->role == ONION_RELAY;
        out->circuits_end += c->role == ONION_END;
    }
}

qudag_err onion_binding(const struct onion *o, struct ref circuit, uint8_t out[32])
{
    const struct onion_circuit *c = slots_get(&o->circuits, circuit);

    if (c == NULL) {
        return QUDAG_ESTALE;
    }
    if (c->phase != ONION_PH_READY && c->phase != ONION_PH_END) {
        return QUDAG_ESTATE;
    }
    memcpy(out, c->hops.binding, 32);
    return QUDAG_OK;
}

bool onion_has_keys(const struct onion *o)
{
    return o->keys_n > 0;
}
