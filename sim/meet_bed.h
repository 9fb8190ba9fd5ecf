/*
 * meet_bed.h - two cores of core/meet behind NATs, a relayed channel between them, in virtual time.
 *
 *   core A ─ LAN ─ home NAT ─ (carrier NAT) ─ WAN ─ (carrier NAT) ─ home NAT ─ LAN ─ core B
 *
 * Every leg has a delay, jitter and loss.  The relayed channel loses nothing.  A pair that is found is dialled by two
 * packets of a pretended handshake, so that a pair that does not work is noticed.
 */
#ifndef QUDAG_SIM_MEET_BED_H
#define QUDAG_SIM_MEET_BED_H

#include "base/assert.h"
#include "base/mem.h"
#include "core/meet/meet.h"
#include "core/meet/rules.h"
#include "sim/nat.h"

#define BED_SOCKS 600
#define BED_PACKET 160
#define BED_MAIN 4001

enum bed_what { BED_INSIDE, BED_NAT_OUT, BED_WAN, BED_NAT_IN, BED_STREAM, BED_SOCKET, BED_DIAL };

struct bed_event {
    tstamp at;
    uint64_t order;
    enum bed_what what;
    unsigned side;  /* whose LAN, NAT, or to whom */
    unsigned level; /* of NATs */
    struct netaddr from, to;
    uint64_t cookie;
    struct ref strm;
    size_t len;
    uint8_t bytes[BED_PACKET * 4];
};

struct bed_side {
    struct meet *m;
    struct peer_id id;
    struct nat *nat[2]; /* from inside to outside; NULL: no more */
    struct netaddr inside;
    uint64_t lan; /* delay, ns */
    struct meet_candidate cand[MEET_CANDIDATES_MAX];
    struct meet_own own;
    struct netaddr socks[BED_SOCKS];
    bool open[BED_SOCKS];
    size_t n_socks, sockets_max;
    struct ref strm;
    bool strm_open, mute; /* mute: the peer has vanished */
    struct meet_pair found, expected;
    tstamp found_at;
    unsigned dials;
    qudag_err ended;
    bool over, refuses;
    uint32_t sent, no_port; /* no_port: of those, for which its router had none */
};

struct bed_victim {
    struct netaddr ip;
    uint32_t got;
};

struct bed {
    struct mem mem;
    struct rng_stream stream;
    struct rng rng;
    tstamp now, started, direct_at;
    struct bed_side side[2];
    uint64_t wan, jitter, relay; /* one way; relay: beside both LANs */
    uint32_t loss;               /* per mille and leg */
    bool same_lan;
    struct bed_event **heap;
    size_t n, cap;
    uint64_t order;
    struct bed_victim victim;
    void (*tap)(struct bed *b, struct bed_event *e); /* sees what comes to a core */
    void *tap_ctx;
};

/* What stands before a side. */
struct bed_router {
    enum nat_depends mapping, filter;
    enum nat_ports ports;
    bool rejects, hairpin, none;
    uint32_t per_host_max;
};

/* An IPv4 address. */
struct netaddr bed_ip4(uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint16_t port);

/* An empty list; one at a time. */
struct acts bed_acts(void);

/* Carries out what a core of the side asked for. */
void bed_apply(struct bed *b, unsigned side, const struct acts *given);

/* An event of the relayed link. */
void bed_event_in(struct bed *b, unsigned side, struct ev ev);

/* Where others would see |inside|, asked now. */
struct netaddr bed_external(struct bed *b, unsigned side, struct netaddr inside);

/* Two cores without routers. */
void bed_init(struct bed *b, uint32_t seed);

/* A router at |level| before the side, with that address outside. */
void bed_router(struct bed *b, unsigned side, unsigned level, const struct bed_router *r,
                struct netaddr external);

/* What the side would know of itself: host, observed, the kind of its router. */
void bed_learn(struct bed *b, unsigned side, const struct bed_router *r);

/* Both sides behind one router each. */
void bed_homes(struct bed *b, const struct bed_router *a, const struct bed_router *z);

/* Side 0 begins. */
void bed_begin(struct bed *b);

/* Runs until |until|, or both are done with it. */
void bed_run(struct bed *b, tstamp until);

/* The look of that side's meeting. */
struct meet_look bed_look(const struct bed *b, unsigned side);

/* Frees all, and sees that nothing is left. */
void bed_free(struct bed *b);

/* As |m| and its list are left by a call. */
#define BED_CALL(b, i, call)                                                                       \
    do {                                                                                           \
        struct acts out = bed_acts();                                                              \
        call;                                                                                      \
        ASSERT(!out.overflow);                                                                     \
        bed_apply(b, i, &out);                                                                     \
    } while (0)

#endif
