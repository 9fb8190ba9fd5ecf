/*
 * direct.h - relayed links that are to become direct ones by DCUtR (arrow_dcutr.c).  Included by node.h.
 */
#ifndef QUDAG_SRC_NODE_DIRECT_H
#define QUDAG_SRC_NODE_DIRECT_H

#include "core/dcutr/dcutr.h"

#define NODE_DIRECT_WAIT 32 /* peers that came through a relay lately */
#define NODE_DIRECT_WAIT_NS                                                                        \
    (30 * NS_PER_S) /* for what identify says, and for a stream of the program */
#define NODE_DIRECT_LOOK_NS (100 * NS_PER_MS)

struct node_direct {
    struct dcutr *core;
    unsigned ix, reverse_ix;
    struct {
        struct peer_id peer; /* len 0: a free place */
        tstamp until;
    } wait[NODE_DIRECT_WAIT];
    size_t n_wait;
    tstamp look_at;
    struct node_direct_dials {
        struct peer_id peer; /* len 0: a free place */
        uint64_t first;      /* cookies of them */
        size_t n;
    } dials[DCUTR_PEERS_MAX];
    uint64_t cookies;
    tstamp keepalive_at; /* when what is known of the NAT is looked at again; 0: not */
};

/* A link of a host behind a NAT keeps the state there alive (digest of measurements: doc/decisions/0069). */
#define NODE_KEEPALIVE_FIRST                                                                       \
    (15 * NS_PER_S) /* while it is not known how long that lives: 30 s are common */
#define NODE_KEEPALIVE_LEAST (5 * NS_PER_S)
#define NODE_KEEPALIVE_MOST (110 * NS_PER_S)
#define NODE_KEEPALIVE_LOOK (60 * NS_PER_S)
struct node_keepalive_view {
    bool behind_nat; /* as far as was seen, in that IP version */
    bool wanted;   /* it is to be reached: others only dial out, and keep alive as everybody does */
    uint64_t life; /* of the state, ns, as measured; 0: not known */
};
/* For how long such links say nothing; 0: as configured. */
uint64_t node_rule_keepalive(const struct node_keepalive_view *v);

struct node;
/* What is known of the NAT may be other than it was. */
void node_keepalive_review(struct node *n);
/* The machine has slept: links are asked whether they live, what failed is tried again, and all that knows the network
 * anew (NODE_NEWS_MOVED). */
void node_woke(struct node *n, tstamp now);
/* The last try with |peer| to replace a relayed link; false: there was none. */
bool node_dcutr_look(const struct node *n, const struct peer_id *peer, struct dcutr_look *out);

#endif
