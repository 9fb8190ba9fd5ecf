/* server.c - takes requests, has one address of each dialled, answers. */
#include "core/autonat/server.h"

#include "crypto/hash.h"

#include <string.h>

enum { FREE, READING, PAYING, RESTING, DIALLING };

#define MINUTE (60 * NS_PER_S)

void autonat_server_init(struct autonat_server *s, const struct rng *rng, bool lab)
{
    memset(s, 0, sizeof(*s));
    s->rng = *rng;
    s->lab = lab;
}

void autonat_server_set(struct autonat_server *s, const struct autonat_self *self)
{
    s->self = *self;
}

/* ---- rules ---- */

static bool is_own(const struct autonat_self *self, const struct netaddr *a, bool lab)
{
    for (size_t i = 0; i < self->n_own; i++) {
        if (lab ? netaddr_eq(&self->own[i], a) : netaddr_same_ip(&self->own[i], a)) {
            return true;
        }
    }
    return false;
}

size_t autonat_rule_pick(const struct autonat_msg *m, const struct autonat_self *self, bool lab)
{
    for (size_t i = 0; i < m->n_addrs; i++) {
        struct netaddr a;
        if (multiaddr_to_netaddr(&m->addr[i], &a) && (a.port > 1023 || a.port == 443) &&
            !netaddr_is_unspecified(&a) && (lab || netaddr_is_global(&a)) &&
            (a.family == 6 ? self->ip6 : self->ip4) && !is_own(self, &a, lab)) {
            return i;
        }
    }
    return m->n_addrs;
}

bool autonat_rule_may(const struct autonat_recent *recent, const struct autonat_recent *next,
                      bool lab)
{
    unsigned all = 0, net = 0, peer = 0, target = 0;

    for (size_t i = 0; i < AUTONAT_MINUTE; i++) {
        const struct autonat_recent *r = &recent[i];
        if (r->at == 0 || next->at - r->at >= MINUTE) {
            continue;
        }
        all++;
        net += r->net == next->net ? 1 : 0;
        peer += r->peer == next->peer ? 1 : 0;
        target += r->target == next->target ? 1 : 0;
    }
    unsigned left = all < AUTONAT_MINUTE ? AUTONAT_MINUTE - all : 0;
    unsigned share = left < 2 * AUTONAT_MINUTE_SHARE ? 1 : left / AUTONAT_MINUTE_SHARE;
    return left > 0 && (lab || net < share) && peer < AUTONAT_MINUTE_PEER &&
           (lab || target < AUTONAT_MINUTE_TARGET);
}

static bool had_its_turn(const struct autonat_place *p, tstamp now)
{
    return (p->reading && now - p->since >= AUTONAT_TURN_READ) ||
           (p->paying && now - p->since >= AUTONAT_TURN_PAY) ||
           (p->dialling && now - p->since >= AUTONAT_TURN_DIAL);
}

size_t autonat_rule_gives_way(const struct autonat_place *place, tstamp now)
{
    size_t best = AUTONAT_JOBS_MAX, best_of = 0;

    for (size_t i = 0; i < AUTONAT_JOBS_MAX; i++) {
        size_t of = 0;
        for (size_t k = 0; k < AUTONAT_JOBS_MAX; k++) {
            of += place[k].net == place[i].net ? 1 : 0;
        }
        bool before = best == AUTONAT_JOBS_MAX || of > best_of ||
                      (of == best_of && place[i].since < place[best].since);
        if (had_its_turn(&place[i], now) && before) {
            best = i;
            best_of = of;
        }
    }
    return best;
}

uint64_t autonat_rule_price(const struct netaddr *at, const struct netaddr *from, uint64_t chance)
{
    return netaddr_same_ip(at, from)
               ? 0
               : AUTONAT_DATA_MIN + chance % (AUTONAT_DATA_MAX - AUTONAT_DATA_MIN + 1);
}

/* ---- answers ---- */

static struct autonat_job *by_strm(struct autonat_server *s, struct ref strm)
{
    for (size_t i = 0; i < AUTONAT_JOBS_MAX; i++) {
        if (s->job[i].state != FREE && ref_eq(s->job[i].strm, strm)) {
            return &s->job[i];
        }
    }
    return NULL;
}

static void respond(struct autonat_job *j, enum autonat_status status, enum autonat_dial dial,
                    struct acts *out)
{
    struct autonat_msg m = {.type = AUTONAT_RESPONSE, .status = status, .dial = dial};
    uint8_t bytes[64];
    struct wr w = wr_init(bytes, sizeof(bytes));

    m.addr_ix = status == AUTONAT_OK ? j->addr_ix : 0;
    if (autonat_msg_write(&w, &m) == QUDAG_OK) {
        acts_write(out, j->strm, bytes, w.len);
    }
    acts_fin(out, j->strm);
    j->state = FREE;
}

/* Nobody waits for its dial any more. */
static void leave(struct autonat_job *j, struct acts *out)
{
    if (j->state == DIALLING) {
        acts_up(out, AUTONAT_UP_CANCEL)->cookie = j->order.job;
    }
    j->state = FREE;
}

static void give_up(struct autonat_job *j, qudag_err why, struct acts *out)
{
    acts_reset(out, j->strm, why);
    leave(j, out);
}

static uint64_t name_of(struct slice what)
{
    uint8_t h[8];
    uint64_t v = 0;

    blake3_derive(h, sizeof(h), "qudag autonat limits v1", what);
    for (size_t i = 0; i < sizeof(h); i++) {
        v = v << 8 | h[i];
    }
    return v;
}

static struct autonat_recent recent_of(const struct autonat_job *j, tstamp now)
{
    struct netaddr at = {.family = 0};

    (void)multiaddr_to_netaddr(&j->order.addr, &at); /* autonat_rule_pick() saw that it is one */
    return (struct autonat_recent){.at = now,
                                   .net = j->net,
                                   .peer = name_of(peer_id_slice(&j->order.peer)),
                                   .target = netaddr_host(&at)};
}

/* It is paid for: now it counts, if the minute has room for it still. */
static void dial(struct autonat_server *s, struct autonat_job *j, tstamp now, struct acts *out)
{
    struct autonat_recent next = recent_of(j, now);

    if (!autonat_rule_may(s->recent, &next, s->lab)) {
        s->stats.rejected++;
        respond(j, AUTONAT_REQUEST_REJECTED, AUTONAT_DIAL_UNUSED, out);
        return;
    }
    s->recent[s->at] = next;
    s->at = (s->at + 1) % AUTONAT_MINUTE;
    j->state = DIALLING;
    j->since = now;
    j->due = tstamp_after(now, AUTONAT_DIAL_TIMEOUT);
    j->order.job = ++s->orders;
    if (acts_up_copy(out, AUTONAT_UP_DIAL, &j->order, sizeof(j->order)) == NULL) {
        respond(j, AUTONAT_INTERNAL_ERROR, AUTONAT_DIAL_UNUSED, out);
    }
}

void autonat_dialled(struct autonat_server *s, uint64_t job, enum autonat_dial how,
                     struct acts *out)
{
    for (size_t i = 0; i < AUTONAT_JOBS_MAX; i++) {
        struct autonat_job *j = &s->job[i];
        if (j->state == DIALLING && j->order.job == job) {
            if (how == AUTONAT_DIAL_UNUSED) {
                respond(j, AUTONAT_INTERNAL_ERROR, how, out);
                return;
            }
            s->stats.dialled_ok += how == AUTONAT_DIAL_OK ? 1 : 0;
            s->stats.dialled_failed += how == AUTONAT_DIAL_OK ? 0 : 1;
            respond(j, AUTONAT_OK, how, out);
            return;
        }
    }
}

/* ---- requests ---- */

/* Of places that are all taken; NULL: none is to be had. */
static struct autonat_job *make_room(struct autonat_server *s, tstamp now, struct acts *out)
{
    struct autonat_place place[AUTONAT_JOBS_MAX];

    for (size_t i = 0; i < AUTONAT_JOBS_MAX; i++) {
        const struct autonat_job *j = &s->job[i];
        place[i] = (struct autonat_place){.net = j->net,
                                          .reading = j->state == READING,
                                          .paying = j->state == PAYING,
                                          .dialling = j->state == DIALLING,
                                          .since = j->since};
    }
    size_t i = autonat_rule_gives_way(place, now);
    if (i == AUTONAT_JOBS_MAX) {
        return NULL;
    }
    give_up(&s->job[i], QUDAG_ELIMIT, out);
    return &s->job[i];
}

static void opened(struct autonat_server *s, const struct ev *ev, tstamp now, struct acts *out)
{
    struct autonat_job *j = NULL;
    unsigned of_net = 0;

    if (ev->peer == NULL || ev->peer->len == 0 || (ev->props & (LINK_ANON | LINK_RELAYED)) != 0) {
        acts_reset(out, ev->strm, QUDAG_EUNSUPPORTED);
        return;
    }
    for (size_t i = 0; i < AUTONAT_JOBS_MAX; i++) {
        if (s->job[i].state == FREE) {
            j = &s->job[i];
        } else if (peer_id_eq(&s->job[i].order.peer, ev->peer)) {
            acts_reset(out, ev->strm, QUDAG_ELIMIT); /* one at a time */
            return;
        }
        of_net += s->job[i].state != FREE && s->job[i].net == ev->net ? 1 : 0;
    }
    j = of_net >= AUTONAT_JOBS_NET && !s->lab ? NULL : j == NULL ? make_room(s, now, out) : j;
    if (j == NULL) {
        s->stats.rejected++;
        acts_reset(out, ev->strm, QUDAG_ELIMIT);
        return;
    }
    memset(j, 0, offsetof(struct autonat_job, buf));
    j->state = READING;
    j->since = now;
    j->strm = ev->strm;
    j->order.peer = *ev->peer;
    j->net = ev->net;
    j->due = tstamp_after(now, AUTONAT_READ_TIMEOUT);
    j->frame = (struct autonat_frame){.buf = j->buf, .max = sizeof(j->buf)};
}

void autonat_server_from(struct autonat_server *s, struct ref strm, const struct multiaddr *remote)
{
    struct autonat_job *j = by_strm(s, strm);

    if (j != NULL && !multiaddr_direct(remote, &j->from)) {
        j->from = (struct netaddr){.family = 0};
    }
}

static void request(struct autonat_server *s, struct autonat_job *j, const struct autonat_msg *m,
                    tstamp now, struct acts *out)
{
    size_t ix = autonat_rule_pick(m, &s->self, s->lab);
    struct netaddr at;

    s->stats.requests++;
    if (!s->self.serves || j->from.family == 0) {
        s->stats.rejected++;
        respond(j, AUTONAT_REQUEST_REJECTED, AUTONAT_DIAL_UNUSED, out);
        return;
    }
    if (ix >= m->n_addrs || !multiaddr_to_netaddr(&m->addr[ix], &at)) {
        s->stats.refused++;
        respond(j, AUTONAT_DIAL_REFUSED, AUTONAT_DIAL_UNUSED, out);
        return;
    }
    j->order.addr = m->addr[ix];
    multiaddr_strip_peer(&j->order.addr);
    struct autonat_recent next = recent_of(j, now);
    if (!autonat_rule_may(s->recent, &next, s->lab)) {
        s->stats.rejected++;
        respond(j, AUTONAT_REQUEST_REJECTED, AUTONAT_DIAL_UNUSED, out);
        return;
    }
    j->order.nonce = m->nonce;
    j->addr_ix = (uint32_t)ix;
    j->left = autonat_rule_price(&at, &j->from, rng_u64(&s->rng));
    if (j->left == 0) {
        dial(s, j, now, out);
        return;
    }
    struct autonat_msg price = {
        .type = AUTONAT_DATA_REQUEST, .addr_ix = j->addr_ix, .num_bytes = j->left};
    uint8_t bytes[64];
    struct wr w = wr_init(bytes, sizeof(bytes));
    (void)!autonat_msg_write(&w, &price); /* numbers only: it fits */
    acts_write(out, j->strm, bytes, w.len);
    j->state = PAYING;
    j->since = now;
    j->due = tstamp_after(now, AUTONAT_PAY_TIMEOUT);
}

static void message(struct autonat_server *s, struct autonat_job *j, struct slice msg, tstamp now,
                    struct acts *out)
{
    struct autonat_msg m;

    if (autonat_msg_read(&m, msg) != QUDAG_OK) {
        give_up(j, QUDAG_EPROTO, out);
    } else if (j->state == READING && m.type == AUTONAT_REQUEST) {
        request(s, j, &m, now, out);
    } else if (j->state == PAYING && m.type == AUTONAT_DATA &&
               (m.data.len >= AUTONAT_PIECE_MIN || (m.data.len > 0 && m.data.len >= j->left))) {
        j->left -= m.data.len < j->left ? m.data.len : j->left;
        s->stats.paid += m.data.len;
        if (j->left == 0) {
            j->state = RESTING;
            j->due = tstamp_after(now, rng_u64(&s->rng) % AUTONAT_REST);
        }
    } else {
        give_up(j, QUDAG_EPROTO, out);
    }
}

static void data(struct autonat_server *s, struct autonat_job *j, struct slice in, tstamp now,
                 struct acts *out)
{
    struct slice msg;

    while (j->state == READING || j->state == PAYING) {
        enum autonat_frame_result got = autonat_frame_take(&j->frame, &in, &msg);
        if (got == AUTONAT_FRAME_MORE) {
            return;
        }
        if (got == AUTONAT_FRAME_BAD) {
            give_up(j, QUDAG_EPROTO, out);
            return;
        }
        message(s, j, msg, now, out);
    }
}

static void serve_event(void *core, const struct ev *ev, tstamp now, struct acts *out)
{
    struct autonat_server *s = core;
    struct autonat_job *j;

    if (ev->type == EV_STREAM_OPEN && ev->inbound) {
        opened(s, ev, now, out);
    } else if (ev->type != EV_DATA && ev->type != EV_FIN && ev->type != EV_RESET) {
        return;
    } else if ((j = by_strm(s, ev->strm)) != NULL) {
        if (ev->type == EV_DATA) {
            data(s, j, ev->data, now, out);
        } else if (ev->type == EV_RESET) {
            leave(j, out);
        } else if (j->state < RESTING) {
            give_up(j, QUDAG_ECLOSED, out);
        }
    }
}

static void serve_tick(void *core, tstamp now, struct acts *out)
{
    struct autonat_server *s = core;

    for (size_t i = 0; i < AUTONAT_JOBS_MAX; i++) {
        struct autonat_job *j = &s->job[i];
        if (j->state == FREE || j->due > now) {
            continue;
        }
        if (j->state == RESTING) {
            dial(s, j, now, out);
        } else if (j->state == DIALLING) {
            s->stats.dialled_failed++;
            respond(j, AUTONAT_OK, AUTONAT_DIAL_ERROR, out);
        } else {
            give_up(j, QUDAG_ETIMEOUT, out);
        }
    }
}

static tstamp serve_deadline(const void *core)
{
    const struct autonat_server *s = core;
    tstamp at = TSTAMP_NEVER;

    for (size_t i = 0; i < AUTONAT_JOBS_MAX; i++) {
        at = s->job[i].state != FREE ? tstamp_min(at, s->job[i].due) : at;
    }
    return at;
}

const struct core_ops autonat_serve_ops = {.direct_only = true,
                                           .inbound_max = 2,
                                           .event = serve_event,
                                           .tick = serve_tick,
                                           .deadline = serve_deadline};
