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
#include "core/onion/hop.h"
#include "core/onion/relay_msg.h"
#include "core/onion/streams.h"

#define ONION_KEYS_MAX 16
#define ONION_LINK_CIRCUITS_MAX 256 /* one neighbour may have through us */
#define ONION_LINK_CREATES_MAX 32   /* of these, with an unfinished CREATE */
#define ONION_NEED (LINK_PQ_KEX | LINK_PQ_AUTH | LINK_QUDAG)
#define ONION_CREATE_TIMEOUT (5 * NS_PER_S)  /* from the stream to a whole CREATE */
#define ONION_EXTEND_TIMEOUT (10 * NS_PER_S) /* at a relay, from EXTEND to CREATED */
#define ONION_CLOSE_TIMEOUT (5 * NS_PER_S)   /* for the other side's FIN */
#define ONION_NEIGHBOUR_LIFE (2 * NS_PER_S)  /* a rate limit outlives its last circuit */
#define LEG_CHOKE_AT (128u * 1024)           /* bytes queued onward: stop reading */
#define LEG_FREE_AT (64u * 1024)             /* read again */
#define LEG_QUEUE_MAX (256u * 1024)          /* at an end: make no more cells */
#define LEG_HELD_MAX (4u * 1024 * 1024)      /* received and waiting for room in the action list */
#define LEG_SPARE_MAX 4096u                  /* bytes of the buffer passed from leg to leg */
#define TURN_CELLS 64 /* made for one circuit before others have their turn */
#define TURN_ACTS 128 /* room to leave in the list for what one cell can do */
#define TURN_BYTES (16u * 1024)

enum phase {
    PH_DIAL,      /* client: waiting for the stream to hop 1 */
    PH_CREATE,    /* client: CREATE sent */
    PH_EXTEND,    /* client: EXTEND sent */
    PH_READY,     /* client: all hops there */
    PH_ACCEPT,    /* relay: waiting for CREATE */
    PH_END,       /* relay: keyed, the circuit ends here */
    PH_DIAL_NEXT, /* relay: waiting for the stream to the next hop */
    PH_WAIT_NEXT, /* relay: waiting for CREATED */
    PH_RELAY,     /* relay: passing cells on */
    PH_CLOSING,   /* DESTROY sent, waiting for the streams to end; keys are gone */
};

struct circuit;

/* A neighbour that has circuits through us. */
struct neighbour {
    struct peer_id peer;
    struct limiter creates;
    uint32_t circuits, unfinished;
    tstamp used;
    struct list idle; /* in onion.idle while it has no circuits */
};

/* One stream of a circuit. */
struct leg {
    struct circuit *c;
    struct ref strm; /* gen 0: none */
    struct peer_id peer;
    struct dyn in;   /* a part of a cell, or cells that found no room in the action list */
    uint64_t queued; /* bytes written that have not left */
    uint64_t owed;   /* bytes processed and not yet consumed */
    bool opening;    /* ACT_OPEN is out */
    bool fin_sent, fin_received;
    bool choking;   /* the other leg's queue is long: this one is not read */
    bool destroyed; /* it sent DESTROY: no answer is due */
};

struct client {
    struct onion_hop *plan; /* n_wanted; NULL once built */
    struct hs_client hs;
    uint8_t n_wanted;
    struct peer_id path[ONION_HOPS_MAX];
};

struct circuit {
    struct onion *o;
    struct ref ref;
    enum onion_role role;
    enum phase phase;
    struct heap_node timer;
    struct list work; /* in onion.work: has something to do at once */
    struct list dead; /* in onion.dead */
    tstamp since, active_at, phase_at;
    uint64_t build_ns, tag, cells_fwd, cells_back;
    struct leg prev, next;
    struct neighbour *nb;      /* behind |prev| */
    struct assembly from_prev; /* CREATE, EXTEND */
    struct assembly from_next; /* CREATED; at the client also EXTENDED */
    struct hops hops;
    struct client *client;
    struct mux *mux; /* at the two ends, once open */
    bool unfinished; /* counted in nb->unfinished */
    bool told;       /* ONION_UP_INBOUND or onion_build() made it known to the owner */
};

struct keyring {
    struct onion_key key;
    struct mlkem_key *dk;
};

struct onion {
    struct onion_config cfg;
    struct slots circuits;
    struct map legs;       /* stream ref -> leg */
    struct map neighbours; /* peer id -> neighbour */
    struct heap timers;
    struct list work, dead, idle;
    struct limiter creates;
    struct dyn spare; /* empty, but has capacity */
    struct keyring keys[ONION_KEYS_MAX];
    size_t keys_n;
    struct onion_stats stats;
    tstamp now;                 /* of the call */
    size_t mine;                /* actions before it belong to others */
    size_t acts_end, bytes_end; /* where this call's share of the list ends */
};

/* ---- leg.c: streams below a circuit, cells on them, the end of a circuit ---- */

bool onion_has_room(const struct onion *o, const struct acts *out);
void circuit_wants_turn(struct circuit *c);
void circuit_arm(struct circuit *c);
void circuit_touch(struct circuit *c); /* a cell passed: the idle time starts anew */
void circuit_enter(struct circuit *c, enum phase phase);

QUDAG_MUST_USE qudag_err leg_attach(struct leg *leg, struct ref strm);
void leg_detach(struct leg *leg);
void leg_put(struct leg *leg, uint8_t *cell, struct acts *out);
void leg_send_message(struct leg *leg, uint8_t class, struct slice msg, struct acts *out);
void leg_received(struct leg *leg, size_t len, struct acts *out); /* processed: consume or owe */
void leg_left(struct leg *leg, uint64_t n, struct acts *out);     /* EV_WRITABLE */
void leg_dial(struct leg *leg, const struct multiaddr *addrs, size_t n, struct acts *out);

/* A relay cell of our own: payload to |w|, then seal. */
uint8_t *circuit_cell_open(struct wr *w, struct acts *out);
void circuit_cell_seal(struct circuit *c, uint8_t *cell, const struct wr *w,
                       uint8_t ack[CGO_TAG_LEN], struct acts *out);
void circuit_send_fragments(struct circuit *c, uint8_t type, struct slice msg, struct acts *out);

/* Sends what the streams of the circuit have, while there is room; false: more remains. */
bool circuit_pump(struct circuit *c, struct acts *out);

/* The messages of a cell that was for us.  Any error destroys the circuit. */
QUDAG_MUST_USE qudag_err circuit_stream_messages(struct circuit *c, struct slice payload,
                                                 const uint8_t ack[CGO_TAG_LEN], struct acts *out);

/*
 * Ends a circuit in both directions.  |from|: the leg that failed, or NULL; |hop|: for the owner.
 */
void circuit_fail(struct circuit *c, qudag_err err, const struct leg *from, unsigned hop,
                  struct acts *out);
void circuit_settle(struct circuit *c); /* closing, and both streams ended: dead */
void circuit_free(struct circuit *c);

/* ---- client.c ---- */

void client_connected(struct circuit *c, struct acts *out);
void client_cell(struct circuit *c, const uint8_t *cell, struct acts *out);

/* ---- relay.c ---- */

void relay_cell_from_prev(struct circuit *c, const uint8_t *cell, struct acts *out);
void relay_cell_from_next(struct circuit *c, const uint8_t *cell, struct acts *out);
void relay_next_connected(struct circuit *c, struct acts *out);
void relay_finished_create(struct circuit *c);

/* ---- onion.c ---- */

QUDAG_MUST_USE qudag_err circuit_new(struct onion *o, enum onion_role role, tstamp now,
                                     struct circuit **out);

#endif
