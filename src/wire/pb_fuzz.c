/*
 * pb_fuzz.c - any bytes: fields lie within the input, and an accepted message written again is accepted, no
 * longer, and the same field by field.
 */
#include "base/assert.h"
#include "wire/pb.h"

#include <string.h>

#define CAP 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Fixed-width fields have no writer of their own: libp2p has none. */
static void write_again(struct wr *w, const struct pb_field *f)
{
    if (f->type == PB_VARINT) {
        pb_put_varint(w, f->number, f->value);
    } else {
        pb_put_bytes(w, f->number, f->bytes);
    }
}

static bool same(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.base, b.base, a.len) == 0);
}

static bool all_read(struct rd *r, struct wr *w, struct slice in, bool *fixed)
{
    struct pb_field f;

    while (pb_next(r, &f)) {
        ASSERT(f.number >= 1 && f.number <= PB_NUMBER_MAX);
        ASSERT(f.bytes.len == 0 || f.bytes.base >= in.base);
        ASSERT(f.bytes.len == 0 || f.bytes.base + f.bytes.len <= in.base + in.len);
        *fixed = *fixed || f.type == PB_FIXED32 || f.type == PB_FIXED64;
        write_again(w, &f);
    }
    return rd_ok(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t out[2 * CAP];
    struct slice in = {data, size < CAP ? size : CAP};
    struct rd r = rd_init(in);
    struct wr w = wr_init(out, sizeof(out));
    struct pb_field f, g;
    bool fixed = false;

    if (!all_read(&r, &w, in, &fixed)) {
        return 0;
    }
    struct slice again = wr_done(&w);
    ASSERT(wr_ok(&w));
    ASSERT(fixed || again.len <= in.len);
    struct rd a = rd_init(in), b = rd_init(again);
    while (pb_next(&a, &f)) {
        ASSERT(pb_next(&b, &g));
        ASSERT(f.number == g.number && f.value == g.value && same(f.bytes, g.bytes));
    }
    ASSERT(rd_done(&a) && rd_done(&b));
    return 0;
}
