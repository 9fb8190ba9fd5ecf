/*
 * padding.c - exchanges that mean nothing, both sides.
 *
 *   asking:     [BEHIND ── tick ──▶] OPENING ── stream open ──▶ [HELD ── tick ──▶] REPLY ── FIN ──▶ gone
 *   answering:  REQUEST ── EXCHANGE_LEN bytes, FIN ──▶ WAITING ── its time, or room is wanted ──▶ answered, gone
 *                  └── too long, FIN too early, due, room is wanted ──▶ reset
 *
 * Everything that fails or is late ends by a reset and is nobody's fault.  Places of others are shared by network and
 * by previous hop (base/fair.h): when all are taken the oldest of whoever holds most gives way, and when its request
 * is whole that means an early answer only.  So nobody can have the exchanges of others answered early, which would
 * tell them from lookups.
 */
#include "core/padding/padding.h"

#include "base/fair.h"
#include "base/list.h"
#include "base/rd.h"
#include "base/slots.h"
#include "base/wr.h"
#include "wire/exchange.h"

#include <string.h>

enum pad_state { PAD_BEHIND, PAD_OPENING, PAD_HELD, PAD_REPLY, PAD_REQUEST, PAD_WAITING };

struct pad {
    struct list node;       /* by age, ours and those of others apart */
    struct fair_item place; /* answering */
    struct ref self, strm;
    struct ref circuit; /* BEHIND */
    enum pad_state state;
    bool around; /* OPENING: HELD is next */
    tstamp due;
    uint32_t got;
    uint8_t delay_ms[4];
    uint64_t cookie; /* asking: of the report */
    tstamp since;    /* asking: when it began */
};

struct padding {
    struct mem *mem;
    struct slots pads;
    struct list asking, answering;
    uint32_t asking_n;
    struct fair others; /* who holds the places of |answering| */
    tstamp now;
    struct padding_stats stats;
};

_Static_assert(EXCHANGE_LEN + 4096 < ACTS_BYTES_ROOM / 2, "two exchanges fit one call");

static bool asks(const struct pad *e)
{
    return e->state <= PAD_REPLY;
}

static qudag_err pad_new(struct padding *p, enum pad_state state, tstamp due, struct pad **out)
{
    struct pad *e = mem_alloc(p->mem, sizeof *e);

    if (e == NULL) {
        return QUDAG_ENOMEM;
    }
    qudag_err err = slots_add(&p->pads, e, &e->self);
    if (err != QUDAG_OK) {
        mem_free(p->mem, e);
        return err;
    }
    e->state = state;
    e->due = due;
    list_init(&e->node);
    list_push_back(asks(e) ? &p->asking : &p->answering, &e->node);
    p->asking_n += asks(e) ? 1 : 0;
    *out = e;
    return QUDAG_OK;
}

static void pad_free(struct padding *p, struct pad *e)
{
    p->asking_n -= asks(e) ? 1 : 0;
    fair_del(&p->others, &e->place, p->now);
    slots_del(&p->pads, e->self);
    list_del(&e->node);
    mem_free(p->mem, e);
}

static void pad_fail(struct padding *p, struct pad *e, qudag_err err, struct acts *out)
{
    p->stats.failed += asks(e) ? 1 : 0;
    if (e->state != PAD_OPENING && !ref_none(e->strm)) {
        acts_reset(out, e->strm, err);
    }
    pad_free(p, e);
}

static struct pad *find(const struct list *in, struct ref strm)
{
    LIST_EACH(it, in)
    {
        struct pad *e = LIST_ENTRY(it, struct pad, node);
        if (ref_eq(e->strm, strm)) {
            return e;
        }
    }
    return NULL;
}

static struct pad *of_stream(const struct padding *p, struct ref strm)
{
    struct pad *e = find(&p->answering, strm);

    return e != NULL ? e : find(&p->asking, strm);
}

/* EXCHANGE_LEN bytes that begin with |delay_ms|, and FIN. */
static void send(struct ref strm, const uint8_t delay_ms[4], struct acts *out)
{
    uint8_t *p = acts_write_reserve(out, strm, EXCHANGE_LEN);

    if (p != NULL) {
        memset(p, 0, EXCHANGE_LEN);
        memcpy(p, delay_ms, 4);
        acts_fin(out, strm);
    }
}

static void answer(struct padding *p, struct pad *e, struct acts *out)
{
    static const uint8_t none[4];

    send(e->strm, none, out);
    p->stats.answered++;
    pad_free(p, e);
}

static tstamp answer_due(const struct pad *e)
{
    return tstamp_after(e->since, PADDING_ANSWER_TIMEOUT);
}

static void request(struct pad *e, struct acts *out)
{
    e->state = PAD_REPLY;
    e->due = answer_due(e);
    send(e->strm, e->delay_ms, out);
}

static void open_stream(struct pad *e, struct acts *out)
{
    static const struct peer_id nobody = {.len = 0};

    e->state = PAD_OPENING;
    e->due = answer_due(e);
    acts_open(out, &nobody, ref_to_u64(e->self), LINK_ANON)->obj = e->circuit;
}

/* ---- events ---- */

/*
 * Whether one more of |newcomer| has room.  All places taken: the oldest of whoever holds most gives way, or else the
 * newcomer's own oldest.
 */
static bool make_room(struct padding *p, const struct fair_claim *newcomer, struct acts *out)
{
    const struct fair_source *from = fair_most_for(&p->others, newcomer);

    if (p->others.n < PADDING_ANSWERING_MAX) {
        return true;
    }
    struct fair_claim holder = fair_claim_of_source(from);
    if (!fair_gives_way(&holder, newcomer)) {
        from = fair_source_of(&p->others, newcomer->net, newcomer->source);
    }
    if (from == NULL || from->n == 0) {
        return false;
    }
    struct pad *oldest = LIST_ENTRY(from->items.next, struct pad, place.node);
    p->stats.gave_way++;
    if (oldest->state == PAD_WAITING) {
        answer(p, oldest, out);
    } else {
        pad_fail(p, oldest, QUDAG_ELIMIT, out);
    }
    return true;
}

static qudag_err accept_one(struct padding *p, const struct ev *ev, struct acts *out)
{
    struct fair_claim newcomer =
        fair_claim_of(&p->others, ev->net, ev->via != 0 ? ev->via : ev->link);
    struct pad *e;

    if ((ev->props & LINK_ANON) == 0) {
        return QUDAG_EPOLICY; /* at the ends of circuits only */
    }
    if (!make_room(p, &newcomer, out)) {
        return QUDAG_ELIMIT;
    }
    qudag_err err = pad_new(p, PAD_REQUEST, tstamp_after(p->now, PADDING_REQUEST_TIMEOUT), &e);
    if (err != QUDAG_OK) {
        return err;
    }
    err = fair_add(&p->others, &e->place, newcomer.net, newcomer.source, p->now);
    if (err != QUDAG_OK) {
        pad_free(p, e);
        return err;
    }
    e->strm = ev->strm;
    return QUDAG_OK;
}

static void inbound(struct padding *p, const struct ev *ev, struct acts *out)
{
    qudag_err err = accept_one(p, ev, out);

    if (err != QUDAG_OK) {
        p->stats.refused++;
        acts_reset(out, ev->strm, err);
    }
}

static void opened(struct padding *p, const struct ev *ev, struct acts *out)
{
    struct pad *e = ev->inbound ? NULL : slots_get(&p->pads, ref_from_u64(ev->cookie));

    if (ev->inbound) {
        inbound(p, ev, out);
        return;
    }
    if (e == NULL || e->state != PAD_OPENING) {
        acts_reset(out, ev->strm, QUDAG_ECANCELED); /* given up in the meantime */
        return;
    }
    e->strm = ev->strm;
    if (e->around) {
        e->state = PAD_HELD;
        e->due = p->now;
    } else {
        request(e, out);
    }
}

static void data(struct padding *p, struct pad *e, struct slice in, struct acts *out)
{
    bool asked = e->state != PAD_HELD; /* else nobody can have an answer */
    if (in.len > EXCHANGE_LEN - e->got || e->state == PAD_WAITING || !asked) {
        pad_fail(p, e, QUDAG_EPROTO, out);
        return;
    }
    for (size_t i = 0; e->state == PAD_REQUEST && i < in.len && e->got + i < 4; i++) {
        e->delay_ms[e->got + i] = in.base[i];
    }
    e->got += (uint32_t)in.len;
}

static void fin(struct padding *p, struct pad *e, tstamp now, struct acts *out)
{
    struct rd r = rd_init((struct slice){e->delay_ms, sizeof e->delay_ms});
    uint64_t delay = rd_u32(&r) * NS_PER_MS;

    if (e->got != EXCHANGE_LEN || e->state == PAD_WAITING) {
        pad_fail(p, e, QUDAG_EPROTO, out);
    } else if (asks(e)) {
        struct act *up = acts_up(out, PADDING_UP_DONE);
        up->cookie = e->cookie;
        up->n = now - e->since > delay ? now - e->since - delay : 0;
        p->stats.done++;
        pad_free(p, e);
    } else {
        e->state = PAD_WAITING;
        e->due = tstamp_after(now, delay < PADDING_DELAY_MAX ? delay : PADDING_DELAY_MAX);
    }
}

static void padding_event(void *core, const struct ev *ev, tstamp now, struct acts *out)
{
    struct padding *p = core;
    struct pad *e = NULL;

    p->now = now;
    if (ev->type == EV_STREAM_OPEN) {
        opened(p, ev, out);
        return;
    }
    if (ev->type == EV_STREAM_FAIL) {
        e = slots_get(&p->pads, ref_from_u64(ev->cookie));
        if (e != NULL && e->state == PAD_OPENING) {
            pad_fail(p, e, ev->err, out);
        }
        return;
    }
    e = of_stream(p, ev->strm);
    if (e == NULL) {
        return;
    }
    if (ev->type == EV_DATA) {
        data(p, e, ev->data, out);
    } else if (ev->type == EV_FIN) {
        fin(p, e, now, out);
    } else if (ev->type == EV_RESET) {
        e->strm = (struct ref){0, 0}; /* it is gone: nothing to reset */
        pad_fail(p, e, ev->err, out);
    }
}

/* ---- time ---- */

static struct pad *due_first(const struct padding *p)
{
    const struct list *lists[] = {&p->asking, &p->answering};
    struct pad *first = NULL;

    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        LIST_EACH(it, lists[i])
        {
            struct pad *e = LIST_ENTRY(it, struct pad, node);
            first = first == NULL || e->due < first->due ? e : first;
        }
    }
    return first;
}

static void padding_tick(void *core, tstamp now, struct acts *out)
{
    struct padding *p = core;
    struct pad *e = due_first(p);

    p->now = now;
    for (int i = 0; i < 8 && e != NULL && e->due <= now; i++, e = due_first(p)) {
        if (e->state == PAD_WAITING) {
            answer(p, e, out);
        } else if (e->state == PAD_BEHIND) {
            open_stream(e, out);
        } else if (e->state == PAD_HELD) {
            request(e, out);
        } else {
            pad_fail(p, e, QUDAG_ETIMEOUT, out);
        }
    }
}

static tstamp padding_deadline(const void *core)
{
    const struct pad *first = due_first(core);

    return first == NULL ? TSTAMP_NEVER : first->due;
}

const struct core_ops padding_ops = {
    .protocol = PADDING_PROTOCOL,
    .inbound_max = 1, /* of one circuit */
    .event = padding_event,
    .tick = padding_tick,
    .deadline = padding_deadline,
};

/* ---- life ---- */

qudag_err padding_new(struct padding **out, struct mem *mem, const struct rng *rng)
{
    struct padding *p = mem_alloc(mem, sizeof *p);
    uint8_t seed[16];

    *out = p;
    if (p == NULL) {
        return QUDAG_ENOMEM;
    }
    rng_fill(rng, seed, sizeof seed);
    fair_init(&p->others, mem, seed, 2 * PADDING_ANSWERING_MAX);
    p->mem = mem;
    slots_init(&p->pads, mem, PADDING_ASKING_MAX + PADDING_ANSWERING_MAX);
    list_init(&p->asking);
    list_init(&p->answering);
    return QUDAG_OK;
}

void padding_free(struct padding *p)
{
    if (p == NULL) {
        return;
    }
    for (struct pad *e = due_first(p); e != NULL; e = due_first(p)) {
        pad_free(p, e);
    }
    fair_fini(&p->others);
    slots_fini(&p->pads);
    mem_free(p->mem, p);
}

qudag_err padding_exchange(struct padding *p, const struct padding_wanted *wanted, tstamp now,
                           struct acts *out)
{
    uint64_t delay = wanted->delay_ns < PADDING_DELAY_MAX ? wanted->delay_ns : PADDING_DELAY_MAX;
    struct pad *e;

    if (p->asking_n == PADDING_ASKING_MAX) {
        return QUDAG_ELIMIT;
    }
    qudag_err err = pad_new(p, PAD_BEHIND, now, &e);
    if (err != QUDAG_OK) {
        return err;
    }
    struct wr w = wr_init(e->delay_ms, sizeof e->delay_ms);
    wr_u32(&w, (uint32_t)(delay / NS_PER_MS));
    e->cookie = wanted->cookie;
    e->since = now;
    e->circuit = wanted->circuit;
    e->around = wanted->order == PADDING_AROUND;
    p->stats.asked++;
    if (wanted->order != PADDING_BEHIND) {
        open_stream(e, out);
    }
    return QUDAG_OK;
}

void padding_stats_get(const struct padding *p, struct padding_stats *out)
{
    *out = p->stats;
}
