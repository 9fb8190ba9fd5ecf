/*
 * receive_test.c - a node receives, and the sender misbehaves (hostile_testkit.h).
 *
 * TEST: timeout=180 waits
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "hostile_testkit_net.h"

static unsigned standing; /* streams that the node is to have beside the one of the test */

static unsigned synced; /* by the loop's thread, which waits for the disk meanwhile */

/* In place of libc's. */
int fsync(int fd)
{
    synced += syscall(SYS_gettid) == getpid();
    return (int)syscall(SYS_fsync, fd);
}

/* ------------------------------------------------------------------ the node receives */

static void give_up_and_let_it_be_noticed(void)
{
    qudag_stream_reset(net[1].node, evil.out, QUDAG_ECANCELED);
    for (uint64_t end = api_now() + 90 * NS_PER_S; /* silent ones are left after 30 */
         d->recv->n_recvs > standing && api_now() < end;) {
        (void)uv_run(&d->loop, UV_RUN_ONCE);
    }
    assert_int_equal(d->recv->n_recvs, standing);
}

/* The peer offers |size| bytes of that name and hash, then writes |content|; what the node answers is in |evil|. */
static void offer(const char *name, uint64_t size, const uint8_t hash[TRANSFER_HASH_LEN],
                  const uint8_t *content, size_t len, bool wait)
{
    static uint8_t id, all[TRANSFER_MSG_MAX];
    struct transfer_msg m = {.type = TRANSFER_T_OFFER};
    m.offer.kind = TRANSFER_FILE;
    m.offer.id[0] = ++id;
    m.offer.size = size;
    memcpy(m.offer.hash, hash, TRANSFER_HASH_LEN);
    (void)snprintf(m.offer.name, sizeof(m.offer.name), "%s", name);
    evil.say = all;
    evil.say_len = transfer_encode(all, &m);
    evil.say_at = evil.answers = 0;
    evil.closed = false;
    assert_int_equal(qudag_dark_open(net[1].node, own_addr, TRANSFER_PROTO, &evil.out), QUDAG_OK);
    uint64_t end = api_now() + 60 * NS_PER_S;
    while (wait && evil.answers == 0 && !evil.closed && api_now() < end) {
        (void)uv_run(&d->loop, UV_RUN_ONCE);
    }
    assert_int_equal(evil.answers, wait ? 1 : 0);
    if (!wait) {
        while (evil.say_at < evil.say_len && !evil.closed && api_now() < end) {
            (void)uv_run(&d->loop, UV_RUN_ONCE);
        }
    }
    evil.say = content;
    evil.say_len = len;
    evil.say_at = 0;
    evil_says();
    turn_until(&evil.closed, 60);
    give_up_and_let_it_be_noticed();
}

/* The peer's first words on a new stream; what the node answers at once is in |evil|. */
static void first_words(const struct transfer_msg *m)
{
    static uint8_t all[TRANSFER_MSG_MAX];
    evil.say = all;
    evil.say_len = transfer_encode(all, m);
    evil.say_at = evil.answers = 0;
    evil.closed = false;
    assert_int_equal(qudag_dark_open(net[1].node, own_addr, TRANSFER_PROTO, &evil.out), QUDAG_OK);
    uint64_t end = api_now() + 60 * NS_PER_S;
    while (evil.answers == 0 && !evil.closed && api_now() < end) {
        (void)uv_run(&d->loop, UV_RUN_ONCE);
    }
    assert_int_equal(evil.answers, 1);
}

static size_t in_inbox(void)
{
    return d->recv->inbox.n;
}

static void what_a_sender_announces_is_compared_with_what_it_sent(void **state)
{
    uint8_t hash[TRANSFER_HASH_LEN];
    static const uint8_t content[] = "a text that has this hash and no other";
    struct blake3_ctx h;
    (void)state;
    blake3_init(&h);
    blake3_update(&h, (struct slice){content, sizeof(content)});
    blake3_final(&h, hash);
    synced = 0;
    offer("../../etc/x", sizeof(content), hash, content, sizeof(content), true);
    assert_int_equal(synced, 0); /* else a sender would choose when the node stands still */
    assert_int_equal(evil.answer.type, TRANSFER_T_DONE);
    assert_int_equal(in_inbox(), 1);
    assert_string_equal(d->recv->inbox.entry[0].offer.name, "_._.._etc_x");

    hash[0] ^= 1;
    offer("odd", sizeof(content), hash, content, sizeof(content), true);
    assert_int_equal(evil.answer.type, TRANSFER_T_REFUSE);
    assert_int_equal(evil.answer.reason, TRANSFER_HASH_DIFFERS);
    hash[0] ^= 1;
    offer("longer", sizeof(content) - 1, hash, content, sizeof(content), true);
    assert_int_equal(evil.answer.type, TRANSFER_T_REFUSE);
    assert_int_equal(evil.answer.reason, TRANSFER_HASH_DIFFERS);
    offer("huge", INT64_MAX, hash, content, sizeof(content), true);
    assert_int_equal(evil.answer.type, TRANSFER_T_REFUSE);
    assert_int_equal(evil.answer.reason, TRANSFER_TOO_LARGE);
    assert_int_equal(in_inbox(), 1);
}

/* Room is reserved for what has begun, and given back however it ends. */
static void room_is_reserved_while_it_is_needed(void **state)
{
    struct transfer_msg m = {.type = TRANSFER_T_OFFER};
    (void)state;
    m.offer.kind = TRANSFER_FILE;
    m.offer.id[0] = 200;
    m.offer.size = 100000;
    memcpy(m.offer.name, "part", 5);
    first_words(&m);
    assert_int_equal(evil.answer.type, TRANSFER_T_ACCEPT);
    assert_int_equal(d->recv->inbox.reserved, inbox_cost(100000));
    give_up_and_let_it_be_noticed();
    assert_int_equal(d->recv->inbox.reserved, 0);
}

static void a_message_is_short_and_an_offer_comes_first(void **state)
{
    struct transfer_msg m = {.type = TRANSFER_T_OFFER};
    (void)state;
    m.offer.kind = TRANSFER_MESSAGE;
    m.offer.id[0] = 201;
    m.offer.size = TRANSFER_MESSAGE_MAX + 1;
    first_words(&m);
    assert_int_equal(evil.answer.type, TRANSFER_T_REFUSE);
    assert_int_equal(evil.answer.reason, TRANSFER_TOO_LARGE);
    give_up_and_let_it_be_noticed();
    m = (struct transfer_msg){.type = TRANSFER_T_PROGRESS, .n = 5};
    first_words(&m);
    assert_int_equal(evil.answer.type, TRANSFER_T_REFUSE);
    assert_int_equal(evil.answer.reason, TRANSFER_BAD_OFFER);
    give_up_and_let_it_be_noticed();
}

/* Descriptors come back: the sender is told to try again, not that only the receiver can change it. */
static void what_lacks_for_a_while_is_no_final_refusal(void **state)
{
    struct transfer_msg m = {.type = TRANSFER_T_OFFER};
    struct rlimit was, none;
    (void)state;
    m.offer.kind = TRANSFER_FILE;
    m.offer.id[0] = 202;
    m.offer.size = 1000;
    memcpy(m.offer.name, "none", 5);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
    none = was;
    none.rlim_cur = 3;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    first_words(&m);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
    assert_int_equal(evil.answer.type, TRANSFER_T_REFUSE);
    assert_int_equal(evil.answer.reason, TRANSFER_BUSY);
    give_up_and_let_it_be_noticed();
    first_words(&m); /* and when they are there again */
    assert_int_equal(evil.answer.type, TRANSFER_T_ACCEPT);
    give_up_and_let_it_be_noticed();
    assert_int_equal(d->recv->inbox.reserved, 0);
}

/* Our last word was lost: it is said again, and nothing is stored a second time. */
static void what_is_there_already_is_confirmed_at_once(void **state)
{
    struct transfer_msg m = {.type = TRANSFER_T_OFFER};
    char address[QUDAG_DARK_TEXT_MAX];
    (void)state;
    assert_int_equal(in_inbox(), 1);
    m.offer = d->recv->inbox.entry[0].offer;
    memset(m.offer.id, 0, sizeof(m.offer.id));
    m.offer.id[0] = 1; /* of the first offer() */
    first_words(&m);
    assert_int_equal(evil.answer.type, TRANSFER_T_DONE);
    assert_int_equal(evil.answer.n, m.offer.size);
    assert_int_equal(in_inbox(), 1);
    give_up_and_let_it_be_noticed();
    assert_int_equal(d->recv->inbox.reserved, 0);
    /* not at another address of the same node: two that answer alike would be known to be one */
    memcpy(address, own_addr, sizeof(address));
    publish(0, own_addr);
    first_words(&m);
    assert_int_equal(evil.answer.type, TRANSFER_T_ACCEPT);
    assert_int_equal(evil.answer.n, 0);
    give_up_and_let_it_be_noticed();
    memcpy(own_addr, address, sizeof(address));
}

static void senders_that_say_nothing_are_in_nobodys_way(void **state)
{
    uint8_t hash[TRANSFER_HASH_LEN];
    static const uint8_t content[] = "from a sender that offers at once";
    qudag_stream silent;
    struct blake3_ctx h;
    (void)state;
    blake3_init(&h);
    blake3_update(&h, (struct slice){content, sizeof(content)});
    blake3_final(&h, hash);
    size_t before = in_inbox();
    for (unsigned ix = 0; ix < 3 * TRANSFER_RECVS_MAX; ix++) {
        assert_int_equal(qudag_dark_open(net[1].node, own_addr, TRANSFER_PROTO, &silent), QUDAG_OK);
    }
    offer("prompt", sizeof(content), hash, content, sizeof(content), true);
    assert_int_equal(evil.answer.type, TRANSFER_T_DONE);
    assert_int_equal(in_inbox(), before + 1);
}

/* ------------------------------------------------------------------ senders that drip */

/* A new stream with an offer of |size| bytes under that id, which stays; what the node answered. */
static struct transfer_msg drip_offer_as(uint8_t id, uint64_t size)
{
    struct transfer_msg m = {.type = TRANSFER_T_OFFER};
    m.offer.kind = TRANSFER_FILE;
    m.offer.id[0] = drip[n_drips].id = id;
    m.offer.id[1] = 1;
    m.offer.size = size;
    memcpy(m.offer.name, "drip", 5);
    assert_true(n_drips < DRIPS_MAX);
    first_words(&m);
    drip[n_drips].stream = evil.out;
    drip[n_drips++].closed = false;
    evil.out = (qudag_stream){0};
    return evil.answer;
}

static struct transfer_msg drip_offer(uint64_t size)
{
    static uint8_t id = 100;
    return drip_offer_as(id++, size);
}

/* Bytes that the node stored of it, -1: no file. */
static int64_t dripped(unsigned ix)
{
    char path[FILES_PATH_MAX], offer_path[FILES_PATH_MAX];
    struct transfer_offer o = {.id = {drip[ix].id, 1}};
    struct stat st;
    transfer_scope(&o, own_addr);
    assert_true(inbox_partial(&d->recv->inbox, &o, path, offer_path));
    return stat(path, &st) == 0 ? (int64_t)st.st_size : -1;
}

/* Writes |len| bytes to it and waits until the node has them, unless the stream was |refused|. */
static void drip_bytes(unsigned ix, size_t len, bool refused)
{
    static const uint8_t content[32768];
    int64_t want = dripped(ix) + (int64_t)len;
    size_t at = 0, taken = 0;
    uint64_t end = api_now() + 60 * NS_PER_S;
    while (api_now() < end && (refused ? at == 0 : at < len || dripped(ix) < want)) {
        if (at < len && qudag_stream_write(net[1].node, drip[ix].stream,
                                           (qudag_slice){content, len - at}, &taken) == QUDAG_OK) {
            at += taken;
        }
        (void)uv_run(&d->loop, UV_RUN_NOWAIT);
    }
    assert_true(refused || dripped(ix) == want);
}

/* The time over which the pace is measured passes. */
static void pace_is_measured(void)
{
    receive_tick(d->recv, api_now() + (DELIVERY_PACE_S + 1) * NS_PER_S);
}

static bool nobody(const void *ctx, const uint8_t id[TRANSFER_ID_LEN])
{
    (void)ctx;
    (void)id;
    return false;
}

static void drips_end(void)
{
    for (unsigned ix = 0; ix < n_drips; ix++) {
        qudag_stream_reset(net[1].node, drip[ix].stream, QUDAG_ECANCELED);
    }
    standing = 0;
    give_up_and_let_it_be_noticed();
    assert_int_equal(d->recv->inbox.reserved, 0);
    inbox_trim(&d->recv->inbox, 0, nobody, NULL);
    n_drips = 0;
}

/* An honest sender's file; the node's last answer. */
static unsigned honest_file(uint8_t first)
{
    uint8_t hash[TRANSFER_HASH_LEN], content[1000];
    struct blake3_ctx h;
    memset(content, first, sizeof(content));
    blake3_init(&h);
    blake3_update(&h, (struct slice){content, sizeof(content)});
    blake3_final(&h, hash);
    offer("honest", sizeof(content), hash, content, sizeof(content), true);
    return evil.answer.type;
}

static void slow_senders_with_large_offers_do_not_close_the_inbox(void **state)
{
    struct receives *k = d->recv;
    const uint64_t size_max = k->size_max, huge = 3000 * INBOX_UNIT;
    (void)state;
    k->size_max = k->inbox.bytes + 3 * huge;
    for (unsigned ix = 0; ix < 3; ix++) {
        assert_int_equal(drip_offer(huge).type, TRANSFER_T_ACCEPT);
    }
    standing = 3;
    assert_int_equal(honest_file('0'), TRANSFER_T_REFUSE); /* all have just begun */
    assert_int_equal(evil.answer.reason, TRANSFER_BUSY);
    drip_bytes(0, DELIVERY_PACE_BYTES, false);
    drip_bytes(1, 1, false);
    drip_bytes(2, 100, false);
    pace_is_measured();
    assert_int_equal(k->inbox.reserved, 3 * huge); /* as long as nobody needs it */
    standing = 2;
    assert_int_equal(honest_file('1'), TRANSFER_T_DONE);
    assert_int_equal(k->inbox.reserved, 2 * huge);
    turn_until(&drip[1].closed, 60); /* the slowest, and only that */
    assert_int_equal(dripped(1), 1); /* it can go on */
    assert_false(drip[0].closed || drip[2].closed);

    assert_int_equal(drip_offer(huge - INBOX_UNIT).type, TRANSFER_T_ACCEPT);
    standing = 3;
    assert_int_equal(drip_offer(huge - INBOX_UNIT).type, TRANSFER_T_ACCEPT);
    turn_until(&drip[2].closed, 60);
    assert_int_equal(drip_offer(huge).type, TRANSFER_T_REFUSE); /* nobody else is slow */
    assert_int_equal(evil.answer.reason, TRANSFER_BUSY);
    assert_false(drip[0].closed || drip[3].closed || drip[4].closed);
    k->size_max = size_max;
    drips_end();
}

static void slow_senders_do_not_take_all_places(void **state)
{
    (void)state;
    for (unsigned ix = 0; ix < DRIPS_MAX; ix++) {
        bool taken = ix < TRANSFER_RECVS_MAX;
        assert_int_equal(drip_offer(100000).type, taken ? TRANSFER_T_ACCEPT : TRANSFER_T_REFUSE);
        assert_true(taken || evil.answer.reason == TRANSFER_BUSY);
    }
    for (unsigned ix = 0; ix < DRIPS_MAX; ix++) {
        drip_bytes(ix, 1, ix >= TRANSFER_RECVS_MAX);
    }
    pace_is_measured();
    assert_int_equal(d->recv->n_recvs, DRIPS_MAX);
    standing = DRIPS_MAX - 2; /* one that was answered, one that is slow */
    assert_int_equal(honest_file('2'), TRANSFER_T_DONE);
    drips_end();
}

static void a_new_stream_does_not_make_a_slow_transfer_young(void **state)
{
    struct receives *k = d->recv;
    const uint64_t size_max = k->size_max, huge = 300 * INBOX_UNIT;
    (void)state;
    k->size_max = k->inbox.bytes + huge;
    assert_int_equal(drip_offer(huge).type, TRANSFER_T_ACCEPT);
    drip_bytes(0, 1, false);
    pace_is_measured();
    assert_int_equal(drip_offer_as(drip[0].id, huge).type, TRANSFER_T_ACCEPT);
    assert_int_equal(evil.answer.n, 1);
    turn_until(&drip[0].closed, 60);
    assert_int_equal(honest_file('3'), TRANSFER_T_DONE);
    turn_until(&drip[1].closed, 60);
    k->size_max = size_max;
    drips_end();
}

/* The time over which its pace is measured does not begin anew either, and what is there is that of this offer. */
static void a_new_stream_goes_on_with_its_own_time_and_content(void **state)
{
    struct receives *k = d->recv;
    (void)state;
    assert_int_equal(drip_offer(100000).type, TRANSFER_T_ACCEPT);
    drip_bytes(0, 500, false);
    const uint64_t since = k->recvs->since_ns;
    assert_true(since != 0);
    assert_int_equal(drip_offer_as(drip[0].id, 100000).type, TRANSFER_T_ACCEPT);
    assert_int_equal(evil.answer.n, 500);
    assert_true(k->recvs->since_ns == since);
    turn_until(&drip[0].closed, 60);
    assert_int_equal(drip_offer_as(drip[0].id, 100001).type, TRANSFER_T_ACCEPT);
    assert_int_equal(evil.answer.n, 0); /* something else under that id */
    turn_until(&drip[1].closed, 60);
    drips_end();
}

static void an_offer_takes_nothing_from_what_others_began(void **state)
{
    struct receives *k = d->recv;
    const uint64_t size_max = k->size_max, huge = 540 * INBOX_UNIT;
    (void)state;
    k->size_max = k->inbox.bytes + huge;
    assert_int_equal(drip_offer(huge).type, TRANSFER_T_ACCEPT);
    for (unsigned nth = 0; nth < 30; nth++) {
        drip_bytes(0, INBOX_UNIT, false);
    }
    qudag_stream_reset(net[1].node, drip[0].stream, QUDAG_ECANCELED);
    give_up_and_let_it_be_noticed();
    assert_int_equal(drip_offer(huge).type, TRANSFER_T_ACCEPT);
    drip_bytes(1, 1, false);
    assert_int_equal(dripped(0), 30 * INBOX_UNIT);
    for (unsigned nth = 0; nth < 66; nth++) { /* bytes that arrive do */
        drip_bytes(1, 32768, false);
    }
    assert_int_equal(dripped(0), -1);
    assert_int_equal(dripped(1), 66 * 32768 + 1);
    k->size_max = size_max;
    drips_end();
}

/* A few bytes of an offer, against a hash of all that is there. */
static void offers_without_content_are_not_hashed_for_ever(void **state)
{
    struct receives *k = d->recv;
    const uint64_t size = 2u << 20;
    struct transfer_msg got;
    unsigned taken = 0;
    (void)state;
    assert_int_equal(drip_offer(size).type, TRANSFER_T_ACCEPT);
    for (unsigned nth = 0; nth < 40; nth++) {
        drip_bytes(0, 32768, false);
    }
    for (unsigned nth = 0; nth < 10; nth++) {
        n_drips = 1;
        got = drip_offer_as(drip[0].id, size);
        taken += got.type == TRANSFER_T_ACCEPT;
        assert_true(got.type != TRANSFER_T_ACCEPT || got.n == 40 * 32768);
    }
    assert_in_range(taken, DELIVERY_HASHES, DELIVERY_HASHES + 1);
    assert_int_equal(got.type, TRANSFER_T_REFUSE);
    assert_int_equal(got.reason, TRANSFER_BUSY);
    assert_int_equal(dripped(0), 40 * 32768); /* it stays, for later */
    for (size_t ix = 0; ix < INBOX_PARTIALS_MAX; ix++) {
        uint64_t pause = DELIVERY_HASH_PAUSE_S * NS_PER_S;
        k->hashed[ix].when_ns -= k->hashed[ix].when_ns > pause ? pause : k->hashed[ix].when_ns;
    }
    n_drips = 1;
    assert_int_equal(drip_offer_as(drip[0].id, size).type, TRANSFER_T_ACCEPT);
    drips_end();
}

/* Two files of one name, and what the program sees of them. */
static void a_program_hears_lists_and_removes(void **state)
{
    static const char *const wrong[] = {"", "..", "../file", ".index", ".partial", "nothing"};
    qudag_inbox_item i = QUDAG_INIT(qudag_inbox_item);
    char path[2][QUDAG_INBOX_PATH_MAX], small[8];
    size_t n = 0, it = 0;
    (void)state;
    unsigned before = heard.n;
    assert_int_equal(honest_file('x'), TRANSFER_T_DONE);
    assert_int_equal(honest_file('y'), TRANSFER_T_DONE);
    assert_int_equal(heard.n, before + 2);
    assert_true(heard.last.file && heard.last.bytes == 1000 && heard.last.time_ms % 60000 == 0);
    assert_string_equal(heard.last.to, own_addr);
    while (qudag_inbox_next(d->node, &it, &i)) {
        n++;
    }
    assert_int_equal(n, in_inbox());
    assert_memory_equal(&i, &heard.last, sizeof(i)); /* the newest comes last */
    assert_int_equal(qudag_inbox_path(d->node, i.name, path[0], sizeof(path[0])), QUDAG_OK);
    assert_int_equal(access(path[0], R_OK), 0);
    assert_int_equal(qudag_inbox_path(d->node, i.name, small, sizeof(small)), QUDAG_ETOOBIG);
    for (size_t ix = 0; ix < sizeof(wrong) / sizeof(wrong[0]); ix++) {
        assert_int_equal(qudag_inbox_path(d->node, wrong[ix], path[1], sizeof(path[1])),
                         QUDAG_ENOTFOUND);
        assert_int_equal(qudag_inbox_remove(d->node, wrong[ix]), QUDAG_ENOTFOUND);
    }
    const uint64_t bytes = d->recv->inbox.bytes;
    assert_int_equal(qudag_inbox_remove(d->node, i.name), QUDAG_OK);
    assert_int_equal(access(path[0], R_OK), -1);
    assert_int_equal(d->recv->inbox.bytes, bytes - INBOX_UNIT);
    assert_int_equal(qudag_inbox_remove(d->node, i.name), QUDAG_ENOTFOUND);
    assert_int_equal(in_inbox(), n - 1);
    receive_tick(d->recv, api_now());
    assert_int_equal(d->recv->inbox.lines, n - 1); /* nor does the index name it any more */
    for (it = 0; qudag_inbox_next(d->node, &it, &i);) {
        assert_int_not_equal(i.bytes, 0);
        assert_int_equal(qudag_inbox_remove(d->node, i.name), QUDAG_OK);
        it = 0;
    }
    assert_int_equal(in_inbox(), 0);
}

static void an_inbox_is_one_and_may_be_closed(void **state)
{
    qudag_inbox_options o = QUDAG_INIT(qudag_inbox_options);
    char why[QUDAG_INBOX_WHY_MAX] = "", in[80];
    const uint64_t size_max = d->recv->size_max;
    (void)state;
    assert_int_equal(qudag_inbox_open(d->node, &o, why, sizeof(why)), QUDAG_EINVAL);
    assert_non_null(strstr(why, "needs a folder"));
    o.dir = dir;
    assert_int_equal(qudag_inbox_open(d->node, &o, NULL, 0), QUDAG_EEXISTS);
    assert_int_equal(qudag_inbox_open(NULL, &o, NULL, 0), QUDAG_EINVAL);
    assert_int_equal(qudag_inbox_open(net[2].node, &o, why, sizeof(why)), QUDAG_EEXISTS);
    o.dir = "/proc/no/inbox";
    assert_int_equal(qudag_inbox_open(net[3].node, &o, why, sizeof(why)), QUDAG_ESYSTEM);
    assert_non_null(strstr(why, "/proc/no/inbox"));
    (void)snprintf(in, sizeof(in), "%s/closed", dir);
    o.dir = in;
    o.closed = true;
    o.size_max = 1000000;
    assert_int_equal(qudag_inbox_open(net[NODES - 1].node, &o, why, sizeof(why)), QUDAG_OK);
    assert_int_equal(receive_of(net[NODES - 1].node)->size_max,
                     0); /* which takes nothing, as follows */
    d->recv->size_max = 0;
    assert_int_equal(honest_file('z'), TRANSFER_T_REFUSE);
    assert_int_equal(evil.answer.reason, TRANSFER_CLOSED);
    d->recv->size_max = size_max;
}

static qudag_node *another(const qudag_mem *mem, qudag_identity **id)
{
    qudag_node *n = NULL;
    qudag_settings s;

    assert_int_equal(qudag_identity_generate(id), QUDAG_OK);
    QUDAG_SETTINGS_INIT(&s);
    s.identity = *id;
    s.lab = true;
    s.mem = mem;
    s.uv_loop = &d->loop;
    assert_int_equal(qudag_node_new(&n, &s, NULL, NULL), QUDAG_OK);
    return n;
}

struct short_of {
    size_t left; /* allocations that succeed; SIZE_MAX: all */
};

static void *alloc_or_not(void *user, size_t size)
{
    struct short_of *m = user;

    m->left -= m->left > 0 && m->left < SIZE_MAX ? 1 : 0;
    return m->left > 0 ? malloc(size) : NULL;
}

static void free_it(void *user, void *p)
{
    (void)user;
    free(p);
}

/* What failed half way leaves no inbox, and is tried again: with another folder, too. */
static void an_inbox_that_could_not_be_opened_is_opened_later(void **state)
{
    char in[80], why[QUDAG_INBOX_WHY_MAX];
    struct short_of room = {.left = SIZE_MAX};
    const qudag_mem mem = {.ctx = &room, .alloc = alloc_or_not, .free = free_it};
    qudag_inbox_options o = QUDAG_INIT(qudag_inbox_options);
    qudag_inbox_item i = QUDAG_INIT(qudag_inbox_item);
    qudag_err err = QUDAG_ENOMEM;
    unsigned failed = 0;
    size_t it = 0;
    (void)state;

    qudag_identity *id;
    qudag_node *n = another(&mem, &id);
    (void)snprintf(in, sizeof(in), "%s/later", dir);
    o.dir = in;
    for (size_t most = 1; err == QUDAG_ENOMEM && most < 50; most++) {
        room.left = most;
        err = qudag_inbox_open(n, &o, why, sizeof(why));
        room.left = SIZE_MAX;
        failed += err == QUDAG_ENOMEM;
        assert_true(err == QUDAG_OK || receive_of(n) == NULL);
    }
    assert_int_equal(err, QUDAG_OK);
    assert_true(failed >= 3); /* its own, the client's, the protocol's */
    assert_int_equal(qudag_inbox_open(n, &o, why, sizeof(why)), QUDAG_EEXISTS);
    qudag_node_free(n);
    qudag_identity_free(id);

    n = another(NULL,
                &id); /* and where the program serves it, nothing is listed that nobody receives */
    o.dir = dir;
    assert_int_equal(qudag_protocol_serve_dark(n, TRANSFER_PROTO), QUDAG_OK);
    assert_int_equal(qudag_inbox_open(n, &o, why, sizeof(why)), QUDAG_EEXISTS);
    assert_false(qudag_inbox_next(n, &it, &i));
    o.dir = "/proc/no/inbox";
    assert_int_equal(qudag_inbox_open(n, &o, why, sizeof(why)), QUDAG_ESYSTEM);
    qudag_node_free(n);
    qudag_identity_free(id);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_sender_announces_is_compared_with_what_it_sent),
        cmocka_unit_test(room_is_reserved_while_it_is_needed),
        cmocka_unit_test(a_message_is_short_and_an_offer_comes_first),
        cmocka_unit_test(what_lacks_for_a_while_is_no_final_refusal),
        cmocka_unit_test(what_is_there_already_is_confirmed_at_once),
        cmocka_unit_test(senders_that_say_nothing_are_in_nobodys_way),
        cmocka_unit_test(slow_senders_with_large_offers_do_not_close_the_inbox),
        cmocka_unit_test(slow_senders_do_not_take_all_places),
        cmocka_unit_test(a_new_stream_does_not_make_a_slow_transfer_young),
        cmocka_unit_test(a_new_stream_goes_on_with_its_own_time_and_content),
        cmocka_unit_test(an_offer_takes_nothing_from_what_others_began),
        cmocka_unit_test(offers_without_content_are_not_hashed_for_ever),
        cmocka_unit_test(a_program_hears_lists_and_removes),
        cmocka_unit_test(an_inbox_is_one_and_may_be_closed),
        cmocka_unit_test(an_inbox_that_could_not_be_opened_is_opened_later),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
