/*
 * dial.h - streams to services at dark addresses, through the proxy of the daemon (SOCKS5: RFC 1928, RFC 1929).
 *
 *   dial_where ─▶ 127.0.0.1:9350 ─▶ the caller connects to it ─▶ dial_ask ─▶ bytes of the service
 */
#ifndef QUDAG_BIN_DIAL_H
#define QUDAG_BIN_DIAL_H

#include "tool.h"

#include <qudag/proxy.h>

#define DIAL_KEY_MAX 64 /* bytes of the name of an isolation key */

/* Where the proxy of the daemon listens, as "127.0.0.1:9350" or "[::1]:9350".  False: |out| says why there is none. */
bool dial_where(struct tool *t, char listen[QUDAG_PROXY_LISTEN_TEXT_MAX], struct outcome *out);

/* A stream socket that is connected to it; -1: |out| says why not. */
int dial_connect(const char *listen, struct outcome *out);

/*
 * Asks the proxy at the other end of |fd|, which blocks, for |port| of |host|: a dark address, or a petname as
 * blog.dark, of 1 to 255 bytes.  |key|, 1 to DIAL_KEY_MAX bytes, keeps the circuit apart from those of other keys;
 * NULL: none.  True: what follows comes from the service, and goes to it.  False: |out| says what the proxy said.
 */
bool dial_ask(int fd, const char *host, uint16_t port, const char *key, struct outcome *out);

#endif
