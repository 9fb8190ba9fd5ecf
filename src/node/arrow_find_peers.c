/*
 * arrow_find_peers.c - where a peer is that only its id is known of.
 *
 *   who waits: FIND_PEER, KEEP_FIND; ACT_OPENs to a peer without link and address ─▶ a search for each peer
 *   search ─ SEEK_FIND (nodes closest to the id) and SEEK_GET (its signed record), at once ─▶ DHT
 *   the first that brings an address ─▶ swarm, and whoever waits; what the other brings comes behind
 *   a dial at addresses that are known, without an outcome for SLOW ─▶ a search beside it
 */
#include "node/request_table.h"

#include <string.h>

#define HELD_MAX 256                /* opens that wait, of all peers */
#define SEARCH_TIME (20 * NS_PER_S) /* then they go on with what is known */
#define SLOW NS_PER_S               /* where it was may be where it is no more */
#define SEARCH_AGAIN (2 * NS_PER_S) /* who was not found just now is not looked for again */

/* An ACT_OPEN that waits. */
struct held_open {
    struct list node; /* in node_finds.held */
    unsigned core;
    bool up; /* its peer has a link by now */
    const char *proto;
    struct act act;
};

static struct node_find *find(struct node *n, const struct peer_id *peer)
{
    for (size_t i = 0; i < NODE_FINDS_MAX; i++) {
        struct node_find *f = &n->finds.v[i];
        if (f->peer.len > 0 && peer_id_eq(&f->peer, peer)) {
            return f;
        }
    }
    return NULL;
}

/* A free place, or that of a search that ended longest ago; NULL: all are under way. */
static struct node_find *place(struct node *n)
{
    struct node_find *best = NULL;

    for (size_t i = 0; i < NODE_FINDS_MAX; i++) {
        struct node_find *f = &n->finds.v[i];
        if (f->peer.len == 0) {
            return f;
        }
        if (f->running == 0 && (best == NULL || f->until < best->until)) {
            best = f;
        }
    }
    return best;
}

static bool ask(struct node *n, const struct peer_id *peer, enum node_op_kind kind)
{
    struct node_request r = {.kind = kind, .peer = *peer};
    uint8_t key[NODE_PEER_KEY_MAX];

    if (kind == NODE_OP_SEEK_GET) {
        r.key = (struct slice){key, node_rule_peer_key(key, peer)};
    }
    return node_op_new(n, &r) != NULL;
}

/* The search for |peer|, begun if there is none; NULL: it cannot be. */
static struct node_find *search(struct node *n, const struct peer_id *peer)
{
    struct node_find *f = find(n, peer);

    if (f != NULL && f->running > 0) {
        return f;
    }
    f = f != NULL ? f : place(n);
    if (f == NULL) {
        return NULL;
    }
    *f = (struct node_find){.peer = *peer, .until = tstamp_after(n->now, SEARCH_TIME)};
    f->running += ask(n, peer, NODE_OP_SEEK_FIND) ? 1u : 0u;
    f->running += ask(n, peer, NODE_OP_SEEK_GET) ? 1u : 0u;
    if (f->running == 0) {
        f->peer.len = 0;
        return NULL;
    }
    return f;
}

qudag_err node_begin_seek(struct node *n, struct node_op *op, tstamp now)
{
    (void)now;
    return search(n, &op->req.peer) != NULL ? QUDAG_OK : QUDAG_ELIMIT;
}

/* ---- who waits ---- */

static bool waits_for(const struct node_op *op, const struct peer_id *peer)
{
    return op->begun && (op->req.kind == NODE_OP_FIND_PEER || op->req.kind == NODE_OP_KEEP_FIND) &&
           peer_id_eq(&op->req.peer, peer);
}

/* Ends the requests for |peer|, one by one: the end of each may change the list. */
static void end_requests(struct node *n, const struct peer_id *peer, qudag_err err,
                         const struct node_result *res)
{
    for (bool more = true; more;) {
        more = false;
        LIST_EACH(it, &n->running)
        {
            struct node_op *op = LIST_ENTRY(it, struct node_op, node);
            if (waits_for(op, peer)) {
                node_op_end(n, op, err, res);
                more = true;
                break;
            }
        }
    }
}

/* Opens what waits for |peer|; NULL: for peers that have come up. */
static void release(struct node *n, const struct peer_id *peer)
{
    struct list *held = &n->finds.held;

    for (bool more = true; more;) {
        more = false;
        LIST_EACH(it, held)
        {
            struct held_open *o = LIST_ENTRY(it, struct held_open, node);
            if (peer == NULL ? o->up : peer_id_eq(&o->act.peer, peer)) {
                struct held_open copy = *o;
                list_del(&o->node);
                n->finds.n_held--;
                mem_free(n->mem, o);
                swarm_act(n->swarm, n->core[copy.core].swarm_ix, &copy.act, copy.proto, n->now);
                more = true;
                break;
            }
        }
    }
}

static bool is_joined(const struct node *n)
{
    return n->boot.phase > NODE_LOOKUP && n->boot.phase != NODE_FAILED && !n->closing;
}

/* Whether it is a peer that can only be reached once addresses are found. */
static bool is_lost(const struct node *n, const struct act *a)
{
    uint8_t props;

    return a->peer.len > 0 && !a->no_dial && ref_none(a->obj) && a->data.len == 0 &&
           !swarm_connected(n->swarm, &a->peer, &props) &&
           (!swarm_has_addr(n->swarm, &a->peer) || swarm_next_try(n->swarm, &a->peer, n->now) > 0);
}

/* |peer| is about to be dialled where it was: in a while it is looked for, if that is still so. */
static void doubt(struct node *n, const struct peer_id *peer)
{
    struct node_finds *f = &n->finds;
    uint8_t props;

    if (peer->len == 0 || swarm_connected(n->swarm, peer, &props)) {
        return;
    }
    for (size_t i = 0; i < NODE_FINDS_SLOW; i++) {
        if (f->slow[i].at != 0 && peer_id_eq(&f->slow[i].peer, peer)) {
            return;
        }
    }
    for (size_t i = 0; i < NODE_FINDS_SLOW; i++) {
        if (f->slow[i].at == 0) {
            f->slow[i].peer = *peer;
            f->slow[i].at = tstamp_after(n->now, SLOW);
            return;
        }
    }
}

/* Whether a dial to |peer| is under way. */
static bool is_dialled(const struct node *n, const struct peer_id *peer)
{
    struct swarm_look look;

    for (size_t it = 0; swarm_link_next(n->swarm, &it, &look, n->now);) {
        if (look.state < SWARM_LINK_UP && peer_id_eq(&look.info.peer, peer)) {
            return true;
        }
    }
    return false;
}

/* Those whose time has come. */
static void look_for_slow(struct node *n, tstamp now)
{
    uint8_t props;

    for (size_t i = 0; i < NODE_FINDS_SLOW; i++) {
        struct node_finds_slow *s = &n->finds.slow[i];
        if (s->at == 0 || s->at > now) {
            continue;
        }
        const struct node_find *f = find(n, &s->peer);
        s->at = 0;
        bool lately = f != NULL && (f->running > 0 || now < f->until);
        if (!lately && is_joined(n) && !swarm_connected(n->swarm, &s->peer, &props) &&
            is_dialled(n, &s->peer)) {
            (void)search(n, &s->peer);
        }
    }
}

bool node_find_holds(struct node *n, unsigned core, const struct act *a, const char *proto)
{
    const struct node_find *f = find(n, &a->peer);

    if (!is_joined(n) || !is_lost(n, a) || n->finds.n_held >= HELD_MAX) {
        if (!a->no_dial && ref_none(a->obj)) {
            doubt(n, &a->peer);
        }
        return false;
    }
    if (f != NULL && (f->running > 0 ? f->late : n->now < f->until)) {
        return false; /* it was looked for just now, or is for longer than anybody waits */
    }
    struct held_open *o = mem_alloc(n->mem, sizeof(*o));
    if (o == NULL || search(n, &a->peer) == NULL) {
        mem_free(n->mem, o);
        return false;
    }
    *o = (struct held_open){.core = core, .proto = proto, .act = *a};
    list_init(&o->node);
    list_push_back(&n->finds.held, &o->node);
    n->finds.n_held++;
    return true;
}

/* ---- what is found ---- */

/* The addresses of a record, noted for dialling and in |out|. */
static void take_record(struct node *n, const struct peer_id *peer, struct slice value,
                        struct kad_peer_info *out)
{
    struct peer_record *r = mem_alloc(n->mem, sizeof(*r));
    uint8_t key[NODE_PEER_KEY_MAX];
    walltime expires = INT64_MAX;

    if (r != NULL && node_rule_peer_record(r, (struct slice){key, node_rule_peer_key(key, peer)},
                                           value, node_wall(n, n->now), &expires) == QUDAG_OK) {
        for (size_t i = 0; i < r->n_addrs; i++) {
            if (!node_rule_addr(&r->addr[i], n->cfg.lab) &&
                !node_rule_relayed_addr(&r->addr[i], n->cfg.lab)) {
                continue;
            }
            swarm_addr_add(n->swarm, peer, &r->addr[i]);
            if (out->n_addrs < KAD_ADDRS_MAX) {
                out->addr[out->n_addrs++] = r->addr[i];
            }
        }
    }
    mem_free(n->mem, r);
}

void node_finish_seek(struct node *n, struct node_op *op, qudag_err err,
                      const struct node_result *res)
{
    struct kad_peer_info info = {.id = op->req.peer};
    struct peer_id peer = op->req.peer;
    struct node_find *f = find(n, &peer);

    if (err == QUDAG_OK && op->req.kind == NODE_OP_SEEK_GET) {
        take_record(n, &peer, res->value, &info);
    } else if (err == QUDAG_OK && res->n_peers == 1) {
        info = res->peers[0]; /* arrow_program_dht.c has noted them */
    }
    struct node_result found = {
        .peers = &info, .n_peers = 1, .count = 1, .rpcs = res->rpcs, .hops = res->hops};
    node_op_free(n, op);
    if (f == NULL || f->running == 0) {
        return;
    }
    f->running--;
    if (n->closing) {
        return; /* all requests end by themselves */
    }
    if (err != QUDAG_OK && err != QUDAG_ENOTFOUND) {
        f->err = err;
    }
    bool has = info.n_addrs > 0;
    if (f->running == 0) {
        f->until = tstamp_after(n->now, SEARCH_AGAIN);
    }
    if (has || f->running == 0) {
        qudag_err why = has || f->found ? QUDAG_OK : f->err != QUDAG_OK ? f->err : QUDAG_ENOTFOUND;
        f->found = f->found || has;
        if (!has) {
            found.peers = NULL;
            found.n_peers = found.count = 0;
        }
        end_requests(n, &peer, why, &found);
        release(n, &peer);
    }
}

/* ---- the core ---- */

static void event(void *node, const struct ev *ev, tstamp now, struct acts *out)
{
    struct node *n = node;
    (void)now;
    (void)out;

    if (ev->type != EV_PEER_UP) {
        return;
    }
    LIST_EACH(it, &n->finds.held)
    {
        struct held_open *o = LIST_ENTRY(it, struct held_open, node);
        if (peer_id_eq(&o->act.peer, ev->peer)) {
            o->up = n->finds.due = true; /* not from here: the swarm is at work */
        }
    }
}

static void tick(void *node, tstamp now, struct acts *out)
{
    struct node *n = node;
    (void)out;

    if (n->finds.due) {
        n->finds.due = false;
        release(n, NULL);
    }
    look_for_slow(n, now);
    for (size_t i = 0; i < NODE_FINDS_MAX; i++) {
        struct node_find *f = &n->finds.v[i];
        if (f->peer.len > 0 && f->running > 0 && !f->late && f->until <= now) {
            f->late = true;
            release(n, &f->peer);
        }
    }
}

static tstamp deadline(const void *node)
{
    const struct node *n = node;
    tstamp at = n->finds.due ? 0 : TSTAMP_NEVER;

    for (size_t i = 0; i < NODE_FINDS_SLOW; i++) {
        at = n->finds.slow[i].at != 0 ? tstamp_min(at, n->finds.slow[i].at) : at;
    }
    for (size_t i = 0; n->finds.n_held > 0 && i < NODE_FINDS_MAX; i++) {
        const struct node_find *f = &n->finds.v[i];
        if (f->peer.len > 0 && f->running > 0 && !f->late) {
            at = tstamp_min(at, f->until);
        }
    }
    return at;
}

void node_finds_free(struct node *n)
{
    LIST_EACH_SAFE(it, tmp, &n->finds.held)
    {
        struct held_open *o = LIST_ENTRY(it, struct held_open, node);
        list_del(&o->node);
        mem_free(n->mem, o);
    }
    n->finds.n_held = 0;
}

qudag_err node_finds_init(struct node *n)
{
    static const struct core_ops ops = {.event = event, .tick = tick, .deadline = deadline};
    struct node_core core = {.name = "finds", .instance = n, .ops = &ops};
    unsigned ix;

    return node_core_add(n, &core, NULL, &ix);
}
