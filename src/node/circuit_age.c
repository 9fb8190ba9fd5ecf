/*
 * circuit_age.c - circuits are not used for ever: those too old for new streams are closed once the last has ended,
 * those with streams when the programs that own them had time to move (isolation.h).
 *
 *   clean ─▶ dirty ─ no stream left ─▶ closed
 *              └─▶ old: hooks.stream_old for each stream ─▶ over: closed, its streams end with EEXPIRED
 *
 * With streams over which nothing passes for minutes it has another exchange of padding now and then: relays end what
 * is silent for ten minutes, and a shell, or a page that waits for news, is silent for hours.
 */
#include "node/arrows.h"
#include "node/internal.h"

#define LOOK_AGAIN (5 * NS_PER_S)    /* whether the last stream of a dirty circuit has ended */
#define LOOK_QUIETLY (60 * NS_PER_S) /* whether one that may take new streams has any */

/* The circuit that has the streams: of one to a caller of a service of ours, the one it carries. */
static struct ref with_streams(const struct node_circuit *c)
{
    return ref_none(c->carried) ? c->onion : c->carried;
}

static void tell_streams(struct node *n, const struct node_circuit *c, tstamp now)
{
    for (uint32_t i = 0; i < n->strmtab.high && n->hooks.stream_old != NULL; i++) {
        const struct node_stream *a = slots_at(&n->strmtab, i);
        if (a != NULL && a->opened && ref_eq(a->on, with_streams(c))) {
            n->hooks_called++;
            n->hooks.stream_old(n->hooks.ctx, a->ref, c->times.over - now);
        }
    }
}

/* SPEC: onion 9.7: a sign of life if one is due, of the client; when to look again for that. */
static tstamp show_life(struct node *n, const struct node_circuit *c, const struct onion_info *info,
                        tstamp now)
{
    tstamp due = node_life_sign_at(&c->times, info->streams, info->active_at);

    if (due <= now && ref_none(c->carried)) {
        node_padding_more(n, c);
    }
    return due <= now || due == TSTAMP_NEVER ? tstamp_after(now, LOOK_QUIETLY) : due;
}

/* When |c| is to be looked at again. */
static tstamp look_at(struct node *n, struct node_circuit *c, tstamp now)
{
    enum node_life life = node_life_at(&c->times, now);
    struct onion_info info;

    if (node_life_next(&c->times, now) == TSTAMP_NEVER && life != NODE_LIFE_OVER) {
        return TSTAMP_NEVER; /* not used so far */
    }
    if (!c->open || c->expired || onion_info_get(n->onion, with_streams(c), &info) != QUDAG_OK) {
        return node_life_next(&c->times, now);
    }
    if (life == NODE_LIFE_CLEAN) {
        return tstamp_min(node_life_next(&c->times, now), show_life(n, c, &info, now));
    }
    if (life == NODE_LIFE_OVER || info.streams == 0) {
        node_circuit_expire(n, c);
        return TSTAMP_NEVER;
    }
    if (life == NODE_LIFE_OLD && !c->told) {
        c->told = true;
        tell_streams(n, c, now);
    }
    (void)show_life(n, c, &info, now);
    return tstamp_min(node_life_next(&c->times, now), tstamp_after(now, LOOK_AGAIN));
}

static void tick(void *node, tstamp now, struct acts *out)
{
    struct node *n = node;
    tstamp next = TSTAMP_NEVER;
    (void)out; /* is node.acts, to which onion_close() adds */

    if (now < n->life_at) {
        return;
    }
    n->life_at = TSTAMP_NEVER;
    LIST_EACH(it, &n->circuits)
    {
        next = tstamp_min(next, look_at(n, LIST_ENTRY(it, struct node_circuit, node), now));
    }
    n->life_at = tstamp_min(n->life_at, next);
}

static tstamp deadline(const void *node)
{
    return ((const struct node *)node)->life_at;
}

qudag_err node_circuit_age_init(struct node *n)
{
    static const struct core_ops ops = {.tick = tick, .deadline = deadline};
    struct node_core core = {.name = "circuit_age", .instance = n, .ops = &ops};
    unsigned ix;

    n->life_at = TSTAMP_NEVER;
    return node_core_add(n, &core, NULL, &ix);
}
