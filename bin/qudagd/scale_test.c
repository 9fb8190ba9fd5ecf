/* scale_test.c - limits by the machine: what a user sets wins, what is unknown changes nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "scale.h"

#define MIB (INT64_C(1) << 20)

static void limits_follow_memory_and_descriptors(void **state)
{
    static const struct {
        struct scale_machine m;
        int64_t memory, links, proxy;
    } rows[] = {
        {{(uint64_t)MIB << 10, 1024}, 256 * MIB, 1024, 256}, /* 1 GiB */
        {{(uint64_t)MIB << 9, 4096}, 128 * MIB, 512, 512},
        {{(uint64_t)MIB << 7, 20}, 64 * MIB, 256, 8},
        {{(uint64_t)MIB << 20, 0}, 1024 * MIB, 4096, 512},
        {{0, 0}, 256 * MIB, 1024, 512},
        {{UINT64_MAX, UINT64_MAX}, 1024 * MIB, 4096, 512},
    };
    static struct conf c;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_true(conf_init(&c));
        scale_conf(&c, &rows[i].m);
        assert_int_equal(c.v[CONF_MEMORY_MAX].num, rows[i].memory);
        assert_int_equal(c.v[CONF_LINKS_MAX].num, rows[i].links);
        assert_int_equal(c.v[CONF_PROXY_CONNECTIONS].num, rows[i].proxy);
        assert_int_equal(c.v[CONF_LINKS_MAX].source,
                         rows[i].m.memory != 0 ? CONF_MACHINE : CONF_UNSET);
        conf_fini(&c);
    }
}

static void what_a_user_sets_wins(void **state)
{
    const struct scale_machine m = {(uint64_t)MIB << 12, 100};
    static struct conf c;

    (void)state;
    assert_true(conf_init(&c));
    assert_true(conf_option(&c, "link.links_max=77"));
    assert_true(conf_option(&c, "proxy.connections_max=300"));
    scale_conf(&c, &m);
    assert_int_equal(c.v[CONF_LINKS_MAX].num, 77);
    assert_int_equal(c.v[CONF_LINKS_MAX].source, CONF_OPTION);
    assert_int_equal(c.v[CONF_PROXY_CONNECTIONS].num, 300);
    conf_fini(&c);
    assert_true(conf_init(&c)); /* links follow the memory that he gives */
    assert_true(conf_option(&c, "node.memory_max=32M"));
    scale_conf(&c, &m);
    assert_int_equal(c.v[CONF_MEMORY_MAX].num, 32 * MIB);
    assert_int_equal(c.v[CONF_LINKS_MAX].num, 128);
    conf_fini(&c);
}

static void a_control_group_says_bytes_or_max(void **state)
{
    (void)state;
    assert_int_equal(scale_group_limit("536870912\n"), 512 * MIB);
    assert_int_equal(scale_group_limit("max\n"), 0);
    assert_int_equal(scale_group_limit(""), 0);
    assert_int_equal(scale_group_limit("-1\n"), 0);
    assert_int_equal(scale_group_limit("12x"), 0);
    assert_int_equal(scale_group_limit("99999999999999999999999"), 0);
    struct scale_machine m;
    scale_look(&m);
    assert_true(m.memory > 1 << 20);
}

static void a_group_lies_in_others(void **state)
{
    char group[] = "/system.slice/qudagd.service";
    (void)state;

    assert_true(scale_group_up(group));
    assert_string_equal(group, "/system.slice");
    assert_true(scale_group_up(group));
    assert_string_equal(group, "/");
    assert_false(scale_group_up(group));
    assert_string_equal(group, "/");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_follow_memory_and_descriptors),
        cmocka_unit_test(what_a_user_sets_wins),
        cmocka_unit_test(a_control_group_says_bytes_or_max),
        cmocka_unit_test(a_group_lies_in_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
