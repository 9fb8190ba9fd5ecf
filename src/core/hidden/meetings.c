/*
 * meetings.c - the callers of a service: from a handshake that was passed on to the circuit they meet on.
 *
 *   request ─▶ opened ─▶ queue of its introduction point ─ in turn ─▶ R_BUILD ─▶ R_MEET ─▶ the owner's
 *
 * Nobody can tell callers apart but by the work they did; introduction points can be.  So these share what there is:
 * each is served in turn, of each who did most, and the one of which most waits loses who did least.  Who floods one of
 * them does not keep out who comes by another.
 */
#include "core/hidden/service_impl.h"

#include "base/wipe.h"

#include <string.h>

#define BEGIN_AT_ONCE 16 /* circuits that one call begins: a report of each is a thousand bytes */

static void drop(struct hidden_service *s, struct hidden_meeting *m, struct acts *out)
{
    list_del(&m->node);
    if (m->state == HIDDEN_QUEUED) {
        list_del(&m->age);
        s->waiting[m->slot]--;
        s->stats.queued--;
    } else {
        s->stats.building--;
        s->all->building--;
        s->to_come -= m->taken ? 0 : 1;
    }
    hidden_close(&m->circuit, out);
    rend_hs_asked_drop(&m->asked);
    mem_free_wiped(s->all->cfg.mem, m);
}

void hidden_meetings_wipe(struct hidden_service *s, struct acts *out)
{
    for (size_t i = 0; i < HIDDEN_SLOTS; i++) {
        while (!list_empty(&s->queue[i])) {
            drop(s, LIST_ENTRY(s->queue[i].next, struct hidden_meeting, node), out);
        }
    }
    while (!list_empty(&s->work)) {
        drop(s, LIST_ENTRY(s->work.next, struct hidden_meeting, node), out);
    }
}

/* --- handshakes -------------------------------------------------------------------------------- */

/* Under 128 bits that nobody else can compute: no X can be made to look like another. */
static void hash_of(const struct hidden_service *s, const uint8_t *x, uint64_t hash[2])
{
    const struct slice bytes = {x, X25519_LEN};

    hash[0] = siphash24(s->seen_key[0], s->seen_key[1], bytes);
    hash[1] = siphash24(s->seen_key2[0], s->seen_key2[1], bytes) | 1; /* a map's value is not 0 */
}

static bool was_seen(const struct hidden_slot *p, const uint64_t hash[2])
{
    const uint64_t *second = map_u64_at(&p->seen, hash[0]);

    return second != NULL && *second == hash[1];
}

/* Opens what came through |p|; NULL, and counted, when it is not to be answered.  Cheap checks come first. */
static struct hidden_meeting *open_request(struct hidden_service *s, struct hidden_slot *p,
                                           const uint8_t *handshake, tstamp now)
{
    const struct rend_keys *keys = hidden_periods_find(s, rend_hs_key_id(handshake));
    const struct rend_hs_own own = {s->addr, p->intro_key, keys};
    struct mem *mem = s->all->cfg.mem;
    uint64_t hash[2];

    if (keys == NULL) {
        s->stats.unknown_key++;
        return NULL;
    }
    hash_of(s, rend_hs_X(handshake), hash);
    if (was_seen(p, hash)) {
        s->stats.replayed++;
        s->all->replayed++;
        return NULL;
    }
    struct hidden_meeting *m = mem_alloc(mem, sizeof *m);
    qudag_err err = m == NULL ? QUDAG_ENOMEM : rend_hs_open(&m->asked, &own, handshake);
    if (err == QUDAG_OK) {
        err = hidden_work_check(s, m, p, rend_hs_X(handshake), now);
    }
    if (err == QUDAG_OK) { /* what cannot be remembered is not answered */
        err = map_u64_set(&p->seen, hash[0], &hash[1]);
    }
    if (err != QUDAG_OK) {
        *(err == QUDAG_EAUTH ? &s->stats.bad : &s->stats.over) += 1;
        s->all->bad += err == QUDAG_EAUTH ? 1 : 0;
        mem_free_wiped(mem, m);
        return NULL;
    }
    p->served++;
    return m;
}

/* Highest effort first; of one effort in the order they came. */
static void insert(struct list *queue, struct hidden_meeting *m)
{
    struct list *before = queue->prev;

    while (before != queue && LIST_ENTRY(before, struct hidden_meeting, node)->effort < m->effort) {
        before = before->prev;
    }
    list_push_front(before, &m->node);
}

/* Who gives way in a queue that is not empty: of those who did least, who came first. */
static struct hidden_meeting *least(const struct list *queue)
{
    struct list *it = queue->prev;
    uint32_t effort = LIST_ENTRY(it, struct hidden_meeting, node)->effort;

    while (it->prev != queue &&
           LIST_ENTRY(it->prev, struct hidden_meeting, node)->effort == effort) {
        it = it->prev;
    }
    return LIST_ENTRY(it, struct hidden_meeting, node);
}

/* SPEC: rendezvous R-43: all points are told, as whoever is not met comes by another one next. */
static void tell_if_busy(struct hidden_service *s, bool lost, tstamp now, struct acts *out)
{
    tstamp since = now;

    if (!list_empty(&s->ages)) {
        since = LIST_ENTRY(s->ages.next, struct hidden_meeting, age)->since;
    }
    if (now < s->busy_due || !hidden_is_busy(now - since, lost)) {
        return;
    }
    s->busy_due = tstamp_after(now, HIDDEN_BUSY_AGAIN);
    for (size_t i = 0; i < HIDDEN_SLOTS; i++) {
        if (s->slot[i].state == HIDDEN_SLOT_STANDS) {
            hidden_report(s, HIDDEN_SERVE_BUSY, s->slot[i].id, out);
        }
    }
}

/* It is not met: work was not enough, or there is no room for anybody. */
static void lose(struct hidden_service *s, struct hidden_meeting *m, tstamp now, struct acts *out)
{
    hidden_work_lost(s, m, now);
    drop(s, m, out);
    tell_if_busy(s, true, now, out);
}

static void enqueue(struct hidden_service *s, struct hidden_meeting *m, uint32_t slot, tstamp now,
                    struct acts *out)
{
    m->slot = slot;
    m->since = now;
    insert(&s->queue[slot], m);
    list_push_back(&s->ages, &m->age);
    s->waiting[slot]++;
    s->stats.queued++;
    hidden_work_came(s, m);
    if (s->stats.queued > HIDDEN_QUEUE_MAX) {
        size_t most = hidden_queue_largest(s->waiting, HIDDEN_SLOTS);
        s->stats.displaced++;
        lose(s, least(&s->queue[most]), now, out);
    }
}

/*
 * Whether one more handshake is looked at, of what came through |p|.  Old points, of which a flood can make many, have
 * together what one has: they do not keep out who comes by those that records name.  A service has its share of what
 * all of the node look at, beside what is anybody's: callers of one do not keep out those of another.
 */
static bool may_open(struct hidden_service *s, struct hidden_slot *p, tstamp now, struct acts *out)
{
    uint32_t share = hidden_opens_share(s->all->n);

    if (s->share.rate != share) {
        limiter_init(&s->share, share, 2 * (uint64_t)share, now);
    }
    if (!limiter_take(&p->rate, 1, now) || (p->old && !limiter_take(&s->old_opens, 1, now))) {
        return false;
    }
    if (limiter_take(&s->share, 1, now) || limiter_take(&s->all->opens, 1, now)) {
        return true;
    }
    tell_if_busy(s, true, now, out);
    return false;
}

void hidden_serve_request(struct hidden_services *h, uint64_t id, struct slice handshake,
                          tstamp now, struct acts *out)
{
    struct hidden_service *s;
    struct hidden_slot *p = hidden_slot_of(h, id, &s);

    if (p == NULL || p->state != HIDDEN_SLOT_STANDS) {
        return;
    }
    s->stats.requests++;
    if (!limiter_take(&p->excess, 1, now)) {
        hidden_point_expel(s, p, now, out);
        return;
    }
    if (!may_open(s, p, now, out)) {
        s->stats.over++;
        return;
    }
    if (handshake.len != REND_HS_LEN) {
        s->stats.bad++;
        s->all->bad++;
        return;
    }
    struct hidden_meeting *m = open_request(s, p, handshake.base, now);
    if (m != NULL) {
        enqueue(s, m, (uint32_t)(p - s->slot), now, out);
        hidden_meetings_settle(s, now, out);
    }
}

/* --- circuits to R ----------------------------------------------------------------------------- */

/* Circuits that end at the service, and those that are about to. */
static uint32_t held(const struct hidden_service *s)
{
    return s->stats.carried + s->to_come;
}

/* Whose turn it is, if a circuit may be begun at all but for its rate; NULL. */
static struct hidden_meeting *next_meeting(const struct hidden_service *s)
{
    size_t slot = hidden_queue_next(s->waiting, HIDDEN_SLOTS, s->last);

    if (slot == HIDDEN_SLOTS || !hidden_may_build(s->stats.building, s->all->building)) {
        return NULL;
    }
    return LIST_ENTRY(s->queue[slot].next, struct hidden_meeting, node);
}

/* SPEC: rendezvous R-24 */
static bool has_room(const struct hidden_service *s)
{
    uint32_t kept = hidden_carried_kept(s->all->n), all = 0, lacking = 0;

    LIST_EACH(it, &s->all->services)
    {
        const struct hidden_service *other = LIST_ENTRY(it, struct hidden_service, node);
        all += held(other);
        lacking += other != s && held(other) < kept ? kept - held(other) : 0;
    }
    return hidden_may_carry(held(s), all, kept, lacking);
}

/* Which service loses an idle circuit when there is no room for one more of |s|: the largest, or itself. */
static struct hidden_service *sheds(struct hidden_service *s)
{
    struct hidden_service *most = s;

    LIST_EACH(it, &s->all->services)
    {
        struct hidden_service *other = LIST_ENTRY(it, struct hidden_service, node);
        most = held(other) > held(most) ? other : most;
    }
    return held(s) < HIDDEN_CARRIED_MAX && hidden_sheds_for(held(most), held(s)) ? most : s;
}

static void begin(struct hidden_service *s, struct hidden_meeting *m, tstamp now, struct acts *out)
{
    hidden_work_begun(s, m);
    list_del(&m->node);
    list_del(&m->age);
    list_push_back(&s->work, &m->node);
    s->last = m->slot;
    s->waiting[m->slot]--;
    s->stats.queued--;
    s->stats.building++;
    s->all->building++;
    s->to_come++;
    s->stats.begun++;
    m->state = HIDDEN_R_BUILD;
    m->since = now;
    m->id = ++s->all->ids;
    hidden_report_copy(s, HIDDEN_SERVE_NEED_R, m->id,
                       (struct slice){(const void *)&m->asked.at.relay, sizeof m->asked.at.relay},
                       out);
}

/* How long the circuits to R may take as things are. */
static uint64_t life_in_work(const struct hidden_service *s)
{
    bool more = hidden_may_build(s->stats.building, s->all->building);

    return hidden_meeting_life(s->stats.building, more ? HIDDEN_BUILDS_MAX : s->stats.building,
                               s->stats.queued);
}

static void drop_late(struct hidden_service *s, tstamp now, struct acts *out)
{
    LIST_EACH_SAFE(it, tmp, &s->ages)
    {
        struct hidden_meeting *m = LIST_ENTRY(it, struct hidden_meeting, age);
        if (now < tstamp_after(m->since, HIDDEN_WAIT_MAX)) {
            break;
        }
        s->stats.late++;
        lose(s, m, now, out);
    }
    LIST_EACH_SAFE(it, tmp, &s->work)
    {
        struct hidden_meeting *m = LIST_ENTRY(it, struct hidden_meeting, node);
        if (now < tstamp_after(m->since, life_in_work(s))) {
            break;
        }
        s->stats.failed++;
        drop(s, m, out);
    }
}

/* Whether |s| has room for one more carried circuit; if not it says so, once for each caller who needs it. */
static bool room_for(struct hidden_service *s, struct hidden_meeting *m, struct acts *out)
{
    if (has_room(s)) {
        return true;
    }
    if (!m->shed) { /* SPEC: rendezvous R-24 */
        struct hidden_service *from = sheds(s);
        m->shed = true;
        from->stats.shed++;
        hidden_report(from, HIDDEN_SERVE_SHED, 0, out);
    }
    return false;
}

/* The next caller of the service that may meet one now and did so longest ago; NULL.  *of: that service. */
static struct hidden_meeting *next_of_all(struct hidden_services *h, tstamp now, struct acts *out,
                                          struct hidden_service **of)
{
    struct hidden_meeting *next = NULL;

    LIST_EACH(it, &h->services)
    {
        struct hidden_service *s = LIST_ENTRY(it, struct hidden_service, node);
        struct hidden_meeting *m = next_meeting(s);
        bool may = m != NULL && room_for(s, m, out) && limiter_ready(&s->builds, 1, now) <= now;
        if (may && (next == NULL || s->turn < (*of)->turn)) {
            next = m;
            *of = s;
        }
    }
    return next;
}

/* Begins what there is room for, of all services in turn; what is more than a few has its own tick. */
static void begin_some(struct hidden_services *h, tstamp now, struct acts *out)
{
    for (unsigned i = 0; i < BEGIN_AT_ONCE && limiter_ready(&h->builds, 1, now) <= now; i++) {
        struct hidden_service *s;
        struct hidden_meeting *m = next_of_all(h, now, out, &s);
        if (m == NULL || !limiter_take(&s->builds, 1, now) || !limiter_take(&h->builds, 1, now)) {
            return;
        }
        s->turn = ++h->turns;
        begin(s, m, now, out);
    }
}

void hidden_meetings_settle(struct hidden_service *s, tstamp now, struct acts *out)
{
    drop_late(s, now, out);
    begin_some(s->all, now, out);
    tell_if_busy(s, false, now, out);
}

tstamp hidden_meetings_deadline(const struct hidden_service *s)
{
    tstamp at = TSTAMP_NEVER;

    if (!list_empty(&s->ages)) {
        const struct hidden_meeting *m = LIST_ENTRY(s->ages.next, struct hidden_meeting, age);
        tstamp busy = tstamp_after(m->since, HIDDEN_BUSY_AFTER);
        at = tstamp_min(at, tstamp_after(m->since, HIDDEN_WAIT_MAX));
        at = tstamp_min(at, busy > s->busy_due ? busy : s->busy_due);
    }
    if (!list_empty(&s->work)) {
        const struct hidden_meeting *m = LIST_ENTRY(s->work.next, struct hidden_meeting, node);
        at = tstamp_min(at, tstamp_after(m->since, life_in_work(s)));
    }
    if (next_meeting(s) != NULL && has_room(s)) {
        tstamp ready = limiter_ready(&s->builds, 1, s->builds.last);
        tstamp all = limiter_ready(&s->all->builds, 1, s->all->builds.last);
        at = tstamp_min(at, ready > all ? ready : all);
    }
    return at;
}

/* --- what the owner says ----------------------------------------------------------------------- */

/* The meeting of that id in |state|, its service in |*of|; NULL. */
static struct hidden_meeting *find(const struct hidden_services *h, uint64_t id,
                                   enum hidden_meeting_state state, struct hidden_service **of)
{
    LIST_EACH(it, &h->services)
    {
        struct hidden_service *s = LIST_ENTRY(it, struct hidden_service, node);
        LIST_EACH(jt, &s->work)
        {
            struct hidden_meeting *m = LIST_ENTRY(jt, struct hidden_meeting, node);
            if (m->id == id && m->state == state) {
                *of = s;
                return m;
            }
        }
    }
    *of = NULL;
    return NULL;
}

static void fail(struct hidden_service *s, struct hidden_meeting *m, tstamp now, struct acts *out)
{
    s->stats.failed++;
    drop(s, m, out);
    hidden_meetings_settle(s, now, out);
}

/*
 * What limits the rate is how soon the first hop answers: neither callers nor the relays that they name have a part in
 * that, but the load of this node and of its guard.
 */
void hidden_serve_r_begun(struct hidden_services *h, uint64_t id, tstamp now, struct acts *out)
{
    struct hidden_service *s;
    struct hidden_meeting *m = find(h, id, HIDDEN_R_BUILD, &s);

    if (m != NULL && !m->begun) {
        m->begun = true;
        limiter_refund(&s->builds, 1);
        limiter_refund(&h->builds, 1);
        hidden_meetings_settle(s, now, out);
    }
}

void hidden_serve_r_built(struct hidden_services *h, uint64_t id, struct ref circuit, tstamp now,
                          struct acts *out)
{
    struct hidden_service *s;
    struct hidden_meeting *m = find(h, id, HIDDEN_R_BUILD, &s);
    struct hidden_meet meet;

    if (m == NULL) {
        hidden_close(&circuit, out);
        return;
    }
    m->circuit = circuit;
    memcpy(meet.cookie, m->asked.at.cookie, sizeof meet.cookie);
    if (rend_hs_answer(&m->asked, &h->cfg.rng, meet.created, &m->keys) != QUDAG_OK) {
        fail(s, m, now, out);
        return;
    }
    m->state = HIDDEN_R_MEET;
    hidden_report_copy(s, HIDDEN_SERVE_MEET, id, (struct slice){(const void *)&meet, sizeof meet},
                       out)
        ->obj = circuit;
    wipe(&meet, sizeof meet);
}

void hidden_serve_r_failed(struct hidden_services *h, uint64_t id, tstamp now, struct acts *out)
{
    struct hidden_service *s;
    struct hidden_meeting *m = find(h, id, HIDDEN_R_BUILD, &s);

    m = m == NULL ? find(h, id, HIDDEN_R_MEET, &s) : m;
    if (m != NULL) {
        fail(s, m, now, out);
    }
}

qudag_err hidden_serve_take(struct hidden_services *h, uint64_t id, struct onion_hs_keys *keys)
{
    struct hidden_service *s;
    struct hidden_meeting *m = find(h, id, HIDDEN_R_MEET, &s);

    if (m == NULL || m->taken) {
        wipe(keys, sizeof *keys);
        return QUDAG_ESTALE;
    }
    *keys = m->keys;
    wipe(&m->keys, sizeof m->keys);
    m->taken = true;
    s->to_come--;
    return QUDAG_OK;
}

void hidden_serve_met(struct hidden_services *h, uint64_t id, qudag_err err, uint64_t status,
                      tstamp now, struct acts *out)
{
    struct hidden_service *s;
    struct hidden_meeting *m = find(h, id, HIDDEN_R_MEET, &s);

    if (m == NULL) {
        return;
    }
    if (err != QUDAG_OK || status != REND_DONE || !m->taken) {
        fail(s, m, now, out);
        return;
    }
    s->stats.met++;
    m->circuit = (struct ref){0, 0}; /* the owner's from now on */
    drop(s, m, out);
    hidden_meetings_settle(s, now, out);
}

void hidden_serve_carried(struct hidden_services *h, uint64_t cookie, uint32_t n, tstamp now,
                          struct acts *out)
{
    struct hidden_service *s = hidden_service_of(h, cookie);

    if (s != NULL) {
        s->stats.carried = n;
        hidden_meetings_settle(s, now, out);
    }
}
