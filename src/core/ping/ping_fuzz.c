/*
 * ping_fuzz.c - bytes become events with a clock.
 *
 * Checked after each: every ping_start() is reported exactly once, no action names a stream that is
 * gone, echoes queued stay within their limit, and nothing is due in the past after a tick.
 */
#include "base/assert.h"
#include "core/ping/ping.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STREAMS 8

struct host {
    struct ping p;
    tstamp now;
    bool live[STREAMS]; /* streams of the driver */
    uint32_t gen[STREAMS];
    uint64_t opens[64]; /* cookies of ACT_OPENs not answered yet */
    size_t n_opens;
    uint64_t started, done;
    uint8_t last_write[PING_LEN];
};

static struct act act_v[ACTS_ROOM];
static uint8_t act_bytes[16384];
static struct acts out = {
    .v = act_v, .cap = ARRAY_LEN(act_v), .bytes = act_bytes, .bytes_cap = sizeof(act_bytes)};

static void drain(struct host *h)
{
    ASSERT(!out.overflow);
    for (size_t i = 0; i < out.n; i++) {
        const struct act *a = &out.v[i];
        if (a->type == ACT_OPEN && h->n_opens < ARRAY_LEN(h->opens)) {
            h->opens[h->n_opens++] = a->cookie;
        } else if (a->type == ACT_UP) {
            ASSERT(a->kind == PING_UP_DONE);
            h->done++;
        } else if (a->type != ACT_OPEN) {
            ASSERT(a->strm.slot < STREAMS);
            ASSERT(h->live[a->strm.slot] && h->gen[a->strm.slot] == a->strm.gen);
            if (a->type == ACT_RESET) {
                h->live[a->strm.slot] = false;
            } else if (a->type == ACT_WRITE && a->data.len == PING_LEN) {
                memcpy(h->last_write, a->data.base, PING_LEN);
            }
        }
    }
    out.n = 0;
    out.bytes_n = 0;
    for (size_t i = 0; i < PING_SERVE_MAX; i++) {
        ASSERT(h->p.serve[i].queued <= PING_ECHO_MAX);
    }
}

static void open_event(struct host *h, uint8_t arg, bool inbound, const struct peer_id *peer)
{
    uint32_t slot = arg % STREAMS;
    struct ev ev = {.type = EV_STREAM_OPEN, .inbound = inbound, .peer = peer};

    if (h->live[slot] || (!inbound && h->n_opens == 0)) {
        return;
    }
    if (!inbound) {
        ev.cookie = h->opens[--h->n_opens];
    }
    h->live[slot] = true;
    ev.strm = (struct ref){slot, ++h->gen[slot]};
    ping_ops.event(&h->p, &ev, h->now, &out);
}

static void stream_event(struct host *h, enum ev_type type, uint8_t arg, struct slice in)
{
    uint32_t slot = arg % STREAMS;
    struct ev ev = {.type = type, .strm = {slot, h->gen[slot]}, .data = in, .n = arg};

    ev.err = (arg & 128) != 0 ? QUDAG_ECLOSED : QUDAG_OK;
    if (!h->live[slot]) {
        return;
    }
    if (type == EV_RESET) {
        h->live[slot] = false;
    }
    ping_ops.event(&h->p, &ev, h->now, &out);
}

static void step(struct host *h, uint8_t op, uint8_t arg, struct slice rest)
{
    struct peer_id peer = {3, {0, 1, arg % 20}};
    size_t len = rest.len < arg ? rest.len : arg;

    switch (op % 9) {
    case 0:
        h->started += ping_start(&h->p, &peer, arg, h->now, &out) == QUDAG_OK ? 1 : 0;
        break;
    case 1:
    case 2:
        open_event(h, arg, op % 9 == 1, &peer);
        break;
    case 3:
        stream_event(h, EV_DATA, arg, (struct slice){rest.base, len});
        break;
    case 4:
        stream_event(h, EV_DATA, arg, (struct slice){h->last_write, PING_LEN});
        break;
    case 5:
        stream_event(h, EV_WRITABLE, arg, (struct slice){0});
        break;
    case 6:
        stream_event(h, (arg & 64) != 0 ? EV_FIN : EV_RESET, arg, (struct slice){0});
        break;
    case 7:
        if (h->n_opens > 0) {
            struct ev ev = {.type = EV_STREAM_FAIL, .peer = &peer};
            ev.cookie = h->opens[--h->n_opens];
            ping_ops.event(&h->p, &ev, h->now, &out);
        }
        break;
    default:
        h->now += arg * (NS_PER_S / 8);
        ping_ops.tick(&h->p, h->now, &out);
        ASSERT(ping_ops.deadline(&h->p) > h->now);
        break;
    }
    drain(h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct host h;
    struct rng_stream stream;
    static const uint8_t seed[32] = "ping fuzz";

    memset(&h, 0, sizeof(h));
    rng_stream_init(&stream, seed);
    struct rng rng = rng_of_stream(&stream);
    ping_init(&h.p, &rng);
    for (size_t i = 0; i + 2 <= size; i += 2) {
        step(&h, data[i], data[i + 1], (struct slice){data + i, size - i});
    }
    for (int turn = 0; turn < 2; turn++) { /* idle streams are closed first, then given up */
        h.now += 100 * NS_PER_S;
        ping_ops.tick(&h.p, h.now, &out);
        drain(&h);
    }
    ASSERT(h.started == h.done);
    ASSERT(ping_ops.deadline(&h.p) == TSTAMP_NEVER);
    return 0;
}
