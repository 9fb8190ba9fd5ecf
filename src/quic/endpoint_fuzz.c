/*
 * endpoint_fuzz.c - two endpoints; the bytes are a program of what the network and the owners do.
 *
 * Properties: no crash, no leak, every announced link ends exactly once, all memory comes back.
 */
#include "base/assert.h"
#include "quic/testkit_net.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct prog {
    const uint8_t *p;
    size_t left;
};

static uint8_t next(struct prog *g)
{
    if (g->left == 0) {
        return 0;
    }
    g->left--;
    return *g->p++;
}

static struct tk_pkt *first_pkt(struct tk *tk)
{
    return list_empty(&tk->wire) ? NULL : LIST_ENTRY(tk->wire.next, struct tk_pkt, node);
}

static void harm(struct tk *tk, struct prog *g)
{
    struct tk_pkt *p = first_pkt(tk);
    size_t at;

    if (p == NULL) {
        return;
    }
    switch (next(g) & 3) {
    case 0:
        list_del(&p->node);
        free(p);
        break;
    case 1:
        at = (size_t)next(g) << 2;
        if (at < p->len) {
            p->data[at] ^= next(g);
        }
        break;
    case 2:
        at = ((size_t)next(g) << 3) | 7;
        p->len = at < p->len ? at : p->len;
        break;
    default:
        tk_inject(tk, &p->from, &p->to, p->data, p->len);
        break;
    }
}

static void invent(struct tk *tk, struct prog *g)
{
    struct netaddr from = {.family = 4, .ip = {10, 7, 7, next(g)}, .port = 99};
    size_t len = next(g);
    uint8_t buf[1300] = {0};
    bool pad = (next(g) & 1) != 0;

    for (size_t i = 0; i < len; i++) {
        buf[i] = next(g);
    }
    tk_inject(tk, (len & 1) != 0 ? &tk->ep[0].addr : &from, &tk->ep[1].addr, buf,
              pad ? sizeof buf : len);
}

static void act(struct tk *tk, struct prog *g)
{
    static const uint8_t bytes[3000];
    struct tk_ep *ep = &tk->ep[next(g) & 1];
    int64_t sid = next(g) & 31;

    switch (next(g) & 7) {
    case 0:
        (void)quic_link_ops.open(ep->q, ep->link, sid == 0 ? 1 : (uint64_t)sid, NULL, &sid);
        (void)quic_link_ops.write(ep->q, ep->link, sid, (struct slice){bytes, 10});
        break;
    case 1:
        (void)quic_link_ops.write(ep->q, ep->link, sid, (struct slice){bytes, sizeof bytes});
        break;
    case 2:
        quic_link_ops.fin(ep->q, ep->link, sid);
        break;
    case 3:
        quic_link_ops.reset(ep->q, ep->link, sid, QUDAG_ECANCELED);
        break;
    case 4:
        quic_link_ops.consume(ep->q, ep->link, sid, next(g));
        break;
    case 5:
        quic_link_ops.close(ep->q, ep->link, QUDAG_OK);
        break;
    case 6:
        ep->mem.fail_at = next(g);
        break;
    default:
        quic_shutdown(ep->q, tk->now);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tk tk;
    const struct tk_opt opt = {.pq = PQ_OFF};
    struct prog g = {data, size};
    unsigned dials = 0;
    struct ref link;

    tk_init(&tk);
    ASSERT(tk_make(&tk, 0, &opt) && tk_make(&tk, 1, &opt));
    for (unsigned steps = 0; g.left > 0 && steps < 400; steps++) {
        switch (next(&g) % 6) {
        case 0:
            dials += dials < 3 && tk_dial(&tk, 0, 1, NULL, &link) == QUDAG_OK ? 1 : 0;
            break;
        case 1:
            tk_settle(&tk);
            harm(&tk, &g);
            break;
        case 2:
            invent(&tk, &g);
            break;
        case 3:
            act(&tk, &g);
            break;
        case 4:
            (void)tk_run(&tk, next(&g) * NS_PER_MS, NULL);
            break;
        default:
            (void)tk_run(&tk, next(&g) * NS_PER_S, NULL);
            break;
        }
    }
    tk.ep[0].mem.fail_at = tk.ep[1].mem.fail_at = 0;
    quic_shutdown(tk.ep[0].q, tk.now);
    quic_shutdown(tk.ep[1].q, tk.now);
    (void)tk_run(&tk, 60 * NS_PER_S, NULL);
    ASSERT(tk.ep[0].downs == dials);
    ASSERT(tk.ep[1].downs == tk.ep[1].ups);
    ASSERT(tk_unmake(&tk, 0) == 0);
    ASSERT(tk_unmake(&tk, 1) == 0);
    tk_fini(&tk);
    return 0;
}
