/* clean_use.c - what a new circuit for one's own use says of the clean circuits that will be wanted next (clean.h). */
#include "node/internal.h"

void node_service_look_again(struct node *n, struct node_clean *clean, tstamp at)
{
    clean->look_at = at;
    n->meetings_at = tstamp_min(n->meetings_at, at);
}

static void meets(struct node *n, uint64_t name, tstamp now)
{
    struct node_service *s = node_service_get(n, name);

    if (s != NULL) {
        node_clean_used(&s->clean, NODE_CLEAN_LONG, now, &n->cfg.rng);
        node_service_look_again(n, &s->clean, s->clean.look_at);
    }
}

void node_clean_use(struct node *n, const struct node_circuit *c)
{
    bool is_long = node_path_hops(c) > n->cfg.hops;

    if (c->use->meets) {
        meets(n, c->call, n->now);
    } else {
        node_clean_used(&n->clean, is_long ? NODE_CLEAN_LONG : NODE_CLEAN_SHORT, n->now,
                        &n->cfg.rng);
    }
}
