/*
 * leg.c - streams below a circuit, the cells on them, and how a circuit ends.
 *
 * Back-pressure at a relay: what is read from one leg is written to the other; while the other's
 * queue is above ONION_LEG_PAUSE_AT the bytes read are not consumed, so the sender's stream window
 * closes.  Queue and window together bound what a circuit can hold.
 */
#include "core/onion/circuit.h"

#include "base/assert.h"
#include "base/err.h"
#include "base/wipe.h"
#include "core/onion/emit.h"
#include "core/onion/rules.h"

#include <string.h>

/* ---- one call ---- */

void onion_turn_begin(struct onion *o, tstamp now, const struct acts *out)
{
    size_t acts = out->cap - out->n, len = out->bytes_cap - out->bytes_n;

    acts = acts < ACTS_ROOM ? acts : ACTS_ROOM;
    len = len < ACTS_BYTES_ROOM ? len : ACTS_BYTES_ROOM;
    o->now = now;
    o->mine = out->n;
    o->acts_end = out->n + (acts > ONION_TURN_ACTS ? acts - ONION_TURN_ACTS : 0);
    o->bytes_end = out->bytes_n + (len > ONION_TURN_BYTES ? len - ONION_TURN_BYTES : 0);
}

void onion_turn_end(struct onion *o)
{
    while (!list_empty(&o->dead)) {
        onion_circuit_free(LIST_ENTRY(o->dead.next, struct onion_circuit, dead));
    }
}

bool onion_has_room(const struct onion *o, const struct acts *out)
{
    return out->n < o->acts_end && out->bytes_n < o->bytes_end;
}

void onion_circuit_wants_turn(struct onion_circuit *c)
{
    if (!list_linked(&c->work)) {
        list_push_back(&c->o->work, &c->work);
    }
}

static tstamp circuit_deadline(const struct onion_circuit *c)
{
    tstamp built_by = tstamp_after(c->build_at, c->o->cfg.build_ns);

    switch (c->phase) {
    case ONION_PH_DIAL: /* no more than a hop takes that is as near as one can be */
    case ONION_PH_CREATE:
    case ONION_PH_EXTEND:
        return tstamp_min(
            built_by,
            tstamp_after(c->phase_at, onion_pace_patience(&c->o->pace, c->o->cfg.build_ns)));
    case ONION_PH_ACCEPT:
        return c->waits ? tstamp_after(c->phase_at, ONION_CREATE_WAIT)
                        : tstamp_after(c->since, ONION_CREATE_TIMEOUT);
    case ONION_PH_DIAL_NEXT:
    case ONION_PH_WAIT_NEXT:
        return tstamp_after(c->phase_at, ONION_EXTEND_TIMEOUT);
    case ONION_PH_REFUSING:
        return c->fails_at;
    case ONION_PH_CLOSING:
        return tstamp_after(c->phase_at, ONION_CLOSE_TIMEOUT);
    case ONION_PH_STEM:
    case ONION_PH_READY:
    case ONION_PH_END:
    case ONION_PH_RELAY:
        break;
    }
    return tstamp_after(c->active_at, ONION_IDLE_LIFE);
}

void onion_circuit_arm(struct onion_circuit *c)
{
    /* The node is in the heap since onion_circuit_new(), so that setting it again needs no memory. */
    qudag_err err = heap_set(&c->o->timers, &c->timer, circuit_deadline(c));
    ASSERT(err == QUDAG_OK);
}

void onion_circuit_touch(struct onion_circuit *c)
{
    c->active_at = c->o->now; /* the timer notices when it fires */
}

void onion_circuit_enter(struct onion_circuit *c, enum onion_phase phase)
{
    c->phase = phase;
    c->phase_at = c->o->now;
    c->active_at = c->o->now;
    onion_circuit_arm(c);
}

qudag_err onion_circuit_new(struct onion *o, enum onion_role role, tstamp now,
                            struct onion_circuit **out)
{
    struct onion_circuit *c = mem_alloc(o->cfg.mem, sizeof *c);

    if (c == NULL) {
        return QUDAG_ENOMEM;
    }
    c->o = o;
    c->role = role;
    c->since = now;
    c->build_at = now;
    c->prev.c = c;
    c->next.c = c;
    dyn_init(&c->prev.in, o->cfg.mem, ONION_LEG_HELD_MAX);
    dyn_init(&c->next.in, o->cfg.mem, ONION_LEG_HELD_MAX);
    onion_assembly_init(&c->from_prev, o->cfg.mem);
    onion_assembly_init(&c->from_next, o->cfg.mem);
    c->hops.mem = o->cfg.mem;
    list_init(&c->work);
    list_init(&c->dead);
    qudag_err err = slots_add(&o->circuits, c, &c->ref);
    if (err != QUDAG_OK) {
        mem_free(o->cfg.mem, c);
        return err;
    }
    err = heap_set(&o->timers, &c->timer, now);
    if (err != QUDAG_OK) {
        slots_del(&o->circuits, c->ref);
        mem_free(o->cfg.mem, c);
        return err;
    }
    onion_circuit_enter(c, role == ONION_CLIENT ? ONION_PH_DIAL : ONION_PH_ACCEPT);
    *out = c;
    return QUDAG_OK;
}

/* ---- legs ---- */

static struct slice ref_key(const struct ref *r)
{
    return (struct slice){(const uint8_t *)r, sizeof *r};
}

static bool leg_is_open(const struct onion_leg *leg)
{
    return !ref_none(leg->strm);
}

/* The leg that what |leg| brings is passed on to, and that brings what |leg| sends; NULL: none, we are an end. */
static struct onion_leg *leg_onward(struct onion_leg *leg)
{
    struct onion_circuit *c = leg->c;

    if (c->phase == ONION_PH_RELAY) {
        return leg == &c->prev ? &c->next : &c->prev;
    }
    return c->joined == NULL ? NULL : &c->joined->prev;
}

qudag_err onion_leg_attach(struct onion_leg *leg, struct ref strm)
{
    qudag_err err = map_put(&leg->c->o->legs, ref_key(&strm), leg);

    if (err == QUDAG_OK) {
        leg->strm = strm;
    }
    return err;
}

void onion_leg_detach(struct onion_leg *leg)
{
    if (leg_is_open(leg)) {
        map_del(&leg->c->o->legs, ref_key(&leg->strm));
        leg->strm = (struct ref){0, 0};
    }
    leg->queued = 0;
    leg->unconsumed = 0;
}

void onion_leg_put(struct onion_leg *leg, uint8_t *cell, struct acts *out)
{
    if (leg->c->o->run != NULL) {
        onion_run_put(out, cell, leg->strm, leg->c->o->run);
    } else {
        onion_cell_put(out, cell, leg->strm, leg->c->o->mine);
    }
    leg->queued += ONION_CELL_LEN;
}

void onion_leg_send_message(struct onion_leg *leg, uint8_t class, struct slice msg,
                            struct acts *out)
{
    for (size_t off = 0; off < msg.len;) {
        size_t len = msg.len - off < ONION_CLEAR_FRAG_MAX ? msg.len - off : ONION_CLEAR_FRAG_MAX;
        uint8_t *cell = onion_cell_take(out);
        if (cell == NULL) {
            return;
        }
        struct wr w = wr_init(cell, ONION_CELL_LEN);
        wr_u8(&w, class);
        wr_u16(&w, (uint16_t)msg.len);
        wr_u16(&w, (uint16_t)off);
        wr_bytes(&w, msg.base + off, len);
        wr_zero(&w, ONION_CELL_LEN - w.len);
        onion_leg_put(leg, cell, out);
        off += len;
    }
}

static void leg_credit(struct onion_leg *leg, struct acts *out)
{
    const struct onion_leg *onward = leg_onward(leg);

    if (onward == NULL || (leg->paused && onward->queued <= ONION_LEG_RESUME_AT)) {
        leg->paused = false;
    } else if (!leg->paused && onward->queued > ONION_LEG_PAUSE_AT) {
        leg->paused = true;
    }
    if (!leg->paused && leg->unconsumed > 0 && leg_is_open(leg)) {
        acts_consume(out, leg->strm, (size_t)leg->unconsumed);
        leg->unconsumed = 0;
    }
}

void onion_leg_received(struct onion_leg *leg, size_t len, struct acts *out)
{
    leg->unconsumed += len;
    leg_credit(leg, out);
}

void onion_leg_left(struct onion_leg *leg, uint64_t n, struct acts *out)
{
    struct onion_leg *from = leg_onward(leg);

    leg->queued -= n < leg->queued ? n : leg->queued;
    if (from != NULL && leg_is_open(from)) {
        leg_credit(from, out);
    }
}

struct act *onion_leg_dial(struct onion_leg *leg, const struct multiaddr *addrs, size_t n,
                           struct acts *out)
{
    uint8_t hints[ONION_ADDRS_MAX * (2 + MULTIADDR_MAX)];
    struct wr w = wr_init(hints, sizeof hints);
    uint64_t cookie = ref_to_u64(leg->c->ref);

    for (size_t i = 0; i < n; i++) {
        wr_lp(&w, multiaddr_slice(&addrs[i]));
    }
    ASSERT(wr_ok(&w));
    struct slice data = acts_copy(out, hints, w.len);
    struct act *a = acts_open(out, &leg->peer, cookie, ONION_NEED);
    a->data = data;
    leg->opening = true;
    return a;
}

/* ---- relay cells of our own ---- */

static void cell_start(uint8_t *cell, struct wr *w)
{
    cell[0] = ONION_CELL_RELAY;
    *w = wr_init(cell + 1 + CGO_TAG_LEN, ONION_RELAY_PAYLOAD);
}

static void burst_end(struct onion *o)
{
    if (o->run != NULL) {
        buf_drop(&o->run->buf);
        o->run = NULL;
    }
}

uint8_t *onion_circuit_cell_open(struct wr *w, struct acts *out)
{
    uint8_t *cell = onion_cell_take(out);

    if (cell != NULL) {
        cell_start(cell, w);
    }
    return cell;
}

void onion_circuit_cell_seal(struct onion_circuit *c, uint8_t *cell, const struct wr *w,
                             uint8_t ack[CGO_TAG_LEN], struct acts *out)
{
    ASSERT(wr_ok(w));
    memset(w->p + w->len, 0, w->cap - w->len);
    if (c->role == ONION_CLIENT) {
        cgo_client_originate(c->hops.fwd, c->hops.n, cell[0], cell + 1, ack);
        c->cells_fwd++;
    } else {
        cgo_relay_originate(c->hops.back, cell[0], cell + 1, ack);
        c->cells_back++;
    }
    if (c->carrier != NULL) {
        onion_carried_put(c, cell, out);
    } else {
        onion_leg_put(c->role == ONION_CLIENT ? &c->next : &c->prev, cell, out);
    }
    c->o->stats.cells_originated++;
}

void onion_circuit_send_fragments(struct onion_circuit *c, uint8_t type, struct slice msg,
                                  struct acts *out)
{
    for (size_t off = 0; off < msg.len;) {
        size_t len = msg.len - off < ONION_RELAY_FRAG_MAX ? msg.len - off : ONION_RELAY_FRAG_MAX;
        uint8_t ack[CGO_TAG_LEN];
        struct wr w;
        uint8_t *cell = onion_circuit_cell_open(&w, out);
        if (cell == NULL) {
            return;
        }
        cell[0] = onion_rule_class(type);
        wr_u8(&w, type);
        wr_u16(&w, (uint16_t)(ONION_RELAY_FRAG_HEAD + len));
        wr_u16(&w, (uint16_t)msg.len);
        wr_u16(&w, (uint16_t)off);
        wr_bytes(&w, msg.base + off, len);
        onion_circuit_cell_seal(c, cell, &w, ack, out);
        off += len;
    }
}

/*
 * A cell for what the streams of |c| have: of a burst in memory of its own, which the link keeps, or, where it is no
 * burst or memory is short, in the action list, from which the link copies it.
 */
static uint8_t *burst_cell(struct onion_circuit *c, uint32_t most, struct wr *w, struct acts *out)
{
    struct onion *o = c->o;
    uint8_t *cell = onion_run_take(o->run);

    if (cell == NULL) {
        uint32_t n = onion_mux_whole_cells(c->mux);

        burst_end(o);
        n = n < most ? n : most;
        n = n < ONION_RUN_CELLS ? n : ONION_RUN_CELLS;
        o->run = n < ONION_RUN_MIN ? NULL : onion_run_new(o->cfg.mem, n);
        if (o->run == NULL) {
            return onion_circuit_cell_open(w, out);
        }
        cell = onion_run_take(o->run);
    }
    cell_start(cell, w);
    return cell;
}

bool onion_circuit_pump(struct onion_circuit *c, struct acts *out)
{
    const struct onion_leg *leg = c->carrier != NULL        ? &c->carrier->next
                                  : c->role == ONION_CLIENT ? &c->next
                                                            : &c->prev;
    unsigned cells = 0;
    bool all = true;

    if (c->mux == NULL || c->phase == ONION_PH_CLOSING) {
        return true;
    }
    while (onion_mux_has_work(c->mux) && leg->queued < ONION_LEG_QUEUE_MAX) {
        uint8_t ack[CGO_TAG_LEN];
        struct wr w;
        if (cells == ONION_TURN_CELLS || !onion_has_room(c->o, out)) {
            all = false;
            break;
        }
        uint8_t *cell = burst_cell(c, ONION_TURN_CELLS - cells, &w, out);
        if (cell == NULL) {
            break;
        }
        bool counts = onion_mux_fill(c->mux, &w);
        onion_circuit_cell_seal(c, cell, &w, ack, out);
        if (counts) {
            onion_mux_sent(c->mux, ack);
        }
        cells++;
    }
    burst_end(c->o);
    if (cells > 0) {
        onion_circuit_touch(c);
        onion_mux_report_sent(c->mux, out);
        onion_mux_at(c->mux, c->o->now);
    }
    return all;
}

static qudag_err tally(struct onion_circuit *c, size_t hop, bool explained)
{
    c->o->stats.unexplained += explained ? 0 : 1;
    return onion_tally_cell(&c->hops.tally[hop], explained) ? QUDAG_OK : QUDAG_EPROTO;
}

qudag_err onion_circuit_says_nothing(struct onion_circuit *c, size_t hop)
{
    return tally(c, hop, false);
}

qudag_err onion_circuit_stream_messages(struct onion_circuit *c, size_t hop, struct slice payload,
                                        const uint8_t ack[CGO_TAG_LEN], struct acts *out)
{
    struct rd r = rd_init(payload);
    struct onion_relay_msg msg;
    uint64_t before = c->mux->unexplained;
    unsigned n = 0;
    bool counts = false;
    int more;

    onion_mux_at(c->mux, c->o->now);
    while ((more = onion_relay_msg_next(&r, &msg)) > 0) {
        n++;
        if (n > ONION_RELAY_MSGS_MAX) {
            return QUDAG_EPROTO;
        }
        counts = counts || onion_relay_type_is_stream(msg.type);
        qudag_err err = onion_mux_recv(c->mux, &msg, out);
        if (err != QUDAG_OK) {
            return err;
        }
    }
    if (more < 0) {
        return QUDAG_EMALFORMED;
    }
    onion_mux_at(c->mux, c->o->now);
    qudag_err err = tally(c, hop, c->mux->unexplained - before < n);
    return err == QUDAG_OK && counts ? onion_mux_received(c->mux, ack) : err;
}

/* ---- the end ---- */

static void leg_end(struct onion_leg *leg, qudag_err err, struct acts *out)
{
    bool creating = leg->c->phase == ONION_PH_ACCEPT;

    leg->opening = false;
    if (!leg_is_open(leg) || leg->fin_sent) {
        return;
    }
    if (!leg->destroyed && !leg->fin_received) {
        uint8_t *cell = onion_cell_take(out);
        if (cell != NULL) {
            memset(cell, 0, ONION_CELL_LEN);
            cell[0] = ONION_CELL_DESTROY;
            cell[1] = onion_rule_destroy(creating, err);
            onion_leg_put(leg, cell, out);
        }
    }
    acts_fin(out, leg->strm);
    leg->fin_sent = true;
    if (leg->unconsumed > 0) {
        acts_consume(out, leg->strm, (size_t)leg->unconsumed);
        leg->unconsumed = 0;
    }
}

/* Tells the client which hop broke, in a cell only it can read. */
static void send_truncated(struct onion_circuit *c, struct acts *out)
{
    uint8_t reason = onion_rule_truncated(c->phase != ONION_PH_RELAY), ack[CGO_TAG_LEN];
    struct wr w;
    uint8_t *cell = onion_circuit_cell_open(&w, out);

    if (cell != NULL) {
        onion_relay_msg_put(&w, ONION_RELAY_TRUNCATED, 0, (struct slice){&reason, 1});
        onion_circuit_cell_seal(c, cell, &w, ack, out);
    }
}

static void wipe_secrets(struct onion_circuit *c)
{
    onion_hops_fini(&c->hops);
    onion_assembly_fini(&c->from_prev);
    onion_assembly_fini(&c->from_next);
    onion_mux_free(c->mux);
    c->mux = NULL;
    if (c->client != NULL) {
        onion_hs_client_drop(&c->client->hs);
        mem_free_wiped(c->o->cfg.mem, c->client->plan);
        c->client->plan = NULL;
    }
}

/* The leg to the next hop failed: whether the circuit is to live on until its client may learn it. */
static bool told_later(struct onion_circuit *c, struct acts *out)
{
    bool onward = c->phase == ONION_PH_DIAL_NEXT || c->phase == ONION_PH_WAIT_NEXT;

    if (c->phase == ONION_PH_REFUSING) {
        return c->o->now < c->fails_at;
    }
    if (c->role == ONION_CLIENT || !onward || c->o->now >= c->fails_at) {
        return false;
    }
    if (!ref_none(c->next.strm)) {
        acts_reset(out, c->next.strm, QUDAG_ECLOSED);
    }
    onion_leg_detach(&c->next);
    c->next.opening = false;
    onion_assembly_fini(&c->from_prev);
    onion_assembly_fini(&c->from_next);
    onion_circuit_enter(c, ONION_PH_REFUSING);
    onion_onward_answered(c);
    return true;
}

void onion_circuit_fail(struct onion_circuit *c, qudag_err err, const struct onion_leg *from,
                        unsigned hop, struct acts *out)
{
    if (c->phase == ONION_PH_CLOSING || (from == &c->next && told_later(c, out))) {
        return;
    }
    if (from == &c->next && c->role != ONION_CLIENT && c->hops.n > 0 && leg_is_open(&c->prev)) {
        send_truncated(c, out);
    }
    onion_create_finished(c);
    leg_end(&c->prev, err, out);
    leg_end(&c->next, err, out);
    wipe_secrets(c);
    if (c->reported) {
        struct act *a = acts_up(out, ONION_UP_CLOSED);
        a->obj = c->ref;
        a->err = err;
        a->n = err_is_ours(err) ? 0 : hop;
    }
    onion_circuit_enter(c, ONION_PH_CLOSING);
    onion_onward_answered(c);
    onion_bound_end(c, err, out);
    onion_circuit_settle(c);
}

void onion_circuit_settle(struct onion_circuit *c)
{
    struct onion_leg *legs[] = {&c->prev, &c->next};

    if (c->phase != ONION_PH_CLOSING) {
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(legs); i++) {
        if (legs[i]->fin_sent && legs[i]->fin_received) {
            onion_leg_detach(legs[i]);
        }
    }
    if (!leg_is_open(&c->prev) && !leg_is_open(&c->next) && !list_linked(&c->dead)) {
        list_push_back(&c->o->dead, &c->dead);
    }
}

void onion_circuit_free(struct onion_circuit *c)
{
    struct onion *o = c->o;

    onion_bound_forget(c);
    onion_leg_detach(&c->prev);
    onion_leg_detach(&c->next);
    dyn_fini(&c->prev.in);
    dyn_fini(&c->next.in);
    wipe_secrets(c);
    onion_places_free(c);
    heap_del(&o->timers, &c->timer);
    list_del(&c->work);
    list_del(&c->dead);
    slots_del(&o->circuits, c->ref);
    mem_free_wiped(o->cfg.mem, c->client);
    mem_free_wiped(o->cfg.mem, c);
}
