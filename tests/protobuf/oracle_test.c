/*
 * oracle_test.c - messages that Google's protobuf encoded are read and written again by ours, and read by theirs.
 *
 * TEST: timeout=60
 */
#include "base/rd.h"
#include "wire/identify_msg.h"
#include "wire/kad_msg.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define LEN_MAX 65536

static char theirs[64], ours[64];

static int run(const char *what, const char *a, const char *b)
{
    char script[512];
    const char *src = getenv("QUDAG_SRC");
    int status;

    assert_non_null(src);
    (void)snprintf(script, sizeof script, "%s/tests/protobuf/oracle.py", src);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)execl("/usr/bin/python3", "python3", script, what, a, b, (char *)NULL);
        _exit(77);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static size_t kademlia(uint8_t *out, struct slice in)
{
    static struct kad_peer_info closer[KAD_PEERS_MAX], providers[KAD_PEERS_MAX];
    struct kad_msg m = {.closer = closer, .providers = providers};
    size_t dropped = 0, len = 0;

    assert_int_equal(kad_msg_decode(&m, &dropped, in), QUDAG_OK);
    assert_int_equal(dropped, 0);
    assert_int_equal(kad_msg_encode(out, LEN_MAX, &len, &m), QUDAG_OK);
    return len;
}

static size_t identify(uint8_t *out, struct slice in)
{
    static struct identify_msg m;
    size_t len = 0;

    memset(&m, 0, sizeof m);
    assert_int_equal(identify_msg_merge(&m, in), QUDAG_OK);
    assert_int_equal(identify_msg_encode(out, LEN_MAX, &len, &m), QUDAG_OK);
    return len;
}

static void convert(FILE *from, FILE *to)
{
    static uint8_t in[LEN_MAX], out[LEN_MAX];
    uint8_t head[5];

    while (fread(head, 1, sizeof head, from) == sizeof head) {
        struct rd r = rd_init((struct slice){head + 1, 4});
        size_t len = rd_u32(&r);
        assert_true(len <= sizeof in);
        assert_int_equal(fread(in, 1, len, from), len);
        struct slice s = {in, len};
        size_t n = head[0] == 'k' ? kademlia(out, s) : identify(out, s);
        r = rd_init((struct slice){out, n});
        struct slice body = rd_lp(&r, LEN_MAX);
        assert_true(rd_done(&r));
        for (size_t i = 0; i < 4; i++) {
            head[1 + i] = (uint8_t)(body.len >> (24 - 8 * i));
        }
        assert_int_equal(fwrite(head, 1, sizeof head, to), sizeof head);
        assert_int_equal(fwrite(body.base, 1, body.len, to), body.len);
    }
}

static void messages_of_the_reference_go_both_ways(void **state)
{
    (void)state;
    (void)snprintf(theirs, sizeof theirs, "/tmp/qudag-oracle-%ld.theirs", (long)getpid());
    (void)snprintf(ours, sizeof ours, "/tmp/qudag-oracle-%ld.ours", (long)getpid());
    int rc = run("make", theirs, NULL);
    if (rc == 77) {
        print_message("skipped: /usr/bin/python3 has no google.protobuf (python3-protobuf)\n");
        skip();
    }
    assert_int_equal(rc, 0);
    FILE *from = fopen(theirs, "rb"), *to = fopen(ours, "wb");
    assert_non_null(from);
    assert_non_null(to);
    convert(from, to);
    assert_int_equal(fclose(from), 0);
    assert_int_equal(fclose(to), 0);
    assert_int_equal(run("check", theirs, ours), 0);
    (void)unlink(theirs);
    (void)unlink(ours);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_of_the_reference_go_both_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
