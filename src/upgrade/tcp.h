/*
 * tcp.h - TCP connections as a transport: the carrier of upgraded links (upgrade.h), without sockets or clocks.
 *
 *   host                                             here                    upgrade.h
 *   tcp_next_action(): CONNECT, OUTPUT, CLOSE, ABORT ◀─ conns ◀─ dial(), upgrade_next_work()
 *   tcp_connected(), tcp_failed(), tcp_accepted(),   ─▶ conns ─▶ upgrade_begin(), _receive(), _lost()
 *   tcp_received(), tcp_ended(), tcp_output()
 *
 * A connection has one name at both sides, which is void once the host was told to close it or has told that it is
 * gone.  Connections that others open are taken as Initials are that have proven their address (spec/link.md 1.8): as
 * long as their network and host owe little for handshakes, and by the accounts of those under way.  Those refused cost
 * a few hundred bytes for a moment.  Nothing calls back.
 */
#ifndef QUDAG_SRC_UPGRADE_TCP_H
#define QUDAG_SRC_UPGRADE_TCP_H

#include "upgrade/upgrade.h"

#define TCP_LINGER (5 * NS_PER_S) /* what is still to be sent has so long when a link has ended */

enum tcp_action_type {
    TCP_DO_CONNECT, /* to |remote|; tcp_connected() or tcp_failed() follows */
    TCP_DO_OUTPUT,  /* tcp_output() has something, once the host has room for it */
    TCP_DO_CLOSE,   /* in good order: all of tcp_output() was taken */
    TCP_DO_ABORT,   /* at once */
};

struct tcp_action {
    enum tcp_action_type type;
    uint64_t id;
    struct netaddr remote;
};

struct tcp_stats {
    struct upgrade_stats upgrade;
    uint64_t dials, dials_failed; /* the connection did not come about */
    uint64_t accepted, refused;
    uint32_t conns;
};

struct tcp;
/* Dials /ip4|ip6/.../tcp/PORT; owner: struct tcp *. */
extern const struct transport tcp_transport;

/* Freed by tcp_free(), which tells no peer and no host.  QUDAG_ENOMEM. */
QUDAG_MUST_USE qudag_err tcp_new(struct tcp **out, const struct upgrade_config *cfg, tstamp now);
void tcp_free(struct tcp *t); /* NULL allowed */

/* The next thing for the host to do; false: nothing.  Until false after every input, tick or write. */
bool tcp_next_action(struct tcp *t, struct tcp_action *out, tstamp now);

/* What the host tells.  For names that are void these do nothing. */
/* The connection stands; |local| is our end of it. */
void tcp_connected(struct tcp *t, uint64_t id, const struct netaddr *local);
/*
 * It does not come about: QUDAG_EUNREACHABLE (nobody listens there, or no way leads there), QUDAG_ETIMEOUT,
 * QUDAG_ELIMIT (no descriptor left).
 */
void tcp_failed(struct tcp *t, uint64_t id, qudag_err err, tstamp now);
/*
 * Somebody at |remote| has connected to |local|.  QUDAG_ELIMIT, QUDAG_ENOMEM: the host ends the connection at once, and
 * says nothing more of it.
 */
QUDAG_MUST_USE qudag_err tcp_accepted(struct tcp *t, const struct netaddr *local,
                                      const struct netaddr *remote, tstamp now, uint64_t *id);
/* Bytes that came, all taken. */
void tcp_received(struct tcp *t, uint64_t id, struct slice in, tstamp now);
/* The connection has ended and the host closed it: QUDAG_OK (the peer ended it in good order), ERESET, ETIMEOUT. */
void tcp_ended(struct tcp *t, uint64_t id, qudag_err err, tstamp now);
/* Fills |dst| with what is to be sent next; 0: nothing for now. */
size_t tcp_output(struct tcp *t, uint64_t id, uint8_t *dst, size_t cap, tstamp now);

/* As quic_next_event(). */
bool tcp_next_event(struct tcp *t, struct link_ev *ev);
/* When tcp_tick() is due; TSTAMP_NEVER for no timer. */
tstamp tcp_deadline(const struct tcp *t);
/* Timers that are due; actions and events may follow. */
void tcp_tick(struct tcp *t, tstamp now);
/* As upgrade_set_identity(). */
void tcp_set_identity(struct tcp *t, const struct identity *identity);
/* As upgrade_set_times(). */
void tcp_set_times(struct tcp *t, uint64_t handshake_ns, uint64_t keepalive_ns);
/* All links end in good order, and none begins any more; actions follow. */
void tcp_shutdown(struct tcp *t, tstamp now);

/* Copies the counters, which count from tcp_new() on; conns, links and half_open are those of now. */
void tcp_stats_get(const struct tcp *t, struct tcp_stats *out);

#endif
