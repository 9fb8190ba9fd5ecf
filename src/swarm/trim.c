/*
 * trim.c - which links give way, and why; the rules are those of value.h.
 *
 *   every 10 s   more than links_high: the least value first, down to links_low
 *   LINK_UP      no place: the least value of those that take common places, for the newcomer
 */
#include "swarm/trim.h"

#define TRIM_ROUND 32 /* closed in one round; the next comes a second later */

void swarm_link_stand(struct swarm *s, struct swarm_link *l)
{
    enum res_class known = swarm_peer_standing(s, &l->peer->id);

    l->standing = known > l->came ? known : l->came;
    resources_class(s->resources, &l->account, l->standing);
}

void swarm_links_stand(struct swarm *s)
{
    LIST_EACH(it, &s->links)
    {
        struct swarm_link *l = LIST_ENTRY(it, struct swarm_link, node);
        if (l->up && l->peer != NULL) {
            swarm_link_stand(s, l);
        }
    }
}

/* Protected by the program, or no longer. */
static void stand_anew(struct swarm *s, const struct peer_id *peer)
{
    struct swarm_peer *p = swarm_peer_get(s, peer);

    for (size_t i = 0; p != NULL && i < p->n_links; i++) {
        swarm_link_stand(s, p->link[i]);
    }
}

struct swarm_worth swarm_link_worth(const struct swarm *s, const struct swarm_link *l, tstamp now)
{
    bool is_protected;
    bool waiting = l->peer != NULL && !list_empty(&l->peer->opens);

    return (struct swarm_worth){
        .class = l->standing,
        .cells = l->n_cells > 0,
        .under_way = swarm_value_under_way(l->n_ours, waiting, l->n_streams, l->moved, now),
        .young = now - l->since < s->cfg.links_grace_ns,
        .tags = l->peer != NULL ? swarm_tags_sum(&s->tags, &l->peer->id, &is_protected) : 0,
        .ours = l->ours,
        .theirs = l->theirs,
        .age_ns = now - l->since};
}

void swarm_trim_link(struct swarm *s, struct swarm_link *l, enum swarm_trim why, tstamp now)
{
    struct swarm_worth w = swarm_link_worth(s, l, now);
    bool limit = why == SWARM_TRIM_HIGH || why == SWARM_TRIM_NEWCOMER;

    s->stats.links_trimmed[why]++;
    log_event(&s->cfg.log, limit ? LOG_INFO : LOG_DEBUG, "link.trimmed",
              LOG_STR("reason", swarm_trim_name(why)), LOG_NUM("value", swarm_value(&w)),
              LOG_NUM("links", s->n_links));
    l->down_text = swarm_trim_text(why);
    swarm_link_close(s, l, limit ? QUDAG_ELIMIT : QUDAG_OK, now);
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

/* Not a circuit, nor one that is just coming up. */
static bool has_place(const struct swarm_link *l)
{
    return l->up && l->account.used[RES_LINKS] > 0;
}

bool swarm_trim_surplus(struct swarm *s, tstamp now)
{
    struct least v = {.n = 0};
    uint32_t surplus =
        s->n_links > s->cfg.links_high || s->trimming ? s->n_links - s->cfg.links_low : 0;

    s->trimming = surplus > TRIM_ROUND && s->n_links > s->cfg.links_low;
    v.most = surplus < TRIM_ROUND ? surplus : TRIM_ROUND;
    if (v.most == 0) {
        return false;
    }
    LIST_EACH(it, &s->links)
    {
        struct swarm_link *l = LIST_ENTRY(it, struct swarm_link, node);
        struct swarm_worth w = swarm_link_worth(s, l, now);
        if (has_place(l) && swarm_value_trimmable(&w)) {
            least_add(&v, l, swarm_value(&w));
        }
    }
    for (size_t i = 0; i < v.n; i++) {
        swarm_trim_link(s, v.link[i], SWARM_TRIM_HIGH, now);
    }
    s->trimming = s->trimming && v.n == v.most;
    return s->trimming;
}

struct swarm_link *swarm_trim_victim(const struct swarm *s, enum res_class class,
                                     const struct res_refusal *why, tstamp now)
{
    struct swarm_link *victim = NULL;
    int32_t least = 0;

    if (why->scope > RES_OUTBOUND ||
        (class < RES_CHOSEN && limiter_ready(&s->newcomers, 1, now) > now)) {
        return NULL; /* a network that has its share, or too many newcomers */
    }
    LIST_EACH(it, &s->links)
    {
        struct swarm_link *l = LIST_ENTRY(it, struct swarm_link, node);
        if (!has_place(l) || !resources_in_common(s->resources, l->account.class)) {
            continue;
        }
        struct swarm_worth w = swarm_link_worth(s, l, now);
        int32_t value = swarm_value(&w);
        if (swarm_value_gives(&w, class) && (victim == NULL || value <= least)) {
            victim = l;
            least = value;
        }
    }
    return victim;
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
