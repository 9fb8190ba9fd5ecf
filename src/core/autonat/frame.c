/* frame.c - messages after their lengths. */
#include "core/autonat/frame.h"

#include <string.h>

/* One byte of the length; false: it is too long. */
static bool length(struct autonat_frame *f, uint8_t b)
{
    uint32_t v = f->want | (uint32_t)(b & 0x7fu) << f->shift;

    if (v > f->max || f->shift > 14) {
        return false;
    }
    f->want = (uint16_t)v;
    f->shift = (uint8_t)(f->shift + 7);
    f->sized = b < 0x80;
    return true;
}

enum autonat_frame_result autonat_frame_take(struct autonat_frame *f, struct slice *in,
                                             struct slice *msg)
{
    while (!f->sized) {
        if (in->len == 0) {
            return AUTONAT_FRAME_MORE;
        }
        uint8_t b = *in->base;
        *in = slice_rest(*in, 1);
        if (!length(f, b)) {
            return AUTONAT_FRAME_BAD;
        }
    }
    size_t rest = (size_t)(f->want - f->got), n = in->len < rest ? in->len : rest;
    if (n > 0) {
        memcpy(f->buf + f->got, in->base, n);
        *in = slice_rest(*in, n);
        f->got = (uint16_t)(f->got + n);
    }
    if (f->got < f->want) {
        return AUTONAT_FRAME_MORE;
    }
    *msg = (struct slice){f->buf, f->want};
    f->want = f->got = 0;
    f->shift = 0;
    f->sized = false;
    return AUTONAT_FRAME_DONE;
}
