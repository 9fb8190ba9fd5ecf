/* onion_ends_test.c - who may be extended to without being a relay: signed, for a time, at these addresses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "wire/onion_ends.h"

#include <string.h>

#define NOW 1800000000

static struct identity id, other;

static void make(struct onion_hop *hop, size_t n_addrs, size_t addr_len)
{
    memset(hop, 0, sizeof *hop);
    peer_id_from_ed25519(&hop->peer, id.ed_pk);
    memset(hop->pq_hash, 0x5a, sizeof hop->pq_hash);
    hop->n_addrs = (uint8_t)n_addrs;
    for (size_t i = 0; i < n_addrs; i++) {
        struct netaddr at = {.family = 4, .ip = {5, 6, 7, (uint8_t)i}, .port = 4001};
        multiaddr_quic(&hop->addr[i], &at, addr_len > 20 ? &hop->peer : NULL);
    }
}

static int identities(void **state)
{
    static struct rng_stream stream;
    uint8_t seed[32] = {1};
    (void)state;

    rng_stream_init(&stream, seed);
    struct rng rng = rng_of_stream(&stream);
    return ed25519_keygen(&id.ed_sk, id.ed_pk, &rng) != QUDAG_OK ||
           ed25519_keygen(&other.ed_sk, other.ed_pk, &rng) != QUDAG_OK;
}

static size_t written(const struct onion_hop *hop, uint8_t buf[ONION_ENDS_MAX])
{
    struct wr w = wr_init(buf, ONION_ENDS_MAX);

    onion_ends_put(&w, hop);
    assert_true(wr_ok(&w));
    return w.len;
}

static void a_statement_survives_the_wire_and_no_change_does(void **state)
{
    uint8_t buf[ONION_ENDS_MAX];
    struct onion_hop hop, got;
    (void)state;

    make(&hop, 2, 0);
    assert_int_equal(onion_ends_sign(&hop, NOW + 3600, &id), QUDAG_OK);
    size_t len = written(&hop, buf);
    for (size_t at = 0; at <= len; at++) { /* the last round changes nothing */
        memset(&got, 0, sizeof got);
        got.peer = hop.peer;
        if (at < len) {
            buf[at] ^= 1;
        }
        qudag_err err = onion_ends_get(&got, (struct slice){buf, len});
        if (err == QUDAG_OK) {
            err = onion_ends_check(&got, NOW);
        }
        assert_int_equal(err == QUDAG_OK, at == len);
        if (at < len) {
            buf[at] ^= 1;
            assert_int_equal(onion_ends_get(&got, (struct slice){buf, at}), QUDAG_EMALFORMED);
        }
    }
    assert_memory_equal(got.pq_hash, hop.pq_hash, 32);
    assert_true(multiaddr_eq(&got.addr[1], &hop.addr[1]));
    peer_id_from_ed25519(&got.peer, other.ed_pk); /* nobody else's */
    assert_int_equal(onion_ends_check(&got, NOW), QUDAG_EAUTH);
}

static void it_holds_for_a_day_at_most(void **state)
{
    static const struct {
        int64_t until;
        qudag_err err;
    } rows[] = {
        {0, QUDAG_OK},           {-599, QUDAG_OK},
        {-600, QUDAG_EEXPIRED},  {-100000, QUDAG_EEXPIRED},
        {86400 + 600, QUDAG_OK}, {86400 + 601, QUDAG_ECLOCK},
    };
    struct onion_hop hop;
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        make(&hop, 1, 0);
        assert_int_equal(onion_ends_sign(&hop, NOW + rows[i].until, &id), QUDAG_OK);
        assert_int_equal(onion_ends_check(&hop, NOW), rows[i].err);
    }
    assert_int_equal(onion_ends_check(&hop, -1), QUDAG_ECLOCK);
}

static void only_the_peer_itself_signs(void **state)
{
    struct onion_hop hop;
    (void)state;

    make(&hop, 1, 0);
    assert_int_equal(onion_ends_sign(&hop, NOW, &other), QUDAG_EINVAL);
    assert_int_equal(onion_ends_sign(&hop, -1, &id), QUDAG_EINVAL);
}

static void addresses_that_do_not_fit_are_left_out_before_it_is_signed(void **state)
{
    uint8_t buf[ONION_ENDS_MAX];
    struct onion_hop hop, got;
    (void)state;

    make(&hop, ONION_ADDRS_MAX, 0);
    for (size_t i = 0; i < ONION_ADDRS_MAX; i++) {
        hop.addr[i].len = 150; /* as long as a relayed one; what is in it does not matter here */
    }
    assert_int_equal(onion_ends_sign(&hop, NOW, &id), QUDAG_OK);
    assert_int_equal(hop.n_addrs, 2);
    assert_int_equal(onion_ends_check(&hop, NOW), QUDAG_OK);
    make(&hop, ONION_ADDRS_MAX, 40); /* four usual ones fit */
    assert_int_equal(onion_ends_sign(&hop, NOW, &id), QUDAG_OK);
    assert_int_equal(hop.n_addrs, 4);
    got.peer = hop.peer;
    assert_int_equal(onion_ends_get(&got, (struct slice){buf, written(&hop, buf)}), QUDAG_OK);
    assert_int_equal(onion_ends_check(&got, NOW), QUDAG_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_statement_survives_the_wire_and_no_change_does),
        cmocka_unit_test(it_holds_for_a_day_at_most),
        cmocka_unit_test(only_the_peer_itself_signs),
        cmocka_unit_test(addresses_that_do_not_fit_are_left_out_before_it_is_signed),
    };

    return cmocka_run_group_tests(tests, identities, NULL);
}
