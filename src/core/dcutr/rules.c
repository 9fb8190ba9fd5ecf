/* rules.c - DCUtR's decisions, as pure functions; see dcutr.h. */
#include "core/dcutr/dcutr.h"

#include <string.h>

/* Multicast, broadcast, and what no host may have. */
static bool is_nobody(const struct netaddr *a)
{
    return a->family == 4 ? a->ip[0] == 0 || a->ip[0] >= 224 : a->ip[0] == 0xff;
}

bool dcutr_rule_addr(const struct multiaddr *addr, bool lab)
{
    struct netaddr a;

    if (!multiaddr_direct(addr, &a) || a.port == 0 || netaddr_is_unspecified(&a) || is_nobody(&a)) {
        return false;
    }
    return lab || netaddr_is_global(&a);
}

static bool is_among(const struct dcutr_msg *m, size_t n, const struct multiaddr *addr)
{
    struct netaddr a, b;
    bool tcp = multiaddr_to_tcp(addr, &a);

    (void)multiaddr_direct(addr, &a);
    for (size_t i = 0; i < n; i++) {
        if (multiaddr_direct(&m->addr[i], &b) && netaddr_eq(&a, &b) &&
            multiaddr_to_tcp(&m->addr[i], &b) == tcp) {
            return true;
        }
    }
    return false;
}

void dcutr_rule_take(struct dcutr_msg *m, const struct dcutr_msg *ours, bool lab)
{
    size_t n = 0;

    for (size_t i = 0; i < m->n_addrs; i++) {
        struct multiaddr a = m->addr[i];
        if (dcutr_rule_addr(&a, lab) && !is_among(m, n, &a) && !is_among(ours, ours->n_addrs, &a)) {
            m->addr[n++] = a;
        }
    }
    m->n_addrs = n;
}

bool dcutr_rule_one_more(uint32_t had, uint32_t most)
{
    return had < most;
}

bool dcutr_rule_dials(unsigned attempt)
{
    return attempt >= DCUTR_ATTEMPTS;
}

uint64_t dcutr_rule_interval(uint32_t random)
{
    return 10 * NS_PER_MS + random % (190 * 1000 + 1) * (NS_PER_MS / 1000);
}

void dcutr_rule_packet(struct dcutr_packet *p, const uint8_t random[1 + DCUTR_PACKET_MOST])
{
    p->len = DCUTR_PACKET_LEAST + random[0] % (DCUTR_PACKET_MOST - DCUTR_PACKET_LEAST + 1);
    memcpy(p->bytes, random + 1, p->len);
    p->bytes[0] = (uint8_t)(4 + random[1] % 12);
}
