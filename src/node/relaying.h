/*
 * relaying.h - circuit relays by itself, and finding peers: what arrow_autorelay.c, arrow_relay_service.c,
 * arrow_find_peers.c and arrow_peer_record.c share with others.
 */
#ifndef QUDAG_SRC_NODE_RELAYING_H
#define QUDAG_SRC_NODE_RELAYING_H

#include "node/node.h"

#define NODE_FINDS_MAX 64 /* searches for peers at once */
#define NODE_FINDS_SLOW 8 /* dials that are looked at after a while */

/* A search for addresses of a peer (arrow_find_peers.c). */
struct node_find {
    struct peer_id peer; /* len 0: a free place */
    uint32_t running;    /* of its two requests */
    bool found, late;    /* an address; its time is over, and whoever waited goes on */
    qudag_err err;       /* of one that failed */
    tstamp until;        /* its time; none running: not looked for again before */
};
struct node_finds {
    struct node_find v[NODE_FINDS_MAX];
    struct list held; /* opens that wait */
    uint32_t n_held;
    bool due; /* a peer came up for which some wait: they go on */
    struct node_finds_slow {
        struct peer_id peer;
        tstamp at; /* when its dial is looked at; 0: a free place */
    } slow[NODE_FINDS_SLOW];
};

#define NODE_PEER_RECORD_DIRECT 4 /* announced addresses in our record */

/* Our peer record in the DHT (arrow_peer_record.c). */
struct node_published {
    uint64_t said;         /* a digest of the addresses in the last one; 0: none was made */
    tstamp last, due;      /* when it was made; when the next is */
    uint32_t stored, vain; /* nodes that took it; times in a row that none did */
    bool running;
};

/* As node_reserve() and node_unreserve(), for places that this node chose by itself. */
QUDAG_MUST_USE qudag_err node_place_take(struct node *n, const struct node_keep_wish *w);
void node_place_drop(struct node *n, const struct peer_id *relay);

/* This node as a circuit relay for others, if it is to be one; freed with hop_free(). */
QUDAG_MUST_USE qudag_err node_relay_service_init(struct node *n, tstamp now);
/* What that depends on may have changed: places are given away from now on, or not. */
void node_relay_service_review(struct node *n);
/* Whether places are given away, and peers are told so. */
bool node_relay_serves(const struct node *n);

QUDAG_MUST_USE qudag_err node_autorelay_init(struct node *n); /* autorelay - places, DHT */
/* Whether places are wanted may have changed. */
void node_autorelay_review(struct node *n);
/* Identify |says| what |peer| serves: the hop protocol, or not. */
void node_autorelay_identified(struct node *n, const struct peer_id *peer, bool says, bool serves);
/* What the links with |peer| tell of it as a relay; false: none is direct. */
bool node_relay_found(const struct node *n, const struct peer_id *peer,
                      struct autorelay_found *out);

QUDAG_MUST_USE qudag_err node_finds_init(struct node *n); /* program, keep - DHT */
void node_finds_free(struct node *n);
/* node_core.holds: an open to a peer without link and address waits for a search. */
bool node_find_holds(struct node *n, unsigned core, const struct act *a, const char *proto);
/* Whether an address of ours goes into our record in the DHT: announced, and not merely observed. */
bool node_rule_published(const struct reach_addr *a);
QUDAG_MUST_USE qudag_err node_published_init(struct node *n); /* our record - DHT */
/* Our addresses, or what is wanted of them, may have changed. */
void node_published_review(struct node *n);
/* NODE_NEWS_MOVED: it is published again at once, though it says the same. */
void node_published_moved(struct node *n);

#endif
