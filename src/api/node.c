/* node.c - life of a qudag_node: callbacks out, loop, state. */
#include "api/internal.h"

#include "node/rules.h"
#include "node/saved.h"

#include <stdlib.h>
#include <string.h>

static void cb_stream_in(void *ctx, struct ref s, const struct peer_id *from, const char *dark,
                         const char *proto)
{
    struct qudag_node *n = ctx;
    struct api_client *c = api_client_serving(n, proto);
    struct api_hearer to = api_hearer(n, c);
    qudag_peer_id peer;

    (void)node_stream_set_owner(n->node, s, c);
    if (from != NULL) {
        api_peer_out(&peer, from);
    }
    if (to.cb->stream_in != NULL) {
        n->in_callback++;
        to.cb->stream_in(n, (qudag_stream){ref_out(s)}, from != NULL ? &peer : NULL, dark, proto,
                         to.user);
        n->in_callback--;
    }
}

static void cb_stream_data(void *ctx, struct ref s, struct slice data, bool fin)
{
    struct qudag_node *n = ctx;
    struct api_hearer to = api_stream_hearer(n, s);

    if (to.cb->stream_data != NULL) {
        n->in_callback++;
        to.cb->stream_data(n, (qudag_stream){ref_out(s)}, slice_out(data), fin, to.user);
        n->in_callback--;
    } else {
        node_stream_consume(n->node, s, data.len);
    }
}

static void cb_stream_opened(void *ctx, struct ref s)
{
    struct qudag_node *n = ctx;
    struct api_hearer to = api_stream_hearer(n, s);

    if (to.cb->stream_opened != NULL) {
        n->in_callback++;
        to.cb->stream_opened(n, (qudag_stream){ref_out(s)}, to.user);
        n->in_callback--;
    }
}

static void cb_stream_writable(void *ctx, struct ref s)
{
    struct qudag_node *n = ctx;
    struct api_hearer to = api_stream_hearer(n, s);

    if (to.cb->stream_writable != NULL) {
        n->in_callback++;
        to.cb->stream_writable(n, (qudag_stream){ref_out(s)}, to.user);
        n->in_callback--;
    }
}

static void cb_stream_closed(void *ctx, struct ref s, qudag_err why)
{
    struct qudag_node *n = ctx;
    struct api_hearer to = api_stream_hearer(n, s);

    if (to.cb->stream_closed != NULL) {
        n->in_callback++;
        to.cb->stream_closed(n, (qudag_stream){ref_out(s)}, why, to.user);
        n->in_callback--;
    }
}

static void cb_released(void *ctx, const struct node_owned *b)
{
    struct qudag_node *n = ctx;

    n->in_callback++;
    b->release(b->ctx, b->data.base, b->data.len);
    n->in_callback--;
}

static void cb_stream_old(void *ctx, struct ref s, uint64_t left_ns)
{
    struct qudag_node *n = ctx;
    struct api_hearer to = api_stream_hearer(n, s);

    if (to.cb->stream_old != NULL) {
        n->in_callback++;
        to.cb->stream_old(n, (qudag_stream){ref_out(s)}, left_ns, to.user);
        n->in_callback--;
    }
}

static void cb_peer_changed(void *ctx, const struct peer_id *peer, bool up)
{
    struct qudag_node *n = ctx;
    qudag_peer_id p;

    api_peer_out(&p, peer);
    for (size_t i = 0; i <= n->n_clients; i++) {
        struct api_hearer to = api_hearer(n, i < n->n_clients ? n->client[i] : NULL);
        if (to.cb->peer_changed != NULL) {
            n->in_callback++;
            to.cb->peer_changed(n, &p, up, to.user);
            n->in_callback--;
        }
    }
}

const char *qudag_link_why_name(qudag_link_why why)
{
    static const char *const name[] = {"none", "our-limit", "their-limit", "timeout",
                                       "auth", "policy",    "network",     "protocol",
                                       "here", "peer",      "reset"};

    return (unsigned)why < ARRAY_LEN(name) ? name[why] : "?";
}

static void cb_link_changed(void *ctx, const struct swarm_link_change *c)
{
    struct qudag_node *n = ctx;
    char remote[NETADDR_TEXT_MAX] = "";
    qudag_link_event e = {.size = sizeof(e),
                          .state = (qudag_link_state)c->state,
                          .link = c->id,
                          .why = (qudag_link_why)c->why,
                          .err = c->err,
                          .transport = c->transport,
                          .text = c->text != NULL ? c->text : "",
                          .remote = remote,
                          .inbound = c->inbound};

    if (c->remote.family != 0) {
        (void)netaddr_text(remote, sizeof(remote), &c->remote);
    }
    api_peer_out(&e.peer, &c->peer);
    for (size_t i = 0; i <= n->n_clients; i++) {
        struct api_hearer to = api_hearer(n, i < n->n_clients ? n->client[i] : NULL);
        if (to.cb->link_changed != NULL) {
            n->in_callback++;
            to.cb->link_changed(n, &e, to.user);
            n->in_callback--;
        }
    }
}

static void cb_reach_changed(void *ctx)
{
    struct qudag_node *n = ctx;
    qudag_reach now;

    api_reach(&now, n);
    for (size_t i = 0; i <= n->n_clients; i++) {
        struct api_hearer to = api_hearer(n, i < n->n_clients ? n->client[i] : NULL);
        if (to.cb->reach_changed != NULL) {
            n->in_callback++;
            to.cb->reach_changed(n, &now, to.user);
            n->in_callback--;
        }
    }
}

static void cb_pin_changed(void *ctx, const struct succession *what, enum swarm_follow verdict)
{
    struct qudag_node *n = ctx;
    qudag_pin_event e = {.size = sizeof(e),
                         .change =
                             verdict == SWARM_FOLLOW ? QUDAG_PIN_FOLLOWED : QUDAG_PIN_CONFLICT};

    api_succession_out(&e.statement, what);
    for (size_t i = 0; i <= n->n_clients; i++) {
        struct api_hearer to = api_hearer(n, i < n->n_clients ? n->client[i] : NULL);
        if (to.cb->pin_changed != NULL) {
            n->in_callback++;
            to.cb->pin_changed(n, &e, to.user);
            n->in_callback--;
        }
    }
}

/* The addresses of the one peer find_peer asked for, as text. */
static void put_addrs(qudag_result *r, const struct node_result *res, const char **list,
                      char text[][QUDAG_ADDR_TEXT_MAX])
{
    const struct kad_peer_info *p = res->n_peers == 1 ? res->peers : NULL;

    for (size_t i = 0; p != NULL && i < p->n_addrs; i++) {
        if (multiaddr_text(text[i], QUDAG_ADDR_TEXT_MAX, &p->addr[i]) > 0) {
            list[r->addrs_n++] = text[i];
        }
    }
    const struct peer_id *service = node_rule_service(res->target);
    if (service != NULL && peer_id_text(text[0], service) > 0) {
        list[0] = text[0];
        r->addrs_n = 1;
    }
    r->addrs = list;
}

static void cb_op_done(void *ctx, struct ref op, qudag_err err, const struct node_result *res)
{
    struct qudag_node *n = ctx;
    qudag_peer_id peers[API_RESULT_PEERS_MAX];
    const char *addrs[KAD_ADDRS_MAX];
    char text[KAD_ADDRS_MAX][QUDAG_ADDR_TEXT_MAX];
    char why[API_WHY_LEN];
    qudag_result r = {.size = sizeof(r),
                      .kind = api_op_kind(res->req),
                      .user = res->req->user,
                      .text = why,
                      .value = slice_out(res->value),
                      .took = res->took,
                      .rtt = res->rtt,
                      .count = res->count,
                      .rpcs = res->rpcs,
                      .hops = res->hops,
                      .circuit = {ref_out(res->circuit)},
                      .cached = res->cached,
                      .hidden = res->target != NULL && res->target->kind == DARK_HIDDEN};

    struct api_hearer to = api_hearer(n, res->req->owner);
    if (to.cb->op_done == NULL) {
        return;
    }
    for (size_t i = 0; i < res->n_peers && i < API_RESULT_PEERS_MAX; i++) {
        api_peer_out(&peers[r.peers_n++], &res->peers[i].id);
    }
    const struct peer_id *found = api_op_found(res->req, err);
    if (found != NULL) {
        api_peer_out(&peers[0], found);
        r.peers_n = 1;
    }
    r.peers = peers;
    api_op_text(n, res->req, err, res->count, why, sizeof(why));
    if (api_op_on_circuit(r.kind)) {
        struct relays_diversity d = relays_diversity(node_relays(n->node));
        r.relays_drawn = d.relays;
        r.networks_drawn = d.networks;
    }
    put_addrs(&r, res, addrs, text);
    n->in_callback++;
    to.cb->op_done(n, (qudag_op){ref_out(op)}, err, &r, to.user);
    n->in_callback--;
}

static void cb_phase(void *ctx, enum node_phase p, uint32_t a, uint32_t b, qudag_err err)
{
    struct qudag_node *n = ctx;

    n->said = (struct api_phase){(qudag_phase)p, a, b, err};
    for (size_t i = 0; i <= n->n_clients; i++) {
        struct api_hearer to = api_hearer(n, i < n->n_clients ? n->client[i] : NULL);
        if (to.cb->phase != NULL) {
            n->in_callback++;
            to.cb->phase(n, (qudag_phase)p, a, b, err, to.user);
            n->in_callback--;
        }
    }
}

static void cb_circuit_closed(void *ctx, struct ref c, qudag_err why)
{
    struct qudag_node *n = ctx;

    if (n->cb.circuit_closed != NULL) {
        n->in_callback++;
        n->cb.circuit_closed(n, (qudag_circuit){ref_out(c)}, why, n->user);
        n->in_callback--;
    }
}

static qudag_err cb_save(void *ctx, const char *name, struct slice bytes)
{
    struct qudag_node *n = ctx;

    n->in_callback++;
    qudag_err err = n->cb.save(n, name, slice_out(bytes), n->user);
    n->in_callback--;
    return err;
}

static void on_log(void *ctx, const struct log_record *rec)
{
    const struct qudag_node *n = ctx;
    qudag_log_field field[LOG_FIELDS_MAX];
    qudag_log_record out = {.size = sizeof(out),
                            .level = (qudag_log_level)rec->level,
                            .event = rec->event,
                            .n = rec->n,
                            .fields = field};

    for (size_t i = 0; i < rec->n && i < LOG_FIELDS_MAX; i++) {
        field[i] = (qudag_log_field){.name = rec->field[i].name,
                                     .cls = (qudag_log_class)rec->field[i].cls,
                                     .text = rec->field[i].text,
                                     .num = rec->field[i].num};
    }
    n->log(n->user, &out);
}

/* A copy that lives as long as the node; a failed one sets *ok to false. */
static const char *own_text(struct qudag_node *n, const char *text, bool *ok)
{
    size_t len = strlen(text);
    char *copy = mem_alloc(&n->mem, len + 1);
    if (copy == NULL) {
        *ok = false;
        return NULL;
    }
    memcpy(copy, text, len);
    n->strings[n->n_strings++] = copy;
    return copy;
}

static qudag_err own_texts(struct qudag_node *n, struct node_config *c, const qudag_settings *s)
{
    static const char *const usual[] = {"app"};
    const char *const *ns = s->open_namespaces != NULL ? s->open_namespaces : usual;
    size_t n_ns = s->open_namespaces != NULL ? s->open_namespaces_n : ARRAY_LEN(usual);
    bool ok = true;

    n->first_ns = 2; /* behind protocol and agent */
    const char *dht = s->lab ? KAD_PROTOCOL_LAB : KAD_PROTOCOL;
    c->dht_protocol = own_text(n, s->dht_protocol != NULL ? s->dht_protocol : dht, &ok);
    c->agent = own_text(n, s->agent != NULL ? s->agent : "qudag", &ok);
    for (size_t i = 0; i < n_ns; i++) {
        c->open_ns[c->n_open_ns++] = own_text(n, ns[i], &ok);
    }
    return ok ? QUDAG_OK : QUDAG_ENOMEM;
}

/* Which of the default sources are others than before; the new ones are kept. */
static void learn_sources(struct qudag_node *n, struct netaddr left[2])
{
    for (size_t i = 0; i < 2; i++) {
        struct netaddr now;
        left[i] = (struct netaddr){0};
        if (!io_default_source(i == 0 ? 4 : 6, &now)) {
            continue; /* no way out at present */
        }
        if (n->source[i].family != 0 && !netaddr_same_ip(&n->source[i], &now)) {
            left[i] = n->source[i];
        }
        n->source[i] = now;
    }
}

static void learn_moved(struct qudag_node *n)
{
    struct netaddr have[IO_ADDRS_MAX];
    struct swarm_moved m = {.have = have, .n_have = io_addrs_all(n->io, have)};

    m.n_have = m.n_have < IO_ADDRS_MAX ? m.n_have : 0;
    learn_sources(n, m.left);
    node_moved(n->node, &m, io_now());
}

static void learn_addrs(struct qudag_node *n)
{
    struct multiaddr now[NODE_LISTEN_MAX];
    struct netaddr a[NODE_LISTEN_MAX];
    size_t n_tcp = io_tcp_addrs(n->io, a, API_TCP_ADDRS), count, same = 0;

    count = io_addrs(n->io, a, NODE_LISTEN_MAX - n_tcp);
    for (size_t i = 0; i < count; i++) {
        multiaddr_quic(&now[i], &a[i], NULL);
    }
    n_tcp = io_tcp_addrs(n->io, a, NODE_LISTEN_MAX - count);
    for (size_t i = 0; i < n_tcp; i++) {
        multiaddr_tcp(&now[count++], &a[i], NULL);
    }
    while (same < count && same < n->n_addrs && multiaddr_eq(&now[same], &n->addr[same])) {
        same++;
    }
    if (same == count && same == n->n_addrs) {
        return;
    }
    memcpy(n->addr, now, sizeof(now));
    n->n_addrs = count;
    node_set_addrs(n->node, n->addr, n->n_addrs);
}

/* Where the Internet is, for whoever opens ports there. */
static void learn_gateways(struct qudag_node *n)
{
    struct node_gateway way[2];

    for (size_t i = 0; i < 2; i++) {
        if (!router_find(i == 0 ? 4 : 6, &way[i].gateway, &way[i].source)) {
            way[i] = (struct node_gateway){.gateway = {.family = 0}};
        }
    }
    node_set_gateways(n->node, way, io_now());
}

/* Also when interfaces or routes have changed since. */
static void learn_all(void *node)
{
    learn_addrs(node);
    learn_moved(node);
    learn_gateways(node);
}

static void on_solved(void *ctx, uint64_t id, qudag_err err, uint64_t nonce)
{
    struct qudag_node *n = ctx;

    node_solved(n->node, id, err, nonce, io_now());
}

static qudag_err on_solve(void *ctx, uint64_t id, const struct rend_work_task *task)
{
    struct qudag_node *n = ctx;
    qudag_err err = QUDAG_OK;

    if (n->solver == NULL) {
        err = solver_new(&n->solver, n->io, on_solved, n);
    }
    return err == QUDAG_OK ? solver_add(n->solver, id, task) : err;
}

static void on_unsolve(void *ctx, uint64_t id)
{
    const struct qudag_node *n = ctx;

    solver_drop(n->solver, id);
}

static void on_resolved(void *ctx, uint64_t id, qudag_err err, const struct slice *records,
                        size_t count)
{
    struct qudag_node *n = ctx;

    node_resolved(n->node, id, err, records, count, io_now());
}

static qudag_err on_resolve(void *ctx, uint64_t id, enum names_kind kind, const char *name)
{
    struct qudag_node *n = ctx;
    qudag_err err = QUDAG_OK;

    if (n->resolve == NULL) {
        err = resolve_new(&n->resolve, n->io, on_resolved, n);
    }
    return err == QUDAG_OK ? resolve_add(n->resolve, id, kind, name) : err;
}

static void on_unresolve(void *ctx, uint64_t id)
{
    const struct qudag_node *n = ctx;

    resolve_drop(n->resolve, id);
}

static qudag_err on_socket_open(void *ctx, uint8_t family, struct netaddr *local)
{
    struct qudag_node *n = ctx;

    return io_socket_open(n->io, family, local);
}

static void on_socket_close(void *ctx, const struct netaddr *local)
{
    const struct qudag_node *n = ctx;

    io_socket_close(n->io, local);
}

static bool on_upnp_done(void *ctx, uint64_t id, const struct portmap_upnp_answer *a)
{
    struct qudag_node *n = ctx;

    return node_upnp_done(n->node, id, a, io_now());
}

static qudag_err on_upnp(void *ctx, const struct portmap_upnp *what)
{
    struct qudag_node *n = ctx;
    qudag_err err = QUDAG_OK;

    if (n->upnp == NULL) {
        err = upnp_new(&n->upnp, n->io, on_upnp_done, n);
    }
    return err == QUDAG_OK ? upnp_add(n->upnp, what) : err;
}

static qudag_err make(struct qudag_node *n, struct api_settings *read)
{
    static const struct node_hooks hooks = {.stream_in = cb_stream_in,
                                            .stream_data = cb_stream_data,
                                            .stream_opened = cb_stream_opened,
                                            .stream_writable = cb_stream_writable,
                                            .stream_closed = cb_stream_closed,
                                            .released = cb_released,
                                            .stream_old = cb_stream_old,
                                            .peer_changed = cb_peer_changed,
                                            .link_changed = cb_link_changed,
                                            .reach_changed = cb_reach_changed,
                                            .pin_changed = cb_pin_changed,
                                            .op_done = cb_op_done,
                                            .phase = cb_phase,
                                            .circuit_closed = cb_circuit_closed,
                                            .save = cb_save,
                                            .solve = on_solve,
                                            .unsolve = on_unsolve,
                                            .resolve = on_resolve,
                                            .unresolve = on_unresolve,
                                            .upnp = on_upnp,
                                            .socket_open = on_socket_open,
                                            .socket_close = on_socket_close,
                                            .persist = api_persist_put};
    struct node_hooks h = hooks;
    struct node_config *c = &read->config;
    const qudag_settings *s = &read->full;
    struct io_failure why;
    qudag_err err = own_texts(n, c, s);

    if (err != QUDAG_OK) {
        return err;
    }
    h.ctx = n;
    h.save = n->cb.save != NULL ? cb_save : NULL;
    c->mem = &n->mem;
    c->rng = io_rng();
    c->clock = (struct wallclock){.base = io_wall(), .at = io_now()};
    if (s->log != NULL) {
        c->log = (struct logger){on_log, n, (enum log_level)s->log_level};
    }
    n->logger = c->log;
    if (s->store_dir != NULL && (err = api_persist_open(n, s, &c->log)) != QUDAG_OK) {
        return err;
    }
    err = io_new(&n->io, s->uv_loop, read->listen, read->n_listen, &why);
    if (err == QUDAG_OK) {
        err = io_listen_tcp(n->io, read->listen_tcp, read->n_listen_tcp, &why);
    }
    if (err != QUDAG_OK) {
        log_event(&c->log, LOG_ERROR, "io.failed", LOG_STR("call", why.call),
                  LOG_STR("error", strerror(why.err)), LOG_NUM("address", why.at));
        return err;
    }
    err = node_new(&n->node, c, &h, io_now());
    if (err == QUDAG_OK) {
        io_attach(n->io, n->node);
        io_attach_store(n->io, n->store);
        peer_id_from_ed25519(&n->self, s->identity->id.ed_pk);
        node_set_announced(n->node, read->announce, read->n_announce);
        learn_all(n);
        io_on_addrs(n->io, learn_all, n);
    }
    return err;
}

/* The program's callbacks as ours: those of which it does not know are absent. */
static qudag_err callbacks_in(qudag_callbacks *out, const qudag_callbacks *cb)
{
    memset(out, 0, sizeof(*out));
    if (cb == NULL) {
        return QUDAG_OK;
    }
    qudag_err err = api_sized_in(out, sizeof(*out), cb);
    return err == QUDAG_OK && out->pad != 0 ? QUDAG_EINVAL : err;
}

static qudag_err make_with(struct qudag_node *n, struct api_settings *read, const qudag_settings *s,
                           const qudag_callbacks *cb)
{
    qudag_err err = api_settings_read(read, s, NULL, 0);

    if (err == QUDAG_OK) {
        err = callbacks_in(&n->cb, cb);
    }
    if (err != QUDAG_OK) {
        return err;
    }
    const qudag_settings *full = &read->full;
    if (full->mem != NULL) {
        n->hooks = (struct mem_hooks){full->mem->ctx, full->mem->alloc, full->mem->free};
    }
    mem_init(&n->mem, full->mem != NULL ? &n->hooks : NULL, full->memory_max);
    n->log = full->log;
    n->stats = mem_alloc(&n->mem, API_STATS_MAX * sizeof(*n->stats));
    return n->stats == NULL ? QUDAG_ENOMEM : make(n, read);
}

qudag_err qudag_node_new(qudag_node **out, const qudag_settings *s, const qudag_callbacks *cb,
                         void *user)
{
    if (out == NULL) {
        return QUDAG_EINVAL;
    }
    *out = NULL;
    struct api_settings *read = calloc(1, sizeof(*read));
    struct qudag_node *n = calloc(1, sizeof(*n));
    qudag_err err = QUDAG_ENOMEM;

    if (read != NULL && n != NULL) {
        n->user = user;
        err = make_with(n, read, s, cb);
    }
    free(read);
    if (err != QUDAG_OK) {
        qudag_node_free(n);
        return err;
    }
    *out = n;
    return QUDAG_OK;
}

void qudag_node_free(qudag_node *n)
{
    if (n == NULL) {
        return;
    }
    n->in_callback++; /* nobody drives it any more */
    api_clients_end(n);
    if (n->node != NULL) {
        node_shutdown(n->node, io_now());
    }
    io_shutdown(n->io);
    node_free(n->node); /* may call back once more, and then every function works: io is there */
    if (n->io != NULL) {
        io_attach(n->io, NULL);
    }
    solver_free(n->solver);
    resolve_free(n->resolve);
    upnp_free(n->upnp);
    io_free(n->io);
    store_close(n->store);
    api_clients_free(n);
    api_rules_free(n);
    mem_free(&n->mem, n->stats);
    for (size_t i = 0; i < n->n_strings; i++) {
        mem_free(&n->mem, n->strings[i]);
    }
    free(n);
}

qudag_err qudag_node_restore(qudag_node *n, const char *name, qudag_slice bytes)
{
    if (n == NULL || name == NULL || (bytes.base == NULL && bytes.len > 0)) {
        return QUDAG_EINVAL;
    }
    return api_kept_name(name) ? api_kept_add(n, name, bytes)
                               : node_restore(n->node, name, slice_in(bytes), io_now());
}

qudag_err qudag_node_start(qudag_node *n)
{
    if (n == NULL) {
        return QUDAG_EINVAL;
    }
    if (n->started) {
        return QUDAG_ESTATE;
    }
    if (node_foreign(n->node)) {
        return QUDAG_EAUTH;
    }
    n->started = true;
    api_persist_load(n);
    node_start(n->node);
    return QUDAG_OK;
}

qudag_err qudag_node_run(qudag_node *n)
{
    if (n == NULL) {
        return QUDAG_EINVAL;
    }
    return n->in_callback > 0 ? QUDAG_ESTATE : io_run(n->io);
}

qudag_err qudag_node_step(qudag_node *n, qudag_ns wait_max)
{
    if (n == NULL) {
        return QUDAG_EINVAL;
    }
    return n->in_callback > 0 ? QUDAG_ESTATE : io_step(n->io, wait_max);
}

int qudag_node_fd(const qudag_node *n)
{
    return n == NULL ? -1 : io_fd(n->io);
}

qudag_ns qudag_node_timeout(const qudag_node *n)
{
    return n == NULL ? UINT64_MAX : io_timeout(n->io);
}

struct posted {
    void (*fn)(qudag_node *, void *);
    void *arg;
    qudag_node *node;
};

static void run_posted(void *a, void *b)
{
    struct posted *p = a;
    (void)b;

    p->fn(p->node, p->arg);
    free(p);
}

qudag_err qudag_node_post(qudag_node *n, void (*fn)(qudag_node *, void *), void *arg)
{
    struct posted *p = n != NULL && fn != NULL ? malloc(sizeof(*p)) : NULL;

    if (p == NULL) {
        return n == NULL || fn == NULL ? QUDAG_EINVAL : QUDAG_ENOMEM;
    }
    *p = (struct posted){fn, arg, n};
    qudag_err err = io_post(n->io, run_posted, p, NULL);
    if (err != QUDAG_OK) {
        free(p);
    }
    return err;
}

void qudag_node_stop(qudag_node *n)
{
    if (n != NULL) {
        io_stop(n->io);
    }
}

void qudag_node_peer_id(const qudag_node *n, qudag_peer_id *out)
{
    if (n != NULL && out != NULL) {
        api_peer_out(out, &n->self);
    }
}

bool qudag_node_addr_next(const qudag_node *n, size_t *it, char text[QUDAG_ADDR_TEXT_MAX])
{
    if (n == NULL || it == NULL || text == NULL || *it >= n->n_addrs) {
        return false;
    }
    return api_addr_text(text, &n->addr[(*it)++], &n->self);
}

bool qudag_node_announced_next(const qudag_node *n, size_t *it, char text[QUDAG_ADDR_TEXT_MAX])
{
    struct multiaddr ma;

    return n != NULL && it != NULL && text != NULL && node_announced_next(n->node, it, &ma) &&
           api_addr_text(text, &ma, &n->self);
}

void qudag_node_join_text(const qudag_node *n, char *out, size_t cap)
{
    struct node_join_why why;

    if (out == NULL || cap == 0) {
        return;
    }
    out[0] = '\0';
    if (n != NULL) {
        node_join_why_get(n->node, &why);
        api_join_text(&why, out, cap);
    }
}

qudag_phase qudag_node_phase(const qudag_node *n)
{
    return n == NULL ? QUDAG_PHASE_START : (qudag_phase)node_phase_get(n->node);
}
