/*
 * introduce_impl.h - what the files of introduction points share.
 *
 *   introduce.c  life, events, time     introduce_ask.c    service and caller
 *   introduce_job.c  how a job ends     introduce_relay.c  relay
 */
#ifndef QUDAG_SRC_CORE_REND_INTRODUCE_IMPL_H
#define QUDAG_SRC_CORE_REND_INTRODUCE_IMPL_H

#include "core/rend/introduce.h"
#include "core/rend/table.h"

enum introduce_state {
    INTRODUCE_OPENING,      /* asking: the stream was asked for */
    INTRODUCE_ESTABLISHING, /* service: ESTABLISH left */
    INTRODUCE_ESTABLISHED,  /* service: INTRODUCE2 arrive, one after the other */
    INTRODUCE_SENT,         /* caller: INTRODUCE1 left */
    INTRODUCE_REQUEST,      /* relay: a request arrives */
    INTRODUCE_BINDING,      /* relay: ESTABLISH is whole, its circuit's binding is asked for */
    INTRODUCE_REFUSED,      /* relay: there was no room for it */
    INTRODUCE_POINT,        /* relay: established */
};

struct introduce {
    struct rend_table t;
    struct rng rng;
    struct introduce_stats stats;
};

/* ---- introduce_job.c ---- */

/* Whether a job of ours is a caller's; else it is a service's. */
bool introduce_is_call(const struct rend_job *j);
/* Its one last report; |status| counts when |err| is OK.  The job is freed. */
void introduce_asked_end(struct introduce *i, struct rend_job *j, qudag_err err, uint8_t status,
                         struct acts *out);
/* Ends the job: its stream is given up, and the owner of one that asks gets a report. */
void introduce_fail(struct introduce *i, struct rend_job *j, qudag_err err, struct acts *out);

/* ---- introduce_ask.c ---- */

void introduce_asked_open(struct introduce *i, struct rend_job *j, struct ref strm,
                          struct acts *out); /* the request leaves */
/* Bytes of the relay: a status, INTRODUCE2.  The job may be gone afterwards; so below. */
void introduce_asked_data(struct introduce *i, struct rend_job *j, struct slice data,
                          struct acts *out);
/* SPEC: rendezvous R-3: a sign of life on an established point's stream, and when the next is due. */
void introduce_asked_keep(struct introduce *i, struct rend_job *j, struct acts *out);
/* The relay sends no more. */
void introduce_asked_fin(struct introduce *i, struct rend_job *j, struct acts *out);

/* ---- introduce_relay.c ---- */

/* Bytes of a request, or what must not follow one. */
void introduce_relay_data(struct introduce *i, struct rend_job *j, struct slice data,
                          struct acts *out);
/* The other end sends no more: its request is whole or never will be, or its point ends. */
void introduce_relay_fin(struct introduce *i, struct rend_job *j, struct acts *out);

#endif
