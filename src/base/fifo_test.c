#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/fifo.h"

#include <string.h>

#define MOST 100000

/* Both sides of a queue count: the n-th byte that goes in has the value of |pattern|. */
static uint8_t pattern(size_t n)
{
    return (uint8_t)(n * 7 + n / 256);
}

static void bytes_come_out_as_they_went_in(void **state)
{
    (void)state;
    static uint8_t in[40000], out[40000];
    struct mem mem;
    struct fifo f;
    uint32_t r = 1;
    size_t n_in = 0, n_out = 0;

    mem_init(&mem, NULL, 0);
    fifo_init(&f, &mem, MOST);
    for (int i = 0; i < 3000; i++) {
        r = r * 1664525u + 1013904223u;
        size_t n = (r >> 8) % (i % 50 == 0 ? sizeof(in) : 900);
        if (r >> 31 != 0 && n <= MOST - f.len) {
            for (size_t k = 0; k < n; k++) {
                in[k] = pattern(n_in + k);
            }
            assert_int_equal(fifo_append(&f, (struct slice){in, n}), QUDAG_OK);
            n_in += n;
        } else {
            size_t got = fifo_take(&f, out, n);
            assert_true(got == n || f.len == 0);
            for (size_t k = 0; k < got; k++) {
                assert_int_equal(out[k], pattern(n_out + k));
            }
            n_out += got;
        }
        assert_int_equal(f.len, n_in - n_out);
        assert_true((fifo_front(&f).len == 0) == (f.len == 0));
    }
    fifo_fini(&f);
    assert_int_equal(mem.used, 0);
}

static void the_maximum_holds_and_an_emptied_queue_has_no_memory(void **state)
{
    (void)state;
    struct mem mem;
    struct fifo f;
    const uint8_t bytes[300] = {1};

    mem_init(&mem, NULL, 0);
    fifo_init(&f, &mem, 300);
    assert_int_equal(fifo_append(&f, (struct slice){bytes, 300}), QUDAG_OK);
    assert_int_equal(fifo_append(&f, (struct slice){bytes, 1}), QUDAG_ETOOBIG);
    assert_int_equal(f.len, 300);
    fifo_drop(&f, 299);
    assert_int_equal(fifo_append(&f, (struct slice){bytes, 299}), QUDAG_OK);
    fifo_drop(&f, 1000);
    assert_int_equal(f.len, 0);
    assert_int_equal(mem.used, 0);
    assert_int_equal(fifo_append(&f, (struct slice){NULL, 0}), QUDAG_OK);
    assert_int_equal(mem.used, 0);
}

static void without_memory_nothing_is_appended(void **state)
{
    (void)state;
    static const uint8_t bytes[60000] = {0};
    struct mem mem;
    struct fifo f;
    uint64_t tried = 0;
    qudag_err err;

    mem_init(&mem, NULL, 0);
    fifo_init(&f, &mem, MOST);
    assert_int_equal(fifo_append(&f, (struct slice){bytes, 10}), QUDAG_OK);
    do {
        size_t used = mem.used;
        mem.fail_at = ++tried;
        err = fifo_append(&f, (struct slice){bytes, sizeof(bytes)});
        assert_true(err == QUDAG_OK || (err == QUDAG_ENOMEM && f.len == 10 && mem.used == used));
    } while (err != QUDAG_OK);
    assert_true(tried > 3);
    fifo_fini(&f);
}

/* What is written before the front spoils neither what follows nor what was taken. */
static void a_header_fits_before_the_front(void **state)
{
    (void)state;
    struct mem mem;
    struct fifo f;
    static uint8_t bytes[3 * FIFO_CHUNK];
    size_t at = 0, len;

    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)(i * 7 + i / 256);
    }
    mem_init(&mem, NULL, 0);
    fifo_init(&f, &mem, sizeof(bytes));
    assert_int_equal(fifo_append(&f, (struct slice){bytes, sizeof(bytes)}), QUDAG_OK);
    for (size_t step = 1; f.len > 0; step += 1777) {
        uint8_t *front = fifo_front_headed(&f, &len);
        memset(front - FIFO_HEAD, 0xee, FIFO_HEAD);
        assert_true(len > 0 && len <= f.len && len <= FIFO_CHUNK);
        assert_memory_equal(front, bytes + at, len);
        len = len < step ? len : step;
        fifo_drop(&f, len);
        at += len;
    }
    assert_int_equal(at, sizeof(bytes));
    assert_int_equal(mem.used, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_come_out_as_they_went_in),
        cmocka_unit_test(the_maximum_holds_and_an_emptied_queue_has_no_memory),
        cmocka_unit_test(without_memory_nothing_is_appended),
        cmocka_unit_test(a_header_fits_before_the_front),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
