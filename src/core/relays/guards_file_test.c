/* guards_file_test.c - files of guards that are rightly summed, and still not to be believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/relays/relays_bed.h"

#define DAY 86400
#define EPOCH 1800000000 /* the calendar of these tests */
#define HEAD 8           /* magic, version, flags, how many of either */

/* Where things lie in a guard's record, and in the relay's part of it. */
#define G_UNTIL 16
#define G_BUILT 32
#define G_INTACT 40
#define G_RELAY 45
#define S_RELAY 12
#define R_TIMES(id_len) (2 + (id_len) + 32 + 32 + 2 + 8)

static struct {
    uint8_t head[HEAD], guard[2048], second[2048];
    size_t guard_len, second_len, id_len;
    uint8_t file[4 * RELAYS_GUARDS_FILE_MAX];
} k;

static struct world *w, *v;

/* One guard's record and one second-layer guard's. */
static int setup(void **state)
{
    (void)state;
    w = world_new(false);
    v = world_new(false);
    for (uint8_t i = 0; i < N; i++) {
        w->d[i].not_before = EPOCH;
        w->d[i].expires = EPOCH + INT64_C(1000) * DAY;
    }
    world_add(w);
    relays_expire(w->r, EPOCH, true);
    relays_settled(w->r, EPOCH);
    w->r->second[0]->denied_s = 77;
    uint32_t n_guards = w->r->n_guards, n_second = w->r->n_second;
    w->r->n_guards = 1;
    w->r->n_second = 0;
    size_t len = relays_guards_save(w->r, k.file, sizeof k.file);
    k.guard_len = len - HEAD - RELAYS_SUM_LEN;
    memcpy(k.guard, k.file + HEAD, k.guard_len);
    w->r->n_guards = 0;
    w->r->n_second = 1;
    len = relays_guards_save(w->r, k.file, sizeof k.file);
    k.second_len = len - HEAD - RELAYS_SUM_LEN;
    memcpy(k.second, k.file + HEAD, k.second_len);
    memcpy(k.head, k.file, HEAD);
    k.id_len = w->r->guard[0]->x.hop.peer.len;
    w->r->n_guards = n_guards;
    w->r->n_second = n_second;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    world_free(w);
    world_free(v);
    return 0;
}

/* A file of |n| and |m| copies, of peers of their own if |own|, with |more| bytes behind; how it is read. */
static qudag_err load(uint8_t n, uint8_t m, bool own, size_t more)
{
    size_t at = HEAD;

    memcpy(k.file, k.head, HEAD);
    k.file[6] = n;
    k.file[7] = m;
    for (uint8_t i = 0; i < n; i++, at += k.guard_len) {
        memcpy(k.file + at, k.guard, k.guard_len);
        k.file[at + G_RELAY + 2 + k.id_len - 1] ^= own ? i : 0;
    }
    for (uint8_t i = 0; i < m; i++, at += k.second_len) {
        memcpy(k.file + at, k.second, k.second_len);
        k.file[at + S_RELAY + 2 + k.id_len - 1] ^= own ? i : 0;
    }
    memset(k.file + at, 0, more);
    at += more;
    relays_guards_sum(k.file + at, (struct slice){k.file, at});
    return relays_guards_load(v->r, (struct slice){k.file, at + RELAYS_SUM_LEN});
}

static void assert_refused(qudag_err err)
{
    assert_int_equal(err, QUDAG_EMALFORMED);
    assert_int_equal(v->r->n_guards + v->r->n_second, 0);
}

static void as_many_as_there_is_room_for_and_no_more(void **state)
{
    (void)state;
    assert_int_equal(load(RELAYS_SAMPLE_MAX, RELAYS_SECOND_MAX, true, 0), QUDAG_OK);
    assert_int_equal(v->r->n_guards, RELAYS_SAMPLE_MAX);
    assert_int_equal(v->r->n_second, RELAYS_SECOND_MAX);
    assert_refused(load(RELAYS_SAMPLE_MAX + 1, 0, true, 0));
    assert_refused(load(0, RELAYS_SECOND_MAX + 1, true, 0));
    assert_refused(load(1, 1, true, 1)); /* and nothing behind */
}

static void nobody_is_in_it_twice(void **state)
{
    (void)state;
    assert_refused(load(2, 0, false, 0));
    assert_refused(load(0, 2, false, 0));
}

static void what_is_read_is_what_was_written_and_need_not_be_saved(void **state)
{
    (void)state;
    relays_guards_note(v->r, RELAYS_DIRTY_NOW);
    assert_int_equal(load(1, 1, true, 0), QUDAG_OK);
    assert_int_equal(relays_guards_dirty(v->r), RELAYS_CLEAN);
    assert_false(v->r->large);
    assert_int_equal(v->r->second[0]->denied_s, 77);
    const struct onion_hop *hop = &v->r->guard[0]->x.hop;
    uint8_t key_id[sizeof hop->key_id];
    onion_key_id(key_id, hop->x, hop->k);
    assert_memory_equal(hop->key_id, key_id, sizeof key_id);
    k.head[5] = 1;
    assert_int_equal(load(1, 1, true, 0), QUDAG_OK);
    assert_true(v->r->large);
}

/* Of the guard: sets the byte at |at|, sees that the file is refused, and takes it back. */
static void refused_with(size_t at, uint8_t byte)
{
    uint8_t before = k.guard[at];

    k.guard[at] = byte;
    assert_refused(load(1, 0, true, 0));
    k.guard[at] = before;
    assert_int_equal(load(1, 0, true, 0), QUDAG_OK);
}

static void numbers_that_cannot_be_are_refused(void **state)
{
    size_t times = G_RELAY + R_TIMES(k.id_len);

    (void)state;
    refused_with(G_UNTIL, 0x7f);     /* no calendar has that */
    refused_with(G_UNTIL + 3, 0x01); /* it would be held for 136 years */
    refused_with(G_UNTIL + 4, 0);    /* over before it began */
    refused_with(G_BUILT + 3, 1);    /* more built than tried */
    refused_with(G_INTACT + 3, 1);   /* more intact than used */
    refused_with(times + 8 + 4, 0);  /* expired before it was made */
    refused_with(times + 16, ONION_ADDRS_MAX + 1);
    refused_with(0, 0xff); /* before 1970 */
}

static void addresses_nobody_reaches_are_left_out(void **state)
{
    size_t ip = G_RELAY + R_TIMES(k.id_len) + 17;

    (void)state;
    while (ip < k.guard_len && k.guard[ip] != 100) { /* of 100.x.y.1 */
        ip++;
    }
    assert_true(ip < k.guard_len);
    assert_int_equal(load(1, 0, true, 0), QUDAG_OK);
    assert_int_equal(v->r->guard[0]->x.hop.n_addrs, 1);
    assert_int_equal(v->r->guard[0]->x.n_nets, 1);
    k.guard[ip] = 127;
    assert_int_equal(load(1, 0, true, 0), QUDAG_OK);
    assert_int_equal(v->r->guard[0]->x.hop.n_addrs, 0);
    assert_int_equal(v->r->guard[0]->x.n_nets, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(as_many_as_there_is_room_for_and_no_more),
        TEST(nobody_is_in_it_twice),
        TEST(what_is_read_is_what_was_written_and_need_not_be_saved),
        TEST(numbers_that_cannot_be_are_refused),
        TEST(addresses_nobody_reaches_are_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
