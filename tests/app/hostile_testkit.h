/*
 * hostile_testkit.h - transfers with a misbehaving peer, over real nodes and circuits in one process; to be included
 * behind cmocka.h.
 *
 * Node 0 sends and receives by the library.  Node 1 is the peer: as a receiver it answers offers as |what| says, as a
 * sender it writes what the test gives it.  The others are relays.
 */
#ifndef QUDAG_TESTS_APP_HOSTILE_TESTKIT_H
#define QUDAG_TESTS_APP_HOSTILE_TESTKIT_H

#include "app/receive_int.h"
#include "app/send_int.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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
    MORE_THAN_SENT, /* claims a byte more than the file has, then is honest on the next stream */
    SILENT,         /* accepts, takes everything and says nothing */
    OLD,            /* does not know the question for room, and refuses the offer */
    CHATTY,         /* answers the question as if it had been an offer */
};

static struct {
    qudag_node *node;
    uv_loop_t loop;
    struct receives *recv;
} daemon_obj, *const d = &daemon_obj; /* node 0 */
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
    struct transfer_msg answer; /* the last the node gave it */
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

static inline bool is_evil(const qudag_node *n)
{
    return n == net[1].node;
}

static inline void turn_until(const bool *flag, unsigned seconds)
{
    uint64_t end = api_now() + seconds * NS_PER_S * (getenv("HOSTILE_SLOW") != NULL ? 20 : 1);
    while (!*flag && api_now() < end) {
        (void)uv_run(&d->loop, UV_RUN_ONCE);
    }
    assert_true(*flag);
}

static inline void write_msg(qudag_stream s, const struct transfer_msg *m)
{
    uint8_t bytes[TRANSFER_MSG_MAX];
    size_t taken, len = transfer_encode(bytes, m);
    (void)!qudag_stream_write(net[1].node, s, (qudag_slice){bytes, len}, &taken);
}

/* ------------------------------------------------------------------ the peer as a receiver */

static inline void evil_end(qudag_stream s)
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
    case MORE_THAN_SENT:
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
static inline void evil_answers(qudag_stream s)
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

static inline void evil_data(qudag_stream s, qudag_slice data)
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
    bool lies = evil.what == MORE_THAN_SENT && evil.streams == 1;
    write_msg(s, &(struct transfer_msg){.type = TRANSFER_T_PROGRESS,
                                        .n = lies ? evil.offer.offer.size + 1 : evil.got});
    if (evil.got == evil.offer.offer.size) {
        evil_end(s);
    }
}

/* ------------------------------------------------------------------ callbacks */

static inline void on_phase(qudag_node *n, qudag_phase p, uint32_t a, uint32_t b, qudag_err err,
                            void *user)
{
    (void)n;
    (void)a;
    (void)b;
    (void)err;
    net[(uintptr_t)user].ready = p == QUDAG_PHASE_READY;
}

static inline void on_op(qudag_node *n, qudag_op op, qudag_err err, const qudag_result *res,
                         void *user)
{
    (void)n;
    (void)op;
    (void)res;
    net[(uintptr_t)user].op_done = true;
    net[(uintptr_t)user].op_err = err;
}

static inline void on_in(qudag_node *n, qudag_stream s, const qudag_peer_id *from, const char *dark,
                         const char *proto, void *user)
{
    qudag_stream_state info = QUDAG_INIT(qudag_stream_state);
    (void)user;
    (void)from;
    (void)dark;
    assert_string_equal(proto, TRANSFER_PROTO);
    if (!is_evil(n)) {
        return;
    }
    assert_int_equal(qudag_stream_info(n, s, &info), QUDAG_OK);
    evil.circuits += info.circuit.id != evil.circuit.id;
    evil.circuit = info.circuit;
    evil.streams++;
    evil.stream = s;
    evil.offer.type = 0;
    evil.in_len = 0;
    evil.got = 0;
}

static inline void evil_says(void)
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

static inline void on_data(qudag_node *n, qudag_stream s, qudag_slice data, bool fin, void *user)
{
    (void)user;
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

static inline void on_writable(qudag_node *n, qudag_stream s, void *user)
{
    (void)user;
    if (is_evil(n) && s.id == evil.out.id) {
        evil_says();
    }
}

static inline void on_closed(qudag_node *n, qudag_stream s, qudag_err why, void *user)
{
    (void)user;
    if (n == net[2].node && s.id == plain.id) {
        plain_why = why;
    }
    if (is_evil(n) && s.id == evil.out.id) {
        evil.closed = true;
    }
    for (unsigned ix = 0; is_evil(n) && ix < n_drips; ix++) {
        drip[ix].closed = drip[ix].closed || drip[ix].stream.id == s.id;
    }
}

#endif
