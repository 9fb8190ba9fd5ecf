/* rec_fuzz.c - what parses, written again field by field, is the same bytes. */
#include "rec.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct rec r;
    struct rec_view v;
    size_t frame = rec_frame_len(data, size);
    if (frame != 0 && frame != SIZE_MAX && frame > size) {
        abort();
    }
    if (!rec_parse(&v, data, size)) {
        return 0;
    }
    rec_begin(&r, (enum rec_type)v.type);
    struct rec_field f;
    for (size_t it = 0; rec_next(&v, &it, &f);) {
        switch (f.kind) {
        case REC_STR:
            rec_str(&r, f.name, f.text);
            break;
        case REC_INT:
            rec_int(&r, f.name, f.num);
            break;
        case REC_BOOL:
            rec_bool(&r, f.name, f.num != 0);
            break;
        case REC_BYTES:
            rec_bytes(&r, f.name, f.bytes, f.len);
            break;
        }
    }
    if (rec_frame(&r) != size + REC_FRAME_HEAD || memcmp(r.buf + REC_FRAME_HEAD, data, size) != 0) {
        abort();
    }
    return 0;
}
