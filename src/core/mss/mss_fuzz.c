/*
 * mss_fuzz.c - hostile bytes in any split: never over-read, and the split does not matter.
 *
 * First byte: bit 0 dialer or listener, the rest the size of the pieces.
 */
#include "base/assert.h"
#include "core/mss/mss.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const protos[] = {"/ipfs/id/1.0.0", "/ipfs/ping/1.0.0", "/a"};

struct outcome {
    enum mss_result res;
    size_t used, len;
    uint32_t chosen;
    uint8_t reply[MSS_REPLY_MAX];
};

static void run(struct outcome *o, bool dialer, struct slice in, size_t step)
{
    struct mss m = {0};
    uint8_t out[MSS_DIAL_MAX], reply[MSS_REPLY_MAX];
    size_t len = 0;

    memset(o, 0, sizeof(*o));
    if (dialer) {
        ASSERT(mss_dial(&m, protos[2], out, sizeof(out), &len) == QUDAG_OK);
    } else {
        mss_listen(&m, protos, ARRAY_LEN(protos));
    }
    while (o->res == MSS_MORE && o->used < in.len) {
        size_t part = in.len - o->used < step ? in.len - o->used : step;
        size_t used = 0;
        o->res = mss_input(&m, (struct slice){in.base + o->used, part}, &used, reply, sizeof(reply),
                           &len);
        ASSERT(used <= part && (used == part || o->res != MSS_MORE));
        ASSERT(len <= sizeof(o->reply) - o->len);
        memcpy(o->reply + o->len, reply, len);
        o->len += len;
        o->used += used;
    }
    ASSERT(!dialer || o->len == 0);
    if (o->res == MSS_DONE) {
        ASSERT(o->used > 0 && in.base[o->used - 1] == '\n');
        o->chosen = (uint32_t)mss_chosen(&m);
        const char *agreed = dialer ? protos[2] : protos[mss_chosen(&m)];
        size_t n = strlen(agreed);
        ASSERT(o->used > n && memcmp(in.base + o->used - 1 - n, agreed, n) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char head[] = "\x13/multistream/1.0.0\n";
    static uint8_t buf[4096];
    struct outcome whole, pieces;

    if (size < 1 || size > sizeof(buf) - sizeof(head)) {
        return 0;
    }
    bool dialer = (data[0] & 1) != 0;
    /* With and without the header in front, which would take long to guess. */
    size_t n = (data[0] & 2) != 0 ? sizeof(head) - 1 : 0;
    memcpy(buf, head, n);
    memcpy(buf + n, data + 1, size - 1);
    struct slice in = {buf, n + size - 1};
    run(&whole, dialer, in, in.len + 1);
    run(&pieces, dialer, in, (size_t)(data[0] >> 2) + 1);
    ASSERT(memcmp(&whole, &pieces, sizeof(whole)) == 0);
    return 0;
}
