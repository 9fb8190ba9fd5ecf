/* types.h - values that cross the interface. */
#ifndef QUDAG_TYPES_H
#define QUDAG_TYPES_H

#include <qudag/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef uint64_t qudag_ns; /* a duration or a monotonic instant, nanoseconds */
#define QUDAG_MS ((qudag_ns)1000000)
#define QUDAG_S (1000 * QUDAG_MS)

/* Borrowed bytes. */
typedef struct qudag_slice {
    const uint8_t *base;
    size_t len;
} qudag_slice;

#define QUDAG_PEER_ID_MAX 44      /* a 42-byte key inlined in its multihash */
#define QUDAG_PEER_ID_TEXT_MAX 64 /* with NUL */
#define QUDAG_PQ_HASH_LEN 32
#define QUDAG_ADDR_TEXT_MAX 384 /* a multiaddr as text, with NUL */
#define QUDAG_DARK_TEXT_MAX 136 /* a dark address as text, with NUL */
#define QUDAG_DARK_LABEL_MAX 32 /* bytes, without NUL */
#define QUDAG_HOPS_MAX 8

/* A libp2p peer id: the multihash bytes; bytes past len are zero. */
typedef struct qudag_peer_id {
    uint8_t len;
    uint8_t bytes[QUDAG_PEER_ID_MAX];
} qudag_peer_id;

/* Handles are values.  Using one after its object died yields QUDAG_ESTALE.  id 0 names nothing. */
typedef struct qudag_stream {
    uint64_t id;
} qudag_stream;
typedef struct qudag_circuit {
    uint64_t id;
} qudag_circuit;
typedef struct qudag_op {
    uint64_t id; /* one pending request */
} qudag_op;

/* The allocator a program may supply, 16-byte aligned like malloc's; on the node's thread only. */
typedef struct qudag_mem {
    void *ctx;
    void *(*alloc)(void *ctx, size_t size);
    void (*free)(void *ctx, void *ptr);
} qudag_mem;

typedef enum qudag_log_level {
    QUDAG_LOG_ERROR,
    QUDAG_LOG_WARN,
    QUDAG_LOG_INFO,
    QUDAG_LOG_DEBUG
} qudag_log_level;

/* Who may see a logged field. */
typedef enum qudag_log_class {
    QUDAG_LOG_PUBLIC,    /* may always be printed */
    QUDAG_LOG_NETWORK,   /* addresses and peer ids: only when the operator asks */
    QUDAG_LOG_SENSITIVE, /* circuit ids, dark addresses, timing: never in production */
} qudag_log_class;

typedef struct qudag_log_field {
    const char *name;
    qudag_log_class cls;
    const char *text; /* NULL: the value is |num| */
    int64_t num;
} qudag_log_field;

/* A structured record; borrowed for the time of the call. */
typedef struct qudag_log_record {
    qudag_log_level level;
    const char *event; /* "kad.query.done" */
    size_t n;
    const qudag_log_field *fields;
} qudag_log_record;

typedef struct qudag_identity qudag_identity;
typedef struct qudag_node qudag_node;

#ifdef __cplusplus
}
#endif
#endif
