/*
 * buffers.c - bytes that the program hands over instead of having them copied.
 *
 *   write_owned ─▶ early (until the stream is open) ─▶ ACT_WRITE, kept ─▶ queue of the link, or of the circuit
 *                      └─────── nobody holds it any more ─▶ node.released ─▶ hooks.released
 *
 * The last holder may let go deep inside of the transport, where the program must not be called: what is free waits in
 * node.released for the drain.
 */
#include "node/internal.h"

struct node_buf {
    struct buf buf;
    struct list at; /* in stream.early_owned, then in node.released */
    struct node *n;
    struct ref stream;
    struct node_owned owned;
};

static void gone(struct buf *b)
{
    struct node_buf *nb = LIST_ENTRY(b, struct node_buf, buf);
    struct node_stream *a = slots_get(&nb->n->strmtab, nb->stream);

    if (a != NULL) {
        a->handed -= (uint32_t)nb->owned.data.len;
    }
    list_push_back(&nb->n->released, &nb->at);
}

bool node_rule_fits(size_t used, size_t more, size_t max)
{
    return used <= max && more <= max - used;
}

bool node_rule_writable(size_t queued, size_t most)
{
    return queued <= most / 2;
}

bool node_rule_takes_whole(size_t queued, size_t len, size_t most)
{
    return node_rule_fits(queued, len, most) || node_rule_writable(queued, most);
}

void node_stream_want_writable(struct node *n, struct node_stream *a, size_t wanted)
{
    a->want_writable = true;
    a->wanted = wanted;
    if (!list_linked(&a->todo)) {
        list_push_back(&n->todo, &a->todo);
    }
}

static bool fits(const struct node *n, const struct node_stream *a, size_t len)
{
    if (a->opened && a->early.len == 0 && list_empty(&a->early_owned)) {
        return node_acts_room(&n->acts) &&
               node_rule_takes_whole(a->queued, len, NODE_STREAM_QUEUE_MAX) &&
               node_stream_whole(n, a, len);
    }
    return a->early_owned_n < NODE_STREAM_OWNED_EARLY &&
           node_rule_fits(a->early_owned_len, len, NODE_STREAM_OWNED_MAX);
}

static void write_now(struct node *n, struct node_stream *a, struct node_buf *b)
{
    if (node_stream_reserve(n, a, b->owned.data.len) &&
        acts_write_kept(node_begin(n), a->strm, b->owned.data, &b->buf)) {
        a->queued += (uint32_t)b->owned.data.len;
    }
    node_end(n, n->ix.streams);
    buf_drop(&b->buf);
}

static qudag_err checked(const struct node_stream *a, size_t len)
{
    if (a == NULL) {
        return QUDAG_ESTALE;
    }
    if (a->fin_out) {
        return QUDAG_ESTATE;
    }
    if (len == 0) {
        return QUDAG_EINVAL;
    }
    return len > NODE_STREAM_OWNED_MAX ? QUDAG_ETOOBIG : QUDAG_OK;
}

qudag_err node_stream_write_owned(struct node *n, struct ref s, const struct node_owned *what)
{
    struct node_stream *a = slots_get(&n->strmtab, s);
    qudag_err err = checked(a, what->data.len);

    if (err != QUDAG_OK) {
        return err;
    }
    if (!fits(n, a, what->data.len)) {
        node_stream_want_writable(n, a, what->data.len);
        return QUDAG_EAGAIN;
    }
    struct node_buf *b = mem_alloc(n->mem, sizeof(*b));
    if (b == NULL) {
        return QUDAG_ENOMEM;
    }
    buf_init(&b->buf, gone);
    b->n = n;
    b->stream = s;
    b->owned = *what;
    a->handed += (uint32_t)what->data.len;
    list_init(&b->at);
    if (a->opened && a->early.len == 0 && list_empty(&a->early_owned)) {
        write_now(n, a, b);
        return QUDAG_OK;
    }
    list_push_back(&a->early_owned, &b->at);
    a->early_owned_len += (uint32_t)what->data.len;
    a->early_owned_n++;
    return QUDAG_OK;
}

/* The first of those that wait for |a| to be opened; it waits no more.  NULL: none. */
static struct node_buf *take_early(struct node_stream *a)
{
    if (list_empty(&a->early_owned)) {
        return NULL;
    }
    struct node_buf *b = LIST_ENTRY(a->early_owned.next, struct node_buf, at);
    list_del(&b->at);
    a->early_owned_len -= (uint32_t)b->owned.data.len;
    a->early_owned_n--;
    return b;
}

size_t node_stream_early_first(const struct node_stream *a)
{
    return LIST_ENTRY(a->early_owned.next, struct node_buf, at)->owned.data.len;
}

void node_stream_flush_owned(struct node *n, struct node_stream *a)
{
    while (!list_empty(&a->early_owned) && node_acts_room(&n->acts) &&
           node_stream_whole(n, a, node_stream_early_first(a))) {
        write_now(n, a, take_early(a));
    }
}

void node_stream_drop_owned(struct node_stream *a)
{
    for (struct node_buf *b = take_early(a); b != NULL; b = take_early(a)) {
        buf_drop(&b->buf);
    }
}

void node_buffers_flush(struct node *n)
{
    while (!list_empty(&n->released)) {
        struct node_buf *b = LIST_ENTRY(n->released.next, struct node_buf, at);
        struct node_owned owned = b->owned;

        list_del(&b->at);
        mem_free(n->mem, b);
        if (n->hooks.released != NULL) {
            n->hooks_called++;
            n->hooks.released(n->hooks.ctx, &owned);
        }
    }
}

void node_buffers_free(struct node *n)
{
    acts_let_go(&n->acts);
    if (n->onion != NULL) {
        onion_let_go(n->onion);
    }
    if (n->quic != NULL) {
        quic_let_go(n->quic);
    }
    node_buffers_flush(n);
}
