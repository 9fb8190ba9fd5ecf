/* warm_test.c - settled networks, nodes asleep, attacks around places: that they are what they say. */
/* TEST: timeout=300 */
#include "sim/sim_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const struct scenario base = {.name = "test",
                                     .nodes = 3000,
                                     .bootstrap = 3,
                                     .contacts = 2,
                                     .start = START_WARM,
                                     .awake = 10000,
                                     .memory_max = 1048576,
                                     .rtt = 80 * NS_PER_MS,
                                     .spread = 500,
                                     .jitter = 50000,
                                     .idle = 60 * NS_PER_S,
                                     .dial_timeout = 10 * NS_PER_S,
                                     .work_from = NS_PER_S,
                                     .put_every = NS_PER_S,
                                     .get_every = 100 * NS_PER_MS,
                                     .find_every = 100 * NS_PER_MS,
                                     .value_size = 100,
                                     .age_max = 600 * NS_PER_S,
                                     .until = 30 * NS_PER_S,
                                     .n_phases = 1,
                                     .phase = {{.name = "all", .to = 30 * NS_PER_S}}};

static struct sim *begin(const struct scenario *sc, uint64_t seed)
{
    struct sim_options opt = {.seed = seed};

    return sim_new(sc, &opt);
}

static void the_index_names_the_nearest_as_a_look_at_all_does(void **state)
{
    (void)state;
    struct scenario sc = base;
    uint32_t fast[30], slow[30];

    sc.nat = 100000;
    sc.dead = 200000;
    struct sim *s = begin(&sc, 1);
    for (uint64_t i = 0; i < 500; i++) {
        uint64_t target = dice_fixed(&s->dice, i, 7);
        uint32_t asker = (uint32_t)i % s->n;
        size_t max = 1 + (size_t)i % 30;
        s->servers.stale = false;
        size_t n = sim_nearest(s, asker, target, max, fast);
        s->servers.stale = true;
        assert_int_equal(n, sim_nearest(s, asker, target, max, slow));
        assert_int_equal(n, max);
        assert_memory_equal(fast, slow, n * sizeof(fast[0]));
    }
    sim_free(s);
}

static unsigned cpl(uint64_t a, uint64_t b)
{
    unsigned n = 0;

    while (n < 64 && (a ^ b) >> (63 - n) == 0) {
        n++;
    }
    return n;
}

static void a_warm_table_holds_twenty_of_each_bucket_or_all(void **state)
{
    (void)state;
    struct sim *s = begin(&base, 2);

    for (uint32_t node = 0; node < s->n; node += 7) {
        unsigned there[65] = {0}, known[65] = {0};
        struct kad_peer_info info;
        uint32_t other;
        for (uint32_t i = 0; i < s->n; i++) {
            there[cpl(s->prefix[i], s->prefix[node])] += i != node;
        }
        for (size_t it = 0; kad_table_next(s->node[node].kad, &it, &info);) {
            assert_true(host_by_id(s, &info.id, &other));
            known[cpl(s->prefix[other], s->prefix[node])]++;
        }
        for (unsigned b = 0; b < 64; b++) {
            assert_int_equal(known[b], there[b] < KAD_K ? there[b] : KAD_K);
        }
    }
    sim_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_index_names_the_nearest_as_a_look_at_all_does),
        cmocka_unit_test(a_warm_table_holds_twenty_of_each_bucket_or_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
