/*
 * proxy_int.h - the proxy of one node, and its connections.
 *
 *   proxy.c        the port, who may connect, the public functions
 *   proxy_conn.c   one connection: TALKING ─▶ OPENING ─▶ FLOWING ─▶ ENDING ─▶ closed
 */
#ifndef QUDAG_SRC_APP_PROXY_INT_H
#define QUDAG_SRC_APP_PROXY_INT_H

#include "api/clients.h"
#include "app/proxy_talk.h"
#include "base/fair.h"
#include "base/limiter.h"

#include <uv.h>

#define PROXY_CONNECTIONS 512           /* at once, by default */
#define PROXY_TALK_MAX (30 * QUDAG_S)   /* until a request is complete */
#define PROXY_OPEN_MAX (120 * QUDAG_S)  /* until the service has answered */
#define PROXY_LINGER_MAX (5 * QUDAG_S)  /* until a client has taken a refusal, and ended */
#define PROXY_DRAIN_MAX (300 * QUDAG_S) /* until it has taken what is left of a stream that ended */
#define PROXY_HALF_MAX                                                                             \
    (120 * QUDAG_S) /* without a byte of the service, once the client has ended */
#define PROXY_HELD_MAX QUDAG_STREAM_EARLY_MAX /* bytes of a client that wait for its stream */
#define PROXY_READ_MAX 65536                  /* bytes read at once */
#define PROXY_TICK_MS 500
#define PROXY_BACKLOG 128

/* Handles of libuv outlive what they serve until they are closed: they are of malloc(), not of the node. */
union proxy_handle {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_timer_t timer;
};
struct proxy_side {
    union proxy_handle u;
    struct proxy *proxy; /* NULL: it serves nobody any more */
};

struct proxy {
    qudag_node *n;
    struct api_client *client;
    struct proxy_side *port, *tick; /* NULL: it is not running */
    struct list conns;
    struct fair
        fair; /* users of this machine, and the isolation keys of each: who has how many connections */
    struct limiter words; /* sentences in the log */
    uint64_t quiet;       /* refusals that it said nothing about */
    qudag_err (*petname)(void *user, const char *name, char addr[QUDAG_DARK_TEXT_MAX]);
    void *user;
    qudag_proxy_info info;
    uint32_t max;
    uint8_t in[PROXY_READ_MAX];      /* what is being read */
    uint8_t out[2 * HTTP1_HEAD_MAX]; /* a head being written */
};

enum proxy_state {
    PROXY_TALKING,
    PROXY_OPENING, /* the stream is there, and not yet the service's answer */
    PROXY_FLOWING,
    PROXY_ENDING, /* the last bytes go to the client */
};

struct proxy_conn {
    union proxy_handle u;
    struct list node;
    struct fair_item place;
    struct proxy *proxy; /* NULL: closed */
    enum proxy_state state;
    struct proxy_talk talk;
    struct proxy_flow flow;
    struct dyn in;       /* TALKING: what came; later: what the stream did not take */
    qudag_stream stream; /* id 0: none */
    qudag_ns deadline;   /* UINT64_MAX: none */
    size_t writing;      /* bytes that the client has not taken */
    size_t owed;         /* of the stream: credit to be given back once nothing is being written */
    uint64_t uid;
    bool reading, client_end, fin_sent, service_end, shut, shut_done;
    uv_shutdown_t shutdown;
};

/* A client connects; |p->port| has it.  It is refused or served. */
void proxy_conn_accept(struct proxy *p);
/* Closes |c|, and resets its stream with |why|; nothing if that was done.  libuv frees it later. */
void proxy_conn_close(struct proxy_conn *c, qudag_err why);
/* Ends what has taken too long. */
void proxy_conn_tick(struct proxy_conn *c, qudag_ns now);

/* The stream of |c| brought |data|, and its end behind it if |fin|.  May close |c|, as may all of these. */
void proxy_conn_data(struct proxy_conn *c, qudag_slice data, bool fin);
/* It has room, or was opened. */
void proxy_conn_writable(struct proxy_conn *c);
/* It is gone. */
void proxy_conn_closed(struct proxy_conn *c, qudag_err why);

/* A sentence in the log about a request that came to nothing; not too many. */
void proxy_say(struct proxy *p, enum proxy_why why, const char *host);

#endif
