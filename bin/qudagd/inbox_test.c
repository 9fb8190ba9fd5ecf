/* inbox_test.c - names from strangers, files that are not replaced, an index that survives. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "inbox.h"

static void names_from_strangers_become_harmless(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to;
    } t[] = {
        {"photo.jpg", "photo.jpg"},
        {"../../etc/passwd", NULL},
        {".bashrc", "_bashrc"},
        {"a\nb\x1b[1m\x7f", "a_b_[1m_"},
        {"", "file"},
        {"   ", "file"},
        {"na\xc3\xafve \xe2\x9c\x93.txt", "na\xc3\xafve \xe2\x9c\x93.txt"},
        {"bad\xff\xc3", "bad__"},
        {"gpj\xe2\x80\xae"
         "exe",
         "gpj___exe"},
    };
    char out[TRANSFER_NAME_MAX + 1];
    for (size_t ix = 0; ix < sizeof(t) / sizeof(t[0]); ix++) {
        inbox_safe_name(out, t[ix].from);
        if (ix == 1) {
            assert_null(strchr(out, '/'));
            assert_int_not_equal(out[0], '.');
        } else {
            assert_string_equal(out, t[ix].to);
        }
    }
    char longest[1000];
    memset(longest, 'x', sizeof(longest) - 1);
    longest[999] = 0;
    inbox_safe_name(out, longest);
    assert_true(strlen(out) <= TRANSFER_NAME_MAX);
}

static void put_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void nothing_is_replaced_and_the_index_survives(void **state)
{
    (void)state;
    char dir[] = "/tmp/qudag-inbox-XXXXXX", path[PATH_LEN], offer[PATH_LEN], command[100];
    struct inbox b;
    assert_non_null(mkdtemp(dir));
    assert_true(inbox_open(&b, dir));
    struct inbox_entry e = {.time_ms = 1700000000000, .to = "a.b.dark"};
    e.offer = (struct transfer_offer){.kind = TRANSFER_FILE, .size = 3, .id = {9}, .hash = {8}};
    assert_true(inbox_partial(&b, &e.offer, path, offer));
    static const char *const expect[] = {"x.tar", "x (2).tar", "x (3).tar"};
    for (size_t ix = 0; ix < 3; ix++) {
        memcpy(e.offer.name, "x.tar", 6);
        put_file(path, "abc");
        assert_int_equal(inbox_place(b.dir, path, e.offer.name), 0);
        assert_string_equal(e.offer.name, expect[ix]);
        e.offer.id[0]++;
        assert_int_equal(inbox_add(&b, &e), 0);
    }
    assert_int_equal(b.bytes, 3 * INBOX_UNIT);
    inbox_close(&b);
    assert_true(inbox_open(&b, dir));
    assert_int_equal(b.n, 3);
    assert_int_equal(b.bytes, 3 * INBOX_UNIT);
    assert_string_equal(b.entry[2].to, "a.b.dark");
    assert_non_null(inbox_find(&b, &e.offer));
    e.offer.hash[0]++;
    assert_null(inbox_find(&b, &e.offer));
    e.offer.hash[0]--;
    assert_true(path_join(path, dir, "x (3).tar"));
    assert_int_equal(unlink(path), 0);
    assert_null(inbox_find(&b, &e.offer)); /* its file is gone */
    inbox_close(&b);
    (void)snprintf(command, sizeof(command), "%s/.index", dir);
    put_file(command, "damaged\nlines\t1\t2\n");
    assert_true(inbox_open(&b, dir));
    assert_int_equal(b.n, 0);
    inbox_close(&b);
    for (const char *sub = "x.tar\0x (2).tar\0.index\0"; *sub != 0; sub += strlen(sub) + 1) {
        assert_true(path_join(path, dir, sub));
        assert_int_equal(unlink(path), 0);
    }
    assert_true(path_join(path, dir, ".partial"));
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(rmdir(dir), 0);
}

static bool is_busy(const void *ctx, const uint8_t id[TRANSFER_ID_LEN])
{
    return id[0] == *(const uint8_t *)ctx;
}

static size_t begun(const struct inbox *b, uint8_t first, uint8_t last)
{
    char path[PATH_LEN], offer_path[PATH_LEN];
    size_t n = 0;
    for (unsigned ix = first; ix <= last; ix++) {
        struct transfer_offer o = {.id = {(uint8_t)ix}};
        assert_true(inbox_partial(b, &o, path, offer_path));
        bool content = access(path, F_OK) == 0;
        assert_int_equal(content, access(offer_path, F_OK) == 0); /* they go together */
        n += content;
    }
    return n;
}

static void what_was_begun_and_left_counts_too(void **state)
{
    (void)state;
    char dir[] = "/tmp/qudag-inbox-XXXXXX", path[PATH_LEN], offer_path[PATH_LEN];
    const uint8_t busy = 3;
    struct inbox b;
    assert_non_null(mkdtemp(dir));
    assert_true(inbox_open(&b, dir));
    for (uint8_t ix = 1; ix <= INBOX_PARTIALS_MAX + 6; ix++) {
        struct transfer_offer o = {.id = {ix}};
        struct timespec at[2] = {{.tv_sec = 1000 + ix}, {.tv_sec = 1000 + ix}};
        assert_true(inbox_partial(&b, &o, path, offer_path));
        put_file(path, "part");
        put_file(offer_path, "offer");
        assert_int_equal(utimensat(AT_FDCWD, path, at, 0), 0);
    }
    inbox_trim(&b, UINT64_MAX, is_busy, &busy);
    assert_int_equal(begun(&b, 1, INBOX_PARTIALS_MAX + 6), INBOX_PARTIALS_MAX + 1);
    assert_int_equal(begun(&b, 1, 6), 1); /* the oldest went, but not the one at work */
    inbox_trim(&b, 5 * INBOX_UNIT, is_busy, &busy);
    assert_int_equal(begun(&b, 1, INBOX_PARTIALS_MAX + 6), 5 + 1);
    assert_int_equal(begun(&b, INBOX_PARTIALS_MAX + 2, INBOX_PARTIALS_MAX + 6), 5);
    inbox_trim(&b, 0, is_busy, &busy);
    assert_int_equal(begun(&b, 1, INBOX_PARTIALS_MAX + 6), 1);
    inbox_close(&b);
    struct transfer_offer o = {.id = {busy}};
    assert_true(inbox_partial(&b, &o, path, offer_path));
    assert_int_equal(unlink(path) | unlink(offer_path), 0);
    assert_int_equal(rmdir(b.partial) | rmdir(dir), 0);
}

static void a_flood_of_empty_messages_costs_and_leaves_a_readable_index(void **state)
{
    (void)state;
    char dir[] = "/tmp/qudag-inbox-XXXXXX", path[PATH_LEN];
    struct inbox b;
    struct stat st;
    struct inbox_entry e = {.time_ms = 1700000000000, .to = "a.b.dark"};
    off_t most = 0;
    assert_non_null(mkdtemp(dir));
    assert_true(inbox_open(&b, dir));
    assert_true(path_join(path, dir, ".index"));
    memset(e.offer.name, 'x', TRANSFER_NAME_MAX);
    for (unsigned ix = 0; ix < 2 * INBOX_LINES_MAX; ix++) {
        assert_int_equal(inbox_add(&b, &e), 0);
        assert_int_equal(stat(path, &st), 0);
        most = st.st_size > most ? st.st_size : most;
    }
    assert_true(most < 16 << 20);
    assert_int_equal(b.bytes, 2 * (uint64_t)INBOX_LINES_MAX * INBOX_UNIT);
    inbox_close(&b);
    assert_true(inbox_open(&b, dir));
    assert_true(b.n > INBOX_LISTED_MAX / 2 && b.n <= INBOX_LISTED_MAX);
    inbox_close(&b);
    assert_int_equal(unlink(path) | rmdir(b.partial) | rmdir(dir), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_from_strangers_become_harmless),
        cmocka_unit_test(nothing_is_replaced_and_the_index_survives),
        cmocka_unit_test(what_was_begun_and_left_counts_too),
        cmocka_unit_test(a_flood_of_empty_messages_costs_and_leaves_a_readable_index),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
