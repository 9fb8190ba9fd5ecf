/*
 * leg.c - streams below a circuit, the cells on them, and how a circuit ends.
 *
 * Back-pressure at a relay: what is read from one leg is written to the other; while the other's
 * queue is above LEG_CHOKE_AT the bytes read are owed, not consumed, so the sender's stream window
 * closes.  Queue and window together bound what a circuit can hold.
 */
#include "core/onion/circuit.h"

#include "base/assert.h"
#include "base/wipe.h"
#include "core/onion/emit.h"

#include <string.h>

bool onion_has_room(const struct onion *o, const struct acts *out)
{
    return out->n < o->acts_end && out->bytes_n < o->bytes_end;
}

void circuit_wants_turn(struct circuit *c)
{
    if (!list_linked(&c->work)) {
        list_push_back(&c->o->work, &c->work);
    }
}

static tstamp circuit_deadline(const struct circuit *c)
{
    switch (c->phase) {
    case PH_DIAL:
    case PH_CREATE:
    case PH_EXTEND:
        return tstamp_after(c->since, ONION_BUILD_TIMEOUT);
    case PH_ACCEPT:
        return tstamp_after(c->since, ONION_CREATE_TIMEOUT);
    case PH_DIAL_NEXT:
    case PH_WAIT_NEXT:
        return tstamp_after(c->phase_at, ONION_EXTEND_TIMEOUT);
    case PH_CLOSING:
        return tstamp_after(c->phase_at, ONION_CLOSE_TIMEOUT);
    case PH_READY:
    case PH_END:
    case PH_RELAY:
        break;
    }
    return tstamp_after(c->active_at, ONION_IDLE_LIFE);
}

void circuit_arm(struct circuit *c)
{
    /* The node is in the heap since circuit_new(), so that setting it anew needs no memory. */
    qudag_err err = heap_set(&c->o->timers, &c->timer, circuit_deadline(c));
    ASSERT(err == QUDAG_OK);
}

void circuit_touch(struct circuit *c)
{
    c->active_at = c->o->now; /* the timer notices when it fires */
}

void circuit_enter(struct circuit *c, enum phase phase)
{
    c->phase = phase;
    c->phase_at = c->o->now;
    c->active_at = c->o->now;
    circuit_arm(c);
}

/* ---- legs ---- */

static struct slice ref_key(const struct ref *r)
{
    return (struct slice){(const uint8_t *)r, sizeof *r};
}

static bool leg_is_open(const struct leg *leg)
{
    return !ref_none(leg->strm);
}

static struct leg *leg_other(struct leg *leg)
{
    return leg == &leg->c->prev ? &leg->c->next : &leg->c->prev;
}

qudag_err leg_attach(struct leg *leg, struct ref strm)
{
    qudag_err err = map_put(&leg->c->o->legs, ref_key(&strm), leg);

    if (err == QUDAG_OK) {
        leg->strm = strm;
    }
    return err;
}

void leg_detach(struct leg *leg)
{
    if (leg_is_open(leg)) {
        map_del(&leg->c->o->legs, ref_key(&leg->strm));
        leg->strm = (struct ref){0, 0};
    }
    leg->queued = 0;
    leg->owed = 0;
}

void leg_put(struct leg *leg, uint8_t *cell, struct acts *out)
{
    cell_put(out, cell, leg->strm, leg->c->o->mine);
    leg->queued += ONION_CELL_LEN;
}

void leg_send_message(struct leg *leg, uint8_t class, struct slice msg, struct acts *out)
{
    for (size_t off = 0; off < msg.len;) {
        size_t len = msg.len - off < CLEAR_FRAG_MAX ? msg.len - off : CLEAR_FRAG_MAX;
        uint8_t *cell = cell_take(out);
        if (cell == NULL) {
            return;
        }
        struct wr w = wr_init(cell, ONION_CELL_LEN);
        wr_u8(&w, class);
        wr_u16(&w, (uint16_t)msg.len);
        wr_u16(&w, (uint16_t)off);
        wr_bytes(&w, msg.base + off, len);
        wr_zero(&w, ONION_CELL_LEN - w.len);
        leg_put(leg, cell, out);
        off += len;
    }
}

static void leg_pay(struct leg *leg, struct acts *out)
{
    const struct leg *other = leg_other(leg);

    if (leg->choking && other->queued <= LEG_FREE_AT) {
        leg->choking = false;
    } else if (!leg->choking && other->queued > LEG_CHOKE_AT) {
        leg->choking = true;
    }
    if (!leg->choking && leg->owed > 0 && leg_is_open(leg)) {
        acts_consume(out, leg->strm, (size_t)leg->owed);
        leg->owed = 0;
    }
}

void leg_received(struct leg *leg, size_t len, struct acts *out)
{
    leg->owed += len;
    if (leg->c->phase == PH_RELAY) {
        leg_pay(leg, out);
    } else if (leg_is_open(leg) && leg->owed > 0) {
        acts_consume(out, leg->strm, (size_t)leg->owed);
        leg->owed = 0;
    }
}

void leg_left(struct leg *leg, uint64_t n, struct acts *out)
{
    struct leg *other = leg_other(leg);

    leg->queued -= n < leg->queued ? n : leg->queued;
    if (leg->c->phase == PH_RELAY && leg_is_open(other)) {
        leg_pay(other, out);
    }
}

void leg_dial(struct leg *leg, const struct multiaddr *addrs, size_t n, struct acts *out)
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
}

/* ---- relay cells of our own ---- */

uint8_t *circuit_cell_open(struct wr *w, struct acts *out)
{
    uint8_t *cell = cell_take(out);

    if (cell != NULL) {
        cell[0] = CELL_RELAY;
        *w = wr_init(cell + 1 + CGO_TAG_LEN, RELAY_PAYLOAD);
    }
    return cell;
}

void circuit_cell_seal(struct circuit *c, uint8_t *cell, const struct wr *w,
                       uint8_t ack[CGO_TAG_LEN], struct acts *out)
{
    ASSERT(wr_ok(w));
    memset(w->p + w->len, 0, w->cap - w->len);
    if (c->role == ONION_CLIENT) {
        cgo_client_originate(c->hops.fwd, c->hops.n, CELL_RELAY, cell + 1, ack);
        c->cells_fwd++;
        leg_put(&c->next, cell, out);
    } else {
        cgo_relay_originate(c->hops.back, CELL_RELAY, cell + 1, ack);
        c->cells_back++;
        leg_put(&c->prev, cell, out);
    }
    c->o->stats.cells_originated++;
}

void circuit_send_fragments(struct circuit *c, uint8_t type, struct slice msg, struct acts *out)
{
    const size_t piece_max = RELAY_PAYLOAD - RELAY_HEAD - RELAY_FRAG_HEAD;

    for (size_t off = 0; off < msg.len;) {
        size_t len = msg.len - off < piece_max ? msg.len - off : piece_max;
        uint8_t ack[CGO_TAG_LEN];
        struct wr w;
        uint8_t *cell = circuit_cell_open(&w, out);
        if (cell == NULL) {
            return;
        }
        wr_u8(&w, type);
        wr_u16(&w, (uint16_t)(RELAY_FRAG_HEAD + len));
        wr_u16(&w, (uint16_t)msg.len);
        wr_u16(&w, (uint16_t)off);
        wr_bytes(&w, msg.base + off, len);
        circuit_cell_seal(c, cell, &w, ack, out);
        off += len;
    }
}

bool circuit_pump(struct circuit *c, struct acts *out)
{
    const struct leg *leg = c->role == ONION_CLIENT ? &c->next : &c->prev;
    unsigned cells = 0;
    bool all = true;

    if (c->mux == NULL || c->phase == PH_CLOSING) {
        return true;
    }
    while (mux_has_work(c->mux) && leg->queued < LEG_QUEUE_MAX) {
        uint8_t ack[CGO_TAG_LEN];
        struct wr w;
        if (cells == TURN_CELLS || !onion_has_room(c->o, out)) {
            all = false;
            break;
        }
        uint8_t *cell = circuit_cell_open(&w, out);
        if (cell == NULL) {
            break;
        }
        bool counts = mux_fill(c->mux, &w);
        circuit_cell_seal(c, cell, &w, ack, out);
        if (counts) {
            mux_sent(c->mux, ack);
        }
        cells++;
    }
    if (cells > 0) {
        circuit_touch(c);
        mux_report_sent(c->mux, out);
    }
    return all;
}

qudag_err circuit_stream_messages(struct circuit *c, struct slice payload,
                                  const uint8_t ack[CGO_TAG_LEN], struct acts *out)
{
    struct rd r = rd_init(payload);
    struct relay_msg msg;
    unsigned n = 0;
    bool counts = false;
    int more;

    while ((more = relay_msg_next(&r, &msg)) > 0) {
        n++;
        if (n > RELAY_MSGS_MAX) {
            return QUDAG_EPROTO;
        }
        counts = counts || relay_type_is_stream(msg.type);
        qudag_err err = mux_recv(c->mux, &msg, out);
        if (err != QUDAG_OK) {
            return err;
        }
    }
    if (more < 0) {
        return QUDAG_EMALFORMED;
    }
    return counts ? mux_received(c->mux, ack) : QUDAG_OK;
}

/* ---- the end ---- */

static void leg_end(struct leg *leg, qudag_err err, struct acts *out)
{
    leg->opening = false;
    if (!leg_is_open(leg) || leg->fin_sent) {
        return;
    }
    if (!leg->destroyed && !leg->fin_received) {
        uint8_t *cell = cell_take(out);
        if (cell != NULL) {
            memset(cell, 0, ONION_CELL_LEN);
            cell[0] = CELL_DESTROY;
            cell[1] = reason_of(err);
            leg_put(leg, cell, out);
        }
    }
    acts_fin(out, leg->strm);
    leg->fin_sent = true;
    if (leg->owed > 0) {
        acts_consume(out, leg->strm, (size_t)leg->owed);
        leg->owed = 0;
    }
}

/* Tells the client which hop broke, in a cell only it can read. */
static void send_truncated(struct circuit *c, qudag_err err, struct acts *out)
{
    uint8_t reason = reason_of(err), ack[CGO_TAG_LEN];
    struct wr w;
    uint8_t *cell = circuit_cell_open(&w, out);

    if (cell != NULL) {
        relay_msg_put(&w, RELAY_TRUNCATED, 0, (struct slice){&reason, 1});
        circuit_cell_seal(c, cell, &w, ack, out);
    }
}

static void wipe_secrets(struct circuit *c)
{
    hops_fini(&c->hops);
    assembly_fini(&c->from_prev);
    assembly_fini(&c->from_next);
    mux_free(c->mux);
    c->mux = NULL;
    if (c->client != NULL) {
        hs_client_drop(&c->client->hs);
        mem_free(c->o->cfg.mem, c->client->plan);
        c->client->plan = NULL;
    }
}

void circuit_fail(struct circuit *c, qudag_err err, const struct leg *from, unsigned hop,
                  struct acts *out)
{
    if (c->phase == PH_CLOSING) {
        return;
    }
    if (from == &c->next && c->role != ONION_CLIENT && c->hops.n > 0 && leg_is_open(&c->prev)) {
        send_truncated(c, err, out);
    }
    relay_finished_create(c);
    leg_end(&c->prev, err, out);
    leg_end(&c->next, err, out);
    wipe_secrets(c);
    if (c->told) {
        struct act *a = acts_up(out, ONION_UP_CLOSED);
        a->obj = c->ref;
        a->err = err;
        a->n = hop;
    }
    circuit_enter(c, PH_CLOSING);
    circuit_settle(c);
}

void circuit_settle(struct circuit *c)
{
    struct leg *legs[] = {&c->prev, &c->next};

    if (c->phase != PH_CLOSING) {
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(legs); i++) {
        if (legs[i]->fin_sent && legs[i]->fin_received) {
            leg_detach(legs[i]);
        }
    }
    if (!leg_is_open(&c->prev) && !leg_is_open(&c->next) && !list_linked(&c->dead)) {
        list_push_back(&c->o->dead, &c->dead);
    }
}

void circuit_free(struct circuit *c)
{
    struct onion *o = c->o;

    relay_finished_create(c);
    leg_detach(&c->prev);
    leg_detach(&c->next);
    dyn_fini(&c->prev.in);
    dyn_fini(&c->next.in);
    wipe_secrets(c);
    if (c->nb != NULL) {
        c->nb->circuits--;
        if (c->nb->circuits == 0) {
            c->nb->used = o->now;
            list_push_back(&o->idle, &c->nb->idle);
        }
    }
    heap_del(&o->timers, &c->timer);
    list_del(&c->work);
    list_del(&c->dead);
    slots_del(&o->circuits, c->ref);
    mem_free(o->cfg.mem, c->client);
    mem_free_wiped(o->cfg.mem, c);
}
