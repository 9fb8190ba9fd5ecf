/* cases_crypto.c - comparing, the cell cipher in each implementation that runs here, hashes, keys, signatures. */
#include "ct/ct.h"

#include "base/wipe.h"
#include "crypto/aead.h"
#include "crypto/cgo_impl.h"
#include "crypto/hash.h"
#include "crypto/kex.h"
#include "crypto/keyring.h"
#include "crypto/polyval.h"
#include "crypto/sign.h"

#include <string.h>

#define BODY 1119

static void compare(void)
{
    uint8_t a[64] = {1}, b[64] = {1};

    ct_secret(a, sizeof(a));
    bool same = ct_equal(a, b, sizeof(a)), zero = ct_is_zero(a, sizeof(a));
    ct_public(&same, sizeof(same));
    ct_public(&zero, sizeof(zero));
    ct_must(same && !zero, "comparing");
}

static void hashes(void)
{
    uint8_t in[200] = {1}, out[64];
    struct slice s = {in, sizeof(in)};

    ct_secret(in, sizeof(in));
    sha256(out, s);
    sha512(out, s);
    blake3(out, s);
    blake3_derive(out, 32, "qudag ct test", s);
    hmac_sha256(out, (struct slice){in, 32}, s);
    hkdf_sha256_extract(out, (struct slice){in, 32}, s);
    hkdf_sha256_expand(in, 100, out, (struct slice){(const uint8_t *)"x", 1});
}

static void polyvals(void)
{
    uint8_t key[POLYVAL_LEN] = {1}, data[100] = {2}, out[POLYVAL_LEN];
    struct polyval p;

    ct_secret(key, sizeof(key));
    ct_secret(data, sizeof(data));
    polyval_init(&p, key);
    polyval_add(&p, (struct slice){data, sizeof(data)});
    polyval_take(&p, out);
}

/* ---- the cell cipher ---- */

static const struct cgo_params cells = {BODY, 32};

static void cell_keys(uint8_t keys[CGO_AES256_KEY_MATERIAL])
{
    for (size_t i = 0; i < CGO_AES256_KEY_MATERIAL; i++) {
        keys[i] = (uint8_t)(i * 7);
    }
    ct_secret(keys, CGO_AES256_KEY_MATERIAL);
}

static void cell_cipher(const struct cgo_impl *impl)
{
    uint8_t keys[CGO_AES256_KEY_MATERIAL], body[BODY] = {3}, ack[CGO_TAG_LEN], out[200];
    struct cgo c;

    cell_keys(keys);
    ct_secret(body, sizeof(body));
    cgo_init_impl(&c, &cells, keys, impl);
    struct cgo_state *s = cgo_state_of(&c);
    impl->enc(s, 1, body);
    impl->dec(s, 1, body);
    impl->update_stream(s, out);
    cgo_relay_backward(&c, 1, body);
    cgo_relay_originate(&c, 1, body, ack);
    (void)cgo_relay_forward(&c, 1, body, ack);
    ct_must(!s->dead, impl->name);
    cgo_fini(&c);
}

static void cells_portable(void)
{
    cell_cipher(&cgo_impl_portable);
}

static void cells_fastest(void)
{
    const struct cgo_impl *impl = &cgo_impl_portable;

    for (size_t ix = 0; cgo_impl_at(ix) != NULL; ix++) {
        impl = cgo_impl_at(ix);
        if (impl->usable() && impl != &cgo_impl_portable) {
            cell_cipher(impl);
        }
    }
}

/* A client seals for the last of three hops and opens what comes from it. */
static void cells_client(void)
{
    uint8_t keys[CGO_AES256_KEY_MATERIAL], body[BODY] = {3}, ack[CGO_TAG_LEN];
    struct cgo fwd[3], relay;

    cell_keys(keys);
    for (size_t i = 0; i < 3; i++) {
        cgo_init(&fwd[i], &cells, keys);
    }
    cgo_init(&relay, &cells, keys);
    ct_secret(body, sizeof(body));
    cgo_client_originate(fwd, 3, 1, body, ack);
    cgo_relay_originate(&relay, 1, body, ack);
    struct cgo back;
    cgo_init(&back, &cells, keys);
    int hop = cgo_client_backward(&back, 1, 1, body, ack);
    ct_public(&hop, sizeof(hop));
    ct_must(hop == 0, "a client's cell");
    for (size_t i = 0; i < 3; i++) {
        cgo_fini(&fwd[i]);
    }
    cgo_fini(&relay);
    cgo_fini(&back);
}

/* ---- sealed bytes ---- */

static void aead(void)
{
    uint8_t key[AEAD_KEY_LEN] = {1}, nonce[AEAD_NONCE_LEN] = {0}, text[100] = {2};
    uint8_t sealed[100 + AEAD_TAG_LEN];
    struct slice none = {NULL, 0};

    ct_secret(key, sizeof(key));
    ct_secret(text, sizeof(text));
    ct_must(aead_seal(sealed, key, nonce, none, (struct slice){text, sizeof(text)}) == QUDAG_OK,
            "sealing");
    qudag_err err = aead_open(text, key, nonce, none, (struct slice){sealed, sizeof(sealed)});
    ct_public(&err, sizeof(err));
    ct_must(err == QUDAG_OK, "opening");
}

static void keyrings(void)
{
    static const struct slice name = {(const uint8_t *)"identity", 8};
    uint8_t text[64] = {1}, item[64 + KEYRING_ITEM_EXTRA], hidden[KEYRING_NAME_LEN];
    struct keyring k;

    keyring_new(&k, &ct_secret_rng);
    k.state = KEYRING_WHOLE;
    ct_secret(text, sizeof(text));
    ct_must(keyring_seal(&k, name, (struct slice){text, 64}, &ct_public_rng, item) == QUDAG_OK,
            "sealing an item");
    qudag_err err = keyring_unseal(&k, name, (struct slice){item, sizeof(item)}, text);
    ct_public(&err, sizeof(err));
    ct_must(err == QUDAG_OK, "opening an item");
    keyring_hide_name(&k, name, hidden);
}

/* ---- key exchange ---- */

#ifdef QUDAG_FASTCRYPTO

static void x25519(void)
{
    struct secret_x25519 sk;
    uint8_t pk[X25519_LEN], out[X25519_LEN];

    ct_must(x25519_keypair(&sk, pk, &ct_secret_rng) == QUDAG_OK, "X25519");
    ct_public(pk, sizeof(pk)); /* a public key is one */
    qudag_err err = x25519_shared(out, &sk, pk);
    ct_public(&err, sizeof(err));
    ct_must(err == QUDAG_OK, "X25519");
}

static void mlkem(void)
{
    struct secret_mlkem768 seed;
    struct mlkem_key *k;
    uint8_t ek[MLKEM768_EK_LEN], ct[MLKEM768_CT_LEN], ss[MLKEM768_SS_LEN];

    ct_must(mlkem768_keygen(&k, ek, &seed, &ct_public_rng) == QUDAG_OK, "ML-KEM");
    ct_must(mlkem768_encaps(ct, ss, ek, &ct_secret_rng) == QUDAG_OK, "encapsulation");
    ct_public(ct, sizeof(ct)); /* it goes over the wire */
    ct_mlkem_secret(k);
    ct_must(mlkem768_decaps(ss, k, ct) == QUDAG_OK, "decapsulation");
    ct[7] ^= 1; /* implicit rejection takes the same way */
    ct_must(mlkem768_decaps(ss, k, ct) == QUDAG_OK, "decapsulation");
    mlkem768_free(k);
}

/* ---- signatures ---- */

static void ed25519(void)
{
    struct secret_ed25519 sk;
    uint8_t pk[ED25519_PK_LEN], sig[ED25519_SIG_LEN];

    ct_must(ed25519_keygen(&sk, pk, &ct_secret_rng) == QUDAG_OK, "Ed25519");
    ct_must(ed25519_sign(sig, &sk, (struct slice){(const uint8_t *)"text", 4}) == QUDAG_OK,
            "signing");
}

/* What a dark address's records are signed with. */
static void blinding(void)
{
    struct secret_ed25519 sk;
    struct secret_ed25519_blinded b;
    uint8_t pk[ED25519_PK_LEN], blinded[ED25519_PK_LEN], sig[ED25519_SIG_LEN], param[32] = {1};
    uint8_t z[ED25519_NOISE_LEN];

    ct_must(ed25519_keygen(&sk, pk, &ct_secret_rng) == QUDAG_OK, "Ed25519");
    ct_public(pk, sizeof(pk));
    ct_must(ed25519_blind_public(blinded, pk, param) == QUDAG_OK, "blinding");
    ct_must(ed25519_blind_secret(&b, &sk, param) == QUDAG_OK, "blinding");
    rng_fill(&ct_secret_rng, z, sizeof(z));
    qudag_err err =
        ed25519_sign_blinded(sig, &b, blinded, (struct slice){(const uint8_t *)"text", 4}, z);
    ct_public(&err, sizeof(err));
    ct_must(err == QUDAG_OK, "signing with a blinded key");
}

#endif

const struct ct_case ct_cases_crypto[] = {
    {"constant-time comparison", compare, false},
    {"hashes and key derivation", hashes, false},
    {"POLYVAL, portable", polyvals, false},
    {"cell cipher, portable", cells_portable, false},
    {"cell cipher, what valgrind has instructions for", cells_fastest, false},
    {"cell cipher, a client", cells_client, false},
    {"AEAD", aead, false},
    {"keyring", keyrings, false},
#ifdef QUDAG_FASTCRYPTO /* AWS-LC's were looked at, OpenSSL's were not */
    {"X25519", x25519, false},
    {"ML-KEM-768", mlkem, false},
    {"Ed25519", ed25519, false},
    {"Ed25519, blinded", blinding, false},
#endif
    {NULL, NULL, false},
};
