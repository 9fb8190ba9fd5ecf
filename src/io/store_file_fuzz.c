/* store_file_fuzz.c - a file of any content: what is called good LMDB can read to its end. */
#include "io/store.h"

#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[64];
static uint8_t *good; /* a real file, to be damaged */
static size_t good_len;

static void die(const char *what)
{
    (void)fprintf(stderr, "%s\n", what);
    abort();
}

static void use(bool write)
{
    MDB_env *env;
    MDB_txn *txn = NULL;
    MDB_dbi dbi;
    MDB_cursor *cur = NULL;
    MDB_val k, v;
    uint64_t sum = 0;

    if (mdb_env_create(&env) != 0 || mdb_env_set_mapsize(env, 1 << 24) != 0) {
        die("no environment");
    }
    int rc = mdb_env_open(env, path, MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOSYNC, 0600);
    if (rc != 0 || mdb_txn_begin(env, NULL, 0, &txn) != 0) {
        die("a good file does not open");
    }
    if (mdb_dbi_open(txn, NULL, 0, &dbi) != 0 || mdb_cursor_open(txn, dbi, &cur) != 0) {
        die("a good file has no data");
    }
    while ((rc = mdb_cursor_get(cur, &k, &v, MDB_NEXT)) == 0) {
        for (size_t i = 0; i < v.mv_size; i++) {
            sum += ((const uint8_t *)v.mv_data)[i];
        }
    }
    if (rc != MDB_NOTFOUND) {
        die("a good file is not read to its end");
    }
    mdb_cursor_close(cur);
    for (unsigned i = 0; write && i < 50; i++) {
        uint8_t value[3000];
        memset(value, (int)i, sizeof(value));
        k = (MDB_val){sizeof(i), &i};
        v = (MDB_val){i * 50 + sum % 2, value};
        if (mdb_put(txn, dbi, &k, &v, 0) != 0) {
            die("a good file cannot be written to");
        }
    }
    if (mdb_txn_commit(txn) != 0) {
        die("a good file cannot be committed to");
    }
    mdb_env_close(env);
}

static void write_file(const uint8_t *bytes, size_t len)
{
    FILE *f = fopen(path, "wb");

    if (f == NULL || fwrite(bytes, 1, len, f) != len || fclose(f) != 0) {
        die("no file");
    }
}

static void begin(void)
{
    (void)snprintf(path, sizeof(path), "/tmp/qudag-fuzz-store-%ld", (long)getpid());
    (void)unlink(path);
    use(true);
    use(true); /* free pages too */
    FILE *f = fopen(path, "rb");
    good = malloc(1 << 22);
    if (f == NULL || good == NULL) {
        die("no file");
    }
    good_len = fread(good, 1, 1 << 22, f);
    (void)fclose(f);
}

static void entry(void *ctx, struct slice key, struct slice data)
{
    uint64_t *sum = ctx;

    for (size_t i = 0; i < key.len; i++) {
        *sum += key.base[i];
    }
    for (size_t i = 0; i < data.len; i++) {
        *sum += data.base[i];
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Changes to the good file: place (3 bytes), byte; an odd length cuts it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum store_file what = STORE_FILE_NONE;
    uint64_t sum = 0;

    if (good == NULL) {
        begin();
    }
    uint8_t *bytes = malloc(good_len);
    if (bytes == NULL) {
        return 0;
    }
    memcpy(bytes, good, good_len);
    size_t len = good_len;
    for (size_t i = 0; i + 4 <= size && i < 400; i += 4) {
        size_t at = (size_t)data[i] << 16 | (size_t)data[i + 1] << 8 | data[i + 2];
        at = (data[i] & 1) != 0 ? at % 64 * 4096 + at / 64 % 64 : at; /* heads of pages */
        bytes[at % good_len] = data[i + 3];
    }
    if (size % 2 == 1) {
        len = (size_t)data[size - 1] * 513 % good_len;
    }
    write_file(bytes, len);
    free(bytes);
    FILE *f = fopen(path, "rb");
    if (f == NULL || store_file_check(fileno(f), &what) != QUDAG_OK ||
        store_file_scan(fileno(f), entry, &sum) != QUDAG_OK) {
        die("a file cannot be looked at");
    }
    (void)fclose(f);
    if (what == STORE_FILE_GOOD) {
        use(true);
    }
    (void)unlink(path);
    return 0;
}
