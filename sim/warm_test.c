/* warm_test.c - settled networks, nodes asleep, attacks around targets: that they are what they say. */
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
                                     .dial_trips = 1,
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

/* ---- asleep ---- */

static size_t table_of(struct sim *s, uint32_t node, uint32_t *out)
{
    struct kad_peer_info info;
    size_t n = 0;

    for (size_t it = 0; n < 500 && kad_table_next(s->node[node].kad, &it, &info); n++) {
        assert_true(host_by_id(s, &info.id, &out[n]));
    }
    return n;
}

static void a_node_that_wakes_again_has_the_table_it_had(void **state)
{
    (void)state;
    static uint32_t before[500], after[500];
    struct scenario sc = base;

    sc.fixed = 1;
    sc.awake = 1;
    struct sim *s = begin(&sc, 3);
    assert_int_equal(s->online, sc.nodes);
    assert_int_equal(s->awake, 0);
    warm_wake(s, 5);
    size_t n = table_of(s, 5, before);
    assert_true(n > 100);
    warm_wake(s, 6);
    assert_int_equal(s->awake, 1);
    assert_null(s->node[5].kad);
    assert_true(s->node[5].asleep);
    assert_int_equal(s->node[5].mem.used, 0);
    warm_wake(s, 5);
    assert_int_equal(table_of(s, 5, after), n);
    assert_memory_equal(before, after, n * sizeof(before[0]));
    assert_int_equal(s->report.wakes, 3);
    assert_int_equal(s->report.violations, 0);
    sim_free(s);
}

static void nodes_wake_to_answer_and_few_stay_awake(void **state)
{
    (void)state;
    struct scenario sc = base;
    uint8_t hash[2][BLAKE3_LEN];

    sc.fixed = 1;
    sc.awake = 200;
    sc.put_every = 0;
    for (unsigned i = 0; i < 2; i++) {
        struct sim *s = begin(&sc, 4);
        assert_false(sim_run(s, TSTAMP_NEVER));
        const struct sim_report *r = sim_report(s);
        assert_int_equal(r->violations, 0);
        assert_true(r->wakes > sc.nodes); /* so many slept between */
        assert_true(s->awake <= 300);
        assert_int_equal(r->cores, s->awake);
        assert_int_equal(r->online, sc.nodes);
        assert_true(r->phase[0].of[OP_FIND].right > 200);
        /* who has just woken does not know how long others take */
        assert_true(r->phase[0].of[OP_FIND].wrong * 30 < r->phase[0].of[OP_FIND].right);
        memcpy(hash[i], r->hash, BLAKE3_LEN);
        sim_free(s);
    }
    assert_memory_equal(hash[0], hash[1], BLAKE3_LEN);
}

static void a_node_that_holds_a_value_does_not_sleep(void **state)
{
    (void)state;
    struct scenario sc = base;

    sc.fixed = 1;
    sc.awake = 100;
    sc.put_every = 200 * NS_PER_MS;
    struct sim *s = begin(&sc, 5);
    assert_false(sim_run(s, TSTAMP_NEVER));
    const struct sim_report *r = sim_report(s);
    assert_int_equal(r->violations, 0);
    assert_true(r->phase[0].of[OP_PUT].right > 50);
    assert_true(r->phase[0].of[OP_GET].right > 100);
    assert_int_equal(r->phase[0].of[OP_GET].wrong, 0);
    assert_true(s->awake > 500);
    sim_free(s);
}

/* ---- attacks ---- */

static struct scenario attack(uint64_t spread)
{
    struct scenario sc = base;

    sc.nodes = 500;
    sc.fixed = 1;
    sc.attacked = SIM_ALL / 2;
    sc.put_every = 200 * NS_PER_MS;
    sc.n_faults = 1;
    sc.fault[0] = (struct sim_fault){.kind = FAULT_SYBIL,
                                     .chance = SIM_ALL,
                                     .keys = 4,
                                     .per_key = 10,
                                     .spread = spread,
                                     .networks = 7};
    return sc;
}

static void sybils_and_attacked_keys_have_the_prefix_of_their_target(void **state)
{
    (void)state;
    for (uint64_t spread = 0; spread < 2; spread++) {
        struct scenario sc = attack(spread);
        struct sim *s = begin(&sc, 6);
        const struct attack *a = &s->attack;
        size_t nets = 0;
        uint8_t hash[SHA256_LEN], seen[7][4];
        assert_int_equal(a->n, 40);
        assert_int_equal(a->bits, spread == 0 ? 14 : 3);
        for (uint32_t i = a->first; i < a->first + a->n; i++) {
            size_t p = 0;
            uint8_t ip[4];
            sha256(hash, peer_id_slice(&s->node[i].id));
            assert_int_equal(hash[0], s->prefix[i] >> 56);
            assert_int_equal(hash[7], s->prefix[i] & 0xff);
            while (p < a->n_targets && cpl(a->target[p], s->prefix[i]) < a->bits) {
                p++;
            }
            assert_true(p < a->n_targets);
            assert_true(s->node[i].colluding && s->node[i].asleep);
            assert_true(attack_addr(s, i, ip));
            if (i - a->first < 7) {
                memcpy(seen[nets++], ip, 4);
            }
            assert_memory_equal(ip, seen[(i - a->first) % 7], 3);
        }
        assert_memory_not_equal(seen[0], seen[1], 3);
        assert_true(a->items > 50);
        for (size_t i = 0; i < a->items; i++) {
            size_t p = 0;
            while (p < a->n_targets && cpl(a->target[p], work_target(a->item[i])) < 14) {
                p++;
            }
            assert_true(p < a->n_targets);
        }
        sim_free(s);
    }
}

static void a_put_that_no_honest_node_holds_is_lost(void **state)
{
    (void)state;
    struct scenario sc = attack(1);
    struct sim *s = begin(&sc, 7);

    sc.attacked = 0;
    assert_false(sim_run(s, TSTAMP_NEVER));
    struct sim_outcome *put = &s->report.phase[0].of[OP_PUT];
    uint64_t right = put->right, cookie = 0;
    assert_true(right > 10);
    for (size_t i = 0; i < s->work.n && cookie == 0; i++) {
        cookie = s->work.request[i].op == OP_PUT && !s->work.request[i].open ? i + 1 : 0;
    }
    work_verify(s, cookie);
    assert_int_equal(put->right, right);
    s->work.request[cookie - 1].item = 1000000; /* nobody ever stored that */
    work_verify(s, cookie);
    assert_int_equal(put->right, right - 1);
    assert_int_equal(put->wrong, 1);
    sim_free(s);
}

static void sybils_may_come_later_and_go_again(void **state)
{
    (void)state;
    struct scenario sc = attack(0);

    sc.fixed = 0;
    sc.nodes = 100;
    sc.until = 60 * NS_PER_S;
    sc.fault[0].at = 10 * NS_PER_S;
    sc.fault[0].lasts = 30 * NS_PER_S;
    sc.fault[0].over = 5 * NS_PER_S;
    struct sim *s = begin(&sc, 8);
    assert_int_equal(s->online, 100);
    (void)sim_run(s, 20 * NS_PER_S);
    assert_int_equal(s->online, 140);
    assert_false(sim_run(s, TSTAMP_NEVER));
    assert_int_equal(s->online, 100);
    assert_int_equal(sim_report(s)->violations, 0);
    sim_free(s);
}

/* ---- clocks ---- */

static void clocks_are_off_and_values_with_a_life_notice(void **state)
{
    (void)state;
    struct scenario sc = base;
    uint8_t value[100];
    unsigned fast = 0, slow = 0;
    static const uint8_t key[] = "/sim/0123456789abcdef";
    const struct slice k = {key, sizeof(key) - 1}, v = {value, sizeof(value)};

    sc.nodes = 400;
    sc.value_life = 600 * NS_PER_S;
    sc.n_faults = 1;
    sc.fault[0] = (struct sim_fault){
        .kind = FAULT_CLOCK_SKEW, .chance = SIM_ALL, .share = SIM_ALL / 2, .delay = 100 * NS_PER_S};
    struct sim *s = begin(&sc, 9);
    for (uint32_t i = 0; i < s->n; i++) {
        fast += s->node[i].skew == 100;
        slow += s->node[i].skew == -100;
    }
    assert_in_range(fast, 60, 140);
    assert_in_range(slow, 60, 140);
    struct kad_validator val = sim_validator(s);
    walltime expires = INT64_MAX;
    sim_value(s, k, 5000, value, sizeof(value));
    assert_int_equal(val.check(s, k, v, 5000, &expires), QUDAG_OK);
    assert_int_equal(expires, 5600);
    assert_int_equal(val.check(s, k, v, 4399, &expires), QUDAG_EMALFORMED);
    value[0]++; /* made a second later, says who cannot sign */
    assert_int_equal(val.check(s, k, v, 5000, &expires), QUDAG_EAUTH);
    assert_false(sim_run(s, TSTAMP_NEVER));
    assert_int_equal(sim_report(s)->violations, 0);
    sim_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_index_names_the_nearest_as_a_look_at_all_does),
        cmocka_unit_test(a_warm_table_holds_twenty_of_each_bucket_or_all),
        cmocka_unit_test(a_node_that_wakes_again_has_the_table_it_had),
        cmocka_unit_test(nodes_wake_to_answer_and_few_stay_awake),
        cmocka_unit_test(a_node_that_holds_a_value_does_not_sleep),
        cmocka_unit_test(sybils_and_attacked_keys_have_the_prefix_of_their_target),
        cmocka_unit_test(a_put_that_no_honest_node_holds_is_lost),
        cmocka_unit_test(sybils_may_come_later_and_go_again),
        cmocka_unit_test(clocks_are_off_and_values_with_a_life_notice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
