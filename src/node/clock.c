/*
 * clock.c - our wall-clock time, and whether it is likely to be wrong.
 *
 * A peer whose certificate or descriptor we find to be from the future, or that refuses ours as such, is a
 * witness.  One peer may be wrong itself, and a network holds many of somebody's; so witnesses count by
 * network, for half an hour, against those that agreed in the same matter (node_rule_clock_suspect).
 * Found wrong, it is said: a log event, the phase hook with QUDAG_ECLOCK, node_clock_suspect().
 */
#include "node/internal.h"

#include "crypto/hash.h"

#include <string.h>

walltime node_wall(const struct node *n, tstamp now)
{
    return wall_now(&n->cfg.clock, now);
}

bool node_clock_suspect(const struct node *n)
{
    return n->clock.suspect;
}

bool node_clock_trusted(const struct node *n)
{
    return node_rule_clock_trusted(n->clock.suspect, n->clock.jury[NODE_CLOCK_LINKS].agreed,
                                   n->now - n->clock.since);
}

/* The network address of |peer|: |addr|, or that of a link with it.  False: none is known. */
static bool address_of(const struct node *n, const struct peer_id *peer,
                       const struct multiaddr *addr, struct netaddr *out)
{
    struct link_info link;
    size_t it = 0;

    if (addr != NULL) {
        return multiaddr_direct(addr, out);
    }
    return swarm_peer_link_next(n->swarm, peer, &it, &link) && multiaddr_direct(&link.remote, out);
}

/* As what a witness is counted: its network, or where that is not known, and in a lab, its peer id. */
static uint64_t origin(const struct node *n, const struct peer_id *peer,
                       const struct multiaddr *addr)
{
    struct netaddr a;
    uint8_t digest[SHA256_LEN];
    uint64_t word;

    if (!n->cfg.lab && address_of(n, peer, addr, &a)) {
        return netaddr_group(&a);
    }
    sha256(digest, peer_id_slice(peer));
    memcpy(&word, digest, sizeof(word));
    return word;
}

static void expire(struct node_clock_jury *j, tstamp now)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < j->n; i++) {
        if (now - j->seen[i] < NODE_CLOCK_MEMORY) {
            j->witness[kept] = j->witness[i];
            j->seen[kept++] = j->seen[i];
        }
    }
    j->n = kept;
}

static void decide(struct node *n)
{
    bool was = n->clock.suspect;

    n->clock.suspect = false;
    for (size_t i = 0; i < NODE_CLOCK_MATTERS; i++) {
        const struct node_clock_jury *j = &n->clock.jury[i];
        n->clock.suspect = n->clock.suspect || node_rule_clock_suspect(j->n, j->agreed);
    }
    if (n->clock.suspect == was) {
        return;
    }
    n->news |= NODE_NEWS_CLOCK;
    log_event(&n->cfg.log, n->clock.suspect ? LOG_WARN : LOG_INFO,
              n->clock.suspect ? "node.clock_suspect" : "node.clock_right",
              LOG_NUM("links", n->clock.jury[NODE_CLOCK_LINKS].n),
              LOG_NUM("puts", n->clock.jury[NODE_CLOCK_PUTS].n),
              LOG_NUM("fetches", n->clock.jury[NODE_CLOCK_FETCHES].n));
}

void node_clock_witness(struct node *n, enum node_clock_matter what, const struct peer_id *peer,
                        const struct multiaddr *addr)
{
    struct node_clock_jury *j = &n->clock.jury[what];
    uint64_t from = origin(n, peer, addr);
    uint32_t at = 0;

    expire(j, n->now);
    while (at < j->n && j->witness[at] != from) {
        at++;
    }
    if (at == NODE_CLOCK_WITNESSES) {
        return; /* more change nothing */
    }
    j->n += at == j->n ? 1 : 0;
    j->witness[at] = from;
    j->seen[at] = n->now;
    decide(n);
}

void node_clock_agreed(struct node *n, enum node_clock_matter what, uint32_t count)
{
    struct node_clock_jury *j = &n->clock.jury[what];

    j->agreed = count;
    if (n->clock.suspect) {
        expire(j, n->now);
        decide(n);
    }
}

void node_clock_to_services(struct node *n)
{
    hidden_services_trust_clock(n->services, node_clock_trusted(n));
    if (!n->clock.suspect) {
        hidden_services_set_clock(n->services, n->cfg.clock);
    }
}

/* The parts that date or judge things each have a copy. */
void node_set_clock(struct node *n, struct wallclock clock, tstamp now)
{
    walltime before = node_wall(n, now), after = wall_now(&clock, now);
    int64_t jump = after > before ? after - before : before - after;

    n->now = now;
    n->cfg.clock = clock;
    sec_set_clock(n->sec, clock);
    kad_set_clock(n->kad, clock);
    dark_set_clock(n->dark, clock);
    if (jump < NODE_CLOCK_JUMP) {
        node_clock_to_services(n);
        return;
    }
    log_event(&n->cfg.log, LOG_WARN, "node.clock_set", LOG_NUM("seconds", (uint64_t)jump),
              LOG_STR("to", after > before ? "later" : "earlier"));
    n->clock = (struct node_clock){.set = true, .said = n->clock.said, .since = now};
    n->news |= NODE_NEWS_CLOCK;
    node_clock_to_services(n); /* not trusted any more */
}
