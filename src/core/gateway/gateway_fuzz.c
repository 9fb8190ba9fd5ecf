/*
 * gateway_fuzz.c - the gateway core under streams, answers and a clock taken from the input.
 *
 * What must hold: every request of ours ends in one report, no job outlives its time, all memory
 * comes back.
 */
#include "core/gateway/gateway.h"

#include "base/assert.h"
#include "base/rd.h"
#include "wire/exchange.h"
#include "wire/kad_msg.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NAMES 8

struct fuzz {
    struct mem mem;
    struct gateway *e;
    tstamp now;
    uint64_t opening[NAMES], serving[NAMES];
    size_t n_opening, n_serving;
    unsigned wanted, done;
    struct act acts_v[ACTS_ROOM];
    uint8_t bytes[ACTS_BYTES_ROOM];
    struct acts acts;
};

static void take(struct fuzz *f)
{
    ASSERT(!f->acts.overflow);
    for (size_t i = 0; i < f->acts.n; i++) {
        const struct act *a = &f->acts_v[i];
        if (a->type == ACT_OPEN) {
            f->opening[f->n_opening++ % NAMES] = a->cookie;
        } else if (a->type == ACT_UP && a->kind == GATEWAY_UP_DONE) {
            f->done++;
        } else if (a->type == ACT_UP) {
            const struct gateway_wanted *wanted = a->ptr;
            ASSERT(wanted->key.len > 0);
            ASSERT((wanted->value.len > 0) == (a->kind == GATEWAY_UP_PUT));
            f->serving[f->n_serving++ % NAMES] = a->cookie;
        }
    }
    f->acts.n = 0;
    f->acts.bytes_n = 0;
}

static void ask(struct fuzz *f, struct rd *r)
{
    static const uint8_t key[] = "/qudag/dark/0123456789abcdef";
    static const struct ref circuit = {1, 1};
    uint8_t how = rd_u8(r);
    struct gateway_request req = {.circuit = circuit,
                                  .cookie = 1,
                                  .key = {key, sizeof key - 1},
                                  .value = {key, 1u + how % 16}};
    qudag_err err;

    if ((how & 1) != 0) {
        err = gateway_get(f->e, &req, f->now, &f->acts);
    } else {
        err = gateway_put(f->e, &req, f->now, &f->acts);
    }
    f->wanted += err == QUDAG_OK ? 1 : 0;
}

/* Raw bytes, or a message made of them, so that the inside is reached. */
static void data(struct fuzz *f, struct ev *ev, struct rd *r)
{
    uint8_t buf[EXCHANGE_LEN];
    uint8_t how = rd_u8(r);
    struct slice in = rd_bytes(r, rd_u8(r));
    size_t len = in.len;

    ev->type = EV_DATA;
    ev->data = in;
    if (rd_ok(r) && (how & 1) != 0) {
        static const char *const keys[] = {"/qudag/dark/0123456789abcdef", "/qudag/relay/x",
                                           "/pk/x", ""};
        const char *key = keys[(how >> 1) % 4];
        struct slice k = {(const uint8_t *)key, strlen(key)};
        struct kad_msg m = {.type = (enum kad_type)((how >> 3) % 6),
                            .key = k,
                            .has_record = (how & 0x40) != 0,
                            .rec_key = k,
                            .rec_value = in};
        if (kad_msg_encode(buf, sizeof buf, &len, &m) == QUDAG_OK) {
            memset(buf + len, 0, sizeof buf - len);
            ev->data = (struct slice){buf, sizeof buf}; /* padded, as all are */
        }
    }
    gateway_ops.event(f->e, ev, f->now, &f->acts);
}

static void step(struct fuzz *f, struct rd *r)
{
    uint8_t what = rd_u8(r);
    struct ev ev = {.strm = {(what >> 4) & 7, 1}, .props = LINK_ANON};

    switch (what % 8) {
    case 0:
        ask(f, r);
        break;
    case 1:
        ev.type = EV_STREAM_OPEN;
        ev.inbound = (what & 0x80) != 0;
        ev.link = rd_u8(r) % 16;
        ev.net = ev.link % 3;
        ev.via = ev.link % 5;
        ev.cookie = f->opening[rd_u8(r) % NAMES];
        gateway_ops.event(f->e, &ev, f->now, &f->acts);
        break;
    case 2:
    case 3:
        data(f, &ev, r);
        break;
    case 4:
        ev.type = EV_FIN;
        gateway_ops.event(f->e, &ev, f->now, &f->acts);
        break;
    case 5:
        ev.type = (what & 0x80) != 0 ? EV_RESET : EV_STREAM_FAIL;
        ev.cookie = f->opening[rd_u8(r) % NAMES];
        gateway_ops.event(f->e, &ev, f->now, &f->acts);
        break;
    case 6: {
        qudag_err err = (what & 0x80) != 0 ? QUDAG_ENOTFOUND : QUDAG_OK;
        struct slice v = rd_bytes(r, rd_u8(r));
        struct gateway_result res = {.cookie = f->serving[(what >> 4) & 7],
                                     .err = err,
                                     .value = v,
                                     .stored = v.len > 3 ? 3 : 0};
        gateway_answer(f->e, &res, &f->acts);
        break;
    }
    default:
        f->now += (uint64_t)rd_u8(r) * 100 * NS_PER_MS;
        gateway_ops.tick(f->e, f->now, &f->acts);
        ASSERT(gateway_ops.deadline(f->e) > f->now);
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
    f->acts = (struct acts){
        .v = f->acts_v, .cap = ACTS_ROOM, .bytes = f->bytes, .bytes_cap = sizeof f->bytes};
    struct gateway_config cfg = {.mem = &f->mem,
                                 .rng = rng_of_stream(&s),
                                 .serve = true,
                                 .jobs_max = 6,
                                 .others_max = 6,
                                 .running_max = 4};
    if (gateway_new(&f->e, &cfg, 0) == QUDAG_OK) {
        while (r.left > 0 && rd_ok(&r)) {
            step(f, &r);
        }
        gateway_ops.tick(f->e, f->now + GATEWAY_TIMEOUT, &f->acts);
        take(f);
        ASSERT(f->done == f->wanted);
        ASSERT(gateway_ops.deadline(f->e) == TSTAMP_NEVER);
        gateway_free(f->e);
        ASSERT(f->mem.used == 0);
    }
    free(f);
    return 0;
}
