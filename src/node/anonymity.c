/* anonymity.c - what node_rule_anonymity() decides from. */
#include "node/anonymity.h"

#include "node/internal.h"

enum node_anonymity node_anonymity_get(const struct node *n, tstamp now, uint32_t *lookups)
{
    struct relays_diversity d = relays_diversity(n->relays);
    const struct node_anonymity_view v = {
        .lab = n->cfg.lab,
        .settled = relays_is_usable(n->relays) && n->boot.phase == NODE_READY,
        .diverse = relays_diversity_enough(&d, false, false),
        .guards = relays_guards_state(n->relays, now),
    };

    *lookups = n->survey.lookups;
    return node_rule_anonymity(&v);
}
