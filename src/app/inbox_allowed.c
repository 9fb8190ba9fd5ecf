/*
 * inbox_allowed.c - the peers whose transfers over links are received.
 *
 *   options (each start) ─┐
 *   kept (app-inbox-from) ┼─▶ the node's list (api_allows) ─▶ receive.c asks it for each stream
 *   qudag_inbox_allow() ──┘        the first one: the protocol is served
 */
#include "app/receive_int.h"

#include <stdio.h>
#include <string.h>

#define KEPT API_KEPT_PREFIX "inbox-from" /* text: a peer id on each line */
#define KEPT_BYTES_MAX (QUDAG_INBOX_ALLOWED_MAX * (QUDAG_PEER_ID_TEXT_MAX + 1))

static bool same(const qudag_peer_id *a, const qudag_peer_id *b)
{
    return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

/* The one of those kept on disk; k->n_kept: none. */
static size_t kept_at(const struct receives *k, const qudag_peer_id *peer)
{
    size_t ix = 0;

    while (ix < k->n_kept && !same(&k->kept[ix], peer)) {
        ix++;
    }
    return ix;
}

static qudag_err save(const struct receives *k)
{
    char *text = mem_alloc(api_mem(k->node), KEPT_BYTES_MAX);
    char id[QUDAG_PEER_ID_TEXT_MAX];
    size_t len = 0;

    if (text == NULL) {
        return QUDAG_ENOMEM;
    }
    for (size_t ix = 0; ix < k->n_kept; ix++) {
        qudag_peer_id_text(&k->kept[ix], id);
        len += (size_t)snprintf(text + len, KEPT_BYTES_MAX - len, "%s\n", id);
    }
    qudag_err err = api_save(k->node, KEPT, (qudag_slice){(const uint8_t *)text, len});
    mem_free(api_mem(k->node), text);
    return err;
}

/* Lets |peer| send from now on; on disk it is not. */
static qudag_err allow(struct receives *k, const qudag_peer_id *peer)
{
    qudag_err err = api_client_serve_allowed(k->client, TRANSFER_PEER_PROTO);

    return err == QUDAG_OK ? api_allow(k->node, peer) : err;
}

/* Those of an earlier life; what cannot be read is left out. */
static void restore(struct receives *k)
{
    char line[QUDAG_PEER_ID_TEXT_MAX];
    const char *name;
    qudag_slice bytes;
    qudag_peer_id id;
    size_t it = 0;

    while (api_kept_next(k->node, KEPT, &it, &name, &bytes)) {
        for (size_t at = 0; at < bytes.len;) {
            const uint8_t *end = memchr(bytes.base + at, '\n', bytes.len - at);
            size_t len = end != NULL ? (size_t)(end - bytes.base) - at : bytes.len - at;
            (void)snprintf(line, sizeof(line), "%.*s", (int)len, (const char *)bytes.base + at);
            at += len + 1;
            if (k->n_kept < QUDAG_INBOX_ALLOWED_MAX && qudag_peer_id_parse(&id, line) == QUDAG_OK &&
                kept_at(k, &id) == k->n_kept && allow(k, &id) == QUDAG_OK) {
                k->kept[k->n_kept++] = id;
            }
        }
    }
}

qudag_err receive_allow_begin(struct receives *k, const qudag_peer_id *from, uint64_t n)
{
    qudag_err err =
        n > QUDAG_INBOX_ALLOWED_MAX || (n > 0 && from == NULL) ? QUDAG_EINVAL : QUDAG_OK;

    for (uint64_t ix = 0; err == QUDAG_OK && ix < n; ix++) {
        err = allow(k, &from[ix]);
    }
    if (err == QUDAG_OK) {
        restore(k);
    }
    return err;
}

qudag_err receive_allow(struct receives *k, const qudag_peer_id *peer)
{
    qudag_err err = allow(k, peer);

    if (err != QUDAG_OK || kept_at(k, peer) < k->n_kept) {
        return err;
    }
    if (k->n_kept == QUDAG_INBOX_ALLOWED_MAX) {
        return QUDAG_ELIMIT;
    }
    k->kept[k->n_kept++] = *peer;
    return save(k);
}

qudag_err receive_disallow(struct receives *k, const qudag_peer_id *peer)
{
    qudag_err err = api_disallow(k->node, peer);
    size_t at = kept_at(k, peer);

    if (err != QUDAG_OK || at == k->n_kept) {
        return err;
    }
    k->kept[at] = k->kept[--k->n_kept];
    return save(k);
}
