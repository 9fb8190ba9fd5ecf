/*
 * store_damage_test.c - the store on a file that was cut or damaged, or its log.
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

static void a_file_truncated_anywhere_is_set_aside_and_intact_items_are_salvaged(void **state)
{
    size_t len;
    unsigned saved, aside = 0, most = 0, cuts = 0;
    struct store_stats st;
    (void)state;

    fill(THINGS);
    uint8_t *all = whole_file(&len);
    for (size_t cut = 0; cut < len; cut += cut < 20000 ? 997 : 40961) {
        file_is(all, cut);
        use(&saved, &st);
        aside += st.set_aside ? 1 : 0;
        most = saved > most ? saved : most;
        cuts++;
        forget_broken();
    }
    print_message("%u lengths, %u set aside, up to %u of %u saved\n", cuts, aside, most, THINGS);
    assert_true(aside > 10);
    assert_true(most > THINGS / 2);
    free(all);
}

static void wrong_bytes_anywhere_never_crash_and_are_never_accepted(void **state)
{
    size_t len;
    uint64_t x = 88172645463325252u;
    unsigned n, aside = 0, bad = 0, least = THINGS;
    struct store_stats st;
    (void)state;

    fill(THINGS);
    uint8_t *all = whole_file(&len);
    uint8_t *copy = malloc(len);
    assert_non_null(copy);
    for (unsigned round = 0; round < ROUNDS; round++) {
        memcpy(copy, all, len);
        for (unsigned hit = 0; hit < 1 + round % 4; hit++) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            /* every third among the heads of pages, where it hurts */
            size_t at = (size_t)(x >> 8) % len;
            at = round % 3 == 0 ? at / 4096 * 4096 + at % 24 : at;
            copy[at] = (uint8_t)(copy[at] ^ (1 + (x & 0x7f)));
        }
        file_is(copy, len);
        use(&n, &st); /* look() fails on anything that is not as it was put */
        aside += st.set_aside ? 1 : 0;
        bad += (unsigned)st.bad_values;
        least = n < least ? n : least;
        forget_broken();
    }
    print_message("%d damaged files: %u set aside, %u values refused, at least %u of %u there\n",
                  ROUNDS, aside, bad, least, THINGS);
    assert_true(aside > 10);
    assert_true(bad > 10);
    free(all);
    free(copy);
}

static unsigned rows_readable(const char *file, unsigned n)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *st = NULL;
    unsigned good = 0;

    assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_prepare_v2(db, "SELECT value FROM item WHERE rowid = ?1", -1, &st, NULL),
        SQLITE_OK);
    for (unsigned row = 1; row <= n; row++) {
        assert_int_equal(sqlite3_bind_int(st, 1, (int)row), SQLITE_OK);
        good += sqlite3_step(st) == SQLITE_ROW ? 1 : 0;
        (void)sqlite3_reset(st);
    }
    assert_int_equal(sqlite3_finalize(st), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    return good;
}

static qudag_err count_one(void *ctx, uint8_t kind, const uint8_t *hash, struct slice value)
{
    (void)kind;
    (void)hash;
    *(unsigned *)ctx += value.len == 20 ? 1 : 0;
    return QUDAG_OK;
}

/* Some fifty small items lie on a page; pages in the middle are gone. */
static void every_item_that_can_be_read_is_saved_on_both_sides_of_a_hole(void **state)
{
    enum { SMALL = 3000 };
    static const unsigned holes[] = {1, 2, 3, 5, 9};
    uint8_t hash[STORE_HASH_LEN], value[20] = {7};
    size_t len;
    (void)state;

    struct store *s = opened();
    for (unsigned i = 0; i < SMALL; i++) {
        (void)thing(i, hash);
        assert_int_equal(store_put(s, 1, hash, (struct slice){value, sizeof(value)}), QUDAG_OK);
    }
    store_close(s);
    uint8_t *all = whole_file(&len);
    for (size_t h = 0; h < ARRAY_LEN(holes); h++) {
        char broken[160];
        struct store_stats st;
        unsigned n = 0;
        uint8_t *copy = malloc(len);
        assert_non_null(copy);
        memcpy(copy, all, len);
        memset(copy + len / 8192 * 4096, 0, (size_t)holes[h] * 4096);
        file_is(copy, len);
        free(copy);
        s = opened();
        assert_int_equal(store_each(s, count_one, &n), QUDAG_OK);
        store_stats_get(s, &st);
        store_close(s);
        snprintf(broken, sizeof(broken), "%s.broken", path);
        unsigned readable = rows_readable(broken, SMALL + 1) - 1; /* one says whose file it is */
        print_message("%u pages gone: %u of %d saved\n", holes[h], n, SMALL);
        assert_true(st.set_aside);
        assert_true(readable < SMALL);
        assert_int_equal(n, readable);
        forget_broken();
    }
    free(all);
}

static void dies_after(unsigned from, unsigned n)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct store *s;
        char why[STORE_WHY_LEN];
        if (try_open(&s, SIZE, why) != QUDAG_OK) {
            _exit(1);
        }
        for (unsigned i = from; i < from + n; i++) {
            if (put(s, i) != QUDAG_OK || store_commit(s) != QUDAG_OK) {
                _exit(2);
            }
        }
        (void)kill(getpid(), SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
}

/* Wrong bytes in the log of a process that died: what they cost is in the log of the program. */
static void wrong_bytes_in_the_log_cost_no_more_than_what_follows_them(void **state)
{
    char log_path[160];
    struct store_stats st;
    size_t len, log_len;
    unsigned n, most = 0, least = THINGS;
    (void)state;

    snprintf(log_path, sizeof(log_path), "%s-wal", path);
    dies_after(0, 100);
    uint8_t *all = whole_file(&len);
    char db_path[128];
    memcpy(db_path, path, sizeof(db_path));
    memcpy(path, log_path, sizeof(path)); /* the helpers know one path */
    uint8_t *log = whole_file(&log_len);
    for (unsigned round = 0; round < 60; round++) {
        size_t at = round * 7919u * 131u % (log_len - STORE_RESERVE);
        memcpy(path, log_path, sizeof(path));
        log[at] ^= 0x21;
        file_is(log, log_len);
        log[at] ^= 0x21;
        memcpy(path, db_path, sizeof(path));
        file_is(all, len);
        use(&n, &st);
        assert_int_equal(st.bad_values, 0);
        assert_false(st.set_aside);
        assert_int_equal(st.log_lost > 0, n < 100);
        most = n > most ? n : most;
        least = n < least ? n : least;
    }
    print_message("60 damaged logs: %u to %u of 100 there\n", least, most);
    assert_true(most >= 90);
    free(all);
    free(log);
}

/* One wrong byte in the file behind |path|. */
static void spoil(const char *file, long at)
{
    FILE *f = fopen(file, "r+b");

    assert_non_null(f);
    assert_int_equal(fseek(f, at, SEEK_SET), 0);
    int c = fgetc(f);
    assert_true(c != EOF);
    assert_int_equal(fseek(f, at, SEEK_SET), 0);
    assert_int_equal(fputc(c ^ 0x40, f), c ^ 0x40);
    assert_int_equal(fclose(f), 0);
}

static void damage_in_the_log_is_said_once(void **state)
{
    char log_path[160];
    (void)state;

    snprintf(log_path, sizeof(log_path), "%s-wal", path);
    dies_after(0, 40); /* killed, and nothing more: all that was acknowledged is there */
    assert_int_equal(said_at_start("store.log_damaged"), 0);
    dies_after(40, 60);
    spoil(log_path, 32 + 20 * 4120 + 2000); /* a page in the midst */
    assert_int_equal(said_at_start("store.log_damaged"), 1);
    assert_int_equal(said_at_start("store.log_damaged"), 0);
    dies_after(40, 60);
    spoil(log_path, 8); /* the head: all of it */
    assert_int_equal(said_at_start("store.log_damaged"), 1);
    assert_int_equal(said_at_start("store.log_damaged"), 0);
}

/* Pages of a log with a wrong head, which SQLite reads nothing of: what of them was committed is missing. */
static void only_commits_of_the_present_log_are_missed(void **state)
{
    static const struct {
        const char *pages; /* c: ends a commit, p: does not, o: ends one of the time before */
        uint32_t whole, lost;
    } row[] = {
        {"", 0, 0},    {"pp", 0, 0},  {"pc", 0, 2},    {"pcpp", 0, 2},
        {"pcc", 2, 1}, {"pco", 2, 0}, {"pcooo", 0, 2}, {"pcopc", 2, 3},
    };
    static uint8_t log[STORE_FRAME * 8];
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        size_t n = strlen(row[i].pages), len = 32 + n * STORE_FRAME;
        memset(log, 0, sizeof(log));
        memset(log, 0x55, 32);
        for (size_t p = 0; p < n; p++) {
            uint8_t *page = log + 32 + p * STORE_FRAME;
            page[7] = row[i].pages[p] == 'p' ? 0 : 9;
            memset(page + 8, row[i].pages[p] == 'o' ? 1 : 2, 8);
        }
        file_is(log, len);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        assert_int_equal(store_log_lost(fd, row[i].whole), row[i].lost);
        close(fd);
    }
    assert_int_equal(unlink(path), 0);
}

static void a_file_damaged_while_in_use_is_set_aside_and_everything_is_written_again(void **state)
{
    size_t len;
    struct store_stats st;
    (void)state;

    fill(THINGS);
    uint8_t *all = whole_file(&len);
    struct store *s = opened();
    struct seen seen = look(s);
    assert_int_equal(seen.n, THINGS);
    int fd = open(path, O_WRONLY | O_CLOEXEC); /* another program has written over it */
    assert_true(fd >= 0);
    memset(all, 0xa5, len);
    assert_int_equal(pwrite(fd, all, len - 4096, 4096), (ssize_t)(len - 4096));
    close(fd);
    unsigned i = 0;
    while (i < THINGS && put(s, i) == QUDAG_OK && store_commit(s) == QUDAG_OK) {
        i++;
    }
    assert_true(i < THINGS);
    assert_true(store_retry(s)); /* all is wanted anew */
    for (i = 0; i < THINGS; i++) {
        assert_int_equal(put(s, i), QUDAG_OK);
    }
    assert_int_equal(store_renewed(s), QUDAG_OK);
    store_stats_get(s, &st);
    assert_true(st.set_aside);
    store_close(s);
    s = opened();
    assert_int_equal(look(s).n, THINGS);
    store_close(s);
    free(all);
}

int main(void)
{
#define IN_DIR(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)
    const struct CMUnitTest tests[] = {
        IN_DIR(a_file_truncated_anywhere_is_set_aside_and_intact_items_are_salvaged),
        IN_DIR(wrong_bytes_anywhere_never_crash_and_are_never_accepted),
        IN_DIR(every_item_that_can_be_read_is_saved_on_both_sides_of_a_hole),
        IN_DIR(damage_in_the_log_is_said_once),
        IN_DIR(only_commits_of_the_present_log_are_missed),
        IN_DIR(wrong_bytes_in_the_log_cost_no_more_than_what_follows_them),
        IN_DIR(a_file_damaged_while_in_use_is_set_aside_and_everything_is_written_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
