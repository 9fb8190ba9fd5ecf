/* world.c - the event queue and the log. */
#include "sim/world.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

void *sim_alloc(size_t n, size_t size)
{
    void *p = calloc(n == 0 ? 1 : n, size);

    ASSERT(p != NULL);
    return p;
}

void *sim_grow(void *p, size_t n, size_t size)
{
    ASSERT(n <= SIZE_MAX / size);
    p = realloc(p, n * size);
    ASSERT(p != NULL);
    return p;
}

struct sim_data *sim_data_new(const void *p, size_t len)
{
    ASSERT(len <= UINT32_MAX - sizeof(struct sim_data));
    struct sim_data *d = malloc(sizeof(*d) + len);
    ASSERT(d != NULL);
    d->len = (uint32_t)len;
    memcpy(d->b, p, len);
    return d;
}

void world_init(struct world *w)
{
    *w = (struct world){.now = NS_PER_S};
    blake3_init(&w->log);
}

void world_fini(struct world *w)
{
    for (size_t i = 0; i < w->n; i++) {
        free(w->event[w->v[i].ix].data);
    }
    free(w->v);
    free(w->event);
    free(w->spare);
    *w = (struct world){.n = 0};
}

/* ---- queue ---- */

static bool before(const struct sim_turn *a, const struct sim_turn *b)
{
    return a->at < b->at || (a->at == b->at && a->seq < b->seq);
}

static void make_room(struct world *w)
{
    size_t cap = w->cap == 0 ? 1024 : w->cap * 2;

    ASSERT(cap <= UINT32_MAX);
    w->v = sim_grow(w->v, cap, sizeof(*w->v));
    w->event = sim_grow(w->event, cap, sizeof(*w->event));
    w->spare = sim_grow(w->spare, cap, sizeof(*w->spare));
    for (size_t i = cap; i > w->cap; i--) {
        w->spare[w->spares++] = (uint32_t)(i - 1);
    }
    w->cap = cap;
}

void world_push(struct world *w, struct sim_event ev)
{
    if (w->n == w->cap) {
        make_room(w);
    }
    ev.at = ev.at < w->now ? w->now : ev.at;
    ev.seq = w->seq++;
    struct sim_turn t = {ev.at, ev.seq, w->spare[--w->spares]};
    w->event[t.ix] = ev;
    size_t i = w->n++;
    w->peak = w->n > w->peak ? w->n : w->peak;
    while (i > 0 && before(&t, &w->v[(i - 1) / 4])) {
        w->v[i] = w->v[(i - 1) / 4];
        i = (i - 1) / 4;
    }
    w->v[i] = t;
}

static void sift_down(struct world *w, struct sim_turn last)
{
    size_t i = 0;

    for (;;) {
        size_t first = 4 * i + 1, best = first;
        for (size_t c = first + 1; c < first + 4 && c < w->n; c++) {
            best = before(&w->v[c], &w->v[best]) ? c : best;
        }
        if (first >= w->n || !before(&w->v[best], &last)) {
            break;
        }
        w->v[i] = w->v[best];
        i = best;
    }
    w->v[i] = last;
}

bool world_pop(struct world *w, tstamp until, struct sim_event *out)
{
    if (w->n == 0 || w->v[0].at > until) {
        w->now = until > w->now ? until : w->now;
        return false;
    }
    *out = w->event[w->v[0].ix];
    w->spare[w->spares++] = w->v[0].ix;
    w->now = out->at;
    w->events++;
    w->n--;
    if (w->n > 0) {
        sift_down(w, w->v[w->n]);
    }
    return true;
}

/* ---- log ---- */

void world_log(struct world *w, const void *p, size_t len)
{
    const uint8_t *from = p;

    while (len > 0) {
        size_t room = sizeof(w->log_buf) - w->log_n, n = len < room ? len : room;
        memcpy(w->log_buf + w->log_n, from, n);
        w->log_n += n;
        from += n;
        len -= n;
        if (w->log_n == sizeof(w->log_buf)) {
            blake3_update(&w->log, (struct slice){w->log_buf, w->log_n});
            w->log_n = 0;
        }
    }
}

void world_log_u64(struct world *w, uint64_t v)
{
    uint8_t b[8];

    for (unsigned i = 0; i < 8; i++) {
        b[i] = (uint8_t)(v >> (8 * i));
    }
    world_log(w, b, sizeof(b));
}

void world_hash(const struct world *w, uint8_t out[BLAKE3_LEN])
{
    struct blake3_ctx c = w->log;

    blake3_update(&c, (struct slice){w->log_buf, w->log_n});
    blake3_final(&c, out);
}
