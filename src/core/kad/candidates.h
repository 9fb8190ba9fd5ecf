/* candidates.h - candidates.c: one lookup; pure, it knows neither streams nor timers. */
#ifndef QUDAG_SRC_CORE_KAD_CANDIDATES_H
#define QUDAG_SRC_CORE_KAD_CANDIDATES_H

#include "core/kad/tables.h"

#define KAD_CANDS_MAX 256
#define KAD_CANDS_ONE 128 /* of a lookup along one path */
#define KAD_PATH_CANDS 32 /* of each path where there are several */
#define KAD_QUERY_RPCS_MAX 160
#define KAD_CROWD_MAX 2    /* asked of peers packed together */
#define KAD_GROUP_LOOKUP 4 /* candidates of one /24 or /48 */

enum kad_cand_state {
    KAD_CAND_NEW,
    KAD_CAND_ASKED,
    KAD_CAND_LATE,
    KAD_CAND_ANSWERED,
    KAD_CAND_FAILED
};
/* EQUAL: another value, worth the same as the best. */
enum kad_cand_rec { KAD_REC_NONE, KAD_REC_BEST, KAD_REC_EQUAL, KAD_REC_OLDER };

struct kad_cand {
    uint64_t dist; /* first 64 bits of the distance */
    struct kad_peer *peer;
    uint8_t state, depth, rec;
    uint8_t paths; /* bit p: an answer on path p named it */
    uint8_t by;    /* the path that asked it */
    bool soft;
};

/* Answers name the same peers again and again: those met need neither hashing nor checking again. */
#define KAD_MET 256
#define KAD_MET_MAX 192

/* Candidates, the closest first. */
struct kad_query {
    uint8_t target[SHA256_LEN];
    uint8_t self[SHA256_LEN];
    uint64_t prefix; /* of the target */
    bool lab;        /* no limit of candidates of one network */
    uint8_t alpha;   /* asked at once by each path */
    uint8_t n_paths, width;
    uint8_t crowd_bits; /* peers with so many bits in common are packed together; 0: no limit */
    uint8_t turn;       /* the path that may ask next */
    uint8_t active[KAD_PATHS], soft[KAD_PATHS]; /* asked now; of these past their soft timeout */
    uint8_t known[KAD_PATHS];                   /* candidates */
    uint32_t n, late;
    uint32_t rpcs, rpcs_max, answered, failures;
    uint32_t n_met;
    struct kad_peer *met[KAD_MET]; /* named to this lookup, by their id: a hash table */
    struct kad_cand cand[KAD_CANDS_MAX];
};

struct kad_peer *kad_query_met(const struct kad_query *q, struct slice id);
/* Takes a reference of its own, unless there are too many already. */
void kad_query_meet(struct kad_query *q, struct kad_peer *p);

/* One path, k wide; the caller changes n_paths, width, crowd_bits, lab, rpcs_max before the first peer. */
void kad_query_init(struct kad_query *q, const uint8_t target[SHA256_LEN],
                    const uint8_t self[SHA256_LEN], unsigned alpha);
void kad_query_fini(struct kad_query *q);
/* Takes a reference of its own; false when known, ourselves, or farther than a full list. */
bool kad_query_add(struct kad_query *q, struct kad_peer *p, unsigned depth, unsigned path);
/* The next peer to ask, counted as asked; NULL: wait for answers, or done. */
struct kad_peer *kad_query_next(struct kad_query *q, tstamp now);
/* Each: the candidate it was, NULL if |p| was not being asked. */
struct kad_cand *kad_query_reply(struct kad_query *q, const struct kad_peer *p);
struct kad_cand *kad_query_fail(struct kad_query *q, const struct kad_peer *p);
void kad_query_soft(struct kad_query *q, const struct kad_peer *p);
void kad_query_late(struct kad_query *q, const struct kad_peer *p);
/* One that answered is asked once more. */
void kad_query_again(struct kad_query *q, struct kad_cand *c);
/* Whether |want| candidates that share the first |bits| (1 .. 63) with the target have answered. */
bool kad_query_filled(const struct kad_query *q, unsigned bits, unsigned want);
bool kad_query_done(struct kad_query *q);
/* Peers passed over because they are packed together, nearer than the last of the |width|. */
unsigned kad_query_crowded(struct kad_query *q);
/* Candidates that have not failed, at most so far from the target. */
unsigned kad_query_within(const struct kad_query *q, uint64_t radius);
/* Of these, who answered. */
unsigned kad_query_answered(const struct kad_query *q, uint64_t radius);
/* All settled paths become one, so wide. */
void kad_query_join(struct kad_query *q, unsigned width);
/* Of the k closest that live, how many have answered. */
unsigned kad_query_near(const struct kad_query *q);
/* Up to |max| closest peers that answered (borrowed). */
size_t kad_query_result(const struct kad_query *q, size_t max, struct kad_peer **out);
/* The same, and beyond the |width| closest also who has not been asked: a farther one serves less. */
size_t kad_query_takers(const struct kad_query *q, size_t max, struct kad_peer **out);
/* Requests on the way to the first of the k closest that answered. */
uint32_t kad_query_hops(const struct kad_query *q);

#endif
