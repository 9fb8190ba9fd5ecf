/* slots_test.c - names that outlive what they named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/slots.h"

static int things[100];

static void a_name_finds_its_thing_until_it_is_deleted(void **state)
{
    struct mem m;
    struct slots s;
    struct ref a, b;
    (void)state;

    mem_init(&m, NULL, 0);
    slots_init(&s, &m, 10);
    assert_int_equal(slots_add(&s, &things[0], &a), QUDAG_OK);
    assert_int_equal(slots_add(&s, &things[1], &b), QUDAG_OK);
    assert_false(ref_none(a));
    assert_false(ref_eq(a, b));
    assert_ptr_equal(slots_get(&s, a), &things[0]);
    assert_ptr_equal(slots_get(&s, b), &things[1]);
    slots_del(&s, a);
    assert_null(slots_get(&s, a));
    assert_ptr_equal(slots_get(&s, b), &things[1]);
    assert_int_equal(s.n, 1);
    slots_del(&s, a); /* again: nothing happens */
    assert_int_equal(s.n, 1);
    slots_fini(&s);
    assert_int_equal(m.used, 0);
    assert_null(slots_get(&s, b));
}

static void a_reused_slot_refuses_its_old_name(void **state)
{
    struct mem m;
    struct slots s;
    struct ref old, fresh;
    (void)state;

    mem_init(&m, NULL, 0);
    slots_init(&s, &m, 1);
    assert_int_equal(slots_add(&s, &things[0], &old), QUDAG_OK);
    slots_del(&s, old);
    assert_int_equal(slots_add(&s, &things[1], &fresh), QUDAG_OK);
    assert_int_equal(fresh.slot, old.slot);
    assert_int_not_equal(fresh.gen, old.gen);
    assert_null(slots_get(&s, old));
    slots_del(&s, old);
    assert_ptr_equal(slots_get(&s, fresh), &things[1]);
    slots_fini(&s);
}

static void memory_goes_back_with_the_last_and_old_names_stay_dead(void **state)
{
    struct mem m;
    struct slots s;
    struct ref old[50], fresh;
    (void)state;

    mem_init(&m, NULL, 0);
    slots_init(&s, &m, 50);
    for (int round = 0; round < 5; round++) {
        for (size_t i = 0; i < 50; i++) {
            assert_int_equal(slots_add(&s, &things[i], &old[i]), QUDAG_OK);
        }
        for (size_t i = 0; i < 50; i++) {
            slots_del(&s, old[i]);
        }
        assert_int_equal(m.used, 0);
        assert_int_equal(slots_add(&s, &things[99], &fresh), QUDAG_OK);
        for (size_t i = 0; i < 50; i++) {
            assert_null(slots_get(&s, old[i]));
        }
        assert_ptr_equal(slots_get(&s, fresh), &things[99]);
        slots_del(&s, fresh);
    }
    slots_fini(&s);
    assert_int_equal(m.used, 0);
}

static void foreign_names_find_nothing(void **state)
{
    struct mem m;
    struct slots s;
    struct ref r;
    (void)state;

    mem_init(&m, NULL, 0);
    slots_init(&s, &m, 4);
    assert_null(slots_get(&s, (struct ref){0, 1}));
    assert_int_equal(slots_add(&s, &things[0], &r), QUDAG_OK);
    assert_null(slots_get(&s, (struct ref){r.slot, 0}));
    assert_null(slots_get(&s, (struct ref){r.slot + 1, r.gen}));
    assert_null(slots_get(&s, (struct ref){UINT32_MAX, UINT32_MAX}));
    slots_fini(&s);
}

static void generation_zero_is_skipped_when_it_wraps(void **state)
{
    struct mem m;
    struct slots s;
    struct ref r;
    (void)state;

    mem_init(&m, NULL, 0);
    slots_init(&s, &m, 1);
    assert_int_equal(slots_add(&s, &things[0], &r), QUDAG_OK);
    s.v[0].gen = UINT32_MAX;
    r.gen = UINT32_MAX;
    slots_del(&s, r);
    assert_int_equal(slots_add(&s, &things[0], &r), QUDAG_OK);
    assert_int_equal(r.gen, 1);
    slots_fini(&s);
}

static void the_maximum_holds_and_space_is_reused(void **state)
{
    struct mem m;
    struct slots s;
    struct ref r[100], extra = {7, 7};
    (void)state;

    mem_init(&m, NULL, 0);
    slots_init(&s, &m, 100);
    for (size_t round = 0; round < 3; round++) {
        for (size_t i = 0; i < 100; i++) {
            assert_int_equal(slots_add(&s, &things[i], &r[i]), QUDAG_OK);
        }
        assert_int_equal(slots_add(&s, &things[0], &extra), QUDAG_ELIMIT);
        assert_int_equal(extra.slot, 7);
        assert_int_equal(s.high, 100);
        for (size_t i = 0; i < 100; i++) {
            assert_ptr_equal(slots_at(&s, r[i].slot), slots_get(&s, r[i]));
            assert_ptr_equal(slots_get(&s, r[i]), &things[i]);
        }
        for (size_t i = 0; i < 100; i++) {
            slots_del(&s, r[i]);
        }
        assert_int_equal(s.n, 0);
    }
    slots_fini(&s);
}

static void running_out_of_memory_changes_nothing(void **state)
{
    struct mem m;
    struct slots s;
    struct ref r[9];
    (void)state;

    mem_init(&m, NULL, 0);
    slots_init(&s, &m, 100);
    m.fail_at = 1;
    assert_int_equal(slots_add(&s, &things[0], &r[0]), QUDAG_ENOMEM);
    assert_int_equal(s.n, 0);
    size_t i = 0;
    for (; i < 8; i++) {
        assert_int_equal(slots_add(&s, &things[i], &r[i]), QUDAG_OK);
    }
    m.fail_at = 1;
    assert_int_equal(slots_add(&s, &things[8], &r[8]), QUDAG_ENOMEM);
    for (i = 0; i < 8; i++) {
        assert_ptr_equal(slots_get(&s, r[i]), &things[i]);
    }
    assert_int_equal(slots_add(&s, &things[8], &r[8]), QUDAG_OK);
    slots_fini(&s);
    assert_int_equal(m.used, 0);
}

static void a_ref_goes_into_a_number_and_back(void **state)
{
    static const struct {
        struct ref ref;
        uint64_t number;
    } cases[] = {
        {{0, 0}, 0},
        {{5, 0}, 5},
        {{0, 1}, UINT64_C(1) << 32},
        {{7, 9}, UINT64_C(9) << 32 | 7},
        {{UINT32_MAX, 1}, UINT64_C(0x1ffffffff)},
        {{UINT32_MAX, UINT32_MAX}, UINT64_MAX},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_true(ref_to_u64(cases[i].ref) == cases[i].number);
        assert_true(ref_eq(ref_from_u64(cases[i].number), cases[i].ref));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_finds_its_thing_until_it_is_deleted),
        cmocka_unit_test(a_reused_slot_refuses_its_old_name),
        cmocka_unit_test(memory_goes_back_with_the_last_and_old_names_stay_dead),
        cmocka_unit_test(foreign_names_find_nothing),
        cmocka_unit_test(generation_zero_is_skipped_when_it_wraps),
        cmocka_unit_test(the_maximum_holds_and_space_is_reused),
        cmocka_unit_test(running_out_of_memory_changes_nothing),
        cmocka_unit_test(a_ref_goes_into_a_number_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
