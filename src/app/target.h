/* target.h - where a virtual port of a service leads: a socket of this machine, mostly. */
#ifndef QUDAG_SRC_APP_TARGET_H
#define QUDAG_SRC_APP_TARGET_H

#include "base/netaddr.h"

#define TARGET_PATH_MAX 107 /* bytes of a socket's path, without NUL (sockaddr_un) */
#define TARGET_TEXT_MAX 128 /* a target as text, with NUL */
#define TARGET_PORTS_MAX 16 /* virtual ports of a service */
#define TARGET_SPEC_MAX 140 /* a virtual port with its target as text, with NUL */
#define TARGET_WHY_LEN 256

struct target {
    struct netaddr net;             /* family 0: |path| */
    char path[TARGET_PATH_MAX + 1]; /* of a Unix socket, absolute */
};

/* A virtual port and where it leads. */
struct target_port {
    uint16_t port;
    struct target to;
};

/*
 * Reads "tcp:ADDRESS:PORT" (the tcp: may be left out; an IPv6 address in brackets; "localhost" is 127.0.0.1; a bare
 * PORT is of 127.0.0.1) or "unix:/PATH".  Names are not looked up: a service would ask the DNS who it is.
 * QUDAG_EINVAL, and a sentence of at most TARGET_WHY_LEN bytes in |why|.
 */
QUDAG_MUST_USE qudag_err target_parse(struct target *out, const char *text, char *why);
/* Reads "VIRTUAL[:TARGET]"; without TARGET that port of 127.0.0.1.  Errors as above. */
QUDAG_MUST_USE qudag_err target_port_parse(struct target_port *out, const char *text, char *why);
/* As target_parse() reads it; the length, 0: |cap| is too small. */
size_t target_text(char *out, size_t cap, const struct target *t);
/* As target_port_parse() reads it, likewise. */
size_t target_port_text(char *out, size_t cap, const struct target_port *p);
/*
 * Whether what goes to |t| stays on this machine.  Else the service's relay sits in front of a network: callers reach
 * what only this machine should, in clear, and whoever watches that network sees when the service is used.
 */
bool target_is_local(const struct target *t);

#endif
