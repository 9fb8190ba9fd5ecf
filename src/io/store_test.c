/*
 * store_test.c - the store on a real file: killed, locked, of another kind, version or program.
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

static void what_was_put_is_there_again_and_what_was_removed_is_not(void **state)
{
    uint8_t hash[STORE_HASH_LEN];
    (void)state;

    fill(THINGS);
    struct store *s = opened();
    (void)thing(7, hash);
    assert_int_equal(store_put(s, 1, hash, (struct slice){NULL, 0}), QUDAG_OK);
    assert_int_equal(store_put(s, 1, hash, (struct slice){NULL, 0}), QUDAG_OK); /* twice: no harm */
    store_close(s);
    s = opened();
    struct seen seen = look(s);
    assert_int_equal(seen.n, THINGS - 1);
    assert_false(seen.have[7]);
    store_close(s);
}

static qudag_err refuse_odd(void *ctx, uint8_t kind, const uint8_t *hash, struct slice value)
{
    unsigned i;
    (void)ctx;
    (void)kind;
    (void)hash;
    memcpy(&i, value.base, sizeof(i));
    return i % 2 == 0   ? QUDAG_OK
           : i % 4 == 1 ? QUDAG_EEXPIRED
           : i % 8 == 3 ? QUDAG_ENOMEM
                        : QUDAG_ECLOCK;
}

static void what_is_refused_at_start_is_removed_unless_memory_or_time_was_short(void **state)
{
    (void)state;
    fill(100);
    struct store *s = opened();
    assert_int_equal(store_each(s, refuse_odd, NULL), QUDAG_OK);
    assert_int_equal(look(s).n, 75);
    store_close(s);
}

/* Puts and commits until it is killed; tells the number of each thing after its commit. */
static void writer(int to)
{
    struct store *s;
    char why[STORE_WHY_LEN];
    uint16_t i, from = 0;

    if (try_open(&s, SIZE, why) != QUDAG_OK) {
        _exit(2);
    }
    struct seen *seen = calloc(1, sizeof(*seen));
    if (seen == NULL || store_each(s, see, seen) != QUDAG_OK) {
        _exit(3);
    }
    while (seen->have[from]) {
        from++;
    }
    for (i = from; i < 60000; i = (uint16_t)(i + 5)) {
        for (uint16_t one = i; one < i + 5; one++) {
            if (put(s, one) != QUDAG_OK) {
                _exit(4);
            }
        }
        if (store_commit(s) != QUDAG_OK || write(to, &i, sizeof(i)) != sizeof(i)) {
            _exit(5);
        }
    }
    _exit(0);
}

static void a_process_killed_at_any_moment_loses_nothing_it_acknowledged(void **state)
{
    unsigned told = 0, kills = 0;
    static bool must[65536];
    (void)state;

    memset(must, 0, sizeof(must));
    for (; kills < 25; kills++) {
        int pipe_fd[2], status;
        uint16_t i;
        assert_int_equal(pipe(pipe_fd), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            close(pipe_fd[0]);
            writer(pipe_fd[1]);
        }
        close(pipe_fd[1]);
        /* after some commits, then at any moment of the next */
        for (unsigned n = 0; n < 2 + (kills * 5) % 17; n++) {
            if (read(pipe_fd[0], &i, sizeof(i)) != sizeof(i)) {
                break;
            }
            for (unsigned one = i; one < i + 5u; one++) {
                must[one] = true;
            }
            told++;
        }
        for (volatile unsigned spin = 0; spin < kills * 9000u; spin++) {
        }
        assert_int_equal(kill(child, SIGKILL), 0);
        while (read(pipe_fd[0], &i, sizeof(i)) == sizeof(i)) { /* told before it died */
            for (unsigned one = i; one < i + 5u; one++) {
                must[one] = true;
            }
            told++;
        }
        close(pipe_fd[0]);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        struct store *s = opened();
        struct seen seen = look(s);
        struct store_stats st;
        store_stats_get(s, &st);
        assert_false(st.set_aside);
        assert_int_equal(st.bad_values, 0);
        for (unsigned one = 0; one < ARRAY_LEN(must); one++) {
            if (must[one] && !seen.have[one]) {
                fail_msg("kill %u: thing %u was told of and is gone", kills, one);
            }
        }
        store_close(s);
    }
    print_message("%u kills, %u commits told of, all there\n", kills, told);
    assert_true(told > 100);
}

static void a_file_of_another_kind_is_set_aside(void **state)
{
    static const uint8_t text[] = "this is no store, and it is longer than a few bytes are";
    unsigned n;
    struct store_stats st;
    (void)state;

    file_is(text, sizeof(text));
    use(&n, &st);
    assert_int_equal(n, 0);
    assert_true(st.set_aside);
}

/* What a program with SQLite can do to the file. */
static void alter(const char *sql)
{
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) {
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    }
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* The item that says whose file it is, as |owner|. */
static void owner_is(const char *owner)
{
    uint8_t key[33] = {0}, seq[8] = {0}, sum[32], all[100];
    struct slice text = {(const uint8_t *)owner, strlen(owner)};
    struct blake3_ctx c;
    sqlite3 *db = NULL;
    sqlite3_stmt *st = NULL;

    blake3_init(&c);
    blake3_update(&c, (struct slice){key, sizeof(key)});
    blake3_update(&c, (struct slice){seq, sizeof(seq)});
    blake3_update(&c, text);
    blake3_final(&c, sum);
    struct wr w = wr_init(all, sizeof(all));
    wr_bytes(&w, seq, sizeof(seq));
    wr_bytes(&w, sum, 8);
    wr_slice(&w, text);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "UPDATE item SET value = ?1 WHERE key = zeroblob(33)",
                                        -1, &st, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_bind_blob(st, 1, all, (int)w.len, SQLITE_STATIC), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_DONE);
    assert_int_equal(sqlite3_changes(db), 1);
    assert_int_equal(sqlite3_finalize(st), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* Refused with |words|, and not a byte of it is changed. */
static void is_refused(const char *words)
{
    size_t len, later;
    struct store *s;
    char why[STORE_WHY_LEN], file[160];
    uint8_t *before = whole_file(&len);

    assert_int_equal(try_open(&s, SIZE, why), QUDAG_EUNSUPPORTED);
    assert_null(s);
    print_message("%s\n", why);
    assert_non_null(strstr(why, words));
    assert_non_null(strstr(why, path));
    uint8_t *after = whole_file(&later);
    assert_int_equal(later, len);
    assert_memory_equal(after, before, len);
    snprintf(file, sizeof(file), "%s.broken", path);
    assert_int_equal(access(file, F_OK), -1);
    free(before);
    free(after);
}

static void a_file_of_another_version_is_left_alone(void **state)
{
    (void)state;
    fill(5);
    owner_is("qudag store 3");
    alter("PRAGMA user_version = 3");
    is_refused("newer version");
    alter("DROP TABLE item; CREATE TABLE other(x)"); /* whatever that version will have in it */
    is_refused("newer version");
    alter("PRAGMA user_version = 1");
    is_refused("another version");
}

static void a_database_of_another_program_is_left_alone(void **state)
{
    (void)state;
    alter("CREATE TABLE people(name, age); INSERT INTO people VALUES('a', 1)");
    is_refused("another program");
    alter("PRAGMA user_version = 2"); /* as ours has it */
    is_refused("another program");
    alter("PRAGMA journal_mode = WAL; INSERT INTO people VALUES('b', 2)");
    is_refused("another program");
}

/* Ours by its head, with something in it that we never make. */
static void a_file_with_anything_but_our_table_is_set_aside(void **state)
{
    static const char *const sql[] = {
        "CREATE TRIGGER t AFTER INSERT ON item BEGIN DELETE FROM item; END",
        "CREATE TABLE more(x)",
        "CREATE VIEW v AS SELECT * FROM item",
        "DELETE FROM item WHERE key = zeroblob(33)",
    };
    struct store_stats st;
    unsigned n;
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(sql); i++) {
        fill(20);
        alter(sql[i]);
        use(&n, &st);
        assert_true(st.set_aside);
        assert_int_equal(n, 20);
        assert_int_equal(st.salvaged, 20);
        forget_broken();
        (void)unlink(path);
    }
}

static void files_are_for_the_owner_alone(void **state)
{
    static const char *const name[] = {"", "-wal", "-shm"};
    mode_t before = umask(0);
    (void)state;

    struct store *s = opened();
    assert_int_equal(put(s, 1), QUDAG_OK);
    assert_int_equal(store_commit(s), QUDAG_OK);
    for (size_t i = 0; i < ARRAY_LEN(name); i++) {
        char file[128];
        struct stat st;
        snprintf(file, sizeof(file), "%s%s", path, name[i]);
        assert_int_equal(stat(file, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
    store_close(s);
    (void)umask(before);
}

static void a_store_of_earlier_days_is_said_in_the_log(void **state)
{
    char old[160];
    (void)state;

    assert_int_equal(said_at_start("store.old_file"), 0);
    snprintf(old, sizeof(old), "%s/dht.mdb", dir);
    int fd = open(old, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(said_at_start("store.old_file"), 1);
    assert_int_equal(access(old, F_OK), 0);
}

static void one_store_has_one_user(void **state)
{
    struct store *s = opened(), *second;
    char why[STORE_WHY_LEN];
    (void)state;

    assert_int_equal(try_open(&second, SIZE, why), QUDAG_EEXISTS);
    assert_null(second);
    assert_non_null(strstr(why, "another process is using the store"));
    store_close(s);
    store_close(opened());
}

static void an_unusable_folder_is_reported_in_a_sentence(void **state)
{
    struct store *s;
    char why[STORE_WHY_LEN], file[128];
    struct store_config c = {.dir = file, .size_max = SIZE};
    (void)state;

    snprintf(file, sizeof(file), "%s/no/such", dir);
    assert_int_equal(store_open(&s, &c, why), QUDAG_ESYSTEM);
    assert_non_null(strstr(why, "No such file"));
    snprintf(file, sizeof(file), "%s/other", dir); /* a file where a folder should be */
    int fd = open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(store_open(&s, &c, why), QUDAG_ESYSTEM);
    assert_non_null(strstr(why, "Not a directory"));
    snprintf(file, sizeof(file), "/proc/self"); /* where nobody can write, root neither */
    assert_int_equal(store_open(&s, &c, why), QUDAG_ESYSTEM);
    print_message("%s\n", why);
    assert_non_null(strstr(why, "cannot write to"));
}

/* A new identity that went on with the old one's store would be linked to it by everybody. */
static void a_store_is_one_owners(void **state)
{
    static const uint8_t mine[STORE_OWNER_LEN] = {1}, theirs[STORE_OWNER_LEN] = {2};
    char why[STORE_WHY_LEN], file[128];
    struct store *s;
    struct store_config c = {.dir = dir, .owner = mine, .size_max = SIZE};
    (void)state;
    store_close(opened()); /* nobody's: whoever comes first */
    for (int i = 0; i < 2; i++) {
        assert_int_equal(store_open(&s, &c, why), QUDAG_OK);
        store_close(s);
    }
    c.owner = theirs;
    assert_int_equal(store_open(&s, &c, why), QUDAG_EAUTH);
    assert_non_null(strstr(why, "another identity"));
    assert_null(s);
    file_is((const uint8_t *)"damage", 6); /* what becomes of the file changes nothing */
    assert_int_equal(store_open(&s, &c, why), QUDAG_EAUTH);
    snprintf(file, sizeof(file), "%s/dht.db", dir);
    assert_int_equal(unlink(file), 0);
    assert_int_equal(store_open(&s, &c, why),
                     QUDAG_OK); /* there is nothing of the old one any more */
    store_close(s);
    c.owner = mine;
    assert_int_equal(store_open(&s, &c, why), QUDAG_EAUTH);
}

int main(void)
{
#define IN_DIR(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)
    const struct CMUnitTest tests[] = {
        IN_DIR(what_was_put_is_there_again_and_what_was_removed_is_not),
        IN_DIR(what_is_refused_at_start_is_removed_unless_memory_or_time_was_short),
        IN_DIR(a_process_killed_at_any_moment_loses_nothing_it_acknowledged),
        IN_DIR(a_file_of_another_kind_is_set_aside),
        IN_DIR(a_file_of_another_version_is_left_alone),
        IN_DIR(a_database_of_another_program_is_left_alone),
        IN_DIR(a_file_with_anything_but_our_table_is_set_aside),
        IN_DIR(files_are_for_the_owner_alone),
        IN_DIR(a_store_of_earlier_days_is_said_in_the_log),
        IN_DIR(one_store_has_one_user),
        IN_DIR(a_store_is_one_owners),
        IN_DIR(an_unusable_folder_is_reported_in_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
