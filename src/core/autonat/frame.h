/* frame.h - messages after their lengths, out of the pieces in which a stream brings them. */
#ifndef QUDAG_SRC_CORE_AUTONAT_FRAME_H
#define QUDAG_SRC_CORE_AUTONAT_FRAME_H

#include "base/types.h"

enum autonat_frame_result { AUTONAT_FRAME_MORE, AUTONAT_FRAME_DONE, AUTONAT_FRAME_BAD };

/* |buf| has room for the longest message, |max| bytes; the rest begins as zeros. */
struct autonat_frame {
    uint8_t *buf;
    uint16_t max, want, got;
    uint8_t shift; /* bits of the length read so far */
    bool sized;    /* the length is known */
};

/*
 * Takes bytes off the front of |in|, up to the end of a message.  DONE: |msg| is it, valid until the next call, which
 * begins another.  BAD: longer than |max|.
 */
enum autonat_frame_result autonat_frame_take(struct autonat_frame *f, struct slice *in,
                                             struct slice *msg);

#endif
