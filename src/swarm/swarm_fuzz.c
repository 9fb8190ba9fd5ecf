/*
 * swarm_fuzz.c - bytes become link events of two transports with equal references, actions of cores and time.
 *
 * Properties: cores hear PEER_UP and PEER_DOWN in turn and only of streams that are open; every open
 * ends; nothing is due after a tick; all memory is given back.
 */
#include "swarm/internal.h"

#include "base/assert.h"
#include "base/rd.h"

#include <string.h>

#define LINKS 48
#define PEERS 6
#define OPENS 512
#define SIZE_MAX_USEFUL 1024

struct fake {
    struct mem mem;
    struct swarm *s;
    uint8_t peer[LINKS], props[LINKS];
    bool closed[LINKS], told[LINKS];
    uint32_t n_links[2]; /* of each transport; its link i is at 2i or 2i + 1 above */
    int64_t next_sid[LINKS];
    bool fail;
    bool up[PEERS + 1];
    uint8_t state[OPENS]; /* 1: asked, 2: ended */
    uint32_t n_opens;
    struct ref strm[64];
    uint32_t n_strm;
    unsigned tp[2];
    uint8_t which[2]; /* owners of the transports */
    tstamp now;
};

static struct fake f;

static struct peer_id peer_no(uint8_t n)
{
    struct peer_id p;
    uint8_t pk[32] = {n, 1};

    peer_id_from_ed25519(&p, pk);
    return p;
}

static uint32_t at(const void *owner, struct ref link)
{
    return link.slot * 2 + *(const uint8_t *)owner;
}

static bool f_handles(const void *owner, const struct multiaddr *addr)
{
    struct netaddr a;

    return multiaddr_to_netaddr(addr, &a) && (a.ip[3] & 1) == *(const uint8_t *)owner;
}

static qudag_err f_dial(void *owner, const struct transport_target *d, tstamp now, struct ref *out)
{
    uint32_t *n = &f.n_links[*(const uint8_t *)owner];
    (void)now;

    if (f.fail || *n == LINKS / 2) {
        return QUDAG_ELIMIT;
    }
    *out = (struct ref){(*n)++, 1};
    f.peer[at(owner, *out)] = d->peer != NULL ? d->peer->b[6] : 1;
    return QUDAG_OK;
}

static qudag_err f_info(const void *owner, struct ref link, struct link_info *out)
{
    memset(out, 0, sizeof *out);
    out->peer = peer_no(f.peer[at(owner, link)]);
    multiaddr_quic(&out->remote, &(struct netaddr){.family = 4, .ip = {1, 2, 3, 4}, .port = 5},
                   NULL);
    out->props = f.props[at(owner, link)];
    return QUDAG_OK;
}

static qudag_err f_open(void *owner, struct ref link, uint64_t user, const char *proto,
                        int64_t *sid)
{
    (void)user;
    (void)proto;
    ASSERT(!f.closed[at(owner, link)]);
    *sid = f.next_sid[at(owner, link)]++;
    return f.fail ? QUDAG_EAGAIN : QUDAG_OK;
}

static void f_set_user(void *owner, struct ref link, int64_t sid, uint64_t user)
{
    (void)owner;
    (void)link;
    (void)sid;
    (void)user;
}

static qudag_err f_write(void *owner, struct ref link, int64_t sid, struct slice data)
{
    (void)sid;
    (void)data;
    ASSERT(!f.closed[at(owner, link)]);
    return f.fail ? QUDAG_ETOOBIG : QUDAG_OK;
}

static void f_consume(void *owner, struct ref link, int64_t sid, size_t n)
{
    (void)owner;
    (void)link;
    (void)sid;
    (void)n;
}

static void f_fin(void *owner, struct ref link, int64_t sid)
{
    f_consume(owner, link, sid, 0);
}

static void f_reset(void *owner, struct ref link, int64_t sid, qudag_err err)
{
    (void)err;
    f_consume(owner, link, sid, 0);
}

static void f_close(void *owner, struct ref link, qudag_err err)
{
    (void)err;
    f.closed[at(owner, link)] = true;
}

static bool f_cancel(void *owner, struct ref link)
{
    if (f.fail) {
        return false;
    }
    f_close(owner, link, QUDAG_ECANCELED);
    return true;
}

static void f_probe(void *owner, struct ref link, tstamp now)
{
    (void)now;
    ASSERT(!f.closed[at(owner, link)]);
}

static const struct link_ops f_ops = {f_open,  f_set_user, f_write, f_consume, f_fin,
                                      f_reset, f_close,    NULL,    NULL,      NULL};
static const struct transport f_transport = {.name = "first",
                                             .ops = &f_ops,
                                             .handles = f_handles,
                                             .dial = f_dial,
                                             .cancel = f_cancel,
                                             .probe = f_probe,
                                             .info = f_info};
static const struct transport f_second = {.name = "second",
                                          .cost = TRANSPORT_RELAYED,
                                          .ops = &f_ops,
                                          .handles = f_handles,
                                          .dial = f_dial,
                                          .cancel = f_cancel,
                                          .probe = f_probe,
                                          .info = f_info};
static const struct core_ops c_ops = {.inbound_max = 3};

static void sink(void *ctx, unsigned core, const struct ev *ev)
{
    (void)ctx;
    switch (ev->type) {
    case EV_PEER_UP:
    case EV_PEER_DOWN: {
        uint8_t p = ev->peer->b[6];
        ASSERT(p <= PEERS && f.up[p] == (ev->type == EV_PEER_DOWN || ev->again));
        f.up[p] = ev->type == EV_PEER_UP;
        break;
    }
    case EV_STREAM_OPEN:
    case EV_STREAM_FAIL:
        if (!ev->inbound) {
            ASSERT(ev->cookie < OPENS && f.state[ev->cookie] == 1);
            f.state[ev->cookie] = 2;
        }
        if (ev->type == EV_STREAM_OPEN && f.n_strm < 64) {
            f.strm[f.n_strm++] = ev->strm;
        }
        break;
    case EV_DATA:
    case EV_WRITABLE:
    case EV_FIN:
    case EV_RESET: {
        struct swarm_stream_info info;
        bool known = swarm_stream_info(f.s, ev->strm, &info) == QUDAG_OK;
        ASSERT(ev->type != EV_DATA || (known && info.core == core));
        break;
    }
    }
}

static void act_of(struct rd *r)
{
    uint8_t kind = rd_u8(r), which = rd_u8(r);
    struct act a = {.type = (enum act_type)(kind % 5), .n = which, .err = QUDAG_ECANCELED};

    a.data = rd_bytes(r, which % 16);
    if (a.type == ACT_OPEN) {
        if (f.n_opens == OPENS) {
            return;
        }
        a.data = (struct slice){NULL, 0};
        a.peer = peer_no((uint8_t)(which % (PEERS + 1)));
        a.need = kind & 0x80 ? LINK_PQ_KEX : 0;
        a.no_dial = (kind & 0x40) != 0;
        a.cookie = f.n_opens;
        f.state[f.n_opens++] = 1;
    } else if (f.n_strm > 0) {
        a.strm = f.strm[which % f.n_strm];
    }
    swarm_act(f.s, 0, &a, NULL, f.now);
}

static void link_event_of(struct rd *r)
{
    uint8_t kind = rd_u8(r), which = rd_u8(r), sid = rd_u8(r);
    struct link_ev ev = {.type = (enum link_ev_type)(kind % 8), .err = QUDAG_ERESET, .n = sid};

    ev.data = rd_bytes(r, kind >> 3);
    uint8_t side = which >> 7;
    uint32_t *n = &f.n_links[side];
    if (kind & 0x40 && *n < LINKS / 2) { /* an inbound link */
        ev.link = (struct ref){(*n)++, 1};
        ev.type = LINK_UP;
        f.peer[at(&f.which[side], ev.link)] = (uint8_t)(1 + which % PEERS);
        f.props[at(&f.which[side], ev.link)] =
            (uint8_t)(LINK_INBOUND |
                      (sid & (LINK_PQ_KEX | LINK_PQ_AUTH | LINK_RELAYED | LINK_LIMITED)));
    } else if (*n > 0) {
        ev.link = (struct ref){which % *n, 1};
    } else {
        return;
    }
    uint32_t l = at(&f.which[side], ev.link);
    if ((ev.type == LINK_UP && f.told[l]) || (f.closed[l] && ev.type != LINK_DOWN)) {
        return; /* an owner does not do this */
    }
    f.told[l] = f.told[l] || ev.type == LINK_UP || ev.type == LINK_DOWN;
    f.closed[l] = f.closed[l] || ev.type == LINK_DOWN;
    ev.sid = ev.type == LINK_STREAM ? f.next_sid[l]++ : sid % 8;
    swarm_link_event(f.s, f.tp[side], &ev, f.now);
}

static void move_time(uint8_t by)
{
    f.now += (uint64_t)by * NS_PER_S;
    while (swarm_step(f.s, f.now)) {
    }
    swarm_tick(f.s, f.now);
    while (swarm_step(f.s, f.now)) {
    }
    ASSERT(swarm_deadline(f.s) > f.now);
}

static bool begin(uint64_t fail_at)
{
    static const uint8_t seed[32] = {1};
    static struct rng_stream stream;
    unsigned core;

    memset(&f, 0, sizeof f);
    mem_init(&f.mem, NULL, 0);
    f.now = 1000 * NS_PER_S;
    f.which[1] = 1;
    rng_stream_init(&stream, seed);
    struct swarm_config c = {.mem = &f.mem,
                             .rng = rng_of_stream(&stream),
                             .self = peer_no(0),
                             .peers_max = 4,
                             .links_high = 6,
                             .links_low = 3,
                             .sink = sink};
    if (swarm_new(&f.s, &c) != QUDAG_OK ||
        swarm_transport_add(f.s, &f_transport, &f.which[0], &f.tp[0]) != QUDAG_OK ||
        swarm_transport_add(f.s, &f_second, &f.which[1], &f.tp[1]) != QUDAG_OK ||
        swarm_core_add(f.s, &c_ops, &core) != QUDAG_OK ||
        swarm_proto_add(f.s, "/a", core, true) != QUDAG_OK) {
        return false;
    }
    f.mem.fail_at = fail_at;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rd r = rd_init((struct slice){data, size});

    if (size > SIZE_MAX_USEFUL) {
        return 0;
    }
    ASSERT(begin(rd_u8(&r)));
    while (rd_ok(&r) && r.left > 0) {
        uint8_t what = rd_u8(&r);
        struct peer_id p = peer_no((uint8_t)(1 + what % PEERS));
        struct multiaddr ma;
        struct netaddr a = {.family = 4, .ip = {7, 7, 7, what}, .port = 77};
        f.fail = (what & 0x80) != 0;
        switch (what >> 4 & 7) {
        case 0:
        case 1:
        case 2:
            link_event_of(&r);
            break;
        case 3:
        case 4:
            act_of(&r);
            break;
        case 5:
            multiaddr_quic(&ma, &a, NULL);
            swarm_addr_add(f.s, &p, &ma);
            break;
        case 6:
            swarm_disconnect(f.s, &p, QUDAG_ECANCELED, f.now);
            break;
        default:
            move_time(what & 15);
            break;
        }
        if (what & 8) {
            while (swarm_step(f.s, f.now)) {
            }
        }
    }
    for (int i = 0; i < 8; i++) {
        move_time(60); /* past every timeout, also of opens that waited behind others */
    }
    for (uint32_t i = 0; i < f.n_opens; i++) {
        ASSERT(f.state[i] == 2);
    }
    swarm_free(f.s);
    ASSERT(f.mem.used == 0);
    return 0;
}
