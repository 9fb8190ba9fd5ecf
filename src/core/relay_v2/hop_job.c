/*
 * hop_job.c - requests of peers to the relay, and how they end.
 *
 *   READING ─ RESERVE ▶ answered ▶ ENDING ─ FIN, linger ▶ gone
 *           ├ CONNECT ▶ OPENING ─ stream ▶ ASKED ─ STATUS ok ▶ CARRYING ─ both FIN, reset, limit ▶ gone
 *           │             └ fails           └ other answers, time ▶ refused ▶ ENDING
 *           └ refused ▶ ENDING;  broken, FIN, time ▶ reset
 */
#include "core/relay_v2/hop_int.h"

#include <string.h>

struct hop_side *hop_side_of(const struct hop_service *h, struct ref strm)
{
    return map_u64_get(&h->by_strm, ref_to_u64(strm));
}

struct hop_job *hop_job_opening(const struct hop_service *h, uint64_t cookie)
{
    struct hop_job *j = slots_get(&h->jobs, ref_from_u64(cookie));

    return j != NULL && j->state == HOP_OPENING ? j : NULL;
}

void hop_job_due(struct hop_service *h, struct hop_job *j, tstamp at)
{
    (void)!heap_set(&h->timers, &j->timer, at); /* there is room: it was set when the job began */
}

static void side_drop(struct hop_service *h, struct hop_side *s)
{
    if (!ref_none(s->strm)) {
        (void)map_u64_del(&h->by_strm, ref_to_u64(s->strm));
        s->strm = (struct ref){0, 0};
    }
    list_del(&s->turn);
    heap_del(&h->waits, &s->wait);
}

void hop_job_free(struct hop_service *h, struct hop_job *j)
{
    side_drop(h, &j->side[0]);
    side_drop(h, &j->side[1]);
    heap_del(&h->timers, &j->timer);
    hop_peer_leave(h, j);
    fair_del(&h->fair_requests, &j->place, h->now);
    dyn_fini(&j->frame);
    dyn_fini(&j->early);
    slots_del(&h->jobs, j->self);
    mem_free(h->cfg.mem, j);
}

void hop_job_end(struct hop_service *h, struct hop_job *j, qudag_err err, struct acts *out)
{
    for (unsigned i = 0; i < 2; i++) {
        if (!ref_none(j->side[i].strm)) {
            acts_reset(out, j->side[i].strm, err);
        }
    }
    hop_job_free(h, j);
}

bool hop_side_write(struct hop_side *s, enum circuit_side side, const struct circuit_msg *m,
                    struct acts *out)
{
    uint8_t bytes[RELAYED_FRAME_MAX];
    struct wr w = wr_init(bytes, sizeof(bytes));

    if (circuit_msg_write(&w, side, m) != QUDAG_OK) {
        return false;
    }
    acts_write(out, s->strm, bytes, w.len);
    s->own += w.len;
    return true;
}

/* ------------------------------------------------------------------ beginning */

/* A place for one more request: with none free, that of somebody who has more than his share. */
static bool make_room(struct hop_service *h, uint64_t net, uint64_t host, struct acts *out)
{
    struct fair_claim newcomer = fair_claim_of(&h->fair_requests, net, host);

    if (h->fair_requests.n < h->cfg.requests_max) {
        return true;
    }
    struct fair_source *most = fair_most_for(&h->fair_requests, &newcomer);
    if (most == NULL) {
        return false;
    }
    struct fair_claim holder = fair_claim_of_source(most);
    if (!fair_gives_way(&holder, &newcomer)) {
        return false;
    }
    h->stats.gave_way++;
    hop_job_end(h, LIST_ENTRY(most->items.next, struct hop_job, place.node), QUDAG_ELIMIT, out);
    return true;
}

static qudag_err job_start(struct hop_service *h, struct hop_job *j, const struct ev *ev,
                           tstamp now)
{
    qudag_err err = slots_add(&h->jobs, j, &j->self);

    if (err != QUDAG_OK) {
        mem_free(h->cfg.mem, j);
        return err;
    }
    if ((err = map_u64_put(&h->by_strm, ref_to_u64(ev->strm), &j->side[0])) == QUDAG_OK) {
        j->side[0].strm = ev->strm;
        err = heap_set(&h->timers, &j->timer, tstamp_after(now, HOP_READ_TIMEOUT));
    }
    if (err == QUDAG_OK) {
        err = fair_add(&h->fair_requests, &j->place, j->net, j->host, now);
    }
    if (err != QUDAG_OK) {
        hop_job_free(h, j);
    }
    return err;
}

void hop_job_open(struct hop_service *h, const struct ev *ev, tstamp now, struct acts *out)
{
    struct slice id = ev->peer != NULL ? peer_id_slice(ev->peer) : (struct slice){NULL, 0};
    uint64_t host = ev->via != 0 ? ev->via : siphash24(h->places.k0, h->places.k1, id);

    if (id.len == 0 || (ev->props & LINK_ANON) != 0) {
        acts_reset(out, ev->strm, QUDAG_EUNSUPPORTED); /* or callers learn which node this is */
        return;
    }
    if (!make_room(h, ev->net, host, out)) {
        h->stats.refused[HOP_REFUSED_LIMIT]++;
        acts_reset(out, ev->strm, QUDAG_ELIMIT);
        return;
    }
    struct hop_job *j = mem_alloc(h->cfg.mem, sizeof(*j));
    if (j == NULL) {
        acts_reset(out, ev->strm, QUDAG_ENOMEM);
        return;
    }
    j->from = *ev->peer;
    j->props = ev->props;
    j->net = ev->net;
    j->host = host;
    for (unsigned i = 0; i < 2; i++) {
        j->side[i].job = j;
        list_init(&j->side[i].turn);
    }
    dyn_init(&j->frame, h->cfg.mem, RELAYED_FRAME_MAX);
    dyn_init(&j->early, h->cfg.mem, HOP_EARLY_MAX);
    qudag_err err = job_start(h, j, ev, now);
    if (err != QUDAG_OK) {
        acts_reset(out, ev->strm, err);
    }
}

/* ------------------------------------------------------------------ answers */

static enum hop_refusal refusal_of(const struct hop_service *h, enum circuit_status status)
{
    switch (status) {
    case CIRCUIT_PERMISSION_DENIED:
        return HOP_REFUSED_PERMISSION;
    case CIRCUIT_NO_RESERVATION:
        return HOP_REFUSED_ABSENT;
    case CIRCUIT_CONNECTION_FAILED:
        return HOP_REFUSED_FAILED;
    case CIRCUIT_MALFORMED_MESSAGE:
    case CIRCUIT_UNEXPECTED_MESSAGE:
        return HOP_REFUSED_MESSAGE;
    case CIRCUIT_RESERVATION_REFUSED:
        return h->closed ? HOP_REFUSED_CLOSED : HOP_REFUSED_LIMIT;
    case CIRCUIT_NO_STATUS:
    case CIRCUIT_OK:
    case CIRCUIT_RESOURCE_LIMIT_EXCEEDED:
        break;
    }
    return HOP_REFUSED_LIMIT;
}

/* The last message to who asked, and our FIN. */
static void answer(struct hop_service *h, struct hop_job *j, const struct circuit_msg *m,
                   tstamp now, struct acts *out)
{
    if (!hop_side_write(&j->side[0], CIRCUIT_HOP, m, out)) {
        hop_job_end(h, j, QUDAG_EINTERNAL, out);
        return;
    }
    acts_fin(out, j->side[0].strm);
    dyn_fini(&j->frame);
    dyn_fini(&j->early);
    j->state = HOP_ENDING;
    hop_peer_leave(h, j);
    hop_job_due(h, j, tstamp_after(now, HOP_LINGER));
}

void hop_job_refuse(struct hop_service *h, struct hop_job *j, enum circuit_status status,
                    tstamp now, struct acts *out)
{
    struct circuit_msg m = {.type = CIRCUIT_STATUS, .status = status};

    h->stats.refused[refusal_of(h, status)]++;
    if (!ref_none(j->side[1].strm)) {
        acts_reset(out, j->side[1].strm, QUDAG_ECANCELED);
        side_drop(h, &j->side[1]);
    }
    answer(h, j, &m, now, out);
}

static void reserve(struct hop_service *h, struct hop_job *j, tstamp now, struct acts *out)
{
    struct circuit_msg m = {.type = CIRCUIT_STATUS};

    if (!relayed_rule_carrier(j->props, &j->from)) {
        hop_job_refuse(h, j, CIRCUIT_PERMISSION_DENIED, now, out);
    } else if (h->closed || hop_reserve(h, j, &m, now) != QUDAG_OK) {
        hop_job_refuse(h, j, CIRCUIT_RESERVATION_REFUSED, now, out);
    } else {
        answer(h, j, &m, now, out);
    }
}

static enum circuit_status may_connect(const struct hop_service *h, const struct hop_job *j,
                                       const struct peer_id *to)
{
    if (!relayed_rule_carrier(j->props, &j->from) || peer_id_eq(to, &j->from)) {
        return CIRCUIT_PERMISSION_DENIED;
    }
    if (!hop_reserved(h, to)) {
        return CIRCUIT_NO_RESERVATION;
    }
    return hop_peer_may(h, &j->from, to) ? CIRCUIT_OK : CIRCUIT_RESOURCE_LIMIT_EXCEEDED;
}

/* |j| is a circuit from now on, if there is room. */
static bool join(struct hop_service *h, struct hop_job *j, struct acts *out)
{
    struct hop_job *old;

    if (!hop_peer_room(h, j, &old)) {
        return false;
    }
    if (old != NULL) {
        h->stats.gave_way++;
        hop_job_end(h, old, QUDAG_ELIMIT, out);
    }
    return hop_peer_join(h, j) == QUDAG_OK;
}

static void connect(struct hop_service *h, struct hop_job *j, const struct peer_id *to, tstamp now,
                    struct acts *out)
{
    enum circuit_status status = may_connect(h, j, to);

    j->to = *to;
    if (status == CIRCUIT_OK && !join(h, j, out)) {
        status = CIRCUIT_RESOURCE_LIMIT_EXCEEDED;
    }
    if (status != CIRCUIT_OK) {
        hop_job_refuse(h, j, status, now, out);
        return;
    }
    j->state = HOP_OPENING;
    dyn_fini(&j->frame);
    acts_open_again(out, to, ref_to_u64(j->self), 0); /* over the link of its reservation */
    j->asked = now;
    j->give_up = tstamp_after(now, HOP_ANSWER_TIMEOUT);
    hop_job_due(h, j, tstamp_after(now, HOP_ASK_AGAIN));
}

/* Once more, from the beginning. */
static void ask(struct hop_service *h, struct hop_job *j, struct acts *out)
{
    side_drop(h, &j->side[1]);
    j->side[1].own = 0;
    j->side[0].passed = 0;
    j->to_early = false;
    j->state = HOP_OPENING;
    acts_open_again(out, &j->to, ref_to_u64(j->self), 0);
}

/* The link may have died before anybody noticed, and the peer have made another since. */
bool hop_job_ask_again(struct hop_service *h, struct hop_job *j, tstamp now, struct acts *out)
{
    tstamp next = tstamp_after(now, 2 * (now - j->asked));

    if (now >= j->give_up) {
        return false;
    }
    hop_job_due(h, j, next < j->give_up ? next : j->give_up);
    j->asked = now;
    if (j->state != HOP_ASKED || j->late || j->frame.len > 0) {
        return true; /* it is waited for */
    }
    acts_reset(out, j->side[1].strm, QUDAG_ECANCELED);
    ask(h, j, out);
    return true;
}

bool hop_job_elsewhere(struct hop_service *h, struct hop_job *j, tstamp now, struct acts *out)
{
    if (j->state != HOP_ASKED || j->late || j->frame.len > 0 || j->elsewhere >= HOP_ELSEWHERE_MAX ||
        now >= j->give_up) {
        return false;
    }
    j->elsewhere++;
    ask(h, j, out);
    return true;
}

/* ------------------------------------------------------------------ messages */

/* Bytes of who asked that came before there is a circuit: kept, or the request is refused. */
static bool keep_early(struct hop_service *h, struct hop_job *j, struct slice in, tstamp now,
                       struct acts *out)
{
    if (in.len > 0 && (!relayed_rule_early_bytes(j->props) ||
                       dyn_append(&j->early, in.base, in.len) != QUDAG_OK)) {
        hop_job_refuse(h, j, CIRCUIT_UNEXPECTED_MESSAGE, now, out);
        return false;
    }
    return true;
}

/* They go to the peer that was asked for; their credit went back when they were kept. */
static void pass_early(struct hop_service *h, struct hop_job *j, struct acts *out)
{
    if (j->early.len > 0) {
        j->side[1].own += j->early.len;
        struct ev ev = {
            .type = EV_DATA, .strm = j->side[0].strm, .data = {j->early.p, j->early.len}};
        hop_carry_data(h, &j->side[0], &ev, out);
    }
}

static void requested(struct hop_service *h, struct hop_job *j, struct slice body,
                      struct slice rest, tstamp now, struct acts *out)
{
    struct circuit_msg m;

    if (circuit_msg_read(&m, CIRCUIT_HOP, body) != QUDAG_OK) {
        hop_job_refuse(h, j, CIRCUIT_MALFORMED_MESSAGE, now, out);
    } else if (m.type == CIRCUIT_STATUS || (m.type == CIRCUIT_RESERVE && rest.len > 0)) {
        hop_job_refuse(h, j, CIRCUIT_UNEXPECTED_MESSAGE, now, out);
    } else if (m.type == CIRCUIT_RESERVE) {
        reserve(h, j, now, out);
    } else if (m.peer.len == 0) {
        hop_job_refuse(h, j, CIRCUIT_MALFORMED_MESSAGE, now, out);
    } else if (keep_early(h, j, rest, now, out)) {
        connect(h, j, &m.peer, now, out);
    }
}

void hop_job_opened(struct hop_service *h, struct hop_job *j, const struct ev *ev, tstamp now,
                    struct acts *out)
{
    uint8_t both = j->props & ev->props;
    struct circuit_msg m = {.type = CIRCUIT_CONNECT, .peer = j->from};
    qudag_err err = map_u64_put(&h->by_strm, ref_to_u64(ev->strm), &j->side[1]);

    if (err != QUDAG_OK || !relayed_rule_carrier(ev->props, &j->to)) {
        (void)map_u64_del(&h->by_strm, ref_to_u64(ev->strm));
        acts_reset(out, ev->strm, QUDAG_ECANCELED);
        hop_job_refuse(h, j, CIRCUIT_CONNECTION_FAILED, now, out);
        return;
    }
    j->side[1].strm = ev->strm;
    j->state = HOP_ASKED;
    m.limit = j->limit = hop_rule_limit(&h->cfg.limit, &h->cfg.stranger, (both & LINK_QUDAG) != 0);
    if (!hop_side_write(&j->side[1], CIRCUIT_STOP, &m, out)) {
        hop_job_refuse(h, j, CIRCUIT_CONNECTION_FAILED, now, out);
    } else if (relayed_rule_early_bytes(ev->props)) {
        j->to_early = true;
        pass_early(h, j, out);
    }
}

/* The peer that was asked for has answered; |rest| came behind that. */
static void answered(struct hop_service *h, struct hop_job *j, struct slice body, struct slice rest,
                     tstamp now, struct acts *out)
{
    struct circuit_msg m, ok = {.type = CIRCUIT_STATUS, .status = CIRCUIT_OK, .limit = j->limit};

    if (circuit_msg_read(&m, CIRCUIT_STOP, body) != QUDAG_OK || m.type != CIRCUIT_STATUS ||
        m.status != CIRCUIT_OK || !hop_side_write(&j->side[0], CIRCUIT_HOP, &ok, out)) {
        hop_job_refuse(h, j, CIRCUIT_CONNECTION_FAILED, now, out);
        return;
    }
    dyn_fini(&j->frame);
    j->state = HOP_CARRYING;
    struct ref self = j->self;
    if (!j->to_early) {
        pass_early(h, j, out);
    }
    if (slots_get(&h->jobs, self) == NULL) {
        return; /* that was over its limit */
    }
    j->since = now;
    h->stats.connected++;
    uint32_t s = j->limit.duration_s;
    hop_job_due(h, j, s != 0 ? tstamp_after(now, s * NS_PER_S) : TSTAMP_NEVER);
    if (rest.len > 0) { /* it came with the answer, and its credit went back with that */
        j->side[0].own += rest.len;
        struct ev ev = {.type = EV_DATA, .strm = j->side[1].strm, .data = rest};
        hop_carry_data(h, &j->side[1], &ev, out);
    }
}

/* More of it: on its way as soon as the peer that was asked for takes it. */
static void early(struct hop_service *h, struct hop_job *j, struct slice in, tstamp now,
                  struct acts *out)
{
    if (!j->to_early) {
        (void)keep_early(h, j, in, now, out);
        return;
    }
    j->late = true;
    j->side[1].own += in.len;
    struct ev ev = {.type = EV_DATA, .strm = j->side[0].strm, .data = in};
    hop_carry_data(h, &j->side[0], &ev, out);
}

void hop_job_data(struct hop_service *h, struct hop_side *s, struct slice in, tstamp now,
                  struct acts *out)
{
    struct hop_job *j = s->job;
    struct slice body;

    if (j->state == HOP_ENDING) {
        return;
    }
    bool reads = s == &j->side[0] ? j->state == HOP_READING : j->state == HOP_ASKED;
    if (!reads && s == &j->side[0] && relayed_rule_early_bytes(j->props)) {
        early(h, j, in, now, out);
        return;
    }
    if (!reads) { /* who asked must wait for the answer */
        hop_job_end(h, j, QUDAG_EPROTO, out);
        return;
    }
    qudag_err err = relayed_frame_take(&j->frame, &in, &body);
    if (err == QUDAG_EAGAIN) {
        return;
    }
    if (err != QUDAG_OK) {
        hop_job_refuse(h, j,
                       s == &j->side[0] ? CIRCUIT_MALFORMED_MESSAGE : CIRCUIT_CONNECTION_FAILED,
                       now, out);
    } else if (s == &j->side[0]) {
        requested(h, j, body, in, now, out);
    } else {
        answered(h, j, body, in, now, out);
    }
}
