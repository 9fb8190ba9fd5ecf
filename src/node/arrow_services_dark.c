/*
 * arrow_services_dark.c - hidden services of ours, and their records: begun, kept over restarts, told.
 *
 *   NODE_OP_DARK_PUBLISH ─▶ service ─ SAVE ─▶ saved.c, TARGET ─▶ dark ─ PUBLISHED ─▶ the request ends
 *
 * Introduction points do not outlive the process, keys do: a restarted service has the same address, and records that
 * name other points leave at once.  What the calendar makes of the keys is not undone before it is trusted (clock.c).
 */
#include "core/dark/clients.h"
#include "node/internal.h"

#include <string.h>

#define POINTS_WAIT (60 * NS_PER_S) /* for the first introduction point */
#define SAVE_AGAIN (10 * NS_PER_S)
#define CLOCK_EVERY (600 * NS_PER_S)

struct node_service *node_service_get(const struct node *n, uint64_t name)
{
    LIST_EACH(it, &n->serving)
    {
        struct node_service *s = LIST_ENTRY(it, struct node_service, node);
        if (s->name == name) {
            return s;
        }
    }
    return NULL;
}

/* ---- records ---- */

/* The last request to publish |s| that has not ended, |asked|: of the dark core; NULL. */
static struct node_op *waiting(const struct node *n, const struct node_service *s, bool asked)
{
    struct node_op *last = NULL;

    LIST_EACH(it, &n->running)
    {
        struct node_op *op = LIST_ENTRY(it, struct node_op, node);
        if (op->req.kind == NODE_OP_DARK_PUBLISH && op->asked == asked &&
            memcmp(&op->req.dark, &s->addr, sizeof(s->addr)) == 0) {
            last = op;
        }
    }
    return last;
}

static void end_waiting(struct node *n, const struct node_service *s, qudag_err err)
{
    struct node_op *op;

    while ((op = waiting(n, s, false)) != NULL) {
        node_op_end(n, op, err, NULL);
    }
}

/* Tells the dark core what records say; requests that waited for it are its from now on. */
static qudag_err tell(struct node *n, struct node_service *s, tstamp now)
{
    struct node_op *op = waiting(n, s, false), *before = waiting(n, s, true);
    struct dark_publish_want want = {
        .addr = &s->addr, .hidden = &s->target, .how = DARK_PUBLISH_RESUME};

    if (op != NULL && !op->notified) {
        want.how = DARK_PUBLISH_NOW; /* the program asked */
    }
    if (op != NULL || before != NULL) {
        want.cookie = node_op_cookie(op != NULL ? op : before);
    }
    qudag_err err = dark_publish(n->dark, &want, now, node_begin(n));
    node_end(n, n->ix.dark);
    while (err == QUDAG_OK && (op = waiting(n, s, false)) != NULL) {
        op->asked = true;
    }
    s->give_up_at = TSTAMP_NEVER;
    return err;
}

static void tell_if_ready(struct node *n, struct node_service *s, tstamp now)
{
    qudag_err err = s->has_target && !s->unsaved ? tell(n, s, now) : QUDAG_OK;

    if (err != QUDAG_OK) {
        log_event(&n->cfg.log, LOG_WARN, "service.not_published", LOG_ERR(err));
        end_waiting(n, s, err);
    }
}

void node_service_save(struct node *n, struct node_service *s)
{
    uint8_t file[HIDDEN_SAVED_LEN];
    qudag_err err = hidden_serve_save(n->services, s->name, file);

    if (err == QUDAG_OK) {
        err = node_saved_service_keys(n, &s->addr, (struct slice){file, sizeof(file)});
    }
    wipe(file, sizeof(file));
    s->unsaved = err != QUDAG_OK;
    s->save_at = s->unsaved ? tstamp_after(n->now, SAVE_AGAIN) : TSTAMP_NEVER;
}

static void point_from(struct dark_intro *to, const struct hidden_point *p)
{
    to->relay = p->relay.peer;
    memcpy(to->pq_hash, p->relay.pq_hash, sizeof(to->pq_hash));
    memcpy(to->key_id, p->relay.key_id, sizeof(to->key_id));
    memcpy(to->x, p->relay.x, sizeof(to->x));
    memcpy(to->k, p->relay.k, sizeof(to->k));
    memcpy(to->key, p->intro_key, sizeof(to->key));
}

_Static_assert(HIDDEN_POINTS <= DARK_INTROS_MAX, "a record names all points");
_Static_assert(HIDDEN_LIVE <= DARK_KEYS_MAX && HIDDEN_SLOTS <= DARK_OLD_MAX, "all that is told");

void node_service_target(struct node *n, struct node_service *s, const struct hidden_target *t,
                         tstamp now)
{
    struct dark_service *to = &s->target;

    memset(to, 0, sizeof(*to));
    for (; to->n_intros < t->n_points; to->n_intros++) {
        point_from(&to->intro[to->n_intros], &t->point[to->n_intros]);
    }
    for (; to->n_keys < t->n_keys; to->n_keys++) {
        struct dark_period_keys *k = &to->keys[to->n_keys];
        k->period = t->keys[to->n_keys].period;
        memcpy(k->x, t->keys[to->n_keys].x, sizeof(k->x));
        memcpy(k->k, t->keys[to->n_keys].k, sizeof(k->k));
    }
    to->pow = (struct dark_pow){.effort = t->work.effort, .expires = t->work.expires};
    memcpy(to->pow.seed, t->work.seed, sizeof(to->pow.seed));
    to->n_old = t->n_old;
    memcpy(to->old, t->old, sizeof(t->old));
    s->has_target = true;
    tell_if_ready(n, s, now);
}

/* ---- beginning and end ---- */

static struct node_service_keys *keys_of(const struct node *n, const uint8_t addr[DARK_ADDR_LEN])
{
    LIST_EACH(it, &n->serving_keys)
    {
        struct node_service_keys *k = LIST_ENTRY(it, struct node_service_keys, node);
        if (memcmp(hidden_saved_addr((struct slice){k->bytes, sizeof(k->bytes)}), addr,
                   DARK_ADDR_LEN) == 0) {
            return k;
        }
    }
    return NULL;
}

static void service_free(struct node *n, struct node_service *s)
{
    list_del(&s->node);
    mem_free(n->mem, s);
    n->meetings_at = n->now; /* what waits for it is of no more use */
}

/* With the keys of the last run, unless they are damaged: then callers wait until they find a newer record. */
static qudag_err serve(struct node *n, const struct node_service *s, tstamp now)
{
    uint8_t addr[DARK_ADDR_LEN];
    struct hidden_serve_want want = {.cookie = s->name, .addr = addr};

    dark_addr_bytes(addr, &s->addr);
    struct node_service_keys *k = keys_of(n, addr);
    if (k != NULL) {
        want.saved = (struct slice){k->bytes, sizeof(k->bytes)};
    }
    qudag_err err = hidden_serve(n->services, &want, now, node_begin(n));
    node_end(n, n->ix.services);
    if (err == QUDAG_EMALFORMED) {
        log_event(&n->cfg.log, LOG_WARN, "service.keys_damaged",
                  LOG_STR("what", "handshake keys of a dark address; new ones are made"));
        want.saved.len = 0;
        err = hidden_serve(n->services, &want, now, node_begin(n));
        node_end(n, n->ix.services);
    }
    if (err == QUDAG_OK && k != NULL) {
        list_del(&k->node);
        mem_free_wiped(n->mem, k);
    }
    return err;
}

/* *out is owned by node.serving. */
static qudag_err begin(struct node *n, const struct dark_addr *a, tstamp now,
                       struct node_service **out)
{
    struct node_service *s = mem_alloc(n->mem, sizeof(*s));

    if (s == NULL) {
        return QUDAG_ENOMEM;
    }
    s->addr = *a;
    s->name = node_keys_tag(a);
    s->save_at = s->give_up_at = TSTAMP_NEVER;
    n->meetings_at = now;
    list_push_back(&n->serving, &s->node); /* reports come for it from now on */
    qudag_err err = serve(n, s, now);
    if (err != QUDAG_OK) {
        service_free(n, s);
        return err;
    }
    *out = s;
    return QUDAG_OK;
}

qudag_err node_service_publish(struct node *n, struct node_op *op, tstamp now)
{
    struct node_service *s = node_service_get(n, node_keys_tag(&op->req.dark));
    qudag_err err = node_small_network_check(n);

    if (err == QUDAG_ESMALLNET) {
        return err; /* with too few relays it waits for more, as circuits do */
    }
    err = s == NULL ? begin(n, &op->req.dark, now, &s) : QUDAG_OK;
    if (err != QUDAG_OK) {
        return err;
    }
    op->asked = false;
    if (s->has_target && !s->unsaved) {
        return tell(n, s, now);
    }
    s->give_up_at = tstamp_after(now, POINTS_WAIT);
    return QUDAG_OK;
}

void node_service_end(struct node *n, const struct dark_addr *a, tstamp now)
{
    struct node_service *s = node_service_get(n, node_keys_tag(a));
    (void)now;

    if (s != NULL) {
        hidden_serve_end(n->services, s->name, node_begin(n));
        node_end(n, n->ix.services);
        end_waiting(n, s, QUDAG_ECANCELED);
        service_free(n, s);
    }
}

static void keys_drop(struct node *n, const struct dark_addr *a)
{
    uint8_t addr[DARK_ADDR_LEN];
    struct node_service_keys *k;

    dark_addr_bytes(addr, a);
    while ((k = keys_of(n, addr)) != NULL) {
        list_del(&k->node);
        mem_free_wiped(n->mem, k);
    }
}

qudag_err node_service_renew(struct node *n, const struct dark_addr *a, tstamp now)
{
    struct node_service *s = node_service_get(n, node_keys_tag(a));

    keys_drop(n, a);
    dark_service_await(n->dark, a);
    if (s == NULL) {
        return node_saved_service_keys(n, a, (struct slice){NULL, 0});
    }
    hidden_serve_end(n->services, s->name, node_begin(n));
    node_end(n, n->ix.services);
    s->has_target = s->unsaved = false;
    s->save_at = TSTAMP_NEVER;
    qudag_err err = serve(n, s, now);
    if (err != QUDAG_OK) {
        end_waiting(n, s, err);
        service_free(n, s);
    }
    return err;
}

/* ---- time ---- */

static void look(struct node *n, struct node_service *s, tstamp now)
{
    if (s->save_at <= now) {
        node_service_save(n, s);
        tell_if_ready(n, s, now);
    }
    if (s->give_up_at <= now) {
        s->give_up_at = TSTAMP_NEVER;
        end_waiting(n, s, QUDAG_ECIRCUIT); /* it goes on trying, as with what could not be stored */
    }
}

static void tick(void *node, tstamp now, struct acts *out)
{
    struct node *n = node;
    (void)out;

    LIST_EACH_SAFE(it, tmp, &n->serving)
    {
        look(n, LIST_ENTRY(it, struct node_service, node), now);
    }
    if (n->services_clock_at <= now) {
        n->services_clock_at = tstamp_after(now, CLOCK_EVERY);
        node_clock_to_services(n);
    }
}

static tstamp deadline(const void *node)
{
    const struct node *n = node;
    tstamp at = n->services_clock_at;

    LIST_EACH(it, &n->serving)
    {
        const struct node_service *s = LIST_ENTRY(it, struct node_service, node);
        at = tstamp_min(at, tstamp_min(s->save_at, s->give_up_at));
    }
    return at;
}

static void release(void *node)
{
    struct node *n = node;

    LIST_EACH_SAFE(it, tmp, &n->serving)
    {
        service_free(n, LIST_ENTRY(it, struct node_service, node));
    }
    LIST_EACH_SAFE(it, tmp, &n->serving_keys)
    {
        list_del(it);
        mem_free_wiped(n->mem, LIST_ENTRY(it, struct node_service_keys, node));
    }
}

qudag_err node_services_init(struct node *n)
{
    static const struct core_ops ops = {.tick = tick, .deadline = deadline};
    struct node_core core = {
        .name = "service records", .instance = n, .ops = &ops, .free = release};
    unsigned ix;

    n->services_clock_at = tstamp_after(n->now, CLOCK_EVERY);
    return node_core_add(n, &core, NULL, &ix);
}
