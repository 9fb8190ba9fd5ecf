/* state_test.c - what the folder of a node does when the disk takes no more. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "state.h"

/* No file may be larger than |len| bytes from now on: a disk that is full, as far as writing goes. */
static void limit(rlim_t len)
{
    struct rlimit l;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &l), 0);
    l.rlim_cur = len > l.rlim_max ? l.rlim_max : len;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &l), 0);
}

static qudag_err save(struct state *s, const char *name, size_t len)
{
    static const uint8_t bytes[STATE_ITEM_MAX];
    return state_save(s, name, (qudag_slice){bytes, len});
}

static void what_cannot_be_saved_is_known_until_it_can(void **state)
{
    static struct state s;
    char top[] = "/tmp/qudag-state-XXXXXX", path[PATH_LEN];
    (void)state;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_non_null(mkdtemp(top));
    assert_int_equal(state_open(&s, top), DAEMON_OK);
    assert_true(path_join(path, top, "state"));
    assert_true(mkdir(path, 0700) == 0 || access(path, W_OK) == 0);
    assert_int_equal(save(&s, "guards", 100), QUDAG_OK);
    assert_true(state_saves(&s));
    limit(4096);
    assert_int_equal(save(&s, "guards", 5000), QUDAG_ESYSTEM);
    assert_false(state_saves(&s));
    assert_non_null(strstr(s.why, "File too large"));
    assert_int_equal(save(&s, "relay-seq", 8),
                     QUDAG_OK); /* a smaller one, which says nothing of that */
    assert_int_equal(save(&s, "dark-x", 0), QUDAG_OK);
    assert_false(state_saves(&s));
    assert_true(path_join(path, top, "state/guards"));
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 100); /* as it was */
    limit(RLIM_INFINITY);
    assert_true(state_saves(&s));
    limit(4096);
    assert_true(state_saves(&s)); /* nothing has failed since */
    limit(RLIM_INFINITY);
    assert_true(path_join(path, top, "state/.room"));
    assert_int_not_equal(access(path, F_OK), 0);
    state_close(&s);
    static const char *const left[] = {"state/guards", "state/relay-seq", "state", "lock", ""};
    for (size_t ix = 0; ix < sizeof(left) / sizeof(left[0]); ix++) {
        assert_true(path_join(path, top, left[ix]));
        assert_int_equal(remove(path), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_cannot_be_saved_is_known_until_it_can),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
