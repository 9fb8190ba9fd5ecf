/* states_test.c - each step from each state, and what programs are told of links. */
#include "base/types.h"
#include "swarm/states.h"

#include <cmocka.h>

static const char row[SWARM_LINK_STATES][SWARM_LINK_STATES + 1] = {
    /* to: none, connecting, handshaking, up, closing, down */
    [SWARM_LINK_NONE] = "-+-+--",        [SWARM_LINK_CONNECTING] = "--++-+",
    [SWARM_LINK_HANDSHAKING] = "---+-+", [SWARM_LINK_UP] = "----+-",
    [SWARM_LINK_CLOSING] = "-----+",     [SWARM_LINK_DOWN] = "------",
};

static void every_step_from_every_state(void **state)
{
    (void)state;
    for (unsigned from = 0; from < SWARM_LINK_STATES; from++) {
        for (unsigned to = 0; to < SWARM_LINK_STATES; to++) {
            assert_int_equal(
                swarm_rule_state((enum swarm_link_state)from, (enum swarm_link_state)to),
                row[from][to] == '+');
        }
    }
}

static void why_says_who(void **state)
{
    static const struct {
        qudag_err err;
        enum swarm_link_why here, there;
    } why[] = {
        {QUDAG_ELIMIT, SWARM_WHY_OUR_LIMIT, SWARM_WHY_THEIR_LIMIT},
        {QUDAG_ENOMEM, SWARM_WHY_OUR_LIMIT, SWARM_WHY_OUR_LIMIT},
        {QUDAG_ETIMEOUT, SWARM_WHY_TIMEOUT, SWARM_WHY_TIMEOUT},
        {QUDAG_EAUTH, SWARM_WHY_AUTH, SWARM_WHY_AUTH},
        {QUDAG_EEXPIRED, SWARM_WHY_AUTH, SWARM_WHY_AUTH},
        {QUDAG_ECLOCK, SWARM_WHY_AUTH, SWARM_WHY_AUTH},
        {QUDAG_EPOLICY, SWARM_WHY_POLICY, SWARM_WHY_POLICY},
        {QUDAG_EUNREACHABLE, SWARM_WHY_NETWORK, SWARM_WHY_NETWORK},
        {QUDAG_EPROTO, SWARM_WHY_PROTOCOL, SWARM_WHY_PROTOCOL},
        {QUDAG_ERESET, SWARM_WHY_HERE, SWARM_WHY_RESET},
        {QUDAG_ECLOSED, SWARM_WHY_HERE, SWARM_WHY_PEER},
        {QUDAG_EREFUSED, SWARM_WHY_HERE, SWARM_WHY_PEER},
        {QUDAG_ECANCELED, SWARM_WHY_HERE, SWARM_WHY_HERE},
        {QUDAG_OK, SWARM_WHY_HERE, SWARM_WHY_PEER},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(why); i++) {
        assert_int_equal(swarm_rule_why(why[i].err, true), why[i].here);
        assert_int_equal(swarm_rule_why(why[i].err, false), why[i].there);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_step_from_every_state),
        cmocka_unit_test(why_says_who),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
