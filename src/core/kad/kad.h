/*
 * kad.h - Kademlia DHT, client and server (libp2p specs: kad-dht/README.md; digest of parameters in
 * spec/kad.md).
 *
 * Requests (find, put, get, ...) carry the caller's cookie and end in exactly one KAD_UP_DONE.
 */
#ifndef QUDAG_SRC_CORE_KAD_KAD_H
#define QUDAG_SRC_CORE_KAD_KAD_H

#include "core/core.h"
#include "core/kad/common/params.h"
#include "core/kad/common/refusal.h"
#include "core/kad/common/rules.h"
#include "crypto/hash.h"
#include "wire/kad_msg.h"

#define KAD_PROTOCOL "/qudag/kad/1.0.0"
#define KAD_PROTOCOL_LAB "/qudag-lab/kad/1.0.0" /* of test networks, which do not mix with others */

/* Of one get or put; NULL where one is taken: all zero, the defaults. */
struct kad_options {
    enum kad_read read; /* get; a put looks for the k closest along as many paths */
    uint32_t quorum; /* put: acknowledgements wanted; 0: as the namespace, then the config says */
    bool republish;  /* put: republish it every KAD_REPUBLISH for as long as we run */
    bool masked;     /* peers on the way see a few bits of the key only */
};

/* What kad_put() stores; borrowed during the call. */
struct kad_put_args {
    struct slice key, value;
    const struct kad_options *opt; /* NULL: the defaults */
};

struct kad_config {
    struct mem *mem;
    const char *protocol;
    bool server;  /* answer others, be put into their tables */
    bool lab;     /* no address diversity limits, loopback and private addresses allowed */
    uint8_t need; /* link properties every RPC needs (LINK_PQ_KEX | ... under require) */
    struct wallclock clock;
    struct peer_id self;
    struct rng rng;
    struct logger log;
    uint32_t records_max;      /* default 4096 */
    uint64_t record_bytes_max; /* keys, values and KAD_RECORD_COST each; default 32 MiB */
    uint32_t providers_max;    /* default 4096 */
    uint32_t requests_max;     /* default 64; more are refused with QUDAG_ELIMIT */
    uint64_t request_ns;       /* one is given up after; default KAD_REQUEST_TIMEOUT */
    uint32_t
        quorum; /* acknowledgements a put wants; default 15, at most 3/4 of the peers there are */
    struct kad_limits limits;
    bool report_store;           /* the host persists what changes: kad_change_next() */
    struct kad_scratch *scratch; /* one may serve all instances of a loop; NULL: one of its own */
    size_t n_validators;
    struct kad_validator validator[KAD_VALIDATORS_MAX];
};

enum kad_op {
    KAD_OP_FIND,
    KAD_OP_FIND_PEER,
    KAD_OP_PUT,
    KAD_OP_GET,
    KAD_OP_PROVIDE,
    KAD_OP_PROVIDERS,
    KAD_OP_BOOTSTRAP
};

/*
 * err of a result: OK; NOTFOUND (enough peers answered, none has it); UNREACHABLE (nobody answered; of a put:
 * fewer than the quorum stored it, peers says who did); TIMEOUT; CANCELED.
 */
struct kad_result {
    enum kad_op op;
    struct slice value; /* get */
    size_t n_peers;     /* find: closest; put: who stored; get: who held; providers */
    const struct kad_peer_info *peers;
    uint32_t rpcs, failures, hops;
    tstamp took; /* ns */
};

struct kad;
/* Message buffers, 100 KiB, and ids with addresses: shared by all instances of a loop. */
struct kad_scratch;
extern const struct core_ops kad_ops; /* protocol NULL: from the config */

/*
 * A node of the DHT; |cfg| is copied, the strings in it are borrowed for the life of the core.
 * QUDAG_EINVAL, ENOMEM; *out is NULL then.
 */
QUDAG_MUST_USE qudag_err kad_new(struct kad **out, const struct kad_config *cfg, tstamp now);
void kad_free(struct kad *k); /* open requests are not reported */
/* What request_ns is for requests that begin from now on; not 0. */
void kad_set_request_time(struct kad *k, uint64_t request_ns);
struct kad_scratch *kad_scratch_new(struct mem *mem);          /* NULL: no memory */
size_t kad_scratch_size(const struct kad_scratch *s);          /* bytes */
void kad_scratch_free(struct mem *mem, struct kad_scratch *s); /* after all that use it */
/* As in the configuration. */
const char *kad_protocol(const struct kad *k);
/* Whether requests of others are answered from now on, and values of ours may be kept here. */
void kad_set_server(struct kad *k, bool server);
/* The calendar is another from now on. */
void kad_set_clock(struct kad *k, struct wallclock clock);

/*
 * A peer that may be asked: bootstrap peers, and those that identify says serve our protocol.  It enters the table
 * once it has answered a request of ours.
 */
void kad_add_peer(struct kad *k, const struct kad_peer_info *peer, tstamp now, struct acts *out);

/*
 * A peer known from an earlier run: it enters the table as if it had answered at |seen| (not later than
 * now), after |rtt| ns; 0: not known.  Left out: ourselves, without usable address, known already, too many
 * of its network, no memory.  Nobody is asked.
 */
void kad_preload(struct kad *k, const struct kad_peer_info *peer, tstamp rtt, tstamp seen);

/* The network was away and is back: peers that failed meanwhile are asked again at once. */
void kad_backoff_reset(struct kad *k);

/* Identify says the peer does not serve our protocol: it leaves the table. */
void kad_drop_peer(struct kad *k, const struct peer_id *peer);

/*
 * Requests; each ends in one KAD_UP_DONE with |cookie|, maybe before the call returns.
 * Each: QUDAG_ELIMIT (too many at once), EINVAL (key or value over its limit, no namespace), ENOMEM: nothing follows.
 */
/* The closest nodes to |key|. */
QUDAG_MUST_USE qudag_err kad_find(struct kad *k, uint64_t cookie, struct slice key, tstamp now,
                                  struct acts *out);
/* The addresses of |peer|. */
QUDAG_MUST_USE qudag_err kad_find_peer(struct kad *k, uint64_t cookie, const struct peer_id *peer,
                                       tstamp now, struct acts *out);
/* Stores |put->value| at the nodes closest to the key; also what its validator says of the value. */
QUDAG_MUST_USE qudag_err kad_put(struct kad *k, uint64_t cookie, const struct kad_put_args *put,
                                 tstamp now, struct acts *out);
/* The best value of |key|; |opt| NULL: the defaults. */
QUDAG_MUST_USE qudag_err kad_get(struct kad *k, uint64_t cookie, struct slice key,
                                 const struct kad_options *opt, tstamp now, struct acts *out);
/* We provide |key|, again every KAD_REPUBLISH until kad_unpublish().  EINVAL also when we have no address to tell. */
QUDAG_MUST_USE qudag_err kad_provide(struct kad *k, uint64_t cookie, struct slice key, tstamp now,
                                     struct acts *out);
/* Up to KAD_KEY_PROVIDERS nodes that provide |key|. */
QUDAG_MUST_USE qudag_err kad_providers(struct kad *k, uint64_t cookie, struct slice key, tstamp now,
                                       struct acts *out);
/* Self lookup, then refresh of every bucket beyond the nearest.  UNREACHABLE: nobody answered. */
QUDAG_MUST_USE qudag_err kad_bootstrap(struct kad *k, uint64_t cookie, tstamp now,
                                       struct acts *out);
/* It is reported as QUDAG_ECANCELED; an unknown cookie: nothing. */
void kad_cancel(struct kad *k, uint64_t cookie, struct acts *out);
/* Republishes |key| no more; false: it was not published.  What others hold expires by itself. */
bool kad_unpublish(struct kad *k, struct slice key);
/* What is republished; *it starts at 0; false at the end.  |due|: by the calendar. */
bool kad_published_next(const struct kad *k, size_t *it, tstamp now, struct slice *key,
                        bool *provide, walltime *due);
/*
 * One more namespace; |v->ns| is borrowed for the life of the core.  QUDAG_EINVAL, EEXISTS, ELIMIT
 * (KAD_VALIDATORS_MAX).
 */
QUDAG_MUST_USE qudag_err kad_namespace(struct kad *k, const struct kad_validator *v);

/* Our own addresses, told to others in ADD_PROVIDER and FIND_NODE answers about us; as before without memory. */
void kad_set_addrs(struct kad *k, const struct multiaddr *addr, size_t n);

/*
 * What is to be persisted: records and providers stored for others, what we publish ourselves.  The host
 * takes what is dirty after every call that may have changed something, writes it (|bytes| empty: the item
 * of that kind and hash is gone), and has written it before what we sent meanwhile leaves: then nothing that
 * was acknowledged is lost.  An item that changed several times is handed out once.
 */
bool kad_change_next(struct kad *k, struct kad_change *out, tstamp now);
void kad_change_all(struct kad *k); /* all there is counts as changed */
/* While the host cannot write: what others want stored is refused and counted. */
void kad_read_only(struct kad *k, bool read_only);
/*
 * At start, what was persisted.  Validated again: QUDAG_EEXPIRED, EINVAL (no such namespace), ELIMIT (over a
 * quota), EMALFORMED, or what the validator says; counted, and the host may drop it.  ENOMEM.
 */
QUDAG_MUST_USE qudag_err kad_restore(struct kad *k, enum kad_persist_kind kind,
                                     const uint8_t hash[SHA256_LEN], struct slice bytes,
                                     tstamp now);
/* Up to KAD_ANCHORS_MAX peers of the table, to begin with another time; the length. */
size_t kad_anchors(const struct kad *k, uint8_t *dst, size_t cap);
/* Reads them one by one; *at starts at 0; false at the end, or where they make no sense. */
bool kad_anchor_next(struct slice bytes, size_t *at, struct kad_peer_info *out);

/* Counters, and what there is now. */
void kad_stats_get(const struct kad *k, struct kad_stats *out);

/* Contacts in the table; *it starts at 0; false at the end. */
bool kad_table_next(const struct kad *k, size_t *it, struct kad_peer_info *out);
/* Whether |peer| is in the table, in one of the buckets that hold the k closest to us. */
bool kad_is_near(const struct kad *k, const struct peer_id *peer);
/* Records held, also expired ones not removed yet; key and value are borrowed. */
bool kad_record_next(const struct kad *k, size_t *it, struct slice *key, struct slice *value,
                     walltime *expires);
/* A record we hold ourselves, valid now; false when there is none. */
bool kad_record_local(const struct kad *k, struct slice key, tstamp now, struct slice *value);

#endif
