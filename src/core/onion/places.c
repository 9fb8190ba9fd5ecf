/* places.c - the tables behind admission.h: what is held, what waits; nothing here looks at a circuit's streams. */
#include "core/onion/circuit.h"

void onion_create_finished(struct onion_circuit *c)
{
    fair_unwait(&c->o->held, &c->place);
    fair_active(&c->o->held, &c->place, false);
}

void onion_onward_put(struct onion *o, struct onion_onward *to)
{
    if (to->held.n == 0) {
        (void)map_del(&o->onwards, peer_id_slice(&to->peer));
        fair_fini(&to->held);
        mem_free(o->cfg.mem, to);
    }
}

void onion_onward_serve(struct onion_onward *to)
{
    while (to->held.active < ONION_LINK_WINDOW && to->held.waiting > 0) {
        struct fair_item *it = fair_next(&to->held, NULL, NULL);
        struct onion_circuit *c = LIST_ENTRY(it, struct onion_circuit, onward);
        fair_active(&to->held, it, true);
        c->may_dial = true;
        if (!list_linked(&c->work)) {
            list_push_back(&c->o->work, &c->work);
        }
    }
}

void onion_onward_answered(struct onion_circuit *c)
{
    if (c->to != NULL) {
        c->may_dial = false;
        fair_unwait(&c->to->held, &c->onward);
        fair_active(&c->to->held, &c->onward, false);
        onion_onward_serve(c->to);
    }
}

void onion_places_free(struct onion_circuit *c)
{
    struct onion_onward *to = c->to;

    fair_del(&c->o->held, &c->place, c->o->now);
    if (to != NULL) {
        onion_onward_answered(c);
        c->to = NULL;
        fair_del(&to->held, &c->onward, c->o->now);
        onion_onward_put(c->o, to);
    }
}

void onion_admission_init(struct onion *o, const uint8_t seed[16])
{
    fair_init(&o->held, o->cfg.mem, seed, 2 * o->cfg.circuits_max);
    map_init(&o->onwards, o->cfg.mem, seed, o->cfg.circuits_max);
}

void onion_admission_fini(struct onion *o)
{
    fair_fini(&o->held);
    map_fini(&o->onwards);
}
