/*
 * portmap.h - a port of the router's opened for this node: PCP (RFC 6887), NAT-PMP (RFC 6886) and UPnP IGD side by
 * side; of IPv6, where nothing is translated, a hole in the router's firewall (a pinhole).
 *
 *   portmap_gateway, portmap_want      ─▶ datagrams for port 5351 of the gateway (PORTMAP_UP_SEND), PORTMAP_UP_UPNP
 *   portmap_recv, portmap_upnp_done    ─▶ PORTMAP_UP_MAPPED, PORTMAP_UP_LOST, PORTMAP_UP_FAILED
 *
 * Each port that is wanted:
 *
 *   IDLE ─ wanted, a gateway ─▶ ASKING ─ one method has it ─▶ MAPPED ─ half of its life ─▶ renewed, and again
 *                                 ▲ └─ all have failed ─▶ WAITING     └─ the life is over, refused ─▶ ASKING
 *                                 └──── a pause, or the network changed ─┘
 *
 * ASKING: PCP at once; NAT-PMP's address at once, its port 25 ms after the answer if PCP has not answered; UPnP
 * 250 ms later.  Whichever has the port first keeps it: two protocols of a router often show one table, so that to
 * remove it by one would take it from the other.  What the router says of the time since it lost its state (the epoch),
 * in any answer, or silence when it is asked for that, tells that the ports are to be asked for again.
 *
 * Nothing of this is believed: a router, or who answers in its place, can name any address.  What is mapped is a
 * candidate of core/reach, to be confirmed by others before anybody is told.  An address that is not of the Internet is
 * never one.
 */
#ifndef QUDAG_SRC_CORE_PORTMAP_PORTMAP_H
#define QUDAG_SRC_CORE_PORTMAP_PORTMAP_H

#include "base/netaddr.h"
#include "core/core.h"
#include "wire/pcp.h"

#define PORTMAP_WANTS_MAX 4    /* UDP and TCP, IPv4 and IPv6 */
#define PORTMAP_LIFE_S 7200    /* that is asked for */
#define PORTMAP_LIFE_MAX 86400 /* that is believed (RFC 6887 15) */
#define PORTMAP_LIFE_MIN                                                                           \
    8 /* s; a shorter one counts as this long, else it would be renewed without end */
#define PORTMAP_NATPMP_AFTER (25 * NS_PER_MS) /* head start of PCP, while it has not answered */
#define PORTMAP_UPNP_AFTER (250 * NS_PER_MS)  /* ... of both */
#define PORTMAP_PCP_TRIES 3 /* RFC 6887 8.1.1 has no end; 3, 6, 12 s, each a tenth more or less */
#define PORTMAP_NATPMP_TRIES 6 /* RFC 6886 3.1: nine; 0.25, 0.5 .. 8 s */
#define PORTMAP_PORTS_MAX 5 /* that UPnP is asked for, one after the other, where each is taken */
#define PORTMAP_PAUSE_MIN (60 * NS_PER_S) /* after all methods failed; doubles */
#define PORTMAP_PAUSE_MAX (1800 * NS_PER_S)
#define PORTMAP_LOOK                                                                               \
    (4 * NS_PER_S) /* between looks at the epoch, while PCP or NAT-PMP has a port, */
#define PORTMAP_LOOK_MUTE (60 * NS_PER_S) /* of a router that answers no such question, */
#define PORTMAP_LOOK_SOON (2 * NS_PER_S)  /* and while one is silent */
#define PORTMAP_DOUBT (10 * NS_PER_S)     /* between two looks that doubts cause */
#define PORTMAP_UPNP_LOOK (60 * NS_PER_S) /* a doubt asks UPnP no sooner than this again */
#define PORTMAP_UPNP_MAX                                                                           \
    (90 * NS_PER_S) /* until an answer of the host that does not come is given up */
#define PORTMAP_WHY_MAX 200

enum portmap_method { PORTMAP_NONE, PORTMAP_PCP, PORTMAP_NATPMP, PORTMAP_UPNP };
#define PORTMAP_METHODS 4
/* "PCP"; static. */
const char *portmap_method_text(enum portmap_method m);

enum portmap_state { PORTMAP_IDLE, PORTMAP_ASKING, PORTMAP_MAPPED, PORTMAP_WAITING };

/* One port, as it stands. */
struct portmap_look {
    bool tcp;
    struct netaddr internal;
    struct netaddr external; /* family 0: not mapped */
    enum portmap_state state;
    enum portmap_method method;
    uint32_t life_s, left_s;   /* 0: for ever (UPnP) */
    bool double_nat;           /* the external address is private, or 100.64.0.0/10 */
    uint32_t failures;         /* in a row */
    char why[PORTMAP_WHY_MAX]; /* of the last failure, for people; "" */
};

enum portmap_up {
    PORTMAP_UP_SEND = 1, /* ptr: struct portmap_send */
    PORTMAP_UP_UPNP,     /* ptr: struct portmap_upnp; then portmap_upnp_done() unless it removes */
    PORTMAP_UP_MAPPED,   /* ptr: struct portmap_look: it is; what was before has been lost */
    PORTMAP_UP_LOST,     /* ptr: struct portmap_look as it was: it is no more */
    PORTMAP_UP_FAILED,   /* ptr: struct portmap_look: by no method; tried again later */
};

struct portmap_send {
    struct netaddr from, to;
    uint8_t len;
    uint8_t bytes[PCP_WRITE_MAX];
};

/* One thing to be done by UPnP: a few seconds on a thread of the host's. */
struct portmap_upnp {
    uint64_t id;
    bool tcp, remove;        /* remove: the answer is not waited for */
    struct netaddr internal; /* of IPv6: a pinhole */
    struct netaddr gateway;  /* whoever answers elsewhere is not spoken to */
    uint16_t external;
    uint16_t pinhole; /* remove, IPv6: which */
    uint32_t life_s;  /* 0: for ever */
};

/* Codes of UPnP (IGD 2, WANIPConnection 2.5.16 and 2.5.18) that mean something here, and two of ours. */
enum portmap_upnp_code {
    PORTMAP_UPNP_OK = 0,
    PORTMAP_UPNP_NO_ROUTER = -1, /* none answers, or it has no such service */
    PORTMAP_UPNP_NO_SENSE = -2,  /* what it answered makes none, or it stopped answering */
    PORTMAP_UPNP_NOT_HERE = -3,  /* the host has no UPnP */
    PORTMAP_UPNP_FAILED = 501,
    PORTMAP_UPNP_REFUSED = 606,
    PORTMAP_UPNP_CONFLICT = 718,
    PORTMAP_UPNP_SAME_PORT = 724,
    PORTMAP_UPNP_PERMANENT_ONLY = 725,
};

struct portmap_upnp_answer {
    int code; /* enum portmap_upnp_code, or another of UPnP */
    struct netaddr external;
    uint16_t pinhole;
    uint32_t life_s; /* that the router says is left; 0: it does not say, or for ever */
};

struct portmap;
/* |mem| and |rng| are borrowed (rng copied).  ENOMEM. */
QUDAG_MUST_USE qudag_err portmap_new(struct portmap **out, struct mem *mem, const struct rng *rng);
/* Nothing is removed at the router: portmap_end().  NULL is fine. */
void portmap_free(struct portmap *p);

/*
 * The gateway of an IP version (4, 6) and our address towards it, with the port to send from; NULL: there is none.
 * Another than before: what was mapped is lost, and asked for anew.
 */
void portmap_gateway(struct portmap *p, uint8_t version, const struct netaddr *gateway,
                     const struct netaddr *source, tstamp now, struct acts *out);
/* The ports that are wanted from now on, at most PORTMAP_WANTS_MAX; those that are not any more are removed. */
void portmap_want(struct portmap *p, const struct netaddr *internal, const bool *tcp, size_t n,
                  tstamp now, struct acts *out);
/* Something may have happened to the router (links died, it announced something): its epoch is asked for. */
void portmap_doubt(struct portmap *p, tstamp now, struct acts *out);
/* A datagram that came from |from|; false: of no use, ignored. */
bool portmap_recv(struct portmap *p, const struct netaddr *from, struct slice datagram, tstamp now,
                  struct acts *out);
/* The answer to PORTMAP_UP_UPNP; one that nobody waits for is ignored. */
void portmap_upnp_done(struct portmap *p, uint64_t id, const struct portmap_upnp_answer *a,
                       tstamp now, struct acts *out);
/* All that is mapped is removed, without waiting for answers; nothing is asked for from now on. */
void portmap_end(struct portmap *p, tstamp now, struct acts *out);
extern const struct core_ops portmap_ops; /* tick, deadline */

/* One for each port that is wanted, |*it| from 0 on; false at the end. */
bool portmap_next(const struct portmap *p, size_t *it, tstamp now, struct portmap_look *out);

/* What an external address is worth. */
enum portmap_worth { PORTMAP_USELESS, PORTMAP_LOCAL, PORTMAP_GLOBAL };
/* LOCAL: there is another NAT behind this one; USELESS: none (0.0.0.0), this host's own, no port. */
enum portmap_worth portmap_rule_external(const struct netaddr *external);
/* Seconds that a lifetime of an answer counts as. */
uint32_t portmap_rule_life(uint32_t life_s);
/*
 * Whether the router has lost its state between two answers with these epochs, |passed_s| apart (RFC 6887 8.5; RFC 6886
 * 3.6 allows as much).
 */
bool portmap_rule_rebooted(uint32_t before, uint32_t epoch, uint64_t passed_s);
/* ns from a renewal that was not answered to the next: half of what is left, not less than 4 s (RFC 6887 11.2.1). */
uint64_t portmap_rule_renew(uint64_t left_ns);

#endif
