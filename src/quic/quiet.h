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

struct quic_conn;
/* |c| sends what must be acknowledged. */
void quic_quiet_sent(struct quic_conn *c);
/* An authentic packet of the peer's was read for |c|. */
void quic_quiet_heard(struct quic_conn *c);
/* Tells that the path of |c| is quiet, if it is by now. */
void quic_quiet_look(struct quic_conn *c);

#endif
