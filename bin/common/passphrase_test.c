/* passphrase_test.c - what is typed, what comes through a descriptor, and what does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/fileio.h"
#include "common/passphrase.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool through(struct passphrase *p, const char *base, size_t len)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(fd_write_all(ends[1], base, len), 0);
    close(ends[1]);
    return passphrase_from_fd(p, ends[0]);
}

static void a_descriptor_gives_all_but_one_line_end(void **state)
{
    static char big[QUDAG_PASSPHRASE_MAX + 3];
    struct passphrase p;
    (void)state;
    assert_true(through(&p, "two words\n", 10));
    assert_int_equal(p.len, 9);
    assert_memory_equal(passphrase_bytes(&p).base, "two words", 9);
    assert_true(through(&p, "x\n\n", 3));
    assert_int_equal(p.len, 2);
    assert_true(through(&p, "x", 1));
    assert_false(through(&p, "\n", 1));
    assert_false(through(&p, "", 0));
    assert_non_null(strstr(p.why, "empty"));
    memset(big, 'a', sizeof(big));
    assert_true(through(&p, big, QUDAG_PASSPHRASE_MAX));
    assert_false(through(&p, big, QUDAG_PASSPHRASE_MAX + 1));
    assert_int_equal(p.len, 0);
    assert_false(through(&p, big, QUDAG_PASSPHRASE_MAX + 3));
    big[QUDAG_PASSPHRASE_MAX] = '\n';
    assert_true(through(&p, big, QUDAG_PASSPHRASE_MAX + 1));
    assert_false(passphrase_from_fd(&p, 4711));
}

static void only_the_number_of_a_descriptor_is_an_option(void **state)
{
    static const char *const bad[] = {"", "x", "3x", "-1", "1", "2", "open sesame", "4294967296"};
    struct passphrase p;
    (void)state;
    for (size_t ix = 0; ix < sizeof(bad) / sizeof(bad[0]); ix++) {
        assert_false(passphrase_from_option(&p, bad[ix]));
        assert_true(p.why[0] != 0 && strstr(p.why, "sesame") == NULL);
    }
}

static enum passphrase_key type(struct passphrase *p, const char *text)
{
    enum passphrase_key key = PASSPHRASE_MORE;
    *p = (struct passphrase){0};
    for (; *text != 0 && key == PASSPHRASE_MORE; text++) {
        key = passphrase_type(p, (unsigned char)*text);
    }
    return key;
}

static void keys_that_edit_edit(void **state)
{
    struct passphrase p;
    (void)state;
    assert_int_equal(type(&p, "abc\n"), PASSPHRASE_END);
    assert_string_equal(p.text, "abc");
    assert_int_equal(type(&p, "abd\x7f"
                              "c\r"),
                     PASSPHRASE_END);
    assert_string_equal(p.text, "abc");
    assert_int_equal(type(&p, "a\xc3\xa9\x7f"
                              "b\n"),
                     PASSPHRASE_END); /* one character of two bytes */
    assert_string_equal(p.text, "ab");
    assert_int_equal(type(&p, "\x7f\x7fwrong\x15right\x04"), PASSPHRASE_END);
    assert_string_equal(p.text, "right");
    assert_int_equal(type(&p, "abc\x03"), PASSPHRASE_GIVEN_UP);
    static char big[QUDAG_PASSPHRASE_MAX + 2];
    memset(big, 'a', sizeof(big) - 1);
    assert_int_equal(type(&p, big), PASSPHRASE_TOO_LONG);
    assert_int_equal(p.len, QUDAG_PASSPHRASE_MAX);
}

static void is_wiped_from(const struct passphrase *p, size_t from)
{
    for (size_t ix = from; ix < sizeof(p->text); ix++) {
        assert_int_equal(p->text[ix], 0);
    }
}

/* Of what was not taken, or taken back, nothing stays in memory. */
static void what_is_not_taken_is_wiped(void **state)
{
    static char big[QUDAG_PASSPHRASE_MAX + 1];
    struct passphrase p;
    (void)state;
    memset(big, 'a', sizeof(big));
    assert_false(through(&p, big, sizeof(big)));
    assert_int_equal(p.len, 0);
    is_wiped_from(&p, 0);
    (void)type(&p, "a long one that was wrong\x15r\n");
    is_wiped_from(&p, 1);
    (void)type(&p, "ab\xc3\xa9\x7f\x7f\n");
    is_wiped_from(&p, 1);
    assert_true(through(&p, "x\n", 2));
    is_wiped_from(&p, 1);
    passphrase_wipe(&p);
    is_wiped_from(&p, 0);
}

static void a_credential_of_systemd_is_taken(void **state)
{
    char top[] = "/tmp/qudag-cred-XXXXXX", path[PATH_LEN];
    struct passphrase p;
    (void)state;
    assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
    assert_true(passphrase_from_credential(&p));
    assert_int_equal(p.len, 0);
    assert_non_null(mkdtemp(top));
    assert_int_equal(setenv("CREDENTIALS_DIRECTORY", top, 1), 0);
    assert_true(passphrase_from_credential(&p));
    assert_int_equal(p.len, 0);
    assert_true(path_join(path, top, "qudag.passphrase"));
    assert_int_equal(file_write_atomic(path, "hush\n", 5, 0600), 0);
    assert_true(passphrase_from_credential(&p));
    assert_int_equal(p.len, 4);
    assert_int_equal(file_write_atomic(path, "", 0, 0600), 0);
    assert_false(passphrase_from_credential(&p));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(top), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_descriptor_gives_all_but_one_line_end),
        cmocka_unit_test(only_the_number_of_a_descriptor_is_an_option),
        cmocka_unit_test(keys_that_edit_edit),
        cmocka_unit_test(what_is_not_taken_is_wiped),
        cmocka_unit_test(a_credential_of_systemd_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
