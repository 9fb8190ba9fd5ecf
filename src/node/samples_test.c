/* samples_test.c - which indexes a relay tells: drawn evenly, and the same few for an hour. */
#include "node/samples.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define STORED 64

static struct rng_stream stream;
static struct rng rng;

static int set_up(void **state)
{
    static const uint8_t seed[32] = {4};
    (void)state;
    rng_stream_init(&stream, seed);
    rng = rng_of_stream(&stream);
    return 0;
}

static void offer(struct node_samples *s, uint8_t nth)
{
    uint8_t key[DARK_KEY_LEN] = DHT_DARK_PREFIX;

    key[sizeof(DHT_DARK_PREFIX) - 1] = nth;
    node_samples_offer(s, (struct slice){key, sizeof(key)}, &rng);
}

static uint8_t draw(const struct node_samples *s)
{
    uint8_t key[DARK_KEY_LEN];

    node_samples_draw(s, &rng, key);
    assert_memory_equal(key, DHT_DARK_PREFIX, sizeof(DHT_DARK_PREFIX) - 1);
    return key[sizeof(DHT_DARK_PREFIX) - 1];
}

static void each_record_is_told_as_often(void **state)
{
    struct node_samples s = {.n = 0};
    unsigned drawn[STORED] = {0};

    (void)state;
    for (int i = 0; i < 4000; i++) {
        node_samples_begin(&s, 1);
        for (uint8_t k = 0; k < STORED; k++) {
            offer(&s, k);
        }
        assert_int_equal(s.n, NODE_SAMPLES_MAX);
        drawn[draw(&s)]++;
    }
    for (size_t k = 0; k < STORED; k++) {
        assert_in_range(drawn[k], 25, 105); /* 62 expected, deviation 8 */
    }
}

/* Who asks ten thousand times learns eight of them. */
static void asking_often_tells_no_more(void **state)
{
    struct node_samples s = {.n = 0};
    unsigned drawn[STORED] = {0}, different = 0;

    (void)state;
    node_samples_begin(&s, 1);
    for (uint8_t k = 0; k < STORED; k++) {
        offer(&s, k);
    }
    for (int i = 0; i < 10000; i++) {
        drawn[draw(&s)]++;
    }
    for (size_t k = 0; k < STORED; k++) {
        different += drawn[k] > 0 ? 1 : 0;
    }
    assert_int_equal(different, NODE_SAMPLES_MAX);
}

static void other_keys_are_never_told(void **state)
{
    struct node_samples s = {.n = 0};
    uint8_t a[DARK_KEY_LEN], b[DARK_KEY_LEN];
    uint8_t relay[DARK_KEY_LEN] = DHT_RELAY_PREFIX, longer[DARK_KEY_LEN + 1] = DHT_DARK_PREFIX;

    (void)state;
    node_samples_begin(&s, 1);
    node_samples_offer(&s, (struct slice){relay, sizeof(relay)}, &rng);
    node_samples_offer(&s, (struct slice){longer, sizeof(longer)}, &rng);
    node_samples_offer(&s, (struct slice){longer, DARK_KEY_LEN - 1}, &rng);
    assert_int_equal(s.n, 0);
    node_samples_draw(&s, &rng, a); /* a node without any is not told from others by its silence */
    node_samples_draw(&s, &rng, b);
    assert_memory_equal(a, DHT_DARK_PREFIX, sizeof(DHT_DARK_PREFIX) - 1);
    assert_memory_not_equal(a, b, sizeof(a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(each_record_is_told_as_often, set_up),
        cmocka_unit_test_setup(asking_often_tells_no_more, set_up),
        cmocka_unit_test_setup(other_keys_are_never_told, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
