/* traffic.c - whose bytes the swarm carried: its cores by protocol. */
#include "node/internal.h"

#include <string.h>

/* Adds what |core| of ours carried. */
static void add(const struct node *n, unsigned core, struct swarm_traffic out[SWARM_PROTECTIONS])
{
    const struct swarm_traffic *t = swarm_meters(n->swarm)->traffic[n->core[core].swarm_ix];

    for (size_t p = 0; p < SWARM_PROTECTIONS; p++) {
        for (size_t dir = 0; dir < SWARM_DIRECTIONS; dir++) {
            out[p].bytes[dir] += t[p].bytes[dir];
            out[p].messages[dir] += t[p].messages[dir];
        }
    }
}

void node_traffic(const struct node *n, enum node_protocol p,
                  struct swarm_traffic out[SWARM_PROTECTIONS])
{
    const unsigned cores[NODE_PROTOCOLS][2] = {
        [NODE_PROTOCOL_PING] = {n->ix.ping, n->ix.ping},
        [NODE_PROTOCOL_IDENTIFY] = {n->ix.identify, n->ix.push},
        [NODE_PROTOCOL_DHT] = {n->ix.dht, n->ix.dht},
        [NODE_PROTOCOL_CELLS] = {n->ix.onion, n->ix.onion},
        [NODE_PROTOCOL_GATEWAY] = {n->ix.gateway, n->ix.gateway},
        [NODE_PROTOCOL_PADDING] = {n->ix.padding, n->ix.padded_links},
        [NODE_PROTOCOL_MEETING] = {n->ix.introduce, n->ix.rendezvous},
        [NODE_PROTOCOL_PROGRAM] = {n->ix.streams, n->ix.streams},
    };

    memset(out, 0, SWARM_PROTECTIONS * sizeof(out[0]));
    add(n, cores[p][0], out);
    if (cores[p][1] != cores[p][0]) {
        add(n, cores[p][1], out);
    }
}

void node_introductions_refused(const struct node *n, uint64_t *replayed, uint64_t *bad)
{
    hidden_services_refused(n->services, replayed, bad);
}
