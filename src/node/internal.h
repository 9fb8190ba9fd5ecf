/* internal.h - what the files of node/ share. */
#ifndef QUDAG_SRC_NODE_INTERNAL_H
#define QUDAG_SRC_NODE_INTERNAL_H

#include "base/dyn.h"
#include "base/wipe.h"
#include "core/exit/exit.h"
#include "core/identify/identify.h"
#include "core/ping/ping.h"
#include "node/node.h"
#include "node/rules.h"

#define ACTS_CAP (8 * ACTS_ROOM)
#define ACTS_BYTES_CAP (8 * ACTS_BYTES_ROOM)
#define CIRCUIT_TRIES 5  /* paths tried for one purpose */
#define FETCHES_MAX 8    /* descriptors fetched at once */
#define RELAYS_WANTED 64 /* descriptors gathered in the background */
#define ANCHOR_DIALS 8   /* peers of the last time that are tried at a start */

enum core_ix {
    CORE_PING,
    CORE_IDENTIFY,
    CORE_PUSH,
    CORE_KAD,
    CORE_ONION,
    CORE_EXIT,
    CORE_APP,
    CORE_DARK,
    CORES,
};

/* A request, ours or the program's.  |data| holds copies of key and value. */
struct op {
    struct list node; /* in node.fresh until begun, then in node.running */
    struct ref ref;
    struct node_request req;
    tstamp since;
    uint64_t cookie;         /* SERVE, LOOKUP: of the core that asked */
    struct circuit *circuit; /* while one is built for it, or serves it */
    uint8_t tries;
    bool begun;
    bool canceled; /* to be ended by the next drain */
    bool told;     /* the program heard of its end, or never asked for it */
    bool asked;    /* LOOKUP: the end of the circuit owes an answer */
    uint8_t data[];
};

enum purpose { FOR_PROGRAM, FOR_LOOKUP, FOR_DARK };

/* A circuit we are client of. */
struct circuit {
    struct list node; /* in node.circuits */
    struct ref onion;
    enum purpose purpose;
    bool open;
    uint8_t tries, relays, n_hops; /* relays: hops but for a service */
    struct ref op;                 /* FOR_PROGRAM, FOR_LOOKUP: who waits */
    struct dark_addr dark;         /* FOR_DARK: where it leads */
    struct onion_hop target;       /* FOR_DARK: its last hop */
    struct onion_hop path[ONION_HOPS_MAX];
    struct list waiting; /* app_stream.wait */
};

struct app_stream {
    struct list wait; /* in circuit.waiting, or node.resolving */
    struct list todo; /* in node.todo, while the drain has something to do for it */
    struct ref ref, strm;
    const char *proto;
    struct dark_addr dark;
    struct ref on; /* circuit it shall be opened on */
    struct peer_id to;
    uint32_t queued;
    struct dyn early; /* written before the stream was open */
    void *user;       /* the program's */
    qudag_err why;    /* dropped: what the peer is told */
    size_t credit;    /* bytes consumed, not returned as credit yet */
    bool open_due, opened, want_writable;
    bool fin_in, fin_out; /* fin_out: asked for; with fin_done also sent */
    bool fin_done, dropped, inbound;
};

/* What identify told. */
struct peer_note {
    struct list lru;
    struct peer_id id;
    char agent[IDENTIFY_TEXT_MAX];
    char protocols[512];
};

struct boot {
    enum node_phase phase;
    uint32_t dialled, answered, ended, fetching, failures;
    uint32_t announces;
    qudag_err why; /* what a bootstrap peer that answered refused us for */
    bool lookup_running, started, rejoining;
    uint32_t rejoin_fails;
    tstamp retry_at, announce_at, fetch_at, refresh_at, rejoin_at, rejoin_not_before;
};

struct node {
    struct node_config cfg;
    struct node_hooks hooks;
    struct mem *mem;
    tstamp now;
    uint64_t told; /* hooks called */
    struct sec *sec;
    struct quic *quic;
    struct swarm *swarm;
    struct ping ping;
    struct identify identify;
    struct kad *kad;
    struct onion *onion;
    struct relays *relays;
    struct dark *dark;
    struct exitd *exit;
    void *core[CORES];
    const struct core_ops *ops[CORES];
    unsigned swarm_ix[CORES];
    unsigned quic_tp, circuit_tp; /* their indices as transports of the swarm */
    enum core_ix by_swarm[SWARM_CORES_MAX];
    struct acts acts;
    uint8_t tag[ACTS_CAP];
    size_t tagged;
    bool draining;
    bool closing;      /* node_free is at work: nothing new is taken on */
    struct ref victim; /* stream whose event brought more actions than there was room for */
    enum core_ix victim_core;
    struct slots optab, apptab;
    struct ref ended; /* the stream whose end the program is just told */
    void *ended_user;
    struct map app_map; /* stream of the swarm -> app_stream */
    struct list fresh, running, circuits, resolving, todo;
    struct boot boot;
    struct relay_desc self_desc;
    uint64_t desc_seq; /* of our last descriptor; never goes back, so it is saved */
    uint8_t onion_x[X25519_LEN], onion_k[MLKEM768_EK_LEN], onion_id[8];
    bool has_onion_key, save_failed;
    struct peer_id guard_saved;
    struct dark_addr republish[DARK_ADDRS_MAX]; /* at start, once relays are known */
    size_t n_republish;
    struct multiaddr addr[NODE_LISTEN_MAX];
    size_t n_addrs;
    struct list notes; /* peer_note, newest first */
    size_t n_anchors;  /* peers of the last time, dialled beside the bootstrap peers */
    struct multiaddr anchor[ANCHOR_DIALS];
    tstamp anchors_at; /* when they are persisted next */
    size_t n_notes;
    uint8_t desc_buf[RELAY_DESC_MAX];
};

/* node.c: every call into a core is bracketed, so that its actions are known to be its own. */
struct acts *node_begin(struct node *n);
void node_end(struct node *n, enum core_ix core);
void node_save(struct node *n, const char *name, struct slice bytes, qudag_err *err);

/* Whether one more call into a core may be made. */
static inline bool acts_room(const struct acts *a)
{
    return a->n + ACTS_ROOM <= a->cap && a->bytes_n + ACTS_BYTES_ROOM <= a->bytes_cap;
}

static inline uint64_t ref_word(struct ref r)
{
    return (uint64_t)r.gen << 32 | r.slot;
}

static inline struct ref word_ref(uint64_t w)
{
    return (struct ref){.slot = (uint32_t)w, .gen = (uint32_t)(w >> 32)};
}

/* ops.c; OP_MARK tells the cookies of requests from those of streams, where both may come back. */
#define OP_MARK (UINT64_C(1) << 31)
_Static_assert(OPS_MAX < OP_MARK && APP_STREAMS_MAX < OP_MARK, "slots leave the mark alone");
struct op *op_new(struct node *n, const struct node_request *r);
struct op *op_get(struct node *n, uint64_t cookie);
bool op_begin_one(struct node *n, tstamp now); /* false: nothing to begin, or no room */
void op_finish(struct node *n, struct op *op, qudag_err err, const struct node_result *res);
void op_drop(struct node *n, struct op *op);

/* app.c */
extern const struct core_ops app_ops;
struct app_stream *app_get(struct node *n, struct ref s);
void app_closed(struct node *n, struct app_stream *a, qudag_err why);
const char *app_proto(struct node *n, uint64_t cookie);
void app_open_now(struct node *n, struct app_stream *a, struct ref circuit);
void app_flush(struct node *n);
void app_close_list(struct node *n, struct list *from, qudag_err why);
void app_free_all(struct node *n);

/* wire_kad.c */
qudag_err wire_kad_init(struct node *n, tstamp now);
void up_ping(struct node *n, const struct act *a, tstamp now);
void up_identify(struct node *n, const struct act *a, tstamp now);
bool addr_usable(const struct node *n, const struct multiaddr *ma);
void up_kad(struct node *n, const struct act *a, tstamp now);
void self_changed(struct node *n);
void notes_free(struct node *n);
void wire_kad_persist(struct node *n, tstamp now); /* to hooks.persist */
void anchors_tick(struct node *n, tstamp now);

/* wire_onion.c */
extern const struct transport circuit_transport; /* owner: struct node * */
#define ONION_KEY_FILE_LEN (X25519_LEN + MLKEM768_SEED_LEN)
#define SEQ_FILE_LEN 8
qudag_err wire_onion_init(struct node *n, tstamp now);
qudag_err onion_key_restore(struct node *n, struct slice file);
qudag_err onion_key_make(struct node *n);
void up_onion(struct node *n, const struct act *a, tstamp now);
void up_exit(struct node *n, const struct act *a, tstamp now);
/* Builds one; the waiter is told through circuit_ready or circuit_failed. */
qudag_err circuit_start(struct node *n, enum purpose why, struct op *op,
                        const struct dark_addr *dark, const struct onion_hop *target,
                        struct circuit **out);
struct circuit *circuit_to_dark(struct node *n, const struct dark_addr *dark);
void circuits_free(struct node *n);
void circuit_drop(struct node *n, struct circuit *c);

/* wire_dark.c */
qudag_err wire_dark_init(struct node *n);
void up_dark(struct node *n, const struct act *a, tstamp now);
void close_circuit_of(struct node *n, struct op *op, tstamp now);
void lookup_run(struct node *n, struct op *op, struct circuit *c, tstamp now);
void lookup_done(struct node *n, struct op *op, qudag_err err, struct slice value, uint32_t stored,
                 tstamp now);
qudag_err app_resolve(struct node *n, struct app_stream *a);
void dark_app_failed(struct node *n, const struct dark_addr *dark, qudag_err err);
const char *dark_tag_text(struct node *n, uint64_t tag, char *text);
qudag_err dark_restore(struct node *n, struct slice bytes);

/* boot.c */
void boot_tick(struct node *n, tstamp now);
tstamp boot_deadline(const struct node *n);
void boot_op_done(struct node *n, struct op *op, qudag_err err, const struct kad_result *res,
                  tstamp now);
void boot_relay_added(struct node *n);
void boot_peer_silent(struct node *n); /* a link timed out, or a request in the DHT */
void boot_candidate(struct node *n);

#endif
