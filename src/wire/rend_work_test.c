/* rend_work_test.c - the proof of work: the model's values, what it is bound to, what it costs, what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "crypto/init.h"
#include "wire/rend_work.h"
#include "wire/testkit_vectors.h"

#define VECTORS "tests/vectors/rend-work.json"

static struct {
    uint8_t seed[REND_WORK_SEED_LEN], addr[REND_ADDR_LEN], key[ED25519_PK_LEN], X[X25519_LEN];
} of;

static qudag_err solve(const struct rend_work_task *t, uint64_t *nonce)
{
    *nonce = 0;
    return rend_work_solve(t, nonce, rend_work_tries(t->effort));
}

static struct rend_work_task task(uint32_t effort)
{
    struct rend_work_task t;

    rend_work_task_make(&t, of.seed, effort, of.addr, of.key, of.X);
    return t;
}

static void the_models_proofs_are_found_and_hold(void **state)
{
    char *text = vectors_read(VECTORS);
    const char *at = text;
    unsigned cases = 0;

    (void)state;
    while ((at = strstr(at, "\"seed\"")) != NULL) {
        uint8_t challenge[32], ext[REND_WORK_EXT_LEN], again[REND_WORK_EXT_LEN];
        struct rend_work work;
        uint64_t nonce;
        (void)vectors_hex(at, "seed", of.seed, sizeof of.seed);
        (void)vectors_hex(at, "address", of.addr, sizeof of.addr);
        (void)vectors_hex(at, "intro_key", of.key, sizeof of.key);
        (void)vectors_hex(at, "X", of.X, sizeof of.X);
        (void)vectors_hex(at, "challenge", challenge, sizeof challenge);
        assert_int_equal(vectors_hex(at, "extension", ext, sizeof ext), sizeof ext);
        assert_int_equal(rend_work_get((struct slice){ext, sizeof ext}, &work), QUDAG_OK);
        struct rend_work_task t = task(work.effort);
        assert_memory_equal(t.challenge, challenge, sizeof challenge);
        assert_int_equal(solve(&t, &nonce), QUDAG_OK);
        assert_int_equal(nonce, work.nonce); /* the first one from 0 on, as in the model */
        assert_memory_equal(work.seed_id, of.seed, sizeof work.seed_id);
        rend_work_put(again, &work);
        assert_memory_equal(again, ext, sizeof ext);
        cases++;
        at++;
    }
    assert_int_equal(cases, 3);
    free(text);
}

/* A nonce that proves |effort| for one challenge proves it for another by chance only: one in |effort|. */
static void a_proof_is_of_use_for_what_it_was_made_for(void **state)
{
    uint8_t *part[] = {of.seed, of.addr, of.key, of.X};
    uint64_t nonce;

    (void)state;
    memset(&of, 7, sizeof of);
    struct rend_work_task good = task(60);
    assert_int_equal(solve(&good, &nonce), QUDAG_OK);
    assert_int_equal(rend_work_check(&good, nonce), QUDAG_OK);
    unsigned held = 0;
    for (size_t i = 0; i < 4; i++) {
        for (uint8_t bit = 1; bit != 0; bit = (uint8_t)(bit << 1)) {
            part[i][3] ^= bit;
            struct rend_work_task other = task(60);
            assert_memory_not_equal(other.challenge, good.challenge, 32);
            held += rend_work_check(&other, nonce) == QUDAG_OK ? 1 : 0;
            part[i][3] ^= bit;
        }
    }
    assert_in_range(held, 0, 3); /* of 32 */
    held = 0;
    for (uint32_t effort = 61; effort < 93;
         effort++) { /* nor is luck sold for more than was tried for */
        struct rend_work_task more = task(effort);
        held += rend_work_check(&more, nonce) == QUDAG_OK ? 1 : 0;
    }
    assert_in_range(held, 0, 3);
}

static void effort_is_how_many_are_tried(void **state)
{
    uint64_t tried = 0, nonce;

    (void)state;
    memset(&of, 9, sizeof of);
    for (uint8_t i = 0; i < 100; i++) {
        of.X[0] = i;
        struct rend_work_task t = task(20);
        assert_int_equal(solve(&t, &nonce), QUDAG_OK);
        tried += nonce + 1;
    }
    assert_in_range(tried, 1500, 2500); /* 2000 +- 200 */
    assert_int_equal(rend_work_tries(UINT32_MAX), UINT64_C(16) * UINT32_MAX);
}

static void work_can_be_done_bit_by_bit(void **state)
{
    uint64_t nonce, again = 0;
    unsigned parts = 0;

    (void)state;
    memset(&of, 11, sizeof of);
    struct rend_work_task t = task(60), none = task(0);
    assert_int_equal(solve(&t, &nonce), QUDAG_OK);
    for (; rend_work_solve(&t, &again, 1) == QUDAG_ENOTFOUND; parts++) {
    }
    assert_int_equal(again, nonce);
    assert_int_equal(parts, nonce);
    assert_int_equal(rend_work_solve(&t, &again, 0), QUDAG_ENOTFOUND);
    assert_int_equal(solve(&none, &nonce), QUDAG_ENOTFOUND);
    assert_int_equal(rend_work_check(&none, 0), QUDAG_EAUTH);
}

static void what_is_no_extension_is_refused(void **state)
{
    const struct rend_work work = {.effort = 3, .nonce = UINT64_MAX};
    uint8_t list[3 + REND_WORK_EXT_LEN] = {9, 0, 0};
    struct rend_work got;

    (void)state;
    rend_work_put(list + 3, &work);
    assert_int_equal(rend_work_get((struct slice){list, sizeof list}, &got), QUDAG_OK);
    assert_int_equal(got.effort, 3);
    assert_true(got.nonce == UINT64_MAX);
    assert_int_equal(rend_work_get((struct slice){list, 3}, &got), QUDAG_ENOTFOUND);
    assert_int_equal(rend_work_get((struct slice){NULL, 0}, &got), QUDAG_ENOTFOUND);
    list[5]--; /* one byte too short; one too many is cut by the list */
    assert_int_equal(rend_work_get((struct slice){list, sizeof list - 1}, &got), QUDAG_EAUTH);
    list[5]++;
    list[3 + 3 + 8 + 3] = 0; /* effort 0 */
    assert_int_equal(rend_work_get((struct slice){list, sizeof list}, &got), QUDAG_EAUTH);
    uint8_t longer[4 + REND_WORK_EXT_LEN] = {1, 0, 21};
    longer[14] = 1;
    assert_int_equal(rend_work_get((struct slice){longer, 24}, &got), QUDAG_EAUTH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_models_proofs_are_found_and_hold),
        cmocka_unit_test(a_proof_is_of_use_for_what_it_was_made_for),
        cmocka_unit_test(effort_is_how_many_are_tried),
        cmocka_unit_test(work_can_be_done_bit_by_bit),
        cmocka_unit_test(what_is_no_extension_is_refused),
    };
    if (crypto_init() != QUDAG_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
