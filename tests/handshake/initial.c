/* initial.c - see initial.h.  RFC 9000 17.2.2, 19; RFC 9001 5. */
#include "handshake/initial.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

struct keys {
    uint8_t key[16], iv[12], hp[16];
};

static void expand(uint8_t *dst, size_t len, const uint8_t secret[32], const char *label)
{
    uint8_t info[64], block[32];
    size_t n = strlen(label);
    unsigned got = sizeof block;

    info[0] = 0;
    info[1] = (uint8_t)len;
    info[2] = (uint8_t)(6 + n);
    memcpy(info + 3, "tls13 ", 6);
    memcpy(info + 9, label, n);
    info[9 + n] = 0;
    info[10 + n] = 1;
    (void)HMAC(EVP_sha256(), secret, 32, info, 11 + n, block, &got);
    memcpy(dst, block, len);
}

static void derive(struct keys *k, const uint8_t *id, size_t id_len, bool from_server)
{
    static const uint8_t salt[20] = {0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17,
                                     0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a};
    uint8_t common[32], secret[32];
    unsigned got = sizeof common;

    (void)HMAC(EVP_sha256(), salt, sizeof salt, id, id_len, common, &got);
    expand(secret, sizeof secret, common, from_server ? "server in" : "client in");
    expand(k->key, sizeof k->key, secret, "quic key");
    expand(k->iv, sizeof k->iv, secret, "quic iv");
    expand(k->hp, sizeof k->hp, secret, "quic hp");
}

struct box {
    const struct keys *k;
    uint64_t number;
    const uint8_t *head;
    size_t head_len;
    bool seal; /* the tag goes behind |dst|; otherwise it lies behind |src| */
};

static bool gcm(const struct box *b, uint8_t *dst, const uint8_t *src, size_t len)
{
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    uint8_t nonce[12], tag[16];
    int n = 0;
    bool ok;

    memcpy(nonce, b->k->iv, sizeof nonce);
    for (size_t i = 0; i < 8; i++) {
        nonce[4 + i] ^= (uint8_t)(b->number >> (56 - 8 * i));
    }
    ok = EVP_CipherInit_ex(c, EVP_aes_128_gcm(), NULL, b->k->key, nonce, b->seal ? 1 : 0) == 1 &&
         EVP_CipherUpdate(c, NULL, &n, b->head, (int)b->head_len) == 1 &&
         EVP_CipherUpdate(c, dst, &n, src, (int)len) == 1;
    if (ok && !b->seal) {
        memcpy(tag, src + len, sizeof tag);
        ok = EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, sizeof tag, tag) == 1;
    }
    ok = ok && EVP_CipherFinal_ex(c, dst + len, &n) == 1;
    if (ok && b->seal) {
        ok = EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, 16, dst + len) == 1;
    }
    EVP_CIPHER_CTX_free(c);
    return ok;
}

static void mask_of(uint8_t mask[16], const struct keys *k, const uint8_t sample[16])
{
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    int n = 0;

    (void)EVP_EncryptInit_ex(c, EVP_aes_128_ecb(), NULL, k->hp, NULL);
    (void)EVP_CIPHER_CTX_set_padding(c, 0);
    (void)EVP_EncryptUpdate(c, mask, &n, sample, 16);
    EVP_CIPHER_CTX_free(c);
}

static bool varint(const uint8_t *p, size_t len, size_t *at, uint64_t *v)
{
    size_t n = *at < len ? (size_t)1 << (p[*at] >> 6) : 0;

    if (n == 0 || n > len - *at) {
        return false;
    }
    *v = p[*at] & 0x3f;
    for (size_t i = 1; i < n; i++) {
        *v = *v << 8 | p[*at + i];
    }
    *at += n;
    return true;
}

/* A length byte and that many bytes, at most 20. */
static bool id_at(const uint8_t *p, size_t len, size_t *at, uint8_t *id, size_t *id_len)
{
    if (*at >= len || p[*at] > 20 || p[*at] > len - *at - 1) {
        return false;
    }
    *id_len = p[*at];
    memcpy(id, p + *at + 1, *id_len);
    *at += 1 + *id_len;
    return true;
}

bool initial_open(struct initial *out, const uint8_t *data, size_t len, const uint8_t *key_id,
                  size_t key_id_len, bool from_server)
{
    static uint8_t head[2048];
    uint8_t mask[16];
    struct keys k;
    size_t at = 5, pn_len;
    uint64_t token_len, rest;

    memset(out, 0, sizeof *out);
    if (len < 64 || len > sizeof head || (data[0] & 0xf0) != 0xc0 ||
        !id_at(data, len, &at, out->dcid, &out->dcid_len) ||
        !id_at(data, len, &at, out->scid, &out->scid_len) || !varint(data, len, &at, &token_len) ||
        token_len > sizeof out->token || token_len > len - at) {
        return false;
    }
    memcpy(out->token, data + at, token_len);
    out->token_len = token_len;
    at += token_len;
    if (!varint(data, len, &at, &rest) || rest > len - at || rest < 21) {
        return false;
    }
    derive(&k, key_id, key_id_len, from_server);
    mask_of(mask, &k, data + at + 4);
    memcpy(head, data, at + 4);
    head[0] ^= mask[0] & 0x0f;
    pn_len = (size_t)(head[0] & 3) + 1;
    for (size_t i = 0; i < pn_len; i++) {
        head[at + i] ^= mask[1 + i];
        out->number = out->number << 8 | head[at + i];
    }
    out->body_len = rest - pn_len - 16;
    out->wire_len = at + rest;
    const struct box b = {&k, out->number, head, at + pn_len, false};
    return gcm(&b, out->body, data + at + pn_len, out->body_len);
}

size_t initial_seal(uint8_t *dst, size_t cap, const struct initial *p, const uint8_t *key_id,
                    size_t key_id_len)
{
    size_t rest = 4 + p->body_len + 16, at = 0;
    uint8_t mask[16];
    struct keys k;

    if (cap < 64 + p->dcid_len + p->scid_len + p->token_len + rest) {
        return 0;
    }
    memcpy(dst, "\xc3\0\0\0\1", 5);
    at = 5;
    dst[at++] = (uint8_t)p->dcid_len;
    memcpy(dst + at, p->dcid, p->dcid_len);
    at += p->dcid_len;
    dst[at++] = (uint8_t)p->scid_len;
    memcpy(dst + at, p->scid, p->scid_len);
    at += p->scid_len;
    dst[at++] = (uint8_t)(0x40 | p->token_len >> 8);
    dst[at++] = (uint8_t)p->token_len;
    memcpy(dst + at, p->token, p->token_len);
    at += p->token_len;
    dst[at++] = (uint8_t)(0x40 | rest >> 8);
    dst[at++] = (uint8_t)rest;
    for (int i = 3; i >= 0; i--) {
        dst[at++] = (uint8_t)(p->number >> (8 * i));
    }
    derive(&k, key_id, key_id_len, false);
    const struct box b = {&k, p->number, dst, at, true};
    if (!gcm(&b, dst + at, p->body, p->body_len)) {
        return 0;
    }
    mask_of(mask, &k, dst + at);
    dst[0] ^= mask[0] & 0x0f;
    for (size_t i = 0; i < 4; i++) {
        dst[at - 4 + i] ^= mask[1 + i];
    }
    return at + p->body_len + 16;
}

bool initial_crypto(const struct initial *p, size_t *at, size_t *data, size_t *data_len,
                    uint64_t *offset)
{
    while (*at < p->body_len) {
        uint8_t type = p->body[(*at)++];
        uint64_t v[4] = {0}, n;

        if (type == 0 || type == 1) {
            continue; /* padding, ping */
        }
        if (type == 2 || type == 3) { /* acknowledgement */
            for (size_t i = 0; i < 4; i++) {
                if (!varint(p->body, p->body_len, at, &v[i])) {
                    return false;
                }
            }
            for (uint64_t i = 0; i < 2 * v[2] + (type == 3 ? 3 : 0); i++) {
                if (!varint(p->body, p->body_len, at, &n)) {
                    return false;
                }
            }
            continue;
        }
        if (type != 6 || !varint(p->body, p->body_len, at, offset) ||
            !varint(p->body, p->body_len, at, &n) || n > p->body_len - *at) {
            return false;
        }
        *data = *at;
        *data_len = n;
        *at += n;
        return true;
    }
    return false;
}
