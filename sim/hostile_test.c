/* hostile_test.c - among hostile nodes honest requests succeed, and each kind of bad request is refused and counted. */
/* TEST: timeout=300 */
#include "sim/sim_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static const struct scenario hostile = {
    .name = "hostile",
    .nodes = 80,
    .bootstrap = 4,
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
    .get_every = 100 * NS_PER_MS,
    .find_every = NS_PER_S,
    .value_size = 100,
    .age_max = 600 * NS_PER_S,
    .until = 150 * NS_PER_S,
    .n_faults = 1,
    .fault = {{.kind = FAULT_HOSTILE, .at = 60 * NS_PER_S, .share = 200000, .chance = SIM_ALL}},
    .n_phases = 1,
    .phase = {{.name = "hostile", .from = 60 * NS_PER_S, .to = 140 * NS_PER_S}}};

/* What servers refuse of clients. */
static const enum kad_refusal served[] = {
    KAD_REFUSED_OVERSIZED,    KAD_REFUSED_MALFORMED,  KAD_REFUSED_UNKNOWN_TYPE,
    KAD_REFUSED_FIELD_SIZE,   KAD_REFUSED_NO_KEY,     KAD_REFUSED_RATE_PEER,
    KAD_REFUSED_RATE_NETWORK, KAD_REFUSED_RATE_STORE, KAD_REFUSED_QUOTA,
    KAD_REFUSED_NO_RECORD,    KAD_REFUSED_NAMESPACE,  KAD_REFUSED_OTHER_KEY,
    KAD_REFUSED_VALUE_SIZE,   KAD_REFUSED_INVALID,    KAD_REFUSED_EXPIRED,
    KAD_REFUSED_CLOCK,        KAD_REFUSED_STALE,      KAD_REFUSED_PROVIDER_OTHER,
    KAD_REFUSED_PROVIDER_ADDR};

/* What who asks refuses of answers. */
static const enum kad_refusal asked[] = {
    KAD_REFUSED_UNASKED,   KAD_REFUSED_OTHER_TYPE, KAD_REFUSED_PEER_MANY,  KAD_REFUSED_PEER_SELF,
    KAD_REFUSED_PEER_ADDR, KAD_REFUSED_PEER_CROWD, KAD_REFUSED_PEER_TWICE, KAD_REFUSED_PEER_ID};

static struct sim *run(const struct scenario *sc, uint64_t seed)
{
    struct sim_options opt = {.seed = seed};
    struct sim *s = sim_new(sc, &opt);

    (void)sim_run(s, TSTAMP_NEVER);
    return s;
}

static void honest_requests_succeed_and_bad_ones_are_refused_by_reason(void **state)
{
    (void)state;
    struct sim *s = run(&hostile, 1);
    const struct sim_report *r = sim_report(s);
    const struct sim_outcome *get = &r->phase[0].of[OP_GET], *put = &r->phase[0].of[OP_PUT];

    if (r->violations > 0) {
        fail_msg("%s", r->violation);
    }
    assert_true(get->asked > 500 && put->asked > 50);
    assert_true(get->right * 100 >= get->asked * 99);
    assert_true(put->right * 100 >= put->asked * 99);
    assert_int_equal(get->wrong, 0);
    for (size_t i = 0; i < ARRAY_LEN(served); i++) {
        if (r->refused[served[i]] == 0) {
            fail_msg("nothing was refused as %s", kad_refusal_name(served[i]));
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
        if (r->refused[asked[i]] == 0) {
            fail_msg("nothing was refused as %s", kad_refusal_name(asked[i]));
        }
    }
    assert_true(r->memory_max < hostile.memory_max);
    assert_int_equal(r->memory_refused, 0);
    sim_free(s);
}

static void without_hostile_nodes_nothing_is_refused(void **state)
{
    (void)state;
    struct scenario sc = hostile;
    sc.n_faults = 0;
    struct sim *s = run(&sc, 1);
    const struct sim_report *r = sim_report(s);

    for (size_t i = 0; i < ARRAY_LEN(served); i++) {
        if (r->refused[served[i]] != 0) {
            fail_msg("honest nodes were refused: %s", kad_refusal_text(served[i]));
        }
    }
    sim_free(s);
}

static void hostile_runs_repeat(void **state)
{
    (void)state;
    uint8_t first[BLAKE3_LEN];
    struct scenario sc = hostile;
    sc.nodes = 30;
    sc.until = 90 * NS_PER_S;
    sc.phase[0].to = sc.until;
    struct sim *s = run(&sc, 7);
    memcpy(first, sim_report(s)->hash, BLAKE3_LEN);
    sim_free(s);
    s = run(&sc, 7);
    assert_memory_equal(sim_report(s)->hash, first, BLAKE3_LEN);
    sim_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(honest_requests_succeed_and_bad_ones_are_refused_by_reason),
        cmocka_unit_test(without_hostile_nodes_nothing_is_refused),
        cmocka_unit_test(hostile_runs_repeat),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
