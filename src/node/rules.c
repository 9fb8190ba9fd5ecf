/* rules.c - decisions on which safety rests; the table of their answers is rules_test.c. */
#include "node/rules.h"

#include "base/err.h"
#include "swarm/rules.h"

#include <string.h>

#define PK_PREFIX "/pk/"
#define GRAIN_S 300 /* s, of times in our descriptor */

size_t node_rule_relay_key(uint8_t dst[NODE_RELAY_KEY_MAX], const struct peer_id *id)
{
    size_t len = sizeof(DHT_RELAY_PREFIX) - 1;

    memcpy(dst, DHT_RELAY_PREFIX, len);
    memcpy(dst + len, id->b, id->len);
    return len + id->len;
}

qudag_err node_rule_relay_key_owner(struct slice key, struct peer_id *id)
{
    struct slice rest;

    if (!dht_key_under(key, DHT_RELAY_PREFIX, &rest) || peer_id_from_bytes(id, rest) != QUDAG_OK) {
        return QUDAG_EMALFORMED;
    }
    return QUDAG_OK;
}

qudag_err node_rule_public_key(struct slice key, struct slice value)
{
    struct peer_id want, got;
    struct slice rest;

    if (!dht_key_under(key, PK_PREFIX, &rest) || peer_id_from_bytes(&want, rest) != QUDAG_OK ||
        peer_id_from_key_proto(&got, value) != QUDAG_OK || !peer_id_eq(&want, &got)) {
        return QUDAG_EAUTH;
    }
    return QUDAG_OK;
}

qudag_err node_rule_fetched(struct relay_desc *d, const struct peer_id *wanted, struct slice value,
                            walltime now)
{
    qudag_err err = relay_desc_decode(d, value, now);

    if (err == QUDAG_OK && !peer_id_eq(&d->peer, wanted)) {
        err = QUDAG_EAUTH;
    }
    return err;
}

qudag_err node_rule_descriptor(struct relay_desc *d, struct slice key, struct slice value,
                               walltime now, walltime *expires)
{
    struct peer_id owner;
    qudag_err err = node_rule_relay_key_owner(key, &owner);

    if (err == QUDAG_OK) {
        err = node_rule_fetched(d, &owner, value, now);
    }
    if (err == QUDAG_OK && d->expires < *expires) {
        *expires = d->expires;
    }
    return err;
}

static int newer(uint64_t a, uint64_t b)
{
    return a > b ? 1 : a < b ? -1 : 0;
}

int node_rule_newer_descriptor(struct slice a, struct slice b)
{
    struct peer_id pa, pb;
    uint64_t sa = 0, sb = 0;

    if (relay_desc_peek(a, &pa, &sa) != QUDAG_OK) {
        return -1;
    }
    if (relay_desc_peek(b, &pb, &sb) != QUDAG_OK) {
        return 1;
    }
    return newer(sa, sb);
}

qudag_err node_rule_dark(struct slice key, struct slice value, walltime now, walltime *expires)
{
    uint64_t seq;
    walltime until;
    qudag_err err = dark_record_check(key, value, now, &seq, &until);

    if (err == QUDAG_OK && until < *expires) {
        *expires = until;
    }
    return err;
}

int node_rule_newer_dark(struct slice key, struct slice a, struct slice b, walltime now)
{
    uint64_t sa = 0, sb = 0;
    walltime until;

    if (dark_record_check(key, a, now, &sa, &until) != QUDAG_OK) {
        return -1;
    }
    if (dark_record_check(key, b, now, &sb, &until) != QUDAG_OK) {
        return 1;
    }
    return newer(sa, sb);
}

qudag_err node_rule_reachable(const struct dark_target *t)
{
    bool known = t->kind == DARK_DIRECT || t->kind == DARK_HIDDEN;

    return known ? QUDAG_OK : QUDAG_EUNSUPPORTED;
}

const struct peer_id *node_rule_service(const struct dark_target *t)
{
    return t != NULL && t->kind == DARK_DIRECT ? &t->hop.peer : NULL;
}

bool node_rule_addr(const struct multiaddr *addr, bool lab)
{
    return reach_rule_addr(addr, lab);
}

bool node_rule_cells_addr(const struct multiaddr *addr, bool lab)
{
    struct netaddr a;

    return multiaddr_to_netaddr(addr, &a) && node_rule_addr(addr, lab);
}

uint8_t node_rule_own_ip(const struct multiaddr *addr, size_t n)
{
    uint8_t any = 0, outside = 0;

    for (size_t i = 0; i < n; i++) {
        struct netaddr a;
        if (!multiaddr_to_netaddr(&addr[i], &a)) {
            continue;
        }
        uint8_t ip = a.family == 4 ? RELAYS_IP4 : RELAYS_IP6;
        any |= ip;
        /* Private IPv4 addresses get out through a NAT; IPv6 ones do not. */
        outside |= netaddr_rank(&a) <= (a.family == 4 ? 1u : 0u) ? ip : 0;
    }
    return outside != 0 ? outside : any;
}

bool node_rule_awaits_relays(qudag_err err)
{
    return err == QUDAG_ENORELAYS || err == QUDAG_ESMALLNET;
}

bool node_rule_observed(const struct link_info *link, bool lab)
{
    return link->peer.len > 0 && (link->props & (LINK_ANON | LINK_RELAYED)) == 0 &&
           node_rule_addr(&link->remote, lab);
}

static bool lists_protocol(const struct identify_msg *m, const char *proto)
{
    for (size_t i = 0; i < m->n_protos; i++) {
        if (strcmp(m->proto[i], proto) == 0) {
            return true;
        }
    }
    return false;
}

struct node_identify_change node_rule_identify(const struct identify_msg *m, bool push, bool served,
                                               const char *dht)
{
    struct node_identify_change c = {
        .agent = !push || m->agent_version[0] != '\0',
        .protocols = !push || m->has_protos,
    };

    if (c.protocols) {
        c.dht = lists_protocol(m, dht) ? NODE_DHT_OFFER : NODE_DHT_DROP;
    } else if (served && m->has_addrs) {
        c.dht = NODE_DHT_OFFER;
    }
    return c;
}

bool node_rule_other_network(const struct identify_msg *m, const char *dht, bool lab)
{
    return !lists_protocol(m, dht) && lists_protocol(m, lab ? KAD_PROTOCOL : KAD_PROTOCOL_LAB);
}

const struct kad_options *node_rule_for_others(struct slice key)
{
    static const struct kad_options plain, masked = {.masked = true};
    struct slice rest;

    return dht_key_under(key, DHT_DARK_PREFIX, &rest) ? &masked : &plain;
}

#define EXTEND_FAILS 3        /* at a host that never answered, or of a peer that is not there */
#define EXTEND_FAILS_FIRST 12 /* at which also those who caused none of them are barred */
#define EXTEND_DIALS 2        /* at a time to a host, of which for one network one */
#define EXTEND_OLD (2 * NS_PER_S)

bool node_rule_extend_gives_way(const struct fair_claim *holder, const struct fair_claim *newcomer,
                                uint64_t age_ns)
{
    bool has_more = holder->net != newcomer->net         ? holder->net_n > newcomer->net_n
                    : holder->source != newcomer->source ? holder->source_n > newcomer->source_n
                                                         : true;

    return fair_gives_way(holder, newcomer) || (age_ns >= EXTEND_OLD && has_more);
}

bool node_rule_extend_link(uint8_t props, bool shaped)
{
    uint8_t need = LINK_PQ_KEX | LINK_PQ_AUTH | LINK_QUDAG;

    return (props & need) == need && (props & (LINK_INBOUND | LINK_LIMITED)) == 0 &&
           swarm_rule_cells(props, shaped);
}

struct netaddr node_rule_extend_target(const struct netaddr *addr)
{
    struct netaddr host = *addr;

    if (netaddr_is_global(addr)) {
        host.port = 0;
        memset(host.ip + 8, 0, sizeof(host.ip) - 8); /* of IPv4 there are four */
    }
    return host;
}

enum node_extend_outcome node_rule_extend_outcome(qudag_err err, bool in_time)
{
    switch (err) {
    case QUDAG_OK:
        return NODE_EXTEND_ANSWERED;
    case QUDAG_EAUTH:
        return NODE_EXTEND_SOMEBODY;
    case QUDAG_ENOMEM:
    case QUDAG_ELIMIT:
    case QUDAG_EAGAIN:
        return NODE_EXTEND_NOTHING;
    case QUDAG_ECANCELED:
        return in_time ? NODE_EXTEND_NOTHING : NODE_EXTEND_NO_ANSWER;
    default:
        return NODE_EXTEND_NO_ANSWER;
    }
}

bool node_rule_extend_absent(qudag_err err)
{
    return err == QUDAG_OK || err == QUDAG_ENOTFOUND || err == QUDAG_ETIMEOUT;
}

enum node_extend_turn node_rule_extend_turn(const struct node_extend_view *v)
{
    uint32_t most = v->fails_asker == 0 ? EXTEND_FAILS_FIRST : EXTEND_FAILS;

    if (v->fails_peer >= EXTEND_FAILS || (!v->answered && v->fails_asker >= EXTEND_FAILS) ||
        (!v->answered && v->fails_asker > 0 && v->fails >= most)) {
        return NODE_EXTEND_NEVER;
    }
    bool later = !v->answered && v->fails + v->dials >= most;
    bool busy = v->dials >= EXTEND_DIALS || v->dials_asker > 0;
    return later || busy ? NODE_EXTEND_QUEUE : NODE_EXTEND_DIAL;
}

bool node_rule_extend_goes_first(const struct node_extend_queued *a,
                                 const struct node_extend_queued *b)
{
    if (a->proven != b->proven) {
        return a->proven;
    }
    return a->fails_asker != b->fails_asker ? a->fails_asker < b->fails_asker : a->since < b->since;
}

bool node_rule_is_clock(qudag_err err)
{
    return err == QUDAG_ECLOCK || err == QUDAG_EEXPIRED;
}

bool node_rule_clock_suspect(uint32_t witnesses, uint32_t agreed)
{
    return witnesses >= 2 && witnesses > agreed;
}

bool node_rule_clock_trusted(bool suspect, uint32_t agreed, uint64_t since_ns)
{
    return !suspect && agreed > 0 && since_ns >= NODE_CLOCK_TRUST;
}

/* By the calendar no valid descriptor names it, or it was made by a clock that was ahead. */
static bool key_is_over(const struct node_key_age *k)
{
    return !k->made_here && (k->wall < -NODE_ONION_KEY_SKEW ||
                             k->wall >= NODE_ONION_KEY_LIFE + NODE_ONION_KEY_OVERLAP);
}

enum node_keys_due node_rule_keys_due(const struct node_key_age *current,
                                      const struct node_key_age *old, bool trusted)
{
    int64_t age = (int64_t)current->lived;

    if (trusted && !current->made_here && current->wall > age) {
        age = current->wall;
    }
    if (key_is_over(current) && trusted) {
        return NODE_KEYS_REPLACE_ALL;
    }
    if (age >= NODE_ONION_KEY_LIFE || (key_is_over(current) && old == NULL)) {
        return NODE_KEYS_REPLACE;
    }
    if (old == NULL) {
        return NODE_KEYS_FINE;
    }
    return age >= NODE_ONION_KEY_OVERLAP || (trusted && key_is_over(old)) ? NODE_KEYS_DROP_OLD
                                                                          : NODE_KEYS_FINE;
}

bool node_rule_another_circuit(qudag_err err)
{
    return err == QUDAG_ECIRCUIT || err == QUDAG_ETIMEOUT || err == QUDAG_ERESET ||
           err == QUDAG_ECLOSED || err == QUDAG_ECANCELED || err == QUDAG_EUNREACHABLE;
}

bool node_rule_hops(uint32_t hops, bool lab)
{
    return hops >= (lab ? 1 : 2);
}

/*
 * Routers end the record of a flow after 10 s without a packet at the least, commonly after 15 (Tor's padding-spec 2,
 * which the times of both rows are from).
 */
static const struct {
    uint16_t least_ms, most_ms, keep_s;
} link_padding[] = {[NODE_PADDING_FULL] = {1500, 9500, 1800},
                    [NODE_PADDING_REDUCED] = {9000, 14000, 600},
                    [NODE_PADDING_NONE] = {0, 0, 0}};

struct transport_padding node_rule_link_padding(enum node_padding how, bool relay, tstamp used,
                                                uint64_t keep_ns)
{
    struct transport_padding p = {0, 0, 0};

    if (!relay) {
        p.least_ns = link_padding[how].least_ms * NS_PER_MS;
        p.most_ns = link_padding[how].most_ms * NS_PER_MS;
        p.until = tstamp_after(used, keep_ns);
    }
    return p;
}

uint64_t node_rule_padding_keep(enum node_padding how, uint64_t random)
{
    uint64_t half = link_padding[how].keep_s * NS_PER_S / 2;

    return half + random % (half + 1);
}

/* Of circuits that others ended, a limit says a hop (onion_reason_heard); without one it was reached here. */
static bool failed_here(const struct node_path_end *e)
{
    return err_is_ours(e->err) || (e->hop == 0 && e->err == QUDAG_ELIMIT);
}

static enum node_path_verdict open_path_end(const struct node_path_end *e)
{
    bool idle = e->hop == 0 && e->err == QUDAG_ETIMEOUT;

    if (e->closed && e->unanswered) {
        return e->err == QUDAG_ETIMEOUT ? NODE_PATH_BROKE : NODE_PATH_NOTHING;
    }
    if (e->closed || idle) {
        return NODE_PATH_INTACT;
    }
    if (failed_here(e) || (e->hop == 1 && e->err == QUDAG_ETIMEOUT)) {
        return NODE_PATH_NOTHING; /* the link to the guard fell silent: perhaps our own network */
    }
    if (e->others && (e->hop == 0 || e->hop > e->relays)) {
        return NODE_PATH_NOTHING;
    }
    return NODE_PATH_BROKE;
}

enum node_path_verdict node_rule_path_end(const struct node_path_end *e)
{
    if (e->open) {
        return open_path_end(e);
    }
    if (e->closed || failed_here(e) || e->hop == 1 || (e->hop == 0 && e->reached == 0)) {
        return NODE_PATH_NOTHING;
    }
    return e->hop > e->relays || e->reached >= e->relays ? NODE_PATH_BUILT : NODE_PATH_NOT_BUILT;
}

bool node_rule_heard(enum node_op_kind kind, qudag_err err, uint32_t rpcs, uint32_t failures)
{
    bool for_others =
        kind == NODE_OP_SERVE_GET || kind == NODE_OP_SERVE_PUT || kind == NODE_OP_EXTEND_FETCH;

    return !for_others && err == QUDAG_OK && rpcs > failures;
}

enum node_anonymity node_rule_anonymity(const struct node_anonymity_view *v)
{
    if (v->lab) {
        return NODE_ANONYMITY_LAB;
    }
    if (!v->settled) {
        return NODE_ANONYMITY_NOT_YET;
    }
    if (!v->diverse) {
        return NODE_ANONYMITY_SMALL;
    }
    if (v->guards == RELAYS_GUARDS_SPENT) {
        return NODE_ANONYMITY_SPENT;
    }
    return v->guards == RELAYS_GUARDS_ANSWER ? NODE_ANONYMITY_YES : NODE_ANONYMITY_SILENT;
}

uint32_t node_rule_relays_needed(uint32_t hops)
{
    return hops + 1;
}

uint64_t node_rule_next_seq(uint64_t last, walltime now)
{
    uint64_t wall = now < 0 ? 0 : (uint64_t)now - (uint64_t)now % 60;

    return last < wall ? wall : last + 1;
}

uint64_t node_rule_shed(uint64_t used, uint64_t max)
{
    return max == 0 || used <= max - max / 16 ? 0 : used - (max - max / 8);
}

walltime node_rule_not_before(walltime now, uint64_t draw)
{
    walltime t = now - (walltime)(draw % GRAIN_S);

    return t < 0 ? 0 : t - t % GRAIN_S;
}

uint64_t node_rule_median(const uint64_t *v, size_t n)
{
    for (size_t i = 0; i < n; i++) { /* the one with so many before it */
        size_t less = 0;
        for (size_t j = 0; j < n; j++) {
            less += v[j] < v[i] || (v[j] == v[i] && j < i) ? 1 : 0;
        }
        if (less == (n - 1) / 2) {
            return v[i];
        }
    }
    return 0;
}
