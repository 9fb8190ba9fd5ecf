/*
 * quic.h - QUIC v1 (RFC 9000) by ngtcp2, wrapped as a transport without sockets or clocks.
 *
 * Of the last 512 servers it dialled an endpoint remembers the NEW_TOKEN token and the ML-DSA key,
 * at most 2,400 bytes each, 1.2 MB in all; the next dial to one completes a round trip sooner.
 *
 * Datagrams go in with quic_recv(), come out with quic_send(); what happened is pulled with
 * quic_next_event().  No function calls back.
 */
#ifndef QUDAG_SRC_QUIC_QUIC_H
#define QUDAG_SRC_QUIC_QUIC_H

#include "core/resources/resources.h"
#include "core/transport.h"
#include "sec/sec.h"

struct quic_config {
    struct mem *mem;
    struct rng rng;
    struct logger log;
    struct sec *sec;
    enum pq_policy pq;
    uint32_t conns_max; /* established and half-open together; default 1024 */
    /*
     * Accounts of handshakes that others begin and of bytes; must outlive the endpoint.  NULL: it has its own, with the
     * three limits below.
     */
    struct resources *accounts;
    uint32_t half_open_max; /* inbound handshakes of proven addresses not finished; default 96 */
    uint32_t retry_above;   /* those of unproven ones, above which Retry is demanded; default 32 */
    uint32_t per_ip_half_open;     /* of either from one host; default 16 */
    uint32_t streams_bidi_max;     /* peer-opened streams a link, of all protocols; default 2048 */
    uint64_t stream_window;        /* bytes; default 256 KiB */
    uint64_t conn_window;          /* bytes; default 4 MiB */
    uint64_t stream_queue_max;     /* send queue of a stream, hard limit; default 4 MiB */
    uint64_t idle_timeout_ns;      /* default 300 s */
    uint64_t handshake_timeout_ns; /* default 10 s */
    uint64_t keepalive_ns; /* default 25 s with jitter; 5 s when the peer's idle timeout is short */
    uint8_t reset_key[32]; /* static secret for stateless resets and tokens, derived by the node */
    uint8_t shard;         /* number of this endpoint, hidden in its connection ids */
    bool bbr;              /* congestion control BBR instead of CUBIC */
};

struct quic_dgram {
    struct netaddr local, remote;
    uint8_t ecn; /* 0..3 */
    bool closed; /* its socket is not listened on for this sender: it begins no connection */
    struct slice data;
};

/* A batch for one path: |len| bytes to be cut into |segment| byte datagrams (UDP_SEGMENT). */
struct quic_tx {
    struct netaddr local, remote; /* local.family 0: any */
    uint8_t ecn;
    uint16_t segment;
    uint8_t *buf; /* caller's, at least QUIC_TX_MAX bytes */
    size_t len;
};
#define QUIC_TX_MAX 65507

struct quic_stats {
    uint64_t dgrams_in, dgrams_out, bytes_in, bytes_out;
    uint64_t dropped_empty, dropped_short, dropped_version, dropped_unknown, dropped_full;
    uint64_t dropped_flood; /* Initials beyond what is answered */
    uint64_t dropped_work;  /* for a link or from a network that owes too much work */
    uint64_t links_put_out; /* ended because of that */
    uint64_t dropped_moved; /* for a link, but from another host than its peer's */
    uint64_t retries_sent, resets_sent, tokens_bad, tokens_used, version_negotiations;
    uint64_t handshakes_ok_in, handshakes_ok_out, handshakes_failed, handshakes_timeout;
    uint64_t auth_failed, policy_refused, pin_refused;
    uint64_t key_updates; /* traffic keys replaced because of their age, at our demand */
    /* spec/link.md 1.3: inbound links whose client offered early data, dialled ones whose server sent a ticket */
    uint64_t early_refused, tickets_refused;
    uint32_t conns, half_open, half_open_max;
};

struct quic;
extern const struct link_ops quic_link_ops; /* owner: struct quic * */
/* Dials /ip4|ip6/.../udp/PORT/quic-v1; owner: struct quic *, whose time is that of the last call. */
extern const struct transport quic_transport;

/*
 * An endpoint with the settings of |cfg| (copied; what its pointers lead to must outlive the endpoint), free it
 * with quic_free().  QUDAG_ENOMEM, QUDAG_EINTERNAL when the crypto library fails.
 */
QUDAG_MUST_USE qudag_err quic_new(struct quic **out, const struct quic_config *cfg, tstamp now);

/* Frees it and all links (NULL allowed) without a packet or event; quic_shutdown() first tells the peers. */
void quic_free(struct quic *q);

/* One datagram from the socket (GRO batches are cut by the caller).  Never fails: bad ones count. */
void quic_recv(struct quic *q, const struct quic_dgram *d, tstamp now);

/*
 * Events since the last call, in order.  Data in them lives until the next quic_recv, quic_tick or
 * quic_send; between, any other call is allowed.
 *
 * LINK_DOWN comes once for every link that was dialled or announced by LINK_UP, whoever ended it;
 * after the owner's close() it is the only event.  No LINK_RESET follows the owner's own reset().
 * Inbound handshakes that fail are counted and logged, and are no events.
 */
bool quic_next_event(struct quic *q, struct link_ev *ev);

/*
 * Fills |tx| with what is due; false when nothing is.  Call until false after every batch of input,
 * tick or write.  |now| must never go back.
 */
bool quic_send(struct quic *q, tstamp now, struct quic_tx *tx);

/* Timers that are due: call when quic_deadline() has come.  Follow with quic_send() and quic_next_event(). */
void quic_tick(struct quic *q, tstamp now);

/* When quic_tick() is due next, TSTAMP_NEVER for no timer.  Every other call but the getters may change it. */
tstamp quic_deadline(const struct quic *q);

/*
 * The network says that nobody listens at |remote| (ICMP port or host unreachable, as the host's kernel
 * matched it to our datagrams); |quote| is the beginning of the datagram, as the message has it.  Ends the dial
 * there that sent it and that nothing has answered, as LINK_DOWN with QUDAG_EUNREACHABLE.  The destination
 * connection id must be that of the dial, which nobody off the path knows: addresses and ports are no secret.
 * For links it is a hint only, since whoever is on the path can forge it (RFC 9000 21.1): the peer is probed,
 * and the link ends when nothing comes within 2 s.
 */
void quic_unreachable(struct quic *q, const struct netaddr *remote, struct slice quote, tstamp now);

/*
 * This host cannot send to |remote|: it has no socket of that family, or no route.  Ends dials there that
 * nothing has answered, as LINK_DOWN with QUDAG_EUNREACHABLE.  Links are left alone: a network that is
 * away for a while comes back.
 */
void quic_no_route(struct quic *q, const struct netaddr *remote, tstamp now);

/*
 * Probes whether the peer of |link| lives (PING); the link ends with QUDAG_ETIMEOUT when no datagram
 * comes within 2 s.  A peer that was killed and started again cannot end its former inbound links by
 * stateless resets: a client's first connection id has no reset token (RFC 9000 10.3), and that is the id
 * these links send to.
 */
void quic_probe(struct quic *q, struct ref link, tstamp now);

/* Pads |link| against records of flows from now on, see transport.h; one that is gone, or not up, stays as it is. */
void quic_pad(struct quic *q, struct ref link, const struct transport_padding *how, tstamp now);

/* What a dial may insist on. */
struct quic_dial {
    struct netaddr remote;
    struct netaddr local;       /* family 0: any */
    const struct peer_id *peer; /* NULL: whoever answers */
    const uint8_t *pq_hash;     /* 32 bytes the ML-DSA key must hash to, or NULL */
    bool lax;                   /* it may be another one (transport.h) */
    uint8_t need;               /* LINK_PQ_KEX, LINK_PQ_AUTH: also under prefer no link without */
};

/*
 * Starts a dial.  The result comes as LINK_UP or LINK_DOWN for |*out| (err: TIMEOUT, AUTH, POLICY, REFUSED, PROTO,
 * ...).  At once: QUDAG_EINVAL without address or port, QUDAG_ELIMIT at conns_max, QUDAG_ENOMEM.
 */
QUDAG_MUST_USE qudag_err quic_dial(struct quic *q, const struct quic_dial *d, tstamp now,
                                   struct ref *out);

/* What is known of |link| now, also before LINK_UP.  QUDAG_ESTALE for a link that is gone. */
QUDAG_MUST_USE qudag_err quic_info(const struct quic *q, struct ref link, struct link_info *out);

/*
 * Other times from now on: for handshakes that begin, for links that are made, and for the next keepalive of each; a 0
 * leaves one as it is.
 */
void quic_set_times(struct quic *q, uint64_t handshake_ns, uint64_t idle_ns, uint64_t keepalive_ns);

/* Whether a link, or what becomes one, or is ending, has the socket |local| (by IP version and port). */
bool quic_uses(const struct quic *q, const struct netaddr *local);

/*
 * For how long links of |family| (4 or 6) say nothing where this host is behind a NAT; 0: as configured.  Only those
 * that carry neither cells nor padding: these all nodes keep alive alike.
 */
void quic_set_plain_keepalive(struct quic *q, uint8_t family, uint64_t ns);
/* The machine slept, or its network is another: each of these links is asked at once whether it lives (LINK_QUIET). */
void quic_ask_all(struct quic *q, tstamp now);
/* Of these links the one that has said nothing for the longest time is asked, if there is one. */
void quic_ask_oldest(struct quic *q, tstamp now);

/* What networks and hosts owe for handshakes: other transports charge the same accounts. */
struct load *quic_load(struct quic *q);

/* Closes every link with application error 0; the CONNECTION_CLOSE packets come out of quic_send. */
void quic_shutdown(struct quic *q, tstamp now);

/*
 * Forgets what is queued or unacknowledged on all streams, so that nobody's bytes are held any more.  Nothing may be
 * sent afterwards: quic_free() is to follow.
 */
void quic_let_go(struct quic *q);

/* Copies the counters, which count from quic_new() on; conns and half_open are those of now. */
void quic_stats_get(const struct quic *q, struct quic_stats *out);

#endif
