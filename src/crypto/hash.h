/* hash.h - SHA-2, HMAC, HKDF (RFC 5869) and BLAKE3; HMAC-SHA-1 for STUN as others speak it. */
#ifndef QUDAG_SRC_CRYPTO_HASH_H
#define QUDAG_SRC_CRYPTO_HASH_H

#include "base/types.h"

#define SHA256_LEN 32
#define SHA512_LEN 64
#define BLAKE3_LEN 32

/* SHA-256 (FIPS 180-4) of |data|; like all hashes here it cannot fail. */
void sha256(uint8_t out[SHA256_LEN], struct slice data);

/* The same of |a| with |b| behind it. */
void sha256_two(uint8_t out[SHA256_LEN], struct slice a, struct slice b);

/* SHA-512 (FIPS 180-4). */
void sha512(uint8_t out[SHA512_LEN], struct slice data);

/* HMAC-SHA-256 (RFC 2104); a key over 64 bytes is hashed first. */
void hmac_sha256(uint8_t out[SHA256_LEN], struct slice key, struct slice data);

/* The same of |a| with |b| behind it. */
void hmac_sha256_two(uint8_t out[SHA256_LEN], struct slice key, struct slice a, struct slice b);

#define SHA1_LEN 20
/* HMAC-SHA-1 (RFC 2104) of |a| with |b| behind it: for RFC 8489 14.5, and nothing of ours. */
void hmac_sha1_two(uint8_t out[SHA1_LEN], struct slice key, struct slice a, struct slice b);

/* HKDF-Extract (RFC 5869 2.2); an empty |salt| stands for 32 zero bytes. */
void hkdf_sha256_extract(uint8_t prk[SHA256_LEN], struct slice salt, struct slice ikm);

/* |out_len| at most 8160 bytes. */
void hkdf_sha256_expand(uint8_t *out, size_t out_len, const uint8_t prk[SHA256_LEN],
                        struct slice info);

/* BLAKE3 without a key, 32 bytes. */
void blake3(uint8_t out[BLAKE3_LEN], struct slice data);

/* BLAKE3 derive_key mode: |context| is a fixed string that names the use; any output length. */
void blake3_derive(uint8_t *out, size_t out_len, const char *context, struct slice material);

/* Incremental BLAKE3 (large files). */
struct blake3_ctx {
    _Alignas(16) uint8_t opaque[1920];
};

/* Starts the hash of an empty message.  The context holds message data: wipe() it where that is secret. */
void blake3_init(struct blake3_ctx *c);

/* Appends |data| to the message. */
void blake3_update(struct blake3_ctx *c, struct slice data);

/* The hash of what was appended so far; more may be appended afterwards. */
void blake3_final(const struct blake3_ctx *c, uint8_t out[BLAKE3_LEN]);

/* Incremental SHA-256 transcript: absorbs u32-length-prefixed parts, so parts cannot run together. */
struct transcript {
    _Alignas(16) uint8_t opaque[128];
};

/* Starts a transcript whose first part is the text |label|. */
void transcript_init(struct transcript *t, const char *label);

/* Absorbs one part of at most 2^32 - 1 bytes behind its length. */
void transcript_add(struct transcript *t, struct slice part);

void transcript_hash(const struct transcript *t, uint8_t out[SHA256_LEN]); /* may go on adding */

#endif
