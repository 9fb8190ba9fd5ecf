/* stun_test.c - questions, answers from the right and from the wrong place, and what a server gives to whom. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/stun/rules.h"

#include <string.h>

#define START (1000 * NS_PER_S)

static struct mem mem;
static struct rng_stream stream;
static struct stun *s;
static struct acts out;
static tstamp now;

static struct act acts_v[8 * ACTS_ROOM];
static _Alignas(16) uint8_t acts_bytes[8 * ACTS_BYTES_ROOM];

/* What the last call asked for. */
static struct stun_packet sent[4096];
static size_t n_sent, n_answers;
static struct stun_answer done[512];
static size_t n_done;

static void carry_out(void)
{
    for (size_t i = 0; i < out.n; i++) {
        const struct act *a = &out.v[i];
        assert_int_equal(a->type, ACT_UP);
        if (a->kind == STUN_UP_SEND) {
            assert_true(n_sent < ARRAY_LEN(sent));
            memcpy(&sent[n_sent++], a->ptr, sizeof sent[0]);
            n_answers += a->n;
        } else {
            assert_true(n_done < ARRAY_LEN(done));
            memcpy(&done[n_done++], a->ptr, sizeof done[0]);
        }
    }
    assert_false(out.overflow);
    out.n = out.bytes_n = 0;
}

static void reset(void)
{
    n_sent = n_answers = n_done = 0;
}

/* Lets time pass until |until|. */
static void pass(tstamp until)
{
    while (stun_ops.deadline(s) <= until) {
        now = stun_ops.deadline(s) > now ? stun_ops.deadline(s) : now;
        stun_ops.tick(s, now, &out);
        carry_out();
    }
    now = until;
}

static int setup(void **state)
{
    const uint8_t seed[32] = {1};

    (void)state;
    mem_init(&mem, NULL, 0);
    rng_stream_init(&stream, seed);
    struct rng rng = rng_of_stream(&stream);
    now = START;
    out = (struct acts){
        .v = acts_v, .cap = ARRAY_LEN(acts_v), .bytes = acts_bytes, .bytes_cap = sizeof acts_bytes};
    s = stun_new(&mem, &rng, now);
    reset();
    return s == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    stun_free(s);
    return mem.used == 0 ? 0 : -1;
}

static struct netaddr at(uint8_t host, uint16_t port)
{
    return (struct netaddr){.family = 4, .ip = {192, 0, host, 1}, .port = port};
}

static struct stun_question question(size_t n)
{
    struct stun_question q = {.cookie = 77, .n = n};

    for (size_t i = 0; i < n; i++) {
        q.server[i] = at((uint8_t)(10 + i), 3478);
    }
    return q;
}

static void ask(const struct stun_question *q)
{
    assert_int_equal(stun_ask(s, q, now, &out), QUDAG_OK);
    carry_out();
}

/* The packet |p| is answered from |from|: that we are at |mapped|. */
static bool answered(const struct stun_packet *p, const struct netaddr *from,
                     const struct netaddr *mapped, uint16_t delay_s)
{
    struct stun_msg m;

    assert_int_equal(stun_parse(&m, (struct slice){p->bytes, p->len}), QUDAG_OK);
    m.class = STUN_SUCCESS;
    m.mapped = *mapped;
    m.delay_s = delay_s;
    struct stun_came d = {.local = p->local, .remote = *from, .msg = &m, .len = 60};
    bool ours = stun_recv(s, &d, now, &out);
    carry_out();
    return ours;
}

static void a_question_ends_with_the_last_answer(void **state)
{
    struct stun_question q = question(3);
    const struct netaddr mapped = at(200, 4242);

    (void)state;
    ask(&q);
    assert_int_equal(n_sent, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(n_done, 0);
        assert_true(netaddr_eq(&sent[i].to, &q.server[i]));
        assert_true(answered(&sent[i], &q.server[i], &mapped, 0));
    }
    assert_int_equal(n_done, 1);
    assert_int_equal(done[0].cookie, 77);
    assert_int_equal(stun_rule_mapping(&done[0]), STUN_MAPPING_INDEPENDENT);
    assert_int_equal(stun_ops.deadline(s), TSTAMP_NEVER);
    assert_false(answered(&sent[0], &q.server[0], &mapped, 0)); /* nobody asked */
    assert_int_equal(n_done, 1);
}

static void a_request_is_sent_five_times(void **state)
{
    const struct stun_question q = question(1);
    const uint64_t ms[] = {0, 250, 750, 1750, 3750};

    (void)state;
    ask(&q);
    for (size_t i = 0; i < 5; i++) {
        pass(START + ms[i] * NS_PER_MS);
        assert_int_equal(n_sent, i + 1);
        assert_memory_equal(sent[i].bytes, sent[0].bytes, sent[0].len);
    }
    pass(START + 5749 * NS_PER_MS);
    assert_int_equal(n_done, 0);
    pass(START + 5750 * NS_PER_MS);
    assert_int_equal(n_sent, 5);
    assert_int_equal(n_done, 1);
    assert_int_equal(done[0].said[0].err, QUDAG_ETIMEOUT);
    assert_int_equal(stun_statistics(s)->timed_out, 1);
}

/* Whoever sees or guesses nothing of the request cannot answer; and who saw it must be where it went. */
static void answers_from_elsewhere_are_ignored(void **state)
{
    struct stun_question q = question(1);
    const struct netaddr mapped = at(200, 4242), lie = at(66, 666);
    struct netaddr port = q.server[0], ip = at(99, 3478);

    (void)state;
    port.port++;
    q.local = (struct netaddr){.family = 4, .port = 40000};
    ask(&q);
    assert_true(answered(&sent[0], &port, &lie, 0));
    assert_true(answered(&sent[0], &ip, &lie, 0));
    struct stun_packet other = sent[0];
    other.local.port++; /* at another socket of ours */
    assert_true(answered(&other, &q.server[0], &lie, 0));
    other.local = (struct netaddr){.family = 0};
    assert_true(answered(&other, &q.server[0], &lie, 0));
    assert_int_equal(stun_statistics(s)->spoofed, 4);
    other = sent[0];
    other.bytes[12] ^= 1; /* the id; the fingerprint is for that one, so it is made anew */
    struct stun_msg m = {.class = STUN_SUCCESS, .mapped = lie};
    struct stun_came d = {.local = q.local, .remote = q.server[0], .msg = &m};
    assert_false(stun_recv(s, &d, now, &out));
    assert_int_equal(n_done, 0);
    assert_true(answered(&sent[0], &q.server[0], &mapped, 0));
    assert_int_equal(n_done, 1);
    assert_true(netaddr_eq(&done[0].said[0].mapped, &mapped));
}

static void an_answer_of_another_ip_version_is_none(void **state)
{
    const struct stun_question q = question(1);
    const struct netaddr six = {.family = 6, .ip = {0x20, 1}, .port = 1};

    (void)state;
    ask(&q);
    assert_true(answered(&sent[0], &q.server[0], &six, 0));
    assert_int_equal(done[0].said[0].err, QUDAG_EREFUSED);
    assert_int_equal(done[0].said[0].mapped.family, 0);
}

static void in_turn_each_waits_for_the_one_before(void **state)
{
    struct stun_question q = question(3);

    (void)state;
    q.in_turn = true;
    ask(&q);
    for (size_t i = 0; i < 3; i++) {
        const struct netaddr mapped = at(200, (uint16_t)(5000 + 2 * i));
        assert_int_equal(n_sent, i + 1);
        assert_true(answered(&sent[i], &q.server[i], &mapped, 0));
    }
    assert_int_equal(n_done, 1);
    assert_int_equal(stun_rule_mapping(&done[0]), STUN_MAPPING_DEPENDENT);
    assert_int_equal(stun_rule_step(&done[0]), 2);
}

static void a_second_answer_shows_that_the_mapping_lived(void **state)
{
    struct stun_question q = question(2);
    const struct netaddr mapped = at(200, 4242);
    bool known;

    (void)state;
    q.delay_s = 25;
    ask(&q);
    assert_true(answered(&sent[0], &q.server[0], &mapped, 25));
    assert_true(answered(&sent[1], &q.server[1], &mapped, 25));
    assert_true(answered(&sent[1], &q.server[1], &mapped, 25)); /* a copy of the first */
    assert_int_equal(n_done, 0);
    size_t before = n_sent;
    pass(now + 25 * NS_PER_S);
    assert_int_equal(n_sent, before); /* silence in between */
    assert_true(answered(&sent[0], &q.server[0], &mapped, 25));
    assert_int_equal(n_done, 0);
    pass(now + 3 * NS_PER_S);
    assert_int_equal(n_done, 1);
    assert_true(done[0].said[0].late && !done[0].said[1].late);
    assert_true(stun_rule_lived(&done[0], &known) && known);
    reset();
    ask(&q);
    assert_true(answered(&sent[0], &q.server[0], &mapped, 0)); /* it does not know of it */
    pass(now + 10 * NS_PER_S);
    assert_int_equal(n_done, 1);
    assert_false(stun_rule_lived(&done[0], &known));
    assert_false(known);
}

static void a_question_of_one_ends_with_what_he_says_or_does_not_know(void **state)
{
    struct stun_question q = question(1);
    const struct netaddr mapped = at(200, 4242);

    (void)state;
    q.delay_s = 25;
    ask(&q);
    assert_true(answered(&sent[0], &q.server[0], &mapped, 0)); /* it does not know of delays */
    assert_int_equal(n_done, 1);
    assert_int_equal(done[0].said[0].err, QUDAG_EUNSUPPORTED);
    reset();
    ask(&q);
    assert_true(answered(&sent[0], &q.server[0], &mapped, 25));
    pass(now + 25 * NS_PER_S);
    assert_true(answered(&sent[0], &q.server[0], &mapped, 25));
    assert_int_equal(n_done, 1);
    assert_true(done[0].said[0].late);
    assert_int_equal(stun_ops.deadline(s), TSTAMP_NEVER);
}

static void a_question_without_memory_ends(void **state)
{
    const struct stun_question q = question(1);

    for (uint64_t k = 1; k < 8; k++) {
        mem.fail_at = k;
        qudag_err err = stun_ask(s, &q, now, &out);
        carry_out();
        pass(now + 10 * NS_PER_S);
        assert_true(err == QUDAG_OK ? n_done == 1 : n_done == 0);
        assert_true(err == QUDAG_OK || err == QUDAG_ENOMEM);
        mem.fail_at = 0;
        assert_int_equal(teardown(state), 0);
        assert_int_equal(setup(state), 0);
    }
}

static void questions_have_limits_and_are_forgotten(void **state)
{
    struct stun_question q = question(2);
    const struct netaddr local = {.family = 4, .port = 40000};

    (void)state;
    q.n = 0;
    assert_int_equal(stun_ask(s, &q, now, &out), QUDAG_EINVAL);
    q.n = STUN_SERVERS + 1;
    assert_int_equal(stun_ask(s, &q, now, &out), QUDAG_EINVAL);
    q.n = 2;
    q.delay_s = STUN_DELAY_MAX + 1;
    assert_int_equal(stun_ask(s, &q, now, &out), QUDAG_EINVAL);
    q.delay_s = 0;
    for (size_t i = 0; i < STUN_QUESTIONS_MAX; i++) {
        q.local = i % 2 == 0 ? local : (struct netaddr){.family = 0};
        ask(&q);
    }
    assert_int_equal(stun_ask(s, &q, now, &out), QUDAG_ELIMIT);
    stun_forget(s, &local);
    reset();
    pass(now + 10 * NS_PER_S);
    assert_int_equal(n_done, STUN_QUESTIONS_MAX / 2);
}

/* ---- the server ---- */

static bool came(const struct netaddr *from, const struct stun_msg *m, size_t len)
{
    const struct stun_came d = {.remote = *from, .msg = m, .len = len};
    bool ours = stun_recv(s, &d, now, &out);

    carry_out();
    return ours;
}

static struct stun_msg last_sent(void)
{
    struct stun_msg m;
    const struct stun_packet *p = &sent[n_sent - 1];

    assert_int_equal(stun_parse(&m, (struct slice){p->bytes, p->len}), QUDAG_OK);
    return m;
}

static void who_asks_is_told_where_he_is(void **state)
{
    const struct netaddr from = at(5, 99);
    struct stun_msg q = {.class = STUN_REQUEST, .id = {1, 2, 3}, .fingerprint = true}, r;

    (void)state;
    assert_true(came(&from, &q, 28));
    assert_int_equal(n_sent, 0); /* it does not serve */
    stun_serve(s, true);
    assert_true(came(&from, &q, 28));
    assert_int_equal(n_answers, 1);
    r = last_sent();
    assert_true(r.class == STUN_SUCCESS && netaddr_eq(&r.mapped, &from) && r.fingerprint);
    assert_true(r.software.base == NULL && memcmp(r.id, q.id, sizeof r.id) == 0);
    assert_true(netaddr_eq(&sent[0].to, &from));
    q.unknown[q.n_unknown++] = 3; /* CHANGE-REQUEST, of RFC 5780 */
    q.fingerprint = false;
    assert_true(came(&from, &q, 28));
    r = last_sent();
    assert_true(r.class == STUN_ERROR && r.error == 420 && r.mapped.family == 0);
    q.integrity = STUN_SHA256; /* a check of a meeting */
    assert_false(came(&from, &q, 60));
    q.integrity = STUN_NO_INTEGRITY;
    q.username = (struct slice){(const uint8_t *)"x", 1};
    assert_false(came(&from, &q, 60));
    q.class = STUN_INDICATION;
    assert_false(came(&from, &q, 60));
    assert_int_equal(n_sent, 2);
}

static void one_network_cannot_have_all_answers(void **state)
{
    const struct stun_msg q = {.class = STUN_REQUEST};
    struct netaddr from = at(5, 99);

    (void)state;
    stun_serve(s, true);
    for (unsigned i = 0; i < 1000; i++) {
        from.ip[3] = (uint8_t)i; /* hosts of one /24 */
        assert_true(came(&from, &q, 20));
    }
    assert_int_equal(n_sent, STUN_NET_BURST);
    assert_int_equal(stun_statistics(s)->refused, 1000 - STUN_NET_BURST);
    reset();
    for (unsigned i = 0; i < 5000 && n_sent < 1000; i++) {
        from =
            (struct netaddr){.family = 4, .ip = {(uint8_t)i, (uint8_t)(i >> 8), 1, 1}, .port = 1};
        assert_true(came(&from, &q, 20));
    }
    assert_true(n_sent <= STUN_ALL_BURST);
    assert_true(n_sent >= STUN_ALL_BURST - STUN_NET_BURST);
    now += NS_PER_S;
    reset();
    from = at(5, 99);
    assert_true(came(&from, &q, 20));
    assert_int_equal(n_sent, 1);
}

static void second_answers_are_given_where_nobody_gains(void **state)
{
    struct stun_msg q = {.class = STUN_REQUEST, .fingerprint = true, .delay_s = 30};
    struct netaddr from = at(5, 99);
    uint8_t buf[STUN_MSG_MAX];
    size_t len = stun_write(buf, sizeof buf, &q, (struct slice){NULL, 0});

    (void)state;
    stun_serve(s, true);
    assert_true(came(&from, &q, 40)); /* shorter than the answers */
    assert_int_equal(last_sent().delay_s, 0);
    assert_true(came(&from, &q, len));
    assert_int_equal(last_sent().delay_s, 30);
    assert_true(2 * sent[n_sent - 1].len <= len);
    size_t before = n_sent;
    pass(now + 29 * NS_PER_S);
    assert_int_equal(n_sent, before);
    pass(now + NS_PER_S);
    assert_int_equal(n_sent, before + 1);
    assert_memory_equal(sent[n_sent - 1].bytes, sent[n_sent - 2].bytes, sent[n_sent - 1].len);
    assert_int_equal(stun_statistics(s)->delayed, 1);
    for (unsigned i = 0; i < 200; i++) { /* a network has a quarter of the places */
        now += NS_PER_S / STUN_NET_RATE;
        assert_true(came(&from, &q, len));
    }
    assert_int_equal(last_sent().delay_s, 0);
    assert_int_equal(stun_statistics(s)->not_now, 1 + 200 - STUN_DELAYED_MAX / 4);
}

/* One turn of the loop has room for so many; the others come in the next. */
static void second_answers_that_are_due_together_fit_each_turn(void **state)
{
    struct stun_msg q = {.class = STUN_REQUEST, .fingerprint = true, .delay_s = 30};
    uint8_t buf[STUN_MSG_MAX];
    size_t len = stun_write(buf, sizeof buf, &q, (struct slice){NULL, 0});

    (void)state;
    stun_serve(s, true);
    for (unsigned i = 0; i < STUN_DELAYED_MAX; i++) {
        const struct netaddr from = at((uint8_t)(i % 4), 99);
        now += NS_PER_S / STUN_NET_RATE;
        assert_true(came(&from, &q, len));
    }
    assert_int_equal(stun_statistics(s)->not_now, 0);
    reset();
    now += 60 * NS_PER_S;
    out.cap = ACTS_ROOM / 4; /* the rest is for questions that are due then, too */
    for (unsigned turn = 0; n_sent < STUN_DELAYED_MAX; turn++) {
        assert_true(turn < 8);
        stun_ops.tick(s, now, &out);
        carry_out();
    }
}

static void a_second_answer_without_memory_is_not_promised(void **state)
{
    struct stun_msg q = {.class = STUN_REQUEST, .fingerprint = true, .delay_s = 30};
    const struct netaddr from = at(5, 99);
    uint8_t buf[STUN_MSG_MAX];
    size_t len = stun_write(buf, sizeof buf, &q, (struct slice){NULL, 0});

    (void)state;
    stun_serve(s, true);
    for (uint64_t k = 1; k < 3; k++) {
        mem.fail_at = k;
        assert_true(came(&from, &q, len));
        assert_int_equal(last_sent().delay_s, 0);
        assert_int_equal(stun_statistics(s)->not_now, k);
    }
    mem.fail_at = 0;
    assert_int_equal(stun_ops.deadline(s), TSTAMP_NEVER);
}

static void what_a_socket_owes_ends_with_it(void **state)
{
    const struct netaddr local = {.family = 4, .port = 40000}, other = {.family = 4, .port = 40001};
    struct stun_msg q = {.class = STUN_REQUEST, .fingerprint = true, .delay_s = 30};
    uint8_t buf[STUN_MSG_MAX];
    struct stun_came d = {.local = local, .remote = at(5, 99), .msg = &q};

    (void)state;
    d.len = stun_write(buf, sizeof buf, &q, (struct slice){NULL, 0});
    stun_serve(s, true);
    assert_true(stun_recv(s, &d, now, &out));
    carry_out();
    stun_forget(s, &other);
    pass(now + 30 * NS_PER_S);
    assert_int_equal(n_sent, 2);
    assert_true(stun_recv(s, &d, now, &out));
    carry_out();
    stun_forget(s, &local);
    pass(now + 31 * NS_PER_S);
    assert_int_equal(n_sent, 3);
}

/* ---- rules ---- */

static struct stun_answer seen(size_t n, const uint16_t *port)
{
    struct stun_answer a = {.n = n};

    for (size_t i = 0; i < n; i++) {
        a.said[i].mapped = port[i] == 0 ? (struct netaddr){.family = 0} : at(200, port[i]);
    }
    return a;
}

static void what_answers_show(void **state)
{
    static const struct {
        uint16_t port[4];
        size_t n;
        enum stun_mapping mapping;
        int32_t step;
    } t[] = {
        {{7, 7, 7, 0}, 3, STUN_MAPPING_INDEPENDENT, 0},
        {{7, 7, 0, 0}, 2, STUN_MAPPING_UNKNOWN, 0}, /* too few */
        {{7, 0, 7, 7}, 4, STUN_MAPPING_INDEPENDENT, 0},
        {{7, 8, 0, 0}, 2, STUN_MAPPING_DEPENDENT, 0},
        {{7, 8, 9, 0}, 3, STUN_MAPPING_DEPENDENT, 1},
        {{9, 7, 5, 3}, 4, STUN_MAPPING_DEPENDENT, -2},
        {{7, 8, 10, 0}, 3, STUN_MAPPING_DEPENDENT, 0},
        {{7, 8, 0, 10}, 4, STUN_MAPPING_DEPENDENT, 0}, /* one is not known */
        {{100, 164, 228, 0}, 3, STUN_MAPPING_DEPENDENT, 64},
        {{100, 165, 230, 0}, 3, STUN_MAPPING_DEPENDENT, 0},
        {{0, 0, 0, 0}, 4, STUN_MAPPING_UNKNOWN, 0},
    };
    struct netaddr where;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        struct stun_answer a = seen(t[i].n, t[i].port);
        assert_int_equal(stun_rule_mapping(&a), t[i].mapping);
        assert_int_equal(stun_rule_step(&a), t[i].step);
    }
    struct stun_answer a = seen(3, t[4].port);
    assert_true(stun_rule_external(&a, &where));
    assert_int_equal(where.port, 9);
    a.said[1].mapped.ip[3]++; /* a router with two addresses counts nothing for us */
    assert_int_equal(stun_rule_step(&a), 0);
    a = seen(4, t[10].port);
    assert_false(stun_rule_external(&a, &where));
}

static void how_long_a_mapping_lives(void **state)
{
    const bool yes[STUN_LIVES] = {true, true, true, true}, no[STUN_LIVES] = {false};
    const bool two[STUN_LIVES] = {true, true, false, true};

    (void)state;
    assert_int_equal(stun_rule_life(yes, no), 0);
    assert_int_equal(stun_rule_life(yes, yes), 110);
    assert_int_equal(stun_rule_life(no, yes), STUN_LIFE_LEAST);
    assert_int_equal(stun_rule_life(two, yes), 45);
    assert_int_equal(stun_rule_life(yes, two), 45);
    assert_false(stun_rule_delays(0, 1000, 10));
    assert_false(stun_rule_delays(STUN_DELAY_MAX + 1, 1000, 10));
    assert_false(stun_rule_delays(30, 119, 60));
    assert_true(stun_rule_delays(30, 120, 60));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_question_ends_with_the_last_answer),
        TEST(a_request_is_sent_five_times),
        TEST(answers_from_elsewhere_are_ignored),
        TEST(an_answer_of_another_ip_version_is_none),
        TEST(in_turn_each_waits_for_the_one_before),
        TEST(a_second_answer_shows_that_the_mapping_lived),
        TEST(a_question_of_one_ends_with_what_he_says_or_does_not_know),
        TEST(a_question_without_memory_ends),
        TEST(questions_have_limits_and_are_forgotten),
        TEST(who_asks_is_told_where_he_is),
        TEST(one_network_cannot_have_all_answers),
        TEST(second_answers_are_given_where_nobody_gains),
        TEST(second_answers_that_are_due_together_fit_each_turn),
        TEST(a_second_answer_without_memory_is_not_promised),
        TEST(what_a_socket_owes_ends_with_it),
        TEST(what_answers_show),
        TEST(how_long_a_mapping_lives),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
