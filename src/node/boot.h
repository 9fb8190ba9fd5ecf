/* boot.h - bootstrap peers, and why joining through them failed.  Included by node.h. */
#ifndef QUDAG_SRC_NODE_BOOT_H
#define QUDAG_SRC_NODE_BOOT_H

#include "base/types.h"
#include "core/names/names.h"
#include "node/auth.h"
#include "wire/multiaddr.h"

#include <qudag/error.h>

struct node;

/* A bootstrap peer, as the configuration names it. */
struct node_boot {
    struct multiaddr addr;
    bool has_pq;
    uint8_t pq_hash[32];
};

#define NODE_ANCHOR_DIALS 8 /* contacts of the last run that are dialled at start */

/* The addresses of one bootstrap peer. */
struct node_boot_group {
    bool answered;
    uint32_t under_way;
    tstamp begun; /* the last of them */
};
/* Whether the next address of that peer is dialled now: one at a time, or after SWARM_ATTEMPT_DELAY (RFC 8305 5). */
bool node_rule_boot_dial(const struct node_boot_group *g, tstamp now);

/* Why the last attempt to join failed, or QUDAG_OK. */
struct node_join_why {
    qudag_err err;
    enum node_auth auth; /* with QUDAG_EAUTH */
    enum names_why name; /* a name in the list led nowhere: why; else NAMES_FOUND */
    bool
        others; /* with QUDAG_EUNSUPPORTED: who answered is of a lab or we are, and the other is not ... */
    bool lab;            /* ... he is */
    struct node_boot at; /* the bootstrap peer that answered and was not what it should be */
};
/* Of the attempt that failed last, until one succeeds. */
void node_join_why_get(const struct node *n, struct node_join_why *out);
/* Milliseconds until bootstrap peers are dialled again; 0 unless the last attempt failed. */
uint64_t node_boot_retry_ms(const struct node *n, tstamp now);

#endif
