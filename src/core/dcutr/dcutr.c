/*
 * dcutr.c - DCUtR, both roles.
 *
 *   B   NONE ─ begin ─▶ REVERSING ─ not there, due ─▶ OPENING ─ open: CONNECT ─▶ ASKING ─ CONNECT: SYNC ─▶ SYNCED
 *                 └──────────── it shows no address ────▲                                                 │ RTT / 2
 *                                                       └─ no link, DCUTR_ATTEMPTS: FAILED ── PUNCHING ◀──┘
 *   A   NONE, FAILED ─ a stream ─▶ READING ─ CONNECT ─▶ ASKED ─ allow: CONNECT ─▶ ANSWERED ─ SYNC ─▶ DIALLING ─▶ FAILED
 *   both: linked ─▶ DIRECT
 *
 * A stream serves one attempt.  What comes in another order than this ends the stream, and as B the try.
 */
#include "core/dcutr/dcutr.h"

#include "base/list.h"
#include "base/map.h"

#include <string.h>

/* Peers whose packets are sent in one tick: each needs up to DCUTR_ADDRS_MAX actions. */
#define SENDERS_MAX 8

struct dcutr_try {
    struct list node; /* in dcutr.tries, the oldest first */
    struct peer_id peer;
    enum dcutr_state state;
    bool initiator;
    uint8_t attempts, asked; /* asked: since |asked_from| */
    uint8_t sent_rounds;     /* of packets, in this attempt */
    uint64_t cookie;         /* of our ACT_OPEN; 0: none */
    struct ref strm;         /* slot and gen 0: none */
    tstamp due, ends;        /* ends: of PUNCHING */
    tstamp asked_from, connect_at, began, ended;
    uint64_t rtt_ns;
    uint32_t packets;
    qudag_err err;
    const char *why;
    struct dcutr_msg ours, theirs;
    size_t rx_len;
    uint8_t rx[DCUTR_MSG_MAX + 2];
};

struct dcutr {
    struct dcutr_config cfg;
    struct list tries;
    size_t n_tries;
    uint64_t cookies;
    struct dcutr_msg ours;
    struct dcutr_stats stats;
    /* What went to hosts since |sent_from|, by all tries. */
    uint16_t packets[DCUTR_HOSTS], dials[DCUTR_HOSTS];
    uint64_t sent_key[2]; /* which host counts where: nobody can choose it */
    tstamp sent_from;
};

qudag_err dcutr_new(struct dcutr **out, const struct dcutr_config *cfg)
{
    struct dcutr *d = mem_alloc(cfg->mem, sizeof(*d));

    *out = d;
    if (d == NULL) {
        return QUDAG_ENOMEM;
    }
    d->cfg = *cfg;
    list_init(&d->tries);
    return QUDAG_OK;
}

static void drop(struct dcutr *d, struct dcutr_try *t)
{
    list_del(&t->node);
    d->n_tries--;
    mem_free(d->cfg.mem, t);
}

void dcutr_free(struct dcutr *d)
{
    if (d == NULL) {
        return;
    }
    while (!list_empty(&d->tries)) {
        drop(d, LIST_ENTRY(d->tries.next, struct dcutr_try, node));
    }
    mem_free(d->cfg.mem, d);
}

/* ---- the table ---- */

static bool is_over(const struct dcutr_try *t)
{
    return t->state == DCUTR_DIRECT || t->state == DCUTR_FAILED || t->state == DCUTR_NONE;
}

static struct dcutr_try *find(const struct dcutr *d, const struct peer_id *peer)
{
    LIST_EACH(it, &d->tries)
    {
        struct dcutr_try *t = LIST_ENTRY(it, struct dcutr_try, node);
        if (peer_id_eq(&t->peer, peer)) {
            return t;
        }
    }
    return NULL;
}

static struct dcutr_try *by_strm(const struct dcutr *d, struct ref strm)
{
    LIST_EACH(it, &d->tries)
    {
        struct dcutr_try *t = LIST_ENTRY(it, struct dcutr_try, node);
        if (!ref_none(t->strm) && ref_eq(t->strm, strm)) {
            return t;
        }
    }
    return NULL;
}

static struct dcutr_try *by_cookie(const struct dcutr *d, uint64_t cookie)
{
    LIST_EACH(it, &d->tries)
    {
        struct dcutr_try *t = LIST_ENTRY(it, struct dcutr_try, node);
        if (t->cookie != 0 && t->cookie == cookie) {
            return t;
        }
    }
    return NULL;
}

/* What is remembered longest of those that are over makes room. */
static bool make_room(struct dcutr *d)
{
    if (d->n_tries < DCUTR_PEERS_MAX) {
        return true;
    }
    LIST_EACH(it, &d->tries)
    {
        struct dcutr_try *t = LIST_ENTRY(it, struct dcutr_try, node);
        if (is_over(t) && ref_none(t->strm)) {
            drop(d, t);
            return true;
        }
    }
    return false;
}

static struct dcutr_try *make(struct dcutr *d, const struct peer_id *peer, qudag_err *err)
{
    struct dcutr_try *t = NULL;

    *err = QUDAG_ELIMIT;
    if (make_room(d)) {
        t = mem_alloc(d->cfg.mem, sizeof(*t));
        *err = t != NULL ? QUDAG_OK : QUDAG_ENOMEM;
    }
    if (t != NULL) {
        t->peer = *peer;
        t->why = "";
        t->due = TSTAMP_NEVER;
        list_init(&t->node);
        list_push_back(&d->tries, &t->node);
        d->n_tries++;
    }
    return t;
}

void dcutr_set_addrs(struct dcutr *d, const struct multiaddr *addr, size_t n)
{
    static const struct dcutr_msg none = {.n_addrs = 0};

    d->ours = (struct dcutr_msg){.type = DCUTR_CONNECT};
    for (size_t i = 0; i < n && d->ours.n_addrs < DCUTR_ADDRS_MAX; i++) {
        d->ours.addr[d->ours.n_addrs++] = addr[i];
    }
    dcutr_rule_take(&d->ours, &none, d->cfg.lab);
}

/* ---- ends ---- */

static void let_go(struct dcutr_try *t, qudag_err err, struct acts *out)
{
    if (!ref_none(t->strm)) {
        acts_reset(out, t->strm, err);
    }
    t->strm = (struct ref){0, 0};
    t->cookie = 0;
    t->rx_len = 0;
}

static void over(struct dcutr *d, struct dcutr_try *t, qudag_err err, const char *why, tstamp now,
                 struct acts *out)
{
    let_go(t, err == QUDAG_OK ? QUDAG_ECANCELED : err, out);
    t->state = err == QUDAG_OK ? DCUTR_DIRECT : DCUTR_FAILED;
    *(err == QUDAG_OK ? &d->stats.direct : &d->stats.failed) += 1;
    t->err = err;
    t->why = why;
    t->ended = now;
    t->due = TSTAMP_NEVER;
    struct act *up = acts_up(out, DCUTR_UP_DONE);
    up->peer = t->peer;
    up->err = err;
}

static void send(struct dcutr_try *t, const struct dcutr_msg *m, struct acts *out)
{
    uint8_t bytes[DCUTR_MSG_MAX + 4];
    struct wr w = wr_init(bytes, sizeof(bytes));

    if (dcutr_msg_write(&w, m) == QUDAG_OK) { /* it fits: see dcutr_msg.c */
        acts_write(out, t->strm, bytes, w.len);
    }
}

/* ---- B ---- */

static void attempt(struct dcutr *d, struct dcutr_try *t, tstamp now, struct acts *out)
{
    let_go(t, QUDAG_ECANCELED, out);
    t->attempts++;
    t->sent_rounds = 0;
    t->state = DCUTR_OPENING;
    t->due = tstamp_after(now, DCUTR_TIMEOUT_NS);
    t->cookie = ++d->cookies;
    acts_open_again(out, &t->peer, t->cookie, 0);
}

qudag_err dcutr_begin(struct dcutr *d, const struct peer_id *peer, bool shows, tstamp now,
                      struct acts *out)
{
    struct dcutr_try *t = find(d, peer);
    qudag_err err = peer->len == 0 ? QUDAG_EINVAL : QUDAG_OK;

    if (t != NULL && !is_over(t)) {
        return QUDAG_EEXISTS;
    }
    if (t != NULL && t->state == DCUTR_FAILED && now < tstamp_after(t->ended, DCUTR_AGAIN_NS)) {
        return QUDAG_ELIMIT;
    }
    if (err != QUDAG_OK || (t == NULL && (t = make(d, peer, &err)) == NULL)) {
        return err;
    }
    let_go(t, QUDAG_ECANCELED, out);
    d->stats.begun++;
    t->initiator = true;
    t->attempts = 0;
    t->packets = 0;
    t->rtt_ns = 0;
    t->began = now;
    t->ended = 0;
    t->err = QUDAG_OK;
    t->why = "";
    t->ours = (struct dcutr_msg){.n_addrs = 0};
    t->theirs = t->ours;
    if (!shows) {
        attempt(d, t, now, out);
        return QUDAG_OK;
    }
    t->state = DCUTR_REVERSING;
    t->due = tstamp_after(now, DCUTR_REVERSE_NS);
    acts_up(out, DCUTR_UP_REVERSE)->peer = t->peer;
    return QUDAG_OK;
}

void dcutr_not_there(struct dcutr *d, const struct peer_id *peer, tstamp now, struct acts *out)
{
    struct dcutr_try *t = find(d, peer);

    if (t != NULL && t->state == DCUTR_REVERSING) {
        attempt(d, t, now, out);
    }
}

/* CONNECT with our addresses, in the state |next|; without any the try is over. */
static void tell_ours(struct dcutr *d, struct dcutr_try *t, enum dcutr_state next, tstamp now,
                      struct acts *out)
{
    if (d->ours.n_addrs == 0) {
        over(d, t, QUDAG_EUNREACHABLE, "this node knows no address at which it may be found", now,
             out);
        return;
    }
    t->ours = d->ours;
    t->state = next;
    t->connect_at = now;
    t->due = tstamp_after(now, DCUTR_TIMEOUT_NS);
    send(t, &t->ours, out);
}

static void opened(struct dcutr *d, const struct ev *ev, tstamp now, struct acts *out)
{
    struct dcutr_try *t = by_cookie(d, ev->cookie);

    if (t == NULL) {
        acts_reset(out, ev->strm, QUDAG_ECANCELED);
        return;
    }
    t->cookie = 0;
    t->strm = ev->strm;
    if ((ev->props & LINK_RELAYED) == 0) { /* the best link there is: none is needed any more */
        over(d, t, QUDAG_OK, "", now, out);
        return;
    }
    tell_ours(d, t, DCUTR_ASKING, now, out);
}

static void answered(struct dcutr *d, struct dcutr_try *t, const struct dcutr_msg *m, tstamp now,
                     struct acts *out)
{
    const struct dcutr_msg sync = {.type = DCUTR_SYNC};

    t->theirs = *m;
    dcutr_rule_take(&t->theirs, &t->ours, d->cfg.lab);
    if (t->theirs.n_addrs == 0) {
        over(d, t, QUDAG_EUNREACHABLE, "the peer told no address that may be dialled", now, out);
        return;
    }
    t->rtt_ns = now - t->connect_at;
    send(t, &sync, out);
    acts_fin(out, t->strm);
    t->state = DCUTR_SYNCED;
    t->due = tstamp_after(now, t->rtt_ns / 2);
}

/* Whether one more of what |had| counts may go to that host; it counts as sent then. */
static bool may_send(struct dcutr *d, uint16_t had[DCUTR_HOSTS], uint32_t most,
                     const struct netaddr *to, tstamp now)
{
    uint64_t host = netaddr_host(to);
    const struct slice key = {(const uint8_t *)&host, sizeof(host)};

    if (d->sent_from == 0 || now - d->sent_from >= DCUTR_AGAIN_NS) {
        memset(d->packets, 0, sizeof(d->packets));
        memset(d->dials, 0, sizeof(d->dials));
        d->sent_key[0] = rng_u64(&d->cfg.rng);
        d->sent_key[1] = rng_u64(&d->cfg.rng);
        d->sent_from = now;
    }
    uint16_t *n = &had[siphash24(d->sent_key[0], d->sent_key[1], key) % DCUTR_HOSTS];
    if (!dcutr_rule_one_more(*n, most)) {
        return false;
    }
    *n = (uint16_t)(*n + 1);
    return true;
}

/* Where the peer says that it is; a dial is some datagrams of 1200 bytes, so a host gets few of them. */
static void dial(struct dcutr *d, const struct dcutr_try *t, tstamp now, struct acts *out)
{
    struct dcutr_msg to = {.type = t->theirs.type};
    struct netaddr at;

    for (size_t i = 0; i < t->theirs.n_addrs; i++) {
        if (multiaddr_direct(&t->theirs.addr[i], &at) &&
            may_send(d, d->dials, DCUTR_HOST_DIALS, &at, now)) {
            to.addr[to.n_addrs++] = t->theirs.addr[i];
        }
    }
    struct act *up = to.n_addrs > 0 ? acts_up_copy(out, DCUTR_UP_DIAL, &to, sizeof(to)) : NULL;
    if (up != NULL) {
        up->peer = t->peer;
    }
}

static void packets(struct dcutr *d, struct dcutr_try *t, tstamp now, struct acts *out)
{
    for (size_t i = 0; i < t->theirs.n_addrs; i++) {
        uint8_t random[1 + DCUTR_PACKET_MOST];
        struct dcutr_packet p;
        if (!multiaddr_to_netaddr(&t->theirs.addr[i], &p.to) ||
            !may_send(d, d->packets, DCUTR_HOST_MAX, &p.to, now)) {
            continue; /* TCP: A's dial alone */
        }
        rng_fill(&d->cfg.rng, random, sizeof(random));
        dcutr_rule_packet(&p, random);
        struct act *up = acts_up_copy(out, DCUTR_UP_PACKET, &p, sizeof(p));
        if (up != NULL) {
            up->peer = t->peer;
            t->packets++;
            d->stats.packets++;
        }
    }
    t->sent_rounds++;
}

/* One step of PUNCHING; false: the attempt is over. */
static bool punch(struct dcutr *d, struct dcutr_try *t, tstamp now, struct acts *out)
{
    if (now >= t->ends) {
        return false;
    }
    packets(d, t, now, out);
    tstamp next = tstamp_after(now, dcutr_rule_interval(rng_u32(&d->cfg.rng)));
    t->due = t->sent_rounds < DCUTR_PACKETS_MAX ? tstamp_min(next, t->ends) : t->ends;
    return true;
}

static void again(struct dcutr *d, struct dcutr_try *t, tstamp now, struct acts *out)
{
    if (t->attempts < DCUTR_ATTEMPTS) {
        attempt(d, t, now, out);
    } else {
        over(d, t, QUDAG_ETIMEOUT, "nothing came through in any attempt", now, out);
    }
}

/* ---- A ---- */

static void asked(struct dcutr *d, const struct ev *ev, tstamp now, struct acts *out)
{
    qudag_err err = QUDAG_OK;
    struct dcutr_try *t = ev->peer != NULL && ev->peer->len > 0 ? find(d, ev->peer) : NULL;

    /* Only who was dialled asks, and only over the relay. */
    if (ev->peer == NULL || ev->peer->len == 0 || (ev->props & LINK_RELAYED) == 0 ||
        (ev->props & (LINK_INBOUND | LINK_ANON)) != 0) {
        acts_reset(out, ev->strm, QUDAG_EREFUSED);
        return;
    }
    if (t == NULL) {
        t = make(d, ev->peer, &err);
    }
    if (t != NULL && !is_over(t) && (t->initiator || t->state != DCUTR_DIALLING)) {
        err = QUDAG_EEXISTS;
    }
    if (err == QUDAG_OK && now >= tstamp_after(t->asked_from, DCUTR_AGAIN_NS)) {
        t->asked_from = now;
        t->asked = 0;
    }
    if (err == QUDAG_OK && t->asked >= DCUTR_ASKED_MAX) {
        err = QUDAG_ELIMIT;
    }
    if (err != QUDAG_OK) {
        acts_reset(out, ev->strm, err);
        return;
    }
    let_go(t, QUDAG_ECANCELED, out);
    d->stats.asked++;
    t->asked++;
    t->attempts = t->asked;
    t->initiator = false;
    t->state = DCUTR_READING;
    t->strm = ev->strm;
    t->began = now;
    t->ended = 0;
    t->packets = 0;
    t->rtt_ns = 0;
    t->err = QUDAG_OK;
    t->why = "";
    t->ours = (struct dcutr_msg){.n_addrs = 0};
    t->theirs = t->ours;
    t->due = tstamp_after(now, DCUTR_TIMEOUT_NS);
}

static void wanted(struct dcutr *d, struct dcutr_try *t, const struct dcutr_msg *m, tstamp now,
                   struct acts *out)
{
    t->theirs = *m;
    dcutr_rule_take(&t->theirs, &d->ours, d->cfg.lab);
    if (t->theirs.n_addrs == 0) {
        over(d, t, QUDAG_EUNREACHABLE, "the peer told no address that may be dialled", now, out);
        return;
    }
    t->state = DCUTR_ASKED;
    t->due = tstamp_after(now, DCUTR_TIMEOUT_NS);
    acts_up(out, DCUTR_UP_ASKED)->peer = t->peer;
}

void dcutr_allow(struct dcutr *d, const struct peer_id *peer, bool yes, tstamp now,
                 struct acts *out)
{
    struct dcutr_try *t = find(d, peer);

    if (t == NULL || t->state != DCUTR_ASKED) {
        return;
    }
    if (!yes) {
        d->stats.refused++;
        over(d, t, QUDAG_EREFUSED,
             "the program has not named this peer: it is not told where we are", now, out);
        return;
    }
    tell_ours(d, t, DCUTR_ANSWERED, now, out);
}

static void go(struct dcutr *d, struct dcutr_try *t, tstamp now, struct acts *out)
{
    t->rtt_ns = now - t->connect_at;
    acts_fin(out, t->strm);
    t->state = DCUTR_DIALLING;
    t->due = tstamp_after(now, DCUTR_PUNCH_NS);
    dial(d, t, now, out);
}

/* ---- both ---- */

static void message(struct dcutr *d, struct dcutr_try *t, const struct dcutr_msg *m, tstamp now,
                    struct acts *out)
{
    if (t->state == DCUTR_ASKING && m->type == DCUTR_CONNECT) {
        answered(d, t, m, now, out);
    } else if (t->state == DCUTR_READING && m->type == DCUTR_CONNECT) {
        wanted(d, t, m, now, out);
    } else if (t->state == DCUTR_ANSWERED && m->type == DCUTR_SYNC) {
        go(d, t, now, out);
    } else {
        over(d, t, QUDAG_EPROTO, "the peer sent a message out of turn", now, out);
    }
}

/* Whether a message of the peer's is awaited; what comes at another time is out of turn. */
static bool takes(const struct dcutr_try *t)
{
    return t->state == DCUTR_ASKING || t->state == DCUTR_READING || t->state == DCUTR_ANSWERED;
}

/* One message, if it is all there.  QUDAG_EAGAIN: it is not. */
static qudag_err next_message(struct dcutr_try *t, struct dcutr_msg *m)
{
    size_t head = t->rx_len > 0 && t->rx[0] < 0x80 ? 1 : 2;

    if (t->rx_len < head) {
        return QUDAG_EAGAIN;
    }
    size_t len = head == 1 ? t->rx[0] : (t->rx[0] & 0x7fu) | (size_t)t->rx[1] << 7;
    if (len > DCUTR_MSG_MAX) {
        return QUDAG_ETOOBIG;
    }
    if (t->rx_len < head + len) {
        return QUDAG_EAGAIN;
    }
    qudag_err err = dcutr_msg_read(m, (struct slice){t->rx + head, len});
    t->rx_len -= head + len;
    memmove(t->rx, t->rx + head + len, t->rx_len);
    return err;
}

static void data(struct dcutr *d, struct dcutr_try *t, struct slice in, tstamp now,
                 struct acts *out)
{
    struct dcutr_msg m;

    if (!takes(t) || in.len > sizeof(t->rx) - t->rx_len) {
        over(d, t, QUDAG_EPROTO, "the peer sent what is no message, or one out of turn", now, out);
        return;
    }
    memcpy(t->rx + t->rx_len, in.base, in.len);
    t->rx_len += in.len;
    while (takes(t)) {
        qudag_err err = next_message(t, &m);
        if (err == QUDAG_EAGAIN) {
            return;
        }
        if (err != QUDAG_OK) {
            over(d, t, err, "the peer sent what is no message", now, out);
            return;
        }
        message(d, t, &m, now, out);
    }
    if (t->rx_len > 0 && !is_over(t)) {
        over(d, t, QUDAG_EPROTO, "the peer sent a message out of turn", now, out);
    }
}

/* The stream ended, or could not be opened. */
static void ended(struct dcutr *d, struct dcutr_try *t, const struct ev *ev, tstamp now,
                  struct acts *out)
{
    bool waits = takes(t) || t->state == DCUTR_OPENING || t->state == DCUTR_ASKED;
    bool fin = ev->type == EV_FIN;
    qudag_err err = fin ? QUDAG_EPROTO : ev->err == QUDAG_OK ? QUDAG_ERESET : ev->err;

    if (fin && t->state == DCUTR_ASKED) {
        return; /* it will say no more, and is answered all the same */
    }
    if (!fin || !waits) {
        t->strm = (struct ref){0, 0}; /* it is gone, or both sides have ended it */
    }
    if (waits) {
        over(d, t, err,
             err == QUDAG_EUNSUPPORTED ? "the peer does not know the protocol"
                                       : "the peer ended the exchange",
             now, out);
    }
}

static void event(void *core, const struct ev *ev, tstamp now, struct acts *out)
{
    struct dcutr *d = core;
    struct dcutr_try *t;

    switch (ev->type) {
    case EV_STREAM_OPEN:
        if (ev->inbound) {
            asked(d, ev, now, out);
        } else {
            opened(d, ev, now, out);
        }
        break;
    case EV_STREAM_FAIL:
        if ((t = by_cookie(d, ev->cookie)) != NULL) {
            t->cookie = 0;
            ended(d, t, ev, now, out);
        }
        break;
    case EV_DATA:
        if ((t = by_strm(d, ev->strm)) != NULL) {
            data(d, t, ev->data, now, out);
        }
        break;
    case EV_FIN:
    case EV_RESET:
        if ((t = by_strm(d, ev->strm)) != NULL) {
            ended(d, t, ev, now, out);
        }
        break;
    case EV_PEER_UP:
    case EV_PEER_DOWN:
    case EV_WRITABLE:
        break; /* streams of a lost peer are reset one by one before */
    }
}

static void due(struct dcutr *d, struct dcutr_try *t, tstamp now, struct acts *out)
{
    switch (t->state) {
    case DCUTR_REVERSING:
        attempt(d, t, now, out);
        break;
    case DCUTR_SYNCED:
        t->state = DCUTR_PUNCHING;
        t->ends = tstamp_after(now, DCUTR_PUNCH_NS);
        if (dcutr_rule_dials(t->attempts)) {
            dial(d, t, now, out);
        }
        (void)punch(d, t, now, out);
        break;
    case DCUTR_PUNCHING:
        if (!punch(d, t, now, out)) {
            again(d, t, now, out);
        }
        break;
    case DCUTR_DIALLING:
        over(d, t, QUDAG_ETIMEOUT, "no address of the peer's answered", now, out);
        break;
    default:
        over(d, t, QUDAG_ETIMEOUT, "the peer did not answer in time", now, out);
        break;
    }
}

static void tick(void *core, tstamp now, struct acts *out)
{
    struct dcutr *d = core;
    unsigned senders = 0;

    LIST_EACH(it, &d->tries)
    {
        struct dcutr_try *t = LIST_ENTRY(it, struct dcutr_try, node);
        if (t->due <= now && senders < SENDERS_MAX) {
            senders++;
            due(d, t, now, out);
        }
    }
}

static tstamp deadline(const void *core)
{
    const struct dcutr *d = core;
    tstamp at = TSTAMP_NEVER;

    LIST_EACH(it, &d->tries)
    {
        at = tstamp_min(at, LIST_ENTRY(it, struct dcutr_try, node)->due);
    }
    return at;
}

const struct core_ops dcutr_ops = {.protocol = DCUTR_PROTOCOL,
                                   .inbound_max = 1,
                                   .limited_ok = true,
                                   .event = event,
                                   .tick = tick,
                                   .deadline = deadline};

void dcutr_linked(struct dcutr *d, const struct peer_id *peer, tstamp now, struct acts *out)
{
    struct dcutr_try *t = find(d, peer);

    if (t != NULL && !is_over(t)) {
        over(d, t, QUDAG_OK, "", now, out);
    }
}

void dcutr_forget(struct dcutr *d)
{
    LIST_EACH(it, &d->tries)
    {
        struct dcutr_try *t = LIST_ENTRY(it, struct dcutr_try, node);
        t->state = t->state == DCUTR_FAILED ? DCUTR_NONE : t->state;
        t->asked = 0;
    }
}

/* ---- looking in ---- */

const struct dcutr_stats *dcutr_stats(const struct dcutr *d)
{
    return &d->stats;
}

bool dcutr_next(const struct dcutr *d, size_t *it, struct peer_id *out)
{
    size_t i = 0;

    LIST_EACH(at, &d->tries)
    {
        const struct dcutr_try *t = LIST_ENTRY(at, struct dcutr_try, node);
        if (!is_over(t) && i++ == *it) {
            (*it)++;
            *out = t->peer;
            return true;
        }
    }
    return false;
}

bool dcutr_look(const struct dcutr *d, const struct peer_id *peer, struct dcutr_look *out)
{
    const struct dcutr_try *t = find(d, peer);

    if (t == NULL) {
        return false;
    }
    *out = (struct dcutr_look){.state = t->state,
                               .initiator = t->initiator,
                               .attempts = t->attempts,
                               .err = t->err,
                               .packets = t->packets,
                               .rtt_ns = t->rtt_ns,
                               .began = t->began,
                               .ended = t->ended,
                               .ours = t->ours,
                               .theirs = t->theirs,
                               .why = t->why};
    return true;
}
