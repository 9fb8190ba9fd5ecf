/* rend_msg.c - the requests of introduction and rendezvous: written, read, signed (spec/rendezvous.md 1, 2). */
#include "wire/rend_msg.h"

#include <string.h>

#define CONTEXT "qudag introduction point v1" /* its NUL ends it */
#define SIGNED_LEN (sizeof CONTEXT + REND_BINDING_LEN + ED25519_PK_LEN + 2 + 2)

/* First bytes; each protocol counts its own. */
#define FIRST_ESTABLISH 1
#define FIRST_INTRODUCE1 2
#define FIRST_WAIT 1
#define FIRST_MEET 2

enum rend_request rend_introduce_request(uint8_t first)
{
    return first == FIRST_ESTABLISH    ? REND_ESTABLISH
           : first == FIRST_INTRODUCE1 ? REND_INTRODUCE1
                                       : REND_NO_REQUEST;
}

enum rend_request rend_meet_request(uint8_t first)
{
    return first == FIRST_WAIT ? REND_WAIT : first == FIRST_MEET ? REND_MEET : REND_NO_REQUEST;
}

size_t rend_request_len(enum rend_request which)
{
    switch (which) {
    case REND_ESTABLISH:
        return REND_ESTABLISH_LEN;
    case REND_INTRODUCE1:
        return REND_INTRODUCE1_LEN;
    case REND_WAIT:
        return REND_WAIT_LEN;
    case REND_MEET:
        return REND_MEET_LEN;
    case REND_NO_REQUEST:
        break;
    }
    return 0;
}

bool rend_status_fits(enum rend_request which, uint8_t status)
{
    switch (status) {
    case REND_DONE:
        return which != REND_NO_REQUEST;
    case REND_UNKNOWN: /* what only names something */
        return which == REND_INTRODUCE1 || which == REND_MEET;
    case REND_FULL: /* what needs room */
        return which == REND_ESTABLISH || which == REND_INTRODUCE1 || which == REND_WAIT;
    case REND_BUSY:
        return which == REND_INTRODUCE1;
    default:
        return false;
    }
}

/* What the intro key signs: the circuit, the key itself, the limits. */
static struct slice signed_part(uint8_t buf[SIGNED_LEN], const struct rend_establish *e,
                                const uint8_t binding[REND_BINDING_LEN])
{
    struct wr w = wr_init(buf, SIGNED_LEN);

    wr_bytes(&w, CONTEXT, sizeof CONTEXT);
    wr_bytes(&w, binding, REND_BINDING_LEN);
    wr_bytes(&w, e->intro_key, sizeof e->intro_key);
    wr_u16(&w, e->rate);
    wr_u16(&w, e->burst);
    return wr_done(&w);
}

qudag_err rend_establish_sign(struct rend_establish *e, const struct secret_ed25519 *sk,
                              const uint8_t binding[REND_BINDING_LEN])
{
    uint8_t buf[SIGNED_LEN];

    qudag_err err = ed25519_public(e->intro_key, sk);
    return err == QUDAG_OK ? ed25519_sign(e->sig, sk, signed_part(buf, e, binding)) : err;
}

qudag_err rend_establish_check(const struct rend_establish *e,
                               const uint8_t binding[REND_BINDING_LEN])
{
    uint8_t buf[SIGNED_LEN];

    return ed25519_verify(e->intro_key, e->sig, signed_part(buf, e, binding));
}

static uint16_t limit(uint16_t asked, uint16_t max)
{
    return asked == 0 || asked > max ? max : asked;
}

void rend_establish_limits(const struct rend_establish *e, uint16_t *rate, uint16_t *burst)
{
    *rate = limit(e->rate, REND_RATE_MAX);
    *burst = limit(e->burst, REND_BURST_MAX);
}

void rend_establish_put(struct wr *w, const struct rend_establish *e)
{
    wr_u8(w, FIRST_ESTABLISH);
    wr_bytes(w, e->intro_key, sizeof e->intro_key);
    wr_u16(w, e->rate);
    wr_u16(w, e->burst);
    wr_bytes(w, e->sig, sizeof e->sig);
}

qudag_err rend_establish_get(struct rend_establish *e, struct slice bytes)
{
    struct rd r = rd_init(bytes);

    uint8_t first = rd_u8(&r);
    rd_copy(&r, e->intro_key, sizeof e->intro_key);
    e->rate = rd_u16(&r);
    e->burst = rd_u16(&r);
    rd_copy(&r, e->sig, sizeof e->sig);
    return rd_done(&r) && first == FIRST_ESTABLISH ? QUDAG_OK : QUDAG_EMALFORMED;
}

void rend_introduce1_put(struct wr *w, const struct rend_introduce1 *m)
{
    wr_u8(w, FIRST_INTRODUCE1);
    wr_bytes(w, m->intro_key, ED25519_PK_LEN);
    wr_bytes(w, m->handshake, REND_HS_LEN);
}

qudag_err rend_introduce1_get(struct rend_introduce1 *m, struct slice bytes)
{
    struct rd r = rd_init(bytes);

    uint8_t first = rd_u8(&r);
    m->intro_key = rd_bytes(&r, ED25519_PK_LEN).base;
    m->handshake = rd_bytes(&r, REND_HS_LEN).base;
    return rd_done(&r) && first == FIRST_INTRODUCE1 ? QUDAG_OK : QUDAG_EMALFORMED;
}

void rend_wait_put(struct wr *w, const uint8_t cookie[REND_COOKIE_LEN])
{
    wr_u8(w, FIRST_WAIT);
    wr_bytes(w, cookie, REND_COOKIE_LEN);
}

qudag_err rend_wait_get(const uint8_t **cookie, struct slice bytes)
{
    struct rd r = rd_init(bytes);

    uint8_t first = rd_u8(&r);
    *cookie = rd_bytes(&r, REND_COOKIE_LEN).base;
    return rd_done(&r) && first == FIRST_WAIT ? QUDAG_OK : QUDAG_EMALFORMED;
}

void rend_meet_put(struct wr *w, const struct rend_meet *m)
{
    wr_u8(w, FIRST_MEET);
    wr_bytes(w, m->cookie, REND_COOKIE_LEN);
    wr_bytes(w, m->created, REND_CREATED_LEN);
}

qudag_err rend_meet_get(struct rend_meet *m, struct slice bytes)
{
    struct rd r = rd_init(bytes);

    uint8_t first = rd_u8(&r);
    m->cookie = rd_bytes(&r, REND_COOKIE_LEN).base;
    m->created = rd_bytes(&r, REND_CREATED_LEN).base;
    return rd_done(&r) && first == FIRST_MEET ? QUDAG_OK : QUDAG_EMALFORMED;
}
