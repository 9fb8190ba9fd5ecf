/*
 * clean_meetings.c - clean circuits that wait for the meetings of a service: built, closed when they are too old.
 *
 * Each service has its own, at all times, and is answered by no other's: how soon one answers says nothing of when
 * another was called, and so not that one node has both; nor when it was called itself, but for the last second or two.
 * Which are taken when: circuits.c, by the rule node_clean_cover_all().  SPEC: path-selection P-35.
 */
#include "node/internal.h"

#define LOOK_EVERY (5 * NS_PER_S)

static struct node_clean *of(struct node *n, const struct node_circuit *c)
{
    struct node_service *s = node_service_get(n, c->call);

    return s != NULL ? &s->clean : NULL;
}

static void built(struct node *n, struct node_circuit *c, tstamp now)
{
    struct node_clean *clean = of(n, c);

    c->leave_at = tstamp_after(now, node_clean_life(&n->cfg.rng));
    n->meetings_at = now;
    if (clean != NULL) {
        clean->failures = 0;
        clean->look_at = now;
    }
}

static void failed(struct node *n, struct node_circuit *c, qudag_err err, tstamp now)
{
    struct node_clean *clean = of(n, c);
    (void)err;

    if (clean != NULL && !c->canceled) {
        clean->failures++;
        clean->not_before = tstamp_after(now, node_clean_pause(clean->failures, &n->cfg.rng));
        node_service_look_again(n, clean, now);
    }
}

static const struct node_circuit_use waits = {.name = "clean",
                                              .meter = NODE_CIRCUIT_CLEAN,
                                              .stem = true,
                                              .meets = true,
                                              .built = built,
                                              .failed = failed};

static void look(const struct node *n, const struct node_service *s, tstamp now,
                 struct node_clean_view *v)
{
    *v = (struct node_clean_view){.wanted = node_clean_of_service(n->cfg.clean_circuits),
                                  .possible =
                                      n->boot.phase == NODE_READY && !n->closing && s->has_target,
                                  .used_at = {TSTAMP_NEVER, now}, /* as long as it is there */
                                  .circuits_max = n->cfg.circuits_max,
                                  .not_before = s->clean.not_before};
    LIST_EACH(it, &n->circuits)
    {
        const struct node_circuit *c = LIST_ENTRY(it, struct node_circuit, node);
        v->circuits++;
        if (c->use == &waits && c->call == s->name) {
            v->building = v->building || !c->open;
            v->waiting[NODE_CLEAN_LONG]++;
        }
    }
}

/* One that is too old, or would not be chosen any more, or is a service's that is over; NULL: none. */
static struct node_circuit *over(struct node *n, tstamp now)
{
    LIST_EACH(it, &n->circuits)
    {
        struct node_circuit *c = LIST_ENTRY(it, struct node_circuit, node);
        if (c->use == &waits && c->open &&
            (now >= c->leave_at || of(n, c) == NULL || !node_path_holds(n, c))) {
            return c;
        }
    }
    return NULL;
}

static void see_to(struct node *n, struct node_service *s, tstamp now)
{
    struct node_clean_view v;

    look(n, s, now, &v);
    if (node_clean_next(&v, now) == NODE_CLEAN_LONG) {
        qudag_err err = node_circuit_start_stem(n, &waits, n->cfg.hops, s->name);
        uint32_t failures = err == QUDAG_OK ? s->clean.failures : 1; /* no relay was asked */
        s->clean.not_before = tstamp_after(now, node_clean_pause(failures, &n->cfg.rng));
    }
    bool lacks = v.waiting[NODE_CLEAN_LONG] < node_clean_wanted(&v, NODE_CLEAN_LONG, now);
    tstamp next = tstamp_after(now, LOOK_EVERY);
    bool soon = lacks && !v.building && s->clean.not_before > now;
    node_service_look_again(n, &s->clean, soon ? tstamp_min(next, s->clean.not_before) : next);
}

static void tick(void *node, tstamp now, struct acts *out)
{
    struct node *n = node;
    struct node_circuit *c;
    (void)out; /* is node.acts */

    if (now < n->meetings_at) {
        return;
    }
    n->meetings_at = TSTAMP_NEVER;
    while ((c = over(n, now)) != NULL) {
        node_circuit_end(n, c, now);
    }
    LIST_EACH(it, &n->serving)
    {
        struct node_service *s = LIST_ENTRY(it, struct node_service, node);
        if (s->clean.look_at <= now) {
            see_to(n, s, now);
        }
        n->meetings_at = tstamp_min(n->meetings_at, s->clean.look_at);
    }
}

static tstamp deadline(const void *node)
{
    return ((const struct node *)node)->meetings_at;
}

qudag_err node_meetings_init(struct node *n)
{
    static const struct core_ops ops = {.tick = tick, .deadline = deadline};
    struct node_core core = {.name = "meetings", .instance = n, .ops = &ops};
    unsigned ix;

    n->meetings_at = TSTAMP_NEVER;
    return node_core_add(n, &core, NULL, &ix);
}
