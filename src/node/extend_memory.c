/* extend_memory.c - where dials for others failed, who answered, what is not there. */
#include "node/extend_memory.h"

#include <string.h>

/* What failures are counted of, or is noted; the first byte of what is hashed. */
enum subject { HOST = 1, HOST_ASKER, HOST_PEER, PEER_ASKER, ADDRESS };

/* A host that answered, or a descriptor that is absent. */
struct noted {
    struct fair_item place;
    uint64_t name; /* in its map */
    tstamp at;
};

struct table {
    struct fair *held;
    struct map *by_name;
    uint32_t max;
};

static uint64_t name_of(const struct node_extend_memory *m, enum subject subject,
                        const struct netaddr *host, const struct node_extend_asked *who)
{
    uint8_t b[1 + 1 + sizeof host->ip + 2 + PEER_ID_MAX + sizeof who->net] = {(uint8_t)subject};
    size_t len = 1;

    if (host != NULL) {
        b[len++] = host->family;
        memcpy(b + len, host->ip, sizeof host->ip);
        len += sizeof host->ip;
        b[len++] = (uint8_t)(host->port >> 8);
        b[len++] = (uint8_t)host->port;
    }
    if (subject == HOST_PEER || subject == PEER_ASKER) {
        memcpy(b + len, who->peer->b, who->peer->len);
        len += who->peer->len;
    }
    if (subject == HOST_ASKER || subject == PEER_ASKER) {
        memcpy(b + len, &who->net, sizeof who->net);
        len += sizeof who->net;
    }
    return siphash24(m->key[0], m->key[1], (struct slice){b, len});
}

qudag_err node_extend_memory_init(struct node_extend_memory *m, struct mem *mem,
                                  const uint8_t seed[16])
{
    *m = (struct node_extend_memory){.mem = mem};
    memcpy(m->key, seed, sizeof m->key);
    fair_init(&m->answered, mem, seed, EXTEND_ANSWERED_MAX);
    fair_init(&m->absent, mem, seed, 2 * EXTEND_ABSENT_MAX);
    map_init_u64(&m->answered_of, mem, NULL, 0, EXTEND_ANSWERED_MAX);
    map_init_u64(&m->absent_of, mem, NULL, 0, EXTEND_ABSENT_MAX);
    m->cell = mem_alloc(mem, EXTEND_CELLS * sizeof *m->cell);
    return m->cell == NULL ? QUDAG_ENOMEM : QUDAG_OK;
}

/* ---- tables ---- */

static void forget(struct node_extend_memory *m, const struct table *t, struct noted *e, tstamp now)
{
    fair_del(t->held, &e->place, now);
    (void)map_u64_del(t->by_name, e->name);
    mem_free(m->mem, e);
}

static void forget_all(struct node_extend_memory *m, const struct table *t)
{
    struct fair_source *s;

    while (t->held->mem != NULL && (s = fair_most(t->held)) != NULL) {
        forget(m, t, LIST_ENTRY(s->items.next, struct noted, place.node), 0);
    }
    if (t->held->mem != NULL) {
        fair_fini(t->held);
        map_fini(t->by_name);
    }
}

static void note(struct node_extend_memory *m, const struct table *t, const struct noted *what,
                 const struct node_extend_asked *of)
{
    struct noted *e = map_u64_get(t->by_name, what->name);

    if (e != NULL) {
        e->at = what->at;
        return;
    }
    if (t->held->n >= t->max) {
        struct fair_source *s = fair_most(t->held);
        forget(m, t, LIST_ENTRY(s->items.next, struct noted, place.node), what->at);
    }
    e = mem_alloc(m->mem, sizeof *e);
    if (e == NULL) {
        return;
    }
    e->name = what->name;
    e->at = what->at;
    if (fair_add(t->held, &e->place, of->net, of->via, e->at) != QUDAG_OK) {
        mem_free(m->mem, e);
    } else if (map_u64_put(t->by_name, e->name, e) != QUDAG_OK) {
        fair_del(t->held, &e->place, e->at);
        mem_free(m->mem, e);
    }
}

static struct table answered_table(struct node_extend_memory *m)
{
    return (struct table){&m->answered, &m->answered_of, EXTEND_ANSWERED_MAX};
}

static struct table absent_table(struct node_extend_memory *m)
{
    return (struct table){&m->absent, &m->absent_of, EXTEND_ABSENT_MAX};
}

void node_extend_memory_fini(struct node_extend_memory *m)
{
    struct table answered = answered_table(m), absent = absent_table(m);

    forget_all(m, &answered);
    forget_all(m, &absent);
    if (m->cell != NULL) {
        mem_free(m->mem, m->cell);
    }
    *m = (struct node_extend_memory){.mem = NULL};
}

static bool noted_since(const struct map *by_name, uint64_t name, uint64_t for_ns, tstamp now)
{
    const struct noted *e = map_u64_get(by_name, name);

    return e != NULL && tstamp_after(e->at, for_ns) > now;
}

/* ---- hosts ---- */

static tstamp *cell(const struct node_extend_memory *m, enum subject subject,
                    const struct netaddr *host, const struct node_extend_asked *who)
{
    return &m->cell[name_of(m, subject, host, who) % EXTEND_CELLS];
}

static void fail(const struct node_extend_memory *m, enum subject subject,
                 const struct netaddr *host, const struct node_extend_asked *who, tstamp now)
{
    tstamp *c = cell(m, subject, host, who);

    *c = tstamp_after(*c > now ? *c : now, EXTEND_FORGIVE_EVERY);
}

static uint32_t fails(const struct node_extend_memory *m, enum subject subject,
                      const struct netaddr *host, const struct node_extend_asked *who, tstamp now)
{
    tstamp until = *cell(m, subject, host, who);

    return until <= now
               ? 0
               : (uint32_t)((until - now + EXTEND_FORGIVE_EVERY - 1) / EXTEND_FORGIVE_EVERY);
}

void node_extend_memory_ended(struct node_extend_memory *m, const struct netaddr *host,
                              const struct node_extend_asked *who, enum node_extend_outcome how,
                              tstamp now)
{
    switch (how) {
    case NODE_EXTEND_NOTHING:
        break;
    case NODE_EXTEND_SOMEBODY:
        fail(m, HOST_PEER, host, who, now);
        node_extend_memory_answered(m, host, now);
        break;
    case NODE_EXTEND_ANSWERED:
        node_extend_memory_answered(m, host, now);
        break;
    case NODE_EXTEND_NO_ANSWER:
        fail(m, HOST, host, who, now);
        fail(m, HOST_ASKER, host, who, now);
        break;
    }
}

static void note_answer(struct node_extend_memory *m, enum subject subject,
                        const struct netaddr *at, tstamp now)
{
    struct table t = answered_table(m);
    struct noted e = {.name = name_of(m, subject, at, NULL), .at = now};
    struct node_extend_asked of = {.net = netaddr_wide_group(netaddr_group(at))};

    note(m, &t, &e, &of);
}

void node_extend_memory_answered(struct node_extend_memory *m, const struct netaddr *host,
                                 tstamp now)
{
    note_answer(m, HOST, host, now);
}

void node_extend_memory_linked(struct node_extend_memory *m, const struct netaddr *at, tstamp now)
{
    struct netaddr host = node_rule_extend_target(at);

    note_answer(m, HOST, &host, now);
    note_answer(m, ADDRESS, at, now);
}

bool node_extend_memory_proven(const struct node_extend_memory *m, const struct netaddr *at,
                               tstamp now)
{
    return noted_since(&m->answered_of, name_of(m, ADDRESS, at, NULL), EXTEND_ANSWERED_FOR, now);
}

void node_extend_memory_view(const struct node_extend_memory *m, const struct netaddr *host,
                             const struct node_extend_asked *who, tstamp now,
                             struct node_extend_view *v)
{
    *v = (struct node_extend_view){
        .answered =
            noted_since(&m->answered_of, name_of(m, HOST, host, NULL), EXTEND_ANSWERED_FOR, now),
        .fails = fails(m, HOST, host, who, now),
        .fails_asker = fails(m, HOST_ASKER, host, who, now),
        .fails_peer = fails(m, HOST_PEER, host, who, now),
    };
}

/* ---- descriptors ---- */

void node_extend_memory_absent(struct node_extend_memory *m, const struct node_extend_asked *who,
                               tstamp now)
{
    struct table t = absent_table(m);
    struct noted e = {.name = name_of(m, PEER_ASKER, NULL, who), .at = now};

    note(m, &t, &e, who);
}

bool node_extend_memory_is_absent(const struct node_extend_memory *m,
                                  const struct node_extend_asked *who, tstamp now)
{
    return noted_since(&m->absent_of, name_of(m, PEER_ASKER, NULL, who), EXTEND_ABSENT_FOR, now);
}
