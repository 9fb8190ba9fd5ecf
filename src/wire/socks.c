/* socks.c - messages of SOCKS5. */
#include "wire/socks.h"

#include "base/rd.h"

#include <string.h>

#define LOGIN_VERSION 1 /* of RFC 1929 */

/* All messages of a client begin with a version: whether |in| does, as far as it has come. */
static bool begins_with(struct slice in, uint8_t version)
{
    return in.len == 0 || in.base[0] == version;
}

/* What is not there yet may still come. */
static qudag_err end_of(const struct rd *r, struct slice in, size_t *used)
{
    if (!rd_ok(r)) {
        return QUDAG_EAGAIN;
    }
    *used = in.len - r->left;
    return QUDAG_OK;
}

qudag_err socks_greeting_read(struct socks_greeting *out, struct slice in, size_t *used)
{
    struct rd r = rd_init(in);
    struct socks_greeting g = {false, false};

    if (!begins_with(in, SOCKS_VERSION)) {
        return QUDAG_EMALFORMED;
    }
    (void)rd_u8(&r);
    uint8_t n = rd_u8(&r);
    if (rd_ok(&r) && n == 0) {
        return QUDAG_EMALFORMED;
    }
    struct slice methods = rd_bytes(&r, n);
    for (size_t i = 0; i < methods.len; i++) {
        g.none = g.none || methods.base[i] == SOCKS_METHOD_NONE;
        g.password = g.password || methods.base[i] == SOCKS_METHOD_PASSWORD;
    }
    qudag_err err = end_of(&r, in, used);
    if (err == QUDAG_OK) {
        *out = g;
    }
    return err;
}

enum socks_method socks_method_of(const struct socks_greeting *g)
{
    return g->password ? SOCKS_METHOD_PASSWORD : g->none ? SOCKS_METHOD_NONE : SOCKS_METHOD_REFUSED;
}

qudag_err socks_login_read(struct socks_login *out, struct slice in, size_t *used)
{
    struct rd r = rd_init(in);

    if (!begins_with(in, LOGIN_VERSION)) {
        return QUDAG_EMALFORMED;
    }
    (void)rd_u8(&r);
    struct slice user = rd_bytes(&r, rd_u8(&r));
    struct slice password = rd_bytes(&r, rd_u8(&r));
    qudag_err err = end_of(&r, in, used);
    if (err == QUDAG_OK) {
        *out = (struct socks_login){user, password};
    }
    return err;
}

/* Bytes of the address; 0: a name without any, which is none. */
static qudag_err address_len(struct rd *r, uint8_t kind, size_t *len)
{
    switch (kind) {
    case SOCKS_IP4:
        *len = 4;
        return QUDAG_OK;
    case SOCKS_IP6:
        *len = 16;
        return QUDAG_OK;
    case SOCKS_NAME:
        *len = rd_u8(r);
        return rd_ok(r) && *len == 0 ? QUDAG_EMALFORMED : QUDAG_OK;
    default:
        return QUDAG_EUNSUPPORTED;
    }
}

qudag_err socks_request_read(struct socks_request *out, struct slice in, size_t *used)
{
    struct rd r = rd_init(in);
    struct socks_request q = {0};
    size_t len = 0;

    if (!begins_with(in, SOCKS_VERSION)) {
        return QUDAG_EMALFORMED;
    }
    (void)rd_u8(&r);
    q.command = rd_u8(&r);
    uint8_t reserved = rd_u8(&r);
    q.address = rd_u8(&r);
    if (!rd_ok(&r)) {
        return QUDAG_EAGAIN;
    }
    if (reserved != 0) {
        return QUDAG_EMALFORMED;
    }
    qudag_err err = address_len(&r, q.address, &len);
    if (err != QUDAG_OK) {
        return err;
    }
    q.host = rd_bytes(&r, len);
    q.port = rd_u16(&r);
    err = end_of(&r, in, used);
    if (err == QUDAG_OK) {
        *out = q;
    }
    return err;
}

void socks_method_write(uint8_t out[2], enum socks_method m)
{
    out[0] = SOCKS_VERSION;
    out[1] = (uint8_t)m;
}

void socks_login_ok_write(uint8_t out[2])
{
    out[0] = LOGIN_VERSION;
    out[1] = 0;
}

void socks_reply_write(uint8_t out[SOCKS_REPLY_LEN], enum socks_code code)
{
    memset(out, 0, SOCKS_REPLY_LEN);
    out[0] = SOCKS_VERSION;
    out[1] = (uint8_t)code;
    out[3] = SOCKS_IP4;
}

void socks_4_refused_write(uint8_t out[8])
{
    memset(out, 0, 8);
    out[1] = 0x5b; /* "request rejected or failed" */
}
