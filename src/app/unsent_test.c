/* unsent_test.c - how long and for what the id of an interrupted transfer is remembered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "app/unsent.h"

#define DAY (UNSENT_LIFE_S * UINT64_C(1000000000))

static struct unsent_what what_of(uint8_t nth)
{
    struct transfer_offer o = {.kind = TRANSFER_FILE, .hash = {nth}, .size = 5, .name = "a"};
    struct unsent_what w;
    unsent_what(&w, "x.y.dark", &o, (struct slice){NULL, 0});
    return w;
}

static void an_id_is_found_once_and_for_a_day(void **state)
{
    static struct unsent_table t;
    struct unsent_what one = what_of(1), two = what_of(2);
    struct unsent at = {.id = {7}, .confirmed = 3, .sent = 4}, got = {.sent = 0};
    (void)state;
    unsent_put(&t, &one, &at, 10);
    assert_false(unsent_take(&t, &two, &got, 11));
    assert_true(unsent_take(&t, &one, &got, DAY + 9));
    assert_memory_equal(&got, &at, sizeof(at));
    assert_false(unsent_take(&t, &one, &got, DAY + 9));
    unsent_put(&t, &one, &at, 10);
    assert_false(unsent_take(&t, &one, &got, DAY + 10));
    unsent_put(&t, &one, &at, 10);
    unsent_expire(&t, DAY + 10);
    static const struct unsent_table none;
    assert_memory_equal(&t, &none, sizeof(t)); /* and nothing is left of it */
}

static void the_oldest_gives_its_place(void **state)
{
    static struct unsent_table t;
    struct unsent at = {.id = {0}}, got;
    (void)state;
    for (uint8_t nth = 0; nth <= UNSENT_MAX; nth++) {
        struct unsent_what w = what_of(nth);
        at.id[0] = nth;
        unsent_put(&t, &w, &at, 100u + nth);
    }
    for (uint8_t nth = 0; nth <= UNSENT_MAX; nth++) {
        struct unsent_what w = what_of(nth);
        assert_int_equal(unsent_take(&t, &w, &got, 300), nth != 0);
        assert_true(nth == 0 || got.id[0] == nth);
    }
}

/* What differs in anything has an id of its own, under another isolation key too. */
static void everything_counts(void **state)
{
    struct transfer_offer o = {.kind = TRANSFER_FILE, .hash = {1}, .size = 5, .name = "a"};
    struct unsent_what w[8];
    (void)state;
    unsent_what(&w[0], "x.y.dark", &o, (struct slice){NULL, 0});
    unsent_what(&w[1], "x.z.dark", &o, (struct slice){NULL, 0});
    unsent_what(&w[2], "x.y.dark", &o, (struct slice){(const uint8_t *)"key", 3});
    unsent_what(&w[7], "x.y.dark", &o, (struct slice){(const uint8_t *)"kez", 3});
    o.size++;
    unsent_what(&w[3], "x.y.dark", &o, (struct slice){NULL, 0});
    o.hash[31]++;
    unsent_what(&w[4], "x.y.dark", &o, (struct slice){NULL, 0});
    o.name[0]++;
    unsent_what(&w[5], "x.y.dark", &o, (struct slice){NULL, 0});
    o.kind = TRANSFER_MESSAGE;
    unsent_what(&w[6], "x.y.dark", &o, (struct slice){NULL, 0});
    for (size_t a = 0; a < 8; a++) {
        for (size_t b = 0; b < a; b++) {
            assert_memory_not_equal(&w[a], &w[b], sizeof(w[a]));
        }
    }
    o = (struct transfer_offer){.kind = TRANSFER_FILE, .hash = {1}, .size = 5, .name = "a"};
    o.id[0] = 9; /* but for the id */
    unsent_what(&w[1], "x.y.dark", &o, (struct slice){NULL, 0});
    assert_memory_equal(&w[0], &w[1], sizeof(w[0]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_id_is_found_once_and_for_a_day),
        cmocka_unit_test(the_oldest_gives_its_place),
        cmocka_unit_test(everything_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
