/*
 * spent.c - circuits of lookups that have been answered: they stay for a while, as others do.
 *
 * Closed with its answer, a lookup's circuit would be known by that.  It carries nothing any more: what one relay sees
 * still cannot be joined.
 */
#include "node/internal.h"

#define STAY_MIN (30 * NS_PER_S)
#define STAY_MORE_S 90 /* and up to so many seconds more */
#define SPENT_MAX 32   /* the oldest is closed for one more */

static void built(struct node *n, struct node_circuit *c, tstamp now)
{
    (void)n;
    (void)c;
    (void)now;
}

static void failed(struct node *n, struct node_circuit *c, qudag_err err, tstamp now)
{
    (void)n;
    (void)c;
    (void)err;
    (void)now;
}

static const struct node_circuit_use use = {.name = "spent", .built = built, .failed = failed};

/* Of the spent ones the one that leaves first; NULL: none. */
static struct node_circuit *first_to_leave(const struct node *n, uint32_t *count)
{
    struct node_circuit *first = NULL;

    *count = 0;
    LIST_EACH(it, &n->circuits)
    {
        struct node_circuit *c = LIST_ENTRY(it, struct node_circuit, node);
        if (c->use == &use) {
            (*count)++;
            first = first == NULL || c->leave_at < first->leave_at ? c : first;
        }
    }
    return first;
}

void node_circuit_spent(struct node *n, struct node_op *op, qudag_err err, tstamp now)
{
    struct node_circuit *c = op->circuit;
    uint32_t count;

    if (c != NULL && c->open) {
        node_path_served(n, c, err);
    }
    if (c == NULL || !c->open || n->cfg.padding == NODE_PADDING_NONE) {
        node_circuit_close_of(n, op, now);
        return;
    }
    struct node_circuit *first = first_to_leave(n, &count);
    if (count >= SPENT_MAX) {
        node_circuit_end(n, first, now);
    }
    op->circuit = NULL;
    c->op = (struct ref){0, 0};
    c->use = &use;
    c->leave_at =
        tstamp_after(now, STAY_MIN + rng_below(&n->cfg.rng, STAY_MORE_S * 1000) * NS_PER_MS);
    n->spent_at = tstamp_min(n->spent_at, c->leave_at);
}

static void tick(void *node, tstamp now, struct acts *out)
{
    struct node *n = node;
    uint32_t count;
    (void)out; /* is node.acts */

    if (now < n->spent_at) {
        return;
    }
    struct node_circuit *c = first_to_leave(n, &count);
    if (c != NULL && c->leave_at <= now) {
        node_circuit_end(n, c, now);
        c = first_to_leave(n, &count);
    }
    n->spent_at = c == NULL ? TSTAMP_NEVER : c->leave_at;
}

/* Asked for at each turn: not a walk over all circuits. */
static tstamp deadline(const void *node)
{
    return ((const struct node *)node)->spent_at;
}

qudag_err node_spent_init(struct node *n)
{
    static const struct core_ops ops = {.tick = tick, .deadline = deadline};
    struct node_core core = {.name = "spent", .instance = n, .ops = &ops};
    unsigned ix;

    n->spent_at = TSTAMP_NEVER;
    return node_core_add(n, &core, NULL, &ix);
}
