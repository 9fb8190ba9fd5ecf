/*
 * text_fuzz.c - the text decoders: what is accepted must be what the encoder writes (for hex, but
 * for the case of letters).
 */
#include "base/assert.h"
#include "base/text.h"

#include <string.h>

#define CAP 300

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void round_trip(qudag_err (*decode)(uint8_t *, size_t, size_t *, struct slice),
                       size_t (*encode)(char *, size_t, struct slice), struct slice in)
{
    uint8_t bytes[CAP];
    char text[2 * CAP + 1];
    size_t len = 0;

    if (decode(bytes, sizeof bytes, &len, in) != QUDAG_OK) {
        ASSERT(len == 0);
        return;
    }
    ASSERT(len <= sizeof bytes);
    size_t n = encode(text, sizeof text, (struct slice){bytes, len});
    ASSERT(n == in.len);
    for (size_t i = 0; i < n; i++) {
        bool upper = encode == hex_encode && in.base[i] >= 'A' && in.base[i] <= 'F';
        ASSERT((uint8_t)text[i] == (upper ? in.base[i] + ('a' - 'A') : in.base[i]));
    }
}

static void other_way(qudag_err (*decode)(uint8_t *, size_t, size_t *, struct slice),
                      size_t (*encode)(char *, size_t, struct slice), struct slice in)
{
    uint8_t bytes[CAP];
    char text[2 * CAP + 1];
    size_t len = 0, n = encode(text, sizeof text, in);

    if (n == 0) {
        return;
    }
    if (decode(bytes, sizeof bytes, &len, (struct slice){(const uint8_t *)text, n}) == QUDAG_OK) {
        ASSERT(len == in.len);
        ASSERT(memcmp(bytes, in.base, len) == 0);
    } else {
        ASSERT(encode == base58_encode); /* only its limit on text may stand in the way */
        ASSERT(n > 256);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = {data, size < CAP ? size : CAP};

    round_trip(hex_decode, hex_encode, in);
    round_trip(base32_decode, base32_encode, in);
    round_trip(base58_decode, base58_encode, in);
    other_way(hex_decode, hex_encode, in);
    other_way(base32_decode, base32_encode, in);
    other_way(base58_decode, base58_encode, in);
    return 0;
}
