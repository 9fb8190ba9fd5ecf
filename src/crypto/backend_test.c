/*
 * backend_test.c - the implementations behind kex.h and sign.h compute the same.
 *
 * Every pair of them, each with itself too: keys of one seed are the same bytes, what one encrypts or
 * signs the other opens or accepts, and what one refuses the other refuses.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "crypto/backend.h"
#include "crypto/init.h"
#include "crypto/unhex_test.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#define ROUNDS 25

static const struct crypto_backend *const all[] = {
    &crypto_openssl,
#ifdef QUDAG_FASTCRYPTO
    &crypto_awslc,
#endif
};

struct pair {
    const struct crypto_backend *a, *b;
};

/* The |n|th ordered pair; false after the last. */
static bool next_pair(struct pair *p, size_t *n)
{
    if (*n >= ARRAY_LEN(all) * ARRAY_LEN(all)) {
        return false;
    }
    *p = (struct pair){all[*n / ARRAY_LEN(all)], all[*n % ARRAY_LEN(all)]};
    ++*n;
    return true;
}

static struct rng_stream stream;
static struct rng rng;

static int seeded(void **state)
{
    static const uint8_t seed[32] = "two ways to one result";

    (void)state;
    assert_int_equal(crypto_init(), QUDAG_OK);
    rng_stream_init(&stream, seed);
    rng = rng_of_stream(&stream);
    return 0;
}

static void all_zero_and_all_one_scalars_too(struct secret_x25519 *sk, size_t round)
{
    rng_fill(&rng, sk->b, sizeof sk->b);
    if (round < 2) {
        memset(sk->b, round == 0 ? 0 : 0xff, sizeof sk->b);
    }
}

static void x25519_agrees(void **state)
{
    struct pair p;

    (void)state;
    for (size_t n = 0; next_pair(&p, &n);) {
        for (size_t i = 0; i < ROUNDS; i++) {
            struct secret_x25519 x, y;
            uint8_t px[32], py[32], again[32], sx[32], sy[32];

            all_zero_and_all_one_scalars_too(&x, i);
            rng_fill(&rng, y.b, sizeof y.b);
            assert_int_equal(p.a->x25519_public(px, &x), QUDAG_OK);
            assert_int_equal(p.b->x25519_public(again, &x), QUDAG_OK);
            assert_memory_equal(px, again, 32);
            assert_int_equal(p.b->x25519_public(py, &y), QUDAG_OK);
            py[31] |= (uint8_t)(i % 2 << 7); /* the top bit does not count: RFC 7748 5 */
            assert_int_equal(p.a->x25519_shared(sx, &x, py), QUDAG_OK);
            assert_int_equal(p.b->x25519_shared(sy, &y, px), QUDAG_OK);
            assert_memory_equal(sx, sy, 32);
        }
    }
}

/* Points of small order, and other spellings of them (RFC 7748 6.1; https://cr.yp.to/ecdh.html). */
static void x25519_refuses_a_result_of_zero(void **state)
{
    static const char *const points[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000080",
    };
    struct secret_x25519 sk;
    uint8_t point[32], out[32], zero[32] = {0};
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(points); i++) {
        unhex(point, 32, points[i]);
        rng_fill(&rng, sk.b, sizeof sk.b);
        for (size_t n = 0; n < ARRAY_LEN(all); n++) {
            assert_int_equal(all[n]->x25519_shared(out, &sk, point), QUDAG_EAUTH);
        }
        memset(out, 1, sizeof out);
        assert_int_equal(x25519_shared(out, &sk, point), QUDAG_EAUTH);
        assert_memory_equal(out, zero, sizeof out);
    }
}

static void mlkem768_agrees(void **state)
{
    struct pair p;

    (void)state;
    for (size_t n = 0; next_pair(&p, &n);) {
        for (size_t i = 0; i < ROUNDS; i++) {
            struct secret_mlkem768 seed;
            uint8_t ek[MLKEM768_EK_LEN], ek_b[MLKEM768_EK_LEN], m[MLKEM_M_LEN];
            uint8_t ct[MLKEM768_CT_LEN], ct_b[MLKEM768_CT_LEN], ss[32], ss_a[32], ss_b[32];
            void *ka, *kb;

            rng_fill(&rng, seed.seed, sizeof seed.seed);
            rng_fill(&rng, m, sizeof m);
            assert_int_equal(p.a->mlkem768_load(&ka, ek, &seed), QUDAG_OK);
            assert_int_equal(p.b->mlkem768_load(&kb, ek_b, &seed), QUDAG_OK);
            assert_memory_equal(ek, ek_b, sizeof ek);
            assert_int_equal(p.a->mlkem768_encaps(ct, ss, ek, m), QUDAG_OK);
            assert_int_equal(p.b->mlkem768_encaps(ct_b, ss_b, ek, m), QUDAG_OK);
            assert_memory_equal(ct, ct_b, sizeof ct);
            assert_memory_equal(ss, ss_b, sizeof ss);
            assert_int_equal(p.b->mlkem768_decaps(ss_b, kb, ct), QUDAG_OK);
            assert_memory_equal(ss, ss_b, sizeof ss);
            /* implicit rejection: another secret, the same everywhere */
            ct[rng_below(&rng, sizeof ct)] ^= (uint8_t)(1u << rng_below(&rng, 8));
            assert_int_equal(p.a->mlkem768_decaps(ss_a, ka, ct), QUDAG_OK);
            assert_int_equal(p.b->mlkem768_decaps(ss_b, kb, ct), QUDAG_OK);
            assert_memory_equal(ss_a, ss_b, sizeof ss);
            assert_memory_not_equal(ss_a, ss, sizeof ss);
            p.a->mlkem768_free(ka);
            p.b->mlkem768_free(kb);
        }
    }
}

static struct slice some_message(uint8_t *buf, size_t cap, size_t round)
{
    size_t len = round < 3 ? round : rng_below(&rng, (uint32_t)cap);

    rng_fill(&rng, buf, cap);
    return (struct slice){buf, len};
}

static void ed25519_agrees(void **state)
{
    struct pair p;

    (void)state;
    for (size_t n = 0; next_pair(&p, &n);) {
        for (size_t i = 0; i < ROUNDS; i++) {
            struct secret_ed25519 sk;
            uint8_t pk[32], pk_b[32], sig[ED25519_SIG_LEN], sig_b[ED25519_SIG_LEN], buf[300];
            struct slice msg = some_message(buf, sizeof buf, i);

            rng_fill(&rng, sk.seed, sizeof sk.seed);
            assert_int_equal(p.a->ed25519_public(pk, &sk), QUDAG_OK);
            assert_int_equal(p.b->ed25519_public(pk_b, &sk), QUDAG_OK);
            assert_memory_equal(pk, pk_b, sizeof pk);
            assert_int_equal(p.a->ed25519_sign(sig, &sk, msg), QUDAG_OK);
            assert_int_equal(p.b->ed25519_sign(sig_b, &sk, msg), QUDAG_OK);
            assert_memory_equal(sig, sig_b, sizeof sig);
            assert_int_equal(p.b->ed25519_verify(pk, sig, msg), QUDAG_OK);
            sig[rng_below(&rng, sizeof sig)] ^= (uint8_t)(1u << rng_below(&rng, 8));
            assert_int_equal(p.a->ed25519_verify(pk, sig, msg), QUDAG_EAUTH);
            assert_int_equal(p.b->ed25519_verify(pk, sig, msg), QUDAG_EAUTH);
            buf[msg.len] ^= 1;
            msg.len++;
            assert_int_equal(p.b->ed25519_verify(pk, sig_b, msg), QUDAG_EAUTH);
        }
    }
}

/* S + L is the same scalar: whoever accepts it lets a third party alter signatures (RFC 8032 5.1.7). */
static void ed25519_refuses_an_unreduced_scalar(void **state)
{
    static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58,
                                      0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
                                      0,    0,    0,    0,    0,    0,    0,    0,
                                      0,    0,    0,    0,    0,    0,    0,    0x10};
    struct slice msg = {(const uint8_t *)"m", 1};
    struct secret_ed25519 sk;
    uint8_t pk[32], sig[ED25519_SIG_LEN];
    (void)state;

    for (size_t n = 0; n < ARRAY_LEN(all); n++) {
        unsigned carry = 0;

        rng_fill(&rng, sk.seed, sizeof sk.seed);
        assert_int_equal(all[n]->ed25519_public(pk, &sk), QUDAG_OK);
        assert_int_equal(all[n]->ed25519_sign(sig, &sk, msg), QUDAG_OK);
        for (size_t i = 0; i < 32; i++) {
            carry += sig[32 + i] + (unsigned)order[i];
            sig[32 + i] = (uint8_t)carry;
            carry >>= 8;
        }
        assert_int_equal(all[n]->ed25519_verify(pk, sig, msg), QUDAG_EAUTH);
    }
}

struct mldsa_case {
    void *ka, *kb;
    uint8_t pk[MLDSA65_PK_LEN], buf[300], label[MLDSA_CTX_MAX];
    struct slice msg, ctx;
};

static void mldsa_signatures_of(const struct pair *p, struct mldsa_case *c)
{
    static uint8_t sig[MLDSA65_SIG_LEN], sig_b[MLDSA65_SIG_LEN];
    uint8_t rnd[MLDSA_RND_LEN];

    rng_fill(&rng, rnd, sizeof rnd);
    assert_int_equal(p->a->mldsa65_sign(sig, c->ka, c->ctx, c->msg, rnd), QUDAG_OK);
    assert_int_equal(p->b->mldsa65_sign(sig_b, c->kb, c->ctx, c->msg, rnd), QUDAG_OK);
    assert_memory_equal(sig, sig_b, sizeof sig);
    assert_int_equal(p->b->mldsa65_verify(c->pk, sig, c->ctx, c->msg), QUDAG_OK);
    rnd[0] ^= 1; /* hedged: the randomness matters */
    assert_int_equal(p->a->mldsa65_sign(sig, c->ka, c->ctx, c->msg, rnd), QUDAG_OK);
    assert_memory_not_equal(sig, sig_b, sizeof sig);
    sig_b[rng_below(&rng, sizeof sig)] ^= (uint8_t)(1u << rng_below(&rng, 8));
    assert_int_equal(p->a->mldsa65_verify(c->pk, sig_b, c->ctx, c->msg), QUDAG_EAUTH);
    assert_int_equal(p->b->mldsa65_verify(c->pk, sig_b, c->ctx, c->msg), QUDAG_EAUTH);
    c->ctx.len = c->ctx.len > 0 ? c->ctx.len - 1 : 1;
    assert_int_equal(p->b->mldsa65_verify(c->pk, sig, c->ctx, c->msg), QUDAG_EAUTH);
}

static void mldsa65_agrees(void **state)
{
    static struct mldsa_case c;
    struct pair p;

    (void)state;
    for (size_t n = 0; next_pair(&p, &n);) {
        for (size_t i = 0; i < ROUNDS; i++) {
            uint8_t pk_b[MLDSA65_PK_LEN];
            struct secret_mldsa65 seed;

            rng_fill(&rng, seed.seed, sizeof seed.seed);
            rng_fill(&rng, c.label, sizeof c.label);
            c.msg = some_message(c.buf, sizeof c.buf, i);
            c.ctx = (struct slice){c.label, i == 3 ? MLDSA_CTX_MAX : i};
            assert_int_equal(p.a->mldsa65_load(&c.ka, c.pk, &seed), QUDAG_OK);
            assert_int_equal(p.b->mldsa65_load(&c.kb, pk_b, &seed), QUDAG_OK);
            assert_memory_equal(c.pk, pk_b, sizeof pk_b);
            mldsa_signatures_of(&p, &c);
            p.a->mldsa65_free(c.ka);
            p.b->mldsa65_free(c.kb);
        }
    }
}

#if defined(__x86_64__)
/* Whether the upper halves of the vector registers are in use; false where the processor cannot tell. */
static bool upper_halves_in_use(void)
{
    unsigned a = 0, b = 0, c = 0, d = 0;

    if (!__builtin_cpu_supports("avx") || __get_cpuid_count(0xd, 1, &a, &b, &c, &d) == 0 ||
        (a & 4) == 0) {
        return false;
    }
    __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(1)); /* XINUSE */
    return (a & 4) != 0;
}

/* Else all code for SSE that runs after it in the thread is slower, whoever wrote it. */
static void the_upper_halves_are_left_clean(void **state)
{
    static uint8_t pk[MLDSA65_PK_LEN], sig[MLDSA65_SIG_LEN], ek[MLKEM768_EK_LEN];
    static uint8_t ct[MLKEM768_CT_LEN], ss[32], m[MLKEM_M_LEN], rnd[MLDSA_RND_LEN];
    struct secret_mlkem768 kem_seed = {{1}};
    struct secret_mldsa65 dsa_seed = {{1}};
    struct slice none = {ss, 0};
    void *kem, *dsa;
    (void)state;

    for (size_t n = 0; n < ARRAY_LEN(all); n++) {
        assert_int_equal(all[n]->mlkem768_load(&kem, ek, &kem_seed), QUDAG_OK);
        assert_false(upper_halves_in_use());
        assert_int_equal(all[n]->mlkem768_encaps(ct, ss, ek, m), QUDAG_OK);
        assert_false(upper_halves_in_use());
        assert_int_equal(all[n]->mlkem768_decaps(ss, kem, ct), QUDAG_OK);
        assert_false(upper_halves_in_use());
        assert_int_equal(all[n]->mldsa65_load(&dsa, pk, &dsa_seed), QUDAG_OK);
        assert_false(upper_halves_in_use());
        assert_int_equal(all[n]->mldsa65_sign(sig, dsa, none, none, rnd), QUDAG_OK);
        assert_false(upper_halves_in_use());
        assert_int_equal(all[n]->mldsa65_verify(pk, sig, none, none), QUDAG_OK);
        assert_false(upper_halves_in_use());
        all[n]->mlkem768_free(kem);
        all[n]->mldsa65_free(dsa);
    }
}
#endif

static void each_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        assert_int_not_equal(strlen(all[i]->name), 0);
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(all[i]->name, all[j]->name);
        }
        all[i]->mlkem768_free(NULL);
        all[i]->mldsa65_free(NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(x25519_agrees),
        cmocka_unit_test(x25519_refuses_a_result_of_zero),
        cmocka_unit_test(mlkem768_agrees),
        cmocka_unit_test(ed25519_agrees),
        cmocka_unit_test(ed25519_refuses_an_unreduced_scalar),
        cmocka_unit_test(mldsa65_agrees),
#if defined(__x86_64__)
        cmocka_unit_test(the_upper_halves_are_left_clean),
#endif
        cmocka_unit_test(each_has_a_name_of_its_own),
    };

    return cmocka_run_group_tests(tests, seeded, NULL);
}
