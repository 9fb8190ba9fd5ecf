#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/mss/mss.h"

#include <string.h>

#define HEAD "\x13/multistream/1.0.0\n"
#define PING "\x11/ipfs/ping/1.0.0\n"
#define ID "\x0f/ipfs/id/1.0.0\n"
#define NA "\x03na\n"
#define LS "\x03ls\n"

static const char *const protos[] = {"/ipfs/id/1.0.0", "/ipfs/ping/1.0.0"};

struct outcome {
    enum mss_result res;
    size_t used;
    size_t len;
    uint8_t reply[512];
};

/* Feeds |n| bytes in pieces of |step|. */
static struct outcome feed(struct mss *m, const char *in, size_t n, size_t step)
{
    struct outcome o = {.res = MSS_MORE};

    while (o.res == MSS_MORE && o.used < n) {
        size_t part = n - o.used < step ? n - o.used : step;
        size_t used = 0, len = 0;
        uint8_t reply[MSS_REPLY_MAX];
        struct slice s = {(const uint8_t *)in + o.used, part};
        o.res = mss_input(m, s, &used, reply, sizeof(reply), &len);
        assert_true(used <= part && o.len + len <= sizeof(o.reply));
        assert_true(used == part || o.res != MSS_MORE);
        memcpy(o.reply + o.len, reply, len);
        o.len += len;
        o.used += used;
    }
    return o;
}

struct script {
    const char *in;
    size_t in_len;
    enum mss_result res;
    size_t used; /* 0: all */
    const char *reply;
    size_t reply_len;
};
#define STR(s) s, sizeof(s) - 1

static void check(struct mss start, const struct script *c)
{
    for (size_t step = 1; step <= c->in_len; step++) {
        struct mss m = start;
        struct outcome o = feed(&m, c->in, c->in_len, step);
        assert_int_equal(o.res, c->res);
        assert_int_equal(o.used, c->used == 0 ? c->in_len : c->used);
        assert_int_equal(o.len, c->reply_len);
        assert_memory_equal(o.reply, c->reply, o.len);
    }
}

static void a_listener_answers_in_any_split(void **state)
{
    (void)state;
    static const struct script cases[] = {
        {STR(HEAD PING), MSS_DONE, 0, STR(HEAD PING)},
        {STR(HEAD PING "data"), MSS_DONE, 38, STR(HEAD PING)},
        {STR(HEAD PING HEAD), MSS_DONE, 38, STR(HEAD PING)},
        {STR(HEAD), MSS_MORE, 0, STR(HEAD)},
        {STR(HEAD "\x03/x\n" PING), MSS_DONE, 0, STR(HEAD NA PING)},
        {STR(HEAD LS ID), MSS_DONE, 0, STR(HEAD NA ID)},
        {STR(HEAD HEAD ID), MSS_DONE, 0, STR(HEAD NA ID)},
        {STR(HEAD "\x01\n" ID), MSS_DONE, 0, STR(HEAD NA ID)},
        {STR(HEAD "\x10/IPFS/ping/1.0.0\n"), MSS_FAIL, 37, STR(HEAD)}, /* 16 bytes, no newline */
        {STR(HEAD "\x11/IPFS/ping/1.0.0\n"), MSS_MORE, 0, STR(HEAD NA)},
        {STR(HEAD "\x0f/ipfs/ping/1.0\n"), MSS_MORE, 0, STR(HEAD NA)}, /* a prefix is no match */
        {STR(HEAD "\x10/ipfs/ping/1.0\n"), MSS_MORE, 0, STR(HEAD)},    /* a byte is missing */
        {STR(HEAD NA NA NA NA NA NA NA NA ID), MSS_FAIL, 52, STR(HEAD NA NA NA NA NA NA NA NA)},
        {STR(PING), MSS_FAIL, 18, STR("")},
        {STR("\x13/multistream/2.0.0\n"), MSS_FAIL, 0, STR("")},
        {STR("\x13/multistream/1.0.0 "), MSS_FAIL, 0, STR("")},
        {STR("\x00"), MSS_FAIL, 0, STR("")},          /* empty message */
        {STR("\x93\x00/"), MSS_FAIL, 2, STR("")},     /* length longer than needed */
        {STR("\x81\x08/"), MSS_FAIL, 2, STR("")},     /* 1025 bytes */
        {STR("\x80\x80\x01/"), MSS_FAIL, 2, STR("")}, /* three bytes of length */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct mss m;
        mss_listen(&m, protos, ARRAY_LEN(protos));
        check(m, &cases[i]);
    }
}

static void the_chosen_protocol_is_named(void **state)
{
    (void)state;
    struct mss m;

    mss_listen(&m, protos, ARRAY_LEN(protos));
    assert_int_equal(feed(&m, HEAD PING, 38, 100).res, MSS_DONE);
    assert_int_equal(mss_chosen(&m), 1);
    assert_string_equal(protos[mss_chosen(&m)], "/ipfs/ping/1.0.0");
}

static void a_long_proposal_is_refused_without_being_kept(void **state)
{
    (void)state;
    char in[20 + 2 + 1024 + 16];
    struct mss m;

    memcpy(in, HEAD, 20);
    in[20] = (char)0x80;
    in[21] = 0x08; /* 1024 */
    memset(in + 22, 'a', 1023);
    in[22 + 1023] = '\n';
    memcpy(in + 22 + 1024, ID, 16);
    mss_listen(&m, protos, ARRAY_LEN(protos));
    struct outcome o = feed(&m, in, sizeof(in), 7);
    assert_int_equal(o.res, MSS_DONE);
    assert_int_equal(o.len, 20 + 4 + 16);
    assert_memory_equal(o.reply, HEAD NA ID, o.len);
    in[22 + 1023] = 'a';
    mss_listen(&m, protos, ARRAY_LEN(protos));
    assert_int_equal(feed(&m, in, sizeof(in), 7).res, MSS_FAIL);
}

static void a_dialer_sends_header_and_proposal_at_once(void **state)
{
    (void)state;
    struct mss m = {0};
    uint8_t out[MSS_DIAL_MAX];
    size_t len = 0;

    assert_int_equal(mss_dial(&m, protos[1], out, sizeof(out), &len), QUDAG_OK);
    assert_int_equal(len, 38);
    assert_memory_equal(out, HEAD PING, len);
    assert_int_equal(mss_dial(&m, protos[1], out, sizeof(out), &len), QUDAG_ESTATE);
    static const struct script cases[] = {
        {STR(HEAD PING), MSS_DONE, 0, STR("")}, {STR(HEAD PING "echo"), MSS_DONE, 38, STR("")},
        {STR(HEAD NA), MSS_NA, 0, STR("")},     {STR(HEAD NA PING), MSS_NA, 24, STR("")},
        {STR(HEAD ID), MSS_FAIL, 0, STR("")},   {STR(HEAD LS), MSS_FAIL, 0, STR("")},
        {STR(HEAD HEAD), MSS_FAIL, 0, STR("")}, {STR(NA), MSS_FAIL, 0, STR("")},
        {STR(PING), MSS_FAIL, 0, STR("")},      {STR(HEAD), MSS_MORE, 0, STR("")},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        check(m, &cases[i]);
    }
}

static void a_refused_dialer_proposes_again_without_header(void **state)
{
    (void)state;
    struct mss m = {0};
    uint8_t out[MSS_DIAL_MAX];
    size_t len = 0;

    assert_int_equal(mss_dial(&m, "/x", out, sizeof(out), &len), QUDAG_OK);
    assert_int_equal(feed(&m, HEAD NA, 24, 5).res, MSS_NA);
    assert_int_equal(mss_dial(&m, protos[0], out, sizeof(out), &len), QUDAG_OK);
    assert_int_equal(len, 16);
    assert_memory_equal(out, ID, len);
    assert_int_equal(feed(&m, ID, 16, 5).res, MSS_DONE);
    assert_int_equal(mss_chosen(&m), 0);
}

static void nothing_is_taken_after_the_end(void **state)
{
    (void)state;
    struct mss m;

    for (size_t i = 0; i < 2; i++) {
        mss_listen(&m, protos, ARRAY_LEN(protos));
        (void)feed(&m, i == 0 ? HEAD PING : "\x01x", i == 0 ? 38 : 2, 100);
        struct outcome o = feed(&m, HEAD PING, 38, 100);
        assert_int_equal(o.res, MSS_FAIL);
        assert_int_equal(o.used, 0);
        assert_int_equal(o.len, 0);
    }
    m = (struct mss){0}; /* never dialled */
    assert_int_equal(feed(&m, HEAD, 20, 100).res, MSS_FAIL);
}

static void dialing_checks_its_arguments(void **state)
{
    (void)state;
    struct mss m = {0};
    uint8_t out[MSS_DIAL_MAX];
    char id[MSS_ID_MAX + 2];
    size_t len;

    memset(id, 'a', sizeof(id));
    id[MSS_ID_MAX + 1] = '\0';
    assert_int_equal(mss_dial(&m, id, out, sizeof(out), &len), QUDAG_EINVAL);
    assert_int_equal(mss_dial(&m, "", out, sizeof(out), &len), QUDAG_EINVAL);
    id[MSS_ID_MAX] = '\0';
    assert_int_equal(mss_dial(&m, id, out, MSS_DIAL_MAX - 1, &len), QUDAG_EINVAL);
    assert_int_equal(mss_dial(&m, id, out, sizeof(out), &len), QUDAG_OK);

    /* the longest id is spoken by both sides */
    const char *const one[] = {id};
    struct mss l;
    mss_listen(&l, one, 1);
    struct outcome o = feed(&l, (const char *)out, len, 9);
    assert_int_equal(o.res, MSS_DONE);
    assert_int_equal(feed(&m, (const char *)o.reply, o.len, 9).res, MSS_DONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_listener_answers_in_any_split),
        cmocka_unit_test(the_chosen_protocol_is_named),
        cmocka_unit_test(a_long_proposal_is_refused_without_being_kept),
        cmocka_unit_test(a_dialer_sends_header_and_proposal_at_once),
        cmocka_unit_test(a_refused_dialer_proposes_again_without_header),
        cmocka_unit_test(nothing_is_taken_after_the_end),
        cmocka_unit_test(dialing_checks_its_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
