/*
 * expose_conn.c - connections of services: from a caller's stream to a target.
 *
 *   stream in ─ place? ─▶ asking ─ port ─▶ dialling ─▶ status 0, moving ─▶ ended
 *                 │          │                │
 *                 └──────────┴────────────────┴─▶ status, denied ─▶ ended by the caller, or in 5 s
 */
#include "app/expose_int.h"

#include <errno.h>
#include <string.h>

struct expose_conn {
    struct list node;  /* in service.conns */
    struct list timed; /* in expose.asking or service.denied */
    struct expose_service *svc;
    struct fair_item place;
    qudag_stream s;
    struct splice *sp;
    struct tunnel_request req;
    tstamp since; /* it is asking, or denied */
    tstamp used;
    uint16_t port;
    uint64_t bytes; /* it had moved when it was looked at last */
    bool placed, asked, denied;
};

#define ONE 1 /* name of the only network of a service's table */

static void give_place(struct expose_conn *c)
{
    if (c->placed) {
        fair_del(&c->svc->callers, &c->place, api_now());
        c->placed = false;
    }
}

static void conn_free(struct expose_conn *c)
{
    struct expose_service *svc = c->svc;

    give_place(c);
    list_del(&c->node);
    list_del(&c->timed);
    bool gone = qudag_stream_set_user(svc->x->node, c->s, NULL) != QUDAG_OK;
    (void)gone; /* then nobody asks for it any more */
    svc->n_denied -= c->denied;
    mem_free(api_mem(svc->x->node), c);
}

static void take_moved(struct expose_conn *c)
{
    struct splice_moved m = splice_moved(c->sp);

    c->svc->moved.to_local += m.to_local;
    c->svc->moved.to_stream += m.to_stream;
    c->sp = NULL;
}

/* Ends it in the middle. */
static void conn_reset(struct expose_conn *c, qudag_err why)
{
    if (c->sp != NULL) {
        splice_abort(c->sp, why);
        take_moved(c);
    } else {
        qudag_stream_reset(c->svc->x->node, c->s, why);
    }
    conn_free(c);
}

/*
 * The answer is no: the status, the end, and what still comes is thrown away.  The oldest of those that have not ended
 * makes room, of this service alone: what callers of one see must not depend on what is asked of another (TU-12).
 */
static void conn_deny(struct expose_conn *c, enum tunnel_status status)
{
    struct expose *x = c->svc->x;
    struct expose_service *svc = c->svc;
    uint8_t byte = (uint8_t)status;
    size_t taken = 0;

    svc->answered[status]++;
    if (c->sp != NULL) {
        splice_stream(c->sp, (qudag_stream){0}); /* it lives on to be told */
        splice_abort(c->sp, QUDAG_ECANCELED);
        c->sp = NULL;
    }
    if (svc->n_denied == EXPOSE_DENIED_MAX) {
        conn_reset(LIST_ENTRY(svc->denied.next, struct expose_conn, timed), QUDAG_ELIMIT);
    }
    if (qudag_stream_write(x->node, c->s, (qudag_slice){&byte, 1}, &taken) != QUDAG_OK) {
        conn_reset(c, QUDAG_ELIMIT);
        return;
    }
    give_place(c);
    svc->n_denied++;
    qudag_stream_fin(x->node, c->s);
    c->denied = true;
    c->since = api_now();
    list_del(&c->timed);
    list_push_back(&svc->denied, &c->timed);
}

/* ------------------------------------------------------------------ the target */

static void on_connected(void *ctx, int err)
{
    struct expose_conn *c = ctx;
    uint8_t byte = TUNNEL_CONNECTED;
    size_t taken = 0;

    if (err == EMFILE || err == ENFILE || err == ENOMEM) {
        conn_deny(c, TUNNEL_FULL);
    } else if (err != 0) {
        conn_deny(c, err == ECONNREFUSED || err == ENOENT ? TUNNEL_REFUSED : TUNNEL_UNREACHED);
    } else if (qudag_stream_write(c->svc->x->node, c->s, (qudag_slice){&byte, 1}, &taken) !=
               QUDAG_OK) {
        conn_reset(c, QUDAG_ELIMIT);
    } else {
        c->svc->answered[TUNNEL_CONNECTED]++;
        splice_start(c->sp);
    }
}

static void on_ended(void *ctx, enum splice_end how)
{
    struct expose_conn *c = ctx;
    (void)how;

    take_moved(c);
    conn_free(c);
}

static const struct splice_ops ops = {.connected = on_connected, .ended = on_ended};

static const struct target *target_of(const struct expose_service *svc, uint16_t port)
{
    for (size_t i = 0; i < svc->wish.n_ports; i++) {
        if (svc->wish.port[i].port == port) {
            return &svc->wish.port[i].to;
        }
    }
    return NULL;
}

/* The caller said which port it wants; false: it is not passed on. */
static bool conn_dial(struct expose_conn *c)
{
    const struct target *to = target_of(c->svc, c->port);
    struct expose *x = c->svc->x;

    list_del(&c->timed);
    if (to == NULL) {
        conn_deny(c, TUNNEL_NO_PORT);
        return false;
    }
    if (splice_new(&c->sp, x->pool, x->node, &ops, c) != QUDAG_OK) {
        conn_deny(c, TUNNEL_FULL);
        return false;
    }
    splice_stream(c->sp, c->s);
    splice_connect(c->sp, to, EXPOSE_DIAL_MS);
    return true;
}

/* ------------------------------------------------------------------ a place */

static uint64_t circuit_of(qudag_node *n, qudag_stream s)
{
    qudag_stream_state info = QUDAG_INIT(qudag_stream_state);

    return qudag_stream_info(n, s, &info) == QUDAG_OK ? info.circuit.id : 0;
}

/* Of the circuit that holds most, all being of one network, the connection that was silent for longest gives way. */
static void evict(struct expose_service *svc)
{
    const struct fair_source *most = fair_most(&svc->callers);
    struct expose_conn *quiet = NULL;

    LIST_EACH(it, &svc->conns)
    {
        struct expose_conn *c = LIST_ENTRY(it, struct expose_conn, node);
        if (c->place.source == most && (quiet == NULL || c->used < quiet->used)) {
            quiet = c;
        }
    }
    if (quiet != NULL) {
        svc->evicted++;
        conn_reset(quiet, QUDAG_ELIMIT);
    }
}

static enum expose_place place_for(struct expose_service *svc, uint64_t circuit)
{
    const struct fair_source *most = fair_most(&svc->callers);
    struct expose_room r = {
        .of_service = svc->callers.n,
        .service_max = expose_connections_max(svc->wish.max, svc->x->n_services, svc->x->files),
        .newcomer = fair_claim_of(&svc->callers, ONE, circuit)};

    r.newcomer.net = ONE;
    r.newcomer.source = circuit;
    r.of_circuit = r.newcomer.source_n;
    if (most != NULL) {
        r.most = fair_claim_of_source(most);
    }
    return expose_place(&r);
}

/* A connection with a place, or without one, which is going to be denied.  NULL: no memory. */
static struct expose_conn *conn_new(struct expose_service *svc, qudag_stream s, uint64_t circuit,
                                    bool place)
{
    struct expose *x = svc->x;
    tstamp now = api_now();
    struct expose_conn *c = mem_alloc(api_mem(x->node), sizeof(*c));

    if (c == NULL) {
        return NULL;
    }
    c->svc = svc;
    c->s = s;
    c->since = c->used = now;
    if ((place && fair_add(&svc->callers, &c->place, ONE, circuit, now) != QUDAG_OK) ||
        qudag_stream_set_user(x->node, s, c) != QUDAG_OK) {
        fair_del(&svc->callers, &c->place, now);
        mem_free(api_mem(x->node), c);
        return NULL;
    }
    c->placed = place;
    list_init(&c->timed);
    list_push_back(&svc->conns, &c->node);
    list_push_back(&x->asking, &c->timed);
    svc->accepted += place;
    return c;
}

void expose_stream_in(qudag_node *n, qudag_stream s, const qudag_peer_id *from, const char *dark,
                      const char *proto, void *user)
{
    struct expose *x = user;
    /* What came to an address came by a circuit: |from| is nobody then. */
    struct expose_service *svc = dark != NULL ? expose_at(x, dark) : NULL;
    (void)from, (void)proto;

    if (svc == NULL) { /* as if nobody served it: SPEC TU-1 */
        qudag_stream_reset(n, s, QUDAG_EUNSUPPORTED);
        return;
    }
    uint64_t circuit = circuit_of(n, s);
    enum expose_place place = place_for(svc, circuit);
    if (place == EXPOSE_REPLACE) {
        evict(svc);
    }
    struct expose_conn *c = conn_new(svc, s, circuit, place != EXPOSE_FULL);
    if (c == NULL) {
        qudag_stream_reset(n, s, QUDAG_ELIMIT);
    } else if (place == EXPOSE_FULL) {
        conn_deny(c, TUNNEL_FULL);
    }
}

/* ------------------------------------------------------------------ memory */

/* Counts what waits in each circuit of |svc|; the sum. */
static uint64_t count_waiting(struct expose_service *svc)
{
    uint64_t sum = 0;

    LIST_EACH(it, &svc->conns)
    {
        const struct expose_conn *c = LIST_ENTRY(it, struct expose_conn, node);
        if (c->place.source != NULL) {
            c->place.source->held = 0;
        }
    }
    LIST_EACH(it, &svc->conns)
    {
        const struct expose_conn *c = LIST_ENTRY(it, struct expose_conn, node);
        if (c->place.source != NULL && c->sp != NULL) {
            c->place.source->held += splice_waiting(c->sp);
            sum += splice_waiting(c->sp);
        }
    }
    return sum;
}

/* After count_waiting(): |c|, which has a place. */
static struct expose_waiting waiting_of(const struct expose_conn *c, uint64_t of_service)
{
    return (struct expose_waiting){.service = c->svc,
                                   .circuit = c->place.source->name,
                                   .of_service = of_service,
                                   .of_circuit = c->place.source->held,
                                   .of_conn = c->sp != NULL ? splice_waiting(c->sp) : 0};
}

/* After count_waiting(): of the circuit that holds most, the connection in which most waits; NULL: none. */
static struct expose_conn *fullest(const struct expose_service *svc)
{
    struct expose_conn *full = NULL;
    struct expose_waiting most = {0};

    LIST_EACH(it, &svc->conns)
    {
        struct expose_conn *c = LIST_ENTRY(it, struct expose_conn, node);
        struct expose_waiting w = {0};
        if (c->place.source == NULL || c->sp == NULL) {
            continue;
        }
        w = waiting_of(c, 0);
        if (full == NULL || w.of_circuit > most.of_circuit ||
            (w.of_circuit == most.of_circuit && w.of_conn > most.of_conn)) {
            full = c;
            most = w;
        }
    }
    return full;
}

bool expose_conns_yield(void *services, void *of, size_t need)
{
    struct expose *x = services;
    struct expose_conn *c = of;
    struct expose_service *largest = NULL;
    uint64_t most = 0, own = 0;

    for (size_t i = 0; i < x->n_services; i++) {
        uint64_t sum = count_waiting(x->service[i]);
        own = x->service[i] == c->svc ? sum : own;
        if (largest == NULL || sum > most) {
            largest = x->service[i];
            most = sum;
        }
    }
    struct expose_conn *full = largest != NULL ? fullest(largest) : NULL;
    if (full == NULL || full == c || c->place.source == NULL) {
        return false;
    }
    struct expose_waiting holder = waiting_of(full, most), newcomer = waiting_of(c, own);
    if (!expose_gives_way(&holder, &newcomer, need)) {
        return false;
    }
    largest->evicted++;
    conn_reset(full, QUDAG_ELIMIT);
    return true;
}

/* ------------------------------------------------------------------ what the node says of a stream */

void expose_stream_data(qudag_node *n, qudag_stream s, qudag_slice data, bool fin, void *user)
{
    struct expose_conn *c = qudag_stream_user(n, s);
    (void)user;

    if (c == NULL || c->denied) {
        qudag_stream_consume(n, s, data.len);
        return;
    }
    if (!c->asked) {
        size_t used = tunnel_request_take(&c->req, (struct slice){data.base, data.len});
        qudag_stream_consume(n, s, used);
        c->asked = tunnel_request_port(&c->req, &c->port);
        if (!c->asked) {
            if (fin) { /* SPEC TU-6 */
                conn_reset(c, QUDAG_EPROTO);
            }
            return;
        }
        data = (qudag_slice){data.base + used, data.len - used};
        if (!conn_dial(c)) {
            qudag_stream_consume(n, s, data.len);
            return;
        }
    }
    if (data.len > 0 || fin) {
        splice_data(c->sp, data, fin);
    }
}

void expose_stream_writable(qudag_node *n, qudag_stream s, void *user)
{
    struct expose_conn *c = qudag_stream_user(n, s);
    (void)user;

    if (c != NULL && c->sp != NULL) {
        splice_writable(c->sp);
    }
}

void expose_stream_closed(qudag_node *n, qudag_stream s, qudag_err why, void *user)
{
    struct expose_conn *c = qudag_stream_user(n, s);
    (void)user;

    if (c == NULL) {
        return;
    }
    if (c->sp != NULL) {
        splice_closed(c->sp, why);
    } else {
        conn_free(c);
    }
}

/* ------------------------------------------------------------------ time, and the end */

static void tick_list(struct list *l, tstamp life, tstamp now)
{
    while (!list_empty(l)) {
        struct expose_conn *c = LIST_ENTRY(l->next, struct expose_conn, timed);
        if (now < tstamp_after(c->since, life)) {
            return;
        }
        conn_reset(c, QUDAG_ETIMEOUT);
    }
}

/* Which connections moved something since the last look. */
static void look_at(struct expose_service *svc, tstamp now)
{
    LIST_EACH(it, &svc->conns)
    {
        struct expose_conn *c = LIST_ENTRY(it, struct expose_conn, node);
        struct splice_moved m = {0};
        if (c->sp != NULL) {
            m = splice_moved(c->sp);
        }
        if (m.to_local + m.to_stream != c->bytes) {
            c->bytes = m.to_local + m.to_stream;
            c->used = now;
        }
    }
}

void expose_conns_tick(struct expose *x, tstamp now)
{
    for (size_t i = 0; i < x->n_services; i++) {
        look_at(x->service[i], now);
        tick_list(&x->service[i]->denied, EXPOSE_DENIED_NS, now);
    }
    tick_list(&x->asking, EXPOSE_ASK_NS, now);
}

void expose_conns_cut(struct expose_service *svc, bool all)
{
    LIST_EACH_SAFE(it, tmp, &svc->conns)
    {
        struct expose_conn *c = LIST_ENTRY(it, struct expose_conn, node);
        if (all || (c->asked && target_of(svc, c->port) == NULL)) {
            conn_reset(c, QUDAG_ECANCELED);
        }
    }
}

struct splice_moved expose_conns_moved(const struct expose_service *svc)
{
    struct splice_moved sum = svc->moved;

    LIST_EACH(it, &svc->conns)
    {
        const struct expose_conn *c = LIST_ENTRY(it, struct expose_conn, node);
        if (c->sp != NULL) {
            struct splice_moved m = splice_moved(c->sp);
            sum.to_local += m.to_local;
            sum.to_stream += m.to_stream;
        }
    }
    return sum;
}
