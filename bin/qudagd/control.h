/*
 * control.h - the control socket: DIR/control.sock, 0600, same user (or root) only.
 *
 *   client                      daemon
 *     ◀── hello {version, program}
 *     hello {version, program} ──▶
 *     request {cmd, ...} ──▶             (with one file descriptor, where a command takes a file)
 *     ◀── row | progress ...
 *     ◀── end {code, error, message, hint}
 *
 * One request at a time per connection.  There are CONTROL_CLIENTS_MAX places, or as many as there are descriptors
 * for (rules_control_places); whoever comes when all are taken waits in the backlog of the socket.  At most
 * CONTROL_LONG_MAX requests that may take long run at once; those above wait (progress {state "queued", ahead}), and
 * the next is that of the process with the fewest running (rules_next_turn).  What neither may run nor wait is refused
 * with a sentence, so places are always left for status, stop and the like; for shares, which last as long as their
 * connection, by rules_share_fits().
 * Who stays silent without a request is hung up on, and so is who does not take what was asked for.
 */
#ifndef QUDAG_BIN_CONTROL_H
#define QUDAG_BIN_CONTROL_H

#include "common/exits.h"
#include "daemon.h"

#define CONTROL_CLIENTS_MAX 160
#define CONTROL_LONG_MAX 48        /* requests that wait for the network, at once */
#define CONTROL_QUEUE_MAX 64       /* more of those, which wait for their turn */
#define CONTROL_QUEUE_OWN_MAX 32   /* of them from one process */
#define CONTROL_QUEUE_TELL_MS 1000 /* how often one that waits hears that others went before it */
#define CONTROL_QUEUE_WORD_S 30    /* and how often it hears anything at all */
#define CONTROL_BACKLOG 128        /* connections not yet accepted */
#define CONTROL_PAUSE_MS                                                                           \
    500 /* without accepting, after it failed for lack of descriptors or memory */
#define CONTROL_CHECK_MS 1000 /* how often it is looked whether the socket is still there */
#define CONTROL_IDLE_S 120
#define CONTROL_BACKLOG_MAX (8u << 20) /* bytes a client may leave unread */
#define CONTROL_SLOW_S 10

/* Of a dark address that is well formed and yet not supported. */
#define DARK_OTHER_NETWORK                                                                         \
    "that address belongs to another network: one of the two is a lab, the other is not"
#define DARK_OTHER_NETWORK_HINT                                                                    \
    "a lab's addresses are reached from nodes of that lab: qudag lab exec"

struct client;

/* A request until its end is sent.  The client may vanish before: then |client| is NULL. */
struct request {
    struct daemon *d;
    struct client *client;
    const struct command *cmd;
    struct rec_view args;
    uid_t uid;   /* of the client */
    int fd;      /* what came with it; -1: nothing.  Closed at the end unless taken */
    qudag_op op; /* the library's request it waits for */
    uint64_t since_ns;
    qudag_peer_id peer; /* ping: after the connection stands */
    unsigned step;      /* ping: 1 connecting, 2 pinging */
    bool watching;      /* wants phases */
    bool waiting;       /* for its turn */
    unsigned ahead;     /* as it was told last, at |told_ns| */
    uint64_t told_ns;
    qudag_send send; /* its delivery; id 0: none */
    void *job;       /* share: struct share */
    /* The client has vanished: ends |rq| with what it has begun.  NULL: nothing but |op| has. */
    void (*abandon)(struct request *rq);
    void (*tick)(
        struct request *rq); /* now and then while it runs; may end it.  NULL: not called */
    size_t len;
    uint8_t bytes[]; /* of args */
};

struct command {
    const char *name;
    void (*run)(struct request *rq); /* ends it, or leaves it waiting */
    /* the library's answer to rq->op; NULL: none is waited for */
    void (*done)(struct request *rq, qudag_err err, const qudag_result *res);
    bool is_long; /* may wait for the network, for long: CONTROL_LONG_MAX at once, others wait */
};
const struct command *command_find(const char *name); /* commands.c */

/*
 * The dark address in the argument "address" of |rq|: itself, that of a petname, or the own one of that label (in
 * |out|).  NULL: the request has ended with what is wrong (commands.c).
 */
const char *command_address(struct request *rq, char out[QUDAG_DARK_TEXT_MAX]);

/* Sends the phase to a request that wants phases, and ends the request where the phase does (commands.c). */
void watch_phase(struct request *rq, const struct phase_note *p);

enum daemon_exit control_open(struct control **out, struct daemon *d); /* d->state.why */

/* Drops all clients and removes the socket (NULL allowed).  Requests that wait are given up. */
void control_close(struct control *c);

/*
 * Drops clients that are idle, or leave answers unread, for too long; begins requests whose turn has come; looks
 * whether the socket is still there. |now_ns| as mono_ns().
 */
void control_tick(struct control *c, uint64_t now_ns);

/* How many clients may be connected at once. */
size_t control_places(const struct control *c);

/* Deliveries that clients wait for, also between two of their attempts.  |c| NULL: 0. */
unsigned control_sends(const struct control *c);

/* The daemon ends: those deliveries are given up, with those that wait for their turn, and their clients are told. */
void control_cut(struct control *c);

/* qudag_callbacks: to the request that waits.  False: nobody does. */
bool control_op_done(struct control *c, qudag_op op, qudag_err err, const qudag_result *res);

/* qudag_callbacks: hands the phase to every request that wants phases. */
void control_phase(struct control *c, const struct phase_note *p);

/* The answer: fill the record, then send.  Both are harmless once the client is gone. */
struct rec *request_rec(struct request *rq, enum rec_type type);

/* Queues the record for the client; one that does not fit into a frame is logged and left out. */
void request_send(struct request *rq);

/* Frees |rq|. */
void request_end(struct request *rq, enum tool_exit code, const char *error, const char *message,
                 const char *hint);
void request_end_err(struct request *rq, qudag_err err,
                     const char *what); /* by the library's list */
void request_end_said(struct request *rq, qudag_err err,
                      const char *text); /* the same with all of its words */
/* Ends a request to a peer, whose argument "to" says where it was looked for. */
void request_end_peer(struct request *rq, qudag_err err, const qudag_result *res, const char *what);
enum tool_exit exit_of(qudag_err err);
/*
 * |text| (NULL allowed) is a peer id or a multiaddr with one, which is rq->peer then; false: the request has ended with
 * what is wrong.
 */
bool request_peer(struct request *rq, const char *text);

#endif
