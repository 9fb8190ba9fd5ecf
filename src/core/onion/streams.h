/*
 * streams.h - the streams of one circuit at one of its two ends, and the window of the circuit.
 *
 *   client ── BEGIN, DATA, FIN, RESET, CREDIT, SENDME ──▶ end
 *   client ◀── CONNECTED, DATA, FIN, RESET, CREDIT, SENDME ── end
 *
 * It knows messages, not cells: onion_mux_fill() packs what is due into a payload, onion_mux_recv() takes one
 * message.  Limits: ONION_STREAM_WINDOW bytes unread per stream, ONION_MUX_WINDOW cells unanswered per circuit,
 * ONION_STREAM_QUEUE_MAX bytes waiting per stream.
 */
#ifndef QUDAG_SRC_CORE_ONION_STREAMS_H
#define QUDAG_SRC_CORE_ONION_STREAMS_H

#include "base/list.h"
#include "core/onion/late.h"
#include "core/onion/relay_msg.h"
#include "crypto/cgo.h"

#define ONION_STREAM_WINDOW (512u * 1024)     /* bytes a sender may be ahead of the reader */
#define ONION_STREAM_QUEUE_MAX (1024u * 1024) /* bytes waiting to become cells */
#define ONION_STREAM_CREDIT_STEP (64u * 1024) /* bytes read before a CREDIT is worth a message */
#define ONION_STREAMS_MAX 272u /* of a circuit: 256 of a program, and those of our own */
#define ONION_STREAM_ID_MAX 65535u
#define ONION_MUX_WINDOW 1024u /* cells with stream messages not yet answered by a SENDME */
#define ONION_MUX_STEP 64u     /* cells per SENDME */
#define ONION_MUX_STEPS (ONION_MUX_WINDOW / ONION_MUX_STEP)
#define ONION_MUX_REFUSALS 32 /* BEGINs turned away whose RESET has not left */

_Static_assert(ONION_MUX_WINDOW % ONION_MUX_STEP == 0, "the window is a whole number of steps");

/* A first-in first-out queue of ONION_MUX_STEPS tags. */
struct onion_tag_ring {
    uint8_t tag[ONION_MUX_STEPS][CGO_TAG_LEN];
    uint32_t head, n;
};

struct onion_ostream;

struct onion_mux {
    struct mem *mem;
    struct ref circuit;
    bool client;
    bool closed;          /* takes no BEGIN any more: its circuit was joined with another */
    uint32_t n, cap, max; /* streams; room in the two arrays, and the most they get */
    uint16_t *ids;        /* searched; ids[i] names by[i] */
    struct onion_ostream **by;
    struct list control; /* streams with a message other than DATA to send, oldest first */
    struct list ready;   /* streams with data and credit to send */
    uint32_t last_id;    /* highest id a BEGIN was sent or accepted for */
    uint32_t next_id;    /* client: for the next stream */
    uint32_t window;     /* cells we may send */
    uint32_t sent;       /* cells sent since the last remembered tag */
    uint32_t unanswered; /* cells received for which no SENDME has left */
    uint32_t received;   /* cells received since the last SENDME became due */
    struct onion_tag_ring expected, due; /* tags a SENDME must carry; SENDMEs to send */
    uint16_t refusal[ONION_MUX_REFUSALS];
    uint32_t refusals_n;
    struct onion_late late;
    tstamp now, first_at; /* of onion_mux_at(); client: when the first BEGIN left */
    uint32_t first;       /* client: its stream; 0: there was none */
    uint64_t round_trip;  /* client: from the first BEGIN to its CONNECTED, ns; 0: not known */
    size_t queued;        /* bytes of all streams that wait to become cells */
    uint64_t unexplained; /* messages for streams that are gone, beyond what |late| allowed */
};

/* No streams and full windows; to be freed with onion_mux_free().  ENOMEM. */
QUDAG_MUST_USE qudag_err onion_mux_new(struct onion_mux **out, struct mem *mem, struct ref circuit,
                                       bool client, uint32_t streams_max);
void onion_mux_free(struct onion_mux *m); /* NULL allowed; wipes what was queued */

/* Whether a cell could be filled now. */
bool onion_mux_has_work(const struct onion_mux *m);
/* How many whole cells the data that waits would fill, as far as the window of the circuit goes. */
uint32_t onion_mux_whole_cells(const struct onion_mux *m);

/* Packs messages into |w|; true when the cell counts, and its tag then goes to onion_mux_sent(). */
bool onion_mux_fill(struct onion_mux *m, struct wr *w);
/* A cell that counts left, with this tag: once in ONION_MUX_STEP cells a SENDME must carry it. */
void onion_mux_sent(struct onion_mux *m, const uint8_t tag[CGO_TAG_LEN]);

/* Reports LINK_SENT for what onion_mux_fill() took since the last time. */
void onion_mux_report_sent(struct onion_mux *m, struct acts *out);

/* The time, before a cell is received and after one was received or sent: late.h needs it, and the round trip. */
void onion_mux_at(struct onion_mux *m, tstamp now);

/*
 * One received message; events go to |out|.  Any error destroys the circuit.  What means nothing, being for a stream
 * that is gone, is counted in m->unexplained.
 */
QUDAG_MUST_USE qudag_err onion_mux_recv(struct onion_mux *m, const struct onion_relay_msg *msg,
                                        struct acts *out);

/* After the messages of a cell that counts: its tag.  QUDAG_EPROTO when the window was exceeded. */
QUDAG_MUST_USE qudag_err onion_mux_received(struct onion_mux *m, const uint8_t tag[CGO_TAG_LEN]);

/* What onion.h offers; |id| unknown: QUDAG_ESTALE or no effect. */
QUDAG_MUST_USE qudag_err onion_mux_open(struct onion_mux *m, const char *proto, uint64_t user,
                                        uint16_t *id);
/* Queues all of |data|.  ETOOBIG over ONION_STREAM_QUEUE_MAX, ESTATE after FIN, ESTALE, ENOMEM. */
QUDAG_MUST_USE qudag_err onion_mux_write(struct onion_mux *m, int64_t id, struct slice data);
/* The same without a copy: |keep| is held until they are in cells.  NULL: they are copied. */
QUDAG_MUST_USE qudag_err onion_mux_write_kept(struct onion_mux *m, int64_t id, struct slice data,
                                              struct buf *keep);
/* Forgets what waits to become cells; the circuit ends. */
void onion_mux_let_go(struct onion_mux *m);
/* The word that comes back in events of the stream. */
void onion_mux_set_user(struct onion_mux *m, int64_t id, uint64_t user);
/* |n| received bytes were read: credit for as many goes back, in steps. */
void onion_mux_consume(struct onion_mux *m, int64_t id, size_t n);
/* Ends our direction behind what is queued. */
void onion_mux_fin(struct onion_mux *m, int64_t id);
/* Gives the stream up: what is queued is dropped, a RESET leaves. */
void onion_mux_reset(struct onion_mux *m, int64_t id, qudag_err err);

#endif
