/*
 * stun.h - asking others where they see a socket of ours, and answering them (RFC 8489, Binding requests).
 *
 *   stun_ask(one socket, up to four servers) ─▶ requests, sent again until answered ─▶ STUN_UP_DONE
 *        what the answers show: rules.h     NAT and its step; the external address; how long a mapping lives
 *   stun_recv(request) ─▶ an answer, within limits
 *
 * Every QuDAG node that serves others is a server.  An answer counts only from where the request went, at the socket
 * that it left from, with its 96 random bits.  Datagrams leave as STUN_UP_SEND.  Requests that name a user or have an
 * integrity are not for this core: they are checks of a meeting.
 */
#ifndef QUDAG_SRC_CORE_STUN_STUN_H
#define QUDAG_SRC_CORE_STUN_STUN_H

#include "base/netaddr.h"
#include "core/core.h"
#include "wire/stun.h"

#define STUN_SERVERS 4                /* asked by one question */
#define STUN_QUESTIONS_MAX 448        /* at once: all extra sockets of the node */
#define STUN_RTO (250 * NS_PER_MS)    /* doubles; RFC 8489 6.2.1 has 500 ms */
#define STUN_SENDS 5                  /* ... and 7 */
#define STUN_LAST_WAIT (2 * NS_PER_S) /* for an answer to the last of them */
#define STUN_DELAY_MAX 120            /* s, of a second answer */
#define STUN_DELAYED_MAX 256 /* second answers that a server owes, a quarter to one network */
#define STUN_PACKET_MAX 160  /* bytes of what is sent */
/* What a server answers: tokens a second and burst, of one network (netaddr_group) and of all. */
#define STUN_NET_RATE 20
#define STUN_NET_BURST 40
#define STUN_ALL_RATE 500
#define STUN_ALL_BURST 500

struct stun_question {
    uint64_t cookie;      /* comes back with the answer */
    struct netaddr local; /* an extra socket; family 0: the one that is listened on */
    size_t n;
    struct netaddr server[STUN_SERVERS]; /* all of one IP version */
    bool in_turn; /* each after the one before has answered: mappings are made in that order */
    bool any;     /* where one sees it is enough: the others are not waited for */
    uint16_t
        delay_s; /* 0: not; each server answers once more after so long without a packet (rules.h) */
};

/* What one server said. */
struct stun_said {
    struct netaddr server, mapped; /* mapped.family 0: it did not answer */
    qudag_err err; /* ETIMEOUT, EREFUSED (an error answer), EUNSUPPORTED (no second answers) */
    bool late;     /* its second answer came */
};

struct stun_answer {
    uint64_t cookie;
    struct netaddr local;
    uint16_t delay_s;
    size_t n;
    struct stun_said said[STUN_SERVERS]; /* in the order of the question */
};

/* ACT_UP kinds */
enum stun_up {
    /* ptr: struct stun_packet, to be sent; n: 1 it answers somebody, 0 it is a request of ours. */
    STUN_UP_SEND = 1,
    /* ptr: struct stun_answer; once for each question. */
    STUN_UP_DONE,
};

struct stun_packet {
    struct netaddr local, to; /* local.family 0: the socket that is listened on */
    size_t len;
    uint8_t bytes[STUN_PACKET_MAX];
};

/* A datagram of STUN as it came. */
struct stun_came {
    struct netaddr local; /* as in struct stun_question */
    struct netaddr remote;
    const struct stun_msg *msg;
    size_t len; /* bytes */
};

struct stun_stats {
    uint64_t asked, sent, answered,
        timed_out;            /* servers; requests; answers; servers that did not */
    uint64_t spoofed;         /* answers with an id of ours from elsewhere */
    uint64_t served, refused; /* requests that were answered, and those beyond the limits */
    uint64_t delayed,
        not_now; /* second answers that were given; those that there was no room for */
};

struct stun;
extern const struct core_ops stun_ops;

/* Freed with stun_free(), which ends all questions without a word.  NULL: no memory. */
struct stun *stun_new(struct mem *mem, const struct rng *rng, tstamp now);
void stun_free(struct stun *s);

/* Whether requests of others are answered; at first they are not. */
void stun_serve(struct stun *s, bool serves);

/* STUN_UP_DONE follows.  QUDAG_EINVAL (no server, or too long a delay), QUDAG_ELIMIT, QUDAG_ENOMEM. */
QUDAG_MUST_USE qudag_err stun_ask(struct stun *s, const struct stun_question *q, tstamp now,
                                  struct acts *out);
/* The socket is gone: questions from it are forgotten, and nothing follows. */
void stun_forget(struct stun *s, const struct netaddr *local);
/* True: it was for this core, whether right or not. */
bool stun_recv(struct stun *s, const struct stun_came *d, tstamp now, struct acts *out);

/* Counted since stun_new(). */
const struct stun_stats *stun_statistics(const struct stun *s);

#endif
