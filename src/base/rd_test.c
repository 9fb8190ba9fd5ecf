/* rd_test.c - the reader and the writer, against each other and against written-out bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rd.h"
#include "base/wr.h"

#include <string.h>

static void a_message_is_written_and_read_back(void **state)
{
    uint8_t buf[64], got[3];
    struct wr w = wr_init(buf, sizeof buf);
    static const uint8_t expect[] = {1,   2,  3,  4,   5,   6,    7,    8,  9,   10,
                                     11,  12, 13, 14,  15,  0xac, 0x02, 3,  'a', 'b',
                                     'c', 0,  2,  'd', 'e', 'x',  'y',  'z'};
    (void)state;

    wr_u8(&w, 1);
    wr_u16(&w, 0x0203);
    wr_u32(&w, 0x04050607);
    wr_u64(&w, UINT64_C(0x08090a0b0c0d0e0f));
    wr_uvarint(&w, 300);
    wr_lp(&w, (struct slice){(const uint8_t *)"abc", 3});
    wr_lp16(&w, (struct slice){(const uint8_t *)"de", 2});
    wr_bytes(&w, "xyz", 3);
    wr_bytes(&w, NULL, 0);
    assert_true(wr_ok(&w));
    assert_int_equal(w.len, sizeof expect);
    assert_memory_equal(buf, expect, sizeof expect);

    struct rd r = rd_init(wr_done(&w));
    assert_int_equal(rd_u8(&r), 1);
    assert_int_equal(rd_u16(&r), 0x0203);
    assert_int_equal(rd_u32(&r), 0x04050607);
    assert_int_equal(rd_u64(&r), UINT64_C(0x08090a0b0c0d0e0f));
    assert_int_equal(rd_uvarint(&r), 300);
    struct slice s = rd_lp(&r, 3);
    assert_int_equal(s.len, 3);
    assert_memory_equal(s.base, "abc", 3);
    s = rd_lp16(&r, 2);
    assert_int_equal(s.len, 2);
    assert_memory_equal(s.base, "de", 2);
    assert_false(rd_done(&r));
    rd_copy(&r, got, 3);
    assert_memory_equal(got, "xyz", 3);
    assert_true(rd_done(&r));
}

/* Reads the message above from its first |len| bytes. */
static bool reads_whole(const uint8_t *p, size_t len)
{
    struct rd r = rd_init((struct slice){p, len});

    (void)rd_u8(&r);
    (void)rd_u16(&r);
    (void)rd_u32(&r);
    (void)rd_u64(&r);
    (void)rd_uvarint(&r);
    (void)rd_lp(&r, 10);
    (void)rd_lp16(&r, 10);
    return rd_done(&r);
}

static void a_message_cut_anywhere_is_refused(void **state)
{
    uint8_t buf[64];
    struct wr w = wr_init(buf, sizeof buf);
    (void)state;

    wr_zero(&w, 15);
    wr_uvarint(&w, 300);
    wr_lp(&w, (struct slice){(const uint8_t *)"abc", 3});
    wr_lp16(&w, (struct slice){(const uint8_t *)"de", 2});
    for (size_t len = 0; len < w.len; len++) {
        assert_false(reads_whole(buf, len));
    }
    assert_true(reads_whole(buf, w.len));
    assert_false(reads_whole(buf, w.len + 1));
}

static void nothing_is_read_after_an_error(void **state)
{
    static const uint8_t b[] = {1, 2, 3, 4};
    struct rd r = rd_init((struct slice){b, sizeof b});
    uint8_t dst[2] = {9, 9};
    (void)state;

    assert_int_equal(rd_u64(&r), 0);
    assert_false(rd_ok(&r));
    assert_int_equal(rd_u8(&r), 0);
    assert_int_equal(rd_bytes(&r, 1).len, 0);
    assert_int_equal(rd_rest(&r).len, 0);
    assert_int_equal(rd_uvarint(&r), 0);
    rd_copy(&r, dst, 2);
    assert_int_equal(dst[0] | dst[1], 0);
    assert_false(rd_done(&r));
}

/* One byte too few: refused at once, and the cursor stays. */
static void no_read_goes_beyond_the_end_by_a_byte(void **state)
{
    static const uint8_t b[9] = {0};
    (void)state;

    for (size_t len = 1; len <= 8; len++) {
        struct rd r = rd_init((struct slice){b, len - 1});
        assert_null(rd_bytes(&r, len).base);
        assert_false(rd_ok(&r));
        assert_int_equal(r.left, len - 1);
        assert_ptr_equal(r.p, b);
    }
    struct rd r = rd_init((struct slice){b, 0});
    (void)rd_u8(&r);
    assert_false(rd_ok(&r));
}

static void an_empty_input_is_done_at_once(void **state)
{
    struct rd r = rd_init((struct slice){NULL, 0});
    (void)state;

    assert_true(rd_done(&r));
    assert_int_equal(rd_rest(&r).len, 0);
    assert_int_equal(rd_bytes(&r, 0).len, 0);
    assert_true(rd_done(&r));
}

static void uvarints_are_read_only_in_their_shortest_form(void **state)
{
    static const struct {
        uint8_t len, bytes[10];
        bool ok;
        uint64_t value;
    } rows[] = {
        {1, {0x00}, true, 0},
        {1, {0x7f}, true, 127},
        {2, {0x80, 0x01}, true, 128},
        {2, {0xff, 0x01}, true, 255},
        {2, {0xac, 0x02}, true, 300},
        {3, {0x80, 0x80, 0x01}, true, 16384},
        {9, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}, true, INT64_MAX},
        {2, {0x80, 0x00}, false, 0},
        {2, {0x81, 0x00}, false, 0},
        {3, {0xff, 0x80, 0x00}, false, 0},
        {1, {0x80}, false, 0},
        {10, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}, false, 0},
        {10, {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01}, false, 0},
        {9, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, false, 0},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct rd r = rd_init((struct slice){rows[i].bytes, rows[i].len});
        uint64_t v = rd_uvarint(&r);
        assert_int_equal(rd_done(&r), rows[i].ok);
        assert_int_equal(v, rows[i].value);
        if (rows[i].ok) {
            uint8_t buf[10];
            struct wr w = wr_init(buf, sizeof buf);
            wr_uvarint(&w, v);
            assert_int_equal(w.len, rows[i].len);
            assert_memory_equal(buf, rows[i].bytes, w.len);
        }
    }
}

static void length_prefixes_over_their_limit_are_refused(void **state)
{
    static const uint8_t lp[] = {3, 'a', 'b', 'c'}, lp16[] = {0, 3, 'a', 'b', 'c'};
    static const uint8_t huge[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 'a'};
    (void)state;

    struct rd r = rd_init((struct slice){lp, sizeof lp});
    assert_int_equal(rd_lp(&r, 2).len, 0);
    assert_false(rd_ok(&r));
    r = rd_init((struct slice){lp16, sizeof lp16});
    assert_int_equal(rd_lp16(&r, 2).len, 0);
    assert_false(rd_ok(&r));
    r = rd_init((struct slice){huge, sizeof huge});
    assert_int_equal(rd_lp(&r, SIZE_MAX).len, 0);
    assert_false(rd_ok(&r));
}

static void writing_stops_at_the_end_of_the_buffer(void **state)
{
    uint8_t buf[9];
    (void)state;

    for (size_t cap = 0; cap <= 8; cap++) {
        memset(buf, 0xcc, sizeof buf);
        struct wr w = wr_init(buf, cap);
        wr_u32(&w, 1);
        wr_u16(&w, 2);
        wr_bytes(&w, "a", 1);
        wr_u8(&w, 3);
        assert_int_equal(wr_ok(&w), cap == 8);
        assert_int_equal(wr_done(&w).len, cap == 8 ? 8 : 0);
        assert_int_equal(buf[cap], 0xcc);
    }
}

static void nothing_is_written_after_an_error(void **state)
{
    uint8_t buf[4] = {0};
    struct wr w = wr_init(buf, sizeof buf);
    (void)state;

    wr_u64(&w, 1);
    assert_false(wr_ok(&w));
    wr_u8(&w, 1);
    assert_int_equal(buf[0], 0);
    assert_int_equal(w.len, 0);
}

static void reserved_places_are_filled_later(void **state)
{
    uint8_t buf[8];
    struct wr w = wr_init(buf, sizeof buf);
    (void)state;

    size_t a = wr_reserve(&w, 2);
    wr_u16(&w, 0x0304);
    size_t b = wr_reserve(&w, 2);
    wr_u8(&w, 7);
    wr_fill_u16(&w, a, 0x0102);
    wr_fill_u16(&w, b, 0x0506);
    assert_memory_equal(buf, "\1\2\3\4\5\6\7", 7);
    size_t c = wr_reserve(&w, 2);
    assert_false(wr_ok(&w));
    wr_fill_u16(&w, c, 1); /* harmless: the reservation failed */
    assert_memory_equal(buf, "\1\2\3\4\5\6\7", 7);
}

static void lengths_that_do_not_fit_are_errors(void **state)
{
    static uint8_t big[70000], out[80000];
    struct wr w = wr_init(out, sizeof out);
    (void)state;

    wr_lp16(&w, (struct slice){big, 65535});
    assert_true(wr_ok(&w));
    w = wr_init(out, sizeof out);
    wr_lp16(&w, (struct slice){big, 65536});
    assert_false(wr_ok(&w));
    w = wr_init(out, sizeof out);
    wr_uvarint(&w, INT64_MAX);
    assert_true(wr_ok(&w));
    wr_uvarint(&w, (uint64_t)INT64_MAX + 1);
    assert_false(wr_ok(&w));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_written_and_read_back),
        cmocka_unit_test(a_message_cut_anywhere_is_refused),
        cmocka_unit_test(nothing_is_read_after_an_error),
        cmocka_unit_test(no_read_goes_beyond_the_end_by_a_byte),
        cmocka_unit_test(an_empty_input_is_done_at_once),
        cmocka_unit_test(uvarints_are_read_only_in_their_shortest_form),
        cmocka_unit_test(length_prefixes_over_their_limit_are_refused),
        cmocka_unit_test(writing_stops_at_the_end_of_the_buffer),
        cmocka_unit_test(nothing_is_written_after_an_error),
        cmocka_unit_test(reserved_places_are_filled_later),
        cmocka_unit_test(lengths_that_do_not_fit_are_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
