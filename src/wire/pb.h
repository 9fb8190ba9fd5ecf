/*
 * pb.h - protobuf messages, field by field: one reader, one writer (doc/decisions/0010).
 *
 * The reader is a struct rd: its error is sticky, nothing is copied, no memory is taken.  A message inside
 * a message is a field of bytes that the caller reads in turn, so nesting is as deep as the caller goes.
 *
 *   struct rd r = rd_init(in);
 *   struct pb_field f;
 *   while (pb_next(&r, &f)) {
 *       switch (f.number) {
 *       case 1: kind = pb_varint(&r, &f); break;
 *       case 2: key = pb_bytes(&r, &f); break;     of one given several times the last counts
 *       }                                          others: skipped
 *   }
 *   if (!rd_ok(&r)) { malformed }
 */
#ifndef QUDAG_SRC_WIRE_PB_H
#define QUDAG_SRC_WIRE_PB_H

#include "base/rd.h"
#include "base/wr.h"

#define PB_NUMBER_MAX ((UINT32_C(1) << 29) - 1) /* field numbers are 1 to this */
#define PB_VARINT_MAX 10                        /* bytes */

enum pb_type { PB_VARINT = 0, PB_FIXED64 = 1, PB_BYTES = 2, PB_FIXED32 = 5 };

struct pb_field {
    uint32_t number;
    enum pb_type type;
    uint64_t value;     /* of a varint, else 0 */
    struct slice bytes; /* of the other types; borrowed from the input */
};

/*
 * The next field of the message.  False at its end, or with r->err set: a field number of 0 or above the
 * limit, a group or an unknown wire type, a varint of more than 64 bits or ten bytes, a length beyond the
 * end.  Varints longer than need be are accepted, as protobuf demands.
 */
bool pb_next(struct rd *r, struct pb_field *f);

/* What a field holds that must have this wire type; in any other r->err is set and the result is empty. */
static inline uint64_t pb_varint(struct rd *r, const struct pb_field *f)
{
    r->err |= f->type != PB_VARINT;
    return f->value;
}

static inline struct slice pb_bytes(struct rd *r, const struct pb_field *f)
{
    if (f->type != PB_BYTES) {
        r->err = true;
        return (struct slice){NULL, 0};
    }
    return f->bytes;
}

/* Bytes that a varint takes, and a length-delimited field of |len| bytes. */
static inline size_t pb_varint_len(uint64_t v)
{
    size_t n = 1;

    while (v >= 0x80) {
        v >>= 7;
        n++;
    }
    return n;
}

static inline size_t pb_bytes_len(uint32_t number, size_t len)
{
    return pb_varint_len((uint64_t)number << 3) + pb_varint_len(len) + len;
}

/* Writers; |number| is a constant of ours. */
void pb_put_varint(struct wr *w, uint32_t number, uint64_t v);
void pb_put_head(struct wr *w, uint32_t number, size_t len); /* |len| bytes are to follow */

/* A length-delimited field: bytes, a string, or a message inside the message. */
void pb_put_bytes(struct wr *w, uint32_t number, struct slice s);

void pb_put_bytes_if_any(struct wr *w, uint32_t number, struct slice s); /* empty: nothing */

/* Puts the length of all that |w| holds before it, as a varint. */
void pb_delimit(struct wr *w);

#endif
