/* prov_kem512.c - ML-KEM-512 (FIPS 203) of OpenSSL's default provider, for the hybrid group of level 512. */
#include "sec/lib.h"
#include "sec/prov.h"

#include <openssl/evp.h>

#define EK_LEN 800
#define CT_LEN 768
#define KIND "ML-KEM-512"
#define FROM "provider=default"

static void *keygen_512(uint8_t *ek)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(sec_lib(), FROM, KIND);
    size_t len = EK_LEN;

    if (key != NULL && (EVP_PKEY_get_raw_public_key(key, ek, &len) != 1 || len != EK_LEN)) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    return key;
}

static void free_512(void *key)
{
    EVP_PKEY_free(key);
}

static bool encaps_512(uint8_t *ct, uint8_t *ss, const uint8_t *ek)
{
    EVP_PKEY *key = EVP_PKEY_new_raw_public_key_ex(sec_lib(), KIND, FROM, ek, EK_LEN);
    EVP_PKEY_CTX *c = key == NULL ? NULL : EVP_PKEY_CTX_new_from_pkey(sec_lib(), key, FROM);
    size_t ct_len = CT_LEN, ss_len = PROV_KEM_SS_LEN;
    bool ok = c != NULL && EVP_PKEY_encapsulate_init(c, NULL) == 1 &&
              EVP_PKEY_encapsulate(c, ct, &ct_len, ss, &ss_len) == 1 && ct_len == CT_LEN &&
              ss_len == PROV_KEM_SS_LEN;

    EVP_PKEY_CTX_free(c);
    EVP_PKEY_free(key);
    return ok;
}

static bool decaps_512(uint8_t *ss, void *key, const uint8_t *ct)
{
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_pkey(sec_lib(), key, FROM);
    size_t len = PROV_KEM_SS_LEN;
    bool ok = c != NULL && EVP_PKEY_decapsulate_init(c, NULL) == 1 &&
              EVP_PKEY_decapsulate(c, ss, &len, ct, CT_LEN) == 1 && len == PROV_KEM_SS_LEN;

    EVP_PKEY_CTX_free(c);
    return ok;
}

const struct prov_kem prov_kem_512 = {
    .group = "X25519MLKEM512",
    .ek_len = EK_LEN,
    .ct_len = CT_LEN,
    .bits = 128,
    .keygen = keygen_512,
    .free = free_512,
    .encaps = encaps_512,
    .decaps = decaps_512,
};
