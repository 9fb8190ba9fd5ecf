/* memory_test.c - certificates that could not be checked for want of memory are not called forged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/rng.h"
#include "crypto/init.h"
#include "crypto/testkit_memory.h"
#include "sec/cert.h"

#define NOW 1800000000

/*
 * The parser's failures are the TLS library's to report; what follows it is ours.  In one place OpenSSL notes nothing:
 * where it encodes an ECDSA signature again to see whether it was canonical.
 */
static void without_memory_no_certificate_is_forged(void **state)
{
    static const uint8_t seed[32] = {9};
    struct rng_stream stream;
    struct identity id;

    (void)state;
    rng_stream_init(&stream, seed);
    struct rng rng = rng_of_stream(&stream);
    assert_int_equal(identity_generate(&id, &rng), QUDAG_OK);
    for (int kind = CERT_CLASSICAL; kind <= CERT_PQ; kind++) {
        struct cert_pair p = {NULL, NULL};
        unsigned failures = 0, unnoted = 0;
        assert_int_equal(cert_make(&p, (enum cert_kind)kind, &id, &rng, NOW), QUDAG_OK);
        for (uint64_t n = 0;; n++) {
            struct sec_peer peer;
            unsigned before = failed;
            allowed = n;
            qudag_err err = cert_check(&peer, p.crt, PQ_PREFER, NOW, NULL);
            allowed = NEVER;
            if (failed == before) {
                assert_int_equal(err, QUDAG_OK);
                break;
            }
            failures++;
            unnoted += err == QUDAG_EAUTH ? 1 : 0;
        }
        assert_true(failures > 0);
        assert_true(unnoted <= (kind == CERT_CLASSICAL ? 1 : 0));
        cert_pair_fini(&p);
    }
    identity_fini(&id);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(without_memory_no_certificate_is_forged)};

    if (!memory_install() || crypto_init() != QUDAG_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
