/*
 * expose.c - services of a node: qudag_expose_*(), their addresses and records.
 *
 *   start ─ address made or found by its name ─▶ published when circuits can be built ─ failed ─▶ tried again
 */
#include "app/expose_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static void on_op_done(qudag_node *n, qudag_op op, qudag_err err, const qudag_result *res,
                       void *user);
static void on_phase(qudag_node *n, qudag_phase p, uint32_t a, uint32_t b, qudag_err err,
                     void *user);

static const qudag_callbacks callbacks = {.size = sizeof(callbacks),
                                          .stream_in = expose_stream_in,
                                          .stream_data = expose_stream_data,
                                          .stream_writable = expose_stream_writable,
                                          .stream_closed = expose_stream_closed,
                                          .op_done = on_op_done,
                                          .phase = on_phase};

struct expose_service *expose_at(const struct expose *x, const char *addr)
{
    for (size_t i = 0; i < x->n_services; i++) {
        if (strcmp(x->service[i]->addr, addr) == 0) {
            return x->service[i];
        }
    }
    return NULL;
}

/* By address or name. */
static struct expose_service *find(const struct expose *x, const char *text)
{
    struct expose_service *svc = expose_at(x, text);

    for (size_t i = 0; svc == NULL && i < x->n_services; i++) {
        if (strcmp(x->service[i]->wish.name, text) == 0) {
            svc = x->service[i];
        }
    }
    return svc;
}

/* ------------------------------------------------------------------ records */

static void publish(struct expose_service *svc)
{
    struct expose *x = svc->x;

    svc->retry_at = TSTAMP_NEVER;
    qudag_err err = qudag_dark_publish(x->node, svc->addr, &svc->publishing);
    if (err == QUDAG_OK) {
        err = api_client_op(x->client, svc->publishing);
    }
    if (err != QUDAG_OK) {
        svc->publishing.id = 0;
        svc->publish_err = err;
        svc->retry_at = tstamp_after(api_now(), svc->retry_in);
    }
}

static void on_op_done(qudag_node *n, qudag_op op, qudag_err err, const qudag_result *res,
                       void *user)
{
    struct expose *x = user;
    (void)n;
    (void)res;

    for (size_t i = 0; i < x->n_services; i++) {
        struct expose_service *svc = x->service[i];
        if (svc->publishing.id != op.id || op.id == 0) {
            continue;
        }
        svc->publishing.id = 0;
        svc->publish_err = err;
        if (err == QUDAG_OK) {
            svc->retry_in = EXPOSE_RETRY_MIN; /* the library renews it from here on */
        } else {
            log_event(api_logger(n), LOG_WARN, "expose.not_published", LOG_ERR(err));
            svc->retry_at = tstamp_after(api_now(), svc->retry_in);
            svc->retry_in =
                2 * svc->retry_in < EXPOSE_RETRY_MAX ? 2 * svc->retry_in : EXPOSE_RETRY_MAX;
        }
    }
}

static void on_phase(qudag_node *n, qudag_phase p, uint32_t a, uint32_t b, qudag_err err,
                     void *user)
{
    struct expose *x = user;
    (void)n, (void)a, (void)b, (void)err;

    if (p == QUDAG_PHASE_READY && !x->ready) {
        x->ready = true;
        for (size_t i = 0; i < x->n_services; i++) {
            publish(x->service[i]);
        }
    }
}

/* Services whose address was forgotten end. */
static void end_forgotten(struct expose *x);

static void on_tick(uv_timer_t *t)
{
    struct expose *x = t->data;
    tstamp now = api_now();

    end_forgotten(x);
    expose_conns_tick(x, now);
    for (size_t i = 0; i < x->n_services; i++) {
        if (x->ready && now >= x->service[i]->retry_at) {
            publish(x->service[i]);
        }
    }
}

/* ------------------------------------------------------------------ their life */

static void service_free(struct expose_service *svc)
{
    struct expose *x = svc->x;

    expose_conns_cut(svc, true);
    fair_fini(&svc->callers);
    mem_free(api_mem(x->node), svc);
}

static void on_timer_closed(uv_handle_t *h)
{
    free(h);
}

static void expose_free(struct expose *x)
{
    if (x->timer != NULL) {
        uv_close((uv_handle_t *)x->timer, on_timer_closed);
    }
    splice_pool_drop(x->pool);
    mem_free(api_mem(x->node), x);
}

void expose_memory_set(qudag_node *n, size_t bytes)
{
    struct expose *x = api_client_user(n, &callbacks);

    if (x != NULL) {
        x->pool->mem.max = bytes;
    }
}

static void on_end(void *user)
{
    struct expose *x = user;

    for (size_t i = 0; i < x->n_services; i++) {
        service_free(x->service[i]);
    }
    expose_free(x);
}

static qudag_err begin(struct expose *x)
{
    x->pool = splice_pool_new(EXPOSE_MEMORY_MAX);
    x->timer = x->pool != NULL ? calloc(1, sizeof(*x->timer)) : NULL;
    if (x->timer == NULL) {
        return QUDAG_ENOMEM;
    }
    x->pool->yield = expose_conns_yield;
    x->pool->owner = x;
    (void)uv_timer_init(api_loop(x->node), x->timer); /* cannot fail */
    x->timer->data = x;
    (void)uv_timer_start(x->timer, on_tick, EXPOSE_TICK_MS, EXPOSE_TICK_MS);
    return api_client_new(&x->client, x->node, &callbacks, on_end, x);
}

static uint64_t files_of_process(void)
{
    struct rlimit l;

    return getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur != RLIM_INFINITY ? l.rlim_cur : 0;
}

/* The services of |n|, made at the first call; a node without any has no client for them. */
static qudag_err get(qudag_node *n, struct expose **out)
{
    struct expose *x = api_client_user(n, &callbacks);
    qudag_err err = QUDAG_OK;

    if (x == NULL) {
        x = mem_alloc(api_mem(n), sizeof(*x));
        if (x == NULL) {
            return QUDAG_ENOMEM;
        }
        x->node = n;
        x->ready = qudag_node_phase(n) == QUDAG_PHASE_READY;
        list_init(&x->asking);
        x->files = files_of_process();
        err = begin(x);
        if (err != QUDAG_OK) {
            expose_free(x);
            return err;
        }
    }
    if (!x->serving) {
        err = api_client_serve_dark(x->client, TUNNEL_PROTOCOL);
        x->serving = err == QUDAG_OK;
    }
    *out = x;
    return err;
}

/* Whether the own address |info| serves for |o|: a direct one does not hide a service that is to be hidden. */
static bool fits(const qudag_dark_info *info, const qudag_expose_options *o)
{
    return (info->kind == QUDAG_DARK_HIDDEN || o->direct) &&
           (o->network == QUDAG_DARK_MAIN || info->network == o->network);
}

/*
 * The own address with that label; else a new one.  *ours: nobody publishes it so far.  QUDAG_EEXISTS: that label is of
 * one which does not fit.
 */
static qudag_err address(qudag_node *n, const char *name, const qudag_expose_options *o,
                         char addr[QUDAG_DARK_TEXT_MAX], bool *ours)
{
    qudag_dark_info info = QUDAG_INIT(qudag_dark_info);
    const qudag_dark_wish wish = {.size = sizeof(wish),
                                  .kind = o->direct ? QUDAG_DARK_DIRECT : QUDAG_DARK_HIDDEN,
                                  .label = name,
                                  .network = o->network,
                                  .choose_network = o->network != QUDAG_DARK_MAIN};

    for (size_t it = 0; qudag_dark_next(n, &it, &info);) {
        if (strcmp(info.label, name) == 0) {
            if (!fits(&info, o)) {
                return QUDAG_EEXISTS;
            }
            memcpy(addr, info.addr, sizeof(info.addr));
            *ours = !info.published;
            return QUDAG_OK;
        }
    }
    *ours = true;
    return qudag_dark_create_with(n, &wish, addr);
}

static qudag_err service_new(struct expose *x, const struct expose_wish *w, const char *addr,
                             struct expose_service **out)
{
    uint8_t seed[16];
    struct expose_service *svc;

    if (x->n_services == QUDAG_EXPOSE_MAX) {
        return QUDAG_ELIMIT;
    }
    svc = mem_alloc(api_mem(x->node), sizeof(*svc));
    if (svc == NULL) {
        return QUDAG_ENOMEM;
    }
    api_random(seed, sizeof(seed));
    fair_init(&svc->callers, api_mem(x->node), seed, 2 * QUDAG_EXPOSE_CONNECTIONS);
    svc->x = x;
    svc->wish = *w;
    (void)snprintf(svc->addr, sizeof(svc->addr), "%s", addr);
    list_init(&svc->conns);
    list_init(&svc->denied);
    svc->retry_at = TSTAMP_NEVER;
    svc->retry_in = EXPOSE_RETRY_MIN;
    x->service[x->n_services++] = svc;
    *out = svc;
    return QUDAG_OK;
}

/* Its name on disk: the first characters of the address, which are of its keys. */
static void kept_name(char out[API_KEPT_NAME_MAX + 1], const char *addr)
{
    (void)snprintf(out, API_KEPT_NAME_MAX + 1, EXPOSE_KEPT "%.32s", addr);
}

/* Also of one that is not resumed: the next start sees what was published for it. */
static qudag_err save(struct expose_service *svc)
{
    char name[API_KEPT_NAME_MAX + 1];
    uint8_t bytes[EXPOSE_SAVED_MAX];

    kept_name(name, svc->addr);
    size_t len = expose_wish_put(bytes, &svc->wish, svc->addr);
    return api_save(svc->x->node, name, (qudag_slice){bytes, len});
}

/* It is not to be found any more, unless somebody else published it: SPEC TU-10. */
static void unpublish(struct expose *x, const struct expose_wish *w, const char *addr)
{
    qudag_op op;

    if (w->ours && qudag_dark_unpublish(x->node, addr, &op) == QUDAG_OK) {
        (void)!api_client_op(x->client, op);
    }
}

static void drop(struct expose *x, struct expose_service *svc)
{
    size_t i = 0;

    while (x->service[i] != svc) {
        i++;
    }
    x->service[i] = x->service[--x->n_services];
    service_free(svc);
}

/* What the node says of the address of |svc|; false: it has been forgotten. */
static bool address_of(const struct expose_service *svc, qudag_dark_info *info)
{
    for (size_t it = 0; qudag_dark_next(svc->x->node, &it, info);) {
        if (strcmp(info->addr, svc->addr) == 0) {
            return true;
        }
    }
    return false;
}

static void end_forgotten(struct expose *x)
{
    char name[API_KEPT_NAME_MAX + 1];

    for (size_t i = x->n_services; i-- > 0;) {
        struct expose_service *svc = x->service[i];
        qudag_dark_info info = QUDAG_INIT(qudag_dark_info);
        if (address_of(svc, &info)) {
            continue;
        }
        kept_name(name, svc->addr);
        qudag_err err = api_save(x->node, name, (qudag_slice){NULL, 0});
        if (err != QUDAG_OK) { /* left out at the next start, as its keys are gone */
            log_event(api_logger(x->node), LOG_WARN, "expose.not_removed", LOG_ERR(err));
        }
        drop(x, svc);
    }
}

static qudag_err start(struct expose *x, const struct expose_wish *w, const char *addr)
{
    struct expose_service *svc = expose_at(x, addr);
    bool is_new = svc == NULL;
    qudag_err err = is_new ? service_new(x, w, addr, &svc) : QUDAG_OK;

    if (err != QUDAG_OK) {
        return err;
    }
    struct expose_wish before = svc->wish;
    svc->wish = *w;
    svc->wish.ours = is_new ? w->ours : before.ours;
    err = save(svc);
    if (err != QUDAG_OK) { /* as it was */
        svc->wish = before;
        if (is_new) {
            drop(x, svc);
        }
        return err;
    }
    expose_conns_cut(svc, false);
    if (x->ready && is_new) {
        publish(svc);
    }
    return err;
}

qudag_err qudag_expose_check(const qudag_expose_options *o, char *why, size_t why_len)
{
    struct expose_wish w;

    if (why != NULL && why_len > 0) {
        why[0] = '\0';
    }
    return expose_wish_read(&w, o, why, why_len);
}

qudag_err qudag_expose_start(qudag_node *n, const qudag_expose_options *o,
                             char addr[QUDAG_DARK_TEXT_MAX])
{
    qudag_expose_options full = {.size = 0};
    struct expose_wish w;
    struct expose *x;

    if (n == NULL || addr == NULL) {
        return QUDAG_EINVAL;
    }
    qudag_err err = expose_wish_read(&w, o, NULL, 0);
    if (err == QUDAG_OK) {
        err = api_sized_in(&full, sizeof(full), o);
    }
    if (err == QUDAG_OK) {
        err = get(n, &x);
    }
    if (err == QUDAG_OK) {
        err = address(n, w.name, &full, addr, &w.ours);
    }
    return err == QUDAG_OK ? start(x, &w, addr) : err;
}

/* ENOTFOUND: it is not to be kept any longer. */
static qudag_err resume_one(struct expose *x, qudag_slice bytes)
{
    struct expose_wish w;
    char addr[QUDAG_DARK_TEXT_MAX];
    qudag_dark_info info = QUDAG_INIT(qudag_dark_info);
    qudag_err err = expose_wish_get(&w, addr, (struct slice){bytes.base, bytes.len});

    if (err != QUDAG_OK) {
        return err;
    }
    for (size_t it = 0; qudag_dark_next(x->node, &it, &info);) {
        if (strcmp(info.addr, addr) == 0) {
            struct expose_service *svc;
            if (w.keep) {
                return service_new(x, &w, addr, &svc);
            }
            unpublish(x, &w, addr);
            return QUDAG_ENOTFOUND;
        }
    }
    return QUDAG_ENOTFOUND; /* its keys are gone: forgotten while it was not running */
}

qudag_err qudag_expose_resume(qudag_node *n)
{
    const char *name;
    qudag_slice bytes;
    struct expose *x;
    size_t it = 0;

    if (n == NULL) {
        return QUDAG_EINVAL;
    }
    while (api_kept_next(n, EXPOSE_KEPT, &it, &name, &bytes)) {
        qudag_err err = get(n, &x);
        if (err != QUDAG_OK) {
            return err;
        }
        err = resume_one(x, bytes);
        if (err == QUDAG_ENOTFOUND) {
            err = api_save(n, name, (qudag_slice){NULL, 0});
        }
        if (err != QUDAG_OK) {
            log_event(api_logger(n), LOG_WARN, "expose.not_resumed", LOG_ERR(err));
        }
    }
    return QUDAG_OK;
}

qudag_err qudag_expose_stop(qudag_node *n, const char *addr)
{
    struct expose *x = n != NULL && addr != NULL ? api_client_user(n, &callbacks) : NULL;

    if (n == NULL || addr == NULL) {
        return QUDAG_EINVAL;
    }
    struct expose_service *svc = x != NULL ? find(x, addr) : NULL;
    if (svc == NULL) {
        return QUDAG_ENOTFOUND;
    }
    char name[API_KEPT_NAME_MAX + 1];
    kept_name(name, svc->addr);
    qudag_err err = api_save(n, name, (qudag_slice){NULL, 0});
    if (err == QUDAG_OK) {
        unpublish(x, &svc->wish, svc->addr);
        drop(x, svc);
    }
    return err;
}

/* ------------------------------------------------------------------ what there is */

static void describe(qudag_expose_info *out, const struct expose_service *svc)
{
    struct splice_moved moved = expose_conns_moved(svc);
    qudag_dark_info info = QUDAG_INIT(qudag_dark_info);

    if (address_of(svc, &info)) {
        out->published = info.published;
        out->direct = info.kind == QUDAG_DARK_DIRECT;
    }
    (void)snprintf(out->addr, sizeof(out->addr), "%s", svc->addr);
    (void)snprintf(out->name, sizeof(out->name), "%s", svc->wish.name);
    out->ports_n = (uint32_t)svc->wish.n_ports;
    for (size_t i = 0; i < svc->wish.n_ports; i++) {
        (void)target_port_text(out->port[i], sizeof(out->port[i]), &svc->wish.port[i]);
    }
    out->keep = svc->wish.keep;
    out->force = svc->wish.force;
    out->connections = svc->callers.n;
    out->connections_max = expose_connections_max(svc->wish.max, svc->x->n_services, svc->x->files);
    out->publish_err = svc->publish_err;
    out->accepted = svc->accepted;
    out->no_port = svc->answered[TUNNEL_NO_PORT];
    out->refused = svc->answered[TUNNEL_REFUSED];
    out->unreached = svc->answered[TUNNEL_UNREACHED];
    out->full = svc->answered[TUNNEL_FULL];
    out->evicted = svc->evicted;
    out->bytes_in = moved.to_local;
    out->bytes_out = moved.to_stream;
}

bool qudag_expose_next(const qudag_node *n, size_t *it, qudag_expose_info *out)
{
    const struct expose *x = n != NULL ? api_client_user(n, &callbacks) : NULL;
    qudag_expose_info full = {.size = sizeof(full)};

    if (x == NULL || it == NULL || out == NULL || *it >= x->n_services) {
        return false;
    }
    describe(&full, x->service[(*it)++]);
    return api_sized_out(out, &full, sizeof(full));
}
