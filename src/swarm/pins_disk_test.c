/* pins_disk_test.c - what is remembered of peers, on its way to the disk and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "swarm/testkit_pins.h"

static void a_restart_forgets_no_proof(void **state)
{
    struct swarm_pin_change saved[4];
    struct swarm_stats st;
    size_t n = 0;
    uint8_t hash[32] = {3};
    struct peer_id told = peer_no(3);

    w.s->pins.persist = true;
    uint32_t link = inbound_with_key(1, BOTH, 1);
    event(LINK_DOWN, link, 0, NULL, 0);
    link = inbound_with_key(2, LINK_PQ_KEX, 0);
    event(LINK_DOWN, link, 0, NULL, 0);
    swarm_pin(w.s, &told, hash);
    swarm_pin(w.s, &told, hash); /* nothing new */
    settle();
    while (swarm_pin_change_next(w.s, w.now, &saved[n])) {
        n++;
        assert_in_range(n, 1, 3);
    }
    assert_int_equal(n, 3);
    swarm_free(w.s);
    assert_int_equal(w.mem.used, 0);

    assert_int_equal(setup(state), 0);
    for (size_t i = 0; i < n; i++) {
        struct slice bytes = {saved[i].bytes, saved[i].len};
        assert_int_equal(swarm_pin_restore(w.s, saved[i].name, bytes), QUDAG_OK);
        assert_int_equal(swarm_pin_restore(w.s, saved[i].name, bytes), QUDAG_EEXISTS);
    }
    swarm_stats_get(w.s, &st);
    assert_int_equal(st.pins, 3);
    assert_true(w.link[inbound(1, 0)].closed);
    assert_true(w.link[inbound(2, 0)].closed);
    assert_true(w.link[inbound_with_key(3, BOTH, 4)].closed);
    assert_false(w.link[inbound_with_key(1, BOTH, 1)].closed);
    assert_false(w.link[inbound_with_key(2, LINK_PQ_KEX, 0)].closed);
    assert_false(w.link[inbound_with_key(3, BOTH, 3)].closed);
    know(1, 1); /* and a dial asks for it */
}

/* What followed a key: an old statement, or the old key, is as late after a restart as it was before. */
static void a_restart_forgets_no_succession(void **state)
{
    struct swarm_pin_change saved;
    struct peer_id peer = peer_no(3);
    struct swarm_successor next = {.from = {3}, .to = {4}, .seq = 5};
    uint8_t hash[32] = {3};

    w.s->pins.persist = true;
    swarm_pin(w.s, &peer, hash);
    assert_int_equal(swarm_follow(w.s, &peer, &next), SWARM_FOLLOW);
    assert_true(swarm_pin_change_next(w.s, w.now, &saved));
    swarm_free(w.s);
    assert_int_equal(setup(state), 0);
    assert_int_equal(swarm_pin_restore(w.s, saved.name, (struct slice){saved.bytes, saved.len}),
                     QUDAG_OK);
    const struct swarm_proof *proof = swarm_pins_proof(&w.s->pins, &peer);
    assert_true(proof->has_pin && proof->has_former);
    assert_int_equal(proof->pin[0], 4);
    assert_int_equal(proof->former[0], 3);
    assert_int_equal(swarm_pins_record(&w.s->pins, &peer, hash), QUDAG_EEXISTS); /* from before */
    assert_int_equal(proof->pin[0], 4);
    next = (struct swarm_successor){.from = {4}, .to = {6}, .seq = 5};
    assert_int_equal(swarm_follow(w.s, &peer, &next), SWARM_FOLLOW_LATE);
    next.seq = 6;
    assert_int_equal(swarm_follow(w.s, &peer, &next), SWARM_FOLLOW);
    assert_int_equal(proof->former[0], 4);
    struct peer_id told = peer_no(4);
    assert_int_equal(swarm_pins_tell(&w.s->pins, &told, hash), QUDAG_OK);
    next = (struct swarm_successor){.from = {3}, .to = {4}, .seq = 1};
    assert_int_equal(swarm_follow(w.s, &told, &next), SWARM_FOLLOW);
    assert_false(swarm_pins_is_told(&w.s->pins, &told)); /* the old key has signed it */
}

static void what_was_written_is_read_and_nothing_else(void **state)
{
    (void)state;
    struct swarm_pin_change c;
    struct swarm_pins other;

    learn(1, SWARM_PIN_DIALLED, 0);
    assert_true(swarm_pins_change(&pins, T0, &c));
    for (size_t len = 0; len <= c.len; len++) {
        swarm_pins_init(&other, &mem, seed, MAX, true);
        assert_int_equal(swarm_pins_restore(&other, c.name, (struct slice){c.bytes, len}),
                         len == c.len ? QUDAG_OK : QUDAG_EMALFORMED);
        swarm_pins_fini(&other);
    }
    static const struct {
        size_t at;
        uint8_t is;
    } wrong[] = {{0, 1}, {1, SWARM_PIN_SOURCES}, {2, 2}, {3, 0xff}, {4, 2}, {85, 0}, {85, 255}};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct swarm_pin_change bad = c;
        bad.bytes[wrong[i].at] = wrong[i].is;
        swarm_pins_init(&other, &mem, seed, MAX, true);
        assert_int_equal(swarm_pins_restore(&other, c.name, (struct slice){bad.bytes, c.len}),
                         QUDAG_EMALFORMED);
        swarm_pins_fini(&other);
    }
    c.name[0] ^= 1; /* another peer's */
    swarm_pins_init(&other, &mem, seed, MAX, true);
    assert_int_equal(swarm_pins_restore(&other, c.name, (struct slice){c.bytes, c.len}),
                     QUDAG_EMALFORMED);
    swarm_pins_fini(&other);
}

static void what_is_given_up_is_removed_from_disk(void **state)
{
    (void)state;
    struct swarm_pin_change c;
    size_t written = 0, removed = 0;

    for (uint32_t i = 0; i < MAX; i++) {
        learn(i, SWARM_PIN_DIALLED, 0);
    }
    while (swarm_pins_change(&pins, T0, &c)) {
        written += c.len > 0 ? 1 : 0;
    }
    assert_int_equal(written, MAX);
    learn(MAX, SWARM_PIN_DIALLED, 0); /* instead of the first, which is on disk */
    learn(0, SWARM_PIN_DIALLED, 0);   /* which comes back: the second goes */
    for (written = 0; swarm_pins_change(&pins, T0, &c);) {
        written += c.len > 0 ? 1 : 0;
        removed += c.len == 0 ? 1 : 0;
    }
    assert_int_equal(written, 2);
    assert_int_equal(removed, 1);
    learn(5, SWARM_PIN_DIALLED, 0); /* nothing new */
    assert_false(swarm_pins_change(&pins, T0, &c));
    swarm_pins_change_all(&pins);
    for (written = 0; swarm_pins_change(&pins, T0, &c);) {
        written++;
    }
    assert_int_equal(written, MAX);
}

/* ---- how often is written ---- */

static size_t written(tstamp now)
{
    struct swarm_pin_change c;
    size_t n = 0;

    while (swarm_pins_change(&pins, now, &c)) {
        n++;
    }
    return n;
}

static void strangers_do_not_say_how_often_the_disk_is_written(void **state)
{
    size_t n = 0;
    (void)state;

    learn(0, SWARM_PIN_MET, 7);
    assert_int_equal(written(T0), 1); /* one peer: at once */
    assert_int_equal(swarm_pins_deadline(&pins), TSTAMP_NEVER);
    /* 1,000 handshakes a second for a minute; what gave way before it was written costs nothing. */
    for (uint32_t i = 1; i <= 60000; i++) {
        learn(i, SWARM_PIN_MET, 7);
        n += written(T0 + i * NS_PER_MS);
    }
    assert_true(n <= 31 * SWARM_PIN_BATCH);
    assert_true(pins.n_later <= 2 * MAX);
    tstamp at = swarm_pins_deadline(&pins);
    assert_true(at > T0 + 60 * NS_PER_S && at <= T0 + 60 * NS_PER_S + SWARM_PIN_BATCH_EVERY);
    learn(70000, SWARM_PIN_DIALLED, 9); /* ours does not wait for them */
    assert_int_equal(written(T0 + 60 * NS_PER_S), 1);
    assert_int_equal(written(at), SWARM_PIN_BATCH);
    assert_true(pins.n_later > 0);
    swarm_pins_due(&pins); /* the node stops */
    assert_true(written(at) > 0);
    assert_int_equal(pins.n_later, 0);
}

#define IDS 200 /* of peers that come and go */

/* What |c| says, done to a disk that is a row of flags. */
static void apply(bool disk[IDS], const struct swarm_pin_change *c)
{
    for (uint32_t i = 0; i < IDS; i++) {
        struct peer_id id = id_no(i);
        if (memcmp(c->name, id.b + id.len - sizeof(c->name), sizeof(c->name)) == 0) {
            disk[i] = c->len > 0;
            return;
        }
    }
    fail_msg("a name of nobody");
}

/* In whatever order they come, go, come back and are written: in the end the disk has what the table has. */
static void the_disk_follows_the_table(void **state)
{
    struct swarm_pin_change c;
    bool disk[IDS] = {false};
    uint32_t random = 1;
    (void)state;

    for (uint32_t i = 0; i < 20000; i++) {
        random = random * 1664525 + 1013904223;
        uint32_t n = (random >> 8) % IDS;
        learn(n, (random >> 28) == 0 ? SWARM_PIN_DIALLED : SWARM_PIN_MET, n % 3);
        /* Fewer than change: some give way before they are written, some after. */
        if (i % 4 == 0 && swarm_pins_change(&pins, T0 + i * SWARM_PIN_BATCH_EVERY, &c)) {
            apply(disk, &c);
        }
    }
    swarm_pins_due(&pins);
    while (swarm_pins_change(&pins, T0, &c)) {
        apply(disk, &c);
    }
    for (uint32_t i = 0; i < IDS; i++) {
        assert_int_equal(disk[i], knows(i));
    }
}

/* The peer of another network is in the first batch, though many came before it. */
static void networks_take_turns_at_the_disk(void **state)
{
    struct swarm_pin_change c;
    struct peer_id id = id_no(1);
    bool found = false;
    (void)state;

    for (uint32_t i = 100; i < 100 + MAX - 1; i++) {
        learn(i, SWARM_PIN_MET, 7);
    }
    learn(1, SWARM_PIN_MET, 1003);
    for (int i = 0; i < 2; i++) {
        assert_true(swarm_pins_change(&pins, T0, &c));
        found = found || memcmp(c.name, id.b + id.len - sizeof(c.name), sizeof(c.name)) == 0;
    }
    assert_true(found);
}

/* ---- what goes to disk ---- */

static unsigned changes(struct swarm_pin_change *last)
{
    unsigned n = 0;

    while (swarm_pins_change(&pins, TSTAMP_NEVER, last)) {
        n++;
    }
    return n;
}

static qudag_err learn_as(uint32_t n, enum swarm_pin_source source, uint8_t props,
                          const uint8_t *hash)
{
    struct swarm_claim claim = {props, hash};
    struct peer_id id = id_no(n);
    bool first;

    return swarm_pins_learn(&pins, &id, source, 7, &claim, &first);
}

/* Whatever would be missed after a restart is a change, and nothing else is. */
static void each_thing_that_is_learnt_is_a_change_once(void **state)
{
    const uint8_t hash[SWARM_PIN_LEN] = {1, 7};
    struct peer_id id = id_no(1);
    struct swarm_pin_change c;
    (void)state;

    mem_init(&mem, NULL, 0);
    swarm_pins_init(&pins, &mem, seed, 8, true);
    assert_int_equal(learn_as(1, SWARM_PIN_MET, LINK_PQ_KEX, NULL), QUDAG_OK);
    assert_int_equal(changes(&c), 1); /* somebody new */
    assert_memory_equal(c.name, id.b + id.len - SWARM_PIN_NAME_LEN, SWARM_PIN_NAME_LEN);
    assert_int_equal(learn_as(1, SWARM_PIN_MET, LINK_PQ_KEX, NULL), QUDAG_OK);
    assert_int_equal(changes(&c), 0);
    assert_int_equal(learn_as(1, SWARM_PIN_MET, BOTH, NULL), QUDAG_OK);
    assert_int_equal(changes(&c), 1); /* it proves more */
    assert_int_equal(learn_as(1, SWARM_PIN_MET, BOTH, hash), QUDAG_OK);
    assert_int_equal(changes(&c), 1); /* a key */
    assert_int_equal(learn_as(1, SWARM_PIN_DIALLED, BOTH, hash), QUDAG_OK);
    assert_int_equal(changes(&c), 1); /* it has moved */
    assert_int_equal(learn_as(1, SWARM_PIN_DIALLED, BOTH, hash), QUDAG_OK);
    assert_int_equal(changes(&c), 0);
    assert_int_equal(swarm_pins_record(&pins, &id, hash), QUDAG_OK);
    assert_int_equal(changes(&c), 1); /* a record says the same: it is known now */
    assert_int_equal(swarm_pins_record(&pins, &id, hash), QUDAG_EEXISTS);
    assert_int_equal(changes(&c), 0);
    assert_int_equal(learn_as(2, SWARM_PIN_MET, 0, hash), QUDAG_OK); /* a key alone */
    assert_int_equal(changes(&c), 1);
    assert_int_equal(learn_as(3, SWARM_PIN_MET, 0, NULL), QUDAG_OK);
    assert_int_equal(changes(&c), 0);
    swarm_pins_change_all(&pins);
    assert_int_equal(changes(&c), 2);
    swarm_pins_fini(&pins);
}

static void a_table_read_again_knows_what_it_knew_and_has_its_bound(void **state)
{
    const uint8_t hash[SWARM_PIN_LEN] = {1, 7};
    struct peer_id id = id_no(1);
    struct swarm_pin_change c, other;
    (void)state;

    mem_init(&mem, NULL, 0);
    swarm_pins_init(&pins, &mem, seed, 8, true);
    assert_int_equal(learn_as(2, SWARM_PIN_MET, BOTH, hash), QUDAG_OK);
    assert_int_equal(changes(&other), 1);
    assert_int_equal(swarm_pins_record(&pins, &id, hash), QUDAG_OK);
    assert_int_equal(changes(&c), 1);
    swarm_pins_fini(&pins);
    swarm_pins_init(&pins, &mem, seed, 1, true);
    uint8_t bad[SWARM_PIN_CHANGE_MAX + 1] = {0};
    memcpy(bad, c.bytes, c.len);
    assert_int_equal(swarm_pins_restore(&pins, c.name, (struct slice){bad, c.len + 1}),
                     QUDAG_EMALFORMED);
    bad[4] = 0; /* known, and no pin */
    assert_int_equal(swarm_pins_restore(&pins, c.name, (struct slice){bad, c.len}),
                     QUDAG_EMALFORMED);
    assert_int_equal(swarm_pins_restore(&pins, c.name, (struct slice){c.bytes, c.len}), QUDAG_OK);
    assert_int_equal(swarm_pins_record(&pins, &id, hash), QUDAG_EEXISTS); /* it was known */
    assert_int_equal(swarm_pins_restore(&pins, other.name, (struct slice){other.bytes, other.len}),
                     QUDAG_OK);
    assert_int_equal(pins.by_id.n, 1);
    assert_int_equal(changes(&c), 1); /* the one that gave way is removed */
    assert_int_equal(c.len, 0);
    swarm_pins_fini(&pins);
}

/* After a crash in a flood: those who came to us have filled the disk, those we chose are read last. */
static void what_was_dialled_is_read_from_a_disk_that_is_too_full(void **state)
{
    static struct swarm_pin_change disk[MAX + 2];
    struct swarm_pin_change c;
    size_t n = 0;
    (void)state;

    mem_init(&mem, NULL, 0);
    swarm_pins_init(&pins, &mem, seed, 2 * MAX, true);
    for (uint32_t i = 0; i < MAX; i++) {
        learn(i, SWARM_PIN_MET, i);
    }
    swarm_pins_due(&pins);
    while (n < MAX && swarm_pins_change(&pins, 0, &disk[n])) {
        n++;
    }
    learn(500, SWARM_PIN_DIALLED, 1);
    learn(501, SWARM_PIN_DIALLED, 2);
    while (n < MAX + 2 && swarm_pins_change(&pins, 0, &disk[n])) {
        n++;
    }
    assert_int_equal(n, MAX + 2);
    swarm_pins_fini(&pins);
    swarm_pins_init(&pins, &mem, seed, MAX, true);
    for (size_t i = 0; i < n; i++) {
        struct slice bytes = {disk[i].bytes, disk[i].len};
        assert_int_equal(swarm_pins_restore(&pins, disk[i].name, bytes), QUDAG_OK);
    }
    assert_int_equal(pins.by_id.n, MAX);
    assert_true(knows(500) && knows(501));
    for (int i = 0; i < 2; i++) {
        assert_true(swarm_pins_change(&pins, 0, &c));
        assert_int_equal(c.len, 0);
    }
    assert_false(swarm_pins_change(&pins, 0, &c));
    swarm_pins_fini(&pins);
    assert_int_equal(mem.used, 0);
}

int main(void)
{
#define S(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define T(name) cmocka_unit_test_setup_teardown(name, small, small_gone)
    const struct CMUnitTest tests[] = {
        S(a_restart_forgets_no_proof),
        S(a_restart_forgets_no_succession),
        T(what_was_written_is_read_and_nothing_else),
        T(what_is_given_up_is_removed_from_disk),
        cmocka_unit_test(each_thing_that_is_learnt_is_a_change_once),
        cmocka_unit_test(a_table_read_again_knows_what_it_knew_and_has_its_bound),
        cmocka_unit_test(what_was_dialled_is_read_from_a_disk_that_is_too_full),
        T(strangers_do_not_say_how_often_the_disk_is_written),
        T(networks_take_turns_at_the_disk),
        T(the_disk_follows_the_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
