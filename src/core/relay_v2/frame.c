/* frame.c - one message of circuit relay v2 out of a stream. */
#include "core/relay_v2/frame.h"

/* What the bytes so far say of the whole: its length, the length of that.  QUDAG_EAGAIN: nothing yet. */
static qudag_err head(struct slice s, size_t *head_len, size_t *len)
{
    if (s.len == 0 || (s.len == 1 && s.base[0] >= 0x80)) {
        return QUDAG_EAGAIN;
    }
    *head_len = s.base[0] < 0x80 ? 1 : 2;
    *len = s.base[0] & 0x7fu;
    if (*head_len == 2) {
        *len |= (size_t)s.base[1] << 7;
        if (s.base[1] == 0) {
            return QUDAG_EMALFORMED;
        }
    }
    return *len > CIRCUIT_MSG_MAX ? QUDAG_ETOOBIG : QUDAG_OK;
}

static qudag_err move(struct dyn *d, struct slice *in, size_t n)
{
    n = n < in->len ? n : in->len;
    if (n == 0) {
        return QUDAG_EAGAIN;
    }
    qudag_err err = dyn_append(d, in->base, n);
    if (err == QUDAG_OK) {
        in->base += n;
        in->len -= n;
    }
    return err;
}

qudag_err relayed_frame_take(struct dyn *d, struct slice *in, struct slice *body)
{
    for (;;) {
        size_t head_len, len;
        size_t want = 1;
        qudag_err err = head(dyn_slice(d), &head_len, &len);
        if (err == QUDAG_OK && d->len >= head_len + len) {
            *body = (struct slice){d->p + head_len, len};
            return QUDAG_OK;
        }
        if (err == QUDAG_OK) {
            want = head_len + len - d->len;
        } else if (err != QUDAG_EAGAIN) {
            return err;
        }
        if ((err = move(d, in, want)) != QUDAG_OK) {
            return err;
        }
    }
}
