/*
 * common.h - nodes as processes of their own, for benchmarks of the whole.
 *
 * A benchmark program starts itself again with other arguments for every node; a node is driven
 * through the public interface only.  Orders and answers are lines over two pipes:
 *
 *   usage                 -> "usage CPU_NS RSS_BYTES ANON_BYTES HIGH_BYTES"
 *   build N               -> "built N"            circuits of 3 hops, kept open
 *   fetch BYTES STREAMS   -> "fetched NS"         over a new circuit, from its end
 *   circuits              -> "circuits N"         that others have through this node
 *   meet ADDRESS          -> "met"                there is a link to it
 *   known                 -> "known LINKS PEERS"  peers: of the routing table
 *   host N                -> "hosted ADDRESS"     N times: hidden services at addresses of their own, published
 *   call N ADDRESS        -> "called N"           so many of N calls of it are there, each with an open stream
 *   find FIRST N          -> "finds OK REQUESTS"  lookups of N keys, then a line of N latencies in ns
 *   ready                 -> "ready"              once it has joined
 *   quit                  -> the process ends
 */
#ifndef QUDAG_BENCH_COMMON_H
#define QUDAG_BENCH_COMMON_H

#include <qudag/qudag.h>

#include <stdio.h>
#include <sys/types.h>

#define BENCH_ECHO "/bench/echo/1.0.0"     /* sends back what it gets */
#define BENCH_SINK "/bench/sink/1.0.0"     /* reads; answers the count, 8 bytes, at the end */
#define BENCH_SOURCE "/bench/source/1.0.0" /* sends as many bytes as the first 8 bytes say */
#define BENCH_KEY "/bench/key-%u"          /* of a lookup */
#define BENCH_KEY_MAX 32
#define BENCH_CIRCUITS_MAX 1024
#define BENCH_STREAMS_MAX 1088

/* One stream of the node of this process. */
struct flow {
    uint64_t id; /* 0: free */
    bool source, sink;
    uint8_t head[8];
    size_t head_n;
    uint64_t to_send, got; /* bytes */
    bool fin_wanted, fin, closed, first;
};

/* The node of this process. */
struct actor {
    qudag_identity *id;
    qudag_node *node;
    char addr[QUDAG_ADDR_TEXT_MAX];
    qudag_phase phase;
    struct flow flow[BENCH_STREAMS_MAX];
    qudag_op op; /* the one waited for */
    bool op_over;
    qudag_err op_err;
    qudag_circuit op_circuit;
    uint32_t op_rpcs;
    size_t op_peers;
    unsigned built, failed, pending, lost; /* of many circuits at once */
    bool keep;
    qudag_circuit circuit[BENCH_CIRCUITS_MAX];
};

struct actor_opts {
    const char *bootstrap; /* NULL: the first */
    bool relay;
    uint32_t relays_min;
    uint8_t clean;      /* circuits that wait for a use */
    const char *listen; /* NULL: any port of 127.0.0.1 */
};

/* Another process. */
struct child {
    pid_t pid;
    FILE *to, *from;
    char addr[QUDAG_ADDR_TEXT_MAX];
};

struct usage {
    double cpu_s, rss, anon, high; /* seconds, bytes */
};

#define BENCH_FINDS_MAX 256 /* of one order */
struct finds {
    uint64_t ok, requests; /* lookups that found 20, requests of all */
    double ns[BENCH_FINDS_MAX];
};

void must(bool ok, const char *what);
double now_s(void);
int by_size(const void *a, const void *b); /* of double, for qsort */
double median(double *v, size_t n);        /* sorts |v| */
uint64_t option(int argc, char **argv, const char *name, uint64_t otherwise); /* --name VALUE */

/* At the start of main(): true when this process is a node, which by then has ended. */
bool child_main(int argc, char **argv);
void child_start(struct child *c, const struct actor_opts *o);
/* Waits until all are part of the network and their descriptors are stored. */
void children_ready(struct child *c, size_t n);
void child_stop(struct child *c);
void child_order(struct child *c, const char *order); /* does not wait */
uint64_t child_answer(struct child *c, const char *word);
struct usage child_usage(struct child *c);
double child_cpu_s(const struct child *c); /* without asking it */
double child_rss(const struct child *c);   /* bytes, without asking it */
double child_pss(const struct child *c);   /* bytes; shared pages are counted in parts */
void child_find(struct child *c, unsigned first, unsigned n, struct finds *out);

void actor_make(struct actor *a, const struct actor_opts *o); /* not started: it joins nothing */
void actor_start(struct actor *a, const struct actor_opts *o);
void actor_stop(struct actor *a);
void actor_wait_ready(struct actor *a);
qudag_circuit actor_build(struct actor *a); /* one; exits on failure */
void actor_build_many(struct actor *a, unsigned n, unsigned at_once, bool keep);
/* A stream to a dark address, on a circuit that no other |key| shares. */
struct flow *actor_call(struct actor *a, const char *addr, uint32_t key, const char *proto);
struct flow *actor_open(struct actor *a, qudag_circuit c, const char *proto);
void actor_write(struct actor *a, const struct flow *f, const void *p, size_t len);
void actor_drop(struct actor *a, struct flow *f);
/* |bytes| in all from the end of |c| over |streams|; seconds from the request to the last byte. */
double actor_fetch(struct actor *a, qudag_circuit c, uint64_t bytes, unsigned streams);
double actor_push(struct actor *a, qudag_circuit c, uint64_t bytes); /* the other way, one stream */
struct usage usage_now(void);

#define ACTOR_WAIT(a, cond, seconds)                                                               \
    do {                                                                                           \
        double actor_end = now_s() + (seconds);                                                    \
        while (!(cond)) {                                                                          \
            must(qudag_node_step((a)->node, QUDAG_S) == QUDAG_OK, "step");                         \
            must(now_s() < actor_end, "too slow: " #cond);                                         \
        }                                                                                          \
    } while (0)

#endif
