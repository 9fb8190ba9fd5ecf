/* doubted.c - which links may be in doubt (doubts.c), and which is. */
#include "swarm/doubts.h"

#define DOUBTS_MAX 16 /* at once; of those that came in half, and DOUBTS_NET of one network */
#define DOUBTS_NET 2

struct swarm_link *swarm_doubt_find(struct swarm *s, const struct peer_id *peer)
{
    LIST_EACH(it, &s->links)
    {
        struct swarm_link *l = LIST_ENTRY(it, struct swarm_link, node);
        if (l->doubt && l->peer != NULL && peer_id_eq(&l->peer->id, peer)) {
            return l;
        }
    }
    return NULL;
}

void swarm_doubt_set(struct swarm_link *l, bool doubt)
{
    l->doubt = doubt;
    l->peer->in_doubt = doubt;
}

static bool room(const struct swarm *s, const struct link_info *info)
{
    bool inbound = (info->props & LINK_INBOUND) != 0;
    uint32_t came = 0, all = 0, net = 0;

    LIST_EACH(it, &s->links)
    {
        const struct swarm_link *l = LIST_ENTRY(it, struct swarm_link, node);
        if (l->doubt) {
            all++;
            came += (l->props & LINK_INBOUND) != 0 ? 1 : 0;
            net += (l->props & LINK_INBOUND) != 0 && l->net == info->net ? 1 : 0;
        }
    }
    return all < DOUBTS_MAX && (!inbound || (came < DOUBTS_MAX / 2 && net < DOUBTS_NET));
}

bool swarm_doubts_asked(const struct swarm *s)
{
    for (unsigned i = 0; i < s->n_cores; i++) {
        if (s->core[i].ops->doubts) {
            return true;
        }
    }
    return false;
}

bool swarm_key_said(struct swarm *s, tstamp now)
{
    return limiter_take(&s->keys_said, 1, now);
}

qudag_err swarm_doubt_may(struct swarm *s, const struct swarm_link *l, const struct link_info *info,
                          tstamp now)
{
    const struct swarm_proof *proof =
        l->peer != NULL ? swarm_pins_proof(&s->pins, &l->peer->id) : NULL;

    if (proof == NULL || !swarm_doubts_asked(s) || (!proof->has_pin && !l->wants) ||
        !info->has_pq_hash || (info->props & LINK_PQ_AUTH) == 0) {
        return QUDAG_EAUTH;
    }
    if (swarm_rule_former(proof, info->pq_hash)) {
        char text[PEER_ID_TEXT_MAX];
        if (!swarm_key_said(s, now)) {
            return QUDAG_EAUTH;
        }
        (void)peer_id_text(text, &l->peer->id);
        log_event(&s->cfg.log, LOG_WARN, "pin.former_key", LOG_NET("peer", text),
                  LOG_STR("why", "the peer came with the key that it had before its last change: a "
                                 "copy of its folder from before, or whoever took that key"));
        return QUDAG_EAUTH;
    }
    bool free = swarm_doubt_find(s, &l->peer->id) == NULL && room(s, info);
    return free ? QUDAG_OK : QUDAG_ELIMIT;
}
