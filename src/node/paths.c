/*
 * paths.c - which relays a circuit of ours leads over, and what its end says of them.
 *
 * The rules of the choice are core/relays'; here it learns what the circuit is for, and how it ended
 * (node_rule_path_end).  No hop is blamed for what this node did or lacks (err_is_ours).
 */
#include "base/err.h"
#include "node/arrows.h"
#include "node/internal.h"

#include <string.h>

#define WAIT (20 * NS_PER_S)
#define STEM_TRIES 24 /* draws of a clean circuit that has little in common with another */

/* Where |c| is to end; NULL: at a relay of our choice. */
static const struct onion_hop *named_last(const struct node_circuit *c)
{
    return c->use->to_service || c->use->to_relay ? &c->target : NULL;
}

uint8_t node_path_hops(const struct node_circuit *c)
{
    bool more = named_last(c) != NULL || c->use->stem;

    return (uint8_t)(c->relays + (more ? 1 : 0));
}

static struct relays_path_want want_of(const struct node_circuit *c)
{
    return (struct relays_path_want){.n = c->use->stem ? node_path_hops(c) : c->relays,
                                     .stem = c->use->stem,
                                     .service = named_last(c),
                                     .named = c->use->to_relay,
                                     .not_last = c->avoid,
                                     .n_not_last = c->n_avoid};
}

/* How much |c| has in common with what waits for the same: 0 nothing, 1 a later relay, 2 the second-layer guard. */
static unsigned in_common(const struct node *n, const struct node_circuit *c)
{
    unsigned most = 0;

    LIST_EACH(it, &n->circuits)
    {
        const struct node_circuit *o = LIST_ENTRY(it, struct node_circuit, node);
        if (o == c || o->relays != c->relays || !node_circuit_waits_for(o, c)) {
            continue;
        }
        struct node_clean_path both[2] = {{c->path, c->relays}, {o->path, o->relays}};
        bool second = peer_id_eq(&o->path[1].peer, &c->path[1].peer);
        unsigned much = second ? 2 : node_clean_cover_all(both, 2) ? 0 : 1;
        most = much > most ? much : most;
    }
    return most;
}

/*
 * Those that wait have other relays behind the guard if they can, at least another second-layer guard: no relay that
 * others name fits none of them.
 */
static qudag_err draw(struct node *n, struct node_circuit *c, const struct relays_path_want *want)
{
    qudag_err err = QUDAG_OK;

    for (int i = 0; i < STEM_TRIES && err == QUDAG_OK; i++) {
        err = relays_path_apart(n->relays, want, &c->apart, n->now, c->path);
        unsigned enough = i < STEM_TRIES / 2 ? 0 : 1;
        if (!c->use->stem || (err == QUDAG_OK && in_common(n, c) <= enough)) {
            break;
        }
    }
    return err;
}

qudag_err node_path_choose(struct node *n, struct node_circuit *c)
{
    const struct relays_path_want want = want_of(c);

    c->reached = 0;
    qudag_err err = node_small_network_check(n);
    if (err == QUDAG_OK) {
        err = draw(n, c, &want);
    }
    if (err != QUDAG_OK) {
        return err;
    }
    c->n_hops = c->relays;
    if (want.service != NULL) {
        c->path[c->n_hops++] = c->target;
    }
    node_saved_guards(n, false);
    return QUDAG_OK;
}

static struct relays_stem stem_of(const struct node_circuit *c)
{
    return (struct relays_stem){c->path, c->n_hops};
}

qudag_err node_path_complete(struct node *n, struct node_circuit *c,
                             const struct node_circuit *stem, bool near)
{
    struct relays_path_want want = want_of(c);
    const struct relays_stem begun = stem_of(stem);
    struct onion_hop last;

    want.near = near;
    if (node_small_network_check(n) != QUDAG_OK) {
        return QUDAG_ENORELAYS;
    }
    qudag_err err = relays_path_last(n->relays, &want, &c->apart, &begun, n->now, &last);
    if (err != QUDAG_OK) {
        return err;
    }
    memcpy(c->path, stem->path, stem->n_hops * sizeof(c->path[0]));
    c->path[stem->n_hops] = last;
    c->n_hops = (uint8_t)(stem->n_hops + 1);
    return QUDAG_OK;
}

bool node_path_holds(struct node *n, const struct node_circuit *stem)
{
    const struct relays_stem begun = stem_of(stem);

    return node_small_network_check(n) == QUDAG_OK && relays_stem_holds(n->relays, &begun, n->now);
}

static bool joining(const struct node *n)
{
    const struct node_boot_state *b = &n->boot;

    return b->started && b->phase != NODE_FAILED &&
           (b->phase != NODE_READY || n->now < b->settled_at ||
            (n->survey.lookups > 0 && !relays_is_settled(n->relays)));
}

bool node_path_awaited(const struct node *n, const struct node_circuit *c, qudag_err err)
{
    if (n->now >= tstamp_after(c->since, WAIT)) {
        return false;
    }
    if (err == QUDAG_ENOGUARD) {
        return !relays_guards_spent(n->relays);
    }
    return node_rule_awaits_relays(err) && joining(n);
}

void node_path_built(struct node *n, const struct node_circuit *c, tstamp now)
{
    relays_hops_worked(n->relays, c->path, c->n_hops, now);
    if (!c->use->stem) {
        relays_circuit_built(n->relays, &c->path[0].peer, true);
    }
}

static void judge(struct node *n, struct node_circuit *c, const struct node_path_end *end)
{
    const struct peer_id *guard = &c->path[0].peer;
    enum node_path_verdict v = c->judged ? NODE_PATH_NOTHING : node_rule_path_end(end);

    switch (v) {
    case NODE_PATH_NOTHING:
        break;
    case NODE_PATH_NOT_BUILT:
    case NODE_PATH_BUILT:
        relays_circuit_built(n->relays, guard, v == NODE_PATH_BUILT);
        break;
    case NODE_PATH_BROKE:
    case NODE_PATH_INTACT:
        c->judged = true;
        relays_circuit_ended(n->relays, guard, v == NODE_PATH_INTACT);
        break;
    }
}

/*
 * Hops that can be blamed for its end: a rendezvous point ends a circuit, too, because the one it is joined with has
 * ended, which is the other side's doing.
 */
static uint64_t to_blame(const struct node_circuit *c)
{
    return c->carries && !c->use->to_relay ? c->relays - 1U : c->relays;
}

static struct node_path_end end_of(const struct node_circuit *c, uint64_t hop, qudag_err err)
{
    return (struct node_path_end){.open = c->open,
                                  .reached = c->reached,
                                  .hop = hop,
                                  .relays = to_blame(c),
                                  .err = err,
                                  .others = c->use->to_service || c->use->to_relay || c->carries,
                                  .closed = c->canceled || c->expired,
                                  .unanswered = c->unanswered};
}

void node_path_served(struct node *n, struct node_circuit *c, qudag_err err)
{
    struct node_path_end end;

    c->unanswered = c->unanswered && (err == QUDAG_ETIMEOUT || err_is_ours(err));
    end = end_of(c, 0, err);
    end.closed = true; /* of no more use */
    judge(n, c, &end);
}

void node_path_ended(struct node *n, struct node_circuit *c, uint64_t hop, qudag_err err,
                     tstamp now)
{
    struct node_path_end end = end_of(c, hop, err);

    if (c->use->stem && c->open) { /* it was not taken, so that is counted now */
        relays_circuit_built(n->relays, &c->path[0].peer, true);
    }
    judge(n, c, &end);
    if (hop >= 1 && hop <= to_blame(c)) { /* the first hop that was not reached */
        relays_hop_failed(n->relays, c->path, hop, now);
        if (hop == 1 && !err_is_ours(err)) {
            n->guards.ask_others = true;
        }
    }
}
