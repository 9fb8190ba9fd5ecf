/*
 * record_test.c - the dark record: vector, forgeries, times, sizes.
 *
 * With QUDAG_VECTOR_OUT set it writes a new frozen vector to that file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/text.h"
#include "core/dark/record_kit.h"

#include <stdio.h>

#define VECTOR "tests/vectors/dark-record.json"

static void a_record_opens_to_its_target(void **state)
{
    struct world *w = world_new(1);
    struct dark_target t;
    walltime expires;
    uint64_t number;

    (void)state;
    assert_int_equal(
        dark_record_check((struct slice){w->key, sizeof w->key}, rec_of(w), NOW, &number, &expires),
        QUDAG_OK);
    assert_int_equal(number, w->t.number);
    assert_int_equal(expires, w->t.expires);
    assert_int_equal(dark_record_open(&t, &w->k.addr, NULL, rec_of(w), NOW), QUDAG_OK);
    assert_int_equal(t.kind, DARK_DIRECT);
    assert_int_equal(t.seq, w->t.seq);
    assert_int_equal(t.number, w->t.number);
    assert_true(dark_place_eq(&t.at, &w->t.at));
    assert_int_equal(t.not_before, w->t.not_before);
    assert_int_equal(t.expires, w->t.expires);
    assert_true(peer_id_eq(&t.hop.peer, &w->t.hop.peer));
    assert_memory_equal(t.hop.pq_hash, w->t.hop.pq_hash, 32);
    assert_int_equal(t.hop.ends_until, NOW + 50000);
    assert_memory_equal(t.hop.ends_sig, w->t.hop.ends_sig, sizeof t.hop.ends_sig);
    assert_int_equal(t.hop.n_addrs, 2);
    assert_true(multiaddr_eq(&t.hop.addr[0], &w->t.hop.addr[0]));
    assert_true(multiaddr_eq(&t.hop.addr[1], &w->t.hop.addr[1]));
    assert_memory_equal(t.hop.key_id, w->k.key_id, 8);
    assert_memory_equal(t.hop.x, w->k.onion_x, sizeof t.hop.x);
    assert_memory_equal(t.hop.k, w->k.onion_k, sizeof t.hop.k);
    assert_true(t.hop.service);
    world_free(w);
}

static void a_tombstone_opens_to_nothing(void **state)
{
    struct world *w = world_new(1);
    struct dark_target t;

    (void)state;
    w->t = (struct dark_target){.kind = DARK_WITHDRAWN,
                                .seq = w->t.seq + 1,
                                .at = w->t.at,
                                .number = w->t.number + 1,
                                .not_before = w->t.not_before,
                                .expires = w->t.expires};
    record_make(w);
    assert_int_equal(check(w, NOW), QUDAG_OK);
    assert_int_equal(dark_record_open(&t, &w->k.addr, NULL, rec_of(w), NOW), QUDAG_OK);
    assert_int_equal(t.kind, DARK_WITHDRAWN);
    assert_int_equal(t.seq, w->t.seq);
    assert_int_equal(t.hop.peer.len, 0);
    world_free(w);
}

static void a_record_cut_at_any_length_is_refused(void **state)
{
    struct world *w = world_new(1);
    struct dark_target t;
    walltime expires;
    uint64_t number;

    (void)state;
    for (size_t len = 0; len < DARK_RECORD_LEN; len++) {
        struct slice cut = {w->rec, len};
        assert_int_equal(dark_record_open(&t, &w->k.addr, NULL, cut, NOW), QUDAG_EMALFORMED);
        assert_int_equal(
            dark_record_check((struct slice){w->key, sizeof w->key}, cut, NOW, &number, &expires),
            QUDAG_EMALFORMED);
    }
    for (size_t len = 0; len < DARK_KEY_LEN; len++) {
        assert_int_equal(
            dark_record_check((struct slice){w->key, len}, rec_of(w), NOW, &number, &expires),
            QUDAG_EMALFORMED);
    }
    world_free(w);
}

static void a_changed_byte_anywhere_is_refused(void **state)
{
    struct world *w = world_new(1);

    (void)state;
    for (size_t i = 0; i < DARK_RECORD_LEN; i++) {
        if (i > DARK_HEAD_LEN + 40 && i < DARK_SIG_AT - 40 && i % 37 != 0) {
            continue; /* inside the ciphertext a part will do */
        }
        w->rec[i] ^= (uint8_t)(1u << i % 8);
        assert_int_not_equal(check(w, NOW), QUDAG_OK);
        assert_int_not_equal(open_at(w, NOW), QUDAG_OK);
        w->rec[i] ^= (uint8_t)(1u << i % 8);
    }
    assert_int_equal(check(w, NOW), QUDAG_OK);
    assert_int_equal(open_at(w, NOW), QUDAG_OK);
    for (size_t i = 0; i < DARK_KEY_LEN; i++) {
        w->key[i] ^= 1;
        assert_int_not_equal(check(w, NOW), QUDAG_OK);
        w->key[i] ^= 1;
    }
    world_free(w);
}

/* The holder of the Ed25519 key alone, such as a quantum computer, cannot make what clients accept. */
static void a_body_without_the_other_signature_is_refused(void **state)
{
    static const size_t at[] = {0,
                                1,
                                MLDSA65_PK_LEN,
                                1 + MLDSA65_PK_LEN + 1,
                                DARK_TARGET_AT,
                                DARK_TARGET_AT + 1,
                                DARK_TARGET_AT + 45,
                                DARK_TARGET_AT + 80,
                                DARK_TARGET_AT + 1000};
    struct world *w = world_new(1);
    uint8_t plain[DARK_PLAIN_LEN], changed[DARK_PLAIN_LEN];
    struct dark_target t;
    struct dark_body b;

    (void)state;
    body_decrypt(w, plain);
    assert_int_equal(dark_body_read(&b, &t, (struct slice){plain, sizeof plain}), QUDAG_OK);
    for (size_t i = 0; i < ARRAY_LEN(at) + 3; i++) {
        size_t pos = i < ARRAY_LEN(at) ? at[i] : b.signed_part.len + 1000 * (i - ARRAY_LEN(at));
        memcpy(changed, plain, sizeof plain);
        changed[pos] ^= 4;
        body_replace(w, changed);
        assert_int_equal(check(w, NOW), QUDAG_OK);
        assert_int_not_equal(open_at(w, NOW), QUDAG_OK);
    }
    /* padding alone is not signed inside; the outer signature covers it */
    memcpy(changed, plain, sizeof plain);
    changed[DARK_PLAIN_LEN - 1] ^= 4;
    body_replace(w, changed);
    assert_int_equal(open_at(w, NOW), QUDAG_OK);
    /* head fields, with outer signature and encryption made to match */
    static const size_t head_at[] = {47, 55, 63, 70};
    for (size_t i = 0; i < ARRAY_LEN(head_at); i++) {
        w->rec[head_at[i]] ^= 1;
        body_replace(w, plain);
        assert_int_equal(check(w, NOW), QUDAG_OK);
        assert_int_equal(open_at(w, NOW), QUDAG_EAUTH);
        w->rec[head_at[i]] ^= 1;
    }
    world_free(w);
}

static void another_ml_dsa_key_does_not_match_the_address(void **state)
{
    struct world *w = world_new(1), *v = world_new(2);

    (void)state;
    /* the Ed25519 key of one, the ML-DSA key of the other, everything signed properly */
    mldsa65_free(w->k.pq_sk);
    assert_int_equal(mldsa65_load(&w->k.pq_sk, w->k.pq_pk, &v->k.pq_seed), QUDAG_OK);
    record_make(w);
    assert_int_equal(check(w, NOW), QUDAG_OK);
    assert_int_equal(open_at(w, NOW), QUDAG_EAUTH);
    world_free(w);
    world_free(v);
}

static void a_record_of_another_address_is_refused(void **state)
{
    struct world *w = world_new(1), *v = world_new(2);
    struct dark_target t;
    struct dark_addr a = w->k.addr;

    (void)state;
    assert_int_equal(dark_record_open(&t, &v->k.addr, NULL, rec_of(w), NOW), QUDAG_EAUTH);
    assert_int_equal(t.hop.peer.len, 0);
    memcpy(w->key, v->key, sizeof w->key);
    assert_int_equal(check(w, NOW), QUDAG_EAUTH);
    /* the same Ed25519 key under another commitment or network is another address */
    a.commit[0] ^= 1;
    assert_int_equal(dark_record_open(&t, &a, NULL, rec_of(w), NOW), QUDAG_EAUTH);
    a = w->k.addr;
    a.network ^= 1;
    assert_int_equal(dark_record_open(&t, &a, NULL, rec_of(w), NOW), QUDAG_EAUTH);
    world_free(w);
    world_free(v);
}

static void times_are_kept_to_ten_minutes(void **state)
{
    struct world *w = world_new(1);
    walltime from = w->t.not_before, to = w->t.expires;
    const struct {
        walltime now;
        qudag_err err;
    } rows[] = {
        {from - 601, QUDAG_ECLOCK},   {from - 600, QUDAG_OK}, {from, QUDAG_OK},
        {to - 1, QUDAG_OK},           {to + 599, QUDAG_OK},   {to + 600, QUDAG_EEXPIRED},
        {to + 86400, QUDAG_EEXPIRED}, {-1, QUDAG_ECLOCK},     {INT64_MAX / 2, QUDAG_EEXPIRED},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(check(w, rows[i].now), rows[i].err);
        if (rows[i].now > 0 && rows[i].now < to + 86400) {
            uint64_t live[2];
            dark_live(live, rows[i].now);
            assert_true(w->t.at.period == live[0] || w->t.at.period == live[1]);
            assert_int_equal(open_at(w, rows[i].now), rows[i].err);
        }
    }
    world_free(w);
}

static void only_live_periods_are_accepted(void **state)
{
    struct world *w = world_new(1);
    uint64_t p = w->t.at.period, live[2];

    (void)state;
    dark_live(live, NOW);
    for (int d = -4; d <= 4; d++) {
        w->t.at.period = (uint64_t)((int64_t)p + d);
        record_make(w);
        assert_int_equal(check(w, NOW), QUDAG_OK); /* storers cannot tell */
        qudag_err want = w->t.at.period == live[0] || w->t.at.period == live[1] ? QUDAG_OK
                         : d >= -2 && d <= 2                                    ? QUDAG_EEXPIRED
                                                                                : QUDAG_EAUTH;
        assert_int_equal(open_at(w, NOW), want);
    }
    world_free(w);
}

static void heads_out_of_range_are_malformed(void **state)
{
    static const struct {
        size_t at;
        uint8_t value;
        qudag_err err;
    } rows[] = {{0, 'q', QUDAG_EMALFORMED},   {4, 2, QUDAG_EUNSUPPORTED},
                {4, 0, QUDAG_EUNSUPPORTED},   {5, 1, QUDAG_EMALFORMED},
                {7, 0x80, QUDAG_EMALFORMED},  {40, 0x80, QUDAG_EMALFORMED},
                {48, 0x80, QUDAG_EMALFORMED}, {56, 0xff, QUDAG_EMALFORMED},
                {60, 0xff, QUDAG_EMALFORMED}, {60, 0, QUDAG_EMALFORMED}};
    struct world *w = world_new(1);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint8_t old = w->rec[rows[i].at];
        w->rec[rows[i].at] = rows[i].value;
        outer_sign(w);
        assert_int_equal(check(w, NOW), rows[i].err);
        assert_int_equal(open_at(w, NOW), rows[i].err);
        w->rec[rows[i].at] = old;
    }
    world_free(w);
}

static void targets_that_make_no_sense_are_refused(void **state)
{
    struct world *w = world_new(1);
    struct dark_target good = w->t;

    (void)state;
    w->t.expires = w->t.not_before;
    assert_int_equal(dark_record_make(w->rec, &w->k, &w->t, &w->rng), QUDAG_EINVAL);
    w->t.expires = w->t.not_before + DARK_LIFE_MAX + 1;
    assert_int_equal(dark_record_make(w->rec, &w->k, &w->t, &w->rng), QUDAG_EINVAL);
    w->t = good;
    w->t.hop.peer.len = 0;
    assert_int_equal(dark_record_make(w->rec, &w->k, &w->t, &w->rng), QUDAG_EINVAL);
    w->t = good;
    w->t.number = DARK_SEQ_MAX + 1;
    assert_int_equal(dark_record_make(w->rec, &w->k, &w->t, &w->rng), QUDAG_EINVAL);
    w->t = good;
    w->t.at.replica = DARK_REPLICAS;
    assert_int_equal(dark_record_make(w->rec, &w->k, &w->t, &w->rng), QUDAG_EINVAL);
    assert_true(ct_is_zero(w->rec, sizeof w->rec));
    world_free(w);
}

/* A valid multiaddr of just the given length: /ip4/.../udp/.../quic-v1 after a long DNS name. */
static void long_addr(struct multiaddr *m, uint8_t len)
{
    m->b[0] = 53; /* dns */
    m->b[1] = (uint8_t)(len - 2 - 4 - 2 > 127 ? 0 : len - 8);
    size_t at = 2;
    if (m->b[1] == 0) {
        uint8_t n = (uint8_t)(len - 9);
        m->b[1] = (uint8_t)(n | 0x80);
        m->b[2] = 1;
        at = 3;
    }
    size_t name = len - at - 6;
    for (size_t i = 0; i < name; i++) {
        m->b[at + i] = i % 50 == 49 ? '.' : 'a';
    }
    static const uint8_t tail[] = {0x91, 0x02, 0x0f, 0xa1, 0xcd, 0x03};
    memcpy(m->b + at + name, tail, sizeof tail);
    m->len = len;
}

static void addresses_that_do_not_fit_stay_away(void **state)
{
    struct world *w = world_new(1);
    struct dark_target t;

    (void)state;
    for (uint8_t i = 0; i < ONION_ADDRS_MAX; i++) {
        struct multiaddr m;
        memset(&w->t.hop.addr[i], 0, sizeof w->t.hop.addr[i]);
        long_addr(&w->t.hop.addr[i], MULTIADDR_MAX);
        assert_int_equal(multiaddr_from_bytes(&m, multiaddr_slice(&w->t.hop.addr[i])), QUDAG_OK);
    }
    w->t.hop.n_addrs = ONION_ADDRS_MAX;
    record_make(w);
    assert_int_equal(dark_record_open(&t, &w->k.addr, NULL, rec_of(w), NOW), QUDAG_OK);
    assert_int_equal(t.hop.n_addrs, 1);
    assert_true(multiaddr_eq(&t.hop.addr[0], &w->t.hop.addr[0]));
    world_free(w);
}

static void a_body_cut_at_any_length_is_refused(void **state)
{
    struct world *w = world_new(1);
    uint8_t plain[DARK_PLAIN_LEN];
    struct dark_target t;
    struct dark_body b;

    (void)state;
    body_decrypt(w, plain);
    assert_int_equal(dark_body_read(&b, &t, (struct slice){plain, sizeof plain}), QUDAG_OK);
    size_t need = b.signed_part.len + MLDSA65_SIG_LEN;
    for (size_t len = 0; len < need; len++) {
        assert_int_equal(dark_body_read(&b, &t, (struct slice){plain, len}), QUDAG_EMALFORMED);
    }
    /* the target cut: every shorter length field */
    size_t target = need - MLDSA65_SIG_LEN - DARK_TARGET_AT;
    for (size_t len = 0; len < target; len++) {
        plain[DARK_TARGET_AT - 2] = (uint8_t)(len >> 8);
        plain[DARK_TARGET_AT - 1] = (uint8_t)len;
        assert_int_equal(dark_body_read(&b, &t, (struct slice){plain, sizeof plain}),
                         QUDAG_EMALFORMED);
    }
    plain[0] = 4;
    assert_int_equal(dark_body_read(&b, &t, (struct slice){plain, sizeof plain}),
                     QUDAG_EUNSUPPORTED);
    plain[0] = 0; /* a tombstone has no target */
    assert_int_equal(dark_body_read(&b, &t, (struct slice){plain, sizeof plain}), QUDAG_EMALFORMED);
    world_free(w);
}

static void records_of_one_address_look_unrelated(void **state)
{
    static const struct dark_place moves[] = {{1, 0}, {0, 1}, {1, 1}};
    struct world *w = world_new(1);
    uint8_t first[DARK_RECORD_LEN];
    struct dark_place here = w->t.at;

    (void)state;
    memcpy(first, w->rec, sizeof first);
    for (size_t m = 0; m < ARRAY_LEN(moves); m++) {
        w->t.at =
            (struct dark_place){here.period + moves[m].period, here.replica ^ moves[m].replica};
        w->t.number = dark_number_next(&w->k, &w->t.at, 0, NOW, &w->rng);
        record_make(w);
        assert_memory_not_equal(first + 8, w->rec + 8, 32);  /* A' */
        assert_memory_not_equal(first + 40, w->rec + 40, 8); /* number */
        size_t same = 0;
        for (size_t i = 64; i < DARK_RECORD_LEN; i++) {
            same += first[i] == w->rec[i];
        }
        assert_true(same < 110); /* 12224 / 256 = 48 expected */
    }
    world_free(w);
}

/* --- vector --------------------------------------------------------------------------------- */

static void hex_line(FILE *f, const char *name, const void *p, size_t len, const char *end)
{
    static char hex[2 * DARK_RECORD_LEN + 1];

    assert_int_not_equal(hex_encode(hex, sizeof hex, (struct slice){p, len}), 0);
    fprintf(f, "  \"%s\": \"%s\"%s\n", name, hex, end);
}

static void message_hash(const struct world *w, uint8_t out[32])
{
    uint8_t plain[DARK_PLAIN_LEN], msg[DARK_PQ_MSG_MAX], m[DARK_MATERIAL_LEN];
    struct dark_target t;
    struct dark_body b;

    body_decrypt(w, plain);
    assert_int_equal(dark_body_read(&b, &t, (struct slice){plain, sizeof plain}),
                     w->k.clients.only ? QUDAG_ENEEDAUTH : QUDAG_OK);
    dark_material(m, &w->k.addr, &w->t.at);
    size_t len = dark_pq_message(msg, m, w->rec, b.signed_part);
    blake3(out, (struct slice){msg, len});
}

/* What both kinds have: numbers, place, message and record. */
static void record_lines(FILE *f, const struct world *w)
{
    uint8_t hash[32];

    message_hash(w, hash);
    fprintf(f, "  \"seq\": %llu,\n  \"number\": %llu,\n", (unsigned long long)w->t.seq,
            (unsigned long long)w->t.number);
    hex_line(f, "ml_dsa_message_blake3", hash, sizeof hash, ",");
    hex_line(f, "z", w->z, sizeof w->z, ",");
    hex_line(f, "record", w->rec, sizeof w->rec, "");
}

static void direct_lines(FILE *f, const struct world *w)
{
    hex_line(f, "onion_x", w->k.onion_x, sizeof w->k.onion_x, ",");
    hex_line(f, "onion_k", w->k.onion_k, sizeof w->k.onion_k, ",");
    hex_line(f, "peer", w->t.hop.peer.b, w->t.hop.peer.len, ",");
    hex_line(f, "pq_hash", w->t.hop.pq_hash, 32, ",");
    fprintf(f, "  \"ends_until\": %lld,\n", (long long)w->t.hop.ends_until);
    hex_line(f, "ends_sig", w->t.hop.ends_sig, sizeof w->t.hop.ends_sig, ",");
    hex_line(f, "addr0", w->t.hop.addr[0].b, w->t.hop.addr[0].len, ",");
    hex_line(f, "addr1", w->t.hop.addr[1].b, w->t.hop.addr[1].len, ",");
}

static void hidden_lines(FILE *f, const struct dark_hidden *h)
{
    hex_line(f, "x", h->x, sizeof h->x, ",");
    hex_line(f, "k", h->k, sizeof h->k, ",");
    hex_line(f, "pow_seed", h->pow.seed, sizeof h->pow.seed, ",");
    fprintf(f, "  \"pow_effort\": %u,\n  \"pow_expires\": %lld,\n  \"intros\": [\n", h->pow.effort,
            (long long)h->pow.expires);
    for (size_t i = 0; i < h->n_intros; i++) {
        const struct dark_intro *p = &h->intro[i];
        fprintf(f, "  {\n");
        hex_line(f, "peer", p->relay.b, p->relay.len, ",");
        hex_line(f, "pq_hash", p->pq_hash, sizeof p->pq_hash, ",");
        hex_line(f, "x", p->x, sizeof p->x, ",");
        hex_line(f, "k", p->k, sizeof p->k, ",");
        hex_line(f, "key", p->key, sizeof p->key, "");
        fprintf(f, "  }%s\n", i + 1 < h->n_intros ? "," : "");
    }
    fprintf(f, "  ],\n");
}

/* A record of each kind for one place; |w| has the direct one, and the hidden one afterwards. */
static void vector_write(FILE *f, struct world *w)
{
    char text[DARK_TEXT_MAX];
    uint8_t file[DARK_SECRET_LEN];

    dark_addr_text(text, &w->k.addr);
    dark_keys_save(&w->k, file);
    fprintf(f, "{\n  \"source\": \"src/core/dark/record_test.c; keys from a ChaCha20 stream whose "
               "seed is 01 00 .. 00\",\n");
    fprintf(f,
            "  \"address\": \"%s\",\n  \"now\": %lld,\n  \"period\": %llu,\n  \"replica\": %u,\n",
            text, (long long)NOW, (unsigned long long)w->t.at.period, w->t.at.replica);
    fprintf(f, "  \"walk\": %llu,\n", (unsigned long long)dark_number_walk(&w->k, &w->t.at, NOW));
    fprintf(f, "  \"not_before\": %lld,\n  \"expires\": %lld,\n", (long long)w->t.not_before,
            (long long)w->t.expires);
    hex_line(f, "keys_file", file, sizeof file, ",");
    hex_line(f, "ml_dsa_pk", w->k.pq_pk, sizeof w->k.pq_pk, ",");
    hex_line(f, "dht_key", w->key, sizeof w->key, ",");
    fprintf(f, "  \"direct\": {\n");
    direct_lines(f, w);
    record_lines(f, w);
    world_hide(w, DARK_INTROS_MAX, 500);
    fprintf(f, "  },\n  \"hidden\": {\n");
    hidden_lines(f, &w->t.hidden);
    record_lines(f, w);
    fprintf(f, "  },\n  \"locked\": {\n");
    for (uint8_t i = 0; i < 2; i++) {
        static const char *const names[] = {"secret", "other_secret"};
        struct dark_client *c = &w->k.clients.client[w->k.clients.n++];
        c->name[0] = (char)('a' + i);
        rng_fill(&w->rng, c->secret, sizeof c->secret);
        hex_line(f, names[i], c->secret, sizeof c->secret, ",");
    }
    w->k.clients.only = true;
    w->t.seq++;
    w->t.number++;
    record_make(w);
    record_lines(f, w);
    fprintf(f, "  }\n}\n");
}

static void the_frozen_vector_is_made_again(void **state)
{
    static char want[131072], got[131072];
    struct world *w;
    const char *out = getenv("QUDAG_VECTOR_OUT");

    (void)state;
    if (out != NULL) {
        FILE *f = fopen(out, "w");
        assert_non_null(f);
        w = world_new(1);
        vector_write(f, w);
        world_free(w);
        assert_int_equal(fclose(f), 0);
    }
    FILE *f = fopen(VECTOR, "r");
    assert_non_null(f);
    size_t n = fread(want, 1, sizeof want - 1, f);
    assert_int_equal(fclose(f), 0);
    f = fmemopen(got, sizeof got, "w");
    assert_non_null(f);
    w = world_new(1);
    vector_write(f, w);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(strlen(got), n);
    assert_memory_equal(want, got, n);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_opens_to_its_target),
        cmocka_unit_test(a_tombstone_opens_to_nothing),
        cmocka_unit_test(a_record_cut_at_any_length_is_refused),
        cmocka_unit_test(a_changed_byte_anywhere_is_refused),
        cmocka_unit_test(a_body_without_the_other_signature_is_refused),
        cmocka_unit_test(another_ml_dsa_key_does_not_match_the_address),
        cmocka_unit_test(a_record_of_another_address_is_refused),
        cmocka_unit_test(times_are_kept_to_ten_minutes),
        cmocka_unit_test(only_live_periods_are_accepted),
        cmocka_unit_test(heads_out_of_range_are_malformed),
        cmocka_unit_test(targets_that_make_no_sense_are_refused),
        cmocka_unit_test(addresses_that_do_not_fit_stay_away),
        cmocka_unit_test(a_body_cut_at_any_length_is_refused),
        cmocka_unit_test(records_of_one_address_look_unrelated),
        cmocka_unit_test(the_frozen_vector_is_made_again),
    };
    if (crypto_init() != QUDAG_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
