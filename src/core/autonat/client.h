/*
 * client.h - the side of AutoNAT v2 that wants to know whether it can be dialled (autonat/autonat-v2.md).
 *
 *   autonat_ask ─▶ OPENING ─ stream open, request written ─▶ ASKING ─ response ─▶ reported
 *                                        │   ▲                  │
 *                    bytes are asked for ┴───┘ once             └ it says OK and no nonce came yet ─▶ LATE ─▶ reported
 *   a stream of the dial-back protocol brings the nonce: whatever the response says, it proves the dial
 *
 * Only a nonce makes a "yes": a server that says OK and has not dialled is a liar, and says nothing.  One address is
 * asked about at a time, so no server can dial one and vouch for another.
 */
#ifndef QUDAG_SRC_CORE_AUTONAT_CLIENT_H
#define QUDAG_SRC_CORE_AUTONAT_CLIENT_H

#include "core/autonat/frame.h"
#include "core/link.h"
#include "wire/autonat_msg.h"

#define AUTONAT_TRIES_MAX 2                  /* questions under way */
#define AUTONAT_BACKS_MAX 8                  /* streams that bring nonces; the oldest makes room */
#define AUTONAT_TIMEOUT (40 * NS_PER_S)      /* for a question: bytes, the dial, its handshake */
#define AUTONAT_LATE (5 * NS_PER_S)          /* for a nonce behind the response */
#define AUTONAT_BACK_TIMEOUT (10 * NS_PER_S) /* for a nonce on its stream */

enum autonat_word {
    AUTONAT_NOTHING, /* it would or could not, or lied: err says which */
    AUTONAT_YES,
    AUTONAT_NO,
};

/* ACT_UP kinds */
enum autonat_up {
    /*
     * The end of autonat_ask(): peer; obj.. ptr is a struct autonat_answer.  err: QUDAG_OK, or of AUTONAT_NOTHING:
     * EREFUSED (not these addresses), ELIMIT (not now), EAUTH (it lied), ETIMEOUT, EPROTO, or why the stream failed.
     */
    AUTONAT_UP_ANSWER = 1,
    /* The server is to dial: ptr is a struct autonat_order (server.h). */
    AUTONAT_UP_DIAL,
    /* ... and to go on with that no more: cookie is order.job. */
    AUTONAT_UP_CANCEL,
};

struct autonat_answer {
    struct peer_id peer;
    struct multiaddr addr, server; /* as autonat_ask() was told */
    enum autonat_word word;
};

struct autonat_try {
    uint8_t state; /* enum in client.c; 0: free */
    bool came;     /* the nonce */
    bool paid;     /* bytes were sent */
    uint64_t nonce, cookie;
    struct autonat_answer about;
    struct ref strm;
    tstamp due;
    struct autonat_frame frame;
    uint8_t buf[256];
};

struct autonat_back {
    struct ref strm; /* none: free */
    struct link_info link;
    tstamp due;
    struct autonat_frame frame;
    uint8_t buf[AUTONAT_BACK_MAX];
};

/* Counted since the beginning. */
struct autonat_client_stats {
    uint64_t asked, yes, no, nothing, lies, bytes, backs_unknown;
};

struct autonat_client {
    struct rng rng;
    uint64_t cookies;
    struct autonat_try try[AUTONAT_TRIES_MAX];
    struct autonat_back back[AUTONAT_BACKS_MAX];
    struct autonat_client_stats stats;
};

/* Of AUTONAT_REQUEST_PROTOCOL, to servers; of AUTONAT_BACK_PROTOCOL, inbound. */
extern const struct core_ops autonat_ask_ops, autonat_back_ops;

/* All zeros but |rng|, which is copied. */
void autonat_client_init(struct autonat_client *c, const struct rng *rng);
/*
 * Asks about->peer, linked at about->server, about about->addr; AUTONAT_UP_ANSWER follows.  The actions are of
 * autonat_ask_ops.  QUDAG_ELIMIT: too many are under way; QUDAG_EEXISTS: it is being asked.
 */
QUDAG_MUST_USE qudag_err autonat_ask(struct autonat_client *c, const struct autonat_answer *about,
                                     tstamp now, struct acts *out);
/* The stream of a dial-back that was opened in this call runs over |link|. */
void autonat_back_link(struct autonat_client *c, struct ref strm, const struct link_info *link);
/*
 * Whether a nonce over |link| proves that the server, linked with us at |server|, dialled |addr|: it was dialled to us,
 * directly, by that transport and IP version, and not from where the server's own link comes: a NAT lets that in.
 */
bool autonat_rule_back(const struct multiaddr *addr, const struct multiaddr *server,
                       const struct link_info *link);

#endif
