/*
 * swarm.c - life, registration, pending events, and looking in.
 *
 *   link events ──▶ links.c ──▶ streams.c ──▶ sink (cores)
 *   actions of cores ──▶ dial.c (open) / streams.c (write, consume, fin, reset) ──▶ link_ops
 */
#include "swarm/internal.h"

#include "base/assert.h"

#include <string.h>

static const struct peer_id nobody;

struct slice ref_key(const struct ref *r, uint8_t buf[LINK_ID_LEN])
{
    memcpy(buf, &r->slot, 4);
    memcpy(buf + 4, &r->gen, 4);
    return (struct slice){buf, LINK_ID_LEN};
}

const struct peer_id *link_peer_id(const struct swarm_link *l)
{
    return l->peer != NULL ? &l->peer->id : &nobody;
}

static qudag_err dial_quic(void *owner, const struct quic_dial *d, tstamp now, struct ref *out)
{
    return quic_dial(owner, d, now, out);
}

static qudag_err info_quic(const void *owner, struct ref link, struct link_info *out)
{
    return quic_info(owner, link, out);
}

static void ask_quic(void *owner, struct ref link, tstamp now)
{
    quic_ask(owner, link, now);
}

static const struct swarm_dialer quic_dialer = {&quic_link_ops, dial_quic, info_quic, ask_quic};

static void defaults(struct swarm_config *c)
{
    if (c->dialer == NULL) {
        c->dialer = &quic_dialer;
        c->dialer_owner = c->quic;
    }
    c->peers_max = c->peers_max != 0 ? c->peers_max : 8192;
    c->streams_max = c->streams_max != 0 ? c->streams_max : 65536;
    c->opens_max = c->opens_max != 0 ? c->opens_max : 2048;
    c->dials_max = c->dials_max != 0 ? c->dials_max : 256;
    c->links_high = c->links_high != 0 ? c->links_high : 256;
    c->links_low = c->links_low != 0 ? c->links_low : c->links_high - c->links_high / 4;
    c->idle_close_ns = c->idle_close_ns != 0 ? c->idle_close_ns : 300 * NS_PER_S;
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
    rng_fill(&cfg->rng, seed, sizeof(seed));
    map_init(&s->peers, s->mem, seed, s->cfg.peers_max);
    map_init(&s->link_map, s->mem, seed, s->cfg.peers_max);
    map_init(&s->circ_map, s->mem, seed, s->cfg.peers_max);
    list_init(&s->lru);
    list_init(&s->links);
    list_init(&s->dead);
    list_init(&s->negotiating);
    list_init(&s->late);
    list_init(&s->opens);
    list_init(&s->pending);
    list_init(&s->tell);
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
            stream_drop(s, LIST_ENTRY(st, struct swarm_stream, link_node), 0);
        }
        link_free(s, l);
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
        open_unlink(s, o);
        mem_free(s->mem, o);
    }
    LIST_EACH_SAFE(it2, tmp2, &s->lru)
    {
        peer_free(s, LIST_ENTRY(it2, struct swarm_peer, lru));
    }
    free_pending(s);
    free_names(s, s->proto, s->n_protos);
    free_names(s, s->interned, s->n_interned);
    map_fini(&s->peers);
    map_fini(&s->link_map);
    map_fini(&s->circ_map);
    slots_fini(&s->streams);
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

bool swarm_proto_valid(const char *proto)
{
    size_t len = strlen(proto);

    if (len < 2 || len > SWARM_PROTO_LEN_MAX || proto[0] != '/') {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (proto[i] <= ' ' || proto[i] > '~') {
            return false;
        }
    }
    return true;
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

qudag_err swarm_proto_add(struct swarm *s, const char *proto, unsigned core, bool main)
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
    s->proto[s->n_protos] = copy;
    s->proto_core[s->n_protos++] = core;
    if (main) {
        s->core[core].main_proto = copy;
    }
    return QUDAG_OK;
}

size_t swarm_protos(const struct swarm *s, const char *const **protos)
{
    *protos = s->proto;
    return s->n_protos;
}

void swarm_set_circuits(struct swarm *s, const struct link_ops *ops, void *owner)
{
    s->circ_ops = ops;
    s->circ_owner = owner;
}

struct swarm_pending *report_make(struct swarm *s, unsigned core, uint64_t cookie,
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

void report_fail(struct swarm *s, struct swarm_pending *p, qudag_err err)
{
    p->ev.type = EV_STREAM_FAIL;
    p->ev.err = err;
    list_push_back(&s->pending, &p->node);
}

void deliver(struct swarm *s, unsigned core, const struct ev *ev)
{
    s->cfg.sink(s->cfg.sink_ctx, core, ev);
}

/* One stream of a dead link, or the link itself once it has none. */
static void bury(struct swarm *s, tstamp now)
{
    struct swarm_link *l = LIST_ENTRY(s->dead.next, struct swarm_link, node);

    if (!list_empty(&l->streams)) {
        struct swarm_stream *st = LIST_ENTRY(l->streams.next, struct swarm_stream, link_node);
        struct ev ev = {.type = EV_RESET, .strm = st->ref, .err = l->down_err};
        unsigned core = st->core;
        bool known = st->in_up;
        stream_drop(s, st, now);
        if (known) {
            deliver(s, core, &ev);
        }
        return;
    }
    struct swarm_peer *p = l->peer;
    if (p != NULL) {
        p->n_dying--;
        p->down_err = l->down_err;
        list_del(&p->tell);
        list_push_back(&s->tell, &p->tell);
    }
    link_free(s, l);
}

/*
 * Tells the cores whether the peer is there, if that has changed, or that it came back before anyone saw
 * it go: what it said of itself and what failed meanwhile is of the past.
 */
static void tell(struct swarm *s)
{
    struct swarm_peer *p = LIST_ENTRY(s->tell.next, struct swarm_peer, tell);
    struct peer_id id = p->id; /* a core's answer may make room for other peers */
    struct ev ev = {.type = EV_PEER_UP, .peer = &id};

    list_del(&p->tell);
    if (p->up && p->n_dying > 0) {
        return; /* its streams first */
    }
    ev.again = p->up && p->n_links > 0 && p->lost_one;
    p->lost_one = false;
    if (p->up == (p->n_links > 0) && !ev.again) {
        return;
    }
    p->up = p->n_links > 0;
    if (p->up) {
        ev.props = peer_link(p, 0)->props;
    } else {
        ev.type = EV_PEER_DOWN;
        ev.err = p->down_err;
    }
    for (unsigned c = 0; c < s->n_cores; c++) {
        deliver(s, c, &ev);
    }
}

/* A negotiation took too long; the stream was reset already. */
static void end_late(struct swarm *s, tstamp now)
{
    struct swarm_stream *st = LIST_ENTRY(s->late.next, struct swarm_stream, wait_node);
    struct ev ev = {.type = EV_RESET, .strm = st->ref, .err = QUDAG_ETIMEOUT};
    unsigned core = st->core;
    bool known = st->in_up;

    stream_drop(s, st, now);
    if (known) {
        deliver(s, core, &ev);
    }
}

bool swarm_step(struct swarm *s, tstamp now)
{
    if (!list_empty(&s->dead)) {
        bury(s, now);
        return true;
    }
    if (!list_empty(&s->late)) {
        end_late(s, now);
        return true;
    }
    if (!list_empty(&s->tell)) {
        tell(s);
        return true;
    }
    if (list_empty(&s->pending)) {
        return false;
    }
    struct swarm_pending *p = LIST_ENTRY(s->pending.next, struct swarm_pending, node);
    list_del(&p->node);
    p->ev.peer = &p->peer;
    deliver(s, p->core, &p->ev);
    mem_free(s->mem, p);
    return true;
}

bool swarm_link_next(const struct swarm *s, size_t *it, struct link_info *out, enum swarm_pin *pin)
{
    size_t ix = 0;

    LIST_EACH(n, &s->links)
    {
        const struct swarm_link *l = LIST_ENTRY(n, struct swarm_link, node);
        if (!l->up || l->circuit || ix++ < *it) {
            continue;
        }
        *it = ix;
        if (s->cfg.dialer->info(s->cfg.dialer_owner, l->ref, out) != QUDAG_OK) {
            continue;
        }
        out->streams = l->n_streams;
        *pin = SWARM_PIN_NONE;
        if (l->peer != NULL && l->peer->proof.has_pin) {
            *pin = l->peer->pin_known ? SWARM_PIN_KNOWN : SWARM_PIN_FIRST_USE;
        }
        return true;
    }
    return false;
}

qudag_err swarm_stream_info(const struct swarm *s, struct ref strm, struct swarm_stream_info *out)
{
    const struct swarm_stream *st = slots_get(&s->streams, strm);

    if (st == NULL) {
        return QUDAG_ESTALE;
    }
    *out = (struct swarm_stream_info){.peer = *link_peer_id(st->link),
                                      .props = st->link->props,
                                      .link = st->link->ref,
                                      .core = st->core};
    if (st->proto != NULL) {
        memcpy(out->proto, st->proto, strlen(st->proto) + 1);
    }
    return QUDAG_OK;
}

void swarm_stats_get(const struct swarm *s, struct swarm_stats *out)
{
    *out = s->stats;
    out->peers = (uint32_t)s->peers.n;
    out->links = s->n_links;
    out->streams = s->streams.n;
    out->opens = s->n_opens;
}
