/*
 * autonat_fuzz.c - events in any order to both sides of AutoNAT v2: nothing asserts, and every limit holds.
 *
 * Each event is a byte for what, a byte for which stream, and for data a length and as many bytes.
 */
#include "base/assert.h"
#include "base/rd.h"
#include "core/autonat/server.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STREAMS 12

static struct act act_v[ACTS_ROOM];
static uint8_t act_bytes[ACTS_BYTES_ROOM];
static struct autonat_client client;
static struct autonat_server server;

static struct peer_id peer(unsigned n)
{
    uint8_t pk[32] = {(uint8_t)n};
    struct peer_id id;

    peer_id_from_ed25519(&id, pk);
    return id;
}

static struct multiaddr at(unsigned n)
{
    struct netaddr a = {.family = 4, .ip = {5, 9, 1, (uint8_t)n}, .port = 4001};
    struct multiaddr m;

    multiaddr_quic(&m, &a, NULL);
    return m;
}

/* Carries out orders: some at once, the next call finds the others gone. */
static void look(struct acts *out, unsigned what)
{
    ASSERT(!out->overflow);
    for (size_t i = 0; i < out->n && i < 8; i++) {
        if (out->v[i].type == ACT_UP && out->v[i].kind == AUTONAT_UP_DIAL) {
            struct autonat_order o = *(const struct autonat_order *)out->v[i].ptr;
            struct netaddr to;
            ASSERT(multiaddr_to_netaddr(&o.addr, &to) && netaddr_is_global(&to));
            if (what % 3 == 0) {
                autonat_dialled(&server, o.job, AUTONAT_DIAL_OK, out);
            }
        }
    }
}

static void one(struct rd *r, tstamp now)
{
    struct acts out = {
        .v = act_v, .cap = ARRAY_LEN(act_v), .bytes = act_bytes, .bytes_cap = sizeof(act_bytes)};
    unsigned what = rd_u8(r), n = rd_u8(r) % STREAMS;
    const struct core_ops *ops[] = {&autonat_ask_ops, &autonat_back_ops, &autonat_serve_ops};
    unsigned which = what % 3;
    void *core = which == 2 ? (void *)&server : (void *)&client;
    struct peer_id id = peer(n);
    struct ev ev = {.peer = &id, .strm = ref_from_u64((uint64_t)1 << 32 | n), .net = n / 4};
    struct multiaddr from = at(n % 3);

    switch (what / 3 % 6) {
    case 0:
        ev.type = EV_STREAM_OPEN;
        ev.inbound = which != 0;
        ev.cookie = n;
        ops[which]->event(core, &ev, now, &out);
        if (which == 2) {
            autonat_server_from(&server, ev.strm, &from);
        } else if (which == 1) {
            autonat_back_link(&client, ev.strm,
                              &(struct link_info){.props = LINK_INBOUND, .remote = from});
        }
        break;
    case 1:
    case 2:
        ev.type = EV_DATA;
        ev.data = rd_bytes(r, rd_u8(r));
        ops[which]->event(core, &ev, now, &out);
        break;
    case 3:
        ev.type = (what & 64) != 0 ? EV_FIN : EV_RESET;
        ops[which]->event(core, &ev, now, &out);
        break;
    case 4:
        ev.type = EV_STREAM_FAIL;
        ev.cookie = n;
        ops[which]->event(core, &ev, now, &out);
        break;
    default:
        if (which == 0) {
            struct autonat_answer about = {.peer = id, .addr = at(1), .server = at(2)};
            (void)!autonat_ask(&client, &about, now, &out);
        } else {
            ops[which]->tick(core, now, &out);
        }
        break;
    }
    look(&out, what);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t seed[32] = "fuzz";
    struct rng_stream stream;
    struct rd r = rd_init((struct slice){data, size});
    struct autonat_self self = {.serves = true, .ip4 = true};
    tstamp now = 1000 * NS_PER_S;

    rng_stream_init(&stream, seed);
    struct rng rng = rng_of_stream(&stream);
    autonat_client_init(&client, &rng);
    autonat_server_init(&server, &rng, false);
    autonat_server_set(&server, &self);
    while (r.left > 0 && rd_ok(&r)) {
        one(&r, now);
        now += 3 * NS_PER_S;
    }
    size_t minute = 0;
    for (size_t i = 0; i < AUTONAT_MINUTE; i++) {
        minute += server.recent[i].at != 0 && now - server.recent[i].at < 60 * NS_PER_S ? 1 : 0;
    }
    ASSERT(minute <= AUTONAT_MINUTE);
    return 0;
}
