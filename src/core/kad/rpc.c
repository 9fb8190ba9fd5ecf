/*
 * rpc.c - one request to one peer, on a stream of its own.
 *
 *   OPEN --stream open--> write request --answer--> fin, LINGER until the remote has finished too
 *     |                        |                      (ADD_PROVIDER has no answer: we finish at once and
 *     '--fail, time--> job     '--reset, time--> job    their fin is the acknowledgement)
 *
 * Three times (rtt.c): after the soft one the lookup may ask another beside this one, after the late one it
 * waits no longer, after the hard one the request has failed.  First for the dialling, then from the write.
 * A request whose job has ended goes on by itself: whether it is answered says who lives.
 */
#include "core/kad/kad_int.h"

#include "base/assert.h"
#include "base/rd.h"

#include <string.h>

int kad_frame(struct slice in, struct slice *msg, size_t *used)
{
    size_t len = 0;

    for (size_t i = 0; i < 3; i++) {
        if (i == in.len) {
            return 0;
        }
        len |= (size_t)(in.base[i] & 0x7fu) << (7 * i);
        if ((in.base[i] & 0x80u) != 0) {
            continue;
        }
        if ((in.base[i] == 0 && i > 0) || len > KAD_MSG_IN_MAX) {
            return -1;
        }
        if (len > in.len - i - 1) {
            return 0;
        }
        *msg = (struct slice){in.base + i + 1, len};
        *used = i + 1 + len;
        return 1;
    }
    return -1;
}

static void rpc_free(struct kad *k, struct kad_rpc *r)
{
    heap_del(&k->timers, &r->timer.node);
    slots_del(&k->rpcs, r->name);
    if (!ref_none(r->strm)) {
        kad_names_del(&k->rpc_by_strm, kad_strm_name(r->strm));
    }
    if (r->check) {
        k->n_checks--;
    }
    list_del(&r->node);
    dyn_fini(&r->in);
    kad_peer_unref(r->peer);
    mem_free(k->cfg.mem, r);
}

void kad_rpc_abort(struct kad *k, struct kad_rpc *r, struct acts *out)
{
    if (out != NULL && !ref_none(r->strm)) {
        acts_reset(out, r->strm, QUDAG_ECANCELED);
    }
    rpc_free(k, r);
}

void kad_rpc_detach(struct kad *k, struct kad_rpc *r)
{
    list_del(&r->node);
    list_push_back(&k->loose, &r->node);
    r->job = NULL;
}

static qudag_err open_timer(struct kad *k, struct kad_rpc *r, tstamp now)
{
    struct kad_waits w = kad_waits_dial(k);

    r->began = now;
    r->late = tstamp_after(now, w.late);
    r->hard = tstamp_after(now, w.hard);
    return kad_timer_set(k, &r->timer, tstamp_after(now, w.soft));
}

qudag_err kad_rpc_start(struct kad *k, struct kad_job *job, struct kad_peer *peer,
                        struct kad_call call, tstamp now, struct acts *out)
{
    struct kad_rpc *r = mem_alloc(k->cfg.mem, sizeof(*r));

    if (r == NULL) {
        return QUDAG_ENOMEM;
    }
    *r = (struct kad_rpc){.job = job, .call = call, .state = KAD_RPC_OPENING};
    list_init(&r->node);
    dyn_init(&r->in, k->cfg.mem, KAD_MSG_IN_MAX + 3);
    r->timer = (struct kad_timer){.kind = KAD_TIMER_RPC, .owner = r};
    qudag_err err = slots_add(&k->rpcs, r, &r->name);
    if (err != QUDAG_OK) {
        mem_free(k->cfg.mem, r);
        return err;
    }
    r->peer = kad_peer_ref(peer);
    err = open_timer(k, r, now);
    if (err != QUDAG_OK) {
        rpc_free(k, r);
        return err;
    }
    list_push_back(job != NULL ? &job->rpcs_list : &k->loose, &r->node);

    uint8_t hints[KAD_HINTS_MAX];
    size_t len = kad_peer_hints(hints, peer);
    struct slice raw = kad_peer_id(peer);
    struct peer_id id = {.len = (uint8_t)raw.len};
    memcpy(id.b, raw.base, raw.len);
    struct act *a = acts_open(out, &id, ref_to_u64(r->name), k->cfg.need);
    if (len > 0) {
        a->data = acts_copy(out, hints, len);
    }
    k->stats.rpcs_out++;
    return QUDAG_OK;
}

void kad_check(struct kad *k, struct kad_peer *peer, tstamp now, struct acts *out)
{
    if (k->n_checks >= KAD_CHECKS_MAX || !kad_room(k, out, 4, KAD_HINTS_MAX)) {
        return;
    }
    LIST_EACH(it, &k->checks)
    {
        if (kad_peer_same(LIST_ENTRY(it, struct kad_rpc, node)->peer, peer)) {
            return;
        }
    }
    if (kad_rpc_start(k, NULL, peer, (struct kad_call){.type = KAD_FIND_NODE}, now, out) !=
        QUDAG_OK) {
        return; /* the next maintenance tries again */
    }
    struct kad_rpc *r = LIST_ENTRY(k->loose.prev, struct kad_rpc, node);
    list_del(&r->node);
    list_push_back(&k->checks, &r->node);
    r->check = true;
    k->n_checks++;
}

/* Encodes the request into the scratch area; 0 on failure. */
static size_t request(struct kad *k, const struct kad_rpc *r)
{
    const struct kad_job *j = r->job;
    struct kad_msg m = {.type = r->call.type};
    uint8_t place[KAD_PLACE_KEY];
    size_t len = 0;

    m.key = j == NULL ? peer_id_slice(&k->cfg.self) : (struct slice){j->key, j->key_len};
    if (j != NULL && r->call.alt != KAD_ALT_NONE) {
        if (!kad_job_place(k, j, r->call.alt, place)) {
            return 0;
        }
        m.key = (struct slice){place, sizeof(place)};
    }
    m.want_digest =
        r->call.type == KAD_GET_VALUE && !r->call.full && j != NULL && kad_get_by_digest(j);
    if (r->call.type == KAD_PUT_VALUE && j != NULL) {
        m.has_record = true;
        m.rec_key = m.key;
        m.rec_value = (struct slice){j->value, j->value_len};
    }
    if (r->call.type == KAD_ADD_PROVIDER) {
        m.providers = k->scratch->providers;
        kad_peer_fill(&m.providers[0], k->me);
        m.n_providers = 1;
    }
    if (kad_msg_encode(k->scratch->buf, KAD_MSG_MAX, &len, &m) != QUDAG_OK) {
        return 0;
    }
    return len;
}

/* Nobody wants the answer any more, but a link stands: the peer lives. */
static void opened_for_nobody(struct kad *k, struct kad_rpc *r, struct ref strm, tstamp now,
                              struct acts *out)
{
    acts_reset(out, strm, QUDAG_ECANCELED);
    kad_alive(k, r->peer, now);
    rpc_free(k, r);
}

void kad_rpc_opened(struct kad *k, struct kad_rpc *r, struct ref strm, tstamp now, struct acts *out)
{
    if (r->state != KAD_RPC_OPENING || ref_none(strm)) {
        acts_reset(out, strm, QUDAG_ESTATE);
        return;
    }
    if (now - r->began >= KAD_DIAL_SAMPLE) {
        kad_guess_note(&k->dials, now - r->began);
    }
    if (r->job == NULL && !r->check) {
        opened_for_nobody(k, r, strm, now, out);
        return;
    }
    if (kad_names_get(&k->rpc_by_strm, kad_strm_name(strm)) != NULL ||
        kad_names_add(&k->rpc_by_strm, kad_strm_name(strm), r) != QUDAG_OK) {
        acts_reset(out, strm, QUDAG_ENOMEM);
        r->refused = true; /* our fault, not the peer's */
        kad_rpc_failed(k, r, false, now, out);
        return;
    }
    r->strm = strm;
    r->state = KAD_RPC_WAITING;
    r->sent = now;
    size_t len = request(k, r);
    if (len == 0) {
        r->refused = true;
        kad_rpc_failed(k, r, true, now, out);
        return;
    }
    acts_write(out, strm, k->scratch->buf, len);
    acts_fin(out, strm); /* with the request: the answer's end can come with the answer */
    struct kad_waits w = kad_waits_answer(k, r->peer);
    r->late = tstamp_after(now, w.late);
    r->hard = tstamp_after(now, w.hard);
    r->stage = KAD_STAGE_EARLY;
    if (kad_timer_set(k, &r->timer, tstamp_after(now, w.soft)) != QUDAG_OK) {
        kad_rpc_failed(k, r, true, now, out);
    }
}

void kad_rpc_failed(struct kad *k, struct kad_rpc *r, bool reset, tstamp now, struct acts *out)
{
    struct kad_job *j = r->job;
    bool lingering = r->state == KAD_RPC_LINGER;

    if (reset && !ref_none(r->strm)) {
        acts_reset(out, r->strm, QUDAG_ETIMEOUT);
    }
    if (lingering) {
        rpc_free(k, r);
        return;
    }
    if (!r->refused) {
        kad_unanswered(k, r->peer, now);
    }
    if (r->check) {
        tstamp less = k->idle_check / 4 * 3;
        k->idle_check = less < KAD_IDLE_CHECK_MIN ? KAD_IDLE_CHECK_MIN : less;
    }
    if (j != NULL) {
        list_del(&r->node); /* the job may end and abort what is in its list */
        r->job = NULL;
        kad_job_fail(k, j, r, now, out);
    }
    rpc_free(k, r);
}

/*
 * Giving up the stream is how a node refuses a record, as one of a namespace it does not know.  Were it
 * held against it, announcing one record could cost us every peer that does not want it.
 */
static void mark_refusal(struct kad_rpc *r)
{
    r->refused = r->state == KAD_RPC_WAITING && r->call.type == KAD_PUT_VALUE;
}

/* What a node says that does not want this request now; other errors tell of the link, or of a non-server. */
static bool says_busy(qudag_err err)
{
    return err == QUDAG_ELIMIT || err == QUDAG_ENOMEM || err == QUDAG_EREFUSED ||
           err == QUDAG_ERESET;
}

/*
 * Whether a stream that did not open, or ended, tells nothing of the peer: we gave it up, we lack room, or
 * the link was closed in order by either side.  What has timed out or cannot be reached is silent.
 */
static bool says_nothing(qudag_err err)
{
    return err == QUDAG_ECANCELED || err == QUDAG_ECLOSED || err == QUDAG_ELIMIT ||
           err == QUDAG_ENOMEM;
}

/* A storer that finds the time in our record wrong: its clock is, or ours. */
static void report_clock(const struct kad_rpc *r, qudag_err err, struct acts *out)
{
    if (r->refused && (err == QUDAG_ECLOCK || err == QUDAG_EEXPIRED)) {
        struct act *a = acts_up(out, KAD_UP_CLOCK);
        struct slice id = kad_peer_id(r->peer);
        a->err = err;
        a->peer.len = (uint8_t)id.len;
        memcpy(a->peer.b, id.base, id.len);
    }
}

void kad_rpc_reset(struct kad *k, struct kad_rpc *r, qudag_err err, tstamp now, struct acts *out)
{
    mark_refusal(r);
    report_clock(r, err, out);
    if (r->state == KAD_RPC_WAITING && !r->refused && says_busy(err)) {
        r->refused = true;
        kad_gave_up(k, r->peer, now);
    }
    r->refused = r->refused || says_nothing(err);
    kad_rpc_failed(k, r, false, now, out);
}

/* The answer is in: the stream is given up once the remote has finished too. */
static void rpc_answered(struct kad *k, struct kad_rpc *r, const struct kad_msg *m, tstamp now,
                         struct acts *out)
{
    struct kad_job *j = r->job;
    tstamp rtt = now - r->sent;

    kad_rpc_detach(k, r);
    r->state = KAD_RPC_LINGER;
    if (r->check) {
        r->check = false;
        k->n_checks--;
        k->idle_check = tstamp_min(k->idle_check / 16 * 17, KAD_IDLE_CHECK);
    }
    kad_failing_note(k, false);
    if (!kad_is_store(r->call.type)) {
        kad_guess_note(&k->answers, tstamp_min(rtt, kad_waits_answer(k, r->peer).late));
    }
    kad_answered(k, r->peer, rtt, now, out);
    if (j != NULL) {
        kad_job_reply(k, j, r, m, now, out);
    }
}

static void bad_answer(struct kad *k, struct kad_rpc *r, enum kad_refusal why, tstamp now,
                       struct acts *out)
{
    kad_refuse(k, why);
    if (why == KAD_REFUSED_NO_MEMORY) {
        r->refused = true; /* our fault, not the peer's */
    } else if (r->call.type != KAD_ADD_PROVIDER) {
        kad_lied(k, r->peer, now); /* some implementations answer what needs no answer */
    }
    kad_rpc_failed(k, r, true, now, out);
}

/* Why the beginning of an answer could not be kept. */
static enum kad_refusal not_kept(qudag_err err)
{
    return err == QUDAG_ENOMEM ? KAD_REFUSED_NO_MEMORY : KAD_REFUSED_OVERSIZED;
}

void kad_rpc_data(struct kad *k, struct kad_rpc *r, struct slice data, tstamp now, struct acts *out)
{
    struct slice msg, in = data;
    size_t used, dropped = 0;
    qudag_err err = QUDAG_OK;

    if (r->state != KAD_RPC_WAITING || r->call.type == KAD_ADD_PROVIDER) {
        bad_answer(k, r, KAD_REFUSED_UNASKED, now, out);
        return;
    }
    if (r->in.len > 0) {
        err = dyn_append(&r->in, data.base, data.len);
        in = dyn_slice(&r->in);
    }
    int got = err == QUDAG_OK ? kad_frame(in, &msg, &used) : -1;
    if (got == 0 && r->in.len == 0) {
        err = dyn_append(&r->in, data.base, data.len);
    }
    if (got == 0 && err == QUDAG_OK) {
        return;
    }
    if (got <= 0) {
        bad_answer(k, r, not_kept(err), now, out);
        return;
    }
    struct kad_msg m = {.raw = k->scratch->raw, .providers = k->scratch->providers};
    err = kad_msg_decode(&m, &dropped, msg);
    if (err != QUDAG_OK || m.type != r->call.type) {
        enum kad_refusal why = err != QUDAG_OK ? kad_refusal_of_msg(err) : KAD_REFUSED_OTHER_TYPE;
        bad_answer(k, r, why, now, out);
        return;
    }
    kad_refuse_n(k, KAD_REFUSED_PEER_MANY, dropped);
    if (kad_timer_set(k, &r->timer, tstamp_after(now, KAD_LINGER)) != QUDAG_OK) {
        k->more = true;
    }
    rpc_answered(k, r, &m, now, out);
    dyn_drop(&r->in, r->in.len);
}

void kad_rpc_fin(struct kad *k, struct kad_rpc *r, tstamp now, struct acts *out)
{
    if (r->state == KAD_RPC_LINGER) {
        rpc_free(k, r);
        return;
    }
    if (r->call.type == KAD_ADD_PROVIDER && r->state == KAD_RPC_WAITING) {
        rpc_answered(k, r, NULL, now, out);
        rpc_free(k, r);
        return;
    }
    mark_refusal(r);
    kad_rpc_failed(k, r, true, now, out);
}

void kad_rpc_timer(struct kad *k, struct kad_rpc *r, tstamp now, struct acts *out)
{
    struct kad_job *j = r->job;

    if (now >= r->hard || r->state == KAD_RPC_LINGER) {
        k->stats.timeouts += r->state == KAD_RPC_LINGER ? 0 : 1;
        kad_rpc_failed(k, r, true, now, out);
        return;
    }
    r->stage = r->stage == KAD_STAGE_EARLY && now < r->late ? KAD_STAGE_SOFT : KAD_STAGE_LATE;
    if (r->stage == KAD_STAGE_LATE) {
        kad_failing_note(k, true);
    }
    tstamp at = r->stage == KAD_STAGE_SOFT ? r->late : r->hard;
    if (kad_timer_set(k, &r->timer, at) != QUDAG_OK) {
        kad_rpc_failed(k, r, true, now, out);
        return;
    }
    if (j != NULL) {
        kad_job_slow(k, j, r, now, out);
    }
}
