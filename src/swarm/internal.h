/* internal.h - the objects of the swarm; included by swarm/ only. */
#ifndef QUDAG_SRC_SWARM_INTERNAL_H
#define QUDAG_SRC_SWARM_INTERNAL_H

#include "swarm/rules.h"
#include "swarm/swarm.h"

#define PEER_OPENS_MAX 64 /* opens waiting for one peer */
#define DIALS_PARALLEL 3  /* addresses of one peer tried at once */
#define LINK_ID_LEN 8

/* An event to be delivered by swarm_step. */
struct swarm_pending {
    struct list node;
    unsigned core;
    struct ev ev;
    struct peer_id peer;
};

struct swarm_peer {
    struct list lru; /* in swarm.lru, oldest first */
    struct peer_id id;
    bool pin_known;   /* the pin was told by a record; else it is of first use */
    bool up;          /* cores were told */
    bool lost_one;    /* a link died of silence since then */
    struct list tell; /* in swarm.tell while up may have to change */
    uint8_t n_addrs, n_links;
    uint32_t n_dials; /* swarm_link.dialled */
    uint32_t n_dying; /* links in swarm.dead */
    qudag_err down_err;
    struct swarm_proof proof; /* what a new link with it must not lack */
    struct multiaddr addr[SWARM_ADDRS_MAX];
    uint8_t next_addr;                             /* to dial next */
    struct swarm_link *link[SWARM_LINKS_PER_PEER]; /* oldest first */
    uint32_t failures;                             /* in a row */
    uint32_t n_opens;
    tstamp not_before;
    qudag_err last_err;
    struct list opens; /* swarm_open.node */
};

/* A dial under way or a link that is up. */
struct swarm_link {
    struct list node; /* in swarm.links or swarm.dead */
    struct ref ref;   /* the owner's name */
    const struct link_ops *ops;
    void *owner;
    struct swarm_peer *peer; /* NULL: a dial without expected peer, or a circuit */
    bool up, dead, circuit;
    bool dialled;    /* counted in peer->n_dials */
    uint8_t dial_by; /* core + 1 while counted in swarm.dials_of; else 0 */
    uint8_t props;
    uint64_t net; /* where it comes from; 0: a circuit */
    qudag_err down_err;
    struct swarm_pending *report; /* whoever asked for this very dial is told; NULL: nobody */
    tstamp idle_since;
    tstamp asked;        /* for a sign of life; 0: never */
    uint64_t heard;      /* bytes that had come in by then */
    struct list streams; /* swarm_stream.link_node */
    uint32_t n_streams;
    uint16_t inbound[SWARM_CORES_MAX];
};

enum stream_state {
    STREAM_LISTEN,  /* inbound, negotiating; no core yet */
    STREAM_DIALING, /* outbound, our proposal sent, echo awaited; data may flow already */
    STREAM_OPEN,
};

struct swarm_stream {
    struct list link_node;
    struct list wait_node; /* in swarm.negotiating while negotiating, or in swarm.late */
    struct ref ref;
    struct swarm_link *link;
    int64_t sid;
    enum stream_state state;
    unsigned core;
    bool inbound, fin_in, fin_out, in_up; /* in_up: a core knows it */
    bool late; /* took too long: reset, in swarm.late until its core was told */
    const char *proto;
    struct mss *mss; /* while negotiating */
    size_t preamble; /* negotiation bytes of ours not yet reported sent */
    tstamp since;
};

/* An ACT_OPEN waiting for a link.  Its outcome needs no memory: |report| was allocated with it. */
struct swarm_open {
    struct swarm_pending report; /* first: freed as a whole once delivered */
    struct list node;            /* in peer.opens */
    struct list order;           /* in swarm.opens, oldest first */
    struct swarm_peer *peer;
    uint8_t need;
    const char *proto;
    tstamp due;
};

struct swarm_core {
    const struct core_ops *ops;
    const char *main_proto;
};

struct swarm {
    struct swarm_config cfg;
    struct mem *mem;
    struct map peers;    /* peer id -> swarm_peer */
    struct map link_map; /* ref -> swarm_link, of dialled and QUIC links */
    struct map circ_map; /* ref -> swarm_link, of circuits */
    struct list lru, links, dead, negotiating, late, opens, pending, tell;
    struct slots streams;
    struct swarm_core core[SWARM_CORES_MAX];
    unsigned n_cores;
    const char *proto[SWARM_PROTOS_MAX];
    unsigned proto_core[SWARM_PROTOS_MAX];
    size_t n_protos;
    const struct link_ops *circ_ops;
    void *circ_owner;
    uint32_t n_opens, n_links, n_dials;
    uint32_t dials_of[SWARM_CORES_MAX]; /* of n_dials */
    tstamp next_prune;
    const char *interned[SWARM_PROTOS_MAX];
    size_t n_interned;
    struct swarm_stats stats;
};

struct slice ref_key(const struct ref *r, uint8_t buf[LINK_ID_LEN]);

/* peers.c */
struct swarm_peer *peer_get(struct swarm *s, const struct peer_id *id);
struct swarm_peer *peer_make(struct swarm *s, const struct peer_id *id); /* NULL: no memory */
void peer_addr_add(struct swarm_peer *p, const struct multiaddr *addr);
void peer_free(struct swarm *s, struct swarm_peer *p);
/* The newest: should the peer have begun anew, the older ones are dead and nobody knows yet. */
struct swarm_link *peer_link(const struct swarm_peer *p, uint8_t need);

/* dial.c */
qudag_err dial_peer(struct swarm *s, struct swarm_peer *p, unsigned core, uint8_t need, tstamp now);
void dial_uncount(struct swarm *s, struct swarm_link *l); /* up, or gone */
void dial_open(struct swarm *s, unsigned core, const struct act *a, const char *proto, tstamp now);
void dial_flush(struct swarm *s, struct swarm_peer *p, qudag_err err, tstamp now);
void dial_ended(struct swarm *s, struct swarm_peer *p, qudag_err err, tstamp now);
void open_unlink(struct swarm *s, struct swarm_open *o);
void open_fail(struct swarm *s, struct swarm_open *o, qudag_err err);

/* links.c */
struct swarm_link *link_make(struct swarm *s, struct ref ref, bool circuit);
struct swarm_link *link_get(struct swarm *s, struct ref ref, bool circuit);
void link_gone(struct swarm *s, struct swarm_link *l, qudag_err err, tstamp now);
void link_free(struct swarm *s, struct swarm_link *l);

/* streams.c */
qudag_err stream_open_out(struct swarm *s, struct swarm_link *l, struct swarm_pending *report,
                          const char *proto, tstamp now);
void stream_in(struct swarm *s, struct swarm_link *l, const struct link_ev *ev, tstamp now);
void stream_event(struct swarm *s, const struct link_ev *ev, bool circuit, tstamp now);
void stream_drop(struct swarm *s, struct swarm_stream *st, tstamp now);
void stream_abort(struct swarm *s, struct swarm_stream *st, qudag_err err, tstamp now);

/* swarm.c: a report is made when something is asked for, so that telling the outcome cannot fail. */
struct swarm_pending *report_make(struct swarm *s, unsigned core, uint64_t cookie,
                                  const struct peer_id *peer);
void report_fail(struct swarm *s, struct swarm_pending *p, qudag_err err);
void deliver(struct swarm *s, unsigned core, const struct ev *ev);
const struct peer_id *link_peer_id(const struct swarm_link *l);

#endif
