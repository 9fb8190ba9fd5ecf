/*
 * keep_fuzz.c - kept peers under events, names and a clock taken from the input.
 *
 * What must hold: a stream is named exactly in HELD, a cookie exactly in OPENING, few are dialled at once, no two
 * places have one peer, and who waits is due some time.
 */
#include "core/keep/keep.h"

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

static void sound(const struct keep *k)
{
    unsigned opening = 0;

    for (size_t i = 0; i < KEEP_MAX; i++) {
        const struct keep_peer *p = &k->v[i];
        if (p->peer.len == 0) {
            continue;
        }
        ASSERT(keep_get(k, &p->peer) == p);
        ASSERT((p->state == KEEP_HELD) == !ref_none(p->strm));
        ASSERT((p->state == KEEP_OPENING) == (p->cookie != 0));
        ASSERT(p->state != KEEP_WAITING || p->due != TSTAMP_NEVER || p->no_dial);
        opening += p->state == KEEP_OPENING ? 1 : 0;
    }
    ASSERT(opening <= KEEP_AT_ONCE);
}

static void step(struct keep *k, struct rd *r, tstamp *now, struct acts *out)
{
    static const enum ev_type types[] = {EV_PEER_UP, EV_PEER_DOWN, EV_STREAM_OPEN, EV_STREAM_FAIL,
                                         EV_DATA,    EV_FIN,       EV_RESET,       EV_WRITABLE};
    uint8_t what = rd_u8(r), who = rd_u8(r);
    struct peer_id peer = peer_no(who % 40);
    const struct keep_peer *p = keep_get(k, &peer);
    struct ev ev = {
        .type = types[what % 8], .peer = &peer, .err = (qudag_err)(-(int)(who % 31) - 1)};

    switch (what >> 5) {
    case 0:
        (void)!keep_add(k, &peer, (what & 16) != 0, (what & 8) != 0, *now);
        break;
    case 1:
        (void)keep_release(k, &peer, out);
        break;
    case 2:
        *now += (uint64_t)who * NS_PER_S;
        keep_ops.tick(k, *now, out);
        break;
    case 3:
        keep_retry(k, (what & 16) != 0 ? &peer : NULL, *now);
        break;
    case 4:
        keep_found(k, &peer, *now);
        break;
    default:
        ev.cookie = p != NULL && (what & 8) != 0 ? p->cookie : who;
        ev.strm = p != NULL && p->state == KEEP_HELD ? p->strm : (struct ref){who, 1};
        keep_ops.event(k, &ev, *now, out);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t seed[32] = "keep fuzz";
    struct rd r = rd_init((struct slice){data, size});
    struct act v[ACTS_ROOM];
    uint8_t bytes[64];
    struct rng_stream stream;
    struct keep k;
    tstamp now = NS_PER_S;

    rng_stream_init(&stream, seed);
    struct rng rng = rng_of_stream(&stream);
    keep_init(&k, &rng);
    while (r.left > 1) {
        struct acts out = {.v = v, .cap = ACTS_ROOM, .bytes = bytes, .bytes_cap = sizeof(bytes)};
        step(&k, &r, &now, &out);
        ASSERT(!out.overflow);
        sound(&k);
    }
    return 0;
}
