/*
 * work.h - work that links and networks make for nothing (core/load), as datagrams come.
 *
 *   datagram ─ FREE ▶ read ▶ charged      ─ LAST ▶ thrown away      ─ OUT ▶ the link ends, its host is kept out
 */
#ifndef QUDAG_SRC_QUIC_WORK_H
#define QUDAG_SRC_QUIC_WORK_H

#include "quic/conn.h"

/*
 * Whether the peer of |c| is where its packets say: until a handshake is over, or came with a token, they may be
 * anybody's, who can seal them too, as the keys of Initials are public.  Neither the network nor the host of somebody
 * who is not known is held to account.
 */
bool quic_work_known(const struct quic_conn *c);

/* What becomes of a datagram for |c|; one that is thrown away is counted and charged. */
enum load_state quic_work_take(struct quic_conn *c);

/*
 * Such a datagram has been read: what it cost beyond what it brought is charged.  |sealed|: it was opened, so the peer
 * made it; one that was not may be anybody's on the path, and nobody is put out for those.
 */
void quic_work_read(struct quic_conn *c, bool sealed);

/* A stream that the peer of |c| opened is reset by us because of |err|. */
void quic_work_refused(struct quic_conn *c, qudag_err err);

/* A handshake begins with somebody at |a|; nobody is charged for one whose address is not |proven|. */
void quic_work_begun(struct quic *q, const struct netaddr *a, bool proven);

/* The host of |c| is kept out for a while.  Whether the log is to say so: not too often. */
bool quic_work_put_out(struct quic_conn *c);

/*
 * Whether no handshake begins with |a| now: its host is kept out, or its network owes too much, and the host itself
 * more than little or the network nothing to spare for those.
 */
bool quic_work_closed(struct quic *q, const struct netaddr *a);

#endif
