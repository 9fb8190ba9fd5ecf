/* rules.c - the swarm's decisions on which safety rests; see rules.h. */
#include "swarm/rules.h"

#include "core/transport.h"

#include <string.h>

uint8_t swarm_rule_need(const struct swarm_proof *before)
{
    uint8_t need = before->proven & SWARM_PROVEN_PROPS;

    return before->has_pin ? need | LINK_PQ_AUTH : need;
}

qudag_err swarm_rule_admit(const struct swarm_proof *before, uint8_t need,
                           const struct swarm_claim *now)
{
    uint8_t wanted = need | (before->proven & SWARM_PROVEN_PROPS);

    if (before->has_pin &&
        (now->pq_hash == NULL || memcmp(before->pin, now->pq_hash, SWARM_PIN_LEN) != 0)) {
        return QUDAG_EAUTH;
    }
    return (now->props & wanted) == wanted ? QUDAG_OK : QUDAG_EPOLICY;
}

bool swarm_rule_learn(struct swarm_proof *proof, const struct swarm_claim *now)
{
    proof->proven |= now->props & SWARM_PROVEN_PROPS;
    if (proof->has_pin || now->pq_hash == NULL) {
        return false;
    }
    memcpy(proof->pin, now->pq_hash, SWARM_PIN_LEN);
    proof->has_pin = true;
    return true;
}

bool swarm_rule_pin(const struct swarm_proof *proof, const uint8_t pin[SWARM_PIN_LEN])
{
    return !proof->has_pin || memcmp(proof->pin, pin, SWARM_PIN_LEN) == 0;
}

bool swarm_rule_former(const struct swarm_proof *proof, const uint8_t pin[SWARM_PIN_LEN])
{
    return proof->has_former && memcmp(proof->former, pin, SWARM_PIN_LEN) == 0;
}

enum swarm_follow swarm_rule_follow(const struct swarm_proof *proof,
                                    const struct swarm_successor *next)
{
    if (proof->has_pin && memcmp(proof->pin, next->from, SWARM_PIN_LEN) == 0) {
        return next->seq > proof->seq ? SWARM_FOLLOW : SWARM_FOLLOW_LATE;
    }
    return swarm_rule_former(proof, next->from) && memcmp(proof->pin, next->to, SWARM_PIN_LEN) != 0
               ? SWARM_FOLLOW_CONFLICT
               : SWARM_FOLLOW_LATE;
}

enum swarm_pin_source swarm_rule_pin_source(bool inbound, bool chooses)
{
    return !inbound && chooses ? SWARM_PIN_DIALLED : SWARM_PIN_MET;
}

enum swarm_pin_source swarm_rule_pin_gives(const uint32_t count[SWARM_PIN_SOURCES], uint32_t max,
                                           enum swarm_pin_source adding)
{
    const uint32_t share[SWARM_PIN_SOURCES] = {
        [SWARM_PIN_RECORDED] = max / 4,
        [SWARM_PIN_MET] = max - max / 4 - max / 4,
        [SWARM_PIN_DIALLED] = max / 4,
    };
    enum swarm_pin_source most = adding;
    int64_t over = INT64_MIN;

    for (unsigned i = 0; i < SWARM_PIN_SOURCES; i++) {
        int64_t its = (int64_t)count[i] + (i == adding ? 1 : 0) - share[i];
        if (count[i] > 0 && its > over) {
            most = (enum swarm_pin_source)i;
            over = its;
        }
    }
    return most;
}

/* IPv4-mapped IPv6 (RFC 4291 2.5.5.2) is the IPv4 address it maps. */
static struct netaddr unmapped(const struct netaddr *addr)
{
    static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};
    struct netaddr a = *addr;

    if (a.family == 6 && memcmp(a.ip, prefix, sizeof prefix) == 0) {
        a = (struct netaddr){.family = 4, .port = addr->port};
        memcpy(a.ip, addr->ip + sizeof prefix, 4);
    }
    return a;
}

/* Multicast (RFC 5771, RFC 4291 2.7), broadcast, and what no host may have (RFC 6890: 0/8, 240/4). */
static bool nobody_in_particular(const struct netaddr *a)
{
    if (a->family == 4) {
        return a->ip[0] == 0 || a->ip[0] >= 224;
    }
    return a->ip[0] == 0xff;
}

bool swarm_rule_hint(const struct netaddr *addr, bool private_ok)
{
    struct netaddr a = unmapped(addr);

    if ((a.family != 4 && a.family != 6) || a.port == 0 || netaddr_is_unspecified(&a) ||
        nobody_in_particular(&a)) {
        return false;
    }
    return private_ok || netaddr_is_global(&a);
}

/* IP versions of relays say nothing of the way behind them. */
static bool of_one_kind(const struct swarm_candidate *a, const struct swarm_candidate *b)
{
    return a->cost == b->cost && (a->cost == TRANSPORT_RELAYED || a->family == b->family);
}

/* How many of its kind come before the candidate with that index. */
static size_t turn_of(const struct swarm_candidate *c, size_t n, size_t ix)
{
    size_t turn = 0;

    for (size_t i = 0; i < n && !c[ix].proven; i++) {
        bool before = i < ix || c[i].proven;
        turn += i != ix && before && of_one_kind(&c[i], &c[ix]) ? 1 : 0;
    }
    return turn;
}

size_t swarm_rule_next_dial(const struct swarm_candidate *c, size_t n)
{
    size_t best = n, best_key = SIZE_MAX;
    uint8_t first = 6;

    for (size_t i = 0; i < n; i++) {
        first = c[i].proven && c[i].family != 0 ? c[i].family : first;
    }
    for (size_t i = 0; i < n; i++) {
        size_t key = turn_of(c, n, i) * 8 + c[i].cost * 2u + (c[i].family != first ? 1 : 0);
        if (!c[i].tried && key < best_key) {
            best = i;
            best_key = key;
        }
    }
    return best;
}

bool swarm_rule_attempt(uint32_t under_way, bool due)
{
    return under_way == 0 || (due && under_way < SWARM_DIALS_PARALLEL);
}

bool swarm_rule_loses(unsigned dial, unsigned up)
{
    return up != TRANSPORT_RELAYED || dial == TRANSPORT_RELAYED;
}

bool swarm_rule_clears_backoff(uint8_t props, uint8_t need)
{
    return (props & need) == need;
}

bool swarm_rule_is_ours(qudag_err err)
{
    return err == QUDAG_ELIMIT || err == QUDAG_ENOMEM;
}

bool swarm_rule_served(uint8_t props, bool anonymous)
{
    return !anonymous || (props & LINK_ANON) != 0;
}

bool swarm_rule_carries(uint8_t props, uint8_t need, bool limited_ok, bool ours_only)
{
    return (props & need) == need && (limited_ok || (props & LINK_LIMITED) == 0) &&
           (!ours_only || (props & LINK_INBOUND) == 0);
}

bool swarm_rule_moves(uint8_t props, bool failing, uint8_t best)
{
    return failing || (props & ~best & (LINK_RELAYED | LINK_LIMITED)) != 0;
}

bool swarm_rule_relayed(uint8_t props, bool direct_only)
{
    return !direct_only || (props & LINK_RELAYED) == 0;
}

bool swarm_rule_cells(uint8_t props, bool shaped)
{
    return shaped || (props & LINK_ANON) != 0;
}

/* The criteria but for age, the weightiest in the highest bit; less is better. */
static unsigned flaws(const struct swarm_rank *r)
{
    unsigned lacking =
        ((r->props & LINK_PQ_KEX) != 0 ? 0u : 1u) + ((r->props & LINK_PQ_AUTH) != 0 ? 0u : 1u);

    return (r->silent ? 64u : 0) | ((r->props & LINK_LIMITED) != 0 ? 32u : 0) |
           ((r->props & LINK_RELAYED) != 0 ? 16u : 0) | lacking << 2 | (r->cost & 3u);
}

bool swarm_rule_better(const struct swarm_rank *a, const struct swarm_rank *b)
{
    unsigned fa = flaws(a), fb = flaws(b);

    return fa != fb ? fa < fb : a->order > b->order;
}

bool swarm_rule_stands_by(unsigned more, bool in_use, tstamp since, tstamp now)
{
    return (more & LINK_RELAYED) != 0 && in_use && now < tstamp_after(since, SWARM_STANDBY);
}

uint64_t swarm_rule_quiet_pause(uint32_t times)
{
    unsigned doubled = times > 4 ? 4 : times > 0 ? times - 1 : 0;

    return (250 * NS_PER_MS) << doubled;
}

bool swarm_rule_rescue(const struct swarm_quiet_view *v)
{
    return v->needed && !v->other && !v->dialling && !v->too_soon && (v->relayed || v->lasts);
}

uint64_t swarm_rule_relapse_pause(uint32_t times)
{
    unsigned doubled = times > 7 ? 4 : times > 3 ? times - 3 : 0;

    return times < 3 ? 0 : (4 * NS_PER_S) << doubled;
}

uint64_t swarm_rule_rescue_pause(uint32_t dials)
{
    unsigned doubled = dials > 6 ? dials - 6 : 0;

    return (500 * NS_PER_MS) << (doubled > 4 ? 4 : doubled);
}

enum swarm_witness swarm_rule_witness(bool heard, tstamp asked, tstamp now)
{
    if (heard) {
        return SWARM_WITNESS_HEARD;
    }
    return now < tstamp_after(asked, SWARM_WITNESS_WAIT) ? SWARM_WITNESS_ASKED : SWARM_WITNESS_NONE;
}

bool swarm_rule_path_quiet(struct swarm_path *p, tstamp now)
{
    bool was = p->quiet;

    if (!was) {
        p->quiets = now < tstamp_after(p->trust_at, SWARM_QUIET_FORGET) ? p->quiets + 1 : 1;
        p->quiet = p->fresh = true;
        p->since = p->rescue_at = now;
        p->rescues = 0;
    }
    return !was;
}

void swarm_rule_path_heard(struct swarm_path *p, tstamp now)
{
    if (p->quiet) {
        p->quiet = p->fresh = p->guessed = false;
        p->trust_at = tstamp_after(now, swarm_rule_quiet_pause(p->quiets));
    }
}

bool swarm_rule_path_unsure(const struct swarm_path *p, tstamp now)
{
    return p->quiet || now < p->trust_at;
}

uint64_t swarm_rule_redial_pause(uint32_t dials)
{
    const uint64_t most = 300 * NS_PER_S;
    unsigned doubled = dials > 8 ? dials - 8 : 0;
    uint64_t ns = (4 * NS_PER_S) << (doubled > 7 ? 7 : doubled);

    return ns < most ? ns : most;
}

tstamp swarm_rule_renew_at(tstamp until, uint64_t random, tstamp now)
{
    if (until == TSTAMP_NEVER || until < tstamp_after(now, SWARM_RENEW_LEAST)) {
        return TSTAMP_NEVER;
    }
    return until - SWARM_RENEW_LEAD + random % (SWARM_RENEW_LEAD / 2 + 1);
}

enum swarm_renewal swarm_rule_renewal(tstamp until, tstamp renew_at, bool inbound, bool in_use,
                                      bool replaced, tstamp now)
{
    if (until != TSTAMP_NEVER && tstamp_after(now, SWARM_RENEW_MARGIN) >= until) {
        return SWARM_RENEWAL_END;
    }
    return now >= renew_at && !inbound && in_use && !replaced ? SWARM_RENEWAL_DIAL
                                                              : SWARM_RENEWAL_NONE;
}

enum swarm_renewal swarm_rule_rekey(tstamp rekey_at, bool is_idle, bool replaced, tstamp now)
{
    if (replaced) {
        return is_idle ? SWARM_RENEWAL_END : SWARM_RENEWAL_NONE;
    }
    return now >= rekey_at ? SWARM_RENEWAL_DIAL : SWARM_RENEWAL_NONE;
}

/* As bytes, and a prefix before what goes on. */
static bool id_smaller(const struct peer_id *a, const struct peer_id *b)
{
    int order = memcmp(a->b, b->b, a->len < b->len ? a->len : b->len);

    return order != 0 ? order < 0 : a->len < b->len;
}

bool swarm_rule_kept_dial(const struct peer_id *self, const struct peer_id *peer, bool inbound)
{
    return id_smaller(self, peer) != inbound;
}

bool swarm_rule_local_gone(const struct swarm_moved *m, const struct netaddr *local, bool inbound)
{
    bool have = m->n_have == 0;

    if (netaddr_is_unspecified(local)) {
        return false; /* not known */
    }
    for (size_t i = 0; i < m->n_have; i++) {
        have = have || netaddr_same_ip(&m->have[i], local);
    }
    for (size_t i = 0; i < 2 && !inbound; i++) {
        have = have && (m->left[i].family == 0 || !netaddr_same_ip(&m->left[i], local));
    }
    return !have;
}

uint32_t swarm_rule_peers_max(uint32_t links)
{
    const uint32_t least = 8192;

    if (links > UINT32_MAX / 2) {
        return UINT32_MAX;
    }
    return links * 2 > least ? links * 2 : least;
}
