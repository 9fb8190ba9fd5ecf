/*
 * full_work.c - circuits: three hops to a random relay, and a stream that carries a pattern both ways.
 *
 *   begin ─ NODE_OP_CIRCUIT ─▶ built ─ stream ─▶ a piece now and then, until circuit_last ─ FIN ─▶ over
 *
 * Every byte of the pattern follows from the number of the circuit, the direction and the place, so a cell
 * lost, doubled or out of order shows.  The server learns number and length from the first 16 bytes.
 * A circuit is right when all came through.  One that ends with an error after a node of its path has gone
 * is counted as "left": it could not do otherwise, but must do so promptly.
 */
#include "sim/full_int.h"
#include "sim/world.h"

#include "base/assert.h"
#include "node/node.h"

#include <stdlib.h>
#include <string.h>

#define HEAD 16
#define PIECES 20 /* in which a pattern is sent */
#define PIECE_MAX 1024
#define CARRIES_MAX 512 /* at once */
#define CLIENT_TRIES 100
#define ENDS_WITHIN (10 * NS_PER_S) /* beyond the idle time of a link, once a relay is gone */
#define STUCK (120 * NS_PER_S)

uint8_t carry_byte(uint64_t id, unsigned way, uint64_t at)
{
    uint64_t z =
        (id * 2 + way) * UINT64_C(0x9e3779b97f4a7c15) + (at / 8) * UINT64_C(0xd1b54a32d192ed03);

    z = (z ^ (z >> 29)) * UINT64_C(0xbf58476d1ce4e5b9);
    return (uint8_t)(z >> (8 * (at % 8)));
}

static void put_u64(uint8_t *p, uint64_t v)
{
    for (unsigned i = 0; i < 8; i++) {
        p[i] = (uint8_t)(v >> (8 * i));
    }
}

static uint64_t get_u64(const uint8_t *p)
{
    uint64_t v = 0;

    for (unsigned i = 8; i-- > 0;) {
        v = v << 8 | p[i];
    }
    return v;
}

/* Sends the pattern up to |due|, as far as the node takes it. */
static void send_pattern(struct full_node *fn, struct ref strm, uint64_t id, unsigned way,
                         uint64_t *sent, uint64_t due)
{
    uint8_t piece[PIECE_MAX];
    size_t taken = 1;

    while (*sent < due && taken > 0) {
        size_t n = due - *sent < sizeof(piece) ? (size_t)(due - *sent) : sizeof(piece);
        for (size_t i = 0; i < n; i++) {
            piece[i] = carry_byte(id, way, *sent + i);
        }
        if (node_stream_write(fn->node, strm, (struct slice){piece, n}, &taken) != QUDAG_OK) {
            return;
        }
        *sent += taken;
    }
}

static bool pattern_fits(struct slice data, uint64_t id, unsigned way, uint64_t at)
{
    for (size_t i = 0; i < data.len; i++) {
        if (data.base[i] != carry_byte(id, way, at + i)) {
            return false;
        }
    }
    return true;
}

/* ---- the client ---- */

static bool pick_client(struct full *f, uint32_t *client)
{
    for (unsigned i = 0; i < CLIENT_TRIES; i++) {
        uint32_t c = full_draw(f, f->cap);
        if (f->node[c].node != NULL && f->node[c].ready && !f->node[c].alone) {
            *client = c;
            return true;
        }
    }
    return false;
}

static size_t carry_slot(struct full *f)
{
    for (size_t i = 0; i < f->carries; i++) {
        if (!f->carry[i].used) {
            return i;
        }
    }
    if (f->carries == CARRIES_MAX) {
        return CARRIES_MAX;
    }
    if (f->carry == NULL) {
        f->carry = sim_alloc(CARRIES_MAX, sizeof(*f->carry));
    }
    return f->carries++;
}

void carry_begin(struct full *f)
{
    struct node_request r = {.kind = NODE_OP_CIRCUIT, .hops = 3};
    uint32_t client;
    size_t ix = carry_slot(f);

    if (ix == CARRIES_MAX || !pick_client(f, &client)) {
        return;
    }
    struct full_carry *c = &f->carry[ix];
    *c = (struct full_carry){.used = true,
                             .client = client,
                             .id = ++f->carry_ids,
                             .phase = full_phase(f),
                             .began = full_now(f),
                             .heard = full_now(f)};
    struct sim_outcome *o = full_outcome(f, c->phase);
    if (o != NULL) {
        o->asked++;
    }
    if (node_request(f->node[client].node, &r, &c->op) != QUDAG_OK) {
        if (o != NULL) {
            o->other++;
        }
        c->used = false;
    }
    full_apply(f, client);
}

static void count(struct sim_outcome *o, const struct full_carry *c, qudag_err err)
{
    if (err == QUDAG_OK) {
        o->right++;
        o->hops += c->hops;
        full_sample(o, c->first - c->began);
    } else if (c->hit || err == QUDAG_ECANCELED) {
        o->left++;
    } else if (err == QUDAG_ETIMEOUT) {
        o->late++;
    } else if (err == QUDAG_EUNREACHABLE || err == QUDAG_ECIRCUIT || err == QUDAG_ENORELAYS) {
        o->unreachable++;
    } else {
        o->other++;
    }
}

static void carry_over(struct full *f, struct full_carry *c, qudag_err err)
{
    struct sim_outcome *o = full_outcome(f, c->phase);
    struct full_node *fn = &f->node[c->client];

    if (o != NULL) {
        count(o, c, err);
    }
    c->used = false;
    if (c->built && fn->node != NULL) {
        qudag_err closed = node_circuit_close(fn->node, c->circuit);
        ASSERT(closed == QUDAG_OK || closed == QUDAG_ESTALE); /* stale: it closed by itself */
    }
}

static struct full_carry *carry_of(struct full_node *fn, struct ref r, bool by_op)
{
    struct full *f = fn->full;

    for (size_t i = 0; i < f->carries; i++) {
        struct full_carry *c = &f->carry[i];
        if (c->used && c->client == fn->ix && ref_eq(by_op ? c->op : c->strm, r)) {
            return c;
        }
    }
    return NULL;
}

static void learn_path(struct full_node *fn, struct full_carry *c)
{
    struct onion_info info;

    if (onion_info_get(node_onion(fn->node), c->circuit, &info) != QUDAG_OK) {
        return;
    }
    c->hops = info.hops;
    for (size_t i = 0; i < info.hops && i < FULL_PATH_MAX; i++) {
        c->path[i] = full_by_id(fn->full, &info.path[i]);
        if (c->path[i] == FULL_NONE && !c->hit) { /* it has gone already */
            c->hit = true;
            c->hit_at = full_now(fn->full);
        }
    }
}

void carry_op_done(struct full_node *fn, struct ref op, qudag_err err, struct ref circuit)
{
    struct full *f = fn->full;
    struct full_carry *c = carry_of(fn, op, true);

    if (c == NULL) {
        if (err != QUDAG_ECANCELED) { /* else its node leaves, and carry_left() has counted it */
            full_fail(f, fn->ix, "an answer without a request");
        }
        return;
    }
    c->op = (struct ref){0, 0};
    if (err != QUDAG_OK) {
        carry_over(f, c, err);
        return;
    }
    c->built = true;
    c->circuit = circuit;
    learn_path(fn, c);
    err = node_stream_open_circuit(fn->node, circuit, FULL_ECHO, &c->strm);
    if (err != QUDAG_OK) {
        carry_over(f, c, err);
    }
}

static void client_send(struct full_node *fn, struct full_carry *c)
{
    uint8_t head[HEAD];
    size_t taken = 0;

    if (c->sent == 0) {
        put_u64(head, c->id);
        put_u64(head + 8, fn->full->sc->circuit_size);
        if (node_stream_write(fn->node, c->strm, (struct slice){head, sizeof(head)}, &taken) !=
                QUDAG_OK ||
            taken == 0) {
            return;
        }
        ASSERT(taken == sizeof(head));
        c->sent = HEAD;
    }
    uint64_t sent = c->sent - HEAD;
    send_pattern(fn, c->strm, c->id, 0, &sent, c->due);
    c->sent = sent + HEAD;
    if (sent == fn->full->sc->circuit_size) {
        node_stream_fin(fn->node, c->strm);
    }
}

static void step(struct full *f, struct full_carry *c)
{
    uint64_t size = f->sc->circuit_size, piece = size / PIECES + 1;

    c->due = c->due + piece < size ? c->due + piece : size;
    if (c->due < size) {
        full_wake(f, (size_t)(c - f->carry), f->sc->circuit_last / PIECES);
    }
    client_send(&f->node[c->client], c);
}

void carry_step(struct full *f, size_t ix)
{
    struct full_carry *c = &f->carry[ix];

    if (c->used && !ref_none(c->strm)) {
        uint32_t client = c->client;
        step(f, c);
        full_apply(f, client);
    }
}

static void client_data(struct full_node *fn, struct full_carry *c, struct slice data, bool fin)
{
    struct full *f = fn->full;

    c->heard = full_now(f);
    if (!pattern_fits(data, c->id, 1, c->got) || c->got + data.len > f->sc->circuit_size) {
        full_fail(f, fn->ix, "a cell was lost, duplicated or reordered on its way to the client");
    }
    if (c->first == 0 && data.len > 0) {
        c->first = full_now(f);
    }
    c->got += data.len;
    c->over = c->over || fin;
}

/* ---- the server ---- */

static struct full_served *served_of(struct full_node *fn, struct ref strm)
{
    for (size_t i = 0; i < fn->serveds; i++) {
        if (ref_eq(fn->served[i].strm, strm)) {
            return &fn->served[i];
        }
    }
    return NULL;
}

void carry_stream_in(struct full_node *fn, struct ref strm)
{
    if (fn->serveds == fn->serveds_cap) {
        fn->serveds_cap = fn->serveds_cap == 0 ? 16 : fn->serveds_cap * 2;
        fn->served = sim_grow(fn->served, fn->serveds_cap, sizeof(*fn->served));
    }
    fn->served[fn->serveds++] = (struct full_served){.strm = strm};
}

static void server_send(struct full_node *fn, struct full_served *v)
{
    uint64_t due = v->got > HEAD ? v->got - HEAD : 0;

    send_pattern(fn, v->strm, v->id, 1, &v->sent, due);
    if (v->fin_in && v->sent == due && !v->fin_out) {
        v->fin_out = true;
        node_stream_fin(fn->node, v->strm);
    }
}

static void server_data(struct full_node *fn, struct full_served *v, struct slice data, bool fin)
{
    while (data.len > 0 && v->got < HEAD) {
        v->head[v->got++] = *data.base++;
        data.len--;
        v->id = get_u64(v->head);
        v->size = get_u64(v->head + 8);
    }
    if (data.len > 0) {
        if (!pattern_fits(data, v->id, 0, v->got - HEAD)) {
            full_fail(fn->full, fn->ix,
                      "a cell was lost, duplicated or reordered on its way to the end");
        }
        v->got += data.len;
    }
    v->fin_in = v->fin_in || fin;
    if (fin && v->got != v->size + HEAD) {
        full_fail(fn->full, fn->ix,
                  "a truncated stream over a circuit ended as if it were complete");
    }
    server_send(fn, v);
}

/* ---- events of streams ---- */

void carry_data(struct full_node *fn, struct ref strm, struct slice data, bool fin)
{
    struct full_carry *c = carry_of(fn, strm, false);
    struct full_served *v = served_of(fn, strm);

    node_stream_consume(fn->node, strm, data.len);
    if (c != NULL) {
        client_data(fn, c, data, fin);
    } else if (v != NULL) {
        server_data(fn, v, data, fin);
    }
}

void carry_opened(struct full_node *fn, struct ref strm)
{
    struct full_carry *c = carry_of(fn, strm, false);

    if (c != NULL) {
        step(fn->full, c);
    }
}

void carry_writable(struct full_node *fn, struct ref strm)
{
    struct full_carry *c = carry_of(fn, strm, false);
    struct full_served *v = served_of(fn, strm);

    if (c != NULL) {
        client_send(fn, c);
    } else if (v != NULL) {
        server_send(fn, v);
    }
}

void carry_closed(struct full_node *fn, struct ref strm, qudag_err why)
{
    struct full_carry *c = carry_of(fn, strm, false);
    struct full_served *v = served_of(fn, strm);

    if (v != NULL) {
        *v = fn->served[--fn->serveds];
        return;
    }
    if (c == NULL) {
        return;
    }
    c->strm = (struct ref){0, 0};
    if (why == QUDAG_OK && (!c->over || c->got != fn->full->sc->circuit_size)) {
        full_fail(fn->full, fn->ix,
                  "a truncated stream over a circuit ended as if it were complete");
    }
    carry_over(fn->full, c, why);
}

void carry_circuit_closed(struct full_node *fn, struct ref circuit, qudag_err why)
{
    struct full *f = fn->full;

    for (size_t i = 0; i < f->carries; i++) {
        struct full_carry *c = &f->carry[i];
        if (c->used && c->built && c->client == fn->ix && ref_eq(c->circuit, circuit)) {
            c->why = why; /* its stream ends as well, and that counts */
        }
    }
}

/* ---- nodes that go ---- */

void carry_left(struct full *f, uint32_t node)
{
    for (size_t i = 0; i < f->carries; i++) {
        struct full_carry *c = &f->carry[i];
        if (!c->used) {
            continue;
        }
        if (c->client == node) {
            struct sim_outcome *o = full_outcome(f, c->phase);
            if (o != NULL) {
                o->left++;
            }
            c->used = false;
            continue;
        }
        for (size_t h = 0; h < c->hops && !c->hit; h++) {
            if (c->path[h] == node) {
                c->hit = true;
                c->hit_at = full_now(f);
            }
        }
    }
}

void carry_check(struct full *f)
{
    tstamp now = full_now(f);

    for (size_t i = 0; i < f->carries; i++) {
        struct full_carry *c = &f->carry[i];
        if (c->used) {
            full_check_path(f, c);
        }
        if (c->used && c->hit && now - c->hit_at > f->sc->idle + ENDS_WITHIN) {
            full_fail(f, c->client, "a circuit outlived one of its relays");
            c->hit_at = now;
        }
        if (c->used && now - c->heard > STUCK + f->sc->circuit_last) {
            full_fail(f, c->client, "a circuit neither makes progress nor ends");
            c->heard = now;
        }
    }
}

void carry_fini(struct full *f)
{
    free(f->carry);
    f->carry = NULL;
    f->carries = 0;
}
