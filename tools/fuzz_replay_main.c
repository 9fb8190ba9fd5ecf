/*
 * A main() for fuzz targets built without a fuzzing engine, so that seeds and found inputs are
 * replayed in every build.
 *
 *     X_replay [--random COUNT] [FILE | FOLDER]...
 *
 * Runs the empty input, every file named (folders: each file in them, recursively), then COUNT
 * pseudo-random inputs of up to 4 KiB from a fixed seed.  Half of the random inputs are mutations
 * of the files seen.  Ends with 0 unless the target stops the process.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { INPUT_MAX = 1 << 20, RANDOM_MAX = 4096, SEEDS_MAX = 512, PATH_CAP = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
__attribute__((weak)) int LLVMFuzzerInitialize(int *argc, char ***argv);

struct seed {
    uint8_t *bytes;
    size_t len;
};

static struct seed seeds[SEEDS_MAX];
static size_t seeds_n;
static unsigned long inputs_n;
static uint64_t rng_state = 0x9e3779b97f4a7c15u;

static uint64_t rng_next(void)
{
    rng_state ^= rng_state << 13;
    rng_state ^= rng_state >> 7;
    rng_state ^= rng_state << 17;
    return rng_state;
}

/* A copy of exactly |len| bytes, so that reading past the end is seen by the address sanitizer. */
static void run_input(const uint8_t *bytes, size_t len)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);

    if (copy == NULL) {
        fprintf(stderr, "replay: out of memory\n");
        exit(1);
    }
    if (len > 0) {
        memcpy(copy, bytes, len);
    }
    (void)LLVMFuzzerTestOneInput(copy, len);
    free(copy);
    inputs_n++;
}

static void run_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    uint8_t *bytes = malloc(INPUT_MAX);

    if (f == NULL || bytes == NULL) {
        fprintf(stderr, "replay: cannot read %s\n", path);
        exit(1);
    }
    size_t len = fread(bytes, 1, INPUT_MAX, f);
    (void)fclose(f);
    run_input(bytes, len);
    if (seeds_n < SEEDS_MAX && len > 0 && len <= RANDOM_MAX) {
        seeds[seeds_n++] = (struct seed){bytes, len};
    } else {
        free(bytes);
    }
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void run_folder(const char *path);

static void run_path(const char *path)
{
    struct stat st;

    if (stat(path, &st) != 0) {
        fprintf(stderr, "replay: no %s\n", path);
        exit(1);
    }
    if (S_ISDIR(st.st_mode)) {
        run_folder(path);
    } else {
        run_file(path);
    }
}

static void run_folder(const char *path)
{
    struct dirent **list = NULL;
    int n = scandir(path, &list, NULL, by_name);

    for (int i = 0; i < n; i++) {
        if (list[i]->d_name[0] != '.') {
            char child[PATH_CAP];
            (void)snprintf(child, sizeof child, "%s/%s", path, list[i]->d_name);
            run_path(child);
        }
        free(list[i]);
    }
    free(list);
}

static void run_random(unsigned long count)
{
    static uint8_t buf[RANDOM_MAX];

    for (unsigned long i = 0; i < count; i++) {
        size_t len = (size_t)(rng_next() % (i % 4 == 0 ? RANDOM_MAX : 128));
        if (i % 2 == 1 && seeds_n > 0) {
            const struct seed *s = &seeds[rng_next() % seeds_n];
            size_t changes = 1 + (size_t)(rng_next() % 8);
            len = rng_next() % 4 == 0 ? (size_t)(rng_next() % (s->len + 1)) : s->len;
            memcpy(buf, s->bytes, len);
            for (size_t j = 0; j < changes && len > 0; j++) {
                buf[rng_next() % len] = (uint8_t)rng_next();
            }
        } else {
            for (size_t j = 0; j < len; j++) {
                buf[j] = (uint8_t)(rng_next() >> 24);
            }
        }
        run_input(buf, len);
    }
}

int main(int argc, char **argv)
{
    unsigned long random_count = 0;

    if (LLVMFuzzerInitialize != NULL) {
        (void)LLVMFuzzerInitialize(&argc, &argv);
    }
    run_input((const uint8_t *)"", 0);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--random") == 0 && i + 1 < argc) {
            random_count = strtoul(argv[++i], NULL, 10);
        } else {
            run_path(argv[i]);
        }
    }
    run_random(random_count);
    printf("%lu inputs\n", inputs_n);
    for (size_t i = 0; i < seeds_n; i++) {
        free(seeds[i].bytes);
    }
    return 0;
}
