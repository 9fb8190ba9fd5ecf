/*
 * autorelay_fuzz.c - relays that are heard of, asked, lost, and a clock, taken from the input.
 *
 * What must hold: no two entries are of one peer, places and requests are no more than wanted but for one that takes
 * over, no two of them are in one network, few candidates are of one network, and nothing is wanted where nothing is.
 */
#include "core/autorelay/autorelay.h"

#include "base/assert.h"
#include "base/rd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct peer_id peer_no(uint8_t n)
{
    struct peer_id p;
    uint8_t pk[32] = {n, 9};

    peer_id_from_ed25519(&p, pk);
    return p;
}

static void sound(const struct autorelay *a)
{
    const struct autorelay_relay *r, *o;
    uint32_t busy = 0, fixed = 0;

    for (size_t it = 0; (r = autorelay_next(a, &it)) != NULL;) {
        uint32_t of_net = 0;
        ASSERT(autorelay_get(a, &r->peer) == r);
        busy += r->state != AUTORELAY_IDLE && !r->fixed ? 1 : 0;
        fixed += r->fixed ? 1 : 0;
        for (size_t k = 0; (o = autorelay_next(a, &k)) != NULL;) {
            of_net += o->net == r->net ? 1 : 0;
        }
        ASSERT(of_net <= AUTORELAY_NET_MAX + fixed + AUTORELAY_CANDIDATES_MAX / 2);
        ASSERT(autorelay_rule_cost(r) > 0);
    }
    ASSERT(busy <= AUTORELAY_PLACES + 1 && (a->wanted || busy == 0));
}

static void step(struct autorelay *a, struct rd *r, tstamp *now, struct acts *out)
{
    uint8_t what = rd_u8(r), who = rd_u8(r);
    struct autorelay_found f = {
        .peer = peer_no(who), .net = 1u + who % 24u, .rtt_ns = what * UINT64_C(1000000)};
    struct circuit_limit limit = {.data = what & 64 ? 1000 : 0};

    switch (what % 11) {
    case 0:
    case 1:
        autorelay_heard(a, &f, *now);
        break;
    case 2:
        autorelay_unheard(a, &f.peer);
        break;
    case 3:
        autorelay_held(a, &f.peer, &limit, *now, out);
        break;
    case 4:
        autorelay_refused(a, &f.peer, (what & 32) != 0, *now, out);
        break;
    case 5:
        autorelay_lost(a, &f.peer, *now, out);
        break;
    case 6:
        autorelay_circuit(a, &f.peer, (what & 32) != 0);
        break;
    case 7:
        autorelay_want(a, (who & 3) != 0, *now, out);
        break;
    case 8:
        if (who < 8) {
            autorelay_fix(a, &f.peer, f.net, (what & 32) != 0, *now);
        } else {
            autorelay_moved(a, *now);
        }
        break;
    default:
        *now += (uint64_t)who * NS_PER_S;
        autorelay_ops.tick(a, *now, out);
        break;
    }
}

/* Relays answer to what they are asked, as their number says. */
static void answer(struct autorelay *a, struct acts *out, tstamp now)
{
    static const struct circuit_limit none;
    struct act said[64];

    ASSERT(!out->overflow && out->n <= ARRAY_LEN(said));
    size_t n = out->n;
    for (size_t i = 0; i < n; i++) {
        said[i] = out->v[i];
    }
    out->n = out->bytes_n = 0;
    for (size_t i = 0; i < n; i++) {
        ASSERT(said[i].type == ACT_UP);
        if (said[i].kind == AUTORELAY_UP_TAKE && said[i].peer.b[said[i].peer.len - 1] % 2 == 0) {
            autorelay_held(a, &said[i].peer, &none, now, out);
        }
    }
    out->n = out->bytes_n = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct autorelay a;
    static struct act v[256];
    static uint8_t bytes[4096];
    static const uint8_t seed[32] = {1};
    struct rng_stream stream;
    struct acts out = {.v = v, .cap = ARRAY_LEN(v), .bytes = bytes, .bytes_cap = sizeof(bytes)};
    struct rd r = rd_init((struct slice){data, size});
    tstamp now = 1000 * NS_PER_S;

    rng_stream_init(&stream, seed);
    struct rng rng = rng_of_stream(&stream);
    autorelay_init(&a, &rng, false, now);
    for (unsigned i = 0; r.left >= 2; i++) {
        step(&a, &r, &now, &out);
        answer(&a, &out, now);
        if (i % 64 == 0) {
            sound(&a);
        }
        (void)autorelay_ops.deadline(&a);
    }
    sound(&a);
    return 0;
}
