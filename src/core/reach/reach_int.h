/* reach_int.h - what the files of core/reach share. */
#ifndef QUDAG_SRC_CORE_REACH_REACH_INT_H
#define QUDAG_SRC_CORE_REACH_REACH_INT_H

#include "core/reach/reach.h"

enum reach_kind { REACH_QUIC4, REACH_QUIC6, REACH_TCP4, REACH_TCP6 };

/* Of an address that multiaddr_direct() takes: enum reach_kind. */
unsigned reach_kind(const struct multiaddr *m);
/*
 * What is thought of an address, by what networks said of it within REACH_LIFE: refuted once REACH_AGREE could not dial
 * it and none could within the hour; confirmed once REACH_AGREE could, and more than could not; else as it |was|, so
 * that nothing flaps where they do not agree.
 */
enum reach_verdict reach_rule_verdict(enum reach_verdict was, const struct reach_word *word,
                                      tstamp now);
/* How many of the latest voices of its kind name |addr|. */
size_t reach_voices(const struct reach *r, const struct multiaddr *addr);
/* Verdicts, what is announced and the view follow anew; whether any of what others see of it has changed. */
bool reach_derive(struct reach *r, tstamp now);
/* The same for what others brought about: a change within REACH_HOLD of the last one waits (reach_tick). */
bool reach_derive_held(struct reach *r, tstamp now);

#endif
