/* channel.c - qudag_channel_*: TLS over any byte stream for programs, without a node. */
#include "api/channel.h"

#include "base/wipe.h"
#include "crypto/init.h"

#include <stdlib.h>

#define PROTO "/qudag/channel/1"
#define OUTPUT_DEFAULT (1024 * 1024)

/* What channels that are alike share: contexts and the certificate. */
struct channel_keys {
    struct mem mem;
    struct rng rng;
    struct sec *sec;
    const qudag_identity *id;
    uint16_t level;
    unsigned users;
};

API_NO_TAIL(qudag_channel_config, pad2);
API_NO_TAIL(qudag_channel_info, pad);
_Static_assert(QUDAG_CHANNEL_PLAIN_MAX == TLS_STREAM_PLAIN_MAX, "one limit");
_Static_assert(sizeof(PROTO) + 1 + QUDAG_CHANNEL_PROTOCOL_MAX <= TLS_STREAM_PROTO_LEN_MAX + 1,
               "the name fits");

/* ------------------------------------------------------------------ making and freeing */

static void keys_release(struct channel_keys *k)
{
    if (--k->users == 0) {
        sec_free(k->sec);
        free(k);
    }
}

static qudag_err keys_new(struct channel_keys **out, const qudag_identity *id,
                          const qudag_channel_config *cfg)
{
    struct channel_keys *k = calloc(1, sizeof(*k));
    tstamp now = io_now();

    if (k == NULL) {
        return QUDAG_ENOMEM;
    }
    *k = (struct channel_keys){.rng = io_rng(), .id = id, .level = cfg->level, .users = 1};
    mem_init(&k->mem, NULL, 0);
    const struct sec_config sc = {
        .mem = &k->mem,
        .rng = &k->rng,
        .identity = &id->id,
        .pq = PQ_REQUIRE,
        .level = cfg->level,
        .channel = true,
        .clock = {.base = cfg->wall_s != 0 ? cfg->wall_s : io_wall(), .at = now}};
    qudag_err err = sec_new(&k->sec, &sc);
    if (err != QUDAG_OK) {
        free(k);
        return err;
    }
    *out = k;
    return QUDAG_OK;
}

/* Those of |like|, with a certificate that is still new enough; or new ones. */
static qudag_err keys_get(struct channel_keys **out, const qudag_identity *id,
                          const qudag_channel_config *cfg)
{
    tstamp now = io_now();

    if (cfg->like == NULL) {
        return keys_new(out, id, cfg);
    }
    struct channel_keys *k = cfg->like->keys;
    if (k->id != id || k->level != cfg->level || cfg->wall_s != 0) {
        return QUDAG_EINVAL;
    }
    if (now >= sec_renew_at(k->sec)) {
        qudag_err err = sec_renew(k->sec, now);
        if (err != QUDAG_OK) {
            return err;
        }
    }
    k->users++;
    *out = k;
    return QUDAG_OK;
}

/* "/qudag/channel/1", or with the program's name behind another slash. */
static void full_protocol(char dst[TLS_STREAM_PROTO_LEN_MAX + 1], const char *name)
{
    memcpy(dst, PROTO, sizeof(PROTO));
    if (name != NULL) {
        dst[sizeof(PROTO) - 1] = '/';
        memcpy(dst + sizeof(PROTO), name, strlen(name) + 1);
    }
}

static qudag_err start(qudag_channel *c, qudag_channel_role role, const qudag_channel_config *cfg)
{
    char name[TLS_STREAM_PROTO_LEN_MAX + 1];
    const char *const protos[] = {name, NULL};
    struct sec_expect expect = {.has_peer = cfg->peer != NULL, .has_pq_hash = cfg->pq_hash != NULL};

    if (cfg->peer != NULL && !api_peer_in(&expect.peer, cfg->peer)) {
        return QUDAG_EINVAL;
    }
    if (cfg->pq_hash != NULL) {
        memcpy(expect.pq_hash, cfg->pq_hash, sizeof(expect.pq_hash));
    }
    full_protocol(name, cfg->protocol);
    const struct tls_stream_config tc = {.mem = &c->keys->mem,
                                         .sec = c->keys->sec,
                                         .server = role == QUDAG_CHANNEL_SERVER,
                                         .expect = &expect,
                                         .protos = protos,
                                         .proto_needed = true,
                                         .confirm = true};
    qudag_err err = tls_stream_new(&c->tls, &tc, io_now());
    if (err == QUDAG_OK && role == QUDAG_CHANNEL_CLIENT) {
        size_t used;
        struct slice plain;
        err = tls_stream_receive(c->tls, (struct slice){NULL, 0}, &used, &plain, io_now());
    }
    return err;
}

static qudag_err config_in(qudag_channel_config *full, const qudag_channel_config *cfg)
{
    *full = (qudag_channel_config){.size = sizeof(*full)};
    qudag_err err = cfg == NULL ? QUDAG_OK : api_sized_in(full, sizeof(*full), cfg);

    if (err != QUDAG_OK) {
        return err;
    }
    full->level = full->level == 0 ? 768 : full->level;
    full->output_max = full->output_max == 0 ? OUTPUT_DEFAULT : full->output_max;
    bool level = full->level == 512 || full->level == 768 || full->level == 1024;
    bool name =
        full->protocol == NULL ||
        (full->protocol[0] != '\0' && api_text_fits(full->protocol, QUDAG_CHANNEL_PROTOCOL_MAX));
    return level && name && full->pad == 0 && full->pad2 == 0 ? QUDAG_OK : QUDAG_EINVAL;
}

qudag_err qudag_channel_new(qudag_channel **out, qudag_channel_role role, const qudag_identity *id,
                            const qudag_channel_config *cfg)
{
    qudag_channel_config full;

    if (out == NULL) {
        return QUDAG_EINVAL;
    }
    *out = NULL;
    if (id == NULL || (role != QUDAG_CHANNEL_CLIENT && role != QUDAG_CHANNEL_SERVER)) {
        return QUDAG_EINVAL;
    }
    qudag_err err = config_in(&full, cfg);
    if (err == QUDAG_OK) {
        err = crypto_init();
    }
    if (err != QUDAG_OK) {
        return err;
    }
    qudag_channel *c = calloc(1, sizeof(*c));
    if (c == NULL) {
        return QUDAG_ENOMEM;
    }
    c->output_max = full.output_max;
    c->until = TSTAMP_NEVER;
    err = keys_get(&c->keys, id, &full);
    if (err == QUDAG_OK) {
        err = start(c, role, &full);
    }
    if (err != QUDAG_OK) {
        qudag_channel_free(c);
        return err;
    }
    *out = c;
    return QUDAG_OK;
}

void qudag_channel_free(qudag_channel *c)
{
    if (c != NULL) {
        tls_stream_free(c->tls);
        if (c->keys != NULL) {
            keys_release(c->keys);
        }
        free(c);
    }
}

/* ------------------------------------------------------------------ bytes */

static qudag_err fail(qudag_channel *c, qudag_err err, const char *why)
{
    c->err = err;
    c->why = why;
    return err;
}

/* A channel ends with the certificates that it was made with, as links do. */
static qudag_err check_age(qudag_channel *c, tstamp now)
{
    if (c->err != QUDAG_OK) {
        return c->err;
    }
    if (now < c->until) {
        return QUDAG_OK;
    }
    tls_stream_close(c->tls);
    return fail(c, QUDAG_EEXPIRED, "the channel is as old as it may become; make another");
}

static bool is_proven(const qudag_channel *c)
{
    enum tls_stream_state state = tls_stream_state(c->tls);

    return state == TLS_STREAM_READY || state == TLS_STREAM_ENDED;
}

qudag_err qudag_channel_receive(qudag_channel *c, qudag_slice in, size_t *used, qudag_slice *plain)
{
    struct slice got = {NULL, 0};
    tstamp now = io_now();

    if (c == NULL || used == NULL || plain == NULL || (in.base == NULL && in.len > 0)) {
        return QUDAG_EINVAL;
    }
    *used = 0;
    *plain = slice_out(got);
    qudag_err err = check_age(c, now);
    if (err == QUDAG_OK) {
        err = tls_stream_receive(c->tls, slice_in(in), used, &got, now);
    }
    if (err == QUDAG_OK && c->until == TSTAMP_NEVER && is_proven(c)) {
        struct link_info info = {0};

        tls_stream_report(c->tls, &info);
        c->until = info.until;
    }
    *plain = slice_out(got);
    return err;
}

qudag_err qudag_channel_input_ended(qudag_channel *c)
{
    if (c == NULL) {
        return QUDAG_EINVAL;
    }
    enum qudag_channel_state state = qudag_channel_get_state(c);
    if (state == QUDAG_CHANNEL_FAILED) {
        return qudag_channel_why(c, NULL, NULL);
    }
    return state == QUDAG_CHANNEL_ENDED
               ? QUDAG_OK
               : fail(c, QUDAG_ERESET,
                      "the byte stream ended, and the peer has not: something may be missing");
}

qudag_err qudag_channel_send(qudag_channel *c, qudag_slice plain)
{
    tstamp now = io_now();

    if (c == NULL || (plain.base == NULL && plain.len > 0)) {
        return QUDAG_EINVAL;
    }
    qudag_err err = is_proven(c) ? check_age(c, now) : QUDAG_ESTATE;
    if (err != QUDAG_OK) {
        return c->err != QUDAG_OK && c->err != QUDAG_EEXPIRED ? QUDAG_ESTATE : err;
    }
    if (plain.len > QUDAG_CHANNEL_SEND_MAX) {
        return QUDAG_ETOOBIG;
    }
    if (tls_stream_output_len(c->tls) > c->output_max) {
        return QUDAG_EAGAIN;
    }
    return tls_stream_send(c->tls, slice_in(plain), now);
}

void qudag_channel_close(qudag_channel *c)
{
    if (c != NULL) {
        tls_stream_close(c->tls);
    }
}

size_t qudag_channel_take_output(qudag_channel *c, uint8_t *dst, size_t cap)
{
    struct slice s = {NULL, 0};

    if (c != NULL && dst != NULL) {
        s = tls_stream_output(c->tls);
    }
    s.len = s.len < cap ? s.len : cap;
    if (s.len > 0) {
        memcpy(dst, s.base, s.len);
        tls_stream_output_sent(c->tls, s.len);
    }
    return s.len;
}

qudag_slice qudag_channel_output(const qudag_channel *c)
{
    return c == NULL ? (qudag_slice){NULL, 0} : slice_out(tls_stream_output(c->tls));
}

void qudag_channel_output_sent(qudag_channel *c, size_t n)
{
    if (c != NULL) {
        tls_stream_output_sent(c->tls, n);
    }
}

/* ------------------------------------------------------------------ what there is to know */

qudag_channel_state qudag_channel_get_state(const qudag_channel *c)
{
    if (c == NULL || c->err != QUDAG_OK) {
        return QUDAG_CHANNEL_FAILED;
    }
    switch (tls_stream_state(c->tls)) {
    case TLS_STREAM_HANDSHAKE:
        return QUDAG_CHANNEL_HANDSHAKE;
    case TLS_STREAM_READY:
        return QUDAG_CHANNEL_READY;
    case TLS_STREAM_ENDED:
        return QUDAG_CHANNEL_ENDED;
    case TLS_STREAM_FAILED:
        break;
    }
    return QUDAG_CHANNEL_FAILED;
}

static void info_out(qudag_channel_info *out, const qudag_channel *c, const struct link_info *in)
{
    tstamp now = io_now();

    _Static_assert(sizeof(out->group) == sizeof(in->group) &&
                       sizeof(out->cipher) == sizeof(in->cipher) &&
                       sizeof(out->sig_local) == sizeof(in->sig_local) &&
                       sizeof(out->sig_remote) == sizeof(in->sig_remote),
                   "texts of one length");
    out->level = c->keys->level;
    out->pq_kex = (in->props & LINK_PQ_KEX) != 0;
    out->pq_auth = (in->props & LINK_PQ_AUTH) != 0;
    out->left = c->until > now ? c->until - now : 0;
    api_peer_out(&out->peer, &in->peer);
    memcpy(out->pq_hash, in->pq_hash, sizeof(out->pq_hash));
    memcpy(out->group, in->group, sizeof(out->group));
    memcpy(out->cipher, in->cipher, sizeof(out->cipher));
    memcpy(out->sig_local, in->sig_local, sizeof(out->sig_local));
    memcpy(out->sig_remote, in->sig_remote, sizeof(out->sig_remote));
}

qudag_err qudag_channel_peer(const qudag_channel *c, qudag_channel_info *out)
{
    qudag_channel_info full = {.size = sizeof(full)};
    struct link_info info = {0};

    if (c == NULL || out == NULL) {
        return QUDAG_EINVAL;
    }
    if (c->err != QUDAG_OK || !is_proven(c)) {
        return QUDAG_ESTATE;
    }
    tls_stream_report(c->tls, &info);
    info_out(&full, c, &info);
    return api_sized_out(out, &full, sizeof(full)) ? QUDAG_OK : QUDAG_EINVAL;
}

qudag_err qudag_channel_why(const qudag_channel *c, const char **text, qudag_peer_id *found)
{
    const char *why = NULL;
    const struct peer_id *other = NULL;
    qudag_err err = QUDAG_EINVAL;

    if (c != NULL) {
        err = tls_stream_why(c->tls, &why, &other);
        if (err == QUDAG_OK && c->err != QUDAG_OK) {
            err = c->err;
            why = c->why;
        }
    }
    if (text != NULL) {
        *text = why == NULL ? qudag_strerror(err) : why;
    }
    if (found != NULL) {
        api_peer_out(found, other == NULL ? &(struct peer_id){0} : other);
    }
    return err;
}
