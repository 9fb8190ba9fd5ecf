/*
 * renew.c - links before their certificates end.
 *
 *   up ─ renew_at, in use ─▶ another is dialled ─ up ▶ new streams go there ─ idle ▶ pruned
 *                                                                           └ until ▶ closed
 */
#include "swarm/internal.h"

#define RENEW_RETRY (300 * NS_PER_S)

/* Another link of the peer has what |l| has, and for longer. */
static bool is_replaced(const struct swarm_link *l)
{
    const uint8_t kind = LINK_RELAYED | LINK_LIMITED, proven = SWARM_PROVEN_PROPS;

    for (size_t i = 0; i < l->peer->n_links; i++) {
        const struct swarm_link *m = l->peer->link[i];
        bool lacks = (l->props & ~m->props & proven) != 0;
        bool worse = (m->props & ~l->props & kind) != 0;
        if (!lacks && !worse && m->until > tstamp_after(l->until, SWARM_RENEW_LEAD)) {
            return true;
        }
    }
    return false;
}

static void renew(struct swarm *s, struct swarm_link *l, unsigned core, tstamp now)
{
    l->renew_at = tstamp_after(now, RENEW_RETRY);
    if (l->peer->n_dials == 0 && swarm_dial_again(s, l, core, now) == QUDAG_OK) {
        s->stats.links_renewed++;
    }
}

void swarm_renew_links(struct swarm *s, tstamp now)
{
    LIST_EACH_SAFE(it, tmp, &s->links)
    {
        struct swarm_link *l = LIST_ENTRY(it, struct swarm_link, node);
        unsigned core = 0;
        if (!l->up || l->peer == NULL) {
            continue;
        }
        bool needed = swarm_link_needed(l, &core);
        switch (swarm_rule_renewal(l->until, l->renew_at, (l->props & LINK_INBOUND) != 0, needed,
                                   is_replaced(l), now)) {
        case SWARM_RENEWAL_DIAL:
            renew(s, l, core, now);
            break;
        case SWARM_RENEWAL_END:
            s->stats.links_expired++;
            swarm_link_close(s, l, QUDAG_OK, now);
            break;
        case SWARM_RENEWAL_NONE:
            break;
        }
    }
}
