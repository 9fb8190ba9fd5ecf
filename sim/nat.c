/*
 * nat.c - mappings, what each lets in, and forwardings; all of them end by themselves.
 *
 *   inside, destination ──▶ mapping ──▶ external port          nat_out()
 *   external port ──▶ mapping, if its filter knows the sender ──▶ inside
 *                 ──▶ forwarding ──▶ inside; the answer leaves from that port, too
 *                 ──▶ refused                                  nat_in()
 *
 * How much of the destination is part of a mapping's name, and how much of the sender is looked up in its filter, is
 * one rule: named().  A NAT that rejects remembers whom it refused at which port; a flow to one of these gets a
 * mapping for itself alone, as with Linux, where the refused packet's connection occupies the pair of addresses.
 */
#include "sim/nat.h"

#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"

#include <string.h>

#define ADDR_LEN 23            /* family, address, zone, port */
#define ENTRIES_MAX (1u << 18) /* of each kind */
#define DRAWS 16               /* at random, before the ports are gone through in order */

enum timed_kind { TIMED_MAPPING, TIMED_PERMIT, TIMED_REFUSED, TIMED_FORWARD };

/* What ends at a time. */
struct nat_timed {
    struct heap_node at;
    enum timed_kind kind;
};

/* An inside host, while it has mappings. */
struct nat_host {
    uint8_t key[ADDR_LEN];
    uint32_t n;
};

struct nat_mapping {
    struct nat_timed timed;
    uint8_t key[2 * ADDR_LEN];
    struct netaddr inside;
    struct nat_host
        *host; /* NULL: answers to what came through a forwarding, which owns the port */
    struct list permits;
    struct list of_forwarding; /* where host is NULL */
    uint16_t port;
    uint64_t used; /* when it was refreshed */
    bool replied;
};

/* A sender known at a port: let in by a mapping's filter, or refused. */
struct nat_seen {
    struct nat_timed timed;
    uint8_t key[2 + ADDR_LEN];
    struct list of_mapping; /* a permit's */
    uint64_t used;
    bool replied;
};

struct nat_forwarding {
    struct nat_timed timed;
    struct netaddr inside;
    struct list answers; /* mappings of what came through it */
    uint16_t port;
};

struct nat {
    struct nat_config cfg;
    struct map mappings, hosts;   /* by their keys */
    struct map permits, refused;  /* by their keys */
    struct map by_port, forwards; /* of mappings with a host; of forwardings */
    struct heap ends;
    uint64_t now; /* the latest seen */
    uint16_t next;
};

/* The part of |a| that a rule of kind |d| looks at. */
static void named(uint8_t dst[ADDR_LEN], const struct netaddr *a, enum nat_depends d)
{
    memset(dst, 0, ADDR_LEN);
    if (d == NAT_INDEPENDENT) {
        return;
    }
    dst[0] = a->family;
    memcpy(dst + 1, a->ip, 16);
    for (unsigned i = 0; i < 4; i++) {
        dst[17 + i] = (uint8_t)(a->scope >> 8 * i);
    }
    if (d == NAT_ADDRESS_PORT) {
        dst[21] = (uint8_t)(a->port >> 8);
        dst[22] = (uint8_t)a->port;
    }
}

static void mapping_key(uint8_t dst[2 * ADDR_LEN], const struct netaddr *inside,
                        const struct netaddr *to, enum nat_depends d)
{
    named(dst, inside, NAT_ADDRESS_PORT);
    named(dst + ADDR_LEN, to, d);
}

static void seen_key(uint8_t dst[2 + ADDR_LEN], uint16_t port, const struct netaddr *who,
                     enum nat_depends d)
{
    dst[0] = (uint8_t)(port >> 8);
    dst[1] = (uint8_t)port;
    named(dst + 2, who, d);
}

static struct slice key_slice(const uint8_t *key, size_t len)
{
    return (struct slice){key, len};
}

/* ------------------------------------------------------------------ ends */

static void drop_seen(struct nat *n, struct nat_seen *s)
{
    struct map *in = s->timed.kind == TIMED_PERMIT ? &n->permits : &n->refused;

    map_del(in, key_slice(s->key, sizeof s->key));
    list_del(&s->of_mapping);
    heap_del(&n->ends, &s->timed.at);
    mem_free(n->cfg.mem, s);
}

static void leave_host(struct nat *n, struct nat_host *h)
{
    if (h != NULL && --h->n == 0) {
        map_del(&n->hosts, key_slice(h->key, sizeof h->key));
        mem_free(n->cfg.mem, h);
    }
}

static void drop_mapping(struct nat *n, struct nat_mapping *m)
{
    LIST_EACH_SAFE(it, tmp, &m->permits)
    {
        drop_seen(n, LIST_ENTRY(it, struct nat_seen, of_mapping));
    }
    map_del(&n->mappings, key_slice(m->key, sizeof m->key));
    list_del(&m->of_forwarding);
    if (m->host != NULL) {
        map_u64_del(&n->by_port, m->port);
        leave_host(n, m->host);
    }
    heap_del(&n->ends, &m->timed.at);
    mem_free(n->cfg.mem, m);
}

static void drop_forward(struct nat *n, struct nat_forwarding *f)
{
    LIST_EACH_SAFE(it, tmp, &f->answers)
    {
        drop_mapping(n, LIST_ENTRY(it, struct nat_mapping, of_forwarding));
    }
    map_u64_del(&n->forwards, f->port);
    heap_del(&n->ends, &f->timed.at);
    mem_free(n->cfg.mem, f);
}

static void drop(struct nat *n, struct nat_timed *t)
{
    if (t->kind == TIMED_MAPPING) {
        drop_mapping(n, LIST_ENTRY(t, struct nat_mapping, timed));
    } else if (t->kind == TIMED_FORWARD) {
        drop_forward(n, LIST_ENTRY(t, struct nat_forwarding, timed));
    } else {
        drop_seen(n, LIST_ENTRY(t, struct nat_seen, timed));
    }
}

static struct nat_timed *first_end(const struct nat *n)
{
    struct heap_node *top = heap_top(&n->ends);

    return top == NULL ? NULL : LIST_ENTRY(top, struct nat_timed, at);
}

static void pass_time(struct nat *n, uint64_t now)
{
    struct nat_timed *t;

    n->now = now > n->now ? now : n->now;
    while ((t = first_end(n)) != NULL && t->at.at <= n->now) {
        drop(n, t);
    }
}

static uint64_t end_of(const struct nat *n, uint64_t used, bool replied)
{
    uint64_t life = replied ? n->cfg.timeout_ns : n->cfg.timeout_new_ns;

    return used < TSTAMP_NEVER - life ? used + life : TSTAMP_NEVER - 1;
}

/* ------------------------------------------------------------------ ports */

static bool was_refused(const struct nat *n, uint16_t port, const struct netaddr *who)
{
    uint8_t key[2 + ADDR_LEN];

    seen_key(key, port, who, NAT_ADDRESS_PORT);
    return n->cfg.rejects && map_get(&n->refused, key_slice(key, sizeof key)) != NULL;
}

static bool port_free(const struct nat *n, uint32_t port, const struct netaddr *inside,
                      const struct netaddr *to)
{
    const struct nat_forwarding *f;

    if (port < n->cfg.lo || port > n->cfg.hi || map_u64_get(&n->by_port, port) != NULL) {
        return false;
    }
    f = map_u64_get(&n->forwards, port);
    return (f == NULL || netaddr_eq(&f->inside, inside)) && !was_refused(n, (uint16_t)port, to);
}

/* From |p| on in steps, round the range; 0: none of |tries| is free. */
static uint16_t port_from(const struct nat *n, uint32_t p, uint32_t step, uint32_t tries,
                          const struct netaddr *inside, const struct netaddr *to)
{
    uint32_t span = (uint32_t)n->cfg.hi - n->cfg.lo + 1;

    for (uint32_t i = 0; i < tries; i++) {
        if (port_free(n, p, inside, to)) {
            return (uint16_t)p;
        }
        p = n->cfg.lo + (p - n->cfg.lo + step) % span;
    }
    return 0;
}

static uint16_t port_random(const struct nat *n, const struct netaddr *inside,
                            const struct netaddr *to)
{
    uint32_t span = (uint32_t)n->cfg.hi - n->cfg.lo + 1;
    uint16_t port = 0;

    for (unsigned i = 0; i < DRAWS && port == 0; i++) {
        port = port_from(n, n->cfg.lo + rng_below(&n->cfg.rng, span), 1, 1, inside, to);
    }
    return port != 0 ? port
                     : port_from(n, n->cfg.lo + rng_below(&n->cfg.rng, span), 1, span, inside, to);
}

/* The external port of a new mapping; 0: none is left. */
static uint16_t port_choose(struct nat *n, const struct netaddr *inside, const struct netaddr *to)
{
    uint32_t span = (uint32_t)n->cfg.hi - n->cfg.lo + 1;
    uint32_t step = n->cfg.step % span;
    uint16_t port;

    if (n->cfg.ports == NAT_PRESERVE && port_free(n, inside->port, inside, to)) {
        return inside->port;
    }
    if (n->cfg.ports != NAT_SEQUENTIAL) {
        return port_random(n, inside, to);
    }
    port = port_from(n, n->next, step, span, inside, to);
    if (port == 0) { /* the step may not visit all of them */
        port = port_from(n, n->next, 1, span, inside, to);
    }
    if (port != 0) {
        n->next = (uint16_t)(n->cfg.lo + ((uint32_t)port - n->cfg.lo + step) % span);
    }
    return port;
}

/* ------------------------------------------------------------------ mappings */

static struct nat_host *host_of(struct nat *n, const struct netaddr *inside)
{
    uint8_t key[ADDR_LEN];
    struct nat_host *h;

    named(key, inside, NAT_ADDRESS);
    h = map_get(&n->hosts, key_slice(key, sizeof key));
    if (h != NULL) {
        return h;
    }
    h = mem_alloc(n->cfg.mem, sizeof *h);
    if (h == NULL) {
        return NULL;
    }
    memcpy(h->key, key, sizeof key);
    if (map_put(&n->hosts, key_slice(h->key, sizeof h->key), h) != QUDAG_OK) {
        mem_free(n->cfg.mem, h);
        return NULL;
    }
    return h;
}

/* With |host| it owns its |port|.  NULL: no memory, and |host| has lost what the caller counted. */
static struct nat_mapping *mapping_new(struct nat *n, const uint8_t key[2 * ADDR_LEN],
                                       const struct netaddr *inside, uint16_t port,
                                       struct nat_host *host)
{
    struct nat_mapping *m = mem_alloc(n->cfg.mem, sizeof *m);
    qudag_err err;

    if (m == NULL) {
        leave_host(n, host);
        return NULL;
    }
    m->timed.kind = TIMED_MAPPING;
    memcpy(m->key, key, sizeof m->key);
    m->inside = *inside;
    m->port = port;
    m->host = host;
    m->used = n->now;
    list_init(&m->permits);
    list_init(&m->of_forwarding);
    err = map_put(&n->mappings, key_slice(m->key, sizeof m->key), m);
    if (err == QUDAG_OK && host != NULL) {
        err = map_u64_put(&n->by_port, port, m);
    }
    if (err == QUDAG_OK) {
        err = heap_set(&n->ends, &m->timed.at, end_of(n, n->now, false));
    }
    if (err != QUDAG_OK) {
        drop_mapping(n, m);
        return NULL;
    }
    return m;
}

/* A mapping for a packet that has none; NULL: no port is left, the host has its share, no memory. */
static struct nat_mapping *mapping_make(struct nat *n, const uint8_t key[2 * ADDR_LEN],
                                        const struct netaddr *inside, const struct netaddr *to)
{
    struct nat_host *h = host_of(n, inside);
    uint16_t port = 0;

    if (h == NULL) {
        return NULL;
    }
    h->n++;
    if (n->cfg.per_host_max == 0 || h->n <= n->cfg.per_host_max) {
        port = port_choose(n, inside, to);
    }
    if (port == 0) {
        leave_host(n, h);
        return NULL;
    }
    return mapping_new(n, key, inside, port, h);
}

/* The mapping that a packet from |inside| to |to| uses, made where there is none. */
static struct nat_mapping *mapping_for(struct nat *n, const struct netaddr *inside,
                                       const struct netaddr *to)
{
    uint8_t alone[2 * ADDR_LEN], key[2 * ADDR_LEN];
    struct nat_mapping *m;

    mapping_key(alone, inside, to, NAT_ADDRESS_PORT);
    m = map_get(&n->mappings, key_slice(alone, sizeof alone));
    if (m != NULL) {
        return m;
    }
    mapping_key(key, inside, to, n->cfg.mapping);
    m = map_get(&n->mappings, key_slice(key, sizeof key));
    if (m != NULL && !was_refused(n, m->port, to)) {
        return m;
    }
    if (m != NULL || (n->cfg.ports == NAT_PRESERVE && was_refused(n, inside->port, to))) {
        return mapping_make(n, alone, inside, to);
    }
    return mapping_make(n, key, inside, to);
}

/* ------------------------------------------------------------------ filter */

/* A new entry of |in|; NULL: no memory, or too many. */
static struct nat_seen *seen_new(struct nat *n, struct map *in, enum timed_kind kind,
                                 const uint8_t key[2 + ADDR_LEN])
{
    struct nat_seen *s = mem_alloc(n->cfg.mem, sizeof *s);

    if (s == NULL) {
        return NULL;
    }
    s->timed.kind = kind;
    memcpy(s->key, key, sizeof s->key);
    list_init(&s->of_mapping);
    if (map_put(in, key_slice(s->key, sizeof s->key), s) != QUDAG_OK) {
        mem_free(n->cfg.mem, s);
        return NULL;
    }
    if (heap_set(&n->ends, &s->timed.at, end_of(n, n->now, false)) != QUDAG_OK) {
        drop_seen(n, s);
        return NULL;
    }
    return s;
}

static struct nat_seen *permit_of(const struct nat *n, const struct nat_mapping *m,
                                  const struct netaddr *who)
{
    uint8_t key[2 + ADDR_LEN];

    seen_key(key, m->port, who, n->cfg.filter);
    return map_get(&n->permits, key_slice(key, sizeof key));
}

/* Moves the end of |t| to what |used| says.  It is in the heap, so that nothing can fail. */
static void refresh(struct nat *n, struct nat_timed *t, uint64_t used, bool replied)
{
    qudag_err err = heap_set(&n->ends, &t->at, end_of(n, used, replied));

    (void)err;
}

/* |to| may answer.  False: no memory. */
static bool permit(struct nat *n, struct nat_mapping *m, const struct netaddr *to)
{
    struct nat_seen *s = permit_of(n, m, to);

    if (s == NULL) {
        uint8_t key[2 + ADDR_LEN];

        seen_key(key, m->port, to, n->cfg.filter);
        s = seen_new(n, &n->permits, TIMED_PERMIT, key);
        if (s == NULL) {
            return false;
        }
        list_push_back(&m->permits, &s->of_mapping);
    }
    s->used = n->now;
    refresh(n, &s->timed, s->used, s->replied);
    return true;
}

/* ------------------------------------------------------------------ packets */

bool nat_out(struct nat *n, const struct netaddr *inside, const struct netaddr *to, uint64_t now,
             struct netaddr *from)
{
    struct nat_mapping *m;

    pass_time(n, now);
    if (netaddr_same_ip(to, &n->cfg.external) && !n->cfg.hairpin) {
        return false;
    }
    m = mapping_for(n, inside, to);
    if (m == NULL || (m->host != NULL && !permit(n, m, to))) {
        return false;
    }
    m->used = n->now;
    refresh(n, &m->timed, m->used, m->replied);
    *from = n->cfg.external;
    from->port = m->port;
    return true;
}

/* A packet came back: both live longer, counted from now only where that refreshes. */
static void came_in(struct nat *n, struct nat_mapping *m, struct nat_seen *s)
{
    m->replied = true;
    s->replied = true;
    if (n->cfg.refresh_in) {
        m->used = n->now;
        s->used = n->now;
    }
    refresh(n, &m->timed, m->used, true);
    refresh(n, &s->timed, s->used, true);
}

/* Remembers, for the answers, that |from| came through a forwarding. */
static void came_forwarded(struct nat *n, struct nat_forwarding *f, const struct netaddr *from)
{
    uint8_t key[2 * ADDR_LEN];
    struct nat_mapping *m;

    mapping_key(key, &f->inside, from, NAT_ADDRESS_PORT);
    m = map_get(&n->mappings, key_slice(key, sizeof key));
    if (m == NULL) {
        m = mapping_new(n, key, &f->inside, f->port, NULL);
        if (m != NULL) {
            list_push_back(&f->answers, &m->of_forwarding);
        }
    }
    if (m != NULL && m->host == NULL) {
        m->used = n->now;
        refresh(n, &m->timed, m->used, true);
    }
}

static void refuse(struct nat *n, uint16_t port, const struct netaddr *from)
{
    uint8_t key[2 + ADDR_LEN];
    struct nat_seen *s;

    seen_key(key, port, from, NAT_ADDRESS_PORT);
    s = map_get(&n->refused, key_slice(key, sizeof key));
    if (s == NULL) {
        s = seen_new(n, &n->refused, TIMED_REFUSED, key);
    }
    if (s != NULL) {
        refresh(n, &s->timed, n->now, false);
    }
}

bool nat_in(struct nat *n, const struct netaddr *from, const struct netaddr *to, uint64_t now,
            struct netaddr *inside)
{
    struct nat_forwarding *f;
    struct nat_mapping *m;
    struct nat_seen *s;

    pass_time(n, now);
    if (!netaddr_same_ip(to, &n->cfg.external)) {
        return false;
    }
    m = map_u64_get(&n->by_port, to->port);
    s = m == NULL ? NULL : permit_of(n, m, from);
    if (s != NULL) {
        came_in(n, m, s);
        *inside = m->inside;
        return true;
    }
    f = map_u64_get(&n->forwards, to->port);
    if (f != NULL) {
        came_forwarded(n, f, from);
        *inside = f->inside;
        return true;
    }
    if (n->cfg.rejects) {
        refuse(n, to->port, from);
    }
    return false;
}

bool nat_owner(const struct nat *n, uint16_t port, struct netaddr *inside)
{
    const struct nat_mapping *m = map_u64_get(&n->by_port, port);
    const struct nat_forwarding *f = map_u64_get(&n->forwards, port);

    if (m == NULL && f == NULL) {
        return false;
    }
    *inside = m != NULL ? m->inside : f->inside;
    return true;
}

/* ------------------------------------------------------------------ forwardings */

bool nat_forward(struct nat *n, uint16_t port, const struct netaddr *inside, uint64_t until)
{
    struct nat_forwarding *f = map_u64_get(&n->forwards, port);
    struct nat_mapping *m = map_u64_get(&n->by_port, port);

    if ((f != NULL && !netaddr_eq(&f->inside, inside)) ||
        (m != NULL && !netaddr_eq(&m->inside, inside))) {
        return false;
    }
    until = until == TSTAMP_NEVER ? TSTAMP_NEVER - 1 : until;
    if (f == NULL) {
        f = mem_alloc(n->cfg.mem, sizeof *f);
        if (f == NULL) {
            return false;
        }
        f->timed.kind = TIMED_FORWARD;
        f->inside = *inside;
        f->port = port;
        list_init(&f->answers);
        if (map_u64_put(&n->forwards, port, f) != QUDAG_OK) {
            mem_free(n->cfg.mem, f);
            return false;
        }
    }
    if (heap_set(&n->ends, &f->timed.at, until) != QUDAG_OK) {
        drop_forward(n, f);
        return false;
    }
    return true;
}

bool nat_forward_remove(struct nat *n, uint16_t port)
{
    struct nat_forwarding *f = map_u64_get(&n->forwards, port);

    if (f == NULL) {
        return false;
    }
    drop_forward(n, f);
    return true;
}

/* ------------------------------------------------------------------ the whole */

struct nat *nat_new(const struct nat_config *cfg)
{
    struct nat *n = mem_alloc(cfg->mem, sizeof *n);
    uint8_t seed[16];

    if (n == NULL) {
        return NULL;
    }
    n->cfg = *cfg;
    n->cfg.external.port = 0;
    n->cfg.lo = cfg->lo != 0 ? cfg->lo : 1024;
    n->cfg.hi = cfg->hi != 0 ? cfg->hi : 65535;
    n->cfg.hi = n->cfg.hi < n->cfg.lo ? n->cfg.lo : n->cfg.hi;
    n->cfg.step = cfg->step != 0 ? cfg->step : 1;
    n->cfg.timeout_ns = cfg->timeout_ns != 0 ? cfg->timeout_ns : 120 * NS_PER_S;
    n->cfg.timeout_new_ns = cfg->timeout_new_ns != 0 ? cfg->timeout_new_ns : 30 * NS_PER_S;
    if (n->cfg.timeout_new_ns > n->cfg.timeout_ns) {
        n->cfg.timeout_new_ns = n->cfg.timeout_ns;
    }
    rng_fill(&n->cfg.rng, seed, sizeof seed);
    map_init_sized(&n->mappings, n->cfg.mem, seed, 2 * ADDR_LEN, ENTRIES_MAX);
    map_init_sized(&n->hosts, n->cfg.mem, seed, ADDR_LEN, ENTRIES_MAX);
    map_init_sized(&n->permits, n->cfg.mem, seed, 2 + ADDR_LEN, ENTRIES_MAX);
    map_init_sized(&n->refused, n->cfg.mem, seed, 2 + ADDR_LEN, ENTRIES_MAX);
    map_init_u64(&n->by_port, n->cfg.mem, NULL, 0, UINT16_MAX + 1);
    map_init_u64(&n->forwards, n->cfg.mem, NULL, 0, UINT16_MAX + 1);
    heap_init(&n->ends, n->cfg.mem, 4 * ENTRIES_MAX);
    n->next = (uint16_t)(n->cfg.lo + rng_below(&n->cfg.rng, (uint32_t)n->cfg.hi - n->cfg.lo + 1));
    return n;
}

void nat_flush(struct nat *n)
{
    struct nat_timed *t;

    while ((t = first_end(n)) != NULL) {
        drop(n, t);
    }
}

void nat_renumber(struct nat *n, const struct netaddr *external)
{
    nat_flush(n);
    n->cfg.external = *external;
    n->cfg.external.port = 0;
}

size_t nat_count(const struct nat *n, uint64_t now)
{
    const struct nat_mapping *m;
    size_t it = 0, count = 0;

    while ((m = map_next(&n->by_port, &it)) != NULL) {
        count += m->timed.at.at > now ? 1 : 0;
    }
    return count;
}

void nat_free(struct nat *n)
{
    if (n == NULL) {
        return;
    }
    nat_flush(n);
    heap_fini(&n->ends);
    map_fini(&n->mappings);
    map_fini(&n->hosts);
    map_fini(&n->permits);
    map_fini(&n->refused);
    map_fini(&n->by_port);
    map_fini(&n->forwards);
    mem_free(n->cfg.mem, n);
}
