/*
 * identify.c - who are you, asked and answered; and pushes when the answer changes.
 *
 *   ask     opener says nothing            <- messages, FIN
 *   push    opener -> message, FIN
 *   message uvarint length, Identify; several are merged
 *
 *   FREE --ask--> ASK_OPENING --open--> ASK_READING --FIN--> report, FREE
 *   FREE --inbound ask: write, FIN--> ANSWERING --FIN--> FREE
 *   FREE --push--> PUSH_OPENING --open: write, FIN--> PUSH_SENT --FIN--> FREE
 *   FREE --inbound push--> PUSH_READING --FIN--> report, FREE
 *
 * From every state: reset by the peer, timed out, or against the rules --> FREE, with a report where one
 * was reading or opening to ask.
 */
#include "core/identify/identify.h"

#include "base/assert.h"

#include <string.h>

#define PUSH_ID "/ipfs/id/push/1.0.0"

enum state {
    FREE,
    ASK_OPENING,
    ASK_READING,
    ANSWERING,
    PUSH_OPENING,
    PUSH_SENT,
    PUSH_READING,
};

enum due { DUE_ASK, DUE_PUSH };

/* A linked peer. */
struct identify_peer {
    struct peer_id id;
    bool due[2];      /* enum due */
    bool takes_push;  /* it listed the push protocol */
    bool has_limiter; /* made with its first push */
    bool has_observed;
    bool has_record; /* a signed peer record was accepted, with this number */
    uint64_t record_seq;
    struct multiaddr observed;
    struct limiter pushes;
};

/* An exchange being read. */
struct identify_rx {
    struct identify_msg msg;
    size_t n_msgs;
    size_t need, got; /* of the current message; need known once shift is RX_LEN_KNOWN */
    unsigned shift;
    uint8_t buf[IDENTIFY_IN_MAX];
};

_Static_assert(IDENTIFY_ADDRS_MAX == PEER_RECORD_ADDRS_MAX,
               "one list takes the place of the other");

#define RX_LEN_KNOWN UINT32_MAX

/* Most exchanges that may be in |a| or |b|. */
struct quota {
    enum state a, b;
    size_t max;
};

static const struct quota asks = {ASK_OPENING, ASK_READING, IDENTIFY_ASKS_MAX};
static const struct quota answers = {ANSWERING, ANSWERING, IDENTIFY_ANSWERS_MAX};
static const struct quota pushes_out = {PUSH_OPENING, PUSH_SENT, IDENTIFY_PUSHES_OUT_MAX};
static const struct quota pushes_in = {PUSH_READING, PUSH_READING, IDENTIFY_PUSHES_IN_MAX};

/* ------------------------------------------------------------------ peers */

static void due_set(struct identify *id, struct identify_peer *p, enum due what, bool on)
{
    if (p->due[what] != on) {
        p->due[what] = on;
        id->n_due[what] = on ? id->n_due[what] + 1 : id->n_due[what] - 1;
    }
}

static struct identify_peer *peer_get(const struct identify *id, const struct peer_id *peer)
{
    return map_get(&id->peers, peer_id_slice(peer));
}

static qudag_err peer_make(struct identify *id, const struct peer_id *peer,
                           struct identify_peer **out)
{
    struct identify_peer *p = peer_get(id, peer);
    if (p == NULL) {
        p = mem_alloc(id->mem, sizeof(*p));
        if (p == NULL) {
            return QUDAG_ENOMEM;
        }
        p->id = *peer;
        qudag_err err = map_put(&id->peers, peer_id_slice(peer), p);
        if (err != QUDAG_OK) {
            mem_free(id->mem, p);
            return err;
        }
    }
    *out = p;
    return QUDAG_OK;
}

static void peer_drop(struct identify *id, const struct peer_id *peer)
{
    struct identify_peer *p = map_del(&id->peers, peer_id_slice(peer));

    if (p != NULL) {
        due_set(id, p, DUE_ASK, false);
        due_set(id, p, DUE_PUSH, false);
        mem_free(id->mem, p);
    }
}

/* limiter.h counts whole tokens per second, so a push costs as many as a period brings. */
static bool push_is_allowed(struct identify_peer *p, tstamp now)
{
    if (!p->has_limiter) {
        limiter_init(&p->pushes, 1, (uint64_t)IDENTIFY_PUSH_BURST * IDENTIFY_PUSH_PERIOD_S, now);
        p->has_limiter = true;
    }
    return limiter_take(&p->pushes, IDENTIFY_PUSH_PERIOD_S, now);
}

static bool takes_push(const struct identify_msg *m)
{
    for (size_t i = 0; i < m->n_protos; i++) {
        if (strcmp(m->proto[i], PUSH_ID) == 0) {
            return true;
        }
    }
    return false;
}

/* ------------------------------------------------------------------ exchanges */

static bool in_quota(const struct identify_strm *s, const struct quota *q)
{
    return s->state == (uint8_t)q->a || s->state == (uint8_t)q->b;
}

static size_t quota_used(const struct identify *id, const struct quota *q)
{
    size_t n = 0;

    for (size_t i = 0; i < IDENTIFY_STREAMS_MAX; i++) {
        n += in_quota(&id->strm[i], q) ? 1 : 0;
    }
    return n;
}

/* A free exchange, or NULL when |q| is used up. */
static struct identify_strm *strm_take(struct identify *id, const struct quota *q)
{
    if (quota_used(id, q) >= q->max) {
        return NULL;
    }
    for (size_t i = 0; i < IDENTIFY_STREAMS_MAX; i++) {
        if (id->strm[i].state == FREE) {
            id->strm_high = i < id->strm_high ? id->strm_high : i + 1;
            return &id->strm[i];
        }
    }
    return NULL;
}

static void strm_free(struct identify *id, struct identify_strm *s)
{
    mem_free(id->mem, s->rx);
    *s = (struct identify_strm){.state = FREE};
    while (id->strm_high > 0 && id->strm[id->strm_high - 1].state == FREE) {
        id->strm_high--;
    }
}

static struct identify_strm *strm_by_ref(struct identify *id, struct ref strm)
{
    for (size_t i = 0; i < IDENTIFY_STREAMS_MAX; i++) {
        struct identify_strm *s = &id->strm[i];
        if (s->state != FREE && !ref_none(s->strm) && ref_eq(s->strm, strm)) {
            return s;
        }
    }
    return NULL;
}

static struct identify_strm *strm_by_cookie(struct identify *id, uint64_t cookie)
{
    for (size_t i = 0; i < IDENTIFY_STREAMS_MAX; i++) {
        struct identify_strm *s = &id->strm[i];
        if ((s->state == ASK_OPENING || s->state == PUSH_OPENING) && s->cookie == cookie) {
            return s;
        }
    }
    return NULL;
}

static bool is_reading(const struct identify_strm *s)
{
    return s->state == ASK_READING || s->state == PUSH_READING;
}

static bool is_push(const struct identify_strm *s)
{
    return s->state >= PUSH_OPENING;
}

static void report(const struct identify_strm *s, qudag_err err, const struct identify_msg *msg,
                   struct acts *out)
{
    struct act *up = acts_up(out, IDENTIFY_UP);

    up->peer = s->peer;
    up->err = err;
    up->n = s->state == PUSH_READING ? 1 : 0;
    up->ptr = msg;
}

/* Ends |s|, whose stream is gone or never was. */
static void strm_lost(struct identify *id, struct identify_strm *s, qudag_err err, struct acts *out)
{
    struct identify_peer *p = peer_get(id, &s->peer);

    if (is_reading(s) || s->state == ASK_OPENING) {
        report(s, err, NULL, out);
    } else if (err == QUDAG_EUNSUPPORTED && p != NULL) {
        p->takes_push = false;
    }
    strm_free(id, s);
}

/* Ends |s| and its stream. */
static void strm_abort(struct identify *id, struct identify_strm *s, qudag_err err,
                       struct acts *out)
{
    if (!ref_none(s->strm)) {
        acts_reset(out, s->strm, err);
    }
    strm_lost(id, s, err, out);
}

static bool open_for(struct identify *id, const struct peer_id *peer, const struct quota *q,
                     tstamp now, struct acts *out)
{
    struct identify_strm *s = strm_take(id, q);

    if (s == NULL) {
        return false;
    }
    *s = (struct identify_strm){
        .state = (uint8_t)q->a,
        .peer = *peer,
        .cookie = id->next_cookie++,
        .due = tstamp_after(now, IDENTIFY_TIMEOUT),
    };
    acts_open(out, peer, s->cookie, 0);
    return true;
}

/* The link of |s| was closed: it may have been one of two, and a peer that is gone is not dialled.  False: no more. */
static bool ask_again(struct identify *id, struct identify_strm *s, qudag_err err, tstamp now,
                      struct acts *out)
{
    bool ask = s->state == ASK_READING;

    if (err != QUDAG_ECLOSED || s->again || !(ask || s->state == PUSH_SENT)) {
        return false;
    }
    struct identify_strm anew = {.state = ask ? ASK_OPENING : PUSH_OPENING,
                                 .peer = s->peer,
                                 .cookie = id->next_cookie++,
                                 .again = true,
                                 .due = tstamp_after(now, IDENTIFY_TIMEOUT)};
    strm_free(id, s);
    *s = anew;
    acts_open_again(out, &s->peer, s->cookie, 0);
    return true;
}

static bool is_asked(const struct identify *id, const struct peer_id *peer)
{
    for (size_t i = 0; i < IDENTIFY_STREAMS_MAX; i++) {
        if (in_quota(&id->strm[i], &asks) && peer_id_eq(&id->strm[i].peer, peer)) {
            return true;
        }
    }
    return false;
}

/* Opens streams for those who wait, as far as the quota goes. */
static void pump(struct identify *id, enum due what, tstamp now, struct acts *out)
{
    const struct quota *q = what == DUE_ASK ? &asks : &pushes_out;
    struct identify_peer *p;
    size_t it = 0;

    if (id->n_due[what] == 0 || quota_used(id, q) >= q->max) {
        return;
    }
    while (id->n_due[what] > 0 && (p = map_next(&id->peers, &it)) != NULL) {
        if (!p->due[what]) {
            continue;
        }
        if (!open_for(id, &p->id, q, now, out)) {
            return;
        }
        due_set(id, p, what, false);
    }
}

/* ------------------------------------------------------------------ writing */

/* Drops from the end of our lists until the message fits, and restores them. */
static void self_write(struct identify *id, const struct peer_id *peer, struct ref strm,
                       struct acts *out)
{
    const struct identify_peer *p = peer_get(id, peer);
    struct identify_msg *self = &id->self;
    uint8_t buf[IDENTIFY_MSG_MAX];
    uint8_t n_addrs = self->n_addrs, n_protos = self->n_protos;
    size_t len = 0;

    self->has_observed = p != NULL && p->has_observed;
    if (self->has_observed) {
        self->observed = p->observed;
    }
    while (identify_msg_encode(buf, sizeof(buf), &len, self) != QUDAG_OK) {
        ASSERT(self->n_addrs > 0 || self->n_protos > 0);
        if (self->n_addrs > 0) {
            self->n_addrs--;
        } else {
            self->n_protos--;
        }
    }
    self->n_addrs = n_addrs;
    self->n_protos = n_protos;
    self->has_observed = false;
    acts_write(out, strm, buf, len);
    acts_fin(out, strm);
}

static struct identify_strm *answer_oldest(struct identify *id)
{
    struct identify_strm *oldest = NULL;

    for (size_t i = 0; i < IDENTIFY_STREAMS_MAX; i++) {
        struct identify_strm *s = &id->strm[i];
        if (s->state == ANSWERING && (oldest == NULL || s->due < oldest->due)) {
            oldest = s;
        }
    }
    /* Only called when the quota of answers is used up. */
    ASSERT(oldest != NULL);
    return oldest;
}

static void answer(struct identify *id, const struct ev *ev, tstamp now, struct acts *out)
{
    struct identify_strm *s = strm_take(id, &answers);

    if (s == NULL) {
        s = answer_oldest(id);
        strm_abort(id, s, QUDAG_ELIMIT, out);
    }
    s->state = ANSWERING;
    s->peer = *ev->peer;
    s->strm = ev->strm;
    s->due = tstamp_after(now, IDENTIFY_LINGER);
    self_write(id, &s->peer, s->strm, out);
}

/* ------------------------------------------------------------------ reading */

/* One byte of a length: at most two, minimal, up to IDENTIFY_IN_MAX. */
static qudag_err rx_len(struct identify_rx *rx, uint8_t b)
{
    rx->need |= (size_t)(b & 0x7f) << rx->shift;
    if ((b & 0x80) != 0) {
        rx->shift += 7;
        return rx->shift <= 7 ? QUDAG_OK : QUDAG_ETOOBIG;
    }
    if (rx->shift > 0 && b == 0) {
        return QUDAG_EMALFORMED;
    }
    rx->shift = RX_LEN_KNOWN;
    return rx->need <= IDENTIFY_IN_MAX ? QUDAG_OK : QUDAG_ETOOBIG;
}

static qudag_err rx_message(struct identify_rx *rx)
{
    if (rx->n_msgs == IDENTIFY_MSGS_MAX) {
        return QUDAG_EPROTO;
    }
    rx->n_msgs++;
    qudag_err err = identify_msg_merge(&rx->msg, (struct slice){rx->buf, rx->need});
    rx->need = 0;
    rx->got = 0;
    rx->shift = 0;
    return err;
}

static qudag_err rx_feed(struct identify_rx *rx, struct slice in)
{
    while (in.len > 0) {
        size_t n = 1;
        if (rx->shift != RX_LEN_KNOWN) {
            qudag_err err = rx_len(rx, in.base[0]);
            if (err != QUDAG_OK) {
                return err;
            }
        } else {
            n = rx->need - rx->got < in.len ? rx->need - rx->got : in.len;
            memcpy(rx->buf + rx->got, in.base, n);
            rx->got += n;
        }
        in.base += n;
        in.len -= n;
        if (rx->shift == RX_LEN_KNOWN && rx->got == rx->need) {
            qudag_err err = rx_message(rx);
            if (err != QUDAG_OK) {
                return err;
            }
        }
    }
    return QUDAG_OK;
}

static bool rx_start(struct identify *id, struct identify_strm *s, enum state state, tstamp now)
{
    s->rx = mem_alloc(id->mem, sizeof(*s->rx));
    s->state = (uint8_t)state;
    s->due = tstamp_after(now, IDENTIFY_TIMEOUT);
    return s->rx != NULL;
}

/* SPEC: identify, "publicKey ... MUST match": an absent key proves as much as the link did. */
static qudag_err rx_check(const struct identify_strm *s)
{
    const struct identify_rx *rx = s->rx;

    if (rx->n_msgs == 0 || rx->shift != 0) {
        return QUDAG_EMALFORMED;
    }
    return rx->msg.has_peer && !peer_id_eq(&rx->msg.peer, &s->peer) ? QUDAG_EAUTH : QUDAG_OK;
}

/*
 * Addresses that the peer signed take the place of the list beside them.  A record with a wrong signature, of
 * another peer or older than one accepted on this link is ignored; the rest of the message counts.
 */
static void record_apply(struct identify_msg *m, struct identify_peer *p,
                         const struct peer_id *signer)
{
    struct peer_record r;

    if (m->record_len == 0 ||
        peer_record_open(&r, (struct slice){m->record, m->record_len}, signer) != QUDAG_OK ||
        (p != NULL && p->has_record && r.seq < p->record_seq)) {
        return;
    }
    if (p != NULL) {
        p->has_record = true;
        p->record_seq = r.seq;
    }
    m->has_addrs = true;
    m->n_addrs = r.n_addrs;
    memcpy(m->addr, r.addr, sizeof(m->addr));
}

static void rx_finish(struct identify *id, struct identify_strm *s, struct acts *out)
{
    qudag_err err = rx_check(s);
    if (err != QUDAG_OK) {
        strm_abort(id, s, err, out);
        return;
    }
    struct identify_peer *p = peer_get(id, &s->peer);
    record_apply(&s->rx->msg, p, &s->peer);
    if (p != NULL && (s->state == ASK_READING || s->rx->msg.has_protos)) {
        p->takes_push = takes_push(&s->rx->msg);
    }
    id->up = s->rx->msg;
    acts_fin(out, s->strm);
    report(s, QUDAG_OK, &id->up, out);
    strm_free(id, s);
}

static void push_accept(struct identify *id, const struct ev *ev, tstamp now, struct acts *out)
{
    struct identify_strm *s = strm_take(id, &pushes_in);
    struct identify_peer *p;

    if (s == NULL || peer_make(id, ev->peer, &p) != QUDAG_OK || !push_is_allowed(p, now)) {
        acts_reset(out, ev->strm, QUDAG_ELIMIT);
        return;
    }
    s->peer = *ev->peer;
    s->strm = ev->strm;
    if (!rx_start(id, s, PUSH_READING, now)) {
        strm_abort(id, s, QUDAG_ENOMEM, out);
    }
}

/* ------------------------------------------------------------------ events */

static void on_outbound(struct identify *id, const struct ev *ev, tstamp now, struct acts *out)
{
    struct identify_strm *s = strm_by_cookie(id, ev->cookie);

    if (s == NULL) {
        /* It opened after we had given up. */
        acts_reset(out, ev->strm, QUDAG_ECANCELED);
        return;
    }
    s->strm = ev->strm;
    if ((ev->props & LINK_ANON) != 0) {
        strm_abort(id, s, QUDAG_EPOLICY, out);
    } else if (s->state == PUSH_OPENING) {
        s->state = PUSH_SENT;
        s->due = tstamp_after(now, IDENTIFY_LINGER);
        self_write(id, &s->peer, s->strm, out);
    } else if (!rx_start(id, s, ASK_READING, now)) {
        strm_abort(id, s, QUDAG_ENOMEM, out);
    }
}

static bool is_anonymous(const struct ev *ev)
{
    return ev->peer == NULL || ev->peer->len == 0 || (ev->props & LINK_ANON) != 0;
}

static void on_data(struct identify *id, struct identify_strm *s, struct slice in, struct acts *out)
{
    /* Whoever is being written to has nothing to say. */
    qudag_err err = is_reading(s) ? rx_feed(s->rx, in) : QUDAG_EPROTO;

    if (err != QUDAG_OK) {
        strm_abort(id, s, err, out);
    }
}

static void on_stream(struct identify *id, const struct ev *ev, tstamp now, struct acts *out)
{
    struct identify_strm *s = strm_by_ref(id, ev->strm);

    if (s == NULL) {
        return;
    }
    if (ev->type == EV_DATA) {
        on_data(id, s, ev->data, out);
    } else if (ev->type == EV_RESET && ask_again(id, s, ev->err, now, out)) {
        return;
    } else if (ev->type == EV_RESET) {
        strm_lost(id, s, ev->err == QUDAG_OK ? QUDAG_ERESET : ev->err, out);
    } else if (is_reading(s)) {
        rx_finish(id, s, out);
    } else {
        strm_free(id, s);
    }
}

static void on_fail(struct identify *id, const struct ev *ev, struct acts *out)
{
    struct identify_strm *s = strm_by_cookie(id, ev->cookie);

    if (s != NULL) {
        strm_lost(id, s, ev->err == QUDAG_OK ? QUDAG_EUNREACHABLE : ev->err, out);
    }
}

/* What both protocols have in common. */
static void on_common(struct identify *id, const struct ev *ev, tstamp now, struct acts *out)
{
    switch (ev->type) {
    case EV_STREAM_OPEN:
        on_outbound(id, ev, now, out);
        break;
    case EV_STREAM_FAIL:
        on_fail(id, ev, out);
        break;
    case EV_DATA:
    case EV_FIN:
    case EV_RESET:
        on_stream(id, ev, now, out);
        break;
    case EV_PEER_UP:
    case EV_PEER_DOWN:
    case EV_WRITABLE:
        break;
    }
}

static void on_peer_up(struct identify *id, const struct peer_id *peer, tstamp now,
                       struct acts *out)
{
    struct identify_peer *p;

    if (is_asked(id, peer)) {
        return;
    }
    if (peer_make(id, peer, &p) == QUDAG_OK) {
        due_set(id, p, DUE_ASK, true);
    } else {
        (void)open_for(id, peer, &asks, now, out);
    }
}

static void identify_event(void *core, const struct ev *ev, tstamp now, struct acts *out)
{
    struct identify *id = core;

    if (ev->type == EV_PEER_UP && !is_anonymous(ev)) {
        on_peer_up(id, ev->peer, now, out);
    } else if (ev->type == EV_PEER_DOWN && ev->peer != NULL) {
        peer_drop(id, ev->peer);
    } else if (ev->type == EV_STREAM_OPEN && ev->inbound) {
        if (is_anonymous(ev)) {
            acts_reset(out, ev->strm, QUDAG_EPOLICY);
        } else {
            answer(id, ev, now, out);
        }
    } else {
        on_common(id, ev, now, out);
    }
    pump(id, DUE_ASK, now, out);
}

static void push_event(void *core, const struct ev *ev, tstamp now, struct acts *out)
{
    struct identify *id = core;

    if (ev->type == EV_STREAM_OPEN && ev->inbound) {
        if (is_anonymous(ev)) {
            acts_reset(out, ev->strm, QUDAG_EPOLICY);
        } else {
            push_accept(id, ev, now, out);
        }
    } else {
        on_common(id, ev, now, out);
    }
    pump(id, DUE_PUSH, now, out);
}

static void push_now(struct identify *id, tstamp now, struct acts *out)
{
    struct identify_peer *p;
    size_t it = 0;

    id->push_waits = false;
    while ((p = map_next(&id->peers, &it)) != NULL) {
        due_set(id, p, DUE_PUSH, p->takes_push);
    }
    if (id->n_due[DUE_PUSH] > 0) {
        id->push_next = tstamp_after(now, IDENTIFY_PUSH_GAP);
    }
    pump(id, DUE_PUSH, now, out);
}

static void tick(struct identify *id, bool push, tstamp now, struct acts *out)
{
    if (push && id->push_waits && now >= id->push_next) {
        push_now(id, now, out);
    }
    for (size_t i = 0; i < IDENTIFY_STREAMS_MAX; i++) {
        struct identify_strm *s = &id->strm[i];
        if (s->state != FREE && is_push(s) == push && s->due <= now) {
            strm_abort(id, s, QUDAG_ETIMEOUT, out);
        }
    }
    pump(id, push ? DUE_PUSH : DUE_ASK, now, out);
}

static tstamp deadline(const struct identify *id, bool push)
{
    tstamp min = push && id->push_waits ? id->push_next : TSTAMP_NEVER;

    for (size_t i = 0; i < id->strm_high;
         i++) { /* asked at each turn of the loop; mostly there is none */
        const struct identify_strm *s = &id->strm[i];
        if (s->state != FREE && is_push(s) == push) {
            min = tstamp_min(min, s->due);
        }
    }
    return min;
}

static void identify_tick(void *core, tstamp now, struct acts *out)
{
    tick(core, false, now, out);
}

static tstamp identify_deadline(const void *core)
{
    return deadline(core, false);
}

static void push_tick(void *core, tstamp now, struct acts *out)
{
    tick(core, true, now, out);
}

static tstamp push_deadline(const void *core)
{
    return deadline(core, true);
}

const struct core_ops identify_ops = {
    .protocol = "/ipfs/id/1.0.0",
    .inbound_max = 2,
    .limited_ok = true,
    .asks_again = true,
    .event = identify_event,
    .tick = identify_tick,
    .deadline = identify_deadline,
};

const struct core_ops identify_push_ops = {
    .protocol = PUSH_ID,
    .inbound_max = 2,
    .limited_ok = true,
    .event = push_event,
    .tick = push_tick,
    .deadline = push_deadline,
};

/* ------------------------------------------------------------------ calls */

void identify_init(struct identify *id, struct mem *mem, const struct rng *rng, size_t peers_max)
{
    uint8_t seed[16];

    memset(id, 0, sizeof(*id));
    id->mem = mem;
    id->next_cookie = 1;
    rng_fill(rng, seed, sizeof(seed));
    map_init(&id->peers, mem, seed, peers_max);
}

void identify_fini(struct identify *id)
{
    struct identify_peer *p;
    size_t it = 0;

    for (size_t i = 0; i < IDENTIFY_STREAMS_MAX; i++) {
        strm_free(id, &id->strm[i]);
    }
    while ((p = map_next(&id->peers, &it)) != NULL) {
        mem_free(id->mem, p);
    }
    map_fini(&id->peers);
}

void identify_set_self(struct identify *id, const struct identify_msg *self)
{
    id->self = *self;
    id->self.has_observed = false;
}

qudag_err identify_set_observed(struct identify *id, const struct peer_id *peer,
                                const struct multiaddr *addr)
{
    struct identify_peer *p;

    if (peer->len == 0) {
        return QUDAG_EINVAL;
    }
    qudag_err err = peer_make(id, peer, &p);
    if (err != QUDAG_OK) {
        return err;
    }
    p->observed = *addr;
    multiaddr_strip_peer(&p->observed);
    p->has_observed = p->observed.len > 0;
    return QUDAG_OK;
}

qudag_err identify_ask(struct identify *id, const struct peer_id *peer, tstamp now,
                       struct acts *out)
{
    if (peer->len == 0) {
        return QUDAG_EINVAL;
    }
    if (is_asked(id, peer)) {
        return QUDAG_EEXISTS;
    }
    return open_for(id, peer, &asks, now, out) ? QUDAG_OK : QUDAG_ELIMIT;
}

void identify_push_all(struct identify *id, tstamp now, struct acts *out)
{
    if (now < id->push_next) {
        id->push_waits = true;
    } else {
        push_now(id, now, out);
    }
}
