/* expose_int.h - services: what the files expose*.c share. */
#ifndef QUDAG_SRC_APP_EXPOSE_INT_H
#define QUDAG_SRC_APP_EXPOSE_INT_H

#include <qudag/expose.h>

#include "api/clients.h"
#include "api/sized.h"
#include "app/splice.h"
#include "app/tunnel.h"
#include "base/fair.h"
#include "base/list.h"

#include <uv.h>

#define EXPOSE_KEPT API_KEPT_PREFIX "expose-"
#define EXPOSE_MEMORY_MAX (256u * 1024 * 1024) /* of what waits in connections of all services */
#define EXPOSE_DIAL_MS 10000                   /* for a target to take a connection */
#define EXPOSE_ASK_NS (30 * NS_PER_S)          /* for a caller to say which port it wants */
#define EXPOSE_DENIED_NS (5 * NS_PER_S)        /* for a caller to end a stream that was denied */
#define EXPOSE_DENIED_MAX 256 /* of those, of one service; one more ends the oldest */
#define EXPOSE_FILES_REST                                                                          \
    256 /* descriptors, of those the process may open, that no connection takes */
#define EXPOSE_TICK_MS 1000
#define EXPOSE_RETRY_MIN (5 * NS_PER_S) /* before another attempt to publish, doubled each time */
#define EXPOSE_RETRY_MAX (600 * NS_PER_S)

struct expose;

/* A service as its owner wants it. */
struct expose_wish {
    char name[QUDAG_DARK_LABEL_MAX + 1];
    struct target_port port[TARGET_PORTS_MAX];
    size_t n_ports;
    uint32_t max;
    bool force, keep;
    bool
        ours; /* nobody else published its address: it is not to be found any more when the service stops */
};

struct expose_service {
    struct expose *x;
    char addr[QUDAG_DARK_TEXT_MAX];
    struct expose_wish wish;
    struct fair callers; /* sources are circuits, items its connections */
    struct list conns;
    struct list denied; /* of these, what was answered with no, the oldest first */
    size_t n_denied;
    qudag_op publishing; /* id 0: not at present */
    qudag_err publish_err;
    tstamp retry_at; /* when it is published next; TSTAMP_NEVER: the library renews it */
    tstamp retry_in;
    uint64_t accepted, answered[TUNNEL_STATUS_END], evicted;
    struct splice_moved moved; /* by connections that have ended */
};

/* All services of one node. */
struct expose {
    qudag_node *node;
    struct api_client *client;
    struct splice_pool *pool;
    struct expose_service *service[QUDAG_EXPOSE_MAX];
    size_t n_services;
    struct list
        asking; /* connections that must say which port they want in time, the oldest first */
    uv_timer_t *timer; /* frees itself when closed */
    bool ready;        /* circuits can be built */
    bool serving;      /* the protocol is ours */
    uint64_t
        files; /* descriptors that the process might open when the first service began; 0: any number */
};

/* expose.c */
/* The service at the own address |addr|; NULL: none. */
struct expose_service *expose_at(const struct expose *x, const char *addr);

/* All services of |n| share |bytes| instead of EXPOSE_MEMORY_MAX; for tests. */
void expose_memory_set(qudag_node *n, size_t bytes);

/* expose_conn.c: callbacks of the streams; see qudag_callbacks. */
void expose_stream_in(qudag_node *n, qudag_stream s, const qudag_peer_id *from, const char *dark,
                      const char *proto, void *user);
/* Likewise. */
void expose_stream_data(qudag_node *n, qudag_stream s, qudag_slice data, bool fin, void *user);
/* Likewise. */
void expose_stream_writable(qudag_node *n, qudag_stream s, void *user);
/* Likewise. */
void expose_stream_closed(qudag_node *n, qudag_stream s, qudag_err why, void *user);
/* Resets the streams that had their time. */
void expose_conns_tick(struct expose *x, tstamp now);
/* See struct splice_pool; |x| is the struct expose, |of| the connection that needs memory. */
bool expose_conns_yield(void *x, void *of, size_t need);
/* Cuts the connections of |svc|: all, or those to ports that it has no longer. */
void expose_conns_cut(struct expose_service *svc, bool all);
/* Bytes its connections moved so far, those that have ended included. */
struct splice_moved expose_conns_moved(const struct expose_service *svc);

/* expose_wish.c */
/* Reads |o|; errors and |why| as qudag_expose_check(). */
QUDAG_MUST_USE qudag_err expose_wish_read(struct expose_wish *out, const qudag_expose_options *o,
                                          char *why, size_t why_len);
#define EXPOSE_SAVED_MAX 4096
/* As it is kept on disk, at most EXPOSE_SAVED_MAX bytes; how many. */
size_t expose_wish_put(uint8_t *out, const struct expose_wish *w, const char *addr);
/* The reverse; QUDAG_EMALFORMED. */
QUDAG_MUST_USE qudag_err expose_wish_get(struct expose_wish *out, char addr[QUDAG_DARK_TEXT_MAX],
                                         struct slice in);

/* Bytes that wait in a connection, in all of its circuit, and in all of its service. */
struct expose_waiting {
    const void *service;
    uint64_t circuit; /* name, within the service */
    uint64_t of_service, of_circuit, of_conn;
};
/*
 * Whether the connection |holder| is ended when there is no memory for |need| more bytes of |newcomer|: who would still
 * hold less, by service first, then by circuit, then by connection.
 */
bool expose_gives_way(const struct expose_waiting *holder, const struct expose_waiting *newcomer,
                      uint64_t need);

/* What is held when a newcomer wants a place. */
struct expose_room {
    uint32_t of_circuit, of_service; /* connections, the first of the newcomer's circuit */
    uint32_t service_max;
    struct fair_claim most, newcomer; /* the circuit that holds most of the service, and its own */
};
enum expose_place {
    EXPOSE_TAKE,    /* there is room */
    EXPOSE_REPLACE, /* in the place of a connection of the circuit that holds most */
    EXPOSE_FULL,
};
/*
 * Whether a newcomer gets a place: no circuit has more than its share, and nobody is pushed below what others get.
 * Only the service itself is looked at, never what the node's others hold: SPEC TU-12.
 */
enum expose_place expose_place(const struct expose_room *r);
/*
 * Connections that a service may hold which wants |max|, where the node has |services| and the process may open |files|
 * descriptors (0: any number): a quarter of those, 256 at most, stays for all else.  Where descriptors lacked, callers
 * of all services would hear at once that they are full, and so that they are of one node.  At least one.
 */
uint32_t expose_connections_max(uint32_t max, size_t services, uint64_t files);

#endif
