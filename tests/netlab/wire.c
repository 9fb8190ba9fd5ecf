/* wire.c - the queue of one direction. */
#include "wire.h"

#include <string.h>

#define LIMIT_MIN 30000

struct wire_packet {
    struct list link;
    uint64_t at;
    size_t len;
    uint8_t data[];
};

void wire_init(struct wire *w, struct mem *mem, const struct rng *rng)
{
    *w = (struct wire){.mem = mem, .rng = *rng};
    list_init(&w->packets);
}

static struct wire_packet *first(const struct wire *w)
{
    return list_empty(&w->packets) ? NULL : LIST_ENTRY(w->packets.next, struct wire_packet, link);
}

static void drop(struct wire *w, struct wire_packet *p)
{
    list_del(&p->link);
    mem_free(w->mem, p);
}

void wire_fini(struct wire *w)
{
    struct wire_packet *p;

    while ((p = first(w)) != NULL) {
        drop(w, p);
    }
}

void wire_set(struct wire *w, const struct wire_config *cfg)
{
    w->cfg = *cfg;
    w->burst = false;
    w->busy = 0;
    if (w->cfg.limit == 0) {
        w->cfg.limit = (size_t)(cfg->rate / 32);
        w->cfg.limit = w->cfg.limit < LIMIT_MIN ? LIMIT_MIN : w->cfg.limit;
    }
}

static bool chance(const struct wire *w, uint32_t permille)
{
    return permille > 0 && rng_below(&w->rng, 1000) < permille;
}

static bool is_lost(struct wire *w, size_t len)
{
    if (w->cfg.down || (w->cfg.mtu != 0 && len > w->cfg.mtu)) {
        return true;
    }
    if (w->cfg.burst_in > 0) {
        w->burst = w->burst ? !chance(w, w->cfg.burst_out) : chance(w, w->cfg.burst_in);
        if (w->burst) {
            return true;
        }
    }
    return chance(w, w->cfg.loss);
}

/* When the last bit of |len| bytes is on the wire; TSTAMP_NEVER: too much waits already. */
static uint64_t sent_at(struct wire *w, size_t len, uint64_t now)
{
    uint64_t waits;

    if (w->cfg.rate == 0) {
        return now;
    }
    w->busy = w->busy < now ? now : w->busy;
    waits = (w->busy - now) / 1000 * w->cfg.rate / (8 * UINT64_C(1000000));
    if (waits + len > w->cfg.limit) {
        return TSTAMP_NEVER;
    }
    w->busy += len * 8 * NS_PER_S / w->cfg.rate;
    return w->busy;
}

void wire_put(struct wire *w, struct slice data, uint64_t now)
{
    uint64_t at = is_lost(w, data.len) ? TSTAMP_NEVER : sent_at(w, data.len, now);
    struct wire_packet *p = NULL;

    if (at != TSTAMP_NEVER) {
        p = mem_alloc_unset(w->mem, sizeof *p + data.len);
    }
    if (p == NULL) {
        w->lost++;
        return;
    }
    at += w->cfg.delay_ns;
    if (w->cfg.jitter_ns > 0) {
        at += w->cfg.jitter_ns / 65536 * (rng_u32(&w->rng) >> 16);
    }
    p->at = at < w->last ? w->last : at;
    p->len = data.len;
    w->last = p->at;
    memcpy(p->data, data.base, data.len);
    list_push_back(&w->packets, &p->link);
}

size_t wire_get(struct wire *w, uint8_t *dst, size_t cap, uint64_t now)
{
    struct wire_packet *p = first(w);
    size_t len;

    if (p == NULL || p->at > now) {
        return 0;
    }
    len = p->len <= cap ? p->len : 0;
    memcpy(dst, p->data, len);
    drop(w, p);
    w->passed++;
    return len;
}

uint64_t wire_next(const struct wire *w)
{
    const struct wire_packet *p = first(w);

    return p == NULL ? TSTAMP_NEVER : p->at;
}
