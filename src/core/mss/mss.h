/*
 * mss.h - multistream-select 1.0 for one stream (libp2p specs: connections/README.md).
 *
 * Small enough to live in every stream while its protocol is being agreed.  Never takes a byte that
 * belongs to the protocol.
 */
#ifndef QUDAG_SRC_CORE_MSS_MSS_H
#define QUDAG_SRC_CORE_MSS_MSS_H

#include "base/types.h"

#define MSS_ID_MAX 96    /* bytes of the longest protocol id we know */
#define MSS_MSG_MAX 1024 /* bytes of a message, newline included; longer ones end the negotiation */
#define MSS_NA_MAX 8     /* proposals refused before we give up */
#define MSS_REPLY_MAX 160 /* room mss_input() needs for its reply */
#define MSS_DIAL_MAX 128  /* room mss_dial() needs */

enum mss_result {
    MSS_MORE, /* all input was taken; more is needed */
    MSS_DONE, /* agreed; bytes past *used belong to the protocol */
    MSS_NA,   /* dialer: the peer does not speak it; mss_dial() may propose another */
    MSS_FAIL, /* the peer broke the rules, or the listener refused MSS_NA_MAX proposals */
};

struct mss {
    uint8_t state; /* enum in mss.c */
    uint8_t na;    /* listener: proposals refused */
    uint8_t shift; /* bits of the length read so far */
    uint16_t want; /* bytes of the message being read, newline included */
    uint16_t got;
    uint32_t chosen;
    const char *proposal;      /* dialer */
    const char *const *protos; /* listener */
    size_t n_protos;
    uint8_t buf[MSS_ID_MAX + 1];
};

_Static_assert(sizeof(struct mss) <= 160, "one per stream");

/*
 * Starts as dialer: writes header and proposal, to be sent at once; application data may follow
 * without waiting for the answer.  After MSS_NA a second call writes the next proposal alone.
 * |proto| (1 .. MSS_ID_MAX bytes) stays the caller's and must outlive |m|.  A first call needs |m|
 * zeroed.  QUDAG_EINVAL for a bad |proto| or |cap| below MSS_DIAL_MAX, QUDAG_ESTATE while a proposal
 * is open.
 */
QUDAG_MUST_USE qudag_err mss_dial(struct mss *m, const char *proto, uint8_t *dst, size_t cap,
                                  size_t *len);

/* Starts as listener for |n| ids, which must outlive |m|; ids over MSS_ID_MAX bytes never match. */
void mss_listen(struct mss *m, const char *const *protos, size_t n);

/*
 * Takes bytes of the stream, at most up to the end of the message that ends the negotiation; *used
 * says how many.  What is to be sent back goes to |reply| (room for MSS_REPLY_MAX), also together
 * with MSS_DONE and MSS_FAIL.  MSS_FAIL when called after an end.
 */
enum mss_result mss_input(struct mss *m, struct slice in, size_t *used, uint8_t *reply,
                          size_t reply_cap, size_t *reply_len);

/* After MSS_DONE: the index in |protos| of what a listener agreed on; 0 for a dialer. */
size_t mss_chosen(const struct mss *m);

#endif
