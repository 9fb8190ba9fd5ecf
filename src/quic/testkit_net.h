/* testkit_net.h - the wire and the clock of testkit.h. */
#ifndef QUDAG_SRC_QUIC_TESTKIT_NET_H
#define QUDAG_SRC_QUIC_TESTKIT_NET_H

#include "base/assert.h"
#include "quic/testkit.h"

static inline void tk_put(struct tk *tk, struct tk_pkt *p)
{
    struct list *at = tk->wire.prev;

    while (at != &tk->wire && LIST_ENTRY(at, struct tk_pkt, node)->at > p->at) {
        at = at->prev;
    }
    p->node.prev = at;
    p->node.next = at->next;
    at->next->prev = &p->node;
    at->next = &p->node;
}

static inline void tk_inject(struct tk *tk, const struct netaddr *from, const struct netaddr *to,
                             const void *data, size_t len)
{
    struct tk_pkt *p = calloc(1, sizeof *p + len + 1);

    ASSERT(p != NULL);
    p->at = tk->now + tk->delay_ns;
    p->from = *from;
    p->to = *to;
    p->len = len;
    if (len > 0) {
        memcpy(p->data, data, len);
    }
    tk->sent_n++;
    if (tk->pass != NULL && !tk->pass(tk, p)) {
        free(p);
        return;
    }
    if (tk->loss_permille > 0 && rng_below(&tk->rng, 1000) < tk->loss_permille) {
        free(p);
        return;
    }
    if (tk->reorder_permille > 0 && rng_below(&tk->rng, 1000) < tk->reorder_permille) {
        p->at += rng_below(&tk->rng, 20) * NS_PER_MS;
    }
    tk_put(tk, p);
}

static inline void tk_flush(struct tk *tk, struct tk_ep *ep)
{
    struct quic_tx tx = {.buf = tk->buf};

    while (quic_send(ep->q, tk->now, &tx)) {
        for (size_t off = 0; off < tx.len; off += tx.segment) {
            size_t n = tx.len - off < tx.segment ? tx.len - off : tx.segment;

            tk_inject(tk, &ep->addr, &tx.remote, tx.buf + off, n);
        }
    }
}

static inline void tk_note(struct tk_ep *ep, const struct link_ev *ev)
{
    switch (ev->type) {
    case LINK_UP:
        ep->ups++;
        ep->link = ev->link;
        ASSERT(quic_info(ep->q, ev->link, &ep->info) == QUDAG_OK);
        break;
    case LINK_DOWN:
        ep->downs++;
        ep->down = *ev;
        break;
    case LINK_STREAM:
        ep->streams++;
        ep->sid = ev->sid;
        break;
    case LINK_DATA:
        ep->bytes += ev->data.len;
        break;
    case LINK_FIN:
        ep->fins++;
        break;
    case LINK_RESET:
        ep->resets++;
        ep->reset_err = ev->err;
        break;
    case LINK_SENT:
        ep->sent += ev->n;
        break;
    case LINK_STREAMS_OK:
        ep->streams_ok++;
        break;
    case LINK_ANSWERED:
        ep->answers++;
        break;
    case LINK_PROVEN:
        ep->proven++;
        break;
    case LINK_QUIET:
        ep->quiets++;
        ep->quiet = true;
        break;
    case LINK_HEARD:
        ep->quiet = false;
        break;
    }
}

static inline void tk_events(struct tk_ep *ep)
{
    struct link_ev ev;

    while (quic_next_event(ep->q, &ev)) {
        tk_note(ep, &ev);
        if (ep->app != NULL) {
            ep->app(ep, &ev);
        } else if (ev.type == LINK_DATA) {
            quic_link_ops.consume(ep->q, ev.link, ev.sid, ev.data.len);
        }
    }
}

static inline void tk_settle(struct tk *tk)
{
    for (int i = 0; i < TK_EPS; i++) {
        if (tk->ep[i].q != NULL) {
            tk_events(&tk->ep[i]);
            tk_flush(tk, &tk->ep[i]);
            tk_events(&tk->ep[i]);
        }
    }
}

static inline void tk_deliver(struct tk *tk, struct tk_pkt *p)
{
    for (int i = 0; i < TK_EPS; i++) {
        struct tk_ep *ep = &tk->ep[i];

        if (ep->q != NULL && netaddr_eq(&ep->addr, &p->to)) {
            uint8_t *exact = malloc(p->len == 0 ? 1 : p->len); /* so that ASan sees overreads */
            struct quic_dgram d = {
                .local = p->to, .remote = p->from, .ecn = p->ecn, .data = {exact, p->len}};

            ASSERT(exact != NULL);
            memcpy(exact, p->data, p->len);
            quic_recv(ep->q, &d, tk->now);
            free(exact);
        }
    }
}

static inline tstamp tk_next(const struct tk *tk)
{
    tstamp at = TSTAMP_NEVER;

    if (!list_empty(&tk->wire)) {
        at = LIST_ENTRY(tk->wire.next, struct tk_pkt, node)->at;
    }
    for (int i = 0; i < TK_EPS; i++) {
        if (tk->ep[i].q != NULL) {
            at = tstamp_min(at, quic_deadline(tk->ep[i].q));
        }
    }
    return at;
}

/* Runs |ns| of virtual time, or until |done| (may be NULL) says so; whether it did. */
static inline bool tk_run(struct tk *tk, uint64_t ns, bool (*done)(struct tk *tk))
{
    const bool at_least_time_moves = false;
    tstamp until = tk->now + ns;

    for (uint64_t steps = 0; steps < 5000000; steps++) {
        tstamp at;

        tk_settle(tk);
        if (done != NULL && done(tk)) {
            return true;
        }
        at = tk_next(tk);
        if (at > until) {
            tk->now = until;
            return false;
        }
        tk->now = at > tk->now ? at : tk->now;
        while (!list_empty(&tk->wire)) {
            struct tk_pkt *p = LIST_ENTRY(tk->wire.next, struct tk_pkt, node);

            if (p->at > tk->now) {
                break;
            }
            list_del(&p->node);
            tk_deliver(tk, p);
            free(p);
        }
        for (int i = 0; i < TK_EPS; i++) {
            if (tk->ep[i].q != NULL) {
                quic_tick(tk->ep[i].q, tk->now);
            }
        }
    }
    ASSERT(at_least_time_moves);
    return false;
}

static inline void tk_fini(struct tk *tk)
{
    while (!list_empty(&tk->wire)) {
        struct tk_pkt *p = LIST_ENTRY(tk->wire.next, struct tk_pkt, node);

        list_del(&p->node);
        free(p);
    }
    for (int i = 0; i < TK_EPS; i++) {
        if (tk->ep[i].q != NULL) {
            (void)tk_unmake(tk, i);
        }
        if (tk->ep[i].peer.len != 0) {
            identity_fini(&tk->ep[i].id);
        }
    }
}

static inline qudag_err tk_dial(struct tk *tk, int from, int to, const struct peer_id *peer,
                                struct ref *out)
{
    struct quic_dial d = {.remote = tk->ep[to].addr, .peer = peer};

    return quic_dial(tk->ep[from].q, &d, tk->now, out);
}

static inline bool tk_both_up(struct tk *tk)
{
    return tk->ep[0].ups > 0 && tk->ep[1].ups > 0;
}

static inline bool tk_client_done(struct tk *tk)
{
    return tk->ep[0].ups > 0 || tk->ep[0].downs > 0;
}

#endif
