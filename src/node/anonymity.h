/* anonymity.h - whether circuits hide who uses them now: what `qudag status` says in words. */
#ifndef QUDAG_SRC_NODE_ANONYMITY_H
#define QUDAG_SRC_NODE_ANONYMITY_H

#include "core/relays/relays.h"

struct node;

/* Whether circuits hide who uses them, as far as this node can know; and else what is missing. */
enum node_anonymity {
    NODE_ANONYMITY_YES,
    NODE_ANONYMITY_LAB,     /* never: a test network */
    NODE_ANONYMITY_NOT_YET, /* the view of the network has not settled (survey.c), or is being made */
    NODE_ANONYMITY_SMALL,   /* the network is too small, whether that was accepted or not */
    NODE_ANONYMITY_SPENT,   /* all new guards of this month are used, and none answers */
    NODE_ANONYMITY_SILENT, /* no guard answers */
};

/* What decides whether circuits hide who uses them. */
struct node_anonymity_view {
    bool lab;
    bool settled; /* relays_is_usable(), and the node has joined */
    bool diverse; /* as many relays and networks as it takes, whatever the user accepts */
    enum relays_guards_state guards;
};

/* Which of these it is (node_rule_anonymity); |*lookups|: of random keys that have ended so far. */
enum node_anonymity node_anonymity_get(const struct node *n, tstamp now, uint32_t *lookups);

#endif
