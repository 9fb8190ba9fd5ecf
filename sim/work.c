/*
 * work.c - requests, and whether they were answered once and rightly.
 *
 *   put    right when the core says stored
 *   get    of something stored lately; right when the very value comes back
 *   find   right when at least 18 of the 20 nearest online servers the node can reach are named
 *   join   bootstrap of a new node
 *
 * Puts and gets of attacked keys (attack.c) are counted apart; such a put is wrong when some seconds after
 * its writer was told so no honest node holds the value.
 *
 * A request is counted in the phase in which it was begun.  One whose node leaves before the answer is
 * counted apart.
 */
#include "sim/sim_int.h"

#include "base/assert.h"
#include "base/map.h"

#include <stdlib.h>
#include <string.h>

#define SETTLED (15 * NS_PER_S) /* nodes younger than this are not asked to do anything */
#define KEY_LEN 21
#define FIND_RIGHT_PERMILLE 900
#define ANSWER_WITHIN (KAD_REQUEST_TIMEOUT + 10 * NS_PER_S)
#define VERIFY_AFTER (5 * NS_PER_S) /* what is under way has arrived */
#define HOLDERS 64                  /* nodes nearest to a key that may hold its value */
#define STAMP_LEN 8                 /* of a value with a life: when it was made */

/* ---- keys and values ---- */

static struct slice key_of(uint32_t item, uint8_t out[KEY_LEN])
{
    static const char hex[] = "0123456789abcdef";
    uint64_t v = (item + UINT64_C(1)) * UINT64_C(0x9e3779b97f4a7c15);

    memcpy(out, "/" SIM_VALUES_NS "/", 5);
    for (unsigned i = 0; i < 16; i++) {
        out[5 + i] = (uint8_t)hex[v >> (4 * i) & 15];
    }
    return (struct slice){out, KEY_LEN};
}

uint64_t work_target(uint32_t item)
{
    uint8_t buf[KEY_LEN], hash[SHA256_LEN];
    uint64_t target = 0;

    sha256(hash, key_of(item, buf));
    for (unsigned i = 0; i < 8; i++) {
        target = target << 8 | hash[i];
    }
    return target;
}

/*
 * What stands under |key|: nobody without the run's secret can make it, as if it were signed.  With a
 * life it begins with the time it was made.
 */
void sim_value(const struct sim *s, struct slice key, walltime made, uint8_t *out, size_t len)
{
    uint64_t stamp = s->sc->value_life == 0 ? 0 : (uint64_t)made;
    uint64_t h = siphash24(s->value_key[0], s->value_key[1] ^ stamp, key);

    for (size_t i = 0; i < len; i++) {
        uint64_t v = i < STAMP_LEN && s->sc->value_life > 0 ? stamp : h;
        out[i] = (uint8_t)(v >> (8 * (i % 8)));
    }
}

/* Whether it is one of ours; *made: when, if it says so. */
static bool value_genuine(const struct sim *s, struct slice key, struct slice value, walltime *made)
{
    uint8_t want[KAD_VALUE_MAX];
    uint64_t stamp = 0;

    if (value.len != s->sc->value_size) {
        return false;
    }
    for (unsigned i = 0; i < STAMP_LEN; i++) {
        stamp |= (uint64_t)value.base[i] << (8 * i);
    }
    *made = (walltime)stamp;
    sim_value(s, key, *made, want, value.len);
    return memcmp(want, value.base, value.len) == 0;
}

static qudag_err value_check(void *ctx, struct slice key, struct slice value, walltime now,
                             walltime *expires)
{
    const struct sim *s = ctx;
    walltime made = 0, life = (walltime)(s->sc->value_life / NS_PER_S);

    if (!value_genuine(s, key, value, &made)) {
        return QUDAG_EAUTH;
    }
    if (life == 0) {
        return QUDAG_OK;
    }
    if (made > now + life) {
        return QUDAG_EMALFORMED; /* the writer's clock is absurd */
    }
    *expires = made + life < *expires ? made + life : *expires;
    return QUDAG_OK;
}

struct kad_validator sim_validator(struct sim *s)
{
    return (struct kad_validator){.ns = SIM_VALUES_NS,
                                  .value_max = (uint32_t)s->sc->value_size,
                                  .ctx = s,
                                  .check = value_check};
}

size_t sim_nearest(const struct sim *s, uint32_t node, uint64_t target, size_t max, uint32_t *out)
{
    size_t n = 0;
    uint64_t worst = UINT64_MAX;

    if (s->servers.v != NULL && !s->servers.stale) {
        return index_nearest(s, &s->servers, node, target, max, out);
    }
    for (uint32_t i = 0; i < s->n; i++) {
        uint64_t d = s->prefix[i] ^ target;
        if (s->up[i] == 0 || (n == max && d >= worst) || i == node ||
            (node != SIM_NONE && !net_reaches(s, node, i))) {
            continue;
        }
        size_t at = n < max ? n++ : n - 1;
        while (at > 0 && d < (s->prefix[out[at - 1]] ^ target)) {
            out[at] = out[at - 1];
            at--;
        }
        out[at] = i;
        worst = s->prefix[out[n - 1]] ^ target;
    }
    return n;
}

/* ---- beginning ---- */

static unsigned phase_now(const struct sim *s)
{
    tstamp t = s->world.now - SIM_BEGIN;

    for (unsigned i = 0; i < s->report.phases; i++) {
        if (t >= s->report.phase[i].from && t < s->report.phase[i].to) {
            return i;
        }
    }
    return SIM_PHASES_MAX;
}

static uint64_t request_add(struct sim *s, uint32_t node, enum sim_op op, uint32_t item)
{
    struct work *w = &s->work;
    unsigned phase = phase_now(s);

    if (w->n == w->cap) {
        w->cap = w->cap == 0 ? 1024 : w->cap * 2;
        w->request = sim_grow(w->request, w->cap, sizeof(*w->request));
    }
    w->request[w->n++] = (struct sim_request){.began = s->world.now,
                                              .node = node,
                                              .epoch = s->node[node].epoch,
                                              .item = item,
                                              .op = (uint8_t)op,
                                              .phase = (uint8_t)phase,
                                              .open = true};
    w->open++;
    if (phase < SIM_PHASES_MAX) {
        s->report.phase[phase].of[op].asked++;
    }
    return w->n;
}

/* The core refused it at once. */
static void refused(struct sim *s, uint64_t cookie)
{
    struct sim_request *r = &s->work.request[cookie - 1];

    r->open = false;
    s->work.open--;
    if (r->phase < SIM_PHASES_MAX) {
        s->report.phase[r->phase].of[r->op].other++;
    }
}

static qudag_err ask(struct sim *s, uint32_t node, enum sim_op op, uint64_t cookie, uint32_t item);

void work_join(struct sim *s, uint32_t node)
{
    uint64_t cookie = request_add(s, node, OP_JOIN, 0);
    qudag_err err = s->host != NULL
                        ? ask(s, node, OP_JOIN, cookie, 0)
                        : kad_bootstrap(s->node[node].kad, cookie, s->world.now, host_acts(s));

    if (err != QUDAG_OK) {
        refused(s, cookie);
    }
    host_apply(s, node);
}

static bool pick_node(struct sim *s, uint32_t *node)
{
    for (unsigned i = 0; i < 1000; i++) {
        uint32_t c = dice_below(&s->dice, DICE_WORK, s->n);
        const struct sim_node *nd = &s->node[c];
        if (sim_there(nd) && !nd->colluding && s->world.now - nd->joined >= SETTLED) {
            *node = c;
            return true;
        }
    }
    return false;
}

static bool pick_record(struct sim *s, uint32_t *item)
{
    struct work *w = &s->work;

    while (w->first < w->records && w->record[w->first].stored + s->sc->age_max < s->world.now) {
        w->first++;
    }
    if (w->first == w->records) {
        return false;
    }
    size_t n = w->records - w->first;
    *item = w->record[w->first + dice_below(&s->dice, DICE_WORK, (uint32_t)n)].item;
    return true;
}

static qudag_err ask(struct sim *s, uint32_t node, enum sim_op op, uint64_t cookie, uint32_t item)
{
    const struct kad_options how = {
        .read = (enum kad_read)s->sc->read, .masked = s->sc->masked != 0, .republish = true};
    uint8_t buf[KEY_LEN], value[KAD_VALUE_MAX];
    struct slice key = key_of(item, buf);
    struct kad *k = s->node[node].kad;
    size_t len = (size_t)s->sc->value_size;

    if (s->host != NULL) {
        sim_value(s, key, host_wall(s, node), value, op == OP_PUT ? len : 0);
        return s->host->ask(s, node, op, cookie, key, (struct slice){value, len});
    }
    switch (op) {
    case OP_PUT:
    case OP_PUT_ATTACKED:
        sim_value(s, key, host_wall(s, node), value, len);
        return kad_put(k, cookie, &(struct kad_put_args){key, (struct slice){value, len}, &how},
                       s->world.now, host_acts(s));
    case OP_GET:
    case OP_GET_ATTACKED:
        return kad_get(k, cookie, key, &how, s->world.now, host_acts(s));
    case OP_FIND:
        return kad_find(k, cookie, key, s->world.now, host_acts(s));
    case OP_JOIN:
    case SIM_OPS:
        break;
    }
    return QUDAG_EINVAL;
}

static uint64_t every(const struct sim *s, enum sim_op op)
{
    switch (op) {
    case OP_PUT:
        return s->sc->put_every;
    case OP_GET:
        return s->sc->get_every;
    case OP_FIND:
        return s->sc->find_every;
    case OP_PUT_ATTACKED:
    case OP_GET_ATTACKED:
    case OP_JOIN:
    case SIM_OPS:
        break;
    }
    return 0;
}

static void next(struct sim *s, enum sim_op op, tstamp from)
{
    uint64_t gap = dice_gap(&s->dice, DICE_WORK, every(s, op));

    world_push(&s->world,
               (struct sim_event){.at = from + gap, .kind = SIM_WORK, .cookie = (uint64_t)op});
}

void work_event(struct sim *s, enum sim_op op)
{
    uint32_t node, item = 0;

    next(s, op, s->world.now);
    if (!pick_node(s, &node) || (op == OP_GET && !pick_record(s, &item))) {
        return;
    }
    if (op != OP_GET) {
        item = s->work.items++;
    }
    if (op == OP_PUT && dice_hit(&s->dice, DICE_WORK, s->sc->attacked) && attack_item(s, &item)) {
        op = OP_PUT_ATTACKED;
    }
    op = op == OP_GET && item >= SIM_ITEM_ATTACKED ? OP_GET_ATTACKED : op;
    warm_wake(s, node);
    uint64_t cookie = request_add(s, node, op, item);
    if (ask(s, node, op, cookie, item) != QUDAG_OK) {
        refused(s, cookie);
    }
    host_apply(s, node);
}

void work_plan(struct sim *s)
{
    for (unsigned op = 0; op < SIM_OPS; op++) {
        if (every(s, (enum sim_op)op) > 0) {
            next(s, (enum sim_op)op, s->world.now + s->sc->work_from);
        }
    }
    for (size_t i = 0; i < s->report.phases; i++) {
        const struct sim_phase_report *p = &s->report.phase[i];
        world_push(&s->world, (struct sim_event){
                                  .at = SIM_BEGIN + p->from, .kind = SIM_PHASE, .cookie = 2 * i});
        world_push(&s->world, (struct sim_event){
                                  .at = SIM_BEGIN + p->to, .kind = SIM_PHASE, .cookie = 2 * i + 1});
    }
}

/* ---- answers ---- */

static bool find_right(struct sim *s, const struct sim_request *r, const struct kad_result *res,
                       struct sim_outcome *o)
{
    uint32_t truth[KAD_K], node;
    size_t hits = 0;
    size_t n = sim_nearest(s, r->node, work_target(r->item), KAD_K, truth);
    for (size_t i = 0; i < res->n_peers; i++) {
        bool known = host_by_id(s, &res->peers[i].id, &node);
        for (size_t t = 0; known && t < n; t++) {
            hits += truth[t] == node && !s->node[node].hostile;
        }
    }
    for (size_t t = 0; t < n; t++) { /* who is rightly not asked need not be named */
        hits += s->node[truth[t]].hostile ? 1 : 0;
    }
    uint64_t permille = n == 0 ? 1000 : hits * 1000 / n;
    o->recall_sum += permille;
    return permille >= FIND_RIGHT_PERMILLE;
}

static bool value_right(const struct sim *s, const struct sim_request *r, struct slice got)
{
    uint8_t buf[KEY_LEN];
    walltime made;

    return value_genuine(s, key_of(r->item, buf), got, &made);
}

static void stored(struct sim *s, uint32_t item)
{
    struct work *w = &s->work;

    if (w->records == w->records_cap) {
        w->records_cap = w->records_cap == 0 ? 1024 : w->records_cap * 2;
        w->record = sim_grow(w->record, w->records_cap, sizeof(*w->record));
    }
    w->record[w->records++] = (struct sim_record){s->world.now, item};
}

static void sample(struct sim_samples *t, uint64_t ns)
{
    if (t->n == t->cap) {
        t->cap = t->cap == 0 ? 256 : t->cap * 2;
        t->us = sim_grow(t->us, t->cap, sizeof(*t->us));
    }
    t->us[t->n++] = (uint32_t)(ns / NS_PER_US);
}

static void assess(struct sim *s, const struct sim_request *r, const struct act *a,
                   struct sim_outcome *o)
{
    const struct kad_result *res = a->ptr;
    bool right = a->err == QUDAG_OK;

    o->rpcs += res->rpcs;
    o->failures += res->failures;
    o->hops += res->hops;
    if (r->op == OP_FIND && right) {
        right = find_right(s, r, res, o);
    } else if ((r->op == OP_GET || r->op == OP_GET_ATTACKED) && right) {
        right = value_right(s, r, res->value);
    }
    if (right) {
        o->right++;
        sample(&o->took, s->world.now - r->began);
    } else if (a->err == QUDAG_OK) {
        o->wrong++;
    } else if (a->err == QUDAG_ENOTFOUND) {
        o->absent++;
    } else if (a->err == QUDAG_EUNREACHABLE) {
        o->unreachable++;
    } else if (a->err == QUDAG_ETIMEOUT) {
        o->late++;
    } else {
        o->other++;
    }
}

void work_done(struct sim *s, uint32_t node, const struct act *a)
{
    struct work *w = &s->work;
    struct sim_outcome aside = {0};

    if (a->kind != KAD_UP_DONE) {
        return;
    }
    if (a->cookie == 0 || a->cookie > w->n) {
        check_fail(s, node, "an answer without a request");
        return;
    }
    struct sim_request *r = &w->request[a->cookie - 1];
    if (r->node != node || r->epoch != s->node[node].epoch) {
        check_fail(s, node, "an answer at a node that did not ask");
        return;
    }
    if (!r->open) {
        check_fail(s, node, "a request answered twice");
        return;
    }
    r->open = false;
    w->open--;
    world_log_u64(&s->world, a->cookie);
    world_log_u64(&s->world, (uint64_t)(int64_t)a->err);
    if ((r->op == OP_PUT || r->op == OP_PUT_ATTACKED) && a->err == QUDAG_OK) {
        stored(s, r->item);
    }
    if (r->op == OP_PUT_ATTACKED && a->err == QUDAG_OK) {
        world_push(&s->world, (struct sim_event){.at = s->world.now + VERIFY_AFTER,
                                                 .kind = SIM_VERIFY,
                                                 .cookie = a->cookie});
    }
    assess(s, r, a, r->phase < SIM_PHASES_MAX ? &s->report.phase[r->phase].of[r->op] : &aside);
    free(aside.took.us);
}

static bool held(const struct sim *s, uint32_t node, struct slice key)
{
    const struct sim_node *nd = &s->node[node];
    struct kad_stats st;
    struct slice value;

    if (nd->kad == NULL || nd->colluding) {
        return false;
    }
    kad_stats_get(nd->kad, &st);
    return st.records > 0 && kad_record_local(nd->kad, key, s->world.now, &value);
}

/* The nearest are asked first; that nobody holds it is only known when all were. */
void work_verify(struct sim *s, uint64_t cookie)
{
    const struct sim_request *r = &s->work.request[cookie - 1];
    uint32_t near[HOLDERS];
    uint8_t buf[KEY_LEN];
    struct slice key = key_of(r->item, buf);
    size_t n = sim_nearest(s, SIM_NONE, work_target(r->item), HOLDERS, near);

    for (size_t i = 0; i < n; i++) {
        if (held(s, near[i], key)) {
            return;
        }
    }
    for (uint32_t i = 0; i < s->n; i++) {
        if (held(s, i, key)) {
            return;
        }
    }
    if (r->phase < SIM_PHASES_MAX) {
        s->report.phase[r->phase].of[r->op].right--;
        s->report.phase[r->phase].of[r->op].wrong++;
    }
}

void work_left(struct sim *s, uint32_t node)
{
    struct work *w = &s->work;

    for (size_t i = w->oldest; i < w->n; i++) {
        struct sim_request *r = &w->request[i];
        if (r->open && r->node == node) {
            r->open = false;
            w->open--;
            if (r->phase < SIM_PHASES_MAX) {
                s->report.phase[r->phase].of[r->op].left++;
            }
        }
    }
}

void work_late(struct sim *s)
{
    struct work *w = &s->work;

    while (w->oldest < w->n && !w->request[w->oldest].open) {
        w->oldest++;
    }
    if (w->oldest < w->n && s->world.now - w->request[w->oldest].began > ANSWER_WITHIN) {
        check_fail(s, w->request[w->oldest].node, "a request was not answered in time");
    }
}

/* ---- phases ---- */

void work_count(const struct sim *s, struct sim_phase_report *p, bool begins)
{
    uint64_t node_ns = s->node_ns + s->online * (s->world.now - s->node_ns_at);
    uint64_t sign = begins ? UINT64_MAX : 1;

    p->rpcs += sign * s->rpcs;
    p->dials += sign * s->dials;
    p->bytes += sign * s->bytes;
    p->messages += sign * s->messages;
    p->node_ns += sign * node_ns;
}

void work_phase(struct sim *s, uint64_t cookie)
{
    size_t ix = (size_t)(cookie / 2);

    work_count(s, &s->report.phase[ix], cookie % 2 == 0);
    s->phase_on[ix] = cookie % 2 == 0;
}

void work_fini(struct sim *s)
{
    free(s->work.request);
    free(s->work.record);
    for (size_t i = 0; i < SIM_PHASES_MAX; i++) {
        for (size_t op = 0; op < SIM_KINDS; op++) {
            free(s->report.phase[i].of[op].took.us);
        }
    }
}
