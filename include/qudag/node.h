/*
 * node.h - a node: settings, callbacks, life.
 *
 * All functions are to be called on one thread, the one that runs the node, except qudag_node_post
 * and qudag_node_stop.  Any function may be called inside any callback, except qudag_node_free, and
 * qudag_node_run and qudag_node_step, which refuse (QUDAG_ESTATE).  A log function calls none.
 */
#ifndef QUDAG_NODE_H
#define QUDAG_NODE_H

#include <qudag/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum qudag_pq {
    QUDAG_PQ_REQUIRE, /* post-quantum key exchange and authentication, or no link (default) */
    QUDAG_PQ_PREFER,  /* where the peer can; else plain libp2p, without anonymity features */
    QUDAG_PQ_OFF,     /* plain libp2p */
} qudag_pq;

typedef enum qudag_cipher {
    QUDAG_CIPHER_AUTO,
    QUDAG_CIPHER_CHACHA20,
    QUDAG_CIPHER_AES256
} qudag_cipher;

typedef struct qudag_settings {
    uint32_t size;                  /* set by qudag_settings_default; how the structure grows */
    const qudag_identity *identity; /* needed; must outlive the node */
    const char *const *listen;      /* multiaddrs, e.g. "/ip4/0.0.0.0/udp/0/quic-v1"; at most 8 */
    size_t listen_n;
    const char *const
        *bootstrap; /* multiaddrs with /p2p/ID, and "#" HEX64 of the ML-DSA key if known */
    size_t bootstrap_n;
    const qudag_mem *mem; /* NULL: malloc */
    void *uv_loop;        /* a uv_loop_t to live on; NULL: an own one, driven by run or step */
    void (*log)(void *user, const qudag_log_record *rec);
    qudag_log_level log_level;
    qudag_pq pq;
    uint16_t security_level; /* 512, 768 (default) or 1024 */
    qudag_cipher cipher;
    const char *dht_protocol;           /* NULL: "/qudag/kad/1.0.0" */
    const char *const *open_namespaces; /* DHT namespaces "name" that take any value; unsigned */
    size_t open_namespaces_n;
    const char *store_dir;    /* folder in which the DHT keeps what it holds for others and what we
                                    publish; made if missing; one node each; NULL: memory only */
    uint64_t dht_bytes_max;   /* of records held for others; default 32 MiB */
    uint32_t dht_records_max; /* their number; default 4096 */
    uint32_t dht_providers_max; /* likewise of providers; default 4096 */
    const char *agent;          /* told in identify; NULL: "qudag/VERSION" */
    uint64_t memory_max;        /* bytes; default 256 MiB */
    uint32_t links_max;         /* default 1024 */
    uint32_t circuits_max;      /* default 4096 */
    qudag_ns idle_timeout;      /* of links; default 300 s */
    uint8_t hops;               /* relays in a circuit; default 3, 1..7 */
    bool relay;                 /* carry circuits for others; default true */
    bool dht_server;            /* answer others; default true */
    bool lab;                   /* test network: no address diversity rules */
    uint32_t relays_min; /* descriptors to gather before circuits are built; default hops + 1 */
    uint32_t pad;        /* zero */
} qudag_settings;

/* What a request ended with; borrowed for the time of op_done.  Fields that do not apply are zero. */
typedef struct qudag_result {
    qudag_slice value;          /* dht get */
    const qudag_peer_id *peers; /* closest, holders, providers, or who stored */
    size_t peers_n;
    const char *const
        *addrs; /* find_peer: multiaddrs; dark_resolve: the text of the service's peer id */
    size_t addrs_n;
    qudag_ns took;
    qudag_ns rtt;   /* ping */
    uint32_t count; /* nodes that stored, peers that answered */
    uint32_t rpcs, hops;
    qudag_circuit circuit; /* circuit_build */
    bool cached;           /* dark_resolve */
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

/* All optional. */
typedef struct qudag_callbacks {
    /* A peer opened a stream of a protocol we serve.  |from| is NULL for an anonymous stream that
     * came in over a circuit; then |dark| is the text of the address it was opened to, else NULL. */
    void (*stream_in)(qudag_node *n, qudag_stream s, const qudag_peer_id *from, const char *dark,
                      const char *proto, void *user);
    /* |data| is borrowed; give credit back with qudag_stream_consume.  |fin|: the end, maybe empty. */
    void (*stream_data)(qudag_node *n, qudag_stream s, qudag_slice data, bool fin, void *user);
    void (*stream_opened)(qudag_node *n, qudag_stream s,
                          void *user); /* ours; may be written before */
    void (*stream_writable)(qudag_node *n, qudag_stream s, void *user);
    void (*stream_closed)(qudag_node *n, qudag_stream s, qudag_err why, void *user);
    void (*peer_changed)(qudag_node *n, const qudag_peer_id *peer, bool up, void *user);
    void (*op_done)(qudag_node *n, qudag_op op, qudag_err err, const qudag_result *res, void *user);
    void (*phase)(qudag_node *n, qudag_phase p, uint32_t a, uint32_t b, qudag_err err, void *user);
    void (*circuit_closed)(qudag_node *n, qudag_circuit c, qudag_err why, void *user);
    /* Something to be kept on disk under |name| (letters, digits, '-', '.'), mode 0600; |bytes| of
     * length 0: remove it.  What it refuses is not used (a dark address is not published). */
    qudag_err (*save)(qudag_node *n, const char *name, qudag_slice bytes, void *user);
} qudag_callbacks;

/* Fills |s| with defaults; |size| is sizeof(*s) of the caller. */
QUDAG_API void qudag_settings_default(qudag_settings *s, uint32_t size);
#define QUDAG_SETTINGS_INIT(s) qudag_settings_default((s), (uint32_t)sizeof(*(s)))

/*
 * Makes a node and binds its sockets.  Copies what |s| and |cb| point to, except the identity.
 * QUDAG_EINVAL (qudag_node_check says which setting), QUDAG_ESYSTEM (address in use, not permitted), QUDAG_ENOMEM.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_node_new(qudag_node **out, const qudag_settings *s,
                                                  const qudag_callbacks *cb, void *user);

/* Checks |s| without making a node; on failure |why| gets a sentence that names setting and cause. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_node_check(const qudag_settings *s, char *why,
                                                    size_t why_len);

/*
 * Opens the store in |dir| and closes it again: what qudag_node_new() would find.  On failure |why| gets
 * a sentence.  QUDAG_EEXISTS (another process uses it), QUDAG_EUNSUPPORTED (newer version, or another
 * program's), QUDAG_ESYSTEM (cannot be read or written), QUDAG_ENOMEM.  A damaged store is no failure: it
 * is set aside as dht.mdb.broken, logged, and what was whole in it goes into a new one.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_store_check(const char *dir, char *why, size_t why_len);

/* What save() was given before; before qudag_node_start.  QUDAG_EMALFORMED for corrupt bytes. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_node_restore(qudag_node *n, const char *name,
                                                      qudag_slice bytes);

/*
 * Begins: what the store kept is taken back (records of namespaces nobody registered are dropped), then
 * bootstrap, announce, gather relays.  The phase callback tells how it goes.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_node_start(qudag_node *n);

/* Runs until qudag_node_stop.  Not with a caller's uv_loop. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_node_run(qudag_node *n);

/* One turn: waits at most |wait_max| for something to do.  For programs with a loop of their own:
 * wait until qudag_node_fd is readable or qudag_node_timeout is over, then call with 0. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_node_step(qudag_node *n, qudag_ns wait_max);
QUDAG_API int qudag_node_fd(const qudag_node *n);
QUDAG_API qudag_ns qudag_node_timeout(const qudag_node *n); /* UINT64_MAX: none */

/* Runs |fn| on the node's thread.  From any thread.  QUDAG_ENOMEM, QUDAG_ESTATE after stop. */
QUDAG_API qudag_err qudag_node_post(qudag_node *n, void (*fn)(qudag_node *, void *), void *arg);
/* Ends run and step.  From any thread, and from a signal handler. */
QUDAG_API void qudag_node_stop(qudag_node *n);

/* Tells the peers, fails what is pending with QUDAG_ECANCELED, wipes and frees.  NULL allowed. */
QUDAG_API void qudag_node_free(qudag_node *n);

QUDAG_API void qudag_node_peer_id(const qudag_node *n, qudag_peer_id *out);
/* Listening addresses with /p2p/ID; false at the end; *it starts at 0. */
QUDAG_API bool qudag_node_addr_next(const qudag_node *n, size_t *it,
                                    char text[QUDAG_ADDR_TEXT_MAX]);

/* Counters and gauges by name ("links", "kad_rpcs_out"); false at the end; *it starts at 0. */
QUDAG_API bool qudag_node_stat_next(const qudag_node *n, size_t *it, const char **name,
                                    uint64_t *value);
QUDAG_API qudag_phase qudag_node_phase(const qudag_node *n);

#ifdef __cplusplus
}
#endif
#endif
