/*
 * hidden_test.c - a dark address of kind hidden for programs: made, published, resolved, called, and gone.
 *
 * TEST: timeout=120 waits
 */
#include "net.h"

#define NODES 9
#define SERVICE 6
#define CALLER 8

static char dark[QUDAG_DARK_TEXT_MAX];

static int grown(void **state)
{
    (void)state;
    net_grow(NODES, &(struct net_options){.name_space = NULL});
    NET_WAIT(net_stat(&net[SERVICE], "relays") == NODES - 1 &&
                 net_stat(&net[CALLER], "relays") == NODES - 1,
             40);
    return 0;
}

static void an_address_is_hidden_unless_direct_was_wished_for(void **state)
{
    qudag_dark_wish w = {.size = sizeof(w), .network = QUDAG_DARK_TEST};
    qudag_dark_info info = QUDAG_INIT(qudag_dark_info);
    char unwished[QUDAG_DARK_TEXT_MAX], direct[QUDAG_DARK_TEXT_MAX];
    size_t it = 0, found = 0;
    (void)state;

    assert_int_equal(qudag_dark_create(net[SERVICE].node, "h", dark), QUDAG_OK);
    assert_int_equal(qudag_dark_create_with(net[SERVICE].node, &w, unwished), QUDAG_OK);
    w.choose_network = true;
    w.kind = QUDAG_DARK_DIRECT;
    assert_int_equal(qudag_dark_create_with(net[SERVICE].node, &w, direct), QUDAG_OK);
    while (qudag_dark_next(net[SERVICE].node, &it, &info)) {
        bool d = strcmp(info.addr, direct) == 0, h = strcmp(info.addr, dark) == 0;
        assert_true(d || h || strcmp(info.addr, unwished) == 0);
        assert_int_equal(info.kind, d ? QUDAG_DARK_DIRECT : QUDAG_DARK_HIDDEN);
        assert_int_equal(info.network, d ? QUDAG_DARK_TEST : QUDAG_DARK_LAB);
        assert_string_equal(info.label, h ? "h" : "");
        found++;
    }
    assert_int_equal(found, 3);
}

static void it_is_published_and_its_record_names_nobody(void **state)
{
    (void)state;
    net_ask(&net[SERVICE], qudag_dark_publish(net[SERVICE].node, dark, &net[SERVICE].last));
    assert_int_equal(net[SERVICE].err, QUDAG_OK);
    assert_true(net[SERVICE].count >= 5);
    net_ask(&net[CALLER], qudag_dark_resolve(net[CALLER].node, dark, &net[CALLER].last));
    assert_int_equal(net[CALLER].err, QUDAG_OK);
    assert_true(net[CALLER].hidden);
    assert_int_equal(net[CALLER].n_result_addrs, 0);
}

static qudag_circuit_info circuit_of(const struct peer *p, uint64_t id)
{
    qudag_circuit_info c = QUDAG_INIT(qudag_circuit_info);
    size_t it = 0;

    while (qudag_circuit_next(p->node, &it, &c)) {
        if (c.circuit.id == id) {
            return c;
        }
    }
    fail_msg("there is no circuit %llx", (unsigned long long)id);
    return c;
}

/* |c| runs through another one, to the relay where the service's own ends. */
static void it_is_carried(const struct peer *p, const qudag_circuit_info *c)
{
    const qudag_circuit_info by = circuit_of(p, c->carrier.id);

    assert_string_equal(c->purpose, "hidden");
    assert_string_equal(by.purpose, "rendezvous");
    assert_int_equal(by.hops, 3);
    assert_int_equal(by.carrier.id, 0);
}

static void a_stream_goes_both_ways(void **state)
{
    struct peer *caller = &net[CALLER], *service = &net[SERVICE];
    qudag_stream_state info = QUDAG_INIT(qudag_stream_state);
    (void)state;

    caller->say = "there and back";
    assert_int_equal(qudag_dark_open(caller->node, dark, NET_ECHO, &caller->ours), QUDAG_OK);
    NET_WAIT(caller->opened || caller->closed, 30);
    assert_true(caller->opened);
    assert_int_equal(qudag_stream_info(caller->node, caller->ours, &info), QUDAG_OK);
    assert_true(info.anonymous && info.pq_kex && info.pq_auth);
    assert_int_equal(info.peer.len, 0);
    const qudag_circuit_info own = circuit_of(caller, info.circuit.id);
    it_is_carried(caller, &own);
    NET_WAIT(caller->closed, NET_SOON);
    assert_int_equal(caller->closed_why, QUDAG_OK);
    assert_int_equal(caller->back_len, 14);
    assert_memory_equal(caller->back, caller->say, 14);
    assert_memory_equal(service->got, caller->say, 14);
    assert_true(service->from_anonymous);
    assert_string_equal(service->dark_used, dark);
}

static void a_service_that_is_gone_is_said_to_be_offline(void **state)
{
    struct peer *caller = &net[CALLER];
    const qudag_dark_options o = {
        .size = sizeof(o), .isolation_len = 1, .isolation = {1}}; /* no circuit from before */
    (void)state;

    net_stop(SERVICE);
    caller->opened = caller->closed = false;
    assert_int_equal(qudag_dark_open_with(caller->node, dark, NET_ECHO, &o, &caller->ours),
                     QUDAG_OK);
    NET_WAIT(caller->closed, 40);
    assert_false(caller->opened);
    assert_int_equal(caller->closed_why, QUDAG_EUNREACHABLE);
    assert_non_null(strstr(qudag_strerror(caller->closed_why), "offline"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_is_hidden_unless_direct_was_wished_for),
        cmocka_unit_test(it_is_published_and_its_record_names_nobody),
        cmocka_unit_test(a_stream_goes_both_ways),
        cmocka_unit_test(a_service_that_is_gone_is_said_to_be_offline),
    };
    return cmocka_run_group_tests(tests, grown, net_stop_all);
}
