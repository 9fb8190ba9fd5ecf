/* types.h - the few words every folder uses. */
#ifndef QUDAG_SRC_BASE_TYPES_H
#define QUDAG_SRC_BASE_TYPES_H

#include <qudag/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint64_t tstamp;        /* monotonic time in ns; the origin is arbitrary */
typedef int64_t walltime;       /* seconds since 1970-01-01 UTC, for what is signed and stored */
#define TSTAMP_NEVER UINT64_MAX /* "no deadline" */
#define NS_PER_US UINT64_C(1000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)

/* Borrowed bytes. */
struct slice {
    const uint8_t *base;
    size_t len;
};

/* |s| without its first |n| bytes, |n| <= s.len.  An empty slice may have no base: nothing is added to NULL. */
static inline struct slice slice_rest(struct slice s, size_t n)
{
    return (struct slice){n == 0 ? s.base : s.base + n, s.len - n};
}

/* A generation-tagged name: a stale one is rejected, never dereferenced.  gen 0 names nothing. */
struct ref {
    uint32_t slot, gen;
};

static inline bool ref_eq(struct ref a, struct ref b)
{
    return a.slot == b.slot && a.gen == b.gen;
}

static inline bool ref_none(struct ref a)
{
    return a.gen == 0;
}

/* A ref as one number, for cookies and map keys; 0 names nothing. */
static inline uint64_t ref_to_u64(struct ref a)
{
    return (uint64_t)a.gen << 32 | a.slot;
}

static inline struct ref ref_from_u64(uint64_t v)
{
    return (struct ref){.slot = (uint32_t)v, .gen = (uint32_t)(v >> 32)};
}

static inline tstamp tstamp_min(tstamp a, tstamp b)
{
    return a < b ? a : b;
}

/* |now| + |delay|, saturating at TSTAMP_NEVER. */
static inline tstamp tstamp_after(tstamp now, uint64_t delay_ns)
{
    return delay_ns > TSTAMP_NEVER - now ? TSTAMP_NEVER : now + delay_ns;
}

/* Ties monotonic time to the calendar; the host sets it, cores only compute with it. */
struct wallclock {
    walltime base; /* calendar time at |at| */
    tstamp at;
};

static inline walltime wall_now(const struct wallclock *c, tstamp now)
{
    return c->base + (walltime)((now - c->at) / 1000000000u);
}

/* Asks for the cache line of |p|, which need not be there: of use some 100 ns before it is read. */
#if defined(__GNUC__)
#define QUDAG_PREFETCH(p) __builtin_prefetch(p)
#else
#define QUDAG_PREFETCH(p) ((void)(p))
#endif

/*
 * Of a large local array, written before it is read, in what is called very often: not cleared first, as
 * our builds do by themselves.
 */
#if defined(__has_attribute)
#if __has_attribute(uninitialized)
#define QUDAG_UNSET __attribute__((uninitialized))
#endif
#endif
#if !defined(QUDAG_UNSET)
#define QUDAG_UNSET
#endif

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
