/* kept_test.c - the list of kept peers on disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "node/kept.h"

static struct node_keep_wish in[KEEP_MAX + 1], out[KEEP_MAX];
static uint8_t bytes[NODE_KEPT_BYTES_MAX + 100];

static void fill(void)
{
    struct netaddr a = {.family = 4, .ip = {192, 0, 2, 1}, .port = 4001};

    memset(in, 0, sizeof in);
    for (size_t i = 0; i <= KEEP_MAX; i++) {
        uint8_t pk[32] = {(uint8_t)i, 1};
        peer_id_from_ed25519(&in[i].peer, pk);
        if (i % 2 == 0) {
            multiaddr_quic(&in[i].addr, &a, NULL);
        }
        in[i].has_pq = i % 3 == 0;
        memset(in[i].pq_hash, i % 3 == 0 ? 7 : 0, 32);
    }
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    fill();
    for (size_t n = 0; n <= KEEP_MAX; n++) {
        size_t got, len = node_kept_write(bytes, in, n);
        assert_int_not_equal(len, 0);
        assert_int_equal(node_kept_read(out, &got, (struct slice){bytes, len}), QUDAG_OK);
        assert_int_equal(got, n);
        for (size_t i = 0; i < n; i++) {
            assert_true(peer_id_eq(&out[i].peer, &in[i].peer));
            assert_int_equal(out[i].addr.len, in[i].addr.len);
            assert_int_equal(out[i].has_pq, in[i].has_pq);
            assert_memory_equal(out[i].pq_hash, in[i].pq_hash, 32);
        }
    }
}

static void what_is_cut_or_of_another_version_is_refused(void **state)
{
    size_t got, n_ok = 0;
    (void)state;

    fill();
    size_t len = node_kept_write(bytes, in, 3);
    for (size_t cut = 0; cut < len; cut++) { /* the ends of entries are ends of lists */
        qudag_err err = node_kept_read(out, &got, (struct slice){bytes, cut});
        n_ok += err == QUDAG_OK ? 1 : 0;
        assert_true(err == QUDAG_OK || (err == QUDAG_EMALFORMED && got == 0));
    }
    assert_int_equal(n_ok, 3);
    bytes[0] = 2;
    assert_int_equal(node_kept_read(out, &got, (struct slice){bytes, len}), QUDAG_EUNSUPPORTED);
    bytes[0] = 1;
    len = node_kept_write(bytes, &in[1], 1); /* one without a key: its last byte says so */
    assert_int_equal(bytes[len - 1], 0);
    bytes[len - 1] = 2;
    assert_int_equal(node_kept_read(out, &got, (struct slice){bytes, len}), QUDAG_EMALFORMED);
    len = node_kept_write(bytes, in, 3);
    bytes[len] = 0;
    assert_int_equal(node_kept_read(out, &got, (struct slice){bytes, len + 1}), QUDAG_EMALFORMED);
}

static void more_than_can_be_kept_is_refused(void **state)
{
    size_t got;
    (void)state;

    fill();
    size_t len = node_kept_write(bytes, in, KEEP_MAX);
    uint8_t more[3 + PEER_ID_MAX] = {in[0].peer.len};
    memcpy(more + 1, in[0].peer.b, in[0].peer.len);
    size_t n = 1 + (size_t)in[0].peer.len + 2;
    memcpy(bytes + len, more, n);
    assert_int_equal(node_kept_read(out, &got, (struct slice){bytes, len + n}), QUDAG_ETOOBIG);
    assert_int_equal(got, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(what_is_cut_or_of_another_version_is_refused),
        cmocka_unit_test(more_than_can_be_kept_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
