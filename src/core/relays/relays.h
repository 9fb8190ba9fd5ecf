/*
 * relays.h - the pool of checked relay descriptors, and the random choice of paths.
 *
 * Rules (spec/relay-descriptor.md, path selection): uniform random choice among usable relays; no
 * relay twice, one per family, one per /16 (IPv4) or /32 (IPv6) unless lab; neighbours share an IP
 * version, the first hop one with us; persistent entry guard;
 * destination and self excluded; local failures only filter, for a bounded time, never weight.
 */
#ifndef QUDAG_SRC_CORE_RELAYS_RELAYS_H
#define QUDAG_SRC_CORE_RELAYS_RELAYS_H

#include "base/mem.h"
#include "base/rng.h"
#include "wire/onion_hop.h"
#include "wire/relay_desc.h"

struct relays_config {
    struct mem *mem;
    struct rng rng;
    struct peer_id self;
    bool lab;
    uint32_t max; /* descriptors kept; default 512 */
};

#define RELAYS_IP4 1
#define RELAYS_IP6 2

struct relays;
/* A pool without relays; to be freed with relays_free.  ENOMEM. */
QUDAG_MUST_USE qudag_err relays_new(struct relays **out, const struct relays_config *cfg);
/* Frees all; NULL is allowed. */
void relays_free(struct relays *r);

/* A descriptor that relay_desc_decode accepted.  Older sequence: QUDAG_ESTALE.  ELIMIT, ENOMEM. */
QUDAG_MUST_USE qudag_err relays_add(struct relays *r, const struct relay_desc *d);
/* Drops descriptors that are no longer valid, and asks for those near their end again. */
void relays_expire(struct relays *r, walltime now);
/* Descriptors in the pool, usable now or not. */
size_t relays_count(const struct relays *r);
/* Whether the descriptor of |peer| is in the pool. */
bool relays_has(const struct relays *r, const struct peer_id *peer);
/* The hop that |peer|'s descriptor in the pool makes; false: there is none. */
bool relays_get(const struct relays *r, const struct peer_id *peer, struct onion_hop *out);
/* Looking in at the pool, |*it| from 0 on; false at the end. */
bool relays_next(const struct relays *r, size_t *it, struct peer_id *peer);

/* A peer seen in the DHT whose descriptor may exist; and the next one worth fetching, if any. */
void relays_candidate(struct relays *r, const struct peer_id *peer);
/* A candidate whose descriptor is to be fetched now; the outcome is relays_add() or relays_fetch_failed(). */
bool relays_next_fetch(struct relays *r, tstamp now, struct peer_id *peer);
/*
 * The fetch ended with |err|.  If there is no usable descriptor, it is fetched again only after a while, which
 * doubles, and a dozen times; if nobody could be asked, soon and without limit.
 */
void relays_fetch_failed(struct relays *r, const struct peer_id *peer, qudag_err err, tstamp now);

/* The IP versions we can dial: RELAYS_IP4 | RELAYS_IP6; 0: not known, the first hop may have any. */
void relays_set_own_ip(struct relays *r, uint8_t versions);

/* What a path must be like; borrowed for the call. */
struct relays_path_want {
    size_t n;                        /* hops: 1 to ONION_HOPS_MAX */
    const struct onion_hop *service; /* dark, the last hop is to reach it and need not be a gateway;
                                          NULL: none follows */
    const struct peer_id *exclude;   /* peers not to be used, such as the destination */
    size_t n_exclude;
};

/*
 * Chooses want->n hops into |out|; the first is the guard.  QUDAG_EINVAL (n), QUDAG_ENORELAYS (no path
 * that keeps the rules, or the descriptor of the first guard is still awaited).
 */
QUDAG_MUST_USE qudag_err relays_path(struct relays *r, const struct relays_path_want *want,
                                     tstamp now, struct onion_hop *out);
/*
 * The same, with a last hop that is not |other| and shares neither family nor network with it, as far as it is
 * known: what both say was said by two.  len 0: any.
 */
QUDAG_MUST_USE qudag_err relays_path_apart(struct relays *r, const struct relays_path_want *want,
                                           const struct peer_id *other, tstamp now,
                                           struct onion_hop *out);

/* |peer| failed as a hop (not usable for 60 s, doubling to 1 h); or worked. */
void relays_failed(struct relays *r, const struct peer_id *peer, tstamp now);
/* |peer| worked as a hop: its failures are forgotten. */
void relays_worked(struct relays *r, const struct peer_id *peer);

/* The first guard, to be saved: its peer id; false: none yet.  Set again before the first path. */
bool relays_guard(const struct relays *r, struct peer_id *guard);
/* The guard of the last run becomes the first; its descriptor may come later.  Not ourselves. */
void relays_guard_set(struct relays *r, const struct peer_id *guard);

#endif
