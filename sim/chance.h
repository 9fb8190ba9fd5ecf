/*
 * chance.h - the dice: one stream per purpose, and distributions in integers.
 *
 * No floating point, so every compiler and every level of optimisation throws the same.
 */
#ifndef QUDAG_SIM_CHANCE_H
#define QUDAG_SIM_CHANCE_H

#include "base/rng.h"

/* One stream each, so that a change of one (say, another workload) leaves the others as they were. */
enum sim_purpose { DICE_TOPOLOGY, DICE_LINKS, DICE_FAULTS, DICE_WORK, DICE_JOIN, DICE_PURPOSES };

struct dice {
    uint8_t root[32]; /* what everything derives from */
    uint64_t pairs;   /* key of what is fixed for a pair of nodes */
    struct rng_stream stream[DICE_PURPOSES];
};

/* Derives all streams from |seed|. */
void dice_init(struct dice *d, uint64_t seed);

/* 32 bytes that belong to a node's |epoch|-th life. */
void dice_node(const struct dice *d, const char *use, uint32_t node, uint32_t epoch,
               uint8_t out[32]);

/* 32 bits of the stream |p|. */
uint32_t dice_u32(struct dice *d, enum sim_purpose p);

/* Uniform in 0 .. n-1; |n| > 0. */
uint32_t dice_below(struct dice *d, enum sim_purpose p, uint32_t n);

bool dice_hit(struct dice *d, enum sim_purpose p, uint64_t ppm); /* true with |ppm| millionths */

/* Exponential with that median. */
uint64_t dice_wait(struct dice *d, enum sim_purpose p, uint64_t median);
/* Exponential with that mean. */
uint64_t dice_gap(struct dice *d, enum sim_purpose p, uint64_t mean);
/* Log-normal; |spread| is sigma in thousandths. */
uint64_t dice_lognormal(struct dice *d, enum sim_purpose p, uint64_t median, uint64_t spread);
/* The same for a pair of nodes: always the same answer, in either order. */
uint64_t dice_pair(const struct dice *d, uint32_t a, uint32_t b, uint64_t median, uint64_t spread);

/* 64 bits that belong to (a, b): always the same. */
uint64_t dice_fixed(const struct dice *d, uint64_t a, uint64_t b);

/* Fixed point with 16 bits behind the point: log2 of |v| > 0, and |v| times 2^x. */
int64_t chance_log2(uint64_t v);

/* |v| times 2^x, |x| with 16 bits behind the point. */
uint64_t chance_exp2(uint64_t v, int64_t x);

#endif
