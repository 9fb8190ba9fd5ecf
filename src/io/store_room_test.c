/*
 * store_room_test.c - the store on a disk that is full, and within its limits.
 *
 * TEST: timeout=120
 */
#include "io/store_int.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/store_testkit.h"

static void file_limit(rlim_t bytes)
{
    struct rlimit l;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &l), 0);
    l.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &l), 0);
}

static void a_full_disk_stops_new_things_before_any_is_lost(void **state)
{
    (void)state;
    (void)signal(SIGXFSZ, SIG_IGN);
    struct store *s = opened();
    unsigned n = 0;
    file_limit(8 * MIB);
    while (n < 5000 && put(s, n) == QUDAG_OK && store_commit(s) == QUDAG_OK && store_room(s)) {
        n++;
    }
    assert_true(n > 100 && n < 5000);
    assert_int_equal(store_commit(s), QUDAG_OK); /* the last, taken before it was known, is kept */
    assert_false(store_retry(s));
    assert_false(store_room(s));
    print_message("no room for more after %u things\n", n);
    /* a turn's worth still goes in: what was taken before the word got around */
    assert_int_equal(put(s, n + 1), QUDAG_ELIMIT); /* taken, but nothing more should come */
    for (unsigned more = 2; more <= 40; more++) {
        (void)put(s, n + more);
    }
    assert_int_equal(store_commit(s), QUDAG_OK);
    struct store_stats st;
    store_stats_get(s, &st);
    assert_int_equal(st.failures, 0);
    file_limit(RLIM_INFINITY);
    assert_false(store_retry(s)); /* nothing was lost: nothing to be put anew */
    assert_true(store_room(s));
    assert_int_equal(look(s).n, n + 41);
    store_close(s);
}

static void a_store_without_space_reports_it_and_takes_everything_again_later(void **state)
{
    struct store *s;
    char why[STORE_WHY_LEN];
    unsigned n = 0;
    (void)state;

    assert_int_equal(try_open(&s, MIB, why), QUDAG_OK);
    while (n < 5000 && put(s, n) == QUDAG_OK && store_commit(s) == QUDAG_OK) {
        n++;
    }
    struct store_stats st;
    store_stats_get(s, &st);
    assert_int_equal(st.failures, 1);
    assert_false(store_room(s));
    assert_int_equal(put(s, 1), QUDAG_ELIMIT); /* nothing is half taken */
    assert_true(store_retry(s));               /* the caller puts all there is */
    assert_true(store_room(s));
    struct seen seen = look(s);
    for (unsigned i = 0; i + 40 < n; i++) {
        assert_true(seen.have[i]); /* what was committed has stayed */
    }
    store_close(s);
}

static void remove_thing(struct store *s, unsigned i, qudag_err expected)
{
    uint8_t hash[STORE_HASH_LEN];

    (void)thing(i, hash);
    assert_int_equal(store_put(s, 1, hash, (struct slice){NULL, 0}), expected);
}

static void what_ended_while_nothing_could_be_written_is_not_there_later(void **state)
{
    enum { N = 10, ENDED = 3 };
    (void)state;

    (void)signal(SIGXFSZ, SIG_IGN);
    for (unsigned known = 0; known < 3; known++) {
        struct store *s = opened();
        if (known != 0) { /* else what the file holds was never handed out, and is left alone */
            (void)look(s);
        }
        for (unsigned i = 0; i < N; i++) {
            assert_int_equal(put(s, i), QUDAG_OK);
        }
        assert_int_equal(store_commit(s), QUDAG_OK);
        if (known == 2) { /* what is of an earlier run counts as older, too */
            store_close(s);
            s = opened();
            assert_int_equal(look(s).n, N);
        }
        file_limit(0);
        (void)put(s, N);
        assert_int_not_equal(store_commit(s), QUDAG_OK);
        remove_thing(s, ENDED, QUDAG_ELIMIT);
        file_limit(RLIM_INFINITY);
        assert_true(store_retry(s));
        for (unsigned i = 0; i <= N; i++) {
            assert_int_equal(i == ENDED ? QUDAG_OK : put(s, i), QUDAG_OK);
        }
        assert_int_equal(store_renewed(s), QUDAG_OK);
        store_close(s);
        s = opened();
        struct seen seen = look(s);
        assert_int_equal(seen.n, known != 0 ? N : N + 1);
        assert_int_equal(seen.have[ENDED], known == 0);
        for (unsigned i = 0; i <= N; i++) { /* empty for the next round */
            remove_thing(s, i, QUDAG_OK);
        }
        store_close(s);
    }
}

/* As much as is held in advance, no more: what is put is committed on the way. */
static void a_long_transaction_is_committed_on_the_way(void **state)
{
    static uint8_t big[STORE_VALUE_MAX];
    struct store_stats before, after;
    uint8_t hash[STORE_HASH_LEN] = {0};
    (void)state;

    struct store *s = opened();
    store_stats_get(s, &before);
    for (uint8_t i = 0; i < STORE_RESERVE / sizeof(big); i++) {
        hash[0] = i;
        assert_int_equal(store_put(s, 1, hash, (struct slice){big, sizeof(big)}), QUDAG_OK);
    }
    store_stats_get(s, &after);
    assert_true(after.commits > before.commits);
    store_close(s);
}

/* A key one byte too long, behind a value that is right for the rest of it. */
static void a_key_of_another_length_is_not_handed_out(void **state)
{
    struct store_stats st;
    sqlite3 *db;
    (void)state;

    fill(10);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "INSERT INTO item SELECT CAST(key || x'00' AS BLOB), value "
                                  "FROM item WHERE hex(key) LIKE '01%' LIMIT 1",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_changes(db), 1);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    struct store *s = opened();
    assert_int_equal(look(s).n, 10);
    store_stats_get(s, &st);
    assert_int_equal(st.bad_values, 1);
    store_close(s);
}

static void a_name_too_long_is_refused(void **state)
{
    static char name[4000];
    struct store_config c = {.dir = name, .size_max = SIZE};
    char why[STORE_WHY_LEN];
    struct store *s;
    (void)state;

    memset(name, 'a', sizeof(name) - 1);
    name[0] = '/';
    assert_int_equal(store_open(&s, &c, why), QUDAG_EINVAL);
    assert_non_null(strstr(why, "too long"));
}

int main(void)
{
#define IN_DIR(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)
    const struct CMUnitTest tests[] = {
        IN_DIR(a_full_disk_stops_new_things_before_any_is_lost),
        IN_DIR(a_store_without_space_reports_it_and_takes_everything_again_later),
        IN_DIR(what_ended_while_nothing_could_be_written_is_not_there_later),
        IN_DIR(a_long_transaction_is_committed_on_the_way),
        IN_DIR(a_key_of_another_length_is_not_handed_out),
        IN_DIR(a_name_too_long_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
