/*
 * internal.h - the objects of the swarm; included by swarm/ only.
 *
 *   swarm.c    life, registration, what waits to be delivered      rules.c   decisions, pure
 *   peers.c    the table of peers: addresses, links                opens.c   streams that wait for a link
 *   pins.c     what peers have proven, on disk too                 quiet.c   links whose path may be dead
 *   links.c    links coming up and going down                      dial.c    dialling, backoff
 *   streams.c  opening, negotiation, data, ends                    prune.c   what time ends
 *   renew.c    links before their certificates end; rekey.c: of our former key     value.c   what a link is worth, pure
 *   moved.c    links whose address on this machine is gone         tags.c    what the program says of peers
 *   meter.c    what is measured                                    states.c  what programs are told of links
 *   doubts.c   links whose peer has another key than it is known by        doubted.c  which may be that
 *   trim.c     which links are too many                            places.c  what links count as; which gives way
 */
#ifndef QUDAG_SRC_SWARM_INTERNAL_H
#define QUDAG_SRC_SWARM_INTERNAL_H

#include "base/limiter.h"
#include "swarm/breakers.h"
#include "swarm/dial.h"
#include "swarm/pins.h"
#include "swarm/rules.h"
#include "swarm/swarm.h"
#include "swarm/tags.h"
#include "swarm/value.h"

#define SWARM_LINK_KEY_LEN 12 /* transport and reference */

struct swarm_transport {
    const struct transport *t;
    void *owner;
    uint32_t ix; /* in swarm.transport */
};

/* An event to be delivered by swarm_step. */
struct swarm_pending {
    struct list node;
    unsigned core;
    struct ev ev;
    struct peer_id peer;
};

struct swarm_addr {
    struct multiaddr ma;
    bool tried;  /* in the last round of dials */
    bool proven; /* the newest link of the peer is or was there */
};

struct swarm_peer {
    struct list lru; /* in swarm.lru, oldest first */
    struct peer_id id;
    bool up;            /* cores were notified */
    bool link_died;     /* a link died of silence since then */
    bool in_doubt;      /* a link in doubt (doubts.c), of which there is one at most, points here */
    struct list notify; /* in swarm.notify while |up| may have to change */
    uint8_t n_addrs, n_links;
    uint32_t n_dials; /* swarm_link.dialled */
    uint32_t n_dying,
        rescues; /* links in swarm.dead; times in a row that one fell quiet and it was dialled */
    qudag_err down_err;
    struct swarm_addr addr[SWARM_ADDRS_MAX]; /* cheapest transport first, then newest first */
    struct list delayed; /* in swarm.delayed until |next_at|, when one more may be dialled */
    tstamp next_at, rescued_at;
    unsigned dial_core; /* for whom, and |dial_need| what with, dials began */
    struct swarm_link *link[SWARM_LINKS_PER_PEER]; /* oldest first */
    struct swarm_breaker breaker;
    uint8_t dial_need, failed_need; /* the latter: what the last failure insisted on */
    uint32_t n_opens;
    uint64_t turn; /* of the open that was served last */
    qudag_err last_err;
    struct list opens; /* swarm_open.node, by turn */
};

/* A dial under way or a link that is up. */
struct swarm_link {
    struct list node; /* in swarm.links or swarm.dead */
    const struct swarm_transport *tp;
    struct ref ref;                 /* the transport's name of it */
    struct swarm_peer *peer;        /* NULL: a dial without expected peer, or a link without peer */
    bool up, dead, closed_here;     /* it is we who end it */
    bool metered, carried, leaving; /* its end is counted; in another circuit; takes no streams */
    tstamp since;                   /* when it was made; once it is up, since when */
    enum swarm_link_state state;    /* as it was told last */
    uint64_t id;                    /* in what is told; 0: nothing was yet */
    struct netaddr remote;          /* family 0: none */
    const char *down_text;          /* more about its end: static, or NULL */
    bool dialled;                   /* counted in peer->n_dials */
    bool stood, chosen, matters, net_probe; /* of a dial: struct swarm_net_dial */
    bool wants; /* ... with |want|, and the transport let another key pass */
    uint8_t want[SWARM_PIN_LEN];
    bool doubt, doubt_told;   /* its peer proved another key; swarm_doubt_next() told of it */
    bool named;               /* dialled with the hash that the program gave with the address */
    uint8_t dial_by, made_by; /* core + 1: while it is a dial, else 0; that dialled it, or 0 */
    bool proven;              /* dialled, and LINK_PROVEN came: the peer may still refuse us */
    tstamp proven_at;
    uint8_t props;
    uint64_t net, via; /* where it comes from, and through whom; 0: nowhere */
    uint64_t up_order; /* counts links as they came up */
    tstamp until;      /* when its certificates have ended; TSTAMP_NEVER: it has none */
    tstamp renew_at;   /* when it is to be replaced, if it is in use */
    struct swarm_rekeyed rekey;
    qudag_err down_err;
    struct peer_id found;         /* who answered instead of the peer dialled; len 0: nobody */
    struct swarm_pending *report; /* for whoever asked for this very dial; NULL: nobody */
    tstamp idle_since;
    tstamp probed;  /* when; 0: never, or it was answered */
    uint64_t heard; /* bytes that had come in by then */
    struct swarm_path path;
    struct list streams; /* swarm_stream.link_node */
    uint32_t n_streams;
    struct res_account account; /* the dial, then its place (circuits have none) and its streams */
    enum res_class came;        /* what it was when it came up, whoever its peer is */
    enum res_class standing;    /* the higher of that and what its peer is to us now */
    uint32_t n_ours, n_cells;   /* streams that we opened; that carry cells */
    tstamp moved;               /* when content last moved on a stream of the peer's */
    uint64_t ours, theirs;      /* bytes of content on streams that we, that the peer opened */
};

enum swarm_stream_state {
    SWARM_STREAM_LISTEN,   /* inbound, negotiating; no core yet */
    SWARM_STREAM_PROPOSED, /* outbound, our proposal sent, echo awaited; data may flow already */
    SWARM_STREAM_OPEN,
};

struct swarm_stream {
    struct list link_node;
    struct list wait_node; /* in swarm.negotiating while negotiating, or in swarm.timed_out */
    struct ref ref;
    struct swarm_link *link;
    int64_t sid;
    enum swarm_stream_state state;
    unsigned core;
    uint8_t counted; /* 1 + the number it has in its account (res_ask.proto); 0: none */
    bool inbound, fin_in, fin_out, in_up; /* in_up: a core knows it */
    bool timed_out, elsewhere; /* reset, and in swarm.timed_out until its core was told */
    const char *proto;
    struct mss *mss;   /* while negotiating */
    size_t preamble;   /* negotiation bytes of ours not yet reported sent */
    uint32_t reserved; /* RES_BYTES that are to be written */
    tstamp since;
};

/* An ACT_OPEN waiting for a link.  Its outcome needs no memory: |report| was allocated with it. */
struct swarm_open {
    struct swarm_pending report; /* first: freed as a whole once delivered */
    struct list node;            /* in peer.opens */
    struct list order;           /* in swarm.opens, oldest first */
    struct swarm_peer *peer;
    uint8_t need;
    bool no_dial; /* it ends when no link serves it */
    const char *proto;
    uint64_t turn;     /* protocols take turns: the n-th of one comes with the n-th of the others */
    tstamp waits_from; /* when it was asked for, or the peer last let a waiting one begin */
    uint64_t seen;     /* peer.turn by then */
    tstamp since;      /* when it was asked for */
};

struct swarm_core {
    const struct core_ops *ops;
    const char *main_proto;
};

struct swarm {
    struct swarm_config cfg;
    struct mem *mem;
    struct swarm_transport transport[SWARM_TRANSPORTS_MAX];
    uint32_t n_transports;
    struct swarm_pins pins; /* what a new link must not lack; of more peers than are in |peers| */
    struct map peers;       /* peer id -> swarm_peer */
    struct map link_map;    /* transport and reference -> swarm_link, until it is dead */
    struct list lru, links, dead, negotiating, timed_out, opens, pending, notify, delayed;
    struct slots streams;
    struct swarm_core core[SWARM_CORES_MAX];
    unsigned n_cores;
    const char *proto[SWARM_PROTOS_MAX];
    unsigned proto_core[SWARM_PROTOS_MAX];
    bool proto_anonymous[SWARM_PROTOS_MAX]; /* served where the caller is hidden; told to nobody */
    size_t n_protos;
    const char *plain[SWARM_PROTOS_MAX]; /* those that are negotiated, and told to peers */
    size_t plain_ix[SWARM_PROTOS_MAX];   /* ... in |proto| */
    size_t n_plain;
    uint32_t n_opens, n_links;
    bool trimming;              /* the low mark is not reached yet */
    uint64_t n_ups, n_link_ids; /* links that ever came up, that were told of */
    tstamp next_prune, rekeyed; /* since when our ML-DSA key is another; 0: it never was */
    struct swarm_limited limited;
    const char *interned[SWARM_PROTOS_MAX];
    size_t n_interned;
    struct resources *resources, *own;       /* cfg.accounts, or else |own| */
    struct limiter refusals_said, keys_said; /* lines in the log */
    struct limiter rescues;                  /* dials beside quiet links ... */
    struct limiter rescues_came;             /* ... of who came by itself and does not matter */
    tstamp came_since;                       /* since then: */
    uint8_t came_to[256]; /* dials for such peers, by host; which counts where follows from a key */
    struct swarm_tags tags;
    struct swarm_nets nets;       /* breakers of networks */
    struct limiter newcomers;     /* strangers and such for whom another link is closed */
    bool door_closed, doubts_new; /* swarm_close_door(); there may be one for swarm_doubt_next() */
    bool quiet_new;               /* there is one for swarm_rescue_links() ... */
    tstamp rescue_at;             /* ... or may be by then */
    uint64_t refused;             /* swarm_refused() */
    struct swarm_stats stats;
    struct swarm_meters meters;
};

/* swarm.c: a report is made when something is asked for, so that telling the outcome cannot fail. */
struct swarm_pending *swarm_report_make(struct swarm *s, unsigned core, uint64_t cookie,
                                        const struct peer_id *peer); /* NULL: no memory */
/* Queues |p|, which it owns from now on, as EV_STREAM_FAIL with |err|. */
void swarm_report_fail(struct swarm *s, struct swarm_pending *p, qudag_err err);
void swarm_deliver(struct swarm *s, unsigned core, const struct ev *ev);
/* The first transport that dials addresses like |addr|; NULL: none. */
const struct swarm_transport *swarm_transport_for(const struct swarm *s,
                                                  const struct multiaddr *addr);

/* peers.c */
struct swarm_peer *swarm_peer_get(struct swarm *s, const struct peer_id *id);
/* Found or made; NULL: no memory, or every place is taken by a peer in use. */
struct swarm_peer *swarm_peer_make(struct swarm *s, const struct peer_id *id);
/* How an address of a peer was learnt. */
enum swarm_addr_from {
    SWARM_ADDR_HINT,  /* anybody said so: a DHT answer */
    SWARM_ADDR_NAMED, /* the peer, its record or the program */
    SWARM_ADDR_LINK,  /* a link to it is up there */
};
/* Notes an address of |p|, without its peer id, if a transport dials such ones; of a full list one falls off. */
void swarm_peer_addr_add(struct swarm *s, struct swarm_peer *p, const struct multiaddr *addr,
                         enum swarm_addr_from from);
/* The address at which the newest link of |p| is or was; NULL: none is known. */
const struct swarm_addr *swarm_peer_addr_proven(const struct swarm_peer *p);
void swarm_peer_free(struct swarm *s, struct swarm_peer *p);
/* Whether there is, or may be any moment, a link with |id|; for the table of pins, |swarm| is it. */
bool swarm_peer_in_use(const void *swarm, const struct peer_id *id);
/* The best link with all of |need| for a stream of |core| that speaks |proto| (swarm_rule_better); NULL: none. */
struct swarm_link *swarm_peer_link(const struct swarm *s, const struct swarm_peer *p, uint8_t need,
                                   unsigned core, const char *proto, tstamp now);

/* renew.c */
/* Dials anew for links in use that end soon, closes those that end now. */
void swarm_renew_links(struct swarm *s, tstamp now);

/* opens.c */
/* ACT_OPEN to a peer: on a link that is there, or once a dial made one. */
void swarm_open_start(struct swarm *s, unsigned core, const struct act *a, const char *proto,
                      tstamp now);
/* Opens what waits on the links there are; what no link serves and no dial may serve ends with |err|. */
void swarm_opens_flush(struct swarm *s, struct swarm_peer *p, qudag_err err, tstamp now);
uint8_t swarm_opens_need(const struct swarm_peer *p); /* properties that every waiting open needs */
void swarm_open_unlink(struct swarm *s, struct swarm_open *o);
void swarm_open_fail(struct swarm *s, struct swarm_open *o, qudag_err err, tstamp now);
/* |o| is due: it ends, or goes on to wait while others of its peer get their turn.  True: it ended. */
bool swarm_open_expire(struct swarm *s, struct swarm_open *o, tstamp now);

/* links.c */
/* A link or a stream was refused: counted already, logged here, ten at once, one a second.  The packed reason. */
uint64_t swarm_link_refused(struct swarm *s, const struct res_refusal *why, tstamp now);
struct swarm_link *swarm_link_make(struct swarm *s, const struct swarm_transport *tp,
                                   struct ref ref, tstamp now); /* NULL: no memory */
/* The link, alive; one of an on-demand transport is made at its first use.  NULL: there is none. */
struct swarm_link *swarm_link_get(struct swarm *s, const struct swarm_transport *tp,
                                  struct ref ref);
/* The link is dead: nothing may be sent on it; swarm_step reaps it stream by stream. */
void swarm_link_gone(struct swarm *s, struct swarm_link *l, qudag_err err, tstamp now);
/*
 * Whether somebody here needs |l|, or another in its place, whose dial counts in the share of |*core|: a stream with a
 * core, or an open that waits.  What a peer opened and never said what for needs nothing, and has no core.
 */
bool swarm_link_needed(const struct swarm_link *l, unsigned *core);
/* |core| dialled, or opened a stream, where |l| leads: it may count as chosen by us from now on (pins.h). */
void swarm_link_used(struct swarm *s, const struct swarm_link *l, unsigned core);
/* states.c: |l| is in state |to| now, which is told; steps that do not follow on its state are none. */
void swarm_link_enter(struct swarm *s, struct swarm_link *l, enum swarm_link_state to);
const struct peer_id *swarm_link_peer_id(const struct swarm_link *l); /* len 0: with nobody */
/* Closes it, and as above; the transport's LINK_DOWN finds nothing then. */
void swarm_link_close(struct swarm *s, struct swarm_link *l, qudag_err err, tstamp now);
void swarm_link_free(struct swarm *s, struct swarm_link *l);
qudag_err swarm_link_info(const struct swarm_link *l, struct link_info *out);
/* Probed at least SWARM_SILENT_AFTER ago, and nothing came since. */
bool swarm_link_silent(struct swarm_link *l, tstamp now);

/* streams.c: on success |report| tells of it, else it is still the caller's.  EAGAIN: when streams end. */
qudag_err swarm_stream_open(struct swarm *s, struct swarm_link *l, struct swarm_pending *report,
                            const char *proto, tstamp now);
void swarm_stream_in(struct swarm *s, struct swarm_link *l, const struct link_ev *ev, tstamp now);
void swarm_stream_event(struct swarm *s, const struct swarm_transport *tp, const struct link_ev *ev,
                        tstamp now);
void swarm_stream_drop(struct swarm *s, struct swarm_stream *st, tstamp now); /* tells nobody */
/* Resets it on our side and frees it; a core that knew it is not told. */
void swarm_stream_abort(struct swarm *s, struct swarm_stream *st, qudag_err err, tstamp now);

#endif
