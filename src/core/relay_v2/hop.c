/* hop.c - the relay of circuit relay v2: life, events, time. */
#include "core/relay_v2/hop_int.h"

#include <string.h>

#define PLACES_MAX 4096 /* whatever is configured */
#define CIRCUITS_MAX 4096
#define REQUESTS_MAX 4096

static uint32_t or_default(uint32_t v, uint32_t def, uint32_t max)
{
    uint32_t n = v != 0 ? v : def;

    return n < max ? n : max;
}

static uint64_t rate_within(uint64_t rate)
{
    return rate < NS_PER_S ? rate : NS_PER_S;
}

static void init_tables(struct hop_service *h)
{
    uint32_t jobs = h->cfg.circuits_max + h->cfg.requests_max;
    uint8_t seed[5][16];

    rng_fill(&h->cfg.rng, seed, sizeof(seed));
    slots_init(&h->jobs, h->cfg.mem, jobs);
    map_init_u64(&h->by_strm, h->cfg.mem, NULL, 0, 2 * (size_t)jobs);
    map_init_sized(&h->places, h->cfg.mem, seed[0], PEER_ID_MAX, h->cfg.reservations_max);
    map_init_sized(&h->peers, h->cfg.mem, seed[3], PEER_ID_MAX, 2 * (size_t)h->cfg.circuits_max);
    heap_init(&h->timers, h->cfg.mem, jobs);
    heap_init(&h->expiries, h->cfg.mem, h->cfg.reservations_max);
    heap_init(&h->waits, h->cfg.mem, 2 * h->cfg.circuits_max);
    fair_init(&h->fair_circuits, h->cfg.mem, seed[1], 2 * jobs);
    fair_init(&h->fair_requests, h->cfg.mem, seed[4], 2 * jobs);
    fair_init(&h->fair_places, h->cfg.mem, seed[2], 2 * h->cfg.reservations_max);
    list_init(&h->turns);
}

qudag_err hop_new(struct hop_service **out, const struct hop_config *cfg, tstamp now)
{
    struct hop_service *h = mem_alloc(cfg->mem, sizeof(*h));

    *out = h;
    if (h == NULL) {
        return QUDAG_ENOMEM;
    }
    h->cfg = *cfg;
    h->cfg.reservations_max = or_default(cfg->reservations_max, 128, PLACES_MAX);
    h->cfg.reservations_host = or_default(cfg->reservations_host, 8, PLACES_MAX);
    h->cfg.reservations_net = or_default(cfg->reservations_net, 32, PLACES_MAX);
    h->cfg.reservation_s = or_default(cfg->reservation_s, 3600, RELAYED_TERM_MAX);
    h->cfg.requests_max = or_default(cfg->requests_max, 256, REQUESTS_MAX);
    h->cfg.circuits_max = or_default(cfg->circuits_max, 512, CIRCUITS_MAX);
    h->cfg.circuits_peer = or_default(cfg->circuits_peer, 16, CIRCUITS_MAX);
    h->cfg.rate = rate_within(cfg->rate);
    h->cfg.rate_peer = rate_within(cfg->rate_peer);
    h->cfg.rate_circuit = rate_within(cfg->rate_circuit);
    h->now = now;
    init_tables(h);
    limiter_init(&h->rate, h->cfg.rate, hop_burst(h->cfg.rate), now);
    return QUDAG_OK;
}

void hop_free(struct hop_service *h)
{
    if (h == NULL) {
        return;
    }
    for (uint32_t i = 0; i < h->jobs.high; i++) {
        struct hop_job *j = slots_at(&h->jobs, i);
        if (j != NULL) {
            hop_job_free(h, j);
        }
    }
    hop_expire(h, TSTAMP_NEVER);
    map_fini(&h->places);
    map_fini(&h->by_strm);
    map_fini(&h->peers);
    slots_fini(&h->jobs);
    heap_fini(&h->timers);
    heap_fini(&h->expiries);
    heap_fini(&h->waits);
    fair_fini(&h->fair_circuits);
    fair_fini(&h->fair_requests);
    fair_fini(&h->fair_places);
    mem_free(h->cfg.mem, h);
}

void hop_set_key(struct hop_service *h, const struct secret_ed25519 *sk)
{
    h->cfg.sk = sk;
}

void hop_set_addrs(struct hop_service *h, const struct multiaddr *addr, size_t n)
{
    h->n_addrs = 0;
    for (size_t i = 0; i < n && h->n_addrs < CIRCUIT_ADDRS_MAX; i++) {
        struct multiaddr a = addr[i];
        multiaddr_strip_peer(&a);
        if (multiaddr_add_peer(&a, &h->cfg.self)) {
            h->addr[h->n_addrs++] = a;
        }
    }
}

void hop_stats_get(const struct hop_service *h, struct hop_stats *out)
{
    *out = h->stats;
    out->reservations = (uint32_t)h->places.n;
    for (uint32_t i = 0; i < h->jobs.high; i++) {
        const struct hop_job *j = slots_at(&h->jobs, i);
        if (j != NULL && j->state == HOP_CARRYING) {
            out->circuits++;
        } else if (j != NULL) {
            out->requests++;
        }
    }
}

void hop_set_open(struct hop_service *h, bool open)
{
    h->closed = !open;
}

bool hop_is_open(const struct hop_service *h)
{
    return !h->closed;
}

bool hop_circuit_next(const struct hop_service *h, size_t *it, struct hop_circuit_look *out)
{
    while (*it < h->jobs.high) {
        const struct hop_job *j = slots_at(&h->jobs, (uint32_t)(*it)++);
        if (j != NULL && j->state == HOP_CARRYING) {
            *out = (struct hop_circuit_look){.from = j->from,
                                             .to = j->to,
                                             .limit = j->limit,
                                             .sent = j->side[0].passed,
                                             .got = j->side[1].passed,
                                             .since = j->since,
                                             .paced = j->side[0].wait.ix != 0 ||
                                                      j->side[1].wait.ix != 0};
            return true;
        }
    }
    return false;
}

static void data(struct hop_service *h, const struct ev *ev, tstamp now, struct acts *out)
{
    struct hop_side *s = hop_side_of(h, ev->strm);

    if (s == NULL) {
        return;
    }
    if (s->job->state == HOP_CARRYING) {
        hop_carry_data(h, s, ev, out);
        return;
    }
    acts_consume(out, ev->strm, ev->data.len); /* a message is read at once */
    hop_job_data(h, s, ev->data, now, out);
}

/* A stream is at its end, or its peer sends no more. */
static void ended(struct hop_service *h, const struct ev *ev, tstamp now, struct acts *out)
{
    struct hop_side *s = hop_side_of(h, ev->strm);

    if (s == NULL) {
        return;
    }
    struct hop_job *j = s->job;
    if (ev->type == EV_FIN && j->state == HOP_CARRYING) {
        hop_carry_fin(h, s, out);
    } else if (ev->type == EV_FIN && j->state == HOP_ENDING) {
        hop_job_free(h, j); /* both directions have ended */
    } else if (ev->type == EV_FIN && s == &j->side[1]) {
        hop_job_refuse(h, j, CIRCUIT_CONNECTION_FAILED, now, out);
    } else {
        if (ev->type == EV_RESET) {
            (void)map_u64_del(&h->by_strm, ref_to_u64(s->strm));
            s->strm = (struct ref){0, 0};
        }
        bool asks = j->state == HOP_OPENING || j->state == HOP_ASKED;
        bool elsewhere = ev->type == EV_RESET && ev->err == QUDAG_ECLOSED;
        if (elsewhere && s == &j->side[1] && hop_job_elsewhere(h, j, now, out)) {
            return;
        }
        if (asks && s == &j->side[1]) {
            hop_job_refuse(h, j, CIRCUIT_CONNECTION_FAILED, now, out);
        } else {
            hop_job_end(h, j, ev->type == EV_RESET ? ev->err : QUDAG_EPROTO, out);
        }
    }
}

static void event(void *core, const struct ev *ev, tstamp now, struct acts *out)
{
    struct hop_service *h = core;
    struct hop_side *s;

    h->now = now;
    switch (ev->type) {
    case EV_STREAM_OPEN:
        if (ev->inbound) {
            hop_job_open(h, ev, now, out);
        } else if (hop_job_opening(h, ev->cookie) == NULL) {
            acts_reset(out, ev->strm, QUDAG_ECANCELED); /* whoever asked has gone */
        } else {
            hop_job_opened(h, hop_job_opening(h, ev->cookie), ev, now, out);
        }
        break;
    case EV_STREAM_FAIL:
        if (hop_job_opening(h, ev->cookie) != NULL) {
            hop_job_refuse(h, hop_job_opening(h, ev->cookie), CIRCUIT_CONNECTION_FAILED, now, out);
        }
        break;
    case EV_DATA:
        data(h, ev, now, out);
        break;
    case EV_WRITABLE:
        if ((s = hop_side_of(h, ev->strm)) != NULL) {
            hop_carry_sent(h, s, ev->n, now, out);
        }
        break;
    case EV_FIN:
    case EV_RESET:
        ended(h, ev, now, out);
        break;
    case EV_PEER_DOWN:
        hop_unreserve(h, ev->peer, now);
        break;
    case EV_PEER_UP:
        break;
    }
}

static void tick(void *core, tstamp now, struct acts *out)
{
    struct hop_service *h = core;
    struct heap_node *t;

    h->now = now;
    hop_expire(h, now);
    for (unsigned n = 0; n < HOP_TICK_MAX && (t = heap_top(&h->timers)) != NULL && t->at <= now;
         n++) {
        struct hop_job *j = LIST_ENTRY(t, struct hop_job, timer);
        if (j->state == HOP_OPENING || j->state == HOP_ASKED) {
            if (!hop_job_ask_again(h, j, now, out)) {
                hop_job_refuse(h, j, CIRCUIT_CONNECTION_FAILED, now, out);
            }
        } else {
            bool over = j->state == HOP_CARRYING;
            h->stats.ended_by_limit += over ? 1 : 0;
            hop_job_end(h, j, over ? QUDAG_ELIMIT : QUDAG_ETIMEOUT, out);
        }
    }
    hop_carry_turns(h, now, out);
}

static tstamp deadline(const void *core)
{
    const struct hop_service *h = core;
    const struct heap_node *t = heap_top(&h->timers), *e = heap_top(&h->expiries);
    tstamp at = tstamp_min(t != NULL ? t->at : TSTAMP_NEVER, e != NULL ? e->at : TSTAMP_NEVER);

    return tstamp_min(at, hop_carry_at(h));
}

const struct core_ops hop_ops = {.protocol = CIRCUIT_HOP_PROTOCOL,
                                 .inbound_max = HOP_STREAMS_PEER,
                                 .manual_credit = true,
                                 .limited_ok = true, /* to be told that it may not */
                                 .asks_unanswered = true,
                                 .event = event,
                                 .tick = tick,
                                 .deadline = deadline};
