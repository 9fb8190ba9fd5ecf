/*
 * pressure.c - streams of the program wait for room in the accounts of bytes, and never end for it.
 *
 *   a write ─ room? ─▶ reserved ─▶ ACT_WRITE ─▶ queued, sent, acknowledged ─▶ given back
 *               └ none ─▶ last of node.pressed                                    │
 *                           └──── first of those that fit: hooks.stream_writable ◀┘
 *
 * Up to three quarters of what a peer, a network and the node may have (ease) a stream takes what it likes.  Above, it
 * counts what is not acknowledged of its own: NODE_STREAM_STEP bytes or one buffer, and these only while the account
 * has them.  What is taken is reserved at once, so that no write that was accepted is refused later.
 */
#include "node/internal.h"
#include "swarm/room.h"

uint64_t node_rule_room(const struct node_pressure *p)
{
    uint64_t share = p->ease / ((uint64_t)p->waiting + 1);

    if (!p->turn) {
        return share < p->left ? share : p->left;
    }
    uint64_t step = p->held < NODE_STREAM_STEP ? NODE_STREAM_STEP - p->held : 0;
    uint64_t most =
        p->waiting > 0 && p->ease > NODE_STREAM_OWNED_MAX ? NODE_STREAM_OWNED_MAX : p->ease;
    most = most > share ? most : share;
    most = most > step ? most : step;
    return most < p->left ? most : p->left;
}

bool node_rule_whole(const struct node_pressure *p, size_t len)
{
    return len <= node_rule_room(p) || (p->turn && p->held == 0 && len <= p->left);
}

static struct node_pressure pressure_of(const struct node *n, const struct node_stream *a)
{
    struct swarm_stream_room room;

    swarm_stream_room(n->swarm, a->strm, a->queued, &room);
    return (struct node_pressure){.ease = room.ease,
                                  .left = room.left,
                                  .held = room.held,
                                  .waiting = n->pressed_n,
                                  .turn = a->turn || n->pressed_n == 0};
}

size_t node_stream_room(const struct node *n, const struct node_stream *a)
{
    struct node_pressure p = pressure_of(n, a);
    uint64_t room = node_rule_room(&p);

    return room < NODE_STREAM_QUEUE_MAX ? (size_t)room : NODE_STREAM_QUEUE_MAX;
}

bool node_stream_whole(const struct node *n, const struct node_stream *a, size_t len)
{
    struct node_pressure p = pressure_of(n, a);

    return node_rule_whole(&p, len);
}

bool node_stream_reserve(struct node *n, struct node_stream *a, size_t len)
{
    a->turn = false;
    return swarm_stream_reserve(n->swarm, a->strm, len) == QUDAG_OK;
}

void node_stream_unpress(struct node *n, struct node_stream *a)
{
    if (list_linked(&a->pressed)) {
        list_del(&a->pressed);
        n->pressed_n--;
    }
}

bool node_streams_pressed_due(const struct node *n)
{
    return n->pressed_n > 0 &&
           (n->pressed_look > 0 || n->pressed_seen != resources_returned(n->accounts));
}
