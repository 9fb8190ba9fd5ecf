/*
 * fair.c - places and turns shared between networks, and within each between its sources.
 *
 * Each level is a heap by what is held, so that the largest is known at once, and a list of those whose turn comes.
 * Nothing here allocates but fair_add(), so that places can always be given back and turns be taken.
 */
#include "base/fair.h"

#include "base/assert.h"

#include <string.h>

#define KEY_LEN 16
#define FORGET_AT_ONCE 2 /* two out for one in: the table shrinks */

/* ---- rules ---- */

bool fair_gives_way(const struct fair_claim *holder, const struct fair_claim *newcomer)
{
    if (holder->net != newcomer->net) {
        return holder->net_n > newcomer->net_n + 1;
    }
    return holder->source != newcomer->source && holder->source_n > newcomer->source_n + 1;
}

uint32_t fair_share(uint32_t total, uint32_t holders)
{
    uint32_t share = holders == 0 ? total : total / holders;

    return share == 0 ? 1 : share;
}

/* ---- the table ---- */

static struct slice source_key(uint64_t net, uint64_t name, uint8_t buf[KEY_LEN])
{
    memcpy(buf, &net, sizeof net);
    memcpy(buf + sizeof net, &name, sizeof name);
    return (struct slice){buf, KEY_LEN};
}

/* The heap has the earliest on top: here the largest. */
static tstamp rank(uint32_t n)
{
    return UINT32_MAX - n;
}

void fair_init(struct fair *f, struct mem *mem, const uint8_t seed[16], uint32_t max)
{
    *f = (struct fair){.mem = mem};
    map_init_u64(&f->nets, mem, seed, 0, max);
    map_init_sized(&f->sources, mem, seed, KEY_LEN, max);
    heap_init(&f->nets_by_n, mem, max);
    list_init(&f->turns);
    list_init(&f->idle);
}

struct fair_source *fair_source_of(const struct fair *f, uint64_t net, uint64_t name)
{
    uint8_t key[KEY_LEN];

    return map_get(&f->sources, source_key(net, name, key));
}

static void net_free(struct fair *f, struct fair_net *net)
{
    (void)map_u64_del(&f->nets, net->name);
    heap_del(&f->nets_by_n, &net->most);
    heap_fini(&net->sources);
    list_del(&net->turn);
    mem_free(f->mem, net);
}

static void source_free(struct fair *f, struct fair_source *s)
{
    struct fair_net *net = s->net;
    uint8_t key[KEY_LEN];

    (void)map_del(&f->sources, source_key(net->name, s->name, key));
    heap_del(&net->sources, &s->most);
    list_del(&s->turn);
    list_del(&s->idle);
    mem_free(f->mem, s);
    if (--net->known == 0) {
        net_free(f, net);
    }
}

void fair_fini(struct fair *f)
{
    struct fair_source *s;

    for (size_t it = 0; (s = map_next(&f->sources, &it)) != NULL;) {
        LIST_EACH_SAFE(at, tmp, &s->items)
        {
            fair_del(f, LIST_ENTRY(at, struct fair_item, node), 0);
        }
    }
    while (!list_empty(&f->idle)) { /* all of them now */
        source_free(f, LIST_ENTRY(f->idle.next, struct fair_source, idle));
    }
    map_fini(&f->nets);
    map_fini(&f->sources);
    heap_fini(&f->nets_by_n);
}

static struct fair_net *net_get(struct fair *f, uint64_t name)
{
    struct fair_net *net = map_u64_get(&f->nets, name);

    if (net != NULL || (net = mem_alloc(f->mem, sizeof *net)) == NULL) {
        return net;
    }
    net->name = name;
    list_init(&net->turn);
    list_init(&net->turns);
    heap_init(&net->sources, f->mem, UINT32_MAX);
    if (map_u64_put(&f->nets, name, net) != QUDAG_OK) {
        mem_free(f->mem, net);
        return NULL;
    }
    return net;
}

static void forget_idle(struct fair *f, tstamp now)
{
    for (int i = 0; i < FORGET_AT_ONCE && !list_empty(&f->idle); i++) {
        struct fair_source *s = LIST_ENTRY(f->idle.next, struct fair_source, idle);
        if (f->sources.n < f->sources.max && tstamp_after(s->used, FAIR_LIFE) > now) {
            return;
        }
        source_free(f, s);
    }
}

static qudag_err source_new(struct fair *f, uint64_t net, uint64_t name, struct fair_source **out)
{
    uint8_t key[KEY_LEN];

    if (f->sources.n >= f->sources.max) {
        return QUDAG_ELIMIT;
    }
    struct fair_source *s = mem_alloc(f->mem, sizeof *s);
    if (s == NULL || (s->net = net_get(f, net)) == NULL) {
        mem_free(f->mem, s);
        return QUDAG_ENOMEM;
    }
    s->name = name;
    list_init(&s->items);
    list_init(&s->queue);
    list_init(&s->turn);
    list_init(&s->idle);
    qudag_err err = map_put(&f->sources, source_key(net, name, key), s);
    if (err != QUDAG_OK) {
        if (s->net->known == 0) {
            net_free(f, s->net);
        }
        mem_free(f->mem, s);
        return err;
    }
    s->net->known++;
    list_push_back(&f->idle, &s->idle);
    *out = s;
    return QUDAG_OK;
}

/* A place more or less: the heaps follow.  Only the first place of somebody can fail, for lack of memory. */
static qudag_err rank_again(struct fair *f, struct fair_source *s, uint32_t n, uint32_t net_n)
{
    struct fair_net *net = s->net;
    qudag_err err = QUDAG_OK;

    if (n == 0) {
        heap_del(&net->sources, &s->most);
    } else {
        err = heap_set(&net->sources, &s->most, rank(n));
    }
    if (err == QUDAG_OK && net_n == 0) {
        heap_del(&f->nets_by_n, &net->most);
    } else if (err == QUDAG_OK) {
        err = heap_set(&f->nets_by_n, &net->most, rank(net_n));
    }
    if (err != QUDAG_OK && s->n == 0) {
        heap_del(&net->sources, &s->most);
    }
    return err;
}

qudag_err fair_add(struct fair *f, struct fair_item *it, uint64_t net, uint64_t name, tstamp now)
{
    forget_idle(f, now);
    struct fair_source *s = fair_source_of(f, net, name);
    qudag_err err = s == NULL ? source_new(f, net, name, &s) : QUDAG_OK;

    if (err == QUDAG_OK) {
        err = rank_again(f, s, s->n + 1, s->net->n + 1);
    }
    if (err != QUDAG_OK) {
        return err;
    }
    f->n_nets += s->net->n == 0;
    s->net->n_sources += s->n == 0;
    list_del(&s->idle);
    f->n++;
    s->net->n++;
    s->n++;
    it->source = s;
    it->active = false;
    list_init(&it->wait);
    list_init(&it->node);
    list_push_back(&s->items, &it->node);
    return QUDAG_OK;
}

void fair_del(struct fair *f, struct fair_item *it, tstamp now)
{
    struct fair_source *s = it->source;

    if (s == NULL) {
        return;
    }
    fair_unwait(f, it);
    fair_active(f, it, false);
    qudag_err err = rank_again(f, s, s->n - 1, s->net->n - 1);
    ASSERT(err == QUDAG_OK); /* both are in their heaps */
    list_del(&it->node);
    it->source = NULL;
    f->n--;
    s->net->n--;
    s->n--;
    f->n_nets -= s->net->n == 0;
    s->net->n_sources -= s->n == 0;
    if (s->n == 0) {
        s->used = now;
        list_push_back(&f->idle, &s->idle);
    }
}

void fair_active(struct fair *f, struct fair_item *it, bool active)
{
    if (it->source == NULL || it->active == active) {
        return;
    }
    it->active = active;
    f->active += active ? 1u : UINT32_MAX;
    it->source->active += active ? 1u : UINT32_MAX;
    it->source->net->active += active ? 1u : UINT32_MAX;
}

struct fair_claim fair_claim_of_source(const struct fair_source *s)
{
    return (struct fair_claim){
        .net = s->net->name, .source = s->name, .net_n = s->net->n, .source_n = s->n};
}

struct fair_claim fair_claim_of(const struct fair *f, uint64_t net, uint64_t name)
{
    const struct fair_source *s = fair_source_of(f, net, name);
    const struct fair_net *n = map_u64_get(&f->nets, net);

    return (struct fair_claim){.net = net,
                               .source = name,
                               .net_n = n == NULL ? 0 : n->n,
                               .source_n = s == NULL ? 0 : s->n};
}

struct fair_source *fair_most(const struct fair *f)
{
    struct heap_node *top = heap_top(&f->nets_by_n);

    if (top == NULL) {
        return NULL;
    }
    top = heap_top(&LIST_ENTRY(top, struct fair_net, most)->sources);
    ASSERT(top != NULL); /* a network that holds something has a source that does */
    return LIST_ENTRY(top, struct fair_source, most);
}

struct fair_source *fair_most_in(const struct fair *f, uint64_t net)
{
    const struct fair_net *n = map_u64_get(&f->nets, net);
    struct heap_node *top = n == NULL ? NULL : heap_top(&n->sources);

    return top == NULL ? NULL : LIST_ENTRY(top, struct fair_source, most);
}

struct fair_source *fair_most_for(const struct fair *f, const struct fair_claim *newcomer)
{
    struct fair_source *from[] = {fair_most(f), fair_most_in(f, newcomer->net)};

    for (size_t i = 0; i < ARRAY_LEN(from); i++) {
        struct fair_claim holder = {0};
        if (from[i] != NULL) {
            holder = fair_claim_of_source(from[i]);
        }
        if (from[i] != NULL && fair_gives_way(&holder, newcomer)) {
            return from[i];
        }
    }
    return from[0];
}

/* ---- turns ---- */

void fair_wait(struct fair *f, struct fair_item *it)
{
    struct fair_source *s = it->source;

    if (s == NULL || list_linked(&it->wait)) {
        return;
    }
    list_push_back(&s->queue, &it->wait);
    f->waiting++;
    if (s->waiting++ == 0) {
        list_push_back(&s->net->turns, &s->turn);
    }
    if (s->net->waiting++ == 0) {
        list_push_back(&f->turns, &s->net->turn);
    }
}

void fair_unwait(struct fair *f, struct fair_item *it)
{
    struct fair_source *s = it->source;

    if (s == NULL || !list_linked(&it->wait)) {
        return;
    }
    list_del(&it->wait);
    f->waiting--;
    if (--s->waiting == 0) {
        list_del(&s->turn);
    }
    if (--s->net->waiting == 0) {
        list_del(&s->net->turn);
    }
}

struct fair_choice {
    bool (*may)(const void *ctx, const struct fair_source *s);
    const void *ctx;
    bool paid; /* somebody left out a turn that he owed: another round may find him */
};

/* The turn passes to the one behind. */
static void rotate(struct list *turns, struct list *turn)
{
    list_del(turn);
    list_push_back(turns, turn);
}

static struct fair_source *source_of_turn(struct fair_net *net, struct fair_choice *c)
{
    const struct list *last = net->turns.prev;

    for (bool more = true; more;) {
        struct fair_source *s = LIST_ENTRY(net->turns.next, struct fair_source, turn);
        more = &s->turn != last;
        if (c->may != NULL && !c->may(c->ctx, s)) {
            rotate(&net->turns, &s->turn);
        } else if (s->debt > 0) {
            s->debt--;
            c->paid = true;
            rotate(&net->turns, &s->turn);
        } else {
            return s;
        }
    }
    return NULL;
}

/* One round of all networks. */
static struct fair_source *turn_of(struct fair *f, struct fair_choice *c)
{
    const struct list *last = f->turns.prev;

    for (bool more = true; more;) {
        struct fair_net *net = LIST_ENTRY(f->turns.next, struct fair_net, turn);
        more = &net->turn != last;
        struct fair_source *s = NULL;
        if (net->debt == 0) {
            s = source_of_turn(net, c);
        } else {
            net->debt--;
            c->paid = true;
        }
        rotate(&f->turns, &net->turn);
        if (s != NULL) {
            rotate(&net->turns, &s->turn);
            return s;
        }
    }
    return NULL;
}

struct fair_item *fair_next(struct fair *f,
                            bool (*may)(const void *ctx, const struct fair_source *s),
                            const void *ctx)
{
    struct fair_choice c = {may, ctx, f->waiting > 0};
    struct fair_source *s = NULL;

    while (s == NULL && c.paid) {
        c.paid = false;
        s = turn_of(f, &c);
    }
    if (s == NULL) {
        return NULL;
    }
    struct fair_item *it = LIST_ENTRY(s->queue.next, struct fair_item, wait);
    fair_unwait(f, it);
    return it;
}

void fair_charge(struct fair_source *s, uint32_t turns)
{
    uint32_t room = FAIR_DEBT_MAX - s->debt, net_room = FAIR_DEBT_MAX - s->net->debt;

    s->debt += turns < room ? turns : room;
    s->net->debt += turns < net_room ? turns : net_room;
}
