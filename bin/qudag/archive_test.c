/* archive_test.c - what an export may contain, and what is no export. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "archive.h"

static void make(struct archive *a, bool identity)
{
    uint8_t bytes[QUDAG_IDENTITY_LEN] = {1};
    qudag_identity *id = NULL;
    *a = (struct archive){0};
    assert_int_equal(qudag_identity_generate(&id), QUDAG_OK);
    if (identity) {
        qudag_identity_save(id, bytes);
    }
    qudag_identity_free(id);
    assert_true(archive_add(a, "identity", bytes, sizeof(bytes)));
    assert_true(archive_add(a, "state/onion-key", (const uint8_t *)"abc", 3));
    assert_true(archive_add(a, "names", NULL, 0));
}

static void what_goes_in_comes_out(void **state)
{
    struct archive a;
    char name[ARCHIVE_NAME_MAX + 1];
    const uint8_t *bytes;
    size_t at = 0, n;
    (void)state;
    make(&a, true);
    assert_true(archive_whole(a.base, a.len));
    assert_true(archive_next(a.base, a.len, &at, name, &bytes, &n));
    assert_string_equal(name, "identity");
    assert_int_equal(n, QUDAG_IDENTITY_LEN);
    assert_true(archive_next(a.base, a.len, &at, name, &bytes, &n));
    assert_string_equal(name, "state/onion-key");
    assert_memory_equal(bytes, "abc", 3);
    assert_true(archive_next(a.base, a.len, &at, name, &bytes, &n));
    assert_int_equal(n, 0);
    assert_false(archive_next(a.base, a.len, &at, name, &bytes, &n));
    assert_int_equal(at, a.len);
    archive_free(&a);
    assert_null(a.base);
}

static void one_that_is_cut_or_has_no_identity_is_none(void **state)
{
    struct archive a;
    (void)state;
    make(&a, true);
    size_t first = 2 + 8 + 4 + QUDAG_IDENTITY_LEN, second = first + 2 + 15 + 4 + 3;
    for (size_t len = 0; len < a.len; len++) {
        assert_int_equal(archive_whole(a.base, len), len == first || len == second);
    }
    archive_free(&a);
    make(&a, false);
    assert_false(archive_whole(a.base, a.len));
    archive_free(&a);
}

static void no_name_leads_out_of_the_folder(void **state)
{
    static const char *const may[] = {"identity",    "names",        "qudag.conf",
                                      "network",     "state/guards", "state/dark-ab",
                                      "state/owner", "state/app-x"};
    static const char *const bad[] = {"",
                                      "lock",
                                      "keyring",
                                      "control.sock",
                                      "/etc/passwd",
                                      "../identity",
                                      "state/",
                                      "state/../identity",
                                      "state/dark-/../../x",
                                      "state/dark-/x",
                                      "state/notes",
                                      "state/dark-ab.bak",
                                      "inbox/x"};
    struct archive a;
    (void)state;
    for (size_t ix = 0; ix < sizeof(may) / sizeof(may[0]); ix++) {
        assert_true(archive_may_hold(may[ix]));
    }
    for (size_t ix = 0; ix < sizeof(bad) / sizeof(bad[0]); ix++) {
        assert_false(archive_may_hold(bad[ix]));
        make(&a, true);
        assert_true(archive_add(&a, bad[ix], (const uint8_t *)"x", 1));
        assert_false(archive_whole(a.base, a.len));
        archive_free(&a);
    }
}

/* Lengths that say more than there is, in a larger buffer, so that what lies behind would be read as if it was part. */
static void lengths_are_held_against_what_is_left(void **state)
{
    static uint8_t odd[2 * ARCHIVE_NAME_MAX] = {0, 4, 'n', 'a', 'm', 'e', 0,
                                                0, 0, 3,   'a', 'b', 'c'};
    char name[ARCHIVE_NAME_MAX + 2];
    const uint8_t *bytes;
    size_t at, n;
    (void)state;
    for (size_t len = 0; len < 13; len++) {
        at = 0;
        assert_false(archive_next(odd, len, &at, name, &bytes, &n));
        assert_int_equal(at, 0);
    }
    assert_true(archive_next(odd, 13, &at, name, &bytes, &n));
    assert_int_equal(at, 13);
    at = 0;
    odd[4] = 0; /* "na", and something behind it */
    assert_false(archive_next(odd, 13, &at, name, &bytes, &n));
    memset(odd + 2, 'n', ARCHIVE_NAME_MAX + 1);
    odd[0] = (ARCHIVE_NAME_MAX + 1) >> 8;
    odd[1] = (ARCHIVE_NAME_MAX + 1) & 0xff;
    assert_false(archive_next(odd, sizeof(odd), &at, name, &bytes, &n));
}

static void names_and_wholes_have_a_most(void **state)
{
    char name[ARCHIVE_NAME_MAX + 2] = {0};
    struct archive a = {0};
    (void)state;
    memset(name, 'n', ARCHIVE_NAME_MAX + 1);
    assert_false(archive_add(&a, name, NULL, 0));
    assert_int_equal(a.len, 0);
    name[ARCHIVE_NAME_MAX] = 0;
    assert_true(archive_add(&a, name, NULL, 0));
    assert_false(archive_room(&a, ARCHIVE_MAX - a.len + 1));
    assert_false(archive_room(&a, SIZE_MAX));
    archive_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_goes_in_comes_out),
        cmocka_unit_test(one_that_is_cut_or_has_no_identity_is_none),
        cmocka_unit_test(lengths_are_held_against_what_is_left),
        cmocka_unit_test(names_and_wholes_have_a_most),
        cmocka_unit_test(no_name_leads_out_of_the_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
