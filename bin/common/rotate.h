/*
 * rotate.h - another ML-DSA key for a folder, in steps that a crash may end anywhere.
 *
 *   1 DIR/state/succession-N   statement | new identity        N: number of the statement modulo QUDAG_SUCCESSION_KEPT
 *   2 DIR/identity             the new identity                before 2 it is the old one, from 2 on the new one
 *   3 DIR/state/succession-N   statement
 *
 * rotate_finish() at the next start does what is left, forward.
 */
#ifndef QUDAG_BIN_ROTATE_H
#define QUDAG_BIN_ROTATE_H

#include "common/vault.h"

/* What the folder says of its ML-DSA key. */
struct rotate_state {
    uint64_t sequence; /* of the newest statement; 0: there is none */
    int64_t made_s;    /* when that was made */
};

/*
 * Ends what was begun, and looks whether DIR/identity is the newest; a folder without identity is fine.  False: v->why,
 * as when the identity is a copy from before its last change.  |st| may be NULL.
 */
bool rotate_finish(struct vault *v, struct rotate_state *st);

/*
 * Gives the folder, which is locked and open, another ML-DSA key.  False: v->why.  |after|, for tests: after each step.
 */
bool rotate_identity(struct vault *v, struct rotate_state *st, void (*after)(int step));

#endif
