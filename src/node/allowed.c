/* allowed.c - peers that the program allows to send to it over links. */
#include "node/allowed.h"

#include "node/internal.h"

static size_t find(const struct node *n, const struct peer_id *peer)
{
    size_t i = 0;

    while (i < n->allowed.n && !peer_id_eq(&n->allowed.v[i], peer)) {
        i++;
    }
    return i;
}

qudag_err node_allow(struct node *n, const struct peer_id *peer)
{
    struct node_allowed *a = &n->allowed;
    struct peer_id self;

    peer_id_from_ed25519(&self, n->cfg.identity->ed_pk);
    if (peer->len == 0 || peer_id_eq(peer, &self)) {
        return QUDAG_EINVAL;
    }
    if (find(n, peer) < a->n) {
        return QUDAG_OK;
    }
    if (a->n == NODE_ALLOWED_MAX) {
        return QUDAG_ELIMIT;
    }
    if (a->v == NULL) {
        a->v = mem_alloc_n(n->mem, NODE_ALLOWED_MAX, sizeof(*a->v));
    }
    if (a->v == NULL) {
        return QUDAG_ENOMEM;
    }
    a->v[a->n++] = *peer;
    if (a->n == 1) {
        node_wants_review(n);
    }
    return QUDAG_OK;
}

qudag_err node_disallow(struct node *n, const struct peer_id *peer)
{
    struct node_allowed *a = &n->allowed;
    size_t at = find(n, peer);

    if (at == a->n) {
        return QUDAG_ENOTFOUND;
    }
    a->v[at] = a->v[--a->n];
    if (a->n == 0) {
        node_wants_review(n);
    }
    return QUDAG_OK;
}

bool node_allows(const struct node *n, const struct peer_id *peer)
{
    return find(n, peer) < n->allowed.n;
}

size_t node_allowed_n(const struct node *n)
{
    return n->allowed.n;
}

const struct peer_id *node_allowed_at(const struct node *n, size_t ix)
{
    return ix < n->allowed.n ? &n->allowed.v[ix] : NULL;
}

qudag_err node_serve_allowed(struct node *n, const char *proto)
{
    qudag_err err = swarm_proto_add(n->swarm, proto, n->core[n->ix.streams].swarm_ix, false);

    if (err == QUDAG_OK) {
        err = swarm_proto_allow_limited(n->swarm, proto);
        node_wants_review(n);
    }
    return err;
}

void node_allowed_fini(struct node *n)
{
    mem_free(n->mem, n->allowed.v);
    n->allowed = (struct node_allowed){0};
}
