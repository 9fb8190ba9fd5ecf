/*
 * relay_msg.h - messages inside cells: packing, fragments, EXTEND (spec/onion.md 5).
 *
 *   message: type u8 | length u16 | [stream u16] | data      several per cell, the rest zero
 */
#ifndef QUDAG_SRC_CORE_ONION_RELAY_MSG_H
#define QUDAG_SRC_CORE_ONION_RELAY_MSG_H

#include "base/mem.h"
#include "base/rd.h"
#include "base/wr.h"
#include "core/onion/onion.h"

#define ONION_NEED (LINK_PQ_KEX | LINK_PQ_AUTH | LINK_QUDAG) /* of links that carry cells */
#define ONION_RELAY_PAYLOAD 1103                             /* of a cell body, after the tag */
#define ONION_RELAY_MSGS_MAX 32                              /* messages in one cell */
#define ONION_RELAY_FRAG_HEAD 4                              /* total u16 | offset u16 */
#define ONION_RELAY_HEAD 3                                   /* type, length */
#define ONION_RELAY_STREAM_HEAD 5                            /* type, length, stream */
#define ONION_RELAY_PROTO_MAX 128                            /* protocol id in BEGIN */
#define ONION_CLEAR_FRAG_MAX (ONION_BODY_LEN - ONION_RELAY_FRAG_HEAD)
#define ONION_RELAY_FRAG_MAX (ONION_RELAY_PAYLOAD - ONION_RELAY_HEAD - ONION_RELAY_FRAG_HEAD)
#define ONION_EXTEND_CELLS 3 /* every EXTEND takes as many: relays count them */
#define ONION_EXTEND_LEN (ONION_EXTEND_CELLS * ONION_RELAY_FRAG_MAX)

enum onion_cell_class {
    ONION_CELL_CREATE = 1,
    ONION_CELL_CREATED = 2,
    ONION_CELL_RELAY = 3,
    ONION_CELL_PADDING = 4,
    ONION_CELL_DESTROY = 5,
    ONION_CELL_EARLY = 6, /* as RELAY, forward only, few: with an EXTEND */
};

enum onion_relay_type {
    ONION_RELAY_END = 0,       /* no more messages in this cell */
    ONION_RELAY_EXTEND = 1,    /* fragment of an EXTEND */
    ONION_RELAY_EXTENDED = 2,  /* fragment of a CREATED */
    ONION_RELAY_TRUNCATED = 3, /* reason: the hop behind the sender is gone */
    ONION_RELAY_SENDME = 4,    /* tag of the cell that completes another 64 */
    ONION_RELAY_BEGIN = 5,     /* protocol id */
    ONION_RELAY_CONNECTED = 6,
    ONION_RELAY_DATA = 7,
    ONION_RELAY_FIN = 8,
    ONION_RELAY_RESET = 9,   /* reason */
    ONION_RELAY_CREDIT = 10, /* u32: bytes the reader took */
};

struct onion_relay_msg {
    uint8_t type;
    uint16_t stream; /* 0: the type has none */
    struct slice data;
};

/* 1: a message; 0: no more; -1: malformed. */
int onion_relay_msg_next(struct rd *r, struct onion_relay_msg *m);

/* Whether messages of |type| belong to a stream; these count against the circuit window. */
bool onion_relay_type_is_stream(uint8_t type);

/* Writes a message; |stream| counts only for types that belong to one.  No room: w->err. */
void onion_relay_msg_put(struct wr *w, uint8_t type, uint16_t stream, struct slice data);

/*
 * Reasons on the wire, of DESTROY, TRUNCATED and RESET: each qudag_err has one of its own, and back.
 * What is no error, or no reason, is taken for a reset.  SPEC: onion 5.4.
 */
uint8_t onion_reason_of(qudag_err err);
/* The error that a reason on the wire stands for. */
qudag_err onion_reason_err(uint8_t reason);
/*
 * The error of a circuit that another node ended for |reason|.  That node's cancellation, lack of memory or
 * mistake must not look like ours: ERESET, or ELIMIT for its lack of memory.
 */
qudag_err onion_reason_heard(uint8_t reason);

/* One message being put together from fragments that arrive in order. */
struct onion_assembly {
    struct mem *mem;
    uint8_t *p;
    size_t total, have;
};
/* An assembly without bytes; memory is taken with the first fragment. */
void onion_assembly_init(struct onion_assembly *a, struct mem *mem);
/* Frees what came so far; the assembly may be used again. */
void onion_assembly_fini(struct onion_assembly *a);
/*
 * |frag| is total | offset | bytes; all but the last are as long as a cell lets them.  *done once all bytes are there.
 * QUDAG_EMALFORMED, ENOMEM.  |clear|: the fragment fills a cell of its own, zero padding included.
 */
QUDAG_MUST_USE qudag_err onion_assembly_add(struct onion_assembly *a, struct slice frag, size_t max,
                                            bool clear, bool *done);

struct onion_extend {
    struct onion_hop to; /* its peer; with |ends| what its statement says */
    bool
        ends; /* it is no relay, and carries its statement that it ends circuits (wire/onion_ends.h) */
    struct slice create; /* borrowed */
};
/* Writes an EXTEND: peer, statement, CREATE; zeros up to ONION_EXTEND_LEN. */
void onion_extend_put(struct wr *w, const struct onion_extend *e);
/* Reads one of ONION_EXTEND_LEN bytes; e->create borrows from |bytes|.  QUDAG_EMALFORMED. */
QUDAG_MUST_USE qudag_err onion_extend_get(struct slice bytes, struct onion_extend *e);

#endif
