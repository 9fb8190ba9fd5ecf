/*
 * samples.h - indexes of dark records that this node stores, for those who ask at the end of a circuit.
 *
 * They are what cover lookups of others ask for (core/dark/cover.c).  For an hour all are told the same few: who asks
 * again and again learns no more of what lies here than a neighbour in the DHT knows anyway.
 */
#ifndef QUDAG_SRC_NODE_SAMPLES_H
#define QUDAG_SRC_NODE_SAMPLES_H

#include "core/dark/dark.h"

#define NODE_SAMPLES_MAX 8
#define NODE_SAMPLES_LIFE (3600 * NS_PER_S)

/* Embedded, zero at first. */
struct node_samples {
    uint8_t key[NODE_SAMPLES_MAX][DARK_KEY_LEN];
    uint32_t n;
    tstamp until; /* then others are drawn */
    uint32_t met; /* while they are drawn: keys that were offered */
};
/* Other ones are to be drawn, of what is offered from now on; they live until |until|. */
void node_samples_begin(struct node_samples *s, tstamp until);
/* |key| lies here: drawn with the same chance as all others offered; one that is no dark record's is not. */
void node_samples_offer(struct node_samples *s, struct slice key, const struct rng *rng);
/* One of them; a random index when there is none. */
void node_samples_draw(const struct node_samples *s, const struct rng *rng,
                       uint8_t key[DARK_KEY_LEN]);

#endif
