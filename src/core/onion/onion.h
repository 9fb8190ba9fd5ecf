/*
 * onion.h - onion circuits, client and relay side, over streams of ONION_PROTOCOL.
 *
 *   client ──CREATE──▶ hop 1        one bidirectional QUIC stream per circuit and link;
 *   client ══EXTEND══▶ hop 1 ──CREATE──▶ hop 2   ... telescoping
 *
 * A finished circuit is a link: streams to its last hop are opened on it with onion_stream_open(); in the
 * node that is the transport of circuits (src/node/arrow_circuits_swarm.c).
 * Handshake, cells and messages: spec/onion.md.
 */
#ifndef QUDAG_SRC_CORE_ONION_ONION_H
#define QUDAG_SRC_CORE_ONION_ONION_H

#include "core/link.h"
#include "wire/onion_handshake.h"

#define ONION_PROTOCOL "/qudag/onion/1.0.0"
#define ONION_CELL_LEN 1120
#define ONION_BODY_LEN 1119 /* after the class byte */
#define ONION_IDLE_LIFE (600 * NS_PER_S)
#define ONION_BUILD_TIMEOUT (20 * NS_PER_S)

struct onion_config {
    struct mem *mem;
    struct rng rng;
    struct logger log;
    struct peer_id self;
    uint8_t self_pq_hash[32];
    bool relay;            /* extend circuits for others */
    uint32_t circuits_max; /* all sides; default 4096 */
    uint32_t
        create_rate; /* CREATE handshakes per second, shared by whoever wants some; default 2000 */
    uint32_t streams_max; /* per circuit; default and most ONION_STREAMS_MAX */
    uint64_t build_ns;    /* a build is given up after; default ONION_BUILD_TIMEOUT */
};

struct onion;
/*
 * Our ML-DSA identity key had the hash |pq_hash| until lately: handshakes of those who know us by it are answered, too.
 * What they are sealed for, the onion key, is the same.
 */
void onion_former(struct onion *o, const uint8_t pq_hash[32]);
/* Our ML-DSA identity key has the hash |pq_hash| from now on; the one until now is the former one. */
void onion_rekey(struct onion *o, const uint8_t pq_hash[32]);

enum onion_up {
    ONION_UP_BUILT = 1, /* obj: circuit, n: build time in ns; it can carry streams now */
    ONION_UP_HOP,       /* obj, n: hops so far */
    /* obj, err, n: hop number where it broke, 0: unknown, or no hop is to blame.  Also for failed builds,
       onion_close() (ECANCELED), idle circuits (ETIMEOUT) and those that ONION_UP_INBOUND reported. */
    ONION_UP_CLOSED,
    ONION_UP_EVENT, /* ptr: const struct link_ev *, an event of a stream over a circuit */
    /* obj: circuit that ends at us, cookie: tag of the key it used.  Reported with its first stream;
       until then it may still be extended. */
    ONION_UP_INBOUND,
    /*
     * obj: a circuit through us, ptr: const struct onion_ask *: it is to be extended.  The owner sees whether it may
     * be, and that a link which we dialled stands, then calls onion_extend_go() or onion_extend_refuse().
     */
    ONION_UP_EXTEND,
};

/* Whom an EXTEND names. */
struct onion_ask {
    struct onion_hop to; /* peer; with |ends| pq_hash, addresses, statement */
    bool ends;           /* it is no relay and comes with its statement, not checked yet */
    struct peer_id prev; /* our neighbour who asks */
    uint64_t net, via;   /* its network, netaddr_wide_group(), and a name for it: for fairness */
};

struct onion;
extern const struct core_ops onion_ops; /* manual_credit */

/* A core without circuits and keys; to be freed with onion_free.  ENOMEM. */
QUDAG_MUST_USE qudag_err onion_new(struct onion **out, const struct onion_config *cfg, tstamp now);
/* Frees all circuits without reports and wipes their keys; NULL is allowed. */
void onion_free(struct onion *o);
/* What build_ns is for builds that begin, or take another step, from now on; not 0. */
void onion_set_build_time(struct onion *o, uint64_t build_ns);

#define ONION_KEYS_MAX 132 /* two generations of a relay and of 64 dark addresses, and two more */
/*
 * CREATE cells may name |key| (copied) from now on; |dk| is taken over on success.  ELIMIT (ONION_KEYS_MAX),
 * EEXISTS, ENOMEM.
 */
QUDAG_MUST_USE qudag_err onion_key_add(struct onion *o, const struct onion_key *key,
                                       struct mlkem_key *dk);
/* CREATE cells may no longer name the key; circuits that used it stay.  Unknown: nothing happens. */
void onion_key_del(struct onion *o, const uint8_t key_id[8]);

/* Whether CREATE cells may name any key: otherwise no circuit ends here or passes through. */
bool onion_has_keys(const struct onion *o);

/* The answer to ONION_UP_EXTEND: a stream is opened over a link that stands.  Gone, or answered: nothing. */
void onion_extend_go(struct onion *o, struct ref circuit, tstamp now, struct acts *out);
/* The answer to ONION_UP_EXTEND: it is not extended.  The client learns that, not why, 1 to 3 s after it asked. */
void onion_extend_refuse(struct onion *o, struct ref circuit, tstamp now, struct acts *out);

/* Builds a circuit; the result is ONION_UP_BUILT or ONION_UP_CLOSED.  EINVAL, ELIMIT, ENOMEM. */
QUDAG_MUST_USE qudag_err onion_build(struct onion *o, const struct onion_hop *hops, size_t n,
                                     tstamp now, struct acts *out, struct ref *circuit);
/*
 * Builds a stem: a circuit that lacks its last hop, and is no use before it has it.  Results and errors as above.
 */
QUDAG_MUST_USE qudag_err onion_build_stem(struct onion *o, const struct onion_hop *hops, size_t n,
                                          tstamp now, struct acts *out, struct ref *circuit);
/*
 * Adds its last hop to a stem that is built: ONION_UP_BUILT or ONION_UP_CLOSED follows once more, n of the former
 * being what both steps took.  ESTALE; ESTATE: it is none, or not built; EINVAL, ENOMEM: it is as it was.
 */
QUDAG_MUST_USE qudag_err onion_complete(struct onion *o, struct ref stem,
                                        const struct onion_hop *last, tstamp now, struct acts *out);
/*
 * Ends a circuit in both directions; ONION_UP_CLOSED with ECANCELED follows if the owner knows of it.
 * Gone: nothing.
 */
void onion_close(struct onion *o, struct ref circuit, tstamp now, struct acts *out);

/*
 * What this end of a circuit shares with its other end and with nobody else, not even with those between; of no use as
 * a key of cells.  Signed over, it ties a message to this circuit.  ESTALE; ESTATE: it is no end of a circuit that is
 * built.
 */
QUDAG_MUST_USE qudag_err onion_binding(const struct onion *o, struct ref circuit, uint8_t out[32]);

/*
 * Joins two circuits of others that end here and have carried streams: what neither recognises as its own goes into
 * the other one from now on, no stream begins on them any more, and they end together (spec/rendezvous.md 4).  ESTALE;
 * ESTATE: one is not such a circuit, or is joined already; EINVAL: they are one.
 */
QUDAG_MUST_USE qudag_err onion_join(struct onion *o, struct ref a, struct ref b);

/* A circuit of one hop, to the other end of the circuit that |carrier| is joined with. */
struct onion_carry {
    struct ref carrier; /* of ours, built, carrying none yet */
    bool end;           /* we are its end, the service; else its client, which opens the streams */
    uint64_t tag;       /* end: comes back in ONION_UP_INBOUND */
    const struct onion_hs_keys *keys; /* from the handshake with the other end; borrowed */
};
/*
 * Its streams, reports and end are those of a circuit; carrier and carried end together.  ESTALE; ESTATE: |carrier|
 * is not ours, not built or carries one already; ELIMIT (circuits), ENOMEM.
 */
QUDAG_MUST_USE qudag_err onion_carry(struct onion *o, const struct onion_carry *want, tstamp now,
                                     struct ref *circuit);

/*
 * Memory is short: ends the circuit that holds most of it in queues.  How many bytes those were; 0 when none holds
 * ONION_SHED_MIN, and then nothing happened.
 */
#define ONION_SHED_MIN (16u * 1024)
uint64_t onion_shed(struct onion *o, tstamp now, struct acts *out);

/*
 * Streams over circuits: only the client opens them.  As link_ops wants them but with time and
 * action list; |sid| numbers the streams of one circuit.  The events come as ONION_UP_EVENT
 * (LINK_STREAM with data = protocol id, LINK_DATA, LINK_FIN, LINK_RESET, LINK_SENT).  On circuits and streams
 * that are gone the functions do nothing, or return QUDAG_ESTALE.
 */
struct onion_stream_want {
    struct ref circuit;
    uint64_t user;     /* comes back in every event of the stream */
    const char *proto; /* protocol id */
};
/* What is to be written where. */
struct onion_stream_data {
    struct ref circuit;
    int64_t sid;
    struct slice data;
    struct buf *keep;
};
/* Opens a stream; BEGIN leaves with the next cell.  ESTALE, ESTATE (not built), ELIMIT (streams), ENOMEM. */
QUDAG_MUST_USE qudag_err onion_stream_open(struct onion *o, const struct onion_stream_want *want,
                                           tstamp now, struct acts *out, int64_t *sid);
/* Sets the word that comes back in events of the stream. */
void onion_stream_set_user(struct onion *o, struct ref circuit, int64_t sid, uint64_t user);
/* Queues all of |data| (QUDAG_ETOOBIG over 1 MiB queued); LINK_SENT says what left as cells. */
QUDAG_MUST_USE qudag_err onion_stream_write(struct onion *o, struct ref circuit, int64_t sid,
                                            struct slice data, tstamp now, struct acts *out);
/* The same without a copy of |data|, which stays while |keep| is held; NULL: copied. */
QUDAG_MUST_USE qudag_err onion_stream_write_kept(struct onion *o, const struct onion_stream_data *w,
                                                 tstamp now, struct acts *out);
/* Forgets what waits to become cells of any circuit: the node ends. */
void onion_let_go(struct onion *o);
/* |n| bytes that LINK_DATA brought were taken: the peer may send as many again. */
void onion_stream_consume(struct onion *o, struct ref circuit, int64_t sid, size_t n, tstamp now,
                          struct acts *out);
/* Ends our direction behind what is queued. */
void onion_stream_fin(struct onion *o, struct ref circuit, int64_t sid, tstamp now,
                      struct acts *out);
/* Gives the stream up in both directions; |err| reaches the other end as a reason. */
void onion_stream_reset(struct onion *o, struct ref circuit, int64_t sid, qudag_err err, tstamp now,
                        struct acts *out);

enum onion_role { ONION_CLIENT, ONION_RELAY, ONION_END };
enum onion_state { ONION_BUILDING, ONION_OPEN, ONION_CLOSING, ONION_CLOSED };

/* What this node knows of one circuit; for a relay that is its neighbours and nothing more. */
struct onion_info {
    struct ref circuit;
    enum onion_role role;
    enum onion_state state;
    uint8_t hops; /* client: hops built */
    uint8_t hops_wanted;
    struct peer_id path[ONION_HOPS_MAX]; /* client only */
    struct peer_id prev, next;           /* relay and end: neighbours; len 0: none */
    uint64_t net, via;  /* relay and end: of the previous hop: netaddr_wide_group(), a name */
    uint64_t tag;       /* end: of the key */
    struct ref carrier; /* of a carried circuit: what it runs through; gen 0: none */
    bool joined;        /* end: with another circuit, for two others */
    tstamp since;
    tstamp active_at; /* when a cell passed last */
    uint64_t build_ns;
    uint64_t round_trip_ns; /* client: of its first stream, from BEGIN to CONNECTED; 0: not known */
    uint64_t cells_fwd, cells_back;
    uint32_t streams;
};
/* Looking in at circuits, |*it| from 0 on; false at the end. */
bool onion_next(const struct onion *o, size_t *it, struct onion_info *out);
/* One circuit.  QUDAG_ESTALE: it is gone. */
QUDAG_MUST_USE qudag_err onion_info_get(const struct onion *o, struct ref circuit,
                                        struct onion_info *out);

struct onion_stats {
    uint64_t created, extended, refused_rate, refused_limit, bad_handshake, destroyed_bad_cell;
    uint64_t cells_relayed, cells_originated, cells_recognised, wrong_state;
    uint64_t unexplained; /* cells for us that meant nothing */
    uint64_t gave_way;    /* circuits ended for others */
    uint64_t shed;        /* circuits ended because memory was short */
    uint32_t circuits_client, circuits_relay, circuits_end;
    uint32_t circuits_max; /* of all three */
};
/* Counted since onion_new(); the circuits as of now. */
void onion_stats_get(const struct onion *o, struct onion_stats *out);

#endif
