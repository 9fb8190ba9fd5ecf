/* breaker.c - when a breaker opens, lets one through, closes; see breaker.h. */
#include "swarm/breaker.h"

#define DOUBLINGS 16 /* of a pause: more than any reaches */

const struct swarm_breaker_kind swarm_breaker_peer = {1, NS_PER_S / 2, 300 * NS_PER_S};
const struct swarm_breaker_kind swarm_breaker_network = {4, 5 * NS_PER_S, 60 * NS_PER_S};

enum swarm_breaker_state swarm_breaker_state(const struct swarm_breaker *b, tstamp now)
{
    if (b->next_try == 0) {
        return SWARM_BREAKER_CLOSED;
    }
    return now < b->next_try ? SWARM_BREAKER_OPEN : SWARM_BREAKER_HALF_OPEN;
}

bool swarm_breaker_try(struct swarm_breaker *b, tstamp probe_ends, tstamp now)
{
    switch (swarm_breaker_state(b, now)) {
    case SWARM_BREAKER_CLOSED:
        return true;
    case SWARM_BREAKER_HALF_OPEN:
        b->next_try = probe_ends;
        b->probing = true;
        return true;
    case SWARM_BREAKER_OPEN:
        break;
    }
    return false;
}

void swarm_breaker_failed(struct swarm_breaker *b, const struct swarm_breaker_kind *kind,
                          const struct rng *rng, tstamp now)
{
    b->failures += b->failures < UINT32_MAX ? 1 : 0;
    b->probing = false;
    if (b->failures < kind->open_at) {
        return;
    }
    uint32_t n = b->failures - kind->open_at;
    uint64_t wait = kind->min_ns << (n < DOUBLINGS ? n : DOUBLINGS);

    wait = wait < kind->max_ns ? wait : kind->max_ns;
    b->next_try = tstamp_after(now, rng_jitter(rng, wait, 200));
}

void swarm_breaker_given_up(struct swarm_breaker *b, tstamp now)
{
    if (b->probing) {
        b->next_try = now;
        b->probing = false;
    }
}

void swarm_breaker_reset(struct swarm_breaker *b)
{
    *b = (struct swarm_breaker){.failures = 0};
}

bool swarm_rule_fault(qudag_err err, bool here)
{
    switch (err) {
    case QUDAG_OK:
    case QUDAG_ECANCELED:
    case QUDAG_ENOMEM:
    case QUDAG_ESYSTEM:
    case QUDAG_EINTERNAL:
    case QUDAG_ESTATE:
    case QUDAG_EINVAL:
        return false;
    case QUDAG_ELIMIT:
        return !here; /* a peer that is full says the same */
    default:
        return true;
    }
}

bool swarm_rule_net_elsewhere(const struct netaddr *failed, const struct netaddr *up)
{
    uint64_t group = netaddr_group(up);

    return group != 0 && group != netaddr_group(failed) && netaddr_rank(up) <= netaddr_rank(failed);
}

bool swarm_rule_net_counts(const struct swarm_net_dial *d, qudag_err err, bool here)
{
    bool silence = err == QUDAG_ETIMEOUT || err == QUDAG_EUNREACHABLE;

    return silence && !here && (d->stood || d->probe) && d->elsewhere;
}

bool swarm_rule_net_holds(const struct swarm_net_dial *d)
{
    return !d->stood && !d->chosen && !d->matters;
}
