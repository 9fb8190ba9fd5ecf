/*
 * relayed_stream.c - streams of the hop and stop protocols until bytes can pass.
 *
 *   RESERVING   OPENING ─ RESERVE ▶ ASKED ─ STATUS ▶ relayed_place_done ▶ CLOSING ─ FIN, linger ▶ gone
 *   CONNECTING  OPENING ─ CONNECT ▶ ASKED ─ STATUS ok ▶ CARRYING
 *   ACCEPTING                       ASKED ─ CONNECT ─ STATUS ok ▶ CARRYING
 *                                     └ anything else, time ▶ STATUS or reset ▶ gone
 */
#include "core/relay_v2/relayed_int.h"

struct relayed_job *relayed_job_of(const struct relayed *r, struct ref strm)
{
    return map_u64_get(&r->by_strm, ref_to_u64(strm));
}

void relayed_job_due(struct relayed *r, struct relayed_job *j, tstamp at)
{
    (void)!heap_set(&r->timers, &j->timer, at); /* there is room: it was set when the job began */
}

qudag_err relayed_job_new(struct relayed *r, enum relayed_kind kind, tstamp due,
                          struct relayed_job **out)
{
    struct relayed_job *j = mem_alloc(r->cfg.mem, sizeof(*j));

    if (j == NULL) {
        return QUDAG_ENOMEM;
    }
    j->kind = kind;
    dyn_init(&j->frame, r->cfg.mem, RELAYED_FRAME_MAX);
    dyn_init(&j->early, r->cfg.mem, CIRCUIT_EARLY_MAX);
    qudag_err err = slots_add(&r->jobs, j, &j->self);
    if (err == QUDAG_OK) {
        err = heap_set(&r->timers, &j->timer, due);
    }
    if (err != QUDAG_OK) {
        relayed_job_free(r, j);
        return err;
    }
    *out = j;
    return QUDAG_OK;
}

void relayed_job_free(struct relayed *r, struct relayed_job *j)
{
    if (!ref_none(j->strm)) {
        (void)map_u64_del(&r->by_strm, ref_to_u64(j->strm));
    }
    heap_del(&r->timers, &j->timer);
    dyn_fini(&j->frame);
    dyn_fini(&j->early);
    slots_del(&r->jobs, j->self);
    mem_free(r->cfg.mem, j);
}

bool relayed_job_stream(struct relayed *r, struct relayed_job *j, struct ref strm)
{
    if (map_u64_put(&r->by_strm, ref_to_u64(strm), j) != QUDAG_OK) {
        return false;
    }
    j->strm = strm;
    return true;
}

static bool write_msg(struct relayed_job *j, enum circuit_side side, const struct circuit_msg *m,
                      struct acts *out)
{
    uint8_t bytes[RELAYED_FRAME_MAX];
    struct wr w = wr_init(bytes, sizeof(bytes));

    if (circuit_msg_write(&w, side, m) != QUDAG_OK) {
        return false;
    }
    acts_write(out, j->strm, bytes, w.len);
    j->own += w.len;
    return true;
}

void relayed_job_fail(struct relayed *r, struct relayed_job *j, qudag_err err, uint32_t status,
                      tstamp now, struct acts *out)
{
    if (!ref_none(j->strm)) {
        acts_reset(out, j->strm, QUDAG_ECANCELED);
    }
    if (j->kind == RELAYED_RESERVING) {
        relayed_place_done(r, &j->info.relay, err, NULL, now, out);
    } else if (j->kind == RELAYED_CONNECTING) {
        struct act *a = acts_up(out, RELAYED_UP_FAILED);
        a->cookie = j->cookie;
        a->err = err;
        a->n = status;
        r->stats.connects_failed++;
    }
    relayed_job_free(r, j);
}

/* ------------------------------------------------------------------ we ask */

void relayed_content(struct relayed *r, struct relayed_job *j, struct slice in, struct acts *out)
{
    if (in.len == 0) {
        return;
    }
    j->in += in.len;
    r->stats.bytes_in += in.len;
    struct slice copy = acts_copy(out, in.base, in.len);
    if (copy.base != NULL) { /* else the host ends the stream */
        struct act *a = acts_up(out, RELAYED_UP_DATA);
        a->obj = j->self;
        a->data = copy;
    }
}

/* What is to be the first on it, if it has not gone yet. */
static void write_early(struct relayed *r, struct relayed_job *j, struct acts *out)
{
    if (j->early.len > 0) {
        j->queued += j->early.len;
        j->out += j->early.len;
        r->stats.bytes_out += j->early.len;
        acts_write(out, j->strm, j->early.p, j->early.len);
    }
    dyn_fini(&j->early);
}

qudag_err relayed_connect(struct relayed *r, const struct relayed_info *to, struct slice early,
                          uint64_t cookie, tstamp now, struct acts *out)
{
    struct relayed_job *j;

    if (to->relay.len == 0 || to->peer.len == 0 || peer_id_eq(&to->peer, &r->cfg.self) ||
        peer_id_eq(&to->relay, &r->cfg.self) || peer_id_eq(&to->relay, &to->peer)) {
        return QUDAG_EINVAL;
    }
    qudag_err err = relayed_job_new(r, RELAYED_CONNECTING, tstamp_after(now, RELAYED_TIMEOUT), &j);
    if (err != QUDAG_OK) {
        return err;
    }
    if ((err = dyn_append(&j->early, early.base, early.len)) != QUDAG_OK) {
        relayed_job_free(r, j);
        return err;
    }
    j->cookie = cookie;
    j->info.relay = to->relay;
    j->info.peer = to->peer;
    (void)acts_open(out, &to->relay, ref_to_u64(j->self), 0);
    return QUDAG_OK;
}

bool relayed_cancel(struct relayed *r, uint64_t cookie, struct acts *out)
{
    for (uint32_t i = 0; i < r->jobs.high; i++) {
        struct relayed_job *j = slots_at(&r->jobs, i);
        if (j != NULL && j->kind == RELAYED_CONNECTING && j->state < RELAYED_CARRYING &&
            j->cookie == cookie) {
            if (!ref_none(j->strm)) {
                acts_reset(out, j->strm, QUDAG_ECANCELED);
            }
            relayed_job_free(r, j);
            return true;
        }
    }
    return false;
}

void relayed_job_opened(struct relayed *r, struct relayed_job *j, const struct ev *ev, tstamp now,
                        struct acts *out)
{
    struct circuit_msg m = {.type = CIRCUIT_RESERVE};

    if (!relayed_rule_carrier(ev->props, &j->info.relay) || !relayed_job_stream(r, j, ev->strm)) {
        acts_reset(out, ev->strm, QUDAG_ECANCELED);
        relayed_job_fail(r, j, QUDAG_EPOLICY, 0, now, out);
        return;
    }
    if (j->kind == RELAYED_CONNECTING) {
        m.type = CIRCUIT_CONNECT;
        m.peer = j->info.peer;
    }
    j->state = RELAYED_ASKED;
    if (!write_msg(j, CIRCUIT_HOP, &m, out)) {
        relayed_job_fail(r, j, QUDAG_EINTERNAL, 0, now, out);
    } else if (relayed_rule_early_bytes(ev->props)) {
        write_early(r, j, out);
    }
}

static void carries(struct relayed *r, struct relayed_job *j, enum relayed_up kind, tstamp now,
                    struct acts *out)
{
    j->state = RELAYED_CARRYING;
    j->since = now;
    dyn_fini(&j->frame);
    relayed_job_due(r, j, TSTAMP_NEVER);
    struct act *a = acts_up_copy(out, (uint16_t)kind, &j->info, sizeof(j->info));
    if (a != NULL) {
        a->cookie = j->cookie;
        a->obj = j->self;
    }
}

static void answered(struct relayed *r, struct relayed_job *j, struct slice body, struct slice rest,
                     tstamp now, struct acts *out)
{
    struct circuit_msg m;
    qudag_err err = circuit_msg_read(&m, CIRCUIT_HOP, body);

    if (j->kind == RELAYED_RESERVING && err == QUDAG_OK) {
        relayed_place_done(r, &j->info.relay, QUDAG_OK, &m, now, out);
        acts_fin(out, j->strm);
        dyn_fini(&j->frame);
        j->state = RELAYED_CLOSING;
        relayed_job_due(r, j, tstamp_after(now, RELAYED_LINGER));
        return;
    }
    if (err == QUDAG_OK) {
        err = m.type == CIRCUIT_STATUS ? circuit_status_err(m.status) : QUDAG_EPROTO;
    }
    if (err != QUDAG_OK) {
        relayed_job_fail(r, j, err, err == QUDAG_EMALFORMED ? 0 : m.status, now, out);
        return;
    }
    j->info.limit = m.limit;
    r->stats.connects++;
    write_early(r, j, out);
    carries(r, j, RELAYED_UP_OPENED, now, out);
    relayed_content(r, j, rest, out);
}

/* ------------------------------------------------------------------ we are asked */

static uint32_t accepted_of(const struct relayed *r, const struct peer_id *relay)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < r->jobs.high; i++) {
        const struct relayed_job *j = slots_at(&r->jobs, i);
        n += j != NULL && j->kind == RELAYED_ACCEPTING && peer_id_eq(&j->info.relay, relay) ? 1 : 0;
    }
    return n;
}

void relayed_stop_open(struct relayed *r, const struct ev *ev, tstamp now, struct acts *out)
{
    struct relayed_job *j;

    if (ev->peer == NULL || ev->peer->len == 0 || (ev->props & LINK_ANON) != 0) {
        acts_reset(out, ev->strm, QUDAG_EUNSUPPORTED); /* or callers learn which node this is */
        return;
    }
    if (!relayed_rule_carrier(ev->props, ev->peer) || !relayed_holds(r, ev->peer)) {
        r->stats.not_accepted++; /* only those relays may bring peers that we asked to */
        acts_reset(out, ev->strm, QUDAG_EREFUSED);
        return;
    }
    qudag_err err =
        accepted_of(r, ev->peer) < RELAYED_STREAMS_RELAY
            ? relayed_job_new(r, RELAYED_ACCEPTING, tstamp_after(now, RELAYED_TIMEOUT), &j)
            : QUDAG_ELIMIT;
    if (err != QUDAG_OK) {
        r->stats.not_accepted++;
        acts_reset(out, ev->strm, err);
        return;
    }
    j->state = RELAYED_ASKED;
    j->early_ok = relayed_rule_early_bytes(ev->props);
    j->info = (struct relayed_info){.relay = *ev->peer, .inbound = true, .net = ev->net};
    if (!relayed_job_stream(r, j, ev->strm)) {
        acts_reset(out, ev->strm, QUDAG_ENOMEM);
        relayed_job_free(r, j);
    }
}

/* The relay is told why not. */
static void refuse(struct relayed *r, struct relayed_job *j, enum circuit_status status, tstamp now,
                   struct acts *out)
{
    struct circuit_msg m = {.type = CIRCUIT_STATUS, .status = status};

    r->stats.not_accepted++;
    (void)write_msg(j, CIRCUIT_STOP, &m, out);
    acts_fin(out, j->strm);
    dyn_fini(&j->frame);
    j->state = RELAYED_CLOSING;
    relayed_job_due(r, j, tstamp_after(now, RELAYED_LINGER));
}

static void asked(struct relayed *r, struct relayed_job *j, struct slice body, struct slice rest,
                  tstamp now, struct acts *out)
{
    struct circuit_msg m, ok = {.type = CIRCUIT_STATUS, .status = CIRCUIT_OK};

    if (circuit_msg_read(&m, CIRCUIT_STOP, body) != QUDAG_OK ||
        (m.type == CIRCUIT_CONNECT && m.peer.len == 0)) {
        refuse(r, j, CIRCUIT_MALFORMED_MESSAGE, now, out);
        return;
    }
    if (m.type != CIRCUIT_CONNECT || (rest.len > 0 && !j->early_ok)) {
        refuse(r, j, CIRCUIT_UNEXPECTED_MESSAGE, now, out);
        return;
    }
    if (peer_id_eq(&m.peer, &r->cfg.self) || peer_id_eq(&m.peer, &j->info.relay)) {
        refuse(r, j, CIRCUIT_PERMISSION_DENIED, now, out);
        return;
    }
    j->info.peer = m.peer;
    j->info.limit = m.limit;
    (void)write_msg(j, CIRCUIT_STOP, &ok, out);
    r->stats.accepted++;
    carries(r, j, RELAYED_UP_INCOMING, now, out);
    relayed_content(r, j, rest, out);
}

void relayed_job_data(struct relayed *r, struct relayed_job *j, struct slice in, tstamp now,
                      struct acts *out)
{
    struct slice body;
    qudag_err err = relayed_frame_take(&j->frame, &in, &body);

    if (err == QUDAG_EAGAIN) {
        return;
    }
    if (err != QUDAG_OK && j->kind == RELAYED_ACCEPTING) {
        refuse(r, j, CIRCUIT_MALFORMED_MESSAGE, now, out);
    } else if (err != QUDAG_OK) {
        relayed_job_fail(r, j, err, 0, now, out);
    } else if (j->kind == RELAYED_ACCEPTING) {
        asked(r, j, body, in, now, out);
    } else {
        answered(r, j, body, in, now, out);
    }
}
