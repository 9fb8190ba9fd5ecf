/* target_test.c - records of kind hidden: every rule of their targets, and what shows of a kind outside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/wr.h"
#include "core/dark/record_kit.h"

#define FLAGS_AT (X25519_LEN + MLKEM768_EK_LEN)
#define POW_AT (FLAGS_AT + 1)
#define N_AT (POW_AT + 32 + 4 + 8) /* where work is asked for */

/* The bytes of the target of |t|. */
static size_t target_bytes(uint8_t dst[DARK_TARGET_MAX], const struct dark_target *t)
{
    struct wr w = wr_init(dst, DARK_TARGET_MAX);

    dark_target_put(&w, t);
    assert_true(wr_ok(&w));
    return w.len;
}

static qudag_err get(uint8_t kind, const uint8_t *bytes, size_t len)
{
    struct dark_target t;
    qudag_err err = dark_target_get(&t, kind, (struct slice){bytes, len});

    assert_int_equal(t.kind, err == QUDAG_OK ? kind : DARK_WITHDRAWN);
    return err;
}

static void same_hidden(const struct dark_hidden *a, const struct dark_hidden *b)
{
    assert_memory_equal(a->key_id, b->key_id, sizeof a->key_id);
    assert_memory_equal(a->x, b->x, sizeof a->x);
    assert_memory_equal(a->k, b->k, sizeof a->k);
    assert_int_equal(a->pow.effort, b->pow.effort);
    assert_memory_equal(a->pow.seed, b->pow.seed, sizeof a->pow.seed);
    assert_int_equal(a->pow.expires, b->pow.expires);
    assert_int_equal(a->n_intros, b->n_intros);
    for (size_t i = 0; i < a->n_intros; i++) {
        const struct dark_intro *p = &a->intro[i], *q = &b->intro[i];
        assert_true(peer_id_eq(&p->relay, &q->relay));
        assert_memory_equal(p->pq_hash, q->pq_hash, sizeof p->pq_hash);
        assert_memory_equal(p->key_id, q->key_id, sizeof p->key_id);
        assert_memory_equal(p->x, q->x, sizeof p->x);
        assert_memory_equal(p->k, q->k, sizeof p->k);
        assert_memory_equal(p->key, q->key, sizeof p->key);
    }
}

static void a_hidden_record_opens_to_its_introduction_points(void **state)
{
    static const uint32_t efforts[] = {0, 1, UINT32_MAX};
    struct world *w = world_new(1);
    struct dark_target t;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(efforts) * DARK_INTROS_MAX; i++) {
        world_hide(w, (uint8_t)(1 + i % DARK_INTROS_MAX), efforts[i / DARK_INTROS_MAX]);
        assert_int_equal(check(w, NOW), QUDAG_OK);
        assert_int_equal(dark_record_open(&t, &w->k.addr, NULL, rec_of(w), NOW), QUDAG_OK);
        assert_int_equal(t.kind, DARK_HIDDEN);
        assert_int_equal(t.seq, w->t.seq);
        assert_int_equal(t.number, w->t.number);
        assert_true(dark_place_eq(&t.at, &w->t.at));
        same_hidden(&t.hidden, &w->t.hidden);
    }
    world_free(w);
}

/* The ids are what names the keys: another id in what is published leads nobody to another key. */
static void key_ids_follow_from_the_keys(void **state)
{
    struct world *w = world_new(1);
    struct dark_target t;

    (void)state;
    world_hide(w, 1, 0);
    struct dark_hidden h = w->t.hidden;
    w->t.hidden.key_id[0] ^= 1;
    w->t.hidden.intro[0].key_id[0] ^= 1;
    record_make(w);
    assert_int_equal(dark_record_open(&t, &w->k.addr, NULL, rec_of(w), NOW), QUDAG_OK);
    same_hidden(&t.hidden, &h);
    world_free(w);
}

/* What a storer does with a record, the outer signature made to match, after byte |at| became |value|. */
static qudag_err stored_with(struct world *w, size_t at, uint8_t value, uint64_t *number)
{
    uint8_t old = w->rec[at];
    walltime expires;

    w->rec[at] = value;
    if (at < 8 || at >= 40) { /* for another A' nobody has the key */
        outer_sign(w);
    }
    qudag_err err =
        dark_record_check((struct slice){w->key, sizeof w->key}, rec_of(w), NOW, number, &expires);
    w->rec[at] = old;
    outer_sign(w);
    return err;
}

/* Head, size and every answer of a storer are the same for all kinds; the rest is as good as random. */
static void kinds_do_not_show_outside(void **state)
{
    static struct world *v[3];
    uint64_t number[3] = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(v); i++) {
        v[i] = world_new(1);
    }
    v[1]->t.kind = DARK_WITHDRAWN;
    record_make(v[1]);
    v[2]->t.kind = DARK_HIDDEN;
    hidden_set(&v[2]->t.hidden, 3, 7, &v[2]->rng);
    record_make(v[2]);
    for (size_t i = 1; i < ARRAY_LEN(v); i++) {
        size_t same = 0, ones = 0;
        assert_memory_equal(v[i]->rec, v[0]->rec, 64); /* all of the head but the nonce */
        for (size_t b = DARK_HEAD_LEN; b < DARK_SIG_AT; b++) {
            same += v[i]->rec[b] == v[0]->rec[b];
            ones += (size_t)__builtin_popcount(v[i]->rec[b]);
        }
        assert_true(same < 110);                         /* 48 expected */
        assert_in_range(ones, 48592 - 780, 48592 + 780); /* five deviations */
    }
    for (size_t at = 0; at < DARK_HEAD_LEN; at++) {
        for (unsigned bit = 0; bit < 8; bit += 7) {
            uint8_t value = v[0]->rec[at] ^ (uint8_t)(1u << bit);
            qudag_err want = stored_with(v[0], at, value, &number[0]);
            for (size_t i = 1; i < ARRAY_LEN(v) && at < 64; i++) {
                assert_int_equal(stored_with(v[i], at, value, &number[i]), want);
                assert_int_equal(number[i], number[0]);
            }
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(v); i++) {
        assert_int_equal(check(v[i], NOW), QUDAG_OK);
        world_free(v[i]);
    }
}

/* The Ed25519 key alone does not lead callers to another relay, key or demand. */
static void a_changed_field_of_a_hidden_target_is_refused(void **state)
{
    struct world *w = world_new(1);
    static uint8_t plain[DARK_PLAIN_LEN], changed[DARK_PLAIN_LEN], target[DARK_TARGET_MAX];

    (void)state;
    world_hide(w, 3, 7);
    body_decrypt(w, plain);
    size_t len = target_bytes(target, &w->t);
    assert_memory_equal(plain + DARK_TARGET_AT, target, len);
    for (size_t i = 0; i<len; i += i> POW_AT - 20 && i < N_AT + 120 ? 1 : 29) {
        memcpy(changed, plain, sizeof plain);
        changed[DARK_TARGET_AT + i] ^= 0x10;
        body_replace(w, changed);
        assert_int_equal(check(w, NOW), QUDAG_OK);
        assert_int_not_equal(open_at(w, NOW), QUDAG_OK);
    }
    body_replace(w, plain);
    assert_int_equal(open_at(w, NOW), QUDAG_OK);
    world_free(w);
}

static void a_hidden_target_has_exactly_its_length(void **state)
{
    struct world *w = world_new(1);
    static uint8_t target[DARK_TARGET_MAX + 1];

    (void)state;
    for (uint32_t effort = 0; effort < 2; effort++) {
        hidden_set(&w->t.hidden, 3, effort, &w->rng);
        w->t.kind = DARK_HIDDEN;
        size_t len = target_bytes(target, &w->t);
        for (size_t cut = 0; cut < len; cut++) {
            assert_int_equal(get(DARK_HIDDEN, target, cut), QUDAG_EMALFORMED);
        }
        assert_int_equal(get(DARK_HIDDEN, target, len), QUDAG_OK);
        assert_int_equal(get(DARK_HIDDEN, target, len + 1), QUDAG_EMALFORMED);
        assert_int_equal(get(DARK_DIRECT, target, len), QUDAG_EMALFORMED);
        assert_int_equal(get(DARK_WITHDRAWN, target, len), QUDAG_EMALFORMED);
        assert_int_equal(get(4, target, len), QUDAG_EUNSUPPORTED);
        assert_int_equal(get(255, target, len), QUDAG_EUNSUPPORTED);
    }
    world_free(w);
}

/* A body cut, and a length of the target that is too short or too long. */
static void a_hidden_body_cut_at_any_length_is_refused(void **state)
{
    struct world *w = world_new(1);
    static uint8_t plain[DARK_PLAIN_LEN];
    struct dark_target t;
    struct dark_body b;

    (void)state;
    world_hide(w, 2, 7);
    body_decrypt(w, plain);
    assert_int_equal(dark_body_read(&b, &t, (struct slice){plain, sizeof plain}), QUDAG_OK);
    assert_int_equal(t.kind, DARK_HIDDEN);
    size_t need = b.signed_part.len + MLDSA65_SIG_LEN, target = b.signed_part.len - DARK_TARGET_AT;
    for (size_t len = 0; len < need; len++) {
        assert_int_equal(dark_body_read(&b, &t, (struct slice){plain, len}), QUDAG_EMALFORMED);
    }
    for (size_t len = 0; len < 65536; len++) {
        plain[DARK_TARGET_AT - 2] = (uint8_t)(len >> 8);
        plain[DARK_TARGET_AT - 1] = (uint8_t)len;
        assert_int_equal(dark_body_read(&b, &t, (struct slice){plain, sizeof plain}),
                         len == target ? QUDAG_OK : QUDAG_EMALFORMED);
    }
    world_free(w);
}

/* Every flag but that of proof of work asks for something that this version does not know. */
static void unknown_flags_are_refused(void **state)
{
    struct world *w = world_new(1);
    static uint8_t target[DARK_TARGET_MAX];

    (void)state;
    w->t.kind = DARK_HIDDEN;
    for (uint32_t effort = 0; effort < 2; effort++) {
        hidden_set(&w->t.hidden, 1, effort, &w->rng);
        size_t len = target_bytes(target, &w->t);
        uint8_t known = effort == 0 ? 0 : 2;
        assert_int_equal(target[FLAGS_AT], known);
        for (unsigned flags = 0; flags < 256; flags++) {
            target[FLAGS_AT] = (uint8_t)flags;
            qudag_err want = flags == known       ? QUDAG_OK
                             : (flags & ~2u) == 0 ? QUDAG_EMALFORMED
                                                  : QUDAG_EUNSUPPORTED;
            assert_int_equal(get(DARK_HIDDEN, target, len), want);
        }
    }
    world_free(w);
}

static void the_rules_of_a_hidden_target(void **state)
{
    struct world *w = world_new(1);
    struct dark_target *t = &w->t;
    static uint8_t target[DARK_TARGET_MAX], good[DARK_TARGET_MAX];

    (void)state;
    t->kind = DARK_HIDDEN;
    hidden_set(&t->hidden, 3, 7, &w->rng);
    size_t len = target_bytes(good, t), one = (len - N_AT - 1) / 3;
    size_t id = 1u + t->hidden.intro[0].relay.len;
    const struct {
        size_t at, from, n; /* bytes at |at| become those at |from| */
    } copies[] = {
        {N_AT + 1 + one, N_AT + 1, id},                     /* relay 1 is 0 */
        {N_AT + 1 + 2 * one, N_AT + 1 + one, id},           /* 2 is 1 */
        {N_AT + 1 + 2 * one, N_AT + 1, id},                 /* 2 is 0 */
        {N_AT + 1 + 2 * one - 32, N_AT + 1 + one - 32, 32}, /* likewise introduction keys */
        {N_AT + 1 + 3 * one - 32, N_AT + 1 + 2 * one - 32, 32},
        {N_AT + 1 + 3 * one - 32, N_AT + 1 + one - 32, 32},
    };
    for (size_t i = 0; i < ARRAY_LEN(copies); i++) {
        memcpy(target, good, len);
        memcpy(target + copies[i].at, good + copies[i].from, copies[i].n);
        assert_int_equal(get(DARK_HIDDEN, target, len), QUDAG_EMALFORMED);
    }
    memcpy(target, good, len);
    memset(target + POW_AT + 32, 0, 4); /* work of no effort */
    assert_int_equal(get(DARK_HIDDEN, target, len), QUDAG_EMALFORMED);
    memcpy(target, good, len);
    target[POW_AT + 36] = 0x80; /* a time before 1970 */
    assert_int_equal(get(DARK_HIDDEN, target, len), QUDAG_EMALFORMED);
    memcpy(target, good, len);
    target[N_AT + 2] ^= 1; /* no peer id */
    assert_int_equal(get(DARK_HIDDEN, target, len), QUDAG_EMALFORMED);
    memcpy(target, good, len);
    target[N_AT] = 0;
    assert_int_equal(get(DARK_HIDDEN, target, N_AT + 1), QUDAG_EMALFORMED);
    target[N_AT] = 4; /* four different ones */
    memcpy(target + len, good + N_AT + 1, one);
    target[len + 10] ^= 1;
    target[len + one - 1] ^= 1;
    assert_int_equal(get(DARK_HIDDEN, target, len + one), QUDAG_EMALFORMED);
    assert_int_equal(get(DARK_HIDDEN, good, len), QUDAG_OK);
    world_free(w);
}

/* Whoever publishes cannot make by mistake what readers refuse. */
static void what_readers_refuse_is_not_made(void **state)
{
    static const uint8_t zero[DARK_RECORD_LEN];
    struct world *w = world_new(1);

    (void)state;
    for (unsigned i = 0; i <= 8; i++) {
        struct dark_hidden *h = &w->t.hidden;
        w->t.kind = DARK_HIDDEN;
        hidden_set(h, 3, 7, &w->rng);
        h->n_intros = i == 0 ? 0 : i == 1 ? DARK_INTROS_MAX + 1 : 3;
        h->pow.expires = i == 2 ? -1 : h->pow.expires;
        h->intro[2].relay.len = i == 3 ? 0 : h->intro[2].relay.len;
        h->intro[2].relay = i == 4 ? h->intro[0].relay : h->intro[2].relay;
        h->intro[1].relay = i == 5 ? h->intro[2].relay : h->intro[1].relay;
        if (i == 6) {
            memcpy(h->intro[2].key, h->intro[1].key, 32);
        }
        w->t.kind = i == 7 ? DARK_LOCKED : DARK_HIDDEN;
        qudag_err want = i == 8 ? QUDAG_OK : QUDAG_EINVAL;
        assert_int_equal(dark_record_make(w->rec, &w->k, &w->t, &w->rng), want);
        assert_int_equal(memcmp(w->rec, zero, sizeof zero) == 0, i != 8);
    }
    w->t.kind = DARK_DIRECT;
    hop_set(&w->t.hop, &w->k);
    w->t.hop.n_addrs = ONION_ADDRS_MAX + 1;
    assert_int_equal(dark_record_make(w->rec, &w->k, &w->t, &w->rng), QUDAG_EINVAL);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hidden_record_opens_to_its_introduction_points),
        cmocka_unit_test(key_ids_follow_from_the_keys),
        cmocka_unit_test(kinds_do_not_show_outside),
        cmocka_unit_test(a_changed_field_of_a_hidden_target_is_refused),
        cmocka_unit_test(a_hidden_target_has_exactly_its_length),
        cmocka_unit_test(a_hidden_body_cut_at_any_length_is_refused),
        cmocka_unit_test(unknown_flags_are_refused),
        cmocka_unit_test(the_rules_of_a_hidden_target),
        cmocka_unit_test(what_readers_refuse_is_not_made),
    };
    if (crypto_init() != QUDAG_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
