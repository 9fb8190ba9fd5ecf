/* meets.c - which peers may learn where this node is; see meets.h. */
#include "node/internal.h"

#include <string.h>

bool node_rule_meets(const struct node_meets_view *v)
{
    switch (v->setting) {
    case NODE_MEET_NAMED:
        return v->named || v->stream;
    case NODE_MEET_ANYONE:
        return true;
    case NODE_MEET_NO:
        break;
    }
    return false;
}

bool node_rule_keeps_by_name(const struct node_kept *k)
{
    return k->peer.len > 0 && !k->released && (!k->place || k->saved);
}

bool node_meets_anybody(const struct node *n)
{
    bool may = n->wants.announce || n->wants.places || n->cfg.meet == NODE_MEET_ANYONE ||
               n->meets.named[0].len > 0 || n->allowed.n > 0;

    for (size_t i = 0; i < KEEP_MAX && !may; i++) {
        may = node_rule_keeps_by_name(&n->keeping.v[i]);
    }
    return may && n->cfg.meet != NODE_MEET_NO;
}

bool node_meets_named(const struct node *n, const struct peer_id *peer)
{
    bool is = node_allows(n, peer);

    for (size_t i = 0; i < NODE_MEETS_NAMED && !is; i++) {
        is = n->meets.named[i].len > 0 && peer_id_eq(&n->meets.named[i], peer);
    }
    for (size_t i = 0; i < KEEP_MAX && !is; i++) {
        const struct node_kept *k = &n->keeping.v[i];
        is = node_rule_keeps_by_name(k) && peer_id_eq(&k->peer, peer);
    }
    const struct swarm_tag *tag;
    for (size_t it = 0; !is && (tag = swarm_peer_tag_next(n->swarm, peer, &it)) != NULL;) {
        is = strcmp(tag->name, NODE_KEEP_TAG) != 0; /* those that are kept: above */
    }
    return is;
}

void node_meets_name(struct node *n, const struct peer_id *peer)
{
    for (size_t i = 0; i < NODE_MEETS_NAMED; i++) {
        if (n->meets.named[i].len > 0 && peer_id_eq(&n->meets.named[i], peer)) {
            return;
        }
    }
    if (n->meets.named[0].len == 0) {
        n->news |= NODE_NEWS_SELF; /* the first: see node_meets_anybody() */
    }
    n->meets.named[n->meets.next] = *peer;
    n->meets.next = (n->meets.next + 1) % NODE_MEETS_NAMED;
    n->news |= NODE_NEWS_PATHS; /* a relayed link may be there already */
}

/* A stream of the program with |peer|, whichever side opened it. */
static bool has_stream(const struct node *n, const struct peer_id *peer)
{
    struct swarm_stream_info info;

    for (uint32_t i = 0; i < n->strmtab.high; i++) {
        const struct node_stream *a = slots_at(&n->strmtab, i);
        if (a != NULL && a->opened && swarm_stream_info(n->swarm, a->strm, &info) == QUDAG_OK &&
            info.agreed && (info.props & LINK_ANON) == 0 && peer_id_eq(&info.peer, peer)) {
            return true;
        }
    }
    return false;
}

bool node_may_meet(const struct node *n, const struct peer_id *peer)
{
    struct node_meets_view v = {.setting = n->cfg.meet};

    v.named = node_meets_named(n, peer);
    v.stream = !v.named && has_stream(n, peer);
    return node_rule_meets(&v);
}
