/* testkit_work.h - handshakes with a proof of work, as callers make them. */
#ifndef QUDAG_SRC_CORE_HIDDEN_TESTKIT_WORK_H
#define QUDAG_SRC_CORE_HIDDEN_TESTKIT_WORK_H

#include "core/hidden/testkit_case.h"

/* Whom a handshake for the point |ix| of |t| is for, and where its caller waits: at relay |r|. */
static inline void whom(struct bed *b, const struct hidden_target *t, size_t ix, uint8_t r,
                        struct rend_target *to, struct rend_point *at)
{
    memcpy(to->addr, b->addr, sizeof to->addr);
    memcpy(to->intro_key, t->point[ix].intro_key, sizeof to->intro_key);
    memcpy(to->x, t->keys[0].x, sizeof to->x);
    memcpy(to->k, t->keys[0].k, sizeof to->k);
    relay_set(b, &at->relay, r);
    rng_fill(&b->rng, at->cookie, sizeof at->cookie);
}

/* make_handshake() with the extensions |ext|. */
static inline void make_with(struct bed *b, const struct hidden_target *t, size_t ix, uint8_t r,
                             struct slice ext, uint8_t handshake[REND_HS_LEN])
{
    struct rend_target to;
    struct rend_point at;
    struct rend_hs_caller h;

    whom(b, t, ix, r, &to, &at);
    assert_int_equal(rend_hs_create(&h, &to, &at, ext, &b->rng, handshake), QUDAG_OK);
    rend_hs_drop(&h);
}

/* make_handshake() with a proof of |effort|, which is returned; 0: without. */
static inline struct rend_work make_proof(struct bed *b, const struct hidden_target *t, size_t ix,
                                          uint8_t r, uint32_t effort,
                                          uint8_t handshake[REND_HS_LEN])
{
    struct rend_work work = {.effort = effort};
    uint8_t ext[REND_WORK_EXT_LEN];
    struct rend_work_task task;
    struct rend_target to;
    struct rend_point at;
    struct rend_hs_caller h;

    whom(b, t, ix, r, &to, &at);
    assert_int_equal(rend_hs_draw(&h, &b->rng), QUDAG_OK);
    rend_work_task_make(&task, t->work.seed, effort, to.addr, to.intro_key, h.X);
    memcpy(work.seed_id, t->work.seed, sizeof work.seed_id);
    if (effort > 0) {
        assert_int_equal(rend_work_solve(&task, &work.nonce, rend_work_tries(effort)), QUDAG_OK);
    }
    rend_work_put(ext, &work);
    const struct slice list = {ext, effort > 0 ? sizeof ext : 0};
    assert_int_equal(rend_hs_seal(&h, &to, &at, list, &b->rng, handshake), QUDAG_OK);
    rend_hs_drop(&h);
    return work;
}

#endif
