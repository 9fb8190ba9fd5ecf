/* admission.c - places for circuits of others, here and on the link to their next hop; who gives way. */
#include "core/onion/circuit.h"

#include "core/onion/rules.h"

#include "base/netaddr.h"

#include <string.h>

/* ---- rules ---- */

enum onion_worth onion_rule_worth(const struct onion_habits *h)
{
    if (h->closing) {
        return ONION_WORTH_CLOSING;
    }
    if (!h->used && h->age_ns >= ONION_UNUSED_AFTER) {
        return ONION_WORTH_UNUSED;
    }
    return h->idle_ns >= ONION_QUIET_AFTER ? ONION_WORTH_QUIET : ONION_WORTH_BUSY;
}

bool onion_rule_goes_first(const struct onion_habits *a, const struct onion_habits *b)
{
    enum onion_worth wa = onion_rule_worth(a), wb = onion_rule_worth(b);

    return wa != wb ? wa < wb : a->idle_ns > b->idle_ns;
}

bool onion_rule_gives_way(enum onion_worth worth, const struct fair_claim *holder,
                          const struct fair_claim *newcomer, uint32_t share)
{
    bool own = holder->net == newcomer->net && holder->source == newcomer->source;

    if (worth == ONION_WORTH_CLOSING) {
        return true;
    }
    if (own) {
        return worth < ONION_WORTH_BUSY;
    }
    uint32_t held = holder->net == newcomer->net ? holder->source_n : holder->net_n;
    return fair_gives_way(holder, newcomer) && (worth < ONION_WORTH_BUSY || held > share);
}

/* ---- who gives way ---- */

/* Where a circuit holds a place: with us, or on the link to its next hop. */
enum scope { HERE, ONWARD };

static struct onion_circuit *circuit_of(struct list *node, enum scope scope)
{
    return scope == HERE ? LIST_ENTRY(node, struct onion_circuit, place.node)
                         : LIST_ENTRY(node, struct onion_circuit, onward.node);
}

static struct onion_habits habits_of(const struct onion_circuit *c)
{
    return (struct onion_habits){.closing = c->phase == ONION_PH_CLOSING,
                                 .used = c->used,
                                 .age_ns = c->o->now - c->since,
                                 .idle_ns = c->o->now - c->active_at};
}

static struct onion_circuit *first_to_go(const struct fair_source *s, enum scope scope,
                                         struct onion_habits *habits)
{
    struct onion_circuit *first = NULL;

    LIST_EACH(it, &s->items)
    {
        struct onion_circuit *c = circuit_of(it, scope);
        struct onion_habits h = habits_of(c);
        if (first == NULL || onion_rule_goes_first(&h, habits)) {
            first = c;
            *habits = h;
        }
    }
    return first;
}

/* The circuit of |s| that gives way to one more of |newcomer|, when |places| are shared; NULL: none. */
static struct onion_circuit *yields(const struct fair *f, const struct fair_source *s,
                                    const struct fair_claim *newcomer, uint32_t places,
                                    enum scope scope)
{
    struct onion_habits h = {0};

    if (s == NULL) {
        return NULL;
    }
    struct fair_claim holder = fair_claim_of_source(s);
    bool alike = holder.net == newcomer->net;
    uint32_t holders =
        alike ? s->net->n_sources + (newcomer->source_n == 0) : f->n_nets + (newcomer->net_n == 0);
    uint32_t among = alike ? s->net->n : places;
    struct onion_circuit *c = first_to_go(s, scope, &h);
    bool go =
        onion_rule_gives_way(onion_rule_worth(&h), &holder, newcomer, fair_share(among, holders));
    return go ? c : NULL;
}

/* Its streams are given up at once, without waiting for the other sides: the places are needed. */
void onion_end_now(struct onion_circuit *c, struct acts *out)
{
    struct onion_leg *legs[] = {&c->prev, &c->next};

    onion_circuit_fail(c, QUDAG_ELIMIT, NULL, 0, out);
    for (size_t i = 0; i < ARRAY_LEN(legs); i++) {
        if (!ref_none(legs[i]->strm)) {
            acts_reset(out, legs[i]->strm, QUDAG_ELIMIT);
            onion_leg_detach(legs[i]);
        }
    }
    onion_places_free(c);
    onion_circuit_settle(c);
}

static void give_way(struct onion_circuit *c, struct acts *out)
{
    c->o->stats.gave_way++;
    onion_end_now(c, out);
}

/* All |places| of |f| are taken: whether one became free for |newcomer|, whose own ones are |own|. */
static bool make_room(struct fair *f, const struct fair_claim *newcomer, uint32_t places,
                      enum scope scope, struct acts *out)
{
    struct onion_circuit *c = yields(f, fair_most(f), newcomer, places, scope);

    if (c == NULL) { /* networks hold alike: his own neighbours are not to shut him out */
        c = yields(f, fair_most_in(f, newcomer->net), newcomer, places, scope);
    }
    if (c == NULL) {
        c = yields(f, fair_source_of(f, newcomer->net, newcomer->source), newcomer, places, scope);
    }
    if (c != NULL) {
        give_way(c, out);
    }
    return c != NULL;
}

/* ---- streams of neighbours ---- */

/* A share is kept for circuits of our own. */
static uint32_t places_for_others(const struct onion *o)
{
    return o->cfg.circuits_max - o->cfg.circuits_max / 16;
}

static qudag_err room_for(struct onion *o, const struct fair_claim *newcomer, struct acts *out)
{
    const struct fair_source *own = fair_source_of(&o->held, newcomer->net, newcomer->source);
    struct onion_circuit *c;

    if (own != NULL && own->active >= ONION_LINK_CREATES_MAX) {
        return QUDAG_ELIMIT;
    }
    if (newcomer->source_n >= ONION_LINK_CIRCUITS_MAX) {
        c = yields(&o->held, own, newcomer, places_for_others(o), HERE);
        if (c == NULL) {
            return QUDAG_ELIMIT;
        }
        give_way(c, out);
        return QUDAG_OK;
    }
    bool full = o->circuits.n >= places_for_others(o);
    return !full || make_room(&o->held, newcomer, places_for_others(o), HERE, out) ? QUDAG_OK
                                                                                   : QUDAG_ELIMIT;
}

static uint64_t name_of(const struct onion *o, const struct peer_id *peer)
{
    return siphash24(o->names[0], o->names[1], peer_id_slice(peer));
}

qudag_err onion_admit(struct onion *o, const struct ev *ev, struct acts *out)
{
    struct onion_circuit *c;

    if (!onion_rule_leg(ev->props, true) || ev->peer == NULL || ev->peer->len == 0) {
        return QUDAG_EPOLICY;
    }
    if (!onion_has_keys(o)) { /* no circuit ends here or passes through */
        return QUDAG_EUNSUPPORTED;
    }
    struct fair_claim newcomer =
        fair_claim_of(&o->held, netaddr_wide_group(ev->net), name_of(o, ev->peer));
    qudag_err err = room_for(o, &newcomer, out);
    if (err == QUDAG_OK) {
        err = onion_circuit_new(o, ONION_END, o->now, &c);
    }
    if (err != QUDAG_OK) {
        return err;
    }
    c->prev.peer = *ev->peer;
    c->net = newcomer.net;
    c->via = newcomer.source;
    err = fair_add(&o->held, &c->place, c->net, c->via, o->now);
    if (err == QUDAG_OK) {
        fair_active(&o->held, &c->place, true);
        err = onion_leg_attach(&c->prev, ev->strm);
    }
    if (err != QUDAG_OK) {
        onion_circuit_free(c);
    }
    return err;
}

/* ---- the next hop ---- */

static struct onion_onward *onward_get(struct onion *o, const struct peer_id *peer)
{
    struct onion_onward *to = map_get(&o->onwards, peer_id_slice(peer));
    uint8_t seed[16];

    if (to != NULL) {
        return to;
    }
    to = mem_alloc(o->cfg.mem, sizeof *to);
    if (to == NULL) {
        return NULL;
    }
    to->peer = *peer;
    memcpy(seed, o->names, sizeof seed);
    fair_init(&to->held, o->cfg.mem, seed, 2 * ONION_LINK_RELAYED_MAX);
    if (map_put(&o->onwards, peer_id_slice(peer), to) != QUDAG_OK) {
        fair_fini(&to->held);
        mem_free(o->cfg.mem, to);
        return NULL;
    }
    return to;
}

qudag_err onion_onward_start(struct onion_circuit *c, struct acts *out)
{
    struct onion *o = c->o;
    struct onion_onward *to = onward_get(o, &c->next.peer);

    if (to == NULL) {
        return QUDAG_ENOMEM;
    }
    struct fair_claim newcomer = fair_claim_of(&to->held, c->net, c->via);
    qudag_err err = QUDAG_OK;
    if (to->held.n >= ONION_LINK_RELAYED_MAX) { /* never the last one: |to| stays */
        err = make_room(&to->held, &newcomer, ONION_LINK_RELAYED_MAX, ONWARD, out) ? QUDAG_OK
                                                                                   : QUDAG_ELIMIT;
    }
    if (err == QUDAG_OK) {
        err = fair_add(&to->held, &c->onward, c->net, c->via, o->now);
    }
    if (err != QUDAG_OK) {
        onion_onward_put(o, to);
        return err;
    }
    c->to = to;
    fair_wait(&to->held, &c->onward);
    onion_onward_serve(to);
    return QUDAG_OK;
}

/* ---- memory ---- */

bool onion_rule_create_due(tstamp owed, tstamp now)
{
    return owed <= tstamp_after(now, ONION_CREATE_AHEAD);
}

tstamp onion_rule_create_owed(tstamp owed, uint64_t gap, tstamp now)
{
    return tstamp_after(owed > now ? owed : now, gap);
}

bool onion_rule_sheds_first(const struct onion_bulk *a, const struct onion_bulk *b)
{
    return a->queued != b->queued ? a->queued > b->queued : a->age_ns < b->age_ns;
}

static struct onion_bulk bulk_of(const struct onion_circuit *c)
{
    return (struct onion_bulk){.queued = c->prev.queued + c->next.queued + c->prev.in.len +
                                         c->next.in.len + (c->mux == NULL ? 0 : c->mux->queued),
                               .age_ns = c->o->now - c->since};
}

uint64_t onion_shed(struct onion *o, tstamp now, struct acts *out)
{
    struct onion_circuit *worst = NULL;
    struct onion_bulk most = {0};

    onion_turn_begin(o, now, out);
    for (uint32_t i = 0; i < o->circuits.high; i++) {
        struct onion_circuit *c = slots_at(&o->circuits, i);
        struct onion_bulk b = c == NULL ? most : bulk_of(c);
        if (c != NULL && (worst == NULL || onion_rule_sheds_first(&b, &most))) {
            worst = c;
            most = b;
        }
    }
    uint64_t shed = worst == NULL || most.queued < ONION_SHED_MIN ? 0 : most.queued;
    if (shed > 0) {
        o->stats.shed++;
        onion_end_now(worst, out);
    }
    onion_turn_end(o);
    return shed;
}
