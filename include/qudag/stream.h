/*
 * stream.h - streams of bytes to peers, and over circuits.
 *
 *   qudag_stream_open ──▶ stream_opened ──▶ stream_data ... ──▶ stream_closed, exactly once
 *
 * A stream may be written, ended or reset as soon as its handle exists.  Its handle is valid until
 * stream_closed returns, or qudag_stream_reset was called; then it is stale.
 */
#ifndef QUDAG_STREAM_H
#define QUDAG_STREAM_H

#include <qudag/limits.h>
#include <qudag/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * From now on streams of |proto| ("/name/1.0.0", at most QUDAG_PROTOCOL_LEN_MAX bytes) that peers open reach
 * stream_in.  QUDAG_EINVAL, QUDAG_EEXISTS, QUDAG_ELIMIT, QUDAG_ENOMEM.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_protocol_serve(qudag_node *n, const char *proto);

/*
 * The same for streams to dark addresses of this node, and for those over circuits that end here: from other peers
 * |proto| is refused like a protocol that nobody serves, and identify does not name it.  What a service at a dark
 * address speaks is to be served so: else everybody who meets the node learns that it runs one.  Errors as above.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_protocol_serve_dark(qudag_node *n, const char *proto);

/*
 * Opens a stream to |to|, dialling if needed: where no address of it is known that leads there, the DHT is asked.  It
 * may run over a circuit relay at first (qudag_protocol_allow_limited()); a direct path is looked for meanwhile, since
 * the program has named |to| (qudag_path_get()), and serves streams opened later.  stream_opened or stream_closed
 * follows, never before this call has returned.  QUDAG_EINVAL, QUDAG_ELIMIT (QUDAG_STREAMS_MAX), QUDAG_ESTATE (the node
 * is being freed).
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_stream_open(qudag_node *n, const qudag_peer_id *to,
                                                     const char *proto, qudag_stream *out);

/*
 * Queues a copy of the first *taken bytes of |data|: all of it, unless the queue is full
 * (QUDAG_STREAM_QUEUE_MAX; QUDAG_STREAM_EARLY_MAX before the stream is open); what was queued before it
 * opened is sent first.  QUDAG_EAGAIN: nothing was taken.  Whenever less than |data| was taken,
 * stream_writable follows.  QUDAG_ESTALE, QUDAG_ESTATE (after qudag_stream_fin), QUDAG_EINVAL, QUDAG_ENOMEM.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_stream_write(qudag_node *n, qudag_stream s,
                                                      qudag_slice data, size_t *taken);
/* A buffer that was handed over is the program's again: |base| and |len| are those of the write. */
typedef void (*qudag_release)(void *ctx, const uint8_t *base, size_t len);
/*
 * Hands |data| over instead of having it copied: all of it, or nothing.  It must stay as it is until |release| was
 * called with |ctx|, which happens exactly once after QUDAG_OK, and never after an error: over a link once the peer has
 * acknowledged all of it, over a circuit once it is in cells, and at the latest after the stream has ended, or inside
 * qudag_node_free().  |release| runs on the thread of the node, never inside this call, and may call whatever
 * stream_closed may.  At most QUDAG_STREAM_OWNED_MAX bytes (QUDAG_ETOOBIG), at least one (QUDAG_EINVAL); what is
 * shorter than some 2 KiB is copied all the same, and released soon.  It counts in |queued| and in
 * QUDAG_STREAM_QUEUE_MAX as what qudag_stream_write() copies does.  QUDAG_EAGAIN: the queue has no room for all of it
 * now, or the stream is not open and has QUDAG_STREAM_OWNED_EARLY of them; stream_writable follows.  QUDAG_ESTALE,
 * QUDAG_ESTATE (after qudag_stream_fin), QUDAG_ENOMEM.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_stream_write_owned(qudag_node *n, qudag_stream s,
                                                            qudag_slice data, qudag_release release,
                                                            void *ctx);
/*
 * From now on what arrives on |s| is lent to the program: it stays in the node's buffers, where qudag_stream_lent()
 * shows it, until qudag_stream_consume().  stream_data is still called with each part, as the news of it.  The peer may
 * send no more than its windows while nothing is consumed: 256 KiB over a link, 512 KiB over a circuit.  stream_closed
 * with QUDAG_OK waits until all is consumed; with an error it comes at once, and what is lent stays until it has
 * returned.  QUDAG_ESTALE, QUDAG_EINVAL.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_stream_lend(qudag_node *n, qudag_stream s);
/*
 * What is lent, the oldest first: the first up to *count pieces (64 at most in one call) go to |piece|, *count is how
 * many those are.  A piece stays where it is until it is consumed as a whole, the stream has ended, or it was reset by
 * qudag_stream_reset(); it is not to be written to.  QUDAG_ESTALE, QUDAG_ESTATE (without qudag_stream_lend()),
 * QUDAG_EINVAL.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_stream_lent(qudag_node *n, qudag_stream s,
                                                     qudag_slice *piece, size_t *count);
/*
 * The program is done with |len| bytes of what stream_data passed, the oldest ones: the peer may send as many more.  Of
 * a stream that lends no more than what is lent.
 */
QUDAG_API void qudag_stream_consume(qudag_node *n, qudag_stream s, size_t len);
/* Ends our direction after what is queued.  The stream is closed once both sides have done so. */
QUDAG_API void qudag_stream_fin(qudag_node *n, qudag_stream s);
/*
 * Aborts the stream in both directions; what is queued is dropped, the handle is stale, no callback follows.
 * |why| reaches the peer's stream_closed where it is of use to it (QUDAG_EREFUSED, QUDAG_ELIMIT,
 * QUDAG_ETIMEOUT, QUDAG_EPROTO, QUDAG_EUNSUPPORTED, QUDAG_EPOLICY, QUDAG_ENOTFOUND ...); as QUDAG_ERESET else,
 * for QUDAG_ECANCELED above all: that name is reserved for what the receiving side itself canceled.  Over a circuit,
 * whoever opened the stream says nothing but QUDAG_ERESET: its reasons are its own.
 *
 * Programs have codes of their own, 0 to QUDAG_EAPP_MAX: QUDAG_EAPP(code) as |why| reaches the peer's stream_closed as
 * that, over links and over circuits, from either side.  To a libp2p peer it is the QUIC error code 0x2000 + code of
 * RESET_STREAM and STOP_SENDING.  What it means is a matter between the two programs.
 */
QUDAG_API void qudag_stream_reset(qudag_node *n, qudag_stream s, qudag_err why);

/* A pointer of the program for |s|, NULL at first.  QUDAG_ESTALE, QUDAG_EINVAL. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_stream_set_user(qudag_node *n, qudag_stream s, void *user);
/* That pointer, inside stream_closed too; NULL for a stale handle. */
QUDAG_API void *qudag_stream_user(const qudag_node *n, qudag_stream s);

/* What is known of a stream, its link and the protection that link gives. */
typedef struct qudag_stream_state {
    uint32_t size;   /* set by the caller, see types.h */
    uint32_t queued; /* bytes written that have not been sent */
    void *user;      /* see qudag_stream_set_user */
    qudag_circuit
        circuit; /* it runs over this one, which may still be being built; id 0: none (yet) */
    qudag_peer_id peer;   /* len 0: not known to this side */
    bool open;            /* the fields below are known; else false */
    bool inbound;         /* the peer opened it */
    bool anonymous;       /* over a circuit: one side does not know who the other is */
    bool pq_kex, pq_auth; /* post-quantum key exchange; authentication */
    char protocol[QUDAG_PROTOCOL_LEN_MAX + 1];
    uint8_t pad[6];
    uint32_t handed;       /* bytes handed over to qudag_stream_write_owned() and not released */
    uint32_t lent;         /* bytes received and lent, see qudag_stream_lend(), and not consumed */
    bool relayed, limited; /* as of its link, see qudag_link_info */
    qudag_peer_id relay;   /* len 0: none */
    uint8_t pad_end;
} qudag_stream_state;
/* QUDAG_ESTALE, QUDAG_EINVAL. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_stream_info(const qudag_node *n, qudag_stream s,
                                                     qudag_stream_state *out);

#ifdef __cplusplus
}
#endif
#endif
