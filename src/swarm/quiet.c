/*
 * quiet.c - links whose path may be dead, and relayed ones that are to become direct again.
 *
 *   LINK_QUIET ─▶ what is opened goes to another link; is none heard: dialled, directly and through a relay
 *   LINK_HEARD ─ swarm_rule_quiet_pause() ─▶ used again
 *   only relayed links, in use ─ swarm_rule_redial_pause() ─▶ dialled directly, again and again
 *
 * What is under way on the link goes on, but for what its core asks again elsewhere: nobody knows yet that the link is
 * dead (quic/silence.c finds that out).
 */
#include "swarm/quiet.h"

#include "swarm/trim.h"

#define LOOK (500 * NS_PER_MS)      /* between two looks at a link that is quiet */
#define LOOK_ASKED (25 * NS_PER_MS) /* ... while another was sent a liveness probe */

static const struct core_ops *ops_of(const struct swarm *s, const struct swarm_stream *st)
{
    return st->state == SWARM_STREAM_LISTEN ? NULL : s->core[st->core].ops;
}

bool swarm_rule_needs_path(uint8_t props, bool matters, bool theirs)
{
    bool came = (props & LINK_INBOUND) != 0 && (props & LINK_RELAYED) != 0;

    return matters || !theirs || !came;
}

/* Whether there is a stream on |l| that any link may carry, and whose dials those beside it are. */
static bool has_need(const struct swarm *s, const struct swarm_link *l, unsigned *core)
{
    bool matters = swarm_peer_standing(s, &l->peer->id) > RES_CHOSEN;

    LIST_EACH(it, &l->streams)
    {
        const struct swarm_stream *st = LIST_ENTRY(it, struct swarm_stream, link_node);
        const struct core_ops *ops = ops_of(s, st);
        if (ops != NULL && !ops->direct_only && ops->unit == 0 &&
            swarm_rule_needs_path(l->props, matters, st->inbound)) {
            *core = st->core;
            return true;
        }
    }
    return false;
}

/* A peer whom we dialled and keep: a relay that has a place for us is needed though nothing is said. */
static bool is_kept(const struct swarm_link *l)
{
    return l->standing == RES_PROTECTED && l->made_by != 0;
}

static bool is_needed(const struct swarm *s, const struct swarm_link *l, unsigned *core)
{
    if (has_need(s, l, core)) {
        return true;
    }
    *core = is_kept(l) ? l->made_by - 1u : 0;
    return is_kept(l);
}

static bool brought(const struct swarm_link *l)
{
    struct link_info info;

    return swarm_link_info(l, &info) == QUDAG_OK && info.bytes_in != l->heard;
}

/* A liveness probe; a link that says nothing of itself counts as one that was asked in vain. */
static void probe(struct swarm *s, struct swarm_link *m, tstamp now)
{
    struct link_info info;

    m->path.asked = now;
    if (swarm_link_info(m, &info) == QUDAG_OK) {
        m->probed = now;
        m->heard = info.bytes_in;
        s->stats.links_probed++;
        m->tp->t->probe(m->tp->owner, m->ref, now);
    }
}

/* What |m| says about itself, beside |l| that is quiet. */
static enum swarm_witness witness(struct swarm *s, const struct swarm_link *l, struct swarm_link *m,
                                  tstamp now)
{
    if (m == l || m->leaving || swarm_link_silent(m, now) ||
        swarm_rule_path_unsure(&m->path, now)) {
        return SWARM_WITNESS_NONE;
    }
    if ((m->props & LINK_RELAYED) == 0 || m->tp->t->probe == NULL || m->since >= l->path.since) {
        return SWARM_WITNESS_HEARD;
    }
    if (m->path.asked < l->path.since) {
        probe(s, m, now);
        return SWARM_WITNESS_ASKED;
    }
    enum swarm_witness w = swarm_rule_witness(brought(m), m->path.asked, now);
    if (w == SWARM_WITNESS_NONE) {
        m->path.guessed = swarm_rule_path_quiet(&m->path, now);
        s->quiet_new = true;
    }
    return w;
}

/* The best that another link of the peer says. */
static enum swarm_witness witnesses(struct swarm *s, const struct swarm_link *l, tstamp now)
{
    enum swarm_witness best = SWARM_WITNESS_NONE;

    for (size_t i = 0; i < l->peer->n_links; i++) {
        enum swarm_witness w = witness(s, l, l->peer->link[i], now);
        best = w > best ? w : best;
    }
    return best;
}

/* Whether an address of |p| is known through a relay, or a direct one. */
static bool has_address(const struct swarm *s, const struct swarm_peer *p, bool relayed)
{
    for (size_t i = 0; i < p->n_addrs; i++) {
        bool is = swarm_transport_for(s, &p->addr[i].ma)->t->cost == TRANSPORT_RELAYED;
        if (is == relayed) {
            return true;
        }
    }
    return false;
}

/* Whether the core of |st| asks again elsewhere what it asked there. */
static bool is_asked_again(const struct swarm *s, const struct swarm_stream *st)
{
    const struct core_ops *ops = ops_of(s, st);

    if (ops == NULL || st->inbound || !st->in_up || st->timed_out) {
        return false;
    }
    return ops->asks_again || (ops->asks_unanswered && st->state == SWARM_STREAM_PROPOSED);
}

/* What its core asks again ends here; swarm_step() tells it. */
static void ask_elsewhere(struct swarm *s, struct swarm_link *l)
{
    LIST_EACH(it, &l->streams)
    {
        struct swarm_stream *st = LIST_ENTRY(it, struct swarm_stream, link_node);
        if (!is_asked_again(s, st)) {
            continue;
        }
        l->tp->t->ops->reset(l->tp->owner, l->ref, st->sid, QUDAG_ECANCELED);
        st->timed_out = st->elsewhere = true;
        list_del(&st->wait_node);
        list_push_back(&s->timed_out, &st->wait_node);
    }
}

/* Of the quiet links of |p| the one beside which most was dialled since; NULL: nothing was. */
static const struct swarm_path *most_dialled(const struct swarm_peer *p)
{
    const struct swarm_path *most = NULL;

    for (size_t i = 0; i < p->n_links; i++) {
        const struct swarm_path *path = &p->link[i]->path;
        if (path->quiet && path->rescues > (most == NULL ? 0 : most->rescues)) {
            most = path;
        }
    }
    return most;
}

/*
 * When |p|, a link of which fell quiet, may be dialled, as far as the last times tell.  While one is quiet others that
 * fall quiet, too, are the same time.
 */
static tstamp rescue_from(const struct swarm_peer *p)
{
    const struct swarm_path *most = most_dialled(p);

    if (most != NULL) {
        return most->rescue_at;
    }
    return p->rescues == 0 ? 0 : tstamp_after(p->rescued_at, swarm_rule_relapse_pause(p->rescues));
}

static void rescued(struct swarm_peer *p, tstamp now)
{
    bool in_a_row = p->rescues > 0 && now < tstamp_after(p->rescued_at, SWARM_RELAPSE_FORGET);

    p->rescues = in_a_row ? p->rescues + 1 : 1;
    p->rescued_at = now;
}

static bool is_dialled(const struct swarm *s, const struct swarm_peer *p, bool relayed)
{
    return relayed ? swarm_dials_under_way(s, p, true) >= SWARM_RESCUE_RELAYS : p->n_dials > 0;
}

/* Strangers, who may fall quiet at once and when they like, have dials of their own: they use up nobody else's. */
static bool came(const struct swarm *s, const struct swarm_link *l)
{
    return (l->props & LINK_INBOUND) != 0 && swarm_peer_standing(s, &l->peer->id) <= RES_CHOSEN;
}

static bool has_turn(struct swarm *s, const struct swarm_link *l, tstamp now)
{
    return limiter_take(came(s, l) ? &s->rescues_came : &s->rescues, 1, now);
}

/* Looked at again at |at|. */
static void look_at(struct swarm *s, struct swarm_link *l, tstamp at)
{
    l->path.fresh = true;
    s->rescue_at = tstamp_min(s->rescue_at, at);
}

static void dial(struct swarm *s, struct swarm_link *l, unsigned core, tstamp now)
{
    const struct swarm_path *most = most_dialled(l->peer);
    const struct swarm_beside as = {l, core, true, most == NULL && l->peer->n_dials == 0,
                                    came(s, l)};

    if (most == NULL) {
        rescued(l->peer, now);
    }
    l->path.rescues = most == NULL ? 1 : most->rescues + 1;
    l->path.rescue_at = tstamp_after(now, swarm_rule_rescue_pause(l->path.rescues));
    s->stats.links_rescued += swarm_dial_beside(s, l->peer, &as, now) > 0 ? 1 : 0;
}

static void rescue(struct swarm *s, struct swarm_link *l, tstamp now)
{
    unsigned core = 0;
    tstamp lasts =
        tstamp_after(l->path.since, is_kept(l) ? SWARM_RESCUE_KEPT : SWARM_RESCUE_DIRECT);
    enum swarm_witness other = witnesses(s, l, now);
    bool relayed = has_address(s, l->peer, true);
    struct swarm_quiet_view v = {.needed = is_needed(s, l, &core),
                                 .other = other != SWARM_WITNESS_NONE,
                                 .dialling = is_dialled(s, l->peer, relayed),
                                 .relayed = relayed,
                                 .lasts = now >= lasts,
                                 .too_soon = now < rescue_from(l->peer)};

    if (other == SWARM_WITNESS_HEARD) {
        ask_elsewhere(s, l);
    }
    if (swarm_rule_rescue(&v) && has_turn(s, l, now)) {
        dial(s, l, core, now);
    }
    tstamp soon = other == SWARM_WITNESS_ASKED ? LOOK_ASKED : LOOK;
    look_at(s, l, tstamp_min(v.lasts ? TSTAMP_NEVER : lasts, tstamp_after(now, soon)));
}

/* A link that was asked in vain, whose transport says nothing, has brought something. */
static bool is_heard(struct swarm_link *l, tstamp now)
{
    bool is = l->path.guessed && brought(l);

    if (is) {
        swarm_rule_path_heard(&l->path, now);
    }
    return is;
}

void swarm_rescue_links(struct swarm *s, tstamp now)
{
    s->quiet_new = false;
    s->rescue_at = TSTAMP_NEVER;
    LIST_EACH_SAFE(it, tmp, &s->links)
    {
        struct swarm_link *l = LIST_ENTRY(it, struct swarm_link, node);
        if (l->path.fresh && l->up && l->peer != NULL && !is_heard(l, now)) {
            rescue(s, l, now);
        }
    }
}

/* ---- direct again ---- */

bool swarm_is_direct(const struct swarm *s, const struct peer_id *peer, uint64_t patience_ns,
                     tstamp now)
{
    const struct swarm_peer *p = map_get(&s->peers, peer_id_slice(peer));

    for (size_t i = 0; p != NULL && i < p->n_links; i++) {
        const struct swarm_link *l = p->link[i];
        bool lost = l->path.quiet && now >= tstamp_after(l->path.since, patience_ns);
        if ((l->props & LINK_RELAYED) == 0 && !lost) {
            return true;
        }
    }
    return false;
}

static bool has_direct(const struct swarm_peer *p, tstamp now)
{
    for (size_t i = 0; i < p->n_links; i++) {
        const struct swarm_link *l = p->link[i];
        if ((l->props & LINK_RELAYED) == 0 && !swarm_rule_path_unsure(&l->path, now)) {
            return true;
        }
    }
    return false;
}

bool swarm_prefers_direct(const struct swarm *s, const struct peer_id *peer, tstamp now)
{
    const struct swarm_peer *p = map_get(&s->peers, peer_id_slice(peer));

    return p != NULL && has_direct(p, now);
}

bool swarm_redial(struct swarm *s, tstamp now)
{
    bool waits = false;

    LIST_EACH_SAFE(it, tmp, &s->links)
    {
        struct swarm_link *l = LIST_ENTRY(it, struct swarm_link, node);
        unsigned core = 0;
        if (!l->up || l->peer == NULL || (l->props & LINK_RELAYED) == 0 ||
            has_direct(l->peer, now) || !has_address(s, l->peer, false) || !has_need(s, l, &core)) {
            continue;
        }
        waits = true;
        if (now >= l->path.redial_at && l->peer->n_dials == 0) {
            l->path.redial_at = tstamp_after(now, swarm_rule_redial_pause(l->path.redials++));
            const struct swarm_beside as = {NULL, core, false, true, false};
            (void)swarm_dial_beside(s, l->peer, &as, now);
        }
    }
    return waits;
}
