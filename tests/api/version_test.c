/* version_test.c - the library says which primitives it was built with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <qudag/version.h>

#include <string.h>

static void the_backend_is_the_one_configured(void **state)
{
#ifdef QUDAG_FASTCRYPTO
    static const char want[] = "AWS-LC ";
#else
    static const char want[] = "OpenSSL ";
#endif
    const char *name = qudag_version_crypto();
    (void)state;

    assert_memory_equal(name, want, strlen(want));
    assert_int_not_equal(strlen(name), strlen(want));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_backend_is_the_one_configured),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
