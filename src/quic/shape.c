/* shape.c - see shape.h. */
#include "quic/shape.h"

#include <ngtcp2/ngtcp2.h>

static bool has_short_header(uint8_t first)
{
    return (first & 0x80) == 0;
}

size_t quic_shape_more(uint8_t first, size_t len)
{
    return has_short_header(first) && len < SHAPE_ACK ? SHAPE_ACK - len : 0;
}

size_t quic_shape_len(const uint8_t *p, size_t len)
{
    size_t at = 0;

    while (at < len && !has_short_header(p[at])) {
        ngtcp2_pkt_hd hd;
        ngtcp2_ssize n = ngtcp2_pkt_decode_hd_long(&hd, p + at, len - at);

        if (n <= 0 || hd.len > len - at - (size_t)n) {
            return len;
        }
        at += (size_t)n + hd.len;
    }
    if (at == len) {
        return len;
    }
    size_t whole = len + quic_shape_more(p[at], len - at);
    return whole <= SHAPE_FULL || at == 0 ? whole : at;
}

uint64_t quic_shape_take(uint64_t off, uint64_t left, uint64_t from, uint16_t unit)
{
    uint64_t most = left;

    if (unit != 0) {
        most = off < from ? from - off : unit - (off - from) % unit;
    }
    return most < left ? most : left;
}
