/*
 * rendezvous_impl.h - what the files of rendezvous points share.
 *
 *   rendezvous.c  life, events, time     rendezvous_ask.c    caller and service
 *   rendezvous_job.c  how a job ends     rendezvous_relay.c  relay
 */
#ifndef QUDAG_SRC_CORE_REND_RENDEZVOUS_IMPL_H
#define QUDAG_SRC_CORE_REND_RENDEZVOUS_IMPL_H

#include "core/rend/rendezvous.h"
#include "core/rend/table.h"

enum rendezvous_state {
    RENDEZVOUS_OPENING,  /* asking: the stream was asked for */
    RENDEZVOUS_PLACING,  /* caller: WAIT left */
    RENDEZVOUS_PLACED,   /* caller: the relay knows the cookie; CREATED arrives */
    RENDEZVOUS_TAKEN,    /* caller: CREATED was reported; FIN follows */
    RENDEZVOUS_MEETING,  /* service: MEET left */
    RENDEZVOUS_REQUEST,  /* relay: a request arrives */
    RENDEZVOUS_WAITING,  /* relay: its cookie is known */
    RENDEZVOUS_HANDOVER, /* relay: the caller's stream, on which CREATED leaves */
    RENDEZVOUS_COMING,   /* relay: the service's stream meanwhile */
};

struct rendezvous {
    struct rend_table t;
    struct rendezvous_stats stats;
};

/* ---- rendezvous_job.c ---- */

/* Whether a job of ours is a service's that comes; else it is a caller's. */
bool rendezvous_is_meet(const struct rend_job *j);
/* Its last report, if it had none, with |err|.  The job is freed. */
void rendezvous_asked_end(struct rendezvous *r, struct rend_job *j, qudag_err err,
                          struct acts *out);
/*
 * Ends the job and what is about to be joined with it: the streams are given up, and the owner of one that asks gets a
 * report.
 */
void rendezvous_fail(struct rendezvous *r, struct rend_job *j, qudag_err err, struct acts *out);

/* ---- rendezvous_ask.c ---- */

void rendezvous_asked_open(struct rendezvous *r, struct rend_job *j, struct ref strm,
                           struct acts *out); /* the request leaves */
/* Bytes of the relay: a status, CREATED.  The job may be gone afterwards; so below. */
void rendezvous_asked_data(struct rendezvous *r, struct rend_job *j, struct slice data,
                           struct acts *out);
/* The relay sends no more. */
void rendezvous_asked_fin(struct rendezvous *r, struct rend_job *j, struct acts *out);

/* ---- rendezvous_relay.c ---- */

/* Bytes of a request, or what must not follow one. */
void rendezvous_relay_data(struct rendezvous *r, struct rend_job *j, struct slice data,
                           struct acts *out);
/* The other end sends no more: its request is whole, or never will be. */
void rendezvous_relay_fin(struct rendezvous *r, struct rend_job *j, struct acts *out);
/* |n| bytes have left the stream. */
void rendezvous_relay_sent(struct rendezvous *r, struct rend_job *j, size_t n, struct acts *out);

#endif
