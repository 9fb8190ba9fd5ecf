/*
 * dial.c - connections of the program that lead to dark services.
 *
 *   qudag_dial ─▶ stream, request ─▶ OPENING ── answer 0 ──▶ spliced ─▶ over
 *                                       └── denial, end, cancel ─────▶ over
 */
#include <qudag/dial.h>

#include "api/clients.h"
#include "app/sock.h"
#include "app/splice.h"
#include "app/tunnel.h"

#include <stdlib.h>
#include <string.h>

#define MEMORY_MAX (64u << 20) /* bytes of all connections together */

struct dials;

struct dial {
    struct dial *next;
    struct dials *all;
    struct splice *splice;
    qudag_stream stream;
    struct tunnel_answer answer;
    qudag_dial_done *done; /* NULL: it was called */
    void *user;
};

struct dials {
    qudag_node *node;
    struct api_client *client;
    struct splice_pool *pool;
    struct dial *first;
    unsigned n;
};

static void forget(struct dial *d)
{
    struct dials *all = d->all;
    struct dial **at = &all->first;

    while (*at != d) {
        at = &(*at)->next;
    }
    *at = d->next;
    all->n--;
    mem_free(api_mem(all->node), d);
}

static void tell(struct dial *d, qudag_err err, const char *what)
{
    qudag_dial_done *done = d->done;

    d->done = NULL;
    done(d->all->node, err, what, d->user);
}

/* It did not come about: the connection is closed, the program told. */
static void fail(struct dial *d, qudag_err err, const char *what)
{
    splice_abort(d->splice, err);
    tell(d, err, what);
    forget(d);
}

static void on_ended(void *ctx, enum splice_end end)
{
    (void)end;
    forget(ctx);
}

static const struct splice_ops splice_ops = {.ended = on_ended};

/* ------------------------------------------------------------------ what the node says */

static struct dial *dial_of(const qudag_node *n, qudag_stream s)
{
    return qudag_stream_user(n, s);
}

/* What comes before the content. */
static void on_answer(struct dial *d, qudag_slice data, bool fin)
{
    size_t used;
    qudag_err err = tunnel_answer_take(&d->answer, (struct slice){data.base, data.len}, fin, &used);

    qudag_stream_consume(d->all->node, d->stream, used);
    if (err != QUDAG_OK) {
        fail(d, err, "what answers there does not speak this protocol");
    } else if (d->answer.state == TUNNEL_DENIED) {
        fail(d, tunnel_status_err(d->answer.status), tunnel_status_text(d->answer.status));
    } else if (d->answer.state == TUNNEL_OPEN) {
        struct splice *sp = d->splice;
        tell(d, QUDAG_OK, "");
        splice_start(sp);
        splice_data(sp, (qudag_slice){data.base + used, data.len - used}, fin);
    }
}

static void on_data(qudag_node *n, qudag_stream s, qudag_slice data, bool fin, void *user)
{
    struct dial *d = dial_of(n, s);
    (void)user;

    if (d == NULL) {
        return;
    }
    if (d->done == NULL) {
        splice_data(d->splice, data, fin);
    } else {
        on_answer(d, data, fin);
    }
}

static void on_writable(qudag_node *n, qudag_stream s, void *user)
{
    struct dial *d = dial_of(n, s);
    (void)user;

    if (d != NULL && d->done == NULL) {
        splice_writable(d->splice);
    }
}

static void on_closed(qudag_node *n, qudag_stream s, qudag_err why, void *user)
{
    struct dial *d = dial_of(n, s);
    (void)user;

    if (d != NULL && d->done == NULL) {
        splice_closed(d->splice, why);
    } else if (d != NULL) {
        why = why == QUDAG_OK ? QUDAG_EPROTO : why;
        fail(d, why, qudag_strerror(why));
    }
}

static const qudag_callbacks callbacks = {
    .size = sizeof(callbacks),
    .stream_data = on_data,
    .stream_writable = on_writable,
    .stream_closed = on_closed,
};

static void on_end(void *user)
{
    struct dials *all = user;

    while (all->first != NULL) {
        struct dial *d = all->first;
        splice_abort(d->splice, QUDAG_ESTATE);
        if (d->done != NULL) {
            tell(d, QUDAG_ESTATE, qudag_strerror(QUDAG_ESTATE));
        }
        forget(d);
    }
    splice_pool_drop(all->pool);
    mem_free(api_mem(all->node), all);
}

/* ------------------------------------------------------------------ what the program says */

static qudag_err dials_of(struct dials **out, qudag_node *n)
{
    struct dials *all = api_client_user(n, &callbacks);

    *out = all;
    if (all != NULL) {
        return QUDAG_OK;
    }
    all = mem_alloc(api_mem(n), sizeof(*all));
    if (all == NULL) {
        return QUDAG_ENOMEM;
    }
    *all = (struct dials){.node = n, .pool = splice_pool_new(MEMORY_MAX)};
    qudag_err err =
        all->pool == NULL ? QUDAG_ENOMEM : api_client_new(&all->client, n, &callbacks, on_end, all);
    if (err != QUDAG_OK) {
        splice_pool_drop(all->pool);
        mem_free(api_mem(n), all);
        return err;
    }
    *out = all;
    return QUDAG_OK;
}

/* A stream to the port, on which |d| hears. */
static qudag_err open_stream(struct dial *d, const char *addr, const qudag_dial_options *o)
{
    qudag_node *n = d->all->node;
    uint8_t request[TUNNEL_REQUEST_LEN];
    size_t taken = 0;
    qudag_err err = qudag_dark_open_with(n, addr, TUNNEL_PROTOCOL, o->how, &d->stream);

    if (err != QUDAG_OK) {
        return err;
    }
    tunnel_request_put(request, o->port);
    err = api_client_stream(d->all->client, d->stream);
    if (err == QUDAG_OK) {
        err = qudag_stream_set_user(n, d->stream, d);
    }
    if (err == QUDAG_OK) {
        err = qudag_stream_write(n, d->stream, (qudag_slice){request, sizeof(request)}, &taken);
    }
    if (err == QUDAG_OK && taken < sizeof(request)) { /* an empty queue has room for two bytes */
        err = QUDAG_ELIMIT;
    }
    if (err != QUDAG_OK) {
        qudag_stream_reset(n, d->stream, QUDAG_ECANCELED);
    }
    return err;
}

static qudag_err begin(struct dials *all, const char *addr, int fd, const qudag_dial_options *o)
{
    struct dial *d = mem_alloc(api_mem(all->node), sizeof(*d));
    qudag_err err = QUDAG_ENOMEM;

    if (d == NULL) {
        sock_close(fd, false);
        return err;
    }
    *d = (struct dial){.all = all, .done = o->done, .user = o->user};
    err = splice_new(&d->splice, all->pool, all->node, &splice_ops, d);
    if (err != QUDAG_OK) {
        sock_close(fd, false);
        mem_free(api_mem(all->node), d);
        return err;
    }
    err = splice_accept(d->splice, fd);
    if (err == QUDAG_OK) {
        err = open_stream(d, addr, o);
    }
    if (err != QUDAG_OK) {
        splice_abort(d->splice, QUDAG_ECANCELED);
        mem_free(api_mem(all->node), d);
        return err;
    }
    splice_stream(d->splice, d->stream);
    d->next = all->first;
    all->first = d;
    all->n++;
    return QUDAG_OK;
}

qudag_err qudag_dial(qudag_node *n, const char *addr, int fd, const qudag_dial_options *o)
{
    struct dials *all;

    if (fd < 0) {
        return QUDAG_EINVAL;
    }
    bool good = n != NULL && addr != NULL && o != NULL && o->size >= sizeof(*o) && o->port != 0 &&
                o->done != NULL;
    qudag_err err = good ? dials_of(&all, n) : QUDAG_EINVAL;
    if (err == QUDAG_OK && all->n >= QUDAG_DIALS_MAX) {
        err = QUDAG_ELIMIT;
    }
    if (err != QUDAG_OK) {
        sock_close(fd, false);
        return err;
    }
    return begin(all, addr, fd, o);
}

void qudag_dial_cancel(qudag_node *n, const void *user)
{
    struct dials *all = n == NULL ? NULL : api_client_user(n, &callbacks);
    struct dial *next;

    for (struct dial *d = all == NULL ? NULL : all->first; d != NULL; d = next) {
        next = d->next;
        if (d->user == user && d->done != NULL) {
            splice_abort(d->splice, QUDAG_ECANCELED);
            forget(d);
        }
    }
}
