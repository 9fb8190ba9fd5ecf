/*
 * account.h - what connections use of the accounts (core/resources): handshakes that peers begin, bytes.
 *
 *   Initial ─ handshake asked for, by host and network ▶ given back when it is over
 *   up ────── an account of the peer: bytes written ask until they are acknowledged, bytes read until they are consumed
 */
#ifndef QUDAG_SRC_QUIC_ACCOUNT_H
#define QUDAG_SRC_QUIC_ACCOUNT_H

#include "quic/conn.h"

/* Those of the configuration, or ones of its own, in which networks do not matter.  ENOMEM. */
QUDAG_MUST_USE qudag_err quic_accounts_take(struct quic *q);

/*
 * A place for the handshake that an Initial of |a| begins, in |out|, which is to be given to the connection or ended.
 * Proven and unproven addresses are counted apart: forged Initials must not shut out whom they name.  ELIMIT: |why|.
 */
QUDAG_MUST_USE qudag_err quic_account_handshake(struct quic *q, const struct netaddr *a,
                                                bool proven, struct res_account *out,
                                                struct res_refusal *why);
/* The handshake of |c| is over, one way or the other. */
void quic_account_over(struct quic_conn *c);
/* |c| is up: bytes are its peer's from now on.  ENOMEM. */
QUDAG_MUST_USE qudag_err quic_account_up(struct quic_conn *c);

/* |n| more bytes are queued (RES_BYTES), or wait to be consumed (RES_RECEIVED), on |s|.  ELIMIT: counted and logged. */
QUDAG_MUST_USE qudag_err quic_account_ask(struct quic_stream *s, enum res_what what, uint64_t n);
/* So many are not any more, or all that are left. */
void quic_account_give(struct quic_stream *s, enum res_what what, uint64_t n);

/* Logs a refusal, ten at once, one a second. */
void quic_account_say(struct quic *q, const struct res_refusal *why);

#endif
