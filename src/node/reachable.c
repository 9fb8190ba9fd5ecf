/* reachable.c - what is wanted of being reachable: node_rule_wants(). */
#include "node/internal.h"

struct node_wants node_rule_wants(const struct node_wants_of *of)
{
    bool all = of->setting == NODE_REACHABLE_YES, none = of->setting == NODE_REACHABLE_NO;
    bool serves = of->relay || of->dht_server || of->circuit_relay || of->serves_peers;
    bool tried = all || (serves && !none && !of->lab);
    bool found = all || (of->serves_peers && !none && !of->lab);

    return (struct node_wants){.announce = all || (!none && (serves || of->lab)),
                               .probe = tried,
                               .map = tried,
                               .places = found,
                               .publish = found};
}

const struct node_wants *node_wants(const struct node *n)
{
    return &n->wants;
}

void node_wants_review(struct node *n)
{
    struct node_wants_of of = {.setting = n->cfg.reachable,
                               .relay = n->cfg.relay,
                               .dht_server = n->cfg.dht_server,
                               .circuit_relay = n->cfg.circuit_relay.serve,
                               .serves_peers = n->serves_peers,
                               .lab = n->cfg.lab};

    n->wants = node_rule_wants(&of);
    n->news |= NODE_NEWS_SELF;
}
