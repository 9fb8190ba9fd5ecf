/*
 * kit.h - a node in a process of its own, nodes in this one, and a wire between them that can be cut.
 *
 *   session: a node of ours ──UDP── proxy ──UDP── server: another process
 *
 * The proxy counts the datagrams of each direction and asks |pass| what becomes of each.  Its side
 * towards the server has an address of its own (127.0.x.y), so that limits by address see strangers.
 * Everything here fails the test on errors of the system.
 */
#ifndef QUDAG_TESTS_HANDSHAKE_KIT_H
#define QUDAG_TESTS_HANDSHAKE_KIT_H

#include <qudag/qudag.h>

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SESSIONS_MAX 30
#define DGRAM_MAX 65536
#define TO_SERVER 0
#define TO_CLIENT 1

struct server_opt {
    qudag_pq pq;
    uint16_t level; /* 0: 768 */
    uint64_t memory_max;
    uint8_t identity[QUDAG_IDENTITY_LEN]; /* all zero: new keys */
};

struct server {
    struct server_opt opt;
    pid_t pid;
    int ctl;
    struct sockaddr_in addr;
    qudag_peer_id peer;
    char id[QUDAG_PEER_ID_TEXT_MAX];
    char hash[2 * QUDAG_PQ_HASH_LEN + 1];
};

/* Starts a process that is a node and waits until it listens. */
void server_start(struct server *s, const struct server_opt *opt);
/* A counter of the node, by the name qudag_node_stat_next has for it. */
uint64_t server_stat(struct server *s, const char *name);
/* Ends it; the process must have gone well. */
void server_stop(struct server *s);
/* What main() does when it was started as a server; the process' exit status. */
int server_main(int argc, char **argv);

struct proxy {
    int front, back;
    struct sockaddr_in server, client, self;
    size_t n[2]; /* datagrams seen of each direction */
    /* May change the datagram; false drops it. */
    bool (*pass)(struct proxy *p, int dir, size_t ix, uint8_t *data, size_t *len);
    void *ctx;
};
void proxy_send(struct proxy *p, int dir, const uint8_t *data, size_t len);

struct session {
    qudag_identity *identity;
    qudag_node *node;
    struct server *server;
    struct proxy proxy;
    qudag_op op;
    bool used, pinging, done;
    qudag_err err;
    char why[160];        /* of the last handshake that failed, as the log says */
    qudag_link_info link; /* after success */
    double start, took;   /* s */
    size_t tag;           /* the test's */
};

extern struct session sessions[SESSIONS_MAX];

/* A node under |pq|, and the proxy between it and |server|. */
struct session *session_new(struct server *server, qudag_pq pq, uint16_t level);
/* Dials the proxy (or, |direct|, the server); after success pings.  |suffix| NULL: the server's id. */
void session_dial(struct session *s, const char *suffix, bool direct);
void session_free(struct session *s);
void sessions_free(void);

double now_s(void);
void turn(int wait_ms); /* one round of everything */
/* Until every session is done; fails the test after |seconds|. */
void run_all(double seconds);
void run_for(double seconds);

/* An honest node gets through to |server| at once: the node goes on. */
void assert_serves(struct server *server);

#endif
