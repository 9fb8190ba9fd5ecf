/* stream.h - streams of bytes to peers, and over circuits. */
#ifndef QUDAG_STREAM_H
#define QUDAG_STREAM_H

#include <qudag/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* From now on streams of |proto| ("/name/1.0.0", at most 95 bytes) reach stream_in. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_protocol_serve(qudag_node *n, const char *proto);

/* Opens a stream to |to|, dialling if needed.  It may be written at once; stream_opened or
 * stream_closed follows. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_stream_open(qudag_node *n, const qudag_peer_id *to,
                                                     const char *proto, qudag_stream *out);

/* Queues what fits of |data|: *taken bytes (0 allowed: wait for stream_writable).  Copied. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_stream_write(qudag_node *n, qudag_stream s,
                                                      qudag_slice data, size_t *taken);
/* |len| bytes of what stream_data gave have been dealt with: the peer may send as many more. */
QUDAG_API void qudag_stream_consume(qudag_node *n, qudag_stream s, size_t len);
QUDAG_API void qudag_stream_fin(qudag_node *n, qudag_stream s);   /* no more from us */
QUDAG_API void qudag_stream_reset(qudag_node *n, qudag_stream s); /* gone; no callback follows */

#ifdef __cplusplus
}
#endif
#endif
