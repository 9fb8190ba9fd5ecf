/*
 * args_test.c - every public function against NULL, stale and forged arguments; settings; life.
 *
 * TEST: timeout=120
 */
#include <qudag/qudag.h>

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uv.h>
#include <cmocka.h>

static const char *const loopback[] = {"/ip4/127.0.0.1/udp/0/quic-v1"};

static qudag_identity *id;

static int setup(void **state)
{
    (void)state;
    return qudag_identity_generate(&id) == QUDAG_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    qudag_identity_free(id);
    return 0;
}

static qudag_settings settings(void)
{
    qudag_settings s;

    QUDAG_SETTINGS_INIT(&s);
    s.identity = id;
    s.listen = loopback;
    s.listen_n = 1;
    s.lab = true;
    return s;
}

static qudag_node *make(const qudag_settings *s, const qudag_callbacks *cb, void *user)
{
    qudag_node *n = NULL;

    assert_int_equal(qudag_node_new(&n, s, cb, user), QUDAG_OK);
    assert_non_null(n);
    return n;
}

#define INVAL(call) assert_int_equal(call, QUDAG_EINVAL)

static void every_request_checks_its_arguments(void **state)
{
    qudag_settings s = settings();
    qudag_node *n = make(&s, NULL, NULL);
    const qudag_slice key = {(const uint8_t *)"/app/x", 6}, none = {NULL, 0}, bad = {NULL, 5};
    qudag_peer_id peer, zero = {0}, junk = {.len = 44};
    qudag_op op;
    const char *const ma = "/ip4/127.0.0.1/udp/1/quic-v1";
    (void)state;

    qudag_identity_peer_id(id, &peer);
    INVAL(qudag_connect(NULL, ma, &op));
    INVAL(qudag_connect(n, NULL, &op));
    INVAL(qudag_connect(n, ma, NULL));
    INVAL(qudag_disconnect(NULL, &peer));
    INVAL(qudag_disconnect(n, NULL));
    INVAL(qudag_disconnect(n, &zero));
    INVAL(qudag_ping(NULL, &peer, &op));
    INVAL(qudag_ping(n, NULL, &op));
    INVAL(qudag_ping(n, &zero, &op));
    INVAL(qudag_ping(n, &junk, &op));
    INVAL(qudag_ping(n, &peer, NULL));
    INVAL(qudag_dht_put(NULL, key, key, &op));
    INVAL(qudag_dht_put(n, none, key, &op));
    INVAL(qudag_dht_put(n, bad, key, &op));
    INVAL(qudag_dht_put(n, key, bad, &op));
    INVAL(qudag_dht_put(n, key, key, NULL));
    INVAL(qudag_dht_get(NULL, key, &op));
    INVAL(qudag_dht_get(n, none, &op));
    INVAL(qudag_dht_get(n, key, NULL));
    INVAL(qudag_dht_closest(NULL, key, &op));
    INVAL(qudag_dht_closest(n, bad, &op));
    INVAL(qudag_dht_find_peer(n, NULL, &op));
    INVAL(qudag_dht_find_peer(n, &peer, NULL));
    INVAL(qudag_dht_provide(NULL, key, &op));
    INVAL(qudag_dht_provide(n, bad, &op));
    INVAL(qudag_dht_providers(n, key, NULL));
    qudag_node_free(n);
}

static void an_isolation_key_has_a_longest_length(void **state)
{
    qudag_settings s = settings();
    qudag_node *n = make(&s, NULL, NULL);
    qudag_dark_options o = QUDAG_INIT(qudag_dark_options);
    qudag_stream st = {0};
    char dark[QUDAG_DARK_TEXT_MAX];
    (void)state;

    INVAL(qudag_dark_progress(NULL, st));
    assert_int_equal(qudag_dark_progress(n, (qudag_stream){12345}), QUDAG_ESTALE);
    INVAL(qudag_dark_open_with(n, NULL, "/x", &o, &st));
    assert_int_equal(qudag_dark_create(n, "", dark), QUDAG_OK);
    o.isolation_len = QUDAG_ISOLATION_MAX + 1;
    INVAL(qudag_dark_open_with(n, dark, "/x", &o, &st));
    o = (qudag_dark_options){.size = 1};
    INVAL(qudag_dark_open_with(n, dark, "/x", &o, &st));
    qudag_node_free(n);
}

static void calls_for_dark_addresses_check_their_arguments(void **state)
{
    qudag_settings s = settings();
    qudag_node *n = make(&s, NULL, NULL);
    qudag_op op;
    qudag_stream st;
    char addr[QUDAG_DARK_TEXT_MAX] = "";
    (void)state;

    INVAL(qudag_dark_create(NULL, "x", addr));
    INVAL(qudag_dark_create(n, "x", NULL));
    const qudag_dark_wish wish = QUDAG_INIT(qudag_dark_wish);
    INVAL(qudag_dark_create_with(NULL, &wish, addr));
    INVAL(qudag_dark_create_with(n, NULL, addr));
    INVAL(qudag_dark_create_with(n, &wish, NULL));
    qudag_dark_wish bad[6];
    for (size_t i = 0; i < 6; i++) {
        bad[i] = wish;
    }
    bad[0].size = 1;
    bad[1].network = (qudag_dark_network)3; /* also where it is not chosen */
    bad[2].kind = (qudag_dark_kind)2;
    bad[3].pad[2] = 1;
    bad[4].choose_network = true; /* the public network, in a lab */
    bad[5].label = "a label of more bytes than one can have";
    for (size_t i = 0; i < 6; i++) {
        INVAL(qudag_dark_create_with(n, &bad[i], addr));
    }
    assert_string_equal(addr, "");
    INVAL(qudag_dark_resolve_for(n, NULL, (qudag_slice){NULL, 0}, &op));
    INVAL(qudag_dark_resolve_for(n, "x", (qudag_slice){NULL, 4}, &op));
    static const uint8_t name[QUDAG_DARK_USER_MAX + 1];
    INVAL(qudag_dark_resolve_for(n, "x", (qudag_slice){name, sizeof name}, &op));
    assert_int_equal(qudag_dark_resolve_for(n, "x", (qudag_slice){name, sizeof name - 1}, &op),
                     QUDAG_EMALFORMED); /* it is the address that is none */
    INVAL(qudag_dark_publish(n, NULL, &op));
    INVAL(qudag_dark_forget(NULL, addr, &op));
    INVAL(qudag_dark_unpublish(n, NULL, &op));
    INVAL(qudag_dark_resolve(n, NULL, &op));
    INVAL(qudag_dark_open(n, NULL, "/x", &st));
    INVAL(qudag_dark_check(NULL));
    qudag_node_free(n);
}

static void every_other_call_checks_its_arguments(void **state)
{
    qudag_settings s = settings();
    qudag_node *n = make(&s, NULL, NULL);
    const qudag_slice key = {(const uint8_t *)"/app/x", 6}, bad = {NULL, 5};
    qudag_peer_id peer, zero = {0};
    qudag_op op;
    qudag_stream st;
    qudag_circuit c = {12345};
    char addr[QUDAG_DARK_TEXT_MAX];
    const char *const ma = "/ip4/127.0.0.1/udp/1/quic-v1";
    size_t taken;
    (void)state;

    qudag_identity_peer_id(id, &peer);
    INVAL(qudag_circuit_build(NULL, 3, &op));
    INVAL(qudag_circuit_build(n, QUDAG_HOPS_MAX + 1, &op));
    INVAL(qudag_circuit_build(n, 3, NULL));
    INVAL(qudag_circuit_close(NULL, c));
    assert_int_equal(qudag_circuit_close(n, c), QUDAG_ESTALE);
    INVAL(qudag_circuit_stream(n, c, NULL, &st));
    INVAL(qudag_circuit_stream(n, c, "/x", NULL));
    assert_int_equal(qudag_circuit_stream(n, c, "/x", &st), QUDAG_ESTALE);
    INVAL(qudag_protocol_serve(NULL, "/x"));
    INVAL(qudag_protocol_serve(n, NULL));
    INVAL(qudag_protocol_serve(n, "no slash"));
    INVAL(qudag_protocol_serve(n, ""));
    INVAL(qudag_protocol_serve_dark(NULL, "/x"));
    INVAL(qudag_protocol_serve_dark(n, ""));
    INVAL(qudag_stream_open(n, &peer, NULL, &st));
    INVAL(qudag_stream_open(n, NULL, "/x", &st));
    INVAL(qudag_stream_open(n, &peer, "/x y", &st));
    INVAL(qudag_stream_open(n, &peer, "/x", NULL));
    INVAL(qudag_stream_write(NULL, (qudag_stream){1}, key, &taken));
    INVAL(qudag_stream_write(n, (qudag_stream){1}, bad, &taken));
    INVAL(qudag_stream_write(n, (qudag_stream){1}, key, NULL));
    INVAL(qudag_stream_info(NULL, (qudag_stream){1}, NULL));
    INVAL(qudag_stream_info(n, (qudag_stream){1}, NULL));
    INVAL(qudag_stream_set_user(NULL, (qudag_stream){1}, NULL));
    INVAL(qudag_op_set_user(NULL, (qudag_op){1}, NULL));
    INVAL(qudag_peer_add_addr(NULL, &peer, ma));
    INVAL(qudag_peer_add_addr(n, &zero, ma));
    INVAL(qudag_peer_add_addr(n, &peer, NULL));
    INVAL(qudag_peer_agent(n, NULL, addr, sizeof addr, NULL, 0));
    INVAL(qudag_peer_agent(NULL, &peer, addr, sizeof addr, NULL, 0));
    INVAL(qudag_peer_agent(n, &peer, NULL, 5, NULL, 0));
    INVAL(qudag_peer_id_parse(NULL, "x"));
    INVAL(qudag_peer_id_parse(&peer, NULL));
    INVAL(qudag_node_new(NULL, &s, NULL, NULL));
    INVAL(qudag_node_restore(NULL, "guards", key));
    INVAL(qudag_node_restore(n, NULL, key));
    INVAL(qudag_node_restore(n, "guards", bad));
    INVAL(qudag_node_start(NULL));
    INVAL(qudag_node_run(NULL));
    INVAL(qudag_node_step(NULL, 0));
    INVAL(qudag_node_post(NULL, NULL, NULL));
    INVAL(qudag_node_post(n, NULL, NULL));
    INVAL(qudag_identity_generate(NULL));
    INVAL(qudag_identity_load(NULL, key));
#undef INVAL
    qudag_node_free(n);
}

static void nothing_crashes_on_null(void **state)
{
    size_t it = 0;
    qudag_stat stat = QUDAG_INIT(qudag_stat);
    qudag_link_info link = QUDAG_INIT(qudag_link_info);
    uint8_t bytes[QUDAG_IDENTITY_LEN];
    (void)state;

    qudag_node_free(NULL);
    qudag_node_stop(NULL);
    qudag_op_cancel(NULL, (qudag_op){1});
    qudag_stream_consume(NULL, (qudag_stream){1}, 1);
    qudag_stream_fin(NULL, (qudag_stream){1});
    qudag_stream_reset(NULL, (qudag_stream){1}, QUDAG_ECANCELED);
    assert_null(qudag_stream_user(NULL, (qudag_stream){1}));
    qudag_node_peer_id(NULL, NULL);
    qudag_settings_default(NULL, 8);
    qudag_identity_free(NULL);
    qudag_identity_save(NULL, bytes);
    qudag_identity_save(id, NULL);
    qudag_identity_peer_id(NULL, NULL);
    qudag_identity_pq_hash(id, NULL);
    qudag_peer_id_text(NULL, NULL);
    assert_int_equal(qudag_node_fd(NULL), -1);
    assert_true(qudag_node_timeout(NULL) == UINT64_MAX);
    assert_int_equal(qudag_node_phase(NULL), QUDAG_PHASE_START);
    assert_false(qudag_link_next(NULL, &it, &link));
    assert_false(qudag_dht_record_next(NULL, &it, NULL));
    assert_false(qudag_dht_table_next(NULL, &it, NULL));
    assert_false(qudag_circuit_next(NULL, &it, NULL));
    assert_false(qudag_relay_next(NULL, &it, NULL, NULL));
    assert_false(qudag_dark_next(NULL, &it, NULL));
    assert_false(qudag_node_addr_next(NULL, &it, NULL));
    assert_false(qudag_node_stat_next(NULL, &it, &stat));
    assert_false(qudag_node_histogram_next(NULL, &it, NULL));
    assert_int_equal(qudag_node_check(NULL, NULL, 0), QUDAG_EINVAL);
}

static void forged_handles_name_nothing(void **state)
{
    static const uint64_t forged[] = {
        0, 1, UINT64_MAX, 0xffffffff, (1ULL << 32), (1ULL << 63), 0x80000000u, 0x1ffffffffULL};
    qudag_settings s = settings();
    qudag_node *n = make(&s, NULL, NULL);
    const qudag_slice data = {(const uint8_t *)"x", 1};
    size_t taken;
    qudag_stream out;
    (void)state;

    for (size_t i = 0; i < sizeof forged / sizeof forged[0]; i++) {
        qudag_stream st = {forged[i]};
        assert_int_equal(qudag_stream_write(n, st, data, &taken), QUDAG_ESTALE);
        qudag_stream_consume(n, st, 5);
        qudag_stream_fin(n, st);
        qudag_stream_reset(n, st, QUDAG_ECANCELED);
        assert_int_equal(qudag_stream_set_user(n, st, n), QUDAG_ESTALE);
        assert_null(qudag_stream_user(n, st));
        qudag_stream_state info = QUDAG_INIT(qudag_stream_state);
        assert_int_equal(qudag_stream_info(n, st, &info), QUDAG_ESTALE);
        assert_int_equal(qudag_op_set_user(n, (qudag_op){forged[i]}, n), QUDAG_ESTALE);
        qudag_op_cancel(n, (qudag_op){forged[i]});
        assert_int_equal(qudag_circuit_close(n, (qudag_circuit){forged[i]}), QUDAG_ESTALE);
        assert_int_equal(qudag_circuit_stream(n, (qudag_circuit){forged[i]}, "/x", &out),
                         QUDAG_ESTALE);
    }
    assert_int_equal(qudag_node_step(n, 0), QUDAG_OK);
    qudag_node_free(n);
}

static void refused(const qudag_settings *s, const char *what)
{
    static int something;
    qudag_node *n = (qudag_node *)(void *)&something;
    char why[200] = "";

    assert_int_equal(qudag_node_check(s, why, sizeof why), QUDAG_EINVAL);
    if (strncmp(why, what, strlen(what)) != 0) {
        fail_msg("%s: %s", what, why);
    }
    assert_int_equal(qudag_node_check(s, why, 4), QUDAG_EINVAL); /* cut, not overrun */
    assert_true(strlen(why) < 4);
    assert_int_equal(qudag_node_check(s, NULL, 0), QUDAG_EINVAL);
    assert_int_equal(qudag_node_new(&n, s, NULL, NULL), QUDAG_EINVAL);
    assert_null(n);
}

static void bootstrap_peers_that_no_socket_can_dial_are_refused(void **state)
{
#define ID "/p2p/12D3KooWAbT38Y9sYPXhLiAPw8BL8vD7ANdAE7rXjUtwTj6N9n9V"
    static const char *const v4 = "/ip4/192.0.2.1/udp/1/quic-v1" ID,
                             *const v6 = "/ip6/2001:db8::1/udp/1/quic-v1" ID;
    static const char *const any4 = "/ip4/0.0.0.0/udp/0/quic-v1", *const any6 =
                                                                      "/ip6/::/udp/0/quic-v1";
    const struct {
        const char *listen[2], *boot[2];
        size_t listen_n, boot_n;
        bool ok;
    } row[] = {
        {{any4}, {v4}, 1, 1, true},       {{any4}, {v6}, 1, 1, false},
        {{any6}, {v4}, 1, 1, false},      {{any6}, {v6}, 1, 1, true},
        {{any4}, {v6, v4}, 1, 2, true}, /* one list for many machines */
        {{any4, any6}, {v6}, 2, 1, true}, {{NULL}, {v6}, 0, 1, true}, /* the usual listeners */
        {{NULL}, {v4}, 0, 1, true},       {{any6}, {NULL}, 1, 0, true},
    };
    (void)state;

    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        qudag_settings s = settings();
        s.listen = row[i].listen;
        s.listen_n = row[i].listen_n;
        s.bootstrap = row[i].boot;
        s.bootstrap_n = row[i].boot_n;
        if (row[i].ok) {
            assert_int_equal(qudag_node_check(&s, NULL, 0), QUDAG_OK);
        } else {
            refused(&s, row[i].boot[0] == v6 ? "bootstrap: IPv6" : "bootstrap: IPv4");
        }
    }
#undef ID
}

static void *only_alloc(void *ctx, size_t size)
{
    (void)ctx;
    return malloc(size);
}

static void settings_out_of_range_are_named(void **state)
{
    static const char *const bad_listen[] = {"/ip4/127.0.0.1/tcp/1/ws"}, *const null_text[] = {
                                                                             NULL};
    static const char *const nobody[] = {"/ip4/127.0.0.1/udp/1/quic-v1"};
    static const char *const ns[] = {"qudag"};
    const qudag_mem half = {.alloc = only_alloc};
    qudag_settings s = settings();
    (void)state;

    assert_int_equal(qudag_node_check(&s, NULL, 0), QUDAG_OK);
#define REFUSED(what, ...)                                                                         \
    do {                                                                                           \
        s = settings();                                                                            \
        __VA_ARGS__;                                                                               \
        refused(&s, what);                                                                         \
    } while (0)
    REFUSED("size", s.size--);
    REFUSED("size", s.size++);
    REFUSED("size", s.size = 0);
    REFUSED("identity", s.identity = NULL);
    REFUSED("pq", s.pq = (qudag_pq)3);
    REFUSED("cipher", s.cipher = (qudag_cipher)77);
    REFUSED("log_level", s.log_level = (qudag_log_level)9);
    REFUSED("mem", s.mem = &half);
    REFUSED("security_level", s.security_level = 767);
    REFUSED("security_level", s.security_level = 512);
    REFUSED("hops", s.hops = 0);
    REFUSED("hops", s.hops = 8);
    REFUSED("links_max", s.links_max = 7);
    REFUSED("idle_timeout", s.idle_timeout = QUDAG_S);
    REFUSED("memory_max", s.memory_max = 1000);
    REFUSED("dht_protocol", s.dht_protocol = "kad");
    REFUSED("dht_protocol", s.dht_protocol = "/");
    REFUSED("dht_protocol", s.dht_protocol = "/a b");
    REFUSED("listen", s.listen = bad_listen);
    REFUSED("listen", s.listen = null_text);
    REFUSED("listen", s.listen = NULL);
    REFUSED("listen", s.listen_n = 9);
    static const char *const inside[] = {"/ip4/192.168.1.2/udp/4433/quic-v1"};
    static const char *const no_port[] = {"/ip4/5.9.1.1/udp/0/quic-v1"};
    static const char *const outside[] = {"/ip4/5.9.1.1/udp/4433/quic-v1"};
    REFUSED("announce", s.announce_n = 1);
    REFUSED("announce", s.announce_n = 1, s.announce = null_text);
    REFUSED("announce", s.announce_n = 1, s.announce = inside, s.lab = false);
    REFUSED("announce", s.announce_n = 1, s.announce = no_port);
    REFUSED("announce", s.announce_n = 9, s.announce = outside);
    REFUSED("bootstrap", s.bootstrap_n = 1);
    REFUSED("bootstrap", s.bootstrap_n = 1, s.bootstrap = null_text);
    REFUSED("bootstrap", s.bootstrap_n = 1, s.bootstrap = nobody);
    REFUSED("open_namespaces", s.open_namespaces_n = 1);
    REFUSED("open_namespaces", s.open_namespaces_n = 1, s.open_namespaces = ns);
    REFUSED("open_namespaces", s.open_namespaces_n = 1, s.open_namespaces = null_text);
    REFUSED("relay", s.pq = QUDAG_PQ_OFF);
#undef REFUSED
}

static void a_program_with_larger_settings_gets_zeroes(void **state)
{
    struct {
        qudag_settings s;
        uint64_t newer[4];
    } big;
    (void)state;

    memset(&big, 0xff, sizeof big);
    qudag_settings_default(&big.s, sizeof big);
    assert_true(big.newer[0] == 0 && big.newer[3] == 0);
    big.s.identity = id;
    assert_int_equal(qudag_node_check(&big.s, NULL, 0), QUDAG_OK);
    uint8_t small[9] = {[8] = 0x5a};
    qudag_settings_default((qudag_settings *)(void *)memset(small, 1, 8), 8);
    assert_int_equal(small[8], 0x5a); /* and a smaller one is not overrun */
}

static void an_address_in_use_is_reported(void **state)
{
    qudag_settings s = settings();
    qudag_node *a = make(&s, NULL, NULL), *b = a;
    char text[QUDAG_ADDR_TEXT_MAX];
    const char *const taken[] = {text};
    size_t it = 0;
    (void)state;

    assert_true(qudag_node_addr_next(a, &it, text));
    s.listen = taken;
    assert_int_equal(qudag_node_new(&b, &s, NULL, NULL), QUDAG_ESYSTEM);
    assert_null(b);
    qudag_node_free(a);
}

static void a_node_announces_what_the_settings_say(void **state)
{
    static const char *const outside[] = {"/ip4/5.9.1.1/udp/4433/quic-v1"};
    qudag_settings s = settings();
    char text[QUDAG_ADDR_TEXT_MAX];
    size_t it = 0;
    (void)state;

    assert_false(qudag_node_announced_next(NULL, &it, text));
    s.lab = false; /* it listens on loopback, which nobody outside could dial */
    qudag_node *n = make(&s, NULL, NULL);
    assert_false(qudag_node_announced_next(n, &it, text));
    qudag_node_free(n);
    s.announce = outside;
    s.announce_n = 1;
    n = make(&s, NULL, NULL);
    assert_true(qudag_node_announced_next(n, &it, text));
    assert_memory_equal(text, outside[0], strlen(outside[0]));
    assert_memory_equal(text + strlen(outside[0]), "/p2p/", 5);
    assert_false(qudag_node_announced_next(n, &it, text));
    qudag_node_free(n);
}

static void a_node_starts_and_stops_two_hundred_times(void **state)
{
    qudag_settings s = settings();
    (void)state;

    for (int i = 0; i < 200; i++) {
        qudag_node *n = make(&s, NULL, NULL);
        if (i % 2 == 0) {
            assert_int_equal(qudag_node_start(n), QUDAG_OK);
            assert_int_equal(qudag_node_start(n), QUDAG_ESTATE); /* once, and harmless */
            assert_int_equal(qudag_node_step(n, 0), QUDAG_OK);
        }
        qudag_node_free(n);
    }
}

struct counted {
    size_t live, made, fail_at;
};

static void *counted_alloc(void *ctx, size_t size)
{
    struct counted *c = ctx;

    c->made++;
    if (c->fail_at != 0 && c->made == c->fail_at) {
        return NULL;
    }
    void *p = malloc(size);
    c->live += p != NULL ? 1 : 0;
    return p;
}

static void counted_free(void *ctx, void *p)
{
    struct counted *c = ctx;

    c->live -= p != NULL ? 1 : 0;
    free(p);
}

static void any_failed_allocation_is_an_error_or_survived(void **state)
{
    size_t k = 1, needed = 0;
    (void)state;

    for (bool made = false; k < 3000; k += made ? 7 : 1) {
        struct counted c = {.fail_at = k};
        const qudag_mem mem = {&c, counted_alloc, counted_free};
        qudag_settings s = settings();
        qudag_node *n = NULL;
        s.mem = &mem;
        qudag_err err = qudag_node_new(&n, &s, NULL, NULL);
        if (err != QUDAG_OK) {
            assert_int_equal(err, QUDAG_ENOMEM);
            assert_null(n);
        } else {
            char addr[QUDAG_DARK_TEXT_MAX];
            made = true;
            assert_int_equal(qudag_node_start(n), QUDAG_OK);
            err = qudag_dark_create(n, "x", addr);
            assert_true(err == QUDAG_OK || err == QUDAG_ENOMEM);
            for (int i = 0; i < 5; i++) {
                assert_int_equal(qudag_node_step(n, 0), QUDAG_OK);
            }
            needed = c.made;
            qudag_node_free(n);
        }
        assert_int_equal(c.live, 0);
        if (made && k > needed) {
            return;
        }
    }
    fail_msg("it never had enough: %zu", needed);
}

static void on_timer(uv_timer_t *t)
{
    uv_stop(t->loop);
}

static unsigned dones;

static void count_done(qudag_node *n, qudag_op op, qudag_err err, const qudag_result *r, void *user)
{
    (void)op;
    (void)err;
    (void)r;
    (void)user;
    dones++;
    assert_int_equal(qudag_node_step(n, 0), QUDAG_ESTATE); /* not from in here */
    assert_int_equal(qudag_node_run(n), QUDAG_ESTATE);
}

static void a_node_lives_on_the_callers_loop(void **state)
{
    qudag_settings s = settings();
    qudag_callbacks cb = {.size = sizeof(cb), .op_done = count_done};
    uv_loop_t loop;
    uv_timer_t timer;
    qudag_op op;
    (void)state;

    assert_int_equal(uv_loop_init(&loop), 0);
    s.uv_loop = &loop;
    qudag_node *n = make(&s, &cb, NULL);
    assert_int_equal(qudag_node_run(n), QUDAG_ESTATE);
    assert_int_equal(qudag_node_step(n, 0), QUDAG_ESTATE);
    assert_int_equal(qudag_node_start(n), QUDAG_OK);
    assert_int_equal(qudag_dht_get(n, (qudag_slice){(const uint8_t *)"/pk/x", 5}, &op), QUDAG_OK);
    assert_int_equal(uv_timer_init(&loop, &timer), 0);
    assert_int_equal(uv_timer_start(&timer, on_timer, 50, 0), 0);
    dones = 0;
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(dones, 1);
    qudag_node_free(n);
    uv_close((uv_handle_t *)&timer, NULL);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0); /* the node left nothing on it */
}

static void a_node_is_driven_by_descriptor_and_timeout(void **state)
{
    qudag_settings s = settings();
    qudag_callbacks cb = {.size = sizeof(cb), .op_done = count_done};
    qudag_node *n = make(&s, &cb, NULL);
    qudag_op op;
    (void)state;

    assert_true(qudag_node_fd(n) >= 0);
    assert_int_equal(qudag_node_start(n), QUDAG_OK);
    dones = 0;
    assert_int_equal(qudag_dht_get(n, (qudag_slice){(const uint8_t *)"/pk/x", 5}, &op), QUDAG_OK);
    assert_int_equal(qudag_node_timeout(n), 0); /* there is something to do */
    assert_int_equal(qudag_node_step(n, 0), QUDAG_OK);
    assert_int_equal(dones, 1);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(qudag_node_step(n, 0), QUDAG_OK);
    }
    assert_true(qudag_node_timeout(n) > 0); /* at rest, not spinning */
    struct timespec a, b;
    clock_gettime(CLOCK_MONOTONIC, &a);
    assert_int_equal(qudag_node_step(n, 20 * QUDAG_MS), QUDAG_OK);
    clock_gettime(CLOCK_MONOTONIC, &b);
    assert_true(b.tv_sec - a.tv_sec < 5);
    qudag_op_cancel(n, op); /* over long ago */
    assert_int_equal(qudag_node_step(n, 0), QUDAG_OK);
    assert_int_equal(dones, 1);
    qudag_node_free(n);
}

/* What a program may do in any callback, and what it may not. */
static void use_all(qudag_node *n)
{
    qudag_stat stat = QUDAG_INIT(qudag_stat);
    size_t it = 0;

    dones++;
    assert_int_equal(qudag_node_step(n, 0), QUDAG_ESTATE);
    assert_int_equal(qudag_node_run(n), QUDAG_ESTATE);
    assert_true(qudag_node_stat_next(n, &it, &stat));
    assert_true(qudag_node_fd(n) >= 0);
    (void)qudag_node_timeout(n);
}

static qudag_err save_and_use(qudag_node *n, const char *name, qudag_slice bytes, void *user)
{
    (void)name;
    (void)bytes;
    (void)user;
    use_all(n);
    return QUDAG_OK;
}

static void done_and_use(qudag_node *n, qudag_op op, qudag_err err, const qudag_result *r,
                         void *user)
{
    (void)op;
    (void)err;
    (void)r;
    (void)user;
    use_all(n);
}

static void post_and_use(qudag_node *n, void *arg)
{
    (void)arg;
    use_all(n);
}

/* Callbacks that a call of the program makes, or the node's end, are callbacks as those of a step. */
static void no_callback_drives_the_node(void **state)
{
    qudag_settings s = settings();
    qudag_callbacks cb = {.size = sizeof(cb), .op_done = done_and_use, .save = save_and_use};
    qudag_node *n = make(&s, &cb, NULL);
    char addr[QUDAG_DARK_TEXT_MAX];
    qudag_op op;
    (void)state;

    dones = 0;
    assert_int_equal(qudag_dark_create(n, "", addr), QUDAG_OK);
    assert_int_equal(dones, 1);
    assert_int_equal(qudag_node_start(n), QUDAG_OK);
    assert_int_equal(qudag_dht_get(n, (qudag_slice){(const uint8_t *)"/pk/x", 5}, &op), QUDAG_OK);
    assert_int_equal(qudag_node_post(n, post_and_use, NULL), QUDAG_OK);
    qudag_node_free(n);
    assert_true(dones >= 3); /* the post and the request; start and end may save, too */
}

static unsigned posted;

static void on_post(qudag_node *n, void *arg)
{
    (void)n;
    (void)arg;
    posted++;
}

static void *other_thread(void *arg)
{
    qudag_node *n = arg;

    for (int i = 0; i < 500; i++) {
        while (qudag_node_post(n, on_post, NULL) == QUDAG_ELIMIT) {
            struct timespec pause = {0, 1000000};
            nanosleep(&pause, NULL);
        }
    }
    qudag_node_stop(n);
    return NULL;
}

static void posts_and_stop_come_from_another_thread(void **state)
{
    qudag_settings s = settings();
    qudag_node *n = make(&s, NULL, NULL);
    pthread_t t;
    (void)state;

    posted = 0;
    assert_int_equal(pthread_create(&t, NULL, other_thread, n), 0);
    assert_int_equal(qudag_node_run(n), QUDAG_OK);
    assert_int_equal(pthread_join(t, NULL), 0);
    assert_int_equal(qudag_node_post(n, on_post, NULL), QUDAG_ESTATE);
    qudag_node_free(n);
    assert_int_equal(posted, 500); /* all that was accepted, once */
    n = make(&s, NULL, NULL);
    assert_int_equal(qudag_node_post(n, on_post, NULL), QUDAG_OK);
    qudag_node_free(n);
    assert_int_equal(posted, 501);
    n = make(&s, NULL, NULL); /* a program that posts on and on while the loop stands still */
    for (int i = 0; i < 1024; i++) {
        assert_int_equal(qudag_node_post(n, on_post, NULL), QUDAG_OK);
    }
    assert_int_equal(qudag_node_post(n, on_post, NULL), QUDAG_ELIMIT);
    qudag_node_free(n);
    assert_int_equal(posted, 501 + 1024);
}

static void several_nodes_share_a_process(void **state)
{
    qudag_settings s = settings();
    qudag_node *n[10];
    (void)state;

    for (size_t i = 0; i < 10; i++) {
        n[i] = make(&s, NULL, NULL);
        assert_int_equal(qudag_node_start(n[i]), QUDAG_OK);
    }
    for (size_t i = 0; i < 10; i += 2) {
        qudag_node_free(n[i]);
    }
    for (size_t i = 1; i < 10; i += 2) {
        assert_int_equal(qudag_node_step(n[i], 0), QUDAG_OK);
        qudag_node_free(n[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_request_checks_its_arguments),
        cmocka_unit_test(an_isolation_key_has_a_longest_length),
        cmocka_unit_test(calls_for_dark_addresses_check_their_arguments),
        cmocka_unit_test(every_other_call_checks_its_arguments),
        cmocka_unit_test(nothing_crashes_on_null),
        cmocka_unit_test(forged_handles_name_nothing),
        cmocka_unit_test(settings_out_of_range_are_named),
        cmocka_unit_test(bootstrap_peers_that_no_socket_can_dial_are_refused),
        cmocka_unit_test(a_program_with_larger_settings_gets_zeroes),
        cmocka_unit_test(an_address_in_use_is_reported),
        cmocka_unit_test(a_node_announces_what_the_settings_say),
        cmocka_unit_test(a_node_starts_and_stops_two_hundred_times),
        cmocka_unit_test(any_failed_allocation_is_an_error_or_survived),
        cmocka_unit_test(a_node_lives_on_the_callers_loop),
        cmocka_unit_test(a_node_is_driven_by_descriptor_and_timeout),
        cmocka_unit_test(no_callback_drives_the_node),
        cmocka_unit_test(posts_and_stop_come_from_another_thread),
        cmocka_unit_test(several_nodes_share_a_process),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
