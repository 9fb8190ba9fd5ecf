/* quiet.h - the rule for paths that may have died, where another one may carry meanwhile (doc/decisions/0069). */
#ifndef QUDAG_SRC_QUIC_QUIET_H
#define QUDAG_SRC_QUIC_QUIET_H

#include "base/types.h"

#define QUIC_QUIET_PTO 3 /* probe timeouts (RFC 9002 6.2) without anything of the peer's */
#define QUIC_QUIET_LEAST (250 * NS_PER_MS) /* a process that was not scheduled is no dead path */
#define QUIC_QUIET_MOST (3 * NS_PER_S)
#define QUIC_QUIET_PING (500 * NS_PER_MS) /* between two packets that ask whether it lives again */

/* How long nothing may come while something is outstanding, at that probe timeout, before the path counts as quiet. */
uint64_t quic_rule_quiet(uint64_t pto_ns);

/*
 * Who is behind a NAT keeps its state alive itself, as rarely as that allows.  A side that finds that the other always
 * speaks first after QUIC_KEPT_IDLE of silence, QUIC_KEPT_TIMES in a row, asks QUIC_KEPT_RARER times as rarely.
 */
#define QUIC_KEPT_IDLE (10 * NS_PER_S)
#define QUIC_KEPT_TIMES 4
#define QUIC_KEPT_RARER 4
/* padding.c: for how long a link says nothing, at most: |configured|; of a |plain| one |nat|, unless that is 0. */
uint64_t quic_rule_keepalive(uint64_t configured, uint64_t nat, bool plain, unsigned kept);

struct quic_conn;
/* Sets the keep-alive period. */
void quic_conn_alive(struct quic_conn *c, uint64_t ns);
/* The smaller of both idle timeouts, ns. */
uint64_t quic_conn_idle(const struct quic_conn *c);
/* |c| sends what must be acknowledged. */
void quic_quiet_sent(struct quic_conn *c);
/* An authentic packet of the peer's was read for |c|. */
void quic_quiet_heard(struct quic_conn *c);
/* Tells that the path of |c| is quiet, if it is by now. */
void quic_quiet_look(struct quic_conn *c);

#endif
