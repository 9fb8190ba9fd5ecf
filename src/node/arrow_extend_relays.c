/*
 * arrow_extend_relays.c - whom a relay extends circuits to: relays of its pool or of the DHT, and services that say so.
 *
 *   onion ─ EXTEND ─▶ descriptor in the pool, or fetched; or the service's own statement ─▶ signed addresses
 *         ◀─ go ───── a link that we dialled stands, or one is made: an address at a time, two at most
 *         ◀─ refuse ─ unknown, unreachable, too many: the onion core makes all of it look alike
 *
 *   job:  FETCH ─ descriptor ─▶ (its turn at the host) ─▶ QUEUED ─▶ DIAL ─ link ─▶ HELD ─ it is time ─▶ go
 *
 * Others decide that we dial, so everything is bounded and shared by network and neighbour (base/fair.h, and
 * node_rule_extend_*).  What was dialled for an EXTEND is never noted as an address of the peer.
 */
#include "node/request_table.h"

#include "wire/onion_ends.h"

#include <string.h>

#define TRIES_MAX 2
#define TRY_FOR (2500 * NS_PER_MS)
#define FETCH_FOR (5 * NS_PER_S)
#define QUEUE_FOR (8 * NS_PER_S) /* in all; the circuit itself is given up after 10 */
#define LOOK_EVERY NS_PER_S      /* at what waits for a host */
#define WAITING_MAX 256          /* circuits */

/* Peers looked for or dialled at a time. */
static const uint32_t places[NODE_EXTEND_KINDS] = {
    [NODE_EXTEND_POOL] = 32, [NODE_EXTEND_STATED] = 32, [NODE_EXTEND_FETCHED] = 16};

struct job;

/* A circuit that waits for a peer. */
struct waiting {
    struct list node; /* in job->waiting */
    struct fair_item place;
    struct job *job;
    struct ref circuit;
    uint64_t net, via; /* of the previous hop */
    tstamp since;
    tstamp go_at; /* not before; TSTAMP_NEVER: known once the link stands */
};

enum job_state { FETCH, QUEUED, DIAL, HELD };

/* A peer that circuits are to be extended to. */
struct job {
    struct list node; /* in node_extends.jobs */
    struct list waiting;
    struct fair_item place;
    enum node_extend_kind kind;
    enum job_state state;
    struct onion_hop to; /* once known: pq_hash and addresses */
    uint64_t net, via;   /* whose place it is: of the neighbour that made us look */
    struct ref op;       /* FETCH */
    uint64_t cookie;     /* DIAL */
    size_t next;         /* address to be tried */
    unsigned tries;
    struct netaddr target; /* DIAL, QUEUED: the host */
    tstamp since, due;
};

static struct node_extend_asked asked_of(const struct job *j)
{
    return (struct node_extend_asked){.peer = &j->to.peer, .net = j->net, .via = j->via};
}

/*
 * Whoever comes without a statement does not join those who have one: it would go on while they dial, and be refused
 * otherwise.
 */
static struct job *job_of(const struct node *n, const struct peer_id *peer,
                          enum node_extend_kind kind)
{
    LIST_EACH(it, &n->extends.jobs)
    {
        struct job *j = LIST_ENTRY(it, struct job, node);
        if (j->kind == kind && peer_id_eq(&j->to.peer, peer)) {
            return j;
        }
    }
    return NULL;
}

/* ---- answers ---- */

static void answer(struct node *n, struct ref circuit, bool go)
{
    struct acts *out = node_begin(n);

    if (go) {
        onion_extend_go(n->onion, circuit, n->now, out);
    } else {
        onion_extend_refuse(n->onion, circuit, n->now, out);
    }
    node_end(n, n->ix.onion);
}

static void waiting_free(struct node *n, struct waiting *w)
{
    fair_del(&n->extends.waiting, &w->place, n->now);
    list_del(&w->node);
    mem_free(n->mem, w);
}

static void waiting_end(struct node *n, struct waiting *w, bool go)
{
    struct ref circuit = w->circuit;

    waiting_free(n, w);
    answer(n, circuit, go);
}

static void job_free(struct node *n, struct job *j)
{
    LIST_EACH_SAFE(it, tmp, &j->waiting)
    {
        waiting_free(n, LIST_ENTRY(it, struct waiting, node));
    }
    fair_del(&n->extends.held[j->kind], &j->place, n->now);
    list_del(&j->node);
    mem_free(n->mem, j);
}

static void fetch_stop(struct node *n, struct job *j)
{
    struct node_op *op = slots_get(&n->optab, j->op);

    j->op = (struct ref){0}; /* its end, which may come now, is not the job's any more */
    if (op != NULL && op->begun) {
        n->op_types[NODE_OP_EXTEND_FETCH].cancel(n, op, n->now);
    } else if (op != NULL) {
        op->canceled = true;
    }
}

/* Gives up what it is at.  A dial that is not seen to its end is one that nobody answered. */
static void job_stop(struct node *n, struct job *j)
{
    struct node_extend_asked who = asked_of(j);

    if (j->state == FETCH) {
        fetch_stop(n, j);
    } else if (j->state == DIAL) {
        node_extend_memory_ended(&n->extends.memory, &j->target, &who, NODE_EXTEND_NO_ANSWER,
                                 n->now);
        swarm_dial_stop(n->swarm, n->core[n->ix.extends].swarm_ix, j->cookie, n->now);
    }
}

/* Nobody waits any more, or what they wait for will not be had. */
static void job_end(struct node *n, struct job *j)
{
    job_stop(n, j);
    LIST_EACH_SAFE(it, tmp, &j->waiting)
    {
        waiting_end(n, LIST_ENTRY(it, struct waiting, node), false);
    }
    job_free(n, j);
}

/* ---- places ---- */

/*
 * The job that gives way to |newcomer|: the oldest of whoever holds most, if it is to; NULL: none.  Looked for in all
 * of them, as equals are many and the oldest counts.
 */
static struct job *first_to_go(const struct node *n, enum node_extend_kind kind,
                               const struct fair_claim *newcomer)
{
    struct fair_claim most = {.net_n = 0};
    struct job *first = NULL;

    LIST_EACH(it, &n->extends.jobs)
    {
        struct job *j = LIST_ENTRY(it, struct job, node);
        if (j->kind != kind) {
            continue;
        }
        struct fair_claim c = fair_claim_of_source(j->place.source);
        bool more = c.net_n != most.net_n ? c.net_n > most.net_n : c.source_n > most.source_n;
        if (more && node_rule_extend_gives_way(&c, newcomer, n->now - j->since)) {
            first = j;
            most = c;
        }
    }
    return first;
}

/* Those of its holder wait no more; it is another's then, if there is one that waits for it too. */
static void give_way(struct node *n, struct job *j)
{
    LIST_EACH_SAFE(it, tmp, &j->waiting)
    {
        struct waiting *w = LIST_ENTRY(it, struct waiting, node);
        if (w->net == j->net && w->via == j->via) {
            waiting_end(n, w, false);
        }
    }
    if (!list_empty(&j->waiting)) {
        const struct waiting *w = LIST_ENTRY(j->waiting.next, struct waiting, node);
        struct fair *held = &n->extends.held[j->kind];
        fair_del(held, &j->place, n->now);
        j->net = w->net;
        j->via = w->via;
        if (fair_add(held, &j->place, j->net, j->via, n->now) == QUDAG_OK) {
            return;
        }
    }
    job_end(n, j);
}

static bool job_room(struct node *n, enum node_extend_kind kind, const struct onion_ask *ask)
{
    struct fair *held = &n->extends.held[kind];

    while (held->n >= places[kind]) { /* each round refuses a circuit, or ends a job */
        struct fair_claim newcomer = fair_claim_of(held, ask->net, ask->via);
        struct job *j = first_to_go(n, kind, &newcomer);
        if (j == NULL) {
            return false;
        }
        give_way(n, j);
    }
    return true;
}

static bool waiting_room(struct node *n, const struct onion_ask *ask)
{
    struct fair *f = &n->extends.waiting;
    struct fair_claim newcomer = fair_claim_of(f, ask->net, ask->via);
    const struct fair_source *s = fair_most(f);

    if (f->n < WAITING_MAX) {
        return true;
    }
    struct fair_claim holder = fair_claim_of_source(s);
    if (!fair_gives_way(&holder, &newcomer)) {
        return false;
    }
    struct waiting *w = LIST_ENTRY(s->items.next, struct waiting, place.node);
    struct job *j = w->job;
    waiting_end(n, w, false);
    if (list_empty(&j->waiting)) {
        job_end(n, j);
    }
    return true;
}

/* ---- dialling ---- */

/* Whether a link stands that we dialled and that may carry cells; then it is in |info|. */
static bool linked(const struct node *n, const struct peer_id *peer, struct link_info *info)
{
    size_t it = 0;

    while (swarm_peer_link_next(n->swarm, peer, &it, info)) {
        if (node_rule_extend_link(info->props, info->shaped)) {
            return true;
        }
    }
    return false;
}

static struct node_extend_view view_of(const struct node *n, const struct job *j,
                                       const struct netaddr *host)
{
    struct node_extend_asked who = asked_of(j);
    struct node_extend_view v;

    node_extend_memory_view(&n->extends.memory, host, &who, n->now, &v);
    LIST_EACH(it, &n->extends.jobs)
    {
        const struct job *other = LIST_ENTRY(it, struct job, node);
        if (other->state == DIAL && netaddr_eq(&other->target, host)) {
            v.dials++;
            v.dials_asker += other->net == j->net;
        }
    }
    return v;
}

/* What becomes of a dial to |addr|; when it begins, or waits for others to its host, |j| is about it. */
static enum node_extend_turn try_address(struct node *n, struct job *j,
                                         const struct multiaddr *addr)
{
    struct transport_target to = {.addr = addr,
                                  .peer = &j->to.peer,
                                  .pq_hash = j->to.pq_hash,
                                  .need = LINK_PQ_KEX | LINK_PQ_AUTH};
    struct netaddr a;
    uint8_t ip = node_rule_own_ip(n->reach.bound, n->reach.n_bound);

    if (!node_rule_cells_addr(addr, n->cfg.lab) || !multiaddr_to_netaddr(addr, &a) ||
        (ip != 0 && (ip & (a.family == 4 ? RELAYS_IP4 : RELAYS_IP6)) == 0)) {
        return NODE_EXTEND_NEVER;
    }
    struct netaddr host = node_rule_extend_target(&a);
    struct node_extend_view v = view_of(n, j, &host);
    enum node_extend_turn turn = node_rule_extend_turn(&v);
    if (turn == NODE_EXTEND_NEVER) {
        return turn;
    }
    uint64_t cookie = ++n->extends.cookies;
    if (turn == NODE_EXTEND_DIAL && swarm_dial_out(n->swarm, n->core[n->ix.extends].swarm_ix,
                                                   cookie, &to, n->now) != QUDAG_OK) {
        return NODE_EXTEND_NEVER;
    }
    j->cookie = cookie;
    j->target = host;
    j->state = turn == NODE_EXTEND_DIAL ? DIAL : QUEUED;
    j->due = tstamp_after(n->now, turn == NODE_EXTEND_DIAL ? TRY_FOR : LOOK_EVERY);
    return turn;
}

/* The link stands: circuits go on whose time has come, the others later, but no later than after a dial of ours. */
static void job_linked(struct node *n, struct job *j, const struct link_info *link)
{
    tstamp next = TSTAMP_NEVER;
    uint64_t took = link->handshake_ns < TRY_FOR ? link->handshake_ns : TRY_FOR;

    LIST_EACH_SAFE(it, tmp, &j->waiting)
    {
        struct waiting *w = LIST_ENTRY(it, struct waiting, node);
        if (w->go_at == TSTAMP_NEVER) {
            w->go_at = tstamp_after(w->since, took);
        }
        if (w->go_at <= n->now) {
            waiting_end(n, w, true);
        } else {
            next = tstamp_min(next, w->go_at);
        }
    }
    j->state = HELD;
    j->due = next;
    if (list_empty(&j->waiting)) {
        job_free(n, j);
    }
}

/* Goes on with |j|, which may end. */
static void job_step(struct node *n, struct job *j)
{
    struct link_info link;

    if (linked(n, &j->to.peer, &link)) {
        job_linked(n, j, &link);
        return;
    }
    j->state = QUEUED; /* at nothing, so far */
    while (j->tries < TRIES_MAX && j->next < j->to.n_addrs) {
        enum node_extend_turn turn = try_address(n, j, &j->to.addr[j->next]);
        j->next += turn != NODE_EXTEND_QUEUE;
        j->tries += turn == NODE_EXTEND_DIAL;
        if (turn != NODE_EXTEND_NEVER) {
            return;
        }
    }
    if (j->kind == NODE_EXTEND_POOL && j->tries > 0) {
        relays_doubt(n->relays, &j->to.peer, n->now);
    }
    job_end(n, j);
}

/* Whether a link was made lately where |j| leads next. */
static bool leads_to_proven(const struct node *n, const struct job *j)
{
    struct netaddr a;

    return j->next < j->to.n_addrs && multiaddr_to_netaddr(&j->to.addr[j->next], &a) &&
           node_extend_memory_proven(&n->extends.memory, &a, n->now);
}

/* The job that is next at |host|; NULL: none may begin. */
static struct job *next_at(const struct node *n, const struct netaddr *host)
{
    struct node_extend_queued best = {.since = 0};
    struct job *first = NULL;

    LIST_EACH(it, &n->extends.jobs)
    {
        struct job *j = LIST_ENTRY(it, struct job, node);
        if (j->state != QUEUED || !netaddr_eq(&j->target, host)) {
            continue;
        }
        struct node_extend_view v = view_of(n, j, host);
        struct node_extend_queued q = {leads_to_proven(n, j), v.fails_asker, j->since};
        if (node_rule_extend_turn(&v) != NODE_EXTEND_QUEUE &&
            (first == NULL || node_rule_extend_goes_first(&q, &best))) {
            first = j;
            best = q;
        }
    }
    return first;
}

/* A dial to |host| ended, or some of the failures there are forgiven. */
static void host_free(struct node *n, const struct netaddr *host)
{
    struct netaddr at = *host; /* of a job that may end */

    for (struct job *j; (j = next_at(n, &at)) != NULL;) {
        job_step(n, j);
    }
}

static struct job *job_at(const struct node *n, enum job_state state, uint64_t cookie)
{
    LIST_EACH(it, &n->extends.jobs)
    {
        struct job *j = LIST_ENTRY(it, struct job, node);
        if (j->state == state && j->cookie == cookie) {
            return j;
        }
    }
    return NULL;
}

/* The dial of |j| has ended.  One that failed goes behind those who wait for the host before its next address. */
static void dial_ended(struct node *n, struct job *j, qudag_err err)
{
    struct node_extend_asked who = asked_of(j);
    struct netaddr host = j->target;
    uint64_t cookie = j->cookie;
    bool in_time = j->due != TSTAMP_NEVER;

    node_extend_memory_ended(&n->extends.memory, &host, &who,
                             node_rule_extend_outcome(err, in_time), n->now);
    j->state = QUEUED;
    if (err != QUDAG_OK) { /* others first */
        host_free(n, &host);
    }
    j = job_at(n, QUEUED, cookie); /* had it its turn, it has another cookie, or is gone */
    if (j != NULL) {
        job_step(n, j);
    }
    host_free(n, &host);
}

static void event(void *core, const struct ev *ev, tstamp now, struct acts *out)
{
    struct node *n = core;
    (void)now;
    (void)out;

    if (ev->type != EV_STREAM_FAIL) {
        return;
    }
    struct job *j = job_at(n, DIAL, ev->cookie);
    if (j != NULL) {
        dial_ended(n, j, ev->err);
    }
}

static void job_due(struct node *n, struct job *j)
{
    struct node_extend_asked who = asked_of(j);
    struct netaddr host = j->target;

    switch (j->state) {
    case FETCH:
        node_extend_memory_absent(&n->extends.memory, &who, n->now);
        job_end(n, j);
        break;
    case DIAL: /* given up: its end comes as an event, or it has ended */
        j->due = TSTAMP_NEVER;
        swarm_dial_stop(n->swarm, n->core[n->ix.extends].swarm_ix, j->cookie, n->now);
        break;
    case QUEUED:
        if (tstamp_after(j->since, QUEUE_FOR) <= n->now) {
            job_end(n, j);
        } else {
            j->due = tstamp_after(n->now, LOOK_EVERY);
            host_free(n, &host);
        }
        break;
    case HELD:
        job_step(n, j);
        break;
    }
}

static struct job *due_job(const struct node *n, tstamp now)
{
    LIST_EACH(it, &n->extends.jobs)
    {
        struct job *j = LIST_ENTRY(it, struct job, node);
        if (j->due <= now) {
            return j;
        }
    }
    return NULL;
}

static void tick(void *core, tstamp now, struct acts *out)
{
    struct node *n = core;
    (void)out;

    for (struct job *j; (j = due_job(n, now)) != NULL;) {
        job_due(n, j); /* ends it, or sets it a later time */
    }
}

static tstamp deadline(const void *core)
{
    const struct node *n = core;
    tstamp at = TSTAMP_NEVER;

    LIST_EACH(it, &n->extends.jobs)
    {
        at = tstamp_min(at, LIST_ENTRY(it, struct job, node)->due);
    }
    return at;
}

void node_extend_met(struct node *n, const struct peer_id *peer)
{
    struct link_info info;
    struct netaddr a;
    size_t it = 0;

    while (swarm_peer_link_next(n->swarm, peer, &it, &info)) {
        if ((info.props & (LINK_ANON | LINK_RELAYED)) == 0 &&
            multiaddr_to_netaddr(&info.remote, &a)) {
            node_extend_memory_linked(&n->extends.memory, &a, n->now);
        }
    }
}

/* ---- asked ---- */

qudag_err node_begin_extend_fetch(struct node *n, struct node_op *op, tstamp now)
{
    struct acts *out = node_begin(n);
    qudag_err err = kad_get(n->kad, node_op_cookie(op), op->req.key, NULL, now, out);

    node_end(n, n->ix.dht);
    return err;
}

static void learn(struct onion_hop *to, const struct relay_desc *d)
{
    memcpy(to->pq_hash, d->pq_hash, sizeof(to->pq_hash));
    for (size_t i = 0; i < d->n_addrs && i < ONION_ADDRS_MAX; i++) {
        to->addr[to->n_addrs++] = d->addr[i];
    }
}

/* It does not enter the pool: whoever sends us EXTENDs must not choose whom we know. */
void node_finish_extend_fetch(struct node *n, struct node_op *op, qudag_err err,
                              const struct node_result *res)
{
    struct job *j = job_of(n, &op->req.peer, NODE_EXTEND_FETCHED);
    struct relay_desc *d = mem_alloc(n->mem, sizeof(*d));

    if (j != NULL && j->state == FETCH && ref_eq(j->op, op->ref)) {
        struct node_extend_asked who = asked_of(j);
        j->op = (struct ref){0};
        bool known =
            err == QUDAG_OK && d != NULL &&
            node_rule_fetched(d, &j->to.peer, res->value, node_wall(n, n->now)) == QUDAG_OK;
        if (known) {
            learn(&j->to, d);
            job_step(n, j);
        } else {
            if (node_rule_extend_absent(err)) {
                node_extend_memory_absent(&n->extends.memory, &who, n->now);
            }
            job_end(n, j);
        }
    }
    mem_free(n->mem, d);
    node_op_free(n, op);
}

static bool fetch(struct node *n, struct job *j)
{
    struct node_request r = {.kind = NODE_OP_EXTEND_FETCH, .peer = j->to.peer};
    uint8_t key[NODE_RELAY_KEY_MAX];

    r.key = (struct slice){key, node_rule_relay_key(key, &j->to.peer)};
    struct node_op *op = node_op_new(n, &r);
    if (op != NULL) {
        j->op = op->ref;
        j->due = tstamp_after(n->now, FETCH_FOR);
    }
    return op != NULL;
}

/*
 * |dials|: for |circuit| a dial begins, and it sees how long that takes.  Others that go on over the link, to a
 * service, do so as late: by what its handshake took, which is one of the times a dial could take, and the same each
 * time, as with a link of their own.  Otherwise the time would tell that somebody else was there.  Links between
 * relays are no secret.
 */
static bool job_wait(struct node *n, struct job *j, const struct onion_ask *ask, struct ref circuit,
                     bool dials)
{
    struct waiting *w = mem_alloc(n->mem, sizeof(*w));

    if (w == NULL) {
        return false;
    }
    w->job = j;
    w->circuit = circuit;
    w->net = ask->net;
    w->via = ask->via;
    w->since = n->now;
    w->go_at = dials || !ask->ends ? n->now : TSTAMP_NEVER;
    if (fair_add(&n->extends.waiting, &w->place, w->net, w->via, n->now) != QUDAG_OK) {
        mem_free(n->mem, w);
        return false;
    }
    list_init(&w->node);
    list_push_back(&j->waiting, &w->node);
    return true;
}

static struct job *job_new(struct node *n, const struct onion_ask *ask, enum node_extend_kind kind)
{
    struct job *j = mem_alloc(n->mem, sizeof(*j));

    if (j == NULL) {
        return NULL;
    }
    j->kind = kind;
    j->state = kind == NODE_EXTEND_FETCHED ? FETCH : QUEUED;
    j->to = ask->to;
    j->net = ask->net;
    j->via = ask->via;
    j->since = n->now;
    j->due = TSTAMP_NEVER;
    list_init(&j->waiting);
    list_init(&j->node);
    if (fair_add(&n->extends.held[kind], &j->place, j->net, j->via, n->now) != QUDAG_OK) {
        mem_free(n->mem, j);
        return NULL;
    }
    list_push_back(&n->extends.jobs, &j->node);
    return j;
}

/* Whether |ask| names somebody we may extend to, as far as can be said at once: then ask->to says where it is. */
static enum node_extend_known who(struct node *n, struct onion_ask *ask)
{
    struct node_extend_asked asked = {.peer = &ask->to.peer, .net = ask->net, .via = ask->via};

    if (ask->ends) {
        bool holds = onion_ends_check(&ask->to, node_wall(n, n->now)) == QUDAG_OK;
        return holds ? NODE_EXTEND_KNOWN : NODE_EXTEND_REFUSED;
    }
    if (relays_get(n->relays, &ask->to.peer, &ask->to)) {
        return NODE_EXTEND_KNOWN;
    }
    return node_extend_memory_is_absent(&n->extends.memory, &asked, n->now) ? NODE_EXTEND_REFUSED
                                                                            : NODE_EXTEND_FETCH;
}

/* Begins what |circuit| waits for; false: it cannot be. */
static bool begin(struct node *n, const struct onion_ask *ask, enum node_extend_kind kind,
                  struct ref circuit)
{
    struct link_info link;
    bool dials = !linked(n, &ask->to.peer, &link);
    struct job *j = job_room(n, kind, ask) ? job_new(n, ask, kind) : NULL;

    if (j == NULL) {
        return false;
    }
    if (!job_wait(n, j, ask, circuit, dials) || (kind == NODE_EXTEND_FETCHED && !fetch(n, j))) {
        job_free(n, j);
        return false;
    }
    if (kind != NODE_EXTEND_FETCHED) {
        job_step(n, j);
    }
    return true;
}

void node_extend(struct node *n, const struct act *a)
{
    struct onion_ask ask = *(const struct onion_ask *)a->ptr;
    enum node_extend_known known = who(n, &ask);
    struct link_info link;

    if (known == NODE_EXTEND_REFUSED) {
        answer(n, a->obj, false);
        return;
    }
    if (known == NODE_EXTEND_KNOWN && !ask.ends && linked(n, &ask.to.peer, &link)) {
        answer(n, a->obj, true);
        return;
    }
    enum node_extend_kind kind = known == NODE_EXTEND_FETCH ? NODE_EXTEND_FETCHED
                                 : ask.ends                 ? NODE_EXTEND_STATED
                                                            : NODE_EXTEND_POOL;
    bool room = waiting_room(n, &ask); /* before a job is looked for: it may end one */
    struct job *j = room ? job_of(n, &ask.to.peer, kind) : NULL;
    bool taken = false;
    if (j != NULL) { /* a dial to it, or a search for it, is under way */
        taken = job_wait(n, j, &ask, a->obj, false);
    } else if (room) {
        taken = begin(n, &ask, kind, a->obj);
    }
    if (!taken) {
        answer(n, a->obj, false);
    }
}

static void release(void *core)
{
    struct node *n = core;

    while (!list_empty(&n->extends.jobs)) {
        job_free(n, LIST_ENTRY(n->extends.jobs.next, struct job, node));
    }
    for (size_t i = 0; i < NODE_EXTEND_KINDS; i++) {
        fair_fini(&n->extends.held[i]);
    }
    fair_fini(&n->extends.waiting);
    node_extend_memory_fini(&n->extends.memory);
}

qudag_err node_extends_init(struct node *n)
{
    static const struct core_ops ops = {.event = event, .tick = tick, .deadline = deadline};
    struct node_core core = {.name = "extends", .instance = n, .ops = &ops, .free = release};
    uint8_t seed[16];

    list_init(&n->extends.jobs);
    rng_fill(&n->cfg.rng, seed, sizeof seed);
    for (size_t i = 0; i < NODE_EXTEND_KINDS; i++) {
        fair_init(&n->extends.held[i], n->mem, seed, 2 * places[i]);
    }
    fair_init(&n->extends.waiting, n->mem, seed, 2 * WAITING_MAX);
    qudag_err err = node_extend_memory_init(&n->extends.memory, n->mem, seed);
    if (err != QUDAG_OK) {
        release(n);
        return err;
    }
    return node_core_add(n, &core, NULL, &n->ix.extends);
}
