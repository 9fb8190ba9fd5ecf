/*
 * clean_circuits.c - clean circuits are built in the background, and closed when they are too old (clean.h).
 *
 * Who takes one: circuits.c, for whatever is begun.  None is begun within a random while of a use or of another one, so
 * that what the program does is not slowed down by them, and what is begun when does not tell what ended.
 */
#include "node/internal.h"

#define LOOK_EVERY (5 * NS_PER_S) /* as long as one waits, or is to */

static void built(struct node *n, struct node_circuit *c, tstamp now)
{
    c->leave_at = tstamp_after(now, node_clean_life(&n->cfg.rng));
    n->clean.failures = 0;
    n->clean.look_at = now;
}

static void failed(struct node *n, struct node_circuit *c, qudag_err err, tstamp now)
{
    (void)err;
    if (!c->canceled) {
        n->clean.failures++;
        n->clean.not_before = tstamp_after(now, node_clean_pause(n->clean.failures, &n->cfg.rng));
    }
    n->clean.look_at = now;
}

static const struct node_circuit_use clean = {
    .name = "clean", .meter = NODE_CIRCUIT_CLEAN, .stem = true, .built = built, .failed = failed};

/* Relays that a stem of |len| has. */
static uint8_t relays_of(const struct node *n, enum node_clean_len len)
{
    return (uint8_t)(n->cfg.hops - (len == NODE_CLEAN_SHORT ? 1 : 0));
}

static void look(const struct node *n, struct node_clean_view *v)
{
    *v = (struct node_clean_view){.wanted = n->cfg.clean_circuits,
                                  .possible = n->boot.phase == NODE_READY && !n->closing &&
                                              n->ending.state == NODE_RUNS &&
                                              relays_of(n, NODE_CLEAN_SHORT) >= 2,
                                  .circuits_max = n->cfg.circuits_max,
                                  .not_before = n->clean.not_before};
    memcpy(v->used_at, n->clean.used_at, sizeof(v->used_at));
    LIST_EACH(it, &n->circuits)
    {
        const struct node_circuit *c = LIST_ENTRY(it, struct node_circuit, node);
        v->circuits++;
        if (c->use == &clean) {
            v->building = v->building || !c->open;
            v->waiting[c->relays == relays_of(n, NODE_CLEAN_LONG)]++;
        }
    }
}

/* One that is to be closed: it is too old, would not be chosen any more, or there are too many; NULL: none. */
static struct node_circuit *over(struct node *n, const struct node_clean_view *v, tstamp now)
{
    LIST_EACH(it, &n->circuits)
    {
        struct node_circuit *c = LIST_ENTRY(it, struct node_circuit, node);
        if (c->use != &clean || !c->open) {
            continue;
        }
        bool is_long = c->relays == relays_of(n, NODE_CLEAN_LONG);
        enum node_clean_len len = is_long ? NODE_CLEAN_LONG : NODE_CLEAN_SHORT;
        if (now >= c->leave_at || v->waiting[len] > node_clean_wanted(v, len, now) ||
            !node_path_holds(n, c)) {
            return c;
        }
    }
    return NULL;
}

static void begin(struct node *n, enum node_clean_len len, tstamp now)
{
    qudag_err err = node_circuit_start_stem(n, &clean, relays_of(n, len), 0);

    uint32_t failures =
        err == QUDAG_OK ? n->clean.failures : 1; /* without a path no relay was asked */

    n->clean.not_before = tstamp_after(now, node_clean_pause(failures, &n->cfg.rng));
}

static void tick(void *node, tstamp now, struct acts *out)
{
    struct node *n = node;
    struct node_clean_view v;
    struct node_circuit *c;
    (void)out; /* is node.acts */

    if (now < n->clean.look_at) {
        return;
    }
    if (n->cfg.clean_circuits == 0) {
        n->clean.look_at = TSTAMP_NEVER;
        return;
    }
    if (n->boot.phase == NODE_READY && !n->clean.begun) {
        n->clean.begun = true; /* who starts a node is about to use it */
        n->clean.used_at[NODE_CLEAN_SHORT] = now;
    }
    for (look(n, &v); (c = over(n, &v, now)) != NULL; look(n, &v)) {
        node_circuit_end(n, c, now);
    }
    enum node_clean_len len = node_clean_next(&v, now);
    if (len != NODE_CLEAN_NONE) {
        begin(n, len, now);
    }
    bool idle = n->clean.begun && v.waiting[NODE_CLEAN_SHORT] + v.waiting[NODE_CLEAN_LONG] == 0 &&
                node_clean_wanted(&v, NODE_CLEAN_SHORT, now) == 0 &&
                node_clean_wanted(&v, NODE_CLEAN_LONG, now) == 0 && v.possible;
    bool soon = n->clean.not_before > now && !v.building;
    tstamp next = tstamp_after(now, LOOK_EVERY);
    n->clean.look_at = idle ? TSTAMP_NEVER : soon ? tstamp_min(next, n->clean.not_before) : next;
}

static tstamp deadline(const void *node)
{
    return ((const struct node *)node)->clean.look_at;
}

qudag_err node_clean_init(struct node *n)
{
    static const struct core_ops ops = {.tick = tick, .deadline = deadline};
    struct node_core core = {.name = "clean", .instance = n, .ops = &ops};
    unsigned ix;

    n->clean = (struct node_clean){
        .used_at = {TSTAMP_NEVER, TSTAMP_NEVER},
        .look_at = n->cfg.clean_circuits > 0 ? tstamp_after(n->now, LOOK_EVERY) : TSTAMP_NEVER};
    return node_core_add(n, &core, NULL, &ix);
}
