/*
 * streams.c - streams: opening, negotiation, data, ends.
 *
 *   inbound   LISTEN ─ mss agrees ▶ OPEN            outbound   DIALING ─ echo ▶ OPEN
 *                └ na x 8, broken, 10 s ▶ reset                   └ na ▶ EV_RESET
 *
 * Outbound streams are usable at once (optimistic negotiation).  A link with LINK_NAMED carries the
 * protocol's name itself, and nothing is negotiated.
 */
#include "swarm/early.h"
#include "swarm/meter_int.h"
#include "swarm/use.h"

#include "base/assert.h"
#include "base/err.h"

#include <string.h>

static uint64_t user_word(struct ref r)
{
    return ref_to_u64(r);
}

static struct ref user_ref(uint64_t w)
{
    return ref_from_u64(w);
}

static struct swarm_stream *stream_make(struct swarm *s, struct swarm_link *l, tstamp now)
{
    struct swarm_stream *st = mem_alloc(s->mem, sizeof(*st));

    if (st == NULL) {
        return NULL;
    }
    st->link = l;
    st->core = SWARM_CORES_MAX;
    st->since = now;
    list_init(&st->link_node);
    list_init(&st->wait_node);
    if (slots_add(&s->streams, st, &st->ref) != QUDAG_OK) {
        mem_free(s->mem, st);
        return NULL;
    }
    list_push_back(&l->streams, &st->link_node);
    l->n_streams++;
    return st;
}

/* 1 where the messages of |core| are cells, which have all one size. */
static uint32_t carries_cells(const struct swarm *s, unsigned core)
{
    return s->core[core].ops->unit != 0 ? 1 : 0;
}

static void uncount(struct swarm *s, struct swarm_stream *st)
{
    struct res_ask one = {st->inbound ? RES_STREAMS_IN : RES_STREAMS_OUT, 1,
                          (uint8_t)(st->counted - 1), 0};

    if (st->counted != 0) {
        resources_give(s->resources, &st->link->account, &one);
        st->counted = 0;
    }
}

/* What |st| has reserved and never wrote. */
static void unreserve(struct swarm *s, struct swarm_stream *st)
{
    struct res_ask all = {RES_BYTES, st->reserved, RES_PROTOS, 0};

    resources_give(s->resources, &st->link->account, &all);
    st->reserved = 0;
}

/* |n| bytes of what |st| has reserved are written now, for which its link asks. */
static void spend_reserved(struct swarm *s, struct swarm_stream *st, size_t n)
{
    struct res_ask part = {RES_BYTES, n < st->reserved ? (uint32_t)n : st->reserved, RES_PROTOS, 0};

    resources_hand_on(s->resources, &st->link->account, &part);
    st->reserved -= part.n;
}

/*
 * |st| is one of |proto|, of which its peer may have |most| that way (0: any number); RES_PROTOS: not known yet.
 * QUDAG_ELIMIT, *refused says which limit it was; |st| is not counted at all then.
 */
static qudag_err count(struct swarm *s, struct swarm_stream *st, size_t proto, uint32_t most,
                       uint64_t *refused, tstamp now)
{
    struct res_ask one = {st->inbound ? RES_STREAMS_IN : RES_STREAMS_OUT, 1, (uint8_t)proto, most};
    struct res_refusal why;

    uncount(s, st);
    qudag_err err = resources_ask(s->resources, &st->link->account, &one, &why);
    if (err == QUDAG_OK) {
        st->counted = (uint8_t)(proto + 1);
    } else {
        s->stats.streams_refused++;
        *refused = swarm_link_refused(s, &why, now);
    }
    return err;
}

void swarm_streams_uncount(struct swarm *s, struct swarm_link *l)
{
    LIST_EACH(it, &l->streams)
    {
        struct swarm_stream *st = LIST_ENTRY(it, struct swarm_stream, link_node);
        uncount(s, st);
        unreserve(s, st);
    }
}

void swarm_streams_count(struct swarm *s, struct swarm_link *l, tstamp now)
{
    uint64_t refused;

    LIST_EACH(it, &l->streams)
    {
        struct swarm_stream *st = LIST_ENTRY(it, struct swarm_stream, link_node);
        qudag_err err = count(s, st, st->core, s->core[st->core].ops->outbound_max, &refused, now);
        (void)err; /* one that is over the limits of the link goes on */
        if (!st->inbound) {
            swarm_link_used(s, l, st->core);
        }
    }
}

/* |n| bytes of content of |st| came, or left. */
static void note_moved(struct swarm_stream *st, uint64_t n, tstamp now)
{
    struct swarm_link *l = st->link;

    if (st->inbound) {
        l->theirs += n;
        l->moved = now;
    } else {
        l->ours += n;
    }
}

void swarm_stream_drop(struct swarm *s, struct swarm_stream *st, tstamp now)
{
    struct swarm_link *l = st->link;

    uncount(s, st);
    unreserve(s, st);
    if (st->core < SWARM_CORES_MAX) {
        l->n_cells -= carries_cells(s, st->core);
        l->n_ours -= st->inbound ? 0 : 1;
    }
    list_del(&st->link_node);
    list_del(&st->wait_node);
    if (--l->n_streams == 0) {
        l->idle_since = now;
    }
    slots_del(&s->streams, st->ref);
    mem_free(s->mem, st->mss);
    mem_free(s->mem, st);
}

/* Aborts the stream from our side; the core that owned it is not notified. */
void swarm_stream_abort(struct swarm *s, struct swarm_stream *st, qudag_err err, tstamp now)
{
    const struct swarm_link *l = st->link;

    if (!l->dead) {
        l->tp->t->ops->reset(l->tp->owner, l->ref, st->sid, err);
    }
    swarm_stream_drop(s, st, now);
}

static bool negotiate_start(struct swarm *s, struct swarm_stream *st)
{
    st->mss = mem_alloc(s->mem, sizeof(*st->mss));
    if (st->mss == NULL) {
        return false;
    }
    list_push_back(&s->negotiating, &st->wait_node);
    return true;
}

static void negotiate_end(struct swarm *s, struct swarm_stream *st)
{
    list_del(&st->wait_node);
    mem_free(s->mem, st->mss);
    st->mss = NULL;
    st->state = SWARM_STREAM_OPEN;
}

/* Behind the agreement on a protocol come its messages, which may all have one size. */
static void set_unit(const struct swarm *s, const struct swarm_stream *st)
{
    const struct swarm_link *l = st->link;
    uint16_t unit = s->core[st->core].ops->unit;

    if (unit != 0 && l->tp->t->ops->set_unit != NULL) {
        l->tp->t->ops->set_unit(l->tp->owner, l->ref, st->sid, unit);
    }
}

static qudag_err propose(struct swarm *s, struct swarm_stream *st, const char *proto)
{
    uint8_t msg[MSS_REPLY_MAX];
    struct swarm_link *l = st->link;

    if (!negotiate_start(s, st)) {
        return QUDAG_ENOMEM;
    }
    size_t n = 0;
    qudag_err err = mss_dial(st->mss, proto, msg, sizeof(msg), &n);
    if (err != QUDAG_OK) {
        return err;
    }
    st->preamble = n;
    st->state = SWARM_STREAM_PROPOSED;
    err = l->tp->t->ops->write(l->tp->owner, l->ref, st->sid, (struct slice){msg, n});
    if (err == QUDAG_OK) {
        set_unit(s, st);
    }
    return err;
}

/* On success |report| will be delivered; on failure the caller still owns it. */
qudag_err swarm_stream_open(struct swarm *s, struct swarm_link *l, struct swarm_pending *report,
                            const char *proto, tstamp now)
{
    struct swarm_stream *st = stream_make(s, l, now);

    if (st == NULL) {
        return QUDAG_ELIMIT;
    }
    uint32_t most = l->peer != NULL ? s->core[report->core].ops->outbound_max : 0;
    qudag_err err = count(s, st, report->core, most, &report->ev.refused, now);
    if (err != QUDAG_OK) {
        swarm_stream_drop(s, st, now);
        return err;
    }
    st->core = report->core;
    l->n_ours++;
    l->n_cells += carries_cells(s, st->core);
    st->proto = proto;
    err = l->tp->t->ops->open(l->tp->owner, l->ref, user_word(st->ref), proto, &st->sid);
    if (err != QUDAG_OK) {
        l->leaving = l->leaving || err == QUDAG_ESTALE;
        swarm_stream_drop(s, st, now);
        return err;
    }
    if ((l->props & LINK_NAMED) != 0) {
        st->state = SWARM_STREAM_OPEN;
    } else if ((err = propose(s, st, proto)) != QUDAG_OK) {
        swarm_stream_abort(s, st, err, now);
        return err;
    }
    s->stats.streams_out++;
    st->in_up = true;
    report->peer = *swarm_link_peer_id(l);
    report->ev = (struct ev){.type = EV_STREAM_OPEN,
                             .strm = st->ref,
                             .cookie = report->ev.cookie,
                             .props = l->props,
                             .proto = proto};
    list_push_back(&s->pending, &report->node);
    return QUDAG_OK;
}

/* An inbound stream found its protocol. */
static bool accept_stream(struct swarm *s, struct swarm_stream *st, size_t proto_ix, tstamp now)
{
    struct swarm_link *l = st->link;
    unsigned core = s->proto_core[proto_ix];
    const struct core_ops *ops = s->core[core].ops;
    uint64_t refused;

    const struct swarm_use use = {core, s->proto[proto_ix], 0, false};
    bool asks = !l->doubt || ops->doubts;
    if (!swarm_link_serves(s, l, &use) || !asks) {
        s->stats.streams_refused++;
        swarm_stream_abort(s, st, QUDAG_EPOLICY, now);
        return false;
    }
    uint32_t most = ops->inbound_max != 0 ? ops->inbound_max : s->cfg.streams_per_peer;
    qudag_err err = count(s, st, proto_ix, most, &refused, now);
    if (err != QUDAG_OK) {
        swarm_stream_abort(s, st, err, now);
        return false;
    }
    l->n_cells += carries_cells(s, core);
    l->moved = now;
    st->core = core;
    st->proto = s->proto[proto_ix];
    st->in_up = true;
    set_unit(s, st);
    s->stats.streams_in++;
    struct ev ev = {.type = EV_STREAM_OPEN,
                    .strm = st->ref,
                    .inbound = true,
                    .props = l->props,
                    .peer = swarm_link_peer_id(l),
                    .proto = st->proto,
                    .net = l->net,
                    .via = l->via,
                    .link = ref_to_u64(l->ref)};
    swarm_deliver(s, core, &ev);
    return true;
}

void swarm_stream_in(struct swarm *s, struct swarm_link *l, const struct link_ev *ev, tstamp now)
{
    struct swarm_stream *st = s->door_closed ? NULL : stream_make(s, l, now);

    if (st == NULL) {
        l->tp->t->ops->reset(l->tp->owner, l->ref, ev->sid, QUDAG_ELIMIT);
        return;
    }
    st->inbound = true;
    st->sid = ev->sid;
    uint64_t refused;
    if (count(s, st, RES_PROTOS, 0, &refused, now) != QUDAG_OK) {
        swarm_stream_abort(s, st, QUDAG_ELIMIT, now);
        return;
    }
    l->tp->t->ops->set_user(l->tp->owner, l->ref, ev->sid, user_word(st->ref));
    if ((l->props & LINK_NAMED) == 0) {
        st->state = SWARM_STREAM_LISTEN;
        if (!negotiate_start(s, st)) {
            swarm_stream_abort(s, st, QUDAG_ENOMEM, now);
            return;
        }
        mss_listen(st->mss, s->plain, s->n_plain);
        return;
    }
    st->state = SWARM_STREAM_OPEN;
    for (size_t i = 0; i < s->n_protos; i++) {
        if (swarm_rule_served(l->props, s->proto_anonymous[i]) &&
            strlen(s->proto[i]) == ev->data.len &&
            memcmp(s->proto[i], ev->data.base, ev->data.len) == 0) {
            (void)accept_stream(s, st, i, now);
            return;
        }
    }
    swarm_stream_abort(s, st, QUDAG_EUNSUPPORTED, now);
}

static void stream_fail(struct swarm *s, struct swarm_stream *st, qudag_err err, tstamp now)
{
    struct ev ev = {.type = EV_RESET, .strm = st->ref, .err = err};
    unsigned core = st->core;
    bool known = st->in_up;

    swarm_stream_abort(s, st, err, now);
    if (known) {
        swarm_deliver(s, core, &ev);
    }
}

/* Feeds the negotiation; false when the stream is gone or wants more, else |in| is what is left. */
static bool negotiate(struct swarm *s, struct swarm_stream *st, struct slice *in, tstamp now)
{
    uint8_t reply[MSS_REPLY_MAX];
    size_t used = 0, reply_len = 0;
    struct swarm_link *l = st->link;
    enum mss_result r = mss_input(st->mss, *in, &used, reply, sizeof(reply), &reply_len);
    size_t chosen = r == MSS_DONE && st->inbound ? mss_chosen(st->mss) : 0;

    ASSERT(used <= in->len);
    l->tp->t->ops->consume(l->tp->owner, l->ref, st->sid, used);
    if (reply_len > 0) {
        st->preamble += reply_len;
        qudag_err err =
            l->tp->t->ops->write(l->tp->owner, l->ref, st->sid, (struct slice){reply, reply_len});
        if (err != QUDAG_OK) {
            stream_fail(s, st, err, now);
            return false;
        }
    }
    if (used > 0) {
        in->base += used;
        in->len -= used;
    }
    switch (r) {
    case MSS_MORE:
        return false;
    case MSS_DONE:
        negotiate_end(s, st);
        return !st->inbound || accept_stream(s, st, s->plain_ix[chosen], now);
    case MSS_NA:
    case MSS_FAIL:
        break;
    }
    s->stats.negotiate_failed++;
    stream_fail(s, st, r == MSS_NA ? QUDAG_EUNSUPPORTED : QUDAG_EPROTO, now);
    return false;
}

static void on_data(struct swarm *s, struct swarm_stream *st, struct slice in, struct buf *keep,
                    tstamp now)
{
    struct swarm_link *l = st->link;
    struct ref ref = st->ref;

    if (st->mss != NULL && !negotiate(s, st, &in, now)) {
        return;
    }
    if (in.len == 0) {
        return;
    }
    note_moved(st, in.len, now);
    struct ev ev = {.type = EV_DATA, .strm = ref, .props = l->props, .data = in, .keep = keep};
    swarm_meter_traffic(s, st, SWARM_IN, in.len);
    bool manual = s->core[st->core].ops->manual_credit;
    swarm_deliver(s, st->core, &ev);
    if (!manual) {
        l->tp->t->ops->consume(l->tp->owner, l->ref, st->sid, in.len);
    }
}

static void on_fin(struct swarm *s, struct swarm_stream *st, tstamp now)
{
    struct ev ev = {.type = EV_FIN, .strm = st->ref};
    unsigned core = st->core;
    bool known = st->in_up;

    if (st->mss != NULL) { /* the end came before agreement */
        s->stats.negotiate_failed++;
        stream_fail(s, st, QUDAG_EPROTO, now);
        return;
    }
    st->fin_in = true;
    if (st->fin_out) {
        swarm_stream_drop(s, st, now);
    }
    if (known) {
        swarm_deliver(s, core, &ev);
    }
}

static void on_sent(struct swarm *s, struct swarm_stream *st, uint64_t n, tstamp now)
{
    uint64_t own = n < st->preamble ? n : st->preamble;

    st->preamble -= (size_t)own;
    if (n > own && st->in_up) {
        note_moved(st, n - own, now);
        struct ev ev = {.type = EV_WRITABLE, .strm = st->ref, .n = (size_t)(n - own)};
        swarm_deliver(s, st->core, &ev);
    }
}

/*
 * Events of one datagram or cell are made together: those behind the LINK_STREAM that told of a stream
 * cannot carry its user word yet.
 */
static struct swarm_stream *stream_find(struct swarm *s, const struct swarm_transport *tp,
                                        const struct link_ev *ev)
{
    struct swarm_stream *st = slots_get(&s->streams, user_ref(ev->user));

    if (st != NULL || ev->user != 0) {
        return st;
    }
    struct swarm_link *l = swarm_link_get(s, tp, ev->link);
    if (l == NULL) {
        return NULL;
    }
    LIST_EACH(it, &l->streams)
    {
        st = LIST_ENTRY(it, struct swarm_stream, link_node);
        if (st->sid == ev->sid) {
            return st;
        }
    }
    return NULL;
}

/*
 * What a core hears when a peer resets a stream.  The peer's own cancellation, lack of memory or mistake must
 * not look like ours.  Its lack of memory is a limit of the peer, over QUIC as over a circuit.  While a protocol is
 * |asked| for, what follows the proposal breaks the negotiation of a peer that does not serve it, and its "na" is lost
 * with the reset.
 */
static qudag_err reset_by_peer(qudag_err said, bool asked)
{
    if (asked && said == QUDAG_EPROTO) {
        return QUDAG_EUNSUPPORTED;
    }
    if (said == QUDAG_ENOMEM) {
        return QUDAG_ELIMIT;
    }
    return said == QUDAG_OK || err_is_ours(said) ? QUDAG_ERESET : said;
}

void swarm_stream_event(struct swarm *s, const struct swarm_transport *tp, const struct link_ev *ev,
                        tstamp now)
{
    struct swarm_stream *st = stream_find(s, tp, ev);

    if (st == NULL || st->link->dead || st->timed_out) {
        return; /* ours was dropped; the transport may still have had events of it */
    }
    switch (ev->type) {
    case LINK_DATA:
        on_data(s, st, ev->data, ev->keep, now);
        break;
    case LINK_FIN:
        on_fin(s, st, now);
        break;
    case LINK_RESET: {
        bool asked = !st->inbound && st->mss != NULL;
        struct ev reset = {.type = EV_RESET, .strm = st->ref, .err = reset_by_peer(ev->err, asked)};
        unsigned core = st->core;
        bool known = st->in_up;
        swarm_stream_drop(s, st, now);
        if (known) {
            swarm_deliver(s, core, &reset);
        }
        break;
    }
    case LINK_SENT:
        on_sent(s, st, ev->n, now);
        break;
    case LINK_UP:
    case LINK_DOWN:
    case LINK_STREAM:
    case LINK_STREAMS_OK:
    case LINK_ANSWERED:
    case LINK_PROVEN:
    case LINK_QUIET:
    case LINK_HEARD:
        break;
    }
}

/* |ref| names a link of the one transport that makes its links on demand. */
static qudag_err open_on(struct swarm *s, struct swarm_pending *r, struct ref ref,
                         const char *proto, tstamp now)
{
    struct swarm_link *l = NULL;

    for (uint32_t i = 0; i < s->n_transports && l == NULL; i++) {
        if (s->transport[i].t->on_demand) {
            l = swarm_link_get(s, &s->transport[i], ref);
        }
    }
    return l == NULL ? QUDAG_ESTALE : swarm_stream_open(s, l, r, proto, now);
}

static void act_open(struct swarm *s, unsigned core, const struct act *a, const char *proto,
                     tstamp now)
{
    static const struct peer_id unknown;
    struct ev fail = {
        .type = EV_STREAM_FAIL, .cookie = a->cookie, .err = QUDAG_ENOMEM, .peer = &unknown};

    if (ref_none(a->obj)) {
        swarm_open_start(s, core, a, proto, now);
        return;
    }
    struct swarm_pending *r =
        proto == NULL ? NULL : swarm_report_make(s, core, a->cookie, &unknown);
    if (r == NULL) {
        swarm_deliver(s, core, &fail);
        return;
    }
    qudag_err err = open_on(s, r, a->obj, proto, now);
    if (err != QUDAG_OK) {
        swarm_report_fail(s, r, err);
    }
}

static void act_fin(struct swarm *s, struct swarm_stream *st, tstamp now)
{
    struct swarm_link *l = st->link;

    if (st->fin_out) {
        return;
    }
    st->fin_out = true;
    l->tp->t->ops->fin(l->tp->owner, l->ref, st->sid);
    if (st->fin_in) {
        swarm_stream_drop(s, st, now);
    }
}

static qudag_err write_out(const struct swarm_stream *st, const struct act *a)
{
    const struct swarm_link *l = st->link;
    const struct link_ops *ops = l->tp->t->ops;

    if (a->keep != NULL && ops->write_kept != NULL) {
        return ops->write_kept(l->tp->owner, l->ref, st->sid, a->data, a->keep);
    }
    return ops->write(l->tp->owner, l->ref, st->sid, a->data);
}

void swarm_act(struct swarm *s, unsigned core, const struct act *a, const char *proto, tstamp now)
{
    if (a->type == ACT_OPEN) {
        act_open(s, core, a, proto != NULL ? proto : s->core[core].main_proto, now);
        return;
    }
    struct swarm_stream *st = slots_get(&s->streams, a->strm);
    if (st == NULL || st->link->dead || st->timed_out || st->core != core) {
        return;
    }
    struct swarm_link *l = st->link;
    switch (a->type) {
    case ACT_WRITE: {
        spend_reserved(s, st, a->data.len);
        qudag_err err = st->fin_out ? QUDAG_OK : write_out(st, a);
        if (err != QUDAG_OK) { /* over its queue: the stream cannot go on without losing bytes */
            stream_fail(s, st, err, now);
        } else if (!st->fin_out) {
            swarm_meter_traffic(s, st, SWARM_OUT, a->data.len);
        }
        break;
    }
    case ACT_CONSUME:
        l->tp->t->ops->consume(l->tp->owner, l->ref, st->sid, (size_t)a->n);
        break;
    case ACT_FIN:
        act_fin(s, st, now);
        break;
    case ACT_RESET:
        swarm_stream_abort(s, st, a->err, now);
        break;
    case ACT_OPEN:
    case ACT_UP:
        break;
    }
}
