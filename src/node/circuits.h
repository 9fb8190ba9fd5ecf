/* circuits.h - circuits we are client of. */
#ifndef QUDAG_SRC_NODE_CIRCUITS_H
#define QUDAG_SRC_NODE_CIRCUITS_H

#include "node/clean.h"
#include "node/isolation.h"
#include "node/meters.h"
#include "node/requests.h"

#define NODE_CIRCUIT_AVOID 16 /* relays that a last hop is not to be */
#define NODE_CIRCUIT_TRIES 5  /* paths tried for one purpose */
#define NODE_CIRCUIT_MISSES                                                                        \
    2 /* of these, that reached all but the last hop, a relay that was named */

/* What a circuit is for.  Functions are called from the drain. */
struct node_circuit_use {
    const char *name; /* static, for tools */
    enum node_meter_circuit
        meter;       /* as what its build is measured; one that is carried, as a connect */
    bool to_service; /* the last hop is a dark address, not a relay */
    bool to_relay;   /* the last hop is a relay that was named, struct node_circuit_end */
    /* Of a service, to R: only what waits for that service is taken, or it for such a use; nothing is begun later. */
    bool meets;
    bool stem;      /* it lacks its last hop, and waits to be taken for another use (clean.h) */
    bool carried;   /* it runs through another circuit: onion_carry(), no path of its own */
    bool exchanges; /* it begins with a request to the gateway: no padding in its place */
    /* NULL, or: its first hop has answered. */
    void (*begun)(struct node *n, struct node_circuit *c, tstamp now);
    /* It carries streams now; may drop |c|. */
    void (*built)(struct node *n, struct node_circuit *c, tstamp now);
    /* It was not built, or broke; called after |c| was taken apart, with what it held. */
    void (*failed)(struct node *n, struct node_circuit *c, qudag_err err, tstamp now);
};

/* A circuit we are client of. */
struct node_circuit {
    struct list node; /* in node.circuits */
    struct ref onion;
    const struct node_circuit_use *use;
    bool open, canceled; /* canceled: by the program; not to be built again */
    bool no_path;        /* there is none yet: tried again until node_path_awaited() says no */
    bool unspent; /* to_service: the budget was asked for a circuit that is still to be begun */
    struct peer_id
        apart; /* the last hop is neither this relay nor of its network or family; len 0: any */
    uint8_t tries, relays, n_hops; /* relays: hops but for a service or a relay that was named */
    uint64_t reached;              /* hops so far, of this path */
    tstamp since;
    tstamp asked_at;         /* exchanges: when the request left */
    tstamp leave_at;         /* spent.c; of a stem that is open: when it is too old */
    struct ref op;           /* who waits for it */
    struct dark_addr dark;   /* to_service: where it leads ...; carries_to */
    struct onion_hop target; /* ... and its last hop; to_relay: that one */
    uint64_t id, call;  /* core/hidden: its names for this one, and for the call or the service */
    uint64_t seq;       /* of the record that names a hidden service */
    struct ref carried; /* a circuit to a service of ours that it carries */
    bool carries; /* it has carried one, of ours or to us: whoever is at its far end may end it */
    bool carries_to;                          /* it carries one of ours, to |dark| with |key| */
    struct peer_id avoid[NODE_CIRCUIT_AVOID]; /* the last hop is none of these */
    uint8_t n_avoid;
    struct node_isolation key;    /* to_service: of all streams on it; carries_to */
    struct node_life_times times; /* when it is too old for what */
    bool told;                    /* NODE_LIFE_OLD: who has streams on it */
    bool expired, ended;          /* being closed: for its age; because it broke */
    bool unanswered;              /* exchanges: the request has left, and no answer came */
    bool judged;                  /* what it says of its guard has been counted */
    bool target_failed; /* all relays were reached, and the last hop that was named was not */
    uint8_t misses; /* to_relay: how often that was so; carried: of points that its call tried */
    struct onion_hop path[ONION_HOPS_MAX];
    struct list waiting; /* node_stream.wait */
};

/* Makes the cores for circuits: onion and relays. */
QUDAG_MUST_USE qudag_err node_circuits_init(struct node *n, tstamp now);
/*
 * Builds one of as many relays as |op| says, or the configuration; for a service, |target| of |dark|
 * behind them.  |op|: who waits for it, or NULL.  *out is owned by the list of circuits.  ENOMEM,
 * ENORELAYS, ENOGUARD (both only when waiting, see node_path_awaited(), would not help), and what onion_build() says.
 */
QUDAG_MUST_USE qudag_err node_circuit_start(struct node *n, const struct node_circuit_use *use,
                                            struct node_op *op, const struct dark_addr *dark,
                                            const struct onion_hop *target,
                                            struct node_circuit **out);
/* Where a circuit that serves a call to a hidden service, or one to us, is to end; borrowed for the call. */
struct node_circuit_end {
    uint64_t id, call;             /* see struct node_circuit */
    const struct onion_hop *relay; /* use.to_relay; addresses need not be known */
    const struct peer_id *avoid;   /* else: drawn, but none of these */
    uint32_t n_avoid;              /* at most NODE_CIRCUIT_AVOID */
};
/* Builds one that ends at a relay, as node_circuit_start() otherwise. */
QUDAG_MUST_USE qudag_err node_circuit_start_end(struct node *n, const struct node_circuit_use *use,
                                                const struct node_circuit_end *end,
                                                struct node_circuit **out);
/*
 * Builds one of |relays| that waits for its last hop; use.meets: for the service |call|.  As node_circuit_start(), but
 * it never waits for a path.
 */
QUDAG_MUST_USE qudag_err node_circuit_start_stem(struct node *n, const struct node_circuit_use *use,
                                                 uint8_t relays, uint64_t call);
/* Whether |stem| waits for what |c| is for: for anybody, or for the meetings of one service. */
static inline bool node_circuit_waits_for(const struct node_circuit *stem,
                                          const struct node_circuit *c)
{
    return stem->use->stem && stem->use->meets == c->use->meets &&
           (!stem->use->meets || stem->call == c->call);
}
/*
 * One to |dark| that is to be carried by another: streams may wait for it until node_circuit_carried() says that it is
 * there, or node_circuit_lost() that it never will be.  ENOMEM.
 */
QUDAG_MUST_USE qudag_err node_circuit_hold(struct node *n, const struct node_circuit_use *use,
                                           const struct dark_addr *dark, struct node_circuit **out);
void node_circuit_carried(struct node *n, struct node_circuit *c, struct ref onion, tstamp now);
void node_circuit_lost(struct node *n, struct node_circuit *c, qudag_err err, tstamp now);
/* Closes a circuit that begins or ends at us, built or not, for good.  ESTALE: also one that we only relay. */
QUDAG_MUST_USE qudag_err node_circuit_cancel(struct node *n, struct ref circuit);
/* One that leads, or will lead, to |dark|, and may carry streams with |key|; NULL: none. */
struct node_circuit *node_circuit_for(struct node *n, const struct dark_addr *dark,
                                      const struct node_isolation *key);
/* The circuit of ours with that name; NULL: none. */
struct node_circuit *node_circuit_get(struct node *n, struct ref circuit);
/* A stream is put on |c|: from the first on it ages (isolation.h). */
void node_circuit_used(struct node *n, struct node_circuit *c);
/* Closes |c| for its age: its streams end with EEXPIRED. */
void node_circuit_expire(struct node *n, struct node_circuit *c);
/* Closes |c|, which nobody waits for, and frees it. */
void node_circuit_end(struct node *n, struct node_circuit *c, tstamp now);
/*
 * What |op| asked over the circuit that serves it, if one does, ended with |err|: that circuit serves nobody any more
 * and is closed later.
 */
void node_circuit_spent(struct node *n, struct node_op *op, qudag_err err, tstamp now);
/* When such circuits are closed. */
QUDAG_MUST_USE qudag_err node_spent_init(struct node *n);
/* Closes the circuit that serves |op|, if one does. */
void node_circuit_close_of(struct node *n, struct node_op *op, tstamp now);
/* Frees all; the onion core still knows them. */
void node_circuits_free(struct node *n);

#endif
