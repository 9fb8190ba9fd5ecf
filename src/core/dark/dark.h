/*
 * dark.h - dark addresses: keys, text form, records, publishing and resolving (spec/dark.md).
 *
 * The core publishes and resolves by reporting what it needs from the DHT; whoever owns it fetches
 * through a circuit and answers.
 */
#ifndef QUDAG_SRC_CORE_DARK_DARK_H
#define QUDAG_SRC_CORE_DARK_DARK_H

#include "core/dark/hidden.h"
#include "crypto/identity.h"
#include "wire/dht_keys.h"

#define DARK_TEXT_MAX 136                             /* two labels, ".dark", NUL */
#define DARK_RECORD_LEN DHT_DARK_RECORD_LEN           /* every record has this size */
#define DARK_PERIOD 86400                             /* s */
#define DARK_REPLICAS 2                               /* places of an address in each period */
#define DARK_ADDRS_MAX 64                             /* own addresses */
#define DARK_SECRET_LEN (480 + DARK_CLIENTS_MAX * 64) /* bytes of the file form */

enum dark_network { DARK_NET_MAIN = 0, DARK_NET_TEST = 1, DARK_NET_LAB = 2 };
/* What a record leads to. */
enum dark_kind {
    DARK_WITHDRAWN = 0, /* nowhere: the address is no longer in use */
    DARK_DIRECT = 1,    /* the node itself */
    DARK_HIDDEN = 2,    /* relays that introduce callers to it (spec/rendezvous.md) */
    DARK_LOCKED = 3,    /* the same, for clients with a secret; in records only */
};

/*
 * Whether a node of the network |node| makes, publishes and resolves addresses of |of|: its own kind, and those for
 * trials.  The public network has no lab addresses, as labs drop the rules that hide people, and labs no others.
 */
bool dark_network_takes(enum dark_network node, enum dark_network of);

/* What an address says: version 1. */
struct dark_addr {
    uint8_t network;
    uint8_t ed_pk[32];  /* A */
    uint8_t commit[32]; /* blake3_derive of the ML-DSA-65 public key and parameters */
};

#define DARK_ADDR_LEN 66 /* version | network | A | commitment */
/* The form of 66 bytes, of which handshakes speak.  spec/dark.md section 1. */
void dark_addr_bytes(uint8_t out[DARK_ADDR_LEN], const struct dark_addr *a);
/* Text form, NUL-terminated; its length.  spec/dark.md section 1. */
size_t dark_addr_text(char dst[DARK_TEXT_MAX], const struct dark_addr *a);
/* QUDAG_EMALFORMED (not of the form), QUDAG_ECHECKSUM (a typing error), QUDAG_EUNSUPPORTED (version). */
QUDAG_MUST_USE qudag_err dark_addr_parse(struct dark_addr *a, const char *text);

/* Where one of an address's records lies: each place has an index, a key A' and numbers of its own. */
struct dark_place {
    uint64_t period;
    uint8_t replica; /* 0 .. DARK_REPLICAS - 1 */
};

/* The periods before, now and next; a place lies in the slot period % 3, replica. */
#define DARK_PLACES (3 * DARK_REPLICAS)

/* What must outlive the process so that storers see nothing of a restart. */
struct dark_place_state {
    struct dark_place at;
    uint64_t number; /* of the last record made for it; 0: none */
    walltime due;    /* when the next one is made; 0: not known */
};

/* What an owner may want to know of an address; kept for himself only. */
struct dark_use {
    uint64_t callers;     /* circuits that ended at it */
    uint64_t resolutions; /* lookups of it by this node */
    walltime last;        /* of either, rounded down to the hour; 0: never */
};

/* The keys behind an address; wiped by dark_keys_fini. */
struct dark_keys {
    struct dark_addr addr;
    enum dark_kind
        kind; /* DARK_DIRECT or _HIDDEN: what its records may lead to, for all its life */
    struct secret_ed25519 ed_sk;
    struct secret_mldsa65 pq_seed;
    struct secret_x25519 onion_x_sk;
    struct secret_mlkem768 onion_k_seed;
    struct mldsa_key *pq_sk;
    uint8_t pq_pk[MLDSA65_PK_LEN];
    uint8_t onion_x[X25519_LEN];
    uint8_t onion_k[MLKEM768_EK_LEN];
    uint8_t key_id[8];
    uint64_t seq; /* inside the last record made; must never go back, so it is saved too */
    struct dark_place_state place[DARK_PLACES];
    uint8_t target[32]; /* hash of what the records lead to */
    struct dark_use use;
    walltime created;
    char label[DARK_LABEL_MAX + 1];
    struct dark_clients clients; /* of an address of kind hidden */
};
/*
 * New keys for an address in |net|, to be ended with dark_keys_fini(); |label| may be NULL.  Of kind direct, unless the
 * caller sets k->kind before anything else is done with them.  QUDAG_EINVAL: label, network or time out of range; other
 * errors are those of the cryptographic library.
 */
QUDAG_MUST_USE qudag_err dark_keys_create(struct dark_keys *k, enum dark_network net,
                                          const char *label, walltime now, const struct rng *rng);
/* Keys from their file form.  QUDAG_EMALFORMED, also for a changed bit.  spec/dark.md section 6. */
QUDAG_MUST_USE qudag_err dark_keys_load(struct dark_keys *k, struct slice bytes);
/* The file form; secret, not encrypted. */
void dark_keys_save(const struct dark_keys *k, uint8_t out[DARK_SECRET_LEN]);
/* Wipes and frees; harmless for keys that are zero. */
void dark_keys_fini(struct dark_keys *k);

/* What a record says. */
struct dark_target {
    enum dark_kind
        kind; /* which of the two that follow holds; DARK_WITHDRAWN: neither, all is zero */
    union {
        struct dark_hidden hidden;
        struct onion_hop hop; /* direct: the service itself, hop.service set */
    };
    uint64_t seq; /* counts all records of the address; storers do not see it */
    struct dark_place at;
    uint64_t number; /* counts those of this place */
    walltime not_before, expires;
};

/* Number of the period at |now|, and the DHT key of one of its places. */
uint64_t dark_period(walltime now);
#define DARK_KEY_LEN (sizeof(DHT_DARK_PREFIX) - 1 + DHT_DARK_INDEX_LEN) /* 44 */
QUDAG_MUST_USE qudag_err dark_dht_key(uint8_t out[DARK_KEY_LEN], const struct dark_addr *a,
                                      const struct dark_place *at);

/*
 * The record of |t| for the place t->at, of kind hidden for the clients of |k| if only these may call.  Of kind direct
 * addresses that do not fit are left out from the end; of kind hidden key ids are not looked at.  EINVAL: times,
 * numbers or target out of range.
 */
QUDAG_MUST_USE qudag_err dark_record_make(uint8_t out[DARK_RECORD_LEN], const struct dark_keys *k,
                                          const struct dark_target *t, const struct rng *rng);
/* What a storer can check: size, A' is the index, outer signature, time.  *number and *expires on OK. */
QUDAG_MUST_USE qudag_err dark_record_check(struct slice key, struct slice record, walltime now,
                                           uint64_t *number, walltime *expires);
/*
 * What a client checks: all of it.  |secret|: of DARK_CLIENT_SECRET_LEN bytes, or NULL.  EAUTH, EEXPIRED, EMALFORMED,
 * EUNSUPPORTED; ENEEDAUTH: it is for clients, and |secret| is not one of theirs; seq, place, number and times of |t|
 * are those of the record then.  Kind DARK_WITHDRAWN is a success.
 */
QUDAG_MUST_USE qudag_err dark_record_open(struct dark_target *t, const struct dark_addr *a,
                                          const uint8_t *secret, struct slice record, walltime now);

struct dark_config {
    struct mem *mem;
    struct rng rng;
    struct logger log;
    struct wallclock clock;
    enum dark_network network;
    uint64_t delay_max_ns;   /* a lookup begins after a random time up to this */
    uint32_t cover_per_hour; /* cover lookups, on average; at most DARK_COVER_MAX; 0: none */
    bool show_cache;         /* what one user asked for is shown to others by an answer at once */
};
#define DARK_COVER_MAX 60

enum dark_up {
    DARK_UP_PUT = 1, /* cookie, ptr: const struct dark_wanted *: store it, then dark_put_done */
    DARK_UP_GET,     /* cookie, ptr: const struct dark_wanted *: fetch it, then dark_get_done */
    DARK_UP_RESOLVED, /* cookie of dark_resolve, err; ptr: const struct dark_target *; n: 1 = cached */
    DARK_UP_PUBLISHED, /* cookie of dark_publish, err, n: nodes that stored it; n counts repeats too */
    DARK_UP_SAVE, /* cookie, ptr: const struct dark_keys *: changed; save it, then dark_saved */
};

/* What a DARK_UP_PUT or _GET wants; it lies in the action list. */
struct dark_wanted {
    struct slice key;    /* DARK_KEY_LEN bytes; or, GET, DHT_SAMPLE_KEY */
    struct slice record; /* PUT: DARK_RECORD_LEN bytes */
    struct peer_id
        apart; /* not through this relay at the end, nor one of its network; len 0: any */
};

/* How that ended; borrowed for the call. */
struct dark_answer {
    uint64_t cookie; /* that of the report; others are ignored */
    qudag_err err;
    struct slice record; /* GET: as it came */
    uint32_t stored;     /* PUT: how many nodes have it, as the relay at the end says */
    struct peer_id exit; /* that relay; len 0: nobody answered */
};

struct dark;
/* A core without addresses; to be freed with dark_free.  ENOMEM. */
QUDAG_MUST_USE qudag_err dark_new(struct dark **out, const struct dark_config *cfg);
/* Frees the core and wipes its keys, without reports; NULL is allowed. */
void dark_free(struct dark *d);
/* The calendar is another from now on. */
void dark_set_clock(struct dark *d, struct wallclock clock);
/* Starts rounds and ends what took too long, when dark_deadline() has come. */
void dark_tick(struct dark *d, tstamp now, struct acts *out);
/* When dark_tick() is to be called next; TSTAMP_NEVER: not at all. */
tstamp dark_deadline(const struct dark *d);

/* Our addresses.  dark_own takes the keys over (and wipes the caller's copy); EEXISTS, ELIMIT. */
QUDAG_MUST_USE qudag_err dark_own(struct dark *d, struct dark_keys *k);
/*
 * Keys of an own address, borrowed until the core is called again; NULL: not one of ours, or being
 * forgotten.
 */
const struct dark_keys *dark_own_get(const struct dark *d, const struct dark_addr *a);
/*
 * Looking in at own addresses, |*it| from 0 on; false at the end.  |*until|: expiry of what was
 * published last.
 */
bool dark_own_next(const struct dark *d, size_t *it, const struct dark_keys **k, bool *published,
                   walltime *until);
enum dark_publish_how {
    DARK_PUBLISH_NOW,    /* one record at once, and a report of it */
    DARK_PUBLISH_RESUME, /* after a restart: goes on where it was when the target is the same */
};
/* What dark_publish() is asked for; borrowed for the call.  One of |self| and |hidden|, by the kind of the address. */
struct dark_publish_want {
    uint64_t cookie; /* of the reports */
    const struct dark_addr *addr;
    const struct onion_hop *self; /* where it leads: peer, pq_hash and addresses count */
    const struct dark_service *hidden;
    enum dark_publish_how how;
};
/*
 * Publishes now and again before each expiry, in each place at times of its own, until withdrawn; to be called again
 * whenever what records are to say has changed.  Of direct ones the onion keys are the address's own.  After each
 * record of the current period comes DARK_UP_PUBLISHED with |cookie|: OK when it could be read back through another
 * relay; what failed is repeated.
 *   direct   another |self| than before is told at once in one place, and with the next renewal in the other (D-30)
 *   hidden   each place by what its last record still leads to (D-36): two points or more, it keeps its schedule; one,
 *            and there are more, or other work: told at once in one place; none, as after a restart: at once in
 *            one place, in the others within 30 to 90 minutes
 * A resumed one of which a record still leads there reports at once, with n = 0.  ENOTFOUND: not an own address;
 * EINVAL: not of its kind; |self| without peer id or with too many addresses; |hidden| that no record may say.
 */
QUDAG_MUST_USE qudag_err dark_publish(struct dark *d, const struct dark_publish_want *want,
                                      tstamp now, struct acts *out);
/*
 * Records of |a| carry the statement of |id|, this node, that it ends circuits until |until| at the addresses that
 * they name (wire/onion_ends.h); to be renewed whenever one is made, with DARK_UP_SAVE.  ENOTFOUND; EINVAL: not the
 * node that the address is published for, or a hidden one, whose records name no node.
 */
QUDAG_MUST_USE qudag_err dark_sign_target(struct dark *d, const struct dark_addr *a,
                                          const struct identity *id, walltime until);
/*
 * Publishes a record without target (tombstone) in one place of the current period, then reports
 * DARK_UP_PUBLISHED: when stored, or after three tries.  The key file is to be deleted then, not before, as
 * DARK_UP_SAVE comes first.  The other places follow within 90 minutes at times of their own; then the
 * keys are wiped.  From now on dark_own_get and _next no longer show it.
 */
QUDAG_MUST_USE qudag_err dark_forget(struct dark *d, uint64_t cookie, const struct dark_addr *a,
                                     tstamp now, struct acts *out);
/*
 * Makes no more records of |a|: those that are out there expire, and nothing shows of it.  A round under way ends
 * without a report.  Nothing for what is not published; dark_publish() goes on as after a restart.
 */
void dark_unpublish(struct dark *d, const struct dark_addr *a);
/*
 * The answer to DARK_UP_SAVE.  Only after OK are records with that number made and reported to be put; with
 * any other |err| the round has failed with it, and is repeated.  Unknown cookies are ignored.
 */
void dark_saved(struct dark *d, uint64_t cookie, qudag_err err, tstamp now, struct acts *out);
/* The answer to DARK_UP_PUT. */
void dark_put_done(struct dark *d, const struct dark_answer *ans, tstamp now, struct acts *out);
/* A caller's circuit ended at |a|: noted for its owner. */
void dark_called(struct dark *d, const struct dark_addr *a, tstamp now);

/* What dark_resolve() is asked for; borrowed for the call. */
struct dark_question {
    uint64_t cookie; /* of the report */
    const struct dark_addr *addr;
    uint64_t user; /* who wants to know; 0: the node itself */
};
/*
 * Where the address leads, for the user: ends in exactly one DARK_UP_RESOLVED, at once when it is remembered and that
 * user was told before; another one waits as long as that lookup took (unless show_cache).  ELIMIT, ENOMEM,
 * EUNSUPPORTED (an address of another network): no report follows.  spec/dark.md section 5.
 */
QUDAG_MUST_USE qudag_err dark_resolve(struct dark *d, const struct dark_question *q, tstamp now,
                                      struct acts *out);
/* The answer to DARK_UP_GET. */
void dark_get_done(struct dark *d, const struct dark_answer *ans, tstamp now, struct acts *out);
/*
 * The target did not answer |user|, who was told of it: he is not answered with it again, but by a lookup.  What others
 * were told stands, or they would see that he called.
 */
void dark_target_failed(struct dark *d, const struct dark_addr *a, uint64_t user);

#endif
