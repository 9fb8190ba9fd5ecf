/*
 * hash.c - SHA-2, HMAC, HKDF, BLAKE3 and the transcript.
 *
 * SHA-2 goes through OpenSSL's low-level functions: they run the same assembler as EVP, but need
 * neither heap nor a fetch per call and cannot fail, so hashing has no error path.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "crypto/hash.h"

#include "base/assert.h"
#include "base/wipe.h"

#include <blake3.h>
#include <openssl/sha.h>
#include <string.h>

#define SHA256_BLOCK 64

_Static_assert(sizeof(SHA256_CTX) <= sizeof(struct transcript), "transcript holds a SHA-256");
_Static_assert(sizeof(blake3_hasher) <= sizeof(struct blake3_ctx), "blake3_ctx holds a hasher");
_Static_assert(_Alignof(SHA256_CTX) <= 16 && _Alignof(blake3_hasher) <= 16, "and is aligned");

static void absorb(SHA256_CTX *c, struct slice s)
{
    if (s.len > 0) {
        SHA256_Update(c, s.base, s.len);
    }
}

void sha256_two(uint8_t out[SHA256_LEN], struct slice a, struct slice b)
{
    SHA256_CTX c;

    SHA256_Init(&c);
    absorb(&c, a);
    absorb(&c, b);
    SHA256_Final(out, &c);
    wipe(&c, sizeof c);
}

void sha256(uint8_t out[SHA256_LEN], struct slice data)
{
    sha256_two(out, data, (struct slice){NULL, 0});
}

void sha512(uint8_t out[SHA512_LEN], struct slice data)
{
    SHA512_CTX c;

    SHA512_Init(&c);
    if (data.len > 0) {
        SHA512_Update(&c, data.base, data.len);
    }
    SHA512_Final(out, &c);
    wipe(&c, sizeof c);
}

/* The two hashes of HMAC after their key block, so that one key serves many messages. */
struct hmac {
    SHA256_CTX inner, outer;
};

static void hmac_init(struct hmac *h, struct slice key)
{
    uint8_t block[SHA256_BLOCK] = {0};

    if (key.len > sizeof block) {
        sha256(block, key);
    } else if (key.len > 0) {
        memcpy(block, key.base, key.len);
    }
    for (size_t i = 0; i < sizeof block; i++) {
        block[i] ^= 0x36;
    }
    SHA256_Init(&h->inner);
    SHA256_Update(&h->inner, block, sizeof block);
    for (size_t i = 0; i < sizeof block; i++) {
        block[i] ^= 0x36 ^ 0x5c;
    }
    SHA256_Init(&h->outer);
    SHA256_Update(&h->outer, block, sizeof block);
    wipe(block, sizeof block);
}

/* Ends one message whose inner hash is |inner| (wiped). */
static void hmac_final(const struct hmac *h, SHA256_CTX *inner, uint8_t out[SHA256_LEN])
{
    SHA256_CTX outer = h->outer;

    SHA256_Final(out, inner);
    SHA256_Update(&outer, out, SHA256_LEN);
    SHA256_Final(out, &outer);
    wipe(inner, sizeof *inner);
    wipe(&outer, sizeof outer);
}

void hmac_sha256_two(uint8_t out[SHA256_LEN], struct slice key, struct slice a, struct slice b)
{
    struct hmac h;

    hmac_init(&h, key);
    SHA256_CTX inner = h.inner;
    absorb(&inner, a);
    absorb(&inner, b);
    hmac_final(&h, &inner, out);
    wipe(&h, sizeof h);
}

void hmac_sha256(uint8_t out[SHA256_LEN], struct slice key, struct slice data)
{
    hmac_sha256_two(out, key, data, (struct slice){NULL, 0});
}

static void sha1_three(uint8_t out[SHA1_LEN], struct slice a, struct slice b, struct slice c)
{
    const struct slice part[] = {a, b, c};
    SHA_CTX s;

    SHA1_Init(&s);
    for (size_t i = 0; i < 3; i++) {
        if (part[i].len > 0) {
            SHA1_Update(&s, part[i].base, part[i].len);
        }
    }
    SHA1_Final(out, &s);
    wipe(&s, sizeof s);
}

void hmac_sha1_two(uint8_t out[SHA1_LEN], struct slice key, struct slice a, struct slice b)
{
    const struct slice none = {NULL, 0};
    uint8_t block[SHA256_BLOCK] = {0}, inner[SHA1_LEN]; /* SHA-1 has blocks of the same size */

    if (key.len > sizeof block) {
        sha1_three(block, key, none, none);
    } else if (key.len > 0) {
        memcpy(block, key.base, key.len);
    }
    for (size_t i = 0; i < sizeof block; i++) {
        block[i] ^= 0x36;
    }
    sha1_three(inner, (struct slice){block, sizeof block}, a, b);
    for (size_t i = 0; i < sizeof block; i++) {
        block[i] ^= 0x36 ^ 0x5c;
    }
    sha1_three(out, (struct slice){block, sizeof block}, (struct slice){inner, sizeof inner}, none);
    wipe(block, sizeof block);
    wipe(inner, sizeof inner);
}

void hkdf_sha256_extract(uint8_t prk[SHA256_LEN], struct slice salt, struct slice ikm)
{
    hmac_sha256(prk, salt, ikm); /* an absent salt is a block of zeros: the padded empty key */
}

void hkdf_sha256_expand(uint8_t *out, size_t out_len, const uint8_t prk[SHA256_LEN],
                        struct slice info)
{
    struct hmac h;
    uint8_t t[SHA256_LEN];

    ASSERT(out_len <= 255 * sizeof t);
    hmac_init(&h, (struct slice){prk, SHA256_LEN});
    uint8_t i = 1;
    for (size_t at = 0; at < out_len; i++) {
        SHA256_CTX inner = h.inner;
        if (at > 0) {
            SHA256_Update(&inner, t, sizeof t);
        }
        absorb(&inner, info);
        SHA256_Update(&inner, &i, 1);
        hmac_final(&h, &inner, t);
        size_t n = out_len - at < sizeof t ? out_len - at : sizeof t;
        memcpy(out + at, t, n);
        at += n;
    }
    wipe(t, sizeof t);
    wipe(&h, sizeof h);
}

static blake3_hasher *hasher(struct blake3_ctx *c)
{
    return (blake3_hasher *)(void *)c->opaque;
}

static void b3_absorb(blake3_hasher *h, struct slice s)
{
    if (s.len > 0) {
        blake3_hasher_update(h, s.base, s.len);
    }
}

static void b3_end(blake3_hasher *h, uint8_t *out, size_t out_len)
{
    blake3_hasher_finalize(h, out, out_len);
    wipe(h, sizeof *h);
}

void blake3(uint8_t out[BLAKE3_LEN], struct slice data)
{
    blake3_hasher h;

    blake3_hasher_init(&h);
    b3_absorb(&h, data);
    b3_end(&h, out, BLAKE3_LEN);
}

void blake3_derive(uint8_t *out, size_t out_len, const char *context, struct slice material)
{
    blake3_hasher h;

    blake3_hasher_init_derive_key(&h, context);
    b3_absorb(&h, material);
    b3_end(&h, out, out_len);
}

void blake3_init(struct blake3_ctx *c)
{
    blake3_hasher_init(hasher(c));
}

void blake3_update(struct blake3_ctx *c, struct slice data)
{
    b3_absorb(hasher(c), data);
}

void blake3_final(const struct blake3_ctx *c, uint8_t out[BLAKE3_LEN])
{
    blake3_hasher_finalize((const blake3_hasher *)(const void *)c->opaque, out, BLAKE3_LEN);
}

static SHA256_CTX *transcript_sha(struct transcript *t)
{
    return (SHA256_CTX *)(void *)t->opaque;
}

void transcript_init(struct transcript *t, const char *label)
{
    memset(t, 0, sizeof *t);
    SHA256_Init(transcript_sha(t));
    transcript_add(t, (struct slice){(const uint8_t *)label, strlen(label)});
}

void transcript_add(struct transcript *t, struct slice part)
{
    ASSERT(part.len <= UINT32_MAX);
    uint8_t len[4] = {(uint8_t)(part.len >> 24), (uint8_t)(part.len >> 16),
                      (uint8_t)(part.len >> 8), (uint8_t)part.len};
    SHA256_Update(transcript_sha(t), len, sizeof len);
    absorb(transcript_sha(t), part);
}

void transcript_hash(const struct transcript *t, uint8_t out[SHA256_LEN])
{
    struct transcript copy = *t;

    SHA256_Final(out, transcript_sha(&copy));
    wipe(&copy, sizeof copy);
}
