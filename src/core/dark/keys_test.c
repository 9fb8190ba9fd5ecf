/* keys_test.c - the keys of a dark address and their file form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/dark/dark_impl.h"

#include "base/wipe.h"
#include "crypto/init.h"

#include <string.h>

static void keys_make(struct dark_keys *k, const char *label)
{
    uint8_t seed[32] = {42};
    struct rng_stream s;

    rng_stream_init(&s, seed);
    const struct rng rng = rng_of_stream(&s);
    assert_int_equal(dark_keys_create(k, DARK_NET_TEST, label, 1800000000, &rng), QUDAG_OK);
}

static void keys_come_back_from_their_file_form(void **state)
{
    uint8_t file[DARK_SECRET_LEN], again[DARK_SECRET_LEN];
    struct dark_keys k, l;

    (void)state;
    keys_make(&k, "shop");
    assert_int_equal(k.kind, DARK_DIRECT);
    k.kind = DARK_HIDDEN;
    k.clients.only = true;
    k.clients.n = 2;
    memset(k.clients.client[0].name, 'a', DARK_LABEL_MAX);
    memset(k.clients.client[0].secret, 8, DARK_CLIENT_SECRET_LEN);
    k.clients.client[1].name[0] = 'b';
    k.seq = 77;
    k.use = (struct dark_use){5, 6, 1800003600};
    memset(k.target, 9, sizeof k.target);
    const struct dark_place at = {20833, 1};
    const struct dark_place_state state_of = {at, 123456, 1800007200};
    k.place[dark_slot(&at)] = state_of;
    dark_keys_save(&k, file);
    assert_int_equal(dark_keys_load(&l, (struct slice){file, sizeof file}), QUDAG_OK);
    assert_true(dark_addr_eq(&k.addr, &l.addr));
    assert_memory_equal(k.pq_pk, l.pq_pk, sizeof k.pq_pk);
    assert_memory_equal(k.onion_x, l.onion_x, sizeof k.onion_x);
    assert_memory_equal(k.onion_k, l.onion_k, sizeof k.onion_k);
    assert_memory_equal(k.key_id, l.key_id, sizeof k.key_id);
    assert_int_equal(l.kind, DARK_HIDDEN);
    assert_memory_equal(&k.clients, &l.clients, sizeof k.clients);
    assert_int_equal(l.seq, 77);
    assert_int_equal(l.use.callers, 5);
    assert_int_equal(l.use.resolutions, 6);
    assert_int_equal(l.use.last, 1800003600);
    assert_memory_equal(l.target, k.target, sizeof k.target);
    assert_true(dark_place_eq(&l.place[dark_slot(&at)].at, &at));
    assert_int_equal(l.place[dark_slot(&at)].number, 123456);
    assert_int_equal(l.place[dark_slot(&at)].due, 1800007200);
    assert_int_equal(l.created, 1800000000);
    assert_string_equal(l.label, "shop");
    dark_keys_save(&l, again);
    assert_memory_equal(file, again, sizeof file);
    dark_keys_fini(&k);
    dark_keys_fini(&l);
    assert_true(ct_is_zero(&k, sizeof k));
}

static void a_file_cut_at_any_length_is_refused(void **state)
{
    uint8_t file[DARK_SECRET_LEN + 1] = {0};
    struct dark_keys k, l;

    (void)state;
    keys_make(&k, NULL);
    dark_keys_save(&k, file);
    for (size_t len = 0; len <= sizeof file; len++) {
        qudag_err want = len == DARK_SECRET_LEN ? QUDAG_OK : QUDAG_EMALFORMED;
        assert_int_equal(dark_keys_load(&l, (struct slice){file, len}), want);
        dark_keys_fini(&l);
    }
    dark_keys_fini(&k);
}

static void a_file_with_any_byte_changed_is_refused(void **state)
{
    uint8_t file[DARK_SECRET_LEN];
    struct dark_keys k, l;

    (void)state;
    keys_make(&k, "a label");
    dark_keys_save(&k, file);
    for (size_t i = 0; i < sizeof file; i++) {
        file[i] ^= (uint8_t)(1u << i % 8);
        assert_int_equal(dark_keys_load(&l, (struct slice){file, sizeof file}), QUDAG_EMALFORMED);
        assert_true(ct_is_zero(&l, sizeof l));
        file[i] ^= (uint8_t)(1u << i % 8);
    }
    dark_keys_fini(&k);
}

/* A list that was damaged must not let in others, or everybody. */
static void a_file_with_impossible_clients_is_refused(void **state)
{
    uint8_t file[DARK_SECRET_LEN];
    struct dark_keys k, l;

    (void)state;
    for (int i = 0; i < 8; i++) {
        struct dark_clients *c = &k.clients;
        keys_make(&k, NULL);
        k.kind = i == 1 ? DARK_DIRECT : DARK_HIDDEN;
        c->only = i != 2;
        c->n = i == 3 ? DARK_CLIENTS_MAX + 1 : 2;
        c->client[0].name[0] = i == 4 ? 0 : 'a';
        c->client[1].name[0] = i == 5 ? 'a' : 'b';
        c->client[1].name[1] = i == 6 ? 7 : 0;
        c->client[2].secret[3] = i == 7 ? 1 : 0; /* a free one */
        dark_keys_save(&k, file);
        qudag_err want = i == 0 ? QUDAG_OK : QUDAG_EMALFORMED;
        assert_int_equal(dark_keys_load(&l, (struct slice){file, sizeof file}), want);
        dark_keys_fini(&l);
        dark_keys_fini(&k);
    }
}

/* A withdrawn address has no keys, and no other kind is known. */
static void a_file_of_another_kind_is_refused(void **state)
{
    uint8_t file[DARK_SECRET_LEN];
    struct dark_keys k, l;

    (void)state;
    keys_make(&k, NULL);
    for (unsigned kind = 0; kind < 5; kind++) {
        k.kind = (enum dark_kind)kind;
        dark_keys_save(&k, file);
        qudag_err want = kind == DARK_DIRECT || kind == DARK_HIDDEN ? QUDAG_OK : QUDAG_EMALFORMED;
        assert_int_equal(dark_keys_load(&l, (struct slice){file, sizeof file}), want);
        dark_keys_fini(&l);
    }
    dark_keys_fini(&k);
}

static void labels_are_short_and_printable(void **state)
{
    static const struct {
        const char *label;
        qudag_err err;
    } rows[] = {
        {NULL, QUDAG_OK},
        {"", QUDAG_OK},
        {"12345678901234567890123456789012", QUDAG_OK},
        {"123456789012345678901234567890123", QUDAG_EINVAL},
        {"caf\xc3\xa9", QUDAG_OK},
        {"caf\xc3", QUDAG_EINVAL},
        {"a\nb", QUDAG_EINVAL},
        {"\x1b[2J", QUDAG_EINVAL},
    };
    uint8_t seed[32] = {1};
    struct rng_stream s;

    (void)state;
    rng_stream_init(&s, seed);
    const struct rng rng = rng_of_stream(&s);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct dark_keys k;
        assert_int_equal(dark_keys_create(&k, DARK_NET_MAIN, rows[i].label, 5, &rng), rows[i].err);
        dark_keys_fini(&k);
    }
}

static void two_addresses_differ(void **state)
{
    uint8_t seed[32] = {1};
    struct rng_stream s;
    struct dark_keys a, b;

    (void)state;
    rng_stream_init(&s, seed);
    const struct rng rng = rng_of_stream(&s);
    assert_int_equal(dark_keys_create(&a, DARK_NET_MAIN, "", 5, &rng), QUDAG_OK);
    assert_int_equal(dark_keys_create(&b, DARK_NET_MAIN, "", 5, &rng), QUDAG_OK);
    assert_memory_not_equal(a.addr.ed_pk, b.addr.ed_pk, 32);
    assert_memory_not_equal(a.addr.commit, b.addr.commit, 32);
    assert_memory_not_equal(a.key_id, b.key_id, 8);
    dark_keys_fini(&a);
    dark_keys_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_come_back_from_their_file_form),
        cmocka_unit_test(a_file_cut_at_any_length_is_refused),
        cmocka_unit_test(a_file_with_any_byte_changed_is_refused),
        cmocka_unit_test(a_file_with_impossible_clients_is_refused),
        cmocka_unit_test(a_file_of_another_kind_is_refused),
        cmocka_unit_test(labels_are_short_and_printable),
        cmocka_unit_test(two_addresses_differ),
    };
    if (crypto_init() != QUDAG_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
