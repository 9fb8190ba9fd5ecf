/*
 * testkit_child.h - expectations tried in a child, for what a process cannot take back.  For tests only.
 * Include cmocka.h before.
 *
 * A body returns 0, CHILD_SKIP where the machine lacks what it needs, or the line of the EXPECT() that did not hold.
 */
#ifndef QUDAG_BIN_TESTKIT_CHILD_H
#define QUDAG_BIN_TESTKIT_CHILD_H

#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILD_SKIP (-2)

#define EXPECT(what)                                                                               \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            return __LINE__;                                                                       \
        }                                                                                          \
    } while (0)

static inline void in_a_child(int (*body)(void))
{
    int pipes[2], line = -1, status;
    assert_int_equal(pipe(pipes), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        line = body();
        (void)!write(pipes[1], &line, sizeof(line));
        _exit(0);
    }
    (void)close(pipes[1]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(read(pipes[0], &line, sizeof(line)), sizeof(line));
    (void)close(pipes[0]);
    if (line == CHILD_SKIP) {
        skip();
    }
    if (line != 0) {
        fail_msg("expectation in line %d", line);
    }
}

#endif
