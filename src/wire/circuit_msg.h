/*
 * circuit_msg.h - messages of circuit relay v2 (libp2p specs: relay/circuit-v2.md).
 *
 *   HopMessage   1 type   2 peer   3 reservation   4 limit   5 status      RESERVE 0, CONNECT 1, STATUS 2
 *   StopMessage  1 type   2 peer   3 limit   4 status                      CONNECT 0, STATUS 1
 *   Peer { 1 id  2 address* }   Reservation { 1 expire  2 address*  3 voucher }   Limit { 1 duration  2 data }
 *
 * One struct stands for both; each protocol has its own numbers.  On a stream every message comes after its length.
 */
#ifndef QUDAG_SRC_WIRE_CIRCUIT_MSG_H
#define QUDAG_SRC_WIRE_CIRCUIT_MSG_H

#include "base/wr.h"
#include "wire/multiaddr.h"

#define CIRCUIT_MSG_MAX 4096 /* bytes of a message, without its length */
#define CIRCUIT_ADDRS_MAX 16 /* addresses that are kept of a reservation */
#define CIRCUIT_VOUCHER_MAX 512

#define CIRCUIT_HOP_PROTOCOL "/libp2p/circuit/relay/0.2.0/hop"
#define CIRCUIT_STOP_PROTOCOL "/libp2p/circuit/relay/0.2.0/stop"

enum circuit_side { CIRCUIT_HOP, CIRCUIT_STOP };

enum circuit_type {
    CIRCUIT_RESERVE, /* of the hop protocol only */
    CIRCUIT_CONNECT,
    CIRCUIT_STATUS,
};

enum circuit_status {
    CIRCUIT_NO_STATUS = 0,
    CIRCUIT_OK = 100,
    CIRCUIT_RESERVATION_REFUSED = 200,
    CIRCUIT_RESOURCE_LIMIT_EXCEEDED = 201,
    CIRCUIT_PERMISSION_DENIED = 202,
    CIRCUIT_CONNECTION_FAILED = 203,
    CIRCUIT_NO_RESERVATION = 204,
    CIRCUIT_MALFORMED_MESSAGE = 400,
    CIRCUIT_UNEXPECTED_MESSAGE = 401,
};

/* What a relay lets one circuit have; 0: no limit. */
struct circuit_limit {
    uint32_t duration_s;
    uint64_t data; /* bytes in each direction */
};

struct circuit_msg {
    enum circuit_type type;
    struct peer_id peer; /* len 0: not given */
    struct circuit_limit limit;
    uint32_t status; /* enum circuit_status, or another number that was sent; 0: not given */
    bool has_reservation;
    uint64_t expire; /* of the reservation: seconds since 1970 */
    size_t n_addrs;
    struct multiaddr addr[CIRCUIT_ADDRS_MAX]; /* of the relay, as it says; others are dropped */
    struct slice voucher; /* borrowed from the input, or the caller's; empty: none */
};

/* Writes |m|, after its length, into |w|.  QUDAG_ETOOBIG: over CIRCUIT_MSG_MAX, or no room. */
QUDAG_MUST_USE qudag_err circuit_msg_write(struct wr *w, enum circuit_side side,
                                           const struct circuit_msg *m);

/*
 * Reads a whole message, without its length.  QUDAG_EMALFORMED: no message, none of this protocol's types, a peer id
 * that is none; QUDAG_ETOOBIG: over CIRCUIT_MSG_MAX, or a voucher over CIRCUIT_VOUCHER_MAX.  |m| is then untouched.
 */
QUDAG_MUST_USE qudag_err circuit_msg_read(struct circuit_msg *m, enum circuit_side side,
                                          struct slice in);

/* What a status means to whoever asked for something: QUDAG_OK, or why not. */
qudag_err circuit_status_err(uint32_t status);

/* For people and logs, "unknown" for numbers that are none; static. */
const char *circuit_status_name(uint32_t status);

#endif
