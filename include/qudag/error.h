/*
 * error.h - the one list of errors of this library.
 *
 * Values are ABI: append, never renumber.  The category says what the caller can do about an error.
 */
#ifndef QUDAG_ERROR_H
#define QUDAG_ERROR_H

#if defined(__GNUC__)
#define QUDAG_API __attribute__((visibility("default")))
#define QUDAG_MUST_USE __attribute__((warn_unused_result))
#else
#define QUDAG_API
#define QUDAG_MUST_USE
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* XX(name, value, category, text) */
#define QUDAG_ERR_MAP(XX)                                                                          \
    XX(NOMEM, -1, LIMIT, "out of memory")                                                          \
    XX(LIMIT, -2, LIMIT, "a configured limit was reached")                                         \
    XX(AGAIN, -3, RETRY, "would block; wait for the event")                                        \
    XX(TIMEOUT, -4, RETRY, "timed out")                                                            \
    XX(UNREACHABLE, -5, RETRY, "nothing answered; the other side is offline or out of reach")      \
    XX(NOTFOUND, -6, RETRY, "not found")                                                           \
    XX(CLOSED, -7, CLOSED, "closed by the remote")                                                 \
    XX(RESET, -8, CLOSED, "stream reset by the remote")                                            \
    XX(CANCELED, -9, CLOSED, "canceled on this side")                                              \
    XX(STALE, -10, CLOSED, "stale handle: the object no longer exists")                            \
    XX(PROTO, -11, PEER, "the remote violated the protocol")                                       \
    XX(MALFORMED, -12, PEER, "malformed input")                                                    \
    XX(AUTH, -13, PEER, "authentication failed")                                                   \
    XX(UNSUPPORTED, -14, PEER, "not supported here or by the remote")                              \
    XX(INVAL, -15, USAGE, "invalid argument")                                                      \
    XX(STATE, -16, USAGE, "not allowed in this state")                                             \
    XX(SYSTEM, -17, INTERNAL, "operating system error; see the log")                               \
    XX(INTERNAL, -18, INTERNAL, "internal error in qudag")                                         \
    XX(BOOTSTRAP, -19, RETRY, "bootstrap failed: no bootstrap peer answered")                      \
    XX(EXPIRED, -20, PEER, "expired, or not valid yet: a record, a certificate or a circuit")      \
    XX(REFUSED, -21, PEER, "the remote refused")                                                   \
    XX(POLICY, -22, PEER, "the link does not meet the post-quantum policy")                        \
    XX(CHECKSUM, -23, USAGE, "checksum mismatch: damaged, or mistyped")                            \
    XX(NORELAYS, -24, RETRY, "not enough relays are known to build a circuit")                     \
    XX(CIRCUIT, -25, CLOSED, "the circuit failed")                                                 \
    XX(EXISTS, -26, USAGE, "already exists")                                                       \
    XX(TOOBIG, -27, USAGE, "too large")                                                            \
    XX(CLOCK, -28, PEER, "the clocks are too far apart: this machine's or the remote's is wrong")  \
    XX(NOGUARD, -29, RETRY,                                                                        \
       "the entry guards do not answer, and others are not used in their place")                   \
    XX(SMALLNET, -30, USAGE, "the network is too small to hide anybody")                           \
    XX(NEEDAUTH, -31, PEER, "only clients that the owner gave a secret may call this address")

typedef enum qudag_err {
    QUDAG_OK = 0,
#define XX(name, value, cat, text) QUDAG_E##name = (value),
    QUDAG_ERR_MAP(XX)
#undef XX
    /* Codes of programs: QUDAG_EAPP(0) to QUDAG_EAPP(63), with which one ends a stream and the other hears it. */
    QUDAG_EAPP_FIRST = -1000,
    QUDAG_EAPP_LAST = -1063,
} qudag_err;

#define QUDAG_EAPP_MAX 63
/* The error that carries |code|, 0 to QUDAG_EAPP_MAX, of the program: see qudag_stream_reset(). */
#define QUDAG_EAPP(code) ((qudag_err)(QUDAG_EAPP_FIRST - (code)))
/* The code in |err|; -1: it is an error of this library. */
#define QUDAG_EAPP_CODE(err)                                                                       \
    ((err) <= QUDAG_EAPP_FIRST && (err) >= QUDAG_EAPP_LAST ? (int)QUDAG_EAPP_FIRST - (int)(err)    \
                                                           : -1)

typedef enum qudag_err_cat {
    QUDAG_CAT_OK,
    QUDAG_CAT_RETRY,    /* the same call may succeed later */
    QUDAG_CAT_CLOSED,   /* this object is finished; make a new one */
    QUDAG_CAT_PEER,     /* the remote is at fault; pick another */
    QUDAG_CAT_LIMIT,    /* we are full; shed load */
    QUDAG_CAT_USAGE,    /* the calling program is wrong */
    QUDAG_CAT_INTERNAL, /* we are wrong, or the host is */
} qudag_err_cat;

/* A short text for |err|, for people; never NULL, static. */
QUDAG_API const char *qudag_strerror(qudag_err err);

/* The name of |err|, for example "QUDAG_ETIMEOUT"; never NULL, static. */
QUDAG_API const char *qudag_err_name(qudag_err err);

/* What to do about |err|. */
QUDAG_API qudag_err_cat qudag_err_category(qudag_err err);

#ifdef __cplusplus
}
#endif
#endif
