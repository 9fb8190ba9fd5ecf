/* dialback.c - an endpoint that dials others back with a nonce, and does nothing else. */
#include "node/internal.h"

#include <string.h>

#define DIALS (2 * AUTONAT_JOBS_MAX) /* with those that linger, or were given up */

enum { FREE, DIALLING, WAITING, ENDED, LINGERING };

struct dial {
    uint8_t state;
    bool up; /* there is a link still */
    struct autonat_order order;
    struct netaddr local; /* its socket */
    struct ref link;
    int64_t sid;
    struct mss mss;
    bool agreed;
    enum autonat_dial how;
    tstamp due;
};

struct node_dialback {
    struct identity identity;
    struct sec *sec;
    struct quic *quic;
    struct dial dial[DIALS];
    tstamp idle_at;
};

/* ---- the endpoint ---- */

void node_dialback_free(struct node *n)
{
    struct node_dialback *d = n->dialback;

    if (d == NULL) {
        return;
    }
    quic_free(d->quic);
    sec_free(d->sec);
    identity_fini(&d->identity);
    mem_free(n->mem, d);
    n->dialback = NULL;
}

static qudag_err make(struct node *n, tstamp now)
{
    struct node_dialback *d = mem_alloc(n->mem, sizeof(*d));

    if (d == NULL) {
        return QUDAG_ENOMEM;
    }
    n->dialback = d;
    struct sec_config sec = {.mem = n->mem,
                             .rng = &n->cfg.rng,
                             .identity = &d->identity,
                             .pq = n->cfg.pq,
                             .level = n->cfg.level,
                             .cipher = n->cfg.cipher,
                             .clock = n->cfg.clock};
    struct quic_config quic = {.mem = n->mem,
                               .rng = n->cfg.rng,
                               .log = n->cfg.log,
                               .pq = n->cfg.pq,
                               .conns_max = DIALS,
                               .streams_bidi_max = 1,
                               .handshake_timeout_ns = n->cfg.times.handshake};
    rng_fill(&n->cfg.rng, quic.reset_key, sizeof(quic.reset_key));
    qudag_err err = identity_generate(&d->identity, &n->cfg.rng);
    if (err == QUDAG_OK && (err = sec_new(&d->sec, &sec)) == QUDAG_OK) {
        quic.sec = d->sec;
        err = quic_new(&d->quic, &quic, now);
    }
    if (err != QUDAG_OK) {
        node_dialback_free(n);
    }
    return err;
}

/* ---- one dial ---- */

static void end(struct node *n, struct dial *l, enum autonat_dial how, tstamp now)
{
    l->how = how;
    l->state = ENDED;
    l->due = tstamp_after(now, NODE_DIALBACK_LINGER);
    if (l->up) {
        quic_link_ops.close(n->dialback->quic, l->link, QUDAG_OK);
    }
}

qudag_err node_dialback_begin(struct node *n, const struct autonat_order *order, tstamp now)
{
    struct dial *l = NULL;
    struct quic_dial to = {.peer = &order->peer};
    qudag_err err = n->dialback != NULL ? QUDAG_OK : make(n, now);

    if (err != QUDAG_OK) {
        return err;
    }
    for (size_t i = 0; i < DIALS; i++) {
        l = n->dialback->dial[i].state == FREE ? &n->dialback->dial[i] : l;
    }
    if (l == NULL) {
        return QUDAG_ELIMIT;
    }
    *l = (struct dial){.order = *order, .due = tstamp_after(now, AUTONAT_DIAL_TIMEOUT)};
    if (!multiaddr_to_netaddr(&order->addr, &to.remote)) {
        return QUDAG_EUNSUPPORTED;
    }
    if ((err = node_socket_open(n, to.remote.family, &l->local)) != QUDAG_OK) {
        return err;
    }
    to.local = l->local;
    to.peer = &l->order.peer;
    if ((err = quic_dial(n->dialback->quic, &to, now, &l->link)) != QUDAG_OK) {
        node_socket_release(n, &l->local);
        return err;
    }
    l->state = DIALLING;
    l->up = true;
    return QUDAG_OK;
}

void node_dialback_cancel(struct node *n, uint64_t job, tstamp now)
{
    for (size_t i = 0; n->dialback != NULL && i < DIALS; i++) {
        struct dial *l = &n->dialback->dial[i];
        if ((l->state == DIALLING || l->state == WAITING) && l->order.job == job) {
            end(n, l, AUTONAT_DIAL_UNUSED, now);
        }
    }
}

/* The nonce goes right behind the proposal of the protocol: a round trip less. */
static void bring(struct node *n, struct dial *l, tstamp now)
{
    uint8_t bytes[MSS_DIAL_MAX + AUTONAT_BACK_MAX];
    struct quic *q = n->dialback->quic;
    size_t len = 0;

    l->state = WAITING;
    l->due = tstamp_after(now, NODE_DIALBACK_ANSWER);
    if (mss_dial(&l->mss, AUTONAT_BACK_PROTOCOL, bytes, MSS_DIAL_MAX, &len) != QUDAG_OK ||
        quic_link_ops.open(q, l->link, (uint64_t)(l - n->dialback->dial), NULL, &l->sid) !=
            QUDAG_OK) {
        end(n, l, AUTONAT_DIAL_BACK_ERROR, now);
        return;
    }
    struct wr w = wr_init(bytes + len, sizeof(bytes) - len);
    autonat_back_write(&w, l->order.nonce);
    if (quic_link_ops.write(q, l->link, l->sid, (struct slice){bytes, len + w.len}) != QUDAG_OK) {
        end(n, l, AUTONAT_DIAL_BACK_ERROR, now);
    }
}

/* Whatever the answer says, it came: so did the nonce. */
static void answer(struct node *n, struct dial *l, struct slice in, tstamp now)
{
    uint8_t reply[MSS_REPLY_MAX];
    size_t used = 0, reply_len = 0;

    quic_link_ops.consume(n->dialback->quic, l->link, l->sid, in.len);
    if (!l->agreed) {
        enum mss_result got = mss_input(&l->mss, in, &used, reply, sizeof(reply), &reply_len);
        if (got == MSS_NA || got == MSS_FAIL) {
            end(n, l, AUTONAT_DIAL_BACK_ERROR, now);
            return;
        }
        l->agreed = got == MSS_DONE;
    }
    if (l->agreed && in.len > used) {
        end(n, l, AUTONAT_DIAL_OK, now);
    }
}

static struct dial *of_link(struct node *n, struct ref link)
{
    for (size_t i = 0; i < DIALS; i++) {
        struct dial *l = &n->dialback->dial[i];
        if (l->state != FREE && l->up && ref_eq(l->link, link)) {
            return l;
        }
    }
    return NULL;
}

static void event(struct node *n, const struct link_ev *ev, tstamp now)
{
    struct dial *l = of_link(n, ev->link);
    bool ours = l != NULL && l->state == WAITING && ev->sid == l->sid;

    if (l == NULL) {
        return;
    }
    switch (ev->type) {
    case LINK_UP:
        if (l->state == DIALLING) {
            bring(n, l, now);
        }
        break;
    case LINK_DOWN:
        l->up = false;
        if (l->state == DIALLING || l->state == WAITING) {
            end(n, l, l->state == DIALLING ? AUTONAT_DIAL_ERROR : AUTONAT_DIAL_BACK_ERROR, now);
        }
        break;
    case LINK_STREAM: /* identify, for one: we are nobody here */
        quic_link_ops.reset(n->dialback->quic, ev->link, ev->sid, QUDAG_EUNSUPPORTED);
        break;
    case LINK_DATA:
        if (ours) {
            answer(n, l, ev->data, now);
        }
        break;
    case LINK_FIN:
    case LINK_RESET: /* go-libp2p resets the stream behind its answer: whether the nonce came its client knows best */
        if (ours) {
            end(n, l, AUTONAT_DIAL_OK, now);
        }
        break;
    default:
        break;
    }
}

/* ---- the host's side ---- */

bool node_dialback_recv(struct node *n, const struct quic_dgram *d, tstamp now)
{
    for (size_t i = 0; n->dialback != NULL && i < DIALS; i++) {
        const struct dial *l = &n->dialback->dial[i];
        if (l->state != FREE && l->local.family == d->local.family &&
            l->local.port == d->local.port) {
            quic_recv(n->dialback->quic, d, now);
            return true;
        }
    }
    return false;
}

bool node_dialback_send(struct node *n, tstamp now, struct quic_tx *tx)
{
    return n->dialback != NULL && quic_send(n->dialback->quic, now, tx);
}

void node_dialback_step(struct node *n, tstamp now)
{
    struct node_dialback *d = n->dialback;
    struct link_ev ev;
    bool used = false;

    if (d == NULL) {
        return;
    }
    if (quic_deadline(d->quic) <= now) {
        quic_tick(d->quic, now);
    }
    while (quic_next_event(d->quic, &ev)) {
        event(n, &ev, now);
    }
    for (size_t i = 0; i < DIALS; i++) {
        struct dial *l = &d->dial[i];
        if ((l->state == DIALLING || l->state == WAITING) && l->due <= now) {
            end(n, l, l->state == DIALLING ? AUTONAT_DIAL_ERROR : AUTONAT_DIAL_BACK_ERROR, now);
        } else if (l->state == LINGERING && l->due <= now) {
            node_socket_release(n, &l->local);
            l->state = FREE;
        }
        used = used || l->state != FREE;
    }
    d->idle_at = used || d->idle_at == 0 ? tstamp_after(now, NODE_DIALBACK_IDLE) : d->idle_at;
    if (!used && d->idle_at <= now) {
        node_dialback_free(n);
    }
}

tstamp node_dialback_deadline(const struct node *n)
{
    const struct node_dialback *d = n->dialback;
    tstamp at = TSTAMP_NEVER;

    if (d == NULL) {
        return at;
    }
    for (size_t i = 0; i < DIALS; i++) {
        const struct dial *l = &d->dial[i];
        if (l->state != FREE) {
            at = tstamp_min(at, l->state == ENDED ? 0 : l->due);
        }
    }
    return tstamp_min(tstamp_min(at, d->idle_at), quic_deadline(d->quic));
}

bool node_dialback_next(struct node *n, uint64_t *job, enum autonat_dial *how)
{
    for (size_t i = 0; n->dialback != NULL && i < DIALS; i++) {
        struct dial *l = &n->dialback->dial[i];
        if (l->state == ENDED) {
            *job = l->order.job;
            *how = l->how;
            l->state = LINGERING;
            return true;
        }
    }
    return false;
}
