/* How long certificates may be valid, and links made with them live. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sec/rules.h"

#define NOW INT64_C(1800000000)
#define DAY INT64_C(86400)
#define HOUR INT64_C(3600)

static void validity_ends_with_the_tolerance(void **state)
{
    static const struct {
        struct sec_validity v;
        qudag_err err;
    } row[] = {
        {{NOW - HOUR, NOW + DAY}, QUDAG_OK},      {{NOW + 600, NOW + DAY}, QUDAG_OK},
        {{NOW + 601, NOW + DAY}, QUDAG_ECLOCK},   {{NOW - DAY, NOW - 599}, QUDAG_OK},
        {{NOW - DAY, NOW - 600}, QUDAG_EEXPIRED}, {{NOW, NOW - DAY}, QUDAG_EEXPIRED},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        assert_int_equal(sec_rule_validity(&row[i].v, false, NOW), row[i].err);
        assert_int_equal(sec_rule_validity(&row[i].v, true, NOW), row[i].err);
    }
}

static void an_identity_signs_for_26_hours_at_most(void **state)
{
    static const struct {
        int64_t life;
        qudag_err with, without;
    } row[] = {
        {25 * HOUR, QUDAG_OK, QUDAG_OK},
        {26 * HOUR, QUDAG_OK, QUDAG_OK},
        {26 * HOUR + 1, QUDAG_ETOOBIG, QUDAG_OK},
        {3650 * DAY, QUDAG_ETOOBIG, QUDAG_OK}, /* other libp2p implementations: a century */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct sec_validity v = {NOW - HOUR, NOW - HOUR + row[i].life};
        assert_int_equal(sec_rule_validity(&v, true, NOW), row[i].with);
        assert_int_equal(sec_rule_validity(&v, false, NOW), row[i].without);
    }
}

static void a_link_ends_with_the_certificate_that_ends_first(void **state)
{
    static const struct {
        walltime own, peers;
        int64_t life;
    } row[] = {
        {NOW + DAY, NOW + 3650 * DAY, DAY}, {NOW + DAY, NOW + HOUR, HOUR + 600},
        {NOW + HOUR, NOW + HOUR, HOUR},     {NOW + DAY, NOW - 599, 1},
        {NOW + DAY, NOW - DAY, 0},          {NOW - 1, NOW + DAY, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        assert_int_equal(sec_rule_link_life(row[i].own, row[i].peers, NOW), row[i].life);
    }
}

static void a_group_is_post_quantum_if_it_is_hybrid(void **state)
{
    static const struct {
        const char *name;
        bool pq;
    } row[] = {
        {"X25519MLKEM768", true},
        {"SecP256r1MLKEM768", true},
        {"SecP384r1MLKEM1024", true},
        {"MLKEM512", false},
        {"MLKEM768", false},
        {"MLKEM1024", false},
        {"x25519", false},
        {"X25519MLKEM", false},
        {"", false},
        {NULL, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        assert_int_equal(sec_rule_group(row[i].name), row[i].pq);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(validity_ends_with_the_tolerance),
        cmocka_unit_test(an_identity_signs_for_26_hours_at_most),
        cmocka_unit_test(a_link_ends_with_the_certificate_that_ends_first),
        cmocka_unit_test(a_group_is_post_quantum_if_it_is_hybrid),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
