/* serve.h - requests of others: several per stream, answered in order. */
#ifndef QUDAG_SRC_CORE_KAD_SERVER_SERVE_H
#define QUDAG_SRC_CORE_KAD_SERVER_SERVE_H

#include "base/dyn.h"
#include "core/kad/server/limits.h"
#include "core/kad/storage/store.h"

#define KAD_INBOUND_MAX 4096
#define KAD_INBOUND_IDLE (60 * NS_PER_S)
#define KAD_BACKLOG_MAX (256 * 1024) /* bytes answered and not yet sent, per stream */
/* Bytes of requests that are not complete or wait: of one client, and of all. */
#define KAD_UNREAD_CLIENT (256 * 1024)
#define KAD_UNREAD_MAX (8 * 1024 * 1024)

struct kad_inbound {
    struct kad_timer timer;
    struct list node;  /* in kad_server.inbounds, the idlest first */
    struct list ready; /* in kad_server.ready: requests wait for room in the action list */
    struct ref strm;
    struct kad_client *client;
    struct dyn in;
    size_t backlog;
    bool fin;
    qudag_err why; /* the sender is told: ECLOCK, EEXPIRED; OK: it is refused, no more */
};

struct kad_server {
    struct kad_env *env;
    struct kad_routing *routing;
    struct kad_store *store;
    const struct kad_rules *rules;
    struct map by_strm;
    struct list inbounds, ready;
    size_t buffered; /* bytes of requests of others that are not served yet */
    struct kad_limiter limits;
    /* A contact that asks us and failed lately: it should be asked whether it serves again. */
    void (*check)(void *ctx, struct kad_contact *c, tstamp now, struct acts *out);
    void *ctx;
};

/* After the limits: |env|, |routing|, |store|, |rules|, |check| and |ctx| are set by the caller. */
void kad_serve_init(struct kad_server *s);
/* All streams are forgotten, and the limits. */
void kad_serve_fini(struct kad_server *s);
/* A stream was opened to us. */
void kad_serve_open(struct kad_server *s, const struct ev *ev, tstamp now, struct acts *out);
/* Any event of a stream that is open. */
void kad_serve_event(struct kad_server *s, struct kad_inbound *in, const struct ev *ev, tstamp now,
                     struct acts *out);
/* Goes on with requests that were held back for lack of room. */
void kad_serve_more(struct kad_server *s, struct kad_inbound *in, tstamp now, struct acts *out);
/* It was idle for too long: reset. */
void kad_serve_timer(struct kad_server *s, struct kad_inbound *in, struct acts *out);
/* The stream that |strm| names; NULL: none. */
struct kad_inbound *kad_serve_find(const struct kad_server *s, struct ref strm);

#endif
