/*
 * stun.h - messages of STUN (RFC 8489), the part that a node speaks: Binding requests, their answers and indications.
 *
 *   0 type:2 | length:2 | magic cookie 0x2112A442 | transaction id:12 | attributes: type:2 length:2 value, padded to 4
 *
 * The same bytes serve three uses: asking where somebody sees us, answering that, and the authenticated checks of a
 * meeting (core/meet).  Nothing is allocated or copied; texts and unknown attributes are borrowed from the input.
 * Vectors: RFC 5769 2.1 to 2.4, RFC 8489 B.1.
 */
#ifndef QUDAG_SRC_WIRE_STUN_H
#define QUDAG_SRC_WIRE_STUN_H

#include "base/netaddr.h"
#include "base/types.h"

#define STUN_HEADER 20
#define STUN_MSG_MAX 548 /* bytes; RFC 8489 6.1: what fits any path without knowing its MTU */
#define STUN_COOKIE 0x2112A442u
#define STUN_ID_LEN 12
#define STUN_USERNAME_MAX 64       /* bytes that are taken; the RFC allows 508 */
#define STUN_UNKNOWN_MAX 8         /* attributes told in a 420 answer */
#define STUN_UNKNOWN_ATTRIBUTE 420 /* that error */
#define STUN_DELAY_PADDING                                                                         \
    96 /* bytes of a request with a delay: it is longer than both of its answers */

enum stun_class { STUN_REQUEST, STUN_INDICATION, STUN_SUCCESS, STUN_ERROR };

/* How a message is authenticated. */
enum stun_integrity { STUN_NO_INTEGRITY, STUN_SHA1, STUN_SHA256 };

/* A Binding message. */
struct stun_msg {
    enum stun_class class;
    uint8_t id[STUN_ID_LEN];
    struct slice username; /* base NULL: none; borrowed */
    struct slice software; /* likewise; never sent by us */
    struct netaddr
        mapped; /* XOR-MAPPED-ADDRESS, or MAPPED-ADDRESS where there is no other; family 0: none */
    uint16_t error;    /* of an error answer, 300 to 699; 0: none */
    bool has_priority; /* PRIORITY, USE-CANDIDATE, ICE-CONTROLLING and -CONTROLLED: RFC 8445 7.1 */
    uint32_t priority;
    bool nominates;
    /*
     * DELAY, of ours: in a request, that a second answer shall come after so many seconds without a packet; in an
     * answer, that it will, or that this is it.  0: none.
     */
    uint16_t delay_s;
    bool fingerprint; /* had one, and it was right; to be written: append one */
    enum stun_integrity
        integrity;       /* there (of two the stronger); whether it is right: stun_check() */
    size_t integrity_at; /* offset of that attribute */
    uint16_t
        unknown[STUN_UNKNOWN_MAX]; /* comprehension-required attributes that are not understood */
    size_t n_unknown; /* a request that has some is answered with 420, which lists them */
};

/*
 * Whether a datagram that came to the socket of QUIC is one of STUN (RFC 7983, RFC 9443: first byte 0 to 3) and has its
 * cookie.  QUIC's own packets have the fixed bit, first byte 64 and above; what is neither is nobody's.
 */
bool stun_is(struct slice datagram);

/*
 * Parses one whole datagram; |out| is zeroed on error.  Of an attribute that comes twice the first counts, and what
 * stands behind the integrity is ignored but for a fingerprint (RFC 8489 14, 14.5).  QUDAG_EMALFORMED: not STUN,
 * lengths that do not fit, a wrong fingerprint or one that is not the last, a username above STUN_USERNAME_MAX, an
 * integrity that is cut off (14.6, which no usage of ours allows).  QUDAG_EUNSUPPORTED: another method than Binding.
 */
QUDAG_MUST_USE qudag_err stun_parse(struct stun_msg *out, struct slice datagram);

/* Whether the integrity of |datagram|, parsed as |m|, is right under |key|; constant time; false when it has none. */
bool stun_check(const struct stun_msg *m, struct slice datagram, struct slice key);

/*
 * Writes |m| into |dst| of |cap| bytes: with m->integrity it is authenticated under |key|, with m->fingerprint that
 * comes last.  Returns the length; 0: no room, or a username above STUN_USERNAME_MAX.
 */
size_t stun_write(uint8_t *dst, size_t cap, const struct stun_msg *m, struct slice key);

#endif
