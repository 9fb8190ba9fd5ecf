/*
 * tls_stream.h - TLS 1.3 over one byte stream, with the certificates and the policy of links (session.h).
 *
 *   bytes of the peer ─▶ tls_stream_receive() ─▶ plain bytes
 *   plain bytes ─▶ tls_stream_send(), tls_stream_output() ─▶ bytes for the peer
 *
 * Specs: RFC 8446; libp2p tls/tls.md; spec/link.md for the certificate between QuDAG nodes.  Passive: no
 * socket, time is a parameter.  No tickets, no early data, no renegotiation; the end is authenticated (close_notify).
 *
 * What a peer can make us hold: one record and what the handshake may have (TLS_STREAM_HANDSHAKE_MAX bytes).
 */
#ifndef QUDAG_SRC_SEC_TLS_STREAM_H
#define QUDAG_SRC_SEC_TLS_STREAM_H

#include "sec/session.h"

#define TLS_STREAM_PLAIN_MAX 16384 /* of one record */
#define TLS_STREAM_HANDSHAKE_MAX                                                                   \
    (64 * 1024) /* bytes of the peer before the handshake is complete */
#define TLS_STREAM_PROTOS_MAX 8
#define TLS_STREAM_PROTO_LEN_MAX 63 /* bytes of a name */
#define TLS_STREAM_REKEY_RECORDS                                                                   \
    (UINT64_C(1) << 20)                       /* of data, both ways, that keys are used for */
#define TLS_STREAM_REKEY_NS (3600 * NS_PER_S) /* the longest that they are; +- 10 % */

enum tls_stream_state {
    TLS_STREAM_HANDSHAKE,
    TLS_STREAM_READY,  /* both sides are authenticated, data may pass */
    TLS_STREAM_ENDED,  /* the peer has ended its direction by close_notify; we may still send */
    TLS_STREAM_FAILED, /* for good: tls_stream_why() */
};

struct tls_stream_config {
    struct mem *mem;
    struct sec *sec; /* outlives the stream */
    bool server;
    const struct sec_expect *expect; /* copied; NULL: whoever it is */
    /* ALPN: protocols in our order of preference, NULL at the end; copied.  The server picks the first of its own. */
    const char *const *protos;
    bool
        proto_needed; /* refuse a peer that negotiates none; else tls_stream_proto() is then NULL */
    bool
        confirm; /* the server says that it has accepted the client, which is not ready before: spec/channel.md 2 */
};

struct tls_stream;

/* Memory of the caller to be filled, borrowed for the call. */
struct tls_stream_room {
    uint8_t *base;
    size_t cap; /* bytes */
};

/* A session in TLS_STREAM_HANDSHAKE; free it with tls_stream_free().  QUDAG_ENOMEM, QUDAG_EINTERNAL. */
QUDAG_MUST_USE qudag_err tls_stream_new(struct tls_stream **out,
                                        const struct tls_stream_config *cfg, tstamp now);
/* Wipes and frees it, without a byte to the peer (NULL allowed). */
void tls_stream_free(struct tls_stream *t);

enum tls_stream_state tls_stream_state(const struct tls_stream *t);

/*
 * Takes bytes of the peer, as many as it can, *used says how many; *plain is what they held, at most
 * TLS_STREAM_PLAIN_MAX bytes, and stays until the next call.  To be called again, also with no input, until *used is
 * all and *plain is empty.  An error is also the state TLS_STREAM_FAILED, in most cases with an alert in the output:
 * QUDAG_EAUTH, EPOLICY, EEXPIRED, ECLOCK, EUNSUPPORTED, EPROTO, ENOMEM; ELIMIT: a handshake that is too long, 64 KiB
 * in a row without data, or more than 32 changes of keys while output waits.  An alert of the peer is what it means,
 * which tls_stream_why() has in words.  Without |confirm| a client is ready before the server has seen its
 * certificate: a refusal comes as an alert afterwards.
 */
QUDAG_MUST_USE qudag_err tls_stream_receive(struct tls_stream *t, struct slice in, size_t *used,
                                            struct slice *plain, tstamp now);

/*
 * Seals |plain| into records behind the output that waits, all of it or, on error, nothing.  QUDAG_ESTATE before
 * TLS_STREAM_READY, after tls_stream_close() and once it failed; QUDAG_ENOMEM, which fails the session.
 */
QUDAG_MUST_USE qudag_err tls_stream_send(struct tls_stream *t, struct slice plain, tstamp now);
/*
 * As tls_stream_receive(), after the handshake only: plain bytes go to |dst|, which has room for at least one, *len
 * says how many.
 */
QUDAG_MUST_USE qudag_err tls_stream_receive_to(struct tls_stream *t, struct slice in, size_t *used,
                                               struct tls_stream_room dst, size_t *len, tstamp now);
/* As tls_stream_send(), but while no output waits records go to |dst| as long as they fit, *len bytes in all. */
QUDAG_MUST_USE qudag_err tls_stream_send_to(struct tls_stream *t, struct slice plain,
                                            struct tls_stream_room dst, size_t *len, tstamp now);
/* Ends our direction by close_notify behind what was sent; harmless in any state. */
void tls_stream_close(struct tls_stream *t);

/*
 * The bytes that wait for the peer, borrowed until the next call; empty: none.  What an owner lets wait here it bounds
 * itself, by sending no more.
 */
struct slice tls_stream_output(const struct tls_stream *t);
/* How many wait in all. */
size_t tls_stream_output_len(const struct tls_stream *t);
/* The first |n| of them are sent. */
void tls_stream_output_sent(struct tls_stream *t, size_t n);

/* Whether keys must be replaced that sealed and opened |records| and were to last until |at|. */
bool tls_stream_rule_rekey(uint64_t records, tstamp at, tstamp now);

/* The protocol that ALPN chose, once ready; NULL: none.  Lives as long as the session. */
const char *tls_stream_proto(const struct tls_stream *t);
/* What was proven, once ready: as sec_hs_report(). */
void tls_stream_report(const struct tls_stream *t, struct link_info *out);
/*
 * Why it failed, and in words (static); QUDAG_OK: it has not.  |*found|: who it was instead of the peer expected, or
 * NULL.
 */
qudag_err tls_stream_why(const struct tls_stream *t, const char **text,
                         const struct peer_id **found);

#endif
