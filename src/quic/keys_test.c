/* How long keys and certificates of a link are used. */
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_traffic_keys_are_replaced_every_hour),
        cmocka_unit_test(test_a_server_replaces_keys_that_its_client_does_not),
        cmocka_unit_test(test_a_link_says_when_its_certificates_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
