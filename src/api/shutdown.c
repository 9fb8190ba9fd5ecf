/* shutdown.c - the orderly end of a node. */
#include "api/internal.h"
#include "node/ending.h"

API_NO_TAIL(qudag_shutdown, left);

static void look(const qudag_node *n, qudag_shutdown *out)
{
    struct node_running r;
    uint64_t left;
    enum node_end_state state = node_end_get(n->node, &r, &left, io_now());

    *out = (qudag_shutdown){.size = sizeof(*out),
                            .begun = state != NODE_RUNS,
                            .ended = state == NODE_ENDED,
                            .requests = r.requests,
                            .streams = r.streams,
                            .left = left};
}

static void on_ended(void *ctx, const struct node_running *cut)
{
    struct qudag_node *n = ctx;
    qudag_shutdown s;
    (void)cut;

    look(n, &s);
    if (n->cb.shut_down != NULL) {
        n->in_callback++;
        n->cb.shut_down(n, &s, n->user);
        n->in_callback--;
    }
}

qudag_err qudag_node_shutdown(qudag_node *n, qudag_ns within)
{
    if (n == NULL) {
        return QUDAG_EINVAL;
    }
    node_end_begin(n->node, within, on_ended, n, io_now());
    return QUDAG_OK;
}

bool qudag_node_shutdown_state(const qudag_node *n, qudag_shutdown *out)
{
    qudag_shutdown full;

    if (n == NULL || out == NULL) {
        return false;
    }
    look(n, &full);
    return api_sized_out(out, &full, sizeof(full));
}
