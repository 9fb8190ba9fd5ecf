/* relays_impl.h - what the files of this folder share; nothing outside includes it. */
#ifndef QUDAG_SRC_CORE_RELAYS_RELAYS_IMPL_H
#define QUDAG_SRC_CORE_RELAYS_RELAYS_IMPL_H

#include "base/map.h"
#include "core/relays/bias.h"
#include "core/relays/guards.h"
#include "core/relays/relays.h"

#define RELAYS_CANDIDATES_MAX 1024
#define RELAYS_SECOND_MAX 4
#define RELAYS_SUM_LEN 32

/* The network an address lies in: its family and the bits one path may hold only once. */
struct relays_net {
    uint8_t family; /* 4: 16 bits, 6: 32 bits */
    uint8_t b[4];
};

/* What is kept of a descriptor, and our own experience. */
struct relays_entry {
    struct onion_hop hop;
    uint16_t flags;
    uint8_t family[32];
    uint64_t seq;
    walltime not_before, expires;
    bool ageing; /* in the last quarter of its life */
    uint8_t ip;  /* RELAYS_IP4, RELAYS_IP6: of its addresses */
    uint8_t n_nets;
    struct relays_net net[ONION_ADDRS_MAX];
    uint64_t rank;     /* relays_rank() of the peer */
    uint32_t failures; /* in a row */
    tstamp usable;     /* not before */
};

/* A peer that may have a descriptor. */
struct relays_cand {
    struct peer_id peer;
    uint32_t ix;    /* in cand */
    uint32_t fails; /* fetches that found none */
    bool looked;    /* one has ended, whatever it found */
    tstamp next;    /* not to be fetched before */
};

/* A member of the sample. */
struct relays_guard {
    struct relays_entry
        x; /* its last descriptor, however old; failures and when it is tried again */
    walltime added, used; /* blurred; used 0: never */
    walltime until;       /* it is dropped then, and not before */
    uint32_t denied_s; /* it did not answer for so long while others did, since it last answered */
    bool failing;      /* since it last answered; failed_at: the last time */
    bool linked;       /* failing: a link with it stands, or was made, since it failed last */
    bool suspect;      /* path bias */
    tstamp failed_at, refetch_at;
    struct relays_bias bias;
};

#define RELAYS_WORDS_MAX 8   /* relays that one second-layer guard is believed of to fail */
#define RELAYS_WORDS_AGREE 2 /* of them that say it of a relay: it is left out behind all */

/* What a second-layer guard says of a relay behind it: that it fails. */
struct relays_word {
    uint64_t about;    /* relays_rank() */
    uint32_t failures; /* in a row */
    tstamp until;      /* it is believed; 0: nothing is said */
};

/* A second-layer guard. */
struct relays_second {
    struct relays_entry x;
    walltime until;
    uint32_t denied_s, failures; /* as of a guard, by what guards say of it */
    bool failing;
    tstamp failed_at;
    struct relays_word
        word[RELAYS_WORDS_MAX]; /* the one that ends first is forgotten for another */
};

struct relays {
    struct relays_config cfg;
    uint8_t own_ip;          /* what we have sockets for; 0: not known */
    walltime wall;           /* at the last relays_expire() or relays_settled() */
    bool wall_sure;          /* nobody contradicts our clock */
    bool settled, large;     /* the view of the network has settled; it was large once */
    bool restored, usable;   /* guards were read from disk; those of both layers may be used */
    bool guards_spent;       /* a guard is needed, and this month's new ones are used up */
    struct relays_entry **v; /* cfg.max */
    uint32_t n;
    struct map by_peer; /* peer id -> struct relays_entry */
    uint64_t rank_key[2];
    struct relays_cand *cand[RELAYS_CANDIDATES_MAX];
    uint32_t n_cand;
    struct map cand_by_peer;
    uint64_t met;                                  /* see relays_met() */
    struct relays_guard *guard[RELAYS_SAMPLE_MAX]; /* in order */
    uint32_t n_guards;
    struct relays_second *second[RELAYS_SECOND_MAX]; /* in no order */
    uint32_t n_second;
    enum relays_dirty dirty;
    tstamp heard_at;  /* when somebody who is no guard last answered */
    tstamp worked_at; /* when a relay last worked as a hop */
};

/*
 * Rules on IP versions (spec/path-selection.md, P-9).  A set of versions is RELAYS_IP4 | RELAYS_IP6; 0: nothing
 * is known.
 */
/*
 * The versions that count between relays of a pool: those that at least a third of its |n| relays have, of
 * which |n4| and |n6| have each.  Relays name their addresses themselves; with this floor nobody can narrow
 * the choice of its neighbours to few relays, by naming a rare version alone.
 */
uint8_t relays_ip_counted(uint32_t n4, uint32_t n6, uint32_t n);
/* Whether a relay with the versions |a| can be expected to reach one with |b|, where |counted| count. */
bool relays_ip_reaches(uint8_t a, uint8_t b, uint8_t counted);
/* The versions that count in the pool as it is. */
uint8_t relays_pool_ip(const struct relays *r);
/*
 * Whether an address that a descriptor names is one of the relay's (spec/path-selection.md, P-6): outside a lab
 * only those that netaddr_is_global() accepts are.  Every machine has 127.0.0.1, and two whose addresses
 * overlap are never in one path.  What is no IP address stays; it counts for nothing.
 */
bool relays_addr_usable(const struct multiaddr *addr, bool lab);
/* The versions of the addresses of |hop| that can be dialled. */
uint8_t relays_ip_of(const struct onion_hop *hop);

/* The entry of |peer|, or NULL. */
struct relays_entry *relays_find(const struct relays *r, const struct peer_id *peer);
/* Computes the networks and IP versions of |x|'s addresses. */
void relays_nets(struct relays_entry *x);
/* Whether a fetch that ended with |err| says that there is no usable descriptor; else nobody was asked. */
bool relays_fetch_answered(qudag_err err);
/*
 * Which relays a full pool holds: those of the lowest rank, a keyed hash of the peer id.  Who comes early, often or
 * in numbers is as likely to be among them as anybody else.
 */
uint64_t relays_rank(const struct relays *r, const struct peer_id *peer);
/*
 * Puts the guards read from disk into the pool: nobody is asked for them in the open, and where there are few relays
 * they are all there is.
 */
void relays_pool_recall(struct relays *r);
/* Whether both are one network. */
bool relays_net_eq(const struct relays_net *a, const struct relays_net *b);
/* Whether |x| may be drawn; |ctx| is relays_pool_draw()'s. */
typedef bool relays_fits_fn(const struct relays *r, const struct relays_entry *x, const void *ctx);
/* One of the pool that |fits|, each equally likely; NULL: there is none. */
const struct relays_entry *relays_pool_draw(const struct relays *r, relays_fits_fn *fits,
                                            const void *ctx);

/* Whether |x| may be in a path of ours at all, whatever else is in it: not us, of our kind of network, with address. */
bool relays_entry_usable(const struct relays *r, const struct relays_entry *x);
/* Whether we have a socket for one of its addresses, as far as we know. */
bool relays_entry_dialable(const struct relays *r, const struct relays_entry *x);
/* Whether |a| and |b| may be in one path. */
bool relays_compatible(const struct relays *r, const struct relays_entry *a,
                       const struct relays_entry *b);

/* ---- closeness.c ---- */

/* How close a path may come to what is behind it. */
enum relays_close {
    RELAYS_CLOSE_NOT,   /* no hop is that, or of its networks or its family */
    RELAYS_CLOSE_GUARD, /* the first may be all of it */
    RELAYS_CLOSE_NET,   /* the others are not that relay itself */
};
#define RELAYS_CLOSE_TRIES 2
#define RELAYS_CLOSE_APART 3 /* places from one relay to itself: none is asked to go back */
/* Which are tried, one after the other, for a relay that others |named|, and else; how many. */
size_t relays_rule_close(bool named, enum relays_close out[RELAYS_CLOSE_TRIES]);
/* A path of |n| hops and what is behind it. */
struct relays_closeness {
    enum relays_close how;
    size_t n;
    const struct relays_entry *to;
};
/* Whether |x| may be hop |at|, from 0, of such a path. */
bool relays_close_fits(const struct relays *r, const struct relays_closeness *c,
                       const struct relays_entry *x, size_t at);

/* ---- guards.c ---- */

/* The member of the sample that is |peer|; NULL: none. */
struct relays_guard *relays_guards_find(const struct relays *r, const struct peer_id *peer);
/*
 * Whether |peer| is one whose descriptor must not be asked for in the open.  Not when what we have is so old that
 * its keys are: who was away for so long asks for all relays alike, as a newcomer does.
 */
bool relays_guards_hides(const struct relays *r, const struct peer_id *peer);
/* The first that is fit to be a guard; NULL: none. */
const struct relays_guard *relays_guards_first(const struct relays *r);
/* Those past their date leave, and others are drawn in their place at the end. */
void relays_guards_refresh(struct relays *r);
/* The network was seen to be large: what was drawn from few and never used is drawn again. */
void relays_guards_large(struct relays *r);
/*
 * Indices of those that may begin a path now, in order; at most RELAYS_SAMPLE_MAX.  |excluded|: of each, whether what
 * the path leads to keeps it out; NULL: of none.
 */
size_t relays_guards_usable(struct relays *r, const bool *excluded, tstamp now, uint8_t *ix);
/* A path begins with the |ix|-th: its first use is dated.  Its index may change. */
void relays_guards_use(struct relays *r, uint32_t ix);
/* It was not reached, or it works. */
void relays_guards_failed(struct relays *r, struct relays_guard *g, tstamp now);
void relays_guards_worked(struct relays *r, struct relays_guard *g); /* see above */
/* What is on disk is no longer what is here. */
void relays_guards_note(struct relays *r, enum relays_dirty how);
void relays_guards_free(struct relays *r); /* forgets all */
/* What ends a file of guards: finds damage. */
void relays_guards_sum(uint8_t out[RELAYS_SUM_LEN], struct slice bytes);

/* ---- blame.c ---- */

/*
 * Whether a relay is left out of paths: the second-layer guard right before it says that it fails, or |others| do.
 */
bool relays_rule_left_out(bool before_it, uint32_t others);
/* That of |peer| behind |before|; NULL: another relay is between. */
bool relays_left_out(const struct relays *r, const struct relays_second *before,
                     const struct peer_id *peer, tstamp now);

/* ---- second.c ---- */

/* How long a second-layer guard is held, in s: the later of two times within 1 to 12 days. */
walltime relays_second_life(uint32_t draw1, uint32_t draw2);
/* The one that is |peer|; NULL: none. */
struct relays_second *relays_second_find(struct relays *r, const struct peer_id *peer);
/* Those past their time leave, others are drawn. */
void relays_second_refresh(struct relays *r);
/* Its guard says that it was not reached; or it was. */
void relays_second_failed(struct relays *r, struct relays_second *s, tstamp now);
void relays_second_worked(struct relays_second *s); /* see above */
void relays_second_free(struct relays *r);          /* forgets all */

#endif
