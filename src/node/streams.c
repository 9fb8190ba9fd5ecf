/*
 * streams.c - streams of the program: a core like any other, whose protocol is the program.
 *
 *   opened by us:  to a peer or circuit ─ ACT_OPEN ─▶ opened ─▶ data ... ─▶ closed
 *                  to a dark address: first a circuit (arrow_streams_dark.c), then as above
 *   by a peer:     EV_STREAM_OPEN inbound ─▶ hooks.stream_in
 *
 * Hooks run while the swarm hands over an event; what the program does in them is queued.
 */
#include "node/internal.h"

#include "swarm/moves.h"

#include <string.h>

#define LOOKED_AT 64 /* of the streams that wait for room, at once */

static struct node_stream *get(struct node *n, struct ref s)
{
    return slots_get(&n->strmtab, s);
}

static struct node_stream *new_stream(struct node *n)
{
    struct node_stream *a = mem_alloc(n->mem, sizeof(*a));

    if (a == NULL) {
        return NULL;
    }
    list_init(&a->wait);
    list_init(&a->todo);
    list_init(&a->pressed);
    list_init(&a->early_owned);
    list_init(&a->lent);
    dyn_init(&a->early, n->mem, NODE_STREAM_EARLY_MAX);
    if (slots_add(&n->strmtab, a, &a->ref) != QUDAG_OK) {
        mem_free(n->mem, a);
        return NULL;
    }
    return a;
}

static struct slice strm_key(const struct ref *strm)
{
    return (struct slice){(const uint8_t *)strm, sizeof(*strm)};
}

/* |a| is in no table any more. */
static void forget(struct node *n, struct node_stream *a)
{
    n->unsure -= a->unsure ? 1 : 0;
    dyn_fini(&a->early);
    node_stream_drop_owned(a);
    node_lent_free(n, &a->lent);
    mem_free(n->mem, a);
}

void node_stream_free(struct node *n, struct node_stream *a)
{
    list_del(&a->wait);
    list_del(&a->todo);
    node_stream_unpress(n, a);
    map_del(&n->strm_map, strm_key(&a->strm));
    slots_del(&n->strmtab, a->ref);
    forget(n, a);
}

/* The stream is over; the program is notified once, and may ask for its user pointer a last time. */
void node_stream_closed(struct node *n, struct node_stream *a, qudag_err why)
{
    struct ref ref = a->ref;
    struct list lent; /* until the program knows */

    list_init(&lent);
    list_move(&lent, &a->lent);
    n->ended = ref;
    n->ended_user = a->user;
    n->ended_owner = a->owner;
    node_stream_free(n, a);
    if (n->hooks.stream_closed != NULL) {
        n->hooks_called++;
        n->hooks.stream_closed(n->hooks.ctx, ref, why);
    }
    node_lent_free(n, &lent);
    n->ended = (struct ref){0, 0};
}

/* Closes all in |from|, and none that the program opens meanwhile. */
void node_streams_close_list(struct node *n, struct list *from, qudag_err why)
{
    struct list batch;

    list_init(&batch);
    while (!list_empty(from)) {
        struct list *it = from->next;
        list_del(it);
        list_push_back(&batch, it);
    }
    while (!list_empty(&batch)) {
        node_stream_closed(n, LIST_ENTRY(batch.next, struct node_stream, wait), why);
    }
}

/* What the program asks for outside of a drain, or in a hook, waits for room here. */
static void todo(struct node *n, struct node_stream *a)
{
    if (!list_linked(&a->todo)) {
        list_push_back(&n->todo, &a->todo);
    }
}

void node_streams_free(struct node *n)
{
    for (uint32_t i = 0; i < n->strmtab.high; i++) {
        struct node_stream *a = slots_at(&n->strmtab, i);
        if (a != NULL) {
            node_stream_closed(n, a, QUDAG_ECANCELED);
        }
    }
    while (!list_empty(&n->todo)) { /* what is left was reset by the program */
        struct node_stream *a = LIST_ENTRY(n->todo.next, struct node_stream, todo);
        list_del(&a->todo);
        forget(n, a);
    }
}

static struct node_stream *by_strm(struct node *n, struct ref strm)
{
    return map_get(&n->strm_map, strm_key(&strm));
}

void node_stream_open_now(struct node *n, struct node_stream *a, struct ref circuit)
{
    list_del(&a->wait);
    a->on = circuit;
    a->via = NULL;
    a->open_due = true;
    todo(n, a);
}

void node_streams_cancel_opens(struct node *n, struct ref circuit)
{
    for (uint32_t i = 0; i < n->strmtab.high; i++) {
        struct node_stream *a = slots_at(&n->strmtab, i);
        if (a != NULL && !a->opened && ref_eq(a->on, circuit)) {
            a->canceled = true;
        }
    }
}

static void on_end(struct node *n, struct node_stream *a)
{
    if (a->fin_in && a->fin_done && a->lent_len == 0) {
        node_stream_closed(n, a, QUDAG_OK);
    }
}

static void flush_dropped(struct node *n, struct node_stream *a)
{
    struct acts *out = node_begin(n);

    if (a->opened) {
        acts_reset(out, a->strm, a->why);
    }
    node_end(n, n->ix.streams);
    forget(n, a);
}

static bool has_early(const struct node_stream *a)
{
    return a->early.len > 0 || !list_empty(&a->early_owned);
}

/* Whether |a| has room for what it waits for. */
static bool eased(const struct node *n, const struct node_stream *a)
{
    if (a->early.len > 0) {
        return node_stream_room(n, a) > 0;
    }
    if (!list_empty(&a->early_owned)) {
        return node_stream_whole(n, a, node_stream_early_first(a));
    }
    return node_stream_whole(n, a, a->wanted);
}

/* |a| waits for room, behind all others that do. */
static void press(struct node *n, struct node_stream *a)
{
    if (list_linked(&a->pressed)) {
        return;
    }
    list_push_back(&n->pressed, &a->pressed);
    n->pressed_n++;
    a->turn = true;
    if (eased(n, a)) { /* only the others before it are in its way: they have their turn */
        n->pressed_look = n->pressed_n;
    }
    a->turn = false;
}

/* What was written before |a| was open, as far as there is room. */
static void flush_early(struct node *n, struct node_stream *a)
{
    if (a->early.len > 0) {
        size_t room = node_stream_room(n, a), len = a->early.len < room ? a->early.len : room;
        if (len > 0 && node_stream_reserve(n, a, len)) {
            acts_write(node_begin(n), a->strm, a->early.p, len);
            node_end(n, n->ix.streams);
            a->queued += (uint32_t)len;
            dyn_drop(&a->early, len);
        }
    }
    if (a->early.len == 0) {
        node_stream_flush_owned(n, a);
    }
    if (has_early(a)) {
        press(n, a);
    }
}

static void tell_writable(struct node *n, struct node_stream *a)
{
    if (!eased(n, a)) {
        press(n, a);
        return;
    }
    a->want_writable = false;
    if (n->hooks.stream_writable != NULL) {
        n->hooks_called++;
        n->hooks.stream_writable(n->hooks.ctx, a->ref);
    }
}

/* Does what |a| waits for, as far as there is room. */
static void flush_one(struct node *n, struct node_stream *a)
{
    struct acts *out = node_begin(n);

    if (a->open_due) {
        acts_open(out, &a->to, ref_to_u64(a->ref), 0)->obj = a->on;
        a->open_due = false;
    }
    node_end(n, n->ix.streams);
    if (a->opened && has_early(a)) {
        flush_early(n, a);
    }
    bool over = a->opened && !has_early(a);
    bool writable = a->want_writable && over && !a->fin_out && !a->unsure &&
                    node_rule_writable(a->queued, NODE_STREAM_QUEUE_MAX);
    out = node_begin(n);
    if (a->credit > 0 && a->opened) {
        acts_consume(out, a->strm, a->credit);
        a->credit = 0;
    }
    if (over && a->fin_out && !a->fin_done) {
        acts_fin(out, a->strm);
        a->fin_done = true;
    }
    node_end(n, n->ix.streams);
    if (writable) {
        tell_writable(n, a);
    } else {
        on_end(n, a);
    }
}

void node_streams_ease(struct node *n)
{
    uint64_t returned = resources_returned(n->accounts);

    if (n->pressed_seen != returned) {
        n->pressed_seen = returned;
        n->pressed_look = n->pressed_n;
    }
    for (unsigned i = 0; i < LOOKED_AT && n->pressed_look > 0 && node_acts_room(&n->acts); i++) {
        if (list_empty(&n->pressed)) {
            n->pressed_look = 0;
            return;
        }
        struct node_stream *a = LIST_ENTRY(n->pressed.next, struct node_stream, pressed);
        struct ref ref = a->ref;
        n->pressed_look--;
        list_del(&a->pressed);
        a->turn = true;
        if (!eased(n, a)) {
            a->turn = false;
            list_push_back(&n->pressed, &a->pressed);
            continue;
        }
        n->pressed_n--;
        flush_one(n, a);
        if ((a = slots_get(&n->strmtab, ref)) != NULL) {
            a->turn = false;
        }
    }
}

void node_streams_flush(struct node *n)
{
    struct list batch;

    list_init(&batch);
    while (!list_empty(&n->todo)) {
        struct list *it = n->todo.next;
        list_del(it);
        list_push_back(&batch, it);
    }
    while (!list_empty(&batch) && node_acts_room(&n->acts)) {
        struct list *it = batch.next;
        list_del(it);
        struct node_stream *a = LIST_ENTRY(it, struct node_stream, todo);
        if (a->dropped) {
            flush_dropped(n, a);
        } else {
            flush_one(n, a);
        }
    }
    while (!list_empty(&batch)) { /* no room: they stay first in line */
        struct list *it = batch.prev;
        list_del(it);
        list_push_front(&n->todo, it);
    }
}

static void tell_opened(struct node *n, struct node_stream *a)
{
    if (n->hooks.stream_opened != NULL) {
        n->hooks_called++;
        n->hooks.stream_opened(n->hooks.ctx, a->ref);
    }
}

static bool is_linked(const struct node *n, const struct peer_id *peer)
{
    uint8_t props;

    return swarm_connected(n->swarm, peer, &props);
}

/* The peer has taken the link: its streams are open, as everything else says as well. */
static void on_up(struct node *n, const struct peer_id *peer)
{
    for (uint32_t i = 0; n->unsure > 0 && i < n->strmtab.high; i++) {
        struct node_stream *a = slots_at(&n->strmtab, i);
        if (a != NULL && a->unsure && peer_id_eq(&a->to, peer)) {
            n->unsure--;
            a->unsure = false;
            todo(n, a); /* it may be writable */
            tell_opened(n, a);
        }
    }
}

static void on_open(struct node *n, const struct ev *ev)
{
    struct node_stream *a = ev->inbound ? new_stream(n) : get(n, ref_from_u64(ev->cookie));

    if (a == NULL) { /* no memory, or given up meanwhile */
        acts_reset(&n->acts, ev->strm, QUDAG_ECANCELED);
        return;
    }
    a->strm = ev->strm;
    if (map_put(&n->strm_map, strm_key(&a->strm), a) != QUDAG_OK) {
        acts_reset(&n->acts, ev->strm, QUDAG_ENOMEM);
        node_end(n, n->ix.streams);
        if (ev->inbound) {
            node_stream_free(n, a); /* the program never heard of it */
        } else {
            node_stream_closed(n, a, QUDAG_ENOMEM);
        }
        return;
    }
    a->opened = true;
    if (!ev->inbound) {
        todo(n, a); /* what was asked for before there was a stream */
        if ((ev->props & LINK_RELAYED) != 0 && !is_linked(n, &a->to)) {
            a->unsure = true;
            n->unsure++;
        } else {
            tell_opened(n, a);
        }
        return;
    }
    a->proto = ev->proto;
    a->inbound = true;
    if ((ev->props & LINK_RELAYED) != 0) {
        node_meet_stream_in(n);
    }
    char text[DARK_TEXT_MAX];
    const char *dark = NULL;
    struct swarm_stream_info info;
    bool anon = (ev->props & LINK_ANON) != 0;
    if (anon && swarm_stream_info(n->swarm, ev->strm, &info) == QUDAG_OK) {
        struct onion_info oi;
        if (onion_info_get(n->onion, info.link, &oi) == QUDAG_OK) {
            dark = node_keys_tag_text(n, oi.tag, text);
        }
    }
    if (n->hooks.stream_in != NULL) {
        n->hooks_called++;
        n->hooks.stream_in(n->hooks.ctx, a->ref, anon ? NULL : ev->peer, dark, ev->proto);
    }
}

static void on_fail(struct node *n, const struct ev *ev)
{
    struct node_stream *a = get(n, ref_from_u64(ev->cookie));

    if (a != NULL && !a->opened) {
        node_stream_closed(n, a, a->canceled ? QUDAG_ECANCELED : ev->err);
    }
}

static void stream_event(void *core, const struct ev *ev, tstamp now, struct acts *out)
{
    struct node *n = core;
    struct node_stream *a;

    (void)now; /* |out| is node.acts, to which hooks may add */
    switch (ev->type) {
    case EV_STREAM_OPEN:
        on_open(n, ev);
        return;
    case EV_STREAM_FAIL:
        on_fail(n, ev);
        return;
    case EV_PEER_UP:
        on_up(n, ev->peer);
        return;
    case EV_PEER_DOWN: /* its streams were reset one by one before */
        return;
    case EV_DATA:
    case EV_WRITABLE:
    case EV_FIN:
    case EV_RESET:
        break;
    }
    a = by_strm(n, ev->strm);
    if (a == NULL) {
        return;
    }
    if (ev->type == EV_DATA) {
        if (a->lends && !node_lent_add(n, a, ev->data, ev->keep)) {
            acts_reset(out, ev->strm, QUDAG_ENOMEM);
            node_end(n, n->ix.streams);
            node_stream_closed(n, a, QUDAG_ENOMEM);
            return;
        }
        if (n->hooks.stream_data != NULL) {
            n->hooks_called++;
            n->hooks.stream_data(n->hooks.ctx, a->ref, ev->data, false);
        }
    } else if (ev->type == EV_FIN) {
        struct ref ref = a->ref;
        a->fin_in = true;
        if (n->hooks.stream_data != NULL) {
            n->hooks_called++;
            n->hooks.stream_data(n->hooks.ctx, ref, (struct slice){NULL, 0}, true);
        }
        if ((a = get(n, ref)) != NULL) {
            on_end(n, a);
        }
    } else if (ev->type == EV_RESET) {
        node_stream_closed(n, a, ev->err);
    } else {
        a->queued -= ev->n < a->queued ? (uint32_t)ev->n : a->queued;
        if (a->want_writable) {
            todo(n, a);
        }
    }
}

static const char *open_proto(struct node *n, const struct act *open)
{
    const struct node_stream *a = get(n, ref_from_u64(open->cookie));

    return a != NULL ? a->proto : NULL;
}

qudag_err node_streams_init(struct node *n)
{
    static const struct core_ops ops = {
        .manual_credit = true, .early_relayed = true, .chooses = true, .event = stream_event};
    struct node_core core = {.name = "streams",
                             .instance = n,
                             .ops = &ops,
                             .open_proto = open_proto,
                             .holds = node_find_holds};

    return node_core_add(n, &core, NULL, &n->ix.streams);
}

qudag_err node_serve_dark(struct node *n, const char *proto)
{
    return swarm_proto_add_anonymous(n->swarm, proto, n->core[n->ix.streams].swarm_ix);
}

qudag_err node_serve(struct node *n, const char *proto)
{
    qudag_err err = swarm_proto_add(n->swarm, proto, n->core[n->ix.streams].swarm_ix, false);

    if (err == QUDAG_OK) {
        n->serves_peers = true;
        node_wants_review(n);
    }
    return err;
}

qudag_err node_stream_prepare(struct node *n, const char *proto, struct node_stream **out)
{
    const char *name = swarm_proto_intern(n->swarm, proto);

    if (name == NULL) {
        return QUDAG_EINVAL;
    }
    if (n->closing || n->ending.state != NODE_RUNS) {
        return QUDAG_ESTATE;
    }
    *out = new_stream(n);
    if (*out == NULL) {
        return QUDAG_ELIMIT;
    }
    (*out)->proto = name;
    return QUDAG_OK;
}

qudag_err node_stream_open_peer(struct node *n, const struct peer_id *to, const char *proto,
                                struct ref *out)
{
    struct node_stream *a;
    qudag_err err = node_stream_prepare(n, proto, &a);

    if (err == QUDAG_OK) {
        a->to = *to;
        *out = a->ref;
        node_meets_name(n, to);
        node_stream_open_now(n, a, a->on);
    }
    return err;
}

/* How many bytes |a| takes now: while it is being opened, and until those are sent, into |early|. */
static size_t room_for(const struct node *n, const struct node_stream *a, bool early)
{
    if (early) { /* not in front of what was handed over */
        return list_empty(&a->early_owned) ? NODE_STREAM_EARLY_MAX - a->early.len : 0;
    }
    if (!node_acts_room(&n->acts)) {
        return 0;
    }
    size_t most = NODE_STREAM_QUEUE_MAX, account = node_stream_room(n, a);
    size_t room = a->queued < most ? most - a->queued : 0;
    size_t left = n->acts.bytes_cap - n->acts.bytes_n;
    left = left > ACTS_BYTES_ROOM ? left - ACTS_BYTES_ROOM : 0;
    room = room < account ? room : account;
    return room < left ? room : left;
}

static void copy_gone(struct buf *b)
{
    mem_free_wiped(mem_owner(b), b);
}

/* The one copy is what the link keeps; little, or all without memory for it, is copied from the action list again. */
static void write_copy(struct node *n, const struct node_stream *a, struct slice data)
{
    struct buf *b =
        data.len < NODE_STREAM_COPY_MIN ? NULL : mem_alloc(n->mem, sizeof(*b) + data.len);

    if (b == NULL) {
        acts_write(node_begin(n), a->strm, data.base, data.len);
    } else {
        uint8_t *copy = (uint8_t *)b + sizeof(*b);
        buf_init(b, copy_gone);
        memcpy(copy, data.base, data.len);
        (void)acts_write_kept(node_begin(n), a->strm, (struct slice){copy, data.len}, b);
        buf_drop(b);
    }
    node_end(n, n->ix.streams);
}

qudag_err node_stream_write(struct node *n, struct ref s, struct slice data, size_t *taken)
{
    struct node_stream *a = get(n, s);

    *taken = 0;
    if (a == NULL) {
        return QUDAG_ESTALE;
    }
    if (a->fin_out) {
        return QUDAG_ESTATE;
    }
    bool early = !a->opened || has_early(a);
    size_t room = room_for(n, a, early), wanted = data.len;
    data.len = wanted < room ? wanted : room;
    if (early && data.len > 0) {
        qudag_err err = dyn_append(&a->early, data.base, data.len);
        if (err != QUDAG_OK) {
            return err;
        }
    } else if (data.len > 0 && node_stream_reserve(n, a, data.len)) {
        write_copy(n, a, data);
        a->queued += (uint32_t)data.len;
    } else {
        data.len = 0;
    }
    *taken = data.len;
    if (data.len < wanted) {
        size_t rest = wanted - data.len;
        node_stream_want_writable(n, a, rest < NODE_STREAM_STEP ? rest : NODE_STREAM_STEP);
        return data.len == 0 ? QUDAG_EAGAIN : QUDAG_OK;
    }
    return QUDAG_OK;
}

void node_stream_consume(struct node *n, struct ref s, size_t len)
{
    struct node_stream *a = get(n, s);

    if (a != NULL && a->lends) {
        len = node_lent_consume(n, a, len);
    }
    if (a != NULL && len > 0) {
        a->credit += len < SIZE_MAX - a->credit ? len : SIZE_MAX - a->credit;
        todo(n, a);
    }
}

void node_stream_fin(struct node *n, struct ref s)
{
    struct node_stream *a = get(n, s);

    if (a != NULL && !a->fin_out) {
        a->fin_out = true;
        todo(n, a);
    }
}

/* The name is void at once; what is left waits for the drain. */
void node_stream_reset(struct node *n, struct ref s, qudag_err why)
{
    struct node_stream *a = get(n, s);

    if (a != NULL) {
        list_del(&a->wait);
        node_stream_unpress(n, a);
        map_del(&n->strm_map, strm_key(&a->strm));
        slots_del(&n->strmtab, a->ref);
        a->dropped = true;
        a->why = why;
        todo(n, a);
    }
}

bool node_stream_set_user(struct node *n, struct ref s, void *user)
{
    struct node_stream *a = get(n, s);

    if (a != NULL) {
        a->user = user;
    }
    return a != NULL;
}

void *node_stream_user(struct node *n, struct ref s)
{
    const struct node_stream *a = get(n, s);

    if (a != NULL) {
        return a->user;
    }
    return !ref_none(s) && ref_eq(n->ended, s) ? n->ended_user : NULL;
}

bool node_stream_set_owner(struct node *n, struct ref s, void *owner)
{
    struct node_stream *a = get(n, s);

    if (a != NULL) {
        a->owner = owner;
    }
    return a != NULL;
}

void *node_stream_owner(struct node *n, struct ref s)
{
    const struct node_stream *a = get(n, s);

    if (a != NULL) {
        return a->owner;
    }
    return !ref_none(s) && ref_eq(n->ended, s) ? n->ended_owner : NULL;
}

qudag_err node_stream_info_get(struct node *n, struct ref s, struct node_stream_info *out)
{
    const struct node_stream *a = get(n, s);

    memset(out, 0, sizeof(*out));
    if (a == NULL) {
        return QUDAG_ESTALE;
    }
    out->open = a->opened && !a->unsure;
    out->user = a->user;
    out->proto = a->proto;
    out->queued = a->queued + (uint32_t)a->early.len + a->early_owned_len;
    out->handed = a->handed;
    out->lent = a->lent_len;
    out->circuit = a->on;
    out->peer = a->to;
    if (a->via != NULL) {
        out->circuit = a->via->onion;
    }
    if (a->opened) {
        struct swarm_stream_info info;
        qudag_err err = swarm_stream_info(n->swarm, a->strm, &info);
        if (err != QUDAG_OK) {
            memset(out, 0, sizeof(*out));
            return err;
        }
        out->props = info.props;
        out->relay = info.relay;
        out->inbound = a->inbound;
        out->peer = info.peer;
        if ((info.props & LINK_ANON) != 0) {
            out->circuit = info.link;
            out->peer = (struct peer_id){.len = 0};
        }
    }
    return QUDAG_OK;
}

bool node_stream_moves(struct node *n, struct ref s)
{
    const struct node_stream *a = get(n, s);

    return a != NULL && a->opened && swarm_stream_moves(n->swarm, a->strm, n->now);
}
