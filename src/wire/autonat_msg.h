/*
 * autonat_msg.h - messages of AutoNAT v2 (libp2p specs: autonat/autonat-v2.md).
 *
 *   Message        1 dialRequest  2 dialResponse  3 dialDataRequest  4 dialDataResponse      one of them
 *   DialRequest    1 addr*  2 nonce (fixed64)        DialResponse      1 status  2 addrIdx  3 dialStatus
 *   DialDataRequest  1 addrIdx  2 numBytes           DialDataResponse  1 data
 *   DialBack       1 nonce (fixed64)                 DialBackResponse  1 status (0: OK)
 *
 * On a stream every message comes after its length.
 */
#ifndef QUDAG_SRC_WIRE_AUTONAT_MSG_H
#define QUDAG_SRC_WIRE_AUTONAT_MSG_H

#include "base/wr.h"
#include "wire/multiaddr.h"

#define AUTONAT_REQUEST_PROTOCOL "/libp2p/autonat/2/dial-request"
#define AUTONAT_BACK_PROTOCOL "/libp2p/autonat/2/dial-back"

#define AUTONAT_MSG_MAX 8192    /* bytes of a message, without its length */
#define AUTONAT_BACK_MAX 64     /* of one on a stream of the dial-back protocol */
#define AUTONAT_ADDRS_MAX 16    /* of a request; what comes behind is not looked at */
#define AUTONAT_DATA_PIECE 4096 /* bytes of data in one message, at most */
#define AUTONAT_DATA_MIN                                                                           \
    30000 /* bytes that a server asks for before it dials another host than who asks */
#define AUTONAT_DATA_MAX 100000

enum autonat_type { AUTONAT_REQUEST = 1, AUTONAT_RESPONSE, AUTONAT_DATA_REQUEST, AUTONAT_DATA };

enum autonat_status {
    AUTONAT_INTERNAL_ERROR = 0,
    AUTONAT_REQUEST_REJECTED = 100, /* too many */
    AUTONAT_DIAL_REFUSED = 101,     /* none of these addresses */
    AUTONAT_OK = 200,
};

enum autonat_dial {
    AUTONAT_DIAL_UNUSED = 0,
    AUTONAT_DIAL_ERROR = 100,
    AUTONAT_DIAL_BACK_ERROR = 101, /* linked, but the nonce did not get through */
    AUTONAT_DIAL_OK = 200,
};

struct autonat_msg {
    enum autonat_type type;
    /* REQUEST; len 0: an address that we cannot read, which keeps its place */
    size_t n_addrs;
    struct multiaddr addr[AUTONAT_ADDRS_MAX];
    uint64_t nonce;
    uint32_t status, dial; /* RESPONSE: enum autonat_status, enum autonat_dial, or another number */
    uint32_t addr_ix;      /* RESPONSE, DATA_REQUEST */
    uint64_t num_bytes;    /* DATA_REQUEST */
    struct slice data;     /* DATA: borrowed from the input, or the caller's */
};

/* Writes |m|, after its length, into |w|.  QUDAG_ETOOBIG: over AUTONAT_MSG_MAX, or no room. */
QUDAG_MUST_USE qudag_err autonat_msg_write(struct wr *w, const struct autonat_msg *m);
/*
 * Reads a whole message, without its length.  QUDAG_EMALFORMED: no message, or none or more than one of the four in it;
 * QUDAG_ETOOBIG.  |m| is then untouched.
 */
QUDAG_MUST_USE qudag_err autonat_msg_read(struct autonat_msg *m, struct slice in);

/* DialBack, after its length. */
void autonat_back_write(struct wr *w, uint64_t nonce);
/* The same read, without its length.  QUDAG_EMALFORMED: no message, or none with a nonce. */
QUDAG_MUST_USE qudag_err autonat_back_read(uint64_t *nonce, struct slice in);

#endif
