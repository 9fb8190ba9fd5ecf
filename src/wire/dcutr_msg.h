/*
 * dcutr_msg.h - messages of DCUtR, "direct connection upgrade through relay" (libp2p specs: relay/DCUtR.md).
 *
 *   HolePunch  1 type (CONNECT 100, SYNC 300)   2 address*        on a stream each comes after its length
 */
#ifndef QUDAG_SRC_WIRE_DCUTR_MSG_H
#define QUDAG_SRC_WIRE_DCUTR_MSG_H

#include "base/wr.h"
#include "wire/multiaddr.h"

#define DCUTR_PROTOCOL "/libp2p/dcutr"
#define DCUTR_MSG_MAX 4096 /* bytes of a message, without its length */
#define DCUTR_ADDRS_MAX 16 /* addresses that are kept of one */

enum dcutr_type { DCUTR_CONNECT = 100, DCUTR_SYNC = 300 };

struct dcutr_msg {
    enum dcutr_type type;
    size_t n_addrs;
    struct multiaddr
        addr[DCUTR_ADDRS_MAX]; /* the first ones that are understood; others are dropped */
};

/* Writes |m|, after its length, into |w|.  QUDAG_ETOOBIG: no room. */
QUDAG_MUST_USE qudag_err dcutr_msg_write(struct wr *w, const struct dcutr_msg *m);

/*
 * Reads a whole message, without its length.  QUDAG_EMALFORMED: no message, or neither type; QUDAG_ETOOBIG: over
 * DCUTR_MSG_MAX.  |m| is then untouched.
 */
QUDAG_MUST_USE qudag_err dcutr_msg_read(struct dcutr_msg *m, struct slice in);

#endif
