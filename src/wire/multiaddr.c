/*
 * multiaddr.c - multiaddrs as bytes and as text.
 *
 *   binary   component*      component = uvarint code, value
 *   text     /name[/value]   one per component
 *
 * A value has a fixed length, or carries its length as uvarint, as the table below says.  One walker
 * (comp_next) reads the binary form for every function here.
 */
#include "wire/multiaddr.h"

#include "base/rd.h"
#include "base/text.h"
#include "base/utf8.h"
#include "base/wr.h"
#include "wire/multibase.h"

#include <string.h>

#define CODE_IP4 4
#define CODE_TCP 6
#define CODE_IP6 41
#define CODE_DNS 53
#define CODE_DNS4 54
#define CODE_DNS6 55
#define CODE_DNSADDR 56
#define CODE_UDP 273
#define CODE_CIRCUIT 290
#define CODE_P2P 421
#define CODE_QUIC_V1 461

#define ONION3_ID_LEN 35
#define TOKEN_MAX 256 /* characters of one component value in text form */

enum kind {
    KIND_NONE,
    KIND_IP4,
    KIND_IP6,
    KIND_PORT,   /* u16, big-endian */
    KIND_NAME,   /* length, printable text without '/' */
    KIND_PEER,   /* length, peer id */
    KIND_HASH,   /* length, multihash; text is multibase */
    KIND_ONION3, /* 35 bytes and u16 port; text is base32, ':', port */
};

struct proto {
    uint16_t code;
    uint8_t kind; /* enum kind */
    const char *name;
};

/* SPEC: multiformats/multiaddr protocols.csv, as far as a node of this network meets them. */
static const struct proto protos[] = {
    {CODE_IP4, KIND_IP4, "ip4"},
    {CODE_TCP, KIND_PORT, "tcp"},
    {CODE_IP6, KIND_IP6, "ip6"},
    {42, KIND_NAME, "ip6zone"},
    {CODE_DNS, KIND_NAME, "dns"},
    {CODE_DNS4, KIND_NAME, "dns4"},
    {CODE_DNS6, KIND_NAME, "dns6"},
    {CODE_DNSADDR, KIND_NAME, "dnsaddr"},
    {CODE_UDP, KIND_PORT, "udp"},
    {280, KIND_NONE, "webrtc-direct"},
    {281, KIND_NONE, "webrtc"},
    {CODE_CIRCUIT, KIND_NONE, "p2p-circuit"},
    {CODE_P2P, KIND_PEER, "p2p"},
    {445, KIND_ONION3, "onion3"},
    {448, KIND_NONE, "tls"},
    {449, KIND_NAME, "sni"},
    {454, KIND_NONE, "noise"},
    {460, KIND_NONE, "quic"},
    {CODE_QUIC_V1, KIND_NONE, "quic-v1"},
    {465, KIND_NONE, "webtransport"},
    {466, KIND_HASH, "certhash"},
    {477, KIND_NONE, "ws"},
    {478, KIND_NONE, "wss"},
};

static const uint8_t v4_mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

struct comp {
    const struct proto *proto;
    struct slice value;
    size_t at; /* where the component starts */
};

bool multiaddr_eq(const struct multiaddr *a, const struct multiaddr *b)
{
    return a->len == b->len && memcmp(a->b, b->b, a->len) == 0;
}

static const struct proto *proto_by_code(uint64_t code)
{
    for (size_t i = 0; i < ARRAY_LEN(protos); i++) {
        if (protos[i].code == code) {
            return &protos[i];
        }
    }
    return NULL;
}

static const struct proto *proto_by_name(struct slice name)
{
    for (size_t i = 0; i < ARRAY_LEN(protos); i++) {
        if (strlen(protos[i].name) == name.len &&
            memcmp(protos[i].name, name.base, name.len) == 0) {
            return &protos[i];
        }
    }
    /* The name of /p2p before it was renamed. */
    if (name.len == 4 && memcmp(name.base, "ipfs", 4) == 0) {
        return proto_by_code(CODE_P2P);
    }
    return NULL;
}

static bool name_is_good(struct slice s)
{
    return s.len > 0 && memchr(s.base, '/', s.len) == NULL && utf8_printable(s);
}

/* A multihash: uvarint code, uvarint length, and exactly that many bytes. */
static bool hash_is_good(struct slice s)
{
    struct rd r = rd_init(s);

    (void)rd_uvarint(&r);
    struct slice digest = rd_lp(&r, MULTIADDR_MAX);
    return rd_done(&r) && digest.len > 0;
}

static struct slice comp_value(struct rd *r, enum kind kind)
{
    switch (kind) {
    case KIND_IP4:
        return rd_bytes(r, 4);
    case KIND_IP6:
        return rd_bytes(r, 16);
    case KIND_PORT:
        return rd_bytes(r, 2);
    case KIND_ONION3:
        return rd_bytes(r, ONION3_ID_LEN + 2);
    case KIND_NAME:
    case KIND_PEER:
    case KIND_HASH:
        return rd_lp(r, MULTIADDR_MAX);
    case KIND_NONE:
        break;
    }
    return rd_bytes(r, 0);
}

static bool value_is_good(enum kind kind, struct slice v)
{
    struct peer_id id;

    switch (kind) {
    case KIND_NAME:
        return name_is_good(v);
    case KIND_PEER:
        return peer_id_from_bytes(&id, v) == QUDAG_OK;
    case KIND_HASH:
        return hash_is_good(v);
    case KIND_NONE:
    case KIND_IP4:
    case KIND_IP6:
    case KIND_PORT:
    case KIND_ONION3:
        break;
    }
    return true;
}

static qudag_err comp_next(struct rd *r, struct comp *c)
{
    uint64_t code = rd_uvarint(r);

    if (!rd_ok(r)) {
        return QUDAG_EMALFORMED;
    }
    c->proto = proto_by_code(code);
    if (c->proto == NULL) {
        return QUDAG_EUNSUPPORTED;
    }
    c->value = comp_value(r, (enum kind)c->proto->kind);
    if (!rd_ok(r) || !value_is_good((enum kind)c->proto->kind, c->value)) {
        return QUDAG_EMALFORMED;
    }
    return QUDAG_OK;
}

/* As comp_next, for an address that was checked when it was made; false at its end. */
static bool comp_each(const struct multiaddr *m, struct rd *r, struct comp *c)
{
    c->at = m->len - r->left;
    return r->left > 0 && comp_next(r, c) == QUDAG_OK;
}

qudag_err multiaddr_from_bytes(struct multiaddr *out, struct slice bytes)
{
    if (bytes.len == 0) {
        return QUDAG_EMALFORMED;
    }
    if (bytes.len > MULTIADDR_MAX) {
        return QUDAG_ETOOBIG;
    }
    struct rd r = rd_init(bytes);
    while (r.left > 0) {
        struct comp c;
        qudag_err err = comp_next(&r, &c);
        if (err != QUDAG_OK) {
            return err;
        }
    }
    *out = (struct multiaddr){.len = (uint8_t)bytes.len};
    memcpy(out->b, bytes.base, bytes.len);
    return QUDAG_OK;
}

/* ------------------------------------------------------------------ text to binary */

static bool port_parse(struct wr *w, struct slice s)
{
    uint32_t v = 0;

    if (s.len == 0 || s.len > 5 || (s.len > 1 && s.base[0] == '0')) {
        return false;
    }
    for (size_t i = 0; i < s.len; i++) {
        if (s.base[i] < '0' || s.base[i] > '9') {
            return false;
        }
        v = v * 10 + (uint32_t)(s.base[i] - '0');
    }
    if (v > UINT16_MAX) {
        return false;
    }
    wr_u16(w, (uint16_t)v);
    return true;
}

static bool ip_parse(struct wr *w, struct slice s, uint8_t family)
{
    char text[NETADDR_TEXT_MAX];
    struct netaddr a = {0};

    if (s.len >= sizeof(text) || memchr(s.base, '%', s.len) != NULL) {
        return false;
    }
    memcpy(text, s.base, s.len);
    text[s.len] = '\0';
    bool colons = memchr(s.base, ':', s.len) != NULL;
    if (netaddr_parse_ip(&a, text) != QUDAG_OK || colons != (family == 6)) {
        return false;
    }
    /* An IPv4-mapped address comes back as IPv4; here the bytes are kept as they were written. */
    if (family == 6 && a.family == 4) {
        wr_bytes(w, v4_mapped, sizeof(v4_mapped));
    }
    wr_bytes(w, a.ip, a.family == 4 ? 4 : 16);
    return true;
}

static bool peer_parse(struct wr *w, struct slice s)
{
    char text[TOKEN_MAX];
    struct peer_id id;

    if (s.len >= sizeof(text)) {
        return false;
    }
    memcpy(text, s.base, s.len);
    text[s.len] = '\0';
    if (peer_id_parse(&id, text) != QUDAG_OK) {
        return false;
    }
    wr_lp(w, peer_id_slice(&id));
    return true;
}

static bool hash_parse(struct wr *w, struct slice s)
{
    uint8_t mh[MULTIADDR_MAX];
    size_t len;

    if (multibase_decode(mh, sizeof(mh), &len, s) != QUDAG_OK) {
        return false;
    }
    struct slice v = {mh, len};
    wr_lp(w, v);
    return hash_is_good(v);
}

static bool onion3_parse(struct wr *w, struct slice s)
{
    uint8_t id[ONION3_ID_LEN];
    size_t len;
    const uint8_t *colon = memchr(s.base, ':', s.len);

    if (colon == NULL) {
        return false;
    }
    struct slice head = {s.base, (size_t)(colon - s.base)};
    struct slice port = {colon + 1, s.len - head.len - 1};
    if (base32_decode(id, sizeof(id), &len, head) != QUDAG_OK || len != sizeof(id)) {
        return false;
    }
    wr_bytes(w, id, sizeof(id));
    return port_parse(w, port);
}

static bool value_parse(struct wr *w, enum kind kind, struct slice s)
{
    switch (kind) {
    case KIND_IP4:
        return ip_parse(w, s, 4);
    case KIND_IP6:
        return ip_parse(w, s, 6);
    case KIND_PORT:
        return port_parse(w, s);
    case KIND_NAME:
        wr_lp(w, s);
        return name_is_good(s);
    case KIND_PEER:
        return peer_parse(w, s);
    case KIND_HASH:
        return hash_parse(w, s);
    case KIND_ONION3:
        return onion3_parse(w, s);
    case KIND_NONE:
        break;
    }
    return true;
}

/* The part of |s| up to the next '/', which is skipped. */
static struct slice token_next(struct slice *s)
{
    const uint8_t *slash = s->len == 0 ? NULL : memchr(s->base, '/', s->len);
    size_t n = slash == NULL ? s->len : (size_t)(slash - s->base);
    struct slice token = {s->base, n};
    size_t skip = slash == NULL ? n : n + 1;

    s->base += skip;
    s->len -= skip;
    return token;
}

static qudag_err text_parse(struct multiaddr *out, struct slice s)
{
    struct multiaddr m = {0};
    struct wr w = wr_init(m.b, sizeof(m.b));

    if (s.len < 2 || s.base[0] != '/') {
        return QUDAG_EMALFORMED;
    }
    s.base++;
    s.len--;
    while (s.len > 0) {
        const struct proto *p = proto_by_name(token_next(&s));
        if (p == NULL) {
            return QUDAG_EUNSUPPORTED;
        }
        wr_uvarint(&w, p->code);
        struct slice value = p->kind == KIND_NONE ? (struct slice){s.base, 0} : token_next(&s);
        if (!value_parse(&w, (enum kind)p->kind, value)) {
            return QUDAG_EMALFORMED;
        }
        if (!wr_ok(&w)) {
            return QUDAG_ETOOBIG;
        }
    }
    m.len = (uint8_t)w.len;
    *out = m;
    return QUDAG_OK;
}

qudag_err multiaddr_parse(struct multiaddr *out, const char *text)
{
    return text_parse(out, (struct slice){(const uint8_t *)text, strlen(text)});
}

qudag_err multiaddr_parse_pinned(struct multiaddr *out, uint8_t pq_hash[32], bool *has_pq,
                                 const char *text)
{
    const char *hash = strchr(text, '#');
    size_t head = hash == NULL ? strlen(text) : (size_t)(hash - text);
    uint8_t pin[32] = {0};
    struct multiaddr m;
    struct peer_id id;

    qudag_err err = text_parse(&m, (struct slice){(const uint8_t *)text, head});
    if (err != QUDAG_OK) {
        return err;
    }
    if (hash != NULL) {
        struct slice hex = {(const uint8_t *)hash + 1, strlen(hash + 1)};
        size_t len;
        /* A pin without the id it belongs to would pin nothing. */
        if (hex.len != 64 || hex_decode(pin, sizeof(pin), &len, hex) != QUDAG_OK ||
            !multiaddr_peer(&m, &id)) {
            return QUDAG_EMALFORMED;
        }
    }
    *out = m;
    memcpy(pq_hash, pin, sizeof(pin));
    *has_pq = hash != NULL;
    return QUDAG_OK;
}

/* ------------------------------------------------------------------ binary to text */

static size_t port_text(char *dst, size_t cap, const uint8_t *p)
{
    unsigned v = (unsigned)p[0] << 8 | p[1];
    char digit[5];
    size_t n = 0;

    do {
        digit[n++] = (char)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    if (cap <= n) {
        return 0;
    }
    for (size_t i = 0; i < n; i++) {
        dst[i] = digit[n - 1 - i];
    }
    dst[n] = '\0';
    return n;
}

static size_t ip_text(char *dst, size_t cap, const struct comp *c)
{
    struct netaddr a = {.family = c->proto->kind == KIND_IP4 ? 4 : 6};
    char text[NETADDR_TEXT_MAX];

    memcpy(a.ip, c->value.base, c->value.len);
    if (netaddr_text(text, sizeof(text), &a) == 0) {
        return 0;
    }
    /* "1.2.3.4:0" or "[::1]:0": what is before the port, without brackets */
    const char *from = a.family == 6 ? text + 1 : text;
    const char *to = strrchr(text, a.family == 6 ? ']' : ':');
    if (to == NULL || cap <= (size_t)(to - from)) {
        return 0;
    }
    size_t n = (size_t)(to - from);
    memcpy(dst, from, n);
    dst[n] = '\0';
    return n;
}

static size_t onion3_text(char *dst, size_t cap, struct slice v)
{
    size_t n = base32_encode(dst, cap, (struct slice){v.base, ONION3_ID_LEN});

    if (n == 0 || cap - n < 2) {
        return 0;
    }
    dst[n++] = ':';
    size_t port = port_text(dst + n, cap - n, v.base + ONION3_ID_LEN);
    return port == 0 ? 0 : n + port;
}

/* The value of |c| as text, NUL-terminated; 0 when it does not fit. */
static size_t value_text(char *dst, size_t cap, const struct comp *c)
{
    switch ((enum kind)c->proto->kind) {
    case KIND_IP4:
    case KIND_IP6:
        return ip_text(dst, cap, c);
    case KIND_PORT:
        return port_text(dst, cap, c->value.base);
    case KIND_NAME:
        if (cap <= c->value.len) {
            return 0;
        }
        memcpy(dst, c->value.base, c->value.len);
        dst[c->value.len] = '\0';
        return c->value.len;
    case KIND_PEER:
        return base58_encode(dst, cap, c->value);
    case KIND_HASH:
        return multibase_url_encode(dst, cap, c->value);
    case KIND_ONION3:
        return onion3_text(dst, cap, c->value);
    case KIND_NONE:
        break;
    }
    return 0;
}

size_t multiaddr_text(char *dst, size_t cap, const struct multiaddr *m)
{
    struct rd r = rd_init(multiaddr_slice(m));
    struct comp c;
    char value[2 * TOKEN_MAX];
    struct wr w = wr_init(dst, cap);

    while (comp_each(m, &r, &c)) {
        wr_u8(&w, '/');
        wr_bytes(&w, c.proto->name, strlen(c.proto->name));
        if (c.proto->kind != KIND_NONE) {
            size_t n = value_text(value, sizeof(value), &c);
            if (n == 0) {
                return 0;
            }
            wr_u8(&w, '/');
            wr_bytes(&w, value, n);
        }
    }
    wr_u8(&w, '\0');
    return wr_ok(&w) ? w.len - 1 : 0;
}

/* ------------------------------------------------------------------ parts */

static void wr_ip(struct wr *w, const struct netaddr *a)
{
    if (a->family == 4) {
        wr_uvarint(w, CODE_IP4);
        wr_bytes(w, a->ip, 4);
    } else if (memcmp(a->ip, v4_mapped, sizeof(v4_mapped)) == 0) {
        wr_uvarint(w, CODE_IP4);
        wr_bytes(w, a->ip + sizeof(v4_mapped), 4);
    } else {
        wr_uvarint(w, CODE_IP6);
        wr_bytes(w, a->ip, 16);
    }
}

/* /ip4|ip6/.../udp|tcp/PORT; false when |a| holds no address. */
static bool endpoint_write(struct wr *w, const struct netaddr *a, uint16_t port_code)
{
    if (a->family != 4 && a->family != 6) {
        return false;
    }
    wr_ip(w, a);
    wr_uvarint(w, port_code);
    wr_u16(w, a->port);
    return true;
}

static void peer_write(struct wr *w, const struct peer_id *peer)
{
    if (peer != NULL && peer->len > 0) {
        wr_uvarint(w, CODE_P2P);
        wr_lp(w, peer_id_slice(peer));
    }
}

void multiaddr_quic(struct multiaddr *out, const struct netaddr *a, const struct peer_id *peer)
{
    *out = (struct multiaddr){0};
    struct wr w = wr_init(out->b, sizeof(out->b));

    if (endpoint_write(&w, a, CODE_UDP)) {
        wr_uvarint(&w, CODE_QUIC_V1);
        peer_write(&w, peer);
        out->len = (uint8_t)w.len;
    }
}

void multiaddr_tcp(struct multiaddr *out, const struct netaddr *a, const struct peer_id *peer)
{
    *out = (struct multiaddr){0};
    struct wr w = wr_init(out->b, sizeof(out->b));

    if (endpoint_write(&w, a, CODE_TCP)) {
        peer_write(&w, peer);
        out->len = (uint8_t)w.len;
    }
}

static void netaddr_set_ip(struct netaddr *a, struct slice ip)
{
    if (ip.len == 16 && memcmp(ip.base, v4_mapped, sizeof(v4_mapped)) == 0) {
        ip = (struct slice){ip.base + sizeof(v4_mapped), 4};
    }
    a->family = ip.len == 4 ? 4 : 6;
    memcpy(a->ip, ip.base, ip.len);
}

/* The IP address and the port of |port_code| that the address at |r| goes on with. */
static bool endpoint_next(const struct multiaddr *m, struct rd *r, struct netaddr *a,
                          uint16_t *port_code)
{
    struct comp c;

    if (!comp_each(m, r, &c) || (c.proto->code != CODE_IP4 && c.proto->code != CODE_IP6)) {
        return false;
    }
    netaddr_set_ip(a, c.value);
    if (!comp_each(m, r, &c) || (c.proto->code != CODE_UDP && c.proto->code != CODE_TCP)) {
        return false;
    }
    a->port = (uint16_t)(c.value.base[0] << 8 | c.value.base[1]);
    *port_code = c.proto->code;
    return true;
}

bool multiaddr_endpoint(const struct multiaddr *m, struct netaddr *out)
{
    struct rd r = rd_init(multiaddr_slice(m));
    struct netaddr a = {0};
    uint16_t code;

    if (!endpoint_next(m, &r, &a, &code)) {
        return false;
    }
    *out = a;
    return true;
}

/* Whether |m| ends at |r|, or with a /p2p. */
static bool peer_or_end(const struct multiaddr *m, struct rd *r)
{
    struct comp c;

    return !comp_each(m, r, &c) || (c.proto->code == CODE_P2P && r->left == 0);
}

bool multiaddr_to_netaddr(const struct multiaddr *m, struct netaddr *out)
{
    struct rd r = rd_init(multiaddr_slice(m));
    struct netaddr a = {0};
    struct comp c;
    uint16_t code;

    if (!endpoint_next(m, &r, &a, &code) || code != CODE_UDP || !comp_each(m, &r, &c) ||
        c.proto->code != CODE_QUIC_V1 || !peer_or_end(m, &r)) {
        return false;
    }
    *out = a;
    return true;
}

bool multiaddr_to_tcp(const struct multiaddr *m, struct netaddr *out)
{
    struct rd r = rd_init(multiaddr_slice(m));
    struct netaddr a = {0};
    uint16_t code;

    if (!endpoint_next(m, &r, &a, &code) || code != CODE_TCP || !peer_or_end(m, &r)) {
        return false;
    }
    *out = a;
    return true;
}

bool multiaddr_direct(const struct multiaddr *m, struct netaddr *out)
{
    return multiaddr_to_netaddr(m, out) || multiaddr_to_tcp(m, out);
}

enum multiaddr_name multiaddr_name(const struct multiaddr *m, struct slice *name,
                                   struct slice *rest)
{
    static const struct {
        uint16_t code;
        enum multiaddr_name is;
    } row[] = {{CODE_DNS, MULTIADDR_DNS},
               {CODE_DNS4, MULTIADDR_DNS4},
               {CODE_DNS6, MULTIADDR_DNS6},
               {CODE_DNSADDR, MULTIADDR_DNSADDR}};
    struct rd r = rd_init(multiaddr_slice(m));
    struct comp c;

    if (!comp_each(m, &r, &c)) {
        return MULTIADDR_NO_NAME;
    }
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        if (row[i].code == c.proto->code) {
            *name = c.value;
            *rest = (struct slice){m->b + m->len - r.left, r.left};
            return row[i].is;
        }
    }
    return MULTIADDR_NO_NAME;
}

bool multiaddr_of_ip(struct multiaddr *out, const struct netaddr *ip, struct slice rest)
{
    struct multiaddr m = {0};
    struct wr w = wr_init(m.b, sizeof(m.b));

    wr_ip(&w, ip);
    wr_bytes(&w, rest.base, rest.len);
    m.len = (uint8_t)w.len;
    if (!wr_ok(&w) || (ip->family != 4 && ip->family != 6)) {
        return false;
    }
    *out = m;
    return true;
}

bool multiaddr_ends_with(const struct multiaddr *m, struct slice end)
{
    struct rd r = rd_init(multiaddr_slice(m));
    struct comp c;

    while (r.left > end.len && comp_each(m, &r, &c)) {
    }
    return r.left == end.len &&
           (end.len == 0 || memcmp(m->b + m->len - end.len, end.base, end.len) == 0);
}

bool multiaddr_peer(const struct multiaddr *m, struct peer_id *out)
{
    struct rd r = rd_init(multiaddr_slice(m));
    struct comp c;
    struct peer_id id;
    bool found = false;

    while (comp_each(m, &r, &c)) {
        if (c.proto->code == CODE_P2P && peer_id_from_bytes(&id, c.value) == QUDAG_OK) {
            found = true;
        } else if (c.proto->code == CODE_CIRCUIT) {
            found = false;
        }
    }
    if (found) {
        *out = id;
    }
    return found;
}

bool multiaddr_through(const struct multiaddr *m, struct multiaddr *relay)
{
    struct rd r = rd_init(multiaddr_slice(m));
    struct comp c;
    size_t n = 0, cut = 0;
    uint16_t before = 0;

    while (comp_each(m, &r, &c)) {
        if (c.proto->code == CODE_CIRCUIT) {
            if (cut != 0 || n < 2 || before != CODE_P2P) {
                return false;
            }
            cut = c.at;
        } else if (cut != 0 && (c.proto->code != CODE_P2P || before != CODE_CIRCUIT)) {
            return false;
        }
        before = c.proto->code;
        n++;
    }
    if (cut == 0) {
        return false;
    }
    if (relay != NULL) {
        struct multiaddr head = {.len = (uint8_t)cut};
        memcpy(head.b, m->b, cut);
        *relay = head;
    }
    return true;
}

bool multiaddr_circuit(struct multiaddr *out, const struct multiaddr *relay)
{
    struct multiaddr m = *relay;
    struct wr w = wr_init(m.b, sizeof(m.b));

    w.len = m.len;
    wr_uvarint(&w, CODE_CIRCUIT);
    if (!wr_ok(&w)) {
        return false;
    }
    m.len = (uint8_t)w.len;
    if (!multiaddr_through(&m, NULL)) {
        return false;
    }
    *out = m;
    return true;
}

void multiaddr_strip_peer(struct multiaddr *m)
{
    struct rd r = rd_init(multiaddr_slice(m));
    struct comp c;
    size_t cut = m->len;

    while (comp_each(m, &r, &c)) {
        cut = c.proto->code == CODE_P2P ? c.at : m->len;
    }
    memset(m->b + cut, 0, m->len - cut);
    m->len = (uint8_t)cut;
}

bool multiaddr_add_peer(struct multiaddr *m, const struct peer_id *peer)
{
    struct multiaddr a = *m;
    struct wr w = wr_init(a.b, sizeof(a.b));

    w.len = a.len;
    wr_uvarint(&w, CODE_P2P);
    wr_lp(&w, peer_id_slice(peer));
    if (!wr_ok(&w)) {
        return false;
    }
    a.len = (uint8_t)w.len;
    *m = a;
    return true;
}
