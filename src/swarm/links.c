/*
 * links.c - links coming up and going down.
 *
 *   dial ────────────▶ made ─ LINK_UP ─ admitted ▶ up ─ LINK_DOWN, closed ▶ dead ─ reaped ▶ freed
 *   inbound LINK_UP ──▶ made ┘        └ refused ───────────────────────────▶ dead
 *   on demand: first use ▶ up
 *
 * What of it programs are told: states.h.
 */
#include "swarm/doubts.h"
#include "swarm/early.h"
#include "swarm/meter_int.h"
#include "swarm/quiet.h"
#include "swarm/rekey.h"
#include "swarm/trim.h"

#include <string.h>

static const struct peer_id nobody;
static const struct res_ask one_link = {.what = RES_LINKS, .n = 1, .proto = RES_PROTOS};

static struct slice link_key(const struct swarm_transport *tp, const struct ref *ref,
                             uint8_t buf[SWARM_LINK_KEY_LEN])
{
    memcpy(buf, &tp->ix, 4);
    memcpy(buf + 4, &ref->slot, 4);
    memcpy(buf + 8, &ref->gen, 4);
    return (struct slice){buf, SWARM_LINK_KEY_LEN};
}

qudag_err swarm_link_info(const struct swarm_link *l, struct link_info *out)
{
    qudag_err err = l->tp->t->info(l->tp->owner, l->ref, out);

    if (err == QUDAG_OK) {
        out->shaped = l->tp->t->ops->set_unit != NULL;
    }
    return err;
}

static struct swarm_link *find(struct swarm *s, const struct swarm_transport *tp, struct ref ref)
{
    uint8_t key[SWARM_LINK_KEY_LEN];

    return map_get(&s->link_map, link_key(tp, &ref, key));
}

struct swarm_link *swarm_link_make(struct swarm *s, const struct swarm_transport *tp,
                                   struct ref ref, tstamp now)
{
    uint8_t key[SWARM_LINK_KEY_LEN];
    struct swarm_link *l = mem_alloc(s->mem, sizeof(*l));

    if (l == NULL) {
        return NULL;
    }
    l->tp = tp;
    l->ref = ref;
    l->since = now;
    list_init(&l->streams);
    list_init(&l->node);
    if (map_put(&s->link_map, link_key(tp, &ref, key), l) != QUDAG_OK) {
        mem_free(s->mem, l);
        return NULL;
    }
    list_push_back(&s->links, &l->node);
    return l;
}

struct swarm_link *swarm_link_get(struct swarm *s, const struct swarm_transport *tp, struct ref ref)
{
    struct swarm_link *l = find(s, tp, ref);
    struct link_info info;

    if (l != NULL || !tp->t->on_demand || tp->t->info(tp->owner, ref, &info) != QUDAG_OK) {
        return l;
    }
    struct res_place at = {.inbound = (info.props & LINK_INBOUND) != 0};
    uint8_t key[SWARM_LINK_KEY_LEN];
    l = swarm_link_make(s, tp, ref, 0);
    if (l != NULL && resources_open(s->resources, &l->account, &at) != QUDAG_OK) {
        map_del(&s->link_map, link_key(tp, &ref, key));
        swarm_link_free(s, l);
        l = NULL;
    }
    if (l != NULL) {
        l->up = true;
        l->carried = info.carried;
        l->props = info.props | LINK_ANON;
        l->net = info.net;
        l->via = info.via;
    }
    return l;
}

void swarm_link_free(struct swarm *s, struct swarm_link *l)
{
    swarm_dial_uncount(s, l);
    resources_end(s->resources, &l->account);
    list_del(&l->node);
    mem_free(s->mem, l->report);
    mem_free(s->mem, l);
}

static void peer_unlink(struct swarm_peer *p, const struct swarm_link *l)
{
    for (size_t i = 0; i < p->n_links; i++) {
        if (p->link[i] == l) {
            p->n_links--;
            memmove(&p->link[i], &p->link[i + 1], (p->n_links - i) * sizeof(p->link[0]));
            return;
        }
    }
}

/* Tells whoever asked for this very dial. */
static void link_report(struct swarm *s, struct swarm_link *l, qudag_err err)
{
    struct swarm_pending *r = l->report;

    if (r != NULL) {
        l->report = NULL;
        r->peer = l->found.len > 0 ? l->found : *swarm_link_peer_id(l);
        swarm_report_fail(s, r, err);
    }
}

/* Links of |p| came or went: what is to be done about those that are quiet (quiet.c)? */
static void look_again(struct swarm *s, struct swarm_peer *p)
{
    for (size_t i = 0; i < p->n_links; i++) {
        struct swarm_path *path = &p->link[i]->path;
        path->fresh = path->quiet;
        s->quiet_new = s->quiet_new || path->quiet;
    }
}

void swarm_link_gone(struct swarm *s, struct swarm_link *l, qudag_err err, tstamp now)
{
    uint8_t key[SWARM_LINK_KEY_LEN];
    struct swarm_peer *p = l->peer;
    bool dialled = l->dial_by != 0;

    if (l->dead) {
        return;
    }
    map_del(&s->link_map, link_key(l->tp, &l->ref, key));
    swarm_dial_uncount(s, l);
    if (l->account.used[RES_LINKS] > 0) { /* its streams are given back as they are reaped */
        resources_give(s->resources, &l->account, &one_link);
    }
    l->dead = true;
    l->down_err = err == QUDAG_OK ? QUDAG_ECLOSED : err;
    swarm_meter_link_gone(s, l, now);
    list_del(&l->node);
    list_push_back(&s->dead, &l->node);
    if (dialled && !l->up) {
        swarm_net_failed(s, l, l->down_err, now);
    }
    link_report(s, l, l->down_err);
    swarm_link_enter(s, l, l->up ? SWARM_LINK_CLOSING : SWARM_LINK_DOWN);
    if (l->up && (l->props & LINK_ANON) == 0) {
        s->n_links--;
    }
    if (p == NULL) {
        return;
    }
    if (l->up) {
        peer_unlink(p, l);
        look_again(s, p);
        p->n_dying++;
        p->link_died = p->link_died || l->down_err == QUDAG_ETIMEOUT || l->down_err == QUDAG_ERESET;
        swarm_opens_flush(s, p, l->down_err, now);
        if (!list_empty(&p->opens)) {
            swarm_dials_widen(s, p, now);
        }
        return;
    }
    p->in_doubt = p->in_doubt && !l->doubt;
    l->peer = NULL; /* no core knows of it, and the peer may be evicted before it is reaped */
    if (l->dialled) {
        p->n_dials--;
        swarm_dial_ended(s, p, l->down_err, l->closed_here, now);
    }
}

void swarm_link_close(struct swarm *s, struct swarm_link *l, qudag_err err, tstamp now)
{
    l->closed_here = true;
    l->tp->t->ops->close(l->tp->owner, l->ref, err);
    swarm_link_gone(s, l, err, now);
}

void swarm_trim_link(struct swarm *s, struct swarm_link *l, enum swarm_trim why, tstamp now)
{
    struct swarm_worth w = swarm_link_worth(s, l, now);
    bool limit = why == SWARM_TRIM_HIGH || why == SWARM_TRIM_NEWCOMER;

    s->stats.links_trimmed[why]++;
    log_event(&s->cfg.log, limit ? LOG_INFO : LOG_DEBUG, "link.trimmed",
              LOG_STR("reason", swarm_trim_name(why)), LOG_NUM("value", swarm_value(&w)),
              LOG_NUM("links", s->n_links));
    l->down_text = swarm_trim_text(why);
    swarm_link_close(s, l, limit ? QUDAG_ELIMIT : QUDAG_OK, now);
}

/* What the link shows against what is known of its peer; |*other|: its key was told, and another is demanded. */
static qudag_err proves(const struct swarm *s, const struct swarm_link *l,
                        const struct link_info *info, struct swarm_claim *now, bool *other)
{
    const struct peer_id *id = &l->peer->id;
    struct swarm_proof before = *swarm_pins_proof(&s->pins, id);

    *now = (struct swarm_claim){.props = info->props,
                                .pq_hash = info->has_pq_hash ? info->pq_hash : NULL};
    *other = l->named && swarm_pins_is_told(&s->pins, id);
    before.has_pin =
        before.has_pin && !*other; /* the transport demanded the one it was dialled with */
    qudag_err err = swarm_rule_admit(&before, s->cfg.need, now);
    if (l->wants && (now->pq_hash == NULL || memcmp(l->want, now->pq_hash, SWARM_PIN_LEN) != 0)) {
        err = QUDAG_EAUTH;
    }
    return err;
}

/* The same; a first proof is pinned. */
static qudag_err check_proof(struct swarm *s, const struct swarm_link *l,
                             const struct link_info *info)
{
    const struct peer_id *id = &l->peer->id;
    struct swarm_claim now;
    bool inbound = (info->props & LINK_INBOUND) != 0, first, other;
    bool chooses = l->dial_by != 0 && s->core[l->dial_by - 1].ops->chooses;
    qudag_err err = proves(s, l, info, &now, &other);

    if (err != QUDAG_OK) {
        return err;
    }
    if (other) {
        swarm_pins_untell(&s->pins, id);
    }
    err = swarm_pins_learn(&s->pins, id, swarm_rule_pin_source(inbound, chooses), info->net, &now,
                           &first);
    s->stats.pins_set += first ? 1 : 0;
    if (err == QUDAG_OK && l->named && now.pq_hash != NULL) {
        err = swarm_pins_record(&s->pins, id, now.pq_hash);
    }
    return err == QUDAG_EEXISTS ? QUDAG_OK : err;
}

void swarm_link_used(struct swarm *s, const struct swarm_link *l, unsigned core)
{
    bool inbound = (l->props & LINK_INBOUND) != 0;

    if (l->peer != NULL &&
        swarm_rule_pin_source(inbound, s->core[core].ops->chooses) == SWARM_PIN_DIALLED) {
        swarm_pins_chosen(&s->pins, &l->peer->id, l->net);
    }
}

/* A dial without an expected peer, and an inbound link, learn which peer it is. */
static struct swarm_peer *adopt_peer(struct swarm *s, struct swarm_link *l,
                                     const struct link_info *info)
{
    if (peer_id_eq(&info->peer, &s->cfg.self)) {
        return NULL;
    }
    if (l->peer == NULL) {
        l->peer = swarm_peer_make(s, &info->peer);
    }
    if (l->peer != NULL && (info->props & LINK_INBOUND) == 0) { /* this address works */
        swarm_peer_addr_add(s, l->peer, &info->remote, SWARM_ADDR_LINK);
    }
    return l->peer;
}

bool swarm_link_silent(struct swarm_link *l, tstamp now)
{
    struct link_info info;

    if (l->probed == 0 || now - l->probed < SWARM_SILENT_AFTER ||
        swarm_link_info(l, &info) != QUDAG_OK) {
        return false;
    }
    if (info.bytes_in != l->heard) {
        l->probed = 0; /* answered: nothing to look after any more */
    }
    return l->probed != 0;
}

/*
 * |p| has proven itself on one more link.  If its process was killed and restarted, its older links are dead and
 * would be found so only after the idle timeout: they are probed.  Nobody else can cause this.
 */
static void probe_links(struct swarm *s, const struct swarm_peer *p, tstamp now)
{
    for (size_t i = 0; i < p->n_links; i++) {
        struct swarm_link *l = p->link[i];
        struct link_info info;
        if (l->tp->t->probe == NULL || swarm_link_info(l, &info) != QUDAG_OK) {
            continue;
        }
        if (l->probed == 0 || info.bytes_in != l->heard) { /* else the first probe stands */
            l->probed = now;
            l->heard = info.bytes_in;
        }
        s->stats.links_probed++;
        l->tp->t->probe(l->tp->owner, l->ref, now);
    }
}

/* The link that gives way to a new one: the oldest silent one, or else the oldest without streams. */
static struct swarm_link *least_needed(const struct swarm_peer *p, qudag_err *why, tstamp now)
{
    *why = QUDAG_ETIMEOUT;
    for (size_t i = 0; i < p->n_links; i++) {
        if (swarm_link_silent(p->link[i], now)) {
            return p->link[i];
        }
    }
    *why = QUDAG_ELIMIT;
    for (size_t i = 0; i < p->n_links; i++) {
        if (p->link[i]->n_streams == 0) {
            return p->link[i];
        }
    }
    return NULL;
}

/* A peer that restarted without closing its links has used up its limit with dead ones. */
static bool make_place(struct swarm *s, struct swarm_peer *p, tstamp now)
{
    qudag_err why;

    if (p->n_links < SWARM_LINKS_PER_PEER) {
        return true;
    }
    struct swarm_link *old = least_needed(p, &why, now);
    if (old == NULL) {
        return false;
    }
    s->stats.links_replaced++;
    swarm_link_close(s, old, why, now);
    return true;
}

uint64_t swarm_link_refused(struct swarm *s, const struct res_refusal *why, tstamp now)
{
    const char *event = why->what == RES_LINKS   ? "link.refused"
                        : why->what == RES_DIALS ? "dial.refused"
                                                 : "stream.refused";

    if (!limiter_take(&s->refusals_said, 1, now)) { /* as many as peers like; all are counted */
        return resources_pack(why);
    }
    log_event(&s->cfg.log, LOG_INFO, event, LOG_STR("scope", resources_scope_name(why->scope)),
              LOG_STR("resource", resources_what_name(why->what)), LOG_NUM("used", why->used),
              LOG_NUM("limit", why->limit));
    return resources_pack(why);
}

static struct swarm_ask ask_of(const struct swarm_link *l, const struct link_info *info)
{
    return (struct swarm_ask){.inbound = (info->props & LINK_INBOUND) != 0,
                              .net = info->net,
                              .peer = &info->peer,
                              .core = l->dial_by != 0 ? l->dial_by - 1u : 0};
}

/* The link that gives way to |l|, if one must, is closed. */
static void make_way(struct swarm *s, const struct swarm_link *l, const struct link_info *info,
                     tstamp now)
{
    enum res_class class = l->account.class;
    struct res_refusal why;

    if (resources_room(s->resources, (info->props & LINK_INBOUND) != 0, info->net, class, &why) ==
        QUDAG_OK) {
        return;
    }
    struct swarm_link *victim = swarm_trim_victim(s, class, &why, now);
    if (victim != NULL) {
        if (class < RES_CHOSEN) {
            (void)limiter_take(&s->newcomers, 1, now);
        }
        swarm_trim_link(s, victim, SWARM_TRIM_NEWCOMER, now);
    }
}

/* A place for |l|; what it is refused by goes to whoever asked for the dial. */
static qudag_err place(struct swarm *s, struct swarm_link *l, const struct link_info *info,
                       tstamp now)
{
    struct swarm_ask want = ask_of(l, info);
    struct res_place at = {want.inbound, info->net, peer_id_slice(&info->peer)};
    struct res_refusal why;

    swarm_dial_give(s, l);
    qudag_err err = resources_open(s->resources, &l->account, &at);

    if (err != QUDAG_OK) {
        return err;
    }
    l->came = swarm_class_of(s, want.inbound, want.core);
    enum res_class class = swarm_place(s, &want, &why, now);
    l->account.class = class != RES_CLASSES ? class : l->came;
    make_way(s, l, info, now);
    err = resources_ask(s->resources, &l->account, &one_link, &why);
    if (err != QUDAG_OK) {
        resources_end(s->resources, &l->account);
        uint64_t word = swarm_link_refused(s, &why, now);
        if (l->report != NULL) {
            l->report->ev.refused = word;
        }
    } else {
        swarm_streams_count(s, l, now);
    }
    return err;
}

/* Before anything is remembered of the peer: whoever is refused by the thousand must leave nothing behind. */
static bool room_for(struct swarm *s, const struct swarm_link *l, const struct link_info *info,
                     tstamp now)
{
    struct swarm_ask want = ask_of(l, info);
    struct res_refusal why;

    if (want.inbound && s->door_closed) {
        return false;
    }
    if (!want.inbound || peer_id_eq(&info->peer, &s->cfg.self) ||
        swarm_place(s, &want, &why, now) != RES_CLASSES) {
        return true;
    }
    resources_refuse(s->resources, &why);
    (void)swarm_link_refused(s, &why, now);
    return false;
}

static qudag_err admit(struct swarm *s, struct swarm_link *l, const struct link_info *info,
                       tstamp now)
{
    struct swarm_peer *p = room_for(s, l, info, now) ? adopt_peer(s, l, info) : NULL;

    if (p == NULL) {
        return peer_id_eq(&info->peer, &s->cfg.self) ? QUDAG_EINVAL : QUDAG_ELIMIT;
    }
    qudag_err err = check_proof(s, l, info);
    if (err != QUDAG_OK) {
        return err;
    }
    return make_place(s, p, now) ? place(s, l, info, now) : QUDAG_ELIMIT;
}

/* |l| stands: it is one more of its peer's. */
static void enter(struct swarm *s, struct swarm_link *l, const struct link_info *info, tstamp now)
{
    struct swarm_peer *p = l->peer;

    swarm_dial_uncount(s, l);
    if (l->dialled) {
        l->dialled = false;
        p->n_dials--;
    }
    l->up = true;
    l->up_order = ++s->n_ups;
    l->props = info->props & (uint8_t)~LINK_ANON;
    l->net = info->net;
    l->idle_since = now;
    l->until = info->until == 0 ? TSTAMP_NEVER : info->until;
    l->renew_at = swarm_rule_renew_at(l->until, rng_u64(&s->cfg.rng), now);
    swarm_rekey_up(s, l, info, now);
    s->n_links++;
    swarm_link_stand(s, l);
    swarm_meter_link_up(s, l, info, now);
    (void)multiaddr_endpoint(&info->remote, &l->remote);
    swarm_net_up(s, l);
    swarm_link_enter(s, l, SWARM_LINK_UP);
    probe_links(s, p, now);
    look_again(s, p);
    p->link[p->n_links++] = l;
    if (swarm_rule_clears_backoff(l->props, p->failed_need)) {
        swarm_breaker_reset(&p->breaker);
        p->failed_need = 0;
        p->last_err = QUDAG_OK;
    }
    list_del(&p->notify);
    list_push_back(&s->notify, &p->notify);
}

/* |l| was admitted, or refused with |err|. */
static void stands(struct swarm *s, struct swarm_link *l, const struct link_info *info,
                   qudag_err err, tstamp now)
{
    if (err != QUDAG_OK) {
        bool proof = err == QUDAG_EAUTH || err == QUDAG_EPOLICY; /* not of one that was followed */
        s->stats.pins_refused += proof ? 1 : 0;
        swarm_meter_link_refused(s, l, info, err);
        l->down_text = err == QUDAG_EAUTH ? "peer's ML-DSA key is not the expected one" : NULL;
        swarm_link_close(s, l, err, now);
        return;
    }
    enter(s, l, info, now);
    link_report(s, l, QUDAG_OK);
    swarm_opens_flush(s, l->peer, QUDAG_EPOLICY, now);
    if (list_empty(&l->peer->opens)) {
        swarm_dials_cancel(s, l, now);
    }
}

/* |l| proved another key than its peer is known by: it is in doubt from now on, or what keeps it from that. */
static qudag_err doubt(struct swarm *s, struct swarm_link *l, const struct link_info *info,
                       tstamp now)
{
    qudag_err err = swarm_doubt_may(s, l, info, now);

    if (err == QUDAG_OK) {
        err = place(s, l, info, now);
    }
    if (err == QUDAG_OK) {
        swarm_doubt_set(l, true);
        s->doubts_new = true;
        l->props = info->props;
        l->props &= (uint8_t)~LINK_ANON;
        l->net = info->net;
    }
    return err;
}

static void link_up(struct swarm *s, const struct swarm_transport *tp, struct ref ref, tstamp now)
{
    struct link_info info;
    struct swarm_link *l = find(s, tp, ref);

    if (l == NULL) { /* inbound: first we hear of it */
        l = swarm_link_make(s, tp, ref, now);
    }
    if (l == NULL || swarm_link_info(l, &info) != QUDAG_OK) {
        tp->t->ops->close(tp->owner, ref, QUDAG_ENOMEM);
        return;
    }
    qudag_err err = admit(s, l, &info, now);
    if (err == QUDAG_EAUTH && (err = doubt(s, l, &info, now)) == QUDAG_OK) {
        return;
    }
    stands(s, l, &info, err, now);
}

/*
 * Who was dialled has proven to be whom it is known as.  What waits for it is asked at once, by cores that can stand
 * that a link which refuses us takes their streams with it; nobody else hears of the link before LINK_UP.
 */
static void link_proven(struct swarm *s, const struct swarm_transport *tp, struct ref ref,
                        tstamp now)
{
    struct swarm_link *l = find(s, tp, ref);
    struct link_info info;
    struct swarm_claim claim;
    bool other;

    if (l == NULL || l->up || l->dead || l->dial_by == 0 || l->peer == NULL ||
        swarm_link_info(l, &info) != QUDAG_OK || !peer_id_eq(&info.peer, &l->peer->id) ||
        proves(s, l, &info, &claim, &other) != QUDAG_OK) {
        return;
    }
    l->props = info.props & (uint8_t) ~(LINK_ANON | LINK_INBOUND);
    l->proven = true;
    l->proven_at = now;
    swarm_opens_early(s, l, now);
}

void swarm_link_believed(struct swarm *s, struct swarm_link *l, qudag_err why, tstamp now)
{
    struct link_info info = {.props = l->props};
    qudag_err err = swarm_link_info(l, &info);

    err = err == QUDAG_OK ? why : err;
    if (err == QUDAG_OK) {
        err = check_proof(s, l, &info);
    }
    if (err == QUDAG_OK && !make_place(s, l->peer, now)) {
        err = QUDAG_ELIMIT;
    }
    stands(s, l, &info, err, now);
}

void swarm_link_event(struct swarm *s, unsigned transport, const struct link_ev *ev, tstamp now)
{
    const struct swarm_transport *tp = &s->transport[transport];
    struct swarm_link *l;

    switch (ev->type) {
    case LINK_UP:
        link_up(s, tp, ev->link, now);
        break;
    case LINK_DOWN:
        if ((l = find(s, tp, ev->link)) != NULL) {
            l->found = ev->found != NULL ? *ev->found : nobody;
            l->down_text = ev->text;
            swarm_link_gone(s, l, ev->err, now);
        }
        break;
    case LINK_STREAM:
        l = swarm_link_get(s, tp, ev->link);
        if (l != NULL && (l->up || l->doubt)) {
            swarm_stream_in(s, l, ev, now);
        } else {
            tp->t->ops->reset(tp->owner, ev->link, ev->sid, QUDAG_ELIMIT);
        }
        break;
    case LINK_ANSWERED:
        if ((l = find(s, tp, ev->link)) != NULL && !l->up) {
            swarm_link_enter(s, l, SWARM_LINK_HANDSHAKING);
        }
        break;
    case LINK_PROVEN:
        link_proven(s, tp, ev->link, now);
        break;
    case LINK_QUIET:
        if ((l = find(s, tp, ev->link)) != NULL && l->up) {
            s->quiet_new = swarm_rule_path_quiet(&l->path, now) || s->quiet_new;
        }
        break;
    case LINK_HEARD:
        if ((l = find(s, tp, ev->link)) != NULL && l->up) {
            swarm_rule_path_heard(&l->path, now);
        }
        break;
    case LINK_STREAMS_OK:
        if ((l = find(s, tp, ev->link)) != NULL && l->peer != NULL) {
            swarm_opens_flush(s, l->peer, QUDAG_EPOLICY, now);
        }
        break;
    case LINK_DATA:
    case LINK_FIN:
    case LINK_RESET:
    case LINK_SENT:
        swarm_stream_event(s, tp, ev, now);
        break;
    }
}
