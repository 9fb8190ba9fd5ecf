/*
 * rd_fuzz.c - the reader driven by the input: each first byte chooses what is read next, and what
 * was read is written again and must be the same bytes.
 */
#include "base/assert.h"
#include "base/rd.h"
#include "base/wr.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void copy_one(struct rd *r, struct wr *w, uint8_t kind)
{
    uint8_t buf[16];

    switch (kind % 8) {
    case 0:
        wr_u8(w, rd_u8(r));
        break;
    case 1:
        wr_u16(w, rd_u16(r));
        break;
    case 2:
        wr_u32(w, rd_u32(r));
        break;
    case 3:
        wr_u64(w, rd_u64(r));
        break;
    case 4:
        wr_uvarint(w, rd_uvarint(r));
        break;
    case 5:
        wr_lp(w, rd_lp(r, 1000));
        break;
    case 6:
        wr_lp16(w, rd_lp16(r, 1000));
        break;
    default:
        rd_copy(r, buf, kind % 16);
        wr_bytes(w, buf, kind % 16);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t out[4096];
    struct slice in = {data, size < sizeof out ? size : sizeof out};
    struct rd r = rd_init(in);
    struct wr w = wr_init(out, sizeof out);

    while (rd_ok(&r) && r.left > 0) {
        size_t before = in.len - r.left;
        uint8_t kind = rd_u8(&r);
        wr_u8(&w, kind);
        copy_one(&r, &w, kind);
        if (rd_ok(&r)) {
            ASSERT(wr_ok(&w));
            ASSERT(w.len == in.len - r.left);
            ASSERT(memcmp(out + before, data + before, w.len - before) == 0);
        }
    }
    return 0;
}
