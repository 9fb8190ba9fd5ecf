/*
 * request.h - what the program or we ourselves ask for: a lookup and what is read or stored.
 *
 *   request.c  begin, answers, the one report     get.c  what answers say of a value     put.c  storing
 */
#ifndef QUDAG_SRC_CORE_KAD_REQUEST_H
#define QUDAG_SRC_CORE_KAD_REQUEST_H

#include "core/kad/kad.h"
#include "core/kad/lookup/lookup.h"

#define KAD_REQUESTS_INTERNAL 8
#define KAD_REQUESTS_AFTER                                                                         \
    16                     /* reported, but with stores on their way: so many times requests_max */
#define KAD_TARGETS_MAX 48 /* nodes a value is sent to */
#define KAD_REFETCH_MAX 8  /* values fetched because their digest differs */

/* put: to store; get: the best so far. */
struct kad_value {
    uint8_t *bytes;
    size_t len;
    uint8_t digest[SHA256_LEN];
    uint32_t confirmed, refetched; /* get */
};

/* The nodes that are sent the value, and how it goes. */
struct kad_storing {
    size_t n_target, n_settled, n_failed, n_late;
    struct kad_contact *target[KAD_TARGETS_MAX]; /* referenced */
    size_t copies;                               /* targets wanted that have not failed */
    uint32_t want;                               /* acknowledgements; UINT32_MAX: nobody waits */
};

enum kad_phase { KAD_PHASE_LOOKUP, KAD_PHASE_STORE };

struct kad_request {
    struct kad_lookup look; /* first: its RPCs lead back to it */
    struct kad *k;
    struct list node;
    struct kad_timer timer;
    enum kad_op op;
    enum kad_phase phase;
    bool internal, reported;
    bool fill; /* of the parts after a bootstrap */
    uint64_t cookie;
    tstamp began, due;
    unsigned refresh; /* bootstrap: next bucket */
    uint32_t hops;
    const struct kad_validator *val;
    enum kad_read read;
    struct kad_value value;
    struct kad_storing store;
    size_t n_found; /* find peer, providers, holders: referenced contacts */
    struct kad_contact *found[KAD_PEERS_MAX];
    struct kad_result result;
    struct kad_peer_info *infos;
};

/* key: of the request; value: put. */
struct kad_request_args {
    enum kad_op op;
    bool internal;
    uint64_t cookie;
    struct slice key, value;
    const struct kad_validator *val;
    struct kad_options opt;
    unsigned bits; /* KAD_OP_FIND: of the key's hash, see struct kad_lookup_params */
    bool fill;
};

/* ---- request.c ---- */

/* A request that has not begun: to be begun or freed.  QUDAG_ELIMIT, ENOMEM. */
QUDAG_MUST_USE qudag_err kad_request_make(struct kad *k, const struct kad_request_args *args,
                                          tstamp now, struct kad_request **out);
/* Begins it; it is reported, maybe before this returns. */
void kad_request_begin(struct kad_request *j, tstamp now, struct acts *out);
/* Both; QUDAG_ELIMIT, ENOMEM: nothing has begun. */
QUDAG_MUST_USE qudag_err kad_request_start(struct kad *k, const struct kad_request_args *args,
                                           tstamp now, struct acts *out);
/* One more request of the caller would be too many. */
bool kad_requests_full(const struct kad *k);
/* Goes on after an answer, a timeout, or when there is room again. */
void kad_request_run(struct kad_request *j, tstamp now, struct acts *out);
/* Its time is up. */
void kad_request_timer(struct kad_request *j, tstamp now, struct acts *out);
/* The one report; what is still on its way goes on. */
void kad_request_report(struct kad_request *j, qudag_err err, tstamp now, struct acts *out);
/* Reports if that is still to be done; the object stays until the report has been carried out. */
void kad_request_end(struct kad_request *j, qudag_err err, tstamp now, struct acts *out);
/* With its RPCs; nothing is reported. */
void kad_request_free(struct kad_request *j);
/* |p| goes into the result. */
void kad_request_found(struct kad_request *j, struct kad_contact *p);
/* We go into the result. */
void kad_request_found_self(struct kad_request *j);

/* ---- get.c ---- */

/* Copies |value| in; false: no memory. */
QUDAG_MUST_USE bool kad_get_value(struct kad_request *j, struct slice value);
/* What the answer of |c| to |r| says of the value; it may be asked again, for the whole. */
void kad_get_take(struct kad_request *j, struct kad_cand *c, const struct kad_rpc *r,
                  const struct kad_msg *m, tstamp now, struct acts *out);
/* Whether the next is asked for a digest only. */
bool kad_get_by_digest(const struct kad_request *j);
/* Whether the value is as sure as asked for. */
bool kad_get_enough(const struct kad_request *j);
/* The lookup is over, or that sure. */
void kad_get_end(struct kad_request *j, tstamp now, struct acts *out);
/* Those that hold the best value go into the result. */
void kad_get_holders(struct kad_request *j);

/* ---- put.c ---- */

/* A node near enough is sent the value before the lookup is over. */
void kad_put_early(struct kad_request *j, const struct kad_cand *c, tstamp now, struct acts *out);
/* The lookup is over. */
void kad_put_begin(struct kad_request *j, tstamp now);
/* Sends the value to one more; false without room. */
bool kad_put_to(struct kad_request *j, struct kad_contact *p, tstamp now, struct acts *out);
/* Goes on; true when all is settled. */
bool kad_put_on(struct kad_request *j, tstamp now, struct acts *out);
/* |r| was answered, maybe with something else. */
void kad_put_reply(struct kad_request *j, struct kad_rpc *r, const struct kad_msg *m, tstamp now,
                   struct acts *out);
/* |r| was not answered: the next closest will replace it. */
void kad_put_fail(struct kad_request *j, const struct kad_rpc *r, tstamp now, struct acts *out);
/* OK: the quorum stored it.  UNREACHABLE: fewer or nobody did; the result names them. */
qudag_err kad_put_result(const struct kad_request *j);

#endif
