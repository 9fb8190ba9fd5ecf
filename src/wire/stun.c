/* stun.c - messages of STUN. */
#include "wire/stun.h"

#include "base/rd.h"
#include "base/wipe.h"
#include "base/wr.h"
#include "crypto/hash.h"

#include <string.h>

#define BINDING 0x0001
#define CLASS_BITS 0x0110
#define FINGERPRINT_XOR 0x5354554eu
#define FINGERPRINT_ATTR 8 /* bytes, like all below with type and length */
#define SHA1_ATTR (4 + SHA1_LEN)
#define SHA256_ATTR (4 + SHA256_LEN)

/* RFC 8489 18.3 and 8445 20.1.  From 0x8000 on who does not know an attribute may ignore it. */
enum {
    ATTR_MAPPED = 0x0001,
    ATTR_USERNAME = 0x0006,
    ATTR_SHA1 = 0x0008,
    ATTR_ERROR = 0x0009,
    ATTR_UNKNOWN = 0x000a,
    ATTR_REALM = 0x0014,
    ATTR_NONCE = 0x0015,
    ATTR_SHA256 = 0x001c,
    ATTR_PASSWORD_ALGORITHM = 0x001d,
    ATTR_USERHASH = 0x001e,
    ATTR_XOR_MAPPED = 0x0020,
    ATTR_PRIORITY = 0x0024,
    ATTR_USE_CANDIDATE = 0x0025,
    ATTR_OPTIONAL = 0x8000,
    ATTR_SOFTWARE = 0x8022,
    ATTR_FINGERPRINT = 0x8028,
    ATTR_DELAY = 0xfda6, /* of ours: u16 seconds, zeros; who does not know it ignores it */
};

/* CRC-32 of ISO 3309 (ITU V.42), half a byte at a time. */
static uint32_t crc32_of(const uint8_t *p, size_t len)
{
    static const uint32_t table[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
                                       0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
                                       0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
                                       0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < len; i++) {
        crc = table[(crc ^ p[i]) & 15] ^ crc >> 4;
        crc = table[(crc ^ (uint32_t)p[i] >> 4) & 15] ^ crc >> 4;
    }
    return ~crc;
}

bool stun_is(struct slice d)
{
    struct rd r = rd_init(d);

    return d.len >= STUN_HEADER && rd_u16(&r) < 0x4000 && rd_u16(&r) % 4 == 0 &&
           rd_u32(&r) == STUN_COOKIE;
}

/* ---- read ---- */

/* What |p| says, |xored| with the cookie and the id (RFC 8489 14.2); false: no address. */
static bool read_addr(struct netaddr *out, struct slice p, const uint8_t *id, bool xored)
{
    struct rd r = rd_init(p);
    struct netaddr a = {0};
    uint8_t mask[16] = {STUN_COOKIE >> 24, STUN_COOKIE >> 16 & 255, STUN_COOKIE >> 8 & 255,
                        STUN_COOKIE & 255};

    memcpy(mask + 4, id, STUN_ID_LEN);
    (void)rd_u8(&r);
    uint8_t family = rd_u8(&r);
    size_t len = family == 2 ? 16 : 4;
    a.port = rd_u16(&r);
    rd_copy(&r, a.ip, len);
    if (!rd_done(&r) || (family != 1 && family != 2)) {
        return false;
    }
    a.family = family == 2 ? 6 : 4;
    if (xored) {
        a.port ^= STUN_COOKIE >> 16;
        for (size_t i = 0; i < len; i++) {
            a.ip[i] ^= mask[i];
        }
    }
    *out = a;
    return true;
}

static bool read_error(struct stun_msg *m, struct slice v)
{
    struct rd r = rd_init(v);
    uint32_t bits = rd_u32(&r), hundreds = bits >> 8 & 7, rest = bits & 255;

    if (!rd_ok(&r) || hundreds < 3 || hundreds > 6 || rest > 99) {
        return false;
    }
    m->error = (uint16_t)(hundreds * 100 + rest);
    return true;
}

static bool read_delay(struct stun_msg *m, struct slice v)
{
    struct rd r = rd_init(v);

    m->delay_s = rd_u16(&r);
    return rd_ok(&r);
}

static bool read_priority(struct stun_msg *m, struct slice v)
{
    struct rd r = rd_init(v);

    m->priority = rd_u32(&r);
    m->has_priority = rd_done(&r);
    return m->has_priority;
}

/* Where attributes of one message are read. */
struct stun_reading {
    struct slice all;
    bool xor_mapped;
    bool last; /* of what still counts: nothing but a stronger integrity and a fingerprint */
};

static bool read_integrity(struct stun_msg *m, uint16_t type, struct slice v, size_t at)
{
    if (v.len != (type == ATTR_SHA1 ? SHA1_LEN : SHA256_LEN)) {
        return false;
    }
    m->integrity = type == ATTR_SHA1 ? STUN_SHA1 : STUN_SHA256;
    m->integrity_at = at;
    return true;
}

static bool read_fingerprint(struct stun_msg *m, const struct stun_reading *g, struct slice v,
                             size_t at)
{
    struct rd r = rd_init(v);
    uint32_t crc = rd_u32(&r);

    m->fingerprint = rd_done(&r) && at + FINGERPRINT_ATTR == g->all.len &&
                     crc == (crc32_of(g->all.base, at) ^ FINGERPRINT_XOR);
    return m->fingerprint;
}

static bool read_text(struct slice *out, struct slice v, size_t max)
{
    if (out->base == NULL) {
        *out = v;
    }
    return v.len <= max;
}

static void read_unknown(struct stun_msg *m, uint16_t type)
{
    if (type < ATTR_OPTIONAL && m->n_unknown < STUN_UNKNOWN_MAX) {
        m->unknown[m->n_unknown++] = type;
    }
}

static bool read_mapped(struct stun_msg *m, struct stun_reading *g, struct slice v, bool xored)
{
    struct netaddr a;

    if (!read_addr(&a, v, m->id, xored)) {
        return false;
    }
    if (m->mapped.family == 0 || (xored && !g->xor_mapped)) {
        m->mapped = a;
    }
    g->xor_mapped = g->xor_mapped || xored;
    return true;
}

static bool read_plain(struct stun_msg *m, struct stun_reading *g, uint16_t type, struct slice v)
{
    switch (type) {
    case ATTR_MAPPED:
    case ATTR_XOR_MAPPED:
        return read_mapped(m, g, v, type == ATTR_XOR_MAPPED);
    case ATTR_USERNAME:
        return read_text(&m->username, v, STUN_USERNAME_MAX);
    case ATTR_SOFTWARE:
        return read_text(&m->software, v, SIZE_MAX);
    case ATTR_ERROR:
        return m->error != 0 || read_error(m, v);
    case ATTR_PRIORITY:
        return m->has_priority || read_priority(m, v);
    case ATTR_DELAY:
        return m->delay_s != 0 || read_delay(m, v);
    case ATTR_USE_CANDIDATE:
        m->nominates = true;
        return v.len == 0;
    case ATTR_UNKNOWN:
    case ATTR_REALM:
    case ATTR_NONCE:
    case ATTR_PASSWORD_ALGORITHM:
    case ATTR_USERHASH:
        return true; /* understood, and of no use here */
    default:
        read_unknown(m, type);
        return true;
    }
}

static bool read_attr(struct stun_msg *m, struct stun_reading *g, uint16_t type, struct slice v,
                      size_t at)
{
    if (type == ATTR_FINGERPRINT) {
        return read_fingerprint(m, g, v, at);
    }
    if ((type == ATTR_SHA1 && m->integrity == STUN_NO_INTEGRITY) ||
        (type == ATTR_SHA256 && m->integrity != STUN_SHA256)) {
        g->last = true;
        return read_integrity(m, type, v, at);
    }
    return g->last || read_plain(m, g, type, v);
}

qudag_err stun_parse(struct stun_msg *out, struct slice datagram)
{
    struct stun_reading g = {.all = datagram};
    struct stun_msg m = {.integrity = STUN_NO_INTEGRITY};
    struct rd r = rd_init(datagram);
    bool ok = stun_is(datagram);

    memset(out, 0, sizeof(*out));
    uint16_t type = rd_u16(&r);
    ok = rd_u16(&r) == datagram.len - STUN_HEADER && ok;
    (void)rd_u32(&r);
    rd_copy(&r, m.id, sizeof(m.id));
    if (!ok) {
        return QUDAG_EMALFORMED;
    }
    if ((type & ~CLASS_BITS) != BINDING) {
        return QUDAG_EUNSUPPORTED;
    }
    m.class = (enum stun_class)((type >> 4 & 1) | (type >> 7 & 2));
    while (ok && r.left > 0) {
        size_t at = datagram.len - r.left;
        type = rd_u16(&r);
        struct slice v = rd_bytes(&r, rd_u16(&r));
        (void)rd_bytes(&r, (4 - v.len % 4) % 4);
        ok = rd_ok(&r) && read_attr(&m, &g, type, v, at);
    }
    if (!ok) {
        return QUDAG_EMALFORMED;
    }
    *out = m;
    return QUDAG_OK;
}

/*
 * The integrity of a message whose attribute for it is at |at|: over all before, as if the message ended with it.
 * Returns its length.
 */
static size_t integrity(uint8_t out[SHA256_LEN], enum stun_integrity kind, const uint8_t *p,
                        size_t at, struct slice key)
{
    uint8_t head[STUN_HEADER];
    size_t len = at + (kind == STUN_SHA1 ? SHA1_ATTR : SHA256_ATTR) - STUN_HEADER;

    memcpy(head, p, sizeof(head));
    head[2] = (uint8_t)(len >> 8);
    head[3] = (uint8_t)len;
    struct slice a = {head, sizeof(head)}, b = {p + STUN_HEADER, at - STUN_HEADER};
    if (kind == STUN_SHA1) {
        hmac_sha1_two(out, key, a, b);
        return SHA1_LEN;
    }
    hmac_sha256_two(out, key, a, b);
    return SHA256_LEN;
}

bool stun_check(const struct stun_msg *m, struct slice datagram, struct slice key)
{
    uint8_t want[SHA256_LEN];

    if (m->integrity == STUN_NO_INTEGRITY) {
        return false;
    }
    size_t len = integrity(want, m->integrity, datagram.base, m->integrity_at, key);
    bool right = ct_equal(want, datagram.base + m->integrity_at + 4, len);
    wipe(want, sizeof(want));
    return right;
}

/* ---- write ---- */

static void put_attr(struct wr *w, uint16_t type, struct slice v)
{
    wr_u16(w, type);
    wr_u16(w, (uint16_t)v.len);
    wr_slice(w, v);
    wr_zero(w, (4 - v.len % 4) % 4);
}

static void put_mapped(struct wr *w, const struct stun_msg *m)
{
    uint8_t v[20] = {0, m->mapped.family == 6 ? 2 : 1};
    struct wr x = wr_init(v + 2, sizeof(v) - 2);
    size_t len = m->mapped.family == 6 ? 16 : 4;

    wr_u16(&x, m->mapped.port ^ STUN_COOKIE >> 16);
    wr_u32(&x, STUN_COOKIE);
    wr_bytes(&x, m->id, STUN_ID_LEN);
    for (size_t i = 0; i < len; i++) {
        v[4 + i] ^= m->mapped.ip[i];
    }
    put_attr(w, ATTR_XOR_MAPPED, (struct slice){v, 4 + len});
}

static void put_error(struct wr *w, const struct stun_msg *m)
{
    const uint8_t v[4] = {0, 0, (uint8_t)(m->error / 100), (uint8_t)(m->error % 100)};

    put_attr(w, ATTR_ERROR, (struct slice){v, sizeof(v)});
    if (m->n_unknown > 0) {
        wr_u16(w, ATTR_UNKNOWN);
        wr_u16(w, (uint16_t)(2 * m->n_unknown));
        for (size_t i = 0; i < m->n_unknown; i++) {
            wr_u16(w, m->unknown[i]);
        }
        wr_zero(w, m->n_unknown % 2 * 2);
    }
}

static void put_plain(struct wr *w, const struct stun_msg *m)
{
    const uint8_t priority[4] = {(uint8_t)(m->priority >> 24), (uint8_t)(m->priority >> 16),
                                 (uint8_t)(m->priority >> 8), (uint8_t)m->priority};

    if (m->username.base != NULL) {
        put_attr(w, ATTR_USERNAME, m->username);
    }
    if (m->has_priority) {
        put_attr(w, ATTR_PRIORITY, (struct slice){priority, sizeof(priority)});
    }
    if (m->nominates) {
        put_attr(w, ATTR_USE_CANDIDATE, (struct slice){NULL, 0});
    }
    if (m->delay_s != 0) {
        const uint8_t delay[4 + STUN_DELAY_PADDING] = {(uint8_t)(m->delay_s >> 8),
                                                       (uint8_t)m->delay_s};
        put_attr(w, ATTR_DELAY,
                 (struct slice){delay, m->class == STUN_REQUEST ? sizeof(delay) : 4});
    }
    if (m->error != 0) {
        put_error(w, m);
    }
    if (m->mapped.family != 0) {
        put_mapped(w, m);
    }
}

/* Its length as the header says it while an attribute of |more| bytes is still to come. */
static void set_length(struct wr *w, size_t more)
{
    wr_fill_u16(w, 2, (uint16_t)(w->len + more - STUN_HEADER));
}

size_t stun_write(uint8_t *dst, size_t cap, const struct stun_msg *m, struct slice key)
{
    struct wr w = wr_init(dst, cap);
    uint8_t mac[SHA256_LEN];

    if (m->username.len > STUN_USERNAME_MAX || m->n_unknown > STUN_UNKNOWN_MAX) {
        return 0;
    }
    wr_u16(&w, (uint16_t)(BINDING | ((unsigned)m->class & 1) << 4 | ((unsigned)m->class & 2) << 7));
    (void)wr_reserve(&w, 2);
    wr_u32(&w, STUN_COOKIE);
    wr_bytes(&w, m->id, STUN_ID_LEN);
    put_plain(&w, m);
    if (m->integrity != STUN_NO_INTEGRITY && wr_ok(&w)) {
        size_t len = integrity(mac, m->integrity, dst, w.len, key);
        put_attr(&w, m->integrity == STUN_SHA1 ? ATTR_SHA1 : ATTR_SHA256, (struct slice){mac, len});
        wipe(mac, sizeof(mac));
    }
    set_length(&w, m->fingerprint ? FINGERPRINT_ATTR : 0);
    if (m->fingerprint && wr_ok(&w)) {
        uint32_t crc = crc32_of(dst, w.len) ^ FINGERPRINT_XOR;
        wr_u16(&w, ATTR_FINGERPRINT);
        wr_u16(&w, 4);
        wr_u32(&w, crc);
    }
    return wr_done(&w).len;
}
