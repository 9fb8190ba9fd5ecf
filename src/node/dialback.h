/*
 * dialback.h - links by which the server of AutoNAT v2 dials others back.  Included by internal.h.
 *
 *   node_dialback_begin ─▶ DIALLING ─ up ─▶ WAITING: nonce sent ─ answered ─▶ ended ─▶ node_dialback_next
 *
 * They are made by an endpoint of QUIC of their own, from a socket of their own each, whose port no NAT has been opened
 * for, and under an identity that lives as long as the endpoint: whoever we are made to dial does not learn who we are,
 * and no link of the node is touched.  The endpoint is there only while it is used.
 */
#ifndef QUDAG_SRC_NODE_DIALBACK_H
#define QUDAG_SRC_NODE_DIALBACK_H

#include "core/autonat/server.h"
#include "quic/quic.h"

#define NODE_DIALBACK_IDLE (300 * NS_PER_S) /* so long the endpoint waits for another dial */
#define NODE_DIALBACK_ANSWER (5 * NS_PER_S) /* for the answer to a nonce */
#define NODE_DIALBACK_LINGER NS_PER_S /* for the end of a link to leave, before its socket goes */

struct node;
struct node_dialback;

/* Dials as |order| says; node_dialback_next() follows.  QUDAG_ELIMIT, and what the socket and the endpoint say. */
QUDAG_MUST_USE qudag_err node_dialback_begin(struct node *n, const struct autonat_order *order,
                                             tstamp now);
/* The dial of |job|, if it is under way, ends; nothing more of it leaves but the end of its link. */
void node_dialback_cancel(struct node *n, uint64_t job, tstamp now);
/* Takes a datagram for one of its sockets; false: it is none of these. */
bool node_dialback_recv(struct node *n, const struct quic_dgram *d, tstamp now);
/* As quic_send(). */
bool node_dialback_send(struct node *n, tstamp now, struct quic_tx *tx);
/* What there is to be done at node_dialback_deadline(), or after datagrams. */
void node_dialback_step(struct node *n, tstamp now);
tstamp node_dialback_deadline(const struct node *n);
/* The next that has ended, and how; false: none. */
bool node_dialback_next(struct node *n, uint64_t *job, enum autonat_dial *how);
void node_dialback_free(struct node *n);

#endif
