/*
 * flood_test.c - ten attackers flood the introduction points of a service while others call it: how many of these get
 * in, and how long it takes, with proof of work and without; those who do not hear that the service is busy.
 *
 * Calls, services, handshakes and queues are real; circuits take a time; relays pass on what R-4 lets them.  Only the
 * function itself is replaced, as nobody has ten cores for a minute here: a nonce holds for the effort it was sold for,
 * and who buys one pays effort * TRY of his own core, exponentially distributed as real luck is.
 *
 *   FLOOD_SECONDS, FLOOD_ALL in the environment: longer, and all scenarios (for the figures of doc/performance.md).
 *
 * TEST: timeout=300
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/hidden/testkit_work.h"

#define ATTACKERS 10
#define TRY 114000ull           /* ns of one core for one evaluation */
#define INTRODUCTION 600000ull  /* ns of one core for a circuit of four hops and a handshake */
#define CALLS_RATE 2            /* honest callers a second */
#define BUILD (300 * NS_PER_MS) /* of a circuit */
#define CALLERS_MAX 4096
#define EVENTS_MAX 4096

enum what { R_BUILT, I_BUILT, SOLVED, SERVE_R_BUILT };

struct event {
    tstamp at;
    enum what what;
    uint64_t id;
    uint32_t effort;
};

struct scenario {
    const char *name;
    double
        rate; /* introductions a second that attackers bring to the points; 0: as many as they can pay */
    uint32_t
        effort; /* they prove; with |follow|: percent of what records ask for, if that is more */
    bool follow, hang; /* hang: their relays R never answer */
    bool work;         /* callers and attackers may prove work */
};

struct flood {
    struct bed *b;
    const struct scenario *sc;
    struct hidden_target target;
    uint64_t point[HIDDEN_POINTS]; /* ids */
    struct limiter relay[HIDDEN_POINTS];
    struct event event[EVENTS_MAX];
    size_t n_events;
    struct {
        uint8_t cookie[REND_COOKIE_LEN];
        uint64_t r;
    } wait[CALLERS_MAX];
    tstamp began[CALLERS_MAX];
    double took[CALLERS_MAX];
    tstamp busy_until; /* of all points */
    unsigned called, met, ended, full;
    unsigned offline; /* of the ended: told that the service is gone */
    uint64_t attacks, passed;
    uint8_t honest; /* pq_hash of R */
};

static qudag_err check(const struct rend_work_task *task, uint64_t nonce)
{
    return nonce == task->effort ? QUDAG_OK : QUDAG_EAUTH;
}

static void later(struct flood *f, uint64_t in, enum what what, uint64_t id, uint32_t effort)
{
    assert_true(f->n_events < EVENTS_MAX);
    f->event[f->n_events++] = (struct event){f->b->now + in, what, id, effort};
}

/* Time that |effort| takes: exponentially distributed. */
static uint64_t luck(struct flood *f, uint32_t effort)
{
    uint64_t sum = 0;

    for (unsigned bits = 0; bits < 64; bits++) { /* ln 2 for each head in a row, and a part */
        if ((rng_u64(&f->b->rng) & 1) != 0) {
            break;
        }
        sum += 693;
    }
    sum += rng_below(&f->b->rng, 693);
    return (uint64_t)effort * TRY / 1000 * sum;
}

static void introduce(struct flood *f, const struct up *u)
{
    struct bed *b = f->b;

    for (size_t i = 0; i < HIDDEN_POINTS; i++) {
        if (memcmp(f->target.point[i].intro_key, u->is.introduction.intro_key, ED25519_PK_LEN) ==
            0) {
            bool passes = limiter_take(&f->relay[i], 1, b->now);
            f->full += passes ? 0 : 1;
            if (passes) {
                request(b, f->point[i], u->is.introduction.handshake);
            }
            enum rend_status s = b->now < f->busy_until ? REND_BUSY : REND_DONE;
            hidden_call_introduced(b->calls, u->id, QUDAG_OK, passes ? s : REND_FULL, b->now,
                                   &b->acts);
            return;
        }
    }
    hidden_call_introduced(b->calls, u->id, QUDAG_OK, REND_UNKNOWN, b->now, &b->acts);
}

static void on_call(struct flood *f, const struct up *u)
{
    struct onion_hs_keys keys;

    switch (u->kind) {
    case HIDDEN_CALL_NEED_R:
        later(f, BUILD, R_BUILT, u->id, 0);
        break;
    case HIDDEN_CALL_NEED_I:
        later(f, BUILD, I_BUILT, u->id, 0);
        break;
    case HIDDEN_CALL_SOLVE:
        later(f, luck(f, u->is.task.effort), SOLVED, u->id, u->is.task.effort);
        break;
    case HIDDEN_CALL_WAIT:
        memcpy(f->wait[u->cookie].cookie, u->is.cookie, REND_COOKIE_LEN);
        f->wait[u->cookie].r = u->id;
        hidden_call_waiting(f->b->calls, u->id, QUDAG_OK, f->b->now, &f->b->acts);
        break;
    case HIDDEN_CALL_INTRODUCE:
        introduce(f, u);
        break;
    case HIDDEN_CALL_MET:
        assert_int_equal(hidden_call_take(f->b->calls, u->id, &keys), QUDAG_OK);
        f->took[f->met++] = (double)(f->b->now - f->began[u->cookie]) / 1e9;
        break;
    case HIDDEN_CALL_END:
        f->ended++;
        f->offline += u->err == QUDAG_ELIMIT ? 0 : 1;
        break;
    default:
        break;
    }
}

static void meet(struct flood *f, const struct up *u)
{
    struct bed *b = f->b;
    struct onion_hs_keys keys;

    for (size_t i = 0; i < f->called; i++) {
        if (memcmp(f->wait[i].cookie, u->is.meet.cookie, REND_COOKIE_LEN) == 0) {
            const struct slice created = {u->is.meet.created, REND_CREATED_LEN};
            assert_int_equal(hidden_serve_take(b->services, u->id, &keys), QUDAG_OK);
            hidden_call_created(b->calls, f->wait[i].r, created, b->now, &b->acts);
            hidden_serve_met(b->services, u->id, QUDAG_OK, REND_DONE, b->now, &b->sacts);
            return;
        }
    }
    hidden_serve_met(b->services, u->id, QUDAG_OK, REND_UNKNOWN, b->now, &b->sacts);
}

static void on_service(struct flood *f, const struct up *u)
{
    if (u->kind == HIDDEN_SERVE_NEED_R) {
        bool honest = u->is.relay.pq_hash[0] == f->honest;
        if (honest || !f->sc->hang) {
            later(f, BUILD, SERVE_R_BUILT, u->id, 0);
        }
    } else if (u->kind == HIDDEN_SERVE_MEET) {
        meet(f, u);
    } else if (u->kind == HIDDEN_SERVE_BUSY) {
        f->busy_until = tstamp_after(f->b->now, 30 * SECOND);
    } else if (u->kind == HIDDEN_SERVE_TARGET) {
        f->target.work = u->is.target.work;
    }
}

static void answer(struct flood *f)
{
    struct bed *b = f->b;
    size_t done = 0, sdone = 0;

    for (take(b); done < b->n_up || sdone < b->n_sup; take(b)) {
        if (done < b->n_up) {
            struct up u = b->up[done++];
            on_call(f, &u);
        } else {
            struct up u = b->sup[sdone++];
            on_service(f, &u);
        }
    }
    b->n_up = b->n_sup = 0;
}

static void happen(struct flood *f, const struct event *e)
{
    struct bed *b = f->b;
    struct onion_hop r;

    switch (e->what) {
    case R_BUILT:
        relay_set(b, &r, f->honest);
        hidden_call_r_built(b->calls, e->id, new_circuit(b), &r, b->now, &b->acts);
        break;
    case I_BUILT:
        hidden_call_i_built(b->calls, e->id, new_circuit(b), b->now, &b->acts);
        break;
    case SOLVED:
        hidden_call_solved(b->calls, e->id, QUDAG_OK, e->effort, b->now, &b->acts);
        break;
    default:
        hidden_serve_r_built(b->services, e->id, new_circuit(b), b->now, &b->sacts);
        break;
    }
}

static void call(struct flood *f)
{
    struct bed *b = f->b;
    uint64_t id = f->called++;
    const struct hidden_call_want want = {.cookie = id,
                                          .addr = b->addr,
                                          .x = f->target.keys[0].x,
                                          .k = f->target.keys[0].k,
                                          .points = f->target.point,
                                          .n_points = f->target.n_points,
                                          .seed = f->sc->work ? f->target.work.seed : NULL,
                                          .effort = f->target.work.effort};

    assert_true(f->called < CALLERS_MAX);
    f->began[id] = b->now;
    (void)!hidden_call(b->calls, &want, b->now, &b->acts); /* ELIMIT: one node has 64 at a time */
}

static uint32_t attackers_effort(const struct flood *f)
{
    uint64_t follow = (uint64_t)f->target.work.effort * f->sc->effort / 100;

    if (!f->sc->work) {
        return 0;
    }
    return f->sc->follow ? (follow < 128 ? 128 : (uint32_t)follow) : f->sc->effort;
}

/* One introduction of an attacker; what it costs all of them, in time. */
static uint64_t attack(struct flood *f)
{
    struct bed *b = f->b;
    uint32_t effort = attackers_effort(f);
    size_t ix = f->attacks++ % HIDDEN_POINTS;
    uint8_t handshake[REND_HS_LEN], ext[REND_WORK_EXT_LEN];
    struct rend_work work = {.effort = effort, .nonce = effort};
    uint64_t cost = (INTRODUCTION + effort * TRY) / ATTACKERS;
    uint64_t least = f->sc->rate > 0 ? (uint64_t)(1e9 / f->sc->rate) : 0;

    if (limiter_take(&f->relay[ix], 1, b->now)) {
        f->passed++;
        memcpy(work.seed_id, f->target.work.seed, sizeof work.seed_id);
        rend_work_put(ext, &work);
        make_with(b, &f->target, ix, 40, (struct slice){ext, effort > 0 ? sizeof ext : 0},
                  handshake);
        request(b, f->point[ix], handshake);
    }
    return cost > least ? cost : least;
}

/* The earliest event that has come by |now|; false: none. */
static bool next_event(struct flood *f, struct event *e)
{
    size_t first = 0;

    for (size_t i = 1; i < f->n_events; i++) {
        first = f->event[i].at < f->event[first].at ? i : first;
    }
    if (f->n_events == 0 || f->event[first].at > f->b->now) {
        return false;
    }
    *e = f->event[first];
    f->event[first] = f->event[--f->n_events];
    return true;
}

static void run(struct flood *f, unsigned seconds)
{
    struct bed *b = f->b;
    tstamp end = b->now + seconds * SECOND, next_call = b->now, next_attack = b->now;
    struct event e;

    for (; b->now < end; b->now += 2 * NS_PER_MS) {
        while (next_event(f, &e)) {
            happen(f, &e);
            answer(f);
        }
        for (; next_attack <= b->now; next_attack += attack(f)) {
            answer(f);
        }
        for (; next_call <= b->now; next_call += SECOND / CALLS_RATE) {
            call(f);
        }
        answer(f);
        if (hidden_calls_deadline(b->calls) <= b->now) {
            hidden_calls_tick(b->calls, b->now, &b->acts);
        }
        if (hidden_services_deadline(b->services) <= b->now) {
            hidden_services_tick(b->services, b->now, &b->sacts);
        }
        answer(f);
    }
}

static int by_time(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y ? 1 : 0;
}

/* The share of honest callers who got in, of those whose call is over. */
static double share_of(const struct scenario *sc, unsigned seconds)
{
    struct flood *f = calloc(1, sizeof *f);
    uint64_t ids[HIDDEN_SLOTS];

    assert_non_null(f);
    f->b = bed_new(77);
    f->sc = sc;
    f->honest = 200;
    struct bed *b = f->b;
    hidden_services_free(b->services);
    const struct hidden_services_config cfg = {
        .mem = &b->mem, .rng = b->rng, .clock = {.base = START, .at = 0}, .work_check = check};
    assert_int_equal(hidden_services_new(&b->services, &cfg), QUDAG_OK);
    f->target = have_service(b, ids);
    struct hidden_service *s = inside(b);
    for (size_t i = 0; i < HIDDEN_POINTS; i++) {
        f->point[i] = ids[i];
        limiter_init(&f->relay[i], REND_RATE_MAX, REND_BURST_MAX, b->now);
        s->slot[i].most = UINT32_MAX; /* points that wear out are another story */
    }
    run(f, seconds);
    double share = (double)f->met / (double)(f->met + f->ended);
    qsort(f->took, f->met, sizeof *f->took, by_time);
    print_message(
        "%-44s %4u of %4u in (%3.0f %%), median %4.1f s, 90 %% %4.1f s; asked %5u; passed "
        "%3.0f/s of %5.0f/s, full %u\n",
        sc->name, f->met, f->met + f->ended, 100 * share, f->met > 0 ? f->took[f->met / 2] : 0,
        f->met > 0 ? f->took[f->met * 9 / 10] : 0, stats_of(b, 1).effort,
        (double)f->passed / seconds, (double)f->attacks / seconds, f->full);
    assert_int_equal(f->offline, 0);
    bed_free(b);
    free(f);
    return share;
}

static const struct scenario scenarios[] = {
    {"no work at all, 500/s", 500, 0, false, false, false},
    {"work; attackers do none, 500/s", 500, 0, false, false, true},
    {"work; attackers prove 150, 500/s", 500, 150, false, false, true},
    {"work; attackers prove 600", 0, 600, false, false, true},
    {"work; attackers prove 2700, all that is met", 0, 2700, false, false, true},
    {"work; attackers prove what is asked", 0, 100, true, false, true},
    {"work; attackers prove twice that", 0, 200, true, false, true},
    {"work; attackers prove 2700, R hangs", 0, 2700, false, true, true},
    {"no work, points flooded beyond their rate", 0, 0, false, false, false},
    {"work, points flooded beyond their rate", 0, 0, false, false, true},
};

static void callers_get_in_beside_ten_attackers(void **state)
{
    const char *text = getenv("FLOOD_SECONDS");
    unsigned seconds = text != NULL ? (unsigned)strtoul(text, NULL, 10) : 25;
    bool all = getenv("FLOOD_ALL") != NULL;

    (void)state;
    double without = share_of(&scenarios[0], seconds), with = share_of(&scenarios[1], seconds);
    assert_true(without < 0.35);
    assert_true(with > 0.95);
    with = share_of(&scenarios[2], seconds);
    assert_true(with > 0.9);
    for (size_t i = 3; i < sizeof scenarios / sizeof *scenarios && all; i++) {
        (void)share_of(&scenarios[i], seconds);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(callers_get_in_beside_ten_attackers),
    };
    if (crypto_init() != QUDAG_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
