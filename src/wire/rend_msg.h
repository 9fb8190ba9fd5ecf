/*
 * rend_msg.h - what callers, hidden services and the relays between them say to each other (spec/rendezvous.md 1, 2).
 *
 *   REND_INTRODUCE_PROTO    ESTABLISH  = 1 | intro key 32 | rate 2 | burst 2 | signature 64    and INTRODUCE2 back
 *                           INTRODUCE1 = 2 | intro key 32 | handshake 4063
 *   REND_MEET_PROTO         WAIT       = 1 | cookie 32                                         and CREATED back
 *                           MEET       = 2 | cookie 32 | CREATED 1168
 *
 * Each is answered with one byte, a status.  The first byte of a stream says which request it is and so how long: what
 * has another length is none.  INTRODUCE2 is a handshake and nothing else.
 */
#ifndef QUDAG_SRC_WIRE_REND_MSG_H
#define QUDAG_SRC_WIRE_REND_MSG_H

#include "base/rd.h"
#include "base/wr.h"
#include "crypto/sign.h"

#define REND_INTRODUCE_PROTO "/qudag/introduce/1.0.0"
#define REND_MEET_PROTO "/qudag/rendezvous/1.0.0"

#define REND_HS_LEN 4063      /* the handshake of kind 4: rend_handshake.h */
#define REND_CREATED_LEN 1168 /* and its answer */
#define REND_COOKIE_LEN 32
#define REND_BINDING_LEN 32 /* what both ends of a circuit export from its last handshake */

#define REND_ESTABLISH_LEN (1 + ED25519_PK_LEN + 2 + 2 + ED25519_SIG_LEN)
#define REND_INTRODUCE1_LEN (1 + ED25519_PK_LEN + REND_HS_LEN)
#define REND_WAIT_LEN (1 + REND_COOKIE_LEN)
#define REND_MEET_LEN (1 + REND_COOKIE_LEN + REND_CREATED_LEN)
#define REND_REQUEST_MAX REND_INTRODUCE1_LEN

#define REND_RATE_MAX                                                                              \
    200 /* INTRODUCE1 a second that a relay passes on for one introduction point (R-4) */
#define REND_BURST_MAX 400 /* and at once */

enum rend_request {
    REND_NO_REQUEST = 0, /* the stream is to be reset */
    REND_ESTABLISH,
    REND_INTRODUCE1,
    REND_WAIT,
    REND_MEET,
};

/* The byte that answers a request. */
enum rend_status {
    REND_DONE = 0,    /* established, passed on, waiting, joined */
    REND_UNKNOWN = 1, /* no such introduction point, no such cookie */
    REND_FULL = 2,    /* no room, or the introduction point is at its rate */
    REND_BUSY = 3,    /* passed on to a service that says of itself that it meets fewer than call */
};

/* Which request a stream of REND_INTRODUCE_PROTO holds that begins with |first|. */
enum rend_request rend_introduce_request(uint8_t first);

/* The same for REND_MEET_PROTO. */
enum rend_request rend_meet_request(uint8_t first);

/* Bytes of a request, the first included; 0 for REND_NO_REQUEST. */
size_t rend_request_len(enum rend_request which);

/* Whether |status| answers |which|; the asker resets a stream on which another one comes. */
bool rend_status_fits(enum rend_request which, uint8_t status);

/* A service asks a relay to be one of its introduction points. */
struct rend_establish {
    uint8_t intro_key[ED25519_PK_LEN];
    uint16_t rate, burst; /* INTRODUCE1 a second, and at once; 0: as many as the relay allows */
    uint8_t sig[ED25519_SIG_LEN];
};

/*
 * Signs e->rate and e->burst with |sk|, for the circuit that exports |binding|; sets e->intro_key and e->sig.
 * ENOMEM, EINTERNAL: the crypto library failed, |*e| is not to be sent.
 */
QUDAG_MUST_USE qudag_err rend_establish_sign(struct rend_establish *e,
                                             const struct secret_ed25519 *sk,
                                             const uint8_t binding[REND_BINDING_LEN]);

/* Whether it was signed by its intro key for the circuit that exports |binding|.  EAUTH; ENOMEM, EINTERNAL as above. */
QUDAG_MUST_USE qudag_err rend_establish_check(const struct rend_establish *e,
                                              const uint8_t binding[REND_BINDING_LEN]);

/* What a relay passes on for it: |*rate| a second, |*burst| at once, both at least 1. */
void rend_establish_limits(const struct rend_establish *e, uint16_t *rate, uint16_t *burst);

/* Writes REND_ESTABLISH_LEN bytes. */
void rend_establish_put(struct wr *w, const struct rend_establish *e);

/* Reads one; its signature is not looked at.  EMALFORMED: not its first byte, or not its length. */
QUDAG_MUST_USE qudag_err rend_establish_get(struct rend_establish *e, struct slice bytes);

/* A handshake for whoever established the introduction point; borrowed. */
struct rend_introduce1 {
    const uint8_t *intro_key; /* ED25519_PK_LEN bytes */
    const uint8_t *handshake; /* REND_HS_LEN bytes */
};

/* Writes REND_INTRODUCE1_LEN bytes. */
void rend_introduce1_put(struct wr *w, const struct rend_introduce1 *m);

/* Reads one; |*m| points into |bytes|.  EMALFORMED as above. */
QUDAG_MUST_USE qudag_err rend_introduce1_get(struct rend_introduce1 *m, struct slice bytes);

/* A caller waits at a relay: writes REND_WAIT_LEN bytes. */
void rend_wait_put(struct wr *w, const uint8_t cookie[REND_COOKIE_LEN]);

/* Reads one; |*cookie| points into |bytes|.  EMALFORMED as above. */
QUDAG_MUST_USE qudag_err rend_wait_get(const uint8_t **cookie, struct slice bytes);

/* A service comes to a caller that waits; borrowed. */
struct rend_meet {
    const uint8_t *cookie;  /* REND_COOKIE_LEN bytes */
    const uint8_t *created; /* REND_CREATED_LEN bytes */
};

/* Writes REND_MEET_LEN bytes. */
void rend_meet_put(struct wr *w, const struct rend_meet *m);

/* Reads one; |*m| points into |bytes|.  EMALFORMED as above. */
QUDAG_MUST_USE qudag_err rend_meet_get(struct rend_meet *m, struct slice bytes);

#endif
