/* hostile_testkit_net.h - the nodes of hostile_testkit.h: begun, joined, ended. */
#ifndef QUDAG_TESTS_APP_HOSTILE_TESTKIT_NET_H
#define QUDAG_TESTS_APP_HOSTILE_TESTKIT_NET_H

#include "hostile_testkit.h"

/* ------------------------------------------------------------------ the network */

static struct {
    unsigned n;
    qudag_inbox_item last;
} heard; /* what arrived */

static inline void on_arrived(qudag_node *n, const qudag_inbox_item *item, void *user)
{
    assert_ptr_equal(n, d->node);
    assert_ptr_equal(user, &heard);
    heard.n++;
    heard.last = *item;
}

static inline void open_inbox(void)
{
    qudag_inbox_options o = QUDAG_INIT(qudag_inbox_options);
    char in[80], why[QUDAG_INBOX_WHY_MAX];
    (void)snprintf(in, sizeof(in), "%s/inbox", dir);
    o.dir = in;
    o.arrived = on_arrived;
    o.user = &heard;
    if (qudag_inbox_open(d->node, &o, why, sizeof(why)) != QUDAG_OK) {
        fail_msg("%s", why);
    }
    d->recv = receive_of(d->node);
}

static inline void start_node(uintptr_t ix)
{
    static const char *const listen[] = {"/ip4/127.0.0.1/udp/0/quic-v1"};
    static const qudag_callbacks calls = {.size = sizeof(calls),
                                          .stream_in = on_in,
                                          .stream_data = on_data,
                                          .stream_opened = on_writable,
                                          .stream_writable = on_writable,
                                          .stream_closed = on_closed,
                                          .op_done = on_op,
                                          .phase = on_phase};
    const char *boot[] = {first_addr};
    qudag_settings s;
    assert_int_equal(qudag_identity_generate(&net[ix].id), QUDAG_OK);
    QUDAG_SETTINGS_INIT(&s);
    s.identity = net[ix].id;
    s.listen = listen;
    s.listen_n = 1;
    s.bootstrap = boot;
    s.bootstrap_n = ix == 0 ? 0 : 1;
    s.hops = 3;
    s.relays_min = 4;
    s.relay = true;
    s.dht_server = true;
    s.lab = true;
    s.uv_loop = &d->loop;
    char why[400] = "";
    if (qudag_node_check(&s, why, sizeof(why)) != QUDAG_OK) {
        fail_msg("%s", why);
    }
    assert_int_equal(qudag_node_new(&net[ix].node, &s, &calls, (void *)ix), QUDAG_OK);
    if (ix == 0) {
        d->node = net[0].node;
    }
    if (ix == 0) {
        open_inbox();
    } else if (ix < NODES - 1) { /* the last is free to have an inbox */
        assert_int_equal(qudag_protocol_serve_dark(net[ix].node, TRANSFER_PROTO), QUDAG_OK);
    }
    assert_int_equal(qudag_node_start(net[ix].node), QUDAG_OK);
    if (ix == 0) {
        size_t it = 0;
        char addr[QUDAG_ADDR_TEXT_MAX];
        assert_true(qudag_node_addr_next(net[0].node, &it, addr));
        (void)snprintf(first_addr, sizeof(first_addr), "%s", addr);
    }
}

static inline void publish(size_t ix, char addr[QUDAG_DARK_TEXT_MAX])
{
    qudag_op op;
    assert_int_equal(qudag_dark_create(net[ix].node, "post", addr), QUDAG_OK);
    net[ix].op_err = QUDAG_EAGAIN;
    for (unsigned nth = 0; nth < 80 && net[ix].op_err != QUDAG_OK;
         nth++) { /* relays come to be known */
        net[ix].op_done = false;
        assert_int_equal(qudag_dark_publish(net[ix].node, addr, &op), QUDAG_OK);
        turn_until(&net[ix].op_done, 30);
        for (uint64_t end = api_now() + NS_PER_S / 4;
             net[ix].op_err != QUDAG_OK && api_now() < end;) {
            (void)uv_run(&d->loop, UV_RUN_NOWAIT);
        }
    }
    assert_int_equal(net[ix].op_err, QUDAG_OK);
}

static char own_addr[QUDAG_DARK_TEXT_MAX];
static inline int set_up(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(uv_loop_init(&d->loop), 0);
    for (uintptr_t ix = 0; ix < NODES; ix++) {
        start_node(ix);
    }
    for (size_t ix = 0; ix < NODES; ix++) {
        turn_until(&net[ix].ready, 60);
    }
    publish(1, evil.addr);
    publish(0, own_addr);
    return 0;
}

static inline int tear_down(void **state)
{
    char path[FILES_PATH_MAX];
    (void)state;
    for (size_t ix = NODES; ix-- > 0;) {
        qudag_node_free(net[ix].node);
        qudag_identity_free(net[ix].id);
    }
    (void)uv_run(&d->loop, UV_RUN_DEFAULT);
    static const char *const left[] = {
        "inbox/.partial", "inbox/.index",    "inbox/_._.._etc_x", ".partial", "inbox",
        "file",           "closed/.partial", "closed/.index",     "closed",   ""};
    for (size_t ix = 0; ix < sizeof(left) / sizeof(left[0]); ix++) {
        (void)snprintf(path, sizeof(path), "%s/%s", dir, left[ix]);
        (void)remove(path);
    }
    return uv_loop_close(&d->loop);
}

#endif
