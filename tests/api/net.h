/*
 * net.h - several nodes in one process, over real sockets on loopback, through the public interface.
 *
 * Each test program has its own array of peers; every node is stepped by net_turn(), which NET_WAIT
 * repeats until a condition holds.  All nodes serve NET_ECHO: what comes in goes back.
 */
#ifndef QUDAG_TESTS_API_NET_H
#define QUDAG_TESTS_API_NET_H

#include <qudag/qudag.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define NET_MAX 40
#define NET_ECHO "/test/echo/1.0.0"
#define NET_SOON                                                                                   \
    20 /* s; what takes milliseconds on an idle machine, and is not measured by any timeout of ours */
#define NET_OPS 4096
#define NET_CHANGES 256

struct peer {
    qudag_identity *id;
    qudag_node *node;
    qudag_peer_id self;
    char addr[QUDAG_ADDR_TEXT_MAX];
    char self_text[QUDAG_PEER_ID_TEXT_MAX];
    bool frozen; /* lives, but gets no turn: like a stopped process */

    qudag_phase phase;
    uint32_t phase_a, phase_b;
    qudag_err phase_err;
    unsigned phases[QUDAG_PHASE_FAILED + 1]; /* how often each was reported */

    qudag_op last; /* the request whose result the fields below take */
    unsigned ops_done;
    qudag_err err;
    uint8_t value[QUDAG_DHT_VALUE_MAX];
    size_t value_len;
    qudag_peer_id stored[64];
    size_t n_stored;
    size_t n_result_addrs;
    bool hidden;
    qudag_circuit circuit;
    uint32_t count;
    qudag_op_kind kind;
    void *op_user;
    char text[256];
    unsigned all_done; /* of any request */
    qudag_err errs[NET_OPS];

    struct {
        qudag_peer_id peer;
        bool up;
    } change[NET_CHANGES]; /* what peer_changed reported, in order */
    size_t n_changes;

    unsigned pin_changes; /* pin_changed, and the last of them */
    qudag_pin_event pin;

    uint8_t onion_key[128]; /* as given to save; secret */
    size_t onion_key_len;

    qudag_stream ours; /* the stream this node opened */
    const char *say;   /* written to it when it opens, then the end; NULL: nothing */
    char back[4096];
    size_t back_len;
    bool opened, closed;
    qudag_err closed_why;
    void *closed_user; /* qudag_stream_user as stream_closed had it */
    unsigned writable;

    bool hold; /* as a server: read nothing */
    qudag_stream theirs;
    unsigned streams_in, theirs_closed;
    qudag_err theirs_why;
    char got[4096];
    size_t got_len;
    bool from_anonymous;
    char dark_used[QUDAG_DARK_TEXT_MAX];
};

extern struct peer net[NET_MAX];

/* A test that has streams of its own: each is asked first, and says whether the stream is one of them. */
struct net_taker {
    bool (*in)(struct peer *p, qudag_stream s, const char *proto);
    bool (*opened)(struct peer *p, qudag_stream s);
    bool (*data)(struct peer *p, qudag_stream s, qudag_slice data, bool fin);
    bool (*closed)(struct peer *p, qudag_stream s, qudag_err why);
};
extern const struct net_taker *net_taker; /* NULL: none */

struct net_options {
    const char *bootstrap[8];
    size_t n_bootstrap;
    const char *listen; /* NULL: loopback, any port */
    const char *also;   /* a second address to listen at; NULL: none */
    qudag_pq pq;
    const char *name_space; /* open to any value; NULL: "app" */
    const qudag_mem *mem;
    uint32_t links_max;
    qudag_ns idle_timeout;
    const char *announce; /* told to others instead of where it listens; NULL: that */
    bool circuit_relay;   /* for others, with these limits */
    uint64_t circuit_relay_bytes;
    qudag_ns circuit_relay_time;
    bool client;  /* neither relay nor server of the DHT */
    bool waiting; /* qudag_node_start is not called: links only */
};

double net_now(void); /* seconds */
void net_start(size_t i, const struct net_options *o);
void net_stop(size_t i); /* frees node |i|; its identity stays */
int net_stop_all(void **state);
/* |n| nodes, the first one the others' bootstrap peer, until all are ready. */
void net_grow(size_t n, const struct net_options *o);
void net_turn(void);
bool net_all_ready(void);
/* A request was made with |err|: waits for its result in |p|. */
void net_ask(struct peer *p, qudag_err err);
uint64_t net_stat(const struct peer *p, const char *name);
struct peer *net_find(const qudag_peer_id *id); /* NULL: none of ours */
size_t net_links(const struct peer *p, const struct peer *to);
unsigned net_changes(const struct peer *p, const struct peer *of, bool up);
/* Nodes that hold |value| under |key|. */
size_t net_holders(qudag_slice key, qudag_slice value);

/* As qudag_dark_create(), of kind direct. */
static inline qudag_err net_create_direct(qudag_node *n, const char *label,
                                          char addr[QUDAG_DARK_TEXT_MAX])
{
    const qudag_dark_wish w = {.size = sizeof(w), .kind = QUDAG_DARK_DIRECT, .label = label};

    return qudag_dark_create_with(n, &w, addr);
}

static inline qudag_slice net_text(const char *s)
{
    return (qudag_slice){(const uint8_t *)s, strlen(s)};
}

#define NET_WAIT(cond, seconds)                                                                    \
    do {                                                                                           \
        double net_end = net_now() + (seconds);                                                    \
        while (!(cond) && net_now() < net_end) {                                                   \
            net_turn();                                                                            \
        }                                                                                          \
        if (!(cond)) {                                                                             \
            fail_msg("not within %g s: %s", (double)(seconds), #cond);                             \
        }                                                                                          \
    } while (0)

#endif
