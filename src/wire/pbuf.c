/* pbuf.c - nanopb over memory that is borrowed, not copied. */
#include "wire/pbuf.h"

#include <string.h>

/* nanopb has checked |count| against the bytes left in |stream|. */
static bool pbuf_read(pb_istream_t *stream, pb_byte_t *buf, size_t count)
{
    struct pbuf *src = stream->state;

    if (count > 0) {
        memcpy(buf, src->p, count);
        src->p += count;
    }
    return true;
}

pb_istream_t pbuf_istream(struct pbuf *src, struct slice in)
{
    pb_istream_t s = PB_ISTREAM_EMPTY;

    src->p = in.base;
    s.callback = pbuf_read;
    s.state = src;
    s.bytes_left = in.len;
    return s;
}

bool pbuf_borrow(pb_istream_t *stream, struct slice *out)
{
    /* For a field sent with a scalar wire type nanopb makes a stream of its own over a copy. */
    if (stream->callback != pbuf_read) {
        return false;
    }
    struct pbuf *src = stream->state;
    *out = (struct slice){src->p, stream->bytes_left};
    src->p += stream->bytes_left;
    stream->bytes_left = 0;
    return true;
}

bool pbuf_decode_slice(pb_istream_t *stream, const pb_field_t *field, void **arg)
{
    (void)field;
    return pbuf_borrow(stream, *arg);
}

bool pbuf_put(pb_ostream_t *stream, const pb_field_t *field, struct slice s)
{
    return pb_encode_tag_for_field(stream, field) && pb_encode_string(stream, s.base, s.len);
}

bool pbuf_encode_slice(pb_ostream_t *stream, const pb_field_t *field, void *const *arg)
{
    const struct slice *s = *arg;

    return s->len == 0 || pbuf_put(stream, field, *s);
}

qudag_err pbuf_encode(uint8_t *dst, size_t cap, size_t *len, const pb_msgdesc_t *fields,
                      const void *msg)
{
    pb_ostream_t s = pb_ostream_from_buffer(dst, cap);

    if (!pb_encode_ex(&s, fields, msg, PB_ENCODE_DELIMITED)) {
        return QUDAG_ETOOBIG;
    }
    *len = s.bytes_written;
    return QUDAG_OK;
}
