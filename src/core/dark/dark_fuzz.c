/*
 * dark_fuzz.c - the dark core under a stream of calls and a clock taken from the input.
 *
 * One service, of the kind that the first byte says, and its client in one core; answers are the stored records, cut or
 * changed ones, errors, late, twice or never.  What must hold: no overflow of the action list, one report per request,
 * all memory returned.
 */
#include "core/dark/dark_impl.h"

#include "base/assert.h"
#include "base/rd.h"
#include "crypto/init.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ASKS 32
#define STEPS 32
#define PUBLISH_MAX 2 /* signing is slow */

struct asked {
    uint64_t cookie;
    enum dark_up what;
    size_t rec;
};

struct fuzz {
    struct mem mem;
    struct dark *d;
    struct dark_addr addr;
    struct onion_hop self;
    bool hidden;
    struct dark_service service; /* what it says, if it is hidden */
    tstamp now;
    struct asked asked[ASKS];
    size_t n_asked;
    uint8_t rec[4][DARK_RECORD_LEN];
    size_t n_rec;
    unsigned wanted, resolved, published;
    struct act acts_v[ACTS_ROOM];
    uint8_t bytes[ACTS_BYTES_ROOM];
    struct acts acts;
};

static void take(struct fuzz *f)
{
    ASSERT(!f->acts.overflow);
    for (size_t i = 0; i < f->acts.n; i++) {
        const struct act *a = &f->acts_v[i];
        if (a->kind == DARK_UP_PUT) {
            const struct dark_wanted *wanted = a->ptr;
            ASSERT(wanted->record.len == DARK_RECORD_LEN);
            memcpy(f->rec[f->n_rec % 4], wanted->record.base, DARK_RECORD_LEN);
        }
        if (a->kind == DARK_UP_PUT || a->kind == DARK_UP_GET || a->kind == DARK_UP_SAVE) {
            f->asked[f->n_asked++ % ASKS] = (struct asked){
                .cookie = a->cookie, .what = (enum dark_up)a->kind, .rec = f->n_rec % 4};
            f->n_rec += a->kind == DARK_UP_PUT ? 1 : 0;
        }
        if (a->kind == DARK_UP_RESOLVED) {
            f->resolved++;
            ASSERT((a->err == QUDAG_OK) == (a->ptr != NULL));
        }
    }
    f->acts.n = 0;
    f->acts.bytes_n = 0;
}

static void answer(struct fuzz *f, struct rd *r)
{
    static const qudag_err errs[] = {QUDAG_OK, QUDAG_OK, QUDAG_ENOTFOUND, QUDAG_ETIMEOUT};
    const struct asked *a = &f->asked[rd_u8(r) % ASKS];
    uint8_t how = rd_u8(r);
    qudag_err err = errs[how % 4];
    struct dark_answer ans = {.cookie = a->cookie, .err = err, .stored = how >> 4};

    ans.exit = (struct peer_id){.len = (how & 8) != 0 ? 1 : 0, .b = {how & 4}};
    if (a->what == DARK_UP_PUT) {
        dark_put_done(f->d, &ans, f->now, &f->acts);
        return;
    }
    if (a->what == DARK_UP_SAVE) {
        dark_saved(f->d, a->cookie, err, f->now, &f->acts);
        return;
    }
    uint8_t *rec = f->rec[(how >> 2) % 4];
    size_t len = (how & 0x40) != 0 ? rd_u16(r) % DARK_RECORD_LEN : DARK_RECORD_LEN;
    size_t at = rd_u16(r) % DARK_RECORD_LEN;
    rec[at] ^= (how & 0x80) != 0 ? 1 : 0;
    ans.record = (struct slice){rec, len};
    dark_get_done(f->d, &ans, f->now, &f->acts);
}

/* A service of few points and periods, now and then one that no record may say. */
static void service_draw(struct fuzz *f, struct rd *r)
{
    struct dark_service *s = &f->service;

    memset(s, 0, sizeof *s);
    s->n_intros = rd_u8(r) % (DARK_INTROS_MAX + 2);
    for (uint32_t i = 0; i < s->n_intros && i < DARK_INTROS_MAX; i++) {
        uint8_t n = rd_u8(r) % 8;
        s->intro[i].relay = (struct peer_id){.len = n == 0 ? 0 : 1, .b = {n}};
        memset(s->intro[i].key, n, sizeof s->intro[i].key);
    }
    s->n_keys = rd_u8(r) % (DARK_KEYS_MAX + 2);
    for (uint32_t i = 0; i < s->n_keys && i < DARK_KEYS_MAX; i++) {
        s->keys[i].period = dark_period(1800000000) + i;
        s->keys[i].x[0] = rd_u8(r) % 2;
    }
    s->n_old = rd_u8(r) % (DARK_OLD_MAX + 2);
    for (uint32_t i = 0; i < s->n_old && i < DARK_OLD_MAX; i++) {
        memset(s->old[i], (int)i, sizeof s->old[i]);
    }
    s->pow.effort = rd_u8(r) % 2;
}

static void publish(struct fuzz *f, struct rd *r)
{
    enum dark_publish_how how = (enum dark_publish_how)(rd_u8(r) % 2);
    struct dark_publish_want want = {1, &f->addr, &f->self, NULL, how};

    if (f->hidden) {
        service_draw(f, r);
        want.hidden = &f->service;
        want.self = NULL;
    }
    (void)!dark_publish(f->d, &want, f->now, &f->acts);
}

static void step(struct fuzz *f, struct rd *r)
{
    switch (rd_u8(r) % 8) {
    case 0:
        if (f->hidden || f->published++ < PUBLISH_MAX) { /* a direct one is signed at once */
            publish(f, r);
        }
        break;
    case 1:
        if (rd_u8(r) > 200) {
            (void)!dark_forget(f->d, 2, &f->addr, f->now, &f->acts);
        } else {
            dark_unpublish(f->d, &f->addr);
        }
        break;
    case 2:
        f->wanted += dark_resolve(f->d, &(struct dark_question){3, &f->addr, 0}, f->now,
                                  &f->acts) == QUDAG_OK
                         ? 1
                         : 0;
        break;
    case 3:
        dark_target_failed(f->d, &f->addr, 0);
        break;
    case 4:
        f->now += (uint64_t)rd_u16(r) * NS_PER_S;
        break;
    case 5:
        if (dark_deadline(f->d) != TSTAMP_NEVER && dark_deadline(f->d) > f->now) {
            f->now = dark_deadline(f->d);
        }
        dark_tick(f->d, f->now, &f->acts);
        ASSERT(dark_deadline(f->d) > f->now);
        break;
    default:
        answer(f, r);
        break;
    }
    take(f);
}

static bool start(struct fuzz *f, struct rng_stream *s)
{
    uint8_t seed[32] = {1}, pk[32] = {7};
    struct dark_keys k;

    rng_stream_init(s, seed);
    mem_init(&f->mem, NULL, 0);
    f->acts = (struct acts){
        .v = f->acts_v, .cap = ACTS_ROOM, .bytes = f->bytes, .bytes_cap = sizeof f->bytes};
    peer_id_from_ed25519(&f->self.peer, pk);
    struct dark_config cfg = {.mem = &f->mem,
                              .cover_per_hour = DARK_COVER_MAX,
                              .rng = rng_of_stream(s),
                              .clock = {.base = 1800000000},
                              .network = DARK_NET_LAB};
    if (dark_keys_create(&k, DARK_NET_LAB, "", 1, &cfg.rng) != QUDAG_OK) {
        return false;
    }
    f->addr = k.addr;
    k.kind = f->hidden ? DARK_HIDDEN : DARK_DIRECT;
    return dark_new(&f->d, &cfg) == QUDAG_OK && dark_own(f->d, &k) == QUDAG_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz *f = calloc(1, sizeof *f);
    struct rd r = rd_init((struct slice){data, size});
    struct rng_stream s;

    if (f != NULL) {
        f->hidden = rd_u8(&r) % 2 == 1;
    }
    if (f != NULL && crypto_init() == QUDAG_OK && start(f, &s)) {
        for (unsigned i = 0; i < STEPS && r.left > 0; i++) {
            step(f, &r);
        }
        for (unsigned i = 0; i < 2 * DARK_STEPS_MAX; i++) { /* time runs out for every question */
            f->now += 2 * DARK_ASK_TIMEOUT;
            dark_tick(f->d, f->now, &f->acts);
            take(f);
        }
        ASSERT(f->resolved == f->wanted);
        dark_free(f->d);
        ASSERT(f->mem.used == 0);
    }
    free(f);
    return 0;
}
