/*
 * rpc.c - one request to one peer, on a stream of its own.
 *
 *   OPEN --stream open--> write request --answer--> fin, LINGER until the remote has finished too
 *     |                        |                      (ADD_PROVIDER has no answer: we finish at once and
 *     '--fail, time--> job     '--reset, time--> job    their fin is the acknowledgement)
 *
 * Two timers: after the soft one the lookup may ask another peer beside this one, after the hard one
 * the request has failed.  Dialling has limits of its own; the round trip is measured from the write.
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

qudag_err kad_rpc_start(struct kad *k, struct kad_job *job, struct kad_peer *peer,
                        enum kad_type type, tstamp now, struct acts *out)
{
    struct kad_rpc *r = mem_alloc(k->cfg.mem, sizeof(*r));

    if (r == NULL) {
        return QUDAG_ENOMEM;
    }
    *r = (struct kad_rpc){.job = job, .type = type, .state = KAD_RPC_OPENING};
    list_init(&r->node);
    dyn_init(&r->in, k->cfg.mem, KAD_MSG_IN_MAX + 3);
    r->timer = (struct kad_timer){.kind = KAD_TIMER_RPC, .owner = r};
    qudag_err err = slots_add(&k->rpcs, r, &r->name);
    if (err != QUDAG_OK) {
        mem_free(k->cfg.mem, r);
        return err;
    }
    r->peer = kad_peer_ref(peer);
    r->hard = tstamp_after(now, KAD_DIAL_HARD);
    err = kad_timer_set(k, &r->timer, tstamp_after(now, KAD_DIAL_SOFT));
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
    struct act *a = acts_open(out, &id, (uint64_t)r->name.gen << 32 | r->name.slot, k->cfg.need);
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
    LIST_EACH(it, &k->loose)
    {
        const struct kad_rpc *r = LIST_ENTRY(it, struct kad_rpc, node);
        if (r->check && kad_peer_same(r->peer, peer)) {
            return;
        }
    }
    if (kad_rpc_start(k, NULL, peer, KAD_FIND_NODE, now, out) != QUDAG_OK) {
        return; /* the next maintenance tries again */
    }
    LIST_ENTRY(k->loose.prev, struct kad_rpc, node)->check = true;
    k->n_checks++;
}

/* Encodes the request into the scratch area; 0 on failure. */
static size_t request(struct kad *k, const struct kad_rpc *r)
{
    const struct kad_job *j = r->job;
    struct kad_msg m = {.type = r->type};
    size_t len = 0;

    m.key = j == NULL ? peer_id_slice(&k->cfg.self) : (struct slice){j->key, j->key_len};
    if (r->type == KAD_PUT_VALUE && j != NULL) {
        m.has_record = true;
        m.rec_key = m.key;
        m.rec_value = (struct slice){j->value, j->value_len};
    }
    if (r->type == KAD_ADD_PROVIDER) {
        m.providers = &k->self_info;
        m.n_providers = 1;
    }
    if (kad_msg_encode(k->scratch->buf, KAD_MSG_MAX, &len, &m) != QUDAG_OK) {
        return 0;
    }
    return len;
}

void kad_rpc_opened(struct kad *k, struct kad_rpc *r, struct ref strm, tstamp now, struct acts *out)
{
    if (r->state != KAD_RPC_OPENING || ref_none(strm)) {
        acts_reset(out, strm, QUDAG_ESTATE);
        return;
    }
    if (kad_names_get(&k->rpc_by_strm, kad_strm_name(strm)) != NULL ||
        kad_names_add(&k->rpc_by_strm, kad_strm_name(strm), r) != QUDAG_OK) {
        acts_reset(out, strm, QUDAG_ENOMEM);
        kad_rpc_failed(k, r, false, now, out);
        return;
    }
    r->strm = strm;
    r->state = KAD_RPC_WAITING;
    r->sent = now;
    size_t len = request(k, r);
    if (len == 0) {
        kad_rpc_failed(k, r, true, now, out);
        return;
    }
    acts_write(out, strm, k->scratch->buf, len);
    tstamp hard = kad_peer_hard(r->peer);
    if (r->type == KAD_PUT_VALUE || r->type == KAD_ADD_PROVIDER) {
        /* The peer checks signatures before it answers; nothing is gained by giving up early. */
        hard = hard < KAD_STORE_HARD_MIN ? KAD_STORE_HARD_MIN : hard;
    }
    if (r->type == KAD_ADD_PROVIDER) {
        acts_fin(out, strm);
    }
    r->hard = tstamp_after(now, hard);
    r->softened = false;
    if (kad_timer_set(k, &r->timer, tstamp_after(now, kad_peer_soft(r->peer))) != QUDAG_OK) {
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
    r->refused = r->state == KAD_RPC_WAITING && r->type == KAD_PUT_VALUE;
}

void kad_rpc_reset(struct kad *k, struct kad_rpc *r, tstamp now, struct acts *out)
{
    mark_refusal(r);
    kad_rpc_failed(k, r, false, now, out);
}

/* The answer is in: the stream is given up once the remote has finished too. */
static void rpc_answered(struct kad *k, struct kad_rpc *r, const struct kad_msg *m, tstamp now,
                         struct acts *out)
{
    struct kad_job *j = r->job;
    tstamp rtt = now - r->sent;

    list_del(&r->node);
    list_push_back(&k->loose, &r->node);
    r->job = NULL;
    r->state = KAD_RPC_LINGER;
    if (r->check) {
        r->check = false;
        k->n_checks--;
    }
    kad_answered(k, r->peer, rtt, now, out);
    if (j != NULL) {
        kad_job_reply(k, j, r, m, now, out);
    }
}

void kad_rpc_data(struct kad *k, struct kad_rpc *r, struct slice data, tstamp now, struct acts *out)
{
    struct slice msg, in = data;
    size_t used, dropped = 0;

    if (r->state != KAD_RPC_WAITING || r->type == KAD_ADD_PROVIDER) {
        k->stats.bad_messages++; /* an answer to nothing asked */
        kad_rpc_failed(k, r, true, now, out);
        return;
    }
    if (r->in.len > 0) {
        if (dyn_append(&r->in, data.base, data.len) != QUDAG_OK) {
            k->stats.bad_messages++;
            kad_rpc_failed(k, r, true, now, out);
            return;
        }
        in = dyn_slice(&r->in);
    }
    int got = kad_frame(in, &msg, &used);
    if (got == 0) {
        if (r->in.len > 0 || dyn_append(&r->in, data.base, data.len) == QUDAG_OK) {
            return;
        }
        got = -1;
    }
    struct kad_msg m = {.raw = k->scratch->raw, .providers = k->scratch->providers};
    if (got < 0 || kad_msg_decode(&m, &dropped, msg) != QUDAG_OK || m.type != r->type) {
        k->stats.bad_messages++;
        kad_rpc_failed(k, r, true, now, out);
        return;
    }
    k->stats.dropped_peers += dropped;
    acts_fin(out, r->strm);
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
    if (r->type == KAD_ADD_PROVIDER && r->state == KAD_RPC_WAITING) {
        rpc_answered(k, r, NULL, now, out);
        rpc_free(k, r);
        return;
    }
    mark_refusal(r);
    kad_rpc_failed(k, r, true, now, out);
}

void kad_rpc_timer(struct kad *k, struct kad_rpc *r, tstamp now, struct acts *out)
{
    if (now >= r->hard || r->state == KAD_RPC_LINGER) {
        k->stats.timeouts += r->state == KAD_RPC_LINGER ? 0 : 1;
        kad_rpc_failed(k, r, true, now, out);
        return;
    }
    if (kad_timer_set(k, &r->timer, r->hard) != QUDAG_OK) {
        kad_rpc_failed(k, r, true, now, out);
        return;
    }
    if (!r->softened && r->job != NULL && r->job->phase == KAD_PHASE_LOOKUP) {
        r->softened = true;
        kad_query_soft(&r->job->q, r->peer);
        kad_job_run(k, r->job, now, out);
    }
}
