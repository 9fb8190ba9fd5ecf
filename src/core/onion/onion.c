/*
 * onion.c - dispatch: which circuit an event, a timer or a call of the owner is for.
 *
 *   EV_DATA ─▶ leg ─▶ whole cells ─▶ client.c / relay.c ─▶ onion_circuit_pump() ─▶ ACT_WRITE
 *
 * One call adds at most ACTS_ROOM actions and ACTS_BYTES_ROOM bytes.  What finds no room stays with
 * its leg or its streams, the circuit goes to |work|, and the deadline is "now".
 */
#include "core/onion/circuit.h"

#include "core/onion/rules.h"

#include <string.h>

#define CIRCUITS_DEFAULT 4096
#define CREATE_RATE_DEFAULT 2000u
#define BURSTS 4 /* a burst of CREATEs is as many as in a quarter of a second */
#define STREAMS_DEFAULT ONION_STREAMS_MAX

/* ---- life ---- */

static uint32_t or_default(uint32_t v, uint32_t dflt)
{
    return v == 0 ? dflt : v;
}

qudag_err onion_new(struct onion **out, const struct onion_config *cfg, tstamp now)
{
    struct onion *o = mem_alloc(cfg->mem, sizeof *o);
    uint8_t seed[32];

    if (o == NULL) {
        return QUDAG_ENOMEM;
    }
    o->cfg = *cfg;
    o->cfg.circuits_max = or_default(cfg->circuits_max, CIRCUITS_DEFAULT);
    o->cfg.create_rate = or_default(cfg->create_rate, CREATE_RATE_DEFAULT);
    o->cfg.streams_max = or_default(cfg->streams_max, STREAMS_DEFAULT);
    o->cfg.build_ns = cfg->build_ns != 0 ? cfg->build_ns : ONION_BUILD_TIMEOUT;
    if (o->cfg.streams_max > ONION_STREAMS_MAX) {
        o->cfg.streams_max = ONION_STREAMS_MAX;
    }
    rng_fill(&o->cfg.rng, seed, sizeof seed);
    rng_fill(&o->cfg.rng, (uint8_t *)o->names, sizeof o->names);
    slots_init(&o->circuits, cfg->mem, o->cfg.circuits_max + ONION_ENDING);
    map_init(&o->legs, cfg->mem, seed, (size_t)o->cfg.circuits_max * 2);
    onion_admission_init(o, seed + 16);
    heap_init(&o->timers, cfg->mem, o->cfg.circuits_max);
    list_init(&o->work);
    list_init(&o->dead);
    dyn_init(&o->spare, cfg->mem, ONION_LEG_SPARE_MAX);
    limiter_init(&o->creates, o->cfg.create_rate, o->cfg.create_rate / BURSTS + 1, now);
    o->now = now;
    *out = o;
    return QUDAG_OK;
}

static void key_free(struct onion *o, struct onion_keyring *k)
{
    mlkem768_free(k->dk);
    mem_free_wiped(o->cfg.mem, k);
}

void onion_set_build_time(struct onion *o, uint64_t build_ns)
{
    o->cfg.build_ns = build_ns;
}

void onion_free(struct onion *o)
{
    if (o == NULL) {
        return;
    }
    for (uint32_t i = 0; i < o->circuits.high; i++) {
        if (slots_at(&o->circuits, i) != NULL) {
            onion_circuit_free(slots_at(&o->circuits, i));
        }
    }
    onion_admission_fini(o);
    for (size_t i = 0; i < o->keys_n; i++) {
        key_free(o, o->keys[i]);
    }
    dyn_fini(&o->spare);
    slots_fini(&o->circuits);
    map_fini(&o->legs);
    heap_fini(&o->timers);
    mem_free_wiped(o->cfg.mem, o);
}

qudag_err onion_key_add(struct onion *o, const struct onion_key *key, struct mlkem_key *dk)
{
    for (size_t i = 0; i < o->keys_n; i++) {
        if (memcmp(o->keys[i]->key.key_id, key->key_id, sizeof key->key_id) == 0) {
            return QUDAG_EEXISTS;
        }
    }
    if (o->keys_n == ONION_KEYS_MAX) {
        return QUDAG_ELIMIT;
    }
    struct onion_keyring *k = mem_alloc(o->cfg.mem, sizeof *k);
    if (k == NULL) {
        return QUDAG_ENOMEM;
    }
    k->key = *key;
    k->dk = dk;
    o->keys[o->keys_n++] = k;
    return QUDAG_OK;
}

void onion_key_del(struct onion *o, const uint8_t key_id[8])
{
    for (size_t i = 0; i < o->keys_n; i++) {
        if (memcmp(o->keys[i]->key.key_id, key_id, 8) == 0) {
            key_free(o, o->keys[i]);
            o->keys[i] = o->keys[--o->keys_n];
            return;
        }
    }
}

/* ---- streams below: opening ---- */

static void on_stream_in(struct onion *o, const struct ev *ev, struct acts *out)
{
    qudag_err err = onion_admit(o, ev, out);

    if (err != QUDAG_OK) {
        o->stats.refused_limit++;
        acts_reset(out, ev->strm, err);
    }
}

static struct onion_circuit *dialling(const struct onion *o, uint64_t cookie)
{
    struct onion_circuit *c = slots_get(&o->circuits, ref_from_u64(cookie));

    return c != NULL && c->next.opening ? c : NULL;
}

static void on_stream_out(struct onion *o, const struct ev *ev, struct acts *out)
{
    struct onion_circuit *c = dialling(o, ev->cookie);

    if (c == NULL) { /* given up meanwhile */
        acts_reset(out, ev->strm, QUDAG_ECANCELED);
        return;
    }
    c->next.opening = false;
    qudag_err err = QUDAG_OK;
    if (!onion_rule_leg(ev->props, false)) {
        err = QUDAG_EPOLICY;
    } else if (ev->peer == NULL || !peer_id_eq(ev->peer, &c->next.peer)) {
        err = QUDAG_EAUTH;
    } else {
        err = onion_leg_attach(&c->next, ev->strm);
    }
    if (err != QUDAG_OK) {
        acts_reset(out, ev->strm, err);
        onion_circuit_fail(c, err, &c->next, c->role == ONION_CLIENT, out);
    } else if (c->role == ONION_CLIENT) {
        onion_client_connected(c, out);
    } else {
        onion_extend_connected(c, out);
    }
}

static void on_stream_fail(struct onion *o, const struct ev *ev, struct acts *out)
{
    struct onion_circuit *c = dialling(o, ev->cookie);

    if (c != NULL) {
        c->next.opening = false;
        onion_circuit_fail(c, ev->err != QUDAG_OK ? ev->err : QUDAG_EUNREACHABLE, &c->next,
                           c->role == ONION_CLIENT, out);
    }
}

/* ---- streams below: data ---- */

/* Nearly every packet ends within a cell: the buffer for its beginning goes from leg to leg. */
static qudag_err leg_keep(struct onion_leg *leg, const uint8_t *p, size_t len)
{
    struct dyn *spare = &leg->c->o->spare;

    if (len > 0 && leg->in.cap == 0) {
        leg->in.p = spare->p;
        leg->in.cap = spare->cap;
        spare->p = NULL;
        spare->cap = 0;
    }
    return dyn_append(&leg->in, p, len);
}

static void leg_drop(struct onion_leg *leg, size_t len)
{
    struct dyn *spare = &leg->c->o->spare;

    if (len >= leg->in.len && spare->cap == 0 && leg->in.cap <= ONION_LEG_SPARE_MAX) {
        spare->p = leg->in.p;
        spare->cap = leg->in.cap;
        leg->in.p = NULL;
        leg->in.len = leg->in.cap = 0;
        return;
    }
    dyn_drop(&leg->in, len);
}

static void leg_cell(struct onion_leg *leg, const uint8_t *cell, struct acts *out)
{
    struct onion_circuit *c = leg->c;
    bool padding = cell[0] == ONION_CELL_PADDING;

    if (padding ? !onion_tally_padding(&leg->tally) : !onion_tally_cell(&leg->tally, true)) {
        onion_circuit_fail(c, QUDAG_EPROTO, leg, c->role == ONION_CLIENT, out);
    } else if (padding) {
        return;
    } else if (c->role == ONION_CLIENT) {
        onion_client_cell(c, cell, out);
    } else if (leg == &c->prev) {
        onion_relay_cell_from_prev(c, cell, out);
    } else {
        onion_relay_cell_from_next(c, cell, out);
    }
}

/* Processes whole cells of |data| while there is room; how many bytes were taken. */
static size_t leg_cells(struct onion_leg *leg, struct slice data, struct acts *out)
{
    size_t done = 0;

    while (data.len - done >= ONION_CELL_LEN && leg->c->phase != ONION_PH_CLOSING &&
           onion_has_room(leg->c->o, out)) {
        leg_cell(leg, data.base + done, out);
        done += ONION_CELL_LEN;
    }
    return done;
}

static void leg_hung_up(struct onion_leg *leg, struct acts *out)
{
    struct onion_circuit *c = leg->c;

    if (c->phase != ONION_PH_CLOSING) {
        onion_circuit_fail(c, QUDAG_ECLOSED, leg, c->role == ONION_CLIENT, out);
    }
    onion_circuit_settle(c);
}

/* Cells that waited for room, and a FIN behind them. */
static void leg_held(struct onion_leg *leg, struct acts *out)
{
    if (leg->in.len >= ONION_CELL_LEN) {
        size_t done = leg_cells(leg, dyn_slice(&leg->in), out);
        onion_leg_received(leg, done, out);
        leg_drop(leg, done);
    }
    if (leg->fin_received && (leg->in.len < ONION_CELL_LEN || leg->c->phase == ONION_PH_CLOSING)) {
        leg_hung_up(leg, out);
    }
}

/* All a circuit can do at once; what remains is for its next turn. */
static void circuit_turn(struct onion_circuit *c, struct acts *out)
{
    if (c->may_dial) {
        c->may_dial = false;
        onion_extend_dial(c, out);
    }
    leg_held(&c->prev, out);
    leg_held(&c->next, out);
    bool all = onion_circuit_pump(c, out);
    if (c->carried != NULL) {
        all = onion_circuit_pump(c->carried, out) && all;
    }
    bool held = c->prev.in.len >= ONION_CELL_LEN || c->next.in.len >= ONION_CELL_LEN;
    if (c->phase != ONION_PH_CLOSING && (!all || held)) {
        onion_circuit_wants_turn(c);
    }
}

static void on_data(struct onion_leg *leg, struct slice data, struct acts *out)
{
    struct onion_circuit *c = leg->c;
    size_t start = 0, held = leg->in.len;
    qudag_err err = QUDAG_OK;

    if (c->phase == ONION_PH_CLOSING || leg->fin_received) {
        acts_consume(out, leg->strm, data.len);
        return;
    }
    if (held > 0 && held < ONION_CELL_LEN) { /* complete the cell that straddles two events */
        start = ONION_CELL_LEN - held < data.len ? ONION_CELL_LEN - held : data.len;
        err = leg_keep(leg, data.base, start);
        if (err == QUDAG_OK) {
            size_t done = leg_cells(leg, dyn_slice(&leg->in), out);
            onion_leg_received(leg, done, out);
            leg_drop(leg, done);
        }
    }
    struct slice rest = {data.base + start, data.len - start};
    if (err == QUDAG_OK && leg->in.len == 0) {
        size_t done = leg_cells(leg, rest, out);
        onion_leg_received(leg, done, out);
        rest.base += done;
        rest.len -= done;
    }
    if (c->phase == ONION_PH_CLOSING) {
        onion_leg_received(leg, rest.len, out);
    } else if (err == QUDAG_OK) {
        err = leg_keep(leg, rest.base, rest.len);
    }
    if (err != QUDAG_OK) {
        onion_circuit_fail(c, err, NULL, 0, out);
    }
    circuit_turn(c, out);
}

static void on_reset(struct onion_leg *leg, qudag_err err, struct acts *out)
{
    struct onion_circuit *c = leg->c;

    onion_leg_detach(leg);
    onion_circuit_fail(c, err != QUDAG_OK ? err : QUDAG_ERESET, leg, c->role == ONION_CLIENT, out);
    onion_circuit_settle(c);
}

static void on_leg_event(struct onion_leg *leg, const struct ev *ev, struct acts *out)
{
    switch (ev->type) {
    case EV_DATA:
        on_data(leg, ev->data, out);
        break;
    case EV_WRITABLE:
        onion_leg_left(leg, ev->n, out);
        circuit_turn(leg->c, out);
        break;
    case EV_FIN:
        leg->fin_received = true;
        circuit_turn(leg->c, out);
        break;
    case EV_RESET:
        on_reset(leg, ev->err, out);
        break;
    case EV_PEER_UP:
    case EV_PEER_DOWN:
    case EV_STREAM_OPEN:
    case EV_STREAM_FAIL:
        break;
    }
}

static void onion_event(void *core, const struct ev *ev, tstamp now, struct acts *out)
{
    struct onion *o = core;

    onion_turn_begin(o, now, out);
    if (ev->type == EV_STREAM_OPEN && ev->inbound) {
        on_stream_in(o, ev, out);
    } else if (ev->type == EV_STREAM_OPEN) {
        on_stream_out(o, ev, out);
    } else if (ev->type == EV_STREAM_FAIL) {
        on_stream_fail(o, ev, out);
    } else {
        const struct slice key = {(const uint8_t *)&ev->strm, sizeof ev->strm};
        struct onion_leg *leg = map_get(&o->legs, key);
        if (leg != NULL) {
            on_leg_event(leg, ev, out);
        }
    }
    onion_turn_end(o);
}

/* ---- time ---- */

static void on_timer(struct onion_circuit *c, struct acts *out)
{
    struct onion_leg *legs[] = {&c->prev, &c->next};

    onion_circuit_arm(c);
    if (c->timer.at > c->o->now) {
        return; /* cells have passed since it was set */
    }
    if (c->phase == ONION_PH_CLOSING) {
        heap_del(&c->o->timers, &c->timer);
        for (size_t i = 0; i < ARRAY_LEN(legs); i++) {
            if (!ref_none(legs[i]->strm)) {
                acts_reset(out, legs[i]->strm, QUDAG_ETIMEOUT);
                onion_leg_detach(legs[i]);
            }
        }
        onion_circuit_settle(c);
        return;
    }
    if (c->phase == ONION_PH_ACCEPT && c->waits) {
        c->o->stats.refused_rate++;
        onion_circuit_fail(c, QUDAG_ELIMIT, NULL, 0, out);
        return;
    }
    bool onward = c->phase == ONION_PH_DIAL_NEXT || c->phase == ONION_PH_WAIT_NEXT ||
                  c->phase == ONION_PH_REFUSING;
    bool building =
        c->role == ONION_CLIENT && c->phase != ONION_PH_READY && c->phase != ONION_PH_STEM;
    if (c->phase == ONION_PH_CREATE || c->phase == ONION_PH_EXTEND) {
        /* at least so long: the next one has longer */
        onion_pace_add(&c->o->pace, c->o->now - c->phase_at);
    }
    onion_circuit_fail(c, QUDAG_ETIMEOUT, onward ? &c->next : NULL,
                       building ? (unsigned)c->hops.n + 1 : 0, out);
}

static void onion_tick(void *core, tstamp now, struct acts *out)
{
    struct onion *o = core;

    onion_turn_begin(o, now, out);
    for (struct heap_node *n = heap_top(&o->timers); n != NULL && n->at <= now;
         n = heap_top(&o->timers)) {
        if (!onion_has_room(o, out)) {
            break;
        }
        on_timer(LIST_ENTRY(n, struct onion_circuit, timer), out);
    }
    while (!list_empty(&o->work) && onion_has_room(o, out)) {
        struct onion_circuit *c = LIST_ENTRY(o->work.next, struct onion_circuit, work);
        list_del(&c->work);
        circuit_turn(c, out);
    }
    onion_creates_serve(o, out);
    onion_turn_end(o);
}

static tstamp onion_deadline(const void *core)
{
    const struct onion *o = core;
    const struct heap_node *n = heap_top(&o->timers);

    if (!list_empty(&o->work)) {
        return o->now;
    }
    return tstamp_min(n == NULL ? TSTAMP_NEVER : n->at, onion_creates_at(o));
}

const struct core_ops onion_ops = {
    .protocol = ONION_PROTOCOL,
    .inbound_max = ONION_LINK_IN_MAX,
    .outbound_max = ONION_LINK_OUT_MAX,
    .manual_credit = true,
    .unit = ONION_CELL_LEN,
    .along_links = true,
    .chooses = true, /* guards; whom an EXTEND names it never dials */
    .event = onion_event,
    .tick = onion_tick,
    .deadline = onion_deadline,
};

/* ---- circuits of our own ---- */

static bool hop_valid(const struct onion_hop *hop, bool last)
{
    return hop->peer.len > 0 && hop->n_addrs <= ONION_ADDRS_MAX && (last || !hop->service);
}

static bool plan_valid(const struct onion *o, const struct onion_hop *hops, size_t n)
{
    struct peer_id path[ONION_HOPS_MAX];

    if (n < 1 || n > ONION_HOPS_MAX) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (!hop_valid(&hops[i], i + 1 == n)) {
            return false;
        }
        path[i] = hops[i].peer;
    }
    return onion_rule_path(path, n, hops[n - 1].service, &o->cfg.self);
}

/* What a circuit is to be built of. */
struct plan {
    const struct onion_hop *hops;
    size_t n, max; /* max: hops that it is to have in the end */
};

/* The client's part of a new circuit. */
static qudag_err client_setup(struct onion_circuit *c, const struct plan *p)
{
    struct mem *mem = c->o->cfg.mem;

    c->client = mem_alloc(mem, sizeof *c->client);
    if (c->client == NULL) {
        return QUDAG_ENOMEM;
    }
    c->client->plan = mem_alloc_n(mem, p->n, sizeof *p->hops);
    if (c->client->plan == NULL) {
        return QUDAG_ENOMEM;
    }
    memcpy(c->client->plan, p->hops, p->n * sizeof *p->hops);
    c->client->n_wanted = (uint8_t)p->n;
    for (size_t i = 0; i < p->n; i++) {
        c->client->path[i] = p->hops[i].peer;
    }
    return onion_hops_init(&c->hops, mem, p->max);
}

static qudag_err begin(struct onion *o, const struct plan *p, tstamp now, struct acts *out,
                       struct ref *circuit)
{
    struct onion_circuit *c;

    if (!plan_valid(o, p->hops, p->n) || p->max > ONION_HOPS_MAX) {
        return QUDAG_EINVAL;
    }
    onion_turn_begin(o, now, out);
    qudag_err err = onion_circuit_new(o, ONION_CLIENT, now, &c);
    if (err == QUDAG_OK && (err = client_setup(c, p)) != QUDAG_OK) {
        onion_circuit_free(c);
    }
    if (err == QUDAG_OK) {
        c->reported = true;
        c->next.peer = p->hops[0].peer;
        onion_leg_dial(&c->next, p->hops[0].addr, p->hops[0].n_addrs, out);
        *circuit = c->ref;
    }
    onion_turn_end(o);
    return err;
}

qudag_err onion_build(struct onion *o, const struct onion_hop *hops, size_t n, tstamp now,
                      struct acts *out, struct ref *circuit)
{
    return begin(o, &(struct plan){hops, n, n}, now, out, circuit);
}

qudag_err onion_build_stem(struct onion *o, const struct onion_hop *hops, size_t n, tstamp now,
                           struct acts *out, struct ref *circuit)
{
    if (n == 0 || hops[n - 1].service) {
        return QUDAG_EINVAL; /* nothing follows a service */
    }
    return begin(o, &(struct plan){hops, n, n + 1}, now, out, circuit);
}

qudag_err onion_complete(struct onion *o, struct ref stem, const struct onion_hop *last, tstamp now,
                         struct acts *out)
{
    struct onion_circuit *c = slots_get(&o->circuits, stem);
    struct peer_id path[ONION_HOPS_MAX];

    if (c == NULL || c->phase == ONION_PH_CLOSING) {
        return QUDAG_ESTALE;
    }
    if (c->phase != ONION_PH_STEM) {
        return QUDAG_ESTATE;
    }
    memcpy(path, c->client->path, sizeof path);
    path[c->hops.n] = last->peer; /* there is room: see onion_build_stem() */
    if (!hop_valid(last, true) ||
        !onion_rule_path(path, c->hops.n + 1, last->service, &o->cfg.self)) {
        return QUDAG_EINVAL;
    }
    onion_turn_begin(o, now, out);
    qudag_err err = onion_client_complete(c, last, out);
    onion_turn_end(o);
    return err;
}

void onion_close(struct onion *o, struct ref circuit, tstamp now, struct acts *out)
{
    struct onion_circuit *c = slots_get(&o->circuits, circuit);

    onion_turn_begin(o, now, out);
    if (c != NULL) {
        onion_circuit_fail(c, QUDAG_ECANCELED, NULL, 0, out);
    }
    onion_turn_end(o);
}

/* ---- streams over circuits ---- */

/* The circuit, if streams can be on it, and the start of a turn. */
static struct onion_circuit *with_streams(struct onion *o, struct ref circuit, tstamp now,
                                          const struct acts *out)
{
    struct onion_circuit *c = slots_get(&o->circuits, circuit);

    onion_turn_begin(o, now, out);
    return c != NULL && c->mux != NULL ? c : NULL;
}

static void finish(struct onion_circuit *c, struct acts *out)
{
    if (!onion_circuit_pump(c, out)) {
        onion_circuit_wants_turn(c);
    }
    onion_turn_end(c->o);
}

qudag_err onion_stream_open(struct onion *o, const struct onion_stream_want *want, tstamp now,
                            struct acts *out, int64_t *sid)
{
    struct onion_circuit *c = slots_get(&o->circuits, want->circuit);
    uint16_t id;

    if (c == NULL || c->phase == ONION_PH_CLOSING) {
        return QUDAG_ESTALE;
    }
    if (c->phase != ONION_PH_READY) {
        return QUDAG_ESTATE;
    }
    onion_turn_begin(o, now, out);
    qudag_err err = onion_mux_open(c->mux, want->proto, want->user, &id);
    if (err == QUDAG_OK) {
        *sid = id;
        onion_circuit_wants_turn(c); /* not at once: BEGIN and the first data share a cell */
    }
    onion_turn_end(o);
    return err;
}

void onion_stream_set_user(struct onion *o, struct ref circuit, int64_t sid, uint64_t user)
{
    struct onion_circuit *c = slots_get(&o->circuits, circuit);

    if (c != NULL && c->mux != NULL) {
        onion_mux_set_user(c->mux, sid, user);
    }
}

qudag_err onion_stream_write_kept(struct onion *o, const struct onion_stream_data *w, tstamp now,
                                  struct acts *out)
{
    struct onion_circuit *c = with_streams(o, w->circuit, now, out);

    if (c == NULL) {
        return QUDAG_ESTALE;
    }
    qudag_err err = onion_mux_write_kept(c->mux, w->sid, w->data, w->keep);
    finish(c, out);
    return err;
}

qudag_err onion_stream_write(struct onion *o, struct ref circuit, int64_t sid, struct slice data,
                             tstamp now, struct acts *out)
{
    return onion_stream_write_kept(o, &(struct onion_stream_data){circuit, sid, data, NULL}, now,
                                   out);
}

void onion_let_go(struct onion *o)
{
    for (uint32_t i = 0; i < o->circuits.high; i++) {
        struct onion_circuit *c = slots_at(&o->circuits, i);
        if (c != NULL && c->mux != NULL) {
            onion_mux_let_go(c->mux);
        }
    }
}

void onion_stream_consume(struct onion *o, struct ref circuit, int64_t sid, size_t n, tstamp now,
                          struct acts *out)
{
    struct onion_circuit *c = with_streams(o, circuit, now, out);

    if (c != NULL) {
        onion_mux_consume(c->mux, sid, n);
        finish(c, out);
    }
}

void onion_stream_fin(struct onion *o, struct ref circuit, int64_t sid, tstamp now,
                      struct acts *out)
{
    struct onion_circuit *c = with_streams(o, circuit, now, out);

    if (c != NULL) {
        onion_mux_fin(c->mux, sid);
        finish(c, out);
    }
}

void onion_stream_reset(struct onion *o, struct ref circuit, int64_t sid, qudag_err err, tstamp now,
                        struct acts *out)
{
    struct onion_circuit *c = with_streams(o, circuit, now, out);

    if (c != NULL) {
        onion_mux_reset(c->mux, sid, err);
        finish(c, out);
    }
}
