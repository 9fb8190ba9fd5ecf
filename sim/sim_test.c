/* sim_test.c - whole runs, small ones: one seed one outcome, and that the checks see what they are for. */
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
                                     .nodes = 40,
                                     .bootstrap = 3,
                                     .contacts = 2,
                                     .join_over = 20 * NS_PER_S,
                                     .memory_max = 1048576,
                                     .rtt = 80 * NS_PER_MS,
                                     .spread = 500,
                                     .jitter = 50000,
                                     .idle = 60 * NS_PER_S,
                                     .dial_timeout = 10 * NS_PER_S,
                                     .work_from = 40 * NS_PER_S,
                                     .put_every = NS_PER_S,
                                     .get_every = 200 * NS_PER_MS,
                                     .find_every = 200 * NS_PER_MS,
                                     .value_size = 100,
                                     .age_max = 600 * NS_PER_S,
                                     .until = 120 * NS_PER_S,
                                     .n_phases = 1,
                                     .phase = {{.name = "all", .to = 110 * NS_PER_S}}};

static struct sim *run(const struct scenario *sc, uint64_t seed)
{
    struct sim_options opt = {.seed = seed};
    struct sim *s = sim_new(sc, &opt);

    while (sim_run(s, sim_now(s) + 7 * NS_PER_S)) {
    }
    return s;
}

/* Runs, wants no violation, keeps the hash. */
static void hash_of(const struct scenario *sc, uint64_t seed, uint8_t out[BLAKE3_LEN])
{
    struct sim *s = run(sc, seed);
    const struct sim_report *r = sim_report(s);

    if (r->violations > 0) {
        fail_msg("seed %u: %s", (unsigned)seed, r->violation);
    }
    memcpy(out, r->hash, BLAKE3_LEN);
    sim_free(s);
}

static void one_seed_gives_one_log_and_another_seed_another(void **state)
{
    (void)state;
    static const struct sim_fault faults[] = {
        {.kind = FAULT_CHURN, .at = 50 * NS_PER_S, .median = 60 * NS_PER_S, .away = NS_PER_S},
        {.kind = FAULT_KILL, .at = 60 * NS_PER_S, .share = 500000},
        {.kind = FAULT_PARTITION, .at = 50 * NS_PER_S, .lasts = 30 * NS_PER_S, .share = 400000},
        {.kind = FAULT_LOSS, .at = 50 * NS_PER_S, .share = 100000},
        {.kind = FAULT_SLOW, .at = 50 * NS_PER_S, .share = 300000, .delay = NS_PER_S},
        {.kind = FAULT_COLLUDE, .at = 50 * NS_PER_S, .lasts = 30 * NS_PER_S, .share = 300000},
        {.kind = FAULT_STORM, .at = 50 * NS_PER_S, .share = 1000000, .over = 5 * NS_PER_S},
    };
    uint8_t quiet[BLAKE3_LEN], a[BLAKE3_LEN], b[BLAKE3_LEN];

    hash_of(&base, 2, a);
    hash_of(&base, 1, quiet);
    assert_memory_not_equal(a, quiet, BLAKE3_LEN);
    for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
        struct scenario sc = base;
        sc.nodes = 25;
        sc.until = 100 * NS_PER_S;
        sc.phase[0].to = sc.until;
        sc.fault[0] = faults[i];
        sc.fault[0].chance = SIM_ALL;
        sc.n_faults = 1;
        sc.uplink = i % 2 == 0 ? 0 : 1048576;
        sc.nat = i % 3 == 0 ? 200000 : 0;
        hash_of(&sc, 1, a);
        hash_of(&sc, 1, b);
        assert_memory_equal(a, b, BLAKE3_LEN);
        assert_memory_not_equal(a, quiet, BLAKE3_LEN);
    }
}

static void a_quiet_network_answers_everything_rightly(void **state)
{
    (void)state;
    struct sim *s = run(&base, 5);
    const struct sim_report *r = sim_report(s);
    const struct sim_phase_report *p = &r->phase[0];

    assert_int_equal(r->violations, 0);
    assert_int_equal(r->online, 40);
    for (size_t k = 0; k <= OP_JOIN; k++) {
        assert_true(p->of[k].asked >= 40);
        /* the very first node has nobody to join */
        assert_int_equal(p->of[k].right, p->of[k].asked - (k == OP_JOIN ? 1 : 0));
        assert_int_equal(p->of[k].took.n, p->of[k].right);
    }
    assert_true(sim_quantile(&p->of[OP_GET].took, 900) > 0); /* many hold it themselves */
    assert_true(p->node_ns > 80 * 40 * NS_PER_S && p->node_ns < 120 * 40 * NS_PER_S);
    assert_int_equal(r->table_dead, 0);
    assert_true(r->table_sum >= 40 * 30);
    sim_free(s);
}

static void a_run_in_steps_is_the_run_at_once(void **state)
{
    (void)state;
    struct sim_options opt = {.seed = 9};
    struct sim *a = run(&base, 9), *b = sim_new(&base, &opt);

    assert_false(sim_run(b, TSTAMP_NEVER));
    assert_memory_equal(sim_report(a)->hash, sim_report(b)->hash, BLAKE3_LEN);
    sim_free(a);
    sim_free(b);
}

static void faults_end_and_the_network_settles(void **state)
{
    (void)state;
    struct scenario sc = base;

    sc.until = 400 * NS_PER_S;
    sc.quiet_at = 150 * NS_PER_S;
    sc.settle = 150 * NS_PER_S;
    sc.n_faults = 3;
    sc.fault[0] = (struct sim_fault){.kind = FAULT_CHURN,
                                     .chance = SIM_ALL,
                                     .at = 50 * NS_PER_S,
                                     .median = 120 * NS_PER_S,
                                     .away = 10 * NS_PER_S};
    sc.fault[1] = (struct sim_fault){
        .kind = FAULT_LOSS, .chance = SIM_ALL, .at = 60 * NS_PER_S, .share = 50000};
    sc.fault[2] = (struct sim_fault){
        .kind = FAULT_KILL, .chance = SIM_ALL, .at = 160 * NS_PER_S, .share = SIM_ALL};
    struct sim *s = run(&sc, 4);
    const struct sim_report *r = sim_report(s);
    assert_int_equal(r->violations, 0);
    assert_int_equal(r->faults, 3); /* what would begin after the silence does not */
    assert_int_equal(s->net.loss, 0);
    assert_string_equal(r->phase[1].name, "settled");
    assert_true(r->phase[1].of[OP_FIND].asked > 100);
    assert_true(sim_rate(&r->phase[1].of[OP_FIND]).ppm >= 990000);
    sim_free(s);
}

static void short_memory_is_survived(void **state)
{
    (void)state;
    struct scenario sc = base;

    sc.memory_max = 49152;
    struct sim *s = run(&sc, 6);
    const struct sim_report *r = sim_report(s);
    assert_int_equal(r->violations, 0);
    assert_true(r->memory_refused > 0);
    assert_true(r->memory_max <= 49152);
    sim_free(s);
}

/* ---- the checks themselves ---- */

static void a_second_answer_is_seen(void **state)
{
    (void)state;
    struct sim *s = run(&base, 1);
    struct kad_result res = {.op = KAD_OP_FIND};
    struct act a = {.type = ACT_UP, .kind = KAD_UP_DONE, .cookie = 1, .ptr = &res};

    assert_int_equal(s->report.violations, 0);
    work_done(s, s->work.request[0].node, &a);
    assert_int_equal(s->report.violations, 1);
    assert_string_equal(s->report.violation, "a request answered twice");
    a.cookie = s->work.n + 1;
    work_done(s, 0, &a);
    a.cookie = 1;
    work_done(s, 39, &a);
    assert_int_equal(s->report.violations, 3);
    assert_false(sim_passed(&s->report));
    sim_free(s);
}

static void a_missing_answer_is_seen(void **state)
{
    (void)state;
    struct sim *s = run(&base, 1);

    s->work.oldest = 0;
    s->work.request[0].open = true; /* begun in the first second */
    work_late(s);
    assert_string_equal(s->report.violation, "a request was not answered in time");
    sim_free(s);
}

static void memory_beyond_the_cap_and_bad_records_are_seen(void **state)
{
    (void)state;
    struct sim *s = run(&base, 1);

    s->value_key[0]++; /* now every record is a forged one */
    check_all(s);
    assert_string_equal(s->report.violation, "a stored record is refused by its validator");
    s->value_key[0]--;
    s->report.violations = 0;
    s->node[5].mem.max = 1;
    check_all(s);
    assert_string_equal(s->report.violation, "a core exceeded its memory limit");
    s->report.violations = 0;
    s->node[5].mem.max = 0;
    s->node[7].nat = true; /* a client, and yet in tables */
    check_all(s);
    assert_string_equal(s->report.violation, "a routing table contains a client");
    sim_free(s);
}

static void too_many_actions_at_once_are_seen(void **state)
{
    (void)state;
    struct sim *s = run(&base, 1);
    struct acts a = {.n = ACTS_ROOM + 1};

    check_acts(s, 3, &a);
    assert_int_equal(s->report.violation_node, 3);
    assert_string_equal(s->report.violation, "a core produced more actions at once than allowed");
    sim_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_seed_gives_one_log_and_another_seed_another),
        cmocka_unit_test(a_quiet_network_answers_everything_rightly),
        cmocka_unit_test(a_run_in_steps_is_the_run_at_once),
        cmocka_unit_test(faults_end_and_the_network_settles),
        cmocka_unit_test(short_memory_is_survived),
        cmocka_unit_test(a_second_answer_is_seen),
        cmocka_unit_test(a_missing_answer_is_seen),
        cmocka_unit_test(memory_beyond_the_cap_and_bad_records_are_seen),
        cmocka_unit_test(too_many_actions_at_once_are_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
