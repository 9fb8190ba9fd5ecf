/*
 * rend_memory_test.c - the handshake of kind 4 and ESTABLISH while the crypto library has no memory: it is said so,
 * what was begun is wiped or can be tried again, and no peer is blamed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/wipe.h"
#include "crypto/init.h"
#include "crypto/testkit_memory.h"
#include "wire/rend_handshake.h"

#include <string.h>

static struct {
    struct rend_keys keys;
    struct rend_target target;
    struct rend_point at;
    struct rng_stream stream;
    struct rng rng;
    struct rend_hs_caller caller;
    struct rend_hs_asked asked;
    struct onion_hs_keys theirs, ours;
    uint8_t handshake[REND_HS_LEN], created[REND_CREATED_LEN];
} t;

static qudag_err step_create(void)
{
    const struct slice none = {NULL, 0};

    return rend_hs_create(&t.caller, &t.target, &t.at, none, &t.rng, t.handshake);
}

static qudag_err step_open(void)
{
    const struct rend_hs_own own = {t.target.addr, t.target.intro_key, &t.keys};

    return rend_hs_open(&t.asked, &own, t.handshake);
}

static qudag_err step_answer(void)
{
    return rend_hs_answer(&t.asked, &t.rng, t.created, &t.ours);
}

static qudag_err step_finish(void)
{
    return rend_hs_finish(&t.caller, t.created, &t.theirs);
}

/*
 * |step| with its |n|-th allocation failing; whether it made that many.  It succeeds then only where the library can do
 * without that memory.
 */
static bool one_short(qudag_err (*step)(void), uint64_t n, qudag_err *err)
{
    unsigned before = failed;

    allowed = n;
    *err = step();
    allowed = NEVER;
    assert_true(*err == QUDAG_OK || *err == QUDAG_ENOMEM || *err == QUDAG_EINTERNAL);
    return failed != before;
}

/* |step| with one allocation after the other failing; what it leaves lies in |secret| and in |keys| (NULL: none). */
static void each_short(qudag_err (*step)(void), void *secret, size_t len,
                       struct onion_hs_keys *keys)
{
    static uint8_t before[sizeof(struct rend_hs_asked)];
    unsigned errors = 0;
    qudag_err err;
    uint64_t n = 0;

    assert_true(len <= sizeof before);
    memcpy(before, secret, len);
    while (one_short(step, n++, &err)) {
        if (err != QUDAG_OK) {
            errors++;
            assert_true(ct_is_zero(secret, len));
            assert_true(keys == NULL || ct_is_zero(keys, sizeof *keys));
        }
        if (step == step_create) {
            rend_hs_drop(&t.caller);
        }
        memcpy(secret, before, len);
    }
    assert_int_equal(err, QUDAG_OK);
    assert_true(errors > 0);
}

/* It keeps its state: the same CREATED is tried until there is memory. */
static void finish_can_be_tried_again(void)
{
    struct rend_hs_caller before = t.caller;
    qudag_err err = QUDAG_ENOMEM;
    unsigned errors = 0;

    for (uint64_t n = 0; err != QUDAG_OK; n++) {
        (void)one_short(step_finish, n, &err);
        if (err != QUDAG_OK) {
            errors++;
            assert_true(ct_is_zero(&t.theirs, sizeof t.theirs));
            assert_memory_equal(&t.caller, &before, sizeof before);
        }
    }
    assert_true(errors > 0);
    assert_memory_equal(&t.theirs, &t.ours, sizeof t.ours);
}

static void without_memory_nobody_is_blamed(void **state)
{
    uint8_t pk[32] = {9};
    (void)state;

    memset(t.target.addr, 0xad, sizeof t.target.addr);
    peer_id_from_ed25519(&t.at.relay.peer, pk);
    rng_stream_init(&t.stream, pk);
    t.rng = rng_of_stream(&t.stream);
    assert_int_equal(rend_keys_make(&t.keys, &t.rng), QUDAG_OK);
    memcpy(t.target.x, t.keys.x, sizeof t.target.x);
    memcpy(t.target.k, t.keys.k, sizeof t.target.k);
    memcpy(t.at.relay.k, t.keys.k, sizeof t.at.relay.k);
    each_short(step_create, &t.caller, sizeof t.caller, NULL);
    each_short(step_open, &t.asked, sizeof t.asked, NULL);
    each_short(step_answer, &t.asked, sizeof t.asked, &t.ours);
    finish_can_be_tried_again();
    rend_keys_fini(&t.keys);
}

static void without_memory_no_introduction_point_is_forged(void **state)
{
    const uint8_t binding[REND_BINDING_LEN] = {5};
    struct secret_ed25519 sk = {.seed = {3}};
    struct rend_establish e = {.rate = 1};
    (void)state;

    assert_int_equal(rend_establish_sign(&e, &sk, binding), QUDAG_OK);
    for (uint64_t n = 0;; n++) {
        unsigned before = failed;
        allowed = n;
        qudag_err err = rend_establish_check(&e, binding);
        allowed = NEVER;
        assert_int_not_equal(err, QUDAG_EAUTH);
        if (failed == before) {
            assert_int_equal(err, QUDAG_OK);
            break;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_memory_nobody_is_blamed),
        cmocka_unit_test(without_memory_no_introduction_point_is_forged),
    };

    if (!memory_install() || crypto_init() != QUDAG_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
