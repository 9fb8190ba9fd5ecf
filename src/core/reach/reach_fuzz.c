/*
 * reach_fuzz.c - bytes become what sources, observers and servers say of our addresses, with a clock.
 *
 * Checked after each call: lists are within their limits, nothing is announced that may not be, and nothing but the
 * operator's while silent; nothing that observers alone name without REACH_AGREE voices for it, of TCP only at a host
 * that is ours otherwise; nothing is due in the past after a tick.
 */
#include "base/assert.h"
#include "core/reach/reach_int.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct reach r;
static struct slice in;
static tstamp now;

static uint8_t take(void)
{
    if (in.len == 0) {
        return 0;
    }
    in.len--;
    return *in.base++;
}

/* Of few hosts, so that sources agree: private and global ones, IPv4, IPv6, and IPv4 in IPv6. */
static struct multiaddr address(uint8_t with)
{
    static const char *const ip[] = {
        "5.9.1.1",    "5.9.1.2",     "8.8.8.8",        "192.168.1.2",
        "127.0.0.1",  "2a00:1:2::3", "2a00:1:2::4",    "fe80::1",
        "100.64.1.1", "::1",         "::ffff:8.8.8.8", "64:ff9b::808:808",
        "fd00::7",    "224.0.0.1",   "0.0.0.0",        "9.9.9.9"};
    struct netaddr a = {.port = (uint16_t)((with >> 5) % 3 == 2 ? 0 : 4001 + (with >> 5) % 3)};
    struct multiaddr m;

    ASSERT(netaddr_parse_ip(&a, ip[with % ARRAY_LEN(ip)]) == QUDAG_OK);
    if ((with & 16) != 0) {
        multiaddr_tcp(&m, &a, NULL);
    } else {
        multiaddr_quic(&m, &a, NULL);
    }
    return m;
}

/* One of 16 networks, each another /16 or /32. */
static struct multiaddr from(uint8_t with)
{
    struct netaddr a = {.family = (with & 16) != 0 ? 6 : 4, .port = 4001};
    struct multiaddr m;

    a.ip[0] = a.family == 6 ? 0x2a : 20;
    a.ip[1] = (uint8_t)(with % 16);
    a.ip[3] = 1;
    if ((with & 32) != 0) {
        multiaddr_tcp(&m, &a, NULL);
    } else {
        multiaddr_quic(&m, &a, NULL);
    }
    return m;
}

static size_t list(struct multiaddr v[REACH_ADDRS_MAX])
{
    size_t n = take() % REACH_ADDRS_MAX;

    for (size_t i = 0; i < n; i++) {
        v[i] = address(take());
    }
    return n;
}

static const struct reach_cand *cand_of(const struct multiaddr *m)
{
    for (size_t i = 0; i < r.n_cand; i++) {
        if (multiaddr_eq(&r.cand[i].look.addr, m)) {
            return &r.cand[i];
        }
    }
    return NULL;
}

static bool is_ours_otherwise(const struct multiaddr *m)
{
    struct netaddr at, other, tcp;

    for (size_t i = 0; i < r.n_cand; i++) {
        const struct reach_cand *c = &r.cand[i];
        bool ours = (c->sources & ~(1u << REACH_OBSERVED)) != 0 ||
                    (c->look.verdict == REACH_CONFIRMED && !multiaddr_to_tcp(&c->look.addr, &tcp));
        if (ours && multiaddr_direct(m, &at) && multiaddr_direct(&c->look.addr, &other) &&
            netaddr_same_ip(&at, &other)) {
            return true;
        }
    }
    return false;
}

static void check_announced(const struct multiaddr *m)
{
    const struct reach_cand *c = cand_of(m);

    ASSERT(c != NULL);
    if (c == NULL || (c->sources & 1u << REACH_SET) != 0) {
        return;
    }
    ASSERT(c->look.announced && !r.silent && reach_rule_addr(m, r.lab));
    if (c->sources == 1u << REACH_OBSERVED) {
        ASSERT(c->look.verdict == REACH_CONFIRMED);
    }
}

static void check(void)
{
    struct multiaddr v[REACH_ADDRS_MAX];
    struct reach_addr a[REACH_ADDRS_MAX];
    tstamp at;

    ASSERT(r.n_cand <= REACH_ADDRS_MAX && r.n_bound <= REACH_ANNOUNCED_MAX);
    ASSERT(r.n_announced <= REACH_ANNOUNCED_MAX && r.view.announces == (r.n_announced > 0));
    for (size_t i = 0; i < r.n_announced; i++) {
        if (!r.held) { /* else the last word is not looked at yet */
            check_announced(&r.announced[i]);
        }
    }
    size_t n = reach_to_check(&r, v, ARRAY_LEN(v), now, &at);
    for (size_t i = 0; i < n; i++) {
        ASSERT(reach_rule_addr(&v[i], r.lab));
    }
    ASSERT(at > now);
    ASSERT(reach_candidates(&r, a, 3) <= 3 && reach_for_cells(&r, v, 2) <= 2);
    size_t shown = 0;
    for (size_t it = 0; reach_addr_next(&r, &it, &a[0]);) {
        shown++;
    }
    ASSERT(shown == r.n_cand);
}

static unsigned yes_of(const struct multiaddr *m)
{
    const struct reach_cand *c = cand_of(m);
    unsigned n = 0;

    for (size_t i = 0; c != NULL && i < REACH_VOICES && c->word[i].net != 0; i++) {
        n += c->word[i].yes ? 1 : 0;
    }
    return n;
}

/* What an observer says; of TCP it is a dial-back only at a host that is ours otherwise. */
static void observe(void)
{
    static const uint8_t props[] = {0, LINK_INBOUND, LINK_INBOUND, LINK_RELAYED, LINK_ANON};
    struct link_info l = {.props = props[take() % ARRAY_LEN(props)]};
    const uint8_t pk[32] = {take() % 8};
    struct multiaddr m = address(take());
    unsigned before = yes_of(&m);

    peer_id_from_ed25519(&l.peer, pk);
    l.remote = from(take());
    (void)reach_observed(&r, &l, &m, now);
    ASSERT(r.lab || yes_of(&m) <= before || is_ours_otherwise(&m));
}

static void answer(void)
{
    struct reach_server by = {.addr = from(take())};
    const uint8_t pk[32] = {take() % 8};
    struct multiaddr m = address(take());

    peer_id_from_ed25519(&by.peer, pk);
    (void)reach_answered(&r, &m, &by, take() % 2 == 0, now);
}

static void step(void)
{
    struct multiaddr v[REACH_ADDRS_MAX], m;
    struct reach_family seen = {.mapping = REACH_NAT_DEPENDENT};

    switch (take() % 12) {
    case 0:
        (void)reach_set_bound(&r, v, list(v), now);
        break;
    case 1:
        (void)reach_set_operator(&r, v, list(v) % 4, now);
        break;
    case 2:
        (void)reach_set_silent(&r, take() % 2 == 0, now);
        break;
    case 3:
        m = address(take());
        (void)reach_mapped(&r, &m, take() % 2 == 0, now);
        break;
    case 4:
        m = address(take());
        (void)reach_unmapped(&r, &m, now);
        break;
    case 5:
    case 6:
        observe();
        break;
    case 7:
    case 8:
        answer();
        break;
    case 9:
        seen.filter = take() % 4 == 0 ? REACH_NAT_INDEPENDENT : REACH_NAT_DEPENDENT;
        (void)reach_nat_seen(&r, take() % 2 == 0 ? 4 : 6, take() % 4 == 0 ? NULL : &seen, now);
        break;
    case 10:
        (void)reach_udp_seen(&r, take() % 2 == 0, now);
        break;
    default:
        m = address(take());
        reach_asked(&r, &m, now);
        now += take() * (take() % 8 == 0 ? REACH_HOUR / 16 : NS_PER_S);
        (void)reach_tick(&r, now);
        ASSERT(reach_deadline(&r) > now);
        break;
    }
    check();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    in = (struct slice){data, size};
    now = 1000 * NS_PER_S;
    reach_init(&r, take() % 8 == 0);
    while (in.len > 0) {
        step();
    }
    return 0;
}
