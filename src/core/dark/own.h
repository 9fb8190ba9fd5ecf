/* own.h - our own addresses and the rounds of their places; for this folder only (publish.c, hidden.c). */
#ifndef QUDAG_SRC_CORE_DARK_OWN_H
#define QUDAG_SRC_CORE_DARK_OWN_H

#include "core/dark/dark.h"

/* --- what records of hidden services lead to ---------------------------------------------------- */

/* What a record names, as far as it decides whether it still leads to its service; zero: nothing. */
struct dark_named {
    uint8_t key_id[8];   /* of its handshake keys */
    uint8_t clients[32]; /* dark_clients_id() of who can read it */
    struct dark_pow pow;
    uint32_t n;
    uint8_t intro[DARK_INTROS_MAX][32]; /* introduction keys */
};

/* What is to be done about a record now that its service says |s|. */
enum dark_leads {
    DARK_LEADS,         /* nothing: two of its points still stand, or all that there are */
    DARK_LEADS_THINLY,  /* by one of several, or it asks for other work: to be told in one place */
    DARK_LEADS_NOWHERE, /* to be told everywhere */
};
/* SPEC: dark D-36: of a record of |period|; |clients|: dark_clients_id() of who is to read it. */
enum dark_leads dark_leads(const struct dark_named *record, const struct dark_service *s,
                           const uint8_t clients[32], uint64_t period);
/* Whether records can say what |s| does: points, keys, work. */
bool dark_service_sound(const struct dark_service *s);
/* What the record of |period| says.  ENOTFOUND: there are no keys for it.  SPEC: dark D-37. */
QUDAG_MUST_USE qudag_err dark_service_at(struct dark_hidden *out, const struct dark_service *s,
                                         uint64_t period);
/* What decides later on whether a record that says |h| to |clients| still leads to its service. */
void dark_named_set(struct dark_named *n, const struct dark_hidden *h,
                    const struct dark_clients *clients);
/* Hash of points and keys. */
void dark_service_hash(uint8_t out[32], const struct dark_service *s);
/*
 * How long a round waits that is not on schedule, at least: since the last one of its place began.  Relays that drop
 * points again and again do not set the pace.
 */
uint64_t dark_off_schedule_pause(enum dark_leads why);

/* --- own addresses ------------------------------------------------------------------------------ */

enum dark_own_state {
    DARK_OWN_IDLE,       /* keys only */
    DARK_OWN_PUBLISHING, /* a target to be published, now and again */
    DARK_OWN_FORGETTING, /* tombstones leave, then the keys are wiped */
};

/* The rounds of one place: save, put, read back through another relay. */
enum dark_step { DARK_REST, DARK_SAVING, DARK_PUTTING, DARK_READING };

struct dark_series {
    enum dark_step step;
    uint64_t cookie; /* of what is asked in this step */
    tstamp ask_due;  /* the step fails then */
    tstamp round_at; /* next round; TSTAMP_NEVER: none */
    uint32_t failures, stored;
    bool withdrawn;       /* forgetting: nothing more to do here */
    struct peer_id avoid; /* the relay whose put could not be read back */
    uint8_t digest[32];   /* of the record under way */
    walltime expires;     /* of that */
    walltime until;       /* expiry of what is stored; 0: nothing, or it leads nowhere */
    /* kind hidden only: */
    struct dark_named making; /* what the record under way names */
    struct dark_named named;  /* what the stored one does */
    enum dark_leads off;      /* |round_at| is off schedule because of that */
    tstamp begun;             /* the last round was; 0: none */
};

struct dark_own_addr {
    struct dark_own_addr *next_dead;
    struct dark_keys keys;
    enum dark_own_state state;
    bool reported;   /* forgetting: the owner was told */
    uint64_t cookie; /* of dark_publish or dark_forget */
    union {
        struct onion_hop hop;       /* by keys.kind: where its records lead ... */
        struct dark_service hidden; /* ... or what they say */
    };
    struct dark_series s[DARK_PLACES]; /* beside keys.place */
    tstamp change_at;                  /* the period changes, or the next one's places are due */
    uint8_t hurried[3];   /* of each period (mod 3): the replica that may leave its schedule ... */
    tstamp hurried_until; /* ... until others are drawn */
};

struct dark;
/* Frees addresses that were forgotten in the last call. */
void dark_own_reap(struct dark *d);
/* publish.c: the own address |a|, also while it is being forgotten; NULL: not one of ours. */
struct dark_own_addr *dark_own_find(const struct dark *d, const struct dark_addr *a);
/* publish.c: the read back that |ans| may answer; false: it answers none. */
bool dark_own_get_done(struct dark *d, const struct dark_answer *ans, tstamp now, struct acts *out);
/* publish.c: rounds that are due, steps that took too long. */
void dark_own_tick(struct dark *d, tstamp now, struct acts *out);
/* When the next of them is. */
tstamp dark_own_deadline(const struct dark *d);
/* Wipes and frees all own addresses. */
void dark_own_free(struct dark *d);
/* hidden.c: the replica that may leave its schedule in |period|, until others are drawn. */
uint8_t dark_hurried(const struct dark_own_addr *o, uint64_t period);
/* Something is to be told at once: draws the replicas that do, unless that was done a short while ago. */
void dark_hurried_draw(struct dark *d, struct dark_own_addr *o, tstamp now);
/* hidden.c: schedules anew what |o|, hidden, has in the DHT and ought not to have any more. */
void dark_hidden_review(struct dark *d, struct dark_own_addr *o, tstamp now);

#endif
