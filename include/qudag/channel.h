/*
 * channel.h - a quantum-secure channel over any byte stream: no node, no socket, no loop.
 *
 *     bytes that came ─▶ qudag_channel_receive() ─▶ plain bytes
 *     plain bytes ─▶ qudag_channel_send(), qudag_channel_take_output() ─▶ bytes to be sent
 *
 * The program carries the bytes: over a pipe, a serial line, a socket, a WebSocket.  Both sides prove their identity
 * with Ed25519 and ML-DSA-65; the key exchange is X25519 or P-384 with ML-KEM, so that what is recorded today stays
 * secret whichever of the two is broken; keys are replaced each hour and each 2^20 records; the end is authenticated.
 * It is TLS 1.3 with the certificates of links between nodes (spec/channel.md).
 *
 *     qudag_channel_new(&c, QUDAG_CHANNEL_CLIENT, identity, &cfg);
 *     for (;;) {
 *         n = qudag_channel_take_output(c, out, sizeof(out));          write out, until it is 0
 *         err = qudag_channel_receive(c, in, &used, &plain);           with what was read, until nothing comes
 *     }
 *
 * Functions may be called on any thread, for channels that are alike (qudag_channel_config) on one at a time.
 */
#ifndef QUDAG_CHANNEL_H
#define QUDAG_CHANNEL_H

#include <qudag/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define QUDAG_CHANNEL_PLAIN_MAX 16384 /* bytes that one call of qudag_channel_receive() hands out */
#define QUDAG_CHANNEL_PROTOCOL_MAX 40 /* bytes of the name of a protocol, without NUL */
#define QUDAG_CHANNEL_SEND_MAX 1048576 /* bytes of one call of qudag_channel_send() */

typedef struct qudag_channel qudag_channel;

/* One side begins, the other answers. */
typedef enum qudag_channel_role {
    QUDAG_CHANNEL_CLIENT = 1,
    QUDAG_CHANNEL_SERVER
} qudag_channel_role;

/*
 *   HANDSHAKE ─ both have accepted each other ─▶ READY ─ the peer ended its direction ─▶ ENDED
 *        └──────────────────────────────────────────┴──────── it failed ─────────────────┴──▶ FAILED
 */
typedef enum qudag_channel_state {
    QUDAG_CHANNEL_HANDSHAKE = 1,
    QUDAG_CHANNEL_READY,
    QUDAG_CHANNEL_ENDED, /* nothing more will come, and nothing is missing; this side may still send */
    QUDAG_CHANNEL_FAILED, /* for good: qudag_channel_why() */
} qudag_channel_state;

/* What a channel is to be.  All of it is copied. */
typedef struct qudag_channel_config {
    uint32_t size;  /* set by the caller, see types.h */
    uint16_t level; /* of ML-KEM, and the same on both sides: 512, 768 (default) or 1024 */
    uint16_t pad;
    const qudag_peer_id
        *peer; /* who must be at the other end; NULL: whoever it is, qudag_channel_peer() tells */
    const uint8_t
        *pq_hash; /* QUDAG_PQ_HASH_LEN bytes: whose ML-DSA key; NULL: whichever it proves */
    const char
        *protocol; /* the program's name of what is spoken, the same on both sides; NULL: none */
    /*
     * A channel of the same identity and level, whose certificate this one shares: without, one is made, which takes
     * about a millisecond.  It need not outlive this one.
     */
    const qudag_channel *like;
    int64_t wall_s; /* what the calendar says, Unix seconds; 0: this machine's.  Not with |like|. */
    uint32_t
        output_max; /* bytes that may wait to be sent, above which qudag_channel_send() refuses; default 1 MiB */
    uint32_t pad2;
} qudag_channel_config;

/*
 * A channel in HANDSHAKE, freed by qudag_channel_free(); *out is NULL on error.  |id| must outlive it and all that are
 * like it.  QUDAG_EINVAL (role, level, protocol, pad), QUDAG_EUNSUPPORTED (a newer structure), QUDAG_ENOMEM,
 * QUDAG_EINTERNAL.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_channel_new(qudag_channel **out, qudag_channel_role role,
                                                     const qudag_identity *id,
                                                     const qudag_channel_config *cfg);
/* Wipes and frees; the peer hears nothing of it.  NULL allowed. */
QUDAG_API void qudag_channel_free(qudag_channel *c);

/* QUDAG_CHANNEL_FAILED for NULL. */
QUDAG_API qudag_channel_state qudag_channel_get_state(const qudag_channel *c);

/*
 * Takes bytes of the peer, as many as it can: *used says how many.  *plain is what they held, at most
 * QUDAG_CHANNEL_PLAIN_MAX bytes, and stays until the next call.  To be called again with the rest, also with none,
 * until all are used and *plain is empty; then there may be output.  On error the channel has failed, and its output
 * tells the peer: QUDAG_EAUTH (another peer or key, or no valid proof), QUDAG_EPOLICY (the peer is not post-quantum or
 * of another level), QUDAG_ECLOCK, QUDAG_EEXPIRED (calendars, or the channel is as old as it may become),
 * QUDAG_EUNSUPPORTED (another protocol), QUDAG_EPROTO (no such channel, or changed on the way), QUDAG_ELIMIT,
 * QUDAG_ENOMEM; QUDAG_EINVAL.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_channel_receive(qudag_channel *c, qudag_slice in,
                                                         size_t *used, qudag_slice *plain);
/*
 * The byte stream has ended.  QUDAG_OK: the peer had ended its direction, and nothing is missing.  QUDAG_ERESET: it had
 * not, so that there may be; the channel has failed.
 */
QUDAG_API qudag_err qudag_channel_input_ended(qudag_channel *c);

/*
 * Seals |plain| into the output: all of it, or nothing on error.  QUDAG_ESTATE (before READY, after
 * qudag_channel_close(), once it failed), QUDAG_EAGAIN (more than output_max waits), QUDAG_ETOOBIG
 * (QUDAG_CHANNEL_SEND_MAX), QUDAG_EEXPIRED, QUDAG_ENOMEM, QUDAG_EINVAL.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_channel_send(qudag_channel *c, qudag_slice plain);
/* Ends this direction behind what was sent; harmless in any state. */
QUDAG_API void qudag_channel_close(qudag_channel *c);

/* The bytes that wait for the peer, borrowed until the next call; len 0: none. */
QUDAG_API qudag_slice qudag_channel_output(const qudag_channel *c);
/* The first |n| of them are sent. */
QUDAG_API void qudag_channel_output_sent(qudag_channel *c, size_t n);
/* The same by a copy: moves at most |cap| of them to |dst|; how many it were. */
QUDAG_API size_t qudag_channel_take_output(qudag_channel *c, uint8_t *dst, size_t cap);

/* What the peer has proven, and how the channel is secured. */
typedef struct qudag_channel_info {
    uint32_t size; /* set by the caller, see types.h */
    uint16_t level;
    bool pq_kex, pq_auth; /* post-quantum key exchange, authentication: both true once READY */
    qudag_ns left; /* until it fails with QUDAG_EEXPIRED; make another before: a day at most */
    qudag_peer_id peer;
    uint8_t pq_hash[QUDAG_PQ_HASH_LEN]; /* of the ML-DSA key it has proven */
    char group[28];                     /* "X25519MLKEM768" */
    char cipher[32];                    /* "TLS_AES_256_GCM_SHA384" */
    char sig_local[16], sig_remote[16]; /* "mldsa65" */
    uint8_t pad[7];
} qudag_channel_info;
/* QUDAG_ESTATE before READY and once it failed; QUDAG_EINVAL: out->size. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_channel_peer(const qudag_channel *c,
                                                      qudag_channel_info *out);
/*
 * Why it failed; QUDAG_OK: it has not.  |text|, if it is not NULL, becomes a sentence for people (static, never NULL);
 * |found|, if it is not NULL, who it was instead of the peer expected (len 0: nobody, or not known).
 */
QUDAG_API qudag_err qudag_channel_why(const qudag_channel *c, const char **text,
                                      qudag_peer_id *found);

#ifdef __cplusplus
}
#endif
#endif
