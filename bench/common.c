/* common.c - see common.h. */
#include "common.h"

#include "api/internal.h"
#include "io/io.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BLOCK (64 * 1024)

static uint8_t zeros[BLOCK];

void must(bool ok, const char *what)
{
    if (!ok) {
        (void)fprintf(stderr, "bench: %s (process %d)\n", what, (int)getpid());
        exit(1);
    }
}

double now_s(void)
{
    struct timespec t;

    must(clock_gettime(CLOCK_MONOTONIC, &t) == 0, "clock");
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

double median(double *v, size_t n)
{
    must(n > 0, "no samples");
    qsort(v, n, sizeof *v, by_size);
    return v[n / 2];
}

uint64_t option(int argc, char **argv, const char *name, uint64_t otherwise)
{
    for (int i = 1; i + 1 < argc; i++) {
        if (strcmp(argv[i], name) == 0) {
            return strtoull(argv[i + 1], NULL, 10);
        }
    }
    return otherwise;
}

/* A line "FIELD N kB" of a file below /proc. */
static double proc_bytes(const char *file, const char *field)
{
    FILE *f = fopen(file, "r");
    char line[128];
    double kib = 0;

    must(f != NULL, file);
    while (fgets(line, sizeof line, f) != NULL) {
        if (strncmp(line, field, strlen(field)) == 0) {
            kib = strtod(line + strlen(field), NULL);
        }
    }
    must(fclose(f) == 0, "close");
    return kib * 1024;
}

struct usage usage_now(void)
{
    struct rusage r;

    must(getrusage(RUSAGE_SELF, &r) == 0, "getrusage");
    return (struct usage){
        .cpu_s = (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
                 (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6,
        .rss = proc_bytes("/proc/self/status", "VmRSS:"),
        .anon = proc_bytes("/proc/self/status", "RssAnon:"),
        .high = proc_bytes("/proc/self/status", "VmHWM:"),
    };
}

/* ---- the node of this process: callbacks */

/* The place of the stream |id|, looked for from |near| on: where flow_add() has put it, or close to it. */
static struct flow *flow_from(struct actor *a, uint64_t id, uint64_t near)
{
    for (size_t i = 0; i < BENCH_STREAMS_MAX; i++) {
        struct flow *f = &a->flow[(near + i) % BENCH_STREAMS_MAX];
        if (f->id == id) {
            return f;
        }
    }
    return NULL;
}

static struct flow *flow_of(struct actor *a, uint64_t id)
{
    return flow_from(a, id, id);
}

/* A place for the stream |id|; NULL: there is none. */
static struct flow *flow_add(struct actor *a, uint64_t id)
{
    struct flow *f = flow_from(a, 0, id);

    if (f != NULL) {
        *f = (struct flow){.id = id};
    }
    return f;
}

static void feed(struct actor *a, struct flow *f)
{
    qudag_stream s = {f->id};
    size_t taken = 1;

    while (f->to_send > 0 && taken > 0) {
        size_t n = f->to_send < BLOCK ? (size_t)f->to_send : BLOCK;
        qudag_err err = qudag_stream_write(a->node, s, (qudag_slice){zeros, n}, &taken);
        must(err == QUDAG_OK || err == QUDAG_EAGAIN, "write");
        f->to_send -= taken;
    }
    if (f->to_send == 0 && f->fin_wanted) {
        f->fin_wanted = false;
        qudag_stream_fin(a->node, s);
    }
}

static void on_in(qudag_node *n, qudag_stream s, const qudag_peer_id *from, const char *dark,
                  const char *proto, void *user)
{
    struct flow *f = flow_add(user, s.id);
    (void)from;
    (void)dark;

    if (f == NULL) {
        qudag_stream_reset(n, s, QUDAG_ECANCELED);
        return;
    }
    f->source = strcmp(proto, BENCH_SOURCE) == 0;
    f->sink = strcmp(proto, BENCH_SINK) == 0;
}

/* A stream a peer opened. */
static void serve(struct actor *a, struct flow *f, qudag_slice data)
{
    if (f->source) {
        while (f->head_n < sizeof f->head && data.len > 0) {
            f->head[f->head_n++] = *data.base++;
            data.len--;
            if (f->head_n == sizeof f->head) {
                memcpy(&f->to_send, f->head, sizeof f->to_send);
                f->fin_wanted = true;
                feed(a, f);
            }
        }
    } else if (!f->sink) {
        size_t taken = 0;
        qudag_err err = qudag_stream_write(a->node, (qudag_stream){f->id}, data, &taken);
        must((err == QUDAG_OK && taken == data.len) || err == QUDAG_ESTALE, "echo");
    }
}

static void on_data(qudag_node *n, qudag_stream s, qudag_slice data, bool fin, void *user)
{
    struct actor *a = user;
    struct flow *f = flow_of(a, s.id);

    qudag_stream_consume(n, s, data.len);
    if (f == NULL) {
        return;
    }
    f->got += data.len;
    f->fin = fin;
    if (f->first) {
        return; /* ours: got is all that counts */
    }
    serve(a, f, data);
    if (fin && f->sink) {
        size_t taken = 0;
        must(qudag_stream_write(n, s, (qudag_slice){(const uint8_t *)&f->got, 8}, &taken) ==
                     QUDAG_OK &&
                 taken == 8,
             "answer");
    }
    if (fin && !f->source) {
        qudag_stream_fin(n, s);
    }
}

static void on_writable(qudag_node *n, qudag_stream s, void *user)
{
    struct flow *f = flow_of(user, s.id);
    (void)n;

    if (f != NULL) {
        feed(user, f);
    }
}

static void on_opened(qudag_node *n, qudag_stream s, void *user)
{
    on_writable(n, s, user);
}

static void on_closed(qudag_node *n, qudag_stream s, qudag_err why, void *user)
{
    struct flow *f = flow_of(user, s.id);
    (void)n;
    (void)why;

    if (f != NULL && f->first) {
        f->closed = true;
    } else if (f != NULL) {
        f->id = 0;
    }
}

static void on_phase(qudag_node *n, qudag_phase p, uint32_t x, uint32_t y, qudag_err err,
                     void *user)
{
    (void)n;
    (void)x;
    (void)y;
    (void)err;
    ((struct actor *)user)->phase = p;
}

static void on_done(qudag_node *n, qudag_op op, qudag_err err, const qudag_result *res, void *user)
{
    struct actor *a = user;

    if (op.id == a->op.id) {
        a->op_over = true;
        a->op_err = err;
        a->op_circuit = res->circuit;
        a->op_rpcs = res->rpcs;
        a->op_peers = res->peers_n;
        return;
    }
    if (a->pending == 0) {
        return;
    }
    a->pending--;
    if (err != QUDAG_OK) {
        a->failed++;
    } else if (a->keep) {
        a->circuit[a->built++ % BENCH_CIRCUITS_MAX] = res->circuit;
    } else {
        a->built++;
        must(qudag_circuit_close(n, res->circuit) == QUDAG_OK, "close");
    }
}

static void on_circuit_closed(qudag_node *n, qudag_circuit c, qudag_err why, void *user)
{
    (void)n;
    (void)c;
    (void)why;
    ((struct actor *)user)->lost++;
}

/* ---- the node of this process: its commands */

void actor_make(struct actor *a, const struct actor_opts *o)
{
    const char *listen = o->listen != NULL ? o->listen : "/ip4/127.0.0.1/udp/0/quic-v1";
    static const qudag_callbacks cb = {.size = sizeof(cb),
                                       .phase = on_phase,
                                       .op_done = on_done,
                                       .stream_in = on_in,
                                       .stream_data = on_data,
                                       .stream_opened = on_opened,
                                       .stream_writable = on_writable,
                                       .stream_closed = on_closed,
                                       .circuit_closed = on_circuit_closed};
    qudag_settings s;
    size_t it = 0;

    memset(a, 0, sizeof *a);
    QUDAG_SETTINGS_INIT(&s);
    must(qudag_identity_generate(&a->id) == QUDAG_OK, "identity");
    s.identity = a->id;
    s.listen = &listen;
    s.listen_n = 1;
    s.bootstrap = &o->bootstrap;
    s.bootstrap_n = o->bootstrap != NULL ? 1 : 0;
    s.lab = true;
    s.relay = o->relay;
    s.relays_min = o->relays_min;
    s.clean_circuits = o->clean;
    s.dark_delay_ms = 0; /* what waits on purpose is not measured */
    s.dark_hide_cache = false;
    must(qudag_node_new(&a->node, &s, &cb, a) == QUDAG_OK, "node");
    must(qudag_node_addr_next(a->node, &it, a->addr), "address");
    must(qudag_protocol_serve(a->node, BENCH_ECHO) == QUDAG_OK &&
             qudag_protocol_serve(a->node, BENCH_SINK) == QUDAG_OK &&
             qudag_protocol_serve(a->node, BENCH_SOURCE) == QUDAG_OK,
         "serve");
}

void actor_start(struct actor *a, const struct actor_opts *o)
{
    actor_make(a, o);
    must(qudag_node_start(a->node) == QUDAG_OK, "start");
}

void actor_stop(struct actor *a)
{
    qudag_node_free(a->node);
    qudag_identity_free(a->id);
}

void actor_wait_ready(struct actor *a)
{
    ACTOR_WAIT(a, a->phase == QUDAG_PHASE_READY, 20);
}

qudag_circuit actor_build(struct actor *a)
{
    a->op_over = false;
    must(qudag_circuit_build(a->node, 3, &a->op) == QUDAG_OK, "build");
    ACTOR_WAIT(a, a->op_over, 20);
    must(a->op_err == QUDAG_OK, qudag_strerror(a->op_err));
    return a->op_circuit;
}

void actor_build_many(struct actor *a, unsigned n, unsigned at_once, bool keep)
{
    double end = now_s() + 30;
    qudag_op op;

    a->built = a->failed = a->pending = 0;
    a->keep = keep;
    for (unsigned asked = 0; asked < n || a->pending > 0;) {
        while (asked < n && a->pending < at_once) {
            must(qudag_circuit_build(a->node, 3, &op) == QUDAG_OK, "build");
            a->pending++;
            asked++;
        }
        must(qudag_node_step(a->node, QUDAG_S) == QUDAG_OK, "step");
        must(now_s() < end, "circuits: too slow");
    }
    if (a->failed != 0) {
        (void)fprintf(stderr, "bench: %u of %u circuits failed\n", a->failed, n);
        exit(1);
    }
}

struct flow *actor_call(struct actor *a, const char *addr, uint32_t key, const char *proto)
{
    qudag_dark_options o = QUDAG_INIT(qudag_dark_options);
    qudag_stream s;

    o.isolation_len = sizeof key;
    memcpy(o.isolation, &key, sizeof key);
    /* One user may make 48 first circuits to an address, all together 64 (doc/decisions/0057). */
    o.local_user = key <= 48 ? 1 : key <= 60 ? 2 : 3;
    must(qudag_dark_open_with(a->node, addr, proto, &o, &s) == QUDAG_OK, "call");
    struct flow *f = flow_add(a, s.id);
    must(f != NULL, "streams");
    f->first = true;
    return f;
}

struct flow *actor_open(struct actor *a, qudag_circuit c, const char *proto)
{
    qudag_stream s;

    must(qudag_circuit_stream(a->node, c, proto, &s) == QUDAG_OK, "stream");
    struct flow *f = flow_add(a, s.id);
    must(f != NULL, "streams");
    f->first = true;
    return f;
}

void actor_write(struct actor *a, const struct flow *f, const void *p, size_t len)
{
    size_t taken = 0;

    while (taken < len) { /* small: it waits for the stream to be opened only */
        size_t n = 0;
        qudag_err err =
            qudag_stream_write(a->node, (qudag_stream){f->id},
                               (qudag_slice){(const uint8_t *)p + taken, len - taken}, &n);
        must(err == QUDAG_OK || err == QUDAG_EAGAIN, "write");
        taken += n;
        if (taken < len) {
            must(qudag_node_step(a->node, QUDAG_S) == QUDAG_OK, "step");
        }
    }
}

void actor_drop(struct actor *a, struct flow *f)
{
    if (!f->closed) {
        qudag_stream_reset(a->node, (qudag_stream){f->id}, QUDAG_ECANCELED);
    }
    f->id = 0;
}

double actor_fetch(struct actor *a, qudag_circuit c, uint64_t bytes, unsigned streams)
{
    struct flow *f[BENCH_STREAMS_MAX];
    uint64_t part = bytes / streams;
    double begin;

    must(streams <= BENCH_STREAMS_MAX, "streams");
    for (unsigned i = 0; i < streams; i++) {
        f[i] = actor_open(a, c, BENCH_SOURCE);
    }
    begin = now_s();
    for (unsigned i = 0; i < streams; i++) {
        actor_write(a, f[i], &part, sizeof part);
    }
    for (unsigned i = 0; i < streams; i++) {
        ACTOR_WAIT(a, f[i]->got >= part, 600);
    }
    begin = now_s() - begin;
    for (unsigned i = 0; i < streams; i++) {
        must(f[i]->got == part, "more than was asked for");
        actor_drop(a, f[i]);
    }
    return begin;
}

double actor_push(struct actor *a, qudag_circuit c, uint64_t bytes)
{
    struct flow *f = actor_open(a, c, BENCH_SINK);
    double begin = now_s();

    f->to_send = bytes;
    f->fin_wanted = true;
    ACTOR_WAIT(a, f->got == 8, 600);
    begin = now_s() - begin;
    actor_drop(a, f);
    return begin;
}

/* ---- a process that is one node */

static struct actor self;
static char order[QUDAG_ADDR_TEXT_MAX + 16];
static bool has_order;
static pthread_mutex_t order_lock = PTHREAD_MUTEX_INITIALIZER;

static void wake(qudag_node *n, void *arg)
{
    (void)n;
    (void)arg;
}

static void *read_orders(void *arg)
{
    char line[sizeof order];
    FILE *in = arg;

    while (fgets(line, sizeof line, in) != NULL) {
        must(pthread_mutex_lock(&order_lock) == 0, "lock");
        memcpy(order, line, sizeof order);
        has_order = true;
        must(pthread_mutex_unlock(&order_lock) == 0, "unlock");
        must(qudag_node_post(self.node, wake, NULL) == QUDAG_OK, "post");
    }
    return NULL;
}

static bool take_order(char out[sizeof order])
{
    bool some;

    must(pthread_mutex_lock(&order_lock) == 0, "lock");
    some = has_order;
    memcpy(out, order, sizeof order);
    has_order = false;
    must(pthread_mutex_unlock(&order_lock) == 0, "unlock");
    return some;
}

static unsigned circuits_of_others(void)
{
    qudag_circuit_info c = QUDAG_INIT(qudag_circuit_info);
    unsigned n = 0;

    for (size_t it = 0; qudag_circuit_next(self.node, &it, &c);) {
        n += c.role != QUDAG_CIRCUIT_CLIENT;
    }
    return n;
}

static void meet(const char *addr)
{
    char text[QUDAG_ADDR_TEXT_MAX];

    (void)snprintf(text, sizeof text, "%.*s", (int)strcspn(addr, "\n"), addr);
    self.op_over = false;
    must(qudag_connect(self.node, text, &self.op) == QUDAG_OK, "connect");
    /* Where there is a link already this turn reports it; a longer one would wait for something else. */
    must(qudag_node_step(self.node, 0) == QUDAG_OK, "step");
    ACTOR_WAIT(&self, self.op_over, 20);
    must(self.op_err == QUDAG_OK, qudag_strerror(self.op_err));
}

static void tell_known(FILE *out)
{
    qudag_link_info l = QUDAG_INIT(qudag_link_info);
    qudag_peer_id p;
    unsigned links = 0, peers = 0;

    for (size_t it = 0; qudag_link_next(self.node, &it, &l);) {
        links += l.state == QUDAG_LINK_UP;
    }
    for (size_t it = 0; qudag_dht_table_next(self.node, &it, &p);) {
        peers++;
    }
    (void)fprintf(out, "known %u %u\n", links, peers);
}

static void find_many(unsigned first, unsigned n, FILE *out)
{
    static struct finds f;

    f = (struct finds){.ok = 0};
    must(n <= BENCH_FINDS_MAX, "finds");
    for (unsigned i = 0; i < n; i++) {
        char key[BENCH_KEY_MAX];
        double begin = now_s();
        int len = snprintf(key, sizeof key, BENCH_KEY, first + i);
        self.op_over = false;
        must(qudag_dht_closest(self.node, (qudag_slice){(const uint8_t *)key, (size_t)len},
                               &self.op) == QUDAG_OK,
             "closest");
        ACTOR_WAIT(&self, self.op_over, 60);
        f.ns[i] = (now_s() - begin) * 1e9;
        f.ok += self.op_err == QUDAG_OK && self.op_peers == 20;
        f.requests += self.op_rpcs;
    }
    (void)fprintf(out, "finds %" PRIu64 " %" PRIu64 "\n", f.ok, f.requests);
    for (unsigned i = 0; i < n; i++) {
        (void)fprintf(out, "%.0f%c", f.ns[i], i + 1 < n ? ' ' : '\n');
    }
}

static void host(unsigned n, FILE *out)
{
    for (unsigned i = 0; i < n; i++) {
        const struct node_dark_of of = {DARK_HIDDEN, DARK_NET_LAB};
        char text[QUDAG_DARK_TEXT_MAX], label[16];
        struct dark_addr a;

        (void)snprintf(label, sizeof label, "s%u", i);
        must(node_dark_create(self.node->node, &of, label, io_now(), &a) == QUDAG_OK, "address");
        must(dark_addr_text(text, &a) > 0, "text");
        self.op_over = false;
        must(qudag_dark_publish(self.node, text, &self.op) == QUDAG_OK, "publish");
        ACTOR_WAIT(&self, self.op_over, 60);
        must(self.op_err == QUDAG_OK, qudag_strerror(self.op_err));
        (void)fprintf(out, "hosted %s\n", text);
    }
}

/* Calls that stay, one after the other; a call that fails is counted and not repeated. */
static void call_many(unsigned n, const char *addr, FILE *out)
{
    unsigned there = 0;

    for (unsigned i = 1; i <= n; i++) {
        struct flow *f = actor_call(&self, addr, i, BENCH_ECHO);
        actor_write(&self, f, "x", 1);
        ACTOR_WAIT(&self, f->got == 1 || f->closed, 60);
        there += f->got == 1 ? 1 : 0;
    }
    (void)fprintf(out, "called %u\n", there);
}

static void obey(const char *line, FILE *out)
{
    char addr[QUDAG_DARK_TEXT_MAX];
    uint64_t n;
    unsigned streams, first;

    if (strncmp(line, "usage", 5) == 0) {
        struct usage u = usage_now();
        (void)fprintf(out, "usage %.0f %.0f %.0f %.0f\n", u.cpu_s * 1e9, u.rss, u.anon, u.high);
    } else if (sscanf(line, "build %u", &streams) == 1) {
        actor_wait_ready(&self);
        actor_build_many(&self, streams, 16, true);
        (void)fprintf(out, "built %u\n", self.built);
    } else if (sscanf(line, "fetch %" SCNu64 " %u", &n, &streams) == 2) {
        double s = actor_fetch(&self, actor_build(&self), n, streams);
        (void)fprintf(out, "fetched %.0f\n", s * 1e9);
    } else if (strncmp(line, "ready", 5) == 0) {
        actor_wait_ready(&self);
        (void)fprintf(out, "ready\n");
    } else if (strncmp(line, "meet ", 5) == 0) {
        meet(line + 5);
        (void)fprintf(out, "met\n");
    } else if (strncmp(line, "known", 5) == 0) {
        tell_known(out);
    } else if (sscanf(line, "find %u %u", &first, &streams) == 2) {
        find_many(first, streams, out);
    } else if (sscanf(line, "call %u %127s", &streams, addr) == 2) {
        call_many(streams, addr, out);
    } else if (sscanf(line, "host %u", &streams) == 1) {
        host(streams, out);
    } else if (strncmp(line, "circuits", 8) == 0) {
        (void)fprintf(out, "circuits %u\n", circuits_of_others());
    }
    must(fflush(out) == 0, "answer");
}

/* argv: NAME --node FD FD RELAY:CLEAN RELAYS_MIN BOOTSTRAP|- */
bool child_main(int argc, char **argv)
{
    struct actor_opts o = {.listen = NULL};
    pthread_t thread;
    char line[sizeof order];

    if (argc != 7 || strcmp(argv[1], "--node") != 0) {
        return false;
    }
    (void)prctl(PR_SET_PDEATHSIG, 9);
    FILE *in = fdopen((int)strtol(argv[2], NULL, 10), "r"),
         *out = fdopen((int)strtol(argv[3], NULL, 10), "w");
    must(in != NULL && out != NULL, "pipes");
    char *colon = strchr(argv[4], ':');
    must(colon != NULL, "arguments");
    o.relay = argv[4][0] == '1';
    o.clean = (uint8_t)strtol(colon + 1, NULL, 10);
    o.relays_min = (uint32_t)strtol(argv[5], NULL, 10);
    o.bootstrap = strcmp(argv[6], "-") == 0 ? NULL : argv[6];
    actor_start(&self, &o);
    (void)fprintf(out, "%s\n", self.addr);
    must(fflush(out) == 0, "answer");
    must(pthread_create(&thread, NULL, read_orders, in) == 0, "thread");
    for (;;) {
        must(qudag_node_step(self.node, 60 * QUDAG_S) == QUDAG_OK, "step");
        if (take_order(line)) {
            if (strncmp(line, "quit", 4) == 0) {
                break;
            }
            obey(line, out);
        }
    }
    actor_stop(&self);
    return true;
}

void child_start(struct child *c, const struct actor_opts *o)
{
    int to[2], from[2];
    char a[16], b[16], relay[8], min[16];

    must(pipe2(to, O_CLOEXEC) == 0 && pipe2(from, O_CLOEXEC) == 0, "pipe");
    c->pid = fork();
    must(c->pid >= 0, "fork");
    if (c->pid == 0) {
        (void)fcntl(to[0], F_SETFD, 0);
        (void)fcntl(from[1], F_SETFD, 0);
        (void)snprintf(a, sizeof a, "%d", to[0]);
        (void)snprintf(b, sizeof b, "%d", from[1]);
        (void)snprintf(relay, sizeof relay, "%d:%u", o->relay, (unsigned)o->clean);
        (void)snprintf(min, sizeof min, "%u", o->relays_min);
        (void)execl("/proc/self/exe", "node", "--node", a, b, relay, min,
                    o->bootstrap != NULL ? o->bootstrap : "-", (char *)NULL);
        _exit(127);
    }
    must(close(to[0]) == 0 && close(from[1]) == 0, "close");
    c->to = fdopen(to[1], "w");
    c->from = fdopen(from[0], "r");
    must(c->to != NULL && c->from != NULL, "fdopen");
    must(fgets(c->addr, sizeof c->addr, c->from) != NULL, "the node did not start");
    c->addr[strcspn(c->addr, "\n")] = 0;
}

void child_order(struct child *c, const char *text)
{
    must(fprintf(c->to, "%s\n", text) > 0 && fflush(c->to) == 0, "order");
}

uint64_t child_answer(struct child *c, const char *word)
{
    char line[256];
    size_t n = strlen(word);

    must(fgets(line, sizeof line, c->from) != NULL && strncmp(line, word, n) == 0, word);
    return strtoull(line + n, NULL, 10);
}

struct usage child_usage(struct child *c)
{
    struct usage u;
    char line[256];
    double ns = 0;

    child_order(c, "usage");
    must(fgets(line, sizeof line, c->from) != NULL &&
             sscanf(line, "usage %lf %lf %lf %lf", &ns, &u.rss, &u.anon, &u.high) == 4,
         "usage");
    u.cpu_s = ns / 1e9;
    return u;
}

double child_cpu_s(const struct child *c)
{
    clockid_t clock;
    struct timespec t;

    must(clock_getcpuclockid(c->pid, &clock) == 0 && clock_gettime(clock, &t) == 0,
         "a node's processor time");
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

double child_rss(const struct child *c)
{
    char file[64];

    (void)snprintf(file, sizeof file, "/proc/%d/status", (int)c->pid);
    return proc_bytes(file, "VmRSS:");
}

double child_pss(const struct child *c)
{
    char file[64];

    (void)snprintf(file, sizeof file, "/proc/%d/smaps_rollup", (int)c->pid);
    return proc_bytes(file, "Pss:");
}

void child_find(struct child *c, unsigned first, unsigned n, struct finds *out)
{
    char text[64];

    must(n <= BENCH_FINDS_MAX, "finds");
    (void)snprintf(text, sizeof text, "find %u %u", first, n);
    child_order(c, text);
    must(fscanf(c->from, "finds %" SCNu64 " %" SCNu64, &out->ok, &out->requests) == 2, "finds");
    for (unsigned i = 0; i < n; i++) {
        must(fscanf(c->from, "%lf", &out->ns[i]) == 1, "latencies");
    }
    must(fgetc(c->from) == '\n', "end of the answer");
}

void children_ready(struct child *c, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        child_order(&c[i], "ready");
        (void)child_answer(&c[i], "ready");
    }
    (void)usleep(2500 * 1000); /* the first one found nobody to store its descriptor at once */
}

void child_stop(struct child *c)
{
    int status = 0;

    child_order(c, "quit");
    must(fclose(c->to) == 0 && fclose(c->from) == 0, "close");
    must(waitpid(c->pid, &status, 0) == c->pid && WIFEXITED(status) && WEXITSTATUS(status) == 0,
         "a node failed");
}
