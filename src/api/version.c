/* version.c - what was built in. */
#include <qudag/version.h>

#include "crypto/init.h"

const char *qudag_version_crypto(void)
{
    return crypto_name();
}
