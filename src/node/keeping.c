/* keeping.c - which peers are kept: by the configuration, by calls, and by calls of an earlier life. */
#include "node/internal.h"
#include "node/kept.h"

#include <string.h>

struct node_kept *node_kept_find(struct node *n, const struct peer_id *peer)
{
    for (size_t i = 0; peer->len > 0 && i < KEEP_MAX; i++) {
        struct node_kept *p = &n->keeping.v[i];
        if (p->peer.len > 0 && !p->released && peer_id_eq(&p->peer, peer)) {
            return p;
        }
    }
    return NULL;
}

static struct node_kept *place(struct node *n)
{
    for (size_t i = 0; i < KEEP_MAX; i++) {
        if (n->keeping.v[i].peer.len == 0) {
            return &n->keeping.v[i];
        }
    }
    return NULL;
}

qudag_err node_keep_begin(struct node *n, const struct node_keep_wish *w)
{
    struct node_kept *p = node_kept_find(n, &w->peer);
    struct peer_id self;
    uint8_t props;

    peer_id_from_ed25519(&self, n->cfg.identity->ed_pk);
    if (w->peer.len == 0 || peer_id_eq(&w->peer, &self)) {
        return QUDAG_EINVAL;
    }
    p = p != NULL ? p : place(n);
    bool guard = n->keeping.guard.len > 0 && peer_id_eq(&n->keeping.guard, &w->peer);
    if (p == NULL || (p->peer.len == 0 && !guard && keep_count(&n->keep) >= KEEP_MAX)) {
        return QUDAG_ELIMIT;
    }
    qudag_err err = swarm_peer_protect(n->swarm, &w->peer, NODE_KEEP_TAG);
    if (err == QUDAG_OK) {
        err = keep_add(&n->keep, &w->peer, false, swarm_connected(n->swarm, &w->peer, &props),
                       n->now);
    }
    if (err != QUDAG_OK) {
        return err;
    }
    p->peer = w->peer;
    if (w->has_pq) {
        p->has_pq = true;
        memcpy(p->pq_hash, w->pq_hash, sizeof(p->pq_hash));
        swarm_pin_tell(n->swarm, &w->peer, w->pq_hash); /* as the operator's */
    }
    if (w->addr.len > 0) {
        p->addr = w->addr;
        swarm_addr_add(n->swarm, &w->peer, &w->addr);
    }
    return QUDAG_OK;
}

/* ---- on disk ---- */

static qudag_err save(struct node *n)
{
    struct node_keep_wish *w = mem_alloc_n(n->mem, KEEP_MAX, sizeof(*w));
    uint8_t *bytes = mem_alloc(n->mem, NODE_KEPT_BYTES_MAX);
    qudag_err err = w == NULL || bytes == NULL ? QUDAG_ENOMEM : QUDAG_OK;
    size_t count = 0;

    for (size_t i = 0; err == QUDAG_OK && i < KEEP_MAX; i++) {
        const struct node_kept *p = &n->keeping.v[i];
        if (p->peer.len > 0 && !p->released && p->saved) {
            w[count] =
                (struct node_keep_wish){.peer = p->peer, .addr = p->addr, .has_pq = p->has_pq};
            memcpy(w[count++].pq_hash, p->pq_hash, sizeof(p->pq_hash));
        }
    }
    if (err == QUDAG_OK) {
        size_t len = count > 0 ? node_kept_write(bytes, w, count) : 0;
        err = node_save(n, "kept", (struct slice){bytes, len});
    }
    mem_free(n->mem, w);
    mem_free(n->mem, bytes);
    return err;
}

qudag_err node_keep(struct node *n, const struct node_keep_wish *w)
{
    qudag_err err = node_keep_begin(n, w);

    if (err != QUDAG_OK) {
        return err;
    }
    node_kept_find(n, &w->peer)->saved = true;
    return save(n);
}

qudag_err node_keep_restore(struct node *n, struct slice bytes)
{
    struct node_keep_wish *w = mem_alloc_n(n->mem, KEEP_MAX, sizeof(*w));
    size_t count = 0;
    qudag_err err = w == NULL ? QUDAG_ENOMEM : node_kept_read(w, &count, bytes);

    for (size_t i = 0; i < count; i++) {
        qudag_err one = node_keep_begin(n, &w[i]);
        if (one == QUDAG_OK) {
            node_kept_find(n, &w[i].peer)->saved = true;
        } else { /* the configuration keeps as many as can be, or it is our own id by now */
            log_event(&n->cfg.log, LOG_WARN, "keep.not_restored", LOG_ERR(one));
        }
    }
    mem_free(n->mem, w);
    return err;
}

qudag_err node_release(struct node *n, const struct peer_id *peer)
{
    struct node_kept *p = node_kept_find(n, peer);

    if (p == NULL) {
        return QUDAG_ENOTFOUND;
    }
    p->released = n->keeping.releases = true; /* outside of any core's event, in tick() */
    return p->saved ? save(n) : QUDAG_OK;
}

void node_retry(struct node *n, const struct peer_id *peer)
{
    swarm_retry(n->swarm, peer);
    keep_retry(&n->keep, peer, n->now);
}

const struct keep_peer *node_kept_next(const struct node *n, size_t *it)
{
    while (*it < KEEP_MAX) {
        const struct node_kept *p = &n->keeping.v[(*it)++];
        if (p->peer.len > 0 && !p->released) {
            return keep_get(&n->keep, &p->peer);
        }
    }
    return NULL;
}
