/* world_test.c - the event queue and the log. */
#include "sim/world.h"

#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void events_leave_by_time_and_then_in_the_order_they_came(void **state)
{
    (void)state;
    struct world w;
    struct rng_stream stream;
    static const uint8_t seed[32] = {1};
    struct sim_event ev, last = {.at = 0};

    rng_stream_init(&stream, seed);
    struct rng rng = rng_of_stream(&stream);
    world_init(&w);
    for (uint32_t i = 0; i < 5000; i++) {
        world_push(&w, (struct sim_event){.at = NS_PER_S + rng_below(&rng, 500), .node = i});
        if (i % 3 == 0) { /* the queue breathes */
            assert_true(world_pop(&w, TSTAMP_NEVER, &ev));
        }
    }
    size_t n = 0;
    while (world_pop(&w, TSTAMP_NEVER, &ev)) {
        assert_true(n == 0 || ev.at > last.at || (ev.at == last.at && ev.seq > last.seq));
        assert_int_equal(w.now, ev.at);
        last = ev;
        n++;
    }
    assert_int_equal(n, 5000 - 1667);
    world_fini(&w);
}

static void events_after_the_limit_wait_and_the_clock_stands_at_it(void **state)
{
    (void)state;
    struct world w;
    struct sim_event ev;

    world_init(&w);
    world_push(&w, (struct sim_event){.at = 5 * NS_PER_S});
    assert_false(world_pop(&w, 4 * NS_PER_S, &ev));
    assert_int_equal(w.now, 4 * NS_PER_S);
    world_push(&w, (struct sim_event){.at = 2 * NS_PER_S}); /* the past is now */
    assert_true(world_pop(&w, 5 * NS_PER_S, &ev));
    assert_int_equal(ev.at, 4 * NS_PER_S);
    assert_true(world_pop(&w, 5 * NS_PER_S, &ev));
    assert_false(world_pop(&w, TSTAMP_NEVER - 1, &ev));
    world_fini(&w);
}

static void log_hash_is_that_of_all_bytes_however_they_came(void **state)
{
    (void)state;
    static uint8_t bytes[50000];
    uint8_t got[BLAKE3_LEN], want[BLAKE3_LEN];
    struct world w;

    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)(i * 7);
    }
    for (size_t step = 1; step < 20000; step = step * 3 + 1) {
        world_init(&w);
        for (size_t at = 0; at < sizeof(bytes); at += step) {
            size_t n = sizeof(bytes) - at < step ? sizeof(bytes) - at : step;
            world_log(&w, bytes + at, n);
        }
        world_hash(&w, got);
        blake3(want, (struct slice){bytes, sizeof(bytes)});
        assert_memory_equal(got, want, sizeof(want));
        world_log_u64(&w, 1);
        world_hash(&w, got);
        assert_memory_not_equal(got, want, sizeof(want));
        world_fini(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_leave_by_time_and_then_in_the_order_they_came),
        cmocka_unit_test(events_after_the_limit_wait_and_the_clock_stands_at_it),
        cmocka_unit_test(log_hash_is_that_of_all_bytes_however_they_came),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
