/*
 * store_fuzz.c - a store with wrong bytes in the file, or in its log: it opens or is refused, and what is handed
 * out is as it was put.
 *
 * TEST: timeout=300
 */
#include "io/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ITEMS 60

static char dir[64], file_path[96], log_path[96];
static uint8_t *file, *wal; /* sound ones, to be damaged */
static size_t file_len, wal_len;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void die(const char *what)
{
    (void)fprintf(stderr, "%s\n", what);
    abort();
}

/* Item |i|: its number, then bytes that follow from it; some take pages of their own. */
static struct slice item(uint8_t i, uint8_t hash[STORE_HASH_LEN])
{
    static uint8_t buf[9000];
    size_t len = 8 + (size_t)i * 7919 % (i % 7 == 0 ? 8192 : 700);

    memset(hash, i * 37, STORE_HASH_LEN);
    hash[31] = i;
    for (size_t at = 0; at < len; at++) {
        buf[at] = (uint8_t)(i + at);
    }
    return (struct slice){buf, len};
}

static qudag_err see(void *ctx, uint8_t kind, const uint8_t *hash, struct slice value)
{
    uint8_t want_hash[STORE_HASH_LEN];
    unsigned *n = ctx;
    struct slice want = item(hash[31], want_hash);

    if (kind != 1 || memcmp(hash, want_hash, sizeof(want_hash)) != 0 || value.len != want.len ||
        memcmp(value.base, want.base, want.len) != 0) {
        die("something else was handed out than was put");
    }
    (*n)++;
    return QUDAG_OK;
}

static qudag_err open_store(struct store **s)
{
    struct store_config c = {.dir = dir, .size_max = 1 << 26};
    char why[STORE_WHY_LEN];

    return store_open(s, &c, why);
}

static void put(struct store *s, uint8_t i)
{
    uint8_t hash[STORE_HASH_LEN];
    struct slice v = item(i, hash);

    if (store_put(s, 1, hash, v) != QUDAG_OK || store_commit(s) != QUDAG_OK) {
        die("a sound store cannot be written to");
    }
}

static uint8_t *read_file(const char *path, size_t *len)
{
    FILE *f = fopen(path, "rb");
    uint8_t *all = malloc(1 << 22);

    if (f == NULL || all == NULL) {
        die("no file");
    }
    *len = fread(all, 1, 1 << 22, f);
    (void)fclose(f);
    return all;
}

static void write_file(const char *path, const uint8_t *bytes, size_t len)
{
    FILE *f = fopen(path, "wb");

    if (f == NULL || fwrite(bytes, 1, len, f) != len || fclose(f) != 0) {
        die("no file");
    }
}

/* Half of the items in the file, the other half in its log. */
static void begin(void)
{
    struct store *s;

    (void)snprintf(dir, sizeof(dir), "%s/qudag-fuzz-store-%ld",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", (long)getpid());
    (void)snprintf(file_path, sizeof(file_path), "%s/dht.db", dir);
    (void)snprintf(log_path, sizeof(log_path), "%s/dht.db-wal", dir);
    if (open_store(&s) != QUDAG_OK) {
        die("no store");
    }
    for (uint8_t i = 0; i < ITEMS / 2; i++) {
        put(s, i);
    }
    store_close(s);
    if (open_store(&s) != QUDAG_OK) {
        die("no store");
    }
    for (uint8_t i = ITEMS / 2; i < ITEMS; i++) {
        put(s, i);
    }
    file = read_file(file_path, &file_len);
    wal = read_file(log_path, &wal_len);
    wal_len -= STORE_RESERVE; /* held in advance, and empty */
    store_close(s);
}

static void clean(void)
{
    static const char *const name[] = {"dht.db",        "dht.db-wal",        "dht.db-shm",
                                       "dht.db.broken", "dht.db.broken-wal", "dht.lock"};
    char path[160];

    for (size_t i = 0; i < ARRAY_LEN(name); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", dir, name[i]);
        (void)unlink(path);
    }
    (void)rmdir(dir);
}

/* Changes: place (3 bytes), byte; an odd length cuts it. */
static void damaged(const char *path, const uint8_t *sound, size_t len, const uint8_t *data,
                    size_t size)
{
    uint8_t *bytes = malloc(len);

    if (bytes == NULL) {
        die("no memory");
    }
    memcpy(bytes, sound, len);
    for (size_t i = 0; i + 4 <= size && i < 400; i += 4) {
        size_t at = (size_t)data[i] << 16 | (size_t)data[i + 1] << 8 | data[i + 2];
        at = (data[i] & 1) != 0 ? at % 64 * 4096 + at / 64 % 128 : at; /* heads of pages */
        bytes[at % len] = data[i + 3];
    }
    write_file(path, bytes, size % 2 == 1 ? (size_t)data[size - 1] * 513 % len : len);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct store *s;
    unsigned n = 0;

    if (file == NULL) {
        begin();
    }
    if (mkdir(dir, 0700) != 0 && access(dir, W_OK) != 0) {
        die("no folder");
    }
    bool in_log = size > 0 && data[0] % 4 == 0;
    size_t from = size > 0 ? 1 : 0;
    damaged(file_path, file, file_len, data + from, in_log ? 0 : size - from);
    damaged(log_path, wal, wal_len, data + from, in_log ? size - from : 0);
    qudag_err err = open_store(&s);
    if (err == QUDAG_OK) {
        if (store_each(s, see, &n) == QUDAG_OK) {
            put(s, 1); /* and it can be used */
        }
        store_close(s);
    } else if (err != QUDAG_EUNSUPPORTED) {
        die("a damaged store is no failure of the system");
    }
    clean();
    return 0;
}
