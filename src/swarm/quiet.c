/*
 * quiet.c - links whose path may be dead, and relayed ones that are to become direct again.
 *
 *   LINK_QUIET ─▶ what is opened goes to another link; is none heard: dialled, directly and through a relay
 *   LINK_HEARD ─ swarm_rule_quiet_pause() ─▶ used again
 *   only relayed links, in use ─ swarm_rule_redial_pause() ─▶ dialled directly, again and again
 *
 * What is under way on the link goes on: nobody knows yet that it is dead (quic/silence.c finds that out).
 */
#include "swarm/quiet.h"

static const struct core_ops *ops_of(const struct swarm *s, const struct swarm_stream *st)
{
    return st->state == SWARM_STREAM_LISTEN ? NULL : s->core[st->core].ops;
}

/* Whether there is a stream on |l| that any link may carry, and whose dials those beside it are. */
static bool is_needed(const struct swarm *s, const struct swarm_link *l, unsigned *core)
{
    LIST_EACH(it, &l->streams)
    {
        const struct swarm_stream *st = LIST_ENTRY(it, struct swarm_stream, link_node);
        const struct core_ops *ops = ops_of(s, st);
        if (ops != NULL && !ops->direct_only && ops->unit == 0) {
            *core = st->core;
            return true;
        }
    }
    return false;
}

static bool has_other(const struct swarm_link *l, tstamp now)
{
    for (size_t i = 0; i < l->peer->n_links; i++) {
        struct swarm_link *m = l->peer->link[i];
        if (m != l && !m->leaving && !swarm_link_silent(m, now) &&
            !swarm_rule_path_unsure(&m->path, now)) {
            return true;
        }
    }
    return false;
}

/* Whether an address of |p| is known through a relay, or a direct one. */
static bool has_address(const struct swarm *s, const struct swarm_peer *p, bool relayed)
{
    for (size_t i = 0; i < p->n_addrs; i++) {
        bool is = swarm_transport_for(s, &p->addr[i].ma)->t->cost == TRANSPORT_RELAYED;
        if (is == relayed) {
            return true;
        }
    }
    return false;
}

/* What its core asks again ends here; swarm_step() tells it. */
static void ask_elsewhere(struct swarm *s, struct swarm_link *l)
{
    LIST_EACH(it, &l->streams)
    {
        struct swarm_stream *st = LIST_ENTRY(it, struct swarm_stream, link_node);
        const struct core_ops *ops = ops_of(s, st);
        if (ops == NULL || !ops->asks_again || st->inbound || !st->in_up || st->timed_out) {
            continue;
        }
        l->tp->t->ops->reset(l->tp->owner, l->ref, st->sid, QUDAG_ECANCELED);
        st->timed_out = st->elsewhere = true;
        list_del(&st->wait_node);
        list_push_back(&s->timed_out, &st->wait_node);
    }
}

uint64_t swarm_rule_rescue_pause(uint32_t times)
{
    unsigned doubled = times > 7 ? 4 : times > 3 ? times - 3 : 0;

    return times < 3 ? 0 : (4 * NS_PER_S) << doubled;
}

/* When |p| may be dialled for a quiet link, as far as the last times tell. */
static tstamp rescue_from(const struct swarm_peer *p)
{
    return p->rescues == 0 ? 0 : tstamp_after(p->rescued_at, swarm_rule_rescue_pause(p->rescues));
}

static void rescued(struct swarm_peer *p, tstamp now)
{
    bool in_a_row = p->rescues > 0 && now < tstamp_after(p->rescued_at, SWARM_RESCUE_FORGET);

    p->rescues = in_a_row ? p->rescues + 1 : 1;
    p->rescued_at = now;
}

static void rescue(struct swarm *s, struct swarm_link *l, tstamp now)
{
    unsigned core = 0;
    struct swarm_quiet_view v = {.needed = is_needed(s, l, &core),
                                 .other = has_other(l, now),
                                 .dialling = l->peer->n_dials > 0,
                                 .relayed = has_address(s, l->peer, true),
                                 .lasts = now >= tstamp_after(l->path.since, SWARM_RESCUE_DIRECT),
                                 .too_soon = now < rescue_from(l->peer)};

    l->path.fresh = (!v.lasts && !v.relayed) || v.too_soon;
    if (l->path.fresh) {
        tstamp due = v.relayed ? now : tstamp_after(l->path.since, SWARM_RESCUE_DIRECT);
        tstamp from = rescue_from(l->peer);
        s->rescue_at = tstamp_min(s->rescue_at, due > from ? due : from);
    }
    if (v.other) {
        ask_elsewhere(s, l);
    }
    if (swarm_rule_rescue(&v) && limiter_take(&s->rescues, 1, now)) {
        const struct swarm_beside as = {l, core, true};
        rescued(l->peer, now);
        s->stats.links_rescued += swarm_dial_beside(s, l->peer, &as, now) > 0 ? 1 : 0;
    }
}

void swarm_rescue_links(struct swarm *s, tstamp now)
{
    s->quiet_new = false;
    s->rescue_at = TSTAMP_NEVER;
    LIST_EACH_SAFE(it, tmp, &s->links)
    {
        struct swarm_link *l = LIST_ENTRY(it, struct swarm_link, node);
        if (l->path.fresh && l->up && l->peer != NULL) {
            rescue(s, l, now);
        }
    }
}

/* ---- direct again ---- */

static bool has_direct(const struct swarm_peer *p, tstamp now)
{
    for (size_t i = 0; i < p->n_links; i++) {
        const struct swarm_link *l = p->link[i];
        if ((l->props & LINK_RELAYED) == 0 && !swarm_rule_path_unsure(&l->path, now)) {
            return true;
        }
    }
    return false;
}

bool swarm_redial(struct swarm *s, tstamp now)
{
    bool waits = false;

    LIST_EACH_SAFE(it, tmp, &s->links)
    {
        struct swarm_link *l = LIST_ENTRY(it, struct swarm_link, node);
        unsigned core = 0;
        if (!l->up || l->peer == NULL || (l->props & LINK_RELAYED) == 0 ||
            has_direct(l->peer, now) || !has_address(s, l->peer, false) ||
            !is_needed(s, l, &core)) {
            continue;
        }
        waits = true;
        if (now >= l->path.redial_at && l->peer->n_dials == 0) {
            l->path.redial_at = tstamp_after(now, swarm_rule_redial_pause(l->path.redials++));
            const struct swarm_beside as = {NULL, core, false};
            (void)swarm_dial_beside(s, l->peer, &as, now);
        }
    }
    return waits;
}
