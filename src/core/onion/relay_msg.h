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

#define RELAY_PAYLOAD 1103  /* of a cell body, after the tag */
#define RELAY_MSGS_MAX 32   /* messages in one cell */
#define RELAY_MSG_MAX 4096  /* a message put together from fragments */
#define RELAY_FRAG_HEAD 4   /* total u16 | offset u16 */
#define RELAY_HEAD 3        /* type, length */
#define RELAY_STREAM_HEAD 5 /* type, length, stream */
#define RELAY_PROTO_MAX 128 /* protocol id in BEGIN */
#define CLEAR_FRAG_MAX (ONION_BODY_LEN - RELAY_FRAG_HEAD)

enum cell_class {
    CELL_CREATE = 1,
    CELL_CREATED = 2,
    CELL_RELAY = 3,
    CELL_PADDING = 4,
    CELL_DESTROY = 5,
};

enum relay_type {
    RELAY_END = 0,       /* no more messages in this cell */
    RELAY_EXTEND = 1,    /* fragment of an EXTEND */
    RELAY_EXTENDED = 2,  /* fragment of a CREATED */
    RELAY_TRUNCATED = 3, /* reason: the hop behind the sender is gone */
    RELAY_SENDME = 4,    /* tag of the cell that completes another 64 */
    RELAY_BEGIN = 5,     /* protocol id */
    RELAY_CONNECTED = 6,
    RELAY_DATA = 7,
    RELAY_FIN = 8,
    RELAY_RESET = 9,   /* reason */
    RELAY_CREDIT = 10, /* u32: bytes the reader took */
};

struct relay_msg {
    uint8_t type;
    uint16_t stream; /* 0: the type has none */
    struct slice data;
};

/* 1: a message; 0: no more; -1: malformed. */
int relay_msg_next(struct rd *r, struct relay_msg *m);

/* Whether messages of |type| belong to a stream; these count against the circuit window. */
bool relay_type_is_stream(uint8_t type);

void relay_msg_put(struct wr *w, uint8_t type, uint16_t stream, struct slice data);

/*
 * Reasons on the wire, of DESTROY, TRUNCATED and RESET: each qudag_err has one of its own, and back.
 * What is no error, or no reason, is taken for a reset.  SPEC: onion 5.4.
 */
uint8_t reason_of(qudag_err err);
qudag_err reason_err(uint8_t reason);

/* One message being put together from fragments that arrive in order. */
struct assembly {
    struct mem *mem;
    uint8_t *p;
    size_t total, have;
};
void assembly_init(struct assembly *a, struct mem *mem);
void assembly_fini(struct assembly *a);
/*
 * |frag| is total | offset | bytes.  *done once all bytes are there.  QUDAG_EMALFORMED, ENOMEM.
 * |clear|: the fragment fills a cell of its own, zero padding included.
 */
QUDAG_MUST_USE qudag_err assembly_add(struct assembly *a, struct slice frag, size_t max, bool clear,
                                      bool *done);

struct extend {
    struct peer_id peer;
    uint8_t n_addrs;
    struct multiaddr addr[ONION_ADDRS_MAX];
    struct slice create; /* borrowed */
};
void extend_put(struct wr *w, const struct extend *e);
QUDAG_MUST_USE qudag_err extend_get(struct slice bytes, struct extend *e);

#endif
