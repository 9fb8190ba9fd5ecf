/*
 * relays.h - the pool of checked relay descriptors, and the random choice of paths.
 *
 * Rules (spec/relay-descriptor.md, path selection): uniform random choice among usable relays; no
 * relay twice, one per family, one per /16 (IPv4) or /32 (IPv6) unless lab; neighbours share an IP
 * version, the first hop one with us; entry guards and second-layer guards that last (guards.h, second.c);
 * destination and self excluded; local failures only filter, for a bounded time, never weight.
 */
#ifndef QUDAG_SRC_CORE_RELAYS_RELAYS_H
#define QUDAG_SRC_CORE_RELAYS_RELAYS_H

#include "base/mem.h"
#include "base/rng.h"
#include "core/relays/settled.h"
#include "wire/onion_hop.h"
#include "wire/relay_desc.h"

struct relays_config {
    struct mem *mem;
    struct rng rng;
    struct peer_id self;
    bool lab;
    uint32_t max; /* descriptors kept; default 512 */
};

/* Days after its end for which a guard's descriptor is used: its keys are answered so long (relay-descriptor 5.3). */
#define RELAYS_STALE_DAYS 5

#define RELAYS_IP4 1
#define RELAYS_IP6 2

struct relays;
/* A pool without relays; to be freed with relays_free.  ENOMEM. */
QUDAG_MUST_USE qudag_err relays_new(struct relays **out, const struct relays_config *cfg);
/* Frees all; NULL is allowed. */
void relays_free(struct relays *r);

/* A descriptor that relay_desc_decode accepted.  Older sequence: QUDAG_ESTALE.  ELIMIT, ENOMEM. */
QUDAG_MUST_USE qudag_err relays_add(struct relays *r, const struct relay_desc *d);
/*
 * It is |now|; |sure|: nobody contradicts our clock.  Drops descriptors that are no longer valid, asks for those near
 * their end again, and replaces guards whose date has come, which an unsure clock does not do.
 */
void relays_expire(struct relays *r, walltime now, bool sure);
/* Descriptors in the pool, usable now or not. */
size_t relays_count(const struct relays *r);
/* Whether the descriptor of |peer| is in the pool. */
bool relays_has(const struct relays *r, const struct peer_id *peer);
/* The hop that |peer|'s descriptor in the pool makes; false: there is none. */
bool relays_get(const struct relays *r, const struct peer_id *peer, struct onion_hop *out);
/* What is known of the network, but for the lookups, which the caller counts; see settled.h. */
void relays_view_get(const struct relays *r, struct relays_view *out);
/* Relays whose descriptors came since the start and that were new to the view (relays_view_new). */
uint64_t relays_met(const struct relays *r);
/* The view has settled (relays_view_settled): guards may be drawn from now on. */
void relays_settled(struct relays *r, walltime now);
bool relays_is_settled(const struct relays *r); /* that was called */
/* It is usable (relays_view_usable): there are paths from now on, which begin with guards that were read from disk. */
void relays_usable(struct relays *r);
bool relays_is_usable(const struct relays *r); /* that was called, or relays_settled() */
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

/*
 * Nobody was met where the descriptor of |peer| says it is: it may have moved.  A newer one is looked for at once, and
 * for each further such word not before 10 s have passed.
 */
void relays_doubt(struct relays *r, const struct peer_id *peer, tstamp now);

/* The IP versions we can dial: RELAYS_IP4 | RELAYS_IP6; 0: not known, the first hop may have any. */
void relays_set_own_ip(struct relays *r, uint8_t versions);

/* What a path must be like; borrowed for the call. */
struct relays_path_want {
    size_t n;                        /* hops: 1 to ONION_HOPS_MAX */
    const struct onion_hop *service; /* dark, the last hop is to reach it and need not be a gateway;
                                          NULL: none follows */
    const struct peer_id *exclude;   /* peers not to be used, such as the destination */
    size_t n_exclude;
    const struct peer_id *not_last; /* peers that the last hop is not to be; others may */
    size_t n_not_last;
    bool named; /* others chose |service|, a relay, perhaps ourselves: see closeness.c */
    bool stem;  /* the last hop follows later: of |n|, all but that one are chosen now */
    bool near;  /* relays_path_last(), named: also one of a network or family of the hops between */
};

/* Hops that were chosen with want.stem; borrowed for the call. */
struct relays_stem {
    const struct onion_hop *hop;
    size_t n; /* 2 to ONION_HOPS_MAX - 1 */
};

enum relays_dirty { RELAYS_CLEAN, RELAYS_DIRTY_LATER, RELAYS_DIRTY_NOW };

/*
 * Chooses want->n hops into |out|; the first is a guard, the second of three or more a second-layer guard.
 * QUDAG_EINVAL (n), QUDAG_ENORELAYS (no path that keeps the rules, or the view has not settled), QUDAG_ENOGUARD (the
 * guards do not answer; or, see relays_guards_spent(), all that may be used this month have been).
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
/*
 * The last hop of a path that began with |stem|: want->service, where want->n hops are there, else drawn, as
 * relays_path_apart() does.  EINVAL (lengths); ENORELAYS: there is none, or the stem would not be chosen any more (its
 * guard is not to be used just now, its second-layer guard is another, a relay is gone or failed).
 */
QUDAG_MUST_USE qudag_err relays_path_last(struct relays *r, const struct relays_path_want *want,
                                          const struct peer_id *other,
                                          const struct relays_stem *stem, tstamp now,
                                          struct onion_hop *out);
/* Whether it would still be chosen, whatever follows. */
bool relays_stem_holds(struct relays *r, const struct relays_stem *stem, tstamp now);

/*
 * |peer| failed, as we know ourselves: not usable for 60 s, doubling to 1 h; as a guard for 5 s, doubling to 10 min.
 */
void relays_failed(struct relays *r, const struct peer_id *peer, tstamp now);
/* |peer| answered us as a first hop: its failures are forgotten. */
void relays_worked(struct relays *r, const struct peer_id *peer, tstamp now);
/*
 * Hop |hop| of |path|, from 1, was not reached, or broke.  From the second on the hop before it says so, which may not
 * be true: see blame.c for what follows.
 */
void relays_hop_failed(struct relays *r, const struct onion_hop *path, size_t hop, tstamp now);
/* The first |n| hops of |path| worked. */
void relays_hops_worked(struct relays *r, const struct onion_hop *path, size_t n, tstamp now);
/*
 * Somebody answered whom we dialled or asked of our own accord, |peer| if that is known: our own network works,
 * whatever guards do.
 */
void relays_heard(struct relays *r, const struct peer_id *peer, tstamp now);
/*
 * Our own network was away since |since|, and is back: guards that failed meanwhile are tried at once, and their
 * failures are forgotten.
 */
void relays_network_back(struct relays *r, tstamp since, tstamp now);
/* A circuit got past |guard|; |good|: as far as we had chosen its hops.  Not what we gave up ourselves. */
void relays_circuit_built(struct relays *r, const struct peer_id *guard, bool good);
/* A built circuit through |guard| ended; |good|: not by an error on the way. */
void relays_circuit_ended(struct relays *r, const struct peer_id *guard, bool good);

/* The guard that paths begin with when nothing is amiss; false: none yet. */
bool relays_guard(const struct relays *r, struct peer_id *guard);

/* One of the sample. */
struct relays_guard_info {
    struct peer_id peer;
    bool used, failing, suspect; /* suspect: by path bias */
    uint32_t denied_s;
};
/* The sample, in order, |*it| from 0 on; false at the end. */
bool relays_guard_next(const struct relays *r, size_t *it, struct relays_guard_info *out);
/* The second-layer guards, in no order; false at the end. */
bool relays_second_next(const struct relays *r, size_t *it, struct peer_id *peer);
/* Whether a path would find a guard now. */
enum relays_guards_state {
    RELAYS_GUARDS_ANSWER,
    RELAYS_GUARDS_SILENT, /* or there is none */
    RELAYS_GUARDS_SPENT,  /* those used do not answer, and no more may be used this month */
};
enum relays_guards_state relays_guards_state(const struct relays *r, tstamp now); /* see above */
/* No guard may be used, because those of this month are used up. */
bool relays_guards_spent(const struct relays *r);
/* One of the sample whose descriptor is to be fetched, through a circuit and never otherwise; false: none. */
bool relays_guard_stale(struct relays *r, tstamp now, struct peer_id *peer);
/*
 * The guard that paths begin with, used before and not known to fail: a link with it may be made before a path needs
 * one.  Draws none, and brings none into use.  SPEC: path-selection P-38
 */
bool relays_guard_warm(const struct relays *r, tstamp now, struct onion_hop *hop);
/* A primary guard that did not answer and is to be dialled again, the one that waits longest; false: none. */
bool relays_guard_probe(struct relays *r, tstamp now, struct onion_hop *hop);

/* There is a link with it: where it failed, paths begin with it as before. */
void relays_guard_linked(struct relays *r, const struct peer_id *guard);

/*
 * What is to outlive the process: written to |dst| (RELAYS_GUARDS_FILE_MAX is enough), the length; and read before
 * the first path.  EMALFORMED (also: damaged), ENOMEM: nothing is known then.
 */
#define RELAYS_GUARDS_FILE_MAX 60000
size_t relays_guards_save(struct relays *r, uint8_t *dst, size_t cap);
QUDAG_MUST_USE qudag_err relays_guards_load(struct relays *r, struct slice bytes); /* see above */
/* Whether it changed since relays_guards_saved(); NOW: before the next circuit is built. */
enum relays_dirty relays_guards_dirty(const struct relays *r);
void relays_guards_saved(struct relays *r); /* it is on disk */

#endif
