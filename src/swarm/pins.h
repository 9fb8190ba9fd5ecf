/*
 * pins.h - what peers have proven, or signed records say that they can: a table of its own.
 *
 *   completed handshake ─▶ met (inbound, or dialled because others named it)        signed record ─▶ recorded
 *                       ─▶ dialled (by our own choice: guards, bootstrap peers, what the program asked for)
 *   full ─▶ the source that is most over its share gives one up: of its groups of networks the fullest, there the one
 *           unused for longest
 *   disk ─▶ what was dialled at once; the rest SWARM_PIN_BATCH at a time, groups in turn: how often is not up to those
 *           who connect.  What is given up before is never written
 *
 *   the operator's text ─▶ told: holds until a handshake or a record proves it, yields to what he writes elsewhere,
 *                       and never comes to the disk: a slip of his must not outlive his correcting it
 *
 * A name that nobody has proven or signed, and that the operator did not write, enters nothing here, however often it
 * is heard.
 */
#ifndef QUDAG_SRC_SWARM_PINS_H
#define QUDAG_SRC_SWARM_PINS_H

#include "base/list.h"
#include "base/map.h"
#include "swarm/rules.h"
#include "swarm/swarm.h"

#define SWARM_PIN_GROUPS 256 /* of networks in which peers were */
#define SWARM_PIN_LISTS (1 + 2 * SWARM_PIN_GROUPS)
#define SWARM_PIN_BATCH 32                       /* changes that others caused, written at once */
#define SWARM_PIN_BATCH_EVERY (2 * NS_PER_S)     /* ... so often at the most */
#define SWARM_PIN_NAME_LEN SWARM_PIN_CHANGE_NAME /* of an entry on disk */

struct swarm_pin_entry {
    struct list use;   /* in swarm_pins.list, unused for longest first */
    struct list dirty; /* in swarm_pins.dirty[list] while it differs from what is on disk */
    struct peer_id id;
    struct swarm_proof proof;
    enum swarm_pin_source source;
    bool known;   /* a record or the operator told the key; else it is of first use */
    bool told;    /* nobody but the operator did, and nothing has proven it yet */
    bool stored;  /* the disk has it, in this form or an older one */
    bool gone;    /* only waits to be removed from disk */
    uint64_t net; /* in which the peer was; 0: not known */
    uint16_t list;
};

struct swarm_pins {
    struct mem *mem;
    struct map by_id;
    struct list list[SWARM_PIN_LISTS]; /* the recorded, groups of the met, then of the dialled */
    uint32_t n[SWARM_PIN_LISTS];
    uint32_t count[SWARM_PIN_SOURCES];
    uint32_t max;
    bool persist;
    struct list dirty[SWARM_PIN_LISTS]; /* of these, and what is gone, what is to be written */
    uint32_t n_now, n_later;            /* in |dirty|: dialled, and others */
    uint16_t turn;                      /* whose comes next */
    uint32_t granted;                   /* others that may be written before |batch_at| */
    tstamp batch_at;
    uint64_t k0, k1;                                           /* for the groups */
    bool (*in_use)(const void *ctx, const struct peer_id *id); /* never given up */
    const void *ctx;
};

/* An empty table for |max| entries; with |persist| its changes are noted for swarm_pins_change(). */
void swarm_pins_init(struct swarm_pins *p, struct mem *mem, const uint8_t seed[16], uint32_t max,
                     bool persist);
/* Frees all entries. */
void swarm_pins_fini(struct swarm_pins *p);

/* What is known of |id|; NULL: nothing. */
const struct swarm_pin_entry *swarm_pins_get(const struct swarm_pins *p, const struct peer_id *id);
/* The proof in it; one that demands nothing when there is none. */
const struct swarm_proof *swarm_pins_proof(const struct swarm_pins *p, const struct peer_id *id);

/*
 * A link with |id|, in the network |net|, that swarm_rule_admit() admitted shows |now|.  *first: its key is pinned from
 * now on.  QUDAG_ENOMEM: nothing was noted, and the link must not stand.
 */
QUDAG_MUST_USE qudag_err swarm_pins_learn(struct swarm_pins *p, const struct peer_id *id,
                                          enum swarm_pin_source source, uint64_t net,
                                          const struct swarm_claim *now, bool *first);
/* A link that we dialled to |id|, in |net|, serves somebody we chose: if |id| is known it counts as dialled. */
void swarm_pins_chosen(struct swarm_pins *p, const struct peer_id *id, uint64_t net);
/*
 * A signed record says that the key of |id| has the hash |pin|.  QUDAG_EEXISTS: so it was known; QUDAG_EAUTH: another
 * one is known, or was told; QUDAG_ENOMEM.
 */
QUDAG_MUST_USE qudag_err swarm_pins_record(struct swarm_pins *p, const struct peer_id *id,
                                           const uint8_t pin[SWARM_PIN_LEN]);

/*
 * The operator has written so, which proves nothing: until something does, what he writes next takes its place.
 * Otherwise as swarm_pins_record(), but QUDAG_EAUTH only for what was proven or recorded.
 */
QUDAG_MUST_USE qudag_err swarm_pins_tell(struct swarm_pins *p, const struct peer_id *id,
                                         const uint8_t pin[SWARM_PIN_LEN]);
/* What is only told of |id| ends: it proved the hash in another address of the operator. */
void swarm_pins_untell(struct swarm_pins *p, const struct peer_id *id);
/* Whether the pin of |id| is only told. */
bool swarm_pins_is_told(const struct swarm_pins *p, const struct peer_id *id);

/*
 * The peer |id| has said, by a statement that is valid, that its key has a successor; what swarm_rule_follow() says.
 * SWARM_FOLLOW: the pin is the new key from now on.
 */
enum swarm_follow swarm_pins_follow(struct swarm_pins *p, const struct peer_id *id,
                                    const struct swarm_successor *next);

/* The next change that may be written; false: there is none, or not before swarm_pins_deadline(). */
bool swarm_pins_change(struct swarm_pins *p, tstamp now, struct swarm_pin_change *out);
/* When more of what waits may be written; TSTAMP_NEVER: nothing waits for that. */
tstamp swarm_pins_deadline(const struct swarm_pins *p);
/* What waits may be written now (the node stops). */
void swarm_pins_due(struct swarm_pins *p);
/* All entries count as changed, and may be written now. */
void swarm_pins_change_all(struct swarm_pins *p);
/*
 * Takes what swarm_pins_change() gave in an earlier life.  After a crash there may be more than the table has room for,
 * as removals wait, too: then one gives way as always, and is removed from disk.  QUDAG_EMALFORMED, EEXISTS, ENOMEM.
 */
QUDAG_MUST_USE qudag_err swarm_pins_restore(struct swarm_pins *p,
                                            const uint8_t name[SWARM_PIN_NAME_LEN],
                                            struct slice bytes);

#endif
