/* cover_test.c - cover lookups: when, of what, and what who plants an index or counts lookups learns from them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/dark/testkit_case.h"

#include <math.h>

#define RATE 60
#define SEEN_KEYS 4096

struct watch {
    uint8_t key[SEEN_KEYS][DARK_KEY_LEN]; /* looked up, in this order */
    struct peer_id apart[SEEN_KEYS];
    tstamp at[SEEN_KEYS];
    size_t n;
    uint32_t told;  /* indexes so far */
    uint32_t exits; /* how many relays tell them, in turn */
    uint8_t mark;   /* nonzero: every index that the first relay tells begins with it */
};

static struct watch *watch_of(struct world *w)
{
    return w->ctx;
}

static struct peer_id relay(uint32_t n)
{
    uint8_t pk[32] = {77, (uint8_t)n, (uint8_t)(n >> 8)};
    struct peer_id id;

    peer_id_from_ed25519(&id, pk);
    return id;
}

/* The |told|-th index, by one relay after the other. */
static void tell_index(struct world *w, uint8_t index[DHT_DARK_INDEX_LEN], struct peer_id *exit)
{
    struct watch *s = watch_of(w);
    uint32_t n = s->told++;

    memset(index, 0, DHT_DARK_INDEX_LEN);
    index[0] = s->mark != 0 && n % s->exits == 0 ? s->mark : 1;
    index[1] = (uint8_t)n;
    index[2] = (uint8_t)(n >> 8);
    *exit = relay(n % s->exits);
}

static void note_asked(struct world *w, const struct dark_wanted *wanted)
{
    struct watch *s = watch_of(w);

    assert_true(s->n < SEEN_KEYS);
    memcpy(s->key[s->n], wanted->key.base, DARK_KEY_LEN);
    s->apart[s->n] = wanted->apart;
    s->at[s->n++] = w->now;
}

/* A client that makes |rate| cover lookups an hour, told of indexes by |exits| relays. */
static struct world *world_covered(uint32_t rate, uint32_t exits)
{
    struct world *w = world_new();
    struct watch *s = calloc(1, sizeof *s);
    struct dark_config cfg = {.mem = &w->mem,
                              .rng = w->rng,
                              .clock = {.base = START},
                              .network = DARK_NET_LAB,
                              .cover_per_hour = rate};

    assert_non_null(s);
    publish_all(w);
    dark_free(w->cli);
    assert_int_equal(dark_new(&w->cli, &cfg), QUDAG_OK);
    s->exits = exits;
    w->ctx = s;
    w->sample = tell_index;
    w->asked = note_asked;
    return w;
}

static void world_end(struct world *w)
{
    free(w->ctx);
    world_free(w);
}

static void waits_are_memoryless(void **state)
{
    struct world *w = world_new();
    unsigned longer = 0, much_longer = 0;
    double sum = 0;

    (void)state;
    for (int i = 0; i < 4000; i++) { /* 12 an hour: 300 s */
        double s = (double)dark_cover_wait(12, &w->rng) / 1e9;
        sum += s;
        longer += s > 300 ? 1 : 0;
        much_longer += s > 600 ? 1 : 0;
    }
    assert_true(fabs(sum / 4000 - 300) < 4.5 * 300 / sqrt(4000));
    assert_true(fabs(longer / 4000.0 - 0.368) < 0.035); /* 1/e, and of these again */
    assert_true(fabs((double)much_longer / longer - 0.368) < 0.06);
    assert_true(dark_cover_wait(0, &w->rng) >= 24 * HOUR); /* it ends */
    world_free(w);
}

static void none_are_made_unless_asked_for(void **state)
{
    struct world *w = world_covered(0, 5);

    (void)state;
    assert_int_equal(dark_deadline(w->cli), TSTAMP_NEVER);
    run_to(w, w->now + 20 * HOUR);
    assert_int_equal(w->samples + watch_of(w)->n, 0);
    world_end(w);
}

/* What is paid for is what was asked for: both questions count. */
static void there_are_as_many_as_the_rate_says(void **state)
{
    struct world *w = world_covered(RATE, 16);

    (void)state;
    unsigned before = w->samples;
    run_to(w, w->now + 50 * HOUR);
    double made = (double)(w->samples - before) + (double)watch_of(w)->n;
    assert_true(fabs(made - 50 * RATE) < 4.5 * sqrt(50 * RATE));
    assert_true(watch_of(w)->n > 50 * RATE * 2 / 5);
    world_end(w);
}

static void a_rate_beyond_the_limit_is_the_limit(void **state)
{
    struct world *w = world_covered(100000, 16);

    (void)state;
    run_to(w, w->now + 10 * HOUR);
    double made = (double)w->samples + (double)watch_of(w)->n;
    assert_true(fabs(made - 10 * DARK_COVER_MAX) < 4.5 * sqrt(10 * DARK_COVER_MAX));
    world_end(w);
}

/* Each of another relay's, once, after two others, never through the relay that told it. */
static void an_index_is_used_once_and_away_from_who_told_it(void **state)
{
    struct world *w = world_covered(RATE, 16);
    struct watch *s = watch_of(w);

    (void)state;
    while (s->n == 0) {
        run_to(w, dark_deadline(w->cli));
    }
    assert_true(w->samples >= DARK_POOL_MIN);
    run_to(w, w->now + 20 * HOUR);
    assert_true(s->n > 100);
    for (size_t i = 0; i < s->n; i++) {
        const uint8_t *index = s->key[i] + sizeof(DHT_DARK_PREFIX) - 1;
        struct peer_id by = relay(((uint32_t)index[2] << 8 | index[1]) % 16);
        assert_true(peer_id_eq(&s->apart[i], &by));
        for (size_t k = 0; k < i; k++) {
            assert_memory_not_equal(s->key[i], s->key[k], DARK_KEY_LEN);
        }
    }
    world_end(w);
}

/* The attack: what a node is sent by one who asks it, or by one relay again and again, marks its lookups. */
static void an_index_planted_by_one_is_never_looked_up(void **state)
{
    struct world *w = world_covered(RATE, 1);

    (void)state;
    run_to(w, w->now + 50 * HOUR);
    assert_true(w->samples > 1000);
    assert_int_equal(watch_of(w)->n, 0);
    world_end(w);
}

static void what_may_wait_is_decided_by_who_told_it_and_what_was_used(void **state)
{
    static struct dark_cover c;
    struct dark_sample s = {.key = {1}, .from = relay(1)};

    (void)state;
    assert_true(dark_cover_takes(&c, &s));
    s.from.len = 0; /* nobody */
    assert_false(dark_cover_takes(&c, &s));
    s.from = relay(1);
    c.pool[c.n++] = (struct dark_sample){.key = {2}, .from = relay(1)};
    assert_false(dark_cover_takes(&c, &s)); /* two of one relay */
    s.from = relay(2);
    assert_true(dark_cover_takes(&c, &s));
    s.key[0] = 2; /* one that waits already */
    assert_false(dark_cover_takes(&c, &s));
    s.key[0] = 3;
    c.used[0][0] = 3; /* looked up before */
    c.n_used = 1;
    assert_false(dark_cover_takes(&c, &s));
    s.key[0] = 4;
    assert_true(dark_cover_takes(&c, &s));
    c.n = DARK_POOL_MAX;
    assert_false(dark_cover_takes(&c, &s));
}

static void what_waits_too_long_is_not_looked_up(void **state)
{
    struct world *w = world_covered(RATE, 3);
    struct watch *s = watch_of(w);

    (void)state;
    while (w->samples < 3) {
        run_to(w, dark_deadline(w->cli));
    }
    size_t before = s->n;
    w->now += DARK_POOL_LIFE + NS_PER_S; /* it slept */
    dark_tick(w->cli, w->now, &w->acts);
    settle(w, w->cli);
    assert_int_equal(s->n, before);
    assert_int_equal(w->samples, 4);
    world_end(w);
}

static void what_is_no_index_is_not_taken(void **state)
{
    struct world *w = world_covered(RATE, 16);
    uint8_t wrong[DHT_DARK_INDEX_LEN + 1] = {1};

    (void)state;
    w->silent = true;
    for (int i = 0; i < 20; i++) {
        w->now = dark_deadline(w->cli);
        dark_tick(w->cli, w->now, &w->acts);
        struct dark_answer ans = {.cookie = w->cli->cover.cookie,
                                  .record = {wrong, i % 2 == 0 ? sizeof wrong : 0},
                                  .exit = relay((uint32_t)i)};
        settle(w, w->cli);
        dark_get_done(w->cli, &ans, w->now, &w->acts);
        assert_int_equal(w->cli->cover.n, 0);
    }
    world_end(w);
}

/*
 * The attack: the storer of a marked index that does wait here, or who counts all cover lookups, wants to know when
 * this node is active.  Hours in which its user looks addresses up all the time are as any other.
 */
static void lookups_do_not_move_the_clock(void **state)
{
    struct world *w = world_covered(RATE, 16);
    struct watch *s = watch_of(w);
    double busy = 0, idle = 0, marked_busy = 0, marked_idle = 0;

    (void)state;
    s->mark = 99;
    for (int hour = 0; hour < 120; hour++) {
        tstamp end = w->now + HOUR;
        unsigned samples = w->samples;
        size_t from = s->n = 0;
        while (hour % 2 == 0 && w->now < end) {
            w->n_up = 0;
            (void)resolve(w);
            dark_target_failed(w->cli, &w->addr, 0);
            run_to(w, w->now + 120 * NS_PER_S);
        }
        run_to(w, end);
        double made = w->samples - samples, marked = 0;
        for (size_t i = from; i < s->n; i++) {
            const uint8_t *index = s->key[i] + sizeof(DHT_DARK_PREFIX) - 1;
            made += (index[0] == 1 || index[0] == 99) && index[3] == 0 && index[4] == 0 ? 1 : 0;
            marked += index[0] == 99 && index[3] == 0 && index[4] == 0 ? 1 : 0;
        }
        *(hour % 2 == 0 ? &busy : &idle) += made;
        *(hour % 2 == 0 ? &marked_busy : &marked_idle) += marked;
    }
    print_message(
        "cover lookups in busy hours %.0f, in idle ones %.0f; of marked indexes %.0f and %.0f\n",
        busy, idle, marked_busy, marked_idle);
    assert_true(fabs(busy - idle) < 4.5 * sqrt(busy + idle));
    assert_true(marked_busy > 0 && marked_idle > 0);
    assert_true(fabs(marked_busy - marked_idle) < 4.5 * sqrt(marked_busy + marked_idle));
    world_end(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_are_memoryless),
        cmocka_unit_test(none_are_made_unless_asked_for),
        cmocka_unit_test(there_are_as_many_as_the_rate_says),
        cmocka_unit_test(a_rate_beyond_the_limit_is_the_limit),
        cmocka_unit_test(an_index_is_used_once_and_away_from_who_told_it),
        cmocka_unit_test(an_index_planted_by_one_is_never_looked_up),
        cmocka_unit_test(what_may_wait_is_decided_by_who_told_it_and_what_was_used),
        cmocka_unit_test(what_waits_too_long_is_not_looked_up),
        cmocka_unit_test(what_is_no_index_is_not_taken),
        cmocka_unit_test(lookups_do_not_move_the_clock),
    };
    if (crypto_init() != QUDAG_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
