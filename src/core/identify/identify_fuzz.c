/*
 * identify_fuzz.c - bytes become events of both protocols with a clock and failing memory.
 *
 * Checked: asks are reported once each, no action names a stream that is gone, a reported message
 * carries no foreign key, nothing is due in the past after a tick, and all memory comes back.
 */
#include "base/assert.h"
#include "core/identify/identify.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STREAMS 16

struct host {
    tstamp now;
    bool live[STREAMS], push[STREAMS];
    uint32_t gen[STREAMS];
    uint64_t opens[2][512]; /* cookies of ACT_OPENs not answered yet, by protocol */
    struct peer_id peer[2][512];
    size_t n_opens[2];
    uint64_t asked, reported;
};

/* |text| into a zeroed array of IDENTIFY_TEXT_MAX. */
static void text_set(char *dst, const char *text)
{
    memcpy(dst, text, strlen(text));
}

static struct act act_v[ACTS_ROOM];
static uint8_t act_bytes[ACTS_BYTES_ROOM];
static struct acts out = {
    .v = act_v, .cap = ARRAY_LEN(act_v), .bytes = act_bytes, .bytes_cap = sizeof(act_bytes)};
static struct identify id;
static struct host h;

static const struct core_ops *ops_of(bool push)
{
    return push ? &identify_push_ops : &identify_ops;
}

static void peer_nth(struct peer_id *p, uint8_t n)
{
    uint8_t pk[32] = {n % 16};
    peer_id_from_ed25519(p, pk);
}

static void opened(const struct act *a, bool push)
{
    size_t n = h.n_opens[push];

    h.asked += push || a->no_dial ? 0 : 1; /* else it was asked before */
    if (n < ARRAY_LEN(h.opens[push])) {
        h.opens[push][n] = a->cookie;
        h.peer[push][n] = a->peer;
        h.n_opens[push]++;
    }
}

static void drain(bool push)
{
    ASSERT(!out.overflow);
    for (size_t i = 0; i < out.n; i++) {
        const struct act *a = &out.v[i];
        if (a->type == ACT_OPEN) {
            opened(a, push);
        } else if (a->type == ACT_UP) {
            const struct identify_msg *m = a->ptr;
            ASSERT(a->kind == IDENTIFY_UP && (m != NULL) == (a->err == QUDAG_OK));
            ASSERT(m == NULL || !m->has_peer || peer_id_eq(&m->peer, &a->peer));
            h.reported += a->n == 0 ? 1 : 0;
        } else {
            ASSERT(a->strm.slot < STREAMS && h.live[a->strm.slot]);
            ASSERT(h.gen[a->strm.slot] == a->strm.gen);
            h.live[a->strm.slot] = a->type != ACT_RESET;
        }
    }
    out.n = 0;
    out.bytes_n = 0;
}

static void event(bool push, const struct ev *ev)
{
    ops_of(push)->event(&id, ev, h.now, &out);
    drain(push);
}

static void open_event(uint8_t arg, bool inbound, bool push)
{
    uint32_t slot = arg % STREAMS;
    struct peer_id peer;
    struct ev ev = {.type = EV_STREAM_OPEN, .inbound = inbound, .peer = &peer};

    if (h.live[slot] || (!inbound && h.n_opens[push] == 0)) {
        return;
    }
    peer_nth(&peer, arg >> 4);
    if (!inbound) {
        size_t n = --h.n_opens[push];
        ev.cookie = h.opens[push][n];
        peer = h.peer[push][n];
    }
    ev.props = (arg & 0xc0) == 0xc0 ? LINK_ANON : 0;
    h.live[slot] = true;
    h.push[slot] = push;
    ev.strm = (struct ref){slot, ++h.gen[slot]};
    event(push, &ev);
}

static void stream_event(enum ev_type type, uint8_t arg, struct slice in)
{
    uint32_t slot = arg % STREAMS;
    struct ev ev = {.type = type, .strm = {slot, h.gen[slot]}, .data = in, .n = arg};

    ev.err = (arg & 128) != 0 ? QUDAG_ECLOSED : QUDAG_OK;
    if (h.live[slot]) {
        h.live[slot] = type != EV_RESET;
        event(h.push[slot], &ev);
    }
}

/* A well-formed message of the peer |arg| names, which takes pushes. */
static void message_event(uint8_t arg)
{
    static struct identify_msg m;
    static uint8_t buf[IDENTIFY_MSG_MAX];
    uint8_t pk[32] = {(arg >> 4) % 16};
    size_t len = 0;

    memset(&m, 0, sizeof(m));
    key_proto_ed25519(m.key_proto, pk);
    m.key_len = KEY_PROTO_ED25519;
    m.n_protos = 1;
    text_set(m.proto[0], "/ipfs/id/push/1.0.0");
    ASSERT(identify_msg_encode(buf, sizeof(buf), &len, &m) == QUDAG_OK);
    stream_event(EV_DATA, arg, (struct slice){buf, len});
}

static void call(uint8_t arg)
{
    struct peer_id peer;
    struct multiaddr addr;
    struct netaddr a = {.family = 4, .ip = {192, 0, 2, arg}, .port = 1};

    peer_nth(&peer, arg);
    multiaddr_quic(&addr, &a, &peer);
    if ((arg & 0xc0) == 0) {
        (void)!identify_set_observed(&id, &peer, &addr);
    } else if ((arg & 0xc0) == 0x40) {
        identify_push_all(&id, h.now, &out);
        drain(true);
    } else {
        (void)!identify_ask(&id, &peer, h.now, &out);
        drain(false);
    }
}

static void pass(uint64_t ns)
{
    h.now += ns;
    for (int push = 0; push < 2; push++) {
        ops_of(push != 0)->tick(&id, h.now, &out);
        drain(push != 0);
        ASSERT(ops_of(push != 0)->deadline(&id) > h.now);
    }
}

static void step(uint8_t op, uint8_t arg, struct slice rest, struct mem *mem)
{
    struct peer_id peer;
    struct ev ev = {.peer = &peer};
    bool push = (op & 0x80) != 0;

    peer_nth(&peer, arg);
    switch (op % 11) {
    case 0:
    case 1:
        ev.type = op % 11 == 0 ? EV_PEER_UP : EV_PEER_DOWN;
        event(false, &ev);
        event(true, &ev);
        break;
    case 2:
    case 3:
        open_event(arg, op % 11 == 2, push);
        break;
    case 4:
        stream_event(EV_DATA, arg, (struct slice){rest.base, rest.len < arg ? rest.len : arg});
        break;
    case 5:
        message_event(arg);
        break;
    case 6:
    case 7:
        stream_event(op % 11 == 6 ? EV_FIN : EV_RESET, arg, (struct slice){0});
        break;
    case 8:
        if (h.n_opens[push] > 0) {
            ev.type = EV_STREAM_FAIL;
            ev.err = (arg & 1) != 0 ? QUDAG_EUNSUPPORTED : QUDAG_EUNREACHABLE;
            ev.cookie = h.opens[push][--h.n_opens[push]];
            event(push, &ev);
        }
        break;
    case 9:
        call(arg);
        break;
    default:
        mem->fail_at = (arg & 0xf0) == 0xf0 ? (arg & 3u) + 1 : 0;
        pass(arg * (NS_PER_S / 16));
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rng_stream stream;
    static const uint8_t seed[32] = "identify fuzz";
    struct mem mem;

    memset(&h, 0, sizeof(h));
    rng_stream_init(&stream, seed);
    struct rng rng = rng_of_stream(&stream);
    mem_init(&mem, NULL, 0);
    identify_init(&id, &mem, &rng, 12);
    for (size_t i = 0; i + 2 <= size; i += 2) {
        step(data[i], data[i + 1], (struct slice){data + i, size - i}, &mem);
    }
    for (int i = 0; i < 3; i++) { /* those who waited for their turn get it, then time out */
        pass(100 * NS_PER_S);
    }
    ASSERT(h.asked == h.reported);
    identify_fini(&id);
    ASSERT(mem.used == 0);
    return 0;
}
