/*
 * hostile_test.c - the daemon sends, and the receiver misbehaves (hostile_testkit.h).
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
#include "transfer_out.h"

/* ------------------------------------------------------------------ the daemon sends */

static const char *isolate; /* key of the sends; NULL: each has its own */

/* Begins to send a file to the peer. */
static struct request *begin_send(enum misbehaviour what)
{
    static struct rec args;
    char path[PATH_LEN];
    static uint8_t content[SIZE];
    evil.what = what;
    evil.streams = 0;
    evil.taken = evil.asked = evil.circuits = 0;
    memset(content, (int)what + 'a', sizeof(content));
    (void)snprintf(path, sizeof(path), "%s/file", dir);
    assert_int_equal(file_write_atomic(path, content, sizeof(content), 0600), 0);
    assert_int_equal(what < OLD ? 0 : truncate(path, TRANSFER_ASK_MIN), 0);
    rec_begin(&args, REC_REQUEST);
    rec_str(&args, "address", evil.addr);
    rec_str(&args, "name", "file");
    if (isolate != NULL) {
        rec_str(&args, "isolate", isolate);
    }
    size_t len = rec_frame(&args);
    struct request *rq = calloc(1, sizeof(*rq) + len);
    assert_non_null(rq);
    rq->d = d;
    rq->fd = open(path, O_RDONLY);
    assert_true(rq->fd >= 0);
    memcpy(rq->bytes, args.buf + REC_FRAME_HEAD, len - REC_FRAME_HEAD);
    assert_true(rec_parse(&rq->args, rq->bytes, len - REC_FRAME_HEAD));
    transfer_send(rq);
    return rq;
}

static char said[600]; /* the message at the end of the last transfer */

/* Waits for the end of the transfer: its exit code; |error|: its name. */
static int64_t end_of_send(char error[64])
{
    uint64_t end = mono_ns() + 100 * NS_PER_S;
    while (d->transfers->n_sends > 0 && mono_ns() < end) {
        (void)uv_run(&d->loop, UV_RUN_ONCE);
    }
    assert_int_equal(d->transfers->n_sends, 0);
    struct rec_view v;
    size_t len = rec_frame(d->rec);
    assert_true(len > 0 && rec_parse(&v, d->rec->buf + REC_FRAME_HEAD, len - REC_FRAME_HEAD));
    assert_int_equal(v.type, REC_END);
    const char *name = rec_get_str(&v, "error");
    const char *message = rec_get_str(&v, "message");
    (void)snprintf(error, 64, "%s", name == NULL ? "" : name);
    (void)snprintf(said, sizeof(said), "%s", message == NULL ? "" : message);
    return rec_get_int(&v, "code", -1);
}

/* Sends a file to the peer and waits for the end. */
static int64_t send_file(enum misbehaviour what, char error[64])
{
    (void)begin_send(what);
    return end_of_send(error);
}

/* Whoever meets the node cannot tell that it has a dark address: audit, M16. */
static void known_peers_are_not_told_that_transfers_are_taken(void **state)
{
    char agent[QUDAG_AGENT_LEN_MAX + 1], protocols[1024];
    qudag_peer_id peer;
    (void)state;
    qudag_node_peer_id(d->node, &peer);
    uint64_t end = mono_ns() + 20 * NS_PER_S;
    while (qudag_peer_agent(net[2].node, &peer, agent, sizeof(agent), protocols,
                            sizeof(protocols)) != QUDAG_OK &&
           mono_ns() < end) {
        (void)uv_run(&d->loop, UV_RUN_ONCE);
    }
    assert_string_equal(agent, "qudag");
    assert_non_null(strstr(protocols, "/qudag-lab/kad/1.0.0"));
    assert_null(strstr(protocols, "transfer"));
    plain_why = QUDAG_OK;
    assert_int_equal(qudag_stream_open(net[2].node, &peer, TRANSFER_PROTO, &plain), QUDAG_OK);
    while (plain_why == QUDAG_OK && mono_ns() < end) {
        (void)uv_run(&d->loop, UV_RUN_ONCE);
    }
    assert_int_equal(plain_why, QUDAG_EUNSUPPORTED);
}

static void what_a_receiver_claims_is_compared_with_what_was_sent(void **state)
{
    char error[64];
    (void)state;
    assert_int_equal(send_file(HONEST, error), TOOL_OK);
    assert_int_equal(evil.streams, 1);
    assert_int_equal(send_file(WRONG_HASH, error), TOOL_FAILED);
    assert_string_equal(error, "HASH_DIFFERS");
    assert_int_equal(send_file(WRONG_SIZE, error), TOOL_FAILED);
    assert_string_equal(error, "HASH_DIFFERS");
}

static void a_receiver_that_always_reports_another_hash_gets_two_attempts(void **state)
{
    char error[64];
    (void)state;
    assert_int_equal(send_file(ALWAYS_DIFFERS, error), TOOL_REFUSED);
    assert_string_equal(error, "HASH_DIFFERS");
    assert_int_equal(evil.streams, 2);
    assert_int_equal(evil.taken, 2 * SIZE);
}

static void a_receiver_that_never_acknowledges_cannot_make_us_send_for_ever(void **state)
{
    char error[64];
    (void)state;
    assert_int_not_equal(send_file(NEVER_DONE, error), TOOL_OK);
    assert_string_equal(error, "RECEIVER_LOST"); /* it asks again for what it had confirmed */
    assert_int_equal(evil.streams, 2);
    assert_int_equal(evil.taken, SIZE);
}

/* An interrupted transfer goes on under its id; one that is over leaves nothing by which the next is recognised. */
static void an_id_lasts_until_its_file_is_delivered(void **state)
{
    char error[64];
    uint8_t first[TRANSFER_ID_LEN], second[TRANSFER_ID_LEN];
    (void)state;
    struct request *rq = begin_send(SILENT);
    uint64_t end = mono_ns() + 30 * NS_PER_S;
    while (evil.taken < SIZE && mono_ns() < end) {
        (void)uv_run(&d->loop, UV_RUN_ONCE);
    }
    assert_int_equal(evil.taken, SIZE);
    memcpy(first, evil.offer.offer.id, sizeof(first));
    transfer_abandon(rq);
    (void)begin_send(SILENT);
    evil.what = HONEST; /* the same content, now acknowledged */
    assert_int_equal(end_of_send(error), TOOL_OK);
    assert_memory_equal(evil.offer.offer.id, first, sizeof(first));
    (void)begin_send(SILENT);
    evil.what = HONEST;
    assert_int_equal(end_of_send(error), TOOL_OK);
    memcpy(second, evil.offer.offer.id, sizeof(second));
    assert_memory_not_equal(second, first, sizeof(first));
    static const struct unsent_table none;
    assert_memory_equal(&d->transfers->unsent, &none, sizeof(none));
}

/* The recipient cannot tell from the circuit that two deliveries come from one sender, unless the user wants it so. */
static void each_delivery_has_a_circuit_of_its_own(void **state)
{
    char error[64];
    qudag_circuit last;
    (void)state;
    for (int nth = 0; nth < 6; nth++) {
        isolate = nth < 2 ? NULL : nth < 4 ? "one" : "two";
        last = evil.circuit;
        assert_int_equal(send_file(HONEST, error), TOOL_OK);
        assert_int_equal(evil.circuit.id == last.id, nth == 3 || nth == 5);
    }
    isolate = NULL;
}

/* The audit's receivers: they take the file, claim one byte of it, and fall silent, or reset the stream (H6). */
static void see_few(enum misbehaviour what, unsigned circuits)
{
    char error[64];
    (void)begin_send(what);
    uint64_t end = mono_ns() + 25 * NS_PER_S;
    unsigned done = 0;
    while (d->transfers->n_sends > 0 && mono_ns() < end) {
        (void)uv_run(&d->loop, UV_RUN_ONCE);
        done = evil.got > 0 ? evil.streams : done;
        if (evil.streams == done) { /* silences and pauses pass at once */
            transfer_tick(d->transfers, mono_ns() + 5 * NS_PER_S);
        }
    }
    if (d->transfers->n_sends > 0) {
        d->transfers->sends->progress_ns = 1; /* its time is over */
    }
    assert_int_not_equal(end_of_send(error), TOOL_OK);
    print_message("%u circuits, %u streams: %s, %s\n", evil.circuits, evil.streams, error, said);
    assert_string_not_equal(error, "QUDAG_ELIMIT"); /* the cause, not that attempts had to wait */
    assert_non_null(strstr(said, "at the receiver ("));
    assert_in_range(evil.circuits, 1, circuits);
    assert_in_range(evil.streams, 2, RULES_TRIES_MAX);
}

static void a_receiver_that_claims_a_byte_and_falls_silent_sees_few_circuits(void **state)
{
    (void)state;
    see_few(BYTE_BY_BYTE, 8);
}

/* The circuits that its silence costs are used up: the delivery waits for the next, and goes on over it. */
static void a_delivery_outlives_the_silence_of_its_receiver(void **state)
{
    char error[64];
    (void)state;
    publish(1, evil.addr); /* the budget of the other address is used up */
    (void)begin_send(BYTE_BY_BYTE);
    uint64_t end = mono_ns() + 60 * NS_PER_S;
    unsigned done = 0;
    while (d->transfers->n_sends > 0 && !d->transfers->sends->limited && mono_ns() < end) {
        (void)uv_run(&d->loop, UV_RUN_ONCE);
        done = evil.got > 0 ? evil.streams : done;
        if (evil.streams == done) { /* silences pass at once */
            transfer_tick(d->transfers, mono_ns() + 5 * NS_PER_S);
        }
    }
    assert_int_equal(d->transfers->n_sends, 1);
    assert_true(d->transfers->sends->limited);
    unsigned attempts = d->transfers->sends->been.attempts;
    for (end = mono_ns() + 2 * NS_PER_S; mono_ns() < end;) {
        (void)uv_run(&d->loop, UV_RUN_ONCE);
    }
    assert_int_equal(d->transfers->n_sends, 1);
    assert_int_equal(d->transfers->sends->been.attempts, attempts); /* looking costs nothing */
    evil.what = HONEST;
    assert_int_equal(end_of_send(error), TOOL_OK);
}

/* Pauses grow; when there is a network again nobody waits for the rest of one. */
static void a_network_that_is_back_ends_the_pauses(void **state)
{
    char error[64];
    (void)state;
    publish(1, evil.addr);
    struct request *rq = begin_send(SILENT);
    struct transfer_out *s = rq->job;
    while (s->state != OUT_OFFERED || !s->streaming) {
        (void)uv_run(&d->loop, UV_RUN_ONCE);
    }
    s->pauses = 6; /* as after an outage */
    transfer_out_try_again(s, QUDAG_EUNREACHABLE);
    assert_int_equal(s->state, OUT_PAUSED);
    assert_true(s->until_ns > mono_ns() + 10 * NS_PER_S);
    transfer_network_back(NULL);
    transfer_network_back(d->transfers);
    assert_true(s->until_ns <= mono_ns() + 2 * NS_PER_S);
    evil.what = HONEST;
    assert_int_equal(end_of_send(error), TOOL_OK);
}

/* Eight that wait for a receiver that is away do not hold up the ninth. */
static void those_that_pause_take_no_turn(void **state)
{
    struct transfer_out paused[TRANSFER_SENDS_MAX];
    char error[64];
    (void)state;
    memset(paused, 0, sizeof(paused));
    for (size_t ix = 0; ix < TRANSFER_SENDS_MAX; ix++) {
        paused[ix].state = OUT_PAUSED;
        paused[ix].next = ix > 0 ? &paused[ix - 1] : NULL;
    }
    d->transfers->sends = &paused[TRANSFER_SENDS_MAX - 1];
    struct transfer_out *s = begin_send(HONEST)->job;
    assert_int_not_equal(s->state, OUT_QUEUED);
    s->next = NULL;
    assert_int_equal(end_of_send(error), TOOL_OK);
}

static void a_receiver_that_claims_a_byte_and_resets_sees_few_streams(void **state)
{
    (void)state;
    publish(1, evil.addr); /* the budget of the other address is used up */
    see_few(BYTE_AND_RESET, 8);
}

static void a_receiver_that_does_not_know_the_question_for_room_gets_the_offer(void **state)
{
    char error[64];
    (void)state;
    assert_int_equal(send_file(OLD, error), TOOL_REFUSED);
    assert_int_equal(evil.asked, 1);
    assert_int_equal(evil.streams, 2);
    assert_int_equal(evil.offer.type, TRANSFER_T_OFFER);
    /* a hash that nobody computed is not compared with */
    struct request *rq = begin_send(CHATTY);
    uint64_t end = mono_ns() + 30 * NS_PER_S;
    while (evil.asked < 3 && d->transfers->n_sends > 0 && mono_ns() < end) {
        (void)uv_run(&d->loop, UV_RUN_ONCE);
    }
    assert_int_equal(evil.asked, 3);
    assert_int_equal(evil.streams, 3);
    transfer_abandon(rq);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_peers_are_not_told_that_transfers_are_taken),
        cmocka_unit_test(what_a_receiver_claims_is_compared_with_what_was_sent),
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
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
