/*
 * send_test.c - a node sends, and the receiver misbehaves (hostile_testkit.h).
 *
 * TEST: timeout=180 waits
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "hostile_testkit_net.h"

/* ------------------------------------------------------------------ a node sends */

static const char *isolate; /* key of the sends; NULL: each has its own */

static struct {
    qudag_send handle;
    qudag_send_info end;
    unsigned told;    /* how often, of the last */
    unsigned seen;    /* states, as bits */
    bool is_over;     /* the end was told */
    bool cancel_then; /* it is canceled at the next change */
} own;

/* All deliveries of node 0. */
static struct sends *sends;

static void on_changed(qudag_node *n, qudag_send s, const qudag_send_info *info, void *user)
{
    assert_ptr_equal(n, d->node);
    assert_ptr_equal(user, &own);
    if (s.id != own.handle.id) {
        return; /* of an earlier one */
    }
    assert_false(own.is_over);
    own.told++;
    own.seen |= 1u << info->state;
    own.end = *info;
    own.is_over = info->state == QUDAG_SEND_DELIVERED || info->state == QUDAG_SEND_FAILED;
    if (own.cancel_then) {
        assert_int_equal(qudag_send_cancel(n, s), QUDAG_OK);
        assert_int_equal(qudag_send_cancel(n, s), QUDAG_ESTALE);
    }
}

static struct send_out *last_send(void)
{
    struct send_out *s = sends->first;
    while (s != NULL && s->id != own.handle.id) {
        s = s->next;
    }
    if (s == NULL) {
        fail_msg("%s", "the delivery has ended");
        exit(1);
    }
    return s;
}

/* Begins to send a file to the peer. */
static void begin_send(enum misbehaviour what)
{
    qudag_send_options o = QUDAG_INIT(qudag_send_options);
    char path[FILES_PATH_MAX];
    static uint8_t content[SIZE];
    evil.what = what;
    evil.streams = 0;
    evil.taken = evil.asked = evil.circuits = 0;
    memset(content, (int)what + 'a', sizeof(content));
    (void)snprintf(path, sizeof(path), "%s/file", dir);
    assert_int_equal(files_write(path, content, sizeof(content)), 0);
    assert_int_equal(what < OLD ? 0 : truncate(path, TRANSFER_ASK_MIN), 0);
    if (isolate != NULL) {
        o.isolation_len = (uint32_t)strlen(isolate);
        memcpy(o.isolation, isolate, strlen(isolate));
    }
    o.changed = on_changed;
    o.user = &own;
    memset(&own, 0, sizeof(own));
    assert_int_equal(qudag_send_file(d->node, evil.addr, path, &o, &own.handle), QUDAG_OK);
    assert_int_equal(own.told, 0); /* never before the call has returned */
    sends = send_of(d->node);
}

/* Waits for the end of the delivery. */
static qudag_send_end end_of_send(void)
{
    turn_until(&own.is_over, 100);
    assert_int_equal(sends->n, 0);
    assert_int_equal(own.end.state == QUDAG_SEND_FAILED, own.end.end != QUDAG_SEND_END_NONE);
    assert_int_equal(own.end.state == QUDAG_SEND_FAILED, own.end.err != QUDAG_OK);
    assert_int_equal(own.end.state == QUDAG_SEND_FAILED, own.end.why[0] != 0);
    qudag_send_info info = QUDAG_INIT(qudag_send_info);
    assert_int_equal(qudag_send_status(d->node, own.handle, &info), QUDAG_ESTALE);
    return own.end.end;
}

/* Sends a file to the peer and waits for the end. */
static qudag_send_end send_file(enum misbehaviour what)
{
    begin_send(what);
    return end_of_send();
}

/* Whoever meets the node cannot tell that it has a dark address: audit, M16. */
static void known_peers_are_not_told_that_transfers_are_taken(void **state)
{
    char agent[QUDAG_AGENT_LEN_MAX + 1], protocols[1024];
    qudag_peer_id peer;
    (void)state;
    qudag_node_peer_id(d->node, &peer);
    uint64_t end = api_now() + 20 * NS_PER_S;
    while (qudag_peer_agent(net[2].node, &peer, agent, sizeof(agent), protocols,
                            sizeof(protocols)) != QUDAG_OK &&
           api_now() < end) {
        (void)uv_run(&d->loop, UV_RUN_ONCE);
    }
    assert_string_equal(agent, "qudag");
    assert_non_null(strstr(protocols, "/qudag-lab/kad/1.0.0"));
    assert_null(strstr(protocols, "transfer"));
    plain_why = QUDAG_OK;
    assert_int_equal(qudag_stream_open(net[2].node, &peer, TRANSFER_PROTO, &plain), QUDAG_OK);
    while (plain_why == QUDAG_OK && api_now() < end) {
        (void)uv_run(&d->loop, UV_RUN_ONCE);
    }
    assert_int_equal(plain_why, QUDAG_EUNSUPPORTED);
}

static void what_a_receiver_claims_is_compared_with_what_was_sent(void **state)
{
    (void)state;
    assert_int_equal(send_file(HONEST), QUDAG_SEND_END_NONE);
    assert_int_equal(evil.streams, 1);
    assert_int_equal(own.end.acked, SIZE);
    assert_int_equal(own.end.attempts, 1); /* what begins within a tick has not been silent */
    static const qudag_send_state states[] = {QUDAG_SEND_QUEUED, QUDAG_SEND_HASHING,
                                              QUDAG_SEND_RESOLVING, QUDAG_SEND_SENDING,
                                              QUDAG_SEND_CONFIRMING};
    for (size_t ix = 0; ix < 5; ix++) {
        assert_int_equal(own.seen >> states[ix] & 1, 1);
    }
    assert_int_equal(send_file(WRONG_HASH), QUDAG_SEND_END_OTHER_HASH);
    assert_int_equal(send_file(WRONG_SIZE), QUDAG_SEND_END_OTHER_HASH);
}

/* What it claims is not believed, and the attempt is over; the next one may be better. */
static void who_claims_more_than_was_sent_is_left_at_once(void **state)
{
    (void)state;
    assert_int_equal(send_file(MORE_THAN_SENT), QUDAG_SEND_END_NONE);
    assert_int_equal(evil.streams, 2);
    assert_int_equal(own.end.attempts, 2);
    assert_int_equal(own.end.acked, SIZE);
}

static void a_receiver_that_always_reports_another_hash_gets_two_attempts(void **state)
{
    (void)state;
    assert_int_equal(send_file(ALWAYS_DIFFERS), QUDAG_SEND_END_DAMAGED);
    assert_int_equal(evil.streams, 2);
    assert_int_equal(evil.taken, 2 * SIZE);
}

static void a_receiver_that_never_acknowledges_cannot_make_us_send_for_ever(void **state)
{
    (void)state;
    assert_int_equal(send_file(NEVER_DONE),
                     QUDAG_SEND_END_LOST); /* it asks again for what it had confirmed */
    assert_int_equal(evil.streams, 2);
    assert_int_equal(evil.taken, SIZE);
}

/* An interrupted transfer goes on under its id; one that is over leaves nothing by which the next is recognised. */
static void an_id_lasts_until_its_file_is_delivered(void **state)
{
    uint8_t first[TRANSFER_ID_LEN], second[TRANSFER_ID_LEN];
    (void)state;
    begin_send(SILENT);
    uint64_t end = api_now() + 30 * NS_PER_S;
    while (evil.taken < SIZE && api_now() < end) {
        (void)uv_run(&d->loop, UV_RUN_ONCE);
    }
    assert_int_equal(evil.taken, SIZE);
    memcpy(first, evil.offer.offer.id, sizeof(first));
    assert_int_equal(qudag_send_cancel(d->node, own.handle), QUDAG_OK);
    begin_send(SILENT);
    evil.what = HONEST; /* the same content, now acknowledged */
    assert_int_equal(end_of_send(), QUDAG_SEND_END_NONE);
    assert_memory_equal(evil.offer.offer.id, first, sizeof(first));
    begin_send(SILENT);
    evil.what = HONEST;
    assert_int_equal(end_of_send(), QUDAG_SEND_END_NONE);
    memcpy(second, evil.offer.offer.id, sizeof(second));
    assert_memory_not_equal(second, first, sizeof(first));
    static const struct unsent_table none;
    assert_memory_equal(&sends->unsent, &none, sizeof(none));
}

/* The recipient cannot tell from the circuit that two deliveries come from one sender, unless the user wants it so. */
static void each_delivery_has_a_circuit_of_its_own(void **state)
{
    qudag_circuit last;
    (void)state;
    for (int nth = 0; nth < 6; nth++) {
        isolate = nth < 2 ? NULL : nth < 4 ? "one" : "two";
        last = evil.circuit;
        assert_int_equal(send_file(HONEST), QUDAG_SEND_END_NONE);
        assert_int_equal(evil.circuit.id == last.id, nth == 3 || nth == 5);
    }
    isolate = NULL;
}

/* The audit's receivers: they take the file, claim one byte of it, and fall silent, or reset the stream (H6). */
static void see_few(enum misbehaviour what, unsigned circuits)
{
    begin_send(what);
    uint64_t end = api_now() + 25 * NS_PER_S;
    unsigned done = 0;
    while (sends->n > 0 && api_now() < end) {
        (void)uv_run(&d->loop, UV_RUN_ONCE);
        done = evil.got > 0 ? evil.streams : done;
        if (evil.streams == done) { /* silences and pauses pass at once */
            send_tick(sends, api_now() + 5 * NS_PER_S);
        }
    }
    if (sends->n > 0) {
        last_send()->progress_ns = 1; /* its time is over */
    }
    assert_int_equal(end_of_send(), QUDAG_SEND_END_UNREACHED);
    print_message("%u circuits, %u streams: %s\n", evil.circuits, evil.streams, own.end.why);
    assert_int_not_equal(own.end.err, QUDAG_ELIMIT); /* the cause, not that attempts had to wait */
    assert_non_null(strstr(own.end.why, "at the receiver ("));
    assert_in_range(evil.circuits, 1, circuits);
    assert_in_range(evil.streams, 2, DELIVERY_TRIES_MAX);
}

static void a_receiver_that_claims_a_byte_and_falls_silent_sees_few_circuits(void **state)
{
    (void)state;
    see_few(BYTE_BY_BYTE, 8);
}

/* The circuits that its silence costs are used up: the delivery waits for the next, and goes on over it. */
static void a_delivery_outlives_the_silence_of_its_receiver(void **state)
{
    (void)state;
    publish(1, evil.addr); /* the budget of the other address is used up */
    begin_send(BYTE_BY_BYTE);
    uint64_t end = api_now() + 60 * NS_PER_S;
    unsigned done = 0;
    while (sends->n > 0 && !last_send()->limited && api_now() < end) {
        (void)uv_run(&d->loop, UV_RUN_ONCE);
        done = evil.got > 0 ? evil.streams : done;
        if (evil.streams == done) { /* silences pass at once */
            send_tick(sends, api_now() + 5 * NS_PER_S);
        }
    }
    assert_int_equal(sends->n, 1);
    assert_true(last_send()->limited);
    unsigned attempts = last_send()->been.attempts;
    for (end = api_now() + 2 * NS_PER_S; api_now() < end;) {
        (void)uv_run(&d->loop, UV_RUN_ONCE);
    }
    assert_int_equal(sends->n, 1);
    assert_int_equal(last_send()->been.attempts, attempts); /* looking costs nothing */
    evil.what = HONEST;
    assert_int_equal(end_of_send(), QUDAG_SEND_END_NONE);
}

/* Pauses grow; when there is a network again nobody waits for the rest of one. */
static void a_network_that_is_back_ends_the_pauses(void **state)
{
    (void)state;
    publish(1, evil.addr);
    begin_send(SILENT);
    struct send_out *s = last_send();
    while (s->state != OUT_OFFERED || !s->streaming) {
        (void)uv_run(&d->loop, UV_RUN_ONCE);
    }
    s->pauses = 6; /* as after an outage */
    send_try_again(s, QUDAG_EUNREACHABLE);
    assert_int_equal(s->state, OUT_PAUSED);
    assert_true(s->until_ns > api_now() + 10 * NS_PER_S);
    send_network_back(sends);
    assert_true(s->until_ns <= api_now() + 2 * NS_PER_S);
    evil.what = HONEST;
    assert_int_equal(end_of_send(), QUDAG_SEND_END_NONE);
}

/* Eight that wait for a receiver that is away do not hold up the ninth. */
static void those_that_pause_take_no_turn(void **state)
{
    static struct send_out paused[QUDAG_SENDS_AT_WORK_MAX];
    (void)state;
    for (size_t ix = 0; ix < QUDAG_SENDS_AT_WORK_MAX; ix++) {
        paused[ix].state = OUT_PAUSED;
        paused[ix].until_ns = UINT64_MAX;
        paused[ix].next = ix > 0 ? &paused[ix - 1] : NULL;
    }
    assert_null(sends->first);
    sends->first = &paused[QUDAG_SENDS_AT_WORK_MAX - 1];
    begin_send(HONEST);
    assert_int_equal(end_of_send(), QUDAG_SEND_END_NONE);
    assert_ptr_equal(sends->first, &paused[QUDAG_SENDS_AT_WORK_MAX - 1]);
    sends->first = NULL;
}

static void a_receiver_that_claims_a_byte_and_resets_sees_few_streams(void **state)
{
    (void)state;
    publish(1, evil.addr); /* the budget of the other address is used up */
    see_few(BYTE_AND_RESET, 8);
}

static void a_receiver_that_does_not_know_the_question_for_room_gets_the_offer(void **state)
{
    (void)state;
    assert_int_equal(send_file(OLD), QUDAG_SEND_END_REFUSED);
    assert_int_equal(evil.asked, 1);
    assert_int_equal(evil.streams, 2);
    assert_int_equal(evil.offer.type, TRANSFER_T_OFFER);
    /* a hash that nobody computed is not compared with */
    begin_send(CHATTY);
    uint64_t end = api_now() + 30 * NS_PER_S;
    while (evil.asked < 3 && sends->n > 0 && api_now() < end) {
        (void)uv_run(&d->loop, UV_RUN_ONCE);
    }
    assert_int_equal(evil.asked, 3);
    assert_int_equal(evil.streams, 3);
    assert_int_equal(qudag_send_cancel(d->node, own.handle), QUDAG_OK);
}

static void what_cannot_be_sent_is_refused_at_once(void **state)
{
    static const uint8_t text[QUDAG_MESSAGE_MAX + 1];
    qudag_send_options o = QUDAG_INIT(qudag_send_options);
    qudag_send s = {0};
    const qudag_slice word = {text, 4};
    (void)state;
    assert_int_equal(
        qudag_send_message(d->node, evil.addr, (qudag_slice){text, sizeof(text)}, NULL, &s),
        QUDAG_ETOOBIG);
    assert_int_equal(qudag_send_message(d->node, own_addr, word, NULL, &s), QUDAG_EINVAL);
    assert_int_equal(qudag_send_message(d->node, "x.dark", word, NULL, &s), QUDAG_EMALFORMED);
    assert_int_equal(qudag_send_message(d->node, evil.addr, (qudag_slice){NULL, 1}, NULL, &s),
                     QUDAG_EINVAL);
    assert_int_equal(qudag_send_message(NULL, evil.addr, word, NULL, &s), QUDAG_EINVAL);
    assert_int_equal(qudag_send_file(d->node, evil.addr, dir, NULL, &s), QUDAG_ESYSTEM);
    assert_int_equal(qudag_send_file(d->node, evil.addr, "/nowhere/at/all", NULL, &s),
                     QUDAG_ESYSTEM);
    assert_int_equal(qudag_send_fd(d->node, evil.addr, -1, NULL, &s), QUDAG_ESYSTEM);
    o.isolation_len = QUDAG_ISOLATION_MAX + 1;
    assert_int_equal(qudag_send_message(d->node, evil.addr, word, &o, &s), QUDAG_EINVAL);
    o.size = 0;
    assert_int_equal(qudag_send_message(d->node, evil.addr, word, &o, &s), QUDAG_EINVAL);
    char path[FILES_PATH_MAX], name[QUDAG_NAME_MAX + 2]; /* a name is not cut within a character */
    memset(name, 'a', sizeof(name));
    memcpy(name + QUDAG_NAME_MAX - 1, "\xc3\xa9", 3);
    o = (qudag_send_options)QUDAG_INIT(qudag_send_options);
    o.name = name;
    (void)snprintf(path, sizeof(path), "%s/file", dir);
    assert_int_equal(qudag_send_file(d->node, evil.addr, path, &o, &s), QUDAG_OK);
    assert_int_equal(strlen(sends->first->offer.name), QUDAG_NAME_MAX - 1);
    assert_int_equal(qudag_send_cancel(d->node, s), QUDAG_OK);
    s.id = 0;
    sends->n = QUDAG_SENDS_MAX;
    assert_int_equal(qudag_send_message(d->node, evil.addr, word, NULL, &s), QUDAG_ELIMIT);
    sends->n = 0;
    assert_int_equal(s.id, 0);
    assert_null(sends->first);
}

/* Memory lacks at each place in turn: an error, and nothing is left of it. */
static void without_memory_nothing_is_begun(void **state)
{
    struct mem *mem = api_mem(d->node);
    qudag_send s = {0};
    (void)state;
    for (uint64_t nth = 1; nth <= 2; nth++) {
        mem->fail_at = nth;
        assert_int_equal(qudag_send_message(d->node, evil.addr,
                                            (qudag_slice){(const uint8_t *)"text", 4}, NULL, &s),
                         QUDAG_ENOMEM);
        assert_int_equal(mem->fail_at, 0);
        assert_int_equal(sends->n, 0);
        assert_null(sends->first);
    }
}

static void whoever_hears_of_a_change_may_end_it(void **state)
{
    (void)state;
    static const qudag_send_state at[] = {QUDAG_SEND_QUEUED, QUDAG_SEND_HASHING,
                                          QUDAG_SEND_RESOLVING};
    for (size_t ix = 0; ix < 3; ix++) {
        begin_send(HONEST);
        while ((own.seen & 1u << at[ix]) == 0 && sends->n > 0) {
            own.cancel_then = ix == 0;
            (void)uv_run(&d->loop, UV_RUN_ONCE);
        }
        unsigned told = own.told;
        if (ix > 0) {
            assert_int_equal(qudag_send_cancel(d->node, own.handle), QUDAG_OK);
        }
        assert_int_equal(sends->n, 0);
        assert_null(sends->first);
        for (uint64_t end = api_now() + NS_PER_S; api_now() < end;) {
            (void)uv_run(&d->loop, UV_RUN_ONCE);
        }
        assert_int_equal(own.told, told); /* nobody is told */
        assert_false(own.is_over);
    }
}

/* The node is freed while a file is hashed and another one is sent: tear_down. */
static void what_is_at_work_ends_with_the_node(void **state)
{
    (void)state;
    begin_send(SILENT);
    while ((own.seen & 1u << QUDAG_SEND_SENDING) == 0) {
        (void)uv_run(&d->loop, UV_RUN_ONCE);
    }
    begin_send(OLD);
    own.is_over = false;
    while (sends->first->state == OUT_QUEUED) {
        (void)uv_run(&d->loop, UV_RUN_ONCE);
    }
    send_hash(sends->first);
    assert_true(sends->first->job->busy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_peers_are_not_told_that_transfers_are_taken),
        cmocka_unit_test(what_a_receiver_claims_is_compared_with_what_was_sent),
        cmocka_unit_test(who_claims_more_than_was_sent_is_left_at_once),
        cmocka_unit_test(a_receiver_that_always_reports_another_hash_gets_two_attempts),
        cmocka_unit_test(a_receiver_that_never_acknowledges_cannot_make_us_send_for_ever),
        cmocka_unit_test(an_id_lasts_until_its_file_is_delivered),
        cmocka_unit_test(each_delivery_has_a_circuit_of_its_own),
        cmocka_unit_test(a_receiver_that_claims_a_byte_and_falls_silent_sees_few_circuits),
        cmocka_unit_test(a_receiver_that_claims_a_byte_and_resets_sees_few_streams),
        cmocka_unit_test(a_delivery_outlives_the_silence_of_its_receiver),
        cmocka_unit_test(a_network_that_is_back_ends_the_pauses),
        cmocka_unit_test(those_that_pause_take_no_turn),
        cmocka_unit_test(a_receiver_that_does_not_know_the_question_for_room_gets_the_offer),
        cmocka_unit_test(what_cannot_be_sent_is_refused_at_once),
        cmocka_unit_test(without_memory_nothing_is_begun),
        cmocka_unit_test(whoever_hears_of_a_change_may_end_it),
        cmocka_unit_test(what_is_at_work_ends_with_the_node),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
