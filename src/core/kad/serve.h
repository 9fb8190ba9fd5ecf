/*
 * serve.h - the serving side: who asks, how much each may ask, what is refused.
 *
 *   serve.c   requests of others      limits.c  who may ask how much      refusal.c  what was refused, by reason
 */
#ifndef QUDAG_SRC_CORE_KAD_SERVE_H
#define QUDAG_SRC_CORE_KAD_SERVE_H

#include "base/dyn.h"
#include "base/list.h"
#include "core/kad/kad.h"
#include "core/kad/timer.h"
#include "crypto/hash.h"

/* ---- limits.c ---- */

#define KAD_CLIENTS_MAX 2048
#define KAD_NETS_MAX 4096 /* more than clients: one without a client can always be forgotten */

/* What is limited: requests and stores by the second, records new to us by the hour. */
enum kad_pace { KAD_PACE_REQUESTS, KAD_PACE_STORES, KAD_PACE_RECORDS, KAD_PACES };

/*
 * Each piece adds the time it should take to a debt that runs off by itself; over the most that may be
 * owed it is refused.  Two words say all, so that thousands of clients are cheap to remember.
 */
struct kad_debts {
    tstamp until[KAD_PACES]; /* when nothing is owed any more */
};

/* A network that peers come from: /24 or /48 of their links. */
struct kad_net {
    struct list idle; /* linked while no client is of it */
    uint64_t name;
    struct kad_debts debts;
    uint32_t n_clients;
};

/* Who asks us: one allowance for all its streams, remembered until nothing is owed. */
struct kad_client {
    struct list idle; /* linked while it has no stream */
    uint64_t name;    /* keyed hash of the id */
    uint8_t hash[SHA256_LEN];
    struct kad_debts debts;
    struct kad_net *net; /* NULL: the link does not tell, or a lab where all share one */
    uint32_t n_streams;
    uint32_t kept; /* bytes of its requests that are not served yet */
    bool anonymous;
};

struct kad;
void kad_limits_init(struct kad *k);
void kad_limits_fini(struct kad *k);
/* One more stream of |id| (NULL or empty: all anonymous ones are one client).  NULL: no memory. */
struct kad_client *kad_client_get(struct kad *k, const struct peer_id *id, uint64_t net,
                                  tstamp now);
void kad_client_release(struct kad *k, struct kad_client *c);
/* Forgets all that owe nothing. */
void kad_clients_expire(struct kad *k, tstamp now);
/* Whether |c| may do one more; if so it is counted, else refused and counted. */
bool kad_may(struct kad *k, struct kad_client *c, enum kad_pace pace, tstamp now);
/* Takes one back that came to nothing. */
void kad_give_back(struct kad *k, struct kad_client *c, enum kad_pace pace);

/* ---- serve.c ---- */

#define KAD_INBOUND_MAX 4096
#define KAD_INBOUND_IDLE (60 * NS_PER_S)
#define KAD_BACKLOG_MAX (256 * 1024) /* bytes answered and not yet sent, per stream */
/* Bytes of requests that are not complete or wait: of one client, and of all. */
#define KAD_UNREAD_CLIENT (256 * 1024)
#define KAD_UNREAD_MAX (8 * 1024 * 1024)

struct kad_inbound {
    struct kad_timer timer;
    struct list node;  /* in kad->inbounds, the idlest first */
    struct list ready; /* in kad->ready: requests wait for room in the action list */
    struct ref strm;
    struct kad_client *client;
    struct dyn in;
    size_t backlog;
    bool fin;
    qudag_err why; /* the sender is told: ECLOCK, EEXPIRED; OK: it is refused, no more */
};

struct ev;
struct acts;
void kad_serve_open(struct kad *k, const struct ev *ev, tstamp now, struct acts *out);
void kad_serve_data(struct kad *k, struct kad_inbound *in, struct slice data, tstamp now,
                    struct acts *out);
/* Goes on with requests that were kept back. */
void kad_serve_more(struct kad *k, struct kad_inbound *in, tstamp now, struct acts *out);
void kad_serve_close(struct kad *k, struct kad_inbound *in);
void kad_serve_fini(struct kad *k);

/* ---- refusal.c ---- */

/* Counts and logs what a peer did wrong. */
void kad_refuse(struct kad *k, enum kad_refusal why);
void kad_refuse_n(struct kad *k, enum kad_refusal why, size_t n);
/* Why a value was refused by kad_judge() or kad_keep_value() with |err|. */
enum kad_refusal kad_refusal_of(qudag_err err);
/* Why kad_msg_decode() refused a message with |err|. */
enum kad_refusal kad_refusal_of_msg(qudag_err err);

#endif
