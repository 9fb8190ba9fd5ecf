/*
 * lent.c - received bytes that stay in our memory until the program has consumed them.
 *
 *   EV_DATA ─▶ a piece: where the transport has them, or a copy ─▶ node_stream_lent() ... node_stream_consume()
 *
 * Where they are is kept as long as it pays (node_rule_lend()): a block of the transport holds bytes of many streams,
 * and small pieces would need more memory for themselves than for their bytes.  The peer gets no credit for what is
 * lent, so its windows bound the bytes; the rule bounds what else stays because of them.
 */
#include "node/internal.h"

#include <string.h>

#define COPY_MIN 1024 /* bytes of a copy's memory, for small pieces that follow one another */

bool node_rule_lend(size_t held, size_t size, size_t len)
{
    return len >= NODE_LENT_MIN && held <= NODE_LENT_HELD_MAX && size <= NODE_LENT_HELD_MAX - held;
}

struct node_piece {
    struct list at;
    struct slice data;
    struct buf *keep;   /* NULL: in |copy| */
    size_t counted;     /* in stream.lent_held: bytes of |keep|, of which this is the first piece */
    size_t cap, filled; /* bytes of |copy| */
    uint8_t copy[];
};

static struct node_piece *last_of(const struct node_stream *a)
{
    return list_empty(&a->lent) ? NULL : LIST_ENTRY(a->lent.prev, struct node_piece, at);
}

/* Behind the last piece, where |data| follows it in the same memory. */
static bool extends_last(struct node_stream *a, struct slice data, const struct buf *keep)
{
    struct node_piece *last = last_of(a);

    if (last == NULL || last->keep != keep || last->data.base + last->data.len != data.base) {
        return false;
    }
    last->data.len += data.len;
    a->lent_len += data.len;
    return true;
}

static struct node_piece *add_piece(struct node *n, struct node_stream *a, size_t cap)
{
    struct node_piece *p = mem_alloc(n->mem, sizeof(*p) + cap);

    if (p != NULL) {
        p->cap = cap;
        list_push_back(&a->lent, &p->at);
    }
    return p;
}

static bool add_kept(struct node *n, struct node_stream *a, struct slice data, struct buf *keep)
{
    const struct node_piece *last = last_of(a);
    bool counted = last != NULL && last->keep == keep;
    struct node_piece *p = add_piece(n, a, 0);

    if (p == NULL) {
        return false;
    }
    p->data = data;
    p->keep = buf_ref(keep);
    p->counted = counted ? 0 : keep->size;
    a->lent_held += p->counted;
    a->lent_len += data.len;
    return true;
}

static void copy_to(struct node_stream *a, struct node_piece *p, struct slice data)
{
    if (p->data.len == 0) {
        p->data.base = p->copy;
    }
    memcpy(p->copy + p->filled, data.base, data.len);
    p->filled += data.len;
    p->data.len += data.len;
    a->lent_len += data.len;
}

static bool add_copy(struct node *n, struct node_stream *a, struct slice data)
{
    struct node_piece *p = last_of(a);
    size_t room = p == NULL || p->keep != NULL ? 0 : p->cap - p->filled;
    size_t first = data.len < room ? data.len : room, rest = data.len - first;

    if (first > 0) {
        copy_to(a, p, (struct slice){data.base, first});
    }
    if (rest > 0) {
        p = add_piece(n, a, rest < COPY_MIN ? COPY_MIN : rest);
        if (p == NULL) {
            return false;
        }
        copy_to(a, p, (struct slice){data.base + first, rest});
    }
    return true;
}

bool node_lent_add(struct node *n, struct node_stream *a, struct slice data, struct buf *keep)
{
    if (data.len == 0 || (keep != NULL && extends_last(a, data, keep))) {
        return true;
    }
    if (keep != NULL && node_rule_lend(a->lent_held, keep->size, data.len)) {
        return add_kept(n, a, data, keep);
    }
    return add_copy(n, a, data);
}

/* The first piece is done with; one of the same block behind it is the first of that now. */
static void drop_first(struct node *n, struct node_stream *a)
{
    struct node_piece *p = LIST_ENTRY(a->lent.next, struct node_piece, at);

    list_del(&p->at);
    if (p->counted > 0 && !list_empty(&a->lent)) {
        struct node_piece *next = LIST_ENTRY(a->lent.next, struct node_piece, at);
        if (next->keep == p->keep) {
            next->counted = p->counted;
            p->counted = 0;
        }
    }
    a->lent_held -= p->counted;
    buf_drop(p->keep);
    mem_free_wiped(n->mem, p);
}

size_t node_lent_consume(struct node *n, struct node_stream *a, size_t len)
{
    size_t done = 0;

    while (done < len && !list_empty(&a->lent)) {
        struct node_piece *p = LIST_ENTRY(a->lent.next, struct node_piece, at);
        size_t part = p->data.len < len - done ? p->data.len : len - done;

        p->data.base += part;
        p->data.len -= part;
        done += part;
        if (p->data.len == 0) {
            drop_first(n, a);
        }
    }
    a->lent_len -= done;
    return done;
}

void node_lent_free(struct node *n, struct list *lent)
{
    while (!list_empty(lent)) {
        struct node_piece *p = LIST_ENTRY(lent->next, struct node_piece, at);

        list_del(&p->at);
        buf_drop(p->keep);
        mem_free_wiped(n->mem, p);
    }
}

qudag_err node_stream_lend(struct node *n, struct ref s)
{
    struct node_stream *a = slots_get(&n->strmtab, s);

    if (a == NULL) {
        return QUDAG_ESTALE;
    }
    a->lends = true;
    return QUDAG_OK;
}

qudag_err node_stream_lent(struct node *n, struct ref s, struct slice *piece, size_t *count)
{
    struct node_stream *a = slots_get(&n->strmtab, s);
    size_t most = *count;

    *count = 0;
    if (a == NULL) {
        return QUDAG_ESTALE;
    }
    if (!a->lends) {
        return QUDAG_ESTATE;
    }
    LIST_EACH(it, &a->lent)
    {
        if (*count == most) {
            break;
        }
        piece[(*count)++] = LIST_ENTRY(it, struct node_piece, at)->data;
    }
    return QUDAG_OK;
}
