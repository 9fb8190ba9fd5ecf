/*
 * rpc.c - one message to one node and its answer, on a stream of its own.
 *
 *   OPEN --stream open--> write request --answer--> fin, LINGER until the remote has finished too
 *     |                        |                      (ADD_PROVIDER has no answer: we finish at once and
 *     '--fail, time--> owner     '--reset, time--> owner    their fin is the acknowledgement)
 *
 * Two nodes that dial each other have two links, and some implementations close one of them with the requests on it.
 * A request whose link was closed is therefore sent once more if the peer has another; nobody is dialled for it, since
 * most links are closed by peers that leave (doc/decisions/0007).
 *
 * Three timeouts (rtt.c): after the soft one the lookup may ask another node in parallel, after the late one
 * it no longer waits, after the hard one the RPC has failed. They run for dialling first, then from the write.
 * An RPC outlives its owner: its answer, or the lack of one, shows whether the node is alive.
 */
#include "core/kad/lookup/rpc.h"

#include "core/kad/common/frame.h"

#include <string.h>

void kad_rpcs_init(struct kad_rpcs *rs, struct kad_env *env, struct kad_routing *routing)
{
    rs->env = env;
    rs->routing = routing;
    slots_init(&rs->slots, env->mem, KAD_RPCS_MAX);
    map_init_u64(&rs->by_strm, env->mem, NULL, 0, KAD_RPCS_MAX);
    list_init(&rs->detached);
    list_init(&rs->checks);
    kad_rtt_init(&rs->rtt);
}

struct kad_rpc *kad_rpc_by_cookie(const struct kad_rpcs *rs, uint64_t cookie)
{
    return slots_get(&rs->slots, ref_from_u64(cookie));
}

static void rpc_free(struct kad_rpcs *rs, struct kad_rpc *r)
{
    heap_del(&rs->env->timers, &r->timer.node);
    slots_del(&rs->slots, r->name);
    if (!ref_none(r->strm)) {
        (void)map_u64_del(&rs->by_strm, ref_to_u64(r->strm));
    }
    if (r->check) {
        rs->n_checks--;
    }
    list_del(&r->node);
    dyn_fini(&r->in);
    kad_contact_unref(r->peer);
    mem_free(rs->env->mem, r);
}

void kad_rpc_abort(struct kad_rpcs *rs, struct kad_rpc *r, struct acts *out)
{
    if (out != NULL && !ref_none(r->strm)) {
        acts_reset(out, r->strm, QUDAG_ECANCELED);
    }
    rpc_free(rs, r);
}

void kad_rpcs_fini(struct kad_rpcs *rs)
{
    LIST_EACH_SAFE(it, tmp, &rs->detached)
    {
        kad_rpc_abort(rs, LIST_ENTRY(it, struct kad_rpc, node), NULL);
    }
    LIST_EACH_SAFE(it, tmp, &rs->checks)
    {
        kad_rpc_abort(rs, LIST_ENTRY(it, struct kad_rpc, node), NULL);
    }
    map_fini(&rs->by_strm);
    slots_fini(&rs->slots);
}

void kad_rpc_detach(struct kad_rpcs *rs, struct kad_rpc *r)
{
    list_del(&r->node);
    list_push_back(&rs->detached, &r->node);
    r->owner = NULL;
}

static qudag_err open_timer(struct kad_rpcs *rs, struct kad_rpc *r, tstamp now)
{
    struct kad_timeouts w = kad_timeouts_dial(&rs->rtt);

    r->began = now;
    r->late = tstamp_after(now, w.late);
    r->hard = tstamp_after(now, w.hard);
    return kad_env_timer_set(rs->env, &r->timer, tstamp_after(now, w.soft));
}

static struct peer_id peer_id_of(const struct kad_contact *peer)
{
    struct slice raw = kad_contact_id(peer);
    struct peer_id id = {.len = (uint8_t)raw.len};

    memcpy(id.b, raw.base, raw.len);
    return id;
}

qudag_err kad_rpc_start(struct kad_rpcs *rs, struct kad_rpc_owner *owner, struct kad_contact *peer,
                        struct kad_call call, tstamp now, struct acts *out)
{
    struct kad_rpc *r = mem_alloc(rs->env->mem, sizeof(*r));

    if (r == NULL) {
        return QUDAG_ENOMEM;
    }
    *r = (struct kad_rpc){.owner = owner, .call = call, .state = KAD_RPC_OPENING};
    list_init(&r->node);
    dyn_init(&r->in, rs->env->mem, KAD_MSG_IN_MAX + 3);
    r->timer = (struct kad_timer){.kind = KAD_TIMER_RPC, .owner = r};
    qudag_err err = slots_add(&rs->slots, r, &r->name);
    if (err != QUDAG_OK) {
        mem_free(rs->env->mem, r);
        return err;
    }
    r->peer = kad_contact_ref(peer);
    err = open_timer(rs, r, now);
    if (err != QUDAG_OK) {
        rpc_free(rs, r);
        return err;
    }
    list_push_back(owner != NULL ? &owner->rpcs : &rs->detached, &r->node);

    uint8_t hints[KAD_HINTS_MAX];
    size_t len = kad_contact_hints(hints, peer);
    struct peer_id id = peer_id_of(peer);
    struct act *a = acts_open(out, &id, ref_to_u64(r->name), rs->env->need);
    a->no_dial = call.linked;
    if (len > 0) {
        a->data = acts_copy(out, hints, len);
    }
    rs->env->stats.rpcs_out++;
    return QUDAG_OK;
}

static void check(struct kad_rpcs *rs, struct kad_contact *peer, bool linked, tstamp now,
                  struct acts *out)
{
    struct kad_call call = {.type = KAD_FIND_NODE, .linked = linked};

    if (peer == NULL || rs->n_checks >= KAD_CHECKS_MAX ||
        !kad_env_room(rs->env, out, 4, KAD_HINTS_MAX)) {
        return;
    }
    LIST_EACH(it, &rs->checks)
    {
        if (kad_contact_same(LIST_ENTRY(it, struct kad_rpc, node)->peer, peer)) {
            return;
        }
    }
    if (kad_rpc_start(rs, NULL, peer, call, now, out) != QUDAG_OK) {
        return; /* the next maintenance tries again */
    }
    struct kad_rpc *r = LIST_ENTRY(rs->detached.prev, struct kad_rpc, node);
    list_del(&r->node);
    list_push_back(&rs->checks, &r->node);
    r->check = true;
    rs->n_checks++;
}

void kad_rpc_check(struct kad_rpcs *rs, struct kad_contact *peer, tstamp now, struct acts *out)
{
    check(rs, peer, false, now, out);
}

void kad_rpc_check_linked(struct kad_rpcs *rs, struct kad_contact *peer, tstamp now,
                          struct acts *out)
{
    check(rs, peer, true, now, out);
}

/* Encodes the request into the buffer; 0 on failure. */
static size_t request(struct kad_rpcs *rs, const struct kad_rpc *r)
{
    struct kad_msg m = {.type = r->call.type, .key = peer_id_slice(&rs->env->self)};
    uint8_t prefix[KAD_PREFIX_KEY];
    size_t len = 0;

    if (r->owner != NULL && !r->owner->ops->compose(r->owner, r, &m, prefix)) {
        return 0;
    }
    if (kad_msg_encode(rs->env->buf->bytes, KAD_MSG_MAX, &len, &m) != QUDAG_OK) {
        return 0;
    }
    return len;
}

/* Nobody wants the answer any more, but a link stands: the peer lives. */
static void opened_for_nobody(struct kad_rpcs *rs, struct kad_rpc *r, struct ref strm, tstamp now,
                              struct acts *out)
{
    acts_reset(out, strm, QUDAG_ECANCELED);
    kad_contacts_alive(rs->routing, r->peer, now);
    rpc_free(rs, r);
}

void kad_rpc_opened(struct kad_rpcs *rs, struct kad_rpc *r, struct ref strm, tstamp now,
                    struct acts *out)
{
    if (r->state != KAD_RPC_OPENING || ref_none(strm)) {
        acts_reset(out, strm, QUDAG_ESTATE);
        return;
    }
    if (now - r->began >= KAD_DIAL_SAMPLE) {
        kad_rtt_add(&rs->rtt.dials, now - r->began);
    }
    if (r->owner == NULL && !r->check) {
        opened_for_nobody(rs, r, strm, now, out);
        return;
    }
    if (map_u64_get(&rs->by_strm, ref_to_u64(strm)) != NULL ||
        map_u64_put(&rs->by_strm, ref_to_u64(strm), r) != QUDAG_OK) {
        acts_reset(out, strm, QUDAG_ENOMEM);
        r->refused = true; /* our fault, not the peer's */
        kad_rpc_failed(rs, r, false, now, out);
        return;
    }
    r->strm = strm;
    r->state = KAD_RPC_WAITING;
    r->sent = now;
    size_t len = request(rs, r);
    if (len == 0) {
        r->refused = true;
        kad_rpc_failed(rs, r, true, now, out);
        return;
    }
    acts_write(out, strm, rs->env->buf->bytes, len);
    acts_fin(out, strm); /* with the request: the answer's end can come with the answer */
    struct kad_timeouts w = kad_timeouts_answer(&rs->rtt, r->peer);
    r->late = tstamp_after(now, w.late);
    r->hard = tstamp_after(now, w.hard);
    r->stage = KAD_STAGE_EARLY;
    if (kad_env_timer_set(rs->env, &r->timer, tstamp_after(now, w.soft)) != QUDAG_OK) {
        kad_rpc_failed(rs, r, true, now, out);
    }
}

void kad_rpc_failed(struct kad_rpcs *rs, struct kad_rpc *r, bool reset, tstamp now,
                    struct acts *out)
{
    struct kad_rpc_owner *owner = r->owner;
    bool lingering = r->state == KAD_RPC_LINGER;

    if (reset && !ref_none(r->strm)) {
        acts_reset(out, r->strm, QUDAG_ETIMEOUT);
    }
    if (lingering) {
        rpc_free(rs, r);
        return;
    }
    if (!r->refused) {
        kad_contacts_unanswered(rs->routing, r->peer, r->began, now);
    }
    if (r->check && !r->refused) {
        tstamp less = rs->routing->idle_check / 4 * 3;
        rs->routing->idle_check = less < KAD_IDLE_CHECK_MIN ? KAD_IDLE_CHECK_MIN : less;
    }
    if (owner != NULL) {
        list_del(&r->node); /* the owner may end and abort what is in its list */
        r->owner = NULL;
        owner->ops->fail(owner, r, now, out);
    }
    rpc_free(rs, r);
}

/*
 * Giving up the stream is how a node refuses a record, as one of a namespace it does not know.  Were it
 * held against it, announcing one record could cost us every peer that does not want it.
 */
static void mark_refusal(struct kad_rpc *r)
{
    r->refused = r->state == KAD_RPC_WAITING && r->call.type == KAD_PUT_VALUE;
}

/* Errors by which a node declines this request; others concern the link, or mean that it is not a server. */
static bool says_busy(qudag_err err)
{
    return err == QUDAG_ELIMIT || err == QUDAG_ENOMEM || err == QUDAG_EREFUSED ||
           err == QUDAG_ERESET;
}

/*
 * Whether a stream that did not open, or ended, says nothing about the peer: we abandoned it, we lack room, or
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
        a->err = err;
        a->peer = peer_id_of(r->peer);
    }
}

/* |err| closed the stream of |r|: it is asked once more over another link, if the peer has one.  False: it is not. */
static bool ask_again(struct kad_rpcs *rs, struct kad_rpc *r, qudag_err err, tstamp now,
                      struct acts *out)
{
    bool wanted = r->owner != NULL || r->check;

    if (err != QUDAG_ECLOSED || r->state != KAD_RPC_WAITING || r->again || !wanted ||
        !kad_env_room(rs->env, out, 1, 0) || open_timer(rs, r, now) != QUDAG_OK) {
        return false;
    }
    (void)map_u64_del(&rs->by_strm, ref_to_u64(r->strm));
    r->strm = (struct ref){0};
    dyn_drop(&r->in, r->in.len);
    r->state = KAD_RPC_OPENING;
    r->again = true;
    struct peer_id id = peer_id_of(r->peer);
    acts_open_again(out, &id, ref_to_u64(r->name), rs->env->need);
    return true;
}

void kad_rpc_reset(struct kad_rpcs *rs, struct kad_rpc *r, qudag_err err, tstamp now,
                   struct acts *out)
{
    if (ask_again(rs, r, err, now, out)) {
        return;
    }
    mark_refusal(r);
    report_clock(r, err, out);
    if (r->state == KAD_RPC_WAITING && !r->refused && says_busy(err)) {
        r->refused = true;
        kad_contacts_gave_up(rs->routing, r->peer, now);
    }
    r->refused = r->refused || says_nothing(err);
    kad_rpc_failed(rs, r, false, now, out);
}

/* The answer is in: the stream is given up once the remote has finished too. */
static void rpc_answered(struct kad_rpcs *rs, struct kad_rpc *r, const struct kad_msg *m,
                         tstamp now, struct acts *out)
{
    struct kad_rpc_owner *owner = r->owner;
    tstamp rtt = now - r->sent;

    kad_rpc_detach(rs, r);
    r->state = KAD_RPC_LINGER;
    if (r->check) {
        r->check = false;
        rs->n_checks--;
        rs->routing->idle_check = tstamp_min(rs->routing->idle_check / 16 * 17, KAD_IDLE_CHECK);
    }
    kad_failing_add(&rs->rtt, false);
    if (!kad_type_stores(r->call.type)) {
        kad_rtt_add(&rs->rtt.answers, tstamp_min(rtt, kad_timeouts_answer(&rs->rtt, r->peer).late));
    }
    kad_rpc_check(rs, kad_contacts_answered(rs->routing, r->peer, rtt, now, out), now, out);
    if (owner != NULL) {
        owner->ops->reply(owner, r, m, now, out);
    }
}

static void bad_answer(struct kad_rpcs *rs, struct kad_rpc *r, enum kad_refusal why, tstamp now,
                       struct acts *out)
{
    kad_refuse(rs->env, why);
    if (why == KAD_REFUSED_NO_MEMORY) {
        r->refused = true; /* our fault, not the peer's */
    } else if (r->call.type != KAD_ADD_PROVIDER) {
        kad_contacts_misbehaved(rs->routing, r->peer,
                                now); /* some implementations answer what needs no answer */
    }
    kad_rpc_failed(rs, r, true, now, out);
}

/* Why the beginning of an answer could not be buffered. */
static enum kad_refusal not_buffered(qudag_err err)
{
    return err == QUDAG_ENOMEM ? KAD_REFUSED_NO_MEMORY : KAD_REFUSED_OVERSIZED;
}

void kad_rpc_data(struct kad_rpcs *rs, struct kad_rpc *r, struct slice data, tstamp now,
                  struct acts *out)
{
    struct slice msg, in = data;
    size_t used, dropped = 0;
    qudag_err err = QUDAG_OK;

    if (r->state != KAD_RPC_WAITING || r->call.type == KAD_ADD_PROVIDER) {
        bad_answer(rs, r, KAD_REFUSED_UNASKED, now, out);
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
        bad_answer(rs, r, not_buffered(err), now, out);
        return;
    }
    struct kad_msg m = {.raw = rs->env->buf->raw, .providers = rs->env->buf->providers};
    err = kad_msg_decode(&m, &dropped, msg);
    if (err != QUDAG_OK || m.type != r->call.type) {
        enum kad_refusal why = err != QUDAG_OK ? kad_refusal_of_msg(err) : KAD_REFUSED_OTHER_TYPE;
        bad_answer(rs, r, why, now, out);
        return;
    }
    kad_refuse_n(rs->env, KAD_REFUSED_PEER_MANY, dropped);
    if (kad_env_timer_set(rs->env, &r->timer, tstamp_after(now, KAD_LINGER)) != QUDAG_OK) {
        rs->env->more = true;
    }
    rpc_answered(rs, r, &m, now, out);
    dyn_drop(&r->in, r->in.len);
}

void kad_rpc_fin(struct kad_rpcs *rs, struct kad_rpc *r, tstamp now, struct acts *out)
{
    if (r->state == KAD_RPC_LINGER) {
        rpc_free(rs, r);
        return;
    }
    if (r->call.type == KAD_ADD_PROVIDER && r->state == KAD_RPC_WAITING) {
        rpc_answered(rs, r, NULL, now, out);
        rpc_free(rs, r);
        return;
    }
    mark_refusal(r);
    kad_rpc_failed(rs, r, true, now, out);
}

void kad_rpc_timer(struct kad_rpcs *rs, struct kad_rpc *r, tstamp now, struct acts *out)
{
    struct kad_rpc_owner *owner = r->owner;

    if (now >= r->hard || r->state == KAD_RPC_LINGER) {
        rs->env->stats.timeouts += r->state == KAD_RPC_LINGER ? 0 : 1;
        kad_rpc_failed(rs, r, true, now, out);
        return;
    }
    r->stage = r->stage == KAD_STAGE_EARLY && now < r->late ? KAD_STAGE_SOFT : KAD_STAGE_LATE;
    if (r->stage == KAD_STAGE_LATE) {
        kad_failing_add(&rs->rtt, true);
    }
    tstamp at = r->stage == KAD_STAGE_SOFT ? r->late : r->hard;
    if (kad_env_timer_set(rs->env, &r->timer, at) != QUDAG_OK) {
        kad_rpc_failed(rs, r, true, now, out);
        return;
    }
    if (owner != NULL) {
        owner->ops->slow(owner, r, now, out);
    }
}
