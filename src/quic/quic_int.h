/*
 * quic_int.h - what the files of this folder offer each other.
 *
 *   endpoint.c  datagram -> connection, Retry, resets, tokens; timers; what to send next
 *   conn.c      one connection: making it, feeding it, ending it
 *   callbacks.c what ngtcp2 tells a connection while conn.c reads or writes a packet
 *   stream.c    send queues, credit, the link operations on streams
 *   event.c     what the owner will pull
 *   transport.c the table by which the swarm knows QUIC
 *   cid.c       connection ids         token.c  address tokens        addr.c  address conversion
 *   unreachable.c  whether a peer still lives
 *   silence.c      who does not answer     quiet.c  which paths may have died
 *   gate.c         what becomes of Initials that prove nothing
 *   account.c      what of shared limits connections use
 *   work.c         who makes us work for nothing
 */
#ifndef QUDAG_SRC_QUIC_QUIC_INT_H
#define QUDAG_SRC_QUIC_QUIC_INT_H

#include "core/codes.h"
#include "quic/conn.h"
#include "quic/quiet.h"

/* addr.c */

/* |a| as a sockaddr for the system and ngtcp2; every family but 6 is written as IPv4. */
void quic_addr_to_sock(struct quic_sockaddr *out, const struct netaddr *a);

/* The reverse; |out| has family 0 when |sa| is neither IPv4 nor IPv6. */
void quic_addr_from_sock(struct netaddr *out, const struct sockaddr *sa);

/*
 * The path as ngtcp2 sees it: the local side is always the wildcard, so that only the remote moves.
 * |path| points into |local| and |remote|, which must outlive it.
 */
void quic_addr_path(ngtcp2_path *path, struct quic_sockaddr *local, struct quic_sockaddr *remote,
                    const struct netaddr *to);

/* |a| with port and zone as bytes for a hash; returns how many of |out| count (the same for every address). */
size_t quic_addr_key(uint8_t out[24], const struct netaddr *a);

/*
 * Whether a packet of a link with the peer at |a| may come from |b|: from the same IP address, whatever the port,
 * since a NAT may choose another one at any time.  From elsewhere nobody may continue a link: it would take
 * its circuits along, and show to both networks that they are one client's.
 */
bool quic_addr_same_host(const struct netaddr *a, const struct netaddr *b);

/* cid.c */

/* A new random connection id that hides the endpoint's shard number; it is bound to nothing yet. */
void quic_cid_make(const struct quic *q, uint8_t cid[CID_LEN]);

/*
 * From now on packets to |cid| are those of |c|.  QUDAG_ELIMIT for another length than CID_LEN or beyond
 * CIDS_PER_CONN, QUDAG_EEXISTS when the id is taken, QUDAG_ENOMEM.
 */
QUDAG_MUST_USE qudag_err quic_cid_bind(struct quic_conn *c, const uint8_t *cid, size_t len);

/* Whose id |cid| is, or NULL.  Datagrams of one link come in runs, so that the last answer is at hand. */
struct quic_conn *quic_cid_find(struct quic *q, struct slice cid);

/* The peer has retired |cid|; an id that |c| does not have is ignored. */
void quic_cid_unbind(struct quic_conn *c, const uint8_t *cid, size_t len);

/* Forgets all ids and reset tokens of |c|, also the id that the client had chosen for it. */
void quic_cid_unbind_all(struct quic_conn *c);

/*
 * A datagram that ends in |token| is a stateless reset of |c| (RFC 9000 10.3.1).  Does nothing when the token
 * is bound already, at CIDS_PER_CONN, and without memory: then a reset is not recognised.
 */
void quic_cid_reset_bind(struct quic_conn *c, const uint8_t token[16]);

/* The peer's id with this token is not in use any more. */
void quic_cid_reset_unbind(struct quic_conn *c, const uint8_t token[16]);

/* token.c */

/*
 * Writes a NEW_TOKEN token for the address |to| to |out|: NGTCP2_CRYPTO_MAX_REGULAR_TOKENLEN + TOKEN_NAME_LEN
 * bytes of room.  |name| (TOKEN_NAME_LEN bytes or none) travels inside, encrypted.  Returns its length, or a
 * negative number when the crypto library fails.  Below ngtcp2 1.22 tokens cannot carry a name: they still
 * prove an address, but never allow the short certificate.
 */
ngtcp2_ssize quic_token_seal(const struct quic *q, uint8_t *out, const struct quic_sockaddr *to,
                             struct slice name);

/*
 * Checks that |token| is ours, was given to the address |from| and is at most |life_ns| old.  Returns the length
 * of the name in it (0: none), or a negative number when the token is not valid.
 */
ngtcp2_ssize quic_token_open(const struct quic *q, uint8_t name[TOKEN_NAME_LEN], struct slice token,
                             const struct quic_sockaddr *from, uint64_t life_ns);

/*
 * Whether |token|, which quic_token_open() has accepted, is used for the first time; it counts as used from now on.
 * Remembered for as long as it is valid: when there are more of them than room, the oldest ones cease to be
 * valid (quic_token_life()).  Without memory no token passes.
 */
bool quic_token_spend(struct quic *q, struct slice token);

/* How old a NEW_TOKEN token may be at present, ns: 24 hours, or less where used ones had to be forgotten. */
uint64_t quic_token_life(const struct quic *q);

/*
 * A link to |peer| at |remote| was made; |known| as after its handshake, or NULL.  Replaces what was remembered
 * of that server; the oldest of TOKENS_MAX makes room.  Without memory the server is not remembered.
 */
void quic_token_learn(struct quic *q, const struct netaddr *remote, const struct peer_id *peer,
                      const struct sec_known *known);

/* The server gave |token| (copied).  Ignored unless quic_token_learn() was called, and over TOKEN_MAX bytes. */
void quic_token_store(struct quic *q, const struct netaddr *remote, const struct peer_id *peer,
                      struct slice token);

/*
 * Moves the token for the next dial to |out| and forgets the server, since each token is used once.  Returns its
 * length, 0 without one; |*known| is set along with it.  With |known| NULL a token that would make the server
 * send a short certificate is dropped instead.
 */
size_t quic_token_take(struct quic *q, const struct netaddr *remote, const struct peer_id *peer,
                       struct sec_known *known, uint8_t out[TOKEN_MAX]);

/* Forgets every server and frees the table. */
void quic_token_fini(struct quic *q);

/* unreachable.c */

/* When the first suspect must have been heard; TSTAMP_NEVER when there is none. */
tstamp quic_suspects_deadline(const struct quic *q);

/* Ends the links of suspects that stayed silent with QUDAG_ETIMEOUT; clears the suspicion of the others. */
void quic_suspects_tick(struct quic *q);

/* silence.c */

/* |c| sends what must be acknowledged. */
void quic_silence_sent(struct quic_conn *c);
/*
 * A datagram was read for |c|.  It counts where a packet in it was the peer's: authentic, and not one that came before.
 * Others anybody can send who has seen a connection id, and they say nothing of whether the peer lives.
 */
void quic_silence_read(struct quic_conn *c);
/* When quic_silence_tick() is due; it probes links that do not answer, and makes suspects of those that are dead. */
tstamp quic_silence_deadline(const struct quic *q);
void quic_silence_tick(struct quic *q); /* see above */

/* event.c */

/* Queues a copy of |ev| and of its data.  False when memory is short: then the connection must be ended. */
QUDAG_MUST_USE bool quic_ev_push(struct quic *q, const struct link_ev *ev);

/*
 * Frees what the owner has pulled, and closed streams, once all events were pulled; else does nothing.  Called
 * at the start of quic_recv, quic_tick and quic_send.
 */
void quic_ev_recycle(struct quic *q);

/* Frees the queue with the events that nobody pulled. */
void quic_ev_fini(struct quic *q);

/* Queues LINK_DOWN with c->why, behind all other events.  Needs no memory. */
void quic_ev_down(struct quic_conn *c);

/* Takes back the queued events about a stream that the owner has reset. */
void quic_ev_void(struct quic *q, struct ref link, int64_t sid);

/* conn.c */

/*
 * A connection for the dial |d|, in the tables and with its timer set; nothing is sent yet.  The endpoint owns
 * it.  QUDAG_ENOMEM also when a library fails; QUDAG_ELIMIT.
 */
QUDAG_MUST_USE qudag_err quic_conn_new_client(struct quic_conn **out, struct quic *q,
                                              const struct quic_dial *d);

/*
 * The same for the client's first Initial |d| with header |hd|, which is to be fed by quic_conn_recv().  |odcid|:
 * the id before our Retry, NULL without one.  |short_cert|: the client knows our ML-DSA key (spec/link.md 2.6).
 */
QUDAG_MUST_USE qudag_err quic_conn_new_server(struct quic_conn **out, struct quic *q,
                                              const struct quic_dgram *d, const ngtcp2_pkt_hd *hd,
                                              const ngtcp2_cid *odcid, bool short_cert);

/*
 * Feeds one datagram.  Errors end the connection (LINGER; without a LINK_DOWN to report it may be freed at once),
 * so |c| is not used after the call.  While lingering it makes the last packet be repeated, ever more rarely.
 */
void quic_conn_recv(struct quic_conn *c, const struct quic_dgram *d);

/* The timer of |c| is due: handshake timeout, ngtcp2's expiry, or the end of LINGER.  May free |c|. */
void quic_conn_expire(struct quic_conn *c);

/* Fills |tx| with what may leave now; false when there is nothing.  May free |c|. */
bool quic_conn_send(struct quic_conn *c, struct quic_tx *tx);

/* |c| may have something to send: quic_send() will ask it. */
void quic_conn_mark_dirty(struct quic_conn *c);

/* Sets the timer of |c|, which is in the heap as long as there is |c|. */
void quic_conn_timer(struct quic_conn *c, tstamp at);

/* Sets the timer to the earliest of ngtcp2's expiry, the handshake's limit and the pace. */
void quic_conn_set_timer(struct quic_conn *c);

/*
 * Ends the link: sends CONNECTION_CLOSE with |close_err| if |say|, reports |why| and |text| (static, or NULL) as
 * LINK_DOWN if the owner knows the link.  Not for a connection that lingers already.  May free |c|.
 */
void quic_conn_fail(struct quic_conn *c, qudag_err why, const char *text, bool say);

/* Frees |c| and its streams and takes it out of all tables; no event. */
void quic_conn_free(struct quic_conn *c);

/*
 * Its LINK_DOWN was pulled, or nobody will: only ids and last packet stay until the timer ends LINGER, or until
 * LINGER_MAX newer ones do.  May free |c|.
 */
void quic_conn_linger(struct quic_conn *c);

/* The handshake has succeeded: queues LINK_UP, once.  False when memory is short. */
bool quic_conn_up(struct quic_conn *c);

/* The traffic keys of |c| are new: when they have to be replaced. */
void quic_conn_keys_new(struct quic_conn *c);

/* |c| has read a packet, |congested| if it was marked, or given back credit: writes now, or within QUIC_ACK_WAIT. */
void quic_conn_answer(struct quic_conn *c, bool congested);

/* Frees the TLS object once the handshake is confirmed (RFC 9001 4.1.2); harmless when repeated. */
void quic_conn_drop_tls(struct quic_conn *c);

/* callbacks.c */

extern const ngtcp2_callbacks quic_conn_callbacks_client, quic_conn_callbacks_server;

/* padding.c */

/*
 * When a link padded so is to be padded next, if its last packet is of |traffic|; |r1| and |r2| are random.
 * TSTAMP_NEVER: not any more.
 */
tstamp quic_padding_due(const struct transport_padding *p, tstamp traffic, uint64_t r1,
                        uint64_t r2);

/*
 * Sets the keep-alive period: that of the configuration, with jitter, below a third of the idle timeout; or when the
 * link is to be padded next, if that is sooner.
 */
void quic_conn_keep_alive(struct quic_conn *c);

/* A packet of |c| went or came just now. */
void quic_conn_traffic(struct quic_conn *c);

/* stream.c */

/* The stream with this id, or NULL; the connection owns it. */
struct quic_stream *quic_stream_find(const struct quic_conn *c, int64_t id);

/* Makes the object of a stream that ngtcp2 has opened as |id|.  QUDAG_ENOMEM. */
QUDAG_MUST_USE qudag_err quic_stream_add(struct quic_conn *c, int64_t id, struct quic_stream **out);

/* Takes |s| out of its connection and frees it with all that it has queued. */
void quic_stream_free(struct quic_stream *s);

/* The same for every stream of |c|. */
void quic_stream_free_all(struct quic_conn *c);

/* Forgets what the streams of |c| have queued or sent; nothing more is sent over it. */
void quic_stream_let_go_all(struct quic_conn *c);

/* The peer has all bytes before the offset |upto|: frees the chunks that hold nothing else. */
void quic_stream_acked(struct quic_stream *s, uint64_t upto);

/* There is, or may be, something to write: |s| queues for packets if so. */
void quic_stream_wake(struct quic_stream *s);

/*
 * Lets one stream that waits for credit try to write: ngtcp2 reports STOP_SENDING by refusing to write, and a
 * stopped stream would wait for ever.
 */
void quic_stream_probe(struct quic_conn *c);

/* |n| bytes of |s| that waited to be consumed wait no more. */
void quic_credit_taken(struct quic_stream *s, uint64_t n);
/* Reports the end of both directions; false when memory is short. */
QUDAG_MUST_USE bool quic_stream_report_reset(struct quic_stream *s, qudag_err err);

/* ngtcp2's callback that writes one packet: streams in turn; |user_data| is the struct quic_conn. */
ngtcp2_ssize quic_stream_write_pkt(ngtcp2_conn *ng, ngtcp2_path *path, ngtcp2_pkt_info *pi,
                                   uint8_t *dest, size_t dest_len, ngtcp2_tstamp ts,
                                   void *user_data);

#endif
