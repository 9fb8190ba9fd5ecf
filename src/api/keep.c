/* keep.c - kept peers, and breakers. */
#include "api/internal.h"

#include <stdio.h>
#include <string.h>

API_NO_TAIL(qudag_kept, pad);
API_NO_TAIL(qudag_breaker, peer);
_Static_assert(QUDAG_KEEP_MAX == KEEP_MAX, "one limit");

qudag_err api_keep_read(struct node_keep_wish *out, const char *text, char *why, size_t why_len)
{
    struct api_addr a;
    qudag_peer_id id;

    *out = (struct node_keep_wish){.has_pq = false};
    if (text == NULL || text[0] != '/') {
        qudag_err err = text == NULL ? QUDAG_EINVAL : qudag_peer_id_parse(&id, text);
        if (err != QUDAG_OK && why != NULL) {
            (void)snprintf(why, why_len,
                           "%.100s: neither a peer id nor a multiaddr with /p2p/ID; %s",
                           text == NULL ? "" : text, QUDAG_PEER_ID_FORM);
        }
        return err == QUDAG_OK && !api_peer_in(&out->peer, &id) ? QUDAG_EINVAL : err;
    }
    qudag_err err = api_addr_read(&a, text, QUDAG_ADDR_BOOTSTRAP, why, why_len);
    if (err == QUDAG_OK) {
        out->addr = a.addr;
        out->peer = a.peer;
        out->has_pq = a.has_pq;
        memcpy(out->pq_hash, a.pq_hash, sizeof(out->pq_hash));
    }
    return err;
}

qudag_err qudag_peer_keep(qudag_node *n, const char *peer)
{
    struct node_keep_wish w;

    if (n == NULL || peer == NULL) {
        return QUDAG_EINVAL;
    }
    qudag_err err = api_keep_read(&w, peer, NULL, 0);
    return err != QUDAG_OK ? err : node_keep(n->node, &w);
}

qudag_err qudag_peer_release(qudag_node *n, const qudag_peer_id *peer)
{
    struct peer_id p;

    return n == NULL || !api_peer_in(&p, peer) ? QUDAG_EINVAL : node_release(n->node, &p);
}

bool qudag_kept_next(const qudag_node *n, size_t *it, qudag_kept *out)
{
    qudag_kept full = {.size = sizeof(full)};
    const struct keep_peer *p;

    if (n == NULL || it == NULL || out == NULL || (p = node_kept_next(n->node, it)) == NULL) {
        return false;
    }
    tstamp now = io_now();
    full.state = p->linked                  ? QUDAG_KEPT_LINKED
                 : p->state == KEEP_OPENING ? QUDAG_KEPT_DIALLED
                                            : QUDAG_KEPT_WAITING;
    full.next_try = full.state == QUDAG_KEPT_WAITING && p->due > now ? p->due - now : 0;
    full.failures = p->failures;
    full.err = p->linked ? QUDAG_OK : p->err;
    api_peer_out(&full.peer, &p->peer);
    return api_sized_out(out, &full, sizeof(full));
}

/* Without the port. */
static void network_text(char *dst, size_t cap, const struct netaddr *net)
{
    char text[NETADDR_TEXT_MAX];

    (void)netaddr_text(text, sizeof(text), net); /* "192.0.2.0:0", "[2001:db8::]:0" */
    size_t from = text[0] == '[' ? 1 : 0, len = strcspn(text + from, from == 1 ? "]" : ":");
    (void)snprintf(dst, cap, "%.*s", (int)len, text + from);
}

bool qudag_breaker_next(const qudag_node *n, size_t *it, qudag_breaker *out)
{
    qudag_breaker full = {.size = sizeof(full)};
    struct swarm_breaker_look look;

    if (n == NULL || it == NULL || out == NULL) {
        return false;
    }
    tstamp now = io_now();
    if (!swarm_breaker_next(node_swarm(n->node), it, &look, now)) {
        return false;
    }
    full.failures = look.failures;
    full.half_open = look.state == SWARM_BREAKER_HALF_OPEN;
    full.next_try = look.next_try > now ? look.next_try - now : 0;
    full.err = look.err;
    if (look.peer.len == 0) {
        network_text(full.network, sizeof(full.network), &look.net);
    } else {
        api_peer_out(&full.peer, &look.peer);
    }
    return api_sized_out(out, &full, sizeof(full));
}

qudag_err qudag_peer_retry(qudag_node *n, const qudag_peer_id *peer)
{
    struct peer_id p;

    if (n == NULL || (peer != NULL && !api_peer_in(&p, peer))) {
        return QUDAG_EINVAL;
    }
    node_retry(n->node, peer != NULL ? &p : NULL);
    return QUDAG_OK;
}
