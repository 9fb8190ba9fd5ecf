/*
 * relayed_place.c - places that relays keep for us.
 *
 *   wanted ─ due ▶ asking ─ STATUS ok ▶ held ─ three quarters of the term ▶ asking ...
 *                     └ refused, failed ▶ a pause, longer each time; a place that is held stays so until its end
 */
#include "core/relay_v2/relayed_int.h"
#include "wire/voucher.h"

struct relayed_place *relayed_place_of(struct relayed *r, const struct peer_id *relay)
{
    for (size_t i = 0; relay->len > 0 && i < RELAYED_RELAYS_MAX; i++) {
        if (r->place[i].relay.len > 0 && peer_id_eq(&r->place[i].relay, relay)) {
            return &r->place[i];
        }
    }
    return NULL;
}

qudag_err relayed_reserve(struct relayed *r, const struct peer_id *relay, tstamp now)
{
    if (relay->len == 0 || peer_id_eq(relay, &r->cfg.self)) {
        return QUDAG_EINVAL;
    }
    if (relayed_place_of(r, relay) != NULL) {
        return QUDAG_OK;
    }
    for (size_t i = 0; i < RELAYED_RELAYS_MAX; i++) {
        if (r->place[i].relay.len == 0) {
            r->place[i] = (struct relayed_place){.relay = *relay, .due = now};
            r->asking[i] = false;
            return QUDAG_OK;
        }
    }
    return QUDAG_ELIMIT;
}

bool relayed_release(struct relayed *r, const struct peer_id *relay)
{
    struct relayed_place *p = relayed_place_of(r, relay);

    if (p != NULL) {
        *p = (struct relayed_place){.held = false};
    }
    return p != NULL;
}

const struct relayed_place *relayed_place_next(const struct relayed *r, size_t *it)
{
    while (*it < RELAYED_RELAYS_MAX) {
        const struct relayed_place *p = &r->place[(*it)++];
        if (p->relay.len > 0) {
            return p;
        }
    }
    return NULL;
}

bool relayed_holds(const struct relayed *r, const struct peer_id *relay)
{
    const struct relayed_place *p = NULL;

    for (size_t it = 0; (p = relayed_place_next(r, &it)) != NULL;) {
        if (p->held && peer_id_eq(&p->relay, relay)) {
            return true;
        }
    }
    return false;
}

/* ------------------------------------------------------------------ answers */

static void lost(struct relayed_place *p, qudag_err err, struct acts *out)
{
    if (!p->held) {
        return;
    }
    p->held = false;
    struct act *a = acts_up(out, RELAYED_UP_LOST);
    a->peer = p->relay;
    a->err = err;
}

static void pause(struct relayed *r, struct relayed_place *p, tstamp now)
{
    uint32_t doublings = p->failures < 16 ? p->failures : 16;
    uint64_t base = RELAYED_PAUSE_MIN << doublings;

    p->failures++;
    base = base < RELAYED_PAUSE_MAX ? base : RELAYED_PAUSE_MAX;
    p->due = tstamp_after(now, base + rng_u64(&r->cfg.rng) % (base / 2 + 1));
}

void relayed_place_count(struct relayed *r, const struct relayed_job *j, bool broken)
{
    struct relayed_place *p = relayed_place_of(r, &j->info.relay);

    if (p != NULL) {
        p->circuits++;
        p->broken += broken ? 1 : 0;
        p->bytes_in += j->in;
        p->bytes_out += j->out;
    }
}

/* The addresses at which the relay says it is: only those that lead to itself, and not through others. */
static void take_addrs(struct relayed_place *p, const struct circuit_msg *m)
{
    p->n_addrs = 0;
    for (size_t i = 0; i < m->n_addrs && p->n_addrs < CIRCUIT_ADDRS_MAX; i++) {
        struct multiaddr a = m->addr[i], through;
        struct peer_id id;
        bool named = multiaddr_peer(&a, &id);
        if (named && !peer_id_eq(&id, &p->relay)) {
            continue;
        }
        if ((named || multiaddr_add_peer(&a, &p->relay)) && multiaddr_circuit(&through, &a)) {
            p->addr[p->n_addrs++] = a;
        }
    }
}

void relayed_found_at(struct relayed *r, const struct peer_id *relay, const struct multiaddr *addr)
{
    struct relayed_place *p = relayed_place_of(r, relay);
    struct multiaddr through;

    if (p == NULL || !p->held || !multiaddr_circuit(&through, addr)) {
        return;
    }
    if (p->n_addrs == 0 || relayed_rule_where(addr, &p->addr[0])) {
        p->addr[0] = *addr;
        p->n_addrs = p->n_addrs == 0 ? 1 : p->n_addrs;
    }
}

/* What the relay signed must hold, where it signed something: others may be shown it. */
static qudag_err check(const struct relayed *r, const struct relayed_place *p,
                       const struct circuit_msg *m, tstamp now)
{
    struct voucher v;

    if (m->type != CIRCUIT_STATUS) {
        return QUDAG_EPROTO;
    }
    qudag_err err = circuit_status_err(m->status);
    if (err != QUDAG_OK || m->voucher.len == 0) {
        return err != QUDAG_OK || m->has_reservation ? err : QUDAG_EPROTO;
    }
    err = voucher_open(&v, m->voucher, &p->relay);
    return err != QUDAG_OK ? err
                           : relayed_rule_voucher(&v, &r->cfg.self, wall_now(r->cfg.clock, now));
}

void relayed_place_done(struct relayed *r, const struct peer_id *relay, qudag_err err,
                        const struct circuit_msg *m, tstamp now, struct acts *out)
{
    struct relayed_place *p = relayed_place_of(r, relay);

    if (p == NULL) {
        return; /* released meanwhile */
    }
    r->asking[p - r->place] = false;
    p->status = m != NULL ? m->status : 0;
    p->err = err == QUDAG_OK ? check(r, p, m, now) : err;
    if (p->err != QUDAG_OK) {
        r->stats.refused++;
        pause(r, p, now);
        struct act *no = acts_up(out, RELAYED_UP_REFUSED);
        no->peer = *relay;
        no->err = p->err;
        no->n = p->status;
        return;
    }
    uint64_t term = relayed_rule_term(m->expire, wall_now(r->cfg.clock, now)) * NS_PER_S;
    p->held = true;
    p->failures = 0;
    p->until = tstamp_after(now, term);
    p->due = tstamp_after(now, term / 8 * 6 + rng_u64(&r->cfg.rng) % (term / 8));
    p->limit = m->limit;
    take_addrs(p, m);
    r->stats.reservations++;
    struct act *a = acts_up(out, RELAYED_UP_RESERVED);
    a->peer = *relay;
    a->ptr = p;
}

void relayed_place_down(struct relayed *r, const struct peer_id *relay, tstamp now,
                        struct acts *out)
{
    struct relayed_place *p = relayed_place_of(r, relay);

    if (p == NULL) {
        return;
    }
    bool held = p->held;
    lost(p, QUDAG_ECLOSED, out);
    if (held && !r->asking[p - r->place]) {
        p->due = tstamp_after(now, rng_u64(&r->cfg.rng) % (2 * NS_PER_S));
    }
}

/* A relay that gave no answer is there again: the pause was for one that is not. */
void relayed_place_up(struct relayed *r, const struct peer_id *relay, tstamp now)
{
    struct relayed_place *p = relayed_place_of(r, relay);

    if (p != NULL && relayed_rule_early(p->held, r->asking[p - r->place], p->status)) {
        p->due = tstamp_min(p->due, tstamp_after(now, rng_u64(&r->cfg.rng) % (2 * NS_PER_S)));
    }
}

/* ------------------------------------------------------------------ time */

static void ask(struct relayed *r, struct relayed_place *p, tstamp now, struct acts *out)
{
    struct relayed_job *j;
    qudag_err err = relayed_job_new(r, RELAYED_RESERVING, tstamp_after(now, RELAYED_TIMEOUT), &j);

    if (err != QUDAG_OK) {
        p->err = err;
        pause(r, p, now);
        return;
    }
    r->asking[p - r->place] = true;
    j->info.relay = p->relay;
    (void)acts_open(out, &p->relay, ref_to_u64(j->self), 0);
}

void relayed_places_tick(struct relayed *r, tstamp now, struct acts *out)
{
    for (size_t i = 0; i < RELAYED_RELAYS_MAX; i++) {
        struct relayed_place *p = &r->place[i];
        if (p->relay.len > 0 && p->held && p->until <= now) {
            lost(p, QUDAG_EEXPIRED, out);
        }
        if (p->relay.len > 0 && !r->asking[i] && p->due <= now) {
            ask(r, p, now, out);
        }
    }
}

tstamp relayed_places_at(const struct relayed *r)
{
    tstamp at = TSTAMP_NEVER;

    for (size_t i = 0; i < RELAYED_RELAYS_MAX; i++) {
        const struct relayed_place *p = &r->place[i];
        if (p->relay.len > 0) {
            at = tstamp_min(at, p->held ? p->until : TSTAMP_NEVER);
            at = tstamp_min(at, r->asking[i] ? TSTAMP_NEVER : p->due);
        }
    }
    return at;
}
