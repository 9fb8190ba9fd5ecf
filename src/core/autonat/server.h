/*
 * server.h - the side of AutoNAT v2 that dials others back, so that they know whether they can be dialled.
 *
 *   request ─▶ READING ─ an address ─┬─ of the host that asks ─────────────▶ DIALLING ─ outcome ─▶ response
 *                                    └─ of another ─▶ PAYING ─ 30 to 100 kB ─▶ RESTING
 *
 * What others make a node dial is bounded: one address for each request, AUTONAT_JOBS_MAX at once, AUTONAT_MINUTE a
 * minute, AUTONAT_MINUTE_TARGET to one host, AUTONAT_MINUTE_PEER and AUTONAT_MINUTE_SHARE for who asks; never private
 * addresses, our own, or ports of services that answer anybody.  They count when they begin, paid for.  Streams that
 * say or pay nothing, and dials to hosts that do not answer, keep a place as long as nobody else wants it; whose stream
 * has ended has no dial.  A dial is about ten datagrams, 12 kB, to a host
 * that does not answer; another host than the one that asks costs it 30 kB before.
 */
#ifndef QUDAG_SRC_CORE_AUTONAT_SERVER_H
#define QUDAG_SRC_CORE_AUTONAT_SERVER_H

#include "core/autonat/client.h"

#define AUTONAT_JOBS_MAX 8         /* requests at once; more are rejected */
#define AUTONAT_JOBS_NET 4         /* of them, of one network (/24, /48) */
#define AUTONAT_TURN_READ NS_PER_S /* then a request that has not come gives way to another ... */
#define AUTONAT_TURN_PAY (5 * NS_PER_S)  /* ... and one whose price has not ... */
#define AUTONAT_TURN_DIAL (5 * NS_PER_S) /* ... and one whose dial has no outcome */
#define AUTONAT_MINUTE 60                /* dials in a minute, in all ... */
#define AUTONAT_MINUTE_SHARE 5  /* ... for a network one in so many of the rest, at least one ... */
#define AUTONAT_MINUTE_PEER 6   /* ... by one peer ... */
#define AUTONAT_MINUTE_TARGET 3 /* ... and to one host */
#define AUTONAT_READ_TIMEOUT (10 * NS_PER_S)
#define AUTONAT_PAY_TIMEOUT (30 * NS_PER_S)
#define AUTONAT_DIAL_TIMEOUT (15 * NS_PER_S) /* for the dial and what comes after it */
#define AUTONAT_OWN_MAX 16
#define AUTONAT_PIECE_MIN 100 /* bytes of data in a message, but for the last */
/* At most, before another host is dialled: many who ask do not hit it at once. */
#define AUTONAT_REST (3 * NS_PER_S)

/* To be dialled: as a link with |peer|, that brings the nonce on a stream of AUTONAT_BACK_PROTOCOL. */
struct autonat_order {
    uint64_t job; /* for autonat_dialled() */
    struct peer_id peer;
    struct multiaddr addr;
    uint64_t nonce;
};

/* What this node is now. */
struct autonat_self {
    bool serves;   /* it can be dialled itself */
    bool ip4, ip6; /* it can dial that */
    size_t n_own;
    struct netaddr own[AUTONAT_OWN_MAX]; /* its addresses, which it does not dial */
};

/* A dial of the last minute. */
struct autonat_recent {
    tstamp at; /* 0: none */
    uint64_t net, peer, target;
};

struct autonat_job {
    uint8_t state; /* enum in server.c; 0: free */
    struct ref strm;
    struct autonat_order order;
    uint64_t net, left; /* bytes to be paid */
    struct netaddr from;
    uint32_t addr_ix;
    tstamp due, since; /* since: in this state */
    struct autonat_frame frame;
    uint8_t buf[AUTONAT_MSG_MAX];
};

/* Counted since the beginning. */
struct autonat_server_stats {
    uint64_t requests, rejected, refused, paid, dialled_ok, dialled_failed;
};

struct autonat_server {
    struct rng rng;
    bool lab;
    uint64_t orders;
    struct autonat_self self;
    struct autonat_recent recent[AUTONAT_MINUTE]; /* a ring */
    size_t at;
    struct autonat_job job[AUTONAT_JOBS_MAX];
    struct autonat_server_stats stats;
};

/* Of AUTONAT_REQUEST_PROTOCOL, inbound. */
extern const struct core_ops autonat_serve_ops;

/* Serves nobody yet; |rng| is copied.  |lab|: private addresses are dialled, too. */
void autonat_server_init(struct autonat_server *s, const struct rng *rng, bool lab);
/* From now on it is that; copied. */
void autonat_server_set(struct autonat_server *s, const struct autonat_self *self);
/* The stream of a request that was opened in this call comes from |remote|. */
void autonat_server_from(struct autonat_server *s, struct ref strm, const struct multiaddr *remote);
/* What became of an order; of one that is not awaited any more nothing follows.  UNUSED: it could not be begun. */
void autonat_dialled(struct autonat_server *s, uint64_t job, enum autonat_dial how,
                     struct acts *out);

/*
 * The first address of a request that may be dialled: QUIC, on the Internet (not in a |lab|), of an IP version that we
 * have, none of ours, and to a port above 1023 or 443: below are services that answer strangers.  n_addrs: none.
 */
size_t autonat_rule_pick(const struct autonat_msg *m, const struct autonat_self *self, bool lab);
/* A place, taken or not. */
struct autonat_place {
    uint64_t net; /* netaddr_group() of who asks */
    /* Its request, its price, the outcome of its dial has not come yet; none of them: it rests. */
    bool reading, paying, dialling;
    tstamp since; /* it reads, or is paid, or dials */
};
/*
 * Which of all places, that are taken, gives way to another request: one that had its turn, of several that of the
 * network with most, of that the oldest.  AUTONAT_JOBS_MAX: none.
 */
size_t autonat_rule_gives_way(const struct autonat_place *place, tstamp now);
/* Whether one more dial like |next| keeps the limits of a minute; in a |lab| all are of one network, and one host. */
bool autonat_rule_may(const struct autonat_recent *recent, const struct autonat_recent *next,
                      bool lab);
/* How many bytes are asked for before |at| is dialled for one who comes |from|; 0: none. |chance|: a random number. */
uint64_t autonat_rule_price(const struct netaddr *at, const struct netaddr *from, uint64_t chance);

#endif
