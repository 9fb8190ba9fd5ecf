/* tunnel_test.c - requests and answers, in any pieces, and what is none. */
#include "app/tunnel.h"

#include <string.h>
#include <cmocka.h>

static struct slice bytes(const void *p, size_t n)
{
    return (struct slice){p, n};
}

/* SPEC: TU-2. */
static void a_request_is_read_in_any_pieces_and_leaves_the_content(void **state)
{
    static const uint8_t all[] = {0x1f, 0x90, 'x', 'y'};
    (void)state;

    for (size_t cut = 0; cut <= sizeof(all); cut++) {
        struct tunnel_request r = {0};
        uint16_t port = 0;
        size_t a = tunnel_request_take(&r, bytes(all, cut));
        assert_int_equal(a, cut < 2 ? cut : 2);
        assert_int_equal(tunnel_request_port(&r, &port), cut >= 2);
        size_t b = tunnel_request_take(&r, bytes(all + cut, sizeof(all) - cut));
        assert_int_equal(a + b, 2);
        assert_true(tunnel_request_port(&r, &port));
        assert_int_equal(port, 8080);
    }
}

static void what_is_written_is_read(void **state)
{
    static const uint16_t ports[] = {0, 1, 80, 255, 256, 65535};
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(ports); i++) {
        struct tunnel_request r = {0};
        uint8_t out[TUNNEL_REQUEST_LEN];
        uint16_t port;
        tunnel_request_put(out, ports[i]);
        assert_int_equal(tunnel_request_take(&r, bytes(out, sizeof(out))), sizeof(out));
        assert_true(tunnel_request_port(&r, &port));
        assert_int_equal(port, ports[i]);
    }
}

/* Every state by every input. SPEC: TU-4, TU-5, TU-6. */
static void an_answer_in_every_state(void **state)
{
    static const struct {
        enum tunnel_answer_state in;
        const char *data;
        size_t len;
        bool fin;
        qudag_err err;
        size_t used;
        enum tunnel_answer_state out;
    } rows[] = {
        {TUNNEL_WAITING, "", 0, false, QUDAG_OK, 0, TUNNEL_WAITING},
        {TUNNEL_WAITING, "", 0, true, QUDAG_EPROTO, 0, TUNNEL_WAITING},
        {TUNNEL_WAITING, "\0", 1, false, QUDAG_OK, 1, TUNNEL_OPEN},
        {TUNNEL_WAITING, "\0", 1, true, QUDAG_OK, 1, TUNNEL_OPEN},
        {TUNNEL_WAITING, "\0abc", 4, true, QUDAG_OK, 1, TUNNEL_OPEN},
        {TUNNEL_WAITING, "\1", 1, false, QUDAG_OK, 1, TUNNEL_DENIED},
        {TUNNEL_WAITING, "\4", 1, true, QUDAG_OK, 1, TUNNEL_DENIED},
        {TUNNEL_WAITING, "\1a", 2, false, QUDAG_EPROTO, 1, TUNNEL_DENIED},
        {TUNNEL_WAITING, "\5", 1, false, QUDAG_EPROTO, 0, TUNNEL_WAITING},
        {TUNNEL_WAITING, "\xff", 1, true, QUDAG_EPROTO, 0, TUNNEL_WAITING},
        {TUNNEL_OPEN, "\5", 1, false, QUDAG_OK, 0, TUNNEL_OPEN},
        {TUNNEL_OPEN, "", 0, true, QUDAG_OK, 0, TUNNEL_OPEN},
        {TUNNEL_DENIED, "", 0, true, QUDAG_OK, 0, TUNNEL_DENIED},
        {TUNNEL_DENIED, "\0", 1, false, QUDAG_EPROTO, 0, TUNNEL_DENIED},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct tunnel_answer a = {.state = rows[i].in};
        size_t used = 99;
        assert_int_equal(
            tunnel_answer_take(&a, bytes(rows[i].data, rows[i].len), rows[i].fin, &used),
            rows[i].err);
        assert_int_equal(used, rows[i].used);
        assert_int_equal(a.state, rows[i].out);
    }
}

static void every_status_has_an_error_of_its_own(void **state)
{
    (void)state;
    for (int i = 0; i < TUNNEL_STATUS_END; i++) {
        assert_int_equal(tunnel_status_err((enum tunnel_status)i) == QUDAG_OK, i == 0);
        assert_true(strlen(tunnel_status_text((enum tunnel_status)i)) > 0);
        for (int k = 0; k < i; k++) {
            assert_int_not_equal(tunnel_status_err((enum tunnel_status)i),
                                 tunnel_status_err((enum tunnel_status)k));
        }
    }
    assert_int_equal(tunnel_status_err(TUNNEL_STATUS_END), QUDAG_EPROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_read_in_any_pieces_and_leaves_the_content),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(an_answer_in_every_state),
        cmocka_unit_test(every_status_has_an_error_of_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
