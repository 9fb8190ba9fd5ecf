/*
 * rpc.h - one message to one node and its answer, on a stream of its own.
 *
 * Its owner (struct kad_rpc_owner) composes the message and is told what came of it.  A liveness check has no owner,
 * and neither has an RPC whose owner has ended.
 */
#ifndef QUDAG_SRC_CORE_KAD_LOOKUP_RPC_H
#define QUDAG_SRC_CORE_KAD_LOOKUP_RPC_H

#include "base/dyn.h"
#include "base/list.h"
#include "base/map.h"
#include "base/slots.h"
#include "core/kad/lookup/rtt.h"
#include "core/kad/routing/contacts.h"

#define KAD_RPCS_MAX 2048
#define KAD_CHECKS_MAX 16
#define KAD_DIAL_SAMPLE (NS_PER_MS / 2) /* a stream that opens sooner had its link already */
#define KAD_LINGER (5 * NS_PER_S)

/*
 * OPENING --stream open--> WAITING --answer--> LINGER --fin, reset, time--> gone
 *    ^------link closed, once-'
 */
enum kad_rpc_state { KAD_RPC_OPENING, KAD_RPC_WAITING, KAD_RPC_LINGER };

/* How far its time has run. */
enum kad_stage { KAD_STAGE_EARLY, KAD_STAGE_SOFT, KAD_STAGE_LATE };

/* Whether the node is told the owner's key or another: see kad_lookup_told_key(). */
enum kad_alt { KAD_ALT_NONE, KAD_ALT_MASK, KAD_ALT_NEIGHBOUR };

struct kad_call {
    enum kad_type type;
    uint8_t alt; /* enum kad_alt; KAD_ALT_NEIGHBOUR + i: neighbour prefix i */
    bool full;   /* get: the value even if we hold one */
    bool linked; /* only over a link that stands */
};

struct kad_rpc;
struct kad_rpc_owner;

/* Each is called at most once for an RPC, but |slow|: at its soft and at its late time. */
struct kad_rpc_ops {
    /* Fills in what is asked; |prefix|: room for a key to be told instead of the own.  False: it cannot be sent. */
    bool (*compose)(struct kad_rpc_owner *o, const struct kad_rpc *r, struct kad_msg *m,
                    uint8_t prefix[KAD_PREFIX_KEY]);
    /* |m| borrows from the buffers; NULL: acknowledged without an answer. */
    void (*reply)(struct kad_rpc_owner *o, struct kad_rpc *r, const struct kad_msg *m, tstamp now,
                  struct acts *out);
    void (*fail)(struct kad_rpc_owner *o, struct kad_rpc *r, tstamp now, struct acts *out);
    void (*slow)(struct kad_rpc_owner *o, struct kad_rpc *r, tstamp now, struct acts *out);
};

struct kad_rpc_owner {
    const struct kad_rpc_ops *ops;
    struct list rpcs;
};

struct kad_rpc {
    struct kad_timer timer;
    struct list node;            /* in the owner's list, or in kad_rpcs.checks or .detached */
    struct kad_rpc_owner *owner; /* NULL: a liveness check, or nobody waits any more */
    struct kad_contact *peer;
    struct ref name, strm;
    struct kad_call call;
    enum kad_rpc_state state;
    enum kad_stage stage;
    bool check;
    bool refused; /* it lives and says no: that is not held against it */
    bool again;   /* its link was closed, and it was asked again over another */
    bool counted_late;
    tstamp began, sent, late, hard;
    struct dyn in;
};

struct kad_rpcs {
    struct kad_env *env;
    struct kad_routing *routing;
    struct map by_strm; /* by ref_to_u64(): named by the driver, so no peer can choose them */
    struct slots slots;
    uint32_t n_checks;
    struct list detached; /* without an owner */
    struct list checks;   /* that only ask whether a node lives */
    struct kad_rtt rtt;
};

/* None are on their way. */
void kad_rpcs_init(struct kad_rpcs *rs, struct kad_env *env, struct kad_routing *routing);
void kad_rpcs_fini(struct kad_rpcs *rs); /* owners have ended before */

/* Whether it stores something at the node asked. */
static inline bool kad_type_stores(enum kad_type type)
{
    return type == KAD_PUT_VALUE || type == KAD_ADD_PROVIDER;
}

/* The RPC of an ACT_OPEN; NULL: gone. */
struct kad_rpc *kad_rpc_by_cookie(const struct kad_rpcs *rs, uint64_t cookie);
/* Asks |peer|; |owner| NULL: nobody is told.  QUDAG_ENOMEM, ELIMIT. */
QUDAG_MUST_USE qudag_err kad_rpc_start(struct kad_rpcs *rs, struct kad_rpc_owner *owner,
                                       struct kad_contact *peer, struct kad_call call, tstamp now,
                                       struct acts *out);
/* Its owner ends or needs no answer: it goes on by itself. */
void kad_rpc_detach(struct kad_rpcs *rs, struct kad_rpc *r);
/* Ends at once; |out| NULL: the stream is not reset. */
void kad_rpc_abort(struct kad_rpcs *rs, struct kad_rpc *r, struct acts *out);
/* The stream is open. */
void kad_rpc_opened(struct kad_rpcs *rs, struct kad_rpc *r, struct ref strm, tstamp now,
                    struct acts *out);
/* It is over without an answer: timeout, reset, refused, bad message.  |reset|: the stream, too. */
void kad_rpc_failed(struct kad_rpcs *rs, struct kad_rpc *r, bool reset, tstamp now,
                    struct acts *out);
/* The remote gave the stream up. */
void kad_rpc_reset(struct kad_rpcs *rs, struct kad_rpc *r, qudag_err err, tstamp now,
                   struct acts *out);
/* Bytes of the answer. */
void kad_rpc_data(struct kad_rpcs *rs, struct kad_rpc *r, struct slice data, tstamp now,
                  struct acts *out);
/* The remote sends no more. */
void kad_rpc_fin(struct kad_rpcs *rs, struct kad_rpc *r, tstamp now, struct acts *out);
/* Its soft, late or hard time has come, or the end of lingering. */
void kad_rpc_timer(struct kad_rpcs *rs, struct kad_rpc *r, tstamp now, struct acts *out);
/* FIND_NODE for ourselves, to learn whether |peer| answers; NULL, one too many, or one being checked: nothing. */
void kad_rpc_check(struct kad_rpcs *rs, struct kad_contact *peer, tstamp now, struct acts *out);
/* The same if there is a link to it. */
void kad_rpc_check_linked(struct kad_rpcs *rs, struct kad_contact *peer, tstamp now,
                          struct acts *out);

#endif
