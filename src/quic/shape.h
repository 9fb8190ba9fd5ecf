/*
 * shape.h - what sizes packets have on the wire (spec/link.md 5).
 *
 * Once the handshake is over a datagram has one of two sizes, whatever is in it:
 *
 *   SHAPE_FULL   all that must be acknowledged: cells, requests, answers, credit, PING, probes
 *   SHAPE_ACK    acknowledgements alone, and CONNECTION_CLOSE
 *
 * and one that carries bytes of a stream with units (cells) ends where a unit does.  ngtcp2 pads the former size
 * (NGTCP2_WRITE_STREAM_FLAG_PADDING).  For the latter it offers nothing, but it leaves sealing to a callback, and
 * a packet with a short header has no length field: the callback seals zero bytes, which are PADDING frames
 * (RFC 9000 19.1), behind the payload, and whoever asked for the packet knows by the same rule how many.
 */
#ifndef QUDAG_SRC_QUIC_SHAPE_H
#define QUDAG_SRC_QUIC_SHAPE_H

#include "base/types.h"

#define SHAPE_FULL 1200 /* bytes of UDP payload that every path carries (RFC 9000 14) */
#define SHAPE_ACK 128 /* room for an acknowledgement with all its ranges, but for very long gaps */

/* The largest stream unit that fits a packet beside the headers: 9 and 4, 1 and 8 and 8 and 2, 16 bytes. */
#define SHAPE_UNIT_MAX (SHAPE_FULL - 48)

/*
 * Bytes of padding to seal behind the payload of a packet with the first byte |first| that would have |len| bytes
 * sealed.
 */
size_t quic_shape_more(uint8_t first, size_t len);

/*
 * Bytes that the datagram at |p| really has, of which ngtcp2 says that it has |len|: more if its last packet was
 * padded by quic_shape_more().  There must be SHAPE_ACK bytes of room behind.  A padded packet behind others that
 * would take the datagram over SHAPE_FULL is cut off again: a loss like any other.
 */
size_t quic_shape_len(const uint8_t *p, size_t len);

/*
 * Of a stream whose bytes from |from| on come in units of |unit| bytes, and of which |off| bytes are packetized and
 * |left| wait: how many may go into the next packet.  Before |from| and without units all that waits.
 */
uint64_t quic_shape_take(uint64_t off, uint64_t left, uint64_t from, uint16_t unit);

#endif
