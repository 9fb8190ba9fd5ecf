/* keep.h - peers that stay linked, and when what failed is tried again. */
#ifndef QUDAG_KEEP_H
#define QUDAG_KEEP_H

#include <qudag/limits.h>
#include <qudag/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A kept peer has a link at all times: it is dialled when the node starts, so that the first request costs no dial, and
 * again after each loss, with pauses from one second to nine minutes that double and differ at random.  When its
 * addresses fail, others are looked for in the DHT.  No link with it is trimmed: it is protected as "keep"
 * (qudag_peer_protect()), and takes the places of protected peers.  At most four are dialled at once, who waits longest
 * first.  |peer|: a peer id, or a multiaddr with /p2p/ID and, if known, #HASH.  It lasts until qudag_peer_release(),
 * over restarts, too, in a program whose callback |save| keeps the item "kept"; the setting |keep| keeps peers from
 * each start on.
 * QUDAG_EMALFORMED or QUDAG_EUNSUPPORTED: the text; QUDAG_EINVAL: without a peer, or this node itself; QUDAG_ELIMIT:
 * QUDAG_KEEP_MAX are kept; QUDAG_ENOMEM; what |save| said: it is kept until the end of the node.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_peer_keep(qudag_node *n, const char *peer);
/*
 * Its link may go like any other; what the setting |keep| names is kept again from the next start on.  QUDAG_ENOTFOUND:
 * it is not kept; what |save| said: it is kept again after a restart.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_peer_release(qudag_node *n, const qudag_peer_id *peer);

typedef enum qudag_kept_state {
    QUDAG_KEPT_WAITING, /* no link: dialled in |next_try| */
    QUDAG_KEPT_DIALLED,
    QUDAG_KEPT_LINKED,
} qudag_kept_state;

/* A kept peer. */
typedef struct qudag_kept {
    uint32_t size; /* set by the caller, see types.h */
    qudag_kept_state state;
    qudag_ns next_try; /* WAITING: from now */
    uint32_t failures; /* in a row */
    qudag_err err;     /* of the last one */
    qudag_peer_id peer;
    uint8_t pad[3];
} qudag_kept;
/* One after the other; *it starts at 0; false at the end. */
QUDAG_API bool qudag_kept_next(const qudag_node *n, size_t *it, qudag_kept *out);

/*
 * A breaker that is not closed: after failures a peer is not dialled for a while, requests to it fail at once, and then
 * one try is let through, which closes it or opens it for twice as long.  That of a network holds back only what others
 * made this node dial, at addresses where it never had a link.  Those of all peers are reset when this machine gets
 * another address, or by qudag_peer_retry(); qudag_connect() dials whatever they say.
 */
typedef struct qudag_breaker {
    uint32_t size; /* set by the caller, see types.h */
    uint32_t failures;
    qudag_ns next_try; /* from now; 0: half open, one may try */
    qudag_err err;     /* of the last try */
    bool half_open;
    char network[54]; /* its first address: "192.0.2.0" (a /24), "2001:db8::" (a /48); "": a peer */
    qudag_peer_id peer; /* len 0 for a network */
} qudag_breaker;
/* One after the other in no order; *it starts at 0; false at the end. */
QUDAG_API bool qudag_breaker_next(const qudag_node *n, size_t *it, qudag_breaker *out);
/* Forgets what failed: |peer|, or NULL: everybody, is tried as soon as somebody wants it; kept peers now. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_peer_retry(qudag_node *n, const qudag_peer_id *peer);

#ifdef __cplusplus
}
#endif
#endif
