/*
 * swarm.c - creation, registration, delivery of pending events, and inspection.
 *
 *   link events ──▶ links.c ──▶ streams.c ──▶ sink (cores)
 *   actions of cores ──▶ opens.c, dial.c (open) / streams.c (the rest) ──▶ transport
 */
#include "swarm/moves.h"
#include "swarm/trim.h"

#include "base/assert.h"

#include <string.h>

#define NEWCOMERS_BURST 4 /* links that may give way at once; one a second after that */

static void defaults(struct swarm_config *c)
{
    c->pins_max = c->pins_max != 0 ? c->pins_max : 65536;
    c->streams_max = c->streams_max != 0 ? c->streams_max : 65536;
    c->opens_max = c->opens_max != 0 ? c->opens_max : 4096;
    c->opens_per_peer = c->opens_per_peer != 0 ? c->opens_per_peer : 2048;
    c->streams_per_peer = c->streams_per_peer != 0 ? c->streams_per_peer : 256;
    c->dials_max = c->dials_max != 0 ? c->dials_max : 256;
    c->links_max = c->links_max != 0 ? c->links_max : 1024;
    c->peers_max = c->peers_max != 0 ? c->peers_max : swarm_rule_peers_max(c->links_max);
    c->network_share = c->network_share != 0 ? c->network_share : 100;
    c->links_high = c->links_high != 0 ? c->links_high : c->links_max - c->links_max / 4;
    c->links_grace_ns = c->links_grace_ns != 0 ? c->links_grace_ns : 20 * NS_PER_S;
    c->links_low = c->links_low != 0 ? c->links_low : c->links_high - c->links_high / 4;
    c->idle_close_ns = c->idle_close_ns != 0 ? c->idle_close_ns : 300 * NS_PER_S;
    c->dial_ns = c->dial_ns != 0 ? c->dial_ns : SWARM_OPEN_TIMEOUT;
    c->negotiate_ns = c->negotiate_ns != 0 ? c->negotiate_ns : SWARM_NEGOTIATE_TIMEOUT;
}

void swarm_set_times(struct swarm *s, uint64_t idle_close_ns, uint64_t dial_ns,
                     uint64_t negotiate_ns)
{
    struct swarm_config *c = &s->cfg;

    c->idle_close_ns = idle_close_ns != 0 ? idle_close_ns : c->idle_close_ns;
    c->dial_ns = dial_ns != 0 ? dial_ns : c->dial_ns;
    c->negotiate_ns = negotiate_ns != 0 ? negotiate_ns : c->negotiate_ns;
}

static qudag_err make_accounts(struct swarm *s)
{
    struct resources_config c = {.mem = s->mem,
                                 .links_max = s->cfg.links_max,
                                 .network_share = s->cfg.network_share,
                                 .streams_max = s->cfg.streams_max,
                                 .dials_max = s->cfg.dials_max};

    limiter_init(&s->refusals_said, 1, 10, 0);
    limiter_init(&s->keys_said, 1, 10, 0);
    limiter_init(&s->rescues, 2, 16, 0);
    limiter_init(&s->rescues_came, 1, 8, 0);
    limiter_init(&s->newcomers, 1, NEWCOMERS_BURST, 0);
    rng_fill(&s->cfg.rng, c.seed, sizeof(c.seed));
    swarm_tags_init(&s->tags, s->mem, c.seed);
    rng_fill(&s->cfg.rng, c.seed, sizeof(c.seed));
    qudag_err err = s->cfg.accounts == NULL ? resources_new(&s->own, &c) : QUDAG_OK;
    s->resources = s->own != NULL ? s->own : s->cfg.accounts;
    return err;
}

const struct resources *swarm_resources(const struct swarm *s)
{
    return s->resources;
}

uint64_t swarm_refused(const struct swarm *s)
{
    return s->refused;
}

qudag_err swarm_new(struct swarm **out, const struct swarm_config *cfg)
{
    struct swarm *s = mem_alloc(cfg->mem, sizeof(*s));
    uint8_t seed[16];

    if (s == NULL) {
        return QUDAG_ENOMEM;
    }
    s->cfg = *cfg;
    defaults(&s->cfg);
    s->mem = cfg->mem;
    qudag_err err = make_accounts(s);
    if (err != QUDAG_OK) {
        mem_free(s->mem, s);
        return err;
    }
    rng_fill(&cfg->rng, seed, sizeof(seed));
    swarm_pins_init(&s->pins, s->mem, seed, s->cfg.pins_max, s->cfg.pins_persist);
    s->pins.in_use = swarm_peer_in_use;
    s->pins.ctx = s;
    rng_fill(&cfg->rng, seed, sizeof(seed));
    map_init(&s->peers, s->mem, seed, s->cfg.peers_max);
    map_init(&s->link_map, s->mem, seed, 2 * (size_t)s->cfg.peers_max);
    s->rescue_at = TSTAMP_NEVER;
    list_init(&s->lru);
    list_init(&s->links);
    list_init(&s->dead);
    list_init(&s->negotiating);
    list_init(&s->timed_out);
    list_init(&s->opens);
    list_init(&s->pending);
    list_init(&s->notify);
    list_init(&s->delayed);
    slots_init(&s->streams, s->mem, s->cfg.streams_max);
    *out = s;
    return QUDAG_OK;
}

static void free_pending(struct swarm *s)
{
    LIST_EACH_SAFE(it, tmp, &s->pending)
    {
        struct swarm_pending *p = LIST_ENTRY(it, struct swarm_pending, node);
        list_del(&p->node);
        mem_free(s->mem, p);
    }
}

static void free_links(struct swarm *s, struct list *head)
{
    LIST_EACH_SAFE(it, tmp, head)
    {
        struct swarm_link *l = LIST_ENTRY(it, struct swarm_link, node);
        LIST_EACH_SAFE(st, tmp2, &l->streams)
        {
            swarm_stream_drop(s, LIST_ENTRY(st, struct swarm_stream, link_node), 0);
        }
        swarm_link_free(s, l);
    }
}

static void free_names(struct swarm *s, const char **names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        union {
            const char *c;
            void *v;
        } u = {names[i]};
        mem_free(s->mem, u.v);
    }
}

void swarm_free(struct swarm *s)
{
    if (s == NULL) {
        return;
    }
    free_links(s, &s->links);
    free_links(s, &s->dead);
    LIST_EACH_SAFE(it, tmp, &s->opens)
    {
        struct swarm_open *o = LIST_ENTRY(it, struct swarm_open, order);
        swarm_open_unlink(s, o);
        mem_free(s->mem, o);
    }
    LIST_EACH_SAFE(it2, tmp2, &s->lru)
    {
        swarm_peer_free(s, LIST_ENTRY(it2, struct swarm_peer, lru));
    }
    free_pending(s);
    free_names(s, s->proto, s->n_protos);
    free_names(s, s->interned, s->n_interned);
    swarm_pins_fini(&s->pins);
    swarm_tags_fini(&s->tags);
    map_fini(&s->peers);
    map_fini(&s->link_map);
    slots_fini(&s->streams);
    resources_free(s->own);
    mem_free(s->mem, s);
}

qudag_err swarm_core_add(struct swarm *s, const struct core_ops *ops, unsigned *core)
{
    if (s->n_cores == SWARM_CORES_MAX) {
        return QUDAG_ELIMIT;
    }
    s->core[s->n_cores].ops = ops;
    *core = s->n_cores++;
    return QUDAG_OK;
}

static const char *name_copy(struct swarm *s, const char *name)
{
    size_t len = strlen(name);
    char *copy = mem_alloc(s->mem, len + 1);

    if (copy != NULL) {
        memcpy(copy, name, len);
    }
    return copy;
}

const char *swarm_proto_intern(struct swarm *s, const char *proto)
{
    for (size_t i = 0; i < s->n_protos; i++) {
        if (strcmp(s->proto[i], proto) == 0) {
            return s->proto[i];
        }
    }
    for (size_t i = 0; i < s->n_interned; i++) {
        if (strcmp(s->interned[i], proto) == 0) {
            return s->interned[i];
        }
    }
    if (s->n_interned == SWARM_PROTOS_MAX || !swarm_proto_valid(proto)) {
        return NULL;
    }
    const char *copy = name_copy(s, proto);
    if (copy != NULL) {
        s->interned[s->n_interned++] = copy;
    }
    return copy;
}

static qudag_err proto_add(struct swarm *s, const char *proto, unsigned core, bool anonymous)
{
    if (!swarm_proto_valid(proto) || core >= s->n_cores) {
        return QUDAG_EINVAL;
    }
    for (size_t i = 0; i < s->n_protos; i++) {
        if (strcmp(s->proto[i], proto) == 0) {
            return QUDAG_EEXISTS;
        }
    }
    if (s->n_protos == SWARM_PROTOS_MAX) {
        return QUDAG_ELIMIT;
    }
    const char *copy = name_copy(s, proto);
    if (copy == NULL) {
        return QUDAG_ENOMEM;
    }
    if (!anonymous) {
        s->plain[s->n_plain] = copy;
        s->plain_ix[s->n_plain++] = s->n_protos;
    }
    s->proto[s->n_protos] = copy;
    s->proto_anonymous[s->n_protos] = anonymous;
    s->proto_core[s->n_protos++] = core;
    return QUDAG_OK;
}

qudag_err swarm_proto_add(struct swarm *s, const char *proto, unsigned core, bool main)
{
    qudag_err err = proto_add(s, proto, core, false);

    if (err == QUDAG_OK && main) {
        s->core[core].main_proto = s->proto[s->n_protos - 1];
    }
    return err;
}

qudag_err swarm_proto_add_anonymous(struct swarm *s, const char *proto, unsigned core)
{
    return proto_add(s, proto, core, true);
}

size_t swarm_protos(const struct swarm *s, const char *const **protos)
{
    *protos = s->plain;
    return s->n_plain;
}

static bool has_on_demand(const struct swarm *s)
{
    for (uint32_t i = 0; i < s->n_transports; i++) {
        if (s->transport[i].t->on_demand) {
            return true;
        }
    }
    return false;
}

qudag_err swarm_transport_add(struct swarm *s, const struct transport *t, void *owner,
                              unsigned *transport)
{
    if (t->on_demand && has_on_demand(s)) {
        return QUDAG_EEXISTS; /* ACT_OPEN could not tell their links apart */
    }
    if (s->n_transports == SWARM_TRANSPORTS_MAX) {
        return QUDAG_ELIMIT;
    }
    s->transport[s->n_transports] = (struct swarm_transport){t, owner, s->n_transports};
    *transport = s->n_transports++;
    return QUDAG_OK;
}

const struct swarm_transport *swarm_transport_for(const struct swarm *s,
                                                  const struct multiaddr *addr)
{
    for (uint32_t i = 0; i < s->n_transports; i++) {
        const struct swarm_transport *tp = &s->transport[i];
        if (tp->t->handles != NULL && tp->t->handles(tp->owner, addr)) {
            return tp;
        }
    }
    return NULL;
}

bool swarm_dials(const struct swarm *s, const struct multiaddr *addr, uint8_t *cost)
{
    const struct swarm_transport *tp = swarm_transport_for(s, addr);

    *cost = tp != NULL ? (uint8_t)tp->t->cost : 0;
    return tp != NULL;
}

struct swarm_pending *swarm_report_make(struct swarm *s, unsigned core, uint64_t cookie,
                                        const struct peer_id *peer)
{
    struct swarm_pending *p = mem_alloc(s->mem, sizeof(*p));

    if (p != NULL) {
        list_init(&p->node);
        p->core = core;
        p->ev.cookie = cookie;
        p->peer = *peer;
    }
    return p;
}

void swarm_report_fail(struct swarm *s, struct swarm_pending *p, qudag_err err)
{
    p->ev.type = EV_STREAM_FAIL;
    p->ev.err = err;
    list_push_back(&s->pending, &p->node);
}

void swarm_deliver(struct swarm *s, unsigned core, const struct ev *ev)
{
    s->cfg.sink(s->cfg.sink_ctx, core, ev);
}

/* One stream of a dead link, or the link itself once it has none. */
static void reap(struct swarm *s, tstamp now)
{
    struct swarm_link *l = LIST_ENTRY(s->dead.next, struct swarm_link, node);

    if (!list_empty(&l->streams)) {
        struct swarm_stream *st = LIST_ENTRY(l->streams.next, struct swarm_stream, link_node);
        struct ev ev = {.type = EV_RESET, .strm = st->ref, .err = l->down_err};
        unsigned core = st->core;
        bool known = st->in_up;
        swarm_stream_drop(s, st, now);
        if (known) {
            swarm_deliver(s, core, &ev);
        }
        return;
    }
    struct swarm_peer *p = l->peer;
    swarm_link_enter(s, l, SWARM_LINK_DOWN);
    if (p != NULL) {
        p->n_dying--;
        p->down_err = l->down_err;
        list_del(&p->notify);
        list_push_back(&s->notify, &p->notify);
    }
    swarm_link_free(s, l);
}

/* Of the link a stream without special needs goes to; a limited one, if there is no other. */
static uint8_t best_props(const struct swarm *s, const struct swarm_peer *p, tstamp now)
{
    const struct swarm_link *l = NULL;

    for (unsigned c = 0; c < s->n_cores && l == NULL; c++) {
        l = swarm_peer_link(s, p, 0, c, NULL, now);
    }
    return l != NULL ? l->props : p->link[0]->props;
}

/*
 * Notifies the cores whether the peer is there, if that has changed, or that it came back before anyone
 * saw it go: what it said of itself and what failed meanwhile is of the past.
 */
static void notify(struct swarm *s, tstamp now)
{
    struct swarm_peer *p = LIST_ENTRY(s->notify.next, struct swarm_peer, notify);
    struct peer_id id = p->id; /* a core's answer may make room for other peers */
    struct ev ev = {.type = EV_PEER_UP, .peer = &id};

    list_del(&p->notify);
    if (p->up && p->n_dying > 0) {
        return; /* its streams first */
    }
    ev.again = p->up && p->n_links > 0 && p->link_died;
    p->link_died = false;
    if (p->up == (p->n_links > 0) && !ev.again) {
        return;
    }
    p->up = p->n_links > 0;
    if (p->up) {
        ev.props = best_props(s, p, now);
    } else {
        ev.type = EV_PEER_DOWN;
        ev.err = p->down_err;
    }
    for (unsigned c = 0; c < s->n_cores; c++) {
        swarm_deliver(s, c, &ev);
    }
}

/* A negotiation took too long; the stream was reset already. */
static void end_timed_out(struct swarm *s, tstamp now)
{
    struct swarm_stream *st = LIST_ENTRY(s->timed_out.next, struct swarm_stream, wait_node);
    struct ev ev = {
        .type = EV_RESET, .strm = st->ref, .err = st->elsewhere ? QUDAG_ECLOSED : QUDAG_ETIMEOUT};
    unsigned core = st->core;
    bool known = st->in_up;

    swarm_stream_drop(s, st, now);
    if (known) {
        swarm_deliver(s, core, &ev);
    }
}

bool swarm_step(struct swarm *s, tstamp now)
{
    if (!list_empty(&s->dead)) {
        reap(s, now);
        return true;
    }
    if (!list_empty(&s->timed_out)) {
        end_timed_out(s, now);
        return true;
    }
    if (!list_empty(&s->notify)) {
        notify(s, now);
        return true;
    }
    if (list_empty(&s->pending)) {
        return false;
    }
    struct swarm_pending *p = LIST_ENTRY(s->pending.next, struct swarm_pending, node);
    list_del(&p->node);
    p->ev.peer = &p->peer;
    swarm_deliver(s, p->core, &p->ev);
    mem_free(s->mem, p);
    return true;
}

static enum swarm_pin pin_of(const struct swarm *s, const struct swarm_link *l, uint32_t *changes)
{
    const struct swarm_pin_entry *e =
        l->peer != NULL ? swarm_pins_get(&s->pins, &l->peer->id) : NULL;

    *changes = 0;
    if (e == NULL || !e->proof.has_pin) {
        return SWARM_PIN_NONE;
    }
    *changes = e->proof.seq < UINT32_MAX ? (uint32_t)e->proof.seq : UINT32_MAX;
    return e->known ? SWARM_PIN_KNOWN : SWARM_PIN_FIRST_USE;
}

bool swarm_link_next(const struct swarm *s, size_t *it, struct swarm_look *out, tstamp now)
{
    const struct swarm_link *l;

    while ((l = map_next(&s->link_map, it)) != NULL) {
        bool refused = l->state == SWARM_LINK_NONE; /* at the door: nobody was told of it */
        if ((l->props & LINK_ANON) != 0 || refused || swarm_link_info(l, &out->info) != QUDAG_OK) {
            continue;
        }
        struct swarm_worth worth = swarm_link_worth(s, l, now); /* of a dial: nothing yet */
        out->info.peer = l->up ? out->info.peer : *swarm_link_peer_id(l);
        out->info.streams = l->n_streams;
        out->pin = pin_of(s, l, &out->key_changes);
        out->state = l->state;
        out->transport = l->tp->t->name;
        out->standing = swarm_link_standing(s, l);
        out->value = l->up ? swarm_value(&worth) : 0;
        out->moved = l->moved;
        out->quiet = l->path.quiet;
        return true;
    }
    return false;
}

/* Who passes |l| on. */
static void relay_of(struct peer_id *out, struct swarm_link *l)
{
    struct link_info info;
    struct multiaddr relay;

    if (swarm_link_info(l, &info) != QUDAG_OK || !multiaddr_through(&info.remote, &relay) ||
        !multiaddr_peer(&relay, out)) {
        out->len = 0;
    }
}

qudag_err swarm_stream_info(const struct swarm *s, struct ref strm, struct swarm_stream_info *out)
{
    const struct swarm_stream *st = slots_get(&s->streams, strm);

    if (st == NULL) {
        return QUDAG_ESTALE;
    }
    *out = (struct swarm_stream_info){.peer = *swarm_link_peer_id(st->link),
                                      .props = st->link->props,
                                      .link = st->link->ref,
                                      .agreed = st->state == SWARM_STREAM_OPEN,
                                      .core = st->core};
    if (st->proto != NULL) {
        memcpy(out->proto, st->proto, strlen(st->proto) + 1);
    }
    if ((st->link->props & LINK_RELAYED) != 0) {
        relay_of(&out->relay, st->link);
    }
    return QUDAG_OK;
}

bool swarm_stream_moves(const struct swarm *s, struct ref strm, tstamp now)
{
    const struct swarm_stream *st = slots_get(&s->streams, strm);

    if (st == NULL || st->link->peer == NULL || st->state != SWARM_STREAM_OPEN) {
        return false;
    }
    struct swarm_link *l = st->link,
                      *best = swarm_peer_link(s, l->peer, s->cfg.need, st->core, st->proto, now);
    bool failing = l->leaving || swarm_link_silent(l, now) || swarm_rule_path_unsure(&l->path, now);
    return best != NULL && best != l && swarm_rule_moves(l->props, failing, best->props);
}

void swarm_close_door(struct swarm *s)
{
    s->door_closed = true;
}

void swarm_stats_get(const struct swarm *s, struct swarm_stats *out)
{
    *out = s->stats;
    out->peers = (uint32_t)s->peers.n;
    out->links = s->n_links;
    out->streams = s->streams.n;
    out->opens = s->n_opens;
    out->pins = (uint32_t)s->pins.by_id.n;
}
