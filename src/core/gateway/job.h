/*
 * job.h - what the files of this folder share: the gateway, its jobs, and how one ends.
 *
 *   gateway.c  life, events, time   ask.c  what we ask   serve.c  what others ask   job.c  jobs and messages
 */
#ifndef QUDAG_SRC_CORE_GATEWAY_JOB_H
#define QUDAG_SRC_CORE_GATEWAY_JOB_H

#include "base/dyn.h"
#include "base/fair.h"
#include "base/limiter.h"
#include "base/slots.h"
#include "core/gateway/gateway.h"
#include "wire/kad_msg.h"

#include <string.h>

#define GATEWAY_JOBS_MAX 4096 /* whatever is configured */

enum gateway_state {
    GATEWAY_JOB_OPENING, /* asking: the stream was asked for */
    GATEWAY_JOB_REPLY,   /* asking: the request left */
    GATEWAY_JOB_REQUEST, /* answering: the request arrives */
    GATEWAY_JOB_WAITING, /* answering: it is whole, and waits for its turn */
    GATEWAY_JOB_RUNNING, /* answering: our owner uses the DHT, even when the stream is gone */
};

struct gateway_job {
    struct heap_node timer;
    struct ref self;
    struct ref strm;        /* none: not open yet, or gone */
    struct fair_item place; /* answering */
    uint64_t link;          /* answering: the circuit it came on */
    uint64_t cookie;        /* asking: the caller's */
    tstamp since;
    enum gateway_state state;
    enum kad_type type;
    uint8_t key[KAD_KEY_MAX];
    size_t key_len;
    struct dyn buf; /* OPENING: value to put; REPLY, REQUEST, WAITING: what arrived */
};

struct gateway {
    struct gateway_config cfg;
    struct slots jobs;
    struct map by_strm; /* jobs with a stream */
    struct heap timers;
    struct limiter limiter;
    struct fair others; /* jobs of others; those that run are at work, complete ones wait */
    uint32_t asking;    /* jobs of our own */
    struct gateway_stats stats;
    bool stuck; /* all that wait have their share at work already */
    tstamp now;
};

/* ---- job.c ---- */

/* A job without stream; its time runs out after |life|.  ELIMIT, ENOMEM. */
QUDAG_MUST_USE qudag_err gateway_job_new(struct gateway *g, enum gateway_state state, uint64_t life,
                                         struct gateway_job **out);
/* The stream is the job's from now on.  ENOMEM. */
QUDAG_MUST_USE qudag_err gateway_job_stream(struct gateway *g, struct gateway_job *j,
                                            struct ref strm);
void gateway_job_unstream(struct gateway *g, struct gateway_job *j); /* it is gone */
/* Ends the job after |life| from now unless it ended before. */
void gateway_job_due(struct gateway *g, struct gateway_job *j, uint64_t life);
void gateway_job_free(struct gateway *g, struct gateway_job *j);
/* A job by its name, which is the cookie of what it asks for; NULL: it ended. */
struct gateway_job *gateway_job_named(const struct gateway *g, uint64_t name);
/* Ends the job with an error: the stream is given up, the caller of an asking job gets a report. */
void gateway_job_fail(struct gateway *g, struct gateway_job *j, qudag_err err, struct acts *out);

/* The decoder wants room for peers, which nobody sends here; |peers| is to be freed by the caller. */
QUDAG_MUST_USE qudag_err gateway_msg_read(struct gateway *g, struct slice buf, struct kad_msg *m,
                                          struct kad_peer_info **peers);
/* Writes the job's message and FIN. */
QUDAG_MUST_USE qudag_err gateway_msg_write(const struct gateway_job *j, bool has_record,
                                           struct slice value, struct acts *out);
/* What may be read and written through us; everything else would make us an open proxy. */
bool gateway_key_is_ours(struct slice key);

static inline bool gateway_slice_eq(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.base, b.base, a.len) == 0);
}

/* ---- ask.c ---- */

/* Our stream is open: the request leaves. */
void gateway_asked_open(struct gateway *g, struct gateway_job *j, struct ref strm,
                        struct acts *out);
void gateway_reply_done(struct gateway *g, struct gateway_job *j, struct acts *out); /* FIN came */

/* ---- serve.c ---- */

/* What runs, and who shares it. */
struct gateway_load {
    uint32_t places;        /* for requests at work */
    uint32_t nets, sources; /* networks that hold something; sources of this network that do */
    uint32_t net_active, source_active; /* at work for this network, and for this source */
};

/*
 * Whether one more request of a source may run: its network has less than its share of the places at work, and it
 * less than its share of the network's.  One share of each is left free for whoever comes next.
 */
bool gateway_may_run(const struct gateway_load *l);

/* A stream that somebody opened to us, of |ev|: becomes a request, or is reset when none may be taken. */
void gateway_inbound_open(struct gateway *g, const struct ev *ev, struct acts *out);
/* Its FIN has come: the request is checked, and waits to be served or is answered with an error. */
void gateway_request_done(struct gateway *g, struct gateway_job *j, struct acts *out);
/* Begins what waits, while there are places and the rate allows. */
void gateway_serve_more(struct gateway *g, struct acts *out);
/* When gateway_serve_more() can do something, if nothing else happens. */
tstamp gateway_serve_at(const struct gateway *g);

#endif
