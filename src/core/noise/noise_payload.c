/* noise_payload.c - the payload of a handshake, a protobuf message. */
#include "core/noise/noise_payload.h"

#include "wire/pb.h"

#include <string.h>

#define PREFIX "noise-libp2p-static-key:"

/* Fields of NoiseHandshakePayload and NoiseExtensions. */
enum field {
    IDENTITY_KEY = 1,
    IDENTITY_SIG = 2,
    EXTENSIONS = 4,
    STREAM_MUXERS = 2,
};

size_t noise_signed(uint8_t dst[NOISE_SIGNED_MAX], const uint8_t static_key[32])
{
    size_t n = sizeof(PREFIX) - 1;

    memcpy(dst, PREFIX, n);
    memcpy(dst + n, static_key, 32);
    return n + 32;
}

qudag_err noise_payload_write(const struct noise_payload *p, uint8_t *dst, size_t cap, size_t *len)
{
    struct wr w = wr_init(dst, cap);
    size_t extensions = 0;

    for (size_t i = 0; i < p->n_muxers; i++) {
        extensions += pb_bytes_len(STREAM_MUXERS, p->muxers[i].len);
    }
    pb_put_bytes(&w, IDENTITY_KEY, p->identity_key);
    pb_put_bytes(&w, IDENTITY_SIG, p->identity_sig);
    if (p->n_muxers > 0) {
        pb_put_head(&w, EXTENSIONS, extensions);
    }
    for (size_t i = 0; i < p->n_muxers; i++) {
        pb_put_bytes(&w, STREAM_MUXERS, p->muxers[i]);
    }
    *len = wr_done(&w).len;
    return wr_ok(&w) ? QUDAG_OK : QUDAG_ETOOBIG;
}

static qudag_err read_extensions(struct noise_payload *out, struct slice in)
{
    struct rd r = rd_init(in);
    struct pb_field f;

    while (pb_next(&r, &f)) {
        if (f.number == STREAM_MUXERS && out->n_muxers < NOISE_MUXERS_MAX) {
            out->muxers[out->n_muxers++] = pb_bytes(&r, &f);
        }
    }
    return rd_ok(&r) ? QUDAG_OK : QUDAG_EMALFORMED;
}

qudag_err noise_payload_read(struct noise_payload *out, struct slice in)
{
    struct rd r = rd_init(in);
    struct slice extensions = {NULL, 0};
    struct pb_field f;

    memset(out, 0, sizeof(*out));
    while (pb_next(&r, &f)) {
        switch (f.number) {
        case IDENTITY_KEY:
            out->identity_key = pb_bytes(&r, &f);
            break;
        case IDENTITY_SIG:
            out->identity_sig = pb_bytes(&r, &f);
            break;
        case EXTENSIONS:
            extensions = pb_bytes(&r, &f);
            break;
        default:
            break;
        }
    }
    return rd_ok(&r) ? read_extensions(out, extensions) : QUDAG_EMALFORMED;
}

static bool has(const struct noise_payload *p, struct slice name)
{
    for (size_t i = 0; i < p->n_muxers; i++) {
        if (p->muxers[i].len == name.len && memcmp(p->muxers[i].base, name.base, name.len) == 0) {
            return true;
        }
    }
    return false;
}

qudag_err noise_muxer(const struct noise_payload *initiator, const struct noise_payload *responder,
                      struct slice *out)
{
    if (initiator->n_muxers == 0 || responder->n_muxers == 0) {
        return QUDAG_ENOTFOUND;
    }
    for (size_t i = 0; i < initiator->n_muxers; i++) {
        if (initiator->muxers[i].len > 0 && has(responder, initiator->muxers[i])) {
            *out = initiator->muxers[i];
            return QUDAG_OK;
        }
    }
    return QUDAG_EUNSUPPORTED;
}
