/*
 * pbuf.h - nanopb over memory that is borrowed, not copied.
 *
 * Callbacks of fields with type bytes record where in the input the value lies.  Inside wire only.
 */
#ifndef QUDAG_SRC_WIRE_PBUF_H
#define QUDAG_SRC_WIRE_PBUF_H

#include "base/types.h"

#include <pb_decode.h>
#include <pb_encode.h>

/* What remains to be read; substreams share it. */
struct pbuf {
    const uint8_t *p;
};

pb_istream_t pbuf_istream(struct pbuf *src, struct slice in);

/* All of the substream a field callback was given; false when the field is no length-delimited one. */
bool pbuf_borrow(pb_istream_t *stream, struct slice *out);

/* Field callback; *arg is a struct slice.  The last occurrence of the field wins. */
bool pbuf_decode_slice(pb_istream_t *stream, const pb_field_t *field, void **arg);

/* Field callback; *arg is a struct slice, left out when it is empty. */
bool pbuf_encode_slice(pb_ostream_t *stream, const pb_field_t *field, void *const *arg);

/* Writes one occurrence of |field|. */
bool pbuf_put(pb_ostream_t *stream, const pb_field_t *field, struct slice s);

/* The whole of |msg| behind its length, at most |cap| bytes.  QUDAG_ETOOBIG. */
QUDAG_MUST_USE qudag_err pbuf_encode(uint8_t *dst, size_t cap, size_t *len,
                                     const pb_msgdesc_t *fields, const void *msg);

#endif
