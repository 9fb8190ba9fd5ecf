/*
 * flood_kit.h - the attackers of flood_bench.c: each a process of its own on an address of 127.0.0.0/8.
 *
 * Frames that the library would not send are written by hand, under the keys of a link that it has made.
 */
#ifndef QUDAG_BENCH_FLOOD_KIT_H
#define QUDAG_BENCH_FLOOD_KIT_H

#include "base/netaddr.h"

#include <stdatomic.h>
#include <stdbool.h>

enum flood_kind {
    FLOOD_NONE,
    FLOOD_GARBAGE, /* empty, short, random, another version */
    FLOOD_INITIALS, /* forged: a valid long header, a payload nobody has sealed; from many addresses */
    FLOOD_HELLOS, /* true Initials of handshakes that are never gone on with; from many addresses */
    FLOOD_STREAMS,    /* opened, one byte, reset */
    FLOOD_REQUESTS,   /* opened with what is no request */
    FLOOD_PINGS,      /* PING frames, one a packet */
    FLOOD_CHALLENGES, /* PATH_CHALLENGE frames, one a packet */
    FLOOD_IDENTITIES, /* links of so many identities, held */
    FLOOD_CREATES,    /* circuits of one hop, begun and left */
    FLOOD_DOUBLE,     /* the datagrams and the work of another attacker, to nobody */
};

/* What one attacker is told. */
struct flood_order {
    enum flood_kind kind;
    struct netaddr target;
    struct netaddr from;        /* port 0 */
    double per_s;               /* datagrams; 0: as many as possible */
    unsigned identities, hosts; /* so many, from so many addresses of one /24; 0: one */
    const char *addr;           /* of the target, as text with its peer id; FLOOD_CREATES */
    double bytes, cpu;          /* FLOOD_DOUBLE: of a datagram; of a processor */
};

/* What it did, in memory shared with the benchmark. */
struct flood_done {
    atomic_bool stop;
    _Atomic uint64_t dgrams, bytes, acts, links, downs;
    _Atomic uint64_t cpu_ns;
};

/* Until |d| says stop; FLOOD_CREATES is the benchmark's own. */
void flood_run(const struct flood_order *o, struct flood_done *d);

/* Seconds until a new identity at |from| has a link with |target|; negative: none within |most|. */
double flood_newcomer(const struct netaddr *from, const struct netaddr *target, double most);

#endif
