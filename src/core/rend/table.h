/*
 * table.h - the streams of one protocol of this folder: ours and others', their times, names and places.
 *
 *   stream of another ─▶ incoming: its request arrives ─▶ lasting: an introduction point, a cookie that waits
 *   stream of ours    ─▶ asking
 *
 * Two cores have one each and share nothing (introduce.h, rendezvous.h).
 */
#ifndef QUDAG_SRC_CORE_REND_TABLE_H
#define QUDAG_SRC_CORE_REND_TABLE_H

#include "base/dyn.h"
#include "base/limiter.h"
#include "base/slots.h"
#include "core/core.h"
#include "core/rend/rules.h"

#define REND_REQUEST_TIMEOUT (5 * NS_PER_S) /* SPEC: rendezvous: from BEGIN to its end */
#define REND_ANSWER_TIMEOUT (10 * NS_PER_S) /* what we wait for an answer, opening included */
#define REND_REQUESTS_MAX 256               /* SPEC: rendezvous: not complete */
#define REND_CIRCUITS_SEEN                                                                         \
    8192                    /* SPEC: rendezvous R-5, R-10: those whose one stream is remembered */
#define REND_ASKING_MAX 256 /* default for what we ask ourselves */
#define REND_MOST 65536     /* of anything, whatever is configured */
#define REND_NAME_LEN 32    /* introduction key, or cookie */

/* One stream, or what asks for one. */
struct rend_job {
    struct heap_node timer;
    struct ref self, strm; /* strm: none: not open yet, or gone */
    unsigned state;        /* the protocol's own */
    bool asks;             /* ours */
    uint64_t cookie;       /* asking: the owner's */
    struct dyn buf;        /* what arrives; before the stream is open: what will be sent */
    /* Answering. */
    struct fair_item place;
    struct rend_places *in; /* what |place| is one of; NULL: nothing */
    uint64_t net, source;   /* of the previous hop */
    uint64_t link;          /* the circuit */
    bool named;
    uint8_t name[REND_NAME_LEN];
    size_t queued;        /* bytes written to the stream that have not left */
    struct limiter limit; /* introduction point */
    tstamp busy_until;    /* introduction point: its service says so */
    struct ref other;     /* of two that are about to be joined */
};

/* What is scarce of one kind, and who holds it. */
struct rend_places {
    struct fair fair;
    uint32_t max;
    enum rend_which which;
};

/* The circuits that had their stream; the oldest are forgotten. */
struct rend_seen {
    struct map set;
    uint64_t *ring;
    uint32_t n, next;
};

struct rend_table {
    struct mem *mem;
    struct slots jobs;
    struct map by_strm, by_name; /* by_name: under a keyed hash */
    uint64_t k0, k1;
    struct heap timers;
    struct rend_places incoming, lasting;
    struct rend_seen seen;
    bool serve;
    uint32_t asking, asking_max;
    uint64_t gave_way, refused_limit;
    tstamp now;
};

struct rend_table_config {
    struct mem *mem;
    struct rng *rng;
    bool serve;
    enum rend_which lasting;
    uint32_t asking_max, requests_max, lasting_max; /* 0: the default */
    uint32_t lasting_default;
};

/* An empty table.  ENOMEM: nothing is to be freed. */
QUDAG_MUST_USE qudag_err rend_table_init(struct rend_table *t, const struct rend_table_config *cfg,
                                         tstamp now);
void rend_table_fini(struct rend_table *t); /* and all its jobs, without a word to anybody */

/* A job of ours, which ends after |life| unless it ended before.  ELIMIT, ENOMEM. */
QUDAG_MUST_USE qudag_err rend_job_ask(struct rend_table *t, unsigned state, uint64_t life,
                                      struct rend_job **out);
/*
 * Somebody opened the stream of |ev| to us: a job in |state| to which REND_REQUEST_TIMEOUT applies, or the stream is
 * reset.  Another job may give way to it.
 */
void rend_job_inbound(struct rend_table *t, const struct ev *ev, unsigned state, struct acts *out);
/* The stream is the job's from now on.  ENOMEM. */
QUDAG_MUST_USE qudag_err rend_job_stream(struct rend_table *t, struct rend_job *j, struct ref strm);
void rend_job_unstream(struct rend_table *t, struct rend_job *j); /* it is gone */
/* The job's time runs out |life| after now; TSTAMP_NEVER: it does not, nor may it be set again. */
void rend_job_due(struct rend_table *t, struct rend_job *j, uint64_t life);
/* Its request is complete, and it lasts: it holds one of those places instead.  ELIMIT, ENOMEM: it is to be dropped. */
QUDAG_MUST_USE qudag_err rend_job_last(struct rend_table *t, struct rend_job *j, struct acts *out);
/* A newcomer takes its place only from a holder, not his own, who has nothing else; j->other goes with it. */
void rend_job_keep(struct rend_job *j);
/* Takes it out of everything and wipes it; its stream is not touched. */
void rend_job_free(struct rend_table *t, struct rend_job *j);
/* Resets its stream, if there is one, and frees it. */
void rend_job_drop(struct rend_table *t, struct rend_job *j, qudag_err err, struct acts *out);

struct rend_job *rend_job_of_stream(const struct rend_table *t, struct ref strm); /* NULL: none */
struct rend_job *rend_job_get(const struct rend_table *t, struct ref self);       /* NULL: gone */
/* The first whose time has come; NULL: none. */
struct rend_job *rend_job_overdue(const struct rend_table *t);
/* When the first job's time comes; TSTAMP_NEVER: none has one. */
tstamp rend_table_deadline(const struct rend_table *t);

/* The job is found by |name| from now on.  EEXISTS, ENOMEM. */
QUDAG_MUST_USE qudag_err rend_name_set(struct rend_table *t, struct rend_job *j,
                                       const uint8_t name[REND_NAME_LEN]);
/* It is found no more, and the name is wiped; a job without one is left alone. */
void rend_name_forget(struct rend_table *t, struct rend_job *j);
/* NULL: none.  SPEC: rendezvous R-8: its time tells nothing about names that are there. */
struct rend_job *rend_name_find(const struct rend_table *t, const uint8_t name[REND_NAME_LEN]);

#endif
