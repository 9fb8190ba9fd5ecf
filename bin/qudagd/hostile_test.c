/*
 * hostile_test.c - transfers with a misbehaving peer, over real nodes and circuits in one process.
 *
 * The daemon's transfer code runs on node 0.  Node 1 is the peer: as a receiver it answers offers as |what| says, as a
 * sender it writes what the test gives it.  The others are relays.
 *
 * TEST: timeout=180 serial
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

#include "rules.h"
#include "transfer_int.h"

#include <fcntl.h>

#define NODES 6
#define SIZE 300000 /* bytes of the file sent */

enum misbehaviour {
    HONEST,
    WRONG_HASH,     /* done, with another hash */
    WRONG_SIZE,     /* done, with another size */
    ALWAYS_DIFFERS, /* refuse: hash differs, after all of the content */
    NEVER_DONE,     /* takes everything, confirms it, resets, and asks for it again */
    BYTE_BY_BYTE,   /* accepts at 0, claims one byte, and falls silent */
    BYTE_AND_RESET, /* ... and resets */
    SILENT,         /* accepts, takes everything and says nothing */
    OLD,            /* does not know the question for room, and refuses the offer */
    CHATTY,         /* answers the question as if it had been an offer */
};

static struct daemon daemon_obj, *const d = &daemon_obj;
static struct {
    qudag_node *node;
    qudag_identity *id;
    bool ready, op_done;
    qudag_err op_err;
} net[NODES];
static char dir[] = "/tmp/qudag-hostile-XXXXXX";
static char first_addr[QUDAG_ADDR_TEXT_MAX + 80];

static struct {
    enum misbehaviour what;
    char addr[QUDAG_DARK_TEXT_MAX];
    unsigned streams;      /* opened to it */
    unsigned circuits;     /* ... over as many, each counted when it is another than the last */
    unsigned asked;        /* for room */
    uint64_t taken;        /* bytes of content in all */
    qudag_circuit circuit; /* of the stream that came last */
    struct transfer_msg offer;
    uint8_t in[TRANSFER_MSG_MAX];
    size_t in_len;
    uint64_t got;             /* on this stream */
    qudag_stream stream, out; /* in; ours, as a sender */
    const uint8_t *say;
    size_t say_len, say_at;
    bool closed;
    struct transfer_msg answer; /* the last the daemon gave it */
    unsigned answers;
} evil;

/* Further streams of the peer on which it offers and then says little. */
#define DRIPS_MAX (2 * TRANSFER_RECVS_MAX + 1)
static struct {
    qudag_stream stream;
    uint8_t id;
    bool closed;
} drip[DRIPS_MAX];
static unsigned n_drips;
static qudag_stream plain; /* of node 2 to node 0, not over a circuit */
static qudag_err plain_why;
static unsigned standing; /* streams that the daemon is to have beside the one of the test */

static bool is_evil(const qudag_node *n)
{
    return n == net[1].node;
}

static void turn_until(const bool *flag, unsigned seconds)
{
    uint64_t end = mono_ns() + seconds * NS_PER_S * (getenv("HOSTILE_SLOW") != NULL ? 20 : 1);
    while (!*flag && mono_ns() < end) {
        (void)uv_run(&d->loop, UV_RUN_ONCE);
    }
    assert_true(*flag);
}

static void write_msg(qudag_stream s, const struct transfer_msg *m)
{
    uint8_t bytes[TRANSFER_MSG_MAX];
    size_t taken, len = transfer_encode(bytes, m);
    (void)!qudag_stream_write(net[1].node, s, (qudag_slice){bytes, len}, &taken);
}

/* ------------------------------------------------------------------ the peer as a receiver */

static void evil_end(qudag_stream s)
{
    struct transfer_msg m = {.type = TRANSFER_T_DONE, .n = evil.offer.offer.size};
    memcpy(m.hash, evil.offer.offer.hash, sizeof(m.hash));
    switch (evil.what) {
    case WRONG_HASH:
        m.hash[31] ^= 1;
        break;
    case WRONG_SIZE:
        m.n--;
        break;
    case ALWAYS_DIFFERS:
        m = (struct transfer_msg){.type = TRANSFER_T_REFUSE, .reason = TRANSFER_HASH_DIFFERS};
        break;
    case NEVER_DONE:
        qudag_stream_reset(net[1].node, s, QUDAG_ECANCELED);
        return;
    case HONEST:
    case BYTE_BY_BYTE:
    case BYTE_AND_RESET:
    case SILENT:
    case OLD:
    case CHATTY:
        break;
    }
    write_msg(s, &m);
    qudag_stream_fin(net[1].node, s);
}

/* To the first message of a stream, without content. */
static void evil_answers(qudag_stream s)
{
    bool asks = evil.offer.type == TRANSFER_T_ASK;
    struct transfer_msg m = {.type = TRANSFER_T_REFUSE,
                             .reason = asks ? TRANSFER_BAD_OFFER : TRANSFER_TOO_LARGE};
    if (evil.what == CHATTY) {
        m = (struct transfer_msg){.type = TRANSFER_T_DONE, .n = evil.offer.offer.size};
    }
    write_msg(s, &m);
    qudag_stream_fin(net[1].node, s);
}

static void evil_data(qudag_stream s, qudag_slice data)
{
    if (evil.offer.type == 0) {
        size_t n =
            sizeof(evil.in) - evil.in_len < data.len ? sizeof(evil.in) - evil.in_len : data.len;
        memcpy(evil.in + evil.in_len, data.base, n);
        evil.in_len += n;
        size_t used = transfer_decode(&evil.offer, evil.in, evil.in_len);
        if (used == 0) {
            return;
        }
        assert_int_not_equal(used, SIZE_MAX);
        evil.asked += evil.offer.type == TRANSFER_T_ASK;
        if (evil.what == OLD || evil.what == CHATTY) {
            evil_answers(s);
            return;
        }
        write_msg(s, &(struct transfer_msg){.type = TRANSFER_T_ACCEPT});
        return; /* a file: nothing more comes before it is accepted */
    }
    evil.got += data.len;
    evil.taken += data.len;
    if (evil.what == SILENT || evil.what == BYTE_BY_BYTE || evil.what == BYTE_AND_RESET) {
        if (evil.what != SILENT && evil.got == data.len) {
            write_msg(s, &(struct transfer_msg){.type = TRANSFER_T_PROGRESS, .n = 1});
        }
        if (evil.what == BYTE_AND_RESET) {
            qudag_stream_reset(net[1].node, s, QUDAG_ECANCELED);
        }
        return;
    }
    write_msg(s, &(struct transfer_msg){.type = TRANSFER_T_PROGRESS, .n = evil.got});
    if (evil.got == evil.offer.offer.size) {
        evil_end(s);
    }
}

/* ------------------------------------------------------------------ callbacks */

static void on_phase(qudag_node *n, qudag_phase p, uint32_t a, uint32_t b, qudag_err err,
                     void *user)
{
    (void)n;
    (void)a;
    (void)b;
    (void)err;
    net[(uintptr_t)user].ready = p == QUDAG_PHASE_READY;
}

static void on_op(qudag_node *n, qudag_op op, qudag_err err, const qudag_result *res, void *user)
{
    (void)n;
    (void)op;
    (void)res;
    net[(uintptr_t)user].op_done = true;
    net[(uintptr_t)user].op_err = err;
}

static void on_in(qudag_node *n, qudag_stream s, const qudag_peer_id *from, const char *dark,
                  const char *proto, void *user)
{
    (void)user;
    (void)from;
    assert_string_equal(proto, TRANSFER_PROTO);
    if (n == d->node) {
        transfer_stream_in(d->transfers, s, dark);
    } else if (is_evil(n)) {
        qudag_stream_state info = QUDAG_INIT(qudag_stream_state);
        assert_int_equal(qudag_stream_info(n, s, &info), QUDAG_OK);
        evil.circuits += info.circuit.id != evil.circuit.id;
        evil.circuit = info.circuit;
        evil.streams++;
        evil.stream = s;
        evil.offer.type = 0;
        evil.in_len = 0;
        evil.got = 0;
    }
}

static void evil_says(void)
{
    size_t taken = 0;
    while (evil.say_at < evil.say_len) {
        qudag_err err = qudag_stream_write(
            net[1].node, evil.out,
            (qudag_slice){evil.say + evil.say_at, evil.say_len - evil.say_at}, &taken);
        if (err != QUDAG_OK || taken == 0) {
            return;
        }
        evil.say_at += taken;
    }
}

static void on_data(qudag_node *n, qudag_stream s, qudag_slice data, bool fin, void *user)
{
    (void)user;
    if (n == d->node) {
        transfer_data(d->transfers, s, data, fin);
        return;
    }
    qudag_stream_consume(n, s, data.len);
    if (s.id != evil.out.id) {
        bool drips = false;
        for (unsigned ix = 0; ix < n_drips; ix++) {
            drips = drips || drip[ix].stream.id == s.id;
        }
        if (!drips) {
            evil_data(s, data);
        }
        return;
    }
    struct transfer_msg m;
    size_t used;
    while ((used = transfer_decode(&m, data.base, data.len)) != 0 && used != SIZE_MAX) {
        data = (qudag_slice){data.base + used, data.len - used};
        evil.answer = m;
        evil.answers++;
    }
    evil.closed = evil.closed || fin;
    evil_says();
}

static void on_writable(qudag_node *n, qudag_stream s, void *user)
{
    (void)user;
    if (n == d->node) {
        transfer_writable(d->transfers, s);
    } else if (is_evil(n) && s.id == evil.out.id) {
        evil_says();
    }
}

static void on_closed(qudag_node *n, qudag_stream s, qudag_err why, void *user)
{
    (void)user;
    if (n == net[2].node && s.id == plain.id) {
        plain_why = why;
    }
    if (n == d->node) {
        transfer_closed(d->transfers, s, why);
    } else if (is_evil(n) && s.id == evil.out.id) {
        evil.closed = true;
    }
    for (unsigned ix = 0; is_evil(n) && ix < n_drips; ix++) {
        drip[ix].closed = drip[ix].closed || drip[ix].stream.id == s.id;
    }
}

/* ------------------------------------------------------------------ the network */

static void start_node(uintptr_t ix)
{
    static const char *const listen[] = {"/ip4/127.0.0.1/udp/0/quic-v1"};
    static const qudag_callbacks calls = {.size = sizeof(calls),
                                          .stream_in = on_in,
                                          .stream_data = on_data,
                                          .stream_opened = on_writable,
                                          .stream_writable = on_writable,
                                          .stream_closed = on_closed,
                                          .op_done = on_op,
                                          .phase = on_phase};
    const char *boot[] = {first_addr};
    qudag_settings s;
    assert_int_equal(qudag_identity_generate(&net[ix].id), QUDAG_OK);
    QUDAG_SETTINGS_INIT(&s);
    s.identity = net[ix].id;
    s.listen = listen;
    s.listen_n = 1;
    s.bootstrap = boot;
    s.bootstrap_n = ix == 0 ? 0 : 1;
    s.hops = 3;
    s.relays_min = 4;
    s.relay = true;
    s.dht_server = true;
    s.lab = true;
    s.uv_loop = &d->loop;
    char why[400] = "";
    if (qudag_node_check(&s, why, sizeof(why)) != QUDAG_OK) {
        fail_msg("%s", why);
    }
    assert_int_equal(qudag_node_new(&net[ix].node, &s, &calls, (void *)ix), QUDAG_OK);
    if (ix == 0) {
        d->node = net[0].node;
    }
    assert_int_equal(qudag_protocol_serve_dark(net[ix].node, TRANSFER_PROTO), QUDAG_OK);
    assert_int_equal(qudag_node_start(net[ix].node), QUDAG_OK);
    if (ix == 0) {
        size_t it = 0;
        char addr[QUDAG_ADDR_TEXT_MAX];
        assert_true(qudag_node_addr_next(net[0].node, &it, addr));
        (void)snprintf(first_addr, sizeof(first_addr), "%s", addr);
    }
}

static void publish(size_t ix, char addr[QUDAG_DARK_TEXT_MAX])
{
    qudag_op op;
    assert_int_equal(qudag_dark_create(net[ix].node, "post", addr), QUDAG_OK);
    net[ix].op_err = QUDAG_EAGAIN;
    for (unsigned nth = 0; nth < 80 && net[ix].op_err != QUDAG_OK;
         nth++) { /* relays come to be known */
        net[ix].op_done = false;
        assert_int_equal(qudag_dark_publish(net[ix].node, addr, &op), QUDAG_OK);
        turn_until(&net[ix].op_done, 30);
        for (uint64_t end = mono_ns() + NS_PER_S / 4;
             net[ix].op_err != QUDAG_OK && mono_ns() < end;) {
            (void)uv_run(&d->loop, UV_RUN_NOWAIT);
        }
    }
    assert_int_equal(net[ix].op_err, QUDAG_OK);
}

static char own_addr[QUDAG_DARK_TEXT_MAX];
static uv_timer_t tick;

static void on_tick(uv_timer_t *t)
{
    (void)t;
    transfer_tick(d->transfers, mono_ns());
}

static int set_up(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(uv_loop_init(&d->loop), 0);
    d->log.fd = STDERR_FILENO;
    d->log.level = QUDAG_LOG_ERROR;
    d->rec = malloc(sizeof(*d->rec));
    memcpy(d->state.dir, dir, sizeof(dir));
    assert_true(conf_init(&d->conf));
    assert_true(transfer_new(&d->transfers, d));
    for (uintptr_t ix = 0; ix < NODES; ix++) {
        start_node(ix);
    }
    for (size_t ix = 0; ix < NODES; ix++) {
        turn_until(&net[ix].ready, 60);
    }
    publish(1, evil.addr);
    publish(0, own_addr);
    assert_int_equal(uv_timer_init(&d->loop, &tick), 0);
    return uv_timer_start(&tick, on_tick, 50, 50);
}

static int tear_down(void **state)
{
    char path[PATH_LEN];
    (void)state;
    if (tick.loop != NULL) {
        uv_close((uv_handle_t *)&tick, NULL);
    }
    for (size_t ix = NODES; ix-- > 0;) {
        qudag_node_free(net[ix].node);
        qudag_identity_free(net[ix].id);
    }
    (void)uv_run(&d->loop, UV_RUN_DEFAULT);
    transfer_free(d->transfers);
    conf_fini(&d->conf);
    free(d->rec);
    static const char *const left[] = {"inbox/.partial", "inbox/.index", "inbox/_._.._etc_x",
                                       "inbox",          "file",         ""};
    for (size_t ix = 0; ix < sizeof(left) / sizeof(left[0]); ix++) {
        (void)snprintf(path, sizeof(path), "%s/%s", dir, left[ix]);
        (void)remove(path);
    }
    return uv_loop_close(&d->loop);
}

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

/* Waits for the end of the transfer: its exit code; |error|: its name. */
static int64_t end_of_send(char error[64])
{
    uint64_t end = mono_ns() + 100 * NS_PER_S;
    while (d->transfers->n_sends > 0 && mono_ns() < end) {
        (void)uv_run(&d->loop, UV_RUN_ONCE);
    }
    assert_int_equal(d->transfers->n_sends, 0);
    struct rec_view v;
    size_t said = rec_frame(d->rec);
    assert_true(said > 0 && rec_parse(&v, d->rec->buf + REC_FRAME_HEAD, said - REC_FRAME_HEAD));
    assert_int_equal(v.type, REC_END);
    const char *name = rec_get_str(&v, "error");
    (void)snprintf(error, 64, "%s", name == NULL ? "" : name);
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
    assert_non_null(strstr(protocols, "/qudag/kad/1.0.0"));
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
    uint64_t end = mono_ns() + 60 * NS_PER_S;
    unsigned done = 0;
    while (d->transfers->n_sends > 0 && mono_ns() < end) {
        (void)uv_run(&d->loop, UV_RUN_ONCE);
        done = evil.got > 0 ? evil.streams : done;
        if (evil.streams == done) { /* silences and pauses pass at once */
            transfer_tick(d->transfers, mono_ns() + 5 * NS_PER_S);
        }
    }
    assert_int_not_equal(end_of_send(error), TOOL_OK);
    print_message("%u circuits, %u streams: %s\n", evil.circuits, evil.streams, error);
    assert_in_range(evil.circuits, 1, circuits);
    assert_in_range(evil.streams, 2, RULES_TRIES_MAX);
}

static void a_receiver_that_claims_a_byte_and_falls_silent_sees_few_circuits(void **state)
{
    (void)state;
    see_few(BYTE_BY_BYTE, 13);
}

static void a_receiver_that_claims_a_byte_and_resets_sees_few_streams(void **state)
{
    (void)state;
    publish(1, evil.addr); /* the budget of the other address is used up */
    see_few(BYTE_AND_RESET, 13);
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

/* ------------------------------------------------------------------ the daemon receives */

static void give_up_and_let_it_be_noticed(void)
{
    qudag_stream_reset(net[1].node, evil.out, QUDAG_ECANCELED);
    for (uint64_t end = mono_ns() + 30 * NS_PER_S;
         d->transfers->n_recvs > standing && mono_ns() < end;) {
        (void)uv_run(&d->loop, UV_RUN_ONCE);
    }
    assert_int_equal(d->transfers->n_recvs, standing);
}

/* The peer offers |size| bytes of that name and hash, then writes |content|; what the daemon answers is in |evil|. */
static void offer(const char *name, uint64_t size, const uint8_t hash[TRANSFER_HASH_LEN],
                  const uint8_t *content, size_t len, bool wait)
{
    static uint8_t id, all[TRANSFER_MSG_MAX];
    struct transfer_msg m = {.type = TRANSFER_T_OFFER};
    m.offer.kind = TRANSFER_FILE;
    m.offer.id[0] = ++id;
    m.offer.size = size;
    memcpy(m.offer.hash, hash, TRANSFER_HASH_LEN);
    (void)snprintf(m.offer.name, sizeof(m.offer.name), "%s", name);
    evil.say = all;
    evil.say_len = transfer_encode(all, &m);
    evil.say_at = evil.answers = 0;
    evil.closed = false;
    assert_int_equal(qudag_dark_open(net[1].node, own_addr, TRANSFER_PROTO, &evil.out), QUDAG_OK);
    uint64_t end = mono_ns() + 60 * NS_PER_S;
    while (wait && evil.answers == 0 && !evil.closed && mono_ns() < end) {
        (void)uv_run(&d->loop, UV_RUN_ONCE);
    }
    assert_int_equal(evil.answers, wait ? 1 : 0);
    if (!wait) {
        while (evil.say_at < evil.say_len && !evil.closed && mono_ns() < end) {
            (void)uv_run(&d->loop, UV_RUN_ONCE);
        }
    }
    evil.say = content;
    evil.say_len = len;
    evil.say_at = 0;
    evil_says();
    turn_until(&evil.closed, 30);
    give_up_and_let_it_be_noticed();
}

/* The peer's first words on a new stream; what the daemon answers at once is in |evil|. */
static void first_words(const struct transfer_msg *m)
{
    static uint8_t all[TRANSFER_MSG_MAX];
    evil.say = all;
    evil.say_len = transfer_encode(all, m);
    evil.say_at = evil.answers = 0;
    evil.closed = false;
    assert_int_equal(qudag_dark_open(net[1].node, own_addr, TRANSFER_PROTO, &evil.out), QUDAG_OK);
    uint64_t end = mono_ns() + 30 * NS_PER_S;
    while (evil.answers == 0 && !evil.closed && mono_ns() < end) {
        (void)uv_run(&d->loop, UV_RUN_ONCE);
    }
    assert_int_equal(evil.answers, 1);
}

static size_t in_inbox(void)
{
    return d->transfers->inbox.n;
}

static void what_a_sender_announces_is_compared_with_what_it_sent(void **state)
{
    uint8_t hash[TRANSFER_HASH_LEN];
    static const uint8_t content[] = "a text that has this hash and no other";
    blake3_hasher h;
    (void)state;
    blake3_hasher_init(&h);
    blake3_hasher_update(&h, content, sizeof(content));
    blake3_hasher_finalize(&h, hash, sizeof(hash));
    offer("../../etc/x", sizeof(content), hash, content, sizeof(content), true);
    assert_int_equal(evil.answer.type, TRANSFER_T_DONE);
    assert_int_equal(in_inbox(), 1);
    assert_string_equal(d->transfers->inbox.entry[0].offer.name, "_._.._etc_x");

    hash[0] ^= 1;
    offer("odd", sizeof(content), hash, content, sizeof(content), true);
    assert_int_equal(evil.answer.type, TRANSFER_T_REFUSE);
    assert_int_equal(evil.answer.reason, TRANSFER_HASH_DIFFERS);
    hash[0] ^= 1;
    offer("longer", sizeof(content) - 1, hash, content, sizeof(content), true);
    assert_int_equal(evil.answer.type, TRANSFER_T_REFUSE);
    assert_int_equal(evil.answer.reason, TRANSFER_HASH_DIFFERS);
    offer("huge", INT64_MAX, hash, content, sizeof(content), true);
    assert_int_equal(evil.answer.type, TRANSFER_T_REFUSE);
    assert_int_equal(evil.answer.reason, TRANSFER_TOO_LARGE);
    assert_int_equal(in_inbox(), 1);
}

/* Room is reserved for what has begun, and given back however it ends. */
static void room_is_reserved_while_it_is_needed(void **state)
{
    struct transfer_msg m = {.type = TRANSFER_T_OFFER};
    (void)state;
    m.offer.kind = TRANSFER_FILE;
    m.offer.id[0] = 200;
    m.offer.size = 100000;
    memcpy(m.offer.name, "part", 5);
    first_words(&m);
    assert_int_equal(evil.answer.type, TRANSFER_T_ACCEPT);
    assert_int_equal(d->transfers->inbox.reserved, inbox_cost(100000));
    give_up_and_let_it_be_noticed();
    assert_int_equal(d->transfers->inbox.reserved, 0);
}

static void a_message_is_short_and_an_offer_comes_first(void **state)
{
    struct transfer_msg m = {.type = TRANSFER_T_OFFER};
    (void)state;
    m.offer.kind = TRANSFER_MESSAGE;
    m.offer.id[0] = 201;
    m.offer.size = TRANSFER_MESSAGE_MAX + 1;
    first_words(&m);
    assert_int_equal(evil.answer.type, TRANSFER_T_REFUSE);
    assert_int_equal(evil.answer.reason, TRANSFER_TOO_LARGE);
    give_up_and_let_it_be_noticed();
    m = (struct transfer_msg){.type = TRANSFER_T_PROGRESS, .n = 5};
    first_words(&m);
    assert_int_equal(evil.answer.type, TRANSFER_T_REFUSE);
    assert_int_equal(evil.answer.reason, TRANSFER_BAD_OFFER);
    give_up_and_let_it_be_noticed();
}

/* Our last word was lost: it is said again, and nothing is stored a second time. */
static void what_is_there_already_is_confirmed_at_once(void **state)
{
    struct transfer_msg m = {.type = TRANSFER_T_OFFER};
    char address[QUDAG_DARK_TEXT_MAX];
    (void)state;
    assert_int_equal(in_inbox(), 1);
    m.offer = d->transfers->inbox.entry[0].offer;
    memset(m.offer.id, 0, sizeof(m.offer.id));
    m.offer.id[0] = 1; /* of the first offer() */
    first_words(&m);
    assert_int_equal(evil.answer.type, TRANSFER_T_DONE);
    assert_int_equal(evil.answer.n, m.offer.size);
    assert_int_equal(in_inbox(), 1);
    give_up_and_let_it_be_noticed();
    assert_int_equal(d->transfers->inbox.reserved, 0);
    /* not at another address of the same node: two that answer alike would be known to be one */
    memcpy(address, own_addr, sizeof(address));
    publish(0, own_addr);
    first_words(&m);
    assert_int_equal(evil.answer.type, TRANSFER_T_ACCEPT);
    assert_int_equal(evil.answer.n, 0);
    give_up_and_let_it_be_noticed();
    memcpy(own_addr, address, sizeof(address));
}

static void senders_that_say_nothing_are_in_nobodys_way(void **state)
{
    uint8_t hash[TRANSFER_HASH_LEN];
    static const uint8_t content[] = "from a sender that offers at once";
    qudag_stream silent;
    blake3_hasher h;
    (void)state;
    blake3_hasher_init(&h);
    blake3_hasher_update(&h, content, sizeof(content));
    blake3_hasher_finalize(&h, hash, sizeof(hash));
    size_t before = in_inbox();
    for (unsigned ix = 0; ix < 3 * TRANSFER_RECVS_MAX; ix++) {
        assert_int_equal(qudag_dark_open(net[1].node, own_addr, TRANSFER_PROTO, &silent), QUDAG_OK);
    }
    offer("prompt", sizeof(content), hash, content, sizeof(content), true);
    assert_int_equal(evil.answer.type, TRANSFER_T_DONE);
    assert_int_equal(in_inbox(), before + 1);
}

/* ------------------------------------------------------------------ senders that drip */

/* A new stream with an offer of |size| bytes under that id, which stays; what the daemon answered. */
static struct transfer_msg drip_offer_as(uint8_t id, uint64_t size)
{
    struct transfer_msg m = {.type = TRANSFER_T_OFFER};
    m.offer.kind = TRANSFER_FILE;
    m.offer.id[0] = drip[n_drips].id = id;
    m.offer.id[1] = 1;
    m.offer.size = size;
    memcpy(m.offer.name, "drip", 5);
    assert_true(n_drips < DRIPS_MAX);
    first_words(&m);
    drip[n_drips].stream = evil.out;
    drip[n_drips++].closed = false;
    evil.out = (qudag_stream){0};
    return evil.answer;
}

static struct transfer_msg drip_offer(uint64_t size)
{
    static uint8_t id = 100;
    return drip_offer_as(id++, size);
}

/* Bytes that the daemon stored of it, -1: no file. */
static int64_t dripped(unsigned ix)
{
    char path[PATH_LEN], offer_path[PATH_LEN];
    struct transfer_offer o = {.id = {drip[ix].id, 1}};
    struct stat st;
    transfer_scope(&o, own_addr);
    assert_true(inbox_partial(&d->transfers->inbox, &o, path, offer_path));
    return stat(path, &st) == 0 ? (int64_t)st.st_size : -1;
}

/* Writes |len| bytes to it and waits until the daemon has them, unless the stream was |refused|. */
static void drip_bytes(unsigned ix, size_t len, bool refused)
{
    static const uint8_t content[32768];
    int64_t want = dripped(ix) + (int64_t)len;
    size_t at = 0, taken = 0;
    uint64_t end = mono_ns() + 30 * NS_PER_S;
    while (mono_ns() < end && (refused ? at == 0 : at < len || dripped(ix) < want)) {
        if (at < len && qudag_stream_write(net[1].node, drip[ix].stream,
                                           (qudag_slice){content, len - at}, &taken) == QUDAG_OK) {
            at += taken;
        }
        (void)uv_run(&d->loop, UV_RUN_NOWAIT);
    }
    assert_true(refused || dripped(ix) == want);
}

/* The time over which the pace is measured passes. */
static void pace_is_measured(void)
{
    transfer_tick(d->transfers, mono_ns() + (RULES_PACE_S + 1) * NS_PER_S);
}

static bool nobody(const void *ctx, const uint8_t id[TRANSFER_ID_LEN])
{
    (void)ctx;
    (void)id;
    return false;
}

static void drips_end(void)
{
    for (unsigned ix = 0; ix < n_drips; ix++) {
        qudag_stream_reset(net[1].node, drip[ix].stream, QUDAG_ECANCELED);
    }
    standing = 0;
    give_up_and_let_it_be_noticed();
    assert_int_equal(d->transfers->inbox.reserved, 0);
    inbox_trim(&d->transfers->inbox, 0, nobody, NULL);
    n_drips = 0;
}

/* An honest sender's file; the daemon's last answer. */
static unsigned honest_file(uint8_t first)
{
    uint8_t hash[TRANSFER_HASH_LEN], content[1000];
    blake3_hasher h;
    memset(content, first, sizeof(content));
    blake3_hasher_init(&h);
    blake3_hasher_update(&h, content, sizeof(content));
    blake3_hasher_finalize(&h, hash, sizeof(hash));
    offer("honest", sizeof(content), hash, content, sizeof(content), true);
    return evil.answer.type;
}

static void slow_senders_with_large_offers_do_not_close_the_inbox(void **state)
{
    struct transfers *k = d->transfers;
    const uint64_t size_max = k->size_max, huge = 3000 * INBOX_UNIT;
    (void)state;
    k->size_max = k->inbox.bytes + 3 * huge;
    for (unsigned ix = 0; ix < 3; ix++) {
        assert_int_equal(drip_offer(huge).type, TRANSFER_T_ACCEPT);
    }
    standing = 3;
    assert_int_equal(honest_file('0'), TRANSFER_T_REFUSE); /* all have just begun */
    assert_int_equal(evil.answer.reason, TRANSFER_BUSY);
    drip_bytes(0, RULES_PACE_BYTES, false);
    drip_bytes(1, 1, false);
    drip_bytes(2, 100, false);
    pace_is_measured();
    assert_int_equal(k->inbox.reserved, 3 * huge); /* as long as nobody needs it */
    standing = 2;
    assert_int_equal(honest_file('1'), TRANSFER_T_DONE);
    assert_int_equal(k->inbox.reserved, 2 * huge);
    turn_until(&drip[1].closed, 30); /* the slowest, and only that */
    assert_int_equal(dripped(1), 1); /* it can go on */
    assert_false(drip[0].closed || drip[2].closed);

    assert_int_equal(drip_offer(huge - INBOX_UNIT).type, TRANSFER_T_ACCEPT);
    standing = 3;
    assert_int_equal(drip_offer(huge - INBOX_UNIT).type, TRANSFER_T_ACCEPT);
    turn_until(&drip[2].closed, 30);
    assert_int_equal(drip_offer(huge).type, TRANSFER_T_REFUSE); /* nobody else is slow */
    assert_int_equal(evil.answer.reason, TRANSFER_BUSY);
    assert_false(drip[0].closed || drip[3].closed || drip[4].closed);
    k->size_max = size_max;
    drips_end();
}

static void slow_senders_do_not_take_all_places(void **state)
{
    (void)state;
    for (unsigned ix = 0; ix < DRIPS_MAX; ix++) {
        bool taken = ix < TRANSFER_RECVS_MAX;
        assert_int_equal(drip_offer(100000).type, taken ? TRANSFER_T_ACCEPT : TRANSFER_T_REFUSE);
        assert_true(taken || evil.answer.reason == TRANSFER_BUSY);
    }
    for (unsigned ix = 0; ix < DRIPS_MAX; ix++) {
        drip_bytes(ix, 1, ix >= TRANSFER_RECVS_MAX);
    }
    pace_is_measured();
    assert_int_equal(d->transfers->n_recvs, DRIPS_MAX);
    standing = DRIPS_MAX - 2; /* one that was answered, one that is slow */
    assert_int_equal(honest_file('2'), TRANSFER_T_DONE);
    drips_end();
}

static void a_new_stream_does_not_make_a_slow_transfer_young(void **state)
{
    struct transfers *k = d->transfers;
    const uint64_t size_max = k->size_max, huge = 300 * INBOX_UNIT;
    (void)state;
    k->size_max = k->inbox.bytes + huge;
    assert_int_equal(drip_offer(huge).type, TRANSFER_T_ACCEPT);
    drip_bytes(0, 1, false);
    pace_is_measured();
    assert_int_equal(drip_offer_as(drip[0].id, huge).type, TRANSFER_T_ACCEPT);
    assert_int_equal(evil.answer.n, 1);
    turn_until(&drip[0].closed, 30);
    assert_int_equal(honest_file('3'), TRANSFER_T_DONE);
    turn_until(&drip[1].closed, 30);
    k->size_max = size_max;
    drips_end();
}

static void an_offer_takes_nothing_from_what_others_began(void **state)
{
    struct transfers *k = d->transfers;
    const uint64_t size_max = k->size_max, huge = 540 * INBOX_UNIT;
    (void)state;
    k->size_max = k->inbox.bytes + huge;
    assert_int_equal(drip_offer(huge).type, TRANSFER_T_ACCEPT);
    for (unsigned nth = 0; nth < 30; nth++) {
        drip_bytes(0, INBOX_UNIT, false);
    }
    qudag_stream_reset(net[1].node, drip[0].stream, QUDAG_ECANCELED);
    give_up_and_let_it_be_noticed();
    assert_int_equal(drip_offer(huge).type, TRANSFER_T_ACCEPT);
    drip_bytes(1, 1, false);
    assert_int_equal(dripped(0), 30 * INBOX_UNIT);
    for (unsigned nth = 0; nth < 66; nth++) { /* bytes that arrive do */
        drip_bytes(1, 32768, false);
    }
    assert_int_equal(dripped(0), -1);
    assert_int_equal(dripped(1), 66 * 32768 + 1);
    k->size_max = size_max;
    drips_end();
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
        cmocka_unit_test(a_receiver_that_does_not_know_the_question_for_room_gets_the_offer),
        cmocka_unit_test(what_a_sender_announces_is_compared_with_what_it_sent),
        cmocka_unit_test(room_is_reserved_while_it_is_needed),
        cmocka_unit_test(a_message_is_short_and_an_offer_comes_first),
        cmocka_unit_test(what_is_there_already_is_confirmed_at_once),
        cmocka_unit_test(senders_that_say_nothing_are_in_nobodys_way),
        cmocka_unit_test(slow_senders_with_large_offers_do_not_close_the_inbox),
        cmocka_unit_test(slow_senders_do_not_take_all_places),
        cmocka_unit_test(a_new_stream_does_not_make_a_slow_transfer_young),
        cmocka_unit_test(an_offer_takes_nothing_from_what_others_began),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
