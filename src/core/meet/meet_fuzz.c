/*
 * meet_fuzz.c - bytes become events, calls and datagrams of several meetings with a clock.
 *
 * Checked: no action names a stream that is gone, each socket that was given is given back once, what is asked of
 * the host is within its limits, nothing is due in the past after ticks, and all memory comes back.
 */
#include "base/assert.h"
#include "core/meet/meet.h"
#include "core/meet/rules.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STREAMS 8
#define WAITING 1024

struct host {
    struct mem mem;
    struct meet *m;
    tstamp now;
    struct slice in;
    uint32_t gen[STREAMS];
    bool live[STREAMS];
    uint64_t opens[WAITING], sockets[WAITING];
    size_t n_opens, n_sockets, n_open;
    uint16_t port;
    struct meet_candidate cand[2];
    struct meet_own own;
};

static struct act act_v[ACTS_ROOM];
static uint8_t act_bytes[ACTS_BYTES_ROOM];
static struct acts out;
static struct host h;

static uint8_t take(void)
{
    if (h.in.len == 0) {
        return 0;
    }
    h.in.len--;
    return *h.in.base++;
}

static struct peer_id peer_nth(uint8_t n)
{
    uint8_t pk[32] = {n % 12};
    struct peer_id p;

    peer_id_from_ed25519(&p, pk);
    return p;
}

static void up(const struct act *a)
{
    const struct meet_packet *p = a->ptr;

    switch (a->kind) {
    case MEET_UP_SEND:
        ASSERT(p->len > 0 && p->len <= MEET_PACKET_MAX && p->to.port >= 1024);
        break;
    case MEET_UP_SOCKET:
        if (h.n_sockets < WAITING) {
            h.sockets[h.n_sockets++] = a->cookie;
        }
        break;
    case MEET_UP_CLOSE:
        ASSERT(h.n_open > 0);
        h.n_open--;
        break;
    default:
        ASSERT(a->kind >= MEET_UP_ASKED && a->kind <= MEET_UP_ENDED && a->peer.len > 0);
        break;
    }
}

static void drain(void)
{
    ASSERT(!out.overflow);
    for (size_t i = 0; i < out.n; i++) {
        const struct act *a = &out.v[i];
        if (a->type == ACT_OPEN) {
            ASSERT(a->no_dial && (a->need & LINK_RELAYED) != 0);
            if (h.n_opens < WAITING) {
                h.opens[h.n_opens++] = a->cookie;
            }
        } else if (a->type == ACT_UP) {
            up(a);
        } else {
            ASSERT(a->strm.slot < STREAMS && h.live[a->strm.slot]);
            ASSERT(h.gen[a->strm.slot] == a->strm.gen);
            h.live[a->strm.slot] = a->type == ACT_WRITE;
        }
    }
    out = (struct acts){
        .v = act_v, .cap = ACTS_ROOM, .bytes = act_bytes, .bytes_cap = sizeof(act_bytes)};
}

static void stream_event(struct ev *ev)
{
    uint8_t slot = take() % STREAMS;

    ev->strm = (struct ref){slot, h.gen[slot]};
    if (ev->type == EV_STREAM_OPEN) {
        if (h.live[slot] || (!ev->inbound && h.n_opens == 0)) {
            return;
        }
        ev->strm.gen = ++h.gen[slot];
        h.live[slot] = true;
        ev->props = take() % 8 == 0 ? 0 : LINK_RELAYED;
        ev->cookie = ev->inbound ? 0 : h.opens[--h.n_opens];
    } else if (!h.live[slot]) {
        return;
    } else if (ev->type == EV_RESET) {
        h.live[slot] = false;
    } else if (ev->type == EV_DATA) {
        size_t len = take();
        len = len < h.in.len ? len : h.in.len;
        ev->data = (struct slice){h.in.base, len};
        h.in = slice_rest(h.in, len);
    }
    meet_ops.event(h.m, ev, h.now, &out);
}

static void socket_given(void)
{
    struct meet_pair at = {.local = {.family = 4, .ip = {192, 168, 1, 2}, .port = ++h.port}};
    uint8_t how = take();

    if (h.n_sockets == 0) {
        return;
    }
    if (how % 4 != 0) {
        at.remote = (struct netaddr){.family = 4, .ip = {198, 18, 0, 1}, .port = h.port};
    }
    h.n_open += how % 8 == 1 ? 0 : 1;
    meet_socket(h.m, h.sockets[--h.n_sockets],
                how % 8 == 1   ? QUDAG_ELIMIT
                : how % 8 == 4 ? QUDAG_ETIMEOUT
                               : QUDAG_OK,
                &at, h.now, &out);
}

static void datagram(void)
{
    struct meet_pair at = {
        .remote = {.family = 4, .ip = {203, 0, 113, take()}, .port = (uint16_t)(1024 + take())}};
    size_t len = take();

    len = len < h.in.len ? len : h.in.len;
    (void)meet_packet_in(h.m, &at, (struct slice){h.in.base, len}, h.now, &out);
    h.in = slice_rest(h.in, len);
}

static void step(uint8_t op)
{
    struct peer_id peer = peer_nth(take());
    struct ev ev = {.peer = &peer, .inbound = (op & 16) != 0};
    qudag_err err;

    switch (op % 16) {
    case 0:
        err = meet_begin(h.m, &peer, &h.own, h.now, &out);
        ASSERT(err == QUDAG_OK || out.n == 0);
        break;
    case 1:
        meet_allow(h.m, &peer, &h.own, h.now, &out);
        break;
    case 2:
        meet_refuse(h.m, &peer, MEET_END_REFUSED, h.now, &out);
        break;
    case 3:
        socket_given();
        break;
    case 4:
        datagram();
        break;
    case 5:
        meet_dialled(h.m, &peer, take() % 2 == 0 ? QUDAG_OK : QUDAG_ETIMEOUT, h.now, &out);
        break;
    case 6:
        meet_direct(h.m, &peer, h.now, &out);
        break;
    case 7:
        meet_network_changed(h.m);
        break;
    case 8:
        ev.type = EV_STREAM_FAIL;
        if (h.n_opens > 0) {
            ev.cookie = h.opens[--h.n_opens];
            ev.err = take() % 2 == 0 ? QUDAG_EUNSUPPORTED : QUDAG_ECLOSED;
            meet_ops.event(h.m, &ev, h.now, &out);
        }
        break;
    case 9:
        ev.type = EV_STREAM_OPEN;
        stream_event(&ev);
        break;
    case 10:
        ev.type = take() % 2 == 0 ? EV_FIN : EV_RESET;
        stream_event(&ev);
        break;
    case 11:
    case 12:
    case 13:
        ev.type = EV_DATA;
        stream_event(&ev);
        break;
    default:
        h.now += (uint64_t)take() * 40 * NS_PER_MS;
        break;
    }
    drain();
}

static void ticks(void)
{
    for (int i = 0; i < 64 && meet_ops.deadline(h.m) <= h.now; i++) {
        meet_ops.tick(h.m, h.now, &out);
        drain();
        ASSERT(i < 63);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t seed[32] = "meet";
    struct rng_stream stream;

    h = (struct host){.in = {data, size}, .now = NS_PER_S, .port = 20000};
    mem_init(&h.mem, NULL, 0);
    rng_stream_init(&stream, seed);
    struct meet_config cfg = {.mem = &h.mem, .rng = rng_of_stream(&stream), .self = peer_nth(11)};
    h.m = meet_new(&cfg);
    ASSERT(h.m != NULL);
    h.cand[0] = (struct meet_candidate){.addr = {.family = 4, .ip = {192, 168, 1, 2}, .port = 4001},
                                        .kind = MEET_HOST};
    h.cand[1] = (struct meet_candidate){.addr = {.family = 4, .ip = {198, 18, 0, 1}, .port = 4001},
                                        .kind = MEET_OBSERVED};
    h.own = (struct meet_own){.v = h.cand,
                              .n = 2,
                              .ip4 = true,
                              .named = true,
                              .nat = size % 2 == 0 ? MEET_NAT_DEPENDENT : MEET_NAT_INDEPENDENT};
    drain();
    while (h.in.len > 0) {
        step(take());
        ticks();
    }
    h.now += 2 * MEET_LIMIT;
    ticks();
    ASSERT(meet_ops.deadline(h.m) == TSTAMP_NEVER);
    while (h.n_sockets > 0) {
        socket_given();
        drain();
    }
    ASSERT(h.n_open == 0);
    meet_free(h.m);
    ASSERT(h.mem.used == 0);
    return 0;
}
