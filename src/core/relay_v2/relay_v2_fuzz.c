/*
 * relay_v2_fuzz.c - events in any order to a relay and to a user of relays: nothing asserts, nothing stays.
 *
 * Each event is a byte for what, a byte for which stream, and for data a length and as many bytes.
 */
#include "base/assert.h"
#include "base/rd.h"
#include "core/relay_v2/hop.h"
#include "core/relay_v2/relayed.h"
#include "crypto/init.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STREAMS 8
#define PEERS 4

static struct act act_v[ACTS_ROOM];
static uint8_t act_bytes[ACTS_BYTES_ROOM];
static struct peer_id peer[PEERS];
static struct secret_ed25519 sk[PEERS];
static const struct wallclock clock_0 = {.base = 1800000000};

struct side {
    const struct core_ops *ops;
    void *core;
    bool known[STREAMS];      /* by the core */
    uint64_t cookie[STREAMS]; /* of its ACT_OPENs */
    struct ref name[STREAMS]; /* of byte streams it reported */
    uint32_t gen;
    size_t n_cookies, n_names;
};

static void start(void)
{
    ASSERT(crypto_init() == QUDAG_OK);
    for (size_t i = 0; i < PEERS; i++) {
        uint8_t pk[ED25519_PK_LEN];
        sk[i].seed[0] = (uint8_t)(i + 1);
        ASSERT(ed25519_public(pk, &sk[i]) == QUDAG_OK);
        peer_id_from_ed25519(&peer[i], pk);
    }
}

static struct acts acts_new(void)
{
    return (struct acts){
        .v = act_v, .cap = ARRAY_LEN(act_v), .bytes = act_bytes, .bytes_cap = sizeof(act_bytes)};
}

static void look(struct side *s, const struct acts *out)
{
    ASSERT(!out->overflow);
    for (size_t i = 0; i < out->n; i++) {
        const struct act *a = &out->v[i];
        if (a->type == ACT_OPEN) {
            s->cookie[s->n_cookies++ % STREAMS] = a->cookie;
        } else if (a->type == ACT_RESET) {
            ASSERT(s->known[a->strm.slot % STREAMS] || a->strm.slot >= STREAMS);
            s->known[a->strm.slot % STREAMS] = false;
        } else if (a->type == ACT_UP &&
                   (a->kind == RELAYED_UP_OPENED || a->kind == RELAYED_UP_INCOMING) &&
                   s->ops == &relayed_ops) {
            s->name[s->n_names++ % STREAMS] = a->obj;
        }
    }
}

/* Calls of the owner of a user. */
static void call(struct side *s, uint8_t what, uint8_t arg, tstamp now, struct acts *out)
{
    struct relayed *r = s->core;
    struct relayed_info want = {.relay = peer[arg % PEERS], .peer = peer[arg / PEERS % PEERS]};
    struct ref name = s->name[arg % STREAMS];

    switch (what % 5) {
    case 0:
        (void)!relayed_reserve(r, &peer[arg % PEERS], now);
        break;
    case 1:
        (void)!relayed_connect(r, &want, (struct slice){act_bytes, arg}, arg, now, out);
        break;
    case 2:
        (void)relayed_cancel(r, arg, out);
        break;
    case 3:
        if (relayed_room(r, name) > arg) {
            ASSERT(relayed_write(r, name, (struct slice){act_bytes, 0}, out) == QUDAG_OK);
        }
        break;
    default:
        relayed_close(r, name, arg % 2 == 0 ? QUDAG_OK : QUDAG_ECANCELED, now, out);
        break;
    }
}

static void step(struct side *s, struct rd *r, tstamp *now)
{
    static const uint8_t props[] = {0,         LINK_QUDAG,  LINK_QUDAG, LINK_RELAYED,
                                    LINK_ANON, LINK_LIMITED};
    uint8_t what = rd_u8(r), arg = rd_u8(r), ix = arg % STREAMS;
    struct acts out = acts_new();
    struct ev ev = {.strm = {ix, 1}, .peer = &peer[arg / STREAMS % PEERS], .err = QUDAG_ERESET};

    ev.net = ev.via = arg;
    ev.props = props[what / 16 % ARRAY_LEN(props)];
    switch (what % 10) {
    case 0:
    case 1:
        ev.type = EV_STREAM_OPEN;
        ev.inbound = what % 10 == 0;
        ev.cookie = s->cookie[arg % STREAMS];
        if (s->known[ix]) {
            return;
        }
        s->known[ix] = true;
        break;
    case 2:
        ev.type = EV_STREAM_FAIL;
        ev.cookie = s->cookie[arg % STREAMS];
        break;
    case 3:
    case 4:
        ev.type = EV_DATA;
        ev.data = rd_lp(r, 4200);
        break;
    case 5:
        ev.type = EV_WRITABLE;
        ev.n = what;
        break;
    case 6:
        ev.type = what >= 128 ? EV_FIN : EV_RESET;
        break;
    case 7:
        ev.type = what >= 128 ? EV_PEER_UP : EV_PEER_DOWN;
        break;
    case 8:
        *now += arg * NS_PER_S;
        s->ops->tick(s->core, *now, &out);
        look(s, &out);
        return;
    default:
        if (s->ops == &relayed_ops) {
            call(s, what / 10, arg, *now, &out);
            look(s, &out);
        }
        return;
    }
    if (ev.type != EV_STREAM_OPEN && ev.type != EV_STREAM_FAIL && ev.type != EV_PEER_DOWN &&
        ev.type != EV_PEER_UP && !s->known[ix]) {
        return;
    }
    s->known[ix] = s->known[ix] && ev.type != EV_RESET;
    s->ops->event(s->core, &ev, *now, &out);
    look(s, &out);
    ASSERT(s->ops->deadline(s->core) >= *now || s->ops->deadline(s->core) > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rd r = rd_init((struct slice){data, size});
    struct rng_stream stream;
    uint8_t seed[32] = {1};
    struct mem mem;
    tstamp now = NS_PER_S;

    if (peer[0].len == 0) {
        start();
    }
    mem_init(&mem, NULL, 0);
    rng_stream_init(&stream, seed);
    struct hop_config hop = {.mem = &mem,
                             .rng = rng_of_stream(&stream),
                             .self = peer[0],
                             .sk = &sk[0],
                             .clock = &clock_0,
                             .circuits_max = 6,
                             .limit = {60, 10000},
                             .rate = size % 2 == 0 ? 0 : 20000};
    struct relayed_config user = {
        .mem = &mem, .rng = rng_of_stream(&stream), .self = peer[0], .clock = &clock_0};
    struct side s = {.ops = rd_u8(&r) % 2 == 0 ? &hop_ops : &relayed_ops};
    qudag_err err = s.ops == &hop_ops ? hop_new((struct hop_service **)&s.core, &hop, now)
                                      : relayed_new((struct relayed **)&s.core, &user);
    ASSERT(err == QUDAG_OK);
    while (r.left > 0 && rd_ok(&r)) {
        step(&s, &r, &now);
    }
    if (s.ops == &hop_ops) {
        hop_free(s.core);
    } else {
        relayed_free(s.core);
    }
    ASSERT(mem.used == 0);
    return 0;
}
