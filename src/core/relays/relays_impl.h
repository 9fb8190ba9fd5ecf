/* relays_impl.h - what the files of this folder share; nothing outside includes it. */
#ifndef QUDAG_SRC_CORE_RELAYS_RELAYS_IMPL_H
#define QUDAG_SRC_CORE_RELAYS_RELAYS_IMPL_H

#include "base/map.h"
#include "core/relays/relays.h"

#define RELAYS_CANDIDATES_MAX 1024
#define RELAYS_GUARDS_MAX 8

/* The network an address lies in: its family and the bits one path may hold only once. */
struct relays_net {
    uint8_t family; /* 4: 16 bits, 6: 32 bits */
    uint8_t b[4];
};

/* What is kept of a descriptor, and our own experience. */
struct relays_entry {
    struct onion_hop hop;
    uint16_t flags;
    uint8_t family[32];
    uint64_t seq;
    walltime not_before, expires;
    bool ageing; /* in the last quarter of its life */
    uint8_t ip;  /* RELAYS_IP4, RELAYS_IP6: of its addresses */
    uint8_t n_nets;
    struct relays_net net[ONION_ADDRS_MAX];
    uint32_t failures;                 /* in a row */
    tstamp usable;                     /* not before */
    tstamp failing_since, failed_last; /* first and last of the row */
    uint64_t worked_then;              /* relays.n_worked at the last of the row */
};

/* A peer that may have a descriptor. */
struct relays_cand {
    struct peer_id peer;
    uint32_t ix;    /* in cand */
    uint32_t fails; /* fetches that found none */
    tstamp next;    /* not to be fetched before */
};

struct relays_guard_entry {
    struct peer_id peer;
    bool awaited; /* from disk, descriptor not seen yet */
    bool waiting; /* a path was asked for meanwhile */
    tstamp wait_end;
};

struct relays {
    struct relays_config cfg;
    uint8_t own_ip;          /* what we have sockets for; 0: not known */
    struct relays_entry **v; /* cfg.max */
    uint32_t n;
    struct map by_peer; /* peer id -> struct relays_entry */
    struct relays_cand *cand[RELAYS_CANDIDATES_MAX];
    uint32_t n_cand;
    struct map cand_by_peer;
    struct relays_guard_entry guard[RELAYS_GUARDS_MAX]; /* in the order they were chosen */
    uint32_t n_guards;
    uint64_t n_worked; /* how often a relay worked as a hop */
};

/*
 * Rules on IP versions (spec/path-selection.md, P-9).  A set of versions is RELAYS_IP4 | RELAYS_IP6; 0: nothing
 * is known.
 */
/*
 * The versions that count between relays of a pool: those that at least a third of its |n| relays have, of
 * which |n4| and |n6| have each.  Relays name their addresses themselves; with this floor nobody can narrow
 * the choice of its neighbours to few relays, by naming a rare version alone.
 */
uint8_t relays_ip_counted(uint32_t n4, uint32_t n6, uint32_t n);
/* Whether a relay with the versions |a| can be expected to reach one with |b|, where |counted| count. */
bool relays_ip_reaches(uint8_t a, uint8_t b, uint8_t counted);
/*
 * Whether an address that a descriptor names is one of the relay's (spec/path-selection.md, P-6): outside a lab
 * only those that netaddr_is_global() accepts are.  Every machine has 127.0.0.1, and two whose addresses
 * overlap are never in one path.  What is no IP address stays; it counts for nothing.
 */
bool relays_addr_usable(const struct multiaddr *addr, bool lab);
/* The versions of the addresses of |hop| that can be dialled. */
uint8_t relays_ip_of(const struct onion_hop *hop);

/* The entry of |peer|, or NULL. */
struct relays_entry *relays_find(const struct relays *r, const struct peer_id *peer);
/* Computes the networks and IP versions of |x|'s addresses. */
void relays_nets(struct relays_entry *x);
/* The descriptor of |peer| arrived; if it is a guard, it is no longer waited for. */
void relays_guards_found(struct relays *r, const struct peer_id *peer);
/* Whether |peer| is one of the guards. */
bool relays_guards_have(const struct relays *r, const struct peer_id *peer);
/* Whether a fetch that ended with |err| says that there is no usable descriptor; else nobody was asked. */
bool relays_fetch_answered(qudag_err err);
/* Whether |peer| waits among the candidates. */
bool relays_candidate_known(const struct relays *r, const struct peer_id *peer);
/* |peer| is no guard any more; the others move up. */
void relays_guards_drop(struct relays *r, const struct peer_id *peer);

#endif
