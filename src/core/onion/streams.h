/*
 * streams.h - the streams of one circuit at one of its two ends, and the window of the circuit.
 *
 *   client ── BEGIN, DATA, FIN, RESET, CREDIT, SENDME ──▶ end
 *   client ◀── CONNECTED, DATA, FIN, RESET, CREDIT, SENDME ── end
 *
 * It knows messages, not cells: mux_fill() packs what is due into a payload, mux_recv() takes one
 * message.  Limits: STREAM_WINDOW bytes unread per stream, MUX_WINDOW cells unanswered per circuit,
 * STREAM_QUEUE_MAX bytes waiting per stream.
 */
#ifndef QUDAG_SRC_CORE_ONION_STREAMS_H
#define QUDAG_SRC_CORE_ONION_STREAMS_H

#include "base/list.h"
#include "core/onion/relay_msg.h"
#include "crypto/cgo.h"

#define STREAM_WINDOW (512u * 1024)     /* bytes a sender may be ahead of the reader */
#define STREAM_QUEUE_MAX (1024u * 1024) /* bytes waiting to become cells */
#define STREAM_CREDIT_STEP (64u * 1024) /* bytes read before a CREDIT is worth a message */
#define STREAM_ID_MAX 65535u
#define MUX_WINDOW 1024u /* cells with stream messages not yet answered by a SENDME */
#define MUX_STEP 64u     /* cells per SENDME */
#define MUX_STEPS (MUX_WINDOW / MUX_STEP)
#define MUX_REFUSALS 32 /* BEGINs turned away whose RESET has not left */

_Static_assert(MUX_WINDOW % MUX_STEP == 0, "the window is a whole number of steps");

/* A first-in first-out queue of MUX_STEPS tags. */
struct tag_ring {
    uint8_t tag[MUX_STEPS][CGO_TAG_LEN];
    uint32_t head, n;
};

struct ostream;

struct mux {
    struct mem *mem;
    struct ref circuit;
    bool client;
    uint32_t n, max; /* streams, and room in the two arrays */
    uint16_t *ids;   /* searched; ids[i] names by[i] */
    struct ostream **by;
    struct list control; /* streams with a message other than DATA to send, oldest first */
    struct list ready;   /* streams with data and credit to send */
    uint32_t last_id;    /* highest id a BEGIN was sent or accepted for */
    uint32_t next_id;    /* client: for the next stream */
    uint32_t window;     /* cells we may send */
    uint32_t sent;       /* cells sent since the last remembered tag */
    uint32_t unanswered; /* cells received for which no SENDME has left */
    uint32_t received;   /* cells received since the last SENDME became due */
    struct tag_ring expected, due; /* tags a SENDME must carry; SENDMEs to send */
    uint16_t refusal[MUX_REFUSALS];
    uint32_t refusals_n;
};

QUDAG_MUST_USE qudag_err mux_new(struct mux **out, struct mem *mem, struct ref circuit, bool client,
                                 uint32_t streams_max);
void mux_free(struct mux *m); /* NULL allowed; wipes what was queued */

/* Whether a cell could be filled now. */
bool mux_has_work(const struct mux *m);

/* Packs messages into |w|; true when the cell counts, and its tag then goes to mux_sent(). */
bool mux_fill(struct mux *m, struct wr *w);
void mux_sent(struct mux *m, const uint8_t tag[CGO_TAG_LEN]);

/* Reports LINK_SENT for what mux_fill() took since the last time. */
void mux_report_sent(struct mux *m, struct acts *out);

/* One received message; events go to |out|.  Any error destroys the circuit. */
QUDAG_MUST_USE qudag_err mux_recv(struct mux *m, const struct relay_msg *msg, struct acts *out);

/* After the messages of a cell that counts: its tag.  QUDAG_EPROTO when the window was exceeded. */
QUDAG_MUST_USE qudag_err mux_received(struct mux *m, const uint8_t tag[CGO_TAG_LEN]);

/* What onion.h offers; |id| unknown: QUDAG_ESTALE or no effect. */
QUDAG_MUST_USE qudag_err mux_open(struct mux *m, const char *proto, uint64_t user, uint16_t *id);
QUDAG_MUST_USE qudag_err mux_write(struct mux *m, int64_t id, struct slice data);
void mux_set_user(struct mux *m, int64_t id, uint64_t user);
void mux_consume(struct mux *m, int64_t id, size_t n);
void mux_fin(struct mux *m, int64_t id);
void mux_reset(struct mux *m, int64_t id, qudag_err err);

#endif
