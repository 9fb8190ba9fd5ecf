/*
 * tunnel_open.c - qudag_tunnel_open(): a stream is a client's until the service's status, then the program's.
 *
 *   opened ─ status 0 ─▶ handed over: stream_opened, content
 *          ─ other, or a violation ─▶ the program's stream_closed
 */
#include <qudag/tunnel.h>

#include "api/clients.h"
#include "app/tunnel.h"
#include "base/map.h"

struct tunnel_open {
    uint64_t id; /* of the stream */
    struct tunnel_answer answer;
};

/* Those of one node that wait for their status. */
struct tunnel_opens {
    qudag_node *node;
    struct api_client *client;
    struct map waiting; /* by id */
};

static struct tunnel_open *waiting(struct tunnel_opens *w, qudag_stream s)
{
    return map_u64_get(&w->waiting, s.id);
}

static void drop(struct tunnel_opens *w, struct tunnel_open *t)
{
    (void)map_u64_del(&w->waiting, t->id);
    mem_free(api_mem(w->node), t);
}

/* The program hears that |s| is over; it is, for it may not be touched by anybody then. */
static void fail(struct tunnel_opens *w, struct tunnel_open *t, qudag_stream s, qudag_err err)
{
    void *user;
    const qudag_callbacks *cb = api_program(w->node, &user);

    drop(w, t);
    if (cb->stream_closed != NULL) {
        cb->stream_closed(w->node, s, err, user);
    }
    qudag_stream_reset(w->node, s, err == QUDAG_EPROTO ? err : QUDAG_ECANCELED);
}

static void hand_over(struct tunnel_opens *w, struct tunnel_open *t, qudag_stream s)
{
    void *user;
    const qudag_callbacks *cb = api_program(w->node, &user);

    drop(w, t);
    api_client_release(w->client, s);
    if (cb->stream_opened != NULL) {
        cb->stream_opened(w->node, s, user);
    }
}

static void on_data(qudag_node *n, qudag_stream s, qudag_slice data, bool fin, void *user)
{
    struct tunnel_opens *w = user;
    struct tunnel_open *t = waiting(w, s);
    void *program;
    size_t used = 0;

    if (t == NULL) {
        return;
    }
    qudag_err err = tunnel_answer_take(&t->answer, (struct slice){data.base, data.len}, fin, &used);
    qudag_stream_consume(n, s, used);
    if (err != QUDAG_OK || t->answer.state == TUNNEL_DENIED) {
        fail(w, t, s, err != QUDAG_OK ? err : tunnel_status_err(t->answer.status));
        return;
    }
    if (t->answer.state == TUNNEL_WAITING) {
        return;
    }
    hand_over(w, t, s);
    data.len -= used;
    data.base = data.len > 0 ? data.base + used : NULL;
    const qudag_callbacks *cb = api_program(n, &program);
    qudag_stream_state state = QUDAG_INIT(qudag_stream_state);
    if ((data.len == 0 && !fin) ||
        qudag_stream_info(n, s, &state) != QUDAG_OK) { /* it gave it up */
        return;
    }
    if (cb->stream_data != NULL) {
        cb->stream_data(n, s, data, fin, program);
    } else {
        qudag_stream_consume(n, s, data.len);
    }
}

static void on_writable(qudag_node *n, qudag_stream s, void *user)
{
    void *program;
    const qudag_callbacks *cb = api_program(n, &program);
    (void)user;

    if (cb->stream_writable != NULL) {
        cb->stream_writable(n, s, program);
    }
}

static void on_closed(qudag_node *n, qudag_stream s, qudag_err why, void *user)
{
    struct tunnel_opens *w = user;
    struct tunnel_open *t = waiting(w, s);
    void *program;
    const qudag_callbacks *cb = api_program(n, &program);

    if (t != NULL) {
        drop(w, t);
    }
    if (cb->stream_closed != NULL) {
        cb->stream_closed(n, s, why == QUDAG_OK ? QUDAG_EPROTO : why, program);
    }
}

static void on_old(qudag_node *n, qudag_stream s, qudag_ns left, void *user)
{
    void *program;
    const qudag_callbacks *cb = api_program(n, &program);
    (void)user;

    if (cb->stream_old != NULL) {
        cb->stream_old(n, s, left, program);
    }
}

static const qudag_callbacks callbacks = {.size = sizeof(callbacks),
                                          .stream_data = on_data,
                                          .stream_writable = on_writable,
                                          .stream_closed = on_closed,
                                          .stream_old = on_old};

static void on_end(void *user)
{
    struct tunnel_opens *w = user;
    void *program;
    const qudag_callbacks *cb = api_program(w->node, &program);
    struct tunnel_open *t;

    for (size_t it = 0; (t = map_next(&w->waiting, &it)) != NULL; it = 0) {
        qudag_stream s = {t->id};
        drop(w, t);
        if (cb->stream_closed != NULL) {
            cb->stream_closed(w->node, s, QUDAG_ECANCELED, program);
        }
        qudag_stream_reset(w->node, s, QUDAG_ECANCELED);
    }
    map_fini(&w->waiting);
    mem_free(api_mem(w->node), w);
}

static qudag_err get(qudag_node *n, struct tunnel_opens **out)
{
    struct tunnel_opens *w = api_client_user(n, &callbacks);
    qudag_err err = QUDAG_OK;

    if (w == NULL) {
        w = mem_alloc(api_mem(n), sizeof(*w));
        if (w == NULL) {
            return QUDAG_ENOMEM;
        }
        w->node = n;
        map_init_u64(&w->waiting, api_mem(n), NULL, 0, QUDAG_STREAMS_MAX);
        err = api_client_new(&w->client, n, &callbacks, on_end, w);
        if (err != QUDAG_OK) {
            mem_free(api_mem(n), w);
            return err;
        }
    }
    *out = w;
    return QUDAG_OK;
}

/* Begins to wait for the status of |s|, which was just opened. */
static qudag_err ask(struct tunnel_opens *w, qudag_stream s, uint16_t port)
{
    uint8_t request[TUNNEL_REQUEST_LEN];
    size_t taken = 0;
    struct tunnel_open *t = mem_alloc(api_mem(w->node), sizeof(*t));

    if (t == NULL) {
        return QUDAG_ENOMEM;
    }
    t->id = s.id;
    qudag_err err = map_u64_put(&w->waiting, s.id, t);
    if (err != QUDAG_OK) {
        mem_free(api_mem(w->node), t);
        return err;
    }
    tunnel_request_put(request, port);
    err = qudag_stream_write(w->node, s, (qudag_slice){request, sizeof(request)}, &taken);
    if (err == QUDAG_OK) {
        err = api_client_stream(w->client, s);
    }
    if (err != QUDAG_OK) {
        drop(w, t);
    }
    return err;
}

qudag_err qudag_tunnel_open(qudag_node *n, const char *addr, uint16_t port,
                            const qudag_dark_options *o, qudag_stream *out)
{
    struct tunnel_opens *w;

    if (n == NULL || out == NULL || port == 0) {
        return QUDAG_EINVAL;
    }
    qudag_err err = get(n, &w);
    if (err == QUDAG_OK) {
        err = qudag_dark_open_with(n, addr, TUNNEL_PROTOCOL, o, out);
    }
    if (err == QUDAG_OK && (err = ask(w, *out, port)) != QUDAG_OK) {
        qudag_stream_reset(n, *out, QUDAG_ECANCELED);
    }
    return err;
}
