/*
 * prune.c - what time ends: opens and negotiations that take too long, links that are idle or redundant.
 */
#include "swarm/quiet.h"
#include "swarm/rekey.h"
#include "swarm/trim.h"

#define IDLE_SHORT (20 * NS_PER_S)

static void expire_opens(struct swarm *s, tstamp now)
{
    LIST_EACH_SAFE(it, tmp, &s->opens)
    {
        struct swarm_open *o = LIST_ENTRY(it, struct swarm_open, order);
        if (tstamp_after(o->waits_from, s->cfg.dial_ns) > now) {
            break;
        }
        (void)swarm_open_expire(s, o, now);
    }
}

static void expire_negotiations(struct swarm *s, tstamp now)
{
    LIST_EACH_SAFE(it, tmp, &s->negotiating)
    {
        struct swarm_stream *st = LIST_ENTRY(it, struct swarm_stream, wait_node);
        if (tstamp_after(st->since, s->cfg.negotiate_ns) > now) {
            break;
        }
        s->stats.negotiate_timeout++;
        const struct swarm_link *l = st->link;
        l->tp->t->ops->reset(l->tp->owner, l->ref, st->sid, QUDAG_ETIMEOUT);
        st->timed_out = true;
        list_del(&st->wait_node);
        list_push_back(&s->timed_out, &st->wait_node);
    }
}

static bool link_is_idle(const struct swarm_link *l, uint64_t for_ns, tstamp now)
{
    return l->up && (l->props & LINK_ANON) == 0 && l->n_streams == 0 &&
           tstamp_after(l->idle_since, for_ns) <= now;
}

/*
 * Whether |m| does what |l| does.  A relayed link gives way to a direct one.  Of two of one kind only one of
 * our own dialling is given up, so that the two sides never give up both; of two that we dialled the older.
 */
static bool replaces(const struct swarm *s, const struct swarm_link *m, const struct swarm_link *l)
{
    uint8_t alike = SWARM_PROVEN_PROPS | LINK_RELAYED | LINK_LIMITED;

    if ((l->props & ~m->props & SWARM_PROVEN_PROPS) != 0) {
        return false;
    }
    if ((l->props & ~m->props & LINK_RELAYED) != 0) {
        return true;
    }
    if ((l->props & LINK_INBOUND) != 0 || m->tp != l->tp || ((m->props ^ l->props) & alike) != 0) {
        return false;
    }
    return (m->props & LINK_INBOUND) != 0 ? swarm_rule_kept_dial(&s->cfg.self, &l->peer->id, true)
                                          : m->up_order > l->up_order;
}

static bool link_is_redundant(const struct swarm *s, const struct swarm_link *l, tstamp now)
{
    const struct swarm_peer *p = l->peer;

    for (size_t i = 0; p != NULL && i < p->n_links; i++) {
        struct swarm_link *m = p->link[i];
        bool stands_by =
            swarm_rule_stands_by(l->props & ~(unsigned)m->props, m->n_streams > 0, m->since, now);
        if (m != l && replaces(s, m, l) && !stands_by && !swarm_link_silent(m, now) &&
            !swarm_rule_path_unsure(&m->path, now)) {
            return true;
        }
    }
    return false;
}

/* Closes redundant links after IDLE_SHORT, and idle ones, unless the program protects their peer. */
static void prune_links(struct swarm *s, tstamp now)
{
    LIST_EACH_SAFE(it, tmp, &s->links)
    {
        struct swarm_link *l = LIST_ENTRY(it, struct swarm_link, node);
        if (link_is_idle(l, IDLE_SHORT, now) && link_is_redundant(s, l, now)) {
            swarm_trim_link(s, l, SWARM_TRIM_REDUNDANT, now);
        } else if (l->standing != RES_PROTECTED && link_is_idle(l, s->cfg.idle_close_ns, now)) {
            swarm_trim_link(s, l, SWARM_TRIM_IDLE, now);
        }
    }
}

void swarm_tick(struct swarm *s, tstamp now)
{
    expire_opens(s, now);
    expire_negotiations(s, now);
    swarm_dials_go_on(s, now);
    if (s->quiet_new || now >= s->rescue_at) {
        swarm_rescue_links(s, now);
    }
    if (now >= s->next_prune) {
        swarm_renew_links(s, now);
        swarm_links_stand(s);
        prune_links(s, now);
        bool more = swarm_rekey_links(s, now);
        more = swarm_trim_surplus(s, now) || more;
        more = swarm_redial(s, now) || more;
        s->next_prune = tstamp_after(now, more ? NS_PER_S : 10 * NS_PER_S);
    }
}

tstamp swarm_deadline(const struct swarm *s)
{
    tstamp at = tstamp_min(s->next_prune, swarm_pins_deadline(&s->pins));

    at = tstamp_min(at, s->rescue_at);

    if (!list_empty(&s->dead) || !list_empty(&s->timed_out) || !list_empty(&s->notify) ||
        !list_empty(&s->pending)) {
        return 0; /* for swarm_step */
    }
    if (s->quiet_new) {
        return 1; /* at once */
    }
    if (!list_empty(&s->opens)) {
        const struct swarm_open *o = LIST_ENTRY(s->opens.next, struct swarm_open, order);
        at = tstamp_min(at, tstamp_after(o->waits_from, s->cfg.dial_ns));
    }
    if (!list_empty(&s->delayed)) {
        at = tstamp_min(at, LIST_ENTRY(s->delayed.next, struct swarm_peer, delayed)->next_at);
    }
    if (!list_empty(&s->negotiating)) {
        const struct swarm_stream *st =
            LIST_ENTRY(s->negotiating.next, struct swarm_stream, wait_node);
        at = tstamp_min(at, tstamp_after(st->since, s->cfg.negotiate_ns));
    }
    return at;
}
