/* names_test.c - petnames and their file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "names.h"

/* Two addresses of labs, made for this test. */
#define ONE                                                                                        \
    "aebciuiynihqmt3snkrpuehwkthcxbxl4k3rrkcogsssxaxzpjug3ndt."                                    \
    "dwa4xcmu4dg6u2kaj6ormyob3eur54abrmngm4m5g4wi7pvmm5qypoq.dark"

static char top[64];

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(top, sizeof(top), "/tmp/qudag-names-XXXXXX");
    return mkdtemp(top) == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    char path[PATH_LEN];
    (void)state;
    (void)path_join(path, top, "names");
    (void)unlink(path);
    return rmdir(top);
}

static void put_file(const char *text)
{
    char path[PATH_LEN];
    assert_true(path_join(path, top, "names"));
    assert_int_equal(file_write_atomic(path, text, strlen(text), 0600), 0);
}

static void names_have_one_label(void **state)
{
    static const struct {
        const char *text;
        bool bare, is;
        const char *out;
    } cases[] = {
        {"blog.dark", false, true, "blog"},
        {"Blog.DARK", false, true, "blog"},
        {"blog", false, false, ""},
        {"blog", true, true, "blog"},
        {"blog.dark", true, true, "blog"},
        {"a.b.dark", true, false, ""},
        {ONE, true, false, ""},
        {".dark", true, false, ""},
        {"", true, false, ""},
        {NULL, true, false, ""},
        {"blog.", true, false, ""},
    };
    char out[QUDAG_PETNAME_MAX + 1], big[QUDAG_PETNAME_MAX + 2];
    (void)state;

    for (size_t ix = 0; ix < sizeof(cases) / sizeof(cases[0]); ix++) {
        assert_int_equal(names_is(cases[ix].text, cases[ix].bare, out), cases[ix].is);
        assert_string_equal(out, cases[ix].out);
    }
    memset(big, 'a', sizeof(big));
    big[QUDAG_PETNAME_MAX + 1] = 0;
    assert_false(names_is(big, true, out));
    big[QUDAG_PETNAME_MAX] = 0;
    assert_true(names_is(big, true, out));
}

static bool load(struct names *n, const char *dir)
{
    static struct vault vault;
    vault_plain(&vault, dir);
    return names_load(n, &vault);
}

static void what_was_given_is_there_after_a_restart(void **state)
{
    struct names n;
    struct stat st;
    (void)state;

    assert_true(load(&n, top));
    assert_int_equal(names_add(&n, "zeta", ONE), QUDAG_OK);
    assert_int_equal(names_add(&n, "blog", ONE), QUDAG_OK);
    assert_int_equal(names_add(&n, "mid", ONE), QUDAG_OK);
    assert_int_equal(names_add(&n, "blog", ONE), QUDAG_OK); /* said twice */
    assert_int_equal(names_remove(&n, "mid"), QUDAG_OK);
    assert_int_equal(names_remove(&n, "mid"), QUDAG_ENOTFOUND);
    assert_int_equal(stat(n.path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    names_free(&n);
    assert_true(load(&n, top));
    assert_int_equal(n.n, 2);
    assert_string_equal(n.v[0].name, "blog");
    assert_string_equal(names_find(&n, "zeta"), ONE);
    assert_null(names_find(&n, "mid"));
    names_free(&n);
}

static void what_is_no_name_or_no_address_is_refused(void **state)
{
    struct names n;
    char typo[] = ONE;
    (void)state;

    typo[5] = typo[5] == 'a' ? 'b' : 'a';
    assert_true(load(&n, top));
    assert_int_equal(names_add(&n, "a.b", ONE), QUDAG_EINVAL);
    assert_int_equal(names_add(&n, "xn--a", ONE), QUDAG_EINVAL);
    assert_int_equal(names_add(&n, "", ONE), QUDAG_EINVAL);
    assert_int_equal(names_add(&n, "a", typo), QUDAG_ECHECKSUM);
    assert_int_equal(names_add(&n, "a", "other.dark"), QUDAG_EMALFORMED);
    assert_int_equal(n.n, 0);
    names_free(&n);
}

static void a_file_that_cannot_be_read_gives_no_names_and_stays(void **state)
{
    static const char *const bad[] = {"blog\n", "blog " ONE " more\n", "a.b " ONE "\n",
                                      "ok " ONE "\nblog nonsense\n", "x " ONE "\nX " ONE "x\n"};
    struct names n;
    uint8_t *bytes;
    size_t len;
    (void)state;

    for (size_t ix = 0; ix < sizeof(bad) / sizeof(bad[0]); ix++) {
        put_file(bad[ix]);
        assert_false(load(&n, top));
        assert_int_equal(n.n, 0);
        assert_non_null(strstr(n.why, "mend or delete it"));
        assert_int_equal(names_add(&n, "new", ONE), QUDAG_ESTATE);
        assert_int_equal(names_remove(&n, "ok"), QUDAG_ESTATE);
        assert_int_equal(file_read(n.path, 9999, &bytes, &len), 0);
        assert_string_equal((char *)bytes, bad[ix]);
        free(bytes);
        names_free(&n);
    }
    put_file("# mine\n\nblog\t" ONE "\n"); /* as people write */
    assert_true(load(&n, top));
    assert_int_equal(n.n, 1);
    names_free(&n);
}

static void a_disk_that_takes_nothing_changes_nothing(void **state)
{
    struct names n;
    (void)state;

    assert_true(load(&n, top));
    assert_int_equal(names_add(&n, "blog", ONE), QUDAG_OK);
    (void)snprintf(n.vault->dir, sizeof(n.vault->dir), "%s/none", top);
    assert_int_equal(names_add(&n, "new", ONE), QUDAG_ESYSTEM);
    assert_non_null(strstr(n.why, "none/names"));
    assert_null(names_find(&n, "new"));
    assert_int_equal(names_add(&n, "blog", ONE), QUDAG_OK); /* it is there: nothing is written */
    assert_string_equal(names_find(&n, "blog"), ONE);
    assert_int_equal(names_remove(&n, "blog"), QUDAG_ESYSTEM);
    assert_string_equal(names_find(&n, "blog"), ONE);
    names_free(&n);
}

static void there_are_at_most_so_many(void **state)
{
    static char text[NAMES_MAX * 128 + 1];
    struct names n;
    size_t len = 0;
    (void)state;

    for (int ix = 0; ix < NAMES_MAX; ix++) {
        len += (size_t)snprintf(text + len, sizeof(text) - len, "n%d " ONE "\n", ix);
    }
    put_file(text);
    assert_true(load(&n, top));
    assert_int_equal(n.n, NAMES_MAX);
    assert_int_equal(names_add(&n, "more", ONE), QUDAG_ELIMIT);
    names_free(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_have_one_label),
        cmocka_unit_test_setup_teardown(what_was_given_is_there_after_a_restart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_name_or_no_address_is_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_file_that_cannot_be_read_gives_no_names_and_stays, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_disk_that_takes_nothing_changes_nothing, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(there_are_at_most_so_many, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
