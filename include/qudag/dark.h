/*
 * dark.h - dark addresses, direct kind: callers stay hidden from the service and from the network;
 * the service is known (peer id and network address) to whoever holds its address.
 */
#ifndef QUDAG_DARK_H
#define QUDAG_DARK_H

#include <qudag/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Makes keys, saves them (callback save) and writes the address as text. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_dark_create(qudag_node *n, const char *label,
                                                     char addr[QUDAG_DARK_TEXT_MAX]);
/* Publishes, and again before each expiry.  result.count: nodes that stored the record. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_dark_publish(qudag_node *n, const char *addr,
                                                      qudag_op *op);
/* Withdraws the record and destroys the keys. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_dark_forget(qudag_node *n, const char *addr, qudag_op *op);
/* Fetches and checks the record through a circuit. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_dark_resolve(qudag_node *n, const char *addr,
                                                      qudag_op *op);
/* Resolves, builds a circuit that ends at the service, opens a stream.  stream_opened follows, or
 * stream_closed.  A circuit to the same address that is open is used again. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_dark_open(qudag_node *n, const char *addr,
                                                   const char *proto, qudag_stream *out);

/* QUDAG_EMALFORMED, QUDAG_ECHECKSUM (a typing error), QUDAG_EUNSUPPORTED; needs no node. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_dark_check(const char *addr);

/* A dark address of this node. */
typedef struct qudag_dark_info {
    uint32_t size;  /* set by the caller, see types.h */
    bool published; /* its record was stored and has not expired */
    uint8_t pad[3];
    int64_t created, until; /* seconds since 1970; until: end of the published record, 0: none */
    char addr[QUDAG_DARK_TEXT_MAX];
    char label[QUDAG_DARK_LABEL_MAX + 8];
} qudag_dark_info;
/* The dark addresses of this node, one after the other; false at the end.  *it starts at 0. */
QUDAG_API bool qudag_dark_next(const qudag_node *n, size_t *it, qudag_dark_info *out);

#ifdef __cplusplus
}
#endif
#endif
