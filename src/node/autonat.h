/* autonat.h - AutoNAT v2 as the rest of the node sees it (arrow_autonat.c).  Included by internal.h. */
#ifndef QUDAG_SRC_NODE_AUTONAT_H
#define QUDAG_SRC_NODE_AUTONAT_H

#include "core/autonat/server.h"
#include "quic/quic.h"

#define NODE_AUTONAT_AVOID 32 /* peers that did not do their part; the oldest is forgotten */

struct node;

struct node_autonat_avoid {
    struct peer_id peer;
    struct multiaddr addr; /* len 0: for whatever address */
    tstamp until;
};

struct node_autonat {
    struct autonat_client client;
    struct autonat_server server;
    unsigned serve_ix;
    bool asking;
    tstamp look_at; /* when a server is looked for */
    uint64_t pause; /* until then, where there was none */
    struct node_autonat_avoid avoid[NODE_AUTONAT_AVOID];
    size_t avoid_at;
};

/*
 * Whether the peer at the other end of |link| may be asked to dial |addr|: a direct link over the Internet (in a |lab|
 * over anything), with |same| of the same IP version.  Nodes of ours dial QUIC only.
 */
bool node_rule_autonat_server(const struct link_info *link, const struct multiaddr *addr, bool same,
                              bool lab);
/* A datagram for a socket of a dial-back; false: it is for none. */
bool node_autonat_recv(struct node *n, const struct quic_dgram *d, tstamp now);
/* Another network: whoever did not do its part there may be asked again, at once. */
void node_autonat_moved(struct node *n, tstamp now);
QUDAG_MUST_USE qudag_err node_autonat_init(struct node *n);
/* Behind the cores. */
void node_autonat_free(struct node *n);

#endif
