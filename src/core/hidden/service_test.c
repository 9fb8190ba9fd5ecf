/* service_test.c - every two answers of the node in every state of a service. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/hidden/testkit_case.h"

#define STATES 6
#define ANSWERS 8

/* What a case has: the ids of a point and of a caller, and a handshake for that point. */
struct stage {
    struct bed *b;
    uint64_t point, caller;
    uint8_t handshake[REND_HS_LEN];
};

static void answer(struct stage *s, unsigned which, uint64_t id)
{
    struct bed *b = s->b;
    struct onion_hs_keys keys;
    struct onion_hop relay;

    relay_set(b, &relay, 1);
    switch (which) {
    case 0:
        hidden_serve_point_built(b->services, id, new_circuit(b), &relay, b->now, &b->sacts);
        break;
    case 1:
        hidden_serve_established(b->services, id, b->now, &b->sacts);
        break;
    case 2:
        hidden_serve_point_ended(b->services, id, b->now, &b->sacts);
        break;
    case 3:
        request(b, id, s->handshake);
        break;
    case 4:
        hidden_serve_r_built(b->services, id, new_circuit(b), b->now, &b->sacts);
        break;
    case 5:
        hidden_serve_r_failed(b->services, id, b->now, &b->sacts);
        break;
    case 6:
        (void)!hidden_serve_take(b->services, id, &keys);
        break;
    default:
        hidden_serve_met(b->services, id, QUDAG_OK, REND_DONE, b->now, &b->sacts);
        break;
    }
    take(b);
}

/* A service one of whose points went |steps| of its way: asked for, built, stands, a caller, met by us, keys taken. */
static void go(struct stage *s, unsigned steps)
{
    struct bed *b = s->b;
    uint64_t ids[HIDDEN_SLOTS];

    if (steps < 2) {
        assert_int_equal(serve_it(b, 1, (struct slice){NULL, 0}), QUDAG_OK);
        s->point = serve_up(b, HIDDEN_SERVE_NEED_POINT).id;
        s->caller = 0;
        if (steps == 1) {
            answer(s, 0, s->point);
        }
        return;
    }
    struct hidden_target t = have_service(b, ids);
    s->point = ids[0];
    make_handshake(b, &t, 0, 40, s->handshake);
    if (steps == 2) {
        return;
    }
    answer(s, 3, s->point);
    s->caller = serve_up(b, HIDDEN_SERVE_NEED_R).id;
    for (unsigned i = 4; i <= steps; i++) {
        answer(s, i == 4 ? 4 : 6, s->caller);
    }
}

static void every_answer_in_every_state(void **state)
{
    (void)state;
    for (unsigned n = 0; n < STATES * ANSWERS * ANSWERS * 4; n++) {
        struct stage s = {.b = bed_new((uint8_t)n)};
        go(&s, n % STATES);
        const uint64_t ids[4][2] = {
            {s.point, s.point}, {s.point, s.caller}, {s.caller, s.point}, {s.caller, s.caller}};
        unsigned first = n / STATES % ANSWERS, second = n / STATES / ANSWERS % ANSWERS;
        const uint64_t *to = ids[n / STATES / ANSWERS / ANSWERS];
        answer(&s, first, to[0]);
        answer(&s, second, to[1]);
        answer(&s, first, 0);
        answer(&s, second, 9999);
        run_to(s.b, s.b->now + 100 * SECOND); /* nobody answers any more */
        struct hidden_serve_stats st = stats_of(s.b, 1);
        assert_int_equal(st.queued + st.building, 0);
        assert_int_equal(st.begun, st.met + st.failed);
        hidden_serve_end(s.b->services, 1, &s.b->sacts);
        take(s.b);
        assert_int_equal(hidden_services_deadline(s.b->services), TSTAMP_NEVER);
        assert_int_equal(n_serves(s.b, HIDDEN_SERVE_CLOSE) + st.met,
                         s.b->refs); /* but what R joined */
        bed_free(s.b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_answer_in_every_state),
    };
    if (crypto_init() != QUDAG_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
