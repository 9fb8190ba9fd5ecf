/*
 * names_test.c - addresses with names between whole nodes, over a resolver made up here: connect, bootstrap, keep.
 *
 * TEST: timeout=120
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/internal.h"
#include "node/testkit_case.h"

#include <stdio.h>

#define QUESTIONS 400

/* What the name server knows; |ip| as in a record, or |text|. */
struct known {
    enum names_kind kind;
    const char *name;
    qudag_err err;
    uint8_t ip[16];
    char text[4][160];
    size_t n;
};

struct asked {
    uint64_t id;
    enum names_kind kind;
    char name[NAMES_NAME_MAX + 1];
    bool answered, dropped;
};

static struct known zone[8];
static size_t n_zone;
static struct asked asked[QUESTIONS];
static size_t n_asked;
static bool silent;

static qudag_err fake_resolve(void *ctx, uint64_t id, enum names_kind kind, const char *name)
{
    (void)ctx;
    assert_true(n_asked < QUESTIONS);
    asked[n_asked] = (struct asked){.id = id, .kind = kind};
    (void)snprintf(asked[n_asked++].name, sizeof asked[0].name, "%s", name);
    return QUDAG_OK;
}

static void fake_unresolve(void *ctx, uint64_t id)
{
    (void)ctx;
    for (size_t i = 0; i < n_asked; i++) {
        asked[i].dropped = asked[i].dropped || asked[i].id == id;
    }
}

static void answer(struct node *n, const struct asked *a)
{
    struct slice v[4];

    for (size_t i = 0; i < n_zone; i++) {
        const struct known *k = &zone[i];
        if (k->kind != a->kind || strcmp(k->name, a->name) != 0) {
            continue;
        }
        for (size_t r = 0; r < k->n; r++) {
            v[r] = k->kind == NAMES_TXT
                       ? (struct slice){(const uint8_t *)k->text[r], strlen(k->text[r])}
                       : (struct slice){k->ip, k->kind == NAMES_A ? 4 : 16};
        }
        node_resolved(n, a->id, k->err, v, k->n, net.now);
        return;
    }
    node_resolved(n, a->id, QUDAG_ENOTFOUND, NULL, 0, net.now);
}

/* Node 0 gets its answers. */
static void answer_all(void)
{
    for (size_t i = 0; i < n_asked && !silent; i++) {
        if (!asked[i].answered && !asked[i].dropped) {
            asked[i].answered = true;
            answer(net.node[0].node, &asked[i]);
        }
    }
}

static bool asks_ended(struct nt *nt)
{
    answer_all();
    return nt_asked_ended(nt);
}

static bool zero_is_ready(struct nt *nt)
{
    answer_all();
    return nt->node[0].phase == NODE_READY;
}

static bool linked(size_t ix)
{
    uint8_t props;
    return swarm_connected(net.node[0].node->swarm, &net.node[ix].peer, &props);
}

static bool linked_to_one(struct nt *nt)
{
    (void)nt;
    answer_all();
    return linked(1);
}

static int names_setup(void **state)
{
    n_zone = n_asked = 0;
    silent = false;
    memset(zone, 0, sizeof zone);
    return nt_setup(state);
}

static void begin(size_t ix, struct node_config *c)
{
    assert_int_equal(nt_make(&net, ix, c), QUDAG_OK);
    net.node[ix].node->hooks.resolve = fake_resolve;
    net.node[ix].node->hooks.unresolve = fake_unresolve;
    node_start(net.node[ix].node);
}

/* Nodes 0 and 1, which know nothing of each other. */
static void two(void)
{
    for (size_t i = 0; i < 2; i++) {
        struct node_config c = nt_config(&net, i);
        begin(i, &c);
    }
}

static struct known *knows(enum names_kind kind, const char *name)
{
    zone[n_zone] = (struct known){.kind = kind, .name = name};
    return &zone[n_zone++];
}

static void knows_ip(const char *name, size_t ix)
{
    struct known *k = knows(NAMES_A, name);

    memcpy(k->ip, net.node[ix].addr.ip, 4);
    k->n = 1;
}

/* |record|: a dnsaddr of node |ix|. */
static void knows_record(struct known *k, const struct netaddr *at, size_t ix)
{
    struct multiaddr ma;
    char text[MULTIADDR_TEXT_MAX];

    multiaddr_quic(&ma, at, &net.node[ix].peer);
    assert_true(multiaddr_text(text, sizeof text, &ma) > 0);
    (void)snprintf(k->text[k->n++], sizeof k->text[0], "dnsaddr=%.140s", text);
}

static struct multiaddr named(const char *what, const char *name, size_t port_of, size_t id_of)
{
    char text[256], id[PEER_ID_TEXT_MAX];
    struct multiaddr ma;

    assert_true(peer_id_text(id, &net.node[id_of].peer) > 0);
    if (strcmp(what, "dnsaddr") == 0) {
        (void)snprintf(text, sizeof text, "/%s/%s/p2p/%s", what, name, id);
    } else {
        (void)snprintf(text, sizeof text, "/%s/%s/udp/%u/quic-v1/p2p/%s", what, name,
                       net.node[port_of].addr.port, id);
    }
    assert_int_equal(multiaddr_parse(&ma, text), QUDAG_OK);
    return ma;
}

/* What node 0 connecting to |addr| ends with. */
static const struct nt_ask *connect_to(const struct multiaddr *addr, uint64_t within)
{
    struct node_request r = {.kind = NODE_OP_CONNECT, .addr = *addr};
    size_t i = nt_ask(&net.node[0], &r);

    assert_true(i != SIZE_MAX);
    assert_true(nt_run(&net, within, asks_ended));
    return &net.node[0].ask[i];
}

static void a_name_is_resolved_and_dialled(void **state)
{
    (void)state;
    two();
    knows_ip("one.example", 1);
    struct multiaddr to = named("dns4", "one.example", 1, 1);
    assert_int_equal(connect_to(&to, NS_PER_S)->err, QUDAG_OK);
    assert_true(linked(1));
    assert_int_equal(n_asked, 1);
    to = named("dns", "one.example", 1, 1); /* IPv6, too: there is none; and the link stands */
    assert_int_equal(connect_to(&to, NS_PER_S)->err, QUDAG_OK);
    assert_int_equal(n_asked, 3);
}

/* What the operator wrote holds behind a name as well. */
static void the_key_is_demanded_of_what_a_name_leads_to(void **state)
{
    (void)state;
    two();
    knows_ip("one.example", 1);
    struct node_request r = {
        .kind = NODE_OP_CONNECT, .addr = named("dns4", "one.example", 1, 1), .has_pq = true};
    memset(r.pq_hash, 7, sizeof r.pq_hash);
    size_t i = nt_ask(&net.node[0], &r);
    assert_true(i != SIZE_MAX);
    assert_true(nt_run(&net, 10 * NS_PER_S, asks_ended));
    assert_int_equal(net.node[0].ask[i].err, QUDAG_EAUTH);
    assert_false(linked(1));
    memcpy(r.pq_hash, net.node[1].id.pq_hash, sizeof r.pq_hash);
    i = nt_ask(&net.node[0], &r);
    assert_true(i != SIZE_MAX);
    assert_true(nt_run(&net, 10 * NS_PER_S, asks_ended));
    assert_int_equal(net.node[0].ask[i].err, QUDAG_OK);
    assert_true(linked(1));
}

static enum names_why why;

static void note_why(void *ctx, struct ref op, qudag_err err, const struct node_result *res)
{
    why = res->req->name_why;
    nt_op_done(ctx, op, err, res);
}

static void what_a_name_failed_by_is_told(void **state)
{
    (void)state;
    two();
    net.node[0].node->hooks.op_done = note_why;
    (void)knows(NAMES_AAAA, "one.example"); /* without a record */
    struct multiaddr to = named("dns4", "nobody.example", 1, 1);
    assert_int_equal(connect_to(&to, NS_PER_S)->err, QUDAG_ENOTFOUND);
    assert_int_equal(why, NAMES_NO_HOST);
    to = named("dns6", "one.example", 1, 1);
    assert_int_equal(connect_to(&to, NS_PER_S)->err, QUDAG_ENOTFOUND);
    assert_int_equal(why, NAMES_NO_IPV6);
    silent = true;
    assert_int_equal(connect_to(&to, NODE_NAMES_TIMEOUT + NS_PER_S)->err, QUDAG_EUNREACHABLE);
    assert_int_equal(why, NAMES_SILENT);
    assert_true(asked[n_asked - 1].dropped);
    net.node[0].node->hooks.resolve = NULL;
    assert_int_equal(connect_to(&to, NS_PER_S)->err, QUDAG_EUNSUPPORTED);
    assert_int_equal(why, NAMES_NOT_HERE);
    assert_int_equal(net.node[0].node->n_named, 0);
}

static void who_answers_must_be_whom_the_address_names(void **state)
{
    (void)state;
    two();
    nt_identity(&net, 2);
    knows_ip("one.example", 1);
    struct multiaddr to = named("dns4", "one.example", 1, 2);
    assert_int_equal(connect_to(&to, 5 * NS_PER_S)->err, QUDAG_EAUTH);
    assert_false(linked(1));
}

/* Dials and links of node 0. */
static unsigned links_of_zero(void)
{
    struct swarm_look look;
    unsigned links = 0;

    for (size_t it = 0; swarm_link_next(net.node[0].node->swarm, &it, &look, net.now);) {
        links++;
    }
    return links;
}

/* The first two of the list are silent: the next has its turn after the delays, and wins. */
static void the_addresses_behind_a_name_are_raced(void **state)
{
    (void)state;
    two();
    struct known *k = knows(NAMES_TXT, "_dnsaddr.list.example");
    struct netaddr nowhere = {.family = 4, .ip = {10, 99, 0, 1}, .port = 4001};
    knows_record(k, &nowhere, 1);
    nowhere.port++;
    knows_record(k, &nowhere, 1);
    nt_identity(&net, 2);
    knows_record(k, &net.node[1].addr, 2); /* another peer's: passed over */
    knows_record(k, &net.node[1].addr, 1);
    struct multiaddr to = named("dnsaddr", "list.example", 1, 1);
    tstamp began = net.now;
    assert_int_equal(connect_to(&to, 5 * NS_PER_S)->err, QUDAG_OK);
    assert_true(net.now - began >= 2 * SWARM_ATTEMPT_DELAY);
    assert_true(net.now - began < 2 * SWARM_ATTEMPT_DELAY + 200 * NS_PER_MS);
    (void)nt_run(&net, 20 * NS_PER_MS, NULL);
    assert_int_equal(links_of_zero(), 1); /* the losers are stopped */
    assert_int_equal(net.node[0].node->n_named, 0);
    struct swarm_stats st;
    swarm_stats_get(net.node[0].node->swarm, &st);
    assert_int_equal(st.dials, 3);
    assert_int_equal(st.dials_failed, 0); /* the loser is nobody's fault */
    assert_int_equal(swarm_next_try(net.node[0].node->swarm, &net.node[1].peer, net.now), 0);
}

static void a_network_is_joined_by_a_name(void **state)
{
    (void)state;
    nt_identity(&net, 1);
    struct node_config c = nt_config(&net, 1);
    begin(1, &c);
    struct known *k = knows(NAMES_TXT, "_dnsaddr.boot.example");
    (void)snprintf(k->text[k->n++], sizeof k->text[0], "dnsaddr=/dnsaddr/boot.example");
    knows_record(k, &net.node[1].addr, 1);
    c = nt_config(&net, 0);
    c.boot[c.n_boot++].addr = named("dnsaddr", "boot.example", 1, 1);
    c.boot[c.n_boot++].addr = named("dns4", "gone.example", 1, 1);
    begin(0, &c);
    assert_true(nt_run(&net, 10 * NS_PER_S, zero_is_ready));
    assert_true(linked(1));
}

static void a_list_of_names_that_lead_nowhere_is_tried_again(void **state)
{
    (void)state;
    nt_identity(&net, 1);
    struct node_config c = nt_config(&net, 0);
    c.boot[c.n_boot++].addr = named("dns4", "one.example", 1, 1);
    begin(0, &c);
    (void)nt_run(&net, NS_PER_S, zero_is_ready);
    assert_int_equal(net.node[0].phase, NODE_FAILED);
    struct node_join_why w;
    node_join_why_get(net.node[0].node, &w);
    assert_int_equal(w.name, NAMES_NO_HOST);
    c = nt_config(&net, 1);
    begin(1, &c);
    knows_ip("one.example", 1);
    assert_true(nt_run(&net, 20 * NS_PER_S, zero_is_ready)); /* asked for anew */
}

static void a_kept_peer_is_found_by_its_name_whenever_its_address_fails(void **state)
{
    (void)state;
    nt_identity(&net, 1);
    struct node_config c = nt_config(&net, 1);
    begin(1, &c);
    knows_ip("one.example", 1);
    c = nt_config(&net, 0);
    c.keep[c.n_keep++] = (struct node_keep_wish){.peer = net.node[1].peer,
                                                 .addr = named("dns4", "one.example", 1, 1)};
    begin(0, &c);
    assert_true(nt_run(&net, 5 * NS_PER_S, linked_to_one));
    size_t before = n_asked;
    (void)nt_run(&net, 60 * NS_PER_S, NULL);
    assert_int_equal(n_asked, before); /* it stands: nothing is asked */
}

static void what_others_name_is_not_asked_for(void **state)
{
    (void)state;
    assert_true(node_rule_resolves(NODE_ADDR_OPERATOR));
    assert_false(node_rule_resolves(NODE_ADDR_OTHERS));
    two();
    struct node *n = net.node[0].node;
    struct multiaddr to = named("dns4", "one.example", 1, 1);
    knows_ip("one.example", 1);
    assert_false(node_rule_addr(&to, true)); /* of identify, records, the DHT */
    node_add_addr(n, &net.node[1].peer, &to);
    struct node_request r = {.kind = NODE_OP_PING, .peer = net.node[1].peer};
    size_t i = nt_ask(&net.node[0], &r);
    assert_true(nt_run(&net, 30 * NS_PER_S, asks_ended));
    assert_int_not_equal(net.node[0].ask[i].err, QUDAG_OK);
    uint8_t hint[MULTIADDR_MAX + 2] = {to.len};
    memcpy(hint + 1, to.b, to.len);
    struct act a = {.type = ACT_OPEN, .peer = net.node[1].peer, .data = {hint, to.len + 1u}};
    swarm_act(n->swarm, n->core[n->ix.ping].swarm_ix, &a, NULL, net.now);
    (void)nt_run(&net, 5 * NS_PER_S, asks_ended);
    assert_int_equal(n_asked, 0);
    assert_false(linked(1));
}

static void whoever_wants_it_no_more_ends_it(void **state)
{
    (void)state;
    two();
    silent = true;
    struct multiaddr to = named("dns", "one.example", 1, 1);
    struct node_request r = {.kind = NODE_OP_CONNECT, .addr = to};
    size_t i = nt_ask(&net.node[0], &r);
    (void)nt_run(&net, NS_PER_S, NULL);
    assert_int_equal(n_asked, 2);
    node_cancel(net.node[0].node, net.node[0].ask[i].op);
    (void)nt_run(&net, NS_PER_S, NULL);
    assert_int_equal(net.node[0].ask[i].ends, 1);
    assert_int_equal(net.node[0].ask[i].err, QUDAG_ECANCELED);
    assert_true(asked[0].dropped && asked[1].dropped);
    node_resolved(net.node[0].node, asked[0].id, QUDAG_OK, NULL, 0, net.now); /* too late */

    struct known *k = knows(NAMES_TXT, "_dnsaddr.list.example"); /* while it is dialled */
    struct netaddr nowhere = {.family = 4, .ip = {10, 99, 0, 1}, .port = 4001};
    knows_record(k, &nowhere, 1);
    r.addr = named("dnsaddr", "list.example", 1, 1);
    silent = false;
    i = nt_ask(&net.node[0], &r);
    assert_false(nt_run(&net, NS_PER_S, asks_ended));
    node_cancel(net.node[0].node, net.node[0].ask[i].op);
    (void)nt_run(&net, NS_PER_S, asks_ended);
    assert_int_equal(net.node[0].ask[i].ends, 1);
    assert_int_equal(net.node[0].node->n_named, 0);
    uint32_t peers, networks;
    swarm_waiting(net.node[0].node->swarm, &peers, &networks);
    assert_int_equal(peers + networks, 0);

    silent = true; /* the node ends */
    i = nt_ask(&net.node[0], &r);
    (void)nt_run(&net, NS_PER_S, asks_ended);
    node_shutdown(net.node[0].node, net.now);
    assert_int_equal(net.node[0].ask[i].ends, 1);
    assert_true(asked[n_asked - 1].dropped);
}

static void so_many_are_under_way_and_no_more(void **state)
{
    (void)state;
    two();
    silent = true;
    struct node_request r = {.kind = NODE_OP_CONNECT, .addr = named("dns4", "a.example", 1, 1)};
    for (int i = 0; i < NODE_NAMES_MAX + 1; i++) {
        struct ref op;
        assert_int_equal(node_request(net.node[0].node, &r, &op), QUDAG_OK);
    }
    (void)nt_run(&net, NS_PER_S, NULL);
    assert_int_equal(n_asked, NODE_NAMES_MAX);
    assert_int_equal(net.node[0].node->n_named, NODE_NAMES_MAX);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, names_setup, nt_teardown)
    const struct CMUnitTest tests[] = {
        T(a_name_is_resolved_and_dialled),
        T(the_key_is_demanded_of_what_a_name_leads_to),
        T(what_a_name_failed_by_is_told),
        T(who_answers_must_be_whom_the_address_names),
        T(the_addresses_behind_a_name_are_raced),
        T(a_network_is_joined_by_a_name),
        T(a_list_of_names_that_lead_nowhere_is_tried_again),
        T(a_kept_peer_is_found_by_its_name_whenever_its_address_fails),
        T(what_others_name_is_not_asked_for),
        T(whoever_wants_it_no_more_ends_it),
        T(so_many_are_under_way_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
