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

/* What a node that runs on the folder is to take. */
struct rotate_made {
    qudag_identity *next; /* the caller's */
    uint8_t statement[QUDAG_SUCCESSION_LEN];
};

/*
 * Gives the folder, which is locked and open, another ML-DSA key.  False: v->why.  |made| may be NULL.  |after|, for
 * tests: after each step.
 */
bool rotate_identity(struct vault *v, struct rotate_state *st, struct rotate_made *made,
                     void (*after)(int step));

/*
 * For a node that runs on the folder with the key |runs| (QUDAG_PQ_HASH_LEN bytes): *made is another one.  Where the
 * folder has that already, because the node did not get it, nothing is made anew.  False: v->why.
 */
bool rotate_running(struct vault *v, const uint8_t *runs, struct rotate_state *st,
                    struct rotate_made *made);

#endif
