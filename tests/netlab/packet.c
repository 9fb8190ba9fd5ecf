/* packet.c - headers of IPv4 (RFC 791), UDP, TCP and ICMP; checksums are changed as RFC 1624 says. */
#include "packet.h"

#include <string.h>

enum { ECHO_REPLY = 0, UNREACHABLE = 3, ECHO = 8, TIME_EXCEEDED = 11, ICMP_HEAD = 8, PORT = 3 };

static uint16_t rd16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static void wr16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static uint16_t folded(uint32_t sum)
{
    while (sum >> 16 != 0) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return (uint16_t)sum;
}

static uint16_t checksum(const uint8_t *p, size_t len)
{
    uint32_t sum = 0;

    for (size_t i = 0; i + 1 < len; i += 2) {
        sum += rd16(p + i);
    }
    if (len % 2 != 0) {
        sum += (uint32_t)p[len - 1] << 8;
    }
    return (uint16_t)~folded(sum);
}

/* |check| after |len| bytes (even) have changed from |was| to |is|. */
static uint16_t adjusted(uint16_t check, const uint8_t *was, const uint8_t *is, size_t len)
{
    uint32_t sum = (uint16_t)~check;

    for (size_t i = 0; i < len; i += 2) {
        sum += (uint16_t)~rd16(was + i);
        sum += rd16(is + i);
    }
    return (uint16_t)~folded(sum);
}

static struct netaddr addr4(const uint8_t *ip)
{
    struct netaddr a = {.family = 4};

    memcpy(a.ip, ip, 4);
    return a;
}

static bool read6(struct packet *p)
{
    if (p->len < 40) {
        return false;
    }
    p->src.family = 6;
    p->dst.family = 6;
    memcpy(p->src.ip, p->b + 8, 16);
    memcpy(p->dst.ip, p->b + 24, 16);
    p->l4 = 40;
    return true;
}

static void read_icmp(struct packet *p)
{
    const uint8_t *l4 = p->b + p->l4;

    if (l4[0] == ECHO) {
        p->src.port = rd16(l4 + 4);
    } else if (l4[0] == ECHO_REPLY) {
        p->dst.port = rd16(l4 + 4);
    } else if (l4[0] == UNREACHABLE || l4[0] == TIME_EXCEEDED) {
        p->error = true;
    } else {
        p->proto = 0;
    }
}

bool packet_read(struct packet *p, uint8_t *b, size_t len)
{
    *p = (struct packet){.b = b, .len = len};
    if (len < 1 || b[0] >> 4 == 6) {
        return len >= 1 && read6(p);
    }
    p->l4 = (size_t)(b[0] & 15) * 4;
    if (len < 20 || b[0] >> 4 != 4 || p->l4 < 20 || len < p->l4) {
        return false;
    }
    p->src = addr4(b + 12);
    p->dst = addr4(b + 16);
    if ((rd16(b + 6) & 0x1fff) != 0 || len < p->l4 + 8) {
        return true;
    }
    p->proto = b[9];
    if (p->proto == PACKET_ICMP) {
        read_icmp(p);
    } else if (p->proto == PACKET_UDP || p->proto == PACKET_TCP) {
        p->src.port = rd16(b + p->l4);
        p->dst.port = rd16(b + p->l4 + 2);
    } else {
        p->proto = 0;
    }
    return true;
}

bool packet_quoted(const struct packet *p, struct packet *quoted)
{
    size_t at = p->l4 + ICMP_HEAD;

    return p->error && p->len > at && packet_read(quoted, p->b + at, p->len - at) &&
           (quoted->proto == PACKET_UDP || quoted->proto == PACKET_TCP);
}

/* Where the checksum of what is above IP lies that covers the addresses, or in ICMP the identifier; 0: cut off. */
static size_t check_at(const struct packet *p)
{
    size_t at = p->l4 + (p->proto == PACKET_UDP ? 6 : p->proto == PACKET_TCP ? 16 : 2);

    return p->proto != 0 && at + 2 <= p->len ? at : 0;
}

static void change(struct packet *p, size_t at, const uint8_t *is, size_t len, bool covered)
{
    size_t check = check_at(p);
    bool none = p->proto == PACKET_UDP && check != 0 && rd16(p->b + check) == 0;

    if (covered && check != 0 && !none) {
        uint16_t sum = adjusted(rd16(p->b + check), p->b + at, is, len);
        wr16(p->b + check, p->proto == PACKET_UDP && sum == 0 ? 0xffff : sum);
    }
    memcpy(p->b + at, is, len);
}

static void set(struct packet *p, size_t ip_at, size_t port_at, const struct netaddr *a)
{
    uint8_t port[2];

    wr16(p->b + 10, adjusted(rd16(p->b + 10), p->b + ip_at, a->ip, 4));
    change(p, ip_at, a->ip, 4, p->proto != PACKET_ICMP);
    if (p->proto != 0 && !p->error && port_at != 0) {
        wr16(port, a->port);
        change(p, port_at, port, 2, true);
    }
}

void packet_set_src(struct packet *p, const struct netaddr *a)
{
    bool echo = p->proto == PACKET_ICMP;

    set(p, 12, echo ? (p->b[p->l4] == ECHO ? p->l4 + 4 : 0) : p->l4, a);
    p->src = *a;
}

void packet_set_dst(struct packet *p, const struct netaddr *a)
{
    bool echo = p->proto == PACKET_ICMP;

    set(p, 16, echo ? (p->b[p->l4] == ECHO_REPLY ? p->l4 + 4 : 0) : p->l4 + 2, a);
    p->dst = *a;
}

void packet_quote_changed(struct packet *p)
{
    wr16(p->b + p->l4 + 2, 0);
    wr16(p->b + p->l4 + 2, checksum(p->b + p->l4, p->len - p->l4));
}

size_t packet_unreachable(uint8_t *dst, const struct packet *p)
{
    size_t quote = p->len < p->l4 + 8 ? p->len : p->l4 + 8;
    size_t len;

    quote = quote > PACKET_UNREACHABLE_MAX - 28 ? PACKET_UNREACHABLE_MAX - 28 : quote;
    len = 20 + ICMP_HEAD + quote;
    memset(dst, 0, 28);
    dst[0] = 0x45;
    wr16(dst + 2, (uint16_t)len);
    dst[8] = 64;
    dst[9] = PACKET_ICMP;
    memcpy(dst + 12, p->dst.ip, 4);
    memcpy(dst + 16, p->src.ip, 4);
    wr16(dst + 10, checksum(dst, 20));
    dst[20] = UNREACHABLE;
    dst[21] = PORT;
    memcpy(dst + 28, p->b, quote);
    wr16(dst + 22, checksum(dst + 20, ICMP_HEAD + quote));
    return len;
}
