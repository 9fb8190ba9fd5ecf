/*
 * admission.h - which circuits of others there may be, and whose CREATE is answered next.
 *
 *   stream ─▶ a place, of the neighbour and its network ─ CREATE ─▶ the queue ─ its turn ─▶ the handshake
 *   EXTEND ─▶ a place on the link to the next hop ─▶ the window of that link ─▶ its CREATE goes out
 *
 * Places are few and cost nothing to take: when they run out, somebody gives way (onion_rule_gives_way).  Handshakes
 * cost a fifth of a millisecond each: when more are wanted than we make, networks take turns, then neighbours.  So
 * nobody gets less than an equal share by what others do (doc/decisions/0018).
 */
#ifndef QUDAG_SRC_CORE_ONION_ADMISSION_H
#define QUDAG_SRC_CORE_ONION_ADMISSION_H

#include "base/fair.h"
#include "core/core.h"

struct onion;
struct onion_circuit;

/*
 * A link has 2048 streams (quic.h).  Circuits have 1280 of them at the most, whoever opens them; the rest is for the
 * DHT, identify, ping and programs.  All circuits of a hidden service begin on the link to its guard: 1024 that carry
 * one to a caller, 128 that are being built, and some (doc/decisions/0055).  We replace circuits of others before they
 * have all of them, so that our own find room.  What the acceptor allows beyond covers streams whose end it has not
 * seen yet.
 */
#define ONION_LINK_OUT_MAX 1280      /* circuits that we open on the links to one peer */
#define ONION_LINK_RELAYED_MAX 1216  /* of these, circuits of others */
#define ONION_LINK_IN_MAX 1344       /* that one peer may open to us: the swarm refuses more */
#define ONION_LINK_CIRCUITS_MAX 1280 /* and from here on its own idle ones give way */
#define ONION_LINK_CREATES_MAX 32    /* of these, with an unfinished CREATE */
#define ONION_LINK_WINDOW 16         /* CREATEs on their way to one next hop; less than it bears */
#define ONION_UNUSED_AFTER (60 * NS_PER_S) /* a circuit without data by then was not needed */
#define ONION_QUIET_AFTER                                                                          \
    (60 * NS_PER_S) /* nor one without a cell for so long, when room is scarce */
#define ONION_CREATE_WAIT (2 * NS_PER_S) /* in the queue; whoever waited longer has given up */
#define ONION_CREATE_GAP                                                                           \
    (NS_PER_S / 600) /* between handshakes for one neighbour, in the long run */
#define ONION_CREATE_GAP_NET (NS_PER_S / 700) /* and for all of one network */
#define ONION_CREATE_AHEAD NS_PER_S           /* that of it may be used at once */
#define ONION_BAD_CREATE_TURNS 2 /* that a CREATE which does not open costs its neighbour more */

/* How much is lost with a circuit; the least gives way first. */
enum onion_worth {
    ONION_WORTH_CLOSING, /* it is over, and only its streams are not */
    ONION_WORTH_UNUSED,  /* never a cell of data in its first ONION_UNUSED_AFTER */
    ONION_WORTH_QUIET,   /* no cell for ONION_QUIET_AFTER */
    ONION_WORTH_BUSY,
};

struct onion_habits {
    bool closing, used;
    uint64_t age_ns, idle_ns;
};

enum onion_worth onion_rule_worth(const struct onion_habits *h);
/* Whether of two circuits of one holder |a| goes rather than |b|: the one worth less, then the longer idle. */
bool onion_rule_goes_first(const struct onion_habits *a, const struct onion_habits *b);
/*
 * Whether the holder's circuit is ended for one more of the newcomer's.  One that is in use goes only if the holder
 * has more than |share| of the places and keeps as many as the newcomer; a newcomer may always replace what is of no
 * use among its own.
 */
bool onion_rule_gives_way(enum onion_worth worth, const struct fair_claim *holder,
                          const struct fair_claim *newcomer, uint32_t share);

/* Whether somebody has a handshake at |now| whose handshakes until now are paid for at |owed|. */
bool onion_rule_create_due(tstamp owed, tstamp now);
/* When they are with one more, at one in |gap|. */
tstamp onion_rule_create_owed(tstamp owed, uint64_t gap, tstamp now);

/* What a circuit holds in memory beyond itself. */
struct onion_bulk {
    uint64_t queued; /* bytes that have not left, or were not taken */
    uint64_t age_ns;
};

/* Whether |a| is ended rather than |b| when memory is short: the one with more queued, of equals the younger. */
bool onion_rule_sheds_first(const struct onion_bulk *a, const struct onion_bulk *b);

/* The circuits that go on to one peer. */
struct onion_onward {
    struct peer_id peer;
    struct fair held; /* by previous hop; those whose CREATE is on its way are at work */
};

/* Ends the circuit now, without waiting for the other sides of its streams. */
void onion_end_now(struct onion_circuit *c, struct acts *out);
/* A stream that a neighbour opened: a circuit in its first phase, or an error to reset it with. */
QUDAG_MUST_USE qudag_err onion_admit(struct onion *o, const struct ev *ev, struct acts *out);

/* The circuit shall go on to c->next.peer: onion_circuit.may_dial when the window lets it.  ELIMIT, ENOMEM. */
QUDAG_MUST_USE qudag_err onion_onward_start(struct onion_circuit *c, struct acts *out);

/* ---- create.c ---- */

/* A fragment of the circuit's CREATE, which is answered in its turn.  Any error ends the circuit. */
QUDAG_MUST_USE qudag_err onion_create_add(struct onion_circuit *c, struct slice frag,
                                          struct acts *out);
/* Answers CREATEs whose turn it is, while the rate allows. */
void onion_creates_serve(struct onion *o, struct acts *out);
/* When onion_creates_serve() can do something, if nothing else happens. */
tstamp onion_creates_at(const struct onion *o);

/* ---- places.c ---- */

/* The CREATE of this circuit is done with, one way or the other: its neighbour may begin another. */
void onion_create_finished(struct onion_circuit *c);
/* Lets those dial whose turn it is, as far as the window allows. */
void onion_onward_serve(struct onion_onward *to);
/* The CREATE that went on was answered, or will not be: the next one that waits may dial. */
void onion_onward_answered(struct onion_circuit *c);
/* Forgets a next hop that no circuit goes to. */
void onion_onward_put(struct onion *o, struct onion_onward *to);
/* The circuit is about to be freed: its places are, too. */
void onion_places_free(struct onion_circuit *c);
void onion_admission_init(struct onion *o, const uint8_t seed[16]);
void onion_admission_fini(struct onion *o); /* no circuit is left */

#endif
