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
    uint8_t n_nets;
    struct relays_net net[ONION_ADDRS_MAX];
    uint32_t failures;                 /* in a row */
    tstamp usable;                     /* not before */
    tstamp failing_since, failed_last; /* first and last of the row */
};

/* A peer that may have a descriptor. */
struct relays_cand {
    struct peer_id peer;
    uint32_t ix; /* in cand */
    uint32_t fails;
    tstamp next; /* not to be fetched before */
};

struct relays_guard_entry {
    struct peer_id peer;
    bool awaited; /* from disk, descriptor not seen yet */
    bool waiting; /* a path was asked for meanwhile */
    tstamp wait_end;
};

struct relays {
    struct relays_config cfg;
    struct relays_entry **v; /* cfg.max */
    uint32_t n;
    struct map by_peer; /* peer id -> struct relays_entry */
    struct relays_cand *cand[RELAYS_CANDIDATES_MAX];
    uint32_t n_cand;
    struct map cand_by_peer;
    struct relays_guard_entry guard[RELAYS_GUARDS_MAX]; /* in the order they were chosen */
    uint32_t n_guards;
};

struct relays_entry *relays_find(const struct relays *r, const struct peer_id *peer);
/* Computes the networks of |x|'s addresses. */
void relays_nets(struct relays_entry *x);
/* The descriptor of |peer| arrived; if it is a guard, it is no longer waited for. */
void relays_guards_found(struct relays *r, const struct peer_id *peer);
bool relays_guards_have(const struct relays *r, const struct peer_id *peer);
bool relays_candidate_known(const struct relays *r, const struct peer_id *peer);
void relays_guards_drop(struct relays *r, const struct peer_id *peer);

#endif
