/* waiting.h - who is not dialled for a while after failures: breakers that are not closed, seen from outside. */
#ifndef QUDAG_SRC_SWARM_WAITING_H
#define QUDAG_SRC_SWARM_WAITING_H

#include "base/netaddr.h"
#include "base/types.h"
#include "swarm/breaker.h"
#include "wire/peer_id.h"

struct swarm;

/* What failed is forgotten: |peer| may be dialled now; NULL: everybody, and all networks. */
void swarm_retry(struct swarm *s, const struct peer_id *peer);
/* How many breakers of peers and of networks are not closed. */
void swarm_waiting(const struct swarm *s, uint32_t *peers, uint32_t *networks);
/* When |peer| may be dialled again after failures; 0: now. */
tstamp swarm_next_try(const struct swarm *s, const struct peer_id *peer, tstamp now);
/* A breaker that is not closed. */
struct swarm_breaker_look {
    struct peer_id peer; /* len 0: of a network */
    struct netaddr net;  /* its first address, port 0 */
    enum swarm_breaker_state state;
    uint32_t failures;
    tstamp next_try;
    qudag_err err; /* of a peer: what the last dial ended with */
};
/* One after the other in no order, |*it| from 0 on; false at the end. */
bool swarm_breaker_next(const struct swarm *s, size_t *it, struct swarm_breaker_look *out,
                        tstamp now);

#endif
