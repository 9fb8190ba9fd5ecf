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
    tstamp watch_at;     /* when it is asked whether it is still there; 0: not */
    tstamp doubt_next;   /* no links are asked for a quiet one before */
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

/*
 * While peers that are met use this node, behind a NAT, one link after the other is asked so often: that NAT may have
 * started again or have another address, and then nobody reaches this node before it has sent something.
 */
#define NODE_WATCH NS_PER_S
#define NODE_WATCH_USED (60 * NS_PER_S) /* what moved so long ago counts as use */
/* Between two times that all links are asked for the sake of one that became quiet. */
#define NODE_DOUBT_PAUSE (3 * NS_PER_S)

struct node;
/* At direct.watch_at. */
void node_watch(struct node *n, tstamp now);
/* The path of a link is quiet: perhaps it is the network that is another, so the others are asked, too. */
void node_path_quiet(struct node *n, tstamp now);
/* NODE_NEWS_MOVED: every part that knows the network anew begins again. */
void node_network_anew(struct node *n, tstamp now);
/* What is known of the NAT may be other than it was. */
void node_keepalive_review(struct node *n);
/* The machine has slept: links are asked whether they live, what failed is tried again, and all that knows the network
 * anew (NODE_NEWS_MOVED). */
void node_woke(struct node *n, tstamp now);
/* The last try with |peer| to replace a relayed link; false: there was none. */
bool node_dcutr_look(const struct node *n, const struct peer_id *peer, struct dcutr_look *out);

#endif
