/* meet.c - calls, events, time, and what is remembered of peers; see meet.h and meet_int.h. */
#include "core/meet/meet.h"

#include "base/assert.h"
#include "base/err.h"
#include "core/meet/meet_int.h"
#include "wire/stun.h"

#include <string.h>

struct meet *meet_new(const struct meet_config *cfg)
{
    struct meet *m = mem_alloc(cfg->mem, sizeof(*m));

    if (m != NULL) {
        m->mem = cfg->mem;
        m->rng = cfg->rng;
        m->self = cfg->self;
    }
    return m;
}

void meet_free(struct meet *m)
{
    if (m == NULL) {
        return;
    }
    for (size_t i = 0; i < MEET_MEETINGS_MAX; i++) {
        if (m->v[i] != NULL) {
            mem_free_wiped(m->mem, m->v[i]);
        }
    }
    mem_free(m->mem, m);
}

/* ---- who is met, and was ---- */

static struct meeting *find(const struct meet *m, const struct peer_id *peer)
{
    for (size_t i = 0; i < MEET_MEETINGS_MAX; i++) {
        if (m->v[i] != NULL && !m->v[i]->over && peer_id_eq(&m->v[i]->peer, peer)) {
            return m->v[i];
        }
    }
    return NULL;
}

static struct meeting *by_strm(const struct meet *m, struct ref strm)
{
    for (size_t i = 0; i < MEET_MEETINGS_MAX; i++) {
        struct meeting *mt = m->v[i];
        if (mt != NULL && !mt->over && !ref_none(mt->strm) && ref_eq(mt->strm, strm)) {
            return mt;
        }
    }
    return NULL;
}

static struct meeting *by_cookie(const struct meet *m, uint64_t cookie)
{
    for (size_t i = 0; i < MEET_MEETINGS_MAX; i++) {
        if (m->v[i] != NULL && !m->v[i]->over && m->v[i]->cookie == cookie) {
            return m->v[i];
        }
    }
    return NULL;
}

/* Where what is known of |peer| lies in m->peers; MEET_PEERS_MAX: nothing is. */
static size_t memory_at(const struct meet *m, const struct peer_id *peer)
{
    size_t i = 0;

    while (i < MEET_PEERS_MAX &&
           (m->peers[i].peer.len == 0 || !peer_id_eq(&m->peers[i].peer, peer))) {
        i++;
    }
    return i;
}

static const struct meet_memory *memory_find(const struct meet *m, const struct peer_id *peer)
{
    size_t at = memory_at(m, peer);

    return at < MEET_PEERS_MAX ? &m->peers[at] : NULL;
}

/* That of |peer|, or the one that was used longest ago; MEET_PEERS_MAX is more than are held. */
static struct meet_memory *memory_of(struct meet *m, const struct peer_id *peer, tstamp now)
{
    size_t at = memory_at(m, peer);
    struct meet_memory *r = at < MEET_PEERS_MAX ? &m->peers[at] : NULL, *oldest = NULL;

    for (size_t i = 0; r == NULL && i < MEET_PEERS_MAX; i++) {
        struct meet_memory *o = &m->peers[i];
        if (!o->held && (oldest == NULL || o->used < oldest->used)) {
            oldest = o;
        }
    }
    if (r == NULL) {
        ASSERT(oldest != NULL);
        r = oldest;
        *r = (struct meet_memory){.peer = *peer};
    }
    r->used = now;
    return r;
}

/* Frees what is over; to be called as the last of each call. */
static void sweep(struct meet *m)
{
    for (size_t i = 0; i < MEET_MEETINGS_MAX; i++) {
        struct meeting *mt = m->v[i];
        if (mt == NULL || !mt->over) {
            continue;
        }
        mt->mem->held = false;
        m->birthday = m->birthday == mt ? NULL : m->birthday;
        m->v[i] = NULL;
        mem_free_wiped(m->mem, mt);
    }
}

static qudag_err meeting_new(struct meet *m, const struct peer_id *peer, bool initiator, tstamp now,
                             struct meeting **made)
{
    size_t at = MEET_MEETINGS_MAX, of_kind = 0;

    for (size_t i = 0; i < MEET_MEETINGS_MAX; i++) {
        at = m->v[i] == NULL ? i : at;
        bool same = m->v[i] != NULL && m->v[i]->initiator == initiator;
        of_kind += same && (initiator || !m->v[i]->allowed) ? 1 : 0;
    }
    if (at == MEET_MEETINGS_MAX || of_kind >= (initiator ? MEET_OURS_MAX : MEET_DOOR_MAX)) {
        return QUDAG_ELIMIT;
    }
    struct meeting *mt = mem_alloc(m->mem, sizeof(*mt));
    if (mt == NULL) {
        return QUDAG_ENOMEM;
    }
    mt->m = m;
    mt->peer = *peer;
    mt->initiator = initiator;
    mt->state = MEET_ASKING;
    mt->cookie = ++m->cookies;
    mt->began = now;
    mt->limit = tstamp_after(now, MEET_LIMIT);
    mt->due = tstamp_after(now, MEET_ASK_LIMIT);
    mt->mem = memory_of(m, peer, now);
    mt->mem->held = true;
    mt->mem->look = (struct meet_look){
        .state = MEET_ASKING, .initiator = initiator, .began = now, .next_try = now, .why = ""};
    m->v[at] = mt;
    *made = mt;
    return QUDAG_OK;
}

/* ---- calls ---- */

bool meet_may(const struct meet *m, const struct peer_id *peer, tstamp now)
{
    const struct meet_memory *r = memory_find(m, peer);

    return find(m, peer) == NULL && (r == NULL || now >= r->look.next_try);
}

qudag_err meet_begin(struct meet *m, const struct peer_id *peer, const struct meet_own *own,
                     tstamp now, struct acts *out)
{
    struct meeting *mt;

    if (find(m, peer) != NULL) {
        return QUDAG_EEXISTS;
    }
    if (!meet_may(m, peer, now)) {
        return QUDAG_EAGAIN;
    }
    qudag_err err = meeting_new(m, peer, true, now, &mt);
    if (err != QUDAG_OK) {
        return err;
    }
    meet_own_set(mt, own);
    acts_open_again(out, peer, mt->cookie, LINK_RELAYED);
    return QUDAG_OK;
}

void meet_allow(struct meet *m, const struct peer_id *peer, const struct meet_own *own, tstamp now,
                struct acts *out)
{
    struct meeting *mt = find(m, peer);

    if (mt == NULL || mt->initiator || !mt->greeted || mt->allowed) {
        return;
    }
    if (meet_place_take(mt, own->named, now, out)) {
        m->stats.allowed++;
        meet_own_set(mt, own);
        meet_hello(mt, now, out);
    }
    sweep(m);
}

void meet_refuse(struct meet *m, const struct peer_id *peer, enum meet_end reason, tstamp now,
                 struct acts *out)
{
    struct meeting *mt = find(m, peer);

    if (mt != NULL && !mt->initiator && mt->greeted && !mt->allowed) {
        m->stats.refused++;
        meet_over(mt,
                  &(struct meet_ending){MEET_NOT_NOW, QUDAG_EREFUSED,
                                        "this node meets only peers that it knows", reason},
                  now, out);
        mt->mem->look.next_try = now; /* what the peer asked for says nothing of what we ask for */
        mt->mem->failures = 0;
    }
    sweep(m);
}

void meet_socket(struct meet *m, uint64_t cookie, qudag_err err, const struct meet_pair *at,
                 tstamp now, struct acts *out)
{
    struct meeting *mt = by_cookie(m, cookie >> 16);
    size_t ix = cookie & 0xffff;
    bool is_open = err == QUDAG_OK || err == QUDAG_ETIMEOUT;
    bool awaited = mt != NULL && ix < mt->n_socks && mt->socks[ix].asked &&
                   mt->state == MEET_GATHERING && mt->n_asked > 0;

    if (mt != NULL && meet_birthday_port(mt, ix, err, at, now, out)) {
        return;
    }
    if (!awaited) {
        struct act *a =
            is_open ? acts_up_copy(out, MEET_UP_CLOSE, &at->local, sizeof(at->local)) : NULL;
        if (a != NULL && mt != NULL) {
            a->peer = mt->peer;
        }
        return;
    }
    struct meet_sock *s = &mt->socks[ix];
    s->asked = false;
    mt->n_asked--;
    if (is_open) {
        s->local = at->local;
        s->external = at->remote;
        mt->flagged = mt->flagged || err == QUDAG_ETIMEOUT;
    } else {
        mt->lacked = true;
    }
    if (mt->n_asked == 0) {
        meet_gathered(mt, now, out);
    }
    sweep(m);
}

bool meet_packet_in(struct meet *m, const struct meet_pair *at, struct slice datagram, tstamp now,
                    struct acts *out)
{
    struct stun_msg msg;
    size_t ix;

    if (stun_parse(&msg, datagram) != QUDAG_OK) {
        return false;
    }
    for (size_t i = 0; i < MEET_MEETINGS_MAX; i++) {
        struct meeting *mt = m->v[i];
        if (mt == NULL || mt->over || !mt->keyed) {
            continue;
        }
        bool asks = msg.class == STUN_REQUEST && msg.username.len == sizeof(mt->user_in) &&
                    memcmp(msg.username.base, mt->user_in, sizeof(mt->user_in)) == 0;
        bool answers = msg.class == STUN_SUCCESS && memcmp(msg.id, mt->tag, sizeof(mt->tag)) == 0;
        if (!asks && !answers) {
            continue;
        }
        if (msg.integrity != STUN_SHA256 ||
            !stun_check(&msg, datagram, (struct slice){mt->key_in, 32})) {
            m->stats.forged++;
        } else if (asks) {
            meet_request_in(mt, at, msg.id, now, out);
        } else if (meet_answer_in(mt, at, msg.id, now, &ix, out)) {
            meet_found(mt, ix, now, out);
        }
        sweep(m);
        return true;
    }
    return false;
}

void meet_dialled(struct meet *m, const struct peer_id *peer, qudag_err err, tstamp now,
                  struct acts *out)
{
    struct meeting *mt = find(m, peer);

    if (mt == NULL || mt->state != MEET_DIALLING) {
        return;
    }
    if (err == QUDAG_OK) {
        meet_over(mt, &(struct meet_ending){MEET_WENT_WELL, QUDAG_OK, "", MEET_END_DIRECT}, now,
                  out);
    } else {
        meet_undialled(mt, now, out);
    }
    sweep(m);
}

void meet_direct(struct meet *m, const struct peer_id *peer, tstamp now, struct acts *out)
{
    struct meeting *mt = find(m, peer);

    if (mt != NULL && mt->state != MEET_DIALLING) {
        meet_over(mt, &(struct meet_ending){MEET_WENT_WELL, QUDAG_OK, "", MEET_END_DIRECT}, now,
                  out);
        sweep(m);
    }
}

void meet_network_changed(struct meet *m)
{
    for (size_t i = 0; i < MEET_PEERS_MAX; i++) {
        m->peers[i].look.next_try = 0;
        m->peers[i].failures = 0;
    }
    m->few_until = 0;
}

bool meet_look(const struct meet *m, const struct peer_id *peer, struct meet_look *out)
{
    const struct meet_memory *r = memory_find(m, peer);

    if (r != NULL) {
        *out = r->look;
    }
    return r != NULL;
}

bool meet_next(const struct meet *m, size_t *it, struct peer_id *peer)
{
    while (*it < MEET_MEETINGS_MAX) {
        const struct meeting *mt = m->v[(*it)++];
        if (mt != NULL && !mt->over) {
            *peer = mt->peer;
            return true;
        }
    }
    return false;
}

const struct meet_stats *meet_statistics(const struct meet *m)
{
    return &m->stats;
}

/* ---- events ---- */

/* Both sides began at once: the one with the smaller peer id is A. */
static bool yields(const struct meet *m, const struct peer_id *peer)
{
    return memcmp(m->self.b, peer->b, PEER_ID_MAX) > 0;
}

static void opened_inbound(struct meet *m, const struct ev *ev, tstamp now, struct acts *out)
{
    struct meeting *mt;
    qudag_err err = QUDAG_OK;

    if (ev->peer == NULL || ev->peer->len == 0 || (ev->props & LINK_RELAYED) == 0 ||
        (ev->props & LINK_ANON) != 0) {
        acts_reset(out, ev->strm, QUDAG_EUNSUPPORTED);
        return;
    }
    mt = find(m, ev->peer);
    if (mt != NULL && mt->initiator && mt->state == MEET_ASKING && !mt->greeted &&
        yields(m, ev->peer)) {
        meet_over(mt,
                  &(struct meet_ending){MEET_NOT_NOW, QUDAG_ECANCELED, "the peer began as well",
                                        MEET_END_BUSY},
                  now, out);
        sweep(m);
    } else if (mt != NULL) {
        err = QUDAG_EEXISTS;
    }
    if (err == QUDAG_OK) {
        meet_door_clear(m, now, out);
        sweep(m);
        err = meeting_new(m, ev->peer, false, now, &mt);
    }
    if (err != QUDAG_OK) {
        acts_reset(out, ev->strm, err == QUDAG_EEXISTS ? QUDAG_EREFUSED : QUDAG_ELIMIT);
        return;
    }
    mt->strm = ev->strm;
    mt->net = netaddr_wide_group(ev->net);
}

static void opened(struct meet *m, const struct ev *ev, tstamp now, struct acts *out)
{
    struct meeting *mt = by_cookie(m, ev->cookie);

    if (mt == NULL || !ref_none(mt->strm) || !mt->initiator) {
        acts_reset(out, ev->strm, QUDAG_ECANCELED);
        return;
    }
    mt->strm = ev->strm;
    meet_hello(mt, now, out);
}

static void failed(struct meet *m, const struct ev *ev, tstamp now, struct acts *out)
{
    struct meeting *mt = by_cookie(m, ev->cookie);
    bool other = ev->err == QUDAG_EUNSUPPORTED;
    bool ours = ev->refused != 0 || err_is_ours(ev->err);

    struct meet_ending how = {MEET_BROKEN, ev->err, "no stream could be opened on the relayed link",
                              0};

    if (ours) {
        how.fate = MEET_SHORT_HERE;
    } else if (other) {
        how.fate = MEET_ALL_TRIED;
        how.why = "the peer does not speak this protocol";
    }
    if (mt != NULL && ref_none(mt->strm)) {
        meet_over(mt, &how, now, out);
    }
}

/* The relayed link went, or the peer ended the stream without a word. */
static void lost(struct meeting *mt, const struct ev *ev, tstamp now, struct acts *out)
{
    bool reset = ev->type == EV_RESET;
    bool late = mt->state == MEET_DIALLING || mt->mem->look.found != 0;

    if (reset) {
        mt->strm = (struct ref){0, 0};
    }
    if (late) { /* a pair is there: the link may come yet */
        mt->limit = tstamp_min(mt->limit, tstamp_after(now, MEET_ASK_LIMIT));
        return;
    }
    qudag_err err = ev->err == QUDAG_OK ? QUDAG_ECLOSED : ev->err;
    bool busy = err == QUDAG_ELIMIT || err == QUDAG_EREFUSED;
    meet_over(mt,
              &(struct meet_ending){busy ? MEET_NOT_NOW : MEET_BROKEN, err,
                                    busy ? "the peer is busy" : "the relayed link was lost", 0},
              now, out);
}

static void event(void *core, const struct ev *ev, tstamp now, struct acts *out)
{
    struct meet *m = core;
    struct meeting *mt;

    switch (ev->type) {
    case EV_STREAM_OPEN:
        if (ev->inbound) {
            opened_inbound(m, ev, now, out);
        } else {
            opened(m, ev, now, out);
        }
        break;
    case EV_STREAM_FAIL:
        failed(m, ev, now, out);
        break;
    case EV_DATA:
        if ((mt = by_strm(m, ev->strm)) != NULL) {
            meet_data(mt, ev->data, now, out);
        }
        break;
    case EV_FIN:
    case EV_RESET:
        if ((mt = by_strm(m, ev->strm)) != NULL) {
            lost(mt, ev, now, out);
        }
        break;
    case EV_WRITABLE:
    case EV_PEER_UP:
    case EV_PEER_DOWN:
        break; /* streams of a lost peer are reset one by one before this */
    }
    sweep(m);
}

static void tick(void *core, tstamp now, struct acts *out)
{
    struct meet *m = core;

    for (size_t i = 0; i < MEET_MEETINGS_MAX; i++) {
        struct meeting *mt = m->v[i];
        if (mt == NULL) {
            continue;
        }
        meet_step(mt, now, out);
        if (!mt->over) {
            meet_checks_send(mt, now, out);
            meet_birthday_send(mt, now, out);
        }
    }
    sweep(m);
}

static tstamp deadline(const void *core)
{
    const struct meet *m = core;
    tstamp at = TSTAMP_NEVER;

    for (size_t i = 0; i < MEET_MEETINGS_MAX; i++) {
        const struct meeting *mt = m->v[i];
        if (mt == NULL) {
            continue;
        }
        at = tstamp_min(at, tstamp_min(mt->due, mt->limit));
        at = tstamp_min(at, meet_checks_due(mt));
        at = mt->guess.on && mt->state == MEET_CHECKING ? tstamp_min(at, mt->guess.due) : at;
    }
    return at;
}

const struct core_ops meet_ops = {.protocol = MEET_PROTOCOL,
                                  .inbound_max = 2,
                                  .limited_ok = true,
                                  .event = event,
                                  .tick = tick,
                                  .deadline = deadline};
