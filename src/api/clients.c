/* clients.c - clients of the node beside the program, and what they kept. */
#include "api/internal.h"

#include <string.h>

/* One thing that a client kept on disk in an earlier life. */
struct api_kept {
    char name[API_KEPT_NAME_MAX + 1];
    size_t len;
    uint8_t bytes[];
};

qudag_err api_client_new(struct api_client **out, qudag_node *n, const qudag_callbacks *cb,
                         void (*end)(void *user), void *user)
{
    *out = NULL;
    if (n->ending) {
        return QUDAG_ESTATE;
    }
    if (api_client_user(n, cb) != NULL) {
        return QUDAG_EEXISTS;
    }
    if (n->n_clients == API_CLIENTS_MAX) {
        return QUDAG_ELIMIT;
    }
    struct api_client *c = mem_alloc(&n->mem, sizeof(*c));
    if (c == NULL) {
        return QUDAG_ENOMEM;
    }
    *c = (struct api_client){.node = n, .cb = cb, .end = end, .user = user};
    n->client[n->n_clients++] = c;
    *out = c;
    return QUDAG_OK;
}

void *api_client_user(const qudag_node *n, const qudag_callbacks *cb)
{
    for (size_t i = 0; i < n->n_clients; i++) {
        if (n->client[i]->cb == cb) {
            return n->client[i]->user;
        }
    }
    return NULL;
}

qudag_err api_client_serve_dark(struct api_client *c, const char *proto)
{
    if (c->n_protos == API_PROTOCOLS_MAX) {
        return QUDAG_ELIMIT;
    }
    qudag_err err = node_serve_dark(c->node->node, proto);
    if (err == QUDAG_OK) {
        c->proto[c->n_protos++] = proto;
    }
    return err;
}

qudag_err api_client_serve_allowed(struct api_client *c, const char *proto)
{
    for (size_t k = 0; k < c->n_protos; k++) {
        if (strcmp(c->proto[k], proto) == 0) {
            return QUDAG_OK;
        }
    }
    if (c->n_protos == API_PROTOCOLS_MAX) {
        return QUDAG_ELIMIT;
    }
    qudag_err err = node_serve_allowed(c->node->node, proto);
    if (err == QUDAG_OK) {
        c->proto[c->n_protos++] = proto;
    }
    return err;
}

qudag_err api_allow(qudag_node *n, const qudag_peer_id *peer)
{
    struct peer_id p;

    return api_peer_in(&p, peer) ? node_allow(n->node, &p) : QUDAG_EINVAL;
}

qudag_err api_disallow(qudag_node *n, const qudag_peer_id *peer)
{
    struct peer_id p;

    return api_peer_in(&p, peer) ? node_disallow(n->node, &p) : QUDAG_EINVAL;
}

bool api_allows(const qudag_node *n, const qudag_peer_id *peer)
{
    struct peer_id p;

    return api_peer_in(&p, peer) && node_allows(n->node, &p);
}

bool api_allowed_next(const qudag_node *n, size_t *it, qudag_peer_id *out)
{
    const struct peer_id *p = node_allowed_at(n->node, *it);

    if (p != NULL) {
        (*it)++;
        api_peer_out(out, p);
    }
    return p != NULL;
}

bool api_stream_moves(const qudag_node *n, qudag_stream s)
{
    return node_stream_moves(n->node, ref_in(s.id));
}

qudag_err api_client_stream(struct api_client *c, qudag_stream s)
{
    return node_stream_set_owner(c->node->node, ref_in(s.id), c) ? QUDAG_OK : QUDAG_ESTALE;
}

qudag_err api_client_op(struct api_client *c, qudag_op op)
{
    return node_op_set_owner(c->node->node, ref_in(op.id), c) ? QUDAG_OK : QUDAG_ESTALE;
}

void api_client_release(struct api_client *c, qudag_stream s)
{
    (void)node_stream_set_owner(c->node->node, ref_in(s.id), NULL);
}

const qudag_callbacks *api_program(const qudag_node *n, void **user)
{
    *user = n->user;
    return &n->cb;
}

struct api_client *api_client_serving(const qudag_node *n, const char *proto)
{
    for (size_t i = 0; i < n->n_clients; i++) {
        for (size_t k = 0; k < n->client[i]->n_protos; k++) {
            if (strcmp(n->client[i]->proto[k], proto) == 0) {
                return n->client[i];
            }
        }
    }
    return NULL;
}

static const qudag_callbacks deaf = {.size = sizeof(deaf)};

struct api_hearer api_hearer(const qudag_node *n, const struct api_client *c)
{
    if (c == NULL) {
        return (struct api_hearer){&n->cb, n->user};
    }
    return (struct api_hearer){c->ended ? &deaf : c->cb, c->user};
}

struct api_hearer api_stream_hearer(const qudag_node *n, struct ref s)
{
    return api_hearer(n, node_stream_owner(n->node, s));
}

void api_clients_end(qudag_node *n)
{
    n->ending = true;
    for (size_t i = 0; i < n->n_clients; i++) {
        n->client[i]->ended = true;
        n->client[i]->end(n->client[i]->user);
    }
}

void api_clients_free(qudag_node *n)
{
    for (size_t i = 0; i < n->n_clients; i++) {
        mem_free(&n->mem, n->client[i]);
    }
    for (size_t i = 0; i < n->n_kept; i++) {
        mem_free_wiped(&n->mem, n->kept[i]);
    }
    mem_free(&n->mem, n->kept);
}

struct uv_loop_s *api_loop(const qudag_node *n)
{
    return io_loop(n->io);
}

struct mem *api_mem(qudag_node *n)
{
    return &n->mem;
}

const struct logger *api_logger(const qudag_node *n)
{
    return &n->logger;
}

qudag_ns api_now(void)
{
    return io_now();
}

int64_t api_wall_ms(void)
{
    return (int64_t)io_wall() * 1000;
}

void api_random(void *out, size_t len)
{
    const struct rng r = io_rng();

    rng_fill(&r, out, len);
}

/* ------------------------------------------------------------------ what they keep */

bool api_kept_name(const char *name)
{
    return strncmp(name, API_KEPT_PREFIX, strlen(API_KEPT_PREFIX)) == 0 &&
           api_text_fits(name, API_KEPT_NAME_MAX);
}

qudag_err api_save(qudag_node *n, const char *name, qudag_slice bytes)
{
    if (!api_kept_name(name) || bytes.len > API_KEPT_BYTES_MAX) {
        return QUDAG_EINVAL;
    }
    if (n->cb.save == NULL) {
        return QUDAG_OK;
    }
    n->in_callback++;
    qudag_err err = n->cb.save(n, name, bytes, n->user);
    n->in_callback--;
    return err;
}

qudag_err api_kept_add(qudag_node *n, const char *name, qudag_slice bytes)
{
    if (n->started) {
        return QUDAG_ESTATE;
    }
    if (bytes.len == 0 || bytes.len > API_KEPT_BYTES_MAX) {
        return QUDAG_EMALFORMED;
    }
    if (n->n_kept == API_KEPT_MAX) {
        return QUDAG_ELIMIT;
    }
    if (n->kept == NULL) {
        n->kept = mem_alloc_n(&n->mem, API_KEPT_MAX, sizeof(struct api_kept *));
    }
    struct api_kept *k = n->kept != NULL ? mem_alloc(&n->mem, sizeof(*k) + bytes.len) : NULL;
    if (k == NULL) {
        return QUDAG_ENOMEM;
    }
    memcpy(k->name, name, strlen(name) + 1);
    k->len = bytes.len;
    memcpy(k->bytes, bytes.base, bytes.len);
    n->kept[n->n_kept++] = k;
    return QUDAG_OK;
}

bool api_kept_next(const qudag_node *n, const char *prefix, size_t *it, const char **name,
                   qudag_slice *bytes)
{
    while (*it < n->n_kept) {
        const struct api_kept *k = n->kept[(*it)++];
        if (strncmp(k->name, prefix, strlen(prefix)) == 0) {
            *name = k->name;
            *bytes = (qudag_slice){k->bytes, k->len};
            return true;
        }
    }
    return false;
}
