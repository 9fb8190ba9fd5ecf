/*
 * solver.c - see solver.h.
 *
 *   loop's thread: add ─▶ tasks ─▶ solver's thread, in turn ─▶ solved ─▶ io_post ─▶ loop's thread: done
 */
#include "io/solver.h"

#include "base/list.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#define TURN_TRIES 32 /* of one task: some milliseconds */

struct task {
    struct list node;
    uint64_t id;
    struct rend_work_task work;
    uint64_t nonce, left; /* the next one, and how many more are tried */
    qudag_err err;        /* in |solved| */
    bool dropped;         /* while the thread has it */
};

struct solver {
    struct io *io;
    solver_done done;
    void *ctx;
    pthread_t thread;
    pthread_mutex_t lock; /* guards all that follows */
    pthread_cond_t wake;
    struct list tasks, solved;
    struct task *at; /* which the thread has; in no list */
    uint32_t n;
    bool closing;
};

/* Tells what is solved.  The owner may add and drop from there. */
static void collect(void *solver, void *unused)
{
    struct solver *s = solver;
    (void)unused;

    for (;;) {
        (void)pthread_mutex_lock(&s->lock);
        struct task *t =
            list_empty(&s->solved) ? NULL : LIST_ENTRY(s->solved.next, struct task, node);
        if (t != NULL) {
            list_del(&t->node);
            s->n--;
        }
        (void)pthread_mutex_unlock(&s->lock);
        if (t == NULL) {
            return;
        }
        s->done(s->ctx, t->id, t->err, t->nonce);
        free(t);
    }
}

/* One turn of a task, without the lock; whether it is over. */
static bool work_on(struct task *t)
{
    uint64_t n = t->left < TURN_TRIES ? t->left : TURN_TRIES;

    t->err = rend_work_solve(&t->work, &t->nonce, n);
    t->left -= n;
    return t->err != QUDAG_ENOTFOUND || t->left == 0;
}

/* Puts back what the thread had; with the lock.  True: something is to be told. */
static bool put_back(struct solver *s, struct task *t, bool over)
{
    s->at = NULL;
    if (t->dropped) {
        s->n--;
        free(t);
        return false;
    }
    list_push_back(over ? &s->solved : &s->tasks, &t->node);
    return over;
}

static void *run(void *solver)
{
    struct solver *s = solver;

    (void)pthread_mutex_lock(&s->lock);
    while (!s->closing) {
        if (list_empty(&s->tasks)) {
            (void)pthread_cond_wait(&s->wake, &s->lock);
            continue;
        }
        struct task *t = LIST_ENTRY(s->tasks.next, struct task, node);
        list_del(&t->node);
        s->at = t;
        (void)pthread_mutex_unlock(&s->lock);
        bool over = work_on(t);
        (void)pthread_mutex_lock(&s->lock);
        if (put_back(s, t, over)) {
            (void)pthread_mutex_unlock(&s->lock);
            (void)io_post(s->io, collect, s, NULL); /* refused: with the next one, or never */
            (void)pthread_mutex_lock(&s->lock);
        }
    }
    (void)pthread_mutex_unlock(&s->lock);
    return NULL;
}

qudag_err solver_new(struct solver **out, struct io *io, solver_done done, void *ctx)
{
    struct solver *s = calloc(1, sizeof(*s));
    sigset_t all, before;

    *out = s;
    if (s == NULL) {
        return QUDAG_ENOMEM;
    }
    s->io = io;
    s->done = done;
    s->ctx = ctx;
    list_init(&s->tasks);
    list_init(&s->solved);
    (void)pthread_mutex_init(&s->lock, NULL);
    (void)pthread_cond_init(&s->wake, NULL);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&s->thread, NULL, run, s);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed != 0) {
        (void)pthread_cond_destroy(&s->wake);
        (void)pthread_mutex_destroy(&s->lock);
        free(s);
        *out = NULL;
        return QUDAG_ESYSTEM;
    }
    return QUDAG_OK;
}

static void free_list(struct list *l)
{
    LIST_EACH_SAFE(it, tmp, l)
    {
        free(LIST_ENTRY(it, struct task, node));
    }
}

void solver_free(struct solver *s)
{
    if (s == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&s->lock);
    s->closing = true;
    (void)pthread_cond_signal(&s->wake);
    (void)pthread_mutex_unlock(&s->lock);
    (void)pthread_join(s->thread, NULL);
    (void)pthread_cond_destroy(&s->wake);
    (void)pthread_mutex_destroy(&s->lock);
    free_list(&s->tasks);
    free_list(&s->solved);
    free(s);
}

qudag_err solver_add(struct solver *s, uint64_t id, const struct rend_work_task *task)
{
    struct task *t = calloc(1, sizeof(*t));
    qudag_err err = t == NULL ? QUDAG_ENOMEM : QUDAG_OK;

    if (err != QUDAG_OK) {
        return err;
    }
    t->id = id;
    t->work = *task;
    t->left = rend_work_tries(task->effort);
    (void)pthread_mutex_lock(&s->lock);
    if (s->n >= SOLVER_TASKS_MAX) {
        err = QUDAG_ELIMIT;
    } else {
        s->n++;
        list_push_back(&s->tasks, &t->node);
        (void)pthread_cond_signal(&s->wake);
    }
    (void)pthread_mutex_unlock(&s->lock);
    if (err != QUDAG_OK) {
        free(t);
    }
    return err;
}

/* Removes the task from |l|; false: it is not there. */
static bool remove_from(struct solver *s, struct list *l, uint64_t id)
{
    LIST_EACH_SAFE(it, tmp, l)
    {
        struct task *t = LIST_ENTRY(it, struct task, node);
        if (t->id == id) {
            list_del(&t->node);
            s->n--;
            free(t);
            return true;
        }
    }
    return false;
}

void solver_drop(struct solver *s, uint64_t id)
{
    if (s == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&s->lock);
    if (!remove_from(s, &s->tasks, id) && !remove_from(s, &s->solved, id) && s->at != NULL &&
        s->at->id == id) {
        s->at->dropped = true;
    }
    (void)pthread_mutex_unlock(&s->lock);
}
