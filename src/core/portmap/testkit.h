/* testkit.h - a core behind the router of testkit_router.h, in virtual time.  For tests of this folder only. */
#ifndef QUDAG_SRC_CORE_PORTMAP_TESTKIT_H
#define QUDAG_SRC_CORE_PORTMAP_TESTKIT_H

#include "core/portmap/testkit_router.h"

/* What the host's thread comes back with. */
static inline void serve_upnp(const struct portmap_upnp *u)
{
    struct pending *a = later((bed.faults & SLOW) != 0 ? 14 * NS_PER_S : 2 * NS_PER_S);
    uint32_t life = u->life_s;

    a->upnp = true;
    a->id = u->id;
    if (u->remove) {
        struct entry *e = entry_of(u->tcp, &u->internal);
        a->used = false;
        bed.removed++;
        if (e != NULL && (bed.faults & (NO_UPNP | SILENT)) == 0) {
            e->used = false;
        }
        return;
    }
    bed.upnp++;
    bed.upnp_life = life;
    a->answer.code = (bed.faults & (NO_UPNP | SILENT)) != 0            ? PORTMAP_UPNP_NO_ROUTER
                     : (bed.faults & GARBAGE) != 0                     ? PORTMAP_UPNP_NO_SENSE
                     : (bed.faults & UNAUTHORIZED) != 0                ? PORTMAP_UPNP_REFUSED
                     : (bed.faults & FULL) != 0                        ? PORTMAP_UPNP_FAILED
                     : (bed.faults & CONFLICT) != 0                    ? PORTMAP_UPNP_CONFLICT
                     : (bed.faults & PERMANENT_ONLY) != 0 && life != 0 ? PORTMAP_UPNP_PERMANENT_ONLY
                     : (bed.faults & MAPS_NEVER) != 0                  ? PORTMAP_UPNP_PERMANENT_ONLY
                     : (bed.faults & TAKEN_ONCE) != 0 && bed.taken++ == 0 ? PORTMAP_UPNP_CONFLICT
                                                                          : PORTMAP_UPNP_OK;
    if (a->answer.code == PORTMAP_UPNP_OK) {
        a->answer.external = external_ip();
        a->answer.external.port = grant(u->tcp, &u->internal, u->external, &life, false);
        a->answer.life_s = life;
    }
}

/* What the core said. */
static inline void carry_out(void)
{
    for (size_t i = 0; i < bed.out.n; i++) {
        const struct act *a = &bed.out.v[i];
        assert_int_equal(a->type, ACT_UP);
        switch (a->kind) {
        case PORTMAP_UP_SEND:
            serve(a->ptr);
            break;
        case PORTMAP_UP_UPNP:
            serve_upnp(a->ptr);
            break;
        default:
            bed.last = *(const struct portmap_look *)a->ptr;
            *(a->kind == PORTMAP_UP_MAPPED ? &bed.mapped
              : a->kind == PORTMAP_UP_LOST ? &bed.lost
                                           : &bed.failed) += 1;
            break;
        }
    }
    bed.out.n = bed.out.bytes_n = 0;
}

static inline struct pending *first(void)
{
    struct pending *f = NULL;

    for (size_t i = 0; i < ARRAY_LEN(bed.pending); i++) {
        struct pending *a = &bed.pending[i];
        f = a->used && (f == NULL || a->at < f->at) ? a : f;
    }
    return f;
}

/* Time goes on by |ns|, with all that happens in it. */
static inline void pass(uint64_t ns)
{
    tstamp end = bed.now + ns;
    unsigned steps = 0;

    for (;;) {
        struct pending *f = first();
        tstamp due = portmap_ops.deadline(bed.p);
        tstamp next = f != NULL && f->at < due ? f->at : due;
        if (next > end) {
            break;
        }
        assert_true(++steps < 100000); /* else it is never content */
        bed.now = next > bed.now ? next : bed.now;
        if (f != NULL && f->at <= bed.now) {
            struct pending a = *f;
            f->used = false;
            if (a.upnp) {
                portmap_upnp_done(bed.p, a.id, &a.answer, bed.now, &bed.out);
            } else {
                (void)portmap_recv(bed.p, &a.from, (struct slice){a.bytes, a.len}, bed.now,
                                   &bed.out);
            }
        } else {
            portmap_ops.tick(bed.p, bed.now, &bed.out);
        }
        carry_out();
    }
    bed.now = end;
}

static inline struct portmap_look look(size_t at)
{
    struct portmap_look l = {.state = PORTMAP_IDLE};

    for (size_t it = 0, i = 0; portmap_next(bed.p, &it, bed.now, &l); i++) {
        if (i == at) {
            return l;
        }
    }
    fail();
    return l;
}

static inline void want(size_t n)
{
    const struct netaddr internal[2] = {addr_of("192.168.1.2", 4001), addr_of("192.168.1.2", 4001)};
    const bool tcp[2] = {false, true};

    portmap_want(bed.p, internal, tcp, n, bed.now, &bed.out);
    carry_out();
}

static inline void at_home(void)
{
    portmap_gateway(bed.p, 4, &bed.gateway, &bed.source, bed.now, &bed.out);
    carry_out();
}

static int setup(void **state)
{
    static const uint8_t seed[32] = {9};
    (void)state;

    memset(&bed, 0, sizeof(bed));
    mem_init(&bed.mem, NULL, SIZE_MAX / 2);
    rng_stream_init(&bed.stream, seed);
    struct rng rng = rng_of_stream(&bed.stream);
    bed.out = (struct acts){
        .v = bed.v, .cap = ARRAY_LEN(bed.v), .bytes = bed.bytes, .bytes_cap = sizeof(bed.bytes)};
    bed.now = 1000000 * NS_PER_S;
    bed.boot = bed.now - 5000 * NS_PER_S;
    bed.gateway = addr_of("192.168.1.1", 0);
    bed.source = addr_of("192.168.1.2", 4001);
    bed.wan = addr_of("25.1.2.3", 0);
    assert_int_equal(portmap_new(&bed.p, &bed.mem, &rng), QUDAG_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    portmap_free(bed.p);
    return 0;
}

#endif
