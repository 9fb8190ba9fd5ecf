/* noise.c - a session: frames in, frames out, and which message is whose. */
#include "core/noise/noise.h"

#include "base/wipe.h"
#include "core/noise/noise_int.h"

#include <string.h>

#define LAST_MESSAGE 2
#define FRAME_KEPT 2048 /* bytes of buffer between two frames */

static const char *const names[] = {
    [NOISE_XX] = "Noise_XX_25519_ChaChaPoly_SHA256",
    [NOISE_XXHFS] = "Noise_XXhfs_25519+MLKEM768_ChaChaPoly_SHA256",
};

static void handshake_free(struct noise *n)
{
    if (n->hs == NULL) {
        return;
    }
    mlkem768_free(n->hs->kem);
    dyn_fini(&n->hs->payload);
    dyn_fini(&n->hs->theirs);
    mem_free_wiped(n->cfg.mem, n->hs);
    n->hs = NULL;
}

qudag_err noise_new(struct noise **out, const struct noise_config *cfg)
{
    struct noise *n = mem_alloc(cfg->mem, sizeof(*n));

    *out = NULL;
    if (n == NULL) {
        return QUDAG_ENOMEM;
    }
    n->cfg = *cfg;
    dyn_init(&n->frame, cfg->mem, 2 + NOISE_FRAME_MAX);
    dyn_init(&n->pending, cfg->mem, 2 + NOISE_FRAME_MAX);
    n->hs = mem_alloc(cfg->mem, sizeof(*n->hs));
    if (n->hs == NULL) {
        noise_free(n);
        return QUDAG_ENOMEM;
    }
    dyn_init(&n->hs->payload, cfg->mem, NOISE_PAYLOAD_MAX);
    dyn_init(&n->hs->theirs, cfg->mem, NOISE_HANDSHAKE_MAX);
    noise_symmetric_init(&n->hs->sym, names[cfg->suite]);
    noise_mix_hash(&n->hs->sym, (struct slice){NULL, 0}); /* the empty prologue */
    qudag_err err = x25519_keypair(&n->hs->s, n->hs->s_pub, &n->cfg.rng);
    if (err != QUDAG_OK) {
        noise_free(n);
        return err;
    }
    *out = n;
    return QUDAG_OK;
}

void noise_fail(struct noise *n)
{
    handshake_free(n);
    if (n->frame.p != NULL) {
        wipe(n->frame.p, n->frame.len);
    }
    dyn_fini(&n->frame);
    dyn_fini(&n->pending);
    wipe(&n->in, sizeof(n->in));
    wipe(&n->out, sizeof(n->out));
    n->state = NOISE_FAILED;
}

void noise_free(struct noise *n)
{
    if (n != NULL) {
        noise_fail(n);
        mem_free_wiped(n->cfg.mem, n);
    }
}

static qudag_err failed(struct noise *n, qudag_err err)
{
    if (err != QUDAG_OK) {
        noise_fail(n);
    }
    return err;
}

const uint8_t *noise_static(const struct noise *n)
{
    return n->hs == NULL ? NULL : n->hs->s_pub;
}

enum noise_state noise_state(const struct noise *n)
{
    return n->state;
}

const uint8_t *noise_handshake_hash(const struct noise *n)
{
    return n->hash;
}

qudag_err noise_start(struct noise *n, struct slice payload)
{
    if (n->state != NOISE_NEW) {
        return QUDAG_ESTATE;
    }
    if (payload.len > NOISE_PAYLOAD_MAX) {
        return QUDAG_ETOOBIG;
    }
    qudag_err err = dyn_append(&n->hs->payload, payload.base, payload.len);
    if (err != QUDAG_OK) {
        return err;
    }
    n->state = NOISE_HANDSHAKE;
    return n->cfg.initiator ? failed(n, noise_message_write(n)) : QUDAG_OK;
}

static void ready(struct noise *n)
{
    struct noise_symmetric *sym = &n->hs->sym;

    memcpy(n->hash, sym->h, sizeof(n->hash));
    if (n->cfg.initiator) {
        noise_split(sym, &n->out, &n->in);
    } else {
        noise_split(sym, &n->in, &n->out);
    }
    handshake_free(n);
    n->state = NOISE_READY;
}

/* A whole message of the handshake. */
static qudag_err on_message(struct noise *n, struct slice in)
{
    bool has_payload = n->message > 0;
    qudag_err err = noise_message_read(n, in);
    if (err == QUDAG_OK && has_payload) {
        n->state = NOISE_VERIFY;
    } else if (err == QUDAG_OK) {
        err = noise_message_write(n);
    }
    return err;
}

void noise_peer(const struct noise *n, const uint8_t **static_key, struct slice *payload)
{
    bool there = n->state == NOISE_VERIFY;

    *static_key = there ? n->hs->rs : NULL;
    *payload = there ? dyn_slice(&n->hs->theirs) : (struct slice){NULL, 0};
}

qudag_err noise_verified(struct noise *n)
{
    qudag_err err = QUDAG_OK;

    if (n->state != NOISE_VERIFY) {
        return QUDAG_ESTATE;
    }
    if (n->message <= LAST_MESSAGE) {
        err = noise_message_write(n);
    }
    if (err == QUDAG_OK) {
        ready(n);
    }
    return failed(n, err);
}

/* Takes up to |want| bytes of the frame, length included; true when it has them. */
static bool fill(struct noise *n, size_t want, struct slice in, size_t *used, qudag_err *err)
{
    size_t k = want - n->frame.len;

    k = k < in.len - *used ? k : in.len - *used;
    *err = dyn_append(&n->frame, in.base + *used, k);
    *used += *err == QUDAG_OK ? k : 0;
    return *err == QUDAG_OK && n->frame.len == want;
}

/* What was handed over is not needed any more; a session at rest keeps no large buffer. */
static void forget_frame(struct noise *n)
{
    if (n->frame_done && n->frame.cap > FRAME_KEPT) {
        dyn_fini(&n->frame);
    } else if (n->frame_done) {
        n->frame.len = 0;
    }
    n->frame_done = false;
}

static qudag_err on_frame(struct noise *n, struct slice *plain)
{
    struct slice in = {n->frame.p + 2, n->frame.len - 2};
    qudag_err err;

    n->frame_done = true;
    if (n->state == NOISE_HANDSHAKE) {
        return on_message(n, in);
    }
    err = noise_open_with(&n->in, n->frame.p + 2, (struct slice){NULL, 0}, in);
    if (err == QUDAG_OK) {
        *plain = (struct slice){in.base, in.len - AEAD_TAG_LEN};
    }
    return err;
}

qudag_err noise_receive(struct noise *n, struct slice in, size_t *used, struct slice *plain)
{
    qudag_err err = QUDAG_OK;

    *used = 0;
    *plain = (struct slice){NULL, 0};
    if (n->state == NOISE_FAILED) {
        return QUDAG_ECLOSED;
    }
    if (n->state == NOISE_NEW || n->state == NOISE_VERIFY) {
        return QUDAG_OK;
    }
    forget_frame(n);
    if (n->frame.len < 2 && !fill(n, 2, in, used, &err)) {
        return failed(n, err);
    }
    size_t len = (size_t)n->frame.p[0] << 8 | n->frame.p[1];
    if (n->state == NOISE_HANDSHAKE && len > NOISE_HANDSHAKE_MAX) {
        return failed(n, QUDAG_EPROTO);
    }
    if (fill(n, 2 + len, in, used, &err)) {
        err = on_frame(n, plain);
    }
    return failed(n, err);
}

qudag_err noise_receive_to(struct noise *n, struct slice in, size_t *used, uint8_t *dst, size_t cap,
                           struct slice *plain)
{
    size_t len = in.len < 2 ? 0 : (size_t)in.base[0] << 8 | in.base[1];
    bool at_begin = n->frame.len == 0 || n->frame_done;

    if (n->state != NOISE_READY || !at_begin || len < AEAD_TAG_LEN || in.len - 2 < len ||
        cap < len - AEAD_TAG_LEN) {
        return noise_receive(n, in, used, plain);
    }
    forget_frame(n);
    *used = 2 + len;
    *plain = (struct slice){dst, len - AEAD_TAG_LEN};
    return failed(
        n, noise_open_with(&n->in, dst, (struct slice){NULL, 0}, (struct slice){in.base + 2, len}));
}

struct slice noise_output(const struct noise *n)
{
    return dyn_slice(&n->pending);
}

void noise_output_sent(struct noise *n, size_t len)
{
    dyn_drop(&n->pending, len);
}

qudag_err noise_seal(struct noise *n, uint8_t *dst, struct slice plain)
{
    size_t len = plain.len + AEAD_TAG_LEN;

    if (n->state != NOISE_READY) {
        return QUDAG_ESTATE;
    }
    if (plain.len > NOISE_PLAIN_MAX) {
        return QUDAG_EINVAL;
    }
    dst[0] = (uint8_t)(len >> 8);
    dst[1] = (uint8_t)len;
    return noise_seal_with(&n->out, dst + 2, (struct slice){NULL, 0}, plain);
}
