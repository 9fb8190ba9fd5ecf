/* os.c - clock and entropy. */
#include "io/io.h"

#include "base/assert.h"

#include <errno.h>
#include <sys/random.h>
#include <time.h>

tstamp io_now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_BOOTTIME, &t); /* calendar time is computed from it */
    return (tstamp)t.tv_sec * NS_PER_S + (tstamp)t.tv_nsec;
}

uint64_t io_slept(void)
{
    struct timespec boot, awake;

    (void)clock_gettime(CLOCK_MONOTONIC, &awake); /* stands still while the machine sleeps */
    (void)clock_gettime(CLOCK_BOOTTIME, &boot);
    int64_t ns =
        ((int64_t)boot.tv_sec - awake.tv_sec) * (int64_t)NS_PER_S + boot.tv_nsec - awake.tv_nsec;
    return ns > 0 ? (uint64_t)ns : 0;
}

walltime io_wall(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (walltime)t.tv_sec;
}

/* The kernel never fails this once it is seeded, and blocks until then. */
static void fill(void *ctx, uint8_t *dst, size_t len)
{
    (void)ctx;
    while (len > 0) {
        ssize_t n = getrandom(dst, len, 0);
        ASSERT(n > 0 || errno == EINTR);
        if (n > 0) {
            dst += n;
            len -= (size_t)n;
        }
    }
}

struct rng io_rng(void)
{
    return (struct rng){fill, NULL};
}
