/* rules.c - what a meeting may do; see rules.h. */
#include "core/meet/rules.h"

#include <string.h>

/* ---- addresses ---- */

static bool has_private(const struct meet_own *own, uint8_t family)
{
    for (size_t i = 0; i < own->n; i++) {
        if (own->v[i].addr.family == family && netaddr_is_private(&own->v[i].addr)) {
            return true;
        }
    }
    return false;
}

/* An IPv4 address in disguise: a packet would go there, past what is said, and counted, of it. */
static bool embeds_ip4(const struct netaddr *a)
{
    static const uint8_t mapped[10] = {0};                   /* ::ffff:0:0/96, and ::/96 */
    static const uint8_t nat64[] = {0x00, 0x64, 0xff, 0x9b}; /* RFC 6052, 8215 */
    static const uint8_t six_to_four[] = {0x20, 0x02};       /* RFC 3056 */
    static const uint8_t teredo[] = {0x20, 0x01, 0, 0};      /* RFC 4380 */

    return (memcmp(a->ip, mapped, sizeof(mapped)) == 0 && !netaddr_is_loopback(a)) ||
           memcmp(a->ip, nat64, sizeof(nat64)) == 0 ||
           memcmp(a->ip, six_to_four, sizeof(six_to_four)) == 0 ||
           memcmp(a->ip, teredo, sizeof(teredo)) == 0;
}

static bool is_never_met(const struct netaddr *a)
{
    static const struct netaddr broadcast = {.family = 4, .ip = {255, 255, 255, 255}};

    if (a->family == 4) {
        return a->ip[0] == 0 || a->ip[0] >= 224 || netaddr_same_ip(a, &broadcast) ||
               (a->ip[0] == 169 && a->ip[1] == 254);
    }
    return a->ip[0] == 0xff || (a->ip[0] == 0xfe && (a->ip[1] & 0xc0) == 0x80) || embeds_ip4(a);
}

bool meet_rule_address(const struct netaddr *a, const struct meet_own *own)
{
    if ((a->family != 4 && a->family != 6) || a->port < 1024 || netaddr_is_unspecified(a) ||
        is_never_met(a)) {
        return false;
    }
    if ((a->family == 4 && !own->ip4) || (a->family == 6 && !own->ip6)) {
        return false;
    }
    if (netaddr_is_loopback(a)) {
        return own->lab;
    }
    return !netaddr_is_private(a) || has_private(own, a->family);
}

/* ---- who has a place ---- */

static size_t of_net(const struct meet_place *held, size_t n, uint64_t net)
{
    size_t of = 0;

    for (size_t i = 0; i < n; i++) {
        of += held[i].net == net ? 1 : 0;
    }
    return of;
}

static bool may_give_way(const struct meet_place *p, const struct meet_place *asks, tstamp now)
{
    return (asks->named && !p->named) || (now - p->since >= MEET_TURN && asks->named >= p->named);
}

static bool is_older(const struct meet_place *a, const struct meet_place *b)
{
    return a->since < b->since || (a->since == b->since && a->nth < b->nth);
}

size_t meet_rule_gives_way(const struct meet_place *held, size_t n, const struct meet_place *asks,
                           tstamp now)
{
    size_t best = n, best_of = 0;

    for (size_t i = 0; i < n; i++) {
        if (!may_give_way(&held[i], asks, now)) {
            continue;
        }
        size_t of = of_net(held, n, held[i].net);
        bool weaker = best < n && held[best].named && !held[i].named;
        bool stronger = best < n && !held[best].named && held[i].named;
        bool before =
            best == n || of > best_of || (of == best_of && is_older(&held[i], &held[best]));
        if (weaker || (before && !stronger)) {
            best = i;
            best_of = of;
        }
    }
    return best;
}

bool meet_rule_birthday_keeps(const struct meet_place *holds, bool asker_named, tstamp now)
{
    const struct meet_place asks = {.named = asker_named};

    return !may_give_way(holds, &asks, now);
}

/* ---- what is sent ---- */

static bool is_within(const struct meet_sent *sent)
{
    return sent->host_round < MEET_HOST_ROUND && sent->all < MEET_UNANSWERED_MAX;
}

bool meet_rule_triggered(const struct meet_sent *sent)
{
    return !is_within(sent) && sent->heard;
}

bool meet_rule_unanswered(const struct meet_sent *sent)
{
    uint32_t most = sent->named ? 4 * MEET_UNANSWERED_MAX : MEET_UNANSWERED_MAX;

    return sent->silent < most &&
           (is_within(sent) || (sent->heard && sent->triggered < MEET_TRIGGERED_MAX));
}

/* ---- rounds ---- */

static bool is_one_hard(const struct meet_sides *s)
{
    return (s->ours == MEET_NAT_DEPENDENT) != (s->theirs == MEET_NAT_DEPENDENT);
}

bool meet_rule_hard(const struct meet_sides *s)
{
    return s->ours == MEET_NAT_DEPENDENT && s->theirs != MEET_NAT_DEPENDENT;
}

enum meet_round meet_rule_next(enum meet_round last, const struct meet_sides *s, const char **why)
{
    bool step = meet_rule_hard(s) ? s->our_step : s->their_step;

    *why = "";
    if (last == MEET_PLAIN) {
        return MEET_FRESH_PORT;
    }
    if (!is_one_hard(s)) {
        *why = s->ours == MEET_NAT_DEPENDENT
                   ? "both routers give each destination another port: only a relay joins such two"
                   : "";
        return MEET_ROUNDS;
    }
    if (last == MEET_FRESH_PORT && step) {
        return MEET_PREDICT;
    }
    if (last == MEET_BIRTHDAY) {
        *why = "one router gives each destination another port, and none of those tried was it";
        return MEET_ROUNDS;
    }
    if (s->no_birthday) {
        *why = "one router gives each destination another port; many were tried lately, or it "
               "gives few";
        return MEET_ROUNDS;
    }
    return MEET_BIRTHDAY;
}

uint16_t meet_rule_held(uint64_t ns)
{
    return ns / NS_PER_MS > UINT16_MAX ? UINT16_MAX : (uint16_t)(ns / NS_PER_MS);
}

uint64_t meet_rule_rtt(uint64_t ns, uint16_t held_ms)
{
    uint64_t held = held_ms * NS_PER_MS;
    uint64_t rtt = ns > held ? ns - held : 0;

    return rtt < MEET_RTT_MAX ? rtt : MEET_RTT_MAX;
}

uint64_t meet_rule_path(uint64_t ours, uint64_t theirs)
{
    ours = ours < MEET_RTT_MAX ? ours : MEET_RTT_MAX;
    theirs = theirs < MEET_RTT_MAX ? theirs : MEET_RTT_MAX;
    uint64_t rtt = (ours != 0 ? ours : theirs) + (theirs != 0 ? theirs : ours);

    return rtt < MEET_RTT_MAX ? rtt : MEET_RTT_MAX;
}

#define SWAP_MIN (150 * NS_PER_MS)

uint64_t meet_rule_start(enum meet_round round, uint8_t set, bool initiator, uint64_t rtt)
{
    bool spoke = round == MEET_PLAIN ? !initiator : initiator; /* last */
    uint64_t wait = spoke ? rtt / 2 : 0;
    uint64_t swap = rtt / 2 < SWAP_MIN ? SWAP_MIN : rtt / 2;

    if (round == MEET_FRESH_PORT && ((set == 1 && initiator) || (set == 2 && !initiator))) {
        wait += swap;
    }
    return wait;
}

uint64_t meet_rule_length(enum meet_round round, uint64_t rtt, size_t pairs)
{
    uint64_t least = 3 * rtt + 3 * MEET_TA * pairs;

    least = least < MEET_ROUND_MIN ? MEET_ROUND_MIN : least;
    if (round == MEET_FRESH_PORT) {
        least += meet_rule_start(round, 1, true, rtt);
    }
    return round == MEET_BIRTHDAY ? least + MEET_PROBES * MEET_PROBE_GAP : least;
}

uint64_t meet_rule_gap(uint32_t sent)
{
    static const uint16_t ms[] = {25, 50, 75, 110, 170, 250};

    return (sent < ARRAY_LEN(ms) ? ms[sent] : 250) * NS_PER_MS;
}

unsigned meet_rule_order(const struct meet_candidate *c)
{
    static const uint8_t kinds[] = {[MEET_PEER_REFLEXIVE] = 0,
                                    [MEET_HOST] = 1,
                                    [MEET_MAPPED] = 2,
                                    [MEET_OBSERVED] = 3,
                                    [MEET_PREDICTED] = 4};

    return (c->addr.family == 6 ? 0u : 8u) + kinds[c->kind];
}

/* ---- guessing ports ---- */

#define PORTS_LO 1024u
#define PORTS_N (65536u - PORTS_LO)

uint16_t meet_rule_predict(uint16_t port, int16_t step, unsigned nth)
{
    int64_t at = (int64_t)port - PORTS_LO + (int64_t)step * (int64_t)nth;

    at %= (int64_t)PORTS_N;
    at += at < 0 ? (int64_t)PORTS_N : 0;
    return (uint16_t)(PORTS_LO + (uint32_t)at);
}

uint16_t meet_rule_probe(uint16_t start, uint16_t stride, uint32_t nth)
{
    /* PORTS_N is 2^10 * 3^2 * 7: what shares no factor with it passes through all of them */
    uint32_t by = (uint32_t)stride | 1;

    while (by % 3 == 0 || by % 7 == 0) {
        by += 2;
    }
    return (uint16_t)(PORTS_LO + (start + (uint64_t)by * nth) % PORTS_N);
}

bool meet_rule_birthday(const struct meet_birthday_asks *b, tstamp now)
{
    bool soon_peer = b->last_peer != 0 && now - b->last_peer < MEET_BIRTHDAY_PAUSE;
    bool soon_host = b->last_host != 0 && now - b->last_host < MEET_BIRTHDAY_PAUSE;

    return !b->busy && !b->few_ports && !soon_peer && !soon_host;
}

uint32_t meet_rule_probes(const struct meet_birthday_asks *b, bool hard)
{
    if (!b->attested && !b->named) {
        return MEET_UNANSWERED_MAX;
    }
    return hard ? 2 * MEET_SOCKETS : MEET_PROBES;
}

uint32_t meet_rule_ports(uint32_t proven)
{
    return proven == 0 ? MEET_PORTS_STEP : proven + 2 * MEET_PORTS_STEP;
}

/* ---- afterwards ---- */

uint64_t meet_rule_pause(enum meet_fate fate, uint32_t failures)
{
    switch (fate) {
    case MEET_ALL_TRIED:
        return MEET_LONG_WHILE;
    case MEET_BROKEN:
        failures = failures < 1 ? 1 : failures > 6 ? 6 : failures;
        return (30 * NS_PER_S) << (failures - 1);
    case MEET_NOT_NOW:
        return 120 * NS_PER_S;
    case MEET_SHORT_HERE:
        return 10 * NS_PER_S;
    case MEET_WENT_WELL:
    default:
        return 0;
    }
}

const char *meet_rule_reason(const struct meet_look *look, size_t pairs, const char *no_round)
{
    if (pairs == 0) {
        return "none of the peer's addresses can be tried from here";
    }
    if (look->received > 0) {
        return "the peer's packets arrive here, but none of ours is answered";
    }
    if (no_round[0] != '\0') {
        return no_round;
    }
    return "nothing of the peer's arrived: a router or firewall on the way drops it";
}
