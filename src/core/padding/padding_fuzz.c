/*
 * padding_fuzz.c - the padding core under streams and a clock taken from the input.
 *
 * What must hold: no exchange outlives its time, both tables stay within their bounds, all memory comes back.
 */
#include "core/padding/padding.h"

#include "base/assert.h"
#include "base/rd.h"
#include "wire/exchange.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NAMES 8

struct fuzz {
    struct mem mem;
    struct padding *p;
    tstamp now;
    uint64_t opening[NAMES];
    size_t n_opening;
    struct act acts_v[ACTS_ROOM];
    uint8_t bytes[ACTS_BYTES_ROOM];
    struct acts acts;
    uint8_t in[EXCHANGE_LEN + 2];
};

static void take(struct fuzz *f)
{
    ASSERT(!f->acts.overflow);
    for (size_t i = 0; i < f->acts.n; i++) {
        if (f->acts_v[i].type == ACT_OPEN) {
            f->opening[f->n_opening++ % NAMES] = f->acts_v[i].cookie;
        }
    }
    f->acts.n = 0;
    f->acts.bytes_n = 0;
}

static void step(struct fuzz *f, struct rd *r)
{
    uint8_t what = rd_u8(r);
    struct ev ev = {.strm = {(what >> 4) & 7, 1},
                    .props = (what & 0x80) != 0 ? LINK_ANON : 0,
                    .net = what & 1,
                    .via = (what >> 1) & 3,
                    .cookie = f->opening[what % NAMES]};
    struct padding_wanted wanted = {.circuit = {1, 1}};

    switch (what % 7) {
    case 0:
        wanted.delay_ns = rd_u8(r) * NS_PER_S;
        wanted.order = (enum padding_order)(rd_u8(r) % (PADDING_AROUND + 1));
        (void)!padding_exchange(f->p, &wanted, f->now, &f->acts);
        break;
    case 1:
        ev.type = EV_STREAM_OPEN;
        ev.inbound = (what & 0x40) != 0;
        padding_ops.event(f->p, &ev, f->now, &f->acts);
        break;
    case 2:
        ev.type = EV_DATA;
        ev.data = (struct slice){f->in, (size_t)EXCHANGE_LEN - 1 + rd_u8(r) % 3};
        padding_ops.event(f->p, &ev, f->now, &f->acts);
        break;
    case 3:
        ev.type = EV_DATA;
        ev.data = rd_bytes(r, rd_u8(r));
        padding_ops.event(f->p, &ev, f->now, &f->acts);
        break;
    case 4:
        ev.type = EV_FIN;
        padding_ops.event(f->p, &ev, f->now, &f->acts);
        break;
    case 5:
        ev.type = (what & 0x40) != 0 ? EV_RESET : EV_STREAM_FAIL;
        padding_ops.event(f->p, &ev, f->now, &f->acts);
        break;
    default:
        f->now += (uint64_t)rd_u8(r) * 100 * NS_PER_MS;
        padding_ops.tick(f->p, f->now, &f->acts);
        break;
    }
    take(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct fuzz *f = calloc(1, sizeof *f);
    struct rd r = rd_init((struct slice){bytes, size});

    if (f == NULL) {
        return 0;
    }
    mem_init(&f->mem, NULL, 0);
    f->acts = (struct acts){
        .v = f->acts_v, .cap = ACTS_ROOM, .bytes = f->bytes, .bytes_cap = sizeof f->bytes};
    static const uint8_t seed[32] = {1};
    struct rng_stream stream;
    rng_stream_init(&stream, seed);
    struct rng rng = rng_of_stream(&stream);
    if (padding_new(&f->p, &f->mem, &rng) == QUDAG_OK) {
        while (r.left > 0 && rd_ok(&r)) {
            step(f, &r);
        }
        f->now += PADDING_ANSWER_TIMEOUT;
        for (int i = 0; i < (PADDING_ASKING_MAX + PADDING_ANSWERING_MAX) / 8 + 1; i++) {
            padding_ops.tick(f->p, f->now, &f->acts);
            take(f);
        }
        ASSERT(padding_ops.deadline(f->p) == TSTAMP_NEVER);
        padding_free(f->p);
        ASSERT(f->mem.used == 0);
    }
    free(f);
    return 0;
}
