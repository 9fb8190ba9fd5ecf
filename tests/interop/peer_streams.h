/*
 * peer_streams.h - the stream protocols of the interoperability test, both sides.
 *
 *   /interop/echo/1.0.0     what comes is sent back, and the end after it
 *   /interop/sink/1.0.0     to the end; then 8 bytes, how many came, big endian, and their SHA-256
 *   /interop/count/1.0.0    likewise without the hash: for the benchmark
 *   /interop/source/1.0.0   8 bytes ask for so many, which come, and their SHA-256
 *   /interop/half/1.0.0     after the first byte the server says "bye" and ends its direction; then the client sends
 *   /interop/refuse/1.0.0   the server resets the stream after the first byte
 *
 * One command of the client's side runs at a time.
 */
#ifndef QUDAG_TESTS_INTEROP_PEER_STREAMS_H
#define QUDAG_TESTS_INTEROP_PEER_STREAMS_H

#include <qudag/qudag.h>

/* The callbacks of streams. */
void streams_callbacks(qudag_callbacks *cb);
/* Serves all of them. */
qudag_err streams_serve(qudag_node *n);

/*
 * What |verb| does with |id|: streams N, send BYTES, pour BYTES, fetch BYTES, half, refuse, reset, open; use.
 * QUDAG_EUNSUPPORTED: none of these.  Otherwise it is over when streams_busy() is false.
 */
qudag_err streams_command(qudag_node *n, const char *verb, const qudag_peer_id *id,
                          uint64_t number);
bool streams_busy(void);
/* How it ended; |text| (128 bytes) gets its answer. */
qudag_err streams_result(char *text);
/* It is given up. */
void streams_give_up(qudag_node *n);

uint64_t streams_resets(void); /* echo streams that the peer reset */
uint64_t streams_seen(void);   /* bytes that came on the last stream of "half" */

#endif
