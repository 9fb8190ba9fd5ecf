/* circuit_relay.c - decisions about circuit relays, as pure functions. */
#include "node/circuit_relay.h"
#include "node/rules.h"

bool node_rule_serves(enum node_serves set, bool can_dial, bool tells, bool lab)
{
    return set == NODE_SERVES_YES || (set == NODE_SERVES_AUTO && can_dial && tells && !lab);
}

bool node_rule_relayed_addr(const struct multiaddr *addr, bool lab)
{
    struct multiaddr relay;

    return multiaddr_through(addr, &relay) && node_rule_addr(&relay, lab);
}
