/*
 * kad.h - Kademlia DHT, client and server (libp2p specs: kad-dht/README.md; digest of parameters in
 * spec/kad.md).
 *
 * Requests (find, put, get, ...) carry the caller's cookie and end in exactly one KAD_UP_DONE.
 */
#ifndef QUDAG_SRC_CORE_KAD_KAD_H
#define QUDAG_SRC_CORE_KAD_KAD_H

#include "core/core.h"
#include "crypto/hash.h"
#include "wire/kad_msg.h"

#define KAD_K 20
#define KAD_ALPHA_GET 3
#define KAD_ALPHA_FIND 10
#define KAD_PATHS 8         /* disjoint paths of a read that matters ... */
#define KAD_PATH_ANSWERS 3  /* ... and peers near the key that each must hear */
#define KAD_READ_ANSWERS 16 /* of the 20 nearest, for a quorum read */
#define KAD_CONFIRM 3       /* peers that must hold the best value */
#define KAD_QUERY_TIMEOUT (60 * NS_PER_S)
#define KAD_RECORD_LIFE (24 * 3600) /* s */
#define KAD_REPUBLISH (12 * 3600)   /* s, varied by 10 % */
#define KAD_PROTOCOL "/qudag/kad/1.0.0"
#define KAD_PROTOCOL_IPFS "/ipfs/kad/1.0.0"

/* How sure a read must be before it is reported. */
enum kad_read {
    KAD_READ_DEFAULT,   /* as the namespace says */
    KAD_READ_FIRST,     /* the first valid value: right where a key has only one */
    KAD_READ_CONFIRMED, /* KAD_CONFIRM peers hold the best value */
    KAD_READ_QUORUM,    /* KAD_READ_ANSWERS peers answered, or all near the key */
    KAD_READ_PATHS, /* KAD_PATHS disjoint paths each reached KAD_PATH_ANSWERS peers near the key */
};

/* Of one get or put; NULL where one is taken: all zero, the defaults. */
struct kad_options {
    enum kad_read read; /* get; a put looks for the k closest along as many paths */
    uint32_t quorum; /* put: acknowledgements wanted; 0: as the namespace, then the config says */
    bool republish;  /* put: republish it every KAD_REPUBLISH for as long as we run */
    bool masked;     /* peers on the way see a few bits of the key only */
};

/* How values of one namespace ("/ns/...") are judged.  Functions are pure. */
struct kad_validator {
    const char *ns;     /* "pk", "qudag/relay": matched against "/<ns>/"; longest match wins */
    uint32_t value_max; /* bytes */
    void *ctx;
    /*
     * QUDAG_OK to accept; *expires may be lowered (initially now + KAD_RECORD_LIFE).  QUDAG_EEXPIRED: too old;
     * QUDAG_ECLOCK: not valid yet; anything else: not valid.
     */
    qudag_err (*check)(void *ctx, struct slice key, struct slice value, walltime now,
                       walltime *expires);
    /* > 0: |a| is to be preferred to |b|, < 0: |b|, 0: equal.  Both passed check. */
    int (*select)(void *ctx, struct slice key, struct slice a, struct slice b);
    enum kad_read read; /* DEFAULT: FIRST without |select|, else CONFIRMED */
    uint32_t quorum;    /* acknowledgements a put wants; 0: as the config says */
};
#define KAD_VALIDATORS_MAX 20

/* What one peer, one network (/24, /48) and all together may; 0: the default. */
struct kad_limit {
    uint32_t peer, network, all;
};

struct kad_limits {
    struct kad_limit requests; /* a second, served; default 200, 400, 5000 */
    struct kad_limit stores;   /* of these PUT_VALUE, ADD_PROVIDER: signatures; 50, 100, 500 */
    struct kad_limit records;  /* an hour, new here; records_max / 8, records_max / 4, no limit */
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
    uint32_t queries_max;      /* default 64; more are refused with QUDAG_ELIMIT */
    uint32_t
        quorum; /* acknowledgements a put wants; default 15, at most 3/4 of the peers there are */
    struct kad_limits limits;
    bool report_store;           /* the host persists what changes: kad_change_next() */
    struct kad_scratch *scratch; /* one may serve all instances of a loop; NULL: one of its own */
    size_t n_validators;
    struct kad_validator validator[KAD_VALIDATORS_MAX];
};

enum kad_up {
    KAD_UP_DONE = 1, /* cookie, err; ptr: const struct kad_result * */
    KAD_UP_CLOCK,    /* peer, err: it refused what we wanted stored as of a wrong time */
    KAD_UP_PEER,     /* peer: entered the routing table (ptr: const struct kad_peer_info *) */
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
 * err of a result: OK; NOTFOUND (enough peers answered, none has it); UNREACHABLE (nobody answered);
 * TIMEOUT; CANCELED; for a put, LIMIT when fewer than the quorum stored it (peers says who did).
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
/* Message buffers, 100 KiB, and who peers are and where: the same for all instances, kept once. */
struct kad_scratch;
extern const struct core_ops kad_ops; /* protocol NULL: from the config */

QUDAG_MUST_USE qudag_err kad_new(struct kad **out, const struct kad_config *cfg, tstamp now);
void kad_free(struct kad *k);                                  /* open requests are not reported */
struct kad_scratch *kad_scratch_new(struct mem *mem);          /* NULL: no memory */
size_t kad_scratch_size(const struct kad_scratch *s);          /* bytes */
void kad_scratch_free(struct mem *mem, struct kad_scratch *s); /* after all that use it */
const char *kad_protocol(const struct kad *k);
/* The calendar is another from now on. */
void kad_set_clock(struct kad *k, struct wallclock clock);

/*
 * A peer that may be asked: bootstrap peers, and what identify says (is_server: it advertised our
 * protocol).  It enters the table once it has answered a request of ours.
 */
void kad_add_peer(struct kad *k, const struct kad_peer_info *peer, tstamp now, struct acts *out);

/*
 * A peer known from an earlier life: it enters the table as if it had answered at |seen| (not later than
 * now), after |rtt| ns; 0: not known.  Left out: ourselves, without usable address, known already, too many
 * of its network, no memory.  Nobody is asked.
 */
void kad_preload(struct kad *k, const struct kad_peer_info *peer, tstamp rtt, tstamp seen);

/* The network was away and is back: peers that failed meanwhile are asked again at once. */
void kad_backoff_reset(struct kad *k);

/* Identify says the peer does not serve our protocol: it leaves the table. */
void kad_drop_peer(struct kad *k, const struct peer_id *peer);

/* Each: QUDAG_ELIMIT (too many queries), EINVAL (key or value over its limit, no namespace), ENOMEM. */
QUDAG_MUST_USE qudag_err kad_find(struct kad *k, uint64_t cookie, struct slice key, tstamp now,
                                  struct acts *out);
QUDAG_MUST_USE qudag_err kad_find_peer(struct kad *k, uint64_t cookie, const struct peer_id *peer,
                                       tstamp now, struct acts *out);
QUDAG_MUST_USE qudag_err kad_put(struct kad *k, uint64_t cookie, struct slice key,
                                 struct slice value, const struct kad_options *opt, tstamp now,
                                 struct acts *out);
QUDAG_MUST_USE qudag_err kad_get(struct kad *k, uint64_t cookie, struct slice key,
                                 const struct kad_options *opt, tstamp now, struct acts *out);
/* Says it again every KAD_REPUBLISH until kad_unpublish().  EINVAL also when we have no address to tell. */
QUDAG_MUST_USE qudag_err kad_provide(struct kad *k, uint64_t cookie, struct slice key, tstamp now,
                                     struct acts *out);
QUDAG_MUST_USE qudag_err kad_providers(struct kad *k, uint64_t cookie, struct slice key, tstamp now,
                                       struct acts *out);
/* Self lookup, then refresh of every bucket beyond the nearest.  UNREACHABLE: nobody answered. */
QUDAG_MUST_USE qudag_err kad_bootstrap(struct kad *k, uint64_t cookie, tstamp now,
                                       struct acts *out);
void kad_cancel(struct kad *k, uint64_t cookie, struct acts *out);
/* Stops saying it again; false: it was not kept.  What others hold runs out by itself. */
bool kad_unpublish(struct kad *k, struct slice key);
/* What we keep publishing; *it starts at 0; false at the end.  |due|: by the calendar. */
bool kad_published_next(const struct kad *k, size_t *it, tstamp now, struct slice *key,
                        bool *provide, walltime *due);
/*
 * One more namespace; |v->ns| is borrowed for the life of the core.  QUDAG_EINVAL, EEXISTS, ELIMIT
 * (KAD_VALIDATORS_MAX).
 */
QUDAG_MUST_USE qudag_err kad_namespace(struct kad *k, const struct kad_validator *v);

/* Our own addresses, told to others in ADD_PROVIDER and FIND_NODE answers about us; as before without memory. */
void kad_set_addrs(struct kad *k, const struct multiaddr *addr, size_t n);

/* Why something a peer sent was refused: X(NAME, name, the total it belongs to, what was wrong with it). */
#define KAD_REFUSAL_LIST(X)                                                                        \
    X(OVERSIZED, oversized, bad_messages, "the message is longer than the limit")                  \
    X(MALFORMED, malformed, bad_messages, "the message cannot be read, or ended too early")        \
    X(UNKNOWN_TYPE, unknown_type, bad_messages, "the message has an unknown type")                 \
    X(FIELD_SIZE, field_size, bad_messages, "a key, value or time is over its limit")              \
    X(NO_KEY, no_key, bad_messages, "the request has no key")                                      \
    X(UNASKED, unasked, bad_messages, "an answer nobody asked for")                                \
    X(OTHER_TYPE, other_type, bad_messages, "an answer of another type than the request")          \
    X(UNREAD, unread, bad_messages, "it sends more before it has read its answers")                \
    X(RATE_PEER, rate_peer, bad_messages, "too many requests of one peer")                         \
    X(RATE_NETWORK, rate_network, bad_messages, "too many requests of one network")                \
    X(RATE_ALL, rate_all, bad_messages, "too many requests of all peers together")                 \
    X(RATE_STORE, rate_store, bad_messages, "too many records to be checked at once")              \
    X(QUOTA, quota, refused_records, "the peer, or its network, stored enough for this hour")      \
    X(NO_RECORD, no_record, refused_records, "a request to store holds nothing to be stored")      \
    X(NAMESPACE, namespace, refused_records, "the key is in no namespace known here")              \
    X(OTHER_KEY, other_key, refused_records, "the record is for another key")                      \
    X(VALUE_SIZE, value_size, refused_records, "the value is larger than its namespace allows")    \
    X(INVALID, invalid, refused_records, "the record's form or signature is not valid")            \
    X(EXPIRED, expired, refused_records, "the record has expired")                                 \
    X(CLOCK, clock, refused_records, "the record is of a time too far ahead of our clock")         \
    X(STALE, stale, refused_records, "the record is older than the one held")                      \
    X(FULL, full, refused_records, "the store is full of what is nearer to us")                    \
    X(NO_MEMORY, no_memory, refused_records, "there is no memory for it")                          \
    X(PROVIDER_OTHER, provider_other, refused_records, "a provider that is not the sender")        \
    X(PROVIDER_ADDR, provider_addr, refused_records, "a provider without an address of use")       \
    X(PEER_MANY, peer_many, dropped_peers, "more peers or addresses than an answer may name")      \
    X(PEER_ID, peer_id, dropped_peers, "a peer whose id cannot be read")                           \
    X(PEER_SELF, peer_self, dropped_peers, "an answer that names its sender or us")                \
    X(PEER_ADDR, peer_addr, dropped_peers, "a private, local or otherwise useless address")        \
    X(PEER_CROWD, peer_crowd, dropped_peers, "too many peers of one network in an answer")         \
    X(PEER_TWICE, peer_twice, dropped_peers, "a peer named twice in one answer")

enum kad_refusal {
#define X(NAME, name, total, text) KAD_REFUSED_##NAME,
    KAD_REFUSAL_LIST(X)
#undef X
        KAD_REFUSALS
};

/* A word for tools ("rate_peer"), a sentence for people; static, "?" for what is none. */
const char *kad_refusal_name(enum kad_refusal r);
const char *kad_refusal_text(enum kad_refusal r);

/*
 * What is to be persisted: records and providers stored for others, what we publish ourselves.  The host
 * takes what is dirty after every call that may have changed something, writes it (|bytes| empty: the item
 * of that kind and hash is gone), and has written it before what we sent meanwhile leaves: then nothing that
 * was acknowledged is lost.  An item that changed several times is handed out once.
 */
enum kad_persist_kind { /* on disk: never renumber */
                        KAD_PERSIST_RECORD = 1,
                        KAD_PERSIST_PROVIDERS = 2,
                        KAD_PERSIST_OWN = 3,
                        KAD_PERSIST_ANCHORS = 4, /* kad_anchors(), under a hash of zeros */
};
struct kad_change {
    enum kad_persist_kind kind;
    uint8_t hash[SHA256_LEN];
    struct slice bytes; /* borrowed until the core is called again; at most KAD_PERSIST_MAX */
};
#define KAD_PERSIST_MAX 17000 /* bytes of one item */
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
#define KAD_ANCHORS_MAX 100
#define KAD_ANCHORS_BYTES (64 * 1024)
size_t kad_anchors(const struct kad *k, uint8_t *dst, size_t cap);
/* Reads them one by one; *at starts at 0; false at the end, or where they make no sense. */
bool kad_anchor_next(struct slice bytes, size_t *at, struct kad_peer_info *out);

struct kad_stats {
    uint64_t rpcs_out, rpcs_in, timeouts, wide_searches, refused_records, dropped_peers,
        bad_messages;
    uint64_t refused[KAD_REFUSALS]; /* the last three, by reason */
    uint64_t restored, restore_refused, evicted, record_bytes;
    uint32_t table, records, providers, queries, published;
};
void kad_stats_get(const struct kad *k, struct kad_stats *out);

/* Looking in: *it starts at 0; false at the end. */
bool kad_table_next(const struct kad *k, size_t *it, struct kad_peer_info *out);
bool kad_record_next(const struct kad *k, size_t *it, struct slice *key, struct slice *value,
                     walltime *expires);
/* A record we hold ourselves, valid now; false when there is none. */
bool kad_record_local(const struct kad *k, struct slice key, tstamp now, struct slice *value);

#endif
