/*
 * stun.c - questions to servers, and their answers.
 *
 *   ask:  IDLE ─ its turn ─▶ WAITING ─ answer ─▶ DONE, or with a delay DELAYED ─ second answer, or its time ─▶ DONE
 *                              └ sends used up ─▶ DONE
 */
#include "core/stun/stun_int.h"

#include "base/assert.h"

#include <string.h>

#define QUESTIONS_PER_TICK 64      /* five actions of each, of ACTS_ROOM */
#define LATE_MARGIN (3 * NS_PER_S) /* after which a second answer comes no more */

struct stun *stun_new(struct mem *mem, const struct rng *rng, tstamp now)
{
    struct stun *s = mem_alloc(mem, sizeof(*s));
    uint8_t seed[16];

    if (s == NULL) {
        return NULL;
    }
    s->mem = mem;
    s->rng = *rng;
    list_init(&s->questions);
    heap_init(&s->timers, mem, STUN_QUESTIONS_MAX);
    rng_fill(rng, seed, sizeof(seed));
    map_init_sized(&s->ids, mem, seed, STUN_ID_LEN, (size_t)STUN_QUESTIONS_MAX * STUN_SERVERS);
    stun_server_init(s, now);
    return s;
}

static void question_free(struct stun *s, struct stun_open *o)
{
    for (size_t i = 0; i < o->q.n; i++) {
        if (o->ask[i].state != STUN_ASK_IDLE) {
            (void)map_del(&s->ids, (struct slice){o->ask[i].id, STUN_ID_LEN});
        }
    }
    heap_del(&s->timers, &o->timer);
    list_del(&o->node);
    mem_free(s->mem, o);
    s->n--;
}

void stun_free(struct stun *s)
{
    if (s == NULL) {
        return;
    }
    while (!list_empty(&s->questions)) {
        question_free(s, LIST_ENTRY(s->questions.next, struct stun_open, node));
    }
    stun_server_fini(s);
    heap_fini(&s->timers);
    map_fini(&s->ids);
    mem_free(s->mem, s);
}

static bool same_socket(const struct netaddr *a, const struct netaddr *b)
{
    return a->family == b->family && (a->family == 0 || a->port == b->port);
}

static void send_request(struct stun *s, const struct stun_open *o, size_t i, struct acts *out)
{
    struct stun_msg m = {.class = STUN_REQUEST, .fingerprint = true, .delay_s = o->q.delay_s};
    struct stun_packet p = {.local = o->q.local, .to = o->q.server[i]};

    memcpy(m.id, o->ask[i].id, sizeof(m.id));
    p.len = stun_write(p.bytes, sizeof(p.bytes), &m, (struct slice){NULL, 0});
    ASSERT(p.len > 0);
    s->stats.sent++;
    (void)acts_up_copy(out, STUN_UP_SEND, &p, sizeof(p));
}

/* Its next request, if it has one left.  False: no memory for its id. */
static bool ask_send(struct stun *s, struct stun_open *o, size_t i, tstamp now, struct acts *out)
{
    struct stun_ask *a = &o->ask[i];

    if (a->state == STUN_ASK_IDLE) {
        rng_fill(&s->rng, a->id, sizeof(a->id));
        if (map_put(&s->ids, (struct slice){a->id, sizeof(a->id)}, o) != QUDAG_OK) {
            return false;
        }
        a->state = STUN_ASK_WAITING;
        s->stats.asked++;
    }
    uint64_t wait = ++a->sends < STUN_SENDS ? STUN_RTO << (a->sends - 1) : STUN_LAST_WAIT;
    a->due = tstamp_after(now, wait);
    send_request(s, o, i, out);
    return true;
}

static void ask_end(struct stun *s, struct stun_open *o, size_t i, qudag_err err)
{
    o->ask[i].state = STUN_ASK_DONE;
    o->a.said[i].err = err;
    s->stats.timed_out += err == QUDAG_ETIMEOUT ? 1 : 0;
}

/* Begins whose turn it is, reports when all have ended, or else sets the clock. */
static void go_on(struct stun *s, struct stun_open *o, tstamp now, struct acts *out)
{
    tstamp due = TSTAMP_NEVER;
    bool open = false, found = false;

    for (size_t i = 0; i < o->q.n; i++) {
        found = found || o->a.said[i].mapped.family != 0;
        if (o->ask[i].state == STUN_ASK_IDLE && !(open && o->q.in_turn) &&
            !ask_send(s, o, i, now, out)) {
            o->ask[i].state = STUN_ASK_DONE;
            o->a.said[i].err = QUDAG_ENOMEM;
        }
        if (o->ask[i].state != STUN_ASK_DONE) {
            open = true;
            due = o->ask[i].state == STUN_ASK_IDLE ? due : tstamp_min(due, o->ask[i].due);
        }
    }
    if (!open || (o->q.any && found)) {
        (void)acts_up_copy(out, STUN_UP_DONE, &o->a, sizeof(o->a));
        question_free(s, o);
    } else if (heap_set(&s->timers, &o->timer, due) != QUDAG_OK) {
        ASSERT(false); /* it is in the heap */
    }
}

qudag_err stun_ask(struct stun *s, const struct stun_question *q, tstamp now, struct acts *out)
{
    if (q->n == 0 || q->n > STUN_SERVERS || q->delay_s > STUN_DELAY_MAX) {
        return QUDAG_EINVAL;
    }
    if (s->n >= STUN_QUESTIONS_MAX) {
        return QUDAG_ELIMIT;
    }
    struct stun_open *o = mem_alloc(s->mem, sizeof(*o));
    if (o == NULL || heap_set(&s->timers, &o->timer, now) != QUDAG_OK) {
        mem_free(s->mem, o);
        return QUDAG_ENOMEM;
    }
    o->q = *q;
    o->a = (struct stun_answer){
        .cookie = q->cookie, .local = q->local, .delay_s = q->delay_s, .n = q->n};
    for (size_t i = 0; i < q->n; i++) {
        o->a.said[i].server = q->server[i];
    }
    list_push_back(&s->questions, &o->node);
    s->n++;
    go_on(s, o, now, out);
    return QUDAG_OK;
}

void stun_forget(struct stun *s, const struct netaddr *local)
{
    LIST_EACH_SAFE(it, tmp, &s->questions)
    {
        struct stun_open *o = LIST_ENTRY(it, struct stun_open, node);
        if (same_socket(&o->q.local, local)) {
            question_free(s, o);
        }
    }
    stun_server_forget(s, local);
}

/* ---- answers ---- */

static void first_answer(struct stun *s, struct stun_open *o, size_t i, const struct stun_msg *m,
                         tstamp now)
{
    struct stun_ask *a = &o->ask[i];

    s->stats.answered++;
    if (m->class == STUN_ERROR || m->mapped.family != o->q.server[i].family) {
        ask_end(s, o, i, QUDAG_EREFUSED);
        return;
    }
    o->a.said[i].mapped = m->mapped;
    if (o->q.delay_s == 0) {
        ask_end(s, o, i, QUDAG_OK);
    } else if (m->delay_s != o->q.delay_s) {
        ask_end(s, o, i, QUDAG_EUNSUPPORTED);
    } else {
        a->state = STUN_ASK_DELAYED;
        a->answered = now;
        a->due = tstamp_after(now, o->q.delay_s * NS_PER_S + LATE_MARGIN);
    }
}

/* Whether it comes as late as it should: a copy of the first one, or of an answer to a repeated request, does not. */
static bool late_enough(const struct stun_open *o, const struct stun_ask *a, tstamp now)
{
    uint64_t slack = 2 * NS_PER_S; /* of two clocks, and of the first answer's way */

    return now - a->answered + slack >= o->q.delay_s * NS_PER_S;
}

static void answer(struct stun *s, struct stun_open *o, const struct stun_came *d, tstamp now,
                   struct acts *out)
{
    size_t i = 0;

    while (memcmp(o->ask[i].id, d->msg->id, STUN_ID_LEN) != 0) {
        i++;
    }
    if (!netaddr_eq(&o->q.server[i], &d->remote) || !same_socket(&o->q.local, &d->local)) {
        s->stats.spoofed++;
        return;
    }
    if (o->ask[i].state == STUN_ASK_WAITING) {
        first_answer(s, o, i, d->msg, now);
    } else if (o->ask[i].state == STUN_ASK_DELAYED && late_enough(o, &o->ask[i], now)) {
        o->a.said[i].late = true;
        ask_end(s, o, i, QUDAG_OK);
    }
    go_on(s, o, now, out);
}

bool stun_recv(struct stun *s, const struct stun_came *d, tstamp now, struct acts *out)
{
    const struct stun_msg *m = d->msg;

    if (m->class == STUN_REQUEST) {
        if (m->username.base != NULL || m->integrity != STUN_NO_INTEGRITY) {
            return false;
        }
        stun_server_answer(s, d, now, out);
        return true;
    }
    struct stun_open *o =
        m->class == STUN_INDICATION ? NULL : map_get(&s->ids, (struct slice){m->id, STUN_ID_LEN});
    if (o == NULL) {
        return false;
    }
    answer(s, o, d, now, out);
    return true;
}

/* ---- clock ---- */

static void expire(struct stun *s, struct stun_open *o, tstamp now, struct acts *out)
{
    for (size_t i = 0; i < o->q.n; i++) {
        struct stun_ask *a = &o->ask[i];
        if (a->state == STUN_ASK_IDLE || a->state == STUN_ASK_DONE || a->due > now) {
            continue;
        }
        if (a->state == STUN_ASK_DELAYED) {
            ask_end(s, o, i, QUDAG_OK); /* it did not come: that is an answer */
        } else if (a->sends == STUN_SENDS) {
            ask_end(s, o, i, QUDAG_ETIMEOUT);
        } else {
            (void)ask_send(s, o, i, now, out);
        }
    }
    go_on(s, o, now, out);
}

static void tick(void *core, tstamp now, struct acts *out)
{
    struct stun *s = core;
    struct heap_node *top;
    unsigned n = 0; /* the rest comes at once, in another call */

    while ((top = heap_top(&s->timers)) != NULL && top->at <= now && n++ < QUESTIONS_PER_TICK) {
        expire(s, LIST_ENTRY(top, struct stun_open, timer), now, out);
    }
    stun_server_tick(s, now, out);
}

static tstamp deadline(const void *core)
{
    const struct stun *s = core;
    const struct heap_node *top = heap_top(&s->timers);

    return tstamp_min(top == NULL ? TSTAMP_NEVER : top->at, stun_server_deadline(s));
}

const struct stun_stats *stun_statistics(const struct stun *s)
{
    return &s->stats;
}

const struct core_ops stun_ops = {.tick = tick, .deadline = deadline};
