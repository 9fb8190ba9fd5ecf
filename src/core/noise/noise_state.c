/* noise_state.c - symmetric and cipher states; names of functions and variables are the framework's. */
#include "core/noise/noise_state.h"

#include "base/wipe.h"

#include <string.h>

/* 32 zero bits and the counter, little-endian (section 12.3). */
static void nonce_of(uint8_t nonce[AEAD_NONCE_LEN], uint64_t n)
{
    memset(nonce, 0, 4);
    for (int i = 0; i < 8; i++) {
        nonce[4 + i] = (uint8_t)(n >> (8 * i));
    }
}

qudag_err noise_seal_with(struct noise_cipher *c, uint8_t *dst, struct slice aad,
                          struct slice plain)
{
    uint8_t nonce[AEAD_NONCE_LEN];

    if (c->n == UINT64_MAX) {
        return QUDAG_ECLOSED;
    }
    nonce_of(nonce, c->n);
    qudag_err err = aead_seal(dst, c->key, nonce, aad, plain);
    if (err == QUDAG_OK) {
        c->n++;
    }
    return err;
}

qudag_err noise_open_with(struct noise_cipher *c, uint8_t *dst, struct slice aad, struct slice in)
{
    uint8_t nonce[AEAD_NONCE_LEN];

    if (in.len < AEAD_TAG_LEN) {
        return QUDAG_EAUTH;
    }
    if (c->n == UINT64_MAX) {
        return QUDAG_ECLOSED;
    }
    nonce_of(nonce, c->n);
    qudag_err err = aead_open(dst, c->key, nonce, aad, in);
    if (err == QUDAG_OK) {
        c->n++;
    }
    return err;
}

void noise_symmetric_init(struct noise_symmetric *s, const char *name)
{
    size_t len = strlen(name);

    memset(s, 0, sizeof(*s));
    if (len <= sizeof(s->h)) {
        memcpy(s->h, name, len);
    } else {
        sha256(s->h, (struct slice){(const uint8_t *)name, len});
    }
    memcpy(s->ck, s->h, sizeof(s->ck));
}

void noise_mix_hash(struct noise_symmetric *s, struct slice data)
{
    sha256_two(s->h, (struct slice){s->h, sizeof(s->h)}, data);
}

/* The framework's HKDF with two outputs is RFC 5869 with an empty info. */
static void hkdf(uint8_t out[2 * SHA256_LEN], const uint8_t ck[SHA256_LEN], struct slice material)
{
    uint8_t prk[SHA256_LEN];

    hkdf_sha256_extract(prk, (struct slice){ck, SHA256_LEN}, material);
    hkdf_sha256_expand(out, 2 * SHA256_LEN, prk, (struct slice){NULL, 0});
    wipe(prk, sizeof(prk));
}

void noise_mix_key(struct noise_symmetric *s, struct slice material)
{
    uint8_t out[2 * SHA256_LEN];

    hkdf(out, s->ck, material);
    memcpy(s->ck, out, SHA256_LEN);
    memcpy(s->cipher.key, out + SHA256_LEN, SHA256_LEN);
    s->cipher.n = 0;
    s->cipher.has_key = true;
    wipe(out, sizeof(out));
}

qudag_err noise_encrypt(struct noise_symmetric *s, uint8_t *dst, size_t *len, struct slice plain)
{
    qudag_err err = QUDAG_OK;

    *len = plain.len;
    if (s->cipher.has_key) {
        *len += AEAD_TAG_LEN;
        err = noise_seal_with(&s->cipher, dst, (struct slice){s->h, sizeof(s->h)}, plain);
    } else if (plain.len > 0) {
        memcpy(dst, plain.base, plain.len);
    }
    if (err == QUDAG_OK) {
        noise_mix_hash(s, (struct slice){dst, *len});
    }
    return err;
}

qudag_err noise_decrypt(struct noise_symmetric *s, uint8_t *dst, size_t *len, struct slice in)
{
    qudag_err err = QUDAG_OK;
    uint8_t h[SHA256_LEN];

    memcpy(h, s->h, sizeof(h));
    noise_mix_hash(s, in); /* before |dst|, which may be |in| itself, is written */
    *len = in.len;
    if (s->cipher.has_key) {
        err = noise_open_with(&s->cipher, dst, (struct slice){h, sizeof(h)}, in);
        *len = err == QUDAG_OK ? in.len - AEAD_TAG_LEN : 0;
    } else if (in.len > 0) {
        memmove(dst, in.base, in.len);
    }
    return err;
}

void noise_split(struct noise_symmetric *s, struct noise_cipher *from_initiator,
                 struct noise_cipher *from_responder)
{
    uint8_t out[2 * SHA256_LEN];

    hkdf(out, s->ck, (struct slice){NULL, 0});
    *from_initiator = (struct noise_cipher){.has_key = true};
    *from_responder = (struct noise_cipher){.has_key = true};
    memcpy(from_initiator->key, out, SHA256_LEN);
    memcpy(from_responder->key, out + SHA256_LEN, SHA256_LEN);
    wipe(out, sizeof(out));
    wipe(s, sizeof(*s));
}
