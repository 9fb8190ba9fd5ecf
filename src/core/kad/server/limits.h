/*
 * limits.h - how much others may ask: each peer, each network peers come from, and all together; token buckets.
 */
#ifndef QUDAG_SRC_CORE_KAD_SERVER_LIMITS_H
#define QUDAG_SRC_CORE_KAD_SERVER_LIMITS_H

#include "base/list.h"
#include "base/map.h"
#include "core/kad/routing/contacts.h"

#define KAD_CLIENTS_MAX 2048
#define KAD_NETS_MAX 4096 /* more than clients: one without a client can always be forgotten */

/* What is limited: requests and stores by the second, records new to us by the hour. */
enum kad_limited {
    KAD_LIMITED_REQUESTS,
    KAD_LIMITED_STORES,
    KAD_LIMITED_RECORDS,
    KAD_LIMITED_KINDS
};

/*
 * A token bucket of each kind, as the time at which it is full again: a request takes the time its token takes to
 * come back, and is refused where more than the bucket holds would be taken.  One word each, so that thousands of
 * clients are cheap to remember.
 */
struct kad_buckets {
    tstamp full_at[KAD_LIMITED_KINDS];
};

/* A network that peers come from: /24 or /48 of their links. */
struct kad_net {
    struct list idle; /* linked while no client is of it */
    uint64_t name;
    struct kad_buckets buckets;
    uint32_t n_clients;
};

/* A peer that asks us: one allowance for all its streams, remembered until its buckets are full again. */
struct kad_client {
    struct list idle; /* linked while it has no stream */
    uint64_t name;    /* keyed hash of the id */
    uint8_t hash[SHA256_LEN];
    struct kad_buckets buckets;
    struct kad_net *net; /* NULL: the link does not tell, or a lab where all share one */
    uint32_t n_streams;
    uint32_t buffered; /* bytes of its requests that are not served yet */
};

struct kad_limiter {
    struct kad_env *env;
    struct kad_routing *routing; /* knows hashes of ids */
    struct kad_limits cfg;
    struct map clients, nets; /* by name */
    struct list idle_clients, idle_nets;
    struct kad_buckets buckets; /* of all clients together */
    uint64_t seed[2];
};

/* |cfg|: 0 where the default is wanted; |seed|: random. */
void kad_limits_init(struct kad_limiter *l, struct kad_env *env, struct kad_routing *routing,
                     const struct kad_limits *cfg, uint32_t records_max, const uint64_t seed[2]);
void kad_limits_fini(struct kad_limiter *l); /* no client has a stream any more */
/* One more stream of |id|.  NULL: no memory. */
struct kad_client *kad_client_get(struct kad_limiter *l, const struct peer_id *id, uint64_t net,
                                  tstamp now);
/* One stream less. */
void kad_client_release(struct kad_limiter *l, struct kad_client *c);
/* Forgets all whose buckets are full. */
void kad_clients_expire(struct kad_limiter *l, tstamp now);
/* Whether |c| may do one more; if so tokens are taken, else it is refused and counted. */
bool kad_limits_allow(struct kad_limiter *l, struct kad_client *c, enum kad_limited kind,
                      tstamp now);
/* Returns the tokens of one that came to nothing. */
void kad_limits_refund(struct kad_limiter *l, struct kad_client *c, enum kad_limited kind);

#endif
