/*
 * testkit_hidden.h - a network in which one node serves a hidden address: nine relays, up to four callers, and the node
 * that serves, whose files are kept as on a disk.  Include cmocka.h before.
 */
#ifndef QUDAG_SRC_NODE_TESTKIT_HIDDEN_H
#define QUDAG_SRC_NODE_TESTKIT_HIDDEN_H

#include "core/relays/relays_impl.h"
#include "node/internal.h"
#include "node/testkit_case.h"

#define RELAYS 9
#define CALLER 9
#define SERVICE 13 /* 10 to 12: more callers */
#define ECHO "/echo/1"
#define FILES 16

static const struct node_dark_of hidden = {DARK_HIDDEN, DARK_NET_LAB};
static struct dark_addr addr;
static bool direct; /* a datagram went from a caller to the service, or back */

/* What the service's node saved, as on a disk. */
static struct {
    char name[64];
    uint8_t bytes[RELAYS_GUARDS_FILE_MAX];
    size_t len;
} file[FILES];

static const char *not_kept; /* what begins so is not saved; NULL: nothing */

static inline qudag_err keep(struct nt_node *t, const char *name, struct slice bytes)
{
    size_t at = FILES;
    (void)t;

    if (not_kept != NULL && strncmp(name, not_kept, strlen(not_kept)) == 0) {
        return QUDAG_ESYSTEM;
    }
    for (size_t i = 0; i < FILES; i++) {
        if (strcmp(file[i].name, name) == 0) {
            at = i;
            break;
        }
        at = at == FILES && file[i].name[0] == '\0' ? i : at;
    }
    assert_true(at < FILES && bytes.len <= sizeof file[at].bytes);
    assert_true(strlen(name) < sizeof file[at].name);
    memcpy(file[at].name, bytes.len > 0 ? name : "", bytes.len > 0 ? strlen(name) + 1 : 1);
    file[at].len = bytes.len;
    if (bytes.len > 0) {
        memcpy(file[at].bytes, bytes.base, bytes.len);
    }
    return QUDAG_OK;
}

static inline size_t n_files(const char *prefix)
{
    size_t n = 0;

    for (size_t i = 0; i < FILES; i++) {
        n += file[i].name[0] != '\0' && strncmp(file[i].name, prefix, strlen(prefix)) == 0;
    }
    return n;
}

static inline void watch(struct nt *nt, const struct nt_pkt *p)
{
    const struct netaddr *s = &nt->node[SERVICE].addr;

    for (size_t i = CALLER; i < SERVICE; i++) {
        const struct netaddr *c = &nt->node[i].addr;
        direct = direct || (netaddr_eq(&p->from, c) && netaddr_eq(&p->to, s)) ||
                 (netaddr_eq(&p->from, s) && netaddr_eq(&p->to, c));
    }
}

static inline void client_of(size_t ix, const struct wallclock *clock)
{
    struct node_config c = nt_config(&net, ix);
    struct nt_node *t = &net.node[ix];

    nt_boot(&net, &c, ix % 3);
    c.relay = c.dht_server = false;
    c.circuits_max = 0;
    c.clock = clock != NULL ? *clock : c.clock;
    assert_int_equal(nt_make(&net, ix, &c), QUDAG_OK);
    if (ix == SERVICE) {
        t->saved = keep;
        t->echo = true;
        for (size_t i = 0; i < FILES; i++) {
            assert_true(file[i].len == 0 || node_restore(t->node, file[i].name,
                                                         (struct slice){file[i].bytes, file[i].len},
                                                         net.now) == QUDAG_OK);
        }
        assert_int_equal(node_serve_dark(t->node, ECHO), QUDAG_OK);
        node_set_announced(t->node, NULL, 0); /* as behind a NAT: it tells nobody an address */
    }
    node_start(t->node);
}

static inline struct nt_ask *ask(size_t ix, const struct node_request *r)
{
    struct nt_node *t = &net.node[ix];

    t->n_asks = 0;
    assert_int_not_equal(nt_ask(t, r), SIZE_MAX);
    (void)nt_run(&net, 120 * NS_PER_S, nt_asked_ended);
    assert_int_equal(t->ask[0].ends, 1);
    return &t->ask[0];
}

static inline void publish(void)
{
    struct node_request r = {.kind = NODE_OP_DARK_PUBLISH, .dark = addr};
    struct nt_ask *a = ask(SERVICE, &r);

    assert_int_equal(a->err, QUDAG_OK);
    assert_true(a->res.count > 0);
}

/* Nine relays, |callers| clients, and one that serves: all that others can tell of the last is its guard. */
static inline void network(size_t callers, const struct wallclock *clock)
{
    memset(file, 0, sizeof file);
    not_kept = NULL;
    direct = false;
    net.watch = watch;
    for (size_t i = 0; i < RELAYS; i++) {
        struct node_config c = nt_config(&net, i);
        c.circuits_max = 0;
        if (i > 0) {
            nt_boot(&net, &c, 0);
        }
        nt_begin(i, &c);
    }
    for (size_t i = 0; i < callers; i++) {
        client_of(CALLER + i, NULL);
    }
    client_of(SERVICE, clock);
    assert_true(nt_run(&net, 60 * NS_PER_S, nt_all_ready));
    (void)nt_run(&net, 60 * NS_PER_S, NULL);
    struct node *n = net.node[SERVICE].node;
    assert_int_equal(node_dark_create(n, &hidden, "h", net.now, &addr), QUDAG_OK);
    publish();
}

static inline struct node_service *service(void)
{
    struct node_service *s = node_service_get(net.node[SERVICE].node, node_keys_tag(&addr));

    assert_non_null(s);
    return s;
}

static inline struct hidden_serve_stats stats(void)
{
    struct hidden_serve_stats st;

    assert_int_equal(hidden_serve_stats_get(net.node[SERVICE].node->services, service()->name, &st),
                     QUDAG_OK);
    return st;
}

static inline struct ref open_from(size_t ix, uint8_t key)
{
    const struct node_isolation k = {.len = key != 0, .key = {key}};
    struct ref s;

    assert_int_equal(node_stream_open_dark(net.node[ix].node, &addr, ECHO, &k, &s), QUDAG_OK);
    return s;
}

static unsigned settled_before; /* streams of the caller that had opened or closed */

static inline bool one_more(struct nt *nt)
{
    return nt->node[CALLER].opened + nt->node[CALLER].closed > settled_before;
}

/* A stream with |key|, opened or not; how long it took, ms. */
static inline uint64_t call(uint8_t key, qudag_err want)
{
    struct nt_node *t = &net.node[CALLER];
    unsigned opened = t->opened, closed = t->closed;
    tstamp begun = net.now;

    settled_before = opened + closed;
    struct ref s = open_from(CALLER, key);
    assert_true(nt_run(&net, 120 * NS_PER_S, one_more));
    uint64_t took = (net.now - begun) / NS_PER_MS;
    if (want == QUDAG_OK) {
        if (t->closed > closed) {
            print_message("closed: %d after %u ms\n", t->closed_why, (unsigned)took);
        }
        assert_int_equal(t->opened, opened + 1);
        node_stream_reset(t->node, s, QUDAG_ECANCELED);
    } else {
        assert_int_equal(t->closed, closed + 1);
        assert_int_equal(t->closed_why, want);
    }
    return took;
}

#endif
