/* circuit_msg.c - messages of circuit relay v2 between wire and struct. */
#include "wire/circuit_msg.h"

#include "wire/pb.h"

#include <string.h>

/* Numbers of fields; those of a message differ between the two protocols. */
struct fields {
    uint32_t peer, reservation, limit, status;
    unsigned types, first; /* how many there are; which enum circuit_type number 0 is */
};
enum { MSG_TYPE = 1 };
enum { PEER_ID = 1 };
enum { RES_EXPIRE = 1, RES_ADDR = 2, RES_VOUCHER = 3 };
enum { LIMIT_DURATION = 1, LIMIT_DATA = 2 };

static const struct fields sides[] = {
    [CIRCUIT_HOP] = {2, 3, 4, 5, 3, CIRCUIT_RESERVE},
    [CIRCUIT_STOP] = {2, UINT32_MAX, 3, 4, 2, CIRCUIT_CONNECT},
};

/* ------------------------------------------------------------------ writing */

static void put_limit(struct wr *w, uint32_t number, const struct circuit_limit *l)
{
    uint8_t bytes[32];
    struct wr in = wr_init(bytes, sizeof(bytes));

    if (l->duration_s != 0) {
        pb_put_varint(&in, LIMIT_DURATION, l->duration_s);
    }
    if (l->data != 0) {
        pb_put_varint(&in, LIMIT_DATA, l->data);
    }
    pb_put_bytes_if_any(w, number, wr_done(&in));
}

static void put_reservation(struct wr *w, uint32_t number, const struct circuit_msg *m)
{
    uint8_t bytes[CIRCUIT_MSG_MAX];
    struct wr in = wr_init(bytes, sizeof(bytes));

    pb_put_varint(&in, RES_EXPIRE, m->expire);
    for (size_t i = 0; i < m->n_addrs; i++) {
        pb_put_bytes(&in, RES_ADDR, multiaddr_slice(&m->addr[i]));
    }
    pb_put_bytes_if_any(&in, RES_VOUCHER, m->voucher);
    w->err |= !wr_ok(&in);
    pb_put_bytes(w, number, wr_done(&in));
}

qudag_err circuit_msg_write(struct wr *w, enum circuit_side side, const struct circuit_msg *m)
{
    const struct fields *f = &sides[side];
    uint8_t bytes[CIRCUIT_MSG_MAX];
    struct wr in = wr_init(bytes, sizeof(bytes));

    pb_put_varint(&in, MSG_TYPE, (uint64_t)m->type - f->first); /* also when it is 0 */
    if (m->peer.len > 0) {
        uint8_t peer[PEER_ID_MAX + 8];
        struct wr p = wr_init(peer, sizeof(peer));
        pb_put_bytes(&p, PEER_ID, peer_id_slice(&m->peer));
        pb_put_bytes(&in, f->peer, wr_done(&p));
    }
    if (m->has_reservation && side == CIRCUIT_HOP) {
        put_reservation(&in, f->reservation, m);
    }
    put_limit(&in, f->limit, &m->limit);
    if (m->status != CIRCUIT_NO_STATUS) {
        pb_put_varint(&in, f->status, m->status);
    }
    if (!wr_ok(&in)) {
        return QUDAG_ETOOBIG;
    }
    wr_lp(w, wr_done(&in));
    return wr_ok(w) ? QUDAG_OK : QUDAG_ETOOBIG;
}

/* ------------------------------------------------------------------ reading */

static bool read_peer(struct circuit_msg *m, struct slice in)
{
    struct rd r = rd_init(in);
    struct pb_field f;
    struct slice id = {NULL, 0};

    while (pb_next(&r, &f)) {
        if (f.number == PEER_ID) { /* its addresses mean nothing here: it is linked, or not */
            id = pb_bytes(&r, &f);
        }
    }
    return rd_ok(&r) && peer_id_from_bytes(&m->peer, id) == QUDAG_OK;
}

static bool read_limit(struct circuit_msg *m, struct slice in)
{
    struct rd r = rd_init(in);
    struct pb_field f;

    m->limit = (struct circuit_limit){.data = 0};
    while (pb_next(&r, &f)) {
        uint64_t v;
        switch (f.number) {
        case LIMIT_DURATION:
            v = pb_varint(&r, &f);
            m->limit.duration_s = v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
            break;
        case LIMIT_DATA:
            m->limit.data = pb_varint(&r, &f);
            break;
        default:
            break;
        }
    }
    return rd_ok(&r);
}

static void take_addr(struct circuit_msg *m, struct slice bytes)
{
    if (m->n_addrs < CIRCUIT_ADDRS_MAX &&
        multiaddr_from_bytes(&m->addr[m->n_addrs], bytes) == QUDAG_OK) {
        m->n_addrs++;
    }
}

static bool read_reservation(struct circuit_msg *m, struct slice in)
{
    struct rd r = rd_init(in);
    struct pb_field f;

    m->has_reservation = true;
    m->expire = 0;
    m->n_addrs = 0;
    m->voucher = (struct slice){NULL, 0};
    while (pb_next(&r, &f)) {
        switch (f.number) {
        case RES_EXPIRE:
            m->expire = pb_varint(&r, &f);
            break;
        case RES_ADDR:
            take_addr(m, pb_bytes(&r, &f));
            break;
        case RES_VOUCHER:
            m->voucher = pb_bytes(&r, &f);
            break;
        default:
            break;
        }
    }
    return rd_ok(&r);
}

/* One field; false: the message is malformed. */
static bool read_field(struct circuit_msg *m, const struct fields *at, struct rd *r,
                       const struct pb_field *f, uint64_t *type)
{
    if (f->number == MSG_TYPE) {
        *type = pb_varint(r, f);
    } else if (f->number == at->peer) {
        return read_peer(m, pb_bytes(r, f));
    } else if (f->number == at->reservation) {
        return read_reservation(m, pb_bytes(r, f));
    } else if (f->number == at->limit) {
        return read_limit(m, pb_bytes(r, f));
    } else if (f->number == at->status) {
        uint64_t v = pb_varint(r, f);
        m->status = v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
    }
    return true;
}

qudag_err circuit_msg_read(struct circuit_msg *m, enum circuit_side side, struct slice in)
{
    const struct fields *at = &sides[side];
    struct circuit_msg got = {.expire = 0};
    struct rd r = rd_init(in);
    struct pb_field f;
    uint64_t type = UINT64_MAX; /* proto2: a type that is not there is none, also where 0 is one */

    if (in.len > CIRCUIT_MSG_MAX) {
        return QUDAG_ETOOBIG;
    }
    while (pb_next(&r, &f)) {
        if (!read_field(&got, at, &r, &f, &type)) {
            return QUDAG_EMALFORMED;
        }
    }
    if (!rd_ok(&r) || type >= at->types) {
        return QUDAG_EMALFORMED;
    }
    if (got.voucher.len > CIRCUIT_VOUCHER_MAX) {
        return QUDAG_ETOOBIG;
    }
    got.type = (enum circuit_type)(type + at->first);
    *m = got;
    return QUDAG_OK;
}

/* ------------------------------------------------------------------ statuses */

qudag_err circuit_status_err(uint32_t status)
{
    switch (status) {
    case CIRCUIT_OK:
        return QUDAG_OK;
    case CIRCUIT_RESERVATION_REFUSED:
    case CIRCUIT_RESOURCE_LIMIT_EXCEEDED:
    case CIRCUIT_PERMISSION_DENIED:
        return QUDAG_EREFUSED;
    case CIRCUIT_CONNECTION_FAILED:
    case CIRCUIT_NO_RESERVATION:
        return QUDAG_EUNREACHABLE;
    default:
        return QUDAG_EPROTO;
    }
}

const char *circuit_status_name(uint32_t status)
{
    switch (status) {
    case CIRCUIT_OK:
        return "ok";
    case CIRCUIT_RESERVATION_REFUSED:
        return "reservation refused";
    case CIRCUIT_RESOURCE_LIMIT_EXCEEDED:
        return "resource limit exceeded";
    case CIRCUIT_PERMISSION_DENIED:
        return "permission denied";
    case CIRCUIT_CONNECTION_FAILED:
        return "connection failed";
    case CIRCUIT_NO_RESERVATION:
        return "no reservation";
    case CIRCUIT_MALFORMED_MESSAGE:
        return "malformed message";
    case CIRCUIT_UNEXPECTED_MESSAGE:
        return "unexpected message";
    default:
        return "unknown";
    }
}
