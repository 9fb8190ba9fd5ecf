/* budget.c - how often the far end may make us build circuits. */
#include "node/budget.h"

#include "base/err.h"

#include <string.h>

struct key_note {
    struct node_isolation key;
    struct node_spend
        own;     /* further ones of this key, whether the others left room for them or not */
    tstamp last; /* the last attempt */
    bool used, again;
    bool
        first_due; /* its first was refused: until one is allowed, it is a first that it asks for */
    bool locked;   /* the last attempt ended at a record that is for those who have a key */
};

/* A local user who has called. */
struct user_note {
    uint64_t user;
    struct node_spend first; /* of the address's, those that were his */
    bool used;
};

struct addr_note {
    struct list node;
    struct dark_addr addr;
    struct node_spend first, again;
    struct node_spared spared;
    struct key_note key[NODE_BUDGET_KEYS_MAX];
    struct user_note user[NODE_BUDGET_USERS_MAX];
};

static uint64_t way_back(uint32_t level, uint32_t free)
{
    return level > free ? NODE_BUDGET_HOUR : NODE_BUDGET_HOUR / free;
}

/* |value| doubled |times| times, |most| at most. */
static uint64_t doubled(uint64_t value, uint32_t times, uint64_t most)
{
    while (times > 0 && value < most) {
        value *= 2;
        times--;
    }
    return value < most ? value : most;
}

/* How long after the last one the next is allowed. */
static uint64_t wait_for(uint32_t level, uint32_t quick, uint32_t free)
{
    if (level < quick) {
        return 0;
    }
    return level < free ? doubled(NODE_BUDGET_WAIT_FIRST, level - quick, NODE_BUDGET_WAIT)
                        : doubled(NODE_BUDGET_WAIT, level - free, NODE_BUDGET_HOUR);
}

static void spend_settle(struct node_spend *s, uint32_t free, tstamp now)
{
    while (s->level > 0 && now - s->back_at >= way_back(s->level, free)) {
        s->back_at += way_back(s->level, free);
        s->level--;
    }
}

static void spend_count(struct node_spend *s, tstamp now)
{
    s->back_at = s->level == 0 ? now : s->back_at;
    s->level++;
    s->last = now;
}

bool node_spend_take(struct node_spend *s, uint32_t quick, uint32_t free, tstamp now)
{
    spend_settle(s, free, now);
    if (s->level > 0 && now - s->last < wait_for(s->level, quick, free)) {
        return false;
    }
    spend_count(s, now);
    return true;
}

uint32_t node_budget_share(uint32_t others)
{
    uint32_t left = others < NODE_BUDGET_FIRST ? NODE_BUDGET_FIRST - others : 0;

    return left > 1 ? left * 3 / 4 : 1;
}

bool node_spared_take(struct node_spared *s, tstamp now)
{
    if (s->n == 0 || now - s->since >= NODE_BUDGET_HOUR) {
        *s = (struct node_spared){.since = now};
    }
    if (s->n >= NODE_BUDGET_SPARE) {
        return false;
    }
    s->n++;
    return true;
}

void node_budget_init(struct node_budget *b, struct mem *mem)
{
    b->mem = mem;
    b->n = 0;
    list_init(&b->lru);
}

static void note_free(struct node_budget *b, struct addr_note *a)
{
    list_del(&a->node);
    b->n--;
    mem_free_wiped(b->mem, a);
}

void node_budget_fini(struct node_budget *b)
{
    LIST_EACH_SAFE(it, tmp, &b->lru)
    {
        note_free(b, LIST_ENTRY(it, struct addr_note, node));
    }
}

static struct addr_note *note_of(const struct node_budget *b, const struct dark_addr *to)
{
    LIST_EACH(it, &b->lru)
    {
        struct addr_note *a = LIST_ENTRY(it, struct addr_note, node);
        if (memcmp(&a->addr, to, sizeof(*to)) == 0) {
            return a;
        }
    }
    return NULL;
}

static struct addr_note *note_want(struct node_budget *b, const struct dark_addr *to)
{
    struct addr_note *a = note_of(b, to);

    if (a != NULL) {
        list_del(&a->node);
        list_push_back(&b->lru, &a->node);
        return a;
    }
    if (b->n >= NODE_BUDGET_ADDRS_MAX) {
        note_free(b, LIST_ENTRY(b->lru.next, struct addr_note, node));
    }
    a = mem_alloc(b->mem, sizeof(*a));
    if (a != NULL) {
        a->addr = *to;
        list_init(&a->node);
        list_push_back(&b->lru, &a->node);
        b->n++;
    }
    return a;
}

static struct key_note *key_of(struct addr_note *a, const struct node_isolation *key)
{
    for (size_t i = 0; i < NODE_BUDGET_KEYS_MAX; i++) {
        if (a->key[i].used && node_isolation_eq(&a->key[i].key, key)) {
            return &a->key[i];
        }
    }
    return NULL;
}

static struct key_note *key_want(struct addr_note *a, const struct node_isolation *key)
{
    struct key_note *k = key_of(a, key);

    if (k != NULL) {
        return k;
    }
    k = &a->key[0];
    for (size_t i = 0; i < NODE_BUDGET_KEYS_MAX && k->used; i++) {
        k = !a->key[i].used || a->key[i].last < k->last ? &a->key[i] : k;
    }
    *k = (struct key_note){.key = *key};
    return k;
}

static struct user_note *user_of(struct addr_note *a, uint64_t user)
{
    for (size_t i = 0; i < NODE_BUDGET_USERS_MAX; i++) {
        if (a->user[i].used && a->user[i].user == user) {
            return &a->user[i];
        }
    }
    return NULL;
}

static struct user_note *user_want(struct addr_note *a, uint64_t user)
{
    struct user_note *u = user_of(a, user);

    if (u != NULL) {
        return u;
    }
    u = &a->user[0];
    for (size_t i = 0; i < NODE_BUDGET_USERS_MAX && u->used; i++) {
        u = !a->user[i].used || a->user[i].first.last < u->first.last ? &a->user[i] : u;
    }
    *u = (struct user_note){.user = user, .used = true};
    return u;
}

/* A first one of a key of |user|: within his share, and the address's. */
static bool take_first(struct addr_note *a, uint64_t user, tstamp now)
{
    struct node_spend *own = &user_want(a, user)->first;

    spend_settle(&a->first, NODE_BUDGET_FIRST, now);
    spend_settle(own, NODE_BUDGET_FIRST, now);
    uint32_t others = a->first.level > own->level ? a->first.level - own->level : 0;
    if (own->level >= node_budget_share(others) ||
        !node_spend_take(&a->first, NODE_BUDGET_FIRST, NODE_BUDGET_FIRST, now)) {
        return false;
    }
    spend_count(own, now);
    return true;
}

qudag_err node_budget_take(struct node_budget *b, const struct dark_addr *to,
                           const struct node_isolation *key, tstamp now)
{
    struct addr_note *a = note_want(b, to);

    if (a == NULL) {
        return QUDAG_ENOMEM;
    }
    struct key_note *k = key_want(a, key);
    bool again = k->used && now - k->last < NODE_BUDGET_CALM;
    k->used = true;
    k->last = now; /* also of one that was refused: whoever insists is not calm */
    if (again && !node_spend_take(&k->own, NODE_BUDGET_QUICK, NODE_BUDGET_AGAIN, now)) {
        return k->locked ? QUDAG_ENEEDAUTH : QUDAG_ELIMIT;
    }
    k->locked = false;
    bool first = !again || k->first_due;
    bool ok = first ? take_first(a, key->local_user, now)
                    : node_spend_take(&a->again, NODE_BUDGET_QUICK, NODE_BUDGET_AGAIN, now);
    k->first_due = first && !ok;
    k->again = ok ? !first : k->again;
    return ok ? QUDAG_OK : QUDAG_EUNREACHABLE;
}

bool node_budget_ours(qudag_err err)
{
    return err_is_ours(err) || err == QUDAG_ELIMIT || err == QUDAG_ENORELAYS ||
           err == QUDAG_ENOGUARD;
}

bool node_budget_untouched(bool begun, uint64_t reached, uint64_t relays)
{
    return !begun || reached < relays;
}

void node_budget_progress(struct node_budget *b, const struct dark_addr *to,
                          const struct node_isolation *key)
{
    struct addr_note *a = note_of(b, to);
    struct key_note *k = a != NULL ? key_of(a, key) : NULL;

    if (k != NULL) {
        k->own.level -= k->own.level > 0 ? 1 : 0;
        a->again.level -= a->again.level > 0 ? 1 : 0;
    }
}

bool node_budget_by_relays(uint64_t hop, uint64_t relays, bool beyond)
{
    return hop > 0 && (hop < relays || (beyond && hop == relays));
}

void node_budget_spare(struct node_budget *b, const struct dark_addr *to,
                       const struct node_isolation *key, tstamp now)
{
    struct addr_note *a = note_of(b, to);
    const struct key_note *k = a != NULL ? key_of(a, key) : NULL;

    if (k != NULL && (k->own.level > 0 || a->again.level > 0) &&
        node_spared_take(&a->spared, now)) {
        node_budget_progress(b, to, key);
    }
}

void node_budget_back(struct node_budget *b, const struct dark_addr *to,
                      const struct node_isolation *key)
{
    struct addr_note *a = note_of(b, to);
    struct key_note *k = a != NULL ? key_of(a, key) : NULL;

    if (k == NULL) {
        return;
    }
    struct node_spend *s = k->again ? &a->again : &a->first;
    struct user_note *u = k->again ? NULL : user_of(a, k->key.local_user);
    s->level -= s->level > 0 ? 1 : 0;
    if (u != NULL && u->first.level > 0) {
        u->first.level--;
    }
    k->own.level -= k->again && k->own.level > 0 ? 1 : 0;
    k->used = k->again; /* the first is still to come */
}

void node_budget_locked(struct node_budget *b, const struct dark_addr *to,
                        const struct node_isolation *key)
{
    struct addr_note *a = note_of(b, to);
    struct key_note *k = a != NULL ? key_of(a, key) : NULL;

    if (k != NULL) {
        k->locked = true;
    }
}

void node_budget_forget(struct node_budget *b, const struct dark_addr *to)
{
    struct addr_note *a = note_of(b, to);

    if (a != NULL) {
        note_free(b, a);
    }
}
