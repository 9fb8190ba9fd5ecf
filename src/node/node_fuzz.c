/*
 * node_fuzz.c - bytes become requests, datagrams (made up, changed, repeated, lost) and time.
 *
 * Two nodes that know each other.  Properties: no crash, every request ends at most once and all of
 * them when the node does, the node comes to rest, all memory is given back.
 *
 * TEST: timeout=300
 */
#include "node/testkit_net.h"

#include "base/rd.h"

#define SIZE_MAX_USEFUL 256 /* a run with handshakes takes milliseconds; longer ones find no more */

static struct nt net;
static bool made;
static struct ref strm[16];
static uint32_t n_strm;

static void request(struct nt_node *t, struct rd *r)
{
    static const enum node_op_kind kinds[] = {
        NODE_OP_PING,          NODE_OP_CONNECT,      NODE_OP_PUT,          NODE_OP_GET,
        NODE_OP_CLOSEST,       NODE_OP_FIND_PEER,    NODE_OP_PROVIDE,      NODE_OP_PROVIDERS,
        NODE_OP_CIRCUIT,       NODE_OP_DARK_RESOLVE, NODE_OP_DARK_PUBLISH, NODE_OP_DARK_FORGET,
        NODE_OP_DARK_UNPUBLISH};
    uint8_t kind = rd_u8(r), len = rd_u8(r);
    struct node_request q = {.kind = kinds[kind % ARRAY_LEN(kinds)], .hops = len % 9};

    q.key = rd_bytes(r, len % 24);
    q.value = rd_bytes(r, len % 40);
    q.peer = net.node[len % 2].peer;
    q.dark.network = DARK_NET_LAB;
    q.dark.ed_pk[0] = len;
    multiaddr_quic(&q.addr, &net.node[kind % 3].addr, len & 1 ? &net.node[0].peer : NULL);
    if (t->n_asks < NT_ASKS) {
        (void)nt_ask(t, &q);
    }
}

static unsigned handed, released;

static void release(void *ctx, const uint8_t *base, size_t len)
{
    (void)ctx;
    (void)base;
    (void)len;
    released++;
    ASSERT(released <= handed);
}

static void hand_over(struct nt_node *t, struct ref s, size_t len)
{
    static const uint8_t bytes[200 * 256];
    struct node_owned b = {{bytes, len}, release, NULL};

    handed += node_stream_write_owned(t->node, s, &b) == QUDAG_OK ? 1 : 0;
}

static void lend(struct nt_node *t, struct ref s)
{
    struct slice piece[4];
    size_t n = ARRAY_LEN(piece);
    unsigned sum = 0;

    if (node_stream_lend(t->node, s) == QUDAG_OK &&
        node_stream_lent(t->node, s, piece, &n) == QUDAG_OK) {
        for (size_t i = 0; i < n; i++) {
            sum += (unsigned)piece[i].base[0] + piece[i].base[piece[i].len - 1]; /* is there */
        }
    }
    ASSERT(sum <= 2 * 255 * ARRAY_LEN(piece));
}

static void stream_call(struct nt_node *t, struct rd *r)
{
    uint8_t what = rd_u8(r), len = rd_u8(r);
    struct ref s = n_strm > 0 ? strm[len % n_strm] : (struct ref){len, 1};
    struct dark_addr dark = {.network = DARK_NET_LAB, .ed_pk = {len}};
    struct slice data = rd_bytes(r, len % 64);
    size_t taken;
    qudag_err err = QUDAG_EAGAIN;

    switch (what % 9) {
    case 0:
        err = node_stream_open_peer(t->node, &net.node[1 - t->ix].peer, "/echo", &s);
        break;
    case 1:
        err = nt_open_dark(t->node, &dark, "/echo", &s);
        break;
    case 2:
        (void)(node_stream_write(t->node, s, data, &taken) == QUDAG_OK);
        break;
    case 3:
        node_stream_fin(t->node, s);
        break;
    case 4:
        node_stream_reset(t->node, s, QUDAG_ECANCELED);
        break;
    case 5:
        node_stream_consume(t->node, s, len);
        break;
    case 6:
        hand_over(t, s, (size_t)len * 200);
        break;
    case 7:
        lend(t, s);
        break;
    default:
        if (t->n_asks > 0) {
            node_cancel(t->node, t->ask[len % t->n_asks].op);
        }
        break;
    }
    if (err == QUDAG_OK && n_strm < 16) {
        strm[n_strm++] = s;
    }
}

/* A packet under way is changed, doubled or lost; or one comes that nobody sent. */
static void interfere(struct rd *r)
{
    uint8_t what = rd_u8(r), at = rd_u8(r);
    struct slice junk = rd_bytes(r, at % 50);

    if (list_empty(&net.wire) || what % 4 == 0) {
        nt_inject(&net, &net.node[0].addr, &net.node[1].addr, junk.base, junk.len);
        return;
    }
    struct nt_pkt *p = LIST_ENTRY(net.wire.prev, struct nt_pkt, node);
    if (what % 4 == 1 && p->len > 0) {
        p->data[at % p->len] ^= (uint8_t)(what | 1);
    } else if (what % 4 == 2) {
        nt_inject(&net, &p->from, &p->to, p->data, p->len);
    } else {
        list_del(&p->node);
        free(p);
    }
}

static void begin(uint16_t fail_at)
{
    n_strm = 0;
    if (!made) { /* keys are costly: kept over all inputs */
        nt_init(&net);
        made = true;
    }
    net.now += 100000 * NS_PER_S;
    for (size_t i = 0; i < 2; i++) {
        struct node_config c = nt_config(&net, i);
        c.clock.at = net.now;
        if (i > 0) {
            nt_boot(&net, &c, 0);
        }
        net.node[i].n_asks = 0;
        net.node[i].echo = true;
        ASSERT(nt_make(&net, i, &c) == QUDAG_OK);
        ASSERT(node_serve(net.node[i].node, "/echo") == QUDAG_OK);
        node_start(net.node[i].node);
        net.node[i].mem.fail_at = fail_at;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rd r = rd_init((struct slice){data, size});

    if (size > SIZE_MAX_USEFUL) {
        return 0;
    }
    begin(rd_u16(&r));
    while (rd_ok(&r) && r.left > 0) {
        uint8_t what = rd_u8(&r);
        struct nt_node *t = &net.node[what & 1];
        switch (what >> 1 & 7) {
        case 0:
        case 1:
            request(t, &r);
            break;
        case 2:
        case 3:
            stream_call(t, &r);
            break;
        case 4:
            interfere(&r);
            break;
        default:
            (void)nt_run(&net, (uint64_t)(what >> 4) * 20 * NS_PER_MS, NULL);
            break;
        }
    }
    (void)nt_run(&net, (size & 3) * NS_PER_S, NULL);
    for (size_t i = 0; i < 2; i++) {
        net.node[i].mem.fail_at = 0;
        ASSERT(nt_free(&net, i) == 0);
        ASSERT(nt_all_ended(&net.node[i]));
    }
    ASSERT(handed == released);
    while (!list_empty(&net.wire)) {
        struct list *it = net.wire.next;
        list_del(it);
        free(LIST_ENTRY(it, struct nt_pkt, node));
    }
    return 0;
}
