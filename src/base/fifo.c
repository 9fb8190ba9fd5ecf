/* fifo.c - a queue of bytes in chunks. */
#include "base/fifo.h"

#include "base/assert.h"

#include <string.h>

#define CHUNK_LEAST 256

struct fifo_chunk {
    struct fifo_chunk *next;
    size_t len, cap;
    uint8_t head[FIFO_HEAD]; /* what fifo_front_headed() lends before the first byte */
    uint8_t bytes[];
};

_Static_assert(offsetof(struct fifo_chunk, bytes) == offsetof(struct fifo_chunk, head) + FIFO_HEAD,
               "the bytes follow the head");

void fifo_init(struct fifo *f, struct mem *mem, size_t max_bytes)
{
    *f = (struct fifo){.mem = mem, .max = max_bytes};
}

static void drop_head(struct fifo *f)
{
    struct fifo_chunk *k = f->head;

    f->head = k->next;
    f->taken = 0;
    if (f->head == NULL) {
        f->tail = NULL;
    }
    mem_free(f->mem, k);
}

void fifo_fini(struct fifo *f)
{
    while (f->head != NULL) {
        drop_head(f);
    }
    f->len = 0;
}

/* Small while the queue is short, so that a stream of a few bytes takes few. */
static size_t chunk_cap(const struct fifo *f, size_t want)
{
    size_t cap = f->len > want ? f->len : want;

    if (cap < CHUNK_LEAST) {
        return CHUNK_LEAST;
    }
    return cap > FIFO_CHUNK ? FIFO_CHUNK : cap;
}

static struct fifo_chunk *chunk_new(struct mem *mem, size_t cap)
{
    struct fifo_chunk *k = mem_alloc_unset(mem, sizeof(*k) + cap);

    if (k != NULL) {
        k->next = NULL;
        k->len = 0;
        k->cap = cap;
    }
    return k;
}

/* Chunks with room for |len| bytes in all, as a list; NULL without memory. */
static struct fifo_chunk *chunks_for(const struct fifo *f, size_t len)
{
    struct fifo_chunk *first = NULL, **at = &first;

    for (size_t room = 0; room < len; at = &(*at)->next) {
        *at = chunk_new(f->mem, chunk_cap(f, len - room));
        if (*at == NULL) {
            for (struct fifo_chunk *k = first, *next; k != NULL; k = next) {
                next = k->next;
                mem_free(f->mem, k);
            }
            return NULL;
        }
        room += (*at)->cap;
    }
    return first;
}

static struct slice fill(struct fifo_chunk *k, struct slice s)
{
    size_t n = k->cap - k->len < s.len ? k->cap - k->len : s.len;

    memcpy(k->bytes + k->len, s.base, n);
    k->len += n;
    return slice_rest(s, n);
}

qudag_err fifo_append(struct fifo *f, struct slice s)
{
    size_t room = f->tail == NULL ? 0 : f->tail->cap - f->tail->len;
    struct fifo_chunk *more = NULL;

    ASSERT(f->len <= f->max);
    if (s.len > f->max - f->len) {
        return QUDAG_ETOOBIG;
    }
    if (s.len > room) {
        more = chunks_for(f, s.len - room);
        if (more == NULL) {
            return QUDAG_ENOMEM;
        }
    }
    f->len += s.len;
    if (room > 0 && s.len > 0) {
        s = fill(f->tail, s);
    }
    if (more != NULL) {
        *(f->tail == NULL ? &f->head : &f->tail->next) = more;
    }
    for (; more != NULL; more = more->next) {
        s = fill(more, s);
        f->tail = more;
    }
    return QUDAG_OK;
}

struct slice fifo_front(const struct fifo *f)
{
    if (f->len == 0) {
        return (struct slice){NULL, 0};
    }
    return (struct slice){f->head->bytes + f->taken, f->head->len - f->taken};
}

uint8_t *fifo_front_headed(struct fifo *f, size_t *len)
{
    ASSERT(f->len > 0);
    *len = f->head->len - f->taken;
    return f->head->bytes + f->taken;
}

void fifo_drop(struct fifo *f, size_t len)
{
    if (len > f->len) {
        len = f->len;
    }
    f->len -= len;
    while (len > 0) {
        size_t n = f->head->len - f->taken;

        if (len < n) {
            f->taken += len;
            return;
        }
        len -= n;
        drop_head(f);
    }
}

size_t fifo_take(struct fifo *f, uint8_t *dst, size_t len)
{
    size_t done = 0;

    while (done < len && f->len > 0) {
        struct slice s = fifo_front(f);
        size_t n = s.len < len - done ? s.len : len - done;

        memcpy(dst + done, s.base, n);
        fifo_drop(f, n);
        done += n;
    }
    return done;
}
