/* relay_msg.c - messages inside cells: one table says what each type looks like. */
#include "core/onion/relay_msg.h"

#include "base/err.h"
#include "wire/onion_ends.h"

#include <string.h>

static const struct {
    bool stream;
    uint16_t min, max; /* bytes of data */
} TYPES[] = {
    [ONION_RELAY_EXTEND] = {false, ONION_RELAY_FRAG_HEAD + 1,
                            ONION_RELAY_PAYLOAD - ONION_RELAY_HEAD},
    [ONION_RELAY_EXTENDED] = {false, ONION_RELAY_FRAG_HEAD + 1,
                              ONION_RELAY_PAYLOAD - ONION_RELAY_HEAD},
    [ONION_RELAY_TRUNCATED] = {false, 1, 1},
    [ONION_RELAY_SENDME] = {false, 16, 16},
    [ONION_RELAY_BEGIN] = {true, 1, ONION_RELAY_PROTO_MAX},
    [ONION_RELAY_CONNECTED] = {true, 0, 0},
    [ONION_RELAY_DATA] = {true, 1, ONION_RELAY_PAYLOAD - ONION_RELAY_STREAM_HEAD},
    [ONION_RELAY_FIN] = {true, 0, 0},
    [ONION_RELAY_RESET] = {true, 1, 1},
    [ONION_RELAY_CREDIT] = {true, 4, 4},
};

static const struct {
    uint8_t reason;
    qudag_err err;
} REASONS[] = {
    {1, QUDAG_ECLOSED},      {2, QUDAG_EPROTO},       {3, QUDAG_EAUTH},      {4, QUDAG_ELIMIT},
    {5, QUDAG_ETIMEOUT},     {6, QUDAG_EUNREACHABLE}, {7, QUDAG_EINTERNAL},  {8, QUDAG_EREFUSED},
    {9, QUDAG_EUNSUPPORTED}, {10, QUDAG_ECANCELED},   {11, QUDAG_EPOLICY},   {12, QUDAG_ERESET},
    {13, QUDAG_ENOMEM},      {14, QUDAG_EAGAIN},      {15, QUDAG_ENOTFOUND}, {16, QUDAG_ESTALE},
    {17, QUDAG_EMALFORMED},  {18, QUDAG_EINVAL},      {19, QUDAG_ESTATE},    {20, QUDAG_ESYSTEM},
    {21, QUDAG_EBOOTSTRAP},  {22, QUDAG_EEXPIRED},    {23, QUDAG_ECHECKSUM}, {24, QUDAG_ENORELAYS},
    {25, QUDAG_ECIRCUIT},    {26, QUDAG_EEXISTS},     {27, QUDAG_ETOOBIG},   {28, QUDAG_ECLOCK},
    {29, QUDAG_ENOGUARD},    {30, QUDAG_ESMALLNET},   {31, QUDAG_ENEEDAUTH},
};

#define APP_REASONS 192 /* SPEC: onion 5.4; of programs */

uint8_t onion_reason_of(qudag_err err)
{
    if (QUDAG_EAPP_CODE(err) >= 0) {
        return (uint8_t)(APP_REASONS + QUDAG_EAPP_CODE(err));
    }
    for (size_t i = 0; i < ARRAY_LEN(REASONS); i++) {
        if (REASONS[i].err == err) {
            return REASONS[i].reason;
        }
    }
    return 12; /* no error of the list; none is called a bug of ours but what is one */
}

qudag_err onion_reason_err(uint8_t reason)
{
    if (reason >= APP_REASONS) {
        return QUDAG_EAPP(reason - APP_REASONS);
    }
    for (size_t i = 0; i < ARRAY_LEN(REASONS); i++) {
        if (REASONS[i].reason == reason) {
            return REASONS[i].err;
        }
    }
    return QUDAG_ERESET;
}

qudag_err onion_reason_heard(uint8_t reason)
{
    qudag_err err = reason < APP_REASONS ? onion_reason_err(reason) : QUDAG_ERESET;

    if (err == QUDAG_ENOMEM) {
        return QUDAG_ELIMIT;
    }
    return err == QUDAG_OK || err_is_ours(err) ? QUDAG_ERESET : err;
}

bool onion_relay_type_is_stream(uint8_t type)
{
    return type < ARRAY_LEN(TYPES) && TYPES[type].stream;
}

/* Padding is public once a cell is open: no need for constant time, but for speed. */
static bool all_zero(const uint8_t *p, size_t len)
{
    uint8_t acc = 0;

    for (size_t i = 0; i < len; i++) {
        acc |= p[i];
    }
    return acc == 0;
}

int onion_relay_msg_next(struct rd *r, struct onion_relay_msg *m)
{
    if (r->left < ONION_RELAY_HEAD || r->p[0] == ONION_RELAY_END) {
        return all_zero(r->p, r->left) ? 0 : -1;
    }
    m->type = rd_u8(r);
    size_t len = rd_u16(r);
    if (m->type >= ARRAY_LEN(TYPES)) {
        return -1;
    }
    m->stream = TYPES[m->type].stream ? rd_u16(r) : 0;
    m->data = rd_bytes(r, len);
    bool fits = len >= TYPES[m->type].min && len <= TYPES[m->type].max;
    bool named = !TYPES[m->type].stream || m->stream != 0;
    return rd_ok(r) && fits && named ? 1 : -1;
}

void onion_relay_msg_put(struct wr *w, uint8_t type, uint16_t stream, struct slice data)
{
    wr_u8(w, type);
    wr_u16(w, (uint16_t)data.len);
    if (stream != 0) {
        wr_u16(w, stream);
    }
    wr_slice(w, data);
}

void onion_assembly_init(struct onion_assembly *a, struct mem *mem)
{
    *a = (struct onion_assembly){.mem = mem};
}

void onion_assembly_fini(struct onion_assembly *a)
{
    mem_free_wiped(a->mem, a->p);
    *a = (struct onion_assembly){.mem = a->mem};
}

qudag_err onion_assembly_add(struct onion_assembly *a, struct slice frag, size_t max, bool clear,
                             bool *done)
{
    struct rd r = rd_init(frag);
    size_t total = rd_u16(&r), offset = rd_u16(&r);

    *done = false;
    if (!rd_ok(&r) || total == 0 || total > max || offset != a->have || offset >= total) {
        return QUDAG_EMALFORMED;
    }
    size_t piece_max = clear ? ONION_CLEAR_FRAG_MAX : ONION_RELAY_FRAG_MAX;
    size_t len = total - offset < piece_max ? total - offset : piece_max;
    struct slice piece = rd_bytes(&r, len);
    bool rest = clear ? all_zero(r.p, r.left) : r.left == 0;
    if (!rd_ok(&r) || !rest || (a->p != NULL && total != a->total)) {
        return QUDAG_EMALFORMED;
    }
    if (a->p == NULL) {
        a->p = mem_alloc(a->mem, total);
        if (a->p == NULL) {
            return QUDAG_ENOMEM;
        }
        a->total = total;
    }
    memcpy(a->p + a->have, piece.base, len);
    a->have += len;
    *done = a->have == a->total;
    return QUDAG_OK;
}

void onion_extend_put(struct wr *w, const struct onion_extend *e)
{
    wr_u8(w, e->to.peer.len);
    wr_slice(w, peer_id_slice(&e->to.peer));
    size_t len_at = wr_reserve(w, 2), from = w->len;
    if (e->ends) {
        onion_ends_put(w, &e->to);
    }
    wr_fill_u16(w, len_at, (uint16_t)(w->len - from));
    wr_lp16(w, e->create);
    if (w->len < ONION_EXTEND_LEN) {
        wr_zero(w, ONION_EXTEND_LEN - w->len);
    }
}

qudag_err onion_extend_get(struct slice bytes, struct onion_extend *e)
{
    struct rd r = rd_init(bytes);

    *e = (struct onion_extend){.ends = false};
    qudag_err err = peer_id_from_bytes(&e->to.peer, rd_bytes(&r, rd_u8(&r)));
    struct slice statement = rd_lp16(&r, ONION_ENDS_MAX);
    e->ends = statement.len > 0;
    if (err == QUDAG_OK && e->ends) {
        err = onion_ends_get(&e->to, statement);
    }
    e->create = rd_lp16(&r, ONION_EXTEND_LEN);
    bool whole = bytes.len == ONION_EXTEND_LEN && rd_ok(&r) && all_zero(r.p, r.left);
    return err == QUDAG_OK && whole ? QUDAG_OK : QUDAG_EMALFORMED;
}
