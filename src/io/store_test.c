/*
 * store_test.c - the store on a real file: killed, cut, damaged, locked, full.
 *
 * TEST: timeout=120
 */
#include "io/store_int.h"

#include "base/wr.h"
#include "crypto/hash.h"

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

#define MIB (1024u * 1024)
#define SIZE (64u * MIB)
#define THINGS 300
#define ROUNDS 200 /* of damage */

static char dir[64], path[128];

struct seen {
    unsigned n, wrong;
    bool have[65536];
};

static int make_dir(void **state)
{
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/qudag-store-XXXXXX");
    if (mkdtemp(dir) == NULL) {
        return -1;
    }
    snprintf(path, sizeof(path), "%s/dht.db", dir);
    return 0;
}

static int remove_dir(void **state)
{
    char file[400];
    struct dirent *e;
    (void)state;

    (void)chmod(dir, 0700);
    DIR *d = opendir(dir);
    while (d != NULL && (e = readdir(d)) != NULL) {
        snprintf(file, sizeof(file), "%s/%s", dir, e->d_name);
        (void)unlink(file);
    }
    (void)closedir(d);
    return rmdir(dir);
}

static qudag_err try_open(struct store **s, uint64_t size, char *why)
{
    struct store_config c = {.dir = dir, .size_max = size};
    return store_open(s, &c, why);
}

static struct store *opened(void)
{
    struct store *s;
    char why[STORE_WHY_LEN];
    qudag_err err = try_open(&s, SIZE, why);

    if (err != QUDAG_OK) {
        fail_msg("%s", why);
    }
    return s;
}

/* Thing |i|: its number, then bytes that follow from it, up to 8 KiB. */
static struct slice thing(unsigned i, uint8_t hash[STORE_HASH_LEN])
{
    static uint8_t buf[9000];
    size_t len = 8 + (size_t)i * 7919 % 8192;

    memset(hash, 0, STORE_HASH_LEN);
    for (unsigned b = 0; b < 4; b++) { /* spread, as hashes are */
        hash[b] = (uint8_t)((i * 2654435761u) >> (8 * b));
    }
    memcpy(hash + 8, &i, sizeof(i));
    memcpy(buf, &i, sizeof(i));
    for (size_t at = 4; at < len; at++) {
        buf[at] = (uint8_t)(i + at);
    }
    return (struct slice){buf, len};
}

static qudag_err put(struct store *s, unsigned i)
{
    uint8_t hash[STORE_HASH_LEN];
    struct slice v = thing(i, hash);

    return store_put(s, 1, hash, v);
}

static qudag_err see(void *ctx, uint8_t kind, const uint8_t *hash, struct slice value)
{
    struct seen *seen = ctx;
    uint8_t want_hash[STORE_HASH_LEN];
    unsigned i = 0;

    memcpy(&i, value.base, value.len >= sizeof(i) ? sizeof(i) : 0);
    struct slice want = thing(i, want_hash);
    bool right = kind == 1 && i < ARRAY_LEN(seen->have) && value.len == want.len &&
                 memcmp(value.base, want.base, want.len) == 0 &&
                 memcmp(hash, want_hash, STORE_HASH_LEN) == 0;
    seen->n++;
    seen->wrong += right ? 0 : 1;
    if (right) {
        seen->have[i] = true;
    }
    return QUDAG_OK;
}

static struct seen look(struct store *s)
{
    static struct seen seen;

    memset(&seen, 0, sizeof(seen));
    assert_int_equal(store_each(s, see, &seen), QUDAG_OK);
    assert_int_equal(seen.wrong, 0);
    return seen;
}

static void fill(unsigned n)
{
    struct store *s = opened();

    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(put(s, i), QUDAG_OK);
        if (i % 10 == 9) {
            assert_int_equal(store_commit(s), QUDAG_OK);
        }
    }
    store_close(s);
}

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

static uint8_t *whole_file(size_t *len)
{
    FILE *f = fopen(path, "rb");
    struct stat st;

    assert_non_null(f);
    assert_int_equal(fstat(fileno(f), &st), 0);
    *len = (size_t)st.st_size;
    uint8_t *all = malloc(*len);
    assert_non_null(all);
    assert_int_equal(fread(all, 1, *len, f), *len);
    (void)fclose(f);
    return all;
}

static void file_is(const uint8_t *bytes, size_t len)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

static void forget_broken(void)
{
    char broken[160];

    for (int i = 1; i < 10; i++) {
        for (int log = 0; log < 2; log++) {
            int n =
                snprintf(broken, sizeof(broken), i == 1 ? "%s.broken" : "%s.broken.%d", path, i);
            snprintf(broken + n, sizeof(broken) - (size_t)n, "%s", log ? "-wal" : "");
            (void)unlink(broken);
        }
    }
}

/* Opens whatever lies there, looks at all of it, and writes; *seen and *st tell what was found. */
static void use(unsigned *n, struct store_stats *st)
{
    struct store *s = opened();

    *n = look(s).n;
    store_stats_get(s, st);
    assert_int_equal(put(s, 60000), QUDAG_OK);
    assert_int_equal(store_commit(s), QUDAG_OK);
    store_close(s);
}

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

struct said {
    const char *event;
    unsigned n;
};

static void take_event(void *ctx, const struct log_record *rec)
{
    struct said *said = ctx;

    said->n += strcmp(rec->event, said->event) == 0 ? 1 : 0;
}

/* The events |what| at a start. */
static unsigned said_at_start(const char *what)
{
    char why[STORE_WHY_LEN];
    struct said said = {.event = what};
    struct store *s;
    struct store_config c = {
        .dir = dir, .size_max = SIZE, .log = {.emit = take_event, .ctx = &said, .level = LOG_WARN}};

    assert_int_equal(store_open(&s, &c, why), QUDAG_OK);
    store_close(s);
    return said.n;
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

/* A process that puts |n| things from |from| on, one commit each, and dies: its log is not moved into the file. */
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

/* The limit of a file's size stands for a full disk: the system refuses to let it grow. */
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
        IN_DIR(what_was_put_is_there_again_and_what_was_removed_is_not),
        IN_DIR(what_is_refused_at_start_is_removed_unless_memory_or_time_was_short),
        IN_DIR(a_process_killed_at_any_moment_loses_nothing_it_acknowledged),
        IN_DIR(a_file_truncated_anywhere_is_set_aside_and_intact_items_are_salvaged),
        IN_DIR(wrong_bytes_anywhere_never_crash_and_are_never_accepted),
        IN_DIR(every_item_that_can_be_read_is_saved_on_both_sides_of_a_hole),
        IN_DIR(a_file_of_another_kind_is_set_aside),
        IN_DIR(a_file_of_another_version_is_left_alone),
        IN_DIR(a_database_of_another_program_is_left_alone),
        IN_DIR(a_file_with_anything_but_our_table_is_set_aside),
        IN_DIR(files_are_for_the_owner_alone),
        IN_DIR(a_store_of_earlier_days_is_said_in_the_log),
        IN_DIR(damage_in_the_log_is_said_once),
        IN_DIR(only_commits_of_the_present_log_are_missed),
        IN_DIR(wrong_bytes_in_the_log_cost_no_more_than_what_follows_them),
        IN_DIR(a_file_damaged_while_in_use_is_set_aside_and_everything_is_written_again),
        IN_DIR(one_store_has_one_user),
        IN_DIR(an_unusable_folder_is_reported_in_a_sentence),
        IN_DIR(a_full_disk_stops_new_things_before_any_is_lost),
        IN_DIR(a_store_without_space_reports_it_and_takes_everything_again_later),
        IN_DIR(what_ended_while_nothing_could_be_written_is_not_there_later),
        IN_DIR(a_long_transaction_is_committed_on_the_way),
        IN_DIR(a_key_of_another_length_is_not_handed_out),
        IN_DIR(a_name_too_long_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
