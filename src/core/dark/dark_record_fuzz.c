/*
 * dark_record_fuzz.c - records: raw bytes as storers and clients get them, and bodies behind the
 * encryption, where a fuzzer would not get by itself.
 */
#include "core/dark/dark_impl.h"

#include "base/assert.h"
#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/init.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW INT64_C(1800000000)

/* What a client finds inside a locked target, the input laid over it in the open and sealed with a known key. */
static void locked(struct slice in)
{
    static uint8_t buf[DARK_LOCKED_LEN], inner[2 + DARK_HIDDEN_MAX];
    static const uint8_t nonce[AEAD_NONCE_LEN], salt[32];
    uint8_t secret[DARK_CLIENT_SECRET_LEN] = {1}, m[DARK_CLIENT_SECRET_LEN + 32] = {1};
    struct dark_target t;

    (void)!dark_unlock(&t, in, secret);
    memset(buf, 0, sizeof buf);
    memset(inner, 0, sizeof inner);
    size_t n = in.len < sizeof inner ? in.len : sizeof inner;
    memcpy(inner, in.base, n);
    blake3_derive(buf + 32, AEAD_KEY_LEN, "qudag dark client v1", (struct slice){m, sizeof m});
    uint8_t key[AEAD_KEY_LEN] = {0}; /* so the first entry is the mask itself */
    if (aead_seal(buf + 32 + 32 * DARK_CLIENTS_MAX, key, nonce, (struct slice){salt, sizeof salt},
                  (struct slice){inner, sizeof inner}) != QUDAG_OK) {
        return;
    }
    qudag_err err = dark_unlock(&t, (struct slice){buf, sizeof buf}, secret);
    ASSERT(err != QUDAG_ENEEDAUTH);
    ASSERT(err != QUDAG_OK || (t.kind == DARK_HIDDEN && dark_target_sound(&t)));
}

/* A body that was accepted is written again to the same bytes. */
static void body(struct slice in)
{
    static uint8_t again[DARK_PLAIN_LEN];
    struct dark_target t;
    struct dark_body b;

    if (dark_body_read(&b, &t, in) != QUDAG_OK) {
        return;
    }
    ASSERT(dark_target_sound(&t));
    size_t len = dark_body_write(again, sizeof again, b.pq_pk.base, &t, NULL);
    ASSERT(len == b.signed_part.len);
    ASSERT(memcmp(again, b.signed_part.base, len) == 0);
}

static void raw(struct slice in)
{
    struct dark_addr a = {.network = DARK_NET_LAB, .ed_pk = {1}};
    uint8_t key[DARK_KEY_LEN] = "/qudag/dark/";
    struct dark_head h;
    struct dark_target t;
    walltime expires;
    uint64_t seq;

    if (dark_head_read(&h, in) == QUDAG_OK) {
        ASSERT(in.len == DARK_RECORD_LEN);
        ASSERT(h.expires > h.not_before);
    }
    (void)!dark_record_check((struct slice){key, sizeof key}, in, NOW, &seq, &expires);
    ASSERT(dark_record_open(&t, &a, NULL, in, NOW) != QUDAG_OK);
}

/* The input laid over a record or body of the right size, so that lengths need not be found. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t buf[DARK_RECORD_LEN];

    if (crypto_init() != QUDAG_OK) {
        return 0;
    }
    raw((struct slice){data, size});
    body((struct slice){data, size});
    locked((struct slice){data, size});
    if (size == 0 || size > sizeof buf) {
        return 0;
    }
    memset(buf, 0, sizeof buf);
    memcpy(buf, data, size);
    raw((struct slice){buf, sizeof buf});
    memcpy(buf, "QDDR\1\0\0", 8);
    raw((struct slice){buf, sizeof buf});
    /* kind and target from the input, the key between them left out */
    memset(buf, 0, sizeof buf);
    buf[0] = data[0] % 5;
    size_t n = size - 1 < DARK_TARGET_MAX ? size - 1 : DARK_TARGET_MAX;
    buf[DARK_TARGET_AT - 2] = (uint8_t)(n >> 8);
    buf[DARK_TARGET_AT - 1] = (uint8_t)n;
    memcpy(buf + DARK_TARGET_AT, data + 1, n);
    body((struct slice){buf, DARK_PLAIN_LEN});
    return 0;
}
