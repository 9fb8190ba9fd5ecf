/*
 * relay_links.h - byte streams through relays as a transport: the carrier of upgraded links (upgrade.h) that are
 * relayed, without knowing how a relay is asked.
 *
 *   host                                                here                   upgrade.h
 *   relay_links_next_action(): CONNECT, OUTPUT, CLOSE,  ◀─ carried ◀─ dial(), upgrade_next_work()
 *   ABORT, GIVE_UP
 *   relay_links_connected(), _failed(), _accepted(),    ─▶ carried ─▶ upgrade_begin(), _receive(), _lost()
 *   _received(), _room(), _ended(); relay_links_output()
 *
 * A dial is known to the host by its |id|, and by the host's own word for the byte stream as soon as there is one;
 * either is void once the host was told to end it or has told that it is gone.  Such links are LINK_RELAYED, and
 * LINK_LIMITED where the relay said so; what is inside is as over TCP, so the relay sees ciphertext.
 */
#ifndef QUDAG_SRC_UPGRADE_RELAY_LINKS_H
#define QUDAG_SRC_UPGRADE_RELAY_LINKS_H

#include "upgrade/carrier.h"

#define RELAY_LINKS_LINGER (5 * NS_PER_S) /* what is still to be sent has so long at the end */

enum relay_links_type {
    RELAY_LINKS_CONNECT, /* through the relay at |relay|, which names it, to |peer|; _connected() or _failed() then */
    RELAY_LINKS_GIVE_UP, /* what was to be connected as |id| */
    RELAY_LINKS_OUTPUT, /* |stream|: relay_links_output() has something, once the host has room for it */
    RELAY_LINKS_CLOSE, /* |stream|, in good order: all of relay_links_output() was taken */
    RELAY_LINKS_ABORT, /* |stream|, at once */
};

struct relay_links_action {
    enum relay_links_type type;
    uint64_t id, stream;
    struct multiaddr relay;
    struct peer_id peer;
};

/* A byte stream that is there. */
struct relay_links_stream {
    uint64_t stream;        /* the host's word for it; not 0 */
    bool limited;           /* the relay ends it after some time or bytes */
    struct multiaddr relay; /* where the relay is and who; of an accepted one, else not looked at */
    uint64_t net;           /* likewise: the relay's network, as in link_info */
};

struct relay_links_stats {
    struct upgrade_stats upgrade;
    uint64_t dials, dials_failed, accepted, refused;
    uint32_t streams;
};

struct relay_links;
/* Dials ADDRESS/p2p/RELAY/p2p-circuit; owner: struct relay_links *. */
extern const struct transport relay_links_transport;

/* Freed by relay_links_free(), which tells no peer and no host.  QUDAG_ENOMEM. */
QUDAG_MUST_USE qudag_err relay_links_new(struct relay_links **out, const struct upgrade_config *cfg,
                                         tstamp now);
void relay_links_free(struct relay_links *r); /* NULL allowed */
/* As upgrade_set_identity(). */
void relay_links_set_identity(struct relay_links *r, const struct identity *identity);
/* As upgrade_set_times(). */
void relay_links_set_times(struct relay_links *r, uint64_t handshake_ns, uint64_t keepalive_ns);

/* The next thing for the host to do; false: nothing.  Until false after every input, tick or write. */
bool relay_links_next_action(struct relay_links *r, struct relay_links_action *out, tstamp now);

/*
 * The first bytes of what is to be connected with |id|, at most |cap|: for the host to send when it connects.  Later
 * ones come by relay_links_output().
 */
size_t relay_links_first(struct relay_links *r, uint64_t id, uint8_t *dst, size_t cap, tstamp now);

/* What the host tells.  For names that are void these do nothing; _connected() is false then: the host ends it. */
bool relay_links_connected(struct relay_links *r, uint64_t id, const struct relay_links_stream *s);
/* It does not come about. */
void relay_links_failed(struct relay_links *r, uint64_t id, qudag_err err, tstamp now);
/* A peer has come through a relay.  QUDAG_ELIMIT, QUDAG_ENOMEM: the host ends it, and says nothing more of it. */
QUDAG_MUST_USE qudag_err relay_links_accepted(struct relay_links *r,
                                              const struct relay_links_stream *s, tstamp now);
/* Bytes that came, all taken. */
void relay_links_received(struct relay_links *r, uint64_t stream, struct slice in, tstamp now);
/* There is room for output again. */
void relay_links_room(struct relay_links *r, uint64_t stream);
/* It has ended: QUDAG_OK in good order, QUDAG_ELIMIT: the relay's limit. */
void relay_links_ended(struct relay_links *r, uint64_t stream, qudag_err err, tstamp now);
/* Fills |dst| with what is to be sent next; 0: nothing for now. */
size_t relay_links_output(struct relay_links *r, uint64_t stream, uint8_t *dst, size_t cap,
                          tstamp now);

/* As quic_next_event(). */
bool relay_links_next_event(struct relay_links *r, struct link_ev *ev);
/* When relay_links_tick() is due; TSTAMP_NEVER for no timer. */
tstamp relay_links_deadline(const struct relay_links *r);
/* Timers that are due; actions and events may follow. */
void relay_links_tick(struct relay_links *r, tstamp now);
/* All links end in good order, and none begins any more; actions follow. */
void relay_links_shutdown(struct relay_links *r, tstamp now);
/* Copies the counters. */
void relay_links_stats_get(const struct relay_links *r, struct relay_links_stats *out);

#endif
