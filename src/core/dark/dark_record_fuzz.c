/*
 * dark_record_fuzz.c - records: raw bytes as storers and clients get them, and bodies behind the
 * encryption, where a fuzzer would not get by itself.
 */
#include "core/dark/dark_impl.h"

#include "base/assert.h"
#include "crypto/init.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW INT64_C(1800000000)

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
    size_t len = dark_body_write(again, sizeof again, b.pq_pk.base, &t);
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
    ASSERT(dark_record_open(&t, &a, in, NOW) != QUDAG_OK);
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
    buf[0] = data[0] % 4;
    size_t n = size - 1 < DARK_TARGET_MAX ? size - 1 : DARK_TARGET_MAX;
    buf[DARK_TARGET_AT - 2] = (uint8_t)(n >> 8);
    buf[DARK_TARGET_AT - 1] = (uint8_t)n;
    memcpy(buf + DARK_TARGET_AT, data + 1, n);
    body((struct slice){buf, DARK_PLAIN_LEN});
    return 0;
}
