/*
 * relayed_int.h - what the files of a user of relays share.
 *
 *   relayed.c         life, events, time, bytes       relayed_place.c  places that relays keep for us
 *   relayed_stream.c  making byte streams, both ways
 */
#ifndef QUDAG_SRC_CORE_RELAY_V2_RELAYED_INT_H
#define QUDAG_SRC_CORE_RELAY_V2_RELAYED_INT_H

#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "base/slots.h"
#include "core/relay_v2/frame.h"
#include "core/relay_v2/relayed.h"
#include "core/relay_v2/rules.h"

enum relayed_kind { RELAYED_RESERVING, RELAYED_CONNECTING, RELAYED_ACCEPTING };

enum relayed_state {
    RELAYED_OPENING, /* a stream to the relay was asked for */
    RELAYED_ASKED,   /* it was asked, or asks us: a message comes in */
    RELAYED_CARRYING,
    RELAYED_CLOSING, /* nothing more is to come or to be told */
};

/* A stream of the hop or the stop protocol, and what it becomes. */
struct relayed_job {
    struct heap_node timer;
    struct ref self, strm; /* |strm| none: not open yet */
    enum relayed_kind kind;
    enum relayed_state state;
    uint64_t cookie; /* CONNECTING: the caller's */
    struct relayed_info info;
    struct dyn early; /* CONNECTING: what is sent first, until it is sent */
    bool early_ok;    /* it may go, or come, before the answer */
    struct dyn frame;
    uint64_t own;    /* bytes of messages that have not left yet */
    uint64_t queued; /* bytes of content that have not left yet */
    uint64_t in, out;
    tstamp since; /* when it began to carry */
};

struct relayed {
    struct relayed_config cfg;
    struct slots jobs;
    struct map by_strm;
    struct heap timers;
    struct relayed_place place[RELAYED_RELAYS_MAX]; /* relay.len 0: free */
    bool asking[RELAYED_RELAYS_MAX];
    struct relayed_stats stats;
};

/* relayed_stream.c */
/* A job to be given a stream; QUDAG_ELIMIT, QUDAG_ENOMEM. */
QUDAG_MUST_USE qudag_err relayed_job_new(struct relayed *r, enum relayed_kind kind, tstamp due,
                                         struct relayed_job **out);
void relayed_job_free(struct relayed *r, struct relayed_job *j);
struct relayed_job *relayed_job_of(const struct relayed *r, struct ref strm);
/* The stream is the job's; false: no memory. */
bool relayed_job_stream(struct relayed *r, struct relayed_job *j, struct ref strm);
void relayed_job_due(struct relayed *r, struct relayed_job *j, tstamp at);
/* The stream that was asked for is there. */
void relayed_job_opened(struct relayed *r, struct relayed_job *j, const struct ev *ev, tstamp now,
                        struct acts *out);
/* It will come to nothing: who waits is told, the stream, if any, reset. */
void relayed_job_fail(struct relayed *r, struct relayed_job *j, qudag_err err, uint32_t status,
                      tstamp now, struct acts *out);
/* A relay opened a stream of the stop protocol. */
void relayed_stop_open(struct relayed *r, const struct ev *ev, tstamp now, struct acts *out);
/* Bytes of a message. */
void relayed_job_data(struct relayed *r, struct relayed_job *j, struct slice in, tstamp now,
                      struct acts *out);
/* Bytes of content. */
void relayed_content(struct relayed *r, struct relayed_job *j, struct slice in, struct acts *out);

/* relayed_place.c */
struct relayed_place *relayed_place_of(struct relayed *r, const struct peer_id *relay);
/* The relay has answered, with |err| where it did not or what it said was wrong. */
void relayed_place_done(struct relayed *r, const struct peer_id *relay, qudag_err err,
                        const struct circuit_msg *m, tstamp now, struct acts *out);
/* |j| ended, or was closed; |broken|: not by us, nor in good order, nor at its limit. */
void relayed_place_count(struct relayed *r, const struct relayed_job *j, bool broken);
/* There is a link with |relay|. */
void relayed_place_up(struct relayed *r, const struct peer_id *relay, tstamp now);
/* The last link with |relay| is gone, and with it the place. */
void relayed_place_down(struct relayed *r, const struct peer_id *relay, tstamp now,
                        struct acts *out);
/* Asks where it is time; ends what is over. */
void relayed_places_tick(struct relayed *r, tstamp now, struct acts *out);
tstamp relayed_places_at(const struct relayed *r);

#endif
