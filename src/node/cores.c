/*
 * cores.c - the table of cores: registration, brackets around calls, their actions carried out.
 *
 *   node_core_add ─▶ table          swarm ─ event ─▶ node_core_event ─▶ core ─▶ node.acts
 *   node_cores_act: OPEN .. RESET ─▶ swarm, UP ─▶ the core's report function
 *
 * A core without events has no streams and is unknown to the swarm; one without clock is never woken.
 */
#include "node/internal.h"

#include "base/assert.h"

qudag_err node_core_add(struct node *n, const struct node_core *core, const char *protocol,
                        unsigned *ix)
{
    unsigned at = 0;
    qudag_err err = n->n_cores < NODE_CORES_MAX ? QUDAG_OK : QUDAG_ELIMIT;

    if (err == QUDAG_OK && core->ops->event != NULL) {
        err = swarm_core_add(n->swarm, core->ops, &at);
    }
    if (err != QUDAG_OK) {
        if (core->free != NULL) {
            core->free(core->instance);
        }
        return err;
    }
    struct node_core *c = &n->core[n->n_cores];
    *c = *core;
    c->swarm_ix = at;
    if (core->ops->event != NULL) {
        n->by_swarm[at] = n->n_cores;
    }
    *ix = n->n_cores++;
    return protocol == NULL ? QUDAG_OK : swarm_proto_add(n->swarm, protocol, at, true);
}

void node_cores_free(struct node *n)
{
    while (n->n_cores > 0) {
        struct node_core *c = &n->core[--n->n_cores];
        if (c->free != NULL) {
            c->free(c->instance);
        }
    }
}

struct acts *node_begin(struct node *n)
{
    ASSERT(n->tagged == n->acts.n);
    return &n->acts;
}

void node_end(struct node *n, unsigned core)
{
    while (n->tagged < n->acts.n) {
        n->tag[n->tagged++] = (uint8_t)core;
    }
    if (n->acts.overflow) {
        n->acts.overflow = false;
        log_event(&n->cfg.log, LOG_ERROR, "node.actions_overflow",
                  LOG_STR("core", n->core[core].name));
    }
}

bool node_core_at_relay(const struct onion_info *circuit)
{
    return circuit->role == ONION_END && circuit->tag == 0 && ref_none(circuit->carrier);
}

/* A stream over a circuit that |c| must not serve: for whoever opened it, a protocol that nobody has. */
static bool elsewhere(const struct node *n, const struct node_core *c, const struct ev *ev)
{
    struct onion_info info;

    if (!c->at_relays || ev->type != EV_STREAM_OPEN || !ev->inbound ||
        (ev->props & LINK_ANON) == 0) {
        return false;
    }
    return onion_info_get(n->onion, ref_from_u64(ev->link), &info) != QUDAG_OK ||
           !node_core_at_relay(&info);
}

static void event(struct node *n, unsigned core, const struct ev *ev)
{
    struct node_core *c = &n->core[core];
    struct acts *out = node_begin(n);

    if (elsewhere(n, c, ev)) {
        acts_reset(out, ev->strm, QUDAG_EUNSUPPORTED);
        node_end(n, core);
        return;
    }
    c->ops->event(c->instance, ev, n->now, out);
    if (out->overflow && !ref_none(ev->strm)) {
        n->victim = ev->strm; /* actions were lost, so what it carries has a hole */
        n->victim_core = core;
    }
    node_end(n, core);
}

void node_core_event(void *node, unsigned swarm_ix, const struct ev *ev)
{
    struct node *n = node;

    event(n, n->by_swarm[swarm_ix], ev);
}

void node_cores_drop_victim(struct node *n, tstamp now)
{
    if (ref_none(n->victim)) {
        return;
    }
    struct act reset = {.type = ACT_RESET, .strm = n->victim, .err = QUDAG_ELIMIT};
    struct ev ev = {.type = EV_RESET, .strm = n->victim, .err = QUDAG_ELIMIT};
    n->victim = (struct ref){0, 0};
    swarm_act(n->swarm, n->core[n->victim_core].swarm_ix, &reset, NULL, now);
    event(n, n->victim_core, &ev);
}

void node_cores_act(struct node *n, tstamp now)
{
    for (size_t i = 0; i < n->acts.n; i++) {
        /* What carrying it out adds to the list comes behind it. */
        const struct act *a = &n->acts.v[i];
        const struct node_core *c = &n->core[n->tag[i]];
        if (a->type != ACT_UP) {
            const char *proto =
                a->type == ACT_OPEN && c->open_proto != NULL ? c->open_proto(n, a) : NULL;
            if (a->type != ACT_OPEN || c->holds == NULL || !c->holds(n, n->tag[i], a, proto)) {
                swarm_act(n->swarm, c->swarm_ix, a, proto, now);
            }
        } else if (c->report != NULL) {
            c->report(n, a, now);
        }
    }
    n->acts.n = 0;
    n->acts.bytes_n = 0;
    acts_let_go(&n->acts);
    n->tagged = 0;
}
