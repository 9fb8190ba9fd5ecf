/* autonat_msg.c - messages of AutoNAT v2 between wire and struct. */
#include "wire/autonat_msg.h"

#include "wire/pb.h"

enum { REQ_ADDR = 1, REQ_NONCE = 2 };
enum { RESP_STATUS = 1, RESP_ADDR = 2, RESP_DIAL = 3 };
enum { ASK_ADDR = 1, ASK_BYTES = 2 };
enum { DATA_BYTES = 1 };
enum { BACK_NONCE = 1 };

/* ---- writing ---- */

/* Eight bytes, little-endian, as protobuf has them. */
static void put_fixed64(struct wr *w, uint32_t number, uint64_t v)
{
    wr_uvarint(w, (uint64_t)number << 3 | PB_FIXED64);
    for (unsigned i = 0; i < 8; i++) {
        wr_u8(w, (uint8_t)(v >> (8 * i)));
    }
}

static void put_if_any(struct wr *w, uint32_t number, uint64_t v)
{
    if (v != 0) {
        pb_put_varint(w, number, v);
    }
}

static void put_body(struct wr *w, const struct autonat_msg *m)
{
    switch (m->type) {
    case AUTONAT_REQUEST:
        for (size_t i = 0; i < m->n_addrs; i++) {
            pb_put_bytes(w, REQ_ADDR, multiaddr_slice(&m->addr[i]));
        }
        put_fixed64(w, REQ_NONCE, m->nonce);
        break;
    case AUTONAT_RESPONSE:
        put_if_any(w, RESP_STATUS, m->status);
        put_if_any(w, RESP_ADDR, m->addr_ix);
        put_if_any(w, RESP_DIAL, m->dial);
        break;
    case AUTONAT_DATA_REQUEST:
        put_if_any(w, ASK_ADDR, m->addr_ix);
        put_if_any(w, ASK_BYTES, m->num_bytes);
        break;
    case AUTONAT_DATA:
        pb_put_bytes(w, DATA_BYTES, m->data);
        break;
    }
}

qudag_err autonat_msg_write(struct wr *w, const struct autonat_msg *m)
{
    uint8_t bytes[AUTONAT_MSG_MAX];
    struct wr in = wr_init(bytes, sizeof(bytes));

    put_body(&in, m);
    size_t len = wr_ok(&in) ? pb_bytes_len((uint32_t)m->type, in.len) : 0;
    if (len == 0 || len > AUTONAT_MSG_MAX) {
        return QUDAG_ETOOBIG;
    }
    wr_uvarint(w, len);
    pb_put_bytes(w, (uint32_t)m->type, wr_done(&in));
    return wr_ok(w) ? QUDAG_OK : QUDAG_ETOOBIG;
}

void autonat_back_write(struct wr *w, uint64_t nonce)
{
    uint8_t bytes[16];
    struct wr in = wr_init(bytes, sizeof(bytes));

    put_fixed64(&in, BACK_NONCE, nonce);
    wr_lp(w, wr_done(&in));
}

/* ---- reading ---- */

static uint32_t capped(uint64_t v)
{
    return v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
}

static uint64_t fixed64(struct rd *r, const struct pb_field *f)
{
    uint64_t v = 0;

    if (f->type != PB_FIXED64 || f->bytes.len != 8) {
        r->err = true;
        return 0;
    }
    for (unsigned i = 8; i-- > 0;) {
        v = v << 8 | f->bytes.base[i];
    }
    return v;
}

static void read_request(struct autonat_msg *m, struct rd *r, const struct pb_field *f)
{
    if (f->number == REQ_NONCE) {
        m->nonce = fixed64(r, f);
    } else if (f->number == REQ_ADDR) {
        struct slice bytes = pb_bytes(r, f);
        if (m->n_addrs < AUTONAT_ADDRS_MAX) {
            struct multiaddr *a = &m->addr[m->n_addrs++];
            if (multiaddr_from_bytes(a, bytes) != QUDAG_OK) {
                a->len = 0;
            }
        }
    }
}

static void read_response(struct autonat_msg *m, struct rd *r, const struct pb_field *f)
{
    uint64_t v = f->number >= RESP_STATUS && f->number <= RESP_DIAL ? pb_varint(r, f) : 0;

    switch (f->number) {
    case RESP_STATUS:
        m->status = capped(v);
        break;
    case RESP_ADDR:
        m->addr_ix = capped(v);
        break;
    case RESP_DIAL:
        m->dial = capped(v);
        break;
    default:
        break;
    }
}

static void read_field(struct autonat_msg *m, struct rd *r, const struct pb_field *f)
{
    switch (m->type) {
    case AUTONAT_REQUEST:
        read_request(m, r, f);
        break;
    case AUTONAT_RESPONSE:
        read_response(m, r, f);
        break;
    case AUTONAT_DATA_REQUEST:
        if (f->number == ASK_ADDR) {
            m->addr_ix = capped(pb_varint(r, f));
        } else if (f->number == ASK_BYTES) {
            m->num_bytes = pb_varint(r, f);
        }
        break;
    case AUTONAT_DATA:
        if (f->number == DATA_BYTES) {
            m->data = pb_bytes(r, f);
        }
        break;
    }
}

qudag_err autonat_msg_read(struct autonat_msg *m, struct slice in)
{
    struct rd r = rd_init(in);
    struct pb_field f;
    struct slice body = {NULL, 0};
    unsigned found = 0;
    uint32_t type = 0;

    if (in.len > AUTONAT_MSG_MAX) {
        return QUDAG_ETOOBIG;
    }
    while (pb_next(&r, &f)) {
        if (f.number >= AUTONAT_REQUEST && f.number <= AUTONAT_DATA) {
            body = pb_bytes(&r, &f);
            type = f.number;
            found++;
        }
    }
    if (!rd_ok(&r) || found != 1) {
        return QUDAG_EMALFORMED;
    }
    struct autonat_msg got = {.type = (enum autonat_type)type};
    r = rd_init(body);
    while (pb_next(&r, &f)) {
        read_field(&got, &r, &f);
    }
    if (!rd_ok(&r)) {
        return QUDAG_EMALFORMED;
    }
    *m = got;
    return QUDAG_OK;
}

qudag_err autonat_back_read(uint64_t *nonce, struct slice in)
{
    struct rd r = rd_init(in);
    struct pb_field f;
    uint64_t v = 0;
    bool has = false;

    while (pb_next(&r, &f)) {
        if (f.number == BACK_NONCE) {
            v = fixed64(&r, &f);
            has = true;
        }
    }
    if (!rd_ok(&r) || !has) {
        return QUDAG_EMALFORMED;
    }
    *nonce = v;
    return QUDAG_OK;
}
