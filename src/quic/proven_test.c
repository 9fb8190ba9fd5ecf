/* proven_test.c - who dials may ask as soon as the peer has proven itself: a round trip before the link is up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "quic/quic_int.h"
#include "quic/testkit_net.h"

#define OPS quic_link_ops

static struct tk tk;
static tstamp proven_at, up_at, asked_at, answer_at;
static bool refuse;

static void ask(struct tk_ep *ep, struct ref link)
{
    static const uint8_t question[300];
    int64_t sid;

    assert_int_equal(OPS.open(ep->q, link, 1, NULL, &sid), QUDAG_OK);
    assert_int_equal(OPS.write(ep->q, link, sid, (struct slice){question, sizeof question}),
                     QUDAG_OK);
    OPS.fin(ep->q, link, sid);
}

static void dialler(struct tk_ep *ep, const struct link_ev *ev)
{
    if (ev->type == LINK_PROVEN) {
        proven_at = ep->tk->now;
        ask(ep, ev->link);
    } else if (ev->type == LINK_UP) {
        up_at = ep->tk->now;
    } else if (ev->type == LINK_DATA) {
        answer_at = answer_at == 0 ? ep->tk->now : answer_at;
        OPS.consume(ep->q, ev->link, ev->sid, ev->data.len);
    }
}

static void answerer(struct tk_ep *ep, const struct link_ev *ev)
{
    static const uint8_t answer[700];

    if (ev->type == LINK_UP && refuse) {
        OPS.close(ep->q, ev->link, QUDAG_ELIMIT);
    } else if (ev->type == LINK_DATA) {
        OPS.consume(ep->q, ev->link, ev->sid, ev->data.len);
    } else if (ev->type == LINK_FIN) {
        asked_at = ep->tk->now;
        assert_int_equal(OPS.write(ep->q, ev->link, ev->sid, (struct slice){answer, sizeof answer}),
                         QUDAG_OK);
        OPS.fin(ep->q, ev->link, ev->sid);
    }
}

static void begin(uint32_t loss_permille)
{
    const struct tk_opt o = {.pq = PQ_REQUIRE};

    tk_init(&tk);
    proven_at = up_at = asked_at = answer_at = 0;
    refuse = false;
    assert_true(tk_make(&tk, 0, &o));
    assert_true(tk_make(&tk, 1, &o));
    tk.ep[0].app = dialler;
    tk.ep[1].app = answerer;
    tk.delay_ns = 15 * NS_PER_MS;
    tk.loss_permille = loss_permille;
}

static void end(void)
{
    for (int i = 0; i < 2; i++) {
        assert_int_equal(tk_unmake(&tk, i), 0);
    }
    tk_fini(&tk);
}

static bool answered(struct tk *t)
{
    (void)t;
    return answer_at != 0;
}

static void test_the_question_goes_with_what_completes_the_handshake(void **state)
{
    struct ref link;

    (void)state;
    for (int again = 0; again < 2; again++) { /* with a token, and the short certificate */
        begin(0);
        for (int i = 0; i <= again; i++) {
            proven_at = up_at = asked_at = answer_at = 0;
            tstamp began = tk.now;
            assert_int_equal(tk_dial(&tk, 0, 1, &tk.ep[1].peer, &link), QUDAG_OK);
            assert_true(tk_run(&tk, 5 * NS_PER_S, answered));
            print_message("30 ms a round trip: proven after %u ms, up %u, answered %u\n",
                          (unsigned)((proven_at - began) / NS_PER_MS),
                          (unsigned)((up_at - began) / NS_PER_MS),
                          (unsigned)((answer_at - began) / NS_PER_MS));
            assert_int_equal(answer_at - proven_at, 30 * NS_PER_MS);
            assert_true(up_at != 0 && up_at <= answer_at); /* not one round trip before */
            (void)tk_run(&tk, NS_PER_S, NULL);
            assert_int_equal(tk.ep[0].fins, i + 1);
        }
        end();
    }
}

static void test_a_refusal_is_one_of_the_handshake_and_no_link_was_up(void **state)
{
    struct ref link;

    (void)state;
    begin(0);
    refuse = true;
    assert_int_equal(tk_dial(&tk, 0, 1, &tk.ep[1].peer, &link), QUDAG_OK);
    (void)tk_run(&tk, 5 * NS_PER_S, NULL);
    assert_int_equal(tk.ep[0].proven, 1);
    assert_int_equal(tk.ep[0].ups, 0);
    assert_int_equal(tk.ep[0].downs, 1);
    assert_int_equal(tk.ep[0].down.err, QUDAG_ELIMIT);
    assert_int_equal(answer_at, 0);
    end();
}

static void test_loss_delays_it_and_nothing_else(void **state)
{
    struct ref link;

    (void)state;
    for (uint8_t i = 0; i < 20; i++) {
        begin(200);
        for (uint8_t k = 0; k < i; k++) {
            (void)rng_u64(&tk.rng);
        }
        assert_int_equal(tk_dial(&tk, 0, 1, &tk.ep[1].peer, &link), QUDAG_OK);
        if (tk_run(&tk, 30 * NS_PER_S, answered)) {
            assert_true(proven_at != 0 && proven_at < answer_at);
            (void)tk_run(&tk, 5 * NS_PER_S, NULL);
            assert_int_equal(tk.ep[0].ups, 1);
        } else { /* the handshake itself failed */
            assert_int_equal(tk.ep[0].ups, 0);
        }
        end();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_question_goes_with_what_completes_the_handshake),
        cmocka_unit_test(test_a_refusal_is_one_of_the_handshake_and_no_link_was_up),
        cmocka_unit_test(test_loss_delays_it_and_nothing_else),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
