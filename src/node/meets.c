/* meets.c - which peers may learn where this node is; see meets.h. */
#include "node/internal.h"

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

bool node_meets_named(const struct node *n, const struct peer_id *peer)
{
    bool is = false;

    for (size_t i = 0; i < NODE_MEETS_NAMED && !is; i++) {
        is = n->meets.named[i].len > 0 && peer_id_eq(&n->meets.named[i], peer);
    }
    for (size_t i = 0; i < KEEP_MAX && !is; i++) {
        const struct node_kept *k = &n->keeping.v[i];
        is = k->peer.len > 0 && !k->released && peer_id_eq(&k->peer, peer);
    }
    for (size_t it = 0; !is && swarm_peer_tag_next(n->swarm, peer, &it) != NULL;) {
        is = true;
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
    n->meets.named[n->meets.next] = *peer;
    n->meets.next = (n->meets.next + 1) % NODE_MEETS_NAMED;
}

/* A stream of the program with |peer|, whichever side opened it. */
static bool has_stream(const struct node *n, const struct peer_id *peer)
{
    struct swarm_stream_info info;

    for (uint32_t i = 0; i < n->strmtab.high; i++) {
        const struct node_stream *a = slots_at(&n->strmtab, i);
        if (a != NULL && a->opened && swarm_stream_info(n->swarm, a->strm, &info) == QUDAG_OK &&
            (info.props & LINK_ANON) == 0 && peer_id_eq(&info.peer, peer)) {
            return true;
        }
    }
    return false;
}

bool node_may_meet(const struct node *n, const struct peer_id *peer)
{
    struct node_meets_view v = {.setting = n->cfg.meet};

    v.named = node_meets_named(n, peer) || node_allows(n, peer);
    v.stream = !v.named && has_stream(n, peer);
    return node_rule_meets(&v);
}
