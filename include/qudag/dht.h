/* dht.h - the distributed hash table.  Every request ends in exactly one op_done. */
#ifndef QUDAG_DHT_H
#define QUDAG_DHT_H

#include <qudag/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How sure a read must be.  More sure: more answers waited for. */
typedef enum qudag_dht_read {
    QUDAG_READ_DEFAULT,   /* as the namespace says */
    QUDAG_READ_FIRST,     /* the first valid value: right where a key can have only one */
    QUDAG_READ_CONFIRMED, /* several peers hold the best value */
    QUDAG_READ_QUORUM,    /* most of the peers near the key have answered */
    QUDAG_READ_PATHS, /* several disjoint paths agree: liars on one of them cannot hide a value */
} qudag_dht_read;

/* Of one request; all zero, or NULL where one is taken: the defaults. */
typedef struct qudag_dht_options {
    qudag_dht_read read; /* get */
    uint32_t quorum;     /* put: peers that must store it; 0: as the namespace says */
    bool republish;      /* put: publish it again twice a day, also after a restart with a store */
    /*
     * get: peers on the way see a few bits of the key only.  Without effect while the network is small (some
     * dozens of nodes) or its size not known yet: then everybody asked sees it.
     */
    bool masked;
} qudag_dht_options;

/*
 * Keys: "/namespace/..." up to 128 bytes; values up to 8192 bytes, judged by the namespace's rules.
 * put: OK once the quorum stored it; QUDAG_ELIMIT: fewer did (count and peers say how many, and it is
 * there with them); QUDAG_EUNREACHABLE: nobody answered; QUDAG_EINVAL: no such namespace; or what the rules
 * say of the value.  It is published again until qudag_dht_forget().
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_dht_put(qudag_node *n, qudag_slice key, qudag_slice value,
                                                 qudag_op *op); /* result: peers that stored it */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_dht_put_with(qudag_node *n, qudag_slice key,
                                                      qudag_slice value, const qudag_dht_options *o,
                                                      qudag_op *op);
/*
 * get: value, and count and peers of those that confirmed it.  QUDAG_ENOTFOUND: it is absent, those near
 * the key have answered and have none.  QUDAG_EUNREACHABLE: too few answered to say.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_dht_get(qudag_node *n, qudag_slice key, qudag_op *op);
QUDAG_MUST_USE QUDAG_API qudag_err qudag_dht_get_with(qudag_node *n, qudag_slice key,
                                                      const qudag_dht_options *o, qudag_op *op);
/*
 * Publishes the value under |key| no more; what others hold runs out within a day.  QUDAG_ENOTFOUND: it
 * was not published.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_dht_forget(qudag_node *n, qudag_slice key, qudag_op *op);

#define QUDAG_NAMESPACES_MAX 8
#define QUDAG_NAMESPACE_LEN 32

/* How the values of a namespace are judged, by us when they are put, stored for others, or read. */
typedef struct qudag_dht_rules {
    const char
        *ns; /* 1 to 32 of a-z, 0-9, '-': keys are "/ns/..."; not "pk", nothing with "qudag" */
    uint32_t value_max; /* bytes, 1 to 8192 */
    /*
     * QUDAG_OK: |value| may stand under |key|.  |now| and *expires in seconds since 1970; *expires is a
     * day from now and may be lowered.  Anything else refuses it.
     */
    qudag_err (*check)(void *user, qudag_slice key, qudag_slice value, int64_t now,
                       int64_t *expires);
    /* > 0: |a| is to be preferred, < 0: |b|, 0: they are worth the same.  NULL: the later replaces. */
    int (*select)(void *user, qudag_slice key, qudag_slice a, qudag_slice b);
    void *user;
    qudag_dht_read read; /* DEFAULT: FIRST without select, else CONFIRMED */
    uint32_t quorum;     /* of puts; 0: the usual */
} qudag_dht_rules;

/*
 * Registers |rules| (copied).  At any time, though what the store kept of a namespace is dropped at
 * qudag_node_start() if nobody has registered it by then.  All nodes that shall store its records need
 * the same rules.  The functions run in the node's loop, often, on bytes of strangers: they must be quick,
 * decide by their arguments alone, and call no function of this library.
 * QUDAG_EINVAL (name, size or no check), QUDAG_EEXISTS, QUDAG_ELIMIT (QUDAG_NAMESPACES_MAX), QUDAG_ENOMEM.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_dht_namespace(qudag_node *n, const qudag_dht_rules *rules);

/* The peers closest to |key| (any bytes). */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_dht_closest(qudag_node *n, qudag_slice key, qudag_op *op);
/* Addresses of |peer|. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_dht_find_peer(qudag_node *n, const qudag_peer_id *peer,
                                                       qudag_op *op);
/* |content| is hashed: the key is its sha2-256 multihash, as other libp2p nodes expect. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_dht_provide(qudag_node *n, qudag_slice content,
                                                     qudag_op *op);
QUDAG_MUST_USE QUDAG_API qudag_err qudag_dht_providers(qudag_node *n, qudag_slice content,
                                                       qudag_op *op);

/* No longer says that we have |content|. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_dht_unprovide(qudag_node *n, qudag_slice content,
                                                       qudag_op *op);

typedef struct qudag_dht_record {
    qudag_slice key, value; /* borrowed until the next call on the node */
    int64_t expires;        /* seconds since 1970 */
} qudag_dht_record;
/* What this node stores for the network. */
QUDAG_API bool qudag_dht_record_next(const qudag_node *n, size_t *it, qudag_dht_record *out);
/* What this node publishes itself, again and again. */
typedef struct qudag_dht_publication {
    qudag_slice key; /* borrowed until the next call on the node */
    bool provides;   /* |key| is the multihash of content we said to have */
    int64_t due;     /* when it is published next; seconds since 1970 */
} qudag_dht_publication;
QUDAG_API bool qudag_dht_publication_next(const qudag_node *n, size_t *it,
                                          qudag_dht_publication *out);
/* The routing table. */
QUDAG_API bool qudag_dht_table_next(const qudag_node *n, size_t *it, qudag_peer_id *peer);

#ifdef __cplusplus
}
#endif
#endif
