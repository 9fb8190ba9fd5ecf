/* rules.c - decisions of circuit relay v2. */
#include "core/relay_v2/rules.h"

bool relayed_rule_carrier(uint8_t props, const struct peer_id *peer)
{
    return peer != NULL && peer->len > 0 && (props & (LINK_ANON | LINK_RELAYED)) == 0;
}

bool relayed_rule_early_bytes(uint8_t props)
{
    return (props & LINK_QUDAG) != 0;
}

bool hop_rule_room(const struct hop_room *r)
{
    return r->host < r->host_max && r->net < r->net_max && (r->all < r->all_max || r->gives_way);
}

static uint64_t tighter(uint64_t a, uint64_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

struct circuit_limit hop_rule_limit(const struct circuit_limit *limit,
                                    const struct circuit_limit *stranger, bool known)
{
    struct circuit_limit l = *limit;

    if (!known) {
        l.data = tighter(l.data, stranger->data);
        l.duration_s = (uint32_t)tighter(l.duration_s, stranger->duration_s);
    }
    return l;
}

bool relayed_rule_data(const struct circuit_limit *limit, uint64_t passed, uint64_t n)
{
    return limit->data == 0 || (passed <= limit->data && n <= limit->data - passed);
}

uint32_t relayed_rule_term(uint64_t expire, walltime now)
{
    uint64_t at = now > 0 ? (uint64_t)now : 0;
    uint64_t left = expire > at ? expire - at : 0;

    left = left < RELAYED_TERM_MIN ? RELAYED_TERM_MIN : left;
    return left > RELAYED_TERM_MAX ? RELAYED_TERM_MAX : (uint32_t)left;
}

bool relayed_rule_early(bool held, bool asking, uint32_t status)
{
    return !held && !asking && status == 0;
}

bool relayed_rule_where(const struct multiaddr *reached, const struct multiaddr *said)
{
    struct netaddr at, other;

    if (!multiaddr_direct(reached, &at) || !netaddr_is_global(&at)) {
        return false;
    }
    return !multiaddr_direct(said, &other) ||
           (other.family == at.family && !netaddr_same_ip(&other, &at));
}

qudag_err relayed_rule_voucher(const struct voucher *v, const struct peer_id *self, walltime now)
{
    if (!peer_id_eq(&v->peer, self)) {
        return QUDAG_EAUTH;
    }
    return now > RELAYED_VOUCHER_SKEW && v->expiration < (uint64_t)now - RELAYED_VOUCHER_SKEW
               ? QUDAG_EEXPIRED
               : QUDAG_OK;
}

/* Whether |used| is within an eighth of |limit|, or over it. */
static bool used_up(uint64_t used, uint64_t limit)
{
    return limit != 0 && used >= limit - limit / 8;
}

qudag_err relayed_rule_end(const struct relayed_end *e)
{
    bool over = used_up(e->in, e->limit.data) || used_up(e->out, e->limit.data) ||
                used_up(e->lived_ns, e->limit.duration_s * NS_PER_S);

    return e->err == QUDAG_ERESET && over ? QUDAG_ELIMIT : e->err;
}
