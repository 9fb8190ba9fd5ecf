/* candidates.h - the candidates of one lookup: which is asked next, when it is done; pure, no streams or timers. */
#ifndef QUDAG_SRC_CORE_KAD_LOOKUP_CANDIDATES_H
#define QUDAG_SRC_CORE_KAD_LOOKUP_CANDIDATES_H

#include "base/map.h"
#include "core/kad/routing/table.h"

#define KAD_CANDS_MAX 256
#define KAD_CANDS_ONE 128 /* of a lookup along one path */
#define KAD_PATH_CANDS 32 /* of each path where there are several */
#define KAD_LOOKUP_RPCS_MAX 160
#define KAD_CROWD_MAX 2    /* asked of peers packed together */
#define KAD_GROUP_LOOKUP 4 /* candidates of one /24 or /48 */
#define KAD_OTHERS 4       /* further sets of addresses of one candidate */
#define KAD_OTHERS_ONE 2   /* ... of a lookup along one path */

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
    struct kad_contact *peer;
    uint8_t state, depth, rec;
    uint8_t paths; /* bit p: an answer on path p named it */
    uint8_t by;    /* the path that asked it */
    bool soft;
    uint8_t others_tried;                  /* bit i: other[i] was taken */
    struct kad_contact *other[KAD_OTHERS]; /* the same node elsewhere; kad_candidates_other() */
};

/* Answers name the same nodes again and again: those seen need neither hashing nor checking again. */
#define KAD_SEEN_MAX 192

/* Candidates, the closest first. */
struct kad_candidates {
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
    struct map seen; /* kad_addrinfo_name() -> contact: those named to this lookup */
    struct kad_cand cand[KAD_CANDS_MAX];
};

/* The contact of |id|, whose name is |name|, if it was named before; else NULL. */
struct kad_contact *kad_candidates_seen(const struct kad_candidates *q, uint64_t name,
                                        struct slice id);
/* Takes a reference of its own, unless there are too many already or no memory. */
void kad_candidates_see(struct kad_candidates *q, struct kad_contact *p);

/* One path, k wide; the caller changes n_paths, width, crowd_bits, lab, rpcs_max before the first peer. */
void kad_candidates_init(struct kad_candidates *q, struct mem *mem,
                         const uint8_t target[SHA256_LEN], const uint8_t self[SHA256_LEN],
                         unsigned alpha);
/* Lets go of all contacts. */
void kad_candidates_fini(struct kad_candidates *q);
/* Takes a reference of its own; false when known, ourselves, or farther than a full list. */
bool kad_candidates_add(struct kad_candidates *q, struct kad_contact *p, unsigned depth,
                        unsigned path);
/*
 * An answer on |path| names a candidate's node at other addresses than the candidate has: they are tried if those
 * fail, so that whoever names a node first cannot hide it behind addresses at which nobody is.  Paths have places of
 * their own (two share one), a lookup along one path has the first KAD_OTHERS_ONE.  Takes a reference of its own.
 */
void kad_candidates_other(struct kad_candidates *q, struct kad_contact *p, unsigned path);
/* The next peer to ask, counted as asked; NULL: wait for answers, or done. */
struct kad_contact *kad_candidates_next(struct kad_candidates *q, tstamp now);
/* |p| answered; the candidate it is, NULL if it was not being asked. */
struct kad_cand *kad_candidates_reply(struct kad_candidates *q, const struct kad_contact *p);
/* |p| failed; returns as above.  With other addresses left it is a new candidate again. */
struct kad_cand *kad_candidates_fail(struct kad_candidates *q, const struct kad_contact *p);
/* |p| passed its soft timeout: one more may be asked beside it. */
void kad_candidates_soft(struct kad_candidates *q, const struct kad_contact *p);
/* |p| is waited for no longer; its answer is still taken. */
void kad_candidates_late(struct kad_candidates *q, const struct kad_contact *p);
/* One that answered is asked once more. */
void kad_candidates_again(struct kad_candidates *q, struct kad_cand *c);
/* Whether |want| candidates that share the first |bits| (1 .. 63) with the target have answered. */
bool kad_candidates_filled(const struct kad_candidates *q, unsigned bits, unsigned want);
/* Nobody is left to be asked or waited for. */
bool kad_candidates_done(struct kad_candidates *q);
/* Peers passed over because they are packed together, nearer than the last of the |width|. */
unsigned kad_candidates_crowded(struct kad_candidates *q);
/* Candidates that have not failed, at most so far from the target. */
unsigned kad_candidates_within(const struct kad_candidates *q, uint64_t radius);
/* The number of these that answered. */
unsigned kad_candidates_answered(const struct kad_candidates *q, uint64_t radius);
/* All settled paths become one, so wide. */
void kad_candidates_join(struct kad_candidates *q, unsigned width);
/* Of the k closest that live, how many have answered. */
unsigned kad_candidates_near(const struct kad_candidates *q);
/* Up to |max| closest peers that answered (borrowed). */
size_t kad_candidates_result(const struct kad_candidates *q, size_t max, struct kad_contact **out);
/* The same, and beyond the |width| closest also those not asked yet. */
size_t kad_candidates_for_store(const struct kad_candidates *q, size_t max,
                                struct kad_contact **out);
/* Requests on the way to the first of the k closest that answered. */
uint32_t kad_candidates_hops(const struct kad_candidates *q);

#endif
