/* How long keys, certificates and tokens of a link are used, and that it stays with its host. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "quic/quic_int.h"
#include "quic/testkit_net.h"
#include "sec/cert.h"

#define HOUR (3600 * NS_PER_S)

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

static uint64_t updates(int ix)
{
    struct quic_stats st;

    quic_stats_get(tk.ep[ix].q, &st);
    return st.key_updates;
}

static void link_up(void)
{
    struct ref link;

    assert_int_equal(tk_dial(&tk, 0, 1, NULL, &link), QUDAG_OK);
    assert_true(tk_run(&tk, 20 * NS_PER_S, tk_both_up));
}

/* The client opens a stream and writes; true when the server has it. */
static bool data_passes(void)
{
    uint64_t before = tk.ep[1].bytes;
    int64_t sid;

    assert_int_equal(quic_link_ops.open(tk.ep[0].q, tk.ep[0].link, 1, NULL, &sid), QUDAG_OK);
    assert_int_equal(quic_link_ops.write(tk.ep[0].q, tk.ep[0].link, sid,
                                         (struct slice){(const uint8_t *)"x", 1}),
                     QUDAG_OK);
    (void)tk_run(&tk, NS_PER_S, NULL);
    return tk.ep[1].bytes == before + 1;
}

static void test_traffic_keys_are_replaced_every_hour(void **state)
{
    const struct tk_opt o = {.pq = PQ_REQUIRE};

    (void)state;
    make(&o, &o);
    link_up();
    (void)tk_run(&tk, HOUR * 8 / 10, NULL);
    assert_int_equal(updates(0), 0);
    (void)tk_run(&tk, HOUR * 4 / 10, NULL);
    assert_int_equal(updates(0), 1);
    assert_true(data_passes());
    (void)tk_run(&tk, 2 * HOUR, NULL);
    assert_int_equal(updates(0), 3);
    assert_int_equal(updates(1), 0); /* it sees that the client does it */
    assert_true(data_passes());
    assert_int_equal(tk.ep[0].downs + tk.ep[1].downs, 0);
    down();
}

static void test_a_server_replaces_keys_that_its_client_does_not(void **state)
{
    const struct tk_opt o = {.pq = PQ_REQUIRE};

    (void)state;
    make(&o, &o);
    link_up();
    struct quic_conn *c = slots_get(&tk.ep[0].q->conns, tk.ep[0].link);
    assert_non_null(c);
    (void)tk_run(&tk, 60 * NS_PER_S, NULL);
    c->rekey_at = TSTAMP_NEVER - 1;
    (void)tk_run(&tk, HOUR * 15 / 10, NULL);
    assert_int_equal(updates(0), 0);
    assert_int_equal(updates(1), 1);
    assert_true(c->rekey_at < TSTAMP_NEVER - 1); /* it has noticed */
    assert_true(data_passes());
    down();
}

/* What both sides are told of the end, in seconds from the handshake. */
static void test_a_link_says_when_its_certificates_end(void **state)
{
    static const struct {
        uint64_t age_of_client, age_of_server; /* hours that its certificate is old */
        int64_t left;
    } row[] = {{0, 0, CERT_LIFE_S}, {10, 0, CERT_LIFE_S - 36000}, {0, 11, CERT_LIFE_S - 39600}};
    const struct tk_opt o = {.pq = PQ_PREFER};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        make(&o, &o);
        tk.now += 24 * HOUR;
        assert_int_equal(sec_renew(tk.ep[0].sec, tk.now - row[i].age_of_client * HOUR), QUDAG_OK);
        assert_int_equal(sec_renew(tk.ep[1].sec, tk.now - row[i].age_of_server * HOUR), QUDAG_OK);
        tstamp before = tk.now;
        link_up();
        for (int side = 0; side < 2; side++) {
            int64_t left = (int64_t)((tk.ep[side].info.until - before) / NS_PER_S);
            /* The peer's certificate has the tolerance with which it was taken. */
            assert_in_range(left, row[i].left - 1, row[i].left + SEC_CERT_SKEW_S + 1);
            assert_true(left <= CERT_LIFE_S);
        }
        down();
    }
}

/* ---- addresses ---- */

static void test_a_link_stays_with_its_host(void **state)
{
    static const struct netaddr v4 = {.family = 4, .ip = {9, 8, 7, 6}, .port = 1};
    static const struct {
        struct netaddr b;
        bool same;
    } row[] = {
        {{.family = 4, .ip = {9, 8, 7, 6}, .port = 1}, true},
        {{.family = 4, .ip = {9, 8, 7, 6}, .port = 2}, true},
        {{.family = 4, .ip = {9, 8, 7, 7}, .port = 1}, false},
        {{.family = 6, .ip = {9, 8, 7, 6}, .port = 1}, false},
    };
    struct netaddr a = {.family = 6, .ip = {0x20, 1, [15] = 1}}, b = a;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        assert_int_equal(quic_addr_same_host(&v4, &row[i].b), row[i].same);
    }
    assert_true(quic_addr_same_host(&a, &b));
    b.ip[15] = 2; /* the same /64 is not the same host */
    assert_false(quic_addr_same_host(&a, &b));
}

/* Both ends say that they do not take a link along, and a library that keeps to it cannot try. */
static void test_both_ends_forbid_migration(void **state)
{
    const struct tk_opt o = {.pq = PQ_REQUIRE};
    struct quic_sockaddr local, remote;
    ngtcp2_path path;

    (void)state;
    make(&o, &o);
    link_up();
    (void)tk_run(&tk, NS_PER_S, NULL);
    for (int i = 0; i < 2; i++) {
        const struct quic_conn *c = slots_get(&tk.ep[i].q->conns, tk.ep[i].link);
        assert_non_null(c);
        assert_int_equal(ngtcp2_conn_get_remote_transport_params(c->ng)->disable_active_migration,
                         1);
    }
    const struct quic_conn *client = slots_get(&tk.ep[0].q->conns, tk.ep[0].link);
    struct netaddr elsewhere = {.family = 4, .ip = {10, 66, 6, 6}, .port = 1};
    quic_addr_path(&path, &local, &remote, &tk.ep[1].addr);
    quic_addr_to_sock(&local, &elsewhere);
    assert_int_equal(ngtcp2_conn_initiate_immediate_migration(client->ng, &path, tk.now),
                     NGTCP2_ERR_INVALID_STATE);
    assert_true(data_passes());
    down();
}

static uint64_t moved(void)
{
    struct quic_stats st;

    quic_stats_get(tk.ep[1].q, &st);
    return st.dropped_moved;
}

static void test_another_port_is_followed_another_host_is_not(void **state)
{
    const struct tk_opt o = {.pq = PQ_REQUIRE};

    (void)state;
    make(&o, &o);
    link_up();
    assert_true(data_passes());
    tk.ep[0].addr.port = 4999; /* its NAT has forgotten it */
    assert_true(data_passes());
    (void)tk_run(&tk, 10 * NS_PER_S, NULL);
    assert_true(data_passes());
    assert_int_equal(tk.ep[0].downs + tk.ep[1].downs, 0);
    assert_int_equal(moved(), 0);
    tk.ep[0].addr.ip[3] = 77;
    assert_false(data_passes());
    assert_true(moved() > 0);
    (void)tk_run(&tk, 10 * NS_PER_S, NULL);
    assert_int_equal(tk.ep[1].downs, 1); /* within seconds, and the client learns it */
    assert_int_equal(tk.ep[1].down.err, QUDAG_ETIMEOUT);
    assert_int_equal(tk.ep[0].downs, 1);
    down();
}

/* A copy of what the client sends, from another address: the client is probed, answers, and stays. */
static bool copy(struct tk *t, struct tk_pkt *p)
{
    struct netaddr elsewhere = {.family = 4, .ip = {10, 66, 6, 6}, .port = 1};
    bool (*pass)(struct tk *, struct tk_pkt *) = t->pass;

    if (netaddr_eq(&p->from, &t->ep[0].addr)) {
        t->pass = NULL;
        tk_inject(t, &elsewhere, &p->to, p->data, p->len);
        t->pass = pass;
    }
    return true;
}

static unsigned misled; /* packets of the server to where nobody is */

/* The same from another port of the client's address, where nobody answers; the copy arrives first. */
static bool overtake(struct tk *t, struct tk_pkt *p)
{
    struct netaddr neighbour = t->ep[0].addr;
    bool (*pass)(struct tk *, struct tk_pkt *) = t->pass;

    neighbour.port = 6666;
    misled += netaddr_eq(&p->to, &neighbour) ? 1 : 0;
    if (netaddr_eq(&p->from, &t->ep[0].addr)) {
        t->pass = NULL;
        tk_inject(t, &neighbour, &p->to, p->data, p->len);
        t->pass = pass;
    }
    return true;
}

/* Path validation fails then (RFC 9000 9.3.2): the link returns to where the peer was, as soon as that is heard. */
static void test_a_port_that_does_not_answer_is_left(void **state)
{
    const struct tk_opt o = {.pq = PQ_REQUIRE};
    struct link_info info;
    struct netaddr remote;

    (void)state;
    make(&o, &o);
    link_up();
    for (int i = 0; i < 5; i++) {
        tk.pass = overtake;
        misled = 0;
        (void)data_passes();
        assert_true(misled > 0);
        tk.pass = NULL;
        (void)tk_run(&tk, 5 * NS_PER_S, NULL);
        assert_true(data_passes());
    }
    assert_int_equal(tk.ep[0].downs + tk.ep[1].downs, 0);
    assert_int_equal(moved(), 0);
    assert_int_equal(quic_info(tk.ep[1].q, tk.ep[1].link, &info), QUDAG_OK);
    assert_true(multiaddr_to_netaddr(&info.remote, &remote));
    assert_int_equal(remote.port, tk.ep[0].addr.port);
    down();
}

static void test_whoever_repeats_packets_from_elsewhere_ends_no_link(void **state)
{
    const struct tk_opt o = {.pq = PQ_REQUIRE};

    (void)state;
    make(&o, &o);
    link_up();
    tk.pass = copy;
    assert_true(data_passes());
    (void)tk_run(&tk, 30 * NS_PER_S, NULL);
    assert_true(moved() > 0);
    assert_int_equal(tk.ep[0].downs + tk.ep[1].downs, 0);
    assert_true(data_passes());
    down();
}

/* ---- tokens ---- */

static struct slice nth(uint8_t buf[8], uint64_t n)
{
    memcpy(buf, &n, 8);
    return (struct slice){buf, 8};
}

static void test_a_token_is_used_once(void **state)
{
    const struct tk_opt o = {.pq = PQ_OFF};
    const uint64_t day = 24 * HOUR;
    uint8_t buf[8];

    (void)state;
    make(&o, &o);
    struct quic *q = tk.ep[0].q;
    assert_true(quic_token_life(q) == day);
    assert_true(quic_token_spend(q, nth(buf, 1)));
    assert_false(quic_token_spend(q, nth(buf, 1)));
    q->now += HOUR;
    for (uint64_t n = 2; n <= 2 * SPENT_MAX; n++) {
        assert_true(quic_token_spend(q, nth(buf, n)));
    }
    assert_false(quic_token_spend(q, nth(buf, 1))); /* the generation before is there yet */
    assert_true(quic_token_life(q) == day || quic_token_life(q) <= HOUR);
    q->now += HOUR;
    assert_true(quic_token_spend(q, nth(buf, 1ull << 40)));
    /* The first is forgotten; but nothing is valid any more that is as old. */
    assert_true(quic_token_life(q) <= HOUR);
    assert_false(quic_token_spend(q, nth(buf, 2 * SPENT_MAX)));
    q->now += 2 * day;
    assert_true(quic_token_spend(q, nth(buf, 1ull << 41)));
    assert_true(quic_token_life(q) == day);
    down();
}

/* The same Initial again, after its link has gone: no address is proven by it, and no certificate short. */
static uint8_t first_initial[1500];
static size_t first_len;

static bool take_initial(struct tk *t, struct tk_pkt *p)
{
    if (first_len == 0 && netaddr_eq(&p->from, &t->ep[0].addr)) {
        memcpy(first_initial, p->data, p->len);
        first_len = p->len;
    }
    return true;
}

static void dial_and_close(void)
{
    struct ref link;

    tk.ep[0].ups = tk.ep[1].ups = 0;
    assert_int_equal(tk_dial(&tk, 0, 1, &tk.ep[1].peer, &link), QUDAG_OK);
    assert_true(tk_run(&tk, 20 * NS_PER_S, tk_both_up));
    (void)tk_run(&tk, NS_PER_S, NULL);
    quic_link_ops.close(tk.ep[0].q, link, QUDAG_OK);
    (void)tk_run(&tk, 20 * NS_PER_S, NULL);
}

static void test_a_repeated_initial_spends_no_token_twice(void **state)
{
    const struct tk_opt o = {.pq = PQ_REQUIRE};
    struct quic_stats st;

    (void)state;
    make(&o, &o);
    dial_and_close();
    first_len = 0;
    tk.pass = take_initial;
    dial_and_close();
    tk.pass = NULL;
    quic_stats_get(tk.ep[1].q, &st);
    assert_int_equal(st.tokens_used, 1);
    assert_int_equal(st.tokens_bad, 0);
    tk_inject(&tk, &tk.ep[0].addr, &tk.ep[1].addr, first_initial, first_len);
    (void)tk_run(&tk, NS_PER_S, NULL);
    quic_stats_get(tk.ep[1].q, &st);
    assert_int_equal(st.tokens_used, 1);
    assert_int_equal(st.tokens_bad, 1);
    (void)tk_run(&tk, 20 * NS_PER_S, NULL);
    down();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_traffic_keys_are_replaced_every_hour),
        cmocka_unit_test(test_a_server_replaces_keys_that_its_client_does_not),
        cmocka_unit_test(test_a_link_says_when_its_certificates_end),
        cmocka_unit_test(test_a_link_stays_with_its_host),
        cmocka_unit_test(test_both_ends_forbid_migration),
        cmocka_unit_test(test_another_port_is_followed_another_host_is_not),
        cmocka_unit_test(test_a_port_that_does_not_answer_is_left),
        cmocka_unit_test(test_whoever_repeats_packets_from_elsewhere_ends_no_link),
        cmocka_unit_test(test_a_token_is_used_once),
        cmocka_unit_test(test_a_repeated_initial_spends_no_token_twice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
