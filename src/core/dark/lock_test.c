/* lock_test.c - records for clients only: who can read them, and what shows of that outside; lists of clients. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/wr.h"
#include "core/dark/record_kit.h"

static void clients_set(struct world *w, uint32_t n)
{
    struct dark_clients *c = &w->k.clients;

    memset(c, 0, sizeof *c);
    c->only = true;
    for (; c->n < n; c->n++) {
        c->client[c->n].name[0] = (char)('A' + c->n);
        rng_fill(&w->rng, c->client[c->n].secret, DARK_CLIENT_SECRET_LEN);
    }
    w->t.kind = DARK_HIDDEN;
    hidden_set(&w->t.hidden, 3, 7, &w->rng);
    w->t.number++;
    record_make(w);
}

static qudag_err open_as(const struct world *w, const uint8_t *secret, struct dark_target *t)
{
    return dark_record_open(t, &w->k.addr, secret, rec_of(w), NOW);
}

static void each_client_and_nobody_else_can_read_it(void **state)
{
    static const uint32_t counts[] = {0, 1, 2, 16, 17, DARK_CLIENTS_MAX};
    struct world *w = world_new(1);
    struct dark_target t;
    uint8_t other[DARK_CLIENT_SECRET_LEN] = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        clients_set(w, counts[i]);
        assert_int_equal(check(w, NOW), QUDAG_OK);
        for (uint32_t j = 0; j < counts[i]; j++) {
            memcpy(other, w->k.clients.client[j].secret, sizeof other);
            assert_int_equal(open_as(w, other, &t), QUDAG_OK);
            assert_int_equal(t.kind, DARK_HIDDEN);
            assert_int_equal(t.seq, w->t.seq);
            assert_int_equal(t.number, w->t.number);
            assert_memory_equal(&t.hidden, &w->t.hidden, sizeof t.hidden);
            other[j % 32] ^= 1;
            assert_int_equal(open_as(w, other, &t), QUDAG_ENEEDAUTH);
        }
        assert_int_equal(open_as(w, other, &t), QUDAG_ENEEDAUTH);
        assert_int_equal(open_as(w, NULL, &t), QUDAG_ENEEDAUTH);
        assert_int_equal(t.kind, DARK_WITHDRAWN); /* nothing of the target */
        assert_int_equal(t.number, w->t.number);  /* but which record it was */
        assert_true(dark_place_eq(&t.at, &w->t.at));
    }
    world_free(w);
}

/* A secret is worth nothing with the record of the next hour, once its client was removed. */
static void a_client_who_was_removed_cannot_read_the_next_record(void **state)
{
    struct world *w = world_new(1);
    uint8_t gone[DARK_CLIENT_SECRET_LEN];
    struct dark_target t;

    (void)state;
    clients_set(w, 3);
    memcpy(gone, w->k.clients.client[2].secret, sizeof gone);
    assert_int_equal(open_as(w, gone, &t), QUDAG_OK);
    w->k.clients.n = 2;
    w->t.number++;
    record_make(w);
    assert_int_equal(open_as(w, gone, &t), QUDAG_ENEEDAUTH);
    assert_int_equal(open_as(w, w->k.clients.client[0].secret, &t), QUDAG_OK);
    assert_int_equal(open_as(w, w->k.clients.client[1].secret, &t), QUDAG_OK);
    world_free(w);
}

/* Nothing of a target is in the open, and no record has an entry or a key in common with another. */
static void without_a_secret_two_records_have_nothing_in_common(void **state)
{
    struct world *w = world_new(1);
    static uint8_t a[DARK_PLAIN_LEN], b[DARK_PLAIN_LEN];

    (void)state;
    clients_set(w, 2);
    body_decrypt(w, a);
    w->t.number++;
    record_make(w);
    body_decrypt(w, b);
    assert_int_equal(a[0], DARK_LOCKED);
    assert_memory_equal(a, b, DARK_TARGET_AT); /* kind, key, length: of the address */
    for (size_t i = DARK_TARGET_AT; i + 32 <= DARK_TARGET_AT + DARK_LOCKED_LEN; i++) {
        assert_memory_not_equal(a + i, b + i, 8);
        assert_memory_not_equal(a + i, w->t.hidden.x, 32);
        assert_memory_not_equal(a + i, w->t.hidden.intro[0].key, 32);
    }
    size_t len = DARK_LOCKED_LEN;
    clients_set(w, DARK_CLIENTS_MAX);
    body_decrypt(w, b);
    assert_int_equal(b[DARK_TARGET_AT - 2] * 256 + b[DARK_TARGET_AT - 1], len); /* of any number */
    hidden_set(&w->t.hidden, 1, 0, &w->rng);
    record_make(w);
    body_decrypt(w, b);
    assert_int_equal(b[DARK_TARGET_AT - 2] * 256 + b[DARK_TARGET_AT - 1], len); /* of any target */
    world_free(w);
}

/* A client is not always at one place, or one who was removed would show to the others. */
static void entries_are_at_places_drawn_anew(void **state)
{
    struct world *w = world_new(1);
    uint8_t buf[DARK_LOCKED_LEN], seen[DARK_CLIENTS_MAX] = {0};
    const struct dark_lock lock = {&w->k.clients, &w->rng};
    unsigned places = 0;

    (void)state;
    clients_set(w, 1);
    for (unsigned i = 0; i < 400; i++) {
        struct wr out = wr_init(buf, sizeof buf);
        struct dark_target t;
        assert_int_equal(dark_locked_put(&out, &w->t, &lock), QUDAG_OK);
        size_t lo = 0;
        for (; lo < DARK_CLIENTS_MAX;
             lo++) { /* which entry it is: without that one it stays shut */
            buf[32 + 32 * lo] ^= 1;
            qudag_err err =
                dark_unlock(&t, (struct slice){buf, sizeof buf}, w->k.clients.client[0].secret);
            buf[32 + 32 * lo] ^= 1;
            if (err == QUDAG_ENEEDAUTH) {
                break;
            }
        }
        assert_true(lo < DARK_CLIENTS_MAX);
        places += seen[lo] == 0 ? 1 : 0;
        seen[lo] = 1;
    }
    assert_true(places >= DARK_CLIENTS_MAX - 2); /* each is left out once in 4,500 runs */
    world_free(w);
}

/* Only the service can write for its clients: who has the Ed25519 key, and a secret, cannot. */
static void a_changed_byte_of_a_locked_target_is_refused(void **state)
{
    struct world *w = world_new(1);
    static uint8_t plain[DARK_PLAIN_LEN];
    struct dark_target t;

    (void)state;
    clients_set(w, 1);
    body_decrypt(w, plain);
    for (size_t i = DARK_TARGET_AT; i < DARK_TARGET_AT + DARK_LOCKED_LEN; i += 97) {
        plain[i] ^= 4;
        body_replace(w, plain);
        assert_int_equal(open_as(w, w->k.clients.client[0].secret, &t), QUDAG_EAUTH);
        assert_int_equal(open_as(w, NULL, &t), QUDAG_EAUTH); /* that it is locked is signed, too */
        plain[i] ^= 4;
    }
    body_replace(w, plain);
    assert_int_equal(open_as(w, w->k.clients.client[0].secret, &t), QUDAG_OK);
    world_free(w);
}

static void a_locked_target_has_exactly_its_length(void **state)
{
    struct world *w = world_new(1);
    static uint8_t plain[DARK_PLAIN_LEN], buf[DARK_LOCKED_LEN + 1];
    struct dark_target t;
    struct dark_body b;

    (void)state;
    clients_set(w, 1);
    body_decrypt(w, plain);
    for (size_t len = 0; len < 65536; len++) {
        plain[DARK_TARGET_AT - 2] = (uint8_t)(len >> 8);
        plain[DARK_TARGET_AT - 1] = (uint8_t)len;
        assert_int_equal(dark_body_read(&b, &t, (struct slice){plain, sizeof plain}),
                         len == DARK_LOCKED_LEN ? QUDAG_ENEEDAUTH : QUDAG_EMALFORMED);
    }
    memcpy(buf, plain + DARK_TARGET_AT, DARK_LOCKED_LEN);
    for (size_t len = 0; len <= sizeof buf; len++) {
        assert_int_equal(dark_unlock(&t, (struct slice){buf, len}, w->k.clients.client[0].secret),
                         len == DARK_LOCKED_LEN ? QUDAG_OK : QUDAG_EMALFORMED);
    }
    world_free(w);
}

/* What a service seals wrongly is refused as if it were in the open. */
static void what_is_inside_is_checked_as_anywhere(void **state)
{
    struct world *w = world_new(1);
    static uint8_t locked[DARK_LOCKED_LEN], inner[2 + DARK_HIDDEN_MAX];
    static const uint8_t nonce[AEAD_NONCE_LEN];
    uint8_t secret[32] = {1}, m[64], key[32], k[32] = {5};
    struct dark_target t;
    struct wr in = wr_init(inner, sizeof inner);

    (void)state;
    w->t.kind = DARK_HIDDEN;
    hidden_set(&w->t.hidden, 2, 0, &w->rng);
    size_t at = wr_reserve(&in, 2);
    dark_target_put(&in, &w->t);
    wr_fill_u16(&in, at, (uint16_t)(in.len - 2));
    memset(locked, 3, 32); /* the salt */
    memcpy(m, secret, 32);
    memcpy(m + 32, locked, 32);
    blake3_derive(key, 32, "qudag dark client v1", (struct slice){m, sizeof m});
    for (size_t i = 0; i < 32; i++) {
        locked[32 + 32 * 47 + i] = key[i] ^ k[i]; /* the last entry */
    }
    const struct {
        size_t at;
        uint8_t bits;
        qudag_err want;
    } rows[] = {
        {0, 0, QUDAG_OK},
        {sizeof inner - 1, 1, QUDAG_EMALFORMED},      /* not zero at the end */
        {in.len, 1, QUDAG_EMALFORMED},                /* or behind the target */
        {1, 1, QUDAG_EMALFORMED},                     /* another length */
        {0, 0x80, QUDAG_EMALFORMED},                  /* longer than there is room */
        {2 + 32 + 1184, 1, QUDAG_EUNSUPPORTED},       /* a flag */
        {2 + 32 + 1184 + 1, 1 ^ 2, QUDAG_EMALFORMED}, /* another number of points */
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        inner[rows[i].at] ^= rows[i].bits;
        assert_int_equal(aead_seal(locked + 32 + 32 * DARK_CLIENTS_MAX, k, nonce,
                                   (struct slice){locked, 32}, (struct slice){inner, sizeof inner}),
                         QUDAG_OK);
        inner[rows[i].at] ^= rows[i].bits;
        assert_int_equal(dark_unlock(&t, (struct slice){locked, sizeof locked}, secret),
                         rows[i].want);
    }
    world_free(w);
}

static void withdrawals_and_direct_records_are_locked_for_nobody(void **state)
{
    struct world *w = world_new(1);
    struct dark_target t;

    (void)state;
    clients_set(w, 1);
    w->t.kind = DARK_WITHDRAWN;
    record_make(w);
    assert_int_equal(open_as(w, NULL, &t), QUDAG_OK);
    assert_int_equal(t.kind, DARK_WITHDRAWN);
    world_free(w);
}

/* A storer sees the same head, size and answers; the rest is as good as random (target_test.c for other kinds). */
static void storers_see_no_clients(void **state)
{
    struct world *w = world_new(1), *v = world_new(1);

    (void)state;
    world_hide(w, 3, 7);
    v->k.clients.only = true;
    v->k.clients.n = 1;
    v->k.clients.client[0].name[0] = 'a';
    rng_fill(&v->rng, v->k.clients.client[0].secret, 7); /* and another nonce is drawn */
    world_hide(v, 3, 7);
    size_t same = 0, ones = 0;
    assert_memory_equal(v->rec, w->rec, 64); /* all of the head but the nonce */
    for (size_t b = DARK_HEAD_LEN; b < DARK_SIG_AT; b++) {
        same += v->rec[b] == w->rec[b];
        ones += (size_t)__builtin_popcount(v->rec[b]);
    }
    assert_true(same < 110);                         /* 48 expected */
    assert_in_range(ones, 48592 - 780, 48592 + 780); /* five deviations */
    assert_int_equal(check(v, NOW), QUDAG_OK);
    world_free(w);
    world_free(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_client_and_nobody_else_can_read_it),
        cmocka_unit_test(a_client_who_was_removed_cannot_read_the_next_record),
        cmocka_unit_test(without_a_secret_two_records_have_nothing_in_common),
        cmocka_unit_test(entries_are_at_places_drawn_anew),
        cmocka_unit_test(a_changed_byte_of_a_locked_target_is_refused),
        cmocka_unit_test(a_locked_target_has_exactly_its_length),
        cmocka_unit_test(what_is_inside_is_checked_as_anywhere),
        cmocka_unit_test(withdrawals_and_direct_records_are_locked_for_nobody),
        cmocka_unit_test(storers_see_no_clients),
    };
    if (crypto_init() != QUDAG_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
