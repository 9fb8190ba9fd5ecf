/*
 * netaddr.c - IP addresses as text and as classes.
 *
 * Reading is strict (inet_pton): no octal or short IPv4 forms, no empty groups but one "::", and an IPv6 zone
 * only as a number.  An IPv4-mapped IPv6 address is the IPv4 address.
 */
#include "base/netaddr.h"

#include "base/wr.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

#define TEXT6_MAX 45 /* characters of the longest address: six groups and a dotted quad */

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static bool is_link_local6(const struct netaddr *a)
{
    return a->family == 6 && a->ip[0] == 0xfe && (a->ip[1] & 0xc0) == 0x80;
}

bool netaddr_same_ip(const struct netaddr *a, const struct netaddr *b)
{
    if (a->family != b->family || memcmp(a->ip, b->ip, sizeof a->ip) != 0) {
        return false;
    }
    return !is_link_local6(a) || a->scope == b->scope; /* a link-local one is another per link */
}

bool netaddr_eq(const struct netaddr *a, const struct netaddr *b)
{
    return netaddr_same_ip(a, b) && a->port == b->port && a->scope == b->scope;
}

static bool all_zero(const uint8_t *p, size_t len)
{
    uint8_t acc = 0;

    for (size_t i = 0; i < len; i++) {
        acc |= p[i];
    }
    return acc == 0;
}

bool netaddr_is_loopback(const struct netaddr *a)
{
    if (a->family == 4) {
        return a->ip[0] == 127;
    }
    return a->family == 6 && all_zero(a->ip, 15) && a->ip[15] == 1;
}

bool netaddr_is_unspecified(const struct netaddr *a)
{
    return a->family == 0 || all_zero(a->ip, a->family == 4 ? 4 : 16);
}

uint64_t netaddr_group(const struct netaddr *a)
{
    uint64_t g = 0;

    if (a->family == 0) {
        return 0;
    }
    for (size_t i = 0; i < (a->family == 4 ? 3u : 6u); i++) {
        g = g << 8 | a->ip[i];
    }
    return (uint64_t)a->family << 48 | g;
}

uint64_t netaddr_host(const struct netaddr *a)
{
    uint64_t v = 0;

    for (size_t i = 0; i < (a->family == 4 ? 4u : 8u); i++) {
        v = v << 8 | a->ip[i];
    }
    return a->family == 4 ? v | UINT64_C(1) << 63 | UINT64_C(1) << 32
                          : v; /* no unicast prefix begins so */
}

uint64_t netaddr_wide_group(uint64_t group)
{
    uint64_t family = group >> 48, prefix = group & ((UINT64_C(1) << 48) - 1);

    return family << 48 | (family == 4 ? prefix >> 8 : prefix >> 16);
}

bool netaddr_is_private(const struct netaddr *a)
{
    uint8_t b0 = a->ip[0], b1 = a->ip[1];

    if (a->family == 4) {
        return b0 == 10 || (b0 == 172 && (b1 & 0xf0) == 16) || (b0 == 192 && b1 == 168) ||
               (b0 == 100 && (b1 & 0xc0) == 64) || (b0 == 169 && b1 == 254);
    }
    return a->family == 6 && ((b0 & 0xfe) == 0xfc || is_link_local6(a));
}

/* A block of addresses: the first |bits| bits of |ip|. */
struct ip_block {
    uint8_t ip[16];
    uint8_t bits;
};

static bool in_block(const uint8_t *ip, const struct ip_block *b)
{
    size_t whole = b->bits / 8;
    uint8_t mask = (uint8_t)(0xff00 >> b->bits % 8);

    return memcmp(ip, b->ip, whole) == 0 && ((ip[whole] ^ b->ip[whole]) & mask) == 0;
}

static bool in_blocks(const uint8_t *ip, const struct ip_block *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (in_block(ip, &b[i])) {
            return true;
        }
    }
    return false;
}

static bool is_global4(const uint8_t *ip)
{
    static const struct ip_block not_global[] = {
        {{0}, 8},             /* this network, RFC 791 */
        {{10}, 8},            /* private use, RFC 1918 */
        {{100, 64}, 10},      /* shared by customers of a provider, RFC 6598 */
        {{127}, 8},           /* loopback, RFC 1122 */
        {{169, 254}, 16},     /* link-local, RFC 3927 */
        {{172, 16}, 12},      /* private use */
        {{192, 0, 0}, 24},    /* IETF protocol assignments, RFC 6890 */
        {{192, 0, 2}, 24},    /* documentation, RFC 5737 */
        {{192, 31, 196}, 24}, /* AS112, RFC 7535 */
        {{192, 52, 193}, 24}, /* AMT, RFC 7450 */
        {{192, 88, 99}, 24},  /* 6to4 relays, RFC 7526 */
        {{192, 168}, 16},     /* private use */
        {{192, 175, 48}, 24}, /* AS112, RFC 7534 */
        {{198, 18}, 15},      /* benchmarks, RFC 2544 */
        {{198, 51, 100}, 24}, /* documentation */
        {{203, 0, 113}, 24},  /* documentation */
        {{224}, 3},           /* multicast, RFC 5771; reserved, RFC 1112; broadcast, RFC 919 */
    };

    return !in_blocks(ip, not_global, ARRAY_LEN(not_global));
}

/* Unicast addresses are assigned in 2000::/3 alone (iana ipv6-address-space); the rest is special or unassigned. */
static bool is_global6(const uint8_t *ip)
{
    static const struct ip_block assigned = {{0x20}, 3};
    static const struct ip_block not_global[] = {
        {{0x20, 0x01, 0x00}, 23},       /* IETF protocol assignments, Teredo among them, RFC 2928 */
        {{0x20, 0x01, 0x0d, 0xb8}, 32}, /* documentation, RFC 3849 */
        {{0x20, 0x02}, 16},             /* 6to4, RFC 3056 */
        {{0x26, 0x20, 0x00, 0x4f, 0x80, 0x00}, 48}, /* AS112, RFC 7534 */
        {{0x3f, 0xff, 0x00}, 20},                   /* documentation, RFC 9637 */
    };

    return in_block(ip, &assigned) && !in_blocks(ip, not_global, ARRAY_LEN(not_global));
}

bool netaddr_is_global(const struct netaddr *a)
{
    if (a->family == 4) {
        return is_global4(a->ip);
    }
    if (a->family != 6 || a->scope != 0) {
        return false;
    }
    bool mapped = memcmp(a->ip, mapped_prefix, sizeof mapped_prefix) == 0;
    return mapped ? is_global4(a->ip + sizeof mapped_prefix) : is_global6(a->ip);
}

unsigned netaddr_rank(const struct netaddr *a)
{
    if (netaddr_is_unspecified(a) || netaddr_is_loopback(a)) {
        return 3;
    }
    if (is_link_local6(a) || (a->family == 4 && a->ip[0] == 169 && a->ip[1] == 254)) {
        return 2;
    }
    return netaddr_is_private(a) ? 1 : 0;
}

/* How many of the addresses before a[ix] have its family and rank. */
static size_t turn(const struct netaddr *a, size_t ix)
{
    size_t n = 0;

    for (size_t i = 0; i < ix; i++) {
        n += a[i].family == a[ix].family && netaddr_rank(&a[i]) == netaddr_rank(&a[ix]) ? 1 : 0;
    }
    return n;
}

/* Moves a[from] to |to|, before it; what lies between moves on by one. */
static void move_up(struct netaddr *a, size_t from, size_t to)
{
    struct netaddr moved = a[from];

    for (size_t i = from; i > to; i--) {
        a[i] = a[i - 1];
    }
    a[to] = moved;
}

static bool has_family(const struct netaddr *a, size_t n, uint8_t family)
{
    for (size_t i = 0; i < n; i++) {
        if (a[i].family == family) {
            return true;
        }
    }
    return false;
}

size_t netaddr_to_tell(struct netaddr *a, size_t n, size_t max)
{
    /* A turn is counted among the addresses not sorted yet and those sorted alike, so it stays true. */
    for (size_t i = 1; i < n; i++) {
        size_t mine = turn(a, i), to = i;
        while (to > 0) {
            unsigned other = netaddr_rank(&a[to - 1]), rank = netaddr_rank(&a[i]);
            if (other < rank || (other == rank && turn(a, to - 1) <= mine)) {
                break;
            }
            to--;
        }
        move_up(a, i, to);
    }
    for (size_t i = max; i < n && max >= 2; i++) {
        if (!has_family(a, max, a[i].family)) {
            move_up(a, i, max - 1);
        }
    }
    return n < max ? n : max;
}

static void put_dec(struct wr *w, uint32_t v)
{
    uint32_t unit = 1;

    while (v / unit >= 10) {
        unit *= 10;
    }
    for (; unit > 0; unit /= 10) {
        wr_u8(w, (uint8_t)('0' + v / unit % 10));
    }
}

static void put_hex16(struct wr *w, uint16_t v)
{
    unsigned shift = v >= 0x1000 ? 12 : v >= 0x100 ? 8 : v >= 0x10 ? 4 : 0;

    for (;; shift -= 4) {
        wr_u8(w, (uint8_t) "0123456789abcdef"[v >> shift & 15]);
        if (shift == 0) {
            return;
        }
    }
}

static void put_ip4(struct wr *w, const uint8_t ip[4])
{
    for (size_t i = 0; i < 4; i++) {
        if (i > 0) {
            wr_u8(w, '.');
        }
        put_dec(w, ip[i]);
    }
}

/* The first longest run of at least two zero groups (RFC 5952 4.2); its length, 0: none. */
static size_t longest_zeros(const uint16_t g[8], size_t *start)
{
    size_t best = 1, len = 0;

    *start = 8;
    for (size_t i = 0; i < 8; i++) {
        len = g[i] == 0 ? len + 1 : 0;
        if (len > best) {
            best = len;
            *start = i + 1 - len;
        }
    }
    return *start == 8 ? 0 : best;
}

static void put_ip6(struct wr *w, const uint8_t ip[16])
{
    uint16_t g[8];
    size_t start;

    if (memcmp(ip, mapped_prefix, sizeof mapped_prefix) == 0) {
        wr_bytes(w, "::ffff:", 7);
        put_ip4(w, ip + 12);
        return;
    }
    for (size_t i = 0; i < 8; i++) {
        g[i] = (uint16_t)(ip[2 * i] << 8 | ip[2 * i + 1]);
    }
    size_t len = longest_zeros(g, &start);
    for (size_t i = 0; i < 8; i++) {
        if (i == start) {
            wr_bytes(w, "::", 2);
            i += len - 1;
            continue;
        }
        if (i > 0 && i != start + len) {
            wr_u8(w, ':');
        }
        put_hex16(w, g[i]);
    }
}

size_t netaddr_text(char *dst, size_t cap, const struct netaddr *a)
{
    struct wr w = wr_init(dst, cap);

    if (a->family == 0) {
        wr_bytes(&w, "none", 4);
    } else if (a->family == 4) {
        put_ip4(&w, a->ip);
    } else {
        wr_u8(&w, '[');
        put_ip6(&w, a->ip);
        if (a->scope != 0) {
            wr_u8(&w, '%');
            put_dec(&w, a->scope);
        }
        wr_u8(&w, ']');
    }
    if (a->family != 0) {
        wr_u8(&w, ':');
        put_dec(&w, a->port);
    }
    wr_u8(&w, '\0');
    return wr_ok(&w) ? w.len - 1 : 0;
}

/* Decimal without leading zeros, at most |max|, ended by any other character. */
static bool take_dec(const char **s, uint64_t max, uint32_t *out)
{
    const char *p = *s;
    uint64_t v = 0;

    if (*p < '0' || *p > '9' || (*p == '0' && p[1] >= '0' && p[1] <= '9')) {
        return false;
    }
    for (; *p >= '0' && *p <= '9'; p++) {
        v = v * 10 + (uint64_t)(*p - '0');
        if (v > max) {
            return false;
        }
    }
    *out = (uint32_t)v;
    *s = p;
    return true;
}

/* IPv6, with a zone as a number behind '%'. */
static bool parse_ip6(struct netaddr *a, const char *text)
{
    char ip[TEXT6_MAX + 1];
    const char *zone = strchr(text, '%');
    size_t len = zone != NULL ? (size_t)(zone - text) : strlen(text);

    if (len > TEXT6_MAX) {
        return false;
    }
    memcpy(ip, text, len);
    ip[len] = '\0';
    if (inet_pton(AF_INET6, ip, a->ip) != 1) {
        return false;
    }
    a->family = 6;
    if (zone == NULL) {
        return true;
    }
    zone++;
    return take_dec(&zone, UINT32_MAX, &a->scope) && *zone == '\0';
}

qudag_err netaddr_parse_ip(struct netaddr *a, const char *text)
{
    struct netaddr b = {.port = a->port};

    if (inet_pton(AF_INET, text, b.ip) == 1) {
        b.family = 4;
    } else if (!parse_ip6(&b, text)) {
        return QUDAG_EMALFORMED;
    }
    if (b.family == 6 && memcmp(b.ip, mapped_prefix, sizeof mapped_prefix) == 0) {
        memcpy(b.ip, b.ip + 12, 4);
        memset(b.ip + 4, 0, 12);
        b.family = 4;
        b.scope = 0;
    }
    *a = b;
    return QUDAG_OK;
}
