/* inbox_open.c - qudag_inbox_*(): the inbox of a node, and the client that receives for it. */
#include "app/receive_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORK_MS 100   /* between two looks at transfers at work */
#define IDLE_MS 60000 /* and at ids that are due */

static const qudag_callbacks callbacks = {.size = sizeof(callbacks),
                                          .stream_in = receive_stream_in,
                                          .stream_data = receive_stream_data,
                                          .stream_writable = receive_stream_writable,
                                          .stream_closed = receive_stream_closed};

struct receives *receive_of(const qudag_node *n)
{
    struct receives *k = n != NULL ? api_client_user(n, &callbacks) : NULL;

    return k != NULL && k->serving ? k : NULL;
}

static void on_tick(uv_timer_t *t)
{
    struct receives *k = t->data;

    receive_tick(k, api_now());
    receive_retime(k);
}

void receive_retime(struct receives *k)
{
    bool work = k->n_recvs > 0;
    uint64_t ms = work ? WORK_MS : IDLE_MS;

    if (work != k->at_work) {
        k->at_work = work;
        (void)uv_timer_start(k->timer, on_tick, ms, ms);
    }
}

/* ------------------------------------------------------------------ its life */

static void on_timer_closed(uv_handle_t *h)
{
    free(h);
}

/* What begin() made. */
static void end(struct receives *k)
{
    receive_free_all(k);
    if (k->timer != NULL) {
        uv_close((uv_handle_t *)k->timer, on_timer_closed);
        k->timer = NULL;
    }
    inbox_tidy(&k->inbox);
    inbox_close(&k->inbox);
}

static void receives_free(struct receives *k)
{
    end(k);
    mem_free(api_mem(k->node), k);
}

static void on_end(void *user)
{
    receives_free(user);
}

static void say(char *why, size_t why_len, const char *text)
{
    if (why != NULL && why_len > 0) {
        (void)snprintf(why, why_len, "%s", text);
    }
}

/* |dir| as it stays when the program changes its working folder. */
static bool absolute(char out[FILES_PATH_MAX], const char *dir)
{
    char here[FILES_PATH_MAX];

    if (dir[0] == '/') {
        int n = snprintf(out, FILES_PATH_MAX, "%s", dir);
        return n > 0 && n < FILES_PATH_MAX;
    }
    return getcwd(here, sizeof(here)) != NULL && files_join(out, here, dir);
}

static qudag_err begin(struct receives *k, const char *dir, char *why, size_t why_len)
{
    if (!inbox_open(&k->inbox, api_mem(k->node), dir, api_wall_ms())) {
        say(why, why_len, k->inbox.why);
        return QUDAG_ESYSTEM;
    }
    k->timer = calloc(1, sizeof(*k->timer));
    if (k->timer == NULL) {
        return QUDAG_ENOMEM;
    }
    (void)uv_timer_init(api_loop(k->node), k->timer); /* cannot fail */
    k->timer->data = k;
    k->at_work = true;
    receive_retime(k);
    return QUDAG_OK;
}

/* A client, once made, lives as long as the node: where it cannot serve, the next attempt finds it. */
static qudag_err serve(struct receives *k, const qudag_inbox_options *o)
{
    qudag_err err = QUDAG_OK;

    if (k->client == NULL) {
        err = api_client_new(&k->client, k->node, &callbacks, on_end, k);
    }
    if (err == QUDAG_OK) {
        err = receive_allow_begin(k, o->from, o->n_from);
    }
    if (err == QUDAG_OK) {
        err = api_client_serve_dark(k->client, TRANSFER_PROTO);
    }
    k->serving = err == QUDAG_OK;
    return err;
}

static qudag_err options_in(qudag_inbox_options *out, const qudag_inbox_options *o, char *why,
                            size_t why_len)
{
    qudag_err err = o != NULL ? api_sized_in(out, sizeof(*out), o) : QUDAG_EINVAL;

    if (err == QUDAG_OK && (out->dir == NULL || out->dir[0] == '\0')) {
        say(why, why_len, "an inbox needs a folder");
        err = QUDAG_EINVAL;
    }
    return err;
}

qudag_err qudag_inbox_open(qudag_node *n, const qudag_inbox_options *o, char *why, size_t why_len)
{
    qudag_inbox_options full = {.size = 0};
    char dir[FILES_PATH_MAX];

    say(why, why_len, "");
    qudag_err err = n != NULL ? options_in(&full, o, why, why_len) : QUDAG_EINVAL;
    if (err == QUDAG_OK && !absolute(dir, full.dir)) {
        say(why, why_len, "the path of the inbox is too long");
        err = QUDAG_EINVAL;
    }
    if (err != QUDAG_OK) {
        return err;
    }
    if (receive_of(n) != NULL) {
        return QUDAG_EEXISTS;
    }
    struct receives *k = api_client_user(n, &callbacks); /* of an attempt that failed */
    k = k != NULL ? k : mem_alloc(api_mem(n), sizeof(*k));
    if (k == NULL) {
        return QUDAG_ENOMEM;
    }
    k->node = n;
    k->arrived = full.arrived;
    k->user = full.user;
    k->size_max = full.closed ? 0 : full.size_max == 0 ? QUDAG_INBOX_SIZE_DEFAULT : full.size_max;
    k->file_max = full.file_max == 0 ? QUDAG_INBOX_FILE_DEFAULT : full.file_max;
    err = begin(k, dir, why, why_len);
    if (err == QUDAG_OK) {
        err = serve(k, &full);
    }
    if (err != QUDAG_OK) {
        end(k);
    }
    if (err != QUDAG_OK && k->client == NULL) {
        mem_free(api_mem(n), k);
    }
    return err;
}

/* ------------------------------------------------------------------ the list */

void receive_item(qudag_inbox_item *out, const struct inbox_entry *e)
{
    out->file = e->offer.kind == TRANSFER_FILE;
    out->time_ms = e->time_ms;
    out->bytes = e->offer.size;
    memcpy(out->hash, e->offer.hash, sizeof(out->hash));
    (void)snprintf(out->name, sizeof(out->name), "%s", e->offer.name);
    bool by_peer = strncmp(e->to, TRANSFER_PEER_PREFIX, strlen(TRANSFER_PEER_PREFIX)) == 0;
    (void)snprintf(out->to, sizeof(out->to), "%s", by_peer ? "" : e->to);
    if (!by_peer ||
        qudag_peer_id_parse(&out->from, e->to + strlen(TRANSFER_PEER_PREFIX)) != QUDAG_OK) {
        out->from.len = 0;
    }
}

bool qudag_inbox_next(qudag_node *n, size_t *it, qudag_inbox_item *out)
{
    struct receives *k = receive_of(n);
    qudag_inbox_item full = {.size = sizeof(full)};

    if (k == NULL || it == NULL || out == NULL) {
        return false;
    }
    if (*it == 0) {
        inbox_count(&k->inbox);
    }
    while (*it < k->inbox.n) {
        const struct inbox_entry *e = &k->inbox.entry[(*it)++];
        if (inbox_there(&k->inbox, e)) {
            receive_item(&full, e);
            return api_sized_out(out, &full, sizeof(full));
        }
    }
    return false;
}

/* The entry of that name, or NULL. */
static const struct inbox_entry *named(const struct receives *k, const char *name)
{
    return k != NULL ? inbox_named(&k->inbox, name) : NULL;
}

qudag_err qudag_inbox_path(const qudag_node *n, const char *name, char *out, size_t out_len)
{
    const struct receives *k = receive_of(n);

    if (n == NULL || name == NULL || out == NULL) {
        return QUDAG_EINVAL;
    }
    const struct inbox_entry *e = named(k, name);
    if (e == NULL) {
        return QUDAG_ENOTFOUND;
    }
    int len = snprintf(out, out_len, "%s/%s", k->inbox.dir, e->offer.name);
    return len > 0 && (size_t)len < out_len ? QUDAG_OK : QUDAG_ETOOBIG;
}

qudag_err qudag_inbox_remove(qudag_node *n, const char *name)
{
    struct receives *k = receive_of(n);

    if (n == NULL || name == NULL) {
        return QUDAG_EINVAL;
    }
    const struct inbox_entry *e = named(k, name);
    if (e == NULL) {
        return QUDAG_ENOTFOUND;
    }
    int err = inbox_remove(&k->inbox, e);
    return err == 0 ? QUDAG_OK : err == ENOENT ? QUDAG_ENOTFOUND : QUDAG_ESYSTEM;
}

/* ------------------------------------------------------------------ who may send over links */

qudag_err qudag_inbox_allow(qudag_node *n, const qudag_peer_id *peer)
{
    struct receives *k = receive_of(n);

    if (n == NULL || peer == NULL) {
        return QUDAG_EINVAL;
    }
    return k != NULL ? receive_allow(k, peer) : QUDAG_ESTATE;
}

qudag_err qudag_inbox_disallow(qudag_node *n, const qudag_peer_id *peer)
{
    struct receives *k = receive_of(n);

    if (n == NULL || peer == NULL) {
        return QUDAG_EINVAL;
    }
    if (k == NULL || !api_allows(n, peer)) {
        return QUDAG_ENOTFOUND;
    }
    receive_refuse_peer(k, peer);
    return receive_disallow(k, peer);
}

bool qudag_inbox_allowed_next(const qudag_node *n, size_t *it, qudag_peer_id *out)
{
    return receive_of(n) != NULL && it != NULL && out != NULL && api_allowed_next(n, it, out);
}
