/* elsewhere_test.c - a node that one answer names at addresses where nobody is, and another where it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rd.h"
#include "core/kad/event_bed.h"

static struct bed b;

/* Peer |i| at |port|. */
static struct kad_peer_info at(size_t i, uint16_t port)
{
    struct kad_peer_info p = b.peer[i];
    struct netaddr a = {.family = 4, .ip = {127, 0, 0, 1}, .port = port};

    multiaddr_quic(&p.addr[0], &a, NULL);
    return p;
}

/* The open to peer |i| among the actions of the last call; NULL: there is none. */
static const struct act *open_to(size_t i)
{
    for (size_t k = 0; k < b.out.n; k++) {
        if (b.v[k].type == ACT_OPEN && peer_id_eq(&b.v[k].peer, &b.peer[i].id)) {
            return &b.v[k];
        }
    }
    return NULL;
}

/* Whether peer |i| is asked now, at |port|; *cookie: of the request. */
static bool asked_at(size_t i, uint16_t port, uint64_t *cookie)
{
    const struct act *a = open_to(i);
    struct kad_peer_info want = at(i, port);

    if (a == NULL) {
        return false;
    }
    struct rd r = rd_init(a->data);
    *cookie = a->cookie;
    return kad_slice_eq(rd_lp(&r, MULTIADDR_MAX), multiaddr_slice(&want.addr[0]));
}

/* Two contacts whose request for the closest nodes is under way on the streams {i + 1, 1}. */
static void begin(void)
{
    bed_init(&b);
    assert_true(bed_kad(&b));
    b.k->routing.last_answer = b.now; /* we are online */
    for (size_t i = 0; i < 2; i++) {
        uint8_t hash[SHA256_LEN];
        sha256(hash, peer_id_slice(&b.peer[i].id));
        struct kad_contact *c = kad_contacts_make(&b.k->routing, &b.peer[i], hash);
        (void)kad_contacts_answered(&b.k->routing, c, NS_PER_MS, b.now, fresh(&b));
        kad_contact_unref(c);
    }
    assert_int_equal(kad_find(b.k, 7, S("some key"), b.now, fresh(&b)), QUDAG_OK);
    count(&b);
    assert_int_equal(b.opens, 2);
    uint64_t cookie[2] = {0};
    for (size_t i = 0; i < 2; i++) {
        const struct act *a = open_to(i);
        assert_non_null(a);
        cookie[i] = a != NULL ? a->cookie : 0;
    }
    for (uint32_t i = 0; i < 2; i++) {
        tell(&b, (struct ev){.type = EV_STREAM_OPEN,
                             .strm = {i + 1, 1},
                             .peer = &b.peer[i].id,
                             .cookie = cookie[i]});
    }
}

/* Contact |from| answers and names peer 2 at |port|. */
static void answer(uint32_t from, uint16_t port)
{
    static uint8_t buf[KAD_MSG_MAX + 8];
    struct kad_peer_info named = at(2, port);
    struct kad_msg m = {.type = KAD_FIND_NODE, .closer = &named, .n_closer = 1};
    size_t len = encode(buf, &m);

    tell(&b,
         (struct ev){
             .type = EV_DATA, .strm = {from + 1, 1}, .peer = &b.peer[from].id, .data = {buf, len}});
}

static void fails(uint64_t cookie)
{
    tell(&b, (struct ev){.type = EV_STREAM_FAIL,
                         .cookie = cookie,
                         .err = QUDAG_EUNREACHABLE,
                         .peer = &b.peer[2].id});
}

static void a_liar_that_answers_first_does_not_hide_a_node(void **state)
{
    uint64_t cookie;
    (void)state;

    for (int failed_first = 0; failed_first <= 1; failed_first++) {
        begin();
        answer(0, 1);
        assert_true(asked_at(2, 1, &cookie));
        if (failed_first != 0) {
            fails(cookie);
            answer(1, 4002);
        } else {
            answer(1, 4002);
            assert_null(open_to(2));
            fails(cookie);
        }
        assert_true(asked_at(2, 4002, &cookie));
        bed_fini(&b);
    }
}

static void the_same_addresses_are_not_tried_again(void **state)
{
    uint64_t cookie;
    (void)state;

    begin();
    answer(0, 1);
    assert_true(asked_at(2, 1, &cookie));
    fails(cookie);
    answer(1, 1);
    assert_null(open_to(2));
    bed_fini(&b);
}

static void who_fails_at_one_address_is_set_aside_there_alone(void **state)
{
    uint8_t hash[SHA256_LEN];
    uint64_t cookie;
    (void)state;

    begin();
    answer(0, 1);
    assert_true(asked_at(2, 1, &cookie));
    fails(cookie);
    sha256(hash, peer_id_slice(&b.peer[2].id));
    struct kad_peer_info there = at(2, 1), here = at(2, 4002);
    struct kad_contact *bad = kad_contacts_make(&b.k->routing, &there, hash);
    struct kad_contact *good = kad_contacts_make(&b.k->routing, &here, hash);
    assert_true(kad_contacts_failed_lately(&b.k->routing, bad, b.now));
    assert_false(kad_contacts_failed_lately(&b.k->routing, good, b.now));
    (void)kad_contacts_answered(&b.k->routing, good, NS_PER_MS, b.now, fresh(&b));
    assert_false(kad_contacts_failed_lately(&b.k->routing, bad, b.now));
    kad_contact_unref(bad);
    kad_contact_unref(good);
    bed_fini(&b);
}

static void each_place_is_tried_once(void **state)
{
    uint64_t cookie;
    unsigned tries = 0;
    (void)state;

    begin();
    answer(0, 1);
    const struct act *a = open_to(2);
    answer(1, 2);
    for (; a != NULL && tries < 10; a = open_to(2)) {
        tries++;
        cookie = a->cookie;
        fails(cookie);
    }
    assert_int_equal(tries, 2);
    bed_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_liar_that_answers_first_does_not_hide_a_node),
        cmocka_unit_test(the_same_addresses_are_not_tried_again),
        cmocka_unit_test(who_fails_at_one_address_is_set_aside_there_alone),
        cmocka_unit_test(each_place_is_tried_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
