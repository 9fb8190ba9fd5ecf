/*
 * meets.h - which peers may learn where this node is, in order to be linked directly (doc/decisions/0069): one rule for
 * core/meet and core/dcutr.  Included by node.h.
 */
#ifndef QUDAG_SRC_NODE_MEETS_H
#define QUDAG_SRC_NODE_MEETS_H

#include "wire/peer_id.h"

#define NODE_MEETS_NAMED 64 /* peers that the program dialled, the latest ones */

enum node_meet {
    NODE_MEET_NAMED, /* those that the program named, or whose stream it accepted */
    NODE_MEET_ANYONE,
    NODE_MEET_NO,
};

struct node_meets_view {
    enum node_meet setting;
    bool
        named; /* the program dialled the peer, keeps, tags or protects it, or is to be found by it */
    bool stream; /* a stream of the program is open between us, on a link, not on a circuit */
};

/* Whether candidate addresses of ours, private ones among them, may be told to that peer. */
bool node_rule_meets(const struct node_meets_view *v);

/* Of what the program dialled. */
struct node_meets {
    struct peer_id named[NODE_MEETS_NAMED]; /* len 0: a free place */
    size_t next;                            /* which place is used next */
};

struct node;
/* The program named |peer|: it dials or pings it, or opens a stream to it; a meeting over a relayed link may begin. */
void node_meets_name(struct node *n, const struct peer_id *peer);
/* Whether the program has named |peer|, lately or for good; whom it allows (allowed.h) it has named. */
bool node_meets_named(const struct node *n, const struct peer_id *peer);
struct node_kept;
/* Whether the program keeps that peer; false: it is kept as a relay that this node chose by itself. */
bool node_rule_keeps_by_name(const struct node_kept *k);
/* Whether there is anybody to meet: a node that only uses circuits does not list the protocols. */
bool node_meets_anybody(const struct node *n);
/* node_rule_meets() of |peer| as things stand. */
bool node_may_meet(const struct node *n, const struct peer_id *peer);

#endif
