/* solver_test.c - proofs of work on the solver's thread, told on the loop's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "crypto/init.h"
#include "io/solver.h"

#include <pthread.h>
#include <string.h>
#include <time.h>
#include <uv.h>

static struct {
    unsigned told;
    uint64_t id[SOLVER_TASKS_MAX], nonce[SOLVER_TASKS_MAX];
    qudag_err err;
    pthread_t on;
} t;

static struct rend_work_task task(uint8_t which, uint32_t effort)
{
    struct rend_work_task w = {.effort = effort};

    memset(w.challenge, which, sizeof(w.challenge));
    return w;
}

static void done(void *ctx, uint64_t id, qudag_err err, uint64_t nonce)
{
    assert_ptr_equal(ctx, &t);
    assert_true(t.told < SOLVER_TASKS_MAX);
    t.id[t.told] = id;
    t.nonce[t.told++] = nonce;
    t.err = err;
    t.on = pthread_self();
}

static struct io *loop(void)
{
    const struct netaddr a = {.family = 4, .ip = {127, 0, 0, 1}};
    struct io *io;
    struct io_failure why;

    memset(&t, 0, sizeof(t));
    assert_int_equal(io_new(&io, NULL, &a, 1, &why), QUDAG_OK);
    return io;
}

/* One turn of the loop, which has no node. */
static void turn(struct io *io)
{
    const struct timespec ms = {.tv_nsec = 1000000};

    (void)uv_run(io_loop(io), UV_RUN_NOWAIT);
    (void)nanosleep(&ms, NULL);
}

/* Until |n| were told, for a minute at most. */
static void wait_for(struct io *io, unsigned n)
{
    tstamp end = io_now() + 60 * NS_PER_S;

    while (t.told < n && io_now() < end) {
        turn(io);
    }
    assert_int_equal(t.told, n);
}

static void end(struct io *io, struct solver *s)
{
    io_shutdown(io);
    solver_free(s);
    io_free(io);
}

static void what_is_solved_is_told_on_the_loops_thread(void **state)
{
    struct rend_work_task w = task(1, 50), small = task(2, 1);
    struct io *io = loop();
    struct solver *s;
    (void)state;

    assert_int_equal(solver_new(&s, io, done, &t), QUDAG_OK);
    assert_int_equal(solver_add(s, 7, &w), QUDAG_OK);
    wait_for(io, 1);
    assert_int_equal(t.id[0], 7);
    assert_int_equal(t.err, QUDAG_OK);
    assert_int_equal(rend_work_check(&w, t.nonce[0]), QUDAG_OK);
    assert_true(pthread_equal(t.on, pthread_self()));
    assert_int_equal(solver_add(s, 8, &small), QUDAG_OK); /* it woke up again */
    wait_for(io, 2);
    end(io, s);
}

/* A task that takes for ever keeps none waiting, and is dropped while it is worked on. */
static void tasks_share_the_thread(void **state)
{
    struct rend_work_task large = task(3, UINT32_MAX);
    struct io *io = loop();
    struct solver *s;
    (void)state;

    assert_int_equal(solver_new(&s, io, done, &t), QUDAG_OK);
    assert_int_equal(solver_add(s, 1, &large), QUDAG_OK);
    assert_int_equal(solver_add(s, 2, &large), QUDAG_OK);
    for (uint8_t i = 0; i < 5; i++) {
        struct rend_work_task small = task((uint8_t)(10 + i), 20);
        assert_int_equal(solver_add(s, 10u + i, &small), QUDAG_OK);
    }
    solver_drop(s, 2);
    solver_drop(s, 12);
    wait_for(io, 4);
    solver_drop(s, 1);
    solver_drop(s, 1);
    solver_drop(s, 99);
    solver_drop(NULL, 1);
    struct rend_work_task small = task(20, 20);
    assert_int_equal(solver_add(s, 20, &small), QUDAG_OK);
    wait_for(io, 5);
    for (unsigned i = 0; i < 5; i++) {
        assert_true(t.id[i] >= 10 && t.id[i] != 12);
    }
    end(io, s);
}

/* The thread has the only task nearly all of the time. */
static void what_is_dropped_while_it_is_worked_on_leaves_its_place(void **state)
{
    struct rend_work_task large = task(5, UINT32_MAX);
    struct io *io = loop();
    struct solver *s;
    (void)state;

    assert_int_equal(solver_new(&s, io, done, &t), QUDAG_OK);
    assert_int_equal(solver_add(s, 1, &large), QUDAG_OK);
    for (unsigned i = 0; i < 50; i++) {
        turn(io);
    }
    solver_drop(s, 1);
    for (uint64_t i = 2; i <= SOLVER_TASKS_MAX; i++) {
        assert_int_equal(solver_add(s, i, &large), QUDAG_OK);
    }
    for (unsigned i = 0; solver_add(s, 100, &large) != QUDAG_OK; i++) {
        turn(io);
        assert_true(i < 10000);
    }
    end(io, s);
}

static void tasks_are_bounded_and_end_with_the_solver(void **state)
{
    struct rend_work_task large = task(4, UINT32_MAX);
    struct io *io = loop();
    struct solver *s;
    (void)state;

    assert_int_equal(solver_new(&s, io, done, &t), QUDAG_OK);
    for (uint64_t i = 0; i < SOLVER_TASKS_MAX; i++) {
        assert_int_equal(solver_add(s, i, &large), QUDAG_OK);
    }
    assert_int_equal(solver_add(s, 100, &large), QUDAG_ELIMIT);
    solver_drop(s, 40);
    /* 40 may be the one that is worked on, whose place is free when its turn is over */
    for (unsigned i = 0; i < 60000 && solver_add(s, 100, &large) != QUDAG_OK; i++) {
        turn(io);
        assert_true(i < 59999);
    }
    end(io, s);
    solver_free(NULL);
    assert_int_equal(t.told, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_solved_is_told_on_the_loops_thread),
        cmocka_unit_test(tasks_share_the_thread),
        cmocka_unit_test(what_is_dropped_while_it_is_worked_on_leaves_its_place),
        cmocka_unit_test(tasks_are_bounded_and_end_with_the_solver),
    };
    if (crypto_init() != QUDAG_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
