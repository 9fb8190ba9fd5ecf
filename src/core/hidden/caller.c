/*
 * caller.c - see caller.h.
 *
 *   R      BUILD ─▶ PLACE ─▶ WAITS ─▶ MET        broken, or a CREATED that fits nothing: another R, BUILD again
 *   point  FRESH ─▶ BUILD ─▶ READY ─▶ ASKED ─▶ PASSED, or UNKNOWN, FULL, BROKEN
 *
 * R and the first point are built side by side, and while they are, the work is done that the service asks for.  Where
 * the circuit to a point takes long, as to a relay that is gone, that to the next one is begun beside it.  An
 * introduction is made when R was asked to wait, as the service comes there many hops later than that, and none was
 * made in the last 4 s that may still bring something; what was made for one R is of no use for the next, but for work.
 */
#include "core/hidden/caller.h"

#include "base/assert.h"
#include "base/list.h"
#include "base/wipe.h"

#include <string.h>

#define TURN_CALLS 16              /* that a tick sees to */
#define BEGIN_LIFE (30 * NS_PER_S) /* until the first introduction */
#define TAKE_LIFE (5 * NS_PER_S)   /* of keys that nobody takes */

enum r_state { R_BUILD, R_PLACE, R_WAITS, R_MET };
enum point_state { P_FRESH, P_BUILD, P_READY, P_ASKED, P_PASSED, P_UNKNOWN, P_FULL, P_BROKEN };

struct point {
    struct hidden_point at;
    enum point_state state;
    uint64_t id;
    struct ref circuit; /* READY, ASKED */
    struct rend_hs_caller
        hs;     /* ASKED, PASSED, and FULL or BROKEN after that: may still be answered */
    bool drawn; /* BUILD, READY: |hs| has the X that work is done for, and is not sealed */
    bool solving, solved;
    tstamp solve_ends; /* solving: when it is introduced without */
    uint32_t effort;
    uint64_t nonce; /* solved */
};

struct call {
    struct list node;
    uint64_t cookie;
    struct rend_target target; /* intro_key: of the point it was used for last */
    struct rend_point where;   /* R and the cookie placed there */
    enum r_state r;
    uint64_t r_id;
    struct ref r_circuit; /* but in BUILD */
    uint32_t r_tries;
    struct hidden_avoid avoid;         /* at first the relays of the points, then each R as well */
    struct point point[HIDDEN_POINTS]; /* in the order they are tried */
    size_t n_points;
    tstamp next_at; /* when the next point is due while others have it; or a slow one is given up */
    tstamp
        intro_at; /* when the next introduction is made though the last may still bring something */
    tstamp ends_at;  /* when the call is given up */
    uint32_t made;   /* introductions; from the first on ends_at counts from there */
    uint32_t passed; /* of these, by points that passed them on */
    bool busy;       /* one of these says that the service meets fewer than call */
    bool has_seed;
    uint8_t seed[REND_WORK_SEED_LEN];
    uint32_t effort;
    struct onion_hs_keys keys; /* MET */
};

struct hidden_calls {
    struct hidden_calls_config cfg;
    struct list calls;
    uint32_t n;
    uint64_t ids;
};

qudag_err hidden_calls_new(struct hidden_calls **out, const struct hidden_calls_config *cfg)
{
    struct hidden_calls *h = mem_alloc(cfg->mem, sizeof *h);

    *out = h;
    if (h == NULL) {
        return QUDAG_ENOMEM;
    }
    h->cfg = *cfg;
    list_init(&h->calls);
    return QUDAG_OK;
}

static void free_call(struct hidden_calls *h, struct call *c)
{
    list_del(&c->node);
    h->n--;
    for (size_t i = 0; i < c->n_points; i++) {
        rend_hs_drop(&c->point[i].hs);
    }
    mem_free_wiped(h->cfg.mem, c);
}

void hidden_calls_free(struct hidden_calls *h)
{
    if (h == NULL) {
        return;
    }
    LIST_EACH_SAFE(it, tmp, &h->calls)
    {
        free_call(h, LIST_ENTRY(it, struct call, node));
    }
    mem_free(h->cfg.mem, h);
}

static struct act *report(const struct call *c, enum hidden_call_up kind, uint64_t id,
                          struct acts *out)
{
    struct act *a = acts_up(out, (uint16_t)kind);

    a->cookie = c->cookie;
    a->n = id;
    return a;
}

static void close_circuit(struct ref *circuit, struct acts *out)
{
    if (!ref_none(*circuit)) {
        acts_up(out, HIDDEN_CALL_CLOSE)->obj = *circuit;
    }
    *circuit = (struct ref){0, 0};
}

/* The work for |p| is not needed any more, nor the X it was for. */
static void end_work(const struct call *c, struct point *p, struct acts *out)
{
    if (p->solving) {
        report(c, HIDDEN_CALL_UNSOLVE, p->id, out);
    }
    if (p->drawn) {
        rend_hs_drop(&p->hs);
    }
    p->solving = p->solved = p->drawn = false;
}

/* Gives all circuits back but R's when |keep_r|; no work goes on. */
static void close_circuits(struct call *c, bool keep_r, struct acts *out)
{
    for (size_t i = 0; i < c->n_points; i++) {
        close_circuit(&c->point[i].circuit, out);
        end_work(c, &c->point[i], out);
    }
    if (!keep_r) {
        close_circuit(&c->r_circuit, out);
    }
}

static void end_call(struct hidden_calls *h, struct call *c, qudag_err err, struct acts *out)
{
    close_circuits(c, false, out);
    report(c, HIDDEN_CALL_END, 0, out)->err = err;
    free_call(h, c);
}

/* --- points ------------------------------------------------------------------------------------ */

/* The first point in |state|; NULL. */
static struct point *first_in(struct call *c, enum point_state state)
{
    for (size_t i = 0; i < c->n_points; i++) {
        if (c->point[i].state == state) {
            return &c->point[i];
        }
    }
    return NULL;
}

static struct hidden_tries tries(const struct call *c)
{
    struct hidden_tries t = {
        .n = (uint32_t)c->n_points, .effort = c->has_seed ? c->effort : 0, .busy = c->busy};

    for (size_t i = 0; i < c->n_points; i++) {
        enum point_state s = c->point[i].state;
        t.passed += s == P_PASSED ? 1 : 0;
        t.unknown += s == P_UNKNOWN ? 1 : 0;
        t.full += s == P_FULL ? 1 : 0;
    }
    return t;
}

static qudag_err verdict(const struct call *c)
{
    struct hidden_tries t = tries(c);

    return hidden_call_verdict(&t);
}

/* The point whose work is under way; NULL. */
static struct point *solving_in(struct call *c)
{
    for (size_t i = 0; i < c->n_points; i++) {
        if (c->point[i].solving) {
            return &c->point[i];
        }
    }
    return NULL;
}

/* Asks for the work that the introduction through |p| needs, if it needs any. */
static void ask_for_work(struct hidden_calls *h, struct call *c, struct point *p, tstamp now,
                         struct acts *out)
{
    struct rend_work_task task;

    p->effort = c->has_seed ? hidden_work_effort(c->effort, c->passed, h->cfg.work_max) : 0;
    if (p->effort == 0 || rend_hs_draw(&p->hs, &h->cfg.rng) != QUDAG_OK) {
        return;
    }
    rend_work_task_make(&task, c->seed, p->effort, c->target.addr, p->at.intro_key, p->hs.X);
    p->drawn = p->solving = true;
    p->solve_ends = tstamp_after(now, HIDDEN_SOLVE_LIFE);
    tstamp least = tstamp_after(p->solve_ends, HIDDEN_TRY_NEXT);
    c->ends_at = c->ends_at > least ? c->ends_at : least;
    struct act *a = acts_up_copy(out, HIDDEN_CALL_SOLVE, &task, sizeof task);
    if (a != NULL) {
        a->cookie = c->cookie;
        a->n = p->id;
    }
}

static void ask_for_point(struct hidden_calls *h, struct call *c, struct point *p, tstamp now,
                          struct acts *out)
{
    struct act *a = acts_up_copy(out, HIDDEN_CALL_NEED_I, &p->at, sizeof p->at);

    p->state = P_BUILD;
    p->id = ++h->ids;
    c->next_at = tstamp_after(now, HIDDEN_BUILD_NEXT);
    if (a != NULL) {
        a->cookie = c->cookie;
        a->n = p->id;
    }
    ask_for_work(h, c, p, now, out);
}

/* The handshake that is sent through |p|, with its proof of work if there is one. */
static qudag_err make_handshake(struct hidden_calls *h, struct call *c, struct point *p,
                                uint8_t handshake[REND_HS_LEN])
{
    struct rend_work work = {.effort = p->effort, .nonce = p->nonce};
    uint8_t ext[REND_WORK_EXT_LEN];
    struct slice list = {ext, p->solved ? sizeof ext : 0};
    qudag_err err = p->drawn ? QUDAG_OK : rend_hs_draw(&p->hs, &h->cfg.rng);

    memcpy(work.seed_id, c->seed, sizeof work.seed_id);
    rend_work_put(ext, &work);
    p->drawn = p->solved = false;
    return err == QUDAG_OK
               ? rend_hs_seal(&p->hs, &c->target, &c->where, list, &h->cfg.rng, handshake)
               : err;
}

/* Sends the handshake through |p|.  On error nothing was sent. */
static qudag_err introduce(struct hidden_calls *h, struct call *c, struct point *p, tstamp now,
                           struct acts *out)
{
    struct hidden_introduction m;
    bool worked = p->solved;

    memcpy(c->target.intro_key, p->at.intro_key, sizeof c->target.intro_key);
    memcpy(m.intro_key, p->at.intro_key, sizeof m.intro_key);
    qudag_err err = make_handshake(h, c, p, m.handshake);
    if (err != QUDAG_OK) {
        return err;
    }
    struct act *a = acts_up_copy(out, HIDDEN_CALL_INTRODUCE, &m, sizeof m);
    if (a != NULL) {
        a->cookie = c->cookie;
        a->n = p->id;
        a->obj = p->circuit;
    }
    p->state = P_ASKED;
    c->next_at = c->intro_at = tstamp_after(now, HIDDEN_TRY_NEXT);
    if (c->made++ == 0 || worked) {
        c->ends_at = tstamp_after(now, HIDDEN_CALL_LIFE);
    }
    return QUDAG_OK;
}

/* Does what the state of the points calls for; the call may be gone afterwards. */
static void go_on(struct hidden_calls *h, struct call *c, tstamp now, struct acts *out)
{
    struct point *ready = first_in(c, P_READY), *building = first_in(c, P_BUILD);
    const struct point *solving = solving_in(c);
    struct point *fresh = first_in(c, P_FRESH);
    bool under_way = first_in(c, P_ASKED) != NULL || first_in(c, P_PASSED) != NULL;
    bool due = now >= c->next_at;
    struct hidden_tries t = tries(c);

    if (c->r == R_MET || solving != NULL) { /* hidden_call_solved() goes on */
        return;
    }
    if (c->r != R_BUILD && ready != NULL && (now >= c->intro_at || !under_way)) {
        qudag_err err = introduce(h, c, ready, now, out);
        if (err != QUDAG_OK) {
            end_call(h, c, err, out);
        }
        return;
    }
    if (ready != NULL || ((building != NULL || under_way) && !(due && c->r == R_WAITS))) {
        return;
    }
    if (fresh != NULL) {
        ask_for_point(h, c, fresh, now, out);
    } else if (building == NULL && (!under_way || hidden_call_is_vain(&t))) {
        end_call(h, c, verdict(c), out);
    }
}

/* --- R ----------------------------------------------------------------------------------------- */

static void ask_for_r(struct hidden_calls *h, struct call *c, struct acts *out)
{
    c->r = R_BUILD;
    c->r_id = ++h->ids;
    c->r_tries++;
    rng_fill(&h->cfg.rng, c->where.cookie, sizeof c->where.cookie);
    struct act *a = acts_up_copy(out, HIDDEN_CALL_NEED_R, &c->avoid, sizeof c->avoid);
    if (a != NULL) {
        a->cookie = c->cookie;
        a->n = c->r_id;
    }
}

/* R is of no use: what was sent for it neither.  |err|: how the call ends when it was the last. */
static void lose_r(struct hidden_calls *h, struct call *c, qudag_err err, tstamp now,
                   struct acts *out)
{
    if (c->r_tries >= HIDDEN_CALL_R_MAX) {
        end_call(h, c, err, out);
        return;
    }
    close_circuit(&c->r_circuit, out);
    for (size_t i = 0; i < c->n_points; i++) {
        struct point *p = &c->point[i];
        if (!p->drawn) { /* work is of use for any R, a handshake for one */
            rend_hs_drop(&p->hs);
        }
        if (p->state == P_ASKED || p->state == P_PASSED) {
            close_circuit(&p->circuit, out);
            p->state = P_FRESH;
        }
    }
    if (first_in(c, P_FRESH) == NULL && first_in(c, P_BUILD) == NULL &&
        first_in(c, P_READY) == NULL) {
        end_call(h, c, verdict(c), out);
        return;
    }
    ask_for_r(h, c, out);
    go_on(h, c, now, out);
}

/* --- calls ------------------------------------------------------------------------------------- */

static struct call *find_call(const struct hidden_calls *h, uint64_t cookie)
{
    LIST_EACH(it, &h->calls)
    {
        struct call *c = LIST_ENTRY(it, struct call, node);
        if (c->cookie == cookie) {
            return c;
        }
    }
    return NULL;
}

/* The call whose R, or one of whose points then in |*p|, has that id; NULL. */
static struct call *find(const struct hidden_calls *h, uint64_t id, struct point **p)
{
    *p = NULL;
    LIST_EACH(it, &h->calls)
    {
        struct call *c = LIST_ENTRY(it, struct call, node);
        if (c->r_id == id) {
            return c;
        }
        for (size_t i = 0; i < c->n_points; i++) {
            if (c->point[i].id == id && id != 0) {
                *p = &c->point[i];
                return c;
            }
        }
    }
    return NULL;
}

/* The call whose R has that id and is in |state|; NULL. */
static struct call *find_r(const struct hidden_calls *h, uint64_t id, enum r_state state)
{
    struct point *p;
    struct call *c = find(h, id, &p);

    return c != NULL && p == NULL && c->r == state ? c : NULL;
}

qudag_err hidden_call(struct hidden_calls *h, const struct hidden_call_want *want, tstamp now,
                      struct acts *out)
{
    uint8_t order[HIDDEN_POINTS];

    if (want->n_points == 0 || want->n_points > HIDDEN_POINTS) {
        return QUDAG_EINVAL;
    }
    if (find_call(h, want->cookie) != NULL) {
        return QUDAG_EEXISTS;
    }
    struct call *c = h->n >= HIDDEN_CALLS_MAX ? NULL : mem_alloc(h->cfg.mem, sizeof *c);
    if (c == NULL) {
        return h->n >= HIDDEN_CALLS_MAX ? QUDAG_ELIMIT : QUDAG_ENOMEM;
    }
    c->cookie = want->cookie;
    c->n_points = want->n_points;
    c->ends_at = tstamp_after(now, BEGIN_LIFE);
    c->has_seed = want->seed != NULL;
    c->effort = want->effort;
    if (c->has_seed) {
        memcpy(c->seed, want->seed, sizeof c->seed);
    }
    memcpy(c->target.addr, want->addr, sizeof c->target.addr);
    memcpy(c->target.x, want->x, sizeof c->target.x);
    memcpy(c->target.k, want->k, sizeof c->target.k);
    hidden_order_draw(order, c->n_points, &h->cfg.rng);
    for (size_t i = 0; i < c->n_points; i++) {
        c->point[i].at = want->points[order[i]];
        c->avoid.peer[c->avoid.n++] = c->point[i].at.relay.peer;
    }
    list_push_back(&h->calls, &c->node);
    h->n++;
    ask_for_r(h, c, out);
    go_on(h, c, now, out);
    return QUDAG_OK;
}

void hidden_call_cancel(struct hidden_calls *h, uint64_t cookie, struct acts *out)
{
    struct call *c = find_call(h, cookie);

    if (c != NULL) {
        close_circuits(c, false, out);
        free_call(h, c);
    }
}

void hidden_call_r_built(struct hidden_calls *h, uint64_t id, struct ref circuit,
                         const struct onion_hop *r, tstamp now, struct acts *out)
{
    struct call *c = find_r(h, id, R_BUILD);

    if (c == NULL) {
        close_circuit(&circuit, out);
        return;
    }
    c->r = R_PLACE;
    c->r_circuit = circuit;
    c->where.relay = *r;
    c->avoid.peer[c->avoid.n++] = r->peer; /* of no use for the next one; R_MAX at most */
    struct act *a = report(c, HIDDEN_CALL_WAIT, id, out);
    a->obj = circuit;
    a->data = acts_copy(out, c->where.cookie, sizeof c->where.cookie);
    go_on(h, c, now, out);
}

void hidden_call_waiting(struct hidden_calls *h, uint64_t id, qudag_err err, tstamp now,
                         struct acts *out)
{
    struct call *c = find_r(h, id, R_PLACE);

    if (c == NULL) {
        return;
    }
    if (err != QUDAG_OK) {
        lose_r(h, c, QUDAG_ECIRCUIT, now, out);
        return;
    }
    c->r = R_WAITS;
    if (c->made == 0) {
        c->next_at = tstamp_after(now, HIDDEN_BUILD_NEXT); /* for a point that is being built */
    }
    go_on(h, c, now, out);
}

void hidden_call_i_built(struct hidden_calls *h, uint64_t id, struct ref circuit, tstamp now,
                         struct acts *out)
{
    struct point *p;
    struct call *c = find(h, id, &p);

    if (c == NULL || p == NULL || p->state != P_BUILD) {
        close_circuit(&circuit, out);
        return;
    }
    p->state = P_READY;
    p->circuit = circuit;
    go_on(h, c, now, out);
}

static void solved(struct hidden_calls *h, struct call *c, struct point *p, tstamp now,
                   struct acts *out)
{
    p->solving = false;
    c->next_at = tstamp_after(now, HIDDEN_BUILD_NEXT);
    go_on(h, c, now, out);
}

void hidden_call_solved(struct hidden_calls *h, uint64_t id, qudag_err err, uint64_t nonce,
                        tstamp now, struct acts *out)
{
    struct point *p;
    struct call *c = find(h, id, &p);

    if (c != NULL && p != NULL && p->solving) {
        p->solved = err == QUDAG_OK;
        p->nonce = nonce;
        solved(h, c, p, now, out);
    }
}

/* A point brings nothing any more: it is the turn of the next one. */
static void next_point(struct hidden_calls *h, struct call *c, struct point *p,
                       enum point_state state, tstamp now, struct acts *out)
{
    p->state = state;
    close_circuit(&p->circuit, out);
    end_work(c, p, out);
    c->next_at = c->intro_at = now;
    go_on(h, c, now, out);
}

/* SPEC: rendezvous R-26: a busy service may take as long as one waits there. */
static void passed_on(struct call *c, struct point *p, bool busy, tstamp now, struct acts *out)
{
    tstamp waits = tstamp_after(now, HIDDEN_WAIT_MAX);

    p->state = P_PASSED;
    c->passed++;
    close_circuit(&p->circuit, out);
    if (busy) {
        c->busy = true;
        c->ends_at = c->ends_at > waits ? c->ends_at : waits;
    }
}

void hidden_call_introduced(struct hidden_calls *h, uint64_t id, qudag_err err, uint64_t status,
                            tstamp now, struct acts *out)
{
    struct point *p;
    struct call *c = find(h, id, &p);

    if (c == NULL || p == NULL || p->state != P_ASKED) {
        return;
    }
    if (err == QUDAG_OK && (status == REND_DONE || status == REND_BUSY)) {
        passed_on(c, p, status == REND_BUSY, now, out);
        return;
    }
    enum point_state state = status == REND_UNKNOWN ? P_UNKNOWN : P_FULL;
    next_point(h, c, p, err == QUDAG_OK ? state : P_BROKEN, now, out);
}

void hidden_call_created(struct hidden_calls *h, uint64_t id, struct slice created, tstamp now,
                         struct acts *out)
{
    struct call *c = find_r(h, id, R_WAITS);
    qudag_err err = QUDAG_EAUTH;

    if (c == NULL) {
        return;
    }
    for (size_t i = 0; i < c->n_points && err == QUDAG_EAUTH; i++) {
        if (created.len == REND_CREATED_LEN) {
            err = rend_hs_finish(&c->point[i].hs, created.base, &c->keys);
        }
    }
    if (err == QUDAG_EAUTH) { /* SPEC: rendezvous R-17 */
        lose_r(h, c, QUDAG_EAUTH, now, out);
    } else if (err != QUDAG_OK) {
        end_call(h, c, err, out);
    } else {
        c->r = R_MET;
        c->ends_at = tstamp_after(now, TAKE_LIFE);
        close_circuits(c, true, out);
        for (size_t i = 0; i < c->n_points; i++) {
            rend_hs_drop(&c->point[i].hs);
        }
        report(c, HIDDEN_CALL_MET, id, out)->obj = c->r_circuit;
    }
}

void hidden_call_failed(struct hidden_calls *h, uint64_t id, tstamp now, struct acts *out)
{
    struct point *p;
    struct call *c = find(h, id, &p);

    if (c == NULL) {
        return;
    }
    if (p == NULL && c->r == R_MET) {
        end_call(h, c, QUDAG_ECIRCUIT, out);
    } else if (p == NULL) {
        lose_r(h, c, QUDAG_ECIRCUIT, now, out);
    } else if (p->state == P_BUILD || p->state == P_READY || p->state == P_ASKED) {
        next_point(h, c, p, P_BROKEN, now, out);
    }
}

qudag_err hidden_call_take(struct hidden_calls *h, uint64_t id, struct onion_hs_keys *keys)
{
    struct call *c = find_r(h, id, R_MET);

    if (c == NULL) {
        wipe(keys, sizeof *keys);
        return QUDAG_ESTALE;
    }
    *keys = c->keys;
    free_call(h, c);
    return QUDAG_OK;
}

/* --- time -------------------------------------------------------------------------------------- */

/* Whether another point may be tried when it is time. */
static bool has_more(const struct call *c)
{
    for (size_t i = 0; i < c->n_points; i++) {
        if (c->point[i].state == P_FRESH || c->point[i].state == P_READY) {
            return true;
        }
    }
    return false;
}

static tstamp due_at(struct call *c)
{
    const struct point *p = solving_in(c);
    struct hidden_tries t = tries(c);

    if (p != NULL) {
        return tstamp_min(c->ends_at, p->solve_ends);
    }
    if (c->r == R_WAITS && has_more(c)) {
        return tstamp_min(c->ends_at, first_in(c, P_READY) != NULL ? c->intro_at : c->next_at);
    }
    return c->r == R_WAITS && hidden_call_is_vain(&t) ? tstamp_min(c->ends_at, c->next_at)
                                                      : c->ends_at;
}

/* Why a call failed that took too long. */
static qudag_err too_late(const struct call *c)
{
    struct hidden_tries t = tries(c);

    if (c->made > 0 || c->r == R_MET) {
        return c->r != R_MET && (t.passed > 0 || t.busy) ? hidden_call_verdict(&t) : QUDAG_ETIMEOUT;
    }
    return c->r == R_WAITS ? QUDAG_EUNREACHABLE : QUDAG_ECIRCUIT;
}

void hidden_calls_tick(struct hidden_calls *h, tstamp now, struct acts *out)
{
    uint32_t done = 0;

    LIST_EACH_SAFE(it, tmp, &h->calls)
    {
        struct call *c = LIST_ENTRY(it, struct call, node);
        if (due_at(c) > now) {
            continue;
        }
        if (done++ == TURN_CALLS) {
            return;
        }
        struct point *p = solving_in(c);
        if (now >= c->ends_at) {
            end_call(h, c, too_late(c), out);
        } else if (p != NULL) {
            report(c, HIDDEN_CALL_UNSOLVE, p->id, out);
            solved(h, c, p, now, out);
        } else {
            go_on(h, c, now, out);
        }
    }
}

tstamp hidden_calls_deadline(const struct hidden_calls *h)
{
    tstamp at = TSTAMP_NEVER;

    LIST_EACH(it, &h->calls)
    {
        at = tstamp_min(at, due_at(LIST_ENTRY(it, struct call, node)));
    }
    return at;
}

uint32_t hidden_calls_count(const struct hidden_calls *h)
{
    return h->n;
}
