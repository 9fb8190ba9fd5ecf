/*
 * hidden_caller_fuzz.c - calls under a stream of answers and a clock taken from the input.
 *
 * Answers come for ids that were asked for, the right ones or any, twice or never; CREATED is the service's, changed
 * or not.  What must hold: no overflow of the action list; a call ends once; every circuit that was given comes back,
 * but that of a call whose keys were taken; all memory returned.
 */
#include "core/hidden/caller.h"

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
    struct hidden_calls *h;
    struct rng rng;
    tstamp now;
    uint64_t ids[IDS];
    uint16_t kinds[IDS]; /* of the reports that named them */
    size_t n_ids;
    struct hidden_introduction last; /* that was sent */
    uint32_t solving, unsolved;
    uint32_t begun, ended, canceled, taken, given, back;
    struct act acts_v[ACTS_ROOM];
    uint8_t bytes[ACTS_BYTES_ROOM];
    struct acts acts;
};

static struct rend_keys keys;
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
        if (a->kind == HIDDEN_CALL_INTRODUCE) {
            memcpy(&f->last, a->ptr, sizeof f->last);
        }
        f->ended += a->kind == HIDDEN_CALL_END ? 1 : 0;
        f->back += a->kind == HIDDEN_CALL_CLOSE ? 1 : 0;
        f->solving += a->kind == HIDDEN_CALL_SOLVE ? 1 : 0;
        f->unsolved += a->kind == HIDDEN_CALL_UNSOLVE ? 1 : 0;
        if (a->kind == HIDDEN_CALL_SOLVE) {
            const struct rend_work_task *task = a->ptr;
            ASSERT(task->effort > 0 && task->effort <= 64);
        }
    }
    f->acts.n = 0;
    f->acts.bytes_n = 0;
}

static void begin(struct fuzz *f, uint8_t which)
{
    struct hidden_point point[HIDDEN_POINTS];

    memset(point, 0, sizeof point);
    for (size_t i = 0; i < HIDDEN_POINTS; i++) {
        point[i].intro_key[0] = (uint8_t)i;
    }
    const struct hidden_call_want want = {.cookie = which % 4,
                                          .addr = addr,
                                          .x = keys.x,
                                          .k = keys.k,
                                          .points = point,
                                          .n_points = 1u + which % HIDDEN_POINTS,
                                          .seed = which < 128 ? NULL : addr,
                                          .effort = which % 3};
    f->begun += hidden_call(f->h, &want, f->now, &f->acts) == QUDAG_OK ? 1 : 0;
}

/* What the service says to the last introduction, or something that it would not. */
static void created(struct fuzz *f, uint64_t id, struct rd *r)
{
    const struct rend_hs_own own = {addr, f->last.intro_key, &keys};
    uint8_t answer[REND_CREATED_LEN] = {0};
    struct rend_hs_asked asked;
    struct onion_hs_keys theirs;
    uint16_t spoil = rd_u16(r);

    if (rend_hs_open(&asked, &own, f->last.handshake) == QUDAG_OK) {
        ASSERT(rend_hs_answer(&asked, &f->rng, answer, &theirs) == QUDAG_OK);
    }
    if (spoil < REND_CREATED_LEN) {
        answer[spoil] ^= 1;
    }
    hidden_call_created(f->h, id, (struct slice){answer, sizeof answer - (spoil == 65535 ? 1 : 0)},
                        f->now, &f->acts);
}

/* The step that answers a report of that kind. */
static uint8_t fits(uint16_t kind)
{
    switch (kind) {
    case HIDDEN_CALL_NEED_R:
        return 1;
    case HIDDEN_CALL_WAIT:
        return 3;
    case HIDDEN_CALL_NEED_I:
        return 4;
    case HIDDEN_CALL_INTRODUCE:
        return 6;
    case HIDDEN_CALL_SOLVE:
        return 11;
    default:
        return 9;
    }
}

static void step(struct fuzz *f, struct rd *r)
{
    uint8_t what = rd_u8(r), detail = rd_u8(r);
    size_t ix = detail % (f->n_ids < IDS ? f->n_ids : IDS);
    uint64_t id = f->ids[ix];
    struct onion_hop relay = {.n_addrs = 0};
    struct onion_hs_keys ours;
    struct ref circuit = {f->given + 1, 1};

    memcpy(relay.k, keys.k, sizeof relay.k);
    if (what >= 100 && what < 230) {
        what = fits(f->kinds[ix]);
    }
    switch (what % 12) {
    case 0:
        begin(f, detail);
        break;
    case 1:
    case 2:
        f->given++;
        hidden_call_r_built(f->h, id, circuit, &relay, f->now, &f->acts);
        break;
    case 3:
        hidden_call_waiting(f->h, id, detail > 240 ? QUDAG_ERESET : QUDAG_OK, f->now, &f->acts);
        break;
    case 4:
    case 5:
        f->given++;
        hidden_call_i_built(f->h, id, circuit, f->now, &f->acts);
        break;
    case 6:
        hidden_call_introduced(f->h, id, detail > 200 ? QUDAG_ERESET : QUDAG_OK, detail >> 6,
                               f->now, &f->acts);
        break;
    case 7:
        created(f, id, r);
        break;
    case 8:
        hidden_call_failed(f->h, id, f->now, &f->acts);
        break;
    case 9:
        f->taken += hidden_call_take(f->h, id, &ours) == QUDAG_OK ? 1 : 0;
        break;
    case 11:
        hidden_call_solved(f->h, id, detail > 200 ? QUDAG_ENOTFOUND : QUDAG_OK, detail, f->now,
                           &f->acts);
        break;
    default:
        f->now += (uint64_t)detail * detail * NS_PER_MS;
        hidden_calls_tick(f->h, f->now, &f->acts);
        ASSERT(hidden_calls_deadline(f->h) > f->now);
        break;
    }
    take(f);
    if (what > 250) {
        f->canceled += hidden_calls_count(f->h);
        hidden_call_cancel(f->h, detail % 4, &f->acts);
        f->canceled -= hidden_calls_count(f->h);
        take(f);
    }
}

static bool ready(void)
{
    static const uint8_t seed[32] = "callers";
    static bool done;

    if (!done && crypto_init() == QUDAG_OK) {
        rng_stream_init(&stream, seed);
        struct rng rng = rng_of_stream(&stream);
        done = rend_keys_make(&keys, &rng) == QUDAG_OK;
    }
    return done;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz *f = calloc(1, sizeof *f);
    struct rd r = rd_init((struct slice){data, size});

    if (f != NULL && ready()) {
        mem_init(&f->mem, NULL, 0);
        f->rng = rng_of_stream(&stream);
        f->acts = (struct acts){
            .v = f->acts_v, .cap = ACTS_ROOM, .bytes = f->bytes, .bytes_cap = sizeof f->bytes};
        const struct hidden_calls_config cfg = {&f->mem, f->rng, 64};
        ASSERT(hidden_calls_new(&f->h, &cfg) == QUDAG_OK);
        begin(f, 2);
        take(f);
        for (unsigned i = 0; i < STEPS && r.left > 0; i++) {
            step(f, &r);
        }
        for (unsigned i = 0; i < 40;
             i++) { /* time runs out for every call, and for its work before */
            f->now += 20 * NS_PER_S;
            hidden_calls_tick(f->h, f->now, &f->acts);
            take(f);
        }
        ASSERT(hidden_calls_count(f->h) == 0);
        ASSERT(f->unsolved <= f->solving);
        ASSERT(f->ended + f->canceled + f->taken == f->begun);
        ASSERT(f->back + f->taken == f->given);
        hidden_calls_free(f->h);
        ASSERT(f->mem.used == 0);
    }
    free(f);
    return 0;
}
