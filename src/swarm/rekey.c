/*
 * rekey.c - which links were made with the ML-DSA key that we had before; renew.c makes them anew.
 *
 *   swarm_rekey() ─▶ all that stand, and dials under way, are old ─ another is up ▶ its peer asks on it whose the key
 *   is (doubts.c), and as long what is opened goes to the old one
 */
#include "swarm/rekey.h"

#include "swarm/internal.h"

#define REKEY_SETTLE (5 * NS_PER_S) /* in which a peer has followed */

void swarm_rekey(struct swarm *s, tstamp now)
{
    LIST_EACH(it, &s->links) /* dials, too: they show the certificate that they began with */
    {
        struct swarm_link *l = LIST_ENTRY(it, struct swarm_link, node);
        if (!l->tp->t->on_demand) { /* circuits prove nothing of us */
            l->rekey.old = true;
            l->rekey.due = now;
        }
    }
    s->rekeyed = now;
    s->next_prune = now;
}

uint32_t swarm_links_old_key(const struct swarm *s)
{
    uint32_t n = 0;

    LIST_EACH(it, &s->links)
    {
        const struct swarm_link *l = LIST_ENTRY(it, struct swarm_link, node);
        n += l->rekey.old && l->up ? 1 : 0;
    }
    return n;
}

void swarm_rekey_up(const struct swarm *s, struct swarm_link *l, const struct link_info *info,
                    tstamp now)
{
    if (s->rekeyed == 0) {
        return;
    }
    l->rekey.old = l->rekey.old || now - info->handshake_ns < s->rekeyed;
    for (size_t i = 0; !l->rekey.old && i < l->peer->n_links; i++) {
        if (l->peer->link[i]->rekey.old) {
            l->rekey.settles = tstamp_after(now, REKEY_SETTLE);
        }
    }
}
