/*
 * pcp.h - what a router is asked for a port with: PCP (RFC 6887) and its predecessor NAT-PMP (RFC 6886).
 *
 *   client ─ 64 bytes or less ─▶ port 5351 of the gateway ─ answer ─▶ client
 *
 *   PCP      2 R|opcode 0 result lifetime:4 | epoch:4 0:12, in a request the client's address:16 |
 *            MAP: nonce:12 protocol 0:3 internal port:2 external port:2 external address:16 |
 *            options: code 0 length:2 value, padded to 4
 *   NAT-PMP  0 R|opcode | result:2 epoch:4 of answers | external address:4; or ports:2 lifetime:4
 *
 * The first byte tells them apart.  No memory, no copies.  The option THIRD_PARTY is never written: a node asks for
 * itself only.
 */
#ifndef QUDAG_SRC_WIRE_PCP_H
#define QUDAG_SRC_WIRE_PCP_H

#include "base/netaddr.h"
#include "base/types.h"

#define PCP_PORT 5351 /* of the gateway */
#define PCP_NONCE_LEN 12
#define PCP_MSG_MAX 1100 /* RFC 6887 7 */
#define PCP_WRITE_MAX 64 /* of what we write */
#define PCP_VERSION 2
#define PCP_NATPMP_VERSION 0

/* RFC 6887 19.5, the number of the Internet's registry. */
enum pcp_protocol { PCP_TCP = 6, PCP_UDP = 17 };

enum pcp_kind {
    PCP_ANNOUNCE,    /* PCP: lives, and this is its epoch */
    PCP_MAP,         /* PCP: a port, of a NAT or of a firewall */
    PCP_NATPMP_ADDR, /* NAT-PMP: the external address */
    PCP_NATPMP_MAP,  /* NAT-PMP: a port */
    PCP_OTHER, /* of either, with another opcode: an answer to a version that the router lacks may have any */
};

/* Of both, in numbers of PCP (RFC 6887 7.4); NAT-PMP's are led to them by what they mean (RFC 6886 3.5). */
enum pcp_result {
    PCP_SUCCESS,
    PCP_UNSUPP_VERSION,
    PCP_NOT_AUTHORIZED,
    PCP_MALFORMED_REQUEST,
    PCP_UNSUPP_OPCODE,
    PCP_UNSUPP_OPTION,
    PCP_MALFORMED_OPTION,
    PCP_NETWORK_FAILURE,
    PCP_NO_RESOURCES,
    PCP_UNSUPP_PROTOCOL,
    PCP_USER_EX_QUOTA,
    PCP_CANNOT_PROVIDE_EXTERNAL,
    PCP_ADDRESS_MISMATCH,
    PCP_EXCESSIVE_REMOTE_PEERS,
    PCP_RESULTS, /* any beyond */
};
/* In words; static. */
const char *pcp_result_text(enum pcp_result r);

struct pcp_request {
    enum pcp_kind kind; /* any but PCP_OTHER */
    enum pcp_protocol protocol;
    struct netaddr client; /* PCP: whom it is for, which is where the datagram comes from */
    uint8_t nonce[PCP_NONCE_LEN];
    uint16_t internal, external; /* ports; external 0: any */
    struct netaddr
        suggested; /* MAP: the external address as it was, family 0: any.  Its port is not looked at */
    uint32_t life_s;     /* 0: to be removed */
    bool prefer_failure; /* MAP: that external port or none (RFC 6887 13.2) */
};

struct pcp_answer {
    enum pcp_kind kind;
    bool pcp; /* else NAT-PMP */
    enum pcp_result result;
    uint32_t
        life_s; /* PCP with an error: how long it will last; NAT-PMP's MAP: likewise of the port */
    uint32_t epoch;             /* s since the router lost its state */
    enum pcp_protocol protocol; /* MAPs; 0: another */
    uint8_t nonce[PCP_NONCE_LEN];
    uint16_t internal;
    struct netaddr
        external; /* MAP; NAT-PMP: the address or the port alone, as |kind| says.  Family 0: none */
};

/* Writes |q|; the length, at most PCP_WRITE_MAX; 0: |cap| is too small. */
size_t pcp_write(uint8_t *dst, size_t cap, const struct pcp_request *q);

/*
 * Parses one answer.  QUDAG_EMALFORMED: no answer (a request too), too short, too long, options that do not fit.  One
 * with an error may be shorter than one without: then what is missing is zero.  QUDAG_EUNSUPPORTED: another version.
 */
QUDAG_MUST_USE qudag_err pcp_parse(struct pcp_answer *out, struct slice datagram);

#endif
