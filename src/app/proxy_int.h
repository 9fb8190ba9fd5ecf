/*
 * proxy_int.h - the proxy of one node, and its connections.
 *
 *   proxy.c          the port, who may connect, the public functions
 *   proxy_client.c   the client's socket of a connection
 *   proxy_log.c      its sentences in the log
 *   proxy_conn.c     one connection: TALKING ─▶ OPENING ─▶ FLOWING ─▶ ENDING ─▶ closed
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
#define PROXY_OUT_MAX                                                                              \
    1048576 /* bytes that wait for a client; more than the window of any stream, and an answer */
#define PROXY_ACCEPTS_PER_TURN 32
#define PROXY_TICK_MS 500

/* Handles of libuv outlive what they serve until they are closed: they are of malloc(), not of the node. */
union proxy_handle {
    uv_handle_t handle;
    uv_poll_t poll;
    uv_timer_t timer;
};
struct proxy_side {
    union proxy_handle u;
    int fd;              /* of the port; -1: none */
    struct proxy *proxy; /* NULL: it serves nobody any more */
};

struct proxy {
    qudag_node *n;
    struct api_client *client;
    struct proxy_side *port, *tick; /* NULL: it is not running */
    bool accept_later;              /* the port is not polled before the next tick */
    struct list conns;
    struct fair
        fair; /* users of this machine, and the isolation keys of each: who has how many connections */
    struct limiter words; /* sentences in the log */
    uint64_t quiet;       /* refusals that it said nothing about */
    qudag_err (*petname)(void *user, const char *name, char addr[QUDAG_DARK_TEXT_MAX]);
    void *user;
    qudag_proxy_info info;
    uint32_t max;
    uint8_t in[PROXY_READ_MAX];   /* what is being read */
    uint8_t out[PROXY_HEADS_MAX]; /* heads being written */
};

_Static_assert(PROXY_HEADS_MAX >= PROXY_HELD_MAX, "the head for a service fits");
_Static_assert(PROXY_HEADS_MAX >= PROXY_ANSWER_MAX, "an answer of ours fits");

enum proxy_state {
    PROXY_TALKING,
    PROXY_OPENING, /* the stream is there, and not yet the service's answer */
    PROXY_FLOWING,
    PROXY_ENDING, /* the last bytes go to the client */
};

struct proxy_conn {
    uv_poll_t poll;
    int fd;     /* the client's */
    int events; /* that are polled for */
    struct list node;
    struct fair_item place;
    struct proxy *proxy; /* NULL: closed */
    enum proxy_state state;
    struct proxy_talk talk;
    struct proxy_flow flow;
    struct dyn in;       /* TALKING: what came; later: what the stream did not take */
    struct dyn out;      /* what the client has not taken */
    qudag_stream stream; /* id 0: none */
    qudag_ns deadline;   /* UINT64_MAX: none */
    size_t owed;         /* of the stream: credit to be given back once nothing waits in |out| */
    uint64_t uid;
    bool client_end, fin_sent, service_end, shut;
};

/* A client has connected; takes its socket |fd|.  It is refused or served. */
void proxy_conn_accept(struct proxy *p, int fd);
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

/* The client sent |in|, which is borrowed. */
void proxy_conn_bytes(struct proxy_conn *c, struct slice in);
/* The client has ended, c->client_end is set. */
void proxy_conn_end(struct proxy_conn *c);

/* ------------------------------------------------------------------ the client's side of |c| */

/* Gives |c| the socket |fd|, a connection of |p|; false: nothing was done, and |fd| is still the caller's. */
QUDAG_MUST_USE bool proxy_client_open(struct proxy_conn *c, struct proxy *p, int fd);
/* Polls for what |c| wants by now; false: the connection is gone. */
bool proxy_client_arm(struct proxy_conn *c);
/* Sends |bytes|; a copy of what the kernel does not take at once waits.  false: the connection is gone. */
bool proxy_client_write(struct proxy_conn *c, struct slice bytes);
/* What is due once nothing waits: credit, the end of our direction, the end of |c|.  May close it. */
void proxy_client_settle(struct proxy_conn *c);
/* Closes the socket; |reset|: the client sees that the other side gave up in the middle. */
void proxy_client_close(struct proxy_conn *c, bool reset);

/* A sentence in the log about a request that came to nothing; not too many. */
void proxy_say(struct proxy *p, enum proxy_why why, const char *host);

#endif
