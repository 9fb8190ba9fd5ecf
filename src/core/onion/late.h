/*
 * late.h - what may still come for streams that are gone, because it was sent before their end was known there.
 *
 * It ends by itself, without a clock: the other side may have ONION_MUX_WINDOW cells unanswered, and our SENDMEs
 * reach it in order with the RESET, so what is under way when that leaves is no more cells than the window has left.
 * On a slow path these may take minutes, but they follow each other: a silence ends it as well (spec/onion.md 6.2).
 */
#ifndef QUDAG_SRC_CORE_ONION_LATE_H
#define QUDAG_SRC_CORE_ONION_LATE_H

#include "core/onion/relay_msg.h"

#define ONION_LATE_SILENCE (30 * NS_PER_S) /* without a cell that counts: then none is under way */

struct onion_late {
    uint64_t data, credit; /* bytes: in DATA, and in CREDIT */
    uint32_t control;      /* CONNECTED, FIN, RESET */
    uint32_t cells;        /* that count, in which they may come; 0: nothing may */
    bool fresh;            /* |until| is to be set again */
    tstamp until;
};

/* |more| (data, credit, control) for one more stream; now |cells| in all may be under way. */
void onion_late_expect(struct onion_late *l, const struct onion_late *more, uint32_t cells);
/* Whether |msg|, for a stream that is gone, was under way when it went; it cannot be twice. */
QUDAG_MUST_USE bool onion_late_takes(struct onion_late *l, const struct onion_relay_msg *msg);
/* A cell that counts came, and its messages were taken. */
void onion_late_cell(struct onion_late *l);
/* The time, before a cell is received and after one was received or sent. */
void onion_late_at(struct onion_late *l, tstamp now);

#endif
