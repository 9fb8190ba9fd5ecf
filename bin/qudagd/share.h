/*
 * share.h - shares: what `qudag share` serves, at an address of its own that ends with the request.
 *
 *   request ─▶ a hidden address share-DIGITS, exposed ─▶ published: a row ─▶ the client goes ─▶ the keys are destroyed
 *
 * Nothing of a share is kept.  What a daemon that was killed leaves, its successor destroys once it is ready.
 */
#ifndef QUDAG_BIN_SHARE_DAEMON_H
#define QUDAG_BIN_SHARE_DAEMON_H

#include "control.h"

/*
 * Callers of port 80 reach the Unix socket "socket", a name in the state folder (rules_share_socket), which is removed
 * in the end.  One row once the address is published; until then progress, when there is a problem.  The request
 * lasts as long as its client.
 */
void share_start(struct request *rq);

/* Removes sockets of shares that have ended with a daemon before this one. */
void share_begin(struct daemon *d);

/* Destroys the keys of addresses whose shares have ended, as soon as the network is there to withdraw their records. */
void share_tick(struct daemon *d, uint64_t now_ns);

/* qudag_callbacks: it may have been a withdrawal. */
void share_op_done(struct daemon *d, qudag_op op);

/* While the daemon ends: withdraws the records of shares that have ended; what is not done in time expires. */
void share_ending(struct daemon *d);

#endif
