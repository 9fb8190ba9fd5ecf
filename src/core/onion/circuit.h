/*
 * circuit.h - what the files of this folder share: the onion object, circuits and their legs.
 *
 *              prev leg              next leg
 *   client:      -        ┌───────┐  ──▶ hop 1
 *   relay:   ◀── client's │circuit│  ──▶ next hop
 *   end:     ◀── side     └───────┘     -
 *
 * A circuit is freed only by onion_reap(), at the end of a call into the core: nothing disappears
 * while it is being worked on.
 */
#ifndef QUDAG_SRC_CORE_ONION_CIRCUIT_H
#define QUDAG_SRC_CORE_ONION_CIRCUIT_H

#include "base/dyn.h"
#include "base/heap.h"
#include "base/limiter.h"
#include "base/list.h"
#include "base/map.h"
#include "base/slots.h"
#include "core/onion/admission.h"
#include "core/onion/hop.h"
#include "core/onion/pace.h"
#include "core/onion/relay_msg.h"
#include "core/onion/streams.h"

#define ONION_CREATE_TIMEOUT (5 * NS_PER_S)   /* from the stream to a whole CREATE */
#define ONION_EXTEND_TIMEOUT (10 * NS_PER_S)  /* at a relay, from EXTEND to CREATED */
#define ONION_CLOSE_TIMEOUT (5 * NS_PER_S)    /* for the other side's FIN */
#define ONION_LEG_PAUSE_AT (128u * 1024)      /* bytes queued onward: stop reading */
#define ONION_LEG_RESUME_AT (64u * 1024)      /* read again */
#define ONION_LEG_QUEUE_MAX (256u * 1024)     /* at an end: make no more cells */
#define ONION_LEG_HELD_MAX (4u * 1024 * 1024) /* received and waiting for room in the action list */
#define ONION_LEG_SPARE_MAX 4096u             /* bytes of the buffer passed from leg to leg */
#define ONION_ENDING 16     /* circuits that gave way in a call, and are freed at its end */
#define ONION_RUN_CELLS 16  /* most of a burst that lie in memory of their own */
#define ONION_RUN_MIN 4     /* fewer are made in the action list, and copied from there */
#define ONION_TURN_CELLS 64 /* made for one circuit before others have their turn */
#define ONION_TURN_ACTS                                                                            \
    384 /* room to leave in the list for what one cell, or the end of a burst, can do */
#define ONION_TURN_BYTES (56u * 1024)

_Static_assert(ONION_STREAMS_MAX + 64 <= ONION_TURN_ACTS && ONION_TURN_ACTS < ACTS_ROOM &&
                   (ONION_STREAMS_MAX + 64) * (sizeof(struct link_ev) + 16) <= ONION_TURN_BYTES,
               "each stream may have something to report at the end of a burst");

enum onion_phase {
    ONION_PH_DIAL,      /* client: waiting for the stream to hop 1 */
    ONION_PH_CREATE,    /* client: CREATE sent */
    ONION_PH_EXTEND,    /* client: EXTEND sent */
    ONION_PH_STEM,      /* client: all hops there but the last, which is not known yet */
    ONION_PH_READY,     /* client: all hops there */
    ONION_PH_ACCEPT,    /* relay: waiting for CREATE */
    ONION_PH_END,       /* relay: keyed, the circuit ends here */
    ONION_PH_DIAL_NEXT, /* relay: waiting for the owner's word, then for the stream to the next hop */
    ONION_PH_WAIT_NEXT, /* relay: waiting for CREATED */
    ONION_PH_REFUSING,  /* relay: the EXTEND failed, and the client learns it later */
    ONION_PH_RELAY,     /* relay: passing cells on */
    ONION_PH_CLOSING,   /* DESTROY sent, waiting for the streams to end; keys are gone */
};

struct onion_circuit;

/* One stream of a circuit. */
struct onion_leg {
    struct onion_circuit *c;
    struct ref strm; /* gen 0: none */
    struct peer_id peer;
    struct dyn in;            /* a part of a cell, or cells that found no room in the action list */
    struct onion_tally tally; /* of its cells: padding, and all others */
    uint64_t queued;          /* bytes written that have not left */
    uint64_t unconsumed;      /* bytes processed and not yet consumed */
    bool opening;             /* ACT_OPEN is out */
    bool fin_sent, fin_received;
    bool paused;    /* the other leg's queue is long: this one is not read */
    bool destroyed; /* it sent DESTROY: no answer is due */
};

struct onion_client {
    struct onion_hop *plan; /* n_wanted; NULL once built, also of a stem */
    struct onion_hs_client hs;
    uint8_t n_wanted;
    struct peer_id path[ONION_HOPS_MAX];
};

struct onion_circuit {
    struct onion *o;
    struct ref ref;
    enum onion_role role;
    enum onion_phase phase;
    struct heap_node timer;
    struct list work; /* in onion.work: has something to do at once */
    struct list dead; /* in onion.dead */
    tstamp since, active_at, phase_at;
    tstamp build_at; /* client: when it was begun to be built, or a stem to be completed */
    tstamp fails_at; /* relay: when a failure of its EXTEND is told */
    uint64_t build_ns, tag, cells_fwd, cells_back;
    uint32_t early;    /* relay: EARLY cells passed on */
    uint64_t net, via; /* of |prev|: its network, and our name for it */
    struct onion_leg prev, next;
    struct fair_item place;  /* in onion.held: what |prev| holds; at work while its CREATE is */
    struct onion_onward *to; /* behind |next|, of a circuit of others; NULL: none */
    struct fair_item onward; /* in to->held */
    struct onion_assembly from_prev; /* CREATE, EXTEND */
    struct onion_assembly from_next; /* CREATED; at the client also EXTENDED */
    struct onion_hops hops;
    struct onion_client *client;
    struct onion_mux *mux; /* at the two ends, once open */
    /* spec/rendezvous.md 4; each is NULL, or points back at us. */
    struct onion_circuit
        *joined; /* a relay's: what this circuit does not recognise goes into that one */
    struct onion_circuit
        *carried; /* runs through this one of ours, and one that is joined with it */
    struct onion_circuit *carrier; /* of a carried one, which has no legs of its own */
    bool waits;                    /* ACCEPT: the CREATE is whole, and in the queue */
    bool may_dial;                 /* DIAL_NEXT: it is its turn in the window of the next hop */
    bool used;                     /* a cell of data passed */
    bool reported; /* ONION_UP_INBOUND or onion_build() made it known to the owner */
};

struct onion_keyring {
    struct onion_key key;
    struct mlkem_key *dk;
};

struct onion {
    struct onion_config cfg;
    bool has_former; /* onion_former() */
    uint8_t former_pq_hash[32];
    struct slots circuits;
    struct map legs;    /* stream ref -> leg */
    struct map onwards; /* peer id -> the circuits that go on to it */
    struct fair held;   /* circuits of others, by who opened them; the queue of their CREATEs */
    struct heap timers;
    struct list work, dead;
    uint64_t names[2]; /* key under which neighbours are given names */
    struct limiter creates;
    tstamp creates_at;                          /* none of those that wait has a handshake before */
    struct dyn spare;                           /* empty, but has capacity */
    struct onion_keyring *keys[ONION_KEYS_MAX]; /* each on its own: a relay has two */
    size_t keys_n;
    struct onion_pace pace; /* of the hops of our circuits */
    struct onion_stats stats;
    tstamp now;                 /* of the call */
    size_t mine;                /* actions before it belong to others */
    struct onion_run *run;      /* of the burst that is being made; NULL: none */
    size_t acts_end, bytes_end; /* where this call's share of the list ends */
};

/* ---- leg.c: streams below a circuit, cells on them, the end of a circuit ---- */

/* Every call from outside begins and ends with these: room in the action list is shared out, what died is freed. */
void onion_turn_begin(struct onion *o, tstamp now, const struct acts *out);
void onion_turn_end(struct onion *o); /* frees what died in this call */
/* Whether what one more cell can do still fits into this call's share of the action list. */
bool onion_has_room(const struct onion *o, const struct acts *out);
/* The circuit has something to do at once: the next tick will see to it. */
void onion_circuit_wants_turn(struct onion_circuit *c);
/* Sets the timer by the phase and by when it began. */
void onion_circuit_arm(struct onion_circuit *c);
void onion_circuit_touch(struct onion_circuit *c); /* a cell passed: the idle time starts again */
/* Begins a phase, and its time. */
void onion_circuit_enter(struct onion_circuit *c, enum onion_phase phase);

/* |strm| is the stream of the leg from now on.  ENOMEM, ELIMIT. */
QUDAG_MUST_USE qudag_err onion_leg_attach(struct onion_leg *leg, struct ref strm);
/* The stream is gone: the leg has none, and its counts start again. */
void onion_leg_detach(struct onion_leg *leg);
/* Writes a cell from onion_cell_take() to the stream of the leg. */
void onion_leg_put(struct onion_leg *leg, uint8_t *cell, struct acts *out);
/* Sends |msg| as a cell of a class without encryption, zero-padded. */
void onion_leg_send_message(struct onion_leg *leg, uint8_t class, struct slice msg,
                            struct acts *out);
void onion_leg_received(struct onion_leg *leg, size_t len,
                        struct acts *out); /* processed: consume, or pause */
void onion_leg_left(struct onion_leg *leg, uint64_t n, struct acts *out); /* EV_WRITABLE */
/* Asks for a stream to leg->peer, at up to |n| addresses; the action, never NULL. */
struct act *onion_leg_dial(struct onion_leg *leg, const struct multiaddr *addrs, size_t n,
                           struct acts *out);

/* A cell of our own, of class RELAY unless the caller changes that: payload to |w|, then seal. */
uint8_t *onion_circuit_cell_open(struct wr *w, struct acts *out);
/* Encrypts the cell for the other end and sends it; its tag, that a SENDME will carry, goes to |ack|. */
void onion_circuit_cell_seal(struct onion_circuit *c, uint8_t *cell, const struct wr *w,
                             uint8_t ack[CGO_TAG_LEN], struct acts *out);
/* Sends |msg| as messages of |type|, as many cells as it takes, of the class that the type has. */
void onion_circuit_send_fragments(struct onion_circuit *c, uint8_t type, struct slice msg,
                                  struct acts *out);

/* Sends what the streams of the circuit have, while there is room; false: more remains. */
bool onion_circuit_pump(struct onion_circuit *c, struct acts *out);

/* The messages of a cell that was for us and came from |hop| (0: the first, or our client).  Any error destroys the
 * circuit. */
QUDAG_MUST_USE qudag_err onion_circuit_stream_messages(struct onion_circuit *c, size_t hop,
                                                       struct slice payload,
                                                       const uint8_t ack[CGO_TAG_LEN],
                                                       struct acts *out);
/* A cell from |hop| without a message.  EPROTO: one too many. */
QUDAG_MUST_USE qudag_err onion_circuit_says_nothing(struct onion_circuit *c, size_t hop);

/*
 * Ends a circuit in both directions.  |from|: the leg that failed, or NULL; |hop|: for the owner.
 */
void onion_circuit_fail(struct onion_circuit *c, qudag_err err, const struct onion_leg *from,
                        unsigned hop, struct acts *out);
void onion_circuit_settle(struct onion_circuit *c); /* closing, and both streams ended: dead */
/* A circuit in its first phase, owned by o->circuits.  ELIMIT, ENOMEM. */
QUDAG_MUST_USE qudag_err onion_circuit_new(struct onion *o, enum onion_role role, tstamp now,
                                           struct onion_circuit **out);
/* Frees a dead circuit and wipes its keys. */
void onion_circuit_free(struct onion_circuit *c);

/* ---- client.c ---- */

/* The stream to hop 1 is open: CREATE goes out. */
void onion_client_connected(struct onion_circuit *c, struct acts *out);
/* EXTEND to the last hop of a stem.  ENOMEM: nothing happened. */
QUDAG_MUST_USE qudag_err onion_client_complete(struct onion_circuit *c,
                                               const struct onion_hop *last, struct acts *out);
/* A cell from hop 1; decrypts and handles what is for us. */
void onion_client_cell(struct onion_circuit *c, const uint8_t *cell, struct acts *out);
/*
 * The messages of a cell of hop |hop|, open.  Any error destroys the circuit; |*broken| is the hop to blame then.
 */
QUDAG_MUST_USE qudag_err onion_client_messages(struct onion_circuit *c, size_t hop,
                                               struct slice payload, const uint8_t ack[CGO_TAG_LEN],
                                               unsigned *broken, struct acts *out);

/* ---- relay.c ---- */

/* A cell from the client's side: for us, or passed on. */
void onion_relay_cell_from_prev(struct onion_circuit *c, const uint8_t *cell, struct acts *out);
/* A cell from the next hop: encrypted once more and passed back. */
void onion_relay_cell_from_next(struct onion_circuit *c, const uint8_t *cell, struct acts *out);

/* The messages of a cell of |class| that was for us, open; from our client.  Any error destroys the circuit. */
QUDAG_MUST_USE qudag_err onion_relay_messages(struct onion_circuit *c, uint8_t class,
                                              struct slice payload, const uint8_t ack[CGO_TAG_LEN],
                                              struct acts *out);

/* ---- carried.c ---- */

/* A body that no hop of the carrier recognised: opened, and handled as one of |c|, which it carries. */
void onion_carried_cell(struct onion_circuit *c, uint8_t *cell, struct acts *out);

/* ---- bound.c ---- */

/* Sends a cell that |c| sealed through the hops of its carrier. */
void onion_carried_put(struct onion_circuit *c, uint8_t *cell, struct acts *out);
/* A cell that was not for us, on a circuit that is joined: into the other one.  false: it may not. */
bool onion_joined_pass(struct onion_circuit *c, uint8_t *cell, struct acts *out);
/* The circuit is over: so is what is bound to it. */
void onion_bound_end(struct onion_circuit *c, qudag_err err, struct acts *out);
/* It is about to be freed: nothing points at it any more. */
void onion_bound_forget(struct onion_circuit *c);

/* ---- extend.c ---- */

/* EXTEND has come, whole: the owner is asked. */
void onion_extend_start(struct onion_circuit *c, struct acts *out);
/* The stream to the next hop is open: its CREATE goes out. */
void onion_extend_connected(struct onion_circuit *c, struct acts *out);
/* It has its turn: the stream to the next hop is asked for. */
void onion_extend_dial(struct onion_circuit *c, struct acts *out);

#endif
