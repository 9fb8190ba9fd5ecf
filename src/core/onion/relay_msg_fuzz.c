/* relay_msg_fuzz.c - messages of a cell, EXTEND and fragments: what is accepted is written back the same. */
#include "base/assert.h"
#include "core/onion/relay_msg.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void messages(struct slice in)
{
    uint8_t back[ONION_RELAY_PAYLOAD];
    struct wr w = wr_init(back, sizeof back);
    struct rd r = rd_init(in);
    struct onion_relay_msg msg;
    int more;

    while ((more = onion_relay_msg_next(&r, &msg)) > 0) {
        ASSERT(onion_relay_type_is_stream(msg.type) == (msg.stream != 0));
        onion_relay_msg_put(&w, msg.type, msg.stream, msg.data);
    }
    if (more == 0) {
        wr_zero(&w, in.len - w.len);
        ASSERT(wr_ok(&w));
        ASSERT(memcmp(back, in.base, in.len) == 0);
    }
}

static void extend(struct slice in)
{
    uint8_t back[ONION_EXTEND_LEN];
    struct wr w = wr_init(back, sizeof back);
    struct onion_extend e;

    if (in.len <= sizeof back && onion_extend_get(in, &e) == QUDAG_OK) {
        onion_extend_put(&w, &e);
        ASSERT(wr_ok(&w));
        ASSERT(w.len == in.len);
        ASSERT(memcmp(back, in.base, in.len) == 0);
    }
}

/* The input as fragments: length, bytes; nothing is ever put together beyond its total. */
static void fragments(struct slice in, bool clear)
{
    struct rd r = rd_init(in);
    struct onion_assembly a;
    struct mem mem;
    bool done = false;

    mem_init(&mem, NULL, 0);
    onion_assembly_init(&a, &mem);
    while (rd_ok(&r) && r.left > 0 && !done) {
        struct slice frag = rd_bytes(&r, rd_u16(&r));
        if (onion_assembly_add(&a, frag, ONION_EXTEND_LEN, clear, &done) != QUDAG_OK) {
            break;
        }
        ASSERT(a.have <= a.total);
        ASSERT(a.total <= ONION_EXTEND_LEN);
        ASSERT(done == (a.have == a.total));
    }
    onion_assembly_fini(&a);
    ASSERT(mem.used == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice all = {data, size};

    if (size > 0 && size <= ONION_RELAY_PAYLOAD) {
        messages(all);
    }
    if (size > 0) {
        extend(all);
        fragments(all, false);
        fragments(all, true);
    }
    return 0;
}
