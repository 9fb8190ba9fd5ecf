/*
 * kad_msg.c - Kademlia messages between wire and struct.
 *
 *   Message  1 type   2 key   3 Record   8 closer Peer*   9 provider Peer*   1000 digest (ours)
 *   Record   1 key    2 value   5 time received
 *   Peer     1 id     2 address*
 *
 * Decoding borrows: one walk over the fields notes where bytes lie.  Encoding sizes the message first and
 * gives up addresses, then peers, until it fits.
 */
#include "wire/kad_msg.h"

#include "base/assert.h"
#include "wire/pb.h"

#include <string.h>

/* Numbers of fields. */
enum {
    MESSAGE_TYPE = 1,
    MESSAGE_KEY = 2,
    MESSAGE_RECORD = 3,
    MESSAGE_CLOSER = 8,
    MESSAGE_PROVIDER = 9,
    MESSAGE_DIGEST = 1000,
    RECORD_KEY = 1,
    RECORD_VALUE = 2,
    RECORD_TIME = 5,
    PEER_ID = 1,
    PEER_ADDR = 2,
};

/* ------------------------------------------------------------------ decoding */

bool kad_peer_form(struct kad_peer_raw *out, struct slice in)
{
    struct rd r = rd_init(in);
    struct pb_field f;

    *out = (struct kad_peer_raw){.body = in};
    while (pb_next(&r, &f)) {
        if (f.number == PEER_ID) {
            out->id = pb_bytes(&r, &f);
        } else if (f.number == PEER_ADDR) {
            (void)pb_bytes(&r, &f);
        }
    }
    return rd_ok(&r);
}

bool kad_peer_read(struct kad_peer_info *out, size_t *dropped, const struct kad_peer_raw *raw)
{
    struct rd r = rd_init(raw->body);
    struct pb_field f;

    out->n_addrs = 0;
    if (peer_id_from_bytes(&out->id, raw->id) != QUDAG_OK) {
        return false;
    }
    while (pb_next(&r, &f)) {
        if (f.number != PEER_ADDR) {
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

    if (!kad_peer_form(&raw, in)) {
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
    if (!kad_peer_form(&raw, in)) {
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
    struct pb_field f;

    m->has_record = true;
    while (pb_next(&r, &f)) {
        if (f.number == RECORD_KEY) {
            m->rec_key = pb_bytes(&r, &f);
        } else if (f.number == RECORD_VALUE) {
            m->rec_value = pb_bytes(&r, &f);
        } else if (f.number == RECORD_TIME) {
            m->rec_time = pb_bytes(&r, &f);
        }
    }
    return rd_ok(&r);
}

/* The last one counts, as for every field. */
static bool digest_decode(struct kad_msg *m, struct slice in)
{
    m->want_digest = in.len == 0;
    m->has_digest = in.len == KAD_DIGEST_LEN;
    m->digest = m->has_digest ? in.base : NULL;
    return m->want_digest || m->has_digest;
}

static bool field_decode(struct kad_msg *m, uint64_t *type, size_t *dropped, struct rd *r,
                         const struct pb_field *f)
{
    switch (f->number) {
    case MESSAGE_TYPE:
        *type = pb_varint(r, f);
        return *type <= UINT32_MAX;
    case MESSAGE_KEY:
        m->key = pb_bytes(r, f);
        return true;
    case MESSAGE_RECORD:
        return record_decode(m, pb_bytes(r, f));
    case MESSAGE_CLOSER:
        return closer_decode(m, dropped, pb_bytes(r, f));
    case MESSAGE_PROVIDER:
        return peer_decode(pb_bytes(r, f), m->providers, &m->n_providers, dropped);
    case MESSAGE_DIGEST:
        return digest_decode(m, pb_bytes(r, f));
    default:
        return true;
    }
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
    struct pb_field f;
    uint64_t type = KAD_PUT_VALUE; /* when it is missing */
    size_t n = 0;
    qudag_err err = QUDAG_OK;
    bool good = true;

    if (in.len > KAD_MSG_IN_MAX) {
        return QUDAG_ETOOBIG;
    }
    *m = empty;
    while (good && pb_next(&r, &f)) {
        good = field_decode(m, &type, &n, &r, &f);
    }
    if (!good || !rd_ok(&r)) {
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

static size_t if_any(uint32_t number, size_t len)
{
    return len == 0 ? 0 : pb_bytes_len(number, len);
}

static size_t peer_len(const struct kad_peer_info *p, size_t addrs)
{
    size_t n = pb_bytes_len(PEER_ID, p->id.len);

    for (size_t i = 0; i < p->n_addrs && i < addrs; i++) {
        n += if_any(PEER_ADDR, p->addr[i].len);
    }
    return n;
}

static void peer_put(struct wr *w, const struct kad_peer_info *p, size_t addrs)
{
    pb_put_bytes(w, PEER_ID, peer_id_slice(&p->id));
    for (size_t i = 0; i < p->n_addrs && i < addrs; i++) {
        pb_put_bytes_if_any(w, PEER_ADDR, multiaddr_slice(&p->addr[i]));
    }
}

size_t kad_peer_write(uint8_t dst[KAD_PEER_RAW_MAX], const struct kad_peer_info *p)
{
    struct wr w = wr_init(dst, KAD_PEER_RAW_MAX);

    peer_put(&w, p, KAD_ADDRS_MAX);
    ASSERT(wr_ok(&w)); /* a multiaddr and an id are bounded by their type */
    return w.len;
}

static void peers_put(struct wr *w, uint32_t number, const struct kad_peer_info *v, size_t n,
                      size_t addrs)
{
    for (size_t i = 0; i < n; i++) {
        pb_put_head(w, number, peer_len(&v[i], addrs));
        peer_put(w, &v[i], addrs);
    }
}

static size_t record_len(const struct kad_msg *m)
{
    return if_any(RECORD_KEY, m->rec_key.len) + if_any(RECORD_VALUE, m->rec_value.len) +
           if_any(RECORD_TIME, m->rec_time.len);
}

static bool says_digest(const struct kad_msg *m)
{
    return m->want_digest || m->has_digest;
}

static size_t digest_len(const struct kad_msg *m)
{
    return m->has_digest ? KAD_DIGEST_LEN : 0;
}

static size_t body_len(const struct kad_msg *m, const struct extent *x)
{
    size_t n = 2 + if_any(MESSAGE_KEY, m->key.len);

    n += m->has_record ? pb_bytes_len(MESSAGE_RECORD, record_len(m)) : 0;
    n += says_digest(m) ? pb_bytes_len(MESSAGE_DIGEST, digest_len(m)) : 0;
    for (size_t i = 0; i < x->closer; i++) {
        n += pb_bytes_len(MESSAGE_CLOSER, peer_len(&m->closer[i], x->addrs));
    }
    for (size_t i = 0; i < m->n_raw; i++) {
        n += pb_bytes_len(MESSAGE_CLOSER, m->raw[i].body.len);
    }
    for (size_t i = 0; i < x->providers; i++) {
        n += pb_bytes_len(MESSAGE_PROVIDER, peer_len(&m->providers[i], x->addrs));
    }
    return n;
}

static void body_put(struct wr *w, const struct kad_msg *m, const struct extent *x)
{
    /* Written even when it is zero: some readers insist on it. */
    pb_put_varint(w, MESSAGE_TYPE, m->type);
    pb_put_bytes_if_any(w, MESSAGE_KEY, m->key);
    if (m->has_record) {
        pb_put_head(w, MESSAGE_RECORD, record_len(m));
        pb_put_bytes_if_any(w, RECORD_KEY, m->rec_key);
        pb_put_bytes_if_any(w, RECORD_VALUE, m->rec_value);
        pb_put_bytes_if_any(w, RECORD_TIME, m->rec_time);
    }
    peers_put(w, MESSAGE_CLOSER, m->closer, x->closer, x->addrs);
    for (size_t i = 0; i < m->n_raw; i++) {
        pb_put_bytes(w, MESSAGE_CLOSER, m->raw[i].body);
    }
    peers_put(w, MESSAGE_PROVIDER, m->providers, x->providers, x->addrs);
    if (says_digest(m)) {
        pb_put_bytes(w, MESSAGE_DIGEST, (struct slice){m->digest, digest_len(m)});
    }
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
    while (pb_varint_len(n) + n > cap) {
        if (!trim(&x)) {
            return QUDAG_ETOOBIG;
        }
        n = body_len(m, &x);
    }
    struct wr w = wr_init(dst, cap);
    wr_uvarint(&w, n);
    body_put(&w, m, &x);
    ASSERT(wr_ok(&w) && w.len == pb_varint_len(n) + n);
    *len = w.len;
    return QUDAG_OK;
}
