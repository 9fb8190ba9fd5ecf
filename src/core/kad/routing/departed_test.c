/* Contacts that left the table: asked now and then, given up in the end, and a sign of a healed partition. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/kad/routing/contact_kit.h"
#include "core/kad/routing/departed.h"

static struct rng_stream stream;
static struct rng rng;

static void begin(struct kad_departed *d)
{
    mem_init(&mem, NULL, 0);
    rng_stream_init(&stream, (const uint8_t[32]){1});
    rng = rng_of_stream(&stream);
    kad_departed_init(d);
}

static void one_that_answers_leaves_and_says_that_a_partition_healed(void **state)
{
    (void)state;
    struct kad_departed d;

    begin(&d);
    struct kad_contact *a = peer(1, 1), *b = peer(2, 2);
    assert_true(d.next == TSTAMP_NEVER);
    kad_departed_add(&d, a, &rng, 0);
    assert_in_range(d.next, 45 * NS_PER_S * 7 / 10, 45 * NS_PER_S * 13 / 10);
    kad_departed_answered(&d, b, NS_PER_S); /* another one */
    assert_int_equal(d.n, 1);
    assert_false(d.heal);
    kad_departed_answered(&d, a, 5 * NS_PER_S);
    assert_int_equal(d.n, 0);
    assert_true(d.heal);
    assert_true(d.next == 6 * NS_PER_S); /* the others are likely to be back too */
    assert_null(kad_departed_draw(&d, &rng, 6 * NS_PER_S));
    assert_true(d.next == TSTAMP_NEVER);
    kad_contact_unref(a);
    kad_contact_unref(b);
    kad_departed_fini(&d);
    assert_int_equal(mem.used, 0);
}

static void one_that_stays_silent_is_given_up_after_eight_times(void **state)
{
    (void)state;
    struct kad_departed d;

    begin(&d);
    struct kad_contact *a = peer(1, 1);
    kad_departed_add(&d, a, &rng, 0);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(d.n, 1);
        struct kad_contact *c = kad_departed_draw(&d, &rng, d.next);
        assert_ptr_equal(c, a);
        kad_contact_unref(c);
    }
    assert_int_equal(d.n, 0);
    kad_contact_unref(a);
    kad_departed_fini(&d);
    assert_int_equal(mem.used, 0);
}

static void no_more_are_remembered_than_there_is_room_for(void **state)
{
    (void)state;
    struct kad_departed d;

    begin(&d);
    for (unsigned i = 0; i < 3 * KAD_DEPARTED_MAX; i++) {
        struct kad_contact *c = peer(i, i);
        kad_departed_add(&d, c, &rng, i);
        kad_contact_unref(c);
        assert_int_equal(d.n, i < KAD_DEPARTED_MAX ? i + 1 : KAD_DEPARTED_MAX);
    }
    kad_departed_fini(&d);
    assert_int_equal(mem.used, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_answers_leaves_and_says_that_a_partition_healed),
        cmocka_unit_test(one_that_stays_silent_is_given_up_after_eight_times),
        cmocka_unit_test(no_more_are_remembered_than_there_is_room_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
