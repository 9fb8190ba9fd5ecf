/* dht.h - the distributed hash table.  Every request ends in exactly one op_done. */
#ifndef QUDAG_DHT_H
#define QUDAG_DHT_H

#include <qudag/limits.h>
#include <qudag/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Read consistency; stronger levels wait for more replies. */
typedef enum qudag_dht_read {
    QUDAG_READ_DEFAULT,   /* what the rules of the namespace say */
    QUDAG_READ_FIRST,     /* the first valid value: right where a key can have only one */
    QUDAG_READ_CONFIRMED, /* several peers returned the best value */
    QUDAG_READ_QUORUM,    /* most of the peers closest to the key have replied */
    QUDAG_READ_PATHS, /* several disjoint paths agree: malicious peers on one cannot hide a value */
} qudag_dht_read;

/* Options of one request; NULL stands for the defaults, which are all zero. */
typedef struct qudag_dht_options {
    uint32_t size;       /* set by the caller, see types.h */
    qudag_dht_read read; /* get: consistency */
    uint32_t quorum;     /* put: peers that must store it; 0: what the rules of the namespace say */
    bool republish;      /* put: store it again twice a day, also after a restart with a store */
    /*
     * get: peers on the way see only a prefix of the key's hash.  No effect while the network is small (some
     * dozens of nodes) or its size is not known yet: then every peer asked sees the whole key.
     */
    bool masked;
    uint8_t pad[2];
} qudag_dht_options;

/*
 * Stores |value| under |key| and republishes it until qudag_dht_forget().  Keys: "/namespace/..." up to
 * QUDAG_DHT_KEY_MAX bytes; values up to QUDAG_DHT_VALUE_MAX bytes, checked by the rules of the namespace: an open one
 * takes any value of at most QUDAG_DHT_OPEN_VALUE_MAX bytes.
 * op_done: QUDAG_OK once the quorum stored it (result: count, peers); QUDAG_EUNREACHABLE: fewer did, result.count
 * of them, maybe none, also because they hold one that the rules prefer; QUDAG_EINVAL: no such namespace on this
 * node; or what its rules return for the value.  At once: QUDAG_EINVAL, QUDAG_ETOOBIG, QUDAG_ELIMIT
 * (QUDAG_REQUESTS_MAX), QUDAG_ENOMEM.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_dht_put(qudag_node *n, qudag_slice key, qudag_slice value,
                                                 qudag_op *op);
/* The same with options, by default without republishing; further: QUDAG_EINVAL and QUDAG_EUNSUPPORTED for |o|. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_dht_put_with(qudag_node *n, qudag_slice key,
                                                      qudag_slice value, const qudag_dht_options *o,
                                                      qudag_op *op);
/*
 * Looks up the value under |key|.  op_done: result.value, and count and peers of those that confirmed it;
 * QUDAG_ENOTFOUND: the nodes closest to the key replied, and none has a value; QUDAG_EUNREACHABLE: too few of
 * them replied to tell.  At once: as qudag_dht_put.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_dht_get(qudag_node *n, qudag_slice key, qudag_op *op);
/* The same with options. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_dht_get_with(qudag_node *n, qudag_slice key,
                                                      const qudag_dht_options *o, qudag_op *op);
/*
 * Stops republishing the value under |key|; copies at other nodes expire within a day.  op_done:
 * QUDAG_ENOTFOUND: it was not being republished.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_dht_forget(qudag_node *n, qudag_slice key, qudag_op *op);

/* How values of a namespace are checked: when put, when stored for others, and when read. */
typedef struct qudag_dht_rules {
    uint32_t size;      /* set by the caller, see types.h */
    uint32_t value_max; /* bytes, 1 to QUDAG_DHT_VALUE_MAX */
    /* 1 to 32 of a-z, 0-9, '-': keys are "/ns/..."; not "pk", nothing that begins with "qudag" */
    const char *ns;
    /*
     * The validator.  QUDAG_OK accepts |value| under |key|, anything else refuses it.  |now| and *expires are
     * seconds since 1970; *expires is a day from now and may be lowered.
     */
    qudag_err (*check)(void *user, qudag_slice key, qudag_slice value, int64_t now,
                       int64_t *expires);
    /* > 0: |a| is preferred, < 0: |b|, 0: neither.  NULL: the later value replaces the earlier. */
    int (*select)(void *user, qudag_slice key, qudag_slice a, qudag_slice b);
    void *user;
    qudag_dht_read read; /* DEFAULT: FIRST without select, else CONFIRMED */
    uint32_t quorum;     /* of puts; 0: 15, or three quarters of the peers there are */
} qudag_dht_rules;

/*
 * Registers |rules| (copied).  Allowed at any time, but records that the store persisted are dropped at
 * qudag_node_start() unless their namespace is registered by then.  All nodes that are to store its records
 * need the same rules.  The functions run in the node's loop, often, on untrusted bytes: they must be quick,
 * decide by their arguments alone, and call no function of this library.
 * QUDAG_EINVAL (name, value_max, no check, or size), QUDAG_EUNSUPPORTED, QUDAG_EEXISTS, QUDAG_ELIMIT
 * (QUDAG_NAMESPACES_MAX), QUDAG_ENOMEM.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_dht_namespace(qudag_node *n, const qudag_dht_rules *rules);

/* Finds the peers closest to |key| (any bytes); result: peers. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_dht_closest(qudag_node *n, qudag_slice key, qudag_op *op);
/* Finds the addresses of |peer|; result: addrs. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_dht_find_peer(qudag_node *n, const qudag_peer_id *peer,
                                                       qudag_op *op);
/*
 * Announces that this node provides |content|, and republishes that; result: count.  The key is the sha2-256
 * multihash of |content|, as other libp2p nodes expect.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_dht_provide(qudag_node *n, qudag_slice content,
                                                     qudag_op *op);
/* Finds peers that provide |content|; result: peers. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_dht_providers(qudag_node *n, qudag_slice content,
                                                       qudag_op *op);

/* Stops announcing |content|.  op_done: QUDAG_ENOTFOUND: it was not announced. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_dht_unprovide(qudag_node *n, qudag_slice content,
                                                       qudag_op *op);

/* A record this node stores for the network. */
typedef struct qudag_dht_record {
    uint32_t size; /* set by the caller, see types.h */
    uint32_t pad;
    qudag_slice key, value; /* borrowed until the next call on the node */
    int64_t expires;        /* seconds since 1970 */
} qudag_dht_record;
/* The records this node stores for others; false at the end.  *it starts at 0. */
QUDAG_API bool qudag_dht_record_next(const qudag_node *n, size_t *it, qudag_dht_record *out);
/* A record or provider record that this node republishes. */
typedef struct qudag_dht_publication {
    uint32_t size; /* set by the caller, see types.h */
    bool provides; /* |key| is the multihash of content this node provides */
    uint8_t pad[3];
    qudag_slice key; /* borrowed until the next call on the node */
    int64_t due;     /* when it is republished next; seconds since 1970 */
} qudag_dht_publication;
/* What this node republishes; false at the end.  *it starts at 0. */
QUDAG_API bool qudag_dht_publication_next(const qudag_node *n, size_t *it,
                                          qudag_dht_publication *out);
/* The contacts of the routing table; false at the end.  *it starts at 0. */
QUDAG_API bool qudag_dht_table_next(const qudag_node *n, size_t *it, qudag_peer_id *peer);

#ifdef __cplusplus
}
#endif
#endif
