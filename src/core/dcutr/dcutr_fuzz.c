/*
 * dcutr_fuzz.c - bytes become events with a clock.
 *
 * Checked after each: every dcutr_begin() is reported exactly once, no action names a stream that is gone, packets are
 * neither STUN nor QUIC and go where they may, and no more of them leave than are allowed.
 */
#include "base/assert.h"
#include "core/dcutr/dcutr.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STREAMS 8
#define PEERS 40

struct host {
    struct mem mem;
    struct dcutr *d;
    tstamp now;
    bool live[STREAMS];
    uint32_t gen[STREAMS];
    uint64_t opens[64];
    size_t n_opens;
    uint64_t begun, done, asked, packets, attempts;
};

static struct act act_v[ACTS_ROOM];
static uint8_t act_bytes[ACTS_BYTES_ROOM];
static struct acts out = {
    .v = act_v, .cap = ARRAY_LEN(act_v), .bytes = act_bytes, .bytes_cap = sizeof(act_bytes)};

/* Their addresses: /ip4/1.2.3.4/udp/4001/quic-v1. */
static const uint8_t connect[] = {0x0f, 0x08, 0x64, 0x12, 0x0b, 0x04, 1,    2,
                                  3,    4,    0x91, 0x02, 0x0f, 0xa1, 0xcd, 0x03};
static const uint8_t sync[] = {0x03, 0x08, 0xac, 0x02};

static struct peer_id peer_of(uint8_t n)
{
    return (struct peer_id){3, {0, 1, n % PEERS}};
}

static void report(struct host *h, const struct act *a)
{
    const struct dcutr_packet *p = a->ptr;
    struct multiaddr addr;

    switch ((enum dcutr_up)a->kind) {
    case DCUTR_UP_DONE:
        h->done++;
        break;
    case DCUTR_UP_PACKET:
        multiaddr_quic(&addr, &p->to, NULL);
        ASSERT(dcutr_rule_addr(&addr, false));
        ASSERT(p->len >= DCUTR_PACKET_LEAST && p->len <= DCUTR_PACKET_MOST);
        ASSERT(p->bytes[0] >= 4 && p->bytes[0] < 16);
        h->packets++;
        break;
    case DCUTR_UP_DIAL:
        ASSERT(((const struct dcutr_msg *)a->ptr)->n_addrs > 0);
        break;
    case DCUTR_UP_ASKED:
    case DCUTR_UP_REVERSE:
        break;
    }
}

static void drain(struct host *h)
{
    ASSERT(!out.overflow);
    for (size_t i = 0; i < out.n; i++) {
        const struct act *a = &out.v[i];
        if (a->type == ACT_OPEN) {
            h->attempts++;
            if (h->n_opens < ARRAY_LEN(h->opens)) {
                h->opens[h->n_opens++] = a->cookie;
            }
        } else if (a->type == ACT_UP) {
            report(h, a);
        } else {
            ASSERT(a->strm.slot < STREAMS);
            ASSERT(h->live[a->strm.slot] && h->gen[a->strm.slot] == a->strm.gen);
            if (a->type == ACT_RESET) {
                h->live[a->strm.slot] = false;
            }
        }
    }
    out.n = 0;
    out.bytes_n = 0;
    ASSERT(h->packets <= h->attempts * DCUTR_PACKETS_MAX * DCUTR_ADDRS_MAX);
}

static void open_event(struct host *h, uint8_t arg, bool inbound)
{
    uint32_t slot = arg % STREAMS;
    struct peer_id peer = peer_of(arg);
    struct ev ev = {.type = EV_STREAM_OPEN, .inbound = inbound, .peer = &peer};

    if (h->live[slot] || (!inbound && h->n_opens == 0)) {
        return;
    }
    if (!inbound) {
        ev.cookie = h->opens[--h->n_opens];
    }
    ev.props = (arg & 64) != 0 ? 0 : LINK_RELAYED;
    h->live[slot] = true;
    ev.strm = (struct ref){slot, ++h->gen[slot]};
    dcutr_ops.event(h->d, &ev, h->now, &out);
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
    dcutr_ops.event(h->d, &ev, h->now, &out);
}

static void call(struct host *h, uint8_t op, uint8_t arg)
{
    struct peer_id peer = peer_of(arg);

    switch (op) {
    case 0:
        h->begun += dcutr_begin(h->d, &peer, (arg & 1) != 0, h->now, &out) == QUDAG_OK ? 1 : 0;
        break;
    case 1:
        dcutr_allow(h->d, &peer, (arg & 1) != 0, h->now, &out);
        break;
    case 2:
        dcutr_not_there(h->d, &peer, h->now, &out);
        break;
    default:
        dcutr_linked(h->d, &peer, h->now, &out);
        break;
    }
}

static void step(struct host *h, uint8_t op, uint8_t arg, struct slice rest)
{
    struct peer_id peer = peer_of(arg);
    size_t len = rest.len < arg ? rest.len : arg;

    switch (op % 10) {
    case 0:
    case 1:
    case 2:
    case 3:
        call(h, op % 10, arg);
        break;
    case 4:
    case 5:
        open_event(h, arg, op % 10 == 4);
        break;
    case 6:
        stream_event(h, EV_DATA, arg,
                     (arg & 32) == 0   ? (struct slice){rest.base, len}
                     : (arg & 16) == 0 ? (struct slice){connect, sizeof(connect)}
                                       : (struct slice){sync, sizeof(sync)});
        break;
    case 7:
        stream_event(h, (arg & 64) != 0 ? EV_FIN : EV_RESET, arg, (struct slice){0});
        break;
    case 8:
        if (h->n_opens > 0) {
            struct ev ev = {.type = EV_STREAM_FAIL, .peer = &peer, .err = QUDAG_ECLOSED};
            ev.cookie = h->opens[--h->n_opens];
            dcutr_ops.event(h->d, &ev, h->now, &out);
        }
        break;
    default:
        h->now += arg * (NS_PER_S / 8);
        dcutr_ops.tick(h->d, h->now, &out);
        break;
    }
    drain(h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t seed[32] = "dcutr fuzz";
    static struct host h;
    struct rng_stream stream;
    struct multiaddr own;
    struct peer_id peer;

    memset(&h, 0, sizeof(h));
    h.now = NS_PER_S;
    mem_init(&h.mem, NULL, 0);
    rng_stream_init(&stream, seed);
    struct dcutr_config cfg = {.mem = &h.mem, .rng = rng_of_stream(&stream)};
    ASSERT(dcutr_new(&h.d, &cfg) == QUDAG_OK);
    ASSERT(multiaddr_parse(&own, "/ip4/9.9.9.9/udp/4001/quic-v1") == QUDAG_OK);
    dcutr_set_addrs(h.d, &own, 1);
    for (size_t i = 0; i + 2 <= size; i += 2) {
        step(&h, data[i], data[i + 1], (struct slice){data + i, size - i});
    }
    for (unsigned i = 0; i < 4000 && dcutr_ops.deadline(h.d) != TSTAMP_NEVER; i++) {
        h.now += NS_PER_S;
        dcutr_ops.tick(h.d, h.now, &out);
        drain(&h);
        while (h.n_opens > 0) {
            struct ev ev = {.type = EV_STREAM_FAIL, .err = QUDAG_ECLOSED};
            ev.cookie = h.opens[--h.n_opens];
            dcutr_ops.event(h.d, &ev, h.now, &out);
            drain(&h);
        }
    }
    ASSERT(dcutr_ops.deadline(h.d) == TSTAMP_NEVER && h.done >= h.begun);
    for (size_t it = 0; dcutr_next(h.d, &it, &peer);) {
        ASSERT(false);
    }
    dcutr_free(h.d);
    ASSERT(h.mem.used == 0);
    return 0;
}
