/* ending.c - the orderly end of a node; see ending.h. */
#include "node/internal.h"

bool node_rule_end(const struct node_running *r, tstamp end_at, tstamp now)
{
    return now >= end_at || (r->requests == 0 && r->streams == 0);
}

static struct node_running running(const struct node *n)
{
    struct node_running r = {.requests = node_ops_running(n)};

    for (uint32_t i = 0; i < n->strmtab.high; i++) {
        const struct node_stream *a = slots_at(&n->strmtab, i);
        r.streams += a != NULL && !a->dropped ? 1 : 0;
    }
    return r;
}

void node_end_begin(struct node *n, uint64_t within_ns,
                    void (*done)(void *ctx, const struct node_running *cut), void *ctx, tstamp now)
{
    struct node_ending *e = &n->ending;
    tstamp at = tstamp_after(now, within_ns);

    n->now = now;
    if (e->state != NODE_RUNS) {
        e->at = tstamp_min(e->at, at);
        return;
    }
    struct node_running r = running(n);
    *e = (struct node_ending){.state = NODE_ENDING, .at = at, .done = done, .ctx = ctx};
    log_event(&n->cfg.log, LOG_INFO, "node.ending", LOG_NUM("requests", r.requests),
              LOG_NUM("streams", r.streams), LOG_NUM("within_ms", within_ns / NS_PER_MS));
    swarm_close_door(n->swarm);
}

enum node_end_state node_end_get(const struct node *n, struct node_running *r, uint64_t *left_ns,
                                 tstamp now)
{
    const struct node_ending *e = &n->ending;

    *r = e->state == NODE_ENDED ? e->cut : running(n);
    *left_ns = e->state == NODE_ENDING && e->at > now ? e->at - now : 0;
    return e->state;
}

static void tick(void *node, tstamp now, struct acts *out)
{
    struct node *n = node;
    struct node_ending *e = &n->ending;
    struct node_running r = running(n);
    (void)out;

    if (e->state != NODE_ENDING || !node_rule_end(&r, e->at, now)) {
        return;
    }
    e->due = true; /* after this tick: nothing is freed under a core that is being called */
    e->cut = r;
}

/* It is looked at after each event: whatever ends is an event. */
static tstamp deadline(const void *node)
{
    const struct node *n = node;
    const struct node_ending *e = &n->ending;

    if (e->state != NODE_ENDING || e->due) {
        return TSTAMP_NEVER;
    }
    struct node_running r = running(n);
    return r.requests == 0 && r.streams == 0 ? 0 : e->at;
}

bool node_end_due(struct node *n)
{
    return n->ending.due && n->ending.state == NODE_ENDING;
}

void node_end_done(struct node *n)
{
    struct node_ending *e = &n->ending;

    e->state = NODE_ENDED;
    log_event(&n->cfg.log, LOG_INFO, "node.ended", LOG_NUM("requests_cut", e->cut.requests),
              LOG_NUM("streams_cut", e->cut.streams));
    if (e->done != NULL) {
        e->done(e->ctx, &e->cut);
    }
}

qudag_err node_ending_init(struct node *n)
{
    static const struct core_ops ops = {.tick = tick, .deadline = deadline};
    struct node_core core = {.name = "ending", .instance = n, .ops = &ops};
    unsigned ix;

    return node_core_add(n, &core, NULL, &ix);
}
