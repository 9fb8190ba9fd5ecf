/* portmap_int.h - what the files of portmap/ share: portmap.c (states), methods.c (what is sent and came), rules.c. */
#ifndef QUDAG_SRC_CORE_PORTMAP_PORTMAP_INT_H
#define QUDAG_SRC_CORE_PORTMAP_PORTMAP_INT_H

#include "core/portmap/portmap.h"

/* A question that is repeated until it is answered, or given up. */
struct portmap_try {
    tstamp at; /* when it is asked next; TSTAMP_NEVER: not of itself */
    uint32_t tries;
    bool over;       /* it failed, in this round */
    const char *why; /* static */
};

/* A gateway, of one IP version. */
struct portmap_gate {
    struct netaddr addr, source; /* family 0: none */
    struct portmap_epoch {
        bool known;
        uint32_t s;
        tstamp at;               /* when it was told */
    } epoch[2];                  /* of PCP, of NAT-PMP: two programs may answer */
    bool no_pcp, no_natpmp;      /* it said so */
    struct netaddr natpmp_addr;  /* family 0: not known */
    struct portmap_try ask_addr; /* for that */
    struct portmap_try look; /* at the epoch; over: ports were asked for again, as it was silent */
    uint8_t mute;    /* times in a row that it answered for a port, and not when it was looked at */
    tstamp again_at; /* ports are not asked for again before, whatever comes */
    tstamp doubt_at; /* a doubt has no effect before */
};

/* A port that is wanted. */
struct portmap_port {
    bool used, tcp;
    struct netaddr internal;
    enum portmap_state state;
    enum portmap_method method; /* MAPPED */
    struct netaddr external;    /* likewise */
    bool double_nat;
    bool doubted; /* MAPPED: the router may have lost it, so it is asked for as if it was not */
    uint32_t life_s, failures;
    tstamp expires; /* MAPPED */
    tstamp round;   /* WAITING: when the next one begins */
    char why[PORTMAP_WHY_MAX];
    uint8_t nonce[PCP_NONCE_LEN];
    struct portmap_try by[PORTMAP_METHODS]; /* [PORTMAP_NONE] is not used */
    uint64_t upnp_id;                       /* under way; 0: none */
    tstamp upnp_asked;
    uint16_t upnp_port, upnp_pinhole;
    uint8_t upnp_ports; /* that were asked for in this round */
    bool permanent;     /* the router makes no others */
};

struct portmap {
    struct mem *mem;
    struct rng rng;
    struct portmap_gate gate[2]; /* IPv4, IPv6 */
    struct portmap_port port[PORTMAP_WANTS_MAX];
    uint64_t upnp_ids;
    bool ended;
};

static inline struct portmap_gate *portmap_gate_of(struct portmap *p, uint8_t version)
{
    return &p->gate[version == 6 ? 1 : 0];
}

/* What a method found. */
struct portmap_found {
    enum portmap_method method;
    uint32_t life_s; /* 0: for ever */
    struct netaddr external;
};
/* portmap.c: the port is mapped so. */
void portmap_mapped(struct portmap_port *o, const struct portmap_found *f, tstamp now,
                    struct acts *out);
/* The method has failed in this round, or the renewal by it. */
void portmap_failed(struct portmap *p, struct portmap_port *o, enum portmap_method m,
                    const char *why, tstamp now, struct acts *out);

/* methods.c: asks by it, once more. */
void portmap_ask(struct portmap *p, struct portmap_port *o, enum portmap_method m, tstamp now,
                 struct acts *out);
/* Asks for NAT-PMP's external address, for the epoch. */
void portmap_ask_addr(struct portmap *p, struct portmap_gate *g, tstamp now, struct acts *out);
void portmap_ask_epoch(struct portmap *p, struct portmap_gate *g, tstamp now, struct acts *out);
/* Removes what is mapped at the router; no answer is waited for. */
void portmap_remove(struct portmap *p, struct portmap_port *o, struct acts *out);
/* Every mapped port of the gateway is asked for again. */
void portmap_ask_again(struct portmap *p, const struct portmap_gate *g, tstamp now);

#endif
