/*
 * trim.c - every 10 s, above links_high: the links of the least value go first, down to links_low; and what the program
 * says of peers.  The rules are those of value.h.
 */
#include "swarm/trim.h"

#define TRIM_ROUND 32 /* closed in one round; the next comes a second later */

/* Protected by the program, or no longer. */
static void stand_anew(struct swarm *s, const struct peer_id *peer)
{
    struct swarm_peer *p = swarm_peer_get(s, peer);

    for (size_t i = 0; p != NULL && i < p->n_links; i++) {
        swarm_link_stand(s, p->link[i]);
    }
}

/* The links of the least value that may go, the least first; of equals the newest. */
struct least {
    struct swarm_link *link[TRIM_ROUND];
    int32_t value[TRIM_ROUND];
    size_t n, most;
};

static void least_add(struct least *v, struct swarm_link *l, int32_t value)
{
    if (v->n == v->most && value > v->value[v->n - 1]) {
        return;
    }
    size_t at = v->n < v->most ? v->n++ : v->n - 1;
    for (; at > 0 && v->value[at - 1] >= value; at--) {
        v->link[at] = v->link[at - 1];
        v->value[at] = v->value[at - 1];
    }
    v->link[at] = l;
    v->value[at] = value;
}

bool swarm_trim_surplus(struct swarm *s, tstamp now)
{
    struct least v = {.n = 0};
    uint32_t above = s->n_links > s->cfg.links_low ? s->n_links - s->cfg.links_low : 0;
    uint32_t surplus = s->n_links > s->cfg.links_high || s->trimming ? above : 0;

    s->trimming = surplus > TRIM_ROUND;
    v.most = surplus < TRIM_ROUND ? surplus : TRIM_ROUND;
    if (v.most == 0) {
        return false;
    }
    LIST_EACH(it, &s->links)
    {
        struct swarm_link *l = LIST_ENTRY(it, struct swarm_link, node);
        struct swarm_worth w = swarm_link_worth(s, l, now);
        if (swarm_link_placed(l) && swarm_value_trimmable(&w)) {
            least_add(&v, l, swarm_value(&w));
        }
    }
    for (size_t i = 0; i < v.n; i++) {
        swarm_trim_link(s, v.link[i], SWARM_TRIM_HIGH, now);
    }
    s->trimming = s->trimming && v.n == v.most;
    return s->trimming;
}

qudag_err swarm_peer_tag(struct swarm *s, const struct peer_id *peer, const char *name,
                         int32_t weight)
{
    return swarm_tags_put(&s->tags, peer, name, weight);
}

qudag_err swarm_peer_protect(struct swarm *s, const struct peer_id *peer, const char *name)
{
    qudag_err err = swarm_tags_protect(&s->tags, peer, name);

    stand_anew(s, peer);
    return err;
}

qudag_err swarm_peer_untag(struct swarm *s, const struct peer_id *peer, const char *name,
                           bool protection)
{
    qudag_err err = swarm_tags_drop(&s->tags, peer, name, protection);

    stand_anew(s, peer);
    return err;
}

const struct swarm_tag *swarm_peer_tag_next(const struct swarm *s, const struct peer_id *peer,
                                            size_t *it)
{
    return swarm_tags_next(&s->tags, peer, it);
}
