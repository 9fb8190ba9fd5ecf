/*
 * testkit_router.h - a router in virtual time that speaks PCP, NAT-PMP and UPnP, with the faults of real ones.
 * Answers come a millisecond later, UPnP's after 2 s when nothing else is said.
 */
#ifndef QUDAG_SRC_CORE_PORTMAP_TESTKIT_ROUTER_H
#define QUDAG_SRC_CORE_PORTMAP_TESTKIT_ROUTER_H

#include "core/portmap/portmap.h"

#include "base/wr.h"

#include <stdlib.h>
#include <string.h>

enum fault {
    NO_UPNP = 1,
    NO_NATPMP = 2,
    NO_PCP = 4,          /* answered as by a router that has NAT-PMP only, if it has */
    CONFLICT = 8,        /* UPnP: every port is taken */
    PERMANENT_ONLY = 16, /* UPnP: 725 unless for ever */
    FULL = 32,
    WRONG_PORT = 64, /* another one than was asked for */
    EXT_PRIVATE = 128,
    EXT_ZERO = 256,
    SHORT_LEASE = 512, /* 30 s at most */
    SLOW = 1024,       /* 3 s before each answer of UPnP, of which there are some */
    GARBAGE = 2048,    /* UPnP: broken texts */
    TWO_IGDS = 4096,   /* UPnP: the first is dead */
    UNAUTHORIZED = 8192,
    SILENT = 16384,    /* nobody answers anything */
    MUTE_LOOK = 32768, /* answers no ANNOUNCE, nor where it is */
    PORT_ZERO = 65536, /* grants port 0 */
    LIFE_ZERO = 1 << 17,
    TAKEN_ONCE = 1 << 18, /* UPnP: the first port is */
    MAPS_NEVER = 1 << 19, /* UPnP: 725 even for ever */
};

#define ENTRIES 8
struct entry {
    bool used, tcp;
    struct netaddr internal;
    uint16_t external;
    tstamp until;
};

struct pending {
    bool used, upnp;
    tstamp at;
    uint64_t id;
    struct netaddr from;
    uint8_t bytes[128];
    size_t len;
    struct portmap_upnp_answer answer;
};

struct bed {
    struct portmap *p;
    struct mem mem;
    struct rng_stream stream;
    struct act v[64];
    uint8_t bytes[1 << 15];
    struct acts out;
    tstamp now, boot;
    uint32_t faults;
    struct netaddr gateway, source, wan;
    struct entry entry[ENTRIES];
    struct pending pending[32];
    unsigned mapped, lost, failed, sent, upnp, removed; /* counts of reports */
    unsigned taken;
    uint32_t upnp_life; /* of the last request */
    struct portmap_look last;
    struct portmap_send last_sent;
};

static struct bed bed;

static inline struct netaddr addr_of(const char *text, uint16_t port)
{
    struct netaddr a = {.port = port};

    assert_int_equal(netaddr_parse_ip(&a, text), QUDAG_OK);
    return a;
}

static struct pending *later(uint64_t delay)
{
    for (size_t i = 0; i < ARRAY_LEN(bed.pending); i++) {
        if (!bed.pending[i].used) {
            bed.pending[i] = (struct pending){.used = true, .at = bed.now + delay};
            return &bed.pending[i];
        }
    }
    assert_true(false);
    return &bed.pending[0];
}

static inline struct entry *entry_of(bool tcp, const struct netaddr *internal)
{
    for (size_t i = 0; i < ENTRIES; i++) {
        struct entry *e = &bed.entry[i];
        if (e->used && e->until <= bed.now) {
            e->used = false;
        }
        if (e->used && e->tcp == tcp && netaddr_eq(&e->internal, internal)) {
            return e;
        }
    }
    return NULL;
}

static inline size_t entries(void)
{
    size_t n = 0;

    for (size_t i = 0; i < ENTRIES; i++) {
        n += bed.entry[i].used && bed.entry[i].until > bed.now ? 1 : 0;
    }
    return n;
}

/* The port that it gets, and for how long. */
static inline uint16_t grant(bool tcp, const struct netaddr *internal, uint16_t wanted,
                             uint32_t *life, bool exact)
{
    struct entry *e = entry_of(tcp, internal);

    for (size_t i = 0; e == NULL && i < ENTRIES; i++) {
        e = bed.entry[i].used ? NULL : &bed.entry[i];
    }
    assert_non_null(e);
    if ((bed.faults & SHORT_LEASE) != 0 && (*life == 0 || *life > 30)) {
        *life = 30;
    }
    if ((bed.faults & WRONG_PORT) != 0 && !exact) {
        wanted = 20123;
    }
    *e = (struct entry){true, tcp, *internal, wanted,
                        *life == 0 ? TSTAMP_NEVER : bed.now + *life * NS_PER_S};
    return wanted;
}

static inline void answer_ip(struct wr *w, const struct netaddr *a)
{
    if (a->family == 4) {
        wr_zero(w, 10);
        wr_u16(w, 0xffff);
        wr_bytes(w, a->ip, 4);
    } else {
        wr_bytes(w, a->ip, 16);
    }
}

static inline struct netaddr external_ip(void)
{
    return (bed.faults & EXT_PRIVATE) != 0 ? addr_of("192.168.0.2", 0)
           : (bed.faults & EXT_ZERO) != 0  ? addr_of("0.0.0.0", 0)
                                           : bed.wan;
}

static inline uint32_t epoch(void)
{
    return (uint32_t)((bed.now - bed.boot) / NS_PER_S);
}

static inline void answer(struct wr *w)
{
    struct pending *a = later(NS_PER_MS);

    a->from = bed.gateway;
    a->from.port = PCP_PORT;
    a->len = wr_done(w).len;
    memcpy(a->bytes, w->p, a->len);
}

static inline void pcp_head(struct wr *w, uint8_t op, uint8_t result, uint32_t life)
{
    wr_u8(w, 2);
    wr_u8(w, op | 0x80);
    wr_u8(w, 0);
    wr_u8(w, result);
    wr_u32(w, life);
    wr_u32(w, epoch());
    wr_zero(w, 12);
}

static inline uint16_t u16_at(const uint8_t *b)
{
    return (uint16_t)(b[0] << 8 | b[1]);
}

static inline uint32_t u32_at(const uint8_t *b)
{
    return (uint32_t)u16_at(b) << 16 | u16_at(b + 2);
}

static inline void serve_pcp(const struct portmap_send *s)
{
    uint8_t b[128];
    struct wr w = wr_init(b, sizeof(b));
    uint32_t life = u32_at(s->bytes + 4);
    struct netaddr internal = s->from, external = external_ip();
    uint8_t refused = (bed.faults & UNAUTHORIZED) != 0 ? PCP_NOT_AUTHORIZED
                      : (bed.faults & FULL) != 0       ? PCP_NO_RESOURCES
                                                       : PCP_SUCCESS;

    if (s->bytes[1] == 0) {
        if ((bed.faults & MUTE_LOOK) == 0) {
            pcp_head(&w, 0, 0, 0);
            answer(&w);
        }
        return;
    }
    bool tcp = s->bytes[36] == PCP_TCP;
    internal.port = u16_at(s->bytes + 40);
    if (life == 0) {
        struct entry *e = entry_of(tcp, &internal);
        if (e != NULL) {
            e->used = false;
        }
        return;
    }
    uint16_t port = 0;
    if (refused == PCP_SUCCESS) {
        port = grant(tcp, &internal, u16_at(s->bytes + 42), &life, false);
    }
    pcp_head(&w, 1, refused, (bed.faults & LIFE_ZERO) != 0 ? 0 : life);
    wr_bytes(&w, s->bytes + 24, 18);
    wr_u16(&w, (bed.faults & PORT_ZERO) != 0 ? 0 : port);
    external = s->from.family == 6 ? s->from : external;
    answer_ip(&w, &external);
    answer(&w);
}

static inline void serve_natpmp(const struct portmap_send *s)
{
    uint8_t b[128];
    struct wr w = wr_init(b, sizeof(b));
    struct netaddr internal = s->from, external = external_ip();
    uint8_t op = s->bytes[1];
    uint8_t refused = (bed.faults & UNAUTHORIZED) != 0 ? 2 : (bed.faults & FULL) != 0 ? 4 : 0;

    wr_u8(&w, 0);
    wr_u8(&w, op | 0x80);
    wr_u16(&w, op == 0 ? 0 : refused);
    wr_u32(&w, epoch());
    if (op == 0) {
        wr_bytes(&w, external.ip, 4);
        if ((bed.faults & MUTE_LOOK) == 0) {
            answer(&w);
        }
        return;
    }
    internal.port = u16_at(s->bytes + 4);
    uint32_t life = u32_at(s->bytes + 8);
    if (life == 0) {
        struct entry *e = entry_of(op == 2, &internal);
        if (e != NULL) {
            e->used = false;
        }
        return;
    }
    wr_u16(&w, internal.port);
    wr_u16(&w, refused != 0 || (bed.faults & PORT_ZERO) != 0
                   ? 0
                   : grant(op == 2, &internal, u16_at(s->bytes + 6), &life, false));
    wr_u32(&w, (bed.faults & LIFE_ZERO) != 0 ? 0 : life);
    answer(&w);
}

static inline void serve(const struct portmap_send *s)
{
    bed.sent++;
    bed.last_sent = *s;
    assert_int_equal(s->to.port, PCP_PORT);
    assert_true(netaddr_same_ip(&s->to, &bed.gateway));
    if ((bed.faults & SILENT) != 0) {
        return;
    }
    if (s->bytes[0] == 2 && (bed.faults & NO_PCP) == 0) {
        serve_pcp(s);
    } else if (s->bytes[0] == 0 && (bed.faults & NO_NATPMP) == 0) {
        serve_natpmp(s);
    } else if (s->bytes[0] == 2 && (bed.faults & NO_NATPMP) == 0) {
        uint8_t b[8] = {0, 0x81, 0, 1, 0, 0, 0, 9};
        struct wr w = {.p = b, .len = 8, .cap = 8};
        answer(&w);
    }
}

#endif
