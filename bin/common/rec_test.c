/* rec_test.c - records survive the way, and broken ones are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rec.h"

static struct rec r;

static size_t sample(void)
{
    rec_begin(&r, REC_ROW);
    rec_str(&r, "peer", "12D3Koo");
    rec_int(&r, "rtt_ns", -5);
    rec_bool(&r, "pq", true);
    rec_bytes(&r, "value", "\0\1\2", 3);
    rec_str(&r, "peer", "");
    return rec_frame(&r);
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    size_t len = sample();
    assert_true(len > 0);
    assert_int_equal(rec_frame_len(r.buf, len), len);
    struct rec_view v;
    assert_true(rec_parse(&v, r.buf + REC_FRAME_HEAD, len - REC_FRAME_HEAD));
    assert_int_equal(v.type, REC_ROW);
    assert_string_equal(rec_get_str(&v, "peer"), "12D3Koo");
    assert_int_equal(rec_get_int(&v, "rtt_ns", 0), -5);
    assert_int_equal(rec_get_int(&v, "absent", 7), 7);
    assert_int_equal(rec_get_int(&v, "peer", 7), 7); /* another kind */
    assert_true(rec_get_bool(&v, "pq"));
    assert_null(rec_get_str(&v, "absent"));
    struct rec_field f;
    assert_true(rec_find(&v, "value", REC_BYTES, &f));
    assert_int_equal(f.len, 3);
    assert_memory_equal(f.bytes, "\0\1\2", 3);
    size_t n = 0;
    for (size_t it = 0; rec_next(&v, &it, &f);) {
        n++;
    }
    assert_int_equal(n, 5);
    assert_string_equal(f.text, "");
}

static void cut_records_are_refused_or_end_at_a_field(void **state)
{
    (void)state;
    size_t len = sample() - REC_FRAME_HEAD;
    size_t accepted = 0;
    for (size_t cut = 0; cut < len; cut++) {
        uint8_t *copy = malloc(cut + 1); /* its own block, so that a sanitizer sees overreading */
        assert_non_null(copy);
        memcpy(copy, r.buf + REC_FRAME_HEAD, cut);
        struct rec_view v;
        accepted += rec_parse(&v, copy, cut);
        assert_int_equal(rec_frame_len(r.buf, cut), 0);
        free(copy);
    }
    assert_int_equal(accepted, 5); /* after the type and after each field but the last */
}

static void broken_fields_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
    } bad[] = {
        {"", 0},
        {"\0", 1},
        {"\0\3\3\1a\0\2", 7},                /* a bool of 2 */
        {"\0\3\11\1a\0\1", 7},               /* no such kind */
        {"\0\3\3\0\0\1", 6},                 /* no name */
        {"\0\3\3\1ab\1", 7},                 /* name without end */
        {"\0\3\3\2a\0\0\1", 8},              /* NUL in a name */
        {"\0\3\1\1a\0\0\0\0\1\0\0", 12},     /* NUL in a string */
        {"\0\3\1\1a\0\0\0\0\1x\1", 12},      /* string without end */
        {"\0\3\4\1a\0\377\377\377\377x", 11} /* length beyond everything */
    };
    for (size_t ix = 0; ix < sizeof(bad) / sizeof(bad[0]); ix++) {
        struct rec_view v;
        assert_false(rec_parse(&v, (const uint8_t *)bad[ix].bytes, bad[ix].len));
    }
    assert_int_equal(rec_frame_len((const uint8_t *)"\0\1\0\1", 4), SIZE_MAX);
    assert_int_equal(rec_frame_len((const uint8_t *)"\0\0\0\1", 4), SIZE_MAX);
}

static void fields_without_end_are_refused(void **state)
{
    static uint8_t bytes[2 + 5 * (REC_FIELDS_MAX + 1)] = {0, 3};
    struct rec_view v;
    (void)state;
    for (size_t ix = 0; ix <= REC_FIELDS_MAX; ix++) {
        memcpy(bytes + 2 + 5 * ix, (const uint8_t[]){REC_BOOL, 1, 'a', 0, 1}, 5);
    }
    assert_true(rec_parse(&v, bytes, sizeof(bytes) - 5));
    assert_false(rec_parse(&v, bytes, sizeof(bytes)));
}

static void what_does_not_fit_is_said(void **state)
{
    (void)state;
    static char big[REC_MAX];
    memset(big, 'x', sizeof(big) - 1);
    rec_begin(&r, REC_ROW);
    rec_str(&r, "a", big);
    assert_int_equal(rec_frame(&r), 0);
    rec_begin(&r, REC_ROW);
    for (int ix = 0; ix <= REC_FIELDS_MAX; ix++) {
        rec_bool(&r, "a", true);
    }
    assert_int_equal(rec_frame(&r), 0);
    rec_begin(&r, REC_ROW);
    rec_int(&r, "a-name-that-is-longer-than-forty-characters-is", 1);
    assert_int_equal(rec_frame(&r), 0);
}

static void what_is_wiped_is_gone_and_cannot_be_sent(void **state)
{
    (void)state;
    rec_begin(&r, REC_ROW);
    rec_str(&r, "key", "secret");
    size_t len = rec_frame(&r);
    assert_true(len > 0);
    rec_wipe(&r);
    for (size_t ix = 0; ix < len; ix++) {
        assert_int_equal(r.buf[ix], 0);
    }
    assert_int_equal(rec_frame(&r), 0);
    rec_begin(&r, REC_ROW);
    assert_true(rec_frame(&r) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(cut_records_are_refused_or_end_at_a_field),
        cmocka_unit_test(broken_fields_are_refused),
        cmocka_unit_test(fields_without_end_are_refused),
        cmocka_unit_test(what_does_not_fit_is_said),
        cmocka_unit_test(what_is_wiped_is_gone_and_cannot_be_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
