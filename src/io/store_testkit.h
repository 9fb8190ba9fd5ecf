/* store_testkit.h - a folder with a store, and items for it; to be included behind cmocka.h. */
#ifndef QUDAG_SRC_IO_STORE_TESTKIT_H
#define QUDAG_SRC_IO_STORE_TESTKIT_H

#include "io/store_int.h"

#include "base/wr.h"
#include "crypto/hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MIB (1024u * 1024)
#define SIZE (64u * MIB)
#define THINGS 300
#define ROUNDS 200 /* of damage */

static char dir[64], path[128];

struct seen {
    unsigned n, wrong;
    bool have[65536];
};

static inline int make_dir(void **state)
{
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/qudag-store-XXXXXX");
    if (mkdtemp(dir) == NULL) {
        return -1;
    }
    snprintf(path, sizeof(path), "%s/dht.db", dir);
    return 0;
}

static inline int remove_dir(void **state)
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

static inline qudag_err try_open(struct store **s, uint64_t size, char *why)
{
    struct store_config c = {.dir = dir, .size_max = size};
    return store_open(s, &c, why);
}

static inline struct store *opened(void)
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
static inline struct slice thing(unsigned i, uint8_t hash[STORE_HASH_LEN])
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

static inline qudag_err put(struct store *s, unsigned i)
{
    uint8_t hash[STORE_HASH_LEN];
    struct slice v = thing(i, hash);

    return store_put(s, 1, hash, v);
}

static inline qudag_err see(void *ctx, uint8_t kind, const uint8_t *hash, struct slice value)
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

static inline struct seen look(struct store *s)
{
    static struct seen seen;

    memset(&seen, 0, sizeof(seen));
    assert_int_equal(store_each(s, see, &seen), QUDAG_OK);
    assert_int_equal(seen.wrong, 0);
    return seen;
}

static inline void fill(unsigned n)
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

static inline uint8_t *whole_file(size_t *len)
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

static inline void file_is(const uint8_t *bytes, size_t len)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

static inline void forget_broken(void)
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
static inline void use(unsigned *n, struct store_stats *st)
{
    struct store *s = opened();

    *n = look(s).n;
    store_stats_get(s, st);
    assert_int_equal(put(s, 60000), QUDAG_OK);
    assert_int_equal(store_commit(s), QUDAG_OK);
    store_close(s);
}

struct said {
    const char *event;
    unsigned n;
};

static inline void take_event(void *ctx, const struct log_record *rec)
{
    struct said *said = ctx;

    said->n += strcmp(rec->event, said->event) == 0 ? 1 : 0;
}

/* The events |what| at a start. */
static inline unsigned said_at_start(const char *what)
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

#endif
