/*
 * serve.c - what the far ends of circuits want read and written.
 *
 *   REQUEST ── message, FIN ──▶ WAITING ── its turn ──▶ RUNNING (GATEWAY_UP_GET, _PUT) ── gateway_answer
 *      └── bad, due, in a newer one's way ──┴─────────────┴─ due: reset
 *
 * A stream costs whoever opens it nothing, so that places are shared by network and by previous hop (base/fair.h):
 * one job to a circuit; what is not complete gives way to what is new; what is complete waits for its turn, and runs
 * while its network and its previous hop have less than their share at work.  A request whose circuit goes away while
 * the DHT works on it keeps its place till the DHT is done: the work was not taken back.
 */
#include "base/wr.h"
#include "core/gateway/job.h"
#include "wire/dht_keys.h"

#include <string.h>

#define START_AT_ONCE 8 /* requests in one call: what they copy has room in the action list */

_Static_assert(START_AT_ONCE *(KAD_KEY_MAX + KAD_VALUE_MAX + 64) < ACTS_BYTES_ROOM / 2, "room");

/* ---- places ---- */

static uint64_t source_of(const struct ev *ev)
{
    return ev->via != 0 ? ev->via : ev->link;
}

/* The oldest job of the source whose request is not complete; NULL: none. */
static struct gateway_job *oldest_incomplete(const struct fair_source *s)
{
    LIST_EACH(it, &s->items)
    {
        struct gateway_job *j = LIST_ENTRY(it, struct gateway_job, place.node);
        if (j->state == GATEWAY_JOB_REQUEST) {
            return j;
        }
    }
    return NULL;
}

static struct gateway_job *oldest_incomplete_of_all(const struct gateway *g)
{
    struct gateway_job *oldest = NULL;

    for (uint32_t i = 0; i < g->jobs.high; i++) {
        struct gateway_job *j = slots_at(&g->jobs, i);
        if (j != NULL && j->state == GATEWAY_JOB_REQUEST &&
            (oldest == NULL || j->since < oldest->since)) {
            oldest = j;
        }
    }
    return oldest;
}

static void make_way(struct gateway *g, struct gateway_job *j, struct acts *out)
{
    g->stats.gave_way++;
    gateway_job_fail(g, j, QUDAG_ELIMIT, out);
}

/*
 * Whether one more of |newcomer| has room.  All places taken: whoever holds most loses his oldest request that is not
 * complete, or else what he has waiting; then the oldest incomplete one of all.  Those at work stay.
 */
static bool make_room(struct gateway *g, const struct fair_claim *newcomer, struct acts *out)
{
    const struct fair_source *most = fair_most_for(&g->others, newcomer);

    if (g->others.n < g->cfg.others_max) {
        return true;
    }
    struct fair_claim holder = fair_claim_of_source(most);
    bool own = holder.net == newcomer->net && holder.source == newcomer->source;
    bool yields = fair_gives_way(&holder, newcomer);
    struct gateway_job *j = own || yields ? oldest_incomplete(most) : NULL;
    if (j == NULL && yields && most->waiting > 0) {
        j = LIST_ENTRY(most->queue.next, struct gateway_job, place.wait);
    }
    if (j == NULL) {
        j = oldest_incomplete_of_all(g);
    }
    if (j != NULL) {
        make_way(g, j, out);
    }
    return j != NULL;
}

/* Whether the circuit has a job already. */
static bool circuit_has_one(const struct gateway *g, const struct ev *ev)
{
    for (uint32_t i = 0; i < g->jobs.high; i++) {
        const struct gateway_job *j = slots_at(&g->jobs, i);
        if (j != NULL && j->place.source != NULL && j->link == ev->link) {
            return true;
        }
    }
    return false;
}

static qudag_err job_in(struct gateway *g, const struct ev *ev, struct acts *out)
{
    struct fair_claim newcomer = fair_claim_of(&g->others, ev->net, source_of(ev));
    struct gateway_job *j;

    if (!g->cfg.serve) {
        return QUDAG_EREFUSED;
    }
    if ((ev->props & LINK_ANON) == 0) {
        return QUDAG_EPOLICY; /* at the end of circuits only: nobody shows himself to us here */
    }
    if (circuit_has_one(g, ev) || !make_room(g, &newcomer, out)) {
        g->stats.refused_limit++;
        return QUDAG_ELIMIT;
    }
    qudag_err err = gateway_job_new(g, GATEWAY_JOB_REQUEST, GATEWAY_REQUEST_TIMEOUT, &j);
    if (err != QUDAG_OK) {
        return err;
    }
    j->link = ev->link;
    err = fair_add(&g->others, &j->place, newcomer.net, newcomer.source, g->now);
    if (err == QUDAG_OK) {
        err = gateway_job_stream(g, j, ev->strm);
    }
    if (err != QUDAG_OK) {
        gateway_job_free(g, j);
    }
    return err;
}

void gateway_inbound_open(struct gateway *g, const struct ev *ev, struct acts *out)
{
    qudag_err err = job_in(g, ev, out);

    if (err != QUDAG_OK) {
        acts_reset(out, ev->strm, err);
    }
}

/* ---- requests ---- */

static qudag_err request_check(const struct kad_msg *m)
{
    if (m->type != KAD_GET_VALUE && m->type != KAD_PUT_VALUE) {
        return QUDAG_EPROTO;
    }
    if (!gateway_key_is_ours(m->key) || (m->type == KAD_PUT_VALUE && dht_key_is_sample(m->key))) {
        return QUDAG_EREFUSED;
    }
    if (m->type == KAD_GET_VALUE) {
        return m->has_record ? QUDAG_EPROTO : QUDAG_OK;
    }
    return m->has_record && gateway_slice_eq(m->rec_key, m->key) && m->rec_value.len > 0 &&
                   m->rec_value.len <= KAD_VALUE_MAX
               ? QUDAG_OK
               : QUDAG_EPROTO;
}

void gateway_request_done(struct gateway *g, struct gateway_job *j, struct acts *out)
{
    struct kad_peer_info *peers;
    struct kad_msg m;

    qudag_err err = gateway_msg_read(g, dyn_slice(&j->buf), &m, &peers);
    if (err == QUDAG_OK) {
        err = request_check(&m);
    }
    mem_free(g->cfg.mem, peers);
    if (err != QUDAG_OK) {
        gateway_job_fail(g, j, err, out);
        return;
    }
    j->state = GATEWAY_JOB_WAITING;
    gateway_job_due(g, j, GATEWAY_WAIT_TIMEOUT);
    fair_wait(&g->others, &j->place);
    g->stuck = false;
    gateway_serve_more(g, out);
}

/* Reports the request to whoever reads and writes the DHT. */
static qudag_err request_up(struct gateway_job *j, const struct kad_msg *m, struct acts *out)
{
    bool put = m->type == KAD_PUT_VALUE;

    memcpy(j->key, m->key.base, m->key.len);
    j->key_len = m->key.len;
    j->type = m->type;
    struct gateway_wanted wanted = {.key = acts_copy(out, j->key, j->key_len)};
    if (put) {
        wanted.value = acts_copy(out, m->rec_value.base, m->rec_value.len);
    }
    if (wanted.key.base == NULL || (put && wanted.value.base == NULL)) {
        return QUDAG_ELIMIT;
    }
    struct act *up =
        acts_up_copy(out, put ? GATEWAY_UP_PUT : GATEWAY_UP_GET, &wanted, sizeof wanted);
    if (up == NULL) {
        return QUDAG_ELIMIT;
    }
    up->cookie = ref_to_u64(j->self);
    return QUDAG_OK;
}

static void request_start(struct gateway *g, struct gateway_job *j, struct acts *out)
{
    struct kad_peer_info *peers;
    struct kad_msg m;

    qudag_err err = gateway_msg_read(g, dyn_slice(&j->buf), &m, &peers); /* it was read before */
    if (err == QUDAG_OK) {
        err = request_up(j, &m, out);
    }
    mem_free(g->cfg.mem, peers);
    if (err != QUDAG_OK) {
        gateway_job_fail(g, j, err, out);
        return;
    }
    g->stats.served++;
    j->state = GATEWAY_JOB_RUNNING;
    gateway_job_due(g, j, GATEWAY_TIMEOUT);
    fair_active(&g->others, &j->place, true);
    dyn_fini(&j->buf);
}

/* ---- turns ---- */

bool gateway_may_run(const struct gateway_load *l)
{
    uint32_t of_net = fair_share(l->places, l->nets + 1);

    return l->net_active < of_net && l->source_active < fair_share(of_net, l->sources + 1);
}

static bool may_run(const void *ctx, const struct fair_source *s)
{
    const struct gateway *g = ctx;
    const struct gateway_load l = {.places = g->cfg.running_max,
                                   .nets = g->others.n_nets,
                                   .sources = s->net->n_sources,
                                   .net_active = s->net->active,
                                   .source_active = s->active};

    return gateway_may_run(&l);
}

static bool serves(const struct gateway *g)
{
    return g->others.waiting > 0 && !g->stuck && g->others.active < g->cfg.running_max;
}

void gateway_serve_more(struct gateway *g, struct acts *out)
{
    for (int i = 0;
         i < START_AT_ONCE && serves(g) && limiter_ready(&g->limiter, 1, g->now) <= g->now; i++) {
        struct fair_item *it = fair_next(&g->others, may_run, g);
        if (it == NULL) {
            g->stuck = true; /* till a job ends */
            return;
        }
        (void)limiter_take(&g->limiter, 1, g->now); /* limiter_ready() said that it can */
        request_start(g, LIST_ENTRY(it, struct gateway_job, place), out);
    }
}

tstamp gateway_serve_at(const struct gateway *g)
{
    return serves(g) ? limiter_ready(&g->limiter, 1, g->now) : TSTAMP_NEVER;
}

/* ---- answers ---- */

void gateway_answer(struct gateway *g, const struct gateway_result *res, struct acts *out)
{
    struct gateway_job *j = gateway_job_named(g, res->cookie);
    struct slice value = res->value;
    uint8_t count[4];

    if (j == NULL || j->state != GATEWAY_JOB_RUNNING) {
        return; /* it timed out */
    }
    if (ref_none(j->strm)) {
        gateway_job_free(g, j); /* nobody waits for it any more */
        return;
    }
    bool absent = j->type == KAD_GET_VALUE && res->err == QUDAG_ENOTFOUND;
    if ((res->err != QUDAG_OK && !absent) || value.len > KAD_VALUE_MAX) {
        gateway_job_fail(g, j, res->err != QUDAG_OK ? res->err : QUDAG_ETOOBIG, out);
        return;
    }
    if (j->type == KAD_PUT_VALUE) {
        struct wr w = wr_init(count, sizeof count);
        wr_u32(&w, res->stored);
        value = wr_done(&w);
    }
    qudag_err err = gateway_msg_write(j, !absent, value, out);
    if (err != QUDAG_OK) {
        gateway_job_fail(g, j, err, out);
        return;
    }
    gateway_job_free(g, j);
}
