/*
 * rendezvous_fuzz.c - rendezvous points under streams and a clock taken from the input.
 *
 * What must hold: whatever we wait for and come to ends in one report, no job outlives its time, two different circuits
 * are joined and each at most once, limits are kept, all memory comes back.
 */
#include "core/rend/rendezvous_impl.h"

#include "base/assert.h"
#include "base/rd.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NAMES 8
#define WAITING 5
#define REQUESTS 4

struct fuzz {
    struct mem mem;
    struct rendezvous *r;
    tstamp now;
    uint64_t opening[NAMES];
    size_t n_opening;
    unsigned wanted, done;
    bool joined[256];
    uint8_t cookie[2][REND_COOKIE_LEN];
    uint8_t created[REND_CREATED_LEN];
    struct act acts_v[ACTS_ROOM];
    uint8_t bytes[ACTS_BYTES_ROOM];
    struct acts acts;
};

static void join(struct fuzz *f, const struct rendezvous_pair *p)
{
    uint64_t a = ref_to_u64(p->caller), b = ref_to_u64(p->service);

    ASSERT(a != b && a < 256 && b < 256);
    ASSERT(!f->joined[a] && !f->joined[b]);
    f->joined[a] = f->joined[b] = true;
}

static void take(struct fuzz *f)
{
    ASSERT(!f->acts.overflow);
    for (size_t n = 0; n < f->acts.n; n++) {
        const struct act *a = &f->acts_v[n];
        if (a->type == ACT_OPEN) {
            f->opening[f->n_opening++ % NAMES] = a->cookie;
        } else if (a->type == ACT_UP && a->kind == RENDEZVOUS_UP_JOIN) {
            join(f, a->ptr);
        } else if (a->type == ACT_UP && a->kind != RENDEZVOUS_UP_WAITING) {
            ASSERT(a->kind == RENDEZVOUS_UP_MET || a->err != QUDAG_OK ||
                   a->data.len == REND_CREATED_LEN);
            f->done++;
        }
    }
    f->acts.n = 0;
    f->acts.bytes_n = 0;
    struct rendezvous_stats s;
    rendezvous_stats_get(f->r, &s);
    ASSERT(s.waiting <= WAITING);
    ASSERT(s.requests <= REQUESTS);
}

static void ask(struct fuzz *f, uint8_t how)
{
    struct rendezvous_request q = {
        .circuit = {1, 1}, .meeting = f->cookie[how & 1], .created = f->created};
    qudag_err err = (how & 2) != 0 ? rendezvous_wait(f->r, &q, f->now, &f->acts)
                                   : rendezvous_meet(f->r, &q, f->now, &f->acts);

    f->wanted += err == QUDAG_OK;
}

/* Raw bytes, or a request that is one, so that the inside is reached. */
static void data(struct fuzz *f, struct ev *ev, struct rd *r)
{
    uint8_t buf[REND_MEET_LEN];
    struct wr w = wr_init(buf, sizeof buf);
    uint8_t how = rd_u8(r);
    const uint8_t *cookie = f->cookie[how >> 2 & 1];
    struct rend_meet m = {.cookie = cookie, .created = f->created};

    ev->type = EV_DATA;
    switch (how & 3) {
    case 0:
        ev->data = rd_bytes(r, rd_u8(r));
        break;
    case 1:
        rend_wait_put(&w, cookie);
        ev->data = wr_done(&w);
        break;
    case 2:
        rend_meet_put(&w, &m);
        ev->data = wr_done(&w);
        break;
    default: /* CREATED, or part of it */
        ev->data = (struct slice){f->created, (how & 4) != 0 ? REND_CREATED_LEN : 4u * how};
        break;
    }
    rendezvous_ops.event(f->r, ev, f->now, &f->acts);
    if ((how & 8) != 0) { /* and that was all */
        ev->type = EV_FIN;
        rendezvous_ops.event(f->r, ev, f->now, &f->acts);
    }
}

/* The first cookie waits on stream 7, so that there is one to come to. */
static void wait_first(struct fuzz *f)
{
    uint8_t buf[REND_WAIT_LEN];
    struct wr w = wr_init(buf, sizeof buf);
    struct ev ev = {
        .type = EV_STREAM_OPEN, .inbound = true, .strm = {7, 1}, .props = LINK_ANON, .link = 255};

    rendezvous_ops.event(f->r, &ev, f->now, &f->acts);
    rend_wait_put(&w, f->cookie[0]);
    ev.type = EV_DATA;
    ev.data = wr_done(&w);
    rendezvous_ops.event(f->r, &ev, f->now, &f->acts);
    ev.type = EV_FIN;
    rendezvous_ops.event(f->r, &ev, f->now, &f->acts);
    take(f);
    struct rendezvous_stats s;
    rendezvous_stats_get(f->r, &s);
    ASSERT(s.waiting == 1);
}

static void step(struct fuzz *f, struct rd *r)
{
    uint8_t what = rd_u8(r);
    struct ev ev = {.strm = {(what >> 4) & 7, 1}, .props = LINK_ANON};

    switch (what % 8) {
    case 0:
        ask(f, what >> 4);
        break;
    case 1:
        ev.type = EV_STREAM_OPEN;
        ev.inbound = (what & 0x80) != 0;
        ev.link = rd_u8(r);
        ev.net = ev.link % 3;
        ev.via = ev.link % 5;
        ev.cookie = f->opening[rd_u8(r) % NAMES];
        if (rend_job_of_stream(&f->r->t, ev.strm) == NULL) { /* a host names no two alike */
            rendezvous_ops.event(f->r, &ev, f->now, &f->acts);
        }
        break;
    case 2:
    case 3:
        data(f, &ev, r);
        break;
    case 4:
    case 6:
        ev.type = what % 8 == 4 ? EV_FIN : EV_WRITABLE;
        ev.n = 16u * rd_u8(r);
        rendezvous_ops.event(f->r, &ev, f->now, &f->acts);
        break;
    case 5:
        ev.type = (what & 0x80) != 0 ? EV_RESET : EV_STREAM_FAIL;
        ev.cookie = f->opening[rd_u8(r) % NAMES];
        rendezvous_ops.event(f->r, &ev, f->now, &f->acts);
        break;
    default:
        f->now += (uint64_t)rd_u8(r) * 200 * NS_PER_MS;
        rendezvous_ops.tick(f->r, f->now, &f->acts);
        ASSERT(rendezvous_ops.deadline(f->r) > f->now);
        break;
    }
    take(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct fuzz *f = calloc(1, sizeof *f);
    struct rd r = rd_init((struct slice){bytes, size});
    uint8_t seed[32] = {2};
    struct rng_stream s;

    if (f == NULL) {
        return 0;
    }
    rng_stream_init(&s, seed);
    mem_init(&f->mem, NULL, 0);
    f->cookie[1][0] = 1;
    f->acts = (struct acts){
        .v = f->acts_v, .cap = ACTS_ROOM, .bytes = f->bytes, .bytes_cap = sizeof f->bytes};
    struct rendezvous_config cfg = {.mem = &f->mem,
                                    .rng = rng_of_stream(&s),
                                    .serve = true,
                                    .asking_max = 6,
                                    .waiting_max = WAITING,
                                    .requests_max = REQUESTS};
    if (rendezvous_new(&f->r, &cfg, 0) == QUDAG_OK) {
        if ((rd_u8(&r) & 1) != 0) {
            wait_first(f);
        }
        while (r.left > 0 && rd_ok(&r)) {
            step(f, &r);
        }
        rendezvous_ops.tick(f->r, f->now + 2 * RENDEZVOUS_COOKIE_LIFE, &f->acts);
        take(f);
        ASSERT(f->done == f->wanted);
        ASSERT(rendezvous_ops.deadline(f->r) == TSTAMP_NEVER);
        rendezvous_free(f->r);
        ASSERT(f->mem.used == 0);
    }
    free(f);
    return 0;
}
