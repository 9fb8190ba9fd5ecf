/* share_path_test.c - paths, ranges, the list and what was taken of a share: nothing leads out of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "manifest.h"
#include "share_once.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static void paths_are_decoded_strictly(void **state)
{
    static const struct {
        const char *url, *path;
        bool good, folder;
    } row[] = {
        {"/", "", true, true},
        {"", "", true, true},
        {"/a", "a", true, false},
        {"a/b", "a/b", true, false},
        {"/a/b/", "a/b", true, true},
        {"/%C3%a9%20x.txt", "\xc3\xa9 x.txt", true, false},
        {"/a%25", "a%", true, false},
        {"/...", "...", true, false},
        {"//", "", false, false},
        {"/a//b", "", false, false},
        {"/a//", "", false, false},
        {"/.", "", false, false},
        {"/..", "", false, false},
        {"/../etc/passwd", "", false, false},
        {"/a/%2e%2e/b", "", false, false},
        {"/a/.%2E", "", false, false},
        {"/a%2fb", "", false, false},
        {"/a%00b", "", false, false},
        {"/a%", "", false, false},
        {"/a%4", "", false, false},
        {"/a%g0", "", false, false},
    };
    char out[PATH_LEN];
    bool folder;
    (void)state;
    for (size_t ix = 0; ix < COUNT(row); ix++) {
        assert_int_equal(share_path_decode(out, &folder, row[ix].url), row[ix].good);
        assert_string_equal(out, row[ix].path);
        if (row[ix].good) {
            assert_int_equal(folder, row[ix].folder);
        }
    }
}

static void paths_have_limits(void **state)
{
    char url[PATH_LEN + 10], out[PATH_LEN];
    bool folder;
    (void)state;
    memset(url, 'a', SHARE_NAME_MAX);
    url[SHARE_NAME_MAX] = 0;
    assert_true(share_path_decode(out, &folder, url));
    memset(url, 'a', SHARE_NAME_MAX + 1);
    url[SHARE_NAME_MAX + 1] = 0;
    assert_false(share_path_decode(out, &folder, url));
    for (size_t names = SHARE_DEPTH_MAX; names <= SHARE_DEPTH_MAX + 1; names++) {
        for (size_t ix = 0; ix < names; ix++) {
            memcpy(url + 2 * ix, "a/", 3);
        }
        assert_int_equal(share_path_decode(out, &folder, url), names == SHARE_DEPTH_MAX);
    }
    for (size_t len = PATH_LEN - 1; len <= PATH_LEN; len++) { /* of names that fit, each */
        for (size_t ix = 0; ix < len; ix++) {
            url[ix] = ix % 200 == 199 ? '/' : 'a';
        }
        url[len] = 0;
        assert_int_equal(share_path_decode(out, &folder, url), len == PATH_LEN - 1);
    }
}

static void every_name_survives_its_url(void **state)
{
    char name[2] = {0}, url[SHARE_URL_MAX], out[PATH_LEN];
    bool folder;
    (void)state;
    for (int c = 1; c < 256; c++) {
        name[0] = (char)c;
        if (c == '/' || c == '.') {
            continue;
        }
        share_path_encode(url, name);
        assert_true(
            strspn(url, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~%") ==
            strlen(url));
        assert_true(share_path_decode(out, &folder, url));
        assert_string_equal(out, name);
    }
}

static void names_of_others_stay_below_the_folder(void **state)
{
    static const char *const row[][2] = {
        {"a/b.txt", "a/b.txt"}, {".ssh/authorized_keys", "_ssh/authorized_keys"},
        {"a/.../b", "a/_../b"}, {"x\x1b[2J", "x_[2J"},
        {"a/ ", "a/file"},
    };
    char out[PATH_LEN];
    (void)state;
    for (size_t ix = 0; ix < COUNT(row); ix++) {
        assert_true(share_path_harmless(out, row[ix][0]));
        assert_string_equal(out, row[ix][1]);
    }
    assert_false(share_path_harmless(out, ""));
}

static void hidden_is_what_begins_with_a_dot_anywhere(void **state)
{
    (void)state;
    assert_true(share_path_hidden(".git"));
    assert_true(share_path_hidden("a/.git/config"));
    assert_true(share_path_hidden(".a/b"));
    assert_false(share_path_hidden("a.b/c.d"));
    assert_false(share_path_hidden(""));
}

static void ranges_are_read_as_the_rfc_says(void **state)
{
    static const struct {
        const char *header;
        uint64_t size;
        enum share_range kind;
        uint64_t from, to;
    } row[] = {
        {NULL, 10, SHARE_ALL, 0, 10},
        {"bytes=0-", 10, SHARE_PART, 0, 10},
        {"bytes=3-", 10, SHARE_PART, 3, 10},
        {"BYTES=3-5", 10, SHARE_PART, 3, 6},
        {"bytes=3-3", 10, SHARE_PART, 3, 4},
        {"bytes=9-99", 10, SHARE_PART, 9, 10},
        {"bytes=-4", 10, SHARE_PART, 6, 10},
        {"bytes=-40", 10, SHARE_PART, 0, 10},
        {"bytes=10-", 10, SHARE_WRONG, 0, 10},
        {"bytes=-0", 10, SHARE_WRONG, 10, 10},
        {"bytes=0-", 0, SHARE_WRONG, 0, 0},
        {"bytes=-5", 0, SHARE_WRONG, 0, 0},
        {"bytes=5-3", 10, SHARE_ALL, 0, 10},
        {"bytes=1-2,4-5", 10, SHARE_ALL, 0, 10},
        {"bytes=-", 10, SHARE_ALL, 0, 10},
        {"bytes=", 10, SHARE_ALL, 0, 10},
        {"bytes=a-b", 10, SHARE_ALL, 0, 10},
        {"bytes=--3", 10, SHARE_ALL, 0, 10},
        {"lines=1-2", 10, SHARE_ALL, 0, 10},
        {"bytes=99999999999999999999-", 10, SHARE_ALL, 0, 10},
        {"bytes=0-18446744073709551615", 10, SHARE_ALL, 0, 10},
    };
    uint64_t from, to;
    (void)state;
    for (size_t ix = 0; ix < COUNT(row); ix++) {
        assert_int_equal(share_range(row[ix].header, row[ix].size, &from, &to), row[ix].kind);
        assert_int_equal(from, row[ix].from);
        assert_int_equal(to, row[ix].to);
    }
}

static void types_follow_from_names(void **state)
{
    (void)state;
    assert_string_equal(share_type("A.JPEG"), "image/jpeg");
    assert_string_equal(share_type("a.tar.gz"), "application/gzip");
    assert_string_equal(share_type("README"), "application/octet-stream");
    assert_string_equal(share_type("jpg"), "application/octet-stream");
    assert_true(share_type_active(share_type("a.html")));
    assert_true(share_type_active(share_type("a.svg")));
    assert_false(share_type_active(share_type("a.txt")));
}

/* ------------------------------------------------------------------ the list */

#define HASH "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static bool pushes(const char *text, struct manifest *m)
{
    bool good = true;
    manifest_init(m);
    for (size_t ix = 0; good && ix < strlen(text); ix++) {
        good = manifest_push(m, text + ix, 1);
    }
    return good;
}

static void a_list_is_complete_with_its_last_line_only(void **state)
{
    static const char whole[] = "qudag-share 1\nname my%20files\nhashing 5\nfile " HASH
                                " 5 a/b%20c\nfile " HASH " 7 d\nend 2 12\n";
    struct manifest m;
    (void)state;
    for (size_t len = 0; len <= strlen(whole); len++) {
        manifest_init(&m);
        assert_true(manifest_push(&m, whole, len));
        assert_int_equal(manifest_complete(&m), len == strlen(whole));
        manifest_fini(&m);
    }
    assert_true(pushes(whole, &m));
    assert_int_equal(m.n, 2);
    assert_string_equal(m.file[0].path, "a/b c");
    assert_int_equal(m.file[1].size, 7);
    assert_int_equal(m.file[1].hash[1], 0x11);
    assert_string_equal(m.name, "my files");
    assert_false(m.left_out);
    manifest_fini(&m);
}

static void lists_that_lie_are_refused(void **state)
{
    static const char *const row[] = {
        "\n",
        "<html>\n",
        "file " HASH " 5 a\n",
        "qudag-share 2\n",
        "qudag-share\n",
        "qudag-share 1 \n",
        "qudag-share 1\nqudag-share 1\n",
        "qudag-share 1\nend 1 0\n",
        "qudag-share 1\nend 0 1\n",
        "qudag-share 1\nend 0 0\nend 0 0\n",
        "qudag-share 1\nfile " HASH " 5 ../a\n",
        "qudag-share 1\nfile " HASH " 5 /a\n",
        "qudag-share 1\nfile " HASH " 5 a/\n",
        "qudag-share 1\nfile " HASH " 5 a b\n",
        "qudag-share 1\nfile " HASH " 5 a%2F..%2Fb\n",
        "qudag-share 1\nfile " HASH " -5 a\n",
        "qudag-share 1\nfile " HASH " 5x a\n",
        "qudag-share 1\nfile " HASH " 9999999999999999999 a\n",
        "qudag-share 1\nfile " HASH "00 5 a\n",
        "qudag-share 1\nfile 00 5 a\n",
        "qudag-share 1\nfile  5 a\n",
        "qudag-share 1\nname ..\n",
        "qudag-share 1\nname a\nname a\n",
        "qudag-share 1\nwhat 1\n",
    };
    struct manifest m;
    (void)state;
    for (size_t ix = 0; ix < COUNT(row); ix++) {
        assert_false(pushes(row[ix], &m));
        manifest_fini(&m);
    }
    char zero[] = "qudag-share 1\nname a\0b\n";
    manifest_init(&m);
    assert_false(manifest_push(&m, zero, sizeof(zero) - 1));
    manifest_fini(&m);
    static char endless[2 * MANIFEST_LINE_MAX];
    memset(endless, 'a', sizeof(endless));
    manifest_init(&m);
    assert_false(manifest_push(&m, endless, sizeof(endless)));
    manifest_fini(&m);
}

static void a_list_that_goes_on_without_files_ends(void **state)
{
    struct manifest m;
    size_t n = 0;
    (void)state;
    assert_true(pushes("qudag-share 1\n", &m));
    while (n < 2 * MANIFEST_OTHERS_MAX && manifest_push(&m, "hashing 5\n", 10)) {
        n++;
    }
    assert_int_equal(n, MANIFEST_OTHERS_MAX - 1);
    manifest_fini(&m);
}

static void what_is_written_is_read_again(void **state)
{
    struct manifest_line l = {.kind = MANIFEST_FILE, .size = 999}, got;
    char text[MANIFEST_LINE_MAX];
    (void)state;
    for (size_t ix = 0; ix < PATH_LEN - 1;
         ix++) { /* the longest: each byte takes three characters */
        l.path[ix] = ix % 250 == 249 ? '/' : '\xff';
    }
    size_t len = manifest_write(text, &l);
    assert_true(len < sizeof(text) && text[len - 1] == '\n');
    assert_true(manifest_read(&got, text, len - 1));
    assert_string_equal(got.path, l.path);
}

/* ------------------------------------------------------------------ once */

static struct share_once *once_of(size_t n)
{
    char b[] = "b", c[] = "a/c";
    struct share_file file[] = {{b, 100}, {c, 0}};
    return share_once_new(&(struct share_files){.file = file, .n = n});
}

static void a_file_is_whole_once_all_of_it_was_given(void **state)
{
    struct share_once *o = once_of(1);
    (void)state;
    assert_non_null(o);
    share_once_given(o, "b", 100, 50, 100);
    share_once_given(o, "b", 100, 0, 20);
    share_once_given(o, "b", 100, 0, 20);
    share_once_given(o, "else", 100, 0, 100);
    assert_false(share_once_whole(o));
    share_once_given(o, "b", 100, 21, 50);
    assert_false(share_once_whole(o));
    share_once_given(o, "b", 100, 20, 21);
    assert_true(share_once_whole(o));
    share_once_free(o);
}

static void parts_of_another_content_do_not_count(void **state)
{
    struct share_once *o = once_of(1);
    (void)state;
    share_once_given(o, "b", 100, 0, 60);
    share_once_given(o, "b", 120, 60, 120);
    assert_false(share_once_whole(o));
    share_once_given(o, "b", 120, 0, 60);
    assert_true(share_once_whole(o));
    share_once_free(o);
}

static void many_parts_end_whole_all_the_same(void **state)
{
    struct share_once *o = once_of(1);
    (void)state;
    for (uint64_t at = 0; at < 100; at += 2) {
        share_once_given(o, "b", 100, at, at + 1);
    }
    for (uint64_t at = 99; at < 100; at -= 2) {
        assert_false(share_once_whole(o));
        share_once_given(o, "b", 100, at, at + 1);
    }
    assert_true(share_once_whole(o));
    share_once_free(o);
}

static void a_share_is_over_when_it_was_confirmed_or_is_quiet(void **state)
{
    struct share_once *o = once_of(2);
    (void)state;
    share_once_given(o, "b", 100, 0, 100);
    assert_false(share_once_over(o, true, 0, UINT64_MAX)); /* the empty one */
    share_once_given(o, "a/c", 0, 0, 0);
    assert_true(share_once_over(o, true, 0, 0));
    assert_false(share_once_over(o, true, 1, UINT64_MAX));
    assert_false(share_once_over(o, false, 0, SHARE_QUIET_NS - 1));
    assert_true(share_once_over(o, false, 0, SHARE_QUIET_NS));
    share_once_free(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_are_decoded_strictly),
        cmocka_unit_test(paths_have_limits),
        cmocka_unit_test(every_name_survives_its_url),
        cmocka_unit_test(names_of_others_stay_below_the_folder),
        cmocka_unit_test(hidden_is_what_begins_with_a_dot_anywhere),
        cmocka_unit_test(ranges_are_read_as_the_rfc_says),
        cmocka_unit_test(types_follow_from_names),
        cmocka_unit_test(a_list_is_complete_with_its_last_line_only),
        cmocka_unit_test(lists_that_lie_are_refused),
        cmocka_unit_test(a_list_that_goes_on_without_files_ends),
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(a_file_is_whole_once_all_of_it_was_given),
        cmocka_unit_test(parts_of_another_content_do_not_count),
        cmocka_unit_test(many_parts_end_whole_all_the_same),
        cmocka_unit_test(a_share_is_over_when_it_was_confirmed_or_is_quiet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
