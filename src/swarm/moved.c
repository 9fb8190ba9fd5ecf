/*
 * moved.c - links whose address on this machine is gone.
 *
 *   another network, another lease ─ what used the address is closed at once ─▶ peers that were needed: dialled again
 *
 * Left alone such a link would look alive until its idle timeout.  Nobody is blamed: it is closed as given up by us.
 */
#include "swarm/internal.h"

bool swarm_link_needed(const struct swarm_link *l, unsigned *core)
{
    LIST_EACH(it, &l->streams)
    {
        const struct swarm_stream *st = LIST_ENTRY(it, struct swarm_stream, link_node);
        if (st->state != SWARM_STREAM_LISTEN) {
            *core = st->core;
            return true;
        }
    }
    if (list_empty(&l->peer->opens)) {
        return false;
    }
    *core = LIST_ENTRY(l->peer->opens.next, struct swarm_open, node)->report.core;
    return true;
}

/* The next link that is to be closed; NULL: none. */
static struct swarm_link *next_gone(const struct swarm *s, const struct swarm_moved *m)
{
    LIST_EACH(it, &s->links)
    {
        struct swarm_link *l = LIST_ENTRY(it, struct swarm_link, node);
        struct link_info info;
        struct netaddr local;
        if (l->up && (l->props & LINK_RELAYED) == 0 && l->peer != NULL &&
            swarm_link_info(l, &info) == QUDAG_OK && multiaddr_direct(&info.local, &local) &&
            swarm_rule_local_gone(m, &local, (l->props & LINK_INBOUND) != 0)) {
            return l;
        }
    }
    return NULL;
}

uint32_t swarm_moved(struct swarm *s, const struct swarm_moved *m, tstamp now)
{
    uint32_t n = 0;

    for (struct swarm_link *l = next_gone(s, m); l != NULL; l = next_gone(s, m)) {
        struct swarm_peer *p = l->peer;
        unsigned core = 0;
        /* Before, so that opens wait for it. */
        if (swarm_link_needed(l, &core) && p->n_links == 1 && p->n_dials == 0) {
            (void)swarm_dial_peer(s, p, core, s->cfg.need, now);
        }
        swarm_link_close(s, l, QUDAG_ECANCELED, now);
        s->stats.links_moved++;
        n++;
    }
    return n;
}
