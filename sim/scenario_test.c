/* scenario_test.c - scenario files: what is read, and that nothing else is. */
#include "sim/scenario.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static qudag_err parse(const char *text, struct scenario *sc, struct scenario_error *e)
{
    *e = (struct scenario_error){.line = 0};
    return scenario_parse(sc, (struct slice){(const uint8_t *)text, strlen(text)}, e);
}

static void every_key_is_read_with_its_unit(void **state)
{
    (void)state;
    struct scenario sc;
    struct scenario_error e;
    static const char text[] =
        "# a comment\n"
        "[network]\nnodes = 500\nbootstrap=5\ncontacts = 2 # and another\njoin_over = 1.5 min\n"
        "nat = 12.5 %\nmemory_max = 64 KiB\nstart = warm\nawake = 300\ndead = 10 %\nrecords = "
        "50\n\n"
        "  [links]  \r\nrtt = 80ms\nspread = 0.5\njitter = 5 %\nloss = 0.01 %\nuplink = 1 MiB\n"
        "idle = 30 s\ndial_timeout = 5 s\nstanding = yes\n"
        "[work]\nfrom = 1 min\nput_every = 100 ms\nget_every = 10 ms\nfind_every = 250 us\n"
        "value_size = 1 KiB\nage_max = 0.5 h\nread = paths\nmasked = yes\nattacked = 40 "
        "%\nvalue_life = 2 h\n"
        "[run]\nuntil = 1 h\nquiet_at = 30 min\nsettle = 5 min\n"
        "[fault]\nkind = churn\nat = 10 min\nfor = 5 min\nmedian = 10 min\naway = 1 min\nchance = "
        "50 %\n"
        "[fault]\nkind = storm\nat = 20 min\nshare = 200 %\nover = 10 s\n"
        "[fault]\nkind = sybil\nkeys = 3\nbits = 12\nspread = yes\nnetworks = 23\n"
        "[phase]\nname = one\nput_attacked_min = 1 %\nget_attacked_min = 2 %\nfrom = 1 min\nto = 2 "
        "min\nget_min = 99.9 %";

    assert_int_equal(parse(text, &sc, &e), QUDAG_OK);
    assert_int_equal(sc.nodes, 500);
    assert_int_equal(sc.join_over, 90 * NS_PER_S);
    assert_int_equal(sc.nat, 125000);
    assert_int_equal(sc.memory_max, 65536);
    assert_int_equal(sc.rtt, 80 * NS_PER_MS);
    assert_int_equal(sc.spread, 500);
    assert_int_equal(sc.loss, 100);
    assert_int_equal(sc.uplink, 1048576);
    assert_int_equal(sc.find_every, 250 * NS_PER_US);
    assert_int_equal(sc.age_max, 1800 * NS_PER_S);
    assert_int_equal(sc.quiet_at, 1800 * NS_PER_S);
    assert_int_equal(sc.start, START_WARM);
    assert_int_equal(sc.fixed, 0);
    assert_int_equal(sc.awake, 300);
    assert_int_equal(sc.dead, 100000);
    assert_int_equal(sc.records, 50);
    assert_int_equal(sc.standing, 1);
    assert_int_equal(sc.read, 4); /* KAD_READ_PATHS */
    assert_int_equal(sc.masked, 1);
    assert_int_equal(sc.attacked, 400000);
    assert_int_equal(sc.value_life, 7200 * NS_PER_S);
    assert_int_equal(sc.n_faults, 3);
    assert_int_equal(sc.fault[2].kind, FAULT_SYBIL);
    assert_int_equal(sc.fault[2].keys, 3);
    assert_int_equal(sc.fault[2].per_key, 45); /* said nowhere */
    assert_int_equal(sc.fault[2].bits, 12);
    assert_int_equal(sc.fault[2].spread, 1);
    assert_int_equal(sc.fault[2].networks, 23);
    assert_int_equal(sc.phase[0].put_attacked_min, 10000);
    assert_int_equal(sc.phase[0].get_attacked_min, 20000);
    assert_int_equal(sc.fault[0].kind, FAULT_CHURN);
    assert_int_equal(sc.fault[0].lasts, 300 * NS_PER_S);
    assert_int_equal(sc.fault[0].chance, 500000);
    assert_int_equal(sc.fault[1].kind, FAULT_STORM);
    assert_int_equal(sc.fault[1].share, 2000000);
    assert_int_equal(sc.fault[1].chance, SIM_ALL);
    assert_int_equal(sc.n_phases, 1);
    assert_string_equal(sc.phase[0].name, "one");
    assert_int_equal(sc.phase[0].get_min, 999000);
}

static void what_is_not_understood_is_an_error_with_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned line;
    } cases[] = {
        {"", 0},
        {"[run]\nuntil = 0 s\n", 2},
        {"[run]\nuntil = 10\n", 2},
        {"[run]\nuntil = ten s\n", 2},
        {"[run]\nuntil = 10 m\n", 2},
        {"[run]\nuntil = -10 s\n", 2},
        {"[run]\nuntil = 10  s\n", 2},
        {"[run]\nuntil = 1.2345 s\n", 2},
        {"[run]\nuntil = 1. s\n", 2},
        {"[run]\nuntil = 9999999999999 s\n", 2},
        {"[run]\nuntil = 999999999999 h\n", 2},
        {"[run]\nuntil = 10 s\nuntil = 10 s\n", 3},
        {"[run]\nuntil = 10 s\n[run]\n", 3},
        {"[run\nuntil = 10 s\n", 1},
        {"until = 10 s\n", 1},
        {"[runs]\n", 1},
        {"[run]\nuntill = 10 s\n", 2},
        {"[run]\nuntil\n", 2},
        {"[network]\nnodes = 1\n", 2},
        {"[network]\nnodes = 1000001\n", 2},
        {"[network]\nnodes = 1.5\n", 2},
        {"[network]\nnodes = 4\nbootstrap = 4\n[run]\nuntil = 1 s\n", 0},
        {"[links]\nloss = 0.5\n", 2},
        {"[links]\nloss = 60 %\n", 2},
        {"[run]\nuntil = 60 s\nquiet_at = 50 s\nsettle = 20 s\n", 0},
        {"[fault]\nkind = flood\n", 2},
        {"[run]\nuntil = 1 s\n[fault]\nat = 1 s\n", 0},
        {"[run]\nuntil = 1 s\n[fault]\nkind = kill\n", 0},
        {"[run]\nuntil = 1 s\n[fault]\nkind = churn\n", 0},
        {"[network]\nstart = cold\n", 2},
        {"[network]\nstatic = maybe\n", 2},
        {"[network]\nstatic = yes\n[run]\nuntil = 1 s\n", 0},
        {"[network]\ndead = 1 %\n[run]\nuntil = 1 s\n", 0},
        {"[network]\nstart = warm\nstatic = yes\n[run]\nuntil = 11 min\n", 0},
        {"[network]\nstart = warm\nstatic = yes\n[run]\nuntil = 1 s\n[fault]\nkind = storm\nshare "
         "= 1 "
         "%\n",
         0},
        {"[network]\nstart = warm\nstatic = yes\n[run]\nuntil = 2 s\n[fault]\nkind = sybil\nat = 1 "
         "s\n",
         0},
        {"[work]\nattacked = 1 %\n[run]\nuntil = 1 s\n", 0},
        {"[run]\nuntil = 1 s\n[fault]\nkind = sybil\n[fault]\nkind = eclipse\n", 0},
        {"[run]\nuntil = 1 s\n[fault]\nkind = sybil\nkeys = 1000\nper_key = 1000\n", 0},
        {"[run]\nuntil = 1 s\n[fault]\nkind = clock_skew\nshare = 1 %\n", 0},
        {"[run]\nuntil = 1 s\n[fault]\nkind = slow\nshare = 1 %\n", 0},
        {"[run]\nuntil = 1 s\n[fault]\nkind = kill\nshare = 101 %\n", 0},
        {"[run]\nuntil = 1 s\n[phase]\nname = x\n", 0},
        {"[run]\nuntil = 1 s\n[phase]\nfrom = 0 s\nto = 1 s\n", 0},
        {"[run]\nuntil = 1 s\n[phase]\nname = x\nto = 2 s\n", 0},
        {"[phase]\nname = a b\n", 2},
        {"[phase]\nname = \n", 2},
        {"[phase]\nname = aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n", 2},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct scenario sc;
        struct scenario_error e;
        if (parse(cases[i].text, &sc, &e) != QUDAG_EMALFORMED || e.line != cases[i].line ||
            e.what == NULL) {
            fail_msg("case %zu, line %u: %s", i, e.line, cases[i].text);
        }
    }
}

static void limits_of_lists_and_lines_hold(void **state)
{
    (void)state;
    static char text[20000];
    struct scenario sc;
    struct scenario_error e;
    size_t at = 0;

    for (unsigned i = 0; i <= SIM_FAULTS_MAX; i++) {
        at +=
            (size_t)snprintf(text + at, sizeof(text) - at, "[fault]\nkind = kill\nshare = 1 %%\n");
    }
    assert_int_equal(parse(text, &sc, &e), QUDAG_EMALFORMED);
    assert_int_equal(e.line, 3 * SIM_FAULTS_MAX + 1);
    memset(text, '#', 201);
    text[201] = 0;
    assert_int_equal(parse(text, &sc, &e), QUDAG_EMALFORMED);
    assert_int_equal(e.line, 1);
    assert_int_equal(scenario_parse(&sc, (struct slice){(const uint8_t *)"a\0b", 3}, &e),
                     QUDAG_EMALFORMED);
}

static void every_scenario_delivered_is_valid(void **state)
{
    (void)state;
    static const char *const names[] = {"steady",
                                        "churn",
                                        "mass_failure",
                                        "partition_heal",
                                        "slow_peers",
                                        "relay_loss",
                                        "misbehaving_peers",
                                        "bootstrap_storm",
                                        "mixed",
                                        "eclipse",
                                        "sybil",
                                        "sybil_spread",
                                        "colluders",
                                        "clock_skew",
                                        "stale_tables",
                                        "full_stores",
                                        "million",
                                        "large",
                                        "lookups"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char path[100];
        static uint8_t text[10000];
        struct scenario sc;
        struct scenario_error e;
        (void)snprintf(path, sizeof(path), "sim/scenarios/%s.scenario", names[i]);
        FILE *f = fopen(path, "r");
        assert_non_null(f);
        size_t n = fread(text, 1, sizeof(text), f);
        (void)fclose(f);
        if (scenario_parse(&sc, (struct slice){text, n}, &e) != QUDAG_OK) {
            fail_msg("%s:%u: %s", path, e.line, e.what);
        }
        assert_true(sc.n_phases > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_is_read_with_its_unit),
        cmocka_unit_test(what_is_not_understood_is_an_error_with_its_line),
        cmocka_unit_test(limits_of_lists_and_lines_hold),
        cmocka_unit_test(every_scenario_delivered_is_valid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
