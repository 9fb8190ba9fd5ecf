/* Two sides over one byte stream: how a link comes up by each protocol, in any split of the bytes, who is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "crypto/init.h"
#include "upgrade/testkit.h"

static const struct up_opt prefer = {.pq = PQ_PREFER, .level = 768};
static const struct up_opt require = {.pq = PQ_REQUIRE, .level = 768};
static const struct up_opt off = {.pq = PQ_OFF, .level = 768};

static void assert_up(const struct up_pair *p)
{
    assert_int_equal(p->a.ups, 1);
    assert_int_equal(p->b.ups, 1);
    assert_int_equal(p->a.downs + p->b.downs, 0);
}

static void test_a_link_comes_up(void **state)
{
    (void)state;
    static const struct {
        const struct up_opt *a, *b;
        uint8_t props;
        const char *group;
    } row[] = {
        {&require, &require, LINK_PQ_KEX | LINK_PQ_AUTH | LINK_QUDAG, "X25519MLKEM768"},
        {&prefer, &require, LINK_PQ_KEX | LINK_PQ_AUTH | LINK_QUDAG, "X25519MLKEM768"},
        {&prefer, &prefer, LINK_PQ_KEX | LINK_PQ_AUTH | LINK_QUDAG, "X25519MLKEM768"},
        {&off, &prefer, 0, "x25519"},
        {&off, &off, 0, "x25519"},
    };

    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct up_pair *p = up_new(row[i].a, row[i].b);

        up_dial(p);
        up_settle(p);
        assert_up(p);
        assert_int_equal(p->a.info.props, row[i].props);
        assert_int_equal(p->b.info.props, row[i].props | LINK_INBOUND);
        assert_true(peer_id_eq(&p->a.info.peer, &p->b.peer));
        assert_true(peer_id_eq(&p->b.info.peer, &p->a.peer));
        up_free(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_link_comes_up),
    };

    if (crypto_init() != QUDAG_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
