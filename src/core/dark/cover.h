/*
 * cover.h - lookups that nobody asked for: when, and of what (spec/dark.md D-26, D-29).
 *
 * The core asks what this says, and brings the answers.
 */
#ifndef QUDAG_SRC_CORE_DARK_COVER_H
#define QUDAG_SRC_CORE_DARK_COVER_H

#include "core/dark/dark.h"

#define DARK_POOL_MAX 8                                /* indexes that wait to be looked up */
#define DARK_POOL_MIN 3                                /* of as many exits, before one of them is */
#define DARK_POOL_LIFE (UINT64_C(6) * 3600 * NS_PER_S) /* well within that of a record */
#define DARK_USED_MAX 32                               /* looked up last: not again */

/* An index that somebody's record lies at, and the relay that told. */
struct dark_sample {
    uint8_t key[DARK_KEY_LEN];
    struct peer_id from;
    tstamp at;
};

/* Embedded; dark_cover_init(). */
struct dark_cover {
    uint32_t per_hour;
    bool began;      /* the first time has been drawn */
    tstamp next;     /* TSTAMP_NEVER: never */
    uint64_t cookie; /* of the index that is asked for; 0: none is */
    uint32_t n, n_used;
    struct dark_sample pool[DARK_POOL_MAX];
    uint8_t used[DARK_USED_MAX][DARK_KEY_LEN];
};
/* |per_hour| as in dark_config. */
void dark_cover_init(struct dark_cover *c, uint32_t per_hour);
/* A memoryless wait in ns, |per_hour| of which last an hour on average; up to a day. */
uint64_t dark_cover_wait(uint32_t per_hour, const struct rng *rng);
/* Whether |s| may wait for its turn: no other of that exit does, and it was not looked up before. */
bool dark_cover_takes(const struct dark_cover *c, const struct dark_sample *s);

/* A question to the relay at the end of a circuit. */
struct dark_cover_ask {
    bool sample;               /* for an index: its cookie is to be noted in dark_cover.cookie */
    uint8_t key[DARK_KEY_LEN]; /* else for what lies there; nobody waits for it */
    struct peer_id apart;      /* not of this relay */
};
/* What is to be asked now; false: nothing, before |c->next|. */
bool dark_cover_tick(struct dark_cover *c, tstamp now, const struct rng *rng,
                     struct dark_cover_ask *ask);
/* The answer to a question for an index; false: it answers none. */
bool dark_cover_get_done(struct dark_cover *c, const struct dark_answer *ans, tstamp now);

#endif
