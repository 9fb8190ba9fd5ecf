/* identify_msg_fuzz.c - an accepted message is encoded, decoded again and compared. */
#include "base/assert.h"
#include "base/rd.h"
#include "wire/identify_msg.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct identify_msg m, back;
    static uint8_t out[2 * IDENTIFY_IN_MAX];
    size_t len = 0;

    memset(&m, 0, sizeof(m));
    memset(&back, 0, sizeof(back));
    /* The first byte says where the rest is cut into two messages. */
    size_t cut = size == 0 ? 0 : (size - 1) * data[0] / 256;
    struct slice rest = size == 0 ? (struct slice){data, 0} : (struct slice){data + 1, size - 1};
    (void)!identify_msg_merge(&m, (struct slice){rest.base, cut});
    (void)!identify_msg_merge(&m, slice_rest(rest, cut));
    ASSERT(identify_msg_encode(out, sizeof(out), &len, &m) == QUDAG_OK);
    struct rd r = rd_init((struct slice){out, len});
    struct slice body = rd_lp(&r, sizeof(out));
    ASSERT(rd_done(&r));
    ASSERT(identify_msg_merge(&back, body) == QUDAG_OK);
    if (m.has_peer && m.key_len == 0) { /* a key too long to keep cannot be said again */
        back.has_peer = true;
        back.peer = m.peer;
    }
    ASSERT(m.has_addrs || m.n_addrs == 0);
    ASSERT(m.has_protos || m.n_protos == 0);
    back.has_addrs = m.has_addrs; /* a list of which nothing could be used is not said again */
    back.has_protos = m.has_protos;
    ASSERT(memcmp(&m, &back, sizeof(m)) == 0);
    return 0;
}
