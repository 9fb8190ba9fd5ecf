/*
 * introduce_fuzz.c - introduction points under streams, bindings and a clock taken from the input.
 *
 * What must hold: each point and introduction of ours ends in one report, no job but a point outlives its time, limits
 * are kept, all memory comes back.
 */
#include "core/rend/introduce_impl.h"

#include "base/assert.h"
#include "base/rd.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NAMES 8
#define POINTS 5
#define REQUESTS 4

struct fuzz {
    struct mem mem;
    struct introduce *i;
    tstamp now;
    uint64_t opening[NAMES], binding[NAMES];
    size_t n_opening, n_binding;
    unsigned wanted, done;
    struct secret_ed25519 sk[2];
    uint8_t key[2][ED25519_PK_LEN];
    uint8_t establish[2][REND_ESTABLISH_LEN];
    uint8_t hs[REND_HS_LEN];
    struct act acts_v[ACTS_ROOM];
    uint8_t bytes[ACTS_BYTES_ROOM];
    struct acts acts;
};

static const uint8_t binding[REND_BINDING_LEN] = {1};

static void take(struct fuzz *f)
{
    ASSERT(!f->acts.overflow);
    for (size_t n = 0; n < f->acts.n; n++) {
        const struct act *a = &f->acts_v[n];
        if (a->type == ACT_OPEN) {
            f->opening[f->n_opening++ % NAMES] = a->cookie;
        } else if (a->type == ACT_UP && a->kind == INTRODUCE_UP_BINDING) {
            f->binding[f->n_binding++ % NAMES] = a->cookie;
        } else if (a->type == ACT_UP && a->kind == INTRODUCE_UP_REQUEST) {
            ASSERT(a->data.len == REND_HS_LEN);
        } else if (a->type == ACT_UP && a->kind != INTRODUCE_UP_ESTABLISHED) {
            ASSERT(a->kind == INTRODUCE_UP_ENDED || a->kind == INTRODUCE_UP_DONE);
            f->done++;
        }
    }
    f->acts.n = 0;
    f->acts.bytes_n = 0;
    struct introduce_stats s;
    introduce_stats_get(f->i, &s);
    ASSERT(s.points <= POINTS);
    ASSERT(s.requests <= REQUESTS);
}

static void ask(struct fuzz *f, uint8_t how)
{
    struct introduce_point p = {.circuit = {1, 1}, .sk = &f->sk[how & 1], .binding = binding};
    struct introduce_call c = {.circuit = {1, 1}, .intro_key = f->key[how & 1], .handshake = f->hs};
    if ((how & 4) != 0) {
        introduce_busy(f->i, 0, f->now, &f->acts);
    }
    qudag_err err = (how & 2) != 0 ? introduce_establish(f->i, &p, f->now, &f->acts)
                                   : introduce_send(f->i, &c, f->now, &f->acts);

    f->wanted += err == QUDAG_OK;
}

/* Raw bytes, or a request that is one, so that the inside is reached. */
static void data(struct fuzz *f, struct ev *ev, struct rd *r)
{
    uint8_t buf[REND_INTRODUCE1_LEN];
    struct wr w = wr_init(buf, sizeof buf);
    uint8_t how = rd_u8(r);
    struct rend_introduce1 m = {.intro_key = f->key[how >> 2 & 1], .handshake = f->hs};

    ev->type = EV_DATA;
    switch (how & 3) {
    case 0:
        ev->data = rd_bytes(r, rd_u8(r));
        break;
    case 1:
        ev->data = (struct slice){f->establish[how >> 2 & 1], REND_ESTABLISH_LEN};
        break;
    case 2:
        rend_introduce1_put(&w, &m);
        ev->data = wr_done(&w);
        break;
    default: /* a handshake, or part of one */
        ev->data = (struct slice){f->hs, (how & 4) != 0 ? REND_HS_LEN : 16u * how};
        break;
    }
    introduce_ops.event(f->i, ev, f->now, &f->acts);
    if ((how & 8) != 0) { /* and that was all */
        ev->type = EV_FIN;
        introduce_ops.event(f->i, ev, f->now, &f->acts);
    }
}

static void bind(struct fuzz *f, uint64_t name, bool known)
{
    introduce_bound(f->i, name, known ? binding : NULL, f->now, &f->acts);
}

/* A point of the first key on stream 7, so that there is one to introduce to. */
static void point(struct fuzz *f)
{
    struct ev ev = {
        .type = EV_STREAM_OPEN, .inbound = true, .strm = {7, 1}, .props = LINK_ANON, .link = 1000};

    introduce_ops.event(f->i, &ev, f->now, &f->acts);
    ev.type = EV_DATA;
    ev.data = (struct slice){f->establish[0], REND_ESTABLISH_LEN};
    introduce_ops.event(f->i, &ev, f->now, &f->acts);
    take(f);
    bind(f, f->binding[0], true);
    take(f);
    struct introduce_stats s;
    introduce_stats_get(f->i, &s);
    ASSERT(s.points == 1);
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
        if (rend_job_of_stream(&f->i->t, ev.strm) == NULL) { /* a host names no two alike */
            introduce_ops.event(f->i, &ev, f->now, &f->acts);
        }
        break;
    case 2:
    case 3:
        data(f, &ev, r);
        break;
    case 4:
        ev.type = (what & 0x80) != 0 ? EV_FIN : EV_WRITABLE;
        ev.n = 64u * rd_u8(r);
        introduce_ops.event(f->i, &ev, f->now, &f->acts);
        break;
    case 5:
        ev.type = (what & 0x80) != 0 ? EV_RESET : EV_STREAM_FAIL;
        ev.cookie = f->opening[rd_u8(r) % NAMES];
        introduce_ops.event(f->i, &ev, f->now, &f->acts);
        break;
    case 6:
        bind(f, f->binding[(what & 0x10) != 0 ? (f->n_binding - 1) % NAMES : what >> 5 & 3],
             (what & 0x80) != 0);
        break;
    default:
        f->now += (uint64_t)rd_u8(r) * 100 * NS_PER_MS;
        introduce_ops.tick(f->i, f->now, &f->acts);
        ASSERT(introduce_ops.deadline(f->i) > f->now);
        break;
    }
    take(f);
}

/* Ends what is still open, as the circuits below do when they go. */
static void end_all(struct fuzz *f)
{
    introduce_ops.tick(f->i, f->now + REND_ANSWER_TIMEOUT, &f->acts);
    take(f);
    for (uint32_t s = 0; s < 8; s++) {
        struct ev ev = {.type = EV_RESET, .strm = {s, 1}};
        introduce_ops.event(f->i, &ev, f->now, &f->acts);
        take(f);
    }
    ASSERT(f->done == f->wanted);
    ASSERT(introduce_ops.deadline(f->i) == TSTAMP_NEVER);
}

static void keys(struct fuzz *f, const struct rng *rng)
{
    for (size_t k = 0; k < 2; k++) {
        struct rend_establish e = {.rate = (uint16_t)k};
        struct wr w = wr_init(f->establish[k], REND_ESTABLISH_LEN);
        qudag_err err = ed25519_keygen(&f->sk[k], f->key[k], rng);
        ASSERT(err == QUDAG_OK);
        err = rend_establish_sign(&e, &f->sk[k], binding);
        ASSERT(err == QUDAG_OK);
        rend_establish_put(&w, &e);
    }
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
    f->acts = (struct acts){
        .v = f->acts_v, .cap = ACTS_ROOM, .bytes = f->bytes, .bytes_cap = sizeof f->bytes};
    struct introduce_config cfg = {.mem = &f->mem,
                                   .rng = rng_of_stream(&s),
                                   .serve = true,
                                   .asking_max = 6,
                                   .points_max = POINTS,
                                   .requests_max = REQUESTS};
    keys(f, &cfg.rng);
    if (introduce_new(&f->i, &cfg, 0) == QUDAG_OK) {
        if ((rd_u8(&r) & 1) != 0) {
            point(f);
        }
        while (r.left > 0 && rd_ok(&r)) {
            step(f, &r);
        }
        end_all(f);
        introduce_free(f->i);
        ASSERT(f->mem.used == 0);
    }
    free(f);
    return 0;
}
