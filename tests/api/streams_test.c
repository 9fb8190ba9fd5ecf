/*
 * streams_test.c - what a program can rely on: writing at once, pointers of its own, reasons of ends, the way
 * from a stream to its circuit, and sentences about requests that failed.
 *
 * TEST: timeout=120
 */
#include "net.h"

static const struct net_options links_only = {.waiting = true, .client = true};

static int any; /* something to point to */

static void clear_stream(struct peer *p)
{
    p->ours = p->theirs = (qudag_stream){0};
    p->opened = p->closed = false;
    p->back_len = p->got_len = 0;
    p->theirs_closed = p->writable = p->streams_in = 0;
    p->closed_user = NULL;
}

static void pair(void)
{
    (void)net_stop_all(NULL);
    net_start(0, &links_only);
    net_start(1, &links_only);
    net_ask(&net[0], qudag_connect(net[0].node, net[1].addr, &net[0].last));
    assert_int_equal(net[0].err, QUDAG_OK);
    assert_int_equal(net[0].kind, QUDAG_OP_CONNECT);
}

/* ---- writing */

static void a_stream_is_written_and_ended_before_it_is_open(void **state)
{
    size_t taken = 0;
    (void)state;

    for (int dial = 0; dial < 2;
         dial++) { /* over a link that exists, and one that is dialled for it */
        if (dial == 0) {
            pair();
        } else {
            (void)net_stop_all(NULL);
            net_start(0, &links_only);
            net_start(1, &links_only);
            assert_int_equal(qudag_peer_add_addr(net[0].node, &net[1].self, net[1].addr), QUDAG_OK);
        }
        assert_int_equal(qudag_stream_open(net[0].node, &net[1].self, NET_ECHO, &net[0].ours),
                         QUDAG_OK);
        assert_int_equal(qudag_stream_write(net[0].node, net[0].ours, net_text("at "), &taken),
                         QUDAG_OK);
        assert_int_equal(taken, 3);
        assert_int_equal(qudag_stream_write(net[0].node, net[0].ours, net_text("once"), &taken),
                         QUDAG_OK);
        assert_int_equal(taken, 4);
        qudag_stream_state info = QUDAG_INIT(qudag_stream_state);
        assert_int_equal(qudag_stream_info(net[0].node, net[0].ours, &info), QUDAG_OK);
        assert_false(info.open);
        assert_int_equal(info.queued, 7);
        qudag_stream_fin(net[0].node, net[0].ours);
        assert_int_equal(qudag_stream_write(net[0].node, net[0].ours, net_text("x"), &taken),
                         QUDAG_ESTATE);
        NET_WAIT(net[0].closed, NET_SOON);
        assert_true(net[0].opened);
        assert_int_equal(net[0].closed_why, QUDAG_OK);
        assert_int_equal(net[0].back_len, 7);
        assert_memory_equal(net[0].back, "at once", 7);
    }
}

static void what_is_written_early_is_bounded_and_writable_follows(void **state)
{
    static uint8_t block[QUDAG_STREAM_EARLY_MAX + 1];
    size_t taken = 0;
    (void)state;

    pair();
    net[1].hold = true;
    assert_int_equal(qudag_stream_open(net[0].node, &net[1].self, NET_ECHO, &net[0].ours),
                     QUDAG_OK);
    const qudag_slice all = {block, sizeof(block)};
    assert_int_equal(qudag_stream_write(net[0].node, net[0].ours, all, &taken), QUDAG_OK);
    assert_int_equal(taken, QUDAG_STREAM_EARLY_MAX);
    assert_int_equal(qudag_stream_write(net[0].node, net[0].ours, all, &taken), QUDAG_EAGAIN);
    assert_int_equal(taken, 0);
    assert_int_equal(qudag_stream_write(net[0].node, net[0].ours, (qudag_slice){NULL, 0}, &taken),
                     QUDAG_OK); /* nothing is always taken */
    assert_int_equal(net[0].writable, 0);
    NET_WAIT(net[0].writable == 1 && net[1].got_len == QUDAG_STREAM_EARLY_MAX, NET_SOON);
    uint64_t before = net_stat(&net[0], "memory_bytes");
    assert_int_equal(qudag_stream_open(net[0].node, &net[1].self, NET_ECHO, &net[0].ours),
                     QUDAG_OK);
    assert_int_equal(qudag_stream_write(net[0].node, net[0].ours, all, &taken), QUDAG_OK);
    assert_true(net_stat(&net[0], "memory_bytes") >= before + QUDAG_STREAM_EARLY_MAX);
    qudag_stream_reset(net[0].node, net[0].ours, QUDAG_ECANCELED);
    NET_WAIT(net_stat(&net[0], "memory_bytes") < before + QUDAG_STREAM_EARLY_MAX, NET_SOON);
}

/* ---- ends */

/* A stream of node 0 to |dark|, or to node 1, until the other side has it. */
static void open_held(size_t server, const char *dark)
{
    clear_stream(&net[0]);
    clear_stream(&net[server]);
    net[server].hold = true;
    qudag_err err = dark != NULL
                        ? qudag_dark_open(net[0].node, dark, NET_ECHO, &net[0].ours)
                        : qudag_stream_open(net[0].node, &net[server].self, NET_ECHO, &net[0].ours);
    assert_int_equal(err, QUDAG_OK);
    NET_WAIT(net[0].opened && net[server].streams_in == 1, 20);
}

static void reasons_are_told(size_t server, const char *dark)
{
    static const struct {
        qudag_err said, heard;
    } cases[] = {
        {QUDAG_ECANCELED, QUDAG_ERESET},
        {QUDAG_OK, QUDAG_ERESET},
        {QUDAG_EREFUSED, QUDAG_EREFUSED},
        {QUDAG_ELIMIT, QUDAG_ELIMIT},
        {QUDAG_EUNSUPPORTED, QUDAG_EUNSUPPORTED},
        {QUDAG_ENOMEM, QUDAG_ELIMIT},
        {QUDAG_EINVAL, QUDAG_ERESET},
        {QUDAG_EINTERNAL, QUDAG_ERESET},
        {QUDAG_ESTALE, QUDAG_ERESET},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        open_held(server, dark);
        qudag_stream_reset(net[server].node, net[server].theirs, cases[i].said);
        NET_WAIT(net[0].closed, NET_SOON);
        qudag_err heard = cases[i].heard;
        if (net[0].closed_why != heard) {
            fail_msg("%s was heard as %s", qudag_err_name(cases[i].said),
                     qudag_err_name(net[0].closed_why));
        }
        open_held(server, dark); /* and the other way */
        qudag_stream_reset(net[0].node, net[0].ours, cases[i].said);
        NET_WAIT(net[server].theirs_closed == 1, NET_SOON);
        /* a service hears nothing of an anonymous caller's reasons */
        assert_int_equal(net[server].theirs_why, dark != NULL ? QUDAG_ERESET : heard);
        assert_false(net[0].closed); /* who resets is not called */
    }
}

static void a_peer_that_resets_is_not_mistaken_for_ourselves(void **state)
{
    (void)state;
    pair();
    reasons_are_told(1, NULL);
    open_held(1, NULL);
    assert_int_equal(qudag_disconnect(net[0].node, &net[1].self), QUDAG_OK);
    NET_WAIT(net[0].closed, NET_SOON);
    assert_int_equal(net[0].closed_why, QUDAG_ECANCELED); /* this was us */
}

/* ---- pointers and protection */

static void a_stream_has_a_pointer_and_tells_its_protection(void **state)
{
    qudag_stream_state info = QUDAG_INIT(qudag_stream_state);
    (void)state;

    pair();
    open_held(1, NULL);
    assert_null(qudag_stream_user(net[0].node, net[0].ours));
    assert_int_equal(qudag_stream_set_user(net[0].node, net[0].ours, &any), QUDAG_OK);
    assert_ptr_equal(qudag_stream_user(net[0].node, net[0].ours), &any);
    assert_int_equal(qudag_stream_info(net[0].node, net[0].ours, &info), QUDAG_OK);
    assert_ptr_equal(info.user, &any);
    assert_memory_equal(&info.peer, &net[1].self, sizeof(info.peer));
    assert_string_equal(info.protocol, NET_ECHO);
    assert_true(info.open && info.pq_kex && info.pq_auth);
    assert_false(info.inbound || info.anonymous);
    assert_true(info.circuit.id == 0);
    assert_int_equal(qudag_stream_info(net[1].node, net[1].theirs, &info), QUDAG_OK);
    assert_true(info.inbound && info.open);
    assert_memory_equal(&info.peer, &net[0].self, sizeof(info.peer));
    info.size = 3;
    assert_int_equal(qudag_stream_info(net[1].node, net[1].theirs, &info), QUDAG_EINVAL);
    qudag_stream_reset(net[1].node, net[1].theirs, QUDAG_EREFUSED);
    NET_WAIT(net[0].closed, NET_SOON);
    assert_ptr_equal(net[0].closed_user, &any);
    assert_null(qudag_stream_user(net[0].node, net[0].ours)); /* stale now */
    info.size = sizeof(info);
    assert_int_equal(qudag_stream_info(net[0].node, net[0].ours, &info), QUDAG_ESTALE);
}

/* ---- requests */

static void a_request_that_ends_says_what_it_was_and_why(void **state)
{
    struct peer *p = &net[0];
    (void)state;

    (void)net_stop_all(NULL);
    net_start(0, &(struct net_options){.name_space = "app"});
    static const struct {
        const char *key, *says;
    } bad[] = {{"/other/k", "namespace \"other\" is not open on this node"},
               {"nothing", "a key has the form /namespace/name"},
               {"/app", "a key has the form /namespace/name"},
               {"/qudag/relay/x", "the rules of the namespace do not accept this value"}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(qudag_dht_put(p->node, net_text(bad[i].key), net_text("v"), &p->last),
                         QUDAG_OK);
        assert_int_equal(qudag_op_set_user(p->node, p->last, &net[i]), QUDAG_OK);
        net_ask(p, QUDAG_OK);
        assert_int_not_equal(p->err, QUDAG_OK);
        assert_int_equal(p->kind, QUDAG_OP_DHT_PUT);
        assert_ptr_equal(p->op_user, &net[i]);
        if (p->err == QUDAG_EINVAL && strstr(p->text, bad[i].says) == NULL) {
            fail_msg("%s: %s", bad[i].key, p->text);
        }
        assert_true(strlen(p->text) > 5);
        assert_int_equal(qudag_op_set_user(p->node, p->last, &any), QUDAG_ESTALE);
    }
    net_ask(p, qudag_dht_forget(p->node, net_text("/app/none"), &p->last));
    assert_int_equal(p->err, QUDAG_ENOTFOUND);
    assert_int_equal(p->kind, QUDAG_OP_DHT_FORGET);
    assert_string_equal(p->text, "this node was not republishing it");
    assert_null(p->op_user);
    qudag_peer_id self;
    char own[QUDAG_ADDR_TEXT_MAX];
    size_t it = 0;
    qudag_node_peer_id(p->node, &self);
    assert_true(qudag_node_addr_next(p->node, &it, own));
    net_ask(p, qudag_ping(p->node, &self, &p->last));
    assert_string_equal(p->text, "this is the peer id of the node itself");
    net_ask(p, qudag_connect(p->node, own, &p->last));
    assert_string_equal(p->text, "this is an address of the node itself");
    net_ask(p, qudag_circuit_build(p->node, 3, &p->last));
    assert_int_equal(p->kind, QUDAG_OP_CIRCUIT_BUILD);
    assert_int_equal(p->err, QUDAG_ENORELAYS);
    assert_non_null(strstr(p->text, "relays"));
    assert_int_equal(qudag_dht_get(p->node, net_text("/app/x"), &p->last), QUDAG_OK);
    qudag_op_cancel(p->node, p->last);
    net_ask(p, QUDAG_OK);
    assert_int_equal(p->err, QUDAG_ECANCELED);
    assert_int_equal(p->kind, QUDAG_OP_DHT_GET);
}

/* ---- over circuits */

static void a_dark_address_before_the_node_is_ready_fails_and_says_so(void **state)
{
    char addr[QUDAG_DARK_TEXT_MAX];
    size_t taken;
    (void)state;

    (void)net_stop_all(NULL);
    net_start(0, &links_only);
    assert_int_equal(qudag_dark_create(net[0].node, "x", addr), QUDAG_OK);
    for (int started = 0; started < 2; started++) {
        clear_stream(&net[0]);
        assert_int_equal(qudag_dark_open(net[0].node, addr, NET_ECHO, &net[0].ours), QUDAG_OK);
        assert_int_equal(qudag_stream_write(net[0].node, net[0].ours, net_text("x"), &taken),
                         QUDAG_OK);
        assert_int_equal(taken, 1);
        NET_WAIT(net[0].closed, NET_SOON);
        assert_int_equal(net[0].closed_why, QUDAG_ENORELAYS);
        if (started == 0) {
            assert_int_equal(qudag_node_start(net[0].node), QUDAG_OK);
        }
    }
}

static void a_stream_over_a_circuit_leads_to_it(void **state)
{
    char addr[QUDAG_DARK_TEXT_MAX];
    qudag_stream_state info = QUDAG_INIT(qudag_stream_state);
    qudag_circuit_info c = QUDAG_INIT(qudag_circuit_info);
    size_t taken = 0, it = 0;
    (void)state;

    (void)net_stop_all(NULL);
    net_grow(7, &(struct net_options){.name_space = NULL});
    NET_WAIT(net_stat(&net[0], "relays") == 6 && net_stat(&net[6], "relays") == 6, 40);
    assert_int_equal(net_create_direct(net[6].node, "shop", addr), QUDAG_OK);
    net_ask(&net[6], qudag_dark_publish(net[6].node, addr, &net[6].last));
    assert_int_equal(net[6].err, QUDAG_OK);
    assert_int_equal(net[6].kind, QUDAG_OP_DARK_PUBLISH);

    assert_int_equal(qudag_dark_open(net[0].node, addr, NET_ECHO, &net[0].ours), QUDAG_OK);
    assert_int_equal(qudag_stream_write(net[0].node, net[0].ours, net_text("early"), &taken),
                     QUDAG_OK);
    assert_int_equal(taken, 5);
    NET_WAIT(net[0].back_len == 5 || net[0].closed, 20);
    assert_int_equal(net[0].closed_why, QUDAG_OK);
    assert_false(net[0].closed);
    assert_int_equal(qudag_stream_info(net[0].node, net[0].ours, &info), QUDAG_OK);
    assert_true(info.open && info.anonymous && info.pq_kex && info.pq_auth);
    assert_int_equal(info.peer.len, 0);
    while (qudag_circuit_next(net[0].node, &it, &c) && c.circuit.id != info.circuit.id) {
    }
    assert_true(c.circuit.id == info.circuit.id && info.circuit.id != 0);
    assert_string_equal(c.purpose, "dark");
    assert_int_equal(qudag_stream_info(net[6].node, net[6].theirs, &info), QUDAG_OK);
    assert_true(info.anonymous && info.inbound && info.circuit.id != 0);
    assert_int_equal(info.peer.len, 0);

    reasons_are_told(6, addr);

    open_held(6, addr);
    assert_int_equal(qudag_stream_info(net[0].node, net[0].ours, &info), QUDAG_OK);
    assert_int_equal(qudag_circuit_close(net[0].node, info.circuit), QUDAG_OK);
    NET_WAIT(net[0].closed, NET_SOON);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_is_written_and_ended_before_it_is_open),
        cmocka_unit_test(what_is_written_early_is_bounded_and_writable_follows),
        cmocka_unit_test(a_peer_that_resets_is_not_mistaken_for_ourselves),
        cmocka_unit_test(a_stream_has_a_pointer_and_tells_its_protection),
        cmocka_unit_test(a_request_that_ends_says_what_it_was_and_why),
        cmocka_unit_test(a_dark_address_before_the_node_is_ready_fails_and_says_so),
        cmocka_unit_test(a_stream_over_a_circuit_leads_to_it),
    };
    return cmocka_run_group_tests(tests, NULL, net_stop_all);
}
