/* rend_msg_fuzz.c - bytes of a stream: what is read as a request is written again and is the same. */
#include "base/assert.h"
#include "wire/rend_msg.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t binding[REND_BINDING_LEN];

static bool write_again(struct wr *w, enum rend_request which, struct slice in)
{
    struct rend_establish e;
    struct rend_introduce1 i1;
    struct rend_meet meet;
    const uint8_t *cookie;
    uint16_t rate, burst;

    if (which == REND_ESTABLISH && rend_establish_get(&e, in) == QUDAG_OK) {
        qudag_err err = rend_establish_check(&e, binding);
        ASSERT(err == QUDAG_OK || err == QUDAG_EAUTH);
        rend_establish_limits(&e, &rate, &burst);
        ASSERT(rate > 0 && rate <= REND_RATE_MAX && burst > 0 && burst <= REND_BURST_MAX);
        rend_establish_put(w, &e);
    } else if (which == REND_INTRODUCE1 && rend_introduce1_get(&i1, in) == QUDAG_OK) {
        rend_introduce1_put(w, &i1);
    } else if (which == REND_WAIT && rend_wait_get(&cookie, in) == QUDAG_OK) {
        rend_wait_put(w, cookie);
    } else if (which == REND_MEET && rend_meet_get(&meet, in) == QUDAG_OK) {
        rend_meet_put(w, &meet);
    } else {
        return false;
    }
    return true;
}

static void try_one(enum rend_request which, struct slice in)
{
    static uint8_t out[REND_REQUEST_MAX];
    struct wr w = wr_init(out, sizeof out);

    bool read = write_again(&w, which, in);
    ASSERT(read == (which != REND_NO_REQUEST && in.len == rend_request_len(which)));
    ASSERT(!read || (wr_ok(&w) && w.len == in.len && memcmp(out, in.base, in.len) == 0));
}

/* The input as it is, and stretched to what its first byte announces: few inputs have that length by chance. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t full[REND_REQUEST_MAX];

    if (size == 0) {
        return 0;
    }
    enum rend_request which[] = {rend_introduce_request(data[0]), rend_meet_request(data[0])};
    for (size_t i = 0; i < ARRAY_LEN(which); i++) {
        size_t len = rend_request_len(which[i]);
        try_one(which[i], (struct slice){data, size});
        for (size_t at = 0; at < len; at++) {
            full[at] = data[at % size];
        }
        try_one(which[i], (struct slice){full, len});
    }
    return 0;
}
