/* vault_test.c - a folder that is encrypted, changed, opened again, and what is left when that is cut off anywhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/vault.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char top[64];
static const qudag_keyring_cost cheap = {.size = sizeof(cheap), .kib = 1024, .passes = 1};
static const struct {
    const char *name, *text;
} files[] = {
    {"identity", "the identity of a node"},
    {"names", "blog abc.dark\n"},
    {"state/onion-key", "a secret of the relay"},
    {"state/dark-abcdef", "keys of an address, which are longer than the rest of what is here, so "
                          "that a disk that fills up takes the others and not this one; and so on "
                          "and on and on and on and on and on and on and on and on and on and on"},
    {"state/guards", "who is asked first"},
};
#define FILES (sizeof(files) / sizeof(files[0]))

static qudag_slice text(const char *s)
{
    return (qudag_slice){(const uint8_t *)s, strlen(s)};
}

static void fill(struct vault *v)
{
    for (size_t ix = 0; ix < FILES; ix++) {
        assert_int_equal(vault_write(v, files[ix].name, files[ix].text, strlen(files[ix].text)), 0);
    }
}

static void is_all_there(struct vault *v)
{
    for (size_t ix = 0; ix < FILES; ix++) {
        uint8_t *bytes = NULL;
        size_t len = 0;
        assert_int_equal(vault_read(v, files[ix].name, 1000, &bytes, &len), 0);
        assert_int_equal(len, strlen(files[ix].text));
        assert_memory_equal(bytes, files[ix].text, len);
        free(bytes);
    }
}

/* Whether any file of the folder contains |what|, in its name or its bytes. */
static bool tells(const char *what)
{
    static const char *const folders[] = {".", "state"};
    bool found = false;
    for (size_t ix = 0; ix < 2; ix++) {
        char dir[PATH_LEN], path[PATH_LEN];
        assert_true(path_join(dir, top, folders[ix]));
        DIR *list = opendir(dir);
        const struct dirent *e;
        assert_non_null(list);
        while ((e = readdir(list)) != NULL) {
            uint8_t *bytes = NULL;
            size_t len = 0;
            found = found || strstr(e->d_name, what) != NULL;
            if (path_join(path, dir, e->d_name) && file_read(path, 100000, &bytes, &len) == 0) {
                found = found || memmem(bytes, len, what, strlen(what)) != NULL;
                free(bytes);
            }
        }
        closedir(list);
    }
    return found;
}

static int begin(void **state)
{
    char path[PATH_LEN];
    (void)state;
    (void)signal(SIGXFSZ, SIG_IGN);
    (void)snprintf(top, sizeof(top), "/tmp/qudag-vault-XXXXXX");
    return mkdtemp(top) != NULL && path_join(path, top, "state") && mkdir(path, 0700) == 0 ? 0 : -1;
}

static int end(void **state)
{
    static const char *const folders[] = {"state", "."};
    (void)state;
    for (size_t ix = 0; ix < 2; ix++) {
        char dir[PATH_LEN], path[PATH_LEN];
        DIR *list = path_join(dir, top, folders[ix]) ? opendir(dir) : NULL;
        const struct dirent *e;
        while (list != NULL && (e = readdir(list)) != NULL) {
            if (path_join(path, dir, e->d_name)) {
                (void)unlink(path);
            }
        }
        if (list != NULL) {
            closedir(list);
        }
        (void)rmdir(dir);
    }
    return rmdir(top);
}

static void a_passphrase_encrypts_what_is_there_and_hides_its_names(void **state)
{
    struct vault v = {.cost = &cheap};
    (void)state;
    vault_plain(&v, top);
    fill(&v);
    assert_true(tells("secret of the relay") && tells("dark-abcdef"));
    assert_int_equal(vault_open(&v, top, text("open sesame")), VAULT_OK);
    assert_true(vault_encrypted(top));
    is_all_there(&v);
    for (size_t ix = 0; ix < FILES; ix++) {
        assert_false(tells(files[ix].text));
    }
    assert_false(tells("abcdef"));
    assert_false(tells("onion-key"));
    assert_false(tells("open sesame"));
    assert_int_equal(vault_write(&v, "state/guards", "others", 6), 0);
    vault_close(&v);
    assert_int_equal(vault_open(&v, top, text("open sesame")), VAULT_OK);
    uint8_t *bytes = NULL;
    size_t len = 0;
    assert_int_equal(vault_read(&v, "state/guards", 1000, &bytes, &len), 0);
    assert_int_equal(len, 6);
    free(bytes);
    assert_int_equal(vault_remove(&v, "state/guards"), 0);
    assert_int_equal(vault_read(&v, "state/guards", 1000, &bytes, &len), ENOENT);
    vault_close(&v);
}

static void without_the_passphrase_nothing_opens_and_nothing_changes(void **state)
{
    struct vault v = {.cost = &cheap};
    char path[PATH_LEN];
    uint8_t *before = NULL, *after = NULL;
    size_t len = 0, again = 0;
    (void)state;
    vault_plain(&v, top);
    fill(&v);
    assert_true(vault_encrypt(&v, text("right")));
    vault_close(&v);
    assert_true(path_join(path, top, "keyring"));
    assert_int_equal(file_read(path, 4096, &before, &len), 0);
    assert_int_equal(vault_open(&v, top, text("")), VAULT_LOCKED);
    assert_int_equal(vault_open(&v, top, text("wrong")), VAULT_WRONG);
    assert_non_null(strstr(v.why, "not the passphrase"));
    assert_null(v.keys);
    assert_int_equal(file_read(path, 4096, &after, &again), 0);
    assert_int_equal(again, len);
    assert_memory_equal(before, after, len);
    free(after);
    before[60] ^= 1;
    assert_int_equal(file_write_atomic(path, before, len, 0600), 0);
    assert_int_equal(vault_open(&v, top, text("right")), VAULT_WRONG);
    before[60] ^= 1;
    assert_int_equal(file_write_atomic(path, before, len - 1, 0600), 0);
    assert_int_equal(vault_open(&v, top, text("right")), VAULT_FAILED);
    assert_non_null(strstr(v.why, "damaged"));
    assert_int_equal(file_write_atomic(path, before, len, 0600), 0);
    assert_int_equal(vault_open(&v, top, text("right")), VAULT_OK);
    is_all_there(&v);
    vault_close(&v);
    free(before);
}

static void it_is_changed_and_taken_away(void **state)
{
    struct vault v = {.cost = &cheap};
    (void)state;
    vault_plain(&v, top);
    fill(&v);
    assert_true(vault_encrypt(&v, text("one")));
    assert_true(vault_change(&v, text("two")));
    assert_false(vault_change(&v, text("")));
    vault_close(&v);
    assert_int_equal(vault_open(&v, top, text("one")), VAULT_WRONG);
    assert_int_equal(vault_open(&v, top, text("two")), VAULT_OK);
    is_all_there(&v);
    assert_true(vault_decrypt(&v, text("two")));
    assert_null(v.keys);
    assert_false(vault_encrypted(top));
    is_all_there(&v);
    assert_true(tells("secret of the relay") && tells("dark-abcdef"));
    assert_int_equal(vault_open(&v, top, text("")), VAULT_OK);
}

/* No file may be larger than |len| bytes from now on: a disk that is full, as far as writing goes. */
static void limit(rlim_t len)
{
    struct rlimit l;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &l), 0);
    l.rlim_cur = len > l.rlim_max ? l.rlim_max : len;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &l), 0);
}

/* Each limit stops it at another place: before the keyring, before the identity, before the long item. */
static void what_was_cut_off_goes_on_at_the_next_start(void **state)
{
    static const rlim_t cuts[] = {10, 83, 84, 100, 140, 200};
    struct vault v = {.cost = &cheap};
    (void)state;
    vault_plain(&v, top);
    fill(&v);
    for (size_t ix = 0; ix < sizeof(cuts) / sizeof(cuts[0]); ix++) {
        limit(cuts[ix]);
        assert_int_equal(vault_open(&v, top, text("pass")), VAULT_FAILED);
        assert_non_null(strstr(v.why, "File too large"));
        assert_null(v.keys); /* nobody goes on with half a folder */
        limit(RLIM_INFINITY);
    }
    assert_true(vault_encrypted(top));
    assert_true(tells("keys of an address")); /* or this test would not have cut it */
    assert_int_equal(vault_open(&v, top, text("pas")), VAULT_WRONG);
    assert_int_equal(vault_open(&v, top, text("pass")), VAULT_OK);
    is_all_there(&v);
    assert_false(tells("keys of an address"));
    limit(100);
    assert_false(vault_decrypt(&v, text("pass")));
    limit(RLIM_INFINITY);
    vault_close(&v);
    assert_true(vault_encrypted(top));
    assert_int_equal(vault_open(&v, top, text("")), VAULT_LOCKED);
    assert_int_equal(vault_open(&v, top, text("pass")), VAULT_OK);
    assert_false(vault_encrypted(top));
    is_all_there(&v);
}

static void what_others_put_there_is_not_taken(void **state)
{
    char path[PATH_LEN], name[VAULT_NAME_MAX + 1];
    uint8_t *bytes = NULL;
    size_t len = 0;
    struct vault v = {.cost = &cheap};
    (void)state;
    vault_plain(&v, top);
    fill(&v);
    assert_true(vault_encrypt(&v, text("pass")));
    assert_true(path_join(path, top, "state/auth-x"));
    assert_int_equal(file_write_atomic(path, "plain", 5, 0600), 0);
    assert_int_equal(vault_read_file(&v, "auth-x", name, &bytes, &len), EBADMSG);
    assert_non_null(strstr(v.why, "not encrypted"));
    assert_null(bytes);
    /* one sealed item in the place of another */
    char from[PATH_LEN], hidden[QUDAG_SEALED_NAME_MAX];
    qudag_keyring_hide_name(v.keys, "state/guards", hidden);
    (void)snprintf(from, sizeof(from), "%s/state/%s", top, hidden);
    assert_int_equal(file_read(from, 1000, &bytes, &len), 0);
    qudag_keyring_hide_name(v.keys, "state/onion-key", hidden);
    (void)snprintf(from, sizeof(from), "%s/state/%s", top, hidden);
    assert_int_equal(file_write_atomic(from, bytes, len, 0600), 0);
    free(bytes);
    assert_int_equal(vault_read(&v, "state/onion-key", 1000, &bytes, &len), EBADMSG);
    vault_close(&v);
    /* without its keyring, what is sealed is not taken for something else, nor sealed again */
    assert_true(path_join(path, top, "keyring"));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(vault_open(&v, top, text("")), VAULT_OK);
    assert_int_equal(vault_read(&v, "identity", 1000, &bytes, &len), ENOKEY);
    assert_int_equal(vault_open(&v, top, text("pass")), VAULT_FAILED);
    assert_non_null(strstr(v.why, "no keyring"));
    assert_false(vault_encrypted(top));
}

/* Whoever kept another name of the plain file, or reads the disk, finds zeros where the keys were. */
static void the_plain_bytes_are_overwritten(void **state)
{
    static const char *const kept[] = {"identity", "state/onion-key"};
    struct vault v = {.cost = &cheap};
    char path[PATH_LEN], other[PATH_LEN];
    (void)state;
    vault_plain(&v, top);
    fill(&v);
    for (size_t ix = 0; ix < 2; ix++) {
        assert_true(path_join(path, top, kept[ix]));
        (void)snprintf(other, sizeof(other), "%s/other%zu", top, ix);
        assert_int_equal(link(path, other), 0);
    }
    assert_true(vault_encrypt(&v, text("pass")));
    is_all_there(&v);
    vault_close(&v);
    for (size_t ix = 0; ix < 2; ix++) {
        uint8_t *bytes = NULL;
        size_t len = 0;
        (void)snprintf(other, sizeof(other), "%s/other%zu", top, ix);
        assert_int_equal(file_read(other, 1000, &bytes, &len), 0);
        assert_true(len > 0);
        for (size_t at = 0; at < len; at++) {
            assert_int_equal(bytes[at], 0);
        }
        free(bytes);
    }
}

/* What is under the name of an item, sealed with our keys, but not as vault.c writes it. */
static int read_odd(struct vault *v, const char *plain, size_t plain_len)
{
    char hidden[QUDAG_SEALED_NAME_MAX], path[PATH_LEN], under[PATH_LEN], name[VAULT_NAME_MAX + 1];
    uint8_t sealed[200], *bytes = NULL;
    size_t len = 0;
    qudag_keyring_hide_name(v->keys, "state/guards", hidden);
    (void)snprintf(under, sizeof(under), "state/%s", hidden);
    assert_true(path_join(path, top, under));
    assert_int_equal(qudag_keyring_seal(v->keys, under,
                                        (qudag_slice){(const uint8_t *)plain, plain_len}, sealed,
                                        sizeof(sealed), &len),
                     QUDAG_OK);
    assert_int_equal(file_write_atomic(path, sealed, len, 0600), 0);
    int err = vault_read_file(v, hidden, name, &bytes, &len);
    assert_true(err == 0 || bytes == NULL);
    free(bytes);
    return err;
}

static void items_have_a_name_before_them_and_no_more_than_was_asked_for(void **state)
{
    struct vault v = {.cost = &cheap};
    uint8_t *bytes = NULL;
    size_t len = 0;
    (void)state;
    vault_plain(&v, top);
    fill(&v);
    for (unsigned sealed = 0; sealed < 2; sealed++) {
        const size_t n = strlen(files[4].text);
        assert_int_equal(vault_read(&v, files[4].name, n, &bytes, &len), 0);
        free(bytes);
        assert_int_equal(vault_read(&v, files[4].name, n - 1, &bytes, &len), EFBIG);
        assert_null(bytes);
        assert_true(sealed == 1 || vault_encrypt(&v, text("pass")));
    }
    assert_int_equal(read_odd(&v, "\x06guardsok", 9), 0);
    assert_int_equal(read_odd(&v, "", 0), EBADMSG);
    assert_int_equal(read_odd(&v, "\0ok", 3), EBADMSG);
    assert_int_equal(read_odd(&v, "\x07guards", 7), EBADMSG); /* one more than there is */
    assert_int_equal(read_odd(&v, "\x08guards", 7), EBADMSG);
    assert_int_equal(read_odd(&v, "\x06gua\0dsok", 9), EBADMSG);
    vault_close(&v);
}

static void names_of_items_are_told_from_others(void **state)
{
    (void)state;
    assert_true(vault_is_sealed_name("sealed-0123456789abcdef0123456789abcdef"));
    assert_false(vault_is_sealed_name("sealed-0123456789abcdef0123456789abcdeF"));
    assert_false(vault_is_sealed_name("sealed-0123456789abcdef0123456789abcde"));
    assert_false(vault_is_sealed_name("sealed-0123456789abcdef0123456789abcdef0"));
    assert_false(vault_is_sealed_name("sealed-../../../../../../../../../../x"));
    assert_true(vault_is_item("dark-abc"));
    assert_true(vault_is_item("kept"));
    assert_false(vault_is_item("dark-abc.bak"));
    assert_false(vault_is_item("guards.bak"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_passphrase_encrypts_what_is_there_and_hides_its_names,
                                        begin, end),
        cmocka_unit_test_setup_teardown(without_the_passphrase_nothing_opens_and_nothing_changes,
                                        begin, end),
        cmocka_unit_test_setup_teardown(it_is_changed_and_taken_away, begin, end),
        cmocka_unit_test_setup_teardown(what_was_cut_off_goes_on_at_the_next_start, begin, end),
        cmocka_unit_test_setup_teardown(the_plain_bytes_are_overwritten, begin, end),
        cmocka_unit_test_setup_teardown(
            items_have_a_name_before_them_and_no_more_than_was_asked_for, begin, end),
        cmocka_unit_test(names_of_items_are_told_from_others),
        cmocka_unit_test_setup_teardown(what_others_put_there_is_not_taken, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
