/*
 * hidden_service_fuzz.c - a service under a stream of answers and handshakes and a clock taken from the input.
 *
 * Handshakes are a caller's, changed, cut, repeated or not.  What must hold: no overflow of the action list; limits;
 * every circuit that was given comes back, but those that R joined; all memory returned.
 */
#include "core/hidden/service.h"

#include "base/assert.h"
#include "base/rd.h"
#include "crypto/init.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define IDS 32
#define STEPS 64

struct fuzz {
    struct mem mem;
    struct hidden_services *h;
    struct rng rng;
    tstamp now;
    uint64_t ids[IDS];
    uint16_t kinds[IDS]; /* of the reports that named them */
    size_t n_ids;
    struct hidden_target target; /* the last */
    uint8_t handshake[REND_HS_LEN];
    uint32_t given, back;
    struct act acts_v[ACTS_ROOM];
    uint8_t bytes[ACTS_BYTES_ROOM];
    struct acts acts;
};

static struct rng_stream stream;
static uint8_t addr[REND_ADDR_LEN] = {7};

static void take(struct fuzz *f)
{
    ASSERT(!f->acts.overflow);
    for (size_t i = 0; i < f->acts.n; i++) {
        const struct act *a = &f->acts_v[i];
        if (a->n != 0) {
            f->kinds[f->n_ids % IDS] = a->kind;
            f->ids[f->n_ids++ % IDS] = a->n;
        }
        if (a->kind == HIDDEN_SERVE_TARGET) {
            memcpy(&f->target, a->ptr, sizeof f->target);
            ASSERT(f->target.n_points >= 1 && f->target.n_points <= HIDDEN_POINTS);
            ASSERT(f->target.work.effort >= 1 && f->target.work.effort <= HIDDEN_EFFORT_MAX);
        }
        f->back += a->kind == HIDDEN_SERVE_CLOSE ? 1 : 0;
    }
    f->acts.n = 0;
    f->acts.bytes_n = 0;
}

/* Another handshake for what the last record said. */
static void make_handshake(struct fuzz *f, uint8_t which)
{
    struct rend_target to;
    struct rend_point at = {.relay = {.n_addrs = 0}};
    struct rend_hs_caller h;
    uint8_t pk[32] = {which}, ext[REND_WORK_EXT_LEN];
    struct rend_work work = {.effort = which % 4, .nonce = which};

    if (f->target.n_points == 0) {
        return;
    }
    memcpy(to.addr, addr, sizeof to.addr);
    memcpy(to.intro_key, f->target.point[which % f->target.n_points].intro_key,
           sizeof to.intro_key);
    memcpy(to.x, f->target.keys[(which >> 6) % f->target.n_keys].x, sizeof to.x);
    memcpy(to.k, f->target.keys[(which >> 6) % f->target.n_keys].k, sizeof to.k);
    peer_id_from_ed25519(&at.relay.peer, pk);
    memcpy(at.relay.k, to.k, sizeof at.relay.k);
    memcpy(work.seed_id, f->target.work.seed, sizeof work.seed_id);
    rend_work_put(ext, &work); /* of effort 1 it holds, of more by chance; of 0 it is none */
    const struct slice list = {ext, which % 8 < 4 ? sizeof ext : 0};
    ASSERT(rend_hs_create(&h, &to, &at, list, &f->rng, f->handshake) == QUDAG_OK);
    rend_hs_drop(&h);
}

static void request(struct fuzz *f, uint64_t id, struct rd *r)
{
    uint16_t spoil = rd_u16(r);

    if (spoil < REND_HS_LEN) {
        f->handshake[spoil] ^= 1;
    }
    hidden_serve_request(f->h, id, (struct slice){f->handshake, spoil == 65535 ? 9 : REND_HS_LEN},
                         f->now, &f->acts);
}

static void meet(struct fuzz *f, uint64_t id, uint8_t detail)
{
    struct hidden_serve_stats before, after;
    struct onion_hs_keys keys;

    (void)!hidden_serve_take(f->h, id, &keys);
    (void)!hidden_serve_stats_get(f->h, 1, &before);
    hidden_serve_met(f->h, id, detail > 250 ? QUDAG_ERESET : QUDAG_OK, detail >> 7, f->now,
                     &f->acts);
    (void)!hidden_serve_stats_get(f->h, 1, &after);
    f->back += (uint32_t)(after.met - before.met); /* the owner's */
}

static void end_and_begin(struct fuzz *f)
{
    uint8_t saved[HIDDEN_SAVED_LEN];
    const struct hidden_serve_want want = {1, addr, {saved, sizeof saved}};

    ASSERT(hidden_serve_save(f->h, 1, saved) == QUDAG_OK);
    hidden_serve_end(f->h, 1, &f->acts);
    ASSERT(hidden_serve(f->h, &want, f->now, &f->acts) == QUDAG_OK);
}

/* The step that answers a report of that kind. */
static uint8_t fits(uint16_t kind)
{
    switch (kind) {
    case HIDDEN_SERVE_NEED_POINT:
        return 0;
    case HIDDEN_SERVE_ESTABLISH:
        return 2;
    case HIDDEN_SERVE_NEED_R:
        return 7;
    default:
        return 9;
    }
}

static void step(struct fuzz *f, struct rd *r)
{
    uint8_t what = rd_u8(r), detail = rd_u8(r), pk[32] = {detail};
    size_t ix = detail % (f->n_ids < IDS ? f->n_ids : IDS);
    uint64_t id = f->ids[ix];
    struct onion_hop relay = {.n_addrs = 0};
    struct ref circuit = {f->given + 1, 1};

    peer_id_from_ed25519(&relay.peer, pk);
    if (what >= 100 && what < 200) {
        what = fits(f->kinds[ix]);
    }
    switch (what % 12) {
    case 0:
    case 1:
        f->given++;
        hidden_serve_point_built(f->h, id, circuit, &relay, f->now, &f->acts);
        break;
    case 2:
    case 3:
        hidden_serve_established(f->h, id, f->now, &f->acts);
        break;
    case 4:
        if (id % 2 == 0) {
            hidden_serve_point_ended(f->h, id, f->now, &f->acts);
        } else {
            hidden_serve_point_unreachable(f->h, id, f->now, &f->acts);
        }
        break;
    case 5:
        make_handshake(f, detail);
        break;
    case 6:
        request(f, id, r);
        break;
    case 7:
        f->given++;
        if ((detail & 1) != 0) {
            hidden_serve_r_begun(f->h, id, f->now, &f->acts);
        }
        hidden_serve_r_built(f->h, id, circuit, f->now, &f->acts);
        break;
    case 8:
        hidden_serve_r_failed(f->h, id, f->now, &f->acts);
        break;
    case 9:
        meet(f, id, detail);
        break;
    case 10:
        hidden_serve_carried(f->h, 1, detail * 5u, f->now, &f->acts);
        break;
    default:
        f->now += (uint64_t)detail * detail * detail * NS_PER_MS;
        hidden_services_tick(f->h, f->now, &f->acts);
        ASSERT(hidden_services_deadline(f->h) > f->now);
        break;
    }
    take(f);
    if (what > 252) {
        end_and_begin(f);
        take(f);
    }
}

/* A service that stands at two relays and was asked for once. */
static void start(struct fuzz *f)
{
    const struct hidden_serve_want want = {1, addr, {NULL, 0}};
    struct onion_hop relay = {.n_addrs = 0};

    ASSERT(hidden_serve(f->h, &want, f->now, &f->acts) == QUDAG_OK);
    take(f);
    for (uint8_t i = 0; i < HIDDEN_POINTS; i++) {
        uint8_t pk[32] = {200, i};
        uint64_t id = f->ids[i];
        peer_id_from_ed25519(&relay.peer, pk);
        hidden_serve_point_built(f->h, id, (struct ref){++f->given, 1}, &relay, f->now, &f->acts);
        hidden_serve_established(f->h, id, f->now, &f->acts);
    }
    take(f);
    ASSERT(f->target.n_points == HIDDEN_POINTS);
    make_handshake(f, 4);
}

static void end(struct fuzz *f)
{
    struct hidden_serve_stats st;

    ASSERT(hidden_serve_stats_get(f->h, 1, &st) == QUDAG_OK);
    ASSERT(st.queued <= HIDDEN_QUEUE_MAX && st.building <= HIDDEN_BUILDS_MAX);
    ASSERT(st.standing <= HIDDEN_POINTS && st.old <= HIDDEN_SLOTS - HIDDEN_POINTS);
    hidden_serve_end(f->h, 1, &f->acts);
    take(f);
    ASSERT(f->back == f->given);
    ASSERT(hidden_services_deadline(f->h) == TSTAMP_NEVER);
    hidden_services_free(f->h);
    ASSERT(f->mem.used == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t seed[32] = "services";
    struct fuzz *f = calloc(1, sizeof *f);
    struct rd r = rd_init((struct slice){data, size});

    if (f != NULL && crypto_init() == QUDAG_OK) {
        rng_stream_init(&stream, seed);
        mem_init(&f->mem, NULL, 0);
        f->rng = rng_of_stream(&stream);
        f->acts = (struct acts){
            .v = f->acts_v, .cap = ACTS_ROOM, .bytes = f->bytes, .bytes_cap = sizeof f->bytes};
        const struct hidden_services_config cfg = {
            .mem = &f->mem, .rng = f->rng, .clock = {.base = 1800000000}};
        ASSERT(hidden_services_new(&f->h, &cfg) == QUDAG_OK);
        start(f);
        for (unsigned i = 0; i < STEPS && r.left > 0; i++) {
            step(f, &r);
        }
        end(f);
    }
    free(f);
    return 0;
}
