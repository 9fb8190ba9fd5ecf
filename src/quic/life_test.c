/* life_test.c - links after their handshake: idle ones, those a peer forgot, limits, memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "quic/testkit_net.h"

static struct tk tk;

static void make(const struct tk_opt *a, const struct tk_opt *b)
{
    tk_init(&tk);
    assert_true(tk_make(&tk, 0, a));
    assert_true(tk_make(&tk, 1, b));
}

static void down(void)
{
    for (int i = 0; i < TK_EPS; i++) {
        if (tk.ep[i].q != NULL) {
            assert_int_equal(tk_unmake(&tk, i), 0);
        }
    }
    tk_fini(&tk);
}

static struct quic_stats stats(int ix)
{
    struct quic_stats st;

    quic_stats_get(tk.ep[ix].q, &st);
    return st;
}

/* Dials, runs until the dialler knows, and a little longer. */
static void dial(const struct quic_dial *d)
{
    struct ref link;

    assert_int_equal(quic_dial(tk.ep[0].q, d, tk.now, &link), QUDAG_OK);
    (void)tk_run(&tk, 20 * NS_PER_S, tk_client_done);
    (void)tk_run(&tk, NS_PER_S, NULL);
}

static bool pass_first(struct tk *t, struct tk_pkt *p)
{
    uint64_t *left = t->pass_ctx;

    (void)p;
    if (*left == 0) {
        return false;
    }
    (*left)--;
    return true;
}

static void test_an_idle_link_ends_and_keepalive_prevents_it(void **state)
{
    static const struct {
        uint64_t keepalive_s;
        bool alive;
    } row[] = {{3600, false}, {10, true}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct tk_opt o = {.pq = PQ_REQUIRE, .quic = {.idle_timeout_ns = 30 * NS_PER_S}};

        o.quic.keepalive_ns = row[i].keepalive_s * NS_PER_S;
        make(&o, &o);
        if (!row[i].alive) {
            /* The link is cut instead, as keepalives never wait for longer than a third of it. */
            dial(&(struct quic_dial){.remote = tk.ep[1].addr, .peer = &tk.ep[1].peer});
            uint64_t none = 0;
            tk.pass = pass_first;
            tk.pass_ctx = &none;
            (void)tk_run(&tk, 200 * NS_PER_S, NULL);
            assert_int_equal(tk.ep[0].downs, 1);
            assert_int_equal(tk.ep[1].downs, 1);
            assert_int_equal(tk.ep[0].down.err, QUDAG_ETIMEOUT);
            assert_string_equal(tk.ep[0].down.text, "idle timeout");
        } else {
            dial(&(struct quic_dial){.remote = tk.ep[1].addr, .peer = &tk.ep[1].peer});
            (void)tk_run(&tk, 600 * NS_PER_S, NULL);
            assert_int_equal(tk.ep[0].downs + tk.ep[1].downs, 0);
        }
        down();
    }
}

static void test_a_peer_with_a_short_idle_timeout_is_kept_alive(void **state)
{
    const struct tk_opt a = {.pq = PQ_PREFER};
    const struct tk_opt b = {
        .pq = PQ_OFF, .quic = {.idle_timeout_ns = 10 * NS_PER_S, .keepalive_ns = 1000 * NS_PER_S}};

    (void)state;
    make(&a, &b);
    dial(&(struct quic_dial){.remote = tk.ep[1].addr, .peer = &tk.ep[1].peer});
    (void)tk_run(&tk, 120 * NS_PER_S, NULL);
    assert_int_equal(tk.ep[0].ups, 1);
    assert_int_equal(tk.ep[0].downs + tk.ep[1].downs, 0);
    down();
}

static void test_a_restarted_peer_resets_the_link_it_forgot(void **state)
{
    const struct tk_opt o = {.pq = PQ_REQUIRE};
    int64_t sid = 0;

    (void)state;
    make(&o, &o);
    dial(&(struct quic_dial){.remote = tk.ep[1].addr, .peer = &tk.ep[1].peer});
    assert_int_equal(tk_unmake(&tk, 1), 0);
    identity_fini(&tk.ep[1].id);
    tk.ep[1].peer.len = 0;
    assert_true(tk_make(&tk, 1, &o)); /* the same reset key */
    assert_int_equal(quic_link_ops.open(tk.ep[0].q, tk.ep[0].link, 1, NULL, &sid), QUDAG_OK);
    assert_int_equal(
        quic_link_ops.write(tk.ep[0].q, tk.ep[0].link, sid,
                            (struct slice){(const uint8_t *)"are you there? still there?", 27}),
        QUDAG_OK);
    (void)tk_run(&tk, NS_PER_S, NULL);
    assert_int_equal(stats(1).resets_sent, 1);
    assert_int_equal(tk.ep[0].downs, 1);
    assert_int_equal(tk.ep[0].down.err, QUDAG_ERESET);
    down();
}

static void test_links_over_ipv6(void **state)
{
    const struct tk_opt o = {.pq = PQ_REQUIRE, .quic = {.retry_above = 1}};
    struct ref link;

    (void)state;
    make(&o, &o);
    for (int i = 0; i < 2; i++) {
        tk.ep[i].addr = (struct netaddr){
            .family = 6, .ip = {0xfe, 0x80, [15] = (uint8_t)(i + 1)}, .port = 4001, .scope = 3};
    }
    /* The second dial comes while the first is half open: by Retry. */
    assert_int_equal(tk_dial(&tk, 0, 1, &tk.ep[1].peer, &link), QUDAG_OK);
    tk_flush(&tk, &tk.ep[0]);
    assert_int_equal(tk_dial(&tk, 0, 1, &tk.ep[1].peer, &link), QUDAG_OK);
    (void)tk_run(&tk, 5 * NS_PER_S, NULL);
    assert_int_equal(tk.ep[0].ups, 2);
    assert_int_equal(tk.ep[1].ups, 2);
    assert_in_range(stats(1).retries_sent, 1, 2); /* a ClientHello of two datagrams */
    assert_int_equal(stats(1).tokens_used, 1);
    struct netaddr remote;
    assert_true(multiaddr_to_netaddr(&tk.ep[1].info.remote, &remote));
    assert_int_equal(remote.family, 6); /* a multiaddr has no zone */
    assert_memory_equal(remote.ip, tk.ep[0].addr.ip, sizeof remote.ip);
    assert_int_equal(remote.port, tk.ep[0].addr.port);
    down();
}

static void test_limits_of_an_endpoint(void **state)
{
    const struct tk_opt o = {.pq = PQ_OFF, .quic = {.conns_max = 3}};
    struct netaddr bad = {.family = 0};
    struct ref link;

    (void)state;
    make(&o, &o);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(tk_dial(&tk, 0, 1, NULL, &link), QUDAG_OK);
    }
    assert_int_equal(tk_dial(&tk, 0, 1, NULL, &link), QUDAG_ELIMIT);
    assert_int_equal(quic_dial(tk.ep[1].q, &(struct quic_dial){.remote = bad}, tk.now, &link),
                     QUDAG_EINVAL);
    (void)tk_run(&tk, NS_PER_S, NULL);
    assert_int_equal(tk.ep[0].ups, 3);
    assert_int_equal(tk.ep[1].ups, 3);
    assert_int_equal(tk_dial(&tk, 1, 0, NULL, &link), QUDAG_ELIMIT);
    down();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_idle_link_ends_and_keepalive_prevents_it),
        cmocka_unit_test(test_a_peer_with_a_short_idle_timeout_is_kept_alive),
        cmocka_unit_test(test_a_restarted_peer_resets_the_link_it_forgot),
        cmocka_unit_test(test_links_over_ipv6),
        cmocka_unit_test(test_limits_of_an_endpoint),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
