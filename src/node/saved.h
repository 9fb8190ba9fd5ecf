/* saved.h - everything that outlives the process (saved.c), and the onion keys of the relay (keys.c). */
#ifndef QUDAG_SRC_NODE_SAVED_H
#define QUDAG_SRC_NODE_SAVED_H

#include "node/node.h"

#define NODE_ONION_SLOTS 2

/* The relay's onion keys: the current, which the descriptor names, and for a while the one before. */
struct node_onion_keys {
    struct {
        bool has;
        walltime made;
        tstamp known;   /* since when this process has it */
        bool made_here; /* ... which is when it was made */
        uint8_t id[8];
    } slot[NODE_ONION_SLOTS];
    uint8_t current; /* its slot, when node.has_onion_key */
    tstamp check_at;
};

/*
 * Circuits may end at the relay by |key|, made at |made| and saved in |slot|, which is free; the newest becomes the one
 * that others name in CREATE.  |dk| is taken over or freed.
 */
QUDAG_MUST_USE qudag_err node_keys_take_relay(struct node *n, unsigned slot, walltime made,
                                              struct onion_key *key, struct mlkem_key *dk);
/* The key in |slot| opens no circuit any more, and is wiped; that it is not saved any more is the caller's. */
void node_keys_drop_relay(struct node *n, unsigned slot);
/* Its name to circuits that end at us: the tag of its onion key, or of carried ones; never 0. */
uint64_t node_keys_tag(const struct dark_addr *a);
/* Lets circuits end at us by the onion key of a dark address. */
QUDAG_MUST_USE qudag_err node_keys_listen(struct node *n, const struct dark_keys *k);
/* The text of the own address whose tag that is, in |text|; NULL: none. */
const char *node_keys_tag_text(struct node *n, uint64_t tag, char text[DARK_TEXT_MAX]);
/* A caller's circuit ended at the dark address with |tag|: its owner may look. */
void node_keys_called(struct node *n, uint64_t tag, tstamp now);

/* Registers when anchors are persisted. */
QUDAG_MUST_USE qudag_err node_saved_init(struct node *n, tstamp now);
/* Whether what was restored belongs to another identity: with its keys we could be linked to it by everybody. */
bool node_foreign(const struct node *n);
/* Notes whose state it is, unless the note was restored: see node_foreign(). */
void node_saved_owner(struct node *n);
/* A new onion key of the relay in the free |slot|, saved so that descriptors stay good over a restart. */
QUDAG_MUST_USE qudag_err node_saved_make_onion_key(struct node *n, unsigned slot, walltime made);
/* The file of the key in |slot| is removed. */
void node_saved_forget_onion_key(struct node *n, unsigned slot);

/* Registers when onion keys are looked at. */
QUDAG_MUST_USE qudag_err node_rotation_init(struct node *n);
/*
 * Whether the owner may have the current key replaced now.  Two generations live: while the one before it (|old|) does,
 * a third would end it, and with it the circuits of whoever knows an older descriptor only; |at_once|: he wants that.
 */
bool node_rotation_may(bool old, bool at_once);
/*
 * Replaces the relay's onion key before it is due, by the will of its owner.  ESTATE: node_rotation_may() says no;
 * |at_once|: the one before it and the current one go at once.  EUNSUPPORTED: we are no relay.
 */
QUDAG_MUST_USE qudag_err node_rotation_asked(struct node *n, bool at_once);
/* The onion keys: for the owner to look at. */
const struct node_onion_keys *node_rotation_keys(const struct node *n);
/* When the key in |slot| is replaced or wiped, by the calendar. */
walltime node_rotation_until(const struct node *n, unsigned slot);
/* Makes, replaces and drops the relay's onion keys as is due now; an error when it has none after it. */
QUDAG_MUST_USE qudag_err node_rotation_run(struct node *n);
/* Saves the keys of a dark address, with the number of its last record; what hooks.save says. */
QUDAG_MUST_USE qudag_err node_saved_dark_keys(struct node *n, const struct dark_keys *k);
/* Removes them, those of its service, and the note that the address is to be published. */
void node_saved_forget_dark_keys(struct node *n, const struct dark_addr *a);
/* The handshake keys of a hidden service, as hidden_serve_save() wrote them; what hooks.save says. */
QUDAG_MUST_USE qudag_err node_saved_service_keys(struct node *n, const struct dark_addr *a,
                                                 struct slice bytes);
/* The secret that lets us call |a|; NULL: none any more.  What hooks.save says. */
QUDAG_MUST_USE qudag_err node_saved_authorization(struct node *n, const struct dark_addr *a,
                                                  const uint8_t *secret);
/* Whether |a| is to be published again after a restart. */
void node_saved_published(struct node *n, const struct dark_addr *a, bool on);
/* The guards, when they changed; |all|: also what may wait, such as counters. */
void node_saved_guards(struct node *n, bool all);
/* node.desc_seq, before a descriptor with it leaves. */
void node_saved_desc_seq(struct node *n);
/* node.record_seq, before a signed peer record with it leaves. */
void node_saved_record_seq(struct node *n);
/* What changed in the DHT goes to hooks.persist: before anything that depends on it can leave. */
void node_saved_dht(struct node *n, tstamp now);
/* What peers have newly proven, in the same way. */
void node_saved_pins(struct node *n);
/* Some contacts of the routing table, to begin with at the next start. */
void node_saved_anchors(struct node *n, tstamp now);

#define NODE_SAVED_DARK "dark-" /* names of keys of dark addresses begin with it */
/*
 * Passes |bytes| to hooks.save under |name| (empty: it is removed); what that says.  A failure is logged, and so is,
 * once, that a program keeps nothing.
 */
QUDAG_MUST_USE qudag_err node_save(struct node *n, const char *name, struct slice bytes);

#endif
