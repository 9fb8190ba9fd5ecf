/*
 * kad_msg.c - Kademlia messages between wire and struct.
 *
 *   Message  1 type   2 key   3 Record   8 closer Peer*   9 provider Peer*   1000 digest (ours)
 *   Record   1 key    2 value   5 time received
 *   Peer     1 id     2 address*
 *
 * Written by hand rather than by a general protobuf library because a lookup reads some six hundred peers.
 * Decoding borrows: one walk over the fields notes where bytes lie.  Encoding sizes the message first and
 * gives up addresses, then peers, until it fits.
 */
#include "wire/kad_msg.h"

#include "base/assert.h"
#include "base/rd.h"
#include "base/wr.h"

#include <string.h>

/* A tag is a varint: one byte for numbers below 16, which are all but that of the digest. */
#define TAG(number, wire_type) ((number) << 3 | (wire_type))

enum wire_type { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

enum tag {
    MESSAGE_TYPE = TAG(1, WIRE_VARINT),
    MESSAGE_KEY = TAG(2, WIRE_BYTES),
    MESSAGE_RECORD = TAG(3, WIRE_BYTES),
    MESSAGE_CLOSER = TAG(8, WIRE_BYTES),
    MESSAGE_PROVIDER = TAG(9, WIRE_BYTES),
    MESSAGE_DIGEST = TAG(1000, WIRE_BYTES),
    RECORD_KEY = TAG(1, WIRE_BYTES),
    RECORD_VALUE = TAG(2, WIRE_BYTES),
    RECORD_TIME = TAG(5, WIRE_BYTES),
    PEER_ID = TAG(1, WIRE_BYTES),
    PEER_ADDR = TAG(2, WIRE_BYTES),
};

/* ------------------------------------------------------------------ decoding */

struct field {
    uint64_t tag;
    uint64_t value;     /* of a varint */
    struct slice bytes; /* of a length-delimited field */
};

/* Protobuf's varint: up to ten bytes, not necessarily the shortest form. */
static uint64_t varint(struct rd *r)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 70 && r->left > 0; shift += 7) {
        uint8_t b = *r->p++;
        r->left--;
        if (shift == 63 && b > 1) {
            break;
        }
        v |= (uint64_t)(b & 0x7fu) << shift;
        if (b < 0x80) {
            return v;
        }
    }
    r->err = true;
    return 0;
}

static void skip(struct rd *r, uint64_t n, struct slice *out)
{
    if (n > r->left) {
        r->err = true;
        return;
    }
    *out = (struct slice){r->p, (size_t)n};
    r->p += n;
    r->left -= (size_t)n;
}

/* The next field; false at the end, or with r->err set. */
static bool next(struct rd *r, struct field *f)
{
    if (r->left == 0 || r->err) {
        return false;
    }
    f->tag = varint(r);
    if (f->tag >> 3 == 0 || f->tag > UINT32_MAX) {
        r->err = true;
        return false;
    }
    switch (f->tag & 7) {
    case WIRE_VARINT:
        f->value = varint(r);
        break;
    case WIRE_64:
        skip(r, 8, &f->bytes);
        break;
    case WIRE_BYTES:
        skip(r, varint(r), &f->bytes);
        break;
    case WIRE_32:
        skip(r, 4, &f->bytes);
        break;
    default: /* groups went out of use before libp2p */
        r->err = true;
        break;
    }
    return !r->err;
}

/* A field we know by number, in another wire type than it has. */
static bool mistyped(uint64_t tag, uint64_t known)
{
    return tag >> 3 == known >> 3 && tag != known;
}

static bool peer_form(struct kad_peer_raw *out, struct slice in)
{
    struct rd r = rd_init(in);
    struct field f;

    *out = (struct kad_peer_raw){.body = in};
    while (next(&r, &f)) {
        if (f.tag == PEER_ID) {
            out->id = f.bytes;
        } else if (mistyped(f.tag, PEER_ID) || mistyped(f.tag, PEER_ADDR)) {
            return false;
        }
    }
    return !r.err;
}

bool kad_peer_read(struct kad_peer_info *out, size_t *dropped, const struct kad_peer_raw *raw)
{
    struct rd r = rd_init(raw->body);
    struct field f;

    out->n_addrs = 0;
    if (peer_id_from_bytes(&out->id, raw->id) != QUDAG_OK) {
        return false;
    }
    while (next(&r, &f)) {
        if (f.tag != PEER_ADDR) {
            continue;
        }
        if (out->n_addrs < KAD_ADDRS_MAX &&
            multiaddr_from_bytes(&out->addr[out->n_addrs], f.bytes) == QUDAG_OK) {
            out->n_addrs++;
        } else {
            (*dropped)++;
        }
    }
    return true;
}

/* Adds one peer to |v| if there is room and it is worth keeping; false: malformed. */
static bool peer_decode(struct slice in, struct kad_peer_info *v, size_t *n, size_t *dropped)
{
    struct kad_peer_raw raw;
    size_t bad_addrs = 0;

    if (!peer_form(&raw, in)) {
        return false;
    }
    if (v != NULL && *n < KAD_PEERS_MAX && kad_peer_read(&v[*n], &bad_addrs, &raw)) {
        *dropped += bad_addrs;
        (*n)++;
    } else {
        (*dropped)++;
    }
    return true;
}

static bool closer_decode(struct kad_msg *m, size_t *dropped, struct slice in)
{
    struct kad_peer_raw raw;

    if (m->raw == NULL) {
        return peer_decode(in, m->closer, &m->n_closer, dropped);
    }
    if (!peer_form(&raw, in)) {
        return false;
    }
    if (m->n_raw < KAD_PEERS_MAX && raw.id.len > 0) {
        m->raw[m->n_raw++] = raw;
    } else {
        (*dropped)++;
    }
    return true;
}

static bool record_decode(struct kad_msg *m, struct slice in)
{
    struct rd r = rd_init(in);
    struct field f;

    m->has_record = true;
    while (next(&r, &f)) {
        if (f.tag == RECORD_KEY) {
            m->rec_key = f.bytes;
        } else if (f.tag == RECORD_VALUE) {
            m->rec_value = f.bytes;
        } else if (f.tag == RECORD_TIME) {
            m->rec_time = f.bytes;
        } else if (mistyped(f.tag, RECORD_KEY) || mistyped(f.tag, RECORD_VALUE) ||
                   mistyped(f.tag, RECORD_TIME)) {
            return false;
        }
    }
    return !r.err;
}

/* The last one counts, as for every field. */
static bool digest_decode(struct kad_msg *m, struct slice in)
{
    m->want_digest = in.len == 0;
    m->has_digest = in.len == KAD_DIGEST_LEN;
    m->digest = m->has_digest ? in.base : NULL;
    return m->want_digest || m->has_digest;
}

static bool field_decode(struct kad_msg *m, uint64_t *type, size_t *dropped, const struct field *f)
{
    switch (f->tag) {
    case MESSAGE_TYPE:
        *type = f->value;
        return f->value <= UINT32_MAX;
    case MESSAGE_KEY:
        m->key = f->bytes;
        return true;
    case MESSAGE_RECORD:
        return record_decode(m, f->bytes);
    case MESSAGE_CLOSER:
        return closer_decode(m, dropped, f->bytes);
    case MESSAGE_PROVIDER:
        return peer_decode(f->bytes, m->providers, &m->n_providers, dropped);
    case MESSAGE_DIGEST:
        return digest_decode(m, f->bytes);
    default:
        break;
    }
    return !mistyped(f->tag, MESSAGE_TYPE) && !mistyped(f->tag, MESSAGE_KEY) &&
           !mistyped(f->tag, MESSAGE_RECORD) && !mistyped(f->tag, MESSAGE_CLOSER) &&
           !mistyped(f->tag, MESSAGE_PROVIDER) && !mistyped(f->tag, MESSAGE_DIGEST);
}

static bool sizes_are_good(const struct kad_msg *m)
{
    return m->key.len <= KAD_KEY_MAX && m->rec_key.len <= KAD_KEY_MAX &&
           m->rec_value.len <= KAD_VALUE_MAX && m->rec_time.len <= KAD_TIME_MAX;
}

qudag_err kad_msg_decode(struct kad_msg *m, size_t *dropped, struct slice in)
{
    const struct kad_msg empty = {.closer = m->closer, .providers = m->providers, .raw = m->raw};
    struct rd r = rd_init(in);
    struct field f;
    uint64_t type = KAD_PUT_VALUE; /* when it is missing */
    size_t n = 0;
    qudag_err err = QUDAG_OK;
    bool good = true;

    if (in.len > KAD_MSG_IN_MAX) {
        return QUDAG_ETOOBIG;
    }
    *m = empty;
    while (good && next(&r, &f)) {
        good = field_decode(m, &type, &n, &f);
    }
    if (!good || r.err) {
        err = QUDAG_EMALFORMED;
    } else if (type > KAD_PING) {
        err = QUDAG_EUNSUPPORTED;
    } else if (!sizes_are_good(m)) {
        err = QUDAG_ETOOBIG;
    }
    if (err != QUDAG_OK) {
        *m = empty;
        return err;
    }
    m->type = (enum kad_type)type;
    *dropped = n;
    return QUDAG_OK;
}

/* ------------------------------------------------------------------ encoding */

/* What of a message is written: less and less until it fits. */
struct extent {
    size_t closer, providers, addrs; /* addrs: of each peer */
};

static size_t varint_len(uint64_t v)
{
    size_t n = 1;

    while (v >= 0x80) {
        v >>= 7;
        n++;
    }
    return n;
}

static size_t bytes_len(size_t len)
{
    return 1 + varint_len(len) + len;
}

static size_t if_any(size_t len)
{
    return len == 0 ? 0 : bytes_len(len);
}

static void put(struct wr *w, enum tag tag, struct slice s)
{
    wr_u8(w, (uint8_t)tag);
    wr_lp(w, s);
}

static void put_if_any(struct wr *w, enum tag tag, struct slice s)
{
    if (s.len > 0) {
        put(w, tag, s);
    }
}

static size_t peer_len(const struct kad_peer_info *p, size_t addrs)
{
    size_t n = bytes_len(p->id.len);

    for (size_t i = 0; i < p->n_addrs && i < addrs; i++) {
        n += if_any(p->addr[i].len);
    }
    return n;
}

static void peer_put(struct wr *w, const struct kad_peer_info *p, size_t addrs)
{
    put(w, PEER_ID, peer_id_slice(&p->id));
    for (size_t i = 0; i < p->n_addrs && i < addrs; i++) {
        put_if_any(w, PEER_ADDR, multiaddr_slice(&p->addr[i]));
    }
}

size_t kad_peer_write(uint8_t dst[KAD_PEER_RAW_MAX], const struct kad_peer_info *p)
{
    struct wr w = wr_init(dst, KAD_PEER_RAW_MAX);

    peer_put(&w, p, KAD_ADDRS_MAX);
    ASSERT(wr_ok(&w)); /* a multiaddr and an id are bounded by their type */
    return w.len;
}

static void peers_put(struct wr *w, enum tag tag, const struct kad_peer_info *v, size_t n,
                      size_t addrs)
{
    for (size_t i = 0; i < n; i++) {
        wr_u8(w, (uint8_t)tag);
        wr_uvarint(w, peer_len(&v[i], addrs));
        peer_put(w, &v[i], addrs);
    }
}

static size_t record_len(const struct kad_msg *m)
{
    return if_any(m->rec_key.len) + if_any(m->rec_value.len) + if_any(m->rec_time.len);
}

static size_t digest_len(const struct kad_msg *m)
{
    size_t len = m->has_digest ? KAD_DIGEST_LEN : 0;

    return m->want_digest || m->has_digest ? varint_len(MESSAGE_DIGEST) + varint_len(len) + len : 0;
}

static void digest_put(struct wr *w, const struct kad_msg *m)
{
    if (digest_len(m) > 0) {
        wr_uvarint(w, MESSAGE_DIGEST);
        wr_lp(w, (struct slice){m->digest, m->has_digest ? KAD_DIGEST_LEN : 0});
    }
}

static size_t body_len(const struct kad_msg *m, const struct extent *x)
{
    size_t n = 2 + if_any(m->key.len) + digest_len(m);

    n += m->has_record ? bytes_len(record_len(m)) : 0;
    for (size_t i = 0; i < x->closer; i++) {
        n += bytes_len(peer_len(&m->closer[i], x->addrs));
    }
    for (size_t i = 0; i < m->n_raw; i++) {
        n += bytes_len(m->raw[i].body.len);
    }
    for (size_t i = 0; i < x->providers; i++) {
        n += bytes_len(peer_len(&m->providers[i], x->addrs));
    }
    return n;
}

static void body_put(struct wr *w, const struct kad_msg *m, const struct extent *x)
{
    /* Written even when it is zero: some readers insist on it. */
    wr_u8(w, MESSAGE_TYPE);
    wr_u8(w, (uint8_t)m->type);
    put_if_any(w, MESSAGE_KEY, m->key);
    if (m->has_record) {
        wr_u8(w, MESSAGE_RECORD);
        wr_uvarint(w, record_len(m));
        put_if_any(w, RECORD_KEY, m->rec_key);
        put_if_any(w, RECORD_VALUE, m->rec_value);
        put_if_any(w, RECORD_TIME, m->rec_time);
    }
    peers_put(w, MESSAGE_CLOSER, m->closer, x->closer, x->addrs);
    for (size_t i = 0; i < m->n_raw; i++) {
        put(w, MESSAGE_CLOSER, m->raw[i].body);
    }
    peers_put(w, MESSAGE_PROVIDER, m->providers, x->providers, x->addrs);
    digest_put(w, m);
}

static bool peers_fit(const struct kad_peer_info *v, size_t n)
{
    for (size_t i = 0; i < n && n <= KAD_PEERS_MAX; i++) {
        if (v[i].n_addrs > KAD_ADDRS_MAX || v[i].id.len == 0) {
            return false;
        }
    }
    return n <= KAD_PEERS_MAX;
}

/* Gives up a little; false when nothing is left to give. */
static bool trim(struct extent *x)
{
    if (x->addrs > 1) {
        x->addrs--;
        return true;
    }
    size_t *longer = x->closer >= x->providers ? &x->closer : &x->providers;
    if (*longer == 0) {
        return false;
    }
    (*longer)--;
    return true;
}

qudag_err kad_msg_encode(uint8_t *dst, size_t cap, size_t *len, const struct kad_msg *m)
{
    struct extent x = {m->n_closer, m->n_providers, KAD_ADDRS_MAX};

    if ((unsigned)m->type > KAD_PING || (m->want_digest && m->has_digest) ||
        m->n_raw > KAD_PEERS_MAX || !sizes_are_good(m) || !peers_fit(m->closer, m->n_closer) ||
        !peers_fit(m->providers, m->n_providers)) {
        return QUDAG_EINVAL;
    }
    size_t n = body_len(m, &x);
    while (varint_len(n) + n > cap) {
        if (!trim(&x)) {
            return QUDAG_ETOOBIG;
        }
        n = body_len(m, &x);
    }
    struct wr w = wr_init(dst, cap);
    wr_uvarint(&w, n);
    body_put(&w, m, &x);
    ASSERT(wr_ok(&w) && w.len == varint_len(n) + n);
    *len = w.len;
    return QUDAG_OK;
}
