/*
 * clients_test.c - parts of the library that use a node beside the program: whose events go where, the end, and what
 * they keep on disk.
 *
 * TEST: timeout=120
 */
#include "../api/net.h"
#include "api/clients.h"

#include <uv.h>

#define PROTO "/test/client/1.0.0"

/* What a client was told. */
struct told {
    struct api_client *me;
    qudag_node *node;
    unsigned in, opened, data, writable, closed, done, phases, ended;
    qudag_stream last;
    qudag_op op;
    qudag_err why;
    char dark[QUDAG_DARK_TEXT_MAX];
    bool anonymous, reset_at_end;
    uv_timer_t timer;
    bool has_timer;
};

static struct told t, caller; /* their nodes may outlive a test */

static void on_in(qudag_node *n, qudag_stream s, const qudag_peer_id *from, const char *dark,
                  const char *proto, void *user)
{
    struct told *c = user;

    assert_ptr_equal(n, c->node);
    assert_string_equal(proto, PROTO);
    c->in++;
    c->last = s;
    c->anonymous = from == NULL;
    snprintf(c->dark, sizeof(c->dark), "%s", dark != NULL ? dark : "");
}

static void on_opened(qudag_node *n, qudag_stream s, void *user)
{
    struct told *c = user;
    (void)n;
    c->opened += s.id == c->last.id;
}

static void on_data(qudag_node *n, qudag_stream s, qudag_slice data, bool fin, void *user)
{
    struct told *c = user;
    size_t taken;

    c->data++;
    assert_int_equal(s.id, c->last.id);
    qudag_stream_consume(n, s, data.len);
    if (data.len > 0 && c->in > 0) {
        assert_int_equal(qudag_stream_write(n, s, data, &taken), QUDAG_OK);
    }
    if (fin && c->in > 0) {
        qudag_stream_fin(n, s);
    }
}

static void on_closed(qudag_node *n, qudag_stream s, qudag_err why, void *user)
{
    struct told *c = user;

    assert_int_equal(s.id, c->last.id);
    assert_ptr_equal(qudag_stream_user(n, s), c);
    c->closed++;
    c->why = why;
}

static void on_done(qudag_node *n, qudag_op op, qudag_err err, const qudag_result *res, void *user)
{
    struct told *c = user;
    (void)n;
    (void)res;
    assert_int_equal(op.id, c->op.id);
    c->done++;
    c->why = err;
}

static void on_phase(qudag_node *n, qudag_phase p, uint32_t a, uint32_t b, qudag_err err,
                     void *user)
{
    struct told *c = user;
    (void)n, (void)p, (void)a, (void)b, (void)err;
    c->phases++;
}

static void on_end(void *user)
{
    struct told *c = user;

    c->ended++;
    if (c->reset_at_end) { /* every function still works */
        assert_int_equal(qudag_node_phase(c->node), QUDAG_PHASE_START);
        qudag_stream_reset(c->node, c->last, QUDAG_ECANCELED);
    }
    if (c->has_timer) {
        uv_close((uv_handle_t *)&c->timer, NULL);
    }
}

static const qudag_callbacks callbacks = {.size = sizeof(callbacks),
                                          .stream_in = on_in,
                                          .stream_opened = on_opened,
                                          .stream_data = on_data,
                                          .stream_closed = on_closed,
                                          .op_done = on_done,
                                          .phase = on_phase};

static void begin(struct told *c, size_t i)
{
    *c = (struct told){.node = net[i].node};
    assert_null(api_client_user(net[i].node, &callbacks));
    assert_int_equal(api_client_new(&c->me, net[i].node, &callbacks, on_end, c), QUDAG_OK);
    assert_ptr_equal(api_client_user(net[i].node, &callbacks), c);
}

static void pair(void)
{
    static const struct net_options o = {.waiting = true, .client = true};

    (void)net_stop_all(NULL);
    net_start(0, &o);
    net_start(1, &o);
    net_ask(&net[0], qudag_connect(net[0].node, net[1].addr, &net[0].last));
    assert_int_equal(net[0].err, QUDAG_OK);
}

static void open_own(struct told *c)
{
    assert_int_equal(qudag_stream_open(c->node, &net[1].self, NET_ECHO, &c->last), QUDAG_OK);
    assert_int_equal(api_client_stream(c->me, c->last), QUDAG_OK);
    assert_int_equal(qudag_stream_set_user(c->node, c->last, c), QUDAG_OK);
}

static void a_stream_of_a_client_is_not_the_programs_and_the_other_way_round(void **state)
{
    size_t taken;
    (void)state;

    pair();
    begin(&t, 0);
    open_own(&t);
    assert_int_equal(qudag_stream_open(net[0].node, &net[1].self, NET_ECHO, &net[0].ours),
                     QUDAG_OK);
    NET_WAIT(t.opened == 1 && net[0].opened, 5);
    assert_int_equal(qudag_stream_write(t.node, t.last, net_text("a"), &taken), QUDAG_OK);
    NET_WAIT(t.data == 1, 5);
    assert_int_equal(net[0].back_len, 0);
    assert_int_equal(qudag_stream_write(t.node, net[0].ours, net_text("b"), &taken), QUDAG_OK);
    NET_WAIT(net[0].back_len == 1, 5);
    assert_int_equal(t.data, 1);
    qudag_stream_fin(net[0].node, net[0].ours);
    NET_WAIT(net[0].closed, 5);
    assert_int_equal(t.closed, 0);
    net_stop(1);
    NET_WAIT(t.closed == 1, 15);
    assert_int_equal(api_client_stream(t.me, t.last), QUDAG_ESTALE);
}

static void a_request_of_a_client_ends_at_the_client(void **state)
{
    (void)state;

    pair();
    begin(&t, 0);
    unsigned before = net[0].all_done;
    assert_int_equal(qudag_ping(t.node, &net[1].self, &t.op), QUDAG_OK);
    assert_int_equal(api_client_op(t.me, t.op), QUDAG_OK);
    NET_WAIT(t.done == 1, 5);
    assert_int_equal(t.why, QUDAG_OK);
    assert_int_equal(net[0].all_done, before);
    assert_int_equal(api_client_op(t.me, t.op), QUDAG_ESTALE);
    net_ask(&net[0], qudag_ping(net[0].node, &net[1].self, &net[0].last));
    assert_int_equal(t.done, 1);
}

static void a_client_ends_once_with_everything_still_there(void **state)
{
    (void)state;

    pair();
    begin(&t, 0);
    open_own(&t);
    NET_WAIT(t.opened == 1, 5);
    assert_int_equal(qudag_ping(t.node, &net[1].self, &t.op), QUDAG_OK);
    assert_int_equal(api_client_op(t.me, t.op), QUDAG_OK);
    assert_int_equal(uv_timer_init(api_loop(t.node), &t.timer), 0);
    t.has_timer = t.reset_at_end = true;
    net_stop(0); /* the loop would never end if its handle were open */
    assert_int_equal(t.ended, 1);
    assert_int_equal(t.done + t.closed, 0); /* nothing after the end */
}

static void a_client_that_leaves_its_stream_to_the_node_hears_nothing_after_its_end(void **state)
{
    (void)state;

    pair();
    begin(&t, 0);
    open_own(&t);
    NET_WAIT(t.opened == 1, 5);
    net_stop(0);
    assert_int_equal(t.ended, 1);
    assert_int_equal(t.closed, 0);
}

static void there_is_one_client_of_a_kind_and_a_bound_of_kinds(void **state)
{
    static qudag_callbacks kind[API_CLIENTS_MAX];
    struct api_client *other;
    (void)state;

    pair();
    begin(&t, 0);
    assert_int_equal(api_client_new(&other, net[0].node, &callbacks, on_end, &t), QUDAG_EEXISTS);
    assert_null(other);
    for (size_t i = 1; i < API_CLIENTS_MAX; i++) {
        assert_int_equal(api_client_new(&other, net[0].node, &kind[i], on_end, &t), QUDAG_OK);
    }
    assert_int_equal(api_client_new(&other, net[0].node, &kind[0], on_end, &t), QUDAG_ELIMIT);
    net_stop(0);
    assert_int_equal(t.ended, API_CLIENTS_MAX);
}

static void a_program_and_a_client_do_not_serve_the_same_protocol(void **state)
{
    static const char *const more[API_PROTOCOLS_MAX] = {PROTO, "/test/b/1", "/test/c/1",
                                                        "/test/d/1"};
    (void)state;

    pair();
    begin(&t, 0);
    assert_int_equal(api_client_serve_dark(t.me, NET_ECHO), QUDAG_EEXISTS);
    for (size_t i = 0; i < API_PROTOCOLS_MAX; i++) {
        assert_int_equal(api_client_serve_dark(t.me, more[i]), QUDAG_OK);
    }
    assert_int_equal(qudag_protocol_serve(net[0].node, PROTO), QUDAG_EEXISTS);
    assert_int_equal(api_client_serve_dark(t.me, "/test/e/1"), QUDAG_ELIMIT);
}

static void a_dark_stream_of_a_clients_protocol_reaches_it_with_the_address(void **state)
{
    static const struct net_options o = {.client = false};
    char dark[QUDAG_DARK_TEXT_MAX];
    size_t taken;
    (void)state;

    (void)net_stop_all(NULL);
    net_grow(7, &o);
    begin(&t, 5);
    begin(&caller, 6);
    assert_int_equal(api_client_serve_dark(t.me, PROTO), QUDAG_OK);
    assert_int_equal(qudag_dark_create(net[5].node, "", dark), QUDAG_OK);
    assert_int_equal(qudag_dark_publish(net[5].node, dark, &t.op), QUDAG_OK);
    assert_int_equal(api_client_op(t.me, t.op), QUDAG_OK);
    NET_WAIT(t.done == 1, 30);
    assert_int_equal(t.why, QUDAG_OK);
    assert_int_equal(qudag_dark_open(net[6].node, dark, PROTO, &caller.last), QUDAG_OK);
    assert_int_equal(api_client_stream(caller.me, caller.last), QUDAG_OK);
    assert_int_equal(qudag_stream_write(net[6].node, caller.last, net_text("hello"), &taken),
                     QUDAG_OK);
    NET_WAIT(caller.data == 1, 30);
    assert_int_equal(t.in, 1);
    assert_true(t.anonymous);
    assert_string_equal(t.dark, dark);
    assert_int_equal(net[5].streams_in, 0);
    assert_int_equal(qudag_stream_set_user(net[6].node, caller.last, &caller), QUDAG_OK);
    assert_int_equal(qudag_stream_set_user(net[5].node, t.last, &t), QUDAG_OK);
    qudag_stream_fin(net[6].node, caller.last);
    NET_WAIT(caller.closed == 1 && t.closed == 1, 10);
    assert_int_equal(caller.why, QUDAG_OK);
}

static void a_phase_reaches_the_program_and_the_client(void **state)
{
    static const struct net_options o = {.waiting = true};
    (void)state;

    (void)net_stop_all(NULL);
    net_start(0, &o);
    begin(&t, 0);
    assert_int_equal(qudag_node_start(net[0].node), QUDAG_OK);
    NET_WAIT(t.phases > 0, 10);
    unsigned all = 0;
    for (size_t i = 0; i <= QUDAG_PHASE_FAILED; i++) {
        all += net[0].phases[i];
    }
    assert_int_equal(t.phases, all);
}

/* ------------------------------------------------------------------ what they keep */

static void what_a_client_kept_comes_back_to_it_by_name(void **state)
{
    static const struct net_options o = {.waiting = true};
    static const uint8_t big[API_KEPT_BYTES_MAX + 1] = {1};
    const char *name;
    qudag_slice bytes;
    size_t it = 0;
    (void)state;

    (void)net_stop_all(NULL);
    net_start(0, &o);
    qudag_node *n = net[0].node;
    assert_int_equal(qudag_node_restore(n, "app-a-1", net_text("one")), QUDAG_OK);
    assert_int_equal(qudag_node_restore(n, "app-b-1", net_text("other")), QUDAG_OK);
    assert_int_equal(qudag_node_restore(n, "app-a-2", net_text("two")), QUDAG_OK);
    assert_int_equal(qudag_node_restore(n, "app-a-3", net_text("")), QUDAG_EMALFORMED);
    assert_int_equal(qudag_node_restore(n, "app-a-3", (qudag_slice){big, sizeof(big)}),
                     QUDAG_EMALFORMED);
    assert_int_equal(qudag_node_restore(n, "application", net_text("x")), QUDAG_EUNSUPPORTED);
    assert_true(api_kept_next(n, "app-a-", &it, &name, &bytes));
    assert_string_equal(name, "app-a-1");
    assert_int_equal(bytes.len, 3);
    assert_memory_equal(bytes.base, "one", 3);
    assert_true(api_kept_next(n, "app-a-", &it, &name, &bytes));
    assert_string_equal(name, "app-a-2");
    assert_false(api_kept_next(n, "app-a-", &it, &name, &bytes));
    for (size_t i = 3; i < API_KEPT_MAX; i++) {
        assert_int_equal(qudag_node_restore(n, "app-c", net_text("x")), QUDAG_OK);
    }
    assert_int_equal(qudag_node_restore(n, "app-c", net_text("x")), QUDAG_ELIMIT);
    assert_int_equal(qudag_node_start(n), QUDAG_OK);
    assert_int_equal(qudag_node_restore(n, "app-a-4", net_text("late")), QUDAG_ESTATE);
}

static qudag_err full_disk(qudag_node *n, const char *name, qudag_slice bytes, void *user)
{
    unsigned *calls = user;
    (void)n, (void)bytes;
    *calls += strcmp(name, "app-x") == 0;
    return QUDAG_ESYSTEM;
}

static void what_a_client_keeps_goes_to_the_programs_save(void **state)
{
    static const uint8_t big[API_KEPT_BYTES_MAX + 1] = {1};
    qudag_callbacks cb = {.size = sizeof(cb), .save = full_disk};
    qudag_identity *id;
    qudag_settings s;
    qudag_node *n;
    unsigned calls = 0;
    const char *listen = "/ip4/127.0.0.1/udp/0/quic-v1";
    (void)state;

    assert_int_equal(qudag_identity_generate(&id), QUDAG_OK);
    QUDAG_SETTINGS_INIT(&s);
    s.identity = id;
    s.lab = true;
    s.listen = &listen;
    s.listen_n = 1;
    assert_int_equal(qudag_node_new(&n, &s, &cb, &calls), QUDAG_OK);
    assert_int_equal(api_save(n, "app-x", net_text("x")), QUDAG_ESYSTEM);
    assert_int_equal(calls, 1);
    assert_int_equal(api_save(n, "guards", net_text("x")), QUDAG_EINVAL);
    assert_int_equal(api_save(n, "app-x", (qudag_slice){big, sizeof(big)}), QUDAG_EINVAL);
    assert_int_equal(calls, 1);
    qudag_node_free(n);
    assert_int_equal(qudag_node_new(&n, &s, NULL, NULL), QUDAG_OK);
    assert_int_equal(api_save(n, "app-x", net_text("x")), QUDAG_OK); /* nobody keeps anything */
    qudag_node_free(n);
    qudag_identity_free(id);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_of_a_client_is_not_the_programs_and_the_other_way_round),
        cmocka_unit_test(a_request_of_a_client_ends_at_the_client),
        cmocka_unit_test(a_client_ends_once_with_everything_still_there),
        cmocka_unit_test(a_client_that_leaves_its_stream_to_the_node_hears_nothing_after_its_end),
        cmocka_unit_test(there_is_one_client_of_a_kind_and_a_bound_of_kinds),
        cmocka_unit_test(a_program_and_a_client_do_not_serve_the_same_protocol),
        cmocka_unit_test(a_dark_stream_of_a_clients_protocol_reaches_it_with_the_address),
        cmocka_unit_test(a_phase_reaches_the_program_and_the_client),
        cmocka_unit_test(what_a_client_kept_comes_back_to_it_by_name),
        cmocka_unit_test(what_a_client_keeps_goes_to_the_programs_save),
    };

    return cmocka_run_group_tests(tests, NULL, net_stop_all);
}
