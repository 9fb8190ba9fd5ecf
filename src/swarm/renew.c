/*
 * renew.c - links before their certificates end.
 *
 *   up ─ renew_at, in use ─▶ another is dialled ─ up ▶ new streams go there ─ idle ▶ pruned
 *                                                                           └ until ▶ closed
 *   our ML-DSA key is another ─ in turn ─▶ another is dialled, whoever dialled the one that is there: its peer asks on
 *   it whose the key is (doubts.c), and as long what is opened goes to the old one ─ idle ▶ closed
 */
#include "swarm/rekey.h"
#include "swarm/trim.h"

#define RENEW_RETRY (300 * NS_PER_S)
#define REKEY_STEP 8               /* dials in a second */
#define REKEY_IDLE (20 * NS_PER_S) /* after which the old link goes */

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

/* ---- another key of ours ---- */

static bool is_rekeyed(const struct swarm_link *l)
{
    for (size_t i = 0; i < l->peer->n_links; i++) {
        const struct swarm_link *m = l->peer->link[i];
        if (!m->rekey.old && (l->props & ~m->props & SWARM_PROVEN_PROPS) == 0) {
            return true;
        }
    }
    return false;
}

/* Whether that cost a dial. */
static bool rekey(struct swarm *s, struct swarm_link *l, tstamp now)
{
    unsigned core = 0;

    l->rekey.due = tstamp_after(now, RENEW_RETRY);
    (void)swarm_link_needed(l, &core);
    if (l->peer->n_dials > 0 || swarm_dial_again(s, l, core, now) != QUDAG_OK) {
        return false;
    }
    s->stats.links_rekeyed++;
    return true;
}

bool swarm_rekey_links(struct swarm *s, tstamp now)
{
    unsigned dials = 0;
    bool waits = false;

    LIST_EACH_SAFE(it, tmp, &s->links)
    {
        struct swarm_link *l = LIST_ENTRY(it, struct swarm_link, node);
        if (!l->rekey.old || !l->up || l->peer == NULL) {
            continue;
        }
        bool idle = l->n_streams == 0 && tstamp_after(l->idle_since, REKEY_IDLE) <= now;
        switch (swarm_rule_rekey(l->rekey.due, idle, is_rekeyed(l), now)) {
        case SWARM_RENEWAL_DIAL:
            waits = waits || dials == REKEY_STEP;
            dials += dials < REKEY_STEP && rekey(s, l, now) ? 1 : 0;
            break;
        case SWARM_RENEWAL_END:
            swarm_trim_link(s, l, SWARM_TRIM_REDUNDANT, now);
            break;
        case SWARM_RENEWAL_NONE:
            break;
        }
    }
    return waits;
}
