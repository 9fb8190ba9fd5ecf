/*
 * places.c - what links count as, what they are worth, and which one gives its place to another.  Only looks.
 *
 *   LINK_UP, dial   no place: the least value of those that take common places, for the newcomer
 */
#include "swarm/trim.h"

enum res_class swarm_peer_standing(const struct swarm *s, const struct peer_id *peer)
{
    bool is_protected;

    (void)swarm_tags_sum(&s->tags, peer, &is_protected);
    if (is_protected) {
        return RES_PROTECTED;
    }
    return s->cfg.standing != NULL ? s->cfg.standing(s->cfg.sink_ctx, peer) : RES_STRANGER;
}

enum res_class swarm_class_of(const struct swarm *s, bool inbound, unsigned core)
{
    if (inbound) {
        return RES_STRANGER;
    }
    return s->core[core].ops->chooses ? RES_CHOSEN : RES_NAMED;
}

/* |base|, or what |peer| (NULL: whoever answers) is to us, if that is more. */
static enum res_class class_with(const struct swarm *s, enum res_class base,
                                 const struct peer_id *peer)
{
    enum res_class known = peer != NULL ? swarm_peer_standing(s, peer) : base;

    return known > base ? known : base;
}

enum res_class swarm_class_for(const struct swarm *s, const struct peer_id *peer, unsigned core)
{
    return class_with(s, swarm_class_of(s, false, core), peer);
}

enum res_class swarm_link_standing(const struct swarm *s, const struct swarm_link *l)
{
    if (l->up) {
        return l->standing;
    }
    return swarm_class_for(s, l->peer != NULL ? &l->peer->id : NULL,
                           l->dial_by != 0 ? l->dial_by - 1u : 0);
}

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

bool swarm_link_placed(const struct swarm_link *l)
{
    return l->up && l->account.used[RES_LINKS] > 0;
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
        if (!swarm_link_placed(l) || !resources_in_common(s->resources, l->account.class)) {
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

enum res_class swarm_place(const struct swarm *s, const struct swarm_ask *ask,
                           struct res_refusal *why, tstamp now)
{
    enum res_class base = swarm_class_of(s, ask->inbound, ask->core);
    enum res_class class = class_with(s, base, ask->peer);
    struct res_refusal other;

    if (resources_room(s->resources, ask->inbound, ask->net, class, why) == QUDAG_OK) {
        return class;
    }
    if (class != base && /* a guard that we dial has at least the place of any dial */
        resources_room(s->resources, ask->inbound, ask->net, base, &other) == QUDAG_OK) {
        return base;
    }
    return swarm_trim_victim(s, class, why, now) != NULL ? class : RES_CLASSES;
}
