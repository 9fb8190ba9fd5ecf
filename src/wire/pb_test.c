/* pb_test.c - fields of every kind, cut anywhere, written wrongly, nested, and round again. */
#include "base/text.h"
#include "wire/pb.h"

#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct slice unhex(const char *hex)
{
    static uint8_t b[256];
    size_t len = 0;
    struct slice text = {(const uint8_t *)hex, strlen(hex)};

    assert_int_equal(hex_decode(b, sizeof(b), &len, text), QUDAG_OK);
    return (struct slice){b, len};
}

/* Fields read up to the end or an error; the last one remains in |*f|. */
static unsigned read_all(struct rd *r, struct pb_field *f)
{
    unsigned n = 0;

    while (pb_next(r, f)) {
        n++;
        assert_true(f->number >= 1 && f->number <= PB_NUMBER_MAX);
    }
    return n;
}

static const struct {
    const char *hex;
    uint32_t number;
    enum pb_type type;
    uint64_t value;
    const char *bytes;
} one_field[] = {
    {"089601", 1, PB_VARINT, 150, ""},
    {"0800", 1, PB_VARINT, 0, ""},
    {"78ffffffffffffffffff01", 15, PB_VARINT, UINT64_MAX, ""},
    {"800101", 16, PB_VARINT, 1, ""},
    {"f8ffffff0f01", PB_NUMBER_MAX, PB_VARINT, 1, ""},
    {"1203616263", 2, PB_BYTES, 0, "616263"},
    {"1200", 2, PB_BYTES, 0, ""},
    {"c23e0161", 1000, PB_BYTES, 0, "61"},
    {"190102030405060708", 3, PB_FIXED64, 0, "0102030405060708"},
    {"2501020304", 4, PB_FIXED32, 0, "01020304"},
    /* longer than need be, which protobuf accepts: of ten bytes at most */
    {"088a808000", 1, PB_VARINT, 10, ""},
    {"0881808080808080808000", 1, PB_VARINT, 1, ""},
    {"128180800061", 2, PB_BYTES, 0, "61"},
    {"88808080000a", 1, PB_VARINT, 10, ""},
};

static void one_field_of_each_kind_is_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(one_field); i++) {
        struct pb_field f = {0};
        char text[64];
        struct rd r = rd_init(unhex(one_field[i].hex));
        assert_int_equal(read_all(&r, &f), 1);
        assert_true(rd_done(&r));
        assert_int_equal(f.number, one_field[i].number);
        assert_int_equal(f.type, one_field[i].type);
        assert_true(f.value == one_field[i].value);
        assert_int_equal(hex_encode(text, sizeof(text), f.bytes), strlen(one_field[i].bytes));
        assert_string_equal(text, one_field[i].bytes);
    }
}

static void a_field_cut_anywhere_is_malformed(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(one_field); i++) {
        struct slice all = unhex(one_field[i].hex);
        for (size_t cut = 1; cut < all.len; cut++) {
            struct pb_field f;
            uint8_t *copy = malloc(cut); /* so that a sanitizer sees a read beyond it */
            assert_non_null(copy);
            memcpy(copy, all.base, cut);
            struct rd r = rd_init((struct slice){copy, cut});
            assert_int_equal(read_all(&r, &f), 0);
            assert_false(rd_ok(&r));
            free(copy);
        }
    }
    struct pb_field f;
    struct rd r = rd_init((struct slice){NULL, 0});
    assert_false(pb_next(&r, &f)); /* an empty message is one */
    assert_true(rd_done(&r));
}

static void what_protobuf_forbids_is_refused(void **state)
{
    static const char *const bad[] = {
        "0001",                       /* number 0 */
        "0200",                       /* likewise, of bytes */
        "808000",                     /* likewise, the long way */
        "808080801000",               /* a number above the limit */
        "ffffffffffffffffff0100",     /* far above */
        "0b0c",                       /* a group */
        "0c",                         /* its end */
        "0e00",                       /* wire types 6 and 7 */
        "0f00",                       /*                     */
        "08ffffffffffffffffff02",     /* 65 bits */
        "08ffffffffffffffffff7f",     /* and more */
        "088180808080808080808000",   /* eleven bytes */
        "1205616263",                 /* a length beyond the end */
        "12ffffffff0f",               /* 2^32 - 1 */
        "128380808010616263",         /* 2^32 + 3, of three */
        "12ffffffffffffffffff01",     /* 2^64 - 1 */
        "12ffffffffffffffff7f616263", /* a length that wraps around */
        "1907060504030201",           /* seven of eight bytes */
        "25030201",                   /* three of four */
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct pb_field f;
        struct rd r = rd_init(unhex(bad[i]));
        if (read_all(&r, &f) != 0 || rd_ok(&r)) {
            fail_msg("%s was accepted", bad[i]);
        }
        assert_false(pb_next(&r, &f)); /* the error stays */
    }
}

static void a_wrong_wire_type_is_an_error_that_stays(void **state)
{
    struct pb_field f;
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(one_field); i++) {
        struct rd r = rd_init(unhex(one_field[i].hex));
        assert_true(pb_next(&r, &f));
        struct rd as_varint = r, as_bytes = r;
        uint64_t v = pb_varint(&as_varint, &f);
        struct slice s = pb_bytes(&as_bytes, &f);
        assert_int_equal(rd_ok(&as_varint), f.type == PB_VARINT);
        assert_int_equal(rd_ok(&as_bytes), f.type == PB_BYTES);
        assert_true(v == (f.type == PB_VARINT ? f.value : 0));
        assert_int_equal(s.len, f.type == PB_BYTES ? f.bytes.len : 0);
    }
}

/* { 1: varint, 2: bytes, 3: { 1: bytes } }: the last counts, others are skipped. */
static void repeated_and_unknown_fields_are_the_callers_matter(void **state)
{
    /* 1: 1, 2: "a", 9: 7, 3: {1: "x", 1: "y"}, 20: 32 bits, 1: 2, 2: "bc" */
    struct rd r = rd_init(unhex("0801"
                                "120161"
                                "4807"
                                "1a060a01780a0179"
                                "a50101020304"
                                "0802"
                                "12026263"));
    struct slice bytes = {NULL, 0}, inner = {NULL, 0};
    uint64_t v = 0;
    struct pb_field f, g;
    unsigned n = 0;
    (void)state;

    for (; pb_next(&r, &f); n++) {
        if (f.number == 1) {
            v = pb_varint(&r, &f);
        } else if (f.number == 2) {
            bytes = pb_bytes(&r, &f);
        } else if (f.number == 3) {
            struct rd in = rd_init(pb_bytes(&r, &f));
            while (pb_next(&in, &g)) {
                inner = pb_bytes(&in, &g);
            }
            assert_true(rd_done(&in));
        }
    }
    assert_true(rd_done(&r));
    assert_int_equal(n, 7);
    assert_int_equal(v, 2);
    assert_int_equal(bytes.len, 2);
    assert_memory_equal(bytes.base, "bc", 2);
    assert_int_equal(inner.len, 1);
    assert_memory_equal(inner.base, "y", 1);
}

/* A message cannot reach beyond the field that holds it. */
static void an_inner_message_ends_where_its_field_ends(void **state)
{
    struct rd r = rd_init(unhex("1a020a05"
                                "6162636465"));
    struct pb_field f, g;
    (void)state;

    assert_true(pb_next(&r, &f));
    struct rd in = rd_init(pb_bytes(&r, &f));
    assert_false(pb_next(&in, &g));
    assert_false(rd_ok(&in));
    assert_true(rd_ok(&r)); /* the outer one is sound; what follows is another matter */
}

static void what_is_written_is_minimal_and_read_back(void **state)
{
    static const uint64_t values[] = {0, 1, 127, 128, 16383, 16384, UINT32_MAX, UINT64_MAX};
    static const uint32_t numbers[] = {1, 15, 16, 2047, 2048, PB_NUMBER_MAX};
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        for (size_t j = 0; j < ARRAY_LEN(numbers); j++) {
            uint8_t out[64], one;
            struct wr w = wr_init(out, sizeof(out));
            struct pb_field f;
            pb_put_varint(&w, numbers[j], values[i]);
            size_t len = w.len;
            assert_int_equal(len,
                             pb_varint_len((uint64_t)numbers[j] << 3) + pb_varint_len(values[i]));
            struct rd r = rd_init(wr_done(&w));
            assert_true(pb_next(&r, &f));
            assert_true(f.value == values[i] && f.number == numbers[j] && rd_done(&r));
            for (size_t cap = 0; cap < len; cap++) {
                struct wr small = wr_init(cap == 0 ? &one : out, cap);
                pb_put_varint(&small, numbers[j], values[i]);
                assert_false(wr_ok(&small));
            }
            w = wr_init(out, sizeof(out));
            pb_put_bytes_if_any(&w, numbers[j], (struct slice){NULL, 0});
            assert_int_equal(w.len, 0);
            pb_put_bytes(&w, numbers[j], (struct slice){(const uint8_t *)"hello", 5});
            assert_int_equal(w.len, pb_bytes_len(numbers[j], 5));
            r = rd_init(wr_done(&w));
            assert_true(pb_next(&r, &f));
            assert_int_equal(pb_bytes(&r, &f).len, 5);
            assert_true(rd_done(&r));
        }
    }
}

static void a_message_is_put_behind_its_length(void **state)
{
    uint8_t out[300];
    (void)state;

    for (size_t len = 0; len <= 200; len++) {
        struct wr w = wr_init(out, sizeof(out));
        for (size_t i = 0; i < len; i++) {
            wr_u8(&w, (uint8_t)i);
        }
        pb_delimit(&w);
        struct rd r = rd_init(wr_done(&w));
        struct slice body = rd_lp(&r, len);
        assert_true(rd_done(&r));
        assert_int_equal(body.len, len);
        for (size_t i = 0; i < len; i++) {
            assert_int_equal(body.base[i], (uint8_t)i);
        }
        w = wr_init(out, len + pb_varint_len(len) - 1); /* one byte too few */
        wr_zero(&w, len);
        pb_delimit(&w);
        assert_false(wr_ok(&w));
    }
}

static void after_an_error_there_are_no_more_fields(void **state)
{
    struct pb_field f;
    (void)state;
    struct rd r = rd_init(unhex("0b08010801")); /* a group, which is refused, and two numbers */
    assert_false(pb_next(&r, &f));
    assert_false(pb_next(&r, &f));
    assert_false(rd_ok(&r));
    struct pb_field untouched = {.number = 77};
    assert_false(pb_next(&r, &untouched));
    assert_int_equal(untouched.number, 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(after_an_error_there_are_no_more_fields),
        cmocka_unit_test(one_field_of_each_kind_is_read),
        cmocka_unit_test(a_field_cut_anywhere_is_malformed),
        cmocka_unit_test(what_protobuf_forbids_is_refused),
        cmocka_unit_test(a_wrong_wire_type_is_an_error_that_stays),
        cmocka_unit_test(repeated_and_unknown_fields_are_the_callers_matter),
        cmocka_unit_test(an_inner_message_ends_where_its_field_ends),
        cmocka_unit_test(what_is_written_is_minimal_and_read_back),
        cmocka_unit_test(a_message_is_put_behind_its_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
