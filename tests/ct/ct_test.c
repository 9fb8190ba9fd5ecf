/*
 * ct_test.c - secrets steer neither branches nor addresses: the cases of cases_*.c under valgrind's memcheck.
 *
 *   this program ─ starts itself under valgrind ─▶ each case between two counts of errors ─▶ one line each
 *
 * Not covered, as they cannot be seen so:
 *   ML-DSA   signing rejects by values that the signature tells or that are thrown away, so that branches depend on
 *            what came from secrets; tried, all of them lie inside AWS-LC's signing, whose functions have no names in
 *            what is linked, so that none could be excused alone.  Making a key samples from a secret stream likewise
 *   VAES, AVX-512   instructions that valgrind does not know; the same cipher in other instructions is run
 *   OpenSSL's primitives, of builds without AWS-LC
 *
 * Two cases leak on purpose, by a branch and by an index, and must be caught in the same run; without valgrind the
 * test is skipped, and says so.  TEST: timeout=120
 */
#include "ct/ct.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SKIPPED 77

#if defined(__has_include)
#if __has_include(<valgrind/memcheck.h>)
#define HAVE_MEMCHECK 1
#endif
#endif

#ifdef HAVE_MEMCHECK
#include <valgrind/memcheck.h>
#else
#define RUNNING_ON_VALGRIND 0
#define VALGRIND_COUNT_ERRORS 0
#define VALGRIND_MAKE_MEM_UNDEFINED(p, n) ((void)(p), (void)(n))
#define VALGRIND_MAKE_MEM_DEFINED(p, n) ((void)(p), (void)(n))
#endif

void ct_secret(void *p, size_t n)
{
    (void)VALGRIND_MAKE_MEM_UNDEFINED(p, n);
}

void ct_public(void *p, size_t n)
{
    (void)VALGRIND_MAKE_MEM_DEFINED(p, n);
}

void ct_must(bool ok, const char *what)
{
    ct_public(&ok, sizeof(ok));
    if (!ok) {
        (void)fprintf(stderr, "ct: %s failed, so that nothing was tested\n", what);
        exit(1);
    }
}

static void fill_public(void *ctx, uint8_t *dst, size_t len)
{
    (void)ctx;
    for (size_t i = 0; i < len; i++) {
        dst[i] = (uint8_t)(i * 37 + len);
    }
}

static void fill_secret(void *ctx, uint8_t *dst, size_t len)
{
    fill_public(ctx, dst, len);
    ct_secret(dst, len);
}

static void fill_mixed(void *ctx, uint8_t *dst, size_t len)
{
    fill_public(ctx, dst, len);
    if (len != MLKEM768_SEED_LEN) {
        ct_secret(dst, len);
    }
}

const struct rng ct_mixed_rng = {fill_mixed, NULL};
const struct rng ct_secret_rng = {fill_secret, NULL};
const struct rng ct_public_rng = {fill_public, NULL};

/* ---- what must be caught ---- */

static volatile uint8_t sink;
static const uint8_t table[256] = {1, 2, 3};

/* As memcmp() does: it ends at the first difference. */
static void leaky_branch(void)
{
    uint8_t a[16] = {1}, b[16] = {1};
    size_t i = 0;

    ct_secret(a, sizeof(a));
    while (i < sizeof(a) && a[i] == b[i]) {
        i++;
    }
    sink = (uint8_t)(i == sizeof(a));
}

/* As AES with tables does. */
static void leaky_index(void)
{
    uint8_t key = 7;

    ct_secret(&key, 1);
    sink = table[*(volatile uint8_t *)&key];
}

static const struct ct_case leaky[] = {{"a branch on a secret", leaky_branch, true},
                                       {"an index that is a secret", leaky_index, true},
                                       {NULL, NULL, false}};

/* ---- the run ---- */

/* Cases that were not as they should be. */
static int run_all(const struct ct_case *c)
{
    int bad = 0;

    for (; c->name != NULL; c++) {
        unsigned before = VALGRIND_COUNT_ERRORS;
        c->run();
        unsigned found = VALGRIND_COUNT_ERRORS - before;
        bool ok = (found > 0) == c->leaks;
        (void)printf("%-7s %s: %u place%s depend%s on secrets\n", ok ? "ok" : "NOT OK", c->name,
                     found, found == 1 ? "" : "s", found == 1 ? "s" : "");
        bad += ok ? 0 : 1;
    }
    return bad;
}

static bool is_there(const char *program)
{
    char path[4096];
    const char *dirs = getenv("PATH");

    while (dirs != NULL && *dirs != '\0') {
        size_t len = strcspn(dirs, ":");
        (void)snprintf(path, sizeof(path), "%.*s/%s", (int)len, dirs, program);
        if (access(path, X_OK) == 0) {
            return true;
        }
        dirs += len + (dirs[len] == ':' ? 1 : 0);
    }
    return false;
}

static int start(char *self)
{
#if !defined(HAVE_MEMCHECK)
    (void)self;
    (void)is_there;
    (void)puts(
        "skipped: built without <valgrind/memcheck.h>; apt install valgrind, and build anew");
    return SKIPPED;
#elif defined(__SANITIZE_ADDRESS__)
    (void)self;
    (void)is_there;
    (void)puts("skipped: a program with sanitizers does not run under valgrind");
    return SKIPPED;
#else
    char supp[4096];
    const char *src = getenv("QUDAG_SRC");
    (void)snprintf(supp, sizeof(supp), "--suppressions=%s/tests/ct/declassified.supp",
                   src != NULL ? src : ".");
    if (!is_there("valgrind")) {
        (void)puts("skipped: valgrind is not installed (tools/deps.sh --tools=test)");
        return SKIPPED;
    }
    (void)execlp("valgrind", "valgrind", "-q", "--error-limit=no", "--num-callers=16", supp, self,
                 (char *)NULL);
    perror("valgrind");
    return 1;
#endif
}

int main(int argc, char **argv)
{
    (void)argc;
    if (RUNNING_ON_VALGRIND == 0) {
        return start(argv[0]);
    }
#ifndef QUDAG_FASTCRYPTO
    (void)puts("left out: OpenSSL's X25519, ML-KEM, Ed25519, and the handshakes over them; build "
               "with AWS-LC (tools/deps.sh --fastcrypto=yes)");
#endif
    int bad = run_all(leaky) + run_all(ct_cases_crypto) + run_all(ct_cases_wire);
    if (bad > 0) {
        (void)printf("%d of the cases above are not as they should be\n", bad);
    }
    return bad == 0 ? 0 : 1;
}
