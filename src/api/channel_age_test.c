/* channel_age_test.c - a channel ends with the certificates that it was made with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/channel.h"

#include <string.h>

static qudag_identity *id;
static qudag_channel *a, *b; /* the client, the server */

static void move(qudag_channel *from, qudag_channel *to)
{
    qudag_slice out = qudag_channel_output(from), in = out, plain;
    size_t used;

    do {
        assert_int_equal(qudag_channel_receive(to, in, &used, &plain), QUDAG_OK);
        in = (qudag_slice){in.base + used, in.len - used};
    } while (used > 0);
    qudag_channel_output_sent(from, out.len);
}

static int setup(void **state)
{
    (void)state;
    if (qudag_identity_generate(&id) != QUDAG_OK ||
        qudag_channel_new(&a, QUDAG_CHANNEL_CLIENT, id, NULL) != QUDAG_OK ||
        qudag_channel_new(&b, QUDAG_CHANNEL_SERVER, id, NULL) != QUDAG_OK) {
        return -1;
    }
    for (int i = 0; i < 4; i++) {
        move(a, b);
        move(b, a);
    }
    return qudag_channel_get_state(a) != QUDAG_CHANNEL_READY ||
           qudag_channel_get_state(b) != QUDAG_CHANNEL_READY;
}

static int teardown(void **state)
{
    (void)state;
    qudag_channel_free(a);
    qudag_channel_free(b);
    qudag_identity_free(id);
    return 0;
}

static void a_channel_is_no_older_than_its_certificates(void **state)
{
    static const qudag_slice data = {(const uint8_t *)"data", 4};
    qudag_channel_info info = QUDAG_INIT(qudag_channel_info);
    qudag_slice plain;
    size_t used;

    (void)state;
    assert_true(a->until != TSTAMP_NEVER && a->until > io_now());
    a->until = io_now() + 3600 * NS_PER_S;
    b->until = a->until;
    assert_int_equal(qudag_channel_peer(a, &info), QUDAG_OK);
    assert_true(info.left > 3500 * NS_PER_S && info.left <= 3600 * NS_PER_S);
    assert_int_equal(qudag_channel_send(a, data), QUDAG_OK);
    move(a, b);

    a->until =
        io_now(); /* a clock moves on meanwhile, or stands: it is over with its last moment */
    assert_int_equal(qudag_channel_send(a, data), QUDAG_EEXPIRED);
    assert_int_equal(qudag_channel_get_state(a), QUDAG_CHANNEL_FAILED);
    assert_int_equal(qudag_channel_why(a, NULL, NULL), QUDAG_EEXPIRED);
    move(a, b); /* which is told that it was no cut */
    assert_int_equal(qudag_channel_get_state(b), QUDAG_CHANNEL_ENDED);
    b->until = io_now();
    assert_int_equal(qudag_channel_receive(b, data, &used, &plain), QUDAG_EEXPIRED);
    assert_int_equal(used, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_channel_is_no_older_than_its_certificates, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
