/*
 * upgrade_int.h - links over byte streams, shared by the files of this folder and their tests.
 *
 *   input: upgrade_receive() ─▶ stages.c, by stage ─▶ plain bytes in blocks ─▶ event.c: yamux, one event at a time
 *   output: link.c writes to yamux ─▶ upgrade_output() takes frames as the carrier finds room, sealed then
 *
 * So bytes are opened as they come and sealed as they go, and nothing but the muxer's queues is between.
 */
#ifndef QUDAG_SRC_UPGRADE_UPGRADE_INT_H
#define QUDAG_SRC_UPGRADE_UPGRADE_INT_H

#include "base/buf.h"
#include "base/dyn.h"
#include "base/heap.h"
#include "base/limiter.h"
#include "base/list.h"
#include "base/slots.h"
#include "core/mss/mss.h"
#include "core/noise/noise.h"
#include "core/yamux/yamux.h"
#include "sec/tls_stream.h"
#include "upgrade/rules.h"
#include "upgrade/upgrade.h"

#define UPGRADE_MUXER "/yamux/1.0.0"
#define UPGRADE_OUT_MAX 65536 /* bytes of handshake that wait for the carrier */
#define UPGRADE_RECORD                                                                             \
    16360 /* bytes of frames that are sealed at once: four such records fit 64 KiB */
#define UPGRADE_BLOCK                                                                              \
    81920 /* bytes of plain text that lie together: 64 KiB read, and a record begun before */
#define UPGRADE_BLOCK_LEAST 512       /* of little input */
#define UPGRADE_LINGER (5 * NS_PER_S) /* for the last bytes of a link that has ended */
#define UPGRADE_PROBE (10 * NS_PER_S)

enum upgrade_stage {
    STAGE_SECURITY, /* mss: which security protocol */
    STAGE_TLS,
    STAGE_NOISE,
    STAGE_MUXER,   /* mss, sealed: which muxer */
    STAGE_STREAMS, /* yamux */
    STAGE_ENDED,   /* what is left to send, and LINK_DOWN */
};

/* Bytes of the peer, opened; who holds |lent| keeps them. */
struct upgrade_block {
    struct buf lent;
    struct upgrade_block *next;
    size_t len, cap, read; /* |read|: given to the muxer */
    uint8_t data[];
};

struct upgrade_link {
    struct upgrade *u;
    struct ref ref;
    uint64_t cookie;
    enum upgrade_stage stage;
    bool dialer;    /* of the protocols, not of the link */
    bool announced; /* it was dialled, or LINK_UP was told: LINK_DOWN is owed */
    bool proven;    /* of a dial: the muxer is there, and it is not up yet, or was so */
    bool up;
    bool agreeing; /* dialler: it goes on with the only protocol there is, before the answer */
    bool answered_due, proven_due, up_due, down_due; /* events */
    bool closing;  /* |why| stands; the link ends when what came before is delivered */
    bool unsealed; /* the security layer has failed: nothing is sent but what waits */
    bool going;    /* GO_AWAY came */
    bool carrier_gone, end_named;
    bool half_open; /* counted in u->inbound_half_open */

    struct upgrade_wish wish;
    struct sec_expect expect;
    const char *protos[UPGRADE_PROTOS];
    enum upgrade_proto proto[UPGRADE_PROTOS];
    size_t n_protos, next_proto;

    struct mss mss;
    struct tls_stream *tls;
    struct noise *noise;
    struct yamux *yamux;
    struct dyn out; /* before what waits in |tls| */
    struct upgrade_block *blocks, *last_block;

    struct res_account account;
    uint64_t queued, waiting; /* bytes asked for */
    struct heap_node timer;
    tstamp asked;    /* something left then, and nothing came since; 0: nothing is outstanding */
    uint64_t unsaid; /* bytes that left since */
    bool pinged;     /* ... with a ping of ours */
    bool quiet, quiet_told; /* LINK_QUIET is owed, was told */
    tstamp started, end_by; /* |end_by|: of the handshake, or of what is left of an ended one */

    struct link_info info;
    qudag_err why;
    const char *why_text; /* static */
    bool other_peer;
    struct peer_id found;
    struct list busy, work; /* has events; has something for the carrier */
};

struct upgrade {
    struct upgrade_config cfg;
    struct slots links;
    struct heap timers;
    struct list busy, work;
    struct upgrade_block *spare;
    uint8_t *scratch; /* a record's worth of frames */
    struct limiter refused_log;
    uint32_t inbound_half_open; /* at most half of links_max: others cannot keep us from dialling */
    bool late_muxer; /* tests: nothing is said of muxers before they are negotiated on the stream */
    struct upgrade_stats stats;
    struct peer_id found; /* what the last LINK_DOWN refers to */
    tstamp now;
};

/* upgrade.c */
/* NULL for a link that is gone. */
struct upgrade_link *upgrade_find(const struct upgrade *u, struct ref link);
/* There may be something for the carrier. */
void upgrade_mark_work(struct upgrade_link *l);
/* There may be events. */
void upgrade_mark_busy(struct upgrade_link *l);
/* What it waits for may be earlier than before. */
void upgrade_set_timer(struct upgrade_link *l);
/* What is queued for the carrier, without the muxer: QUDAG_ETOOBIG, QUDAG_ENOMEM. */
QUDAG_MUST_USE qudag_err upgrade_put(struct upgrade_link *l, struct slice in);
/* The same through the security layer. */
QUDAG_MUST_USE qudag_err upgrade_put_sealed(struct upgrade_link *l, struct slice plain);
/*
 * The link ends because of |err| once the muxer has said what came before, or at once if there is no muxer yet.  |text|
 * is static or NULL.
 */
void upgrade_fail(struct upgrade_link *l, qudag_err err, const char *text);
/* It ends now. */
void upgrade_end(struct upgrade_link *l, qudag_err err, const char *text);
/* Frees it if neither its carrier nor a reader of events needs it any more; then true. */
bool upgrade_gone(struct upgrade_link *l);

/* quiet.c, links through relays: bytes left (true: the timer is due earlier), or came (true: an event is due). */
bool upgrade_quiet_sent(struct upgrade_link *l, size_t n);
bool upgrade_quiet_heard(struct upgrade_link *l);
/* When to look after what left, and that. */
tstamp upgrade_quiet_at(const struct upgrade_link *l);
void upgrade_quiet_tick(struct upgrade_link *l);
/* LINK_QUIET or LINK_HEARD, if it is due. */
bool upgrade_quiet_event(struct upgrade_link *l, struct link_ev *ev);

/* stages.c */
/* The first bytes of a dialer, or a listener's readiness. */
QUDAG_MUST_USE qudag_err upgrade_stage_begin(struct upgrade_link *l);
/* Takes all of |in|; on error the link fails because of it, |*text| says why. */
QUDAG_MUST_USE qudag_err upgrade_stage_input(struct upgrade_link *l, struct slice in,
                                             const char **text);
/* Plain bytes for the muxer. */
QUDAG_MUST_USE qudag_err upgrade_block_put(struct upgrade_link *l, struct slice plain);
/* Room for plain bytes where |want| or more are at hand; base NULL without memory. */
struct tls_stream_room upgrade_block_room(struct upgrade_link *l, size_t want);
/* So many they were, perhaps none. */
void upgrade_block_filled(struct upgrade_link *l, size_t len);
/* The first block is done with. */
void upgrade_block_drop(struct upgrade_link *l);

/* noise_id.c: who the other side of a Noise session is. */
/* Starts |l->noise| with what we say of ourselves.  QUDAG_ENOMEM, QUDAG_EINTERNAL. */
QUDAG_MUST_USE qudag_err upgrade_noise_start(struct upgrade_link *l);
/*
 * Checks what the peer says of itself and fills |l->info.peer|.  |*muxer|: it was agreed on, else it is negotiated.
 * QUDAG_EAUTH, EMALFORMED, EUNSUPPORTED; *text.
 */
QUDAG_MUST_USE qudag_err upgrade_noise_peer(struct upgrade_link *l, bool *muxer, const char **text);

/* account.c */
/*
* |*full|: those of all are taken, not only the share of where
 * it comes from; QUDAG_ENOMEM.
 */
QUDAG_MUST_USE qudag_err upgrade_account_begin(struct upgrade_link *l, bool *full);
/* Which handshake gives its place to |l| then (upgrade_rule_gives_way); NULL: none does. */
struct upgrade_link *upgrade_account_holder(const struct upgrade_link *l);
/* The link is its peer's from now on.  QUDAG_ENOMEM. */
QUDAG_MUST_USE qudag_err upgrade_account_up(struct upgrade_link *l);
/* |n| more bytes of |what|, RES_BYTES or RES_RECEIVED.  QUDAG_ELIMIT. */
QUDAG_MUST_USE qudag_err upgrade_account_ask(struct upgrade_link *l, enum res_what what, size_t n);
/* Gives back what the muxer has not any more. */
void upgrade_account_sync(struct upgrade_link *l);
/* Gives back everything. */
void upgrade_account_end(struct upgrade_link *l);

#endif
