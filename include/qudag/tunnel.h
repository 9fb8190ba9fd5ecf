/* tunnel.h - streams to the virtual ports of dark services (spec/tunnel.md, expose.h). */
#ifndef QUDAG_TUNNEL_H
#define QUDAG_TUNNEL_H

#include <qudag/dark.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Opens a stream to |port| of the service at |addr|; |o| as in qudag_dark_open_with(), NULL allowed.  It is the
 * program's like any other: stream_opened follows once the service's target has taken the connection, and what is
 * written before is on its way already.  Ends of its own, in stream_closed: QUDAG_EUNSUPPORTED (no service there, or
 * no such port), QUDAG_EREFUSED (the target refused), QUDAG_EUNREACHABLE (it cannot be reached; or the service),
 * QUDAG_ELIMIT (too many connections, or callers).  At once: as qudag_dark_open_with(), and QUDAG_EINVAL for port 0.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_tunnel_open(qudag_node *n, const char *addr, uint16_t port,
                                                     const qudag_dark_options *o,
                                                     qudag_stream *out);
#ifdef __cplusplus
}
#endif
#endif
