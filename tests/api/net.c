/* net.c - see net.h. */
#include "net.h"

#include <poll.h>
#include <time.h>

struct peer net[NET_MAX];
const struct net_taker *net_taker;

double net_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool same(const qudag_peer_id *a, const qudag_peer_id *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

static void on_phase(qudag_node *n, qudag_phase p, uint32_t a, uint32_t b, qudag_err err,
                     void *user)
{
    struct peer *me = user;
    (void)n;
    me->phase = p;
    me->phase_a = a;
    me->phase_b = b;
    me->phase_err = err;
    me->phases[p]++;
}

static void on_done(qudag_node *n, qudag_op op, qudag_err err, const qudag_result *res, void *user)
{
    struct peer *p = user;
    (void)n;
    if (p->all_done < NET_OPS) {
        p->errs[p->all_done] = err;
    }
    p->all_done++;
    if (op.id != p->last.id) {
        return;
    }
    p->ops_done++;
    p->err = err;
    p->value_len = res->value.len;
    if (res->value.len > 0) {
        memcpy(p->value, res->value.base, res->value.len);
    }
    p->n_stored = res->peers_n;
    for (size_t i = 0; i < res->peers_n; i++) {
        p->stored[i] = res->peers[i];
    }
    p->n_result_addrs = res->addrs_n;
    p->hidden = res->hidden;
    p->circuit = res->circuit;
    p->count = res->count;
    p->kind = res->kind;
    p->op_user = res->user;
    snprintf(p->text, sizeof(p->text), "%s", res->text);
}

static void on_pin(qudag_node *n, const qudag_pin_event *e, void *user)
{
    struct peer *p = user;

    (void)n;
    p->pin_changes++;
    p->pin = *e;
}

static void on_changed(qudag_node *n, const qudag_peer_id *peer, bool up, void *user)
{
    struct peer *p = user;
    (void)n;
    if (p->n_changes < NET_CHANGES) {
        p->change[p->n_changes].peer = *peer;
        p->change[p->n_changes].up = up;
        p->n_changes++;
    }
}

static void on_in(qudag_node *n, qudag_stream s, const qudag_peer_id *from, const char *dark,
                  const char *proto, void *user)
{
    struct peer *p = user;
    (void)n;
    if (net_taker != NULL && net_taker->in(p, s, proto)) {
        return;
    }
    assert_string_equal(proto, NET_ECHO);
    p->streams_in++;
    p->theirs = s;
    p->from_anonymous = from == NULL;
    snprintf(p->dark_used, sizeof(p->dark_used), "%s", dark != NULL ? dark : "");
}

static void keep(char *dst, size_t *len, size_t cap, qudag_slice data)
{
    assert_true(*len + data.len <= cap);
    if (data.len > 0) {
        memcpy(dst + *len, data.base, data.len);
    }
    *len += data.len;
}

static void on_data(qudag_node *n, qudag_stream s, qudag_slice data, bool fin, void *user)
{
    struct peer *p = user;
    size_t taken;

    if (net_taker != NULL && net_taker->data(p, s, data, fin)) {
        return;
    }
    if (s.id == p->ours.id) {
        qudag_stream_consume(n, s, data.len);
        keep(p->back, &p->back_len, sizeof(p->back), data);
        return;
    }
    if (p->hold) {
        p->got_len += data.len;
        return;
    }
    qudag_stream_consume(n, s, data.len);
    keep(p->got, &p->got_len, sizeof(p->got), data);
    if (data.len > 0) {
        assert_int_equal(qudag_stream_write(n, s, data, &taken), QUDAG_OK);
        assert_int_equal(taken, data.len);
    }
    if (fin) {
        qudag_stream_fin(n, s);
    }
}

static void on_opened(qudag_node *n, qudag_stream s, void *user)
{
    struct peer *p = user;
    size_t taken;

    if ((net_taker != NULL && net_taker->opened(p, s)) || s.id != p->ours.id) {
        return;
    }
    p->opened = true;
    if (p->say != NULL) {
        assert_int_equal(qudag_stream_write(n, s, net_text(p->say), &taken), QUDAG_OK);
        assert_int_equal(taken, strlen(p->say));
        qudag_stream_fin(n, s);
    }
}

static void on_writable(qudag_node *n, qudag_stream s, void *user)
{
    struct peer *p = user;
    (void)n;
    p->writable += s.id == p->ours.id;
}

static void on_closed(qudag_node *n, qudag_stream s, qudag_err why, void *user)
{
    struct peer *p = user;
    if (net_taker != NULL && net_taker->closed(p, s, why)) {
        return;
    }
    if (s.id == p->ours.id) {
        p->closed = true;
        p->closed_why = why;
        p->closed_user = qudag_stream_user(n, s);
    } else if (s.id == p->theirs.id) {
        p->theirs_closed++;
        p->theirs_why = why;
    }
}

static qudag_err on_save(qudag_node *n, const char *name, qudag_slice bytes, void *user)
{
    struct peer *p = user;
    (void)n;
    if (strcmp(name, "onion-key") == 0) {
        p->onion_key_len = 0;
        keep((char *)p->onion_key, &p->onion_key_len, sizeof(p->onion_key), bytes);
    }
    return QUDAG_OK;
}

/* With QUDAG_TEST_LOG in the environment. */
static void on_log(void *user, const qudag_log_record *r)
{
    const struct peer *p = user;
    fprintf(stderr, "%.3f node%02d %s", net_now(), (int)(p - net), r->event);
    for (size_t i = 0; i < r->n; i++) {
        if (r->fields[i].text != NULL) {
            fprintf(stderr, " %s=%s", r->fields[i].name, r->fields[i].text);
        } else {
            fprintf(stderr, " %s=%lld", r->fields[i].name, (long long)r->fields[i].num);
        }
    }
    fprintf(stderr, "\n");
}

void net_start(size_t i, const struct net_options *o)
{
    struct peer *p = &net[i];
    const char *listen[] = {o->listen != NULL ? o->listen : "/ip4/127.0.0.1/udp/0/quic-v1",
                            o->also};
    const char *ns = o->name_space != NULL ? o->name_space : "app";
    qudag_settings s;
    qudag_callbacks cb = {.size = sizeof(cb),
                          .phase = on_phase,
                          .op_done = on_done,
                          .peer_changed = on_changed,
                          .pin_changed = on_pin,
                          .save = on_save,
                          .stream_in = on_in,
                          .stream_data = on_data,
                          .stream_opened = on_opened,
                          .stream_writable = on_writable,
                          .stream_closed = on_closed};
    size_t it = 0;

    QUDAG_SETTINGS_INIT(&s);
    if (p->id == NULL) {
        assert_int_equal(qudag_identity_generate(&p->id), QUDAG_OK);
    }
    s.identity = p->id;
    s.listen = listen;
    s.listen_n = o->also != NULL ? 2 : 1;
    s.pq = o->pq;
    s.bootstrap = o->bootstrap;
    s.bootstrap_n = o->n_bootstrap;
    s.open_namespaces = &ns;
    s.open_namespaces_n = 1;
    s.lab = true;
    s.relay = s.dht_server = !o->client;
    s.announce = &o->announce;
    s.announce_n = o->announce != NULL ? 1 : 0;
    s.circuit_relay = o->circuit_relay;
    s.circuit_relay_bytes = o->circuit_relay_bytes;
    s.circuit_relay_time = o->circuit_relay_time;
    s.mem = o->mem;
    s.links_max = o->links_max != 0 ? o->links_max : s.links_max;
    s.idle_timeout = o->idle_timeout != 0 ? o->idle_timeout : s.idle_timeout;
    s.log = getenv("QUDAG_TEST_LOG") != NULL ? on_log : NULL;
    s.log_level = QUDAG_LOG_DEBUG;
    assert_int_equal(qudag_node_new(&p->node, &s, &cb, p), QUDAG_OK);
    qudag_node_peer_id(p->node, &p->self);
    qudag_peer_id_text(&p->self, p->self_text);
    assert_true(qudag_node_addr_next(p->node, &it, p->addr));
    assert_int_equal(qudag_protocol_serve(p->node, NET_ECHO), QUDAG_OK);
    if (!o->waiting) {
        assert_int_equal(qudag_node_start(p->node), QUDAG_OK);
    }
}

void net_stop(size_t i)
{
    qudag_node_free(net[i].node);
    net[i].node = NULL;
}

int net_stop_all(void **state)
{
    (void)state;
    for (size_t i = 0; i < NET_MAX; i++) {
        net_stop(i);
        qudag_identity_free(net[i].id);
    }
    memset(net, 0, sizeof(net));
    return 0;
}

bool net_all_ready(void)
{
    for (size_t i = 0; i < NET_MAX; i++) {
        if (net[i].node != NULL && !net[i].frozen && net[i].phase != QUDAG_PHASE_READY) {
            return false;
        }
    }
    return true;
}

void net_grow(size_t n, const struct net_options *o)
{
    struct net_options others = *o;

    net_start(0, o);
    others.bootstrap[0] = net[0].addr;
    others.n_bootstrap = 1;
    for (size_t i = 1; i < n; i++) {
        net_start(i, &others);
    }
    NET_WAIT(net_all_ready(), 40);
}

/* Sleeps until one of the nodes has something to do, 20 ms at most; then each gets a turn. */
void net_turn(void)
{
    struct pollfd fd[NET_MAX];
    nfds_t n = 0;
    qudag_ns wait = 20 * QUDAG_MS;

    for (size_t i = 0; i < NET_MAX; i++) {
        if (net[i].node != NULL && !net[i].frozen) {
            qudag_ns t = qudag_node_timeout(net[i].node);
            wait = t < wait ? t : wait;
            fd[n++] = (struct pollfd){.fd = qudag_node_fd(net[i].node), .events = POLLIN};
        }
    }
    struct timespec ts = {.tv_nsec = (long)wait};
    (void)ppoll(fd, n, &ts, NULL);
    for (size_t i = 0; i < NET_MAX; i++) {
        if (net[i].node != NULL && !net[i].frozen) {
            assert_int_equal(qudag_node_step(net[i].node, 0), QUDAG_OK);
        }
    }
}

void net_ask(struct peer *p, qudag_err err)
{
    unsigned before = p->ops_done;

    assert_int_equal(err, QUDAG_OK);
    NET_WAIT(p->ops_done > before, 40);
}

uint64_t net_stat(const struct peer *p, const char *name)
{
    qudag_stat stat = QUDAG_INIT(qudag_stat);

    for (size_t it = 0; qudag_node_stat_next(p->node, &it, &stat);) {
        if (strcmp(stat.name, name) == 0) {
            return stat.value;
        }
    }
    fail_msg("no counter %s", name);
    return 0;
}

struct peer *net_find(const qudag_peer_id *id)
{
    for (size_t i = 0; i < NET_MAX; i++) {
        if (net[i].id != NULL && same(&net[i].self, id)) {
            return &net[i];
        }
    }
    return NULL;
}

size_t net_links(const struct peer *p, const struct peer *to)
{
    qudag_link_info l = QUDAG_INIT(qudag_link_info);
    size_t it = 0, n = 0;

    while (qudag_link_next(p->node, &it, &l)) {
        n += l.state == QUDAG_LINK_UP && same(&l.peer, &to->self);
    }
    return n;
}

unsigned net_changes(const struct peer *p, const struct peer *of, bool up)
{
    unsigned n = 0;

    for (size_t i = 0; i < p->n_changes; i++) {
        n += p->change[i].up == up && same(&p->change[i].peer, &of->self);
    }
    return n;
}

size_t net_holders(qudag_slice key, qudag_slice value)
{
    size_t n = 0;

    for (size_t i = 0; i < NET_MAX; i++) {
        qudag_dht_record r = QUDAG_INIT(qudag_dht_record);
        size_t it = 0;
        while (net[i].node != NULL && qudag_dht_record_next(net[i].node, &it, &r)) {
            n += r.key.len == key.len && memcmp(r.key.base, key.base, key.len) == 0 &&
                 r.value.len == value.len && memcmp(r.value.base, value.base, value.len) == 0;
        }
    }
    return n;
}
