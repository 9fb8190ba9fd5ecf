/*
 * node.h - a node: callbacks, requests, life.
 *
 * All functions are to be called on one thread, the one that runs the node, except qudag_node_post
 * and qudag_node_stop.  Any function may be called inside any callback, except qudag_node_free, and
 * qudag_node_run and qudag_node_step, which refuse (QUDAG_ESTATE).  A log function calls none.
 */
#ifndef QUDAG_NODE_H
#define QUDAG_NODE_H

#include <qudag/limits.h>
#include <qudag/peer.h>
#include <qudag/reach.h>
#include <qudag/settings.h>
#include <qudag/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The call that made a request. */
typedef enum qudag_op_kind {
    QUDAG_OP_CONNECT = 1,
    QUDAG_OP_PING,
    QUDAG_OP_DHT_PUT,
    QUDAG_OP_DHT_GET,
    QUDAG_OP_DHT_FORGET, /* or unprovide */
    QUDAG_OP_DHT_CLOSEST,
    QUDAG_OP_DHT_FIND_PEER,
    QUDAG_OP_DHT_PROVIDE,
    QUDAG_OP_DHT_PROVIDERS,
    QUDAG_OP_CIRCUIT_BUILD,
    QUDAG_OP_DARK_PUBLISH,
    QUDAG_OP_DARK_RESOLVE,
    QUDAG_OP_DARK_FORGET,
    QUDAG_OP_DARK_UNPUBLISH,
} qudag_op_kind;

/* What a request ended with; borrowed for the time of op_done.  Fields that do not apply are zero. */
typedef struct qudag_result {
    uint32_t size;              /* of this structure in the library */
    qudag_op_kind kind;         /* what was asked for */
    void *user;                 /* see qudag_op_set_user */
    const char *text;           /* "", or why it failed: a sentence for people */
    qudag_slice value;          /* dht get */
    const qudag_peer_id *peers; /* closest, holders, providers, or who stored */
    size_t peers_n;
    const char *const *addrs; /* find_peer, and get and providers with one peer: its multiaddrs;
                                 dark_resolve: the text of the service's peer id, of kind direct */
    size_t addrs_n;
    qudag_ns took;
    qudag_ns rtt;   /* ping */
    uint32_t count; /* nodes that stored, peers that answered */
    uint32_t rpcs, hops;
    qudag_circuit circuit; /* circuit_build */
    bool cached;           /* dark_resolve */
    bool hidden;           /* dark_resolve: of kind hidden; the service's peer id is not known */
    uint8_t pad[2];
    uint32_t relays_drawn, networks_drawn; /* circuit_build, dark_*: see qudag_node_diversity */
} qudag_result;

typedef enum qudag_phase {
    QUDAG_PHASE_START,    /* listening */
    QUDAG_PHASE_DIAL,     /* dialling bootstrap peers; a: answered so far, b: of how many */
    QUDAG_PHASE_LOOKUP,   /* self lookup and bucket refresh; a: routing table size */
    QUDAG_PHASE_ANNOUNCE, /* own relay descriptor published; a: nodes that stored it */
    QUDAG_PHASE_RELAYS,   /* gathering relay descriptors; a: have, b: wanted */
    QUDAG_PHASE_READY,    /* circuits can be built */
    QUDAG_PHASE_FAILED,   /* err says why; retried with backoff */
} qudag_phase;

/* How far an orderly end is. */
typedef struct qudag_shutdown {
    uint32_t size;     /* set by the caller, see types.h */
    bool begun, ended; /* ended: the peers were told, what is to be stored is stored */
    uint8_t pad[2];
    uint32_t requests, streams; /* of the program, that run; ended: that were cut off */
    qudag_ns left;              /* until what runs is cut off */
} qudag_shutdown;

/* All optional: NULL is never called.  They run on the node's thread, in its step or run. */
typedef struct qudag_callbacks {
    uint32_t size; /* sizeof the structure: {.size = sizeof(qudag_callbacks), ...} */
    uint32_t pad;
    /* A peer opened a stream of a protocol we serve.  |from| is NULL for an anonymous stream that
     * came in over a circuit; then |dark| is the text of the address it was opened to, else NULL. */
    void (*stream_in)(qudag_node *n, qudag_stream s, const qudag_peer_id *from, const char *dark,
                      const char *proto, void *user);
    /* |data| is borrowed; give credit back with qudag_stream_consume.  |fin|: the end, maybe empty. */
    void (*stream_data)(qudag_node *n, qudag_stream s, qudag_slice data, bool fin, void *user);
    void (*stream_opened)(qudag_node *n, qudag_stream s, void *user); /* ours; writable before */
    void (*stream_writable)(qudag_node *n, qudag_stream s, void *user);
    void (*stream_closed)(qudag_node *n, qudag_stream s, qudag_err why, void *user);
    void (*peer_changed)(qudag_node *n, const qudag_peer_id *peer, bool up, void *user);
    void (*op_done)(qudag_node *n, qudag_op op, qudag_err err, const qudag_result *res, void *user);
    /* What joining the network has come to: whenever one of the values differs from the last call's. */
    void (*phase)(qudag_node *n, qudag_phase p, uint32_t a, uint32_t b, qudag_err err, void *user);
    void (*circuit_closed)(qudag_node *n, qudag_circuit c, qudag_err why, void *user);
    /* Something to be kept on disk under |name| (letters, digits, '-', '.'), mode 0600, and given to
     * qudag_node_restore before the next start; |bytes| of length 0: remove it.  What it refuses is not used (a dark
     * address is not published).  Not only services and relays need it: without "guards" each start chooses new
     * entry guards, and sooner or later an attacker's.  A program without this callback is warned in the log once it
     * has guards (guards.not_kept) or a dark address (dark.not_kept) that it does not keep. */
    qudag_err (*save)(qudag_node *n, const char *name, qudag_slice bytes, void *user);
    /* The circuit of |s|, which the program opened, has been used for about an hour.  A stream opened now gets another
     * one; |s| ends with QUDAG_EEXPIRED in |left|, most of a day, unless it ended before. */
    void (*stream_old)(qudag_node *n, qudag_stream s, qudag_ns left, void *user);
    /* A link or a dial took a step: each once and in order, see qudag_link_state.  |e| is borrowed. */
    void (*link_changed)(qudag_node *n, const qudag_link_event *e, void *user);
    /* qudag_node_shutdown() is complete; |s| says what was cut off.  qudag_node_free() may follow, not in here. */
    void (*shut_down)(qudag_node *n, const qudag_shutdown *s, void *user);
    /* The pin of a peer moved, or two keys claim to follow it (identity.h).  |e| is borrowed. */
    void (*pin_changed)(qudag_node *n, const qudag_pin_event *e, void *user);
    /* How this node can be reached has changed, see reach.h; qudag_reach_addr_next() has the evidence.  Borrowed. */
    void (*reach_changed)(qudag_node *n, const qudag_reach *now, void *user);
} qudag_callbacks;

/*
 * Makes a node and binds its sockets.  Copies what |s| and |cb| point to, except the identity and |mem|.
 * |user| is passed to every callback.  *out is the caller's, freed by qudag_node_free, and NULL on error:
 * QUDAG_EINVAL (qudag_node_check says which setting; or the size of |cb|), QUDAG_EUNSUPPORTED (settings or
 * callbacks this version does not know), QUDAG_ESYSTEM (address in use, not permitted; or the store, see
 * qudag_store_check), QUDAG_EEXISTS (the store is in use), QUDAG_EAUTH (it is another identity's), QUDAG_ENOMEM.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_node_new(qudag_node **out, const qudag_settings *s,
                                                  const qudag_callbacks *cb, void *user);

/*
 * Checks |s| without making a node.  QUDAG_EINVAL or QUDAG_EUNSUPPORTED; |why| (may be NULL) gets a sentence
 * that names setting and cause, cut to |why_len|.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_node_check(const qudag_settings *s, char *why,
                                                    size_t why_len);

/*
 * Opens the store in |dir| and closes it again: what qudag_node_new() would find.  On failure |why| gets
 * a sentence.  QUDAG_EEXISTS (another process uses it), QUDAG_EUNSUPPORTED (another version, or another
 * program's), QUDAG_ESYSTEM (cannot be read or written), QUDAG_ENOMEM.  A damaged store is no failure: it
 * is set aside as dht.db.broken, logged, and what was whole in it goes into a new one.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_store_check(const char *dir, char *why, size_t why_len);

/* What save() was given before; before qudag_node_start.  QUDAG_EMALFORMED: corrupt; QUDAG_EAUTH: another's. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_node_restore(qudag_node *n, const char *name,
                                                      qudag_slice bytes);

/*
 * Joins the network: restores what the store persisted (records of namespaces nobody registered are
 * dropped), then bootstraps, announces itself and gathers relays.  The phase callback reports progress.
 * Once: QUDAG_ESTATE if it was started before; nothing changes then.  QUDAG_EAUTH: another identity's was restored.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_node_start(qudag_node *n);

/* Runs until qudag_node_stop.  Not with a caller's uv_loop. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_node_run(qudag_node *n);

/* One turn: waits at most |wait_max| for something to do.  For programs with a loop of their own:
 * wait until qudag_node_fd is readable or qudag_node_timeout is over, then call with 0. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_node_step(qudag_node *n, qudag_ns wait_max);
/* The descriptor that becomes readable when there is something to do; -1: none.  Only to be polled. */
QUDAG_API int qudag_node_fd(const qudag_node *n);
QUDAG_API qudag_ns qudag_node_timeout(const qudag_node *n); /* UINT64_MAX: none */

/* Runs |fn| on the node's thread.  From any thread.  QUDAG_ENOMEM, QUDAG_ESTATE after stop. */
QUDAG_API qudag_err qudag_node_post(qudag_node *n, void (*fn)(qudag_node *, void *), void *arg);
/*
 * Takes from |s| what can change while the node runs, from now on: all of its times (timeouts and keepalive) and
 * small_network.  The rest of |s| is checked, and otherwise ignored.  Times are those of what begins
 * after the call; links that stand keep the idle timeout they agreed on with their peers.  Errors and |why| as of
 * qudag_node_check(); nothing has changed then.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_node_reload(qudag_node *n, const qudag_settings *s,
                                                     char *why, size_t why_len);
/*
 * Ends the node in good order: from now on it takes no request, stream or link (QUDAG_ESTATE; peers hear of a limit),
 * what runs gets |within|, then what is left is cut off with QUDAG_ECANCELED, the peers are told that this node shuts
 * down, and shut_down is called, in a later step; with 0 in the next.  A further call can only bring the end nearer.
 * Streams and requests count, whoever began them; circuits carried for others do not.  Keys are wiped by
 * qudag_node_free(), which is to follow; without this call it ends everything at once.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_node_shutdown(qudag_node *n, qudag_ns within);
/* How far that is; false: size not set. */
QUDAG_API bool qudag_node_shutdown_state(const qudag_node *n, qudag_shutdown *out);
/* Ends run and step.  From any thread, and from a signal handler. */
QUDAG_API void qudag_node_stop(qudag_node *n);

/* Closes all links, ends what is pending with QUDAG_ECANCELED, wipes and frees.  NULL allowed. */
QUDAG_API void qudag_node_free(qudag_node *n);

/* The peer id of this node. */
QUDAG_API void qudag_node_peer_id(const qudag_node *n, qudag_peer_id *out);
/* Listening addresses with /p2p/ID; false at the end; *it starts at 0. */
QUDAG_API bool qudag_node_addr_next(const qudag_node *n, size_t *it,
                                    char text[QUDAG_ADDR_TEXT_MAX]);
/*
 * The addresses that others are told, likewise: |announce| of the settings; else, outside a lab, those that can be
 * reached from the Internet and, where none of an IP version is, the one at which peers of four networks observe
 * this node.  Without any the node is no relay and publishes no dark address.
 */
QUDAG_API bool qudag_node_announced_next(const qudag_node *n, size_t *it,
                                         char text[QUDAG_ADDR_TEXT_MAX]);

/* The phase last passed to the phase callback. */
QUDAG_API qudag_phase qudag_node_phase(const qudag_node *n);
/*
 * Why the bootstrap peers that answered last were refused, as a sentence for people that may name their address; ""
 * when none was.  It is cut to |cap|; QUDAG_JOIN_TEXT_MAX is enough.
 */
#define QUDAG_JOIN_TEXT_MAX 640
QUDAG_API void qudag_node_join_text(const qudag_node *n, char *out, size_t cap);

#ifdef __cplusplus
}
#endif
#endif
