/*
 * cgo_portable.c - the cell cipher for any machine: AES from OpenSSL, our own POLYVAL.
 *
 * The contexts are heap objects of OpenSSL, made once per object and given new keys afterwards.
 */
#include "base/wipe.h"
#include "crypto/cgo_impl.h"
#include "crypto/polyval.h"

#include <openssl/evp.h>
#include <string.h>

enum et_direction { DIR_NONE, DIR_ENC, DIR_DEC };

struct portable_keys {
    EVP_CIPHER_CTX *et;  /* AES under KB, one block at a time */
    EVP_CIPHER_CTX *prf; /* AES-CTR under K */
    struct polyval ku, b;
    enum et_direction et_dir; /* what |et| is keyed for; an object serves one side, so it settles */
    uint8_t kb[32];
};

_Static_assert(sizeof(struct portable_keys) <= CGO_ENGINE_LEN, "keys do not fit");

static struct portable_keys *keys_of(struct cgo_state *s)
{
    return (struct portable_keys *)(void *)s->engine;
}

static bool usable(void)
{
    return true;
}

static bool set_keys(struct cgo_state *s, const uint8_t *keys)
{
    struct portable_keys *k = keys_of(s);
    size_t half = (size_t)s->key_len + 16;
    const EVP_CIPHER *ctr = NULL; /* stays what it was */
    if (k->et == NULL && k->prf == NULL) {
        k->et = EVP_CIPHER_CTX_new();
        k->prf = EVP_CIPHER_CTX_new();
        ctr = s->key_len == 32 ? EVP_aes_256_ctr() : EVP_aes_128_ctr();
    }
    if (k->et == NULL || k->prf == NULL) {
        return false;
    }
    memcpy(k->kb, keys, s->key_len);
    k->et_dir = DIR_NONE;
    polyval_init(&k->ku, keys + s->key_len);
    polyval_init(&k->b, keys + half + s->key_len);
    return EVP_EncryptInit_ex(k->prf, ctr, NULL, keys + half, NULL) == 1;
}

/* |block| through AES under KB. */
static bool et_aes(struct cgo_state *s, enum et_direction dir, uint8_t block[16])
{
    struct portable_keys *k = keys_of(s);
    int len = 0;
    if (k->et_dir != dir) {
        const EVP_CIPHER *ecb = s->key_len == 32 ? EVP_aes_256_ecb() : EVP_aes_128_ecb();
        if (EVP_CIPHER_CTX_get0_cipher(k->et) != NULL) {
            ecb = NULL;
        }
        if (EVP_CipherInit_ex(k->et, ecb, NULL, k->kb, NULL, dir == DIR_ENC) != 1 ||
            EVP_CIPHER_CTX_set_padding(k->et, 0) != 1) {
            return false;
        }
        k->et_dir = dir;
    }
    return EVP_CipherUpdate(k->et, block, &len, block, 16) == 1 && len == 16;
}

static void xor16(uint8_t *dst, const uint8_t *src)
{
    for (size_t i = 0; i < 16; i++) {
        dst[i] ^= src[i];
    }
}

static bool et(struct cgo_state *s, enum et_direction dir, uint8_t cmd, uint8_t *body)
{
    struct portable_keys *k = keys_of(s);
    uint8_t mask[POLYVAL_LEN], first[16];
    const uint8_t *rest = body + CGO_TAG_LEN;

    first[0] = cmd;
    memcpy(first + 1, rest, 15);
    polyval_add(&k->ku, (struct slice){s->t_prime, CGO_TAG_LEN});
    polyval_add(&k->ku, (struct slice){first, sizeof(first)});
    polyval_add(&k->ku, (struct slice){rest + 15, (size_t)s->rest_len - 15});
    polyval_take(&k->ku, mask);

    xor16(body, mask);
    bool ok = et_aes(s, dir, body);
    xor16(body, mask);
    wipe(mask, sizeof(mask));
    wipe(first, sizeof(first));
    return ok;
}

/* Xors |len| bytes of stream |skip| blocks behind the counter of |x| onto |dst|. */
static bool prf_xor(struct cgo_state *s, const uint8_t x[16], uint8_t skip, uint8_t *dst,
                    size_t len)
{
    struct portable_keys *k = keys_of(s);
    uint8_t c[POLYVAL_LEN];
    int out_len = 0;
    polyval_add(&k->b, (struct slice){x, 16});
    polyval_take(&k->b, c);
    c[15] = (uint8_t)((c[15] & s->counter_keep) + skip);
    bool ok = EVP_EncryptInit_ex(k->prf, NULL, NULL, NULL, c) == 1 &&
              EVP_EncryptUpdate(k->prf, dst, &out_len, dst, (int)len) == 1 && out_len == (int)len;
    wipe(c, sizeof(c));
    return ok;
}

static void die(struct cgo_state *s, uint8_t *out, size_t len)
{
    s->dead = true;
    wipe(out, len);
}

static void enc(struct cgo_state *s, uint8_t cmd, uint8_t *body)
{
    if (!et(s, DIR_ENC, cmd, body) || !prf_xor(s, body, 0, body + CGO_TAG_LEN, s->rest_len)) {
        die(s, body, (size_t)s->rest_len + CGO_TAG_LEN);
    }
}

static void dec(struct cgo_state *s, uint8_t cmd, uint8_t *body)
{
    if (!prf_xor(s, body, 0, body + CGO_TAG_LEN, s->rest_len) || !et(s, DIR_DEC, cmd, body)) {
        die(s, body, (size_t)s->rest_len + CGO_TAG_LEN);
    }
}

static void update_stream(struct cgo_state *s, uint8_t *out)
{
    size_t len = 2 * ((size_t)s->key_len + 16) + CGO_TAG_LEN;
    memset(out, 0, len);
    if (!prf_xor(s, s->n, s->rest_blocks, out, len)) {
        die(s, out, len);
    }
}

static void release(struct cgo_state *s)
{
    EVP_CIPHER_CTX_free(keys_of(s)->et);
    EVP_CIPHER_CTX_free(keys_of(s)->prf);
}

const struct cgo_impl cgo_impl_portable = {
    .name = "portable",
    .usable = usable,
    .set_keys = set_keys,
    .enc = enc,
    .dec = dec,
    .update_stream = update_stream,
    .release = release,
};
