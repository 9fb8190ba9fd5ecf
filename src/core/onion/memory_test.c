/*
 * memory_test.c - circuits: what a node has in its memory of them, while they are open and after.
 * TEST: timeout=300
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/wipe.h"
#include "core/onion/testnet_case.h"

#define LEDGER_MAX 8192

/* Allocations that are never given back to the system, so that they can be searched. */
struct ledger {
    size_t n;
    struct {
        uint8_t *p;
        size_t len;
        bool freed;
    } v[LEDGER_MAX];
};

static void *ledger_alloc(void *ctx, size_t size)
{
    struct ledger *l = ctx;

    assert_true(l->n < LEDGER_MAX);
    l->v[l->n].p = aligned_alloc(16, (size + 15) / 16 * 16);
    l->v[l->n].len = size;
    l->v[l->n].freed = false;
    return l->v[l->n++].p;
}

static void ledger_free(void *ctx, void *p)
{
    struct ledger *l = ctx;

    for (size_t i = 0; i < l->n; i++) {
        if (l->v[i].p == p) {
            assert_false(l->v[i].freed);
            l->v[i].freed = true;
            return;
        }
    }
    fail();
}

static bool ledger_has(const struct ledger *l, const void *bytes, size_t len)
{
    for (size_t i = 0; i < l->n; i++) {
        if (memmem(l->v[i].p, l->v[i].len, bytes, len) != NULL) {
            return true;
        }
    }
    return false;
}

static void ledger_fini(struct ledger *l)
{
    for (size_t i = 0; i < l->n; i++) {
        free(l->v[i].p);
    }
    free(l);
}

static void a_relay_knows_its_neighbours_and_nobody_else(void **state)
{
    struct testnet *n = malloc(sizeof *n);
    struct ledger *l[5];
    struct mem_hooks hooks[5];

    (void)state;
    assert_non_null(n);
    net_init(n, 0);
    for (size_t i = 0; i < 5; i++) {
        l[i] = calloc(1, sizeof *l[i]);
        assert_non_null(l[i]);
        hooks[i] = (struct mem_hooks){l[i], ledger_alloc, ledger_free};
        n->hooks = &hooks[i];
        net_add(n, NULL);
    }
    n->nodes[4].app = APP_ECHO;
    struct ref c = built(n, 4);
    struct testnet_flow *f = net_open(n, c, 0);
    ASSERT(f != NULL);
    assert_int_equal(net_write(n, f, 0, 3000), QUDAG_OK);
    net_run(n);
    assert_int_equal(f->received, 3000);
    for (size_t i = 1; i < 5; i++) {
        for (size_t j = 0; j < 5; j++) { /* not even in memory it has given back */
            bool near = j + 1 >= i && j <= i + 1;
            assert_int_equal(ledger_has(l[i], n->nodes[j].id.b, n->nodes[j].id.len), near);
        }
        struct onion_info info;
        assert_int_equal(onion_info_get(n->nodes[i].o, inner(n, i)->ref, &info), QUDAG_OK);
        assert_int_equal(info.role, i == 4 ? ONION_END : ONION_RELAY);
        assert_true(peer_id_eq(&info.prev, &n->nodes[i - 1].id));
        assert_int_equal(info.path[0].len, 0);
        assert_int_equal(info.hops, 0);
        assert_int_not_equal(info.via, 0); /* a name, and its network: no address */
        assert_int_equal(info.net, netaddr_wide_group(NET_OF(i - 1)));
    }
    net_fini(n);
    for (size_t i = 0; i < 5; i++) {
        ledger_fini(l[i]);
    }
    free(n);
}

static void keys_are_gone_from_memory_once_a_circuit_is_closed(void **state)
{
    struct testnet *n = malloc(sizeof *n);
    struct ledger *l[3];
    struct mem_hooks hooks[3];

    (void)state;
    assert_non_null(n);
    net_init(n, 0);
    for (size_t i = 0; i < 3; i++) {
        l[i] = calloc(1, sizeof *l[i]);
        assert_non_null(l[i]);
        hooks[i] = (struct mem_hooks){l[i], ledger_alloc, ledger_free};
        n->hooks = &hooks[i];
        net_add(n, NULL);
    }
    struct ref c = built(n, 2);
    struct testnet_flow *f = net_open(n, c, 0);
    ASSERT(f != NULL);
    assert_int_equal(net_write(n, f, 0, 2000), QUDAG_OK);
    net_run(n);
    struct cgo copy[3];
    for (size_t i = 0; i < 3; i++) {
        memcpy(&copy[i], inner(n, i)->hops.fwd, sizeof copy[i]);
        assert_true(ledger_has(l[i], &copy[i], 64));
    }
    assert_true(ledger_has(l[0], n->nodes[2].id.b, n->nodes[2].id.len));
    onion_close(n->nodes[0].o, c, n->now, &n->out);
    net_drain(n, 0);
    net_run(n);
    assert_int_equal(all_circuits(n), 0);
    for (size_t i = 0; i < 3; i++) {
        size_t searched = 0;
        for (size_t at = 0; at + 16 <= sizeof copy[i]; at += 16) {
            if (!ct_is_zero(copy[i].opaque + at, 12)) { /* padding of the state proves nothing */
                assert_false(ledger_has(l[i], copy[i].opaque + at, 16));
                searched++;
            }
        }
        assert_true(searched > 10);
    }
    assert_false(
        ledger_has(l[0], n->nodes[2].id.b, n->nodes[2].id.len)); /* the path is gone, too */
    net_fini(n);
    for (size_t i = 0; i < 3; i++) {
        ledger_fini(l[i]);
    }
    free(n);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    for (size_t node = 0; node < 4; node++) {
        bool failed = true;
        for (uint64_t at = 1; failed; at++) {
            struct testnet *n = net_new(4);
            struct ref c;
            n->nodes[3].app = APP_ECHO;
            n->nodes[node].mem.fail_at = at;
            qudag_err err = net_build(n, 1, 3, &c);
            if (err == QUDAG_OK) {
                net_run(n);
                struct testnet_flow *f = net_open(n, c, 1);
                if (f != NULL && net_write(n, f, 0, 5000) == QUDAG_OK) {
                    net_run(n);
                    assert_int_equal(f->wrong, 0);
                    onion_stream_fin(n->nodes[0].o, c, f->sid, n->now, &n->out);
                    net_drain(n, 0);
                }
                net_run(n);
                onion_close(n->nodes[0].o, c, n->now, &n->out);
                net_drain(n, 0);
                net_run(n);
            }
            failed = n->nodes[node].mem.refused > 0;
            net_sleep(n, ONION_BUILD_TIMEOUT);
            net_sleep(n, ONION_CLOSE_TIMEOUT);
            assert_int_equal(all_circuits(n), 0);
            net_del(n); /* which checks that all memory came back */
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_relay_knows_its_neighbours_and_nobody_else),
        cmocka_unit_test(keys_are_gone_from_memory_once_a_circuit_is_closed),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
