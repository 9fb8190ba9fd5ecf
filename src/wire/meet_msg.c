/* meet_msg.c - messages of a meeting between wire and struct. */
#include "wire/meet_msg.h"

#include "base/rd.h"

static void candidates_write(struct wr *w, const struct meet_msg *m)
{
    size_t n = m->n < MEET_CANDIDATES_MAX ? m->n : MEET_CANDIDATES_MAX;

    wr_u8(w, (uint8_t)n);
    for (size_t i = 0; i < n; i++) {
        const struct meet_candidate *c = &m->v[i];
        wr_u8(w, (uint8_t)((unsigned)c->kind << 4 | (c->set & 15u)));
        wr_u8(w, c->addr.family);
        wr_bytes(w, c->addr.ip, c->addr.family == 4 ? 4 : 16);
        wr_u16(w, c->addr.port);
    }
}

void meet_msg_write(struct wr *w, const struct meet_msg *m)
{
    uint8_t bytes[MEET_MSG_MAX];
    struct wr body = wr_init(bytes, sizeof(bytes));

    wr_u8(&body, (uint8_t)m->type);
    switch (m->type) {
    case MEET_HELLO:
        wr_u8(&body, MEET_VERSION);
        wr_bytes(&body, m->secret, sizeof(m->secret));
        wr_u8(&body, (uint8_t)m->nat);
        wr_u16(&body, (uint16_t)m->step);
        wr_u16(&body, m->held);
        candidates_write(&body, m);
        break;
    case MEET_ROUND:
        wr_u8(&body, (uint8_t)m->round);
        wr_u8(&body, m->flags);
        candidates_write(&body, m);
        break;
    case MEET_START:
        wr_u8(&body, (uint8_t)m->round);
        break;
    case MEET_END:
        wr_u8(&body, (uint8_t)m->end);
        break;
    }
    w->err = w->err || body.err;
    wr_lp(w, wr_done(&body));
}

static bool is_known(const struct meet_candidate *c)
{
    return c->kind != MEET_PEER_REFLEXIVE && c->kind <= MEET_PREDICTED && c->addr.port != 0;
}

static void candidates_read(struct rd *r, struct meet_msg *m)
{
    size_t n = rd_u8(r);

    if (n > MEET_CANDIDATES_MAX) {
        r->err = true;
    }
    for (size_t i = 0; i < n && rd_ok(r); i++) {
        struct meet_candidate c = {.set = 0};
        uint8_t first = rd_u8(r);
        c.kind = (enum meet_kind)(first >> 4);
        c.set = first & 15u;
        c.addr.family = rd_u8(r);
        if (c.addr.family != 4 && c.addr.family != 6) {
            r->err = true;
            return;
        }
        rd_copy(r, c.addr.ip, c.addr.family == 4 ? 4 : 16);
        c.addr.port = rd_u16(r);
        if (rd_ok(r) && is_known(&c)) {
            m->v[m->n++] = c;
        }
    }
}

static qudag_err body_read(struct meet_msg *m, struct slice body)
{
    struct rd r = rd_init(body);
    uint8_t value;

    m->type = (enum meet_msg_type)rd_u8(&r);
    value = rd_u8(&r);
    switch (m->type) {
    case MEET_HELLO:
        if (rd_ok(&r) && value != MEET_VERSION) {
            return QUDAG_EUNSUPPORTED;
        }
        rd_copy(&r, m->secret, sizeof(m->secret));
        value = rd_u8(&r);
        m->nat = value <= MEET_NAT_DEPENDENT ? (enum meet_nat)value : MEET_NAT_UNKNOWN;
        m->step = (int16_t)rd_u16(&r);
        m->held = rd_u16(&r);
        candidates_read(&r, m);
        return rd_ok(&r) ? QUDAG_OK : QUDAG_EMALFORMED;
    case MEET_ROUND:
        m->flags = rd_u8(&r);
        candidates_read(&r, m);
        m->round = (enum meet_round)value;
        break;
    case MEET_START:
        m->round = (enum meet_round)value;
        break;
    case MEET_END:
        m->end = (enum meet_end)value;
        break;
    default:
        return QUDAG_EMALFORMED;
    }
    if (!rd_done(&r) || value >= (m->type == MEET_END ? MEET_END_SHORT + 1u : MEET_ROUNDS) ||
        (m->type == MEET_END && value < MEET_END_DIRECT)) {
        return QUDAG_EMALFORMED;
    }
    return QUDAG_OK;
}

qudag_err meet_msg_read(struct meet_msg *m, struct slice in, size_t *used)
{
    size_t len = 0, at = 0;

    *m = (struct meet_msg){.n = 0};
    *used = 0;
    for (unsigned shift = 0; at < in.len; shift += 7) {
        uint8_t b = in.base[at++];
        len |= (size_t)(b & 0x7f) << shift;
        if (b < 0x80 || at == 2) {
            if (b >= 0x80 || len > MEET_MSG_MAX) {
                return QUDAG_ETOOBIG;
            }
            if (at == 2 && b == 0) {
                return QUDAG_EMALFORMED;
            }
            if (in.len - at < len) {
                return QUDAG_OK;
            }
            *used = at + len;
            return body_read(m, (struct slice){in.base + at, len});
        }
    }
    return QUDAG_OK;
}
