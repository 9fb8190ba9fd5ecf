/*
 * hop_int.h - what the files of the hop share.
 *
 *   hop.c      life, events, time          hop_reserve.c   places of peers
 *   hop_job.c  requests and how they end   hop_carry.c     bytes between two streams
 *   hop_peer.c who takes part in circuits
 */
#ifndef QUDAG_SRC_CORE_RELAY_V2_HOP_INT_H
#define QUDAG_SRC_CORE_RELAY_V2_HOP_INT_H

#include "base/fair.h"
#include "base/limiter.h"
#include "base/slots.h"
#include "core/relay_v2/frame.h"
#include "core/relay_v2/hop.h"
#include "core/relay_v2/rules.h"

#define HOP_ELSEWHERE_MAX 4 /* of one request */
#define HOP_TICK_MAX 64     /* jobs that end in one tick */

enum hop_state {
    HOP_READING, /* the request comes in */
    HOP_OPENING, /* the stream to the peer that was asked for was asked for */
    HOP_ASKED,   /* it was told; its answer comes in */
    HOP_CARRYING,
    HOP_ENDING, /* it was answered, and is to close */
};

/* One of the two streams of a circuit. */
struct hop_side {
    struct ref strm;       /* none: not open yet, or gone */
    struct list turn;      /* in hop.turns while |owed| waits */
    struct heap_node wait; /* in hop.waits instead, while a rate of its own holds it back */
    struct hop_job *job;   /* whose it is */
    uint64_t passed;       /* bytes of content that came in on it */
    uint64_t own;          /* bytes written to it first, for which nobody waits for credit */
    uint64_t owed;         /* credit that its peer is to get back */
    bool fin;              /* its peer sends no more */
};

/* Who takes part in circuits, while he does. */
struct hop_peer {
    struct peer_id id;
    uint32_t circuits;
    struct limiter rate;
};

/* A request, then a circuit. */
struct hop_job {
    struct heap_node timer;
    struct fair_item place;
    struct ref self;
    enum hop_state state;
    uint64_t net, host; /* where the request comes from */
    uint8_t props;      /* of its link */
    struct peer_id from, to;
    struct hop_peer *peer[2]; /* while it counts as a circuit: |from|, |to|; else NULL */
    struct circuit_limit limit;
    struct limiter rate;
    tstamp since;            /* CARRYING */
    struct dyn frame;        /* READING, ASKED */
    struct dyn early;        /* what came behind a CONNECT, until it is passed on */
    bool to_early;           /* the peer that was asked for takes it before its answer */
    uint8_t elsewhere;       /* times the link below its stream was given up for another */
    bool late;               /* more came behind |early|, and went on: it cannot be said again */
    tstamp asked, give_up;   /* OPENING, ASKED */
    struct hop_side side[2]; /* of who asked; of who was asked for */
};

struct hop_reservation {
    struct heap_node timer;
    struct fair_item place;
    struct peer_id peer;
    tstamp issued;
    uint64_t expire;
    size_t voucher_len;
    uint8_t voucher[CIRCUIT_VOUCHER_MAX];
};

struct hop_service {
    struct hop_config cfg;
    struct slots jobs;
    struct map by_strm; /* hop_side */
    struct map places;  /* peer id -> hop_reservation */
    struct map peers;   /* peer id -> hop_peer */
    struct heap timers, expiries;
    struct heap waits; /* hop_side.wait */
    /* hop_job.place is in one of the first two: it is a circuit, or a request. */
    struct fair fair_circuits, fair_requests, fair_places;
    struct limiter rate;
    struct list turns; /* hop_side.turn */
    bool closed;       /* gives no places away */
    tstamp now;
    struct hop_stats stats;
    size_t n_addrs;
    struct multiaddr addr[CIRCUIT_ADDRS_MAX];
};

/* hop_job.c */
/* A stream that a peer opened: a job, or reset.  |ev|: via is a name of the host, 0: its peer is that. */
void hop_job_open(struct hop_service *h, const struct ev *ev, tstamp now, struct acts *out);
/* The job of |cookie|, which was asked for a stream; NULL: gone. */
struct hop_job *hop_job_opening(const struct hop_service *h, uint64_t cookie);
struct hop_side *hop_side_of(const struct hop_service *h, struct ref strm);
/* Bytes of a job that carries nothing yet. */
void hop_job_data(struct hop_service *h, struct hop_side *s, struct slice in, tstamp now,
                  struct acts *out);
/* The stream to the peer that was asked for is there, or will not be. */
void hop_job_opened(struct hop_service *h, struct hop_job *j, const struct ev *ev, tstamp now,
                    struct acts *out);
/* No answer came for a while: asked again, over another stream; false: it is too late, or cannot be said again. */
bool hop_job_ask_again(struct hop_service *h, struct hop_job *j, tstamp now, struct acts *out);
/* The stream to the peer ended as its path is quiet, and another link is there: asked over that at once; false: no. */
bool hop_job_elsewhere(struct hop_service *h, struct hop_job *j, tstamp now, struct acts *out);
/* Whoever asked is answered with a refusal, and the stream to the other, if any, given up. */
void hop_job_refuse(struct hop_service *h, struct hop_job *j, enum circuit_status status,
                    tstamp now, struct acts *out);
/* Both streams are given up with |err|, and the job is gone. */
void hop_job_end(struct hop_service *h, struct hop_job *j, qudag_err err, struct acts *out);
void hop_job_free(struct hop_service *h, struct hop_job *j);
void hop_job_due(struct hop_service *h, struct hop_job *j, tstamp at);
/* Writes |m| to |s|; false: it cannot be. */
bool hop_side_write(struct hop_side *s, enum circuit_side side, const struct circuit_msg *m,
                    struct acts *out);

/* hop_peer.c */
/* Whether one more circuit between |from| and |to| is within what each may have. */
bool hop_peer_may(const struct hop_service *h, const struct peer_id *from,
                  const struct peer_id *to);
/*
 * Whether there is room for one more circuit of the source of |j|: with none free, |*gives_way| of somebody who has
 * more than his share is to end first; else it is NULL.
 */
bool hop_peer_room(const struct hop_service *h, const struct hop_job *j,
                   struct hop_job **gives_way);
/* |j| counts as a circuit of its two peers from now on.  QUDAG_ENOMEM. */
QUDAG_MUST_USE qudag_err hop_peer_join(struct hop_service *h, struct hop_job *j);
/* Not any more, if it did: it is a request that is answered. */
void hop_peer_leave(struct hop_service *h, struct hop_job *j);
/* When the rates of the circuit of |s| and of its two peers let |n| bytes pass, at least |now|. */
tstamp hop_peer_ready(const struct hop_service *h, const struct hop_side *s, uint64_t n,
                      tstamp now);
/* They have passed. */
void hop_peer_take(const struct hop_service *h, struct hop_side *s, uint64_t n, tstamp now);

/* hop_reserve.c */
/* A place for the peer of |j|: QUDAG_OK and |m| says so, borrowed while the place lasts; QUDAG_ELIMIT, QUDAG_ENOMEM. */
QUDAG_MUST_USE qudag_err hop_reserve(struct hop_service *h, const struct hop_job *j,
                                     struct circuit_msg *m, tstamp now);
/* The place of |peer| is free again, if it had one. */
void hop_unreserve(struct hop_service *h, const struct peer_id *peer, tstamp now);
/* Places whose time is over are free again. */
void hop_expire(struct hop_service *h, tstamp now);

/* hop_carry.c */
/* Bytes that came in on |s| go to the other side; over the limit both end. */
void hop_carry_data(struct hop_service *h, struct hop_side *s, const struct ev *ev,
                    struct acts *out);
/* |n| bytes have left to the peer of |s|: the other side may send as many again. */
void hop_carry_sent(struct hop_service *h, struct hop_side *s, uint64_t n, tstamp now,
                    struct acts *out);
/* The peer of |s| sends no more. */
void hop_carry_fin(struct hop_service *h, struct hop_side *s, struct acts *out);
/* Credit to those whose turn it is, as the rate allows. */
void hop_carry_turns(struct hop_service *h, tstamp now, struct acts *out);
/* When more of it may be given; TSTAMP_NEVER: nobody waits. */
tstamp hop_carry_at(const struct hop_service *h);

/* What a rate allows at once: that of a second, and a turn at least. */
static inline uint64_t hop_burst(uint64_t rate)
{
    return rate > HOP_QUANTUM ? rate : HOP_QUANTUM;
}

static inline struct hop_side *hop_other(struct hop_side *s)
{
    return &s->job->side[s == &s->job->side[0] ? 1 : 0];
}

#endif
