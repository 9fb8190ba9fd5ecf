/*
 * arrow_stun.c - core/stun, the peers that it asks, and what follows.
 *
 *   peers linked directly, of different networks ─▶ questions from the socket that is listened on ─▶ kind of mapping
 *        it depends on the destination ─▶ the same from a fresh socket, in turn ─▶ step    ─▶ core/reach
 *   four fresh sockets, silences of 25 to 110 s ─▶ how long a mapping lives                ─▶ keepalives
 *
 * Only a node that wants to be probed (node.wants) asks by itself; only one that serves others, or asks, answers.
 */
#include "node/internal.h"

#include <string.h>

#define CANDIDATES_MAX 64 /* links that are looked at */
#define STEP_TRIES 3

/* Cookies of our questions: what, and the IP version; those of others are references, with a generation. */
enum what { ASK_KIND = 1, ASK_STEP, ASK_LIFE };

static uint64_t cookie_of(enum what w, size_t family, size_t probe)
{
    return (uint64_t)w | family << 4 | probe << 8;
}

static uint8_t version_of(const struct node *n, const struct node_stun_family *f)
{
    return f == &n->stun.family[1] ? 6 : 4;
}

/* ---- whom to ask ---- */

struct candidate {
    struct netaddr at;
    uint64_t net;
};

/* A QuDAG peer at the other end of a direct link over UDP.  Those that dialled us may be behind a NAT themselves. */
static bool candidate_of(const struct node *n, const struct swarm_look *l, uint8_t version,
                         bool inbound, struct candidate *out)
{
    if (l->state != SWARM_LINK_UP || (l->info.props & LINK_QUDAG) == 0 ||
        (l->info.props & (LINK_RELAYED | LINK_ANON)) != 0 ||
        ((l->info.props & LINK_INBOUND) != 0) != inbound ||
        !multiaddr_to_netaddr(&l->info.remote, &out->at) || out->at.family != version) {
        return false;
    }
    out->net = netaddr_wide_group(netaddr_group(&out->at));
    if (n->cfg.lab) { /* where all are of one network */
        out->net = (uint64_t)out->at.port << 32 | netaddr_host(&out->at);
    }
    return true;
}

static bool has_net(const struct candidate *v, size_t n, uint64_t net)
{
    for (size_t i = 0; i < n; i++) {
        if (v[i].net == net) {
            return true;
        }
    }
    return false;
}

static size_t collect(struct node *n, uint8_t version, bool inbound, struct candidate *v,
                      size_t max)
{
    struct swarm_look look;
    size_t found = 0;

    for (size_t it = 0; found < max && swarm_link_next(n->swarm, &it, &look, n->now);) {
        found += candidate_of(n, &look, version, inbound, &v[found]) ? 1 : 0;
    }
    return found;
}

/* At most |max| servers, each of a network of its own, drawn among those there are; first those that we dialled. */
static size_t servers(struct node *n, uint8_t version, struct stun_question *q, size_t max)
{
    struct candidate v[CANDIDATES_MAX], chosen[STUN_SERVERS];
    size_t n_chosen = 0;

    for (unsigned inbound = 0; inbound < 2 && n_chosen < max; inbound++) {
        size_t left = collect(n, version, inbound != 0, v, CANDIDATES_MAX);
        while (left > 0 && n_chosen < max) {
            size_t i = rng_below(&n->cfg.rng, (uint32_t)left);
            if (!has_net(chosen, n_chosen, v[i].net)) {
                chosen[n_chosen++] = v[i];
            }
            v[i] = v[--left];
        }
    }
    for (size_t i = 0; i < n_chosen; i++) {
        q->server[i] = chosen[i].at;
    }
    q->n = n_chosen;
    return n_chosen;
}

static qudag_err ask(struct node *n, const struct stun_question *q)
{
    struct acts *out = node_begin(n);
    qudag_err err = stun_ask(n->stun.core, q, n->now, out);

    node_end(n, n->stun.ix);
    return err;
}

static void drop_socket(struct node *n, struct netaddr *local)
{
    if (local->family != 0) {
        stun_forget(n->stun.core, local);
        node_socket_release(n, local);
        *local = (struct netaddr){0};
    }
}

/* ---- the kind of NAT ---- */

static bool is_ours(const struct node *n, const struct netaddr *a)
{
    struct netaddr own;

    for (size_t i = 0; i < n->reach.n_bound; i++) {
        if (multiaddr_to_netaddr(&n->reach.bound[i], &own) && netaddr_eq(&own, a)) {
            return true;
        }
    }
    return false;
}

static void tell(struct node *n, const struct node_stun_family *f)
{
    struct reach_family seen = {.mapping = f->mapping == STUN_MAPPING_DEPENDENT
                                               ? REACH_NAT_DEPENDENT
                                               : REACH_NAT_INDEPENDENT,
                                .step = f->step};

    if (f->mapping == STUN_MAPPING_UNKNOWN) {
        return; /* what was known before may be as good */
    }
    if (f->open) {
        seen.mapping = REACH_NAT_NONE;
    }
    log_event(&n->cfg.log, LOG_INFO, "stun.seen", LOG_NUM("ip", version_of(n, f)),
              LOG_NUM("mapping", (uint64_t)seen.mapping),
              LOG_NUM("step", (uint64_t)(seen.step < 0 ? -seen.step : seen.step)));
    node_reach_nat_seen(n, version_of(n, f), &seen);
}

/* From a socket that nothing has left yet, so that each destination gets a mapping of its own, in order. */
static bool ask_step(struct node *n, size_t family)
{
    struct node_stun_family *f = &n->stun.family[family];
    struct stun_question q = {.cookie = cookie_of(ASK_STEP, family, 0), .in_turn = true};

    if (servers(n, version_of(n, f), &q, STUN_SERVERS) < STUN_AGREE ||
        node_socket_open(n, version_of(n, f), &f->fresh) != QUDAG_OK) {
        return false;
    }
    q.local = f->fresh;
    if (ask(n, &q) != QUDAG_OK) {
        drop_socket(n, &f->fresh);
        return false;
    }
    return true;
}

static void ask_kind(struct node *n, size_t family, tstamp now)
{
    struct node_stun_family *f = &n->stun.family[family];
    struct stun_question q = {.cookie = cookie_of(ASK_KIND, family, 0)};

    f->next = tstamp_after(now, NODE_STUN_RETRY);
    if (!f->asking && servers(n, version_of(n, f), &q, STUN_SERVERS) >= STUN_AGREE) {
        f->asking = ask(n, &q) == QUDAG_OK;
    }
}

static void on_kind(struct node *n, size_t family, const struct stun_answer *a, tstamp now)
{
    struct node_stun_family *f = &n->stun.family[family];

    f->mapping = stun_rule_mapping(a);
    f->step = 0;
    if (!stun_rule_external(a, &f->external)) {
        f->external = (struct netaddr){0};
    }
    f->open = f->mapping == STUN_MAPPING_INDEPENDENT && is_ours(n, &f->external);
    f->next =
        tstamp_after(now, f->mapping == STUN_MAPPING_UNKNOWN ? NODE_STUN_RETRY : NODE_STUN_EVERY);
    if (f->mapping == STUN_MAPPING_DEPENDENT && ask_step(n, family)) {
        return;
    }
    f->asking = false;
    tell(n, f);
}

static void on_step(struct node *n, size_t family, const struct stun_answer *a)
{
    struct node_stun_family *f = &n->stun.family[family];

    f->step = stun_rule_step(a);
    f->asking = false;
    if (f->step == 0 &&
        ++f->step_tries <
            STEP_TRIES) { /* others behind the router may have had a port in between */
        f->next = tstamp_after(n->now, NODE_STUN_RETRY);
    } else {
        f->step_tries = 0;
    }
    drop_socket(n, &f->fresh);
    tell(n, f);
}

/* ---- how long a mapping lives ---- */

static void ask_life(struct node *n, size_t family, tstamp now)
{
    struct node_stun_family *f = &n->stun.family[family];

    f->life_next = tstamp_after(now, NODE_STUN_LIFE_EVERY);
    for (size_t i = 0; i < STUN_LIVES; i++) {
        struct stun_question q = {.cookie = cookie_of(ASK_LIFE, family, i),
                                  .delay_s = stun_lives[i]};
        f->lived[i] = f->known[i] = false;
        if (servers(n, version_of(n, f), &q, 2) < 2 ||
            node_socket_open(n, version_of(n, f), &f->probe[i]) != QUDAG_OK) {
            continue;
        }
        q.local = f->probe[i];
        if (ask(n, &q) == QUDAG_OK) {
            f->probes++;
        } else {
            drop_socket(n, &f->probe[i]);
        }
    }
}

static void on_life(struct node *n, size_t family, size_t probe, const struct stun_answer *a)
{
    struct node_stun_family *f = &n->stun.family[family];

    f->lived[probe] = stun_rule_lived(a, &f->known[probe]);
    drop_socket(n, &f->probe[probe]);
    if (--f->probes > 0) {
        return;
    }
    uint32_t life = stun_rule_life(f->lived, f->known);
    if (life != 0) {
        f->life_s = life;
        log_event(&n->cfg.log, LOG_INFO, "stun.mapping_lives", LOG_NUM("ip", version_of(n, f)),
                  LOG_NUM("seconds", life));
    }
}

uint64_t node_stun_life(const struct node *n, uint8_t family)
{
    return n->stun.family[family == 6 ? 1 : 0].life_s * NS_PER_S;
}

/* ---- for others ---- */

qudag_err node_stun_external(struct node *n, const struct netaddr *local, uint64_t cookie,
                             node_stun_done done)
{
    struct stun_question q = {.local = *local, .any = true};

    if (servers(n, local->family, &q, 2) == 0) {
        return QUDAG_EUNREACHABLE;
    }
    struct node_stun_ask *a = mem_alloc(n->mem, sizeof(*a));
    qudag_err err = a == NULL ? QUDAG_ENOMEM : slots_add(&n->stun.asks, a, &a->ref);
    if (err != QUDAG_OK) {
        mem_free(n->mem, a);
        return err;
    }
    a->local = *local;
    a->cookie = cookie;
    a->done = done;
    q.cookie = ref_to_u64(a->ref);
    err = ask(n, &q);
    if (err != QUDAG_OK) {
        slots_del(&n->stun.asks, a->ref);
        mem_free(n->mem, a);
    }
    return err;
}

static void on_external(struct node *n, const struct stun_answer *s, tstamp now)
{
    struct node_stun_ask *a = slots_get(&n->stun.asks, ref_from_u64(s->cookie));
    struct netaddr external = {0};

    if (a == NULL) {
        return;
    }
    struct node_stun_ask copy = *a;
    slots_del(&n->stun.asks, a->ref);
    mem_free(n->mem, a);
    bool found = stun_rule_external(s, &external);
    copy.done(n, copy.cookie, found ? QUDAG_OK : QUDAG_ETIMEOUT, &external, now);
}

void node_stun_forget(struct node *n, const struct netaddr *local)
{
    stun_forget(n->stun.core, local);
    for (uint32_t i = 0; i < n->stun.asks.high; i++) {
        struct node_stun_ask *a = slots_at(&n->stun.asks, i);
        if (a != NULL && a->local.family == local->family && a->local.port == local->port) {
            slots_del(&n->stun.asks, a->ref);
            mem_free(n->mem, a);
        }
    }
}

/* ---- in and out ---- */

static void on_done(struct node *n, const struct stun_answer *a, tstamp now)
{
    size_t family = a->cookie >> 4 & 1, probe = a->cookie >> 8 & 255;

    if (a->cookie >> 32 != 0) {
        on_external(n, a, now);
    } else if ((a->cookie & 15) == ASK_KIND) {
        on_kind(n, family, a, now);
    } else if ((a->cookie & 15) == ASK_STEP) {
        on_step(n, family, a);
    } else {
        on_life(n, family, probe, a);
    }
}

static void report(struct node *n, const struct act *a, tstamp now)
{
    if (a->kind == STUN_UP_DONE) {
        on_done(n, a->ptr, now);
        return;
    }
    const struct stun_packet *p = a->ptr;
    const struct slice bytes = {p->bytes, p->len};
    if (a->n == 1) {
        (void)node_datagram_answer(n, &p->local, &p->to, bytes);
    } else {
        (void)node_datagram(n, &p->local, &p->to, bytes); /* it is sent again */
    }
}

static bool take(struct node *n, const struct node_datagram_in *d, tstamp now)
{
    struct stun_came came = {.remote = d->remote, .msg = d->stun, .len = d->data.len};
    struct acts *out = node_begin(n);

    if (node_socket_is(n, &d->local)) {
        came.local = d->local;
    }
    stun_serve(n->stun.core, n->wants.announce || n->wants.probe);
    bool ours = stun_recv(n->stun.core, &came, now, out);
    node_end(n, n->stun.ix);
    return ours;
}

static void forget(struct node *n, struct node_stun_family *f)
{
    drop_socket(n, &f->fresh);
    for (size_t i = 0; i < STUN_LIVES; i++) {
        drop_socket(n, &f->probe[i]);
    }
    *f = (struct node_stun_family){.mapping = STUN_MAPPING_UNKNOWN};
}

void node_stun_moved(struct node *n, tstamp now)
{
    const struct netaddr listened = {0};

    stun_forget(n->stun.core, &listened);
    for (size_t i = 0; i < 2; i++) {
        struct node_stun_family *f = &n->stun.family[i];
        forget(n, f);
        f->next = f->life_next = tstamp_after(now, NODE_STUN_FIRST);
    }
}

/* ---- the clock ---- */

/* When a life is measured: once it is known that something keeps a state for us. */
static tstamp life_at(const struct node_stun_family *f)
{
    return f->probes == 0 && !f->asking && f->mapping != STUN_MAPPING_UNKNOWN && !f->open
               ? f->life_next
               : TSTAMP_NEVER;
}

static void tick(void *node, tstamp now, struct acts *out)
{
    struct node *n = node;
    (void)out;

    for (size_t i = 0; i < 2; i++) {
        struct node_stun_family *f = &n->stun.family[i];
        if (f->next <= now) {
            ask_kind(n, i, now);
        }
        if (life_at(f) <= now) {
            ask_life(n, i, now);
        }
    }
}

static tstamp deadline(const void *node)
{
    const struct node *n = node;
    tstamp at = TSTAMP_NEVER;

    for (size_t i = 0; i < 2 && n->wants.probe; i++) {
        const struct node_stun_family *f = &n->stun.family[i];
        at = tstamp_min(at, tstamp_min(f->next, life_at(f)));
    }
    return at;
}

static void core_free(void *core)
{
    stun_free(core);
}

qudag_err node_stun_init(struct node *n, tstamp now)
{
    static const struct core_ops ops = {.tick = tick, .deadline = deadline};
    const struct node_core clock = {.name = "nat", .instance = n, .ops = &ops};
    struct node_core core = {.name = "stun", .ops = &stun_ops, .report = report, .free = core_free};
    unsigned ix;

    core.instance = n->stun.core = stun_new(n->mem, &n->cfg.rng, now);
    if (core.instance == NULL) {
        return QUDAG_ENOMEM;
    }
    qudag_err err = node_core_add(n, &core, NULL, &n->stun.ix);
    if (err == QUDAG_OK) {
        err = node_core_add(n, &clock, NULL, &ix);
    }
    if (err == QUDAG_OK) {
        node_stun_moved(n, now);
        err = node_datagrams_take(n, NODE_DATAGRAM_STUN, take);
    }
    return err;
}

void node_stun_free(struct node *n)
{
    for (uint32_t i = 0; i < n->stun.asks.high; i++) {
        mem_free(n->mem, slots_at(&n->stun.asks, i));
    }
    slots_fini(&n->stun.asks);
}
